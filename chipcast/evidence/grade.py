"""Grade frozen forecasts on outcomes that have matured: a forecast is five quantiles and a hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from chipcast.base.catalog import read_table
from chipcast.base.errors import InputError, unknown
from chipcast.base.summary import to_json
from chipcast.base.units import parse_quantity
from chipcast.evidence import levels
from chipcast.evidence.rivals import rivals
from chipcast.evidence.score import binomial_at_least, binomial_band, weighted_interval_score

FIELDS = ("series", "period", "unit", "p05", "p25", "p50", "p75", "p95", "as_of")
"""What a frozen forecast states; the hash is over exactly these."""

SERIES = ("huawei_ascend_cards", "huawei_910b_cards", "huawei_910c_packages", "hbm_stacks_used",
          "china_vendor_cards", "china_total_cards",
          "nvidia_china_cards", "h20_revenue_usd_bn", "nvda_china_revenue_usd_bn", "h20_card_price_usd",
          "smic_ai_die_yield", "nvda_china_share")
"""Names of forecast series; fixed, so that a forecast of one release can be graded by another."""

OUTCOME_UNITS = {name: "1e9" for name in SERIES if name.endswith("_usd_bn")}
"""Series whose figures are thousand millions; `800k` and `55%` are read in the others."""


def digest(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the hash of a forecast: over its fields and values, nothing else."""
    return blake2b(to_json([{k: r[k] for k in FIELDS} for r in rows]).encode(), digest_size=8).hexdigest()


HINDSIGHT_UNTIL = "2025-12-31"
"""Forecasts of information dates before this one were written by people who had lived through the year."""


def standing(as_of: str) -> str:
    """Return what a forecast of an information date is: a hindcast or a forecast."""
    return "hindcast" if as_of < HINDSIGHT_UNTIL else "forecast"


def check_frozen(content: Any, name: str) -> list[dict[str, Any]]:
    """Return the rows of a frozen forecast after checking its shape and its hash.

    Raises
    ------
    InputError
        If it is no frozen forecast, or a number was changed after it was written.
    """
    rows = content.get("forecasts") if isinstance(content, Mapping) else None
    if not isinstance(rows, list) or not rows or any(not isinstance(r, Mapping) or set(FIELDS) - set(r) for r in rows):
        raise InputError(f"{name} is no frozen forecast; write one with 'chipcast freeze --out FILE'")
    if digest(rows) != content.get("hash"):
        raise InputError(f"{name} was changed after it was written: its hash is {content.get('hash')}, its numbers "
                         f"give {digest(rows)}; use the file as it was frozen")
    for key, true in (("as_of", rows[0]["as_of"]), ("standing", standing(rows[0]["as_of"]))):
        if content.get(key) != true:
            raise InputError(f"{name} was changed after it was written: {key} says {content.get(key)}, its forecasts "
                             f"say {true}; use the file as it was frozen")
    return [dict(r) for r in rows]


def outcomes(extra: Sequence[Mapping[str, str]] = ()) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the outcome of each series and period; rows of the user's own come last and count."""
    out: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (*read_table("outcomes"), *extra):
        if not all(isinstance(row.get(key), str) and row[key].strip() for key in ("series", "period", "value")):
            raise InputError("an outcome must have the columns series, period and value, got "
                             + ", ".join(f"{k}={v}" for k, v in row.items()))
        if row["series"] not in SERIES:
            unknown("series of an outcome", row["series"], SERIES)
        value = parse_quantity(row["value"], OUTCOME_UNITS.get(row["series"], "1"),
                               f"the outcome of {row['series']} in {row['period']}")
        out[(row["series"], row["period"])] = {"value": value, "kind": row.get("kind") or "stated",
                                               "known_by": row.get("known_by", ""), "source": row.get("source", "")}
    return out


def interval_score_of(f: Mapping[str, float], outcome: float) -> float:
    """Return the weighted interval score of five quantiles. [unit of the series]"""
    return float(weighted_interval_score(f["p50"], {0.5: (f["p25"], f["p75"]), 0.9: (f["p05"], f["p95"])}, outcome))


def grade(rows: Sequence[Mapping[str, Any]], known: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Any]:
    """Return the score of every forecast whose outcome is known, and what they say together.

    Each is held against the rivals of its date (`evidence.rivals`): skill is 1 - CRPS / CRPS of the rival, and the
    gain is the rival's log score less its own, in nats; both are above 0 where the forecast beats the rival. An
    outcome that was known on the forecast's own date is refused: it would grade what the forecast had seen.
    """
    scored, seen = [], 0
    for f in rows:
        got = known.get((f["series"], f["period"]))
        if got is None:
            continue
        if got["known_by"] and got["known_by"] <= f["as_of"]:
            seen += 1
            continue
        scored.append(_score(f, float(got["value"]), str(got["kind"])))
    n, hits = len(scored), sum(bool(s["inside_90"]) for s in scored)
    result: dict[str, Any] = {"matured": n, "waiting": len(rows) - n - seen, "refused_as_already_known": seen,
                              "scored": scored}
    if n:
        low, high = binomial_band(n, 0.9)
        result |= {"hits_90": hits, "hits_50": sum(bool(s["inside_50"]) for s in scored), "band_90": [low, high],
                   "skill": _together(scored),
                   "power": f"with {n} outcomes a true coverage of 70 % still gives {low} or more hits with "
                            f"probability {binomial_at_least(low, n, 0.7):.2f}"}
    return result


def _score(f: Mapping[str, Any], y: float, kind: str) -> dict[str, Any]:
    unit = str(f["unit"])
    own, loss = levels.crps(f, y, unit), levels.log_score(f, y, unit)
    against = {}
    for name, r in rivals(f["series"], f["period"], f["as_of"], unit).items():
        theirs, their_loss = levels.crps(r, y, unit), levels.log_score(r, y, unit)
        against[name] = {"p50": r["p50"], "crps": theirs, "log_score": their_loss,
                         "skill": 1 - own / theirs if theirs > 0 else None,
                         "gain_nats": None if loss is None or their_loss is None else their_loss - loss}
    return {"series": f["series"], "period": f["period"], "unit": unit, "outcome": y, "kind": kind,
            **{q: f[q] for q in levels.NORMAL}, "inside_50": f["p25"] <= y <= f["p75"],
            "inside_90": f["p05"] <= y <= f["p95"], "width": f["p95"] / f["p05"] if f["p05"] > 0 else None,
            "crps": own, "log_score": loss, "interval_score": interval_score_of(f, y), "rivals": against}


def _together(scored: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return by rival how many forecasts it met, the mean skill and the mean gain; named ones count as one rival."""
    met: dict[str, list[Mapping[str, Any]]] = {}
    for s in scored:
        for name, r in s["rivals"].items():
            met.setdefault(name.split(":")[0], []).append(r)
    out = {}
    for name, rows in met.items():
        gains = [float(r["gain_nats"]) for r in rows if r["gain_nats"] is not None]
        out[name] = {"forecasts": len(rows),
                     "mean_skill": float(np.mean([r["skill"] for r in rows if r["skill"] is not None] or [np.nan])),
                     "mean_gain_nats": float(np.mean(gains or [np.nan]))}
    return out
