"""Fewer scenarios: strata by what matters most, then forward selection inside each.

A cut that happens in one draw of fifty is easily absent from a hundred plain draws; strata keep it, with its
true weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.base.types import Array

Picks = npt.NDArray[np.intp]
"""Positions of draws."""

MOST = 500
"""Members of a stratum that enter its distance matrix (2 MB); more are left to the judge."""


def distances(points: Array) -> Array:
    """Return Euclidean distances between the rows of a `(point, feature)` array."""
    square = (points * points).sum(axis=1)
    gap = square[:, None] + square[None] - 2 * points @ points.T
    out: Array = np.sqrt(np.maximum(gap, 0.0))
    np.fill_diagonal(out, 0.0)
    return out


def forward_selection(distance: Array, weight: Array, count: int) -> tuple[Picks, Array, Array]:
    """Choose scenarios one by one, each the one that lowers the transport distance most.

    Returns
    -------
    picks, weights, left
        Positions in the order of choice, weights after redistribution, and the distance left after each choice.

    Notes
    -----
    Takes argmin of sum_i p_i min_{j in J} d(i, j); a dropped one's weight goes to its nearest kept one.
    Sources: Dupacova, Groewe-Kuska, Roemisch, Mathematical Programming A 95, 2003; Heitsch, Roemisch,
    Computational Optimization and Applications 24, 2003.
    """
    require(count >= 1, "scenarios", "be 1 or more", count)
    n = weight.size
    nearest = np.full(n, np.inf)
    picks: list[int] = []
    left: list[float] = []
    for _ in range(min(count, n)):
        total = weight @ np.minimum(nearest[:, None], distance)
        total[picks] = np.inf
        best = int(np.argmin(total))
        picks.append(best)
        left.append(float(total[best]))
        nearest = np.minimum(nearest, distance[:, best])
    chosen = np.array(picks, dtype=np.intp)
    owner = np.argmin(distance[:, chosen], axis=1)
    owner[chosen] = np.arange(chosen.size)
    given_to: Array = np.bincount(owner, weights=weight, minlength=chosen.size).astype(np.float64)
    return chosen, given_to, np.array(left)


def k_medoids(distance: Array, weight: Array, count: int, *, rounds: int = 20) -> tuple[Picks, npt.NDArray[np.intp]]:
    """Choose the members of which all others are nearest to one; forward selection gives the start.

    Returns
    -------
    medoids, owner
        Chosen positions, and for each point the position of its medoid among them.

    Notes
    -----
    Each round gives every point to its nearest medoid and moves a medoid to the member with the least weighted
    distance to its group, until nothing moves; the transport distance never rises.
    Sources: Kaufman and Rousseeuw, "Finding Groups in Data", Wiley 1990.
    """
    medoids, _, _ = forward_selection(distance, weight, count)
    for _ in range(rounds):
        owner = np.argmin(distance[:, medoids], axis=1)
        owner[medoids] = np.arange(medoids.size)
        new = medoids.copy()
        for k in range(medoids.size):
            group = np.flatnonzero(owner == k)
            new[k] = group[np.argmin(weight[group] @ distance[np.ix_(group, group)])]
        if np.array_equal(new, medoids):
            break
        medoids = new
    return medoids, owner


def shares(sizes: Array, count: int, least: int = 2) -> npt.NDArray[np.int_]:
    """Return how many scenarios each stratum gets: by size, at least two, never more than it has."""
    want = np.minimum(np.maximum(np.floor(sizes / sizes.sum() * count), least), sizes)
    while want.sum() < min(count, sizes.sum()):
        room = np.where(want < sizes, sizes / sizes.sum() * count - want, -np.inf)
        want[int(np.argmax(room))] += 1
    while want.sum() > count and (want > least).any():
        room = np.where(want > least, want - sizes / sizes.sum() * count, -np.inf)
        want[int(np.argmax(room))] -= 1
    out: npt.NDArray[np.int_] = want.astype(int)
    return out


def _standard(features: Array) -> Array:
    spread = features.std(axis=0)
    out: Array = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return out


def _stratified(features: Array, stratum: npt.NDArray[np.int_], count: int,
                choose_inside: Callable[[Array, Array, int], tuple[Picks, Array]]) -> tuple[Picks, Array]:
    points, n = _standard(features), stratum.size
    groups = [np.flatnonzero(stratum == k) for k in np.unique(stratum)]
    picks, weights = [], []
    for group, k in zip(groups, shares(np.array([float(g.size) for g in groups]), count), strict=True):
        pool = group[:MOST]
        chosen, w = choose_inside(distances(points[pool]), np.full(pool.size, 1 / pool.size), int(k))
        picks.append(pool[chosen])
        weights.append(w * group.size / n)
    at = np.concatenate(picks)
    order = np.argsort(at)
    return at[order], np.concatenate(weights)[order]


def stratified_forward(features: Array, stratum: npt.NDArray[np.int_], count: int) -> tuple[Picks, Array]:
    """Forward selection on standardised features inside each stratum, true stratum weights kept."""
    return _stratified(features, stratum, count, lambda d, w, k: forward_selection(d, w, k)[:2])


def stratified_medoids(features: Array, stratum: npt.NDArray[np.int_], count: int) -> tuple[Picks, Array]:
    """Medoids on standardised features inside each stratum, true stratum weights kept."""

    def medoids(distance: Array, weight: Array, k: int) -> tuple[Picks, Array]:
        chosen, owner = k_medoids(distance, weight, k)
        return chosen, np.bincount(owner, weights=weight, minlength=chosen.size).astype(np.float64)

    return _stratified(features, stratum, count, medoids)


def plain(features: Array, stratum: npt.NDArray[np.int_], count: int) -> tuple[Picks, Array]:
    """Take the first draws with even weights."""
    k = min(count, stratum.size)
    return np.arange(k), np.full(k, 1 / k)


def forward(features: Array, stratum: npt.NDArray[np.int_], count: int) -> tuple[Picks, Array]:
    """Forward selection without strata, on the first draws that fit a matrix."""
    points = _standard(features)[:MOST]
    chosen, w, _ = forward_selection(distances(points), np.full(points.shape[0], 1 / points.shape[0]), count)
    order = np.argsort(chosen)
    return chosen[order], w[order]


REDUCE: Mapping[str, Callable[[Array, npt.NDArray[np.int_], int], tuple[Picks, Array]]] = {
    "stratified_forward": stratified_forward, "k_medoids": stratified_medoids, "forward": forward, "plain": plain,
}
"""Ways to choose scenarios: features (draw, feature), stratum (draw), count -> positions and weights."""


def reduce(features: Array, stratum: npt.NDArray[np.int_], count: int, *, way: str = "stratified_forward",
           ) -> tuple[Picks, Array]:
    """Return positions and weights of the scenarios that stand for all draws."""
    return choose(REDUCE, way, "reduction")(features, stratum, count)
