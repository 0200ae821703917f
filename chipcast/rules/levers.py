"""What would change an answer: for each figure of a chip the nearest value at which the US gate says another word."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from chipcast.base.catalog import Catalogue
from chipcast.rules.answer import Shipment
from chipcast.rules.expr import Compare, comparisons
from chipcast.rules.gates import us_gate
from chipcast.rules.measure import Figures, density
from chipcast.rules.record import US_WORDS
from chipcast.rules.rule import all_tests

UNITS = {"tpp": "1", "area_mm2": "mm2", "io_bidir_gb_s": "GB/s", "dram_bw_gb_s": "GB/s"}
"""Figures that a maker can change, with their unit; the die area moves density alone."""

STEP = 1e-9
"""Relative step across a line."""


def levers(catalog: Catalogue, ask: Shipment, *, hq_rule: str = "as_enforced") -> list[dict[str, Any]]:
    """Return for each figure the nearest value, up and down, at which the US gate says another word.

    Every other figure stays as it is; `to` is the line and `side` where of it the word changes. Empty where a name
    decides, the word is open, or no line reaches.

    Parameters
    ----------
    catalog : Catalogue
        Rows known by the information date.
    ask : Shipment
        What is asked, with figures that are known.
    hq_rule : str
        Reading of the headquarters rule.
    """
    now = us_gate(catalog, ask, hq_rule=hq_rule)
    if now.word == "unknown" or ask.figures.domestic:
        return []
    out = []
    for name, unit in UNITS.items():
        low, high = getattr(ask.figures, name)
        if low != high or not low:
            continue
        for upward in (True, False):
            for cut, line in sorted(_cuts(catalog, ask.figures, name), reverse=not upward):
                if (cut <= low) if upward else (cut >= low):
                    continue
                found = _word(catalog, ask, name, cut, hq_rule)
                if found != now.word:
                    out.append({"quantity": name, "from": float(low), "to": float(line),
                                "side": "below" if cut < line else "from", "unit": unit, "us": found,
                                "milder": US_WORDS.index(found) < US_WORDS.index(now.word),
                                "relative": abs(math.log(cut / low))})
                    break
    return sorted(out, key=lambda r: (not r["milder"], r["relative"]) if now.word != "free" else (False, r["relative"]))


def _cuts(catalog: Catalogue, f: Figures, name: str) -> set[tuple[float, float]]:
    """Return (value, line) just on both sides of every line that one figure may cross while the others stay."""
    lines: set[float] = set()
    for c in _comparisons(catalog):
        if name in c.names:
            others = [getattr(f, n) for n in c.names if n != name]
            lines.add(c.limit - sum(low for low, high in others if low == high))
        elif c.names == ("pd",) and name == "tpp":
            lines |= {c.limit * end for end in f.area_mm2 if math.isfinite(end)}
        elif c.names == ("pd",) and name == "area_mm2":
            lines |= {end / c.limit for end in f.tpp if math.isfinite(end)}
    return {(x * side, x) for x in lines if x > 0 for side in (1 - STEP, 1 + STEP)}


def _comparisons(catalog: Catalogue) -> Iterable[Compare]:
    return (c for test in all_tests(catalog) for c in comparisons(test))


def _word(catalog: Catalogue, ask: Shipment, name: str, value: float, hq_rule: str) -> str:
    changed: dict[str, Any] = {name: (value, value)}
    f = replace(ask.figures, **changed)
    if name in ("tpp", "area_mm2") and f.area_mm2[0] > 0 and math.isfinite(f.area_mm2[1]):
        f = replace(f, pd=(density(f.tpp[0], f.area_mm2[1]), density(f.tpp[1], f.area_mm2[0])))
    return us_gate(catalog, replace(ask, figures=f), hq_rule=hq_rule).word
