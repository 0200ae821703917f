"""How models that mix kinds of layers are read: windows, linear and state-space layers, sparse indices.

Foreign names are known here alone; what comes out are `Attention`, `Ffn` and `LayerGroup`.
"""

from __future__ import annotations

from chipcast.base.errors import InputError
from chipcast.tokens.blocks import Read, dense, gqa, grouped, mla, moe, near_from, sparse_from
from chipcast.tokens.fields import Fields
from chipcast.tokens.model import Attention, Ffn


def gpt_oss(f: Fields) -> Read:
    """Read gpt-oss: alternating window, attention sinks, biases everywhere."""
    hidden, kinds = f.whole("hidden_size"), f.tree.get("layer_types") or ["full_attention"]
    n, kv, d = f.whole("num_attention_heads"), f.whole("num_key_value_heads"), f.whole("head_dim")
    bias = (n + 2 * kv) * d + hidden
    full = gqa(f, bias=bias, norm=0, sinks=True)
    near = gqa(f, bias=bias, norm=0, sinks=True, window=f.whole("sliding_window"))
    base = moe(f, width=f.whole("intermediate_size"), route_bias=True)
    per_expert = 2 * base.width + hidden
    x = Ffn(kind="moe", width=base.width, experts=base.experts, top_k=base.top_k, router_params=base.router_params,
            other_params=base.experts * per_expert, other_active=base.top_k * per_expert)
    layers = [(near if "sliding" in str(k) else full, x) for k in kinds[: f.whole("num_hidden_layers")]]
    return grouped(layers, hidden), ()


def gated_delta(f: Fields) -> Attention:
    """Return a linear layer with a gated delta rule (Qwen3-Next, Qwen3.5)."""
    hidden = f.whole("hidden_size")
    nk, nv = f.whole("linear_num_key_heads"), f.whole("linear_num_value_heads")
    dk, dv = f.whole("linear_key_head_dim"), f.whole("linear_value_head_dim")
    kernel = f.whole("linear_conv_kernel_dim")
    matrix = hidden * (2 * nk * dk + 2 * nv * dv) + hidden * 2 * nv + nv * dv * hidden
    other = (2 * nk * dk + nv * dv) * kernel + 2 * nv + dv
    return Attention(kind="linear", heads=nv, key_dim=dk, value_dim=dv, matrix_params=matrix, other_params=other,
                     state=nv * dk * dv)


def hybrid_qwen(f: Fields) -> Read:
    """Read Qwen3-Next and Qwen3.5: three linear layers to one gated attention layer, experts everywhere."""
    hidden, every = f.whole("hidden_size"), f.whole("full_attention_interval")
    head = f.whole("head_dim")
    full, linear = gqa(f, gate=True, norm=2 * head), gated_delta(f)
    base = moe(f)
    x = Ffn(kind="moe", width=base.width, experts=base.experts, top_k=base.top_k, shared_width=base.shared_width,
            router_params=base.router_params, other_params=hidden, other_active=hidden)
    layers = [(full if (i + 1) % every == 0 else linear, x) for i in range(f.whole("num_hidden_layers"))]
    return grouped(layers, hidden), ("linear layers keep a state of fixed size",)


def llama4(f: Fields) -> Read:
    """Read Llama 4: experts in every n-th layer, one shared expert of the same width."""
    hidden, step = f.whole("hidden_size"), f.whole("interleave_moe_layer_step", default=1)
    a = gqa(f, norm=0)
    width = f.whole("intermediate_size")
    x, d = moe(f, width=width, shared=width), dense(f, width=f.whole("intermediate_size_mlp"))
    layers = [(a, x if (i + 1) % step == 0 else d) for i in range(f.whole("num_hidden_layers"))]
    return grouped(layers, hidden), ("text tower only", "chunked attention priced as full attention")


def pangu_pro(f: Fields) -> Read:
    """Read Pangu Pro MoE: grouped experts, each group gives one, and a wide shared expert."""
    a = gqa(f, bias=(f.whole("num_attention_heads") + 2 * f.whole("num_key_value_heads"))
            * (f.whole("hidden_size") // f.whole("num_attention_heads")) + f.whole("hidden_size"), norm=0)
    return grouped([(a, moe(f))] * f.whole("num_hidden_layers"), f.whole("hidden_size")), ()


def mimo(f: Fields) -> Read:
    """Read MiMo-V2-Flash: sliding layers with more key heads beside full ones, values narrower than keys."""
    hidden, pattern = f.whole("hidden_size"), f.tree.get("hybrid_layer_pattern") or []
    value = f.whole("v_head_dim")
    full = gqa(f, value=value, norm=0)
    near = gqa(f, window=f.whole("sliding_window"), kv_heads=f.whole("swa_num_key_value_heads"), value=value,
               heads=f.whole("swa_num_attention_heads"), key=f.whole("swa_head_dim"), norm=0, sinks=True)
    x, d = moe(f, shared=0, route_bias=True), dense(f)
    layers = [(near if p else full, x if s else d) for p, s in zip(pattern, sparse_from(f), strict=False)]
    return grouped(layers, hidden), ()


def step_flash(f: Fields) -> Read:
    """Read Step 3.7: sliding layers beside full ones, first layers dense."""
    hidden, kinds = f.whole("hidden_size"), f.tree.get("layer_types") or []
    full, near = gqa(f, norm=2 * f.whole("head_dim")), gqa(f, norm=2 * f.whole("head_dim"),
                                                           window=f.whole("sliding_window"))
    x, d = moe(f, shared=f.whole("share_expert_dim", default=0), route_bias=True), dense(f)
    layers = [(near if "sliding" in str(k) else full, x if s else d)
              for k, s in zip(kinds, sparse_from(f), strict=False)]
    return grouped(layers, hidden), ("attention read as uniform over layers; the card may add heads on sliding ones",)


def nemotron_h(f: Fields) -> Read:
    """Read Nemotron-H: a string of Mamba (M), attention (*), dense (-) and expert (E) layers."""
    hidden, pattern = f.whole("hidden_size"), str(f.tree.get("hybrid_override_pattern") or "")
    if not pattern:
        raise InputError(f"{f.label}: config lacks 'hybrid_override_pattern'; add it to the config.json")
    n, d = f.whole("mamba_num_heads"), f.whole("mamba_head_dim")
    groups, size, kernel = f.whole("n_groups"), f.whole("ssm_state_size"), f.whole("conv_kernel")
    inner, conv = n * d, n * d + 2 * groups * size
    mamba = Attention(kind="linear", heads=n, key_dim=size, value_dim=d,
                      matrix_params=hidden * (inner + conv + n) + inner * hidden,
                      other_params=conv * kernel + conv + 3 * n + inner, state=n * d * size)
    nothing, no_ffn = Attention(kind="none"), Ffn(kind="none")
    kinds = {"M": (mamba, no_ffn), "*": (gqa(f, norm=0), no_ffn), "-": (nothing, dense(f, matrices=2))}
    if "E" in pattern:
        kinds["E"] = (nothing, moe(f, matrices=2, route_bias=True))
    layers = []
    for letter in pattern:
        if letter not in kinds:
            raise InputError(f"{f.label}: layer kind '{letter}' in hybrid_override_pattern is not known")
        layers.append(kinds[letter])
    return grouped(layers, hidden, norms=1), ("state-space layers keep a state of fixed size",)


def deepseek_v4(f: Fields) -> Read:
    """Read DeepSeek V4: one shared key-value head over a window and a compressed past, grouped output maps."""
    hidden, n, d = f.whole("hidden_size"), f.whole("num_attention_heads"), f.whole("head_dim")
    q, o, groups = f.whole("q_lora_rank"), f.whole("o_lora_rank"), f.whole("o_groups")
    ratios = f.tree.get("compress_ratios") or []
    layers = []
    matrix = hidden * q + q * n * d + hidden * d + n * d * o + groups * o * hidden
    x = moe(f, route_bias=True)
    for ratio in list(ratios)[: f.whole("num_hidden_layers")]:
        extra = 2 * hidden * d if ratio else 0
        top = f.whole("index_topk") if ratio and ratio < 100 else 0
        index = f.whole("index_n_heads") if top else 0
        dim = f.whole("index_head_dim") if top else 0
        extra += q * index * dim + 2 * hidden * dim + hidden * index if top else 0
        window = f.whole("sliding_window")
        layers.append((Attention(kind="mla", heads=n, key_dim=d - f.whole("qk_rope_head_dim"), value_dim=d, q_rank=q,
                                 kv_rank=d - f.whole("qk_rope_head_dim"), rope_dim=f.whole("qk_rope_head_dim"),
                                 window=window, compress=max(int(ratio), 1), index_heads=index, index_dim=dim,
                                 index_top=top, matrix_params=matrix + extra, other_params=q + d + n), x))
    return grouped(layers, hidden), ("a window and one entry for every few tokens of the past",)


def kimi_linear(f: Fields) -> Read:
    """Read Kimi K3: linear layers beside latent attention, experts in a narrower space."""
    hidden = f.whole("hidden_size")
    linear = f.tree.get("linear_attn_config") or {}
    n, d = int(linear.get("num_heads", 0)), int(linear.get("head_dim", 0))
    if not n or not d:
        raise InputError(f"{f.label}: config lacks 'linear_attn_config'; add it to the config.json")
    wide = n * d
    kda = Attention(kind="linear", heads=n, key_dim=d, value_dim=d,
                    matrix_params=4 * hidden * wide + hidden * wide + hidden * n + hidden * d + d * wide,
                    other_params=3 * wide * 4 + 2 * n + d, state=n * d * d)
    full = mla(f, gate=f.flag("mla_use_output_gate"))
    inner = f.whole("routed_expert_hidden_size", default=hidden)
    base = moe(f)
    around = 2 * hidden * inner if inner != hidden else 0
    x = Ffn(kind="moe", width=base.width, inner=inner, experts=base.experts, top_k=base.top_k,
            shared_width=base.shared_width, router_params=base.router_params + base.experts, other_params=around,
            other_active=around)
    at = set(linear.get("full_attn_layers") or ())
    layers = [(full if i + 1 in at else kda, dense(f) if i < f.whole("first_k_dense_replace", default=0) else x)
              for i in range(f.whole("num_hidden_layers"))]
    return grouped(layers, hidden), ("linear layers keep a state of fixed size",)


def minimax_m1(f: Fields) -> Read:
    """Read MiniMax M1 and Text 01: seven linear layers with an output gate to one of grouped-query attention."""
    hidden, n, d = f.whole("hidden_size"), f.whole("num_attention_heads"), f.whole("head_dim")
    kinds = f.tree.get("attn_type_list")
    if not isinstance(kinds, list):
        raise InputError(f"{f.label}: config lacks 'attn_type_list'; add it to the config.json")
    linear = Attention(kind="linear", heads=n, key_dim=d, value_dim=d, matrix_params=5 * hidden * n * d,
                       other_params=n * d, state=n * d * d)
    full, x = gqa(f, norm=0), moe(f, shared=f.whole("shared_intermediate_size", default=0))
    layers = [(full if k else linear, x) for k in kinds[: f.whole("num_hidden_layers")]]
    return grouped(layers, hidden), ("linear layers keep a state of fixed size",)


def minimax_m3(f: Fields) -> Read:
    """Read MiniMax M3: grouped-query attention with a sparse index of blocks in the later layers."""
    hidden, head = f.whole("hidden_size"), f.whole("head_dim")
    full = gqa(f, norm=2 * head)
    sparse = f.tree.get("sparse_attention_config") or {}
    dim, heads = int(sparse.get("sparse_index_dim", 0)), int(sparse.get("sparse_num_index_heads", 0))
    top = int(sparse.get("sparse_topk_blocks", 0)) * int(sparse.get("sparse_block_size", 0))
    near = Attention(kind="gqa", heads=full.heads, kv_heads=full.kv_heads, key_dim=head, value_dim=head,
                     index_heads=heads, index_dim=dim, index_top=top, other_params=full.other_params,
                     matrix_params=full.matrix_params + hidden * (heads * dim + dim))
    x = moe(f, shared=f.whole("shared_intermediate_size", default=0), route_bias=True)
    d = dense(f, width=f.whole("dense_intermediate_size"))
    where = sparse.get("sparse_attention_freq") or []
    layers = [(near if w else full, x if s else d) for w, s in zip(where, sparse_from(f), strict=False)]
    return grouped(layers, hidden), ()


def gemma_layers(f: Fields) -> Read:
    """Read Gemma 2 and 3: sliding layers with a full one now and then, four norms a layer."""
    hidden = f.whole("hidden_size")
    third = str(f.tree.get("model_type", "")).lower().startswith("gemma3")
    head = f.whole("head_dim", default=0) or hidden // f.whole("num_attention_heads")
    norm = 2 * head if third else 0
    full, near = gqa(f, norm=norm), gqa(f, norm=norm, window=f.whole("sliding_window"))
    x = dense(f)
    return grouped([(near if w else full, x) for w in near_from(f, 6 if third else 2)], hidden, norms=4), ()


def ernie(f: Fields) -> Read:
    """Read ERNIE 4.5 with experts: first layers dense, shared experts of the routed width, a routing bias."""
    hidden, first = f.whole("hidden_size"), f.whole("moe_layer_start_index", default=0)
    step = f.whole("moe_layer_interval", default=1)
    last = f.whole("moe_layer_end_index", default=f.whole("num_hidden_layers"))
    a = gqa(f, norm=0)
    x, d = moe(f, route_bias=f.flag("moe_use_aux_free", default=True)), dense(f)
    layers = [(a, x if first <= i <= last and (i + 1) % step == 0 else d) for i in range(f.whole("num_hidden_layers"))]
    return grouped(layers, hidden), ()
