"""Who gets what, and at what price: allocation of scarce supply, grey premium, lead time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chipcast.base.calendar import DAYS_PER_MONTH
from chipcast.base.types import Array, Numeric
from chipcast.market.sums import total

TINY = 1e-30
"""Keeps quotients finite where nothing is asked for."""


def fill_shares(orders: Array, supply: Array, priority: Array | None = None) -> Array:
    r"""Return the share of its orders that each buyer gets when supply is shared in proportion. [1] (buyer, ...)

    Parameters
    ----------
    orders : array (buyer, ...)
        Cards wanted.
    supply : array (...)
        Cards to hand out.
    priority : array (buyer, ...), optional
        Fill ratio of each buyer relative to the first served, at most 1.

    Notes
    -----
    Without priorities $\min(1, K/\sum w)$. With them, what the favoured cannot use goes to the rest, so that nothing
    stays on the shelf while somebody wants it.
    """
    if priority is None:
        return np.broadcast_to(np.minimum(1.0, supply / np.maximum(total(orders), TINY)), orders.shape)
    part = orders * priority
    first: Array = priority * (supply / np.maximum(total(part), TINY))
    np.minimum(first, 1.0, out=first)
    left = np.maximum(supply - total(np.multiply(orders, first, out=part)), 0.0)
    rest = 1 - first
    rest *= np.minimum(1.0, left / np.maximum(total(np.multiply(orders, rest, out=part)), TINY))
    first += rest
    return first


def proportional(orders: Array, supply: Array, priority: Array | None = None, ranks: Sequence[slice] = (),
                 out: Array | None = None) -> Array:
    """Return what each buyer gets when supply is shared in proportion to orders, see `fill_shares`.

    >>> proportional(np.array([100.0, 50.0, 10.0]), np.array(90.0)).tolist()
    [56.25, 28.125, 5.625]
    """
    if priority is None or not ranks:
        return np.asarray(np.multiply(orders, fill_shares(orders, supply, priority), out=out))
    asked = np.stack([total(orders[r]) for r in ranks])
    fill = fill_shares(asked, supply, priority[[r.start for r in ranks]])
    out = np.empty_like(orders) if out is None else out
    for share, r in zip(fill, ranks, strict=True):
        np.multiply(orders[r], share, out=out[r])
    return out


def water_fill(orders: Array, supply: Array, priority: Array | None = None, ranks: Sequence[slice] = (),
               out: Array | None = None) -> Array:
    """Return what each buyer gets when all are filled to one level: small orders first in full.

    >>> water_fill(np.array([100.0, 50.0, 10.0]), np.array(90.0)).tolist()
    [40.0, 40.0, 10.0]
    """
    order = np.sort(orders, axis=0)
    count = orders.shape[0]
    before = np.cumsum(order, axis=0) - order
    rest = np.arange(count, 0, -1).reshape((count,) + (1,) * (orders.ndim - 1))
    levels = (supply - before) / rest
    # the level of the first buyer, in rising order, whose order exceeds it; after him levels only fall
    short = order > levels
    level = np.where(short, levels, -np.inf).max(axis=0)
    return np.asarray(np.where(short.any(axis=0), np.minimum(orders, np.maximum(level, 0.0)), orders))


def in_order(orders: Array, supply: Array, priority: Array | None = None, ranks: Sequence[slice] = (),
             out: Array | None = None) -> Array:
    """Return what each buyer gets when contracts are served one after the other, highest priority first."""
    if priority is None:
        rank = np.broadcast_to(np.arange(orders.shape[0]).reshape((-1,) + (1,) * (orders.ndim - 1)), orders.shape)
    else:
        rank = np.argsort(-np.broadcast_to(priority, orders.shape), axis=0, kind="stable")
    sorted_orders = np.take_along_axis(orders, rank, axis=0)
    before = np.cumsum(sorted_orders, axis=0) - sorted_orders
    served = np.clip(supply - before, 0.0, sorted_orders)
    out = np.empty_like(served)
    np.put_along_axis(out, rank, served, axis=0)
    return out


ALLOCATION = {"proportional": proportional, "water_fill": water_fill, "priority": in_order}
"""How scarce supply is shared: orders (buyer, ...), supply (...), priority (buyer, ...) and slices of buyers that are
served alike, to deliveries."""


def grey_premium(unfilled_share: Numeric, premium_max: Numeric, kappa: Numeric) -> Numeric:
    r"""Return the street premium over list. [1]

    Notes
    -----
    $g = g_{max}(1 - e^{-\kappa s})$ with s the unfilled share of what buyers want.
    """
    return premium_max * -np.expm1(-kappa * unfilled_share)


def lead_time_days(first_days: Numeric, backlog: Numeric, per_month: Numeric, cap_months: float = 36.0) -> Numeric:
    """Return days from order to delivery: handling plus backlog over throughput (Little 1961). [days]

    Capped at three years, beyond which an order is a wish.
    """
    return first_days + DAYS_PER_MONTH * np.minimum(backlog / np.maximum(per_month, TINY), cap_months)


def wright(volume_ratio: Numeric, learning_rate: Numeric) -> Numeric:
    r"""Return cost over first cost when volume has grown so many times. [1]

    Notes
    -----
    $(N/N_0)^{\log_2(1-LR)}$; Wright, Journal of the Aeronautical Sciences 3, 1936.

    >>> round(float(wright(10.0, 0.15)), 6)
    0.58282
    """
    return volume_ratio ** (np.log1p(-learning_rate) / np.log(2))
