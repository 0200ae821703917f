"""The catalogue: rows of `data/`, each with source and the first day it could have been used.

A catalogue has an information date; it refuses to show any row that became known later, so a forecast
cannot peek and a back-test is honest by construction.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from chipcast.base.calendar import parse_date
from chipcast.base.errors import DataError, InputError, nearest, unknown

DATA = Path(__file__).resolve().parent.parent / "data"

FIRST_VINTAGE = date(2025, 2, 25)
"""Assumed ranges exist from this information date on; earlier runs are refused."""

LATEST_VINTAGE = date(2025, 12, 31)
"""From this information date on the rows of vintage `latest` stand for those of `2025-02-25`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One number of the catalogue."""

    item: str
    """Chip, process, segment or other thing that the number belongs to."""
    name: str
    """What is meant; the unit rides along in the name."""
    low: float
    """Low end, or the value itself."""
    value: float
    """The value, or the middle where sources differ."""
    high: float
    """High end, or the value itself."""
    unit: str
    """One of the closed list."""
    kind: str
    """official, measured, reported, estimated, derived, assumed or unverified."""
    source: str
    """Key of `sources.csv`."""
    as_of: str
    """The time the number speaks of."""
    known_by: str
    """First day it could have been used (ISO)."""
    note: str = ""
    """What a reader should know about it."""


@lru_cache(maxsize=64)
def read_table(name: str) -> tuple[Mapping[str, str], ...]:
    """Return all rows of `data/<name>.csv` as read-only mappings of text, whatever their date."""
    path = DATA / f"{name}.csv"
    if not path.is_file():
        unknown("table", name, (p.stem for p in DATA.glob("*.csv")))
    with path.open(encoding="utf-8", newline="") as lines:
        return tuple(MappingProxyType(row) for row in csv.DictReader(lines))


@lru_cache(maxsize=1)
def sources() -> Mapping[str, Mapping[str, str]]:
    """Return the table of sources by key."""
    return MappingProxyType({row["key"]: row for row in read_table("sources")})


@lru_cache(maxsize=1)
def last_known() -> date:
    """Return the last `known_by` of the data: what `as_of` means when it is left out."""
    tables = ("chips", "processes", "reports", "history", "events", "rules", "faults")
    return max(parse_date(row["known_by"]) for t in tables for row in read_table(t) if row.get("known_by"))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All data rows that were known on `as_of`."""

    as_of: date
    """Information date: rows known later do not exist."""
    laws: tuple[tuple[tuple[str, str], ...], ...] = ()
    """Rules that a user added or changed, each as pairs of column and text; read by the rules."""

    def rows(self, table: str) -> tuple[Mapping[str, str], ...]:
        """Return the rows of a table known by the date; rows without a date are refused."""
        return _known(table, self.as_of)

    def chip_ids(self) -> tuple[str, ...]:
        """Return the ids of all chips announced by the date."""
        return tuple(row["item"] for row in self.rows("chip_names"))

    def resolve_chip(self, name: str) -> str:
        """Return the id of a chip given by id, model name or alias, in any way of writing it.

        Raises
        ------
        InputError
            If no chip has that name, or it was announced after the date.
        """
        ids = {row["item"]: row for row in read_table("chip_names")}
        word = chip_words().get(folded(name), "")
        if not word:
            written = sorted({*ids, *(row["alias"] for row in read_table("aliases"))})
            close = list(dict.fromkeys(chip_words()[folded(w)] for w in nearest(name.strip(), written, 5)))
            hint = f"; did you mean '{close[0]}'?" if close else ";"
            raise InputError(f"unknown chip '{name}'{hint} known: "
                             f"{', '.join([*close, *(i for i in ids if i not in close)][:NEAR])}, ... "
                             "(chipcast chip list)")
        known_by = ids[word]["known_by"]
        undated = not known_by and self.as_of >= last_known()  # without an information date all rows may be read
        if not undated and (not known_by or parse_date(known_by) > self.as_of):
            when = f"became known on {known_by}" if known_by else "has no date on which it became known"
            advice = "use a later --as-of or another chip" if known_by else "leave --as-of out or use another chip"
            raise InputError(f"chip '{word}' {when}, after the information date {self.as_of}; {advice}")
        return word

    def chip_names(self, item: str) -> Mapping[str, str]:
        """Return vendor, model and other text of a chip id."""
        for row in read_table("chip_names"):
            if row["item"] == item:
                return row
        unknown("chip", item, (row["item"] for row in read_table("chip_names")))

    def chip_facts(self, item: str) -> dict[str, Fact]:
        """Return the figures of a chip by name; of several dated rows the latest known one counts."""
        return dict(_chip_facts(item, self.as_of))


MAKERS = ("nvidia", "geforce", "amd", "instinct", "intel", "habana", "huawei", "cambricon", "baidu", "kunlunxin",
          "moorethreads", "alibaba", "google", "aws", "amazon", "tesla")
"""Makers and families that people write before a chip's name."""

NEAR = 12
"""Chips that a message lists."""


def folded(name: str) -> str:
    """Return a chip's name without case, makers, spaces and signs, so that ways of writing it agree.

    >>> folded("NVIDIA H20 96GB"), folded("Ascend_910-B3")
    ('h2096gb', 'ascend910b3')
    """
    word = re.sub(r"[^a-z0-9]", "", name.lower())
    for maker in MAKERS:
        word = word.removeprefix(maker) or word
    return word


@lru_cache(maxsize=1)
def chip_words() -> Mapping[str, str]:
    """Return the id of each folded id, model name and alias; where two agree an alias counts most, then an id."""
    rows = read_table("chip_names")
    words = {folded(row["model"].partition("(")[0]): row["item"] for row in rows}
    words |= {folded(row["item"]): row["item"] for row in rows}
    words |= {folded(row["alias"]): row["item"] for row in read_table("aliases")}
    return MappingProxyType(words)


@lru_cache(maxsize=512)
def _known(table: str, as_of: date) -> tuple[Mapping[str, str], ...]:
    out = []
    for row in read_table(table):
        known_by = row.get("known_by", "")
        if known_by and parse_date(known_by) <= as_of:
            out.append(row)
    return tuple(out)


@lru_cache(maxsize=512)
def _chip_facts(item: str, as_of: date) -> tuple[tuple[str, Fact], ...]:
    best: dict[str, Fact] = {}
    for row in _known("chips", as_of):
        if row["item"] != item:
            continue
        fact = fact_of(row)
        if fact.name not in best or fact.known_by >= best[fact.name].known_by:
            best[fact.name] = fact
    return tuple(best.items())


def fact_of(row: Mapping[str, str]) -> Fact:
    """Read a row of numbers (`value`, or `low` and `high`) as a `Fact`.

    Raises
    ------
    DataError
        If the row has no number.
    """
    texts = {k: row.get(k, "") for k in ("low", "value", "high")}
    try:
        numbers = {k: float(v) for k, v in texts.items() if v}
    except ValueError:
        raise DataError(f"{row['item']}.{row['name']} must be a number, got {texts}") from None
    if not numbers:
        raise DataError(f"{row['item']}.{row['name']} has neither value nor range")
    value = numbers.get("value", sum(numbers.values()) / len(numbers))
    return Fact(item=row["item"], name=row["name"], value=value, low=numbers.get("low", value),
                high=numbers.get("high", value), unit=row["unit"], kind=row["kind"], source=row["source"],
                as_of=row["as_of"], known_by=row["known_by"], note=row.get("note", ""))


def vintage_rows(as_of: date) -> tuple[Mapping[str, str], ...]:
    """Return the assumed ranges of the vintage that an information date may use, one per name.

    Raises
    ------
    InputError
        If the date lies before the first vintage.
    """
    if as_of < FIRST_VINTAGE:
        raise InputError(f"as_of {as_of} lies before the first vintage of assumed ranges; "
                         f"write {FIRST_VINTAGE} or later")
    wanted = "latest" if as_of >= LATEST_VINTAGE else FIRST_VINTAGE.isoformat()
    return tuple(row for row in read_table("priors") if row["vintage"] in ("any", wanted))
