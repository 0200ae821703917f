"""What the market's past says of the simulator's numbers: fits that ship with the data, one per vintage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from functools import lru_cache

import numpy as np

from chipcast.base.calendar import parse_date
from chipcast.base.catalog import DATA
from chipcast.base.given import Given
from chipcast.base.types import Array

VINTAGES = (date(2025, 2, 25), date(2025, 5, 28), date(2025, 8, 27), date(2025, 11, 19), date(2025, 12, 31))
"""Information dates of the fits: that of the news, and the days on which a later quarter was filed."""

PARTICLES, MOVES = 2000, 8
"""Particles and moves of the fits that ship."""

KEPT = 800
"""Particles that a shipped fit keeps."""


def to_text(as_of: date, normals: Mapping[str, Array]) -> str:
    """Return a fit as text: names, and the normals behind each of `KEPT` particles, rounded to 0.01 sd."""
    names = list(normals)
    z = np.stack([normals[n] for n in names])
    step = z.shape[1] / KEPT
    kept = z[:, (np.arange(KEPT) * step).astype(int)]
    rows = {name: [float(f"{x:.2f}") for x in row] for name, row in zip(names, kept, strict=True)}
    return json.dumps({"as_of": as_of.isoformat(), "normals": rows}, separators=(",", ":")) + "\n"


def path_of_fit(as_of: date) -> str:
    """Return the name of the file of a fit."""
    return f"market-{as_of}.json"


@lru_cache(maxsize=8)
def shipped(as_of: date) -> Mapping[str, Array]:
    """Return the normals behind the simulator's numbers of the last fit that a date may see. [1] (particle)

    Empty where the date lies before the first.
    """
    seen = [v for v in VINTAGES if v <= as_of]
    if not seen:
        return {}
    got = json.loads((DATA / "posteriors" / path_of_fit(seen[-1])).read_text(encoding="utf-8"))
    assert parse_date(got["as_of"]) <= as_of, "a fit has seen nothing later than its date"
    return {name: np.array(z) for name, z in got["normals"].items()}


def calibrated(given: Given) -> Given:
    """Return the table with the market's numbers as its past leaves them, whole particles, one for each draw.

    Numbers that a scenario states and numbers that reports have moved stay as they are.
    """
    fit = {name: z for name, z in shipped(given.as_of).items()
           if name in given and given.row(name).kind != "scenario" and name not in given.posterior
           and not given.row(name).law.fixed}
    if not fit:
        return given
    whole = given.block(0, given.stop)
    count = len(next(iter(fit.values())))
    pick = (whole.shock("market:particle") * count).astype(int)
    return given.with_posterior({name: z[pick] for name, z in fit.items()})
