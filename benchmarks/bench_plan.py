"""The planner on its reference procurement P1: build, solve, a warm what-if, whole lots, and other ways beside it.

The modelling layers are no dependencies: where they are not installed their case is skipped.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from plan_programs import p1

from chipcast import chain
from chipcast.plan.assemble import assemble
from chipcast.plan.decide import Asked, work, written
from chipcast.plan.labels import labels_by_date
from chipcast.plan.lots import branch
from chipcast.plan.need import need_for
from chipcast.plan.problem import Problem
from chipcast.plan.solve import Session, solve
from chipcast.plan.value import Risk, program_of


@pytest.mark.parametrize("scenarios", [200, 1000])
def test_build(benchmark: Any, scenarios: int) -> None:
    p, labels = p1(scenarios), labels_by_date(16, 4, scenarios)
    program = benchmark(assemble, p, labels, tail_weight=0.3, at_cut="secure")
    assert program.cost.size == {200: 48_233, 1000: 241_033}[scenarios]


@pytest.mark.parametrize("scenarios", [200, 1000])
def test_solve(benchmark: Any, scenarios: int) -> None:
    program = assemble(p1(scenarios), labels_by_date(16, 4, scenarios), tail_weight=0.3, at_cut="secure")
    best = benchmark.pedantic(solve, args=(program,), rounds=1)
    assert best.objective == pytest.approx({200: 934.527362, 1000: 933.516685}[scenarios], rel=1e-5)


def test_whole_lots_to_a_thousandth(benchmark: Any) -> None:
    program = assemble(p1(200), labels_by_date(16, 4, 200), tail_weight=0.3, at_cut="secure", whole_until=4)
    best = benchmark.pedantic(solve, args=(program,), rounds=1)
    assert best.gap <= 1e-3


def test_warm_what_if(benchmark: Any) -> None:
    session = Session(assemble(p1(200), labels_by_date(16, 4, 200), tail_weight=0.3, at_cut="secure"))
    session.solve()
    columns = session.program.named["order 0"][:, 0]
    upper = session.program.upper[columns]

    def less_now() -> float:
        session.bounds(columns, 0.0, 0.5 * upper)
        return session.solve().objective

    assert benchmark.pedantic(less_now, rounds=1) >= 934.5


def test_whole_lots_by_our_own_search(benchmark: Any) -> None:
    p, risk = p1(200), Risk(at_cut="secure", tail_weight=0.3)
    program = program_of(p, labels_by_date(16, 4, 200), 4, risk, blocks=True)
    best = benchmark.pedantic(branch, args=(p, program, 4), rounds=1)
    assert best.gap <= 1e-3


def by_linopy(p: Problem) -> float:
    """Build and solve P1 with shared first orders in linopy, the way its users would write it."""
    linopy, xr = pytest.importorskip("linopy"), pytest.importorskip("xarray")
    C, T, S = p.order_cost.shape
    axes = {"c": range(C), "t": range(T), "s": range(S)}

    def data(values: Any, *names: str) -> Any:
        return xr.DataArray(values, dims=names, coords={n: axes[n] for n in names})

    m = linopy.Model()
    cap = p.order_cap.copy()
    cap[:, :4] = cap[:, :4].min(axis=-1, keepdims=True)
    order = m.add_variables(lower=0, upper=data(cap, "c", "t", "s"), name="order")
    owned = m.add_variables(lower=0, coords=[axes[n] for n in "cts"], dims=["c", "t", "s"], name="owned")
    short = m.add_variables(lower=0, coords=[axes[n] for n in "ts"], dims=["t", "s"], name="short")
    excess, eta = m.add_variables(lower=0, coords=[axes["s"]], dims=["s"], name="excess"), m.add_variables(name="eta")
    m.add_constraints(order.isel(t=slice(0, 4)) - order.isel(t=slice(0, 4), s=0) == 0, name="alike")
    m.add_constraints(owned.isel(t=0) == 0, name="start")
    m.add_constraints(owned.isel(t=slice(1, None)) - owned.isel(t=slice(0, -1)).assign_coords(t=list(range(1, T)))
                      - order.isel(t=slice(0, -1)).assign_coords(t=list(range(1, T))) == 0, name="stock")
    m.add_constraints((data(p.rate[:, 0, 0], "c") * owned).sum("c") + short >= data(p.need, "t", "s"), name="serve")
    assert p.power is not None
    m.add_constraints((data(p.power, "c") * owned).sum("c") <= 220, name="power")
    m.add_constraints((data(p.spend, "c", "t", "s") * order).sum("c") <= 900, name="budget")
    cost = (data(p.order_cost, "c", "t", "s") * order).sum(["c", "t"]) + (data(p.miss_cost, "t", "s") * short).sum("t")
    m.add_constraints(excess + eta - cost >= 0, name="tail")
    m.add_objective(0.7 / S * cost.sum() + 0.3 * eta + 0.3 / (0.1 * S) * excess.sum())
    m.solve(solver_name="highs", output_flag=False)
    return float(m.objective.value)


def by_cvxpy(p: Problem) -> float:
    """Build and solve P1 with shared first orders in cvxpy, quarter by quarter."""
    cp = pytest.importorskip("cvxpy")
    C, T, S = p.order_cost.shape
    order = [cp.Variable((C, 1), nonneg=True) if t < 4 else cp.Variable((C, S), nonneg=True) for t in range(T)]
    owned = [cp.Variable((C, S), nonneg=True) for _ in range(T)]
    short, excess, eta = cp.Variable((T, S), nonneg=True), cp.Variable(S, nonneg=True), cp.Variable()
    rules, cost = [owned[0] == 0], 0
    assert p.power is not None
    for t in range(T):
        each = order[t] @ np.ones((1, S)) if t < 4 else order[t]
        rules += [order[t] <= (p.order_cap[:, t].min(axis=-1, keepdims=True) if t < 4 else p.order_cap[:, t]),
                  p.rate[:, 0, 0] @ owned[t] + short[t] >= p.need[t], p.power @ owned[t] <= 220,
                  cp.sum(cp.multiply(p.spend[:, t], each), axis=0) <= 900]
        if t + 1 < T:
            rules.append(owned[t + 1] == owned[t] + each)
        cost = cost + cp.sum(cp.multiply(p.order_cost[:, t], each), axis=0) + cp.multiply(p.miss_cost[t], short[t])
    rules.append(excess + eta >= cost)
    problem = cp.Problem(cp.Minimize(0.7 / S * cp.sum(cost) + 0.3 * eta + 0.3 / (0.1 * S) * cp.sum(excess)), rules)
    return float(problem.solve(solver="HIGHS"))


def by_us(p: Problem) -> float:
    """Build and solve P1 with our own assembly."""
    return solve(assemble(p, labels_by_date(16, 4, p.size), tail_weight=0.3, at_cut="secure")).objective


@pytest.mark.parametrize("way", [by_us, by_linopy, by_cvxpy])
def test_side_by_side_with_modelling_layers(benchmark: Any, way: Any) -> None:
    found = benchmark.pedantic(way, args=(p1(200),), rounds=1)
    assert found == pytest.approx(934.527362, rel=1e-4)


def test_smallest_example_from_a_prepared_market(benchmark: Any) -> None:
    ready = chain.prepare("hospital-group", draws=3000)
    given, setting = ready.given, ready.setting
    need, market = need_for(given, setting.scenario.buyer), chain.trade(setting, given).market
    service = chain.serve_buyer(setting, given)
    asked = Asked(fast=False)

    def answer() -> Any:
        return written(work(given, need, market, service, setting.verdicts, asked), given, need, asked)

    assert benchmark.pedantic(answer, rounds=1).orders


def test_smallest_example_from_a_new_process(benchmark: Any) -> None:
    command = [sys.executable, "-m", "chipcast", "plan", "hospital-group"]
    benchmark.pedantic(lambda: subprocess.run(command, check=True, capture_output=True), rounds=2)


@pytest.mark.parametrize("prices", ["ours", "of HiGHS"])
def test_solve_beside_the_solver_as_it_comes(benchmark: Any, prices: str) -> None:
    """Our way to the optimum of P1 beside the same program in HiGHS with its own choice of edge prices."""
    program = assemble(p1(200), labels_by_date(16, 4, 200), tail_weight=0.3, at_cut="secure")
    own = {} if prices == "ours" else {"simplex_dual_edge_weight_strategy": -1}
    best = benchmark.pedantic(solve, args=(program,), kwargs={"options": own}, rounds=1)
    assert best.objective == pytest.approx(934.527362, rel=1e-5)
