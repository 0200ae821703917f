"""What must be true of parts and operators for an availability or an MTBF claim to hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.base.errors import InfeasibleError, require
from chipcast.base.given import Given
from chipcast.base.infer import temper
from chipcast.base.types import Array
from chipcast.cluster.case import Case, keep
from chipcast.cluster.faults import CLASSES, anchor_counts, jeffreys
from chipcast.cluster.goodput import case_of
from chipcast.cluster.platform import fitted, platform

SHARP_LN, SHARP_SHARE = 0.03, 0.003
"""How far below a claimed time (in logs) or share a draw may lie and still count, one standard deviation: a figure
printed with two digits is no sharper."""

PARTICLES = 1000
"""Draws of the search for worlds in which a claim holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Component:
    """What a claimed time between rollbacks asks of one class of fault."""

    name: str
    """Fault class."""
    faults: Array
    """Faults per million chip-hours that the priors give. [per 1e6 chip-h] (draw)"""
    masked: float
    """Share of them that the ladder mends without a rollback, on average. [1]"""
    allowed: float
    """Faults per million chip-hours if every class shrank alike until the claim holds, median. [per 1e6 chip-h]"""
    alone: float | None
    """Share of this class to be masked if the others stay as they are, median; None where even all would not do."""


def components(case: Case, chips: int, mtbf_h: float) -> tuple[Component, ...]:
    """Return what a claimed time between rollbacks asks of each class."""
    require(mtbf_h > 0, "mtbf", "be above 0 h", mtbf_h)
    allowed = 1 / (mtbf_h * chips)
    rolled = case.rates * case.masking.rollback
    total = rolled.sum(axis=0)
    out = []
    for k, name in enumerate(CLASSES):
        factor = float(np.median(np.minimum(allowed / np.maximum(total, 1e-300), 1.0)))
        rest, mine = float(np.median(total - rolled[k])), float(np.median(case.rates[k]))
        left = allowed - rest
        out.append(Component(name=name, faults=case.rates[k] * 1e6,
                             masked=float(1 - np.mean(case.masking.rollback[k])),
                             allowed=float(np.median(case.rates[k])) * factor * 1e6,
                             alone=None if left < 0 else max(1 - left / max(mine, 1e-300), 0.0)))
    return tuple(out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Must:
    """One uncertain number in the worlds in which a claim holds."""

    name: str
    """Row."""
    unit: str
    """Its unit."""
    before: Array
    """As the run sees it. (draw)"""
    after: Array
    """Where the claim holds. (draw)"""

    @property
    def shift(self) -> float:
        """Return the move of its median in standard deviations of before, on the log scale where it is positive."""
        pair = [np.log(x) if np.min(self.before) > 0 and np.min(self.after) > 0 else x
                for x in (self.before, self.after)]
        return float((np.median(pair[1]) - np.median(pair[0])) / max(float(np.std(pair[0])), 1e-12))


def names_of(given: Given, chip: str) -> tuple[str, ...]:
    """Return the uncertain rows that decide what a job on a chip keeps."""
    kind = platform(given, chip)
    names = ["fleet.rate_factor", "detection.heartbeat_s", "checkpoint.stall_s", "spares.hot_swap_s", "slow.episodes",
             "slow.excess", "silent.latency_h", "repair.mean_h", f"{kind.fleet}.restart_s"]
    if kind.multipliers:
        names += [f"{kind.multipliers}.fault_multiplier_{c}" for c in ("hbm", "logic", "software")]
        names += [f"{kind.network}.fault_multiplier_network", f"{kind.network}.optical_modules_per_chip"]
    if kind.ladder:
        names += ["ladder.hbm_online_success"]
    if "operator_retry" in kind.ladder:
        names += ["ladder_a3.operator_retry_success", "ladder_a3.link_online_success"]
    return tuple(n for n in names if n in given.rows and not given.row(n).law.fixed)


def must_be_true(given: Given, chip: str, chips: int, *, availability: float | None = None,
                 mtbf_h: float | None = None) -> tuple[float, tuple[Must, ...]]:
    """Return how probable it is that both figures hold, and what the uncertain numbers are where they do.

    Recovery is switched on and stops are noticed by heartbeat: the reading that favours the claim. MTBF counts
    rollbacks. The anchor's rates stand at their posterior medians.

    Raises
    ------
    InfeasibleError
        If no world within the ranges comes near the claim.
    """
    require(availability is not None or mtbf_h is not None, "the claim", "state an availability, an MTBF or both",
            "neither")
    names = names_of(given, chip)
    counts = anchor_counts(given)
    anchor = np.array([[jeffreys(counts.by_class[c], counts.exposure_h, 0.5)] for c in CLASSES])
    world = given.block(0, PARTICLES)

    def at(z: Array) -> Given:
        return world.with_posterior({n: z[i] for i, n in enumerate(names)})

    def log_likelihood(z: Array) -> Array:
        case = case_of(at(z), chip, ladder="full", detection="active", anchor=anchor)
        kept = keep(case, (chips,))
        total = np.zeros(z.shape[1])
        if mtbf_h is not None:
            short = np.maximum(np.log(mtbf_h / kept.mtbf_rollback_h[0]), 0.0)
            total = total - 0.5 * (short / SHARP_LN) ** 2
        if availability is not None:
            total = total - 0.5 * (np.maximum(availability - kept.ettr[0], 0.0) / SHARP_SHARE) ** 2
        return total

    found = temper(log_likelihood, len(names), seed=given.seed, particles=PARTICLES, stream=f"needs:{chip}")
    if np.median(found.log_likelihood) < -10:
        raise InfeasibleError(f"no world within the ranges comes near that on {chips:,} x {chip}; ask for less")
    after = at(found.normals)
    rows = [Must(name=n, unit=given.row(n).unit, before=np.asarray(fitted(given, n)),
                 after=np.asarray(fitted(after, n))) for n in names]
    return float(np.exp(found.log_evidence)), tuple(sorted(rows, key=lambda m: -abs(m.shift)))
