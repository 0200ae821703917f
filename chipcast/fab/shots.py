"""How reticle fields cover the dies of a wafer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.fab.wafer import Placement, dies_per_field


@dataclass(frozen=True, kw_only=True, slots=True)
class Shots:
    """Exposures of one layer that print all complete dies of a wafer."""

    across: int
    """Dies per field, across."""
    along: int
    """Dies per field, along."""
    count: int
    """Fields that hold at least one complete die."""
    full: int
    """Fields all of whose dies are complete."""
    offset: tuple[int, int]
    """Where the field grid starts on the die grid, in dies."""


def shots(placement: Placement, *, shared_scribe: bool = True, half_field: bool = False) -> Shots:
    """Return the fewest fields that print all complete dies, over all ways to lay fields on the die grid.

    Parameters
    ----------
    shared_scribe : bool
        Whether the outer street of a field is shared with the next shot.
    half_field : bool
        Whether the scanner's field is halved along (26 x 16.5 mm), as with high-aperture EUV lenses.

    Raises
    ------
    InputError
        If no die fits the field.
    """
    from chipcast.fab.wafer import FIELD_MM

    wafer = placement.wafer
    field = (FIELD_MM[0], FIELD_MM[1] / 2) if half_field else FIELD_MM
    across, along = dies_per_field(wafer.die_width_mm, wafer.die_height_mm, wafer.scribe_mm,
                                   shared_scribe=shared_scribe, field_mm=field)
    column, row = placement.column.astype(np.int64), placement.row.astype(np.int64)
    best: Shots | None = None
    for dx in range(across):
        for dy in range(along):
            field_of = np.floor_divide(column + dx, across) * 100_003 + np.floor_divide(row + dy, along)
            _, sizes = np.unique(field_of, return_counts=True)
            found = Shots(across=across, along=along, count=len(sizes),
                          full=int(np.count_nonzero(sizes == across * along)), offset=(dx, dy))
            if best is None or (found.count, -found.full) < (best.count, -best.full):
                best = found
    assert best is not None, "at least one die fits the field"
    return best
