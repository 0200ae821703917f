"""Does one chip's job stumble where another's does not? Paired on common draws, with the causes of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chipcast.base.errors import DataError, require
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.cluster.case import keep
from chipcast.cluster.faults import CLASSES
from chipcast.cluster.goodput import case_of
from chipcast.cluster.luck import run_ettr
from chipcast.cluster.options import with_options
from chipcast.cluster.platform import figure
from chipcast.cluster.record import PARTS

CAUSES = (*CLASSES, "checkpoint", "slow_down")
"""What wall time is lost to: faults by class, checkpoints, slow members."""

THRESHOLD_ROW = "llama3_ett"
"""Row of `faults.csv` whose value is the default threshold: the bound that the makers of Llama 3 report for theirs."""


def default_threshold(given: Given) -> float:
    """Return the share of time in progress below which a run stumbles: what the anchor run reports as exceeded."""
    for row in given.catalog.rows("faults"):
        if row["id"] == THRESHOLD_ROW:
            return float(row["value"])
    raise DataError(f"row '{THRESHOLD_ROW}' of faults.csv is not known on {given.as_of}; state a threshold")


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Jobs on several chips, on the same draws."""

    chips: tuple[str, ...]
    """Chip ids. (chip)"""
    sizes: tuple[int, ...]
    """Chips of each job. [chips] (chip)"""
    threshold: float
    """Share of wall time in progress below which a job stumbles. [1]"""
    days: float
    """Length of the run. [days]"""
    ettr: Array
    """Share of wall time in progress in the long run. [1] (chip, draw)"""
    run_ettr: Array
    """The same of one run of so many days, its own luck included. [1] (chip, draw)"""
    goodput: Array
    """Useful chip-time over chip-time paid for. [1] (chip, draw)"""
    mtbf_h: Array
    """Running time per stop. [h] (chip, draw)"""
    mtbf_rollback_h: Array
    """Running time per rollback. [h] (chip, draw)"""
    spares: Array
    """Standing spare chips. [chips] (chip, draw)"""
    ledger: Array
    """Shares of wall time by `PARTS`. [1] (chip, part, draw)"""
    loss: Array
    """Shares of wall time lost by `CAUSES`; with the productive share they sum to 1. [1] (chip, cause, draw)"""

    @property
    def stumbles(self) -> Array:
        """Return 1 where the run stumbles, else 0. [1] (chip, draw)"""
        low: Array = (self.run_ettr < self.threshold).astype(float)
        return low

    @property
    def p_stumble(self) -> Array:
        """Return the probability that each job stumbles. [1] (chip)"""
        p: Array = self.stumbles.mean(axis=-1)
        return p

    @property
    def p_first_and_not_second(self) -> Array:
        """Return the probability that the row's job stumbles and the column's does not. [1] (chip, chip)"""
        low = self.stumbles
        p: Array = (low[:, None] * (1 - low[None])).mean(axis=-1)
        return p

    @property
    def memory_and_links(self) -> Array:
        """Return the share of each job's loss that memory and link faults cause. [1] (chip, draw)"""
        named: Array = self.loss[:, [CAUSES.index("hbm"), CAUSES.index("network")]].sum(axis=1)
        share: Array = named / np.maximum(self.loss.sum(axis=1), 1e-300)
        return share


def luck_of(given: Given, chip: str) -> Array:
    """Return the normals of one run on a chip: each has its own, whatever else is compared. (draw)"""
    return given.normal(f"luck:run:{chip}")


def peaks(given: Given, chips: Sequence[str]) -> list[float]:
    """Return the dense 16-bit peak of each chip, over the bins of a name without one on average. [TFLOPS]"""
    return [float(np.mean(figure(given, chip, "bf16_tflops"))) for chip in chips]


def equal_compute(given: Given, chips: Sequence[str], size: int) -> tuple[int, ...]:
    """Return for each chip the whole servers' worth of chips with the peak 16-bit throughput of `size` of the first."""
    servers = round(given.middle("cluster.chips_per_server"))
    power = peaks(given, chips)
    return tuple(size if i == 0 else max(round(size * power[0] / peak / servers), 1) * servers
                 for i, peak in enumerate(power))


def compare(given: Given, chips: Sequence[str], size: int | Sequence[int], *, same: str = "chips",
            threshold: float | None = None, ladder: str = "vendor", detection: str = "mixed",
            slow: bool = True, chosen: Sequence[tuple[str, str]] = (), days: float = 60.0) -> Comparison:
    """Return the paired comparison of jobs on these chips.

    Parameters
    ----------
    given : Given
        The table.
    chips : sequence of str
        Chip ids; the first is the one that others are measured by.
    size : int or sequence of int
        Chips of every job, of the first job (`same="compute"`), or of each job. [chips]
    same : {"chips", "compute"}
        Whether jobs have the same number of chips or the same peak 16-bit throughput.
    threshold : float, optional
        Share of wall time in progress below which a job stumbles; the anchor run's bound if left out. [1]
    ladder, detection, slow
        As in `case_of`.
    chosen, days
        Policies and length of the run, as in `options.with_options`.
    """
    require(len(chips) >= 1, "chips", "name at least one", tuple(chips))
    bound = default_threshold(given) if threshold is None else threshold
    require(0 < bound < 1, "threshold", "lie inside 0 to 1", bound)
    require(same in ("chips", "compute"), "same", "be 'chips' or 'compute'", same)
    if isinstance(size, int):
        sizes = equal_compute(given, chips, size) if same == "compute" else (size,) * len(chips)
    else:
        sizes = tuple(size)
        require(len(sizes) == len(chips), "sizes", f"be one, or one for each of {len(chips)} chips", sizes)
    cases = [with_options(given, case_of(given, chip, ladder=ladder, detection=detection, slow=slow), chosen, days=days)
             for chip in chips]
    kept = [keep(case, (n,)) for case, n in zip(cases, sizes, strict=True)]
    runs = [run_ettr(case, k, 0, days, luck_of(given, chip)) for case, k, chip in zip(cases, kept, chips, strict=True)]
    ledger = np.stack([k.ledger[0] for k in kept])
    extra = ledger[:, [PARTS.index("checkpoint"), PARTS.index("slow_down")]]
    loss = np.concatenate([np.stack([k.loss_by_class[0] for k in kept]), extra], axis=1)
    return Comparison(chips=tuple(chips), sizes=sizes, threshold=bound, ledger=ledger, loss=loss, days=days,
                      run_ettr=np.stack(runs), ettr=np.stack([k.ettr[0] for k in kept]),
                      goodput=np.stack([k.goodput[0] for k in kept]),
                      spares=np.stack([k.spares[0] for k in kept]),
                      mtbf_h=np.stack([k.mtbf_h[0] for k in kept]),
                      mtbf_rollback_h=np.stack([k.mtbf_rollback_h[0] for k in kept]))
