"""Deviations that no chip and no engine explains: kind of architecture, model, format of weights."""

from __future__ import annotations

import numpy as np

from chipcast.tokens.beliefs import constant
from chipcast.tokens.model import Model


def kind_of(model: Model) -> str:
    """Return sparse, linear, latent, experts or dense: the first that a model has, rarest first."""
    found = {"sparse": any(g.attention.index_heads for g in model.groups),
             "linear": any(g.attention.kind == "linear" for g in model.groups),
             "latent": any(g.attention.kind == "mla" for g in model.groups),
             "experts": any(g.ffn.kind == "moe" for g in model.groups)}
    return next((k for k, v in found.items() if v), "dense")


def deployment_width() -> float:
    """Return the width of what one more deployment does: a source not seen yet, and the model's lack of fit. [log]"""
    return float(np.hypot(constant("effect_source"), constant("noise_a")))


def widths(model: Model, precision: str, stack: str) -> dict[str, float]:
    """Return the deviations of a model on a group of stacks with their widths. [log]"""
    return {f"arch:{stack}:{kind_of(model)}": constant("effect_arch"),
            f"model:{model.name}:{stack}": constant("effect_model"),
            f"weights:{precision.partition('+')[0]}:{stack}": constant("effect_weights")}
