"""Verbs of `evidence`."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
