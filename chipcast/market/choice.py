"""Which option a buyer takes: nested logit over foreign, domestic and grey cards, and waiting.

Sources: McFadden 1978 (nested logit); Train, Discrete Choice Methods with Simulation, 2nd ed. 2009, chapter 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from chipcast.base.errors import require
from chipcast.base.types import Array, Numeric
from chipcast.market.sums import total

ROUNDING = 1e-12
"""Below this a share is the rounding of a sum."""

TINY = 1e-300
"""Weight of a nest that holds nothing."""


def nested_logit(value: Array, nests: Sequence[int], likeness: Sequence[Numeric],
                 allowed: Array | None = None) -> tuple[Array, Array]:
    r"""Return the share of each option and the log-sum of the choice.

    Parameters
    ----------
    value : array (option, ...)
        Systematic value of each option.
    nests : sequence of int
        Nest of each option.
    likeness : sequence of numeric
        $\lambda_k$ of each nest, above 0 up to 1; 1 is plain logit.
    allowed : array (option, ...), optional
        Weight of an option, 0 removes it, 1 leaves it.

    Notes
    -----
    $P_i = \frac{e^{V_i/\lambda_k}}{\sum_{j\in k} e^{V_j/\lambda_k}}
    \frac{e^{\lambda_k I_k}}{\sum_l e^{\lambda_l I_l}}$, $I_k = \ln\sum_{j\in k}e^{V_j/\lambda_k}$.

    >>> shares, logsum = nested_logit(np.array([1, .6, .5, 0, 0]), (0, 0, 1, 1, 2), (.5, .7, 1))
    >>> [round(float(p), 6) for p in shares], round(float(logsum), 6)
    ([0.349979, 0.157256, 0.226758, 0.111007, 0.155], 1.864332)
    """
    require(len(nests) == value.shape[0], "nests", "name one nest for each option", len(nests))
    require(all(np.all((np.asarray(x) > 0) & (np.asarray(x) <= 1)) for x in likeness), "likeness",
            "lie above 0 and up to 1", likeness)
    scaled = np.stack([np.asarray(value[i] / likeness[k], dtype=float) for i, k in enumerate(nests)])
    weight = np.exp(scaled)
    if allowed is not None:
        weight = weight * allowed
    whole = nest_shares(weight, nests, likeness)
    return weight, np.asarray(np.log(np.maximum(whole, TINY)))


def nest_shares(weight: Array, nests: Sequence[int], likeness: Sequence[Numeric]) -> Array:
    r"""Turn weights $e^{V_i/\lambda_k}$ into shares, in place, and return the sum over nests before the division.

    A nest that holds nothing gets nothing.
    """
    whole = np.zeros(weight.shape[1:])
    scales: list[tuple[list[int], Array | None]] = []
    for k, lam in enumerate(likeness):
        inside = [i for i, n in enumerate(nests) if n == k]
        if not inside:
            continue
        summed = weight[inside[0]]
        for i in inside[1:]:
            summed = summed + weight[i]
        if isinstance(lam, float) and lam == 1.0:
            whole += summed
            scales.append((inside, None))
            continue
        value = np.asarray(np.power(summed, lam))
        whole += value
        value /= np.maximum(summed, TINY)
        scales.append((inside, value))
    over = 1 / np.maximum(whole, TINY)
    for inside, scale in scales:
        factor = over if scale is None else np.multiply(scale, over, out=scale)
        for i in inside:
            weight[i] *= factor
    return whole


def cost_share(value: Array, nests: Sequence[int], likeness: Sequence[Numeric],
               allowed: Array | None = None) -> tuple[Array, Array]:
    """Return shares by value alone, without nests: the plain rival."""
    return nested_logit(value, (0,) * len(nests), (1.0,), allowed)


def at_least(shares: Array, group: Array, floor: Array, outside: int) -> Array:
    """Return shares in which a group of options has at least `floor` of all that is bought.

    Parameters
    ----------
    shares : array (option, ...)
        Shares that sum to 1, the option `outside` buys nothing.
    group : array (option)
        1 for the options that the floor favours.
    floor : array (...)
        Least share of the group in what is bought.
    """
    out = shares.copy()
    raise_to(out, group, floor, outside)
    return out


def raise_to(shares: Array, group: Array, floor: Array, outside: int) -> None:
    """Do what `at_least` does, in place."""
    members = [i for i in range(shares.shape[0]) if group[i] > 0]
    bought = 1 - shares[outside]
    favoured = shares[members[0]].copy()
    for i in members[1:]:
        favoured += shares[i]
    up = floor * bought
    np.maximum(up, favoured, out=up)
    up *= favoured > 0
    # what the floor does not favour only ever shrinks; where it is a rounding error it is dropped
    down = bought - up
    bought -= favoured
    down /= np.maximum(bought, ROUNDING, out=bought)
    np.minimum(np.maximum(down, 0.0, out=down), 1.0, out=down)
    up /= np.maximum(favoured, TINY, out=favoured)
    for i in range(shares.shape[0]):
        if i != outside:
            shares[i] *= up if group[i] > 0 else down


def pass_on(shares: Array, kept: Array, full: Array) -> None:
    """Keep only part of some options, in place; the rest goes to options that are open in full, in proportion.

    Parameters
    ----------
    shares : array (option, ...)
        Shares that sum to 1.
    kept : array (option, ...)
        Part of each option that goes through, 0 to 1.
    full : array (option, ...)
        1 where an option is open in full and takes over, such as waiting.
    """
    let_through = shares * kept
    freed, takers = np.zeros(shares.shape[1:]), np.zeros(shares.shape[1:])
    for i in range(shares.shape[0]):
        freed += shares[i] - let_through[i]
        takers += shares[i] * full[i]
    more = 1 + freed / np.maximum(takers, TINY)
    for i in range(shares.shape[0]):
        shares[i] = let_through[i] * np.where(full[i] > 0, more, 1.0)


def revealed_pull(weight: Array, option: int, size: Array, target: Array, slope: Array, nests: Sequence[int],
                  likeness: Sequence[Numeric], *, most: float = 3.0, halvings: int = 14) -> Array:
    """Return the log value of an option beside its cost at which all together choose it as often as they did.

    Parameters
    ----------
    weight : array (option, segment, draw)
        Weights of the choice without the pull.
    option : int
        The option whose share is known.
    size : array (segment, draw)
        How much each segment chooses.
    target : array (draw)
        Share of all that is chosen which went to the option. [1]
    slope : array (draw)
        Log weight per unit of log value.
    most : float
        Largest pull either way; 3 is a factor of twenty in cost.
    halvings : int
        Steps of the bisection; 14 leave 0.0004.
    """
    # only the option's own nest answers its pull: its other options and the value of other nests are summed once
    nest, own = nests[option], weight[option]
    lam = likeness[nest]
    beside, others = np.zeros_like(own), np.zeros_like(own)
    for k, other in enumerate(likeness):
        inside = [i for i, n in enumerate(nests) if n == k and i != option]
        if k == nest:
            beside = total(weight[inside]) if inside else beside
        elif inside:
            others += total(weight[inside]) ** other
    low, high = np.full(target.shape, -most), np.full(target.shape, most)
    wanted = target * total(size)
    for _ in range(halvings):
        pull = (low + high) / 2
        mine = own * np.exp(slope * pull)
        inside = np.maximum(mine + beside, TINY)
        value = inside**lam
        mine *= value
        inside *= np.maximum(value + others, TINY)
        mine /= inside
        mine *= size
        short = total(mine) < wanted
        low, high = np.where(short, pull, low), np.where(short, high, pull)
    return np.asarray((low + high) / 2)


CHOICE = {"nested_logit": nested_logit, "cost_share": cost_share}
"""How buyers choose: values, nests, likeness and legality to shares and log-sum."""

TREES: dict[str, Callable[[tuple[int, ...], tuple[Numeric, ...]], tuple[tuple[int, ...], tuple[Numeric, ...]]]] = {
    "nested_logit": lambda nests, likeness: (nests, likeness),
    "cost_share": lambda nests, likeness: ((0,) * len(nests), (1.0,))}
"""Nests and likeness that a choice really uses, by its name in `CHOICE`."""
