"""Words that the verbs of `cluster` share: options, sizes, chips, shares and times, and how numbers are printed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.base.errors import InputError
from chipcast.cli.common import given as world
from chipcast.cli.common import note

Chip = Annotated[str, typer.Option("--chip", metavar="ID[,ID...]", help="Chip ids or common names.")]
Size = Annotated[str, typer.Option("--chips", metavar="N | N,N | N..N", help="Chips of the job; a..b doubles.")]
Ladder = Annotated[str, typer.Option("--ladder", help="Online recovery: vendor (as operators run it), full, none.")]
Detection = Annotated[str, typer.Option("--detection", help="How stops are noticed: mixed, active, passive.")]
Scene = Annotated[str, typer.Option("--scenario", help="A shipped scenario or a YAML file.")]
Policy = Annotated[str, typer.Option(
    "--with", metavar="NAME[=VALUE],...", help="Further recovery and faults: near, background, shrink, warm=8, cold=8, "
    "pool=4, lemons, evict=3, quarantine=24h, domains, job-software.")]

PRIOR_NOTE = ("Ascend fault rates are assumed multiples of a counted H100 fleet's: no public fault count exists for "
              "any Ascend cluster.")

MOST_CHIPS = 10_000_000
"""A job of more chips than this is taken for a slip."""


def sizes_of(text: str, name: str = "--chips") -> tuple[int, ...]:
    """Read `8192`, `1024,4096` or `1024..16384` (doubling)."""
    from chipcast.base.units import parse_quantity

    def whole(word: str) -> int:
        number = parse_quantity(word, "chips", name)
        if number < 1 or number != int(number):
            raise InputError(f"{name} must be whole numbers of 1 or more, got '{word.strip()}'")
        if number > MOST_CHIPS:
            raise InputError(f"{name} must be {MOST_CHIPS:,} or less, got '{word.strip()}'")
        return int(number)

    if ".." in text:
        low, _, high = text.partition("..")
        first, last = whole(low), whole(high)
        if first > last:
            raise InputError(f"{name} must rise from left to right, got '{text}'")
        out = [first]
        while out[-1] * 2 <= last:
            out.append(out[-1] * 2)
        return tuple(out if out[-1] == last else [*out, last])
    return tuple(whole(word) for word in text.split(","))


def one_size(text: str, name: str = "--chips") -> int:
    """Read one whole number of chips or nodes."""
    sizes = sizes_of(text, name)
    if len(sizes) != 1:
        raise InputError(f"{name} must be one number here, got '{text}'")
    return sizes[0]


def chips_of(text: str, scenario: str, as_of: str) -> tuple[str, ...]:
    """Read chip names and return their ids, as known by the date; a name may stand for several bins."""
    from chipcast.base.catalog import Catalogue
    from chipcast.cluster.platform import BINS, known_as
    from chipcast.scenario import load

    loaded = load(scenario, as_of=as_of or None)
    catalog = Catalogue(loaded.as_of)
    own = set(loaded.chips)
    names = [known_as(word.strip().lower()) for word in text.split(",") if word.strip()]
    if not names:
        raise InputError("--chip needs at least one chip, for example --chip ascend-910b2")
    return tuple(name if name in own or name in BINS else catalog.resolve_chip(name) for name in names)


def setup(chip: str, scenario: str, as_of: str, draws: int, seed: int, sets: list[str] | None = None
          ) -> tuple[tuple[str, ...], Any]:
    """Return the ids of the chips named, and the table with their figures and the anchor's."""
    from chipcast.cluster.platform import bins_of

    chips = chips_of(chip, scenario, as_of)
    items = dict.fromkeys([b for c in chips for b in bins_of(c)])
    return chips, world(scenario, as_of=as_of, draws=draws, seed=seed, sets=sets or (),
                        chips=(*dict.fromkeys((*items, "h100-sxm")),))


def bins_said(given: Any, chips: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Return the weights of the bins that stand for each name without a bin."""
    from chipcast.cluster.platform import bin_weights

    return {c: w for c in chips if (w := bin_weights(given, c))}


def say_bins(given: Any, chips: tuple[str, ...]) -> None:
    """Note which bins a name without a bin stands for."""
    for name, weights in bins_said(given, chips).items():
        note(f"{name} names no bin: " + ", ".join(f"{w:.0%} {b}" for b, w in weights.items()) + ", one bin a draw.")


def warn(chips: tuple[str, ...]) -> None:
    """Note that Ascend rates are priors where an Ascend chip is named."""
    if any(c.startswith("ascend") for c in chips):
        note(PRIOR_NOTE)


def seconds_of(text: str, name: str) -> float:
    """Read a time above zero, in seconds."""
    from chipcast.base.units import parse_quantity

    value = parse_quantity(text, "s", name)
    if value <= 0:
        raise InputError(f"{name} must be above 0 s, got '{text}'")
    return value


def share_of(text: str, name: str) -> float:
    """Read a share such as 98%."""
    from chipcast.base.units import parse_quantity

    return parse_quantity(text, "1", name)


def percent(b: dict[str, float]) -> str:
    """Return an interval of a share as percents."""
    return f"{100 * b['p50']:.1f} ({100 * b['p05']:.0f} to {100 * b['p95']:.0f})"


def points(b: dict[str, float]) -> str:
    """Return an interval of a difference of shares as points of a percent."""
    return f"{100 * b['p50']:.2f} ({100 * b['p05']:.2f} to {100 * b['p95']:.2f})"


def minutes(b: dict[str, float]) -> str:
    """Return an interval of seconds as minutes."""
    return f"{b['p50'] / 60:.1f} ({b['p05'] / 60:.1f} to {b['p95'] / 60:.1f})"
