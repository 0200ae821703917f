"""Standing spares, degraded running, domains that must be whole, and the slowest of many."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import betainc, gammaln, ndtr, pdtr

from chipcast.base.errors import require
from chipcast.base.types import Array, Numeric

MOST_SPARES = 4096
"""Spares that the table of exact answers holds."""


def erlang_b(servers: int, load: Numeric) -> Numeric:
    """Return the share of time in which all of so many places are taken.

    Notes
    -----
    B_0 = 1, B_k = a B_{k-1} / (k + a B_{k-1}); insensitive to the law of the holding time.
    Sources: Erlang 1917; Sevastyanov, Theory of Probability and its Applications 2 (1957).

    >>> round(float(1 - erlang_b(5, 1.664)), 7)
    0.9797195
    """
    require(servers >= 0, "servers", "not be negative", servers)
    blocked = np.ones_like(np.asarray(load, dtype=float))
    for k in range(1, servers + 1):
        blocked = load * blocked / (k + load * blocked)
    return blocked[()]


def erlang_b_array(servers: Numeric, load: Numeric) -> Numeric:
    """Return Erlang's loss formula for arrays of places, in closed form.

    Notes
    -----
    $1 / B_k = e^a a^{-k} k! Q(k, a)$ with Q the probability that a Poisson(a) is at most k. Where Q is too small for
    a float the places are so few that the fluid limit 1 - k/a holds to k/(a - k)^2, below 1e-3 there.

    >>> round(float(erlang_b_array(5.0, 1.664)), 9) == round(float(erlang_b(5, 1.664)), 9)
    True
    """
    a = np.maximum(np.asarray(load, dtype=float), 1e-12)
    k = np.asarray(servers, dtype=float)
    inside = pdtr(k, a)
    log_inverse = a - k * np.log(a) + gammaln(k + 1) + np.log(np.maximum(inside, 1e-300))
    return np.where(inside > 1e-290, np.exp(-np.maximum(log_inverse, 0.0)), 1 - k / np.maximum(a, k))[()]


def availability_when_short_stops(load: Numeric, spares: int) -> Numeric:
    """Return the share of time in which a job that needs all its nodes has them, S spares standing by.

    Each node down is mended on its own; load = nodes x failure rate x mean repair. The job is short when S + 1 nodes
    are down, and stands still then, so no further node fails: Erlang's loss formula with S + 1 places.
    """
    return 1 - erlang_b(spares + 1, load)


def spares_needed(load: Numeric, target: float) -> Numeric:
    """Return the least spares for which a job that stops when short has its nodes for a share `target` of time.

    Raises
    ------
    InputError
        If `target` does not lie inside 0 to 1.

    >>> float(spares_needed(1.664, 0.97))
    4.0
    """
    require(0 < target < 1, "target availability", "lie inside 0 to 1", target)
    limits = _spare_limits(float(target))
    a = np.asarray(load, dtype=float)
    out = np.searchsorted(limits, a, side="left").astype(float)
    beyond = a > limits[-1]
    if beyond.any():
        out = np.where(beyond, _spares_by_halving(np.where(beyond, a, 1.0), target), out)
    return out[()]


def _spares_by_halving(load: Array, target: float) -> Array:
    """Return the least spares for loads that the table does not hold."""
    low, high = np.zeros_like(load), np.ceil(load + 10 * np.sqrt(load) + 10)
    while np.any(low < high):
        middle = np.floor((low + high) / 2)
        good = erlang_b_array(middle + 1, load) <= 1 - target
        low, high = np.where(good, low, middle + 1), np.where(good, middle, high)
    return low


@lru_cache(maxsize=32)
def _spare_limits(target: float) -> Array:
    """Return for S = 0, 1, 2, ... the largest load that S spares carry at this target."""
    count = np.arange(MOST_SPARES)
    # What is carried, a (1 - B), cannot exceed the S + 1 places, so a is at most a little over (S + 1) / target.
    low, high = np.zeros(MOST_SPARES), (count + 10.0 * np.sqrt(count + 1) + 10.0) / target
    # 1 / B_k = sum_j k!/(k-j)! a^-j = e^a a^-k k! Q(k, a), with Q the Poisson tail: no recursion per load.
    for _ in range(60):
        middle = (low + high) / 2
        k = count + 1.0
        log_inverse = middle - k * np.log(middle) + gammaln(k + 1) + np.log(np.maximum(pdtr(k, middle), 1e-300))
        good = -log_inverse <= np.log1p(-target)
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    low.flags.writeable = False
    return low


def spares_for_nodes_down(load: Numeric, probability: float) -> Numeric:
    """Return the nodes down that are not exceeded in a share `probability` of time: a Poisson quantile.

    Constant demand and ample crews: nodes down are Poisson(load) whatever the repair law (M/G/infinity). False where
    faults come together.

    >>> float(spares_for_nodes_down(13.312, 0.999)), float(spares_for_nodes_down(39.936, 0.999))
    (26.0, 61.0)
    """
    require(0 < probability < 1, "probability", "lie inside 0 to 1", probability)
    a = np.asarray(load, dtype=float)
    k = np.floor(a)
    for _ in range(40 + int(8 * np.sqrt(np.max(a) + 1))):
        short = pdtr(k, a) < probability
        if not short.any():
            break
        k = k + short
    step_back = (k > 0) & (pdtr(np.maximum(k - 1, 0), a) >= probability)
    while step_back.any():
        k = k - step_back
        step_back = (k > 0) & (pdtr(np.maximum(k - 1, 0), a) >= probability)
    return k[()]


def degraded(nodes: int, spares: int, load_per_node: float) -> tuple[float, float]:
    """Return P(full strength) and mean active nodes of a job that goes on with what is up.

    Notes
    -----
    Birth-death on the nodes down k: birth min(N, N + S - k) lambda, death k mu; load_per_node = lambda / mu.

    >>> full, active = degraded(128, 4, 1.664 / 128)
    >>> round(full, 7), round(active, 5)
    (0.9727082, 127.96355)
    """
    k = np.arange(1, nodes + spares + 1)
    births = np.minimum(nodes, nodes + spares - (k - 1)) * load_per_node
    log_weight = np.concatenate([[0.0], np.cumsum(np.log(births) - np.log(k))])
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    active = np.minimum(nodes, nodes + spares - np.arange(nodes + spares + 1))
    return float(weight[active == nodes].sum()), float((weight * active).sum())


def at_least(k: Numeric, n: Numeric, up: Numeric) -> Numeric:
    """Return P(at least k of n are up), each up with probability `up` on its own: the binomial tail.

    >>> round(float(at_least(130, 144, 0.9346861)), 6)
    0.95
    """
    inside = betainc(np.maximum(k, 1), n - np.asarray(k) + 1.0, up)
    return np.where(np.asarray(k) <= 0, 1.0, inside)[()]


def elastic_throughput(rate_h: Numeric, repair_h: Numeric, replicas: Numeric = 1.0, stall_h: Numeric = 0.0) -> Numeric:
    """Return the mean share of full throughput of elastic data parallelism.

    Notes
    -----
    A = 1/(1 + lambda MTTR) for any number of replicas; each leave and each rejoin stalls the whole job for `stall_h`:
    a further loss 2 D lambda A c, first order.

    >>> round(elastic_throughput(1 / 200, 10), 6)
    0.952381
    """
    up = 1 / (1 + rate_h * repair_h)
    return up * (1 - 2 * replicas * rate_h * up * stall_h)


def slowest_normal(n: Numeric) -> Numeric:
    """Return the mean of the largest of n standard normals, by quadrature.

    Notes
    -----
    E[max] = integral of 1 - Phi^n above zero minus Phi^n below it; midpoint rule on a fine grid, error below 1e-7.
    """
    x = np.linspace(-12.0, 12.0, 24_001)
    middle = (x[1:] + x[:-1]) / 2
    below = ndtr(middle) ** np.asarray(n, dtype=float)[..., None]
    return (np.where(middle > 0, 1 - below, -below).sum(axis=-1) * (x[1] - x[0]))[()]


def slow_step_factor(share: Numeric, factor: Numeric, ranks: Numeric) -> Numeric:
    """Return the mean step time over the undisturbed one when each rank is slow for a share of time.

    Notes
    -----
    1 + (f - 1)(1 - (1 - q)^n): one slow rank is enough, more change nothing.

    >>> round(float(slow_step_factor(1e-4, 1.34, 10_000)), 6)
    1.214927
    """
    return 1 - (factor - 1) * np.expm1(ranks * np.log1p(-np.asarray(share)))


def mean_largest_load(flows: int, links: int) -> float:
    """Return the mean number of flows on the fullest of equal links that a hash picks at random.

    P(no link holds more than j) is the coefficient of x^k in (sum_{i<=j} x^i / i!)^links times k! / links^k.

    >>> round(mean_largest_load(8, 8), 3)
    2.597
    """
    require(flows >= 1 and links >= 1, "flows and links", "be 1 or more", (flows, links))
    total = 0.0
    for j in range(flows):
        total += 1 - _no_link_above(flows, links, j)
    return total


def _no_link_above(flows: int, links: int, most: int) -> float:
    if most == 0:
        return 0.0
    # Scaled by links: one link holds Poisson(flows/links) flows, given that they add up to `flows`.
    mean = flows / links
    i = np.arange(most + 1)
    one = np.exp(i * np.log(mean) - mean - gammaln(i + 1))
    total = np.zeros(flows + 1)
    total[0] = 1.0
    for _ in range(links):
        total = np.convolve(total, one)[: flows + 1]
    return float(total[flows] / np.exp(flows * np.log(flows) - flows - gammaln(flows + 1)))


__all__ = ["at_least", "availability_when_short_stops", "degraded", "elastic_throughput", "erlang_b",
           "mean_largest_load", "slow_step_factor", "slowest_normal", "spares_for_nodes_down",
           "spares_needed"]
