"""Number formats of matrix units: bits, columns of the data, and where work runs if a chip lacks a format."""

from __future__ import annotations

from chipcast.base.catalog import folded

PRECISIONS = ("fp16", "bf16", "fp8", "int8", "fp4", "tf32")
"""Formats of the matrix units, dense."""

BITS = {"fp16": 16, "bf16": 16, "fp8": 8, "int8": 8, "fp4": 4, "tf32": 19}
"""Length of an input of the multiply. [bits]"""

COLUMN = {p: f"{p}_tops" if p == "int8" else f"{p}_tflops" for p in PRECISIONS}
"""Name of the figure of each format in the data."""

WIDER = {"fp4": ("fp8", "int8", "bf16", "fp16"), "fp8": ("int8", "bf16", "fp16"), "int8": ("fp8", "bf16", "fp16"),
         "bf16": ("fp16",), "fp16": ("bf16",), "tf32": ()}
"""Where work of a format runs if the chip has no such units, best first."""

MIXTURES = {"ascend-910b": ("ascend-910b1", "ascend-910b2", "ascend-910b3", "ascend-910b4")}
"""Names without a bin and the bins behind them; weights are rows `<name>.bin_weight_*`."""

MIXTURE_ALIASES = {"910b": "ascend-910b"}
"""Other words for a name without a bin."""


def mixture(name: str) -> str:
    """Return the name without a bin that is meant, in any way of writing it; empty where there is none.

    >>> mixture("Huawei Ascend 910B"), mixture("910B3")
    ('ascend-910b', '')
    """
    words = {folded(n): n for n in MIXTURES} | {folded(a): n for a, n in MIXTURE_ALIASES.items()}
    return words.get(folded(name), "")
