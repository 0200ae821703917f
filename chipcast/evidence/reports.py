"""Dated reports as observations of a derived quantity under an uncertain definition."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from chipcast.base.calendar import parse_date
from chipcast.base.catalog import Catalogue
from chipcast.base.errors import DataError, InputError, require, unknown
from chipcast.base.units import parse_quantity

YIELD_SERIES = ("smic_ai_die_yield", "910b.yield", "910c.yield", "910c.assembly_yield")
"""Yields, which need a definition; on the logit scale."""

SHARE_SERIES = ("huawei_share_of_china_cards",)
"""Other shares, on the logit scale too."""

COUNT_SERIES = ("huawei_910b_cards", "huawei_910c_packages", "huawei_ascend_cards", "ascend_dies", "foreign_dies",
                "smic_ai_wafer_starts_per_month", "hbm_stacks_imported")
"""Series on the log scale."""

SERIES = YIELD_SERIES + SHARE_SERIES + COUNT_SERIES
"""Everything a report may speak of."""

UNITS_OF: Mapping[str, str] = {
    "huawei_910b_cards": "cards", "huawei_910c_packages": "packages", "huawei_ascend_cards": "cards",
    "ascend_dies": "dies", "foreign_dies": "dies", "smic_ai_wafer_starts_per_month": "wafers/month",
    "hbm_stacks_imported": "stacks", **dict.fromkeys((*YIELD_SERIES, *SHARE_SERIES), "1"),
}
"""Unit in which a report of each series is counted; a count of dies is none of cards."""

READING_SETS: Mapping[str, tuple[str, ...]] = {
    "single_die": ("die.any", "through", "die.perfect"),
    "dual_die_early": ("die.any", "through", "blind", "die.perfect"),
    "dual_die_volume": ("die.any", "through", "blind", "die.perfect"),
}
"""Open definitions: which readings a report may have; the weights are rows `yield_reading_<set>.weight_*`."""

FIXED_READINGS = ("die.any", "die.perfect", "through", "blind", "assembly", "count")
"""Definitions that a report may state."""

RELATIONS = ("about", "at least", "at most")
"""What the words of a report say of its number."""

CLASSES = ("filing", "teardown", "vendor_plan", "testimony", "letter_or_broker", "forecast", "newspaper", "forum")
"""Source classes; a forecast is a model's figure for a year that has not begun, a forum is refused unless asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """One report of one quantity."""

    id: str
    """Origin and quantity."""
    series: str
    """Entry of `SERIES`."""
    period: str
    """Year `2025` or month `2025-02` that it speaks of."""
    relation: str
    """Entry of `RELATIONS`."""
    value: float
    """Value in the unit of the series: a share for yields and shares, a count else."""
    definition: str
    """A fixed reading or a set of readings."""
    source_class: str
    """Entry of `CLASSES`."""
    origin: str
    """First publisher and story; copies of one origin are one observation."""
    known_by: date
    """First day it could have been used."""
    source: str
    """Key of `sources.csv`."""
    why: str
    """Note."""

    @property
    def is_yield(self) -> bool:
        """Whether it is a yield, of a month and under a definition."""
        return self.series in YIELD_SERIES

    @property
    def is_share(self) -> bool:
        """Whether it is judged on the logit scale."""
        return self.series not in COUNT_SERIES

    @property
    def publisher(self) -> str:
        """Who published it: the origin without its date."""
        return re.split(r"-\d{4}", self.origin)[0]

    @property
    def transformed(self) -> float:
        """Value on the scale of its error: logit of a share, logarithm of a count."""
        return math.log(self.value / (1 - self.value)) if self.is_share else math.log(self.value)


def observations(catalog: Catalogue, *, own: Iterable[Mapping[str, object]] = (), without: Iterable[str] = (),
                 forum: bool = False) -> tuple[Observation, ...]:
    """Return the reports known by the date, copies of one origin dropped, in the order of their ids.

    Parameters
    ----------
    catalog : Catalogue
        Rows known by the information date.
    own : iterable of mappings
        Reports of the analyst's own (fields of a scenario's `reports:`).
    without : iterable of str
        Origins to leave out.
    forum : bool
        Whether forum-class rows count.
    """
    out: dict[tuple[str, str, str, str], Observation] = {}
    skip = set(without)
    for row in catalog.rows("observations"):
        o = _checked(Observation(
            id=row["id"], series=row["series"], period=row["period"], relation=row["relation"],
            value=float(row["value"]), definition=row["definition"], source_class=row["source_class"],
            origin=row["origin"], known_by=parse_date(row["known_by"]), source=row["source"], why=row["why"]))
        if o.origin not in skip and (forum or o.source_class != "forum"):
            out.setdefault((o.origin, o.series, o.period, o.relation), o)
    for k, report in enumerate(own):
        o = own_observation(report, k, catalog.as_of)
        if o.origin not in skip:
            out.setdefault((o.origin, o.series, o.period, o.relation), o)
    return tuple(sorted(out.values(), key=lambda o: o.id))


def own_observation(report: Mapping[str, object], number: int, as_of: date) -> Observation:
    """Read an analyst's own report; refuse one from after `as_of` or without a definition where it matters."""
    series = str(report["series"])
    if series not in SERIES:
        unknown("series of a report", series, SERIES)
    published = parse_date(report["published"])
    known_by = parse_date(report["known_by"]) if report.get("known_by") else published
    name = f"reports[{number}]"
    if known_by > as_of:
        raise InputError(f"{name} is known by {known_by}, after as_of {as_of}; drop it or move as_of")
    said = f"{report['value']} {report['unit']}" if report.get("unit") else report["value"]
    value = parse_quantity(said, UNITS_OF[series], f"{name}.value")
    definition = str(report.get("definition") or "")
    if series in YIELD_SERIES:
        if not definition:
            raise InputError(f"{name} gives a yield without its definition; write definition: one of "
                             + ", ".join([*FIXED_READINGS[:-1], *READING_SETS]))
        require(0 < value < 1, f"{name}.value", "lie inside 0 to 1 for a yield (write 35%)", value)
    elif series in SHARE_SERIES:
        require(0 < value < 1, f"{name}.value", "lie inside 0 to 1 for a share (write 75%)", value)
    else:
        require(value > 0, f"{name}.value", "be above 0", value)
    period = str(report.get("period") or (f"{published:%Y-%m}" if series in YIELD_SERIES else f"{published:%Y}"))
    origin = str(report.get("origin") or f"own-{number}")
    return _checked(Observation(
        id=f"{origin}/{series}", series=series, period=period, relation="about", value=value,
        definition=definition or "count", source_class=str(report["source_class"]), origin=origin, known_by=known_by,
        source="scenario", why=str(report.get("why") or "stated by the user")))


def _checked(o: Observation) -> Observation:
    for value, known, what in ((o.series, SERIES, "series"), (o.relation, RELATIONS, "relation"),
                               (o.source_class, CLASSES, "source class"),
                               (o.definition, (*FIXED_READINGS, *READING_SETS), "definition")):
        if value not in known:
            unknown(f"{what} of report '{o.id}'", value, known)
    if o.is_share and not 0 < o.value < 1:
        raise DataError(f"report '{o.id}': a share must lie inside 0 to 1, got {o.value}")
    if not o.is_share and o.value <= 0:
        raise DataError(f"report '{o.id}': a count must be above 0, got {o.value}")
    return o
