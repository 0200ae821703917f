"""Rules as rows: when a layer binds, when it became known, whom it reaches and what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from chipcast.base.calendar import parse_date
from chipcast.base.catalog import Catalogue, read_table
from chipcast.base.errors import RuleError
from chipcast.rules.expr import Node, parse
from chipcast.rules.record import CN_WORDS, US_WORDS

Laws = tuple[tuple[tuple[str, str], ...], ...]
"""Rows of a user as pairs of column and text."""

FAR = date(9999, 12, 31)
"""A layer without an end."""

STATES = ("yes", "doubtful", "no", "suspended", "unknown")
"""Enforcement, as the published record has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One rule, letter, policy or guidance."""

    rule_id: str
    """Id of the row."""
    name: str
    """What it is called."""
    authority: str
    """Who issued it."""
    gate: str
    """us, cn, nl or jp."""
    subject: str
    """What it speaks of: chip, prc_chip, hq, entity, affiliate, hbm, foundry, tools, share, cost, border, ..."""
    form: str
    """list, letter, policy, exception, guidance, tariff, bill, ..."""
    modifies: tuple[str, ...]
    """Rows whose consequence it changes; empty for a layer that adds."""
    published: date
    """Day it became public."""
    known_by: date
    """First day it could have been used."""
    effective: date | None
    """First day it binds; none for a bill that is pending."""
    end: date
    """Day on which it no longer binds (half-open)."""
    end_known_by: date
    """Day on which the end became known; before it nobody may use the end."""
    enforced: tuple[tuple[date, str, date], ...]
    """(from, state, known by), in order."""
    scope: tuple[str, ...]
    """Places and groups in reach."""
    outside: tuple[str, ...]
    """Places and groups that are out of reach."""
    scope_from: Mapping[str, date]
    """Places that came into reach later than the layer itself."""
    addressees: tuple[str, ...]
    """Vendors or buyers that are named; empty for all."""
    parts: tuple[str, ...]
    """Chips that are named."""
    test: Node | None
    """What is caught; none for a layer that only names parts, buyers or places."""
    classification: str
    """Name of the class that its test defines, such as 3A090.a; empty where it defines none."""
    words: tuple[tuple[str, str], ...]
    """(group or buyer class, consequence), first match counts, `*` for the rest."""
    share: float
    """Least share of domestic chips that it asks for. [1]"""
    cost: float | None
    """Duty or levy as a share of what `cost_of` says. [1]"""
    cost_of: str
    """What the cost is a share of."""
    delay_days: float
    """Days that the permit takes by the text. [days]"""
    disputed: str
    """Where sources differ on the word itself."""
    horizon: date
    """Last day that the sources of the row speak of."""
    compliance: date | None
    """Day from which compliance is required, where that is later."""
    row: Mapping[str, str]
    """The row as text, with source, confidence and wording."""

    def known(self, as_of: date) -> bool:
        """Return whether the layer was public."""
        return self.known_by <= as_of

    def last_day(self, as_of: date) -> date:
        """Return the day on which it stops to bind, as known by a date."""
        return self.end if self.end_known_by <= as_of else FAR

    def state(self, on: date, as_of: date) -> str:
        """Return enforcement on a day as known by a date; `yes` where the row says nothing."""
        found = "yes"
        for begin, word, known in self.enforced:
            if begin <= on and known <= as_of:
                found = word
        return found

    def phase(self, on: date, as_of: date) -> str:
        """Return `binding`, `ended`, `scheduled`, `never`, `suspended`, `unknown`, `pending` or `unpublished`.

        `scheduled` is a layer that was public and not yet in force on the day.
        """
        if not self.known(as_of):
            return "unpublished"
        if self.effective is None:
            return "pending"
        end = self.last_day(as_of)
        if end <= self.effective:
            return "never"
        if on < self.effective:
            return "scheduled"
        state = self.state(on, as_of)
        if state in ("no", "suspended", "unknown"):
            return {"no": "never"}.get(state, state)
        return "ended" if on >= end else "binding"

    def flips(self, as_of: date) -> tuple[tuple[date, str], ...]:
        """Return changes of enforcement that were scheduled and whose outcome is not known: (day, state)."""
        return tuple((begin, word) for begin, word, known in self.enforced if known <= as_of and word == "unknown")

    def word(self, *keys: str) -> str:
        """Return the consequence for the first of these groups or classes that the row names."""
        for key, word in self.words:
            if key == "*" or key in keys:
                return word
        return ""

    def reaches(self, groups: frozenset[str], on: date) -> bool:
        """Return whether a place with these groups is in scope on a day."""
        if groups & set(self.outside):
            return False
        return "any" in self.scope or any(g in groups and on >= self.scope_from.get(g, on) for g in self.scope)


@lru_cache(maxsize=1)
def layers() -> tuple[Layer, ...]:
    """Return all rows of `rules.csv` as layers, in the order of their ids so that the file's order is nothing."""
    return tuple(sorted((read_layer(r) for r in read_table("rules")), key=lambda x: x.rule_id))


@lru_cache(maxsize=1)
def shipped_ids() -> frozenset[str]:
    """Return the ids of the rows of `rules.csv`."""
    return frozenset(r["rule_id"] for r in read_table("rules"))


@lru_cache(maxsize=64)
def all_layers(laws: Laws) -> tuple[Layer, ...]:
    """Return all rows with those of a user in place of, or beside, the shipped ones."""
    own = {dict(row)["rule_id"]: read_layer(dict(row)) for row in laws}
    kept = [x for x in layers() if x.rule_id not in own]
    return tuple(sorted((*kept, *own.values()), key=lambda x: x.rule_id))


@lru_cache(maxsize=512)
def known_layers(catalog: Catalogue) -> tuple[Layer, ...]:
    """Return the layers that were public on the catalogue's date."""
    return tuple(x for x in all_layers(catalog.laws) if x.known(catalog.as_of))


@lru_cache(maxsize=64)
def all_tests(catalog: Catalogue) -> tuple[Node, ...]:
    """Return the tests of all US rows on chips, whatever their date: their lines cut what open figures allow."""
    return tuple(x.test for x in all_layers(catalog.laws)
                 if x.test is not None and x.gate == "us" and x.subject in ("chip", "prc_chip"))


def live_layers(catalog: Catalogue, on: date) -> tuple[Layer, ...]:
    """Return the layers that bind on a day, as known by the catalogue's date."""
    return tuple(x for x in known_layers(catalog) if x.phase(on, catalog.as_of) == "binding")


def layer(rule_id: str, laws: Laws = ()) -> Layer:
    """Return one layer by id."""
    for found in all_layers(laws):
        if found.rule_id == rule_id:
            return found
    raise RuleError(f"no rule '{rule_id}' in rules.csv")


def sources_end() -> date:
    """Return the last day that the sources speak of: what holds after it is unknown, whatever the information date."""
    return max(x.horizon for x in layers())


def horizon(catalog: Catalogue) -> date | None:
    """Return the last day that the sources speak of if the catalogue holds them all, else none.

    The law as known on an earlier date has no such end; its last known state is that of the day asked for.
    """
    last = sources_end()
    return last if catalog.as_of >= last else None


def read_layer(row: Mapping[str, str]) -> Layer:
    """Read a row of `rules.csv`.

    Raises
    ------
    RuleError
        If a date, a word or the text of the test cannot be read; the message names the row.
    """
    try:
        return _read(row)
    except RuleError as error:
        raise RuleError(f"rules.csv, {row.get('rule_id', '?')}: {error}") from None


def _read(row: Mapping[str, str]) -> Layer:
    scope, outside, later = _scope(row["scope"])
    words = tuple(_pair(p) for p in row["words"].split("|") if p)
    allowed = {"us": US_WORDS, "cn": CN_WORDS}.get(row["gate"], (*US_WORDS, *CN_WORDS))
    for _, word in words:
        if word not in allowed:
            raise RuleError(f"unknown consequence '{word}'; known: {', '.join(allowed)}")
    end = parse_date(row["end"]) if row["end"] else FAR
    end_known = parse_date(row["end_known_by"]) if row["end_known_by"] else (FAR if end == FAR else end)
    return Layer(
        rule_id=row["rule_id"], name=row["name"], authority=row["authority"], gate=row["gate"], subject=row["subject"],
        form=row["form"], modifies=tuple(row["acts"].removeprefix("modifies:").split())
        if row["acts"].startswith("modifies:") else (),
        published=parse_date(row["published"]), known_by=parse_date(row["known_by"]),
        effective=parse_date(row["effective"]) if row["effective"] else None, end=end, end_known_by=end_known,
        enforced=tuple(_enforced(p) for p in row["enforced"].split(";") if p.strip()), scope=scope, outside=outside,
        scope_from=later, addressees=tuple(a for a in row["addressees"].split() if a != "general"),
        parts=tuple(row["parts"].split()), classification=row["class"],
        test=parse(row["test"]) if row["test"] else None, words=words,
        share=float(row["share"] or 0), cost=float(row["cost"]) if row["cost"] else None, cost_of=row["cost_of"],
        delay_days=float(row["delay_days"] or 0), disputed=row["disputed"], horizon=parse_date(row["horizon"]),
        compliance=parse_date(row["compliance"]) if row["compliance"] else None, row=row)


def _pair(text: str) -> tuple[str, str]:
    key, sep, word = text.partition("=")
    if not sep:
        raise RuleError(f"consequence '{text}' must be written GROUP=word")
    return key.strip(), word.strip()


def _enforced(text: str) -> tuple[date, str, date]:
    words = text.split()
    if len(words) != 3 or not words[2].startswith("@") or words[1] not in STATES:
        raise RuleError(f"enforcement '{text.strip()}' must be written FROM state @KNOWN with a state of "
                        f"{', '.join(STATES)}")
    return parse_date(words[0]), words[1], parse_date(words[2][1:])


def _scope(text: str) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, date]]:
    inside, outside, later = [], [], {}
    for word in text.split():
        if word.startswith("-"):
            outside.append(word[1:])
            continue
        group, _, when = word.partition("@")
        inside.append(group)
        if when:
            later[group] = parse_date(when)
    return tuple(inside), tuple(outside), later


