"""In which futures a plan fails, as boxes of named causes and as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrc

from chipcast.base.summary import short
from chipcast.base.types import Array

PEEL = 0.05
"""Share of the box peeled off at a time, as in the original method."""

SMALLEST = 0.05
"""Smallest box, as a share of all futures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """A region of causes in which a plan fails more often than elsewhere."""

    sides: dict[str, tuple[float, float]]
    """Lowest and highest value by cause; infinite where a side is open."""
    coverage: float
    """Share of all failures that lie inside. [1]"""
    density: float
    """Share of the futures inside that fail. [1]"""
    mass: float
    """Share of all futures that lie inside. [1]"""


def prim(points: Array, fails: npt.NDArray[np.bool_], *, peel: float = PEEL, smallest: float = SMALLEST,
         ) -> tuple[Array, list[tuple[float, float]]]:
    """Return the best box by patient peeling and pasting, and the trade-off of coverage and density on the way.

    Parameters
    ----------
    points : array
        Causes. (draw, cause)
    fails : array
        Whether the plan fails. (draw)

    Returns
    -------
    box, trajectory
        Lower and upper sides (cause, 2), infinite where open; (coverage, density) of each step.

    Notes
    -----
    Peels `peel` of the box at the side that raises the failure density most, keeps the box with the best
    harmonic mean of coverage and density, the latter counted from the share of all futures that fail (so that a box
    of everything is worth nothing, however often a plan fails), pastes back while that rises, and opens sides whose
    closing is not significant (binomial test).
    Sources: Friedman and Fisher, Statistics and Computing 9, 1999; Bryant and Lempert, Technological
    Forecasting and Social Change 77, 2010.
    """
    n, dims = points.shape
    box = np.tile([-np.inf, np.inf], (dims, 1))
    total = max(int(fails.sum()), 1)
    best, best_score = box.copy(), _score(fails, np.ones(n, dtype=bool), total)
    trail = [(1.0, float(fails.mean()))]
    inside, columns = np.arange(n), np.ascontiguousarray(points.T)
    while inside.size * (1 - peel) >= smallest * n and not fails[inside].all():
        options, here, failed = [], columns[:, inside], fails[inside]
        density = np.count_nonzero(failed) / inside.size
        for k, (x, cuts) in enumerate(zip(here, np.quantile(here, (peel, 1 - peel), axis=1).T, strict=True)):
            for side, cut in enumerate(cuts):
                keep, edge = x >= cut if side == 0 else x <= cut, cut
                count = np.count_nonzero(keep)
                if count == x.size:
                    # Ties fill the whole slice: peel the tied value instead.
                    keep = x > cut if side == 0 else x < cut
                    count = np.count_nonzero(keep)
                    edge = cut if not count else x[keep].min() if side == 0 else x[keep].max()
                if 0 < count < x.size and count >= smallest * n:
                    share = count / x.size
                    gain = (np.count_nonzero(failed & keep) / count - density) / (1 - share)
                    options.append((gain * (1 - share) if share > 1 - 2 * peel else gain * peel, k, side, edge, keep))
        if not options:
            break
        _, k, side, edge, keep = max(options, key=lambda o: o[0])
        box[k, side] = edge
        inside = inside[keep]
        mask = _inside(points, box)
        trail.append((float(fails[mask].sum() / total), float(fails[mask].mean())))
        score = _score(fails, mask, total)
        if score > best_score:
            best, best_score = box.copy(), score
    best = _paste(points, fails, best, peel)
    return _drop(points, fails, best), trail


def _inside(points: Array, box: Array) -> npt.NDArray[np.bool_]:
    return np.asarray(((points >= box[:, 0]) & (points <= box[:, 1])).all(axis=1), dtype=np.bool_)


def _score(fails: npt.NDArray[np.bool_], mask: npt.NDArray[np.bool_], total: int) -> float:
    base = float(fails.mean())
    lifted = (float(fails[mask].mean()) - base) / (1 - base) if mask.any() and base < 1 else 0.0
    coverage = float(fails[mask].sum()) / total
    return 2 * coverage * lifted / (coverage + lifted) if lifted > 0 else 0.0


def _paste(points: Array, fails: npt.NDArray[np.bool_], box: Array, peel: float) -> Array:
    """Move sides outwards by small steps while the score rises."""
    box, total = box.copy(), max(int(fails.sum()), 1)
    for step in (peel, peel / 5):
        moved = True
        while moved:
            moved = False
            mask = _inside(points, box)
            now = _score(fails, mask, total)
            for k in range(points.shape[1]):
                for side in (0, 1):
                    if np.isinf(box[k, side]):
                        continue
                    trial = box.copy()
                    trial[k, side] = -np.inf if side == 0 else np.inf
                    x = np.sort(points[_inside(points, trial), k])
                    beyond = x[x < box[k, 0]][::-1] if side == 0 else x[x > box[k, 1]]
                    count = max(int(step * mask.sum()), 1)
                    trial[k, side] = beyond[count - 1] if beyond.size >= count else trial[k, side]
                    score = _score(fails, _inside(points, trial), total)
                    if score > now:
                        box, now, moved = trial, score, True
    return box


def _drop(points: Array, fails: npt.NDArray[np.bool_], box: Array, level: float = 0.05) -> Array:
    """Open sides whose closing could be chance: the failures inside given the density without that side."""
    box = box.copy()
    for k in range(points.shape[1]):
        for side in (0, 1):
            if np.isinf(box[k, side]):
                continue
            trial = box.copy()
            trial[k, side] = -np.inf if side == 0 else np.inf
            mask, wider = _inside(points, box), _inside(points, trial)
            hits, size = int(fails[mask].sum()), int(mask.sum())
            chance = float(bdtrc(hits - 1, size, fails[wider].mean())) if hits > 0 else 1.0
            if chance > level:
                box = trial
    return box


def boxes(causes: Mapping[str, Array], fails: npt.NDArray[np.bool_], *, most: int = 2) -> list[Box]:
    """Return up to `most` boxes, each found on the failures that earlier ones left."""
    names = list(causes)
    points = np.stack([causes[k] for k in names], axis=1)
    left: npt.NDArray[np.bool_] = np.ones(fails.size, dtype=np.bool_)
    out: list[Box] = []
    for _ in range(most):
        if fails[left].sum() < SMALLEST * fails.size:
            break
        sides, _ = prim(points[left], fails[left])
        mask = _inside(points, sides) & left
        closed = {names[k]: (float(a), float(b)) for k, (a, b) in enumerate(sides) if np.isfinite([a, b]).any()}
        if not closed or not mask.any():
            break
        out.append(Box(sides=closed, coverage=float(fails[mask].sum() / fails.sum()),
                       density=float(fails[mask].mean()), mass=float(mask.mean())))
        left &= ~mask
    return out


def sentence(box: Box, quarters: tuple[str, ...], *, verb: str = "fails", noun: str = "failures") -> str:
    """Return a box in words."""
    parts = [_side(name, low, high, quarters) for name, (low, high) in box.sides.items()]
    return (f"{verb} in {box.density:.0%} of the futures where " + " and ".join(parts)
            + f" ({box.mass:.0%} of all futures, {box.coverage:.0%} of all {noun})")


def _side(name: str, low: float, high: float, quarters: tuple[str, ...]) -> str:
    if name == "quarter of the cut-off":
        last = len(quarters)
        if np.isinf(low):
            if int(high) == last - 1:
                return "a cut comes at all"
            return f"the cut comes by {quarters[min(int(high), last - 1)]}" if high < last else "a cut comes or not"
        if low >= last:
            return "no cut comes"
        if np.isinf(high) or high >= last:
            return f"the cut comes in {quarters[int(np.ceil(low))]} or later, or never"
        return f"the cut comes from {quarters[int(np.ceil(low))]} to {quarters[int(high)]}"
    name, least, most = _measured(name, low, high)
    if np.isinf(low):
        return f"{name} is under {most}"
    if np.isinf(high):
        return f"{name} is above {least}"
    return f"{name} is {least} to {most}"


UNITS = ("quarters", "tokens/s", "USD", "USD/kWh")
"""Units in which the names of causes end, after `in`."""

PERCENT = ("share", "growth")
"""Words in the names of causes that are read in percent."""


def plain(name: str) -> str:
    """Return a cause without its unit.

    >>> plain("the wait for H20 in quarters")
    'the wait for H20'
    """
    head, _, unit = name.rpartition(" in ")
    return head if unit in UNITS else name


def _measured(name: str, low: float, high: float) -> tuple[str, str, str]:
    """Return a cause without its unit, and both ends with it.

    >>> _measured("the wait for H20 in quarters", 2.0, 3.67)
    ('the wait for H20', '2 quarters', '3.67 quarters')
    >>> _measured("the monthly growth of need", 0.02, 0.061)
    ('the monthly growth of need', '2%', '6.1%')
    """
    if any(word in name for word in PERCENT):
        least, most = (f"{100 * v:.3g}%" for v in (low, high))
        return name, least, most
    head = plain(name)
    unit = name.removeprefix(head).removeprefix(" in")
    return head, f"{short(low)}{unit}", f"{short(high)}{unit}"
