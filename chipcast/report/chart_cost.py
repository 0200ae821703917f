"""Pictures of money: what a chip costs, when the line earns, what decides it, and the two ways of patterning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.summary import short
from chipcast.base.types import Array
from chipcast.fab.record import Line
from chipcast.report.form import above, base, fan, five, line_at, ranges, sig, three, waterfall
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import ACCENT, INK, SOFT, day_words, wrapped

YEAR = 12
"""Months over which cost and profit are told. [months]"""


def cost(line: Line, steps: Sequence[Mapping[str, Any]]) -> Picture:
    """Draw the cost of one 910C step by step, and the line's profit against its yield with the break-even."""
    rows: list[dict[str, Any]] = []
    panels = []
    total = 0.0
    for step in steps:
        spread = three(step["usd"])
        text = f"{spread['mid']:,.0f}" + (
            f" ({spread['low']:,.0f} to {spread['high']:,.0f})" if spread["low"] != spread["high"] else ""
        )
        start, total = total, total + spread["mid"]
        rows.append(
            {
                "step": wrapped(str(step["step"])),
                "start": sig(start, 6),
                "end": sig(total, 6),
                "edge": sig(max(start, total), 6),
                "text": text,
                "tone": "step",
            }
        )
    i = line.products.index("ascend-910c")
    months = slice(0, min(YEAR, len(line.months)))
    unit, price = line.unit_cost_usd[i, months].mean(axis=0), line.price_usd[i]
    if rows:
        rows.append(
            {
                "step": "sum of the steps",
                "start": 0,
                "end": sig(total, 6),
                "edge": sig(total, 6),
                "text": f"{total:,.0f}",
                "tone": "sum",
            }
        )
        middle = float(np.median(price))
        rows.append(
            {
                "step": "price of a card",
                "start": 0,
                "end": sig(middle, 6),
                "edge": sig(middle, 6),
                "text": f"{middle:,.0f}",
                "tone": "gain" if middle > total else "loss",
            }
        )
        panels.append(
            Panel(
                title="What one good 910C costs",
                spec=waterfall(rows, label="step", x_title="USD per good package, median"),
            )
        )
    profit, share = line.profit_usd[months].mean(axis=0) / 1e6, line.yield_die_any[months].mean(axis=0)
    curve = _against(share, profit)
    even = crossing([r["yield"] for r in curve], [r["mid"] for r in curve])
    marks = line_at(0.0, tone=INK)
    if even is not None:
        marks += line_at(even, axis="x", text=f"break-even {even:.0%}", tone="#b5392d")
    spec = fan(
        curve,
        x="yield",
        x_kind="number",
        by="what",
        colours={"profit": ACCENT},
        zero=False,
        height=250,
        y_title="million USD a month, 5th to 95th percentile",
        x_title="sellable dies over dies on the wafer (die.any)",
        extra=marks,
    )
    for layer in spec["layer"]:
        x = layer.get("encoding", {}).get("x", {})
        if x.get("field") == "yield":
            x["axis"]["format"] = ".0%"
    panels.append(
        Panel(
            title=f"Profit of the line, {day_words(line.months[0])} to {day_words(line.months[months.stop - 1])}",
            spec=spec,
        )
    )
    made = five(unit)
    wins = float(np.mean(profit > 0))
    title = (
        f"One good 910C costs {short(made['mid'])} USD ({short(made['low'])} to {short(made['high'])}); "
        f"the line earns money in {wins:.0%} of the draws"
    )
    if even is not None:
        title += f", more than half of those with a die yield above {even:.0%}"
    elif curve:
        title += f"; at every die yield from {curve[0]['yield']:.0%} to {curve[-1]['yield']:.0%} the median stays " + (
            "above zero" if curve[0]["mid"] > 0 else "below zero"
        )
    return Picture(
        id="cost",
        title=title,
        panels=tuple(panels),
        rows=[*rows, *curve],
        note="Left: medians of the steps for one 910C of tested dies in the month of the date; untested dies cost "
        "more, and medians "
        "need not add up to the median of the sum. Right: draws sorted by their yield; the line is the median "
        "profit after fixed "
        "cost, the bands hold 50 and 90 percent.",
        marks=("fab", "ownership"),
    )


def _against(x: Array, y: Array, bins: int = 16) -> list[dict[str, Any]]:
    """Return percentiles of `y` in bins of `x` that hold equally many draws."""
    order = np.argsort(x, kind="stable")
    parts = [p for p in np.array_split(order, bins) if p.size]
    return [{"yield": sig(float(np.median(x[p]))), "what": "profit", **five(y[p])} for p in parts]


def crossing(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Return where the line through the points first crosses zero, None where it never does."""
    for a in range(len(x) - 1):
        if (y[a] < 0) != (y[a + 1] < 0):
            return float(x[a] + (x[a + 1] - x[a]) * (0 - y[a]) / (y[a + 1] - y[a]))
    return None


ROUTE_TITLES = {
    "wafer_usd": "cost of a wafer, USD",
    "wafer_cost_usd": "cost of a wafer, USD",
    "cycle_days": "time in the fab, days",
    "overlay_yield": "dies left by edge placement, share of dies",
    "immersion_exposures": "immersion exposures, per wafer",
    "euv_exposures": "EUV exposures, per wafer",
    "d0_adder_per_cm2": "defects added, per cm2",
}


def routes(entries: Sequence[Mapping[str, Any]]) -> Picture:
    """Draw the ways of patterning side by side, one panel per quantity."""
    first = entries[0]
    names = [k for k in first if k != "route" and isinstance(first[k], Mapping | float | int)]
    tones = dict(zip((str(e["route"]) for e in entries), ("#b5392d", "#0072b2", "#009e73", "#7d8ca3"), strict=False))
    rows: list[dict[str, Any]] = []
    panels = []
    for name in names:
        words = ROUTE_TITLES.get(name, name.replace("_", " "))
        share = "yield" in name or "share" in name
        spread: list[dict[str, Any]] = [
            {"route": str(e["route"]), "quantity": name, **three(e[name])} for e in entries if e.get(name) is not None
        ]
        for r in spread:
            r["text"] = f"{r['mid']:.0%}" if share else short(r["mid"])
        rows += spread
        head, _, unit = words.partition(", ")
        panels.append(
            Panel(
                title=head[0].upper() + head[1:],
                spec=ranges(
                    spread,
                    label="route",
                    by="route",
                    colours=tones,
                    percent=share,
                    step=38,
                    x_title=f"{unit}, 5th to 95th percentile" if unit else "5th to 95th percentile",
                ),
            )
        )
    title = "The same chip patterned with and without EUV"
    key = next((n for n in names if n.startswith("wafer")), "")
    if key and len(entries) >= 2:
        by = {str(e["route"]): three(e[key])["mid"] for e in entries}
        without = next((r for r in by if "without" in r or "no" in r.lower().split() or "immersion" in r), "")
        other = next((r for r in by if r != without), "")
        if without and other and by[other] > 0:
            more = by[without] / by[other] - 1
            title = (
                f"Without EUV a wafer costs {abs(more):.0%} {'more' if more > 0 else 'less'} than with it, at the "
                f"median"
            )
    return Picture(
        id="routes",
        title=title,
        panels=tuple(panels),
        rows=rows,
        note="One dot per way: median, the line holds 90 percent of the draws. No adder of a real line is "
        "public: these are wide assumed ranges.",
        legend=tuple(tones.items()),
        marks=("fab",),
    )


DRIVERS = {
    "price": "price of a 910C",
    "packages": "number of packages",
    "yield": "die yield",
    "unit cost": "cost of a 910C",
    "fixed cost": "fixed cost",
    "wafer": "price of a wafer",
}


def drivers(line: Line) -> dict[str, Array]:
    """Return what may decide the profit of the line, each over draws, means of the first year where it moves."""
    months = slice(0, min(YEAR, len(line.months)))
    i = line.products.index("ascend-910c")
    return {
        "price": line.price_usd[i],
        "packages": line.packages[:, months].sum(axis=(0, 1)),
        "yield": line.yield_die_any[months].mean(axis=0),
        "unit cost": np.nanmean(line.unit_cost_usd[i, months], axis=0),
        "fixed cost": line.fixed_cost_usd_per_month,
        "wafer": line.wafer_cost_usd,
    }


def rank_correlation(a: Array, b: Array) -> float:
    """Return Spearman's correlation of two arrays over draws; 0 where one of them is constant."""
    x, y = (np.argsort(np.argsort(v, kind="stable"), kind="stable").astype(float) for v in (a, b))
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])


def break_even(line: Line, bins: int = 6) -> Picture:
    """Draw where the line earns money, by die yield and price, and what decides its profit."""
    months = slice(0, min(YEAR, len(line.months)))
    profit = line.profit_usd[months].mean(axis=0)
    by = drivers(line)
    x, y = by["yield"], by["price"]
    xs, ys = np.quantile(x, np.linspace(0.02, 0.98, bins + 1)), np.quantile(y, np.linspace(0.02, 0.98, bins + 1))
    cells: list[dict[str, Any]] = []
    for a in range(bins):
        for b in range(bins):
            inside = (x >= xs[a]) & (x < xs[a + 1]) & (y >= ys[b]) & (y < ys[b + 1])
            if inside.sum() >= 5:
                share = float(np.mean(profit[inside] > 0))
                cells.append(
                    {
                        "left": sig(xs[a]),
                        "right": sig(xs[a + 1]),
                        "bottom": sig(ys[b] / 1000),
                        "top": sig(ys[b + 1] / 1000),
                        "earns": sig(share, 3),
                        "text": f"{share:.0%}",
                        "draws": int(inside.sum()),
                        "x": sig((xs[a] + xs[a + 1]) / 2),
                        "y": sig((ys[b] + ys[b + 1]) / 2000),
                    }
                )
    weight: list[dict[str, Any]] = [
        {"driver": DRIVERS[k], "rank_correlation": sig(rank_correlation(v, profit), 3)} for k, v in by.items()
    ]
    weight.sort(key=lambda r: -abs(r["rank_correlation"]))
    ax: Spec = {
        "type": "quantitative",
        "scale": {"zero": False, "nice": False},
        "axis": {"title": "sellable dies over dies on the wafer (die.any)", "format": ".0%", "tickCount": 6},
    }
    ay: Spec = {
        "type": "quantitative",
        "scale": {"zero": False, "nice": False},
        "axis": above("price of a 910C, thousand USD", grid=False),
    }
    tint: Spec = {
        "field": "earns",
        "type": "quantitative",
        "legend": None,
        "scale": {"domain": [0, 0.5, 1], "range": ["#b5392d", "#f4f1ea", "#1b7f5f"]},
    }
    area = base(
        290,
        [
            {
                "mark": {"type": "rect", "stroke": "white", "strokeWidth": 1},
                "encoding": {
                    "x": {**ax, "field": "left"},
                    "x2": {"field": "right"},
                    "y": {**ay, "field": "bottom"},
                    "y2": {"field": "top"},
                    "color": tint,
                    "tooltip": [{"field": f, "type": "nominal"} for f in ("text", "draws")],
                },
            },
            {
                "mark": {"type": "text", "fontSize": 11, "color": INK},
                "encoding": {"x": {**ax, "field": "x"}, "y": {**ay, "field": "y"}, "text": {"field": "text"}},
            },
        ],
        cells,
    )
    order = [r["driver"] for r in weight]
    place: Spec = {
        "field": "driver",
        "type": "nominal",
        "sort": order,
        "axis": {"title": None, "grid": False, "labelColor": INK},
    }
    bars = base(
        46 + 34 * len(weight),
        [
            {
                "mark": {"type": "bar", "height": {"band": 0.6}},
                "encoding": {
                    "y": place,
                    "x": {
                        "field": "rank_correlation",
                        "type": "quantitative",
                        "scale": {"domain": [-1, 1]},
                        "axis": {"title": "rank correlation with profit over the draws", "tickCount": 5, "grid": True},
                    },
                    "color": {
                        "condition": {"test": "datum.rank_correlation < 0", "value": "#b5392d"},
                        "value": "#1b7f5f",
                    },
                },
            },
            {
                "mark": {"type": "rule", "color": SOFT},
                "data": {"values": [{}]},
                "encoding": {"x": {"datum": 0, "type": "quantitative"}},
            },
        ],
        weight,
    )
    first, rank = weight[0], next(i for i, r in enumerate(weight) if r["driver"] == DRIVERS["yield"])
    place_of_yield = "last" if rank == len(weight) - 1 else f"{_ordinal(rank + 1)} of {len(weight)}"
    title = f"Profit hangs most on the {first['driver']} (rank correlation {first['rank_correlation']:+.2f})"
    if rank:
        title += f"; die yield comes {place_of_yield} ({weight[rank]['rank_correlation']:+.2f})"
    return Picture(
        id="break-even",
        title=title,
        rows=[*cells, *weight],
        panels=(
            Panel(title="Share of draws in which the line earns money", spec=area),
            Panel(title="What profit hangs on", spec=bars),
        ),
        note=f"Left: draws sorted into cells of yield and price, {day_words(line.months[0])} to "
        f"{day_words(line.months[months.stop - 1])}; "
        "cells with fewer than five draws are left white. Right: how strongly each cause moves profit when all "
        "vary together.",
        marks=("fab", "ownership"),
    )


def _ordinal(n: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(n, f"{n}th")
