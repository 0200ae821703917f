"""What the market's past says of the simulator's numbers: fits that ship with the data, one per vintage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from chipcast.base.calendar import month_index, parse_date
from chipcast.base.catalog import DATA
from chipcast.base.given import Given
from chipcast.base.laws import Z95
from chipcast.base.types import Array
from chipcast.market.filed import AHEAD, china_quarters, fiscal_end

VINTAGES = (date(2025, 2, 25), date(2025, 5, 28), date(2025, 8, 27), date(2025, 11, 19), date(2025, 12, 31))
"""Information dates of the fits: that of the news, and the days on which a later quarter was filed."""

PARTICLES, MOVES = 2000, 8
"""Particles and moves of the fits that ship."""

KEPT = 800
"""Particles that a shipped fit keeps."""


def to_text(as_of: date, normals: Mapping[str, Array], *, end: str, ahead: Array) -> str:
    """Return a fit as text: the normals behind each of `KEPT` particles, rounded to 0.01 sd, and what they foretell.

    Parameters
    ----------
    as_of : date
        Information date.
    normals : mapping
        Normals behind the simulator's numbers. (particle)
    end : str
        Month in which the last filed quarter ended.
    ahead : array (quarter, particle)
        Logs of revenue in later quarters over that one. [1]
    """
    step = ahead.shape[1] / KEPT
    kept = (np.arange(KEPT) * step).astype(int)
    rows = {name: [float(f"{x:.2f}") for x in z[kept]] for name, z in normals.items()}
    later = [[float(f"{x:.2f}") for x in row[kept]] for row in ahead]
    return json.dumps({"as_of": as_of.isoformat(), "normals": rows, "end": end, "ahead_ln": later},
                      separators=(",", ":")) + "\n"


def path_of_fit(as_of: date) -> str:
    """Return the name of the file of a fit."""
    return f"market-{as_of}.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shipped:
    """A fit that ships with the data."""

    normals: Mapping[str, Array]
    """Normals behind the simulator's numbers. [1] (particle)"""
    end: str
    """Month in which its last filed quarter ended."""
    ahead_ln: Array
    """Logs of revenue in later quarters over that one. [1] (quarter, particle)"""


@lru_cache(maxsize=8)
def shipped(as_of: date) -> Shipped | None:
    """Return the last fit that a date may see, none where the date lies before the first."""
    seen = [v for v in VINTAGES if v <= as_of]
    if not seen:
        return None
    got = json.loads((DATA / "posteriors" / path_of_fit(seen[-1])).read_text(encoding="utf-8"))
    assert parse_date(got["as_of"]) <= as_of, "a fit has seen nothing later than its date"
    return Shipped(normals={name: np.array(z) for name, z in got["normals"].items()}, end=got["end"],
                   ahead_ln=np.array(got["ahead_ln"]))


def ahead_normals(fit: Shipped, given: Given) -> dict[str, Array]:
    """Return the normals behind `AHEAD`, counted from the last quarter filed by the date of `given`. [1] (particle)"""
    since = (month_index(max(map(fiscal_end, china_quarters(given)))) - month_index(fit.end)) // 3
    level = np.concatenate([np.zeros((1, fit.ahead_ln.shape[1])), fit.ahead_ln])
    out = {}
    for k, name in enumerate(AHEAD, 1):
        law = given.row(name).law
        if law.fixed:  # a scenario states it
            continue
        moved = level[min(since + k, len(level) - 1)] - level[min(since, len(level) - 1)]
        out[name] = (moved - law.middle) / ((law.high - law.low) / (2 * Z95))
    return out


def calibrated(given: Given) -> Given:
    """Return the table with the market's numbers as its past leaves them, whole particles, one for each draw.

    Numbers that a scenario states and numbers that reports have moved stay as they are.
    """
    last = shipped(given.as_of)
    if last is None:
        return given
    fit = {name: z for name, z in {**last.normals, **ahead_normals(last, given)}.items()
           if name in given and given.row(name).kind != "scenario" and name not in given.posterior
           and not given.row(name).law.fixed}
    whole = given.block(0, given.stop)
    count = last.ahead_ln.shape[1]
    pick = (whole.shock("market:particle") * count).astype(int)
    return given.with_posterior({name: z[pick] for name, z in fit.items()})
