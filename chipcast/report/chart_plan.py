"""Pictures of the plan: the order calendar and the ladder of values against simpler plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chipcast.base.summary import short
from chipcast.plan.record import Plan
from chipcast.report.form import AXIS_PX, above, base, colour, sig
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import INK, SOFT, chip_colours, chip_name

VALUE_NAMES = {
    "ws": "if all were known (wait and see)",
    "sp": "this plan",
    "eev": "plan for the average future",
    "out_of_sample": "this plan on fresh futures",
}


def orders(plan: Plan) -> Picture:
    """Draw what to order by quarter, decided now or later, and the cost of this plan beside its rivals."""
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
        "axis": {"title": None, "labelAngle": 0, "labelOverlap": "greedy"},
    }
    offset: Spec = {"field": "chip", "type": "nominal", "sort": list(tones)}
    calendar = base(
        250,
        [
            {
                "mark": {"type": "bar"},
                "encoding": {
                    "x": x,
                    "xOffset": offset,
                    "y": {
                        "field": "units",
                        "type": "quantitative",
                        "axis": above("cards ordered; later: mean over futures"),
                    },
                    "color": colour("chip", tones),
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
                "transform": [{"filter": "isValid(datum.low)"}],
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
    ladder = value_rows(plan)
    panels = [Panel(title="Order calendar", spec=calendar)]
    if ladder:
        order = [str(r["plan"]) for r in ladder]
        y: Spec = {
            "field": "plan",
            "type": "nominal",
            "sort": order,
            "axis": {"title": None, "labelLimit": 230, "grid": False, "labelColor": INK},
        }
        scale: Spec = {"zero": False, "nice": True}
        own = {"this plan": "#0b5fa5", "bound": "#1b9e77", "rival": "#8b95a3"}
        panels.append(
            Panel(
                title="Cost of this plan beside simpler ones",
                spec=base(
                    AXIS_PX + 34 * len(order),
                    [
                        {
                            "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.7},
                            "encoding": {
                                "y": y,
                                "x": {"field": "low", "type": "quantitative", "scale": scale},
                                "x2": {"field": "high"},
                                "color": colour("tone", own),
                            },
                        },
                        {
                            "mark": {"type": "point", "size": 80},
                            "encoding": {
                                "y": y,
                                "x": {
                                    "field": "cost",
                                    "type": "quantitative",
                                    "scale": scale,
                                    "axis": {
                                        "title": "expected discounted cost, million USD",
                                        "grid": True,
                                        "tickCount": 5,
                                    },
                                },
                                "color": colour("tone", own),
                            },
                        },
                        {
                            "mark": {"type": "text", "align": "left", "dx": 8, "dy": -7, "fontSize": 11, "color": SOFT},
                            "encoding": {
                                "y": y,
                                "x": {"field": "cost", "type": "quantitative", "scale": scale},
                                "text": {"field": "text"},
                            },
                        },
                    ],
                    ladder,
                ),
            )
        )
    return Picture(
        id="plan",
        title=plan.sentence,
        panels=tuple(panels),
        rows=[*rows, *ladder],
        note=f"Full colour: decided now, until {plan.decide_until}. Pale: the mean of what later news asks for, "
        f"with the line from "
        "the 5th to the 95th percentile. The ladder shows what knowing the future would save and what simpler plans "
        "cost more.",
        legend=tuple(tones.items()),
        marks=("plan", "market", "tokens"),
    )


def value_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return the rungs of the value ladder, cheapest first. [million USD]"""
    out: list[dict[str, Any]] = []
    for key, words in VALUE_NAMES.items():
        if key in plan.values:
            cost = plan.values[key] / 1e6
            out.append(
                {
                    "plan": words,
                    "cost": sig(cost),
                    "tone": "this plan" if key in ("sp", "out_of_sample") else "bound" if key == "ws" else "rival",
                    "text": short(cost),
                }
            )
    for name, rival in plan.rivals.items():
        cost_usd = _number(rival, "cost", "cost_usd", "expected_cost_usd")
        if cost_usd is None:
            continue
        row: dict[str, Any] = {
            "plan": name.replace("-", " ").replace("_", " "),
            "cost": sig(cost_usd / 1e6),
            "tone": "rival",
            "text": str(rival.get("verdict", ""))[:44] or short(cost_usd / 1e6),
        }
        gap = rival.get("difference") or rival.get("difference_usd")
        if isinstance(gap, Mapping) and "p05" in gap and "sp" in plan.values:
            row |= {
                "low": sig((plan.values["sp"] + gap["p05"]) / 1e6),
                "high": sig((plan.values["sp"] + gap["p95"]) / 1e6),
            }
        out.append(row)
    return sorted(out, key=lambda r: float(r["cost"]))


def _number(entry: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        value = entry.get(name)
        if isinstance(value, Mapping):
            value = value.get("mean", value.get("p50"))
        if isinstance(value, int | float):
            return float(value)
    return None
