"""What is a model made of: parameters, arithmetic and cache per token, counted from its shape.

A model is a stack of layer groups; each has one kind of attention and one kind of feed-forward network.
Sources: Vaswani et al. 2017 (1706.03762); GQA 2305.13245; MLA 2405.04434; DeepSeek-V3 2412.19437.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from chipcast.base.errors import require
from chipcast.base.types import Numeric

LATENT = "mla"
"""Attention whose cache is one compressed vector for all heads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attention:
    """One layer's way of looking back."""

    kind: str
    """gqa, mla, linear (a state of fixed size) or none."""
    heads: int = 0
    """Query heads."""
    kv_heads: int = 0
    """Key and value heads of gqa."""
    key_dim: int = 0
    """Size of a head's key; of its part without rotation in mla."""
    value_dim: int = 0
    """Size of a head's value."""
    q_rank: int = 0
    """Rank of the compressed query of mla, 0 for none."""
    kv_rank: int = 0
    """Rank of the compressed key and value of mla."""
    rope_dim: int = 0
    """Rotated part of a key, shared by all heads, of mla."""
    window: int = 0
    """Tokens that a sliding layer sees, 0 for all."""
    compress: int = 1
    """Tokens that share one cached entry beyond the window."""
    index_heads: int = 0
    """Heads of the sparse index, 0 for none."""
    index_dim: int = 0
    """Size of an index key."""
    index_top: int = 0
    """Keys that the sparse index picks."""
    matrix_params: int = 0
    """Weights in matrix products."""
    other_params: int = 0
    """Norms, biases, gates and the like."""
    state: int = 0
    """Elements of state of a linear layer, per request."""

    @property
    def kv_elements(self) -> int:
        """Cached elements per token."""
        if self.kind == "gqa":
            return self.kv_heads * (self.key_dim + self.value_dim) + self.index_dim
        if self.kind == LATENT:
            return self.kv_rank + self.rope_dim + self.index_dim
        return 0

    def core_flop_per_key(self, *, absorbed: bool = True) -> int:
        """Return the arithmetic of one query token on one key, all heads. [FLOP]"""
        if self.kind == "gqa":
            return 2 * self.heads * (self.key_dim + self.value_dim)
        if self.kind == LATENT:
            wide = 2 * self.kv_rank + self.rope_dim
            return 2 * self.heads * (wide if absorbed else self.key_dim + self.rope_dim + self.value_dim)
        return 0


def held_tokens(a: Attention, context: Numeric) -> Numeric:
    """Return the entries that a layer keeps of a context: all, a window, or a window and a compressed past."""
    import numpy as np

    if a.compress > 1:
        return np.minimum(context, a.window) + context / a.compress
    return np.minimum(context, a.window) if a.window else context


@dataclass(frozen=True, kw_only=True, slots=True)
class Ffn:
    """One layer's feed-forward network."""

    kind: str
    """dense, moe or none."""
    width: int = 0
    """Inner width of the dense network, or of one expert."""
    inner: int = 0
    """Width of the rows the experts see, where it differs from the hidden size; else 0."""
    experts: int = 0
    """Routed experts."""
    top_k: int = 0
    """Experts a token visits."""
    shared_width: int = 0
    """Inner width of the shared experts together."""
    matrices: int = 3
    """Matrices of a network: 3 if gated, else 2."""
    router_params: int = 0
    """Weights of the router with its biases."""
    other_params: int = 0
    """Biases, gates of the shared expert and projections around the experts."""
    other_active: int = 0
    """Part of those that every token meets."""

    def expert_params(self, hidden: int) -> int:
        """Return the matrix weights of one expert."""
        return self.matrices * (self.inner or hidden) * self.width

    def params(self, hidden: int) -> int:
        """Return all weights."""
        if self.kind == "none":
            return 0
        if self.kind == "dense":
            return self.matrices * hidden * self.width + self.other_params
        return (self.experts * self.expert_params(hidden) + self.matrices * hidden * self.shared_width
                + self.router_params + self.other_params)

    def active(self, hidden: int) -> int:
        """Return the weights that one token meets."""
        if self.kind != "moe":
            return self.params(hidden)
        return (self.top_k * self.expert_params(hidden) + self.matrices * hidden * self.shared_width
                + self.router_params + self.other_active)


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerGroup:
    """Layers of one kind."""

    count: int
    """How many there are."""
    attention: Attention
    """How they look back."""
    ffn: Ffn
    """What follows."""
    norm_params: int = 0
    """Weights of the layer's norms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A transformer by its shape."""

    name: str
    """Name of the configuration."""
    hidden: int
    """Width of the residual stream."""
    vocab: int
    """Entries of the vocabulary."""
    tied: bool
    """Whether the head shares the embedding's weights."""
    groups: tuple[LayerGroup, ...]
    """Layers by kind, in no particular order."""
    context: int
    """Longest context, 0 where not stated. [tokens]"""
    native: str
    """Precision of the published weights, an entry of `PRECISION`."""
    block: int = 0
    """Side of the square blocks that share a scale, 0 for none."""
    mtp_layers: int = 0
    """Layers that predict further tokens, kept apart from the main stack."""
    positions: int = 0
    """Learned positions, in weights."""
    group_limit: tuple[int, int] = (0, 0)
    """Groups of experts and how many of them a token may use; zeros for no limit."""
    notes: tuple[str, ...] = ()
    """What a reader should know of how it was read."""

    @property
    def layers(self) -> int:
        """Layers of the main stack."""
        return sum(g.count for g in self.groups)

    @property
    def embedding_params(self) -> int:
        """Weights of the input embedding."""
        return self.vocab * self.hidden

    @property
    def head_params(self) -> int:
        """Weights of the output head, 0 where it shares the embedding."""
        return 0 if self.tied else self.vocab * self.hidden

    def _stack(self, *, active: bool) -> int:
        return sum(g.count * (g.attention.matrix_params + g.attention.other_params + g.norm_params
                              + (g.ffn.active(self.hidden) if active else g.ffn.params(self.hidden)))
                   for g in self.groups)

    @property
    def params_total(self) -> int:
        """All weights of the main stack, embedding and head included; further-token layers left out."""
        return self._stack(active=False) + self.embedding_params + self.head_params + self.hidden + self.positions

    @property
    def params_active(self) -> int:
        """Weights that one token meets, embedding and head included."""
        return self._stack(active=True) + self.embedding_params + self.head_params + self.hidden + self.positions

    @property
    def params_mtp(self) -> int:
        """Weights of the further-token layers: a layer like the last one, two maps and three norms each."""
        if not self.mtp_layers:
            return 0
        last = self._mtp_like
        layer = (last.attention.matrix_params + last.attention.other_params + last.norm_params
                 + last.ffn.params(self.hidden))
        return self.mtp_layers * (layer + 2 * self.hidden**2 + 3 * self.hidden)

    @property
    def matrix_active(self) -> int:
        """Weights that multiply for one token: no embedding look-up, no norms."""
        body = sum(g.count * (g.attention.matrix_params + g.ffn.active(self.hidden)) for g in self.groups)
        return body + self.vocab * self.hidden

    @property
    def expert_params(self) -> int:
        """Weights of all routed experts."""
        return sum(g.count * g.ffn.experts * g.ffn.expert_params(self.hidden) for g in self.groups)

    @property
    def kv_elements_per_token(self) -> int:
        """Cached elements of one token over all layers that keep every token."""
        return sum(g.count * g.attention.kv_elements for g in self.groups
                   if not g.attention.window or g.attention.compress > 1)

    @property
    def state_bytes_per_request(self) -> float:
        """State of linear layers, in 32 bits. [B]"""
        return 4.0 * sum(g.count * g.attention.state for g in self.groups)

    def kv_bytes_per_token(self, bytes_per_element: float = 2.0) -> float:
        """Return the cache of one token, sliding layers counted in full. [B]"""
        return bytes_per_element * sum(g.count * g.attention.kv_elements for g in self.groups)

    def cache_bytes(self, context: Numeric, bytes_per_element: Numeric) -> Numeric:
        """Return the cache of one request: sliding layers stop at their window, linear ones keep a state. [B]"""
        total: Numeric = self.state_bytes_per_request
        for g in self.groups:
            tokens = held_tokens(g.attention, context)
            total = total + g.count * g.attention.kv_elements * bytes_per_element * tokens
        return total

    def core_flop_per_key(self, *, absorbed: bool) -> int:
        """Return the attention arithmetic of a query token per key it sees, all layers. [FLOP]"""
        return sum(g.count * g.attention.core_flop_per_key(absorbed=absorbed) for g in self.groups)

    def flops_per_token(self, context: float, *, decode: bool = True, head: bool = True) -> float:
        """Return the arithmetic of one token at a context: matrix products and attention. [FLOP]

        Parameters
        ----------
        context : float
            Keys that the token sees in decode; prompt length in prefill, whose mean token sees half.
        decode : bool
            Absorbed latent attention against all keys, or expanded against half of them.
        head : bool
            Whether the output head is counted.
        """
        require(context >= 0, "context", "be 0 or more", context)
        total = 2.0 * (self.matrix_active - (0 if head else self.vocab * self.hidden))
        for g in self.groups:
            a = g.attention
            keys = float(held_tokens(a, context))
            keys = min(keys, a.index_top) if a.index_top else keys
            per_key = a.core_flop_per_key(absorbed=decode)
            seen = keys if decode else (min(keys, (context + 1) / 2) if keys < context else (context + 1) / 2)
            total += g.count * (per_key * seen + 2.0 * a.index_heads * a.index_dim * (context if decode
                                                                                   else (context + 1) / 2))
        return total

    def weight_bytes(self, precision: str, *, mtp: bool = False) -> float:
        """Return the bytes of all weights at a precision: matrices at it, embedding, head, router, norms at 16 bits."""
        from chipcast.base.choose import choose

        matrix = choose(PRECISION, precision, "precision")
        quantised = self.quantised_params + (self._mtp_quantised() if mtp else 0)
        rest = self.params_total + (self.params_mtp if mtp else 0) - quantised
        experts = self.expert_params + (self._mtp_experts() if mtp else 0)
        return (experts * matrix.bytes_per_weight + (quantised - experts) * matrix.outside.bytes_per_weight
                + 2.0 * rest)

    @property
    def quantised_params(self) -> int:
        """Weights of attention projections, dense networks and experts: those that low precision touches."""
        return sum(g.count * (g.attention.matrix_params + g.ffn.params(self.hidden) - g.ffn.router_params
                              - g.ffn.other_params) for g in self.groups)

    @property
    def _mtp_like(self) -> LayerGroup:
        """Layers like which the further-token layers are built."""
        return next((g for g in reversed(self.groups) if g.ffn.kind == "moe"), self.groups[-1])

    def _mtp_quantised(self) -> int:
        last = self._mtp_like
        return self.mtp_layers * (last.attention.matrix_params + last.ffn.params(self.hidden)
                                  - last.ffn.router_params - last.ffn.other_params)

    def _mtp_experts(self) -> int:
        return self.mtp_layers * self._mtp_like.ffn.experts * self._mtp_like.ffn.expert_params(self.hidden)


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision:
    """How weights are stored and in what the matrix units count; of routed experts, where others differ."""

    bytes_per_weight: float
    """Bytes of a weight with its share of the scale. [B]"""
    arithmetic: str
    """fp8, int8 or bf16: the peak that counts."""
    activation_bytes: float
    """Bytes of an activation that enters a product. [B]"""
    cache_bytes: float
    """Bytes of a cached element as usually deployed. [B]"""
    other: Precision | None = None
    """Of attention, shared experts and dense networks, where theirs is another; None for the same."""

    @property
    def outside(self) -> Precision:
        """Precision of the products outside routed experts."""
        return self.other or self


PRECISION: dict[str, Precision] = {
    "bf16": Precision(bytes_per_weight=2.0, arithmetic="bf16", activation_bytes=2.0, cache_bytes=2.0),
    "fp8_block": Precision(bytes_per_weight=1 + 4 / 16384, arithmetic="fp8", activation_bytes=1.0, cache_bytes=2.0),
    "fp8": Precision(bytes_per_weight=1.0, arithmetic="fp8", activation_bytes=1.0, cache_bytes=2.0),
    "int8_channel": Precision(bytes_per_weight=1.0, arithmetic="int8", activation_bytes=1.0, cache_bytes=2.0),
    "w4a8": Precision(bytes_per_weight=0.5 + 2 / 128, arithmetic="int8", activation_bytes=1.0, cache_bytes=2.0),
    "w8a16": Precision(bytes_per_weight=1.0, arithmetic="bf16", activation_bytes=2.0, cache_bytes=2.0),
    "int4_group": Precision(bytes_per_weight=0.5 + 2 / 128, arithmetic="bf16", activation_bytes=2.0, cache_bytes=2.0),
    "mxfp4": Precision(bytes_per_weight=0.5 + 1 / 32, arithmetic="bf16", activation_bytes=2.0, cache_bytes=2.0),
    "fp4_block": Precision(bytes_per_weight=0.5 + 1 / 16, arithmetic="fp4", activation_bytes=0.5, cache_bytes=2.0),
}
"""Weights by precision: a block of 128 x 128 shares a 4-byte scale, a group of 128 a 2-byte one."""

MIXED = (("fp4_block", "fp8_block"), ("fp4_block", "bf16"), ("fp8_block", "bf16"), ("fp8", "bf16"),
         ("w4a8", "int8_channel"), ("int4_group", "bf16"), ("mxfp4", "bf16"), ("mxfp4", "fp8_block"))
"""Routed experts in the first, all other products in the second: as makers ship and operators run them."""

BESIDE_EXPERTS = {"fp4_block": "fp8_block", "w4a8": "int8_channel", "int4_group": "bf16", "mxfp4": "bf16"}
"""What attention and dense products usually keep where experts are packed into four bits."""

PRECISION.update({f"{a}+{b}": replace(PRECISION[a], other=PRECISION[b]) for a, b in MIXED})


def deployed(precision: str, model: Model) -> str:
    """Return the precision as operators run it on a model: packed experts leave attention wider (`BESIDE_EXPERTS`).

    >>> deployed("int4_group", load("kimi-k2.5")), deployed("int4_group", load("qwen3-32b"))
    ('int4_group+bf16', 'int4_group')
    """
    if model.native.startswith(f"{precision}+"):
        return model.native
    packed = precision in BESIDE_EXPERTS and any(g.ffn.kind == "moe" for g in model.groups)
    return f"{precision}+{BESIDE_EXPERTS[precision]}" if packed and model.native != precision else precision


@lru_cache(maxsize=256)
def load(name_or_path: str) -> Model:
    """Return a model by shipped name (`org__name` or bare, in any case), alias, or path of a `config.json`.

    Raises
    ------
    InputError
        If no such model ships and no such file exists, or the file lacks a field; the message names it.

    >>> load("deepseek-r1").params_total
    671026419200
    """
    from chipcast.tokens.config import read

    return read(name_or_path)
