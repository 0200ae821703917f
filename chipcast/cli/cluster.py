"""Verbs of `cluster`."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="cluster")


@app.callback()
def _group() -> None:
    pass
