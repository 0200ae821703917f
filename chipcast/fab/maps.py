"""Wafer maps drawn defect by defect; pictures and statistics come from the same draws.

A wafer is a draw. Uniforms are counter-based, cut into chunks of a fixed number of wafers, so that a map is
a function of seed and wafer index alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv, ndtri

from chipcast.base.draws import stream_key
from chipcast.base.errors import require
from chipcast.base.types import Array
from chipcast.fab.defects import MM2_PER_CM2
from chipcast.fab.spatial import radial_means
from chipcast.fab.wafer import Placement

BATCH = 4096
"""Wafers drawn at once; a constant, so that no map depends on how the work is cut."""

GRADES = 65536
"""Equally likely grades into which a gamma multiplier is cut; moves a mean by less than 1e-4 of itself."""

Counts = npt.NDArray[np.uint16]
Words = npt.NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixing:
    """How defect density varies in space; every level keeps the same mean density."""

    lot: float = math.inf
    """Shape of the gamma multiplier that the wafers of a lot share; infinite for none. [1]"""
    wafer: float = math.inf
    """Shape of the multiplier of a wafer. [1]"""
    block: float = math.inf
    """Shape of the multiplier of a block of dies. [1]"""
    die: float = math.inf
    """Shape of the multiplier of a die. [1]"""
    block_dies: tuple[int, int] = (2, 2)
    """Size of a block, across and along. [dies]"""
    lot_wafers: int = 25
    """Wafers of a lot. [wafers]"""
    radial_rise: float = 0.0
    """Rise of density toward the edge, b of 1 + b (r/R)^p. [1]"""
    radial_power: float = 4.0
    """How steep the rise is, p. [1]"""
    children: float = 0.0
    """Mean defects of a round cluster; 0 for none. [1]"""
    sigma_mm: float = 0.0
    """Spread of a round cluster per axis. [mm]"""

    def __post_init__(self) -> None:
        """Refuse what is no multiplier."""
        for name in ("lot", "wafer", "block", "die"):
            require(getattr(self, name) > 0, "clustering", "be above 0", getattr(self, name))
        require(self.children == 0 or self.sigma_mm > 0, "sigma_mm", "be above 0 for round clusters", self.sigma_mm)
        require(self.radial_rise >= 0, "radial_rise", "not be below 0", self.radial_rise)


CLUSTERS: Mapping[str, Callable[[float], Mixing]] = MappingProxyType({
    "none": lambda alpha: Mixing(),
    "die": lambda alpha: Mixing(die=alpha),
    "block": lambda alpha: Mixing(block=alpha),
    "wafer": lambda alpha: Mixing(wafer=alpha),
    "lot": lambda alpha: Mixing(lot=alpha),
    "radial": lambda alpha: Mixing(radial_rise=3.0),
    "thomas": lambda alpha: Mixing(children=5.0, sigma_mm=6.0),
    # Three levels whose squared variations add up to 1/alpha: (1 + v)^3 = 1 + 1/alpha.
    "stack": lambda alpha: (lambda shape: Mixing(lot=shape, wafer=shape, block=shape))(
        1 / ((1 + 1 / alpha) ** (1 / 3) - 1)),
})
"""Ways to cluster by name, of the cluster parameter alpha."""


def _words(seed: int, name: str, batch: int, count: int) -> Words:
    """Return `count` random 32-bit words of a stream and batch."""
    bits = np.random.Philox(key=stream_key(seed, f"map:{name}"), counter=np.array([0, batch, 0, 0], dtype=np.uint64))
    words: Words = bits.random_raw((count + 1) // 2).view(np.uint32)[:count]
    return words


def _uniform(words: Words) -> Array:
    return (words.astype(np.float64) + 0.5) * 2.0**-32


def gamma_grades(alpha: float) -> Array:
    """Return equally likely values of a gamma multiplier of mean exactly 1. (grade)"""
    values = gammaincinv(alpha, (np.arange(GRADES) + 0.5) / GRADES) / alpha
    grades: Array = values / values.mean()
    return grades


def blocks(placed: Placement, size: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Return the block that each die belongs to, numbered from 0. (die)"""
    column, row = placed.column.astype(np.int64), placed.row.astype(np.int64)
    cell = np.floor_divide(column - column.min(), size[0]) * 100_003 + np.floor_divide(row - row.min(), size[1])
    _, number = np.unique(cell, return_inverse=True)
    return number.reshape(-1)


class _Multipliers:
    """Multipliers of lots, wafers and blocks of one batch, from streams of their own."""

    def __init__(self, mixing: Mixing, seed: int, placed: Placement) -> None:
        self.mixing, self.seed = mixing, seed
        self.grades = {n: gamma_grades(getattr(mixing, n)) for n in ("lot", "wafer", "block")
                       if math.isfinite(getattr(mixing, n))}
        self.block_of = blocks(placed, mixing.block_dies) if "block" in self.grades else None
        self.blocks = int(self.block_of.max()) + 1 if self.block_of is not None else 0

    def shared(self, batch: int) -> Array | None:
        """Return the multiplier that all dies of a wafer share. (wafer)"""
        g: Array | None = None
        if "wafer" in self.grades:
            g = self.grades["wafer"][_words(self.seed, "wafer", batch, BATCH) >> np.uint32(16)]
        if "lot" in self.grades:
            wafer = batch * BATCH + np.arange(BATCH)
            lot = wafer // self.mixing.lot_wafers
            first = int(lot[0])
            # A lot may cross batches, so its luck is numbered by lot and not by batch.
            words = np.concatenate([_words(self.seed, "lot", int(k), 2)[:1] for k in range(first, int(lot[-1]) + 1)])
            own = self.grades["lot"][words >> np.uint32(16)][lot - first]
            g = own if g is None else g * own
        return g

    def by_block(self, batch: int) -> Array | None:
        """Return the multiplier of each block. (block, wafer)"""
        if not self.blocks:
            return None
        words = _words(self.seed, "block", batch, self.blocks * BATCH).reshape(self.blocks, BATCH)
        local: Array = self.grades["block"][words >> np.uint32(16)]
        return local


def die_means(placed: Placement, d0_per_cm2: float, mixing: Mixing) -> Array:
    """Return the mean defects of each die before multipliers. [1] (die)"""
    w = placed.wafer
    if mixing.radial_rise:
        return radial_means(placed.x_mm, placed.y_mm, w.die_width_mm, w.die_height_mm, d0_per_cm2,
                            rise=mixing.radial_rise, power=mixing.radial_power, radius_mm=w.diameter_mm / 2)
    return np.full(placed.dies, d0_per_cm2 / MM2_PER_CM2 * w.die_width_mm * w.die_height_mm)


def wafer_yields(placed: Placement, d0_per_cm2: float, mixing: Mixing, *, wafers: int, seed: int = 1) -> Array:
    """Return the share of dies without a defect on each drawn wafer. [1] (wafer)

    Parameters
    ----------
    placed : Placement
        Dies on the wafer.
    d0_per_cm2 : float
        Mean density of killing defects. [1/cm2]
    mixing : Mixing
        How density varies.
    wafers, seed : int
        Number of wafers; seed of the streams.

    Notes
    -----
    A die is good where its uniform lies below the chance of no defect, which is also where `defect_maps` counts
    zero: both read the same words.
    """
    _check(placed, d0_per_cm2, wafers)
    if mixing.children:
        parts = [np.count_nonzero(c == 0, axis=0) for c in defect_maps(placed, d0_per_cm2, mixing, wafers=wafers,
                                                                       seed=seed)]
        return np.concatenate(parts) / placed.dies
    out = np.empty((math.ceil(wafers / BATCH), BATCH))
    means, luck = die_means(placed, d0_per_cm2, mixing), _Multipliers(mixing, seed, placed)
    even = bool(np.ptp(means) == 0)
    only_block = even and luck.blocks > 0 and len(luck.grades) == 1 and math.isinf(mixing.die)
    limits = _limit(np.exp(-luck.grades["block"] * means[0])) if only_block else None
    for batch in range(len(out)):
        words = _words(seed, "die", batch, placed.dies * BATCH).reshape(placed.dies, BATCH)
        good = np.zeros(BATCH, dtype=np.uint16)
        if limits is not None:
            assert luck.block_of is not None, "blocks are numbered where they mix"
            grade = _words(seed, "block", batch, luck.blocks * BATCH).reshape(luck.blocks, BATCH) >> np.uint32(16)
            line = [limits[g] for g in grade]
            for d, b in enumerate(luck.block_of):
                good += words[d] < line[b]
        else:
            shared, local = luck.shared(batch), luck.by_block(batch)
            flat: npt.NDArray[np.uint64] | None = None
            for d in range(placed.dies):
                if flat is None or not even or local is not None:
                    flat = _limit(_no_defect(_mean(means[d], shared, local, luck, d), mixing.die))
                good += words[d] < flat
        out[batch] = good
    return out.reshape(-1)[:wafers] / placed.dies


def _limit(share: Array) -> npt.NDArray[np.uint64]:
    """Return the word below which a die is good."""
    return np.minimum(np.rint(np.asarray(share) * 2.0**32), 2.0**32).astype(np.uint64)


def _mean(mean: float, shared: Array | None, local: Array | None, luck: _Multipliers, die: int) -> Array:
    total = np.full(BATCH, mean) if shared is None else mean * shared
    if local is not None and luck.block_of is not None:
        total = total * local[luck.block_of[die]]
    return total


def _no_defect(mean: Array, alpha: float) -> Array:
    share: Array = np.exp(-mean) if math.isinf(alpha) else np.exp(-alpha * np.log1p(mean / alpha))
    return share


def defect_maps(placed: Placement, d0_per_cm2: float, mixing: Mixing, *, wafers: int,
                seed: int = 1) -> Iterator[Counts]:
    """Yield the defects on each die, batch by batch. [1] (die, wafer of the batch)"""
    _check(placed, d0_per_cm2, wafers)
    means, luck = die_means(placed, d0_per_cm2, mixing), _Multipliers(mixing, seed, placed)
    for batch in range(math.ceil(wafers / BATCH)):
        keep = min(BATCH, wafers - batch * BATCH)
        shared = luck.shared(batch)
        if mixing.children:
            yield _round_clusters(placed, d0_per_cm2, mixing, shared, batch, seed)[:, :keep]
            continue
        words = _words(seed, "die", batch, placed.dies * BATCH).reshape(placed.dies, BATCH)
        local = luck.by_block(batch)
        counts = np.empty((placed.dies, BATCH), dtype=np.uint16)
        for d in range(placed.dies):
            counts[d] = _count(words[d], _mean(means[d], shared, local, luck, d), mixing.die)
        yield counts[:, :keep]


def _count(words: Words, mean: Array, alpha: float) -> Counts:
    """Return Poisson or negative-binomial counts at these words, by stepping the distribution function.

    Where the chance of no defect is below what a float holds the die is hopeless, and its mean stands for the count.
    """
    term = _no_defect(mean, alpha)
    term_at_zero = term
    count = (words >= _limit(term)).astype(np.uint16)
    u = _uniform(words)
    below = term
    ratio = mean if math.isinf(alpha) else mean / (mean + alpha)
    k = 0
    while k < 2000:
        k += 1
        term = term * (mean / k if math.isinf(alpha) else ratio * (alpha + k - 1) / k)
        below = below + term
        more = (u >= below) & (count == k) & (term > 0)
        if not more.any():
            break
        count += more
    hopeless = np.minimum(np.rint(mean), 60_000).astype(np.uint16)
    counts: Counts = np.where(term_at_zero > 0, count, hopeless)
    return counts


def _round_clusters(placed: Placement, d0: float, mixing: Mixing, shared: Array | None, batch: int,
                    seed: int) -> Counts:
    """Return counts from Poisson parents with Poisson children around them. (die, wafer)"""
    w = placed.wafer
    half = w.diameter_mm / 2 + 5 * mixing.sigma_mm
    parents_mean = d0 / MM2_PER_CM2 / mixing.children * (2 * half) ** 2
    mean = np.full(BATCH, parents_mean) if shared is None else parents_mean * shared
    parents = _poisson_by_table(_words(seed, "parents", batch, BATCH), mean)
    wafer_of = np.repeat(np.arange(BATCH), parents)
    total = len(wafer_of)
    words = _words(seed, "cluster", batch, 3 * total)
    x = (2 * _uniform(words[:total]) - 1) * half
    y = (2 * _uniform(words[total:2 * total]) - 1) * half
    near = x * x + y * y <= half * half
    x, y, wafer_of = x[near], y[near], wafer_of[near]
    children = _poisson_by_table(words[2 * total:][near], np.full(len(x), mixing.children))
    owner = np.repeat(np.arange(len(x)), children)
    dots = len(owner)
    offsets = _words(seed, "children", batch, 2 * dots)
    dx = ndtri(_uniform(offsets[:dots]))
    dy = ndtri(_uniform(offsets[dots:]))
    dx *= mixing.sigma_mm
    dy *= mixing.sigma_mm
    dx += x[owner]
    dy += y[owner]
    die = _die_at(placed, dx, dy)
    hit = die >= 0
    flat = np.bincount(die[hit] * BATCH + wafer_of[owner[hit]], minlength=placed.dies * BATCH)
    return flat.reshape(placed.dies, BATCH).astype(np.uint16)


def _poisson_by_table(words: Words, mean: Array) -> npt.NDArray[np.int64]:
    """Return Poisson counts: one table where all means are equal, else by stepping."""
    if len(mean) == 0:
        return np.zeros(0, dtype=np.int64)
    u = _uniform(words)
    if np.ptp(mean) == 0:
        m = float(mean[0])
        k = np.arange(int(m + 12 * math.sqrt(m) + 30))
        log_term = k * math.log(m) - m - np.array([math.lgamma(i + 1) for i in k])
        return np.searchsorted(np.cumsum(np.exp(log_term)), u)
    from scipy.special import pdtrik

    counts: npt.NDArray[np.int64] = np.maximum(np.ceil(pdtrik(u, mean) - 1e-9), 0).astype(np.int64)
    return counts


def _die_at(placed: Placement, x: Array, y: Array) -> npt.NDArray[np.int64]:
    """Return the die under each point, -1 for street, edge or incomplete dies."""
    w = placed.wafer
    column = np.rint((x + placed.phase_mm[0]) / w.pitch_x_mm)
    row = np.rint((y + placed.phase_mm[1]) / w.pitch_y_mm)
    inside = (np.abs(x + placed.phase_mm[0] - column * w.pitch_x_mm) <= w.die_width_mm / 2)
    inside &= np.abs(y + placed.phase_mm[1] - row * w.pitch_y_mm) <= w.die_height_mm / 2
    low_c, low_r = int(placed.column.min()), int(placed.row.min())
    across, along = int(placed.column.max()) - low_c + 1, int(placed.row.max()) - low_r + 1
    table = np.full((across + 2, along + 2), -1, dtype=np.int64)
    table[placed.column.astype(int) - low_c + 1, placed.row.astype(int) - low_r + 1] = np.arange(placed.dies)
    c = np.clip(column - low_c + 1, 0, across + 1).astype(np.int64)
    r = np.clip(row - low_r + 1, 0, along + 1).astype(np.int64)
    return np.where(inside, table[c, r], -1)


def sort_bins(counts: Counts, needs: tuple[int, ...], *, cores: int, core_area_share: float,
              uncore_repair_share: float, seed: int = 1, batch: int = 0) -> npt.NDArray[np.int8]:
    """Return the bin of each die, best first, -1 for scrap: every defect falls on a core or on the rest. (die, wafer)

    Notes
    -----
    A defect falls on each core with its share of the area; on the rest it kills the die unless spare rows save
    it. Good cores are those without a defect.
    """
    die = np.repeat(np.arange(counts.size), counts.reshape(-1))
    u = _uniform(_words(seed, "place", batch, len(die)))
    kills = (1 - core_area_share) * (1 - uncore_repair_share)
    dead = np.bincount(die[u < kills], minlength=counts.size) > 0
    on_core = u >= 1 - core_area_share
    core = np.minimum(((u[on_core] - (1 - core_area_share)) / core_area_share * cores).astype(np.int64), cores - 1)
    hit = np.unique(die[on_core] * cores + core) // cores
    good = cores - np.bincount(hit, minlength=counts.size)
    out = np.full(counts.size, -1, dtype=np.int8)
    for k in range(len(needs) - 1, -1, -1):
        out[(good >= needs[k]) & ~dead] = k
    return out.reshape(counts.shape)


def _check(placed: Placement, d0_per_cm2: float, wafers: int) -> None:
    require(placed.dies > 0, "the wafer", "hold at least one die", placed.dies)
    require(d0_per_cm2 >= 0 and math.isfinite(d0_per_cm2), "d0_per_cm2", "not be below 0", d0_per_cm2)
    require(1 <= wafers <= 10_000_000, "wafers", "be from 1 to 10,000,000", wafers)
