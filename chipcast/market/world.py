"""What a month of the market starts from: all that stays, and the stocks that one month hands to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric
from chipcast.fab.record import Line
from chipcast.market import choice, clear, gates, hoard, legal, shocks, supply
from chipcast.market.clear import total
from chipcast.market.demand import Need, need_of
from chipcast.market.filed import best_quarter
from chipcast.market.gates import Event, Gates
from chipcast.market.legal import Permits
from chipcast.market.record import CHIPS, DOMESTIC
from chipcast.rules.record import Verdicts
from chipcast.tokens.record import Service

TINY = 1e-9
"""Keeps quotients finite where nothing is asked for."""

FOREIGN_NEST, DOMESTIC_NEST, GREY_NEST, WAIT_NEST = range(4)
"""Nests of the choice."""

SMALL = ("state_funded", "public_centre", "private", "clinic_school")
"""Segments that sellers serve after the large ones."""

REVEALED = (0.02, 0.95)
"""Shares outside of which what was bought says nothing of a choice. [1]"""

DAYS_PER_MONTH = 30.4375
"""Mean length of a month. [days]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """All that does not change from month to month, for one block of draws."""

    given: Given
    """Numbers of the run."""
    segments: tuple[str, ...]
    """Buyer classes. (segment)"""
    chips: tuple[str, ...]
    """Chips traded. (chip)"""
    cards: supply.Cards
    """Rate, price and cost of a card."""
    need: Need
    """Need of each segment, some months beyond the horizon."""
    lookahead: int
    """Months ahead of need at which cards are ordered. [months]"""
    paths: Gates
    """Paths of both gates."""
    permits: Permits
    """What rules in force let through."""
    widest: Mapping[int, tuple[tuple[Array, Array], ...]]
    """What rules let through at both gates for the least bound segment: place of a gated chip to months. [1] (draw)"""
    floor: Array
    """Least domestic share of what is bought. [1] (month, segment, draw)"""
    capacity: Array
    """What each seller can finish. [cards/month] (chip, month, draw)"""
    following: Array
    """How far the next foreign card has ramped up, 0 before its offer. [1] (month, draw)"""
    lead: int
    """Place of the leading foreign card."""
    gated: tuple[int, ...]
    """Places of foreign cards that come through both gates."""
    home: tuple[int, ...]
    """Places of chips of Chinese vendors."""
    grey: tuple[int, ...]
    """Places of chips that come by the grey door."""
    from_line: Array
    """1 for chips whose output the domestic line decides. (chip)"""
    nests: tuple[int, ...]
    """Nest of each chip, and of waiting at the end."""
    likeness: tuple[Numeric, ...]
    """Likeness inside each nest. [1]"""
    steep: Array
    """Slope of the choice over the likeness of a chip's nest. [1] (chip, draw)"""
    log_cost: Array
    """Log cost of an hour over the tokens of an hour, at list prices of the date. [1] (chip, draw)"""
    cheapest: Array
    """Least of it among cards sold openly. [1] (draw)"""
    taste: Array
    """Weight of a card beside its cost: local bonus, 0 for cards that serve nothing. [1] (segment, chip, draw)"""
    waiting: Array
    """Weight of waiting. [1] (draw)"""
    pull: Array
    """Log value of the leading card beside its cost, as what was bought of it shows; in `taste`. [1] (draw)"""
    rate: Array
    """What a card does under the promise of a segment. [tokens/s] (segment, chip, draw)"""
    per_rate: Array
    """Cards for a token per second. [s/token] (segment, chip, draw)"""
    idle: Array
    """Share of capacity that serves nobody for lack of place or tenant. [1] (segment, draw)"""
    safety: Array
    """Safety stock against an uncertain need. [months of additions] (segment, draw)"""
    follow: Array
    """Step of a belief toward the threat in a month. [1] (segment, draw)"""
    phi: Array
    """Share of the best cover that a segment builds. [1] (segment, draw)"""
    budget: Array
    """Budget for systems. [USD/month] (segment, draw)"""
    power_cards: Array
    """Cards that a segment can connect, infinite where no row says so. [cards/month] (segment, draw)"""
    abroad: Array
    """Part of unmet work that may run abroad. [1] (segment, draw)"""
    priority: Array
    """Fill relative to the first served. [1] (segment, 1, draw)"""
    first_days: Array
    """Days of handling from order to delivery. [days] (chip, draw)"""
    first_used: Array
    """Domestic cards in use at the date. [cards] (draw)"""
    threat: bool
    """Whether buyers fear a closing."""
    cover_rule: Callable[..., Array]
    """Entry of `HOARD`."""
    allocate: Callable[..., Array]
    """Entry of `ALLOCATION`."""


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
    level: Array
    """How far the door of the leading card was open on the last day of last month. [1] (draw)"""
    door: Array
    """Share of last month in which foreign cards could ship. [1] (gated chip, draw)"""


def world_of(given: Given, line: Line, verdicts: Verdicts, service: Service, months: tuple[str, ...], *,
             threat: bool, controls: bool, local_push: bool, events: Sequence[Event], gate: str = "two_key",
             cover: str = "markov", allocation: str = "proportional", choose_by: str = "nested_logit",
             demand: str = "local_trend", speed: Mapping[str, Mapping[str, float]] | None = None,
             line_as_is: Line | None = None) -> World:
    """Gather all that does not change from month to month.

    What was bought and liked at the date is a fact, the same in every counterfactual: need and the pull of the leading
    card come from the world as it is, `line_as_is` with controls and the local push.
    """
    segments, chips = verdicts.segments, CHIPS
    ones = np.ones(given.draws)
    lookahead = round(given.middle("market.order_lookahead_months"))
    cards = supply.cards_of(given, service, chips)
    home = tuple(c for c, n in enumerate(chips) if n in DOMESTIC)
    grey = tuple(c for c, n in enumerate(chips) if n == supply.GREY and controls)
    gated = tuple(c for c in range(len(chips)) if c not in home and c not in grey)
    lead = chips.index(supply.REFERENCE)
    foreign = np.array([float(c in gated) for c in range(len(chips))])
    paths = choose(gates.GATES, gate, "gate")(
        given, chips, months, legal.slack_of(given, verdicts, chips), foreign, threat=threat, controls=controls,
        events=events, shut_at_start=legal.letters(verdicts, chips, months))
    following = supply.next_on_offer(given, paths.us[lead], events, months, legal.NEXT)
    able = supply.capacity(given, line, chips, months, controls=controls)
    able[chips.index(legal.NEXT)] *= following
    from_line = np.array([float(c in line.products) for c in chips])
    able[from_line > 0] *= shocks.line_factor(given, events, months)
    rate = supply.rate_by_segment(cards, segments, chips, speed)
    as_is = supply.capacity(given, line_as_is or line, chips, months[:1], controls=True)[:, 0]
    as_is[chips.index(legal.NEXT)] = 0.0
    need = first_need(given, cards, rate, segments, chips, as_is, len(months) + lookahead + 1, demand)
    need = already_ahead(need, lookahead)
    need = shocks.need_with(need, events, segments, months)
    floor = legal.domestic_floor(given, verdicts, segments, months, local_push=local_push)
    tree = tuple(DOMESTIC_NEST if c in home else GREY_NEST if c in grey else FOREIGN_NEST for c in range(len(chips)))
    lam = given["choice.nest_lambda"]
    nests, likeness = choice.TREES[choose_by]((*tree, WAIT_NEST), (lam, lam, lam, 1.0))
    slope = given["choice.cost_sensitivity"]
    steep = np.stack([slope / likeness[nests[c]] for c in range(len(chips))])
    bonus = np.stack([given.first(f"{s}.domestic_bonus_ln", "market.domestic_bonus_ln") for s in segments])
    log_cost = np.log(cards.usd_per_h / np.maximum(cards.rate, TINY))
    open_sale = [c for c, n in enumerate(chips) if n not in (supply.GREY, legal.NEXT)]
    cheapest = np.where(cards.rate[open_sale] > 0, log_cost[open_sale], np.inf).min(axis=0)
    # a card that is faster under a segment's promise costs it less, and waiting is measured against its own cheapest
    faster = np.log(np.maximum(rate, TINY) / np.maximum(cards.rate, TINY))
    own = np.where(rate[:, open_sale] > 0, (log_cost - faster)[:, open_sale], np.inf).min(axis=1)
    advantage = faster + (own - cheapest)[:, None]
    taste = np.exp(steep * advantage) * (rate > 0)
    if local_push:
        taste[:, list(home)] *= np.exp(steep[list(home)] * bonus[:, None])
    waiting = given["market.shortage_cost_ratio"] ** (-slope / likeness[nests[-1]])
    held = supply.installed_by_segment(given, cards, segments, chips)
    flow = best_quarter(given) / 3 * supply.mean_rate(rate, held)[lead]
    porting = np.zeros_like(rate)
    porting[:, list(home)] = bonus[:, None] - given["choice.porting_cost_ln"]
    pull = pull_of(lam, slope, advantage + porting - (log_cost - cheapest), np.asarray(rate > 0, dtype=float), chips,
                   waiting, choose_by, need.additions[:, 0], flow)
    taste[:, lead] *= np.exp(steep[lead] * pull)
    phi = np.stack([given[f"{s}.cover_share_phi"] for s in segments])
    first_days = np.stack([given.first(f"{c}.lead_time_days", "ascend-910b2.lead_time_days") for c in chips])
    ratio, holding = given["market.shortage_cost_ratio"], given["market.holding_cost_per_month"]
    permits = legal.permits(given, verdicts, segments, chips, months, controls=controls, local_push=local_push)
    return World(
        given=given, segments=segments, chips=chips, cards=cards, need=need, lookahead=lookahead, paths=paths,
        permits=permits, widest={c: permits.widest(c) for c in gated},
        floor=shocks.floor_with(floor, events, segments, months), capacity=able, following=following, lead=lead,
        gated=gated, home=home, grey=grey, from_line=from_line, nests=nests, likeness=likeness, steep=steep,
        log_cost=log_cost, cheapest=cheapest, taste=taste, waiting=waiting, pull=pull,
        rate=rate, per_rate=1 / np.maximum(rate, TINY), idle=own_rows(given, segments, "idle_share", 0.0),
        safety=phi * hoard.safety_months(1.0, ratio, holding, given["market.carrying_rate_per_year"],
                                         given["market.demand_cv_per_month"], first_days[lead] / DAYS_PER_MONTH),
        follow=-np.expm1(-1 / lags(given, segments)), phi=phi,
        budget=np.stack([given[f"{s}.budget_usd_per_quarter"] / 3 for s in segments]),
        power_cards=own_rows(given, segments, "power_mw_per_quarter", np.inf) * 1000 / 3 / given["market.kw_per_card"],
        abroad=own_rows(given, segments, "overseas_access_share", 0.0),
        priority=np.stack([given["allocation.small_buyer_fill_ratio"] if s in SMALL else ones
                           for s in segments])[:, None],
        first_days=first_days, first_used=total(cards.installed[list(home)]), threat=threat,
        cover_rule=choose(hoard.HOARD, cover, "rule of cover"),
        allocate=choose(clear.ALLOCATION, allocation, "allocation"))


def pull_of(lam: Array, slope: Array, value: Array, serves: Array, chips: Sequence[str], waiting: Array,
            choose_by: str, size: Array, flow: Array) -> Array:
    """Return the log value of the leading card beside its cost, from what was bought of it at the date. [1] (draw)

    Parameters
    ----------
    value : array (segment, chip, draw)
        Log value of a card in the world as it is.
    serves : array (segment, chip, draw)
        Whether a card serves the segment at all.
    size, flow : arrays (segment, draw), (draw)
        Work that each segment adds in a month, and the part bought in the leading card. [tokens/s]
    """
    there = [c for c, n in enumerate(chips) if n != legal.NEXT]
    tree = (*(DOMESTIC_NEST if chips[c] in DOMESTIC else GREY_NEST if chips[c] == supply.GREY else FOREIGN_NEST
              for c in there), WAIT_NEST)
    nests, likeness = choice.TREES[choose_by](tree, (lam, lam, lam, 1.0))
    steep = np.stack([slope / likeness[nests[i]] for i in range(len(there))])
    weight = np.moveaxis(np.exp(steep * value[:, there]) * serves[:, there], 1, 0)
    weight = np.concatenate([weight, np.broadcast_to(waiting, (1, *weight.shape[1:]))])
    row = there.index(list(chips).index(supply.REFERENCE))
    return choice.revealed_pull(weight, row, size, np.clip(flow / total(size), *REVEALED), steep[row], nests, likeness)


def first_need(given: Given, cards: supply.Cards, rate: Array, segments: Sequence[str], chips: Sequence[str],
               able: Array, count: int, law: str) -> Need:
    """Return the need for so many months, anchored in the cards that stood and were bought at the date."""
    held = supply.installed_by_segment(given, cards, segments, chips)
    idle = own_rows(given, segments, "idle_share", 0.0)
    bought = supply.bought_work(given, supply.mean_rate(rate, held), able, chips, best_quarter(given) / 3)
    usual = cards.rate[chips.index("ascend-910b")]
    return need_of(given, segments, count, over_chips(held, rate), idle, usual, flow=bought, law=law)


def already_ahead(need: Need, lookahead: int) -> Need:
    """Return the need less what the cards of the date were bought ahead for.

    Who orders some months ahead holds at any date what those months will need, but for the last of them; else a run
    would begin by buying a pipeline that stood already.
    """
    if lookahead < 2:
        return need
    held_for = np.maximum(need.work[:, lookahead - 1] - need.work[:, 0], 0.0)
    work = np.maximum(need.work - held_for[:, None], LEAST_NEED * need.work)
    return replace(need, work=work)


LEAST_NEED = 0.5
"""Part of the need that cards bought ahead never stand for. [1]"""


def own_rows(given: Given, segments: Sequence[str], name: str, without: float) -> Array:
    """Return a row of each segment, and a stand-in for segments that have none. (segment, draw)"""
    return np.stack([given[f"{s}.{name}"] if f"{s}.{name}" in given else np.full(given.draws, without)
                     for s in segments])


def lags(given: Given, segments: Sequence[str]) -> Array:
    """Return the delay from a threat to a belief. [months] (segment, draw)"""
    return np.stack([given.first(f"{s}.hazard_lag_months", "small_segments.hazard_lag_months") for s in segments])


def first_state(world: World) -> State:
    """Return the state at the date: cards held, nothing on order, beliefs as old as the last threat."""
    given, chips = world.given, world.chips
    held = supply.installed_by_segment(given, world.cards, world.segments, chips)
    lag = lags(given, world.segments)
    heard = gates.perceived_hazard(np.zeros_like(lag), np.broadcast_to(world.paths.threat[0], lag.shape), lag,
                                   first=gates.threat_age_months(given))
    flat, wide = (len(chips), given.draws), np.zeros_like(lag)
    gated = list(world.gated)
    return State(installed=held, backlog=np.zeros_like(held), under_way=np.zeros_like(held[:, gated]),
                 shelf=supply.vendor_stock(given, chips), growth=np.ones(given.draws), belief=heard,
                 premium=np.zeros(flat), scarcity=np.zeros(flat), wallet=wide.copy(), lead_days=np.zeros(flat),
                 domestic_used=world.first_used.copy(), leased=wide.copy(), have=over_chips(held, world.rate),
                 coming=wide.copy(), level=np.asarray(world.paths.us[world.lead, 0] > 0, dtype=float),
                 door=(world.paths.us[gated, 0] * world.paths.cn[gated, 0]).copy())


def over_chips(cells: Array, weight: Array) -> Array:
    """Return the sum over chips of cells (segment, chip, draw) times weights, added in order.

    Weights are (chip, draw), or (segment, chip, draw).
    """
    by_chip = weight if weight.ndim == 2 else np.moveaxis(weight, 1, 0)
    out: Array = cells[:, 0] * by_chip[0]
    part = np.empty_like(out)
    for c in range(1, by_chip.shape[0]):
        np.multiply(cells[:, c], by_chip[c], out=part)
        out += part
    return out
