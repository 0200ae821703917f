"""What a plan is worth: against perfect news, against the average future, and against simpler plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.base.errors import InputError
from chipcast.base.types import Array
from chipcast.plan.problem import Labels, Problem, assemble, labels_by_date
from chipcast.plan.sheet import Index, Program
from chipcast.plan.solve import Session, Solution, solve

Z90 = 1.6448536269514722
"""Standard normal at 95 percent: half width of a 90 percent interval in standard errors."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Risk:
    """What is minimised, and how whole the orders are."""

    tail: float = 0.9
    """Level of the tail."""
    tail_weight: float = 0.0
    """Weight of the tail mean against the mean."""
    at_cut: str = "commit_and_lose"
    """Entry of `AT_CUT`."""
    whole: bool = False
    """Whether here-and-now orders come in whole lots."""
    types: int = 0
    """Most chip types ordered here and now; 0 for no limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Solved:
    """A solved plan: its program, solution and the cost of each scenario."""

    problem: Problem
    """What was asked."""
    labels: Labels
    """What was known when."""
    program: Program
    """The program."""
    solution: Solution
    """Its optimum."""
    decide: int
    """Quarters decided here and now."""

    @property
    def costs(self) -> Array:
        """Cost of each scenario. [money] (scenario)"""
        return self.program.scenario_costs(self.solution.x)

    def orders(self) -> Array:
        """Return units ordered by offer, quarter and scenario, whatever label they carry."""
        p = self.problem
        out = np.empty((len(p.offers), len(p.quarters), p.size))
        for t in range(len(p.quarters)):
            columns = self.program.named[f"order {t}"]
            inverse = np.unique(self.labels[t], return_inverse=True)[1]
            units = np.where(self.program.whole[columns[:, :1]], [[o.lot] for o in p.offers], 1.0)
            out[:, t] = self.solution.x[columns][:, inverse] * units
        return out

    def now(self) -> Array:
        """Return the here-and-now orders. [units] (offer, quarter)"""
        return self.orders()[:, : self.decide, 0]


def tail_mean(costs: Array, weight: Array, tail: float) -> float:
    """Mean of the worst 1 - `tail` of cost.

    >>> round(tail_mean(np.array([64.0, 68, 100, 160]), np.full(4, 0.25), 0.6), 6)
    137.5
    """
    order = np.argsort(-costs, kind="stable")
    c, w = costs[order], weight[order]
    left = 1 - tail
    take = np.clip(left - (np.cumsum(w) - w), 0.0, w)
    return float((take * c).sum() / left)


def functional(costs: Array, weight: Array, risk: Risk) -> float:
    """Return (1 - w) mean + w tail mean of cost."""
    mean = float(weight @ costs)
    if risk.tail_weight == 0:
        return mean
    return (1 - risk.tail_weight) * mean + risk.tail_weight * tail_mean(costs, weight, risk.tail)


def solve_plan(p: Problem, labels: Labels, decide: int, risk: Risk) -> Solved:
    """Solve a problem under an information pattern; whole lots are fixed and the rest solved once more.

    The second solve gives exact stocks and the prices of limits, which branch and bound does not.
    """
    program = assemble(p, labels, tail=risk.tail, tail_weight=risk.tail_weight, at_cut=risk.at_cut,
                       whole_until=decide if risk.whole else 0, types=risk.types)
    solution = solve(program)
    if program.whole.any():
        solution = polish(program, solution)
    return Solved(problem=p, labels=labels, program=program, solution=solution, decide=decide)


def polish(program: Program, solution: Solution) -> Solution:
    """Return the optimum with whole columns fixed at their values, with duals."""
    from dataclasses import replace

    at = program.whole
    fixed = np.rint(solution.x[at])
    low, high = program.lower.copy(), program.upper.copy()
    low[at] = high[at] = fixed
    again = solve(replace(program, lower=low, upper=high, whole=np.zeros_like(at)))
    return replace(again, bound=solution.bound, gap=solution.gap)


BLOCK = 250
"""Futures judged in one program: they separate, and small programs solve faster than their sum."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What happens to a plan whose here-and-now orders are fixed, in each future."""

    costs: Array
    """Cost. [money] (scenario)"""
    orders: Array
    """Units ordered. (offer, quarter, scenario)"""
    owned: Array
    """Units owned. (stock, quarter, scenario)"""
    missing: Array
    """Service not delivered. (quarter, scenario)"""


def recourse(p: Problem, decide: int, plans: Mapping[str, Array], *, at_cut: str = "commit_and_lose",
             ) -> dict[str, Judged]:
    """Return what happens when the here-and-now orders are fixed and the rest is done as well as can be.

    Parameters
    ----------
    plans : mapping
        Here-and-now orders of each plan; not-a-number leaves one free. [units] (offer, quarter up to decide)

    Notes
    -----
    Scenarios separate once the first orders are fixed, so blocks are solved one by one; all plans share a block's
    program and its basis. A free order is still shared by the futures of its block, unless all are free.
    """
    parts: dict[str, list[Judged]] = {name: [] for name in plans}
    for start in range(0, p.size, BLOCK):
        keep = np.arange(start, min(start + BLOCK, p.size))
        block = p.take(keep, np.full(keep.size, 1 / keep.size))
        for name, judged in _recourse(block, decide, plans, at_cut).items():
            parts[name].append(judged)
    return {name: Judged(**{k: np.concatenate([getattr(j, k) for j in js], axis=-1)
                            for k in ("costs", "orders", "owned", "missing")}) for name, js in parts.items()}


def _recourse(p: Problem, decide: int, plans: Mapping[str, Array], at_cut: str) -> dict[str, Judged]:
    out: dict[str, Judged] = {}
    session: Session | None = None
    labels = labels_by_date(len(p.quarters), decide, p.size)
    done: dict[bytes, Judged] = {}
    for name, units in plans.items():
        key = units.tobytes()
        if key in done:
            out[name] = done[key]
            continue
        if np.isnan(units).all():
            apart = labels_by_date(len(p.quarters), 0, p.size)
            program = assemble(p, apart, at_cut=at_cut)
            solved = Solved(problem=p, labels=apart, program=program, solution=solve(program), decide=0)
        else:
            if session is None:
                session = Session(assemble(p, labels, at_cut=at_cut))
            program = session.program
            columns = np.stack([program.named[f"order {t}"][:, 0] for t in range(decide)], axis=1)
            free = np.isnan(units)
            session.bounds(columns, np.where(free, 0.0, units), np.where(free, program.upper[columns], units))
            solved = Solved(problem=p, labels=labels, program=program, solution=session.solve(), decide=decide)
        x = solved.solution.x
        out[name] = done[key] = Judged(costs=solved.costs, orders=solved.orders(), owned=x[program.named["owned"]],
                           missing=x[program.named["missing"]])
    return out


def wait_and_see(p: Problem, risk: Risk) -> float:
    """Return the value with perfect news: every scenario decides for itself."""
    program = assemble(p, labels_by_date(len(p.quarters), 0, p.size), at_cut=risk.at_cut)
    return functional(program.scenario_costs(solve(program).x), p.weight, risk)


def mean_plan(p: Problem, decide: int, risk: Risk) -> Array:
    """Return the here-and-now orders that are best for the average future. [units] (offer, quarter)"""
    average = p.mean()
    return solve_plan(average, labels_by_date(len(p.quarters), decide, 1), decide, risk).now()


def values(p: Problem, decide: int, risk: Risk, *, solved: Solved | None = None, labels: Labels | None = None,
           ) -> tuple[dict[str, float], Array]:
    """Return ws, sp, eev, evpi and vss of one functional, and the mean-value plan.

    Notes
    -----
    EVPI = SP - WS, VSS = EEV - SP. EEV fixes the here-and-now orders of the mean problem and solves the rest;
    its other orders are free again.
    Sources: Raiffa and Schlaifer, "Applied Statistical Decision Theory", 1961; Birge, Mathematical
    Programming 24, 1982.
    """
    by_date = labels is None
    labels = labels_by_date(len(p.quarters), decide, p.size) if labels is None else labels
    solved = solved or solve_plan(p, labels, decide, risk)
    sp = functional(solved.costs, p.weight, risk)
    ws = wait_and_see(p, risk)
    plan = mean_plan(p, decide, risk)
    if by_date:
        eev = functional(recourse(p, decide, {"mean": plan}, at_cut=risk.at_cut)["mean"].costs, p.weight, risk)
    else:
        eev = _fixed(p, labels, decide, risk, plan)
    return {"ws": ws, "sp": sp, "eev": eev, "evpi": sp - ws, "vss": eev - sp}, plan


def paired(plan: Array, rival: Array, risk: Risk | None = None) -> dict[str, Any]:
    """Compare two plans on the same fresh futures: the saving, its 90 percent interval and a verdict.

    Parameters
    ----------
    plan, rival : array
        Costs on the same futures, evenly weighted. (draw)
    risk : Risk, optional
        Functional that is compared; default: the mean.

    Notes
    -----
    With a tail each cost counts (1 - w) c + w [v + (c - v)+ / (1 - a)], v its own quantile: the mean of these is
    the functional, and their paired spread gives its standard error to first order.
    """
    tiny = 1e-9 * max(1.0, float(np.abs(rival).mean()))
    gain = contributions(rival, risk or Risk()) - contributions(plan, risk or Risk())
    mean, error = float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(gain.size)) if gain.size > 1 else 0.0
    low, high = mean - Z90 * error, mean + Z90 * error
    if abs(mean) <= tiny and error <= tiny:
        mean = low = high = 0.0
    verdict = "better" if low > tiny else "worse" if high < -tiny else "cannot tell"
    return {"difference": mean, "low": low, "high": high, "verdict": verdict}


def _fixed(p: Problem, labels: Labels, decide: int, risk: Risk, now: Array) -> float:
    """Return the value under an information pattern whose here-and-now orders are given."""
    program = assemble(p, labels, tail=risk.tail, tail_weight=risk.tail_weight, at_cut=risk.at_cut)
    session = Session(program)
    for t in range(decide):
        session.bounds(program.named[f"order {t}"][:, 0], now[:, t], now[:, t])
    return session.solve().objective


def contributions(costs: Array, risk: Risk) -> Array:
    """Return what each future adds to the functional; their mean is the functional. (draw)"""
    if risk.tail_weight == 0:
        return costs
    even = np.full(costs.size, 1 / costs.size)
    order = np.sort(costs)
    edge = order[min(int(np.floor(risk.tail * costs.size)), costs.size - 1)]
    above = edge + np.maximum(costs - edge, 0) / (1 - risk.tail)
    out: Array = (1 - risk.tail_weight) * costs + risk.tail_weight * above
    assert abs(float(even @ out) - functional(costs, even, risk)) <= 1e-6 * (1 + np.abs(costs).max())
    return out


def sees_ahead(orders: Array, labels: Labels, decide: int, *, tolerance: float = 1e-6) -> bool:
    """Return whether orders differ between scenarios that nobody could tell apart when they were placed.

    Reads the solution and not the program, so that it also judges plans of another making.

    Parameters
    ----------
    orders : array
        Units. (offer, quarter, scenario)
    labels : array
        What was known. (quarter, scenario)
    decide : int
        Quarters decided here and now, at least equal in all scenarios.
    """
    if np.ptp(orders[:, :decide], axis=-1).max(initial=0.0) > tolerance:
        return True
    for t in range(decide, labels.shape[0]):
        _, first, inverse = np.unique(labels[t], return_index=True, return_inverse=True)
        if np.abs(orders[:, t] - orders[:, t][:, first][:, inverse]).max(initial=0.0) > tolerance:
            return True
    return False


def require_foresight_free(orders: Array, labels: Labels, decide: int) -> None:
    """Raise `InputError` for orders that know the future."""
    if sees_ahead(orders, labels, decide):
        raise InputError("the plan's orders differ between futures that look alike when it orders; it sees ahead")


__all__ = ["Index", "Judged", "Risk", "Solved", "functional", "mean_plan", "paired", "polish", "recourse", "sees_ahead",
           "solve_plan", "tail_mean", "values", "wait_and_see", "npt"]
