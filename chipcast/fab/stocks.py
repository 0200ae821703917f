"""The month recursion of a packaging line with stocks of dies and memory: what is started, what binds.

Pure arrays in and out; `line.run` feeds it from the rows of a run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.types import Array, Numeric
from chipcast.fab.record import LIMITS

DIES, HBM, PACKAGING, ORDERS = (LIMITS.index(n) for n in ("dies", "hbm", "packaging", "orders"))

ORDER_SLACK = 1e-9
"""Packages below which an order counts as served."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Supply:
    """What a packaging line has to work with, by month."""

    dies: Array
    """Good dies in stock before the first month. [dies] (draw)"""
    raw_dies: Array
    """All dies, good and bad, in stock before the first month. [dies] (draw)"""
    stacks: Array
    """Memory stacks in stock before the first month. [stacks] (draw)"""
    dies_in: Array
    """Good dies that arrive. [dies/month] (month, draw)"""
    raw_dies_in: Array
    """All dies that arrive, good and bad. [dies/month] (month, draw)"""
    stacks_in: Array
    """Memory stacks that arrive. [stacks/month] (month, draw)"""
    capacity: Array
    """Packages that can be started. [packages/month] (month, draw)"""
    dual_share: Array
    """Share of packages that hold two dies. [1] (draw) or (month, draw)"""
    screened: Array
    """1 where dies are tested before assembly; 0 where two-die packages take untested dies. [1] (draw)"""
    stacks_single: Array
    """Memory stacks of a one-die package. [stacks] (draw)"""
    stacks_dual: Array
    """Memory stacks of a two-die package. [stacks] (draw)"""
    free_memory: bool = False
    """Whether memory can be bought as needed; then stacks arrive as they are used."""
    free_from: int = 0
    """First month in which memory can be bought as needed, counted from the first."""
    free_until: int | None = None
    """First month in which memory is no longer free, counted from 0; left out, it stays free."""
    survive: tuple[Array, Array] | None = None
    """Share of one-die and two-die starts that become cards, for turning orders into starts. [1] (draw)"""
    orders: Array | None = None
    """Cards newly asked for; unserved ones wait. [cards/month] (product, month, draw)"""
    stock_limit: Array | None = None
    """Good dies above which home-made ones are declined: their wafers go to other customers. [dies] (month, draw)"""
    dies_home: Array | None = None
    """Home-made part of `dies_in`, needed with a limit. [dies/month] (month, draw)"""
    home_yield: Array | None = None
    """Good share of home-made dies, needed with a limit. [1] (month, draw)"""
    pace_months: Array | None = None
    """Months over which a memory stock that cannot be refilled is spread; left out, all of it may be used. (draw)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """What the line did."""

    starts: Array
    """Packages started, one-die and two-die. [packages/month] (product, month, draw)"""
    binding: Array
    """Index into `LIMITS`. (month, draw)"""
    dies: Array
    """Good dies in stock at the end. [dies] (month, draw)"""
    stacks: Array
    """Memory stacks in stock at the end. [stacks] (month, draw)"""
    stacks_in: Array
    """Memory stacks that arrived. [stacks/month] (month, draw)"""
    dies_used: Array
    """Good dies used. [dies/month] (month, draw)"""
    stacks_used: Array
    """Memory stacks used. [stacks/month] (month, draw)"""
    quality: Array
    """Good share of the dies that blind packages take; 1 where screened. [1] (month, draw)"""
    declined: Array
    """Good home-made dies not taken because the stock was full. [dies/month] (month, draw)"""


def run(s: Supply) -> Flow:
    """Return starts month by month: the least of dies, memory, package slots and orders.

    Notes
    -----
    D_t = D_(t-1) + in - k s, H_t = H_(t-1) + in - q s, s = min(D/k, H/q, capacity, orders). With a pace p a
    month takes no more memory than in + H_(t-1)/p, so that a hoard runs down and does not end. In a blind draw
    the two-die package takes two dies as they come, of which the good share g = good/all of the stock, so it
    uses 2g good ones; a one-die package always takes a tested die. With orders, each product first gets its
    share of what the limits allow; what one product does not need goes to the other.
    """
    months, draws = s.dies_in.shape
    blind = s.screened < 0.5
    any_blind = bool(blind.any())
    dual = np.broadcast_to(s.dual_share, (months, draws))
    dies, raw, stacks = s.dies.astype(float).copy(), s.raw_dies.astype(float).copy(), s.stacks.astype(float).copy()
    one, two = np.empty((months, draws)), np.empty((months, draws))
    out = {k: np.empty((months, draws)) for k in ("binding", "dies", "stacks", "in", "dies_used", "stacks_used")}
    quality, declined = np.ones((months, draws)), np.zeros((months, draws))
    backlog = np.zeros((2, draws))
    q = np.ones(draws)
    for t in range(months):
        x = dual[t]
        dies += s.dies_in[t]
        raw += s.raw_dies_in[t]
        if s.stock_limit is not None and s.dies_home is not None and s.home_yield is not None:
            declined[t] = np.minimum(np.maximum(dies - s.stock_limit[t], 0.0), s.dies_home[t])
            dies -= declined[t]
            raw -= declined[t] / s.home_yield[t]
        usable, free = stacks, s.free_memory and s.free_from <= t and (s.free_until is None or t < s.free_until)
        if not free:
            usable = s.stacks_in[t] + (stacks if s.pace_months is None else stacks / np.maximum(s.pace_months, 1.0))
            stacks += s.stacks_in[t]
        k = np.full(draws, 2.0)
        if any_blind:
            pool = np.maximum(raw, dies)
            now = np.where(pool > 0, dies / np.where(pool > 0, pool, 1.0), 0.0)
            # An empty stock keeps the quality that it had.
            q = np.where(blind, np.where(now > 0, now, q), 1.0)
            quality[t] = q
            k = 2 * q
        by_dies = dies / np.maximum(x * k + (1 - x), 1e-300)
        starts = np.minimum(by_dies, s.capacity[t])
        binds = np.where(by_dies <= s.capacity[t], DIES, PACKAGING)
        if not free:
            by_stacks = usable / (x * s.stacks_dual + (1 - x) * s.stacks_single)
            binds = np.where(by_stacks < starts, HBM, binds)
            starts = np.minimum(starts, by_stacks)
        b, c = (1 - x) * starts, x * starts
        if s.orders is not None:
            b, c, binds = _served(s, t, b, c, k, dies, np.inf if free else usable, backlog, quality[t], binds)
        used, memory = b + k * c, s.stacks_single * b + s.stacks_dual * c
        if any_blind:
            raw = np.maximum(raw - np.where(blind, b / np.maximum(quality[t], 1e-300) + 2 * c, used), 0.0)
        dies = np.maximum(dies - used, 0.0)
        arrived = memory if free else s.stacks_in[t]
        if not free:
            stacks = np.maximum(stacks - memory, 0.0)
        one[t], two[t] = b, c
        for name, value in (("binding", binds), ("dies", dies), ("stacks", stacks), ("in", arrived),
                            ("dies_used", used), ("stacks_used", memory)):
            out[name][t] = value
    return Flow(starts=np.stack([one, two]), binding=out["binding"], dies=out["dies"], stacks=out["stacks"],
                stacks_in=out["in"], dies_used=out["dies_used"], stacks_used=out["stacks_used"], quality=quality,
                declined=declined)


def _served(s: Supply, t: int, b: Array, c: Array, k: Array, dies: Array, free: Numeric, backlog: Array,
            quality: Array, binds: Array) -> tuple[Array, Array, Array]:
    """Return starts cut to what is ordered, with the slack of one product handed to the other.

    `free` are the memory stacks of the month, infinite where they can be bought as needed.
    """
    assert s.orders is not None and s.survive is not None, "orders need the share of starts that survive"
    backlog += s.orders[:, t]
    yields = (s.survive[0], s.survive[1] * quality**2)
    want_b, want_c = (backlog[p] / np.maximum(yields[p], 1e-12) for p in (0, 1))
    b, c = np.minimum(b, want_b), np.minimum(c, want_c)
    slots = s.capacity[t] - b - c
    more_c = np.minimum(want_c - c, np.minimum(slots, np.minimum(
        (dies - b - k * c) / np.maximum(k, 1e-300), (free - s.stacks_single * b - s.stacks_dual * c) / s.stacks_dual)))
    c = c + np.maximum(more_c, 0.0)
    slots = s.capacity[t] - b - c
    more_b = np.minimum(want_b - b, np.minimum(slots, np.minimum(
        dies - b - k * c, (free - s.stacks_single * b - s.stacks_dual * c) / s.stacks_single)))
    b = b + np.maximum(more_b, 0.0)
    done = (want_b - b <= ORDER_SLACK) & (want_c - c <= ORDER_SLACK)
    backlog[0] -= b * yields[0]
    backlog[1] -= c * yields[1]
    np.maximum(backlog, 0.0, out=backlog)
    return b, c, np.where(done, ORDERS, binds)


def _more_stacks(s: Supply, amount: float) -> Supply:
    return replace(s, stacks=s.stacks + amount)


def _more_dies(s: Supply, amount: float) -> Supply:
    return replace(s, dies=s.dies + amount, raw_dies=s.raw_dies + amount)


def _more_capacity(s: Supply, amount: float) -> Supply:
    return replace(s, capacity=s.capacity + amount)


RELAX: dict[str, Callable[[Supply, float], Supply]] = {
    "hbm": _more_stacks, "dies": _more_dies, "packaging": _more_capacity}
"""How each limit is loosened: stacks or dies in stock, slots in every month."""


def shadow_value(s: Supply, limit: str, amount: float = 1.0) -> Array:
    """Return the change of packages started over the horizon for `amount` more of a limit. [packages] (draw)"""
    eased: Array = run(choose(RELAX, limit, "limit")(s, amount)).starts.sum(axis=(0, 1))
    base: Array = run(s).starts.sum(axis=(0, 1))
    return eased - base
