"""How does a pipeline of stages fill and drain: idle time, copies of the weights, activations in flight, legality.

F is the forward of one micro-batch on a stage, B its whole backward, W the weight-gradient part of B. Sources:
Megatron 2104.04473; zero bubble 2401.10241 (whose B is the input gradient alone); DualPipe 2412.19437.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.types import Numeric

Idle = Callable[[Numeric, Numeric, Numeric, Numeric, Numeric, Numeric], Numeric]
"""Maps stages p, F, B, W, pieces v and micro-batches m to idle time."""


def _fill(p: Numeric, f: Numeric, b: Numeric, w: Numeric, v: Numeric, m: Numeric) -> Numeric:
    """Idle time of GPipe and 1F1B: (p-1)(F+B)."""
    return (p - 1) * (f + b)


def _interleaved(p: Numeric, f: Numeric, b: Numeric, w: Numeric, v: Numeric, m: Numeric) -> Numeric:
    """Idle time with v pieces a stage: (p-1)(F+B)/v."""
    return (p - 1) * (f + b) / v


def _zero_bubble(p: Numeric, f: Numeric, b: Numeric, w: Numeric, v: Numeric, m: Numeric) -> Numeric:
    """Idle time of ZB1P: (p-1)(F+B-2W)."""
    return (p - 1) * np.maximum(f + b - 2 * w, 0.0)


def _dualpipe(p: Numeric, f: Numeric, b: Numeric, w: Numeric, v: Numeric, m: Numeric) -> Numeric:
    """Idle time of DualPipe, the overlapped pair F&B as long as F + B: (p/2-1)(F&B + B - 3W)."""
    return np.maximum(p / 2 - 1, 0.0) * np.maximum((f + b) + b - 3 * w, 0.0)


SCHEDULES: dict[str, Idle] = {"gpipe": _fill, "1f1b": _fill, "interleaved": _interleaved, "zb1p": _zero_bubble,
                              "dualpipe": _dualpipe}
"""Idle time of a step by pipeline schedule."""

InFlight = Callable[[Numeric, Numeric, Numeric], Numeric]
"""Maps stages p, pieces v and micro-batches m to activations held, in micro-batches of one stage."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Burden:
    """What a schedule asks of memory."""

    weights: float
    """Copies of the weights on a rank."""
    in_flight: InFlight
    """Micro-batches whose activations the fullest stage holds, each of its own layers. [1]"""


BURDEN: Mapping[str, Burden] = {
    "gpipe": Burden(weights=1.0, in_flight=lambda p, v, m: m),
    "1f1b": Burden(weights=1.0, in_flight=lambda p, v, m: np.minimum(p, m)),
    "interleaved": Burden(weights=1.0, in_flight=lambda p, v, m: np.where(
        np.asarray(v) > 1, p * (1 + (p - 1) / (p * v)), np.minimum(p, m))[()]),
    "zb1p": Burden(weights=1.0, in_flight=lambda p, v, m: np.minimum(p, m)),
    "dualpipe": Burden(weights=2.0, in_flight=lambda p, v, m: np.where(np.asarray(p) > 1, p + 1.0, 1.0)[()]),
}
"""Memory of every entry of `SCHEDULES`."""


def idle_s(schedule: str, p: Numeric, f: Numeric, b: Numeric, w: Numeric, v: Numeric, m: Numeric) -> Numeric:
    """Return the idle time of a step by an entry of `SCHEDULES`. [s]

    >>> [float(idle_s(k, 16, 1.0, 2.0, 1.0, 1, 64)) for k in ("1f1b", "zb1p", "dualpipe")]
    [45.0, 15.0, 14.0]
    """
    return choose(SCHEDULES, schedule, "pipeline schedule")(p, f, b, w, v, m)


def why_not(schedule: str, *, layers: int, pp: int, virtual: int, micro_batches: float) -> str:
    """Return why a schedule cannot run so, or an empty text.

    >>> why_not("dualpipe", layers=61, pp=3, virtual=1, micro_batches=12)
    'dualpipe needs an even number of stages, got 3'
    """
    choose(SCHEDULES, schedule, "pipeline schedule")
    if pp > layers:
        return f"pp {pp} is more than the {layers} layers"
    if pp == 1:
        return ""
    if schedule == "interleaved" and virtual * pp > layers:
        return f"{virtual} pieces on each of {pp} stages are more than the {layers} layers"
    if schedule == "interleaved" and virtual > 1 and micro_batches % pp:
        return f"interleaving needs micro-batches in multiples of the {pp} stages, got {micro_batches:g}"
    if schedule == "dualpipe" and pp % 2:
        return f"dualpipe needs an even number of stages, got {pp}"
    if schedule == "dualpipe" and micro_batches < 2 * pp:
        return f"dualpipe needs at least {2 * pp} micro-batches on {pp} stages, got {micro_batches:g}"
    return ""
