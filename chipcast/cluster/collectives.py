"""How long one collective operation takes among equal ranks on one level of a fabric.

Every entry is a pure function of (ranks, bytes, alpha_s, bytes_s): floats or arrays that broadcast. Payload follows
the convention of nccl-tests: all-reduce counts the vector that each rank holds; all-gather and reduce-scatter the
full vector; all-to-all all bytes that one rank sends, its own part included; broadcast and point to point the message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.base.types import Numeric

Algorithm = Callable[[Numeric, Numeric, Numeric, Numeric], Numeric]
"""Seconds of one operation from (ranks, bytes, alpha_s, bytes_s)."""


def point_to_point(ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    """Return the seconds of one message: alpha + n / B. Half of B is reached at alpha x B bytes.

    Sources: Hockney, "The communication challenge for MPP", Parallel Computing 20 (1994).

    >>> float(point_to_point(2, 500_000, 10e-6, 50e9))
    2e-05
    """
    return _several(ranks) * (alpha_s + size / bytes_s)


def ring_half(ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    """Return the seconds of an all-gather or a reduce-scatter on a ring.

    Notes
    -----
    $(p-1) alpha + (p-1)/p n / B$: p - 1 steps, each moving one p-th of the vector.
    Sources: Thakur, Rabenseifner, Gropp, IJHPCA 19 (2005).
    """
    return (ranks - 1) * (alpha_s + size / ranks / bytes_s)


def doubling_half(ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    """Return the seconds of an all-gather by doubling, or of a reduce-scatter by halving, its mirror.

    Notes
    -----
    $ceil(log_2 p) alpha + (p-1)/p n / B$, for any p by Bruck's order of blocks: both lower bounds at once.
    Sources: Bruck, Ho, Kipnis, Upfal, Weathersby, IEEE TPDS 8 (1997); Thakur, Rabenseifner, Gropp, IJHPCA 19 (2005).
    """
    return _depth(ranks) * alpha_s + (ranks - 1) / ranks * size / bytes_s


def ring_all_reduce(ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    """Return the seconds of an all-reduce on a ring: a reduce-scatter, then an all-gather.

    Sources: Patarasuk, Yuan, JPDC 69 (2009).

    >>> round(ring_all_reduce(64, 1e9, 10e-6, 50e9), 9)
    0.040635
    """
    return 2 * ring_half(ranks, size, alpha_s, bytes_s)


def doubling_all_reduce(ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    """Return the seconds of an all-reduce by recursive doubling: log2 p exchanges of the whole vector.

    Where p is no power of two, the ranks above the largest one fold in before and out after: two messages more.
    """
    rounds, uneven = _rounds(ranks)
    return (rounds + 2 * uneven) * (alpha_s + size / bytes_s)


def halving_doubling_all_reduce(ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    """Return the seconds of an all-reduce by halving, then doubling (Rabenseifner).

    Notes
    -----
    $2 log_2 p alpha + 2 (p-1)/p n / B$; two whole messages more where p is no power of two.
    Sources: Thakur, Rabenseifner, Gropp, IJHPCA 19 (2005).
    """
    rounds, uneven = _rounds(ranks)
    even = 2.0**rounds
    return 2 * rounds * alpha_s + 2 * (even - 1) / even * size / bytes_s + 2 * uneven * (alpha_s + size / bytes_s)


def double_tree_all_reduce(ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    """Return the seconds of an all-reduce up and down two pipelined binary trees.

    Notes
    -----
    With depth d = ceil(log2 p) and k chunks, (2 d + k)(alpha + 2 n / (k B)) at the best k:
    $(sqrt(2 d alpha) + sqrt(2 n / B))^2$. The constant of the pipelining term is ours; libraries differ.
    Sources: Sanders, Speck, Traff, Parallel Computing 35 (2009), for the two trees.
    """
    depth = _depth(ranks)
    return _several(ranks) * (np.sqrt(2 * depth * alpha_s) + np.sqrt(2 * size / bytes_s)) ** 2


def binomial_broadcast(ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    """Return the seconds of a broadcast down a binomial tree: ceil(log2 p) whole messages."""
    return _depth(ranks) * (alpha_s + size / bytes_s)


def chain_broadcast(ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    """Return the seconds of a broadcast down a pipelined chain at its best number of chunks.

    Notes
    -----
    (p - 2 + k)(alpha + n / (k B)) at k = max(1, sqrt((p-2) n / (B alpha))), taken as a real number.

    >>> round(float(chain_broadcast(8, 1e9, 10e-6, 50e9)), 8)
    0.02225089
    """
    wire = size / bytes_s
    chunks = np.maximum(1.0, np.sqrt(np.maximum(ranks - 2, 0) * wire / alpha_s))
    return _several(ranks) * (ranks - 2 + chunks) * (alpha_s + wire / chunks)


def pairwise_all_to_all(ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    """Return the seconds of an all-to-all in p - 1 pairwise exchanges: (p-1) alpha + (p-1)/p n / B."""
    return ring_half(ranks, size, alpha_s, bytes_s)


def bruck_all_to_all(ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    """Return the seconds of an all-to-all by Bruck's algorithm: ceil(log2 p)(alpha + n / (2 B)).

    Sources: Bruck, Ho, Kipnis, Upfal, Weathersby, IEEE TPDS 8 (1997).
    """
    return _depth(ranks) * (alpha_s + size / 2 / bytes_s)


def one_shot_half(ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    """Return the seconds of an all-gather, reduce-scatter or all-to-all with all messages in flight at once.

    Needs a port to every peer (full mesh) or a switch with memory semantics: alpha + (p-1)/p n / B.
    """
    return _several(ranks) * alpha_s + (ranks - 1) / ranks * size / bytes_s


def one_shot_all_reduce(ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    """Return the seconds of an all-reduce where every rank sends its whole vector to all others at once."""
    return _several(ranks) * alpha_s + (ranks - 1) * size / bytes_s


def two_shot_all_reduce(ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    """Return the seconds of a one-shot reduce-scatter followed by a one-shot all-gather."""
    return 2 * one_shot_half(ranks, size, alpha_s, bytes_s)


COLLECTIVES: Mapping[str, Mapping[str, Algorithm]] = MappingProxyType({
    "all-reduce": {"ring": ring_all_reduce, "doubling": doubling_all_reduce,
                   "rabenseifner": halving_doubling_all_reduce, "double_tree": double_tree_all_reduce},
    "all-gather": {"ring": ring_half, "doubling": doubling_half},
    "reduce-scatter": {"ring": ring_half, "doubling": doubling_half},
    "all-to-all": {"pairwise": pairwise_all_to_all, "bruck": bruck_all_to_all},
    "broadcast": {"binomial": binomial_broadcast, "chain": chain_broadcast},
    "point-to-point": {"direct": point_to_point},
})
"""Operation -> algorithm -> seconds, for ranks that send and receive one message at a time."""

DIRECT: Mapping[str, Mapping[str, Algorithm]] = MappingProxyType({
    "all-reduce": {"one_shot": one_shot_all_reduce, "two_shot": two_shot_all_reduce},
    "all-gather": {"one_shot": one_shot_half},
    "reduce-scatter": {"one_shot": one_shot_half},
    "all-to-all": {"one_shot": one_shot_half},
    "broadcast": {},
    "point-to-point": {},
})
"""Further algorithms where a rank reaches all others at once: full meshes and memory-semantic switches."""


def algorithms(operation: str, *, direct: bool = False) -> Mapping[str, Algorithm]:
    """Return the algorithms of an operation, with those that need a port to every peer if `direct`."""
    table = choose(COLLECTIVES, operation, "collective")
    return {**table, **DIRECT[operation]} if direct else table


def seconds(operation: str, algorithm: str, ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric, *,
            direct: bool = False) -> Numeric:
    """Return the seconds of one operation; `best` is the pointwise minimum of its table.

    Raises
    ------
    InputError
        If operation or algorithm is unknown, a rank count is below 1, or a size, latency or rate makes no sense.
    """
    require(np.all(np.asarray(ranks) >= 1), "ranks", "be 1 or more", ranks)
    require(np.all(np.asarray(size) >= 0), "bytes", "not be negative", size)
    require(np.all(np.asarray(alpha_s) > 0) and np.all(np.asarray(bytes_s) > 0), "alpha_s and bytes_s", "be above 0",
            (alpha_s, bytes_s))
    table = algorithms(operation, direct=direct)
    if algorithm != "best":
        return choose({**table, **DIRECT[operation]}, algorithm, f"algorithm of {operation}")(
            ranks, size, alpha_s, bytes_s)
    times = [entry(ranks, size, alpha_s, bytes_s) for entry in table.values()]
    fastest = times[0]
    for other in times[1:]:
        fastest = np.minimum(fastest, other)
    return fastest


def quick_all_reduce(ranks: Numeric, size: Numeric, domain: Numeric, fast: tuple[Numeric, Numeric],
                     slow: tuple[Numeric, Numeric]) -> Numeric:
    """Return the seconds of an all-reduce over two levels without checks, for searches over many plans.

    Parameters
    ----------
    ranks, size : numeric
        Ranks of the group, and bytes that each holds. [1, B]
    domain : numeric
        Ranks of the group inside one fast domain. [1]
    fast, slow : (numeric, numeric)
        Latency and reached rate of a rank inside the domain and beyond it. [s, B/s]

    Notes
    -----
    The least of doubling and halving-doubling on each level, the slow level moving the bytes over the domain's ranks;
    of `best` only the double tree is missing, which wins in between by less than it is known. Powers of two only:
    elsewhere it is low by up to two messages.
    """
    inside = np.minimum(ranks, domain)
    outside = ranks / inside
    return _quick(inside, size, *fast) + _quick(outside, size / inside, *slow)


def _quick(p: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric) -> Numeric:
    rounds, wire = np.log2(p), size / bytes_s
    return np.minimum(rounds * (alpha_s + wire), 2 * rounds * alpha_s + (2 - 2 / p) * wire)


def lower_bound(operation: str, ranks: Numeric, size: Numeric, alpha_s: Numeric, bytes_s: Numeric, *,
                at_once: bool = False) -> Numeric:
    """Return the seconds that no algorithm beats: the larger of the latency and the byte bound.

    With `at_once` a rank may talk to all others at the same time (full mesh, switch), so that one latency is enough.

    Notes
    -----
    One port: ceil(log2 p) alpha, and (p-1)/p n / B, twice that for all-reduce, n / B for broadcast and point to point.
    Sources: Chan, Heimlich, Purkayastha, van de Geijn, CCPE 19 (2007).
    """
    choose(COLLECTIVES, operation, "collective")
    factor = {"all-reduce": 2 * (ranks - 1) / ranks, "broadcast": 1.0, "point-to-point": 1.0}.get(
        operation, (ranks - 1) / ranks)
    rounds = 1.0 if at_once or operation == "point-to-point" else _depth(ranks)
    return _several(ranks) * np.maximum(rounds * alpha_s, factor * size / bytes_s)


def bus_bytes_s(operation: str, ranks: Numeric, size: Numeric, time_s: Numeric) -> Numeric:
    """Return the bus bandwidth in bytes/s: what may be compared with a link, unlike bytes over time.

    Notes
    -----
    n / t times 2 (p-1)/p for all-reduce, (p-1)/p for all-gather, reduce-scatter and all-to-all, else 1.
    Sources: PERFORMANCE document of nccl-tests.
    """
    factor = {"all-reduce": 2 * (ranks - 1) / ranks, "broadcast": 1.0, "point-to-point": 1.0}.get(
        operation, (ranks - 1) / ranks)
    return size / time_s * factor


def _several(ranks: Numeric) -> Numeric:
    """Return 1 where there is more than one rank, else 0: one rank alone sends nothing."""
    return np.where(np.asarray(ranks) > 1, 1.0, 0.0)[()]


def _rounds(ranks: Numeric) -> tuple[Numeric, Numeric]:
    """Return floor(log2 p), and 1 where p is no power of two, both as floats."""
    mantissa, exponent = np.frexp(np.asarray(ranks, dtype=float))
    return (exponent - 1.0)[()], np.where(mantissa == 0.5, 0.0, 1.0)[()]


def _depth(ranks: Numeric) -> Numeric:
    """Return ceil(log2 p) as a float."""
    rounds, uneven = _rounds(ranks)
    return rounds + uneven
