"""Risk weighed at every node of the tree, against a recursion of its own and against its limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_programs import newsvendor, p1

from chipcast.base.errors import InputError
from chipcast.plan.assemble import assemble
from chipcast.plan.labels import labels_by_date, labels_by_history
from chipcast.plan.sheet import Sheet
from chipcast.plan.solve import solve
from chipcast.plan.value import Risk, solve_plan, tail_mean


def recursion(costs: np.ndarray, weight: np.ndarray, labels: np.ndarray, tail: float, w: float) -> float:
    """Return the nested value of given costs from the leaves up, node by node, with sorted tails."""
    def value(members: list[int], t: int) -> float:
        if len(members) == 1:
            return float(costs[members[0]])
        groups: dict[int, list[int]] = {}
        for s in members:
            groups.setdefault(int(labels[t, s]) if t < labels.shape[0] else s, []).append(s)
        below = np.array([value(g, t + 1) for g in groups.values()])
        share = np.array([weight[g].sum() for g in groups.values()]) / weight[members].sum()
        return (1 - w) * float(share @ below) + w * tail_mean(below, share, tail)

    return value(list(range(costs.size)), 0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), tail=st.floats(0.0, 0.95), w=st.floats(0.05, 1.0))
def test_the_program_meets_the_recursion_on_any_tree(seed: int, tail: float, w: float) -> None:
    g = np.random.default_rng(seed)
    size = int(g.integers(2, 12))
    labels = labels_by_history(g.integers(0, 2, (3, size)))
    costs, weight = g.normal(0, 10, size), g.dirichlet(np.ones(size))
    sheet = Sheet()
    one = sheet.new_columns("one", (1,), lower=1.0, upper=1.0)
    sheet.charge(np.arange(size), one, costs)
    found = solve(sheet.close(weight, tail=tail, tail_weight=w, risk="nested", labels=labels)).objective
    assert found == pytest.approx(recursion(costs, weight, labels, tail, w), rel=1e-7, abs=1e-7)


def test_with_one_stage_of_news_it_is_the_tail_at_the_root() -> None:
    p, labels = p1(12), labels_by_date(16, 4, 12)
    root, nested = (solve_plan(p, labels, 4, Risk(kind=k, at_cut="secure", tail=0.7, tail_weight=0.3))
                    for k in ("mean_cvar", "nested"))
    assert nested.solution.objective == pytest.approx(root.solution.objective, rel=1e-9)


def test_without_weight_on_the_tail_it_is_the_mean() -> None:
    p, labels = p1(8), labels_by_history(np.arange(16)[:, None] * np.arange(8)[None] // 40)
    mean, nested = (solve_plan(p, labels, 1, Risk(kind=k, at_cut="secure", tail_weight=0.0)).solution.objective
                    for k in ("mean", "nested"))
    assert nested == pytest.approx(mean, rel=1e-9)


def test_what_is_planned_for_a_node_is_what_would_be_planned_there() -> None:
    """Two even branches of two even leaves; in the cheap one an act is a little dearer and less risky than another."""
    labels = np.array([[0, 0, 0, 0], [0, 0, 1, 1]])
    acts = np.array([[9.0, 5.0], [8.0, 6.5]])

    def chosen(risk: str) -> int:
        found = []
        for act in acts:
            sheet = Sheet()
            one = sheet.new_columns("one", (1,), lower=1.0, upper=1.0)
            sheet.charge(np.arange(4), one, np.array([*act, 100.0, 100.0]))
            found.append(solve(sheet.close(np.full(4, 0.25), tail=0.5, tail_weight=0.5, risk=risk, labels=labels)
                               ).objective)
        return int(np.argmin(found))

    # In the cheap branch, half mean and half worst: 7/2 + 9/2 = 8 against 7.25/2 + 8/2 = 7.625.
    assert chosen("nested") == 1
    # At the root only the dear branch is in the tail, and the cheap one is planned for its mean: 7 against 7.25.
    assert chosen("mean_cvar") == 0


def test_a_nested_objective_needs_its_tree() -> None:
    p = newsvendor()
    with pytest.raises(InputError, match="the tree must be given for a nested objective"):
        Sheet().close(p.weight, tail=0.9, tail_weight=0.5, risk="nested")
    assert solve(assemble(p, labels_by_date(1, 1, 4), risk="nested", tail=0.75, tail_weight=0.5)
                 ).objective == pytest.approx(97)
