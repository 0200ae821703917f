"""Points that stand for every chip that open figures allow: one in each cell that the lines of the rules cut.

Layer by layer, an unknown figure leaves each layer open by itself; but one chip has one figure, so the layers hold
together or not at all. Between two neighbouring lines no test changes, so one point a cell is enough.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from chipcast.rules.expr import Compare, Interval, Node, comparisons
from chipcast.rules.measure import Figures

OPEN = ("io_bidir_gb_s", "dram_bw_gb_s", "transistors_bn", "dc", "sold_in_us")
"""Figures that vary by themselves; TPP and density vary together through the die area."""


def points(f: Figures, tests: Iterable[Node], *, from_us: bool = True) -> dict[str, Interval]:
    """Return arrays of figures, one entry a cell; each value is the pair (x, x) that tests read. (point)

    Parameters
    ----------
    f : Figures
        A chip with open figures.
    tests : iterable of Node
        All tests whose lines matter.
    from_us : bool
        Whether the chip is exported from the United States.
    """
    limits, sums = _lines(tuple(tests))
    base = f.values(from_us=from_us)
    axes: dict[str, list[float]] = {}
    for name in OPEN:
        low, high = (float(x) for x in base[name])
        if name in ("dc", "sold_in_us"):
            axes[name] = [low] if low == high else [0.0, 1.0]
            continue
        cuts = set(limits.get(name, ()))
        for pair, limit in sums:
            if name in pair:
                other = pair[1 - pair.index(name)]
                cuts |= {limit - x for x in (*limits.get(other, ()), *base[other]) if math.isfinite(x) and x < limit}
        axes[name] = between(low, high, cuts)
    # of a chip whose area is known, density crosses its lines as performance moves
    crossed = [limit * area for limit in limits.get("pd", ()) for area in f.area_mm2 if 0 < area < math.inf]
    pairs = [(tpp, pd) for tpp in between(float(f.tpp[0]), float(f.tpp[1]), [*limits.get("tpp", ()), *crossed])
             for pd in _densities(f, tpp, limits.get("pd", ()))]
    grid = np.array([(*pair, *rest) for pair in pairs for rest in itertools.product(*axes.values())], dtype=float)
    out: dict[str, Interval] = {n: (grid[:, i], grid[:, i]) for i, n in enumerate(("tpp", "pd", *axes))}
    return {**base, **out}


def _densities(f: Figures, tpp: float, cuts: Sequence[float]) -> list[float]:
    """Return one density a cell for a chip of one performance."""
    low, high = (float(x) for x in f.pd)
    area_low, area_high = f.area_mm2
    if (area_low, area_high) == (0.0, 0.0):
        return [0.0]
    if math.isfinite(area_high):
        low, high = max(low, tpp / area_high), min(high, tpp / area_low if area_low > 0 else math.inf)
    return between(low, max(low, high), cuts)


def between(low: float, high: float, cuts: Iterable[float]) -> list[float]:
    """Return both ends of an interval where they are finite, and a point between any two neighbouring cuts.

    >>> between(0.0, float("inf"), [2.0])
    [0.0, 1.0, 4.0]
    """
    if low == high:
        return [low]
    inside = sorted(c for c in set(cuts) if low < c < high)
    edges = [low, *inside, high]
    out = [low]
    for a, b in itertools.pairwise(edges):
        out.append((a + b) / 2 if math.isfinite(b) else max(2 * a, 1.0))
    return [*out, high] if math.isfinite(high) else out


@lru_cache(maxsize=64)
def _lines(tests: tuple[Node, ...]) -> tuple[Mapping[str, tuple[float, ...]],
                                            tuple[tuple[tuple[str, str], float], ...]]:
    """Return the limits by quantity, and those on the sum of two."""
    limits: dict[str, set[float]] = {}
    sums = set()
    for c in itertools.chain.from_iterable(comparisons(t) for t in tests):
        if len(c.names) == 1:
            limits.setdefault(c.names[0], set()).add(c.limit)
        else:
            sums.add((_pair(c), c.limit))
    return {k: tuple(sorted(v)) for k, v in limits.items()}, tuple(sorted(sums))


def _pair(c: Compare) -> tuple[str, str]:
    first, second = c.names
    return first, second
