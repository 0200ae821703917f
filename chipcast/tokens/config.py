"""Reading a Hugging Face `config.json`: which architecture it is and what shape its layers have.

Foreign names are mapped here at the door; inside there are only `Attention`, `Ffn` and `LayerGroup`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from chipcast.base.calendar import parse_date
from chipcast.base.catalog import DATA, read_table
from chipcast.base.errors import InputError, nearest, unknown
from chipcast.tokens.model import Attention, Ffn, LayerGroup, Model

Config = Mapping[str, Any]

MAX_BYTES = 4_000_000
"""A config is small; anything larger is another file."""

ALIASES = {
    "deepseek-r1-0528": "deepseek-r1", "deepseek-v3-0324": "deepseek-v3", "deepseek-v3.1": "deepseek-v3",
    "deepseek-v3.1-terminus": "deepseek-v3", "deepseek": "deepseek-r1", "r1": "deepseek-r1", "v3": "deepseek-v3",
    "deepseek-v3.2-exp": "deepseek-v3.2", "deepseek-v3-2": "deepseek-v3.2", "llama-3.3-70b": "llama-3.1-70b",
    "llama-3-70b": "llama-3.1-70b", "llama-3-8b": "llama-3.1-8b", "llama3-8b": "llama-3.1-8b",
    "llama3-70b": "llama-3.1-70b", "llama-3.1-405b-instruct": "llama-3.1-405b", "kimi-k2": "kimi-k2-instruct",
    "kimi-k2-thinking": "kimi-k2-instruct", "kimi-k2-0905": "kimi-k2-instruct", "llama2-7b": "llama-2-7b-hf",
    "llama-2-7b": "llama-2-7b-hf", "mixtral-8x7b": "mixtral-8x7b-v0.1", "mixtral-8x22b": "mixtral-8x22b-v0.1",
    "mixtral-8x7b-instruct": "mixtral-8x7b-v0.1", "mistral-nemo": "mistral-nemo-instruct-2407",
    "llama-4-maverick": "llama-4-maverick-17b-128e-instruct", "llama-4-scout": "llama-4-scout-17b-16e-instruct",
    "qwen2.5-7b": "qwen2.5-7b-instruct", "qwen3-coder-480b": "qwen3-coder-480b-a35b-instruct",
    "qwen3-235b": "qwen3-235b-a22b", "qwen3-30b": "qwen3-30b-a3b", "qwen3-next": "qwen3-next-80b-a3b",
    "codellama-34b": "codellama-34b-instruct-hf", "pangu-pro-moe": "pangu-pro-moe-72b",
    "openpangu-ultra-moe": "openpangu-ultra-moe-718b", "pangu-ultra-moe": "openpangu-ultra-moe-718b",
    "nemotron-3-nano": "nvidia-nemotron-3-nano-30b-a3b-bf16", "qwen3.5-397b": "qwen3.5-397b-a17b",
}
"""Names in use for shipped configurations; a variant of weights alone has the same shape."""

SUFFIXES = ("-w8a8", "-w4a8", "-mtp", "-quarot", "-fp8", "-int8", "-bf16", "-instruct", "-chat", "-base", "-hf",
            "-instruct-2507", "-thinking-2507", "-nvfp4", "-fp4", "-awq", "-gptq-int4", "-dynamic", "-per-channel",
            "-0324", "-0528", "-preview", "-2507")
"""Endings that name precision or tuning, not shape."""


def shipped() -> dict[str, Path]:
    """Return shipped configurations: bare name in small letters to file."""
    return {p.stem.split("__", 1)[1].lower(): p for p in sorted((DATA / "models").glob("*.json"))}


def find(name: str) -> Path:
    """Return the file of a shipped name, alias or path."""
    table = shipped()
    path = Path(name)
    if name.endswith(".json") or ("/" in name and path.exists()):
        if path.is_dir():
            path = path / "config.json"
        if not path.is_file():
            raise InputError(f"no file '{name}'; give a config.json or one of the shipped models such as deepseek-r1")
        return path
    word = re.sub(r"\s*\(.*?\)", "", name.strip().lower()).replace(" ", "-").replace("_", "-")
    word = name.strip().lower().split("__", 1)[1] if "__" in name else word.rsplit("/", 1)[-1]
    for _ in range(4):
        for key in (word, ALIASES.get(word, "")):
            if key in table:
                return table[key]
        cut = next((s for s in SUFFIXES if word.endswith(s)), "")
        if not cut:
            break
        word = word[: -len(cut)]
    for key in table:
        if any(key == word + s for s in SUFFIXES):
            return table[key]
    unknown("model", name, [*table, *ALIASES])


def refuse_later(name: str, as_of: date) -> None:
    """Refuse a shipped model that may have become public only after an information date.

    Raises
    ------
    InputError
        If a row of the data dates it later; a config of the user's own, given by path, is never refused.
    """
    key = find(name).stem.split("__", 1)[-1].lower()
    own = key not in shipped() or find(name) != shipped()[key]
    row = next((r for r in read_table("model_dates") if r["model"] == key), None)
    if row and not own and parse_date(row["known_by"]) > as_of:
        raise InputError(f"model '{key}' may have become public only after {as_of}; take --as-of {row['known_by']} or "
                         "later (or --scenario latest), or give its config.json by path")


def read(name: str) -> Model:
    """Read a configuration by name or path."""
    path = find(name)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path.name} is too large for a config.json")
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{path}': {error}") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path.name} is not valid JSON: {error}") from None
    if not isinstance(tree, dict):
        raise InputError(f"{path.name} must be a table of fields such as hidden_size, num_hidden_layers")
    label = path.stem.split("__", 1)[-1] if path.stem != "config" else path.parent.name or "config"
    return model_of(tree, label)


class Fields:
    """Fields of one configuration; a missing one is refused by name."""

    def __init__(self, tree: Config, label: str) -> None:
        """Keep the table and the name that messages use."""
        self.tree, self.label = tree, label

    def whole(self, *names: str, default: int | None = None) -> int:
        """Return the first of these fields that is a whole number above zero, or the default."""
        for name in names:
            value = self.tree.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or value < 0:
                raise InputError(f"{self.label}: {name} must be a whole number, got {value!r}")
            if value > 1e9:
                raise InputError(f"{self.label}: {name} is {value}, beyond anything sensible")
            if value > 0 or default is not None:
                return int(value)
        if default is None:
            raise InputError(f"{self.label}: config lacks '{names[0]}'; add it to the config.json")
        return default

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a yes or no."""
        value = self.tree.get(name)
        return default if value is None else bool(value)


def model_of(tree: Config, label: str) -> Model:
    """Return the model of a parsed configuration.

    Raises
    ------
    InputError
        If a field that the count needs is missing; unknown kinds of layer are refused by name.
    """
    inner = next((tree[k] for k in ("text_config", "llm_config", "language_config") if isinstance(tree.get(k), dict)),
                 tree)
    f = Fields({**{k: v for k, v in tree.items() if k in ("tie_word_embeddings", "quantization_config")}, **inner},
               label)
    kind = str(f.tree.get("model_type") or tree.get("model_type") or "").lower()
    reader = READERS.get(kind) or READERS.get(kind.removesuffix("_text"))
    if reader is None:
        shape = {"hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"}
        strange = [k for k in f.tree if re.search(r"ssm|mamba|linear_attn|compress|rwkv|hybrid", k)]
        if strange or not shape <= set(f.tree):
            missing = sorted(shape - set(f.tree)) or strange
            close = nearest(kind, READERS)
            raise InputError(f"{label}: architecture '{kind or 'not stated'}' is not known and its fields "
                             f"({', '.join(missing[:3])}) do not say what its layers are"
                             + (f"; the nearest known is '{close[0]}'" if close else ""))
        reader = plain_layers
    groups, notes = reader(f)
    hidden = f.whole("hidden_size")
    native, block = _native(f, tree)
    mtp = f.whole("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules", default=0)
    return Model(name=label, hidden=hidden, vocab=f.whole("vocab_size"),
                 tied=f.flag("tie_word_embeddings"), groups=groups,
                 context=f.whole("max_position_embeddings", default=0), native=native, block=block, mtp_layers=mtp,
                 group_limit=(f.whole("n_group", default=0), f.whole("topk_group", default=0)), notes=notes)


def _native(f: Fields, tree: Config) -> tuple[str, int]:
    quant = f.tree.get("quantization_config") or tree.get("quantization_config") or {}
    method = str(quant.get("quant_method", "")) if isinstance(quant, dict) else ""
    form = str(quant.get("format", "")) if isinstance(quant, dict) else ""
    if str(f.tree.get("expert_dtype", "")) == "fp4":
        return "mxfp4", 0
    if method == "fp8":
        block = quant.get("weight_block_size") or [0]
        return "fp8_block", int(block[0])
    if "mxfp4" in method or "mxfp4" in form:
        return "mxfp4", 0
    if form == "pack-quantized":
        return "int4_group", 0
    return "bf16", 0


def gqa(f: Fields, *, window: int = 0, gate: bool = False, bias: int | None = None, norm: int | None = None,
        sinks: bool = False, kv_heads: int = 0, heads: int = 0, key: int = 0, value: int = 0) -> Attention:
    """Return grouped-query attention from the usual fields."""
    hidden = f.whole("hidden_size")
    n = heads or f.whole("num_attention_heads")
    kv = kv_heads or f.whole("num_key_value_heads", "num_attention_heads")
    d = key or f.whole("head_dim", "attention_head_dim", default=0) or hidden // n
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
    top = f.whole("num_experts_per_tok", "num_experts_per_token", "experts_per_token")
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


def _sparse_from(f: Fields) -> list[bool]:
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


def plain_layers(f: Fields) -> Read:
    """Read dense and expert models with one kind of attention (Llama, Qwen, Mistral, Mixtral, GLM, Pangu)."""
    hidden = f.whole("hidden_size")
    kind = str(f.tree.get("model_type", "")).lower()
    window = f.whole("sliding_window", default=0) if f.flag("use_sliding_window") or kind == "mistral" else 0
    qwen3 = kind.startswith("qwen3")
    head = f.whole("head_dim", default=0) or hidden // f.whole("num_attention_heads")
    norm = 2 * head if qwen3 or f.flag("use_qk_norm") else 0
    bias = None
    if kind == "qwen2":
        bias = (f.whole("num_attention_heads") + 2 * f.whole("num_key_value_heads")) * head
    if kind == "panguembedded" and f.flag("attention_bias"):
        bias = (f.whole("num_attention_heads") + 2 * f.whole("num_key_value_heads")) * head + hidden
    a = gqa(f, window=window, norm=norm, bias=bias)
    has_experts = any(f.tree.get(k) for k in ("n_routed_experts", "num_experts", "num_local_experts"))
    sparse = _sparse_from(f) if has_experts else [False] * f.whole("num_hidden_layers")
    route_bias = kind in ("glm4_moe", "minimax_m2") or f.flag("use_routing_bias")
    x = moe(f, route_bias=route_bias) if has_experts else None
    layers = [(a, x if s and x is not None else dense(f)) for s in sparse]
    return grouped(layers, hidden), ()


def latent_layers(f: Fields) -> Read:
    """Read models with latent attention (DeepSeek V2, V3, V3.2, Kimi K2, GLM 5, openPangu Ultra)."""
    kind = str(f.tree.get("model_type", "")).lower()
    a = mla(f, index=bool(f.tree.get("index_topk")))
    x = moe(f, route_bias=kind not in ("deepseek_v2",)) if f.tree.get("n_routed_experts") else None
    sparse = _sparse_from(f) if x is not None else [False] * f.whole("num_hidden_layers")
    return grouped([(a, x if s and x is not None else dense(f)) for s in sparse], f.whole("hidden_size")), ()


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
    layers = [(near if p else full, x if s else d) for p, s in zip(pattern, _sparse_from(f), strict=False)]
    return grouped(layers, hidden), ()


def step_flash(f: Fields) -> Read:
    """Read Step 3.7: sliding layers beside full ones, first layers dense."""
    hidden, kinds = f.whole("hidden_size"), f.tree.get("layer_types") or []
    full, near = gqa(f, norm=2 * f.whole("head_dim")), gqa(f, norm=2 * f.whole("head_dim"),
                                                           window=f.whole("sliding_window"))
    x, d = moe(f, shared=f.whole("share_expert_dim", default=0), route_bias=True), dense(f)
    layers = [(near if "sliding" in str(k) else full, x if s else d)
              for k, s in zip(kinds, _sparse_from(f), strict=False)]
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
    layers = [(near if w else full, x if s else d) for w, s in zip(where, _sparse_from(f), strict=False)]
    return grouped(layers, hidden), ()


READERS: dict[str, Callable[[Fields], Read]] = {
    "llama": plain_layers, "mistral": plain_layers, "mixtral": plain_layers, "qwen2": plain_layers,
    "qwen3": plain_layers, "qwen3_moe": plain_layers, "glm4_moe": plain_layers, "minimax_m2": plain_layers,
    "panguembedded": plain_layers, "pangupromoe": pangu_pro, "deepseek_v2": latent_layers,
    "deepseek_v3": latent_layers, "deepseek_v32": latent_layers, "kimi_k2": latent_layers,
    "glm_moe_dsa": latent_layers, "pangu_ultra_moe": latent_layers, "gpt_oss": gpt_oss, "qwen3_next": hybrid_qwen,
    "qwen3_5_moe": hybrid_qwen, "llama4": llama4, "mimo_v2_flash": mimo, "step3p7": step_flash,
    "nemotron_h": nemotron_h, "deepseek_v4": deepseek_v4, "kimi_linear": kimi_linear, "minimax_m3": minimax_m3,
}
"""How each `model_type` is read."""
