"""What `plan` answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One line of the order table."""

    quarter: str
    """Calendar quarter, `2025Q1`."""
    chip: str
    """Chip id."""
    supplier: str
    """Who sells it."""
    contract: str
    """spot, framework, option, rent, lease or api."""
    units: float
    """Cards, in whole servers; for an API tokens/s at the peak. Later ones are the mean over futures."""
    now: bool
    """Whether it is decided here and now; later ones depend on what is then seen."""
    interval: dict[str, float] = field(default_factory=dict)
    """Spread of a later order over futures."""
    name: str = ""
    """The chip as a reader knows it."""
    site: str = ""
    """Where it is installed; empty where there is one site."""
    ordered_share: float = 1.0
    """Share of futures in which it is ordered at all. [1]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to order now and later, what it is worth and where it fails."""

    buyer: str
    """Name of the buyer."""
    quarters: tuple[str, ...]
    """Quarters of the horizon. (quarter)"""
    decide_until: str
    """Last quarter whose orders are decided before anything is observed."""
    orders: tuple[Order, ...]
    """Here-and-now orders and the mean of later ones."""
    expected_cost_usd: float
    """Mean discounted cost on fresh futures, which the program has not seen. [USD]"""
    cvar_usd: float
    """Mean of the worst tail of cost on fresh futures. [USD]"""
    tail: float
    """Tail level alpha."""
    tail_weight: float
    """Weight of the tail in the objective."""
    values: dict[str, float]
    """ws, sp, eev, evpi, vss, out_of_sample. [USD]"""
    rivals: dict[str, dict[str, Any]]
    """Simpler plans: cost, paired difference with interval, verdict."""
    service_share: dict[str, float]
    """Interval of the share of need served."""
    fails: tuple[str, ...]
    """Sentences on the futures in which the plan fails."""
    shadow_prices: dict[str, float]
    """Worth of one more unit of each limit."""
    solver: dict[str, Any]
    """Status, seconds are left out on purpose; columns, rows, gap."""
    sentence: str
    """The answer in one sentence."""
    first_question: str = ""
    """Chips or an API, in one sentence."""
    reasons: tuple[str, ...] = ()
    """Why each contract was or was not chosen now."""
    signed: tuple[dict[str, Any], ...] = ()
    """Framework volumes signed now, and what of them must be taken."""
    assumed: str = ""
    """Whether the buyer moves the market, and what was assumed."""
    detail: dict[str, Any] = field(default_factory=dict)
    """Series for pictures: fleet over time, need, cost by decision date, tornado."""
