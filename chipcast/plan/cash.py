"""What a plan costs year by year, and what of it is at stake from today: the page of a chief financial officer."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.summary import interval, short
from chipcast.base.types import Array
from chipcast.plan.judge import Judged
from chipcast.plan.problem import Problem
from chipcast.plan.rivals import ported

KINDS = ("systems bought", "rent, lease and API", "power, space, people and upkeep", "need left unserved, as valued")
"""Kinds of cost in the order of a page; the first two are cash of the day, the others are discounted."""


def by_quarter(p: Problem, judged: Judged) -> dict[str, Array]:
    """Return what a plan costs in each quarter and future, by kind. [USD] (quarter, draw)"""
    zero = np.zeros_like(p.need)
    bought = (p.spend[p.owned] * judged.orders[p.owned]).sum(axis=0) if p.owned else zero
    others = (p.spend[p.used] * judged.orders[p.used]).sum(axis=0) if p.used else zero
    if p.api_spend is not None:
        others = others + p.api_spend * judged.api
    running = (p.hold_cost * judged.owned).sum(axis=0)
    return {kind: v * p.money for kind, v in zip(KINDS, (bought, others, running, p.miss_cost * judged.missing),
                                                 strict=True)}


def cash(p: Problem, judged: Judged, decide: int) -> dict[str, Any]:
    """Return the costs of a plan by year with their intervals, the budget that is used, and what is at stake now.

    Returns
    -------
    dict
        `years`; `by_year`, kind -> intervals with their mean, one for each year and one for all [USD];
        `porting_usd`, bringing chip types into service; `budget_usd` and `budget_used`, an interval [USD];
        `committed_usd`, orders of now at their middle price; `lost_usd`, what is paid for orders of now that a gate
        keeps from being shipped, and `lost_chance`, in how many futures that is anything.
    """
    quarters = by_quarter(p, judged)
    years = [q[:4] for q in p.quarters]
    names = list(dict.fromkeys(years))
    at = [[t for t, y in enumerate(years) if y == name] for name in names] + [list(range(len(years)))]
    cells = {kind: [_with_mean(v[rows].sum(axis=0)) for rows in at] for kind, v in quarters.items()}
    used = quarters[KINDS[0]] + quarters[KINDS[1]]
    owned = p.owned
    now = judged.orders[owned, :decide] * p.spend[owned, :decide] * p.money
    lost = ((1 - p.arrive[owned, :decide]) * now).sum(axis=(0, 1))
    shipped = np.where(p.arrive[owned, :decide] > 0, now, np.nan)
    # What ships in no future at all commits its deposit only.
    full = np.where(np.isnan(shipped).all(axis=-1), now.mean(axis=-1), _middle(shipped)) if owned else np.zeros(1)
    return {"years": [*names, "all"], "by_year": cells,
            "porting_usd": _with_mean(ported(p, judged.orders) * p.money),
            "budget_usd": float(p.budget[0]) * p.money, "budget_used": _with_mean(used.sum(axis=0)),
            "committed_usd": float(full.sum()),
            "lost_usd": _with_mean(lost), "lost_chance": float((lost > 0).mean())}


COUNTED = "Systems, rent and API: cash when ordered or used, as they count against the budget; the rest is " \
    "discounted. Resale is not counted here."
"""How the kinds are counted."""


def at_stake(found: dict[str, Any]) -> str:
    """Return in words what of the budget is used, and what is at stake from today."""
    used, lost = found["budget_used"], found["lost_usd"]
    text = f"Of the budget of {short(found['budget_usd'])} USD {short(used['mean'])} are used in the mean " \
           f"({short(used['p05'])} to {short(used['p95'])}); bringing chip types into service takes " \
           f"{short(found['porting_usd']['mean'])} USD on top."
    if found["committed_usd"] <= 0:
        return text + " Nothing is bought now."
    text += f" Bought now: {short(found['committed_usd'])} USD"
    if found["lost_chance"] == 0:
        return text + "; no gate can keep it from shipping."
    return text + f"; in {found['lost_chance']:.0%} of futures a gate shuts before all of it ships, which costs " \
                  f"deposits: {short(lost['mean'])} USD in the mean, {short(lost['p95'])} or more in one of twenty."


def _middle(values: Array) -> Array:
    """Return the median over futures that are numbers; 0 where none is. (..., draw) -> (...)"""
    order = np.sort(values, axis=-1)          # not-a-number sorts last
    count = np.isfinite(values).sum(axis=-1)
    at = np.maximum((count - 1) // 2, 0)[..., None]
    out: Array = np.where(count > 0, np.take_along_axis(order, at, axis=-1)[..., 0], 0.0)
    return out


def _with_mean(values: Array) -> dict[str, float]:
    return interval(values) | {"mean": float(values.mean())}
