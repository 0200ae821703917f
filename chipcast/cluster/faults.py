"""How often parts of a chip fail: posteriors from counted faults, scaled to other chips by their parts.

The anchor is the one large training run whose stops were counted by component. No count of any Ascend fleet is
public, so Ascend rates are the anchor's times wide multipliers, and every result on them is mostly prior.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import gammaincinv

from chipcast.base.errors import DataError, require
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric
from chipcast.cluster.platform import ANCHOR, figure, platform

CLASSES = ("hbm", "logic", "network", "host", "software", "silent")
"""Component classes, in the order of every class axis."""

COMPONENTS = MappingProxyType({
    "HBM3 memory": "hbm",
    "Faulty GPU": "logic", "GPU SRAM": "logic", "GPU system processor": "logic",
    "GPU thermal interface+sensor": "logic",
    "Network switch/cable": "network", "NIC": "network", "NCCL watchdog timeout": "network",
    "Host maintenance (unplanned)": "host", "SSD": "host", "Power supply": "host", "Server chassis": "host",
    "IO expansion board": "host", "CPU": "host", "System memory": "host",
    "Software bug": "software", "Dependency": "software",
    "Silent data corruption": "silent",
})
"""Components as the anchor's table names them -> class."""

ANCHOR_ROWS = "llama3_"
"""Prefix of the anchor's rows in `faults.csv`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Counted faults and the exposure in which they happened."""

    by_class: Mapping[str, int]
    """Faults by class. [count]"""
    exposure_h: float
    """Chips times hours. [chip-h]"""


def anchor_counts(given: Given) -> Counts:
    """Return the anchor's counts by class, from the rows known by the date.

    Raises
    ------
    DataError
        If the anchor's rows are missing or name a component without a class.
    """
    counts = dict.fromkeys(CLASSES, 0)
    exposures = set()
    for row in given.catalog.rows("faults"):
        if not row["id"].startswith(ANCHOR_ROWS) or row["quantity"] != "unexpected interruptions":
            continue
        if row["component"] == "all":
            continue
        if row["component"] not in COMPONENTS:
            raise DataError(f"fault row '{row['id']}' names component '{row['component']}', which has no class")
        counts[COMPONENTS[row["component"]]] += int(row["value"])
        exposures.add((float(row["chips"]), row["period"]))
    if len(exposures) != 1:
        raise DataError(f"the anchor's fault rows must share one exposure, got {sorted(exposures)}")
    chips, period = exposures.pop()
    days = float(period.removesuffix(" days"))
    return Counts(by_class=MappingProxyType(counts), exposure_h=chips * days * 24)


def anchor_chips(given: Given) -> float:
    """Return the chips of the job on which the anchor's stops were counted. [chips]"""
    return max(float(row["chips"]) for row in given.catalog.rows("faults") if row["id"].startswith(ANCHOR_ROWS))


def jeffreys(count: Numeric, exposure_h: Numeric, uniforms: Numeric) -> Numeric:
    """Return the quantile of a fault rate after `count` faults in `exposure_h`. [1/h]

    Notes
    -----
    Poisson counts with Jeffreys' prior: the rate is Gamma(c + 1/2) / E.
    Sources: Jeffreys, Theory of Probability, 1961.

    >>> round(float(jeffreys(419, 21_233_664, 0.5)) * 1e6, 2)
    19.74
    """
    require(np.all(np.asarray(count) >= 0), "count of faults", "not be negative", count)
    require(np.all(np.asarray(exposure_h) > 0), "exposure_h", "be above 0", exposure_h)
    return gammaincinv(np.asarray(count, dtype=float) + 0.5, uniforms) / exposure_h


def predictive_moments(count: Numeric, exposure_h: Numeric, new_exposure_h: Numeric) -> tuple[Numeric, Numeric]:
    """Return mean and variance of the count in a new exposure: negative binomial, r = c + 1/2.

    >>> predictive_moments(9.5, 100, 100)
    (10.0, 20.0)
    """
    ratio = new_exposure_h / exposure_h
    mean = (count + 0.5) * ratio
    return mean, mean * (1 + ratio)


def anchor_rates(given: Given) -> Array:
    """Return the anchor fleet's rates, drawn from their posteriors. [1/chip-h] (class, draw)"""
    counts = anchor_counts(given)
    return np.stack([jeffreys(counts.by_class[c], counts.exposure_h, given.shock(f"faults.{c}")) for c in CLASSES])


def units(given: Given, chip: str) -> Array:
    """Return the parts of a chip over those of the anchor, by class. [1] (class, draw)

    HBM scales with gigabytes, logic and silent errors with dies, network with optical modules and ports; host and
    software with chips.
    """
    hbm = figure(given, chip, "mem_gb") / figure(given, ANCHOR, "mem_gb")
    dies = figure(given, chip, "compute_dies", 1.0) / figure(given, ANCHOR, "compute_dies")
    links = modules_per_chip(given, chip) / given[f"{ANCHOR}.optical_modules_per_chip"]
    parts: tuple[Numeric, ...] = (hbm, dies, links, 1.0, 1.0, dies)
    return np.stack([np.broadcast_to(np.asarray(p, dtype=float), (given.draws,)) for p in parts])


def modules_per_chip(given: Given, chip: str) -> Array:
    """Return the optical modules that one chip's links use, those of switches included. [1] (draw)"""
    own = [f"{name}.optical_modules_per_chip" for name in (chip, platform(given, chip).network) if name]
    return given.first(*own, f"{ANCHOR}.optical_modules_per_chip")


def multipliers(given: Given, chip: str) -> Array:
    """Return fault rates per part over those of the anchor, by class. [1] (class, draw)

    Memory, logic and software multipliers are shared by all chips of the vendor (same dies, same stack), the
    network's is the generation's own.
    """
    kind = platform(given, chip)
    one = np.ones(given.draws)
    if not kind.multipliers:
        return np.stack([one] * len(CLASSES))
    hbm, logic, software = (given[f"{kind.multipliers}.fault_multiplier_{c}"] for c in ("hbm", "logic", "software"))
    network = given.first(f"{chip}.fault_multiplier_network", f"{kind.network}.fault_multiplier_network")
    return np.stack([hbm, logic, network, one, software, logic])


def rates(given: Given, chip: str, anchor: Array | None = None) -> Array:
    """Return the fault rates of one chip, in a fleet of its own. [1/chip-h] (class, draw)

    All chips of a comparison share the fleet factor, the posteriors and the vendor's multipliers; `anchor` carries
    the posteriors where they are drawn already.
    """
    fleet = given["fleet.rate_factor"]
    return (anchor_rates(given) if anchor is None else anchor) * units(given, chip) * multipliers(given, chip) * fleet
