"""The planner's engine on programs whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plan_programs import P1_HASH, air_conditioning, farmer, fingerprint, newsvendor, now_or_wait, p1

from chipcast.base.errors import ChipcastError, InfeasibleError, InputError
from chipcast.plan.assemble import AT_CUT, assemble
from chipcast.plan.judge import recourse
from chipcast.plan.labels import labels_by_date, labels_by_history
from chipcast.plan.lots import branch
from chipcast.plan.solve import SOLVERS, Session, solve
from chipcast.plan.value import (
    First,
    Risk,
    functional,
    mean_plan,
    program_of,
    solve_plan,
    tail_mean,
    values,
    wait_and_see,
)


def plan_of(p, decide, **risk):  # type: ignore[no-untyped-def]
    return solve_plan(p, labels_by_date(len(p.quarters), decide, p.size), decide, Risk(**risk))


def test_newsvendor_with_four_demands_by_hand() -> None:
    p = newsvendor()
    solved = plan_of(p, 1)
    assert solved.solution.objective == pytest.approx(92)
    assert solved.now()[0, 0] == pytest.approx(80)
    worth, mean = values(p, 1, Risk())
    assert mean.orders[0, 0] == pytest.approx(70)
    assert worth == pytest.approx({"ws": 70, "sp": 92, "eev": 98, "evpi": 22, "vss": 6})


def test_newsvendor_tail() -> None:
    p = newsvendor()
    worst = plan_of(p, 1, tail=0.75, tail_weight=1.0)
    assert worst.solution.objective == pytest.approx(100)
    assert worst.now()[0, 0] == pytest.approx(100)
    assert p.weight @ recourse(p, 1, {"a": worst.first()})["a"].costs == pytest.approx(94)
    half = plan_of(p, 1, tail=0.75, tail_weight=0.5)
    assert half.solution.objective == pytest.approx(97)
    assert half.now()[0, 0] == pytest.approx(100)
    at_80 = recourse(p, 1, {"a": First(orders=np.array([[80.0]]), signed=np.zeros(1))})["a"].costs
    assert functional(at_80, p.weight, Risk(tail=0.75, tail_weight=0.5)) == pytest.approx(116)
    for tail, expected in ((0, 98), (0.5, 130), (0.6, 137.5), (0.75, 160)):
        assert tail_mean(np.array([64.0, 68, 100, 160]), p.weight, tail) == pytest.approx(expected)


@pytest.mark.parametrize(("q", "sp", "ws"), [(0.10, 1.0, 0.91), (0.02, 0.942, 0.902)])
def test_buy_now_or_wait(q: float, sp: float, ws: float) -> None:
    p = now_or_wait(q)
    assert plan_of(p, 1).solution.objective == pytest.approx(sp)
    assert wait_and_see(p, Risk()) == pytest.approx(ws)


def test_the_value_of_news_peaks_at_the_threshold_of_waiting() -> None:
    edge = 1 / 21
    gain = [plan_of(now_or_wait(q), 1).solution.objective - wait_and_see(now_or_wait(q), Risk())
            for q in (edge - 0.01, edge, edge + 0.01)]
    assert gain[1] == pytest.approx(0.095238, abs=1e-6)
    assert gain[1] > max(gain[0], gain[2])
    assert plan_of(now_or_wait(edge - 1e-3), 1).now()[0, 0] == 0
    assert plan_of(now_or_wait(edge + 1e-3), 1).now()[0, 0] == pytest.approx(1)


def test_birge_louveaux_farmer_with_its_values_of_information() -> None:
    factor = np.array([0.8, 1.0, 1.2])
    sp = farmer(factor)
    best = solve(sp)
    assert -best.objective == pytest.approx(108_390)
    assert best.x[:3] == pytest.approx([170, 80, 250])
    ws = -solve(farmer(factor, shared=False)).objective
    mean_acres = solve(farmer(np.array([1.0]))).x[:3]
    eev = -solve(farmer(factor, acres=mean_acres)).objective
    assert ws == pytest.approx(115_405.56, abs=0.01)
    assert eev == pytest.approx(107_240)
    assert ws + best.objective == pytest.approx(7_015.56, abs=0.01)
    assert -best.objective - eev == pytest.approx(1_150)


def test_risk_averse_farmer_of_mpi_sppy() -> None:
    program = farmer(np.array([0.8, 1.0, 1.2]), tail=0.8, tail_weight=5 / 6)
    best = solve(program)
    costs = program.scenario_costs(best.x)
    assert best.x[:3] == pytest.approx([100, 80, 320])
    assert costs.mean() == pytest.approx(-103_313.33, abs=0.01)
    assert costs.max() == pytest.approx(-57_640)
    neutral = farmer(np.array([0.8, 1.0, 1.2]))
    assert neutral.scenario_costs(solve(neutral).x).max() == pytest.approx(-48_820)


def test_sddp_air_conditioning_on_a_tree_of_three_stages() -> None:
    seen = np.array([[0, 0, 0, 0], [100, 100, 300, 300], [100, 300, 100, 300]])
    program = air_conditioning(labels_by_history(seen))
    best = solve(program)
    assert best.objective == pytest.approx(62_500)
    assert best.x[program.named["made 0"]] == pytest.approx([200])
    assert best.x[program.named["overtime 0"]] == pytest.approx([0])
    assert best.x[program.named["stored"]][0] == pytest.approx([100] * 4)


def test_p1_is_the_reference() -> None:
    assert fingerprint(p1(50)) == P1_HASH


def test_p1_has_the_size_of_substituted_labels() -> None:
    program = assemble(p1(200), labels_by_date(16, 4, 200), tail_weight=0.3, at_cut="secure")
    assert (program.cost.size, program.row_lower.size, program.value.size) == (48_233, 35_400, 182_800)
    assert program.index.dtype == np.int32


@pytest.mark.parametrize(("weight", "decide", "expected"), [
    (0.3, 0, 916.895083), (0.3, 1, 920.010793), (0.3, 2, 922.706807), (0.3, 4, 934.338969), (0.3, 6, 959.108821),
    (0.3, 8, 1004.085543), (0.3, 16, 1429.861540), (0.0, 0, 776.110507), (0.0, 1, 779.312737),
    (0.0, 2, 783.102323), (0.0, 4, 794.530144), (0.0, 6, 822.708485), (0.0, 8, 860.481149), (0.0, 16, 1210.261968),
    (1.0, 4, 1252.773085)])
def test_p1_by_date_of_decision_and_weight_of_the_tail(weight: float, decide: int, expected: float) -> None:
    solved = plan_of(p1(50), decide, tail_weight=weight, at_cut="secure")
    assert solved.solution.objective == pytest.approx(expected, rel=1e-5)
    assert functional(solved.costs, solved.problem.weight, Risk(tail_weight=weight)) == pytest.approx(expected, 1e-5)


def test_p1_with_two_hundred_scenarios() -> None:
    assert plan_of(p1(200), 4, tail_weight=0.3, at_cut="secure").solution.objective == pytest.approx(934.527362, 1e-5)


def test_p1_values_of_information() -> None:
    worth, _ = values(p1(50), 4, Risk(at_cut="secure"))
    assert worth["eev"] == pytest.approx(856.449748, rel=1e-5)
    assert worth["evpi"] == pytest.approx(18.419637, rel=1e-5)
    assert worth["vss"] == pytest.approx(61.919604, rel=1e-5)


def test_p1_in_whole_lots() -> None:
    solved = plan_of(p1(50), 4, tail_weight=0.3, at_cut="secure", whole=True)
    assert solved.solution.objective == pytest.approx(936.330745, rel=1e-3)
    now = solved.now()
    assert now == pytest.approx(np.rint(now))
    assert solved.solution.bound <= solved.solution.objective + 1e-6
    assert now[7, 0] == 4
    assert now[6, 1] + now[6, 2] == 2


def test_the_mean_value_plan_of_p1_loses_out_of_sample() -> None:
    from chipcast.plan.value import paired

    big = p1(400)
    sample, fresh = big.take(np.arange(50)), big.take(np.arange(200, 400))
    risk = Risk(at_cut="secure")
    plans = {"plan": solve_plan(sample, labels_by_date(16, 4, 50), 4, risk).first(), "mean": mean_plan(sample, 4, risk)}
    judged = recourse(fresh, 4, plans, at_cut="secure")
    verdict = paired(judged["plan"].costs, judged["mean"].costs)
    assert verdict["verdict"] == "better"
    assert 30 < verdict["difference"] < 80


@pytest.mark.parametrize("solver", [s for s in SOLVERS if s != "hipo"])
def test_every_solver_gives_the_same_optimum(solver: str) -> None:
    program = assemble(p1(10), labels_by_date(16, 4, 10), tail_weight=0.3, at_cut="secure")
    assert solve(program, solver=solver).objective == pytest.approx(solve(program).objective, rel=1e-6)


@pytest.mark.parametrize("at_cut", AT_CUT)
def test_every_treatment_of_a_cut_gives_bounds_between_the_extremes(at_cut: str) -> None:
    p = p1(10)
    program = assemble(p, labels_by_date(16, 8, 10), at_cut=at_cut)
    bound = program.upper[program.named["order 6"][:, 0]]
    assert (bound >= p.order_cap[:, 6].min(-1)).all() and (bound <= p.order_cap[:, 6].max(-1)).all()


def test_an_option_the_solver_does_not_know_is_an_error() -> None:
    program = farmer(np.array([1.0]))
    with pytest.raises(InputError, match="solver option 'frobnicate'"):
        solve(program, options={"frobnicate": 1})
    with pytest.raises(InputError, match="unknown solver 'simplx'; did you mean 'simplex'"):
        solve(program, solver="simplx")


def test_a_solver_that_stops_early_gives_no_plan() -> None:
    program = assemble(p1(50), labels_by_date(16, 4, 50), tail_weight=0.3, at_cut="secure")
    with pytest.raises(ChipcastError, match="stopped by the iteration limit; no plan is reported"):
        solve(program, options={"simplex_iteration_limit": 5, "presolve": "off"})


def test_an_impossible_program_names_what_fights() -> None:
    p = newsvendor()
    tight = replace(p, serve_share=1.0, budget=np.array([50.0]))
    with pytest.raises(InfeasibleError, match="the least share of need to serve and the budget cannot all hold; "
                       r"enough would be a share of need served of 67.8%, or a budget 100.1% larger"):
        plan_of(tight, 1)


def test_a_warm_start_gives_what_a_cold_one_gives() -> None:
    p = p1(20)
    labels = labels_by_date(16, 4, 20)
    session = Session(assemble(p, labels, tail_weight=0.3, at_cut="secure"))
    session.solve()
    columns = session.program.named["order 0"][:, 0]
    session.bounds(columns, 0.0, 0.0)
    warm = session.solve().objective
    shut = p.order_cap.copy()
    shut[:, 0] = 0
    cold = solve(assemble(replace(p, order_cap=shut), labels, tail_weight=0.3, at_cut="secure")).objective
    assert warm == pytest.approx(cold, rel=1e-7)


def test_the_solver_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    solve(farmer(np.array([0.8, 1.0, 1.2])))
    out = capfd.readouterr()
    assert out.out == "" and out.err == ""


def test_a_solve_goes_back_to_a_corner_under_another_objective() -> None:
    program = assemble(p1(20), labels_by_date(16, 4, 20), at_cut="secure")
    session = Session(program)
    best = session.solve()
    corner = session.corner()
    now = np.concatenate([program.named[f"order {t}"].ravel() for t in range(4)])
    most = np.zeros_like(program.cost)
    most[now] = -1.0
    cold = solve(replace(program, cost=most))
    assert session.from_corner(corner, most).objective == pytest.approx(cold.objective, rel=1e-9)
    assert session.from_corner(corner, program.cost).objective == pytest.approx(best.objective, rel=1e-9)


def test_a_known_plan_cuts_the_search_short_and_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    p, risk = p1(50), Risk(at_cut="secure", tail_weight=0.3)
    program = program_of(p, labels_by_date(16, 4, 50), 4, risk, blocks=True)
    short = branch(p, program, 4)
    monkeypatch.setattr(Session, "only_below", lambda self, value: None)
    full = branch(p, program, 4)
    assert short.objective == pytest.approx(full.objective, rel=1e-9)
    assert short.bound == pytest.approx(full.bound, rel=1e-9)
