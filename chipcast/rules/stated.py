"""What a user writes of a chip: every spelling of a figure, read into the columns of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chipcast.base.catalog import read_table
from chipcast.base.errors import InputError, require, unknown
from chipcast.base.laws import Law, parse_law, point
from chipcast.rules.expr import Interval, comparisons
from chipcast.rules.measure import COUNTED
from chipcast.rules.rule import layer

ALIASES = {
    "die_area_mm2": "applicable_die_mm2", "applicable_die_area_mm2": "applicable_die_mm2",
    "die_mm2": "applicable_die_mm2", "area_mm2": "applicable_die_mm2", "logic_die_mm2": "applicable_die_mm2",
    "total_die_mm2": "applicable_die_mm2", "one_die_mm2": "compute_die_mm2",
    "hbm_gb": "mem_gb", "memory_gb": "mem_gb", "hbm_bw_gb_s": "mem_bw_gb_s", "dram_bw_gb_s": "mem_bw_gb_s",
    "memory_bw_gb_s": "mem_bw_gb_s", "memory_bandwidth_gb_s": "mem_bw_gb_s", "mem_bandwidth_gb_s": "mem_bw_gb_s",
    "dram_bandwidth_gb_s": "mem_bw_gb_s", "hbm_bandwidth_gb_s": "mem_bw_gb_s",
    "io_bidir_gb_s": "scaleup_gb_s_bidirectional", "io_bidirectional_gb_s": "scaleup_gb_s_bidirectional",
    "link_gb_s_bidirectional": "scaleup_gb_s_bidirectional", "link_bidir_gb_s": "scaleup_gb_s_bidirectional",
    "link_gb_s_per_direction": "scaleup_gb_s_per_direction", "io_gb_s_per_direction": "scaleup_gb_s_per_direction",
    "tpp": "tpp_published", "total_processing_performance": "tpp_published", "performance_density": "pd",
    "link_bw_gb_s_bidirectional": "scaleup_gb_s_bidirectional",
    "interconnect_bidir_gb_s": "scaleup_gb_s_bidirectional",
    "interconnect_gb_s_bidirectional": "scaleup_gb_s_bidirectional", "nvlink_bidir_gb_s": "scaleup_gb_s_bidirectional",
    "nvlink_gb_s_bidirectional": "scaleup_gb_s_bidirectional", "scaleup_bidir_gb_s": "scaleup_gb_s_bidirectional",
    "nvlink_gb_s_per_direction": "scaleup_gb_s_per_direction",
    "interconnect_gb_s_per_direction": "scaleup_gb_s_per_direction",
    "transistors": "transistors_bn", "transistors_billion": "transistors_bn",
    **{p: column for p, (column, _) in COUNTED.items()},
    **{f"{p}_{unit}": column for p, (column, _) in COUNTED.items() for unit in ("tflops", "tops")},
    **{f"{p}_{word}": column for p, (column, _) in COUNTED.items()
       for word in ("dense_tflops", "tflops_dense", "dense_tops", "tops_dense", "dense")},
}
"""Other words for a figure."""

THOUSANDS = {"hbm_tb_s": "mem_bw_gb_s", "mem_bw_tb_s": "mem_bw_gb_s", "dram_bw_tb_s": "mem_bw_gb_s",
             "hbm_bw_tb_s": "mem_bw_gb_s", "mem_bandwidth_tb_s": "mem_bw_gb_s", "hbm_bandwidth_tb_s": "mem_bw_gb_s",
             "memory_bw_tb_s": "mem_bw_gb_s", "dram_bandwidth_tb_s": "mem_bw_gb_s",
             "memory_bandwidth_tb_s": "mem_bw_gb_s", "io_bidir_tb_s": "scaleup_gb_s_bidirectional"}
"""Figures in TB/s and the column in GB/s."""

EXTRA = {"pd": "1", "int4_tops": "TOPS", "int16_tops": "TOPS", "fp6_tflops": "TFLOPS"}
"""Units of figures that no row of the catalogue has."""

TEXTS = ("name", "id", "model", "vendor", "base", "why", "note", "notes", "source", "sources", "process", "foundry",
         "mem_type", "scaleup_link", "confidence", "status", "launch", "launch_date", "announced", "known_by")
"""Keys that are no figures."""

DATACENTER = ("datacenter", "datacentre", "data_center", "data_centre", "dc", "datacenter_marketed", "is_datacenter",
              "for_datacenter")
CONSUMER = ("consumer", "gaming")
DOMESTIC = ("domestic", "prc_designed")
COUNTRY = ("vendor_country", "country")
RATE = ("dense_tops_or_tflops", "dense_tflops", "dense_tops", "tflops", "tops")
"""A rate without its format, to be read with `bits`."""

PER_CIRCUIT = (*(column for column, _ in COUNTED.values()), "tpp_published", "applicable_die_mm2", "mem_gb",
               "mem_bw_gb_s", "transistors_bn", "scaleup_gb_s_bidirectional", "scaleup_gb_s_per_direction")
"""Figures of a board that its circuits share out."""

PLAIN = (*TEXTS, "circuits", *DATACENTER, *CONSUMER, *DOMESTIC, *COUNTRY, *RATE, "sold_in_us", "planar", "nonplanar",
         "finfet", "node_nm", "bits", "dies")
"""All keys that `stated` reads by itself."""

BLANK = ("", "unknown", "none", "n/a", "?")
"""What says that a figure is not known."""

BY_FORMAT = ("rates", "peak", "peaks", "throughput", "precisions")
"""Keys that may hold rates by format."""

VAGUE = {"link_gb_s": "links", "nvlink_gb_s": "links", "io_gb_s": "links", "interconnect_gb_s": "links",
         "scaleup_gb_s": "links"}
"""Keys whose direction is open."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stated:
    """What a user wrote of a chip, by column of the data."""

    laws: Mapping[str, Law]
    """How each figure is uncertain, in the unit of its column."""
    units: Mapping[str, str]
    """Unit of each column."""
    blank: frozenset[str] = field(default=frozenset())
    """Columns that are said to be unknown, whatever a base has."""
    remarks: tuple[str, ...] = field(default=())
    """How something was read that could be read otherwise."""


def pick(tree: Any, *, name: str, which: str = "") -> tuple[str, dict[str, Any]]:
    """Return the id and the figures of one chip of a document: its own keys, `chips:`, or one name above them.

    Raises
    ------
    InputError
        If the document is no table, or holds several chips and none of them is asked for.
    """
    if not isinstance(tree, Mapping):
        raise InputError("a chip is written as 'key: value' lines, for example fp16_tflops: 148")
    inner = tree.get("chips", tree)
    if isinstance(inner, Mapping) and inner and all(isinstance(v, Mapping) for v in inner.values()):
        names = [str(k) for k in inner]
        if which and which not in names:
            unknown("chip", which, names)
        if len(names) > 1 and not which:
            raise InputError(f"holds {len(names)} chips; ask for one as FILE#NAME, with NAME one of {', '.join(names)}")
        found = which or names[0]
        return found, {key_of(k): v for k, v in dict(inner[found]).items()}
    fields = {key_of(k): v for k, v in tree.items()}
    return str(fields.get("id", fields.get("name", name))), fields


def key_of(text: object) -> str:
    """Return a key as it is looked up: in lower case, with underscores."""
    return str(text).strip().lower().replace("-", "_").replace(" ", "_")


def stated(fields: Mapping[str, Any]) -> Stated:
    """Read what a user wrote of a chip.

    Raises
    ------
    InputError
        If a key is unknown, a figure is no number or below zero, a rate is sparse, or a link has no direction.
    """
    units = {r["name"]: r["unit"] for r in read_table("chips")} | EXTRA
    fields = _flat(fields)
    laws: dict[str, Law] = {}
    blank: set[str] = set()
    remarks: list[str] = []
    for key, literal in fields.items():
        if key in PLAIN:
            continue
        if "sparse" in key or "sparsity" in key:
            raise InputError(f"{key}: sparse rates do not count; write the dense rate (often half of it, not always)")
        if key in VAGUE:
            raise InputError(f"{key}: say how {VAGUE[key]} are counted; write io_bidir_gb_s for both directions of all "
                             "links together, or link_gb_s_per_direction")
        column = THOUSANDS.get(key) or ALIASES.get(key, key)
        if column not in units:
            unknown("figure", key, [*units, *ALIASES, *THOUSANDS, *PLAIN], limit=60)
        if column in laws:
            raise InputError(f"{key} says again what another line says ({column}); keep one")
        if literal is None or str(literal).strip().lower() in BLANK:
            blank.add(column)
            continue
        law = parse_law(literal, "TB/s" if key in THOUSANDS else units[column], key, bounds=(0.0, math.inf))
        laws[column] = _times(law, 1000) if key in THOUSANDS else law
    _rate_with_bits(fields, laws)
    remarks += _area(fields, laws, units)
    remarks += _board(fields, laws)
    return Stated(laws=laws, units=units, blank=frozenset(blank), remarks=tuple(remarks))


def _times(law: Law, factor: float) -> Law:
    return replace(law, low=law.low * factor, mode=law.mode * factor, high=law.high * factor)


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with rates by format, such as `dense_tflops: {fp16: 300, fp8: 600}`, written out one by one."""
    out: dict[str, Any] = {}
    for key, value in fields.items():
        if key_of(key) in (*RATE, *BY_FORMAT) and isinstance(value, Mapping):
            for name, rate in value.items():
                if key_of(name) not in COUNTED:
                    unknown(f"format of {key}", str(name), COUNTED)
                out[key_of(name)] = rate
        else:
            out[key_of(key)] = value
    return out


def _rate_with_bits(fields: Mapping[str, Any], laws: dict[str, Law]) -> None:
    """Read a rate without a format as performance, by the length of its inputs."""
    keys = {key_of(k): v for k, v in fields.items()}
    rates = [k for k in RATE if k in keys]
    if not rates:
        require("bits" not in keys, "bits", "stand beside a rate such as dense_tops: 300", "no rate")
        return
    if len(rates) > 1 or "bits" not in keys:
        raise InputError(f"{rates[0]}: say the length of the inputs as bits: 16, or write fp16_tflops, int8_tops, ...")
    bits = parse_law(keys["bits"], "1", "bits", bounds=(1.0, 128.0))
    rate = parse_law(keys[rates[0]], "TOPS", rates[0], bounds=(0.0, math.inf))
    if "tpp_published" in laws and laws["tpp_published"] != _times(rate, bits.mode):
        raise InputError(f"{rates[0]} x bits gives {rate.mode * bits.mode:g} and tpp says "
                         f"{laws['tpp_published'].mode:g}; keep one")
    laws["tpp_published"] = _times(rate, bits.mode)


def _area(fields: Mapping[str, Any], laws: dict[str, Law], units: Mapping[str, str]) -> list[str]:
    """Add up the area that counts where it is stated die by die."""
    keys = {key_of(k): v for k, v in fields.items()}
    said = [flag(keys, "planar"), *[(1 - b, 1 - a) for a, b in (flag(keys, k) for k in ("nonplanar", "finfet"))]]
    if "node_nm" in keys and (0, 0) not in said:
        node = parse_law(keys["node_nm"], "nm", "node_nm", bounds=(0.0, math.inf))
        said += [(1, 1)] if node.low > _largest_node_nm() else []
    if (1, 1) in said:
        laws["applicable_die_mm2"] = point(0.0)
        return ["made on a planar process: no die counts, so no density prong can be met"]
    dies, total = keys.get("dies"), False
    if isinstance(dies, Sequence) and not isinstance(dies, str):
        require("applicable_die_mm2" not in laws, "dies", "stand alone or the total area alone", "both")
        low = high = 0.0
        for n, die in enumerate(dies, 1):
            one = {key_of(k): v for k, v in dict(die).items()} if isinstance(die, Mapping) else {"area_mm2": die}
            if extra := set(one) - {"area_mm2", "count", "planar", "hbm", "name", "why"}:
                unknown(f"key of die {n}", sorted(extra)[0], ("area_mm2", "count", "planar", "hbm", "name"))
            law = parse_law(one.get("area_mm2"), "mm2", f"dies[{n}].area_mm2", bounds=(0.0, math.inf))
            count = parse_law(one.get("count", 1), "1", f"dies[{n}].count", bounds=(1.0, 1000.0)).mode
            if flag(one, "hbm") != (1, 1) and flag(one, "planar") != (1, 1):
                low, high = low + count * law.low, high + count * law.high
        laws["applicable_die_mm2"] = parse_law(f"{low} to {high}" if low < high else low, "mm2", "dies")
        return ["all logic dies of the list add up; planar dies and memory do not count"]
    if dies is not None:
        total = "applicable_die_mm2" in laws
        laws.setdefault("compute_dies", parse_law(dies, "dies", "dies", bounds=(1.0, 1000.0)))
    if "compute_die_mm2" in laws and "applicable_die_mm2" not in laws:
        times = laws["compute_dies"].mode if "compute_dies" in laws else 1.0
        laws["applicable_die_mm2"] = _times(laws["compute_die_mm2"], times)
        return [f"area that counts: {times:g} x one die; other dies of a non-planar process would add to it"]
    return ["the die area is read as that of all dies together; write one_die_mm2 for one of them"] if total else []


def _largest_node_nm() -> float:
    """Return the largest node that the rule on foundries speaks of; a coarser process is read as planar. [nm]"""
    test = layer("US-FOUNDRY-2025").test
    assert test is not None, "the row has a test"
    return next(c.limit for c in comparisons(test) if c.names == ("node_nm",))


def _board(fields: Mapping[str, Any], laws: dict[str, Law]) -> list[str]:
    """Share the figures of a board out among its circuits: a package is one circuit, a board with two cards is two."""
    keys = {key_of(k): v for k, v in fields.items()}
    if "circuits" not in keys:
        return []
    count = parse_law(keys["circuits"], "1", "circuits", bounds=(1.0, 1000.0)).mode
    for column in PER_CIRCUIT:
        if column in laws:
            laws[column] = _times(laws[column], 1 / count)
    return [f"figures of a board with {count:g} circuits: each circuit counts alone"] if count > 1 else []


def flag(fields: Mapping[str, Any], key: str) -> Interval:
    """Return a yes-or-no figure as an interval; absent or `unknown` may be either."""
    value = fields.get(key, "unknown")
    word = str(value).strip().lower()
    if word in ("true", "yes", "1", "1.0"):
        return (1, 1)
    if word in ("false", "no", "0", "0.0"):
        return (0, 0)
    if word in ("unknown", "none", ""):
        return (0, 1)
    raise InputError(f"{key} must be yes, no or unknown, got '{value}'")
