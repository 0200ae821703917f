"""Which chip and which model does a name from outside mean, and how well is it known?"""

from __future__ import annotations

import re
from functools import lru_cache

from chipcast.base.catalog import Catalogue, read_table
from chipcast.base.errors import InputError
from chipcast.tokens.speed import PROXIES, family, stand_in

GRADES = ("fitted on this chip and model", "this chip", "this vendor", "prior only")
"""Evidence, best first."""

SERVING = ("decode", "prefill", "mixed", "mixed (batch 1 request)")
"""Phases of measurements that speak of serving."""

BINS = ("ascend-910b1", "ascend-910b2", "ascend-910b3", "ascend-910b4")
"""What a 910B without a bin may be."""


@lru_cache(maxsize=4096)
def hardware(name: str, catalog: Catalogue) -> tuple[str, ...]:
    """Return the chip ids that a hardware name may mean, in the catalogue's order.

    Parentheses and memory size are dropped first; the size then chooses among what still matches.

    Raises
    ------
    InputError
        If nothing matches.

    >>> from chipcast.base.catalog import last_known
    >>> hardware("H20 96GB", Catalogue(last_known()))
    ('h20-96',)
    """
    try:
        return (catalog.resolve_chip(name),)
    except InputError as first:
        if name.strip().lower() in PROXIES and "910b" not in name.lower():
            return (PROXIES[name.strip().lower()],)
        problem = first
    bare = re.sub(r"\(.*?\)", " ", name.lower())
    size = re.search(r"(\d+)\s*g(?:i?b)?\b", bare)
    word = re.sub(r"\d+\s*g(i?b)?\b|\d\.\d+\s*tb/s|\d+\s*w\b|hbm\w*|\bnvidia\b|\bhuawei\b|\bsxm\d?\b|\bamd\b"
                  r"|\binstinct\b|\bgpu\b|\bpcie\b|\bnvl\d*\b|\b[dh]gx\b", " ", bare)
    word = " ".join(re.sub(r"[^a-z0-9.]+", " ", word).split())
    found = re.search(r"910b\s*([1-4])", word)
    if found:
        return (f"ascend-910b{found.group(1)}",)
    if "910b" in word:
        return BINS
    if "910c" in word:
        return ("ascend-910c",)
    for row in read_table("platforms"):
        if row["text"] in word:
            return tuple(row["chips"].split(" "))
    words = word.split(" ")
    for end in range(len(words), 0, -1):
        try:
            found_id = catalog.resolve_chip(" ".join(words[:end]))
        except InputError:
            continue
        stem = found_id.split("-")[0]
        sized = [i for i in catalog.chip_ids() if size and i.startswith(f"{stem}-") and i.endswith(f"-{size.group(1)}")]
        return tuple(sized[:1]) or (found_id,)
    raise InputError(str(problem))


def taken_as(name: str, chip: str, catalog: Catalogue) -> str:
    """Return in words where a hardware name says other than the chip that stands for it, empty where it agrees."""
    said = name.lower()
    size = re.search(r"(\d+)\s*g(?:i?b)?\b", said)
    memory = catalog.chip_facts(chip).get("mem_gb")
    other = [w for w in ("pcie", "nvl") if re.search(rf"\b{w}\b", said) and w not in chip]
    if size and memory and abs(float(size.group(1)) / memory.value - 1) > 0.1:
        other.append(f"{size.group(1)} GB")
    return f"{name} taken as {chip}, {' and '.join(other)} not modelled" if other else ""


@lru_cache(maxsize=32)
def _serving_rows(catalog: Catalogue) -> tuple[tuple[str, str], ...]:
    """Return (chip id, shape of the model) of serving rows known by the date and fit to be used."""
    from chipcast.tokens.config import find

    out: set[tuple[str, str]] = set()
    for row in catalog.rows("measurements"):
        if row["phase"] not in SERVING or row["proposed_use"] != "calibration":
            continue
        try:
            chips, path = hardware(row["hardware"], catalog), find(row["model"])
        except InputError:
            continue
        out.update((c, path.stem) for c in chips)
    return tuple(sorted(out))


def grade(catalog: Catalogue, chip: str, model_name: str) -> str:
    """Return how close the serving measurements known by the date come to a chip and model."""
    from chipcast.tokens.config import find

    rows = _serving_rows(catalog)
    own = stand_in(chip)
    try:
        shape = find(model_name).stem
    except InputError:
        shape = model_name
    twins = {shape, shape.replace("DeepSeek-R1", "DeepSeek-V3"), shape.replace("DeepSeek-V3", "DeepSeek-R1")}
    if any(c == own and m in twins for c, m in rows):
        return GRADES[0]
    if any(c == own for c, _ in rows):
        return GRADES[1]
    return GRADES[2] if any(family(c) == family(own) for c, _ in rows) and family(own) != "domestic_other" \
        else GRADES[3]
