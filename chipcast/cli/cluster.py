"""Verbs of `cluster`: what large jobs keep, how long collectives take, whether a claim can hold."""

from __future__ import annotations

import typer

from chipcast.cli import cluster_claims, cluster_compare, cluster_faults, cluster_links, cluster_run

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None,
                  help="Large machines: goodput under faults, collective times, availability claims.")

for part in (cluster_run, cluster_compare, cluster_claims, cluster_faults, cluster_links):
    part.register(app)
