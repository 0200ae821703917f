"""One chip as the stations to the right need it: matrix rates, memory, links, power, price, die."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from chipcast.base import draws
from chipcast.base.catalog import Catalogue, Fact, read_table
from chipcast.base.errors import InputError, unknown
from chipcast.base.given import Given, Row
from chipcast.base.laws import Law, point
from chipcast.base.types import Array
from chipcast.chip.bins import vendor_extra
from chipcast.chip.formats import BITS, COLUMN, MIXTURE_ALIASES, MIXTURES, PRECISIONS, WIDER, mixture


@dataclass(frozen=True, kw_only=True, slots=True)
class Chip:
    """A chip's figures; not-a-number stands for a figure that is unknown at the date."""

    id: str
    """Id of the catalogue, or the user's own."""
    vendor: str
    """Who sells it."""
    model: str
    """Name on the data sheet."""
    tflops: dict[str, Array]
    """Dense rate of the matrix units by format, only those that are known. [TFLOPS or TOPS] (draw)"""
    vendor_tflops: Array
    """FP16 as the vendor advertises: with vector units on Ascend, else the matrix rate. [TFLOPS] (draw)"""
    mem_gb: Array
    """Memory. [GB] (draw)"""
    mem_bw_gb_s: Array
    """Memory bandwidth. [GB/s] (draw)"""
    scaleup_gb_s: Array
    """Scale-up link, one direction. [GB/s] (draw)"""
    scaleup_domain: float
    """Chips in one scale-up domain. [chips]"""
    scaleout_gb_s: Array
    """Scale-out port, one direction. [GB/s] (draw)"""
    tdp_w: Array
    """Board power. [W] (draw)"""
    price_usd: Array
    """Price of a card. [USD] (draw)"""
    dies: float
    """Logic dies in the package. [dies]"""
    applicable_die_mm2: Array
    """Area that the export rules count. [mm2] (draw)"""
    transistors_bn: Array
    """Transistors. [1e9] (draw)"""
    native: tuple[str, ...]
    """Formats whose rate is known."""
    missing: tuple[str, ...]
    """Fields that are unknown at the date."""
    weights: dict[str, float]
    """Bins behind a name without a bin and their shares; empty otherwise. [1]"""

    def rate(self, precision: str) -> tuple[Array, str]:
        """Return the matrix rate that work of a format gets, and the format it runs in. [TFLOPS] (draw)

        Raises
        ------
        InputError
            If neither the format nor a wider one has a known rate.
        """
        if precision not in BITS:
            unknown("precision", precision, BITS)
        for name in (precision, *WIDER[precision]):
            if name in self.tflops:
                return self.tflops[name], name
        raise InputError(f"no matrix rate of '{self.id}' is known for {precision} or wider; "
                         f"known: {', '.join(self.native) or 'none'}; state {self.id}.{COLUMN['bf16']}")


def chip(given: Given, name: str) -> Chip:
    """Return a chip by id, alias, or the user's own name, with every figure as [draw].

    Figures come from rows `<id>.<figure>` of `given` and else from the catalogue; a name without a bin is a
    mixture of its bins, one bin a draw.

    Raises
    ------
    InputError
        If no such chip is known at the date.
    """
    item = resolve(given, name)
    if item in MIXTURES:
        return _mixture(given, item)
    names = _names(given.catalog, item)
    facts = given.catalog.chip_facts(item)
    tflops = {p: values for p in PRECISIONS if not np.isnan(values := figure(given, item, COLUMN[p], facts)).all()}
    main = tflops.get("fp16", tflops.get("bf16", _nan(given)))

    def one(column: str) -> Array:
        return figure(given, item, column, facts)

    per_direction = one("scaleup_gb_s_per_direction")
    if np.isnan(per_direction).all():
        per_direction = one("scaleup_gb_s_bidirectional") / 2
    parts = {
        "mem_gb": one("mem_gb"), "mem_bw_gb_s": one("mem_bw_gb_s"), "scaleup_gb_s": per_direction,
        "scaleout_gb_s": one("scaleout_gbit_s") / 8, "tdp_w": one("tdp_w"), "price_usd": one("price_usd"),
        "applicable_die_mm2": one("applicable_die_mm2"), "transistors_bn": one("transistors_bn"),
    }
    domain, dies = float(np.median(one("scaleup_domain"))), float(np.median(one("compute_dies")))
    missing = [k for k, v in parts.items() if np.isnan(v).any()]
    missing += [k for k, v in (("scaleup_domain", domain), ("dies", dies)) if np.isnan(v)]
    if not tflops:
        missing.append("tflops")
    return Chip(id=item, vendor=names["vendor"], model=names["model"], tflops=tflops, scaleup_domain=domain, dies=dies,
                vendor_tflops=main * (1 + vendor_extra(given.catalog, item)), native=tuple(tflops),
                missing=tuple(missing), weights={}, **parts)


def resolve(given: Given, name: str) -> str:
    """Return the id of a chip by id, alias, name without a bin, or the user's own name."""
    if found := mixture(name):
        return found
    word = name.strip().lower().replace(" ", "-")
    known = {r["item"] for r in read_table("chip_names")}
    for own in (name, word):
        if own not in known and any(f"{own}.{c}" in given for c in OWN_COLUMNS):
            return own
    return given.catalog.resolve_chip(name)


def figure(given: Given, item: str, column: str, facts: dict[str, Fact] | None = None) -> Array:
    """Return one figure of a chip; not-a-number where it is unknown at the date. (draw)

    Where sources differ it is uniform with the ends as 5th and 95th percentile, on the stream of its own name.
    """
    name = f"{item}.{column}"
    if name in given:
        return given[name]
    facts = given.catalog.chip_facts(item) if facts is None else facts
    if column not in facts:
        return _nan(given)
    fact = facts[column]
    if fact.low == fact.high:
        return np.broadcast_to(np.float64(fact.value), (given.draws,))
    law = Law(family="uniform", low=fact.low, mode=fact.value, high=fact.high)
    values: Array = law.at(draws.to_uniform(given.normal(name)))
    return values


def rows(catalog: Catalogue, item: str) -> tuple[Row, ...]:
    """Return the catalogue's figures of a chip as rows of `given`, for a caller that adds them."""
    out = []
    for fact in catalog.chip_facts(item).values():
        law = point(fact.value) if fact.low == fact.high else Law(family="uniform", low=fact.low, mode=fact.value,
                                                                  high=fact.high)
        out.append(Row(name=f"{item}.{fact.name}", law=law, unit=fact.unit, kind=fact.kind, source=fact.source,
                       as_of=fact.as_of, known_by=fact.known_by, why=fact.note))
    return tuple(out)


def weights(given: Given, item: str) -> dict[str, float]:
    """Return the shares of the bins behind a name without a bin; they sum to 1. [1]"""
    raw = {b: given.middle(f"{item}.bin_weight_{b[-2:]}") for b in MIXTURES[item]}
    total = sum(raw.values())
    return {b: w / total for b, w in raw.items()}


def _mixture(given: Given, item: str) -> Chip:
    shares = weights(given, item)
    parts = [chip(given, b) for b in shares]
    edges = np.cumsum(list(shares.values()))[:-1]
    pick = np.searchsorted(edges, given.shock(f"{item}.bin"), side="right")

    def blend(columns: Iterable[Array]) -> Array:
        stacked: Array = np.stack(list(columns))
        picked: Array = np.take_along_axis(stacked, pick[None, :], axis=0)[0]
        return picked

    native = [p for p in PRECISIONS if all(p in c.tflops for c in parts)]
    arrays = {f.name: blend(getattr(c, f.name) for c in parts) for f in fields(Chip) if f.type == "Array"}
    first = parts[0]
    return Chip(id=item, vendor=first.vendor, model=f"{first.vendor} {item.replace('-', ' ')}, bin not stated",
                tflops={p: blend(c.tflops[p] for c in parts) for p in native}, scaleup_domain=first.scaleup_domain,
                dies=first.dies, native=tuple(native), weights=shares,
                missing=tuple(sorted({m for c in parts for m in c.missing})), **arrays)


def _names(catalog: Catalogue, item: str) -> dict[str, str]:
    for row in read_table("chip_names"):
        if row["item"] == item:
            return {"vendor": row["vendor"], "model": row["model"]}
    return {"vendor": "your own", "model": item}


def _nan(given: Given) -> Array:
    return np.broadcast_to(np.float64(np.nan), (given.draws,))


OWN_COLUMNS = (*COLUMN.values(), "mem_gb", "mem_bw_gb_s", "tdp_w", "price_usd", "applicable_die_mm2",
               "scaleup_gb_s_per_direction", "scaleup_gb_s_bidirectional")
"""Figures by which a user's own chip is recognised in `given`."""

__all__ = ["BITS", "COLUMN", "MIXTURES", "MIXTURE_ALIASES", "PRECISIONS", "WIDER", "Chip", "chip", "figure", "resolve",
           "rows", "weights"]
