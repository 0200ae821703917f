"""What a chip of one's own costs, when it serves and what it is worth later, by quarter and future."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipcast.base.calendar import DAYS_PER_MONTH
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.market.record import DOMESTIC, Market
from chipcast.plan.need import Need, Site
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


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """One buyer's world, resolved to quarters."""

    given: Given
    """Every number."""
    need: Need
    """The buyer."""
    market: Market
    """Prices, gates, waits."""
    service: Service
    """What each chip gives."""
    verdicts: Verdicts
    """What the rules say."""
    first: npt.NDArray[np.int_]
    """First month of each quarter. (quarter)"""
    q_of: npt.NDArray[np.int_]
    """Quarter of each month. (month)"""
    months: Array
    """Months in each quarter. (quarter)"""
    at_order: Array
    """Discount at the start of a quarter. (quarter, draw)"""
    at_middle: Array
    """Discount at its middle. (quarter, draw)"""
    need_q: Array
    """Need at the peak. [tokens/s] (quarter, draw)"""
    service_unit: float
    """Tokens a second in one unit of service."""

    @property
    def quarters(self) -> int:
        """Number of quarters."""
        return int(self.first.size)


@dataclass(frozen=True, kw_only=True, slots=True)
class Owning:
    """Everything about owning one chip, whatever the contract and the site."""

    chip: str
    """Chip id."""
    domestic: bool
    """Whether its vendor is Chinese."""
    block: float
    """Cards of the smallest deployment."""
    price: Array
    """Price of an installed card, its share of server and network included. [USD] (quarter, draw)"""
    shipped: Array
    """1 where both gates are open when it ships. (quarter, draw)"""
    ships: npt.NDArray[np.int_]
    """Month in which it ships. (quarter, draw)"""
    lead: npt.NDArray[np.int32]
    """Quarters from order to service. (quarter, draw)"""
    may_order: Array
    """1 where it may be ordered and can serve before the end. (quarter, draw)"""
    resale: Array
    """Discounted value at the end of a card ordered in a quarter, as a share of its price. (quarter, draw)"""
    sold_early: Array
    """Discounted cash for a card sold in a quarter, over what its order counts as resale. [USD] (quarter, draw)"""
    rate: Array
    """Useful tokens a second at the peak. (quarter, draw)"""
    kw: Array
    """Power of a card and its share of the node, without cooling. [kW] (draw)"""
    most: float
    """Most cards that could ever be of use. [cards]"""
    open: Array
    """Share of the first month of a quarter in which both gates are open. (quarter, draw)"""
    fill: Array
    """Delivered share of what this buyer orders. [1] (quarter, draw)"""


def kin(need: Need, chip: str) -> str:
    """Return the chip itself, or the base of a chip of the buyer's own."""
    own = need.own.get(chip)
    return (own.base or chip) if own else chip


def traded_as(need: Need, chip: str) -> str:
    """Return the traded chip whose gates, waits, fill and price path a chip follows."""
    base = kin(need, chip)
    return MARKET_CHIP.get(base, base)


def rows_of(given: Given, need: Need, chip: str, column: str) -> list[str]:
    """Return the rows that hold a figure of a chip, the one that counts first; empty if there is none.

    What a scenario states of a chip of its own counts; what it leaves out is its base's, draw by draw.
    """
    mine, base = f"{chip}.{column}", f"{kin(need, chip)}.{column}"
    stated = mine in given and given.rows[mine].kind == "scenario"
    return [n for n in dict.fromkeys((mine, base) if stated else (base, mine)) if n in given]


def is_domestic(need: Need, chip: str) -> bool:
    """Return whether a chip's vendor is Chinese."""
    return need.own[chip].domestic if chip in need.own else traded_as(need, chip) in DOMESTIC


def month_row(verdicts: Verdicts, month: str) -> int:
    """Return the row of a month in the verdicts, the nearest where it lies outside."""
    if month in verdicts.months:
        return verdicts.months.index(month)
    return 0 if month < verdicts.months[0] else len(verdicts.months) - 1


def permitted(verdicts: Verdicts, need: Need, chip: str, months: list[str]) -> Array:
    """Return 1 where neither gate bars the chip by the rules known at the date. (quarter)"""
    name = next((n for n in (chip, traded_as(need, chip)) if n in verdicts.chips), None)
    if name is None:
        return np.ones(len(months))
    rows = [month_row(verdicts, m) for m in months]
    s, c = verdicts.segments.index(need.segment), verdicts.chips.index(name)
    us = np.array([US_WORDS[i] for i in verdicts.us[rows, s, c]])
    cn = np.array([CN_WORDS[i] for i in verdicts.cn[rows, s, c]])
    barred = ((us == "licence_denial") & (not is_domestic(need, chip))) | (cn == "barred")
    return np.where(barred, 0.0, 1.0)


def first_block(service: Service, i: int) -> int:
    """Return cards of the smallest deployment in whole servers; the nearest layout's where the medians miss.

    A chip that keeps the promise in some futures only is offered too and serves nothing in the others.
    """
    layout = service.layouts[i]
    if service.min_chips[i] > 0 or layout is None:
        return int(service.min_chips[i])
    return SERVER * -(-layout.chips // SERVER)


def own(w: World, chip: str) -> Owning:
    """Return everything about owning a chip.

    Notes
    -----
    An order ships after the lead time if both gates are open in that month; else it is lost. The lead time of the
    market holds the wait of rationing already, as backlog over throughput, which is 1/fill - 1 months where a lot that
    is not filled this month waits for a later one; a small buyer, filled less, waits 1/own fill - 1/fill months longer.
    """
    g, m, T = w.given, w.market, w.quarters
    c = m.chips.index(traded_as(w.need, chip))
    i = w.service.chips.index(chip)
    draws = m.price_usd.shape[-1]
    start = m.price_usd[c, w.first[0]] if m.quoted_usd is None else m.quoted_usd[c]
    path = m.price_usd[c, w.first] / np.maximum(start, 1e-9)
    system = g.first(f"{w.need.segment}.server_factor", *rows_of(g, w.need, chip, "server_factor"),
                     "ownership.server_factor") \
        * (1 + g["ownership.network_share"])
    price = g.first(*rows_of(g, w.need, chip, "price_usd")) * path * system
    open_ = m.us_open[c].astype(float) * m.cn_open[c]
    common = fill = np.clip(m.fill[c, w.first].astype(float), 0.0, 1.0)
    if w.need.segment in SMALL:
        # Rationing falls on small buyers first; where everything is delivered nobody waits.
        ratio = g["allocation.small_buyer_fill_ratio"]
        fill = fill * (ratio + (1 - ratio) * fill)
    last = len(m.months) - 1
    longer = np.where(common > 0, 1 / np.maximum(fill, 1e-9) - 1 / np.maximum(common, 1e-9), np.inf)
    longer = np.minimum(longer, last + 1.0)  # where nothing is delivered at all it does not come before the end
    days = np.maximum(m.lead_time_days[c, w.first].astype(float), 0.0) + longer * DAYS_PER_MONTH
    ships = np.minimum(w.first[:, None] + np.floor(days / DAYS_PER_MONTH).astype(int), last)
    ready = w.first[:, None] + np.rint((days + g["plan.server_build_days"]) / DAYS_PER_MONTH).astype(int)
    # Ready in the last third of a quarter counts from the next one on.
    ready_q = np.where(ready > last, T, w.q_of[np.minimum(ready, last)])
    late = (ready <= last) & (ready - w.first[np.minimum(ready_q, T - 1)] > (w.months[np.minimum(ready_q, T - 1)] / 2))
    ready_q = ready_q + late
    lead = (ready_q - np.arange(T)[:, None]).astype(np.int32)
    legal = permitted(w.verdicts, w.need, chip, [m.months[k] for k in w.first])
    in_time = ready_q < T
    domestic = is_domestic(w.need, chip)
    open_at_end = np.ones(draws) if domestic else open_[-1]
    resale = np.where(in_time, _resale(w, open_at_end, ready_q), 0.0)
    rate = rate_of(w, i)
    kw = g.first(*rows_of(g, w.need, chip, "tdp_w")) / 1000 * g["ownership.node_power_factor"]
    block = float(first_block(w.service, i))
    useful = rate.min(axis=0) > 0
    cards = (w.need_q / np.where(useful, rate, 1.0)).max(axis=0)[useful]
    wanted = float(np.quantile(cards, 0.95)) if useful.any() else 0.0
    most = SERVER * np.ceil(min(wanted, w.need.budget_usd / float(np.median(price))) / SERVER) + block
    return Owning(chip=chip, domestic=domestic, block=block, price=price, shipped=open_[ships, np.arange(draws)],
                  ships=ships, lead=lead, may_order=legal[:, None] * (open_[w.first] > 0) * in_time, resale=resale,
                  sold_early=_sold_early(w, price[0], open_[w.first], resale[0], domestic), rate=rate, kw=kw, most=most,
                  open=open_[w.first], fill=fill)


def hold_cost(w: World, o: Owning, site: Site) -> Array:
    """Return the discounted power, space, people and upkeep of an owned card at a site. [USD] (quarter, draw)"""
    g = w.given
    pue = np.full(g.draws, site.pue) if np.isfinite(site.pue) else g.first(f"{w.need.segment}.pue", "country_cn.pue")
    tariff = np.full(g.draws, site.usd_per_kwh) if np.isfinite(site.usd_per_kwh) \
        else g.first(f"{w.need.segment}.usd_per_kwh", "country_cn.usd_per_kwh")
    kw, hours = o.kw * pue, w.months[:, None] * HOURS_PER_MONTH
    out: Array = (kw * hours * tariff
                  + w.months[:, None] / 12 * (o.price[:1] * g["ownership.upkeep_share_per_year"]
                                              + g["plan.rack_units_per_server"] / SERVER
                                              * g["plan.space_usd_per_rack_unit_year"]
                                              + kw / 1000 * g["ownership.staff_per_mw"]
                                              * g["ownership.staff_cost_usd_per_year"])) * w.at_middle
    return out


def porting_usd(w: World, domestic: bool) -> Array:
    """Return the discounted cost of bringing a chip type into service, by quarter of its first order. [USD]
    (quarter, draw)
    """
    g = w.given
    months = g["plan.porting_months_domestic" if domestic else "plan.porting_months_foreign"]
    out: Array = months / 12 * g["ownership.staff_cost_usd_per_year"] * w.at_order
    return out


def site_kw(w: World, o: Owning, site: Site) -> float:
    """Return the middle power of a card at a site, cooling included. [kW]"""
    pue = site.pue if np.isfinite(site.pue) else w.given.first(f"{w.need.segment}.pue", "country_cn.pue")
    return float(np.median(o.kw * pue))


def rate_of(w: World, i: int) -> Array:
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


def _value_at(w: World, age_years: Array) -> Array:
    """Return resale over purchase price at an age: share_year1^min(age, 1) x (1 - decay)^max(age - 1, 0)."""
    g = w.given
    out: Array = g["plan.resale_share_year1"] ** np.minimum(age_years, 1) * (1 - g["plan.resale_decay_per_year"]) \
        ** np.maximum(age_years - 1, 0)
    return out


def _resale(w: World, open_at_end: Array, ready_q: npt.NDArray[np.int_]) -> Array:
    """Return discounted value at the end of a unit ordered in a quarter, as a share of its price. (quarter, draw)

    Notes
    -----
    Value at its age, times survival and a factor if its supply is cut by then.
    """
    g = w.given
    end = float(w.months.sum())
    value = _value_at(w, np.maximum(end - w.first[:, None], 0.0) / 12)
    served = np.maximum(w.quarters - ready_q, 0)
    keep = (1 - g.middle("market.retirement_per_year")) ** (served / 4)
    after_cut = np.where(open_at_end > 0, 1.0, g["plan.resale_factor_after_cut"])
    out: Array = value * keep * after_cut * (1 + g["plan.discount_rate_per_year"]) ** -(end / 12)
    return out


def _sold_early(w: World, price: Array, open_: Array, counted: Array, domestic: bool) -> Array:
    """Return discounted cash for a card sold in a quarter, less what its order counts as resale at the end.

    Notes
    -----
    Every card is taken to be as old as the first order's, the lowest price it can fetch, less the dealer's cut.
    What its order counted at the end is given back, undone for the losses it no longer runs.
    """
    g = w.given
    value = _value_at(w, np.broadcast_to(w.first[:, None] / 12, open_.shape))
    scarce = 1.0 if domestic else np.where(open_ > 0, 1.0, g["plan.resale_factor_after_cut"])
    left = (w.quarters - np.arange(w.quarters))[:, None]
    kept = (1 - g.middle("market.retirement_per_year")) ** (left / 4)
    full = (1 - g.middle("market.retirement_per_year")) ** (w.quarters / 4)
    out: Array = price * (value * scarce * (1 - g["plan.resale_dealer_cut"]) * w.at_order - counted * kept / full)
    return out
