"""A fault log: its faults in pairs, its replay, and what it says about rates, clustering and repair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.base.types import Array

Ints = npt.NDArray[np.int64]

GAP_DAYS = 1 / 24
"""Faults closer than this belong to one cluster: an hour, as the publisher's monitoring resolves no finer."""

GRID_DAYS = 0.1
"""Step of the grid on which nodes down are counted."""

LAGS_DAYS = (0, 1, 7, 30, 90, 180, 348)
"""Edges of the lags at which recurrence on the same node is counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """Faults of a fleet of nodes over a span of days."""

    nodes: int
    """Nodes watched, those without a fault included."""
    days: float
    """Days watched, from day 0."""
    node: Ints
    """Node of each fault. (fault)"""
    start: Array
    """Day on which each fault took its node out. (fault)"""
    end: Array
    """Day on which the node was repaired. (fault)"""
    kind: tuple[str, ...]
    """Class of each fault. (fault)"""
    level: tuple[str, ...]
    """Hardware, software or other, as the log names it. (fault)"""

    @property
    def hours(self) -> Array:
        """Return the length of each fault. [h] (fault)"""
        out: Array = (self.end - self.start) * 24
        return out

    def part(self, start: float, stop: float) -> Trace:
        """Return the faults that start in [start, stop), with the clock set to `start`."""
        keep = (self.start >= start) & (self.start < stop)
        return Trace(nodes=self.nodes, days=stop - start, node=self.node[keep], start=self.start[keep] - start,
                     end=self.end[keep] - start, kind=tuple(k for k, on in zip(self.kind, keep, strict=True) if on),
                     level=tuple(v for v, on in zip(self.level, keep, strict=True) if on))


# --- replay ----------------------------------------------------------------------------------------------------


def outages(trace: Trace) -> tuple[Ints, Array, Array]:
    """Return node, start and end of the times in which nodes are down; overlapping faults of a node are merged."""
    order = np.lexsort((trace.start, trace.node))
    node: list[int] = []
    start: list[float] = []
    end: list[float] = []
    for i in order:
        n, s, e = int(trace.node[i]), float(trace.start[i]), float(trace.end[i])
        if node and node[-1] == n and s <= end[-1]:
            end[-1] = max(end[-1], e)
        else:
            node.append(n)
            start.append(s)
            end.append(e)
    return np.array(node, dtype=np.int64), np.array(start), np.array(end)


def nodes_down(trace: Trace, step_days: float = GRID_DAYS) -> tuple[Array, Array]:
    """Return the days of a grid over the watch and the nodes down on each. (time), (time)"""
    _, start, end = outages(trace)
    grid = np.arange(round(trace.days / step_days), dtype=np.float64) * step_days
    down = np.searchsorted(np.sort(start), grid, side="right") - np.searchsorted(np.sort(end), grid, side="right")
    return grid, down.astype(np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """What a log says when it is played back."""

    faults: int
    """Faults in the log."""
    per_1000_node_days: float
    """Faults per thousand node-days."""
    down_node_days: float
    """Node-days down, overlaps merged; outages that outlast the watch count whole."""
    availability: float
    """Share of node-time up. [1]"""
    down_mean: float
    """Nodes down, mean over the grid."""
    down_median: float
    """Nodes down, median."""
    down_90: float
    """Nodes down, 90th percentile."""
    down_99: float
    """Nodes down, 99th percentile."""
    down_max: float
    """Nodes down, most."""
    little: float
    """Faults per day times mean length: the nodes down that Little's law asks for."""
    clusters: int
    """Clusters of faults less than an hour apart."""
    job_mtbf_h: float
    """Time between clusters: what a job on all nodes sees. [h]"""
    fault_mtbf_h: float
    """Time between faults. [h]"""


def replay(trace: Trace) -> Replay:
    """Play a log back."""
    _, start, end = outages(trace)
    lost = float((end - start).sum())
    _, down = nodes_down(trace)
    count = len(trace.start)
    groups = len(cluster_sizes(trace))
    return Replay(
        faults=count, per_1000_node_days=1000 * count / trace.nodes / trace.days, down_node_days=lost,
        availability=1 - lost / trace.nodes / trace.days, down_mean=float(down.mean()),
        down_median=float(np.median(down)), down_90=float(np.quantile(down, 0.90)),
        down_99=float(np.quantile(down, 0.99)), down_max=float(down.max()),
        little=count / trace.days * float(trace.hours.mean()) / 24, clusters=groups,
        job_mtbf_h=trace.days * 24 / groups, fault_mtbf_h=trace.days * 24 / count)


def cluster_sizes(trace: Trace, gap_days: float = GAP_DAYS) -> Ints:
    """Return the faults in each cluster: a new one begins where the gap to the fault before is `gap_days` or more."""
    new = np.concatenate([[True], np.diff(trace.start) >= gap_days])
    return np.bincount(np.cumsum(new) - 1).astype(np.int64)


def per_node(trace: Trace) -> Ints:
    """Return the faults of every node watched. (node)"""
    return np.bincount(trace.node, minlength=trace.nodes).astype(np.int64)


def dispersion(counts: npt.NDArray[Any], *, ddof: int = 0) -> float:
    """Return variance over mean of counts: 1 for a Poisson process, more where faults come together."""
    return float(np.var(counts, ddof=ddof) / np.mean(counts))


def per_bin(trace: Trace, width_days: float) -> Ints:
    """Return the faults in each bin of so many days, the last one begun included. (bin)"""
    bins = np.floor(trace.start / width_days).astype(np.int64)
    return np.bincount(bins, minlength=math.ceil(trace.days / width_days)).astype(np.int64)


def recurrence(trace: Trace, edges_days: Sequence[float] = LAGS_DAYS) -> Array:
    """Return the fault rate of the same node after a fault, as a multiple of the fleet's rate, by lag. (lag)"""
    later = np.zeros(len(edges_days) - 1)
    exposure = np.zeros(len(edges_days) - 1)
    low, high = np.array(edges_days[:-1], dtype=float), np.array(edges_days[1:], dtype=float)
    exposure += np.clip(np.minimum(high, trace.days - trace.start[:, None]) - low, 0, None).sum(axis=0)
    order = np.lexsort((trace.start, trace.node))
    node, start = trace.node[order], trace.start[order]
    for i in range(len(node)):
        j = i + 1
        while j < len(node) and node[j] == node[i]:
            bucket = int(np.searchsorted(edges_days, start[j] - start[i], side="right")) - 1
            if bucket < len(later):
                later[bucket] += 1
            j += 1
    fleet = len(trace.start) / trace.nodes / trace.days
    rates: Array = np.where(exposure > 0, later / np.maximum(exposure, 1e-300), np.nan) / fleet
    return rates


def later_faults(trace: Trace, within_days: float) -> float:
    """Return the mean number of later faults on the same node within so many days of a fault, chance included."""
    order = np.lexsort((trace.start, trace.node))
    node, start = trace.node[order], trace.start[order]
    total = 0
    for i in range(len(node)):
        j = i + 1
        while j < len(node) and node[j] == node[i] and start[j] - start[i] <= within_days:
            total += 1
            j += 1
    return total / len(node)


def worst_nodes_share(first: Ints, second: Ints, worst: int) -> float:
    """Return the share of the second half's faults on the nodes that were worst in the first; ties count in part."""
    edge = np.sort(first)[-worst]
    above, level = first > edge, first == edge
    part = (worst - above.sum()) / level.sum()
    return float((second[above].sum() + part * second[level].sum()) / second.sum())
