"""Grade frozen forecasts on outcomes that have matured: a forecast is five quantiles and a hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from chipcast.base.calendar import parse_date
from chipcast.base.catalog import read_table
from chipcast.base.errors import InputError, unknown
from chipcast.base.summary import to_json
from chipcast.evidence.score import binomial_at_least, binomial_band, weighted_interval_score

FIELDS = ("series", "period", "unit", "p05", "p25", "p50", "p75", "p95", "as_of")
"""What a frozen forecast states; the hash is over exactly these."""

SERIES = ("huawei_ascend_cards", "huawei_910b_cards", "huawei_910c_packages", "hbm_stacks_used",
          "china_vendor_cards", "china_total_cards",
          "nvidia_china_cards", "h20_revenue_usd_bn", "nvda_china_revenue_usd_bn", "h20_card_price_usd",
          "smic_ai_die_yield", "nvda_china_share")
"""Names of forecast series; fixed, so that a forecast of one release can be graded by another."""

PAST = {"nvda_china_revenue_usd_bn": "nvda_china_hk_revenue_billing"}
"""Series of `history.csv` whose last value known at the date is the naive forecast."""

NAIVE_Z = {"p05": -1.6448536269514722, "p25": -0.6744897501960817, "p50": 0.0, "p75": 0.6744897501960817,
           "p95": 1.6448536269514722}
"""Normal quantiles of the levels."""


def digest(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the hash of a forecast: over its fields and values, nothing else."""
    return blake2b(to_json([{k: r[k] for k in FIELDS} for r in rows]).encode(), digest_size=8).hexdigest()


def check_frozen(content: Any, name: str) -> list[dict[str, Any]]:
    """Return the rows of a frozen forecast after checking its shape and its hash.

    Raises
    ------
    InputError
        If it is no frozen forecast, or a number was changed after it was written.
    """
    rows = content.get("forecasts") if isinstance(content, Mapping) else None
    if not rows or any(not isinstance(r, Mapping) or set(FIELDS) - set(r) for r in rows):
        raise InputError(f"{name} is no frozen forecast; write one with 'chipcast freeze --out FILE'")
    if digest(rows) != content.get("hash"):
        raise InputError(f"{name} was changed after it was written: its hash is {content.get('hash')}, its numbers "
                         f"give {digest(rows)}; use the file as it was frozen")
    return [dict(r) for r in rows]


def outcomes(extra: Sequence[Mapping[str, str]] = ()) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the outcome of each series and period; rows of the user's own come last and count."""
    out: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (*read_table("outcomes"), *extra):
        try:
            value = float(row["value"])
        except (KeyError, TypeError, ValueError):
            raise InputError(f"an outcome must have series, period and a number in value, got {dict(row)}") from None
        if not np.isfinite(value):
            raise InputError(f"the outcome of {row['series']} in {row['period']} must be a finite number, got {value}")
        if row["series"] not in SERIES:
            unknown("series of an outcome", row["series"], SERIES)
        out[(row["series"], row["period"])] = {"value": value, "kind": row.get("kind") or "stated",
                                               "known_by": row.get("known_by", ""), "source": row.get("source", "")}
    return out


def naive(series: str, as_of: str) -> dict[str, float] | None:
    """Return the last value known at the date as a log-normal forecast of a year's past changes; None without past."""
    if series not in PAST:
        return None
    known = [(r["date"], float(r["value"]) / 1e9) for r in read_table("history")
             if r["series"] == PAST[series] and parse_date(r["known_by"]) <= parse_date(as_of)]
    logs = np.log([v for _, v in sorted(known)])
    if logs.size < 3:
        return None
    sd = float(np.sqrt(np.mean(np.diff(logs) ** 2)))
    return {q: float(np.exp(logs[-1] + z * sd)) for q, z in NAIVE_Z.items()}


def interval_score_of(f: Mapping[str, float], outcome: float) -> float:
    """Return the weighted interval score of five quantiles. [unit of the series]"""
    return float(weighted_interval_score(f["p50"], {0.5: (f["p25"], f["p75"]), 0.9: (f["p05"], f["p95"])}, outcome))


def grade(rows: Sequence[Mapping[str, Any]], known: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Any]:
    """Return the score of every forecast whose outcome is known, and what they say together.

    An outcome that was known on the forecast's own date is refused: it would grade what the forecast had seen.
    """
    scored, seen = [], 0
    for f in rows:
        got = known.get((f["series"], f["period"]))
        if got is None:
            continue
        if got["known_by"] and got["known_by"] <= f["as_of"]:
            seen += 1
            continue
        y = float(got["value"])
        base = naive(f["series"], f["as_of"])
        own = interval_score_of(f, y)
        rival = interval_score_of(base, y) if base else None
        scored.append({"series": f["series"], "period": f["period"], "unit": f["unit"], "outcome": y,
                       "kind": got["kind"], **{q: f[q] for q in NAIVE_Z}, "inside_50": f["p25"] <= y <= f["p75"],
                       "inside_90": f["p05"] <= y <= f["p95"], "interval_score": own, "naive_interval_score": rival,
                       "skill": None if not rival else 1 - own / rival})
    n, hits = len(scored), sum(bool(s["inside_90"]) for s in scored)
    result: dict[str, Any] = {"matured": n, "waiting": len(rows) - n - seen, "refused_as_already_known": seen,
                              "scored": scored}
    if n:
        low, high = binomial_band(n, 0.9)
        result |= {"hits_90": hits, "hits_50": sum(bool(s["inside_50"]) for s in scored), "band_90": [low, high],
                   "power": f"with {n} outcomes a true coverage of 70 % still gives {low} or more hits with "
                            f"probability {binomial_at_least(low, n, 0.7):.2f}"}
    return result
