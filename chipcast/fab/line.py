"""The production line by month: wafers, dies, stocks, packages, what binds, and what it costs.

Stocks are known (as ranges) at the end of 2024; so every run starts in January 2025 inside and shows the
months that are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from chipcast.base.calendar import month_end, month_index, month_name, month_range, parse_date
from chipcast.base.choose import choose
from chipcast.base.draws import to_uniform
from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric
from chipcast.fab import delay, stocks
from chipcast.fab.cost import unit_cost
from chipcast.fab.harvest import at_least_each, split_means
from chipcast.fab.patterning import recipe, scanner_limit
from chipcast.fab.product import products
from chipcast.fab.ramp import START, d0_path
from chipcast.fab.record import LIMITS, PRODUCTS, Line
from chipcast.fab.wafer import gross_dies_by_draw

DAYS_PER_MONTH = 365 / 12

FIRST = "2025-01"
"""First month of every run: stocks are those of the end of 2024."""

YEAR_BEFORE = month_range("2024-01", "2024-12")

SCREENED = "latent:package_dual_die.screened"
"""Luck that decides the flow of the two-die part; a name of its own, so that reports can move it."""

PACKAGE_LAGS = 12
"""Longest delay that is followed in assembly and test. [months]"""

GATES = ("tools", "hbm", "foundry")
"""Gates that may be shut from a date: scanners and parts, memory from abroad, dies from abroad."""

CONTROLS: Mapping[bool, str] = {
    True: "as the controls stand: wafer starts grow as the range says and scanners cap them, memory comes in the "
          "range of detours and first domestic output, no more foreign dies",
    False: "without export controls: home starts by the ratio and growth of the rows no_controls.*, the process with "
           "EUV on the tightest layers, memory bought as needed, foreign dies go on arriving",
}
"""What a run assumes about export controls."""


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


def screened(given: Given) -> Array:
    """Return 1 where two-die packages are made of tested dies, 0 where assembly is blind. (draw)"""
    luck = to_uniform(given.normal(SCREENED))
    known_good = luck < given["package_dual_die.known_good_die_probability"]
    return np.where(known_good, 1.0, 0.0)


def wafer_starts(given: Given, months: Sequence[str], *, controls: bool = True,
                 closed: Mapping[str, date | str] | None = None) -> Array:
    """Return AI wafers started each month before scanners cap them. [wafers/month] (month, draw)

    Notes
    -----
    The average of 2025 times growth^(years from the middle of 2025), scaled so that 2025 keeps its average.
    From the day the tools gate shuts, growth stops and starts shrink by the row of worn tools.
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
    shut = _shut_month(closed, "tools")
    years = (index - START - 5.5)[:, None]
    starts: Array
    if shut is None or index[-1] <= shut:
        starts = scale * np.exp(rate * years)
    else:
        open_part = np.minimum(index, shut)[:, None] - START - 5.5
        after = np.maximum(index - shut, 0)[:, None] / 12
        starts = scale * np.exp(rate * open_part) * (1 - g["gates.wafer_loss_per_year_without_tools"]) ** after
    return starts


def scanner_cap(given: Given) -> Array:
    """Return AI wafers a month that the immersion scanners can expose. [wafers/month] (draw)"""
    g = given
    all_wafers: Array = scanner_limit(g["smic_n2.immersion_scanners"], g["patterning.immersion_wafers_per_hour"],
                                      g["patterning.scanner_uptime_share"],
                                      g["smic_n2.immersion_exposures_per_wafer"])
    return all_wafers * g["smic_n2.ai_share_of_scanner_hours"]


def _shut_month(closed: Mapping[str, date | str] | None, gate: str) -> int | None:
    if not closed or gate not in closed:
        return None
    return month_index(parse_date(closed[gate]))


def _growing(level: Array, growth: Array, index: Array) -> Array:
    """Return a quantity that has `level` on average in 2025 and grows by the year. (month, draw)"""
    rate = np.log(growth) / 12
    scale = level / np.exp(rate * (np.arange(12)[:, None] - 5.5)).mean(axis=0)
    values: Array = scale * np.exp(rate * (index - START - 5.5)[:, None])
    return values


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


def front(given: Given, months: Sequence[str], *, controls: bool = True, learning: str = "exponential",
          closed: Mapping[str, date | str] | None = None, volume_factor: Numeric = 1.0,
          before: Array | None = None) -> Front:
    """Return wafers and die yields month by month, the pipeline filled by the starts of the months before."""
    g = given
    path = recipe(g, "n+2" if controls else "euv-twin")
    index = month_index(months[0])
    earlier = tuple(month_name(i) for i in range(index - delay.LAGS, index))
    demand = wafer_starts(g, months, controls=controls, closed=closed) * volume_factor
    # Scanners cap home starts only where no more of them can be bought.
    starts = np.minimum(demand, scanner_cap(g)) if controls else demand
    history = np.minimum(wafer_starts(g, earlier), scanner_cap(g)) if before is None else before
    shares = delay.kernel(path.days / DAYS_PER_MONTH, g["smic_n2.pipeline_stages"])
    raw = delay.through(starts, shares, history)
    out = raw * g["smic_n2.line_yield"]
    in_process = delay.inside(history, shares) + np.cumsum(starts - raw, axis=0)
    wafers = None
    if learning == "volume" and index >= START:
        other = g["ramp.other_wafers_per_month"] * (np.arange(len(months)) + 0.5)[:, None]
        wafers = g["ramp.wafers_before_2025"] + other + np.cumsum(out, axis=0) - out / 2
    d0 = d0_path(g, months, learning=learning, wafers=wafers)
    if not controls:
        d0 = d0 * (path.d0_per_cm2 / g["smic_n2.d0_per_cm2"])
    return Front(starts=starts, out=out, d0=d0, gross=gross_dies(g), yields=die_yields(g, d0), in_process=in_process)


def run(given: Given, months: Sequence[str], *, controls: bool = True,
        closed: Mapping[str, date | str] | None = None, orders: Array | None = None,
        volume_factor: Numeric | None = None, learning: str = "exponential") -> Line:
    """Return the line for these months.

    Parameters
    ----------
    given : Given
        Every number of the run.
    months : sequence of str
        Consecutive months from 2025-01 on.
    controls : bool
        False gives the world without export controls, see `CONTROLS`.
    closed : mapping, optional
        Gate of `GATES` -> date from which it is shut.
    orders : array, optional
        Cards of each product newly asked for; unserved ones wait. [cards/month] (product, month, draw)
    volume_factor : numeric, optional
        Multiplies wafer starts. [1] (month, draw) or anything that broadcasts to it
    learning : str
        Entry of `ramp.LEARNING`; with `volume` more wafers teach the line faster.

    Raises
    ------
    InputError
        If the months begin before 2025, have gaps, or a gate is unknown.
    """
    _check(months, closed)
    g = given
    whole = month_range(FIRST, months[-1])
    skip = len(whole) - len(months)
    made = front(g, whole, controls=controls, closed=closed, learning=learning,
                 volume_factor=_padded(volume_factor, skip, g.draws))
    last = year_before(g)
    given_to_pack, foreign = supply(g, whole, made, controls=controls, closed=closed,
                                    orders=_padded_orders(orders, skip, g.draws))
    flow = stocks.run(given_to_pack)
    single, dual = products(g)
    tested, survive = given_to_pack.screened, given_to_pack.survive
    good_in = given_to_pack.dies_in - foreign - flow.declined
    assert survive is not None, "a supply of the line knows what survives"

    shares = delay.kernel(g["package_line.assembly_test_days"] / DAYS_PER_MONTH, g["smic_n2.pipeline_stages"],
                          lags=PACKAGE_LAGS)
    quality = flow.quality**2
    packages = np.stack([
        delay.through(flow.starts[p] * survive[p] * (quality if p else 1.0), shares,
                      np.broadcast_to(last[name] / 12, (PACKAGE_LAGS, g.draws)))
        for p, name in enumerate(PRODUCTS)])

    wafer_usd = recipe(g, "n+2" if controls else "euv-twin").wafer_usd
    unit = np.stack([unit_cost(item, wafer_usd=wafer_usd, gross_dies=made.gross, line_yield=g["smic_n2.line_yield"],
                               die_yield=made.yields.any, screened=tested if item.dies > 1 else None)
                     for item in (single, dual)])
    price = np.stack([single.price_usd, dual.price_usd])
    fixed = g["ascend_line.fixed_cost_usd_per_year"] / 12
    profit = ((price[:, None, :] - unit) * packages).sum(axis=0) - fixed
    # Where dies bind and half of them or more are this month's own, what is short is wafers.
    fresh = good_in >= 0.5 * (flow.dies + flow.dies_used)
    binding = np.where((flow.binding == stocks.DIES) & fresh, LIMITS.index("wafers"), flow.binding)

    keep = slice(skip, None)
    return Line(
        months=tuple(months), products=PRODUCTS, wafer_starts=made.starts[keep], wafers_out=made.out[keep],
        gross_dies=made.gross, d0_per_cm2=made.d0[keep], yield_die_perfect=made.yields.perfect[keep],
        yield_die_any=made.yields.any[keep], yield_die_top=made.yields.top[keep],
        assembly_yield=np.stack([single.assembly_yield, dual.assembly_yield]), screened=tested,
        good_dies=good_in[keep], die_bank=flow.dies[keep], hbm_bank=flow.stacks[keep], hbm_inflow=flow.stacks_in[keep],
        dies_bought=foreign[keep], dies_used=flow.dies_used[keep], hbm_used=flow.stacks_used[keep],
        wafers_in_process=made.in_process[keep], die_quality=flow.quality[keep],
        opening_dies=flow.dies[skip - 1] if skip else given_to_pack.dies,
        opening_hbm=flow.stacks[skip - 1] if skip else given_to_pack.stacks,
        package_starts=flow.starts[:, keep], packages=packages[:, keep], binding=binding[keep],
        wafer_cost_usd=wafer_usd, unit_cost_usd=unit[:, keep], price_usd=price, fixed_cost_usd_per_month=fixed,
        profit_usd=profit[keep])


def supply(given: Given, months: Sequence[str], made: Front, *, controls: bool = True,
           closed: Mapping[str, date | str] | None = None,
           orders: Array | None = None) -> tuple[stocks.Supply, Array]:
    """Return what packaging has to work with from January 2025 on, and the foreign dies in it. (month, draw)"""
    g = given
    index = np.array([month_index(m) for m in months])
    raw_in = made.out * made.gross
    foreign = np.zeros((len(months), g.draws))
    share = g["die_bank.good_share"]
    if not controls:
        shut = _shut_month(closed, "foundry")
        foreign[:] = g["no_controls.foreign_dies_per_year"] / 12 * share
        if shut is not None:
            foreign[index >= shut] = 0.0
    hbm_in = _growing(g["hbm_inflow.stacks_per_month"] * g["hbm_bank.ascend_share"], g["hbm_inflow.growth_per_year"],
                      index)
    shut = _shut_month(closed, "hbm")
    if shut is not None:
        hbm_in[index >= shut] *= g["hbm_inflow.domestic_share"]
    single, double = products(g)
    bank = g["die_bank.dies"] * (1 - g["die_bank.used_before_2025_share"])
    stacks_open = g["hbm_bank.stacks"] * g["hbm_bank.ascend_share"] * (1 - g["hbm_bank.used_before_2025_share"])
    capacity = _growing(g["package_line.capacity_per_month"], g["package_line.capacity_growth_per_year"], index)
    dual, home = g["package_line.dual_die_share"], raw_in * made.yields.any
    return stocks.Supply(
        dies=bank * share, raw_dies=bank, stacks=stacks_open, dies_in=home + foreign,
        raw_dies_in=raw_in + foreign / share, stacks_in=hbm_in, capacity=capacity, dies_home=home,
        home_yield=made.yields.any, stock_limit=g["smic_n2.die_stock_months"] * capacity * (1 + dual), dual_share=dual,
        screened=screened(g), stacks_single=single.stacks, stacks_dual=double.stacks,
        free_memory=not controls and shut is None, orders=orders,
        survive=(single.assembly_yield * single.system_yield, double.assembly_yield * double.system_yield)), foreign


def shadow_values(given: Given, months: Sequence[str]) -> dict[str, Array]:
    """Return what more of each limit is worth over the horizon, in packages started per unit. [packages] (draw)

    Notes
    -----
    Finite differences on the same draws: a thousand more stacks or dies in stock, a hundred more slots in every
    month. Memory and dies per one more; slots per one more slot in every month.
    """
    _check(months, None)
    whole = month_range(FIRST, months[-1])
    base, _ = supply(given, whole, front(given, whole))
    amounts = {"hbm": 1000.0, "dies": 1000.0, "packaging": 100.0}
    return {limit: stocks.shadow_value(base, limit, amount) / amount for limit, amount in amounts.items()}


def year_before(given: Given) -> dict[str, Array]:
    """Return the output of 2024 by product, and what it was made of: the forward side of reports on 2024.

    Returns
    -------
    dict
        Good packages of `PRODUCTS` [packages]; `dies_made`, `dies_used`, `stacks_used`; `wafers_out`;
        `yield_die_any` and `yield_die_perfect`, both weighted by wafers [1]; `d0_per_cm2` at the end of the
        year; `binding`, index into `LIMITS`. All (draw).

    Notes
    -----
    Foreign dies and stacks used in the year come from the rows of the banks, home dies from the wafers of the
    year; packages are the least of dies, memory and slots. What a draw leaves over is not carried into 2025,
    since the banks of the end of 2024 have ranges of their own.
    """
    g = given
    made = front(g, YEAR_BEFORE)
    raw = made.out * made.gross
    dies_made = (raw * made.yields.any).sum(axis=0)
    out = made.out.sum(axis=0)
    foreign_raw = g["die_bank.dies"] * g["die_bank.used_before_2025_share"] * g["die_bank.used_in_2024_share"]
    foreign = foreign_raw * g["die_bank.good_share"]
    stacks_used = g["hbm_bank.stacks"] * g["hbm_bank.ascend_share"] * g["hbm_bank.used_before_2025_share"] \
        * g["hbm_bank.used_in_2024_share"]
    single, dual = products(g)
    flow = stocks.run(stocks.Supply(
        dies=dies_made + foreign, raw_dies=raw.sum(axis=0) + foreign_raw, stacks=stacks_used,
        dies_in=np.zeros((1, g.draws)), raw_dies_in=np.zeros((1, g.draws)), stacks_in=np.zeros((1, g.draws)),
        capacity=12 * (g["package_line.capacity_per_month"] / g["package_line.capacity_growth_per_year"])[None, :],
        dual_share=g["package_line.dual_die_share_2024"],
        screened=screened(g), stacks_single=single.stacks, stacks_dual=dual.stacks))
    quality = flow.quality[0] ** 2
    packages = (flow.starts[0, 0] * single.assembly_yield * single.system_yield,
                flow.starts[1, 0] * dual.assembly_yield * dual.system_yield * quality)
    return {PRODUCTS[0]: packages[0], PRODUCTS[1]: packages[1], "dies_made": dies_made,
            "dies_used": flow.dies_used[0], "stacks_used": flow.stacks_used[0], "wafers_out": out,
            "yield_die_any": (made.yields.any * made.out).sum(axis=0) / out,
            "yield_die_perfect": (made.yields.perfect * made.out).sum(axis=0) / out,
            "d0_per_cm2": made.d0[-1], "binding": flow.binding[0]}


def balance(line: Line) -> dict[str, float]:
    """Return the largest relative residual of each balance: dies, memory and wafers; all are zero but for rounding."""
    dies_open = np.concatenate([line.opening_dies[None], line.die_bank[:-1]])
    dies = dies_open + line.good_dies + line.dies_bought - line.dies_used - line.die_bank
    hbm_open = np.concatenate([line.opening_hbm[None], line.hbm_bank[:-1]])
    hbm = hbm_open + line.hbm_inflow - line.hbm_used - line.hbm_bank
    scale_dies = np.maximum(dies_open + line.good_dies, 1.0)
    scale_hbm = np.maximum(hbm_open + line.hbm_inflow, 1.0)
    return {"dies": float(np.abs(dies / scale_dies).max()), "hbm": float(np.abs(hbm / scale_hbm).max())}


def _check(months: Sequence[str], closed: Mapping[str, date | str] | None) -> None:
    require(len(months) > 0, "months", "hold at least one month", 0)
    require(month_index(months[0]) >= START, "months", f"begin in {FIRST} or later (year_before gives 2024)", months[0])
    require(tuple(months) == month_range(months[0], months[-1]), "months", "follow one another without a gap",
            f"{months[0]} to {months[-1]} in {len(months)} steps")
    for gate, day in (closed or {}).items():
        choose(dict.fromkeys(GATES), gate, "gate")
        month_end(month_name(month_index(parse_date(day))))


def _padded(factor: Numeric | None, skip: int, draws: int) -> Numeric:
    """Return the factor of wafer starts with ones for the months before those asked for."""
    if factor is None:
        return 1.0
    values = np.asarray(factor, dtype=float)
    require(np.all(values >= 0), "volume_factor", "not be below 0", values.min())
    if values.ndim == 2 and skip:
        return np.concatenate([np.ones((skip, values.shape[-1])), values])
    return values


def _padded_orders(orders: Array | None, skip: int, draws: int) -> Array | None:
    """Return orders with no limit for the months before those asked for."""
    if orders is None:
        return None
    values = np.asarray(orders, dtype=float)
    require(values.ndim == 3 and values.shape[0] == len(PRODUCTS), "orders", "have axes (product, month, draw)",
            values.shape)
    if skip:
        require(False, "orders", f"begin in {FIRST}, where stocks are known", f"a run that begins {skip} months later")
    return values
