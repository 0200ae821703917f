"""What a fit leaves behind: deviations after measurements, as text and as the data that ship."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from chipcast.base.catalog import DATA, Catalogue
from chipcast.base.errors import InputError
from chipcast.base.types import Array

VINTAGES = ("2025-02-25", "latest")
"""Fits that ship as data."""


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """Deviations after measurements: a normal with mean and factor of its covariance."""

    as_of: str
    """Information date of the rows."""
    digest: str
    """Hash of the rows it was fitted on."""
    names: tuple[str, ...]
    """Deviations; all others keep their prior."""
    mean: Array
    """Mean of the standard normals. (name)"""
    factor: Array
    """Lower factor of the covariance. (name, name)"""
    widen: Mapping[str, float] = field(default_factory=dict)
    """Stretch of intervals by `reach`, 1 where not named. [1]"""
    rows: int = 0
    """Rows that were used."""
    seen: tuple[tuple[str, str, str], ...] = ()
    """What was measured: (training or serving, chip group, model)."""

    def reach(self, kind: str, group: str) -> str:
        """Return `serve` or `train`, then `seen` or `new`: whether the chips were measured at that work."""
        return f"{kind} {'seen' if any(k == kind and g == group for k, g, _ in self.seen) else 'new'}"


def to_text(posterior: Posterior) -> str:
    """Return a posterior as JSON, four digits."""
    rows = [[round(float(v), 4) for v in posterior.factor[i, : i + 1]] for i in range(len(posterior.names))]
    return json.dumps({"as_of": posterior.as_of, "digest": posterior.digest, "rows": posterior.rows,
                       "widen": {k: round(v, 3) for k, v in sorted(posterior.widen.items())},
                       "names": list(posterior.names), "mean": [round(float(v), 4) for v in posterior.mean],
                       "seen": [list(s) for s in posterior.seen], "factor": rows}, separators=(",", ":"))


def from_text(text: str) -> Posterior:
    """Return the posterior of a JSON text.

    Raises
    ------
    InputError
        If it is no posterior.
    """
    try:
        tree = json.loads(text)
        n = len(tree["names"])
        factor = np.zeros((n, n))
        for i, row in enumerate(tree["factor"]):
            factor[i, : i + 1] = row
        return Posterior(as_of=tree["as_of"], digest=tree["digest"], names=tuple(tree["names"]),
                         mean=np.array(tree["mean"]), factor=factor, rows=tree["rows"],
                         widen={k: float(v) for k, v in tree.get("widen", {}).items()},
                         seen=tuple((a, b, c) for a, b, c in tree["seen"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"this is no posterior of chipcast: {error}; make one with 'tokens fit CSV -o FILE'") from None


@lru_cache(maxsize=8)
def shipped_posterior(vintage: str) -> Posterior:
    """Return the posterior that ships for a vintage."""
    return from_text((DATA / "posteriors" / f"tokens-{vintage}.json").read_text(encoding="utf-8"))


def vintage_for(catalog: Catalogue) -> str:
    """Return the last vintage that an information date may use."""
    return VINTAGES[1] if str(catalog.as_of) >= shipped_posterior(VINTAGES[1]).as_of else VINTAGES[0]
