"""What takes a step's time, operation by operation, and what would shorten it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from chipcast.base.types import Numeric
from chipcast.tokens.model import PRECISION, Model
from chipcast.tokens.ops import Load, Plan, step_ops
from chipcast.tokens.step import PARTS, Speed, step_time, traffic_s

REMEDY: Mapping[str, str] = {"compute": "twice the matrix rate", "memory": "twice the memory bandwidth",
                             "link": "twice the links", "overhead": "half the launch and host time"}
"""What halves each part of `PARTS`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """One operation or message of a step."""

    name: str
    """Of the operation."""
    seconds: float
    """Its part of the step. [s]"""
    share: float
    """The same over the step. [1]"""
    bound_by: str
    """Entry of `PARTS`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """One step, taken apart at the medians."""

    total_s: float
    """Time of the step. [s]"""
    parts: Mapping[str, float]
    """Share by `PARTS`; they add to 1."""
    operations: tuple[Share, ...]
    """By operation, longest first; seconds add to the step."""

    @property
    def bound_by(self) -> str:
        """Entry of `PARTS` that takes most."""
        return max(PARTS, key=lambda k: self.parts[k])

    @property
    def levers(self) -> tuple[dict[str, str | float], ...]:
        """What would shorten the step and by which share, most first."""
        worth = sorted(((v / 2, REMEDY[k]) for k, v in self.parts.items() if v >= 0.02), reverse=True)
        return tuple({"change": word, "shorter_step": share} for share, word in worth)


def account(model: Model, plan: Plan, speed: Speed, precision: str, load: Load, *, requests: Numeric = 0.0) -> Account:
    """Return what one step spends on each operation; the sum is that of `step_time`.

    Parameters
    ----------
    speed : Speed
        Of one draw, at the medians.
    requests : numeric
        Requests of an attention group, for the host's work.

    Notes
    -----
    Messages that hide behind work are charged with what stays exposed, in proportion to their own times.
    """
    kind = PRECISION[precision]
    ops, messages = step_ops(model, plan, load, kind, tile=speed.tile, domain=speed.domain)
    whole = step_time(ops, messages, plan, kind, speed, layers=model.layers, replica_requests=requests, parts=True)
    bare = replace(speed, launch_s=0.0, layer_s=0.0, host_s=0.0, request_s=0.0)
    seconds: dict[tuple[str, str], float] = {}
    for op in ops:
        one = step_time((op,), (), plan, kind, bare, layers=0, parts=True)
        bound = max(("compute", "memory"), key=lambda k: float(np.max(one.parts_s[k])))
        seconds[op.name, bound] = seconds.get((op.name, bound), 0.0) + float(np.max(one.total_s))
    raw: dict[str, float] = {}
    for message in messages:
        link, exchange = traffic_s((message,), plan, speed)
        raw[message.name] = raw.get(message.name, 0.0) + float(np.max(link)) + float(np.max(exchange))
    exposed, sent = float(np.max(whole.parts_s["link"])), sum(raw.values())
    for name, t in raw.items():
        if t > 0:
            seconds[name, "link"] = exposed * t / sent
    seconds["launches and host", "overhead"] = float(np.max(whole.parts_s["overhead"]))
    total = float(np.max(whole.total_s))
    shares = tuple(Share(name=n, seconds=t, share=t / total, bound_by=b)
                   for (n, b), t in sorted(seconds.items(), key=lambda x: -x[1]) if t > 0)
    return Account(total_s=total, operations=shares,
                   parts={k: float(np.max(whole.parts_s[k])) / total for k in PARTS})
