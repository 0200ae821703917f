"""What packaging has to work with by month: dies, memory, slots, and in which flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from scipy.special import expit, logit

from chipcast.base.calendar import month_index
from chipcast.base.draws import to_uniform
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.fab import stocks
from chipcast.fab.front import Front, passage
from chipcast.fab.product import products
from chipcast.fab.ramp import START

SCREENED = "latent:package_dual_die.screened"
"""Luck that decides the flow of the two-die part; a name of its own, so that reports can move it."""


def screened(given: Given) -> Array:
    """Return 1 where two-die packages are made of tested dies, 0 where assembly is blind. (draw)"""
    luck = to_uniform(given.normal(SCREENED))
    known_good = luck < given["package_dual_die.known_good_die_probability"]
    return np.where(known_good, 1.0, 0.0)


def _growing(level: Array, growth: Array, index: Array) -> Array:
    """Return a quantity that has `level` on average in 2025 and grows by the year. (month, draw)"""
    rate = np.log(growth) / 12
    scale = level / np.exp(rate * (np.arange(12)[:, None] - 5.5)).mean(axis=0)
    values: Array = scale * np.exp(rate * (index - START - 5.5)[:, None])
    return values


def dual_die_share(given: Given, index: Array) -> Array:
    """Return the share of packages that hold two dies: its value in mid 2025, drifting in logit. [1] (month, draw)"""
    g = given
    middle = np.clip(g["package_line.dual_die_share"], 1e-9, 1 - 1e-9)
    years = (index - START - 5.5)[:, None] / 12
    return np.asarray(expit(logit(middle) + g["package_line.dual_die_share_logit_per_year"] * years))


def supply(given: Given, months: Sequence[str], made: Front, *, controls: bool = True,
           closed: Mapping[str, date | str] | None = None, opened: Mapping[str, date | str] | None = None,
           orders: Array | None = None) -> tuple[stocks.Supply, Array]:
    """Return what packaging has to work with from January 2025 on, and the foreign dies in it. (month, draw)"""
    g = given
    index = np.array([month_index(m) for m in months])
    raw_in = made.out * made.gross
    foreign = np.zeros((len(months), g.draws))
    share = g["die_bank.good_share"]
    _, comes = passage(index, "foundry", closed, opened, controls=controls)
    if comes.any():
        foreign[comes] = g["no_controls.foreign_dies_per_year"] / 12 * share
    hbm_in = _growing(g["hbm_inflow.stacks_per_month"] * g["hbm_bank.ascend_share"], g["hbm_inflow.growth_per_year"],
                      index)
    shut, free = passage(index, "hbm", closed, opened, controls=controls)
    hbm_in[shut] *= g["hbm_inflow.domestic_share"]
    single, double = products(g)
    bank = g["die_bank.dies"] * (1 - g["die_bank.used_before_2025_share"])
    stacks_open = g["hbm_bank.stacks"] * g["hbm_bank.ascend_share"] * (1 - g["hbm_bank.used_before_2025_share"])
    capacity = _growing(g["package_line.capacity_per_month"], g["package_line.capacity_growth_per_year"], index)
    dual, home = dual_die_share(g, index), raw_in * made.yields.any
    return stocks.Supply(
        dies=bank * share, raw_dies=bank, stacks=stacks_open, dies_in=home + foreign,
        raw_dies_in=raw_in + foreign / share, stacks_in=hbm_in, capacity=capacity, dies_home=home,
        home_yield=made.yields.any, stock_limit=g["smic_n2.die_stock_months"] * capacity * (1 + dual), dual_share=dual,
        screened=screened(g), stacks_single=single.stacks, stacks_dual=double.stacks,
        free_memory=bool(free.any()), free_from=int(np.argmax(free)), orders=orders,
        free_until=None if free[-1] else len(free) - int(np.argmax(free[::-1])),
        pace_months=None if free.all() else g["hbm_bank.pace_months"],
        survive=(single.assembly_yield * single.system_yield, double.assembly_yield * double.system_yield)), foreign
