"""Who can sell what: foreign makers, the domestic line, other Chinese makers, the grey door; what a card does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chipcast.base.calendar import DAYS_PER_MONTH
from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.fab.record import Line
from chipcast.market import shocks
from chipcast.market.gates import Event
from chipcast.market.record import DOMESTIC, LEADING
from chipcast.tokens.record import Service

REFERENCE = LEADING
"""Chip from which the rate of a chip without a layout is scaled."""

BINS = ("b1", "b2", "b3", "b4")
"""Bins of which a 910B without a bin is the mixture."""

GREY = "h800-sxm"
"""Chip that stands for what comes by the grey door while controls hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cards:
    """What one card of each traded chip does and costs."""

    rate: Array
    """Prompt and generated tokens per second of the model served; 0 where none. [tokens/s] (chip, draw)"""
    price_usd: Array
    """List price at the date. [USD] (chip, draw)"""
    system_usd: Array
    """Price of the card with its part of server and network. [USD] (chip, draw)"""
    usd_per_h: Array
    """Cost of owning and running a card for an hour. [USD/h] (chip, draw)"""
    installed: Array
    """Cards in China at the date. [cards] (chip, draw)"""


def cards_of(given: Given, service: Service, chips: Sequence[str]) -> Cards:
    """Return rate, price, cost and stock of each traded chip, bins mixed and stand-ins scaled from known chips.

    A chip whose layout misses the promise at the medians gets the rate of its stand-in: it serves smaller models or
    slower answers, and the promise of one buyer does not decide what a market does with it.
    """
    rates: dict[str, Array] = {}
    hourly: dict[str, Array] = {}
    total = np.nan_to_num(np.asarray(service.total_tokens_per_s_per_chip, dtype=float), nan=0.0, posinf=0.0)
    hours = np.asarray(service.usd_per_chip_h, dtype=float)
    for i, chip in enumerate(service.chips):
        if chip == REFERENCE or not service.reasons[i]:
            rates[chip] = np.maximum(total[i], 0.0)
        hourly[chip] = np.broadcast_to(np.nan_to_num(hours[i], nan=0.0), total[i].shape)

    def rate(name: str, of: str, factor: Array) -> Array:
        own = rates.get(name)
        stand_in = rates[of] * factor
        return stand_in if own is None else np.where(own > 0, own, stand_in)

    require(REFERENCE in rates, "the service", f"price {REFERENCE}", ", ".join(service.chips))
    rates[GREY] = rate(GREY, REFERENCE, given[f"{GREY}.rate_vs_h20_fallback"])
    rates["ascend-910b2"] = rate("ascend-910b2", REFERENCE, given["ascend-910b2.rate_vs_h20_fallback"])
    rates["ascend-910b3"] = rate("ascend-910b3", "ascend-910b2", given["ascend-910b3.rate_vs_910b2"])
    rates["ascend-910b1"] = rate("ascend-910b1", "ascend-910b2", given["ascend-910b1.rate_vs_910b2"])
    rates["ascend-910b4"] = rate("ascend-910b4", "ascend-910b3", given["ascend-910b4.rate_vs_910b3"])
    rates["ascend-910c"] = rate("ascend-910c", "ascend-910b2", given["ascend-910c.rate_vs_910b2_fallback"])
    rates["nvidia_other"] = rate("nvidia_other", REFERENCE, given["nvidia_other.rate_vs_h20"])
    rates["nvidia_next"] = rate("nvidia_next", REFERENCE, given["nvidia_next.rate_vs_h20"])
    rates["domestic_other"] = rate("domestic_other", "ascend-910b3", given["domestic_other.rate_vs_910b3"])
    weights = [given[f"ascend-910b.bin_weight_{b}"] for b in BINS]
    whole = sum(weights[1:], start=weights[0])

    def mixture(values: list[Array]) -> Array:
        total = sum((w * v for w, v in zip(weights, values, strict=True)), start=np.zeros(given.draws))
        return np.asarray(total / whole)

    rates["ascend-910b"] = mixture([rates[f"ascend-910{b}"] for b in BINS])
    priced = ("h20-96", "h800-sxm", "nvidia_other", "ascend-910c", "domestic_other", "nvidia_next")
    prices = {c: given[f"{c}.price_usd"] for c in priced}
    b2 = given["ascend-910b2.price_usd"]
    prices["ascend-910b"] = mixture([b2, b2, given["ascend-910b3.price_usd"], given["ascend-910b4.price_usd"]])
    system_factor = given["ownership.server_factor"] * (1 + given["ownership.network_share"])
    per_usd = hourly[REFERENCE] / prices[REFERENCE]
    installed = {
        "h20-96": given["h20-96.installed_cards"], "h800-sxm": given["h800-sxm.installed_cards"],
        "nvidia_other": given["nvidia_other.installed_cards"], "ascend-910b": given["ascend-910b2.installed_cards"],
        "domestic_other": given["domestic_other.installed_cards"], "ascend-910c": given["ascend-910c.installed_cards"],
        "nvidia_next": np.zeros(given.draws),
    }
    cost = {c: np.where(hourly.get(c, np.zeros(1)) > 0, hourly.get(c, np.zeros(1)), per_usd * prices[c]) for c in chips}
    return Cards(rate=np.stack([rates[c] for c in chips]), price_usd=np.stack([prices[c] for c in chips]),
                 system_usd=np.stack([prices[c] * system_factor for c in chips]),
                 usd_per_h=np.stack([cost[c] for c in chips]), installed=np.stack([installed[c] for c in chips]))


SPEED_OF = {"ascend-910b": "ascend-910b3", "nvidia_other": REFERENCE, "nvidia_next": REFERENCE}
"""Chips whose speed under a segment's promise moves like that of another."""


def rate_by_segment(cards: Cards, segments: Sequence[str], chips: Sequence[str],
                    speed: Mapping[str, Mapping[str, float]] | None) -> Array:
    """Return what a card does for each segment under the latency that it promises. [tokens/s] (segment, chip, draw)

    Parameters
    ----------
    speed : mapping, optional
        Segment -> chip -> rate under the segment's promise over that of the headline; 1 where a chip is not named, 0
        where it cannot keep the promise.
    """
    out = np.broadcast_to(cards.rate, (len(segments), *cards.rate.shape)).copy()
    for s, segment in enumerate(segments):
        known = (speed or {}).get(segment, {})
        for c, chip in enumerate(chips):
            out[s, c] *= known.get(SPEED_OF.get(chip, chip), 1.0)
    return out


def mean_rate(rate: Array, held: Array) -> Array:
    """Return the rate of a card averaged over those who hold it, over all segments where nobody does. (chip, draw)"""
    count = held.sum(axis=0)
    out = (rate * held).sum(axis=0) / np.maximum(count, 1e-30)
    return np.asarray(np.where(count > 0, out, rate.mean(axis=0)))


def installed_by_segment(given: Given, cards: Cards, segments: Sequence[str], chips: Sequence[str]) -> Array:
    """Return the cards that each segment holds at the date. [cards] (segment, chip, draw)"""
    out = np.empty((len(segments), *cards.installed.shape))
    platform = given["platform.foreign_installed_share"]
    for s, segment in enumerate(segments):
        foreign = platform if segment == "platform" else (1 - platform) * given[f"{segment}.foreign_rest_share"]
        domestic = given[f"{segment}.domestic_installed_share"]
        for c, chip in enumerate(chips):
            out[s, c] = cards.installed[c] * (domestic if chip in DOMESTIC else foreign)
    return out


def capacity(given: Given, line: Line, chips: Sequence[str], months: Sequence[str], *, controls: bool) -> Array:
    """Return what each seller can finish in a month. [cards/month] (chip, month, draw)

    The domestic line gives what it packaged; other sellers make up to this and no more than is asked for.
    """
    out = np.zeros((len(chips), len(months), given.draws))
    years = np.arange(len(months))[:, None] / 12
    columns = [line.months.index(m) for m in months]
    for c, chip in enumerate(chips):
        if chip in line.products:
            out[c] = np.asarray(line.packages[line.products.index(chip)], dtype=float)[columns]
        elif chip == GREY:
            name = "h800-sxm.supply_cards_per_quarter_without_controls"
            out[c] = (given["grey.cards_per_quarter"] if controls else given[name]) / 3
        elif chip == "domestic_other":
            growth = given["domestic_other.growth_ratio_per_year"] ** years
            out[c] = given["domestic_other.cards_per_quarter"] / 3 * growth
        elif chip == "nvidia_other":
            out[c] = given["nvidia_other.cards_per_quarter"] / 3
        else:
            out[c] = given[f"{chip}.supply_cards_per_quarter"] / 3
    return out


def next_on_offer(given: Given, leading: Array, events: Sequence[Event], months: Sequence[str], chip: str) -> Array:
    """Return how much of its supply the next foreign card has: 0 before it is offered, then rising. (month, draw)

    It is offered so many days after the leading card is first held back, unless a date of its own comes sooner; the
    other side bars a redesign in some futures, as it answered the one of 2025. From its month on an event decides.

    Parameters
    ----------
    leading : array (month, draw)
        Share of each month in which the US gate lets the leading card ship.
    """
    shut = leading < 1
    closed = np.where(shut.any(axis=0), np.argmax(shut, axis=0) + 1.0, np.inf)
    redesign = closed + given["past.redesign_days"] / DAYS_PER_MONTH
    barred = given.shock("gates:redesign_barred") < given["cn_gate.counter_block_probability"]
    start = np.minimum(np.where(barred, np.inf, redesign), given[f"{chip}.months_to_offer"])
    age = np.arange(1, len(months) + 1)[:, None] - start
    ramp = -np.expm1(-np.maximum(age, 0.0) / given["past.redesign_ramp_months"])
    own = shocks.offered(events, chip, months)[:, None]
    return np.asarray(np.where(np.isnan(own), ramp, own))


def bought_work(given: Given, rate: Array, made: Array, chips: Sequence[str], leading: Array) -> Array:
    """Return the work of the cards that China bought a month at the date. [tokens/s/month] (draw)

    Parameters
    ----------
    rate : array (chip, draw)
        Rate of a card. [tokens/s]
    made : array (chip, draw)
        What sellers can finish in the first month. [cards/month]
    leading : array (draw)
        Cards of the leading foreign kind sold a month when they last sold. [cards/month]
    """
    lead = list(chips).index(REFERENCE)
    out = leading * rate[lead]
    for c in range(len(chips)):
        if c != lead:
            out = out + made[c] * rate[c]
    return np.asarray(out)


def vendor_stock(given: Given, chips: Sequence[str]) -> Array:
    """Return finished cards that sellers hold at the date. [cards] (chip, draw)"""
    return np.stack([given[f"{c}.vendor_stock_cards"] if f"{c}.vendor_stock_cards" in given
                     else np.zeros(given.draws) for c in chips])
