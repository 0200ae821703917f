"""A typical and a poor wafer, each one real draw, with the statistics that come from the same draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.fab.maps import BATCH, CLUSTERS, Mixing, defect_maps, sort_bins
from chipcast.fab.ramp import d0_path
from chipcast.fab.shots import Shots, shots
from chipcast.fab.wafer import Placement, Wafer, phase_of, place

POOR = 0.05
"""Rank of the poor wafer: five in a hundred are worse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """One drawn wafer."""

    index: int
    """Number of the wafer among those drawn."""
    bins: npt.NDArray[np.int8]
    """Index into the bins, best first, -1 for scrap. (die)"""
    defects: npt.NDArray[np.uint16]
    """Killing defects on each die. (die)"""
    sellable: int
    """Dies that fit any bin. [dies]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gallery:
    """Drawn wafers: two to look at, and the spread of all."""

    placement: Placement
    """Where the dies lie."""
    fields: Shots
    """Reticle fields over them."""
    bin_names: tuple[str, ...]
    """Bins from the best to the lowest."""
    clusters: str
    """How defects cluster."""
    mixing: Mixing
    """Its parameters."""
    d0_per_cm2: float
    """Mean density of killing defects. [1/cm2]"""
    typical: Picture
    """The wafer at the median of sellable dies."""
    poor: Picture
    """The wafer at the 5th percentile of sellable dies."""
    perfect: Array
    """Dies without a defect over gross dies. [1] (wafer)"""
    sellable: Array
    """Dies that fit any bin over gross dies. [1] (wafer)"""
    shares: Array
    """Share of each bin over all wafers, best first. [1] (bin)"""


def draw_gallery(placed: Placement, d0_per_cm2: float, *, clusters: str = "block", alpha: float = 2.0,
                 mixing: Mixing | None = None, needs: tuple[int, ...] = (24, 20), cores: int = 25,
                 core_area_share: float = 0.5, uncore_repair_share: float = 0.0, wafers: int = BATCH,
                 seed: int = 1) -> Gallery:
    """Return drawn wafers with bins; the two pictures are wafers of the sample, picked by rank.

    Parameters
    ----------
    clusters : str
        Entry of `CLUSTERS`; `mixing` replaces its parameters.
    needs : tuple of int
        Cores that each bin asks for, from high to low.
    """
    require(len(needs) > 0 and list(needs) == sorted(set(needs), reverse=True), "need",
            "list distinct core counts from high to low", needs)
    require(max(needs) <= cores, "need", f"lie from 0 to the {cores} cores of the die", needs[0])
    made = mixing or choose(CLUSTERS, clusters, "way to cluster")(alpha)
    perfect, sellable = np.empty(wafers), np.empty(wafers)
    total = np.zeros(len(needs))
    start = 0
    for batch, counts in enumerate(defect_maps(placed, d0_per_cm2, made, wafers=wafers, seed=seed)):
        bins = sort_bins(counts, needs, cores=cores, core_area_share=core_area_share, seed=seed, batch=batch,
                         uncore_repair_share=uncore_repair_share)
        stop = start + counts.shape[1]
        perfect[start:stop] = np.count_nonzero(counts == 0, axis=0)
        sellable[start:stop] = np.count_nonzero(bins >= 0, axis=0)
        total += [np.count_nonzero(bins == k) for k in range(len(needs))]
        if batch == 0:
            first_bins, first_counts = bins, counts
        start = stop
    # Pictures are picked by rank among the first batch, which is a sample of all wafers.
    order = np.argsort(np.count_nonzero(first_bins >= 0, axis=0), kind="stable")
    pictures = []
    for rank in (0.5, POOR):
        k = int(order[min(int(rank * len(order)), len(order) - 1)])
        pictures.append(Picture(index=k, bins=first_bins[:, k].copy(), defects=first_counts[:, k].copy(),
                                sellable=int(np.count_nonzero(first_bins[:, k] >= 0))))
    return Gallery(placement=placed, fields=shots(placed), bin_names=tuple(f"{n} cores" for n in needs),
                   clusters=clusters, mixing=made, d0_per_cm2=d0_per_cm2, typical=pictures[0], poor=pictures[1],
                   perfect=perfect / placed.dies, sellable=sellable / placed.dies,
                   shares=total / (wafers * placed.dies))


def gallery(given: Given, *, clusters: str = "block", wafers: int = BATCH, month: str | None = None) -> Gallery:
    """Return drawn wafers of the accelerator at the medians of a run, in the month of its information date.

    Call it with the whole run and not with a block, since it takes medians over draws.
    """
    g = given
    when = month or f"{g.as_of:%Y-%m}"

    def typical(name: str) -> float:
        return float(np.median(g[name]))

    wafer = Wafer(die_width_mm=typical("ascend_die.width_mm"), die_height_mm=typical("ascend_die.height_mm"),
                  edge_mm=round(typical("smic_n2.edge_exclusion_mm"), 2),
                  scribe_mm=round(typical("smic_n2.scribe_mm"), 3))
    return draw_gallery(
        place(wafer, phase_of(wafer, "best")), float(np.median(d0_path(g, [when]))), clusters=clusters,
        alpha=typical("smic_n2.cluster_alpha"), cores=round(typical("ascend_die.cores")),
        needs=(round(typical("ascend_die.cores_top_bin")), round(typical("ascend_die.cores_low_bin"))),
        core_area_share=typical("smic_n2.core_area_share"), wafers=wafers, seed=g.seed,
        uncore_repair_share=typical("smic_n2.uncore_repair_share"))
