"""Calibrate the market's past on filed quarters, and test its forecasts vintage by vintage.

Every vintage sees only rows known by its date. Assumed ranges exist from February 2025 on, so vintages before that
use ranges written later: their forecasts are hindcasts and are labelled so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from scipy import special

from chipcast.base import draws as luck
from chipcast.base.calendar import month_index, parse_date
from chipcast.base.catalog import FIRST_VINTAGE, Catalogue, read_table, vintage_rows
from chipcast.base.errors import InputError, require
from chipcast.base.infer import Posterior, temper
from chipcast.base.laws import Law, law_of_row
from chipcast.base.types import Array
from chipcast.evidence.score import BASELINES, Scored, score_one
from chipcast.market import past
from chipcast.market.filed import CHINA_REVENUE, fiscal_end, fiscal_quarter

PRIOR_DRIVEN = 0.2
"""Contraction under which a parameter is called prior-driven."""

LAST = date(2025, 12, 31)
"""No outcome later than this is in the data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """A calibrated past."""

    as_of: date
    """Information date."""
    posterior: Posterior
    """Particles in standard-normal space."""
    law: Mapping[str, Law]
    """Prior laws of the parameters by name."""
    path: past.Path
    """Rules and threats known by the date."""
    quarters: tuple[str, ...]
    """Last month of each quarter used."""
    seed: int
    """Seed of all streams."""


def known_quarters(as_of: date) -> dict[str, float]:
    """Return filed revenue in China by the month in which the quarter ends, known by the date. [USD]"""
    return {fiscal_end(r["date"]): float(r["value"]) for r in Catalogue(as_of).rows("history")
            if r["series"] == CHINA_REVENUE}


def fit(as_of: date, *, seed: int = 1, particles: int = 1000, moves: int = 6,
        quarters: Mapping[str, float] | None = None) -> Fit:
    """Condition the five-stock past on the quarters filed by a date.

    Parameters
    ----------
    as_of : date
        Information date.
    seed, particles, moves
        Passed to the shared sampler.
    quarters : mapping, optional
        Other data in place of the filed quarters, for tests.

    Raises
    ------
    InputError
        If fewer than four quarters are known.
    """
    data = dict(quarters) if quarters is not None else known_quarters(as_of)
    if len(data) < 4:
        raise InputError(f"{len(data)} filed quarters are known by {as_of}; a fit needs four, use a later date")
    law = past.laws(vintage_rows(max(as_of, FIRST_VINTAGE)))
    path = past.path_of(Catalogue(as_of))
    ends = sorted(data)
    count = month_index(ends[-1]) - month_index(past.FIRST) + 1
    place = [past.quarters_of(count).index(q) for q in ends]
    logs = np.log([data[q] for q in ends])[:, None]
    doors = past.doors_of(path, count, _half_life(as_of))
    error, degrees = law["filing_error_ln"].middle, law["tail_degrees"].middle

    def log_likelihood(z: Array) -> Array:
        p = past.parameters(z, law)
        model = past.by_quarter(past.revenue(p, doors, count))[place]
        scale = np.sqrt(error**2 + p["model_error_ln"] ** 2)
        fits = student_log_density((logs - np.log(model)) / scale, degrees).sum(axis=0)
        return np.asarray(fits - len(ends) * np.log(scale))

    posterior = temper(log_likelihood, past.UNKNOWNS, seed=seed, particles=particles, moves=moves,
                       stream=f"market:{as_of}")
    return Fit(as_of=as_of, posterior=posterior, law=law, path=path, quarters=tuple(ends), seed=seed)


def student_log_density(x: Array, degrees: float) -> Array:
    """Return the log density of a standard Student-t law."""
    const = special.gammaln((degrees + 1) / 2) - special.gammaln(degrees / 2) - 0.5 * np.log(degrees * np.pi)
    return np.asarray(const - (degrees + 1) / 2 * np.log1p(x * x / degrees))


def contraction_table(found: Fit) -> list[dict[str, object]]:
    """Return prior, posterior and contraction of every parameter, in the parameter's unit.

    Contraction is 1 - var(posterior) / var(prior) of the normal behind it; under `PRIOR_DRIVEN` the prior speaks.
    """
    p = past.parameters(found.posterior.normals, found.law)
    units = {r["name"]: r["unit"] for r in read_table("priors") if r["item"] == "past"}
    rows: list[dict[str, object]] = []
    for i, name in enumerate(past.NAMES):
        rows.append(_row(name, units[name], found.law[name].at(np.array([0.05, 0.5, 0.95])),
                         p[name], found.posterior.normals[i]))
    for k, name in enumerate(past.LOOSE):
        for e in range(min(len(found.path.shuts) + 1, past.EPISODES)):
            z = found.posterior.normals[len(past.NAMES) + k * past.EPISODES + e]
            prior = np.exp(found.law["episode_spread_ln"].middle * special.ndtri(np.array([0.05, 0.5, 0.95])))
            label = _episode(found.path, e)
            rows.append(_row(f"{name} at {label} over common", "1", prior,
                             np.exp(found.law["episode_spread_ln"].middle * z), z))
    return rows


def now_table(found: Fit) -> list[dict[str, object]]:
    """Return what the fitted past implies for the month after the last quarter, in plain quantities.

    The maker's most a quarter and the buyers' need a quarter, all accelerators, beside what the prior implied: a check
    of the market's own ranges of supply, which come from other rows.
    """
    month = month_index(found.quarters[-1]) + 1 - month_index(past.FIRST)
    z0 = np.stack([luck.normals(found.seed, f"market:{found.as_of}:start:{k}", 0, found.posterior.normals.shape[1])
                   for k in range(past.UNKNOWNS)])
    rows: list[dict[str, object]] = []
    for label in ("capacity", "need"):
        values = []
        for z in (z0, found.posterior.normals):
            p = past.parameters(z, found.law)
            months = month - (0.0 if label == "capacity" else p["boom_start_month"])
            values.append(p[f"{label}_usd_per_quarter"] * (1 + p[f"{label}_growth_per_month"]) ** np.maximum(months, 0))
        prior, posterior = (np.quantile(v, [0.05, 0.5, 0.95]) for v in values)
        keys = ("p05", "p50", "p95")
        shrink = 1 - float(np.var(np.log(values[1])) / np.var(np.log(values[0])))
        rows.append({"name": f"{label}_now", "unit": "USD/quarter",
                     "prior": dict(zip(keys, map(float, prior), strict=True)),
                     "posterior": dict(zip(keys, map(float, posterior), strict=True)), "contraction": shrink,
                     "prior_driven": shrink < PRIOR_DRIVEN})
    return rows


def _row(name: str, unit: str, prior: Array, posterior: Array, z: Array) -> dict[str, object]:
    contraction = 1 - float(np.var(z))
    p = np.quantile(posterior, [0.05, 0.5, 0.95])
    return {"name": name, "unit": unit, "prior": dict(zip(("p05", "p50", "p95"), map(float, prior), strict=True)),
            "posterior": dict(zip(("p05", "p50", "p95"), map(float, p), strict=True)), "contraction": contraction,
            "prior_driven": contraction < PRIOR_DRIVEN}


def _episode(path: past.Path, e: int) -> str:
    """Name what an episode parameter acts on: cover and share are numbered by the rule that ends or begins them."""
    return f"{path.shuts[e]:%Y-%m}" if e < len(path.shuts) else "a rule to come"


def _half_life(as_of: date) -> float:
    return _law("beliefs", "threat_half_life_months", as_of).middle


def _law(item: str, name: str, as_of: date) -> Law:
    for r in vintage_rows(max(as_of, FIRST_VINTAGE)):
        if r["item"] == item and r["name"] == name:
            return law_of_row(r["family"], float(r["low"]), float(r["mode"]), float(r["high"]), f"{item}.{name}")
    raise InputError(f"no assumed range of {item}.{name} for {as_of}")


def predict(found: Fit, quarters: int, *, conditional: bool) -> dict[str, Array]:
    """Return forecasts of the next quarters by the month in which each ends. [USD] (draw)

    Parameters
    ----------
    found : Fit
        Calibrated past.
    quarters : int
        Quarters ahead.
    conditional : bool
        True gives the later path of rules as a fact; False draws it from the hazards of the gates.
    """
    require(quarters >= 1, "quarters", "be 1 or more", quarters)
    start = month_index(past.FIRST)
    done = month_index(found.quarters[-1]) - start + 1
    count = done + 3 * quarters
    z = found.posterior.normals
    n = z.shape[1]
    p = past.parameters(z, found.law)
    half = _half_life(found.as_of)
    tag = f"market:{found.as_of}:future"

    def uniform(name: str, month: int = 0) -> Array:
        return luck.uniforms(found.seed, f"{tag}:{name}", 0, n, month=month)

    if conditional:
        doors = past.doors_of(past.path_of(Catalogue(LAST)), count, half)
    else:
        names = {"threat": ("us_gate", "threat_rate_per_month"), "base": ("us_gate", "closing_hazard_base_per_month"),
                 "after": ("us_gate", "closing_hazard_after_threat_per_month"),
                 "counter": ("cn_gate", "counter_block_probability")}
        rates = {k: _law(item, name, found.as_of).at(uniform(f"rate:{k}")) for k, (item, name) in names.items()}
        rates["redesign_months"] = found.law["redesign_days"].at(uniform("redesign")) / 30.4375
        drawn = {k: np.stack([uniform(k, start + m) for m in range(count)]) for k in ("threat", "close")}
        # what is known of rules reaches to the information date, not to the end of the last quarter
        first = max(done, month_index(found.as_of) - start + 1)
        doors = past.futures(found.path, min(first, count), count, half, rates, drawn | {"counter": uniform("counter")})
    model = past.by_quarter(past.revenue(p, doors, count))
    scale = np.sqrt(found.law["filing_error_ln"].middle ** 2 + p["model_error_ln"] ** 2)
    out = {}
    for k, end in enumerate(past.quarters_of(count)):
        if end > found.quarters[-1]:
            noise = special.stdtrit(found.law["tail_degrees"].middle, uniform("noise", month_index(end)))
            out[end] = model[k] * np.exp(scale * noise)
    return out


def vintages(first: date = date(2023, 2, 1)) -> tuple[date, ...]:
    """Return the days after which a new quarter was filed: one vintage each."""
    days = {parse_date(r["known_by"]) for r in read_table("history") if r["series"] == CHINA_REVENUE}
    return tuple(sorted(d for d in days if d >= first))


def backtest(*, conditional: bool, ahead: int = 3, seed: int = 1, particles: int = 1000,
             chosen: Sequence[date] | None = None) -> tuple[Scored, ...]:
    """Return every forecast of every vintage, scored on what was filed later, with baselines.

    Parameters
    ----------
    conditional : bool
        Whether the later path of rules is given.
    ahead : int
        Quarters ahead.
    seed, particles
        Passed to the fit.
    chosen : sequence of date, optional
        Information dates in place of all vintages.
    """
    outcomes = {fiscal_end(r["date"]): r for r in read_table("history") if r["series"] == CHINA_REVENUE}
    scored: list[Scored] = []
    for day in chosen if chosen is not None else vintages():
        data = known_quarters(day)
        later = [q for q in sorted(outcomes) if q not in data][:ahead]
        if not later or len(data) < 4:
            continue
        found = fit(day, seed=seed, particles=particles)
        forecast = predict(found, ahead, conditional=conditional)
        values = np.array([data[q] for q in sorted(data)])
        normals = luck.normals(seed, "backtest:baseline", 0, particles)
        for step, end in enumerate(later, 1):
            rivals = {name: rule(values, step, normals) / 1e9 for name, rule in BASELINES.items()}
            scored.append(score_one(forecast[end] / 1e9, float(outcomes[end]["value"]) / 1e9,
                                    series="nvda_china_revenue_usd_bn", period=fiscal_quarter(end), vintage=str(day),
                                    kind=outcomes[end]["kind"], baselines=rivals))
    return tuple(scored)


def day_before(day: date) -> date:
    """Return the day before, for vintages that must not see a filing."""
    return day - timedelta(days=1)
