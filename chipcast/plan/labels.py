"""What is known when an order is placed: futures that look alike then share a label, and so an order.

The real answer uses `regimes`, a tree: open, under threat or closed. What else a buyer can see when it orders
(need, prices, waits, the speed of chips on trial) does not branch the tree, which a hundred futures cannot fill:
it scales the orders (`Problem.scale`), as tried on fresh futures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipcast.base.errors import require
from chipcast.base.types import Array

Labels = npt.NDArray[np.int32]
"""Label of each scenario at each quarter. (quarter, scenario)"""

OPEN, THREAT, CLOSED = range(3)
"""Regimes of the gates as a buyer sees them."""

STAGES = (0,)
"""Quarters after the decision date at which a threat is noticed; a closing or reopening is noticed in every quarter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What a buyer can observe when it orders in a quarter."""

    regime: npt.NDArray[np.int_]
    """State of the gates: 0 open, 1 open under threat, 2 closed. (quarter, scenario)"""
    signs: Array
    """Everything else, each sign on a scale of one standard deviation. (quarter, scenario, sign)"""

    def take(self, keep: npt.NDArray[np.intp]) -> Seen:
        """Return what is seen in some futures."""
        return Seen(regime=self.regime[:, keep], signs=self.signs[:, keep])

    def from_quarter(self, t: int) -> Seen:
        """Return what is seen from a quarter on."""
        return Seen(regime=self.regime[t:], signs=self.signs[t:])


def labels_by_date(quarters: int, decide: int, scenarios: int) -> Labels:
    """Return labels that are equal before quarter `decide` and all different from then on.

    >>> labels_by_date(3, 1, 2).tolist()
    [[0, 0], [0, 1], [0, 1]]
    """
    require(0 <= decide <= quarters, "decide_until", f"lie within the {quarters} quarters of the horizon", decide)
    out = np.tile(np.arange(scenarios, dtype=np.int32), (quarters, 1))
    out[:decide] = 0
    return out


def labels_by_history(seen: npt.NDArray[np.int_]) -> Labels:
    """Return labels of a tree: scenarios share one while all they have shown so far is equal.

    Parameters
    ----------
    seen : array of whole numbers
        What a buyer has observed when ordering in a quarter, coded. (quarter, scenario)

    >>> labels_by_history(np.array([[0, 0, 0], [0, 1, 1], [5, 5, 7]])).tolist()
    [[0, 0, 0], [0, 1, 1], [0, 1, 2]]
    """
    label = np.zeros(seen.shape[1], dtype=np.int64)
    out = np.empty(seen.shape, dtype=np.int32)
    for t, now in enumerate(seen):
        pair = label * (int(now.max()) - int(now.min()) + 1) + (now - now.min())
        label = np.unique(pair, return_inverse=True)[1].astype(np.int64)
        out[t] = label
    return out


def _date(seen: Seen, decide: int) -> Labels:
    return labels_by_date(seen.regime.shape[0], decide, seen.regime.shape[1])


def _regimes(seen: Seen, decide: int) -> Labels:
    return labels_by_history(_noticed(seen.regime, decide))


def _noticed(regime: npt.NDArray[np.int_], decide: int) -> npt.NDArray[np.int64]:
    """Return regimes as the tree tells them apart: a closing in its quarter, a threat at stages only."""
    code = np.zeros(regime.shape, dtype=np.int64)
    feared = np.zeros(regime.shape[1], dtype=bool)
    for t in range(decide, regime.shape[0]):
        if t - decide in STAGES:
            feared = regime[t] == THREAT
        code[t] = np.where(regime[t] == CLOSED, CLOSED, np.where(feared, THREAT, OPEN))
    return code


def _open_loop(seen: Seen, decide: int) -> Labels:
    return labels_by_date(seen.regime.shape[0], seen.regime.shape[0], seen.regime.shape[1])


def _wait_and_see(seen: Seen, decide: int) -> Labels:
    return labels_by_date(seen.regime.shape[0], 0, seen.regime.shape[1])


INFORMATION: Mapping[str, Callable[[Seen, int], Labels]] = {
    "regimes": _regimes, "date": _date, "open_loop": _open_loop, "wait_and_see": _wait_and_see,
}
"""What is known when orders are placed: what can be seen and quarters decided blind -> labels."""


def check_nested(labels: Labels) -> None:
    """Refuse labels that forget: whoever was told apart once stays told apart."""
    for t in range(1, labels.shape[0]):
        pair = np.unique(np.stack([labels[t], labels[t - 1]]), axis=1)
        require(np.unique(pair[0]).size == pair.shape[1], "information labels",
                "stay apart once they are apart", f"a merge in quarter {t}")


def parents(labels: Labels, t: int) -> npt.NDArray[np.int_]:
    """Return the position of each node's parent a quarter before. (node of quarter t)"""
    _, first = np.unique(labels[t], return_index=True)
    before = np.unique(labels[t - 1], return_inverse=True)[1]
    out: npt.NDArray[np.int_] = before[first]
    return out


def descend(labels: Labels, seen: Seen, fresh: Seen, decide: int) -> npt.NDArray[np.intp]:
    """Return the node of the tree in which each fresh future finds itself, quarter by quarter.

    Parameters
    ----------
    labels, seen
        The tree and what its own scenarios showed.
    fresh : Seen
        What the fresh futures show.
    decide : int
        Quarters decided blind.

    Returns
    -------
    array
        Position of the node among the sorted labels of its quarter. (quarter, future)

    Notes
    -----
    From its node a future goes to the child with its own regime, of several to the one whose members look most like
    it; if no child has
    that regime, to the nearest node of the quarter that has; if none has, to the nearest child.
    """
    T, F = fresh.regime.shape
    out = np.zeros((T, F), dtype=np.intp)
    inside, outside = _noticed(seen.regime, decide), _noticed(fresh.regime, decide)
    for t in range(T):
        nodes, inverse = np.unique(labels[t], return_inverse=True)
        if nodes.size == 1:
            continue
        size = np.bincount(inverse).astype(float)
        centre = np.stack([np.bincount(inverse, weights=s) for s in seen.signs[t].T], axis=1) / size[:, None]
        regime = np.zeros(nodes.size, dtype=int)
        regime[inverse] = inside[t]
        apart = _between(fresh.signs[t], centre)
        child = parents(labels, t)[None] == out[t - 1][:, None] if t else np.ones((F, nodes.size), dtype=bool)
        same = regime[None] == outside[t][:, None]
        # Rank: own child of the regime, any node of the regime, own child.
        rank = np.where(child & same, 0, np.where(same, 1, np.where(child, 2, 3)))
        best = rank.min(axis=1, keepdims=True)
        out[t] = np.where(rank == best, apart, np.inf).argmin(axis=1)
    return out


def _between(a: Array, b: Array) -> Array:
    gap = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None] - 2 * a @ b.T
    out: Array = np.maximum(gap, 0.0)
    return out
