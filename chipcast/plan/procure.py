"""From the market's draws to the buyer's program: prices, gates, lead times and service by quarter and future."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.base.errors import InfeasibleError, InputError
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.market.record import DOMESTIC, Market
from chipcast.plan.need import Need, quarters_of
from chipcast.plan.problem import Offer, Problem
from chipcast.rules.record import CN_WORDS, US_WORDS, Verdicts
from chipcast.tokens.record import Service

MARKET_CHIP = {"ascend-910b1": "ascend-910b", "ascend-910b2": "ascend-910b", "ascend-910b3": "ascend-910b",
               "ascend-910b4": "ascend-910b", "h20-141": "h20-96", "l20": "nvidia_other", "l2": "nvidia_other"}
"""The traded chip whose gates, fill and price path a bin or sibling follows."""

SERVER = 8
"""Cards of a whole server: a definition of the count, as in `base`."""

SMALL = ("clinic_school", "private", "public_centre")
"""Segments that dealers serve after the large ones."""

HOURS_PER_MONTH = 730.0
DAYS_PER_MONTH = 365.25 / 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A buyer's problem on all draws, and what tells its futures apart."""

    problem: Problem
    """The program's numbers on every draw."""
    features: Array
    """What distances between futures are measured on. (draw, feature)"""
    stratum: npt.NDArray[np.int_]
    """Quarter in which the first foreign chip is cut off; the number of quarters if never. (draw)"""
    seen: npt.NDArray[np.int_]
    """What a buyer observes at a quarter, coded: gates shut or not, need above the middle or not. (quarter, draw)"""
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


def case_of(given: Given, need: Need, market: Market, service: Service, verdicts: Verdicts) -> Case:
    """Return the buyer's problem on all draws of the market.

    Notes
    -----
    An order placed in a quarter ships after the lead time and the wait of rationing if both gates are open in that
    month; else the deposit is lost. Price per card is card x server factor x (1 + network share); resale at the end
    follows the age of each order. Need is generated tokens a second in the busiest hour; missing tokens are counted
    at the average.
    """
    months = market.months
    quarters, per_quarter = quarters_of(months)
    q_of = np.repeat(np.arange(len(quarters)), per_quarter.astype(int))
    first_month = np.searchsorted(q_of, np.arange(len(quarters)))
    draws = market.price_usd.shape[-1]
    if service.output_tokens_per_s_per_chip.shape[-1] != draws or given.draws != draws:
        raise InputError(f"plan needs market, service and given on the same draws, got {draws}, "
                         f"{service.output_tokens_per_s_per_chip.shape[-1]} and {given.draws}")
    chips, left_out = _candidates(given, need, market, service, verdicts)
    seconds = per_quarter * HOURS_PER_MONTH * 3600
    middle = first_month + (per_quarter - 1) / 2
    rate = given["plan.discount_rate_per_year"]
    at_order = (1 + rate) ** -(first_month[:, None] / 12)
    at_middle = (1 + rate) ** -(middle[:, None] / 12)
    peak = need.peak_tokens_per_s(len(months))
    need_q = peak[np.rint(middle).astype(int)]
    service_unit = float(np.median(need_q))
    if service_unit <= 0:
        raise InputError("buyer.demand must be above 0 tokens a second; state more users or requests")
    world = _World(given=given, need=need, market=market, service=service, verdicts=verdicts, first=first_month,
                   q_of=q_of, months=per_quarter, at_order=at_order, at_middle=at_middle, need_q=need_q,
                   service_unit=service_unit)
    parts = [_own(world, chip, i) for i, chip in enumerate(chips)]
    unit_usd = {c: float(np.median(p["price"][0])) for c, p in zip(chips, parts, strict=True)}
    money = float(np.median(list(unit_usd.values())))
    _affordable(need, service, chips, unit_usd)
    hold = np.stack([p["hold"] for p in parts])
    offers: list[dict[str, Any]] = list(parts)
    offers += [_rent(world, chip, p) for chip, p in zip(chips, parts, strict=True)
               if f"{chip}.rent_usd_per_h" in given and need.offsite_share_max > 0]
    if need.segment not in SMALL:
        offers += [_option(world, p) for p in parts if not p["offer"].domestic]
    if need.offsite_share_max > 0 and need.country == "CN":
        offers += [_lease(world, i, chip) for i, chip in enumerate(service.chips)
                   if chip in left_out and f"{chip}.rent_usd_per_h" in given and first_block(service, i) > 0
                   and service.feasible[i] > 0 and not is_domestic(chip, given)]
    api = api_price_usd(given, need.model)
    price_per_unit = None if api is None else \
        api / 1e6 * seconds[:, None] * service_unit / need.peak_to_mean * at_middle
    by_token = price_per_unit if need.offsite_share_max > 0 else None
    worth = worth_usd_per_million(given, need, need_q, seconds)
    miss = worth / 1e6 * seconds[:, None] * service_unit / need.peak_to_mean * at_middle
    domestic = verdicts.min_domestic_share[[_month_row(verdicts, months[m]) for m in first_month],
                                           verdicts.segments.index(need.segment)]
    domestic = np.nan_to_num(domestic)
    power = np.array([float(np.median(p["kw"])) for p in parts])
    least = power * np.array([p["offer"].first_block for p in parts])
    if least.min() > need.power_kw and need.offsite_share_max == 0:
        best = int(least.argmin())
        raise InfeasibleError(f"no plan fits: {need.power_kw:,.0f} kW cannot run the smallest deployment, "
                              f"{parts[best]['offer'].first_block:.0f} x {chips[best]} with {least[best]:,.0f} kW; "
                              "raise power_kw to that, or rent or use an API")
    problem = Problem(
        quarters=quarters, offers=tuple(o["offer"] for o in offers), stocks=chips, weight=np.full(draws, 1 / draws),
        order_cost=np.stack([o["cost"] for o in offers]) / money, arrive=np.stack([o["arrive"] for o in offers]),
        lead=np.stack([o["lead"] for o in offers]), order_cap=np.stack([o["cap"] for o in offers]),
        rate=np.stack([o["rate"] for o in offers]) / service_unit, hold_cost=hold / money,
        final_value=np.zeros((len(chips), draws)),
        keep=(1 - given.middle("market.retirement_per_year")) ** 0.25, need=need_q / service_unit,
        miss_cost=miss / money, spend=np.stack([o["spend"] for o in offers]) / money,
        budget=np.array([need.budget_usd / money]), pooled=True,
        power=power if np.isfinite(need.power_kw) else None,
        power_limit=np.full(len(quarters), need.power_kw) if np.isfinite(need.power_kw) else None,
        min_domestic=domestic if (domestic > 0).any() else None, money=money,
        api_cost=None if by_token is None else by_token / money,
        api_spend=None if by_token is None else by_token / at_middle / money,
        api_cap=None if by_token is None else need_q / service_unit * need.offsite_share_max)
    stratum, features, seen, causes = _futures(world, chips, parts, problem, worth)
    api_cost = None if price_per_unit is None else (price_per_unit * need_q / service_unit).sum(axis=0)
    return Case(problem=problem, features=features, stratum=stratum, seen=seen, causes=causes, unit_usd=unit_usd,
                model=need.model,
                service_unit=service_unit, seconds=seconds, left_out=left_out, api_usd=api_cost)


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


def api_price_usd(given: Given, model: str) -> Array | None:
    """Return the last known API price of a million generated tokens of a model, or None. [USD/1e6 tokens] (draw)"""
    key = "api_output_" + model.lower().replace("-", "_") + "_cny"
    rows = [r for r in given.catalog.rows("history") if r["series"] == key]
    if not rows:
        return None
    last = max(rows, key=lambda r: r["date"])
    price: Array = float(last["value"]) / given["ownership.cny_per_usd"]
    return price


@dataclass(frozen=True, kw_only=True, slots=True)
class _World:
    given: Given
    need: Need
    market: Market
    service: Service
    verdicts: Verdicts
    first: npt.NDArray[np.int_]
    q_of: npt.NDArray[np.int_]
    months: Array
    at_order: Array
    at_middle: Array
    need_q: Array
    service_unit: float

    @property
    def quarters(self) -> int:
        return int(self.first.size)


def is_domestic(chip: str, given: Given) -> bool:
    """Return whether a chip's vendor is Chinese."""
    if MARKET_CHIP.get(chip, chip) in DOMESTIC:
        return True
    return chip.startswith("ascend") or chip in ("domestic_other",)


def _month_row(verdicts: Verdicts, month: str) -> int:
    if month in verdicts.months:
        return verdicts.months.index(month)
    return 0 if month < verdicts.months[0] else len(verdicts.months) - 1


def _permitted(world: _World | None, verdicts: Verdicts, need: Need, chip: str, months: list[str]) -> Array:
    """Return 1 where neither gate bars the chip by the rules known at the date. (quarter)"""
    name = next((n for n in (chip, MARKET_CHIP.get(chip, chip)) if n in verdicts.chips), None)
    if name is None:
        return np.ones(len(months))
    rows = [_month_row(verdicts, m) for m in months]
    s, c = verdicts.segments.index(need.segment), verdicts.chips.index(name)
    us = np.array([US_WORDS[i] for i in verdicts.us[rows, s, c]])
    cn = np.array([CN_WORDS[i] for i in verdicts.cn[rows, s, c]])
    home = chip.startswith("ascend")
    barred = ((us == "licence_denial") & (not home)) | (cn == "barred")
    return np.where(barred, 0.0, 1.0)


def _candidates(given: Given, need: Need, market: Market, service: Service, verdicts: Verdicts,
                ) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the chips that keep the promise and may be bought, and why the others are left out."""
    out, why = [], {}
    _, per_quarter = quarters_of(market.months)
    starts = [market.months[int(i)] for i in np.cumsum(per_quarter) - per_quarter]
    for i, chip in enumerate(service.chips):
        if need.chips and chip not in need.chips:
            why[chip] = "not among the chips the buyer would consider"
        elif first_block(service, i) <= 0 or service.feasible[i] <= 0:
            why[chip] = service.reasons[i] or "no layout keeps the promise"
        elif f"{chip}.price_usd" not in given:
            why[chip] = "its price is not known"
        elif MARKET_CHIP.get(chip, chip) not in market.chips:
            why[chip] = "the market does not trade it openly"
        elif not _permitted(None, verdicts, need, chip, starts).any():
            why[chip] = "the rules in force bar it for this buyer"
        else:
            out.append(chip)
    if not out:
        said = "; ".join(f"{c}: {w}" for c, w in why.items())
        raise InfeasibleError(f"no plan fits: no chip serves {service.model} for {need.name} ({said}); "
                              "relax the promise or consider more chips")
    return tuple(out), why


def first_block(service: Service, i: int) -> int:
    """Return cards of the smallest deployment in whole servers; the nearest layout's where the medians miss.

    A chip that keeps the promise in some futures only is offered too and serves nothing in the others.
    """
    layout = service.layouts[i]
    if service.min_chips[i] > 0 or layout is None:
        return int(service.min_chips[i])
    return SERVER * -(-layout.chips // SERVER)


def _affordable(need: Need, service: Service, chips: tuple[str, ...], unit_usd: dict[str, float]) -> None:
    prices = {c: first_block(service, service.chips.index(c)) * unit_usd[c] for c in chips}
    cheapest = min(prices, key=prices.__getitem__)
    if prices[cheapest] > need.budget_usd:
        count = first_block(service, service.chips.index(cheapest))
        raise InfeasibleError(f"no plan fits: the budget of {need.budget_usd:,.0f} USD cannot buy the smallest "
                              f"deployment, {count} x {cheapest} for {prices[cheapest]:,.0f} USD; raise the budget to "
                              "that, or rent or use an API")


def _own(w: _World, chip: str, stock: int) -> dict[str, Any]:
    """Return everything about owning a chip: cost of an order, what arrives when, service and upkeep."""
    g, m, T = w.given, w.market, w.quarters
    c = m.chips.index(MARKET_CHIP.get(chip, chip))
    i = w.service.chips.index(chip)
    draws = m.price_usd.shape[-1]
    d = np.arange(draws)
    path = m.price_usd[c, w.first] / np.maximum(m.price_usd[c, w.first[:1]], 1e-9)
    system = g.first(f"{w.need.segment}.server_factor", f"{chip}.server_factor", "ownership.server_factor") \
        * (1 + g["ownership.network_share"])
    price = g[f"{chip}.price_usd"] * path * system
    open_ = m.us_open[c].astype(float) * m.cn_open[c]
    fill = np.clip(m.fill[c, w.first].astype(float), 0.0, 1.0)
    if w.need.segment in SMALL:
        # Rationing falls on small buyers first; where everything is delivered nobody waits.
        ratio = g["allocation.small_buyer_fill_ratio"]
        fill = fill * (ratio + (1 - ratio) * fill)
    last = len(m.months) - 1
    # A lot that is not filled this month waits for a later one: 1/fill - 1 months on average.
    wait_months = np.minimum(1 / np.maximum(fill, 1e-9) - 1, last + 1.0)
    days = np.maximum(m.lead_time_days[c, w.first].astype(float), 0.0) + wait_months * DAYS_PER_MONTH
    ships = np.minimum(w.first[:, None] + np.floor(days / DAYS_PER_MONTH).astype(int), last)
    ready = w.first[:, None] + np.rint((days + g["plan.server_build_days"]) / DAYS_PER_MONTH).astype(int)
    # Ready in the last third of a quarter counts from the next one on.
    ready_q = np.where(ready > last, T, w.q_of[np.minimum(ready, last)])
    late = (ready <= last) & (ready - w.first[np.minimum(ready_q, T - 1)] > (w.months[np.minimum(ready_q, T - 1)] / 2))
    ready_q = ready_q + late
    lead = (ready_q - np.arange(T)[:, None]).astype(np.int32)
    starts = [m.months[k] for k in w.first]
    legal = _permitted(w, w.verdicts, w.need, chip, starts)
    shipped = open_[ships, d]
    in_time = ready_q < T
    deposit = g["plan.deposit_share"]
    pay_later = (1 + g["plan.discount_rate_per_year"]) ** -(ships / 12)
    resale = _resale(w, open_[-1] if not is_domestic(chip, g) else np.ones(draws), ready_q)
    cost = price * (deposit * w.at_order + shipped * ((1 - deposit) * pay_later - np.where(in_time, resale, 0)))
    spend = price * (deposit + shipped * (1 - deposit))
    rate = _rate(w, i)
    kw = g.first(f"{chip}.tdp_w") / 1000 * g["ownership.node_power_factor"] \
        * g.first(f"{w.need.segment}.pue", "country_cn.pue")
    hours = w.months[:, None] * HOURS_PER_MONTH
    hold = (kw * hours * g.first(f"{w.need.segment}.usd_per_kwh", "country_cn.usd_per_kwh")
            + w.months[:, None] / 12 * (price[:1] * g["ownership.upkeep_share_per_year"] + kw / 1000
                                        * g["ownership.staff_per_mw"] * g["ownership.staff_cost_usd_per_year"])
            ) * w.at_middle
    block = float(first_block(w.service, i))
    useful = rate.min(axis=0) > 0
    cards = (w.need_q / np.where(useful, rate, 1.0)).max(axis=0)[useful]
    wanted = float(np.quantile(cards, 0.95)) if useful.any() else 0.0
    most = SERVER * np.ceil(min(wanted, w.need.budget_usd / float(np.median(price))) / SERVER) + block
    cap = most * legal[:, None] * (open_[w.first] > 0) * in_time
    return {"offer": Offer(chip=chip, supplier=_vendor(g, chip), contract="spot", domestic=is_domestic(chip, g),
                           stock=stock, lot=float(SERVER), first_block=block),
            "cost": cost, "arrive": shipped, "lead": lead, "cap": cap, "rate": rate, "spend": spend,
            "price": price, "hold": hold, "kw": kw, "most": most, "ships": ships, "shipped": shipped,
            "resale": np.where(in_time, resale, 0), "open": open_[w.first], "fill": fill}


def _rate(w: _World, i: int) -> Array:
    """Return useful tokens a second of a chip by quarter: best layout x availability x software gain.

    No deployment is smaller than its first block: where the whole need would not fill one, a card carries the
    need over the cards of a block. So the linear program pays for the whole block that serves the need. In draws
    where the layout breaks the promise the chip serves nothing.
    """
    years = w.first[:, None] / 12
    out: Array = w.service.output_tokens_per_s_per_chip[i] * w.given["market.serving_availability"] \
        * w.given["serving.efficiency_gain_per_year"] ** years
    kept = (w.service.tpot_ms[i] <= w.need.tpot_ms) & (w.service.ttft_ms[i] <= 1000 * w.need.ttft_s)
    block = max(float(first_block(w.service, i)), 1.0)
    return np.where(kept, np.minimum(np.nan_to_num(out), w.need_q / block), 0.0)


def _resale(w: _World, open_at_end: Array, ready_q: npt.NDArray[np.int_]) -> Array:
    """Return discounted value at the end of a unit ordered in a quarter, as a share of its price. (quarter, draw)

    Notes
    -----
    share_year1^min(age, 1) x (1 - decay)^max(age - 1, 0), times survival and a factor if its supply is cut by then.
    """
    g = w.given
    end = float(w.months.sum())
    age = np.maximum(end - w.first[:, None], 0.0) / 12
    value = g["plan.resale_share_year1"] ** np.minimum(age, 1) * (1 - g["plan.resale_decay_per_year"]) \
        ** np.maximum(age - 1, 0)
    served = np.maximum(w.quarters - ready_q, 0)
    keep = (1 - g.middle("market.retirement_per_year")) ** (served / 4)
    after_cut = np.where(open_at_end > 0, 1.0, g["plan.resale_factor_after_cut"])
    out: Array = value * keep * after_cut * (1 + g["plan.discount_rate_per_year"]) ** -(end / 12)
    return out


def _rent(w: _World, chip: str, own: dict[str, Any]) -> dict[str, Any]:
    """Return a chip rented by the quarter: its rent follows the price of the chip, no lead time, no deposit."""
    g = w.given
    scarcity = own["price"] / own["price"][:1]
    usd = g[f"{chip}.rent_usd_per_h"] * w.months[:, None] * HOURS_PER_MONTH * scarcity
    cap = np.broadcast_to(own["most"] * w.need.offsite_share_max, usd.shape)
    return {"offer": Offer(chip=chip, supplier="rental", contract="rent", domestic=own["offer"].domestic,
                           lot=float(SERVER), first_block=own["offer"].first_block),
            "cost": usd * w.at_middle, "arrive": np.ones_like(usd), "lead": np.zeros(usd.shape, dtype=np.int32),
            "cap": cap, "rate": own["rate"], "spend": usd}


def _option(w: _World, own: dict[str, Any]) -> dict[str, Any]:
    """Return the chip with the right to cancel: a premium that is never returned, and no deposit to lose."""
    premium = w.given["plan.option_premium"]
    pay_later = (1 + w.given["plan.discount_rate_per_year"]) ** -(own["ships"] / 12)
    cost = own["price"] * (premium * w.at_order + own["shipped"] * (pay_later - own["resale"]))
    return {**own, "offer": replace(own["offer"], contract="option"), "cost": cost,
            "spend": own["price"] * (premium + own["shipped"])}


def _lease(w: _World, i: int, chip: str) -> dict[str, Any]:
    """Return a chip leased abroad by the quarter, where the gates do not reach.

    Whether that is allowed is not judged here.
    """
    hours = w.months[:, None] * HOURS_PER_MONTH
    usd = w.given[f"{chip}.rent_usd_per_h"] * hours
    rate = _rate(w, i)
    block = float(first_block(w.service, i))
    wanted = float(np.quantile((w.need_q / np.maximum(rate, w.need_q / 1e6)).max(axis=0), 0.5))
    most = (SERVER * np.ceil(wanted / SERVER) + block) * w.need.offsite_share_max
    return {"offer": Offer(chip=chip, supplier="overseas", contract="lease", lot=float(SERVER), first_block=block),
            "cost": usd * w.at_middle, "arrive": np.ones_like(usd), "lead": np.zeros(usd.shape, dtype=np.int32),
            "cap": np.full(usd.shape, most), "rate": rate, "spend": usd}


def _vendor(given: Given, chip: str) -> str:
    try:
        return given.catalog.chip_names(chip)["vendor"]
    except InputError:
        return "unknown"


def _futures(w: _World, chips: tuple[str, ...], parts: list[dict[str, Any]], p: Problem,
             worth: Array,
             ) -> tuple[npt.NDArray[np.int_], Array, npt.NDArray[np.int_], dict[str, Array]]:
    """Return strata by cut quarter, features for distances, what is seen by quarter, and named causes."""
    T = w.quarters
    foreign = [k for k, c in enumerate(chips) if not is_domestic(c, w.given)]
    shut = np.stack([parts[k]["open"] <= 0 for k in foreign]).any(axis=0) if foreign else None
    draws = w.need_q.shape[-1]
    cut = np.full(draws, T) if shut is None else np.where(shut.any(axis=0), shut.argmax(axis=0), T)
    columns = [np.log(w.need_q[0]), np.log(w.need_q[-1]), np.log(worth)]
    columns += [np.log(part["price"].mean(axis=0)) for part in parts]
    # Cards needed saturate: a chip that serves nothing is no further away than one that serves hardly anything.
    columns += [rate / (rate + np.median(rate[rate > 0]) if (rate > 0).any() else rate + 1)
                for rate in (part["rate"][T // 2] / w.need_q[T // 2] for part in parts)]
    columns += [p.arrive[k].mean(axis=0) for k in range(len(parts))]
    causes = {"quarter of the cut-off": cut.astype(float), "the need now": w.need_q[0],
              "the monthly growth of need": w.need.growth_per_month,
              "the value of a missing million tokens in USD": worth}
    for c, part in zip(chips, parts, strict=True):
        causes[f"what one {c} gives in tokens/s"] = part["rate"][0]
        causes[f"the wait for {c} in quarters"] = part["lead"][: max(T // 2, 1)].mean(axis=0)
        causes[f"the filled share of {c} orders"] = part["fill"].mean(axis=0)
    # Need is looked at once a year: three branchings in three years.
    level = (w.need_q > np.median(w.need_q, axis=-1, keepdims=True))[np.arange(T) // 4 * 4]
    gates = np.zeros((T, draws), dtype=int) if shut is None else shut.astype(int)
    causes = {k: v for k, v in causes.items() if np.ptp(v) > 0}
    return cut.astype(int), np.stack(columns, axis=1), 2 * gates + level, causes
