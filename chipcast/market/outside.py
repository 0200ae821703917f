"""What comes to a month from outside: doors, what sellers can make, list prices. No buyer moves any of it.

All months are worked out at once before the first, so that a month of the market holds only what answers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.market import legal
from chipcast.market.gates import Gates
from chipcast.market.legal import Permits
from chipcast.market.record import NEXT


@dataclass(frozen=True, kw_only=True, slots=True)
class Outside:
    """What no buyer moves, by month, for one block of draws; the first chips are those that pass both gates."""

    door: Array
    """Share of the month in which both gates let a chip ship. [1] (gated chip, month, draw)"""
    offered: npt.NDArray[np.bool_]
    """Whether a chip can ship at all: its door is open for a while and its maker can make some.
    (gated chip, month, draw)"""
    shut: Array
    """How far the leading card is held back, by rules in force and by gates. [1] (month, draw)"""
    barred: Array
    """How far the US gate holds a card back that buyers could have, 0 for a card that nobody has seen yet. [1]
    (gated chip, month, draw)"""
    sent_back: Array
    """Share of what is under way that goes back to the maker as a door shuts. [1] (gated chip, month, draw)"""
    any_sent_back: tuple[bool, ...]
    """Whether a door shuts on cards under way in any draw. (month)"""
    closing: Array
    """How far the door of the leading card has shut by the last day of the month, since that of the month before. [1]
    (month, draw)"""
    any_closing: tuple[bool, ...]
    """Whether it shuts in any draw. (month)"""
    list_ratio: Array
    """List price over that of the date. [1] (month, draw)"""
    able: Array
    """What each seller can finish, with what a shut door moves to other cards; the answer to a long backlog comes on
    top. [cards/month] (chip, month, draw)"""
    grey_flow: Array
    """What the grey door gives in a month when the legal door is shut. [cards/month] (grey chip, month, draw)"""
    lease_flow: Array
    """Cards that can newly be leased abroad. [cards/month] (month, draw)"""
    us_open: Array
    """Share of the month in which the US gate and its rules let a chip ship. [1] (gated chip, month, draw)"""
    cn_open: Array
    """The same for the Chinese gate. [1] (gated chip, month, draw)"""
    may: Array
    """1 where no rule keeps a segment from a chip. (month, segment, gated chip)"""
    all_may: tuple[bool, ...]
    """Whether no rule keeps any segment from any gated chip. (month)"""
    in_full: tuple[bool, ...]
    """Whether whoever may take a gated chip may take all he wants. (month)"""


def outside_of(given: Given, chips: Sequence[str], paths: Gates, permits: Permits, capacity: Array, following: Array,
               price_usd: Array, *, lead: int, gated: slice, grey: slice) -> Outside:
    """Return what comes from outside.

    Parameters
    ----------
    chips : sequence of str
        Chips traded, those that pass both gates first.
    capacity : array (chip, month, draw)
        What each seller can finish. [cards/month]
    following : array (month, draw)
        How far the next foreign card has ramped up.
    price_usd : array (chip, draw)
        List prices at the date. [USD]
    lead : int
        Place of the leading card.
    gated, grey : slice
        Places of chips that pass both gates, and of those that come by the grey door.
    """
    count = capacity.shape[1]
    door = paths.us[gated] * paths.cn[gated]
    us, cn = paths.us[gated].copy(), paths.cn[gated].copy()
    for c in range(gated.start, gated.stop):
        for m, (us_rule, cn_rule) in enumerate(permits.widest(c)):
            us[c, m] *= us_rule
            cn[c, m] *= cn_rule
    barred = (1 - us) * paths.cn[gated]
    barred[[c for c in range(gated.start, gated.stop) if chips[c] == NEXT]] = 0.0
    shut = 1 - us[lead] * paths.cn[lead]
    fallen = np.zeros_like(door)
    np.maximum(door[:, :-1] - door[:, 1:], 0.0, out=fallen[:, 1:])
    fallen *= given["market.transit_loss_share"]
    last_day = paths.us_end * paths.cn_end
    closing = np.empty_like(last_day)
    closing[0] = (paths.us[lead, 0] > 0) - last_day[0]
    closing[1:] = last_day[:-1] - last_day[1:]
    np.maximum(closing, 0.0, out=closing)
    able = capacity.copy()
    for c in (i for i in range(gated.start, gated.stop) if chips[i] == "nvidia_other"):
        worth = price_usd[lead] / price_usd[c]
        able[c] += given["past.shut_share_left"] * worth * capacity[lead] * shut * (1 - following)
    able[grey] *= 1 + (given["grey.flow_factor_when_closed"] - 1) * shut
    lease_flow = given["overseas.cards_per_quarter"] / 3 * (1 + (given["overseas.flow_factor_when_closed"] - 1) * shut)
    may = (permits.us[:, :, gated] != legal.HELD) & (permits.cn[:, :, gated] != legal.BARRED)
    full = (permits.us[:, :, gated] != legal.CASE) & (permits.cn[:, :, gated] != legal.DISCOURAGED)
    return Outside(
        door=door, offered=(door > 0) & (capacity[gated] > 0), shut=shut, barred=barred, sent_back=fallen,
        any_sent_back=tuple(np.asarray((fallen > 0).any(axis=(0, 2))).tolist()), closing=closing,
        any_closing=tuple(np.asarray((closing > 0).any(axis=1)).tolist()),
        list_ratio=given["market.list_price_ratio_per_year"] ** (np.arange(count)[:, None] / 12), able=able,
        grey_flow=capacity[grey] * given["grey.flow_factor_when_closed"],
        lease_flow=lease_flow * (1 - given["overseas.headquarters_rule_share"]), us_open=us, cn_open=cn,
        may=may.astype(float), all_may=tuple(np.asarray(may.all(axis=(1, 2))).tolist()),
        in_full=tuple(np.asarray(full.all(axis=(1, 2))).tolist()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How fast things go from month to month, the same in all months."""

    stays: Array
    """Part of what was under way a month ago that still is. [1] (draw)"""
    sent_stays: Array
    """Part of what was sent within the month that is under way at its end. [1] (draw)"""
    price_step: Array
    """Step of a street premium toward what scarcity asks for. [1] (draw)"""
    lease_kept: Array
    """Part of the leases of a month ago that still run. [1] (draw)"""
    retired: Array
    """Part of installed cards that retires. [1] (draw)"""
    waiting_cost: Array
    """Log cost of a day of waiting for a card. [1/day] (draw)"""
    base_hazard: Array
    """Hazard of a closing without a threat. [1/month] (draw)"""
    threat_hazard: Array
    """What a fresh threat adds to it. [1/month] (draw)"""


def pace_of(given: Given) -> Pace:
    """Return the rates of a month.

    Notes
    -----
    One stage under way with its exact step: with $\\lambda$ = 1 month / mean, a part $e^{-\\lambda}$ of what was under
    way and $(1-e^{-\\lambda})/\\lambda$ of what was sent in the month are still under way.
    """
    speed = 1 / given["market.transit_months"]
    base = given["us_gate.closing_hazard_base_per_month"]
    return Pace(stays=np.exp(-speed), sent_stays=-np.expm1(-speed) / speed,
                price_step=-np.expm1(-1 / given["market.price_adjust_months"]),
                lease_kept=np.exp(-1 / given["overseas.lease_months"]),
                retired=given["market.retirement_per_year"] / 12,
                waiting_cost=given["market.carrying_rate_per_year"] / 365.25, base_hazard=base,
                threat_hazard=np.maximum(given["us_gate.closing_hazard_after_threat_per_month"] - base, 0.0))
