"""From defect density to yield and back, for every law and every meaning of the word yield."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.errors import InputError, require
from chipcast.base.types import Array, Numeric

MM2_PER_CM2 = 100.0


def mean_defects(die_area_mm2: Numeric, d0_per_cm2: Numeric, *, critical_share: Numeric = 1.0) -> Numeric:
    """Return the mean number of killing defects on a die, lambda.

    Parameters
    ----------
    die_area_mm2 : numeric
        Area exposed to defects. [mm2]
    d0_per_cm2 : numeric
        Density of defects, D0. [1/cm2]
    critical_share : numeric
        Critical over drawn area, for a density that counts all defects and not killers only. [1]

    >>> mean_defects(600, 0.2)
    1.2
    """
    return die_area_mm2 * d0_per_cm2 * critical_share / MM2_PER_CM2


def poisson(mean: Numeric, alpha: Numeric = 2.0) -> Numeric:
    r"""$Y = e^{-\lambda}$: defects fall independently."""
    return np.exp(-mean)


def murphy(mean: Numeric, alpha: Numeric = 2.0) -> Numeric:
    r"""$Y = ((1 - e^{-\lambda})/\lambda)^2$: density spread as a triangle between 0 and twice the mean.

    Sources: Murphy, Proc. IEEE 52 (1964) 1537.
    """
    return _decay_mean(mean) ** 2


def rectangular(mean: Numeric, alpha: Numeric = 2.0) -> Numeric:
    r"""$Y = (1 - e^{-2\lambda})/(2\lambda)$: density uniform between 0 and twice the mean."""
    return _decay_mean(2 * np.asarray(mean, dtype=float))


def seeds(mean: Numeric, alpha: Numeric = 2.0) -> Numeric:
    r"""$Y = 1/(1 + \lambda)$: exponential density; what most tools call Seeds."""
    return 1 / (1 + mean)


def moore(mean: Numeric, alpha: Numeric = 2.0) -> Numeric:
    r"""$Y = e^{-\sqrt{\lambda}}$: also called Seeds elsewhere; here lambda is a scale and not a mean."""
    return np.exp(-np.sqrt(mean))


def negative_binomial(mean: Numeric, alpha: Numeric = 2.0) -> Numeric:
    r"""$Y = (1 + \lambda/\alpha)^{-\alpha}$: gamma density; crowded defects (small alpha) spare more dies.

    Sources: Stapper, IBM J. Res. Dev. 27 (1983) 549.

    >>> round(float(negative_binomial(1.2, 2.0)), 4)
    0.3906
    """
    return np.exp(-alpha * np.log1p(np.asarray(mean) / alpha))


def bose_einstein(mean: Numeric, alpha: Numeric = 2.0) -> Numeric:
    r"""$Y = (1 + \lambda_{layer})^{-n}$ with n critical layers; the mean is per layer times n, alpha is n.

    Sources: Price, Proc. IEEE 58 (1970) 1290.
    """
    return negative_binomial(mean, alpha)


def _decay_mean(x: Numeric) -> Numeric:
    """(1 - e^-x)/x, by its series where x is tiny."""
    x = np.asarray(x, dtype=float)
    safe = np.where(x < 1e-8, 1.0, x)
    return np.where(x < 1e-8, 1 - x / 2, -np.expm1(-safe) / safe)


def _invert_poisson(share: Numeric, alpha: Numeric) -> Numeric:
    return -np.log(share)


def _invert_seeds(share: Numeric, alpha: Numeric) -> Numeric:
    return 1 / np.asarray(share, dtype=float) - 1


def _invert_moore(share: Numeric, alpha: Numeric) -> Numeric:
    return np.log(share) ** 2


def _invert_negative_binomial(share: Numeric, alpha: Numeric) -> Numeric:
    return alpha * np.expm1(-np.log(share) / alpha)


def _invert_murphy(share: Numeric, alpha: Numeric) -> Numeric:
    return solve_decreasing(lambda x: murphy(x), share)


def _invert_rectangular(share: Numeric, alpha: Numeric) -> Numeric:
    return solve_decreasing(lambda x: rectangular(x), share)


def solve_decreasing(function: Callable[[Array], Numeric], target: Numeric, *, first: float = 1.0) -> Numeric:
    """Return the x >= 0 at which a function that falls from 1 (at 0) to 0 meets the target, elementwise.

    Notes
    -----
    The bracket is doubled until it holds the target and then halved 64 times, to the last digits of a
    float; the result of an element depends on that element alone.
    """
    goal = np.asarray(target, dtype=float)
    low, high = np.zeros(goal.shape), np.full(goal.shape, first)
    for _ in range(200):
        short = np.asarray(function(high)) > goal
        if not short.any():
            break
        low, high = np.where(short, high, low), np.where(short, high * 2, high)
    else:
        raise InputError(f"no value reaches {goal.min():g}; ask for a larger share")
    for _ in range(64):
        middle = (low + high) / 2
        above = np.asarray(function(middle)) > goal
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    root = (low + high) / 2
    return float(root) if root.ndim == 0 else root


@dataclass(frozen=True, kw_only=True, slots=True)
class YieldLaw:
    """A law that turns the mean number of defects into the share of good dies, and back."""

    forward: Callable[..., Numeric]
    """Yield of (mean, alpha)."""
    inverse: Callable[[Numeric, Numeric], Numeric]
    """Mean of (yield, alpha)."""
    formula: str
    """What is printed beside the name, since names clash."""
    mean_one: bool = True
    """Whether the law mixes Poisson by a multiplier of mean 1; then it is never below Poisson."""
    uses_alpha: bool = False
    """Whether the cluster parameter (or the number of layers) matters."""


YIELD_LAWS: Mapping[str, YieldLaw] = MappingProxyType({
    "poisson": YieldLaw(forward=poisson, inverse=_invert_poisson, formula="exp(-lambda)"),
    "murphy": YieldLaw(forward=murphy, inverse=_invert_murphy, formula="((1-exp(-lambda))/lambda)^2"),
    "rectangular": YieldLaw(forward=rectangular, inverse=_invert_rectangular,
                            formula="(1-exp(-2 lambda))/(2 lambda)"),
    "seeds": YieldLaw(forward=seeds, inverse=_invert_seeds, formula="1/(1+lambda)"),
    "moore": YieldLaw(forward=moore, inverse=_invert_moore, formula="exp(-sqrt(lambda))", mean_one=False),
    "negative-binomial": YieldLaw(forward=negative_binomial, inverse=_invert_negative_binomial,
                                  formula="(1+lambda/alpha)^-alpha", uses_alpha=True),
    "bose-einstein": YieldLaw(forward=bose_einstein, inverse=_invert_negative_binomial, uses_alpha=True,
                              formula="(1+lambda_layer)^-layers, lambda = layers x lambda_layer"),
})
"""Every law of the random part of yield; the formula is shown beside the name."""


def die_yield(die_area_mm2: Numeric, d0_per_cm2: Numeric, *, law: str = "negative-binomial", clustering: Numeric = 2.0,
              critical_share: Numeric = 1.0) -> Numeric:
    """Return the share of dies without a killing defect (`die.perfect` of a die without spares).

    Parameters
    ----------
    die_area_mm2 : numeric
        Area exposed to defects. [mm2]
    d0_per_cm2 : numeric
        Density of killing defects; per layer times layers for `bose-einstein`. [1/cm2]
    law : str
        Entry of `YIELD_LAWS`.
    clustering : numeric
        Cluster parameter alpha, or the number of layers. [1]

    >>> round(float(die_yield(814, 0.2, law="poisson")), 3)
    0.196
    """
    _check(clustering)
    require(np.all(np.asarray(die_area_mm2) > 0), "die_area_mm2", "be above 0", die_area_mm2)
    require(np.all(np.asarray(d0_per_cm2) >= 0), "d0_per_cm2", "not be below 0", d0_per_cm2)
    mean = mean_defects(die_area_mm2, d0_per_cm2, critical_share=critical_share)
    return choose(YIELD_LAWS, law, "yield law").forward(mean, clustering)


def d0_of_yield(share: Numeric, die_area_mm2: Numeric, *, law: str = "negative-binomial", clustering: Numeric = 2.0,
                critical_share: Numeric = 1.0) -> Numeric:
    """Return the density of killing defects that gives a die yield. [1/cm2]

    >>> round(float(d0_of_yield(0.4, 665.61, law="poisson")), 4)
    0.1377
    """
    _check(clustering)
    require(np.all((np.asarray(share) > 0) & (np.asarray(share) <= 1)), "yield", "lie above 0 and not above 1", share)
    require(np.all(np.asarray(die_area_mm2) > 0), "die_area_mm2", "be above 0", die_area_mm2)
    mean = choose(YIELD_LAWS, law, "yield law").inverse(share, clustering)
    return mean * MM2_PER_CM2 / (die_area_mm2 * critical_share) + 0.0  # no minus before a zero


def negative_binomial_slope(mean: Numeric, alpha: Numeric) -> Numeric:
    r"""Return $dY/d\lambda = -(1 + \lambda/\alpha)^{-\alpha-1}$."""
    return -np.exp(-(alpha + 1) * np.log1p(np.asarray(mean) / alpha))


def _check(clustering: Numeric) -> None:
    require(np.all(np.asarray(clustering) > 0), "clustering", "be above 0", clustering)


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """What somebody may mean by the word yield."""

    formula: str
    """How it is counted."""
    reported_by: str
    """Who usually reports it."""
    needs_assembly: bool
    """Whether turning it into a die yield needs the assembly yield."""
    per_package: bool = False
    """Whether it counts packages of several dies."""


DEFINITIONS: Mapping[str, Definition] = MappingProxyType({
    "line": Definition(formula="wafers out / wafers started", reported_by="fabs", needs_assembly=False),
    "die.perfect": Definition(formula="dies with all cores good / gross dies", reported_by="textbooks, calculators",
                              needs_assembly=False),
    "die.any": Definition(formula="dies that fit the lowest sold bin / gross dies", reported_by="wafer sort",
                          needs_assembly=False),
    "die.bin": Definition(formula="dies that fit one bin / gross dies", reported_by="planning", needs_assembly=False),
    "assembly": Definition(formula="good packages / packages of tested dies", reported_by="packaging houses",
                           needs_assembly=False),
    "through": Definition(formula="die yield x assembly yield", reported_by="management talk", needs_assembly=True),
    "blind": Definition(formula="E[p^dies] x assembly yield, dies not tested first", reported_by="early flows",
                        needs_assembly=True, per_package=True),
    "final": Definition(formula="through x system test yield", reported_by="system makers", needs_assembly=True),
})
"""Yield is never one number: its meanings by name."""

PAIRINGS = ("independent", "wafer")
"""How the dies of a blind package relate: each with a multiplier of its own, or all of one wafer sharing one."""


def implied_die_yield(share: Numeric, definition: str, *, dies: int = 1, assembly: Numeric | None = None,
                      system_test: Numeric = 1.0, pairing: str = "independent", law: str = "negative-binomial",
                      clustering: Numeric = 2.0) -> Numeric:
    """Return the die yield behind a reported yield of a stated meaning.

    Raises
    ------
    InputError
        If the meaning says nothing about dies, or needs an assembly yield that is missing or too low.

    >>> round(float(implied_die_yield(0.4, "blind", dies=2, assembly=0.95)), 3)
    0.649
    """
    meaning = choose(DEFINITIONS, definition, "definition of yield")
    if definition in ("line", "assembly"):
        raise InputError(f"a '{definition}' yield says nothing about defects on dies; use die.perfect, die.any, "
                         "through or blind")
    if meaning.needs_assembly and assembly is None:
        raise InputError(f"a '{definition}' yield is {meaning.formula}; give the assembly yield, "
                         "for example --assembly 95%")
    if not meaning.needs_assembly:
        return share
    y_a = np.asarray(assembly, dtype=float) * (np.asarray(system_test, dtype=float) if definition == "final" else 1.0)
    require(np.all((y_a > 0) & (y_a <= 1)), "assembly", "lie above 0 and not above 1", assembly)
    both = np.asarray(share, dtype=float) / y_a
    require(np.all(both <= 1 + 1e-12), f"a '{definition}' yield", f"not exceed the assembly yield {assembly}", share)
    both = np.minimum(both, 1.0)
    if definition != "blind":
        return float(both) if both.ndim == 0 else both
    require(dies >= 1, "dies", "be 1 or more", dies)
    if pairing not in PAIRINGS:
        choose(dict.fromkeys(PAIRINGS), pairing, "pairing")
    if pairing == "independent":
        p = both ** (1 / dies)
    else:
        # Dies of one wafer share the multiplier: E[p^k] is the law itself at k times the mean.
        table = choose(YIELD_LAWS, law, "yield law")
        p = np.asarray(table.forward(table.inverse(both, clustering) / dies, clustering))
    return float(p) if p.ndim == 0 else p


def implied_d0(share: Numeric, definition: str, *, die_area_mm2: Numeric, law: str = "negative-binomial",
               clustering: Numeric = 2.0, dies: int = 1, assembly: Numeric | None = None, system_test: Numeric = 1.0,
               pairing: str = "independent", critical_share: Numeric = 1.0) -> Numeric:
    """Return the defect density behind a reported yield, where all the area of a die counts. [1/cm2]

    For bins with spare cores use `harvest.implied_d0_of_bin`.

    >>> [round(float(implied_d0(0.4, "blind", die_area_mm2=665.61, dies=2, assembly=0.95, pairing=p)), 4)
    ...  for p in PAIRINGS]
    [0.0725, 0.0813]
    """
    require(np.all((np.asarray(share) > 0) & (np.asarray(share) <= 1)), "yield", "lie above 0 and not above 1", share)
    p = implied_die_yield(share, definition, dies=dies, assembly=assembly, system_test=system_test, pairing=pairing,
                          law=law, clustering=clustering)
    return d0_of_yield(p, die_area_mm2, law=law, clustering=clustering, critical_share=critical_share)


def total_yield(*, line: Numeric = 1.0, systematic: Numeric = 1.0, random: Numeric = 1.0, parametric: Numeric = 1.0,
                edge_placement: Numeric = 1.0) -> Numeric:
    """Return the product of the parts of yield: line, systematic, random, parametric, edge placement."""
    return line * systematic * random * parametric * edge_placement


def layered_yield(die_area_mm2: Numeric, d0_per_layer_per_cm2: Array, critical_shares: Array, *,
                  clustering: Numeric = 2.0) -> Numeric:
    """Return the yield of several layers that share one cluster multiplier: one law of the summed means.

    Parameters
    ----------
    d0_per_layer_per_cm2, critical_shares : array
        Density of defects and critical over drawn area by layer. [1/cm2], [1] (layer, ...)

    Notes
    -----
    Layers with multipliers of their own multiply instead (`bose-einstein` with equal layers).
    """
    mean = np.sum(mean_defects(die_area_mm2, d0_per_layer_per_cm2, critical_share=critical_shares), axis=0)
    return negative_binomial(mean, clustering)
