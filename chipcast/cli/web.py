"""`chipcast web`: the same verbs in the browser and over HTTP, on this machine unless told otherwise."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.cli.common import note, say, whole

PORT = 8765
"""Port where none is named."""


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("web", help="Serve the same questions as pages and over HTTP until Ctrl-C; on this machine only unless "
                            "--host says otherwise.")(web)


def web(
    port: Annotated[int, whole("--port", "Port; 0 takes a free one.", least=0, most=65535)] = PORT,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    name: Annotated[list[str] | None, typer.Option("--name", help="A further name under which it answers, such as that "
                                                                  "of a proxy; may be repeated.")] = None,
    heavy: Annotated[int, whole("--heavy", "Long questions that are worked on at the same time.", most=64)] = 1,
    seconds: Annotated[int, whole("--seconds", "Longest work on one question.", least=5, most=3600)] = 90,
) -> None:
    import signal
    import tempfile
    from dataclasses import replace
    from functools import partial

    import uvicorn

    from chipcast.cli import web_answers
    from chipcast.web.app import create
    from chipcast.web.desk import HEAVY, Desk
    from chipcast.web.prompt import Prompt

    listener = _listen(host, port)
    own = listener.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="chipcast-web-") as folder, listener:
        desk = Desk(web_answers.answer, partial(web_answers.ready, folder),
                    heavy=replace(HEAVY, workers=heavy, seconds=float(seconds)))
        served = create(desk, web_answers.stories(), host=host, names=name or (), warm=True)
        shown = f"[{host}]" if ":" in host else host
        say(f"chipcast listens on http://{shown}:{own} (stop with Ctrl-C)")
        if host not in ("127.0.0.1", "localhost", "::1"):
            note("note: this address may be reached from other machines; nobody is asked who they are, and what is "
                 "sent is not encrypted. Put a proxy with both before it.")
        settings = uvicorn.Config(served, log_level="warning", access_log=False, server_header=False,
                                  limit_concurrency=64, timeout_keep_alive=5, timeout_graceful_shutdown=2,
                                  h11_max_incomplete_event_size=16_384, http=Prompt, ws="none")
        signal.signal(signal.SIGTERM, _stop)  # so that an ordinary end also ends the workers and clears the folder
        try:
            uvicorn.Server(settings).run(sockets=[listener])
        except KeyboardInterrupt:
            pass
        finally:
            desk.close()


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _listen(host: str, port: int) -> Any:
    """Return a socket that listens, so that what is wrong with an address is told before anything is loaded."""
    import socket

    from chipcast.base.errors import InputError

    listener = None
    try:
        kind = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(kind, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(64)
    except (OSError, UnicodeError) as error:
        if listener:
            listener.close()
        raise InputError(f"cannot listen on {host} port {port}: {getattr(error, 'strerror', None) or error}; choose "
                         "another --port or --host, or --port 0 for a free one") from None
    return listener
