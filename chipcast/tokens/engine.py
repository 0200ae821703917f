"""From a chosen layout to what the request-level simulation steps with: a grid of step times by the model of `serve`.

An attention group is one scheduler; groups of a replica are taken to work side by side, as in the closed form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.errors import InfeasibleError, require
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.base.units import convert
from chipcast.tokens.arrivals import HASH_TOKENS, Trace
from chipcast.tokens.layout import Shape
from chipcast.tokens.memory import cache_bytes, most_requests
from chipcast.tokens.model import PRECISION, Model, load
from chipcast.tokens.ops import Plan
from chipcast.tokens.record import Layout
from chipcast.tokens.serve import BATCHES, Workload, choose_layout, decode_s, layout_record, prefill_s
from chipcast.tokens.simulate import (
    BLOCK_TOKENS,
    PREEMPT,
    ROUTERS,
    SCHEDULERS,
    Engine,
    Handed,
    Simulated,
    hand_over,
    simulate,
)
from chipcast.tokens.speed import at_middle, fitted_speed
from chipcast.tokens.split import match_pools, why_no_pools
from chipcast.tokens.step import Speed

GRID_POINTS = 17
"""Context lengths at which the step time is worked out; between them it is a line."""

@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How engines schedule and routers send."""

    scheduler: str = "chunked"
    """Entry of `SCHEDULERS`."""
    chunk_tokens: int = 0
    """Tokens of a step, at most; 0 for the row `engine.chunk_tokens`."""
    preempt: str = "recompute"
    """Entry of `PREEMPT`."""
    router: str = "least_loaded"
    """Entry of `ROUTERS`."""
    store_gb: float = 0.0
    """Host memory for stored prefixes of one scheduler; 0 for none, below 0 for without limit. [GB]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """Replicas of one layout on one kind of chip."""

    chip: str
    """Chip id."""
    shape: Shape
    """Layout of a replica."""
    precision: str
    """Of weights and arithmetic."""
    replicas: int
    """Attention groups in all."""
    segment: str
    """Buyer class, whose software runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """A layout on all chips of a deployment."""

    engine: Engine
    """Step times and limits; of the decode pool where there are two."""
    layout: Layout
    """Of one replica."""
    analytic_requests_per_s: float
    """Saturation of the whole by the closed form. [requests/s]"""
    prefill: Engine | None = None
    """The prefill pool, None where one pool does both."""
    prefill_layout: Layout | None = None
    """Of one prefill replica."""
    handoff_s: float = 0.0
    """Sending a prompt token's cache to the decode pool. [s]"""
    chips: tuple[int, int] = (0, 0)
    """Chips of the prefill and the decode pool."""
    pools: tuple[Pool, ...] = ()
    """The pool, or the prefill and the decode pool."""

    def run(self, trace: Trace, *, seed: int = 1) -> Simulated | Handed:
        """Return what the requests of a trace see."""
        if self.prefill is None:
            return simulate(trace, self.engine, seed=seed)
        return hand_over(trace, self.prefill, self.engine, token_s=self.handoff_s, seed=seed)


def step_grid(model: Model, plan: Plan, speed: Speed, precision: str, *, slots: int, longest: float, drafts: int = 0,
              accept: float = 1.0) -> tuple[Array, float]:
    """Return decode step times per emitted token and the distance of their context axis.

    Returns
    -------
    tuple of array and float
        [s] (requests from 0 to slots, context), and tokens between two contexts. No requests take no time.
    """
    context = np.linspace(0.0, max(longest, 1.0), GRID_POINTS)
    some = np.append(BATCHES[slots > BATCHES], slots)
    at = np.asarray(decode_s(model, plan, speed, precision, requests=some[:, None], context=context[None, :],
                             drafts=drafts), dtype=float) / accept
    every = np.stack([np.interp(np.arange(1, slots + 1), some, at[:, j]) for j in range(context.size)], axis=1)
    return np.concatenate([np.zeros((1, context.size)), every]), float(context[1])


def prompt_terms(model: Model, plan: Plan, speed: Speed, precision: str, tokens: float) -> tuple[float, float, float]:
    """Return what a prompt of x tokens takes, a + b x + c x^2/2, through prompts of half, once and twice the tokens.

    Where a long prompt is cheaper per token than a short one, the square is left out and the line fitted.
    """
    x = np.maximum(np.array([0.5, 1.0, 2.0]) * tokens, 1.0) + np.array([0.0, 1.0, 2.0])
    y = np.array([float(np.max(prefill_s(model, plan, speed, precision, new=float(v)))) for v in x]) / float(plan.pp)
    a, b, c = np.linalg.solve(np.stack([np.ones(3), x, 0.5 * x**2], axis=1), y)
    if c < 0 or b < 0:
        c = 0.0
        b = max((y[2] - y[0]) / (x[2] - x[0]), 0.0)
        a = y[1] - b * x[1]
    return max(float(a), 0.0), float(b), float(c)


def engine_of(given: Given, model: Model, shape: Shape, speed: Speed, precision: str, work: Workload, *,
              replicas: int, longest: float, policy: Policy) -> Engine:
    """Return the engine of a layout: grid of steps, prompt terms, room for caches, stores and ways to yield."""
    for table, name, what in ((SCHEDULERS, policy.scheduler, "scheduler"), (PREEMPT, policy.preempt, "way to yield"),
                              (ROUTERS, policy.router, "routing policy")):
        choose(table, name, what)
    require(policy.chunk_tokens >= 0, "chunk", "be 1 token or more, or 0 for the row", policy.chunk_tokens)
    chunk = policy.chunk_tokens or round(given.middle("engine.chunk_tokens"))
    plan = shape.plan
    kind = PRECISION[precision]
    slots = int(given.middle("engine.max_requests_per_rank"))
    grid, gap = step_grid(model, plan, speed, precision, slots=slots, longest=longest, drafts=work.drafts,
                          accept=work.accept)
    a, b, c = prompt_terms(model, plan, speed, precision, work.computed)
    room = float(np.max(most_requests(model, plan, kind, usable=speed.memory_bytes, reserve=speed.reserve_bytes,
                                      tokens=longest, chunk_tokens=chunk)))
    if room < 1:
        raise InfeasibleError(f"a request of {longest:.0f} tokens does not fit beside the weights on {speed.chip}; "
                              "take more chips or shorter requests")
    host = given.middle("engine.host_link_gb_s") * convert(1, "GB/s", "B/s") / speed.ranks_per_chip
    token = float(np.max(cache_bytes(model, plan, 1.0, BLOCK_TOKENS, kind.cache_bytes))) / BLOCK_TOKENS
    block = HASH_TOKENS * token
    store = 0 if policy.store_gb == 0 else -1 if policy.store_gb < 0 else max(int(policy.store_gb * 1e9 / block), 1)
    return Engine(grid_s=grid, grid_tokens=gap, prompt_fixed_s=a, prompt_s=b, prompt_square_s=c, slots=slots,
                  blocks=max(int(room * longest / BLOCK_TOKENS), 1), replicas=replicas, chunk_tokens=chunk,
                  scheduler=policy.scheduler, preempt=policy.preempt, swap_s=token / host, router=policy.router,
                  affinity_spare=round(given.middle("engine.affinity_spare")), store_blocks=store,
                  store_s=token / host, stages=float(shape.pp))


def held_context(trace: Trace) -> float:
    """Return the tokens that a request in service holds on average: long answers are seen longer. [tokens]"""
    return float(np.sum(trace.answer * (trace.prompt + trace.answer / 2)) / np.sum(trace.answer))


def saturation(engine: Engine, work: Workload, room_tokens: float, *, context: float = 0.0) -> float:
    """Return the requests per second that engines work off by the closed form when none is ever idle. [requests/s]

    Notes
    -----
    A full engine of b requests spends n_out steps and b prompts on b requests: b / (n_out T_dec(b, S) + b T_pre), S
    the context halfway through the answer where none is given. A step of chunks makes b tokens and works off
    b n_in/n_out, within the chunk: that bounds b too. Work done again after a request had to yield is not in it.
    """
    held = context or work.context
    full = min(float(engine.slots), room_tokens / max(held, 1.0))
    if engine.scheduler == "chunked":
        full = min(full, engine.chunk_tokens / (1 + work.computed / work.output_tokens))
    grid, gap = engine.grid()
    x = np.arange(grid.shape[1]) * gap
    row = np.array([np.interp(full, np.arange(engine.slots + 1), grid[:, j]) for j in range(grid.shape[1])])
    step = float(np.interp(held, x, row))
    alone = 0.0 if engine.scheduler == "chunked" else engine.prompt_fixed_s
    prompt = alone + engine.prompt_s * work.computed + engine.prompt_square_s * work.computed * (
        work.input_tokens - work.computed / 2)
    return engine.replicas * full / (work.output_tokens * step + full * prompt)


def in_service(engine: Engine, work: Workload, rate: float) -> float:
    """Return the requests that one scheduler has in service when it only decodes at a rate, by Little's law."""
    grid, gap = engine.grid()
    x = np.arange(grid.shape[1]) * gap
    count = np.arange(1, engine.slots + 1)
    step = np.array([np.interp(work.context, x, row) for row in grid[1:]])
    return float(np.interp(rate, count / (work.output_tokens * step), count))


def most_requests_per_s(made: Deployed, work: Workload, *, context: float = 0.0) -> float:
    """Return what a deployment works off when no engine is ever idle, the slower of two pools. [requests/s]

    A pool for prompts fills every step, so that what a step costs at least is shared by all prompts in it.
    """
    rate = saturation(made.engine, work, made.engine.blocks * BLOCK_TOKENS, context=context)
    if made.prefill is None:
        return rate
    first, cached = made.prefill, work.input_tokens - work.computed
    prompt = (first.prompt_fixed_s * work.computed / first.chunk_tokens + first.prompt_s * work.computed
              + first.prompt_square_s * work.computed * (cached + work.computed / 2))
    bare = replace(made.engine, scheduler="prefill_first", prompt_fixed_s=0.0, prompt_s=0.0, prompt_square_s=0.0)
    return min(first.replicas / prompt, saturation(bare, work, bare.blocks * BLOCK_TOKENS, context=context))


def deploy(given: Given, chip: str, model: str, work: Workload, *, chips: int, segment: str = "platform",
           precision: str | None = None, policy: Policy | None = None, longest: float = 0.0) -> Deployed:
    """Return the best layout at the medians on so many chips as an engine.

    Parameters
    ----------
    longest : float
        Prompt and answer of the longest request, 0 for that of the workload. [tokens]

    Raises
    ------
    InfeasibleError
        If the model does not fit or no layout keeps the promise.
    """
    middle = at_middle(given)
    shape_of = load(model)
    speed, word = fitted_speed(middle, chip, shape_of, segment=segment, precision=precision)
    limit = given.middle("engine.max_requests_per_rank")
    choice = choose_layout(shape_of, speed, work, precision=word, max_chips=chips,
                           server=int(given.middle("server.chips")), limit=limit)
    if choice.shape is None:
        raise InfeasibleError(f"{chip}: {choice.reason}")
    s = choice.shape
    replicas = max(int(chips * speed.ranks_per_chip // s.ranks), 1) * s.dp
    pool = Pool(chip=chip, shape=s, precision=word, replicas=replicas, segment=segment)
    made = engine_of(given, shape_of, s, speed, word, work, replicas=replicas, longest=max(longest, work.longest),
                     policy=policy or Policy())
    return Deployed(engine=made, layout=layout_record(s, choice.batch, word, speed.ranks_per_chip), pools=(pool,),
                    analytic_requests_per_s=saturation(made, work, made.blocks * BLOCK_TOKENS), chips=(0, chips))


def deploy_split(given: Given, prefill_chip: str, decode_chip: str, model: str, work: Workload, *, chips: int,
                 segment: str = "platform", precision: str | None = None, policy: Policy | None = None,
                 longest: float = 0.0) -> Deployed:
    """Return two matched pools as engines, and what handing a token's cache over takes.

    Raises
    ------
    InfeasibleError
        If no pair of pools keeps the promise.
    """
    middle = at_middle(given)
    shape_of = load(model)
    first, after = (fitted_speed(middle, c, shape_of, segment=segment, precision=precision)[0]
                    for c in (prefill_chip, decode_chip))
    found = match_pools(shape_of, first, after, work, chips=chips, precision=precision,
                        limit=given.middle("engine.max_requests_per_rank"))
    if found is None:
        raise InfeasibleError(why_no_pools(shape_of, first, after, work, chips=chips, precision=precision))
    sides = ((prefill_chip, found.prefill, found.prefill_precision, first, found.prefill_chips),
             (decode_chip, found.decode, found.decode_precision, after, found.decode_chips))
    pools = tuple(Pool(chip=c, shape=s, precision=w, segment=segment,
                       replicas=max(int(n * v.ranks_per_chip // s.ranks), 1) * s.dp) for c, s, w, v, n in sides)
    engines = _two_engines(given, shape_of, pools, (first, after), work, policy or Policy(),
                           max(longest, work.longest))
    held = in_service(engines["engine"], work, found.requests_per_s / pools[1].replicas)
    return Deployed(**engines,
                    layout=layout_record(found.decode, held, found.decode_precision, after.ranks_per_chip),
                    analytic_requests_per_s=found.requests_per_s, pools=pools,
                    prefill_layout=layout_record(found.prefill, 1.0, found.prefill_precision, first.ranks_per_chip),
                    chips=(found.prefill_chips, found.decode_chips))


def _two_engines(given: Given, model: Model, pools: tuple[Pool, ...], speeds: tuple[Speed, ...], work: Workload,
                 policy: Policy, longest: float) -> dict[str, Any]:
    """Return the engines of a prefill and a decode pool, and what handing a token's cache over takes."""
    first, after = (engine_of(given, model, p.shape, v, p.precision, work, replicas=p.replicas, longest=longest,
                              policy=policy) for p, v in zip(pools, speeds, strict=True))
    link = float(np.min([np.max(v.link_bytes_s[1]) for v in speeds])) * pools[0].shape.tp
    token = model.kv_bytes_per_token(PRECISION[pools[1].precision].cache_bytes)
    return {"prefill": replace(first, scheduler="prefill_first"), "engine": replace(after, store_blocks=0),
            "handoff_s": token / link}


def at_draw(given: Given, made: Deployed, model: Model, work: Workload, *, draw: int, policy: Policy,
            longest: float) -> Deployed:
    """Return the same layout on what its chips turn out to reach in one draw.

    Raises
    ------
    InfeasibleError
        If the longest request does not fit beside the weights in that draw.
    """
    one, most = given.block(draw, draw + 1), max(longest, work.longest)
    speeds = tuple(fitted_speed(one, p.chip, model, segment=p.segment, precision=p.precision)[0] for p in made.pools)
    if len(made.pools) == 2:
        return replace(made, **_two_engines(one, model, made.pools, speeds, work, policy, most))
    (pool,) = made.pools
    engine = engine_of(one, model, pool.shape, speeds[0], pool.precision, work, replicas=pool.replicas, longest=most,
                       policy=policy)
    return replace(made, engine=engine, analytic_requests_per_s=saturation(engine, work, engine.blocks * BLOCK_TOKENS))
