"""Simpler plans that a plan must beat, and the plan's own neighbours that it is tried against."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from chipcast.base.types import Array
from chipcast.plan.judge import Judged, carry_out, policy_of, recourse
from chipcast.plan.problem import Problem
from chipcast.plan.value import First, Fixed, Risk, Solved, functional

Nodes = npt.NDArray[np.intp]
"""Node of the tree in which each future finds itself. (quarter, scenario)"""


def simple_plans(p: Problem, decide: int) -> dict[str, First]:
    """Return the here-and-now orders of rules of thumb; what is not a chip to own is left free (not-a-number).

    Notes
    -----
    `wait` orders nothing. `need_only` orders the chip with the lowest price per token for the mean need at its
    arrival. `hoard_all` orders foreign chips, or the cheapest if there are none, for the mean need of the last
    quarter. All at the day's price within the mean budget, in whole servers and first blocks, in the first quarter.
    """
    free = np.full((len(p.offers), decide), np.nan)
    nothing = free.copy()
    nothing[p.owned] = 0.0
    unsigned = np.zeros(len(p.offers))
    mean = p.weight
    price = p.spend[:, 0] @ mean
    rate = p.rate[:, 0] @ mean
    legal = [i for i in p.owned if (p.order_cap[i, 0] > 0).any() and rate[i] > 0 and not p.offers[i].signed]
    out = dict.fromkeys(("wait", "need_only", "hoard_all"), nothing)
    if decide and legal:
        cheapest = min(legal, key=lambda i: price[i] / rate[i])
        foreign = [i for i in legal if not p.offers[i].domestic] or legal
        hoard = min(foreign, key=lambda i: price[i] / rate[i])
        arrival = int(np.clip(np.median(p.lead[cheapest, 0]), 0, len(p.quarters) - 1))
        for name, i, t in (("need_only", cheapest, arrival), ("hoard_all", hoard, len(p.quarters) - 1)):
            grown = float((p.rate[i, t] * mean).sum())
            units = max(float(p.need[t] @ mean) / max(grown, 1e-12), p.offers[i].first_block)
            lot = max(p.offers[i].lot, 1e-9)
            most = min(float(p.budget[0] / price[i]), float(p.order_cap[i, 0].max()), _room_for(p, i))
            units = min(np.ceil(units / lot - 1e-9), np.floor(most / lot + 1e-9)) * lot
            out[name] = _with_quota(p, nothing, i, units, price, rate)
    return {name: First(orders=orders, signed=unsigned) for name, orders in out.items()}


def _room_for(p: Problem, i: int) -> float:
    """Return how many cards of an offer its site can take."""
    stock = p.offers[i].stock
    most = np.inf
    if p.power is not None and p.power_limit is not None:
        most = min(most, float(np.atleast_2d(p.power_limit)[p.sites[stock]].min() / p.power[stock]))
    if p.space is not None and p.space_limit is not None:
        most = min(most, float(p.space_limit[p.sites[stock]] / p.space[stock]))
    return most


def _with_quota(p: Problem, nothing: Array, i: int, units: float, price: Array, rate: Array) -> Array:
    """Return an order of one chip, with the domestic share that the quota asks for in whole first blocks."""
    out, quota = nothing.copy(), 0.0 if p.min_domestic is None else float(p.min_domestic[0])
    home = [k for k in p.owned if p.offers[k].domestic and (p.order_cap[k, 0] > 0).any() and rate[k] > 0
            and not p.offers[k].signed]
    if quota > 0 and not p.offers[i].domestic:
        if not home or units < p.offers[i].first_block:
            return out
        k = min(home, key=lambda j: price[j] / rate[j])
        lot = max(p.offers[k].lot, 1e-9)
        local = max(np.ceil(quota / (1 - quota) * units / lot - 1e-9) * lot, p.offers[k].first_block) \
            if quota < 1 else p.offers[k].first_block
        out[k, 0] = local
        units = 0.0 if quota >= 1 else units
        if local * price[k] + units * price[i] > p.budget[0]:
            return nothing.copy()
    out[i, 0] = units if units >= p.offers[i].first_block else 0.0
    return out


def neighbours(p: Problem, now: First) -> dict[str, First]:
    """Return the decision with a lot more and a lot less of each chip that it orders at once, and with a type less."""
    out = _fewer_types(p, now)
    for i in p.owned:
        lot, block = p.offers[i].lot, p.offers[i].first_block
        if now.orders.shape[1] and now.orders[i, 0] > 0 and not p.offers[i].signed:
            more, less = now.orders.copy(), now.orders.copy()
            more[i, 0] += lot
            less[i, 0] = now.orders[i, 0] - lot if now.orders[i, 0] - lot >= block else 0.0
            out |= {f"a lot more {i}": First(orders=more, signed=now.signed),
                    f"a lot less {i}": First(orders=less, signed=now.signed)}
    return out


def _fewer_types(p: Problem, now: First) -> dict[str, First]:
    """Return the decision without each chip type of the several that it orders now, its service moved to the largest.
    """
    rate = p.rate[:, 0] @ p.weight
    serves: dict[str, float] = {}
    for i in p.owned:
        units = float(now.orders[i].sum())
        if units > 0:
            serves[p.offers[i].chip] = serves.get(p.offers[i].chip, 0.0) + units * float(rate[i])
    out: dict[str, First] = {}
    for chip in serves if len(serves) > 1 else ():
        largest = max((i for i in p.owned if p.offers[i].chip != chip), key=lambda i: now.orders[i].sum() * rate[i])
        orders, signed = now.orders.copy(), now.signed.copy()
        gone = [i for i in p.owned if p.offers[i].chip == chip]
        orders[gone], signed[gone] = 0.0, 0.0
        lot = max(p.offers[largest].lot, 1e-9)
        more = np.ceil(serves[chip] / max(float(rate[largest]), 1e-12) / lot - 1e-9) * lot
        orders[largest, 0] += more
        if p.offers[largest].signed:
            signed[largest] = max(signed[largest], orders[largest].sum())
        out[f"a lot of fewer types, without {chip}"] = First(orders=orders, signed=signed)
    return out


def ported(p: Problem, orders: Array) -> Array:
    """Return what it costs to bring into service each chip type that is ordered, at its first order. [money] (scenario)

    Parameters
    ----------
    orders : array
        Units. (offer, quarter, scenario)
    """
    out = np.zeros(orders.shape[-1])
    if p.porting is None:
        return out
    s = np.arange(orders.shape[-1])
    for chip in dict.fromkeys(o.chip for o in p.offers):
        at = [i for i, o in enumerate(p.offers) if o.chip == chip]
        used = (orders[at] > LEAST_USED).any(axis=0)
        out += np.where(used.any(axis=0), p.porting[at[0], used.argmax(axis=0), s], 0.0)
    return out


LEAST_USED = 1e-6
"""An order of fewer cards is none. [cards]"""


def with_porting(p: Problem, judged: dict[str, Judged]) -> dict[str, Judged]:
    """Return what happened with the cost of bringing chip types into service on top.

    The program itself knows that cost only as a limit on chip types: as a price it would need a switch for each type in
    each future. It counts wherever plans are compared.
    """
    return {name: replace(j, costs=j.costs + ported(p, j.orders)) for name, j in judged.items()}


def judge(fixed: Fixed, plans: dict[str, First], fresh: Problem, nodes: Nodes | None) -> dict[str, Judged]:
    """Return what happens to each here-and-now decision in fresh futures.

    Parameters
    ----------
    nodes : array, optional
        Node of the tree of each fresh future; None where later orders know everything.
    """
    if nodes is None:
        return with_porting(fresh, recourse(fresh, fixed.decide, plans, at_cut="commit_and_lose"))
    return with_porting(fresh, {name: carry_out(fresh, policy_of(fixed.at(first)), nodes)
                                for name, first in plans.items()})


def fits(p: Problem, first: First) -> bool:
    """Return whether orders keep caps, room and the quota of the first quarters; the budget is judged softly."""
    now = np.where(np.isnan(first.orders), 0.0, first.orders)
    cap = p.order_cap[:, : now.shape[1]].max(axis=-1)
    if (now > cap + 1e-9).any():
        return False
    if p.min_domestic is None:
        return True
    own = p.owned
    home = np.array([p.offers[i].domestic for i in own])
    return bool((now[own][home].sum(axis=0) >= p.min_domestic[: now.shape[1]] * now[own].sum(axis=0) - 1e-9).all())


def still(fixed: Fixed) -> Fixed:
    """Return the program in which nothing is ordered after the decision date: what comes short is left to an API."""
    cap = fixed.p.order_cap.copy()
    cap[:, fixed.decide:] = 0.0
    return Fixed(replace(fixed.p, order_cap=cap), fixed.labels, fixed.decide, fixed.risk)


def improve(solved: Solved, fixed: Fixed, mean: First, trial: Problem, nodes: Nodes | None, risk: Risk,
            ) -> tuple[First, str, Fixed]:
    """Try the plan's here-and-now orders against near and simple ones on futures it has not seen; keep the best.

    A program on a hundred futures fits their luck, in the tail most of all; trial futures are neither those of the
    program nor those of the judge.

    Returns
    -------
    first, name, fixed
        The orders that did best, where they come from, and the program of what follows them.
    """
    p, now = solved.problem, solved.first()
    tried = {"program": now, "mean_value": mean, **simple_plans(p, solved.decide), **neighbours(p, now)}
    filled = {k: First(orders=np.where(np.isnan(v.orders), now.orders, v.orders), signed=v.signed)
              for k, v in tried.items()}
    judged = judge(fixed, {k: v for k, v in filled.items() if k == "program" or fits(p, v)}, trial, nodes)
    calm = None
    if p.api_cost is not None and nodes is not None:
        # Orders that a small program likes may lose to the plainest course: an API and nothing else.
        calm = still(fixed)
        nothing = First(orders=np.zeros_like(now.orders), signed=np.zeros_like(now.signed))
        filled["api"] = nothing
        judged["api"] = judge(calm, {"api": nothing}, trial, nodes)["api"]
    even = np.full(trial.size, 1 / trial.size)
    value = {k: functional(j.costs, even, risk) for k, j in judged.items()}
    best = min(value, key=lambda k: (value[k], k != "program"))
    if best == "program":
        return now, "program", fixed
    return filled[best], "a near one" if best.startswith("a lot") else best, calm if best == "api" and calm else fixed
