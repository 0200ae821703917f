"""Which option a buyer takes: nested logit over foreign, domestic and grey cards, and waiting.

Sources: McFadden 1978 (nested logit); Train, Discrete Choice Methods with Simulation, 2nd ed. 2009, chapter 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chipcast.base.errors import require
from chipcast.base.types import Array, Numeric

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
    inner = [sum((weight[i] for i, n in enumerate(nests) if n == k), start=np.zeros(weight.shape[1:]))
             for k in range(len(likeness))]
    outer = [np.where(total > 0, np.maximum(total, TINY) ** lam, 0.0)
             for total, lam in zip(inner, likeness, strict=True)]
    whole = sum(outer[1:], start=outer[0])
    shares = np.stack([weight[i] / np.maximum(inner[k], TINY) * outer[k] / np.maximum(whole, TINY)
                       for i, k in enumerate(nests)])
    return shares, np.asarray(np.log(np.maximum(whole, TINY)))


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
    mask = group.reshape((-1,) + (1,) * (shares.ndim - 1))
    bought = 1 - shares[outside]
    favoured = np.asarray(sum((share for share, member in zip(shares, group, strict=True) if member),
                              start=np.zeros_like(bought)))
    wanted = np.where(favoured > 0, np.maximum(favoured, floor * bought), favoured)
    up = wanted / np.maximum(favoured, TINY)
    # what the floor does not favour only ever shrinks; where it is a rounding error it is dropped
    down = np.clip((bought - wanted) / np.maximum(bought - favoured, ROUNDING), 0.0, 1.0)
    out = shares * np.where(mask > 0, up, down)
    out[outside] = shares[outside]
    return np.asarray(out)


CHOICE = {"nested_logit": nested_logit, "cost_share": cost_share}
"""How buyers choose: values, nests, likeness and legality to shares and log-sum."""
