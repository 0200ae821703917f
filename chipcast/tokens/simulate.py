"""What happens to single requests: continuous batching with arrivals, chunks, blocks of cache, preemption, routing.

Clocks: arrival is at the router; admission is when an engine begins to work on the request; the first token is the
end of the step that finishes a prompt (of the first decode step where nothing is left to compute); the last token is
the end of the step that makes it. TTFT = first - arrival, queueing inside; TPOT = (last - first)/(tokens - 1).
Detokenising and the client's network are not in these clocks. Sources: Orca (OSDI 2022); Sarathi 2403.02310;
PagedAttention 2309.06180; DistServe 2401.09670; Mooncake 2407.00079.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from chipcast.base import draws
from chipcast.base.choose import choose
from chipcast.base.errors import InputError, require
from chipcast.base.types import Array
from chipcast.tokens.arrivals import ARRIVALS, LENGTHS, Ints, Trace, checked
from chipcast.tokens.queueing import birth_death, erlang_c, wait_m_g_1

BLOCK_TOKENS = 16
"""Tokens of a block of cache."""

SCHEDULERS = {"prefill_first": 0, "chunked": 1, "decode_first": 2}
"""Prompts stop decoding; share its steps in chunks; or wait until a whole batch has answered."""

ROUTERS = {"round_robin": 0, "least_loaded": 1, "two_choices": 2, "prefix_affinity": 3}
"""In turn; to the fewest requests in hand; to the better of two picked at random; to the longest stored prefix."""

PREEMPT = {"recompute": 0, "swap": 1}
"""What becomes of a request that must yield: worked on again, or moved to the host and back."""

CHUNK_TOKENS = 8192
"""Tokens that a step works on, at most."""


def _no_grid() -> Array:
    return np.zeros((0, 0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """What the replicas behind a router do in a step."""

    fixed_s: float = 0.0
    """Time of a decode step whatever it holds, t0; not used where there is a grid. [s]"""
    request_s: float = 0.0
    """More per running request, t1. [s]"""
    token_s: float = 0.0
    """More per cached token, t2. [s]"""
    prompt_s: float = 0.0
    """Prefill per prompt token. [s]"""
    prompt_fixed_s: float = 0.0
    """Prefill whatever the length, where no decoding goes on beside it. [s]"""
    prompt_square_s: float = 0.0
    """Prefill per prompt token and token before it: attention. [s]"""
    slots: int = 256
    """Requests at once, at most."""
    blocks: int = 10**9
    """Blocks of cache."""
    replicas: int = 1
    """Engines behind the router."""
    grid_s: Array = field(default_factory=_no_grid)
    """Time of a decode step. [s] (requests from 0 to slots, tokens per request in steps of `grid_tokens`)"""
    grid_tokens: float = 1.0
    """Distance of the grid's second axis. [tokens]"""
    chunk_tokens: int = CHUNK_TOKENS
    """Tokens of a step, at most; longer prompts go in pieces."""
    scheduler: str = "prefill_first"
    """Entry of `SCHEDULERS`."""
    preempt: str = "recompute"
    """Entry of `PREEMPT`."""
    swap_s: float = 0.0
    """Moving a token's cache to the host, and as long back. [s]"""
    router: str = "round_robin"
    """Entry of `ROUTERS`."""
    block_tokens: int = BLOCK_TOKENS
    """Tokens of a block."""
    store_blocks: int = 0
    """Prefix blocks that a replica's store keeps: 0 none, -1 all, else the last used."""
    store_s: float = 0.0
    """Loading a stored token. [s]"""
    stages: float = 1.0
    """Pipeline stages: an engine lets a prompt go after one of them, the others delay its first token."""
    affinity_spare: int = 8
    """Requests more than the least loaded replica that a longer stored prefix is worth."""

    def grid(self) -> tuple[Array, float]:
        """Return the grid of step times and the distance of its second axis."""
        if self.grid_s.size:
            return np.ascontiguousarray(self.grid_s), self.grid_tokens
        n = np.arange(self.slots + 1, dtype=float)[:, None]
        context = np.array([0.0, 1.0])[None, :]
        return self.fixed_s + self.request_s * n + self.token_s * n * context, 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """What the requests saw."""

    start_s: Array
    """Admission to an engine. [s] (request)"""
    first_s: Array
    """First token. [s] (request)"""
    last_s: Array
    """Last token. [s] (request)"""
    out_s: Array
    """Time between yielding and coming back. [s] (request)"""
    preempted: Array
    """How often each request had to yield. (request)"""
    replica: Ints
    """Engine that served it. (request)"""
    hit_tokens: Array
    """Prompt tokens found in a store. [tokens] (request)"""
    pipeline_s: Array
    """Time of the prompt in stages after the first, beside the engine's next work. [s] (request)"""
    recomputed_tokens: float
    """Tokens worked on again after a request had yielded: waste. [tokens]"""
    swapped_tokens: float
    """Tokens moved to the host or back. [tokens]"""
    busy_s: float
    """Sum over engines of the time they worked. [s]"""
    running_integral: float
    """Integral of the number of requests in service over time. [request s]"""
    peak_blocks: float
    """Most blocks that an engine had in use."""
    left_over: int
    """Blocks and requests left at the end; 0 unless something was lost."""

    def ttft_s(self, trace: Trace) -> Array:
        """Return the time to first token of each request. [s]"""
        return np.asarray(self.first_s + self.pipeline_s - trace.arrival_s)

    def tpot_s(self, trace: Trace) -> Array:
        """Return the time per token after the first of each request. [s]"""
        return np.asarray((self.last_s - self.first_s) / np.maximum(trace.answer - 1, 1))


def simulate(trace: Trace, engine: Engine, *, cached: Array | None = None, seed: int = 1) -> Simulated:
    """Return what each request saw.

    Parameters
    ----------
    trace : Trace
        Requests in order of arrival.
    engine : Engine
        Engines, their step times and rules.
    cached : array, optional
        Prompt tokens whose cache arrives with the request, as in a decode pool. [tokens] (request)
    seed : int
        Of the router that picks at random; nothing else is random here.

    Raises
    ------
    InputError
        If arrivals go back in time, lengths are below 1, or a request is larger than the cache.
    """
    from chipcast.tokens.batching import run

    checked(trace)
    arrival = np.ascontiguousarray(trace.arrival_s, dtype=float)
    prompt, answer = (np.ceil(v).astype(np.int64) for v in (trace.prompt, trace.answer))
    largest = int(np.max(-(-(prompt + answer) // engine.block_tokens)))
    if largest > engine.blocks:
        raise InputError(f"a request of {largest * engine.block_tokens} tokens is larger than the cache of "
                         f"{engine.blocks * engine.block_tokens} tokens; take more chips or shorter requests")
    require(engine.slots >= 1 and engine.replicas >= 1, "slots and replicas", "be 1 or more", engine.slots)
    require(engine.chunk_tokens >= 1, "chunk", "be 1 token or more", engine.chunk_tokens)
    router = choose(ROUTERS, engine.router, "routing policy")
    given = np.zeros_like(prompt) if cached is None else np.minimum(np.asarray(cached).astype(np.int64), prompt)
    stored = engine.store_blocks != 0 and trace.prefix.size > 0
    names, ids = (np.unique(trace.prefix, return_inverse=True) if stored else (np.zeros(0), np.zeros(0, np.int64)))
    offsets = trace.prefix_from.astype(np.int64) if stored else np.zeros(prompt.size + 1, np.int64)
    picks = np.stack([draws.uniforms(seed, f"simulate:router {k}", 0, prompt.size) for k in (0, 1)], axis=1) \
        if engine.router == "two_choices" else np.zeros((1, 2))
    grid, gap = engine.grid()
    start, first, last, out, hit, preempted, where, f, rest = run(
        arrival, prompt, answer, given, picks, ids.astype(np.int64), offsets, engine.replicas, router,
        choose(SCHEDULERS, engine.scheduler, "scheduler"), choose(PREEMPT, engine.preempt, "way to yield"), grid,
        (float(gap), float(engine.prompt_fixed_s), float(engine.prompt_s), float(engine.prompt_square_s),
         float(engine.swap_s), float(engine.store_s)),
        (engine.slots, engine.blocks, engine.block_tokens, engine.chunk_tokens, trace.hash_tokens), int(names.size),
        engine.store_blocks, engine.affinity_spare)
    total, todo = f.sum(axis=0), np.maximum(prompt - given - hit, 0).astype(float)
    behind = (engine.prompt_fixed_s * (todo > 0) + engine.prompt_s * todo
              + engine.prompt_square_s * todo * (hit + 0.5 * todo))
    return Simulated(start_s=start, first_s=first, last_s=last, out_s=out, pipeline_s=(engine.stages - 1) * behind,
                     preempted=preempted.astype(float), replica=where, hit_tokens=hit.astype(float),
                     recomputed_tokens=float(total[6]),
                     swapped_tokens=float(total[7]), busy_s=float(total[1]), running_integral=float(total[2]),
                     peak_blocks=float(f[:, 8].max()), left_over=int(rest))


@dataclass(frozen=True, kw_only=True, slots=True)
class Handed:
    """What requests saw that were prefilled on one pool and decoded on another."""

    prefill: Simulated
    """In the prefill pool, whose last token is the end of the prompt."""
    decode: Simulated
    """In the decode pool, request by request in the order of the trace."""
    handoff_s: Array
    """Part of the hand-off that stays exposed. [s] (request)"""

    def ttft_s(self, trace: Trace) -> Array:
        """Return the time to first token, which the decode pool emits. [s]"""
        return self.decode.ttft_s(trace)

    def tpot_s(self, trace: Trace) -> Array:
        """Return the time per token after the first. [s]"""
        return self.decode.tpot_s(trace)


def hand_over(trace: Trace, prefill: Engine, decode: Engine, *, token_s: float, seed: int = 1) -> Handed:
    """Return what requests saw on two pools: prompts on one, caches handed over layer by layer, answers on the other.

    Parameters
    ----------
    token_s : float
        Sending a prompt token's cache; what exceeds the prefill itself is exposed. [s]
    """
    require(token_s >= 0, "hand-off", "be 0 or more seconds a token", token_s)
    first = simulate(replace(trace, answer=np.ones(trace.count)), prefill, seed=seed)
    done = first.last_s + first.pipeline_s
    exposed = np.maximum(token_s * trace.prompt - (done - first.start_s), 0.0)
    ready = done + exposed
    order = np.argsort(ready, kind="stable")
    after = Trace(arrival_s=ready[order], prompt=trace.prompt[order], answer=trace.answer[order])
    seen = simulate(after, decode, cached=after.prompt, seed=seed)
    back = np.argsort(order, kind="stable")
    moved = {k: getattr(seen, k)[back] for k in ("start_s", "first_s", "last_s", "out_s", "preempted", "replica",
                                                 "hit_tokens", "pipeline_s")}
    return Handed(prefill=first, decode=replace(seen, **moved), handoff_s=exposed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """How full the engines were. (time)"""

    time_s: Array
    """Time since the first arrival. [s]"""
    waiting: Array
    """Requests that no engine has begun."""
    running: Array
    """Requests in service."""
    cached_tokens: Array
    """Tokens of the running requests, answers taken to grow evenly. [tokens]"""


def timeline(trace: Trace, seen: Simulated, *, points: int = 200) -> Timeline:
    """Return queue, service and cache over time, on a grid from the first arrival to the last token."""
    t = np.linspace(float(trace.arrival_s[0]), float(np.max(seen.last_s)), points)
    arrived, begun, ended = (np.searchsorted(np.sort(v), t, side="right") for v in (trace.arrival_s, seen.start_s,
                                                                                    seen.last_s))
    held = np.zeros(points)
    span = np.maximum(seen.last_s - seen.first_s, 1e-12)
    for j, now in enumerate(t):
        on = (seen.start_s <= now) & (seen.last_s > now)
        grown = np.clip((now - seen.first_s[on]) / span[on], 0.0, 1.0) * trace.answer[on]
        held[j] = np.sum(trace.prompt[on] + grown)
    return Timeline(time_s=t - t[0], waiting=(arrived - begun).astype(float), running=(begun - ended).astype(float),
                    cached_tokens=held)


__all__ = ["ARRIVALS", "BLOCK_TOKENS", "LENGTHS", "PREEMPT", "ROUTERS", "SCHEDULERS", "Engine", "Handed", "Simulated",
           "Timeline", "Trace", "birth_death", "erlang_c", "hand_over", "simulate", "timeline", "wait_m_g_1"]
