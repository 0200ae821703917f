"""Reading a Hugging Face `config.json`: which architecture it is and what shape its layers have.

Foreign names are mapped here at the door; inside there are only `Attention`, `Ffn` and `LayerGroup`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from functools import cache, lru_cache
from pathlib import Path

from chipcast.base.calendar import parse_date
from chipcast.base.catalog import DATA, read_table
from chipcast.base.errors import InputError, nearest, unknown
from chipcast.tokens.blocks import Read
from chipcast.tokens.fields import Config, Fields, renamed
from chipcast.tokens.model import PRECISION, Model
from chipcast.tokens.readers import latent_layers, plain_layers
from chipcast.tokens.readers_gpt import gpt_layers, learned_positions
from chipcast.tokens.readers_mixed import (
    deepseek_v4,
    ernie,
    gemma_layers,
    gpt_oss,
    hybrid_qwen,
    kimi_linear,
    llama4,
    mimo,
    minimax_m1,
    minimax_m3,
    nemotron_h,
    pangu_pro,
    step_flash,
)

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


@cache
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
        If a row of the data dates it later. A config of the user's own, given by path, is never refused here, nor is
        a name that nothing ships under.
    """
    row = _dated(name, as_of)
    if row and row["sense"] == "from":
        raise InputError(f"model '{row['model']}' may have become public only after {as_of}; take --as-of "
                         f"{row['known_by']} or later (or --scenario latest), or give its config.json by path")


def unsure_date(name: str, as_of: date) -> str:
    """Return what is not known of a shipped model on an information date, an empty text where it was public.

    >>> unsure_date("deepseek-r1", parse_date("2025-02-25"))
    ''
    >>> unsure_date("qwen3-32b", parse_date("2025-02-25"))[:56]
    "whether model 'qwen3-32b' was public on 2025-02-25 is not"
    """
    row = _dated(name, as_of)
    if row is None or row["sense"] == "from":
        return ""
    return (f"whether model '{row['model']}' was public on {as_of} is not known here, only that it was by "
            f"{row['known_by']}: {row['reason']}")


def _dated(name: str, as_of: date) -> dict[str, str] | None:
    """Return the row that dates a shipped model where it is later than an information date, else None."""
    row = dated(name)
    return row if row and parse_date(row["known_by"]) > as_of else None


@lru_cache(maxsize=1024)
def dated(name: str) -> dict[str, str] | None:
    """Return the row that says by when, or from when, a shipped model was public, None for an own configuration."""
    try:
        path = find(name)
    except InputError:
        return None
    key = path.stem.split("__", 1)[-1].lower()
    if path != shipped().get(key):
        return None
    return next((dict(r) for r in read_table("model_dates") if r["model"] == key), None)


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


STRANGE = re.compile(r"ssm|mamba|linear_attn|compress|rwkv|hybrid|attn_type|layer_types|layers_block_type|lora_rank|"
                     r"expert|moe|sliding_window_pattern|block_configs|loop|altup|retention")
"""Fields that say that layers are not all plain ones."""

TIED = ("gemma", "gemma2", "gemma3", "gemma3_text", "cohere", "cohere2", "gpt2", "gpt_bigcode", "opt", "bloom",
        "falcon")
"""Kinds whose head shares the embedding where the field is missing."""


def model_of(tree: Config, label: str) -> Model:
    """Return the model of a parsed configuration.

    Raises
    ------
    InputError
        If a field that the count needs is missing; unknown kinds of layer are refused by name.
    """
    nested = next((k for k in ("text_config", "llm_config", "language_config", "thinker_config")
                   if isinstance(tree.get(k), dict)), "")
    inner = tree[nested] if nested else tree
    outer = {k: v for k, v in tree.items() if k in ("tie_word_embeddings", "quantization_config")}
    f = Fields(renamed({**outer, **inner}), label)
    kind = str(f.tree.get("model_type") or tree.get("model_type") or "").lower()
    reader = READERS.get(kind) or READERS.get(kind.removesuffix("_text")) or _guess(f, kind)
    groups, notes = reader(f)
    if nested or "vision_config" in tree:
        notes = (*notes, *(() if "text tower only" in notes else ("text tower only",)))
    hidden = f.whole("hidden_size")
    native, block = native_of(f, tree)
    native = with_attention(native, f.tree.get("quantization_config") or tree.get("quantization_config"),
                            experts=any(g.ffn.kind == "moe" for g in groups))
    mtp = f.whole("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules", default=0)
    return Model(name=label, hidden=hidden, vocab=f.whole("vocab_size"),
                 tied=f.flag("tie_word_embeddings", default=kind in TIED), groups=groups,
                 context=f.whole("max_position_embeddings", default=0), native=native, block=block, mtp_layers=mtp,
                 positions=learned_positions(f),
                 group_limit=(f.whole("n_group", default=0), f.whole("topk_group", default=0)), notes=notes)


def _guess(f: Fields, kind: str) -> Callable[[Fields], Read]:
    """Return the reader of an unknown kind whose fields tell what its layers are, or refuse it by name."""
    shape = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size",
             "num_key_value_heads", "hidden_act")
    word = kind or "not stated"
    close = nearest(kind, READERS)
    hint = f"; the nearest known is '{close[0]}'" if close else ""
    strange = [k for k, v in f.tree.items() if STRANGE.search(k) and v]
    if strange:
        raise InputError(f"{f.label}: architecture '{word}' is not known, and its fields ({', '.join(strange[:3])}) "
                         f"say that its layers are not plain ones{hint}")
    missing = [k for k in shape if k not in f.tree]
    if missing:
        raise InputError(f"{f.label}: architecture '{word}' is not known and its config lacks "
                         f"{', '.join(missing[:4])}, without which its layers cannot be read as Llama-like{hint}")
    act = str(f.tree["hidden_act"]).lower()
    if act not in ("silu", "swish", "swiglu"):
        raise InputError(f"{f.label}: architecture '{word}' is not known, and with the activation '{act}' its networks "
                         f"may have two matrices or three{hint}")
    return assumed_llama


def assumed_llama(f: Fields) -> Read:
    """Read an unknown kind with the fields of a Llama as one, and say so."""
    groups, notes = plain_layers(f)
    word = f.tree.get("model_type") or "not stated"
    return groups, (*notes, f"architecture '{word}' is not known: read as Llama-like")


def native_of(f: Fields, tree: Config) -> tuple[str, int]:
    """Return the precision of the published weights and the side of its blocks.

    Raises
    ------
    InputError
        If the weights are packed in a way that is not known.
    """
    quant = f.tree.get("quantization_config") or tree.get("quantization_config") or {}
    if str(f.tree.get("expert_dtype", "")) == "fp4":
        return "mxfp4+fp8_block" if isinstance(quant, dict) and quant.get("quant_method") == "fp8" else "mxfp4", 0
    if not isinstance(quant, dict) or not quant:
        return "bf16", 0
    method = str(quant.get("quant_method", "")).lower()
    label = f"{method} {quant.get('format', '')} {quant.get('quant_algo', '')} {quant.get('activation_scheme', '')}"
    label = label.lower()
    bits = quant.get("bits") or quant.get("w_bit") or _weight_bits(quant)
    if "mxfp4" in label:
        return "mxfp4", 0
    if "nvfp4" in label:
        return "fp4_block", 0
    if "fp8" in label or "float-quantized" in label:
        block = quant.get("weight_block_size")
        return ("fp8_block", int(block[0])) if isinstance(block, list) and block else ("fp8", 0)
    if method in ("awq", "gptq", "auto-round", "compressed-tensors", "intel/auto-round") or "quantized" in label:
        if bits == 8 and _weight_kind(quant) == "float":
            return "fp8", 0
        if bits == 8 or "int-quantized" in label or "int8" in label or "w8a8" in label:
            return "int8_channel", 0
        if bits == 4 or "pack-quantized" in label or method == "awq":
            return "int4_group", 0
    if method in ("bitsandbytes",):
        return ("int4_group" if quant.get("load_in_4bit") or quant.get("_load_in_4bit") else "int8_channel"), 0
    raise InputError(f"{f.label}: quantisation '{' '.join(label.split()) or 'not stated'}' is not known; known: fp8, "
                     "mxfp4, nvfp4, awq, gptq, compressed-tensors, bitsandbytes")


def with_attention(native: str, quant: object, *, experts: bool) -> str:
    """Return the precision of published weights where experts and other products differ.

    A list of what stays as it was decides; without one, packed experts of these makers come with attention at 16 bits,
    while methods that pack whole models pack attention too.
    """
    tree = quant if isinstance(quant, dict) else {}
    kept = [tree.get(k) for k in ("ignore", "modules_to_not_convert", "exclude_modules", "ignored_layers")]
    words = " ".join(str(w) for names in kept if isinstance(names, list) for w in names)
    whole = str(tree.get("quant_method", "")).lower() in ("awq", "gptq", "auto-round", "bitsandbytes")
    wide = f"{native}+bf16"
    if not experts or wide not in PRECISION or "+" in native:
        return native
    if words:
        return wide if re.search(r"attn|attention", words) else native
    return wide if native in ("mxfp4", "int4_group") and not whole else native


def _weights_told(quant: Config) -> Config:
    """Return what the first group of weights is said to be, nothing where there are no groups."""
    groups = quant.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        weights = group.get("weights") if isinstance(group, dict) else None
        if isinstance(weights, dict):
            return weights
    return {}


def _weight_bits(quant: Config) -> int:
    """Return the bits of weights where they stand in groups, 0 where they do not."""
    bits = _weights_told(quant).get("num_bits")
    return bits if isinstance(bits, int) else 0


def _weight_kind(quant: Config) -> str:
    """Return float or int where weights stand in groups, an empty text where they do not."""
    return str(_weights_told(quant).get("type") or "").lower()


PLAIN = ("llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe", "qwen2_moe", "glm4_moe", "minimax_m2",
         "panguembedded", "internlm2", "internlm3", "seed_oss", "baichuan", "qwen2_vl", "qwen2_5_vl", "qwen3_vl",
         "qwen3_vl_moe", "olmoe", "granite", "granitemoe", "dots1", "phi3", "glm", "glm4", "chatglm", "yi", "deepseek",
         "stablelm", "cohere", "exaone", "exaone4", "hunyuan_v1_dense", "hunyuan_v1_moe", "ernie4_5", "bailing_moe",
         "aquila", "minicpm", "smollm3", "gemma", "cohere2", "olmo2", "olmo3", "glm4v_moe", "bailing_moe_v2")
"""Kinds whose layers are all of one plain kind of attention with gated networks or experts."""

READERS: dict[str, Callable[[Fields], Read]] = {
    **dict.fromkeys(PLAIN, plain_layers),
    **dict.fromkeys(("deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "glm_moe_dsa", "pangu_ultra_moe",
                     "minicpm3"), latent_layers),
    **dict.fromkeys(("gpt2", "gpt_neox", "gpt_bigcode", "opt", "bloom", "falcon", "phi", "starcoder2"), gpt_layers),
    **dict.fromkeys(("gemma2", "gemma3"), gemma_layers),
    "pangupromoe": pangu_pro, "gpt_oss": gpt_oss, "qwen3_next": hybrid_qwen, "qwen3_5_moe": hybrid_qwen,
    "llama4": llama4, "mimo_v2_flash": mimo, "step3p7": step_flash, "nemotron_h": nemotron_h,
    "deepseek_v4": deepseek_v4, "kimi_linear": kimi_linear, "minimax_m3": minimax_m3,
    "minimax_m1": minimax_m1, "minimax_text_01": minimax_m1, "ernie4_5_moe": ernie,
}
"""How each `model_type` is read."""
