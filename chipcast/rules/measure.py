"""What the rules measure of a chip: total processing performance, density, links, memory, with every input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from chipcast.base.catalog import Catalogue, Fact, read_table
from chipcast.base.types import Numeric
from chipcast.chip.bins import vendor_extra
from chipcast.chip.formats import BITS, COLUMN, MIXTURES
from chipcast.rules.expr import Interval

COUNTED = {p: (COLUMN[p], BITS[p]) for p in ("fp16", "bf16", "fp8", "int8", "fp4")} | {
    "fp64": ("fp64_tflops", 64), "fp32": ("fp32_tflops", 32), "int16": ("int16_tops", 16), "fp6": ("fp6_tflops", 6),
    "int4": ("int4_tops", 4)}
"""Formats of the multiply that enter the maximum: column and bits. TF32 is no 32-bit work and never wins."""

LONG = ("fp64", "fp32")
"""Formats of vector units in most data sheets: they count only where no shorter format is stated, as in the published
figures (an L20 is 1912 by FP8, and 59.8 TFLOPS of FP32 do not make it 1914)."""

UNKNOWN: Interval = (0.0, math.inf)
"""A figure that nobody has published."""

ENTRIES = {"io_bidir_gb_s": "scaleup_gb_s_bidirectional", "dram_bw_gb_s": "mem_bw_gb_s",
           "transistors_bn": "transistors_bn", "area_mm2": "applicable_die_mm2"}
"""Figure of a rule and the column of the data behind it."""

USED = (*(column for column, _ in COUNTED.values()), "tpp_published", "scaleup_gb_s_per_direction", *ENTRIES.values())
"""Columns of the data that enter a measurement."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One figure that went in, and where it comes from."""

    name: str
    """Column of the data."""
    low: float
    """Low end. [unit]"""
    high: float
    """High end. [unit]"""
    unit: str
    """Its unit."""
    kind: str
    """official, reported, derived, scenario, ..."""
    source: str
    """Key of `sources.csv`, or `yours`."""
    known_by: str
    """First day it could have been used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What the tests of the rules read of a chip; intervals where sources differ, (0, inf) where unknown."""

    id: str
    """Chip id."""
    model: str
    """Name on the data sheet."""
    vendor: str
    """Who sells it."""
    domestic: bool
    """Whether its vendor is Chinese."""
    announced: str
    """First day the chip was known; empty where no date is known."""
    tpp_by_precision: Mapping[str, Interval]
    """Bits times dense rate by format. [1]"""
    winner: str
    """Format whose product is largest; empty where none is known."""
    tpp: Interval
    """Total processing performance. [1]"""
    area_mm2: Interval
    """Applicable die area; (0, 0) where no die is non-planar. [mm2]"""
    pd: Interval
    """Performance density, TPP over area. [1/mm2]"""
    io_bidir_gb_s: Interval
    """Links to other circuits, both directions, all links. [GB/s]"""
    dram_bw_gb_s: Interval
    """Memory bandwidth of the package. [GB/s]"""
    transistors_bn: Interval
    """Transistors. [1e9]"""
    dc: Interval
    """Designed or marketed for data centres: 1, 0 or (0, 1). [1]"""
    sold_in_us: Interval
    """Sold in the United States: 1, 0 or (0, 1). [1]"""
    entries: tuple[Entry, ...]
    """Every figure that went in."""
    remarks: tuple[str, ...]
    """What a reader should know, such as a conflict of sources."""

    def values(self, *, from_us: bool = True) -> dict[str, Interval]:
        """Return the figures by the names that tests use."""
        return {"tpp": self.tpp, "pd": self.pd, "io_bidir_gb_s": self.io_bidir_gb_s,
                "dram_bw_gb_s": self.dram_bw_gb_s, "transistors_bn": self.transistors_bn, "dc": self.dc,
                "sold_in_us": self.sold_in_us, "from_us": _flag(from_us), "prc_designed": _flag(self.domestic)}

    @property
    def missing(self) -> tuple[str, ...]:
        """Figures that are unknown."""
        return tuple(n for n in ("tpp", "area_mm2", "io_bidir_gb_s", "dram_bw_gb_s") if getattr(self, n) == UNKNOWN)


def total_processing_performance(rates: Mapping[str, Numeric]) -> tuple[Numeric, str]:
    """Return the largest product of bit length and dense rate, and the format that gives it. [1]

    Parameters
    ----------
    rates : mapping of format to numeric
        Dense rates as data sheets count them, two operations per multiply-add. [TFLOPS or TOPS]

    Notes
    -----
    TPP = 2 x MacTOPS x bits = rate x bits, largest over formats; the factor 2 is in the rate already.

    Sources: s-w-kelly-chip-export-controls-src-data-2

    >>> total_processing_performance({"fp16": 300, "int8": 600})[0]
    4800
    """
    best = max(rates, key=lambda p: float(_top(rates[p])) * COUNTED[p][1])
    return rates[best] * COUNTED[best][1], best


def _top(x: Numeric) -> Numeric:
    return x.max() if hasattr(x, "max") else x


def density(tpp: Numeric, area_mm2: Numeric) -> Numeric:
    """Return performance density: TPP over the area of all non-planar logic dies. [1/mm2]

    >>> round(density(1912, 608.5), 4)
    3.1422
    """
    return tpp / area_mm2


def _flag(value: bool) -> Interval:
    return (1, 1) if value else (0, 0)


def build(item: str, get: Callable[[str], Interval | None], *, model: str, vendor: str, domestic: bool, dc: Interval,
          sold_in_us: Interval, announced: str = "", entries: tuple[Entry, ...] = (), vector_extra: float = 0.0,
          remarks: tuple[str, ...] = ()) -> Figures:
    """Return the figures of a chip from a look-up of its columns.

    A published TPP that the rates do not round to is a conflict of sources: TPP is then the range of both. Where
    a vendor advertises matrix and vector units together, TPP reaches from one count to the other.
    """
    products: dict[str, Interval] = {}
    for precision, (column, bits) in COUNTED.items():
        rate = get(column)
        if rate is not None:
            high = rate[1] * (1 + (vector_extra if precision in ("fp16", "bf16") else 0.0))
            products[precision] = (rate[0] * bits, high * bits)
    tpp, winner, notes = UNKNOWN, "", list(remarks)
    if len(short := {p: v for p, v in products.items() if p not in LONG}):
        products = short
    elif products:
        notes.append("no format shorter than 32 bits is stated; TPP is that of the long ones")
    if products:
        winner = max(products, key=lambda p: products[p][0])
        tpp = (max(p[0] for p in products.values()), max(p[1] for p in products.values()))
    published = get("tpp_published")
    if published is not None and not _rounds(tpp, published):
        if products:
            notes.append(f"sources differ on TPP: the rates give {tpp[0]:g}, a published figure says {published[0]:g}")
        tpp = (min(tpp[0], published[0]), max(tpp[1], published[1])) if products else published
    area = get("applicable_die_mm2") or UNKNOWN
    io = get("scaleup_gb_s_bidirectional")
    if io is None and (one_way := get("scaleup_gb_s_per_direction")) is not None:
        io = (2 * one_way[0], 2 * one_way[1])
    return Figures(id=item, model=model, vendor=vendor, domestic=domestic, announced=announced,
                   tpp_by_precision=products, winner=winner, tpp=tpp, area_mm2=area, pd=_density(tpp, area),
                   io_bidir_gb_s=io or UNKNOWN, dram_bw_gb_s=get("mem_bw_gb_s") or UNKNOWN,
                   transistors_bn=get("transistors_bn") or UNKNOWN, dc=dc, sold_in_us=sold_in_us, entries=entries,
                   remarks=tuple(notes))


def _rounds(tpp: Interval, published: Interval) -> bool:
    return any(abs(end - published[0]) < 1 for end in tpp)


def _density(tpp: Interval, area: Interval) -> Interval:
    if area == (0.0, 0.0):
        return (0.0, 0.0)
    low = 0.0 if math.isinf(area[1]) else tpp[0] / area[1]
    high = math.inf if area[0] == 0 or math.isinf(tpp[1]) else tpp[1] / area[0]
    return (low, high)


@lru_cache(maxsize=1024)
def figures(catalog: Catalogue, item: str) -> Figures:
    """Return the figures of a catalogue chip, as known by the catalogue's date."""
    if item in MIXTURES:
        return _mixture(item, [figures(catalog, b) for b in MIXTURES[item]])
    names, facts = catalog.chip_names(item), catalog.chip_facts(item)
    flags = next((r for r in read_table("chip_flags") if r["item"] == item), None)

    def get(column: str) -> Interval | None:
        fact = facts.get(column)
        return None if fact is None else (fact.low, fact.high)

    guessed = [f"{k} {f.value:g} {f.unit if f.unit != '1' else ''}".rstrip() + f" is an estimate: {f.note}"
               for k, f in facts.items() if k in USED and f.kind == "estimated" and f.note]
    return build(
        item, get, model=names["model"], vendor=names["vendor"],
        domestic=bool(flags) and flags["vendor_country"] == "CN",  # type: ignore[index]
        dc=_flag(flags["dc"] == "1") if flags else (0, 1),
        sold_in_us=_flag(flags["sold_in_us"] == "1") if flags else (0, 1), announced=names["known_by"],
        vector_extra=vendor_extra(catalog, item), remarks=tuple(guessed),
        entries=tuple(entry(f) for k, f in facts.items() if k in USED))


def _mixture(item: str, parts: list[Figures]) -> Figures:
    def union(name: str) -> Interval:
        ends = [getattr(p, name) for p in parts]
        return min(e[0] for e in ends), max(e[1] for e in ends)

    spans: dict[str, Any] = {n: union(n) for n in ("tpp", "area_mm2", "pd", "io_bidir_gb_s", "dram_bw_gb_s",
                                                  "transistors_bn")}
    return replace(parts[0], id=item, model="Huawei Ascend 910B, bin not stated",
                   entries=tuple(e for p in parts for e in p.entries),
                   remarks=("no bin is stated: the range covers all four",), **spans)


def entry(fact: Fact) -> Entry:
    """Return a catalogue figure as an entry."""
    return Entry(name=fact.name, low=fact.low, high=fact.high, unit=fact.unit, kind=fact.kind, source=fact.source,
                 known_by=fact.known_by)
