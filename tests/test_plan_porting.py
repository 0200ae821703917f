"""What a chip type costs before its first card serves: once, at its first order, wherever plans are compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plan_world import world_of

from chipcast.base.given import Given
from chipcast.plan import need_from
from chipcast.plan.decide import Asked, Ground, work
from chipcast.plan.labels import labels_by_date
from chipcast.plan.problem import Problem
from chipcast.plan.procure import case_of
from chipcast.plan.rivals import judge, neighbours, ported, with_porting
from chipcast.plan.value import First, Risk, news_costs, solve_plan


@pytest.fixture(scope="module")
def done(given: Given) -> Ground:
    need = need_from(given, "clinic", "clinic_school", model="deepseek-r1")
    return work(given, need, *world_of(given), Asked(scenarios=40))


@pytest.fixture(scope="module")
def p(done: Ground) -> Problem:
    return done.fresh.take(np.arange(5))


def orders_of(p: Problem, *placed: tuple[str, int, float]) -> Any:
    out = np.zeros((len(p.offers), len(p.quarters), p.size))
    for chip, quarter, units in placed:
        out[next(i for i, o in enumerate(p.offers) if o.chip == chip), quarter] = units
    return out


def test_a_type_is_ported_once_at_its_first_order(given: Given, p: Problem) -> None:
    assert p.porting is not None
    home, abroad = (next(i for i, o in enumerate(p.offers) if o.chip == c) for c in ("ascend-910b2", "h20-96"))
    assert np.array_equal(ported(p, orders_of(p)), np.zeros(p.size))
    once = ported(p, orders_of(p, ("ascend-910b2", 2, 8.0)))
    assert np.allclose(once, p.porting[home, 2])
    again = ported(p, orders_of(p, ("ascend-910b2", 2, 8.0), ("ascend-910b2", 5, 80.0)))
    assert np.allclose(again, once)
    both = ported(p, orders_of(p, ("ascend-910b2", 2, 8.0), ("h20-96", 0, 8.0)))
    assert np.allclose(both, once + p.porting[abroad, 0])
    # Later is cheaper by the discount, and a Chinese stack takes longer than the usual one in the middle.
    assert (p.porting[:, 1:] < p.porting[:, :-1]).all()
    assert given.middle("plan.porting_months_domestic") > given.middle("plan.porting_months_foreign")


def test_two_contracts_and_two_sites_of_one_chip_are_one_type(given: Given) -> None:
    need = need_from(given, "cloud", "cloud", model="deepseek-r1")
    p = case_of(given, need, *world_of(given)).problem.take(np.arange(4))
    at = [i for i, o in enumerate(p.offers) if o.chip == "h20-96"]
    orders = np.zeros((len(p.offers), len(p.quarters), 4))
    orders[at, 1] = 8.0
    assert len(at) > 1 and p.porting is not None
    assert np.allclose(ported(p, orders), p.porting[at[0], 1])


def test_porting_is_in_the_judged_cost_and_nowhere_else(done: Ground) -> None:
    plans = {"plan": done.first, "nothing": First(orders=np.zeros_like(done.first.orders),
                                                  signed=np.zeros_like(done.first.signed))}
    free = replace(done.fresh, porting=None)
    dear, cheap = (judge(done.fixed, plans, fresh, done.nodes) for fresh in (done.fresh, free))
    for name in plans:
        assert np.array_equal(dear[name].orders, cheap[name].orders)
        assert np.allclose(dear[name].costs - cheap[name].costs, ported(done.fresh, dear[name].orders))
    assert ported(done.fresh, dear["plan"].orders).max() > 0
    assert with_porting(free, cheap)["plan"].costs is not None


def test_a_decision_for_two_types_is_tried_with_one(p: Problem) -> None:
    h20, b2 = (next(i for i, o in enumerate(p.offers) if o.chip == c) for c in ("h20-96", "ascend-910b2"))
    orders = np.zeros((len(p.offers), 1))
    orders[h20, 0], orders[b2, 0] = 16.0, 16.0
    tried = {k: v for k, v in neighbours(p, First(orders=orders, signed=np.zeros(len(p.offers)))).items()
             if "fewer" in k}
    assert len(tried) == 2
    rate = p.rate[:, 0] @ p.weight
    for first in tried.values():
        kept = np.flatnonzero(first.orders[:, 0])
        assert kept.size == 1 and first.orders[kept[0], 0] % 8 == 0
        # What is left serves at least what both served, and less than a server more.
        before, after = float(orders[:, 0] @ rate), float(first.orders[:, 0] @ rate)
        assert before - 1e-9 <= after < before + 8 * rate[kept[0]]
    assert not any("fewer" in k for k in neighbours(p, First(orders=np.where(np.arange(len(p.offers))[:, None] == h20,
                                                                             8.0, 0.0),
                                                             signed=np.zeros(len(p.offers)))))


def test_perfect_news_costs_no_more_in_any_future_also_where_volumes_are_signed(given: Given) -> None:
    """Who knows the future signs for it too: a volume shared by all futures would make news dearer in some of them."""
    need = replace(need_from(given, "cloud", "cloud", model="deepseek-r1"), offsite_share_max=0.3)
    p = case_of(given, need, *world_of(given)).problem.take(np.arange(25))
    assert any(o.signed for o in p.offers)
    risk = Risk(tail_weight=0.95)
    solved = solve_plan(replace(p, scale=None), labels_by_date(len(p.quarters), 1, p.size), 1, risk)
    news = news_costs(p, risk)
    assert (news <= solved.costs + 1e-6 * np.abs(solved.costs).max()).all()
    alone = [news_costs(p.take(np.array([s]), np.ones(1)), risk)[0] for s in range(0, p.size, 6)]
    assert news[::6] == pytest.approx(alone, rel=1e-6)
