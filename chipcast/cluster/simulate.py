"""The second road: jobs played out fault by fault, from the same parameters as the exact formulas.

Needs Numba, which is imported when the first job is played.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv

from chipcast.base.choose import choose
from chipcast.base.draws import stream_key, uniforms
from chipcast.base.errors import InfeasibleError, require
from chipcast.base.types import Array, Numeric
from chipcast.cluster.case import NODE_CLASSES, Case, chips_by_class, keep, near_share
from chipcast.cluster.dependence import Habits
from chipcast.cluster.faults import CLASSES
from chipcast.cluster.record import PARTS

REPAIR_LAWS = {"exponential": 0, "fixed": 1, "weibull": 2, "empirical": 3}
"""Laws of the time to repair that the loop knows; all with the case's mean."""

LEAST_PROGRESS = 0.002
"""Share of useful time below which a job is not played until it is done."""

CLOCKS = ("wall", "progress")
"""Whether faults strike at any time, or only while the job computes, as the exact formula takes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """Jobs that were played out."""

    ettr: Array
    """Share of wall time in progress. [1] (run)"""
    goodput: Array
    """Useful chip-time over chip-time paid for, spares included. [1] (run)"""
    ledger: Array
    """Shares of wall time by `PARTS`; they sum to 1. [1] (part, run)"""
    wall_s: Array
    """Wall time of the job. [s] (run)"""
    faults: Array
    """Faults that struck its nodes. (run)"""
    stops: Array
    """Stops, mended online or not. (run)"""
    rollbacks: Array
    """Stops that went back to a checkpoint. (run)"""
    strikes: Array
    """Rollbacks that struck during recovery from another. (run)"""
    down: Array
    """Nodes in repair on a grid of wall time. (run, time)"""
    log_s: Array
    """Times at which the state changed; NaN after the last. [s] (run, change)"""
    log_part: Array
    """Part of the ledger that each change begins, an index into `PARTS`. (run, change)"""


def simulate(case: Case, chips: int, *, days: float | None = None, work_s: float | None = None,
             interval_s: Numeric | None = None, spare_chips: Numeric | None = None, runs: int | None = None,
             first_run: int = 0, seed: int = 1, clock: str = "wall", lifetime_shape: float = 1.0,
             repair: str = "weibull", repair_shape: float = 0.432, silent_latency_s: Numeric | None = None,
             together: Habits | None = None, batch_share: float = 1.0, learn: float = 0.0,
             planned_rate: Numeric = 1.0, grid_days: float = 0.0, log: int = 0) -> Played:
    """Play jobs out and return what they keep.

    Parameters
    ----------
    case : Case
        Parameters; run r takes draw r, counted round.
    chips : int
        Chips of the job.
    days, work_s : float, optional
        Wall time after which a job is looked at, or useful work after which it is done: one of the two. [days, s]
    interval_s : numeric, optional
        Useful work between checkpoints; the best one if left out. [s] (draw)
    spare_chips : numeric, optional
        Standing spares; those that the case's target asks for in each draw if left out. [chips] (draw)
    runs, first_run : int
        How many runs, and the number of the first: a run's luck depends on its number alone.
    clock : {"wall", "progress"}
        When faults strike.
    lifetime_shape : float, default 1
        Weibull shape of the time between a node's faults, ages kept when other nodes fail; 1 is memoryless.
    repair : {"weibull", "exponential", "fixed", "empirical"}
        Law of repair with the case's mean; the empirical one is that of `together`.
    repair_shape : float
        Shape of the Weibull law of repair.
    silent_latency_s : numeric, optional
        Mean time until silent corruption is found; the job then goes back to before it. The case's if left out. [s]
    together : Habits, optional
        How faults come together: batches, relapses and epochs. Left out: not at all.
    batch_share : float
        Share of first faults that strike as a batch.
    learn, planned_rate : float, numeric
        Rollbacks that the planned rate weighs in an interval adapted to one's own stops, and that rate; 0 to keep the
        interval. [1], [1/s] (draw)
    grid_days, log : float, int
        Step at which nodes in repair are counted, and changes of state that are kept per run; 0 for none.

    Raises
    ------
    InputError
        If an argument makes no sense.
    InfeasibleError
        If jobs make no progress.
    """
    from chipcast.cluster import events

    require((days is None) != (work_s is None), "days or work_s", "be given, one of the two", (days, work_s))
    require(chips >= 1, "chips", "be 1 or more", chips)
    require(lifetime_shape > 0, "lifetime_shape", "be above 0", lifetime_shape)
    choose(dict.fromkeys(CLOCKS, clock), clock, "clock")
    law = choose(REPAIR_LAWS, repair, "law of repair")
    require(law != 3 or together is not None, "the empirical law of repair", "come with a log's habits", together)
    count = case.draws if runs is None else runs
    require(count >= 1, "runs", "be 1 or more", count)
    pick = np.arange(first_run, first_run + count) % case.draws

    def take(value: Numeric) -> Array:
        out: Array = np.ascontiguousarray(np.broadcast_to(np.asarray(value, dtype=float), (case.draws,))[pick])
        return out

    nodes = math.ceil(chips / case.chips_per_node)
    exact = keep(case, (chips,), interval_s=interval_s)
    if work_s is not None and float(exact.ettr.min()) < LEAST_PROGRESS:
        raise InfeasibleError(f"no progress: only {float(exact.ettr.min()):.2g} of wall time would be useful; use "
                              "fewer chips or faster checkpoints")
    require(case.jobs == 1 or (together is None and not case.shocks), "jobs that share spares",
            "be 1 where causes strike many nodes at once", case.jobs)
    tau = take(exact.checkpoint_every_s[0])
    cold = np.broadcast_to(np.asarray(case.cold_nodes, dtype=float), (case.draws,))
    every_spare = np.broadcast_to(np.asarray(exact.spares[0] - cold * case.chips_per_node if spare_chips is None
                                             else spare_chips, dtype=float), (case.draws,)) + cold * case.chips_per_node
    pool = np.floor(every_spare * case.jobs / case.chips_per_node + 1e-9)
    most_spares, spare_nodes = int(pool.max()), np.ascontiguousarray(pool[pick]).astype(np.int64)
    by_class = case.rates * chips_by_class(case, np.array([[float(chips)]]))[0] / chips
    share = by_class / np.maximum(by_class.sum(axis=0), 1e-300)
    per_node_s = by_class.sum(axis=0) * (chips / nodes) / 3600.0
    epoch_s, factors = 1e18, np.zeros((count, 0))
    lengths, sizes = np.ones(1), np.zeros(0, dtype=np.int64)
    branching, kernel_s, kernel_below = 0.0, np.ones(1), np.ones(1)
    if case.relapse is not None:
        branching, kernel_s = case.relapse.branching, np.array(case.relapse.kernel_days) * 86_400.0
        kernel_below = np.cumsum(case.relapse.kernel_weights) / np.sum(case.relapse.kernel_weights)
        per_node_s = per_node_s * (1 - branching)
    horizon = days * 86_400.0 if days is not None else float(work_s or 0) * 50.0 / max(float(exact.ettr.min()), 1e-3)
    if together is not None:
        lengths = together.repair_days / together.repair_days.mean()
        sizes = together.batch_sizes
        branching, kernel_s = together.branching, np.array(together.kernel_days) * 86_400.0
        kernel_below = np.cumsum(together.kernel_weights)
        mean_size = 1 + batch_share * (float(sizes.mean()) - 1)
        per_node_s = per_node_s * (1 - (branching if case.relapse is None else 0.0)) / mean_size
        epoch_s = together.epoch_days * 86_400.0
        width, shape = math.ceil(horizon / epoch_s) + 1, 1 / together.epoch_variance
        u = uniforms(seed, "simulate:epochs", first_run * width, (first_run + count) * width)
        factors = (gammaincinv(shape, u) / shape).reshape(count, width)
    scale = take(1 / np.maximum(per_node_s, 1e-300)) / math.gamma(1 + 1 / lifetime_shape)
    slow_gap = 1 / np.maximum(take(case.slow_episodes) * chips / 3600.0, 1e-300)
    grid = max(round(days / grid_days), 0) if grid_days > 0 and days is not None else 0
    ledger, counts = np.zeros((count, len(PARTS))), np.zeros((count, 7))
    down = np.zeros((count, grid))
    log_s, log_part = np.full((count, log), np.nan), np.zeros((count, log), dtype=np.int64)
    stall = case.masking.stall_s + case.masking.steps * np.asarray(case.step_s)
    latency = take(case.silent_latency_s if silent_latency_s is None else silent_latency_s)
    near, lemons = case.near, case.lemons
    none = np.zeros((len(CLASSES), count))
    survives = none if near is None else np.ascontiguousarray(
        np.broadcast_to(near.survives, (len(CLASSES), case.draws))[:, pick])
    shocks = np.zeros((len(case.shocks), len(CLASSES), count))
    for i, shock in enumerate(case.shocks):
        shocks[i] = np.broadcast_to(shock.share, (len(CLASSES), case.draws))[:, pick]
    events.play(
        np.uint64(stream_key(seed, "simulate:faults") & 0xFFFFFFFFFFFFFFFF), first_run, count, nodes,
        nodes * (case.jobs - 1), spare_nodes,
        most_spares,
        scale,
        lifetime_shape, np.ascontiguousarray(np.cumsum(share, axis=0)[:, pick]),
        np.ascontiguousarray(case.masking.rollback[:, pick]), np.ascontiguousarray(stall[:, pick]),
        np.array([c in NODE_CLASSES and np.max(case.repair_h) > 0 for c in CLASSES]), take(case.detection_s),
        take(case.restart_s), take(case.swap_s), take(case.checkpoint_s), tau,
        take(0.0 if near is None else near.stall_s), take(exact.far_every[0]).astype(np.int64), survives,
        take(case.restart_s if near is None else near.restart_s), take(case.write_s),
        take(case.cold_nodes * np.float64(case.jobs)).astype(np.int64), take(case.cold_swap_s),
        case.when_short == "shrink",
        take(case.replica_nodes), take(case.rejoin_s), np.cumsum(shocks, axis=0),
        np.array([shock.nodes for shock in case.shocks], dtype=np.int64),
        take(0.0 if lemons is None else lemons.share), take(1.0 if lemons is None else lemons.factor),
        0 if lemons is None else lemons.evict_after,
        0.0 if case.relapse is None else case.relapse.quarantine_h * 3600.0, learn, take(planned_rate),
        take(near_share(case, chips)),
        np.where(slow_gap < 1e200, slow_gap, np.inf), take(np.asarray(case.slow_episode_h) * 3600.0),
        take(case.slow_factor), law, take(np.asarray(case.repair_h) * 3600.0),
        np.array([repair_shape, 1 / math.gamma(1 + 1 / repair_shape)]), lengths, CLASSES.index("silent"),
        latency, branching, kernel_s, kernel_below, sizes, batch_share, factors, epoch_s, horizon,
        float(work_s) if work_s is not None else np.inf, clock == "progress", max(grid_days, 1e-9) * 86_400.0, ledger,
        counts, down, log_s, log_part)
    if work_s is not None and np.any(counts[:, 4] >= horizon):
        raise InfeasibleError(f"no progress: {int((counts[:, 4] >= horizon).sum())} of {count} jobs are not done after "
                              f"{horizon / 86_400:.0f} days; use fewer chips or faster checkpoints")
    wall = ledger.sum(axis=1)
    parts = (ledger / wall[:, None]).T
    useful = parts[PARTS.index("productive")]
    paid = nodes * case.chips_per_node
    return Played(ettr=useful + parts[PARTS.index("slow_down")],
                  goodput=useful * chips / (paid + spare_nodes * case.chips_per_node / case.jobs),
                  ledger=parts, wall_s=wall, faults=counts[:, 0], stops=counts[:, 1], rollbacks=counts[:, 2],
                  strikes=counts[:, 3], down=down, log_s=log_s, log_part=log_part.astype(float))


def spread_of(played: Played) -> tuple[float, float]:
    """Return mean wall time per unit of useful work, E[T]/W, and its standard error."""
    useful = played.wall_s * played.ledger[PARTS.index("productive")]
    ratio = played.wall_s.sum() / useful.sum()
    rest = played.wall_s - ratio * useful
    return float(ratio), float(rest.std(ddof=1) / useful.mean() / math.sqrt(len(useful)))


def typical_and_bad(played: Played, quantiles: Sequence[float] = (0.5, 0.05)) -> tuple[int, ...]:
    """Return the runs whose time in progress lies nearest to these quantiles: a typical and a bad one."""
    return tuple(int(np.argmin(np.abs(played.ettr - np.quantile(played.ettr, q)))) for q in quantiles)
