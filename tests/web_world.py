"""What the tests of `web` share: a desk without processes, and a client under the right name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import chdir
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from chipcast.cli import web_answers
from chipcast.web.app import create
from chipcast.web.desk import LASTING, Desk, Reply

BASE = "http://127.0.0.1"


class Here(Desk):
    """A desk that answers in this process, so that a test of a page need not wait for another one."""

    def __init__(self) -> None:
        super().__init__(web_answers.answer)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def ask(self, verb: str, fields: Mapping[str, Any], *, heavy: bool) -> Reply:
        self.asked.append((verb, dict(fields)))
        key = repr((verb, fields))
        if key not in self._kept:
            with TemporaryDirectory() as room, chdir(room):  # where a scenario text is laid down
                kind, text = web_answers.answer(verb, fields)
            if kind not in LASTING:
                return Reply(kind=kind, text=text)
            self._kept[key] = Reply(kind=kind, text=text)
        return self._kept[key]


class Client:
    """Asks an application without a network."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def ask(self, method: str, address: str, **more: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=BASE) as asker:
                return await asker.request(method, address, **more)

        return asyncio.run(once())

    def get(self, address: str, **more: Any) -> httpx.Response:
        return self.ask("GET", address, **more)

    def post(self, address: str, **more: Any) -> httpx.Response:
        return self.ask("POST", address, **more)


def client(desk: Desk | None = None, **options: Any) -> Client:
    """Return a client of an application on a desk, by default one of this process."""
    return Client(create(desk or Here(), web_answers.stories(), **options))
