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
from chipcast.plan.decide import Asked, Ground, work, written
from chipcast.plan.record import Plan
from chipcast.report import chart_plan, table


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


@pytest.fixture(scope="module")
def record(done: Ground, given: Given) -> Plan:
    need = replace(need_from(given, "cloud", "cloud", model="deepseek-r1"), offsite_share_max=0.5)
    return written(done, given, need, Asked(scenarios=30))


def test_the_report_shows_money_by_year_and_does_without_where_it_was_not_kept(record: Plan) -> None:
    page = table.cash(record)
    assert page is not None and page.columns == ("", "2025", "2026", "2027", "all", "90% of futures")
    assert [row[0] for row in page.rows] == list(KINDS) and "Of the budget of 6M USD" in page.foot
    mean = record.detail["cash"]["by_year"][KINDS[0]][-1]["mean"]
    assert float(page.rows[0][4]) == pytest.approx(mean / 1e6, rel=1e-2)
    assert table.cash(replace(record, detail={})) is None


def test_the_calendar_stacks_orders_under_the_spread_of_their_sum(record: Plan, done: Ground) -> None:
    picture = chart_plan.orders(record)
    calendar = picture.panels[0]
    assert calendar.title == "Order calendar"
    whiskers = next(mark["data"]["values"] for mark in calendar.spec["layer"] if mark["mark"]["type"] == "rule")
    total = done.judged["plan"].orders.sum(axis=0)
    for row in whiskers:
        t = record.quarters.index(row["quarter"])
        assert row["low"] == pytest.approx(np.quantile(total[t], 0.05), rel=1e-2, abs=0.5)
        assert row["high"] == pytest.approx(np.quantile(total[t], 0.95), rel=1e-2, abs=0.5)
        assert row["high"] > row["low"]
    assert whiskers and "xOffset" not in calendar.spec["layer"][0]["encoding"]


def test_the_picture_of_failures_shows_the_box_that_the_words_describe(record: Plan) -> None:
    box = {"the price of H20 96GB in USD": (20_000.0, float("inf"))}
    g = np.random.default_rng(3)
    causes = {"the price of H20 96GB in USD": g.uniform(10_000, 30_000, 80).tolist(),
              "the need now in tokens/s": g.lognormal(3, 2, 80).tolist()}
    fails = [v > 20_000 for v in causes["the price of H20 96GB in USD"]]
    picture = chart_plan.failures(replace(record, detail={"failures": {"causes": causes, "fails": fails, "box": box}}))
    assert picture is not None and "Dashed" in picture.note
    spec = picture.panels[0].spec
    edges = [mark for mark in spec["layer"] if mark["mark"]["type"] == "rule"]
    assert [mark["data"]["values"] for mark in edges] == [[{"x": 20_000}]]
    assert spec["layer"][0]["encoding"]["y"]["scale"]["type"] == "symlog"
    assert "the price of H20 96GB and the need now tell them apart best" in picture.title
