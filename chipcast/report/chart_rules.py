"""Pictures of the rules: the plane of throughput and density, the calendar of who may buy what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.report.form import base, colour, sig, tiles
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import SOFT, STATUS_COLOURS, STATUS_NAMES, chip_name, segment_name
from chipcast.rules.record import CN_WORDS, STATUS_OF, STATUS_ORDER, US_WORDS, Verdicts

LEVELS = {"US-3A090A-2023": "a", "US-3A090B-2023": "b"}
"""Rules whose tests speak of throughput and density only: the lines of the plane."""


def plane_lines(given: Given) -> list[dict[str, Any]]:
    """Return the zones of the plane as rectangles, read from the tests of the rules known by the date."""
    out: list[dict[str, Any]] = []
    for row in given.catalog.rows("rules"):
        name = LEVELS.get(row["rule_id"])
        if not name:
            continue
        words = row["name"].replace("ECCN ", "").partition(" (")[0]
        zone = f"{words}: licence" if name == "a" else f"{words}: licence or notice"
        for part in re.split(r"\bor\b", row["test"]):
            edge = {"tpp": 0.0, "pd": 0.0, "right": np.inf, "top": np.inf}
            for low, what in re.findall(r"(\d+\.?\d*) <= (tpp|pd)", part):
                edge[what] = float(low)
            for what, sign, value in re.findall(r"(tpp|pd) (>=|<) (\d+\.?\d*)", part):
                edge[what if sign == ">=" else {"tpp": "right", "pd": "top"}[what]] = float(value)
            first = not any(z["zone"] == zone for z in out)
            out.append({"zone": zone, "words": zone if first else "", **edge})
    return out


def plane(measures: Sequence[Mapping[str, Any]], given: Given, as_of: str) -> Picture:
    """Draw chips by total processing performance and performance density, coloured by status on the date."""
    rows: list[dict[str, Any]] = [
        {
            "chip": str(m.get("name") or chip_name(str(m["chip"]))),
            "tpp": sig(float(m["tpp"])),
            "pd": sig(float(m["performance_density"])),
            "status": STATUS_NAMES[str(m["status"])],
            "why": str(m.get("sentence", m.get("rule_id", ""))),
        }
        for m in measures
        if m.get("tpp") and m.get("performance_density")
    ]
    names: dict[tuple[float, float, str], list[str]] = {}
    for r in rows:
        names.setdefault((r["tpp"], r["pd"], r["status"]), []).append(r["chip"])
    labels = [{"tpp": t, "pd": d, "chip": ", ".join(n)} for (t, d, _), n in names.items()]
    xs, ys = [r["tpp"] for r in rows], [r["pd"] for r in rows]
    lines = plane_lines(given)
    low_x, top_x = min(xs) / 1.5, max(xs) * 1.7
    low_y, top_y = min([*ys, *(line["pd"] for line in lines if line["pd"] > 0)]) / 1.4, max(ys) * 1.6
    zones = [
        {
            "zone": z["zone"],
            "tpp": z["tpp"],
            "right": min(z["right"], top_x),
            "pd": z["pd"],
            "top": min(z["top"], top_y),
            "words": z["words"],
        }
        for z in lines
    ]
    licence = max((z["tpp"] for z in lines if ".a" in z["zone"]), default=top_x)
    for z in zones:
        if ".a" not in z["zone"]:
            z["right"] = min(z["right"], licence)
        z["pd"], z["tpp"] = max(z["pd"], low_y), max(z["tpp"], low_x)
    used = [s for s in STATUS_ORDER if STATUS_NAMES[s] in {r["status"] for r in rows}]
    tones = {STATUS_NAMES[s]: STATUS_COLOURS[s] for s in used}
    x: Spec = {
        "field": "tpp",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [low_x, top_x], "nice": False},
        "axis": {
            "title": "total processing performance (TPP), dense",
            "format": ",.0f",
            "grid": False,
            "values": [300, 1000, 1600, 2400, 4800, 10000, 20000, 40000],
            "labelOverlap": True,
        },
    }
    y: Spec = {
        "field": "pd",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [low_y, top_y], "nice": False},
        "axis": {
            "title": "performance density, TPP per mm2",
            "grid": False,
            "titleAngle": 0,
            "titleAlign": "left",
            "titleBaseline": "bottom",
            "titleX": -34,
            "titleY": -13,
            "values": [0.5, 1, 1.6, 3.2, 5.92, 10, 20, 40],
            "format": "~g",
        },
    }
    shades = {"3A090.a: licence": "#b5392d", "3A090.b: licence or notice": "#e69f00"}
    layers: list[Spec] = [
        {
            "data": {"values": zones},
            "mark": {"type": "rect", "opacity": 0.09},
            "encoding": {
                "x": {**x, "field": "tpp"},
                "x2": {"field": "right"},
                "y": {**y, "field": "pd"},
                "y2": {"field": "top"},
                "color": colour("zone", {**shades, **tones}),
            },
        },
        {
            "data": {"values": [z for z in zones if z["words"]]},
            "mark": {
                "type": "text",
                "align": "left",
                "baseline": "top",
                "dx": 5,
                "dy": 5,
                "fontSize": 11,
                "color": SOFT,
            },
            "encoding": {"x": {**x, "field": "tpp"}, "y": {**y, "field": "top"}, "text": {"field": "words"}},
        },
        {
            "mark": {"type": "point", "size": 90, "opacity": 0.95, "stroke": "white", "strokeWidth": 1},
            "encoding": {
                "x": x,
                "y": y,
                "color": colour("status", {**shades, **tones}),
                "tooltip": [{"field": f, "type": "nominal"} for f in ("chip", "status", "why")],
            },
        },
        {
            "data": {"values": labels},
            "mark": {"type": "text", "dx": 7, "align": "left", "baseline": "middle", "fontSize": 11},
            "encoding": {"x": x, "y": y, "text": {"field": "chip"}},
        },
    ]
    barred = sum(1 for r in rows if r["status"] not in ("free", "discouraged"))
    free = [r["chip"] for r in rows if r["status"] in ("free", "discouraged")]
    shown = ", ".join(free[:4]) + (" and others" if len(free) > 4 else "")
    title = (
        f"On {as_of}, {barred} of {len(rows)} chips shown may not be shipped freely to China; {shown} may"
        if free
        else f"On {as_of}, none of the {len(rows)} chips shown may be shipped freely to China"
    )
    return Picture(
        id="rule-plane",
        title=title,
        panels=(Panel(spec=base(380, layers, rows)),),
        rows=rows,
        note="Each dot is a chip, coloured by what the published text asks on the date. In the red zone (3A090.a) "
        "a licence is needed, in the amber one (3A090.b) a licence or a notice. Chips under a letter or a "
        "list are decided elsewhere. This says what the text says and is no legal advice.",
        legend=tuple(tones.items()),
        marks=("chip", *_rule_sources(given)),
    )


def _rule_sources(given: Given) -> tuple[str, ...]:
    return tuple(r["source"] for r in given.catalog.rows("rules") if r["rule_id"] in LEVELS)


def calendar(verdicts: Verdicts, segment: str = "platform") -> Picture:
    """Draw the combined status of each chip over time for one class of buyer."""
    s = verdicts.segments.index(segment) if segment in verdicts.segments else 0
    rows = []
    for c, chip in enumerate(verdicts.chips):
        for m, month in enumerate(verdicts.months):
            both = (STATUS_OF[US_WORDS[int(verdicts.us[m, s, c])]], STATUS_OF[CN_WORDS[int(verdicts.cn[m, s, c])]])
            status = max(both, key=STATUS_ORDER.index)
            rows.append(
                {
                    "chip": chip_name(chip),
                    "month": month,
                    "status": STATUS_NAMES[status],
                    "rule": str(verdicts.decided_by[m, s, c]),
                    "prong": str(verdicts.prong[m, s, c]),
                }
            )
    used = {r["status"] for r in rows}
    tones = {STATUS_NAMES[k]: STATUS_COLOURS[k] for k in STATUS_ORDER if STATUS_NAMES[k] in used}
    ends = [r for r in rows if r["month"] == verdicts.months[-1]]
    moved = sum(1 for i, r in enumerate(ends) if r["status"] != rows[i * len(verdicts.months)]["status"])
    title = (
        f"For {segment_name(verdicts.segments[s]).lower()}, {moved} of {len(ends)} chips change their status between "
        f"{verdicts.months[0]} and {verdicts.months[-1]} by what is known"
    )
    return Picture(
        id="rule-calendar",
        title=title,
        rows=rows,
        panels=(
            Panel(
                spec=tiles(rows, x="month", y="chip", by="status", colours=tones, tip=("rule", "prong"), every="-01")
            ),
        ),
        note=f"The stricter of both gates, American and Chinese, month by month. Sources say nothing after "
        f"{verdicts.unknown_after}.",
        legend=tuple(tones.items()),
        marks=("rules",),
    )
