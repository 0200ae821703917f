"""The buyer's program: arrays of one market, labels of what is known when, and the sparse assembly.

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
from chipcast.plan.sheet import Index, Program, Sheet

Labels = npt.NDArray[np.int32]
"""Label of each scenario at each quarter. (quarter, scenario)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """Something that can be ordered: a chip to own, or a service by the quarter."""

    chip: str
    """Chip id, or the model's name for an API."""
    supplier: str
    """Who sells it."""
    contract: str
    """spot, framework, option, rent, lease or api."""
    domestic: bool = False
    """Whether it counts for the domestic share."""
    stock: int = -1
    """Position of the owned stock that it feeds; -1 for a service used up in its quarter."""
    lot: float = 1.0
    """Units of a whole lot, 8 for a server; 0 for no whole lots."""
    first_block: float = 0.0
    """Units of the smallest deployment."""
    minimum: float = 0.0
    """Units that must be taken over the horizon."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """All numbers of a buyer's program; the last axis is `scenario`."""

    quarters: tuple[str, ...]
    """Quarters of the horizon. (quarter)"""
    offers: tuple[Offer, ...]
    """What can be ordered. (offer)"""
    stocks: tuple[str, ...]
    """Chips that can be owned. (stock)"""
    weight: Array
    """Probability. (scenario)"""
    order_cost: Array
    """Discounted cost of a unit ordered, less what is later got back. [money] (offer, quarter, scenario)"""
    arrive: Array
    """Share of a unit ordered that arrives. [1] (offer, quarter, scenario)"""
    lead: npt.NDArray[np.int32]
    """Quarters from order to service. (offer, quarter, scenario)"""
    order_cap: Array
    """Units that may be ordered, 0 where the law forbids. (offer, quarter, scenario)"""
    rate: Array
    """Useful tokens a second of a unit at the peak. [service] (offer, quarter, scenario)"""
    hold_cost: Array
    """Discounted power, people and upkeep of an owned unit. [money] (stock, quarter, scenario)"""
    final_value: Array
    """Discounted value of an owned unit after the last quarter. [money] (stock, scenario)"""
    keep: float
    """Share of owned units left after a quarter."""
    need: Array
    """Service needed at the peak. [service] (quarter, scenario)"""
    miss_cost: Array
    """Discounted cost of a missing unit of service. [money/service] (quarter, scenario)"""
    spend: Array
    """Cash for a unit ordered, undiscounted. [money] (offer, quarter, scenario)"""
    budget: Array
    """Cash limit of each quarter; of the horizon if `pooled`, in its first entry. [money] (quarter)"""
    pooled: bool = True
    """Whether money left over is carried on."""
    overdraft: float = np.inf
    """Cost of a unit of money over the budget; infinite for never."""
    power: Array | None = None
    """Power of an owned unit. [power] (stock)"""
    power_limit: Array | None = None
    """Power limit. [power] (quarter)"""
    min_domestic: Array | None = None
    """Least share of domestic units among those ordered. [1] (quarter)"""
    resale: Array | None = None
    """Discounted cash for an owned unit sold early. [money] (stock, quarter, scenario)"""
    inflow: Array | None = None
    """Owned units that come in without a new order: earlier orders and what is there. (stock, quarter, scenario)"""
    api_cost: Array | None = None
    """Discounted cost of a unit of service by the token, not committed. [money/service] (quarter, scenario)"""
    api_spend: Array | None = None
    """Cash for it, undiscounted. [money/service] (quarter, scenario)"""
    api_cap: Array | None = None
    """Most service that may be bought so. [service] (quarter, scenario)"""
    serve_share: float = 0.0
    """Least share of need that a plan must serve with money to buy; 0 for none. [1]"""
    money: float = 1.0
    """USD in one unit of money."""

    @property
    def size(self) -> int:
        """Number of scenarios."""
        return int(self.weight.size)

    def take(self, keep: npt.NDArray[np.intp], weight: Array | None = None) -> Problem:
        """Return the problem for some scenarios, with their own or even weights."""
        w = np.full(keep.size, 1 / keep.size) if weight is None else weight
        cut = {k: getattr(self, k)[..., keep] for k in VARYING if getattr(self, k) is not None}
        return replace(self, weight=w, **cut)

    def from_quarter(self, t: int) -> Problem:
        """Return the problem that is left from quarter `t` on; money stays discounted to the first quarter."""
        cut = {k: getattr(self, k)[..., t:, :] for k in VARYING
               if k != "final_value" and getattr(self, k) is not None}
        for k in ("budget", "power_limit", "min_domestic"):
            value = getattr(self, k)
            if value is not None and not (k == "budget" and self.pooled):
                cut[k] = value[t:]
        return replace(self, quarters=self.quarters[t:], **cut)

    def mean(self) -> Problem:
        """Return the one scenario in which every random quantity is at its mean; lead times are rounded."""
        cut = {}
        for k in VARYING:
            value = getattr(self, k)
            if value is not None:
                average = (value * self.weight).sum(axis=-1, keepdims=True)
                cut[k] = np.rint(average).astype(np.int32) if k == "lead" else average
        return replace(self, weight=np.ones(1), **cut)


VARYING = ("order_cost", "arrive", "lead", "order_cap", "rate", "hold_cost", "final_value", "need", "miss_cost",
           "spend", "resale", "inflow",
           "api_cost", "api_spend", "api_cap")
"""Fields with a scenario axis."""


def labels_by_date(quarters: int, decide: int, scenarios: int) -> Labels:
    """Return labels that are equal before quarter `decide` and all different from then on.

    >>> labels_by_date(3, 1, 2).tolist()
    [[0, 0], [0, 1], [0, 1]]
    """
    require(0 <= decide <= quarters, "decide_until", f"lie within the {quarters} quarters of the horizon", decide)
    out = np.tile(np.arange(scenarios, dtype=np.int32), (quarters, 1))
    out[:decide] = 0
    return out


def labels_by_history(seen: npt.NDArray[np.int_]) -> Labels:
    """Return labels of a tree: scenarios share one while all they have shown so far is equal.

    Parameters
    ----------
    seen : array of whole numbers
        What a buyer has observed when ordering in a quarter, coded. (quarter, scenario)

    >>> labels_by_history(np.array([[0, 0, 0], [0, 1, 1], [5, 5, 7]])).tolist()
    [[0, 0, 0], [0, 1, 1], [0, 1, 2]]
    """
    label = np.zeros(seen.shape[1], dtype=np.int64)
    out = np.empty(seen.shape, dtype=np.int32)
    for t, now in enumerate(seen):
        pair = label * (int(now.max()) - int(now.min()) + 1) + (now - now.min())
        label = np.unique(pair, return_inverse=True)[1].astype(np.int64)
        out[t] = label
    return out


def _date(seen: npt.NDArray[np.int_], decide: int) -> Labels:
    return labels_by_date(seen.shape[0], decide, seen.shape[1])


def _regimes(seen: npt.NDArray[np.int_], decide: int) -> Labels:
    blind = seen.copy()
    blind[:decide] = 0
    return labels_by_history(blind)


def _open_loop(seen: npt.NDArray[np.int_], decide: int) -> Labels:
    return labels_by_date(seen.shape[0], seen.shape[0], seen.shape[1])


def _wait_and_see(seen: npt.NDArray[np.int_], decide: int) -> Labels:
    return labels_by_date(seen.shape[0], 0, seen.shape[1])


INFORMATION: Mapping[str, Callable[[npt.NDArray[np.int_], int], Labels]] = {
    "date": _date, "regimes": _regimes, "open_loop": _open_loop, "wait_and_see": _wait_and_see,
}
"""What is known when orders are placed: codes seen (quarter, scenario) and quarters decided blind -> labels."""


def check_nested(labels: Labels) -> None:
    """Refuse labels that forget: whoever was told apart once stays told apart."""
    for t in range(1, labels.shape[0]):
        pair = np.unique(np.stack([labels[t], labels[t - 1]]), axis=1)
        require(np.unique(pair[0]).size == pair.shape[1], "information labels",
                "stay apart once they are apart", f"a merge in quarter {t}")


def _commit(cap: Array, starts: npt.NDArray[np.intp]) -> Array:
    return np.maximum.reduceat(cap, starts, axis=-1)


def _secure(cap: Array, starts: npt.NDArray[np.intp]) -> Array:
    return np.minimum.reduceat(cap, starts, axis=-1)


AT_CUT: Mapping[str, Callable[[Array, npt.NDArray[np.intp]], Array]] = {"commit_and_lose": _commit, "secure": _secure}
"""How much a shared order may be: what the most open future allows, or only what all of them deliver."""


def assemble(p: Problem, labels: Labels, *, tail: float = 0.9, tail_weight: float = 0.0,
             at_cut: str = "commit_and_lose", whole_until: int = 0, types: int = 0) -> Program:
    """Write the program of a problem under one information pattern.

    Parameters
    ----------
    p : Problem
        The numbers.
    labels : array
        Label of each scenario when it orders in a quarter. (quarter, scenario)
    tail, tail_weight : float
        Level of the tail and its weight against the mean.
    at_cut : str
        Entry of `AT_CUT`.
    whole_until : int
        Orders of the quarters before this one come in whole lots and first blocks.
    types : int
        Most chip types ordered before `whole_until`; 0 for no limit.

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
    order, unit = _order_columns(sheet, p, labels, at_cut, whole_until)
    sheet.charge(s, order, p.order_cost * unit)
    owned = sheet.new_columns("owned", (C, T, S))
    missing = sheet.new_columns("missing", (T, S), upper=np.maximum(p.need, 0) * (1 - p.serve_share)
                                if p.serve_share else np.inf)
    sheet.charge(s, owned, p.hold_cost)
    sheet.charge(s, owned[:, -1], -p.final_value)
    sheet.charge(s, missing, p.miss_cost)
    _stock_rows(sheet, p, order, unit, owned)
    service = sheet.new_rows("service", (T, S), lower=p.need)
    feeds = [next(i for i, o in enumerate(p.offers) if o.stock == c) for c in range(C)]
    sheet.put(service, owned, p.rate[feeds])
    used = [i for i, o in enumerate(p.offers) if o.stock < 0]
    sheet.put(service, order[used], p.rate[used] * unit[used])
    sheet.put(service, missing, 1.0)
    api = None
    if p.api_cost is not None and p.api_cap is not None:
        api = sheet.new_columns("api", (T, S), upper=p.api_cap)
        sheet.charge(s, api, p.api_cost)
        sheet.put(service, api, 1.0)
    if p.power is not None and p.power_limit is not None:
        rows = sheet.new_rows("power", (T, S), upper=p.power_limit[:, None])
        sheet.put(rows, owned, p.power[:, None, None])
    _budget_rows(sheet, p, order, unit, api)
    if p.min_domestic is not None:
        _domestic_rows(sheet, p, order, unit, labels)
    _block_rows(sheet, p, order, unit, whole_until, types)
    for i, offer in enumerate(p.offers):
        if offer.minimum > 0:
            rows = sheet.new_rows("framework", (S,), lower=offer.minimum)
            sheet.put(rows[None, :], order[i], unit[i])
    return sheet.close(p.weight, tail=tail, tail_weight=tail_weight)


def _order_columns(sheet: Sheet, p: Problem, labels: Labels, at_cut: str, whole_until: int) -> tuple[Index, Array]:
    """Return the column of each order, and units per step of that column. (offer, quarter, scenario)"""
    count, T, S = len(p.offers), len(p.quarters), p.size
    bound = choose(AT_CUT, at_cut, "treatment of orders at a cut")
    order = np.empty((count, T, S), dtype=np.int32)
    unit = np.ones((count, T, S))
    lot = np.array([o.lot for o in p.offers])
    for t in range(T):
        _, inverse = np.unique(labels[t], return_inverse=True)
        by_label = np.argsort(inverse, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(inverse[by_label]) > 0])
        cap = bound(p.order_cap[:, t][:, by_label], starts)
        whole = np.zeros((count, 1), dtype=np.bool_)
        if t < whole_until:
            whole = (lot > 0)[:, None]
            step = np.where(lot > 0, lot, 1.0)
            unit[:, t] = step[:, None]
            cap = np.where(whole, np.floor(cap / step[:, None] + 1e-9), cap)
        columns = sheet.new_columns(f"order {t}", (count, starts.size), upper=cap, whole=whole)
        order[:, t] = columns[:, inverse]
    return order, unit


def _stock_rows(sheet: Sheet, p: Problem, order: Index, unit: Array, owned: Index) -> None:
    C, T, S = owned.shape
    # At most what was kept and what arrived: an owned unit may always be left idle.
    rows = sheet.new_rows("stock", (C, T, S), upper=0.0 if p.inflow is None else p.inflow)
    sheet.put(rows, owned, 1.0)
    sheet.put(rows[:, 1:], owned[:, :-1], -p.keep)
    if p.resale is not None:
        sold = sheet.new_columns("sold", (C, T, S))
        sheet.put(rows, sold, 1.0)
        sheet.charge(np.arange(S), sold, -p.resale)
    t = np.arange(T, dtype=np.int32)[:, None]
    s = np.arange(S, dtype=np.int32)[None, :]
    for i, offer in enumerate(p.offers):
        if offer.stock < 0:
            continue
        ready = t + p.lead[i]
        inside = ready < T
        at = rows[offer.stock, np.minimum(ready, T - 1), np.broadcast_to(s, ready.shape)]
        sheet.put(at, order[i], np.where(inside, -p.arrive[i] * unit[i], 0.0))


def _budget_rows(sheet: Sheet, p: Problem, order: Index, unit: Array, api: Index | None) -> None:
    if not np.isfinite(p.budget).any():
        return
    T, S = len(p.quarters), p.size
    shape = (1, S) if p.pooled else (T, S)
    rows = sheet.new_rows("budget", shape, upper=p.budget[: shape[0], None])
    sheet.put(rows[None], order, p.spend * unit)
    if api is not None and p.api_spend is not None:
        sheet.put(rows, api, p.api_spend)
    over = sheet.new_columns("overdraft", shape, upper=np.inf if np.isfinite(p.overdraft) else 0.0) \
        if np.isfinite(p.overdraft) else None
    if over is not None:
        sheet.put(rows, over, -1.0)
        sheet.charge(np.arange(S), over, p.overdraft)


def _domestic_rows(sheet: Sheet, p: Problem, order: Index, unit: Array, labels: Labels) -> None:
    assert p.min_domestic is not None
    buys = [i for i, o in enumerate(p.offers) if o.stock >= 0]
    home = np.array([1.0 if p.offers[i].domestic else 0.0 for i in buys])
    for t, share in enumerate(p.min_domestic):
        if share > 0:
            first = np.unique(labels[t], return_index=True)[1]
            rows = sheet.new_rows("domestic", (first.size,), lower=0.0)
            sheet.put(rows, order[buys, t][:, first], (home - share)[:, None] * unit[buys, t][:, first])


def _block_rows(sheet: Sheet, p: Problem, order: Index, unit: Array, whole_until: int, types: int) -> None:
    """Add a switch per chip type: used in whole first blocks or not at all, before `whole_until`."""
    groups = [([i for i, o in enumerate(p.offers) if o.stock == c], list(range(whole_until)))
              for c in range(len(p.stocks))]
    groups += [([i], [t]) for i, o in enumerate(p.offers) if o.stock < 0 and o.first_block > 0
               for t in range(whole_until)]
    blocks = [max(p.offers[i].first_block for i in at) for at, _ in groups]
    if whole_until == 0 or (types == 0 and max(blocks, default=0.0) == 0):
        return
    switch = sheet.new_columns("type used", (len(groups),), upper=1.0, whole=True)
    for (at, when), block, used in zip(groups, blocks, switch, strict=True):
        columns, steps = order[np.ix_(at, when)][..., 0], unit[np.ix_(at, when)][..., 0]
        most = float((p.order_cap[np.ix_(at, when)].max(axis=-1) + steps).sum())
        row = sheet.new_rows("first block", (2,), lower=[0.0, -np.inf], upper=[np.inf, 0.0])
        sheet.put(row[:, None, None], columns[None], steps[None])
        sheet.put(row, used, [-block, -most])
    if types:
        row = sheet.new_rows("types", (1,), upper=float(types))
        sheet.put(row, switch[: len(p.stocks)], 1.0)
