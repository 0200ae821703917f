"""What a month of the market starts from: all that stays from month to month."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from chipcast.base.calendar import DAYS_PER_MONTH
from chipcast.base.choose import choose
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric
from chipcast.fab.record import Line
from chipcast.market import choice, clear, gates, hoard, legal, shocks, supply
from chipcast.market.budget import budgets
from chipcast.market.demand import Need, need_of
from chipcast.market.filed import best_quarter
from chipcast.market.gates import Event, Gates
from chipcast.market.legal import Permits
from chipcast.market.outside import Outside, Pace, outside_of, pace_of
from chipcast.market.record import CHIPS, DOMESTIC, NEXT
from chipcast.market.sums import over_chips, total
from chipcast.rules.record import Verdicts
from chipcast.tokens.record import Service

TINY = 1e-9
"""Keeps quotients finite where nothing is asked for."""

ARRANGED = tuple(sorted(CHIPS, key=lambda c: (c in DOMESTIC, c == supply.GREY)))
"""Chips as months work on them: foreign ones that pass the gates, then the grey one, then domestic ones, so that each
group is one slice."""

FOREIGN, GREY, HOME, WAIT = range(4)
"""Groups of options, and with the nested logit its nests."""

SMALL = ("state_funded", "public_centre", "private", "clinic_school")
"""Segments that sellers serve after the large ones."""

REVEALED = (0.02, 0.95)
"""Shares outside of which what was bought says nothing of a choice. [1]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """All that does not change from month to month, for one block of draws."""

    given: Given
    """Numbers of the run."""
    segments: tuple[str, ...]
    """Buyer classes. (segment)"""
    chips: tuple[str, ...]
    """Chips traded, in the order of `ARRANGED`. (chip)"""
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
    outside: Outside
    """Doors, capacities and prices that no buyer moves."""
    pace: Pace
    """How fast things go from month to month."""
    floor: Array
    """Least domestic share of what is bought. [1] (month, segment, draw)"""
    any_floor: tuple[bool, ...]
    """Whether there is such a share for any segment. (month)"""
    capacity: Array
    """What each seller can finish by itself. [cards/month] (chip, month, draw)"""
    following: Array
    """How far the next foreign card has ramped up, 0 before its offer. [1] (month, draw)"""
    lead: int
    """Place of the leading foreign card."""
    gated: slice
    """Places of foreign cards that come through both gates."""
    grey: slice
    """Places of chips that come by the grey door."""
    home: slice
    """Places of chips of Chinese vendors."""
    from_line: tuple[int, ...]
    """Places of chips whose output the domestic line decides."""
    nests: tuple[int, ...]
    """Nest of each group of options: foreign, grey, domestic, waiting."""
    likeness: tuple[Numeric, ...]
    """Likeness inside each nest. [1]"""
    steep: Array
    """Slope of the choice over the likeness of a chip's nest. [1] (chip, draw)"""
    log_weight: Array
    """Log weight of a card by its cost for a token at list prices of the date, 0 for the cheapest that is sold openly.
    [1] (chip, draw)"""
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
    plugged: slice
    """Places of segments from the first to the last whose power is bounded."""
    power_cards: Array
    """Cards that these can connect, infinite where no row says so. [cards/month] (segment of `plugged`, draw)"""
    abroad: Array
    """Part of unmet work that may run abroad. [1] (segment, draw)"""
    ranks: tuple[slice, ...]
    """Segments that are served alike, the first served first."""
    priority: Array
    """Fill relative to the first served. [1] (segment, 1, draw)"""
    first_days: Array
    """Days of handling from order to delivery. [days] (chip, draw)"""
    first_used: Array
    """Domestic cards in use at the date. [cards] (draw)"""
    threat: bool
    """Whether buyers fear a closing."""
    granted: Array
    """Chance that an order of the leading card passes where licences decide, 1 elsewhere. [1] (month, segment, draw)"""
    cover_rule: Callable[..., Array]
    """Entry of `HOARD`."""
    allocate: Callable[..., Array]
    """Entry of `ALLOCATION`."""

    @property
    def groups(self) -> tuple[slice, slice, slice]:
        """Places of the chips of each group, `FOREIGN`, `GREY` and `HOME`."""
        return self.gated, self.grey, self.home


def world_of(given: Given, line: Line, verdicts: Verdicts, service: Service, months: tuple[str, ...], *,
             threat: bool, controls: bool, local_push: bool, events: Sequence[Event], gate: str = "two_key",
             cover: str = "markov", allocation: str = "proportional", choose_by: str = "nested_logit",
             demand: str = "local_trend", speed: Mapping[str, Mapping[str, float]] | None = None,
             line_as_is: Line | None = None) -> World:
    """Gather all that does not change from month to month.

    What was bought and liked at the date is a fact, the same in every counterfactual: need and the pull of the leading
    card come from the world as it is, `line_as_is` with controls and the local push.
    """
    segments, chips = verdicts.segments, ARRANGED
    ones = np.ones(given.draws)
    lookahead = round(given.middle("market.order_lookahead_months"))
    cards = supply.cards_of(given, service, chips)
    last = chips.index(supply.GREY)
    gated, home = slice(0, last if controls else last + 1), slice(last + 1, len(chips))
    grey = slice(gated.stop, home.start)
    lead = chips.index(supply.REFERENCE)
    foreign = (np.arange(len(chips)) < gated.stop).astype(float)
    paths = choose(gates.GATES, gate, "gate")(
        given, chips, months, legal.slack_of(given, verdicts, chips), foreign, threat=threat, controls=controls,
        events=events, shut_at_start=legal.letters(verdicts, chips, months))
    following = supply.next_on_offer(given, paths.us[lead], events, months, NEXT)
    able = supply.capacity(given, line, chips, months, controls=controls)
    able[chips.index(NEXT)] *= following
    from_line = tuple(c for c, n in enumerate(chips) if n in line.products)
    able[list(from_line)] *= shocks.line_factor(given, events, months)
    rate = supply.rate_by_segment(cards, segments, chips, speed)
    as_is = supply.capacity(given, line_as_is or line, chips, months[:1], controls=True)[:, 0]
    as_is[chips.index(NEXT)] = 0.0
    need = first_need(given, cards, rate, segments, chips, as_is, len(months) + lookahead + 1, demand)
    need = already_ahead(need, lookahead)
    need = shocks.need_with(need, events, segments, months)
    floor = shocks.floor_with(legal.domestic_floor(given, verdicts, segments, months, local_push=local_push), events,
                              segments, months)
    lam = given["choice.nest_lambda"]
    nests, likeness = choice.TREES[choose_by]((FOREIGN, GREY, HOME, WAIT), (lam, lam, lam, 1.0))
    slope = given["choice.cost_sensitivity"]
    group = [FOREIGN] * gated.stop + [GREY] * (grey.stop - grey.start) + [HOME] * (home.stop - home.start)
    steep = np.stack([slope / likeness[nests[g]] for g in group])
    bonus = np.stack([given.first(f"{s}.domestic_bonus_ln", "market.domestic_bonus_ln") for s in segments])
    log_cost = np.log(cards.usd_per_h / np.maximum(cards.rate, TINY))
    open_sale = [c for c, n in enumerate(chips) if n not in (supply.GREY, NEXT)]
    cheapest = np.where(cards.rate[open_sale] > 0, log_cost[open_sale], np.inf).min(axis=0)
    # a card that is faster under a segment's promise costs it less, and waiting is measured against its own cheapest
    faster = np.log(np.maximum(rate, TINY) / np.maximum(cards.rate, TINY))
    own = np.where(rate[:, open_sale] > 0, (log_cost - faster)[:, open_sale], np.inf).min(axis=1)
    advantage = faster + (own - cheapest)[:, None]
    taste = np.exp(steep * advantage) * (rate > 0)
    if local_push:
        taste[:, home] *= np.exp(steep[home] * bonus[:, None])
    waiting = given["market.shortage_cost_ratio"] ** (-slope / likeness[nests[-1]])
    held = supply.installed_by_segment(given, cards, segments, chips)
    flow = best_quarter(given) / 3 * supply.mean_rate(rate, held)[lead]
    porting = np.zeros_like(rate)
    porting[:, home] = bonus[:, None] - given["choice.porting_cost_ln"]
    pull = pull_of(lam, slope, advantage + porting - (log_cost - cheapest), np.asarray(rate > 0, dtype=float), chips,
                   waiting, choose_by, need.additions[:, 0], flow)
    taste[:, lead] *= np.exp(steep[lead] * pull)
    phi = np.stack([given[f"{s}.cover_share_phi"] for s in segments])
    first_days = np.stack([given.first(f"{c}.lead_time_days", "ascend-910b2.lead_time_days") for c in chips])
    ratio, holding = given["market.shortage_cost_ratio"], given["market.holding_cost_per_month"]
    permits = legal.permits(given, verdicts, segments, chips, months, controls=controls, local_push=local_push)
    small = [s in SMALL for s in segments]
    edges = [0, *(i for i in range(1, len(small)) if small[i] != small[i - 1]), len(small)]
    bounded = [i for i, s in enumerate(segments) if f"{s}.power_mw_per_quarter" in given] or [-1]
    plugged = slice(bounded[0], bounded[-1] + 1)
    return World(
        given=given, segments=segments, chips=chips, cards=cards, need=need, lookahead=lookahead, paths=paths,
        permits=permits, pace=pace_of(given), floor=floor,
        any_floor=tuple(np.asarray((floor > 0).any(axis=(1, 2))).tolist()),
        outside=outside_of(given, chips, paths, permits, able, following, cards.price_usd, lead=lead, gated=gated,
                           grey=grey),
        capacity=able, following=following, lead=lead, gated=gated, home=home, grey=grey, from_line=from_line,
        nests=nests, likeness=likeness, steep=steep, log_weight=-steep * (log_cost - cheapest), taste=taste,
        waiting=waiting, pull=pull, rate=rate, per_rate=1 / np.maximum(rate, TINY),
        idle=own_rows(given, segments, "idle_share", 0.0),
        safety=phi * hoard.safety_months(1.0, ratio, holding, given["market.carrying_rate_per_year"],
                                         given["market.demand_cv_per_month"], first_days[lead] / DAYS_PER_MONTH),
        follow=-np.expm1(-1 / lags(given, segments)), phi=phi,
        budget=budgets(given, segments),
        plugged=plugged, power_cards=own_rows(given, segments[plugged], "power_mw_per_quarter", np.inf)
        * (1000 / 3 / given["market.kw_per_card"]),
        abroad=own_rows(given, segments, "overseas_access_share", 0.0),
        ranks=tuple(slice(a, b) for a, b in pairwise(edges)),
        priority=np.stack([given["allocation.small_buyer_fill_ratio"] if few else ones for few in small])[:, None],
        first_days=first_days, first_used=total(cards.installed[home]), threat=threat,
        granted=permits.granted(paths.us_end, lead), cover_rule=choose(hoard.HOARD, cover, "rule of cover"),
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
    there = [c for c, n in enumerate(chips) if n != NEXT]
    tree = (*(HOME if chips[c] in DOMESTIC else GREY if chips[c] == supply.GREY else FOREIGN for c in there), WAIT)
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
    work = np.empty_like(need.work)
    for old, new in zip(need.work, work, strict=True):
        held_for = np.maximum(old[lookahead - 1] - old[0], 0.0)
        np.maximum(old - held_for, LEAST_NEED * old, out=new)
    return replace(need, work=work)


LEAST_NEED = 0.5
"""Part of the need that cards bought ahead never stand for. [1]"""


def own_rows(given: Given, segments: Sequence[str], name: str, without: float) -> Array:
    """Return a row of each segment, and a stand-in for segments that have none. (segment, draw)"""
    rows = [given[f"{s}.{name}"] if f"{s}.{name}" in given else np.full(given.draws, without) for s in segments]
    return np.stack(rows) if rows else np.empty((0, given.draws))


def lags(given: Given, segments: Sequence[str]) -> Array:
    """Return the delay from a threat to a belief. [months] (segment, draw)"""
    return np.stack([given.first(f"{s}.hazard_lag_months", "small_segments.hazard_lag_months") for s in segments])
