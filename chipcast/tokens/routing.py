"""Where do a token's experts lie, and how full is the fullest rank?

Sources: binomial and hypergeometric counts; routing limited to groups as in 2412.19437.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from chipcast.base.types import Array, Numeric


def touched_experts(on_rank: Numeric, tokens: Numeric, *, experts: Numeric, top_k: Numeric) -> Numeric:
    """Return how many of a rank's experts some token visits: E_r (1 - (1 - k/E)^T). [experts]

    >>> round(float(touched_experts(256, 32, experts=256, top_k=8)), 2)
    163.31
    """
    return on_rank * -np.expm1(tokens * np.log1p(-np.minimum(top_k / experts, 1 - 1e-12)))


@lru_cache(maxsize=4096)
def distinct_destinations(groups: int, experts: int, top_k: int, *, limit: tuple[int, int] = (0, 0)) -> float:
    """Return among how many of N equal groups a token's k distinct experts lie on average. [groups]

    Parameters
    ----------
    groups : int
        Destinations (nodes or ranks) that share the experts evenly.
    experts, top_k : int
        Routed experts, and how many of them a token visits.
    limit : (int, int)
        Groups of experts and how many of them a token may use; zeros for no limit.

    Notes
    -----
    N (1 - C(E - E/N, k)/C(E, k)). With a limit the same formula inside the picked groups, averaged over the
    hypergeometric number of picked groups that a destination holds.

    >>> round(distinct_destinations(8, 256, 8), 3)
    5.295
    >>> round(distinct_destinations(8, 256, 8, limit=(8, 4)), 3)
    3.629
    """
    if groups <= 1:
        return float(groups)
    mine = experts / groups
    n_groups, pick = limit
    if n_groups <= 1 or pick in (0, n_groups):
        return groups * (1 - _none(experts, mine, top_k))
    if groups <= n_groups:
        held, pool = n_groups // groups, pick * experts // n_groups
        total = 0.0
        for j in range(min(held, pick) + 1):
            weight = math.comb(held, j) * math.comb(n_groups - held, pick - j) / math.comb(n_groups, pick)
            total += weight * (1 - _none(pool, j * experts / n_groups, top_k))
        return groups * total
    pool = pick * experts // n_groups
    return groups * pick / n_groups * (1 - _none(pool, mine, top_k))


def _none(pool: float, mine: float, k: int) -> float:
    """Return the chance that none of k distinct picks from a pool falls on one's own share."""
    out = 1.0
    for i in range(k):
        out *= max(pool - mine - i, 0.0) / (pool - i)
    return out


@lru_cache(maxsize=256)
def mean_maximum(count: int) -> float:
    """Return the mean of the largest of `count` standard normals. [1]

    >>> round(mean_maximum(8), 3)
    1.424
    """
    from scipy.special import ndtr

    if count <= 1:
        return 0.0
    x = np.linspace(-8.0, 10.0, 4001)
    upper = np.where(x > 0, 1 - ndtr(x) ** count, 0.0)
    lower = np.where(x < 0, ndtr(x) ** count, 0.0)
    return float(np.sum(upper - lower) * (x[1] - x[0]))


def by_count(of: Callable[[int], float], counts: Numeric) -> Array:
    """Return a function of a whole number for each of many, worked out once for each that occurs."""
    flat = np.asarray(counts)
    if flat.size == 1:
        return np.full(flat.shape, of(int(flat.reshape(-1)[0])))
    each, place = np.unique(flat, return_inverse=True)
    return np.array([of(int(v)) for v in each], dtype=float)[place].reshape(flat.shape)


def slowest_rank(rows_per_rank: Numeric, ranks: Numeric, *, experts: Numeric, top_k: Numeric) -> Numeric:
    """Return the load of the fullest rank over the mean, experts picked uniformly. [1]

    Notes
    -----
    1 + z_G sqrt(v/mu), v = (1 - 1/G)(E - k)/(E - 1), mu rows a rank; at most all rows on one rank.
    """
    flat = np.asarray(ranks)
    z = by_count(mean_maximum, flat)
    variance = (1 - 1 / flat) * (experts - top_k) / np.maximum(experts - 1, 1)
    return np.minimum(1 + z * np.sqrt(variance / np.maximum(rows_per_rank, 1e-9)), np.maximum(flat, 1))
