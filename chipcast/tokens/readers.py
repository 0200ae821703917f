"""How models whose layers are of one kind of attention are read: Llama-like, windowed, latent."""

from __future__ import annotations

from chipcast.tokens.blocks import Read, dense, gqa, grouped, mla, moe, near_from, sparse_from
from chipcast.tokens.fields import Fields


def plain_layers(f: Fields) -> Read:
    """Read dense and expert models with one kind of attention (Llama, Qwen, Mistral, Mixtral, GLM, Pangu)."""
    hidden = f.whole("hidden_size")
    kind = str(f.tree.get("model_type", "")).lower()
    windowed = f.flag("use_sliding_window") or kind in ("mistral", "phi3")
    window = f.whole("sliding_window", default=0) if windowed else 0
    qwen3 = kind.startswith("qwen3")
    head = f.whole("head_dim", default=0) or hidden // f.whole("num_attention_heads")
    norm = 2 * head if qwen3 or f.flag("use_qk_norm") else 0
    bias = None
    if kind in ("qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl") or f.flag("add_qkv_bias"):
        kv = f.whole("num_key_value_heads", "num_attention_heads")
        bias = (f.whole("num_attention_heads") + 2 * kv) * head
    if kind == "panguembedded" and f.flag("attention_bias"):
        bias = (f.whole("num_attention_heads") + 2 * f.whole("num_key_value_heads")) * head + hidden
    has_experts = any(f.tree.get(k) for k in ("n_routed_experts", "num_experts", "num_local_experts"))
    sparse = sparse_from(f) if has_experts else [False] * f.whole("num_hidden_layers")
    route_bias = kind in ("glm4_moe", "minimax_m2") or f.flag("use_routing_bias")
    x = moe(f, route_bias=route_bias) if has_experts else None
    slides = _slides(f, window)
    full = gqa(f, norm=norm, bias=bias)
    near = gqa(f, norm=norm, bias=bias, window=window or f.whole("sliding_window")) if any(slides) else full
    layers = [(near if w else full, x if s and x is not None else dense(f))
              for w, s in zip(slides, sparse, strict=False)]
    return grouped(layers, hidden, norms=1 if kind.startswith("cohere") else 2), ()


def _slides(f: Fields, window: int) -> list[bool]:
    """Return for each layer whether its attention slides: where a list or pattern says so, else past the first ones."""
    if f.tree.get("layer_types") or f.tree.get("sliding_window_pattern"):
        return near_from(f) if f.whole("sliding_window", default=0) else [False] * f.whole("num_hidden_layers")
    late = f.whole("max_window_layers", default=0)
    return [bool(window) and i >= late for i in range(f.whole("num_hidden_layers"))]


def latent_layers(f: Fields) -> Read:
    """Read models with latent attention (DeepSeek V2, V3, V3.2, Kimi K2, GLM 5, openPangu Ultra)."""
    kind = str(f.tree.get("model_type", "")).lower()
    a = mla(f, index=bool(f.tree.get("index_topk")))
    x = moe(f, route_bias=kind not in ("deepseek_v2",)) if f.tree.get("n_routed_experts") else None
    sparse = sparse_from(f) if x is not None else [False] * f.whole("num_hidden_layers")
    return grouped([(a, x if s and x is not None else dense(f)) for s in sparse], f.whole("hidden_size")), ()
