"""A chip of the user's own, its figures given by hand; what is left out stays unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chipcast.base.catalog import Catalogue
from chipcast.base.errors import InputError
from chipcast.base.given import Row
from chipcast.base.laws import Law
from chipcast.chip.spec import rows
from chipcast.rules.expr import Interval
from chipcast.rules.measure import COUNTED, USED, Entry, Figures, build, figures
from chipcast.rules.place import place
from chipcast.rules.stated import CONSUMER, COUNTRY, DATACENTER, DOMESTIC, EXTRA, flag, key_of, stated


def own_chip(fields: Mapping[str, Any], *, name: str, catalog: Catalogue) -> Figures:
    """Return the figures of a chip stated by hand.

    Parameters
    ----------
    fields : mapping
        Figures by column of the data or alias (`fp16_tflops: 148`, `die_area_mm2: 700 to 830`, `dense_tops: 300` with
        `bits: 16`, `dies:` as a list), and `datacenter`, `sold_in_us`, `planar` as yes or no; `base` names a chip
        whose figures stand for what is left out.
    name : str
        Id to show.
    catalog : Catalogue
        Rows known by the information date, for `base`.

    Raises
    ------
    InputError
        If a key is unknown, a figure is no number or below zero, figures contradict, or none is given at all.
    """
    keys = {key_of(k): v for k, v in fields.items()}
    own = stated(keys)
    base = figures(catalog, catalog.resolve_chip(str(keys["base"]))) if keys.get("base") else None
    facts = catalog.chip_facts(base.id) if base else {}
    gone = _replaced(own.laws) | own.blank
    spans: dict[str, Interval] = {k: (f.low, f.high) for k, f in facts.items() if k not in gone}
    spans |= {k: (law.low, law.high) for k, law in own.laws.items()}
    if not own.laws and base is None:
        raise InputError("the chip states no figure; write at least fp16_tflops, die_area_mm2, io_bidir_gb_s and "
                         "mem_bw_gb_s")
    entries: dict[str, Entry] = {e.name: e for e in base.entries} if base else {}
    entries |= {k: Entry(name=k, low=law.low, high=law.high, unit=own.units[k], kind="scenario", source="yours",
                         known_by=str(catalog.as_of)) for k, law in own.laws.items()}
    remarks = list(own.remarks)
    dc, said = _datacenter(keys)
    if not said and not base:
        remarks.append("not stated whether it is for data centres: read as yes")
    found = build(
        name, spans.get, model=str(keys.get("model", keys.get("name", name))),
        vendor=str(keys.get("vendor", base.vendor if base else "yours")), domestic=_domestic(keys, base),
        dc=dc if said or not base else base.dc,
        sold_in_us=flag(keys, "sold_in_us") if "sold_in_us" in keys else (base.sold_in_us if base else (0, 1)),
        entries=tuple(e for k, e in entries.items() if k in (*USED, "pd") and k in spans), remarks=tuple(remarks))
    return _with_density(found, spans.get("pd"))


def _replaced(laws: Mapping[str, Law]) -> set[str]:
    """Return the figures of a base that no longer hold once these are stated."""
    gone = set()
    rates = {column for column, _ in COUNTED.values()}
    if rates & set(laws):
        gone.add("tpp_published")
    if "tpp_published" in laws:
        gone |= rates
    if {"scaleup_gb_s_bidirectional", "scaleup_gb_s_per_direction"} & set(laws):
        gone |= {"scaleup_gb_s_bidirectional", "scaleup_gb_s_per_direction"}
    return gone


def _with_density(f: Figures, pd: Interval | None) -> Figures:
    """Return the figures with a stated density; one that does not fit performance over area is refused."""
    if pd is None:
        return f
    if math.isfinite(f.area_mm2[1]):
        low, high = f.pd
        if pd[1] < 0.99 * low or pd[0] > 1.01 * high:
            raise InputError(f"performance_density {pd[0]:g} does not fit TPP {f.tpp[0]:g} over {f.area_mm2[0]:g} mm2, "
                             f"which gives {low:.4g}; leave one out")
        return f
    if math.isinf(f.tpp[1]) or pd[0] <= 0:
        return replace(f, pd=pd)
    return replace(f, pd=pd, area_mm2=(f.tpp[0] / pd[1], f.tpp[1] / pd[0]))


def _datacenter(keys: Mapping[str, Any]) -> tuple[Interval, bool]:
    """Return whether the chip is for data centres, and whether the user said so."""
    for key in DATACENTER:
        if key in keys:
            return flag(keys, key), True
    for key in CONSUMER:
        if key in keys:
            low, high = flag(keys, key)
            return (1 - high, 1 - low), True
    return (1, 1), False


def _domestic(keys: Mapping[str, Any], base: Figures | None) -> bool:
    for key in COUNTRY:
        if key in keys:
            return place(str(keys[key])).code in ("CN", "HK", "MO")
    for key in DOMESTIC:
        if key in keys:
            return flag(keys, key) == (1, 1)
    return bool(base and base.domestic)


def own_rows(fields: Mapping[str, Any], *, name: str, catalog: Catalogue) -> tuple[Row, ...]:
    """Return the figures of a chip stated by hand as rows of `given`, its base's first."""
    keys = {key_of(k): v for k, v in fields.items()}
    own = stated(keys)
    gone = _replaced(own.laws) | own.blank
    found: dict[str, Row] = {}
    if keys.get("base"):
        for row in rows(catalog, catalog.resolve_chip(str(keys["base"]))):
            column = row.name.partition(".")[2]
            if column not in gone:
                found[column] = replace(row, name=f"{name}.{column}")
    for column, law in own.laws.items():
        if column not in EXTRA:
            found[column] = Row(name=f"{name}.{column}", law=law, unit=own.units[column], kind="scenario",
                                source="scenario", why="stated by the user")
    return tuple(found.values())
