"""A log against itself: a model fitted to the first half, and whether the second half looks like it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from chipcast.base.draws import uniforms
from chipcast.base.errors import DataError
from chipcast.base.types import Array
from chipcast.cluster.dependence import Habits, habits, histories, relapsing_nodes
from chipcast.cluster.fit import branching_of_dispersion
from chipcast.cluster.log import build
from chipcast.cluster.trace import Ints, Trace, dispersion, per_node, recurrence

LAGS = (0.0, 7.0, 30.0)
"""Edges of the lags at which recurrence on the same node is compared. [days]"""

PLACES = (0.25, 0.5, 0.75, 0.9)
"""Quantiles of the time to repair that are compared."""

FEWEST = 20
"""Faults of a half below which nothing can be said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One statistic of the second half against what the first half leads one to expect."""

    name: str
    """What is compared."""
    low: float
    """5th percentile of the model."""
    middle: float
    """Median of the model."""
    high: float
    """95th percentile of the model."""
    seen: float
    """Value in the second half."""

    @property
    def inside(self) -> bool:
        """Return whether the second half lies in the 90 percent interval."""
        return self.low <= self.seen <= self.high


GROUPS = 25
"""Fits to resampled first halves, so that what one half cannot pin down widens what it predicts."""


def resampled(first: Trace, group: int, *, seed: int) -> Habits:
    """Return the habits of a first half put together anew from its own months, its branching from its own nodes.

    Months are drawn with replacement for repairs and their number, nodes for the spread of faults over them.
    """
    h = habits(first)
    months = max(int(np.ceil(first.days / h.epoch_days)), 1)
    pick = (uniforms(seed, "halves:months", group * months, (group + 1) * months) * months).astype(int)
    month = np.minimum((first.start / h.epoch_days).astype(int), months - 1)
    hours = np.concatenate([first.hours[month == m] for m in pick])
    counts = per_node(first)
    nodes = (uniforms(seed, "halves:nodes", group * len(counts), (group + 1) * len(counts)) * len(counts)).astype(int)
    spread = dispersion(counts[nodes], ddof=1)
    if len(hours) < 2:
        return h
    return replace(h, repair_days=np.sort(hours) / 24, faults_per_day=len(hours) / first.days,
                   branching=float(branching_of_dispersion(spread)))


def compare_halves(trace: Trace, *, relapses: bool = True, runs: int = 200, seed: int = 1) -> tuple[Compared, ...]:
    """Return counts, recurrence and repair quantiles of the second half against a model of the first.

    Parameters
    ----------
    trace : Trace
        The log.
    relapses : bool
        Whether faults bring about later ones on their node; without it the model is plain Poisson there.
    runs, seed : int
        Histories that are played, and their luck.

    Notes
    -----
    Counts and repairs come from batches, bad months and slow crews; recurrence from the cluster process on nodes.
    The 99th percentile of nodes down is not compared: a half cannot tell models apart by it.

    Raises
    ------
    DataError
        If a half has too few faults.
    """
    half = trace.days / 2
    first, second = trace.part(0, half), trace.part(half, trace.days)
    counts = len(first.start), len(second.start)
    if min(counts) < FEWEST:
        raise DataError(f"the halves of the log have {counts[0]} and {counts[1]} faults; a comparison needs "
                        f"{FEWEST} in each")
    each = max(runs // GROUPS, 1)
    faults, repairs, again = [], [], []
    for g in range(GROUPS):
        h, span = resampled(first, g, seed=seed), range(g * each, (g + 1) * each)
        seen = histories(h, "batches+epochs+crews", runs=span, seed=seed)
        watched = (seen.start >= 0) & (seen.start < h.days)
        run, length = seen.run[watched] - span.start, (seen.end - seen.start)[watched] * 24
        faults += np.bincount(run, minlength=each).tolist()
        repairs += [np.quantile(length[run == r], PLACES) for r in range(each) if np.any(run == r)]
        memory = h if relapses else replace(h, branching=1e-9)
        node, day = relapsing_nodes(memory, runs=span, seed=seed + g)
        again += [_recurrence(node, day, r, h) for r in range(each)]
    out = [_compared("faults", np.array(faults, dtype=float), float(counts[1]))]
    out += [_compared(f"repair, quantile {q:g} [h]", np.array(repairs)[:, i], float(np.quantile(second.hours, q)))
            for i, q in enumerate(PLACES)]
    later = recurrence(second, LAGS)
    out += [_compared(f"rate on the same node {a:g} to {b:g} days later, times", np.array(again)[:, i], float(later[i]))
            for i, (a, b) in enumerate(pairwise(LAGS))]
    return tuple(out)


def _recurrence(node: Ints, day: Array, run: int, h: Habits) -> Array:
    mine = (node >= run * h.nodes) & (node < (run + 1) * h.nodes)
    faults = [(int(n) - run * h.nodes, float(d), float(d), "", "") for n, d in zip(node[mine], day[mine], strict=True)]
    return recurrence(build(faults, nodes=h.nodes, days=h.days), LAGS)


def _compared(name: str, played: Array, seen: float) -> Compared:
    low, middle, high = np.quantile(played, (0.05, 0.5, 0.95))
    return Compared(name=name, low=float(low), middle=float(middle), high=float(high), seen=seen)
