"""How many months of need to hold when supply may be cut off for ever.

The answer has a closed form: below a hazard `hazard_floor` nobody hoards, above it cover jumps. The shape
(order up to a level by supply state) is that of Song and Zipkin, Management Science 42, 1996; the closed
form is our own derivation and the tests hold it against value iteration.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from chipcast.base.errors import require
from chipcast.base.types import Array, Numeric

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


def cutoff(hazard: Numeric, unit_cost: Numeric, shortage_cost: Numeric, holding: Numeric, rate_per_year: Numeric,
           opening: Numeric = 0.0, granted: Numeric = 1.0) -> Numeric:
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
    opening, granted : numeric
        Not used: this rule takes every closing for final and every order for filled. `by_state` does not.

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
                  rate_per_year: Numeric, opening: Numeric = 0.0, granted: Numeric = 1.0) -> Numeric:
    """Return the cover when the date of the cut is announced: the cut is certain, so the hazard is 1. [months]"""
    return cutoff(np.ones_like(np.asarray(hazard, dtype=float)), unit_cost, shortage_cost, holding, rate_per_year)


def reopening(hazard: Numeric, unit_cost: Numeric, shortage_cost: Numeric, holding: Numeric, rate_per_year: Numeric,
              opening: Numeric = 0.0) -> Numeric:
    r"""Return the months of cover when a shut gate may open again, each month with chance `opening`. [months]

    Notes
    -----
    A unit left over when the gate reopens saves a purchase, so with $\rho$ the opening chance and $g = \beta(1-\rho)$
    the n-th unit pays if $q[A + g^{n-1}(\beta p - A)] > K$, $A = (c\rho\beta^2 - h\beta)/(1-g)$ and K as in `cutoff`;
    n is the last whole number for which that holds. At $\rho = 0$ it is `cutoff`. Own derivation, held against value
    iteration; the order-up-to shape by supply state is that of Song and Zipkin 1996.

    >>> float(reopening(0.05, 1.0, 3.0, 0.01, 0.4)), float(reopening(0.05, 1.0, 3.0, 0.01, 0.4, 0.05))
    (17.0, 9.0)
    """
    beta = discount_per_month(rate_per_year)
    g = beta * (1 - opening)
    q = np.maximum(hazard, 1e-300)
    kept = (unit_cost * opening * beta**2 - holding * beta) / (1 - g)
    bar = (holding + unit_cost * (1 - beta * (1 - q))) / q
    share = (bar - kept) / np.maximum(beta * shortage_cost - kept, 1e-300)
    months = np.log(np.clip(share, 1e-300, 1e300)) / np.log(np.maximum(g, 1e-12)) + 1
    return _like(np.maximum(np.ceil(months - ROUND) - 1, 0.0))


LONGEST = 512
"""Most months of cover that `licensed` looks at. [months]"""


def licensed(hazard: Numeric, unit_cost: Numeric, shortage_cost: Numeric, holding: Numeric, rate_per_year: Numeric,
             opening: Numeric, granted: Numeric) -> Numeric:
    r"""Return the months of cover in a licence state, where an order is let through with chance `granted`. [months]

    Parameters
    ----------
    granted : numeric
        Chance a that a month's order is let through, above 0 to 1; a closed door may turn into such licences again.

    Notes
    -----
    From a filled month, orders fail for k months or more with chance $e M^k 1$, $e = (1, 0)$ and M between the refused
    and the closed state: $(1-q)(1-a)$, $q$; $\rho(1-a)$, $1-\rho$. Its eigenvalues $z_i$ make that
    $\sum_i w_i z_i^k$, and the n-th unit pays if $\sum_i w_i z_i [A_i + (z_i\beta)^{n-1}(\beta p - A_i)] > h +
    c(1-\beta(1-u))$ with $A_i = (c(1-z_i)\beta^2 - h\beta)/(1 - z_i\beta)$ and $u = 1-(1-q)a$ the chance of failing at
    all; n is found by bisection. At a = 1 it is `reopening`. Own derivation, equal to value iteration (`order_up_to`).

    >>> float(licensed(0.05, 1.0, 3.0, 0.01, 0.4, 0.05, 0.25)), float(licensed(0.05, 1.0, 3.0, 0.01, 0.4, 0.05, 1.0))
    (14.0, 9.0)
    """
    beta = discount_per_month(rate_per_year)
    refused, closed = (1 - hazard) * (1 - granted), 1 - opening
    fails = refused + hazard
    half = (refused + closed) / 2
    root = np.sqrt(np.maximum(half**2 - refused * closed + hazard * opening * (1 - granted), 1e-24))
    first, second = half + root, half - root
    weight = (fails - second) / (2 * root)
    parts = [(w * z, z * beta, (unit_cost * (1 - z) * beta**2 - holding * beta) / (1 - z * beta))
             for w, z in ((weight, first), (1 - weight, second))]
    bar = holding + unit_cost * (1 - beta * (1 - fails))
    pays, fails_to = np.zeros(np.shape(bar + shortage_cost)), np.full(np.shape(bar + shortage_cost), float(LONGEST))
    for _ in range(int(np.log2(LONGEST))):
        n = (pays + fails_to) / 2
        gain = sum(u * (kept + g ** (n - 1) * (beta * shortage_cost - kept)) for u, g, kept in parts)
        good = gain > bar + ROUND
        pays, fails_to = np.where(good, n, pays), np.where(good, fails_to, n)
    return _like(pays)


def by_state(hazard: Numeric, unit_cost: Numeric, shortage_cost: Numeric, holding: Numeric, rate_per_year: Numeric,
             opening: Numeric = 0.0, granted: Numeric = 1.0) -> Numeric:
    """Return the level of the state that supply is in: `reopening` while it is open, `licensed` where licences decide.

    A threat is no state of its own here: it raises the hazard that both take.
    """
    level = reopening(hazard, unit_cost, shortage_cost, holding, rate_per_year, opening)
    if np.all(np.asarray(granted) >= 1):
        return level
    by_licence = licensed(hazard, unit_cost, shortage_cost, holding, rate_per_year, opening, granted)
    return _like(np.where(np.asarray(granted) < 1, by_licence, level))


STATES = ("open", "threat", "licence", "closed")
"""States of supply in `order_up_to`."""


def order_up_to(transition: Array, available: Array, unit_cost: float, shortage_cost: float, holding: float,
                rate_per_year: float, *, top: int = 160, sweeps: int = 5000) -> Array:
    """Return the stock to carry out of a month in each supply state, by value iteration. [months] (state)

    Parameters
    ----------
    transition : array (state, state)
        Chance a month to go from one state to another; rows sum to 1.
    available : array (state)
        Chance that an order is filled in the month: 1 open, 0 closed, between for licences.
    unit_cost, shortage_cost, holding, rate_per_year
        As in `cutoff`.
    top : int
        Largest stock considered. [months]
    sweeps : int
        Most rounds of iteration; it stops when values stand still to 1e-11.

    Notes
    -----
    One unit is needed each month. In state i the order is filled with chance $a_i$; else stock or the substitute
    serves. Levels of a state in which nothing is ever filled are 0 by convention.

    Raises
    ------
    InputError
        If rows do not sum to 1 or a chance leaves 0 to 1.
    """
    P, a = np.asarray(transition, dtype=float), np.asarray(available, dtype=float)
    require(P.shape == (a.size, a.size) and np.allclose(P.sum(axis=1), 1), "transition", "have rows that sum to 1",
            P.sum(axis=-1))
    require(np.all((P >= 0) & (P <= 1)) and np.all((a >= 0) & (a <= 1)), "chances", "lie in 0 to 1", a)
    beta = float(discount_per_month(rate_per_year))
    stock = np.arange(top + 1.0)
    value = np.zeros((a.size, top + 1))
    for _ in range(sweeps):
        keep = holding * stock + beta * (P @ value)
        lowest = np.minimum.accumulate((unit_cost * (stock + 1) + keep)[:, ::-1], axis=1)[:, ::-1]
        filled = np.empty_like(value)
        filled[:, 0] = lowest[:, 0]
        filled[:, 1:] = np.minimum(lowest[:, :-1] - unit_cost * stock[1:], np.inf)
        without = np.empty_like(value)
        without[:, 0] = shortage_cost + keep[:, 0]
        without[:, 1:] = keep[:, :-1]
        new = a[:, None] * filled + (1 - a)[:, None] * without
        if np.max(np.abs(new - value)) < 1e-11:
            break
        value = new
    best = np.argmin(unit_cost * (stock + 1) + holding * stock + beta * (P @ value), axis=1).astype(float)
    return np.asarray(np.where(a > 0, best, 0.0))


def no_hoard(hazard: Numeric, unit_cost: Numeric, shortage_cost: Numeric, holding: Numeric,
             rate_per_year: Numeric, opening: Numeric = 0.0, granted: Numeric = 1.0) -> Numeric:
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


def safety_months(unit_cost: Numeric, shortage_cost: Numeric, holding: Numeric, rate_per_year: Numeric,
                  cv_per_month: Numeric, lead_months: Numeric) -> Numeric:
    r"""Return the months of additions held against an uncertain need while orders are under way. [months]

    Notes
    -----
    $z\,\mathrm{cv}\sqrt{L+1}$ with z the normal quantile of the newsvendor's ratio $(p-c)/(p-c+h+c(1-\beta))$: a unit
    short costs p - c, a unit too many one month's holding and discount.

    >>> round(float(safety_months(1.0, 2.3, 0.006, 0.4, 0.1, 3.0)), 3)
    0.391
    """
    short = np.maximum(np.asarray(shortage_cost, dtype=float) - unit_cost, 0.0)
    over = holding + unit_cost * (1 - discount_per_month(rate_per_year))
    z = special.ndtri(short / (short + over))
    return _like(np.maximum(z, 0.0) * cv_per_month * np.sqrt(lead_months + 1))


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


HOARD = {"cutoff": cutoff, "last_time_buy": last_time_buy, "markov": by_state, "none": no_hoard}
"""Rules of cover: (hazard, unit cost, shortage cost, holding, rate, opening, granted) to months of need."""
