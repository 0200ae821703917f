"""`given`: the one flat table that a run computes from, and the only thing a station reads.

Each row has a name, a law, a unit, a kind, a source and dates; its values are drawn from the stream of
its own name. The table is the report's appendix and the difference between two runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType

import numpy as np

from chipcast.base import draws
from chipcast.base.calendar import month_index
from chipcast.base.catalog import Catalogue
from chipcast.base.errors import unknown
from chipcast.base.laws import Law
from chipcast.base.types import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One number of a run and where it comes from."""

    name: str
    """Dotted name, `item.quantity_unit`."""
    law: Law
    """How it is uncertain."""
    unit: str
    """One of the closed list."""
    kind: str
    """official, measured, reported, estimated, derived, assumed, unverified or scenario."""
    source: str
    """Key of `sources.csv`, or `scenario` for what the user wrote."""
    as_of: str = ""
    """The time it speaks of, or the vintage of an assumption."""
    known_by: str = ""
    """First day it could have been used."""
    why: str = ""
    """Reason or note, half a sentence."""
    factor: str = ""
    """Shared factor that moves it together with others; empty for none."""
    loading: float = 0.0
    """Weight of the shared factor, -1 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """Every number that a run uses, for draws `start` to `stop`."""

    rows: Mapping[str, Row]
    """All rows by name."""
    catalog: Catalogue
    """Tables of text and events known by the information date."""
    seed: int
    """Seed of all streams."""
    start: int
    """First draw of this block."""
    stop: int
    """The draw after the last of this block."""
    until: date
    """Last day of the horizon."""
    posterior: Mapping[str, Array] = field(default_factory=dict)
    """Standard normals that replace a name's own stream after conditioning. [1] (draw of the whole run)"""
    _values: dict[str, Array] = field(default_factory=dict, repr=False, compare=False)
    _watched: set[str] | None = field(default=None, repr=False, compare=False)

    @property
    def as_of(self) -> date:
        """The information date."""
        return self.catalog.as_of

    @property
    def draws(self) -> int:
        """Number of draws in this block."""
        return self.stop - self.start

    def __getitem__(self, name: str) -> Array:
        """Return the values of a row, read-only. [unit of the row] (draw)"""
        if name not in self._values:
            row = self.row(name)
            if row.law.fixed:
                values = np.broadcast_to(np.float64(row.law.middle), (self.draws,))
            else:
                values = row.law.at(draws.to_uniform(self.normal(name)))
                values.flags.writeable = False
            self._values[name] = values
        return self._values[name]

    def __contains__(self, name: str) -> bool:
        """Return whether a row of that name exists."""
        return name in self.rows

    def row(self, name: str) -> Row:
        """Return a row, or raise `InputError` with the nearest known name."""
        if name not in self.rows:
            unknown("quantity", name, self.rows)
        return self.rows[name]

    def first(self, *names: str) -> Array:
        """Return the values of the first of these names that exists: special before general. (draw)"""
        for name in names:
            if name in self.rows:
                return self[name]
        unknown("quantity", names[0], self.rows)

    def middle(self, name: str) -> float:
        """Return the median of a row's own law, for choices that must not depend on the block."""
        return self.row(name).law.middle

    def normal(self, name: str) -> Array:
        """Return the standard normals behind a row: posterior if conditioned, else its own stream. (draw)"""
        if self._watched is not None:
            self._watched.add(name)
        if name in self.posterior:
            z: Array = self.posterior[name][self.start : self.stop]
            return z
        row = self.rows.get(name)
        own = draws.normals(self.seed, name, self.start, self.stop)
        if row is None or not row.factor:
            return own
        return draws.blend(own, self.normal(f"factor:{row.factor}"), row.loading)

    def shock(self, name: str, months: Iterable[str] | None = None) -> Array:
        """Return uniforms of a named shock: (draw), or (month, draw) where months are given.

        A month's shock depends on its calendar month only, so a longer horizon moves no draw.
        """
        if months is None:
            return draws.uniforms(self.seed, f"shock:{name}", self.start, self.stop)
        return draws.uniforms_by_month(self.seed, f"shock:{name}", self.start, self.stop,
                                       [month_index(m) for m in months])

    def block(self, start: int, stop: int) -> Given:
        """Return the same table for draws `start` to `stop` of the run."""
        return replace(self, start=start, stop=stop, _values={})

    def watch(self, names: set[str]) -> Given:
        """Return the table that notes in `names` every uncertain name it is asked for."""
        return replace(self, _values={}, _watched=names)

    def with_posterior(self, normals: Mapping[str, Array]) -> Given:
        """Return the table with these names conditioned: their normals replace their own streams."""
        moved = {*normals, *(n.removeprefix("factor:") for n in normals)}
        kept = {k: v for k, v in self._values.items() if k not in moved and self.rows[k].factor not in moved}
        return replace(self, posterior=MappingProxyType({**self.posterior, **normals}), _values=kept)

    def with_rows(self, rows: Iterable[Row]) -> Given:
        """Return the table with rows added or replaced; a replaced row forgets its posterior."""
        new = {r.name: r for r in rows}
        kept = {k: v for k, v in self.posterior.items() if k not in new}
        known = {k: v for k, v in self._values.items() if k not in new}
        return replace(self, rows=MappingProxyType({**self.rows, **new}), posterior=MappingProxyType(kept),
                       _values=known)

    def without(self, names: Iterable[str]) -> Given:
        """Return the table without these rows."""
        gone = set(names)
        return replace(self, rows=MappingProxyType({k: v for k, v in self.rows.items() if k not in gone}),
                       posterior=MappingProxyType({k: v for k, v in self.posterior.items() if k not in gone}),
                       _values={k: v for k, v in self._values.items() if k not in gone})

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Pickle for worker processes: plain dictionaries, without cached values."""
        return (_rebuild, (dict(self.rows), self.catalog, self.seed, self.start, self.stop, self.until,
                           dict(self.posterior)))


def _rebuild(rows: dict[str, Row], catalog: Catalogue, seed: int, start: int, stop: int, until: date,
             posterior: dict[str, Array]) -> Given:
    return Given(rows=MappingProxyType(rows), catalog=catalog, seed=seed, start=start, stop=stop, until=until,
                 posterior=MappingProxyType(posterior))
