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
from chipcast.cluster.policy import Lemons, Load, Near, Relapse, Shock, Standing, lemon_rate, relapse_rate, standing
from chipcast.cluster.record import PARTS, Kept
from chipcast.cluster.renewal import LARGEST_EXPONENT, best_interval, pattern_stretch, segment_stretch

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
    write_s: Numeric = 0.0
    """Time for which a checkpoint is written beside the running job before it can be used. [s] (draw)"""
    near: Near | None = None
    """A first level of checkpoints in the memory of peers; None for one level."""
    cold_nodes: Numeric = 0.0
    """Spare nodes beyond the standing ones that must be started first. [nodes] (draw)"""
    cold_swap_s: Numeric = 0.0
    """Mean wait for such a node. [s] (draw)"""
    jobs: int = 1
    """Jobs of this kind that share their spares; the numbers of spares are those of one job."""
    when_short: str = "wait"
    """What a job does without enough nodes, one of `policy.WHEN_SHORT`."""
    replica_nodes: Numeric = 1.0
    """Nodes of one data-parallel replica, all idle while one is missing from a job that shrinks. [nodes] (draw)"""
    rejoin_s: Numeric = 0.0
    """Stall of a job that shrank when a node joins again. [s] (draw)"""
    shocks: tuple[Shock, ...] = ()
    """Causes that take down whole domains: switches, power."""
    lemons: Lemons | None = None
    """Nodes that are bad for good, and their eviction; None if nodes are alike."""
    relapse: Relapse | None = None
    """Faults that bring about later ones on their node, and the quarantine against them."""
    job_software: Numeric = 0.0
    """Share of software stops that come once per job of the anchor's size, however large the job is. [1] (draw)"""
    anchor_chips: float = 1.0
    """Chips of the job on which such stops were counted. [chips]"""

    @property
    def draws(self) -> int:
        """Number of draws."""
        return int(self.rates.shape[-1])


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
    nodes when spares run out stretches all of it by 1 / A; a job that shrinks has its missing share in s instead.
    Parts divided by the total are the ledger. If faults strike restarts (a = swap + restart), a recovery lasts
    $d e^{L a} + (e^{L a} - 1)/L$ with d the detection: faults during detection are found together with the first.
    First order: silent corruption loses its latency on top; a checkpoint that is still being written loses one
    interval more in the share of time that the writing fills. With near copies P is `pattern_stretch`.

    Raises
    ------
    InfeasibleError
        If a stated interval, or a checkpoint's stall, leaves no progress between stops.
    """
    chips = np.asarray(sizes, dtype=float)[:, None]
    require(np.all(chips >= 1), "chips", "be 1 or more", sizes)
    _sensible(case)
    per_s = fault_rates(case) / 3600.0
    faults = per_s[None] * chips_by_class(case, chips)
    rolled = faults * case.masking.rollback
    back = rolled.sum(axis=1)
    near_back = (rolled * case.near.survives).sum(axis=1) if case.near else np.zeros_like(back)
    stalls = faults * (case.masking.stall_s + case.masking.steps * case.step_s)
    online = stalls.sum(axis=1)
    node_each = rolled * TAKES_NODE
    node_faults = node_each.sum(axis=1)
    place = _standing(case, chips, rolled, spare_chips)
    share_node = np.where(back > 0, node_faults / np.where(back > 0, back, 1.0), 0.0)
    swap = share_node * (case.swap_s + place.cold * (np.asarray(case.cold_swap_s) - case.swap_s))
    again_s = case.restart_s if case.near is None else (
        np.where(back > 0, near_back / np.where(back > 0, back, 1.0), 0.0)
        * (np.asarray(case.near.restart_s) - case.restart_s) + case.restart_s)

    slow_share = -np.expm1(-chips * case.slow_episodes * case.slow_episode_h)
    # Episodes fill a share of wall time, in which work advances at 1 / factor.
    slow = 1 / (1 - slow_share * (1 - 1 / np.asarray(case.slow_factor)))
    pace = slow / (1 - place.missing)
    cost = np.broadcast_to(np.asarray(case.checkpoint_s, dtype=float), back.shape)
    tau, segments = _interval(case, back * pace, near_back * pace, cost / pace, interval_s)
    if interval_s is not None and np.median(case.write_s) > np.median(tau * pace * segments):
        raise InfeasibleError(f"a checkpoint takes {np.median(case.write_s):.0f} s to write and is due every "
                              f"{np.median(tau * pace * segments):.0f} s; save less often or use a faster store")
    tau = np.maximum(tau, case.write_s / pace / segments)  # the next one waits until the last is written
    if case.near is None:
        p = segment_stretch(back, pace * tau, cost) * pace
        saved = cost / tau
    else:
        p = pattern_stretch(near_back, back - near_back, pace * tau, case.near.stall_s, cost, segments) * pace
        saved = (case.near.stall_s * (segments - 1) + cost) / (segments * tau)
    _progress((back - near_back) * (pace * tau + cost) * segments, cost, interval_s)
    # One recovery: noticed once and again after every strike, restarts until one comes through.
    struck = back * (swap + again_s)
    tries = np.exp(np.minimum(struck, LARGEST_EXPONENT)) if case.strikes else 1.0
    again = (tries - 1.0) / np.maximum(struck, 1e-300) if case.strikes else 1.0
    silent = rolled[:, CLASSES.index("silent")]
    unwritten = (back - near_back) * case.write_s / (1 + cost / (tau * pace * segments))
    parts = {
        "productive": np.ones_like(p), "checkpoint": saved, "slow_down": slow - 1.0,
        "lost_work": np.maximum(p - pace - saved, 0.0) + p * (silent * case.silent_latency_s + unwritten),
        "detection": p * back * case.detection_s * tries, "restart": p * back * again_s * again,
        "online_stalls": p * online,
    }
    swaps = p * back * swap * again + (pace - slow) + p * node_faults * place.alone * case.rejoin_s
    running = sum(parts.values()) + swaps
    parts["waiting"] = swaps + running * place.short / (1 - place.short)
    table = np.stack([np.broadcast_to(parts[name], p.shape) for name in PARTS], axis=1)
    ledger = table / table.sum(axis=1, keepdims=True)

    name = {n: i for i, n in enumerate(PARTS)}
    weight = rolled / np.maximum(back, 1e-300)[:, None]
    node_weight = node_each / np.maximum(node_faults, 1e-300)[:, None]
    lost = ledger[:, [name["lost_work"], name["detection"], name["restart"]]].sum(axis=1)
    stalled = stalls / np.maximum(online, 1e-300)[:, None]
    loss = (lost[:, None] * weight + ledger[:, name["waiting"], None] * node_weight
            + ledger[:, name["online_stalls"], None] * stalled)
    return Kept(
        ettr=ledger[:, name["productive"]] + ledger[:, name["slow_down"]],
        goodput=ledger[:, name["productive"]] * chips / (chips + place.chips),
        mtbf_h=1 / np.maximum(faults.sum(axis=1) * 3600.0, 1e-300),
        mtbf_rollback_h=1 / np.maximum(back * 3600.0, 1e-300),
        ledger=ledger, checkpoint_every_s=np.broadcast_to(tau, p.shape),
        far_every=np.broadcast_to(np.asarray(segments, dtype=float), p.shape),
        spares=np.broadcast_to(place.chips, p.shape), stops_per_day=faults * 86_400.0, loss_by_class=loss)


LEAST = {"rates": 0.0, "detection_s": 0.0, "restart_s": 0.0, "swap_s": 0.0, "checkpoint_s": 0.0, "step_s": 0.0,
         "slow_episodes": 0.0, "slow_episode_h": 0.0, "slow_factor": 1.0, "repair_h": 0.0, "silent_latency_s": 0.0,
         "write_s": 0.0, "cold_nodes": 0.0, "cold_swap_s": 0.0, "replica_nodes": 1.0, "rejoin_s": 0.0,
         "chips_per_node": 1.0}
"""Least value of each figure of a case."""


def _sensible(case: Case) -> None:
    """Refuse figures that no machine has."""
    for name, least in LEAST.items():
        lowest = float(np.min(getattr(case, name)))
        words = "fault rates" if name == "rates" else name
        require(lowest >= least, words, "not be negative" if least == 0 else f"be {least:g} or more", lowest)


TAKES_NODE = np.array([[c in NODE_CLASSES] for c in CLASSES], dtype=float)
"""1 for classes whose rollback takes a node. (class, 1)"""


def fault_rates(case: Case) -> Array:
    """Return fault rates of one chip with bad nodes and relapses under the case's policy. [1/chip-h] (class, draw)"""
    rates = np.asarray(case.rates, dtype=float)
    if case.lemons is not None:
        rates = rates * lemon_rate(case.lemons, rates.sum(axis=0) * case.chips_per_node * 24)
    if case.relapse is not None:
        held = (rates * case.masking.rollback * TAKES_NODE).sum(axis=0) / np.maximum(rates.sum(axis=0), 1e-300)
        rates = rates * relapse_rate(case.relapse, held)
    return rates


def chips_by_class(case: Case, chips: Array) -> Array:
    """Return the chips that count for each class: software in part as many as the anchor's job had. (size, class, 1)"""
    out = np.broadcast_to(chips[:, None], (len(chips), len(CLASSES), np.size(case.job_software))).astype(float)
    if np.any(np.asarray(case.job_software) > 0):
        share = np.atleast_1d(np.asarray(case.job_software, dtype=float))
        out[:, CLASSES.index("software")] = chips * (1 - share) + case.anchor_chips * share
    return out


def rollback_rate(case: Case, sizes: tuple[int, ...]) -> Array:
    """Return how often jobs of these sizes go back to a checkpoint. [1/s] (size, draw)"""
    chips = np.asarray(sizes, dtype=float)[:, None]
    rate: Array = (fault_rates(case) / 3600.0 * chips_by_class(case, chips) * case.masking.rollback).sum(axis=1)
    return rate


def require_progress(case: Case, sizes: tuple[int, ...], *, interval_s: Numeric | None = None) -> None:
    """Refuse a checkpoint or an interval that a user states if it is longer than the usual time between rollbacks.

    Raises
    ------
    InfeasibleError
        If the median stall, or the interval, exceeds the median time between rollbacks at the largest size.
    """
    gap = float(np.median(1 / np.maximum(rollback_rate(case, (max(sizes),)), 1e-300)))
    stall = float(np.median(case.checkpoint_s))
    work = 0.0 if interval_s is None else float(np.median(interval_s))
    if stall + work > gap:
        what = f"a checkpoint of {stall:.0f} s" + (f" every {work:.0f} s of work" if work else "")
        raise InfeasibleError(f"no progress: {what} is longer than the {gap:.0f} s between rollbacks on {max(sizes)} "
                              "chips; checkpoint faster, more often, or use fewer chips")


def work_between(case: Case, rate: Numeric, near_rate: Numeric, cost: Numeric) -> Numeric:
    """Return the best work between checkpoints of any level, at these rates of rollbacks and stall of a far one. [s]

    With two levels it is first order: sqrt(2 C/L) for the stops that near copies serve.
    """
    # Without stops or without cost there is no best interval; a tiny floor keeps both limits finite and right.
    single = best_interval(np.maximum(rate, 1e-15), np.maximum(cost, 1e-9))
    if case.near is None:
        return single
    # Where hardly a stop has a near copy to go to, far checkpoints alone decide.
    return np.minimum(best_interval(np.maximum(near_rate, 1e-15), np.maximum(case.near.stall_s, 1e-9)), single)


def near_share(case: Case, size: int) -> Array:
    """Return the share of a job's rollbacks that go back to a near copy; 0 without near copies. [1] (draw)"""
    if case.near is None:
        return np.zeros(case.draws)
    rolled = fault_rates(case) * chips_by_class(case, np.array([[float(size)]]))[0] * case.masking.rollback
    share: Array = (rolled * case.near.survives).sum(axis=0) / np.maximum(rolled.sum(axis=0), 1e-300)
    return share


def _interval(case: Case, rate: Array, near_rate: Array, cost: Array, interval_s: Numeric | None
              ) -> tuple[Array, Numeric]:
    """Return the work between checkpoints, and how many near copies there are to a far one (1 without near copies)."""
    segments: Numeric = 1.0
    if interval_s is not None:
        require(np.all(np.asarray(interval_s) > 0), "checkpoint interval", "be above 0 s", interval_s)
        tau: Array = np.broadcast_to(np.asarray(interval_s, dtype=float), rate.shape)
    else:
        tau = np.asarray(work_between(case, rate, near_rate, cost))
    if case.near is not None:
        far = np.maximum(rate - near_rate, 1e-15)
        extra = np.maximum(cost - case.near.stall_s, 1e-9)
        segments = np.clip(np.rint(np.sqrt(2 * extra / far) / tau), 1.0, MOST_SEGMENTS)
    return tau, segments


MOST_SEGMENTS = 1000.0
"""Near copies to one far checkpoint beyond which nobody counts on the peers."""


def _progress(exponent: Array, cost: Array, interval_s: Numeric | None) -> None:
    if np.all(exponent < LARGEST_EXPONENT):
        return
    what = "the best interval" if interval_s is None else f"an interval of {np.max(interval_s):.0f} s"
    raise InfeasibleError(f"no progress: {what} with checkpoints of {np.max(cost):.0f} s is {np.max(exponent):.0f} "
                          "times the time between rollbacks; checkpoint faster or use fewer chips")


def load_of(case: Case, chips: Array, rolled: Array) -> Load:
    """Return nodes down on average, one by one and by domain, from rollbacks per second by class."""
    nodes = np.ceil(chips / case.chips_per_node)
    # A part-filled last node fails like a whole one.
    per_s = rolled * TAKES_NODE * (nodes * case.chips_per_node / chips)[:, None]
    held = np.asarray(case.repair_h) * 3600.0 + (case.relapse.quarantine_h * 3600.0 if case.relapse else 0.0)
    whole = sum((shock.share for shock in case.shocks), start=np.zeros_like(case.rates))
    require(np.all(np.asarray(whole) <= 1), "shares of domain faults", "add to 1 at most", np.max(whole))
    domains = tuple(((per_s * shock.share).sum(axis=1) * held, shock.nodes) for shock in case.shocks)
    return Load(singles=(per_s * (1 - whole)).sum(axis=1) * held, domains=domains)


def _standing(case: Case, chips: Array, rolled: Array, spare_chips: Numeric | None) -> Standing:
    require(case.jobs >= 1, "jobs that share spares", "be 1 or more", case.jobs)
    return standing(load_of(case, chips, rolled), np.ceil(chips / case.chips_per_node),
                    chips_per_node=case.chips_per_node, target=case.spares_target, spare_chips=spare_chips,
                    cold_nodes=case.cold_nodes, jobs=case.jobs, when_short=case.when_short,
                    replica_nodes=case.replica_nodes)
