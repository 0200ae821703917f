"""Pictures of evidence: the claims with their verdicts, prior against posterior, what must be true together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.base.summary import short
from chipcast.base.types import Array
from chipcast.evidence.explain import explain
from chipcast.fab.record import Line
from chipcast.report.chart_line import plan_year
from chipcast.report.form import AXIS_PX, base, colour, layer, names, number, sig, tips
from chipcast.report.form_plane import cell_map, cells, dots, plain_or_log
from chipcast.report.form_rows import strip_scale, strips
from chipcast.report.mark import station_of
from chipcast.report.record import Panel, Picture
from chipcast.report.theme import ACCENT, VERDICT_COLOURS, quantity_name, readable, wrapped

MOST = 14
"""Quantities shown; the others stand in the table of data."""

DOTS = 400
"""Draws shown as dots on a plane. [draws]"""


def prior_posterior(entries: Sequence[Mapping[str, Any]], ess: float | None = None) -> Picture:
    """Draw what the reports changed: each quantity on the scale of its prior interval."""
    ranked = sorted(entries, key=lambda e: -float(e.get("contraction", 0)))
    rows: list[dict[str, Any]] = []
    for e in ranked[:MOST]:
        before, after = e["prior"], e["posterior"]
        place = _scale(before)
        unit = "" if e.get("unit", "1") == "1" else f" {e['unit']}"
        rows.append({"name": wrapped(quantity_name(str(e["name"])), 16), **_place(place, after),
                     "before": sig(place(before["p50"])), "contraction": sig(float(e.get("contraction", 0))),
                     "text": _words(after, unit)})
    moved = sum(1 for e in entries if float(e.get("contraction", 0)) >= 0.2)
    title = f"The reports narrow {moved} of {len(entries)} hidden quantities by a fifth or more"
    if ranked and float(ranked[0].get("contraction", 0)) > 0:
        title += f"; most of all {quantity_name(str(ranked[0]['name']))} ({float(ranked[0]['contraction']):.0%})"
    return Picture(
        id="posterior", title=title,
        panels=(Panel(spec=strips(rows, "5th (0) to 95th percentile (1) of the prior")),),
        rows=[{"name": e["name"], "unit": e.get("unit", ""), "contraction": e.get("contraction", ""),
               **{f"{k}_{q}": e[k][q] for k in ("prior", "posterior") for q in ("p05", "p50", "p95")}} for e in ranked],
        note="Grey: the range assumed before the reports, tick at its median. Blue: what is left after them, "
        "median and 90 percent. Where both agree, the answer rests on the assumption"
        + (f". Effective sample size {ess:,.0f} draws." if ess else "."),
        legend=(("before the reports", "#c9d0d9"), ("after the reports", ACCENT)),
        marks=tuple(str(e["name"]) for e in ranked[:3]) + ("evidence",))


def _scale(span: Mapping[str, float]) -> Any:
    return strip_scale(span["p05"], span["p95"], span["p05"] > 0 and span["p95"] / span["p05"] > 1.5)


def _place(place: Any, span: Mapping[str, float]) -> dict[str, float]:
    return {k: sig(place(span[q])) for k, q in (("low", "p05"), ("mid", "p50"), ("high", "p95"))}


def _words(span: Mapping[str, float], unit: str) -> str:
    return f"{short(span['p50'])} ({short(span['p05'])} to {short(span['p95'])}){unit}"


def claims(entries: Sequence[Mapping[str, Any]]) -> Picture:
    """Draw all claims by the probability that they hold, coloured by verdict."""
    rows: list[dict[str, Any]] = []
    for c in entries:
        chance = c.get("probability")
        known = isinstance(chance, float | int) and math.isfinite(chance)
        rows.append({"claim": str(c["id"]).replace("-", " "), "verdict": str(c["verdict"]),
                     "why": readable(str(c.get("why", ""))), "known": known,
                     "probability": sig(float(chance), 3) if known and chance is not None else 0.5})
    shown = [r for r in rows if r["verdict"] in VERDICT_COLOURS]
    order = [r["claim"] for r in rows]
    place = {"y": names("claim", order, limit=160, grid=True, scale={"domain": order}),
             "x": number("probability", scale={"domain": [0, 1]}, axis={
                 "title": "share of draws in which the claim holds", "format": ".0%", "tickCount": 5, "grid": False}),
             "color": colour("verdict", VERDICT_COLOURS)}
    layers = [layer("point", {**place, "tooltip": tips("claim", "verdict", "probability", "why")}, size=150, opacity=1)]
    for side, part in (("left", [r for r in shown if r["probability"] < 0.6]),
                       ("right", [r for r in shown if r["probability"] >= 0.6])):
        layers.append(layer("text", {**place, "text": {"field": "verdict"}}, part, align=side,
                            dx=11 if side == "left" else -11, fontSize=11.5))
    count = {v: sum(1 for r in rows if r["verdict"] == v) for v in VERDICT_COLOURS}
    return Picture(
        id="claims", rows=rows, marks=(),
        title=f"Of {len(rows)} claims of the news item: " + ", ".join(f"{n} {v}" for v, n in count.items() if n),
        panels=(Panel(spec=base(AXIS_PX + 24 * len(rows), layers, shown)),),
        note="Each claim against the draws computed without its own origin: how often it holds, and the verdict "
        "by the rule in the section on method, which also asks whether the reports or only the assumptions decide.")


def must_hold(line: Line, given: Given) -> Picture | None:
    """Draw what must be so in the draws in which the line reaches the reported plan, and what would settle it."""
    year, months, plan = plan_year(line, given)
    if not plan:
        return None
    goal = sum(v for v, _ in plan.values())
    made: Array = line.packages[:, months].sum(axis=(0, 1))
    mask = made >= goal
    chips = given.catalog.chip_ids()
    rows_ = [n for n, r in given.rows.items() if not r.law.fixed and station_of(n, chips) == "fab"]
    found = explain(mask, {n: given[n] for n in rows_}, {n: given.rows[n].unit for n in rows_})
    if not found["must_hold"]:
        return None
    rows: list[dict[str, Any]] = []
    for e in found["must_hold"]:
        every, inside = e["all_draws"], e["interval"]
        place = _scale(every)
        unit = "" if e["unit"] == "1" else f" {e['unit']}"
        rows.append({"name": wrapped(quantity_name(str(e["name"])), 16), **_place(place, inside),
                     "before": sig(place(every["p50"])), "text": _words(inside, unit),
                     "all_draws": _words(every, unit), "shift_sd": sig(e["shift_sd"], 3)})
    panels = [Panel(title="Each quantity alone", spec=strips(rows, "5th (0) to 95th percentile (1) of all draws"))]
    first_two = [str(e["name"]) for e in found["must_hold"][:2]]
    more: list[dict[str, Any]] = []
    if len(first_two) == 2:
        joint, more = _joint(given, first_two, mask)
        panels += joint
    settle, first = found["settle_by"], rows[0]
    title = (f"{found['probability']:.0%} of the draws reach the plan of {goal:,.0f} in {year}; in those, "
             f"{first['name'].replace(chr(10), ' ')} is {first['text']} instead of {first['all_draws']}, and knowing "
             f"{quantity_name(str(settle['name']))} would settle {settle['share_of_doubt']:.0%} of the doubt")
    return Picture(
        id="must-hold", title=title, panels=tuple(panels), rows=[*rows, *more],
        note="What must be true for the plan to be true. Grey: all draws, tick at their median. Blue: only the "
        "draws that reach the plan, median and 90 percent. Quantities that hardly differ are left out. The two "
        f"that differ most stand together on the right: {min(DOTS, given.draws)} draws as dots, and the share of "
        "draws that reach the plan in each cell.",
        legend=(("all draws, or draws that miss it", "#c9d0d9"), ("draws that reach the plan", ACCENT)),
        marks=tuple(str(e["name"]) for e in found["must_hold"][:3]) + ("evidence",), about=made)


def _joint(given: Given, pair: Sequence[str], mask: Any) -> tuple[list[Panel], list[dict[str, Any]]]:
    """Return two panels on the plane of two quantities: draws that reach the goal, and its chance by cell."""
    a, b = (given[n] for n in pair)
    words = []
    for n in pair:
        unit = given.rows[n].unit
        words.append(quantity_name(n) + ("" if unit == "1" else f", {unit}"))
    tones = {"misses": "#c9d0d9", "reaches": ACCENT}
    shown = [{"x": sig(x), "y": sig(y), "plan": "reaches" if m else "misses"}
             for x, y, m in zip(a[:DOTS], b[:DOTS], mask[:DOTS], strict=True)]
    low, high = np.quantile(a, (0.01, 0.99)), np.quantile(b, (0.01, 0.99))
    shown = [r for r in shown if low[0] <= r["x"] <= low[1] and high[0] <= r["y"] <= high[1]]
    area = cells(a, b, mask)
    (x_scale, x_axis), (y_scale, y_axis) = (plain_or_log(np.array([r[k] for r in shown])) for k in ("x", "y"))
    return [
        Panel(title="The two that differ most, draw by draw", spec=dots(
            shown, x_title=words[0], y_title=words[1], by="plan", colours=tones, opacity=0.8, size=22, height=290,
            x_axis=x_axis, y_axis=y_axis, x_scale=x_scale, y_scale=y_scale)),
        Panel(title="Chance of the plan, by both", spec=cell_map(area, x_title=words[0], y_title=words[1]))], [
        {"map": f"{pair[0]} x {pair[1]}", **c} for c in area]
