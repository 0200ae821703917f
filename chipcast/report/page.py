"""The report: one self-contained HTML page that opens anywhere, without a network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from chipcast.base.catalog import read_table
from chipcast.base.given import Row
from chipcast.base.summary import plain
from chipcast.evidence.verdict import RULE
from chipcast.report import answers, bundle, chart, section, table
from chipcast.report.driver import Drivers
from chipcast.report.figure import figure
from chipcast.report.figure import table as table_html
from chipcast.report.mark import STATIONS, Marks, anchor, law_words, source_words
from chipcast.report.record import Picture, Section, Story
from chipcast.report.theme import CONFIG, VERDICT_COLOURS, VERDICT_SIGNS, day_words

HERE = Path(__file__).parent

NUMBER_HEADS = ("name", "value", "unit", "kind", "source", "known by", "why, or note")

NO_LAWYER = (
    "The section on who may buy what says what published text says, with its dates; it is not legal advice, and "
    "nobody who wrote it is your lawyer."
)


def render(story: Story) -> str:
    """Return the report of a run as one HTML page; the same story gives the same bytes."""
    marks = Marks(story.given, story.sources)
    pictures = chart.draw(story)
    stretches = section.sections(story, pictures)
    moved = drivers(story, pictures)
    specs: dict[str, Any] = {}
    body = [_header(story, stretches), "<main>", _answers(story, pictures, moved, marks)]
    if story.claims:
        body.append(_claims(story, pictures.get("claims"), marks, specs))
    body += [_section(s, marks, specs, story, moved) for s in stretches]
    body += [_method(story), _references(marks), _appendix(marks), "</main>", _footer(story)]
    return _document(story, "\n".join(body), specs)


Moved = Mapping[str, Iterable[tuple[str, float]]]
"""By picture: the rows that move its number most, with their rank correlation."""


def drivers(story: Story, pictures: Mapping[str, Picture]) -> dict[str, list[tuple[str, float]]]:
    """Return for each picture the uncertain rows that move its number most."""
    found: dict[str, list[tuple[str, float]]] = {}
    for blind, given in ((False, story.given), (True, story.given_blind)):
        asked = {n: p.about for n, p in pictures.items() if p.about is not None and p.blind == blind}
        if given is not None and asked:
            ranked = Drivers(given)
            found |= {n: ranked.top(values) for n, values in asked.items() if values.shape[-1] == given.draws}
    return found


def _answers(story: Story, pictures: Mapping[str, Picture], moved: Moved, marks: Marks) -> str:
    """Return the answers before everything else, each with the way to its reason."""
    told = answers.answers(story, pictures)
    if not told:
        return ""
    parts = []
    for asks, words in (("buyer", "If you must order chips"), ("analyst", "If you must say what a report means")):
        cards = "".join(
            f'<div><dt>{escape(a.question)}</dt><dd>{escape(a.text)}'
            f'{marks.html(name for name, _ in list(moved.get(a.picture, ()))[:3])} <a class="why" '
            f'href="#{a.place if a.picture not in pictures else "fig-" + a.picture}">why</a></dd></div>'
            for a in told if a.asks == asks)
        parts.append(f'<h3>{words}</h3><dl class="answers">{cards}</dl>' if cards else "")
    return f'<section id="answers"><h2>In short</h2>{"".join(parts)}</section>'


def _document(story: Story, body: str, specs: Mapping[str, Any]) -> str:
    data = json.dumps(
        plain({"config": CONFIG, "charts": specs}), ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    data = data.replace("</", "<\\/").replace("<!--", "<\\u0021--")
    code = (
        '(function () {\n"use strict";\n' + (HERE / "draw.js").read_text(encoding="utf-8")
        + (HERE / "page.js").read_text(encoding="utf-8") + bundle.script() + "\n})();"
    )
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    style = (HERE / "page.css").read_text(encoding="utf-8")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>chipcast: {escape(story.scenario)}, as of "
        f"{escape(story.as_of)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f'{body}\n<script type="application/json" '
        f'id="specs">{data}</script>\n<script>{code}</script>\n</body>\n</html>\n'
    )


def _header(story: Story, stretches: Iterable[Section]) -> str:
    facts = {
        "scenario": story.scenario,
        "known by": day_words(story.as_of),
        "draws": f"{story.draws:,}",
        "seed": str(story.seed),
        **({"version": story.version} if story.version else {}),
    }
    cells = "".join(f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items())
    links = [("answers", "In short")] + ([("claims", "The claims, checked")] if story.claims else [])
    links += [(s.id, s.title) for s in stretches]
    links += [("method", "Method"), ("references", "Sources"), ("numbers", "Every number used")]
    menu = "".join(f'<li><a href="#{a}">{escape(t)}</a></li>' for a, t in links)
    return (
        '<header class="top"><h1>From wafer to token</h1>'
        '<p class="lead">What a chip line without EUV can really make, what it costs, who may buy what, what the '
        "chips deliver, "
        f"who hoards, and what to order: computed from what was known by {escape(day_words(story.as_of))}.</p>"
        f'<dl class="facts">{cells}</dl>'
        "<p>How to read it: every result is a median with the 5th and the 95th percentile of the draws in brackets, "
        "so nine draws of "
        "ten lie between them. A mark [n] leads to the source of a number, or to the numbers it was computed from.</p>"
        f"<nav><ol>{menu}</ol></nav><noscript><p>Pictures need scripts; every number also stands in a "
        f"table.</p></noscript></header>"
    )


def badge(verdict: str) -> str:
    """Return a verdict as a coloured label with a sign that does without colour."""
    return (
        f'<span class="badge" style="background:{VERDICT_COLOURS.get(verdict, "#5b6675")}">'
        f"{VERDICT_SIGNS.get(verdict, '')} {escape(verdict)}</span>"
    )


def _claims(story: Story, picture: Picture | None, marks: Marks, specs: dict[str, Any]) -> str:
    head = table.claims(story.claims)
    rows = []
    for claim, cells in zip(story.claims, head.rows, strict=True):
        said = marks.html(_news_keys(story, claim))
        own = marks.html([*map(str, claim.get("rests_on", ())), *CLAIM_STATIONS.get(str(claim["id"]), ())])
        name, words, computed, verdict, why = cells
        rows.append(
            f'<tr id="claim-{escape(name)}"><td>{escape(name)}</td><td data-head="what was '
            f'said">{escape(words)}{said}</td>'
            f'<td data-head="what chipcast computes">{escape(computed)}{own}</td><td>{badge(verdict)}</td>'
            f'<td data-head="why">{escape(why)}</td></tr>'
        )
    count = {v: sum(1 for c in story.claims if c["verdict"] == v) for v in VERDICT_COLOURS}
    chips = "".join(f"<li>{badge(v)} {n}</li>" for v, n in count.items() if n)
    columns = "".join(f"<th>{escape(c)}</th>" for c in head.columns)
    shown = figure(picture, marks, specs, story) if picture else ""
    return (
        f'<section id="claims"><h2>The claims, checked</h2><p>Each sentence of the news item is a number somebody '
        f"plans with. Each is tested "
        'against what the line computes without that sentence, by one <a href="#method">rule</a>.</p>'
        f'<ul class="count">{chips}</ul><div class="scroll"><table '
        f'class="claims"><thead><tr>{columns}</tr></thead><tbody>{"".join(rows)}'
        f"</tbody></table></div>{shown}</section>"
    )


def _news_keys(story: Story, claim: Mapping[str, Any]) -> list[str]:
    """Return the sources that said it: those stated, else those of the reports of the claim's own origin."""
    if "marks" in claim or story.given is None:
        return [str(k) for k in claim.get("marks", ())]
    told = {r["id"]: r["origin"] for r in read_table("claims")}
    origin = told.get(str(claim["id"]), "")
    return list(dict.fromkeys(r["source"] for r in story.given.catalog.rows("reports") if r["origin"] == origin))


CLAIM_STATIONS = {
    "yield-doubled": ("fab", "evidence"),
    "line-profitable": ("fab", "ownership"),
    "no-euv": ("fab",),
    "plan-400k": ("fab", "evidence"),
    "h20-million": ("market", "chip"),
    "nvidia-dominates": ("market", "tokens"),
    "hoard": ("market", "rules"),
    "h20-serves-r1": ("tokens", "chip", "ownership"),
    "small-firms": ("tokens", "chip", "buyer"),
    "stumble-910b": ("cluster", "chip"),
    "scramble": ("market", "rules"),
    "buy-local": ("market", "rules"),
    "sanctions-speed": ("fab", "rules"),
}
"""Stations whose numbers a claim is computed from."""


def _section(part: Section, marks: Marks, specs: dict[str, Any], story: Story, moved: Moved) -> str:
    rows = dict.fromkeys(name for p in part.pictures for name, _ in list(moved.get(p.id, ()))[:2])
    lead = marks.html([*rows, *part.marks])
    figures = "".join(figure(p, marks, specs, story, moved.get(p.id, ())) for p in part.pictures)
    tables = "".join(table_html(t, marks) for t in part.tables)
    return (
        f'<section id="{part.id}"><h2>{escape(part.title)}</h2><p>{escape(part.text)}{lead}</p>'
        f"{figures}{tables}</section>"
    )


def _method(story: Story) -> str:
    return (
        '<section id="method"><h2>Method</h2><p>Every uncertain number has a law and a stream of random numbers of '
        "its own; one run draws all of "
        f"them {story.draws:,} times and computes the whole line for each draw, from wafer to order. Nothing that "
        f"became known after "
        f"{escape(day_words(story.as_of))} is used. What-ifs share their draws, so that a difference is the "
        f"effect and not the "
        f"luck. Ranges marked "
        "<em>assumed</em> are ours, each with its reason.</p>"
        f'<div class="rule"><strong>How a verdict is reached.</strong> '
        f"{escape(RULE)}</div><p>{escape(NO_LAWYER)}</p></section>"
    )


def _references(marks: Marks) -> str:
    for row in marks.rows.values():
        marks.number(row.source)
    for key in STATIONS:
        marks.number(key)
    return f'<section id="references"><h2>Sources</h2><ol class="refs">{marks.references()}</ol></section>'


def _appendix(marks: Marks) -> str:
    parts = []
    total = 0
    for key, title in STATIONS.items():
        rows = marks.groups[key]
        if not rows:
            continue
        total += len(rows)
        lines = "".join(_number(r, marks) for r in rows)
        heads = "".join(f"<th>{h}</th>" for h in NUMBER_HEADS)
        parts.append(
            f'<details id="app-{key}"><summary>{escape(title)} <span>({len(rows)} numbers)</span></summary>'
            f'<div class="scroll"><table class="numbers"><thead><tr>{heads}</tr></thead>'
            f"<tbody>{lines}</tbody></table></div></details>"
        )
    if not total:
        return ""
    return (
        f'<section id="numbers"><h2>Every number used</h2><p>All {total} numbers this run was given, by station; '
        f"search the page for a name. "
        "A range reads: 5th percentile, middle, 95th percentile.</p>" + "".join(parts) + "</section>"
    )


def _number(row: Row, marks: Marks) -> str:
    value = law_words(row.law)
    n = marks.number(row.source) if row.source not in STATIONS else None
    source = f'<a href="#ref-{n}">[{n}]</a>' if n and row.source != "assumed" else escape(row.source)
    when = row.known_by or (row.as_of if row.kind == "assumed" else "")
    return (
        f"<tr "
        f'id="{anchor(row.name)}"><td>{escape(row.name)}</td><td>{escape(value)}</td><td>{escape(row.unit)}</td><td>{escape(row.kind)}</td>'
        f"<td>{source}</td><td>{escape(when)}</td><td>{escape(row.why)}</td></tr>"
    )


def _footer(story: Story) -> str:
    return (
        f"<footer><p>chipcast {escape(story.version)}: scenario {escape(story.scenario)}, information date "
        f"{escape(story.as_of)}, "
        f"{story.draws:,} draws, seed {story.seed}. The same scenario, seed and version give the same "
        f"page.</p></footer>"
    )


__all__ = ["RULE", "badge", "render", "source_words"]
