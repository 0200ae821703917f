"""The guided sampler against closed forms, its Monte Carlo error against seeds, and calibration by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from chipcast.base.infer import Guide, median_error, temper
from chipcast.base.types import Array

NAMES = 20


def ridge(z: Array) -> Array:
    """Two reports: the sum of two quantities near 3, the product of two others near 1 with either sign."""
    out: Array = stats.norm.logpdf(z[0] + z[1], 3.0, 0.3) + stats.norm.logpdf(z[2] * z[3], 1.0, 0.3)
    return out


def test_guided_moves_keep_the_posterior_of_a_normal_problem() -> None:
    """Sum of two standard normals seen as 3 with error 0.3: mean 3 x 2/2.09 / 2 each, variance 1 - 1/2.09."""
    fit = temper(ridge, NAMES, seed=3, particles=4000, moves=4, guided=True)
    assert fit.normals[0].mean() == pytest.approx(3 / 2.09, abs=0.05)
    assert fit.normals[0].var() == pytest.approx(1 - 1 / 2.09, abs=0.05)
    assert np.corrcoef(fit.normals[:2])[0, 1] == pytest.approx(-(1 / 2.09) / (1 - 1 / 2.09), abs=0.05)


def test_guided_moves_reach_both_modes_and_leave_bystanders_alone() -> None:
    """The product is near 1 with both signs plus or minus; a normal guide covers both, and the rest stays as it was."""
    fit = temper(ridge, NAMES, seed=3, particles=4000, moves=4, guided=True)
    assert np.mean(fit.normals[2] > 0) == pytest.approx(0.5, abs=0.05)
    assert np.all(fit.normals[2] * fit.normals[3] > -0.6)
    for bystander in fit.normals[4:]:
        assert abs(bystander.mean()) < 0.08
        assert bystander.std() == pytest.approx(1, abs=0.06)


def test_a_guide_of_the_prior_accepts_everything() -> None:
    """Where the particles have the prior's own moments the correction vanishes: prior over guide is constant."""
    z = np.random.default_rng(0).normal(size=(3, 200_000))
    trial, ratio = Guide.of(z).towards(z, np.random.default_rng(1).normal(size=z.shape), 1.0)
    assert np.std(ratio) < 0.02
    assert trial.std() == pytest.approx(1, abs=0.01)


def test_the_stated_error_of_a_median_is_its_spread_over_seeds() -> None:
    fits = [temper(ridge, NAMES, seed=s, particles=1000, moves=4, guided=True) for s in range(24)]
    medians = [np.median(f.normals[0]) for f in fits]
    stated = [median_error(f.normals[0], f.family) for f in fits]
    ratio = np.std(medians) / np.mean(stated)
    assert 0.6 < ratio < 1.6


def test_the_error_of_independent_particles_is_that_of_a_sample_median() -> None:
    x = np.random.default_rng(2).normal(size=100_000)
    expected = np.sqrt(np.pi / 2 / x.size)
    assert median_error(x, np.arange(x.size)) == pytest.approx(expected, rel=0.1)
    pairs = np.repeat(x[::2], 2)
    assert median_error(pairs, np.repeat(np.arange(x.size // 2), 2)) == pytest.approx(np.sqrt(2) * expected, rel=0.1)


def test_ranks_of_the_truth_are_uniform_when_worlds_come_from_the_prior() -> None:
    """Simulation-based calibration: truth from the prior, data from the truth, rank of the truth in the posterior.

    Sources: Talts, Betancourt, Simpson, Vehtari, Gelman 2018.
    """
    rng = np.random.default_rng(11)
    ranks = []
    for world in range(80):
        truth = rng.normal(size=3)
        seen = truth[0] + truth[1] + 0.5 * rng.normal(), truth[1] * truth[2] + 0.5 * rng.normal()

        def likelihood(z: Array, seen: tuple[float, float] = seen) -> Array:
            out: Array = -0.5 * (((seen[0] - z[0] - z[1]) / 0.5) ** 2 + ((seen[1] - z[1] * z[2]) / 0.5) ** 2)
            return out

        fit = temper(likelihood, 3, seed=world, particles=400, moves=4, guided=True)
        ranks.append([np.mean(fit.normals[k] < truth[k]) for k in range(3)])
    for quantity in np.array(ranks).T:
        assert stats.kstest(quantity, "uniform").pvalue > 0.005
        assert 0.8 <= np.mean((quantity > 0.05) & (quantity < 0.95)) <= 0.97


def test_calibration_sees_a_posterior_that_is_too_narrow() -> None:
    """Negative control: ranks of truths in half-width posteriors are not uniform."""
    rng = np.random.default_rng(12)
    truth = rng.normal(size=400)
    seen = truth + rng.normal(size=400)
    ranks = stats.norm.cdf(truth, seen / 2, np.sqrt(0.5) / 2)
    assert stats.kstest(ranks, "uniform").pvalue < 1e-3
