"""The exchange of tokens between experts: how many nodes a token visits, and how long the exchange takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import gammaln

from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.types import Numeric
from chipcast.cluster.network import Level, levels, reach, stages
from chipcast.cluster.platform import fitted, platform


def distinct_nodes(experts: Numeric, chosen: Numeric, nodes: Numeric, *, groups: Numeric | None = None) -> Numeric:
    """Return how many nodes a token visits on average when its experts are picked uniformly.

    Parameters
    ----------
    experts, chosen : numeric
        Experts E of a layer, spread evenly, and how many k a token picks. [1]
    nodes : numeric
        Nodes m over which the experts lie. [1]
    groups : numeric, optional
        Nodes M that routing may use for one token, where it is limited. [1]

    Notes
    -----
    $m (1 - C(E - E/m, k) / C(E, k))$; limited to M groups, $M (1 - C(E' - E'/M, k) / C(E', k))$ with E' = M E/m.
    Binomials by log-gamma, so arrays and shares of an expert are allowed.

    >>> round(float(distinct_nodes(256, 8, 8)), 6), round(float(distinct_nodes(256, 8, 8, groups=4)), 6)
    (5.294652, 3.629011)
    """
    require(np.all(np.asarray(chosen) <= np.asarray(experts)), "chosen experts", "be at most experts", chosen)
    room = np.minimum(nodes, groups) if groups is not None else np.asarray(nodes, dtype=float)
    pool = np.asarray(experts, dtype=float) * room / nodes
    require(np.all(pool >= np.asarray(chosen)), "experts within reach", f"be at least the {chosen} a token picks", pool)
    elsewhere = pool - pool / room
    able = elsewhere >= chosen
    safe = np.where(able, elsewhere, np.asarray(chosen, dtype=float))
    miss = np.where(able, np.exp(gammaln(safe + 1) - gammaln(safe - chosen + 1)
                                 - gammaln(pool + 1) + gammaln(pool - chosen + 1)), 0.0)
    return (room * (1 - miss))[()]


def remote_nodes(experts: Numeric, chosen: Numeric, nodes: Numeric, *, groups: Numeric | None = None) -> Numeric:
    """Return how many nodes other than its own a token visits: (m-1)/m of the distinct ones."""
    return distinct_nodes(experts, chosen, nodes, groups=groups) * (nodes - 1) / nodes


def exchange(fabric: Sequence[Level], ranks: Numeric, tokens: Numeric, row_bytes: Numeric, *, experts: Numeric,
             chosen: Numeric, dedup: bool = False, groups: Numeric | None = None, overlap: bool = True) -> Numeric:
    """Return the seconds of one dispatch (or combine) of tokens between the ranks that hold the experts.

    Parameters
    ----------
    fabric : sequence of Level
        Levels, the fast domain first.
    ranks : numeric
        Expert-parallel ranks. [1]
    tokens : numeric
        Tokens that one rank sends. [tokens]
    row_bytes : numeric
        Bytes of one token's row on the wire. [B]
    experts, chosen : numeric
        Experts of the layer and how many a token picks. [1]
    dedup : bool
        Whether a token crosses to a node once and fans out inside (throughput mode), or once per expert (low latency).
    groups : numeric, optional
        Nodes that routing may use for one token, where it is limited. [1]
    overlap : bool
        Whether the levels work side by side.

    Notes
    -----
    Every level takes alpha + bytes / B with all messages in flight. Slow bytes: tokens x k x (p-g)/p rows, or tokens
    x remote nodes rows with `dedup`. Fast bytes: tokens x k x (g-1)/p rows, or with `dedup` every row that arrives
    at the node fans out to its other ranks: tokens x k x (g-1)/g rows.
    """
    group = np.asarray(ranks, dtype=float)
    picks = np.asarray(tokens, dtype=float) * chosen
    total: Numeric = 0.0
    for stage in stages(fabric, ranks):
        peers = (stage.ranks - 1) * stage.inner
        if dedup:
            nodes = np.maximum(stage.ranks, 1.0)
            crossed = tokens * remote_nodes(experts, chosen, nodes, groups=groups)
            inner_only = picks * (stage.ranks - 1) / stage.ranks
            rows = np.where(np.asarray(stage.inner) > 1, crossed, inner_only)
        else:
            rows = picks * peers / group
        part = np.where(peers > 0, stage.level.alpha_s + rows * row_bytes / reach(stage.level, stage.ranks), 0.0)
        total = np.maximum(total, part) if overlap else total + part
    return np.asarray(total)[()]


WHAT = ("dispatch", "combine")
"""Directions of an exchange: rows to the experts, results back."""


def library_exchange(given: Given, chip: str, what: str, ranks: int, tokens: Numeric, row_bytes: Numeric, *,
                     experts: Numeric, chosen: Numeric, dedup: bool = False) -> Numeric:
    """Return the seconds of an exchange by the tuned library of a chip's family, as fitted to published timings.

    Notes
    -----
    A fixed time of the library, a little per peer, and the bytes over the level that binds; the latency of a single
    message does not enter, as the library's fixed time holds it.
    """
    choose(dict.fromkeys(WHAT, what), what, "direction of an exchange")
    library = platform(given, chip).library
    bare = [replace(level, alpha_s=0.0) for level in levels(given, chip)]
    wire = exchange(bare, ranks, tokens, row_bytes, experts=experts, chosen=chosen, dedup=dedup)
    fixed = fitted(given, f"{library}.{what}_us") + fitted(given, f"{library}.per_peer_us") * (ranks - 1)
    return wire + np.where(np.asarray(ranks) > 1, fixed, 0.0) * 1e-6
