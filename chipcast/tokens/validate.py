"""How good are the predictions on sources that the fit has not seen? Leave one source out, and say it in a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from chipcast.base.catalog import Catalogue
from chipcast.tokens.fit import Posterior, Ready, fit, rows_ready
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
    seen: bool
    """Whether its chip was measured in another source, for the same kind of work."""
    error: float
    """Median over measurement, logarithm."""
    inside: bool
    """Whether the 90 percent interval holds it."""
    width: float
    """Width of that interval, logarithm."""
    place: float
    """Distance from the median over the half interval on that side; above 1 is outside."""


def cases(catalog: Catalogue) -> tuple[list[Ready], list[Ready], list[tuple[str, str]]]:
    """Return the rows known by the date: those to fit on, all that can be scored, and the refused with reasons."""
    rows = [r for t in MEASURED for r in catalog.rows(t) if r["phase"] not in OUTSIDE]
    uses = {r["id"]: r["proposed_use"] for r in rows}
    ready, refused = rows_ready(rows, catalog)
    return [r for r in ready if uses[r.case.id] == "calibration"], ready, refused


def score(ready: Ready, catalog: Catalogue, posterior: Posterior, *, seed: int = 1) -> Scored:
    """Return how a posterior does on one row."""
    draw = sampler(posterior, seed=seed)
    main, total = spread_of(replace(ready.case, source=""), catalog, posterior, draw, seed=seed)
    low, middle, high = np.quantile(total, (0.05, 0.5, 0.95))
    kind = "train" if main.job is not None else "serve"
    off = ready.log_value - middle
    return Scored(id=ready.case.id, source=ready.case.source, quality=ready.case.quality,
                  seen=any(k == kind and g == main.group for k, g, _ in posterior.seen), error=float(-off),
                  inside=bool(low <= ready.log_value <= high), width=float(high - low),
                  place=float(off / (high - middle) if off > 0 else -off / max(middle - low, 1e-9)))


def leave_one_out(catalog: Catalogue, posterior: Posterior) -> list[Scored]:
    """Return every row scored by a fit on all other sources; rows never fitted are scored by the full fit."""
    usable, ready, _ = cases(catalog)
    start = dict(zip(posterior.names, posterior.mean, strict=True))
    out = []
    for source in sorted({r.case.source for r in ready}):
        rest = [r for r in usable if r.case.source != source]
        known = posterior if len(rest) == len(usable) else replace(
            fit(rest, as_of=posterior.as_of, start=start, steps=4), widen_seen=posterior.widen_seen,
            widen_new=posterior.widen_new)
        out += [score(r, catalog, known) for r in ready if r.case.source == source]
    return out


def by_source(scored: Sequence[Scored]) -> dict[str, list[Scored]]:
    """Return scores by source."""
    return {s: [x for x in scored if x.source == s] for s in sorted({x.source for x in scored})}


def stretch(scored: Sequence[Scored], *, share: float = 0.9) -> float:
    """Return by how much intervals must grow to hold so large a share of rows of quality A and B.

    A source of n rows counts as sqrt(n); the answer stays within 1.1 to 2.2.
    """
    groups = by_source([s for s in scored if s.quality != "C"])
    if not groups:
        return 1.3
    places = np.array([x.place for v in groups.values() for x in v])
    weights = np.array([1 / np.sqrt(len(v)) for v in groups.values() for _ in v])
    order = np.argsort(places)
    total = np.cumsum(weights[order]) / np.sum(weights)
    return float(np.clip(places[order][np.searchsorted(total, share)], 1.1, 2.2))


def widened(catalog: Catalogue, posterior: Posterior) -> tuple[Posterior, list[Scored]]:
    """Return the posterior with intervals stretched until rows left out are held, and the scores before that."""
    plain = replace(posterior, widen_seen=1.0, widen_new=1.0)
    scored = leave_one_out(catalog, plain)
    seen, new = [s for s in scored if s.seen], [s for s in scored if not s.seen]
    return replace(posterior, widen_seen=stretch(seen), widen_new=max(stretch(new), stretch(seen))), scored


def build(catalog: Catalogue) -> Posterior:
    """Return the posterior of a date, intervals stretched where its own rows left out ask for it."""
    usable, _, _ = cases(catalog)
    return widened(catalog, fit(usable, as_of=str(catalog.as_of), steps=8))[0]


def median_of_medians(scored: Sequence[Scored]) -> float:
    """Return the median over sources of the median absolute log error."""
    groups = by_source(scored)
    return float(np.median([np.median([abs(x.error) for x in v]) for v in groups.values()])) if groups else float("nan")


def coverage(scored: Sequence[Scored]) -> float:
    """Return the share of rows inside their interval, every source counting as one."""
    groups = by_source(scored)
    return float(np.mean([np.mean([x.inside for x in v]) for v in groups.values()])) if groups else float("nan")


def page(catalog: Catalogue, posterior: Posterior, scored: Sequence[Scored], refused: Sequence[tuple[str, str]]) -> str:
    """Return the validation page in Markdown."""
    lines = [
        "# How good are the predictions of `tokens`?", "",
        f"Fitted on {posterior.rows} rows known by {posterior.as_of} (hash `{posterior.digest}`). Each source below "
        "was predicted by a fit that has not seen it; rows marked as reference were never fitted. Errors are medians "
        "of the absolute logarithm of prediction over measurement; 0.10 is about ten percent.", "",
        "The stretch of the intervals was chosen on these same sources, so their coverage is not an independent test; "
        "the errors are.", "",
        "| source | rows | error | bias | inside 90 % interval | interval, factor to each side |",
        "|---|---|---|---|---|---|"]
    for source, v in by_source(scored).items():
        e = np.array([x.error for x in v])
        lines.append(f"| {source} | {len(v)} | {np.median(np.abs(e)):.2f} | {np.median(e):+.2f} | "
                     f"{np.mean([x.inside for x in v]):.0%} | {np.exp(np.median([x.width for x in v]) / 2):.2f} |")
    seen, new = [s for s in scored if s.seen], [s for s in scored if not s.seen]
    lines += ["", "| rows | median of the sources' medians | coverage, each source as one |", "|---|---|---|"]
    for name, group in (("quality A, chip seen in another source", [s for s in seen if s.quality == "A"]),
                        ("quality B, chip seen in another source", [s for s in seen if s.quality == "B"]),
                        ("chip seen in no other source", new), ("all", list(scored))):
        lines.append(f"| {name} ({len(group)} rows) | {median_of_medians(group):.2f} | {coverage(group):.0%} |")
    lines += ["", f"Intervals are stretched by {posterior.widen_seen:.2f} where the chip was seen and by "
              f"{posterior.widen_new:.2f} where it was not.", "", f"{len(refused)} rows were refused:", ""]
    reasons: dict[str, int] = {}
    for _, why in refused:
        reasons[why.split(";")[0]] = reasons.get(why.split(";")[0], 0) + 1
    lines += [f"- {n} x {why}" for why, n in sorted(reasons.items(), key=lambda kv: -kv[1])]
    return "\n".join(lines) + "\n"
