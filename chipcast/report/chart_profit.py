"""The picture of break-even: where the line earns money, and what decides it."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.types import Array
from chipcast.fab.record import Line
from chipcast.report.chart_cost import YEAR, span_words
from chipcast.report.driver import rank_correlation
from chipcast.report.form import sig
from chipcast.report.form_plane import cell_map, cells
from chipcast.report.form_rows import signed_bars
from chipcast.report.record import Panel, Picture
from chipcast.report.theme import ordinal

DRIVERS = {
    "price": "price of a 910C",
    "packages": "number of packages",
    "yield": "die yield",
    "unit cost": "cost of a 910C",
    "fixed cost": "fixed cost",
    "wafer": "price of a wafer",
}


FLOWS = {"with tested dies": 1.0, "with untested dies": 0.0}
"""Ways of assembly of the 910C in words, by what `screened` of the line says."""

FEWEST = 60
"""Draws that a way of assembly needs for a map of its own. [draws]"""


def drivers(line: Line) -> dict[str, Array]:
    """Return what may decide the profit of the line, each over draws, means of the first year where it moves."""
    months = slice(0, min(YEAR, len(line.months)))
    i = line.products.index("ascend-910c")
    return {"price": line.price_usd[i], "packages": line.packages[:, months].sum(axis=(0, 1)),
            "yield": line.yield_die_any[months].mean(axis=0),
            "unit cost": np.nanmean(line.unit_cost_usd[i, months], axis=0),
            "fixed cost": line.fixed_cost_usd_per_month, "wafer": line.wafer_cost_usd}


def break_even(line: Line) -> Picture:
    """Draw where the line earns money, by die yield with price and with fixed cost, and what decides its profit."""
    profit = line.profit_usd[slice(0, min(YEAR, len(line.months)))].mean(axis=0)
    by = drivers(line)
    maps, panels, told = [], [], []
    price, fixed = ("price", "price of a 910C, thousand USD", 1e3), (
        "fixed cost", "fixed cost of the line, million USD a month", 1e6)
    for (name, words, scale), flow, here in (
            *((price, word, line.screened == value) for word, value in FLOWS.items()),
            (fixed, "", np.ones(profit.shape, dtype=bool))):
        area = cells(by["yield"][here], by[name][here] / scale, profit[here] > 0) if np.ptp(by[name]) > 0 and (
            here.sum() >= FEWEST) else []
        if flow and here.sum() >= FEWEST:
            told.append(f"{np.mean(profit[here] > 0):.0%} {flow}")
        if not area:
            continue
        maps += [{"map": name, "flow": flow, **c} for c in area]
        head = f"{flow[:1].upper()}{flow[1:]}: share" if flow else "Share"
        panels.append(Panel(title=f"{head} of draws that earn money, by yield and {name}", spec=cell_map(
            area, x_title="sellable dies over dies on the wafer (die.any)", y_title=words, x_percent=True)))
    weight: list[dict[str, Any]] = [
        {"driver": DRIVERS[k], "rank_correlation": sig(rank_correlation(v, profit), 3)} for k, v in by.items()]
    weight.sort(key=lambda r: -abs(r["rank_correlation"]))
    panels.append(Panel(title="What profit hangs on", spec=signed_bars(
        weight, label="driver", value="rank_correlation", domain=(-1, 1),
        x_title="rank correlation with profit over the draws")))
    first, rank = weight[0], next(i for i, r in enumerate(weight) if r["driver"] == DRIVERS["yield"])
    place = "last" if rank == len(weight) - 1 else f"{ordinal(rank + 1)} of {len(weight)}"
    title = f"Profit hangs most on the {first['driver']} (rank correlation {first['rank_correlation']:+.2f})"
    if rank:
        title += f"; die yield comes {place} ({weight[rank]['rank_correlation']:+.2f})"
    if len(told) > 1:
        title += f"; the line earns money in {' and '.join(told)} of the draws"
    return Picture(
        id="break-even", title=title, rows=[*maps, *weight], panels=tuple(panels), marks=("fab", "ownership"),
        about=profit,
        note=f"Maps: draws sorted into cells, {span_words(line)}; white in a cell means an even chance, cells with "
        "fewer than five draws are left out; by price one map per way of assembly of the 910C: dies tested first, or "
        "packages assembled blind. Bars: how strongly each cause moves profit when all vary together.")
