"""What the stations compute for each quantity that a report may speak of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from chipcast.base.calendar import month_range
from chipcast.base.draws import to_uniform
from chipcast.base.errors import InputError
from chipcast.base.given import Given, Row
from chipcast.base.laws import point
from chipcast.base.types import Array
from chipcast.evidence.reports import Observation
from chipcast.fab import front, line, package, product, ramp, supply
from chipcast.fab.record import PRODUCTS

FLOW_BEFORE = "latent:package_dual_die.screened_a_year_earlier"
"""Luck that decides whether the flow of the two-die part changed between 2024 and 2025."""

CHANGE = "2025-01"
"""Reports on months before this one see the flow of the year before."""

Found = dict[tuple[str, str, str], Array]


def quantities(given: Given, reports: Sequence[Observation]) -> Found:
    """Return (series, period, reading) -> value per draw for everything these reports speak of.

    Yields come from the ramp at the month, by definition; counts of 2024 from the year before, later ones from the
    line without sudden collapses (they are luck after the date, no cause of a report).
    """
    out: Found = {}
    months = sorted({o.period for o in reports if o.is_yield})
    if months:
        out.update(yields(given, months))
    years = sorted({o.period[:4] for o in reports if not o.is_yield})
    later = [y for y in years if y > "2024"]
    if later:
        out.update(years_later(given, later))
    elif "2024" in years:
        out.update(year_2024(given))
    for o in reports:
        if (o.series, o.period) not in {(s, p) for s, p, _ in out}:
            raise InputError(f"report '{o.id}' speaks of {o.series} in {o.period}, which no station computes; "
                             "give a month YYYY-MM for a yield and a year from 2024 on for a count")
    return out


def yields(given: Given, months: Sequence[str]) -> Found:
    """Return yields by series, month and reading. [1] (draw)"""
    d0 = ramp.d0_path(given, list(months), excursions=False)
    by_definition = front.die_yields(given, d0)
    single, dual = product.products(given)
    now, before = supply.screened(given), screened_before(given)
    out: Found = {}
    for k, month in enumerate(months):
        low, perfect = by_definition.any[k], by_definition.perfect[k]
        blind = package.all_good(low, dual.dies) * dual.assembly_yield
        for series, item in (("smic_ai_die_yield", single), ("910b.yield", single), ("910c.yield", dual)):
            out[(series, month, "die.any")] = low
            out[(series, month, "die.perfect")] = perfect
            out[(series, month, "through")] = low * item.assembly_yield
            out[(series, month, "blind")] = blind if item is dual else low * item.assembly_yield
        out[("910c.assembly_yield", month, "assembly")] = dual.assembly_yield
        out[("screened", month, "")] = now if month >= CHANGE else before
    return out


def screened_before(given: Given) -> Array:
    """Return 1 where the two-die part of 2024 was made of tested dies. (draw)

    Where it is screened in 2025, it was a year before too with the weight of a process gain against that of a
    change of flow; where it is blind in 2025, it was blind before.
    """
    stayed, changed = given["yield_story.process_gain_screened_weight"], given["yield_story.flow_change_weight"]
    kept = to_uniform(given.normal(FLOW_BEFORE)) < stayed / (stayed + changed)
    return supply.screened(given) * kept


def year_2024(given: Given, made: front.Front | None = None) -> Found:
    """Return the counts of 2024 and the banks at its end. (draw)"""
    return _counts_2024(given, line.year_before(given, made))


def _counts_2024(given: Given, last: Mapping[str, Array]) -> Found:
    return {
        ("huawei_910b_cards", "2024", "count"): last[PRODUCTS[0]],
        ("huawei_910c_packages", "2024", "count"): last[PRODUCTS[1]],
        ("huawei_ascend_cards", "2024", "count"): last[PRODUCTS[0]] + last[PRODUCTS[1]],
        ("ascend_dies", "2024", "count"): last["dies_used"],
        ("foreign_dies", "2024", "count"): given["die_bank.dies"],
        ("hbm_stacks_imported", "2024", "count"): given["hbm_bank.stacks"],
    }


def years_later(given: Given, years: Sequence[str]) -> Found:
    """Return the counts of 2024 and of later years from one run of the line. (draw)

    The pipeline of both years is followed once; nothing is priced.
    """
    calm = given.with_rows([_still(given.row("ramp.excursions_per_year"))])
    months = month_range(line.FIRST, f"{max(years)}-12")
    whole = front.front(calm, (*line.YEAR_BEFORE, *months))
    last = line.year_before(calm, whole.months(slice(0, len(line.YEAR_BEFORE))))
    made = whole.months(slice(len(line.YEAR_BEFORE), None))
    ready, _ = supply.supply(calm, months, made)
    flow, packages = line.packed(calm, ready, last)
    out = _counts_2024(calm, last)
    for year in years:
        inside = [k for k, m in enumerate(months) if m.startswith(year)]
        cards = packages[:, inside].sum(axis=1)
        out[("huawei_910b_cards", year, "count")] = cards[0]
        out[("huawei_910c_packages", year, "count")] = cards[1]
        out[("huawei_ascend_cards", year, "count")] = cards.sum(axis=0)
        others = 4 * calm["domestic_other.cards_per_quarter"]
        out[("huawei_share_of_china_cards", year, "count")] = cards.sum(axis=0) / (cards.sum(axis=0) + others)
        out[("ascend_dies", year, "count")] = flow.dies_used[inside].sum(axis=0)
        out[("smic_ai_wafer_starts_per_month", year, "count")] = made.starts[inside].mean(axis=0)
    return out


def _still(row: Row) -> Row:
    """Return the row of the rate of collapses, set to none."""
    return Row(name=row.name, law=point(0.0), unit=row.unit, kind=row.kind, source=row.source, why=row.why)


def reading_luck(given: Given) -> Array:
    """Return the uniform by which each draw takes the word yield in one of its readings. (draw)"""
    return cast(Array, np.asarray(to_uniform(given.normal("latent:reading"))))
