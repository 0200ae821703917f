"""What the foreign leader has filed of its sales in China: known quarters, their split, and walks from the last one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from chipcast.base.calendar import month_index, month_name
from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.types import Array

CHINA_REVENUE = "nvda_china_hk_revenue_billing"
"""History of the foreign leader's revenue billed to China and Hong Kong, by fiscal quarter."""

CARD_REVENUE = ("h20_revenue", "h20_revenue_china")
"""History of the leading card's own revenue there, in the quarters in which the maker named it."""


def fiscal_quarter(month: str) -> str:
    """Return the foreign leader's fiscal quarter, which ends late in January, April, July and October.

    >>> fiscal_quarter("2025-02"), fiscal_quarter("2025-01")
    ('FY26Q1', 'FY25Q4')
    """
    shifted = month_index(month) - 1
    return f"FY{(shifted // 12 + 1) % 100:02d}Q{shifted % 12 // 3 + 1}"


def china_quarters(given: Given) -> dict[str, float]:
    """Return the known revenue of the foreign leader in China by the month in which the quarter ends. [USD]

    Rows that share an origin with a claim are no input here: these are filings.
    """
    return {r["date"]: float(r["value"]) for r in given.catalog.rows("history") if r["series"] == CHINA_REVENUE}


def next_quarters(given: Given, ends: Iterable[str]) -> dict[str, Array]:
    """Return revenue in China by quarter end: known ones as filed, later ones as a random walk in logs. [USD]

    The walk's spread is that of all quarter-to-quarter changes known by the date.

    Raises
    ------
    InputError
        If fewer than three quarters were known by the date.
    """
    known = china_quarters(given)
    values = np.array([known[k] for k in sorted(known)])
    if values.size < 3:
        raise InputError("fewer than three quarters of revenue in China are known by the date; use a later --as-of")
    changes = np.diff(np.log(values))
    spread = float(np.sqrt(np.mean((changes - changes.mean()) ** 2)))
    out: dict[str, Array] = {}
    walk = np.zeros(given.draws)
    for end in sorted(ends):
        if end in known:
            out[end] = np.full(given.draws, known[end])
        else:
            walk = walk + spread * special.ndtri(given.shock("forecast:china_revenue", [end])[0])
            out[end] = values[-1] * np.exp(walk)
    return out


def h20_2024(given: Given) -> dict[str, Array]:
    """Return cards and revenue of the H20 in 2024, from filings and the assumed share and price alone.

    Fiscal quarters that end in April, July and October 2024 and January 2025 stand for the calendar year; one that
    was not filed by the date is forecast. No row of the claim's own origin enters.

    Returns
    -------
    dict
        `cards` [cards], `revenue_usd` [USD], `china_revenue_usd` [USD], each (draw).
    """
    quarters = next_quarters(given, ("2024-04", "2024-07", "2024-10", "2025-01"))
    china = sum(quarters.values(), start=np.zeros(given.draws))
    revenue = china * given["h20-96.share_of_china_revenue"]
    return {"cards": revenue / given["h20-96.vendor_asp_usd"], "revenue_usd": revenue, "china_revenue_usd": china}


@dataclass(frozen=True, kw_only=True, slots=True)
class Filed:
    """What the last filing known by the date says of a month's sales in China."""

    end: str
    """Month in which the quarter ended."""
    card: Array
    """Revenue of the leading card. [USD/month] (draw)"""
    rest: Array
    """Revenue beside it. [USD/month] (draw)"""


def last_filed(given: Given) -> Filed:
    """Return the last filed quarter, split into the leading card and the rest.

    The split is the filed one where the maker named the card's revenue, else the assumed share.

    Raises
    ------
    InputError
        If no quarter was filed by the date.
    """
    cards = card_quarters(given)
    if not cards:
        raise InputError("no revenue in China is known by the date; use a later --as-of")
    end = max(cards)
    whole = {fiscal_end(m): v for m, v in china_quarters(given).items()}[end]
    return Filed(end=end, card=cards[end] / 3, rest=(whole - cards[end]) / 3)


def card_quarters(given: Given) -> dict[str, Array]:
    """Return the leading card's revenue in China of each filed quarter since it sold, as named or by share. [USD]"""
    named = {fiscal_end(r["date"]): float(r["value"]) for r in given.catalog.rows("history")
             if r["series"] in CARD_REVENUE}
    share = given["h20-96.share_of_china_revenue"]
    return {end: np.full(given.draws, named[end]) if end in named else value * share
            for end, value in ((fiscal_end(m), v) for m, v in china_quarters(given).items()) if end > FIRST_SOLD}


FIRST_SOLD = "2024-01"
"""The leading card sold in quarters that ended after this month; shares speak of those."""

LOOK_BACK = 4
"""Quarters in which the best one shows what buyers took while the door was open."""


def best_quarter(given: Given) -> Array:
    """Return the leading card's best quarter of the last four filed, in cards: what was needed while it sold. (draw)"""
    cards = card_quarters(given)
    if not cards:
        return np.asarray(given["h20-96.supply_cards_per_quarter"])
    last = [cards[end] for end in sorted(cards)[-LOOK_BACK:]]
    return np.asarray(np.max(last, axis=0) / given["h20-96.vendor_asp_usd"])


def fiscal_end(month: str) -> str:
    """Return the month that a fiscal quarter's end stands for; one that ended on 1 May counts as April.

    >>> fiscal_end("2022-05"), fiscal_end("2022-07")
    ('2022-04', '2022-07')
    """
    index = month_index(month)
    return month if index % 3 == 0 else month_name(index - 1)


AHEAD = ("past.next_quarter_ln", "past.second_quarter_ln", "past.third_quarter_ln", "past.fourth_quarter_ln")
"""Rows of what is billed in the quarters after the last filed one, over that one, in logs."""


def bridge(given: Given, end: str, months: Sequence[str]) -> Array:
    """Return the factor by which sales of months after a filing and before the run have moved. [1] (month, draw)

    What the fitted past foretells of the quarters after the last filed one: need that grows, a seller at capacity, a
    door that shut. Held out, it has half the error of the last value, and the same quarter of the year before has more
    than that, so no season is added. The fourth quarter stands for later ones.
    """
    if not months:
        return np.ones((0, given.draws))
    later = [(month_index(m) - month_index(end) - 1) // 3 for m in months]
    return np.stack([np.exp(given[AHEAD[min(max(k, 0), len(AHEAD) - 1)]]) for k in later])


def walk(given: Given, name: str, end: str, months: Sequence[str], step: Array) -> Array:
    """Return exp of a walk that starts after month `end`, at each of these later months. [1] (month, draw)"""
    first = month_index(end) + 1
    if not months:
        return np.ones((0, given.draws))
    steps = [month_name(k) for k in range(first, max(month_index(months[-1]), first) + 1)]
    path = np.cumsum(special.ndtri(given.shock(name, steps)), axis=0) * step
    return np.asarray(np.exp(path[[max(month_index(m) - first, 0) for m in months]]))
