"""What buyers may spend: platforms by the capital spending that they publish, others by assumed ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chipcast.base.calendar import month_index, quarter_name
from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.market.filed import walk
from chipcast.market.record import Market

NAMED = ("capex_tencent", "capex_alibaba")
"""History of the platforms that publish their capital spending quarter by quarter."""

PLATFORM = "platform"
"""Buyer class of the platforms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Capex:
    """Capital spending of the platforms that publish it, as known by a date."""

    quarters: Mapping[str, tuple[str, float]]
    """Series -> (last quarter known, its capital spending). [CNY/quarter]"""
    end: str
    """Month in which the older of the last quarters ended."""

    @property
    def cny(self) -> float:
        """Capital spending of the last known quarters together. [CNY/quarter]"""
        return sum(value for _, value in self.quarters.values())


def published(given: Given) -> Capex:
    """Return the last known quarter of each platform that publishes its capital spending.

    Raises
    ------
    InputError
        If one of them had published none by the date.
    """
    last: dict[str, tuple[str, float]] = {}
    for r in given.catalog.rows("history"):
        if r["series"] in NAMED and r["date"] > last.get(r["series"], ("", 0.0))[0]:
            last[r["series"]] = (r["date"], float(r["value"]))
    if len(last) < len(NAMED):
        raise InputError("no capital spending of the platforms is known by the date; use a later --as-of")
    end = min(f"{q[:4]}-{3 * int(q[-1]):02d}" for q, _ in last.values())
    return Capex(quarters=last, end=end)


def budgets(given: Given, segments: Sequence[str]) -> Array:
    """Return what each buyer class may spend on accelerator systems. [USD/month] (segment, draw)

    Notes
    -----
    Platforms: capital spending of those that publish it, times that of all over theirs, times the part that goes into
    accelerator systems. No total is published for the others, so their range is assumed.
    """
    named = published(given).cny / given["ownership.cny_per_usd"]
    whole = named * given["platform.capex_over_named"] * given["platform.capex_accelerator_share"]
    return np.stack([(whole if s == PLATFORM else given[f"{s}.budget_usd_per_quarter"]) / 3 for s in segments])


def named_capex(given: Given, market: Market) -> dict[str, Array]:
    """Return the capital spending of the platforms that publish it, by calendar quarter of the run. [USD] (draw)

    What the model has them spend on accelerator systems, and beside it their other capital spending, which walks in
    logs from the last quarters known: halls, machines of other kinds and networks stop for no chip. The first quarter
    counts if it lacks no more than a month, which stands at the last quarters known.
    """
    known = published(given)
    named = known.cny / given["ownership.cny_per_usd"]
    other = named * (1 - given["platform.capex_accelerator_share"])
    path = walk(given, "forecast:platform_capex", known.end, market.months,
                given["platform.capex_rest_spread_ln_per_quarter"] / np.sqrt(3)) * (other / 3)
    system = given["ownership.server_factor"] * (1 + given["ownership.network_share"])
    spent = np.asarray(market.spent_usd[market.segments.index(PLATFORM)], dtype=np.float64) * system \
        / given["platform.capex_over_named"]
    at: dict[str, list[int]] = {}
    for i, month in enumerate(market.months):
        at.setdefault(quarter_name(month), []).append(i)
    early = month_index(market.months[0]) % 3
    return {q: (spent[i] + path[i]).sum(axis=0) + (early * named / 3 if i[0] == 0 else 0.0)
            for q, i in at.items() if len(i) + (early if i[0] == 0 else 0) == 3 and len(i) >= 2}
