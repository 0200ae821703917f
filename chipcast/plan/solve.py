"""HiGHS behind one door: options checked, warm starts kept, and a status in words.

Anything but a proved optimum is never a plan, except the best one found within a time limit, shown with its bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chipcast.base.errors import ChipcastError, InfeasibleError, InputError
from chipcast.base.types import Array
from chipcast.plan.conflict import explain_conflict
from chipcast.plan.sheet import Index, Program

GAP = 1e-3
"""Relative gap at which a program with whole numbers counts as solved, as in the acceptance target."""

DEVEX = 1
"""HiGHS's number for Devex prices: on our programs a quarter to a half faster than its own choice, steepest edges,
which also have to be set up anew at every warm start. See `benchmarks/bench_plan.py`."""

SOLVERS: Mapping[str, Mapping[str, Any]] = {
    "simplex": {"solver": "simplex", "simplex_dual_edge_weight_strategy": DEVEX},
    "primal": {"solver": "simplex", "simplex_strategy": 4},
    "ipm": {"solver": "ipm"},
    "hipo": {"solver": "hipo", "run_crossover": "off"},
    "milp": {"solver": "choose"},
}
"""Ways to solve, as options of HiGHS; a program with whole numbers always goes through branch and bound."""

WORDS = {
    "kOptimal": "optimal", "kInfeasible": "infeasible", "kUnbounded": "unbounded",
    "kUnboundedOrInfeasible": "infeasible or unbounded", "kTimeLimit": "stopped by the time limit",
    "kIterationLimit": "stopped by the iteration limit", "kSolutionLimit": "stopped by the solution limit",
    "kObjectiveBound": "stopped above a known plan",
    "kUnknown": "ended without an answer", "kModelError": "not a valid program",
    "kSolveError": "failed inside the solver", "kInterrupt": "interrupted",
}
"""Status of HiGHS in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """An optimum."""

    x: Array
    """Value of each column. (column)"""
    objective: float
    """Objective."""
    row_dual: Array
    """Change of the objective per unit of a row's side. (row)"""
    column_dual: Array
    """Reduced costs. (column)"""
    status: str
    """`optimal`, or `stopped by the time limit` with the gap that was left."""
    bound: float
    """Best proved bound on the objective."""
    gap: float
    """Relative gap between objective and bound."""


class Session:
    """One program kept inside HiGHS, so that a what-if starts from the last basis."""

    def __init__(self, program: Program, *, solver: str = "simplex", options: Mapping[str, Any] | None = None,
                 ) -> None:
        """Hand the program over and check every option."""
        import highspy

        from chipcast.base.choose import choose

        self.program = program
        self._h = _quiet()
        self._words = {getattr(highspy.HighsModelStatus, k): v for k, v in WORDS.items()
                       if hasattr(highspy.HighsModelStatus, k)}
        self._ok = highspy.HighsStatus.kOk
        self._error = highspy.HighsStatus.kError
        self._whole = bool(program.whole.any())
        way = {} if self._whole else choose(SOLVERS, solver, "solver")
        base = {"output_flag": False, "threads": 1, "random_seed": 0, "mip_rel_gap": GAP, **way}
        for name, value in {**base, **(options or {})}.items():
            if name == "output_flag" and value:
                raise InputError("solver option output_flag must stay off; the plan is the only output")
            self._option(name, value)
        none = np.zeros(0, dtype=np.int32)
        kind = program.whole.astype(np.int32) if self._whole else none
        status = self._pass(kind)
        if status == self._error:
            raise ChipcastError("the solver refused the program; this is a fault of chipcast")

    def _pass(self, kind: Index) -> Any:
        import highspy

        p = self.program
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = p.cost.size, p.row_lower.size
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = p.cost, p.lower, p.upper
        lp.row_lower_, lp.row_upper_ = p.row_lower, p.row_upper
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = p.cost.size, p.row_lower.size
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = p.start, p.index, p.value
        if kind.size:
            types = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            lp.integrality_ = [types[int(k)] for k in kind]
        return self._h.passModel(lp)

    def _option(self, name: str, value: Any) -> None:
        if self._h.setOptionValue(name, value) != self._ok:
            raise InputError(f"solver option '{name}' = {value!r} is not known to HiGHS; "
                             "see its list of options for names and values")

    def bounds(self, columns: Any, lower: Any, upper: Any) -> None:
        """Change the bounds of columns and keep the basis."""
        shape = np.shape(columns)
        at = np.ascontiguousarray(np.ravel(columns), dtype=np.int32)
        low, high = (np.ascontiguousarray(np.ravel(np.broadcast_to(np.asarray(v, dtype=np.float64), shape)))
                     for v in (lower, upper))
        self._h.changeColsBounds(at.size, at, low, high)

    def sides(self, rows: Any, lower: Any, upper: Any) -> None:
        """Change the sides of rows and keep the basis."""
        at = np.ravel(rows)
        low, high = (np.broadcast_to(np.asarray(v, dtype=np.float64), at.shape) for v in (lower, upper))
        for i, a, b in zip(at.tolist(), low.tolist(), high.tolist(), strict=True):
            self._h.changeRowBounds(int(i), a, b)

    def costs(self, cost: Array) -> None:
        """Change the objective and keep the basis."""
        at = np.arange(cost.size, dtype=np.int32)
        self._h.changeColsCost(at.size, at, np.ascontiguousarray(cost, dtype=np.float64))

    def corner(self) -> Any:
        """Return the basis of the last optimum, a corner of the program from which a later solve can start."""
        return self._h.getBasis()

    def at_corner(self, corner: Any) -> None:
        """Start the next solve at a corner; None starts it afresh."""
        if corner is None:
            self._h.clearSolver()
        else:
            self._h.setBasis(corner)

    def only_below(self, value: float) -> None:
        """Let a solve from a corner give up, as if there were no solution, once nothing under a value is possible."""
        self._option("objective_bound", value)

    def from_corner(self, corner: Any, cost: Array) -> Solution:
        """Return the optimum under another objective, walking from a corner that keeps all limits.

        Only the objective has changed, so the primal simplex starts from a plan and has few steps to go, where the
        dual one would have to find a plan again.
        """
        self._option("simplex_strategy", SOLVERS["primal"]["simplex_strategy"])
        self.at_corner(corner)
        self.costs(cost)
        return self.solve()

    def start_from(self, columns: Any, values: Any) -> None:
        """Offer a starting point for whole-numbered columns."""
        at = np.ascontiguousarray(np.ravel(columns), dtype=np.int32)
        self._h.setSolution(at.size, at, np.ascontiguousarray(np.ravel(values), dtype=np.float64))

    def feasible(self) -> bool:
        """Run and return whether an optimum was found."""
        return self.try_solve() is not None

    def solve(self) -> Solution:
        """Solve and return the optimum, or the best plan found when the time limit stops branch and bound.

        Raises
        ------
        InfeasibleError
            If no solution exists; the message names the families of limits that fight, and what would do.
        ChipcastError
            If the solver ended in any other way.
        """
        best = self.try_solve()
        if best is None:
            raise InfeasibleError(explain_conflict(self.program))
        return best

    def try_solve(self) -> Solution | None:
        """Solve as `solve` does, but return None where no solution exists, or none under the value of `only_below`."""
        self._h.run()
        status = self._words.get(self._h.getModelStatus(), "ended in an unknown way")
        if status.startswith("infeasible") or status == WORDS["kObjectiveBound"]:
            return None
        point, info = self._h.getSolution(), self._h.getInfo()
        found = self._whole and status == "stopped by the time limit" and point.value_valid \
            and np.isfinite(info.mip_gap)
        if status != "optimal" and not found:
            raise ChipcastError(f"the solver {status}; no plan is reported (allow more time or fewer scenarios)")
        bound = float(info.mip_dual_bound) if self._whole else float(info.objective_function_value)
        gap = float(info.mip_gap) if self._whole else 0.0
        return Solution(x=np.array(point.col_value), objective=float(info.objective_function_value),
                        row_dual=np.array(point.row_dual), column_dual=np.array(point.col_dual), status=status,
                        bound=bound, gap=gap)


def solve(program: Program, *, solver: str = "simplex", options: Mapping[str, Any] | None = None) -> Solution:
    """Solve a program once and return its optimum."""
    return Session(program, solver=solver, options=options).solve()


def _quiet() -> Any:
    """Return a solver that never writes to standard output: its callbacks print a banner, so they stay off."""
    import highspy

    quiet = type("Quiet", (highspy.Highs,), {"enableCallbacks": lambda self: None})
    return quiet()
