"""Strategies that a buyer may compare the plan with: one kind of chip only, renting, an API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.given import Given
from chipcast.base.summary import interval
from chipcast.market.record import Market
from chipcast.plan.decide import Ground, served_share
from chipcast.plan.judge import Judged
from chipcast.plan.need import Need
from chipcast.plan.problem import Offer, Problem
from chipcast.plan.procure import case_of
from chipcast.plan.record import Plan
from chipcast.plan.rivals import judge
from chipcast.plan.value import First, Fixed, Risk, contributions, paired, solve_plan
from chipcast.rules.record import Verdicts
from chipcast.tokens.record import Service

STRATEGIES: Mapping[str, Callable[[Offer], bool]] = {
    "all-h20": lambda o: o.stock >= 0 and o.chip.startswith("h20"),
    "all-foreign": lambda o: o.stock >= 0 and not o.domestic,
    "all-local": lambda o: o.stock >= 0 and o.domestic,
    "own": lambda o: o.stock >= 0,
    "rent": lambda o: o.contract in ("rent", "lease"),
    "api": lambda o: False,
}
"""Which offers each strategy may use over the whole horizon."""


def only(p: Problem, allowed: list[int], *, api: bool = False) -> Problem:
    """Return the problem in which nothing but these offers can be ordered, and the API used or not."""
    shut = np.ones(len(p.offers), dtype=bool)
    shut[allowed] = False
    return replace(p, order_cap=np.where(shut[:, None, None], 0.0, p.order_cap), min_domestic=None,
                   api_cap=p.api_cap if api else None)


def follow(done: Ground, wide: Problem, strategy: str) -> tuple[First, Judged, Problem] | None:
    """Return the decision, the judged futures and their problem of a strategy, or None where it has no offer."""
    test = choose(STRATEGIES, strategy, "strategy")
    allowed = [i for i, o in enumerate(wide.offers) if test(o)]
    by_api = strategy == "api"
    if not allowed and not (by_api and wide.api_cost is not None):
        return None
    sample = only(wide.take(done.picks, done.solved.problem.weight), allowed, api=by_api)
    fresh = replace(only(wide.take(done.seen), allowed, api=by_api), overdraft=done.fresh.overdraft)
    labels, decide = done.solved.labels, done.solved.decide
    first = solve_plan(sample, labels, decide, done.risk).first()
    fixed = Fixed(replace(sample, overdraft=fresh.overdraft), labels, decide, replace(done.risk, whole=False))
    return first, judge(fixed, {strategy: first}, fresh, done.nodes)[strategy], fresh


def compare(done: Ground, plan: Plan, given: Given, buyer: Need, market: Market, service: Service, verdicts: Verdicts,
            names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return simple strategies beside a plan: orders now, costs, paired saving of the plan and a verdict.

    Strategies may rent and use an API even where the buyer's records stay in the house, so that their price is
    seen; a strategy without an offer says so. `wait` and the other rules of thumb of the plan may be named too.

    Raises
    ------
    InputError
        If a name is no strategy.
    """
    known = {**dict.fromkeys(STRATEGIES), **dict.fromkeys(plan.rivals)}
    for name in names:
        choose(known, name, "strategy")
    wide = case_of(given, replace(buyer, offsite_share_max=1.0), market, service, verdicts).problem
    money = done.case.problem.money
    mine = done.judged["plan"].costs * money
    out: dict[str, dict[str, Any]] = {}
    for name in names:
        if name not in STRATEGIES:
            out[name] = dict(plan.rivals[name])
            continue
        followed = follow(done, wide, name)
        if followed is None:
            out[name] = {"cost": None, "why": "nothing on offer"}
            continue
        first, judged, fresh = followed
        orders = {f"{done.case.names[o.chip]} by {o.contract}": float(u)
                  for o, u in zip(wide.offers, first.orders.sum(axis=1), strict=True) if u > 1e-6}
        costs = judged.costs * wide.money
        out[name] = {"cost": float(costs.mean()), "risk_cost": float(contributions(costs, done.risk).mean()),
                     "now": orders, "served": interval(served_share(fresh, judged, done.case.seconds)),
                     **paired(mine, costs, done.risk)}
    return out


__all__ = ["STRATEGIES", "Risk", "compare", "follow", "only"]
