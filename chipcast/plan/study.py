"""How firm a plan is, what it would cost to decide at another date or with another taste for risk."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.base.types import Array
from chipcast.plan.labels import INFORMATION, Labels, Seen, labels_by_date
from chipcast.plan.problem import Offer, Problem
from chipcast.plan.procure import Case
from chipcast.plan.reduce import reduce
from chipcast.plan.sheet import Program
from chipcast.plan.solve import Session, Solution
from chipcast.plan.value import First, Fixed, Risk, Solved, program_of, solve_plan, tail_mean


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """A linear quantity of a plan that a buyer asks about."""

    name: str
    """What it is, in words."""
    columns: Array
    """Positions of columns."""
    values: Array
    """Units per step of a column."""
    kind: str = "offer"
    """What it counts: `all` cards, those of a `chip` by any contract, those of one `offer`, or a `share` of tokens."""


def with_row(program: Program, coefficients: Array, upper: float) -> Program:
    """Return a program with one more row, `coefficients` times the columns at most `upper`."""
    counts = np.diff(program.start)
    hit = coefficients != 0
    start = np.zeros_like(program.start)
    np.cumsum(counts + hit, out=start[1:])
    size = int(start[-1])
    index, value = np.empty(size, dtype=np.int32), np.empty(size)
    old = np.arange(program.value.size) + np.repeat(np.cumsum(hit) - hit, counts)
    index[old], value[old] = program.index, program.value
    last = start[1:][hit] - 1
    index[last], value[last] = program.row_lower.size, coefficients[hit]
    return replace(program, start=start, index=index, value=value,
                   row_lower=np.append(program.row_lower, -np.inf), row_upper=np.append(program.row_upper, upper))


def quantities(solved: Solved, names: Mapping[str, str] | None = None) -> list[Quantity]:
    """Return what buyers ask about: units decided now in all, the foreign ones among them, by chip and by offer; and
    the shares of all tokens that others serve.
    """
    p, program = solved.problem, solved.program
    lots = np.array([o.lot if o.lot > 0 else 1.0 for o in p.offers])
    out: list[Quantity] = []

    def now(which: list[int]) -> tuple[Array, Array]:
        columns = np.concatenate([program.named[f"order {t}"][which, 0] for t in range(solved.decide)]
                                 or [np.zeros(0, dtype=np.int32)])
        units = np.tile(lots[which], solved.decide)
        whole = program.whole[columns.astype(int)] if columns.size else np.zeros(0, dtype=bool)
        return columns.astype(float), np.where(whole, units, 1.0)

    owned = [i for i, o in enumerate(p.offers) if o.stock >= 0]
    chips = {c: [i for i in owned if p.offers[i].chip == c] for c in dict.fromkeys(p.offers[i].chip for i in owned)}
    for kind, name, which in (
            ("all", "units decided now", owned),
            ("all", "foreign units decided now", [i for i in owned if not p.offers[i].domestic]),
            *(("chip", f"{(names or {}).get(c, c)} decided now", at) for c, at in chips.items() if len(at) > 1),
            *(("offer", _words(o, names or {}), [i]) for i, o in enumerate(p.offers))):
        columns, values = now(which)
        if columns.size:
            out.append(Quantity(name=name, columns=columns, values=values, kind=kind))
    return out + _shares(solved)


def _shares(solved: Solved) -> list[Quantity]:
    """Return the shares of all tokens needed over the horizon that an API serves, and all that is not owned."""
    p, named = solved.problem, solved.program.named
    seconds = np.ones(len(p.quarters)) if p.seconds is None else p.seconds
    tokens = p.weight * seconds[:, None]
    tokens /= float((tokens * p.need).sum())
    return [Quantity(name=words, columns=named[key].ravel().astype(float), values=tokens.ravel(), kind="share")
            for key, words in (("api", "share of all tokens by API"),
                               ("outside", "share of all tokens by API and on rented or leased cards"))
            if key in named]


def _words(o: Offer, names: Mapping[str, str]) -> str:
    return f"{names.get(o.chip, o.chip)} by {o.contract}{' for ' + o.site if o.site else ''} decided now"


def near(p: Problem, labels: Labels, decide: int, risk: Risk, shares: tuple[float, ...] = (0.01, 0.03, 0.05),
         names: Mapping[str, str] | None = None, most: int | None = None,
         first: Collection[str] = (), mine: Solution | None = None) -> dict[str, dict[str, tuple[float, float]]]:
    """Return the range of each quantity over all plans within a share of the best cost.

    With `most`, only of the units in all and of so many offers: those named in `first`, then those that the best plan
    orders most of.

    Parameters
    ----------
    mine : Solution, optional
        The buyer's own plan on the same futures. Where its cost lies beyond the share, as whole servers may cost more
        than fractions, ranges are those of all plans that are no dearer: they always hold the plan itself.

    Returns
    -------
    ranges
        {quantity: {"1%": (least, most), ...}}; orders are not rounded to whole lots, so ranges are those of the
        relaxed program and contain every plan in whole lots that is as good.

    Notes
    -----
    Minimises and maximises the quantity under f <= (1 + e) f*, each from the corner where the best plan lies.
    Sources: Brill, Chang, Hopkins, "Modeling to generate alternatives", Management Science 28, 1982.
    """
    for e in shares:
        require(e > 0, "near", "be above 0, for example 3%", e)
    open_ = program_of(replace(p, serve_share=0.0), labels, decide, replace(risk, whole=False))
    program = with_row(open_, open_.cost, np.inf)
    session = Session(program)
    best = Solved(problem=p, labels=labels, program=program, solution=session.solve(), decide=decide)
    corner, value = session.corner(), best.solution.objective
    asked = quantities(best, names)
    if most is not None:
        asked = [*asked[:1], *sorted((q for q in asked if q.kind == "offer"), key=lambda q: (
            q.name not in first, -float(best.solution.x[q.columns.astype(int)] @ q.values)))[:most]]
    out: dict[str, dict[str, tuple[float, float]]] = {}
    for e in shares:
        most_cost = max(value + e * abs(value), -np.inf if mine is None else mine.objective)
        session.sides(program.row_lower.size - 1, -np.inf, most_cost)
        for q in asked:
            at, cost = q.columns.astype(int), np.zeros_like(program.cost)
            cost[at] = q.values
            ends = [sign * session.from_corner(corner, sign * cost).objective for sign in (1.0, -1.0)]
            if mine is not None:
                ends.append(float(mine.x[at] @ q.values))
            out.setdefault(q.name, {})[f"{e:.0%}"] = (min(ends), max(ends))
    return out


def by_date(p: Problem, risk: Risk, dates: tuple[int, ...]) -> dict[int, float]:
    """Return the best value when the first `n` quarters are decided blind: the price of deciding early. [money]"""
    return {n: solve_plan(p, labels_by_date(len(p.quarters), n, p.size), n, replace(risk, whole=False)
                          ).solution.objective for n in dates}


def frontier(p: Problem, decide: int, risk: Risk, weights: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 0.95),
             ) -> list[dict[str, float]]:
    """Return mean cost and tail mean of the best plan for each weight of the tail. [money]"""
    out = []
    labels = labels_by_date(len(p.quarters), decide, p.size)
    for w in weights:
        costs = solve_plan(p, labels, decide, replace(risk, tail_weight=w, whole=False)).costs
        out.append({"tail_weight": w, "mean": float(p.weight @ costs), "cvar": tail_mean(costs, p.weight, risk.tail)})
    return out


def gap(p: Problem, seen: Seen, first: First, decide: int, risk: Risk, *, information: str = "regimes",
        batches: int = 10, size: int = 100) -> dict[str, float]:
    """Return how far the orders of now may be from the best: on each of some samples, their cost less the optimum's.

    Parameters
    ----------
    p, seen : Problem, Seen
        Futures that the plan has not been made on, and what they show.
    first : First
        What is decided here and now.
    information : str
        Entry of `INFORMATION`.
    batches, size : int
        Samples, and futures in each.

    Returns
    -------
    bounds
        Means of the optimum (`lower_bound`), of the plan (`upper_bound`) and of their difference (`gap`), and the end
        of its one-sided 95 percent interval (`gap_high`); `gap_low` is 0, since nothing says that it is more. [money]

    Notes
    -----
    A sample's optimum fits its own futures and is too low on average, so the difference is too large on average and
    its interval holds. Both costs share their futures, so that luck falls out. What follows the first orders is
    planned alike on both sides, in parts of servers.
    Sources: Mak, Morton, Wood, "Monte Carlo bounding techniques", Operations Research Letters 24, 1999.
    """
    free = First(orders=np.full_like(first.orders, np.nan), signed=np.full_like(first.signed, np.nan))
    label = choose(INFORMATION, information, "information")
    pairs = []
    for k in range(min(batches, p.size // size)):
        keep = np.arange(k * size, (k + 1) * size)
        fixed = Fixed(p.take(keep), label(seen.take(keep), decide), decide, replace(risk, whole=False))
        pairs.append([fixed.at(f).solution.objective for f in (free, first)])
    best, mine = np.array(pairs).T
    more = mine - best
    reach = float(stdtrit(more.size - 1, 0.95) * more.std(ddof=1) / np.sqrt(more.size))
    middle = float(more.mean())
    return {"lower_bound": float(best.mean()), "upper_bound": float(mine.mean()), "gap": middle, "gap_low": 0.0,
            "gap_high": middle + reach}


SWEPT = 40
"""Scenarios of the sweeps behind pictures: enough for their shape, small enough for a run."""


def few(case: Case, pool: npt.NDArray[np.intp], count: int = SWEPT) -> Problem:
    """Return the problem on a small set of futures that stands for the pool."""
    picks, weight = reduce(case.features[pool], case.stratum[pool], min(count, pool.size))
    return case.problem.take(pool[picks], weight)


ROOM = 20
"""Futures on which the picture's ranges of orders are found; each end of a range is a program of its own."""

ROOM_SHARE, ROOM_OFFERS = 0.03, 5
"""Share of the best cost within which the picture lets orders move [1], and offers it shows beside the sum."""


def sweeps(case: Case, first: First, decide: int, risk: Risk, pool: npt.NDArray[np.intp], overdraft: float,
           ordered: Collection[str] = ()) -> dict[str, Any]:
    """Return cost by decision date, the frontier of mean and tail [USD], and the room of orders now [cards].

    All on a small set of futures, on which the decision `first` is carried out too, so that the room holds it, if need
    be at the price `overdraft` of money over the budget; `ordered` names its orders as `quantities` does.
    """
    small, tiny = few(case, pool), replace(few(case, pool, ROOM), overdraft=overdraft, serve_share=0.0)
    labels, soft = labels_by_date(len(tiny.quarters), decide, tiny.size), replace(risk, whole=False)
    room = near(tiny, labels, decide, risk, (ROOM_SHARE,), case.names, ROOM_OFFERS, ordered,
                Fixed(tiny, labels, decide, soft).at(first).solution) if decide else {}
    dates = tuple(n for n in (0, 1, 2, 3, 4, 6, 8) if n <= len(small.quarters))
    return {"room": {"share": ROOM_SHARE, "orders": {k: list(*r.values()) for k, r in room.items()}},
            "by_date": [{"quarters": n, "until": small.quarters[n - 1] if n else "", "cost": v * small.money}
                        for n, v in by_date(small, risk, dates).items()],
            "frontier": [{k: v if k == "tail_weight" else v * small.money for k, v in point.items()}
                         for point in frontier(small, decide, risk)]}
