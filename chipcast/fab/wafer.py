"""How many complete dies fit on a round wafer, exactly.

The count depends on four things that calculators rarely print: edge exclusion, scribe width, the phase of
the grid and the shape of the die. Here the best phase is found exactly, by listing where it can lie.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from chipcast.base.errors import InputError, require
from chipcast.base.types import Array, Numeric

WAFER_MM = 300.0
"""Diameter of the wafers of every advanced line. [mm]"""

FIELD_MM = (26.0, 33.0)
"""Largest field that a scanner prints in one shot, width and height. [mm]"""

TOUCH_MM = 1e-9
"""A corner this far outside the usable circle still counts as touching it. [mm]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wafer:
    """Die, streets and edge of a wafer: everything that a count depends on but the phase."""

    die_width_mm: float
    """Finished die, without scribe. [mm]"""
    die_height_mm: float
    """Finished die, without scribe. [mm]"""
    edge_mm: float = 3.0
    """Radial edge exclusion. [mm]"""
    scribe_mm: float = 0.1
    """Street between dies, in both directions. [mm]"""
    diameter_mm: float = WAFER_MM
    """Wafer diameter. [mm]"""
    notch_mm: float = 0.0
    """Height of the strip at the bottom of the usable circle that is kept free for notch and marks. [mm]"""

    def __post_init__(self) -> None:
        """Refuse what cannot be a wafer."""
        for name in ("die_width_mm", "die_height_mm", "diameter_mm"):
            value = getattr(self, name)
            require(math.isfinite(value) and value > 0, name, "be above 0", value)
        for name in ("edge_mm", "scribe_mm", "notch_mm"):
            value = getattr(self, name)
            require(math.isfinite(value) and value >= 0, name, "not be below 0", value)
        require(self.radius_mm > 0, "edge_mm", f"be below half the diameter, {self.diameter_mm / 2:g}", self.edge_mm)
        rough = math.pi * self.radius_mm**2 / (self.pitch_x_mm * self.pitch_y_mm)
        require(rough < 200_000, "die_width_mm and die_height_mm", "give fewer than 200,000 dies a wafer",
                f"{self.die_width_mm:g} x {self.die_height_mm:g}")

    @property
    def radius_mm(self) -> float:
        """Radius of the usable circle. [mm]"""
        return self.diameter_mm / 2 - self.edge_mm

    @property
    def pitch_x_mm(self) -> float:
        """Step from die to die across. [mm]"""
        return self.die_width_mm + self.scribe_mm

    @property
    def pitch_y_mm(self) -> float:
        """Step from die to die along. [mm]"""
        return self.die_height_mm + self.scribe_mm


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """A grid of dies at one phase."""

    wafer: Wafer
    """What is placed."""
    phase_mm: tuple[float, float]
    """Wafer centre as seen from the centre of the die that covers it. [mm]"""
    x_mm: Array
    """Die centres from the wafer centre. [mm] (die)"""
    y_mm: Array
    """Die centres from the wafer centre. [mm] (die)"""
    column: Array
    """Column of each die in the grid. [1] (die)"""
    row: Array
    """Row of each die in the grid. [1] (die)"""

    @property
    def dies(self) -> int:
        """Complete dies. [dies]"""
        return len(self.x_mm)


def place(wafer: Wafer, phase_mm: tuple[float, float]) -> Placement:
    """Return the complete dies of a grid whose centre die lies `phase_mm` off the wafer centre."""
    px, py, r = wafer.pitch_x_mm, wafer.pitch_y_mm, wafer.radius_mm
    columns, rows = math.ceil(r / px) + 2, math.ceil(r / py) + 2
    i, j = np.meshgrid(np.arange(-columns, columns + 1), np.arange(-rows, rows + 1))
    x, y = i * px - phase_mm[0], j * py - phase_mm[1]
    far = np.hypot(np.abs(x) + wafer.die_width_mm / 2, np.abs(y) + wafer.die_height_mm / 2)
    inside = far <= r + TOUCH_MM
    if wafer.notch_mm:
        inside &= y - wafer.die_height_mm / 2 >= -r + wafer.notch_mm - TOUCH_MM
    return Placement(wafer=wafer, phase_mm=phase_mm, x_mm=x[inside], y_mm=y[inside],
                     column=i[inside].astype(float), row=j[inside].astype(float))


def phase_of(wafer: Wafer, phase: str | tuple[float, float]) -> tuple[float, float]:
    """Return the phase in mm of `best`, `center`, `corner` or `X,Y`.

    Raises
    ------
    InputError
        If the text is none of these.
    """
    if not isinstance(phase, str):
        return phase
    word = phase.strip().lower()
    if word == "best":
        return best_phase(wafer)[1]
    if word in ("center", "centre"):
        return (0.0, 0.0)
    if word == "corner":
        return (wafer.pitch_x_mm / 2, wafer.pitch_y_mm / 2)
    try:
        x, y = (float(v) for v in word.split(","))
    except ValueError:
        raise InputError(f"phase must be best, center, corner or X,Y in mm such as 3.5,0, got '{phase}'") from None
    require(math.isfinite(x) and math.isfinite(y), "phase", "be two finite numbers of mm", phase)
    return (x, y)


def gross_dies(wafer: Wafer, phase: str | tuple[float, float] = "best") -> int:
    """Return the number of complete dies at a phase: `best`, `center`, `corner` or (x, y) in mm.

    >>> gross_dies(Wafer(die_width_mm=25.8, die_height_mm=25.8))
    82
    """
    if phase == "best":
        return best_phase(wafer)[0]
    return place(wafer, phase_of(wafer, phase)).dies


@lru_cache(maxsize=65536)
def best_phase(wafer: Wafer) -> tuple[int, tuple[float, float]]:
    """Return the largest number of complete dies over all phases, and a phase that reaches it.

    Notes
    -----
    Seen from a die, the wafer centre must lie within R of the die's four corners. Mirror symmetry leaves a
    quarter of the cell, and there the farthest corner of each die is known beforehand: a left corner counts
    only for phases right of that die's centre. So every die is one disc, the count is the number of discs
    over a point, and where it is largest the discs and the quarter have a convex common part. Its extreme
    points are crossings of two circles, of a circle and an edge, or corners of the quarter, since no whole
    disc fits into the quarter. Those points are listed and counted; nothing is sampled.

    A notch strip breaks the mirror symmetry; the same list is then made for both halves, and the strip adds
    the phases at which a row touches it.
    Sources: own derivation; checked against calculators by a brute list of rectangles in the tests.
    """
    if wafer.notch_mm:
        return _best_with_notch(wafer)
    w, h, px, py, r = (wafer.die_width_mm, wafer.die_height_mm, wafer.pitch_x_mm, wafer.pitch_y_mm, wafer.radius_mm)
    # Far corners, from the centre of the centre die; the quarter is [0, px/2] x [0, py/2].
    columns = np.arange(-math.ceil(r / px) - 1, math.ceil(r / px) + 2)
    rows = np.arange(-math.ceil(r / py) - 1, math.ceil(r / py) + 2)
    cx = np.where(columns <= 0, columns * px - w / 2, columns * px + w / 2)
    cy = np.where(rows <= 0, rows * py - h / 2, rows * py + h / 2)
    near2 = _outside(cx, px / 2)[:, None] ** 2 + _outside(cy, py / 2)[None, :] ** 2
    far2 = np.maximum(np.abs(cx), np.abs(cx - px / 2))[:, None] ** 2 \
        + np.maximum(np.abs(cy), np.abs(cy - py / 2))[None, :] ** 2
    reach2 = (r + TOUCH_MM) ** 2
    always = int(np.count_nonzero(far2 <= reach2))
    some = (near2 <= reach2) & (far2 > reach2)
    a, b = np.nonzero(some)
    if not len(a):
        return always, (0.0, 0.0)
    x, y = cx[a], cy[b]
    points_x, points_y = _candidates(x, y, r, px / 2, py / 2)
    best, where = -1, 0
    step = max(1, 2_000_000 // len(x))
    for start in range(0, len(points_x), step):
        dx = points_x[start:start + step, None] - x
        dy = points_y[start:start + step, None] - y
        dx *= dx
        dy *= dy
        dx += dy
        counts = np.count_nonzero(dx <= reach2, axis=1)
        k = int(counts.argmax())
        if counts[k] > best:
            best, where = int(counts[k]), start + k
    return always + best, (float(points_x[where]), float(points_y[where]))


def _outside(corner: Array, side: float) -> Array:
    """Return the distance of a coordinate from the interval 0 to `side`."""
    return np.maximum(np.maximum(-corner, corner - side), 0.0)


def _candidates(x: Array, y: Array, r: float, ax: float, ay: float) -> tuple[Array, Array]:
    """Return all crossings of circles of radius `r` around (x, y) inside the box, with its edges and corners."""
    first, second = np.triu_indices(len(x), 1)
    dx, dy = x[second] - x[first], y[second] - y[first]
    half2 = (dx * dx + dy * dy) / 4
    meets = (half2 <= r * r) & (half2 > 0)
    first, dx, dy, half2 = first[meets], dx[meets], dy[meets], half2[meets]
    mx, my = x[first] + dx / 2, y[first] + dy / 2
    lift = np.sqrt((r * r - half2) / (4 * half2))
    out_x, out_y = [mx - dy * lift, mx + dy * lift], [my + dx * lift, my - dx * lift]
    for edge in (0.0, ax):
        under = r * r - (edge - x) ** 2
        root = np.sqrt(np.maximum(under, 0.0))[under >= 0]
        out_x += [np.full(len(root), edge)] * 2
        out_y += [y[under >= 0] - root, y[under >= 0] + root]
    for edge in (0.0, ay):
        under = r * r - (edge - y) ** 2
        root = np.sqrt(np.maximum(under, 0.0))[under >= 0]
        out_y += [np.full(len(root), edge)] * 2
        out_x += [x[under >= 0] - root, x[under >= 0] + root]
    points_x = np.concatenate([*out_x, [0.0, ax, 0.0, ax]])
    points_y = np.concatenate([*out_y, [0.0, 0.0, ay, ay]])
    inside = ((points_x >= -TOUCH_MM) & (points_x <= ax + TOUCH_MM)
              & (points_y >= -TOUCH_MM) & (points_y <= ay + TOUCH_MM))
    return np.clip(points_x[inside], 0.0, ax), np.clip(points_y[inside], 0.0, ay)


def _best_with_notch(wafer: Wafer) -> tuple[int, tuple[float, float]]:
    """Return the best phase when a strip at the bottom is kept free, by the same list of points."""
    w, h, px, py, r = (wafer.die_width_mm, wafer.die_height_mm, wafer.pitch_x_mm, wafer.pitch_y_mm, wafer.radius_mm)
    columns = np.arange(-math.ceil(r / px) - 1, math.ceil(r / px) + 2)
    rows = np.arange(-math.ceil(r / py) - 2, math.ceil(r / py) + 3)
    cx = np.where(columns <= 0, columns * px - w / 2, columns * px + w / 2)
    best, where = -1, (0.0, 0.0)
    # Upper and lower half of the cell in turn: in each the farthest corner of a die is known.
    for sign in (1.0, -1.0):
        cy = sign * np.where(rows <= 0, rows * py - h / 2, rows * py + h / 2)
        bottom = sign * rows * py - h / 2
        gx, gy = (g.ravel() for g in np.meshgrid(cx, cy, indexing="ij"))
        low = np.broadcast_to(bottom, (len(cx), len(cy))).ravel()
        near2 = _outside(gx, px / 2) ** 2 + _outside(sign * gy, py / 2) ** 2
        keep = near2 <= (r + TOUCH_MM) ** 2
        gx, gy, low = gx[keep], gy[keep], low[keep]
        points_x, points_y = _candidates(gx, sign * gy, r, px / 2, py / 2)
        touch = np.array([y for y in sign * (bottom + r - wafer.notch_mm) if 0 <= y <= py / 2])
        extra_x, extra_y = [], []
        for level in touch:
            under = r * r - (level - sign * gy) ** 2
            root = np.sqrt(under[under >= 0])
            for side in (gx[under >= 0] - root, gx[under >= 0] + root, np.array([0.0, px / 2])):
                ok = side[(side >= 0) & (side <= px / 2)]
                extra_x.append(ok)
                extra_y.append(np.full(len(ok), level))
        points_x, points_y = np.concatenate([points_x, *extra_x]), np.concatenate([points_y, *extra_y])
        points_y = sign * points_y
        for start in range(0, len(points_x), 2048):
            x, y = points_x[start:start + 2048, None], points_y[start:start + 2048, None]
            good = ((x - gx) ** 2 + (y - gy) ** 2 <= (r + TOUCH_MM) ** 2) & (low - y >= -r + wafer.notch_mm - TOUCH_MM)
            counts = np.count_nonzero(good, axis=1)
            k = int(counts.argmax())
            if counts[k] > best:
                best, where = int(counts[k]), (float(x[k, 0]), float(y[k, 0]))
    return best, where


def mean_gross_dies(die_width_mm: Numeric, die_height_mm: Numeric, edge_mm: Numeric, scribe_mm: Numeric,
                    diameter_mm: Numeric = WAFER_MM, notch_mm: Numeric = 0.0) -> Numeric:
    r"""Return the exact mean of the count over all phases, in closed form.

    Parameters
    ----------
    die_width_mm, die_height_mm, edge_mm, scribe_mm, diameter_mm : numeric
        Finished die, radial edge exclusion, street, wafer. [mm]
    notch_mm : numeric, default 0
        Height of the strip at the bottom of the usable circle that is kept free. [mm]

    Notes
    -----
    The mean is |K| / (p_x p_y), K the set of centres from which all four corners lie within R:
    $|K| = 4 (F(U) - F(w/2)) - 2h (U - w/2)$, $U = \sqrt{R^2 - h^2/4}$,
    $F(x) = (x \sqrt{R^2 - x^2} + R^2 \arcsin(x/R)) / 2$. A strip of height t cuts off the centres below
    h/2 + t - R: with $G(s) = 2 F(s) - w s$, the strip of K at height s of a die's outer edge, that is
    $G(S) - G(R - t)$, $S = \sqrt{R^2 - w^2/4}$, and more where t reaches past the middle.
    Sources: own derivation.

    >>> round(mean_gross_dies(25.8, 25.8, 3, 0.1), 4)
    79.6074
    """
    w, h = np.asarray(die_width_mm, dtype=float), np.asarray(die_height_mm, dtype=float)
    s = np.asarray(scribe_mm, dtype=float)
    R = np.asarray(diameter_mm, dtype=float) / 2 - np.asarray(edge_mm, dtype=float)
    fits = w * w + h * h <= 4 * R * R
    U = np.sqrt(np.maximum(R * R - h * h / 4, 0.0))

    def F(x: Array) -> Array:
        share = np.clip(x / R, -1.0, 1.0)
        area: Array = R * R * (share * np.sqrt(1 - share * share) + np.arcsin(share)) / 2
        return area

    area = 4 * (F(U) - F(w / 2)) - 2 * h * (U - w / 2)
    t = np.asarray(notch_mm, dtype=float)
    top = np.maximum(np.sqrt(np.maximum(R * R - w * w / 4, 0.0)), h / 2)

    def G(s: Array) -> Array:
        clipped = np.clip(s, h / 2, top)
        strip: Array = 2 * F(clipped) - w * clipped
        return strip

    area = np.maximum(area - (G(top) - G(R - t)) - (G(h + t - R) - G(h / 2)), 0.0)
    mean = np.where(fits, area / ((w + s) * (h + s)), 0.0)
    return float(mean) if mean.ndim == 0 else mean


EDGE_STEP_MM = 0.25
SCRIBE_STEP_MM = 0.02
"""Mesh of (edge, scribe) on which exact best counts are taken for uncertain draws. [mm]"""


def best_gross_dies(die_width_mm: float, die_height_mm: float, edge_mm: Array, scribe_mm: Array) -> Array:
    """Return best-phase counts for uncertain edge and scribe. [dies] (draw)

    Notes
    -----
    The count is exact on a mesh of 0.25 mm (edge) by 0.02 mm (scribe) and bilinear between, which is what
    an average over the spread of one recipe looks like; it stays within 1.5 dies of the exact integer at
    600 mm2 and above. Mesh points are cached, so that the second call costs nothing.
    """
    e, s = np.broadcast_arrays(np.asarray(edge_mm, dtype=float), np.asarray(scribe_mm, dtype=float))
    i, j = np.floor(e / EDGE_STEP_MM).astype(np.int64), np.floor(s / SCRIBE_STEP_MM).astype(np.int64)
    u, v = e / EDGE_STEP_MM - i, s / SCRIBE_STEP_MM - j
    cells, back = np.unique(i * 100_000 + j, return_inverse=True)
    corner = np.empty((4, len(cells)))
    for k, cell in enumerate(cells):
        a, b = divmod(int(cell), 100_000)
        corner[:, k] = [_mesh_count(die_width_mm, die_height_mm, a + da, b + db) for da in (0, 1) for db in (0, 1)]
    c = corner[:, back.reshape(e.shape)]
    total: Array = (1 - u) * ((1 - v) * c[0] + v * c[1]) + u * ((1 - v) * c[2] + v * c[3])
    return total


@lru_cache(maxsize=65536)
def _mesh_count(w: float, h: float, edge_step: int, scribe_step: int) -> int:
    wafer = Wafer(die_width_mm=w, die_height_mm=h, edge_mm=round(edge_step * EDGE_STEP_MM, 6),
                  scribe_mm=round(scribe_step * SCRIBE_STEP_MM, 6))
    return best_phase(wafer)[0]


def gross_dies_by_draw(die_width_mm: float, die_height_mm: float, edge_mm: Array, scribe_mm: Array,
                       phase_gain_share: Array) -> Array:
    """Return gross dies where nobody knows the phase: between its exact mean and its exact best. [dies] (draw)

    Parameters
    ----------
    die_width_mm, die_height_mm : float
        Finished die. [mm]
    edge_mm, scribe_mm : array
        Edge exclusion and street. [mm] (draw)
    phase_gain_share : array
        Share of the way from the mean over phases to the best phase. [1] (draw)
    """
    best = best_gross_dies(die_width_mm, die_height_mm, edge_mm, scribe_mm)
    mean = mean_gross_dies(die_width_mm, die_height_mm, edge_mm, scribe_mm)
    total: Array = mean + phase_gain_share * np.maximum(best - mean, 0.0)
    return total


def dies_per_field(die_width_mm: float, die_height_mm: float, scribe_mm: float = 0.1, *,
                   shared_scribe: bool = True, field_mm: tuple[float, float] = FIELD_MM) -> tuple[int, int]:
    """Return how many dies one reticle field holds along the die's width and along its height.

    The field may be turned by 90 degrees against the die.

    Parameters
    ----------
    shared_scribe : bool
        Whether the outer street is shared with the next shot; else each die brings its own.

    Raises
    ------
    InputError
        If no die fits.
    """
    z = scribe_mm if shared_scribe else 0.0
    best: tuple[int, int] = (0, 0)
    for width, height in (field_mm, field_mm[::-1]):
        across = math.floor((width + z) / (die_width_mm + scribe_mm) + TOUCH_MM)
        along = math.floor((height + z) / (die_height_mm + scribe_mm) + TOUCH_MM)
        if across * along > best[0] * best[1]:
            best = (across, along)
    if not best[0]:
        street = "" if shared_scribe or scribe_mm == 0 else f" with its own {scribe_mm:g} mm scribe"
        raise InputError(f"a die of {die_width_mm:g} x {die_height_mm:g} mm{street} does not fit the reticle field of "
                         f"{field_mm[0]:g} x {field_mm[1]:g} mm; make it smaller or split it into chiplets")
    return best


def textbook(area_mm2: Numeric, pitch_mm: Numeric, diameter_mm: Numeric) -> Numeric:
    """Pi d^2/4S - pi d/sqrt(2S): most web pages; 9 percent low on average for large dies."""
    return math.pi * diameter_mm**2 / (4 * area_mm2) - math.pi * diameter_mm / np.sqrt(2 * area_mm2)


def de_vries(area_mm2: Numeric, pitch_mm: Numeric, diameter_mm: Numeric) -> Numeric:
    """Pi d^2/4S - 0.58 pi d/sqrt(S): 4 percent low on average for large dies."""
    return math.pi * diameter_mm**2 / (4 * area_mm2) - 0.58 * math.pi * diameter_mm / np.sqrt(area_mm2)


def ferris_prabhu(area_mm2: Numeric, pitch_mm: Numeric, diameter_mm: Numeric) -> Numeric:
    """(pi d^2/4S)(1 - sqrt(S)/d)^2: 1 percent high on average for large dies."""
    return math.pi * diameter_mm**2 / (4 * area_mm2) * (1 - np.sqrt(area_mm2) / diameter_mm) ** 2


def exponential_edge(area_mm2: Numeric, pitch_mm: Numeric, diameter_mm: Numeric) -> Numeric:
    """(pi d^2/4S) exp(-2 sqrt(S)/d): 2 percent high on average for large dies."""
    return math.pi * diameter_mm**2 / (4 * area_mm2) * np.exp(-2 * np.sqrt(area_mm2) / diameter_mm)


def fitted_edge(area_mm2: Numeric, pitch_mm: Numeric, diameter_mm: Numeric) -> Numeric:
    """(pi d^2/4S) exp(-2.209 L/d), L the mean pitch: a fit to exact counts, within 3 percent for 20 to 858 mm2."""
    return math.pi * diameter_mm**2 / (4 * area_mm2) * np.exp(-2.209 * pitch_mm / diameter_mm)


APPROXIMATIONS: Mapping[str, Callable[[Numeric, Numeric, Numeric], Numeric]] = MappingProxyType({
    "textbook": textbook, "de-vries": de_vries, "ferris-prabhu": ferris_prabhu,
    "exponential": exponential_edge, "fitted": fitted_edge,
})
"""Closed forms of stepping area, mean pitch and usable diameter; each with its error, none used by the line."""


def approximate(wafer: Wafer, name: str) -> float:
    """Return what a named closed form gives for a wafer."""
    from chipcast.base.choose import choose

    formula = choose(APPROXIMATIONS, name, "approximation")
    px, py = wafer.pitch_x_mm, wafer.pitch_y_mm
    return float(formula(px * py, (px + py) / 2, 2 * wafer.radius_mm))
