"""Places and the groups that rules name: a destination by code or name, and what it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from chipcast.base.catalog import read_table
from chipcast.base.errors import InputError, nearest

MAINLAND = frozenset({"CN", "HK"})
"""Codes that the US rules treat as one place."""

ARMS = ("D5", "MO")
"""Groups whose companies carry the licence need with them, wherever they buy."""


@dataclass(frozen=True, slots=True)
class Place:
    """A destination or a seat of a company."""

    code: str
    """Two letters."""
    name: str
    """Common name."""
    groups: frozenset[str]
    """Country groups and the code itself."""

    @property
    def arms_group(self) -> str:
        """`D5` or `MO` where the headquarters rule reaches, else empty; one that is also in A:5 or A:6 is spared."""
        if self.groups & {"A5", "A6"}:
            return ""
        return next((g for g in ARMS if g in self.groups), "")


@lru_cache(maxsize=1)
def _table() -> tuple[dict[str, Place], dict[str, str]]:
    places, words = {}, {}
    for row in read_table("countries"):
        code = row["code"]
        places[code] = Place(code, row["name"], frozenset({code, *row["groups"].split()}))
        for word in (code, row["name"], *row["aliases"].split("|")):
            if word:
                words[word.lower()] = code
    return places, words


def place(text: str) -> Place:
    """Return a place by two-letter code or name, in any case.

    Raises
    ------
    InputError
        If it is no country or territory.
    """
    places, words = _table()
    code = words.get(text.strip().lower().removeprefix("the "))
    if code is None:
        close = nearest(text.strip(), [w for w in words if len(w) > len("CN") or len(text.strip()) <= len("CN") + 1])
        hint = f"; did you mean '{close[0] if len(close[0]) > 2 else close[0].upper()}'?" if close else ";"
        raise InputError(f"'{text}' is no country{hint} write a two-letter code or a name, for example CN or China")
    return places[code]


def places() -> tuple[Place, ...]:
    """Return all places by code."""
    return tuple(_table()[0].values())
