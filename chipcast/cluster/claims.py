"""What a claim on availability or time between failures needs to be true.

The checker never says false; it says what must hold, and how probable that is under the priors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import stdtr

from chipcast.base.errors import DataError, require
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


# --- published claims, solved ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Solved:
    """Published claims put together, and what must hold for all of them."""

    claims: str
    """The claims, in words."""
    rows: tuple[str, ...]
    """Ids of the rows of `faults.csv` that they come from."""
    must_hold: tuple[tuple[str, float, str], ...]
    """What must hold: (name, value, unit)."""
    verdict: str
    """Sentence on how they fit together."""


class _Rows:
    """Values of `faults.csv` known by the date, by id; remembers which were used."""

    def __init__(self, given: Given) -> None:
        self.known = {row["id"]: row for row in given.catalog.rows("faults")}
        self.used: list[str] = []

    def __call__(self, key: str) -> float:
        if key not in self.known:
            raise DataError(f"fault row '{key}' is not known on that date")
        self.used.append(key)
        return float(self.known[key]["value"])

    def chips(self, key: str) -> float:
        """Return the chips that a row speaks of."""
        return float(self.known[key]["chips"].replace(",", "").lstrip("~>").replace("k", "000"))

    def per_hour(self) -> float:
        """Return the anchor's stops per chip-hour."""
        return self("llama3_total") / (self.chips("llama3_total") * 54 * 24)


Solver = Callable[[Given, _Rows], tuple[str, list[tuple[str, float, str]], str]]


def _availability_and_mtbf(given: Given, row: _Rows) -> tuple[str, list[tuple[str, float, str]], str]:
    a, m = row("hw_avail"), row("hw_mtbf")
    return (f"training availability {a:.0%} and {m:.0f} h between failures",
            [("loss per failure, time up", loss_per_failure(a, m * 60), "min"),
             ("loss per failure, whole cycle", loss_per_failure_of_cycle(a, m * 60), "min"),
             ("of it outside the recovery that is claimed", loss_per_failure(a, m * 60) - row("hw_job"), "min")],
            "together they leave a loss per failure well above the recovery time claimed: one is a loose bound")


def _availability_and_recovery(given: Given, row: _Rows) -> tuple[str, list[tuple[str, float, str]], str]:
    a, r, fast = row("hw_avail"), row("hw_job") / 60, row("flash_rec") / 3600
    return (f"training availability {a:.0%} and recovery within {r * 60:.0f} min",
            [("time between failures", mtbf_needed(a, r), "h"),
             (f"time between failures at {fast * 3600:.0f} s", mtbf_needed(a, fast), "h")],
            "consistent with far more failures than one a day")


def _mtbf_and_recovery(given: Given, row: _Rows) -> tuple[str, list[tuple[str, float, str]], str]:
    m, r = row("hw_mtbf"), row("hw_job") / 60
    return (f"{m:.0f} h between failures and recovery within {r * 60:.0f} min",
            [("availability", availability_of(m, r), "share")], "better than the availability claimed beside them")


def _mtbf_alone(given: Given, row: _Rows) -> tuple[str, list[tuple[str, float, str]], str]:
    m, n = row("hw_mtbf"), row.chips("hw_mtbf")
    allowed, anchor = rate_needed(m, n), row.per_hour()
    fleets = np.array([row("rsc1_rate") * 1e3 / 24 / 8, row("rsc2_rate") * 1e3 / 24 / 8, anchor * 1e6,
                       row("step_all") / (400 * 8 * 348 * 24) * 1e6])
    log, k = np.log(fleets), len(fleets)
    t = (np.log(allowed * 1e6) - log.mean()) / (log.std(ddof=1) * np.sqrt(1 + 1 / k))
    return (f"{m:.0f} h between failures of {n:,.0f} chips",
            [("rate, at most", allowed * 1e6, "per 1e6 chip-h"), ("between failures of a chip", m * n, "h"),
             ("better than the anchor run", anchor / allowed, "times"),
             ("or masked at the anchor's rate", float(masking_needed(anchor, allowed)), "share"),
             ("chance that a further fleet has that rate, from four fleets", float(stdtr(k - 1, t)), "probability")],
            "needs a definition: counting only what rolls back, it asks for masking; counting all stops, for luck")


def _optics(given: Given, row: _Rows) -> tuple[str, list[tuple[str, float, str]], str]:
    claimed, m, n = row("hw_opt"), row("hw_mtbf"), row.chips("hw_mtbf")
    modules = n * row("cm384") / 384
    low, high = 43_800.0, 1e6  # five years of a module, and the middle of what vendors state
    out: list[tuple[str, float, str]] = [("modules", modules, "count")]
    for hours in (high, low):
        every = hours / modules
        out += [(f"a fault every, at {hours:,.0f} h a module", every, "h"),
                ("masking for the claimed MTBF", 1 - every / m, "share")]
    return (f"more than {claimed:.0%} of module faults tolerated", out,
            "enough for the claimed time between failures even at five years a module, if it is true")


def _inference(given: Given, row: _Rows) -> tuple[str, list[tuple[str, float, str]], str]:
    share, r = 0.9995, row("hw_inst") / 60  # the target stands in the row's note
    need, anchor = mtbf_needed(share, r), 1 / (row.per_hour() * row.chips("cm384"))
    return ("inference availability 99.95% and recovery within 5 min",
            [("time between failures", need, "h"), ("a super-node at the anchor's rate", anchor, "h"),
             ("better than that", need / anchor, "times")], "plausible")


def _memory(given: Given, row: _Rows) -> tuple[str, list[tuple[str, float, str]], str]:
    n, saved = row.chips("hw_mtbf"), 0.05  # the gain stands in the note of row hw_hbm
    row("hw_hbm")
    hbm = row("llama3_02") / row("llama3_total") * row.per_hour()
    out = []
    for minutes in (30.0, row("hw_job")):
        rate = saved / (n * minutes / 60)
        out += [(f"memory stops at {minutes:.0f} min each", rate * 1e6, "per 1e6 chip-h"),
                ("over the anchor's", rate / hbm, "times")]
    return ("memory recovery in a minute saves 5% of compute", out,
            "implies several times the memory faults of the anchor run; the wording is open")


def _byterobust(given: Given, row: _Rows) -> tuple[str, list[tuple[str, float, str]], str]:
    a, n = row("byterobust_ettr"), row.chips("byterobust_ettr")
    return (f"{a:.0%} of time effective on {n:,.0f} chips",
            [("loss per stop at the anchor's rate", (1 - a) / (row.per_hour() * n) * 60, "min")], "plausible")


def _c4(given: Given, row: _Rows) -> tuple[str, list[tuple[str, float, str]], str]:
    before, after = row("c4_down0"), row("c4_down1")
    return (f"downtime {before:.2%} before and {after:.2%} with better diagnosis, on H800",
            [("loss per fault smaller by", before / (1 - before) / (after / (1 - after)), "times")],
            "the faults are the same: notice and diagnosis decide, on Nvidia's chips too")


def _anchor(given: Given, row: _Rows) -> tuple[str, list[tuple[str, float, str]], str]:
    share = row("llama3_ett")
    mtbf = 1 / (row.per_hour() * row.chips("llama3_total"))
    return (f"more than {share:.0%} effective at {mtbf:.2f} h between stops",
            [("restart at most, even with free checkpoints", -np.log(share) * mtbf * 60, "min")], "plausible")


def _numerators(given: Given, row: _Rows) -> tuple[str, list[tuple[str, float, str]], str]:
    job, one, rate = row("rsc1_1024"), row("rsc1_8gpu"), row("rsc1_rate")
    return (f"1,024 chips fail every {job} h, 8 chips every {one} days, {rate} per 1000 node-days",
            [("from the large jobs", 24e3 / (job * 1024 / 8), "per 1000 node-days"),
             ("from the small ones", 1e3 / one, "per 1000 node-days"), ("stated", rate, "per 1000 node-days")],
            "the first two agree; the third counts attributed hardware faults only")


SETS: Mapping[str, Solver] = MappingProxyType({
    "availability-mtbf": _availability_and_mtbf, "availability-recovery": _availability_and_recovery,
    "mtbf-recovery": _mtbf_and_recovery, "mtbf": _mtbf_alone, "optics": _optics, "inference": _inference,
    "memory": _memory, "byterobust": _byterobust, "c4": _c4, "anchor": _anchor, "numerators": _numerators})
"""Published claims that speak of the same thing."""


def solve(given: Given) -> tuple[tuple[Solved, ...], tuple[str, ...]]:
    """Return the claims known by the date, solved, and the names of sets that were not known yet."""
    out, later = [], []
    for name, solver in SETS.items():
        row = _Rows(given)
        try:
            words, need, verdict = solver(given, row)
        except (DataError, KeyError):
            later.append(name)
            continue
        out.append(Solved(claims=words, rows=tuple(dict.fromkeys(row.used)), must_hold=tuple(need), verdict=verdict))
    return tuple(out), tuple(later)
