"""From the market's draws to the buyer's program: who may offer what, to which site, within which limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipcast.base.errors import InfeasibleError, InputError
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.market.record import Market
from chipcast.plan import futures
from chipcast.plan.contracts import TO_OWN, Terms, lease, name_of, open_to, rent
from chipcast.plan.labels import Seen
from chipcast.plan.need import Need, quarters_of
from chipcast.plan.ownership import (
    HOURS_PER_MONTH,
    SERVER,
    Owning,
    World,
    first_block,
    hold_cost,
    is_domestic,
    kin,
    month_row,
    own,
    porting_usd,
    rows_of,
    site_kw,
    traded_as,
)
from chipcast.plan.problem import Problem
from chipcast.plan.shortlist import IGNORED, candidates
from chipcast.rules.record import Verdicts
from chipcast.tokens.record import Service


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A buyer's problem on all draws, and what tells its futures apart."""

    problem: Problem
    """The program's numbers on every draw."""
    features: Array
    """What distances between futures are measured on. (draw, feature)"""
    stratum: npt.NDArray[np.int_]
    """Quarter in which the first foreign chip is cut off; the number of quarters if never. (draw)"""
    reopens: npt.NDArray[np.int_]
    """1 where the gates open again after that. (draw)"""
    seen: Seen
    """What a buyer observes when it orders in a quarter, on all draws."""
    causes: dict[str, Array]
    """Named causes for the boxes of failure. (draw)"""
    unit_usd: dict[str, float]
    """Median price of an installed card by chip. [USD]"""
    model: str
    """Name of the model that is served."""
    service_unit: float
    """Tokens a second in one unit of service."""
    seconds: Array
    """Seconds in each quarter of the horizon. [s] (quarter)"""
    left_out: dict[str, str]
    """Chips that cannot be ordered, and why."""
    api_usd: Array | None
    """Discounted cost of serving all need by API, or None without a dated price. [USD] (draw)"""
    names: dict[str, str]
    """Chips and contracts in a reader's words, by id."""
    supply_cards: dict[str, float]
    """Median cards of each chip that all buyers together get in a quarter. [cards]"""
    own: dict[str, str]
    """Chips of the buyer's own that are offered, and the chip whose waits, gates and contracts each shares, by id."""


def case_of(given: Given, need: Need, market: Market, service: Service, verdicts: Verdicts, *,
            serve_share: float = 0.0) -> Case:
    """Return the buyer's problem on all draws of the market.

    Parameters
    ----------
    serve_share : float
        Least share of all tokens needed that a plan must serve, on average over futures. [1]

    Notes
    -----
    Price per card is card x server factor x (1 + network share); resale at the end follows the age of each order.
    Need is generated tokens a second in the busiest hour; missing tokens are counted at the average.
    """
    w = _world(given, need, market, service, verdicts)
    chips, left_out = candidates(given, need, service, verdicts, market.months)
    owning = [own(w, chip) for chip in chips]
    unit_usd = {o.chip: float(np.median(o.price[0])) for o in owning}
    money = float(np.median(list(unit_usd.values())))
    names = {c: name_of(given, c) for c in (*service.chips, *(o.base for o in need.own.values() if o.base))}
    _affordable(w, owning, names)
    _room(w, owning, names)
    sites = need.rooms
    contracts = open_to(given, need.segment)
    terms = _terms(w, owning, contracts, left_out)
    seconds = w.months * HOURS_PER_MONTH * 3600
    api = api_price_usd(given, need.model, need.input_share)
    to_service = seconds[:, None] * w.service_unit / need.peak_to_mean * w.at_middle / 1e6
    by_token = None if api is None or need.offsite_share_max <= 0 else api * to_service
    worth = worth_usd_per_million(given, need, w.need_q, seconds)
    ruled = np.nan_to_num(verdicts.min_domestic_share[
        [month_row(verdicts, market.months[m]) for m in w.first], verdicts.segments.index(need.segment)])
    domestic = np.maximum(ruled, need.min_domestic_share)
    _quota(need, domestic, owning, names)
    need_s = w.need_q / w.service_unit
    power = np.array([site_kw(w, o, s) for s in sites for o in owning])
    problem = Problem(
        quarters=quarters_of(market.months)[0], offers=tuple(t.offer for t in terms), stocks=chips * len(sites),
        weight=np.full(given.draws, 1 / given.draws), order_cost=np.stack([t.cost for t in terms]) / money,
        arrive=np.stack([t.arrive for t in terms]), lead=np.stack([t.lead for t in terms]),
        order_cap=np.stack([t.cap for t in terms]), rate=np.stack([t.rate for t in terms]) / w.service_unit,
        scale=_in_sight(w, terms),
        hold_cost=np.stack([hold_cost(w, o, s) for s in sites for o in owning]) / money,
        final_value=np.zeros((len(chips) * len(sites), given.draws)),
        keep=(1 - given.middle("market.retirement_per_year")) ** 0.25, need=need_s,
        miss_cost=worth * to_service / money, spend=np.stack([t.spend for t in terms]) / money,
        budget=np.array([need.budget_usd / money]), pooled=True,
        site=np.repeat(np.arange(len(sites)), len(chips)),
        power=power if np.isfinite([s.power_kw for s in sites]).any() else None,
        power_limit=np.repeat([[s.power_kw] for s in sites], w.quarters, axis=1),
        space=np.full(len(chips) * len(sites), given.middle("plan.rack_units_per_server") / SERVER),
        space_limit=np.array([s.rack_units for s in sites]),
        resale=np.stack([o.sold_early for _ in sites for o in owning]) / money,
        porting=np.stack([porting_usd(w, t.offer.domestic) for t in terms]) / money,
        untaken_cost=np.stack([t.untaken for t in terms]) / money,
        min_domestic=domestic if (domestic > 0).any() else None, money=money,
        api_cost=None if by_token is None else by_token / money,
        api_spend=None if by_token is None else by_token / w.at_middle / money,
        api_cap=None if by_token is None else need_s * need.offsite_share_max,
        outside_cap=need_s * need.offsite_share_max if 0 < need.offsite_share_max < 1 else None,
        serve_share=serve_share, seconds=seconds)
    all_by_token = None if api is None else (api * to_service * need_s).sum(axis=0)
    got = market.deliveries.sum(axis=0)
    per_quarter = {c: float(np.median(got[market.chips.index(traded_as(need, c))].mean(axis=0))) * 3 for c in chips}
    return Case(problem=problem, features=futures.features(w, owning, worth), stratum=futures.cut_quarter(w, owning),
                reopens=futures.reopening(w, owning), seen=futures.seen(w, owning),
                causes=futures.causes(w, owning, names, worth), unit_usd=unit_usd, model=need.model,
                service_unit=w.service_unit, seconds=seconds, left_out=left_out, api_usd=all_by_token,
                names={**names, **contracts, "api": "by the token"}, supply_cards=per_quarter,
                own={c: kin(need, c) for c in chips if c in need.own})


def _world(given: Given, need: Need, market: Market, service: Service, verdicts: Verdicts) -> World:
    months = market.months
    quarters, per_quarter = quarters_of(months)
    q_of = np.repeat(np.arange(len(quarters)), per_quarter.astype(int))
    first = np.searchsorted(q_of, np.arange(len(quarters)))
    draws = market.price_usd.shape[-1]
    if service.output_tokens_per_s_per_chip.shape[-1] != draws or given.draws != draws:
        raise InputError(f"plan needs market, service and given on the same draws, got {draws}, "
                         f"{service.output_tokens_per_s_per_chip.shape[-1]} and {given.draws}")
    middle = first + (per_quarter - 1) / 2
    rate = given["plan.discount_rate_per_year"]
    need_q = need.peak_tokens_per_s(len(months))[np.rint(middle).astype(int)]
    service_unit = float(np.median(need_q))
    if service_unit <= 0:
        raise InputError("buyer.demand must be above 0 tokens a second; state more users or requests")
    return World(given=given, need=need, market=market, service=service, verdicts=verdicts, first=first, q_of=q_of,
                 months=per_quarter, at_order=(1 + rate) ** -(first[:, None] / 12),
                 at_middle=(1 + rate) ** -(middle[:, None] / 12), need_q=need_q, service_unit=service_unit)


def _affordable(w: World, owning: list[Owning], names: dict[str, str]) -> None:
    """Refuse a budget that buys no deployment."""
    prices = {o.chip: o.block * float(np.median(o.price[0])) for o in owning}
    best = min(owning, key=lambda o: prices[o.chip])
    if prices[best.chip] > w.need.budget_usd:
        raise InfeasibleError(f"no plan fits: the budget of {w.need.budget_usd:,.0f} USD cannot buy the smallest "
                              f"deployment, {best.block:.0f} x {names[best.chip]} for {prices[best.chip]:,.0f} USD; "
                              "raise the budget to that, or rent or use an API")


def _quota(need: Need, share: Array, owning: list[Owning], names: dict[str, str]) -> None:
    """Refuse a domestic share in every quarter where no domestic chip can be bought and nothing is served outside."""
    if need.offsite_share_max > 0 or (share <= 0).any() or any(o.domestic for o in owning):
        return
    bought = ", ".join(names[o.chip] for o in owning)
    raise InfeasibleError(f"no plan fits: {share.min():.0%} of cards must be domestic, but of the chips that "
                          f"{need.name} may and would buy ({bought}) none is; consider a domestic chip, lower "
                          "min_domestic_share where it is your own, or rent or use an API")


def _room(w: World, owning: list[Owning], names: dict[str, str]) -> None:
    """Refuse rooms of which none can take the smallest deployment, where nothing may be served outside."""
    if w.need.offsite_share_max > 0:
        return
    per_card = w.given.middle("plan.rack_units_per_server") / SERVER
    for key, unit in (("power_kw", "kW"), ("rack_units", "rack units")):
        short = [(o.block * (site_kw(w, o, s) if key == "power_kw" else per_card), float(getattr(s, key)), o, s)
                 for o in owning for s in w.need.rooms]
        if all(size > room for size, room, _, _ in short):
            size, room, o, s = min(short, key=lambda x: x[0] - x[1])
            where = f" of {s.name}" if s.name else ""
            raise InfeasibleError(f"no plan fits: {room:,.0f} {unit}{where} cannot run the smallest deployment, "
                                  f"{o.block:.0f} x {names[o.chip]} with {size:,.0f} {unit}; raise {key} to that, "
                                  "or rent or use an API")


def _terms(w: World, owning: list[Owning], contracts: dict[str, str], left_out: dict[str, str]) -> list[Terms]:
    """Return every offer that is open to the buyer: to own at each site, then by the quarter."""
    out: list[Terms] = []
    for name, terms in TO_OWN.items():
        if name not in contracts:
            continue
        for k, site in enumerate(w.need.rooms):
            for c, o in enumerate(owning):
                # The right to cancel is worth something only where a gate may shut.
                if name == "option" and o.domestic:
                    continue
                out.append(terms(w, o, k * len(owning) + c, site))
    if w.need.offsite_share_max > 0 and "rent" in contracts:
        out += [rent(w, o) for o in owning if rows_of(w.given, w.need, o.chip, "rent_usd_per_h")]
    if w.need.offsite_share_max > 0 and "lease" in contracts and w.need.country == "CN":
        abroad = [chip for i, chip in enumerate(w.service.chips)
                  if chip in left_out and left_out[chip] != IGNORED and f"{chip}.rent_usd_per_h" in w.given
                  and first_block(w.service, i) > 0
                  and w.service.feasible[i] > 0 and not is_domestic(w.need, chip)]
        out += [lease(w, chip) for chip in abroad]
        left_out |= {chip: f"{left_out[chip]}; it is offered as a lease abroad only" for chip in abroad}
    return out


def _in_sight(w: World, terms: list[Terms]) -> Array:
    """Return what later orders are shares of, by what can be seen when they are placed. (offer, quarter, draw)

    Notes
    -----
    The cards that would serve all need, by the need of the quarter before and the speed on trial, times how well the
    chip does among its kind (own or by the quarter): (lowest quote per token / its own)^`PREFERENCE`. A chip that is
    seen to keep no promise is not ordered at all.
    """
    before = np.maximum(np.arange(w.quarters) - 1, 0)
    rate = np.stack([t.rate[before] for t in terms])
    works = rate > 0
    safe = np.where(works, rate, 1.0)
    per_token = np.where(works, np.stack([t.quote[before] for t in terms]) / safe, np.inf)
    out = np.where(works, w.need_q[before] / safe, 0.0)
    for kind in (True, False):
        at = [i for i, t in enumerate(terms) if (t.offer.stock >= 0) == kind]
        if at:
            best = np.where(works[at].any(axis=0), per_token[at].min(axis=0), 0.0)
            out[at] *= np.where(works[at], best / np.where(works[at], per_token[at], 1.0), 0.0) ** PREFERENCE
    cap = np.stack([t.cap for t in terms])
    return np.where(cap > 0, np.minimum(out, cap.max(axis=(1, 2), keepdims=True)), 0.0)


PREFERENCE = 2.0
"""How fast later orders of a chip fade as another serves a token for less."""


def worth_usd_per_million(given: Given, need: Need, need_q: Array, seconds: Array) -> Array:
    """Return the value of a million generated tokens that are missing. [USD/1e6 tokens] (draw)

    Notes
    -----
    What the buyer states; else the larger of the segment's range and a part of the budget over all tokens needed
    in the horizon: who sets money aside for a service shows what it is worth.
    """
    stated = need.shortage_usd_per_million_tokens
    if "buyer.shortage_usd_per_million_tokens" in given:
        return stated
    tokens = float(np.median((need_q / need.peak_to_mean * seconds[:, None]).sum(axis=0)))
    out: Array = np.maximum(stated, given["plan.service_worth_of_budget"] * need.budget_usd / (tokens / 1e6))
    return out


def api_price_usd(given: Given, model: str, input_share: Array | float = 0.0) -> Array | None:
    """Return the price of a million generated tokens at an API, their prompts included, or None. [USD/1e6 tokens]

    Notes
    -----
    The buyer's own quote, or the last known list price of the model; prompts are billed at a part of it.
    """
    if "buyer.api_usd_per_million_tokens" in given:
        list_price = given["buyer.api_usd_per_million_tokens"]
    else:
        key = "api_output_" + model.lower().replace("-", "_") + "_cny"
        rows = [r for r in given.catalog.rows("history") if r["series"] == key]
        if not rows:
            return None
        list_price = float(max(rows, key=lambda r: r["date"])["value"]) / given["ownership.cny_per_usd"]
    share = np.minimum(input_share, 0.999)
    price: Array = list_price * (1 + given["plan.api_prompt_price_ratio"] * share / (1 - share))
    return price
