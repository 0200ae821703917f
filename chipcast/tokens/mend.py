"""Which clock breaks a promise, and what would mend it: the same requests on the deployment with one thing changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chipcast.base.errors import ChipcastError
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.tokens.arrivals import Trace, head, scaled
from chipcast.tokens.capacity import Promise
from chipcast.tokens.engine import Deployed, Policy, deploy, deploy_split
from chipcast.tokens.serve import Workload
from chipcast.tokens.simulate import SCHEDULERS, Engine, Handed, Simulated

BINDING: Mapping[str, str] = {
    "queue": "requests wait until an engine begins on them: more chips or fewer requests",
    "cache": "requests wait for, or yield, blocks of cache: more memory or shorter requests",
    "prefill": "a prompt takes that long on an idle engine: more ranks or a faster chip for prompts",
    "beside": "prompts and answers share steps: another chunk, or pools of their own",
    "hand-off": "caches take that long to reach the decode pool: faster links",
    "decode": "a step of so many answers takes that long: more ranks, or fewer answers in a step",
}
"""What can break a promise, and which way out."""

CHUNKS = (512, 1024, 2048, 4096, 8192, 16384)
"""Tokens of a step that are tried."""

TIGHTER = (0.7, 0.5, 0.35, 0.25)
"""Parts of the promise for which layouts are tried: the tail is slower than the mean request."""

MOST_TIMES = 64
"""Times the chips that are tried, at most."""

IDLE = 0.01
"""Requests in service on each engine where hardly two of them meet."""

TRIED = 5_000
"""Requests on which changes are tried, at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clocks:
    """Where the time of the requests goes that break the promise, of all where none does."""

    binding: str
    """Entry of `BINDING`, empty where every request keeps the promise."""
    first_token_ms: Mapping[str, float]
    """Mean time to first token of the late requests by part: queue, prompt, beside, hand-off; they add to it. [ms]"""
    token_ms: Mapping[str, float]
    """Mean time per token of the slow requests by part: alone, together, beside, yielded; they add to it. [ms]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """A change and what it does."""

    kind: str
    """chunk, scheduler, layout, pools or chips."""
    change: str
    """In words."""
    kept: float
    """Share of the requests that keep the promise then. [1]"""
    chips: int
    """Chips of the deployment then."""


def clocks(trace: Trace, made: Deployed, seen: Simulated | Handed, promise: Promise) -> Clocks:
    """Return where the time of the requests goes that break a promise.

    Notes
    -----
    A prompt's own time is that on an idle engine, stages included; what first tokens take beside queue, prompt and
    hand-off is shared steps. Of the time per token, `alone` is a step with one request, `together` what the mean number
    in service adds, `yielded` the time out of service, and the rest is prompts in the same steps.
    """
    tail = seen.decode if isinstance(seen, Handed) else seen
    first = seen.prefill if isinstance(seen, Handed) else seen
    engine = made.prefill or made.engine
    ttft, tpot = tail.ttft_s(trace), tail.tpot_s(trace)
    late, slow = ttft > promise.ttft_s, tpot > promise.tpot_s
    own = _prompt_s(engine, first, trace)
    away = seen.handoff_s if isinstance(seen, Handed) else np.zeros(trace.count)
    queue = first.start_s - trace.arrival_s
    if isinstance(seen, Handed):
        queue = queue + np.maximum(tail.start_s - first.last_s - first.pipeline_s - away, 0.0)
    some = late if late.any() else np.ones(trace.count, dtype=bool)
    parts = {"queue": queue, "prompt": np.minimum(own, ttft - queue - away), "hand-off": away}
    parts["beside"] = ttft - sum(parts.values())
    head_ms = {k: 1e3 * float(np.mean(v[some])) for k, v in parts.items()}
    some = slow if slow.any() else np.ones(trace.count, dtype=bool)
    tail_ms = _token_parts(trace, made.engine, tail, tpot, some)
    binding = ""
    full = bool(np.sum(tail.preempted) > 0 or tail.peak_blocks >= 0.97 * made.engine.blocks)
    if late.any() and np.mean(late) >= np.mean(slow):
        most = max(head_ms, key=lambda k: head_ms[k])
        binding = {"queue": "cache" if full else "queue", "prompt": "prefill"}.get(most, most)
    elif slow.any():
        most = max(tail_ms, key=lambda k: tail_ms[k])
        binding = {"alone": "decode", "together": "decode", "yielded": "cache"}.get(most, most)
    return Clocks(binding=binding, first_token_ms=head_ms, token_ms=tail_ms)


def _prompt_s(engine: Engine, first: Simulated, trace: Trace) -> Array:
    """Return the time of prompts on an idle engine, piece by piece and through all stages. [s] (request)"""
    todo = trace.prompt - first.hit_tokens
    own = engine.prompt_fixed_s * np.ceil(todo / engine.chunk_tokens) + engine.prompt_s * todo \
        + engine.prompt_square_s * todo * (first.hit_tokens + 0.5 * todo)
    return np.asarray(own + first.pipeline_s, dtype=float)


def _token_parts(trace: Trace, engine: Engine, tail: Simulated, tpot: Array, some: Any) -> dict[str, float]:
    grid, gap = engine.grid()
    x = np.arange(grid.shape[1]) * gap
    context = trace.prompt[some] + trace.answer[some] / 2
    together = float(np.clip(tail.running_integral / max(tail.busy_s, 1e-12), 1.0, engine.slots))
    row = np.array([np.interp(together, np.arange(engine.slots + 1), grid[:, j]) for j in range(x.size)])
    whole = tpot[some]
    out = tail.out_s[some] / np.maximum(trace.answer[some] - 1, 1)
    alone = np.minimum(np.interp(context, x, grid[1]), whole - out)
    shared = np.clip(np.interp(context, x, row) - alone, 0.0, whole - out - alone)
    parts = {"alone": alone, "together": shared, "yielded": out, "beside": whole - out - alone - shared}
    return {k: 1e3 * float(np.mean(v)) for k, v in parts.items()}


def ways(given: Given, made: Deployed, model: str, work: Workload, trace: Trace, promise: Promise, *, policy: Policy,
         longest: float, chips: int, precision: str | None = None, seed: int = 1) -> tuple[Way, ...]:
    """Return changes that let more requests keep a promise: the best of each kind, those that keep it first.

    The layout is searched anew for each change of chunk or pools. More chips are replicas of the layout, of the
    deployment as it stands or after the best change of a kind: whichever asks for the fewest chips.
    """
    trace = head(trace, TRIED)
    now = _kept(made, trace, promise, seed)
    best: dict[str, tuple[Way, Deployed]] = {}
    for kind, change, other in _changes(given, made, model, work, policy, longest, chips, precision):
        kept = _kept(other, trace, promise, seed)
        if kind not in best or kept > best[kind][0].kept:
            best[kind] = Way(kind=kind, change=change, kept=kept, chips=sum(other.chips)), other
    found = [way for way, _ in best.values() if way.kept > now]
    grown = [(words, base, enough(base, trace, promise, seed))
             for words, base in [("as laid out", made), *((way.change, other) for way, other in best.values())]]
    able = [(sum(m.chips), words, base, m) for words, base, m in grown if m is not None and sum(m.chips) > chips]
    if able:
        count, words, base, more = min(able, key=lambda x: x[0])
        one = base.layout.chips if base.prefill is None else sum(base.chips)
        found.append(Way(kind="chips", change=f"{count} chips in {count // one} copies, {words}", chips=count,
                         kept=_kept(more, trace, promise, seed)))
    return tuple(sorted(found, key=lambda w: (w.kept < promise.share, w.kind == "chips", -w.kept)))


def nearest(made: Deployed, trace: Trace, promise: Promise, *, seed: int = 1) -> Promise:
    """Return the tightest times that so large a share of requests keeps where hardly two of them meet."""
    seen = made.run(trace, seed=seed)
    tail = seen.decode if isinstance(seen, Handed) else seen
    alone = scaled(trace, IDLE * made.engine.replicas / max(float(np.mean(tail.last_s - tail.start_s)), 1e-9))
    seen = made.run(alone, seed=seed)
    ttft, tpot = (float(np.quantile(v, promise.share)) for v in (seen.ttft_s(alone), seen.tpot_s(alone)))
    return Promise(ttft_s=ttft, tpot_s=tpot, share=promise.share)


def _kept(made: Deployed, trace: Trace, promise: Promise, seed: int) -> float:
    try:
        seen = made.run(trace, seed=seed)
    except ChipcastError:
        return 0.0
    return promise.kept(seen.ttft_s(trace), seen.tpot_s(trace))


def _changes(given: Given, made: Deployed, model: str, work: Workload, policy: Policy, longest: float, chips: int,
             precision: str | None) -> Iterator[tuple[str, str, Deployed]]:
    """Yield kind, words and deployment of every change that can be laid out."""
    pools = tuple(p.chip for p in made.pools)

    def laid(policy: Policy, work: Workload = work, *, split: bool = len(pools) == 2) -> Deployed | None:
        try:
            if split:
                return deploy_split(given, pools[0], pools[-1], model, work, chips=chips, precision=precision,
                                    policy=policy, longest=longest)
            return deploy(given, pools[-1], model, work, chips=chips, precision=precision, policy=policy,
                          longest=longest)
        except ChipcastError:
            return None

    tries = [("chunk", f"steps of at most {c} tokens", replace(policy, chunk_tokens=c), work, len(pools) == 2)
             for c in CHUNKS if c != made.engine.chunk_tokens]
    tries += [("scheduler", f"scheduler {s}", replace(policy, scheduler=s), work, len(pools) == 2)
              for s in SCHEDULERS if s != policy.scheduler and len(pools) == 1]
    tries += [("layout", "", policy, replace(work, ttft_s=work.ttft_s * t, tpot_ms=work.tpot_ms * t), len(pools) == 2)
              for t in TIGHTER]
    tries.append(("pools", "one pool" if len(pools) == 2 else "prefill and decode on pools of their own", policy, work,
                  len(pools) == 1))
    for kind, words, other, asked, split in tries:
        found = laid(other, asked, split=split)
        if found is not None and (kind != "layout" or (found.layout, found.prefill_layout) != (
                made.layout, made.prefill_layout)):
            yield kind, words or f"laid out as {found.layout}", found


def wider(made: Deployed, count: int) -> Deployed:
    """Return a deployment of so many replicas, or of so many copies of both pools."""
    if made.prefill is None:
        return replace(made, engine=replace(made.engine, replicas=made.layout.dp * count),
                       chips=(0, made.layout.chips * count))
    return replace(made, engine=replace(made.engine, replicas=made.engine.replicas * count),
                   prefill=replace(made.prefill, replicas=made.prefill.replicas * count),
                   chips=(made.chips[0] * count, made.chips[1] * count))


def enough(made: Deployed, trace: Trace, promise: Promise, seed: int = 1) -> Deployed | None:
    """Return the smallest deployment in the same layout that keeps a promise, None where none does."""
    low = made.engine.replicas // made.layout.dp if made.prefill is None else 1
    if _kept(made, trace, promise, seed) >= promise.share:
        return made
    most, high = MOST_TIMES * low, 2 * low
    while _kept(wider(made, high), trace, promise, seed) < promise.share:
        low, high = high, 2 * high
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _kept(wider(made, middle), trace, promise, seed) >= promise.share else (
            middle, high)
    return wider(made, high)
