"""How many months of need to hold when supply may be cut off for ever.

The answer has a closed form: below a hazard `hazard_floor` nobody hoards, above it cover jumps. The shape
(order up to a level by supply state) is that of Song and Zipkin, Management Science 42, 1996; the closed
form is our own derivation and the tests hold it against value iteration.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from chipcast.base.errors import require
from chipcast.base.types import Numeric

ROUND = 1e-9
"""Distance to a whole number below which the strict test of the last unit decides."""


def discount_per_month(rate_per_year: Numeric) -> Numeric:
    """Return the monthly discount factor of an annual carrying rate (money and obsolescence). [1]

    >>> round(discount_per_month(0.4), 4)
    0.9724
    """
    return (1 + rate_per_year) ** (-1 / 12)


def hazard_floor(unit_cost: Numeric, shortage_cost: Numeric, holding: Numeric, rate_per_year: Numeric) -> Numeric:
    r"""Return the monthly hazard below which no stock pays. [1/month]

    Notes
    -----
    $\hat q = \frac{h + c(1-\beta)}{\beta (p - c)}$; infinite where the shortage costs no more than the unit.

    >>> round(hazard_floor(1.0, 2.0, 0.0, 0.4), 5)
    0.02844
    """
    beta = discount_per_month(rate_per_year)
    gain = np.asarray(beta * (shortage_cost - unit_cost), dtype=float)
    with np.errstate(divide="ignore"):
        floor = np.where(gain > 0, (holding + unit_cost * (1 - beta)) / np.where(gain > 0, gain, 1), np.inf)
    return _like(floor)


def cutoff(hazard: Numeric, unit_cost: Numeric, shortage_cost: Numeric, holding: Numeric,
           rate_per_year: Numeric) -> Numeric:
    r"""Return the months of cover that minimise expected cost under a permanent cut-off. [months]

    Parameters
    ----------
    hazard : numeric
        Chance a month that supply closes for ever, 0 to 1. [1/month]
    unit_cost, shortage_cost : numeric
        Cost c of one unit now, and p of a missing one after the cut, same money.
    holding : numeric
        Storage and idle cost h per unit and month on stock carried out, same money.
    rate_per_year : numeric
        Carrying rate r, above 0; monthly discount is (1 + r)^(-1/12).

    Notes
    -----
    Buy the n-th month if and only if $q[\beta^n p - h\sum_{j=1}^{n-1}\beta^j] > h + c(1-\beta(1-q)) = K$, so
    $n^* = \max(0, \lfloor \ln\frac{p + h/(1-\beta)}{K/q + h\beta/(1-\beta)} / (-\ln\beta) \rfloor)$; where the
    quotient is a whole number the strict test subtracts one.

    >>> float(cutoff(0.05, 1.0, 3.0, 0.01, 0.4))
    17.0
    """
    beta = discount_per_month(rate_per_year)
    rest = 1 - beta
    q = np.maximum(hazard, 1e-300)
    top = shortage_cost + holding / rest
    bottom = (holding + unit_cost * (1 - beta * (1 - q))) / q + holding * beta / rest
    months = np.log(top / bottom) / -np.log(beta)
    whole = np.ceil(months - ROUND) - 1
    return _like(np.maximum(whole, 0.0))


def last_time_buy(hazard: Numeric, unit_cost: Numeric, shortage_cost: Numeric, holding: Numeric,
                  rate_per_year: Numeric) -> Numeric:
    """Return the cover when the date of the cut is announced: the cut is certain, so the hazard is 1. [months]"""
    return cutoff(np.ones_like(np.asarray(hazard, dtype=float)), unit_cost, shortage_cost, holding, rate_per_year)


def no_hoard(hazard: Numeric, unit_cost: Numeric, shortage_cost: Numeric, holding: Numeric,
             rate_per_year: Numeric) -> Numeric:
    """Return no cover at all, the rival that every other entry must beat. [months]"""
    return _like(np.zeros(np.broadcast(hazard, unit_cost, shortage_cost, holding, rate_per_year).shape))


def cost_of_cover(cover: Numeric, hazard: Numeric, unit_cost: Numeric, shortage_cost: Numeric, holding: Numeric,
                  rate_per_year: Numeric) -> Numeric:
    r"""Return the expected discounted cost of holding a constant cover, starting empty.

    Notes
    -----
    With $E = q\beta/(1-\beta(1-q))$: $z(n) = cn + (c+hn)\frac{1-E}{1-\beta} + E[h\sum_{k<n}(n-1-k)\beta^k +
    \frac{\beta^n p}{1-\beta}]$, the sum in closed form.

    >>> round(float(cost_of_cover(17, 0.05, 1.0, 3.0, 0.01, 0.4)), 6)
    76.039122
    """
    q, c, p, h, n = hazard, unit_cost, shortage_cost, holding, cover
    beta = discount_per_month(rate_per_year)
    cut = q * beta / (1 - beta * (1 - q))
    rest = 1 - beta
    carried = (n - (1 - beta**n) / rest) / rest
    return c * n + (c + h * n) * (1 - cut) / rest + cut * (h * carried + beta**n * p / rest)


def newsvendor(unit_cost: Numeric, shortage_cost: Numeric, resale: Numeric, mean: Numeric, sd: Numeric) -> Numeric:
    r"""Return the last-time buy for a normal total need when the date is known. [units of the need]

    Notes
    -----
    Critical ratio $(p - c)/(p - v)$; order its quantile of the need.
    Sources: Arrow, Harris, Marschak, Econometrica 19, 1951.

    >>> round(float(newsvendor(1.0, 3.0, 0.4, 1200.0, 300.0)), 4)
    1420.8948
    """
    require(np.all(np.asarray(shortage_cost) > np.asarray(resale)), "shortage_cost", "be above the resale value",
            shortage_cost)
    ratio = (shortage_cost - unit_cost) / (shortage_cost - resale)
    return mean + sd * special.ndtri(np.clip(ratio, 1e-12, 1 - 1e-12))


def _like(values: Numeric) -> Numeric:
    """Return a float where the array has no axes."""
    array = np.asarray(values)
    return float(array) if array.ndim == 0 else array


HOARD = {"cutoff": cutoff, "last_time_buy": last_time_buy, "none": no_hoard}
"""Rules of cover: (hazard, unit cost, shortage cost, holding, rate) to months of need."""
