"""Checkpoint and rollback, exactly: the renewal formulas and the best interval.

Time unit is free as long as it is one: seconds or hours give the same shares. Stops are memoryless, every segment
of `work` ends with a checkpoint of cost `checkpoint`, and a stop loses the segment.
"""

from __future__ import annotations

import numpy as np

from chipcast.base.types import Numeric

LARGEST_EXPONENT = 600.0
"""Segment over mean time between stops beyond which no progress is made; keeps results finite."""


def segment_stretch(rate: Numeric, work: Numeric, checkpoint: Numeric) -> Numeric:
    """Return wall time per unit of work when stops cost nothing but the segment they strike: P.

    Notes
    -----
    $P = (e^{L (tau + C)} - 1) / (L tau)$; tends to 1 + C / tau as L falls to zero.
    Sources: Daly, "A higher order estimate of the optimum checkpoint interval", FGCS 22 (2006).
    """
    exponent = np.minimum(rate * (work + checkpoint), LARGEST_EXPONENT)
    tiny = exponent < 1e-12
    grown = np.where(tiny, 1.0, np.expm1(exponent) / np.where(tiny, 1.0, exponent))
    return (grown * (1 + checkpoint / work))[()]


def pattern_stretch(near_rate: Numeric, far_rate: Numeric, work: Numeric, near_cost: Numeric, far_cost: Numeric,
                    segments: Numeric) -> Numeric:
    """Return wall time per unit of work with two levels of checkpoints, stops costing nothing but what they undo: P.

    Parameters
    ----------
    near_rate, far_rate : numeric
        Stops that go back to the last checkpoint of any level, and those that go back to the last far one.
    work : numeric
        Useful work of a segment.
    near_cost, far_cost : numeric
        Stall of the near copy that ends a segment, and of the far checkpoint that ends every pattern of `segments`.
    segments : numeric
        Segments of a pattern, 1 or more.

    Notes
    -----
    With L the sum of rates, a = work + near_cost, q = e^{-L a}, A = q + (1 - q) far/L and w = q/A, the time from the
    start of segment i is E_i = (1-q)/(L A) + (1 - w) E_1 + w E_{i+1}; the last segment has its own cost. Hence
    $E_1 = (u (w^{1-K} - 1)/(1 - w) + u') / w'$, u = (1-q)/(L A). One segment, or no far stops and equal costs, give
    `segment_stretch`.
    """
    total = np.maximum(np.asarray(near_rate + far_rate, dtype=float), 1e-18)
    far = far_rate / total

    def segment(span: Numeric) -> tuple[Numeric, Numeric, Numeric]:
        exponent = np.minimum(total * span, LARGEST_EXPONENT)
        q, fail = np.exp(-exponent), -np.expm1(-exponent)
        passed = q + fail * far
        return fail / total / passed, q / passed, fail * far / passed

    u, w, undone = segment(work + near_cost)
    last_u, last_w, _ = segment(work + far_cost)
    power = np.minimum(-(segments - 1) * np.log(np.maximum(w, 1e-300)), LARGEST_EXPONENT)
    rare = undone < 1e-12
    repeats = np.where(rare, segments - 1.0, np.expm1(power) / np.where(rare, 1.0, undone))
    return ((u * repeats + last_u) / np.maximum(last_w, 1e-300) / (segments * work))[()]


def stretch(rate: Numeric, work: Numeric, checkpoint: Numeric, restart: Numeric, *, online: Numeric = 0.0,
            strikes_in_restart: bool = False) -> Numeric:
    """Return expected wall time per unit of work, E[T] / W.

    Parameters
    ----------
    rate : numeric
        Stops that roll back, per unit of time on the clock of progress.
    work, checkpoint : numeric
        Useful work between checkpoints, and the stall of one.
    restart : numeric
        Mean time from a stop until the job computes again.
    online : numeric, default 0
        Sum over faults mended online of rate times mean stall. [1]
    strikes_in_restart : bool
        Whether stops may strike during restart (they begin it anew).

    Notes
    -----
    Without strikes $P (1 + L R + sum_k L_k D_k)$ by Wald's identity: only the means of R and D_k enter. With strikes
    and no online faults $(e^{R L}/(L tau)) (e^{L (tau + C)} - 1)$.

    >>> M, C, R, tau = 10_000, 60, 600, 1_000
    >>> round(float(20_000 * stretch(1 / M, tau, C, R, strikes_in_restart=True)), 3)
    23747.311
    >>> round(float(20_000 * stretch(1 / M, tau, C, R)), 3)
    23706.238
    """
    p = segment_stretch(rate, work, checkpoint)
    if strikes_in_restart:
        # An online fault stalls only the clock of progress; restarts are stretched by their own strikes.
        return p * (np.exp(np.minimum(rate * restart, LARGEST_EXPONENT)) + online)
    return p * (1 + rate * restart + online)


def best_interval(rate: Numeric, checkpoint: Numeric) -> Numeric:
    """Return the work between checkpoints that wastes least time.

    Notes
    -----
    With c = C L, x = tau L solves $1 - x = e^{-x-c}$, the closed form of which is $1 + W_0(-e^{-c-1})$. Newton from
    min(sqrt(2c), 1), which lies above the root of a convex function, takes at most six steps; below c = 1e-6 the
    series s - s^2/3 + s^3/36 + s^4/270 + s^5/4320 in s = sqrt(2c) is exact to double precision, where 1 + W0 would
    lose every digit. The first term is Young's (1974), the first three Daly's (2006).

    >>> round(float(best_interval(1 / 10_000, 60)), 5)
    1055.81563
    """
    c = np.asarray(rate * checkpoint, dtype=float)
    s = np.sqrt(2 * c)
    series = s - s**2 / 3 + s**3 / 36 + s**4 / 270 + s**5 / 4320
    x = np.minimum(s, 1.0)
    for _ in range(6):
        fall = np.expm1(-(x + c))
        x = x - (x + fall) / np.where(fall == 0, -1.0, -fall)
    return (np.where(c < 1e-6, series, x) / rate)[()]


def young(rate: Numeric, checkpoint: Numeric) -> Numeric:
    """Return Young's first-order interval, sqrt(2 C M)."""
    return np.sqrt(2 * checkpoint / rate)


def daly(rate: Numeric, checkpoint: Numeric) -> Numeric:
    """Return Daly's interval: three terms of the series, and M once C exceeds 2 M."""
    s = np.sqrt(2 * rate * checkpoint)
    return np.where(s < 2, (s - s**2 / 3 + s**3 / 36) / rate, 1 / rate)[()]


def first_order_ettr(rate: Numeric, interval: Numeric, restart: Numeric, write: Numeric = 0.0) -> Numeric:
    """Return the first-order estimate of productive over wall time; right only where losses are small.

    Notes
    -----
    $(1 - L (u_0 + dt/2)) / (1 + w/dt)$. Sources: Kokolis et al., arXiv 2410.21680.
    """
    return (1 - rate * (restart + interval / 2)) / (1 + write / interval)


def segment_moments(rate: Numeric, work: Numeric, checkpoint: Numeric, restart: Numeric) -> tuple[Numeric, Numeric]:
    """Return mean and variance of the wall time of one segment; fixed restart time, no strikes in it.

    Notes
    -----
    s = tau + C, q = e^{-L s}, Y the time lost per stop: E[Y] = m + R with m = M - s q/(1-q), Var(Y) = (2 M^2 -
    q (s^2 + 2 s M + 2 M^2))/(1-q) - m^2; stops are geometric, so Var = (1-q)/q Var(Y) + (1-q)/q^2 E[Y]^2. Segments
    are independent, so both add.
    """
    span, mean_gap = work + checkpoint, 1 / rate
    q = np.exp(-rate * span)
    m = mean_gap - span * q / (1 - q)
    lost = m + restart
    variance = (2 * mean_gap**2 - q * (span**2 + 2 * span * mean_gap + 2 * mean_gap**2)) / (1 - q) - m**2
    return span + (1 - q) / q * lost, (1 - q) / q * variance + (1 - q) / q**2 * lost**2


def silent_stretch(rate: Numeric, work: Numeric, verify: Numeric, checkpoint: Numeric, restart: Numeric) -> Numeric:
    """Return expected wall time per unit of work under silent errors that a verification at the end of it finds.

    Notes
    -----
    $(C + (w+V) e^{l w} + R (e^{l w} - 1)) / w$.
    Sources: Aupy, Benoit, Herault, Robert, Vivien, "On the combination of silent error detection and
    checkpointing", PRDC 2013.
    """
    grown = np.expm1(np.minimum(rate * work, LARGEST_EXPONENT))
    return (checkpoint + (work + verify) * (grown + 1) + restart * grown) / work


def silent_best_work(rate: Numeric, verify: Numeric, checkpoint: Numeric, restart: Numeric) -> Numeric:
    """Return the work between verified checkpoints that wastes least time under silent errors.

    Newton on the derivative, from the first-order value sqrt((V + C) / l).
    """
    work = np.sqrt((verify + checkpoint) / rate) + 0.0 * restart
    for _ in range(20):
        e = np.exp(rate * work)
        slope = e * (work + verify + restart) * rate * work + e * work - (checkpoint - restart
                                                                         + (work + verify + restart) * e)
        bend = rate * work * e * (rate * (work + verify + restart) + 2)
        work = np.maximum(work - slope / bend, work / 8)
    return work


def two_level_overhead(rate_near: Numeric, cost_near: Numeric, rate_far: Numeric, cost_far: Numeric) -> Numeric:
    """Return the first-order overhead of two checkpoint levels: near copies for most stops, a store for the rest.

    >>> round(float(two_level_overhead(1 / 11_135, 5, 1 / 111_350, 60)), 6)
    0.062796
    """
    return np.sqrt(2 * cost_near * rate_near) + np.sqrt(2 * cost_far * rate_far)
