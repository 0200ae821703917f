"""What leaves the fab by month: wafers started and out, die yields, and how starts answer orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt

from chipcast.base.calendar import month_index, month_name, parse_date
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric
from chipcast.fab import delay
from chipcast.fab.harvest import at_least_each, split_means
from chipcast.fab.patterning import recipe, scanner_limit
from chipcast.fab.product import products
from chipcast.fab.ramp import START, d0_path
from chipcast.fab.wafer import gross_dies_by_draw

DAYS_PER_MONTH = 365 / 12
"""Days in a month."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Yields:
    """Yields of the die by definition."""

    perfect: Array
    """All cores good (`die.perfect`). [1] (month, draw)"""
    top: Array
    """Fits the top bin (`die.bin(24)`). [1] (month, draw)"""
    any: Array
    """Fits the lowest sold bin (`die.any`). [1] (month, draw)"""


def die_yields(given: Given, d0_per_cm2: Array) -> Yields:
    """Return the yields of the accelerator die at these densities, by definition. (month, draw)"""
    g = given
    area = g.middle("ascend_die.width_mm") * g.middle("ascend_die.height_mm")
    cores = round(g.middle("ascend_die.cores"))
    core, fixed = split_means(area, d0_per_cm2, cores, g["smic_n2.core_area_share"], g["smic_n2.uncore_repair_share"])
    alpha = g["smic_n2.cluster_alpha"]
    needs = (cores, round(g.middle("ascend_die.cores_top_bin")), round(g.middle("ascend_die.cores_low_bin")))
    perfect, top, low = at_least_each(cores, needs, core, fixed, alpha)
    return Yields(perfect=perfect, top=top, any=low)


def gross_dies(given: Given) -> Array:
    """Return complete dies per wafer: exact counts for the drawn edge and scribe, phase in between. [dies] (draw)"""
    g = given
    return gross_dies_by_draw(g.middle("ascend_die.width_mm"), g.middle("ascend_die.height_mm"),
                              g["smic_n2.edge_exclusion_mm"], g["smic_n2.scribe_mm"], g["smic_n2.phase_share"])


def wafer_starts(given: Given, months: Sequence[str], *, controls: bool = True,
                 closed: Mapping[str, date | str] | None = None,
                 opened: Mapping[str, date | str] | None = None) -> Array:
    """Return AI wafers started each month before scanners cap them. [wafers/month] (month, draw)

    Notes
    -----
    The average of 2025 times growth^(years from the middle of 2025), scaled so that 2025 keeps its average.
    From the day the tools gate shuts, growth stops and starts shrink by the row of worn tools; from the day it
    opens, starts grow as without controls.
    """
    g = given
    growth = g["smic_n2.ai_wafer_starts_growth_per_year"]
    level = g["smic_n2.ai_wafer_starts_per_month"]
    if not controls:
        growth = g["no_controls.wafer_starts_growth_per_year"]
        level = level * g["no_controls.wafer_starts_ratio"]
    index = np.array([month_index(m) for m in months])
    rate = np.log(growth) / 12
    year = np.arange(12)[:, None]
    scale = level / np.exp(rate * (year - 5.5)).mean(axis=0)
    shut = shut_month(closed, "tools")
    years = (index - START - 5.5)[:, None]
    starts: Array
    if shut is None or index[-1] <= shut:
        starts = scale * np.exp(rate * years)
    else:
        open_part = np.minimum(index, shut)[:, None] - START - 5.5
        after = np.maximum(index - shut, 0)[:, None] / 12
        starts = scale * np.exp(rate * open_part) * (1 - g["gates.wafer_loss_per_year_without_tools"]) ** after
    _, free = passage(index, "tools", closed, opened)
    if free.any():
        more = np.log(g["no_controls.wafer_starts_growth_per_year"]) / 12 - rate
        starts = starts * np.exp(np.maximum(more, 0.0) * np.cumsum(free)[:, None])
    return starts


def scanner_cap(given: Given) -> Array:
    """Return AI wafers a month that the immersion scanners can expose. [wafers/month] (draw)"""
    g = given
    all_wafers: Array = scanner_limit(g["smic_n2.immersion_scanners"], g["patterning.immersion_wafers_per_hour"],
                                      g["patterning.scanner_uptime_share"],
                                      g["smic_n2.immersion_exposures_per_wafer"])
    return all_wafers * g["smic_n2.ai_share_of_scanner_hours"]


def shut_month(closed: Mapping[str, date | str] | None, gate: str) -> int | None:
    """Return the absolute month from which a gate is shut, or None where it stays open."""
    if not closed or gate not in closed:
        return None
    return month_index(parse_date(closed[gate]))


Mask = npt.NDArray[np.bool_]
"""Months in which something holds. (month)"""


def passage(index: npt.NDArray[np.int_], gate: str, closed: Mapping[str, date | str] | None,
            opened: Mapping[str, date | str] | None, *, controls: bool = True) -> tuple[Mask, Mask]:
    """Return in which months a gate is shut beyond the rules as they stand, and in which it is open. (month)

    Without controls a gate is open until it is shut; of two dates the later one counts from its month on.
    """
    shut_at, open_at = shut_month(closed, gate), shut_month(opened, gate)
    shut = np.zeros(len(index), bool) if shut_at is None else index >= shut_at
    free = np.full(len(index), not controls) if open_at is None else index >= open_at
    if open_at is not None and (shut_at is None or open_at > shut_at):
        shut = shut & ~free
    return shut, free & ~shut


@dataclass(frozen=True, kw_only=True, slots=True)
class Front:
    """What leaves the fab, before packaging."""

    starts: Array
    """Wafers started. [wafers/month] (month, draw)"""
    out: Array
    """Wafers out, line yield taken. [wafers/month] (month, draw)"""
    d0: Array
    """Density of killing defects. [1/cm2] (month, draw)"""
    gross: Array
    """Complete dies per wafer. [dies] (draw)"""
    yields: Yields
    """Die yields by definition."""
    in_process: Array
    """Wafers inside the fab at the end of each month. [wafers] (month, draw)"""
    capped: npt.NDArray[np.bool_]
    """Whether scanners held back the starts of the wafers that come out, by their mean delay. (month, draw)"""

    def months(self, keep: slice) -> Front:
        """Return the same for some of the months."""
        y = self.yields
        return replace(self, starts=self.starts[keep], out=self.out[keep], d0=self.d0[keep],
                       in_process=self.in_process[keep], capped=self.capped[keep],
                       yields=Yields(perfect=y.perfect[keep], top=y.top[keep], any=y.any[keep]))


def front(given: Given, months: Sequence[str], *, controls: bool = True, learning: str = "exponential",
          closed: Mapping[str, date | str] | None = None, opened: Mapping[str, date | str] | None = None,
          volume_factor: Numeric = 1.0, before: Array | None = None) -> Front:
    """Return wafers and die yields month by month, the pipeline filled by the starts of the months before."""
    g = given
    path = recipe(g, "n+2" if controls else "euv-twin")
    index = month_index(months[0])
    earlier = tuple(month_name(i) for i in range(index - delay.LAGS, index))
    demand = wafer_starts(g, months, controls=controls, closed=closed, opened=opened) * volume_factor
    # Scanners cap home starts only where no more of them can be bought.
    cap = scanner_cap(g)
    _, free = passage(np.array([month_index(m) for m in months]), "tools", closed, opened)
    starts = np.where(free[:, None], demand, np.minimum(demand, cap)) if controls else demand
    history = np.minimum(wafer_starts(g, earlier), cap) if before is None else before
    shares = delay.kernel(path.days / DAYS_PER_MONTH, g["smic_n2.pipeline_stages"])
    raw = delay.through(starts, shares, history)
    # What scanners held back comes out a mean delay later.
    back = np.arange(len(months))[:, None] - np.rint(path.days / DAYS_PER_MONTH).astype(np.int64)
    capped = np.take_along_axis(starts < demand, np.maximum(back, 0), axis=0)
    out = raw * g["smic_n2.line_yield"]
    in_process = delay.inside(history, shares) + np.cumsum(starts - raw, axis=0)
    wafers = None
    if learning == "volume" and index >= START:
        other = g["ramp.other_wafers_per_month"] * (np.arange(len(months)) + 0.5)[:, None]
        wafers = g["ramp.wafers_before_2025"] + other + np.cumsum(out, axis=0) - out / 2
    d0 = d0_path(g, months, learning=learning, wafers=wafers)
    if not controls:
        d0 = d0 * (path.d0_per_cm2 / g["smic_n2.d0_per_cm2"])
    return Front(starts=starts, out=out, d0=d0, gross=gross_dies(g), yields=die_yields(g, d0), in_process=in_process,
                 capped=capped)


def answered(given: Given, made: Front, orders: Array) -> Array:
    r"""Return by what factor wafer starts rise to answer orders; scanners still cap them. [1] (month, draw)

    Parameters
    ----------
    made : Front
        The front without an answer, from January 2025 on.
    orders : array
        Cards newly asked for. [cards/month] (product, month, draw)

    Notes
    -----
    With n the wafers that the orders of a month need at the yields of that month, and s the starts of the plan,
    starts become s + r max(m - s, 0), where m follows n with a lag: m_t = m_(t-1) + (n_t - m_(t-1)) / L. Orders
    below the plan leave it as it is: what is not taken goes to other customers of the line.
    """
    g = given
    per_wafer = np.maximum(made.gross * g["smic_n2.line_yield"] * made.yields.any, 1e-9)
    need = sum(item.dies * orders[p] / np.maximum(item.assembly_yield * item.system_yield, 1e-9)
               for p, item in enumerate(products(g))) / per_wafer
    share, lag = g["smic_n2.order_response_share"], np.maximum(g["smic_n2.order_response_lag_months"], 1.0)
    followed = made.starts[0].copy()
    factor = np.empty(made.starts.shape)
    for t, plan in enumerate(made.starts):
        followed = followed + (need[t] - followed) / lag
        factor[t] = 1 + share * np.maximum(followed / np.maximum(plan, 1e-9) - 1, 0.0)
    return factor
