"""The honest number: simulate a future, plan again each quarter with what was seen, pay what it costs.

No order knows more than its quarter: scenarios are draws whose gates have behaved as seen so far and that are
nearest in what else a buyer can see; lots on the way may still be lost in each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from chipcast.base.choose import choose
from chipcast.base.errors import ChipcastError, require
from chipcast.base.types import Array
from chipcast.plan.judge import Ledger, ledger
from chipcast.plan.labels import CLOSED, INFORMATION
from chipcast.plan.problem import Problem
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
         information: str = "regimes", tell: Callable[[int, int], None] | None = None) -> Rolled:
    """Live through futures, planning again each quarter.

    Parameters
    ----------
    futures : array
        Draws to live through; none of them may be in `pool`.
    pool : array
        Draws from which scenarios are taken.
    scenarios : int
        Scenarios of each quarter's plan.
    information : str
        Entry of `INFORMATION`: what each quarter's plan believes that its later orders will know. Under `regimes` it
        is the tree of the plan that is judged; under `date` waiting looks better than it is.
    tell : callable, optional
        Called with futures done and in all.
    """
    label = choose(INFORMATION, information, "information")
    require(information != "wait_and_see", "information", "let orders of a quarter be alike in all its scenarios",
            information)
    require(not np.intersect1d(futures, pool).size, "futures", "be other draws than the pool", "an overlap")
    # A card is kept to the end: sales are left to the plan that sees the whole tree.
    p = replace(case.problem, resale=None, serve_share=0.0)
    T = len(p.quarters)
    lived, failed = [], 0
    for k, f in enumerate(futures):
        book = ledger(p.take(np.array([f])), np.zeros(len(p.offers)))
        for t in range(T):
            picks = consistent(case, int(f), t, pool, scenarios)
            left = _left(p, picks, t, book)
            try:
                solved = solve_plan(left, label(case.seen.take(picks).from_quarter(t), 1), 1, replace(risk, whole=True))
                now = solved.now()[:, :1]
                if t == 0:
                    book.signed = solved.signed()
            except ChipcastError:
                failed += 1
                now = np.zeros((len(p.offers), 1))
            book.step(t, now)
        lived.append(book.close())
        if tell is not None:
            tell(k + 1, futures.size)
    missing = np.stack([j.missing[:, 0] for j in lived], axis=-1)
    need = p.need[:, futures]
    served = 1 - (missing * case.seconds[:, None]).sum(axis=0) / (need * case.seconds[:, None]).sum(axis=0)
    return Rolled(draws=futures, costs=np.array([j.costs[0] for j in lived]) * p.money,
                  orders=np.concatenate([j.orders for j in lived], axis=-1), served=served, failed_solves=failed)


def consistent(case: Case, future: int, t: int, pool: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """Return the draws of the pool that look most like a future up to quarter `t`.

    Gates must have the same history where such draws exist; among them the nearest in what else can be seen are
    taken.
    """
    gates = case.seen.regime == CLOSED
    same = (gates[: t + 1, pool] == gates[: t + 1, [future]]).all(axis=0) if t else np.ones(pool.size, dtype=bool)
    if same.sum() < max(count // 3, 2):
        same = gates[t, pool] == gates[t, future]
    if same.sum() < max(count // 3, 2):
        same = np.ones(pool.size, dtype=bool)
    kept: npt.NDArray[np.intp] = pool[same]
    if t == 0:
        return kept[:count]
    distance = ((case.seen.signs[t, kept] - case.seen.signs[t, future]) ** 2).sum(axis=-1)
    nearest: npt.NDArray[np.intp] = np.sort(kept[np.argsort(distance, kind="stable")[:count]])
    return nearest


def _left(p: Problem, picks: npt.NDArray[np.intp], t: int, book: Ledger) -> Problem:
    """Return what is left of the problem at a quarter, with stock, lots on the way and money spent."""
    here = p.take(picks)
    T, S, C = len(p.quarters), here.size, len(p.stocks)
    placed, owned = book.orders[:, :t, 0], book.before[:, 0]
    inflow = np.zeros((C, T, S))
    inflow[:, t] += p.keep * owned[:, None]
    s = np.arange(S)
    for i in p.owned:
        for tau in np.flatnonzero(placed[i]):
            ready = tau + here.lead[i, tau]
            coming = (ready >= t) & (ready < T)
            inflow[p.offers[i].stock, ready[coming], s[coming]] += (placed[i, tau] * here.arrive[i, tau])[coming]
    started = {o.stock for i, o in enumerate(p.offers) if placed[i].any() or (o.stock >= 0 and owned[o.stock] > 0)}
    offers = tuple(replace(o, first_block=0.0 if o.stock >= 0 and o.stock in started else o.first_block,
                           take=0.0 if t else o.take) for o in p.offers)
    cap = here.order_cap
    if t:
        # What was signed may be called off until it is used up; nothing more is signed.
        open_volume = np.array([book.signed[i] - placed[i].sum() if o.signed else np.inf
                                for i, o in enumerate(p.offers)])
        cap = np.minimum(cap, np.maximum(open_volume, 0.0)[:, None, None])
    left = replace(here, inflow=inflow, offers=offers, order_cap=cap).from_quarter(t)
    return replace(left, budget=np.maximum(book.money[:, 0], 0.0)) if p.pooled else left
