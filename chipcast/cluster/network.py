"""How long a collective takes on the fabric of a chip: a fast domain, then the scale-out network.

A rank is what software sees: a 910C package is two. Figures per rank; one direction; bytes a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.errors import InputError, require
from chipcast.base.given import Given
from chipcast.base.types import Array, Numeric
from chipcast.base.units import convert
from chipcast.cluster.collectives import COLLECTIVES, DIRECT, bus_bytes_s, lower_bound, seconds
from chipcast.cluster.platform import figure, fitted, platform, ranks_per_chip

UNBOUNDED = 2**31
"""Ranks of a level that joins everything."""

AT_ONCE = ("full_mesh", "switch")
"""Kinds of level on which a rank may have messages to all peers in flight."""

KINDS = ("full_mesh", "switch", "clos")
"""Kinds of level: each pair its own link; a memory-semantic switch; switched packets between servers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """One level of a fabric, as one rank sees it."""

    name: str
    """Name of the fabric, the item of its rows."""
    ranks: int
    """Ranks that one domain of this level joins, counted from the innermost; `UNBOUNDED` for the outermost."""
    kind: str
    """One of `KINDS`."""
    alpha_s: Numeric
    """Time of a small message, launch included. [s] (draw)"""
    bytes_s: Numeric
    """Reached rate of one rank for large messages, one direction, all its ports. [B/s] (draw)"""


def levels(given: Given, chip: str) -> tuple[Level, ...]:
    """Return the levels of a chip's fabric, the fast domain first.

    Raises
    ------
    InputError
        If the catalogue knows neither a fast domain nor network ports of the chip on that date.
    """
    kind = platform(given, chip)
    per_chip = ranks_per_chip(given, chip)
    out = []
    domain, link = figure(given, chip, "scaleup_domain", None), figure(given, chip, "scaleup_gb_s_per_direction", None)
    if domain is not None and link is not None and np.max(domain) > 1:
        ranks = round(float(np.median(domain)) * per_chip)
        out.append(_level(given, kind.scale_up, ranks, kind.scale_up_kind, convert(1, "GB/s", "B/s") * link / per_chip))
    ports = figure(given, chip, "scaleout_gbit_s", None)
    if ports is not None and np.min(ports) > 0:
        rate = convert(1, "Gbit/s", "B/s") * ports / per_chip
        out.append(_level(given, kind.scale_out, UNBOUNDED, "clos", rate))
    if not out:
        raise InputError(f"no link of chip '{chip}' was known on {given.as_of}: neither a fast domain nor network "
                         "ports; state scaleup_gb_s_per_direction, scaleup_domain or scaleout_gbit_s in a scenario")
    return tuple(out)


def _level(given: Given, name: str, ranks: int, kind: str, link_bytes_s: Numeric) -> Level:
    alpha = given[f"{name}.alpha_us"] * convert(1, "us", "s")
    reached = link_bytes_s * fitted(given, f"{name}.link_efficiency")
    return Level(name=name, ranks=ranks, kind=kind, alpha_s=alpha, bytes_s=reached)


def reach(level: Level, ranks: Numeric) -> Numeric:
    """Return the bytes/s that a group of so many ranks inside a level reaches per rank.

    On a full mesh of g ranks a group of k has (k-1)/(g-1) of a rank's links; on a switch it has all of them.
    """
    if level.kind != "full_mesh":
        return level.bytes_s
    share = np.clip((np.asarray(ranks, dtype=float) - 1) / max(level.ranks - 1, 1), 1 / max(level.ranks - 1, 1), 1.0)
    return level.bytes_s * share[()]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """The part of a group that one level joins."""

    level: Level
    """The level."""
    ranks: Numeric
    """Ranks of one sub-group on this level. [1]"""
    inner: Numeric
    """Ranks joined by the levels inside it. [1]"""


def stages(fabric: Sequence[Level], ranks: Numeric, *, local: Numeric | None = None) -> tuple[Stage, ...]:
    """Split a group over the levels of a fabric, from the inside out.

    Parameters
    ----------
    fabric : sequence of Level
        Levels, the fast domain first.
    ranks : numeric
        Ranks of the group. [1]
    local : numeric, optional
        Ranks of the group that sit in one fast domain, where fewer than fit (a group strided over servers). [1]

    Raises
    ------
    InputError
        If the fabric has no level that joins so many ranks.
    """
    require(np.all(np.asarray(ranks) >= 1), "ranks", "be 1 or more", ranks)
    require(fabric and np.all(np.asarray(ranks) <= fabric[-1].ranks), "ranks",
            f"be at most the {fabric[-1].ranks if fabric else 0} that the fabric joins", ranks)
    out: list[Stage] = []
    inner: Numeric = 1.0
    for i, level in enumerate(fabric):
        room = np.maximum(np.floor(level.ranks / inner), 1.0)
        if i == 0 and local is not None and len(fabric) > 1:
            room = np.minimum(room, local)
        here = np.minimum(np.ceil(np.asarray(ranks, dtype=float) / inner), room)[()]
        out.append(Stage(level=level, ranks=here, inner=inner))
        inner = inner * here
    return tuple(out)


def _half(fabric: Sequence[Level], ranks: Numeric, size: Numeric, algorithm: str, local: Numeric | None) -> Numeric:
    """Return the seconds of a reduce-scatter from the inside out (an all-gather is its mirror)."""
    total: Numeric = 0.0
    for stage in stages(fabric, ranks, local=local):
        total = total + seconds("reduce-scatter", algorithm, stage.ranks, size / stage.inner, stage.level.alpha_s,
                                reach(stage.level, stage.ranks), direct=stage.level.kind in AT_ONCE)
    return total


def all_reduce(fabric: Sequence[Level], ranks: Numeric, size: Numeric, *, algorithm: str = "best",
               local: Numeric | None = None) -> Numeric:
    """Return the seconds of an all-reduce of `size` bytes a rank over a fabric of levels.

    Notes
    -----
    Reduce-scatter inside the domain, all-reduce of the n/g bytes left between domains, all-gather inside:
    $2 (g-1) alpha_1 + 2 (g-1)/g n/B_1 + 2 (m-1) alpha_2 + 2 (m-1)/m (n/g)/B_2$ with rings; the same rule again for
    more levels. The outermost level that has more than one rank runs a whole all-reduce, so with `best` it may be a
    tree or one shot.

    >>> fast = Level(name="fast", ranks=8, kind="clos", alpha_s=2e-6, bytes_s=200e9)
    >>> slow = Level(name="slow", ranks=UNBOUNDED, kind="clos", alpha_s=10e-6, bytes_s=50e9)
    >>> round(float(all_reduce((fast, slow), 64, 1e9, algorithm="ring")), 9)
    0.013293
    """
    if algorithm != "best":
        return 2 * _half(fabric, ranks, size, algorithm, local)
    parts = stages(fabric, ranks, local=local)
    total: Numeric = 0.0
    for i, stage in enumerate(parts):
        place = (stage.ranks, size / stage.inner, stage.level.alpha_s, reach(stage.level, stage.ranks))
        direct = stage.level.kind in AT_ONCE
        outer = np.prod(np.broadcast_arrays(*[np.asarray(s.ranks, dtype=float) for s in parts[i + 1:]], 1.0), axis=0)
        whole = seconds("all-reduce", "best", *place, direct=direct)
        halves = 2 * seconds("reduce-scatter", "best", *place, direct=direct)
        total = total + np.where(outer > 1, halves, whole)[()]
    return total


def all_gather(fabric: Sequence[Level], ranks: Numeric, size: Numeric, *, algorithm: str = "best",
               local: Numeric | None = None) -> Numeric:
    """Return the seconds of an all-gather whose full vector has `size` bytes, between domains first."""
    return _half(fabric, ranks, size, algorithm, local)


def reduce_scatter(fabric: Sequence[Level], ranks: Numeric, size: Numeric, *, algorithm: str = "best",
                   local: Numeric | None = None) -> Numeric:
    """Return the seconds of a reduce-scatter whose full vector has `size` bytes, inside the domain first."""
    return _half(fabric, ranks, size, algorithm, local)


def all_to_all_parts(fabric: Sequence[Level], ranks: Numeric, size: Numeric, *, local: Numeric | None = None,
                     at_once: bool = False) -> tuple[Numeric, ...]:
    """Return the seconds of a direct all-to-all by level: what each level carries if every pair talks directly.

    Notes
    -----
    A level of s ranks around `inner` ones carries the messages to (s-1) inner peers:
    (s-1) inner alpha + n (s-1) inner / p / B. With `at_once` all messages are in flight together: one alpha.
    """
    group = np.asarray(ranks, dtype=float)
    out = []
    for stage in stages(fabric, ranks, local=local):
        peers = (stage.ranks - 1) * stage.inner
        messages = np.minimum(peers, 1.0) if at_once else peers
        out.append(messages * stage.level.alpha_s + size * peers / group / reach(stage.level, stage.ranks))
    return tuple(out)


def all_to_all(fabric: Sequence[Level], ranks: Numeric, size: Numeric, *, algorithm: str = "best",
               overlap: bool = True, local: Numeric | None = None) -> Numeric:
    """Return the seconds of an all-to-all in which one rank sends `size` bytes, over a fabric of levels.

    Parameters
    ----------
    fabric : sequence of Level
        Levels, the fast domain first.
    ranks, size : numeric
        Ranks of the group, and bytes that one rank sends, its own part included. [1, B]
    algorithm : {"best", "direct", "at_once", "two_stage"}
        Pairwise to every peer; the same with all messages in flight; or first inside the domain to the rank on the
        right rail, then across: fewer messages, more fast bytes. `best` is the least of the three.
    overlap : bool
        Whether the levels work side by side (the longest counts) or one after the other (they add).
    """
    if algorithm == "best":
        ways = [way(fabric, ranks, size, overlap, local) for way in ALL_TO_ALL.values()]
        return np.minimum(np.minimum(ways[0], ways[1]), ways[2])
    return choose(ALL_TO_ALL, algorithm, "algorithm of all-to-all")(fabric, ranks, size, overlap, local)


def _direct(fabric: Sequence[Level], ranks: Numeric, size: Numeric, overlap: bool, local: Numeric | None) -> Numeric:
    return _together(all_to_all_parts(fabric, ranks, size, local=local), overlap)


def _at_once(fabric: Sequence[Level], ranks: Numeric, size: Numeric, overlap: bool, local: Numeric | None) -> Numeric:
    return _together(all_to_all_parts(fabric, ranks, size, local=local, at_once=True), overlap)


def _two_stage(fabric: Sequence[Level], ranks: Numeric, size: Numeric, overlap: bool, local: Numeric | None) -> Numeric:
    del overlap  # the second stage needs what the first one brings
    total: Numeric = 0.0
    for stage in stages(fabric, ranks, local=local):
        total = total + seconds("all-to-all", "pairwise", stage.ranks, size, stage.level.alpha_s,
                                reach(stage.level, stage.ranks))
    return total


def _together(parts: Sequence[Numeric], overlap: bool) -> Numeric:
    total = parts[0]
    for part in parts[1:]:
        total = np.maximum(total, part) if overlap else total + part
    return total


ALL_TO_ALL = {"direct": _direct, "at_once": _at_once, "two_stage": _two_stage}
"""Ways of an all-to-all over several levels."""

def broadcast(fabric: Sequence[Level], ranks: Numeric, size: Numeric, *, algorithm: str = "best",
              local: Numeric | None = None) -> Numeric:
    """Return the seconds of a broadcast of `size` bytes: between domains first, then inside each."""
    total: Numeric = 0.0
    for stage in stages(fabric, ranks, local=local):
        total = total + seconds("broadcast", algorithm, stage.ranks, size, stage.level.alpha_s,
                                reach(stage.level, stage.ranks))
    return total


def point_to_point(fabric: Sequence[Level], ranks: Numeric, size: Numeric, *, algorithm: str = "best",
                   local: Numeric | None = None) -> Numeric:
    """Return the seconds of one message between the farthest two ranks of a group: over its outermost level.

    Inside a full mesh a pair has one link of its own, (g-1) times less than a rank has in all.
    """
    total: Numeric = 0.0
    for stage in stages(fabric, ranks, local=local):
        used = np.asarray(stage.ranks) > 1
        one = seconds("point-to-point", "direct" if algorithm == "best" else algorithm, 2.0, size,
                      stage.level.alpha_s, reach(stage.level, 2.0))
        total = np.where(used, one, total)
    return np.asarray(total)[()]


def flat_times(fabric: Sequence[Level], operation: str, ranks: Numeric, size: Numeric) -> dict[str, Numeric]:
    """Return the seconds of every algorithm that takes the group for one level, the outermost that it uses.

    What a library does that knows nothing of domains; for comparison with the leveled ways.
    """
    outer = [s for s in stages(fabric, ranks) if np.all(np.asarray(s.ranks) > 1)]
    level = outer[-1].level if outer else fabric[0]
    return {name: entry(ranks, size, level.alpha_s, reach(level, ranks))
            for name, entry in COLLECTIVES[operation].items()}


OPERATIONS = {"all-reduce": all_reduce, "all-gather": all_gather, "reduce-scatter": reduce_scatter,
              "all-to-all": all_to_all, "broadcast": broadcast, "point-to-point": point_to_point}
"""Operation -> seconds over a fabric, called as (fabric, ranks, bytes, algorithm=, local=)."""


def degraded(level: Level, share: Numeric) -> Level:
    """Return a level one of whose links runs at this share of its rate: a synchronous step runs at the slowest."""
    require(np.all((np.asarray(share) > 0) & (np.asarray(share) <= 1)), "share of a link", "lie in (0, 1]", share)
    return replace(level, bytes_s=level.bytes_s * share)


def flat(given: Given, chip: str) -> Array:
    """Return the bytes/s of scale-out per rank: a point of comparison for tables. [B/s] (draw)"""
    return np.asarray(levels(given, chip)[-1].bytes_s, dtype=float)


__all__ = ["ALL_TO_ALL", "COLLECTIVES", "DIRECT", "KINDS", "Level", "OPERATIONS", "Stage", "UNBOUNDED", "all_gather",
           "all_reduce", "all_to_all", "all_to_all_parts", "broadcast", "bus_bytes_s", "degraded", "flat", "flat_times",
           "levels", "lower_bound", "point_to_point", "reach", "reduce_scatter", "seconds", "stages"]
