"""What stands before every request: who may ask, how much may be sent, and what a browser may do with the answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BODY = 131_072
"""Largest body of a request. [bytes]"""

BODY_SECONDS = 10.0
"""Longest time in which a body must have arrived. [s]"""

MOST_QUERY = 8192
"""Longest query. [bytes]"""

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
                               "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
                               "frame-ancestors 'none'",
    "x-content-type-options": "nosniff", "x-frame-options": "DENY", "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
"""Headers of every response. Styles in a page are allowed because charts set their own."""


def hosts_of(host: str, more: Iterable[str] = ()) -> frozenset[str]:
    """Return the names under which the server answers: the address it listens on, and loopback where it is one."""
    loopback = {"127.0.0.1", "localhost", "[::1]"}
    own = {host.lower(), f"[{host.lower()}]"} - {"0.0.0.0", "::", "[::]"}  # names only, nothing is bound here
    return frozenset(own | loopback | {m.lower() for m in more})


class Guard:
    """Refuses foreign hosts, other sites' requests and large bodies; adds the headers of safety to all the rest."""

    def __init__(self, app: App, hosts: frozenset[str]) -> None:
        """Take what is guarded and the names under which it answers."""
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def safe(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *((k.encode(), v.encode())
                                                                     for k, v in HEADERS.items())]
            await send(message)

        said = self._refusal(scope)
        body = b""
        if not said:
            body, said = await _body(receive)
        if said:
            await _refuse(safe, *said)
            return
        given = False

        async def whole() -> MutableMapping[str, Any]:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        # a HEAD is a GET whose body the server itself leaves out
        await self._app({**scope, "method": "GET"} if scope["method"] == "HEAD" else scope, whole, safe)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return the code and the sentence by which a request is refused unread."""
        heads = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        name = heads.get("host", "").lower()
        name = name.rsplit(":", 1)[0] if not name.endswith("]") else name
        if name not in self._hosts:
            return 421, ("this server answers only under the address it was started with; open that, or start it with "
                         "--name for another")
        foreign = heads.get("sec-fetch-site") in ("cross-site", "same-site")
        if foreign and (heads.get("sec-fetch-mode") != "navigate" or scope["method"] != "GET"
                        or scope["path"].startswith("/api/")):
            return 403, "another site may not ask here for its visitors; open the page itself"
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "use GET or POST"
        if len(scope.get("query_string", b"")) > MOST_QUERY:
            return 414, f"the query is longer than {MOST_QUERY} bytes; send it as the body of a POST"
        length = heads.get("content-length", "0")
        if not length.isdigit() or int(length) > MOST_BODY:
            return 413, f"the body is larger than {MOST_BODY} bytes; a scenario states only what differs"
        return None


async def _body(receive: Receive) -> tuple[bytes, tuple[int, str] | None]:
    """Return a body as a whole, or why it is refused."""
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return b"", (400, "the request ended before its body was whole")
                parts.append(message.get("body", b""))
                if sum(map(len, parts)) > MOST_BODY:
                    return b"", (413, f"the body is larger than {MOST_BODY} bytes; a scenario states only what "
                                      "differs")
                if not message.get("more_body"):
                    return b"".join(parts), None
    except TimeoutError:
        return b"", (408, f"the body did not arrive within {BODY_SECONDS:g} s; send it at once")


async def _refuse(send: Send, code: int, sentence: str) -> None:
    text = json.dumps({"error": sentence, "kind": "refused"}).encode()
    await send({"type": "http.response.start", "status": code, "headers": [
        (b"content-type", b"application/json"), (b"content-length", str(len(text)).encode()),
        (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": text})
