"""Turn the ranges of a run into what the dated reports leave of them.

The forward model is the stations themselves: a trial of the sampler is a `given` whose normals are
replaced, and the line computes from it what each report speaks of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from chipcast.base import draws
from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.infer import Guide, Posterior, median_error, temper
from chipcast.base.summary import interval
from chipcast.base.types import Array
from chipcast.evidence.forward import quantities
from chipcast.evidence.likelihood import Quantities, error_scale, log_likelihood, reading_posterior
from chipcast.evidence.reports import Observation, observations

PARTICLES = 2500
"""Particles of the sampler; a run with more draws continues from them with moves of its own."""

LEAST = 1000
"""Particles of a run with fewer draws than this: too few would not find the posterior."""

WARN_ESS, REFUSE_ESS = 500.0, 100.0
"""Below the first a warning is printed; below the second the run is refused."""

SCREEN = 64
"""Draws on which names that do not matter are found."""

FIGHT, PAIR = 5.0, 5.5
"""Reports fight where the posterior stays this many errors away from one of them, or lies between two on one quantity
that stay this many errors apart."""

MOVES = 4
"""Moves at each temperature: guided ones reach across the posterior, so few do."""

EXTEND = (1.0, 0.7, 1.0)
"""Reach of the moves by which the copies of a larger run part, see `base.infer.GUIDES`."""

Forward = Callable[[Given, Sequence[Observation]], Quantities]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What conditioning did."""

    given: Given
    """The table, conditioned."""
    prior: Given
    """The table before."""
    reports: tuple[Observation, ...]
    """Reports that were used. (report)"""
    names: tuple[str, ...]
    """Quantities that could move. (name)"""
    ess: float
    """Effective sample size of the posterior draws: particles over their mean multiplicity after the moves."""
    importance_ess: float
    """What plain importance sampling from as many prior draws as there are particles would have had."""
    log_evidence: float
    """Logarithm of the mean likelihood under the prior."""
    reading_weights: tuple[dict[str, float], ...]
    """Share of each reading in explaining each report. (report)"""
    residuals: tuple[float, ...]
    """Report less posterior median on the scale of its error, in standard errors. (report)"""
    family: npt.NDArray[np.intp]
    """First particle that each draw descends from: draws of one family share luck, see `median_error`. (draw)"""


def condition(given: Given, reports: Sequence[Observation] | None = None, *, own: Iterable[Mapping[str, object]] = (),
              without: Iterable[str] = (), forward: Forward = quantities, check: bool = True) -> Evidence:
    """Condition a table on the dated reports it may see.

    Parameters
    ----------
    given : Given
        The whole run's table (all draws).
    reports : sequence of Observation, optional
        Reports to use; by default all that were known by the information date.
    own : iterable of mappings
        The analyst's own reports.
    without : iterable of str
        Origins to leave out, for claims that must not support themselves.
    check : bool
        Whether reports that fight (effective sample size under 100) are refused.

    Raises
    ------
    InputError
        If the reports contradict each other so much that hardly a prior draw is left; names them.
    """
    if reports is None:
        reports = observations(given.catalog, own=own, without=without)
    reports = tuple(reports)
    names = moving_names(given, reports, forward) if reports else ()
    if not names:
        return Evidence(given=given, prior=given, reports=reports, names=names, ess=float(given.draws),
                        importance_ess=float(given.draws), log_evidence=0.0, reading_weights=(), residuals=(),
                        family=np.arange(given.draws))

    def like(base: Given) -> Callable[[Array], Array]:
        def of(z: Array) -> Array:
            tried = base.with_posterior(dict(zip(names, z, strict=True)))
            return log_likelihood(tried, reports, forward(tried, reports))
        return of

    work = given.block(0, min(max(given.draws, LEAST), PARTICLES))
    fit = temper(like(work), len(names), seed=given.seed, particles=work.draws, moves=MOVES, stream="evidence",
                 guided=True)
    z = _extend(fit, given, like(given), names)
    after = given.with_posterior(dict(zip(names, z, strict=True)))
    found = forward(after, reports)
    residuals = tuple(_residual(after, o, found) for o in reports)
    if check and (fit.ess < REFUSE_ESS or (fit.prior_ess < REFUSE_ESS and _fighting(reports, residuals))):
        raise InputError(_who_fights(reports, residuals, min(fit.ess, fit.prior_ess), work.draws))
    return Evidence(given=after, prior=given, reports=reports, names=names, ess=fit.ess,
                    importance_ess=fit.prior_ess, log_evidence=fit.log_evidence,
                    reading_weights=tuple(reading_posterior(after, o, found) for o in reports), residuals=residuals,
                    family=fit.family[np.arange(given.draws) % work.draws])


def moving_names(given: Given, reports: Sequence[Observation], forward: Forward) -> tuple[str, ...]:
    """Return the uncertain names that the likelihood depends on.

    Names it reads are found by computing it once and looking; those that change no value when they are moved (the
    line computes costs too) are left out, since the reports say nothing of them.
    """
    seen: set[str] = set()
    watched = given.block(0, 4).watch(seen)
    log_likelihood(watched, reports, forward(watched, reports))
    names = sorted(seen)
    side_by_side = _moved_one_by_one(given.block(0, min(SCREEN, given.draws)), names)
    found = log_likelihood(side_by_side, reports, forward(side_by_side, reports)).reshape(len(names) + 2, -1)
    assert np.array_equal(found[0], found[1]), "the likelihood reads nothing but normals of names"
    return tuple(n for n, values in zip(names, found[2:], strict=True) if not np.array_equal(values, found[0]))


def _moved_one_by_one(probe: Given, names: Sequence[str]) -> Given:
    """Return a table of len(names) + 2 copies of the probe's draws: two as they are, then one for each name moved."""
    plain = {n: probe.normal(n) for n in names}
    tiles = {n: np.tile(z, (len(names) + 2, 1)) for n, z in plain.items()}
    for k, name in enumerate(names, start=2):
        tiles[name][k] = -plain[name]
        if name.startswith("factor:"):
            row_of = {n: probe.rows[n] for n in names if n in probe.rows and f"factor:{probe.rows[n].factor}" == name}
            turned = np.concatenate([np.zeros(probe.start), -plain[name]])
            moved = probe.with_posterior({name: turned})
            for n in row_of:
                tiles[n][k] = moved.normal(n)
    return replace(probe, start=0, stop=(len(names) + 2) * probe.draws, _values={},
                   posterior=MappingProxyType({n: t.ravel() for n, t in tiles.items()}))


def _extend(fit: Posterior, given: Given, like: Callable[[Array], Array], names: Sequence[str]) -> Array:
    """Return one particle per draw of the run: copies, then moves that keep the posterior."""
    n, p = given.draws, fit.normals.shape[1]
    if n <= p:
        return fit.normals[:, :n]
    z = fit.normals[:, np.arange(n) % p]
    now = fit.log_likelihood[np.arange(n) % p]
    guide = Guide.of(fit.normals)
    for m, reach in enumerate(EXTEND):
        noise = np.stack([draws.normals(given.seed, f"evidence:extend:{m}:{k}", 0, n) for k in range(len(names))])
        new, ratio = guide.towards(z, noise, reach)
        new_like = like(new)
        accept = np.log(draws.uniforms(given.seed, f"evidence:extend:{m}", 0, n)) < new_like - now + ratio
        z, now = np.where(accept, new, z), np.where(accept, new_like, now)
    return z


def _residual(given: Given, o: Observation, found: Quantities) -> float:
    """Return (report - nearest reading's posterior median) in units of both spreads, on the report's scale.

    A bound that is kept has no residual.
    """
    shift = given["source_vendor_plan.ln_bias"] if o.source_class == "vendor_plan" else 0.0
    gaps = []
    for (series, period, _), values in found.items():
        if series == o.series and period == o.period:
            h = np.log(values) - (np.log1p(-values) if o.is_share else 0.0) - shift
            width = np.hypot(np.std(h), np.median(error_scale(given, o)))
            gaps.append(float((o.transformed - np.median(h)) / width))
    gap = min(gaps, key=abs)
    kept = (o.relation == "at least" and gap < 0) or (o.relation == "at most" and gap > 0)
    return 0.0 if kept else gap


def _fighting(reports: Sequence[Observation], residuals: Sequence[float]) -> bool:
    """Return whether the posterior stays far from a report, or between two that speak of one quantity."""
    by_quantity: dict[tuple[str, str], list[float]] = {}
    for o, r in zip(reports, residuals, strict=True):
        by_quantity.setdefault((o.series, o.period), []).append(r)
    return max(map(abs, residuals)) > FIGHT or max(max(r) - min(r) for r in by_quantity.values()) > PAIR


def _who_fights(reports: Sequence[Observation], residuals: Sequence[float], ess: float, particles: int) -> str:
    """Return a sentence that names the reports farthest from what all of them jointly imply."""
    worst = sorted(zip(residuals, reports, strict=True), key=lambda pair: -abs(pair[0]))[:2]
    named = " and ".join(f"'{o.id}' ({r:+.1f} errors away)" for r, o in worst)
    return (f"the reports contradict each other or the assumed ranges: effective sample size {ess:.0f} of {particles} "
            f"is below {REFUSE_ESS:.0f}; the fight is about {named}; drop one or widen its error")


def posterior_table(evidence: Evidence) -> list[dict[str, object]]:
    """Return prior against posterior of every quantity that could move, most informed first.

    The contraction is 1 - var(posterior) / var(prior); below 0.2 a quantity is prior-driven. `median_error` is the
    Monte Carlo standard error of the posterior median.
    """
    rows = []
    for name in evidence.names:
        if name not in evidence.given.rows:
            continue
        before, after = evidence.prior[name], evidence.given[name]
        shrink = 1 - float(np.var(after)) / float(np.var(before))
        rows.append({"name": name, "unit": evidence.given.row(name).unit, "prior": interval(before),
                     "posterior": interval(after), "contraction": shrink, "prior_driven": bool(shrink < 0.2),
                     "median_error": median_error(after, evidence.family)})
    return sorted(rows, key=lambda r: -float(str(r["contraction"])))
