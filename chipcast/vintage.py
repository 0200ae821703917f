"""Forecasts that stay: the named series of a date as quantiles with one hash, written once and scored later."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from chipcast.base.calendar import parse_date
from chipcast.base.errors import InputError
from chipcast.base.infer import median_error
from chipcast.base.summary import to_json
from chipcast.base.types import Array
from chipcast.chain import prepare, trade
from chipcast.evidence import grade
from chipcast.fab.record import Line
from chipcast.news import SERIES_UNITS, named_quantities
from chipcast.scenario import load

LEVELS = {"p05": 0.05, "p25": 0.25, "p50": 0.50, "p75": 0.75, "p95": 0.95}
"""Quantiles of a frozen forecast."""

HINDSIGHT_UNTIL = "2025-12-31"
"""Forecasts of information dates before this one were written by people who had lived through the year."""


def frozen(scenario: str, *, draws: int, seed: int, as_of: str | None = None, out: str = "") -> dict[str, Any]:
    """Return the forecast of every named series as quantiles with one hash, and write it once if `out` is named.

    `median_error` beside the quantiles is the Monte Carlo standard error of the median; it is no part of the hash.

    Raises
    ------
    InputError
        If `out` exists, cannot be written, or the scenario sets a value without a `known_by` on or before its date.
    """
    story = load(scenario, as_of=as_of)
    for name, text in story.set.items():
        if not (isinstance(text, Mapping) and text.get("known_by")):
            raise InputError(f"{story.where.get(name, name)}: a frozen forecast takes {name} only with known_by: on or "
                             f"before {story.as_of}; write {{value: ..., known_by: YYYY-MM-DD}}")
    path = Path(out) if out else None
    if path is not None and path.exists():
        raise InputError(f"--out {path} exists already; a forecast is written once, name a new file")
    ready = prepare(story, draws=draws, seed=seed)
    world = trade(ready.setting, ready.given)
    values, _ = named_quantities(ready, world)
    values |= {f"smic_ai_die_yield.{m}": v for m, v in yields_ahead(world.line, story.as_of).items()}
    rows: list[dict[str, Any]] = []
    for name, unit in SERIES_UNITS.items():
        for key, by_draw in values.items():
            period = key.removeprefix(f"{name}.")
            if key != period and ends_after(period, story.as_of):
                rows.append({"series": name, "period": period, "unit": unit, **quantiles(by_draw),
                             "as_of": story.as_of.isoformat(),
                             "median_error": float(f"{median_error(by_draw, ready.evidence.family):.3g}")})
    digest = grade.digest(rows)
    standing = "hindcast" if story.as_of.isoformat() < HINDSIGHT_UNTIL else "forecast"
    result: dict[str, Any] = {"scenario": story.name, "as_of": story.as_of.isoformat(), "draws": draws, "seed": seed,
                              "standing": standing, "hash": digest, "forecasts": [r | {"hash": digest} for r in rows],
                              "file": str(path) if path else ""}
    if path is not None:
        try:
            with path.open("x", encoding="utf-8") as sheet:
                sheet.write(to_json(result))
        except OSError as error:
            raise InputError(f"--out {path} cannot be written: {error.strerror}; name another place") from None
    return result


def quantiles(by_draw: Array) -> dict[str, float]:
    """Return the levels of a frozen forecast, six digits each."""
    return {q: float(f"{np.quantile(by_draw, level):.6g}") for q, level in LEVELS.items()}


def yields_ahead(line: Line, as_of: date) -> dict[str, Array]:
    """Return the sellable yield of AI dies a year on and at the ends of years, by month. [1] (draw)"""
    months = {f"{as_of.year + 1}-{as_of.month:02d}", f"{as_of.year}-12", f"{as_of.year + 1}-12"}
    return {m: line.yield_die_any[line.months.index(m)] for m in sorted(months) if m in line.months}


def ends_after(period: str, as_of: date) -> bool:
    """Return whether a period ends after the information date."""
    year = int(period[2:4]) + 2000 if period.startswith("FY") else int(period[:4])
    if period.startswith("FY"):
        quarter = int(period[5:6]) if "Q" in period else 4
        ends = date(year - 1, 1, 28) + timedelta(days=91 * quarter)
    elif "Q" in period:
        ends = parse_date(f"{year}-{3 * int(period[5:6]):02d}", last=True)
    else:
        ends = parse_date(period, last=True)
    return ends > as_of
