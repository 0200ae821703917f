"""Arrays for the pictures: what jobs keep by size, where time goes, spares, timelines, recurrence, claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.base.summary import interval
from chipcast.base.types import Array
from chipcast.cluster.case import Case, keep
from chipcast.cluster.record import PARTS, Fleet
from chipcast.cluster.renewal import best_interval, daly, young
from chipcast.cluster.simulate import simulate, typical_and_bad
from chipcast.cluster.spares import spares_for_nodes_down
from chipcast.cluster.trace import Trace, nodes_down


def by_size(fleet: Fleet) -> list[dict[str, Any]]:
    """Return rows (chip, chips, p05, p50, p95) of goodput against size."""
    return [{"chip": chip, "chips": n, **interval(fleet.goodput[i, j])}
            for i, chip in enumerate(fleet.chips) for j, n in enumerate(fleet.sizes)]


def stumble_by_size(fleet: Fleet, threshold: float) -> list[dict[str, Any]]:
    """Return rows (chip, chips, p): the probability that a job keeps less than `threshold` of its time."""
    return [{"chip": chip, "chips": n, "p": float((fleet.ettr[i, j] < threshold).mean())}
            for i, chip in enumerate(fleet.chips) for j, n in enumerate(fleet.sizes)]


def ledger_bar(fleet: Fleet, size: int) -> list[dict[str, Any]]:
    """Return rows (chip, part, mean, p05, p95) of one size; means of a chip sum to 1."""
    j = fleet.sizes.index(size)
    return [{"chip": chip, "part": part, "mean": float(fleet.ledger[i, j, k].mean()), **interval(fleet.ledger[i, j, k])}
            for i, chip in enumerate(fleet.chips) for k, part in enumerate(PARTS)]


def funnel(fleet: Fleet, size: int) -> list[dict[str, Any]]:
    """Return rows (chip, class, faults_per_day, loss): medians of faults, mean share of wall time that they cost."""
    j = fleet.sizes.index(size)
    return [{"chip": chip, "class": c, "faults_per_day": float(np.median(fleet.faults_per_day[i, j, k])),
             "loss": float(fleet.loss_by_class[i, j, k].mean())}
            for i, chip in enumerate(fleet.chips) for k, c in enumerate(fleet.classes)]


def timelines(case: Case, chips: int, *, days: float = 3.0, runs: int = 200, seed: int = 1,
              changes: int = 4000) -> list[dict[str, Any]]:
    """Return rows (run, start_h, end_h, part) of a typical and a bad run, played out; needs Numba.

    The two runs are those nearest to the median and the 5th percentile of time in progress.
    """
    played = simulate(case, chips, days=days, runs=runs, seed=seed, log=changes)
    rows = []
    for name, r in zip(("typical", "bad"), typical_and_bad(played), strict=True):
        times = played.log_s[r][np.isfinite(played.log_s[r])]
        ends = np.append(times[1:], days * 86_400.0)
        rows += [{"run": name, "start_h": float(a) / 3600, "end_h": float(b) / 3600, "part": PARTS[int(p)]}
                 for a, b, p in zip(times, ends, played.log_part[r], strict=False) if b > a]
    return rows


def checkpoint_curve(case: Case, chips: int, *, points: int = 60, least_s: float = 0.0) -> list[dict[str, float]]:
    """Return rows (interval_s, p05, p50, p95) of time in progress against the work between checkpoints."""
    best = float(np.median(keep(case, (chips,)).checkpoint_every_s))
    return [{"interval_s": float(x), **interval(keep(case, (chips,), interval_s=float(x)).ettr[0])}
            for x in np.geomspace(best / 8, best * 8, points) if x > least_s]


def interval_marks(rate_per_s: float, checkpoint_s: float) -> dict[str, float]:
    """Return the best interval and those of Young and Daly, in seconds."""
    return {"best": float(best_interval(rate_per_s, checkpoint_s)), "young": float(young(rate_per_s, checkpoint_s)),
            "daly": float(daly(rate_per_s, checkpoint_s))}


def spares_curve(load: Array, probabilities: Sequence[float] = (0.9, 0.95, 0.99, 0.995, 0.999, 0.9999)
                 ) -> list[dict[str, float]]:
    """Return rows (probability, p05, p50, p95): spare nodes against how surely they suffice, faults alone."""
    return [{"probability": p, **interval(spares_for_nodes_down(load, p))} for p in probabilities]


def down_over_time(trace: Trace, *, every: int = 5) -> list[dict[str, float]]:
    """Return rows (day, down) of a log played back."""
    day, down = nodes_down(trace)
    return [{"day": float(a), "down": float(b)} for a, b in zip(day[::every], down[::every], strict=True)]


def claims_plane(losses_min: Sequence[float] = (2.5, 5.0, 10.0, 30.0), hours: Sequence[float] = ()
                 ) -> list[dict[str, float]]:
    """Return rows (loss_min, mtbf_h, availability): curves of constant loss per failure."""
    grid = np.asarray(hours, dtype=float) if len(hours) else np.geomspace(0.5, 100.0, 60)
    return [{"loss_min": loss, "mtbf_h": float(m), "availability": float(m / (m + loss / 60))}
            for loss in losses_min for m in grid]


def tornado(given: Given, chip: str, case: Case, chips: int) -> list[dict[str, float | str]]:
    """Return rows (name, rank_correlation): which uncertain numbers move the time in progress most."""
    from chipcast.cluster.platform import platform

    target = keep(case, (chips,)).ettr[0]
    kind = platform(given, chip)
    names = ["fleet.rate_factor", "detection.passive_wait_s", "checkpoint.stall_s", "spares.hot_swap_s",
             "slow.episodes", "slow.excess", "slow.episode_h", "silent.latency_h", "repair.mean_h", "cluster.step_s",
             f"{kind.fleet}.restart_s", "ladder.hbm_online_success", "ladder_a3.operator_retry_success"]
    if kind.multipliers:
        names += [f"{kind.multipliers}.fault_multiplier_{c}" for c in ("hbm", "logic", "software")]
        names += [f"{kind.network}.fault_multiplier_network", f"{kind.network}.optical_modules_per_chip"]

    def ranks(x: Array) -> Array:
        out: Array = np.argsort(np.argsort(x)).astype(np.float64)
        return out

    goal = ranks(target)
    rows: list[dict[str, float | str]] = []
    for name in names:
        values = given[name]
        if np.ptp(values) > 0:
            rows.append({"name": name, "rank_correlation": float(np.corrcoef(ranks(values), goal)[0, 1])})
    return sorted(rows, key=lambda row: -abs(float(row["rank_correlation"])))
