"""What other traffic leaves of a link: ideal, oversubscribed upper layers, hashed paths that collide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.cluster.network import Level
from chipcast.cluster.spares import mean_largest_load

Congestion = Callable[[Level, float], Level]
"""A level under traffic, from the level and the one number that describes the traffic."""


def ideal(level: Level, amount: float = 1.0) -> Level:
    """Return the level as it is."""
    del amount
    return level


def oversubscribed(level: Level, amount: float) -> Level:
    """Return the level when upper switch layers have `amount` times fewer links than lower ones: B / amount."""
    require(amount >= 1, "oversubscription", "be 1 or more", amount)
    return replace(level, bytes_s=np.asarray(level.bytes_s) / amount)


def ecmp(level: Level, amount: float) -> Level:
    """Return the level when `amount` flows are hashed on as many equal uplinks: the fullest one sets the pace.

    Notes
    -----
    B / E[largest load], the mean of the multinomial's maximum: 2.597 at 8 on 8, 3.958 at 64 on 64.
    """
    require(amount >= 1 and amount == int(amount), "uplinks", "be a whole number of 1 or more", amount)
    return replace(level, bytes_s=np.asarray(level.bytes_s) / mean_largest_load(int(amount), int(amount)))


CONGESTION: Mapping[str, Congestion] = MappingProxyType(
    {"ideal": ideal, "oversubscribed": oversubscribed, "ecmp": ecmp})
"""Kinds of congestion; each takes a level and one number."""


def congested(level: Level, kind: str, amount: float) -> Level:
    """Return a level under one kind of congestion, or raise `InputError` with the kinds that exist."""
    return choose(CONGESTION, kind, "congestion")(level, amount)
