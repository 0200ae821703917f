"""What does one step of a model ask of one rank: arithmetic, bytes, launches and messages, op by op?

No efficiency enters here. Every array broadcasts over plans; the same list prices prefill, decode and, three
times over, training. Sources: shapes of 1706.03762, 2305.13245, 2405.04434; Megatron sharding 1909.08053.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from chipcast.base.types import Numeric
from chipcast.chip.ops import padded
from chipcast.tokens.model import Attention, Ffn, LayerGroup, Model, Precision, held_tokens
from chipcast.tokens.routing import by_count, distinct_destinations, slowest_rank, touched_experts

KINDS = ("gemm", "grouped", "core_decode", "core_prefill", "small", "head")
"""Classes of operations that share an efficiency."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How a model lies over ranks; every field is a number or an array over plans."""

    tp: Numeric
    """Ranks that share an attention group's tensors."""
    dp: Numeric = 1
    """Attention groups that hold requests of their own."""
    pp: Numeric = 1
    """Pipeline stages."""
    ep: Numeric = 1
    """Ranks over which the experts are dealt out."""
    etp: Numeric = 1
    """Ranks that share one expert's tensors; ep x etp = tp x dp x cp."""
    cp: Numeric = 1
    """Ranks that share a request's tokens: each has its part of the prompt and of the cache."""

    @property
    def ranks(self) -> Numeric:
        """Ranks of a replica."""
        return self.tp * self.dp * self.pp * self.cp


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What one attention group works on in a step; numbers or arrays over plans."""

    requests: Numeric
    """Requests of the group (of a micro-batch where there are stages)."""
    new: Numeric
    """New tokens of each request: 1 plus drafts in decode, the chunk in prefill."""
    context: Numeric
    """Tokens each request has cached before the step."""
    prefill: bool
    """Whether new tokens see each other causally and latent attention is expanded."""
    all_logits: bool = False
    """Whether the head works on every token, as in training and in checking drafts."""
    stored: Numeric = 0
    """Bytes of a cached element; 0 takes the precision's own."""


class Op(NamedTuple):
    """One operation of a kind of layer on one rank."""

    name: str
    kind: str
    """Entry of `KINDS`."""
    flop: Numeric
    moved: Numeric
    """Bytes read and written."""
    rows: Numeric
    """Rows of the activation, which decide how well small products stream."""
    layers: Numeric
    """How often it occurs in a step, over all stages."""
    wide: bool
    """Whether it counts in 16 bits whatever the weights are."""
    launches: float
    """Kernel launches."""


class Message(NamedTuple):
    """One exchange of a kind of layer."""

    name: str
    kind: str
    """all_reduce (inside tp), experts (all-to-all over ep), stage (pipeline)."""
    bytes: Numeric
    """Bytes of a rank; for experts those to other ranks, with copies per rank."""
    slow_bytes: Numeric
    """Bytes that leave the fast domain."""
    layers: Numeric
    """How often it occurs in a step."""


def step_ops(model: Model, plan: Plan, load: Load, precision: Precision, *, tile: Numeric = 64, domain: Numeric = 8,
             ) -> tuple[tuple[Op, ...], tuple[Message, ...]]:
    """Return the operations and messages of one step on one rank.

    Parameters
    ----------
    model : Model
        Shape.
    plan : Plan
        How it lies over ranks.
    load : Load
        Requests and tokens of one attention group.
    precision : Precision
        Of weights and arithmetic.
    tile : numeric
        Rows of a tile of the matrix unit.
    domain : numeric
        Ranks inside the fast links.
    """
    ops: list[Op] = []
    messages: list[Message] = []
    whole, ring = (plan, load), np.any(np.asarray(plan.cp) > 1)
    if ring and load.prefill:
        plan, load = replace(plan, dp=plan.dp * plan.cp, cp=1), replace(load, new=load.new / plan.cp)
    for g in model.groups:
        if g.attention.kind != "none":
            ops += attention_ops(model, g.attention, *whole, precision, tile, g.count)
            if ring:
                messages.append(context_message(g.attention, *whole, precision, g.count))
        if g.ffn.kind == "dense":
            ops += dense_ops(model, g.ffn, plan, load, precision, tile, g.count)
        elif g.ffn.kind == "moe":
            ops += expert_ops(model, g.ffn, plan, load, precision, tile, g.count)
            messages += expert_messages(model, g.ffn, plan, load, precision, domain, g.count)
        messages += tensor_messages(model, g, plan, load)
    m = load.requests * load.new
    last = m if load.all_logits else load.requests
    share = model.vocab * model.hidden / plan.tp
    ops.append(Op("head", "head", 2 * padded(last, tile) * share, 2 * share + 4 * last * model.vocab / plan.tp, last,
                  1, True, 2.0))
    stage = np.where(np.asarray(plan.pp) > 1, 2.0 * m * model.hidden, 0.0)[()]
    messages.append(Message("stage border", "stage", stage, stage, np.asarray(plan.pp - 1.0)[()]))
    return tuple(ops), tuple(messages)


def _gemm(name: str, m: Numeric, fan_in: Numeric, fan_out: Numeric, precision: Precision, tile: Numeric,
          layers: Numeric, *, launches: float = 1.0) -> Op:
    weights = fan_in * fan_out
    moved = weights * precision.bytes_per_weight + m * (fan_in * precision.activation_bytes + 2 * fan_out)
    return Op(name, "gemm", 2 * padded(m, tile) * weights, moved, m, layers, False, launches)


def attention_ops(model: Model, a: Attention, plan: Plan, load: Load, precision: Precision, tile: Numeric,
                  layers: Numeric) -> list[Op]:
    """Return projections, core and small operations of one layer's attention."""
    hidden, m, tp = model.hidden, load.requests * load.new / (plan.cp if load.prefill else 1), plan.tp
    heads = a.heads / tp
    stored, precision = load.stored if np.any(load.stored) else precision.cache_bytes, precision.outside
    part = 1 if load.prefill else plan.cp
    keys, read = _keys_seen(a, load) / part, _keys_read(a, load) / part
    out: list[Op] = []
    if a.kind == "gqa":
        kv = np.maximum(1, a.kv_heads / tp)
        extra = max(a.matrix_params - hidden * (a.heads * a.key_dim + a.kv_heads * (a.key_dim + a.value_dim))
                    - a.heads * a.value_dim * hidden, 0) / hidden
        out.append(_gemm("qkv", m, hidden, heads * a.key_dim + kv * (a.key_dim + a.value_dim) + extra / tp,
                         precision, tile, layers))
        flop = 2 * m * heads * keys * (a.key_dim + a.value_dim)
        held = read * kv * (a.key_dim + a.value_dim) * stored
        moved = load.requests * held + 2 * m * heads * (a.key_dim + a.value_dim)
        out.append(Op("core", _core(load), flop, moved, m, layers, True, 2.0))
        out.append(_gemm("o", m, heads * a.value_dim, hidden, precision, tile, layers))
    elif a.kind == "mla":
        down = a.q_rank + a.kv_rank + a.rope_dim if a.q_rank else a.kv_rank + a.rope_dim
        out.append(_gemm("q_a, kv_a", m, hidden, down, precision, tile, layers))
        out.append(_gemm("q_b", m, a.q_rank or hidden, heads * (a.key_dim + a.rope_dim), precision, tile, layers))
        kv_rows = load.requests * (load.new + load.context) if load.prefill else m
        name = "kv_b, expanded" if load.prefill else "kv_b, absorbed"
        out.append(_gemm(name, kv_rows, a.kv_rank, heads * (a.key_dim + a.value_dim), precision, tile, layers,
                         launches=2.0))
        if load.prefill:
            flop = 2 * m * heads * keys * (a.key_dim + a.rope_dim + a.value_dim)
            if a.index_top:
                flop = np.minimum(2 * m * heads * keys * (2 * a.kv_rank + a.rope_dim), 2 * m * heads * _all_seen(load)
                                  * (a.key_dim + a.rope_dim + a.value_dim))
            moved = 2 * (kv_rows + m) * heads * (a.key_dim + a.rope_dim + a.value_dim)
        else:
            flop = 2 * m * heads * keys * (2 * a.kv_rank + a.rope_dim)
            moved = (load.requests * read * (a.kv_rank + a.rope_dim) * stored
                     + 2 * m * heads * (2 * a.kv_rank + a.rope_dim))
        out.append(Op("core", _core(load), flop, moved, m, layers, True, 2.0))
        out.append(_gemm("o", m, heads * a.value_dim, hidden, precision, tile, layers))
    elif a.kind == "linear":
        out.append(_gemm("linear in and out", m, hidden, a.matrix_params / hidden / tp, precision, tile, layers,
                         launches=2.0))
        state = a.state / tp
        out.append(Op("state", _core(load), 8 * m * state, load.requests * 8 * state, m, layers, True, 3.0))
    if a.index_heads:
        seen = _all_seen(load)
        out.append(Op("index", _core(load), 2 * m * a.index_heads * a.index_dim * seen,
                      load.requests * (load.context + load.new) * a.index_dim, m, layers, False, 2.0))
    out.append(Op("norms, rope, cache", "small", 0.0, 10 * m * hidden * 2.0, m, layers, True, 2.0))
    return out


def context_message(a: Attention, plan: Plan, load: Load, precision: Precision, layers: Numeric) -> Message:
    """Return what the ranks of a request pass on: in prefill the cache goes round the ring, in decode sums are merged.

    Sources: ring attention 2310.01889.
    """
    cp = np.asarray(plan.cp, dtype=float)
    stored = load.stored if np.any(load.stored) else precision.cache_bytes
    if load.prefill:
        each = a.kv_rank + a.rope_dim if a.kind == "mla" else np.maximum(1, a.kv_heads / plan.tp) * (a.key_dim
                                                                                                     + a.value_dim)
        size = (cp - 1) / cp * load.requests * _keys_read(a, load) * each * stored if a.kind != "linear" else 0.0 * cp
        return Message("keys round the ring", "ring", size[()], size[()], layers)
    width = a.kv_rank if a.kind == "mla" else a.value_dim
    size = np.where(cp > 1, 4.0 * load.requests * load.new * a.heads / plan.tp * (width + 2), 0.0)
    return Message("merge of partial attention", "merge", size[()], size[()], layers)


def _core(load: Load) -> str:
    return "core_prefill" if load.prefill else "core_decode"


def _all_seen(load: Load) -> Numeric:
    """Return keys that a new token sees on average: all cached ones and half of the new ones."""
    return load.context + (load.new + 1) / 2


def _keys_seen(a: Attention, load: Load) -> Numeric:
    """Return keys that a new token's attention works on, window and sparse index counted."""
    keys = held_tokens(a, _all_seen(load))
    if a.index_top:
        keys = np.minimum(keys, a.index_top)
    return keys


def _keys_read(a: Attention, load: Load) -> Numeric:
    """Return keys of a request that are read from the cache, once for all of its new tokens."""
    keys = load.context + load.new
    if a.window:
        keys = np.minimum(held_tokens(a, keys) + load.new, keys)
    if a.index_top and not load.prefill:
        keys = np.minimum(keys, a.index_top * load.new)
    return keys


def dense_ops(model: Model, x: Ffn, plan: Plan, load: Load, precision: Precision, tile: Numeric,
              layers: Numeric) -> list[Op]:
    """Return the products of a dense network."""
    m, precision = load.requests * load.new, precision.outside
    width = x.width / plan.tp
    return [_gemm("up", m, model.hidden, (x.matrices - 1) * width, precision, tile, layers),
            _gemm("down", m, width, model.hidden, precision, tile, layers),
            Op("activation", "small", 0.0, 2.0 * m * 3 * width, m, layers, True, 1.0)]


def expert_ops(model: Model, x: Ffn, plan: Plan, load: Load, precision: Precision, tile: Numeric,
               layers: Numeric) -> list[Op]:
    """Return router, routed and shared experts; rows are those of the fullest rank under uniform routing."""
    hidden, m = model.hidden, load.requests * load.new
    tokens = m * plan.dp
    inner = x.inner or hidden
    width = x.width / plan.etp
    on_rank = x.experts / plan.ep
    touched = touched_experts(on_rank, tokens, experts=x.experts, top_k=x.top_k)
    mean_rows = tokens * x.top_k / plan.ep
    rows = mean_rows * slowest_rank(mean_rows, plan.ep, experts=x.experts, top_k=x.top_k)
    each = rows / np.maximum(touched, 1e-9)
    weights = x.matrices * inner * width
    flop = 2 * weights * touched * padded(each, tile)
    moved = touched * weights * precision.bytes_per_weight + rows * (inner * (precision.activation_bytes + 2)
                                                                    + width * x.matrices * 2)
    own = m / np.where(np.asarray(plan.dp) > 1, plan.tp, 1)[()]
    out = [_gemm("router", own, hidden, x.experts, _WIDE, tile, layers),
           Op("routed experts", "grouped", flop, moved, rows, layers, False, 4.0)]
    if x.shared_width:
        own_width = x.shared_width / plan.tp
        out.append(_gemm("shared experts", m, hidden, x.matrices * own_width, precision.outside, tile, layers,
                         launches=2.0))
    if x.inner and x.inner != hidden:
        out.append(_gemm("around experts", own, hidden, 2 * x.inner, precision.outside, tile, layers, launches=2.0))
    return out


_WIDE = Precision(bytes_per_weight=2.0, arithmetic="bf16", activation_bytes=2.0, cache_bytes=2.0)


def tensor_messages(model: Model, g: LayerGroup, plan: Plan, load: Load) -> list[Message]:
    """Return the sums over the ranks of a tensor-parallel group: one after attention, one after the network."""
    n = np.where(np.asarray(plan.tp) > 1, load.requests * load.new * model.hidden * 2.0, 0.0)[()]
    out = []
    if g.attention.kind != "none":
        out.append(Message("sum after attention", "all_reduce", n, n, g.count))
    if g.ffn.kind != "none":
        out.append(Message("sum after network", "all_reduce", n, n, g.count))
    return out


def expert_messages(model: Model, x: Ffn, plan: Plan, load: Load, precision: Precision, domain: Numeric,
                    layers: Numeric) -> list[Message]:
    """Return dispatch and combine of the experts where attention groups hold different tokens.

    Notes
    -----
    A rank sends each of its rows once to every other rank (fast) or node (slow) that holds one of the token's
    experts; rows go out at the width of activations with their scales and come back in 16 bits.
    """
    dp, ep, tp = (np.asarray(v, dtype=float) for v in (plan.dp, plan.ep, plan.tp))
    m = load.requests * load.new / tp
    limit = model.group_limit
    ranks = _distinct(ep, x, limit)
    nodes = np.maximum(np.ceil(ep * np.asarray(plan.etp) / domain), 1.0)
    remote = _distinct(nodes, x, limit) * (nodes - 1) / nodes
    fast = ranks * (ep - 1) / np.maximum(ep, 1)
    row_out = model.hidden * precision.activation_bytes + (4 * model.hidden / 128 if precision.activation_bytes < 2
                                                           else 0.0)
    here = np.where((dp > 1) & (ep > 1), 1.0, 0.0)
    out = []
    for name, row in (("dispatch", row_out), ("combine", 2.0 * model.hidden)):
        out.append(Message(name, "experts", (here * m * fast * row)[()], (here * m * remote * row)[()], layers))
    gather = np.where((dp > 1) & (ep == 1), 1.0, 0.0) * load.requests * load.new * (dp - 1) * model.hidden
    out.append(Message("rows for shared tensors", "all_reduce", (gather * 2.0)[()], (gather * 2.0)[()], layers))
    return out


def _distinct(groups: Numeric, x: Ffn, limit: tuple[int, int]) -> Numeric:
    def lie(count: int) -> float:
        if count > x.experts:
            return float(min(count, x.top_k))
        return distinct_destinations(count, x.experts, x.top_k, limit=limit)

    return by_count(lie, groups)
