"""The tree of parts: what fails on a chip, in a server, under a switch, on a power feed, in a job, and how often."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.cluster.faults import ANCHOR_ROWS, CLASSES, COMPONENTS, anchor_counts, jeffreys, multipliers, units
from chipcast.cluster.ladder import masking, tiers

SCOPES = {"hbm": "chip", "logic": "chip", "silent": "chip", "network": "link", "host": "server", "software": "job"}
"""What one fault of a class takes out, where it is not of a whole domain."""

DOMAINS = (("leaf switch", "network", "tree.switch_share", "tree.switch_servers", "switch"),
           ("power feed or cooling", "host", "tree.power_share", "tree.power_servers", "power"))
"""Parts that take a whole domain: name, class that counts them, row of their share, row of its servers, scope."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One kind of part."""

    name: str
    """As the anchor's table names it."""
    component: str
    """Fault class."""
    scope: str
    """What one fault takes out: chip, link, server, switch, power or job."""
    servers: int
    """Servers that one fault takes down; 0 where none needs repair."""
    count: int | None
    """Faults counted on the anchor; None for a part that its table does not tell from others."""
    per_1e6_chip_h: Array
    """Faults per million chip-hours of this chip. [per 1e6 chip-h] (draw)"""
    masked: float
    """Share that the ladder mends without a rollback, on average. [1]"""


def parts(given: Given, chip: str, *, ladder: str = "vendor") -> tuple[Part, ...]:
    """Return every part of the tree with its rate on a chip, the most frequent first; together they are the classes.

    A part's posterior is that of its own count; parts of a class share the class's multiplier and number per chip.
    Switches and power feeds are shares of the links' and the hosts' faults, which are smaller by as much.
    """
    exposure = anchor_counts(given).exposure_h
    scale = units(given, chip) * multipliers(given, chip) * given["fleet.rate_factor"] * 1e6
    mend = masking(tiers(given, chip, ladder), given.draws).rollback.mean(axis=-1)
    shares = {cls: given[row] for _, cls, row, _, _ in DOMAINS}
    out = []
    domain: dict[str, Array] = {cls: np.zeros(given.draws) for cls in shares}
    for row in given.catalog.rows("faults"):
        cls = COMPONENTS.get(row["component"], "")
        if not row["id"].startswith(ANCHOR_ROWS) or not cls:
            continue
        k, count = CLASSES.index(cls), int(row["value"])
        rate: Array = jeffreys(count, exposure, given.shock(f"parts.{row['component']}")) * scale[k]
        if cls in shares:
            domain[cls] = domain[cls] + rate * shares[cls]
            rate = rate * (1 - shares[cls])
        out.append(Part(name=row["component"], component=cls, scope=SCOPES[cls], count=count, per_1e6_chip_h=rate,
                        servers=0 if cls == "software" else 1, masked=float(1 - mend[k])))
    for name, cls, _, servers, scope in DOMAINS:
        out.append(Part(name=name, component=cls, scope=scope, servers=round(given.middle(servers)), count=None,
                        per_1e6_chip_h=domain[cls], masked=float(1 - mend[CLASSES.index(cls)])))
    return tuple(sorted(out, key=lambda p: -float(np.median(p.per_1e6_chip_h))))
