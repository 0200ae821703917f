"""Pipelines with a spread of delays: what was started when comes out when.

A lot passes m stages of mean tau/m; starts are spread evenly over a month. Then the share that leaves in a
later month is a second difference of an integral with a closed form, so no step size enters.
"""

from __future__ import annotations

import numpy as np

from chipcast.base.types import Array

LAGS = 30
"""Longest delay that is followed; the little that is still inside then leaves. [months]"""


def kernel(mean_months: Array, stages: Array, *, lags: int = LAGS) -> Array:
    r"""Return the share of a month's starts that leaves k months later. [1] (lag, draw)

    Parameters
    ----------
    mean_months : array
        Mean delay. [months] (draw)
    stages : array
        Stages of the chain, rounded to whole numbers; many stages mean little spread. [1] (draw)
    lags : int
        Longest delay that is followed. [months]

    Notes
    -----
    With F_m the distribution function of the Erlang delay and $A(x) = \int_0^x F_m = x F_m(x) - \tau F_{m+1}(x)$
    the share is A(k+1) - 2 A(k) + A(k-1). The rows sum to 1; what is left after the last lag leaves there.
    """
    tau = np.asarray(mean_months, dtype=float)
    m = np.maximum(np.rint(np.broadcast_to(np.asarray(stages, dtype=float), tau.shape)).astype(int), 1)
    area = np.empty((lags + 2, len(tau)))
    for count in np.unique(m):
        rows = m == count
        area[:, rows] = _area(tau[rows], int(count), lags)
    shares = np.empty((lags + 1, len(tau)))
    shares[0] = area[1]
    shares[1:] = area[2:] - 2 * area[1:-1] + area[:-2]
    shares[-1] += 1 - shares.sum(axis=0)
    return shares


def _area(tau: Array, m: int, lags: int) -> Array:
    """Integral of the Erlang distribution function from 0 to each whole month. (month, draw)"""
    x = np.arange(lags + 2)[:, None]
    load = x * (m / tau)
    term = np.exp(-load)
    below = term.copy()
    for j in range(1, m):
        term = term * load / j
        below += term
    f_m = 1 - below
    f_next = f_m - term * load / m
    area: Array = x * f_m - tau * f_next
    return area


def through(starts: Array, shares: Array, before: Array) -> Array:
    """Return what leaves each month, given the starts and those of the months before. (month, draw)

    Parameters
    ----------
    starts : array
        Starts of each month. (month, draw)
    shares : array
        Kernel. (lag, draw)
    before : array
        Starts of the earlier months, the latest last. (month, draw)
    """
    flow = np.concatenate([before, starts]) if len(before) else starts
    out = np.zeros(starts.shape)
    shift, draws = len(flow) - len(starts), starts.shape[-1]
    for cut in (slice(a, a + 512) for a in range(0, draws, 512)):  # blocks that stay in the cache
        part, block, share = out[:, cut], flow[:, cut], shares[:, cut]
        for lag in range(min(len(shares), len(flow))):
            first = max(0, lag - shift)
            if first < len(out):
                part[first:] += share[lag] * block[first + shift - lag:len(flow) - lag]
    return out


def inside(starts: Array, shares: Array) -> Array:
    """Return what is still in the pipeline at the end of the last month. (draw)"""
    left = 1 - np.cumsum(shares, axis=0)
    total = np.zeros(starts.shape[-1])
    for age, row in enumerate(starts[::-1]):
        if age < len(left):
            total = total + left[age] * row
    return total
