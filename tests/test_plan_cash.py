"""The page of a chief financial officer: money by year, against flows counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plan_world import world_of

from chipcast.base.given import Given
from chipcast.plan import need_from
from chipcast.plan.cash import KINDS, at_stake, by_quarter, cash
from chipcast.plan.decide import Asked, Ground, work


@pytest.fixture(scope="module")
def done(given: Given) -> Ground:
    need = replace(need_from(given, "cloud", "cloud", model="deepseek-r1"), offsite_share_max=0.5)
    return work(given, need, *world_of(given), Asked(scenarios=30))


@pytest.fixture(scope="module")
def found(done: Ground) -> dict[str, Any]:
    return cash(done.fresh, done.judged["plan"], done.solved.decide)


def test_money_of_a_quarter_is_flows_times_prices_future_by_future(done: Ground) -> None:
    p, j = done.fresh, done.judged["plan"]
    quarters = by_quarter(p, j)
    for s, t in ((0, 0), (7, 3), (100, 11)):
        bought = sum(p.spend[i, t, s] * j.orders[i, t, s] for i in p.owned) * p.money
        others = sum(p.spend[i, t, s] * j.orders[i, t, s] for i in p.used) * p.money
        assert p.api_spend is not None
        others += p.api_spend[t, s] * j.api[t, s] * p.money
        running = sum(p.hold_cost[c, t, s] * j.owned[c, t, s] for c in range(len(p.stocks))) * p.money
        missing = p.miss_cost[t, s] * j.missing[t, s] * p.money
        assert [quarters[k][t, s] for k in KINDS] == pytest.approx([bought, others, running, missing])


def test_years_sum_to_the_whole_and_the_budget_is_what_is_paid(done: Ground, found: dict[str, Any]) -> None:
    assert found["years"] == ["2025", "2026", "2027", "all"]
    for cells in found["by_year"].values():
        assert sum(c["mean"] for c in cells[:-1]) == pytest.approx(cells[-1]["mean"])
    paid = sum(found["by_year"][k][-1]["mean"] for k in KINDS[:2])
    assert found["budget_used"]["mean"] == pytest.approx(paid)
    assert found["budget_usd"] == pytest.approx(6e6)


def test_what_a_shut_gate_costs_is_the_deposit_of_what_was_ordered_now(done: Ground, given: Given) -> None:
    p, j = done.fresh, done.judged["plan"]
    i = next(k for k in p.owned if p.offers[k].chip == "h20-96" and p.offers[k].contract == "spot")
    orders = np.zeros_like(j.orders)
    orders[i, 0] = 16.0
    found = cash(p, replace(j, orders=orders), 1)
    shut = p.arrive[i, 0] == 0
    assert 0 < shut.mean() < 1 and found["lost_chance"] == pytest.approx(shut.mean())
    deposit = 16 * p.spend[i, 0] * p.money * shut
    assert found["lost_usd"]["mean"] == pytest.approx(deposit.mean())
    open_ = np.sort(16 * p.spend[i, 0][~shut] * p.money)
    assert found["committed_usd"] == pytest.approx(open_[(open_.size - 1) // 2])
    # A deposit is a part of the price: what is lost is less than what is committed.
    assert found["lost_usd"]["p95"] < found["committed_usd"]
    home = next(k for k in p.owned if p.offers[k].domestic)
    safe = np.zeros_like(j.orders)
    safe[home, 0] = 16.0
    assert "no gate can keep it from shipping" in at_stake(cash(p, replace(j, orders=safe), 1))
    assert at_stake(cash(p, replace(j, orders=np.zeros_like(orders)), 1)).endswith("Nothing is bought now.")
