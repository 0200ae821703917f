"""The interface for programs: `/api/<verb>`, by query or by JSON body, with the keys of the command line's `--json`."""
# no `from __future__ import annotations` here: the types of the routes are made in a loop

import inspect
import json
from typing import Annotated, Any

from fastapi import Body, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from chipcast.web.ask import Question
from chipcast.web.desk import Desk, Reply
from chipcast.web.questions import QUESTIONS

RETRY_S = 30
"""When one who was turned away may ask again. [s]"""

BODY = "the body is no JSON object; send one such as {\"chip\": \"h20\"}, with the content-type application/json"
"""What is said of a body that cannot be read."""

STOPPED = {400: BODY, 405: "use GET here; POST is for the questions below /api/"}
"""What is said where the framework itself refuses, by code."""


def respond(reply: Reply) -> Response:
    """Return a reply as JSON: the answer as it is, or its sentence and kind."""
    text = reply.text if reply.kind == "answer" else json.dumps({"error": reply.text, "kind": reply.kind},
                                                                ensure_ascii=False)
    heads = {"cache-control": "no-store", **({"retry-after": str(RETRY_S)} if reply.kind == "busy" else {})}
    return Response(text, status_code=reply.status, media_type="application/json", headers=heads)


def sentence_of(errors: Any) -> str:
    """Return one sentence for the first problem that validation found."""
    first = errors[0]
    place = ".".join(str(p) for p in first["loc"] if p not in ("query", "body"))
    if first["type"] == "missing":
        return f"{place} is missing; add it" if place else "a body is missing; send a JSON object"
    if first["type"] in ("json_invalid", "model_attributes_type"):
        return BODY
    if first["type"] == "extra_forbidden":
        return f"{place} is no field of this question; the fields stand on the page /api"
    if first["type"] == "string_pattern_mismatch":
        return f"{place} is not written as it must be, got '{str(first.get('input'))[:60]}'; see the page /api"
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"{place}: {said[0].lower()}{said[1:]}" if place else said


def _route(kind: type[Question], desk: Desk, where: Any) -> Any:
    """Return the handler of a verb that reads its question from `where`, the query or the body."""

    async def ask(asked: Question) -> Response:
        return respond(await desk.ask("/".join(kind.VERB), asked.asked(), heavy=kind.HEAVY))

    ask.__doc__ = kind.SAYS
    ask.__signature__ = inspect.Signature([  # type: ignore[attr-defined]
        inspect.Parameter("asked", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Annotated[kind, where])])
    return ask


ERRORS: dict[int | str, dict[str, Any]] = {code: {"description": words} for code, words in {
    409: "no feasible answer: {error, kind}", 422: "input that cannot be used: {error, kind}",
    503: "too many such questions at once: {error, kind}", 504: "stopped at the limit of time: {error, kind}"}.items()}


def add(app: FastAPI, desk: Desk) -> None:
    """Add the routes of all questions to an application, and the form of its errors."""
    for path, kind in QUESTIONS.items():
        told: dict[str, Any] = {"summary": kind.SAYS, "response_class": Response, "responses": ERRORS,
                                "tags": [kind.VERB[0]]}
        name = path.replace("/", "_")
        app.get(f"/api/{path}", operation_id=f"get_{name}", **told)(_route(kind, desk, Query()))
        app.post(f"/api/{path}", operation_id=f"post_{name}", **told)(_route(kind, desk, Body()))

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: RequestValidationError) -> Response:
        return respond(Reply(kind="input", text=sentence_of(error.errors())))

    @app.exception_handler(HTTPException)
    async def stopped(_: Request, error: HTTPException) -> Response:
        return refused(error.status_code, STOPPED.get(error.status_code, str(error.detail)))


def refused(status: int, sentence: str) -> Response:
    """Return a refusal as JSON."""
    return Response(json.dumps({"error": sentence, "kind": "refused"}), status_code=status,
                    media_type="application/json")
