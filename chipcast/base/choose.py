"""Variants are entries of a table; `choose` looks one up or says what exists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from chipcast.base.errors import unknown

T = TypeVar("T")


def choose(table: Mapping[str, T], name: str, kind: str = "entry") -> T:
    """Return `table[name]`, or raise `InputError` with the nearest known names."""
    if name not in table:
        unknown(kind, name, table)
    return table[name]
