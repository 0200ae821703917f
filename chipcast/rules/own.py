"""A chip of the user's own, its figures given by hand; what is left out stays unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chipcast.base.catalog import Catalogue, read_table
from chipcast.base.errors import InputError, unknown
from chipcast.base.given import Row
from chipcast.base.laws import parse_law
from chipcast.chip.formats import COLUMN
from chipcast.chip.spec import rows
from chipcast.rules.expr import Interval
from chipcast.rules.measure import COUNTED, ENTRIES, Entry, Figures, build, figures

ALIASES = {
    "die_area_mm2": "applicable_die_mm2", "hbm_gb": "mem_gb", "hbm_bw_gb_s": "mem_bw_gb_s",
    "dram_bw_gb_s": "mem_bw_gb_s",
    "io_bidir_gb_s": "scaleup_gb_s_bidirectional", "tpp": "tpp_published", "int8_tflops": "int8_tops",
    "link_gb_s_bidirectional": "scaleup_gb_s_bidirectional", "link_gb_s_per_direction": "scaleup_gb_s_per_direction",
    "hbm_tb_s": "mem_bw_gb_s", "mem_bw_tb_s": "mem_bw_gb_s",
}
"""Other words for a figure."""

WORDS = ("name", "model", "vendor", "vendor_country", "datacenter", "sold_in_us", "base", "planar", "why")
"""Keys that are no figures."""


def own_chip(fields: Mapping[str, Any], *, name: str, catalog: Catalogue) -> Figures:
    """Return the figures of a chip stated by hand.

    Parameters
    ----------
    fields : mapping
        Figures by column of the data or alias (`fp16_tflops: 148`, `die_area_mm2: 700 to 830`), and `datacenter`,
        `sold_in_us`, `planar` as yes or no; `base` names a chip whose figures stand for what is left out.
    name : str
        Id to show.
    catalog : Catalogue
        Rows known by the information date, for `base`.

    Raises
    ------
    InputError
        If a key is unknown, a figure is no number or below zero, or no figure is given at all.
    """
    units = {r["name"]: r["unit"] for r in read_table("chips") if r["name"] != "name"}
    known = [*units, *ALIASES, *WORDS]
    base = figures(catalog, catalog.resolve_chip(str(fields["base"]))) if fields.get("base") else None
    facts = catalog.chip_facts(base.id) if base else {}
    spans: dict[str, Interval] = {k: (f.low, f.high) for k, f in facts.items()}
    entries: dict[str, Entry] = {e.name: e for e in base.entries} if base else {}
    stated = 0
    for key, literal in fields.items():
        if key in WORDS:
            continue
        column = ALIASES.get(key, key)
        if column not in units:
            unknown("figure", str(key), known, limit=40)
        value = literal * 1000 if key.endswith("_tb_s") and isinstance(literal, int | float) else literal
        law = parse_law(value, units[column], str(key), bounds=(0.0, float("inf")))
        spans[column] = (law.low, law.high)
        entries[column] = Entry(name=column, low=law.low, high=law.high, unit=units[column], kind="scenario",
                                source="yours", known_by=str(catalog.as_of))
        stated += 1
    if not stated and base is None:
        raise InputError("the chip states no figure; write at least fp16_tflops, die_area_mm2, io_bidir_gb_s and "
                         "mem_bw_gb_s")
    if any(COLUMN[p] in {ALIASES.get(k, k) for k in fields} for p in COUNTED) and "tpp" not in fields:
        spans.pop("tpp_published", None)
    if _flag(fields, "planar") == (1, 1):
        spans["applicable_die_mm2"] = (0.0, 0.0)
    used = {*(COLUMN[p] for p in COUNTED), "tpp_published", "scaleup_gb_s_per_direction", *ENTRIES.values()}
    return build(
        name, spans.get, model=str(fields.get("model", fields.get("name", name))),
        vendor=str(fields.get("vendor", base.vendor if base else "yours")),
        domestic=str(fields["vendor_country"]).upper() == "CN" if "vendor_country" in fields else
        bool(base and base.domestic),
        dc=_flag(fields, "datacenter") if "datacenter" in fields else (base.dc if base else (1, 1)),
        sold_in_us=_flag(fields, "sold_in_us") if "sold_in_us" in fields else (base.sold_in_us if base else (0, 1)),
        entries=tuple(e for k, e in entries.items() if k in used and k in spans),
        remarks=() if "datacenter" in fields or base else ("not stated whether it is for data centres: read as yes",))


def own_rows(fields: Mapping[str, Any], *, name: str, catalog: Catalogue) -> tuple[Row, ...]:
    """Return the figures of a chip stated by hand as rows of `given`, its base's first."""
    units = {r["name"]: r["unit"] for r in read_table("chips") if r["name"] != "name"}
    found: dict[str, Row] = {}
    if fields.get("base"):
        for row in rows(catalog, catalog.resolve_chip(str(fields["base"]))):
            column = row.name.partition(".")[2]
            found[column] = replace(row, name=f"{name}.{column}")
    for key, literal in fields.items():
        if key in WORDS:
            continue
        column = ALIASES.get(key, key)
        value = literal * 1000 if key.endswith("_tb_s") and isinstance(literal, int | float) else literal
        law = parse_law(value, units[column], str(key), bounds=(0.0, float("inf")))
        found[column] = Row(name=f"{name}.{column}", law=law, unit=units[column], kind="scenario", source="scenario",
                            why="stated by the user")
    return tuple(found.values())


def _flag(fields: Mapping[str, Any], key: str) -> Interval:
    """Return a yes-or-no figure as an interval; absent or `unknown` may be either."""
    value = fields.get(key, "unknown")
    word = str(value).strip().lower()
    if word in ("true", "yes", "1"):
        return (1, 1)
    if word in ("false", "no", "0"):
        return (0, 0)
    if word == "unknown":
        return (0, 1)
    raise InputError(f"{key} must be yes, no or unknown, got '{value}'")
