"""Laws of uncertain numbers: literals at the door, inverse distribution functions inside.

Low and high of every law are its 5th and 95th percentile. A law maps uniforms to values, so that the
stream of uniforms alone decides what a draw sees (no law has a generator of its own).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special

from chipcast.base.choose import choose
from chipcast.base.errors import InputError, require
from chipcast.base.types import Array
from chipcast.base.units import UNITS, parse_quantity

Z95 = 1.6448536269514722
"""95th percentile of the standard normal."""

SHARES = ("yield", "share", "efficiency", "probability", "survival")


@dataclass(frozen=True, kw_only=True, slots=True)
class Law:
    """How one number is uncertain."""

    family: str
    """Entry of `FAMILIES`."""
    low: float
    """5th percentile, in the unit of the row; the value itself for `point`."""
    mode: float
    """Central value; the median for log-normal, normal and logit-normal."""
    high: float
    """95th percentile."""
    parts: tuple[tuple[float, Law], ...] = ()
    """Weights and laws of a `mix`."""
    note: str = ""
    """What was cut or changed at the door."""

    def at(self, uniforms: Array) -> Array:
        """Return the values at these uniforms in (0, 1), any shape."""
        values: Array = choose(FAMILIES, self.family, "law")(self, np.asarray(uniforms, dtype=float))
        return values

    @property
    def fixed(self) -> bool:
        """Whether the law has one value only."""
        return self.family == "point" or (self.family != "mix" and self.low == self.mode == self.high)

    @property
    def middle(self) -> float:
        """The median of the law."""
        return float(self.at(np.array([0.5]))[0])


def point(value: float) -> Law:
    """Return the law of a number that is taken as known."""
    return Law(family="point", low=value, mode=value, high=value)


def law_of_row(family: str, low: float, mode: float, high: float, name: str) -> Law:
    """Return the law of a data row (low, mode, high) after checking that the three are in order.

    Raises
    ------
    InputError
        If the family is unknown, the order is wrong, or the family cannot hold the range.
    """
    choose(FAMILIES, family, "law")
    require(low <= mode <= high, name, "have low <= mode <= high", (low, mode, high))
    if low == high:
        return point(mode)
    if family == "lognormal":
        require(low > 0, name, "be above 0 for a log-normal law", low)
    if family in ("beta", "logitnormal"):
        require(low > 0 and high < 1, name, f"lie inside 0 to 1 for a {family} law", (low, high))
    return Law(family=family, low=low, mode=mode, high=high)


def _point(law: Law, u: Array) -> Array:
    return np.full(u.shape, law.mode)


def _normal(law: Law, u: Array) -> Array:
    mean, sd = (law.low + law.high) / 2, (law.high - law.low) / (2 * Z95)
    values: Array = mean + sd * special.ndtri(u)
    return values


def _lognormal(law: Law, u: Array) -> Array:
    a, b = math.log(law.low), math.log(law.high)
    values: Array = np.exp((a + b) / 2 + (b - a) / (2 * Z95) * special.ndtri(u))
    return values


def _logitnormal(law: Law, u: Array) -> Array:
    a, b = special.logit(law.low), special.logit(law.high)
    values: Array = special.expit((a + b) / 2 + (b - a) / (2 * Z95) * special.ndtri(u))
    return values


def _uniform(law: Law, u: Array) -> Array:
    width = (law.high - law.low) / 0.9
    return law.low - 0.05 * width + width * u


def _triangular(law: Law, u: Array) -> Array:
    a, c, b = triangle(law.low, law.mode, law.high)
    split = (c - a) / (b - a)
    return np.where(u < split, a + np.sqrt(u * (b - a) * (c - a)), b - np.sqrt((1 - u) * (b - a) * (b - c)))


@lru_cache(maxsize=4096)
def triangle(low: float, mode: float, high: float) -> tuple[float, float, float]:
    """Return the corners (a, mode, b) of the triangular law whose 5th and 95th percentiles are given.

    With a the left and b the right arm, a^2 = 0.05 and b^2 = 0.05 of the whole in units of width x arm:
    (low - a)^2 = 0.05 (b - a)(mode - a) and (b - high)^2 = 0.05 (b - a)(b - mode), solved by fixed point.
    When the mode sits on an end (a percentile equals the mode) that arm is extended until it holds 5 %.
    """
    a, b = low - 0.3 * (mode - low), high + 0.3 * (high - mode)
    for _ in range(400):
        width = b - a
        a_new = low - math.sqrt(0.05 * width * max(mode - a, 0.0))
        b_new = high + math.sqrt(0.05 * width * max(b - mode, 0.0))
        if abs(a_new - a) + abs(b_new - b) < 1e-13 * max(1.0, abs(width)):
            a, b = a_new, b_new
            break
        a, b = a_new, b_new
    return a, mode, b


def _discrete(law: Law, u: Array) -> Array:
    """Three points with weights 0.25, 0.5, 0.25 (an assumption, said in the row's reason)."""
    return np.where(u < 0.25, law.low, np.where(u < 0.75, law.mode, law.high))


def _beta(law: Law, u: Array) -> Array:
    z_nodes, q, slope = _beta_table(*beta_shapes(law.low, law.high))
    z = np.clip(special.ndtri(u), z_nodes[0], z_nodes[-1])
    step = z_nodes[1] - z_nodes[0]
    i = np.minimum(((z - z_nodes[0]) / step).astype(int), len(z_nodes) - 2)
    t = (z - z_nodes[i]) / step
    h00, h10 = (1 + 2 * t) * (1 - t) ** 2, t * (1 - t) ** 2
    h01, h11 = t * t * (3 - 2 * t), t * t * (t - 1)
    y = h00 * q[i] + h10 * step * slope[i] + h01 * q[i + 1] + h11 * step * slope[i + 1]
    values: Array = special.expit(y)
    return values


@lru_cache(maxsize=4096)
def beta_shapes(low: float, high: float) -> tuple[float, float]:
    """Return (a, b) of the beta law whose 5th and 95th percentiles are `low` and `high`.

    Newton in (log a, log b) from the logit-normal moments; quantile errors end below 1e-9.
    """
    mid = special.expit((special.logit(low) + special.logit(high)) / 2)
    sd = (high - low) / (2 * Z95)
    total = max(mid * (1 - mid) / sd**2 - 1, 0.3)
    x = np.log([mid * total, (1 - mid) * total])

    def miss(p: Array) -> Array:
        a, b = np.exp(p)
        return np.array([special.betainc(a, b, low) - 0.05, special.betaincc(a, b, high) - 0.05])

    for _ in range(60):
        f = miss(x)
        if np.max(np.abs(f)) < 1e-12:
            break
        jac = np.empty((2, 2))
        for k in range(2):
            d = np.zeros(2)
            d[k] = 1e-5
            jac[:, k] = (miss(x + d) - miss(x - d)) / 2e-5
        step = np.linalg.solve(jac, f)
        x = x - step * min(1.0, 0.7 / max(float(np.max(np.abs(step))), 1e-12))
    a, b = np.exp(x)
    return float(a), float(b)


@lru_cache(maxsize=4096)
def _beta_table(a: float, b: float) -> tuple[Array, Array, Array]:
    """Return nodes in z = ndtri(u), the logit of the beta quantile there, and its slope in z.

    Cubic Hermite between 400 nodes over -8.3 to 8.3 meets `betaincinv` to better than 1e-7.
    """
    z = np.linspace(-8.3, 8.3, 401)
    lower = special.betaincinv(a, b, special.ndtr(z))
    upper = special.betaincinv(b, a, special.ndtr(-z))
    q = np.where(z < 0, np.clip(lower, 1e-300, None), 1 - upper)
    rest = np.where(z < 0, 1 - lower, np.clip(upper, 1e-300, None))
    log_pdf = (a - 1) * np.log(q) + (b - 1) * np.log(rest) - special.betaln(a, b)
    slope = np.exp(-z * z / 2 - 0.5 * math.log(2 * math.pi) - log_pdf - np.log(q) - np.log(rest))
    return z, np.log(q) - np.log(rest), slope


def _mix(law: Law, u: Array) -> Array:
    """The part is chosen by where the uniform falls, the value by how far it lies inside that part."""
    out = np.empty(u.shape)
    weights = np.array([w for w, _ in law.parts])
    edges = np.concatenate([[0.0], np.cumsum(weights / weights.sum())])
    edges[-1] = 1.0
    for k, (_, part) in enumerate(law.parts):
        inside = (u >= edges[k]) & (u < edges[k + 1]) if k < len(law.parts) - 1 else u >= edges[k]
        v = np.clip((u[inside] - edges[k]) / (edges[k + 1] - edges[k]), 2.0**-53, 1 - 2.0**-53)
        out[inside] = part.at(v)
    return out


FAMILIES: dict[str, Callable[[Law, Array], Array]] = {
    "point": _point, "normal": _normal, "lognormal": _lognormal, "logitnormal": _logitnormal,
    "uniform": _uniform, "triangular": _triangular, "discrete": _discrete, "beta": _beta, "mix": _mix,
}
"""Inverse distribution function of each family; low and high are percentiles 5 and 95."""

INTERVAL = re.compile(r"^\s*(.+?)\s+to\s+(.+?)\s*$")


def parse_law(text: Any, unit: str, name: str, *, bounds: tuple[float, float] = (-math.inf, math.inf)) -> Law:
    """Read a literal of a scenario or an option as a law in `unit`.

    `12`, `9k to 12k` (90 percent interval), `30 %`, `{low:, mode:, high:}` (triangular) and
    `{mix: {name: {weight:, value:}}}` are understood.

    Raises
    ------
    InputError
        If the literal cannot be read, its ends are in the wrong order, or a unit does not fit.
    """
    if isinstance(text, Mapping):
        if "mix" in text:
            return _parse_mix(text["mix"], unit, name, bounds)
        if set(text) == {"low", "mode", "high"}:
            a, c, b = (parse_quantity(text[k], unit, f"{name}.{k}") for k in ("low", "mode", "high"))
            require(a <= c <= b, name, "have low <= mode <= high", (a, c, b))
            require(bounds[0] <= a and b <= bounds[1], name, f"lie within {bounds[0]:g} to {bounds[1]:g}", (a, b))
            if a == b:
                return point(a)
            left, _, right = triangle(a, c, b)
            note = ""
            if left < bounds[0] or right > bounds[1]:
                return Law(family="mix", low=a, mode=c, high=b, note="cut at the bounds of the unit",
                           parts=((1.0, _cut(a, c, b, bounds)),))
            return Law(family="triangular", low=a, mode=c, high=b, note=note)
        raise InputError(f"{name}: write a number, 'LOW to HIGH', or low:, mode: and high: together; got keys "
                         + ", ".join(map(str, text)))
    match = INTERVAL.match(text) if isinstance(text, str) else None
    if match is None:
        value = parse_quantity(text, unit, name)
        require(bounds[0] <= value <= bounds[1], name, f"lie within {bounds[0]:g} to {bounds[1]:g}", f"{value:g}")
        return point(value)
    left_text, right_text = match.group(1), match.group(2)
    high = parse_quantity(right_text, unit, name)
    low = parse_quantity(_share_unit(left_text, right_text), unit, name)
    require(low <= high, name, "have its low end first", f"'{text}'")
    require(bounds[0] <= low and high <= bounds[1], name, f"lie within {bounds[0]:g} to {bounds[1]:g}", f"'{text}'")
    if low == high:
        return point(low)
    share = (UNITS[unit][0] == "number" and low > 0 and high < 1
             and ("%" in text or any(word in name for word in SHARES)))
    if share:
        mode = float(special.expit((special.logit(low) + special.logit(high)) / 2))
        return Law(family="logitnormal", low=low, mode=mode, high=high)
    if low > 0:
        return Law(family="lognormal", low=low, mode=math.sqrt(low * high), high=high)
    return Law(family="normal", low=low, mode=(low + high) / 2, high=high)


def _share_unit(left: str, right: str) -> str:
    """Give the left end the unit of the right one when it has none: `300 to 900 users`."""
    tail = re.sub(r"^[-+\d.,_eE]+\s*", "", right.strip())
    return f"{left} {tail}" if re.fullmatch(r"[-+\d.,_]+", left.strip()) and tail in UNITS else left


def _cut(low: float, mode: float, high: float, bounds: tuple[float, float]) -> Law:
    """Return the uniform-free stand-in of a triangle that would cross the bounds of its unit."""
    if bounds == (0.0, 1.0) and low > 0 and high < 1:
        return Law(family="beta", low=low, mode=mode, high=high)
    return Law(family="uniform", low=low, mode=mode, high=high)


def _parse_mix(parts: Any, unit: str, name: str, bounds: tuple[float, float]) -> Law:
    if not isinstance(parts, Mapping) or not parts:
        raise InputError(f"{name}.mix must name its hypotheses, each with weight: and value:")
    out: list[tuple[float, Law]] = []
    for key, part in parts.items():
        if not isinstance(part, Mapping) or set(part) - {"weight", "value", "why"} or "value" not in part:
            raise InputError(f"{name}.mix.{key} must have weight: and value:")
        weight = parse_quantity(part.get("weight", 1), "1", f"{name}.mix.{key}.weight")
        require(weight >= 0, f"{name}.mix.{key}.weight", "be 0 or more", weight)
        out.append((weight, parse_law(part["value"], unit, f"{name}.mix.{key}", bounds=bounds)))
    require(sum(w for w, _ in out) > 0, f"{name}.mix", "have a weight above 0", "none")
    out = [(w, law) for w, law in out if w > 0]
    law = Law(family="mix", low=0.0, mode=0.0, high=0.0, parts=tuple(out))
    low, mode, high = law.at(np.array([0.05, 0.5, 0.95]))
    return Law(family="mix", low=float(low), mode=float(mode), high=float(high), parts=tuple(out))


