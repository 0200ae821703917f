"""The market, month by month: gates, beliefs, need, cover, choice, orders, supply, allocation, price, service.

One month is `month_of`, written once for any number of draws; nothing in it mixes draws, so a run of one draw
is the oracle of a run of thousands. Shocks come from named streams by calendar month: neither the horizon nor
a switch moves a draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.fab.record import Line
from chipcast.market import choice, clear, gates, hoard, legal, supply
from chipcast.market.clear import total
from chipcast.market.demand import Need, need_of
from chipcast.market.filed import best_quarter
from chipcast.market.gates import Event, Gates
from chipcast.market.record import CHIPS, DOMESTIC, Market
from chipcast.rules.record import Verdicts
from chipcast.tokens.record import Service

TINY = 1e-9
"""Keeps quotients finite where nothing is asked for."""

DAYS_PER_MONTH = 30.4375
"""Mean length of a month. [days]"""

FOREIGN_NEST, DOMESTIC_NEST, GREY_NEST, WAIT_NEST = range(4)
"""Nests of the choice."""

SMALL = ("state_funded", "public_centre", "private", "clinic_school")
"""Segments that sellers serve after the large ones."""


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
    permit: Array
    """What rules in force at both gates let through. [1] (month, segment, chip, draw)"""
    us_widest: Array
    """What US rules let through for the least bound segment. [1] (month, chip, draw)"""
    cn_widest: Array
    """What Chinese rules let through for the least bound segment. [1] (month, chip, draw)"""
    floor: Array
    """Least domestic share of what is bought. [1] (month, segment, draw)"""
    capacity: Array
    """What each seller can finish. [cards/month] (chip, month, draw)"""
    from_line: Array
    """1 for chips whose output the domestic line decides. (chip)"""
    gated: Array
    """1 for foreign chips that come through both gates. (chip)"""
    domestic: Array
    """1 for chips of Chinese vendors. (chip)"""
    grey: Array
    """1 for chips that come by the grey door. (chip)"""
    nests: tuple[int, ...]
    """Nest of each chip, and of waiting at the end."""
    bonus: Array
    """Log value added to domestic cards. [1] (segment, draw)"""
    lag: Array
    """Delay from a threat to a belief. [months] (segment, draw)"""
    phi: Array
    """Share of the best cover that a segment builds. [1] (segment, draw)"""
    budget: Array
    """Budget for systems. [USD/month] (segment, draw)"""
    priority: Array
    """Fill relative to the first served. [1] (segment, 1, draw)"""
    threat: bool
    """Whether buyers fear a closing."""
    cover_rule: Callable[..., Array]
    """Entry of `HOARD`."""
    allocate: Callable[..., Array]
    """Entry of `ALLOCATION`."""
    choose: Callable[..., tuple[Array, Array]]
    """Entry of `CHOICE`."""


@dataclass(kw_only=True, slots=True)
class State:
    """What one month hands to the next."""

    installed: Array
    """Cards held by buyers, stock included. [cards] (segment, chip, draw)"""
    backlog: Array
    """Cards ordered and not delivered. [cards] (segment, chip, draw)"""
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


FIELDS = ("need", "orders", "deliveries", "stocks", "installed")
"""Results by segment and chip."""


def simulate(given: Given, line: Line, verdicts: Verdicts, service: Service, *, months: Sequence[str],
             threat: bool = True, controls: bool = True, local_push: bool = True, events: Sequence[Event] = (),
             gate: str = "two_key", cover: str = "cutoff", allocation: str = "proportional",
             choose_by: str = "nested_logit", demand: str = "local_trend") -> Market:
    """Run the market for one block of draws.

    Parameters
    ----------
    given : Given
        Numbers of the run, for the draws of `line` and `service`.
    line, verdicts, service : records
        What `fab`, `rules` and `tokens` give.
    months : sequence of str
        Calendar months, the first that of `given.as_of`.
    threat : bool
        False removes the hazard of both gates, true and perceived.
    controls : bool
        False opens the US gate for all chips, those denied today included, and removes its threats.
    local_push : bool
        False removes bonuses, goals, quotas and guidance in favour of domestic cards.
    events : sequence
        Dated overrides of the gates.
    gate, cover, allocation, choose_by, demand : str
        Entries of `GATES`, `HOARD`, `ALLOCATION`, `CHOICE`, `DEMAND`.

    Raises
    ------
    InputError
        If the months are empty, or a record lacks a month or a buyer class.
    """
    require(len(months) > 0, "months", "hold at least one month", len(months))
    missing = [m for m in months if m not in line.months]
    require(not missing, "the line", "cover every month of the market", f"none for {', '.join(missing[:3])}")
    world = world_of(given, line, verdicts, service, tuple(months), threat=threat, controls=controls,
                     local_push=local_push, events=events, gate=gate, cover=cover, allocation=allocation,
                     choose_by=choose_by, demand=demand)
    state = first_state(world)
    S, C, M, D = len(world.segments), len(world.chips), len(months), given.draws
    out = {name: np.empty((S, C, M, D), dtype=np.float32) for name in FIELDS}
    by_chip = {name: np.empty((C, M, D), dtype=np.float32)
               for name in ("price_usd", "fill", "lead_time_days", "us_open", "cn_open")}
    by_segment = {name: np.empty((S, M, D), dtype=np.float32)
                  for name in ("cover_months", "useful_tokens", "unserved_tokens")}
    shares = {name: np.empty((M, D), dtype=np.float32) for name in ("domestic_share_cards", "domestic_share_tokens")}
    products = [world.chips.index(p) for p in line.products]
    line_orders = np.empty((len(products), M, D))
    books = Books(state)
    for m in range(M):
        step = month_of(world, state, m)
        books.enter(step, state)
        for name in FIELDS:
            out[name][:, :, m] = step[name]
        for name in (*by_chip, *by_segment):
            (by_chip | by_segment)[name][:, m] = step[name]
        for name in shares:
            shares[name][m] = step[name]
        line_orders[:, m] = total(step["orders"])[products]
    results: dict[str, Any] = {**out, **by_chip, **by_segment, **shares}
    return Market(months=tuple(months), segments=world.segments, chips=world.chips, line_orders=line_orders,
                  books=books.close(state), threat=heard_threat(world.paths), **results)


def heard_threat(paths: Gates) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the threat that everyone hears of: its level, or 1 while a closing is announced. [1] (month, draw)"""
    return np.maximum(paths.threat, paths.announced).astype(np.float32)


def world_of(given: Given, line: Line, verdicts: Verdicts, service: Service, months: tuple[str, ...], *,
             threat: bool, controls: bool, local_push: bool, events: Sequence[Event], gate: str = "two_key",
             cover: str = "cutoff", allocation: str = "proportional", choose_by: str = "nested_logit",
             demand: str = "local_trend") -> World:
    """Gather all that does not change from month to month."""
    segments, chips = verdicts.segments, CHIPS
    lookahead = round(given.middle("market.order_lookahead_months"))
    cards = supply.cards_of(given, service, chips)
    held = supply.installed_by_segment(given, cards, segments, chips)
    idle = np.stack([given[f"{s}.idle_share"] if f"{s}.idle_share" in given else np.zeros(given.draws)
                     for s in segments])
    base_work = over_chips(held, cards.rate)
    usual = cards.rate[chips.index("ascend-910b")]
    able = supply.capacity(given, line, chips, months, controls=controls)
    bought = supply.bought_work(given, cards.rate, able[:, 0], chips, best_quarter(given) / 3)
    need = need_of(given, segments, len(months) + lookahead + 1, base_work, idle, usual, flow=bought, law=demand)
    domestic = np.array([c in DOMESTIC for c in chips], dtype=float)
    grey = np.array([c == supply.GREY and controls for c in chips], dtype=float)
    gated = (1 - domestic) * (1 - grey)
    slack = legal.slack_of(given, verdicts, chips)
    paths = choose(gates.GATES, gate, "gate")(given, chips, months, slack, gated, threat=threat, controls=controls,
                                              events=events, shut_at_start=legal.letters(verdicts, chips, months))
    us, cn = legal.permits(given, verdicts, segments, chips, months, controls=controls, local_push=local_push)
    nests = tuple(DOMESTIC_NEST if d else GREY_NEST if g else FOREIGN_NEST for d, g in zip(domestic, grey, strict=True))
    zeros = np.zeros(given.draws)
    return World(
        given=given, segments=segments, chips=chips, cards=cards, need=need, lookahead=lookahead, paths=paths,
        permit=us * cn, us_widest=us.max(axis=1), cn_widest=cn.max(axis=1),
        floor=legal.domestic_floor(given, verdicts, segments, months, local_push=local_push),
        capacity=able,
        from_line=np.array([c in line.products for c in chips], dtype=float), gated=gated, domestic=domestic, grey=grey,
        nests=(*nests, WAIT_NEST),
        bonus=np.stack([given.first(f"{s}.domestic_bonus_ln", "market.domestic_bonus_ln") if local_push else zeros
                        for s in segments]),
        lag=np.stack([given.first(f"{s}.hazard_lag_months", "small_segments.hazard_lag_months") for s in segments]),
        phi=np.stack([given[f"{s}.cover_share_phi"] for s in segments]),
        budget=np.stack([given[f"{s}.budget_usd_per_quarter"] / 3 for s in segments]),
        priority=np.stack([given["allocation.small_buyer_fill_ratio"] if s in SMALL else np.ones(given.draws)
                           for s in segments])[:, None],
        threat=threat, cover_rule=choose(hoard.HOARD, cover, "rule of cover"),
        allocate=choose(clear.ALLOCATION, allocation, "allocation"), choose=choose(choice.CHOICE, choose_by, "choice"))


def first_state(world: World) -> State:
    """Return the state at the date: cards held, nothing on order, beliefs as old as the last threat."""
    given, chips = world.given, world.chips
    held = supply.installed_by_segment(given, world.cards, world.segments, chips)
    age = gates.threat_age_months(given)
    heard = gates.perceived_hazard(np.zeros_like(world.lag), np.broadcast_to(world.paths.threat[0], world.lag.shape),
                                   world.lag, first=age)
    draws = given.draws
    flat = (len(chips), draws)
    return State(installed=held, backlog=np.zeros_like(held), shelf=supply.vendor_stock(given, chips),
                 growth=np.ones(draws), belief=heard, premium=np.zeros(flat), scarcity=np.zeros(flat),
                 wallet=np.zeros_like(world.budget), lead_days=np.zeros(flat),
                 domestic_used=total(total(held) * world.domestic[:, None]))


def month_of(world: World, state: State, m: int) -> dict[str, Array]:
    """Move the state by one month in the order of `docs/method.md` and return what a reader would ask for."""
    given, cards, need = world.given, world.cards, world.need
    rate, safe_rate = cards.rate, np.maximum(cards.rate, TINY)
    gated, domestic = world.gated[:, None], world.domestic[:, None]

    # 1 gates: what the rules and both gates let through
    us, cn = world.paths.us[:, m], world.paths.cn[:, m]
    door = us * cn
    permit = world.permit[m] * (door > 0)

    # 2 beliefs: lagged by segment; an announced closing is certain
    state.belief = gates.perceived_hazard(state.belief, world.paths.threat[m], world.lag)
    if world.threat:
        base = given["us_gate.closing_hazard_base_per_month"]
        after = given["us_gate.closing_hazard_after_threat_per_month"]
        feared = base * (world.paths.us_hazard[m] > 0) + state.belief * np.maximum(after - base, 0.0)
        hazard = 1 - (1 - np.minimum(feared, 1.0)) * (1 - world.paths.cn_hazard)
        hazard = np.maximum(hazard, world.paths.announced[m])
    else:
        hazard = np.zeros_like(state.belief)

    # 3 need, 4 target: work wanted some months ahead, and cover in months of additions
    cover = world.phi * world.cover_rule(hazard, 1.0, given["market.shortage_cost_ratio"],
                                         given["market.holding_cost_per_month"], given["market.carrying_rate_per_year"])
    have = over_chips(state.installed, rate)
    ahead = need.work[:, m + world.lookahead]

    # 5 choice: value of a card by cost per useful token, waiting, porting and what is allowed
    price = cards.price_usd * given["market.list_price_ratio_per_year"] ** (m / 12) * (1 + state.premium)
    log_cost = np.log(cards.usd_per_h / safe_rate * (price / cards.price_usd))
    log_cost = log_cost + given["market.carrying_rate_per_year"] * state.lead_days / 365.25
    learnt = clear.wright(np.maximum(state.domestic_used / np.maximum(_first_used(world), 1.0), 1.0),
                          given["choice.porting_learning_rate"])
    log_cost = log_cost + domestic * given["choice.porting_cost_ln"] * learnt
    sold = (rate > 0) & (world.grey[:, None] == 0)  # waiting is measured against what sellers offer openly
    cheapest = np.log(np.where(sold, cards.usd_per_h / safe_rate, np.inf).min(axis=0))
    slope = given["choice.cost_sensitivity"]
    shares = shares_of(world, -slope * (log_cost - cheapest), slope, permit, (rate > 0).astype(float), m)
    inside = np.maximum(total(shares[:-1] * world.gated[:, None, None]), TINY)  # foreign, as a share of all

    # 6 orders join the backlog, inflated where rationing is expected; what is no longer wanted is cancelled
    # a hoard is kept while it is wanted: it fills no need until fear or the foreign door is gone
    bought = np.maximum(1 - shares[-1], TINY)
    cover_work = cover * need.additions[:, m] * inside / bought
    kept = np.minimum(np.maximum(have - need.work[:, m], 0.0), cover_work)
    gap = np.maximum(ahead - (have - kept), 0.0)
    cover_gap = np.maximum(cover_work - kept - np.maximum(have - kept - ahead, 0.0), 0.0)
    shares = within_grey_flow(world, shares, gap, safe_rate, m)
    per_card = np.moveaxis(shares[:-1], 0, 1) / safe_rate
    wanted = per_card * gap[:, None]
    hoard_of = cover_gap / inside
    both = wanted.copy()
    for c in np.flatnonzero(world.gated):
        both[:, c] += per_card[:, c] * hoard_of
    cost = over_chips(both, cards.system_usd)
    allowance = np.maximum(state.wallet + world.budget * (1 + 3 * given["market.budget_commit_quarters"]), 0.0)
    scale = np.minimum(1.0, allowance / np.maximum(cost, TINY))[:, None]
    both *= scale
    inflation = 1 + (given["allocation.order_inflation"] - 1) * state.scarcity
    backlog = both * np.maximum(inflation, 1.0)
    change = backlog - state.backlog
    orders = np.maximum(change, 0.0)
    cancelled = np.subtract(orders, change, out=change)

    # 7 supply: the line gives what it packaged; others make what is asked for, up to capacity
    asked = total(backlog)
    made = production(world, state, asked, door, m)

    # 8 allocation and shipment: both gates open for a share of the month
    ready = (state.shelf + made) * np.where(gated > 0, door, 1.0)
    supply_now = np.minimum(ready, asked)
    delivered = world.allocate(backlog, supply_now, world.priority)
    shipped = total(delivered)

    # 9 price and lead time: list is sticky, the street premium follows what stays unfilled
    truly = total(both)
    unfilled = np.maximum(1 - shipped / np.maximum(truly, TINY), 0.0) * (truly > 0)
    asks = clear.grey_premium(unfilled, given["grey.premium_max"], given["grey.premium_kappa"])
    state.premium = state.premium + (asks - state.premium) * -np.expm1(-1 / given["market.price_adjust_months"])
    state.scarcity = unfilled
    first_days = np.stack([given.first(f"{c}.lead_time_days", "ascend-910b2.lead_time_days") for c in world.chips])
    state.lead_days = clear.lead_time_days(first_days, asked - shipped, np.maximum(made, shipped))

    # 10 service, 11 learning
    retired = state.installed * (given["market.retirement_per_year"] / 12)
    installed = state.installed - retired
    installed += delivered
    have = over_chips(installed, rate)
    serving = np.minimum(1.0, have / np.maximum(need.work[:, m], TINY))
    tokens = need.tokens[:, m] * DAYS_PER_MONTH
    useful = tokens * serving
    state.domestic_used = state.domestic_used + total(shipped * domestic)
    state.wallet = np.minimum(state.wallet + world.budget - over_chips(delivered, cards.system_usd), 0.0)
    result = {
        "need": wanted, "orders": orders, "deliveries": delivered,
        "stocks": stocks_of(world, installed, have, need.work[:, m]), "installed": installed, "cover_months": cover,
        "price_usd": price, "fill": np.minimum(shipped / np.maximum(truly, TINY), 1.0) * (truly > 0),
        "lead_time_days": state.lead_days, "us_open": us * world.us_widest[m],
        "cn_open": cn * world.cn_widest[m], "useful_tokens": useful, "unserved_tokens": tokens - useful,
        "domestic_share_cards": total(shipped * domestic) / np.maximum(total(shipped), TINY),
        "domestic_share_tokens": (total(over_chips(installed, rate * domestic))
                                  / np.maximum(total(have), TINY)),
        "cancelled": cancelled, "retired": retired, "made": made, "supply": supply_now, "tokens": tokens,
    }
    state.installed, state.backlog, state.shelf = installed, backlog - delivered, state.shelf + made - shipped
    return result


def over_chips(cells: Array, weight: Array) -> Array:
    """Return the sum over chips of cells (segment, chip, draw) times weights (chip, draw), added in order."""
    out: Array = cells[:, 0] * weight[0]
    for c in range(1, weight.shape[0]):
        out += cells[:, c] * weight[c]
    return out


def shares_of(world: World, value: Array, slope: Array, permit: Array, serves: Array, m: int) -> Array:
    """Return what share of a segment's gap goes to each chip, and to waiting at the end. (chip + 1, segment, draw)

    Domestic cards get the segment's bonus; a floor on domestic cards is a constraint after the choice.
    """
    given = world.given
    C = len(world.chips)
    S, D = world.bonus.shape
    values = np.empty((C + 1, S, D))
    values[:C] = value[:, None] + world.domestic[:, None, None] * (slope * world.bonus)
    values[C] = -slope * np.log(given["market.shortage_cost_ratio"])
    allowed = np.empty((C + 1, S, D))
    allowed[:C] = np.moveaxis(permit, 1, 0) * serves[:, None]
    allowed[C] = 1.0
    likeness = given["choice.nest_lambda"]
    shares, _ = world.choose(values, world.nests, (likeness, likeness, likeness, 1.0), allowed)
    group = np.append(world.domestic, 0.0)
    return choice.at_least(shares, group, world.floor[m], C)


def within_grey_flow(world: World, shares: Array, gap: Array, rate: Array, m: int) -> Array:
    """Return shares in which the grey door takes no more than its flow until need falls due.

    Nobody queues for years at a door that has no order book: what the flow cannot give goes to the other options,
    waiting included, in proportion.
    """
    out = shares
    for c in np.flatnonzero(world.grey):
        flow = world.capacity[c, m] * world.given["grey.flow_factor_when_closed"] * max(world.lookahead, 1)
        asked = total(out[c] * gap) / rate[c]
        kept = out[c] * np.minimum(1.0, flow / np.maximum(asked, TINY))
        rest = (1 - kept) / np.maximum(1 - out[c], TINY)
        out = out * rest
        out[c] = kept
    return out


def production(world: World, state: State, asked: Array, door: Array, m: int) -> Array:
    """Return the cards that sellers finish in the month, and move the capacity of the leading foreign card.

    The line's output is its own. Others make what the backlog and one month on the shelf ask for; foreign ones only
    while their door is open, and the leading card's capacity answers a long backlog with a delay. The grey flow
    rises when the legal door is shut.
    """
    given = world.given
    cap = world.capacity[:, m].copy()
    lead = world.chips.index("h20-96")
    pressed = asked[lead] > 3 * cap[lead]
    goal = np.where(pressed, given["h20-96.capacity_response_ratio"], 1.0)
    state.growth = np.maximum(state.growth, state.growth + (goal - state.growth)
                              / given["h20-96.capacity_response_months"])
    cap[lead] *= state.growth
    for c in np.flatnonzero(world.grey):
        shut = 1 - door[lead] * world.us_widest[m, lead]
        cap[c] *= 1 + (given["grey.flow_factor_when_closed"] - 1) * shut
    gated = world.gated[:, None]
    shelf_goal = asked + np.where(gated > 0, cap, 0.0) + world.domestic[:, None] * cap
    elastic = np.minimum(cap, np.maximum(shelf_goal - state.shelf, 0.0)) * np.where(gated > 0, door, 1.0)
    return np.where(world.from_line[:, None] > 0, cap, elastic)


def stocks_of(world: World, installed: Array, have: Array, work: Array) -> Array:
    """Return cards held beyond the month's use, counted on foreign cards first: those are what buyers hoard."""
    spare = np.maximum(have - work, 0.0)
    foreign = (1 - world.domestic)[:, None]
    on_foreign = over_chips(installed, world.cards.rate * foreign)
    first = np.minimum(1.0, spare / np.maximum(on_foreign, TINY))
    rest = np.clip((spare - on_foreign) / np.maximum(have - on_foreign, TINY), 0.0, 1.0)
    return np.asarray(installed * (foreign * first[:, None] + (1 - foreign) * rest[:, None]))


def _first_used(world: World) -> Array:
    """Return domestic cards in use at the date. [cards] (draw)"""
    return total(world.cards.installed * world.domestic[:, None])


class Books:
    """Accounts of units, backlog, shelf and tokens, kept beside the state and compared with it at the end."""

    def __init__(self, state: State) -> None:
        """Open the books on the first state."""
        self.installed = state.installed.copy()
        self.backlog = state.backlog.copy()
        self.shelf = state.shelf.copy()
        self.supply = 0.0
        self.tokens = 0.0

    def enter(self, step: dict[str, Array], state: State) -> None:
        """Book one month from its flows alone."""
        self.installed += step["deliveries"]
        self.installed -= step["retired"]
        self.backlog += step["orders"]
        self.backlog -= step["cancelled"]
        self.backlog -= step["deliveries"]
        self.shelf += step["made"]
        shipped = total(step["deliveries"])
        self.shelf -= shipped
        self.supply = max(self.supply, _worst(np.maximum(shipped - step["supply"], 0), step["supply"]))
        self.tokens = max(self.tokens, _worst(step["useful_tokens"] + step["unserved_tokens"] - step["tokens"],
                                              step["tokens"]))

    def close(self, state: State) -> dict[str, float]:
        """Return the largest relative residual of each balance."""
        return {"units": _worst(self.installed - state.installed, state.installed),
                "backlog": _worst(self.backlog - state.backlog, state.backlog),
                "shelf": _worst(self.shelf - state.shelf, state.shelf),
                "supply": self.supply, "tokens": self.tokens,
                "below_zero": max(0.0, -float(min(state.installed.min(), state.backlog.min(), state.shelf.min())))}


def _worst(residual: Array, scale: Array) -> float:
    return float(np.max(np.abs(residual)) / max(float(np.max(np.abs(scale))), 1.0))
