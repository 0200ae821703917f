"""When do requests come, and how long are they: laws of arrival and of lengths, and recorded traces.

Every law keeps its rate or mean. Draws come from named streams, so that the same seed gives the same requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.base import draws
from chipcast.base.errors import InputError, require
from chipcast.base.types import Array

Ints = npt.NDArray[np.int64]
"""Whole numbers."""

HASH_TOKENS = 512
"""Tokens of a prefix block in published traces."""


def _nothing() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """Requests in order of arrival."""

    arrival_s: Array
    """Arrival at the router. [s] (request)"""
    prompt: Array
    """Prompt. [tokens] (request)"""
    answer: Array
    """Answer. [tokens] (request)"""
    prefix: Ints = field(default_factory=_nothing)
    """Names of the prompts' blocks of `hash_tokens`, request after request; equal names share the whole prefix."""
    prefix_from: Ints = field(default_factory=_nothing)
    """Where each request's names begin, and the end of the last. (request + 1)"""
    hash_tokens: int = HASH_TOKENS
    """Tokens of a prefix block."""
    name: str = ""
    """Where the requests come from."""

    @property
    def count(self) -> int:
        """Requests."""
        return int(self.arrival_s.size)

    @property
    def rate(self) -> float:
        """Mean rate between the first and the last arrival. [requests/s]"""
        span = float(self.arrival_s[-1] - self.arrival_s[0]) if self.count > 1 else 0.0
        return (self.count - 1) / span if span > 0 else float("inf")


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
"""Laws of arrival; every entry keeps the rate. A trace brings its own times."""


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


def checked(trace: Trace) -> Trace:
    """Return the trace, or refuse it in one sentence.

    Raises
    ------
    InputError
        If it is empty, goes back in time, or a length makes no sense.
    """
    require(trace.count > 0, "trace", "hold at least one request", trace.count)
    back = np.flatnonzero(np.diff(trace.arrival_s) < 0)
    if back.size:
        raise InputError(f"the trace goes back in time at request {int(back[0]) + 2}; sort it by arrival")
    if not (np.all(np.isfinite(trace.arrival_s)) and np.all(trace.prompt >= 0) and np.all(trace.answer >= 1)):
        raise InputError("the trace needs finite times, prompts of 0 or more and answers of 1 token or more")
    return trace


def scaled(trace: Trace, rate: float) -> Trace:
    """Return the same requests at another mean rate: gaps stretched, order and lengths kept."""
    from dataclasses import replace

    require(rate > 0, "rate", "be above 0 requests/s", rate)
    return replace(trace, arrival_s=(trace.arrival_s - trace.arrival_s[0]) * (trace.rate / rate))


def head(trace: Trace, count: int) -> Trace:
    """Return the first so many requests of a trace."""
    from dataclasses import replace

    if trace.count <= count:
        return trace
    starts = trace.prefix_from[: count + 1]
    return replace(trace, arrival_s=trace.arrival_s[:count], prompt=trace.prompt[:count], answer=trace.answer[:count],
                   prefix=trace.prefix[: int(starts[-1]) if starts.size else 0], prefix_from=starts)


def made(rate: float, count: int, *, prompt: float, answer: float, seed: int, arrivals: str = "poisson",
         lengths: str = "lognormal", cv: float = 2.0, most: float = np.inf) -> Trace:
    """Return requests of a law of arrival and a law of lengths; none is longer than `most` tokens altogether."""
    from chipcast.base.choose import choose

    law = choose(ARRIVALS, arrivals, "law of arrival")
    size = choose(LENGTHS, lengths, "law of lengths")
    more: dict[str, Any] = {"cv": cv} if arrivals == "gamma" else {}
    prompts, answers = (size(mean, count, seed=seed, name=name) for mean, name in ((prompt, "prompt"),
                                                                                   (answer, "answer")))
    prompts = np.minimum(prompts, max(most / 2, 1.0))
    return Trace(arrival_s=law(rate, count, seed=seed, **more), prompt=prompts,
                 answer=np.maximum(np.minimum(answers, most - prompts), 1.0), name=f"{arrivals}, {lengths} lengths")


def from_clients(rates: Sequence[Mapping[str, str]], lengths: Sequence[Mapping[str, Any]], *, seconds: float,
                 start_s: float = 0.0, share: float = 1.0, seed: int = 1) -> Trace:
    """Return requests of recorded clients: gamma gaps of each client's rate and variation, its own lengths.

    Parameters
    ----------
    rates : sequence of mapping
        Rows client, window_start_s, rate_req_s, cv.
    lengths : sequence of mapping
        Rows client, window_start_s, input_tokens, output_tokens; each of the last two is [values, probabilities].
    seconds, start_s : float
        Length and begin of the stretch of the day that is made. [s]
    share : float
        Share of the recorded rate, 1 for all. [1]
    seed : int
        Seed of the streams; each client has its own.

    Raises
    ------
    InputError
        If no client is at work in that stretch.
    """
    require(seconds > 0 and share > 0, "seconds and share", "be above 0", (seconds, share))
    laws: dict[str, list[Mapping[str, Any]]] = {}
    for row in lengths:
        if row["input_tokens"] and row["input_tokens"][0]:
            laws.setdefault(str(row["client"]), []).append(row)
    by: dict[str, list[tuple[float, float, float]]] = {}
    for r in rates:
        by.setdefault(str(r["client"]), []).append((float(r["window_start_s"]), float(r["rate_req_s"] or 0),
                                                    float(r["cv"] or 1)))
    times, prompts, answers = [], [], []
    for client, windows in by.items():
        windows.sort()
        width = windows[1][0] - windows[0][0] if len(windows) > 1 else seconds
        if client not in laws:
            continue
        for begin, rate, cv in windows:
            low, high = max(begin, start_s), min(begin + width, start_s + seconds)
            if high <= low or rate <= 0:
                continue
            count = int(rate * share * (high - low) * 1.5 + 30)
            name = f"simulate:client {client} at {begin:g}"
            at = low + _gaps(seed, name, count, rate * share, cv)
            at = at[at < high]
            law = max((x for x in laws[client] if float(x["window_start_s"]) <= begin),
                      key=lambda x: float(x["window_start_s"]), default=laws[client][0])
            times.append(at)
            prompts.append(_pick(law["input_tokens"], draws.uniforms(seed, f"{name} in", 0, at.size)))
            answers.append(_pick(law["output_tokens"], draws.uniforms(seed, f"{name} out", 0, at.size)))
    if not times or not sum(t.size for t in times):
        raise InputError(f"no client is at work between {start_s:g} and {start_s + seconds:g} s of the day; "
                         "take another stretch")
    arrival = np.concatenate(times)
    order = np.argsort(arrival, kind="stable")
    return Trace(arrival_s=arrival[order] - start_s, prompt=np.concatenate(prompts)[order],
                 answer=np.maximum(np.concatenate(answers)[order], 1.0), name="recorded clients")


def _gaps(seed: int, name: str, count: int, rate: float, cv: float) -> Array:
    """Return arrival times of a gamma stream that was running before it is looked at. [s]

    The gap that one looks into is length-biased, a gamma of one shape more, and the look falls anywhere inside.
    """
    from scipy.special import gammaincinv

    shape = 1 / max(cv, 0.05) ** 2
    u = draws.uniforms(seed, name, 0, count + 1)
    gaps = gammaincinv(shape, u[1:]) / shape / rate
    gaps[0] = u[0] * gammaincinv(shape + 1, u[1]) / shape / rate
    return np.asarray(np.cumsum(gaps))


def _pick(law: Sequence[Sequence[float]], u: Array) -> Array:
    """Return values of a recorded histogram by inverse distribution."""
    values, weights = np.asarray(law[0], dtype=float), np.asarray(law[1], dtype=float)
    edges = np.cumsum(weights)
    return np.asarray(values[np.minimum(np.searchsorted(edges, u * edges[-1]), values.size - 1)])


def prefix_reuse(trace: Trace) -> tuple[int, int, float]:
    """Return blocks asked for, distinct blocks, and the share that an unlimited store would hold.

    A block counts as held if all before it are held too.
    """
    seen: set[int] = set()
    hits = 0
    for i in range(trace.count):
        names = trace.prefix[trace.prefix_from[i]: trace.prefix_from[i + 1]].tolist()
        unbroken = True
        for h in names:
            unbroken = unbroken and h in seen
            hits += unbroken
        seen.update(names)
    return int(trace.prefix.size), len(seen), hits / max(trace.prefix.size, 1)
