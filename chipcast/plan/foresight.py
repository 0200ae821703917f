"""Does a plan see ahead: do its orders differ where nobody could tell futures apart?"""

from __future__ import annotations

import numpy as np

from chipcast.base.errors import InputError
from chipcast.base.types import Array
from chipcast.plan.labels import Labels


def sees_ahead(orders: Array, labels: Labels, decide: int, *, scale: Array | None = None, tolerance: float = 1e-6,
               ) -> bool:
    """Return whether orders differ between scenarios that nobody could tell apart when they were placed.

    Reads the solution and not the program, so that it also judges plans of another making.

    Parameters
    ----------
    orders : array
        Units. (offer, quarter, scenario)
    labels : array
        What was known. (quarter, scenario)
    decide : int
        Quarters decided here and now, at least equal in all scenarios.
    scale : array, optional
        What later orders may be shares of, as it was seen. (offer, quarter, scenario)
    """
    if np.ptp(orders[:, :decide], axis=-1).max(initial=0.0) > tolerance:
        return True
    for t in range(decide, labels.shape[0]):
        unit = np.ones_like(orders[:, t]) if scale is None else scale[:, t]
        if orders[:, t][unit <= 0].max(initial=0.0) > tolerance:
            return True
        share = orders[:, t] / np.where(unit > 0, unit, 1.0)
        inverse = np.unique(labels[t], return_inverse=True)[1]
        by_label = np.argsort(inverse, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(inverse[by_label]) > 0])
        known = (unit > 0)[:, by_label]
        high = np.maximum.reduceat(np.where(known, share[:, by_label], -np.inf), starts, axis=-1)
        low = np.minimum.reduceat(np.where(known, share[:, by_label], np.inf), starts, axis=-1)
        if (high - low > tolerance).any():
            return True
    return False


def require_foresight_free(orders: Array, labels: Labels, decide: int) -> None:
    """Raise `InputError` for orders that know the future."""
    if sees_ahead(orders, labels, decide):
        raise InputError("the plan's orders differ between futures that look alike when it orders; it sees ahead")
