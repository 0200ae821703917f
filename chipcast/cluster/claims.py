"""What a claim on availability or time between failures needs to be true.

The checker never says false; it says what must hold, and how probable that is under the priors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric
from chipcast.cluster.case import keep
from chipcast.cluster.faults import anchor_counts
from chipcast.cluster.goodput import case_of


def loss_per_failure(availability: Numeric, mtbf: Numeric) -> Numeric:
    """Return the time lost per failure: M (1 - A) / A when M is time up, in the unit of `mtbf`.

    >>> round(loss_per_failure(0.98, 24 * 60), 1)
    29.4
    """
    return mtbf * (1 - availability) / availability


def loss_per_failure_of_cycle(availability: Numeric, cycle: Numeric) -> Numeric:
    """Return the time lost per failure when the stated time is the whole cycle: M (1 - A).

    >>> round(loss_per_failure_of_cycle(0.98, 24 * 60), 1)
    28.8
    """
    return cycle * (1 - availability)


def mtbf_needed(availability: Numeric, loss: Numeric) -> Numeric:
    """Return the time between failures at which a loss per failure gives an availability: R A / (1 - A).

    >>> round(mtbf_needed(0.98, 10 / 60), 2), round(mtbf_needed(0.9995, 5 / 60), 1)
    (8.17, 166.6)
    """
    return loss * availability / (1 - availability)


def availability_of(mtbf: Numeric, loss: Numeric) -> Numeric:
    """Return the availability at a time between failures and a loss per failure: M / (M + R).

    >>> round(availability_of(24, 10 / 60), 4)
    0.9931
    """
    return mtbf / (mtbf + loss)


def rate_needed(mtbf_h: Numeric, chips: Numeric) -> Numeric:
    """Return the most stops per chip-hour at which a job on so many chips has this time between them.

    >>> round(rate_needed(24, 10_000) * 1e6, 2)
    4.17
    """
    return 1 / (mtbf_h * chips)


def masking_needed(rate: Numeric, allowed: Numeric) -> Numeric:
    """Return the least share of faults that must be mended without a stop; 0 where none.

    >>> round(float(masking_needed(19.7328e-6, rate_needed(24, 10_000))), 3)
    0.789
    """
    return np.maximum(1 - allowed / np.asarray(rate), 0.0)[()]


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One claim, or two together, worked through."""

    chip: str
    """Chip id."""
    chips: int
    """Chips of the job."""
    availability: float | None
    """Claimed share of time in service. [1]"""
    mtbf_h: float | None
    """Claimed time between failures. [h]"""
    recovery_h: float | None
    """Claimed time to recover. [h]"""
    must_hold: tuple[tuple[str, float, str], ...]
    """What must hold: (name, value, unit)."""
    probability: dict[str, float]
    """Probability of each reading under the priors. [1]"""
    clash: str
    """Sentence on what does not fit together; empty where nothing clashes."""
    ettr: Array
    """Share of wall time in progress that the priors give. [1] (draw)"""
    mtbf_all_h: Array
    """Running time per stop that the priors give. [h] (draw)"""
    mtbf_rollback_h: Array
    """Running time per rollback that the priors give. [h] (draw)"""


def check(given: Given, chip: str, chips: int, *, availability: float | None = None, mtbf_h: float | None = None,
          recovery_h: float | None = None, ladder: str = "vendor", detection: str = "mixed") -> Check:
    """Work out what a claim needs and how probable that is.

    Raises
    ------
    InputError
        If no claim is stated or a number makes no sense.
    """
    require(chips >= 1, "chips", "be 1 or more", chips)
    require(availability is not None or mtbf_h is not None, "the claim", "state an availability, an MTBF or both",
            "neither")
    if availability is not None:
        require(0 < availability < 1, "availability", "lie inside 0% to 100%", availability)
    for name, value in (("mtbf", mtbf_h), ("recovery", recovery_h)):
        if value is not None:
            require(value > 0, name, "be above 0 h", value)
    kept = keep(case_of(given, chip, ladder=ladder, detection=detection), (chips,))
    ettr, every, rolled = kept.ettr[0], kept.mtbf_h[0], kept.mtbf_rollback_h[0]
    counts = anchor_counts(given)
    anchor = sum(counts.by_class.values()) / counts.exposure_h
    need: list[tuple[str, float, str]] = []
    chance: dict[str, float] = {}
    clash = ""
    if mtbf_h is not None:
        allowed = rate_needed(mtbf_h, chips)
        need += [("rate of stops, at most", allowed * 1e6, "per 1e6 chip-h"),
                 ("time between stops of one chip, at least", mtbf_h * chips, "h"),
                 ("better than the anchor run by", anchor / allowed, "times"),
                 ("or faults mended without a stop at the anchor's rate, at least",
                  float(masking_needed(anchor, allowed)), "share")]
        chance["MTBF counts every stop"] = float((every >= mtbf_h).mean())
        chance["MTBF counts rollbacks only"] = float((rolled >= mtbf_h).mean())
    if availability is not None:
        chance["availability is time in progress"] = float((ettr >= availability).mean())
        lost = float(np.median(loss_per_failure(ettr, rolled)))
        need.append(("time between rollbacks at the priors' median loss per rollback, at least",
                     mtbf_needed(availability, lost), "h"))
    if availability is not None and mtbf_h is not None:
        up, cycle = loss_per_failure(availability, mtbf_h), loss_per_failure_of_cycle(availability, mtbf_h)
        need += [("loss per failure if MTBF is time up", up * 60, "min"),
                 ("loss per failure if MTBF is the whole cycle", cycle * 60, "min")]
        both = (ettr >= availability) & (rolled >= mtbf_h)
        chance["both, MTBF counting rollbacks only"] = float(both.mean())
    if recovery_h is not None and availability is not None:
        need.append(("time between failures at that recovery time", mtbf_needed(availability, recovery_h), "h"))
    if recovery_h is not None and mtbf_h is not None:
        implied = availability_of(mtbf_h, recovery_h)
        need.append(("availability at that MTBF and recovery time", implied, "share"))
        if availability is not None and implied > availability:
            clash = (f"recovery in {recovery_h * 60:.0f} min and {mtbf_h:.0f} h between failures would give "
                     f"{implied:.2%}, better than the {availability:.2%} claimed: one of the three is a loose bound, "
                     f"or {(loss_per_failure(availability, mtbf_h) - recovery_h) * 60:.0f} min per failure are lost "
                     "outside recovery")
        elif availability is not None:
            clash = (f"recovery in {recovery_h * 60:.0f} min and {mtbf_h:.0f} h between failures give only "
                     f"{implied:.2%}, less than the {availability:.2%} claimed")
    return Check(chip=chip, chips=chips, availability=availability, mtbf_h=mtbf_h, recovery_h=recovery_h,
                 must_hold=tuple(need), probability=chance, clash=clash, ettr=ettr, mtbf_all_h=every,
                 mtbf_rollback_h=rolled)
