"""How likely the reports are, given what the stations compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import log_ndtr, logsumexp

from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.evidence.reports import READING_SETS, Observation

WIDE = 4.0
"""An outlier has this many times the error of its class; the wide part of the mixture."""

LOG_ROOT_TWO_PI = 0.5 * np.log(2 * np.pi)

Quantities = Mapping[tuple[str, str, str], Array]
"""(series, period, reading) -> value per draw."""


def error_scale(given: Given, o: Observation) -> Array:
    """Return the standard error of a report on its own scale (logit or log). [1] (draw)"""
    kind = "logit_yield" if o.is_share else "ln_count"
    general = "source_newspaper" if o.source_class != "letter_or_broker" else "source_letter_or_broker"
    return given.first(f"source_{o.source_class}.sigma_{kind}", f"{general}.sigma_{kind}")


def reading_weights(given: Given, o: Observation, screened: Array | float = 1.0) -> dict[str, Array]:
    """Return the weight of each reading of a report, summing to 1 in every draw. [1] (draw)

    Where dies are screened before assembly a package yield cannot be a blind one, so that reading drops out.
    """
    if o.definition not in READING_SETS:
        return {o.definition: np.ones(given.draws)}
    raw = {}
    for reading in READING_SETS[o.definition]:
        weight = given[f"yield_reading_{o.definition}.weight_{reading.replace('.', '_')}"]
        raw[reading] = weight * (1 - screened) if reading == "blind" else weight
    total = sum(raw.values())
    return {reading: weight / total for reading, weight in raw.items()}


def shared_bias(given: Given, o: Observation) -> Array:
    """Return what a report shares with others, on its own scale. [1] (draw)

    Notes
    -----
    Three sums: what all reports of its class share on yields or on counts, what all stories of its publisher share,
    and what all figures of its origin (one story and its copies) share. A plan carries the bias of plans and the
    shortfall that all plans for one year share: output falls short of them.
    """
    shift = given.normal(f"latent:origin:{o.origin}") * given["source_origin.sigma_ln"] \
        + given.normal(f"latent:publisher:{o.publisher}") * given["source_publisher.sigma_ln"]
    row = f"source_{o.source_class}.bias_{'logit_yield' if o.is_share else 'ln_count'}"
    if row in given:
        shift = shift + given[row]
    if o.source_class == "vendor_plan":
        shift = shift - given["source_vendor_plan.ln_bias"] \
            + given.normal(f"latent:plans:{o.period[:4]}") * given["source_vendor_plan.shared_sigma_ln"]
    return shift


def reading_log_likelihoods(given: Given, o: Observation, quantities: Quantities) -> dict[str, Array]:
    """Return log(weight x likelihood) of a report by reading. (draw)

    Notes
    -----
    With y the report and h the derived quantity, both as logit (yields) or logarithm (counts):
    sum over readings of weight x [(1 - eps) N(y; h + b, sigma) + eps N(y; h + b, 4 sigma)] with b of `shared_bias`;
    "at least x" is Phi((h - x) / sigma) and "at most" its mirror.
    """
    sigma, eps = error_scale(given, o), given["source_all.outlier_share"]
    shift = shared_bias(given, o)
    screened = quantities.get(("screened", o.period, ""), np.ones(given.draws))
    out = {}
    for reading, weight in reading_weights(given, o, screened).items():
        value = quantities[(o.series, o.period, reading)]
        with np.errstate(divide="ignore"):
            centre = np.log(value) - (np.log1p(-value) if o.is_share else 0.0) + shift
            gap = np.clip((o.transformed - centre) / sigma, -1e6, 1e6)
        narrow, wide = _log_density(gap, o.relation, sigma), _log_density(gap / WIDE, o.relation, sigma * WIDE)
        with np.errstate(divide="ignore"):
            out[reading] = np.log(weight) + np.logaddexp(np.log1p(-eps) + narrow, np.log(eps) + wide)
    return out


def _log_density(gap: Array, relation: str, sigma: Array) -> Array:
    if relation == "about":
        density: Array = -0.5 * gap * gap - np.log(sigma) - LOG_ROOT_TWO_PI
        return density
    value: Array = log_ndtr(-gap if relation == "at least" else gap)
    return value


def log_likelihood(given: Given, reports: Sequence[Observation], quantities: Quantities) -> Array:
    """Return the log likelihood of all reports together. (draw)"""
    total = np.zeros(given.draws)
    for o in reports:
        total = total + logsumexp(np.stack(list(reading_log_likelihoods(given, o, quantities).values())), axis=0)
    return total


def reading_posterior(given: Given, o: Observation, quantities: Quantities) -> dict[str, float]:
    """Return how much each reading explains a report: its mean responsibility over the draws."""
    parts = reading_log_likelihoods(given, o, quantities)
    table = np.stack(list(parts.values()))
    shares = np.exp(table - logsumexp(table, axis=0))
    return {reading: float(np.mean(share)) for reading, share in zip(parts, shares, strict=True)}
