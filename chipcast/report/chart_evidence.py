"""Pictures of evidence: prior against posterior, and the claims with their verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from chipcast.base.summary import short
from chipcast.report.form import AXIS_PX, base, colour, sig
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import ACCENT, INK, SOFT, VERDICT_COLOURS, quantity_name, readable

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
        label = quantity_name(str(e["name"]))
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
    order = [str(r["name"]) for r in rows]
    y: Spec = {
        "field": "name",
        "type": "nominal",
        "sort": order,
        "axis": {"title": None, "labelLimit": 260, "grid": False, "labelColor": INK},
    }
    x: Spec = {"type": "quantitative", "scale": {"domain": [-0.25, 1.25], "clamp": True}}
    axis = {"title": "5th (0) to 95th percentile (1) of the prior", "values": [0, 0.5, 1], "grid": True}
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
    moved = sum(1 for e in entries if float(e.get("contraction", 0)) >= 0.2)
    title = f"The reports narrow {moved} of {len(entries)} hidden quantities by a fifth or more"
    if ranked and float(ranked[0].get("contraction", 0)) > 0:
        top = ranked[0]
        title += f"; most of all {quantity_name(str(top['name']))} ({float(top['contraction']):.0%})"
    return Picture(
        id="posterior",
        title=title,
        panels=(Panel(spec=base(AXIS_PX + 28 * len(rows), layers, rows)),),
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
