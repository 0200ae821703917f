"""What buyers want in a month: fear, cover, the choice among cards, and orders within budget and power."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.base.types import Array
from chipcast.market import choice, clear
from chipcast.market.clear import total
from chipcast.market.world import TINY, State, World, over_chips


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What buyers want in a month."""

    price: Array
    """Street price. [USD] (chip, draw)"""
    cover: Array
    """Months of additions wanted as a hoard. [months] (segment, draw)"""
    wanted: Array
    """Cards for need alone. [cards] (segment, chip, draw)"""
    both: Array
    """Cards for need and hoard within budget and power. [cards] (segment, chip, draw)"""
    orders: Array
    """Cards newly ordered, inflated where rationing is expected. [cards] (segment, chip, draw)"""
    cancelled: Array
    """Cards no longer wanted. [cards] (segment, chip, draw)"""
    backlog: Array
    """Cards on order after both. [cards] (segment, chip, draw)"""
    asked: Array
    """The same over all buyers. [cards] (chip, draw)"""


def fear(world: World, state: State, m: int) -> Array:
    """Return the hazard that each segment perceives. [1/month] (segment, draw)

    The belief follows the threat with its lag; an announced closing is certain, which makes the cover a last-time buy.
    """
    state.belief += (world.paths.threat[m] - state.belief) * world.follow
    if not world.threat:
        return np.zeros_like(state.belief)
    given = world.given
    base = given["us_gate.closing_hazard_base_per_month"]
    rise = np.maximum(given["us_gate.closing_hazard_after_threat_per_month"] - base, 0.0)
    hazard = state.belief * rise
    hazard += base * (world.paths.us_hazard[m] > 0)
    np.minimum(hazard, 1.0, out=hazard)
    hazard += (1 - hazard) * world.paths.cn_hazard
    return np.asarray(np.maximum(hazard, world.paths.announced[m]))


def wishes(world: World, state: State, door: Array, m: int) -> Wish:
    """Return what buyers want and order in a month, given how far each chip's door is open. (chip, draw)"""
    given, need, cards = world.given, world.need, world.cards
    carrying = given["market.carrying_rate_per_year"]
    cover = world.phi * world.cover_rule(fear(world, state, m), 1.0, given["market.shortage_cost_ratio"],
                                         given["market.holding_cost_per_month"], carrying,
                                         given["us_gate.opening_hazard_per_month"])
    move = (1 + state.premium) * given["market.list_price_ratio_per_year"] ** (m / 12)
    cost = world.log_cost + np.log(move)
    cost += carrying * state.lead_days / 365.25
    learnt = clear.wright(np.maximum(state.domestic_used / np.maximum(world.first_used, 1.0), 1.0),
                          given["choice.porting_learning_rate"])
    cost[list(world.home)] += given["choice.porting_cost_ln"] * learnt
    share, gated = shares_of(world, np.exp(-world.steep * (cost - world.cheapest)), door, m), list(world.gated)

    # a hoard is kept while it is wanted: it fills no need until fear or the foreign door is gone
    bought = np.maximum(1 - share[:, -1], TINY)
    foreign = np.full_like(bought, TINY)
    for c in gated:
        foreign += share[:, c]
    work, ahead = need.work[:, m], need.work[:, m + world.lookahead] + world.safety * need.additions[:, m]
    cover_work = cover * need.additions[:, m] * foreign / bought
    kept = np.minimum(np.maximum(state.have - work, 0.0), cover_work)
    stock = state.have + state.coming - kept
    gap = np.maximum(ahead - stock, 0.0)
    hoard = np.maximum(cover_work - kept - np.maximum(stock - ahead, 0.0), 0.0) / foreign
    within_grey_flow(world, share, gap, m)

    wanted = share[:, :-1]
    wanted *= world.per_rate
    both = wanted * (gap[:, None])
    for c in gated:
        both[:, c] += wanted[:, c] * hoard
    wanted *= gap[:, None]
    ahead_months = 1 + 3 * given["market.budget_commit_quarters"]
    scale = np.maximum(state.wallet + world.budget * ahead_months, 0.0)
    scale /= np.maximum(over_chips(both, cards.system_usd), TINY)
    count = total(np.moveaxis(both, 1, 0))
    np.minimum(scale, world.power_cards * ahead_months / np.maximum(count, TINY), out=scale)
    both *= np.minimum(scale, 1.0)[:, None]
    backlog = both * np.maximum(1 + (given["allocation.order_inflation"] - 1) * state.scarcity, 1.0)
    orders = backlog - state.backlog
    cancelled = np.minimum(orders, 0.0)
    orders -= cancelled
    np.negative(cancelled, out=cancelled)
    return Wish(price=cards.price_usd * move, cover=cover, wanted=wanted, both=both, orders=orders,
                cancelled=cancelled, backlog=backlog, asked=total(backlog))


def shares_of(world: World, weight: Array, door: Array, m: int) -> Array:
    """Return what share of a segment's gap goes to each chip, and to waiting at the end. (segment, chip + 1, draw)

    What no rule lets a segment take is removed; where licences or guidance let part through, the rest goes to what is
    open in full; a floor on domestic cards is a constraint after the choice.
    """
    S, C, D = world.taste.shape
    share = np.empty((S, C + 1, D))
    np.multiply(weight, world.taste, out=share[:, :C])
    for c in world.gated:
        share[:, c] *= world.permits.may(m, c) * (door[c] * world.capacity[c, m] > 0)
    share[:, C] = world.waiting
    options = np.moveaxis(share, 1, 0)
    choice.nest_shares(options, world.nests, world.likeness)
    partly = [c for c in world.gated if not world.permits.in_full(m, c)]
    if partly:
        kept, full = np.ones((C + 1, S, D)), np.ones((C + 1, S, D))
        for c in partly:
            kept[c] = world.permits.share(m, c)
            full[c] = kept[c] >= 1
        choice.pass_on(options, kept, full)
    choice.raise_to(options, np.array([float(c in world.home) for c in range(C + 1)]), world.floor[m], C)
    return share


def within_grey_flow(world: World, share: Array, gap: Array, m: int) -> None:
    """Cut shares, in place, where the grey door would take more than its flow until need falls due.

    Nobody queues for years at a door that has no order book: what the flow cannot give goes to the other options,
    waiting included, in proportion.
    """
    for c in world.grey:
        flow = world.capacity[c, m] * world.given["grey.flow_factor_when_closed"] * max(world.lookahead, 1)
        asked = total(share[:, c] * gap * world.per_rate[:, c])
        kept = share[:, c] * np.minimum(1.0, flow / np.maximum(asked, TINY))
        share *= ((1 - kept) / np.maximum(1 - share[:, c], TINY))[:, None]
        share[:, c] = kept
