"""Which chips a buyer can order at all: those that keep the promise, have a price, are traded and allowed.

Needs no market, so that a promise that nothing keeps is refused before anything long is computed.
"""

from __future__ import annotations

import numpy as np

from chipcast.base.errors import InfeasibleError
from chipcast.base.given import Given
from chipcast.market.record import CHIPS
from chipcast.plan.contracts import name_of
from chipcast.plan.need import Need, quarters_of
from chipcast.plan.ownership import first_block, permitted, rows_of, traded_as
from chipcast.rules.record import Verdicts
from chipcast.tokens.record import Service

IGNORED = "not among the chips the buyer would consider"

REASONS_SHOWN = 2
"""Reasons of chips left out that a refusal tells; the chip that comes nearest to the promise first."""

W_PER_KW = 1000.0
"""Watts in a kilowatt."""


def candidates(given: Given, need: Need, service: Service, verdicts: Verdicts, months: tuple[str, ...],
               ) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the chips that keep the promise and may be bought, and why the others are left out.

    Raises
    ------
    InfeasibleError
        If no chip is left; says what comes nearest.
    """
    out, why = [], {}
    _, per_quarter = quarters_of(months)
    starts = [months[int(k)] for k in np.cumsum(per_quarter) - per_quarter]
    kept_from = {c: _kept_from(given, need, verdicts, c, starts) for c in service.chips}
    for i, chip in enumerate(service.chips):
        if need.chips and chip not in need.chips:
            why[chip] = IGNORED
        elif first_block(service, i) <= 0 or service.feasible[i] <= 0:
            why[chip] = service.reasons[i] or "no layout keeps the promise"
        elif kept_from[chip]:
            why[chip] = kept_from[chip]
        else:
            out.append(chip)
    if not out:
        considered = {c: r for c, r in why.items() if r != IGNORED} or why
        said = _together(given, service, considered, {c for c in why if not kept_from[c]})
        slow = any(not kept_from[c] for c in considered)
        way = "relax the promise to what the nearest takes, or consider more chips" if slow else \
            "name others under chips:, or leave chips: out to consider all" if need.chips else "consider more chips"
        raise InfeasibleError(f"no plan fits: no chip serves {service.model} for {need.name} ({said}); {way}")
    return tuple(out), why


def looks_hopeless(given: Given, need: Need, service: Service, chips: tuple[str, ...]) -> bool:
    """Return whether no chip's smallest deployment fits budget and rooms even by list price and the power of its cards.

    Servers, networks and cooling come on top, so this misses nothing that a plan without a market could know; prices
    may fall, so a market must confirm it.
    """
    room = np.inf if need.offsite_share_max > 0 else max(s.power_kw for s in need.rooms)
    for chip in chips:
        cards = first_block(service, service.chips.index(chip))
        price = given.middle(rows_of(given, need, chip, "price_usd")[0])
        power = [given.middle(n) / W_PER_KW for n in rows_of(given, need, chip, "tdp_w")[:1]]
        if cards * price <= need.budget_usd and cards * sum(power) <= room:
            return False
    return True


def _kept_from(given: Given, need: Need, verdicts: Verdicts, chip: str, starts: list[str]) -> str:
    """Return why a buyer cannot buy a chip, however fast it is; empty if it can."""
    own = need.own.get(chip)
    if own and not own.base:
        return "no market trades it; give it a base: whose waits, gates and contracts it shares"
    if not rows_of(given, need, chip, "price_usd"):
        return "its price is not known; state " + ("price_usd: with it under chips:" if own else
                                                   f"yours with chips: {{my-{chip}: {{base: {chip}, price_usd: ...}}}}")
    if traded_as(need, chip) not in CHIPS:
        return f"the market does not trade its base, {name_of(given, own.base)}, openly" if own else \
            "the market does not trade it openly"
    return "" if permitted(verdicts, need, chip, starts).any() else "the rules in force bar it for this buyer"


def _together(given: Given, service: Service, why: dict[str, str], sold: set[str]) -> str:
    """Return why chips are left out, chips with the same reason together; what is sold to the buyer first, the nearest
    to the promise first.
    """
    speed = {c: float(np.median(service.tpot_ms[i])) for i, c in enumerate(service.chips)}
    by_reason: dict[str, list[str]] = {}
    for c in sorted(why, key=lambda c: (c not in sold, speed[c] if np.isfinite(speed[c]) else np.inf)):
        by_reason.setdefault(why[c], []).append(name_of(given, c))
    parts = [f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()]
    rest = len(parts) - REASONS_SHOWN
    return "; ".join(parts[:REASONS_SHOWN]) + (f"; {rest} more are out too" if rest > 0 else "")
