"""Whole servers, first blocks and few chip types: branch and bound on the here-and-now decision alone.

Only what is committed now must be whole, a few dozen numbers, while the program behind them has tens of thousands.
A relaxed program kept warm answers each question of the search in a few hundredths of a second, so the search
is done here; HiGHS's own branch and bound, which starts from the whole program, stays as the other way (`milp`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.base.errors import InfeasibleError
from chipcast.base.types import Array
from chipcast.plan.conflict import explain_conflict
from chipcast.plan.problem import Problem
from chipcast.plan.sheet import Index, Program
from chipcast.plan.solve import GAP, Session, Solution

MOST_NODES = 150
"""Programs solved before the search stops and reports the gap that is left."""

WHOLE = 1e-6
"""A number of lots this close to a whole one is whole."""

Stop = Callable[[], bool]
"""Asked now and then whether the time is up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Decisions that count together: a chip type, a service in a quarter, a signed volume."""

    members: npt.NDArray[np.intp]
    """Positions among the decisions."""
    block: float
    """Least units together, if any. [units]"""
    is_type: bool
    """Whether it counts as a chip type."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decisions:
    """The here-and-now decisions of a program."""

    columns: Index
    """Their columns. (decision)"""
    lot: Array
    """Units of a whole lot; 0 for none. (decision)"""
    upper: Array
    """Most units. (decision)"""
    groups: tuple[Group, ...]
    """Which count together."""
    rows: Index
    """Row that sums each group, whose lower side can be raised. (group)"""


@dataclass(order=True, slots=True)
class _Node:
    bound: float
    serial: int
    low: Array
    high: Array
    least: Array
    corner: Any = None
    """Where the node above was solved: one changed bound away."""


def decisions(p: Problem, program: Program, decide: int) -> Decisions:
    """Return the here-and-now decisions of a program that was assembled with `blocks`."""
    columns: list[int] = []
    lots: list[float] = []
    groups: list[Group] = []
    at: dict[tuple[int, int], int] = {}
    for i, o in enumerate(p.offers):
        for t in range(decide):
            at[i, t] = len(columns)
            columns.append(int(program.named[f"order {t}"][i, 0]))
            lots.append(o.lot)
    signed = {}
    for i, o in enumerate(p.offers):
        if o.signed:
            signed[i] = len(columns)
            columns.append(int(program.named[f"signed {i}"][0]))
            lots.append(o.lot)
    for c in range(len(p.stocks)):
        members = [at[i, t] for i, o in enumerate(p.offers) if o.stock == c for t in range(decide)]
        block = max(o.first_block for o in p.offers if o.stock == c)
        groups.append(Group(members=np.array(members, dtype=np.intp), block=block, is_type=False))
    groups += [Group(members=np.array([at[i, t]]), block=p.offers[i].first_block, is_type=False)
               for i in p.used for t in range(decide)]
    groups += [Group(members=np.array([k]), block=p.offers[i].least_signed, is_type=False) for i, k in signed.items()]
    for chip in dict.fromkeys(p.stocks):
        mine = [i for i in p.owned if p.offers[i].chip == chip]
        members = [at[i, t] for i in mine for t in range(decide)] + [signed[i] for i in mine if i in signed]
        groups.append(Group(members=np.array(members, dtype=np.intp), block=0.0, is_type=True))
    index = np.array(columns, dtype=np.int32)
    lot = np.array(lots)
    most = program.upper[index]
    upper = np.where(lot > 0, np.floor(np.minimum(most, 1e12) / np.maximum(lot, 1e-12) + 1e-9) * lot, most)
    return Decisions(columns=index, lot=lot, upper=upper, groups=tuple(groups),
                     rows=program.blocks.get("first block", np.zeros(0, dtype=np.int32)))


def branch(p: Problem, program: Program, decide: int, *, types: int = 0, gap: float = GAP, most: int = MOST_NODES,
           stop: Stop | None = None) -> Solution:
    """Return the best plan whose here-and-now decision is in whole lots, with its bound and gap.

    Parameters
    ----------
    program : Program
        Assembled with `blocks`.
    types : int
        Most chip types ordered here and now; 0 for no limit.
    gap : float
        Relative gap at which the search ends.
    most : int
        Programs solved at most; the gap that is left then is reported.
    stop : callable, optional
        Ends the search early where it returns true.

    Notes
    -----
    Best bound first. A node is split at a group below its first block (nothing, or at least the block), at the
    smallest of too many chip types, or at the decision farthest from a whole lot. Rounding the relaxed decision
    gives plans to compare with.
    """
    search = _Search(p, program, decisions(p, program, decide), types)
    first = search.solve(search.root())
    if first is None:
        raise InfeasibleError(explain_conflict(program))
    heap = [replace(search.root(first.objective), corner=search.session.corner())]
    serial, status = 0, "optimal"
    while heap and search.gap(heap[0].bound) > gap:
        if search.solved >= most or (stop is not None and stop()):
            status = "stopped by the time limit" if search.solved < most else "stopped by the limit on nodes"
            break
        node = heapq.heappop(heap)
        relaxed = search.solve(node)
        if relaxed is None or search.prunes(relaxed.objective):
            continue
        x, corner = relaxed.x[search.d.columns], search.session.corner()
        search.try_rounding(x, replace(node, corner=corner))
        for low, high, least in search.split(x, node):
            serial += 1
            heapq.heappush(heap, _Node(relaxed.objective, serial, low, high, least, corner))
    if search.best is None:
        raise InfeasibleError(
            "no plan in whole servers fits, though one in fractions of servers would; raise the budget or the room a "
            "little, or ask for less" if status == "optimal" else "no plan in whole servers was found in time; "
            "allow more time, fewer chip types or a larger budget")
    bound = min(heap[0].bound, search.value) if heap else search.value
    return replace(search.best, bound=bound, gap=max(search.gap(bound), 0.0), status=status)


class _Search:
    """The warm program and the best plan so far."""

    def __init__(self, p: Problem, program: Program, d: Decisions, types: int) -> None:
        self.p, self.program, self.d, self.types = p, program, d, types
        self.session = Session(program)
        self.best: Solution | None = None
        self.value = np.inf
        self.solved = 0
        self._tried: set[bytes] = set()

    def root(self, bound: float = -np.inf) -> _Node:
        return _Node(bound, 0, np.zeros(self.d.columns.size), self.d.upper.copy(), np.zeros(len(self.d.groups)))

    def gap(self, bound: float) -> float:
        """Return the relative gap between the best plan and a bound."""
        return float((self.value - bound) / max(abs(self.value), 1e-12)) if np.isfinite(self.value) else np.inf

    def prunes(self, value: float) -> bool:
        """Return whether nothing better can lie below a node."""
        return value >= self.value - 1e-9 * max(abs(self.value), 1.0)

    def solve(self, node: _Node) -> Solution | None:
        """Return the relaxed optimum of a node, or None."""
        if (node.low > node.high + 1e-9).any():
            return None
        self.solved += 1
        self.session.only_below(self.value)
        self.session.bounds(self.d.columns, node.low, node.high)
        if self.d.rows.size:
            self.session.sides(self.d.rows, node.least, np.full(self.d.rows.size, np.inf))
        if node.corner is not None:
            self.session.at_corner(node.corner)
        return self.session.try_solve()

    def sums(self, x: Array) -> Array:
        """Return units of each group."""
        return np.array([x[g.members].sum() for g in self.d.groups])

    def try_rounding(self, x: Array, node: _Node) -> None:
        """Round a relaxed decision, in three ways until there is a plan, and keep the best plan found."""
        for way in (np.round, np.ceil, np.floor) if self.best is None else (np.round,):
            trial = x.copy()
            lots = self.d.lot > 0
            trial[lots] = way(x[lots] / self.d.lot[lots] - WHOLE * (way is np.ceil) + WHOLE * (way is np.floor)) \
                * self.d.lot[lots]
            trial = np.clip(trial, node.low, node.high)
            self._to_blocks(trial)
            key = np.round(trial, 6).tobytes()
            if key in self._tried or not self._keeps(trial):
                continue
            self._tried.add(key)
            self._take(trial, node.corner)

    def _to_blocks(self, trial: Array) -> None:
        """Lift groups to their first block or empty them; keep the largest of too many types."""
        for g in self.d.groups:
            units = trial[g.members].sum() if g.members.size else 0.0
            if 0 < units < g.block - 1e-9:
                largest = g.members[trial[g.members].argmax()]
                rest = units - trial[largest]
                lot = max(float(self.d.lot[largest]), 1e-9)
                lifted = np.ceil((g.block - rest) / lot - 1e-9) * lot
                trial[g.members] = 0.0 if units < g.block / 2 else trial[g.members]
                if units >= g.block / 2:
                    trial[largest] = min(lifted, self.d.upper[largest])
        if self.types:
            typed = sorted((g for g in self.d.groups if g.is_type and trial[g.members].sum() > 0),
                           key=lambda g: -trial[g.members].sum())
            for g in typed[self.types:]:
                trial[g.members] = 0.0

    def _keeps(self, x: Array) -> bool:
        """Return whether a decision is whole, in blocks and of few enough types."""
        lots = self.d.lot > 0
        steps = x[lots] / self.d.lot[lots]
        if np.abs(steps - np.round(steps)).max(initial=0.0) > WHOLE:
            return False
        sums = self.sums(x)
        if any(1e-9 < u < g.block - 1e-6 for u, g in zip(sums, self.d.groups, strict=True)):
            return False
        used = sum(g.is_type and u > 1e-9 for u, g in zip(sums, self.d.groups, strict=True))
        return not self.types or used <= self.types

    def split(self, x: Array, node: _Node) -> list[tuple[Array, Array, Array]]:
        """Return the halves of a node, none where its relaxed decision is already a plan."""
        sums = self.sums(x)
        small = [(min(u, g.block - u), k) for k, (u, g) in enumerate(zip(sums, self.d.groups, strict=True))
                 if 1e-6 < u < g.block - 1e-6]
        used = [(u, k) for k, (u, g) in enumerate(zip(sums, self.d.groups, strict=True)) if g.is_type and u > 1e-6]
        if small:
            return self._in_or_out(max(small)[1], node)
        if self.types and len(used) > self.types:
            open_ = [pair for pair in used if node.least[pair[1]] <= 0]
            if not open_:
                return []
            return self._in_or_out(min(open_)[1], node)
        lots = np.flatnonzero(self.d.lot > 0)
        steps = x[lots] / self.d.lot[lots]
        off = np.abs(steps - np.round(steps))
        if off.max(initial=0.0) <= WHOLE:
            if self._keeps(x):
                whole = np.where(self.d.lot > 0, np.round(x / np.maximum(self.d.lot, 1e-12)) * self.d.lot, x)
                self._take(whole, node.corner)
            return []
        k = int(lots[off.argmax()])
        down, up = np.floor(x[k] / self.d.lot[k]) * self.d.lot[k], np.ceil(x[k] / self.d.lot[k]) * self.d.lot[k]
        low, high = node.low.copy(), node.high.copy()
        low[k], high[k] = up, down
        return [(node.low, high, node.least), (low, node.high, node.least)]

    def _take(self, x: Array, corner: Any) -> None:
        """Try a decision and keep it if it is the best so far."""
        found = self.solve(_Node(0.0, 0, x, x, np.zeros(len(self.d.groups)), corner))
        if found is not None and found.objective < self.value:
            self.best, self.value = found, found.objective

    def _in_or_out(self, k: int, node: _Node) -> list[tuple[Array, Array, Array]]:
        """Split at a group: nothing of it, or at least its first block."""
        group = self.d.groups[k]
        high, least = node.high.copy(), node.least.copy()
        high[group.members] = 0.0
        lot = float(self.d.lot[group.members].max(initial=0.0))
        least[k] = max(group.block, lot, 1e-6)
        return [(node.low, high, node.least), (node.low, node.high, least)]
