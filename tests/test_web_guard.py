"""The guard: who may ask, how much may be sent, what a browser may do; and a server that starts and stops."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState
from web_world import Client, client

from chipcast.cli import main
from chipcast.web import prompt
from chipcast.web.guard import MOST_BODY, Guard, hosts_of


@pytest.fixture(scope="module")
def site() -> Client:
    return client()


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:8765"])
def test_a_foreign_name_gets_no_answer_so_that_no_page_can_be_rebound(site: Client, name: str) -> None:
    said = site.get("/", headers={"host": name})
    assert said.status_code == 421
    assert "answers only under the address" in said.json()["error"]


@pytest.mark.parametrize("name", ["127.0.0.1:8765", "localhost", "LOCALHOST:80", "[::1]:8765", "[::1]"])
def test_loopback_is_known_by_its_names(site: Client, name: str) -> None:
    assert site.get("/", headers={"host": name}).status_code == 200


def test_a_further_name_must_be_asked_for() -> None:
    assert client(names=["plans.example"]).get("/", headers={"host": "plans.example"}).status_code == 200
    assert "0.0.0.0" not in hosts_of("0.0.0.0")


@pytest.mark.parametrize(("mode", "path", "code"), [
    ("no-cors", "/api/chip/list", 403), ("cors", "/api/chip/list", 403), ("no-cors", "/chips", 403),
    ("navigate", "/api/chip/list", 403), ("navigate", "/chips", 200)])
def test_another_site_may_link_here_and_do_no_more(site: Client, mode: str, path: str, code: int) -> None:
    for where in ("cross-site", "same-site"):
        said = site.get(path, headers={"sec-fetch-site": where, "sec-fetch-mode": mode})
        assert said.status_code == code


def test_no_response_lets_another_origin_read_or_frame_it_or_sets_a_cookie(site: Client) -> None:
    for path in ("/", "/api/chip/list", "/nope", "/static/style.css", "/api/rules/check?chip=h99"):
        said = site.get(path, headers={"origin": "https://evil.example"})
        heads = said.headers
        assert "access-control-allow-origin" not in heads and "set-cookie" not in heads
        policy = heads["content-security-policy"]
        assert policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy
        assert "'unsafe-eval'" not in policy and "script-src 'self';" in policy
        assert heads["x-content-type-options"] == "nosniff" and heads["x-frame-options"] == "DENY"
        assert heads["referrer-policy"] == "no-referrer"


def test_a_large_body_is_refused_by_its_length_and_by_its_bytes(site: Client) -> None:
    big = b'{"scenario_text": "' + b"x" * MOST_BODY + b'"}'
    said = site.post("/api/market", content=big, headers={"content-type": "application/json"})
    assert said.status_code == 413 and "larger than" in said.json()["error"]

    async def pieces() -> Any:
        for _ in range(MOST_BODY // 1024 + 2):
            yield b"x" * 1024

    assert site.post("/api/market", content=pieces()).status_code == 413


def test_a_body_that_never_comes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chipcast.web.guard.BODY_SECONDS", 0.05)
    sent: list[Any] = []

    async def never() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(*_: Any) -> None:
        raise AssertionError("the application was reached")

    scope = {"type": "http", "method": "POST", "path": "/api/plan", "query_string": b"",
             "headers": [(b"host", b"127.0.0.1"), (b"content-length", b"5")]}
    asyncio.run(Guard(app, hosts_of("127.0.0.1"))(scope, never, send))
    assert sent[0]["status"] == 408


@pytest.mark.parametrize(("method", "address", "code"), [
    ("DELETE", "/", 405), ("PUT", "/api/plan", 405), ("GET", "/api/chip/list?vendor=" + "x" * 9000, 414),
    ("POST", "/chips", 405), ("GET", "/api/nope", 404), ("GET", "/api/rules/nope", 404)])
def test_what_is_no_question_is_refused_in_a_sentence(site: Client, method: str, address: str, code: int) -> None:
    said = site.ask(method, address)
    assert said.status_code == code
    assert said.json()["error"] and said.json()["kind"] == "refused"


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/%2e%2e/etc/passwd",
                                  "/static/app.py", "/static//etc/passwd", "/templates/base.html",
                                  "/static/htmx.min.js/../../app.py", "/headline/..%2f..%2fetc"])
def test_no_address_leads_to_a_file_that_is_not_a_page_s_own(site: Client, path: str) -> None:
    said = site.get(path)
    assert said.status_code == 404
    assert "root:" not in said.text and "import" not in said.text


def test_a_port_that_is_taken_and_an_address_that_is_none_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["web", "--port", str(port)]) == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err
    assert main(["web", "--host", "no such place"]) == 2
    assert "choose another --port or --host" in capsys.readouterr().err
    assert main(["web", "--port", "70000"]) == 2
    assert "--port must be 65535 or less" in capsys.readouterr().err


def test_a_body_that_is_not_there_is_told_so(site: Client) -> None:
    assert "missing" in site.post("/api/rules/check").json()["error"]


@pytest.mark.parametrize(("path", "body", "kind", "code"), [
    ("/api/rules/check", b"chip=h20", "application/x-www-form-urlencoded", 422),
    ("/api/rules/check", b'{"chip":', "application/json", 422), ("/api/rules/check", b"null", "application/json", 422),
    ("/api/rules/check", b"[]", "application/json", 422), ("/api/rules/check", b'"x"', "application/json", 422),
    ("/api/rules/check", b"[" * 60_000, "application/json", 400),
    ("/api/rules/check", b"\xff", "application/json", 400),
    ("/api/fab/dies", b'{"area_mm2": ' + b"9" * 5000 + b"}", "application/json", 400)])
def test_a_body_that_is_no_json_object_is_told_what_to_send(site: Client, path: str, body: bytes, kind: str,
                                                            code: int) -> None:
    said = site.post(path, content=body, headers={"content-type": kind})
    assert said.status_code == code
    assert said.json()["error"].startswith("the body is no JSON object; send one such as {")


def test_a_page_takes_no_post_and_a_head_is_answered_as_a_get(site: Client) -> None:
    said = site.post("/chips", content=b"chip=h20")
    assert said.status_code == 405 and said.json()["error"].startswith("use GET here")
    for path in ("/", "/api/chip/list", "/nope"):
        got = site.get(path)
        head = site.ask("HEAD", path)
        assert head.status_code == got.status_code and head.headers["content-length"] == got.headers["content-length"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    """A server of its own process on a free port of loopback."""
    room = tmp_path_factory.mktemp("web")
    process = subprocess.Popen([sys.executable, "-m", "chipcast", "web", "--port", "0"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, cwd=room,
                               env={**os.environ, "TMPDIR": str(room), "PYTHONUNBUFFERED": "1"})
    with process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found, line
            yield process, found.group(), room
        finally:
            process.kill()


def test_a_server_answers_on_loopback_and_leaves_nothing_behind(
        server: tuple[subprocess.Popen[str], str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    process, address, room = server
    with urllib.request.urlopen(f"{address}/api/rules/check?chip=h20&on=2025-05-01", timeout=120) as said:
        told = json.load(said)
        assert said.headers["server"] is None
    assert main(["rules", "check", "h20", "--on", "2025-05-01", "--json"]) == 0
    assert told == json.loads(capsys.readouterr().out)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    assert process.stderr and process.stderr.read() == ""
    assert list(room.glob("chipcast-web-*")) == []


def test_a_head_that_never_ends_is_closed_and_a_whole_one_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt, "HEAD_SECONDS", 0.3)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.5)  # an answer may take longer than a head
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def said(*parts: bytes) -> bytes:
        config = uvicorn.Config(app, log_level="error", lifespan="off", http=prompt.Prompt)
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: prompt.Prompt(config=config, server_state=state, app_state={}),
                                          "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            got = b""
            for part in parts:
                writer.write(part)
                if part.endswith(b"\r\n\r\n"):
                    got += await asyncio.wait_for(reader.readuntil(b"ok"), 5)
            got += await asyncio.wait_for(reader.read(), 3)
            writer.close()
            return got

    head = b"GET / HTTP/1.1\r\nhost: x\r\n"
    assert asyncio.run(said()) == asyncio.run(said(head)) == b""
    assert asyncio.run(said(head + b"\r\n", head)).count(b"200 OK") == 1, "answered, then closed on half a head"
