"""What anyone could have said on the date: the last value, its drift, and the figures that others published.

Only what was known by the forecast's own date enters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from chipcast.base.calendar import parse_date
from chipcast.base.catalog import read_table
from chipcast.evidence.levels import SCALES, of_normal

FILED = {"nvda_china_revenue_usd_bn": ("nvda_china_hk_revenue_billing", 1e9)}
"""Series of `history.csv` with the past of a forecast series, and the unit of the forecast in it."""

TOLD = {"huawei_ascend_cards": ("huawei_ascend_cards", "huawei_910b_cards"),
        "huawei_910b_cards": ("huawei_910b_cards",), "huawei_910c_packages": ("huawei_910c_packages",),
        "smic_ai_die_yield": ("smic_ai_die_yield", "910b.yield")}
"""Series of `observations.csv` with the past of a forecast series; in 2024 all cards were of the one-die part."""

SUMS = {"huawei_ascend_cards": ("huawei_910b_cards", "huawei_910c_packages")}
"""Series whose published forecasts may come in parts."""

AHEAD = ("vendor_plan", "forecast", "letter_or_broker", "newspaper", "testimony")
"""Source classes whose figure for a period to come is a public forecast."""

Quantiles = dict[str, float]


def rivals(series: str, period: str, as_of: str, unit: str) -> dict[str, Quantiles]:
    """Return five quantiles by rival: `last`, `drift` and `named:<origin>`; what cannot be said is left out.

    Parameters
    ----------
    series, period : str
        What is forecast.
    as_of : str
        Information date `YYYY-MM-DD`.
    unit : str
        Unit of the series; shares are spread on the logit scale, others in logs.

    Notes
    -----
    Filings are spread by their own past changes over so many steps. Reports disagree more than what they report on
    can move, so a past of reports is spread by an assumed row: a narrower and harder rival.
    """
    scale = "logit" if unit == "1" else "log"
    out: dict[str, Quantiles] = {}
    past = known_past(series, period, as_of)
    if past:
        times, values = np.array([t for t, _ in past]), SCALES[scale].to(np.array([v for _, v in past]))
        ahead = time_of(period) - times[-1]
        if series in FILED and len(past) >= 3:
            steps = max(1.0, round(ahead / float(np.median(np.diff(times)))))
            sd = float(np.sqrt(np.mean(np.diff(values) ** 2) * steps))
        else:
            sd = _assumed(f"baseline.sigma_{'logit_share' if scale == 'logit' else 'ln_count'}")
        back = SCALES[scale].back
        out["last"] = of_normal(float(back(values[-1])), sd, unit, scale)
        if len(past) >= 2:
            slope = (values[-1] - values[0]) / (times[-1] - times[0])
            out["drift"] = of_normal(float(back(values[-1] + slope * ahead)), sd, unit, scale)
    return out | {f"named:{k}": v for k, v in published(series, period, as_of, unit).items()}


def known_past(series: str, period: str, as_of: str) -> list[tuple[float, float]]:
    """Return (time in years, value) of earlier periods of the same length, known by the date, in order of time.

    Of several figures for one period the last that became known counts.
    """
    found: dict[float, tuple[str, float]] = {}
    if series in FILED:
        name, per = FILED[series]
        rows = [(r["date"], float(r["value"]) / per, r["known_by"]) for r in read_table("history")
                if r["series"] == name and period.startswith("FY")]
    else:
        rows = [(r["period"], float(r["value"]), r["known_by"]) for r in read_table("observations")
                if r["series"] in TOLD.get(series, ()) and r["source_class"] not in ("vendor_plan", "forecast")
                and r["relation"] == "about" and len(r["period"]) == len(period)]
    for when, value, known_by in sorted(rows, key=lambda r: r[2]):
        time = time_of(when)
        if parse_date(known_by) <= parse_date(as_of) and time < min(time_of(period), time_of(as_of)):
            found[time] = (known_by, value)
    return [(t, found[t][1]) for t in sorted(found)]


def published(series: str, period: str, as_of: str, unit: str) -> dict[str, Quantiles]:
    """Return the figures of others for this very period, known by the date, each with the error of its class."""
    rows = [r for r in read_table("observations") if r["period"] == period and r["source_class"] in AHEAD
            and parse_date(r["known_by"]) <= parse_date(as_of) and time_of(period, last=True) > time_of(as_of)]
    values: dict[str, tuple[float, str]] = {}
    for r in rows:
        if r["series"] == series:
            values[r["origin"]] = (float(r["value"]), r["source_class"])
    parts = SUMS.get(series, ())
    for origin in {r["origin"] for r in rows} - set(values):
        mine = {r["series"]: r for r in rows if r["origin"] == origin and r["series"] in parts}
        if parts and set(mine) == set(parts):
            values[origin] = (sum(float(r["value"]) for r in mine.values()), mine[parts[0]]["source_class"])
    scale, kind = ("logit", "logit_yield") if unit == "1" else ("log", "ln_count")
    return {origin: of_normal(value, _error(source_class, kind), unit, scale)
            for origin, (value, source_class) in sorted(values.items())}


def time_of(period: str, *, last: bool = False) -> float:
    """Return the middle of a period in years, its end if `last`; fiscal quarters end late in January and so on.

    >>> time_of("2024"), round(time_of("2025Q1"), 3), round(time_of("FY26Q1"), 3)
    (2024.5, 2025.125, 2025.208)
    """
    if period.startswith("FY"):
        quarter = int(period[5:6] or 4)
        end = int(period[2:4]) + 2000 - 1 + (3 * quarter + 1) / 12
        return end if last else end - 1.5 / 12
    if "Q" in period:
        end = int(period[:4]) + int(period[5:6]) / 4
        return end if last else end - 1 / 8
    numbers = [int(n) for n in re.split("-", period)]
    if len(numbers) == 1:
        return numbers[0] + (1.0 if last else 0.5)
    if len(numbers) == 2:
        return numbers[0] + (numbers[1] - (0.0 if last else 0.5)) / 12
    return numbers[0] + (numbers[1] - 1) / 12 + numbers[2] / 366


def _assumed(name: str) -> float:
    """Return the middle of an assumed range that is the same in all vintages."""
    item, quantity = name.split(".")
    row: Mapping[str, str] = next(r for r in read_table("priors") if (r["item"], r["name"]) == (item, quantity))
    return float(row["mode"])


def _error(source_class: str, kind: str) -> float:
    """Return the standard error of a source class on its scale, that of newspapers where it has no row."""
    known: Sequence[str] = [r["item"] for r in read_table("priors") if r["name"] == f"sigma_{kind}"]
    return _assumed(f"source_{source_class if f'source_{source_class}' in known else 'newspaper'}.sigma_{kind}")
