"""Sums over buyers and over chips, added in order so that no bit depends on how draws are cut into blocks.

NumPy adds along any axis but the last one after the other. Where there is one draw the axes fall together and it may
add in another order, so a lone draw is summed beside a copy of itself.
"""

from __future__ import annotations

import numpy as np

from chipcast.base.types import Array


def total(cells: Array) -> Array:
    """Return the sum over the first axis."""
    if cells.ndim > 1 and cells.shape[-1] == 1:
        return np.asarray(np.add.reduce(np.repeat(cells, 2, axis=-1), axis=0)[..., :1])
    return np.asarray(np.add.reduce(cells, axis=0))


def of_chips(cells: Array, chips: slice) -> Array:
    """Return the sum of cells (segment, chip, draw) over some chips, 0 where there are none. (segment, draw)"""
    part = cells[:, chips]
    if part.shape[-1] == 1:
        return np.asarray(np.add.reduce(np.repeat(part, 2, axis=-1), axis=1)[..., :1])
    return np.asarray(np.add.reduce(part, axis=1))


def over_chips(cells: Array, weight: Array) -> Array:
    """Return the sum over chips of cells (segment, chip, draw) times weights. (segment, draw)

    Weights are (chip, draw), or (segment, chip, draw).
    """
    axes = "scd,cd->sd" if weight.ndim == 2 else "scd,scd->sd"
    if cells.shape[-1] == 1:
        return np.asarray(np.einsum(axes, *(np.repeat(x, 2, axis=-1) for x in (cells, weight)))[..., :1])
    return np.asarray(np.einsum(axes, cells, weight))
