"""What is the largest request rate at which so large a share of requests keeps its promise?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chipcast.base.errors import require
from chipcast.base.types import Array
from chipcast.tokens.arrivals import Trace, made, scaled
from chipcast.tokens.simulate import Engine, simulate

HALVINGS = 12
"""Steps of the search: the rate is found to one part in some four thousand of its bracket."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """What a request was promised."""

    ttft_s: float
    """Time to first token. [s]"""
    tpot_s: float
    """Time per output token after the first. [s]"""
    share: float = 0.9
    """Share of the requests that must keep both. [1]"""

    def kept(self, ttft_s: Array, tpot_s: Array) -> float:
        """Return the share of requests that keep both. [1]"""
        return float(np.mean((ttft_s <= self.ttft_s) & (tpot_s <= self.tpot_s)))


def largest(kept_at: Callable[[float], float], share: float, guess: float) -> float:
    """Return the largest rate at which `kept_at` stays at or above `share`, by bisection; 0 where none does.

    The share kept is taken to fall with the rate, as it does on common luck: the same requests, closer together.
    """
    require(guess > 0, "guess", "be above 0 requests/s", guess)
    low, high = 0.0, guess
    while kept_at(high) >= share and high < 1e9:
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if kept_at(middle) >= share else (low, middle)
    return low


def largest_rate_of(trace: Trace, seen_at: Callable[[Trace], tuple[Array, Array]], promise: Promise) -> float:
    """Return the largest mean rate at which a trace, its gaps stretched or squeezed, keeps a promise. [requests/s]

    Parameters
    ----------
    seen_at : callable
        Maps a trace to TTFT and TPOT of its requests. [s]
    """
    base = trace.rate if np.isfinite(trace.rate) and trace.rate > 0 else 1.0
    unit = trace if np.isfinite(trace.rate) else None
    if unit is None:
        return 0.0
    return largest(lambda rate: promise.kept(*seen_at(scaled(trace, rate))), promise.share, base)


def largest_rate(engine: Engine, *, prompt: float, answer: float, ttft_s: float, tpot_s: float, share: float = 0.9,
                 seed: int = 1, count: int = 4000, arrivals: str = "poisson", lengths: str = "lognormal") -> float:
    """Return the largest request rate at which so large a share of requests keeps both promises. [requests/s]"""
    trace = made(1.0, count, prompt=prompt, answer=answer, seed=seed, arrivals=arrivals, lengths=lengths,
                 most=engine.blocks * engine.block_tokens * 0.9)

    def seen_at(at: Trace) -> tuple[Array, Array]:
        seen = simulate(at, engine, seed=seed)
        return seen.ttft_s(at), seen.tpot_s(at)

    return largest_rate_of(trace, seen_at, Promise(ttft_s=ttft_s, tpot_s=tpot_s, share=share))
