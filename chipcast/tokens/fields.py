"""Fields of one `config.json`: foreign names are mapped here, a missing one is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chipcast.base.errors import InputError

Config = Mapping[str, Any]

OTHER_NAMES = {
    "hidden_size": ("n_embd", "d_model"), "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
    "num_attention_heads": ("n_head", "n_heads"), "vocab_size": ("padded_vocab_size",),
    "intermediate_size": ("n_inner", "ffn_dim", "ffn_hidden_size", "d_ff"),
    "num_key_value_heads": ("multi_query_group_num", "n_head_kv", "num_kv_heads"),
    "head_dim": ("kv_channels",), "num_experts_per_tok": ("moe_topk", "moe_k", "num_experts_per_token"),
    "num_experts": ("moe_num_experts",), "num_shared_experts": ("num_shared_expert", "moe_num_shared_experts"),
    "max_position_embeddings": ("n_positions", "n_ctx", "seq_length", "model_max_length"),
}
"""Names that other configurations use for the same thing; our own stands first where both are there."""


def renamed(tree: Config) -> Config:
    """Return a configuration with its foreign names mapped to the usual ones."""
    out = dict(tree)
    for usual, others in OTHER_NAMES.items():
        if out.get(usual) is None:
            found = next((out[k] for k in others if out.get(k) is not None), None)
            if found is not None:
                out[usual] = found
    return out


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
            if isinstance(value, list) and value:
                if len({str(v) for v in value}) > 1:
                    raise InputError(f"{self.label}: {name} differs between layers, which is not read; give one number")
                value = value[0]
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
