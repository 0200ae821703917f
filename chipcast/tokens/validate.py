"""How good are the predictions on sources that the fit has not seen? Leave one source out, and say it in a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chipcast.base.catalog import Catalogue
from chipcast.base.choose import choose
from chipcast.tokens.beliefs import constant
from chipcast.tokens.fit import Posterior, Ready, fit, rows_ready
from chipcast.tokens.kernels import Kernel, kernels
from chipcast.tokens.predict import sampler, spread_of

MEASURED = ("measurements", "measurements_h200_tp8")
"""Tables of measurements."""

OUTSIDE = ("kernel", "comm")
"""Phases that speak of single operations and links, not of serving or training."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One row, predicted by a fit that has not seen its source."""

    id: str
    """Row id."""
    source: str
    """Its source."""
    quality: str
    """A, B or C."""
    reach: str
    """Key of the stretch: `serve` or `train`, `seen` or `new` in another source."""
    predicted: float
    """Median, logarithm."""
    measured: float
    """Measurement, logarithm."""
    error: float
    """Median over measurement, logarithm."""
    inside: bool
    """Whether the 90 percent interval holds it."""
    width: float
    """Width of that interval, logarithm."""
    place: float
    """Distance from the median over the half interval on that side; above 1 is outside."""

    @property
    def seen(self) -> bool:
        """Return whether its chip was measured in another source, for the same kind of work."""
        return self.reach.endswith("seen")

    def stretched(self, by: float) -> Scored:
        """Return the row under an interval that is so much wider."""
        return replace(self, width=self.width * by, place=self.place / by, inside=self.place <= by)


def cases(catalog: Catalogue) -> tuple[list[Ready], list[Ready], list[tuple[str, str]]]:
    """Return the rows known by the date: those to fit on, all that can be scored, and the refused with reasons."""
    rows = [r for t in MEASURED for r in catalog.rows(t) if r["phase"] not in OUTSIDE]
    uses = {r["id"]: r["proposed_use"] for r in rows}
    ready, refused = rows_ready(rows, catalog)
    return [r for r in ready if uses[r.case.id] == "calibration"], ready, refused


def operations(catalog: Catalogue) -> list[Kernel]:
    """Return the measured kernels known by the date."""
    return kernels((r for t in MEASURED for r in catalog.rows(t) if r["phase"] == "kernel"), catalog)


def fit_all(catalog: Catalogue) -> Posterior:
    """Return the fit of all that was known by the date, intervals not yet stretched."""
    return fit(cases(catalog)[0], as_of=str(catalog.as_of), steps=8, kernels=operations(catalog))


def score(ready: Ready, catalog: Catalogue, posterior: Posterior, *, seed: int = 1) -> Scored:
    """Return how a posterior does on one row."""
    draw = sampler(posterior, seed=seed)
    main, total = spread_of(replace(ready.case, source=""), catalog, posterior, draw, seed=seed)
    low, middle, high = np.quantile(total, (0.05, 0.5, 0.95))
    off = ready.log_value - middle
    return Scored(id=ready.case.id, source=ready.case.source, quality=ready.case.quality,
                  reach=posterior.reach("train" if main.job is not None else "serve", main.group), error=float(-off),
                  predicted=float(middle), measured=ready.log_value, inside=bool(low <= ready.log_value <= high),
                  width=float(high - low),
                  place=float(off / (high - middle) if off > 0 else -off / max(middle - low, 1e-9)))


KEYS: Mapping[str, Callable[[Ready | Kernel], str]] = {
    "source": lambda r: r.source if isinstance(r, Kernel) else r.case.source, "chip": lambda r: r.group,
    "model": lambda r: "" if isinstance(r, Kernel) else r.case.model.name}
"""What can be left out of a fit."""


def leave_one_out(catalog: Catalogue, posterior: Posterior, *, key: str = "source") -> list[Scored]:
    """Return every row scored by a fit on all that differ in `key`; rows never fitted are scored by the full fit."""
    (usable, ready, _), single = cases(catalog), operations(catalog)
    start = dict(zip(posterior.names, posterior.mean, strict=True))
    name = choose(KEYS, key, "what is left out")
    out = []
    for left in sorted({name(r) for r in ready}):
        rest = [r for r in usable if name(r) != left]
        known = posterior if len(rest) == len(usable) else replace(
            fit(rest, as_of=posterior.as_of, start=start, steps=4,
                kernels=[k for k in single if name(k) != left]), widen=posterior.widen)
        out += [score(r, catalog, known) for r in ready if name(r) == left]
    return out


def by_source(scored: Sequence[Scored]) -> dict[str, list[Scored]]:
    """Return scores by source."""
    return {s: [x for x in scored if x.source == s] for s in sorted({x.source for x in scored})}


def stretch(scored: Sequence[Scored]) -> float:
    """Return by how much intervals must grow or may shrink to hold enough rows of quality A and B (`stretch_share`).

    A source of n rows counts as sqrt(n); rows `stretch_least`, `stretch_most` and `stretch_blind` bound the answer.
    """
    groups = by_source([s for s in scored if s.quality != "C"])
    if not groups:
        return constant("stretch_blind")
    places = np.array([x.place for v in groups.values() for x in v])
    weights = np.array([1 / np.sqrt(len(v)) for v in groups.values() for _ in v])
    order = np.argsort(places)
    total = np.cumsum(weights[order]) / np.sum(weights)
    at = min(int(np.searchsorted(total, constant("stretch_share"))), len(order) - 1)
    return float(np.clip(places[order][at], constant("stretch_least"), constant("stretch_most")))


def stretches(scored: Sequence[Scored], far: Sequence[Scored] = ()) -> dict[str, float]:
    """Return the stretch by reach; what nobody has measured is never surer than what somebody has.

    Parameters
    ----------
    scored : sequence of Scored
        Rows whose source was left out.
    far : sequence of Scored
        Rows whose chip was left out: few sources stand alone on a chip, so these say more of chips not seen.
    """
    out = {k: stretch([s for s in (*scored, *far) if s.reach == k]) for k in REACHES}
    for kind in ("serve", "train"):
        out[f"{kind} new"] = max(out[f"{kind} new"], out[f"{kind} seen"], constant("stretch_new"))
    return out


REACHES = ("serve seen", "serve new", "train seen", "train new")
"""Keys of the stretch."""


def nested(plain: Sequence[Scored], far: Sequence[Scored] = ()) -> list[Scored]:
    """Return scores under the stretch that all other sources ask for, so that no source chose its own interval."""
    out = []
    for source, rows in by_source(plain).items():
        by = stretches([s for s in plain if s.source != source], [s for s in far if s.source != source])
        out += [r.stretched(by[r.reach]) for r in rows]
    return out


def widened(catalog: Catalogue, posterior: Posterior) -> tuple[Posterior, list[Scored], list[Scored]]:
    """Return the posterior with the stretch that rows left out ask for, and the scores by source and chip before it."""
    bare = replace(posterior, widen={})
    plain, far = leave_one_out(catalog, bare), leave_one_out(catalog, bare, key="chip")
    return replace(posterior, widen=stretches(plain, far)), plain, far


def median_of_medians(scored: Sequence[Scored]) -> float:
    """Return the median over sources of the median absolute log error."""
    groups = by_source(scored)
    return float(np.median([np.median([abs(x.error) for x in v]) for v in groups.values()])) if groups else float("nan")


def coverage(scored: Sequence[Scored]) -> float:
    """Return the share of rows inside their interval, every source counting as one."""
    groups = by_source(scored)
    return float(np.mean([np.mean([x.inside for x in v]) for v in groups.values()])) if groups else float("nan")


def rank_accuracy(scored: Sequence[Scored], quantity_of: Mapping[str, str]) -> float:
    """Return the share of pairs within a source and quantity whose order is right, sources as one; 0.5 is chance."""
    shares = []
    for rows in by_source(scored).values():
        right = [float((a.predicted - b.predicted) * (a.measured - b.measured) > 0) for i, a in enumerate(rows)
                 for b in rows[:i] if quantity_of[a.id] == quantity_of[b.id] and abs(a.measured - b.measured) > 0.05]
        if right:
            shares.append(float(np.mean(right)))
    return float(np.mean(shares)) if shares else float("nan")


def points(scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """Return measurement and prediction of every scored row with its interval, for pictures. [unit of the quantity]"""
    out = []
    for s in scored:
        up = s.width / 2
        out.append({"id": s.id, "group": s.source, "quality": s.quality, "reach": s.reach,
                    "measured": float(np.exp(s.measured)), "p50": float(np.exp(s.predicted)),
                    "low": float(np.exp(s.predicted - up)), "high": float(np.exp(s.predicted + up)),
                    "inside": int(s.inside)})
    return out
