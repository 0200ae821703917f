"""What a buyer reads: the answer in one sentence, what fails and what holds, what a change of the world is worth."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plan_world import world_of

from chipcast.base.given import Given
from chipcast.chain import make, prepare
from chipcast.plan import need_from
from chipcast.plan.answer import answer, failures, told_apart, worth_of_a_dollar
from chipcast.plan.explain import Box, boxes, sentence
from chipcast.plan.labels import labels_by_date
from chipcast.plan.procure import case_of
from chipcast.plan.record import Order
from chipcast.plan.value import Risk, solve_plan
from chipcast.plan.worth import STACKS_ROW, tenth_more_stacks, through_the_line

QUARTERS = ("2025Q1", "2025Q2", "2025Q3")


def order(**changes: Any) -> Order:
    base = {"quarter": "2025Q1", "chip": "h20-96", "supplier": "Nvidia", "contract": "spot", "units": 8.0, "now": True,
            "name": "H20 96GB"}
    return Order(**(base | changes))


def beside(difference: float, low: float, high: float, verdict: str) -> dict[str, dict[str, Any]]:
    return {"mean_value": {"difference": difference, "low": low, "high": high, "verdict": verdict}}


def test_a_signed_volume_and_its_call_off_are_one_act() -> None:
    orders = (order(contract="framework", units=160.0), order(contract="framework", units=16.0, quarter="2025Q2"),
              order(chip="h100-sxm", name="H100 SXM", contract="lease", units=16.0))
    signed = ({"chip": "h20-96", "name": "H20 96GB", "site": "", "units": 200.0, "must_take": 160.0},
              {"chip": "ascend-910c", "name": "Ascend 910C", "site": "cellar", "units": 64.0, "must_take": 52.0})
    said = answer(orders, signed, beside(1e6, 2e5, 1.8e6, "better"), ("fails in 3% of the fresh futures",), 500)
    assert said.startswith("Sign for 200 x H20 96GB (call off 160 now and 16 in 2025Q2), sign for 64 x Ascend 910C for "
                           "cellar (call off none yet) and lease 16 x H100 SXM abroad now; ")


@pytest.mark.parametrize(("difference", "low", "high", "said"), [
    (1e6, 2e5, 1.8e6, "(saves 1M USD, 90 %: 200k to 1.8M)"),
    (-5e4, -1.2e5, 2e4, "(costs 50k USD more, 90 %: -20k to 120k)"),
])
def test_an_interval_has_the_sign_of_its_verb(difference: float, low: float, high: float, said: str) -> None:
    assert said in answer((order(),), (), beside(difference, low, high, "cannot tell"), ("fails in 3%",), 500)


def test_nothing_to_order_is_said_so() -> None:
    assert answer((), (), beside(0, 0, 0, "cannot tell"), ("fails in 3%",), 500).startswith("Order no chips now; ")


def test_a_plan_that_mostly_fails_says_when_it_holds() -> None:
    x = np.linspace(0, 1, 1000, endpoint=False)
    noise = np.random.default_rng(5).uniform(size=1000)
    causes = {"the wait": x, "the weather": noise}
    often = failures(told_apart(causes, x > 0.2), x > 0.2, QUARTERS, 0.2)
    assert often[0] == "fails in 80% of the fresh futures (leaves over 20% of all tokens unserved)"
    assert re.match(r"holds in (99|100)% of the futures where the wait is under 0\.(19|20)", often[1])
    assert "weather" not in often[1]
    rarely = failures(told_apart(causes, x > 0.8), x > 0.8, QUARTERS, 0.2)
    assert re.match(r"fails in (99|100)% of the futures where the wait is above 0\.(79|80)", rarely[1]) or \
        "above 0.8 " in rarely[1]
    assert len(failures(told_apart(causes, x > 2), x > 2, QUARTERS, 0.2)) == 1


@pytest.fixture(scope="module")
def ready() -> Any:
    return prepare("february-2025", draws=200)


def test_a_tenth_more_stacks_is_a_tenth_more_in_every_draw(ready: Any) -> None:
    more = tenth_more_stacks(ready.given)
    assert np.allclose(more[STACKS_ROW] / ready.given[STACKS_ROW], 1.1, rtol=1e-9)
    assert np.array_equal(more["smic_n2.line_yield"], ready.given["smic_n2.line_yield"])


def test_memory_makes_more_cards_where_memory_binds(ready: Any) -> None:
    given: Given = ready.given
    before = make(ready.setting, given)
    line = through_the_line(before, make(ready.setting, tenth_more_stacks(given)))
    assert 0 < line["more_cards"] < 0.1 and line["bound_by"] == "memory stacks" and line["bound_share"] > 0.5
    same = through_the_line(before, before)
    assert same["more_cards"] == 0
    # Where nothing but dies binds, the sentence says so.
    assert through_the_line(replace(before, binding=np.full_like(before.binding, 2)), before)["bound_by"] == "good dies"


@pytest.fixture(scope="module")
def case(given: Given) -> Any:
    return case_of(given, need_from(given, "clinic", "clinic_school", model="deepseek-r1"), *world_of(given))


def test_what_a_dollar_serves_is_value_over_cost_future_by_future(case: Any) -> None:
    p = case.problem
    best = {}
    for i in p.owned:
        saves = costs = 0.0
        for s in range(p.size):
            costs += p.order_cost[i, 0, s]
            for t in range(p.lead[i, 0, s], len(p.quarters)):
                saves += p.arrive[i, 0, s] * p.rate[i, t, s] * p.miss_cost[t, s]
                costs += p.arrive[i, 0, s] * p.hold_cost[p.offers[i].stock, t, s]
        best[p.offers[i].chip] = saves / costs
    chip, ratio = worth_of_a_dollar(case)
    assert ratio == pytest.approx(max(best.values())) and best[chip] == pytest.approx(ratio)


def test_where_a_dollar_serves_less_than_a_dollar_no_plan_buys(case: Any) -> None:
    chip, ratio = worth_of_a_dollar(case)
    dear = replace(case, problem=replace(case.problem, miss_cost=0.5 / ratio * case.problem.miss_cost))
    assert worth_of_a_dollar(dear) == (chip, pytest.approx(0.5))
    p = dear.problem.take(np.arange(40))
    one = p.take(np.zeros(1, dtype=int), np.ones(1))
    mean = replace(one, **{name: np.asarray(getattr(p, name)).mean(axis=-1, keepdims=True)
                           for name in ("order_cost", "rate", "hold_cost", "need", "miss_cost", "spend", "arrive")})
    solved = solve_plan(mean, labels_by_date(len(p.quarters), 1, 1), 1, Risk())
    assert solved.now().sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("name", "low", "high", "said"), [
    ("the wait for H20 96GB in quarters", 3.67, np.inf, "the wait for H20 96GB is above 3.67 quarters"),
    ("the filled share of H20 96GB orders", -np.inf, 0.882, "the filled share of H20 96GB orders is under 88.2%"),
    ("the price of electricity in USD/kWh", 0.07, 0.1, "the price of electricity is 0.07 USD/kWh to 0.1 USD/kWh"),
    ("the density of defects of the local line per cm2", 0.4, np.inf, "per cm2 is above 0.4"),
])
def test_a_cause_is_read_with_its_unit_behind_the_number(name: str, low: float, high: float, said: str) -> None:
    box = Box(sides={name: (low, high)}, coverage=0.5, density=0.5, mass=0.5)
    assert said in sentence(box, QUARTERS)


def test_where_a_plan_fails_often_a_box_tells_more_than_that_it_fails_often() -> None:
    """Two in five futures fail anyway: a box of nearly all of them would cover nearly all failures and say nothing."""
    g = np.random.default_rng(11)
    x, noise = g.uniform(size=4000), g.uniform(size=4000)
    fails = g.uniform(size=4000) < np.where(x < 0.4, 0.6, 0.3)
    (box, *_) = boxes({"x": x, "noise": noise}, fails)
    assert box.sides.keys() == {"x"} and 0.33 < box.sides["x"][1] < 0.45
    assert box.density > fails.mean() + 0.1
