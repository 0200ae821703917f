"""What tells futures apart: strata and distances for the choice of scenarios, signs for the tree, named causes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from chipcast.base.types import Array
from chipcast.plan.labels import CLOSED, THREAT, Seen
from chipcast.plan.ownership import Owning, World

STAKE_WEIGHT = 3
"""How often the value of all that is needed counts among the features."""


def cut_quarter(w: World, chips: Sequence[Owning]) -> npt.NDArray[np.int_]:
    """Return the quarter in which the first foreign chip is cut off; the number of quarters if never. (draw)"""
    shut = _shut(w, chips)
    out: npt.NDArray[np.int_] = np.where(shut.any(axis=0), shut.argmax(axis=0), w.quarters).astype(int)
    return out


def reopening(w: World, chips: Sequence[Owning]) -> npt.NDArray[np.int_]:
    """Return 1 where the gates open again after the first cut and before the end. (draw)"""
    shut = _shut(w, chips)
    again = (np.diff(shut.astype(int), axis=0) < 0).any(axis=0)
    out: npt.NDArray[np.int_] = again.astype(int)
    return out


def _shut(w: World, chips: Sequence[Owning]) -> npt.NDArray[np.bool_]:
    out: npt.NDArray[np.bool_] = np.zeros((w.quarters, w.need_q.shape[-1]), dtype=np.bool_)
    for o in chips:
        if not o.domestic:
            out |= o.open <= 0
    return out


def features(w: World, chips: Sequence[Owning], worth: Array) -> Array:
    """Return what distances between futures are measured on. (draw, feature)

    Need, prices, delivered shares, cards needed; and, on its own scale and not in logarithms, the value of all that
    is needed: it decides the tail, which distances in logarithms would thin out.
    """
    columns = [np.log(w.need_q[0]), np.log(w.need_q[-1]), np.log(worth)]
    columns += [np.log(o.price.mean(axis=0)) for o in chips]
    columns += [cards_needed(w, o, w.quarters // 2) for o in chips]
    columns += [o.shipped.mean(axis=0) for o in chips]
    columns += [(worth * w.need_q * w.months[:, None]).sum(axis=0)] * STAKE_WEIGHT
    return np.stack(columns, axis=1)


def cards_needed(w: World, o: Owning, t: int) -> Array:
    """Return how little of a chip serves the need, on a scale of 0 to 1. (draw)

    Saturates: a chip that serves nothing is no further away than one that serves hardly anything.
    """
    rate = o.rate[t] / w.need_q[t]
    middle = float(np.median(rate[rate > 0])) if (rate > 0).any() else 1.0
    out: Array = rate / (rate + middle)
    return out


def seen(w: World, chips: Sequence[Owning]) -> Seen:
    """Return what a buyer can observe when it orders in a quarter.

    Notes
    -----
    Gates and threats are public. Need, prices and waits are those of the quarter before; what a chip gives on the
    buyer's own model is known from a trial before anything more is ordered. The quarter's own luck is not seen.
    """
    T, draws = w.quarters, w.need_q.shape[-1]
    regime = np.zeros((T, draws), dtype=int)
    if any(not o.domestic for o in chips):
        threat = w.market.threat
        if threat is not None:
            heard = np.asarray(threat, dtype=float)[w.first] > w.given.middle("plan.threat_level_seen")
            regime[heard] = THREAT
        regime[_shut(w, chips)] = CLOSED
    before = np.maximum(np.arange(T) - 1, 0)
    columns = [np.log(w.need_q[before])]
    columns += [np.stack([cards_needed(w, o, t) for t in before]) for o in chips]
    columns += [np.log(o.price[before]) for o in chips]
    columns += [np.minimum(o.lead[before], T) / T for o in chips]
    table = np.stack(columns, axis=-1)
    spread = table.std(axis=1, keepdims=True)
    signs = (table - table.mean(axis=1, keepdims=True)) / np.where(spread > 1e-12, spread, 1.0)
    # Several chips say much the same: each kind of sign counts once, however many chips there are.
    share = np.sqrt(1 / np.repeat([1, len(chips), len(chips), len(chips)], [1, len(chips), len(chips), len(chips)]))
    return Seen(regime=regime, signs=signs * share)


def causes(w: World, chips: Sequence[Owning], names: dict[str, str], worth: Array) -> dict[str, Array]:
    """Return named causes for the boxes of failure and for what would change the decision. (draw)"""
    T = w.quarters
    out = {"quarter of the cut-off": cut_quarter(w, chips).astype(float), "the need now in tokens/s": w.need_q[0],
           "the monthly growth of need": w.need.growth_per_month,
           "the value of a missing million tokens in USD": worth,
           "the price of electricity in USD/kWh": w.given.first(f"{w.need.segment}.usd_per_kwh",
                                                                "country_cn.usd_per_kwh")}
    for row, words in (("smic_n2.d0_per_cm2", "the density of defects of the local line per cm2"),
                       ("smic_n2.ai_wafer_starts_per_month", "the wafer starts of the local line a month")):
        if row in w.given:
            out[words] = np.asarray(w.given[row])
    for o in chips:
        name = names[o.chip]
        out[f"what one {name} gives in tokens/s"] = o.rate[0]
        out[f"the price of {name} in USD"] = o.price.mean(axis=0)
        out[f"the wait for {name} in quarters"] = o.lead[: max(T // 2, 1)].mean(axis=0)
        out[f"the filled share of {name} orders"] = o.fill.mean(axis=0)
    return {k: np.broadcast_to(v, w.need_q.shape[-1:]) for k, v in out.items() if np.ptp(v) > 0}
