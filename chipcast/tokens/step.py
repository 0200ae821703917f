"""How long does one step take: the op list priced on a chip, with messages, launches and host.

FLOP and bytes come from `ops`; here they meet what a chip and its software reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chipcast.base.types import Numeric
from chipcast.chip.ops import op_time_s
from chipcast.cluster.collectives import quick_all_reduce
from chipcast.tokens.model import Precision
from chipcast.tokens.ops import Message, Op, Plan

PARTS = ("compute", "memory", "link", "overhead")
"""What can bind a step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """What one rank of a chip reaches with its software; arrays over draws or numbers."""

    chip: str
    """Chip id."""
    ranks_per_chip: int
    """Ranks of a chip as a buyer counts it: 2 for a package of two dies."""
    peak: Mapping[str, Numeric]
    """Dense peak of a rank by arithmetic (fp8, int8, bf16, fp4). [FLOP/s]"""
    memory_bytes_s: Numeric
    """Memory bandwidth of a rank. [B/s]"""
    memory_bytes: float
    """Memory of a rank. [B]"""
    reserve_bytes: Numeric
    """Memory kept for engine, graphs and buffers. [B]"""
    domain: int
    """Ranks inside the fast links."""
    gemm_narrow: Numeric
    """Share of the 8-bit peak that products reach. [1]"""
    gemm_wide: Numeric
    """Share of the 16-bit peak that products reach. [1]"""
    grouped: Numeric
    """Share of the peak that grouped expert products reach. [1]"""
    core_decode: Numeric
    """Share of the 16-bit peak that decode attention reaches. [1]"""
    core_prefill: Numeric
    """Share of the 16-bit peak that prefill attention reaches. [1]"""
    stream: Numeric
    """Share of the bandwidth that products reach with many rows. [1]"""
    stream_few: Numeric
    """Share of the bandwidth that products reach with one row. [1]"""
    core_stream: Numeric
    """Share of the bandwidth that decode attention reaches. [1]"""
    rows_half: float
    """Rows at which the way from few to many is half gone. [rows]"""
    tile: float
    """Rows of a tile of the matrix unit."""
    launch_s: Numeric
    """Time of a step per kernel launch, where it is not in `layer_s`. [s]"""
    layer_s: Numeric
    """Time of a layer beyond its operations and messages, launches included. [s]"""
    host_s: Numeric
    """Time of a step outside the layers. [s]"""
    request_s: Numeric
    """Time of a step per request of an attention group, outside the layers. [s]"""
    maturity: Numeric
    """Speed of operations and messages over that of the best stack; overhead has rows of its own. [1]"""
    even: Numeric
    """Share of the rate under evenly used experts that real routing keeps. [1]"""
    hidden: Numeric
    """Part of expert messages hidden behind compute. [1]"""
    alpha_s: tuple[Numeric, Numeric]
    """Time of a small message inside and beyond the fast domain. [s]"""
    link_bytes_s: tuple[Numeric, Numeric]
    """Reached rate of a rank inside and beyond the fast domain, one direction. [B/s]"""
    hidden_sums: Numeric = 0.0
    """Part of the sums over tensor-parallel ranks hidden behind compute; none in serving. [1]"""
    mesh: bool = False
    """Whether the fast domain is a full mesh, in which few ranks reach few links."""
    four_bit: Numeric = 1.0
    """Part of the share of the 8-bit peak that products keep in 4-bit arithmetic. [1]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Time of one step by cause."""

    total_s: Numeric
    """Time of the step. [s] (..., draw)"""
    parts_s: Mapping[str, Numeric]
    """Time by `PARTS`; the parts add to the total. [s]"""


def all_reduce_s(size: Numeric, ranks: Numeric, speed: Speed) -> Numeric:
    """Return the time of a sum over `ranks` of `size` bytes, over one or two levels. [s]

    Notes
    -----
    On each level the shorter of recursive doubling and of halving and doubling, as `cluster` has them; inside the fast
    links also all to all at once, alpha + (p-1) n/B, which engines do not use across a network. Between domains the
    slow level moves n over the ranks of a domain. Sources: Thakur, Rabenseifner, Gropp 2005.
    """
    p = np.asarray(ranks, dtype=float)
    inside = np.minimum(p, speed.domain)
    slow = (speed.alpha_s[1], speed.link_bytes_s[1])
    far = quick_all_reduce(np.maximum(p / speed.domain, 1.0), size / inside, 1.0, slow, slow)
    return _at_once_or_quick(size, inside, (speed.alpha_s[0], _reach(speed, inside))) \
        + np.where(np.asarray(size) > 0, far, 0.0)


def _at_once_or_quick(size: Numeric, p: Numeric, level: tuple[Numeric, Numeric]) -> Numeric:
    """Return the time of a sum inside the fast links. [s]"""
    here = (p > 1) & (np.asarray(size) > 0)
    at_once = level[0] + (p - 1) * size / level[1]
    return np.where(here, np.minimum(quick_all_reduce(p, size, p, level, level), at_once), 0.0)


def _reach(speed: Speed, ranks: Numeric) -> Numeric:
    if not speed.mesh or speed.domain <= 1:
        return speed.link_bytes_s[0]
    return speed.link_bytes_s[0] * np.clip((ranks - 1) / (speed.domain - 1), 1 / (speed.domain - 1), 1.0)


def experts_s(message: Message, ep: Numeric, speed: Speed) -> Numeric:
    """Return the time of one exchange of expert rows: the slower of both levels, plus a latency. [s]"""
    here = np.asarray(message.bytes) > 0
    beyond = np.asarray(message.slow_bytes) > 0
    fast = message.bytes / _reach(speed, np.minimum(np.asarray(ep, dtype=float), speed.domain))
    slow = message.slow_bytes / speed.link_bytes_s[1]
    alpha = np.where(beyond, speed.alpha_s[1], speed.alpha_s[0])
    return np.where(here, np.maximum(fast, slow) + alpha, 0.0)


def message_s(message: Message, plan: Plan, speed: Speed) -> Numeric:
    """Return the time of one message. [s]"""
    if message.kind == "all_reduce":
        return all_reduce_s(message.bytes, plan.tp, speed)
    if message.kind == "experts":
        return experts_s(message, plan.ep, speed)
    if message.kind in ("ring", "merge"):
        return context_s(message, plan, speed)
    far = np.asarray(plan.tp * plan.dp * plan.pp) > speed.domain
    alpha = np.where(far, speed.alpha_s[1], speed.alpha_s[0])
    rate = np.where(far, speed.link_bytes_s[1], speed.link_bytes_s[0])
    return np.where(np.asarray(message.bytes) > 0, message.bytes / rate + alpha, 0.0)


def context_s(message: Message, plan: Plan, speed: Speed) -> Numeric:
    """Return the time in which the ranks of a request pass keys round their ring, or merge their sums. [s]"""
    cp = np.asarray(plan.cp, dtype=float)
    far = cp * plan.tp > speed.domain
    alpha = np.where(far, speed.alpha_s[1], speed.alpha_s[0])
    rate = np.where(far, speed.link_bytes_s[1], speed.link_bytes_s[0])
    if message.kind == "merge":
        return _at_once_or_quick(message.bytes, cp, (alpha, rate))
    return np.where(np.asarray(message.bytes) > 0, message.bytes / rate + (cp - 1) * alpha, 0.0)


def traffic_s(messages: Sequence[Message], plan: Plan, speed: Speed) -> tuple[Numeric, Numeric]:
    """Return the time of messages that a step waits for, and of those that may hide behind work. [s]"""
    link: Numeric = 0.0
    exchange: Numeric = 0.0
    for message in messages:
        if not np.any(message.bytes):
            continue
        t = message.layers * message_s(message, plan, speed)
        if message.kind in ("experts", "ring"):
            exchange = exchange + t
        else:
            link = link + t
    return link, exchange


def efficiency(op: Op, speed: Speed, precision: Precision) -> tuple[Numeric, Numeric]:
    """Return what an operation reaches: arithmetic and bytes per second."""
    wide = op.wide or op.kind in ("core_decode", "core_prefill", "head")
    own = (precision if op.kind == "grouped" else precision.outside).arithmetic
    arithmetic = "bf16" if wide or own not in speed.peak else own
    peak = speed.peak[arithmetic]
    share = {"gemm": speed.gemm_wide if arithmetic == "bf16" else speed.gemm_narrow, "head": speed.gemm_wide,
             "grouped": speed.grouped, "core_decode": speed.core_decode, "core_prefill": speed.core_prefill,
             "small": speed.gemm_wide}[op.kind]
    if arithmetic == "fp4":
        share = share * speed.four_bit
    if op.kind in ("core_decode", "core_prefill"):
        return peak * share, speed.memory_bytes_s * speed.core_stream
    many = op.rows / (op.rows + speed.rows_half)
    return peak * share, speed.memory_bytes_s * (speed.stream_few + (speed.stream - speed.stream_few) * many)


def step_time(ops: Sequence[Op], messages: Sequence[Message], plan: Plan, precision: Precision, speed: Speed, *,
              layers: int, replica_requests: Numeric = 0.0, parts: bool = False) -> Step:
    """Return the time of one step of one micro-batch through all stages.

    Parameters
    ----------
    ops, messages : sequences
        From `step_ops`.
    plan : Plan
        How the model lies over ranks.
    precision : Precision
        Of weights and arithmetic.
    speed : Speed
        What a rank reaches.
    layers : int
        Layers of the model.
    replica_requests : numeric
        Requests of an attention group, for the host's work.
    parts : bool
        Whether the time is also told apart by cause.
    """
    compute: Numeric = 0.0
    launches: Numeric = 0.0
    by: dict[str, Numeric] = dict.fromkeys(PARTS, 0.0)
    skewed = np.where(np.asarray(plan.ep) > 1, 1 / speed.even, 1.0)
    for op in ops:
        flop_s, bytes_s = efficiency(op, speed, precision)
        t = op.layers * op_time_s(op.flop, op.moved, flop_per_s=flop_s, bytes_per_s=bytes_s)
        if op.kind == "grouped":
            t = t * skewed
        compute = compute + t
        launches = launches + op.layers * op.launches
        if parts:
            arithmetic = np.asarray(op.flop / flop_s) >= np.asarray(op.moved / bytes_s)
            by["compute"] = by["compute"] + np.where(arithmetic, t, 0.0)
            by["memory"] = by["memory"] + np.where(arithmetic, 0.0, t)
    link, exchange = traffic_s(messages, plan, speed)
    exposed = exchange - speed.hidden * np.minimum(exchange, compute)
    overhead = launches * speed.launch_s + layers * speed.layer_s + speed.host_s + speed.request_s * replica_requests
    total = (compute + link + exposed) / speed.maturity + overhead
    out = {}
    if parts:
        out = {"compute": by["compute"] / speed.maturity, "memory": by["memory"] / speed.maturity,
               "link": (link + exposed) / speed.maturity, "overhead": overhead}
    return Step(total_s=total, parts_s=out)
