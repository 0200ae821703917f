"""Verbs of `rules`: measure, check, table, history, design, map, and who may build: upstream, hbm, foundry."""

from __future__ import annotations

import typer

from chipcast.cli import rules_build, rules_check, rules_lines

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None,
                  help="Export rules: measure a chip, check a shipment, both gates, as known on any date.")

for part in (rules_check, rules_lines, rules_build):
    part.register(app)
