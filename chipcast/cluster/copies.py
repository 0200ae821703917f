"""Checkpoints beyond the plain one: copies in peers' memory, two levels, and what a checkpoint costs."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from chipcast.base.errors import InfeasibleError, require
from chipcast.base.types import Numeric


def pairs_survive(nodes: int, lost: int) -> float:
    """Return the chance that no pair of peers that hold each other's copy loses both nodes.

    Notes
    -----
    $C(N/2, k) 2^k / C(N, k)$ for k nodes lost at once out of N.
    Sources: GEMINI, SOSP 2023.

    >>> round(pairs_survive(16, 2), 6), round(pairs_survive(1024, 3), 6)
    (0.933333, 0.997067)
    """
    require(nodes >= 2 and nodes % 2 == 0, "nodes", "be an even number of 2 or more", nodes)
    require(0 <= lost <= nodes, "nodes lost", "lie in 0 to the number of nodes", lost)
    if lost > nodes // 2:
        return 0.0
    half = nodes // 2
    log = (gammaln(half + 1) - gammaln(half - lost + 1) + lost * np.log(2.0)
           - gammaln(nodes + 1) + gammaln(nodes - lost + 1))
    return float(np.exp(log))


def ring_survives_two(nodes: int) -> float:
    """Return the chance that two nodes lost at once are no neighbours on a ring of copies: 1 - 2/(N - 1).

    >>> round(ring_survives_two(16), 6)
    0.866667
    """
    require(nodes >= 3, "nodes", "be 3 or more", nodes)
    return 1 - 2 / (nodes - 1)


def batch_survives(nodes: int, sizes: Numeric) -> float:
    """Return the chance that a cause which strikes a number of nodes drawn from `sizes` leaves every pair a copy."""
    return float(np.mean([pairs_survive(nodes, min(int(k), nodes)) for k in np.asarray(sizes).ravel()]))


def state_bytes(parameters: Numeric, bytes_per_parameter: Numeric) -> Numeric:
    """Return the bytes of a training state; 12 to 16 a parameter with Adam in mixed precision.

    >>> state_bytes(671e9, 14) / 1e12
    9.394
    """
    return parameters * bytes_per_parameter


def synchronous_stall(state: Numeric, chips: Numeric, host_bytes_s: Numeric, store_bytes_s: Numeric) -> Numeric:
    """Return the stall of a checkpoint that is written before the job goes on. [s]

    The larger of a chip's share over its rate to host memory and the whole state over the store's rate.
    """
    return np.maximum(state / chips / host_bytes_s, state / store_bytes_s)


def asynchronous_stall(state: Numeric, chips: Numeric, host_bytes_s: Numeric, store_bytes_s: Numeric,
                       interval_s: Numeric) -> Numeric:
    """Return the stall of a checkpoint that is copied to host memory and written while the job goes on. [s]

    Raises
    ------
    InfeasibleError
        If the store is still writing when the next checkpoint is due.
    """
    write = state / store_bytes_s
    if np.any(write > np.asarray(interval_s)):
        raise InfeasibleError(f"the store needs {float(np.max(write)):.0f} s for a checkpoint that is due every "
                              f"{float(np.min(interval_s)):.0f} s; checkpoint less often or use a faster store")
    return state / chips / host_bytes_s


def two_level_stretch(near_rate: Numeric, near_cost: Numeric, far_rate: Numeric, far_cost: Numeric,
                      restart: Numeric) -> Numeric:
    """Return wall time per unit of work, first order, with near copies for most stops and a store for the rest.

    Notes
    -----
    1 + sqrt(2 C1/M1) + sqrt(2 C2/M2) + R (1/M1 + 1/M2). Near copies serve the stops after which one survives.
    """
    return (1 + np.sqrt(2 * near_cost * near_rate) + np.sqrt(2 * far_cost * far_rate)
            + restart * (near_rate + far_rate))
