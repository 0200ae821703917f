"""Scenarios: a YAML file that names its base and states only what differs, resolved into `given`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from chipcast.base.calendar import month_end, parse_date
from chipcast.base.catalog import DATA, Catalogue, Fact, read_table, vintage_rows
from chipcast.base.document import bare, line_of, read_yaml
from chipcast.base.errors import InputError, nearest, unknown
from chipcast.base.given import Given, Row
from chipcast.base.laws import Law, law_of_row, parse_law, point
from chipcast.base.units import UNITS, check_unit, parse_quantity
from chipcast.schema import Buyer, Demand, Event, File, Promise, Report, refusal

SEGMENTS = ("platform", "cloud", "state_funded", "public_centre", "private", "clinic_school")
"""Buyer classes, the same in `rules`, `market` and `plan`."""

MAX_NAME = 200
"""A name or path of a scenario longer than this is refused. [characters]"""

FALLBACK = "february-2025"
"""The scenario that others are based on unless they say otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """A scenario with its bases folded in."""

    name: str
    """Name, used for the run folder."""
    as_of: date
    """Information date."""
    until: date
    """Last day of the horizon."""
    set: Mapping[str, Any]
    """Overrides of `given` by name."""
    events: tuple[Event, ...]
    """Dated what-ifs."""
    buyer: Buyer
    """The one for whom `plan` decides."""
    chips: Mapping[str, Mapping[str, Any]]
    """Chips of the user's own."""
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Rules of the user's own, and changes of shipped ones, by id."""
    reports: tuple[Report, ...]
    """Reports of the analyst's own."""
    where: Mapping[str, str] = field(default_factory=dict)
    """File and line of each override, for messages."""


def shipped() -> tuple[str, ...]:
    """Return the names of the scenarios that come with chipcast."""
    return tuple(sorted(p.stem for p in (DATA / "scenarios").glob("*.yaml")))


def load(name: str | Path, *, as_of: str | None = None, until: str | None = None,
         overrides: Mapping[str, Any] | None = None) -> Scenario:
    """Read a scenario by the name of a shipped one or by path, with its bases folded in.

    Parameters
    ----------
    name : str or Path
        Name of a shipped scenario, or a file.
    as_of, until : str, optional
        Dates in place of the scenario's own.
    overrides : mapping, optional
        What is set on top of the scenario's own `set:`, by name.

    Raises
    ------
    InputError
        If the file is missing, is no YAML, has unknown keys, bad dates or values, or a base that loops.
    """
    layers: list[tuple[File, dict[str, str], str]] = []
    todo: str | None = str(name)
    seen: set[str] = set()
    while todo is not None:
        if todo in seen:
            raise InputError(f"scenario '{todo}' is based on itself; remove one base:")
        seen.add(todo)
        content, where, stem = _read(todo, folder=Path(str(name)).parent if layers else None)
        layers.append((content, where, stem))
        todo = content.base or (FALLBACK if stem != FALLBACK else None)
    layers.reverse()
    first = layers[0][0]
    assert first.as_of and first.until and first.buyer, "the fallback scenario states everything"
    values: dict[str, Any] = {"as_of": first.as_of, "until": first.until, "buyer": first.buyer}
    stated: dict[str, Any] = {}
    places: dict[str, str] = {}
    chips: dict[str, Any] = {}
    rules: dict[str, Any] = {}
    events: tuple[Event, ...] = ()
    reports: tuple[Report, ...] = ()
    for content, where, _ in layers:
        for key in values:
            if getattr(content, key) is not None:
                values[key] = getattr(content, key)
        stated = {**{k: v for k, v in stated.items() if k not in content.set}, **content.set}  # what comes last wins
        places.update(where)
        chips.update(content.chips)
        rules.update(content.rules)
        reports = reports + content.reports
        events = events + content.events
    _no_contradiction(events)
    stated = {**{k: v for k, v in stated.items() if k not in (overrides or {})}, **(overrides or {})}
    places.update(dict.fromkeys(overrides or {}, "--set"))
    horizon = month_end(f"{parse_date(until, last=True):%Y-%m}" if until else values["until"])
    when = parse_date(as_of) if as_of else values["as_of"]
    if horizon < when:
        raise InputError(f"until {horizon} lies before as_of {when}; write a later until:")
    return Scenario(name=layers[-1][0].name or layers[-1][2], as_of=when, until=horizon,
                    set=stated, events=events, buyer=values["buyer"],
                    chips=chips, rules=rules, reports=reports, where=places)


def with_events(scenario: Scenario, more: Sequence[Mapping[str, Any]]) -> Scenario:
    """Return a scenario with further dated what-ifs.

    Raises
    ------
    InputError
        If an event has unknown keys or values, or contradicts another.
    """
    events = scenario.events
    for keys in more:
        unread = [k for k in keys if k not in Event.model_fields]
        if unread:
            unknown("key of an event", unread[0], Event.model_fields)
        try:
            events += (Event.model_validate(keys),)
        except ValidationError as error:
            first = error.errors()[0]
            said = "missing; add it" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
            place = f"{first['loc'][0]}: " if first["loc"] else ""
            raise InputError(f"event {' '.join(f'{k}={v}' for k, v in keys.items())}: {place}"
                             f"{said[0].lower() + said[1:]}") from None
    _no_contradiction(events)
    catalog = Catalogue(scenario.as_of)
    for chip in {e.chip for e in events if e.chip and "_" not in e.chip}:  # names with _ are the market's own kinds
        catalog.resolve_chip(chip)
    return replace(scenario, events=events)


def _no_contradiction(events: tuple[Event, ...]) -> None:
    """Refuse two events of one day that ask for different things, also where one of them speaks of every chip."""
    names = {r["alias"]: r["item"] for r in read_table("aliases")}
    seen: list[tuple[Event, str, tuple[object, ...]]] = []
    for e in events:
        chip, asks = names.get(e.chip.lower(), e.chip), (e.to, e.value, e.grace_days)
        for other, its_chip, its in seen:
            same = (other.on, other.gate) == (e.on, e.gate) and its != asks
            if same and (chip == its_chip or not (chip and its_chip)) and (
                    e.segment == other.segment or not (e.segment and other.segment)):
                raise InputError(f"events contradict: on {e.on} gate {e.gate} {e.chip or other.chip} goes to both "
                                 f"'{other.to or other.value}' and '{e.to or e.value}'; keep one")
        seen.append((e, chip, asks))


def _read(name: str, folder: Path | None) -> tuple[File, dict[str, str], str]:
    """Read one file; return its content, the place of each override, and its stem."""
    if "\0" in name or len(name) > MAX_NAME:
        raise InputError(f"a scenario is named by a path of 1 to {MAX_NAME} plain characters; shipped: "
                         + ", ".join(shipped()))
    path = DATA / "scenarios" / f"{name}.yaml"
    if not path.is_file():
        path = Path(name)
        if folder is not None and not path.is_absolute() and (folder / path).is_file():
            path = folder / path
        if not path.is_file():
            close = nearest(name, shipped())
            hint = f"; did you mean '{close[0]}'?" if close else ";"
            raise InputError(f"no scenario file '{name}'{hint} shipped: {', '.join(shipped())}")
    tree = read_yaml(path)
    if not isinstance(tree, Mapping):
        raise InputError(f"{path.name}: a scenario is a table of keys such as name:, as_of:, set:")
    try:
        content = File.model_validate(bare(tree))
    except ValidationError as error:
        raise InputError(refusal(error, tree, path)) from None
    where = {k: f"{path.name}:{line_of(tree, ('set', k))}" for k in content.set}
    for key in ("chips", "rules"):
        where |= {f"{key}.{k}": f"{path.name}:{line_of(tree, (key, k))}" for k in getattr(content, key)}
    return content, where, path.stem


def bounds_of(name: str, unit: str) -> tuple[float, float]:
    """Return the hard bounds of a quantity from its unit and name: shares in 0 to 1, sizes not below 0."""
    words = ("yield", "share", "efficiency", "probability", "survival", "acceptance", "maturity")
    is_share = any(w in name for w in words) and not any(w in name for w in ("sigma", "gain", "logit"))
    if "_hazard_" in name and unit == "1/month":
        return (0.0, 1.0)
    if UNITS[unit][0] == "number" and is_share:
        return (0.0, 1.0) if unit != "%" else (0.0, 100.0)
    if UNITS[unit][0] in ("area", "density", "length", "bytes", "byte rate", "operations", "power", "USD", "time"):
        return (0.0, float("inf"))
    return (float("-inf"), float("inf"))


def resolve(scenario: Scenario, *, draws: int, seed: int = 1, chips: tuple[str, ...] = ()) -> Given:
    """Resolve a scenario into `given`: assumed ranges of the vintage, chip figures, the buyer, overrides.

    Parameters
    ----------
    scenario : Scenario
        What is asked.
    draws : int
        Number of draws.
    seed : int
        Seed of all streams.
    chips : tuple of str
        Ids whose figures are needed beyond the user's own chips.

    Raises
    ------
    InputError
        If an override names no known quantity, has a wrong unit or lies outside its bounds.
    """
    catalog = law_book(scenario)
    factors = {r["name"]: r for r in read_table("factors")}
    rows: dict[str, Row] = {}
    for r in vintage_rows(scenario.as_of):
        name = f"{r['item']}.{r['name']}"
        law = law_of_row(r["family"], float(r["low"]), float(r["mode"]), float(r["high"]), name)
        shared = factors.get(name, {})
        rows[name] = Row(name=name, law=law, unit=r["unit"], kind=r["kind"], source=r["source"], as_of=r["vintage"],
                         why=r["reason"], factor=shared.get("factor", ""), loading=float(shared.get("loading", 0) or 0))
    for chip in chips:
        for fact in catalog.chip_facts(chip).values():
            _add_fact(rows, fact)
    for own, fields in scenario.chips.items():
        for row in _own_chip(own, fields, catalog, scenario.where.get(f"chips.{own}", "")):
            rows[row.name] = row
    for row in _buyer_rows(scenario.buyer):
        rows[row.name] = row
    for name, text in scenario.set.items():
        row = _override(name, text, rows, catalog, scenario)
        rows[row.name] = row
    return Given(rows=MappingProxyType(rows), catalog=catalog, seed=seed, start=0, stop=draws, until=scenario.until)


def _add_fact(rows: dict[str, Row], fact: Fact) -> None:
    """Add a chip's figure unless an assumed range of the same name and vintage already stands for it."""
    name = f"{fact.item}.{fact.name}"
    if name not in rows:
        rows[name] = fact_row(fact)


def fact_row(fact: Fact) -> Row:
    """Return the row of a catalogue figure; where sources differ it is uniform between the ends."""
    name = f"{fact.item}.{fact.name}"
    law = point(fact.value)
    if fact.low != fact.high:
        law = Law(family="uniform", low=fact.low, mode=fact.value, high=fact.high)
    return Row(name=name, law=law, unit=fact.unit, kind=fact.kind, source=fact.source, as_of=fact.as_of,
               known_by=fact.known_by, why=fact.note)


def law_book(scenario: Scenario) -> Catalogue:
    """Return the catalogue of a scenario's date with the rules that it adds or changes.

    Raises
    ------
    InputError
        If a rule cannot be read; the message names file, line and rule.
    """
    catalog = Catalogue(scenario.as_of)
    if not scenario.rules:
        return catalog
    from chipcast.rules.amend import laws

    own: list[tuple[tuple[str, str], ...]] = []
    for rule_id, fields in scenario.rules.items():
        try:
            own += laws({rule_id: fields}, catalog, own=scenario.chips)
        except InputError as error:
            at = scenario.where.get(f"rules.{rule_id}", "")
            raise InputError(f"{at}: {error}" if at else str(error)) from None
    return Catalogue(scenario.as_of, tuple(own))


def _own_chip(own: str, fields: Mapping[str, Any], catalog: Catalogue, at: str) -> tuple[Row, ...]:
    """Return the rows of a user's chip: its base's figures, then what the user states."""
    from chipcast.rules.own import own_rows

    try:
        return own_rows(fields, name=own, catalog=catalog)
    except InputError as error:
        raise InputError(f"{at + ': ' if at else ''}chip '{own}': {error}") from None


BUYER_UNITS = {
    "concurrent_users": "users", "tokens_per_user_day": "tokens", "requests_per_s": "requests/s",
    "input_tokens": "tokens", "output_tokens": "tokens", "input_share": "1", "growth_per_month": "1/month",
    "budget_usd": "USD", "budget_cny": "CNY", "power_kw": "kW", "shortage_usd_per_million_tokens": "USD/1e6 tokens",
    "api_usd_per_million_tokens": "USD/1e6 tokens", "min_domestic_share": "1",
}
"""Unit of each uncertain figure of a buyer."""

ROOM_UNITS = {"power_kw": "kW", "rack_units": "1", "pue": "1", "usd_per_kwh": "USD/kWh"}
"""Unit of each figure of a buyer's room."""


def _buyer_rows(buyer: Buyer) -> list[Row]:
    stated = {**buyer.demand.model_dump(), "budget_usd": buyer.budget_usd, "budget_cny": buyer.budget_cny,
              "power_kw": buyer.power_kw, "shortage_usd_per_million_tokens": buyer.shortage_usd_per_million_tokens,
              "api_usd_per_million_tokens": buyer.api_usd_per_million_tokens,
              "min_domestic_share": buyer.min_domestic_share}
    out = []
    for key, text in stated.items():
        if text is None:
            continue
        unit = BUYER_UNITS[key]
        bounds = {"input_share": (0.0, 1.0), "min_domestic_share": (0.0, 1.0),
                  "growth_per_month": (-1.0, 1.0)}.get(key, (0.0, math.inf))
        reads_as = "1" if key == "growth_per_month" and isinstance(text, str) else unit
        law = parse_law(text, reads_as, f"buyer.{key}", bounds=bounds)
        out.append(Row(name=f"buyer.{key}", law=law, unit=unit, kind="scenario", source="scenario", why=buyer.name))
    for room in buyer.sites:
        for key, unit in ROOM_UNITS.items():
            text, name = getattr(room, key), f"buyer.site.{room.name}.{key}"
            if text is not None:
                law = parse_law(text, unit, name, bounds=(1.0 if key == "pue" else 0.0, math.inf))
                out.append(Row(name=name, law=law, unit=unit, kind="scenario", source="scenario", why=room.name))
    return out


def _override(name: str, text: Any, rows: Mapping[str, Row], catalog: Catalogue, scenario: Scenario) -> Row:
    at = scenario.where.get(name, "")
    prefix = f"{at}: " if at else ""
    try:
        item, _, rest = name.partition(".")
        target = name
        if rest and name not in rows:
            aliases = {r["alias"]: r["item"] for r in read_table("aliases")}
            target = f"{aliases.get(item.lower(), item)}.{rest}"
        if target not in rows:
            facts = catalog.chip_facts(target.partition(".")[0])
            if rest in facts:
                old = fact_row(facts[rest])
            else:
                unknown("quantity", name, rows)
        else:
            old = rows[target]
        why, known_by, unit, literal = "", "", old.unit, text
        if isinstance(text, Mapping) and "value" in text:
            extra = set(text) - {"value", "why", "known_by", "unit", "source"}
            if extra:
                unknown("key", sorted(extra)[0], ("value", "why", "known_by", "unit", "source"))
            literal, why, known_by = text["value"], str(text.get("why", "")), str(text.get("known_by", "") or "")
            if "unit" in text:
                check_unit(str(text["unit"]))
                literal = f"{literal} {text['unit']}"
        if known_by and parse_date(known_by) > scenario.as_of:
            raise InputError(f"{name} is known by {known_by}, after as_of {scenario.as_of}; drop it or move as_of")
        law = parse_law(literal, unit, target, bounds=bounds_of(target, unit))
    except InputError as error:
        raise InputError(f"{prefix}{error}") from None
    return Row(name=target, law=law, unit=unit, kind="scenario", source="scenario", as_of=scenario.name,
               known_by=known_by, why=why, factor=old.factor, loading=old.loading)


__all__ = ["Buyer", "Demand", "Event", "Promise", "Report", "SEGMENTS", "Scenario", "bounds_of", "fact_row",
           "load", "parse_quantity", "read_yaml", "resolve", "shipped"]
