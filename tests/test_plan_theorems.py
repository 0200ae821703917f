"""What must hold for any plan: order of values, information, permutation, tail, scaling, relaxation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given as any_given
from hypothesis import settings
from hypothesis import strategies as st
from plan_programs import newsvendor, p1

from chipcast.base.errors import InputError
from chipcast.plan.assemble import assemble
from chipcast.plan.explain import prim
from chipcast.plan.foresight import require_foresight_free, sees_ahead
from chipcast.plan.judge import recourse
from chipcast.plan.labels import labels_by_date, labels_by_history
from chipcast.plan.problem import Offer, Problem
from chipcast.plan.reduce import REDUCE, distances, forward_selection, reduce, shares
from chipcast.plan.solve import solve
from chipcast.plan.value import (
    First,
    Risk,
    functional,
    news_costs,
    paired,
    solve_plan,
    tail_mean,
    values,
    wait_and_see,
)

SECURE = "secure"


@pytest.fixture(scope="module")
def p() -> Problem:
    return p1(20)


def objective(p: Problem, decide: int, **risk: float) -> float:
    return solve_plan(p, labels_by_date(len(p.quarters), decide, p.size), decide,
                      Risk(at_cut=SECURE, **risk)).solution.objective  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_perfect_news_costs_least_and_the_mean_plan_most(p: Problem, weight: float) -> None:
    worth, _ = values(p, 4, Risk(at_cut=SECURE, tail_weight=weight))
    assert worth["ws"] <= worth["sp"] + 1e-6 <= worth["eev"] + 2e-6


def test_perfect_news_is_not_held_to_what_an_order_seems_to_need(p: Problem) -> None:
    """Later orders are shares of a need that may look like nothing; who knows the future orders in units, from the
    first quarter on, and in every scenario pays no more."""
    few = np.where(np.arange(p.size) % 2, 0.0, 3.0)
    seen = replace(p, scale=np.broadcast_to(few, (len(p.offers), len(p.quarters), p.size)))
    risk = Risk(at_cut=SECURE)
    found = solve_plan(seen, labels_by_date(len(p.quarters), 4, p.size), 4, risk)
    assert (news_costs(seen, risk) <= found.costs + 1e-6).all()
    assert np.array_equal(news_costs(seen, risk), news_costs(p, risk))


def test_deciding_later_never_costs_more(p: Problem) -> None:
    costs = [objective(p, n, tail_weight=0.3) for n in range(0, 17, 2)]
    assert (np.diff(costs) > -1e-6).all()
    assert costs[0] == pytest.approx(wait_and_see(p, Risk(tail_weight=0.3)), rel=1e-7)


def test_finer_labels_never_cost_more(p: Problem) -> None:
    shut = (p.order_cap[0] > 0).astype(int)
    tree = labels_by_history(shut)
    open_loop = labels_by_date(16, 16, p.size)
    apart = labels_by_date(16, 0, p.size)
    # The treatment at a cut is the same bound for all: what every future allows.
    same = replace(p, order_cap=np.broadcast_to(p.order_cap.min(-1, keepdims=True), p.order_cap.shape))
    costs = [solve(assemble(same, labels)).objective for labels in (open_loop, tree, apart)]
    assert costs[0] >= costs[1] - 1e-6 >= costs[2] - 2e-6
    assert costs[0] > costs[2]


def test_labels_that_forget_are_refused(p: Problem) -> None:
    labels = labels_by_date(16, 4, p.size)[::-1].copy()
    with pytest.raises(InputError, match="information labels must stay apart once they are apart"):
        assemble(p, labels)


def test_one_scenario_is_the_deterministic_optimum(p: Problem) -> None:
    one = p.take(np.array([3]))
    assert objective(one, 4, tail_weight=0.7) == pytest.approx(objective(one, 0), rel=1e-9)
    worth, _ = values(one, 4, Risk(at_cut=SECURE))
    assert worth["evpi"] == pytest.approx(0, abs=1e-7) and worth["vss"] == pytest.approx(0, abs=1e-7)


def test_without_randomness_the_verdict_is_cannot_tell() -> None:
    same = newsvendor().take(np.array([1, 1, 1]))
    worth, mean = values(same, 1, Risk())
    assert worth["vss"] == pytest.approx(0, abs=1e-9)
    plan = solve_plan(same, labels_by_date(1, 1, 3), 1, Risk()).first()
    judged = recourse(same, 1, {"plan": plan, "mean": mean})
    assert paired(judged["plan"].costs, judged["mean"].costs)["verdict"] == "cannot tell"


def test_doubled_and_shuffled_scenarios_change_nothing(p: Problem) -> None:
    base = objective(p, 4, tail_weight=0.3)
    twice = p.take(np.r_[np.arange(20), np.arange(20)])
    assert objective(twice, 4, tail_weight=0.3) == pytest.approx(base, rel=1e-8)
    shuffled = p.take(np.random.default_rng(5).permutation(20))
    assert objective(shuffled, 4, tail_weight=0.3) == pytest.approx(base, rel=1e-8)


def test_the_tail_by_program_is_the_mean_of_the_sorted_tail(p: Problem) -> None:
    for tail in (0.0, 0.5, 0.83, 0.95):
        solved = solve_plan(p, labels_by_date(16, 4, 20), 4, Risk(at_cut=SECURE, tail=tail, tail_weight=0.5))
        costs = solved.costs
        direct = 0.5 * costs.mean() + 0.5 * tail_mean(costs, p.weight, tail)
        assert solved.solution.objective == pytest.approx(direct, rel=1e-8)


@any_given(st.lists(st.floats(-100, 100), min_size=2, max_size=30), st.floats(0, 0.98), st.floats(0, 0.98))
@settings(max_examples=60, deadline=None)
def test_tail_mean_rises_with_the_level(costs: list[float], a: float, b: float) -> None:
    c, w = np.array(costs), np.full(len(costs), 1 / len(costs))
    low, high = sorted((a, b))
    assert tail_mean(c, w, low) <= tail_mean(c, w, high) + 1e-9
    assert c.mean() - 1e-9 <= tail_mean(c, w, low) and tail_mean(c, w, high) <= c.max() + 1e-9


def test_scaling_money_scales_cost_and_keeps_orders(p: Problem) -> None:
    ten = replace(p, order_cost=10 * p.order_cost, spend=10 * p.spend, miss_cost=10 * p.miss_cost,
                  budget=10 * p.budget)
    labels = labels_by_date(16, 4, 20)
    a, b = (solve_plan(x, labels, 4, Risk(at_cut=SECURE, tail_weight=0.3)) for x in (p, ten))
    assert b.solution.objective == pytest.approx(10 * a.solution.objective, rel=1e-8)
    assert b.now() == pytest.approx(a.now(), abs=1e-6)


def test_more_room_never_hurts_and_a_dominated_offer_changes_nothing(p: Problem) -> None:
    base = objective(p, 4)
    assert p.power_limit is not None
    assert objective(replace(p, power_limit=p.power_limit * 1.3), 4) <= base + 1e-7
    assert objective(replace(p, budget=p.budget * 1.3), 4) <= base + 1e-7
    assert objective(replace(p, order_cap=p.order_cap * 1.3), 4) <= base + 1e-7
    worse = replace(p, offers=(*p.offers, replace(p.offers[0], supplier="dear")),
                    order_cost=np.concatenate([p.order_cost, 1.5 * p.order_cost[:1]]),
                    spend=np.concatenate([p.spend, 1.5 * p.spend[:1]]), arrive=np.concatenate([p.arrive, p.arrive[:1]]),
                    lead=np.concatenate([p.lead, p.lead[:1]]), rate=np.concatenate([p.rate, p.rate[:1]]),
                    order_cap=np.concatenate([p.order_cap, 0 * p.order_cap[:1] + 1e-3]))
    assert objective(worse, 4) <= base + 1e-7
    same = replace(worse, order_cost=np.concatenate([p.order_cost, 50 * p.order_cost[:1]]))
    assert objective(same, 4) == pytest.approx(base, rel=1e-8)


def test_flows_balance_and_nothing_arrives_where_it_is_forbidden(p: Problem) -> None:
    arrive = np.where(p.order_cap > 0, 1.0, 0.0)
    cut = replace(p, arrive=arrive, keep=0.97, final_value=np.full_like(p.final_value, 0.1))
    solved = solve_plan(cut, labels_by_date(16, 4, 20), 4, Risk())
    orders = solved.orders()
    owned = solved.solution.x[solved.program.named["owned"]]
    delivered = np.zeros_like(owned)
    delivered[:, 1:] = (orders * arrive)[:, :-1]
    before = np.concatenate([np.zeros_like(owned[:, :1]), owned[:, :-1]], axis=1)
    assert owned == pytest.approx(0.97 * before + delivered, abs=1e-6)
    assert ((orders * arrive)[p.order_cap <= 0] == 0).all()
    assert orders[:, 4:][p.order_cap[:, 4:] <= 0].max(initial=0.0) == 0.0
    missing = solved.solution.x[solved.program.named["missing"]]
    assert (np.einsum("cts,cts->ts", cut.rate, owned) + missing >= cut.need - 1e-6).all()


def test_dual_times_slack_is_zero_and_the_dual_is_the_slope(p: Problem) -> None:
    tight = replace(p, power_limit=np.full((1, 16), 25.0))
    labels = labels_by_date(16, 4, 20)
    solved = solve_plan(tight, labels, 4, Risk(at_cut=SECURE))
    rows = solved.program.blocks["power"]
    slack = solved.program.row_upper[rows] - solved.program.activity(solved.solution.x)[rows]
    assert np.abs(slack * solved.solution.row_dual[rows]).max() < 1e-6
    step = 0.05
    up = solve_plan(replace(tight, power_limit=np.full((1, 16), 25.0 + step)), labels, 4, Risk(at_cut=SECURE))
    slope = (up.solution.objective - solved.solution.objective) / step
    assert slope == pytest.approx(solved.solution.row_dual[rows].sum(), rel=0.05)
    assert slope < 0


def tiny() -> Problem:
    """Two chips, two quarters, three futures, for brute force."""
    one = np.ones((2, 2, 3))
    cost = np.array([[[1.0, 1, 1], [1.2, 0.8, 1]], [[0.7, 0.7, 0.7], [0.6, 0.9, 0.7]]])
    cap = 4 * one.copy()
    cap[0, 1, 2] = 0
    return Problem(quarters=("a", "b"), offers=tuple(Offer(chip=f"c{i}", supplier="", contract="spot", stock=i,
                                                           first_block=b) for i, b in ((0, 2.0), (1, 0.0))),
                   stocks=("c0", "c1"), weight=np.array([0.3, 0.3, 0.4]), order_cost=cost, arrive=one,
                   lead=np.zeros((2, 2, 3), dtype=np.int32), order_cap=cap,
                   rate=np.array([1.0, 0.55])[:, None, None] * one, hold_cost=0.05 * one,
                   final_value=np.full((2, 3), 0.1), keep=1.0, need=np.array([[1.3, 2.2, 0.7], [3.1, 2.6, 2.9]]),
                   miss_cost=np.array([[2.0, 2, 2], [3, 3, 3]]), spend=cost, budget=np.array([6.0]))


def test_whole_orders_meet_brute_force_and_cost_at_least_the_relaxed_plan() -> None:
    p = tiny()
    labels = labels_by_date(2, 1, 3)
    grid = [np.array([[a], [b]], dtype=float) for a in range(5) for b in range(5) if a != 1]
    grid = [g for g in grid if g[0, 0] * 1.0 + g[1, 0] * 0.7 <= 6.0]
    judged = recourse(p, 1, {str(i): First(orders=g, signed=np.zeros(2)) for i, g in enumerate(grid)})
    best = min(functional(v.costs, p.weight, Risk()) for v in judged.values())
    whole = solve_plan(p, labels, 1, Risk(whole=True))
    assert whole.solution.objective == pytest.approx(best, rel=1e-6)
    assert whole.solution.objective >= solve_plan(p, labels, 1, Risk()).solution.objective - 1e-9


def test_a_limit_on_chip_types_is_kept() -> None:
    solved = solve_plan(tiny(), labels_by_date(2, 1, 3), 1, Risk(whole=True, types=1))
    assert (solved.now() > 1e-6).sum() <= 1


def test_a_plan_that_sees_ahead_is_caught(p: Problem) -> None:
    labels = labels_by_date(16, 4, 20)
    honest = solve_plan(p, labels, 4, Risk(at_cut=SECURE)).orders()
    assert not sees_ahead(honest, labels, 4)
    require_foresight_free(honest, labels, 4)
    leak = solve_plan(p, labels_by_date(16, 0, 20), 0, Risk(at_cut=SECURE)).orders()
    with pytest.raises(InputError, match="it sees ahead"):
        require_foresight_free(leak, labels, 4)


def test_breaking_the_shared_luck_of_price_and_gate_moves_the_tail(p: Problem) -> None:
    # Prices that rise where the shop shuts are worse than the same prices dealt out at random.
    shut = (p.order_cap <= 0).mean(axis=(0, 1))
    dear = replace(p, order_cost=p.order_cost * (1 + 4 * shut), spend=p.spend * (1 + 4 * shut))
    mixed = np.random.default_rng(1).permutation(20)
    torn = replace(dear, order_cost=dear.order_cost[..., mixed], spend=dear.spend[..., mixed])
    a, b = (solve_plan(x, labels_by_date(16, 4, 20), 4, Risk(at_cut=SECURE)) for x in (dear, torn))
    tails = [tail_mean(x.costs, p.weight, 0.9) for x in (a, b)]
    assert abs(tails[0] - tails[1]) > 0.01 * tails[0]


def test_forward_selection_on_five_points_by_hand() -> None:
    points = np.array([0.0, 1, 2, 10, 11])[:, None]
    picks, weights, left = forward_selection(distances(points), np.full(5, 0.2), 2)
    assert picks[0] == 2 and picks[1] in (3, 4)
    assert left == pytest.approx([4.0, 0.8])
    assert weights == pytest.approx([0.6, 0.4])
    totals = np.full(5, 0.2) @ distances(points)
    assert totals == pytest.approx([4.8, 4.2, 4.0, 5.6, 6.2])


def test_keeping_more_scenarios_never_leaves_more_distance() -> None:
    points = np.random.default_rng(2).normal(size=(60, 4))
    _, weights, left = forward_selection(distances(points), np.full(60, 1 / 60), 60)
    assert (np.diff(left) <= 1e-12).all()
    assert left[-1] == pytest.approx(0, abs=1e-6)
    assert weights == pytest.approx(np.full(60, 1 / 60))


@pytest.mark.parametrize("way", REDUCE)
def test_every_reduction_keeps_probability_and_picks_no_draw_twice(way: str) -> None:
    g = np.random.default_rng(4)
    stratum = np.where(g.random(400) < 0.02, 3, 9)
    picks, weights = reduce(g.normal(size=(400, 3)), stratum, 40, way=way)
    assert weights.sum() == pytest.approx(1)
    assert picks.size == 40 == np.unique(picks).size


def test_a_rare_stratum_is_kept_with_its_true_weight() -> None:
    g = np.random.default_rng(4)
    stratum = np.where(np.arange(1000) % 50 == 0, 3, 9)
    picks, weights = reduce(g.normal(size=(1000, 3)), stratum, 30)
    rare = stratum[picks] == 3
    assert rare.sum() >= 2
    assert weights[rare].sum() == pytest.approx(0.02)
    assert shares(np.array([980.0, 20.0]), 30).tolist() == [28, 2]


def test_the_full_set_kept_leaves_the_value_unchanged() -> None:
    q = newsvendor()
    picks, weights = reduce(q.need.T, np.zeros(4, dtype=int), 4)
    assert objective(q.take(picks, weights), 1) == pytest.approx(92)


def test_prim_finds_the_corner_of_a_square() -> None:
    x = np.random.default_rng(0).random((10_000, 5))
    fails: npt.NDArray[np.bool_] = (x[:, 0] < 0.4) & (x[:, 1] > 0.7)
    box, trail = prim(x, fails)
    assert box[0, 1] == pytest.approx(0.4, abs=0.02) and box[1, 0] == pytest.approx(0.7, abs=0.02)
    inside = ((x >= box[:, 0]) & (x <= box[:, 1])).all(axis=1)
    assert fails[inside].mean() >= 0.97
    assert fails[inside].sum() / fails.sum() >= 0.95
    open_sides = np.delete(box, [1, 2], axis=None)
    assert np.isinf(open_sides).all()
    assert trail[0] == (1.0, fails.mean())


def test_prim_closes_nothing_where_failure_is_chance() -> None:
    g = np.random.default_rng(1)
    box, _ = prim(g.random((3000, 3)), g.random(3000) < 0.3)
    inside_share = np.prod([min(b, 1) - max(a, 0) for a, b in box])
    assert inside_share > 0.5
