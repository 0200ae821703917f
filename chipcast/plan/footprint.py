"""How much a large buyer moves the market that it buys from, and what it then orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from chipcast.base.calendar import DAYS_PER_MONTH
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.market.clear import grey_premium
from chipcast.market.record import Market
from chipcast.plan import rivals
from chipcast.plan.contracts import TO_OWN, name_of
from chipcast.plan.decide import Asked, Ground, Tell, work
from chipcast.plan.need import Need, quarters_of
from chipcast.plan.ownership import traded_as
from chipcast.plan.procure import case_of
from chipcast.plan.value import Fixed, contributions
from chipcast.rules.record import Verdicts
from chipcast.tokens.record import Service

ROUNDS = 5
"""Most times that a plan is made again on the market that it moved."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """A plan and a market that answer each other."""

    ground: Ground
    """The last plan."""
    market: Market
    """The market as its orders leave it."""
    changes: tuple[float, ...]
    """How far the cards ordered lie from those that the market was given, as a share of them. [1] (round)"""
    ordered: dict[str, Array]
    """Cards of each traded chip that the market was given on top. [cards/month] (month)"""
    rise_usd: float
    """How much dearer the last plan gets on the market as its own orders leave it: what is left unsettled. [USD]"""


def own_orders(need: Need, market: Market, ground: Ground) -> dict[str, Array]:
    """Return the mean cards that a plan orders to own, by traded chip. [cards/month] (month)

    An order of a quarter is spread evenly over its months.
    """
    p, mean = ground.case.problem, ground.judged["plan"].orders.mean(axis=-1)
    out: dict[str, Array] = {}
    months = quarters_of(market.months)[1]
    quarter = np.repeat(np.arange(months.size), months.astype(int))
    for i, offer in enumerate(p.offers):
        if offer.contract in TO_OWN and mean[i].any():
            chip = traded_as(need, offer.chip)
            out[chip] = out.get(chip, np.zeros(quarter.size)) + (mean[i] / months)[quarter]
    return out


def pressed(given: Given, market: Market, ordered: Mapping[str, Array]) -> Market:
    """Return the market in which some cards are asked for on top of what all buyers ask for.

    Parameters
    ----------
    ordered : mapping of arrays
        Cards on top by traded chip. [cards/month] (month)

    Notes
    -----
    By the market's own laws, month by month, with what sellers have ready (shipped and on the shelf) and what others
    ask for as they are: the filled share falls to ready / (wanted + ordered), the street premium follows the unfilled
    share at once, the wait grows by what is left on order over what is shipped. Others would step back a little and
    sellers make more, so this is the most that such an order moves. Where nothing ships, nothing moves.
    """
    price, fill, lead = (np.array(a, dtype=float) for a in (market.price_usd, market.fill, market.lead_time_days))
    most, kappa = given["grey.premium_max"], given["grey.premium_kappa"]
    for chip, cards in ordered.items():
        c, more = market.chips.index(chip), np.asarray(cards)[:, None]
        shipped, before = market.shipped[c].astype(float), fill[c].copy()
        moves = (shipped > 0) & (before > 0) & (more > 0)
        wanted = shipped / np.where(moves, before, 1.0)
        ready = np.where(before < 1, shipped, shipped + market.shelf[c])
        # What everyone got before is ready by definition, so the filled share can only fall.
        after = np.minimum(np.minimum(ready / np.maximum(wanted + more, 1e-9), 1.0), before)
        fill[c] = np.where(moves, after, before)
        rise = (1 + grey_premium(1 - after, most, kappa)) / (1 + grey_premium(1 - before, most, kappa))
        price[c] *= np.where(moves, rise, 1.0)
        left = (1 - after) * (wanted + more) - (1 - before) * wanted
        months = np.minimum(left / np.maximum(shipped, 1e-9), len(market.months))
        lead[c] += np.where(moves, DAYS_PER_MONTH * np.maximum(months, 0.0), 0.0)
    quoted = market.price_usd[:, 0] if market.quoted_usd is None else market.quoted_usd
    return replace(market, price_usd=price, fill=fill, lead_time_days=lead, quoted_usd=quoted)


def rise_on(given: Given, need: Need, moved: Market, service: Service, verdicts: Verdicts, ground: Ground) -> float:
    """Return how much dearer the same plan gets on another market than on the one it was made for. [USD]"""
    case = case_of(given, need, moved, service, verdicts)
    penalty = given.middle("plan.overdraft_penalty")
    sample = replace(case.problem.take(ground.picks, ground.solved.problem.weight), overdraft=penalty)
    fixed = Fixed(sample, ground.fixed.labels, ground.fixed.decide, replace(ground.risk, whole=False))
    fresh = replace(case.problem.take(ground.seen), overdraft=penalty)
    after = rivals.judge(fixed, {"plan": ground.first}, fresh, ground.nodes)["plan"].costs * case.problem.money
    before = ground.judged["plan"].costs * ground.case.problem.money
    return float(contributions(after, ground.risk).mean() - contributions(before, ground.risk).mean())


YEAR = 12
"""Months over which a move of the market is told."""


def movement(given: Given, market: Market, moved: Market, ordered: Mapping[str, Array]) -> dict[str, dict[str, float]]:
    """Return the mean rise of price [1] and the 95th percentile of that of the wait [months] over the first year, by
    chip in words.
    """
    at = {c: market.chips.index(c) for c, cards in ordered.items() if cards[:YEAR].any()}
    wait = {c: (moved.lead_time_days[i, :YEAR] - market.lead_time_days[i, :YEAR]) / DAYS_PER_MONTH
            for c, i in at.items()}
    price = {c: moved.price_usd[i, :YEAR] / np.maximum(market.price_usd[i, :YEAR], 1e-9) - 1 for c, i in at.items()}
    return {"price": {name_of(given, c): float(p.mean()) for c, p in price.items()},
            "wait_months": {name_of(given, c): float(np.quantile(w, 0.95)) for c, w in wait.items()}}


def settle(given: Given, need: Need, market: Market, service: Service, verdicts: Verdicts, asked: Asked,
           ground: Ground, *, tell: Tell = lambda _: None, plan: Callable[..., Ground] = work) -> Settled:
    """Return the plan that is still the plan on the market as its own orders leave it.

    Parameters
    ----------
    ground : Ground
        The plan of a price taker, from which it starts.

    Notes
    -----
    Orders on top are the mean of those of all rounds so far (successive averages), so that two plans that answer each
    other cannot swing for ever; it ends when they move by less than `plan.settled_share`, or after `ROUNDS` rounds.
    Sources: Robbins and Monro, "A stochastic approximation method", Annals of Mathematical Statistics 22, 1951.
    """
    ordered = own_orders(need, market, ground)
    changes: list[float] = []
    moved = market
    for k in range(1, ROUNDS + 1):
        tell(f"planning again on the market that the plan moves, round {k}")
        moved = pressed(given, market, ordered)
        ground = plan(given, need, moved, service, verdicts, asked)
        new = own_orders(need, market, ground)
        chips = {*ordered, *new}
        none = np.zeros(len(market.months))
        apart = {c: new.get(c, none) - ordered.get(c, none) for c in chips}
        size = sum(float(v.sum()) for v in new.values())
        changes.append(sum(float(np.abs(v).sum()) for v in apart.values()) / max(size, 1e-9))
        ordered = {c: ordered.get(c, none) + apart[c] / (k + 1) for c in sorted(chips)}
        if changes[-1] < given.middle("plan.settled_share"):
            break
    own = pressed(given, market, own_orders(need, market, ground))
    return Settled(ground=ground, market=moved, changes=tuple(changes), ordered=ordered,
                   rise_usd=rise_on(given, need, own, service, verdicts, ground))
