"""The dated path of rules: threats, shut doors, redesigns, and what the record says of their hazards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from chipcast.base.calendar import DAYS_PER_MONTH, days_in_month, month_index, month_name, parse_date
from chipcast.base.catalog import Catalogue
from chipcast.base.types import Array

FIRST = "2022-02"
"""First month: the fiscal quarter that ends in April 2022 is the first with data."""

EPISODES = 4
"""Rules that shut the door for some cards: 2022, 2023, 2025, and one that may come."""

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
    taken_back: tuple[date | None, ...] = ()
    """Day on which the rule of an episode was promised to be taken back, None where it was not. (episode)"""
    inputs: tuple[tuple[date, date | None], ...] = ()
    """Threats against memory and the rule that followed, None where none did: the same hazard on another good."""
    until: date | None = None
    """Information date."""


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
    back = tuple(next((parse_date(r["date"]) for r in rows if r["category"] == "us_relax" and r["effect"] == "+foreign"
                       and shut < parse_date(r["date"])
                       <= (shuts[i + 1] if i + 1 < len(shuts) else catalog.as_of)), None)
                 for i, shut in enumerate(shuts))
    return Path(threats=threats, shuts=tuple(shuts), offers=tuple(offers), barred=tuple(barred), taken_back=back,
                inputs=_inputs(rows), until=catalog.as_of)


def _inputs(rows: Sequence[Mapping[str, str]]) -> tuple[tuple[date, date | None], ...]:
    """Return threats against memory with the rule that followed, from dated events."""
    feared = [parse_date(r["date"]) for r in rows if r["category"] == "hoarding" and r["effect"] == "+domestic inputs"]
    ruled = [parse_date(r["date"]) for r in rows
             if r["category"] == "us_control" and r["effect"] == "-domestic inputs"]
    return tuple((day, next((r for r in ruled if r > day), None)) for day in feared)


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
        ages = [(end - t).days / DAYS_PER_MONTH for t in path.threats if t <= end]
        last_shut = max((s for s in path.shuts if s <= end), default=None)
        ages = [a for a, t in zip(ages, (t for t in path.threats if t <= end), strict=True)
                if last_shut is None or t > last_shut]
        threat[m] = 2 ** (-min(ages) / half_life_months) if ages else 0.0
        for e, day in enumerate(path.shuts[:EPISODES]):
            if day <= end:
                shut[e, m] = min((end - day).days + 1, days) / days
            opened, stop = path.offers[e], path.barred[e]
            if opened is not None and opened <= end:
                offer[e, m] = (min(end, stop) - opened).days / DAYS_PER_MONTH if stop is not None else \
                    (end - opened).days / DAYS_PER_MONTH
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


ANSWER_DAYS = 60
"""A relaxation that the other side has not answered after so many days was left standing."""

def answer_open(catalog: Catalogue) -> tuple[bool, float]:
    """Return what is open about the other side's answer to the last relaxation known by the date.

    Returns
    -------
    tuple
        Whether an answer came so lately that no filing shows how hard it bites; and the days in which an answer may
        still come, 0 where one came or none is due. [days]
    """
    rows = [(parse_date(r["date"]), r) for r in catalog.rows("events")]
    relaxed = [day for day, r in rows if r["category"] == "us_relax" and r["effect"] == "+foreign"]
    if not relaxed:
        return False, 0.0
    stops = [day for day, r in rows if r["category"] == "cn_control" and r["actor"] == "China"
             and r["effect"] == "-foreign" and day > max(relaxed)]
    if stops:
        return (catalog.as_of - min(stops)).days < ANSWER_DAYS, 0.0
    return False, float(max(ANSWER_DAYS - (catalog.as_of - max(relaxed)).days, 0))


NEW_BELOW = 0.5
"""A report is a new threat where the last one has faded below this level; else it repeats it."""


def record(path: Path, half_life_months: float) -> dict[str, tuple[Array, Array]]:
    """Return what the dated record says of each hazard: levels of threat of the months at risk, and what happened.

    Returns
    -------
    dict
        Name of a hazard row -> (level of the threat, 1 where it happened), each (trial). The level is 0 where the
        hazard does not depend on a threat.

    Notes
    -----
    A trial is a month. Closings: months with an open door, at the level at the end of the month before, and the months
    between a threat against memory and its rule. Openings: months of each closing until it was promised back.
    """
    assert path.until is not None, "a path read from a catalogue has an information date"
    first, last = month_index(FIRST), month_index(path.until)
    level = doors_of(path, last - first + 1, half_life_months).threat[:, 0]
    shuts = {month_index(s) - first for s in path.shuts}
    close = [(float(level[m - 1]), float(m in shuts)) for m in range(1, last - first + 1)]
    for told, ruled in path.inputs:
        end = month_index(ruled or path.until)
        for m in range(month_index(told) + 1, end + 1):
            faded = 2 ** (-(m - month_index(told)) / half_life_months)
            close.append((float(faded), float(ruled is not None and m == end)))
    new = []
    for m in range(1, last - first + 1):
        fresh = any(month_index(t) - first == m for t in path.threats)
        if level[m - 1] < NEW_BELOW:
            new.append((0.0, float(fresh)))
    opened, stopped, answered = [], [], []
    for i, shut in enumerate(path.shuts):
        back = path.taken_back[i]
        end = month_index(back or (path.shuts[i + 1] if i + 1 < len(path.shuts) else path.until))
        opened += [(0.0, float(back is not None and m == end)) for m in range(month_index(shut) + 1, end + 1)]
        stop = path.barred[i]
        if back is not None and (stop is not None or (path.until - back).days >= ANSWER_DAYS):
            answered.append((0.0, float(stop is not None and 0 <= (stop - back).days <= ANSWER_DAYS)))
    bars = sorted(b for b in path.barred if b is not None)
    until = month_index(bars[0] if bars else path.until) - first
    stopped = [(0.0, float(bool(bars) and m == until)) for m in range(1, until + 1)]
    trials = {"us_gate.closing": close, "us_gate.threat_rate_per_month": new,
              "us_gate.opening_hazard_per_month": opened, "cn_gate.closing_hazard_per_month": stopped,
              "cn_gate.counter_block_probability": answered}
    return {name: (np.array([x for x, _ in pairs]), np.array([y for _, y in pairs])) for name, pairs in trials.items()}
