"""How near a chip sits to each line, and the largest chip that stays free."""

from __future__ import annotations

import itertools
import math
from datetime import date
from typing import Any

import numpy as np

from chipcast.base.catalog import Catalogue
from chipcast.base.choose import choose
from chipcast.base.types import Numeric
from chipcast.rules.answer import Shipment
from chipcast.rules.check import Verdict, ask_for, signed, verdict
from chipcast.rules.distance import SLACKS, reason
from chipcast.rules.explain import QUANTITY, against
from chipcast.rules.expr import Interval, comparisons, prongs, truth, without_upper
from chipcast.rules.gates import us_gate
from chipcast.rules.measure import Figures, build
from chipcast.rules.rule import all_tests, known_layers, layer

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


def largest(catalog: Catalogue, on: date, *, area_mm2: float, io_bidir_gb_s: float = 0.0, dram_bw_gb_s: float = 0.0,
            to: str = "CN", hq: str = "", datacenter: bool = True) -> dict[str, Any]:
    """Return the largest TPP that the US gate leaves free for a design, checked on both sides of it.

    Parameters
    ----------
    catalog : Catalogue
        Rows known by the information date.
    on : date
        Day of the shipment.
    area_mm2, io_bidir_gb_s, dram_bw_gb_s : float
        Applicable die area, links and memory of the design. [mm2], [GB/s], [GB/s]
    to, hq : str
        Destination and seat of the buyer's parent.
    datacenter : bool
        Whether the design is sold for data centres.

    Returns
    -------
    dict
        `largest_free_tpp` is approached and never reached, 0 where no TPP is free, none where nothing bounds it;
        `status_below` and `status_at` are the verdicts just below it and on it.

    Notes
    -----
    The caught set is an up-set in TPP, so the first line on which a design is not free is the bound.
    """

    def status(tpp: float) -> Verdict:
        spans: dict[str, Interval] = {
            "tpp_published": (tpp, tpp), "applicable_die_mm2": (area_mm2, area_mm2),
            "scaleup_gb_s_bidirectional": (io_bidir_gb_s,) * 2, "mem_bw_gb_s": (dram_bw_gb_s,) * 2}
        f = build("design", spans.get, model="design", vendor="NVIDIA", domestic=False, sold_in_us=(0, 0),
                  dc=(1, 1) if datacenter else (0, 0))
        return verdict(catalog, ask_for(catalog, f, on, to=to, hq=hq))

    cuts: set[float] = set()
    for c in (c for test in all_tests(catalog) for c in comparisons(test)):
        if c.names == ("tpp",):
            cuts.add(c.limit)
        elif c.names == ("pd",):
            cuts.add(c.limit * area_mm2)
    lowest = status(min(cuts) / 2)
    best = 0.0 if lowest.us.word != "free" else next((c for c in sorted(cuts) if status(c).us.word != "free"), None)
    below = lowest if not best else status(best * (1 - NEAR))
    return {"area_mm2": area_mm2, "largest_free_tpp": best, "fp16_tflops": None if best is None else best / 16,
            "io_bidir_gb_s": io_bidir_gb_s, "dram_bw_gb_s": dram_bw_gb_s, "status_below": below.status,
            "status_at": None if best is None else status(best).status if best else below.status,
            "rule_id": None if best is None else (status(best) if best else below).us.decided_by or None}


NEAR = 1e-9
"""Relative step to the free side of a line."""


def other_bounds(catalog: Catalogue, on: date, *, to: str = "CN", hq: str = "") -> list[dict[str, Any]]:
    """Return the lines in force on memory and links alone, which a design must also stay under."""
    spans: dict[str, Interval] = {"tpp_published": (1.0, 1.0), "applicable_die_mm2": (1.0, 1.0)}
    f = build("design", spans.get, model="design", vendor="NVIDIA", domestic=False, dc=(1, 1), sold_in_us=(0, 0))
    out = []
    for x, _ in us_gate(catalog, ask_for(catalog, f, on, to=to, hq=hq)).looked_at:
        for name, part in ({} if x.test is None else prongs(x.test)).items():
            found = comparisons(part)
            if len(found) == 1 and {*found[0].names} <= {"io_bidir_gb_s", "dram_bw_gb_s"}:
                c = found[0]
                out.append({"rule_id": x.rule_id, "prong": name, "quantity": " + ".join(c.names), "op": c.op,
                            "limit": c.limit, "unit": "GB/s", "what": " plus ".join(QUANTITY[n] for n in c.names)})
    return out


def corners(rule_id: str) -> tuple[tuple[float, float], ...]:
    """Return each prong of a row as (least TPP, least density), 0 where it names none."""
    test = layer(rule_id).test
    assert test is not None
    out = []
    for part in prongs(test).values():
        low = {c.names[0]: c.limit for c in comparisons(part) if c.op in (">=", ">")}
        out.append((low.get("tpp", 0.0), low.get("pd", 0.0)))
    return tuple(out)


def bends() -> tuple[float, ...]:
    """Return the die areas at which the frontier changes its slope, rising. [mm2]

    >>> bends()
    (500.0, 750.0, 1500.0, 3000.0)
    """
    pairs = [c for rule in LIST_2023[:2] for c in corners(rule)]
    kinks = {t / d for t, _ in pairs for _, d in pairs if d}
    return tuple(a for a in sorted(kinks) if _slope(a * 0.999) != _slope(a * 1.001))


def _slope(area_mm2: float) -> float:
    low, high = frontier(area_mm2), frontier(area_mm2 * (1 + 1e-7))
    return round(float(high - low) / (area_mm2 * 1e-7), 3)


def lines(catalog: Catalogue, ask: Shipment, *, measure: str = "log_box") -> list[dict[str, Any]]:
    """Return the distance of a chip to every prong in force where it is shipped, the nearest first.

    Each row has the rule, the prong, the ends of the slack and the comparison that decides; above 0 is free.
    `measure` is an entry of `SLACKS`.
    """
    slack = choose(SLACKS, measure, "measure of slack")
    values = ask.figures.values(from_us=ask.from_us)
    out = []
    for x, _ in us_gate(catalog, ask).looked_at:
        if x.test is None:
            continue
        for name, part in prongs(x.test).items():
            wide = without_upper(part) or part
            low, high = (float(s) for s in slack(wide, values))
            if math.isinf(low) and math.isinf(high):
                continue
            why = reason(wide, values, end=0 if high > 0 else 1)
            out.append({"rule_id": x.rule_id, "prong": name, "slack": [low, high], "quantity": " + ".join(why.names),
                        "op": why.op, "limit": why.limit, "unit": why.unit, "reason": why})
    return sorted(out, key=lambda r: (abs(r["slack"][0]) if math.isfinite(r["slack"][0]) else math.inf, r["rule_id"]))


def ladder(catalog: Catalogue, on: date, *, to: str = "CN", hq: str = "") -> list[dict[str, Any]]:
    """Return every foreign chip with its slack to the nearest line, free ones nearest to it first.

    Parts that crowd a line are the first candidates of the next rule.
    """
    out = []
    for item in catalog.chip_ids():
        ask = ask_for(catalog, item, on, to=to, hq=hq)
        if ask.figures.domestic:
            continue
        v = verdict(catalog, ask)
        distance = signed(v.us)
        line = _line_at(lines(catalog, ask), distance)
        out.append({"chip": item, "us": v.us.word, "slack": distance, "decided_by": v.us.decided_by or None,
                    "rule_id": line["rule_id"] if line else None, "prong": line["prong"] if line else None,
                    "nearest": against(line["reason"], ask.figures) if line else None,
                    "announced": ask.figures.announced})
    return sorted(out, key=lambda r: (math.isnan(r["slack"]), r["slack"] < 0, abs(r["slack"])))


def _line_at(found: list[dict[str, Any]], distance: float) -> dict[str, Any] | None:
    """Return the line that a distance speaks of, if any."""
    best = min(found, key=lambda r: min(abs(s - distance) for s in r["slack"]), default=None)
    return best if best and min(abs(s - distance) for s in best["slack"]) < 1e-9 else None


def plane(catalog: Catalogue, on: date, *, to: str = "CN", segment: str = "platform") -> dict[str, Any]:
    """Return the arrays of the picture TPP against density: points, their verdicts, and the frontier as it stood.

    The frontier is empty on days when no rule on density was in force.
    """
    points = []
    for item in catalog.chip_ids():
        ask = ask_for(catalog, item, on, to=to, segment=segment)
        v, f = verdict(catalog, ask), ask.figures
        points.append({"chip": item, "tpp": list(f.tpp), "pd": list(f.pd), "status": v.status, "slack": signed(v.us),
                       "prong": v.us.prong, "domestic": f.domestic})
    return {"on": str(on), "as_of": str(catalog.as_of), "points": points, "corners": in_force(catalog, on)}


def in_force(catalog: Catalogue, on: date) -> list[dict[str, Any]]:
    """Return the corners (least TPP, least density) of each prong of the list of 2023 if it binds on a day."""
    live = {x.rule_id for x in known_layers(catalog) if x.phase(on, catalog.as_of) == "binding"}
    out = []
    for rule in LIST_2023[:2]:
        test = layer(rule).test
        if rule in live and test is not None:
            out += [{"rule_id": rule, "prong": name, "tpp": corner[0], "pd": corner[1]}
                    for name, corner in zip(prongs(test), corners(rule), strict=True)]
    return out
