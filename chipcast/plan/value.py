"""What a plan is worth: against perfect news, against the average future, and against simpler plans."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.types import Array
from chipcast.plan.assemble import assemble
from chipcast.plan.labels import Labels, labels_by_date
from chipcast.plan.lots import Stop, branch
from chipcast.plan.problem import Problem
from chipcast.plan.sheet import Program
from chipcast.plan.solve import Session, Solution, solve

Z90 = 1.6448536269514722
"""Standard normal at 95 percent: half width of a 90 percent interval in standard errors."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Risk:
    """What is minimised, and how whole the orders are."""

    kind: str = "mean_cvar"
    """Entry of `RISK`: mean, mean_cvar, worst_case or regret."""
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
    by: str = "branch"
    """Entry of `WHOLE_BY`: how a plan in whole lots is found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class First:
    """What is decided here and now."""

    orders: Array
    """Units; not-a-number where free. (offer, quarter up to decide)"""
    signed: Array
    """Units signed to be called off later; not-a-number where free. (offer)"""

    def key(self) -> bytes:
        """Return what tells two decisions apart."""
        return self.orders.tobytes() + self.signed.tobytes()


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

    def by_node(self, t: int) -> Array:
        """Return what is ordered in a quarter by offer and node of the tree: units, or shares of `Problem.scale` after
        the decision date. (offer, node)
        """
        columns = self.program.named[f"order {t}"]
        return np.asarray(self.solution.x[columns] * np.where(self.program.whole[columns[:, :1]],
                                                              [[o.lot] for o in self.problem.offers], 1.0))

    def orders(self) -> Array:
        """Return units ordered by offer, quarter and scenario, whatever label they carry."""
        p = self.problem
        out = np.empty((len(p.offers), len(p.quarters), p.size))
        for t in range(len(p.quarters)):
            out[:, t] = self.by_node(t)[:, np.unique(self.labels[t], return_inverse=True)[1]]
            if t >= self.decide:
                out[:, t] *= p.in_units(t)
        return out

    def now(self) -> Array:
        """Return the here-and-now orders. [units] (offer, quarter)"""
        return self.orders()[:, : self.decide, 0]

    def signed(self) -> Array:
        """Return the volumes signed here and now. [units] (offer)"""
        out = np.zeros(len(self.problem.offers))
        for i, o in enumerate(self.problem.offers):
            if o.signed:
                at = self.program.named[f"signed {i}"][0]
                out[i] = self.solution.x[at] * (o.lot if self.program.whole[at] else 1.0)
        return out

    def first(self) -> First:
        """Return all that is decided here and now."""
        return First(orders=self.now(), signed=self.signed())


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


def functional(costs: Array, weight: Array, risk: Risk, base: Array | None = None) -> float:
    """Return what is minimised: (1 - w) mean + w tail mean of cost, the largest cost, or the largest regret."""
    if risk.kind == "worst_case":
        return float(costs.max())
    if risk.kind == "regret" and base is not None:
        return float((costs - base).max())
    mean = float(weight @ costs)
    if risk.tail_weight == 0 or risk.kind == "mean":
        return mean
    return (1 - risk.tail_weight) * mean + risk.tail_weight * tail_mean(costs, weight, risk.tail)


def contributions(costs: Array, risk: Risk) -> Array:
    """Return what each future adds to the mean and tail of cost; their mean is that functional. (draw)"""
    if risk.tail_weight == 0:
        return costs
    order = np.sort(costs)
    edge = order[min(int(np.floor(risk.tail * costs.size)), costs.size - 1)]
    above = edge + np.maximum(costs - edge, 0) / (1 - risk.tail)
    out: Array = (1 - risk.tail_weight) * costs + risk.tail_weight * above
    return out


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


def program_of(p: Problem, labels: Labels, decide: int, risk: Risk, *, whole_until: int = 0, blocks: bool = False,
               ) -> Program:
    """Return the program of a problem under a buyer's view of risk."""
    base = news_costs(p, risk) if risk.kind == "regret" else None
    return assemble(p, labels, tail=risk.tail, tail_weight=risk.tail_weight, risk=risk.kind, base=base,
                    at_cut=risk.at_cut, decide=decide, whole_until=whole_until,
                    types=risk.types if whole_until else 0, blocks=blocks)


def solve_plan(p: Problem, labels: Labels, decide: int, risk: Risk, *, stop: Stop | None = None) -> Solved:
    """Solve a problem under an information pattern, with the here-and-now decision in whole lots if asked."""
    way = choose(WHOLE_BY, risk.by, "way to whole lots") if risk.whole and decide else _relaxed
    program, solution = way(p, labels, decide, risk, stop)
    return Solved(problem=p, labels=labels, program=program, solution=solution, decide=decide)


def _relaxed(p: Problem, labels: Labels, decide: int, risk: Risk, stop: Stop | None) -> tuple[Program, Solution]:
    program = program_of(p, labels, decide, risk)
    return program, solve(program)


def _by_branch(p: Problem, labels: Labels, decide: int, risk: Risk, stop: Stop | None) -> tuple[Program, Solution]:
    program = program_of(p, labels, decide, risk, blocks=True)
    return program, branch(p, program, decide, types=risk.types, stop=stop)


def _by_milp(p: Problem, labels: Labels, decide: int, risk: Risk, stop: Stop | None) -> tuple[Program, Solution]:
    """Branch and bound of HiGHS, then the rest once more: that gives the prices of limits."""
    program = program_of(p, labels, decide, risk, whole_until=decide)
    solution = solve(program)
    return program, polish(program, solution) if program.whole.any() else solution


WHOLE_BY = {"branch": _by_branch, "milp": _by_milp}
"""Ways to a here-and-now decision in whole lots."""


def polish(program: Program, solution: Solution) -> Solution:
    """Return the optimum with whole columns fixed at their values, with duals."""
    at = program.whole
    fixed = np.rint(solution.x[at])
    low, high = program.lower.copy(), program.upper.copy()
    low[at] = high[at] = fixed
    again = solve(replace(program, lower=low, upper=high, whole=np.zeros_like(at)))
    return replace(again, bound=solution.bound, gap=solution.gap, status=solution.status)


NEAR = 1
"""Decisions that differ in no more orders are solved from one another's corner."""


class Fixed:
    """One relaxed program kept warm, solved again for each here-and-now decision."""

    def __init__(self, p: Problem, labels: Labels, decide: int, risk: Risk) -> None:
        """Assemble the program once."""
        self.p, self.labels, self.decide, self.risk = p, labels, decide, risk
        self.program = program_of(p, labels, decide, risk)
        self._session = Session(self.program)
        self._corners: list[tuple[Array, Any]] = []
        self._done: dict[bytes, Solved] = {}

    def at(self, first: First) -> Solved:
        """Return the best plan with a here-and-now decision fixed where it is not free."""
        if first.key() not in self._done:
            program = self.program
            columns = [program.named[f"order {t}"][:, 0] for t in range(self.decide)]
            units = [first.orders[:, t] for t in range(self.decide)]
            for i, o in enumerate(self.p.offers):
                if o.signed:
                    columns.append(program.named[f"signed {i}"])
                    units.append(first.signed[i : i + 1])
            at = np.concatenate(columns) if columns else np.zeros(0, dtype=np.int32)
            fixed = np.concatenate(units) if units else np.zeros(0)
            free = np.isnan(fixed)
            if at.size:
                self._session.bounds(at, np.where(free, 0.0, fixed), np.where(free, program.upper[at], fixed))
            self._session.at_corner(self._near(fixed))
            self._done[first.key()] = Solved(problem=self.p, labels=self.labels, program=program,
                                             solution=self._session.solve(), decide=self.decide)
            self._corners.append((fixed, self._session.corner()))
        return self._done[first.key()]

    def _near(self, fixed: Array) -> Any:
        """Return the corner of a decision that hardly differs, or None: from afar a fresh start is quicker."""
        apart = [int(np.sum(~((fixed == other) | (np.isnan(fixed) & np.isnan(other))))) for other, _ in self._corners]
        k = int(np.argmin(apart)) if apart else 0
        return self._corners[k][1] if apart and apart[k] <= NEAR else None


def news_costs(p: Problem, risk: Risk) -> Array:
    """Return the cost of each scenario with perfect news, by which every scenario decides for itself. (scenario)

    Orders are in units here: who knows the future is not held to shares of what an order seems to need, nor to a volume
    signed for all futures.
    """
    free = replace(p, serve_share=0.0, scale=None)
    program = assemble(free, labels_by_date(len(p.quarters), 0, p.size), at_cut=risk.at_cut, signed_blind=False)
    return program.scenario_costs(solve(program).x)


def wait_and_see(p: Problem, risk: Risk) -> float:
    """Return the value with perfect news."""
    base = news_costs(p, risk)
    return functional(base, p.weight, risk, base)


def mean_plan(p: Problem, decide: int, risk: Risk) -> First:
    """Return the here-and-now decision that is best for the average future."""
    average = p.mean()
    return solve_plan(average, labels_by_date(len(p.quarters), decide, 1), decide, risk).first()


def values(p: Problem, decide: int, risk: Risk, *, solved: Solved | None = None, labels: Labels | None = None,
           fixed: Fixed | None = None) -> tuple[dict[str, float], First]:
    """Return ws, sp, eev, evpi and vss of one functional, and the mean-value plan.

    Parameters
    ----------
    solved : Solved, optional
        The stochastic plan; solved here if left out.
    labels : array, optional
        Information; default: by date.
    fixed : Fixed, optional
        A warm program on the same scenarios, in which an overdraft may be allowed.

    Notes
    -----
    EVPI = SP - WS, VSS = EEV - SP. EEV fixes the here-and-now decision of the mean problem and solves the rest
    under the same information; its other orders are free again.
    Sources: Raiffa and Schlaifer, "Applied Statistical Decision Theory", 1961; Birge, Mathematical
    Programming 24, 1982.
    """
    labels = labels_by_date(len(p.quarters), decide, p.size) if labels is None else labels
    solved = solved or solve_plan(p, labels, decide, risk)
    fixed = fixed or Fixed(p, labels, decide, risk)
    base = news_costs(p, risk)
    sp = functional(solved.costs, p.weight, risk, base)
    ws = functional(base, p.weight, risk, base)
    plan = mean_plan(p, decide, risk)
    eev = functional(fixed.at(plan).costs, p.weight, risk, base)
    return {"ws": ws, "sp": sp, "eev": eev, "evpi": sp - ws, "vss": eev - sp}, plan
