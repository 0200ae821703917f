"""Forecasts that stay: the named series of a date as quantiles with one hash, written once and scored later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from chipcast.base.calendar import parse_date
from chipcast.base.errors import InputError
from chipcast.base.infer import median_error
from chipcast.base.summary import interval, to_json
from chipcast.base.types import Array
from chipcast.chain import prepare, trade
from chipcast.evidence import grade
from chipcast.fab import line as fab_line
from chipcast.fab.record import Line
from chipcast.news import SERIES_UNITS, named_quantities
from chipcast.scenario import load

LEVELS = {"p05": 0.05, "p25": 0.25, "p50": 0.50, "p75": 0.75, "p95": 0.95}
"""Quantiles of a frozen forecast."""

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
    result: dict[str, Any] = {"scenario": story.name, "as_of": story.as_of.isoformat(), "draws": draws, "seed": seed,
                              "standing": grade.standing(story.as_of.isoformat()), "hash": digest,
                              "forecasts": [r | {"hash": digest} for r in rows],
                              "file": str(path) if path else ""}
    if path is not None:
        try:
            with path.open("x", encoding="utf-8") as sheet:
                sheet.write(to_json(result | {"file": path.name}))
        except OSError as error:
            raise InputError(f"--out {path} cannot be written: {error.strerror}; name another place") from None
    return result


def difference(scenario: str, first: str, second: str, *, draws: int, seed: int) -> dict[str, Any]:
    """Return what a later information date changes: new reports, quantities and outputs of the line at both dates.

    Both stand on the same luck. Quantities are ordered by the shift of their mean in standard deviations of the first.

    Raises
    ------
    InputError
        If the second date is not after the first.
    """
    ready = [prepare(scenario, draws=draws, seed=seed, as_of=d or None) for d in (first, second)]
    old, new = (r.evidence for r in ready)
    if new.given.as_of <= old.given.as_of:
        raise InputError(f"--against {new.given.as_of} must lie after {old.given.as_of}, the date it is held against")
    lines = [fab_line.run(r.given, r.setting.line_months) for r in ready]
    outputs = []
    for year in sorted({m[:4] for m in lines[0].months}):
        for name, pick in OUTPUTS.items():
            a, b = (pick(line, [k for k, m in enumerate(line.months) if m.startswith(year)]) for line in lines)
            outputs.append({"name": f"{name}.{year}", **_both(a, b)})
    names = sorted(n for n in {*old.names, *new.names} if n in old.given.rows and n in new.given.rows)
    moved = [{"name": n, "unit": new.given.row(n).unit, **_both(old.given[n], new.given[n])} for n in names]
    known = {o.id for o in old.reports}
    return {"first": old.given.as_of, "second": new.given.as_of,
            "new_reports": [o.id for o in new.reports if o.id not in known], "outputs": outputs,
            "quantities": sorted(moved, key=lambda r: -abs(float(str(r["shift_sd"]))))}


def _both(a: Array, b: Array) -> dict[str, Any]:
    sd = float(np.std(a))
    return {"first": interval(a), "second": interval(b), "shift_sd": float(np.mean(b) - np.mean(a)) / sd if sd else 0.0}


OUTPUTS: Mapping[str, Callable[[Line, list[int]], Array]] = {
    "huawei_ascend_cards": lambda line, k: np.asarray(line.packages[:, k].sum(axis=(0, 1))),
    "huawei_910c_packages": lambda line, k: np.asarray(line.packages[1, k].sum(axis=0)),
    "smic_ai_die_yield": lambda line, k: np.asarray(line.yield_die_any[k].mean(axis=0)),
    "hbm_stacks_used": lambda line, k: np.asarray(line.hbm_used[k].sum(axis=0)),
    "die_bank_at_the_end": lambda line, k: np.asarray(line.die_bank[k[-1]]),
}
"""Outputs of the line whose two forecasts stand side by side; months are those of one year."""


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
