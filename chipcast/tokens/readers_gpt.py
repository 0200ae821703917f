"""How models of the GPT family are read: two-matrix networks with biases, layer norms with biases, learned positions.

A network of four times the width where no width is stated; one key head for all where `multi_query` says so.
"""

from __future__ import annotations

from chipcast.tokens.blocks import Read, gqa, grouped
from chipcast.tokens.fields import Fields
from chipcast.tokens.model import Ffn

NO_BIAS = ("falcon", "refinedwebmodel", "refinedweb")
"""Kinds whose products have no biases where the field is missing."""


def gpt_layers(f: Fields) -> Read:
    """Read GPT-2, GPT-NeoX, GPT-BigCode, OPT, BLOOM, Falcon, Phi and StarCoder 2."""
    hidden, n = f.whole("hidden_size"), f.whole("num_attention_heads")
    kind = str(f.tree.get("model_type", "")).lower()
    one = f.flag("multi_query") and not f.flag("new_decoder_architecture")
    kv = 1 if one else f.whole("num_key_value_heads", default=0) or n
    d = f.whole("head_dim", default=0) or hidden // n
    bias = f.flag("bias", default=f.flag("use_bias", default=kind not in NO_BIAS))
    width = f.whole("intermediate_size", default=0) or 4 * hidden
    window = f.whole("sliding_window", default=0) if kind == "starcoder2" else 0
    a = gqa(f, window=window, kv_heads=kv, bias=((n + 2 * kv) * d + hidden) if bias else 0, norm=0)
    x = Ffn(kind="dense", width=width, matrices=2, other_params=width + hidden if bias else 0,
            other_active=width + hidden if bias else 0)
    single = (kind in NO_BIAS and f.flag("parallel_attn", default=True)) or kind == "phi"
    norms = (1 if single else 2) * 2
    return grouped([(a, x)] * f.whole("num_hidden_layers"), hidden, norms=norms), (
        "two-matrix networks of the GPT family",)


def learned_positions(f: Fields) -> int:
    """Return the weights of learned positions: GPT-2, GPT-BigCode and OPT have them (OPT two rows more)."""
    kind = str(f.tree.get("model_type", "")).lower()
    if kind not in ("gpt2", "gpt_bigcode", "opt"):
        return 0
    return (f.whole("max_position_embeddings") + (2 if kind == "opt" else 0)) * f.whole("hidden_size")
