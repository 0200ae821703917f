"""What sellers make and ship in a month, what is under way or lost at a cut, and what they write off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.base.types import Array
from chipcast.market import clear
from chipcast.market.buy import Wish
from chipcast.market.state import State
from chipcast.market.sums import over_chips, total
from chipcast.market.world import TINY, World


@dataclass(frozen=True, kw_only=True, slots=True)
class Sale:
    """What sellers do in a month."""

    made: Array
    """Cards finished. [cards] (chip, draw)"""
    supply: Array
    """Cards that could leave, no more than asked for. [cards] (chip, draw)"""
    sent: Array
    """Cards shipped of chips that pass the gates; others arrive as they are shipped. [cards]
    (segment, gated chip, draw)"""
    arrived: Array
    """Cards that reached buyers. [cards] (segment, chip, draw)"""
    sent_back: Array
    """Cards stopped on the way, back on the maker's shelf. [cards] (segment, gated chip, draw)"""
    written_down_usd: Array
    """Goods written off. [USD] (chip, draw)"""
    shipped: Array
    """Cards shipped over all buyers. [cards] (chip, draw)"""
    fill: Array
    """Share of what was truly wanted that left. [1] (chip, draw)"""


def sell(world: World, state: State, wish: Wish, m: int) -> Sale:
    """Make, hand out and ship, and move shelf, backlog, premium and lead time of the state."""
    given, outside, gated = world.given, world.outside, world.gated
    made = production(world, state, wish.asked, m)
    ready = state.shelf + made
    ready[gated] *= outside.door[:, m]
    supply = np.minimum(ready, wish.asked, out=ready)
    sent = world.allocate(wish.backlog, supply, world.priority, world.ranks, state.desk.sent)
    shipped = total(sent)
    written = write_down(world, state, made, m)
    some = wish.truly > 0
    fill = shipped / np.maximum(wish.truly, TINY)
    scarcity = np.maximum(1 - fill, 0.0)
    scarcity *= some
    # the street knows the price of a card that Washington holds back; guidance at home lowers what is wanted
    np.maximum(scarcity[gated], outside.barred[:, m], out=scarcity[gated])
    state.backlog, state.desk.cards = np.subtract(wish.backlog, sent, out=wish.backlog), state.backlog
    new, back = move_on(world, state, sent, m)
    state.shelf += made
    state.shelf -= shipped
    if outside.any_sent_back[m]:
        state.shelf[gated] += total(back)
    asks = clear.grey_premium(scarcity, given["grey.premium_max"], given["grey.premium_kappa"])
    asks -= state.premium
    asks *= world.pace.price_step
    state.premium += asks
    state.scarcity = scarcity
    state.lead_days = clear.lead_time_days(world.first_days, wish.asked - shipped, np.maximum(made, shipped))
    np.minimum(fill, 1.0, out=fill)
    fill *= some
    return Sale(made=made, supply=supply, sent=new, arrived=sent, sent_back=back, written_down_usd=written,
                shipped=shipped, fill=fill)


CRUMB = 1e-3
"""Less than so many cards under way have arrived: an exponential tail has no end. [cards]"""


def move_on(world: World, state: State, sent: Array, m: int) -> tuple[Array, Array]:
    """Return what was sent through the gates and what is stopped there, and move the cards under way of the state.

    In `sent` what arrives takes the place of what was sent. One stage with its exact step, see `pace_of`. Where a door
    shuts, a share of what is under way goes back to the maker.
    """
    gated, pace = world.gated, world.pace
    way, new = state.under_way, sent[:, gated].copy()
    came = np.add(way, new, out=sent[:, gated])
    way *= pace.stays
    way += new * pace.sent_stays
    way *= way > CRUMB
    came -= way
    if not world.outside.any_sent_back[m]:
        return new, NOTHING
    back = way * world.outside.sent_back[:, m]
    way -= back
    return new, back


NOTHING = np.zeros((1, 1, 1))
"""What is sent back in a month in which no door shuts. [cards] (segment, gated chip, draw)"""


def write_down(world: World, state: State, made: Array, m: int) -> Array:
    """Return what sellers of gated cards write off as a door shuts: finished cards and what is on order for it. [USD]

    All of it in the month of the closing, at booked price times the share of cost; the units stay on the shelf and
    sell if the door opens again.
    """
    given, c = world.given, world.lead
    out = np.zeros_like(state.shelf)
    if world.outside.any_closing[m]:
        goods = state.shelf[c] + made[c] + given["h20-96.commitment_months"] * world.capacity[c, 0] * state.growth
        out[c] = (world.outside.closing[m] * goods * given["h20-96.vendor_asp_usd"]
                  * given["h20-96.inventory_cost_share"] * given["market.write_down_share"])
    return out


def production(world: World, state: State, asked: Array, m: int) -> Array:
    """Return the cards that sellers finish in the month, and move the capacity of the leading foreign card.

    The line's output is its own. Others make what the backlog and one month on the shelf ask for; foreign ones only
    while their door is open, and the leading card's capacity answers a long backlog with a delay. The grey flow
    rises when the legal door is shut, and until a redesign follows lesser permitted boards take over the part of the
    leading card's sales that earlier cut-offs left: both are in `Outside.able`.
    """
    given, lead, outside = world.given, world.lead, world.outside
    cap = outside.able[:, m].copy()
    pressed = asked[lead] > 3 * cap[lead]
    step = np.where(pressed, given["h20-96.capacity_response_ratio"], 1.0)
    step -= state.growth
    step /= given["h20-96.capacity_response_months"]
    state.growth += np.maximum(step, 0.0, out=step)
    cap[lead] *= state.growth
    goal = asked + cap
    goal[world.grey] = asked[world.grey]
    goal -= state.shelf
    made = np.minimum(cap, np.maximum(goal, 0.0, out=goal), out=goal)
    made[world.gated] *= outside.door[:, m]
    for c in world.from_line:
        made[c] = cap[c]
    return made


def lease(world: World, state: State, unserved: Array, m: int) -> None:
    """Add leases abroad to the state: unmet work that may leave the country, within a flow that rises with a shut door.

    The headquarters rule stops a part of them; leases end after their term.
    """
    want = unserved * world.abroad
    want *= world.per_rate[:, world.lead]
    state.leased *= world.pace.lease_kept
    want *= np.minimum(1.0, world.outside.lease_flow[m] / np.maximum(total(want), TINY))
    state.leased += want


def settle(world: World, state: State, sale: Sale) -> tuple[Array, Array, Array]:
    """Put arrivals in place, and move work and domestic use of the state.

    Returns
    -------
    tuple of arrays
        Retired cards (segment, chip, draw), and the work of foreign and of domestic cards (segment, draw). [tokens/s]
    """
    retired = np.multiply(state.installed, world.pace.retired, out=state.desk.retired)
    state.installed -= retired
    state.installed += sale.arrived
    lead, home = world.lead, world.home
    foreign = over_chips(state.installed[:, : home.start], world.rate[:, : home.start])
    domestic = over_chips(state.installed[:, home], world.rate[:, home])
    state.have = state.leased * world.rate[:, lead]
    state.have += foreign
    state.have += domestic
    state.coming = over_chips(state.under_way, world.rate[:, world.gated])
    state.domestic_used += total(sale.shipped[home])
    return retired, foreign, domestic
