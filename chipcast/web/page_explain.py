"""What must be true for a claim to be true."""

from __future__ import annotations

from typing import Any

from chipcast.base.catalog import read_table
from chipcast.base.summary import span
from chipcast.report.form_rows import strip_scale, strips
from chipcast.report.record import Panel, Picture, Table
from chipcast.report.theme import VERDICT_COLOURS, quantity_name
from chipcast.web.ask import Question
from chipcast.web.form import Answers, Field, Given, Page, make
from chipcast.web.questions import Explain
from chipcast.web.show import View, said

DRAWS = 1500
"""Draws of the page."""

LOG_FROM = 30.0
"""A quantity whose ends lie farther apart than this factor is drawn on a logarithmic strip. [1]"""


def questions(given: Given) -> dict[str, Question]:
    """Return the claim that was written, else the one that was chosen."""
    return {"explain": make(Explain, given, "scenario", claim=given.get("own") or given.get("claim"), draws=DRAWS)}


def view(answers: Answers, given: Given) -> View:
    """Return the probability, what must hold, and what would settle it."""
    a = answers["explain"]
    lines = [_odds(a["odds"]) if "odds" in a else "", a.get("why", "")]
    if a.get("by_reading"):
        lines.append("Probability by what the word yield means: "
                     + ", ".join(f"{k} {v:.0%}" for k, v in a["by_reading"].items()))
    if a.get("stories"):
        lines.append("How it came about, where it holds (in all draws): " + ", ".join(
            f"{k} {v['where_it_holds']:.0%} ({v['all_draws']:.0%})" for k, v in a["stories"].items()))
    settle = a.get("settle_by")
    if settle:
        lines.append(f"Weakest link: {quantity_name(a['weakest_link'])}; measuring {_plain(settle['name'])} would "
                     f"settle {settle['share_of_doubt']:.0%} of the doubt")
    else:
        lines.append("It holds in all draws or in none: nothing else has to be true")
    verdict = a.get("verdict")
    rows = a.get("must_hold") or []
    return View(headline=f"{str(a['claim']).rstrip('.')}: probability {a['probability']:.0%}",
                badge=(verdict, VERDICT_COLOURS[verdict]) if verdict else None, lines=said(lines),
                pictures=(_strips(rows),) if rows else (), scenario=given.get("scenario", "february-2025"),
                tables=tuple(t for t in (_must(rows), _together(a.get("together") or []), _implied(
                    a.get("implied") or [])) if t.rows),
                foot=f"{DRAWS:,} draws that never saw a report of the news item itself.")


def _plain(name: str) -> str:
    return " in ".join(name.split(".", 1)).replace("_", " ") if name[-4:].isdigit() else quantity_name(name)


def _odds(o: Any) -> str:
    before, after, ratio = o["before"], o["after"], o["ratio"]
    if None in (before, after, ratio):  # odds of what is certain cannot be written as a number
        return "Certain, or nearly so, before the reports or after them"
    way = f"for it by a factor {ratio:.1f}" if ratio >= 1 else f"against it by a factor {1 / max(ratio, 1e-9):.1f}"
    return f"Odds {before:.2f} before any report, {after:.2f} after the others: they speak {way}"


def _must(rows: list[Any]) -> Table:
    return Table(id="must", title="What must hold where it is true", rows=tuple(
        (quantity_name(r["name"]), r["unit"], span(r["interval"]), span(r["all_draws"]), f"{r['shift_sd']:+.2f}",
         f"{r['fits']:.0%}") for r in rows),
        columns=("quantity", "unit", "where it holds", "all draws", "shift, sd", "draws that fit"))


def _together(rows: list[Any]) -> Table:
    return Table(id="together", title="What must hold together", rows=tuple(
        (quantity_name(r["first"]), quantity_name(r["second"]),
         f"{r['rank_correlation']:+.2f} ({r['in_all_draws']:+.2f})", span(r["second_where_first_is_low"]),
         span(r["second_where_first_is_high"])) for r in rows),
        columns=("first", "second", "rank correlation (all draws)", "second where first is low",
                 "second where first is high"))


def _implied(rows: list[Any]) -> Table:
    return Table(id="implied", title="What it would mean", rows=tuple(
        (_plain(r["name"]), r["unit"], span(r["interval"]), span(r["all_draws"])) for r in rows),
        columns=("quantity", "unit", "where it holds", "all draws"))


def _strips(found: list[Any]) -> Picture:
    rows = []
    for r in found:
        here, everywhere = r["interval"], r["all_draws"]
        low, high = everywhere["p05"], everywhere["p95"]
        place = strip_scale(low, high, low > 0 and high / low > LOG_FROM)
        rows.append({"name": quantity_name(r["name"]), "before": place(everywhere["p50"]), "low": place(here["p05"]),
                     "mid": place(here["p50"]), "high": place(here["p95"]), "text": span(here)})
    most = max(found, key=lambda r: abs(r["shift_sd"]))
    way = "higher" if most["shift_sd"] > 0 else "lower"
    return Picture(id="must-hold", title=f"Most of all {quantity_name(most['name'])} must be {way}, by "
                   f"{abs(most['shift_sd']):.1f} standard deviations",
                   note="Grey strip and tick: all draws and their median. Blue: the draws in which the claim holds, 90 "
                   "percent and median.", rows=rows, wide=True,
                   panels=(Panel(spec=strips(rows, "5th (0) to 95th percentile (1) of all draws")),))


PAGE = Page(
    path="/explain", title="What must be true?", asks="analyst", questions=questions, view=view, takes="10 to 30 s",
    lead="A claim turned around: how likely it is without its own reports, what must hold with it, and which "
    "measurement would settle it.",
    fields=(Field(name="claim", label="A claim of the news", kind="select", default="plan-400k", options=tuple(
                (r["id"], r["said"]) for r in read_table("claims"))),
            Field(name="own", label="or one of your own", hint="NAME OP VALUE, such as 910c.yield >= 40%"),
            Field(name="scenario", label="World", kind="select", default="february-2025", options=(
                ("february-2025", "February 2025"), ("latest", "everything known")))))
