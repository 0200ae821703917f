"""What happens to a plan in futures it has not seen.

Two judges. Under `regimes` a plan is a policy: orders by node of the tree, in whole servers, carried out in
each fresh future by what can be seen there; nothing is solved again. Under `date` the here-and-now orders are
fixed and the rest is done as well as can be with all news, which flatters every plan alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipcast.base.types import Array
from chipcast.plan.labels import Labels, labels_by_date
from chipcast.plan.problem import Problem
from chipcast.plan.value import First, Fixed, Risk, Solved

WHOLE = 1e-6
"""A number of lots this close to the next whole one is that."""

BLOCK = 250
"""Futures judged in one program: they separate, and small programs solve faster than their sum."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What happens to a plan in each future."""

    costs: Array
    """Cost. [money] (scenario)"""
    orders: Array
    """Units ordered. (offer, quarter, scenario)"""
    owned: Array
    """Units owned. (stock, quarter, scenario)"""
    missing: Array
    """Service not delivered. (quarter, scenario)"""
    api: Array
    """Service bought by the token. (quarter, scenario)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """Orders by node of a tree: what a buyer does when it sees what the node stands for."""

    orders: tuple[Array, ...]
    """Units of each quarter, or shares of `Problem.scale` from quarter `decide` on. (offer, node)"""
    sold: tuple[Array, ...]
    """Owned units sold in each quarter but the last, by what is seen after it; empty where nothing may be sold.
    (stock, node of the next quarter)"""
    signed: Array
    """Units signed here and now. (offer)"""
    decide: int
    """Quarters decided here and now."""


def policy_of(solved: Solved) -> Policy:
    """Return the orders of a solved tree by node."""
    p, T = solved.problem, len(solved.problem.quarters)
    x, named = solved.solution.x, solved.program.named
    sold = () if p.resale is None else tuple(x[named[f"sold {t}"]] for t in range(T - 1))
    return Policy(orders=tuple(solved.by_node(t) for t in range(T)), sold=sold, signed=solved.signed(),
                  decide=solved.decide)


@dataclass(kw_only=True, slots=True)
class Ledger:
    """The state of a plan that is being carried out, quarter by quarter, in every future at once."""

    p: Problem
    """The futures."""
    signed: Array
    """Units signed. (offer)"""
    arriving: Array
    """Owned units that come in. (stock, quarter, scenario)"""
    money: Array
    """Money left: of the horizon, or of each quarter. (1 or quarter, scenario)"""
    before: Array
    """Owned units at the end of the quarter before. (stock, scenario)"""
    residue: Array
    """Units wanted so far and not yet ordered, since only whole lots are. (offer, scenario)"""
    orders: Array
    """(offer, quarter, scenario)"""
    owned: Array
    """(stock, quarter, scenario)"""
    missing: Array
    """(quarter, scenario)"""
    api: Array
    """(quarter, scenario)"""
    costs: Array
    """(scenario)"""

    def whole(self, wanted: Array) -> Array:
        """Return orders in whole lots and first blocks; what is left over is carried to later quarters.

        Notes
        -----
        A chip to own is bought from its first block on, or not at all while half of that is not wanted. A service by
        the quarter is rounded in its quarter, down where an API can serve the rest.
        """
        p = self.p
        lot = np.array([o.lot for o in p.offers])[:, None]
        block = np.array([o.first_block for o in p.offers])[:, None]
        own = np.array([o.stock >= 0 for o in p.offers])[:, None]
        sum_up = np.where(own, wanted + self.residue, wanted)
        out = np.where(lot > 0, np.round(sum_up / np.maximum(lot, 1e-12)) * lot, sum_up)
        started = self.orders.sum(axis=1)
        for c in range(len(p.stocks)):
            at = [i for i, o in enumerate(p.offers) if o.stock == c]
            low = (out[at].sum(axis=0) < block[at].max()) & (started[at].sum(axis=0) <= 0)
            enough = low & (sum_up[at].sum(axis=0) >= block[at].max() / 2)
            out[at] = np.where(low, 0.0, out[at])
            out[np.array(at)[sum_up[at].argmax(axis=0)][enough], np.flatnonzero(enough)] = block[at].max()
        if p.api_cost is not None:
            out = np.where(~own & (lot > 0), np.floor(sum_up / np.maximum(lot, 1e-12) + WHOLE) * lot, out)
        small = np.where((sum_up >= block / 2) & (p.api_cost is None), block, 0.0)
        out = np.maximum(np.where(~own & (out < block), np.where(wanted > 0, small, 0.0), out), 0.0)
        self.residue = np.where(own, sum_up - out, 0.0)
        return out

    def step(self, t: int, wanted: Array, sold: Array | None = None) -> None:
        """Place the orders of a quarter, take what arrives, serve the need and pay."""
        p, s, T = self.p, np.arange(self.p.size), len(self.p.quarters)
        money = self.money[0 if p.pooled else t]
        now = _affordable(p, t, self.whole(wanted), self.orders, self.signed, money)
        self.orders[:, t] = now
        for i in p.owned:
            ready = t + p.lead[i, t]
            inside = ready < T
            self.arriving[p.offers[i].stock, ready[inside], s[inside]] += (now[i] * p.arrive[i, t])[inside]
        have = p.keep * self.before + self.arriving[:, t]
        if sold is not None and p.resale is not None:
            gone = np.minimum(sold, have)
            have = have - gone
            self.costs -= (p.resale[:, t] * gone).sum(axis=0)
        self.before = self.owned[:, t] = _within_room(p, t, have)
        gap = np.maximum(p.need[t] - (p.rate[p.feeds, t] * self.before).sum(axis=0), 0.0)
        room = np.full(p.size, np.inf) if p.outside_cap is None else p.outside_cap[t]
        rented = np.minimum(np.minimum((p.rate[p.used, t] * now[p.used]).sum(axis=0), gap), room)
        self.api[t] = _by_token(p, t, gap - rented, room - rented, money)
        self.missing[t] = gap - rented - self.api[t]
        useful = p.rate[p.feeds].max(axis=1) > 0
        self.costs += (p.order_cost[:, t] * now).sum(axis=0) + p.miss_cost[t] * self.missing[t] \
            + (p.hold_cost[:, t] * self.before * useful).sum(axis=0)
        if p.api_cost is not None:
            self.costs += p.api_cost[t] * self.api[t]

    def close(self) -> Judged:
        """Settle what is left and what was signed and not taken."""
        p = self.p
        self.costs -= (p.final_value * self.before).sum(axis=0)
        if p.untaken_cost is not None:
            for i, o in enumerate(p.offers):
                if o.signed:
                    short_by = np.maximum(o.take * self.signed[i] - self.orders[i].sum(axis=0), 0.0)
                    self.costs += p.untaken_cost[i] * short_by
        return Judged(costs=self.costs, orders=self.orders, owned=self.owned, missing=self.missing, api=self.api)


def ledger(p: Problem, signed: Array) -> Ledger:
    """Return the state before anything is ordered."""
    T, S, C = len(p.quarters), p.size, len(p.stocks)
    return Ledger(p=p, signed=signed, arriving=np.zeros((C, T, S)) if p.inflow is None else p.inflow.copy(),
                  money=_wallet(p), before=np.zeros((C, S)),
                  residue=np.zeros((len(p.offers), S)), orders=np.zeros((len(p.offers), T, S)),
                  owned=np.zeros((C, T, S)), missing=np.zeros((T, S)), api=np.zeros((T, S)), costs=np.zeros(S))


def carry_out(p: Problem, policy: Policy, nodes: npt.NDArray[np.intp]) -> Judged:
    """Carry out a policy in each future of a problem; nothing in it knows more than its node.

    Parameters
    ----------
    nodes : array
        Position of the node in which each future finds itself. (quarter, scenario)

    Notes
    -----
    An order is cut to what may be ordered, what was signed and what money is left, in whole lots, and foreign
    orders to what the quota allows beside the domestic ones. A chip that keeps its promise at no time in a
    future is switched off; where a site runs out of room the worst use of it is. An API serves what is still
    missing where it is cheaper than missing it.
    """
    book = ledger(p, policy.signed)
    for t in range(len(p.quarters)):
        units = p.in_units(t) if t >= policy.decide else 1.0
        sold = policy.sold[t][:, nodes[t + 1]] if t < len(policy.sold) else None
        book.step(t, policy.orders[t][:, nodes[t]] * units, sold)
    return book.close()


def _wallet(p: Problem) -> Array:
    count = 1 if p.pooled else len(p.quarters)
    return np.repeat(p.budget[:count, None].astype(float), p.size, axis=1)


def _affordable(p: Problem, t: int, wanted: Array, placed: Array, signed: Array, money: Array) -> Array:
    """Return orders cut to caps, signed volumes, quota and money, which is spent. (offer, scenario)"""
    now = np.minimum(wanted, np.maximum(p.order_cap[:, t], 0.0))
    steps = np.array([[o.lot] for o in p.offers])
    now = np.where(steps > 0, np.floor(now / np.maximum(steps, 1e-12) + WHOLE) * steps, now)
    for i, o in enumerate(p.offers):
        lot = o.lot if o.lot > 0 else 1e-9
        if o.signed:
            now[i] = np.minimum(now[i], np.maximum(signed[i] - placed[i].sum(axis=0), 0.0))
        if np.isfinite(money).all():
            most = np.floor(np.maximum(money, 0.0) / np.maximum(p.spend[i, t], 1e-300) / lot + 1e-6) * lot
            now[i] = np.minimum(now[i], most)
        else:
            now[i] = np.maximum(now[i], 0.0)
        money -= p.spend[i, t] * now[i]
    share = 0.0 if p.min_domestic is None else float(p.min_domestic[t])
    if share > 0:
        home = np.array([p.offers[i].domestic for i in p.owned])
        own = np.array(p.owned)
        # Of all cards so far: whole servers cannot keep the share in every single quarter.
        local = (now + placed.sum(axis=1))[own[home]].sum(axis=0)
        foreign, earlier = now[own[~home]].sum(axis=0), placed[own[~home]].sum(axis=(0, 1))
        left = np.clip((local * (1 / share - 1) - earlier + 1e-9) / np.maximum(foreign, 1e-12), 0.0, 1.0)
        for i in own[~home]:
            lot = p.offers[i].lot if p.offers[i].lot > 0 else 1e-9
            cut = np.floor(now[i] * left / lot + 1e-6) * lot
            money += p.spend[i, t] * (now[i] - cut)
            now[i] = cut
    return now


def _within_room(p: Problem, t: int, have: Array) -> Array:
    """Return owned units within power and space of their sites; the worst use of a limit goes first."""
    out = have.copy()
    for each, limit in ((p.power, p.power_limit), (p.space, p.space_limit)):
        if each is None or limit is None:
            continue
        table = limit if limit.ndim == 2 else limit[:, None]
        rate = p.rate[p.feeds, t].mean(axis=-1)
        for k in range(table.shape[0]):
            here = np.flatnonzero(p.sites == k)
            over = np.maximum((each[here, None] * out[here]).sum(axis=0) - table[k, min(t, table.shape[1] - 1)], 0.0)
            for c in here[np.argsort(rate[here] / each[here])]:
                less = np.minimum(out[c], over / each[c])
                out[c] -= less
                over = np.maximum(over - each[c] * less, 0.0)
    return out


def _by_token(p: Problem, t: int, gap: Array, room: Array, money: Array) -> Array:
    """Return what is bought by the token of what is still missing; its money is spent. (scenario)"""
    if p.api_cost is None or p.api_cap is None:
        return np.zeros(p.size)
    out = np.clip(np.minimum(np.minimum(gap, room), p.api_cap[t]), 0.0, None)
    out = np.where(p.api_cost[t] < p.miss_cost[t], out, 0.0)
    if p.api_spend is not None:
        out = np.minimum(out, np.maximum(money, 0.0) / np.maximum(p.api_spend[t], 1e-300))
        money -= p.api_spend[t] * out
    return np.asarray(out)


def recourse(p: Problem, decide: int, plans: Mapping[str, First], *, at_cut: str = "commit_and_lose",
             labels: Labels | None = None) -> dict[str, Judged]:
    """Return what happens when the here-and-now decision is fixed and the rest is done as well as can be.

    Notes
    -----
    Scenarios separate once the first orders are fixed, so blocks are solved one by one; all plans share a block's
    program and its basis. A free order is still shared by the futures of its block, unless all are free: then
    every future decides for itself.
    """
    parts: dict[str, list[Judged]] = {name: [] for name in plans}
    for start in range(0, p.size, BLOCK):
        keep = np.arange(start, min(start + BLOCK, p.size))
        block = p.take(keep, np.full(keep.size, 1 / keep.size))
        programs: dict[int, Fixed] = {}
        for name, first in plans.items():
            shared = 0 if np.isnan(first.orders).all() else decide
            if shared not in programs:
                programs[shared] = Fixed(block, labels_by_date(len(p.quarters), shared, block.size), shared,
                                         Risk(at_cut=at_cut))
            parts[name].append(judged_of(programs[shared].at(first)))
    names = ("costs", "orders", "owned", "missing", "api")
    return {name: Judged(**{k: np.concatenate([getattr(j, k) for j in js], axis=-1) for k in names})
            for name, js in parts.items()}


def judged_of(solved: Solved) -> Judged:
    """Return what a solved program does in its own scenarios."""
    x, named = solved.solution.x, solved.program.named
    missing = x[named["missing"]]
    return Judged(costs=solved.costs, orders=solved.orders(), owned=x[named["owned"]], missing=missing,
                  api=x[named["api"]] if "api" in named else np.zeros_like(missing))
