"""How far a chip is from a line: slack through "and" and "or", and which comparison decides.

Slack is the signed distance to the line in logs, above 0 where the test does not catch; "and" takes the largest, "or"
the smallest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chipcast.rules.expr import (
    QUANTITIES,
    And,
    Compare,
    Flag,
    Interval,
    Label,
    Node,
    Not,
    Or,
    Values,
    fold,
    total,
)


def slack(node: Node, values: Values) -> Interval:
    """Return the ends of the slack: ln of the common factor to the line, above 0 where the test does not catch.

    Notes
    -----
    For a part `x >= limit` slack is ln(limit / x); "and" takes the largest, "or" the smallest: the smallest common
    relative change of all figures that crosses the line. A flag has no distance: it is -inf where it holds, +inf where
    it does not.
    """
    return _distance(node, values, lambda x: fold(np.maximum, x), lambda x: fold(np.minimum, x))


def slack_euclid(node: Node, values: Values) -> Interval:
    """Return the ends of the slack where figures change by different factors: the Euclidean distance in logs.

    Notes
    -----
    To catch by "and" all parts that do not hold must be crossed, to free from "or" all that do; the root of the sum
    of their squares. It equals `slack` where one part alone stands in the way, and is never nearer to 0.
    """
    return _distance(node, values, _norm, lambda x: -_norm([-part for part in x]))


SLACKS: dict[str, Callable[[Node, Values], Interval]] = {"log_box": slack, "euclid_log": slack_euclid}
"""Distances to a line: by one common factor, or by one factor a figure; the native one is in the unit of the line."""


def _norm(items: list[Any]) -> Any:
    """Return the root of the sum of squares of what is above 0, or the largest where nothing is."""
    parts = np.stack(np.broadcast_arrays(*[np.asarray(x, dtype=float) for x in items]))
    far = np.sqrt(np.sum(np.where(parts > 0, parts, 0.0) ** 2, axis=0))
    return np.where(np.any(parts > 0, axis=0), far, parts.max(axis=0))


Join = Callable[[list[Any]], Any]
"""How distances of parts make one of the whole."""


def _distance(node: Node, values: Values, both: Join, some: Join) -> Interval:
    match node:
        case Compare(names, op, limit):
            low, high = total(names, values)
            with np.errstate(divide="ignore"):
                near, far = np.log(limit) - np.log(high), np.log(limit) - np.log(low)
            return (near, far) if op in (">=", ">") else (-far, -near)
        case Flag(name):
            low, high = values.get(name, (0, 1))
            return np.where(np.asarray(high) >= 1, -np.inf, np.inf), np.where(np.asarray(low) >= 1, -np.inf, np.inf)
        case Not(part):
            low, high = _distance(part, values, both, some)
            return -high, -low
        case Label(_, part):
            return _distance(part, values, both, some)
        case And(parts) | Or(parts):
            ends = [_distance(p, values, both, some) for p in parts]
            join = both if isinstance(node, And) else some
            return join([e[0] for e in ends]), join([e[1] for e in ends])


@dataclass(frozen=True, slots=True)
class Reason:
    """Which comparison decides a test at one point, and how far it is away."""

    slack: float
    """Signed log distance at the end of the interval that was asked for; above 0 is free. [1]"""
    prong: str
    """Name of the prong, empty where the rule has one only."""
    names: tuple[str, ...]
    """Quantities of the deciding comparison; empty for a flag."""
    op: str
    """Its operator."""
    limit: float
    """Its line. [unit of the quantities]"""

    @property
    def unit(self) -> str:
        """Unit of the line."""
        return QUANTITIES[self.names[0]] if self.names else ""


def reason(node: Node, values: Values, *, end: int = 1, prong: str = "") -> Reason:
    """Follow the deciding path of a test for one chip: the far end of slack (`end` 1) or the near one (0)."""
    match node:
        case Compare(names, op, limit):
            return Reason(float(slack(node, values)[end]), prong, names, op, limit)
        case Flag(name):
            return Reason(float(slack(node, values)[end]), prong, (), name, math.nan)
        case Not(part):
            inner = reason(part, values, end=1 - end, prong=prong)
            return Reason(-inner.slack, inner.prong, inner.names, inner.op, inner.limit)
        case Label(name, part):
            return reason(part, values, end=end, prong=name)
        case And(parts):
            return max((reason(p, values, end=end, prong=prong) for p in parts), key=lambda r: r.slack)
        case Or(parts):
            return min((reason(p, values, end=end, prong=prong) for p in parts), key=lambda r: r.slack)


