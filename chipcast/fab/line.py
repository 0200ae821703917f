"""The production line by month: wafers, dies, stocks, packages, what binds, and what it costs.

Stocks are known (as ranges) at the end of 2024; so every run starts in January 2025 inside and shows the
months that are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np

from chipcast.base.calendar import month_end, month_index, month_name, month_range, parse_date
from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric
from chipcast.fab import delay, stocks
from chipcast.fab.cost import unit_cost
from chipcast.fab.front import DAYS_PER_MONTH, Front, answered, front, scanner_cap
from chipcast.fab.patterning import recipe
from chipcast.fab.product import products
from chipcast.fab.ramp import START
from chipcast.fab.record import LIMITS, PRODUCTS, Line
from chipcast.fab.supply import screened, supply

FIRST = "2025-01"
"""First month of every run: stocks are those of the end of 2024."""

YEAR_BEFORE = month_range("2024-01", "2024-12")
"""Months that reports on 2024 speak of."""

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


def run(given: Given, months: Sequence[str], *, controls: bool = True,
        closed: Mapping[str, date | str] | None = None, opened: Mapping[str, date | str] | None = None,
        orders: Array | None = None, volume_factor: Numeric | None = None, learning: str = "exponential",
        answer: bool = False) -> Line:
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
    opened : mapping, optional
        Gate of `GATES` -> date from which it is open in spite of `controls`.
    orders : array, optional
        Cards of each product newly asked for; unserved ones wait. [cards/month] (product, month, draw)
    volume_factor : numeric, optional
        Multiplies wafer starts. [1] (month, draw) or anything that broadcasts to it
    learning : str
        Entry of `ramp.LEARNING`; with `volume` more wafers teach the line faster.
    answer : bool
        Whether orders raise wafer starts, see `answered`; needs `orders`.

    Raises
    ------
    InputError
        If the months begin before 2025, have gaps, or a gate is unknown.
    """
    _check(months, {**(closed or {}), **(opened or {})})
    g = given
    whole = month_range(FIRST, months[-1])
    skip = len(whole) - len(months)
    asked = _padded_orders(orders, skip, g.draws)
    factor = _padded(volume_factor, skip, g.draws)
    made, last = _made(g, whole, controls=controls, closed=closed, opened=opened, learning=learning, factor=factor)
    if answer:
        require(asked is not None, "orders", "be given where wafer starts answer them", None)
        assert asked is not None
        made = front(g, whole, controls=controls, closed=closed, opened=opened, learning=learning,
                     volume_factor=factor * answered(g, made, asked))
    given_to_pack, foreign = supply(g, whole, made, controls=controls, closed=closed, opened=opened, orders=asked)
    flow, packages = packed(g, given_to_pack, last)
    single, dual = products(g)
    tested = given_to_pack.screened
    good_in = given_to_pack.dies_in - foreign - flow.declined

    wafer_usd = recipe(g, "n+2" if controls else "euv-twin").wafer_usd
    unit = np.stack([unit_cost(item, wafer_usd=wafer_usd, gross_dies=made.gross, line_yield=g["smic_n2.line_yield"],
                               die_yield=made.yields.any, screened=tested if item.dies > 1 else None)
                     for item in (single, dual)])
    price = np.stack([single.price_usd, dual.price_usd])
    fixed = g["ascend_line.fixed_cost_usd_per_year"] / 12
    profit = ((price[:, None, :] - unit) * packages).sum(axis=0) - fixed
    # Where dies bind and half of them or more are this month's own, what is short is wafers, and behind these
    # scanner hours where most of the wafers were held back by them.
    fresh = (flow.binding == stocks.DIES) & (good_in >= 0.5 * (flow.dies + flow.dies_used))
    short = np.where(made.capped, LIMITS.index("scanner_hours"), LIMITS.index("wafers"))
    binding = np.where(fresh, short, flow.binding)

    keep = slice(skip, None)
    return Line(
        months=tuple(months), products=PRODUCTS, wafer_starts=made.starts[keep], scanner_cap=scanner_cap(g),
        wafers_out=made.out[keep], gross_dies=made.gross, d0_per_cm2=made.d0[keep],
        yield_die_perfect=made.yields.perfect[keep], yield_die_any=made.yields.any[keep],
        yield_die_top=made.yields.top[keep],
        assembly_yield=np.stack([single.assembly_yield, dual.assembly_yield]), screened=tested,
        good_dies=good_in[keep], die_bank=flow.dies[keep], hbm_bank=flow.stacks[keep], hbm_inflow=flow.stacks_in[keep],
        dies_bought=foreign[keep], dies_used=flow.dies_used[keep], hbm_used=flow.stacks_used[keep],
        wafers_in_process=made.in_process[keep], die_quality=flow.quality[keep],
        opening_dies=flow.dies[skip - 1] if skip else given_to_pack.dies,
        opening_hbm=flow.stacks[skip - 1] if skip else given_to_pack.stacks,
        package_starts=flow.starts[:, keep], packages=packages[:, keep], binding=binding[keep],
        wafer_cost_usd=wafer_usd, unit_cost_usd=unit[:, keep], price_usd=price, fixed_cost_usd_per_month=fixed,
        profit_usd=profit[keep])


def _made(given: Given, whole: Sequence[str], *, controls: bool, closed: Mapping[str, date | str] | None,
          opened: Mapping[str, date | str] | None, learning: str,
          factor: Numeric) -> tuple[Front, Mapping[str, Array]]:
    """Return the front from January 2025 on and the output of 2024, followed in one go where both go the same way."""
    if not controls or learning != "exponential":
        return (front(given, whole, controls=controls, closed=closed, opened=opened, learning=learning,
                      volume_factor=factor), year_before(given))
    lead, values = len(YEAR_BEFORE), np.asarray(factor, dtype=float)
    if values.ndim == 2:
        values = np.concatenate([np.ones((lead, values.shape[-1])), values])
    elif values.ndim == 1 or values != 1:
        values = np.concatenate([np.ones((lead, given.draws)),
                                 np.broadcast_to(values, (len(whole), given.draws))])
    both = front(given, (*YEAR_BEFORE, *whole), closed=closed, opened=opened, volume_factor=values)
    return both.months(slice(lead, None)), year_before(given, both.months(slice(0, lead)))


def packed(given: Given, ready: stocks.Supply, last: Mapping[str, Array]) -> tuple[stocks.Flow, Array]:
    """Return what packaging did with its supply, and the good packages that leave test. (product, month, draw)

    Parameters
    ----------
    ready : Supply
        From `supply`, beginning in January 2025.
    last : mapping
        From `year_before`: packages of 2024 are in the pipeline at the start.
    """
    g, survive = given, ready.survive
    assert survive is not None, "a supply of the line knows what survives"
    flow = stocks.run(ready)
    shares = delay.kernel(g["package_line.assembly_test_days"] / DAYS_PER_MONTH, g["smic_n2.pipeline_stages"],
                          lags=PACKAGE_LAGS)
    quality = flow.quality**2
    return flow, np.stack([
        delay.through(flow.starts[p] * survive[p] * (quality if p else 1.0), shares,
                      np.broadcast_to(last[name] / 12, (PACKAGE_LAGS, g.draws)))
        for p, name in enumerate(PRODUCTS)])


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


def year_before(given: Given, made: Front | None = None) -> dict[str, Array]:
    """Return the output of 2024 by product, and what it was made of: the forward side of reports on 2024.

    Parameters
    ----------
    made : Front, optional
        Wafers and yields of 2024, where they are at hand.

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
    made = front(g, YEAR_BEFORE) if made is None else made
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
