"""The planner on its reference procurement P1: build, solve, a warm what-if, whole lots."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from plan_programs import p1

from chipcast.plan.assemble import assemble
from chipcast.plan.labels import labels_by_date
from chipcast.plan.solve import Session, solve


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
