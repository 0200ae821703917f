"""A user's own fault log in place of the ranges: rates by class and the mean time to repair."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from chipcast.base.errors import DataError, require
from chipcast.base.given import Given
from chipcast.cluster.case import Case
from chipcast.cluster.faults import CLASSES, jeffreys
from chipcast.cluster.trace import Trace

WORDS: Mapping[str, str] = MappingProxyType({
    "silent": "silent", "sdc": "silent", "corrupt": "silent",
    "hbm": "hbm", "ecc": "hbm", "memory": "hbm", "vram": "hbm",
    "cable": "network", "link": "network", "nic": "network", "switch": "network", "network": "network",
    "optic": "network", "rdma": "network", "infiniband": "network", "roce": "network", "hccs": "network",
    "nvlink": "network", "port": "network",
    "gpu": "logic", "npu": "logic", "chip": "logic", "logic": "logic", "sram": "logic", "card": "logic",
    "software": "software", "driver": "software", "nccl": "software", "hccl": "software", "timeout": "software",
    "bug": "software", "system": "software",
    "power": "host", "fan": "host", "disk": "host", "ssd": "host", "cpu": "host", "host": "host", "board": "host",
    "chassis": "host", "bmc": "host", "dimm": "host", "cooling": "host", "maintenance": "host", "server": "host",
})
"""Words of foreign logs -> our class, the first that occurs in the order of the table."""


def class_of(kind: str) -> str | None:
    """Return our class for a foreign log's name of a fault, or None where no word is known.

    >>> class_of("HBM double-bit ECC"), class_of("Parameter Plane Cable"), class_of("Stress Test Failure")
    ('hbm', 'network', None)
    """
    text = kind.lower()
    words = set(re.findall(r"[a-z]+", text))
    for word, name in WORDS.items():
        if word in words or (len(word) > 3 and word in text):
            return name
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Own:
    """What a log puts in the place of ranges."""

    case: Case
    """The case with the log's rates and repair."""
    counts: Mapping[str, int]
    """Faults taken for each class; those of unknown kinds are shared out like the known ones."""
    unknown: tuple[str, ...]
    """Kinds of fault that no word tells a class of."""
    kept: tuple[str, ...]
    """Classes of which the log has none, whose assumed rates stay."""


def with_log(given: Given, case: Case, trace: Trace, *, chips_per_node: int) -> Own:
    """Return a case with the rates of a log: Gamma posteriors of its counts, its mean repair with its own error.

    Parameters
    ----------
    given : Given
        The table, for its luck.
    case : Case
        The case whose rates are replaced.
    trace : Trace
        The log; every fault in it is taken to stop the job.
    chips_per_node : int
        Chips of a node of the log.

    Raises
    ------
    DataError
        If no fault of the log can be given a class.
    """
    require(chips_per_node >= 1, "chips per node", "be 1 or more", chips_per_node)
    exposure = trace.nodes * trace.days * 24.0 * chips_per_node
    found = [class_of(f"{kind} {level if class_of(kind) is None else ''}") for kind, level in
             zip(trace.kind, trace.level, strict=True)]
    known = {c: found.count(c) for c in CLASSES if found.count(c)}
    if not known:
        raise DataError("no fault of the log has a class that is known; name classes after parts, such as hbm, link, "
                        "power or software")
    spread = len(found) / sum(known.values())
    rates = np.array(case.rates, dtype=float)
    for name, count in known.items():
        rates[CLASSES.index(name)] = jeffreys(count * spread, exposure, given.shock(f"own:{name}"))
    hours = np.maximum(trace.hours, 0.0)
    mean = float(hours.mean())
    relative = float(hours.std() / max(mean, 1e-9) / np.sqrt(len(hours)))
    repair = mean * np.exp(relative * given.normal("own:repair"))
    kinds = tuple(sorted({k for k, c in zip(trace.kind, found, strict=True) if c is None}))
    return Own(case=replace(case, rates=rates, repair_h=repair, chips_per_node=chips_per_node),
               counts={c: round(n * spread) for c, n in known.items()}, unknown=kinds,
               kept=tuple(c for c in CLASSES if c not in known))
