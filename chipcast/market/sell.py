"""What sellers make and ship in a month, what is under way or lost at a cut, and what they write off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.base.types import Array
from chipcast.market import clear, legal
from chipcast.market.buy import Wish
from chipcast.market.clear import total
from chipcast.market.world import TINY, State, World, over_chips


@dataclass(frozen=True, kw_only=True, slots=True)
class Sale:
    """What sellers do in a month."""

    made: Array
    """Cards finished. [cards] (chip, draw)"""
    supply: Array
    """Cards that could leave, no more than asked for. [cards] (chip, draw)"""
    sent: Array
    """Cards shipped. [cards] (segment, chip, draw)"""
    arrived: Array
    """Cards that reached buyers. [cards] (segment, chip, draw)"""
    sent_back: Array
    """Cards stopped on the way, back on the maker's shelf. [cards] (segment, gated chip, draw)"""
    written_down_usd: Array
    """Goods written off. [USD] (chip, draw)"""
    scarcity: Array
    """Unfilled share of what was truly wanted. [1] (chip, draw)"""
    shipped: Array
    """Cards shipped over all buyers. [cards] (chip, draw)"""
    fill: Array
    """Share of what was truly wanted that left. [1] (chip, draw)"""


def sell(world: World, state: State, wish: Wish, door: Array, m: int) -> Sale:
    """Make, hand out and ship, and move shelf, backlog, premium and lead time of the state."""
    given, gated = world.given, list(world.gated)
    made = production(world, state, wish.asked, door, m)
    ready = state.shelf + made
    ready[gated] *= door[gated]
    supply = np.minimum(ready, wish.asked)
    sent = world.allocate(wish.backlog, supply, world.priority)
    shipped = total(sent)
    arrived, back = move_on(world, state, sent, door)
    written = write_down(world, state, made, door, m)
    truly = total(wish.both)
    some = truly > 0
    fill = shipped / np.maximum(truly, TINY)
    scarcity = np.maximum(1 - fill, 0.0) * some
    shut_out(world, scarcity, door, m)
    state.shelf = state.shelf + made - shipped
    state.shelf[gated] += total(back)
    asks = clear.grey_premium(scarcity, given["grey.premium_max"], given["grey.premium_kappa"])
    state.premium += (asks - state.premium) * -np.expm1(-1 / given["market.price_adjust_months"])
    state.scarcity = scarcity
    state.lead_days = clear.lead_time_days(world.first_days, wish.asked - shipped, np.maximum(made, shipped))
    state.backlog = wish.backlog - sent
    state.door = door[gated]
    return Sale(made=made, supply=supply, sent=sent, arrived=arrived, sent_back=back, written_down_usd=written,
                scarcity=scarcity, shipped=shipped, fill=np.minimum(fill, 1.0) * some)


CRUMB = 1e-3
"""Less than so many cards under way have arrived: an exponential tail has no end. [cards]"""


def move_on(world: World, state: State, sent: Array, door: Array) -> tuple[Array, Array]:
    """Return arrivals of all chips and what is stopped at the gate, and move the cards under way of the state.

    One stage with its exact step: with $\\lambda$ = 1 month / mean, a part $e^{-\\lambda}$ of what was under way and
    $(1-e^{-\\lambda})/\\lambda$ of what was sent in the month are still under way. Where a door shuts, a share of what
    is under way goes back to the maker.
    """
    given, gated = world.given, list(world.gated)
    speed = 1 / given["market.transit_months"]
    stays = np.exp(-speed)
    new_stays = -np.expm1(-speed) / speed
    lost = given["market.transit_loss_share"] * np.maximum(state.door - door[gated], 0.0)
    arrived = sent.copy()
    back = np.zeros_like(state.under_way)
    for g, c in enumerate(gated):
        before = state.under_way[:, g] + sent[:, c]
        left = state.under_way[:, g] * stays + sent[:, c] * new_stays
        left *= left > CRUMB
        arrived[:, c] = before - left
        if lost[g].any():
            back[:, g] = left * lost[g]
            left -= back[:, g]
        state.under_way[:, g] = left
    return arrived, back


def shut_out(world: World, scarcity: Array, door: Array, m: int) -> None:
    """Raise scarcity, in place, where the US gate holds a card back that buyers could have: the street knows its price.

    Guidance at home lowers what is wanted and so does not count; a card that nobody has seen yet has no street price.
    """
    for c in world.gated:
        if world.chips[c] != legal.NEXT:
            us, _ = world.widest[c][m]
            held = 1 - world.paths.us[c, m] * us
            scarcity[c] = np.maximum(scarcity[c], held * world.paths.cn[c, m])


def write_down(world: World, state: State, made: Array, door: Array, m: int) -> Array:
    """Return what sellers of gated cards write off as a door shuts: finished cards and what is on order for it. [USD]

    All of it in the month of the closing, at booked price times the share of cost; the units stay on the shelf and
    sell if the door opens again.
    """
    given = world.given
    out = np.zeros_like(state.shelf)
    c = world.lead
    after = world.paths.us_end[m] * world.paths.cn_end[m]
    closing = np.maximum(state.level - after, 0.0)
    state.level = after
    if closing.any():
        goods = state.shelf[c] + made[c] + given["h20-96.commitment_months"] * world.capacity[c, 0] * state.growth
        out[c] = (closing * goods * given["h20-96.vendor_asp_usd"] * given["h20-96.inventory_cost_share"]
                  * given["market.write_down_share"])
    return out


def production(world: World, state: State, asked: Array, door: Array, m: int) -> Array:
    """Return the cards that sellers finish in the month, and move the capacity of the leading foreign card.

    The line's output is its own. Others make what the backlog and one month on the shelf ask for; foreign ones only
    while their door is open, and the leading card's capacity answers a long backlog with a delay. The grey flow
    rises when the legal door is shut, and until a redesign follows lesser permitted boards take over the part of the
    leading card's sales that earlier cut-offs left.
    """
    given, lead = world.given, world.lead
    cap = world.capacity[:, m].copy()
    pressed = asked[lead] > 3 * cap[lead]
    goal = np.where(pressed, given["h20-96.capacity_response_ratio"], 1.0)
    state.growth = np.maximum(state.growth, state.growth + (goal - state.growth)
                              / given["h20-96.capacity_response_months"])
    shut = shut_share(world, door, m)
    for c in world.gated:
        if world.chips[c] == "nvidia_other":
            worth = world.cards.price_usd[lead] / world.cards.price_usd[c]
            cap[c] += given["past.shut_share_left"] * cap[lead] * worth * shut * (1 - world.following[m])
    cap[lead] *= state.growth
    for c in world.grey:
        cap[c] *= 1 + (given["grey.flow_factor_when_closed"] - 1) * shut
    goal = asked + cap
    for c in world.grey:
        goal[c] = asked[c]
    made = np.minimum(cap, np.maximum(goal - state.shelf, 0.0))
    for c in world.gated:
        made[c] *= door[c]
    made[world.from_line > 0] = cap[world.from_line > 0]
    return made


def shut_share(world: World, door: Array, m: int) -> Array:
    """Return how far the leading card is held back, by rules in force and by gates. [1] (draw)"""
    us, _ = world.widest[world.lead][m]
    return np.asarray(1 - door[world.lead] * us)


def lease(world: World, state: State, unserved: Array, door: Array, m: int) -> None:
    """Add leases abroad to the state: unmet work that may leave the country, within a flow that rises with a shut door.

    The headquarters rule stops a part of them; leases end after their term.
    """
    given, lead = world.given, world.lead
    shut = shut_share(world, door, m)
    flow = given["overseas.cards_per_quarter"] / 3 * (1 + (given["overseas.flow_factor_when_closed"] - 1) * shut)
    flow *= 1 - given["overseas.headquarters_rule_share"]
    want = unserved * world.abroad * world.per_rate[:, lead]
    state.leased *= np.exp(-1 / given["overseas.lease_months"])
    state.leased += want * np.minimum(1.0, flow / np.maximum(total(want), TINY))


def settle(world: World, state: State, arrived: Array) -> tuple[Array, Array]:
    """Put arrivals in place: return retired cards and installed ones, and move work and domestic use of the state."""
    retired = state.installed * (world.given["market.retirement_per_year"] / 12)
    installed = state.installed - retired
    installed += arrived
    state.installed = installed
    own = over_chips(installed, world.rate)
    state.have = own + state.leased * world.rate[:, world.lead]
    coming = np.zeros_like(state.coming)
    for g, c in enumerate(world.gated):
        coming += state.under_way[:, g] * world.rate[:, c]
    state.coming = coming
    for c in world.home:
        state.domestic_used = state.domestic_used + total(arrived[:, c])
    return retired, own
