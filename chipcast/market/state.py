"""The stocks that one month of the market hands to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.base.types import Array
from chipcast.market import gates, supply
from chipcast.market.sums import over_chips
from chipcast.market.world import World, lags


@dataclass(kw_only=True, slots=True)
class State:
    """What one month hands to the next."""

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
    return State(installed=held, backlog=np.zeros_like(held), under_way=np.zeros_like(held[:, world.gated]),
                 shelf=supply.vendor_stock(given, chips), growth=np.ones(given.draws), belief=heard,
                 premium=np.zeros(flat), scarcity=np.zeros(flat), wallet=wide.copy(), lead_days=np.zeros(flat),
                 domestic_used=world.first_used.copy(), leased=wide.copy(), have=over_chips(held, world.rate),
                 coming=wide.copy())
