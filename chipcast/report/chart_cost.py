"""Pictures of what a chip costs: step by step, the line's profit against its yield, with and without EUV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.summary import short
from chipcast.base.types import Array
from chipcast.fab.record import Line
from chipcast.report.form import SPREAD, five, line_at, sig, three
from chipcast.report.form_rows import ranges, waterfall
from chipcast.report.form_time import fan
from chipcast.report.record import Panel, Picture
from chipcast.report.theme import ACCENT, INK, day_words, wrapped

YEAR = 12
"""Months over which cost and profit are told. [months]"""


def cost(line: Line, steps: Sequence[Mapping[str, Any]]) -> Picture:
    """Draw the cost of one 910C step by step, and the line's profit against its yield with the break-even."""
    i = line.products.index("ascend-910c")
    months = slice(0, min(YEAR, len(line.months)))
    unit, price = line.unit_cost_usd[i, months].mean(axis=0), line.price_usd[i]
    rows = _waterfall(steps, float(np.median(price)))
    panels = []
    if rows:
        panels.append(Panel(title="What one good 910C costs", spec=waterfall(
            rows, label="step", x_title="USD per good package, median")))
    profit, share = line.profit_usd[months].mean(axis=0) / 1e6, line.yield_die_any[months].mean(axis=0)
    curve = _against(share, profit)
    even = crossing([r["yield"] for r in curve], [r["mid"] for r in curve])
    marks = line_at(0.0, tone=INK)
    if even is not None:
        marks += line_at(even, axis="x", text=f"break-even {even:.0%}", tone="#b5392d")
    spec = fan(curve, x="yield", x_kind="number", by="what", colours={"profit": ACCENT}, zero=False, height=250,
               y_title=f"million USD a month, {SPREAD}", x_title="sellable dies over dies on the wafer (die.any)",
               extra=marks)
    for part in spec["layer"]:
        x = part.get("encoding", {}).get("x", {})
        if x.get("field") == "yield":
            x["axis"] |= {"format": ".0%", "tickCount": 5}
    panels.append(Panel(title=f"Profit of the line, {span_words(line)}", spec=spec))
    made, wins = five(unit), float(np.mean(profit > 0))
    title = (f"One good 910C costs {short(made['mid'])} USD ({short(made['low'])} to {short(made['high'])}); "
             f"the line earns money in {wins:.0%} of the draws")
    if even is not None:
        title += f", more than half of those with a die yield above {even:.0%}"
    elif curve:
        title += f"; at every die yield from {curve[0]['yield']:.0%} to {curve[-1]['yield']:.0%} the median stays " + (
            "above zero" if curve[0]["mid"] > 0 else "below zero")
    return Picture(
        id="cost", title=title, panels=tuple(panels), rows=[*rows, *curve], marks=("fab", "ownership"), about=unit,
        note="Left: medians of the steps for one 910C of tested dies in the month of the date; untested dies cost "
        "more, and medians need not add up to the median of the sum. Right: draws sorted by their yield; the line is "
        "the median profit after fixed cost, the bands hold 50 and 90 percent.")


def span_words(line: Line) -> str:
    """Return the months over which cost and profit are told, in words."""
    return f"{day_words(line.months[0])} to {day_words(line.months[min(YEAR, len(line.months)) - 1])}"


def _waterfall(steps: Sequence[Mapping[str, Any]], price: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    total = 0.0
    for step in steps:
        spread = three(step["usd"])
        text = f"{spread['mid']:,.0f}"
        if spread["low"] != spread["high"]:
            text += f" ({spread['low']:,.0f} to {spread['high']:,.0f})"
        start, total = total, total + spread["mid"]
        rows.append({"step": wrapped(str(step["step"])), "start": sig(start, 6), "end": sig(total, 6),
                     "edge": sig(max(start, total), 6), "text": text, "tone": "step"})
    if rows:
        for name, value, tone in (("sum of the steps", total, "sum"),
                                  ("price of a card", price, "gain" if price > total else "loss")):
            rows.append({"step": name, "start": 0, "end": sig(value, 6), "edge": sig(value, 6),
                         "text": f"{value:,.0f}", "tone": tone})
    return rows


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
    quantities = [k for k in first if k != "route" and isinstance(first[k], Mapping | float | int)]
    tones = dict(zip((str(e["route"]) for e in entries), ("#b5392d", "#0072b2", "#009e73", "#7d8ca3"), strict=False))
    rows: list[dict[str, Any]] = []
    panels = []
    for name in quantities:
        share = "yield" in name or "share" in name
        spread: list[dict[str, Any]] = [
            {"route": str(e["route"]), "quantity": name, **three(e[name])} for e in entries if e.get(name) is not None]
        for r in spread:
            r["text"] = f"{r['mid']:.0%}" if share else short(r["mid"])
        rows += spread
        head, _, unit = ROUTE_TITLES.get(name, name.replace("_", " ")).partition(", ")
        panels.append(Panel(title=head[0].upper() + head[1:], spec=ranges(
            spread, label="route", by="route", colours=tones, percent=share, step=38,
            x_title=f"{unit}, {SPREAD}" if unit else SPREAD)))
    title = "The same chip patterned with and without EUV"
    key = next((n for n in quantities if n.startswith("wafer")), "")
    if key and len(entries) >= 2:
        by = {str(e["route"]): three(e[key])["mid"] for e in entries}
        without = next((r for r in by if "without" in r or "no" in r.lower().split() or "immersion" in r), "")
        other = next((r for r in by if r != without), "")
        if without and other and by[other] > 0:
            more = by[without] / by[other] - 1
            title = (f"Without EUV a wafer costs {abs(more):.0%} {'more' if more > 0 else 'less'} than with it, at "
                     "the median")
    return Picture(
        id="routes", title=title, panels=tuple(panels), rows=rows, legend=tuple(tones.items()), marks=("fab",),
        note="One dot per way: median, the line holds 90 percent of the draws. No adder of a real line is "
        "public: these are wide assumed ranges.")
