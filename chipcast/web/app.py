"""The application: pages and interface over one desk, behind one guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response

from chipcast import __version__
from chipcast.web import api, page_chips, page_cut_off, pages
from chipcast.web.desk import Desk, Reply
from chipcast.web.form import filled
from chipcast.web.guard import Guard, hosts_of


def create(desk: Desk, stories: Sequence[Mapping[str, Any]], *, host: str = "127.0.0.1", names: Iterable[str] = (),
           warm: bool = False) -> Guard:
    """Return the application.

    Parameters
    ----------
    desk : Desk
        Who answers.
    stories : sequence of mapping
        Shipped scenarios in words: name, as_of, buyer, segment, model, need, budget.
    host : str
        Address that it listens on; it answers under this name and loopback only.
    names : iterable of str
        Further names under which it answers.
    warm : bool
        Whether the processes and the first answers are made ready as the server starts.
    """

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        import asyncio

        early = [asyncio.create_task(pages.answer(page, filled(page, {}), desk))
                 for page in (page_cut_off.PAGE, page_chips.PAGE) if warm]
        yield
        desk.close()
        for task in early:
            task.cancel()

    app = FastAPI(title="chipcast", version=__version__, docs_url=None, redoc_url=None, lifespan=life,
                  description="Forecast and plan AI compute, from wafer to token. Every answer has the keys that the "
                              "command line prints with --json.")
    api.add(app, desk)
    pages.add(app, desk, stories)

    @app.exception_handler(404)
    async def missing(request: Request, _: Exception) -> Response:
        if request.url.path.startswith("/api/"):
            return api.refused(404, "no such question; what may be asked stands on /api")
        return pages.html("error.html", status=404, error="There is no such page.", here="")

    @app.exception_handler(Exception)
    async def ours(request: Request, error: Exception) -> Response:
        said = f"chipcast itself failed on this question ({type(error).__name__}); it is not your input"
        if request.url.path.startswith("/api/"):
            return api.respond(Reply(kind="fault", text=said))
        return pages.html("error.html", status=500, error=said, here="")

    return Guard(app, hosts_of(host, names))
