"""What a fault log says: posterior rates by class, clustering in time and on nodes, and the law of repair."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import kolmogorov, ndtr, pdtr, stdtrit

from chipcast.base.errors import DataError, require
from chipcast.base.types import Array, Numeric
from chipcast.cluster.faults import jeffreys
from chipcast.cluster.trace import Trace, cluster_sizes, dispersion, later_faults, per_bin, per_node, recurrence

BAND = (0.05, 0.50, 0.95)
"""Quantiles that a rate is shown at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RepairLaw:
    """One law of the time to repair, fitted by maximum likelihood."""

    name: str
    """Family."""
    parameters: tuple[float, ...]
    """Weibull: shape, scale in h; log-normal: median in h, log-sd; two log-normals: weight, median, log-sd, twice."""
    mean_h: float
    """Mean that the law implies. [h]"""
    ks: float
    """Largest distance between the law and the log's distribution function."""
    p: float
    """Chance of a larger distance if the law were right and its parameters not fitted: an upper bound."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """What a log says and what it cannot tell."""

    faults: int
    """Faults in the log."""
    exposure_chip_h: float
    """Chips times hours watched. [chip-h]"""
    rates: dict[str, tuple[int, float, float, float]]
    """Class -> count and 5th, 50th, 95th percentile of its rate. [per 1e6 chip-h]"""
    node_dispersion: float
    """Faults per node, variance over mean; 1 where nodes do not differ and do not relapse."""
    day_dispersion: float
    """Faults per day, variance over mean; 1 where faults come alone."""
    cluster_size: float
    """Mean faults in a cluster less than an hour apart."""
    branching_by_dispersion: float
    """Later faults that one fault brings about, from the node dispersion."""
    branching_by_excess: float
    """The same from the excess of later faults within 90 days: another road."""
    recurrence: Array
    """Rate on the same node after a fault over the fleet's, by lag. (lag)"""
    repair: tuple[RepairLaw, ...]
    """Laws of repair, best first by distance."""
    mean_repair_h: float
    """Mean of the log. [h]"""
    cannot_tell: tuple[str, ...]
    """What this log does not decide."""


def branching_of_dispersion(ratio: Numeric) -> Numeric:
    """Return the branching ratio of self-exciting faults from variance over mean: 1 - 1/sqrt(D).

    Sources: Hawkes, Biometrika 58 (1971).

    >>> round(float(branching_of_dispersion(2.577)), 3)
    0.377
    """
    return 1 - 1 / np.sqrt(np.maximum(ratio, 1.0))


def branching_of_excess(excess: Numeric) -> Numeric:
    """Return the branching ratio from the excess of later events per event, e = a (2 - a) / (2 (1 - a)^2).

    >>> round(float(branching_of_excess(0.819)), 3)
    0.384
    """
    return 1 - 1 / np.sqrt(1 + 2 * np.maximum(excess, 0.0))


def weibull_fit(hours: Array) -> RepairLaw:
    """Fit a Weibull law by maximum likelihood: bisection on the shape's equation."""
    x = np.maximum(hours, SHORTEST_H)
    log = np.log(x)
    low, high = 0.05, 20.0
    for _ in range(80):
        k = (low + high) / 2
        w = np.exp(k * (log - log.max()))
        value = (w * log).sum() / w.sum() - 1 / k - log.mean()
        low, high = (k, high) if value < 0 else (low, k)
    scale = math.exp(log.max()) * float(np.mean(np.exp(k * (log - log.max())))) ** (1 / k)
    return _judge("weibull", (k, scale), scale * math.gamma(1 + 1 / k), x, -np.expm1(-((np.sort(x) / scale) ** k)))


def lognormal_fit(hours: Array) -> RepairLaw:
    """Fit a log-normal law by maximum likelihood."""
    log = np.log(np.maximum(hours, SHORTEST_H))
    m, s = float(log.mean()), max(float(log.std()), LEAST_SD)
    return _judge("lognormal", (math.exp(m), s), math.exp(m + s * s / 2), hours, ndtr((np.sort(log) - m) / s))


def exponential_fit(hours: Array) -> RepairLaw:
    """Fit an exponential law by its mean."""
    mean = float(hours.mean())
    return _judge("exponential", (mean,), mean, hours, -np.expm1(-np.sort(hours) / mean))


def two_lognormals_fit(hours: Array, *, rounds: int = 400) -> RepairLaw:
    """Fit a mixture of two log-normal laws, short and long repairs, by expectation and maximisation."""
    log = np.log(np.maximum(hours, SHORTEST_H))
    weight, mu, sd = np.array([0.5, 0.5]), np.quantile(log, [0.25, 0.75]), np.full(2, max(float(log.std()), LEAST_SD))
    for _ in range(rounds):
        density = weight * np.exp(-0.5 * ((log[:, None] - mu) / sd) ** 2) / sd
        share = density / np.maximum(density.sum(axis=1, keepdims=True), 1e-300)
        weight = share.mean(axis=0)
        mu = (share * log[:, None]).sum(axis=0) / share.sum(axis=0)
        sd = np.sqrt((share * (log[:, None] - mu) ** 2).sum(axis=0) / share.sum(axis=0)).clip(LEAST_SD)
    order = np.argsort(mu)
    w, m, s = weight[order], mu[order], sd[order]
    mean = float((w * np.exp(m + s * s / 2)).sum())
    below = (w * ndtr((np.sort(log)[:, None] - m) / s)).sum(axis=1)
    return _judge("two_lognormals", (w[0], math.exp(m[0]), s[0], w[1], math.exp(m[1]), s[1]), mean, hours, below)


def _judge(name: str, parameters: tuple[float, ...], mean: float, hours: Array, below: Array) -> RepairLaw:
    n = len(hours)
    steps = np.arange(1, n + 1) / n
    ks = float(np.maximum(np.abs(steps - below), np.abs(steps - 1 / n - below)).max())
    return RepairLaw(name=name, parameters=tuple(float(v) for v in parameters), mean_h=mean, ks=ks,
                     p=float(kolmogorov(math.sqrt(n) * ks)))


REPAIR_FITS = {"weibull": weibull_fit, "lognormal": lognormal_fit, "two_lognormals": two_lognormals_fit,
               "exponential": exponential_fit}
"""Laws of repair that are fitted to a log."""

SHORTEST_H = 0.01
"""Length to which shorter repairs are set for laws that have a logarithm: logs round to some tens of seconds."""

LEAST_SD = 0.05
"""Least spread of the logarithm of a repair time: a log in which all repairs are alike still has one."""

EXCESS_DAYS = 90.0
"""Lag within which later faults on a node are counted against chance: beyond it the published log shows none."""


def fit(trace: Trace, *, chips_per_node: int) -> Fit:
    """Return what a log says.

    Raises
    ------
    DataError
        If the log has too few faults to say anything.
    """
    require(chips_per_node >= 1, "chips per node", "be 1 or more", chips_per_node)
    count = len(trace.start)
    if count < 2:
        raise DataError(f"the log has {count} fault; a fit needs 2 or more")
    exposure = trace.nodes * trace.days * 24.0 * chips_per_node
    names, totals = np.unique(np.array(trace.kind), return_counts=True)
    rates: dict[str, tuple[int, float, float, float]] = {}
    for name, total in [("all", count), *sorted(zip(names, totals, strict=True), key=lambda p: -p[1])]:
        band = jeffreys(int(total), exposure, np.array(BAND)) * 1e6
        rates[str(name)] = (int(total), float(band[0]), float(band[1]), float(band[2]))
    node_d, day_d = dispersion(per_node(trace), ddof=1), dispersion(per_bin(trace, 1.0))
    watched = np.minimum(EXCESS_DAYS, trace.days - trace.start).clip(min=0).mean()
    excess = later_faults(trace, EXCESS_DAYS) - count / trace.nodes / trace.days * watched
    lasting = np.maximum(trace.hours, SHORTEST_H)
    laws = sorted((law(lasting) for law in REPAIR_FITS.values()), key=lambda law: law.ks)
    sizes = cluster_sizes(trace)
    return Fit(faults=count, exposure_chip_h=exposure, rates=rates, node_dispersion=node_d, day_dispersion=day_d,
               cluster_size=float(sizes.mean()), branching_by_dispersion=float(branching_of_dispersion(node_d)),
               branching_by_excess=float(branching_of_excess(excess)), recurrence=recurrence(trace),
               repair=tuple(laws), mean_repair_h=float(trace.hours.mean()),
               cannot_tell=_limits(trace, count))


def _limits(trace: Trace, count: int) -> tuple[str, ...]:
    out = ["which of these faults stopped a job: a node that left service may have been idle or was tested",
           "faults that software mended without taking the node out",
           "rates of another fleet: between public fleets the log of the rate spreads by 0.4"]
    if count < 30:
        out.append(f"clustering: {count} faults are too few to tell relapses from chance")
    if trace.days < EXCESS_DAYS:
        out.append(f"recurrence beyond {trace.days:.0f} days")
    halves = [int((trace.start < trace.days / 2).sum()), int((trace.start >= trace.days / 2).sum())]
    ratio = max(halves) / max(min(halves), 1)
    if ratio > 1.3:
        out.append(f"a constant rate: the halves have {halves[0]} and {halves[1]} faults")
    return tuple(out)


# --- between fleets --------------------------------------------------------------------------------------------


def between_fleets(rates: Array, uniforms: Numeric) -> Numeric:
    """Return the quantile of the rate of a further fleet from those of k known ones.

    Notes
    -----
    Log rate ~ Student t with k - 1 degrees of freedom, location the mean of logs, scale s sqrt(1 + 1/k).

    >>> fleets = np.array([33.85, 12.19, 19.73, 21.85])
    >>> [round(float(v), 1) for v in between_fleets(fleets, np.array([0.05, 0.5, 0.95]))]
    [6.8, 20.5, 61.9]
    """
    log = np.log(np.asarray(rates, dtype=float))
    k = len(log)
    require(k >= 2, "known fleets", "be 2 or more", k)
    scale = float(log.std(ddof=1)) * math.sqrt(1 + 1 / k)
    return np.exp(log.mean() + scale * student_t(k - 1, uniforms))


def student_t(freedom: int, uniforms: Numeric) -> Numeric:
    """Return quantiles of Student's t with whole degrees of freedom, by its incomplete beta function."""
    return stdtrit(freedom, uniforms)


def predictive_counts(rates: Array, exposure: float, uniforms: Numeric) -> Numeric:
    """Return the quantile of the count of a further fleet: its rate between fleets, Poisson on top.

    The rate's spread dwarfs the Poisson's; the mixture is summed over a fine grid of rate quantiles.
    """
    grid = (np.arange(2000) + 0.5) / 2000
    means = between_fleets(rates, grid) * exposure
    top = int(np.quantile(means, 0.9995) * 2 + 50)
    k = np.unique(np.concatenate([np.arange(min(top, 3000)), np.geomspace(1, max(top, 2), 1500).astype(int)]))
    below = pdtr(k[:, None].astype(float), means).mean(axis=1)
    return k[np.minimum(np.searchsorted(below, uniforms), len(k) - 1)].astype(float)


__all__ = ["Fit", "REPAIR_FITS", "RepairLaw", "between_fleets", "branching_of_dispersion", "branching_of_excess",
           "fit", "predictive_counts", "student_t"]
