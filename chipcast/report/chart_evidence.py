"""Pictures of evidence: prior against posterior, and the claims with their verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from chipcast.base.given import Given
from chipcast.base.summary import short
from chipcast.base.types import Array
from chipcast.evidence.explain import explain
from chipcast.fab.record import Line
from chipcast.report.chart_line import plan_year
from chipcast.report.form import AXIS_PX, base, colour, sig
from chipcast.report.mark import station_of
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import ACCENT, INK, SOFT, VERDICT_COLOURS, quantity_name, readable, wrapped

MOST = 14
"""Quantities shown; the others stand in the table of data."""


def prior_posterior(entries: Sequence[Mapping[str, Any]], ess: float | None = None) -> Picture:
    """Draw what the reports changed: each quantity on the scale of its prior interval."""
    ranked = sorted(entries, key=lambda e: -float(e.get("contraction", 0)))
    rows: list[dict[str, Any]] = []
    for e in ranked[:MOST]:
        before, after = e["prior"], e["posterior"]
        log = before["p05"] > 0 and before["p95"] / before["p05"] > 1.5
        place = _scale(before["p05"], before["p95"], log)
        unit = "" if e.get("unit", "1") == "1" else f" {e['unit']}"
        label = wrapped(quantity_name(str(e["name"])))
        rows.append(
            {
                "name": label,
                "low": sig(place(after["p05"])),
                "mid": sig(place(after["p50"])),
                "high": sig(place(after["p95"])),
                "before": sig(place(before["p50"])),
                "contraction": sig(float(e.get("contraction", 0))),
                "text": f"{short(after['p50'])} ({short(after['p05'])} to {short(after['p95'])}){unit}",
            }
        )
    moved = sum(1 for e in entries if float(e.get("contraction", 0)) >= 0.2)
    title = f"The reports narrow {moved} of {len(entries)} hidden quantities by a fifth or more"
    if ranked and float(ranked[0].get("contraction", 0)) > 0:
        top = ranked[0]
        title += f"; most of all {quantity_name(str(top['name']))} ({float(top['contraction']):.0%})"
    return Picture(
        id="posterior",
        title=title,
        panels=(Panel(spec=_strips(rows, "5th (0) to 95th percentile (1) of the prior")),),
        rows=[
            {
                "name": e["name"],
                "unit": e.get("unit", ""),
                "contraction": e.get("contraction", ""),
                **{f"{k}_{q}": e[k][q] for k in ("prior", "posterior") for q in ("p05", "p50", "p95")},
            }
            for e in ranked
        ],
        note="Grey: the range assumed before the reports, tick at its median. Blue: what is left after them, "
        "median and 90 percent. Where both agree, the answer rests on the assumption"
        + (f". Effective sample size {ess:,.0f} draws." if ess else "."),
        legend=(("before the reports", "#c9d0d9"), ("after the reports", ACCENT)),
        marks=("fab", "evidence"),
    )


def _strips(rows: Sequence[Mapping[str, Any]], axis_title: str) -> Spec:
    """Draw each quantity on the scale of its range before: grey strip, tick, then what is left of it."""
    order = [str(r["name"]) for r in rows]
    y: Spec = {
        "field": "name",
        "type": "nominal",
        "sort": order,
        "axis": {
            "title": None,
            "labelLimit": 260,
            "grid": False,
            "labelColor": INK,
            "labelExpr": "split(datum.label, '\\n')",
        },
    }
    x: Spec = {"type": "quantitative", "scale": {"domain": [-0.25, 1.25], "clamp": True}}
    axis = {"title": axis_title, "values": [0, 0.5, 1], "grid": True}
    layers: list[Spec] = [
        {
            "mark": {"type": "bar", "color": "#e3e8ee", "height": {"band": 0.7}},
            "encoding": {"y": y, "x": {**x, "datum": 0}, "x2": {"datum": 1}},
        },
        {
            "mark": {"type": "tick", "color": SOFT, "thickness": 1.5, "size": 16},
            "encoding": {"y": y, "x": {**x, "field": "before", "axis": axis}},
        },
        {
            "mark": {"type": "rule", "strokeWidth": 4, "color": ACCENT, "opacity": 0.7},
            "encoding": {"y": y, "x": {**x, "field": "low", "axis": axis}, "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "size": 55, "color": ACCENT, "opacity": 1},
            "encoding": {
                "y": y,
                "x": {**x, "field": "mid", "axis": axis},
                "tooltip": [{"field": f, "type": "nominal"} for f in ("name", "text", "contraction")],
            },
        },
    ]
    return base(AXIS_PX + 34 * len(rows), layers, rows)


def _scale(low: float, high: float, log: bool) -> Any:
    if log:
        return lambda v: (math.log(max(v, 1e-300)) - math.log(low)) / (math.log(high) - math.log(low))
    return lambda v: (v - low) / (high - low) if high > low else 0.5


def claims(entries: Sequence[Mapping[str, Any]]) -> Picture:
    """Draw all claims by the probability that they hold, coloured by verdict."""
    rows: list[dict[str, Any]] = []
    for c in entries:
        chance = c.get("probability")
        known = isinstance(chance, float | int) and math.isfinite(chance)
        rows.append(
            {
                "claim": str(c["id"]).replace("-", " "),
                "verdict": str(c["verdict"]),
                "why": readable(str(c.get("why", ""))),
                "probability": sig(float(chance), 3) if known and chance is not None else 0.5,
                "known": known,
            }
        )
    shown = [r for r in rows if r["verdict"] in VERDICT_COLOURS]
    order = [r["claim"] for r in rows]
    y: Spec = {
        "field": "claim",
        "type": "nominal",
        "sort": order,
        "scale": {"domain": order},
        "axis": {"title": None, "grid": True, "labelColor": INK, "labelLimit": 160},
    }
    x: Spec = {
        "field": "probability",
        "type": "quantitative",
        "scale": {"domain": [0, 1]},
        "axis": {"title": "share of draws in which the claim holds", "format": ".0%", "tickCount": 5, "grid": False},
    }
    tint = colour("verdict", VERDICT_COLOURS)
    layers: list[Spec] = [
        {
            "mark": {"type": "point", "size": 150, "opacity": 1},
            "encoding": {
                "x": x,
                "y": y,
                "color": tint,
                "tooltip": [{"field": f, "type": "nominal"} for f in ("claim", "verdict", "probability", "why")],
            },
        }
    ]
    for side, part in (
        ("left", [r for r in shown if r["probability"] < 0.6]),
        ("right", [r for r in shown if r["probability"] >= 0.6]),
    ):
        layers.append(
            {
                "data": {"values": part},
                "mark": {"type": "text", "align": side, "dx": 11 if side == "left" else -11, "fontSize": 11.5},
                "encoding": {"x": x, "y": y, "text": {"field": "verdict"}, "color": tint},
            }
        )
    count = {v: sum(1 for r in rows if r["verdict"] == v) for v in VERDICT_COLOURS}
    parts = [f"{n} {v}" for v, n in count.items() if n]
    return Picture(
        id="claims",
        title=f"Of {len(rows)} claims of the news item: {', '.join(parts)}",
        panels=(Panel(spec=base(AXIS_PX + 24 * len(rows), layers, shown)),),
        rows=rows,
        note="Each claim against the draws computed without its own origin: how often it holds, and the verdict "
        "by the rule in "
        "the section on method, which also asks whether the reports or only the assumptions decide.",
        marks=(),
    )


def must_hold(line: Line, given: Given) -> Picture | None:
    """Draw what must be so in the draws in which the line reaches the reported plan, and what would settle it."""
    year, months, plan = plan_year(line, given)
    if not plan:
        return None
    goal = sum(v for v, _ in plan.values())
    made: Array = line.packages[:, months].sum(axis=(0, 1))
    mask = made >= goal
    chips = given.catalog.chip_ids()
    names = [n for n, r in given.rows.items() if not r.law.fixed and station_of(n, chips) == "fab"]
    found = explain(mask, {n: given[n] for n in names}, {n: given.rows[n].unit for n in names})
    if not found["must_hold"]:
        return None
    rows: list[dict[str, Any]] = []
    for e in found["must_hold"]:
        every, inside = e["all_draws"], e["interval"]
        place = _scale(every["p05"], every["p95"], every["p05"] > 0 and every["p95"] / every["p05"] > 1.5)
        unit = "" if e["unit"] == "1" else f" {e['unit']}"
        rows.append(
            {
                "name": wrapped(quantity_name(str(e["name"]))),
                "low": sig(place(inside["p05"])),
                "mid": sig(place(inside["p50"])),
                "high": sig(place(inside["p95"])),
                "before": sig(place(every["p50"])),
                "text": f"{short(inside['p50'])} ({short(inside['p05'])} to {short(inside['p95'])}){unit}",
                "all_draws": f"{short(every['p50'])} ({short(every['p05'])} to {short(every['p95'])}){unit}",
                "shift_sd": sig(e["shift_sd"], 3),
            }
        )
    settle = found["settle_by"]
    first = rows[0]
    title = (
        f"{found['probability']:.0%} of the draws reach the plan of {goal:,.0f} in {year}; in those, "
        f"{first['name'].replace(chr(10), ' ')} is {first['text']} "
        f"instead of {first['all_draws']}, and knowing {quantity_name(str(settle['name']))} would settle "
        f"{settle['share_of_doubt']:.0%} of the doubt"
    )
    return Picture(
        id="must-hold",
        title=title,
        panels=(Panel(spec=_strips(rows, "5th (0) to 95th percentile (1) of all draws")),),
        rows=rows,
        note="What must be true for the plan to be true. Grey: all draws, tick at their median. Blue: only the "
        "draws that reach the "
        "plan, median and 90 percent. Quantities that hardly differ are left out.",
        legend=(("all draws", "#c9d0d9"), ("draws that reach the plan", ACCENT)),
        marks=("fab", "evidence"),
    )
