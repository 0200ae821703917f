"""The ways to get the use of a chip: bought at the day's price, signed ahead, cancellable, rented, leased abroad.

Which contract is open to whom stands in `data/contracts.csv`, its terms in rows `plan.*` of `given`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.plan.need import Site
from chipcast.plan.ownership import HOURS_PER_MONTH, SERVER, Owning, World, first_block, kin, rate_of, rows_of
from chipcast.plan.problem import Offer


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """One offer with its numbers by quarter and draw."""

    offer: Offer
    """What it is."""
    cost: Array
    """Discounted cost of a card ordered, less resale at the end. [USD] (quarter, draw)"""
    spend: Array
    """Cash for it, undiscounted. [USD] (quarter, draw)"""
    arrive: Array
    """Share that arrives. (quarter, draw)"""
    lead: npt.NDArray[np.int32]
    """Quarters from order to service. (quarter, draw)"""
    cap: Array
    """Cards that may be ordered. (quarter, draw)"""
    rate: Array
    """Useful tokens a second. (quarter, draw)"""
    untaken: Array
    """Discounted cost of a signed card that is not taken. [USD] (draw)"""
    quote: Array
    """What is asked for a card: its price, or its rent for the quarter. [USD] (quarter, draw)"""


def spot(w: World, o: Owning, stock: int, site: Site) -> Terms:
    """Return a chip bought at the day's price: a deposit at the order, lost if the gate shuts before it ships."""
    deposit = w.given["plan.deposit_share"]
    cost = o.price * (deposit * w.at_order + o.shipped * ((1 - deposit) * _pay_later(w, o) - o.resale))
    return _to_own(w, o, stock, site, "spot", cost, o.price * (deposit + o.shipped * (1 - deposit)), o.price)


def framework(w: World, o: Owning, stock: int, site: Site) -> Terms:
    """Return a chip of a signed volume, called off at today's price less a discount; what is not taken costs a fee.

    Notes
    -----
    Price and volume are fixed at signing, so a later rise is the seller's. The minimum take is waived for the share
    of quarters in which the gates keep the seller from shipping. Deposits are paid and lost as at the day's price.
    """
    g = w.given
    deposit, fixed = g["plan.deposit_share"], o.price[:1] * (1 - g["plan.framework_discount"])
    # Resale counts from the lower of both prices: nobody signs in order to sell on.
    back = np.minimum(o.price, fixed) * o.shipped * o.resale
    cost = fixed * (deposit * w.at_order + o.shipped * (1 - deposit) * _pay_later(w, o)) - back
    able = (o.may_order * o.shipped).mean(axis=0)
    return _to_own(w, o, stock, site, "framework", cost, fixed * (deposit + o.shipped * (1 - deposit)),
                   np.broadcast_to(fixed, o.price.shape), take=g.middle("plan.framework_take_share"),
                   least=g.middle("plan.framework_least_cards"),
                   untaken=fixed[0] * g["plan.framework_untaken_fee"] * able * w.at_middle[-1])


def option(w: World, o: Owning, stock: int, site: Site) -> Terms:
    """Return a chip with the right to cancel: a premium that is never returned, and no deposit to lose."""
    premium = w.given["plan.option_premium"]
    cost = o.price * (premium * w.at_order + o.shipped * (_pay_later(w, o) - o.resale))
    return _to_own(w, o, stock, site, "option", cost, o.price * (premium + o.shipped), o.price * (1 + premium))


def rent(w: World, o: Owning) -> Terms:
    """Return a chip rented by the quarter: its rent follows the price of the chip, no lead time, no deposit."""
    scarcity = o.price / o.price[:1]
    per_hour = w.given.first(*rows_of(w.given, w.need, o.chip, "rent_usd_per_h"))
    usd = per_hour * w.months[:, None] * HOURS_PER_MONTH * scarcity
    return _by_quarter(w, o.chip, "rental", "rent", usd, o.most * w.need.offsite_share_max, o.rate, o.block, o.domestic)


def lease(w: World, chip: str) -> Terms:
    """Return a chip leased abroad by the quarter, where the gates do not reach; whether that is allowed is not judged.
    """
    i = w.service.chips.index(chip)
    usd = np.broadcast_to(w.given[f"{chip}.rent_usd_per_h"] * w.months[:, None] * HOURS_PER_MONTH, w.need_q.shape)
    rate, block = rate_of(w, i), float(first_block(w.service, i))
    wanted = float(np.quantile((w.need_q / np.maximum(rate, w.need_q / 1e6)).max(axis=0), 0.5))
    most = (SERVER * np.ceil(wanted / SERVER) + block) * w.need.offsite_share_max
    return _by_quarter(w, chip, "overseas", "lease", usd, most, rate, block, False)


TO_OWN: Mapping[str, Callable[[World, Owning, int, Site], Terms]] = {
    "spot": spot, "framework": framework, "option": option,
}
"""Contracts by which a chip comes into the house."""


def open_to(given: Given, segment: str) -> dict[str, str]:
    """Return the contracts open to a segment and what each is in words."""
    return {r["contract"]: r["words"] for r in given.catalog.rows("contracts")
            if segment in r["open_to"].split("|")}


def _pay_later(w: World, o: Owning) -> Array:
    out: Array = (1 + w.given["plan.discount_rate_per_year"]) ** -(o.ships / 12)
    return out


def _to_own(w: World, o: Owning, stock: int, site: Site, contract: str, cost: Array, spend: Array,
            quote: Array, *, take: float = 0.0, least: float = 0.0, untaken: Array | None = None) -> Terms:
    offer = Offer(chip=o.chip, supplier=vendor(w.given, kin(w.need, o.chip)), contract=contract, domestic=o.domestic,
                  stock=stock, lot=float(SERVER), first_block=o.block, take=take, least_signed=least, site=site.name)
    return Terms(offer=offer, cost=cost, spend=spend, arrive=o.shipped, lead=o.lead, cap=o.most * o.may_order,
                 rate=o.rate, untaken=np.zeros(w.given.draws) if untaken is None else untaken, quote=quote)


def _by_quarter(w: World, chip: str, supplier: str, contract: str, usd: Array, most: float, rate: Array, block: float,
                domestic: bool) -> Terms:
    offer = Offer(chip=chip, supplier=supplier, contract=contract, domestic=domestic, lot=float(SERVER),
                  first_block=block)
    return Terms(offer=offer, cost=usd * w.at_middle, spend=usd, arrive=np.ones_like(usd),
                 lead=np.zeros(usd.shape, dtype=np.int32), cap=np.full(usd.shape, most), rate=rate,
                 untaken=np.zeros(w.given.draws), quote=usd)


def vendor(given: Given, chip: str) -> str:
    """Return the vendor of a chip."""
    try:
        return given.catalog.chip_names(chip)["vendor"]
    except InputError:
        return "unknown"


def name_of(given: Given, chip: str) -> str:
    """Return the name by which a reader knows a chip."""
    others = {"domestic_other": "other Chinese card", "nvidia_other": "other Nvidia card",
              "ascend-910b": "Ascend 910B"}
    if chip in others:
        return others[chip]
    try:
        return given.catalog.chip_names(chip)["model"].split(" (")[0]
    except InputError:
        return chip
