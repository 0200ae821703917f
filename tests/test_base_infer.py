"""The sampler meets the answers that are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from chipcast.base import draws
from chipcast.base.infer import effective_sample_size, importance, resample, temper


def normal_case(z: np.ndarray) -> np.ndarray:
    """One observation 1 with error 0.5 of a standard normal quantity."""
    return stats.norm.logpdf(1.0, z[0], 0.5)


def test_the_conjugate_normal_comes_back() -> None:
    fit = temper(normal_case, 1, seed=1, particles=20_000)
    assert fit.normals.mean() == pytest.approx(0.8, abs=0.015)
    assert fit.normals.std() == pytest.approx(0.447214, rel=0.02)
    assert fit.log_evidence == pytest.approx(-1.430510, abs=0.03)


def test_importance_sampling_agrees() -> None:
    z = draws.normals(1, "x", 0, 50_000)[None]
    weights, log_evidence, ess = importance(z, normal_case)
    assert np.sum(weights * z[0]) == pytest.approx(0.8, abs=0.02)
    assert log_evidence == pytest.approx(-1.430510, abs=0.02)
    assert 5_000 < ess < 50_000


def test_two_regions_keep_their_masses() -> None:
    """A likelihood with two far modes: the tempered sampler must not lose the small one."""
    def two(z: np.ndarray) -> np.ndarray:
        left, right = stats.norm.logpdf(z[0], -1.5, 0.1), stats.norm.logpdf(z[0], 1.5, 0.1)
        return np.logaddexp(np.log(0.8) + left, np.log(0.2) + right)
    fit = temper(two, 1, seed=3, particles=10_000)
    assert np.mean(fit.normals[0] > 0) == pytest.approx(0.2, abs=0.03)


def test_no_data_leaves_the_prior() -> None:
    fit = temper(lambda z: np.zeros(z.shape[1]), 3, seed=1, particles=4000)
    assert fit.log_evidence == pytest.approx(0.0, abs=1e-12)
    assert np.allclose(fit.normals.mean(axis=1), 0, atol=0.06)
    assert fit.prior_ess == pytest.approx(4000)


def test_systematic_resampling_keeps_each_particle_floor_or_ceil_times() -> None:
    w = draws.uniforms(1, "w", 0, 500)
    w /= w.sum()
    counts = np.bincount(resample(w, 0.37), minlength=500)
    assert np.all((counts >= np.floor(500 * w)) & (counts <= np.ceil(500 * w)))


def test_effective_sample_size_counts_equal_weights() -> None:
    assert effective_sample_size(np.zeros(70)) == pytest.approx(70)
    assert effective_sample_size(np.array([0.0] + [-1e9] * 9)) == pytest.approx(1)


def test_ranks_are_uniform_under_simulation_based_calibration() -> None:
    """Truths drawn from the prior must have uniform ranks in their posteriors (Talts et al. 2018)."""
    ranks = []
    for r in range(200):
        truth, noise = draws.normals(r, "truth", 0, 1)[0], draws.normals(r, "noise", 0, 1)[0]
        y = truth + 0.7 * noise
        fit = temper(lambda z, y=y: stats.norm.logpdf(y, z[0], 0.7), 1, seed=1000 + r, particles=100)
        ranks.append(np.mean(fit.normals[0] < truth))
    counts = np.histogram(ranks, bins=10, range=(0, 1))[0]
    assert stats.chisquare(counts).pvalue > 0.01
