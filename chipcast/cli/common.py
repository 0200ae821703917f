"""What verbs share: options, the one JSON object on standard output, readable tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Draws = Annotated[int, typer.Option("--draws", min=100, max=1_000_000, help="Number of draws.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random streams.")]
AsOf = Annotated[str, typer.Option("--as-of", metavar="DATE", help="Information date; default: all that is known.")]
ScenarioName = Annotated[str, typer.Argument(metavar="[SCENARIO]", help="A shipped scenario or a YAML file.")]

TEXT_FROM = 34
"""A cell longer than this is a sentence and no number. [characters]"""

NO_LAWYER = "Says what published text says; no legal advice."


def catalogue(as_of: str) -> Any:
    """Return the catalogue of an information date given as text; empty means all that is known."""
    from chipcast.base.calendar import parse_date
    from chipcast.base.catalog import Catalogue, last_known

    return Catalogue(parse_date(as_of) if as_of else last_known())


def given(scenario: str = "february-2025", *, as_of: str = "", draws: int = 2000, seed: int = 1,
          chips: Sequence[str] = ()) -> Any:
    """Return `given` for a single-station verb: the scenario's ranges and the figures of these chip ids.

    An empty `as_of` keeps the scenario's own date.
    """
    from chipcast import scenario as s

    loaded = s.load(scenario, as_of=as_of or None)
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
