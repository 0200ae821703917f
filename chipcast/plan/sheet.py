"""A sparse linear program written by index arithmetic: blocks of columns, blocks of rows, entries.

No row or column is added in a Python loop over scenarios; the program is handed to the solver by columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.base.types import Array, Numeric

Index = npt.NDArray[np.int32]
"""Positions of columns, rows or scenarios."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A linear program with some whole-numbered columns and the cost of each scenario."""

    cost: Array
    """Objective per unit of a column. (column)"""
    lower: Array
    """Lower bounds. (column)"""
    upper: Array
    """Upper bounds. (column)"""
    whole: npt.NDArray[np.bool_]
    """Columns that take whole numbers only. (column)"""
    row_lower: Array
    """Lower sides of rows. (row)"""
    row_upper: Array
    """Upper sides of rows. (row)"""
    start: Index
    """First entry of each column, one more than columns. (column + 1)"""
    index: Index
    """Row of each entry. (entry)"""
    value: Array
    """Coefficient of each entry. (entry)"""
    blocks: Mapping[str, Index]
    """Rows of each family of constraints by name. (rows of the block)"""
    named: Mapping[str, Index]
    """Columns of each family of decisions by name."""
    charges: tuple[Index, Index, Array]
    """Scenario, column and cost of each part of a scenario's cost. (entry)"""
    scenarios: int
    """Number of scenarios."""
    elastic: Mapping[str, float] = field(default_factory=dict)
    """What counts as all of a limit, by family, where its side does not say so."""
    serve_share: float = 0.0
    """Least share of need served that the family `target` asks for. [1]"""

    def scenario_costs(self, x: Array) -> Array:
        """Return the cost of each scenario at a solution. (scenario)"""
        s, j, v = self.charges
        return _sum_by(s, v * x[j], self.scenarios)

    def activity(self, x: Array) -> Array:
        """Return the left-hand side of each row at a solution. (row)"""
        columns = np.repeat(np.arange(self.cost.size), np.diff(self.start))
        return _sum_by(self.index, self.value * x[columns], self.row_lower.size)


@dataclass(slots=True)
class Sheet:
    """Where a program is written before it is closed into a `Program`."""

    _lower: list[Array] = field(default_factory=list)
    _upper: list[Array] = field(default_factory=list)
    _whole: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    _row_lower: list[Array] = field(default_factory=list)
    _row_upper: list[Array] = field(default_factory=list)
    _entries: list[tuple[Any, Any, Any]] = field(default_factory=list)
    _charges: list[tuple[Any, Any, Any]] = field(default_factory=list)
    _blocks: dict[str, list[Index]] = field(default_factory=dict)
    _named: dict[str, Index] = field(default_factory=dict)
    columns: int = 0
    """Columns so far."""
    rows: int = 0
    """Rows so far."""

    def new_columns(self, name: str, shape: tuple[int, ...], *, lower: Numeric = 0.0, upper: Numeric = np.inf,
                    whole: Numeric = False) -> Index:
        """Add a block of columns and return their positions in that shape."""
        size = int(np.prod(shape))
        at = np.arange(self.columns, self.columns + size, dtype=np.int32).reshape(shape)
        for store, bound, kind in ((self._lower, lower, np.float64), (self._upper, upper, np.float64),
                                   (self._whole, whole, np.bool_)):
            store.append(np.ravel(np.broadcast_to(np.asarray(bound, dtype=kind), shape)))
        self.columns += size
        self._named[name] = at
        return at

    def new_rows(self, name: str, shape: tuple[int, ...], *, lower: Numeric = -np.inf, upper: Numeric = np.inf,
                 ) -> Index:
        """Add a block of rows and return their positions in that shape."""
        size = int(np.prod(shape))
        at = np.arange(self.rows, self.rows + size, dtype=np.int32).reshape(shape)
        for store, bound in ((self._row_lower, lower), (self._row_upper, upper)):
            store.append(np.ravel(np.broadcast_to(np.asarray(bound, dtype=np.float64), shape)))
        self.rows += size
        self._blocks.setdefault(name, []).append(at.ravel())
        return at

    def column(self, name: str) -> Index:
        """Return the columns of a block that was added."""
        return self._named[name]

    def put(self, rows: Any, columns: Any, values: Numeric) -> None:
        """Add coefficients; the three broadcast together and exact zeros are left out."""
        self._entries.append(_flat(rows, columns, values))

    def charge(self, scenario: Any, columns: Any, values: Numeric) -> None:
        """Add to the cost of scenarios; the three broadcast together and exact zeros are left out."""
        self._charges.append(_flat(scenario, columns, values))

    def close(self, weight: Array, *, tail: float, tail_weight: float, risk: str = "mean_cvar",
              base: Array | None = None, labels: Index | None = None) -> Program:
        """Add the objective, an entry of `RISK`, and return the program.

        Parameters
        ----------
        weight : array
            Probability. (scenario)
        tail, tail_weight : float
            Level of the tail and its weight, for `mean_cvar`.
        risk : str
            Entry of `RISK`.
        base : array, optional
            Cost with perfect news, from which regret is counted. (scenario)
        labels : array, optional
            What is known when, for `nested`. (quarter, scenario)
        """
        s, j, v = _join(self._charges)
        share, extra, price = choose(RISK, risk, "objective")(self, (s, j, v), weight, tail, tail_weight,
                                                                          base, labels)
        cost = _sum_by(j, share * weight[s] * v, self.columns)
        np.add.at(cost, extra, price)
        rows, columns, values = _join(self._entries)
        order = np.argsort(columns.astype(np.int64) * max(self.rows, 1) + rows, kind="stable")
        start = np.zeros(self.columns + 1, dtype=np.int32)
        np.cumsum(np.bincount(columns, minlength=self.columns), out=start[1:])
        return Program(
            cost=cost, lower=np.concatenate(self._lower), upper=np.concatenate(self._upper),
            whole=np.concatenate(self._whole), row_lower=np.concatenate(self._row_lower),
            row_upper=np.concatenate(self._row_upper), start=start, index=rows[order], value=values[order],
            blocks={k: np.concatenate(v) for k, v in self._blocks.items()}, named=self._named,
            charges=(s, j, v), scenarios=weight.size)


def _sum_by(at: Index, values: Array, size: int) -> Array:
    out: Array = np.bincount(at, weights=values, minlength=size).astype(np.float64, copy=False)
    return out


def _flat(a: Any, b: Any, c: Numeric) -> tuple[Index, Index, Array]:
    a, b, c = np.broadcast_arrays(np.asarray(a, dtype=np.int32), np.asarray(b, dtype=np.int32),
                                  np.asarray(c, dtype=np.float64))
    keep = c.ravel() != 0
    return a.ravel()[keep], b.ravel()[keep], c.ravel()[keep]


def _join(parts: list[tuple[Any, Any, Any]]) -> tuple[Index, Index, Array]:
    if not parts:
        none = np.zeros(0, dtype=np.int32)
        return none, none, np.zeros(0)
    return (np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]),
            np.concatenate([p[2] for p in parts]))


Charges = tuple[Index, Index, Array]
"""Scenario, column and cost of each part of a scenario's cost."""

Objective = tuple[float, Index, Array]
"""Weight of the mean cost, and columns with their costs that are added to it."""


def _mean(sheet: Sheet, charges: Charges, weight: Array, tail: float, tail_weight: float, base: Array | None,
          labels: Index | None) -> Objective:
    return 1.0, np.zeros(0, dtype=np.int32), np.zeros(0)


def _mean_cvar(sheet: Sheet, charges: Charges, weight: Array, tail: float, tail_weight: float, base: Array | None,
               labels: Index | None) -> Objective:
    """Minimise (1 - w) sum pi Q + w [eta + sum pi z / (1 - a)] with z >= Q - eta, z >= 0; with w = 0 the mean.

    Sources: Rockafellar and Uryasev, "Optimization of conditional value-at-risk", Journal of Risk 2, 2000.
    """
    if tail_weight == 0:
        return _mean(sheet, charges, weight, tail, tail_weight, base, labels)
    s, j, v = charges
    eta = sheet.new_columns("eta", (1,), lower=-np.inf)
    excess = sheet.new_columns("excess", (weight.size,))
    rows = sheet.new_rows("tail", (weight.size,), lower=0.0)
    sheet.put(rows, excess, 1.0)
    sheet.put(rows, eta, 1.0)
    sheet.put(rows[s], j, -v)
    return (1 - tail_weight, np.concatenate([eta, excess]),
            np.concatenate([[tail_weight], tail_weight * weight / (1 - tail)]))


def _worst_case(sheet: Sheet, charges: Charges, weight: Array, tail: float, tail_weight: float, base: Array | None,
                labels: Index | None) -> Objective:
    """Minimise the cost of the dearest scenario, however unlikely."""
    return _largest(sheet, charges, np.zeros(weight.size))


def _largest(sheet: Sheet, charges: Charges, less: Array) -> Objective:
    """Minimise eta, at least the cost of each scenario less what is given."""
    s, j, v = charges
    eta = sheet.new_columns("eta", (1,), lower=-np.inf)
    rows = sheet.new_rows("tail", (less.size,), lower=-less)
    sheet.put(rows, eta, 1.0)
    sheet.put(rows[s], j, -v)
    return 0.0, eta, np.ones(1)


def _regret(sheet: Sheet, charges: Charges, weight: Array, tail: float, tail_weight: float, base: Array | None,
            labels: Index | None) -> Objective:
    """Minimise the largest regret, cost less the cost with perfect news.

    Sources: Savage, "The theory of statistical decision", Journal of the American Statistical Association 46, 1951.
    """
    require(base is not None, "the cost with perfect news", "be given for an objective of regret", base)
    return _largest(sheet, charges, np.asarray(base, dtype=np.float64))


def _nested(sheet: Sheet, charges: Charges, weight: Array, tail: float, tail_weight: float, base: Array | None,
            labels: Index | None) -> Objective:
    """Minimise mean and tail taken anew at every node of the tree: risk is weighed with what is known by then.

    Notes
    -----
    V(node) = (1 - w) mean + w tail mean of V over the children of the node; the leaves are the scenarios with their
    whole cost, which may stand there because both means shift with what is already spent. Unlike the tail at the root
    it is consistent in time: what is planned for a node is what would be planned there. It is a different number.
    Sources: Shapiro, Tekaya, da Costa, Soares, "Risk neutral and risk averse stochastic dual dynamic programming
    method", European Journal of Operational Research 224, 2013; Philpott and de Matos, the same journal 218, 2012.
    """
    require(labels is not None, "the tree", "be given for a nested objective", labels)
    if tail_weight == 0:
        return _mean(sheet, charges, weight, tail, tail_weight, base, labels)
    s, j, v = charges
    level = np.arange(weight.size)
    value = sheet.new_columns("value of leaves", (weight.size,), lower=-np.inf)
    rows = sheet.new_rows("tail", (weight.size,), lower=0.0)
    sheet.put(rows, value, 1.0)
    sheet.put(rows[s], j, -v)
    inside = weight
    nodes = [np.unique(row, return_inverse=True)[1] for row in np.asarray(labels)[::-1]]
    for k, node in enumerate([*nodes, np.zeros(weight.size, dtype=np.intp)]):
        parent = np.zeros(int(level.max()) + 1, dtype=np.intp)
        parent[level] = node
        count = int(node.max()) + 1
        level = node
        if count == parent.size:  # no node branches here
            order = np.argsort(parent)
            value, inside = value[order], inside[order]
            continue
        above = _sum_by(parent.astype(np.int32), inside, count)
        value = _node_values(sheet, f"stage {k}", value, parent, inside / above[parent], tail, tail_weight)
        inside = above
    return 0.0, value, np.ones(1)


def _node_values(sheet: Sheet, name: str, below: Index, parent: npt.NDArray[np.intp], share: Array, tail: float,
                 tail_weight: float) -> Index:
    """Return columns at least (1 - w) mean + w tail mean of the columns below, by parent."""
    count = int(parent.max()) + 1
    value = sheet.new_columns(f"value, {name}", (count,), lower=-np.inf)
    eta = sheet.new_columns(f"eta, {name}", (count,), lower=-np.inf)
    excess = sheet.new_columns(f"excess, {name}", (below.size,))
    over = sheet.new_rows("tail", (below.size,), lower=0.0)
    sheet.put(over, excess, 1.0)
    sheet.put(over, eta[parent], 1.0)
    sheet.put(over, below, -1.0)
    total = sheet.new_rows("tail", (count,), lower=0.0)
    sheet.put(total, value, 1.0)
    sheet.put(total, eta, -tail_weight)
    sheet.put(total[parent], below, -(1 - tail_weight) * share)
    sheet.put(total[parent], excess, -tail_weight / (1 - tail) * share)
    return value


RISK: Mapping[str, Callable[[Sheet, Charges, Array, float, float, Array | None, Index | None], Objective]] = {
    "mean": _mean, "mean_cvar": _mean_cvar, "worst_case": _worst_case, "regret": _regret, "nested": _nested,
}
"""What of the costs of scenarios is minimised."""
