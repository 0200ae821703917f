"""What an operator does about faults beyond one checkpoint and one pool of spares: records and their effect.

Near copies, bad nodes and how they are put out, causes that strike a whole domain, what happens when nodes are short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import pdtr

from chipcast.base.choose import choose
from chipcast.base.types import Array, Numeric
from chipcast.cluster.spares import erlang_b_array, spares_needed

WHEN_SHORT = ("wait", "shrink")
"""With too few nodes the job waits for a repair, or goes on with fewer data-parallel replicas."""

MOST_SHOCKS = 8
"""Domains down at once that are summed over; more than that is no cluster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Near:
    """A first level of checkpoints: copies in the memory of peers, which most rollbacks can use."""

    stall_s: Numeric
    """Stall of the job for one near copy. [s] (draw)"""
    survives: Array
    """Probability that a near copy survives a rollback of each class. [1] (class, draw)"""
    restart_s: Numeric
    """Mean time from notice until the job computes again from a near copy. [s] (draw)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lemons:
    """Nodes that fail more often than others for good, and when they are put out."""

    share: Numeric
    """Share of nodes that are lemons at the start. [1] (draw)"""
    factor: Numeric
    """Faults of a lemon over those of another node. [1] (draw)"""
    evict_after: int = 0
    """Faults after which a node is replaced by a screened one; 0 for never."""
    days: float = 60.0
    """Days of the job over which the mean is taken. [days]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Relapse:
    """Faults that bring about later ones on the same node, and how long a repaired node is held back."""

    branching: float
    """Later faults on the same node that one fault brings about, without any quarantine. [1]"""
    kernel_days: tuple[float, ...]
    """Means of their exponential delays. [days]"""
    kernel_weights: tuple[float, ...]
    """Weights of those delays. [1]"""
    quarantine_h: float = 0.0
    """Time for which a repaired node is tested before it serves again: a relapse in it stops no job. [h]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shock:
    """A cause that takes down every node of a domain at once: a leaf switch, a rack's power."""

    name: str
    """Domain, as `switch` or `power`."""
    share: Array
    """Share of the faults of each class that are of the whole domain. [1] (class, draw)"""
    nodes: int
    """Nodes of the domain. [nodes]"""


def lemon_rate(lemons: Lemons, per_day: Numeric) -> Numeric:
    """Return the mean fault rate over the job's days as a multiple of the rate at the start.

    Parameters
    ----------
    lemons : Lemons
        Shares and policy.
    per_day : numeric
        Faults of a mean node at the start. [1/day]

    Notes
    -----
    Rates are f r and r with r = 1/(1 - q + q f), so that the start has mean 1. A lemon put out after k faults has
    E[min(N, k)] faults before, N Poisson(f r T), which by Wald take that many mean gaps; then it is replaced at r.
    """
    if lemons.evict_after <= 0:
        return np.ones_like(np.asarray(per_day, dtype=float))[()]
    plain = 1 / (1 - lemons.share + lemons.share * lemons.factor)
    bad = plain * lemons.factor
    mean = bad * np.asarray(per_day, dtype=float) * lemons.days
    seen = sum((1 - pdtr(j, mean) for j in range(lemons.evict_after)), start=np.zeros_like(mean))
    spent = np.minimum(seen / np.maximum(mean, 1e-300), 1.0)  # share of the days as a lemon
    return (1 - lemons.share) * plain + lemons.share * (bad * spent + plain * (1 - spent))


def relapse_rate(relapse: Relapse, held: Numeric) -> Numeric:
    """Return the fault rate with a quarantine as a multiple of the rate without.

    Parameters
    ----------
    relapse : Relapse
        Branching, delays and quarantine.
    held : numeric
        Share of faults after which a node is repaired, and so held back. [1]

    Notes
    -----
    First faults are (1 - b) of all without a quarantine; with it a fault has b' = b (1 - h + h sum_i w_i
    exp(-q/tau_i)) that reach the job, and first faults are 1 - b' of all.

    >>> round(float(relapse_rate(Relapse(branching=0.38, kernel_days=(1.0,), kernel_weights=(1.0,)), 1.0)), 6)
    1.0
    """
    weights, means = np.array(relapse.kernel_weights), np.array(relapse.kernel_days)
    outlived = float((weights * np.exp(-relapse.quarantine_h / 24 / means)).sum() / weights.sum())
    reach = relapse.branching * (1 - held * (1 - outlived))
    return (1 - relapse.branching) / (1 - reach)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What standing spares do for a job."""

    chips: Numeric
    """Standing spare chips that the job pays for. [chips] (size, draw)"""
    short: Numeric
    """Share of time in which the job waits for nodes. [1] (size, draw)"""
    missing: Numeric
    """Share of a shrunk job's nodes that do not work, on average. [1] (size, draw)"""
    alone: Numeric
    """Probability that a node fault finds no spare. [1] (size, draw)"""
    cold: Numeric
    """Probability that a node fault finds a cold spare only. [1] (size, draw)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """Nodes down on average, by the way in which they go down."""

    singles: Numeric
    """Nodes down one by one. [nodes] (size, draw)"""
    domains: tuple[tuple[Numeric, int], ...] = ()
    """Domains down, and the nodes of each. [domains] (size, draw), [nodes]"""

    def mean(self) -> Numeric:
        """Return nodes down on average. [nodes] (size, draw)"""
        total = self.singles
        for count, nodes in self.domains:
            total = total + count * nodes
        return total

    def at_most(self, places: Numeric) -> Numeric:
        """Return the probability that at most so many nodes are down, faults going on all the time.

        Notes
        -----
        A sum of a Poisson count and multiples of others (M/G/infinity with groups that come back together): summed
        over the domains down, up to `MOST_SHOCKS` of each.
        """
        return self._at_most(np.asarray(places, dtype=float), self.domains)

    def _at_most(self, places: Array, domains: tuple[tuple[Numeric, int], ...]) -> Numeric:
        if not domains:
            inside = pdtr(np.maximum(places, 0.0), np.maximum(self.singles, 1e-12))
            return np.where(places >= 0, inside, 0.0)
        (mean, nodes), rest = domains[0], domains[1:]
        weight = np.exp(-np.asarray(mean, dtype=float))
        total: Numeric = 0.0
        for j in range(MOST_SHOCKS + 1):
            total = total + weight * self._at_most(places - j * nodes, rest)
            weight = weight * mean / (j + 1)
        return total


def overflow(load: Load, places: Numeric) -> Numeric:
    """Return the mean number of nodes down beyond so many places, E[(K - S)+]. [nodes]

    Notes
    -----
    One by one: a P(K >= S) - S P(K > S), the terms of the Poisson mean above S. With domains the same, summed over
    the domains down, each of which takes its nodes off the places.

    >>> round(float(overflow(Load(singles=1.664), 4.0)), 6)
    0.036704
    """
    return _overflow(load.singles, np.asarray(places, dtype=float), load.domains)


def _overflow(a: Numeric, places: Array, domains: tuple[tuple[Numeric, int], ...]) -> Numeric:
    if not domains:
        s = np.maximum(places, 0.0)
        beyond = np.maximum(a * (1 - _below(a, s - 1)) - s * (1 - _below(a, s)), 0.0)
        return np.where(places >= 0, beyond, a - places)
    (mean, nodes), rest = domains[0], domains[1:]
    weight = np.exp(-np.asarray(mean, dtype=float))
    total: Numeric = 0.0
    for j in range(MOST_SHOCKS + 1):
        total = total + weight * _overflow(a, places - j * nodes, rest)
        weight = weight * mean / (j + 1)
    return total


def _below(a: Numeric, k: Numeric) -> Numeric:
    return np.where(np.asarray(k) >= 0, pdtr(np.maximum(k, 0.0), np.maximum(a, 1e-12)), 0.0)


def share_short(load: Load, spares: Numeric) -> Numeric:
    """Return the share of time in which a job that stops when short has too few nodes.

    Notes
    -----
    Without domains Erlang's loss formula with S + 1 places. With them the job that stands has no further faults, so
    only states that one cause reaches from enough nodes count: odds of P(S < K <= S + m) to P(K <= S), m the largest
    domain; an approximation from above.
    """
    if not load.domains:
        return erlang_b_array(np.asarray(spares, dtype=float) + 1, load.singles)
    s = np.asarray(spares, dtype=float)
    enough = np.maximum(load.at_most(s), 1e-300)
    largest = max(nodes for _, nodes in load.domains)
    odds = np.maximum(load.at_most(s + largest) - enough, 0.0) / enough
    return odds / (1 + odds)


def share_short_in_pool(load: Load, spares: Numeric, jobs: int) -> Numeric:
    """Return the share of time in which one of several jobs that share their spares has too few nodes.

    Notes
    -----
    Each node that is missing, K - S of them, is one of a job picked at random, faults of the others going on: a job is
    spared with probability q^(K - S), q = 1 - 1/J, so it is short in $E[1 - q^{(K-S)+}] = sum_j q^j P(K > S + j) / J$.
    From above, as a job that stands has no faults.
    """
    spared, total = 1.0, 0.0
    for j in range(min(21 * jobs, MOST_MISSING)):  # by then q^j is below 1e-9
        total = total + spared * (1 - load.at_most(np.asarray(spares, dtype=float) + j)) / jobs
        spared *= 1 - 1 / jobs
    return total


MOST_MISSING = 400
"""Nodes missing from a pool beyond which all of its jobs stand."""


def spares_for(load: Load, target: float) -> Numeric:
    """Return the least spares for which the share of time with enough nodes is `target` or more. [nodes]"""
    if not load.domains:
        return spares_needed(load.singles, target)
    low = np.floor(np.broadcast_to(np.asarray(load.mean(), dtype=float), np.shape(load.mean())) * 0.0)
    high = np.ceil(load.mean() * 8 + 64.0 * max(n for _, n in load.domains) / 8 + 64.0)
    for _ in range(14):
        middle = np.floor((low + high) / 2)
        good = share_short(load, middle) <= 1 - target
        high, low = np.where(good, middle, high), np.where(good, low, middle + 1)
    return high


def standing(load: Load, nodes: Numeric, *, chips_per_node: int, target: float, spare_chips: Numeric | None,
             cold_nodes: Numeric = 0.0, jobs: int = 1, when_short: str = "wait", replica_nodes: Numeric = 1.0
             ) -> Standing:
    """Return what spares do for a job, and how many there are.

    Parameters
    ----------
    load : Load
        Nodes of one job down on average.
    nodes : numeric
        Nodes that the job wants. (size, 1)
    chips_per_node : int
        Chips of a node.
    target : float
        Share of time with enough nodes that decides the number of spares; 0 for none.
    spare_chips : numeric, optional
        Standing spare chips of one job where they are stated. [chips]
    cold_nodes : numeric
        Further spare nodes of one job that must be started first. [nodes]
    jobs : int
        Jobs of this kind that share their spares.
    when_short : {"wait", "shrink"}
        What a job does without enough nodes.
    replica_nodes : numeric
        Nodes of one data-parallel replica, all idle while one of them is missing. [nodes]

    Notes
    -----
    A pool of J jobs sees J times the load, see `share_short_in_pool`. A job that shrinks loses r E[(K - S)+] / N of
    its work, K the nodes down.
    """
    choose(dict.fromkeys(WHEN_SHORT, when_short), when_short, "way when nodes are short")
    zero = np.zeros(np.shape(load.mean()))
    shared = Load(singles=load.singles * jobs, domains=tuple((m * jobs, k) for m, k in load.domains))
    if spare_chips is not None:
        paid = np.asarray(spare_chips, dtype=float)
        ready = np.floor(paid * jobs / chips_per_node)
    elif target <= 0:
        return Standing(chips=zero, short=zero, missing=zero, alone=zero, cold=zero)
    else:
        ready = spares_for(shared, target)
        paid = ready * chips_per_node / jobs
    places = ready + np.floor(np.asarray(cold_nodes, dtype=float) * jobs)
    paid = paid + np.asarray(cold_nodes, dtype=float) * chips_per_node
    cold = zero
    if np.any(np.asarray(cold_nodes) > 0):
        enough = np.maximum(shared.at_most(places), 1e-300)
        cold = np.clip((shared.at_most(places - 1) - shared.at_most(ready - 1)) / enough, 0.0, 1.0)
    if when_short == "shrink":
        missing = np.minimum(replica_nodes * overflow(shared, places) / jobs / nodes, 1 - 1e-6)
        return Standing(chips=paid, short=zero, missing=missing, alone=1 - shared.at_most(places - 1), cold=cold)
    if jobs == 1:
        short = share_short(shared, places)
    else:
        short = share_short_in_pool(shared, places, jobs) + zero
    return Standing(chips=paid, short=np.minimum(short, 1 - 1e-9), missing=zero, alone=zero, cold=cold)
