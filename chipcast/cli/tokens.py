"""Verbs of `tokens`."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="tokens")


@app.callback()
def _group() -> None:
    pass
