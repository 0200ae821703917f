"""What must hold if a line earns money for the first time between two yields: one unknown per reading of the sentence.

The sentence does not say whose profit, on which costs, or in which flow; a break-even yield is never printed as a
fact, the unknown of each reading is solved and its plausibility stated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.base.summary import interval
from chipcast.base.types import Array
from chipcast.fab.cost import Deal, break_even, transfer_price
from chipcast.fab.product import Product, product
from chipcast.fab.record import Line


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One meaning of the sentence and the number it needs."""

    id: str
    """Short name."""
    meaning: str
    """What the sentence would mean."""
    unknown: str
    """What is solved for, with its unit."""
    at_low: Array
    """Value at which profit is zero at the higher yield. (draw)"""
    at_high: Array
    """Value at which profit is zero at the lower yield. (draw)"""
    plausible: float
    """Probability that the assumed range of the unknown lies between the two; nan where nothing is assumed."""
    note: str
    """What speaks against it, or what it leaves open."""

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` carries."""
        return {"id": self.id, "meaning": self.meaning, "unknown": self.unknown, "from": interval(self.at_low),
                "to": interval(self.at_high), "plausible": self.plausible, "note": self.note}


def readings(given: Given, line: Line, profits: tuple[Array, Array], low: float, high: float) -> tuple[Reading, ...]:
    """Return the readings of "profitable for the first time at `high`, not at `low`".

    Parameters
    ----------
    given, line
        Numbers and the line on the same draws.
    profits : two arrays (draw)
        Profit of the product line a year at the two yields, fixed cost taken. [USD/year]
    low, high : float
        The two yields.
    """
    g, dual = given, product(given, "ascend-910c")
    fixed = 12 * line.fixed_cost_usd_per_month
    f_low, f_high = profits[0] + fixed, profits[1] + fixed
    pay = [transfer_price(line.wafer_cost_usd, line.gross_dies, y, line_yield=g["smic_n2.line_yield"])
           for y in (high, low)]
    start = _per_start(g, line, dual)
    p_high, p_low = start / high / dual.system_yield, start / low / dual.system_yield
    even = np.asarray(break_even(_deal(g, line, dual), "die_yield"))
    return (
        Reading(id="product-line", meaning="the product line covers its fixed cost, dies screened",
                unknown="fixed cost, USD a year", at_low=f_low, at_high=f_high,
                plausible=_between(fixed, f_low, f_high),
                note="needs a fixed cost between what the line earns before it at the two yields"),
        Reading(id="foundry-per-good-die", meaning="a foundry paid per good die earns its wafer price",
                unknown="transfer price, USD per good die", at_low=pay[0], at_high=pay[1], plausible=float("nan"),
                note="nobody outside knows the transfer price; the statement then says nothing of the product"),
        Reading(id="billing", meaning="billing changed from per wafer to per good die",
                unknown="none: who bears the scrap", at_low=np.zeros(g.draws), at_high=np.zeros(g.draws),
                plausible=float("nan"), note="no statement on the process at all"),
        Reading(id="blind-unit-cost", meaning="unit cost alone, dies assembled untested, yield of packages",
                unknown="price of a 910C, USD", at_low=p_high, at_high=p_low,
                plausible=_between(dual.price_usd, p_high, p_low),
                note="against it: it burns nearly twice the memory"),
        Reading(id="screened-unit-cost", meaning="unit cost alone, dies screened",
                unknown="break-even die yield, 1", at_low=even, at_high=even,
                plausible=float(np.mean((even >= low) & (even <= high))),
                note="at street prices the break-even lies far below the lower yield"),
    )


def _between(value: Array, low: Array, high: Array) -> float:
    return float(np.mean((value >= low) & (value <= high)))


def _per_start(g: Given, line: Line, item: Product) -> Array:
    """Return the cost of one package started with untested dies. [USD] (draw)"""
    total: Array = (item.dies * line.wafer_cost_usd / line.gross_dies / g["smic_n2.line_yield"] + item.memory_usd
                    + item.package_usd)
    return total


def _deal(g: Given, line: Line, item: Product) -> Deal:
    return Deal(price_usd=item.price_usd, wafer_usd=line.wafer_cost_usd, gross_dies=line.gross_dies, die_yield=0.5,
                other_usd=item.memory_usd + item.package_usd, assembly_yield=item.assembly_yield, dies=item.dies,
                line_yield=g["smic_n2.line_yield"], test_usd=item.die_test_usd, board_usd=item.board_usd,
                system_yield=item.system_yield)
