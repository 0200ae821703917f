"""What queueing theory says of servers of requests: the independent road that the simulator is checked against.

Sources: Erlang; Pollaczek and Khinchine; Kleinrock, Queueing Systems.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def erlang_c(servers: int, offered: float) -> float:
    """Return the chance to wait in M/M/c. [1]

    >>> round(erlang_c(64, 60.0), 4)
    0.5069
    """
    inverse = 1.0
    for k in range(1, servers + 1):
        inverse = 1 + inverse * k / offered
    blocking = 1 / inverse
    return blocking / (1 - offered / servers * (1 - blocking))


def wait_m_g_1(rate: float, mean_s: float, mean_square_s2: float) -> float:
    """Return the mean wait of Pollaczek and Khinchine. [s]"""
    return rate * mean_square_s2 / (2 * (1 - rate * mean_s))


def birth_death(rate: float, mean_tokens: float, step_s: Callable[[float], float], slots: int, *,
                limit: int = 4000) -> tuple[float, float]:
    """Return mean requests in service and in queue of continuous batching with geometric lengths.

    Notes
    -----
    Death rate min(n, K)/(N tau(min(n, K))), arrivals Poisson.
    """
    log_p = np.zeros(limit)
    for n in range(1, limit):
        busy = min(n, slots)
        log_p[n] = log_p[n - 1] + np.log(rate * mean_tokens * step_s(busy) / busy)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    number = np.arange(limit)
    return float(np.sum(p * np.minimum(number, slots))), float(np.sum(p * np.maximum(number - slots, 0)))
