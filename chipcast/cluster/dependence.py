"""Faults that come together: batches, relapses, bad months; and the models that a log rejects.

Every model is a table entry that turns numbered uniforms into fault histories of a fleet; a history is a function of
(seed, model, run) alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv, ndtri, pdtr

from chipcast.base.draws import uniforms
from chipcast.base.errors import require
from chipcast.base.types import Array
from chipcast.cluster.trace import GRID_DAYS, Ints, Trace, cluster_sizes

KERNEL_DAYS, KERNEL_WEIGHTS = (1.0, 12.0, 40.0), (0.30, 0.35, 0.35)
"""Means of the exponential delays of relapses, and their weights, as fitted to the published log."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Habits:
    """What is learnt from a log and put into models of it."""

    nodes: int
    """Nodes of the fleet."""
    days: float
    """Days of one history."""
    faults_per_day: float
    """Mean faults of the fleet per day. [1/day]"""
    repair_days: Array
    """Lengths of repairs, sorted: an empirical law. [days] (length)"""
    batch_sizes: Ints
    """Faults in clusters less than an hour apart: an empirical law. (cluster)"""
    epoch_days: float = 30.0
    """Length of an epoch, in which fault rate and repair crews are as good or bad as they are. [days]"""
    epoch_variance: float = 0.25
    """Variance of the Gamma factor of mean 1 on an epoch's fault rate. [1]"""
    repair_log_sd: float = 0.7
    """Log-sd of the log-normal factor of mean 1 on the repairs that begin in an epoch. [1]"""
    branching: float = 0.38
    """Later faults on the same node that one fault brings about. [1]"""
    kernel_days: tuple[float, ...] = KERNEL_DAYS
    """Means of the exponential delays of relapses. [days]"""
    kernel_weights: tuple[float, ...] = KERNEL_WEIGHTS
    """Weights of those delays. [1]"""
    frailty_shape: float = 0.93
    """Shape of the Gamma factor of mean 1 on a node's rate, where nodes differ for good. [1]"""


def habits(trace: Trace) -> Habits:
    """Return what models take from a log; relapse, epoch and frailty figures are fits to the published one."""
    return Habits(nodes=trace.nodes, days=trace.days, faults_per_day=len(trace.start) / trace.days,
                  repair_days=np.sort(trace.hours) / 24, batch_sizes=cluster_sizes(trace))


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """Fault histories of several runs, flat."""

    run: Ints
    """Run of each fault. (fault)"""
    start: Array
    """Day of each fault; the watch begins at 0, warm-up before it is negative. [days] (fault)"""
    end: Array
    """Day of its repair. [days] (fault)"""


class _Stream:
    """Numbered uniforms: draw `i` of run `r` of a named stream is always the same."""

    def __init__(self, seed: int, name: str, runs: range) -> None:
        self.seed, self.name, self.runs = seed, name, runs

    def take(self, what: str, width: int) -> Array:
        """Return `width` uniforms for each run. (run, width)"""
        flat = uniforms(self.seed, f"dependence:{self.name}:{what}", self.runs.start * width, self.runs.stop * width)
        return flat.reshape(len(self.runs), width)


def warm_up_days(h: Habits) -> float:
    """Return the days before the watch after which nearly all repairs that began earlier are over."""
    return float(np.quantile(h.repair_days, 0.999)) * 2 + 10.0


def _arrivals(h: Habits, s: _Stream, per_day: float, epochs: Array | None
              ) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return arrival days, and which are inside the span, of a Poisson stream with given epoch factors. (run, slot)"""
    span = h.days + warm_up_days(h)
    # A fixed width keeps run r the same whatever the epochs of other runs.
    gaps = -np.log(s.take("gaps", int(per_day * span * 4 + 200)))
    work = np.cumsum(gaps, axis=1) / per_day
    if epochs is None:
        return work - warm_up_days(h), work < span
    edges = np.arange(epochs.shape[1] + 1) * h.epoch_days
    out = np.empty_like(work)
    for r in range(len(work)):
        out[r] = np.interp(work[r], np.concatenate([[0.0], np.cumsum(epochs[r] * h.epoch_days)]), edges, right=np.inf)
    return out - warm_up_days(h), out < span


def _epochs(h: Habits, s: _Stream, what: str) -> Array:
    span = h.days + warm_up_days(h)
    return s.take(what, int(np.ceil(span / h.epoch_days)) + 1)


def _history(h: Habits, s: _Stream, *, batches: bool, epochs: bool, slow_repair: bool, exponential: bool) -> History:
    mean_size = float(h.batch_sizes.mean()) if batches else 1.0
    shape = 1 / h.epoch_variance
    factors = gammaincinv(shape, _epochs(h, s, "epochs")) / shape if epochs else None
    at, inside = _arrivals(h, s, h.faults_per_day / mean_size, factors)
    size = np.ones(at.shape, dtype=np.int64)
    if batches:
        pick = (s.take("sizes", at.shape[1]) * len(h.batch_sizes)).astype(int)
        size = h.batch_sizes[pick]
    size = np.where(inside, size, 0)
    run = np.repeat(np.repeat(np.arange(len(at)), at.shape[1]), size.ravel())
    start = np.repeat(at.ravel(), size.ravel())
    # Repair k of a run has the k-th uniform of the run's own stream.
    order = np.arange(len(run)) - np.searchsorted(run, run, side="left")
    u = s.take("repair", int(h.faults_per_day * (h.days + warm_up_days(h)) * 8 + 400))[run, order]
    if exponential:
        length = -np.log(u) * float(h.repair_days.mean())
    else:
        length = h.repair_days[(u * len(h.repair_days)).astype(int)]
    if slow_repair:
        sd = h.repair_log_sd
        factor = np.exp(sd * ndtri(_epochs(h, s, "crews")) - sd * sd / 2)
        length = length * factor[run, np.floor((start + warm_up_days(h)) / h.epoch_days).astype(int)]
    return History(run=run + s.runs.start, start=start, end=start + length)


Model = Callable[[Habits, "_Stream"], History]

MODELS: Mapping[str, Model] = MappingProxyType({
    "batches+epochs+crews": lambda h, s: _history(h, s, batches=True, epochs=True, slow_repair=True, exponential=False),
    "batches+epochs": lambda h, s: _history(h, s, batches=True, epochs=True, slow_repair=False, exponential=False),
    "batches": lambda h, s: _history(h, s, batches=True, epochs=False, slow_repair=False, exponential=False),
    "independent": lambda h, s: _history(h, s, batches=False, epochs=False, slow_repair=False, exponential=False),
    "poisson": lambda h, s: _history(h, s, batches=False, epochs=False, slow_repair=False, exponential=True),
})
"""How nodes go down together, default first: causes that strike many, bad months, slow crews; then without them."""


def histories(h: Habits, model: str, *, runs: range, seed: int = 1) -> History:
    """Return fault histories of a fleet under one model.

    Raises
    ------
    InputError
        If the model is unknown.
    """
    from chipcast.base.choose import choose

    return choose(MODELS, model, "model of dependence")(h, _Stream(seed, model, runs))


def down_on_grid(h: Habits, history: History, runs: range) -> Array:
    """Return nodes down on a grid over the watch. (run, time)"""
    steps = round(h.days / GRID_DAYS)
    # A fault at `start` is seen from the first grid day at or after it: differences, then a running sum.
    first = np.clip(np.ceil(history.start / GRID_DAYS), 0, steps).astype(int)
    last = np.clip(np.ceil(history.end / GRID_DAYS), 0, steps).astype(int)
    change = np.zeros((len(runs), steps + 1))
    row = history.run - runs.start
    np.add.at(change, (row, first), 1.0)
    np.add.at(change, (row, last), -1.0)
    down: Array = np.cumsum(change, axis=1)[:, :steps]
    return down


def down_quantile(h: Habits, model: str, probability: float, *, runs: int = 400, seed: int = 1) -> Array:
    """Return the quantile of nodes down over the watch, for each run of a model. (run)"""
    require(0 < probability < 1, "probability", "lie inside 0 to 1", probability)
    span = range(runs)
    down = down_on_grid(h, histories(h, model, runs=span, seed=seed), span)
    out: Array = np.quantile(down, probability, axis=1)
    return out


# --- nodes that relapse, and nodes that differ for good ----------------------------------------------------------


def poisson_count(u: Array, mean: Array | float) -> Ints:
    """Return Poisson counts by inverse distribution function: the least k whose probability reaches `u`."""
    mean = np.broadcast_to(np.asarray(mean, dtype=float), u.shape)
    k = np.zeros(u.shape)
    more = pdtr(k, mean) < u
    while more.any():
        k = k + more
        more &= pdtr(k, mean) < u
    return k.astype(np.int64)


def relapsing_nodes(h: Habits, *, runs: range, seed: int = 1, warm_up: float = 400.0) -> tuple[Ints, Array]:
    """Return node (numbered over all runs) and day of every fault when a fault brings about later ones.

    Notes
    -----
    A cluster process: first faults at rate r (1 - a), each with Poisson(a) relapses after delays from a mixture of
    exponentials, each of which may relapse in turn (Hawkes, Biometrika 58, 1971).
    """
    s = _Stream(seed, "relapse", runs)
    nodes = h.nodes * len(runs)
    rate = h.faults_per_day / h.nodes * (1 - h.branching)
    span = h.days + warm_up
    count = poisson_count(s.take("first", h.nodes).ravel(), rate * span)
    node = np.repeat(np.arange(nodes), count)
    at = _numbered(seed, "relapse:first-day", len(node)) * span - warm_up
    all_node, all_at = [node], [at]
    generation = 0
    while len(node):
        kids = poisson_count(_numbered(seed, f"relapse:kids:{generation}", len(node)), h.branching)
        node, at = np.repeat(node, kids), np.repeat(at, kids)
        kernel = np.searchsorted(np.cumsum(h.kernel_weights), _numbered(seed, f"relapse:kernel:{generation}", len(at)))
        mean = np.array(h.kernel_days)[np.minimum(kernel, len(h.kernel_days) - 1)]
        at = at - np.log(_numbered(seed, f"relapse:delay:{generation}", len(at))) * mean
        all_node.append(node)
        all_at.append(at)
        generation += 1
    node, at = np.concatenate(all_node), np.concatenate(all_at)
    keep = (at >= 0) & (at < h.days)
    return node[keep], at[keep]


def frail_nodes(h: Habits, *, runs: range, seed: int = 1) -> tuple[Ints, Array]:
    """Return node and day of every fault when nodes differ for good by a Gamma factor and nothing else."""
    s = _Stream(seed, "frailty", runs)
    factor = gammaincinv(h.frailty_shape, s.take("factor", h.nodes).ravel()) / h.frailty_shape
    count = poisson_count(s.take("count", h.nodes).ravel(), factor * h.faults_per_day / h.nodes * h.days)
    node = np.repeat(np.arange(len(count)), count)
    return node, _numbered(seed, "frailty:day", len(node)) * h.days


def _numbered(seed: int, name: str, count: int) -> Array:
    return uniforms(seed, f"dependence:{name}", 0, count)


NODE_MODELS: Mapping[str, Callable[..., tuple[Ints, Array]]] = MappingProxyType(
    {"relapse": relapsing_nodes, "frailty": frail_nodes})
"""How faults fall on nodes, default first; the second is kept because it fits the spread and fails the memory."""


def counts_by_node(h: Habits, node: Ints, runs: int) -> Ints:
    """Return the faults of every node. (run, node)"""
    return np.bincount(node, minlength=h.nodes * runs).reshape(runs, h.nodes).astype(np.int64)
