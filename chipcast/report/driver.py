"""What a computed number rests on: the uncertain rows that move it most, by rank correlation over the draws."""

from __future__ import annotations

import numpy as np

from chipcast.base.given import Given
from chipcast.base.types import Array

DRAWS = 1000
"""Draws on which drivers are sought: the first ones of the run. [draws]"""

LEAST = 0.13
"""Least rank correlation worth a name: four standard errors on so many draws."""


def ranks(values: Array) -> Array:
    """Return centred ranks of a `[draw]` array with length one, equal values sharing theirs; zeros if all are equal."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    if count.size < 2:
        return np.zeros(values.size)
    order = (np.cumsum(count) - count / 2)[place.reshape(-1)]
    order -= order.mean()
    out: Array = order / np.sqrt(np.sum(order * order))
    return out


def rank_correlation(a: Array, b: Array) -> float:
    """Return Spearman's correlation of two arrays over draws; 0 where one of them is constant."""
    return float(np.sum(ranks(a) * ranks(b)))


class Drivers:
    """The uncertain rows of a table, ranked once and asked often."""

    def __init__(self, given: Given) -> None:
        """Rank every uncertain row."""
        self.draws = min(DRAWS, given.draws)
        few = given.block(given.start, given.start + self.draws)
        self.names = [n for n in sorted(few.rows) if not few.rows[n].law.fixed and np.ptp(few[n]) > 0]
        self.ranked = np.stack([ranks(few[n]) for n in self.names]) if self.names else np.zeros((0, 0))

    def top(self, values: Array, most: int = 4) -> list[tuple[str, float]]:
        """Return the rows that move `values` most, with their rank correlation, strongest first."""
        if values.shape[-1] < self.draws or not self.names:
            return []
        own = np.asarray(values[: self.draws], dtype=np.float64)
        fill = np.isfinite(own)
        if not fill.any():
            return []
        found = np.einsum("nd,d->n", self.ranked, ranks(np.where(fill, own, np.median(own[fill]))))
        order = np.argsort(-np.abs(found), kind="stable")[:most]
        return [(self.names[i], float(found[i])) for i in order if abs(found[i]) >= LEAST]
