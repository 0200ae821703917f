"""The luck of one run: how far the time in progress of so many days lies from its long-run share."""

from __future__ import annotations

import numpy as np

from chipcast.base.errors import require
from chipcast.base.types import Array
from chipcast.cluster.case import Case
from chipcast.cluster.faults import CLASSES
from chipcast.cluster.record import PARTS, Kept


def run_spread(case: Case, kept: Kept, size: int, days: float) -> Array:
    """Return the standard deviation of a run's share of time in progress about the long-run share. [1] (draw)

    Parameters
    ----------
    case : Case
        The job's parameters.
    kept : Kept
        What jobs keep, from the same case.
    size : int
        Which of its sizes.
    days : float
        Length of the run. [days]

    Notes
    -----
    Cycles of a running time U, exponential of mean M, and a loss Y: by the central limit theorem for renewal rewards
    the variance over T is ((1-f)^2 Var Y + f^2 M^2) / (T E[U+Y]), f the share lost to rollbacks. Y is a uniform part
    of a segment and fixed recovery; silent corruption adds an exponential latency to its share of rollbacks. Rare
    waits for a node are left out. Against runs played out it is right to a fifth.
    """
    require(days > 0, "days", "be above 0", days)
    part = {n: kept.ledger[size, i] for i, n in enumerate(PARTS)}
    lost = part["lost_work"] + part["detection"] + part["restart"] + part["waiting"]
    up = kept.mtbf_rollback_h[size] * 3600.0
    cycle = up / np.maximum(1 - lost, 1e-6)
    rolled = case.rates * case.masking.rollback
    silent = rolled[CLASSES.index("silent")] / np.maximum(rolled.sum(axis=0), 1e-300)
    latency = np.asarray(case.silent_latency_s, dtype=float)
    segment = np.maximum(part["lost_work"] * cycle - silent * latency, 0.0)
    variance = segment**2 / 3 + silent * (2 - silent) * latency**2
    total = ((1 - lost) ** 2 * variance + (lost * up) ** 2) / (days * 86_400 * cycle)
    return np.asarray(np.sqrt(np.maximum(total, 0.0)))


def run_ettr(case: Case, kept: Kept, size: int, days: float, luck: Array) -> Array:
    """Return the share of time in progress of one run of so many days, its own luck included. [1] (draw)

    Parameters
    ----------
    case, kept, size, days
        As in `run_spread`.
    luck : array
        Standard normals of this run. (draw)
    """
    out: Array = np.clip(kept.ettr[size] + run_spread(case, kept, size, days) * luck, 0.0, 1.0)
    return out
