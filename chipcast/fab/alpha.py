"""How clustered defects look to dies of different size: the cluster parameter is no constant of the process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chipcast.fab.maps import Mixing, wafer_yields
from chipcast.fab.spatial import effective_alpha, thomas_yield
from chipcast.fab.wafer import Wafer, phase_of, place

DRAWN = 4000
"""Wafers drawn per die size where there is no closed form."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What a die of one size sees of the same defects."""

    area_mm2: float
    """Die area, square. [mm2]"""
    dies: int
    """Complete dies. [dies]"""
    share: float
    """Dies without a defect. [1]"""
    alpha: float
    """Cluster parameter at which the negative binomial gives that share; infinite where no clustering is seen. [1]"""


def by_die_size(areas_mm2: Sequence[float], d0_per_cm2: float, mixing: Mixing, *, edge_mm: float = 3.0,
                scribe_mm: float = 0.1, wafers: int = DRAWN, seed: int = 1) -> tuple[Seen, ...]:
    """Return the yield and the effective cluster parameter of square dies under one way to cluster.

    Round clusters alone have a closed form; everything else is drawn, so that its parameter has an error of a few
    percent.
    """
    out = []
    for area in areas_mm2:
        side = float(np.sqrt(area))
        placed = place(wafer := Wafer(die_width_mm=side, die_height_mm=side, edge_mm=edge_mm, scribe_mm=scribe_mm),
                       phase_of(wafer, "best"))
        alone = mixing == Mixing(children=mixing.children, sigma_mm=mixing.sigma_mm) and mixing.children > 0
        share = thomas_yield(side, side, d0_per_cm2, children=mixing.children, sigma_mm=mixing.sigma_mm) if alone \
            else float(wafer_yields(placed, d0_per_cm2, mixing, wafers=wafers, seed=seed).mean())
        mean = d0_per_cm2 * area / 100
        alpha = float(effective_alpha(share, mean)) if share > np.exp(-mean) * 1.002 else float("inf")
        out.append(Seen(area_mm2=area, dies=placed.dies, share=share, alpha=alpha))
    return tuple(out)
