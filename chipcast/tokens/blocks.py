"""Attention and networks of a layer from the usual fields of a configuration."""

from __future__ import annotations

from collections import Counter

from chipcast.base.errors import InputError
from chipcast.tokens.fields import Fields
from chipcast.tokens.model import Attention, Ffn, LayerGroup


def gqa(f: Fields, *, window: int = 0, gate: bool = False, bias: int | None = None, norm: int | None = None,
        sinks: bool = False, kv_heads: int = 0, heads: int = 0, key: int = 0, value: int = 0) -> Attention:
    """Return grouped-query attention from the usual fields."""
    hidden = f.whole("hidden_size")
    n = heads or f.whole("num_attention_heads")
    kv = kv_heads or f.whole("num_key_value_heads", "num_attention_heads")
    d = key or f.whole("head_dim", "attention_head_dim", default=0) or hidden // n
    if not key and not f.tree.get("head_dim") and not f.tree.get("attention_head_dim") and hidden % n:
        raise InputError(f"{f.label}: num_attention_heads {n} does not divide hidden_size {hidden} and no head_dim is "
                         "given")
    v = value or d
    if n % kv:
        raise InputError(f"{f.label}: num_attention_heads {n} is no multiple of num_key_value_heads {kv}")
    matrix = hidden * (n * d * (2 if gate else 1) + kv * (d + v)) + n * v * hidden
    with_bias = f.flag("attention_bias") or f.flag("qkv_bias")
    biases = ((n * d + kv * (d + v)) if with_bias else 0) if bias is None else bias
    qk = 2 * d if f.flag("use_qk_norm") else 0
    return Attention(kind="gqa", heads=n, kv_heads=kv, key_dim=d, value_dim=v, window=window, matrix_params=matrix,
                     other_params=biases + (qk if norm is None else norm) + (n if sinks else 0))


def mla(f: Fields, *, index: bool = False, gate: bool = False) -> Attention:
    """Return latent attention from the usual fields."""
    hidden, n = f.whole("hidden_size"), f.whole("num_attention_heads")
    rank, rope = f.whole("kv_lora_rank"), f.whole("qk_rope_head_dim")
    nope, v, q = f.whole("qk_nope_head_dim"), f.whole("v_head_dim"), f.whole("q_lora_rank", default=0)
    query = hidden * q + q * n * (nope + rope) if q else hidden * n * (nope + rope)
    matrix = query + hidden * (rank + rope) + rank * n * (nope + v) + n * v * hidden + (hidden * n * v if gate else 0)
    heads = f.whole("index_n_heads", default=0) if index else 0
    dim = f.whole("index_head_dim", default=0) if index else 0
    other = q + rank
    if heads:
        matrix += q * heads * dim + hidden * dim + hidden * heads
        other += 2 * dim
    return Attention(kind="mla", heads=n, key_dim=nope, value_dim=v, q_rank=q, kv_rank=rank, rope_dim=rope,
                     index_heads=heads, index_dim=dim, index_top=f.whole("index_topk", default=0) if heads else 0,
                     matrix_params=matrix, other_params=other)


def moe(f: Fields, *, width: int = 0, shared: int | None = None, route_bias: bool = False, matrices: int = 3) -> Ffn:
    """Return a network of routed experts from the usual fields."""
    hidden = f.whole("hidden_size")
    width = width or f.whole("moe_intermediate_size", "intermediate_size")
    experts = f.whole("n_routed_experts", "num_experts", "num_local_experts")
    top = f.whole("num_experts_per_tok", "experts_per_token")
    if top > experts:
        raise InputError(f"{f.label}: num_experts_per_tok {top} is more than the {experts} experts")
    if shared is None:
        shared = f.whole("shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", default=0) \
            or f.whole("n_shared_experts", "num_shared_experts", default=0) * width
    return Ffn(kind="moe", width=width, experts=experts, top_k=top, shared_width=shared, matrices=matrices,
               router_params=hidden * experts + (experts if route_bias else 0))


def dense(f: Fields, *, width: int = 0, matrices: int = 3) -> Ffn:
    """Return a dense network from the usual fields."""
    return Ffn(kind="dense", width=width or f.whole("intermediate_size"), matrices=matrices)


def grouped(layers: list[tuple[Attention, Ffn]], hidden: int, norms: int = 2) -> tuple[LayerGroup, ...]:
    """Return layers gathered by kind, in order of first appearance."""
    counts = Counter(layers)
    return tuple(LayerGroup(count=n, attention=a, ffn=x, norm_params=norms * hidden) for (a, x), n in counts.items())


Read = tuple[tuple[LayerGroup, ...], tuple[str, ...]]


def near_from(f: Fields, every: int = 0) -> list[bool]:
    """Return for each layer whether its attention slides, by its list of kinds or its pattern of sliding and full.

    `every` is used where neither is given: each so-manieth layer sees all, 0 for all of them.
    """
    count, kinds = f.whole("num_hidden_layers"), f.tree.get("layer_types")
    pattern = f.tree.get("sliding_window_pattern")
    if isinstance(kinds, list):
        other = sorted({str(k) for k in kinds} - {"sliding_attention", "full_attention"})
        if other:
            raise InputError(f"{f.label}: layer_types names {', '.join(other[:3])}, which is not read in this "
                             "architecture")
        return ["sliding" in str(k) for k in kinds][:count]
    if isinstance(pattern, str) and set(pattern.upper()) <= {"L", "G"} and pattern:
        return [pattern[i % len(pattern)].upper() == "L" for i in range(count)]
    every = f.whole("sliding_window_pattern", default=every)
    return [bool(every) and (i + 1) % every != 0 for i in range(count)]


def sparse_from(f: Fields) -> list[bool]:
    """Return for each layer whether it has experts."""
    layers = f.whole("num_hidden_layers")
    kinds = f.tree.get("mlp_layer_types")
    if isinstance(kinds, list):
        return [k == "sparse" for k in kinds][:layers]
    pattern = f.tree.get("moe_layer_freq")
    if isinstance(pattern, list):
        return [bool(p) for p in pattern][:layers]
    first, step = f.whole("first_k_dense_replace", default=0), f.whole("decoder_sparse_step", default=1)
    only = set(f.tree.get("mlp_only_layers") or ())
    return [i >= first and (i + 1) % step == 0 and i not in only for i in range(layers)]
