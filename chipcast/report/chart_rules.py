"""Pictures of the rules: the plane of throughput and density, the calendar of who may buy what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.calendar import month_index, month_name, month_range
from chipcast.base.catalog import Catalogue
from chipcast.base.given import Given
from chipcast.report.form import above, base, colour, sig, tiles
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import SOFT, STATUS_COLOURS, STATUS_NAMES, chip_name, day_words, segment_name
from chipcast.rules.check import verdicts as rule_verdicts
from chipcast.rules.record import CN_WORDS, STATUS_OF, STATUS_ORDER, US_WORDS, Verdicts

ZONES = {"US-3A090A-2023": "licence", "US-3A090B-2023": "licence or notice"}
"""Rules whose tests speak of throughput and density only: the zones of the plane, and what they ask for."""

AFTER_MONTHS = 12
"""Months after the date that the calendar shows. [months]"""


def zones(given: Given) -> list[dict[str, Any]]:
    """Return the zones of the plane as rectangles, read from the tests of the rules known by the date."""
    out: list[dict[str, Any]] = []
    for row in given.catalog.rows("rules"):
        if row["rule_id"] not in ZONES:
            continue
        zone = f"{row['name'].replace('ECCN ', '').partition(' (')[0]}: {ZONES[row['rule_id']]}"
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
            "chip": chip_name(str(m["chip"])),
            "tpp": sig(float(m["tpp"])),
            "pd": sig(float(m["performance_density"])),
            "status": STATUS_NAMES[str(m["status"])],
            "decided_by": str(m.get("sentence", "")) or f"{m.get('rule_id', '')} {m.get('prong', '')}".strip(),
        }
        for m in measures
        if m.get("tpp") and m.get("performance_density")
    ]
    xs, ys = [r["tpp"] for r in rows], [r["pd"] for r in rows]
    areas = zones(given)
    edge = {
        "left": min(xs) / 1.5,
        "right": max(xs) * 1.7,
        "top": max(ys) * 1.6,
        "bottom": min([*ys, *(z["pd"] for z in areas if z["pd"] > 0)]) / 1.4,
    }
    strictest = max((z["tpp"] for z in areas if z["zone"].endswith(": licence")), default=edge["right"])
    shown = [
        {
            **z,
            "tpp": max(z["tpp"], edge["left"]),
            "pd": max(z["pd"], edge["bottom"]),
            "top": min(z["top"], edge["top"]),
            "right": min(z["right"], edge["right"] if z["zone"].endswith(": licence") else strictest),
        }
        for z in areas
    ]
    names = {
        z["zone"]: tone for z, tone in zip({z["zone"]: z for z in areas}.values(), ("#b5392d", "#e69f00"), strict=False)
    }
    used = [s for s in STATUS_ORDER if STATUS_NAMES[s] in {r["status"] for r in rows}]
    tones = {STATUS_NAMES[s]: STATUS_COLOURS[s] for s in used}
    tint = {**names, **tones}
    x: Spec = {
        "field": "tpp",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [edge["left"], edge["right"]], "nice": False},
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
        "scale": {"type": "log", "domain": [edge["bottom"], edge["top"]], "nice": False},
        "axis": above(
            "performance density, TPP per mm2", grid=False, values=[0.5, 1, 1.6, 3.2, 5.92, 10, 20, 40], format="~g"
        ),
    }
    layers: list[Spec] = [
        {
            "data": {"values": shown},
            "mark": {"type": "rect", "opacity": 0.09},
            "encoding": {
                "x": x,
                "x2": {"field": "right"},
                "y": y,
                "y2": {"field": "top"},
                "color": colour("zone", tint),
            },
        },
        {
            "data": {"values": [z for z in shown if z["words"]]},
            "mark": {
                "type": "text",
                "align": "left",
                "baseline": "top",
                "dx": 5,
                "dy": 5,
                "fontSize": 11,
                "color": SOFT,
            },
            "encoding": {"x": x, "y": {**y, "field": "top"}, "text": {"field": "words"}},
        },
        {
            "mark": {"type": "point", "size": 90, "opacity": 0.95, "stroke": "white", "strokeWidth": 1},
            "encoding": {
                "x": x,
                "y": y,
                "color": colour("status", tint),
                "tooltip": [{"field": f, "type": "nominal"} for f in ("chip", "status", "decided_by")],
            },
        },
    ]
    for place, labels in label_places(rows, edge).items():
        side: Spec = {
            "right": {"align": "left", "dx": 7, "baseline": "middle"},
            "left": {"align": "right", "dx": -7, "baseline": "middle"},
            "above": {"align": "center", "dy": -7, "baseline": "bottom"},
            "below": {"align": "center", "dy": 7, "baseline": "top"},
        }[place]
        layers.append(
            {
                "data": {"values": labels},
                "mark": {"type": "text", "fontSize": 11, **side},
                "encoding": {"x": x, "y": y, "text": {"field": "chip"}},
            }
        )
    free = [r["chip"] for r in rows if r["status"] in ("free", "discouraged")]
    listed = ", ".join(free[:5]) + (" and others" if len(free) > 5 else "")
    title = (
        f"On {day_words(as_of)}, {len(rows) - len(free)} of {len(rows)} chips shown could not go freely to a "
        f"Chinese buyer"
    )
    title += f"; {listed} could" if free else ""
    return Picture(
        id="rule-plane",
        title=title,
        panels=(Panel(spec=base(400, layers, rows)),),
        rows=rows,
        note="Each dot is a chip, coloured by what the published text asks on the date. In the red zone (3A090.a) "
        "a licence is "
        "needed for a chip from abroad, in the amber one (3A090.b) a licence or a notice; Chinese chips need none "
        "at home. "
        "This says what the text says and is no legal advice.",
        legend=tuple(tones.items()),
        marks=("chip", *(r["source"] for r in given.catalog.rows("rules") if r["rule_id"] in ZONES)),
    )


def label_places(rows: Sequence[Mapping[str, Any]], edge: Mapping[str, float]) -> dict[str, list[dict[str, Any]]]:
    """Return where each name stands beside its dot so that no two names cover each other; equal dots share one."""
    dots: dict[tuple[float, float], list[str]] = {}
    for r in rows:
        dots.setdefault((r["tpp"], r["pd"]), []).append(r["chip"])
    wide, high = 340.0, 320.0  # as on a phone: what does not collide there does not on a wide page
    across = wide / np.log(edge["right"] / edge["left"])
    up = high / np.log(edge["top"] / edge["bottom"])
    taken = [(np.log(t / edge["left"]) * across - 5, np.log(d / edge["bottom"]) * up - 5, 10.0, 10.0) for t, d in dots]
    out: dict[str, list[dict[str, Any]]] = {"right": [], "left": [], "above": [], "below": []}
    for (t, d), chips in dots.items():
        text = ", ".join(chips)
        px, py, w = float(np.log(t / edge["left"]) * across), float(np.log(d / edge["bottom"]) * up), 6.6 * len(text)
        boxes = {
            "right": (px + 7, py - 6, w, 12.0),
            "left": (px - 7 - w, py - 6, w, 12.0),
            "above": (px - w / 2, py + 7, w, 12.0),
            "below": (px - w / 2, py - 19, w, 12.0),
        }
        cost = {
            k: sum(_overlap(b, o) for o in taken) + 1000.0 * (b[0] < 0 or b[0] + b[2] > wide) for k, b in boxes.items()
        }
        best = min(cost, key=lambda k: cost[k])
        taken.append(boxes[best])
        out[best].append({"tpp": t, "pd": d, "chip": text})
    return {k: v for k, v in out.items() if v}


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(wide, 0.0) * max(high, 0.0)


def status_word(us: int, cn: int) -> str:
    """Return the stricter of both gates as a combined status."""
    return max((STATUS_OF[US_WORDS[us]], STATUS_OF[CN_WORDS[cn]]), key=STATUS_ORDER.index)


def first_month(catalog: Catalogue) -> str:
    """Return the month before the first chip rule that the date knows."""
    dates = [
        r["effective"] for r in catalog.rows("rules") if re.match(r"US-(3A090|INF)", r["rule_id"]) and r["effective"]
    ]
    return month_name(month_index(min(dates)[:7]) - 1)


def calendar(verdicts: Verdicts, catalog: Catalogue, segment: str = "platform") -> Picture:
    """Draw the combined status of each chip from the first chip rule to a year after the date, for one class of "
    "buyer."""
    now = f"{catalog.as_of:%Y-%m}"
    last = min(month_name(month_index(now) + AFTER_MONTHS), verdicts.months[-1])
    months = month_range(first_month(catalog), last)
    chosen = segment if segment in verdicts.segments else verdicts.segments[0]
    v = rule_verdicts(catalog, chips=verdicts.chips, segments=(chosen,), months=months, country="CN", beyond="last")
    rows = []
    for c, chip in enumerate(v.chips):
        for m, month in enumerate(v.months):
            rows.append(
                {
                    "chip": chip_name(chip),
                    "month": month,
                    "status": STATUS_NAMES[status_word(int(v.us[m, 0, c]), int(v.cn[m, 0, c]))],
                    "rule": str(v.decided_by[m, 0, c]),
                    "prong": str(v.prong[m, 0, c]),
                }
            )
    used = {r["status"] for r in rows}
    tones = {STATUS_NAMES[k]: STATUS_COLOURS[k] for k in STATUS_ORDER if STATUS_NAMES[k] in used}
    by_chip = [rows[i * len(months) : (i + 1) * len(months)] for i in range(len(v.chips))]
    lost = [r[0]["chip"] for r in by_chip if r[0]["status"] == "free" and _at(r, now) not in ("free", "discouraged")]
    title = (
        (
            f"Between {day_words(months[0])} and {day_words(now)} the rules took {', '.join(lost)} from "
            f"{segment_name(chosen).lower()}"
        )
        if lost
        else f"What the rules let {segment_name(chosen).lower()} buy, month by month"
    )
    mark: Spec = {
        "data": {"values": [{"month": now}]},
        "mark": {"type": "rule", "strokeWidth": 1.5, "color": "#1f2733"},
        "encoding": {"x": {"field": "month", "type": "ordinal", "sort": list(months)}},
    }
    spec = tiles(rows, x="month", y="chip", by="status", colours=tones, tip=("rule", "prong"), every="-01", step=22)
    spec["layer"].append(mark)
    return Picture(
        id="rule-calendar",
        title=title,
        rows=rows,
        panels=(Panel(spec=spec),),
        note=f"The stricter of both gates, American and Chinese. The dark line is {day_words(now)}: right of it "
        f"stands the law as then "
        "known, not a forecast; threats and hopes enter in the market.",
        legend=tuple(tones.items()),
        marks=("rules",),
    )


def _at(rows: Sequence[Mapping[str, Any]], month: str) -> str:
    return next((str(r["status"]) for r in rows if r["month"] == month), "")
