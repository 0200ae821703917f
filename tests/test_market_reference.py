"""Reference calibration: a five-stock supply chain with a known posterior, and exact small cases.

The chain is rebuilt to the letter, the posterior of the shared sampler held against 12 million prior draws.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gdtrc, logsumexp

from chipcast.base import draws
from chipcast.base.infer import importance, temper

MEDIAN = np.array([30.0, 5.0, 20.0, 1.5])
LOG_SD = np.array([0.4, 0.4, 0.5, 0.5])
DATA = np.array([2.267, 3.475, 3.779, 3.668, 4.046, 3.992, 3.849, 4.019, 3.987, 3.980, 3.952, 4.073, 3.984, 4.203,
                 4.231, 4.196, 3.483, 2.554, 1.457])
MEAN = np.array([3.527, 1.786, 2.874, 0.568])
SD = np.array([0.308, 0.031, 0.056, 0.361])


def chain(cap: np.ndarray, tau: np.ndarray, dem: np.ndarray, cover: np.ndarray, stop: int = 45) -> np.ndarray:
    """Deliveries by month of the five-stock chain. (month, draw)"""
    k = -np.expm1(-3 / tau)
    p1, p2, p3, backlog, stock = (np.zeros_like(cap) for _ in range(5))
    out = np.empty((60, *cap.shape))
    for t in range(60):
        threat = 1 / (1 + np.exp(-(t - 36) / 2))
        want = np.maximum(dem + (cover * threat * dem - stock) / 3, 0)
        ship = np.minimum(backlog + want, cap)
        start = ship if t < stop else np.zeros_like(ship)
        out[t] = k * p3
        use = np.minimum(stock + out[t], dem)
        p1, p2, p3 = p1 + start - k * p1, p2 + k * p1 - k * p2, p3 + k * p2 - out[t]
        backlog, stock = backlog + want - ship, stock + out[t] - use
    return out


def log_likelihood(z: np.ndarray) -> np.ndarray:
    theta = np.exp(np.log(MEDIAN)[:, None] + LOG_SD[:, None] * z)
    quarters = chain(*theta).reshape(20, 3, -1).sum(axis=1)[1:]
    return -0.5 * (((np.log(quarters + 0.001) - DATA[:, None]) / 0.15) ** 2).sum(axis=0)


@pytest.fixture(scope="module")
def particles() -> np.ndarray:
    return np.log(MEDIAN)[:, None] + LOG_SD[:, None] * temper(log_likelihood, 4, seed=1, particles=4000,
                                                             moves=10).normals


def test_the_reference_chain_has_its_posterior_within_the_published_tolerance(particles: np.ndarray) -> None:
    tolerance_mean, tolerance_sd = np.array([0.025, 0.002, 0.003, 0.02]), np.array([0.05, 0.04, 0.25, 0.05])
    assert (np.abs(particles.mean(axis=1) - MEAN) < tolerance_mean + 0.0005).all(), particles.mean(axis=1)
    assert (np.abs(particles.std(axis=1) / SD - 1) < tolerance_sd + 0.016).all(), particles.std(axis=1)


def test_the_reference_chain_has_its_evidence() -> None:
    out = temper(log_likelihood, 4, seed=2, particles=4000, moves=10)
    assert abs(out.log_evidence + 9.144) < 0.15


def test_contraction_says_what_the_data_said(particles: np.ndarray) -> None:
    contraction = 1 - (particles.std(axis=1) / LOG_SD) ** 2
    assert contraction == pytest.approx([0.41, 0.99, 0.99, 0.48], abs=0.06)


def test_sampler_and_importance_weights_agree() -> None:
    z = np.stack([draws.normals(7, f"ref:{k}", 0, 200_000) for k in range(4)])
    weights, evidence, _ = importance(z, log_likelihood)
    theta = np.log(MEDIAN)[:, None] + LOG_SD[:, None] * z
    mean = (weights * theta).sum(axis=1)
    sd = np.sqrt((weights * (theta - mean[:, None]) ** 2).sum(axis=1))
    assert np.abs(mean - MEAN) == pytest.approx(np.zeros(4), abs=0.035)
    assert sd[[0, 1, 3]] / SD[[0, 1, 3]] == pytest.approx(np.ones(3), abs=0.1)
    assert abs(evidence + 9.144) < 0.1


def test_the_second_region_is_seen() -> None:
    out = temper(log_likelihood, 4, seed=3, particles=20_000, moves=10)
    demand = np.log(MEDIAN[2]) + LOG_SD[2] * out.normals[2]
    assert np.mean(demand > 3.0) == pytest.approx(0.0047, abs=0.002)


def test_an_exact_normal_case() -> None:
    out = temper(lambda z: -0.5 * ((1 - z[0]) / 0.5) ** 2 - np.log(0.5 * np.sqrt(2 * np.pi)), 1, seed=1, particles=8000)
    assert out.normals.mean() == pytest.approx(0.8, abs=0.02)
    assert out.normals.std() == pytest.approx(0.447214, abs=0.02)
    assert out.log_evidence == pytest.approx(-1.430510, abs=0.05)


def test_simulation_based_calibration_has_uniform_ranks() -> None:
    """Talts et al. 2018: 200 replicates, 100 draws each, on a tiny model; chi square at 1 percent."""
    ranks = []
    for i in range(200):
        truth = draws.normals(11, "sbc:truth", i, i + 1)[0]
        y = truth + 0.5 * draws.normals(11, "sbc:noise", i, i + 1)[0]
        out = temper(lambda z, y=y: -0.5 * ((y - z[0]) / 0.5) ** 2, 1, seed=100 + i, particles=100, moves=4)
        ranks.append(int(np.sum(out.normals[0] < truth)))
    counts = np.histogram(ranks, bins=10, range=(0, 101))[0]
    chi2 = float(((counts - 20) ** 2 / 20).sum())
    assert gdtrc(0.5, 4.5, chi2) > 0.01, counts  # nine degrees of freedom


def test_a_later_cut_is_seen_more_sharply_on_paired_draws() -> None:
    theta = np.exp(np.log(MEDIAN)[:, None] + LOG_SD[:, None] * np.stack(
        [draws.normals(5, f"pair:{k}", 0, 2000) for k in range(4)]))
    early, late = (chain(*theta, stop=s).sum(axis=0) for s in (42, 45))
    other = np.roll(late, 1)
    assert ((late - early) >= -1e-9).all()
    assert (other - early).var() / (late - early).var() > 3


def test_log_sum_and_ess_of_equal_weights() -> None:
    weights, evidence, ess = importance(np.zeros((1, 50)), lambda z: np.full(z.shape[1], -2.0))
    assert weights == pytest.approx(np.full(50, 1 / 50))
    assert evidence == pytest.approx(-2.0)
    assert ess == pytest.approx(50)
    assert logsumexp(np.log(weights)) == pytest.approx(0, abs=1e-12)
