"""Calibrate the market's past on what was known by a date, and test its forecasts vintage by vintage.

What is known are filed quarters, reported orders of the cut-off episodes, and the dated record of threats and rules.

Every vintage sees only rows known by its date. Assumed ranges exist from February 2025 on, so vintages before that
use ranges written later: their forecasts are hindcasts and are labelled so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy import special

from chipcast.base import draws as luck
from chipcast.base.calendar import DAYS_PER_MONTH, month_index, parse_date
from chipcast.base.catalog import FIRST_VINTAGE, Catalogue, read_table, vintage_rows
from chipcast.base.errors import InputError, require
from chipcast.base.infer import Posterior, temper
from chipcast.base.laws import Law
from chipcast.base.types import Array
from chipcast.evidence.score import BASELINES, Scored, score_one
from chipcast.market import past
from chipcast.market.doors import EPISODES, FIRST, Path, doors_of, futures, path_of, record
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
    path: Path
    """Rules and threats known by the date."""
    quarters: tuple[str, ...]
    """Last month of each quarter used."""
    seed: int
    """Seed of all streams."""


def known_quarters(as_of: date) -> dict[str, float]:
    """Return filed revenue in China by the month in which the quarter ends, known by the date. [USD]"""
    return {fiscal_end(r["date"]): float(r["value"]) for r in Catalogue(as_of).rows("history")
            if r["series"] == CHINA_REVENUE}


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A report of orders that the model can speak of."""

    series: str
    """Series of `history.csv`."""
    date: str
    """Its period there."""
    window: tuple[str, str]
    """First and last month of the orders meant."""
    of: str
    """`ordered` in the window, or `open_orders` at its end."""
    share: str
    """Row of the share of all buyers that the report speaks of; empty for all."""
    bound: bool
    """Whether the report is a lower bound."""
    error: str
    """Row of its error."""


REPORTS = (
    Report(series="nvda_orders_big4", date="2023-08", window=("2023-03", "2023-08"), of="ordered",
           share="platform.foreign_installed_share", bound=False, error="past.report_error_ln"),
    Report(series="h20_orders", date="2025-Q1", window=("2025-01", "2025-03"), of="ordered", share="", bound=True,
           error="past.report_error_ln"),
    Report(series="h20_orders_halted", date="2025-05", window=("2025-01", "2025-04"), of="ordered", share="",
           bound=False, error="past.report_error_ln"),
    Report(series="h20_unshipped", date="2025-04", window=("2025-03", "2025-03"), of="open_orders", share="",
           bound=True, error="past.estimate_error_ln"),
)
"""Reports of orders in the cut-off episodes; a vintage uses those known by its date."""


def known_reports(as_of: date) -> tuple[tuple[Report, float], ...]:
    """Return reports of orders known by the date, with their values. [USD]"""
    rows = {(r["series"], r["date"]): float(r["value"]) for r in Catalogue(as_of).rows("history")
            if (r["series"], r["date"]) in {(o.series, o.date) for o in REPORTS}}
    return tuple((o, rows[o.series, o.date]) for o in REPORTS if (o.series, o.date) in rows)


def memory_rush(as_of: date) -> float | None:
    """Return stacks of the rush of December 2024 over those imported before, None before that was known. [1]"""
    rows = {r["series"]: float(r["value"]) for r in Catalogue(as_of).rows("history") if r["series"].startswith("hbm_")}
    if not {"hbm_stacks_imported_total", "hbm_stacks_rush_month"} <= set(rows):
        return None
    rush = rows["hbm_stacks_rush_month"]
    return rush / (rows["hbm_stacks_imported_total"] - rush)


def fit(as_of: date, *, seed: int = 1, particles: int = 1000, moves: int = 6,
        quarters: Mapping[str, float] | None = None) -> Fit:
    """Condition the five-stock past on what was known by a date: filed quarters, reported orders, the record of rules.

    Parameters
    ----------
    as_of : date
        Information date.
    seed, particles, moves
        Passed to the shared sampler.
    quarters : mapping, optional
        Other data in place of the filed quarters and of all reports, for tests.

    Raises
    ------
    InputError
        If fewer than four quarters are known.
    """
    data = dict(quarters) if quarters is not None else known_quarters(as_of)
    if len(data) < 4:
        raise InputError(f"{len(data)} filed quarters are known by {as_of}; a fit needs four, use a later date")
    law = past.laws(vintage_rows(max(as_of, FIRST_VINTAGE)))
    path = path_of(Catalogue(as_of))
    reports = known_reports(as_of) if quarters is None else ()
    rush = memory_rush(as_of) if quarters is None else None
    trials = record(path, _half_life(law)) if quarters is None else {}
    ends, start = sorted(data), month_index(FIRST)
    done = month_index(ends[-1]) - start + 1
    count = max([done, *(month_index(o.window[1]) - start + 1 for o, _ in reports)])
    place = [past.quarters_of(done).index(q) for q in ends]
    logs = np.log([data[q] for q in ends])[:, None]
    doors = doors_of(path, count, _half_life(law))
    error, degrees = law["past.filing_error_ln"].middle, law["past.tail_degrees"].middle

    def log_likelihood(z: Array) -> Array:
        p = past.parameters(z, law)
        run = past.play(p, doors, count)
        scale = np.sqrt(error**2 + p["past.model_error_ln"] ** 2)
        model = past.by_quarter(run.revenue[:done])[place]
        out = student_log_density((logs - np.log(model)) / scale, degrees).sum(axis=0) - len(ends) * np.log(scale)
        for o, value in reports:
            first, last = (month_index(m) - start for m in o.window)
            said = run.ordered[first : last + 1].sum(axis=0) if o.of == "ordered" else run.open_orders[last]
            said = said * (law[o.share].middle if o.share else 1.0)
            gap = (np.log(np.maximum(said, 1.0)) - np.log(value)) / law[o.error].middle
            out += special.log_ndtr(gap) if o.bound else student_log_density(gap, degrees)
        if rush is not None:
            months = np.full(z.shape[1], law["past.memory_months"].middle)
            gap = np.log(np.maximum(past.rush_of_memory(p, months), 1e-3) / rush) / law["past.estimate_error_ln"].middle
            out += student_log_density(gap, degrees)
        return np.asarray(out + record_log_likelihood(p, trials))

    posterior = temper(log_likelihood, past.UNKNOWNS, seed=seed, particles=particles, moves=moves,
                       stream=f"market:{as_of}")
    return Fit(as_of=as_of, posterior=posterior, law=law, path=path, quarters=tuple(ends), seed=seed)


def record_log_likelihood(p: Mapping[str, Array], trials: Mapping[str, tuple[Array, Array]]) -> Array:
    """Return the log likelihood of the dated record of threats, closings and openings. (draw)"""
    base = p["us_gate.closing_hazard_base_per_month"]
    rise = np.maximum(p["us_gate.closing_hazard_after_threat_per_month"] - base, 0.0)
    out = np.zeros_like(base)
    for name, (level, happened) in trials.items():
        for x, y in zip(*np.unique(np.stack([level, happened]), axis=1), strict=True) if level.size else ():
            times = float(np.sum((level == x) & (happened == y)))
            chance = np.clip(base + x * rise if name == "us_gate.closing" else p[name], 1e-9, 1 - 1e-9)
            out += times * (np.log(chance) if y else np.log1p(-chance))
    return np.asarray(out)


def student_log_density(x: Array, degrees: float) -> Array:
    """Return the log density of a standard Student-t law."""
    const = special.gammaln((degrees + 1) / 2) - special.gammaln(degrees / 2) - 0.5 * np.log(degrees * np.pi)
    return np.asarray(const - (degrees + 1) / 2 * np.log1p(x * x / degrees))


def contraction_table(found: Fit) -> list[dict[str, object]]:
    """Return prior, posterior and contraction of every parameter, in the parameter's unit.

    Contraction is 1 - var(posterior) / var(prior) of the normal behind it; under `PRIOR_DRIVEN` the prior speaks.
    """
    z, law = found.posterior.normals, found.law
    units = {f"{r['item']}.{r['name']}": r["unit"] for r in read_table("priors")}
    ends = np.array([0.05, 0.5, 0.95])
    rows = [_row(name, units[name], law[name].at(ends), law[name].at(luck.to_uniform(z[i])), z[i])
            for i, name in enumerate(past.NAMES)]
    for name, count in past.OWN.items():
        own = past.own_normals(z, name, law["past.episode_own_weight"].middle)
        for e in range(count):
            if e <= len(found.path.shuts) or e == past.MEMORY:
                rows.append(_row(f"{name} at {_episode(found.path, e)}", units[name], law[name].at(ends),
                                 law[name].at(luck.to_uniform(own[e])), own[e]))
    return rows


SIMULATED = tuple(n for n in past.NAMES if not n.startswith("past.")) + (past.LEFT, "past.redesign_ramp_months")
"""Parameters of the fit that are numbers of the simulator."""


def for_simulator(found: Fit) -> dict[str, Array]:
    """Return the normals behind the simulator's numbers as the past leaves them. [1] (draw)

    What each episode has of its own is that of the episode to come.
    """
    weight, slot = found.law["past.episode_own_weight"].middle, min(len(found.path.shuts), EPISODES - 1)
    z = found.posterior.normals
    return {name: past.own_normals(z, name, weight)[slot] if name in past.OWN else z[past.NAMES.index(name)]
            for name in SIMULATED}


def now_table(found: Fit) -> list[dict[str, object]]:
    """Return what the fitted past implies for the month after the last quarter, in plain quantities.

    The maker's most a quarter and the buyers' need a quarter, all accelerators, beside what the prior implied: a check
    of the market's own ranges of supply, which come from other rows.
    """
    month = month_index(found.quarters[-1]) + 1 - month_index(FIRST)
    z0 = np.stack([luck.normals(found.seed, f"market:{found.as_of}:start:{k}", 0, found.posterior.normals.shape[1])
                   for k in range(past.UNKNOWNS)])
    rows: list[dict[str, object]] = []
    for label in ("capacity", "need"):
        values = []
        for z in (z0, found.posterior.normals):
            p = past.parameters(z, found.law)
            months = month - (0.0 if label == "capacity" else p["past.boom_start_month"])
            growth = 1 + p[f"past.{label}_growth_per_month"]
            values.append(p[f"past.{label}_usd_per_quarter"] * growth ** np.maximum(months, 0))
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


def _episode(path: Path, e: int) -> str:
    """Name what an episode parameter acts on: cover and share are numbered by the rule that ends or begins them."""
    if e == past.MEMORY:
        return "memory 2024-12"
    return f"{path.shuts[e]:%Y-%m}" if e < len(path.shuts) else "a rule to come"


def _half_life(law: Mapping[str, Law]) -> float:
    return law["beliefs.threat_half_life_months"].middle


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
    start = month_index(FIRST)
    done = month_index(found.quarters[-1]) - start + 1
    count = done + 3 * quarters
    z = found.posterior.normals
    n = z.shape[1]
    p = past.parameters(z, found.law)
    half = _half_life(found.law)
    tag = f"market:{found.as_of}:future"

    def uniform(name: str, month: int = 0) -> Array:
        return luck.uniforms(found.seed, f"{tag}:{name}", 0, n, month=month)

    if conditional:
        doors = doors_of(path_of(Catalogue(LAST)), count, half)
    else:
        rates = {"threat": p["us_gate.threat_rate_per_month"], "base": p["us_gate.closing_hazard_base_per_month"],
                 "after": p["us_gate.closing_hazard_after_threat_per_month"],
                 "counter": p["cn_gate.counter_block_probability"],
                 "redesign_months": found.law["past.redesign_days"].at(uniform("redesign")) / DAYS_PER_MONTH}
        drawn = {k: np.stack([uniform(k, start + m) for m in range(count)]) for k in ("threat", "close")}
        # what is known of rules reaches to the information date, not to the end of the last quarter
        first = max(done, month_index(found.as_of) - start + 1)
        doors = futures(found.path, min(first, count), count, half, rates, drawn | {"counter": uniform("counter")})
    model = past.by_quarter(past.play(p, doors, count).revenue)
    scale = np.sqrt(found.law["past.filing_error_ln"].middle ** 2 + p["past.model_error_ln"] ** 2)
    out = {}
    for k, end in enumerate(past.quarters_of(count)):
        if end > found.quarters[-1]:
            noise = special.stdtrit(found.law["past.tail_degrees"].middle, uniform("noise", month_index(end)))
            out[end] = model[k] * np.exp(scale * noise)
    return out


def ahead_ln(found: Fit, quarters: int = 8) -> Array:
    """Return logs of revenue in the quarters after the last one filed, over that one. [1] (quarter, draw)

    Rules later than the information date are drawn, not told.
    """
    last = known_quarters(found.as_of)[found.quarters[-1]]
    return np.log(np.stack(list(predict(found, quarters, conditional=False).values())) / last)


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
