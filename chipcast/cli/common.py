"""What verbs share: options, the one JSON object on standard output, readable tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def measured(flag: str, unit: str, help: str, *, least: float | None = None, above: float | None = None,
             most: float | None = None) -> Any:
    """Return an option that reads a literal such as `64 GB`, `9k` or `30 %` into `unit` and holds it to its bounds."""

    def read(text: object) -> float:
        from chipcast.base.errors import require
        from chipcast.base.units import parse_quantity

        value = parse_quantity(text, unit, flag)
        require(least is None or value >= least, flag, f"be {least} or more", text)
        require(above is None or value > above, flag, f"be above {above}", text)
        require(most is None or value <= most, flag, f"be {most} or less", text)
        return value

    return typer.Option(flag, parser=read, metavar="NUMBER" if unit == "1" else unit.upper(), help=help)


def whole(flag: str, help: str, *, least: int = 1, most: int | None = None) -> Any:
    """Return an option that reads a whole number such as `4096` or `9k` and holds it to its bounds."""

    def read(text: object) -> int:
        from chipcast.base.errors import require
        from chipcast.base.units import parse_quantity

        value = parse_quantity(text, "1", flag)
        require(value == int(value), flag, "be a whole number", text)
        require(value >= least, flag, f"be {least} or more", text)
        require(most is None or value <= most, flag, f"be {most} or less", text)
        return int(value)

    return typer.Option(flag, parser=read, metavar="N", help=help)


Draws = Annotated[int, whole("--draws", "Number of draws.", least=100, most=1_000_000)]
Seed = Annotated[int, whole("--seed", "Seed of all random streams.", least=0, most=2**53)]
AsOf = Annotated[str, typer.Option("--as-of", metavar="DATE", help="Information date; default: all that is known.")]
Sets = Annotated[list[str], typer.Option(
    "--set", metavar="NAME=VALUE",
    help="A figure of your own, such as 'h20-96.price_usd=12k to 15k'; may be repeated.")]
InUnit = Annotated[str, typer.Option("--in", metavar="h100e", help="Count cards in a second unit too: h100e, "
                                     "H100-equivalents by dense 16-bit peak.")]
ScenarioName = Annotated[str, typer.Argument(metavar="[SCENARIO]", help="A shipped scenario or a YAML file.")]

TEXT_FROM = 34
"""A cell longer than this is a sentence and no number. [characters]"""

NO_LAWYER = "Says what published text says; no legal advice."


def catalogue(as_of: str) -> Any:
    """Return the catalogue of an information date given as text; empty means all that is known."""
    from chipcast.base.calendar import parse_date
    from chipcast.base.catalog import Catalogue, last_known

    return Catalogue(parse_date(as_of) if as_of else last_known())


def load(scenario: str, *, as_of: str = "", sets: Sequence[str] = ()) -> Any:
    """Return a scenario with the figures of `--set` on top; an empty `as_of` keeps the scenario's own date.

    Raises
    ------
    InputError
        If an item of `sets` is no `name=value`, or a name stands twice.
    """
    from chipcast.base.errors import InputError
    from chipcast.scenario import load as read

    stated: dict[str, str] = {}
    for item in sets:
        name, equals, text = (part.strip() for part in item.partition("="))
        if not (name and equals and text):
            raise InputError(f"--set needs NAME=VALUE, got '{item}'; for example --set 'h20-96.price_usd=12k to 15k'")
        if name in stated:
            raise InputError(f"--set gives {name} twice, '{stated[name]}' and '{text}'; keep one")
        stated[name] = text
    return read(scenario, as_of=as_of or None, overrides=stated)


def check_unit(unit: str) -> bool:
    """Return whether `--in` asks for H100-equivalents.

    Raises
    ------
    InputError
        If it names another unit.
    """
    from chipcast.base.errors import InputError

    if unit.lower() not in ("", "h100e"):
        raise InputError(f"--in '{unit}' is no unit of compute; write --in h100e, or leave it out: the product's own "
                         "unit is the useful token")
    return bool(unit)


def given(scenario: str = "february-2025", *, as_of: str = "", draws: int = 2000, seed: int = 1,
          chips: Sequence[str] = (), sets: Sequence[str] = ()) -> Any:
    """Return `given` for a single-station verb: the scenario's ranges and the figures of these chip ids.

    An empty `as_of` keeps the scenario's own date.
    """
    from chipcast import scenario as s

    loaded = load(scenario, as_of=as_of, sets=sets)
    return s.resolve(loaded, draws=draws, seed=seed, chips=tuple(chips))


def emit_json(payload: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    from chipcast.base.summary import to_json

    typer.echo(to_json(payload))


def note(text: str) -> None:
    """Print progress or a note on standard error."""
    typer.echo(text, err=True)


def say(text: str) -> None:
    """Print a line of the answer on standard output."""
    typer.echo(text)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, foot: str = "") -> None:
    """Print a table; the first column and those with sentences are set to the left, numbers to the right."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    grid = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    cells = [[str(cell) for cell in row] for row in rows]
    for i, name in enumerate(columns):
        words = i == 0 or any(len(row[i]) > TEXT_FROM for row in cells if i < len(row))
        grid.add_column(name, justify="left" if words else "right", overflow="fold")
    for row in cells:
        grid.add_row(*[escape(cell) for cell in row])
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console.width = max(console.width, 110)
    console.print(grid)
    if foot:
        console.print(foot, markup=False, highlight=False)
