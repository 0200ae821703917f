"""The verdict rule, at each of its borders."""

from __future__ import annotations

import doctest
from importlib import import_module

import numpy as np
import pytest

from chipcast.base import draws
from chipcast.evidence.verdict import ORDER, harsher, judge_direction, judge_interval

T = draws.normals(1, "t", 0, 20_000)


@pytest.mark.parametrize(("low", "high", "prior", "word"), [
    (-2, 2, 10 * T, "supported"), (0.5, 1.5, 10 * T, "consistent"), (-1, 1, T * 1.1, "not identified"),
    (-3, 3, T * 1.1, "supported"),
    (1.8, 3, 10 * T, "in doubt"), (3, 4, 10 * T, "contradicted"), (-2, 2, None, "supported"),
    (-np.inf, 0.1, 10 * T, "supported"), (-4, -3, 10 * T, "contradicted"),
])
def test_an_interval_is_judged_by_the_stated_rule(low: float, high: float, prior: np.ndarray | None, word: str) -> None:
    assert judge_interval(T, low, high, prior).word == word


def test_contradiction_comes_before_not_identified() -> None:
    assert judge_interval(T, 5, 6, T).word == "contradicted"


@pytest.mark.parametrize(("shift", "word"), [(3, "supported"), (1.2, "consistent"), (0, "not identified"),
                                            (-1.2, "in doubt"), (-3, "contradicted")])
def test_a_direction_is_judged_by_the_probability_of_its_sign(shift: float, word: str) -> None:
    assert judge_direction(T + shift).word == word


def test_a_claim_of_two_parts_is_as_good_as_its_weaker_one() -> None:
    good, bad = judge_interval(T, -2, 2, None), judge_interval(T, 5, 6, None)
    assert harsher(good, bad).word == harsher(bad, good).word == "contradicted"
    assert ORDER.index("supported") < ORDER.index("contradicted")


@pytest.mark.parametrize("name", ["chipcast.evidence.rivals", "chipcast.evidence.score", "chipcast.inversion"])
def test_examples_of_a_module_hold(name: str) -> None:
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
