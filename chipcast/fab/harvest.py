"""How many dies fit which bin, when cores may fail and the cores of one die share its luck.

A binomial on the mean core yield is wrong under clustering: a die in a bad spot loses many cores at once.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import betainc, gammaln, roots_genlaguerre

from chipcast.base.errors import require
from chipcast.base.types import Array, Numeric
from chipcast.fab.defects import solve_decreasing

NODES = 64
"""Nodes of the Gauss-Laguerre rule."""

LARGEST_TERM = 1e7
"""The alternating sum of gamma transforms is used while no coefficient is larger: then it keeps nine digits."""


def at_least(cores: int, need: int, mean_per_core: Numeric, mean_fixed: Numeric, alpha: Numeric) -> Numeric:
    r"""Return the share of dies whose fixed part works and at least `need` of `cores` cores work.

    Parameters
    ----------
    cores, need : int
        Cores on the die and cores that the bin asks for. [cores]
    mean_per_core, mean_fixed : numeric
        Mean killing defects on one core and on the part that cannot be repaired. [1]
    alpha : numeric
        Shape of the gamma multiplier that all parts of one die share; infinity gives Poisson. [1]

    Notes
    -----
    With g the multiplier and p = exp(-g lambda_c): $Y(\ge m) = E_g[e^{-g \lambda_f} I_p(m, n-m+1)]$. I_p is a
    polynomial in p, and each power has the gamma transform $(1 + (\lambda_f + j\lambda_c)/\alpha)^{-\alpha}$:
    exact and fast for a few spares. With many the sum loses digits and quadrature takes over (64 nodes of
    Gauss-Laguerre for one alpha, a trapezoid in ln g good to 1e-7 where every draw has its own).
    Sources: own derivation.
    """
    require(1 <= cores <= 100_000, "cores", "be from 1 to 100,000", cores)
    require(0 <= need <= cores, "need", f"lie from 0 to the {cores} cores of the die", need)
    require(np.all(np.asarray(alpha) > 0), "clustering", "be above 0", alpha)
    if need == 0:
        return _transform(np.asarray(mean_fixed, dtype=float), alpha)
    if _largest(cores, need) <= LARGEST_TERM:
        return _exact_sum(cores, need, mean_per_core, mean_fixed, alpha)
    return _quadrature(cores, need, mean_per_core, mean_fixed, alpha)


def at_least_each(cores: int, needs: tuple[int, ...], mean_per_core: Numeric, mean_fixed: Numeric,
                  alpha: Numeric) -> list[Numeric]:
    """Return `at_least` for several needs; bins with few spares share their gamma transforms."""
    few = [n for n in needs if n > 0 and _largest(cores, n) <= LARGEST_TERM]
    powers = {j: _transform(mean_fixed + j * np.asarray(mean_per_core, dtype=float), alpha)
              for j in range(min(few, default=cores + 1), cores + 1)}
    out: list[Numeric] = []
    for need in needs:
        if need in few:
            terms = zip(range(need, cores + 1), _coefficients(cores, need), strict=True)
            out.append(np.clip(sum(c * powers[j] for j, c in terms), 0.0, 1.0))
        else:
            out.append(at_least(cores, need, mean_per_core, mean_fixed, alpha))
    return out


def _transform(mean: Array, alpha: Numeric) -> Numeric:
    """E[exp(-g mean)] for a gamma multiplier of mean 1; Poisson where alpha is infinite."""
    a = np.asarray(alpha, dtype=float)
    if np.isinf(a).all():
        return np.exp(-mean)
    if np.isinf(a).any():
        return np.where(np.isinf(a), np.exp(-mean), _transform(mean, np.where(np.isinf(a), 1.0, a)))
    return np.exp(-a * np.log1p(mean / a))


@lru_cache(maxsize=256)
def _coefficients(cores: int, need: int) -> tuple[float, ...]:
    """Coefficients of p^need .. p^cores in I_p(need, cores - need + 1)."""
    return tuple((-1.0) ** (j - need) * math.comb(j - 1, need - 1) * math.comb(cores, j)
                 for j in range(need, cores + 1))


@lru_cache(maxsize=1024)
def _largest(cores: int, need: int) -> float:
    """Bound on the largest coefficient, computed in logarithms."""
    j = np.arange(need, cores + 1)
    size = gammaln(j) - gammaln(need) - gammaln(j - need + 1) + gammaln(cores + 1) - gammaln(j + 1) \
        - gammaln(cores - j + 1)
    return float(np.exp(min(size.max(), 700.0)))


def _exact_sum(cores: int, need: int, mean_per_core: Numeric, mean_fixed: Numeric, alpha: Numeric) -> Numeric:
    total: Numeric = 0.0
    for j, c in zip(range(need, cores + 1), _coefficients(cores, need), strict=True):
        total = total + c * _transform(mean_fixed + j * np.asarray(mean_per_core, dtype=float), alpha)
    return np.clip(total, 0.0, 1.0)


def _quadrature(cores: int, need: int, mean_per_core: Numeric, mean_fixed: Numeric, alpha: Numeric) -> Numeric:
    a = np.asarray(alpha, dtype=float)
    core, fixed = np.asarray(mean_per_core, dtype=float), np.asarray(mean_fixed, dtype=float)
    if np.isinf(a).all():
        return np.exp(-fixed) * betainc(need, cores - need + 1, np.exp(-core))
    core, fixed, a = np.broadcast_arrays(core, fixed, a)
    total = np.zeros(core.shape)
    if np.ptp(a) == 0:
        nodes, weights = _laguerre(float(a.flat[0]))
        for g, weight in zip(nodes, weights, strict=True):
            total = total + weight * np.exp(-g * fixed) * betainc(need, cores - need + 1, np.exp(-g * core))
        return np.clip(total, 0.0, 1.0)
    # Each draw has its own alpha: trapezoid in ln g, which converges like exp(-10/step).
    low, high = -21.0 / a, np.log1p(45.0 / a)
    step = (high - low) / (2 * NODES)
    for k in range(2 * NODES + 1):
        t = low + k * step
        g = np.exp(t)
        density = np.exp(a * (np.log(a) + t) - a * g - gammaln(a))
        total = total + step * density * np.exp(-g * fixed) * betainc(need, cores - need + 1, np.exp(-g * core))
    return np.clip(total, 0.0, 1.0)


@lru_cache(maxsize=4096)
def _laguerre(alpha: float) -> tuple[Array, Array]:
    nodes, weights = roots_genlaguerre(NODES, alpha - 1)
    return nodes / alpha, weights / weights.sum()


def split_means(die_area_mm2: Numeric, d0_per_cm2: Numeric, cores: int, core_area_share: Numeric,
                uncore_repair_share: Numeric) -> tuple[Numeric, Numeric]:
    """Return the mean killing defects on one core and on the part that neither spares nor repair save.

    Parameters
    ----------
    core_area_share : numeric
        Share of the die that is cores. [1]
    uncore_repair_share : numeric
        Share of the rest that spare rows or slices repair. [1]
    """
    mean = die_area_mm2 * d0_per_cm2 / 100
    return mean * core_area_share / cores, mean * (1 - core_area_share) * (1 - uncore_repair_share)


def bin_yield(need: int, *, cores: int, die_area_mm2: Numeric, d0_per_cm2: Numeric, core_area_share: Numeric = 0.5,
              uncore_repair_share: Numeric = 0.0, alpha: Numeric = 2.0) -> Numeric:
    """Return the share of gross dies with at least `need` good cores (`die.bin`, `die.any`, `die.perfect`).

    >>> round(float(bin_yield(24, cores=25, die_area_mm2=100, d0_per_cm2=1.0)), 4)
    0.5941
    """
    core, fixed = split_means(die_area_mm2, d0_per_cm2, cores, core_area_share, uncore_repair_share)
    return at_least(cores, need, core, fixed, alpha)


def bin_shares(needs: tuple[int, ...], *, cores: int, die_area_mm2: Numeric, d0_per_cm2: Numeric,
               core_area_share: Numeric = 0.5, uncore_repair_share: Numeric = 0.0,
               alpha: Numeric = 2.0) -> tuple[list[Numeric], Numeric]:
    """Return the share of each bin when dies are sold top-down, and the scrap; all sum to 1.

    A die that fits a high bin fits every lower one, so a bin gets what fits it and not the bin above.

    Raises
    ------
    InputError
        If the bins are not named from the highest need to the lowest.
    """
    require(list(needs) == sorted(set(needs), reverse=True) and len(needs) > 0, "need",
            "list distinct core counts from high to low", ", ".join(map(str, needs)))
    above: Numeric = 0.0
    shares: list[Numeric] = []
    for need in needs:
        fits = bin_yield(need, cores=cores, die_area_mm2=die_area_mm2, d0_per_cm2=d0_per_cm2, alpha=alpha,
                         core_area_share=core_area_share, uncore_repair_share=uncore_repair_share)
        shares.append(np.maximum(fits - above, 0.0))
        above = fits
    return shares, 1 - above


def implied_d0_of_bin(share: Numeric, need: int, *, cores: int, die_area_mm2: Numeric, core_area_share: Numeric = 0.5,
                      uncore_repair_share: Numeric = 0.0, alpha: Numeric = 2.0) -> Numeric:
    """Return the defect density at which this share of gross dies has `need` good cores. [1/cm2]

    >>> round(float(implied_d0_of_bin(0.4, 24, cores=25, die_area_mm2=665.61)), 4)
    0.2792
    """
    require(np.all((np.asarray(share) > 0) & (np.asarray(share) <= 1)), "yield", "lie above 0 and not above 1", share)
    return solve_decreasing(lambda d0: bin_yield(need, cores=cores, die_area_mm2=die_area_mm2, d0_per_cm2=d0,
                                                 core_area_share=core_area_share, alpha=alpha,
                                                 uncore_repair_share=uncore_repair_share), share, first=0.1)
