"""Verbs of `rules`."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="rules")


@app.callback()
def _group() -> None:
    pass
