"""Conditioning on data: importance sampling and tempered resample-move, in standard-normal space.

Every uncertain number has a standard normal behind it, so the prior is the same for every problem:
independent normals. Random numbers come from named streams; the same seed gives the same posterior.
Sources: Del Moral, Doucet, Jasra 2006 (tempered sampler); Kish 1965 (effective sample size); Cotter, Roberts,
Stuart, White 2013 (moves that keep a Gaussian prior); Lee, Whiteley 2018 (Monte Carlo error from families).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from chipcast.base import draws
from chipcast.base.types import Array

REACHES = (0.9, 0.7, 0.5)
"""Reach of the moves that keep the prior: 1 is a fresh draw. Cotter, Roberts, Stuart, White 2013."""

MANY = 12
"""From this number of quantities on, prior-keeping moves change a third of them at a time."""

WALKS = (1.0, 0.6)
"""Scales of the random walks, relative to the usual optimum."""

GUIDES = (1.0, 0.7)
"""Reach of the moves towards a normal law with the mean and covariance of the particles: 1 is a fresh draw from it."""

LogLikelihood = Callable[[Array], Array]
"""Maps normals (name, draw) to log likelihoods (draw)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Posterior:
    """Particles after conditioning."""

    normals: Array
    """Standard normals behind each quantity. [1] (name, draw)"""
    log_likelihood: Array
    """Log likelihood of each particle. (draw)"""
    log_evidence: float
    """Logarithm of the mean likelihood under the prior."""
    prior_ess: float
    """Effective sample size that plain importance sampling from the prior would have had."""
    ess: float
    """Effective number of distinct particles: draws over their mean multiplicity, moves counted."""
    family: npt.NDArray[np.intp]
    """First particle that each one descends from; see `median_error`. (draw)"""
    temperatures: tuple[float, ...]
    """Exponents of the likelihood, 0 to 1."""
    acceptance: tuple[float, ...]
    """Share of accepted moves at each temperature."""


def effective_sample_size(log_weights: Array) -> float:
    """Return (sum w)^2 / sum w^2 of weights given by their logarithms. [draws]"""
    return float(np.exp(2 * logsumexp(log_weights) - logsumexp(2 * log_weights)))


def importance(normals: Array, log_likelihood: LogLikelihood) -> tuple[Array, float, float]:
    """Weigh prior particles: return normalised weights (draw), log evidence, effective sample size."""
    log_weights = log_likelihood(normals)
    weights = np.exp(log_weights - logsumexp(log_weights))
    return weights, float(logsumexp(log_weights) - np.log(log_weights.size)), effective_sample_size(log_weights)


def resample(weights: Array, uniform: float) -> Array:
    """Return systematic-resampling indices (draw): each particle kept floor or ceil of n w times."""
    n = weights.size
    edges = np.cumsum(weights)
    edges /= edges[-1]
    points = (np.arange(n) + uniform) / n
    return np.minimum(np.searchsorted(edges, points, side="right"), n - 1)


def median_error(values: Array, family: npt.NDArray[np.intp]) -> float:
    r"""Return the Monte Carlo standard error of a median over tempered particles. [unit of the values]

    Parameters
    ----------
    values : array (draw)
        Any quantity of the particles.
    family : array (draw)
        First particle that each one descends from.

    Notes
    -----
    Particles of one family are not independent, families are: the error of a share p is
    $\frac1n\sqrt{\sum_f (\sum_{i \in f} (x_i - p))^2}$, and that of the median follows by the slope of the
    distribution function between its 40th and 60th percentile.
    """
    n = values.size
    p40, p50, p60 = np.quantile(values, (0.4, 0.5, 0.6))
    centred = (values <= p50) - np.mean(values <= p50)
    sums = np.bincount(family, weights=centred)
    return float(np.sqrt(np.sum(sums**2)) / n * (p60 - p40) / 0.2)


def temper(log_likelihood: LogLikelihood, names: int, *, seed: int, particles: int = 2000, target: float = 0.5,
           moves: int = 6, stream: str = "infer", guided: bool = False) -> Posterior:
    """Condition `names` independent standard normals on a likelihood by tempered resample-move.

    Parameters
    ----------
    log_likelihood : function
        Normals (name, draw) to log likelihood (draw); may return -inf.
    names : int
        Number of quantities.
    seed : int
        Seed of the streams `stream:...`.
    particles : int
        Number of draws.
    target : float
        Effective share of particles kept at each step of the temperature.
    moves : int
        Moves per temperature, twice as many at the last: steps that keep the prior (and so reach far where the data
        say little) in turn with random walks of scale 2.38 / sqrt(names) in the covariance of the particles.
    guided : bool
        Steps towards a normal law fitted to the particles in place of the walks: they reach across the whole
        posterior where it is nearly normal in many quantities, and walks would crawl.
    """
    z = np.stack([draws.normals(seed, f"{stream}:start:{k}", 0, particles) for k in range(names)])
    like = log_likelihood(z)
    prior_ess = effective_sample_size(like)
    log_evidence, temperature, step = 0.0, 0.0, 0
    temperatures, acceptance = [0.0], []
    alive = np.ones(particles)
    family = np.arange(particles)
    while temperature < 1.0:
        step += 1
        delta = _next_step(like, temperature, target)
        weight = delta * like
        log_evidence += float(logsumexp(weight) - np.log(particles))
        temperature = 1.0 if temperature + delta > 1 - 1e-9 else temperature + delta
        pick = float(draws.uniforms(seed, f"{stream}:pick", step, step + 1)[0])
        index = resample(np.exp(weight - logsumexp(weight)), pick)
        z, like = z[:, index], like[index]
        ancestor, family = index, family[index]
        guide = Guide.of(z)
        accepted: list[float] = []
        moved = np.zeros(particles, dtype=bool)
        for m in range(moves if temperature < 1.0 else 2 * moves):
            tag = f"{stream}:{step}:{m}"
            noise = np.stack([draws.normals(seed, f"{tag}:{k}", 0, particles) for k in range(names)])
            if m % 2 and guided:
                trial, prior_ratio = guide.towards(z, noise, GUIDES[m // 2 % len(GUIDES)])
            elif m % 2:
                trial = z + WALKS[m // 2 % len(WALKS)] * 2.38 / np.sqrt(names) * (guide.root @ noise)
                prior_ratio = -0.5 * (np.sum(trial * trial, 0) - np.sum(z * z, 0))
            else:
                reach = REACHES[(m // 2 + step) % len(REACHES)]
                mine = turn(names, m)
                trial = np.where(mine > 0, np.sqrt(1 - reach**2) * z + reach * noise, z)
                prior_ratio = np.zeros(particles)
            trial_like = log_likelihood(trial)
            log_ratio = temperature * (trial_like - like) + prior_ratio
            accept = np.log(draws.uniforms(seed, f"{tag}:accept", 0, particles)) < log_ratio
            z = np.where(accept, trial, z)
            like = np.where(accept, trial_like, like)
            accepted.append(float(np.mean(accept)))
            moved |= accept
        acceptance.append(float(np.mean(accepted)))
        temperatures.append(temperature)
        identity = np.where(moved, particles + np.arange(particles), ancestor)
        alive = np.unique(identity, return_counts=True)[1].astype(float)
    ess = float(particles**2 / np.sum(alive**2)) if acceptance else float(particles)
    return Posterior(normals=z, log_likelihood=like, log_evidence=log_evidence, prior_ess=prior_ess, ess=ess,
                     family=family, temperatures=tuple(temperatures), acceptance=tuple(acceptance))


@dataclass(frozen=True, kw_only=True, slots=True)
class Guide:
    """A normal law with the mean and covariance of particles, for moves that follow it."""

    mean: Array
    """Mean of each quantity. [1] (name, 1)"""
    root: Array
    """Cholesky root of the covariance. [1] (name, name)"""
    back: Array
    """Inverse of the root. [1] (name, name)"""

    @staticmethod
    def of(z: Array) -> Guide:
        """Return the guide of these particles (name, draw)."""
        cov = np.cov(z) if len(z) > 1 else np.atleast_2d(np.var(z))
        root: Array = np.asarray(np.linalg.cholesky(cov + 1e-9 * np.eye(len(z))), dtype=float)
        return Guide(mean=z.mean(axis=1, keepdims=True), root=root,
                     back=np.asarray(np.linalg.inv(root), dtype=float))

    def towards(self, z: Array, noise: Array, reach: float) -> tuple[Array, Array]:
        """Return trial particles (name, draw) and the log ratio of prior over guide that their acceptance needs.

        The step mean + sqrt(1 - reach^2) (z - mean) + reach root noise keeps the guide's own law, so what is left to
        correct is how prior and guide differ at both ends.
        """
        trial: Array = self.mean + np.sqrt(1 - reach**2) * (z - self.mean) + reach * (self.root @ noise)
        return trial, self._prior_over_guide(trial) - self._prior_over_guide(z)

    def _prior_over_guide(self, z: Array) -> Array:
        ratio: Array = 0.5 * (np.sum((self.back @ (z - self.mean)) ** 2, 0) - np.sum(z * z, 0))
        return ratio


def turn(names: int, move: int) -> Array:
    """Return 1 for the quantities that a move changes, 0 for those that wait: thirds of many, all of few. (name, 1)

    Moving fewer at a time is accepted more often, so that what the data leave alone keeps its whole spread.
    """
    if names < MANY or move % 2:
        return np.ones((names, 1))
    mine: Array = ((np.arange(names) + move // 2) % 3 == 0).astype(float)[:, None]
    return mine


def _next_step(like: Array, temperature: float, target: float) -> float:
    """Return the rise of temperature at which the effective sample size falls to `target`."""
    rest = 1.0 - temperature
    if effective_sample_size(rest * like) >= target * like.size:
        return rest
    low, high = 0.0, rest
    for _ in range(60):
        mid = (low + high) / 2
        if effective_sample_size(mid * like) < target * like.size:
            high = mid
        else:
            low = mid
    return max(low, 1e-6)
