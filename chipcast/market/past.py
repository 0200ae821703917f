"""The market since 2022 in five stocks: what fits the filed quarters and forecasts the next ones.

A small model on purpose. It has the parts that a cut-off moves (need, cover under a fading threat, a capped seller,
a door that shuts, a redesign that fills the gap) and no others, so that eleven filed quarters can say something
about each. Episodes share a common cover and a common share left, from which each may stray.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from chipcast.base.calendar import days_in_month, month_index, month_name, parse_date
from chipcast.base.catalog import Catalogue
from chipcast.base.draws import to_uniform
from chipcast.base.laws import Law, law_of_row
from chipcast.base.types import Array

FIRST = "2022-02"
"""First month: the fiscal quarter that ends in April 2022 is the first with data."""

NAMES = ("rest_usd_per_quarter", "need_usd_per_quarter", "boom_start_month", "need_growth_per_month",
         "capacity_usd_per_quarter", "capacity_growth_per_month", "cover_months", "belief_lag_months",
         "shut_share_left", "redesign_ramp_months", "lapse_share_per_month", "model_error_ln")
"""Common parameters, rows `past.*`."""

EPISODES = 4
"""Rules that shut the door for some cards: 2022, 2023, 2025, and one that may come."""

LOOSE = ("cover_months", "shut_share_left")
"""Parameters that each episode may have of its own."""

UNKNOWNS = len(NAMES) + EPISODES * len(LOOSE)
"""Standard normals behind a particle."""

SAME_EPISODE_DAYS = 120
"""A rule so soon after the last belongs to the same episode (a letter and its rule, a rule and its early date)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Path:
    """Threats, shut doors and redesigns as dated facts."""

    threats: tuple[date, ...]
    """Days on which a threat, or hoarding that betrays one, became known."""
    shuts: tuple[date, ...]
    """First day of each episode in which a rule shut the door."""
    offers: tuple[date | None, ...]
    """Day on which a redesigned card was offered, None where none was yet. (episode)"""
    barred: tuple[date | None, ...]
    """Day from which the Chinese gate stood against it, None where it did not. (episode)"""


def path_of(catalog: Catalogue) -> Path:
    """Return the dated path of rules as known by the catalogue's date.

    Threats and rules come from `events.csv`, redesigns from the days on which cards for China became known.
    """
    rows = sorted(catalog.rows("events"), key=lambda r: r["date"])
    threats = tuple(parse_date(r["date"]) for r in rows
                    if (r["category"] == "us_threat" and "foreign" in r["effect"])
                    or (r["category"] == "hoarding" and r["effect"] == "+orders"))
    shuts: list[date] = []
    for r in rows:
        if r["category"] == "us_control" and r["effect"] == "-foreign":
            day = parse_date(r["date"])
            if not shuts or (day - shuts[-1]).days > SAME_EPISODE_DAYS:
                shuts.append(day)
    offers: list[date | None] = []
    barred: list[date | None] = []
    for i, shut in enumerate(shuts):
        until = shuts[i + 1] if i + 1 < len(shuts) else catalog.as_of
        relax = [parse_date(r["date"]) for r in rows if r["effect"] == "+foreign"
                 and shut < parse_date(r["date"]) <= until]
        launch = [parse_date(r["known_by"]) for r in catalog.rows("chip_names")
                  if "NVIDIA" in r["vendor"] and ("800" in r["model"])
                  and r["known_by"] and shut < parse_date(r["known_by"]) <= until]
        found = sorted(launch or relax)
        offers.append(found[0] if found else None)
        stops = [parse_date(r["date"]) for r in rows
                 if r["category"] == "cn_control" and r["actor"] == "China" and r["effect"] == "-foreign"
                 and shut < parse_date(r["date"]) <= until]
        barred.append(stops[0] if stops else None)
    return Path(threats=threats, shuts=tuple(shuts), offers=tuple(offers), barred=tuple(barred))


def laws(rows: Sequence[Mapping[str, str]]) -> dict[str, Law]:
    """Return the laws of the rows `past.*` by name."""
    return {r["name"]: law_of_row(r["family"], float(r["low"]), float(r["mode"]), float(r["high"]), f"past.{r['name']}")
            for r in rows if r["item"] == "past"}


def parameters(z: Array, law: Mapping[str, Law]) -> dict[str, Array]:
    """Return the parameters behind standard normals (unknown, draw); episode parameters are (episode, draw)."""
    out = {name: law[name].at(to_uniform(z[i])) for i, name in enumerate(NAMES)}
    spread = law["episode_spread_ln"].middle
    for k, name in enumerate(LOOSE):
        own = z[len(NAMES) + k * EPISODES : len(NAMES) + (k + 1) * EPISODES]
        strayed = np.log(out[name]) + spread * own
        out[f"episode_{name}"] = np.exp(strayed) if name == "cover_months" else np.minimum(np.exp(strayed), 0.95)
    return out


@dataclass(frozen=True, kw_only=True, slots=True)
class Doors:
    """Threat and door by month; the last axis may be one path for all draws or one for each."""

    threat: Array
    """Fresh threat 1, fading by half-lives. [1] (month, draw or 1)"""
    since_shut: Array
    """Share of the month after the door shut, 1 in later months. [1] (episode, month, draw or 1)"""
    since_offer: Array
    """Months since the redesign was offered, far below 0 where none was. [months] (episode, month, draw or 1)"""


def doors_of(path: Path, count: int, half_life_months: float) -> Doors:
    """Return monthly threat and doors of a dated path, the same for all draws."""
    start = month_index(FIRST)
    threat = np.zeros((count, 1))
    shut = np.zeros((EPISODES, count, 1))
    offer = np.full((EPISODES, count, 1), -1e9)
    for m in range(count):
        month = month_name(start + m)
        days = days_in_month(month)
        end = parse_date(month, last=True)
        ages = [(end - t).days / 30.4375 for t in path.threats if t <= end]
        last_shut = max((s for s in path.shuts if s <= end), default=None)
        ages = [a for a, t in zip(ages, (t for t in path.threats if t <= end), strict=True)
                if last_shut is None or t > last_shut]
        threat[m] = 2 ** (-min(ages) / half_life_months) if ages else 0.0
        for e, day in enumerate(path.shuts[:EPISODES]):
            if day <= end:
                shut[e, m] = min((end - day).days + 1, days) / days
            opened, stop = path.offers[e], path.barred[e]
            if opened is not None and opened <= end:
                offer[e, m] = (min(end, stop) - opened).days / 30.4375 if stop is not None else \
                    (end - opened).days / 30.4375
                if stop is not None and stop <= end:
                    offer[e, m] = -1e9
    return Doors(threat=threat, since_shut=shut, since_offer=offer)


def futures(path: Path, first: int, count: int, half_life_months: float, rates: Mapping[str, Array],
            uniforms: Mapping[str, Array]) -> Doors:
    """Return doors whose months from `first` on are drawn: threats come, one more rule may shut the door.

    Parameters
    ----------
    path : Path
        What is known.
    first, count : int
        First month to draw, counted from `FIRST`, and number of months in all.
    half_life_months : float
        Fading of a threat.
    rates : mapping
        `threat`, `base`, `after` chances a month, `counter` chance that the other side bars the redesign, and
        `redesign_months`. (draw)
    uniforms : mapping
        `threat`, `close` (month, draw) and `counter` (draw).
    """
    known = doors_of(path, count, half_life_months)
    draws = rates["base"].size
    threat = np.repeat(known.threat, draws, axis=1)
    shut = np.repeat(known.since_shut, draws, axis=2)
    offer = np.repeat(known.since_offer, draws, axis=2)
    slot = min(len(path.shuts), EPISODES - 1)
    fade = 2 ** (-1 / half_life_months)
    closed = np.full(draws, np.inf)
    barred = uniforms["counter"] < rates["counter"]
    for m in range(first, count):
        level = np.maximum(threat[m - 1] * fade, (uniforms["threat"][m] < rates["threat"]).astype(float))
        level = np.where(np.isfinite(closed), 0.0, level)
        threat[m] = level
        hazard = rates["base"] + level * np.maximum(rates["after"] - rates["base"], 0.0)
        now = ~np.isfinite(closed) & (uniforms["close"][m] < hazard)
        closed = np.where(now, float(m), closed)
        shut[slot, m] = np.where(now, 0.5, np.where(np.isfinite(closed), 1.0, shut[slot, m]))
        since = m - closed - rates["redesign_months"]
        drawn = np.where(barred, -1e9, np.where(np.isfinite(closed), since, -1e9))
        offer[slot, m] = np.where(np.isfinite(closed), drawn, offer[slot, m])
    return Doors(threat=threat, since_shut=shut, since_offer=offer)


def revenue(p: Mapping[str, Array], doors: Doors, months: int) -> Array:
    """Return revenue in China by month. [USD/month] (month, draw)

    Notes
    -----
    As in the reference chain: want = need + (cover x threat x need - stock) / 3, shipped = min(backlog + want, cap),
    times the share of the door that is open; use draws down the stock.
    """
    need0, cap0 = p["need_usd_per_quarter"] / 3, p["capacity_usd_per_quarter"] / 3
    belief, backlog, stock = np.zeros_like(need0), np.zeros_like(need0), np.zeros_like(need0)
    out = np.empty((months, need0.size))
    lag = -np.expm1(-1 / p["belief_lag_months"])
    cover, left = p["episode_cover_months"], p["episode_shut_share_left"]
    for m in range(months):
        belief = belief + (doors.threat[m] - belief) * lag
        need = need0 * np.exp(np.log1p(p["need_growth_per_month"]) * np.maximum(m - p["boom_start_month"], 0.0))
        cap = cap0 * np.exp(np.log1p(p["capacity_growth_per_month"]) * m)
        open_share: Array | float = 1.0
        held: Array = cover[0]
        for e in range(EPISODES):
            shut = doors.since_shut[e, m]
            gained = -np.expm1(-np.maximum(doors.since_offer[e, m], 0.0) / p["redesign_ramp_months"])
            open_share = np.where(shut > 0, 1 - shut * (1 - (left[e] + (1 - left[e]) * gained)), open_share)
            if e + 1 < EPISODES:
                held = np.where(shut > 0, cover[e + 1], held)
        want = np.maximum(need + (held * belief * need - stock) / 3, 0.0)
        shipped = np.minimum(backlog + want, cap) * open_share
        # part of the orders that a shut door leaves behind lapses; the rest waits
        backlog = (backlog + want - shipped) * (1 - p["lapse_share_per_month"] * (1 - open_share))
        stock = np.maximum(stock + shipped - need, 0.0)
        out[m] = shipped + p["rest_usd_per_quarter"] / 3
    return out


def quarters_of(months: int) -> tuple[str, ...]:
    """Return the last month of each whole fiscal quarter in so many months from `FIRST`."""
    start = month_index(FIRST)
    return tuple(month_name(start + 3 * k + 2) for k in range(months // 3))


def by_quarter(monthly: Array) -> Array:
    """Return sums of three months. (quarter, draw)"""
    whole = monthly.shape[0] // 3
    return np.asarray(monthly[: whole * 3].reshape(whole, 3, -1).sum(axis=1))
