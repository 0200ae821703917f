"""A sparse linear program written by index arithmetic: blocks of columns, blocks of rows, entries.

No row or column is added in a Python loop over scenarios; the program is handed to the solver by columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

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

    def put(self, rows: Any, columns: Any, values: Numeric) -> None:
        """Add coefficients; the three broadcast together and exact zeros are left out."""
        self._entries.append(_flat(rows, columns, values))

    def charge(self, scenario: Any, columns: Any, values: Numeric) -> None:
        """Add to the cost of scenarios; the three broadcast together and exact zeros are left out."""
        self._charges.append(_flat(scenario, columns, values))

    def close(self, weight: Array, *, tail: float, tail_weight: float) -> Program:
        """Add the objective and return the program.

        Notes
        -----
        min (1 - w) sum pi Q + w [eta + sum pi z / (1 - a)] with z >= Q - eta, z >= 0: the tail mean as a linear
        program. With w = 0 its columns and rows are left out.

        Sources: Rockafellar and Uryasev, "Optimization of conditional value-at-risk", Journal of Risk 2, 2000.
        """
        s_all = np.arange(weight.size, dtype=np.int32)
        s, j, v = _join(self._charges)
        if tail_weight > 0:
            eta = self.new_columns("eta", (1,), lower=-np.inf)
            excess = self.new_columns("excess", (weight.size,))
            tail_rows = self.new_rows("tail", (weight.size,), lower=0.0)
            self.put(tail_rows, excess, 1.0)
            self.put(tail_rows, eta, 1.0)
            self.put(tail_rows[s], j, -v)
        cost = _sum_by(j, (1 - tail_weight) * weight[s] * v, self.columns)
        if tail_weight > 0:
            cost[eta] += tail_weight
            cost[excess] += tail_weight * weight[s_all] / (1 - tail)
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
