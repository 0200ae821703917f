"""What it costs to print a 7 nm class chip without EUV: exposures, money, defects, days and overlay.

No exposure count, tool count or adder of this line is public. Every coefficient here is an assumed range
that says so; the structure is arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

import numpy as np
from scipy.special import ndtr

from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric

HOURS_PER_MONTH = 730.0

IMMERSION = (193.0, 1.35)
"""Wavelength and numerical aperture of immersion scanners: physics and lens of every maker. [nm], [1]"""

EUV = (13.5, 0.33)
"""Wavelength and numerical aperture of the first EUV scanners. [nm], [1]"""


def minimum_pitch_nm(k1: Numeric, wavelength_nm: Numeric, numerical_aperture: Numeric) -> Numeric:
    """Return the smallest pitch of one exposure, 2 k1 lambda / NA. [nm]

    >>> round(minimum_pitch_nm(0.28, *IMMERSION), 1)
    80.1
    """
    return 2 * k1 * wavelength_nm / numerical_aperture


def splits(target_pitch_nm: Numeric, single_pitch_nm: Numeric) -> Numeric:
    """Return into how many exposures a layer must be split: single over target pitch, rounded up."""
    return np.ceil(np.asarray(single_pitch_nm) / np.asarray(target_pitch_nm) - 1e-12)


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """A way to print one layer."""

    exposures: int
    """Exposures before cuts or blocks."""
    divides: int
    """By how much the pitch of one exposure is divided."""
    per_cut: int
    """Further exposures per cut or block mask."""
    overlay_pairs: int
    """Pairs of exposures whose overlay errors add up at an edge, before cuts."""
    loops: int
    """Deposition and etch loops."""
    tool: str = "immersion"
    """immersion or euv."""


OPTIONS: Mapping[str, Option] = MappingProxyType({
    "single": Option(exposures=1, divides=1, per_cut=0, overlay_pairs=0, loops=1),
    "lele": Option(exposures=2, divides=2, per_cut=0, overlay_pairs=1, loops=2),
    "lelele": Option(exposures=3, divides=3, per_cut=0, overlay_pairs=3, loops=3),
    "le4": Option(exposures=4, divides=4, per_cut=0, overlay_pairs=6, loops=4),
    "sadp": Option(exposures=1, divides=2, per_cut=1, overlay_pairs=0, loops=2),
    "saqp": Option(exposures=1, divides=4, per_cut=1, overlay_pairs=0, loops=4),
    "salele": Option(exposures=2, divides=2, per_cut=1, overlay_pairs=1, loops=3),
    "euv": Option(exposures=1, divides=1, per_cut=0, overlay_pairs=0, loops=1, tool="euv"),
})
"""Ways to print a layer: litho-etch n times, self-aligned double and quadruple with cuts, EUV in one pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """How one layer is printed."""

    option: str
    """Entry of `OPTIONS`."""
    exposures: int
    """Exposures, cuts included."""
    loops: int
    """Deposition and etch loops, cuts included."""
    overlay_pairs: int
    """Overlay terms at an edge, cuts included."""
    tool: str
    """immersion or euv."""
    pitch_nm: float
    """Smallest pitch that the option reaches. [nm]"""


def layer(option: str, *, cuts: int = 0, k1: float = 0.28) -> Layer:
    """Return exposures, loops, overlay terms and reachable pitch of a layer printed in a named way.

    >>> layer("saqp", cuts=2).exposures
    3
    """
    o = choose(OPTIONS, option, "patterning option")
    require(cuts >= 0, "cuts", "not be below 0", cuts)
    single = minimum_pitch_nm(k1, *(EUV if o.tool == "euv" else IMMERSION))
    return Layer(option=option, exposures=o.exposures + o.per_cut * cuts, loops=o.loops + o.per_cut * cuts,
                 overlay_pairs=o.overlay_pairs + o.per_cut * cuts, tool=o.tool, pitch_nm=single / o.divides)


def edge_failure(margin_nm: Numeric, sigma_nm: Numeric, mean_nm: Numeric = 0.0) -> Numeric:
    """Return the chance that one edge lies outside its margin, Q((E-mu)/sigma) + Q((E+mu)/sigma)."""
    return ndtr(-(margin_nm - mean_nm) / sigma_nm) + ndtr(-(margin_nm + mean_nm) / sigma_nm)


def edge_sigma_nm(overlay_nm: Numeric, terms: Numeric, cd_nm: Numeric, roughness_nm: Numeric = 0.0) -> Numeric:
    """Return one sigma of edge placement: overlay terms, half of line width control and roughness. [nm]"""
    return np.sqrt(terms * overlay_nm**2 + (cd_nm / 2) ** 2 + roughness_nm**2)


def edge_placement_yield(margin_nm: Numeric, sigma_nm: Numeric, wafer_mean_sigma_nm: Numeric,
                         features: Numeric) -> Numeric:
    r"""Return the share of dies without an edge failure, averaged over the wafer's mean error.

    Notes
    -----
    $Y = E_\mu[\exp(-N p_{fail}(\mu))]$; plugging in the mean of p_fail is wrong by orders of magnitude,
    since most failures sit on the few wafers that are off. Trapezoid over 121 points to six sigma.

    >>> round(float(edge_placement_yield(6.0, 1.5, 1.0, 1e4)), 3)
    0.205
    """
    total: Numeric = 0.0
    points = np.linspace(0.0, 6.0, 61)
    weights = np.exp(-points**2 / 2)
    weights[0] /= 2
    weights /= weights.sum()
    for z, weight in zip(points, weights, strict=True):
        failure = edge_failure(margin_nm, sigma_nm, z * np.asarray(wafer_mean_sigma_nm))
        total = total + weight * np.exp(-features * failure)
    return total


def scanner_limit(tools: Numeric, wafers_per_hour: Numeric, uptime: Numeric, exposures: Numeric) -> Numeric:
    """Return wafers a month that scanners can expose, tools x wph x uptime x 730 / exposures.

    >>> round(scanner_limit(10, 275, 0.8, 60), 1)
    26766.7
    """
    return tools * wafers_per_hour * uptime * HOURS_PER_MONTH / exposures


def cycle_time_factor(utilisation: Numeric, tools: Numeric, variability: Numeric = 1.0) -> Numeric:
    """Return cycle time over raw time of a group of tools: 1 + u^(sqrt(2(c+1))-1)/(c(1-u)) x variability.

    Parameters
    ----------
    variability : numeric
        Half the sum of squared variation of arrivals and of service. [1]

    Sources: Hopp, Spearman, Factory Physics, queueing approximation for c tools.
    """
    return 1 + utilisation ** (np.sqrt(2 * (tools + 1)) - 1) / (tools * (1 - utilisation)) * variability


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """What a wafer takes in one variant of the process."""

    name: str
    """`n+2` or `euv-twin`."""
    immersion_exposures: Array
    """Immersion exposures per wafer. [1] (draw)"""
    euv_exposures: Array
    """EUV exposures per wafer. [1] (draw)"""
    masks: Array
    """Mask layers. [1] (draw)"""
    wafer_usd: Array
    """Price of a processed wafer. [USD] (draw)"""
    patterning_usd: Array
    """Part of it that is exposures and etch loops. [USD] (draw)"""
    d0_adder_per_cm2: Array
    """Defects that the exposures bring. [1/cm2] (draw)"""
    d0_per_cm2: Array
    """All killing defects at the start of 2025. [1/cm2] (draw)"""
    days: Array
    """Days from wafer start to wafer out. [days] (draw)"""
    overlay_terms: Array
    """Overlay errors that add up at the worst edge. [1] (draw)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Route(Recipe):
    """How a wafer is made in one variant: the recipe, its edge yield and its scanner hours."""

    edge_sigma_nm: Array
    """Edge placement at the worst layer, one sigma. [nm] (draw)"""
    edge_yield: Array
    """Share of dies without an edge failure at the worst layer. [1] (draw)"""
    immersion_hours: Array
    """Immersion scanner hours per wafer, uptime taken. [h] (draw)"""
    euv_hours: Array
    """EUV scanner hours per wafer, uptime taken. [h] (draw)"""


def _without_euv(given: Given) -> Recipe:
    g = given
    exposures = g["smic_n2.immersion_exposures_per_wafer"]
    return _build(g, "n+2", exposures, np.zeros(g.draws), g["smic_n2.mask_layers"],
                  np.maximum(g["smic_n2.overlay_terms"], 1.0))  # a layer meets at least the one below it


def _with_euv(given: Given) -> Recipe:
    g = given
    euv = g["euv_twin.euv_exposures_per_wafer"]
    exposures = np.minimum(g["euv_twin.immersion_exposures_per_wafer"], g["smic_n2.immersion_exposures_per_wafer"])
    masks = g["smic_n2.mask_layers"] - euv * g["euv_twin.masks_saved_per_euv_layer"]
    return _build(g, "euv-twin", exposures, euv, masks, g["euv_twin.overlay_terms"])


def _build(g: Given, name: str, immersion: Array, euv: Array, masks: Array, terms: Array) -> Recipe:
    own = g["smic_n2.immersion_exposures_per_wafer"]
    loop_usd, imm_usd = g["patterning.etch_loop_cost_usd"], g["patterning.immersion_exposure_cost_usd"]
    wafer_usd = g["smic_n2.wafer_price_usd"]
    own_usd = own * (imm_usd + loop_usd)
    # Exposures cannot cost more than the wafer; where the ranges say so both variants shrink alike.
    shrink = np.minimum(1.0, wafer_usd / own_usd)
    usd = shrink * (immersion * (imm_usd + loop_usd) + euv * (g["patterning.euv_exposure_cost_usd"] + loop_usd))
    d0 = g["smic_n2.d0_per_cm2"]
    # Defects that exposures bring cannot exceed all defects there are.
    own_adder = np.minimum(own * g["patterning.d0_adder_per_exposure_per_cm2"], d0)
    brought = (immersion + euv) / own * own_adder
    return Recipe(name=name, immersion_exposures=immersion, euv_exposures=euv, masks=masks, patterning_usd=usd,
                  wafer_usd=wafer_usd - shrink * own_usd + usd, d0_adder_per_cm2=brought,
                  d0_per_cm2=d0 - own_adder + brought, days=masks * g["smic_n2.days_per_mask_layer"],
                  overlay_terms=terms)


VARIANTS: Mapping[str, Callable[[Given], Recipe]] = MappingProxyType({"n+2": _without_euv, "euv-twin": _with_euv})
"""Variants of the process: the line as it is, and the same chip with EUV."""


def recipe(given: Given, variant: str = "n+2") -> Recipe:
    """Return exposures, price, defects and days of a variant of the process.

    The EUV twin is the same chip with EUV on the tightest layers: a construct, not a real process. What
    both share cancels: the twin's price and density are the line's own less what its exposures save.
    """
    return choose(VARIANTS, variant.lower(), "process")(given)


def route(given: Given, variant: str = "n+2") -> Route:
    """Return the recipe of a variant with its edge placement yield and scanner hours."""
    g, made = given, recipe(given, variant)
    sigma = edge_sigma_nm(g["patterning.overlay_sigma_nm"], made.overlay_terms, g["patterning.cd_sigma_nm"])
    edge = edge_placement_yield(g["patterning.edge_margin_nm"], sigma, g["patterning.wafer_mean_error_sigma_nm"],
                                g["patterning.critical_features"])
    uptime = g["patterning.scanner_uptime_share"]
    return Route(**{f.name: getattr(made, f.name) for f in fields(made)}, edge_sigma_nm=sigma, edge_yield=edge,
                 immersion_hours=made.immersion_exposures / (g["patterning.immersion_wafers_per_hour"] * uptime),
                 euv_hours=made.euv_exposures / (g["patterning.euv_wafers_per_hour"] * uptime))
