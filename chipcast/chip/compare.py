"""Chips side by side as a buyer reads them: figures, and what a dollar or a watt gets of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chipcast.base.catalog import Catalogue, Fact, last_known
from chipcast.base.summary import short
from chipcast.chip.bins import vendor_extra
from chipcast.chip.formats import MIXTURES

FIGURES = (
    ("fp16_tflops", "FP16 dense, matrix units", "TFLOPS"), ("bf16_tflops", "BF16 dense, matrix units", "TFLOPS"),
    ("fp8_tflops", "FP8 dense", "TFLOPS"), ("int8_tops", "INT8 dense", "TOPS"), ("fp4_tflops", "FP4 dense", "TFLOPS"),
    ("mem_gb", "memory", "GB"), ("mem_bw_gb_s", "memory bandwidth", "GB/s"),
    ("scaleup_gb_s_per_direction", "scale-up link, one direction", "GB/s"),
    ("scaleup_domain", "scale-up domain", "chips"),
    ("scaleout_gbit_s", "scale-out port", "Gbit/s"), ("tdp_w", "power", "W"), ("price_usd", "price of a card", "USD"),
    ("applicable_die_mm2", "logic die area", "mm2"),
)
"""Figures in the order a buyer asks for them."""

QUOTIENTS = (
    ("operations per byte, FP16", "fp16_tflops", "mem_bw_gb_s", 1e3, "1"),
    ("FP16 per watt", "fp16_tflops", "tdp_w", 1.0, "TFLOPS/W"),
    ("memory per 1,000 USD", "mem_gb", "price_usd", 1e3, "GB"),
    ("bandwidth per 1,000 USD", "mem_bw_gb_s", "price_usd", 1e3, "GB/s"),
    ("FP16 per 1,000 USD", "fp16_tflops", "price_usd", 1e3, "TFLOPS"),
    ("time to read all memory once", "mem_gb", "mem_bw_gb_s", 1e3, "ms"),
)
"""Label, numerator, denominator, scale, unit."""


def compare(catalog: Catalogue, items: Sequence[str]) -> dict[str, Any]:
    """Return rows of figures and quotients of several chips, each against the first.

    A figure that is unknown at the date has value `None`; where sources differ a quotient takes the middle.
    """
    facts = {i: facts_of(catalog, i) for i in items}
    rows = []
    for column, label, unit in FIGURES:
        found = [facts[i].get(column) for i in items]
        if any(found):
            rows.append({"name": column, "label": label, "unit": unit,
                         "values": _against([f.value if f else None for f in found], [_text(f) for f in found])})
    for label, top, bottom, scale, unit in QUOTIENTS:
        values = [_quotient(facts[i].get(top), facts[i].get(bottom), scale) for i in items]
        if any(v is not None for v in values):
            rows.append({"name": label.replace(" ", "_").replace(",", ""), "label": label, "unit": unit,
                         "values": _against(values, ["unknown" if v is None else short(v) for v in values])})
    remarks = [f"{i}: the vendor's FP16 figure of {short(facts[i]['fp16_tflops'].value * (1 + extra))} TFLOPS counts "
               "vector units too, which a matrix product cannot use."
               for i in items if (extra := vendor_extra(catalog, i)) and "fp16_tflops" in facts[i]]
    remarks += [f"{i} names no bin: each figure is the range over {', '.join(MIXTURES[i])}; quotients and shares take "
                "its middle. Name a bin to be exact." for i in items if i in MIXTURES]
    remarks += [f"{i}: {text}." for i in items if (text := status_of(catalog, i))]
    return {"chips": list(items), "rows": rows, "remarks": remarks}


def facts_of(catalog: Catalogue, item: str) -> dict[str, Fact]:
    """Return the figures of a chip; for a name without a bin the range over its bins, where all of them have one."""
    if item not in MIXTURES:
        return catalog.chip_facts(item)
    parts = [catalog.chip_facts(b) for b in MIXTURES[item]]
    out = {}
    for name, first in parts[0].items():
        if all(name in p for p in parts):
            low, high = min(p[name].low for p in parts), max(p[name].high for p in parts)
            out[name] = replace(first, item=item, low=low, high=high, value=(low + high) / 2,
                                known_by=max(p[name].known_by for p in parts))
    return out


def status_of(catalog: Catalogue, item: str) -> str:
    """Return the words on a chip's standing in the market; empty before the last information date.

    The words carry no date of their own, so an earlier date must not see them.
    """
    if item in MIXTURES:
        return ""
    return catalog.chip_names(item)["status"] if catalog.as_of >= last_known() else ""


def _quotient(top: Fact | None, bottom: Fact | None, scale: float) -> float | None:
    return None if top is None or bottom is None or bottom.value == 0 else top.value / bottom.value * scale


def _against(values: Sequence[float | None], texts: Sequence[str]) -> list[dict[str, Any]]:
    base = values[0]
    return [{"value": v, "text": t, "ratio": v / base if v is not None and base else None}
            for v, t in zip(values, texts, strict=True)]


def _text(fact: Fact | None) -> str:
    if fact is None:
        return "unknown"
    return short(fact.value) if fact.low == fact.high else f"{short(fact.low)} to {short(fact.high)}"
