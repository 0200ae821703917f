"""Recovery beyond the usual by name: each entry puts one policy of an operator, or one kind of fault, into a case."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.errors import InputError, require
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric
from chipcast.base.units import parse_quantity
from chipcast.cluster.case import Case, keep, near_share, rollback_rate, work_between
from chipcast.cluster.dependence import KERNEL_DAYS, KERNEL_WEIGHTS
from chipcast.cluster.faults import CLASSES, anchor_chips
from chipcast.cluster.policy import Lemons, Near, Relapse, Shock
from chipcast.cluster.record import Kept


def _near(given: Given, case: Case, value: float) -> Case:
    del value
    survives = np.broadcast_to(given["near.survival_share"], (len(CLASSES), given.draws)).copy()
    survives[CLASSES.index("silent")] = 0.0  # a copy of corrupt state is corrupt
    return replace(case, near=Near(stall_s=np.minimum(given["near.stall_s"], case.checkpoint_s), survives=survives,
                                   restart_s=case.restart_s * given["near.restart_share"]))


def _background(given: Given, case: Case, value: float) -> Case:
    del value
    return replace(case, checkpoint_s=case.checkpoint_s * (1 - given["checkpoint.hidden_share"]),
                   write_s=given["checkpoint.write_s"])


def _shrink(given: Given, case: Case, value: float) -> Case:
    del value
    return replace(case, when_short="shrink", replica_nodes=np.maximum(np.rint(given["elastic.replica_nodes"]), 1.0),
                   rejoin_s=given["elastic.rejoin_s"])


def _further(given: Given, case: Case, value: float, kind: str) -> Case:
    """Return the case with further spares that take the time of their kind to join."""
    require(value == int(value) and value >= 1, f"{kind} spares", "be a whole number of servers, 1 or more", value)
    if np.any(np.asarray(case.cold_nodes) > 0):
        raise InputError("further spares are all warm or all cold; name one of warm and cold")
    return replace(case, cold_nodes=np.full(given.draws, value), cold_swap_s=given[f"spares.{kind}_swap_s"])


def _warm(given: Given, case: Case, value: float) -> Case:
    return _further(given, case, value, "warm")


def _cold(given: Given, case: Case, value: float) -> Case:
    return _further(given, case, value, "cold")


def _pool(given: Given, case: Case, value: float) -> Case:
    del given
    require(value == int(value) and value >= 1, "jobs that share spares", "be a whole number of 1 or more", value)
    return replace(case, jobs=int(value))


def _lemons(given: Given, case: Case, value: float) -> Case:
    del value
    return replace(case, lemons=Lemons(share=given["lemons.share"], factor=given["lemons.factor"]))


def _evict(given: Given, case: Case, value: float) -> Case:
    require(value == int(value) and value >= 1, "faults before a server is put out", "be a whole number of 1 or more",
            value)
    bad = case.lemons or Lemons(share=given["lemons.share"], factor=given["lemons.factor"])
    return replace(case, lemons=replace(bad, evict_after=int(value)))


def _relapse(given: Given, hours: float) -> Relapse:
    return Relapse(branching=given.middle("relapse.branching"), quarantine_h=hours, kernel_days=KERNEL_DAYS,
                   kernel_weights=KERNEL_WEIGHTS)


def _quarantine(given: Given, case: Case, value: float) -> Case:
    require(value >= 0, "quarantine", "not be negative", value)
    return replace(case, relapse=_relapse(given, value))


def _domains(given: Given, case: Case, value: float) -> Case:
    del value
    out = []
    for name, share, servers, cls in (("switch", "tree.switch_share", "tree.switch_servers", "network"),
                                      ("power", "tree.power_share", "tree.power_servers", "host")):
        table = np.zeros((len(CLASSES), given.draws))
        table[CLASSES.index(cls)] = given[share]
        out.append(Shock(name=name, share=table, nodes=round(given.middle(servers))))
    return replace(case, shocks=tuple(out))


def _job_software(given: Given, case: Case, value: float) -> Case:
    del value
    return replace(case, job_software=given["software.per_job_share"], anchor_chips=anchor_chips(given))


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One entry: what it does, and what its value means."""

    apply: Callable[[Given, Case, float], Case]
    """The case with it, from (given, case, value)."""
    says: str
    """What it stands for."""
    unit: str = ""
    """Unit of its value, empty where it takes none."""
    default: str = ""
    """Value where none is written; a name of `given` begins with a letter."""


OPTIONS: Mapping[str, Option] = MappingProxyType({
    "near": Option(apply=_near, says="copies in the memory of peers as a first level of checkpoints"),
    "background": Option(apply=_background, says="checkpoints written in the background"),
    "shrink": Option(apply=_shrink, says="a job goes on with fewer replicas when servers are short"),
    "warm": Option(apply=_warm, says="so many further spare servers that run but hold no job yet", unit="servers",
                   default="8"),
    "cold": Option(apply=_cold, says="so many further spare servers that must be started first", unit="servers",
                   default="8"),
    "pool": Option(apply=_pool, says="so many jobs of this kind share their spares", unit="1", default="4"),
    "lemons": Option(apply=_lemons, says="some servers fail far more often for good and stay"),
    "evict": Option(apply=_evict, says="lemons are replaced after so many faults", unit="1",
                    default="lemons.evict_after"),
    "quarantine": Option(apply=_quarantine, says="repaired servers are tested for so long before they serve again",
                         unit="h", default="24"),
    "domains": Option(apply=_domains, says="switches and power feeds take down all servers under them"),
    "job-software": Option(apply=_job_software, says="part of the software stops come per job, not per chip"),
})
"""Policies and kinds of fault that a run may add, by name."""


def read_options(text: str) -> tuple[tuple[str, str], ...]:
    """Read `near,pool=4,quarantine=24h` as names with their values.

    Raises
    ------
    InputError
        If a name is unknown or stands twice, or a value stands where none is taken.

    >>> read_options("near, pool=4")
    (('near', ''), ('pool', '4'))
    """
    out: list[tuple[str, str]] = []
    for word in (w.strip() for w in text.split(",") if w.strip()):
        name, _, value = (part.strip() for part in word.partition("="))
        option = choose(OPTIONS, name, "policy")
        if name in dict(out):
            raise InputError(f"policy {name} stands twice; keep one")
        if value and not option.unit:
            raise InputError(f"policy {name} takes no value, got '{value}'")
        out.append((name, value))
    return tuple(out)


def with_options(given: Given, case: Case, chosen: Sequence[tuple[str, str]], *, days: float = 60.0) -> Case:
    """Return the case with these policies, in the order of the table whatever order they are written in.

    Parameters
    ----------
    given : Given
        The table.
    case : Case
        The case as it is.
    chosen : sequence of (name, value)
        From `read_options`.
    days : float
        Days of the job, over which lemons are put out. [days]
    """
    words = dict(chosen)
    for name, option in OPTIONS.items():
        if name not in words:
            continue
        text, number = words[name] or option.default, 0.0
        if option.unit:
            number = given.middle(text) if text in given else parse_quantity(text, option.unit, name)
        case = option.apply(given, case, number)
    return replace(case, lemons=replace(case.lemons, days=days)) if case.lemons else case


# --- intervals ---------------------------------------------------------------------------------------------------

SLICES = 12
"""Parts of a run in which an interval that adapts is taken as constant."""


def planned_rate(case: Case, size: int) -> float:
    """Return the median rate of rollbacks of a job, for which an operator plans who does not know his own. [1/s]"""
    return float(np.median(rollback_rate(case, (size,))))


def planned_interval(case: Case, size: int) -> float:
    """Return the best work between checkpoints at the medians. [s]"""
    rate, near = planned_rate(case, size), float(np.median(near_share(case, size)))
    return float(np.median(work_between(case, rate, rate * near, float(np.median(case.checkpoint_s)))))


def keep_planned(case: Case, sizes: tuple[int, ...], *, spare_chips: Numeric | None = None, days: float = 60.0
                 ) -> Kept:
    """Return what jobs keep that save as planned at the medians, whatever their own rate turns out to be."""
    del days
    every = np.array([[planned_interval(case, n)] for n in sizes])
    return keep(case, sizes, interval_s=every, spare_chips=spare_chips)


def keep_adaptive(case: Case, sizes: tuple[int, ...], *, spare_chips: Numeric | None = None, days: float = 60.0,
                  learn: float = 2.0) -> Kept:
    """Return what jobs keep that adapt the planned interval to their own stops, on average over the run.

    Notes
    -----
    After a time t the believed rate is (k + L t)/(k/r + t) with k the weight of the planned rate r in stops: the mean
    of a Gamma posterior at the expected count. The run is cut into parts of equal length; shares of wall time are
    their mean. Ignores the scatter of the count: second order in the interval.
    """
    plans = np.array([[planned_rate(case, n)] for n in sizes])
    own = rollback_rate(case, sizes)
    near = np.stack([near_share(case, n) for n in sizes])
    parts = []
    for j in range(SLICES):
        t = (j + 0.5) / SLICES * days * 86_400
        believed = (learn + own * t) / (learn / plans + t)
        parts.append(keep(case, sizes, interval_s=work_between(case, believed, believed * near, case.checkpoint_s),
                          spare_chips=spare_chips))

    def mean(name: str) -> Array:
        out: Array = np.mean([getattr(k, name) for k in parts], axis=0)
        return out

    return replace(parts[-1], **{n: mean(n) for n in ("ettr", "goodput", "ledger", "checkpoint_every_s",
                                                      "loss_by_class")})


INTERVALS: Mapping[str, Callable[..., Kept]] = MappingProxyType({
    "optimal": lambda case, sizes, *, spare_chips=None, days=60.0: keep(case, sizes, spare_chips=spare_chips),
    "planned": keep_planned, "adaptive": keep_adaptive})
"""How often checkpoints are taken: best in each draw, best at the medians, or learnt on the way."""


def keep_with(given: Given, case: Case, sizes: tuple[int, ...], *, interval: str | float = "optimal",
              spare_chips: Numeric | None = None, days: float = 60.0) -> Kept:
    """Return what jobs keep, with an interval by name or in seconds."""
    if not isinstance(interval, str):
        require(math.isfinite(interval), "checkpoint interval", "be finite", interval)
        return keep(case, sizes, interval_s=interval, spare_chips=spare_chips)
    extra = {"learn": given.middle("adaptive.prior_stops")} if interval == "adaptive" else {}
    return choose(INTERVALS, interval, "interval")(case, sizes, spare_chips=spare_chips, days=days, **extra)
