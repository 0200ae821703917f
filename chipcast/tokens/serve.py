"""What does a chip deliver on a model under a promise, and at what cost?

Layouts are chosen at the medians, so that they depend on no block of draws: the best there, and those for a machine
half and twice as fast; the operator then takes the best of them and tunes the batch to what the machine turns out to
do, draw by draw. Sources: Orca (OSDI 2022), Sarathi (2403.02310).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from chipcast.base.errors import InfeasibleError, require
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric
from chipcast.tokens.beliefs import constant
from chipcast.tokens.config import refuse_later
from chipcast.tokens.layout import Shape, legal, rings_for, why_not
from chipcast.tokens.memory import ledger, most_requests
from chipcast.tokens.model import PRECISION, Model, load
from chipcast.tokens.money import usd_per_chip_h, usd_per_million
from chipcast.tokens.names import grade
from chipcast.tokens.ops import Load, Plan, step_ops
from chipcast.tokens.record import Layout, Service
from chipcast.tokens.speed import at_middle, fitted_speed
from chipcast.tokens.step import PARTS, Speed, step_time

BATCHES = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048],
                   dtype=float)
"""Requests of an attention group that are tried."""

CHUNK_TOKENS = 8192
"""Prompt tokens that are worked on at once, at most; longer prompts go in pieces."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """What requests look like and what they were promised."""

    input_tokens: float
    """Prompt. [tokens]"""
    output_tokens: float
    """Answer. [tokens]"""
    ttft_s: float
    """Promised time to first token. [s]"""
    tpot_ms: float
    """Promised time per output token. [ms]"""
    prefix_hit: float = 0.0
    """Share of the prompt found in a cache."""
    drafts: int = 0
    """Tokens drafted and checked per step."""
    accept: float = 1.0
    """Tokens that a step yields with drafts, the real one included."""
    apart: bool = False
    """Whether another pool works off the prompts."""

    @property
    def computed(self) -> float:
        """Prompt tokens that are computed. [tokens]"""
        return max(self.input_tokens * (1 - self.prefix_hit), 1.0)

    @property
    def context(self) -> float:
        """Tokens cached halfway through the answer. [tokens]"""
        return self.input_tokens + self.output_tokens / 2

    @property
    def longest(self) -> float:
        """Tokens cached at the end. [tokens]"""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """Times of layouts at batches; arrays [plan batch draw] or [batch draw]."""

    tpot_s: Numeric
    """Time per output token, prefill of newcomers included. [s]"""
    ttft_s: Numeric
    """Time to first token without a queue. [s]"""
    rate: Numeric
    """Output tokens of a replica. [tokens/s]"""
    decode_s: Numeric
    """Decode step. [s]"""
    prefill_s: Numeric
    """Prefill of a prompt, all stages. [s]"""


def plans_of(shapes: Sequence[Shape]) -> Plan:
    """Return shapes as arrays [plan 1 1]."""
    def column(name: str) -> Array:
        return np.array([getattr(s, name) for s in shapes], dtype=float)[:, None, None]

    return Plan(tp=column("tp"), dp=column("dp"), pp=column("pp"), ep=column("ep"), etp=column("etp"),
                cp=column("cp"))


def decode_s(model: Model, plan: Plan, speed: Speed, precision: str, *, requests: Numeric, context: Numeric,
             drafts: int = 0) -> Numeric:
    """Return the time of a decode step of `requests` per attention group, through all stages. [s]"""
    per_stage = np.maximum(requests / plan.pp, 1.0)
    kind = PRECISION[precision]
    ops, messages = step_ops(model, plan, Load(requests=per_stage, new=1 + drafts, context=context, prefill=False,
                                               all_logits=drafts > 0), kind, tile=speed.tile, domain=speed.domain)
    return step_time(ops, messages, plan, kind, speed, layers=model.layers, replica_requests=requests).total_s


def prefill_s(model: Model, plan: Plan, speed: Speed, precision: str, *, new: float, cached: float = 0.0) -> Numeric:
    """Return the time to prefill one prompt on each attention group, through all stages, piece by piece. [s]"""
    pieces = int(np.ceil(new / CHUNK_TOKENS))
    kind, total = PRECISION[precision], 0.0
    each = new / pieces
    for i in range(pieces):
        piece = Load(requests=1.0, new=each, context=cached + i * each, prefill=True)
        ops, messages = step_ops(model, plan, piece, kind, tile=speed.tile, domain=speed.domain)
        total = total + step_time(ops, messages, plan, kind, speed, layers=model.layers).total_s
    return total


def timing(model: Model, plan: Plan, speed: Speed, precision: str, work: Workload, requests: Numeric) -> Timing:
    """Return TPOT, TTFT and rate of one pool that interleaves prefill and decode.

    Notes
    -----
    TPOT = T_dec(b, S) + (B / n_out) T_pre, T_pre per prompt of a replica; rate = B / TPOT. Drafts divide the
    decode step by the tokens it yields.
    """
    step = decode_s(model, plan, speed, precision, requests=requests, context=work.context, drafts=work.drafts)
    if work.apart:
        tpot = step / work.accept
        return Timing(tpot_s=tpot, ttft_s=step, rate=requests * plan.dp / tpot, decode_s=step, prefill_s=0.0 * step)
    first = prefill_s(model, plan, speed, precision, new=work.computed, cached=work.input_tokens - work.computed)
    per_prompt = first / (plan.dp * plan.pp)
    total = requests * plan.dp
    tpot = step / work.accept + total / work.output_tokens * per_prompt
    return Timing(tpot_s=tpot, ttft_s=first + step, rate=total / tpot, decode_s=step, prefill_s=first)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A chip's best layout at the medians."""

    shape: Shape | None
    """The layout, None where nothing fits."""
    precision: str
    """Of weights and arithmetic."""
    batch: float
    """Requests of an attention group at the medians."""
    reason: str
    """Why there is none, or why it does not keep the promise."""
    bound_by: str
    """What limits decode."""
    smallest: int
    """Chips of the smallest deployment that keeps the promise."""
    frontier: tuple[dict[str, Any], ...]
    """Points no other layout beats in both speed and rate."""


_CHOICES: dict[tuple[Any, ...], Choice] = {}
"""Choices of a layout so far, so that not every block of draws searches anew."""


def _signature(speed: Speed) -> tuple[Any, ...]:
    """Return the numbers of a speed of one draw, by which two searches are told apart."""
    out: list[Any] = []
    for f in fields(Speed):
        value = getattr(speed, f.name)
        inside = sorted(value.items()) if isinstance(value, Mapping) else [(f.name, v) for v in value] \
            if isinstance(value, tuple) else [(f.name, value)]
        out += [(n, v if isinstance(v, str) else float(np.max(v))) for n, v in inside]
    return tuple(out)


def choose_layout(model: Model, speed: Speed, work: Workload, *, precision: str, max_chips: int, server: int,
                  limit: float, only: Shape | None = None) -> Choice:
    """Return the layout of the highest rate per chip that keeps the promise at the medians (`_search`)."""
    key = (model, _signature(speed), work, precision, max_chips, server, limit, only)
    if key not in _CHOICES:
        if len(_CHOICES) >= constant("search_memory"):
            _CHOICES.clear()
        _CHOICES[key] = _search(model, speed, work, precision=precision, max_chips=max_chips, server=server,
                                limit=limit, only=only)
    return _CHOICES[key]


def _search(model: Model, speed: Speed, work: Workload, *, precision: str, max_chips: int, server: int, limit: float,
            only: Shape | None = None) -> Choice:
    """Return the layout of the highest rate per chip that keeps the promise at the medians.

    Parameters
    ----------
    speed : Speed
        Of one draw, at the medians.
    max_chips : int
        Chips of a replica, at most.
    server : int
        Chips of a server.
    limit : float
        Requests that the engine schedules on an attention group.
    """
    per_chip = speed.ranks_per_chip
    grid = _priced(model, speed, work, precision=precision, max_chips=max_chips, only=only)
    if grid.reason:
        return _nothing(precision, grid.reason)
    shapes, b, tpot, ttft = grid.shapes, grid.requests, grid.tpot_ms, grid.ttft_s
    ranks = np.array([s.ranks for s in shapes], dtype=float)[:, None]
    per = grid.rate / ranks * per_chip
    held = (b <= np.minimum(grid.room, limit)[:, None]) | (BATCHES[None, :] == 1)
    kept = held & (tpot <= work.tpot_ms) & (ttft <= work.ttft_s)
    reason = ""
    if kept.any():
        i, j = np.unravel_index(np.argmax(np.where(kept, per, -1.0)), per.shape)
        chips = int(np.min(np.where(kept.any(axis=1), ranks[:, 0], np.inf)) / per_chip)
        smallest = server * -(-chips // server)
    else:
        worst = np.where(held, np.maximum(tpot / work.tpot_ms, ttft / work.ttft_s), np.inf)
        i, j = np.unravel_index(np.argmin(worst), worst.shape)
        smallest = 0
        reason = (f"no layout on up to {max_chips} chips keeps TPOT {work.tpot_ms:g} ms and TTFT {work.ttft_s:g} s at "
                  f"the medians; the nearest takes {tpot[i, j]:.3g} ms and {ttft[i, j]:.3g} s")
    shape = shapes[int(i)]
    bound = _bound(model, speed, precision, shape, float(b[i, j]), work)
    front = _frontier(speed.chip, shapes, b, tpot, per, held & (ttft <= work.ttft_s), precision, per_chip)
    return Choice(shape=shape, precision=precision, batch=float(b[i, j]), reason=reason, bound_by=bound,
                  smallest=smallest, frontier=front)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Every layout that fits, at every batch, whatever was promised. Arrays (layout, batch)"""

    shapes: tuple[Shape, ...] = ()
    """Layouts."""
    room: Array
    """Requests of an attention group that fit in memory. (layout)"""
    requests: Array
    """Requests of an attention group."""
    tpot_ms: Array
    """Time per output token. [ms]"""
    ttft_s: Array
    """Time to first token. [s]"""
    rate: Array
    """Output tokens of a replica. [tokens/s]"""
    reason: str = ""
    """Why no layout fits; empty where one does."""


_GRIDS: dict[tuple[Any, ...], Grid] = {}
"""The last grids, oldest first: many promises are asked of one chip and one kind of request."""

GRIDS_KEPT = 64
"""Grids held in memory."""


def _priced(model: Model, speed: Speed, work: Workload, *, precision: str, max_chips: int, only: Shape | None) -> Grid:
    """Return the grid of a search; it is worked out once for all promises."""
    key = (model, _signature(speed), replace(work, ttft_s=1.0, tpot_ms=1.0), precision, max_chips, only)
    if key not in _GRIDS:
        if len(_GRIDS) >= GRIDS_KEPT:
            del _GRIDS[next(iter(_GRIDS))]
        _GRIDS[key] = _grid(model, speed, work, precision=precision, max_chips=max_chips, only=only)
    return _GRIDS[key]


def _grid(model: Model, speed: Speed, work: Workload, *, precision: str, max_chips: int, only: Shape | None) -> Grid:
    per_chip, none = speed.ranks_per_chip, np.zeros(0)
    empty = Grid(room=none, requests=none, tpot_ms=none, ttft_s=none, rate=none)
    if only is not None:
        reason = why_not(model, only, precision, speed)
        shapes, fell = ([], {reason: 1}) if reason else ([only], {})
    else:
        shapes, fell = legal(model, speed, precision, max_chips * per_chip, rings=rings_for(work.computed))
        shapes = [s for s in shapes if s.ranks % per_chip == 0]
    if not shapes:
        return replace(empty, reason="no legal layout: " + "; ".join(list(fell)[:2]))
    plan, kind = plans_of(shapes), PRECISION[precision]
    room = most_requests(model, plan, kind, usable=speed.memory_bytes, reserve=speed.reserve_bytes,
                         tokens=work.longest, chunk_tokens=min(work.computed, CHUNK_TOKENS))[:, 0, 0]
    if np.max(room) < 1:
        return replace(empty, reason=_too_large(model, speed, precision, shapes, work))
    keep = [i for i in range(len(shapes)) if room[i] >= 1]
    shapes, room = [shapes[i] for i in keep], room[keep]
    plan = plans_of(shapes)
    b = np.where(BATCHES[None, :, None] * 1.0 < np.asarray(plan.pp), np.asarray(plan.pp), BATCHES[None, :, None])
    t = timing(model, plan, speed, precision, work, b)
    return Grid(shapes=tuple(shapes), room=room, requests=b[:, :, 0], tpot_ms=t.tpot_s[:, :, 0] * 1e3,
                ttft_s=np.broadcast_to(t.ttft_s, t.tpot_s.shape)[:, :, 0], rate=t.rate[:, :, 0])


def _nothing(precision: str, reason: str) -> Choice:
    return Choice(shape=None, precision=precision, batch=0.0, reason=reason, bound_by="", smallest=0, frontier=())


def _too_large(model: Model, speed: Speed, precision: str, shapes: Sequence[Shape], work: Workload) -> str:
    """Return the sentence of a model that fits on none of the layouts, with the numbers of the nearest."""
    plan, kind = plans_of(shapes), PRECISION[precision]
    one = ledger(model, plan, kind, usable=speed.memory_bytes, reserve=speed.reserve_bytes, requests=1.0,
                 tokens=work.longest, chunk_tokens=min(work.computed, CHUNK_TOKENS))
    over = (one.used - one.usable).reshape(-1)
    i = int(np.argmin(over))
    s = shapes[i]
    weights = np.broadcast_to(one.weights, one.used.shape).reshape(-1)[i] / 1e9
    return (f"{model.name} in {precision} does not fit: on {s.ranks // speed.ranks_per_chip} chips a rank needs "
            f"{one.used.reshape(-1)[i] / 1e9:.1f} GB (weights {weights:.1f}, "
            f"reserve {float(np.median(speed.reserve_bytes)) / 1e9:.1f}) of {speed.memory_bytes / 1e9:.1f} GB; "
            "take more chips or a narrower precision")


def _bound(model: Model, speed: Speed, precision: str, shape: Shape, batch: float, work: Workload) -> str:
    """Return which cause takes most of a decode step at the medians."""
    plan = shape.plan
    kind = PRECISION[precision]
    ops, messages = step_ops(model, plan, Load(requests=max(batch / shape.pp, 1.0), new=1 + work.drafts,
                                               context=work.context, prefill=False), kind, tile=speed.tile,
                             domain=speed.domain)
    parts = step_time(ops, messages, plan, kind, speed, layers=model.layers, parts=True).parts_s
    return max(PARTS, key=lambda k: float(np.sum(parts[k])))


def _frontier(chip: str, shapes: Sequence[Shape], b: Array, tpot: Array, per: Array, held: Array, precision: str,
              per_chip: int) -> tuple[dict[str, Any], ...]:
    """Return the points that no other point beats in both TPOT and rate, fastest first."""
    order = np.argsort(np.where(held, tpot, np.inf), axis=None)
    rates = np.where(held, per, 0.0).reshape(-1)[order]
    before = np.concatenate([[0.0], np.maximum.accumulate(rates)[:-1]])
    best, out = 0.0, []
    for k in np.flatnonzero(rates > before):
        if rates[k] <= best * 1.02:
            continue
        best = rates[k]
        i, j = np.unravel_index(order[k], tpot.shape)
        out.append({"chip": chip, "tpot_ms": float(tpot[i, j]),
                    "output_tokens_per_s_per_chip": float(best),
                    "layout": str(layout_record(shapes[int(i)], float(b[i, j]), precision, per_chip))})
    return tuple(out)


def layout_record(shape: Shape, batch: float, precision: str, per_chip: int) -> Layout:
    """Return the record of a layout; `batch` counts requests of an attention group."""
    return Layout(chips=max(shape.ranks // per_chip, 1), tp=shape.tp, pp=shape.pp, dp=shape.dp, ep=shape.ep,
                  cp=shape.cp, batch=round(batch * shape.dp), weights=precision)


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What the chosen layout delivers, draw by draw. (draw)"""

    tpot_s: Array
    """Time per output token. [s]"""
    ttft_s: Array
    """Time to first token. [s]"""
    rate_per_chip: Array
    """Output tokens. [tokens/s]"""
    kept: Array
    """1 where the promise is kept."""
    requests: Array
    """Requests of an attention group."""


def deliver(model: Model, shape: Shape, speed: Speed, work: Workload, *, precision: str, limit: float) -> Delivery:
    """Return what a layout delivers when the operator takes the largest batch that keeps the promise in each draw.

    Where even one request a group breaks it, the numbers are those of one request, and `kept` is 0.
    """
    plan = shape.plan
    room = most_requests(model, plan, PRECISION[precision], usable=speed.memory_bytes, reserve=speed.reserve_bytes,
                         tokens=work.longest, chunk_tokens=min(work.computed, CHUNK_TOKENS))
    cap = np.minimum(np.maximum(room, 1.0), limit)
    grid = BATCHES[: max(int(np.searchsorted(BATCHES, limit, side="right")), 1)]
    grid = grid[grid >= shape.pp] if np.any(grid >= shape.pp) else np.array([float(shape.pp)])
    b = grid[:, None]
    t = timing(model, plan, speed, precision, work, b)
    shape_out = np.broadcast_shapes(np.shape(t.tpot_s), np.shape(cap))
    tpot, ttft = np.broadcast_to(t.tpot_s, shape_out), np.broadcast_to(t.ttft_s, shape_out)
    use = _largest(grid, [(tpot, work.tpot_ms * 1e-3), (ttft, work.ttft_s),
                          (np.broadcast_to(b, shape_out), cap)])
    tpot_at, ttft_at = _at(grid, tpot, use), _at(grid, ttft, use)
    requests = _value(grid, use)
    kept = (tpot_at <= work.tpot_ms * 1e-3 * (1 + 1e-9)) & (ttft_at <= work.ttft_s * (1 + 1e-9)) & (room >= 1.0)
    chips = shape.ranks / speed.ranks_per_chip
    return Delivery(tpot_s=tpot_at, ttft_s=ttft_at, rate_per_chip=requests * shape.dp / tpot_at / chips,
                    kept=kept.astype(float), requests=requests)


def _largest(grid: Array, limits: Sequence[tuple[Array, Numeric]]) -> Array:
    """Return the place on the grid, as a fractional index, of the largest batch within all limits. (draw)"""
    place = np.full(limits[0][0].shape[1:], len(grid) - 1.0)
    for values, limit in limits:
        ok = values <= limit
        count = np.sum(np.logical_and.accumulate(ok, axis=0), axis=0)
        low = np.clip(count - 1, 0, len(grid) - 1)
        high = np.minimum(low + 1, len(grid) - 1)
        v_low = np.take_along_axis(values, low[None, :], axis=0)[0]
        v_high = np.take_along_axis(values, high[None, :], axis=0)[0]
        step = np.where(v_high > v_low, (limit - v_low) / np.where(v_high > v_low, v_high - v_low, 1.0), 0.0)
        here = np.where(count == 0, 0.0, low + np.clip(step, 0.0, 1.0))
        place = np.minimum(place, np.where(count == len(grid), len(grid) - 1.0, here))
    return place


def _at(grid: Array, values: Array, place: Array) -> Array:
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, len(grid) - 1)
    v_low = np.take_along_axis(values, low[None, :], axis=0)[0]
    v_high = np.take_along_axis(values, high[None, :], axis=0)[0]
    out: Array = v_low + (place - low) * (v_high - v_low)
    return out


def _value(grid: Array, place: Array) -> Array:
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, len(grid) - 1)
    out: Array = grid[low] + (place - low) * (grid[high] - grid[low])
    return out


def service(given: Given, chips: Sequence[str], model: str | Model, *, input_tokens: float, output_tokens: float,
            ttft_s: float, tpot_ms: float, segment: str = "platform", precision: str | None = None,
            max_chips: int = 64, prefix_hit: float = 0.0, drafts: int = 0, accept: float = 1.0) -> Service:
    """Return what each chip delivers on a model under a promise of latency.

    Parameters
    ----------
    given : Given
        The run's table.
    chips : sequence of str
        Chip ids or classes with a stand-in.
    model : str or Model
        Shipped name, path of a config.json, or a model.
    input_tokens, output_tokens : float
        Lengths of prompt and answer. [tokens]
    ttft_s, tpot_ms : float
        The promise.
    segment : str
        Buyer class; it decides cost rows and software.
    precision : str, optional
        Of weights and arithmetic; by default the narrowest that the chip counts in.
    max_chips : int
        Chips of one replica, at most.
    prefix_hit : float
        Share of the prompt found in a cache. [1]
    drafts, accept : int, float
        Tokens drafted a step, and tokens a step yields on average, the real one included.

    Raises
    ------
    InputError
        If a length, promise or count is not above zero, or longer than the model's context.
    """
    shape_of = load(model) if isinstance(model, str) else model
    if isinstance(model, str):
        refuse_later(model, given.as_of)
    for name, value in (("input_tokens", input_tokens), ("output_tokens", output_tokens), ("ttft_s", ttft_s),
                        ("tpot_ms", tpot_ms), ("chips", max_chips)):
        require(np.isfinite(value) and value > 0, name, "be above 0", value)
    require(0 <= prefix_hit < 1, "prefix_hit", "lie in 0 to 1, without 1", prefix_hit)
    require(drafts >= 0 and 1 <= accept <= drafts + 1, "accept", f"lie between 1 and drafts + 1 = {drafts + 1}", accept)
    longest = input_tokens + output_tokens
    require(not shape_of.context or longest <= shape_of.context, "input + output",
            f"stay within the {shape_of.context} tokens of {shape_of.name}'s context", f"{longest:g}")
    work = Workload(input_tokens=input_tokens, output_tokens=output_tokens, ttft_s=ttft_s, tpot_ms=tpot_ms,
                    prefix_hit=prefix_hit, drafts=drafts, accept=accept)
    middle = at_middle(given)
    server, limit = int(given.middle("server.chips")), given.middle("engine.max_requests_per_rank")
    n = given.draws
    out: dict[str, list[Any]] = {k: [] for k in ("feasible", "layouts", "reasons", "rate", "total", "tpot", "ttft",
                                                  "hour", "usd", "bound", "grade", "smallest", "front")}
    for chip in chips:
        at_median, word = fitted_speed(middle, chip, shape_of, segment=segment, precision=precision)
        speed, _ = fitted_speed(given, chip, shape_of, segment=segment, precision=precision)
        choice = choose_layout(shape_of, at_median, work, precision=word, max_chips=max_chips, server=server,
                               limit=limit)
        hour = np.broadcast_to(usd_per_chip_h(given, chip, segment=segment), (n,))
        out["hour"].append(hour)
        out["grade"].append(grade(given.catalog, chip, shape_of.name))
        out["reasons"].append(choice.reason)
        out["bound"].append(choice.bound_by)
        out["smallest"].append(choice.smallest)
        out["front"].extend(choice.frontier)
        if choice.shape is None:
            out["layouts"].append(None)
            out["feasible"].append(0.0)
            for key in ("rate", "total"):
                out[key].append(np.zeros(n))
            for key in ("tpot", "ttft", "usd"):
                out[key].append(np.full(n, np.nan))
            continue
        done = _best_of(shape_of, _spare_shapes(shape_of, at_median, work, choice, max_chips=max_chips, server=server,
                                                limit=limit), speed, work, precision=word, limit=limit)
        rate = np.broadcast_to(done.rate_per_chip, (n,))
        out["layouts"].append(layout_record(choice.shape, choice.batch, word, speed.ranks_per_chip))
        out["feasible"].append(float(np.mean(np.broadcast_to(done.kept, (n,)))))
        out["rate"].append(rate)
        out["total"].append(rate * (1 + input_tokens / output_tokens))
        out["tpot"].append(np.broadcast_to(done.tpot_s, (n,)) * 1e3)
        out["ttft"].append(np.broadcast_to(done.ttft_s, (n,)) * 1e3)
        out["usd"].append(usd_per_million(rate, hour, given["serving.utilisation"]))
    return Service(
        chips=tuple(chips), model=shape_of.name, feasible=np.array(out["feasible"]), layouts=tuple(out["layouts"]),
        reasons=tuple(out["reasons"]), output_tokens_per_s_per_chip=np.stack(out["rate"]),
        total_tokens_per_s_per_chip=np.stack(out["total"]), tpot_ms=np.stack(out["tpot"]),
        ttft_ms=np.stack(out["ttft"]), usd_per_chip_h=np.stack(out["hour"]),
        usd_per_million_output_tokens=np.stack(out["usd"]), bound_by=tuple(out["bound"]), grade=tuple(out["grade"]),
        min_chips=tuple(out["smallest"]), frontier=tuple(out["front"]))


PACES = (0.5, 2.0)
"""Half and double the speed at the medians: worlds for which an operator has a layout at hand."""


def _spare_shapes(model: Model, speed: Speed, work: Workload, choice: Choice, *, max_chips: int, server: int,
                  limit: float) -> list[Shape]:
    """Return the layout at the medians, then those that would be best if the machine had another of `PACES`."""
    assert choice.shape is not None
    out = [choice.shape]
    for pace in PACES:
        other = replace(work, tpot_ms=work.tpot_ms * pace, ttft_s=work.ttft_s * pace)
        found = choose_layout(model, speed, other, precision=choice.precision, max_chips=max_chips, server=server,
                              limit=limit)
        if found.shape is not None and not found.reason and found.shape not in out:
            out.append(found.shape)
    return out


def _best_of(model: Model, shapes: Sequence[Shape], speed: Speed, work: Workload, *, precision: str,
             limit: float) -> Delivery:
    """Return what the best of a few layouts delivers in each draw: a kept promise before a high rate. (draw)"""
    done = [deliver(model, s, speed, work, precision=precision, limit=limit) for s in shapes]
    best = done[0]
    for other in done[1:]:
        better = (other.kept > best.kept) | ((other.kept == best.kept) & (other.rate_per_chip > best.rate_per_chip))
        best = Delivery(**{f.name: np.where(better, getattr(other, f.name), getattr(best, f.name))
                           for f in fields(Delivery)})
    return best


def refuse_if_nothing(result: Service) -> None:
    """Raise `InfeasibleError` with the reason if no chip has a layout that fits or keeps the promise."""
    if not any(r == "" for r in result.reasons):
        raise InfeasibleError("; ".join(f"{c}: {r}" for c, r in zip(result.chips, result.reasons, strict=True)))
