"""How near a chip sits to each line, and the largest chip that stays free."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from chipcast.base.types import Numeric
from chipcast.rules.expr import And, Compare, Label, Node, Not, Or, truth
from chipcast.rules.measure import Figures
from chipcast.rules.rule import layer

LIST_2023 = ("US-3A090A-2023", "US-3A090B-2023", "US-NAC-2023")
"""Rows of the list of 2023: tier .a, tier .b, Note 2."""


def class_2023(values: dict[str, tuple[Numeric, Numeric]]) -> str:
    """Return `.a`, `.b`, `Note 2`, `free` or `unknown` for one point of the list of 2023."""
    for rule, name in zip(LIST_2023, (".a", ".b", "Note 2"), strict=True):
        test = layer(rule).test
        assert test is not None
        sure, may = truth(test, values)
        if sure:
            return name
        if may:
            return "unknown"
    return "free"


def density_lines() -> tuple[float, ...]:
    """Return all limits on performance density in the list of 2023, rising. [1/mm2]"""
    out: set[float] = set()
    for rule in LIST_2023:
        test = layer(rule).test
        assert test is not None
        out |= {c.limit for c in comparisons(test) if c.names == ("pd",)}
    return tuple(sorted(out))


def comparisons(node: Node) -> tuple[Compare, ...]:
    """Return all comparisons of a test."""
    match node:
        case Compare():
            return (node,)
        case Not(part) | Label(_, part):
            return comparisons(part)
        case And(parts) | Or(parts):
            return tuple(c for p in parts for c in comparisons(p))
        case _:
            return ()


def classes_by_area(f: Figures) -> list[dict[str, Any]]:
    """Return the class under the list of 2023 by interval of die area, for one known TPP.

    The list has one entry where the area is known or TPP is not.
    """
    if f.tpp[0] != f.tpp[1] or f.area_mm2[0] == f.area_mm2[1]:
        return [{"class": class_2023(f.values()), "from_mm2": f.area_mm2[0],
                 "to_mm2": None if math.isinf(f.area_mm2[1]) else f.area_mm2[1], "where": "whatever the area"}]
    tpp = f.tpp[0]
    edges = [e for e in sorted(tpp / line for line in density_lines()) if f.area_mm2[0] < e < f.area_mm2[1]]
    cuts = [f.area_mm2[0], *edges, f.area_mm2[1]]
    out: list[dict[str, Any]] = []
    for low, high in itertools.pairwise(cuts):
        middle = high * 0.999999 if math.isfinite(high) else low * 1.000001 + 1
        pd = tpp / max(middle, 1e-9)
        name = class_2023({**f.values(), "pd": (pd, pd)})
        if out and out[-1]["class"] == name:
            out[-1]["to_mm2"] = None if math.isinf(high) else high
            continue
        out.append({"class": name, "from_mm2": low, "to_mm2": None if math.isinf(high) else high})
    for row in out:
        top = f"up to {row['to_mm2']:.5g} mm2" if row["to_mm2"] is not None else ""
        start = f"above {row['from_mm2']:.5g} mm2" if row["from_mm2"] > 0 else ""
        row["where"] = " and ".join(x for x in (start, top) if x) or "whatever the area"
    return out


def frontier(area_mm2: Numeric) -> Numeric:
    """Return the largest TPP that stays free at an applicable die area: approached, never reached. [1]

    Parameters
    ----------
    area_mm2 : numeric
        Applicable die area of a part for data centres. [mm2]

    Notes
    -----
    Each prong `tpp >= t and pd >= d` catches from max(t, d A) on; the frontier is the smallest of these over the
    prongs of .a and .b, so it follows the rows of the list.

    Sources: s-w-kelly-chip-export-controls-src-data-2

    >>> float(frontier(600.0))
    1920.0
    """
    best: Numeric = np.inf
    for rule in LIST_2023[:2]:
        for tpp_line, density_line in corners(rule):
            best = np.minimum(best, np.maximum(tpp_line, density_line * np.asarray(area_mm2, dtype=float)))
    return best


def corners(rule_id: str) -> tuple[tuple[float, float], ...]:
    """Return each prong of a row as (least TPP, least density), 0 where it names none."""
    from chipcast.rules.expr import prongs

    test = layer(rule_id).test
    assert test is not None
    out = []
    for part in prongs(test).values():
        low = {c.names[0]: c.limit for c in comparisons(part) if c.op in (">=", ">")}
        out.append((low.get("tpp", 0.0), low.get("pd", 0.0)))
    return tuple(out)
