"""Checkpoint and rollback: published and derived values, limits, and a simulated second road."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import lambertw

from chipcast.cluster import renewal as r

M, C, R, TAU, W = 10_000.0, 60.0, 600.0, 1_000.0, 20_000.0


def test_expected_time_with_and_without_strikes_in_restart() -> None:
    assert W * r.stretch(1 / M, TAU, C, R, strikes_in_restart=True) == pytest.approx(23_747.311, abs=5e-4)
    assert W * r.stretch(1 / M, TAU, C, R) == pytest.approx(23_706.238, abs=5e-4)


def test_spread_of_the_time_of_a_job_and_of_a_segment() -> None:
    mean, variance = r.segment_moments(1 / M, TAU, C, R)
    assert mean == pytest.approx(1185.3119, abs=5e-5)
    assert variance == pytest.approx(166_596.765, abs=5e-4)
    assert math.sqrt(20 * variance) == pytest.approx(1_825.359, abs=5e-4)


def test_best_interval_of_young_daly_and_lambert() -> None:
    assert r.best_interval(1 / M, C) == pytest.approx(1055.81563, abs=5e-6)
    assert r.young(1 / M, C) == pytest.approx(1095.44512, abs=5e-6)
    assert r.daly(1 / M, C) == pytest.approx(1055.81026, abs=5e-6)
    assert r.best_interval(1 / 11_134.8, 30) == pytest.approx(797.490, abs=5e-4)
    assert r.young(1 / 11_134.8, 30) == pytest.approx(817.367, abs=5e-4)
    assert r.daly(1 / 11_134.8, 30) == pytest.approx(797.489, abs=5e-4)


def test_stretch_and_share_of_progress_at_the_best_interval() -> None:
    best = r.best_interval(1 / M, C)
    strikes, plain = r.stretch(1 / M, best, C, R, strikes_in_restart=True), r.stretch(1 / M, best, C, R)
    assert strikes == pytest.approx(1.1871810, abs=5e-8)
    assert plain == pytest.approx(1.1851276, abs=5e-8)
    assert 1 / strikes == pytest.approx(0.8423316, abs=5e-8)
    assert 1 / plain == pytest.approx(0.8437910, abs=5e-8)


def test_a_ladder_of_online_faults() -> None:
    online = 8 / 5_000 + 90 / 20_000
    assert r.stretch(1 / M, TAU, C, R, online=online) == pytest.approx(1.1921330, abs=5e-8)
    assert r.stretch(1 / M, r.best_interval(1 / M, C), C, R, online=online) == pytest.approx(1.1919477, abs=5e-8)


@pytest.mark.parametrize(("cost", "minutes", "share"), [
    (10, 5, 0.93274), (20, 5, 0.91623), (30, 5, 0.90370), (30, 10, 0.87968)])
def test_llama_3_at_its_own_time_between_stops(cost: float, minutes: float, share: float) -> None:
    rate = 419.0 / (16_384 * 54 * 24 * 3600) * 16_384
    tau = r.best_interval(rate, cost)
    assert 1 / r.stretch(rate, tau, cost, minutes * 60, strikes_in_restart=True) == pytest.approx(share, abs=6e-6)


@pytest.mark.parametrize(("gpus", "per_day", "interval", "restart", "share"), [
    (16_384, 6.5e-3, 300, 300, 0.93067), (2_048, 6.5e-3, 3600, 300, 0.95956), (4_096, 6.5e-3, 3600, 300, 0.91911),
    (100_000, 2.34e-3, 120, 120, 0.93906)])
def test_first_order_form_of_meta(gpus: int, per_day: float, interval: float, restart: float, share: float) -> None:
    rate = gpus / 8 * per_day / 86_400
    assert r.first_order_ettr(rate, interval, restart) == pytest.approx(share, abs=6e-6)


def test_first_order_form_meets_the_exact_one_with_second_order_error() -> None:
    scale = 2.0 ** -np.arange(4, 12)
    rate = scale / 10_000
    exact = 1 / r.stretch(rate, 1_000.0, 0.0, 600.0)
    error = np.abs(exact - r.first_order_ettr(rate, 1_000.0, 600.0))
    slope = np.polyfit(np.log(scale), np.log(error), 1)[0]
    assert slope == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("c", [1e-17, 1e-14, 1e-10, 1e-7, 1e-6, 1.01e-6, 1e-4, 1e-2, 0.3, 1.0, 5.0, 30.0])
def test_best_interval_keeps_its_digits_where_the_closed_form_loses_them(c: float) -> None:
    x = r.best_interval(1.0, c)
    if c > 1e-5:
        assert x == pytest.approx(float(1 + lambertw(-math.exp(-c - 1)).real), rel=1e-12)
    s = math.sqrt(2 * c)
    if c < 1e-4:
        assert x == pytest.approx(s - s**2 / 3 + s**3 / 36 + s**4 / 270 + s**5 / 4320, rel=1e-13)
    assert 0 < x <= 1


def test_the_closed_form_fails_where_the_series_does_not() -> None:
    naive = float(1 + lambertw(-math.exp(-1e-14 - 1)).real)
    assert abs(naive / r.best_interval(1.0, 1e-14) - 1) > 1e-5


def test_no_other_interval_is_better() -> None:
    best = r.best_interval(1 / M, C)
    for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2.0):
        assert r.stretch(1 / M, best * factor, C, R) > r.stretch(1 / M, best, C, R)


def test_silent_errors_found_by_verification() -> None:
    rate = 1 / (216 * 3600)
    best = r.silent_best_work(rate, 60.0, 30.0, 300.0)
    assert best == pytest.approx(8_320.05, abs=5e-3)
    assert r.silent_stretch(rate, best, 60.0, 30.0, 300.0) == pytest.approx(1.0220398, abs=5e-8)
    assert math.sqrt(90 / rate) == pytest.approx(8_365.64, abs=5e-3)


def test_two_levels_of_checkpoints() -> None:
    assert r.two_level_overhead(1 / 11_135, 5, 1 / 111_350, 60) == pytest.approx(0.062796, abs=5e-7)
    both = 1 / 11_135 + 1 / 111_350
    assert math.sqrt(2 * 60 * both) == pytest.approx(0.108878, abs=5e-7)


def test_limits_without_stops_and_without_cost() -> None:
    assert r.stretch(1e-30, TAU, C, R) == pytest.approx(1 + C / TAU, rel=1e-12)
    assert 1 / r.stretch(1 / M, 1e-4, 0.0, R, strikes_in_restart=True) == pytest.approx(math.exp(-R / M), rel=1e-7)


def test_seconds_or_hours_give_the_same_share() -> None:
    assert r.stretch(1 / M, TAU, C, R) == pytest.approx(r.stretch(3600 / M, TAU / 3600, C / 3600, R / 3600), rel=1e-13)


def test_progress_falls_with_rate_restart_and_cost() -> None:
    rate, restart, cost = np.geomspace(1e-6, 1e-3, 40), np.linspace(0, 2000, 40), np.linspace(1, 300, 40)
    best = r.best_interval(rate, C)
    assert np.all(np.diff(r.stretch(rate, best, C, R)) > 0)
    assert np.all(np.diff(r.stretch(1 / M, TAU, C, restart)) > 0)
    assert np.all(np.diff(r.stretch(1 / M, r.best_interval(1 / M, cost), cost, R)) > 0)


@pytest.mark.parametrize("law", ["fixed", "exponential", "weibull"])
def test_only_the_mean_of_the_restart_time_matters(law: str) -> None:
    """Renewal expectation against segments played out stop by stop, for three laws of one mean."""
    rng = np.random.default_rng(7)
    runs, segments, online = 40_000, 20, 8 / 5_000
    span = TAU + C
    stops = rng.geometric(math.exp(-span / M), size=(runs, segments)) - 1
    total = np.full(runs, segments * span)
    count = stops.sum(axis=1)
    lost = -M * np.log1p(-rng.random(count.sum()) * -math.expm1(-span / M))
    shape = 0.43
    wait = {"fixed": lambda n: np.full(n, R), "exponential": lambda n: rng.exponential(R, n),
            "weibull": lambda n: rng.weibull(shape, n) * R / math.gamma(1 + 1 / shape)}[law](count.sum())
    owner = np.repeat(np.arange(runs), count)
    progress = total + np.bincount(owner, lost, minlength=runs)
    total = progress + np.bincount(owner, wait, minlength=runs) + 8 * rng.poisson(progress / 5_000)
    mean, error = total.mean() / W, total.std() / W / math.sqrt(runs)
    # Online faults run on the clock of progress: here their rate is per unit of time spent computing.
    exact = r.segment_stretch(1 / M, TAU, C) * (1 + R / M + online)
    assert abs(mean - exact) < 3 * error
    assert exact == pytest.approx(1.18710, abs=5e-6)
