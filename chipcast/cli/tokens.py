"""Verbs of `tokens`: what a chip delivers on a model."""

from __future__ import annotations

import typer

from chipcast.cli import tokens_model, tokens_predict, tokens_serve, tokens_simulate, tokens_train

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None,
                  help="Tokens per second, latency and cost of a model on a chip; training; predictions.")


@app.callback()
def _group() -> None:
    pass


for part in (tokens_model, tokens_serve, tokens_predict, tokens_train, tokens_simulate):
    part.register(app)
