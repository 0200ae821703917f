"""Named, counter-based streams of uniforms: a draw is a function of (seed, name, month, draw index).

Adding a parameter moves no other draw; cutting the work into blocks or processes changes no bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from chipcast.base.types import Array

CHUNK = 1000
"""Draws in one block of work; a constant, so that no result depends on the number of workers."""


@lru_cache(maxsize=65536)
def stream_key(seed: int, name: str) -> int:
    """Return the 128-bit Philox key of a stream: BLAKE2b of seed and name."""
    return int.from_bytes(blake2b(f"{seed}:{name}".encode(), digest_size=16).digest(), "little")


def uniforms(seed: int, name: str, start: int, stop: int, *, month: int = 0) -> Array:
    """Return the uniforms of draws `start` to `stop` of one stream, each inside (0, 1).

    Parameters
    ----------
    seed : int
        Seed of the run.
    name : str
        Name of the stream, usually the parameter's.
    start, stop : int
        First draw and the one after the last.
    month : int, default 0
        Absolute calendar month for streams that move in time.

    Notes
    -----
    Philox 4x64 with key BLAKE2b-128(seed, name); counter word 0 is draw >> 2, word 1 the month; NumPy
    raises the counter before it makes a block, hence the minus one. A uniform is ((raw >> 12) + 0.5) 2^-52.
    Sources: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    out: Array = uniforms_by_month(seed, name, start, stop, (month,))[0]
    return out


def uniforms_by_month(seed: int, name: str, start: int, stop: int, months: Sequence[int]) -> Array:
    """Return the uniforms of one stream in some absolute months, each row as `uniforms` gives it. (month, draw)"""
    first = start >> 2
    count = ((stop + 3) >> 2) * 4 - first * 4
    out = np.empty((len(months), stop - start))
    bits: Any = None
    state: Any = None
    for row, month in zip(out, months, strict=True):
        counter = ((month << 64) + first - 1) % (1 << 256)
        words = np.array([(counter >> (64 * i)) & WORD for i in range(4)], dtype=np.uint64)
        if bits is None:
            bits = np.random.Philox(key=stream_key(seed, name), counter=words)
        else:  # a new state costs an eighth of a new generator
            state = bits.state if state is None else state
            state["state"]["counter"] = words
            bits.state = state
        raw = bits.random_raw(count)[start - first * 4 : stop - first * 4]
        raw >>= TWELVE
        row[:] = raw
        row += 0.5
        row *= 2.0**-52
    return out


WORD = 0xFFFFFFFFFFFFFFFF
"""Bits of a word of the counter."""

TWELVE = np.uint64(12)
"""Bits dropped from a raw word, so that a uniform fits the 52 of a float."""


def normals(seed: int, name: str, start: int, stop: int, *, month: int = 0) -> Array:
    """Return standard normals of a stream, by the inverse distribution function of its uniforms."""
    z: Array = ndtri(uniforms(seed, name, start, stop, month=month))
    return z


def blend(own: Array, factor: Array, loading: float) -> Array:
    """Return normals that share a factor: loading x factor + sqrt(1 - loading^2) x own."""
    z: Array = loading * factor + np.sqrt(1 - loading * loading) * own
    return z


def to_uniform(z: Array) -> Array:
    """Return the uniforms of standard normals, kept inside (0, 1)."""
    u: Array = np.clip(ndtr(z), 2.0**-53, 1 - 2.0**-53)
    return u
