"""Sums over buyers and over chips, added in order so that no bit depends on how draws are cut into blocks."""

from __future__ import annotations

import numpy as np

from chipcast.base.types import Array


def total(cells: Array) -> Array:
    """Return the sum over the first axis."""
    out: Array = cells[0].copy()
    for part in cells[1:]:
        out += part
    return out


def over_chips(cells: Array, weight: Array) -> Array:
    """Return the sum over chips of cells (segment, chip, draw) times weights. (segment, draw)

    Weights are (chip, draw), or (segment, chip, draw).
    """
    by_chip = weight if weight.ndim == 2 else np.moveaxis(weight, 1, 0)
    out: Array = cells[:, 0] * by_chip[0]
    part = np.empty_like(out)
    for c in range(1, by_chip.shape[0]):
        np.multiply(cells[:, c], by_chip[c], out=part)
        out += part
    return out


def of_chips(cells: Array, chips: slice, out: Array | None = None) -> Array:
    """Return the sum of cells (segment, chip, draw) over some chips, 0 where there are none. (segment, draw)"""
    if out is None:
        out = np.empty((cells.shape[0], cells.shape[2]))
    if chips.start >= chips.stop:
        out[:] = 0.0
        return out
    if chips.stop - chips.start == 1:
        out[:] = cells[:, chips.start]
        return out
    np.add(cells[:, chips.start], cells[:, chips.start + 1], out=out)
    for c in range(chips.start + 2, chips.stop):
        out += cells[:, c]
    return out
