"""What would mend it: the value of each rung, of faster notice, of better parts, alone and one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.cluster.case import Case, keep
from chipcast.cluster.faults import CLASSES
from chipcast.cluster.ladder import TIERS, Masking, Tier, detection, masking, tiers
from chipcast.cluster.luck import run_ettr
from chipcast.cluster.options import read_options, with_options
from chipcast.cluster.record import PARTS, Kept

Change = Callable[[Given, str, Case], Case]
"""A fix: the same case with something mended."""


def _fewer(case: Case, *names: str) -> Case:
    share = np.ones((len(CLASSES), 1))
    for name in names:
        share[CLASSES.index(name)] = 0.5
    return replace(case, rates=case.rates * share)


def _active(given: Given, chip: str, case: Case) -> Case:
    found, again = detection(given, chip, "active")
    return replace(case, detection_s=found, restart_s=again)


def _documented(given: Given, chip: str, case: Case) -> Case:
    return _rungs(given, case, tiers(given, chip, "full"))


def _rung(*names: str) -> Change:
    def change(given: Given, chip: str, case: Case) -> Case:
        del chip
        return _rungs(given, case, tuple(TIERS[name](given, np.ones(given.draws)) for name in names))

    return change


def _rungs(given: Given, case: Case, rungs: Sequence[Tier]) -> Case:
    new = masking(rungs, given.draws)
    # A fix never takes away what a draw has already.
    better = new.rollback <= case.masking.rollback
    pairs = {n: np.where(better, getattr(new, n), getattr(case.masking, n)) for n in ("rollback", "stall_s", "steps")}
    return replace(case, masking=Masking(**pairs))


def _fast_end(given: Given, name: str, now: Array) -> Array:
    return np.minimum(now, given.row(name).law.low)


def _option(name: str) -> Change:
    def change(given: Given, chip: str, case: Case) -> Case:
        del chip
        return with_options(given, case, read_options(name))

    return change


HALVED = "half the size"
"""Name of the fix that is no change of the case: a job of half the chips."""

FIXES: Mapping[str, Change] = MappingProxyType({
    "notice by heartbeat": _active,
    "documented recovery switched on": _documented,
    "rung: collectives retried": _rung("operator_retry"),
    "rung: memory faults mended online": _rung("hbm_online"),
    "rung: links re-routed online": _rung("link_online"),
    "every rung, also undocumented ones": _rung(*TIERS),
    "checkpoints at the fast end": lambda g, c, x: replace(
        x, checkpoint_s=_fast_end(g, "checkpoint.stall_s", np.asarray(x.checkpoint_s))),
    "copies in peers' memory": _option("near"),
    "checkpoints in the background": _option("background"),
    "lemons put out": _option("evict"),
    "repaired servers tested for a day": _option("quarantine"),
    "half the memory faults": lambda g, c, x: _fewer(x, "hbm"),
    "half the link faults": lambda g, c, x: _fewer(x, "network"),
    "half the logic faults": lambda g, c, x: _fewer(x, "logic"),
    "half the software stops": lambda g, c, x: _fewer(x, "software"),
    "slow members put out at once": lambda g, c, x: replace(x, slow_episodes=np.zeros(g.draws)),
    "silent errors found at once": lambda g, c, x: replace(x, silent_latency_s=0.0),
})
"""Fixes by name; each answers a question a buyer can put to a vendor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fix:
    """What one fix does."""

    name: str
    """Entry of `FIXES`, or `HALVED`."""
    p_stumble: float
    """Probability of a stumble with it. [1]"""
    gain: Array
    """Time in progress gained, paired draw by draw. [1] (draw)"""
    useful: Array
    """Useful share of wall time gained, slow steps counted as loss, paired draw by draw. [1] (draw)"""
    goodput: Array
    """Goodput gained, spares that it adds or saves included, paired draw by draw. [1] (draw)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Waterfall:
    """Fixes alone, and one after the other, the most useful first."""

    chip: str
    """Chip id."""
    chips: int
    """Chips of the job."""
    p_stumble: float
    """Probability of a stumble as it is. [1]"""
    alone: tuple[Fix, ...]
    """Each fix alone, best first."""
    together: tuple[Fix, ...]
    """Fixes added one after the other; `gain` is that of the step."""
    spares: Fix
    """What the standing spares of the case are worth: gains over a job without any that waits for repairs."""


def waterfall(given: Given, chip: str, chips: int, case: Case, threshold: float, *, steps: int = 5,
              days: float | None = None, luck: Array | None = None) -> Waterfall:
    """Return what each fix is worth, by probability of a stumble, then by time in progress.

    Every entry is computed on the same draws, so its gain is its own and not luck. With `days` and `luck`, the
    standard normals of a run, a stumble is that of one run of so many days; else of the long-run share.
    """
    def shares(x: Case, kept: Kept) -> Array:
        """Return time in progress, the useful share, goodput and time in progress of the run. (4, draw)"""
        once = kept.ettr[0] if days is None or luck is None else run_ettr(x, kept, 0, days, luck)
        return np.stack([kept.ettr[0], kept.ledger[0, PARTS.index("productive")], kept.goodput[0], once])

    def progress(x: Case, size: int = chips) -> Array:
        return shares(x, keep(x, (size,)))

    def judge(name: str, now: Array, then: Array) -> Fix:
        return Fix(name=name, p_stumble=float((then[3] < threshold).mean()), gain=then[0] - now[0],
                   useful=then[1] - now[1], goodput=then[2] - now[2])

    base = progress(case)
    alone = [judge(name, base, progress(change(given, chip, case))) for name, change in FIXES.items()]
    alone.append(judge(HALVED, base, progress(case, max(chips // 2, 1))))
    without = shares(case, keep(case, (chips,), spare_chips=0.0))
    left, now, held, together = dict(FIXES), base, case, list[Fix]()
    for _ in range(steps):
        tried = {name: progress(change(given, chip, held)) for name, change in left.items()}
        name = min(tried, key=lambda n: ((tried[n][3] < threshold).mean(), -float(np.mean(tried[n][1]))))
        if float(np.mean(tried[name][1] - now[1])) < 1e-4:
            break
        together.append(judge(name, now, tried[name]))
        held, now = left.pop(name)(given, chip, held), tried[name]
    return Waterfall(chip=chip, chips=chips, p_stumble=float((base[3] < threshold).mean()),
                     alone=tuple(sorted(alone, key=lambda f: (f.p_stumble, -float(f.useful.mean())))),
                     together=tuple(together), spares=judge("standing spares", without, base))


def multiple_needed(case: Case, chips: int, threshold: float, names: tuple[str, ...] = ("hbm", "network")) -> float:
    """Return how many times more faults of these classes bring the median case down to the threshold.

    All parameters stand at their medians over the draws. Returns 0 where the case stumbles without any such fault, and
    infinity where a thousand times as many do not suffice.
    """
    rows = [CLASSES.index(n) for n in names]
    rates = np.median(case.rates, axis=-1, keepdims=True)
    fields = {n: float(np.median(getattr(case, n))) for n in (
        "detection_s", "restart_s", "swap_s", "checkpoint_s", "step_s", "slow_episodes", "slow_episode_h",
        "slow_factor", "repair_h", "silent_latency_s")}
    middle = Masking(rollback=np.median(case.masking.rollback, axis=-1, keepdims=True),
                     stall_s=np.median(case.masking.stall_s, axis=-1, keepdims=True),
                     steps=np.median(case.masking.steps, axis=-1, keepdims=True))

    def progress(times: float) -> float:
        scaled = rates.copy()
        scaled[rows] *= times
        one = replace(case, rates=scaled, masking=middle, spares_target=0.0, **fields)  # type: ignore[arg-type]
        return float(keep(one, (chips,)).ettr[0, 0])

    if progress(0.0) < threshold:
        return 0.0
    low, high = 0.0, 1000.0
    if progress(high) >= threshold:
        return float("inf")
    for _ in range(60):
        middle_times = (low + high) / 2
        low, high = (middle_times, high) if progress(middle_times) >= threshold else (low, middle_times)
    return high


def cured_without(case: Case, chips: int, threshold: float, names: tuple[str, ...] = ("hbm", "network")) -> float:
    """Return the share of stumbling draws that hold once every fault of these classes is taken away; NaN if none."""
    now = keep(case, (chips,)).ettr[0] < threshold
    share = np.ones((len(CLASSES), 1))
    for name in names:
        share[CLASSES.index(name)] = 0.0
    then = keep(replace(case, rates=case.rates * share), (chips,)).ettr[0] < threshold
    return float((now & ~then).sum() / now.sum()) if now.any() else float("nan")
