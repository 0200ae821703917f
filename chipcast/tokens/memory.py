"""Does it fit? The ledger of one rank's memory, part by part, and the requests that the rest holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chipcast.base.types import Numeric
from chipcast.tokens.model import Model, Precision, held_tokens
from chipcast.tokens.ops import Plan

MEMORY_PARTS = ("weights", "cache", "activations", "reserve")
"""Parts of the ledger; they add to what is used."""

BLOCK_TOKENS = 16
"""Tokens of a block of cache; requests hold whole blocks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """Memory of one rank. [B]; numbers or arrays over plans."""

    weights: Numeric
    """Weights of the fullest stage."""
    cache: Numeric
    """Keys, values and states of the requests held."""
    activations: Numeric
    """Working memory of the largest chunk."""
    reserve: Numeric
    """Engine, graphs, communication buffers."""
    usable: Numeric
    """Memory that software sees."""

    @property
    def used(self) -> Numeric:
        """Sum of the parts."""
        return self.weights + self.cache + self.activations + self.reserve

    @property
    def fits(self) -> Numeric:
        """Whether the parts stay within what there is."""
        return self.used <= self.usable

    def parts(self) -> dict[str, Any]:
        """Return the parts by name."""
        return {name: getattr(self, name) for name in MEMORY_PARTS}


def weight_bytes(model: Model, plan: Plan, precision: Precision) -> Numeric:
    """Return the weights that one rank holds; the largest of the stages, which are cut by layers. [B]

    Query and key-value down-projections of latent attention, routers and norms are on every rank of a group; a
    key-value head is copied where there are more ranks than heads; experts are dealt out over ep and cut by etp.
    """
    tp, etp, ep = plan.tp, plan.etp, plan.ep
    hidden, expert, w = model.hidden, precision.bytes_per_weight, precision.outside.bytes_per_weight
    total: Numeric = 0.0
    for g in model.groups:
        a, x = g.attention, g.ffn
        layer: Numeric = 2.0 * (a.other_params + g.norm_params + x.router_params)
        if a.kind == "mla":
            down = hidden * (a.q_rank + a.kv_rank + a.rope_dim)
            layer = layer + w * (down + (a.matrix_params - down) / tp)
        elif a.kind == "gqa":
            kv = hidden * a.kv_heads * (a.key_dim + a.value_dim)
            layer = layer + w * ((a.matrix_params - kv) / tp + kv / np.minimum(tp, a.kv_heads))
        else:
            layer = layer + w * a.matrix_params / tp
        if x.kind == "dense":
            layer = layer + w * x.matrices * hidden * x.width / tp + 2.0 * x.other_params / tp
        elif x.kind == "moe":
            experts = x.experts * x.expert_params(hidden) / (ep * etp)
            layer = layer + expert * experts + w * x.matrices * hidden * x.shared_width / tp
            layer = layer + 2.0 * x.other_params / ep
        total = total + g.count * layer
    ends = 2.0 * model.embedding_params / tp
    both = ends + 2.0 * model.head_params / tp
    stages = np.asarray(plan.pp, dtype=float)
    fullest = np.ceil(model.layers / stages) / model.layers
    return (total * fullest + np.where(stages > 1, ends, both))[()]


def cache_bytes(model: Model, plan: Plan, requests: Numeric, tokens: Numeric, element_bytes: Numeric) -> Numeric:
    """Return the cache of one rank: latent vectors are on every rank of tp, key heads are cut by tp, tokens by cp. [B]

    Parameters
    ----------
    requests : numeric
        Requests of one attention group.
    tokens : numeric
        Tokens that each of them has cached.
    element_bytes : numeric
        Bytes of a cached element.
    """
    blocks = np.ceil(np.asarray(tokens, dtype=float) / BLOCK_TOKENS) * BLOCK_TOKENS
    total: Numeric = 0.0
    for g in model.groups:
        a = g.attention
        held = held_tokens(a, blocks)
        if a.kind == "gqa":
            share = np.maximum(1, a.kv_heads / plan.tp) / a.kv_heads
            each = a.kv_heads * (a.key_dim + a.value_dim) * share * element_bytes * held + a.index_dim * held
        elif a.kind == "mla":
            each = (a.kv_rank + a.rope_dim) * element_bytes * held + a.index_dim * held
        else:
            each = 4.0 * a.state / plan.tp
        total = total + g.count * each
    return (requests * total / (np.asarray(plan.pp, dtype=float) * plan.cp))[()]


def activation_bytes(model: Model, plan: Plan, chunk_tokens: Numeric) -> Numeric:
    """Return the working memory of a chunk: some rows of the widest layer and the logits of one block. [B]"""
    widest = max([g.ffn.width * (g.ffn.top_k or 1) + g.ffn.shared_width for g in model.groups if g.ffn.kind != "none"]
                 or [model.hidden])
    return chunk_tokens / plan.cp * 2.0 * (4 * model.hidden + 2 * widest / plan.tp)


def ledger(model: Model, plan: Plan, precision: Precision, *, usable: Numeric, reserve: Numeric, requests: Numeric,
           tokens: Numeric, chunk_tokens: Numeric = 0.0, element_bytes: Numeric | None = None) -> Ledger:
    """Return the memory ledger of a rank that holds `requests` of `tokens` each per attention group."""
    element = precision.cache_bytes if element_bytes is None else element_bytes
    return Ledger(weights=weight_bytes(model, plan, precision),
                  cache=cache_bytes(model, plan, requests, tokens, element),
                  activations=activation_bytes(model, plan, chunk_tokens), reserve=reserve, usable=usable)


def most_requests(model: Model, plan: Plan, precision: Precision, *, usable: Numeric, reserve: Numeric,
                  tokens: Numeric, chunk_tokens: Numeric = 0.0, element_bytes: Numeric | None = None) -> Numeric:
    """Return how many requests of `tokens` each an attention group can hold; below 1 where none fits. [requests]"""
    empty = ledger(model, plan, precision, usable=usable, reserve=reserve, requests=0.0, tokens=tokens,
                   chunk_tokens=chunk_tokens, element_bytes=element_bytes)
    element = precision.cache_bytes if element_bytes is None else element_bytes
    one = cache_bytes(model, plan, 1.0, tokens, element)
    return (usable - empty.used) / np.maximum(one, 1.0)
