"""Goodput of many chips at many sizes, all on common luck."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric
from chipcast.cluster.case import Case, keep
from chipcast.cluster.faults import CLASSES, anchor_rates, rates
from chipcast.cluster.ladder import detection as detect
from chipcast.cluster.ladder import masking, tiers
from chipcast.cluster.platform import fitted
from chipcast.cluster.record import Fleet, Kept

SIZES = (1024, 2048, 4096, 8192, 16384)
"""Sizes of job that headline tables show."""

PER_1E6_H = 1e-6
"""Factor of a rate written per million chip-hours."""


def case_of(given: Given, chip: str, *, ladder: str = "vendor", detection: str = "mixed",
            step_s: Numeric | None = None, slow: bool = True, spares: bool = True,
            anchor: Array | None = None) -> Case:
    """Return the parameters of a job on one chip.

    Parameters
    ----------
    given : Given
        The table.
    chip : str
        Chip id.
    ladder : {"vendor", "full", "none"}
        Online recovery as operators run it, always on, or off.
    detection : {"mixed", "active", "passive"}
        How stops are noticed: as operators probably do, by heartbeat, or by time-out.
    step_s : numeric, optional
        One training step; the row `cluster.step_s` if left out. [s] (draw)
    slow : bool
        Whether slow members stretch steps.
    spares : bool
        Whether standing spares are bought (and short ones waited for).
    anchor : array, optional
        Rates of the anchor where they are drawn already. [1/chip-h] (class, draw)
    """
    found, again = detect(given, chip, detection)
    quiet = np.zeros(given.draws)
    return Case(
        rates=rates(given, chip, anchor), masking=masking(tiers(given, chip, ladder), given.draws), detection_s=found,
        restart_s=again, swap_s=fitted(given, "spares.hot_swap_s"),
        checkpoint_s=fitted(given, "checkpoint.stall_s"),
        step_s=given["cluster.step_s"] if step_s is None else step_s,
        slow_episodes=fitted(given, "slow.episodes") * PER_1E6_H if slow else quiet,
        slow_episode_h=fitted(given, "slow.episode_h"), slow_factor=1 + fitted(given, "slow.excess"),
        repair_h=fitted(given, "repair.mean_h"), silent_latency_s=fitted(given, "silent.latency_h") * 3600.0,
        strikes=True,
        chips_per_node=round(given.middle("cluster.chips_per_server")),
        spares_target=given.middle("spares.target_availability") if spares else 0.0)


def fleet(given: Given, chips: Sequence[str], sizes: Sequence[int] = SIZES, *, step_s: Numeric | None = None,
          ladder: str = "vendor", detection: str = "mixed", checkpoint: str | float = "optimal", slow: bool = True,
          spares: bool = True) -> Fleet:
    """Return what jobs of these sizes on these chips keep, every chip on the same draws.

    The fleet factor, the posteriors of the anchor's counts and the vendor's memory, logic and software multipliers
    are shared, so a difference between chips is theirs and not luck.

    Parameters
    ----------
    given : Given
        The table.
    chips : sequence of str
        Chip ids; `ascend-910b` without a bin is taken as the usual 64 GB bin.
    sizes : sequence of int
        Chips of the job. [chips]
    step_s, ladder, detection, slow, spares
        As in `case_of`.
    checkpoint : "optimal" or float
        Useful work between checkpoints. [s]

    Raises
    ------
    InputError
        If a size, a mode or the interval makes no sense.
    InfeasibleError
        If nothing is left between two stops.
    """
    wanted = tuple(int(n) for n in sizes)
    require(len(chips) > 0 and len(wanted) > 0, "chips and sizes", "name at least one each", (tuple(chips), wanted))
    every = None if checkpoint == "optimal" else float(checkpoint)
    anchor = anchor_rates(given)
    kept = [keep(case_of(given, chip, ladder=ladder, detection=detection, step_s=step_s, slow=slow, spares=spares,
                         anchor=anchor), wanted, interval_s=every) for chip in chips]
    return collect(tuple(chips), wanted, kept)


def collect(chips: tuple[str, ...], sizes: tuple[int, ...], kept: Sequence[Kept]) -> Fleet:
    """Return the record of several chips from what each keeps."""
    def stack(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.stack([getattr(k, name) for k in kept])

    return Fleet(chips=chips, sizes=sizes, goodput=stack("goodput"), ettr=stack("ettr"), mtbf_h=stack("mtbf_h"),
                 mtbf_rollback_h=stack("mtbf_rollback_h"), ledger=stack("ledger"),
                 checkpoint_every_s=stack("checkpoint_every_s"), faults_per_day=stack("stops_per_day"),
                 classes=CLASSES, spares=stack("spares"), loss_by_class=stack("loss_by_class"))
