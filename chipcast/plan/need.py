"""What one buyer must serve, under which promise and within which means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chipcast.base.calendar import places_by_quarter
from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.rules.own import own_chip
from chipcast.rules.place import MAINLAND, place


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A room in which machines may stand."""

    name: str = ""
    """Name; empty where there is one."""
    power_kw: float = np.inf
    """Power limit, cooling included; infinite for none. [kW]"""
    rack_units: float = np.inf
    """Height of free racks; infinite for none. [rack units]"""
    pue: float = np.nan
    """Facility power over equipment power; not-a-number for the segment's. [1]"""
    usd_per_kwh: float = np.nan
    """Price of electricity; not-a-number for the segment's. [USD/kWh]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Own:
    """A chip of the buyer's own scenario, which no market trades under its name."""

    base: str = ""
    """Chip whose price path, waits, gates and contracts it shares; empty where none is named."""
    domestic: bool = False
    """Whether its maker is Chinese."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """A buyer as the planner sees it."""

    name: str
    """Name, for sentences."""
    segment: str
    """Buyer class."""
    model: str
    """Model to serve."""
    mean_tokens_per_s: Array
    """Generated tokens a second, average over the day at the information date. [tokens/s] (draw)"""
    growth_per_month: Array
    """Growth of that. [1/month] (draw)"""
    peak_to_mean: Array
    """Busiest hour over the average. [1] (draw)"""
    input_share: Array
    """Share of prompt tokens among all. [1] (draw)"""
    budget_usd: float
    """Money for systems over the horizon. [USD]"""
    power_kw: float
    """Power limit; infinite for none. [kW]"""
    shortage_usd_per_million_tokens: Array
    """Value of a missing million of generated tokens. [USD/1e6 tokens] (draw)"""
    chips: tuple[str, ...] = ()
    """Chips the buyer would consider; empty for all."""
    offsite_share_max: float = 0.0
    """Largest share of need that may be served outside the house, by rent or API. [1]"""
    country: str = "CN"
    """Where it is installed."""
    ttft_s: float = np.inf
    """Promised time to the first token. [s]"""
    tpot_ms: float = np.inf
    """Promised time per generated token. [ms]"""
    min_domestic_share: float = 0.0
    """Least domestic share of cards to own that the buyer sets itself, beside what the rules ask for. [1]"""
    sites: tuple[Site, ...] = ()
    """Rooms with their limits; empty for one room with the power limit above."""
    own: Mapping[str, Own] = field(default_factory=dict)
    """Chips of the scenario's own, by id."""

    @property
    def rooms(self) -> tuple[Site, ...]:
        """The sites, at least one."""
        return self.sites or (Site(power_kw=self.power_kw),)

    def peak_tokens_per_s(self, months: int) -> Array:
        """Return generated tokens a second in the busiest hour, by month after the date. (month, draw)"""
        step = np.arange(months)[:, None]
        return self.mean_tokens_per_s * self.peak_to_mean * (1 + self.growth_per_month) ** step


def need_from(given: Given, name: str, segment: str, *, model: str = "", country: str = "CN",
              chips: tuple[str, ...] = (), ttft_s: float = np.inf, tpot_ms: float = np.inf) -> Need:
    """Return the need of the buyer whose figures are the rows `buyer.*` of `given`.

    Demand is either users that are active at the same time and their tokens a day, or requests a second and
    their generated tokens.

    Raises
    ------
    InputError
        If demand or budget is stated in no way or in two, nothing is read or nothing written, or the buyer sits
        where this market does not sell.
    """
    if place(country).code not in MAINLAND:
        raise InputError(f"the market that plans buy from is China's: its prices, gates and queues say nothing of a "
                         f"buyer in {place(country).name}; write country: CN, or ask 'chipcast rules check CHIP --to "
                         f"{place(country).code}' what may be bought there")
    for one, other in (("concurrent_users", "requests_per_s"), ("budget_usd", "budget_cny"),
                       ("input_share", "input_tokens")):
        if f"buyer.{one}" in given and f"buyer.{other}" in given:
            raise InputError(f"buyer states both {one}: and {other}:; keep one")
    share = given["buyer.input_share"] if "buyer.input_share" in given else given["plan.input_share"]
    if "buyer.input_tokens" in given and "buyer.output_tokens" in given:
        share = given["buyer.input_tokens"] / (given["buyer.input_tokens"] + given["buyer.output_tokens"])
    if not 0 < np.min(share) <= np.max(share) < 1:
        raise InputError("buyer.input_share must lie above 0% and below 100%: every request reads something and "
                         "writes something; write for example input_share: 70%")
    if "buyer.concurrent_users" in given:
        if "buyer.tokens_per_user_day" not in given:
            raise InputError("buyer.demand states concurrent_users without tokens_per_user_day; add it, "
                             "for example tokens_per_user_day: 40k")
        mean = given["buyer.concurrent_users"] * given["buyer.tokens_per_user_day"] * (1 - share) / 86_400
    elif "buyer.requests_per_s" in given:
        if "buyer.output_tokens" not in given:
            raise InputError("buyer.demand states requests_per_s without output_tokens; add it, "
                             "for example output_tokens: 500")
        mean = given["buyer.requests_per_s"] * given["buyer.output_tokens"]
    else:
        raise InputError("buyer.demand states no need; write concurrent_users: with tokens_per_user_day:, "
                         "or requests_per_s: with output_tokens:")
    if float(np.median(mean)) <= 0:
        raise InputError("buyer.demand must be above 0 tokens a second; state more users or requests")
    for key, limit, example in (("ttft_s", ttft_s, "2"), ("tpot_ms", tpot_ms, "50")):
        if limit <= 0:
            raise InputError(f"buyer.promise.{key} must be above 0, got {limit:g}; write for example {key}: {example}")
    if "buyer.budget_usd" in given:
        budget = given.middle("buyer.budget_usd")
    elif "buyer.budget_cny" in given:
        budget = given.middle("buyer.budget_cny") / given.middle("ownership.cny_per_usd")
    else:
        raise InputError("buyer has no budget; write budget_usd: or budget_cny:")
    outside = f"{segment}.offsite_share_max"
    if outside not in given or (given.rows["plan.offsite_share_max"].kind == "scenario"
                                and given.rows[outside].kind != "scenario"):
        outside = "plan.offsite_share_max"      # what a buyer states outweighs what is assumed of the class
    growth = given["buyer.growth_per_month"] if "buyer.growth_per_month" in given else np.zeros(given.draws)
    return Need(name=name, segment=segment, model=model, mean_tokens_per_s=mean, growth_per_month=growth,
                peak_to_mean=given["demand.peak_to_mean"], input_share=np.broadcast_to(share, (given.draws,)),
                budget_usd=budget, power_kw=given.middle("buyer.power_kw") if "buyer.power_kw" in given else np.inf,
                shortage_usd_per_million_tokens=given.first("buyer.shortage_usd_per_million_tokens",
                                                            f"{segment}.shortage_usd_per_million_tokens",
                                                            "plan.shortage_usd_per_million_tokens"),
                chips=chips, country=country,
                offsite_share_max=given.middle(outside), ttft_s=ttft_s, tpot_ms=tpot_ms)


def need_for(given: Given, buyer: Any, chips: Mapping[str, Mapping[str, Any]] | None = None) -> Need:
    """Return the need of a scenario's buyer: its texts from the scenario, its figures from `given`.

    Parameters
    ----------
    chips : mapping, optional
        Chips of the scenario's own, as it states them.

    Raises
    ------
    InputError
        As `need_from`; or if a site has no name of its own, or power stands both at the sites and over them.
    """
    own = {name: _own(given, name, fields) for name, fields in (chips or {}).items()}
    wanted = tuple(c if c in own or f"{c}.price_usd" in given else given.catalog.resolve_chip(c) for c in buyer.chips)
    need = replace(need_from(given, buyer.name, buyer.segment, model=buyer.model, country=buyer.country, chips=wanted,
                             ttft_s=buyer.promise.ttft_s, tpot_ms=buyer.promise.tpot_ms), own=own)
    if "buyer.min_domestic_share" in given:
        need = replace(need, min_domestic_share=given.middle("buyer.min_domestic_share"))
    names = [s.name for s in buyer.sites]
    if not names:
        return need
    if np.isfinite(need.power_kw):
        raise InputError("buyer states power_kw: and sites:; write the power of each site and drop power_kw:")
    if len(set(names)) < len(names):
        raise InputError(f"two sites have the name '{max(names, key=names.count)}'; give each its own")

    def figure(name: str, key: str, otherwise: float) -> float:
        row = f"buyer.site.{name}.{key}"
        return given.middle(row) if row in given else otherwise

    sites = tuple(Site(name=n, power_kw=figure(n, "power_kw", np.inf), rack_units=figure(n, "rack_units", np.inf),
                       pue=figure(n, "pue", np.nan), usd_per_kwh=figure(n, "usd_per_kwh", np.nan)) for n in names)
    return replace(need, sites=sites)


def _own(given: Given, name: str, fields: Mapping[str, Any]) -> Own:
    base = fields.get("base")
    return Own(base=given.catalog.resolve_chip(str(base)) if base else "",
               domestic=own_chip(fields, name=name, catalog=given.catalog).domestic)


def quarters_of(months: tuple[str, ...]) -> tuple[tuple[str, ...], Array]:
    """Return the calendar quarters that months touch, and months in each. (quarter)"""
    places = places_by_quarter(months)
    return tuple(places), np.array([float(len(at)) for at in places.values()])


__all__ = ["Need", "Own", "Site", "need_for", "need_from", "quarters_of"]
