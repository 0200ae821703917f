"""The recovery ladder of each chip generation: which faults are mended without going back to a checkpoint.

Documented tiers are facts about products; how often they succeed is published nowhere and enters as a prior.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric
from chipcast.cluster.faults import CLASSES
from chipcast.cluster.platform import fitted, platform


@dataclass(frozen=True, kw_only=True, slots=True)
class Tier:
    """One rung: what it answers to, how often it works, what it costs."""

    name: str
    """Name of the rung."""
    classes: tuple[str, ...]
    """Fault classes that it answers to."""
    success: Numeric
    """Probability that it mends such a fault without a rollback. [1] (draw)"""
    stall_s: Numeric
    """Time that the job stands still for it, without repeated work. [s] (draw)"""
    repeats_step: bool
    """Whether the step that failed is computed again."""


def operator_retry(given: Given, on: Numeric) -> Tier:
    """Return the tier that repeats a collective after a link fault; part of the library, whoever operates."""
    return Tier(name="operator_retry", classes=("network",), repeats_step=False,
                success=given["ladder_a3.operator_retry_success"] * np.minimum(on, 1.0),
                stall_s=given["ladder_a3.operator_retry_stall_s"])


def hbm_online(given: Given, on: Numeric) -> Tier:
    """Return the tier that isolates a bad memory page and computes the step again from a healthy replica."""
    return Tier(name="hbm_online", classes=("hbm",), success=given["ladder.hbm_online_success"] * on,
                stall_s=given["ladder.online_stall_s"], repeats_step=True)


def link_online(given: Given, on: Numeric) -> Tier:
    """Return the tier that routes around a failed link inside the running job."""
    return Tier(name="link_online", classes=("network",), success=given["ladder_a3.link_online_success"] * on,
                stall_s=given["ladder.online_stall_s"], repeats_step=True)


TIERS: Mapping[str, Callable[[Given, Numeric], Tier]] = MappingProxyType(
    {"operator_retry": operator_retry, "hbm_online": hbm_online, "link_online": link_online})
"""Rungs in the order in which a fault meets them; `on` says in which draws the operator switched them on."""

MODES = ("vendor", "full", "none")
"""As operators run it (by chance switched on), switched on in every draw, or off."""


def tiers(given: Given, chip: str, mode: str = "vendor") -> tuple[Tier, ...]:
    """Return the rungs that a chip's maker documents.

    Parameters
    ----------
    given : Given
        The table.
    chip : str
        Chip id.
    mode : {"vendor", "full", "none"}
        `vendor`: online recovery is switched on in the share of draws that operators probably do; `full`: in all.
    """
    choose(dict.fromkeys(MODES, mode), mode, "ladder")
    if mode == "none":
        return ()
    chance = given.shock("ladder.enabled") < given["ladder.enabled_probability"]
    on = chance.astype(float) if mode == "vendor" else np.ones(given.draws)
    # Repeating a collective needs no switch of the operator's: its success already says whether it works at all.
    always = np.ones(given.draws)
    return tuple(TIERS[name](given, always if name == "operator_retry" else on)
                 for name in platform(given, chip).ladder)


@dataclass(frozen=True, kw_only=True, slots=True)
class Masking:
    """What a ladder does to faults of each class."""

    rollback: Array
    """Probability that no rung mends the fault. [1] (class, draw)"""
    stall_s: Array
    """Mean stall per fault from rungs that were tried, failed tries included, repeated steps not. [s] (class, draw)"""
    steps: Array
    """Mean steps computed again per fault. [1] (class, draw)"""


def masking(rungs: Sequence[Tier], draws: int, *, failed_tries_cost: bool = True) -> Masking:
    """Send every class through the rungs in order; what one does not mend reaches the next.

    Raises
    ------
    InputError
        If a success probability lies outside 0 to 1 or a stall is negative.
    """
    rollback = np.ones((len(CLASSES), draws))
    stalls, steps = np.zeros_like(rollback), np.zeros_like(rollback)
    for rung in rungs:
        low, high = float(np.min(rung.success)), float(np.max(rung.success))
        require(low >= 0 and high <= 1, f"success of tier {rung.name}", "lie in 0 to 1", low if low < 0 else high)
        stall = float(np.min(rung.stall_s))
        require(stall >= 0, f"stall_s of tier {rung.name}", "not be negative", stall)
        for name in rung.classes:
            i = CLASSES.index(choose(dict.fromkeys(CLASSES, name), name, "fault class"))
            mended = rollback[i] * rung.success
            tried = rollback[i] * (np.asarray(rung.success) > 0) if failed_tries_cost else mended
            stalls[i] = stalls[i] + tried * rung.stall_s
            steps[i] = steps[i] + mended * float(rung.repeats_step)
            rollback[i] = rollback[i] - mended
    return Masking(rollback=rollback, stall_s=stalls, steps=steps)


DETECTIONS = ("mixed", "active", "passive")
"""By heartbeat or by time-out in the share of draws that operators probably do; always by heartbeat; always by wait."""


def detection(given: Given, chip: str, mode: str = "mixed") -> tuple[Array, Array]:
    """Return the time until a fault is noticed, and from then until the job runs again. [s] (draw), (draw)

    `restart_s` of a fleet counts from the fault, heartbeats included; a passive fleet waits for a time-out first.
    """
    choose(dict.fromkeys(DETECTIONS, mode), mode, "detection")
    item = platform(given, chip).fleet
    whole = fitted(given, f"{chip}.restart_s", f"{item}.restart_s")
    beat = np.minimum(fitted(given, "detection.heartbeat_s"), whole)
    chance = fitted(given, f"{chip}.active_detection_probability", f"{item}.active_detection_probability")
    active = {"mixed": given.shock("detection") < chance, "active": np.ones(given.draws, dtype=bool),
              "passive": np.zeros(given.draws, dtype=bool)}[mode]
    return beat + np.where(active, 0.0, fitted(given, "detection.passive_wait_s")), whole - beat
