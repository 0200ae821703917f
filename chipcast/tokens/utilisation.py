"""How much of a chip does training use: the model's arithmetic over the dense 16-bit peak, by convention.

Sources: PaLM's convention 2204.02311; arithmetic of a GPT 2205.05198.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.types import Numeric
from chipcast.tokens.footprint import RECOMPUTE
from chipcast.tokens.model import Model


def _core(model: Model, sequence: Numeric) -> Numeric:
    """Return three times the attention of one token against a whole sequence. [FLOP]"""
    return 3 * model.core_flop_per_key(absorbed=False) * np.asarray(sequence, dtype=float)


def _palm(model: Model, sequence: Numeric) -> Numeric:
    """Return 6N + 12 L h d S: all parameters, attention without its mask."""
    return 6.0 * model.params_active + _core(model, sequence)


def _causal(model: Model, sequence: Numeric) -> Numeric:
    """Return 6N + 6 L h d S: the look-up left out, attention with its mask."""
    return 6.0 * (model.params_active - model.embedding_params) + _core(model, sequence) / 2


CONVENTIONS: dict[str, Callable[[Model, Numeric], Numeric]] = {"palm": _palm, "causal": _causal}
"""Arithmetic that counts for one token of training. [FLOP]"""


def model_flop_per_token(model: Model, sequence: Numeric, *, convention: str = "palm") -> Numeric:
    """Return the model's arithmetic for one token of training, by an entry of `CONVENTIONS`. [FLOP]"""
    return choose(CONVENTIONS, convention, "convention")(model, sequence)


def mfu(model: Model, tokens_per_s_per_chip: Numeric, sequence: Numeric, peak_flop_per_s: Numeric, *,
        convention: str = "palm") -> Numeric:
    """Return model FLOP per second over the peak of a chip. [1]"""
    return tokens_per_s_per_chip * model_flop_per_token(model, sequence, convention=convention) / peak_flop_per_s


def hfu(model: Model, model_share: Numeric, sequence: Numeric, recompute: str, *, convention: str = "palm") -> Numeric:
    """Return hardware FLOP over the peak from the model's share of it: work done again counts too. [1]

    Notes
    -----
    Full recomputation repeats the forward pass: 4/3. Selective repeats the attention core alone.
    """
    products, core = choose(RECOMPUTE, recompute, "recomputation")
    whole = model_flop_per_token(model, sequence, convention=convention)
    part = _core(model, sequence) / (1 if convention == "palm" else 2)
    return model_share * (1 + (products * (whole - part) + core * part) / 3 / whole)


def gpt_flop(layers: int, hidden: int, sequence: int, vocab: int, batch: int) -> float:
    """Return the arithmetic of a training step of a GPT: 72 B L S H^2 (1 + S/(6H) + V/(12 H L)). [FLOP]

    Sources: 2205.05198.
    """
    return 72.0 * batch * layers * sequence * hidden**2 * (1 + sequence / (6 * hidden) + vocab / (12 * hidden * layers))
