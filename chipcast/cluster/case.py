"""One parameter object for a job on many chips, and what it keeps: the exact road.

The same record feeds the event simulation, so that two roads answer one question.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.base.errors import InfeasibleError, require
from chipcast.base.types import Array, Numeric
from chipcast.cluster.faults import CLASSES
from chipcast.cluster.ladder import Masking
from chipcast.cluster.record import PARTS
from chipcast.cluster.renewal import LARGEST_EXPONENT, best_interval, segment_stretch
from chipcast.cluster.spares import erlang_b_array, spares_needed

NODE_CLASSES = ("hbm", "logic", "network", "host", "silent")
"""Classes whose rollback takes a node out for repair; a software stop does not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """Everything that decides what a job keeps, for one chip; sizes come with the call."""

    rates: Array
    """Faults of one chip by class. [1/chip-h] (class, draw)"""
    masking: Masking
    """What the recovery ladder does to them."""
    detection_s: Numeric
    """Mean time from a stop until it is noticed. [s] (draw)"""
    restart_s: Numeric
    """Mean time from then until the job computes again. [s] (draw)"""
    swap_s: Numeric = 0.0
    """Mean wait for a standing node to join, after stops that take a node. [s] (draw)"""
    checkpoint_s: Numeric = 0.0
    """Stall of the job for one checkpoint. [s] (draw)"""
    step_s: Numeric = 0.0
    """One training step, repeated by recovery inside the job. [s] (draw)"""
    slow_episodes: Numeric = 0.0
    """Slow episodes of one chip and its links. [1/chip-h] (draw)"""
    slow_episode_h: Numeric = 0.0
    """Mean length of a slow episode, until it ends or the chip is put out. [h] (draw)"""
    slow_factor: Numeric = 1.0
    """Step time while one chip is slow over step time without. [1] (draw)"""
    repair_h: Numeric = 0.0
    """Mean time until a node that was taken out serves again. [h] (draw)"""
    chips_per_node: int = 8
    """Chips that a node fault takes out."""
    silent_latency_s: Numeric = 0.0
    """Mean time until silent corruption is found; work since then is lost on top. [s] (draw)"""
    strikes: bool = False
    """Whether faults strike a restart, which then begins anew; otherwise only while the job computes."""
    spares_target: float = 0.0
    """Share of time in which enough nodes must be up; 0 for no spares and no waiting for them."""

    @property
    def draws(self) -> int:
        """Number of draws."""
        return int(self.rates.shape[-1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What a job on many chips keeps."""

    ettr: Array
    """Share of wall time in which the job computes forward, slowly or not. [1] (size, draw)"""
    goodput: Array
    """Useful chip-time over chip-time paid for, idle spares included. [1] (size, draw)"""
    mtbf_h: Array
    """Time on the clock of progress per stop, all stops, mended online or not. [h] (size, draw)"""
    mtbf_rollback_h: Array
    """Time on the clock of progress per stop that goes back to a checkpoint. [h] (size, draw)"""
    ledger: Array
    """Shares of wall time by `PARTS`; they sum to 1. [1] (size, part, draw)"""
    checkpoint_every_s: Array
    """Useful work between checkpoints. [s] (size, draw)"""
    spares: Array
    """Standing spare chips. [chips] (size, draw)"""
    stops_per_day: Array
    """Faults by class, masked or not. [1/day] (size, class, draw)"""
    loss_by_class: Array
    """Share of wall time lost to faults of each class, waits and stalls included. [1] (size, class, draw)"""


def keep(case: Case, sizes: tuple[int, ...], *, interval_s: Numeric | None = None,
         spare_chips: Numeric | None = None) -> Kept:
    """Return what jobs of these sizes keep, by the exact renewal formula.

    Parameters
    ----------
    case : Case
        Parameters.
    sizes : tuple of int
        Chips of the job. [chips]
    interval_s : numeric, optional
        Useful work between checkpoints; the best one if left out. [s] (draw)
    spare_chips : numeric, optional
        Standing spare chips; those that meet `spares_target` if left out. [chips]

    Notes
    -----
    $E[T]/W = (e^{L (s tau + C)} - 1)/(tau L) (1 + L R + sum_k L_k D_k)$ with L the rate of rollbacks, R the mean of
    detection, swap and restart, D_k the mean stall of faults mended online, s the step-time factor. Waiting for
    nodes when spares run out stretches all of it by 1 / A. Parts divided by the total are the ledger. If faults
    strike restarts (a = swap + restart), a recovery lasts $d e^{L a} + (e^{L a} - 1)/L$ with d the detection: faults
    during detection are found together with the first. Silent corruption loses its latency on top, first order.

    Raises
    ------
    InfeasibleError
        If a stated interval, or a checkpoint's stall, leaves no progress between stops.
    """
    chips = np.asarray(sizes, dtype=float)[:, None]
    require(np.all(chips >= 1), "chips", "be 1 or more", sizes)
    require(np.all(np.asarray(case.rates) >= 0), "fault rates", "not be negative", np.min(case.rates))
    per_s = case.rates / 3600.0
    back = (per_s * case.masking.rollback).sum(axis=0) * chips
    stall = case.masking.stall_s + case.masking.steps * case.step_s
    online_each = per_s * stall
    online = online_each.sum(axis=0) * chips
    takes_node = np.array([[c in NODE_CLASSES] for c in CLASSES], dtype=float)
    node_rate = (per_s * case.masking.rollback * takes_node).sum(axis=0)
    swap = np.where(back > 0, node_rate * chips / np.where(back > 0, back, 1.0), 0.0) * case.swap_s

    slow_share = -np.expm1(-chips * case.slow_episodes * case.slow_episode_h)
    # Episodes fill a share of wall time, in which work advances at 1 / factor.
    pace = 1 / (1 - slow_share * (1 - 1 / np.asarray(case.slow_factor)))
    cost = np.broadcast_to(np.asarray(case.checkpoint_s, dtype=float), back.shape)
    tau = _interval(back * pace, cost / pace, interval_s)

    p = segment_stretch(back, pace * tau, cost) * pace
    _progress(back * (pace * tau + cost), cost, interval_s)
    # One recovery: noticed once and again after every strike, restarts until one comes through.
    tries = np.exp(np.minimum(back * (swap + case.restart_s), LARGEST_EXPONENT)) if case.strikes else 1.0
    again = (tries - 1.0) / np.maximum(back * (swap + case.restart_s), 1e-300) if case.strikes else 1.0
    silent = (per_s * case.masking.rollback)[CLASSES.index("silent")] * chips
    parts = {
        "productive": np.ones_like(p), "checkpoint": cost / tau, "slow_down": pace - 1.0,
        "lost_work": np.maximum(p - pace - cost / tau, 0.0) + p * silent * case.silent_latency_s,
        "detection": p * back * case.detection_s * tries, "restart": p * back * case.restart_s * again,
        "online_stalls": p * online,
    }
    spare, short = _spares(case, chips, node_rate, spare_chips)
    swaps = p * back * swap * again
    running = sum(parts.values()) + swaps
    parts["waiting"] = swaps + running * short / (1 - short)
    table = np.stack([np.broadcast_to(parts[name], p.shape) for name in PARTS], axis=1)
    total = table.sum(axis=1, keepdims=True)
    ledger = table / total

    name = {n: i for i, n in enumerate(PARTS)}
    share = per_s * case.masking.rollback
    weight = share / np.maximum(share.sum(axis=0), 1e-300)
    node_weight = share * takes_node / np.maximum(node_rate, 1e-300)
    rolled = ledger[:, [name["lost_work"], name["detection"], name["restart"]]].sum(axis=1)
    stalled = online_each / np.maximum(online_each.sum(axis=0), 1e-300)
    loss = (rolled[:, None] * weight + ledger[:, name["waiting"], None] * node_weight
            + ledger[:, name["online_stalls"], None] * stalled)
    everything = case.rates.sum(axis=0) * chips
    return Kept(
        ettr=ledger[:, name["productive"]] + ledger[:, name["slow_down"]],
        goodput=ledger[:, name["productive"]] * chips / (chips + spare),
        mtbf_h=1 / np.maximum(everything, 1e-300), mtbf_rollback_h=1 / np.maximum(back * 3600.0, 1e-300),
        ledger=ledger, checkpoint_every_s=np.broadcast_to(tau, p.shape), spares=np.broadcast_to(spare, p.shape),
        stops_per_day=case.rates * chips[:, None] * 24.0, loss_by_class=loss)


def require_progress(case: Case, sizes: tuple[int, ...], *, interval_s: Numeric | None = None) -> None:
    """Refuse a checkpoint or an interval that a user states if it is longer than the usual time between rollbacks.

    Raises
    ------
    InfeasibleError
        If the median stall, or the interval, exceeds the median time between rollbacks at the largest size.
    """
    rate = (case.rates * case.masking.rollback).sum(axis=0) * max(sizes) / 3600.0
    gap = float(np.median(1 / np.maximum(rate, 1e-300)))
    stall = float(np.median(case.checkpoint_s))
    work = 0.0 if interval_s is None else float(np.median(interval_s))
    if stall + work > gap:
        what = f"a checkpoint of {stall:.0f} s" + (f" every {work:.0f} s of work" if work else "")
        raise InfeasibleError(f"no progress: {what} is longer than the {gap:.0f} s between rollbacks on {max(sizes)} "
                              "chips; checkpoint faster, more often, or use fewer chips")


def _interval(rate: Array, cost: Array, interval_s: Numeric | None) -> Array:
    if interval_s is not None:
        require(np.all(np.asarray(interval_s) > 0), "checkpoint interval", "be above 0 s", interval_s)
        return np.broadcast_to(np.asarray(interval_s, dtype=float), rate.shape)
    # Without stops or without cost there is no best interval; a tiny floor keeps both limits finite and right.
    tau: Array = np.asarray(best_interval(np.maximum(rate, 1e-15), np.maximum(cost, 1e-9)))
    return tau


def _progress(exponent: Array, cost: Array, interval_s: Numeric | None) -> None:
    if np.all(exponent < LARGEST_EXPONENT):
        return
    what = "the best interval" if interval_s is None else f"an interval of {np.max(interval_s):.0f} s"
    raise InfeasibleError(f"no progress: {what} with checkpoints of {np.max(cost):.0f} s is {np.max(exponent):.0f} "
                          "times the time between rollbacks; checkpoint faster or use fewer chips")


def _spares(case: Case, chips: Array, node_rate: Array, spare_chips: Numeric | None) -> tuple[Numeric, Numeric]:
    """Return standing spare chips and the share of time in which nodes are short."""
    nodes = np.ceil(chips / case.chips_per_node)
    load = nodes * node_rate * case.chips_per_node * np.asarray(case.repair_h) * 3600.0
    if spare_chips is not None:
        places = np.floor(np.asarray(spare_chips, dtype=float) / case.chips_per_node)
        return np.asarray(spare_chips, dtype=float), erlang_b_array(places + 1, load)
    if case.spares_target <= 0:
        return 0.0, 0.0
    spare = spares_needed(load, case.spares_target)
    return spare * case.chips_per_node, erlang_b_array(spare + 1, load)
