"""Verbs of `fab`: dies, yield, harvest, package, patterning, line, cost, map."""

from __future__ import annotations

import typer

from chipcast.cli import fab_cost, fab_line, fab_wafer, fab_yield

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None,
                  help="Wafers, yield, packages and cost: how many chips a line makes and what limits it.")

for part in (fab_wafer, fab_yield, fab_cost, fab_line):
    part.register(app)
