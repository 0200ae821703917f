"""The whole market run as of a past date, held against what came: the public back-test.

Two runs: one is told the later path of both gates, one must draw it. They test different things. Outcomes are rows
of `history.csv` that became known after the run's date; the run itself never sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from chipcast.base.calendar import DAYS_PER_MONTH, month_index, month_name, parse_date, quarter_name
from chipcast.base.catalog import read_table
from chipcast.base.draws import normals
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.chain import World, prepare, trade
from chipcast.evidence.score import BASELINES, Scored, brier, crps, log_score, score_one
from chipcast.market.budget import NAMED as NAMED_CAPEX
from chipcast.market.budget import named_capex, published
from chipcast.market.doors import path_of, record
from chipcast.market.filed import bridge, card_quarters, china_quarters, last_filed
from chipcast.market.forecast import series
from chipcast.scenario import Event, load

BILLION = 1e9

Value = Callable[[float, Given], float]
"""From a row's value to the unit of a series."""


def billions(value: float, given: Given) -> float:
    """Return billions."""
    return value / BILLION


def counted(value: float, given: Given) -> float:
    """Return a count as it stands."""
    return value


def billions_from_yuan(value: float, given: Given) -> float:
    """Return billions of USD from yuan."""
    return value / given.middle("ownership.cny_per_usd") / BILLION


def card_of_module(value: float, given: Given) -> float:
    """Return the price of a card before tax from a module of eight in yuan. [USD]"""
    return value / 8 / (1 + given.middle("ownership.vat_cn")) / given.middle("ownership.cny_per_usd")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A row of `history.csv` that says what came of a series."""

    series: str
    """Series of the forecast."""
    period: str
    """Period of the forecast."""
    rows: tuple[tuple[str, str], ...]
    """Rows (series, date) whose sum it is."""
    unit: Value = billions
    """From the rows' unit to the series' unit."""
    bound: bool = False
    """Whether the row is a lower bound."""


REVENUE = "nvda_china_hk_revenue_billing"

OUTCOMES = (
    *(Outcome(series="nvda_china_revenue_usd_bn", period=p, rows=((REVENUE, d),))
      for p, d in (("FY26Q1", "2025-04"), ("FY26Q2", "2025-07"), ("FY26Q3", "2025-10"))),
    Outcome(series="h20_revenue_usd_bn", period="FY26Q1", rows=(("h20_revenue", "2025-04"),)),
    Outcome(series="h20_revenue_usd_bn", period="FY26Q2", rows=(("h20_revenue_china", "2025-07"),)),
    Outcome(series="h20_revenue_usd_bn", period="FY26Q3", rows=(("h20_revenue", "2025-10"),)),
    Outcome(series="h20_unshipped_usd_bn", period="FY26Q1", rows=(("h20_unshipped", "2025-04"),)),
    Outcome(series="h20_charge_usd_bn", period="FY26Q1", rows=(("h20_inventory_charge", "2025-04"),)),
    Outcome(series="h20_orders_usd_bn", period="2025Q1", rows=(("h20_orders", "2025-Q1"),), bound=True),
    Outcome(series="h20_card_price_usd", period="2025Q3", rows=(("price_h20_module8_cny", "2025-08"),),
            unit=card_of_module),
    Outcome(series="huawei_ascend_cards", period="2025", rows=(("ascend_output_semianalysis", "2025"),), unit=counted),
    Outcome(series="huawei_910c_packages", period="2025", rows=(("ascend_910c_bloomberg", "2025"),), unit=counted),
    *(Outcome(series="platform_capex_usd_bn", period=f"2025Q{q}", rows=tuple((c, f"2025-Q{q}") for c in NAMED_CAPEX),
              unit=billions_from_yuan) for q in (1, 2, 3)),
)
"""What came, from February 2025 on: filings, then reports and estimates, which count for coverage only."""

UNTOLD_NO_MEANING = ("h20_unshipped_usd_bn", "h20_charge_usd_bn")
"""Series that exist only where the door shut in the quarter: scored where the path is given."""

NAMED = {
    ("h20_revenue_usd_bn", "FY26Q3"): ("h20_potential_guided", "2025-10"),
    ("huawei_ascend_cards", "2025"): ("ascend_output_us_official_cap", "2025"),
    ("huawei_910c_packages", "2025"): ("ascend_910c_plan", "2025"),
}
"""Forecasts and claims that others made of the same quantity in public: row (series, date) of `history.csv`."""

VINTAGES = (date(2025, 2, 25), date(2025, 5, 28), date(2025, 8, 27))
"""Information dates of the public back-test of the whole market: the news, and filings with a later outcome."""


def outcomes_after(day: date) -> tuple[Outcome, ...]:
    """Return the outcomes that became known after a date: what a run of that date can be scored on."""
    known = {(r["series"], r["date"]): parse_date(r["known_by"]) for r in read_table("history")}
    return tuple(o for o in OUTCOMES if max(known[key] for key in o.rows) > day)


@dataclass(frozen=True, kw_only=True, slots=True)
class GateScore:
    """An event forecast: did something happen at a gate by a date."""

    what: str = "US gate shut"
    """What is asked."""
    by: str
    """Month by whose end it is asked."""
    chance: float
    """Share of draws in which it had happened."""
    happened: bool
    """What came."""
    brier: float
    """Squared error of the chance."""
    log: float
    """Minus log of the chance given to what came."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeScore:
    """A forecast of when something happens, against when it did."""

    what: str
    """What is asked."""
    came: float
    """Months from the information date until it happened. [months]"""
    p05: float
    """5th percentile of the forecast. [months]"""
    p50: float
    """Median; at the horizon where it has not happened by then. [months]"""
    p95: float
    """95th percentile. [months]"""
    crps: float
    """Score of the time, cut at the horizon. [months]"""
    of_record: float
    """Score of an exponential time at the rate of the record known by the date. [months]"""


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
    times: tuple[TimeScore, ...] = ()
    """Forecasts of a date; empty where the path was given."""


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


def hindcast(scenario: str = "february-2025", *, conditional: bool, draws: int = 4000, seed: int = 1,
             as_of: date | None = None) -> Hindcast:
    """Run the whole chain as of a date, the scenario's own by default, and score it on what came."""
    story = load(scenario, as_of=str(as_of) if as_of else None)
    told = path_given() if conditional else ()
    ready = prepare(replace(story, events=story.events + told), draws=draws, seed=seed)
    world = trade(ready.setting, ready.given)
    forecasts = {**series(world.given, world.market, world.line), **more_series(world)}
    rows = {(r["series"], r["date"]): r for r in read_table("history")}
    scored: list[Scored] = []
    bounds: list[Mapping[str, Any]] = []
    for o in outcomes_after(story.as_of):
        ensemble = forecasts[o.series].get(o.period)
        if ensemble is None or (o.series in UNTOLD_NO_MEANING and not conditional):
            continue
        came = o.unit(sum(float(rows[key]["value"]) for key in o.rows), world.given)
        kind = rows[o.rows[0]]["kind"]
        if o.bound:
            q = np.quantile(ensemble, [0.05, 0.1, 0.5, 0.9, 0.95])
            bounds.append({"series": o.series, "period": o.period, "at_least": came,
                           **dict(zip(("p05", "p10", "p50", "p90", "p95"), map(float, q), strict=True)),
                           "chance": float(np.mean(ensemble >= came)), "kind": kind})
            continue
        scored.append(score_one(ensemble, came, series=o.series, period=o.period, vintage=str(story.as_of), kind=kind,
                                baselines=rivals(world.given, o, rows, seed)))
    untold = not conditional and story.as_of < path_given()[0].on
    return Hindcast(as_of=story.as_of, conditional=conditional, scored=tuple(scored), bounds=tuple(bounds),
                    gates=gate_scores(world) if untold else (), times=time_scores(world) if untold else ())


def rivals(given: Given, o: Outcome, rows: Mapping[tuple[str, str], Mapping[str, str]], seed: int) -> dict[str, Array]:
    """Return what anyone would have said of an outcome: baselines on filed quarters, and what others said in public."""
    out: dict[str, Array] = {}
    luck = normals(seed, "backtest:baseline", 0, 2000)
    if o.period.startswith("FY") and o.series in ("nvda_china_revenue_usd_bn", "h20_revenue_usd_bn"):
        filed = china_quarters(given)
        whole = np.array([filed[k] for k in sorted(filed)]) / BILLION
        card = np.array([float(np.median(v)) for _, v in sorted(card_quarters(given).items())]) / BILLION
        past = whole if o.series.startswith("nvda") else card
        steps = (month_index(o.rows[0][1]) - month_index(last_filed(given).end)) // 3
        if past.size >= 2 and np.all(past > 0):
            out = {k: rule(past, steps, luck) for k, rule in BASELINES.items()}
    if o.series == "platform_capex_usd_bn":
        out["last"] = np.array([o.unit(published(given).cny, given)])
    key = NAMED.get((o.series, o.period))
    if key is not None and parse_date(rows[key]["known_by"]) <= parse_date(rows[o.rows[0]]["known_by"]):
        out["named"] = np.array([o.unit(float(rows[key]["value"]), given)])
    return out


def more_series(world: World) -> dict[str, dict[str, Array]]:
    """Return forecasts beside the named series by period: orders, unshipped orders, write-down, platforms' capex."""
    market, given = world.market, world.given
    c, months = market.chips.index("h20-96"), list(market.months)
    asp = given["h20-96.vendor_asp_usd"]
    out: dict[str, dict[str, Array]] = {"h20_orders_usd_bn": orders_by_quarter(world), "h20_unshipped_usd_bn": {},
                                        "h20_charge_usd_bn": {}, "platform_capex_usd_bn": {
                                            q: usd / BILLION for q, usd in named_capex(given, market).items()}}
    quarter = [m for m in ("2025-02", "2025-03", "2025-04") if m in months]
    if quarter and quarter[-1] == "2025-04":
        at = [months.index(m) for m in quarter]
        out["h20_unshipped_usd_bn"]["FY26Q1"] = np.asarray(market.backlog[c, at[-1]], dtype=float) * asp / BILLION
        written = np.asarray(market.written_down_usd[c, at].sum(axis=0, dtype=float))
        out["h20_charge_usd_bn"]["FY26Q1"] = written / BILLION
    return out


def orders_by_quarter(world: World) -> dict[str, Array]:
    """Return the value of H20 ordered by calendar quarter, inflation of orders included. [1e9 USD] (draw)

    The first quarter lacks its months before the run: they are taken at the sales that the fitted past foretells.
    """
    market, given = world.market, world.given
    c = market.chips.index("h20-96")
    value = market.orders[:, c].sum(axis=0, dtype=np.float64) * np.asarray(market.price_usd[c], dtype=float) / BILLION
    first = month_index(market.months[0])
    start = first - (int(market.months[0][5:]) - 1) % 3
    early = [month_name(k) for k in range(start, first)]
    filed = last_filed(given)
    before = (filed.card / BILLION) * bridge(given, filed.end, early)
    out: dict[str, Array] = {}
    for i, month in enumerate(market.months):
        quarter = quarter_name(month)
        if quarter not in out:
            out[quarter] = np.zeros(given.draws)
            if i == 0:
                out[quarter] = out[quarter] + before.sum(axis=0)
        out[quarter] = out[quarter] + value[i]
    return out


def gate_scores(world: World) -> tuple[GateScore, ...]:
    """Score the chance that the US gate had shut for the card by the end of some months, and of a quick reversal."""
    shut, opened, _ = path_given()
    market = world.market
    door = np.asarray(market.us_open[market.chips.index("h20-96")])
    out = []
    for month in ("2025-03", "2025-04", "2025-06"):
        i = market.months.index(month)
        out.append(_scored("US gate shut", month, float(np.mean(door[: i + 1].min(axis=0) < 1)),
                           f"{shut.on:%Y-%m}" <= month))
    until = market.months.index("2025-06")
    closed = door[: until + 1].min(axis=0) < 1
    if closed.any():
        first = np.argmax(door < 1, axis=0)
        again = np.array([door[f + 1 : f + 7, k].max(initial=0.0) >= 1 for k, f in enumerate(first)])
        months = (opened.on - shut.on).days / DAYS_PER_MONTH
        out.append(_scored("and taken back within six months", "after", float(again[closed].mean()), months <= 6))
    return tuple(out)


def _scored(what: str, by: str, chance: float, happened: bool) -> GateScore:
    return GateScore(what=what, by=by, chance=chance, happened=happened, brier=float(brier(chance, happened)),
                     log=float(log_score(chance, happened)))


def time_scores(world: World) -> tuple[TimeScore, ...]:
    """Score the date on which the US gate shut for the card against the one that came."""
    market, as_of = world.market, world.given.as_of
    door = np.asarray(market.us_open[market.chips.index("h20-96")], dtype=float)
    early = (as_of.day - 1) / DAYS_PER_MONTH
    horizon = len(market.months) - early
    shut = door < 1
    at = np.argmax(shut, axis=0)
    when = np.where(shut.any(axis=0), at + door[at, np.arange(door.shape[1])] - early, horizon)
    came = (path_given()[0].on - as_of).days / DAYS_PER_MONTH
    level, happened = record(path_of(world.given.catalog), world.given.middle("beliefs.threat_half_life_months"))[
        "us_gate.closing"]
    rate = max(float(happened.sum()), 0.5) / level.size
    uniform = (np.arange(2000) + 0.5) / 2000
    plain = np.minimum(-np.log(uniform) / rate, horizon)
    p05, p50, p95 = map(float, np.quantile(when, [0.05, 0.5, 0.95]))
    return (TimeScore(what="months until the US gate shuts for the H20", came=came, p05=p05, p50=p50, p95=p95,
                      crps=float(crps(np.maximum(when, 0.0), came)), of_record=float(crps(plain, came))),)
