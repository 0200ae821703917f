"""The whole market run as of a past date, held against what came: the public back-test.

Two runs: one is told the later path of both gates, one must draw it. They test different things. Outcomes are rows
of `history.csv` that became known after the run's date; the run itself never sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from chipcast.base.calendar import parse_date, quarter_name
from chipcast.base.catalog import read_table
from chipcast.base.draws import normals
from chipcast.base.types import Array
from chipcast.chain import World, prepare, trade
from chipcast.evidence.score import BASELINES, Scored, brier, log_score, score_one
from chipcast.market.filed import china_quarters
from chipcast.market.forecast import series
from chipcast.scenario import Event, load

OUTCOMES = (
    ("nvda_china_revenue_usd_bn", "FY26Q1", "nvda_china_hk_revenue_billing", "2025-04", 1e9),
    ("nvda_china_revenue_usd_bn", "FY26Q2", "nvda_china_hk_revenue_billing", "2025-07", 1e9),
    ("nvda_china_revenue_usd_bn", "FY26Q3", "nvda_china_hk_revenue_billing", "2025-10", 1e9),
    ("h20_revenue_usd_bn", "FY26Q1", "h20_revenue", "2025-04", 1e9),
    ("h20_revenue_usd_bn", "FY26Q2", "h20_revenue_china", "2025-07", 1e9),
    ("h20_revenue_usd_bn", "FY26Q3", "h20_revenue", "2025-10", 1e9),
    ("h20_orders_usd_bn", "2025Q1", "h20_orders", "2025-Q1", 1e9),
)
"""Series, period, and the row (series, date) of `history.csv` that says what came, in units of the last entry."""

AT_LEAST = ("h20_orders_usd_bn",)
"""Series whose outcome is a lower bound: reported as at least so much."""

NAMED = {
    ("h20_revenue_usd_bn", "FY26Q3"): ("h20_potential_guided", "2025-10", "the maker's guide, if geopolitics allow"),
}
"""Forecasts that others published for the same quantity: row of `history.csv` and what it was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateScore:
    """An event forecast: did the US gate shut for the card by a date."""

    by: str
    """Month by whose end it is asked."""
    chance: float
    """Share of draws in which it had shut."""
    happened: bool
    """What came."""
    brier: float
    """Squared error of the chance."""
    log: float
    """Minus log of the chance given to what came."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hindcast:
    """One run as of a past date and its scores."""

    as_of: date
    """Information date."""
    conditional: bool
    """Whether the later path of both gates was given."""
    scored: tuple[Scored, ...]
    """Forecasts with an outcome."""
    bounds: tuple[Mapping[str, Any], ...]
    """Outcomes that are lower bounds: series, period, bound, p05 to p95, chance of at least the bound."""
    gates: tuple[GateScore, ...]
    """Event forecasts; empty where the path was given."""


def path_given() -> tuple[Event, ...]:
    """Return the later path of both gates for the card, from `events.csv`: shut, licences issued, barred at home."""
    rows = read_table("events")

    def first(category: str, effect: str, after: str) -> date:
        return min(parse_date(r["date"]) for r in rows
                   if r["category"] == category and r["effect"] == effect and r["date"] > after)

    shut = first("us_control", "-foreign", "2025-02-25")
    promised = first("us_relax", "+foreign", str(shut))
    barred = first("cn_control", "-foreign", str(promised))
    opened = min(parse_date(r["date"]) for r in rows if r["category"] == "us_relax" and "licences issued" in r["event"])
    why = "the path that came, from the dated events"
    return (Event(on=shut, gate="us", chip="h20-96", to="licence", why=why),
            Event(on=opened, gate="us", chip="h20-96", to="open", why=why),
            Event(on=barred, gate="cn", chip="h20-96", to="closed", why=why))


def hindcast(scenario: str = "february-2025", *, conditional: bool, draws: int = 4000, seed: int = 1) -> Hindcast:
    """Run the whole chain as of the scenario's date and score it on what came."""
    story = load(scenario)
    ready = prepare(replace(story, events=story.events + (path_given() if conditional else ())), draws=draws, seed=seed)
    world = trade(ready.setting, ready.given)
    forecasts = {**series(world.given, world.market, world.line), "h20_orders_usd_bn": orders_by_quarter(world)}
    scored: list[Scored] = []
    bounds: list[Mapping[str, Any]] = []
    known = china_quarters(world.given)
    past = np.array([known[k] for k in sorted(known)]) / 1e9
    luck = normals(seed, "backtest:baseline", 0, 2000)
    for name, period, row_series, row_date, unit in OUTCOMES:
        row = next(r for r in read_table("history") if r["series"] == row_series and r["date"] == row_date)
        if parse_date(row["known_by"]) <= story.as_of:
            continue
        ensemble, outcome = forecasts[name][period], float(row["value"]) / unit
        if name in AT_LEAST:
            q = np.quantile(ensemble, [0.05, 0.1, 0.5, 0.9, 0.95])
            bounds.append({"series": name, "period": period, "at_least": outcome,
                           **dict(zip(("p05", "p10", "p50", "p90", "p95"), map(float, q), strict=True)),
                           "chance": float(np.mean(ensemble >= outcome)), "kind": row["kind"]})
            continue
        steps = {"FY26Q1": 2, "FY26Q2": 3, "FY26Q3": 4}[period]
        rivals: dict[str, Array] = {}
        if name == "nvda_china_revenue_usd_bn":
            rivals = {k: rule(past, steps, luck) for k, rule in BASELINES.items()}
        else:
            share = world.given.middle("h20-96.share_of_china_revenue")
            rivals = {k: rule(past * share, steps, luck) for k, rule in BASELINES.items()}
        if (name, period) in NAMED:
            other = next(r for r in read_table("history") if (r["series"], r["date"]) == NAMED[name, period][:2])
            if name == "h20_revenue_usd_bn":
                rivals["named"] = np.array([float(other["value"]) / unit])
        scored.append(score_one(ensemble, outcome, series=name, period=period, vintage=str(story.as_of),
                                kind=row["kind"], baselines=rivals))
    return Hindcast(as_of=story.as_of, conditional=conditional, scored=tuple(scored), bounds=tuple(bounds),
                    gates=() if conditional else gate_scores(world))


def orders_by_quarter(world: World) -> dict[str, Array]:
    """Return the value of H20 ordered by calendar quarter, inflation of orders included. [1e9 USD] (draw)

    The first quarter lacks its months before the run: they are taken at the last filed rate of sales.
    """
    market, given = world.market, world.given
    value = market.orders[:, 0].sum(axis=0, dtype=np.float64) * np.asarray(market.price_usd[0], dtype=float) / 1e9
    known = china_quarters(given)
    before = known[max(known)] * given["h20-96.share_of_china_revenue"] / 3 / 1e9
    out: dict[str, Array] = {}
    for i, month in enumerate(market.months):
        quarter = quarter_name(month)
        if quarter not in out:
            out[quarter] = np.zeros(given.draws)
            if i == 0:
                out[quarter] = out[quarter] + before * ((int(month[5:]) - 1) % 3)
        out[quarter] = out[quarter] + value[i]
    return out


def gate_scores(world: World) -> tuple[GateScore, ...]:
    """Score the chance that the US gate had shut for the card by the end of some months."""
    shut = next(e.on for e in path_given() if e.gate == "us")
    market = world.market
    out = []
    for month in ("2025-03", "2025-04", "2025-06"):
        i = market.months.index(month)
        chance = float(np.mean(market.us_open[0, : i + 1].min(axis=0) < 1))
        happened = f"{shut:%Y-%m}" <= month
        out.append(GateScore(by=month, chance=chance, happened=happened, brier=float(brier(chance, happened)),
                             log=float(log_score(chance, happened))))
    return tuple(out)
