"""What is assumed of a buyer's weight in the market, and how much that could matter, in sentences."""

from __future__ import annotations

from typing import Any

from chipcast.base.summary import short
from chipcast.plan.contracts import TO_OWN
from chipcast.plan.procure import Case
from chipcast.plan.record import Order


def assumptions(case: Case, orders: tuple[Order, ...], weight: str = "") -> str:
    """Return what was assumed of the buyer's weight in the market, and of chips that no market trades.

    Parameters
    ----------
    weight : str
        What is known of that weight beside the share of supply.
    """
    own = [f"{case.names[chip]} is given the price path, waits, gates and contracts of {case.names[base]}; its "
           "figures, and what the rules say of them, are its own." for chip, base in case.own.items()]
    return " ".join([weight or share_of_supply(case, orders), *own])


def shares_of_supply(case: Case, orders: tuple[Order, ...]) -> dict[str, float]:
    """Return the largest order of a quarter by chip, over the cards that all buyers together get in a quarter. [1]"""
    by_quarter: dict[tuple[str, str], float] = {}
    for o in orders:
        if o.contract in TO_OWN:
            by_quarter[o.chip, o.quarter] = by_quarter.get((o.chip, o.quarter), 0.0) + o.units
    return {c: max(u for (chip, _), u in by_quarter.items() if chip == c) / case.supply_cards[c]
            for c in dict.fromkeys(chip for chip, _ in by_quarter) if case.supply_cards.get(c, 0) > 0}


def share_of_supply(case: Case, orders: tuple[Order, ...]) -> str:
    """Return how much of what all buyers get the orders are at most, where prices and waits were taken as given."""
    shares = shares_of_supply(case, orders)
    if not shares:
        return "Price taker: no chip is bought."
    worst = max(shares, key=shares.__getitem__)
    said = f"{shares[worst]:.0%}" if shares[worst] >= 0.01 else "under 1%"
    return f"Price taker: prices and waits are taken as given; the largest order is {said} of a quarter's " \
           f"{case.names[worst]} cards in China{UNCOUNTED}."


UNCOUNTED = ", and what an order of that size moves is not counted"


def could_move(case: Case, orders: tuple[Order, ...], moved: dict[str, Any], rise: float) -> str:
    """Return how much it could matter at most that prices and waits were taken as given: `footprint.rise_on`."""
    return share_of_supply(case, orders).replace(UNCOUNTED, "") \
        + f" Asked for on top of what all others want, its orders would raise {_moves(moved)}, and this plan would " \
          f"cost {_more(rise)} in mean and tail, at most; --moves plans with that."


def has_moved(moved: dict[str, Any], changes: tuple[float, ...], rise: float, enough: float) -> str:
    """Return that prices and waits count the plan's own orders, and how well plan and market agree."""
    end = f"they agree to {changes[-1]:.1%} of the cards after {len(changes)} rounds" if changes[-1] < enough else \
        f"after {len(changes)} rounds they differ by {changes[-1]:.0%} of the cards, as many plans cost nearly the same"
    end += f" (on the market as it leaves it the plan costs {_more(rise)})"
    return f"The market answers: prices and waits count this plan's own orders on top of what all others want, which " \
           f"raises {_moves(moved)}; plan and market were worked out in turn, and {end}."


def _moves(moved: dict[str, Any]) -> str:
    """Return what a plan moves by chip, the most moved first."""
    ranked = sorted(moved["price"], key=lambda c: -moved["price"][c])[:MOVED_SHOWN]
    return " and ".join(f"the street price of {c} by {moved['price'][c]:.1%} and its wait by "
                        f"up to {moved['wait_months'][c]:.1f} months in the first year" for c in ranked) or "nothing"


def _more(usd: float) -> str:
    return f"{short(usd)} USD more" if usd >= 0 else f"{short(-usd)} USD less"


MOVED_SHOWN = 2
"""Chips whose price and wait a sentence on the buyer's weight tells."""
