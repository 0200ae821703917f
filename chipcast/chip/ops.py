"""How long does one operation take on one chip?

FLOP and bytes are physics of the model, exact and testable; the shares of the peaks that an operation
reaches are beliefs and come in as arguments. Everything broadcasts over plan and draw.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.types import Numeric

OpTime = Callable[[Numeric, Numeric], Numeric]
"""Maps the two times of an operation, compute and memory, to the time of both together. [s]"""


def plain(compute_s: Numeric, memory_s: Numeric) -> Numeric:
    """Return the longer of the two times: perfect overlap. [s]

    Sources: Williams, Waterman, Patterson, "Roofline", CACM 2009.
    """
    return np.maximum(compute_s, memory_s)


def smooth(compute_s: Numeric, memory_s: Numeric) -> Numeric:
    r"""Return the two times joined by a 4-norm: no kink, 2^(1/4) of the roofline at the ridge. [s]

    Notes
    -----
    $t = (t_c^4 + t_m^4)^{1/4}$, by two squarings and two roots.

    >>> round(float(smooth(1.0, 1.0)), 4)
    1.1892
    """
    c = compute_s * compute_s
    m = memory_s * memory_s
    return np.sqrt(np.sqrt(c * c + m * m))


def additive(compute_s: Numeric, memory_s: Numeric) -> Numeric:
    """Return the sum of the two times: no overlap. [s]"""
    return compute_s + memory_s


OP_TIME: dict[str, OpTime] = {"plain": plain, "smooth": smooth, "additive": additive}
"""How compute and memory time join; every entry lies between the roofline and the sum."""


def op_time_s(flop: Numeric, moved_bytes: Numeric, *, flop_per_s: Numeric, bytes_per_s: Numeric,
              launch_s: Numeric = 0.0, form: str = "smooth") -> Numeric:
    """Return the time of one operation. [s]

    Parameters
    ----------
    flop : numeric
        Arithmetic, a multiply-add counts as two. [FLOP]
    moved_bytes : numeric
        Bytes read and written in main memory. [B]
    flop_per_s, bytes_per_s : numeric
        Peak of the matrix units times the share reached; peak of the memory likewise.
    launch_s : numeric
        Time of the launch, on top. [s]
    form : str
        Entry of `OP_TIME`.

    >>> round(float(op_time_s(2e12, 1e9, flop_per_s=1e15, bytes_per_s=1e12, form="plain")), 4)
    0.002
    """
    return choose(OP_TIME, form, "form of the operation's time")(flop / flop_per_s, moved_bytes / bytes_per_s) \
        + launch_s


def bound(flop: Numeric, moved_bytes: Numeric, *, flop_per_s: Numeric, bytes_per_s: Numeric,
          launch_s: Numeric = 0.0) -> Numeric:
    """Return 0 where arithmetic takes longest, 1 where memory does, 2 where the launch does."""
    times = np.broadcast_arrays(flop / flop_per_s, moved_bytes / bytes_per_s, launch_s)
    return np.argmax(np.stack(times), axis=0)


def rounded(rows: Numeric, tile: Numeric) -> Numeric:
    """Return rows rounded up to whole tiles of the matrix unit. [rows]

    >>> rounded(65, 64)
    128.0
    """
    return np.ceil(np.asarray(rows, dtype=float) / tile)[()] * tile


def padded(rows: Numeric, tile: Numeric) -> Numeric:
    """Return the rows that a tile costs on average: `tile` for few rows, `rows` for many, no jump. [rows]

    A plan's time stays continuous in its batch, which whole tiles would break; the excess over `rounded` is
    at most its waste. Between, the root of the sum of squares.
    """
    return np.hypot(rows, tile)


def waves(tiles: Numeric, units: Numeric) -> Numeric:
    """Return the stretch from output tiles that do not fill whole waves over the matrix units. [1]

    >>> round(float(waves(133, 132)), 3)
    1.985
    """
    return np.ceil(tiles / units) / (tiles / units)


def intensity(flop: Numeric, moved_bytes: Numeric) -> Numeric:
    """Return arithmetic per byte moved. [FLOP/B]"""
    return flop / moved_bytes
