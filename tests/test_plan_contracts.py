"""Contracts, rooms, whole servers and the judge of policies."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from plan_programs import newsvendor, p1
from plan_world import service_of, verdicts_of, world_of

from chipcast.base.catalog import read_table
from chipcast.base.errors import InfeasibleError, InputError
from chipcast.base.given import Given
from chipcast.cli import common
from chipcast.plan import Need, need_from
from chipcast.plan.assemble import assemble
from chipcast.plan.conflict import conflict, nearest
from chipcast.plan.contracts import TO_OWN, open_to
from chipcast.plan.decide import Asked, Ground, work, written
from chipcast.plan.judge import carry_out, policy_of
from chipcast.plan.labels import CLOSED, INFORMATION, OPEN, THREAT, Seen, descend, labels_by_date, labels_by_history
from chipcast.plan.need import Site, need_for
from chipcast.plan.problem import Offer, Problem
from chipcast.plan.procure import case_of
from chipcast.plan.reduce import distances, forward_selection, k_medoids
from chipcast.plan.sheet import RISK
from chipcast.plan.solve import Session
from chipcast.plan.value import WHOLE_BY, First, Fixed, Risk, functional, news_costs, solve_plan
from chipcast.plan.worth import YIELD_ROW, open_longer, point_more_yield, worth_of_change
from chipcast.scenario import SEGMENTS, load, resolve
from chipcast.schema import Buyer


@pytest.fixture(scope="module")
def need(given: Given) -> Need:
    return need_from(given, "firm", "private", model="deepseek-r1")


@pytest.fixture(scope="module")
def done(given: Given, need: Need) -> Ground:
    return work(given, replace(need, offsite_share_max=0.3), *world_of(given), Asked(scenarios=40))


def signed(take: float, fee: float) -> Problem:
    """The newsvendor with a second way to buy: half the price, signed ahead, most of which must be taken."""
    p = newsvendor()
    two = np.ones((2, 1, 4))
    cost = two * np.array([1.0, 0.5])[:, None, None]
    offers = (p.offers[0], Offer(chip="paper", supplier="", contract="framework", stock=0, take=take))
    return replace(p, offers=offers, order_cost=cost, arrive=two, lead=np.zeros((2, 1, 4), dtype=np.int32),
                   order_cap=1000 * two, rate=two, spend=cost, untaken_cost=np.array([[0.0] * 4, [fee] * 4]))


@pytest.mark.parametrize("contract", [r["contract"] for r in read_table("contracts")])
def test_every_contract_of_the_table_is_offered_to_somebody(contract: str, given: Given, need: Need) -> None:
    buyers = [s for s in SEGMENTS if contract in open_to(given, s)]
    assert buyers and (contract in TO_OWN or contract in ("rent", "lease"))
    p = case_of(given, replace(need, segment=buyers[0], offsite_share_max=1.0), *world_of(given)).problem
    if contract != "lease":
        assert contract in {o.contract for o in p.offers}
    assert (p.spend >= 0).all() and (p.order_cap >= 0).all()


def test_a_clinic_is_offered_no_framework_and_no_option(given: Given, need: Need) -> None:
    p = case_of(given, replace(need, segment="clinic_school", offsite_share_max=0.0), *world_of(given)).problem
    assert {o.contract for o in p.offers} == {"spot"}


def test_a_signed_volume_is_called_off_and_its_minimum_paid_for() -> None:
    labels = labels_by_date(1, 0, 4)
    solved = solve_plan(signed(0.8, 0.3), labels, 0, Risk())
    volume, taken = solved.signed()[1], solved.orders()[1, 0]
    assert (taken <= volume + 1e-9).all()
    untaken = np.maximum(0.8 * volume - taken, 0)
    missing = solved.solution.x[solved.program.named["missing"]][0]
    by_hand = 0.5 * taken + solved.orders()[0, 0] + 0.3 * untaken + 3 * missing
    left = taken + solved.orders()[0, 0] + missing - solved.problem.need[0]
    assert solved.costs == pytest.approx(by_hand - 0.2 * left, abs=1e-9)
    # All four demands can be called off as they come, and what is not called off up to 80 costs 0.3 each: sign 100.
    free = solve_plan(signed(1e-9, 0.0), labels, 0, Risk())
    assert free.solution.objective == pytest.approx(0.5 * 70)
    assert solved.solution.objective > free.solution.objective


def test_a_higher_minimum_take_never_helps() -> None:
    labels = labels_by_date(1, 0, 4)
    costs = [solve_plan(signed(take, 0.3), labels, 0, Risk()).solution.objective for take in (1e-9, 0.5, 0.8, 1.0)]
    assert (np.diff(costs) >= -1e-9).all()


def test_rooms_keep_their_own_power_and_space(given: Given, need: Need) -> None:
    rooms = (Site(name="hall", power_kw=30.0), Site(name="cellar", power_kw=15.0, rack_units=16.0))
    big = replace(need, mean_tokens_per_s=need.mean_tokens_per_s * 40, budget_usd=1e8, sites=rooms,
                  offsite_share_max=0.0)
    w = work(given, big, *world_of(given), Asked(scenarios=30))
    p = w.solved.problem
    owned = w.solved.solution.x[w.solved.program.named["owned"]]
    assert p.power is not None and p.space is not None
    for k, room in enumerate(rooms):
        here = p.sites == k
        assert np.einsum("c,cts->ts", p.power[here], owned[here]).max() <= room.power_kw + 1e-6
        assert np.einsum("c,cts->ts", p.space[here], owned[here]).max() <= min(room.rack_units, 1e9) + 1e-6
        assert np.einsum("c,cts->ts", p.power[here], w.judged["plan"].owned[here]).max() <= room.power_kw + 1e-6
    assert {o.site for o in p.offers if o.stock >= 0} == {"hall", "cellar"}
    assert owned[p.sites == 1].max() > 0


def test_rent_and_api_together_stay_within_what_may_leave_the_house(done: Ground) -> None:
    p, x, named = done.solved.problem, done.solved.solution.x, done.solved.program.named
    assert p.outside_cap is not None and p.outside_cap == pytest.approx(0.3 * p.need)
    assert (x[named["outside"]] <= p.outside_cap + 1e-9).all()
    judged = done.judged["plan"]
    own = (done.fresh.rate[done.fresh.feeds] * judged.owned).sum(axis=0)
    from_outside = np.maximum(done.fresh.need - judged.missing - own, 0.0)
    assert done.fresh.outside_cap is not None
    assert (from_outside <= done.fresh.outside_cap + 1e-9).all()


@pytest.mark.parametrize(("stated", "share"), [
    ((), 0.0), (("plan.offsite_share_max=40%",), 0.4),
    (("plan.offsite_share_max=40%", "clinic_school.offsite_share_max=10%"), 0.1)])
def test_what_a_clinic_states_on_work_outside_outweighs_its_class(stated: tuple[str, ...], share: float) -> None:
    own = common.load("hospital-group", sets=stated)
    table = resolve(own, draws=10, seed=1, chips=("h20-96",))
    assert need_for(table, own.buyer).offsite_share_max == pytest.approx(share)


def test_power_stands_at_the_sites_or_over_them(given: Given) -> None:
    buyer = Buyer.model_validate({"name": "x", "segment": "private", "demand": {}, "sites": [{"name": "a"}]})
    with pytest.raises(InputError, match="write the power of each site and drop power_kw"):
        need_for(given, buyer) if "buyer.power_kw" in given else need_for(_with_power(given), buyer)
    twice = Buyer.model_validate({"name": "x", "segment": "private", "demand": {},
                                  "sites": [{"name": "a"}, {"name": "a"}]})
    with pytest.raises(InputError, match="two sites have the name 'a'; give each its own"):
        need_for(_without_power(given), twice)


def _with_power(given: Given) -> Given:
    row = replace(given.row("buyer.budget_usd"), name="buyer.power_kw", unit="kW")
    return given.with_rows([row])


def _without_power(given: Given) -> Given:
    return replace(given, rows={k: v for k, v in given.rows.items() if k != "buyer.power_kw"}, _values={})


@pytest.mark.parametrize("by", WHOLE_BY)
def test_every_way_to_whole_lots_meets_brute_force(by: str) -> None:
    p = newsvendor()
    p = replace(p, offers=(replace(p.offers[0], lot=15.0, first_block=45.0),))
    labels = labels_by_date(1, 1, 4)
    held = Fixed(p, labels, 1, Risk())
    tried = {x: held.at(First(orders=np.array([[float(x)]]), signed=np.zeros(1))).solution.objective
             for x in (0, *range(45, 200, 15))}
    solved = solve_plan(p, labels, 1, Risk(whole=True, by=by))
    assert solved.solution.objective == pytest.approx(min(tried.values()), rel=1e-9)
    assert solved.now()[0, 0] == min(tried, key=tried.__getitem__)
    assert solved.solution.bound <= solved.solution.objective + 1e-9


def test_branch_and_bound_of_our_own_meets_that_of_the_solver_on_p1() -> None:
    p, labels = p1(12), labels_by_date(16, 2, 12)
    a, b = (solve_plan(p, labels, 2, Risk(at_cut="secure", tail_weight=0.3, whole=True, by=by)).solution
            for by in ("branch", "milp"))
    assert a.objective == pytest.approx(b.objective, rel=2e-3)
    assert max(a.bound, b.bound) <= min(a.objective, b.objective) * (1 + 1e-9)


def test_few_chip_types_are_kept_by_the_search() -> None:
    p, labels = p1(10), labels_by_date(16, 1, 10)
    free, one = (solve_plan(p, labels, 1, Risk(at_cut="secure", whole=True, types=n)) for n in (0, 1))
    assert (one.now() > 0).sum() <= 1
    assert one.solution.objective >= free.solution.objective * (1 - 1e-3)


def test_signing_for_a_chip_counts_as_keeping_its_type(given: Given, need: Need) -> None:
    p = case_of(given, replace(need, offsite_share_max=0.0), *world_of(given)).problem.take(np.arange(12))
    solved = solve_plan(p, labels_by_date(len(p.quarters), 1, 12), 1, Risk(whole=True, types=1))
    both = solved.now()[:, 0] + solved.signed()
    assert len({o.chip for o, u in zip(p.offers, both, strict=True) if u > 1e-6}) <= 1


def test_a_search_that_is_stopped_says_so_and_shows_its_bound() -> None:
    p, labels = p1(10), labels_by_date(16, 4, 10)
    # Eight chips in four quarters: the first rounding is a plan, and no proof comes at once.
    from chipcast.plan.lots import branch
    from chipcast.plan.value import program_of

    risk = Risk(at_cut="secure", tail_weight=0.3)
    found = branch(p, program_of(p, labels, 4, risk, blocks=True), 4, gap=0.0, most=6)
    assert found.status == "stopped by the limit on nodes"
    assert found.bound < found.objective and found.gap > 0
    late = branch(p, program_of(p, labels, 4, risk, blocks=True), 4, gap=0.0, stop=iter([False, True, True]).__next__)
    assert late.status == "stopped by the time limit"


def test_a_policy_carried_out_in_its_own_futures_costs_what_the_program_says(done: Ground) -> None:
    p = done.solved.problem
    p = replace(p, offers=tuple(replace(o, lot=0.0, first_block=0.0, least_signed=0.0) for o in p.offers))
    labels = done.solved.labels
    solved = solve_plan(replace(p, resale=None, hold_cost=0 * p.hold_cost), labels, 1, Risk())
    nodes = np.stack([np.unique(row, return_inverse=True)[1] for row in labels])
    lived = carry_out(solved.problem, policy_of(solved), nodes)
    assert lived.orders == pytest.approx(solved.orders(), abs=1e-5)
    assert lived.costs @ p.weight == pytest.approx(solved.costs @ p.weight, rel=1e-4)


def test_nothing_is_ordered_in_a_fresh_future_that_its_gates_or_budget_forbid(done: Ground) -> None:
    p, judged = done.fresh, done.judged["plan"]
    later = judged.orders[:, done.solved.decide:]
    assert (later[p.order_cap[:, done.solved.decide:] <= 0] == 0).all()
    assert (p.spend * judged.orders).sum(axis=(0, 1)).max() <= p.budget[0] * (1 + 1e-9)
    for i, o in enumerate(p.offers):
        assert np.abs(judged.orders[i] / o.lot - np.round(judged.orders[i] / o.lot)).max() < 1e-6


def test_a_future_of_the_tree_finds_its_own_node() -> None:
    g = np.random.default_rng(3)
    feared = np.where(g.random(40) < 0.3, THREAT, OPEN)
    regime = np.where(np.arange(8)[:, None] >= g.integers(1, 12, 40), CLOSED, feared)
    seen = Seen(regime=regime, signs=g.normal(size=(8, 40, 2)))
    labels = INFORMATION["regimes"](seen, 1)
    own = np.stack([np.unique(row, return_inverse=True)[1] for row in labels])
    assert (descend(labels, seen, seen, 1) == own).all()
    assert np.unique(labels[-1]).size >= 6


def test_a_closing_is_noticed_in_its_quarter_and_not_before() -> None:
    regime = np.array([[OPEN, OPEN], [OPEN, OPEN], [OPEN, CLOSED]])
    labels = INFORMATION["regimes"](Seen(regime=regime, signs=np.zeros((3, 2, 1))), 1)
    assert labels[1].tolist() == [0, 0] and labels[2, 0] != labels[2, 1]
    assert (labels == labels_by_history(regime)).all()


@pytest.mark.parametrize("name", RISK)
def test_every_objective_minimises_what_it_says(name: str) -> None:
    p, labels = p1(10), labels_by_date(16, 4, 10)
    base = news_costs(p, Risk(at_cut="secure"))
    risks = [Risk(kind=k, at_cut="secure", tail_weight=0.5) for k in RISK]
    plans = {r.kind: solve_plan(p, labels, 4, r) for r in risks}
    mine = next(r for r in risks if r.kind == name)
    reached = functional(plans[name].costs, p.weight, mine, base)
    assert plans[name].solution.objective == pytest.approx(reached, rel=1e-6)
    for other in plans.values():
        assert reached <= functional(other.costs, p.weight, mine, base) * (1 + 1e-6) + 1e-6


def test_regret_without_perfect_news_is_refused() -> None:
    with pytest.raises(InputError, match="the cost with perfect news must be given for an objective of regret"):
        assemble(newsvendor(), labels_by_date(1, 1, 4), risk="regret")


def test_more_budget_never_hurts_and_the_way_out_of_a_conflict_works() -> None:
    p, labels = newsvendor(), labels_by_date(1, 1, 4)
    costs = [solve_plan(replace(p, budget=np.array([b])), labels, 1, Risk()).solution.objective for b in (20, 50, 80)]
    assert (np.diff(costs) <= 1e-9).all()
    tight = replace(p, serve_share=0.9, budget=np.array([50.0]))
    program = assemble(tight, labels)
    assert conflict(program) == ("target", "budget")
    share = float(nearest(program, "target").split()[-1].rstrip("%")) / 100
    more = float(nearest(program, "budget").split()[2].rstrip("%")) / 100
    assert Session(assemble(replace(tight, serve_share=share), labels)).feasible()
    assert Session(assemble(replace(tight, budget=np.array([50 * (1 + more)])), labels)).feasible()
    assert not Session(assemble(replace(tight, budget=np.array([50 * (1 + 0.9 * more)])), labels)).feasible()


def test_a_conflict_names_no_limit_that_is_not_needed() -> None:
    p, labels = newsvendor(), labels_by_date(1, 1, 4)
    tight = replace(p, serve_share=0.9, budget=np.array([50.0]), power=np.ones(1), power_limit=np.full((1, 1), 500.0))
    assert "power" not in conflict(assemble(tight, labels))
    capped = replace(p, serve_share=0.9, order_cap=30 * np.ones((1, 1, 4)))
    with pytest.raises(InfeasibleError, match="the least share of need to serve and what may be ordered cannot all"):
        solve_plan(capped, labels, 1, Risk())


def test_medoids_by_hand_and_never_farther_than_forward_selection() -> None:
    points = np.array([0.0, 1, 2, 10, 11])[:, None]
    even = np.full(5, 0.2)
    medoids, owner = k_medoids(distances(points), even, 2)
    best = min((even @ np.abs(points - points[list(pair)].T).min(axis=1), pair) for pair in product(range(5), range(5)))
    assert even @ distances(points)[np.arange(5), medoids[owner]] == pytest.approx(best[0]) == pytest.approx(0.6)
    cloud = np.random.default_rng(4).normal(size=(80, 3))
    far, w = distances(cloud), np.full(80, 1 / 80)
    medoids, owner = k_medoids(far, w, 7)
    assert w @ far[np.arange(80), medoids[owner]] <= forward_selection(far, w, 7)[2][-1] + 1e-12


def test_the_first_question_compares_with_the_api_and_says_what_keeps_it_out(done: Ground, given: Given, need: Need,
                                                                            ) -> None:
    half = written(done, given, replace(need, offsite_share_max=0.3), Asked(scenarios=40))
    assert "at most 30% of need may be served outside" in half.first_question
    assert half.reasons and all(":" in r for r in half.reasons)
    assert half.assumed.startswith("Price taker")


def test_an_api_and_nothing_else_is_a_plan_too(given: Given, need: Need) -> None:
    market, _, verdicts = world_of(given)
    dear = work(given, replace(need, offsite_share_max=1.0), market, service_of(given, speed=(1, 1, 1, 1)),
                verdicts_of(market.months), Asked(scenarios=30))
    assert dear.first.orders.sum() == 0
    assert dear.judged["plan"].missing.max() == pytest.approx(0, abs=1e-9)
    assert verdicts.months == market.months


def test_a_plan_that_fits_in_fractions_only_says_so() -> None:
    p = newsvendor()
    tight = replace(p, offers=(replace(p.offers[0], lot=60.0),), budget=np.array([50.0]), serve_share=0.5)
    with pytest.raises(InfeasibleError, match="no plan in whole servers fits, though one in fractions"):
        solve_plan(tight, labels_by_date(1, 1, 4), 1, Risk(whole=True))


def test_a_chip_that_does_not_exist_is_refused_and_an_alias_is_read(given: Given) -> None:
    buyer = {"name": "x", "segment": "private", "demand": {}}
    with pytest.raises(InputError, match="unknown chip 'h20-97'; did you mean 'h20-96'"):
        need_for(given, Buyer.model_validate({**buyer, "chips": ["h20-97"]}))
    assert need_for(given, Buyer.model_validate({**buyer, "chips": ["h20", "910c"]})).chips == ("h20-96", "ascend-910c")


def test_a_quota_of_the_buyers_own_is_kept_and_held_to_its_bounds(given: Given, need: Need) -> None:
    p = case_of(given, replace(need, min_domestic_share=0.4), *world_of(given)).problem
    assert p.min_domestic is not None and (p.min_domestic == 0.4).all()
    story = load("hospital-group")
    with pytest.raises(InputError, match=r"min_domestic_share must lie within 0 to 1, got 1\.5"):
        resolve(replace(story, buyer=story.buyer.model_copy(update={"min_domestic_share": "150%"})), draws=100)


def test_gates_that_stay_open_longer_never_make_the_best_plan_dearer(given: Given, need: Need) -> None:
    market, service, verdicts = world_of(given)
    buyer = replace(need, offsite_share_max=0.0)
    case = case_of(given, buyer, market, service, verdicts)
    picks, even = np.arange(25), np.full(25, 0.04)
    longer = open_longer(market)
    assert (longer.us_open >= market.us_open).all() and (longer.us_open[:, 0] == market.us_open[:, 0]).all()
    gain = worth_of_change(case, 1, Risk(), picks, even, given, buyer, longer, service, verdicts)
    assert gain["saves"] >= -1e-6 and gain["low"] <= gain["saves"] <= gain["high"]
    same = worth_of_change(case, 1, Risk(), picks, even, given, buyer, market, service, verdicts)
    assert same["saves"] == pytest.approx(0, abs=1e-6)


def test_one_more_point_of_yield_raises_the_draws_and_says_by_how_much(given: Given) -> None:
    better, points = point_more_yield(given)
    before, after = given[YIELD_ROW], better[YIELD_ROW]
    assert points == pytest.approx(100 * (after - before).mean()) and 0.5 < points < 2
    # Near one the fitted law cannot rise by a whole point.
    assert (after > before).mean() > 0.9 and after.max() <= 1
