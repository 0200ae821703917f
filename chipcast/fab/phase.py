"""Where the grid should lie when not complete dies but good ones count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.base.errors import require
from chipcast.fab.spatial import radial_means
from chipcast.fab.wafer import Placement, Wafer, best_phase, place

MESH = 24
"""Phases along each side of the quarter cell at which the search begins."""

FINEST_MM = 1e-3
"""Step at which the search stops. [mm]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeProfile:
    """A density of killing defects that rises toward the edge, D0 (1 + b (r/R)^p) / (1 + 2b/(p+2))."""

    d0_per_cm2: float
    """Mean density over the wafer. [1/cm2]"""
    rise: float
    """b: how much denser the rim is than the middle. [1]"""
    power: float
    """p: how late the rise comes. [1]"""


def good_dies(placed: Placement, profile: EdgeProfile) -> float:
    """Return the expected dies without a defect, by Poisson's law at each die's own mean. [dies]"""
    w = placed.wafer
    means = radial_means(placed.x_mm, placed.y_mm, w.die_width_mm, w.die_height_mm, profile.d0_per_cm2,
                         rise=profile.rise, power=profile.power, radius_mm=w.diameter_mm / 2)
    return float(np.exp(-means).sum())


def best_good_phase(wafer: Wafer, profile: EdgeProfile) -> tuple[float, tuple[float, float]]:
    """Return the most good dies over all phases that were tried, and the phase.

    Notes
    -----
    The set of complete dies is constant in patches and the sum smooth inside them, so there is no list of points that
    must hold the largest, as there is for complete dies. The search begins on a mesh of the quarter cell (the half
    cell with a notch) and at the phase with most complete dies, and then halves its steps around the best four. It is
    never below the phase with most complete dies; it is a search and no proof.
    Sources: own derivation.
    """
    require(profile.d0_per_cm2 >= 0, "d0_per_cm2", "not be below 0", profile.d0_per_cm2)
    require(profile.rise >= 0, "edge_rise", "not be below 0", profile.rise)
    require(profile.power > 0, "edge_power", "be above 0", profile.power)
    px, py = wafer.pitch_x_mm, wafer.pitch_y_mm
    low_y = -py / 2 if wafer.notch_mm else 0.0
    starts = [(x, y) for x in np.linspace(0, px / 2, MESH) for y in np.linspace(low_y, py / 2, MESH)]
    found = sorted(((good_dies(place(wafer, p), profile), p) for p in (*starts, best_phase(wafer)[1])), reverse=True)
    best = found[0]
    for value, phase in found[:4]:
        here, step = (value, phase), px / MESH
        while step > FINEST_MM:
            x, y = here[1]
            around = [(x + dx * step, y + dy * step) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
            tried = max((good_dies(place(wafer, p), profile), p) for p in around)
            here, step = (tried, step) if tried[0] > here[0] + 1e-12 else (here, step / 2)
        best = max(best, here)
    return float(best[0]), (float(best[1][0]), float(best[1][1]))
