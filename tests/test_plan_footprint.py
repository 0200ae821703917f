"""A buyer so large that its own orders move prices and waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plan_world import world_of

from chipcast.base.given import Given
from chipcast.market.clear import grey_premium
from chipcast.market.record import Market
from chipcast.plan import Need, need_from
from chipcast.plan.decide import Asked, Ground, work
from chipcast.plan.footprint import ROUNDS, movement, own_orders, pressed, rise_on, settle
from chipcast.plan.weight import could_move, has_moved

ASKED = Asked(scenarios=30)


def scarce(given: Given) -> tuple[Market, Any, Any]:
    """Return the world in which 100 cards of each chip ship a month and 200 are wanted."""
    market, service, verdicts = world_of(given, fill=0.5)
    shipped = np.full_like(market.fill, 100.0)
    return replace(market, shipped=shipped, shelf=np.zeros_like(shipped)), service, verdicts


@pytest.fixture(scope="module")
def need(given: Given) -> Need:
    return need_from(given, "hospital", "clinic_school", model="deepseek-r1")


@pytest.fixture(scope="module")
def done(given: Given, need: Need) -> Ground:
    return work(given, need, *scarce(given), ASKED)


def test_an_order_on_top_follows_the_laws_of_the_market(given: Given) -> None:
    market, _, _ = scarce(given)
    moved = pressed(given, market, {"ascend-910b": np.full(len(market.months), 50.0)})
    c = market.chips.index("ascend-910b")
    assert np.allclose(moved.fill[c], 100 / 250)
    # 150 of 250 stay on order where 100 of 200 did: half a month's shipments more.
    assert np.allclose(moved.lead_time_days[c] - market.lead_time_days[c], 365.25 / 24)
    most, kappa = given["grey.premium_max"], given["grey.premium_kappa"]
    rise = (1 + grey_premium(0.6, most, kappa)) / (1 + grey_premium(0.5, most, kappa))
    assert np.allclose(moved.price_usd[c] / market.price_usd[c], rise)
    others = [k for k in range(len(market.chips)) if k != c]
    for name in ("fill", "price_usd", "lead_time_days"):
        assert np.array_equal(getattr(moved, name)[others], getattr(market, name)[others])


def test_what_is_on_the_shelf_is_sold_before_anything_moves(given: Given) -> None:
    market, _, _ = scarce(given)
    full = replace(market, fill=np.ones_like(market.fill), shelf=np.full_like(market.fill, 30.0))
    c = market.chips.index("h20-96")
    for cards, fill in ((30.0, 1.0), (60.0, 130 / 160)):
        moved = pressed(given, full, {"h20-96": np.full(len(market.months), cards)})
        assert np.allclose(moved.fill[c], fill)


def test_nothing_moves_where_nothing_ships_or_nothing_is_ordered(given: Given) -> None:
    market, _, _ = scarce(given)
    months = len(market.months)
    closed = replace(market, shipped=np.zeros_like(market.fill))
    for world, cards in ((market, 0.0), (closed, 50.0)):
        moved = pressed(given, world, {"h20-96": np.full(months, cards)})
        for name in ("fill", "price_usd", "lead_time_days"):
            assert np.array_equal(getattr(moved, name), getattr(world, name))


def test_own_orders_are_the_cards_of_the_plan(given: Given, need: Need, done: Ground) -> None:
    market, _, _ = scarce(given)
    asked = own_orders(need, market, done)
    p, mean = done.case.problem, done.judged["plan"].orders.mean(axis=-1)
    owned = sum(float(mean[i].sum()) for i, o in enumerate(p.offers) if o.stock >= 0)
    assert sum(float(v.sum()) for v in asked.values()) == pytest.approx(owned) and owned > 0
    assert set(asked) <= set(market.chips)


def test_the_same_plan_costs_the_same_on_the_same_market_and_no_less_on_a_pressed_one(
        given: Given, need: Need, done: Ground) -> None:
    market, service, verdicts = scarce(given)
    assert rise_on(given, need, market, service, verdicts, done) == pytest.approx(0, abs=1e-6)
    ordered = {c: 50 * v for c, v in own_orders(need, market, done).items()}
    moved = pressed(given, market, ordered)
    rise = rise_on(given, need, moved, service, verdicts, done)
    assert rise > 0
    move = movement(given, market, moved, ordered)
    assert all(v >= 0 for kind in move.values() for v in kind.values())
    said = could_move(done.case, (), move, rise)
    assert "USD more in mean and tail, at most; --moves plans with that" in said


def test_plan_and_market_settle_and_say_so(given: Given, need: Need, done: Ground) -> None:
    world = scarce(given)
    settled = settle(given, need, *world, ASKED, done, plan=lambda *_: done)
    assert settled.changes == (0.0,) and settled.ground is done
    move = movement(given, world[0], settled.market, settled.ordered)
    assert "they agree to 0.0% of the cards after 1 rounds" in has_moved(move, settled.changes, settled.rise_usd, 0.02)


def test_two_plans_that_answer_each_other_end_with_what_is_left_apart(given: Given, need: Need, done: Ground) -> None:
    world = scarce(given)
    doubled = replace(done, judged=done.judged | {"plan": replace(done.judged["plan"],
                                                                  orders=2 * done.judged["plan"].orders)})
    turns = iter([doubled, done] * ROUNDS)
    settled = settle(given, need, *world, ASKED, done, plan=lambda *_: next(turns))
    assert len(settled.changes) == ROUNDS and settled.changes[-1] > 0.02
    size, one = (sum(float(v.sum()) for v in o.values())
                 for o in (settled.ordered, own_orders(need, world[0], done)))
    assert one < size < 2 * one
    assert "differ by" in has_moved({"price": {}, "wait_months": {}}, settled.changes, settled.rise_usd, 0.02)


def test_the_verb_says_how_much_a_platform_could_move(cli_json: Callable[..., Any]) -> None:
    found = cli_json("plan", "platform", "--draws", "300", "--scenarios", "30")
    moved = found["footprint"]
    assert moved["price"].keys() == moved["wait_months"].keys() and moved["price"]
    assert all(v >= 0 for v in (*moved["price"].values(), *moved["wait_months"].values()))
    assert "--moves plans with that" in found["assumed"]
