"""The buyer's problem as numbers: what is on offer, what each future makes of it, and every limit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from chipcast.base.types import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """Something that can be ordered: a chip to own, or a service by the quarter."""

    chip: str
    """Chip id, or the model's name for an API."""
    supplier: str
    """Who sells it."""
    contract: str
    """spot, framework, option, rent, lease or api."""
    domestic: bool = False
    """Whether it counts for the domestic share."""
    stock: int = -1
    """Position of the owned stock that it feeds; -1 for a service used up in its quarter."""
    lot: float = 1.0
    """Units of a whole lot, 8 for a server; 0 for no whole lots."""
    first_block: float = 0.0
    """Units of the smallest deployment."""
    take: float = 0.0
    """Share of the volume signed here and now that must be called off; 0 where nothing is signed. [1]"""
    least_signed: float = 0.0
    """Smallest volume that can be signed. [units]"""
    site: str = ""
    """Where it is installed; empty where there is one site, or none of the buyer's own."""

    @property
    def signed(self) -> bool:
        """Whether a volume is signed first and called off later."""
        return self.take > 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """All numbers of a buyer's program; the last axis is `scenario`."""

    quarters: tuple[str, ...]
    """Quarters of the horizon. (quarter)"""
    offers: tuple[Offer, ...]
    """What can be ordered. (offer)"""
    stocks: tuple[str, ...]
    """Chips that can be owned. (stock)"""
    weight: Array
    """Probability. (scenario)"""
    order_cost: Array
    """Discounted cost of a unit ordered, less what is later got back. [money] (offer, quarter, scenario)"""
    arrive: Array
    """Share of a unit ordered that arrives. [1] (offer, quarter, scenario)"""
    lead: npt.NDArray[np.int32]
    """Quarters from order to service. (offer, quarter, scenario)"""
    order_cap: Array
    """Units that may be ordered, 0 where the law forbids. (offer, quarter, scenario)"""
    rate: Array
    """Useful tokens a second of a unit at the peak. [service] (offer, quarter, scenario)"""
    hold_cost: Array
    """Discounted power, people and upkeep of an owned unit. [money] (stock, quarter, scenario)"""
    final_value: Array
    """Discounted value of an owned unit after the last quarter. [money] (stock, scenario)"""
    keep: float
    """Share of owned units left after a quarter."""
    need: Array
    """Service needed at the peak. [service] (quarter, scenario)"""
    miss_cost: Array
    """Discounted cost of a missing unit of service. [money/service] (quarter, scenario)"""
    spend: Array
    """Cash for a unit ordered, undiscounted. [money] (offer, quarter, scenario)"""
    budget: Array
    """Cash limit of each quarter; of the horizon if `pooled`, in its first entry. [money] (quarter)"""
    pooled: bool = True
    """Whether money left over is carried on."""
    overdraft: float = np.inf
    """Cost of a unit of money over the budget; infinite for never."""
    untaken_cost: Array | None = None
    """Discounted cost of a signed unit that must be taken and is not. [money] (offer, scenario)"""
    site: npt.NDArray[np.int_] | None = None
    """Site of each stock; all at the first if left out. (stock)"""
    power: Array | None = None
    """Power of an owned unit. [power] (stock)"""
    power_limit: Array | None = None
    """Power limit of each site. [power] (site, quarter)"""
    space: Array | None = None
    """Space of an owned unit. [space] (stock)"""
    space_limit: Array | None = None
    """Space of each site. [space] (site)"""
    min_domestic: Array | None = None
    """Least share of domestic units among those ordered. [1] (quarter)"""
    scale: Array | None = None
    """Units that would serve all need as far as it can be seen at the order; later orders are shares of it, so that a
    buyer whose need or chips turn out otherwise orders in proportion. None: later orders are in units.
    (offer, quarter, scenario)"""
    resale: Array | None = None
    """Discounted cash for an owned unit sold early, over what its order already counts. (stock, quarter, scenario)"""
    inflow: Array | None = None
    """Owned units that come in without a new order: earlier orders and what is there. (stock, quarter, scenario)"""
    api_cost: Array | None = None
    """Discounted cost of a unit of service by the token, not committed. [money/service] (quarter, scenario)"""
    api_spend: Array | None = None
    """Cash for it, undiscounted. [money/service] (quarter, scenario)"""
    api_cap: Array | None = None
    """Most service that may be bought so. [service] (quarter, scenario)"""
    outside_cap: Array | None = None
    """Most service that rented machines and an API may give together. [service] (quarter, scenario)"""
    porting: Array | None = None
    """Discounted cost of bringing a chip type into service that is first ordered in a quarter. [money]
    (offer, quarter, scenario)"""
    serve_share: float = 0.0
    """Least share of all need over the horizon that must be served on average over futures; 0 for none. [1]"""
    seconds: Array | None = None
    """Weight of each quarter in that share; even if left out. (quarter)"""
    money: float = 1.0
    """USD in one unit of money."""

    @property
    def size(self) -> int:
        """Number of scenarios."""
        return int(self.weight.size)

    def in_units(self, t: int) -> Array:
        """Return units per share ordered in a quarter after the decision date. (offer, scenario)"""
        return np.ones((len(self.offers), self.size)) if self.scale is None else self.scale[:, t]

    @property
    def owned(self) -> list[int]:
        """Positions of the offers that feed a stock of the buyer's own."""
        return [i for i, o in enumerate(self.offers) if o.stock >= 0]

    @property
    def used(self) -> list[int]:
        """Positions of the offers that are used up in their quarter."""
        return [i for i, o in enumerate(self.offers) if o.stock < 0]

    @property
    def feeds(self) -> list[int]:
        """Position of the first offer that feeds each stock: its rate is the stock's. (stock)"""
        return [next(i for i, o in enumerate(self.offers) if o.stock == c) for c in range(len(self.stocks))]

    @property
    def sites(self) -> npt.NDArray[np.int_]:
        """Site of each stock. (stock)"""
        return np.zeros(len(self.stocks), dtype=int) if self.site is None else self.site

    def take(self, keep: npt.NDArray[np.intp], weight: Array | None = None) -> Problem:
        """Return the problem for some scenarios, with their own or even weights."""
        w = np.full(keep.size, 1 / keep.size) if weight is None else weight
        cut = {k: getattr(self, k)[..., keep] for k in VARYING if getattr(self, k) is not None}
        return replace(self, weight=w, **cut)

    def from_quarter(self, t: int) -> Problem:
        """Return the problem that is left from quarter `t` on; money stays discounted to the first quarter."""
        cut = {k: getattr(self, k)[..., t:, :] for k in VARYING
               if k not in NO_QUARTER and getattr(self, k) is not None}
        for k in ("budget", "power_limit", "min_domestic", "seconds"):
            value = getattr(self, k)
            if value is not None and not (k == "budget" and self.pooled):
                cut[k] = value[..., t:]
        return replace(self, quarters=self.quarters[t:], **cut)

    def mean(self) -> Problem:
        """Return the one scenario in which every random quantity is at its mean; lead times are rounded."""
        cut = {}
        for k in VARYING:
            value = getattr(self, k)
            if value is not None:
                average = (value * self.weight).sum(axis=-1, keepdims=True)
                cut[k] = np.rint(average).astype(np.int32) if k == "lead" else average
        return replace(self, weight=np.ones(1), **cut)


VARYING = ("order_cost", "arrive", "lead", "order_cap", "rate", "hold_cost", "final_value", "need", "miss_cost",
           "spend", "resale", "inflow", "untaken_cost", "api_cost", "api_spend", "api_cap", "outside_cap",
           "scale", "porting")
"""Fields with a scenario axis."""

NO_QUARTER = ("final_value", "untaken_cost")
"""Fields with a scenario axis and none of quarters."""
