"""Wafer pictures as SVG text: a placement with its reticle grid, or the bins of one drawn wafer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.fab.shots import Shots
from chipcast.fab.wafer import Placement

COLOURS = ("#1b7f5a", "#8cc084", "#f2c14e", "#4c78a8", "#b07aa1")
"""Bins from the best to the lowest."""

SCRAP = "#d9d4cc"
"""Dies that fit no bin."""


def placement_svg(placed: Placement, fields: Shots | None = None) -> str:
    """Return the complete dies of a wafer with the reticle fields that print them."""
    title = (f"{placed.dies} dies of {placed.wafer.die_width_mm:g} x {placed.wafer.die_height_mm:g} mm, "
             f"{placed.wafer.edge_mm:g} mm edge, {placed.wafer.scribe_mm:g} mm scribe")
    return _svg(placed, [COLOURS[1]] * placed.dies, [f"die {k + 1}" for k in range(placed.dies)], title, fields)


def wafer_svg(placed: Placement, bins: npt.NDArray[Any], defects: npt.NDArray[Any], names: Sequence[str], title: str,
              fields: Shots | None = None) -> str:
    """Return one drawn wafer: bins by colour, hover shows bin and defect count.

    Parameters
    ----------
    bins : array
        Index into `names`, or -1 for scrap. (die)
    defects : array
        Killing defects on the die. (die)
    names : sequence of str
        Bins from the best to the lowest.
    """
    colours = [COLOURS[int(b) % len(COLOURS)] if b >= 0 else SCRAP for b in bins]
    hover = [f"{names[int(b)] if b >= 0 else 'scrap'}, {int(d)} defects" for b, d in zip(bins, defects, strict=True)]
    legend = [(COLOURS[k % len(COLOURS)], f"{n}: {int(np.count_nonzero(bins == k))}") for k, n in enumerate(names)]
    legend.append((SCRAP, f"scrap: {int(np.count_nonzero(bins < 0))}"))
    return _svg(placed, colours, hover, title, fields, legend)


def _svg(placed: Placement, colours: Sequence[str], hover: Sequence[str], title: str, fields: Shots | None,
         legend: Sequence[tuple[str, str]] = ()) -> str:
    w = placed.wafer
    r = w.diameter_mm / 2
    height = 2 * r + 22 + 12 * len(legend)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-r - 4:g} {-r - 18:g} {2 * r + 8:g} {height:g}" '
           f'font-family="sans-serif" role="img" aria-label="{title}">',
           f'<text x="0" y="{-r - 6:g}" font-size="9" text-anchor="middle" fill="#333">{title}</text>',
           f'<circle r="{r:g}" fill="#f6f4f0" stroke="#777" stroke-width="0.8"/>',
           f'<circle r="{w.radius_mm:g}" fill="none" stroke="#aaa" stroke-width="0.4" stroke-dasharray="2 2"/>']
    for x, y, colour, text in zip(placed.x_mm, placed.y_mm, colours, hover, strict=True):
        out.append(f'<rect x="{x - w.die_width_mm / 2:.3f}" y="{-y - w.die_height_mm / 2:.3f}" '
                   f'width="{w.die_width_mm:.3f}" height="{w.die_height_mm:.3f}" fill="{colour}" stroke="#fff" '
                   f'stroke-width="0.3"><title>{text}</title></rect>')
    out += [_field(placed, fields, *cell) for cell in _fields(placed, fields)] if fields else []
    out.append(f'<path d="M -1.5 {r:g} L 0 {r - 2:g} L 1.5 {r:g} Z" fill="#777"/>')
    for k, (colour, text) in enumerate(legend):
        y = r + 10 + 12 * k
        out.append(f'<rect x="{-r:g}" y="{y - 7:g}" width="8" height="8" fill="{colour}"/>'
                   f'<text x="{-r + 12:g}" y="{y:g}" font-size="9" fill="#333">{text}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


def _fields(placed: Placement, fields: Shots) -> list[tuple[int, int]]:
    """Return the fields that hold at least one die, as places on the field grid."""
    a = np.floor_divide(placed.column.astype(int) + fields.offset[0], fields.across)
    b = np.floor_divide(placed.row.astype(int) + fields.offset[1], fields.along)
    return sorted({(int(i), int(j)) for i, j in zip(a, b, strict=True)})


def _field(placed: Placement, fields: Shots, i: int, j: int) -> str:
    w = placed.wafer
    left = (i * fields.across - fields.offset[0] - 0.5) * w.pitch_x_mm - placed.phase_mm[0]
    top = ((j + 1) * fields.along - fields.offset[1] - 0.5) * w.pitch_y_mm - placed.phase_mm[1]
    return (f'<rect x="{left:.3f}" y="{-top:.3f}" width="{fields.across * w.pitch_x_mm:.3f}" '
            f'height="{fields.along * w.pitch_y_mm:.3f}" fill="none" stroke="#555" stroke-width="0.5"/>')
