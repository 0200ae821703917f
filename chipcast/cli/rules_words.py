"""What the verbs of `rules` share: options, chips and rules of a scenario or a file, words that are checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from chipcast.base.errors import InputError
from chipcast.cli.common import catalogue

ChipArg = Annotated[str, typer.Argument(metavar="CHIP", help="A chip id, an alias, or a YAML file with figures "
                                                             "(FILE#NAME where it holds several).")]
To = Annotated[str, typer.Option("--to", metavar="COUNTRY", help="Destination: code or name.")]
Hq = Annotated[str, typer.Option("--hq", metavar="COUNTRY", help="Seat of the buyer's parent; default: destination.")]
On = Annotated[str, typer.Option("--on", metavar="DATE", help="Day of the shipment; default: the last day that the "
                                                             "sources speak of.")]
Buyer = Annotated[str, typer.Option("--buyer", metavar="CLASS", help="platform, cloud, state_funded, public_centre, "
                                                                    "private or clinic_school.")]
Within = Annotated[str, typer.Option("--scenario", metavar="SCENARIO",
                                     help="Use the date, rules, chips and dated what-ifs of a scenario.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """What a question is answered from."""

    catalog: Any
    """Rows known by the date, with rules of the user's own."""
    events: tuple[Any, ...] = ()
    """Dated what-ifs."""
    chips: Mapping[str, Mapping[str, Any]]
    """Chips of the user's own, as written."""


def book(scenario: str, as_of: str) -> Book:
    """Return what is known on a date, and what a scenario adds to it."""
    if not scenario:
        return Book(catalog=catalogue(as_of), chips={})
    from chipcast.scenario import law_book, load

    story = load(scenario, as_of=as_of or None)
    return Book(catalog=law_book(story), events=story.events, chips=story.chips)


def day_of(catalog: Any, text: str) -> Any:
    """Return the day that is asked for, by default the last that the catalogue's sources speak of."""
    from chipcast.base.calendar import parse_date
    from chipcast.rules.rule import horizon

    return parse_date(text) if text else min(catalog.as_of, horizon(catalog) or catalog.as_of)


def is_file(chip: str) -> bool:
    """Return whether a chip argument names a file, perhaps with one of its chips as FILE#NAME."""
    return chip.partition("#")[0].lower().endswith((".yaml", ".yml"))


def read_chip(chip: str) -> tuple[str, dict[str, Any]]:
    """Return the id and the figures of a chip file."""
    from chipcast.base.document import bare, read_yaml
    from chipcast.rules.stated import pick

    text, _, which = chip.partition("#")
    path = Path(text)
    if not path.is_file():
        raise InputError(f"no file '{text}'; write a YAML file with figures such as fp16_tflops: 148")
    try:
        return pick(bare(read_yaml(path)), name=path.stem, which=which)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None


def chip_of(source: Book, chip: str, use: str = "") -> Any:
    """Return the figures of a chip by id, alias, name in the scenario, or file; `use` overrides what it is sold for."""
    from dataclasses import replace

    from chipcast.chip.formats import mixture
    from chipcast.rules.measure import figures

    if is_file(chip) or chip in source.chips:
        found = _own(source, chip)
    else:
        found = figures(source.catalog, mixture(chip) or source.catalog.resolve_chip(chip))
    if use:
        flags = {"datacenter": (1, 1), "other": (0, 0)}
        if use not in flags:
            raise InputError(f"--use must be datacenter or other, got '{use}'")
        found = replace(found, dc=flags[use], remarks=(*found.remarks, f"read as a product for {use} use, as asked"))
    return found


def _own(source: Book, chip: str) -> Any:
    """Return the figures of a chip of the user's, from a file or the scenario; what reads literals is loaded here."""
    from chipcast.rules.own import own_chip

    if chip in source.chips:
        return own_chip(source.chips[chip], name=chip, catalog=source.catalog)
    name, fields = read_chip(chip)
    try:
        return own_chip(fields, name=name, catalog=source.catalog)
    except InputError as error:
        raise InputError(f"{Path(chip.partition('#')[0]).name}: {error}") from None


def all_chips(source: Book) -> list[Any]:
    """Return the figures of every chip known by the date, and of the scenario's own."""
    from chipcast.rules.measure import figures

    own = [_own(source, name) for name in source.chips]
    return [*[figures(source.catalog, item) for item in source.catalog.chip_ids() if item not in source.chips], *own]


def segment_of(text: str) -> str:
    """Return a buyer class in its own spelling."""
    from chipcast.base.errors import unknown

    known = ("platform", "cloud", "state_funded", "public_centre", "private", "clinic_school")
    word = text.strip().lower().replace("-", "_").replace(" ", "_").replace("center", "centre")
    if word not in known:
        unknown("buyer class", text, known)
    return word


def entity_of(text: str) -> str:
    """Return a listed buyer in the spelling of `rules.csv`; empty stays empty."""
    from chipcast.base.errors import unknown
    from chipcast.rules.rule import layers

    if not text:
        return ""
    known = {a for x in layers() if x.subject == "entity" for a in x.addressees}
    word = text.strip().lower().replace("-", "_").replace(" ", "_")
    if word not in known:
        unknown("listed buyer", text, known)
    return word


def region_of(text: str) -> str:
    """Return a place inside China that has rules of its own; empty stays empty."""
    from chipcast.base.errors import unknown
    from chipcast.rules.rule import layers

    known = {place.lower(): place for x in layers() if x.gate == "cn" and x.subject == "share" for place in x.scope
             if place != "CN"}
    word = text.strip().lower()
    if word and word not in known:
        unknown("region with rules of its own", text, known.values())
    return known.get(word, "")
