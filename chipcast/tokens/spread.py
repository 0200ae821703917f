"""How unsure is a simulation: the same requests on what the chips may turn out to reach, draw by draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.base.errors import InfeasibleError, require
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.tokens.arrivals import Trace, head
from chipcast.tokens.capacity import Promise, largest_rate_of
from chipcast.tokens.engine import Deployed, Policy, at_draw
from chipcast.tokens.model import Model
from chipcast.tokens.serve import Workload

SEARCHED = 2000
"""Requests on which the largest rate of a draw is searched."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """What requests see on machines that turn out differently. (draw)"""

    ttft_ms_p90: Array
    """Time to first token that nine in ten requests stay within. [ms] (draw)"""
    tpot_ms_p90: Array
    """Time per output token that nine in ten requests stay within. [ms] (draw)"""
    kept: Array
    """Share of requests that keep the promise. [1] (draw)"""
    largest_requests_per_s: Array
    """Largest rate that keeps the promise. [requests/s] (draw)"""


def spread(given: Given, made: Deployed, model: Model, work: Workload, trace: Trace, promise: Promise, *,
           policy: Policy, longest: float, draws: int, seed: int) -> Spread:
    """Return what the requests of a trace see in the first so many draws, the layout held.

    The largest rate of a draw is searched on the first `SEARCHED` requests, times are those of all.
    Where the longest request does not fit in a draw, there are no times (not-a-number) and the rate is zero.
    """
    require(1 <= draws <= given.draws, "draws of the simulation", f"lie in 1 to {given.draws}", draws)
    rows = []
    for j in range(draws):
        try:
            here = at_draw(given, made, model, work, draw=j, policy=policy, longest=longest)
        except InfeasibleError:
            rows.append((np.nan, np.nan, 0.0, 0.0))
            continue

        def seen_at(at: Trace, here: Deployed = here) -> tuple[Array, Array]:
            seen = here.run(at, seed=seed)
            return seen.ttft_s(at), seen.tpot_s(at)

        ttft, tpot = seen_at(trace)
        rows.append((1e3 * float(np.percentile(ttft, 90)), 1e3 * float(np.percentile(tpot, 90)),
                     promise.kept(ttft, tpot), largest_rate_of(head(trace, SEARCHED), seen_at, promise)))
    columns = np.array(rows).T
    return Spread(ttft_ms_p90=columns[0], tpot_ms_p90=columns[1], kept=columns[2], largest_requests_per_s=columns[3])
