"""What happens to single requests: continuous batching with arrivals, blocks of cache and preemption.

Events, not ticks: between two events the number of running requests is constant, so k steps take
k (t0 + t1 n + t2 S) + t2 n k (k - 1)/2. Clocks: arrival is at the router; the first token is the end of the step
that finishes a prompt; TPOT is (last - first)/(tokens - 1). Sources: Orca (OSDI 2022); PagedAttention 2309.06180.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from chipcast.base import draws
from chipcast.base.errors import InputError, require
from chipcast.base.types import Array

BLOCK_TOKENS = 16
"""Tokens of a block of cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """What one replica does in a step."""

    fixed_s: float
    """Time of a decode step whatever it holds, t0. [s]"""
    request_s: float
    """More per running request, t1. [s]"""
    token_s: float
    """More per cached token, t2. [s]"""
    prompt_s: float
    """Prefill per prompt token. [s]"""
    prompt_fixed_s: float
    """Prefill whatever the length. [s]"""
    slots: int
    """Requests at once, at most."""
    blocks: int
    """Blocks of cache."""
    replicas: int = 1
    """Engines behind the router."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """Requests in order of arrival."""

    arrival_s: Array
    """Arrival at the router. [s] (request)"""
    prompt: Array
    """Prompt. [tokens] (request)"""
    answer: Array
    """Answer. [tokens] (request)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """What the requests saw."""

    start_s: Array
    """Admission to an engine. [s] (request)"""
    first_s: Array
    """First token. [s] (request)"""
    last_s: Array
    """Last token. [s] (request)"""
    preempted: Array
    """How often each request had to yield. (request)"""
    recomputed_tokens: float
    """Tokens worked on again after a request had yielded. [tokens]"""
    busy_s: float
    """Sum over engines of the time they worked. [s]"""
    running_integral: float
    """Integral of the number of running requests over time. [request s]"""

    def ttft_s(self, trace: Trace) -> Array:
        """Return the time to first token of each request. [s]"""
        return np.asarray(self.first_s - trace.arrival_s)

    def tpot_s(self, trace: Trace) -> Array:
        """Return the time per token after the first of each request. [s]"""
        return np.asarray((self.last_s - self.first_s) / np.maximum(trace.answer - 1, 1))


def poisson(rate: float, count: int, *, seed: int) -> Array:
    """Return arrival times of a Poisson stream. [s]"""
    require(rate > 0, "rate", "be above 0 requests/s", rate)
    return np.asarray(np.cumsum(-np.log(draws.uniforms(seed, "simulate:arrivals", 0, count)) / rate))


def gamma(rate: float, count: int, *, seed: int, cv: float = 2.0) -> Array:
    """Return arrival times whose gaps have a coefficient of variation `cv`: bursts above 1. [s]"""
    from scipy.special import gammaincinv

    require(rate > 0 and cv > 0, "rate and cv", "be above 0", (rate, cv))
    shape = 1 / cv**2
    return np.asarray(np.cumsum(gammaincinv(shape, draws.uniforms(seed, "simulate:arrivals", 0, count)) / shape / rate))


ARRIVALS: dict[str, Callable[..., Array]] = {"poisson": poisson, "gamma": gamma}
"""Laws of arrival; every entry keeps the rate."""


def fixed(mean: float, count: int, *, seed: int, name: str) -> Array:
    """Return the same length for all. [tokens]"""
    return np.full(count, max(round(mean), 1), dtype=float)


def geometric(mean: float, count: int, *, seed: int, name: str) -> Array:
    """Return geometric lengths from 1 on. [tokens]"""
    if mean <= 1:
        return np.ones(count)
    u = draws.uniforms(seed, f"simulate:{name}", 0, count)
    return np.asarray(np.ceil(np.log(u) / np.log1p(-1 / mean)))


def lognormal(mean: float, count: int, *, seed: int, name: str, sigma: float = 1.0) -> Array:
    """Return log-normal lengths with that mean, whole and at least 1. [tokens]"""
    z = draws.normals(seed, f"simulate:{name}", 0, count)
    return np.asarray(np.maximum(np.round(mean * np.exp(sigma * z - sigma**2 / 2)), 1))


LENGTHS: dict[str, Callable[..., Array]] = {"fixed": fixed, "geometric": geometric, "lognormal": lognormal}
"""Laws of lengths; every entry keeps the mean."""


def simulate(trace: Trace, engine: Engine) -> Simulated:
    """Return what each request saw; requests go to replicas in turn.

    Raises
    ------
    InputError
        If arrivals go back in time, lengths are below 1, or a request is larger than the cache.
    """
    arrival, prompt, answer = (np.ascontiguousarray(v, dtype=float) for v in
                               (trace.arrival_s, trace.prompt, trace.answer))
    require(arrival.size > 0, "trace", "hold at least one request", arrival.size)
    back = np.flatnonzero(np.diff(arrival) < 0)
    if back.size:
        raise InputError(f"the trace goes back in time at request {int(back[0]) + 2}; sort it by arrival")
    if not (np.all(np.isfinite(arrival)) and np.all(prompt >= 0) and np.all(answer >= 1)):
        raise InputError("the trace needs finite times, prompts of 0 or more and answers of 1 token or more")
    largest = float(np.max(np.ceil((prompt + answer) / BLOCK_TOKENS)))
    if largest > engine.blocks:
        raise InputError(f"a request of {largest * BLOCK_TOKENS:.0f} tokens is larger than the cache of "
                         f"{engine.blocks * BLOCK_TOKENS} tokens; take more chips or shorter requests")
    require(engine.slots >= 1 and engine.replicas >= 1, "slots and replicas", "be 1 or more", engine.slots)
    n = arrival.size
    start, first, last = np.zeros(n), np.zeros(n), np.zeros(n)
    preempted = np.zeros(n)
    again, busy, running = 0.0, 0.0, 0.0
    loop = _loop()
    for r in range(engine.replicas):
        mine = np.arange(r, n, engine.replicas)
        if mine.size == 0:
            continue
        out = loop(arrival[mine], prompt[mine], answer[mine], engine.fixed_s, engine.request_s, engine.token_s,
                   engine.prompt_s, engine.prompt_fixed_s, engine.slots, engine.blocks, float(BLOCK_TOKENS))
        start[mine], first[mine], last[mine], preempted[mine] = out[:4]
        again, busy, running = again + out[4], busy + out[5], running + out[6]
    return Simulated(start_s=start, first_s=first, last_s=last, preempted=preempted, recomputed_tokens=again,
                     busy_s=busy, running_integral=running)


@lru_cache(maxsize=1)
def _loop() -> Callable[..., Any]:
    """Return the compiled event loop of one engine."""
    import numba

    return numba.njit(cache=True, error_model="numpy")(_engine)


def _engine(arrival: Any, prompt: Any, answer: Any, t0: float, t1: float, t2: float, p1: float, p0: float, slots: int,
            blocks: int, block: float) -> Any:
    """Run one engine: prompts first, then decode steps until the next event."""
    n = arrival.size
    start, first, last = np.full(n, -1.0), np.full(n, -1.0), np.zeros(n)
    preempted = np.zeros(n)
    done = np.zeros(n)
    run = np.zeros(slots, np.int64)
    waiting = np.zeros(n + 1, np.int64)
    head = tail = 0
    back = np.zeros(n + 1, np.int64)
    count_back = 0
    running = 0
    upcoming = 0
    now = busy = integral = again = 0.0
    used = 0.0
    cached = 0.0
    finished = 0
    while finished < n:
        if running == 0 and head == tail and count_back == 0 and arrival[upcoming] > now:
            now = arrival[upcoming]
        while upcoming < n and arrival[upcoming] <= now:
            waiting[tail] = upcoming
            tail += 1
            upcoming += 1
        while running < slots and (count_back > 0 or head < tail):
            i = back[count_back - 1] if count_back > 0 else waiting[head]
            tokens = prompt[i] + done[i]
            need = np.ceil((tokens + 1.0) / block)
            if used + need > blocks:
                break
            if count_back > 0:
                count_back -= 1
                again += tokens
            else:
                head += 1
            if start[i] < 0:
                start[i] = now
            spent = (p0 + p1 * tokens) if tokens > 0 else 0.0
            now += spent
            busy += spent
            integral += spent * running
            run[running] = i
            running += 1
            used += need
            cached += tokens
            while upcoming < n and arrival[upcoming] <= now:
                waiting[tail] = upcoming
                tail += 1
                upcoming += 1
        if running == 0:
            continue
        k = 1e18
        for j in range(running):
            i = run[j]
            k = min(k, answer[i] - done[i])
            if first[i] < 0:
                k = 1.0
        tau = t0 + t1 * running + t2 * cached
        if upcoming < n and running < slots:
            steps = max(np.ceil((arrival[upcoming] - now) / tau - 1e-9), 1.0)
            k = min(k, steps)
        total = 0.0
        for j in range(running):
            i = run[j]
            tokens = prompt[i] + done[i]
            total += np.ceil((tokens + 1.0 + k) / block)
        while total > blocks and k > 1.0:
            k = np.floor(k / 2)
            total = 0.0
            for j in range(running):
                i = run[j]
                total += np.ceil((prompt[i] + done[i] + 1.0 + k) / block)
        used = 0.0
        for j in range(running):
            i = run[j]
            used += np.ceil((prompt[i] + done[i] + 1.0) / block)
        if used > blocks and running > 1:
            victim = run[running - 1]
            running -= 1
            cached -= prompt[victim] + done[victim]
            preempted[victim] += 1
            back[count_back] = victim
            count_back += 1
            continue
        spent = k * tau + t2 * running * k * (k - 1) / 2
        now += spent
        busy += spent
        integral += spent * running
        cached += running * k
        j = 0
        while j < running:
            i = run[j]
            done[i] += k
            if first[i] < 0:
                first[i] = now
            if done[i] >= answer[i]:
                last[i] = now
                finished += 1
                cached -= prompt[i] + done[i]
                for m in range(j, running - 1):
                    run[m] = run[m + 1]
                running -= 1
            else:
                j += 1
        used = 0.0
        for j in range(running):
            used += np.ceil((prompt[run[j]] + done[run[j]] + 1.0) / block)
    return start, first, last, preempted, again, busy, integral


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


def largest_rate(engine: Engine, *, prompt: float, answer: float, ttft_s: float, tpot_s: float, share: float = 0.9,
                 seed: int = 1, count: int = 4000, arrivals: str = "poisson", lengths: str = "lognormal") -> float:
    """Return the largest request rate at which so large a share of requests keeps both promises. [requests/s]"""
    low, high = 0.0, engine.replicas * engine.slots / max(answer * (engine.fixed_s + engine.request_s), 1e-6)
    for _ in range(14):
        rate = (low + high) / 2
        trace = Trace(arrival_s=ARRIVALS[arrivals](rate, count, seed=seed),
                      prompt=LENGTHS[lengths](prompt, count, seed=seed, name="prompt"),
                      answer=LENGTHS[lengths](answer, count, seed=seed, name="answer"))
        cap = engine.blocks * BLOCK_TOKENS * 0.9
        trace = Trace(arrival_s=trace.arrival_s, prompt=np.minimum(trace.prompt, cap / 2),
                      answer=np.minimum(trace.answer, cap / 2))
        seen = simulate(trace, engine)
        kept = np.mean((seen.ttft_s(trace) <= ttft_s) & (seen.tpot_s(trace) <= tpot_s))
        low, high = (rate, high) if kept >= share else (low, rate)
    return low
