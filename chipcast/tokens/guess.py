"""A model without a configuration: its shape from a short table, or guessed from the size in its name."""

from __future__ import annotations

import re
from functools import lru_cache

from chipcast.base.catalog import read_table
from chipcast.base.errors import InputError
from chipcast.tokens.config import find
from chipcast.tokens.model import Attention, Ffn, LayerGroup, Model, load

ASPECT = 100.0
"""Width over depth of a usual transformer, times one."""

SIZE = r"(?<![\dx.])(\d+(?:\.\d+)?)\s*(t|b|m)\d?(?![a-z0-9.])(?:[-_ ]?a(\d+(?:\.\d+)?)b)?"
"""A size in a name, such as 70b or 235b-a22b."""

VOCABULARY = 128000
"""Entries of a usual vocabulary."""

@lru_cache(maxsize=1024)
def model_for(name: str) -> tuple[Model, str]:
    """Return a model by name, and in words what was assumed of its shape (empty where its configuration ships).

    Raises
    ------
    InputError
        If the name is unknown and carries no size such as 70B or 235B-A22B.
    """
    try:
        return load(str(find(name))), ""
    except InputError as problem:
        bare = plain_name(name)
        twins = {r["name"]: r["twin"] for r in read_table("twins")}
        if bare in twins:
            twin = twins[bare]
            return (_table(twin) or load(twin)), f"shape of {name} taken as that of {twin}"
        shape = _table(bare)
        if shape is not None:
            return shape, ""
        try:
            return load(str(find(bare))), f"{name} read as {bare}"
        except InputError:
            pass
        size = re.search(SIZE, bare)
        if not size:
            raise InputError(f"{problem}; a name with a size such as 70B or 235B-A22B would let the shape be "
                             "guessed") from None
        total = float(size.group(1)) * {"t": 1e12, "b": 1e9, "m": 1e6}[size.group(2)]
        active = float(size.group(3)) * 1e9 if size.group(3) else 0.0
        return guessed(name, total, active), f"shape of {name} guessed from its size"


def plain_name(name: str) -> str:
    """Return a model's name without maker, remarks, precision and the words that mark later weights of one shape.

    >>> plain_name("Qwen/QwQ-32B-FP8 (W8A8)")
    'qwq-32b'
    """
    bare = re.sub(r"\s*\(.*?\)", "", name.strip().lower()).rpartition("/")[2]
    bare = re.sub(r"[-_ ](fp8|bf16|fp16|int8|int4|awq|gptq|nvfp4|mxfp4|instruct|chat|hf|base|it|mtp|quarot|"
                  r"w\da\d+(c8)?|v0\.\d)(?![a-z0-9])", "", bare)
    return re.sub(r"[\s_]+", "-", bare).strip("-")


def _table(name: str) -> Model | None:
    for row in read_table("shapes"):
        if row["name"] == name:
            n = {k: int(v) for k, v in row.items() if k not in ("name", "known_by", "source")}
            return dense_model(name, n["layers"], n["hidden"], n["heads"], n["kv_heads"], n["width"], n["vocab"],
                               matrices=n["matrices"], tied=bool(n["tied"]), positions=n["positions"])
    return None


def dense_model(name: str, layers: int, hidden: int, heads: int, kv_heads: int, width: int, vocab: int, *,
                matrices: int = 3, tied: bool = False, positions: int = 0, context: int = 0) -> Model:
    """Return a dense model from its shape."""
    d = hidden // heads
    a = Attention(kind="gqa", heads=heads, kv_heads=kv_heads, key_dim=d, value_dim=d,
                  matrix_params=2 * hidden * d * (heads + kv_heads))
    group = LayerGroup(count=layers, attention=a, ffn=Ffn(kind="dense", width=width, matrices=matrices))
    return Model(name=name, hidden=hidden, vocab=vocab, tied=tied, groups=(group,), context=context, native="bf16",
                 positions=positions * hidden)


def guessed(name: str, total: float, active: float) -> Model:
    """Return a usual shape of a size: dense, or with experts where the active size is smaller."""
    core = active or total
    step = 1024 if core > 4e9 else 256
    hidden = max(256, round((core * ASPECT / 12.0) ** (1 / 3) / step) * step)
    layers = max(4, round(core / (12.0 * hidden**2)))
    heads = max(hidden // 128, 2)
    kv = 8 if heads % 8 == 0 else heads
    hybrid = re.search(r"qwen3\.[5-9]|qwen3-next", name.lower())
    if (not active or active >= total) and not hybrid:
        ends = 2 * VOCABULARY * hidden if total > 4e9 else VOCABULARY * hidden
        attention = 2 * hidden * (hidden // heads) * (heads + kv)
        width = max(hidden, round(((total - ends) / layers - attention) / (3 * hidden) / 64) * 64)
        return dense_model(name, layers, hidden, heads, kv, width, VOCABULARY, tied=total <= 4e9)
    a = Attention(kind="gqa", heads=heads, kv_heads=kv, key_dim=hidden // heads, value_dim=hidden // heads,
                  matrix_params=2 * hidden * (hidden // heads) * (heads + kv))
    if not active or active >= total:
        dense = Ffn(kind="dense", width=round(hidden * 3.2 / 256) * 256)
        return _hybrid(name, hidden, layers, a, dense)
    experts, top = 128, 8
    width = max(128, round((total / layers) / (3 * hidden * experts) / 128) * 128)
    x = Ffn(kind="moe", width=width, experts=experts, top_k=top, router_params=hidden * experts)
    if hybrid:
        return _hybrid(name, hidden, layers, a, x)
    return Model(name=name, hidden=hidden, vocab=VOCABULARY, tied=False, native="bf16", context=0,
                 groups=(LayerGroup(count=layers, attention=a, ffn=x),))


def _hybrid(name: str, hidden: int, layers: int, full: Attention, x: Ffn) -> Model:
    """Return a model of three linear layers to one of full attention, as the family of that name is built."""
    linear = Attention(kind="linear", heads=32, key_dim=128, value_dim=128, matrix_params=full.matrix_params,
                       state=32 * 128 * 128)
    few = max(layers // 4, 1)
    return Model(name=name, hidden=hidden, vocab=VOCABULARY, tied=False, native="bf16", context=0,
                 groups=(LayerGroup(count=few, attention=full, ffn=x),
                         LayerGroup(count=max(layers - few, 1), attention=linear, ffn=x)))
