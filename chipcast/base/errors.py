"""Errors that say what to do next.

    ChipcastError          exit code 1, our own fault
    ├── InputError         exit code 2, something the user typed or wrote
    │   ├── DataError      exit code 2, a data row that cannot be used
    │   └── RuleError      exit code 2, a rule text that cannot be read
    └── InfeasibleError    exit code 3, the question has no feasible answer
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NoReturn


class ChipcastError(Exception):
    """Anything chipcast raises on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class InputError(ChipcastError):
    """The user's input cannot be used; the message says what to type instead."""

    exit_code = 2


class DataError(InputError):
    """A row of data breaks its contract (unit, date, source, range)."""


class RuleError(InputError):
    """The text of a rule's test cannot be parsed or names an unknown figure."""


class InfeasibleError(ChipcastError):
    """The input is fine and no answer exists; the message says what stands in the way."""

    exit_code = 3


def require(condition: object, name: str, must: str, got: object) -> None:
    """Raise `InputError` as "name must ..., got ..." unless `condition` is true."""
    if not condition:
        raise InputError(f"{name} must {must}, got {got}")


def nearest(name: str, known: Iterable[str], count: int = 1) -> list[str]:
    """Return up to `count` known names that look like `name`, best first."""
    table = {k.lower(): k for k in known}
    return [table[m] for m in difflib.get_close_matches(name.lower(), table, n=count, cutoff=0.5)]


def unknown(kind: str, name: str, known: Iterable[str], *, limit: int = 12) -> NoReturn:
    """Raise `InputError` that names the nearest known words and lists what exists."""
    names = sorted(set(known))
    close = nearest(name, names)
    hint = f"; did you mean '{close[0]}'?" if close else ";"
    listed = ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
    raise InputError(f"unknown {kind} '{name}'{hint} known: {listed}")
