"""What chance alone decides at both gates, for all months at once: threats, decisions, days, answers.

What a decision does depends on the gates as they stand, which `gates` walks month by month.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipcast.base.calendar import DAYS_PER_MONTH, days_in_month
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.market.doors import ANSWER_DAYS, answer_open

Flags = npt.NDArray[np.bool_]
"""Whether something happens. (month, draw)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Luck:
    """What the shocks of the gates say by themselves."""

    days: tuple[int, ...]
    """Days of each month. [days] (month)"""
    threat: Array
    """Threat of the US gate, 1 when fresh, fading by half-lives. [1] (month, draw)"""
    hazard: Array
    """True chance that a closing is decided in the month. [1/month] (month, draw)"""
    decided: Flags
    """Whether a closing is decided."""
    told: Array
    """Day of the month on which it is, 0 where none is. [days] (month, draw)"""
    effect: Array
    """Day, counted from the month's first, on which it takes effect. [days] (month, draw)"""
    reach: Array
    """Log distance to the line up to which it reaches, where one is decided. [1] (month, draw)"""
    opens: Flags
    """Whether a shut US gate is opened."""
    answers: Flags
    """Whether the answer of the Chinese gate that is due at the date comes."""
    bars: Flags
    """Whether the Chinese gate shuts unasked."""
    bar_share: Array
    """Share of the month before it shuts. [1] (month, draw)"""
    answer_share: Array
    """Share of the month before the answer that is due, where it comes. [1] (month, draw)"""
    lets_in: Flags
    """Whether a shut Chinese gate is opened."""
    counters: Flags
    """Whether an opening of the US gate is answered by a closing of the other."""
    barred_at_start: npt.NDArray[np.bool_]
    """Whether the Chinese gate stands shut at the date. (draw)"""


def luck_of(given: Given, months: Sequence[str], *, age_months: float, live: bool) -> Luck:
    """Return what chance decides.

    Parameters
    ----------
    age_months : float
        Age of the last threat known at the date. [months]
    live : bool
        Whether the US gate is under threat at all; False where no controls bind.
    """
    shock = {n: given.shock(f"gates:{n}", months) for n in
             ("threat", "close", "day", "notice", "reach", "open", "cn_close", "cn_day", "cn_open", "counter")}
    base = given["us_gate.closing_hazard_base_per_month"]
    rise = np.maximum(given["us_gate.closing_hazard_after_threat_per_month"] - base, 0.0)
    present = given.shock("gates:threat_present") < given["us_gate.threat_present_probability"]
    fade = 2 ** (-1 / given["beliefs.threat_half_life_months"])
    threat = np.empty_like(shock["threat"])
    threat[0] = present * fade**age_months
    fresh = shock["threat"] < given["us_gate.threat_rate_per_month"]
    for m in range(1, len(months)):
        np.multiply(threat[m - 1], fade, out=threat[m])
        np.copyto(threat[m], 1.0, where=fresh[m])
    threat *= live
    hazard = np.minimum(base + threat * rise, 1.0) if live else np.zeros_like(threat)
    days = np.array([days_in_month(m) for m in months])
    # the first month has begun when the run begins
    since = np.zeros((len(months), 1))
    if months[0] == f"{given.as_of:%Y-%m}":
        since[0] = (given.as_of.day - 1) / days[0]
    decided = shock["close"] < hazard * (1 - since)
    day = (since + shock["day"] * (1 - since)) * days[:, None]
    at_once = shock["notice"] < given["us_gate.no_notice_probability"]
    reach = np.zeros_like(day)
    reach[decided] = given.row("us_gate.reach_ln").law.at(shock["reach"][decided])
    # an answer without a text is a full stop or mere guidance until a filing shows which; and one may be to come
    bites, open_days = answer_open(given.catalog)
    answer = given.shock("gates:answer") < given["cn_gate.counter_block_probability"]
    answer_day = given.shock("gates:answer_day") * ANSWER_DAYS
    due = np.where(answer & (answer_day < open_days), (given.as_of.day - 1 + answer_day) / DAYS_PER_MONTH, np.inf)
    month = np.arange(len(months))[:, None]
    return Luck(days=tuple(days.tolist()), threat=threat, hazard=hazard, decided=decided, told=day * decided,
                effect=day + np.where(at_once, 0.0, given["us_gate.notice_days"]), reach=reach,
                opens=shock["open"] < given["us_gate.opening_hazard_per_month"],
                answers=np.floor(due) == month,
                bars=shock["cn_close"] < given["cn_gate.closing_hazard_per_month"] * (1 - since),
                bar_share=since + shock["cn_day"] * (1 - since), answer_share=due - month,
                lets_in=shock["cn_open"] < given["cn_gate.opening_hazard_per_month"],
                counters=shock["counter"] < given["cn_gate.counter_block_probability"],
                barred_at_start=answer & bites)
