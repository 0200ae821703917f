"""What takes a step's time, operation by operation, and what would shorten it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from chipcast.base.types import Numeric
from chipcast.tokens.model import PRECISION, Model
from chipcast.tokens.ops import Load, Plan, step_ops
from chipcast.tokens.step import PARTS, Speed, Step, step_time, traffic_s

FASTER: Mapping[str, Callable[[Speed], Speed]] = {
    "twice the matrix rate": lambda s: replace(s, peak={k: 2 * np.asarray(v) for k, v in s.peak.items()}),
    "twice the memory bandwidth": lambda s: replace(s, memory_bytes_s=2 * np.asarray(s.memory_bytes_s)),
    "twice the rate of links": lambda s: replace(s, link_bytes_s=(2 * np.asarray(s.link_bytes_s[0]),
                                                                  2 * np.asarray(s.link_bytes_s[1]))),
    "half the latency of messages": lambda s: replace(s, alpha_s=(0.5 * np.asarray(s.alpha_s[0]),
                                                                  0.5 * np.asarray(s.alpha_s[1]))),
    "half the launch and host time": lambda s: replace(
        s, launch_s=0.5 * np.asarray(s.launch_s), layer_s=0.5 * np.asarray(s.layer_s),
        host_s=0.5 * np.asarray(s.host_s), request_s=0.5 * np.asarray(s.request_s)),
}
"""What could be better of a machine and its software, by what it would be."""

LEAST_LEVER = 0.01
"""What would shorten a step by less is not named. [1]"""


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
    levers: tuple[dict[str, str | float], ...]
    """What would shorten the step and by which share, most first."""

    @property
    def bound_by(self) -> str:
        """Entry of `PARTS` that takes most."""
        return max(PARTS, key=lambda k: self.parts[k])


def levers_of(seconds: Callable[[Speed], Numeric], speed: Speed,
              more: Mapping[str, Numeric] | None = None) -> tuple[dict[str, str | float], ...]:
    """Return what would shorten a step and by which share, most first, each change priced anew.

    Parameters
    ----------
    seconds : callable
        Maps a machine to the time of the step. [s]
    more : mapping, optional
        Times under changes that are none of the machine's, by what they are. [s]
    """
    now = float(np.max(seconds(speed)))
    times = {word: float(np.max(seconds(change(speed)))) for word, change in FASTER.items()}
    times |= {word: float(np.max(t)) for word, t in (more or {}).items()}
    worth = sorted(((1 - t / now, word) for word, t in times.items() if 1 - t / now >= LEAST_LEVER), reverse=True)
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

    def step(machine: Speed) -> Step:
        return step_time(ops, messages, plan, kind, machine, layers=model.layers, replica_requests=requests, parts=True)

    whole = step(speed)
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
    return Account(total_s=total, operations=shares, levers=levers_of(lambda s: step(s).total_s, speed),
                   parts={k: float(np.max(whole.parts_s[k])) / total for k in PARTS})
