"""The honest number: simulate a future, plan again each quarter with what was seen, pay what it costs.

No order knows more than its quarter: scenarios are draws whose gates have behaved as seen so far and that are
nearest in need and speed; lots on the way may still be lost in each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from chipcast.base.errors import ChipcastError, require
from chipcast.base.types import Array
from chipcast.plan.problem import Problem, labels_by_date
from chipcast.plan.procure import Case
from chipcast.plan.value import Risk, solve_plan


@dataclass(frozen=True, kw_only=True, slots=True)
class Rolled:
    """Futures lived through with a plan made anew each quarter."""

    draws: npt.NDArray[np.intp]
    """Which futures. (future)"""
    costs: Array
    """Realised cost. [USD] (future)"""
    orders: Array
    """Units ordered. (offer, quarter, future)"""
    served: Array
    """Share of need served. [1] (future)"""
    failed_solves: int
    """Quarters in which no plan was found and nothing was ordered; they stay in the cost."""


def roll(case: Case, futures: npt.NDArray[np.intp], pool: npt.NDArray[np.intp], risk: Risk, *, scenarios: int = 30,
         tell: Callable[[int, int], None] | None = None) -> Rolled:
    """Live through futures, planning again each quarter.

    Parameters
    ----------
    futures : array
        Draws to live through; none of them may be in `pool`.
    pool : array
        Draws from which scenarios are taken.
    scenarios : int
        Scenarios of each quarter's plan.
    tell : callable, optional
        Called with futures done and in all.
    """
    require(not np.intersect1d(futures, pool).size, "futures", "be other draws than the pool", "an overlap")
    p = case.problem
    count, T = len(p.offers), len(p.quarters)
    costs, served = np.zeros(futures.size), np.zeros(futures.size)
    orders = np.zeros((count, T, futures.size))
    failed = 0
    for k, f in enumerate(futures):
        one = p.take(np.array([f]))
        spent = 0.0
        got = 0.0
        owned = np.zeros(len(p.stocks))
        for t in range(T):
            picks = consistent(case, int(f), t, pool, scenarios)
            here = _left(p, picks, t, orders[:, :t, k], owned, spent)
            try:
                now = solve_plan(here, labels_by_date(T - t, 1, here.size), 1, replace(risk, whole=True)).now()[:, 0]
            except ChipcastError:
                failed += 1
                now = np.zeros(count)
            allowed = one.order_cap[:, t, 0]
            orders[:, t, k] = np.where(allowed > 0, np.minimum(now, np.maximum(allowed, 0)), 0.0)
            spent += float(one.spend[:, t, 0] @ orders[:, t, k])
            owned = p.keep * owned + _arrivals(one, orders[:, : t + 1, k], t)
            cost, missing = _quarter(one, t, owned, orders[:, t, k])
            costs[k] += cost
            got += (float(one.need[t, 0]) - missing) * float(case.seconds[t])
        costs[k] -= float(one.final_value[:, 0] @ owned)
        served[k] = got / float((one.need[:, 0] * case.seconds).sum())
        if tell is not None:
            tell(k + 1, futures.size)
    return Rolled(draws=futures, costs=costs * p.money, orders=orders, served=served, failed_solves=failed)


def consistent(case: Case, future: int, t: int, pool: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """Return the draws of the pool that look most like a future up to quarter `t`.

    Gates must have the same history where such draws exist; among them the nearest in log need and in cards
    needed are taken.
    """
    gates = case.seen // 2
    same = (gates[: t + 1, pool] == gates[: t + 1, [future]]).all(axis=0) if t else np.ones(pool.size, dtype=bool)
    if same.sum() < max(count // 3, 2):
        same = gates[t, pool] == gates[t, future]
    if same.sum() < max(count // 3, 2):
        same = np.ones(pool.size, dtype=bool)
    kept: npt.NDArray[np.intp] = pool[same]
    p = case.problem
    looks = [np.log(p.need[t])] + ([p.rate[i, t] / (p.rate[i, t] + p.need[t]) for i in range(len(p.offers))]
                                   if t else [])
    table = np.stack(looks)
    spread = np.maximum(table[:, pool].std(axis=1, keepdims=True), 1e-9)
    distance = (((table[:, kept] - table[:, [future]]) / spread) ** 2).sum(axis=0)
    if t == 0:
        return kept[:count]
    nearest: npt.NDArray[np.intp] = np.sort(kept[np.argsort(distance, kind="stable")[:count]])
    return nearest


def _left(p: Problem, picks: npt.NDArray[np.intp], t: int, placed: Array, owned: Array, spent: float) -> Problem:
    """Return what is left of the problem at a quarter, with stock, lots on the way and money spent."""
    here = p.take(picks)
    T, S, C = len(p.quarters), here.size, len(p.stocks)
    inflow = np.zeros((C, T, S))
    inflow[:, t] += p.keep * owned[:, None]
    s = np.arange(S)
    for i, offer in enumerate(p.offers):
        for tau in range(t):
            if offer.stock < 0 or placed[i, tau] == 0:
                continue
            ready = tau + here.lead[i, tau]
            coming = (ready >= t) & (ready < T)
            inflow[offer.stock, ready[coming], s[coming]] += (placed[i, tau] * here.arrive[i, tau])[coming]
    offers = tuple(replace(o, first_block=0.0 if o.stock >= 0 and (owned[o.stock] > 0 or placed[i].any())
                           else o.first_block) for i, o in enumerate(p.offers))
    left = replace(here, inflow=inflow, offers=offers).from_quarter(t)
    return replace(left, budget=np.maximum(left.budget - spent, 0.0)) if p.pooled else left


def _arrivals(one: Problem, placed: Array, t: int) -> Array:
    """Return owned units that arrive in a quarter of one future. (stock)"""
    out = np.zeros(len(one.stocks))
    for i, offer in enumerate(one.offers):
        if offer.stock >= 0:
            ready = np.arange(placed.shape[1]) + one.lead[i, : placed.shape[1], 0]
            out[offer.stock] += float((placed[i] * one.arrive[i, : placed.shape[1], 0])[ready == t].sum())
    return out


def _quarter(one: Problem, t: int, owned: Array, ordered: Array) -> tuple[float, float]:
    """Return cost and missing service of a quarter: orders, upkeep of what is owned, tokens not served."""
    feeds = [next(i for i, o in enumerate(one.offers) if o.stock == c) for c in range(len(one.stocks))]
    used = [i for i, o in enumerate(one.offers) if o.stock < 0]
    service = float(one.rate[feeds, t, 0] @ owned) + float(one.rate[used, t, 0] @ ordered[used])
    missing = max(float(one.need[t, 0]) - service, 0.0)
    cost = float(one.order_cost[:, t, 0] @ ordered) + float(one.hold_cost[:, t, 0] @ owned)
    if one.api_cost is not None and one.api_cap is not None and one.api_cost[t, 0] < one.miss_cost[t, 0]:
        bought = min(missing, float(one.api_cap[t, 0]))
        cost, missing = cost + float(one.api_cost[t, 0]) * bought, missing - bought
    cost += float(one.miss_cost[t, 0]) * missing
    return cost, missing


__all__ = ["Rolled", "consistent", "roll"]
