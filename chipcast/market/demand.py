"""What buyers need: tokens a day by segment, turned into card work, and how that need grows.

Work is counted in tokens per second of the reference model at today's software; a card's rate comes from
`Service`. Work that serves no tokens (training, search, recommendation) is inferred from the cards that
each segment had bought by the date, because nobody buys that many for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chipcast.base.calendar import month_index, month_name
from chipcast.base.choose import choose
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric

SECONDS_PER_DAY = 86_400
"""Seconds in a day. [s]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """Need of all segments."""

    tokens: Array
    """Tokens wanted. [tokens/day] (segment, month, draw)"""
    work: Array
    """Card work wanted at peak, tokens and other work, idle halls included. [tokens/s] (segment, month, draw)"""
    token_work: Array
    """The part that serves tokens. [tokens/s] (segment, month, draw)"""
    additions: Array
    """Work that must be added in the month: growth and replacement. [tokens/s] (segment, month, draw)"""


def chips_for_tokens(tokens_per_day: Numeric, peak_to_mean: Numeric, tokens_per_s: Numeric,
                     availability: Numeric) -> Numeric:
    """Return the cards that serve a token flow at its peak. [cards]

    >>> round(chips_for_tokens(1e12, 2.5, 1000.0, 0.95), 2)
    30458.09
    """
    return tokens_per_day * peak_to_mean / (SECONDS_PER_DAY * tokens_per_s * availability)


def faded(months: Numeric, half_life_months: Numeric) -> Numeric:
    r"""Return the months of full growth that a growth rate which halves every half-life amounts to. [months]

    Notes
    -----
    $\frac{H}{\ln 2}(1 - 2^{-t/H})$.
    """
    ln2 = np.log(2)
    return half_life_months / ln2 * -np.expm1(-ln2 * months / half_life_months)


def fading_growth(months: Numeric, rate_per_month: Numeric, half_life_months: Numeric) -> Numeric:
    r"""Return the factor by which a flow has grown when its growth rate halves every half-life. [1]

    Notes
    -----
    $\exp(\ln(1+g)\,\frac{H}{\ln 2}(1 - 2^{-t/H}))$.
    """
    return np.exp(np.log1p(rate_per_month) * faded(months, half_life_months))


def bass(years: Numeric, innovation: Numeric, imitation: Numeric) -> Numeric:
    r"""Return the share of adopters after some years. [1]

    Notes
    -----
    $F(t) = (1 - e^{-(p+q)t})/(1 + \frac qp e^{-(p+q)t})$; Bass, Management Science 15, 1969.

    >>> round(float(bass(6.192619, 0.03, 0.38)), 6)
    0.460526
    """
    decay = np.exp(-(innovation + imitation) * years)
    return (1 - decay) / (1 + imitation / innovation * decay)


def local_trend(given: Given, segment: str, months: Array) -> Array:
    """Return tokens a day of a segment whose growth fades. [tokens/day] (month, draw)"""
    rate = given.first(f"{segment}.growth_per_month", "other_segments.growth_per_month")
    return np.asarray(given[f"{segment}.tokens_per_day"]
                      * fading_growth(months[:, None], rate, given["demand.growth_half_life_months"]))


def regimes(given: Given, segment: str, months: Array) -> Array:
    """Return tokens a day when new models lift growth for some months, all segments at once. [tokens/day] (month, draw)

    Between lifts growth fades as in `local_trend`; a lift multiplies the month's growth rate. Shocks depend on the
    calendar month alone.
    """
    rate = np.log1p(given.first(f"{segment}.growth_per_month", "other_segments.growth_per_month"))
    half_life, ratio = given["demand.growth_half_life_months"], given["demand.boom_growth_ratio"]
    start = month_index(given.as_of)
    names = [month_name(start + i) for i in range(len(months))]
    begins = given.shock("demand:boom_begins", names) < given["demand.boom_start_probability_per_month"]
    ends = given.shock("demand:boom_ends", names) < 1 / np.maximum(given["demand.boom_length_months"], 1.0)
    out = np.empty((len(months), given.draws))
    level, boom = given[f"{segment}.tokens_per_day"].astype(float), np.zeros(given.draws)
    for i, month in enumerate(months):
        out[i] = level
        boom = np.where(boom > 0, 1.0 - ends[i], begins[i].astype(float))
        # growth of the month to come, the integral of the fading rate over it
        step = (2 ** (-month / half_life) - 2 ** (-(month + 1) / half_life)) * half_life / np.log(2)
        level = level * np.exp(rate * step * np.where(boom > 0, ratio, 1.0))
    return out


def appliances(given: Given, segment: str, months: Array) -> Array:
    """Return tokens a day of a segment that adopts appliances by Bass's law. [tokens/day] (month, draw)"""
    grown = adopters(given, segment, months)
    return np.asarray(given[f"{segment}.tokens_per_day"] * grown / grown[:1])


def adopters(given: Given, segment: str, months: Array) -> Array:
    """Return the sites that have an appliance. [buyers] (month, draw)"""
    years = (months[:, None] + given[f"{segment}.months_since_start"]) / 12
    return np.asarray(given[f"{segment}.buyers"] * bass(years, given[f"{segment}.bass_innovation_per_year"],
                                                       given[f"{segment}.bass_imitation_per_year"]))


def _served(asked: Array, room: Array) -> Array:
    """Return the factor by which work per token shrinks so that the traffic of the date fits the cards of the date.

    The traffic was served, so a draw in which it asks for more cards than there were overstates the work of a token.
    """
    return np.asarray(np.minimum(1.0, room / np.maximum(asked, 1e-30)))


DEMAND = {"local_trend": local_trend, "regimes": regimes, "bass": appliances}
"""How a segment's tokens move: given, segment and months from the date to tokens a day."""

DEMAND_OF = {"clinic_school": "bass"}
"""Law of a segment's demand that no choice of a run overrides."""


def first_growth(flow: Array, kept: Array, tokens: Array, other: Array) -> Array:
    """Return the monthly growth of work that serves no tokens at which purchases of the date are needed. [1/month]

    Parameters
    ----------
    flow : array (draw)
        Work of the cards that were bought a month at the date. [tokens/s/month]
    kept : array (draw)
        Work bought a month to replace what retires. [tokens/s/month]
    tokens : array (draw)
        Growth of the work that serves tokens. [tokens/s/month]
    other : array (draw)
        Work that serves no tokens. [tokens/s]

    Notes
    -----
    Never below 0: where tokens alone explain more than was bought, they were short of cards.
    """
    return np.asarray(np.clip((flow - kept - tokens) / np.maximum(other, 1e-30), 0.0, FASTEST))


def settling_growth(months: Array, first: Array, later: Array, half_life_months: Array) -> Array:
    r"""Return the factor of a flow whose monthly log rate settles from `first` to `later` by half-lives. [1]

    Notes
    -----
    $\exp(\mu t + (r-\mu)\frac{H}{\ln 2}(1-2^{-t/H}))$.
    """
    out = (first - later) * faded(months, half_life_months)
    out += later * months
    return np.asarray(np.exp(out, out=out))


FASTEST = np.log(2)
"""Work doubles in a month at most. [1/month]"""


def need_of(given: Given, segments: Sequence[str], count: int, base_work: Array, idle: Array, rate: Array, *,
            flow: Array | None = None, law: str = "local_trend") -> Need:
    """Return the need of all segments for `count` months from the date.

    Parameters
    ----------
    given : Given
        Rows of the segments, `demand.*`, `market.*`, `serving.*`.
    segments : sequence of str
        Buyer classes.
    count : int
        Months.
    base_work : array (segment, draw)
        Work of the cards installed at the date. [tokens/s]
    idle : array (segment, draw)
        Share of a segment's capacity that serves nobody for lack of place or tenant.
    rate : array (draw)
        Tokens per second of a usual domestic card, for appliances. [tokens/s]
    flow : array (draw), optional
        Work of the cards that all segments bought a month at the date: what was bought was needed. [tokens/s/month]
    law : str
        Entry of `DEMAND` for segments without a law of their own.
    """
    months = np.arange(count, dtype=float)
    shape = (len(segments), count, given.draws)
    tokens, work, token_work = np.empty(shape), np.empty(shape), np.empty(shape)
    per_token = (given["demand.peak_to_mean"] * given["demand.work_per_token_vs_r1"]
                 / (SECONDS_PER_DAY * given["market.serving_availability"]))
    software = per_token * given["serving.efficiency_gain_per_year"] ** (-months[:, None] / 12)
    retire = given["market.retirement_per_year"] / 12
    others = np.zeros((len(segments), given.draws))
    for s, segment in enumerate(segments):
        tokens[s] = choose(DEMAND, DEMAND_OF.get(segment, law), "law of demand")(given, segment, months)
        np.multiply(tokens[s], software, out=token_work[s])
        if DEMAND_OF.get(segment) == "bass":
            sites = adopters(given, segment, months) * given[f"{segment}.cards_per_site"] * rate
            token_work[s] *= _served(token_work[s, 0], sites[0])
            work[s] = np.maximum(sites, token_work[s]) / (1 - idle[s])
        else:
            share = given.first(f"{segment}.non_token_share_of_chips", "other_segments.non_token_share_of_chips")
            busy = base_work[s] * (1 - idle[s])
            token_work[s] *= _served(token_work[s, 0], busy * (1 - share))
            others[s] = (busy - token_work[s, 0]) / (1 - idle[s])
            np.multiply(token_work[s], 1 / (1 - idle[s]), out=work[s])
    later = np.log(given["market.other_work_growth_ratio_per_year"]) / 12
    ahead = min(3, count - 1)
    first = later if flow is None else first_growth(
        flow, retire * (work[:, 0] + others).sum(axis=0), (work[:, ahead] - work[:, 0]).sum(axis=0) / max(ahead, 1),
        others.sum(axis=0))
    growth = settling_growth(months[:, None], first, later, given["demand.growth_half_life_months"])
    additions = np.empty(shape)
    for s in range(len(segments)):
        work[s] += others[s] * growth
        np.subtract(work[s, 1:], work[s, :-1], out=additions[s, :-1])
        additions[s, -1] = additions[s, -2]
        np.maximum(additions[s], 0.0, out=additions[s])
        additions[s] += retire * work[s]
    return Need(tokens=tokens, work=work, token_work=token_work, additions=additions)
