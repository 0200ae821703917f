"""Scores against their closed forms; baselines; what a score must punish."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from chipcast.base.draws import normals, uniforms
from chipcast.base.errors import InputError
from chipcast.evidence import score

EVEN = ndtri((np.arange(4000) + 0.5) / 4000)


def test_crps_of_normal_and_lognormal_have_their_published_values() -> None:
    assert score.crps_normal(0.0, 1.0, np.array([0.0, 1.0, 2.0])) == pytest.approx(
        [0.233694977, 0.602441358, 1.452791822], abs=1e-9)
    assert score.crps_lognormal(0.0, 1.0, 1.0) == pytest.approx(0.267405467, abs=1e-9)
    assert score.crps_lognormal(0.0, 0.25, 1.2) == pytest.approx(0.116282800, abs=1e-9)


def test_crps_of_an_ensemble_meets_the_closed_forms_as_it_grows() -> None:
    assert score.crps(EVEN, 1.0) == pytest.approx(0.602441358, abs=2e-4)
    assert score.crps(np.exp(EVEN), 1.0) == pytest.approx(0.267405467, abs=2e-3)


def test_small_ensembles_have_their_known_scores() -> None:
    four = np.array([4.0, 1.0, 3.0, 2.0])
    assert score.crps(four, 2.5) == 0.375
    assert score.crps(four, 2.5, fair=True) == pytest.approx(1 / 6)
    assert score.crps(four, 0.0) == 1.875
    assert score.crps(four, 0.0, fair=True) == pytest.approx(5 / 3)


def test_the_sorted_form_equals_the_double_sum() -> None:
    x, y = normals(1, "test:crps", 0, 60), 0.3
    double = np.abs(x - y).mean() - np.abs(x[:, None] - x[None]).mean() / 2
    assert score.crps(x, y) == pytest.approx(double, abs=1e-12)
    many = np.stack([x, x + 1])
    assert score.crps(many, np.array([y, y + 1])) == pytest.approx([double, double], abs=1e-12)


def test_weighted_interval_score_has_its_known_values() -> None:
    intervals = {0.5: (8.0, 12.5), 0.9: (6.0, 16.0)}
    assert score.weighted_interval_score(10.0, intervals, 18.0) == pytest.approx(5.25)
    assert score.weighted_interval_score(10.0, intervals, 10.0) == pytest.approx(0.65)


def test_ten_forecasts_hardly_tell_90_from_70_percent() -> None:
    assert score.binomial_at_least(8, 10, 0.9) == pytest.approx(0.930, abs=5e-4)
    assert score.binomial_at_least(8, 10, 0.7) == pytest.approx(0.383, abs=5e-4)
    low, high = score.binomial_band(10, 0.9)
    assert (low, high) == (7, 10)
    assert score.binomial_at_least(0, 10, 0.9) == 1.0


def test_pit_of_a_true_forecast_is_uniform_and_of_a_narrow_one_is_not() -> None:
    truth = normals(1, "test:truth", 0, 2000)
    good = score.pit(np.broadcast_to(EVEN, (2000, 4000))[:, ::10], truth)
    narrow = score.pit(np.broadcast_to(EVEN * 0.4, (2000, 4000))[:, ::10], truth)
    def distance(p: np.ndarray) -> float:
        return float(np.max(np.abs(np.sort(p) - (np.arange(2000) + 0.5) / 2000)))
    assert distance(good) < 1.63 / np.sqrt(2000)  # Kolmogorov at 1 percent
    assert distance(narrow) > 1.63 / np.sqrt(2000)
    assert score.pit(np.array([1.0, 1.0, 2.0]), 1.0, 0.5) == pytest.approx(1 / 3)


def test_coverage_counts_what_lies_inside() -> None:
    truth = normals(1, "test:truth", 0, 2000)
    hits = score.covered(np.broadcast_to(EVEN, (2000, 4000))[:, ::10], truth, 0.9).mean()
    assert abs(hits - 0.9) < 3 * np.sqrt(0.09 / 2000)


def test_the_true_forecast_scores_best() -> None:
    truth = 0.5 + normals(1, "test:truth", 0, 3000)
    def mean(shift: float, spread: float) -> float:
        return float(np.mean(score.crps_normal(shift, spread, truth)))
    assert mean(0.5, 1.0) < min(mean(0.5, 0.5), mean(0.5, 2.0), mean(0.0, 1.0), mean(1.0, 1.0))
    p = 0.3
    happened = (uniforms(1, "test:event", 0, 5000) < p).astype(float)
    for rule in (score.brier, score.log_score):
        assert np.mean(rule(p, happened)) < min(np.mean(rule(q, happened)) for q in (0.1, 0.2, 0.4, 0.5))


@pytest.mark.parametrize("name", sorted(score.BASELINES))
def test_every_baseline_is_centred_where_its_name_says_and_widens(name: str) -> None:
    past = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    near, far = (score.BASELINES[name](past, k, EVEN) for k in (1, 9))
    centre = {"last": 16.0, "log_rw_drift": 32.0, "seasonal_naive": 2.0}[name]
    assert np.median(near) == pytest.approx(centre, rel=1e-3)
    assert np.log(far).std() >= np.log(near).std()
    with pytest.raises(InputError, match="past values must be at least two numbers above 0"):
        score.BASELINES[name](np.array([1.0]), 1, EVEN)


def test_shuffled_outcomes_lose_all_skill() -> None:
    """A forecaster that knows each level beats the pooled one; with outcomes shuffled it must not."""
    level = 3 * normals(1, "test:level", 0, 200)
    outcome = level + 0.3 * normals(1, "test:noise", 0, 200)
    pooled = score.crps_normal(level.mean(), level.std(), outcome).mean()
    known = score.crps_normal(level, 0.3, outcome).mean()
    shuffled = np.roll(outcome, 77)
    lost = score.crps_normal(level, 0.3, shuffled).mean()
    assert score.skill(known, pooled) > 0.8
    assert score.skill(lost, score.crps_normal(level.mean(), level.std(), shuffled).mean()) < 0


def test_a_summary_states_hits_band_skill_and_power() -> None:
    rivals = {"last": EVEN + 3}
    scored = [score.score_one(EVEN + 1, y, series="s", period=str(i), vintage="v", baselines=rivals)
              for i, y in enumerate((0.9, 1.4, 1.0, 9.0))]
    out = score.summary(scored)
    assert (out["forecasts"], out["hits_90"]) == (4, 3)
    assert out["skill"]["last"] > 0
    assert "70 %" in out["power"]
    with pytest.raises(InputError, match="at least one scored forecast"):
        score.summary([])
