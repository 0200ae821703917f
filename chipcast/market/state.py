"""The stocks that one month of the market hands to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from chipcast.base.types import Array
from chipcast.market import gates, supply
from chipcast.market.sums import over_chips
from chipcast.market.world import World, lags

LINE = 64
"""Bytes that a processor fetches at once; arrays that begin on such a border are worked on in half the time."""


def room(*shape: int) -> Array:
    """Return an array for numbers to come, on a border of `LINE`."""
    whole = np.empty(math.prod(shape) * 8 + LINE, dtype=np.uint8)
    start = -whole.ctypes.data % LINE
    return whole[start : start + math.prod(shape) * 8].view(np.float64).reshape(shape)


def settled(values: Array) -> Array:
    """Return a copy of an array on such a border."""
    out = room(*values.shape)
    out[:] = values
    return out


@dataclass(kw_only=True, slots=True)
class Desk:
    """Room to work out a month in: what stands there is overwritten by the next."""

    cards: Array
    """Weights of cards, then cards for need and hoard, then the backlog. (segment, chip, draw)"""
    wanted: Array
    """Cards for need alone. [cards] (segment, chip, draw)"""
    net: Array
    """What is added to the backlog. [cards] (segment, chip, draw)"""
    orders: Array
    """Cards newly ordered. [cards] (segment, chip, draw)"""
    sent: Array
    """Cards shipped, then cards that arrive. [cards] (segment, chip, draw)"""
    retired: Array
    """Cards that retire. [cards] (segment, chip, draw)"""
    stocks: Array
    """Cards held beyond the month's use. [cards] (segment, chip, draw)"""


@dataclass(kw_only=True, slots=True)
class State:
    """What one month hands to the next."""

    desk: Desk
    """Room to work in."""

    installed: Array
    """Cards held by buyers, stock included. [cards] (segment, chip, draw)"""
    backlog: Array
    """Cards ordered and not shipped. [cards] (segment, chip, draw)"""
    under_way: Array
    """Cards shipped and not arrived, of chips that come through the gates. [cards] (segment, gated chip, draw)"""
    shelf: Array
    """Finished cards at the sellers. [cards] (chip, draw)"""
    growth: Array
    """Capacity of the leading foreign card over its start. [1] (draw)"""
    belief: Array
    """Belief of a segment in the threat. [1] (segment, draw)"""
    premium: Array
    """Street price over list. [1] (chip, draw)"""
    scarcity: Array
    """Unfilled share of what was wanted last month. [1] (chip, draw)"""
    wallet: Array
    """Budget saved, negative when committed ahead. [USD] (segment, draw)"""
    lead_days: Array
    """Days from order to delivery. [days] (chip, draw)"""
    domestic_used: Array
    """Domestic cards ever installed. [cards] (draw)"""
    leased: Array
    """Cards of the leading class leased abroad. [cards] (segment, draw)"""
    have: Array
    """Work of installed cards and of leases. [tokens/s] (segment, draw)"""
    coming: Array
    """Work of cards under way. [tokens/s] (segment, draw)"""


def first_state(world: World) -> State:
    """Return the state at the date: cards held, nothing on order, beliefs as old as the last threat."""
    given, chips = world.given, world.chips
    held = supply.installed_by_segment(given, world.cards, world.segments, chips)
    lag = lags(given, world.segments)
    heard = gates.perceived_hazard(np.zeros_like(lag), np.broadcast_to(world.paths.threat[0], lag.shape), lag,
                                   first=gates.threat_age_months(given))
    flat, wide = (len(chips), given.draws), np.zeros_like(lag)
    desk = Desk(**{f.name: room(*held.shape) for f in fields(Desk)})
    return State(desk=desk, installed=settled(held), backlog=settled(np.zeros_like(held)),
                 under_way=settled(np.zeros_like(held[:, world.gated])),
                 shelf=supply.vendor_stock(given, chips), growth=np.ones(given.draws), belief=heard,
                 premium=np.zeros(flat), scarcity=np.zeros(flat), wallet=wide.copy(), lead_days=np.zeros(flat),
                 domestic_used=world.first_used.copy(), leased=wide.copy(), have=over_chips(held, world.rate),
                 coming=wide.copy())
