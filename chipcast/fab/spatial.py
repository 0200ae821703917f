"""Closed forms for defects that cluster in space: die yield, spread between wafers, cluster parameter by die size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.special import ndtr

from chipcast.base.errors import InputError, require
from chipcast.base.types import Array, Numeric
from chipcast.fab.defects import MM2_PER_CM2, negative_binomial, solve_decreasing

REACH = 7.0
"""Standard deviations of a cluster beyond which its children are ignored; the share left out is below 1e-11."""

NODES = 96
"""Gauss-Legendre nodes per piece and axis."""


def thomas_yield(die_width_mm: float, die_height_mm: float, d0_per_cm2: float, *, children: float,
                 sigma_mm: float) -> float:
    r"""Return the yield of a die when defects come in round clusters (Poisson parents, Poisson children).

    Parameters
    ----------
    d0_per_cm2 : float
        Density of all defects. [1/cm2]
    children : float
        Mean defects per cluster, mu. [1]
    sigma_mm : float
        Normal offset of a defect from its cluster's centre, per axis. [mm]

    Notes
    -----
    $Y = \exp(-(D_0/\mu) \int (1 - e^{-\mu p(x)}) dx)$, p(x) the chance that a child of a parent at x hits the
    die: a product of two differences of normal distribution functions. As mu falls it tends to Poisson; as
    sigma falls to $\exp(-(D_0/\mu) A (1 - e^{-\mu}))$.
    Sources: own derivation; Neyman, Scott, J. R. Stat. Soc. B 20 (1958) 1 for the process.

    >>> round(thomas_yield(25.8, 25.8, 0.16, children=5, sigma_mm=6), 6)
    0.652768
    """
    require(children > 0, "children", "be above 0", children)
    require(sigma_mm > 0, "sigma_mm", "be above 0", sigma_mm)
    x, wx = _half_axis(die_width_mm, sigma_mm)
    y, wy = _half_axis(die_height_mm, sigma_mm)
    hit = np.outer(_hit(x, die_width_mm, sigma_mm), _hit(y, die_height_mm, sigma_mm))
    area = 4 * float(wx @ (-np.expm1(-children * hit)) @ wy)
    return float(np.exp(-d0_per_cm2 / MM2_PER_CM2 / children * area))


def _half_axis(side: float, sigma: float) -> tuple[Array, Array]:
    """Return nodes and weights from the middle of the die to the reach of a cluster, split where p bends."""
    inner = max(side / 2 - REACH * sigma, 0.0)
    cuts = [0.0, inner, side / 2, side / 2 + REACH * sigma] if inner > 0 else [0.0, side / 2, side / 2 + REACH * sigma]
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    x = [a + (b - a) * (nodes + 1) / 2 for a, b in pairwise(cuts)]
    w = [(b - a) * weights / 2 for a, b in pairwise(cuts)]
    return np.concatenate(x), np.concatenate(w)


def _hit(x: Array, side: float, sigma: float) -> Array:
    share: Array = ndtr((side / 2 - x) / sigma) - ndtr((-side / 2 - x) / sigma)
    return share


def effective_alpha(share: Numeric, mean: Numeric) -> Numeric:
    """Return the cluster parameter at which the negative binomial gives this yield at this mean.

    Raises
    ------
    InputError
        If the yield is not above Poisson's, so that no clustering explains it.

    >>> round(effective_alpha(4 / 9, 1.0), 6)
    2.0
    """
    if np.any(np.asarray(share) <= np.exp(-np.asarray(mean))):
        raise InputError(f"a yield of {share} at {mean} defects a die is not above Poisson's; "
                         "no clustering explains it")
    return solve_decreasing(lambda a: negative_binomial(mean, np.maximum(a, 1e-12)), share)


def wafer_yield_sd(die_yield: Numeric, pair_yield: Numeric, dies: int, block_sizes: Sequence[int]) -> Numeric:
    r"""Return the standard deviation of the yield of a wafer. [1]

    Parameters
    ----------
    die_yield, pair_yield : numeric
        Y, and the chance that two dies of one block are both good (Y at twice the mean for a gamma multiplier).
    dies : int
        Dies on the wafer.
    block_sizes : sequence of int
        Dies that share a multiplier: ones for per die, the whole for per wafer.

    Notes
    -----
    $Var = [n Y (1-Y) + (M_2 - Y^2) \sum b (b-1)] / n^2$.
    """
    require(sum(block_sizes) == dies, "block_sizes", f"sum to the {dies} dies of the wafer", sum(block_sizes))
    pairs = sum(b * (b - 1) for b in block_sizes)
    return np.sqrt(dies * die_yield * (1 - die_yield) + (pair_yield - die_yield**2) * pairs) / dies


def alpha_from_windows(share_one: float, share_window: float, dies: int) -> tuple[float, float]:
    """Return mean per die and cluster parameter from the shares of good dies and of windows that are all good.

    Parameters
    ----------
    share_one, share_window : float
        Share of good dies, and of windows of `dies` neighbours that are all good. [1]

    Raises
    ------
    InputError
        If the windows are no better than independent dies would make them.

    Notes
    -----
    Inside one cluster a window of w dies has yield Y(w lambda); two window sizes fix (lambda, alpha).
    """
    require(dies >= 2, "dies", "be 2 or more", dies)
    require(0 < share_window <= share_one < 1, "shares", "have windows no better than dies", (share_one, share_window))
    if share_window <= share_one**dies * (1 + 1e-9):
        raise InputError("windows are no better than independent dies; the map shows no clustering")

    def window(alpha: float) -> float:
        mean = alpha * np.expm1(-np.log(share_one) / alpha)
        return float(negative_binomial(dies * mean, alpha))

    low, high = 1e-3, 1e6
    for _ in range(200):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if window(middle) > share_window else (low, middle)
    alpha = (low * high) ** 0.5
    return float(alpha * np.expm1(-np.log(share_one) / alpha)), float(alpha)


def radial_means(x_mm: Array, y_mm: Array, die_width_mm: float, die_height_mm: float, d0_per_cm2: float, *,
                 rise: float, power: float, radius_mm: float = 150.0, nodes: int = 8) -> Array:
    r"""Return the mean defects of each die under a density that rises toward the edge. [1] (die)

    Notes
    -----
    $D(r) = D_0 (1 + b (r/R)^p) / (1 + 2b/(p+2))$, so that the wafer's mean density stays D_0; integrated over
    each die by Gauss-Legendre.
    """
    t, w = np.polynomial.legendre.leggauss(nodes)
    weight = np.outer(w, w) / 4
    r2 = (x_mm[:, None, None] + t[None, :, None] * die_width_mm / 2) ** 2 \
        + (y_mm[:, None, None] + t[None, None, :] * die_height_mm / 2) ** 2
    shape = (1 + rise * (r2 / radius_mm**2) ** (power / 2)) / (1 + 2 * rise / (power + 2))
    mean: Array = d0_per_cm2 / MM2_PER_CM2 * die_width_mm * die_height_mm * (shape * weight).sum(axis=(1, 2))
    return mean
