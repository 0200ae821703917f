"""What buyers want in a month: fear, cover, the choice among cards, and orders within budget and power."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.base.types import Array
from chipcast.market import choice, clear
from chipcast.market.state import State
from chipcast.market.sums import of_chips, over_chips, total
from chipcast.market.world import FOREIGN, GREY, HOME, TINY, WAIT, World

DOMESTIC_ONLY = np.array([float(g == HOME) for g in range(WAIT + 1)])
"""1 for the group that a floor on domestic cards favours. (group)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What buyers want in a month."""

    move: Array
    """Street price over the list price of the date. [1] (chip, draw)"""
    cover: Array
    """Months of additions wanted as a hoard. [months] (segment, draw)"""
    wanted: Array
    """Cards for need alone. [cards] (segment, chip, draw)"""
    orders: Array
    """Cards newly ordered, inflated where rationing is expected. [cards] (segment, chip, draw)"""
    net: Array
    """The same less cards no longer wanted. [cards] (segment, chip, draw)"""
    backlog: Array
    """Cards on order after both. [cards] (segment, chip, draw)"""
    truly: Array
    """Cards for need and hoard within budget and power, not inflated, over all buyers. [cards] (chip, draw)"""
    asked: Array
    """Cards on order over all buyers. [cards] (chip, draw)"""


def fear(world: World, state: State, m: int) -> Array:
    """Return the hazard that each segment perceives. [1/month] (segment, draw)

    The belief follows the threat with its lag; an announced closing is certain, which makes the cover a last-time buy.
    """
    state.belief += (world.paths.threat[m] - state.belief) * world.follow
    if not world.threat:
        return np.zeros_like(state.belief)
    hazard = state.belief * world.pace.threat_hazard
    hazard += world.pace.base_hazard * (world.paths.us_hazard[m] > 0)
    np.minimum(hazard, 1.0, out=hazard)
    hazard += (1 - hazard) * world.paths.cn_hazard
    return np.asarray(np.maximum(hazard, world.paths.announced[m], out=hazard))


def wishes(world: World, state: State, m: int) -> Wish:
    """Return what buyers want and order in a month."""
    given, need = world.given, world.need
    cover = world.phi * world.cover_rule(fear(world, state, m), 1.0, given["market.shortage_cost_ratio"],
                                         given["market.holding_cost_per_month"],
                                         given["market.carrying_rate_per_year"],
                                         given["us_gate.opening_hazard_per_month"], world.granted[m])
    move = (1 + state.premium) * world.outside.list_ratio[m]
    desk = state.desk
    offer = np.multiply(weights(world, state, move, m), world.taste, out=desk.cards)
    share, scale = shares_of(world, offer, m)

    # a hoard is kept while it is wanted: it fills no need until fear or the foreign door is gone
    work, ahead = need.work[:, m], need.work[:, m + world.lookahead] + world.safety * need.additions[:, m]
    foreign = share[FOREIGN] + TINY
    cover_work = cover * need.additions[:, m] * foreign / np.maximum(1 - share[WAIT], TINY)
    kept = np.minimum(np.maximum(state.have - work, 0.0), cover_work)
    over = state.have + state.coming - kept - ahead
    gap = np.maximum(-over, 0.0)
    hoard = np.maximum(cover_work - kept - np.maximum(over, 0.0), 0.0) / foreign
    within_grey_flow(world, share, gap, m)
    scale *= share[:WAIT]

    # cards for one unit of work of each segment, then for what it lacks
    cards = np.multiply(offer, world.per_rate, out=offer)
    due = scale * gap
    wanted = by_group(world, cards, due, desk.wanted)
    due[FOREIGN] += scale[FOREIGN] * hoard
    due *= affordable(world, state, cards, due)
    both = by_group(world, cards, due, cards)
    truly = total(both)
    inflated = np.maximum(1 + (given["allocation.order_inflation"] - 1) * state.scarcity, 1.0)
    backlog = np.multiply(both, inflated, out=both)
    net = np.subtract(backlog, state.backlog, out=desk.net)
    return Wish(move=move, cover=cover, wanted=wanted, orders=np.maximum(net, 0.0, out=desk.orders), net=net,
                backlog=backlog, truly=truly, asked=truly * inflated)


def weights(world: World, state: State, move: Array, m: int) -> Array:
    """Return the weight of each card by its price, its wait and the porting to it, 0 where none ships. (chip, draw)"""
    given = world.given
    cost = np.log(move)
    cost += world.pace.waiting_cost * state.lead_days
    learnt = clear.wright(np.maximum(state.domestic_used / np.maximum(world.first_used, 1.0), 1.0),
                          given["choice.porting_learning_rate"])
    cost[world.home] += given["choice.porting_cost_ln"] * learnt
    cost *= world.steep
    out: Array = np.exp(np.subtract(world.log_weight, cost, out=cost), out=cost)
    out[world.gated] *= world.outside.offered[:, m]
    return out


def by_group(world: World, cards: Array, factor: Array, out: Array) -> Array:
    """Return cards (segment, chip, draw) times the factor of their group (group, segment, draw)."""
    for g, chips in enumerate(world.groups):
        np.multiply(cards[:, chips], factor[g][:, None], out=out[:, chips])
    return out


def affordable(world: World, state: State, cards: Array, due: Array) -> Array:
    """Return the part of what is due that fits the budget and the power of each segment. [1] (segment, draw)"""
    ahead = 1 + 3 * world.given["market.budget_commit_quarters"]
    room = np.maximum(state.wallet + world.budget * ahead, 0.0)
    cost, plugs = np.zeros_like(room), world.plugged
    count = np.zeros_like(room[plugs])
    for g, chips in enumerate(world.groups):
        cost += due[g] * over_chips(cards[:, chips], world.cards.system_usd[chips])
        count += due[g, plugs] * of_chips(cards[plugs], chips)
    room /= np.maximum(cost, TINY, out=cost)
    np.minimum(room[plugs], world.power_cards * ahead / np.maximum(count, TINY), out=room[plugs])
    return np.minimum(room, 1.0, out=room)


def shares_of(world: World, offer: Array, m: int) -> tuple[Array, Array]:
    """Return what share of a segment's gap goes to each group of cards and to waiting, and one over a group's weight.

    What no rule lets a segment take is removed; where licences or guidance let part through, the rest goes to what is
    open in full; a floor on domestic cards is a constraint after the choice. A card's share is its weight times the
    share of its group over the weight of its group.

    Parameters
    ----------
    offer : array (segment, chip, draw)
        Weights of cards in the choice; what rules keep back is taken out, in place.

    Returns
    -------
    tuple of arrays
        Shares (group, segment, draw), the last that of waiting, and (group without waiting, segment, draw).
    """
    if not world.outside.all_may[m]:
        offer[:, world.gated] *= world.outside.may[m][:, :, None]
    share = np.empty((WAIT + 1, *world.phi.shape))
    for g, chips in enumerate(world.groups):
        share[g] = of_chips(offer, chips)
    share[WAIT] = world.waiting
    each = np.maximum(share[:WAIT], choice.TINY)
    np.divide(1.0, each, out=each)
    choice.nest_shares(share, world.nests, world.likeness)
    if not world.outside.in_full[m]:
        let_through(world, offer, share, each, m)
    if world.any_floor[m]:
        choice.raise_to(share, DOMESTIC_ONLY, world.floor[m], WAIT)
    return share, each


def let_through(world: World, offer: Array, share: Array, each: Array, m: int) -> None:
    """Keep, in place, only what licences and guidance let through of foreign cards; the rest goes to what is open."""
    foreign = np.moveaxis(offer[:, world.gated], 1, 0)
    options = np.concatenate([foreign * (each[FOREIGN] * share[FOREIGN]), share[GREY:]])
    kept, full = np.ones_like(options), np.ones_like(options)
    for c in range(world.gated.stop):
        kept[c] = world.permits.share(m, c)
        full[c] = kept[c] >= 1
    choice.pass_on(options, kept, full)
    count = world.gated.stop
    foreign[:] = options[:count]
    share[FOREIGN] = total(options[:count])
    share[GREY:] = options[count:]
    np.divide(1.0, np.maximum(share[FOREIGN], choice.TINY), out=each[FOREIGN])


def within_grey_flow(world: World, share: Array, gap: Array, m: int) -> None:
    """Cut shares, in place, where the grey door would take more than its flow until need falls due.

    Nobody queues for years at a door that has no order book: what the flow cannot give goes to the other options,
    waiting included, in proportion.
    """
    for i, c in enumerate(range(world.grey.start, world.grey.stop)):
        flow = world.outside.grey_flow[i, m] * max(world.lookahead, 1)
        asked = total(share[GREY] * gap * world.per_rate[:, c])
        np.minimum(1.0, flow / np.maximum(asked, TINY, out=asked), out=asked)
        kept = share[GREY] * asked
        scale = 1 - kept
        scale /= np.maximum(1 - share[GREY], TINY)
        share *= scale
        share[GREY] = kept
