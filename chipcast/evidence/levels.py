"""A whole distribution from five quantiles: its density, its draws, and the scores that need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from chipcast.base.errors import require
from chipcast.base.types import Array

NORMAL = {q: float(special.ndtri(level)) for q, level in
          (("p05", 0.05), ("p25", 0.25), ("p50", 0.50), ("p75", 0.75), ("p95", 0.95))}
"""Normal quantiles of the five levels."""

GRID = 2000
"""Levels at which the pinball loss is averaged into a CRPS; the error is under 1e-4 of the spread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """A scale on which a quantity is roughly normal."""

    to: Callable[[Array], Array]
    """Into the scale."""
    back: Callable[[Array], Array]
    """Out of it."""
    slope: Callable[[Array], Array]
    """Derivative of `to`."""


SCALES = {
    "log": Scale(to=np.log, back=np.exp, slope=lambda x: 1 / x),
    "logit": Scale(to=special.logit, back=special.expit, slope=lambda x: 1 / (x * (1 - x))),
    "linear": Scale(to=lambda x: x, back=lambda x: x, slope=lambda x: np.ones_like(x)),
}
"""Scales by name."""


def scale_of(f: Mapping[str, float], unit: str) -> str:
    """Return logit for shares inside 0 to 1, log for other numbers above 0, else linear."""
    low, high = f["p05"], f["p95"]
    if unit == "1" and low > 0 and high < 1:
        return "logit"
    return "log" if low > 0 else "linear"


def quantile(f: Mapping[str, float], level: Array, unit: str = "") -> Array:
    """Return quantiles of the distribution through five points: straight between them on a normal scale.

    Beyond the outer two the slope of the last piece goes on, so the tails are normal on that scale.
    """
    scale = SCALES[scale_of(f, unit)]
    z = special.ndtri(np.asarray(level, dtype=float))
    knots, values = _knots(f, scale)
    return np.asarray(scale.back(_straight(z, knots, values)))


def crps(f: Mapping[str, float], outcome: float, unit: str = "") -> float:
    """Return the continuous ranked probability score: twice the mean pinball loss over all levels. [unit]"""
    level = (np.arange(GRID) + 0.5) / GRID
    gap = outcome - quantile(f, level, unit)
    return float(2 * np.mean(np.where(gap >= 0, level * gap, (level - 1) * gap)))


def log_score(f: Mapping[str, float], outcome: float, unit: str = "") -> float | None:
    """Return minus the log density at the outcome, on the quantity's own scale; None where quantiles coincide.

    Less is better; the difference of two forecasts does not depend on the unit.
    """
    name = scale_of(f, unit)
    scale = SCALES[name]
    knots, values = _knots(f, scale)
    inside = outcome > 0 if name == "log" else 0 < outcome < 1 if name == "logit" else True
    if np.any(np.diff(values) <= 0) or not inside:
        return None
    y = float(scale.to(np.asarray(outcome, dtype=float)))
    piece = int(np.clip(np.searchsorted(values, y) - 1, 0, len(knots) - 2))
    rise = (knots[piece + 1] - knots[piece]) / (values[piece + 1] - values[piece])
    z = knots[piece] + rise * (y - values[piece])
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * rise * float(scale.slope(np.asarray(outcome, dtype=float)))
    return float(-np.log(max(density, np.finfo(float).tiny)))


def of_normal(middle: float, sd: float, unit: str, scale: str) -> dict[str, float]:
    """Return the five quantiles of a quantity that is normal about `middle` on a scale."""
    require(sd > 0, "a spread", "be above 0", sd)
    s = SCALES[scale]
    centre = s.to(np.asarray(middle, dtype=float))
    return {q: float(s.back(np.asarray(centre + z * sd))) for q, z in NORMAL.items()}


def _knots(f: Mapping[str, float], scale: Scale) -> tuple[Array, Array]:
    return np.array(list(NORMAL.values())), np.asarray(scale.to(np.array([f[q] for q in NORMAL], dtype=float)))


def _straight(z: Array, knots: Array, values: Array) -> Array:
    out = np.interp(z, knots, values)
    left, right = (values[1] - values[0]) / (knots[1] - knots[0]), (values[-1] - values[-2]) / (knots[-1] - knots[-2])
    out = np.where(z < knots[0], values[0] + left * (z - knots[0]), out)
    return np.where(z > knots[-1], values[-1] + right * (z - knots[-1]), out)
