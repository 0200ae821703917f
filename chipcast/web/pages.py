"""The pages: a start, one per question, every number of a scenario, and what programs may ask."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from chipcast import __version__
from chipcast.base.catalog import read_table
from chipcast.base.errors import InputError
from chipcast.report import bundle
from chipcast.report.mark import STATIONS
from chipcast.web import (
    page_chips,
    page_cut_off,
    page_explain,
    page_fab,
    page_line,
    page_order,
    page_serve,
    show,
)
from chipcast.web.ask import MOST_DRAWS
from chipcast.web.desk import Desk, Reply
from chipcast.web.form import Page, filled, given_of, in_words_of
from chipcast.web.questions import QUESTIONS

HERE = Path(__file__).parent
REPORT = Path(bundle.__file__).parent

PAGES: tuple[Page, ...] = tuple(p.PAGE for p in (page_chips, page_serve, page_cut_off, page_order, page_line, page_fab,
                                                 page_explain))
"""Every question, buyer first."""

HTMX = {"responseHandling": [{"code": ".*", "swap": True}], "allowEval": False, "allowScriptTags": False,
        "includeIndicatorStyles": False, "historyCacheSize": 0, "refreshOnHistoryMiss": True}
"""How forms behave with scripts: errors are shown, nothing is evaluated, going back asks again."""


@lru_cache(maxsize=1)
def files() -> dict[str, tuple[str, str]]:
    """Return what pages load, by name: kind and text; nothing else is ever served from a disk."""
    charts = ('(function () {\n"use strict";\n' + (REPORT / "draw.js").read_text(encoding="utf-8")
              + (HERE / "static" / "ready.js").read_text(encoding="utf-8") + bundle.script() + "\n})();\n")
    styles = (REPORT / "page.css").read_text(encoding="utf-8") + (HERE / "static" / "web.css").read_text(
        encoding="utf-8")
    return {"charts.js": ("text/javascript", charts), "style.css": ("text/css", styles),
            "htmx.min.js": ("text/javascript", (HERE / "static" / "htmx.min.js").read_text(encoding="utf-8"))}


@lru_cache(maxsize=8)
def address(name: str) -> str:
    """Return the address of a file of a page; it changes with the file, so that a browser may keep it for good."""
    return f"/static/{name}?v={blake2b(files()[name][1].encode(), digest_size=6).hexdigest()}"


@lru_cache(maxsize=1)
def templates() -> Environment:
    """Return the templates; everything that is put into one is escaped."""
    found = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined,
                        trim_blocks=True, lstrip_blocks=True)
    found.globals |= {"address": address, "pages": PAGES, "version": __version__, "htmx": json.dumps(HTMX),
                      "legend": show.legend_html, "table": show.table_of, "csv_address": show.csv_address,
                      "references": show.references, "specs_of": show.specs_of}
    return found


def html(name: str, *, status: int = 200, **context: Any) -> Response:
    """Return a page."""
    text = templates().get_template(name).render(**context)
    return Response(text, status_code=status, media_type="text/html",
                    headers={"cache-control": "no-store", "vary": "hx-request"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What stands in the place of an answer."""

    status: int = 200
    """Code of HTTP."""
    view: show.View | None = None
    """The answer, where there is one."""
    error: str = ""
    """Why there is none."""
    kind: str = ""
    """Kind of that error."""
    commands: tuple[str, ...] = ()
    """Commands that ask the same in a terminal."""
    queries: tuple[str, ...] = ()
    """Addresses that give the same to a program."""


async def answer(page: Page, form: Mapping[str, Any], desk: Desk) -> Shown:
    """Return the answer to a filled form, or the sentence that says why there is none."""
    given = given_of(form)
    try:
        asked = page.questions(given)
    except InputError as error:
        return Shown(status=422, error=in_words_of(page, str(error)), kind="input")
    told: dict[str, Any] = {}
    for key, question in asked.items():
        reply: Reply = await desk.ask("/".join(question.VERB), question.asked(), heavy=question.HEAVY)
        if reply.kind != "answer":
            return Shown(status=reply.status, error=in_words_of(page, reply.text), kind=reply.kind)
        told[key] = json.loads(reply.text)
    return Shown(view=page.view(told, given), commands=tuple(q.command() for q in asked.values()),
                 queries=tuple(f"/api/{'/'.join(q.VERB)}?{urlencode(q.asked(), doseq=True)}" for q in asked.values()))


def add(app: FastAPI, desk: Desk, stories: Sequence[Mapping[str, Any]]) -> None:
    """Add the pages to an application."""
    names = tuple(str(s["name"]) for s in stories)

    @app.get("/", include_in_schema=False)
    async def start() -> Response:
        return html("start.html", stories=stories, claims=read_table("claims"), here="/")

    @app.get("/headline/{scenario}", include_in_schema=False)
    async def headline(scenario: str) -> Response:
        if scenario not in names:
            return html("error.html", status=404, error="no such scenario; those that ship stand on /", here="")
        page = page_cut_off.PAGE
        shown = await answer(page, {**filled(page, {}), "scenario": scenario}, desk)
        return html("_headline.html", status=shown.status, shown=shown, scenario=scenario)

    @app.get("/numbers", include_in_schema=False)
    async def numbers(request: Request) -> Response:
        scenario = request.query_params.get("scenario", names[0])
        if scenario not in names:
            return html("error.html", status=404, error="no such scenario; those that ship stand on /", here="")
        reply = await desk.ask("numbers", {"scenario": scenario}, heavy=False)
        if reply.kind != "answer":
            return html("error.html", status=reply.status, error=reply.text, here="")
        told = json.loads(reply.text)
        groups = {title: [n for n in told["numbers"] if n["station"] == key] for key, title in STATIONS.items()}
        return html("numbers.html", told=told, groups=groups, names=names, here="/numbers")

    @app.get("/api", include_in_schema=False)
    async def api() -> Response:
        return html("api.html", questions=[(path, kind, fields_of(kind.model_json_schema()))
                                           for path, kind in QUESTIONS.items()], here="/api", most_draws=MOST_DRAWS)

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        if name not in files():
            return html("error.html", status=404, error="no such file", here="")
        kind, text = files()[name]
        return Response(text, media_type=kind, headers={"cache-control": "public, max-age=31536000, immutable"})

    for page in PAGES:
        app.get(page.path, include_in_schema=False)(_handler(page, desk))


def _handler(page: Page, desk: Desk) -> Any:
    async def show_page(request: Request) -> Response:
        stated: dict[str, list[str]] = {}
        for key, value in request.query_params.multi_items():
            stated.setdefault(key, []).append(value)
        form = filled(page, stated)
        asked = page.instant or any(f.name in stated for f in page.fields)
        shown = await answer(page, form, desk) if asked else Shown()
        if request.headers.get("hx-request") == "true" and "hx-history-restore-request" not in request.headers:
            return html("_answer.html", status=shown.status, shown=shown, page=page)
        return html("question.html", status=shown.status, shown=shown, page=page, form=form, here=page.path)

    return show_page


def fields_of(schema: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the fields of a question in words."""
    needed = schema.get("required", ())
    return [{"name": name, "words": field_words(told), "needed": "yes" if name in needed else "",
             "says": told.get("description") or stated(told).get("description", "")}
            for name, told in schema.get("properties", {}).items()]


def stated(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a field holds where it is not left out."""
    found: Mapping[str, Any] = next((t for t in told.get("anyOf", ()) if t.get("type") != "null"), told)
    return found


def field_words(told: Mapping[str, Any]) -> str:
    """Return what a field may hold, in words.

    >>> field_words({"anyOf": [{"type": "integer", "minimum": 100, "maximum": 4000}, {"type": "null"}]})
    'whole number, 100 to 4000'
    """
    told = stated(told)
    if "enum" in told:
        return ", ".join(map(str, told["enum"]))
    if told.get("type") == "array":
        return f"{field_words(told['items'])}; several, at most {told.get('maxItems', '')}"
    kinds = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
    words = kinds.get(str(told.get("type")), "text")
    low, high = (next((told[k] for k in keys if k in told), None) for keys in (
        ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")))
    if low is not None and high is not None:
        words += f", {low:g} to {high:g}"
    return words
