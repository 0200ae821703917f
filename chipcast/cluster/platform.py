"""Which rows speak for a chip: its figures, its fabric, its fleet and the ladder its maker documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import overload

import numpy as np

from chipcast.base.catalog import read_table
from chipcast.base.draws import to_uniform
from chipcast.base.errors import unknown
from chipcast.base.given import Given
from chipcast.base.laws import Law, law_of_row
from chipcast.base.types import Array, Numeric

BINS = {"ascend-910b": ("ascend-910b1", "ascend-910b2", "ascend-910b3", "ascend-910b4")}
"""Names without a bin -> the bins that may stand for them; rows `<name>.bin_weight_b1` and so on weigh them."""

NAMES = {"910b": "ascend-910b"}
"""Common names of those."""

ANCHOR = "h100-sxm"
"""The chip whose counted faults all others are measured by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """Items of `given` that speak for a family of chips."""

    pattern: str
    """Chip ids, with `*`."""
    scale_up: str
    """Item of the fast fabric's rows."""
    scale_up_kind: str
    """Kind of the fast fabric's level."""
    scale_out: str
    """Item of the network's rows."""
    fleet: str
    """Item of the rows `restart_s` and `active_detection_probability`."""
    multipliers: str
    """Item of the rows `fault_multiplier_*` that the vendor's chips share; empty for the anchor's own family."""
    network: str
    """Item of `fault_multiplier_network` and `optical_modules_per_chip`; empty for the chip's own or the anchor's."""
    ladder: tuple[str, ...]
    """Tiers of online recovery that the maker documents, entries of `ladder.TIERS`."""
    rank_is_die: bool
    """Whether software sees each die as a rank."""
    library: str
    """Item of the rows of the library that exchanges experts' tokens on it or on its nearest kin."""


PLATFORMS = (
    Platform(pattern="ascend-910c*", scale_up="ub_a3", scale_up_kind="switch", scale_out="roce_200g_a2", fleet="ascend",
             multipliers="ascend", network="ascend-910c", ladder=("operator_retry", "hbm_online", "link_online"),
             rank_is_die=True, library="cann"),
    Platform(pattern="ascend-9[2-9]*", scale_up="ub_a3", scale_up_kind="switch", scale_out="roce_200g_a2",
             fleet="ascend", multipliers="ascend", network="ascend-910c",
             ladder=("operator_retry", "hbm_online", "link_online"), rank_is_die=False, library="cann"),
    Platform(pattern="ascend-*", scale_up="hccs_a2", scale_up_kind="full_mesh", scale_out="roce_200g_a2",
             fleet="ascend", multipliers="ascend", network="ascend-910b2", ladder=("hbm_online",),
             rank_is_die=False, library="cann"),
    Platform(pattern="*", scale_up="nvlink", scale_up_kind="switch", scale_out="rdma_400g", fleet="h800-sxm",
             multipliers="", network="", ladder=(), rank_is_die=False, library="deepep"),
)
"""Families, special before general; the last one stands for every chip without rows of its own."""


def known_as(chip: str) -> str:
    """Return the id of a common name without a bin, else the name.

    >>> known_as("910b")
    'ascend-910b'
    """
    return NAMES.get(chip, chip)


def bins_of(chip: str) -> tuple[str, ...]:
    """Return the ids of the bins that a name without a bin may stand for; of any other name itself."""
    return BINS.get(known_as(chip), (known_as(chip),))


def bin_weights(given: Given, chip: str) -> dict[str, float]:
    """Return the weight of each bin of a name without a bin; empty for a name with one. [1]

    A cluster is of one bin, and which one is part of the uncertainty: each draw has a bin of its own.
    """
    item = known_as(chip)
    if item not in BINS:
        return {}
    weights = [given.middle(f"{item}.bin_weight_b{b.removeprefix(item)}") for b in BINS[item]]
    return {b: w / sum(weights) for b, w in zip(BINS[item], weights, strict=True)}


def mixed(given: Given, chip: str, values: Sequence[Numeric]) -> Numeric:
    """Return one value per draw from those of the bins of a name, by their weights. (draw)"""
    if len(values) == 1:
        return values[0]
    edges = np.cumsum(list(bin_weights(given, chip).values()))
    pick = np.minimum(np.searchsorted(edges, given.shock(f"{known_as(chip)}.bin"), side="right"), len(values) - 1)
    table = np.stack([np.broadcast_to(np.asarray(v, dtype=float), (given.draws,)) for v in values])
    return table[pick, np.arange(given.draws)]


def platform(given: Given, chip: str) -> Platform:
    """Return the family of a chip; a chip of the user's own may name its base's family by its prefix."""
    del given
    name = known_as(chip)
    return next(p for p in PLATFORMS if fnmatch(name, p.pattern))


@overload
def figure(given: Given, chip: str, name: str) -> Numeric: ...
@overload
def figure(given: Given, chip: str, name: str, default: None) -> Numeric | None: ...
@overload
def figure(given: Given, chip: str, name: str, default: float) -> Numeric: ...


def figure(given: Given, chip: str, name: str, default: float | None = -1.0) -> Numeric | None:
    """Return a chip's figure: from `given` where it is drawn, else the catalogue's value known by the date.

    Raises
    ------
    InputError
        If neither has it and no default is given.
    """
    if known_as(chip) in BINS:
        each = [figure(given, b, name, default) for b in bins_of(chip)]
        return None if any(v is None for v in each) else mixed(given, chip, each)
    item = known_as(chip)
    row = f"{item}.{name}"
    if row in given:
        return given[row]
    facts = given.catalog.chip_facts(item)
    if name in facts:
        return facts[name].value
    if default == -1.0:
        unknown(f"figure of chip '{item}'", name, facts)
    return default


def fabric_laws() -> dict[str, Law]:
    """Return the laws of the fabric's parameters before any timing, by name."""
    return {f"{r['item']}.{r['name']}": law_of_row(r["family"], float(r["low"]), float(r["mode"]), float(r["high"]),
                                                   r["name"]) for r in read_table("fabric_priors")}


FITS = ("fabric_fit", "operator_fit")
"""Tables of what timings and published runs leave of ranges, one row per vintage and name."""


def fitted(given: Given, *names: str) -> Array:
    """Return the first of these quantities that is known, as fitted by the run's date, on the luck of its own name.

    What a user states stands before the fit, and so does a range where no fit moved it.
    """
    name = next((n for n in names if n in given.rows), names[-1])
    if name in given.rows and given.row(name).kind == "scenario":
        return given[name]
    found = fitted_law(given, name)
    if found is None and name in given.rows:
        return given[name]
    law = fabric_laws()[name] if found is None else found[0]
    return law.at(to_uniform(given.normal(name)))


def with_fit(given: Given) -> Given:
    """Return the table with the ranges that `fitted` reads, so that it lists what is computed with."""
    rows = []
    for name, row in given.rows.items():
        law = fitted_law(given, name)
        if law is not None and row.kind != "scenario":
            source, day = law[1]["source"], law[1]["known_by"]
            rows.append(replace(row, law=law[0], kind="estimated", source=source, as_of=day, known_by=day,
                                why=f"{row.why.rstrip('.')}; what published runs and timings leave of it"))
    return given.with_rows(rows)


def fitted_law(given: Given, name: str) -> tuple[Law, Mapping[str, str]] | None:
    """Return the law that the last fit known by the run's date leaves of a quantity, and its row; None without one."""
    rows = [r for table in FITS for r in given.catalog.rows(table) if r["name"] == name]
    if not rows:
        return None
    row = max(rows, key=lambda r: r["known_by"])
    family = "logitnormal" if row["law"] == "share" else "lognormal"
    return law_of_row(family, float(row["p05"]), float(row["p50"]), float(row["p95"]), name), row


def ranks_per_chip(given: Given, chip: str) -> int:
    """Return the ranks that software sees on one chip: two dies of a 910C, else one."""
    if not platform(given, chip).rank_is_die:
        return 1
    return round(float(np.median(figure(given, chip, "compute_dies", 1.0))))
