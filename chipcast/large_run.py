"""What large training runs deliver: tokens, days and money, by chip and by fix.

`cluster` says what share of paid chip-time is useful, `tokens` what a chip trains in a useful second, ownership what an
hour of it costs; here they meet, all on the same draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chipcast.base.errors import InfeasibleError, require
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.cluster.case import Case, keep
from chipcast.cluster.compare import Comparison
from chipcast.cluster.fixes import HALVED, Fix
from chipcast.cluster.platform import bins_of, mixed
from chipcast.cluster.record import PARTS
from chipcast.tokens.money import usd_per_chip_h
from chipcast.tokens.run import training_run
from chipcast.tokens.speed import figure

MODEL = "deepseek-v3"
"""The model that a large run trains unless another is named: the base of the news item's models."""

STEPS = 24
"""Sizes that are tried between a quarter and eight times the job for the least that finishes in time."""

SURE = (0.5, 0.9)
"""How surely an order finishes in time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What jobs of a comparison deliver in the same days."""

    model: str
    """Model that is trained."""
    days: float
    """Days of the run. [days]"""
    chips: tuple[str, ...]
    """Chip ids. (chip)"""
    sizes: tuple[int, ...]
    """Chips of each job. [chips] (chip)"""
    rate: Array
    """Tokens that a chip trains in a useful second. [tokens/s] (chip, draw)"""
    tokens: Array
    """Tokens trained in these days. [tokens] (chip, draw)"""
    lost_tokens: Array
    """Tokens that the same chips would have trained without any loss, less those. [tokens] (chip, draw)"""
    target: float
    """Tokens that each job is to train. [tokens]"""
    days_needed: Array
    """Days until they are trained. [days] (chip, draw)"""
    paid_usd: Array
    """Cost of the job's chips and spares over the days. [USD] (chip, draw)"""
    lost_usd: Array
    """Part of it paid for chip-time that trained nothing. [USD] (chip, draw)"""
    usd_per_million: Array
    """Cost of a million trained tokens. [USD] (chip, draw)"""
    grade: tuple[str, ...]
    """On what each rate rests. (chip)"""


def training_rate(given: Given, chip: str, chips: int, model: str) -> tuple[Array, str]:
    """Return tokens per second of a chip while it trains, and on what that rests; mixed over the bins of a name.

    Raises
    ------
    InfeasibleError
        If the model does not train on so many chips.
    """
    runs = [training_run(given, model, item, chips=chips, tokens=1e12) for item in bins_of(chip)]
    rate: Array = np.asarray(mixed(given, chip, [r.tokens_per_s_per_chip for r in runs]), dtype=float)
    return rate, "; ".join(dict.fromkeys(r.grade for r in runs))


def hourly(given: Given, chip: str) -> Array:
    """Return the cost of an hour of a chip to a platform. [USD/h] (draw)"""
    each = [np.broadcast_to(usd_per_chip_h(given, item), (given.draws,)) for item in bins_of(chip)]
    out: Array = np.asarray(mixed(given, chip, each), dtype=float)
    return out


def system_price(given: Given, chip: str) -> Array:
    """Return the price of one chip with its share of server and network; not-a-number without a price. [USD] (draw)"""
    each = []
    for item in bins_of(chip):
        price = figure(given, item, "price_usd")
        factor = given.first("platform.server_factor", f"{item}.server_factor", "ownership.server_factor")
        each.append(np.broadcast_to(np.nan if price is None else price * factor * (
            1 + given["ownership.network_share"]), (given.draws,)))
    out: Array = np.asarray(mixed(given, chip, each), dtype=float)
    return out


def deliver(given: Given, compared: Comparison, *, days: float, model: str = MODEL, target: float | None = None
            ) -> Delivery:
    """Return what each job of a comparison delivers.

    Parameters
    ----------
    given : Given
        The table.
    compared : Comparison
        Jobs on the same draws.
    days : float
        Length of the run. [days]
    model : str
        What is trained.
    target : float, optional
        Tokens to train; what the first job trains in these days at its medians if left out. [tokens]
    """
    require(days > 0, "days", "be above 0", days)
    found = [training_rate(given, c, n, model) for c, n in zip(compared.chips, compared.sizes, strict=True)]
    rate = np.stack([r for r, _ in found])
    size = np.asarray(compared.sizes, dtype=float)[:, None]
    useful = compared.ledger[:, PARTS.index("productive")]
    tokens = rate * size * useful * days * 86_400
    total = size * useful / compared.goodput  # chips and idle spares
    paid = total * days * 24 * np.stack([hourly(given, c) for c in compared.chips])
    goal = float(np.median(tokens[0])) if target is None else target
    require(goal > 0, "tokens to train", "be above 0", goal)
    return Delivery(model=model, days=days, chips=compared.chips, sizes=compared.sizes, rate=rate, tokens=tokens,
                    lost_tokens=tokens * (1 / useful - 1), target=goal, days_needed=days * goal / tokens,
                    paid_usd=paid, lost_usd=paid * (1 - compared.goodput), usd_per_million=paid / tokens * 1e6,
                    grade=tuple(g for _, g in found))


@dataclass(frozen=True, kw_only=True, slots=True)
class Worth:
    """What one fix is worth to a job."""

    name: str
    """The fix."""
    tokens: Array
    """Further tokens trained in the days. [tokens] (draw)"""
    days: Array
    """Days by which the target is reached earlier. [days] (draw)"""
    usd: Array
    """Cost of the chip-time that becomes useful. [USD] (draw)"""


def worth_of(given: Given, delivery: Delivery, compared: Comparison, fixes: Sequence[Fix]) -> tuple[Worth, ...]:
    """Return what fixes of the first job are worth, each on its own draws."""
    useful = compared.ledger[0, PARTS.index("productive")]
    chips = float(delivery.sizes[0])
    spend = chips * delivery.days * 24 * hourly(given, delivery.chips[0])
    out = []
    for fix in fixes:
        if fix.name == HALVED:
            continue  # fewer chips train less, however well they hold
        then = np.maximum(useful + fix.useful, 1e-9)
        out.append(Worth(name=fix.name, tokens=delivery.tokens[0] * (then / useful - 1),
                         days=delivery.days_needed[0] * (1 - useful / then), usd=spend * fix.useful))
    return tuple(out)


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """How many chips to order so that a run is done in time."""

    chip: str
    """Chip id."""
    sure: float
    """Probability with which it is done in time. [1]"""
    chips: float
    """Chips of the job, in whole servers. [chips]"""
    spares: float
    """Spare chips beside them, at the median. [chips]"""
    usd: Array
    """Price of all of them with servers and network. [USD] (draw)"""


def order(given: Given, case: Case, delivery: Delivery, which: int) -> tuple[Order, ...]:
    """Return the least job of one chip that trains the target in the days, at each entry of `SURE`.

    The rate of a chip is taken as at the compared size; what the job keeps is computed at every size that is tried.

    Raises
    ------
    InfeasibleError
        If no size up to eight times the compared one is done in time.
    """
    server = case.chips_per_node
    base = delivery.sizes[which]
    grid = np.unique(np.ceil(base * np.geomspace(0.25, 8.0, STEPS) / server) * server)
    chance, spares = np.zeros(0), np.zeros(0)
    for n in grid:
        kept = keep(case, (int(n),))
        useful = kept.ledger[0, PARTS.index("productive")]
        done = delivery.rate[which] * n * useful * delivery.days * 86_400 >= delivery.target
        chance, spares = np.append(chance, done.mean()), np.append(spares, np.median(kept.spares[0]))
        if chance[-1] >= max(SURE):
            break
    chance = np.maximum.accumulate(chance)
    grid = grid[: len(chance)]
    out = []
    for sure in SURE:
        if chance[-1] < sure:
            raise InfeasibleError(f"{grid[-1]:,.0f} x {delivery.chips[which]} train {delivery.target:.3g} tokens in "
                                  f"{delivery.days:g} days with probability {chance[-1]:.2f} only; allow more days")
        k = int(np.argmax(chance >= sure))
        n = grid[k]
        if k > 0 and chance[k] > chance[k - 1]:
            part = (sure - chance[k - 1]) / (chance[k] - chance[k - 1])
            n = np.ceil(np.exp(np.log(grid[k - 1]) * (1 - part) + np.log(grid[k]) * part) / server) * server
        extra = float(np.ceil(np.interp(n, grid, spares) / server) * server)
        out.append(Order(chip=delivery.chips[which], sure=sure, chips=float(n), spares=extra,
                         usd=(n + extra) * system_price(given, delivery.chips[which])))
    return tuple(out)
