"""The one seam through which work fans out: a `map` whose default is this process.

Workers are started fresh (a fork with loaded libraries can hang), never more than there are cores, and
results come back in the order of the items, so that no result depends on how many there were.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from chipcast.base.errors import require

A = TypeVar("A")
B = TypeVar("B")


def spread(function: Callable[[A], B], items: Iterable[A], *, workers: int = 1) -> list[B]:
    """Return `[function(i) for i in items]`, computed by `workers` processes.

    Raises
    ------
    InputError
        If `workers` is not a whole number above zero.
    """
    require(workers >= 1, "workers", "be 1 or more", workers)
    todo = list(items)
    count = min(workers, os.cpu_count() or 1, max(len(todo), 1))
    if count == 1:
        return [function(item) for item in todo]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=count, mp_context=context) as pool:
        return list(pool.map(function, todo))
