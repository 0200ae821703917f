"""How the defect density of a line moves in time: learning, and sudden collapses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from scipy.special import expit

from chipcast.base.calendar import month_index, month_name
from chipcast.base.choose import choose
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric

START = 2025 * 12
"""Absolute month at whose beginning the row `smic_n2.d0_per_cm2` stands."""

MAX_EXCURSIONS_A_MONTH = 4
"""Excursions counted per month; five or more have a chance below 1e-5 at 5 a year."""


def exponential(given: Given, t: Array, wafers: Array) -> Array:
    """Density relative to the start, f + (1 - f) exp(-t/tau): learning by time.

    Before the start the curve would rise without end; it is held at the ceiling of a line that already
    shipped phones.
    """
    floor, tau = given["ramp.d0_floor_ratio"], given["ramp.time_constant_months"]
    return floor + (1 - floor) * np.exp(-t / tau)


def by_volume(given: Given, t: Array, wafers: Array) -> Array:
    """Density relative to the start, (V/V0)^-b with V all wafers that taught the line: learning by volume."""
    ratio: Array = np.maximum(wafers / given["ramp.wafers_before_2025"], 1e-3) ** -given["ramp.learning_exponent"]
    return ratio


def logistic(given: Given, t: Array, wafers: Array) -> Array:
    """Density falls from the ceiling to the floor as an S in log density: slow, fast, slow."""
    tiny = 1e-6  # keeps the S defined where a draw's ceiling or floor meets the start
    top = np.maximum(np.log(given["ramp.d0_ceiling_ratio"]), tiny)
    floor = np.minimum(np.log(given["ramp.d0_floor_ratio"]), -tiny)
    # At the start the curve must pass through ratio 1, ln 1 = 0: share of the way up -floor/(top - floor).
    share = expit(np.log(-floor / top) - t / given["ramp.logistic_months"])
    ratio: Array = np.exp(floor + (top - floor) * share)
    return ratio


LEARNING: Mapping[str, Callable[[Given, Array, Array], Array]] = MappingProxyType(
    {"exponential": exponential, "volume": by_volume, "logistic": logistic})
"""Learning curves: density relative to the start of 2025, of months since then and of wafers by then."""


def d0_path(given: Given, months: Sequence[str], *, learning: str = "exponential", wafers: Array | None = None,
            excursions: bool = True) -> Array:
    """Return the density of killing defects at the middle of each month. [1/cm2] (month, draw)

    Parameters
    ----------
    months : sequence of str
        Calendar months; those before 2025 go back along the same curve.
    learning : str
        Entry of `LEARNING`.
    wafers : array, optional
        All wafers that taught the line by the middle of each month. [wafers] (month, draw); needed by `volume`;
        left out, the line's own and other wafers at their pace of 2025.
    excursions : bool
        Whether collapses may come after the information date; until then reports are the evidence.
    """
    index = np.array([month_index(m) for m in months])
    t = (index - START + 0.5)[:, None]
    if wafers is None:
        pace = given["smic_n2.ai_wafer_starts_per_month"] + given["ramp.other_wafers_per_month"]
        before = given["ramp.wafers_before_2025"]
        # Going back the same pace thins out in proportion to what was there.
        wafers = np.where(t >= 0, before + pace * np.maximum(t, 0), before * np.exp(np.minimum(t, 0) * pace / before))
    ceiling = np.maximum(given["ramp.d0_ceiling_ratio"], 1.0)
    ratio = np.minimum(choose(LEARNING, learning, "learning curve")(given, t, wafers), ceiling)
    path: Array = given["smic_n2.d0_per_cm2"] * ratio
    if excursions:
        path = path + excursion_path(given, months)
    return path


def excursion_path(given: Given, months: Sequence[str]) -> Array:
    """Return extra density from collapses after the information date. [1/cm2] (month, draw)

    Notes
    -----
    Jumps J come at rate nu and fade with tau: stationary mean nu E[J] tau, variance nu E[J^2] tau / 2
    (Campbell). A month's luck depends on its calendar month alone, so a longer horizon moves no draw.
    """
    index = [month_index(m) for m in months]
    first, last = month_index(given.as_of) + 1, max(index)
    out = np.zeros((len(months), given.draws))
    if last < first:
        return out
    rate = given["ramp.excursions_per_year"] / 12
    jump, fade = given["ramp.excursion_d0_jump_per_cm2"], np.exp(-1 / given["ramp.excursion_decay_months"])
    where = {m: k for k, m in enumerate(index)}
    extra = np.zeros(given.draws)
    luck = given.shock("ramp.excursion", [month_name(m) for m in range(first, last + 1)])
    for m, u in zip(range(first, last + 1), luck, strict=True):
        extra = extra * fade + jump * poisson_count(u, rate)
        if m in where:
            out[where[m]] = extra
    return out


def poisson_count(u: Numeric, rate: Numeric) -> Numeric:
    """Return Poisson counts at uniforms `u`, up to `MAX_EXCURSIONS_A_MONTH`."""
    term = np.exp(-np.asarray(rate, dtype=float))
    below = term
    count: Numeric = np.zeros(np.broadcast_shapes(np.shape(u), np.shape(rate)))
    for k in range(1, MAX_EXCURSIONS_A_MONTH + 1):
        count = count + (u > below)
        term = term * rate / k
        below = below + term
    return count


def campbell(rate: Numeric, jump: Numeric, jump_squared: Numeric, decay: Numeric) -> tuple[Numeric, Numeric]:
    """Return mean and standard deviation of the sum of fading jumps, nu E[J] tau and sqrt(nu E[J^2] tau / 2)."""
    return rate * jump * decay, np.sqrt(rate * jump_squared * decay / 2)


def e_folding_months(d0_ratio: Numeric, months: Numeric) -> Numeric:
    """Return the time constant of a density that fell by `d0_ratio` in so many months. [months]

    >>> round(float(e_folding_months(1.75647, 12)), 1)
    21.3
    """
    return months / np.log(d0_ratio)
