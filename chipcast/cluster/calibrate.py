"""A fabric model held against published expert-parallel timings: which latency each row implies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric
from chipcast.cluster.experts import exchange
from chipcast.cluster.network import levels

TOKENS, CHOSEN, HIDDEN, GROUP, EXPERTS = 128, 8, 7168, 128, 256
"""Shape of the published rows: tokens of a rank, experts of a token, width of a row, values per scale, experts."""


def row_bytes(kind: str) -> int:
    """Return the bytes of one token's row: one byte a value and a 4-byte scale per group, or two bytes a value.

    >>> TOKENS * CHOSEN * row_bytes("fp8"), TOKENS * CHOSEN * row_bytes("bf16")
    (7569408, 14680064)
    """
    return HIDDEN + HIDDEN // GROUP * 4 if kind == "fp8" else 2 * HIDDEN


def exchange_time(ranks: Numeric, size: Numeric, alpha_s: Numeric, fast_bytes_s: Numeric, slow_bytes_s: Numeric, *,
                  domain: int = 8) -> Numeric:
    """Return the seconds of a low-latency exchange: alpha + bytes x share / B over the level that binds.

    Beyond the domain the share (p - g)/p crosses the slow links; inside it (g - 1)/g the fast ones.
    """
    ranks = np.asarray(ranks, dtype=float)
    inside = size * (domain - 1) / domain / fast_bytes_s
    across = size * (ranks - domain) / ranks / slow_bytes_s
    return (alpha_s + np.where(ranks <= domain, inside, across))[()]


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """One published timing and what the model says of it."""

    id: str
    """Row of `measurements.csv`."""
    what: str
    """dispatch or combine."""
    ranks: int
    """Expert-parallel ranks."""
    measured_s: float
    """Published time. [s]"""
    predicted_s: Array
    """Time under the priors. [s] (draw)"""

    @property
    def log_error(self) -> float:
        """Return the log of the predicted median over the published time."""
        return float(np.log(np.median(self.predicted_s) / self.measured_s))

    @property
    def inside(self) -> bool:
        """Return whether the published time lies within the 90 percent interval."""
        low, high = np.quantile(self.predicted_s, [0.05, 0.95])
        return bool(low <= self.measured_s <= high)


def _timings_of(row: Mapping[str, str]) -> list[tuple[str, float]]:
    """Return (dispatch or combine, seconds) of a row; combine times of some rows stand in their notes."""
    out = []
    if row["metric"].endswith("latency_us"):
        words = f"{row['metric']} {row['engine']}"
        out.append(("combine" if "combine" in words else "dispatch", float(row["value"]) * 1e-6))
        found = re.search(r"combine (\d+) us", row["notes"])
        if found:
            out.append(("combine", float(found.group(1)) * 1e-6))
    return out


CHIP_OF = {"DEEPEP": "h800-sxm", "CM384": "ascend-910c"}
"""Prefix of a row's id -> chip whose fabric it timed."""


def back_test(given: Given) -> tuple[Timing, ...]:
    """Return every published exchange timing known by the date with what the priors predict for it."""
    out = []
    for row in given.catalog.rows("measurements"):
        chip = CHIP_OF.get(row["id"].split("-")[0])
        if row["phase"] != "comm" or chip is None or not row["ep"]:
            continue
        fabric = levels(given, chip)
        for what, seconds in _timings_of(row):
            size = row_bytes("fp8" if what == "dispatch" and chip == "h800-sxm" else "bf16")
            if what == "dispatch" and chip != "h800-sxm":
                size = row_bytes("fp8")  # eight-bit rows there too
            time = exchange(fabric, int(row["ep"]), TOKENS, size, experts=EXPERTS, chosen=CHOSEN)
            out.append(Timing(id=row["id"], what=what, ranks=int(row["ep"]), measured_s=seconds,
                              predicted_s=np.broadcast_to(time, (given.draws,))))
    return tuple(out)
