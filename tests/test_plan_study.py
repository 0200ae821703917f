"""Ranges, sweeps, strategies, the rolling horizon and the verbs of the planner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plan_programs import now_or_wait, p1
from plan_world import world_of

from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.cli.plan_words import in_servers, near_rows
from chipcast.plan import need_from
from chipcast.plan.answer import regrets
from chipcast.plan.assemble import assemble
from chipcast.plan.decide import Asked, Ground, work, written
from chipcast.plan.explain import Box, boxes, sentence
from chipcast.plan.judge import recourse
from chipcast.plan.labels import CLOSED, INFORMATION, Seen, labels_by_date, labels_by_history
from chipcast.plan.problem import Problem
from chipcast.plan.record import Plan
from chipcast.plan.roll import consistent, roll
from chipcast.plan.solve import GAP, solve
from chipcast.plan.strategies import compare
from chipcast.plan.study import ROOM_OFFERS, by_date, frontier, gap, near, with_row
from chipcast.plan.value import Z90, First, Risk, contributions, functional, paired, solve_plan

FROM_CHAPTER = {"units decided now": {"1%": (5.300, 9.978), "3%": (4.718, 14.051), "5%": (4.468, 17.904)},
                "foreign units decided now": {"1%": (0, 7.805), "3%": (0, 11.572), "5%": (0, 15.320)}}
"""Ranges of the reference procurement P1 with 50 scenarios, four quarters decided now, tail weight 0.3."""


def test_ranges_of_p1_near_the_best() -> None:
    p = p1(50)
    found = near(p, labels_by_date(16, 4, 50), 4, Risk(at_cut="secure", tail_weight=0.3), (0.01,))
    for name, ranges in FROM_CHAPTER.items():
        assert found[name]["1%"] == pytest.approx(ranges["1%"], rel=1e-3, abs=1e-6)


def test_ranges_hold_the_best_plan_and_widen() -> None:
    p = p1(10)
    labels = labels_by_date(16, 2, 10)
    best = solve_plan(p, labels, 2, Risk(at_cut="secure"))
    found = near(p, labels, 2, Risk(at_cut="secure"), (0.01, 0.05))
    units = found["units decided now"]
    assert units["1%"][0] - 1e-6 <= best.now().sum() <= units["1%"][1] + 1e-6
    assert units["5%"][0] <= units["1%"][0] + 1e-6 and units["1%"][1] <= units["5%"][1] + 1e-6
    with pytest.raises(InputError, match="near must be above 0, for example 3%"):
        near(p, labels, 2, Risk(), (0.0,))


def test_the_room_of_the_picture_holds_few_offers_and_its_sum_bounds_each(answer: Plan) -> None:
    room = answer.detail["room"]
    names = list(room["orders"])
    assert names[0] == "units decided now" and 1 < len(names) <= 1 + ROOM_OFFERS
    assert all(-1e-6 <= low <= high + 1e-6 for low, high in room["orders"].values())
    most = room["orders"][names[0]][1]
    assert all(high <= most + 1e-4 * max(most, 1) for name, (_, high) in room["orders"].items()
               if name.split(" by ")[-1].startswith(("spot", "framework", "option")))


def test_one_more_row_is_one_more_row() -> None:
    program = assemble(p1(5), labels_by_date(16, 1, 5), at_cut="secure")
    best = solve(program)
    same = solve(with_row(program, program.cost, best.objective * 1.5))
    assert same.objective == pytest.approx(best.objective, rel=1e-9)
    grown = with_row(program, program.cost, best.objective)
    assert grown.activity(best.x)[-1] == pytest.approx(best.objective)
    assert grown.activity(best.x)[:-1] == pytest.approx(program.activity(best.x))


def test_ranges_hold_the_plan_itself_however_narrow_the_share() -> None:
    p, labels, risk = p1(20), labels_by_date(16, 4, 20), Risk(at_cut="secure")
    whole = solve_plan(p, labels, 4, replace(risk, whole=True))
    units = float(whole.now()[p.owned].sum())
    without, with_it = (near(p, labels, 4, risk, (1e-6,), mine=m)["units decided now"]["0%"]
                        for m in (None, whole.solution))
    assert not without[0] - 1e-6 <= units <= without[1] + 1e-6
    assert with_it[0] - 1e-6 <= units <= with_it[1] + 1e-6
    assert with_it[0] <= without[0] + 1e-6 and without[1] <= with_it[1] + 1e-6


def test_the_frontier_trades_mean_for_tail() -> None:
    points = frontier(p1(20), 4, Risk(at_cut="secure"))
    means, tails = [x["mean"] for x in points], [x["cvar"] for x in points]
    assert (np.diff(means) >= -1e-6).all() and (np.diff(tails) <= 1e-6).all()


def test_the_price_of_deciding_early_rises() -> None:
    cost = by_date(p1(10), Risk(at_cut="secure"), (0, 2, 8))
    assert cost[0] <= cost[2] <= cost[8]


def test_the_distance_to_the_best_shrinks_with_a_better_plan_and_tells_a_bad_one() -> None:
    big, risk = p1(700), Risk(at_cut="secure")
    fresh = big.take(np.arange(400, 700))
    seen = Seen(regime=np.zeros((16, 300), dtype=int), signs=np.zeros((16, 300, 1)))
    rough, good = (solve_plan(big.take(np.arange(n)), labels_by_date(16, 4, n), 4, risk).first() for n in (4, 400))
    nothing = First(orders=np.zeros_like(good.orders), signed=good.signed)
    found = [gap(fresh, seen, f, 4, risk, information="date", batches=6, size=50) for f in (good, rough, nothing)]
    assert [f["gap"] for f in found] == sorted(f["gap"] for f in found)
    assert found[2]["gap"] > 10 * found[0]["gap_high"]
    for f in found:
        assert f["gap"] == pytest.approx(f["upper_bound"] - f["lower_bound"])
        assert 0 == f["gap_low"] <= f["gap"] < f["gap_high"]
    # On common futures the interval is far narrower than from independent samples of the same size.
    costs = recourse(fresh, 4, {"plan": good}, at_cut="secure")["plan"].costs
    assert found[0]["gap_high"] - found[0]["gap"] < 0.5 * Z90 * costs.std() / np.sqrt(costs.size)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_contributions_of_futures_average_to_the_functional(weight: float) -> None:
    costs = np.random.default_rng(3).gamma(2.0, size=101)
    risk = Risk(tail_weight=weight)
    even = np.full(101, 1 / 101)
    assert contributions(costs, risk).mean() == pytest.approx(functional(costs, even, risk))


def test_the_paired_interval_covers_the_true_saving_as_often_as_it_says() -> None:
    g = np.random.default_rng(7)
    hits = 0
    for _ in range(400):
        shared = g.normal(size=200)
        found = paired(shared, shared + 0.1 + 0.5 * g.normal(size=200))
        hits += found["low"] <= 0.1 <= found["high"]
    assert 0.86 <= hits / 400 <= 0.94
    assert pytest.approx(1.6449, abs=1e-4) == Z90


def test_hoarding_on_a_tree_meets_the_closed_form_of_cover() -> None:
    """Price constant, need 1 a month, shut for ever with probability q: 9 months at q .05, p 2; 6 at .1, 1.5."""
    for q, price_after, expected in ((0.05, 2.0, 9), (0.10, 1.5, 6)):
        p, labels = cover(q, price_after, months=expected + 6)
        solved = solve_plan(p, labels, 1, Risk())
        assert solved.now()[0, 0] == pytest.approx(expected + 1, abs=1e-6)


def cover(q: float, price_after: float, *, months: int, carrying: float = 0.4) -> tuple[Problem, np.ndarray]:
    """Return the hoarding program: this month's unit and then months of cover, supply open or shut from month k."""
    beta = (1 + carrying) ** (-1 / 12)
    T, S = months, months
    cut = np.arange(1, S + 1)
    weight = np.append(q * (1 - q) ** np.arange(S - 1), (1 - q) ** (S - 1))
    one = np.ones((1, T, S))
    base = now_or_wait(0.1)
    month = np.arange(T)[:, None]
    open_ = month < cut
    # Consumed, not durable: cumulative need is met from cumulative orders, late units are bought dear.
    spend = beta ** month * one
    need = np.broadcast_to(month + 1.0, (T, S)).copy()
    step = beta ** np.arange(T) - np.append(beta ** np.arange(1, T), 0.0)
    miss = price_after * np.broadcast_to(step[:, None], (T, S))
    p = replace(base, quarters=tuple(f"m{t}" for t in range(T)), weight=weight, order_cost=spend, arrive=one,
                lead=np.zeros((1, T, S), dtype=np.int32), order_cap=np.where(open_, 100.0, 0.0)[None], rate=one,
                hold_cost=0 * one, final_value=np.zeros((1, S)), need=need, miss_cost=miss, spend=spend)
    return p, labels_by_history(open_.astype(int))


@pytest.mark.parametrize("name", INFORMATION)
def test_every_pattern_of_information_is_nested_and_blind_before_its_date(name: str) -> None:
    regime = np.minimum((np.random.default_rng(0).random((8, 12)) < 0.3).cumsum(axis=0), CLOSED)
    labels = INFORMATION[name](Seen(regime=regime, signs=np.zeros((8, 12, 1))), 2)
    assemble(p1(12).take(np.arange(12)).from_quarter(8), labels)
    if name != "wait_and_see":
        assert (labels[:2] == 0).all()


def test_a_tree_costs_between_open_loop_and_foresight() -> None:
    p = p1(20)
    seen = Seen(regime=np.where(p.order_cap[0] > 0, 0, CLOSED), signs=np.zeros((16, 20, 1)))
    same = replace(p, order_cap=np.broadcast_to(p.order_cap.min(-1, keepdims=True), p.order_cap.shape))
    cost = {k: solve(assemble(same, f(seen, 2))).objective for k, f in INFORMATION.items()}
    assert cost["wait_and_see"] <= cost["date"] + 1e-6 <= cost["regimes"] + 2e-6 <= cost["open_loop"] + 3e-6


def test_the_problem_left_over_is_the_tail_of_the_problem() -> None:
    p = p1(5)
    left = p.from_quarter(10)
    assert left.quarters == p.quarters[10:]
    assert left.need.shape == (6, 5) and (left.order_cost == p.order_cost[:, 10:]).all()
    stocked = replace(left, inflow=np.full((8, 6, 5), 100.0))
    assert solve_plan(stocked, labels_by_date(6, 1, 5), 1, Risk(at_cut="secure")).orders().max() == pytest.approx(0)


@pytest.fixture(scope="module")
def need(given: Given):  # type: ignore[no-untyped-def]
    return need_from(given, "hospital", "clinic_school", model="deepseek-r1")


@pytest.fixture(scope="module")
def done(given: Given, need) -> Ground:  # type: ignore[no-untyped-def]
    return work(given, need, *world_of(given), Asked(scenarios=40))


@pytest.fixture(scope="module")
def answer(done: Ground, given: Given, need) -> Plan:  # type: ignore[no-untyped-def]
    return written(done, given, need, Asked(scenarios=40))


def test_living_through_one_certain_future_costs_what_its_plan_costs(done: Ground) -> None:
    case = done.case
    one = int(done.seen[0])
    # A world in which every draw is the same and cards can be split: replanning must not drift from the plan.
    p = case.problem.take(np.full(40, one))
    p = replace(p, offers=tuple(replace(o, lot=0.0, first_block=0.0) for o in p.offers), scale=None, resale=None)
    same = replace(case, problem=p, seen=case.seen.take(np.full(40, one)))
    lived = roll(same, np.array([39]), np.arange(30), Risk(), scenarios=4)
    fixed = solve_plan(p.take(np.array([0])), labels_by_date(len(p.quarters), 0, 1), 0, Risk())
    bound = fixed.solution.objective * p.money
    assert lived.failed_solves == 0
    assert lived.costs[0] == pytest.approx(bound, rel=1e-6)


def test_replanning_is_never_cheaper_than_knowing_everything(done: Ground) -> None:
    out = roll(done.case, done.seen[:4], done.pool, done.risk)
    perfect = done.judged["perfect_news"].costs[:4] * done.case.problem.money
    assert (out.costs >= perfect - 1).all()
    assert (np.abs(out.orders / 8 - np.round(out.orders / 8)) < 1e-6).all()
    assert ((out.served >= 0) & (out.served <= 1 + 1e-9)).all()


def test_replanning_believes_that_later_orders_know_what_the_tree_shows(done: Ground) -> None:
    case, one = done.case, done.seen[:1]
    picks = consistent(case, int(one[0]), 0, done.pool, 30)
    p, seen = replace(case.problem.take(picks), resale=None, serve_share=0.0), case.seen.take(picks)
    whole = replace(done.risk, whole=True)
    known = {k: solve_plan(p, INFORMATION[k](seen, 1), 1, whole) for k in ("regimes", "date")}
    out = roll(case, one, done.pool, done.risk)
    assert out.orders[:, 0, 0] == pytest.approx(known["regimes"].now()[:, 0])
    # Who believes that all news will be known thinks the rest of the way cheaper than it is.
    assert known["date"].solution.objective <= known["regimes"].solution.objective * (1 + 2 * GAP)
    with pytest.raises(InputError, match="information must let orders of a quarter be alike"):
        roll(case, one, done.pool, done.risk, information="wait_and_see")


def test_replanning_looks_only_at_draws_with_the_same_gates(done: Ground) -> None:
    pool = np.arange(1000)
    gates = done.case.seen.regime == CLOSED
    for t in (2, 5):
        picks = consistent(done.case, 1500, t, pool, 30)
        same = (gates[: t + 1, picks] == gates[: t + 1, [1500]]).all(axis=0)
        assert same.all() or (gates[: t + 1, pool] == gates[: t + 1, [1500]]).all(axis=0).sum() < 10
    with pytest.raises(InputError, match="futures must be other draws than the pool"):
        roll(done.case, np.array([3]), pool, Risk())


def test_strategies_stand_beside_the_plan(done: Ground, answer: Plan, given: Given, need) -> None:  # type: ignore[no-untyped-def]
    names = ("all-h20", "all-local", "rent", "api", "wait")
    beside = compare(done, answer, given, need, *world_of(given), names)
    assert set(beside) == set(names)
    assert all("H20" in k for k in beside["all-h20"]["now"])
    assert not any("H20" in k for k in beside["all-local"]["now"])
    assert beside["api"]["now"] == {}
    assert beside["wait"] == answer.rivals["wait"]
    assert beside["api"]["cost"] == pytest.approx(answer.rivals["api"]["cost"], rel=0.05)
    with pytest.raises(InputError, match="unknown strategy 'all-h200'; did you mean 'all-h20'"):
        compare(done, answer, given, need, *world_of(given), ("all-h200",))


def test_regret_is_told_in_sentences(done: Ground, answer: Plan) -> None:
    said = regrets(done.case, done.judged, done.seen, answer)
    assert said[0].startswith("costs over") and "perfect news" in said[0]


def test_a_buyer_reads_what_would_change_the_decision(answer: Plan) -> None:
    rows = answer.detail["tornado"]
    swings = [abs(r["cost_high"] - r["cost_low"]) for r in rows]
    assert swings == sorted(swings, reverse=True) and len(rows) >= 3
    assert all(r["low"] <= r["high"] and isinstance(r["changes"], bool) for r in rows)


def test_a_box_reads_as_a_sentence() -> None:
    quarters = ("2025Q1", "2025Q2", "2025Q3")
    box = Box(sides={"quarter of the cut-off": (-np.inf, 1.0), "the need now": (120.0, np.inf)}, coverage=0.8,
              density=0.9, mass=0.2)
    assert sentence(box, quarters) == ("fails in 90% of the futures where the cut comes by 2025Q2 and the need now is "
                                       "above 120 (20% of all futures, 80% of all failures)")


def test_boxes_find_a_planted_cause_and_leave_noise_alone() -> None:
    g = np.random.default_rng(9)
    causes = {"a": g.random(2000), "b": g.random(2000)}
    found = boxes(causes, causes["a"] > 0.8)
    assert list(found[0].sides) == ["a"]
    assert found[0].sides["a"][0] == pytest.approx(0.8, abs=0.02)


def test_a_template_is_written_once_and_loads(tmp_path: Path, cli: Callable[..., tuple[int, str, str]]) -> None:
    from chipcast.scenario import load

    path = tmp_path / "my-plan.yaml"
    code, out, _ = cli("init", "plan", str(path))
    assert code == 0 and "chipcast plan" in out
    assert load(str(path)).buyer.name == "my organisation"
    code, _, err = cli("init", "plan", str(path))
    assert code == 2 and "exists; choose another name" in err


@pytest.mark.parametrize("name", ["hospital-group", "regional-cloud", "platform", "research-centre"])
def test_the_shipped_buyers_load_and_state_a_need(name: str) -> None:
    from chipcast.scenario import load, resolve

    story = load(name)
    given = resolve(story, draws=200)
    need = need_from(given, story.buyer.name, story.buyer.segment, model=story.buyer.model)
    assert need.mean_tokens_per_s.min() > 0 and need.budget_usd > 0 and np.isfinite(need.power_kw)


def test_the_verb_gives_the_contract(cli_json: Callable[..., Any]) -> None:
    out = cli_json("plan", "february-2025", "--draws", "400", "--scenarios", "20", "--near", "3%", "--compare",
                   "wait,api")
    assert set(out) >= {"orders", "cost", "cvar", "values", "near", "compare"}
    assert set(out["values"]) >= {"ws", "sp", "eev", "evpi", "vss", "out_of_sample"}
    for order in out["orders"]:
        assert set(order) >= {"quarter", "chip", "supplier", "contract", "units"}
    assert out["cvar"] >= out["cost"]


@pytest.mark.parametrize(("arguments", "code", "said"), [
    (("--decide-until", "2024-01"), 2, "lies before the first quarter of the plan"),
    (("--decide-until", "tomorrow"), 2, "is no date"),
    (("--near", "-1%"), 2, "near must lie from 0% to 100%"),
    (("--tail", "1.5"), 2, "tail must be at least 0 and below 1"),
    (("--scenarios", "1"), 2, "scenarios must be 2 or more"),
    (("--compare", "all-h21"), 2, "unknown strategy 'all-h21'"),
    (("--information", "dates"), 2, "unknown information 'dates'; did you mean 'date'"),
])
def test_bad_words_get_one_sentence(arguments: tuple[str, ...], code: int, said: str,
                                    cli: Callable[..., tuple[int, str, str]]) -> None:
    got, _, err = cli("plan", "--draws", "200", "--scenarios", "10", *arguments) if "--scenarios" not in arguments \
        else cli("plan", "--draws", "200", *arguments)
    assert got == code
    assert said in err and err.strip().count("\n") == 0


def test_ranges_are_read_in_servers_and_in_shares_of_the_need(given: Given) -> None:
    market, service, verdicts = world_of(given)
    need = replace(need_from(given, "cloud", "cloud", model="deepseek-r1"), offsite_share_max=0.3)
    done = work(given, need, market, service, verdicts, Asked(scenarios=30))
    p = done.solved.problem
    found = near(p, done.solved.labels, done.solved.decide, done.risk, (0.03,), done.case.names)
    rows = dict(near_rows(found))
    chips = {c: [r["3%"] for n, r in found.items() if n.startswith(f"{c} by ") and " rent " not in n]
             for c in ("H20 96GB", "Ascend 910B2")}
    for chip, ranges in chips.items():
        # All contracts together reach at least as far as any of them, and at most as far as all of them.
        both = found[f"{chip} decided now"]["3%"]
        assert max(high for _, high in ranges) - 1e-6 <= both[1] <= sum(high for _, high in ranges) + 1e-6
        assert f"{chip} decided now" in rows and f"{chip} by spot decided now" not in rows
    low, high = found["share of all tokens by API and on rented or leased cards"]["3%"]
    assert 0 <= low <= high <= 0.3 + 1e-9
    assert found["share of all tokens by API"]["3%"][1] <= high + 1e-9
    assert rows["share of all tokens by API"].endswith("%")


@pytest.mark.parametrize(("low", "high", "said"), [
    (6.6, 51.0, "8 to 48"), (0.0, 4.6, "0"), (9.0, 15.0, "part of a server, 9 to 15"), (8.0, 8.0, "8"),
    (7.9999999, 24.0000001, "8 to 24")])
def test_a_range_holds_every_plan_in_whole_servers(low: float, high: float, said: str) -> None:
    assert in_servers(low, high) == said


@pytest.mark.parametrize(("good", "bad", "said"), [
    ("tpot_ms: 50", "tpot_ms: 0.1", "no chip serves DeepSeek-R1"),
    ("budget_usd: 6M", "budget_usd: 1000", "the budget of 1,000 USD cannot buy the smallest deployment"),
    ("budget_usd: 6M", "budget_usd: 6M\n  power_kw: 1", "1 kW cannot run the smallest deployment"),
])
def test_what_nothing_can_keep_is_refused_before_the_reports_are_weighed(
        tmp_path: Path, cli: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, good: str, bad: str,
        said: str) -> None:
    from chipcast import chain

    def never(*_: object, **__: object) -> None:
        raise AssertionError("nothing long may be computed")

    monkeypatch.setattr(chain, "calibrated", never)
    path = tmp_path / "mine.yaml"
    assert cli("init", "plan", str(path))[0] == 0
    text = path.read_text(encoding="utf-8").replace(good, bad)
    path.write_text(text + "set: {plan.offsite_share_max: 0}\n", encoding="utf-8")
    code, out, err = cli("plan", str(path))
    assert (code, out) == (3, "")
    assert said in err and len(err.strip().splitlines()) == 1


def test_speed_by_segment_is_the_same_before_and_after_the_reports_are_weighed() -> None:
    from chipcast import chain

    few = {prior: chain.prepare("hospital-group", draws=n, prior=prior).setting.speed
           for prior, n in ((True, 100), (False, 400))}
    assert few[True] == few[False]
