"""The market since 2022 in five stocks: what fits the filed quarters and forecasts the next ones.

A small model on purpose. It has the parts that a cut-off moves (need, cover under a fading threat, a capped seller,
a door that shuts, a redesign that fills the gap) and no others, so that a dozen filed quarters can say something
about each. What it shares with the simulator it shares by name: the rule of cover, the hazards that buyers fear and
their lag, and the share of the best cover that they build. Episodes share a common middle, from which each may stray.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chipcast.base.calendar import month_index, month_name
from chipcast.base.draws import to_uniform
from chipcast.base.laws import Law, law_of_row
from chipcast.base.types import Array
from chipcast.market import hoard
from chipcast.market.doors import EPISODES, FIRST, Doors

PHI, LEFT = "platform.cover_share_phi", "past.shut_share_left"
"""Parameters that each episode has of its own: the share of the best cover that is built, what a rule leaves over."""

NAMES = ("past.rest_usd_per_quarter", "past.need_usd_per_quarter", "past.boom_start_month",
         "past.need_growth_per_month",
         "past.capacity_usd_per_quarter", "past.capacity_growth_per_month", LEFT, "past.redesign_ramp_months",
         "past.lapse_share_per_month", "past.model_error_ln", PHI, "platform.hazard_lag_months",
         "market.shortage_cost_ratio", "market.holding_cost_per_month", "market.carrying_rate_per_year",
         "us_gate.closing_hazard_base_per_month", "us_gate.closing_hazard_after_threat_per_month",
         "us_gate.threat_rate_per_month", "us_gate.opening_hazard_per_month", "cn_gate.closing_hazard_per_month",
         "cn_gate.counter_block_probability")
"""Parameters by the names of their rows; all but the first six, lapse and error are rows of the simulator too."""

MEMORY = EPISODES
"""Place of the memory rush of 2024 among the episodes of `PHI`: it has a cover of its own and no door here."""

OWN = {PHI: EPISODES + 1, LEFT: EPISODES}
"""Parameters with a value for each episode, and how many episodes."""

UNKNOWNS = len(NAMES) + sum(OWN.values())
"""Standard normals behind a particle."""


def laws(rows: Sequence[Mapping[str, str]]) -> dict[str, Law]:
    """Return the laws of all rows by name, those of this model among them."""
    return {f"{r['item']}.{r['name']}": law_of_row(r["family"], float(r["low"]), float(r["mode"]), float(r["high"]),
                                                   f"{r['item']}.{r['name']}") for r in rows}


def own_normals(z: Array, name: str, weight: float) -> Array:
    r"""Return the normals of an episode parameter. [1] (episode, draw)

    Notes
    -----
    $z_e = \sqrt{1-w^2}\,z + w\,z'_e$: each episode alone has the law of the row, two of them correlate by $1-w^2$.
    """
    start = len(NAMES)
    for known, count in OWN.items():
        if known == name:
            own = z[start : start + count]
            return np.asarray(np.sqrt(1 - weight**2) * z[NAMES.index(name)] + weight * own)
        start += count
    raise KeyError(name)


def parameters(z: Array, law: Mapping[str, Law]) -> dict[str, Array]:
    """Return the parameters behind standard normals (unknown, draw); episode parameters are (episode, draw)."""
    weight = law["past.episode_own_weight"].middle
    return {name: law[name].at(to_uniform(own_normals(z, name, weight) if name in OWN else z[i]))
            for i, name in enumerate(NAMES)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """What the five stocks did."""

    revenue: Array
    """Revenue in China. [USD/month] (month, draw)"""
    ordered: Array
    """New orders. [USD/month] (month, draw)"""
    open_orders: Array
    """Orders not shipped, at the end of the month. [USD] (month, draw)"""


def best_cover(p: Mapping[str, Array], hazard: Array) -> Array:
    """Return the months of need that the rule of cover asks for at a hazard. [months] (draw)"""
    return np.asarray(hoard.cutoff(hazard, 1.0, p["market.shortage_cost_ratio"], p["market.holding_cost_per_month"],
                                   p["market.carrying_rate_per_year"]))


def play(p: Mapping[str, Array], doors: Doors, months: int) -> Past:
    """Return revenue and orders by month.

    Notes
    -----
    As in the reference chain: want = need + (cover x need - stock) / 3, shipped = min(backlog + want, cap), times the
    share of the door that is open; use draws down the stock. Cover is the share of the best one that buyers build, at
    the hazard they fear: base + belief x (hazard after a threat - base).
    """
    need0, cap0 = p["past.need_usd_per_quarter"] / 3, p["past.capacity_usd_per_quarter"] / 3
    belief, backlog, stock = np.zeros_like(need0), np.zeros_like(need0), np.zeros_like(need0)
    revenue, ordered, waiting = (np.empty((months, need0.size)) for _ in range(3))
    lag = -np.expm1(-1 / p["platform.hazard_lag_months"])
    base = p["us_gate.closing_hazard_base_per_month"]
    rise = np.maximum(p["us_gate.closing_hazard_after_threat_per_month"] - base, 0.0)
    phi, left = p[PHI], p[LEFT]
    for m in range(months):
        belief = belief + (doors.threat[m] - belief) * lag
        grown = np.log1p(p["past.need_growth_per_month"]) * np.maximum(m - p["past.boom_start_month"], 0.0)
        need = need0 * np.exp(grown)
        cap = cap0 * np.exp(np.log1p(p["past.capacity_growth_per_month"]) * m)
        open_share: Array | float = 1.0
        built: Array = phi[0]
        for e in range(EPISODES):
            shut = doors.since_shut[e, m]
            gained = -np.expm1(-np.maximum(doors.since_offer[e, m], 0.0) / p["past.redesign_ramp_months"])
            open_share = np.where(shut > 0, 1 - shut * (1 - (left[e] + (1 - left[e]) * gained)), open_share)
            if e + 1 < EPISODES:
                built = np.where(shut > 0, phi[e + 1], built)
        cover = built * best_cover(p, base + belief * rise)
        want = np.maximum(need + (cover * need - stock) / 3, 0.0)
        shipped = np.minimum(backlog + want, cap) * open_share
        # part of the orders that a shut door leaves behind lapses; the rest waits
        backlog = (backlog + want - shipped) * (1 - p["past.lapse_share_per_month"] * (1 - open_share))
        stock = np.maximum(stock + shipped - need, 0.0)
        revenue[m] = shipped + p["past.rest_usd_per_quarter"] / 3
        ordered[m], waiting[m] = want, backlog
    return Past(revenue=revenue, ordered=ordered, open_orders=waiting)


def rush_of_memory(p: Mapping[str, Array], months: Array) -> Array:
    """Return what an announced end makes buyers take at once, over all they took before. [1] (draw)

    With a known date the cover is that of certainty; before it, imports followed need for so many months.
    """
    grow = np.log1p(p["past.need_growth_per_month"])
    before = -np.expm1(-grow * months) / grow
    return np.asarray(p[PHI][MEMORY] * best_cover(p, np.ones_like(grow)) / before)


def quarters_of(months: int) -> tuple[str, ...]:
    """Return the last month of each whole fiscal quarter in so many months from `FIRST`."""
    start = month_index(FIRST)
    return tuple(month_name(start + 3 * k + 2) for k in range(months // 3))


def by_quarter(monthly: Array) -> Array:
    """Return sums of three months. (quarter, draw)"""
    whole = monthly.shape[0] // 3
    return np.asarray(monthly[: whole * 3].reshape(whole, 3, -1).sum(axis=1))
