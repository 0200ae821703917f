"""Pictures of the plan: the order calendar, the fleet it builds, the plan beside simpler ones, where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.summary import short
from chipcast.plan.record import Plan
from chipcast.report.form import AXIS_PX, above, base, colour, fan, sig
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import ACCENT, INK, SOFT, chip_colours, chip_name, readable, sentence

RIVAL_NAMES = {
    "plan": "this plan",
    "mean_value": "buy for the average future",
    "need_only": "buy what is needed now",
    "hoard_all": "buy all now",
    "wait": "wait for news",
    "perfect_news": "with perfect news",
    "api": "tokens from an API",
    "all-h20": "H20 only",
    "all-local": "local chips only",
    "rent": "rent",
}
"""Simpler plans in words."""

FAN = {"p05": "low", "p25": "q25", "p50": "mid", "p75": "q75", "p95": "high"}


def fan_rows(quarters: Sequence[str], series: Mapping[str, Sequence[float]], **names: str) -> list[dict[str, Any]]:
    """Return rows of a fan from series of percentiles by quarter."""
    return [
        {"quarter": q, **names, **{FAN[k]: sig(max(v[i], 0.0)) for k, v in series.items() if k in FAN}}
        for i, q in enumerate(quarters)
    ]


def orders(plan: Plan) -> Picture:
    """Draw what to order by quarter, decided now or later, and the need against what is served."""
    tones = {chip_name(c): v for c, v in chip_colours(dict.fromkeys(o.chip for o in plan.orders)).items()}
    rows: list[dict[str, Any]] = []
    for o in plan.orders:
        spread = {"low": sig(o.interval["p05"]), "high": sig(o.interval["p95"])} if "p05" in o.interval else {}
        rows.append(
            {
                "quarter": o.quarter,
                "chip": chip_name(o.chip),
                "supplier": o.supplier,
                "contract": o.contract,
                "units": sig(o.units),
                "when": "decided now" if o.now else "decided later",
                **spread,
            }
        )
    x: Spec = {
        "field": "quarter",
        "type": "ordinal",
        "sort": list(plan.quarters),
        "scale": {"domain": list(plan.quarters)},
        "axis": {"title": None, "labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 6},
    }
    offset: Spec = {"field": "chip", "type": "nominal", "sort": list(tones)}
    calendar = base(
        240,
        [
            {
                "mark": {"type": "bar"},
                "encoding": {
                    "x": x,
                    "xOffset": offset,
                    "color": colour("chip", tones),
                    "y": {
                        "field": "units",
                        "type": "quantitative",
                        "axis": above("cards ordered; later: mean over futures"),
                    },
                    "opacity": {
                        "field": "when",
                        "type": "ordinal",
                        "legend": None,
                        "scale": {"domain": ["decided now", "decided later"], "range": [1, 0.38]},
                    },
                    "tooltip": [
                        {"field": f, "type": "nominal"} for f in ("chip", "supplier", "contract", "when", "units")
                    ],
                },
            },
            {
                "data": {"values": [r for r in rows if "low" in r]},
                "mark": {"type": "rule", "color": SOFT, "strokeWidth": 1.4},
                "encoding": {
                    "x": x,
                    "xOffset": offset,
                    "y": {"field": "low", "type": "quantitative"},
                    "y2": {"field": "high"},
                },
            },
        ],
        rows,
    )
    panels = [Panel(title="Order calendar", spec=calendar)]
    detail = plan.detail
    fleets = {c: v for c, v in detail.get("fleet", {}).items() if max(v.get("p95", [0.0])) >= 0.5}
    if fleets:
        band = [r for chip, series in fleets.items() for r in fan_rows(plan.quarters, series, chip=chip_name(chip))]
        rows += band
        shades = {chip_name(c): v for c, v in chip_colours(fleets).items()}
        panels.append(
            Panel(
                title="Cards at work",
                spec=fan(
                    band,
                    x="quarter",
                    x_kind="category",
                    by="chip",
                    colours=shades,
                    height=240,
                    y_title="cards, 5th to 95th percentile",
                ),
            )
        )
        tones |= shades
    if "need" in detail and "served" in detail:
        both = {"need": INK, "served": ACCENT}
        band = [r for k in both for r in fan_rows(plan.quarters, detail[k], what=k)]
        rows += band
        panels.append(
            Panel(
                title="Need and what is served",
                legend=tuple(both.items()),
                spec=fan(
                    band,
                    x="quarter",
                    x_kind="category",
                    by="what",
                    colours=both,
                    height=240,
                    inner=False,
                    y_title="tokens/s at the peak, 5th to 95th percentile",
                ),
            )
        )
    return Picture(
        id="plan",
        title=sentence(plan.sentence.split("; it fails")[0]).rstrip("."),
        panels=tuple(panels),
        rows=rows,
        note=f"Full colour: decided now, until {plan.decide_until}. Pale: the mean of what later news asks for, "
        f"the line from the 5th to "
        "the 95th percentile over futures.",
        legend=tuple(tones.items()),
        marks=("plan", "market", "tokens"),
    )


def ladder(plan: Plan) -> Picture | None:
    """Draw the cost of this plan beside simpler ones on futures that it has not seen, and what information is worth."""
    rows = rival_rows(plan)
    worth = value_rows(plan)
    if not rows and not worth:
        return None
    panels = []
    if rows:
        order = [str(r["plan"]) for r in rows]
        y: Spec = {
            "field": "plan",
            "type": "nominal",
            "sort": order,
            "axis": {"title": None, "labelLimit": 200, "grid": False, "labelColor": INK},
        }
        own = {"this plan": ACCENT, "simpler": "#8b95a3"}
        x: Spec = {
            "type": "quantitative",
            "scale": {"zero": True},
            "axis": {
                "title": "million USD: mean, 5th to 95th percentile",
                "grid": True,
                "tickCount": 5,
            },
        }
        tint = colour("tone", own)
        panels.append(
            Panel(
                title="On futures that no plan has seen",
                spec=base(
                    AXIS_PX + 34 * len(order),
                    [
                        {
                            "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.7},
                            "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": tint},
                        },
                        {
                            "mark": {"type": "point", "size": 80, "opacity": 1},
                            "encoding": {"y": y, "x": {**x, "field": "mean"}, "color": tint},
                        },
                        {
                            "mark": {"type": "text", "align": "left", "dx": 7, "dy": -8, "fontSize": 11, "color": SOFT},
                            "encoding": {"y": y, "x": {**x, "field": "mean"}, "text": {"field": "text"}},
                        },
                    ],
                    rows,
                ),
            )
        )
    if worth:
        order = [str(r["plan"]) for r in worth]
        y = {
            "field": "plan",
            "type": "nominal",
            "sort": order,
            "axis": {"title": None, "labelLimit": 200, "grid": False, "labelColor": INK},
        }
        panels.append(
            Panel(
                title="In the futures it was made for",
                spec=base(
                    AXIS_PX + 34 * len(order),
                    [
                        {
                            "mark": {"type": "bar", "height": {"band": 0.5}, "color": "#c9d5e0"},
                            "encoding": {
                                "y": y,
                                "x": {
                                    "field": "mean",
                                    "type": "quantitative",
                                    "axis": {
                                        "title": "objective with its tail, million USD",
                                        "grid": True,
                                        "tickCount": 5,
                                    },
                                },
                            },
                        },
                        {
                            "mark": {"type": "text", "align": "right", "dx": -5, "fontSize": 11},
                            "encoding": {
                                "y": y,
                                "x": {"field": "mean", "type": "quantitative"},
                                "text": {"field": "text"},
                            },
                        },
                    ],
                    worth,
                ),
            )
        )
    best = min(rows, key=lambda r: float(r["mean"])) if rows else None
    mine = next((r for r in rows if r["tone"] == "this plan"), None)
    title = "What simpler plans would cost"
    if best and mine:
        title = f"On fresh futures this plan costs {mine['text']} million USD in the mean" + (
            ", less than every simpler plan shown"
            if best is mine
            else f"; cheapest of those shown: {best['plan']}, {best['text']}"
        )
    return Picture(
        id="ladder",
        title=title,
        panels=tuple(panels),
        rows=[*rows, *worth],
        note="Left: dot is the mean, the line holds 90 percent of fresh futures. Right: what knowing the future "
        "would save, and what "
        "planning for the average one costs. Cost counts what is not served.",
        marks=("plan", "market"),
    )


def rival_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return this plan and its rivals on fresh futures, cheapest first. [million USD]"""
    out: list[dict[str, Any]] = []
    spreads: Mapping[str, Mapping[str, float]] = plan.detail.get("ladder", {})
    means = {name: float(r["cost"]) for name, r in plan.rivals.items() if isinstance(r.get("cost"), int | float)}
    means |= {name: float(s["mean"]) for name, s in spreads.items() if "mean" in s}
    if "plan" not in means and "out_of_sample" in plan.values:
        means["plan"] = plan.values["out_of_sample"]
    for name, mean in means.items():
        s = spreads.get(name, {})
        spread = {"low": sig(s["p05"] / 1e6), "high": sig(s["p95"] / 1e6)} if "p05" in s else {}
        out.append(
            {
                "plan": RIVAL_NAMES.get(name, readable(name.replace("_", " ").replace("-", " "))),
                "mean": sig(mean / 1e6),
                **spread,
                "tone": "this plan" if name == "plan" else "simpler",
                "text": short(mean / 1e6),
            }
        )
    return sorted(out, key=lambda r: float(r["mean"]))


def value_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return wait-and-see, this plan and the plan for the average future in the plan's own futures. [million USD]"""
    names = {"ws": "if all were known", "sp": "this plan", "eev": "plan for the average"}
    return [
        {"plan": words, "mean": sig(plan.values[k] / 1e6), "text": short(plan.values[k] / 1e6)}
        for k, words in names.items()
        if k in plan.values
    ]


def failures(plan: Plan) -> Picture | None:
    """Draw the futures in which the plan fails over the two causes that tell them apart best."""
    found = plan.detail.get("failures", {})
    causes = {readable(k): np.asarray(v, dtype=float) for k, v in found.get("causes", {}).items()}
    fails = np.asarray(found.get("fails", ()), dtype=bool)
    causes = {k: v for k, v in causes.items() if v.size == fails.size and np.ptp(v) > 0}
    if len(causes) < 2 or not fails.any() or fails.all():
        return None
    apart = {k: abs(float(np.corrcoef(np.argsort(np.argsort(v)), fails)[0, 1])) for k, v in causes.items()}
    first, second = sorted(apart, key=lambda k: -apart[k])[:2]
    rows = [
        {"x": sig(a), "y": sig(b), "future": "fails" if f else "holds"}
        for a, b, f in zip(causes[first], causes[second], fails, strict=True)
    ]
    tones = {"fails": "#b5392d", "holds": "#9db4c7"}
    title = f"The plan falls short in {fails.mean():.0%} of the futures; {first} and {second} tell them apart best"
    spec = base(
        300,
        [
            {
                "mark": {"type": "point", "size": 34, "opacity": 0.75},
                "encoding": {
                    "x": {"field": "x", "type": "quantitative", "scale": {"zero": False}, "axis": {"title": first}},
                    "y": {"field": "y", "type": "quantitative", "scale": {"zero": False}, "axis": above(second)},
                    "color": colour("future", tones),
                },
            }
        ],
        rows,
    )
    words = " ".join(sentence(f) for f in plan.fails if f not in plan.sentence)
    return Picture(
        id="failures",
        title=title,
        panels=(Panel(spec=spec),),
        rows=rows,
        legend=tuple(tones.items()),
        note=f"One dot per future. {words}".strip(),
        marks=("plan", "market"),
    )
