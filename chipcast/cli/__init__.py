"""The command line: verbs by station, errors in one sentence, exit codes 0, 1, 2 and 3.

Station modules import what they compute with inside their functions, so that `--help` stays fast.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from importlib import import_module
from typing import Any

import typer

from chipcast import __version__
from chipcast.base.errors import ChipcastError

STATIONS = ("fab", "chip", "rules", "cluster", "tokens")
"""Groups of verbs, in the order of the line; each is `chipcast.cli.<name>.app`."""

VERBS = ("run", "market", "evidence", "plan", "web")
"""Modules whose `register(app)` adds verbs that stand alone."""

ONE_THREAD = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Settings of libraries for matrix products: ours are small, threads that wait for one another cost more than they
save, and a sum must not depend on the number of cores."""

USAGE_ERROR: Any = typer.BadParameter.__mro__[1]
"""The family of wrong words on the command line, wherever Typer keeps it."""

app = typer.Typer(
    name="chipcast", add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Forecast and plan AI compute, from wafer to token.", context_settings={"help_option_names": ["-h", "--help"]})


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"chipcast {__version__}")
        raise typer.Exit


@app.callback()
def _root(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True,
                                       help="Print the version and stop.")) -> None:
    pass


@lru_cache(maxsize=1)
def build() -> typer.Typer:
    """Return the whole command line, with every verb that is built; built once in a process."""
    for name in VERBS:
        import_module(f"chipcast.cli.{name}").register(app)
    for name in STATIONS:
        app.add_typer(import_module(f"chipcast.cli.{name}").app, name=name)
    return app


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; the reason of a failure goes to standard error."""
    try:
        code = build()(args=arguments, standalone_mode=False)
        return int(code) if isinstance(code, int) else 0
    except ChipcastError as error:
        typer.echo(f"chipcast: {error}", err=True)
        return error.exit_code
    except USAGE_ERROR as error:
        message, context = error.format_message(), getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(message)
            return 0
        where = f" (see '{context.command_path} --help')" if context else ""
        typer.echo(f"chipcast: {' '.join(message.split())}{where}", err=True)
        return 2
    except typer.Abort:
        typer.echo("chipcast: stopped", err=True)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def entry() -> None:
    """Entry point of the installed command; what the user's environment says of threads is left alone."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    sys.exit(main())
