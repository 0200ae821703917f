"""Intervals over draws, and the JSON that leaves the program."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.types import Numeric

QUANTILES = (0.05, 0.50, 0.95)


def interval(values: Numeric) -> dict[str, float]:
    """Return the 5th, 50th and 95th percentile over the last axis of a `[draw]` array."""
    p05, p50, p95 = np.quantile(np.asarray(values, dtype=float), QUANTILES)
    return {"p05": float(p05), "p50": float(p50), "p95": float(p95)}


def intervals(values: Numeric) -> list[dict[str, float]]:
    """Return one interval per row of a `[row draw]` array."""
    table = np.quantile(np.asarray(values, dtype=float), QUANTILES, axis=-1)
    return [{"p05": float(a), "p50": float(b), "p95": float(c)} for a, b, c in table.T]


def plain(value: Any) -> Any:
    """Turn arrays, NumPy numbers and records into what JSON can carry; not-a-number becomes null."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | int | bool) or value is None:
        return value
    if isinstance(value, Sequence | set | frozenset):
        return [plain(v) for v in value]
    return str(value)


def to_json(value: Any) -> str:
    """Return one JSON text, keys in the order given."""
    return json.dumps(plain(value), ensure_ascii=False, indent=1, allow_nan=False)


def short(x: float, digits: int = 3) -> str:
    """Print a number for a reader: three significant digits, thousands as k, M, bn.

    >>> short(1234567)
    '1.23M'
    """
    if not math.isfinite(x):
        return "-"
    size = abs(float(f"{x:.{digits}g}"))
    for limit, suffix in ((1e12, "T"), (1e9, "bn"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            return _digits(x / (1e3 if suffix == "k" else limit), digits) + suffix
    return _digits(x, digits)


def _digits(x: float, digits: int) -> str:
    """Print `x` with so many significant digits and never an exponent for 0.0001 to 1e6."""
    rounded = float(f"{x:.{digits}g}")
    return f"{rounded:.0f}" if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:.{digits}g}"


def span(values: Mapping[str, float] | Numeric, digits: int = 3) -> str:
    """Print an interval as `median (p05 to p95)`."""
    v = values if isinstance(values, Mapping) else interval(values)
    return f"{short(v['p50'], digits)} ({short(v['p05'], digits)} to {short(v['p95'], digits)})"
