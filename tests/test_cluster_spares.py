"""Spares, degraded running, k of n, and the slowest of many."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chipcast.base.errors import InputError
from chipcast.cluster import spares as s

LOAD = 128 * 0.0065 * 2


def test_erlang_b_with_four_spares() -> None:
    assert pytest.approx(1.664) == LOAD
    assert s.availability_when_short_stops(LOAD, 4) == pytest.approx(0.9797195, abs=5e-8)


@pytest.mark.parametrize("law", ["exponential", "fixed", "weibull"])
def test_erlang_b_does_not_care_about_the_repair_law(law: str) -> None:
    """Nodes fail at a constant total rate while the job runs and not while it is short; repairs of three laws."""
    rng = np.random.default_rng(3)
    places, n = 5, 60_000
    shape = 0.43
    hold = {"exponential": rng.exponential(2.0, n), "fixed": np.full(n, 2.0),
            "weibull": rng.weibull(shape, n) * 2.0 / math.gamma(1 + 1 / shape)}[law]
    arrivals = np.cumsum(rng.exponential(2.0 / LOAD, n))
    ends: list[float] = []
    blocked = 0
    for at, length in zip(arrivals, hold, strict=True):
        ends = [e for e in ends if e > at]
        if len(ends) >= places:
            blocked += 1
        else:
            ends.append(at + length)
    share = blocked / n
    # Poisson arrivals see time averages; batches of 2,000 give the error of the mean.
    assert share == pytest.approx(1 - 0.9797195, abs=0.0035)


def test_closed_form_of_erlang_b_is_the_recursion() -> None:
    for k in (0, 1, 5, 30, 200):
        load = np.array([0.01, 1.0, 10.0, 150.0, 400.0])
        assert np.allclose(s.erlang_b_array(float(k), load), s.erlang_b(k, load), rtol=1e-9, atol=1e-300)


def test_spares_needed_are_the_fewest_that_do() -> None:
    load = np.geomspace(0.01, 800, 60)
    for target in (0.9, 0.99, 0.999):
        need = s.spares_needed(load, target)
        assert np.all(1 - s.erlang_b_array(need + 1, load) >= target * (1 - 1e-9))
        fewer = need > 0
        assert np.all(1 - s.erlang_b_array(need[fewer], load[fewer]) < target)
        assert np.all(np.diff(need) >= 0)


def test_degraded_running_with_four_spares() -> None:
    full, active = s.degraded(128, 4, LOAD / 128)
    assert full == pytest.approx(0.9727082, abs=5e-8)
    assert active == pytest.approx(127.96355, abs=5e-6)


def test_spares_of_2048_nodes_by_poisson() -> None:
    load = 2_048 * 6.5e-3
    assert load == pytest.approx(13.312)
    assert s.spares_for_nodes_down(load, 0.999) == 26
    assert s.spares_for_nodes_down(3 * load, 0.999) == 61


def test_k_of_n_of_cubes_and_nodes() -> None:
    assert s.at_least(130, 144, 0.9346861) == pytest.approx(0.95, abs=5e-7)
    up = 0.976786
    for k, n, value in ((48, 48, 0.32387), (46, 48, 0.89967), (44, 48, 0.99496), (18, 18, 0.65522), (16, 18, 0.99214)):
        assert s.at_least(k, n, up) == pytest.approx(value, abs=6e-6)
    assert s.at_least(48, 48, up) == pytest.approx(up**48)
    assert s.at_least(0, 5, 0.1) == 1


def test_elastic_throughput_is_node_availability() -> None:
    assert s.elastic_throughput(1 / 200, 10) == pytest.approx(0.952381, abs=5e-7)
    assert s.elastic_throughput(1 / 200, 10, replicas=16, stall_h=0.01) < s.elastic_throughput(1 / 200, 10)


@pytest.mark.parametrize(("n", "value", "excess"), [
    (8, 1.423600, 43), (64, 2.343733, 23), (512, 3.043903, 16), (2_048, 3.441799, 13), (16_384, 3.971351, 11)])
def test_mean_of_the_largest_of_n_normals(n: int, value: float, excess: float) -> None:
    assert s.slowest_normal(n) == pytest.approx(value, abs=1e-6)
    assert math.sqrt(2 * math.log(n)) / value - 1 == pytest.approx(excess / 100, abs=0.006)


def test_one_slow_rank_in_ten_thousand_is_enough() -> None:
    assert s.slow_step_factor(1e-4, 1.34, 10_000) == pytest.approx(1.214927, abs=5e-7)
    assert s.slow_step_factor(0.0, 1.34, 10_000) == 1


def test_hash_collisions_on_equal_links() -> None:
    assert s.mean_largest_load(8, 8) == pytest.approx(2.597, abs=5e-4)
    assert s.mean_largest_load(64, 64) == pytest.approx(3.958, abs=5e-4)
    assert s.mean_largest_load(1, 9) == pytest.approx(1)
    assert s.mean_largest_load(7, 1) == pytest.approx(7)


def test_a_target_outside_0_to_1_is_refused() -> None:
    with pytest.raises(InputError, match=r"target availability must lie inside 0 to 1, got 1\.0"):
        s.spares_needed(1.0, 1.0)


def test_few_places_under_a_huge_load_are_always_taken() -> None:
    """The closed form has no float for the Poisson tail here; the recursion has."""
    for places, load in ((1, 900.0), (10, 2_000.0), (400, 3_000.0), (0, 1e5)):
        assert s.erlang_b_array(float(places), load) == pytest.approx(s.erlang_b(places, load), rel=1e-3)


def test_more_nodes_down_than_the_table_holds_are_searched_for() -> None:
    load = np.array([1.664, 3_900.0, 1e5])
    count = s.spares_needed(load, 0.99)
    assert np.all(s.erlang_b_array(count + 1, load) <= 0.01)
    assert np.all(s.erlang_b_array(count, load) > 0.01)
