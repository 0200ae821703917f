"""The sparse program of a problem: a block of columns per decision, a block of rows per kind of limit.

An order carries the label of its quarter, not the scenario: futures that look alike when it is placed
share one column, so that no plan can see ahead and no equality rows are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.base.types import Array
from chipcast.plan.labels import Labels, check_nested
from chipcast.plan.problem import Problem
from chipcast.plan.sheet import Index, Program, Sheet


def _commit(cap: Array, starts: npt.NDArray[np.intp]) -> Array:
    return np.maximum.reduceat(cap, starts, axis=-1)


def _secure(cap: Array, starts: npt.NDArray[np.intp]) -> Array:
    return np.minimum.reduceat(cap, starts, axis=-1)


AT_CUT: Mapping[str, Callable[[Array, npt.NDArray[np.intp]], Array]] = {"commit_and_lose": _commit, "secure": _secure}
"""How much a shared order may be: what the most open future allows, or only what all of them deliver."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    """A program half written: its sheet and the columns that several limits speak of."""

    sheet: Sheet
    p: Problem
    labels: Labels
    order: Index
    """Column of each order. (offer, quarter, scenario)"""
    unit: Array
    """Units per step of that column. (offer, quarter, scenario)"""
    owned: Index
    """(stock, quarter, scenario)"""


def assemble(p: Problem, labels: Labels, *, tail: float = 0.9, tail_weight: float = 0.0, risk: str = "mean_cvar",
             base: Array | None = None, at_cut: str = "commit_and_lose", decide: int = 0, whole_until: int = 0,
             types: int = 0, blocks: bool = False, signed_blind: bool = True) -> Program:
    """Write the program of a problem under one information pattern.

    Parameters
    ----------
    p : Problem
        The numbers.
    labels : array
        Label of each scenario when it orders in a quarter. (quarter, scenario)
    tail, tail_weight : float
        Level of the tail and its weight against the mean.
    risk : str
        Entry of `RISK` in `sheet`: what of the costs is minimised.
    base : array, optional
        Cost with perfect news of each scenario, for regret. [money] (scenario)
    at_cut : str
        Entry of `AT_CUT`.
    decide : int
        Quarters decided here and now, in units; orders of later ones are shares of `Problem.scale` if it is given.
    whole_until : int
        Orders of the quarters before this one come in whole lots and first blocks.
    types : int
        Most chip types ordered before `whole_until`; 0 for no limit.
    blocks : bool
        Add a row that sums each group of here-and-now decisions, for `lots`; it binds nothing yet.
    signed_blind : bool
        Volumes are signed once for all futures; False: with what is known in the first quarter.

    Notes
    -----
    Orders are columns by label; stocks, unmet need and sales are columns by scenario. Costs are counted per
    scenario, and the objective is (1 - w) mean + w tail mean.
    Sources: Birge and Louveaux, "Introduction to Stochastic Programming", Springer.
    """
    require(0 <= tail < 1, "tail", "be at least 0 and below 1", tail)
    require(0 <= tail_weight <= 1, "tail_weight", "lie within 0 and 1", tail_weight)
    check_nested(labels)
    T, S, C = len(p.quarters), p.size, len(p.stocks)
    sheet, s = Sheet(), np.arange(S, dtype=np.int32)
    order, unit = _order_columns(sheet, p, labels, at_cut, whole_until, decide)
    sheet.charge(s, order, p.order_cost * unit)
    owned = sheet.new_columns("owned", (C, T, S))
    sheet.charge(s, owned, p.hold_cost)
    sheet.charge(s, owned[:, -1], -p.final_value)
    d = _Draft(sheet=sheet, p=p, labels=labels, order=order, unit=unit, owned=owned)
    _stock_rows(d)
    api = _service_rows(d)
    _room_rows(d)
    _budget_rows(d, api)
    if p.min_domestic is not None:
        _domestic_rows(d)
    _block_rows(d, whole_until, types)
    _signed_rows(d, whole_until, np.zeros(S, dtype=np.intp) if signed_blind else labels[0])
    if blocks:
        _group_rows(d, decide)
    program = sheet.close(p.weight, tail=tail, tail_weight=tail_weight, risk=risk, base=base, labels=labels)
    if p.serve_share > 0:
        program = replace(program, elastic={"target": _all_need(p)}, serve_share=p.serve_share)
    return program


def _all_need(p: Problem) -> float:
    seconds = np.ones(len(p.quarters)) if p.seconds is None else p.seconds
    return float((p.weight * seconds[:, None] * p.need).sum())


def _order_columns(sheet: Sheet, p: Problem, labels: Labels, at_cut: str, whole_until: int, decide: int,
                   ) -> tuple[Index, Array]:
    count, T, S = len(p.offers), len(p.quarters), p.size
    bound = choose(AT_CUT, at_cut, "treatment of orders at a cut")
    order = np.empty((count, T, S), dtype=np.int32)
    unit = np.ones((count, T, S))
    lot = np.array([o.lot for o in p.offers])
    for t in range(T):
        inverse = np.unique(labels[t], return_inverse=True)[1]
        by_label = np.argsort(inverse, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(inverse[by_label]) > 0])
        limit = p.order_cap[:, t]
        if p.scale is not None and t >= decide:
            unit[:, t] = p.scale[:, t]
            limit = np.where(unit[:, t] > 0, limit / np.maximum(unit[:, t], 1e-12), 0.0)
        cap = bound(limit[:, by_label], starts)
        whole = np.zeros((count, 1), dtype=np.bool_)
        if t < whole_until:
            whole = (lot > 0)[:, None]
            step = np.where(lot > 0, lot, 1.0)
            unit[:, t] = step[:, None]
            cap = np.where(whole, np.floor(cap / step[:, None] + 1e-9), cap)
        columns = sheet.new_columns(f"order {t}", (count, starts.size), upper=cap, whole=whole)
        order[:, t] = columns[:, inverse]
    return order, unit


def _stock_rows(d: _Draft) -> None:
    """Balance owned units: what was kept and what arrives, less what is sold."""
    p, sheet = d.p, d.sheet
    C, T, S = d.owned.shape
    # At most what was kept and what arrived: an owned unit may always be left idle.
    rows = sheet.new_rows("stock", (C, T, S), upper=0.0 if p.inflow is None else p.inflow)
    sheet.put(rows, d.owned, 1.0)
    sheet.put(rows[:, 1:], d.owned[:, :-1], -p.keep)
    if p.resale is not None:
        # What is left over is sold when the quarter has been seen: futures that look alike after it sell alike.
        sold = np.empty((C, T, S), dtype=np.int32)
        for t in range(T):
            after = d.labels[t + 1] if t + 1 < T else np.arange(S)
            inverse = np.unique(after, return_inverse=True)[1]
            sold[:, t] = sheet.new_columns(f"sold {t}", (C, int(inverse.max()) + 1))[:, inverse]
        sheet.put(rows, sold, 1.0)
        sheet.charge(np.arange(S), sold, -p.resale)
    quarter = np.arange(T, dtype=np.int32)[:, None]
    s = np.arange(S, dtype=np.int32)[None, :]
    for i in p.owned:
        ready = quarter + p.lead[i]
        inside = ready < T
        at = rows[p.offers[i].stock, np.minimum(ready, T - 1), np.broadcast_to(s, ready.shape)]
        sheet.put(at, d.order[i], np.where(inside, -p.arrive[i] * d.unit[i], 0.0))


def _service_rows(d: _Draft) -> Index | None:
    """Serve the need by what is owned, by what is rented or bought by the token, or leave it missing."""
    p, sheet = d.p, d.sheet
    T, S = len(p.quarters), p.size
    s = np.arange(S, dtype=np.int32)
    missing = sheet.new_columns("missing", (T, S))
    sheet.charge(s, missing, p.miss_cost)
    service = sheet.new_rows("service", (T, S), lower=p.need)
    sheet.put(service, d.owned, p.rate[p.feeds])
    sheet.put(service, missing, 1.0)
    api = None
    if p.api_cost is not None and p.api_cap is not None:
        api = sheet.new_columns("api", (T, S), upper=p.api_cap)
        sheet.charge(s, api, p.api_cost)
    outside = service
    if p.outside_cap is not None and (p.used or api is not None):
        gives = sheet.new_columns("outside", (T, S), upper=p.outside_cap)
        sheet.put(service, gives, 1.0)
        outside = sheet.new_rows("outside", (T, S), lower=0.0)
        sheet.put(outside, gives, -1.0)
    sheet.put(outside, d.order[p.used], p.rate[p.used] * d.unit[p.used])
    if api is not None:
        sheet.put(outside, api, 1.0)
    if p.serve_share > 0:
        seconds = np.ones(T) if p.seconds is None else p.seconds
        each = p.weight * seconds[:, None]
        row = sheet.new_rows("target", (1, 1), upper=(1 - p.serve_share) * _all_need(p))
        sheet.put(row, missing, each)
    return api


def _room_rows(d: _Draft) -> None:
    """Keep power and space of each site."""
    p = d.p
    for name, each, limit in (("power", p.power, p.power_limit),
                              ("space", p.space, None if p.space_limit is None else p.space_limit[:, None])):
        if each is None or limit is None:
            continue
        for k, most in enumerate(limit):
            here = np.flatnonzero(p.sites == k)
            if here.size and np.isfinite(most).any():
                rows = d.sheet.new_rows(name, d.owned.shape[1:], upper=most[:, None])
                d.sheet.put(rows, d.owned[here], each[here][:, None, None])


def _budget_rows(d: _Draft, api: Index | None) -> None:
    p, sheet = d.p, d.sheet
    if not np.isfinite(p.budget).any():
        return
    T, S = len(p.quarters), p.size
    shape = (1, S) if p.pooled else (T, S)
    rows = sheet.new_rows("budget", shape, upper=p.budget[: shape[0], None])
    sheet.put(rows[None], d.order, p.spend * d.unit)
    if api is not None and p.api_spend is not None:
        sheet.put(rows, api, p.api_spend)
    if np.isfinite(p.overdraft):
        over = sheet.new_columns("overdraft", shape)
        sheet.put(rows, over, -1.0)
        sheet.charge(np.arange(S), over, p.overdraft)


def _domestic_rows(d: _Draft) -> None:
    p = d.p
    assert p.min_domestic is not None
    buys = p.owned
    home = np.array([1.0 if p.offers[i].domestic else 0.0 for i in buys])
    for t, share in enumerate(p.min_domestic):
        if share > 0:
            first = np.unique(d.labels[t], return_index=True)[1] if p.scale is None else np.arange(p.size)
            rows = d.sheet.new_rows("domestic", (first.size,), lower=0.0)
            d.sheet.put(rows, d.order[buys, t][:, first], (home - share)[:, None] * d.unit[buys, t][:, first])


def _block_rows(d: _Draft, whole_until: int, types: int) -> None:
    """Add a switch per chip type: used in whole first blocks or not at all, before `whole_until`."""
    p, sheet = d.p, d.sheet
    groups = [([i for i, o in enumerate(p.offers) if o.stock == c], list(range(whole_until)))
              for c in range(len(p.stocks))]
    groups += [([i], [t]) for i, o in enumerate(p.offers) if o.stock < 0 and o.first_block > 0
               for t in range(whole_until)]
    blocks = [max(p.offers[i].first_block for i in at) for at, _ in groups]
    if whole_until == 0 or (types == 0 and max(blocks, default=0.0) == 0):
        return
    switch = sheet.new_columns("type used", (len(groups),), upper=1.0, whole=True)
    for (at, when), block, used in zip(groups, blocks, switch, strict=True):
        columns, steps = d.order[np.ix_(at, when)][..., 0], d.unit[np.ix_(at, when)][..., 0]
        most = float((p.order_cap[np.ix_(at, when)].max(axis=-1) + steps).sum())
        row = sheet.new_rows("first block", (2,), lower=[0.0, -np.inf], upper=[np.inf, 0.0])
        sheet.put(row[:, None, None], columns[None], steps[None])
        sheet.put(row, used, [-block, -most])
    if types:
        row = sheet.new_rows("types", (1,), upper=float(types))
        sheet.put(row, switch[: len(p.stocks)], 1.0)


def _group_rows(d: _Draft, decide: int) -> None:
    """Sum the here-and-now decisions of each stock, each service in a quarter, each signed volume and each chip type.
    """
    p, sheet = d.p, d.sheet
    groups = [[(i, t) for i, o in enumerate(p.offers) if o.stock == c for t in range(decide)]
              for c in range(len(p.stocks))]
    groups += [[(i, t)] for i in p.used for t in range(decide)]
    for at in groups:
        row = sheet.new_rows("first block", (1,), lower=0.0)
        for i, t in at:
            sheet.put(row, d.order[i, t, :1], 1.0)
    for i in (k for k, o in enumerate(p.offers) if o.signed):
        sheet.put(sheet.new_rows("first block", (1,), lower=0.0), sheet.column(f"signed {i}"), 1.0)
    for chip in dict.fromkeys(p.stocks):
        row = sheet.new_rows("first block", (1,), lower=0.0)
        for i in (k for k in p.owned if p.offers[k].chip == chip):
            for t in range(decide):
                sheet.put(row, d.order[i, t, :1], 1.0)
            if p.offers[i].signed:
                sheet.put(row, sheet.column(f"signed {i}"), 1.0)


def _signed_rows(d: _Draft, whole_until: int, label: npt.NDArray[np.intp] | Labels) -> None:
    """Call off no more than was signed, and pay for what must be taken and is not; futures of a label sign alike."""
    p, sheet, S = d.p, d.sheet, d.p.size
    known = np.unique(label, return_inverse=True)[1]
    count = int(known.max()) + 1
    for i in (k for k, o in enumerate(p.offers) if o.signed):
        offer = p.offers[i]
        most = float(p.order_cap[i].max(initial=0.0)) * len(p.quarters)
        whole = whole_until > 0 and offer.lot > 0
        step = offer.lot if whole else 1.0
        signed = sheet.new_columns(f"signed {i}", (count,), upper=np.floor(most / step), whole=whole)
        called = sheet.new_rows("framework", (S,), upper=0.0)
        sheet.put(called[None], d.order[i], d.unit[i])
        sheet.put(called, signed[known], -step)
        taken = sheet.new_rows("minimum take", (S,), lower=0.0)
        untaken = sheet.new_columns(f"untaken {i}", (S,))
        sheet.put(taken[None], d.order[i], d.unit[i])
        sheet.put(taken, untaken, 1.0)
        sheet.put(taken, signed[known], -step * offer.take)
        cost = np.zeros(S) if p.untaken_cost is None else p.untaken_cost[i]
        sheet.charge(np.arange(S, dtype=np.int32), untaken, cost)
        if whole and offer.least_signed > 0:
            switch = sheet.new_columns(f"signs {i}", (count,), upper=1.0, whole=True)
            for sign, size in ((1.0, offer.least_signed), (-1.0, most)):
                rows = sheet.new_rows("framework", (count,), lower=0.0)
                sheet.put(rows, signed, sign * step)
                sheet.put(rows, switch, -sign * size)
