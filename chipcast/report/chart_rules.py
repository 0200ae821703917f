"""The plane of throughput and density: every chip, and the lines of the rules as they moved."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.report.form import above, base, colour, layer, number, sig, tips
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import SOFT, STATUS_COLOURS, STATUS_NAMES, chip_name, day_words
from chipcast.rules.record import STATUS_ORDER

ZONES = {"US-3A090A-2023": "licence", "US-3A090B-2023": "licence or notice"}
"""Rules whose tests speak of throughput and density only: the zones of the plane, and what they ask for."""

EARLIER = ("US-INF-2022", "US-3A090-2022")
"""Rules before them, whose tests speak of throughput together with links: older lines of the plane."""


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
            out.append({"zone": zone, "words": zone if first else "", "since": row["effective"], **edge})
    return out


def older_lines(given: Given) -> list[dict[str, Any]]:
    """Return the lines of earlier rules: throughput from which they ask, together with what else, and since when."""
    out = []
    for row in given.catalog.rows("rules"):
        found = re.search(r"tpp >= (\d+)", row["test"])
        links = re.search(r"io_bidir_gb_s >= (\d+)", row["test"])
        if row["rule_id"] in EARLIER and found and links:
            out.append({"tpp": float(found.group(1)), "since": row["effective"], "rule": row["rule_id"],
                        "words": f"from {day_words(row['effective'][:7])}: {found.group(1)} with links of "
                                 f"{links.group(1)} GB/s", "label": f"since {row['effective'][:7]}"})
    return out


def plane(measures: Sequence[Mapping[str, Any]], given: Given, as_of: str) -> Picture:
    """Draw chips by total processing performance and performance density, coloured by status on the date."""
    rows: list[dict[str, Any]] = [
        {"chip": chip_name(str(m["chip"])), "tpp": sig(float(m["tpp"])), "pd": sig(float(m["performance_density"])),
         "status": STATUS_NAMES[str(m["status"])],
         "decided_by": str(m.get("sentence", "")) or f"{m.get('rule_id', '')} {m.get('prong', '')}".strip()}
        for m in measures if m.get("tpp") and m.get("performance_density")]
    xs, ys = [r["tpp"] for r in rows], [r["pd"] for r in rows]
    areas = zones(given)
    edge = {"left": min(xs) / 1.5, "right": max(xs) * 1.7, "top": max(ys) * 1.6,
            "bottom": min([*ys, *(z["pd"] for z in areas if z["pd"] > 0)]) / 1.4}
    strictest = max((z["tpp"] for z in areas if z["zone"].endswith(": licence")), default=edge["right"])
    shown = [{**z, "tpp": max(z["tpp"], edge["left"]), "pd": max(z["pd"], edge["bottom"]),
              "top": min(z["top"], edge["top"]),
              "right": min(z["right"], edge["right"] if z["zone"].endswith(": licence") else strictest)}
             for z in areas]
    tones_of = {z["zone"]: tone for z, tone in zip({z["zone"]: z for z in areas}.values(), ("#b5392d", "#e69f00"),
                                                    strict=False)}
    used = [s for s in STATUS_ORDER if STATUS_NAMES[s] in {r["status"] for r in rows}]
    tones = {STATUS_NAMES[s]: STATUS_COLOURS[s] for s in used}
    tint = {**tones_of, **tones}
    x = number("tpp", scale={"type": "log", "domain": [edge["left"], edge["right"]], "nice": False}, axis={
        "title": "total processing performance (TPP), dense", "format": ",.0f", "grid": False, "labelOverlap": True,
        "values": [300, 1000, 1600, 2400, 4800, 10000, 20000, 40000]})
    y = number("pd", scale={"type": "log", "domain": [edge["bottom"], edge["top"]], "nice": False}, axis=above(
        "performance density, TPP per mm2", grid=False, format="~g", values=[0.5, 1, 1.6, 3.2, 5.92, 10, 20, 40]))
    old = older_lines(given)
    layers: list[Spec] = [
        layer("rect", {"x": x, "x2": {"field": "right"}, "y": y, "y2": {"field": "top"},
                       "color": colour("zone", tint)}, shown, opacity=0.09),
        layer("text", {"x": x, "y": {**y, "field": "top"}, "text": {"field": "words"}},
              [z for z in shown if z["words"]], align="left", baseline="top", dx=5, dy=5, fontSize=11, color=SOFT),
        layer("rule", {"x": x, "tooltip": tips("words", "rule")}, old, strokeDash=[5, 4], color=SOFT,
              strokeWidth=1.4),
        layer("point", {"x": x, "y": y, "color": colour("status", tint),
                        "tooltip": tips("chip", "status", "decided_by")}, size=90, opacity=0.95, stroke="white",
              strokeWidth=1)]
    layers += [layer("text", {"x": x, "y": {"value": {"expr": f"height - {8 + 14 * i}"}}, "text": {"field": "label"}},
                     [line], align="right", dx=-5, fontSize=11, color=SOFT) for i, line in enumerate(old)]
    sides: dict[str, Spec] = {
        "right": {"align": "left", "dx": 7, "baseline": "middle"},
        "left": {"align": "right", "dx": -7, "baseline": "middle"},
        "above": {"align": "center", "dy": -7, "baseline": "bottom"},
        "below": {"align": "center", "dy": 7, "baseline": "top"}}
    layers += [layer("text", {"x": x, "y": y, "text": {"field": "chip"}}, labels, fontSize=11, **sides[place])
               for place, labels in label_places(rows, edge).items()]
    free = [r["chip"] for r in rows if r["status"] in ("free", "discouraged")]
    title = (f"On {day_words(as_of)}, {len(rows) - len(free)} of {len(rows)} chips shown could not go freely to a "
             "Chinese buyer")
    title += f"; {', '.join(free[:5])}{' and others' if len(free) > 5 else ''} could" if free else ""
    moved = "; ".join(line["words"] for line in old)
    return Picture(
        id="rule-plane", title=title, panels=(Panel(spec=base(400, layers, rows)),), rows=rows,
        note="Each dot is a chip, coloured by what the published text asks on the date. In the red zone (3A090.a) "
        "a licence is needed for a chip from abroad, in the amber one (3A090.b) a licence or a notice; Chinese chips "
        "need none at home. " + (f"Dashed: the line as it stood before the zones came ({moved}), when links counted "
                                 "and density did not. " if old else "")
        + "This says what the text says and is no legal advice.",
        legend=tuple(tones.items()),
        marks=("chip", *dict.fromkeys(r["source"] for r in given.catalog.rows("rules")
                                      if r["rule_id"] in (*ZONES, *EARLIER))))


def label_places(rows: Sequence[Mapping[str, Any]], edge: Mapping[str, float]) -> dict[str, list[dict[str, Any]]]:
    """Return where each name stands beside its dot so that no two names cover each other; equal dots share one."""
    spots: dict[tuple[float, float], list[str]] = {}
    for r in rows:
        spots.setdefault((r["tpp"], r["pd"]), []).append(r["chip"])
    wide, high = 340.0, 320.0  # as on a phone: what does not collide there does not on a wide page
    across = wide / np.log(edge["right"] / edge["left"])
    up = high / np.log(edge["top"] / edge["bottom"])
    taken = [(np.log(t / edge["left"]) * across - 5, np.log(d / edge["bottom"]) * up - 5, 10.0, 10.0) for t, d in spots]
    out: dict[str, list[dict[str, Any]]] = {"right": [], "left": [], "above": [], "below": []}
    for (t, d), chips in spots.items():
        text = ", ".join(chips)
        px, py, w = float(np.log(t / edge["left"]) * across), float(np.log(d / edge["bottom"]) * up), 6.6 * len(text)
        boxes = {"right": (px + 7, py - 6, w, 12.0), "left": (px - 7 - w, py - 6, w, 12.0),
                 "above": (px - w / 2, py + 7, w, 12.0), "below": (px - w / 2, py - 19, w, 12.0)}
        cost = {k: sum(_overlap(b, o) for o in taken) + 1000.0 * (b[0] < 0 or b[0] + b[2] > wide)
                for k, b in boxes.items()}
        best = min(cost, key=lambda k: cost[k])
        taken.append(boxes[best])
        out[best].append({"tpp": t, "pd": d, "chip": text})
    return {k: v for k, v in out.items() if v}


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(wide, 0.0) * max(high, 0.0)
