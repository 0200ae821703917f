"""From a scenario to the story of a run: everything computed, put side by side for the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from chipcast import __version__, news
from chipcast.base.catalog import DATA, read_table, sources
from chipcast.base.given import Given
from chipcast.base.summary import interval, to_json
from chipcast.base.types import Array
from chipcast.chain import PLAN_DRAWS, Ready, World, decide, large_machines, make, prepare, trade, whatif_draws
from chipcast.cluster.record import Fleet
from chipcast.evidence import claims
from chipcast.evidence.posterior import posterior_table
from chipcast.fab.cost import waterfall
from chipcast.fab.patterning import Route, route
from chipcast.fab.product import product
from chipcast.market.forecast import series
from chipcast.plan.record import Plan
from chipcast.report.driver import Drivers
from chipcast.report.record import Story
from chipcast.rules.check import status_of
from chipcast.rules.measure import figures
from chipcast.rules.own import own_chip
from chipcast.rules.record import CN_WORDS, US_WORDS, Verdicts
from chipcast.scenario import Scenario, load
from chipcast.tokens.model import load as load_model

BUYER_CLASS_SHOWN = "platform"
"""Buyer class whose status the plane of rules shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A whole run."""

    ready: Ready
    """Scenario resolved and conditioned."""
    world: World
    """Line, service and market on all draws."""
    fleet: Fleet
    """Large machines."""
    worlds: Mapping[str, World]
    """Paired what-ifs on the table that never saw the claims."""
    claims: tuple[claims.Claim, ...]
    """Claims with their verdicts."""
    plan: Plan
    """What the buyer should order."""


def run(scenario: str | Scenario, *, draws: int = 10_000, seed: int = 1, workers: int = 1, prior: bool = False,
        as_of: str | None = None) -> Run:
    """Run the whole chain: the story in one function."""
    story = scenario if isinstance(scenario, Scenario) else load(scenario, as_of=as_of)
    ready = prepare(story, draws=draws, seed=seed, prior=prior)                # reports -> what is left of the ranges
    world = trade(ready.setting, ready.given, workers=workers, near=PLAN_DRAWS)  # wafer -> package -> tokens -> market
    fleet = large_machines(ready.given)                                        # faults -> goodput
    blind = news.blind(story, draws=whatif_draws(ready.given), seed=seed, prior=prior,
                       speed=ready.setting.speed)
    ground, worlds = news.ground(blind, workers=workers)                       # the same without the news itself
    judged = claims.check(ground)                                              # claims -> verdicts
    plan = decide(ready, world.near or world.market)                           # market -> what to order
    return Run(ready=ready, world=world, fleet=fleet, worlds=worlds, claims=judged, plan=plan)


def tell(r: Run) -> Story:
    """Put a run side by side for the report."""
    given, line, blind = r.ready.given, r.world.line, r.worlds["base"].given
    prior_line = make(r.ready.setting, r.ready.evidence.prior.block(0, whatif_draws(given)))
    asked = Drivers(blind)
    return Story(
        scenario=r.ready.setting.scenario.name, as_of=given.as_of.isoformat(), draws=given.draws, seed=given.seed,
        version=__version__, claims=[c.as_dict() | {"rests_on": [n for n, _ in asked.top(c.holds.astype(float))]}
                                     for c in r.claims], line=line, line_prior=prior_line,
        routes=[_route(route(given, "n+2"), "without EUV"), _route(route(given, "euv-twin"), "with EUV")],
        waterfall=_waterfall(r), verdicts=r.ready.setting.verdicts,
        measures=measures(given, r.ready.setting.verdicts, r.ready.setting.scenario.chips),
        service=r.world.service, fleet=r.fleet, market=r.worlds["base"].market,
        market_without_threat=r.worlds["threat"].market, market_without_push=r.worlds["local_push"].market, plan=r.plan,
        posterior=posterior_table(r.ready.evidence), ess=r.ready.evidence.ess, given=given, given_blind=blind,
        deployments=deployments(r), backtests=read_table("backtests"), sources=sources())


def deployments(r: Run) -> list[dict[str, Any]]:
    """Return the smallest deployment of each chip that keeps the buyer's promise, on the draws of a what-if."""
    few = r.ready.given.block(0, whatif_draws(r.ready.given))
    return [{"chip": chip, "chips": count, "usd": usd, "model": load_model(r.ready.setting.scenario.buyer.model).name}
            for chip, (count, usd) in news.deployments(r.ready, few).items()]


def _route(way: Route, name: str) -> dict[str, Any]:
    return {"route": name, "wafer_usd": interval(way.wafer_usd), "cycle_days": interval(way.days),
            "immersion_exposures": interval(way.immersion_exposures), "euv_exposures": interval(way.euv_exposures),
            "overlay_yield": interval(way.edge_yield), "d0_adder_per_cm2": interval(way.d0_adder_per_cm2)}


def _waterfall(r: Run) -> list[dict[str, Any]]:
    """Return the cost of a 910C by step in the month of the date, dies screened; medians with their intervals."""
    given, line = r.ready.given, r.world.line
    month = line.months.index(f"{given.as_of:%Y-%m}") if f"{given.as_of:%Y-%m}" in line.months else 0
    steps = waterfall(product(given, "ascend-910c"), wafer_usd=line.wafer_cost_usd, gross_dies=line.gross_dies,
                      line_yield=given["smic_n2.line_yield"], die_yield=line.yield_die_any[month])
    return [{"step": s, "usd": interval(usd)} for s, usd in zip(steps.steps, steps.usd, strict=True)]


def measures(given: Given, verdicts: Verdicts, own: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each ruled chip's performance, density and status on the date, those of the user too."""
    segment = verdicts.segments.index(BUYER_CLASS_SHOWN)
    out = []
    for k, chip in enumerate(verdicts.chips):
        us, cn = US_WORDS[verdicts.us[0, segment, k]], CN_WORDS[verdicts.cn[0, segment, k]]
        status = status_of(us, cn)
        f = own_chip(own[chip], name=chip, catalog=given.catalog) if chip in own else figures(given.catalog, chip)
        out.append({"chip": chip, "name": f.model, "tpp": _middle(f.tpp), "performance_density": _middle(f.pd),
                    "status": status, "us": us, "cn": cn, "rule_id": str(verdicts.decided_by[0, segment, k]),
                    "prong": str(verdicts.prong[0, segment, k])})
    return out


def _middle(span: Any) -> float | None:
    """Return the middle of an interval, None where it is unknown."""
    if span is None:
        return None
    low, high = (float(np.asarray(x)) for x in span)
    middle = (low + high) / 2
    return middle if np.isfinite(middle) else None


def run_hash(story: Scenario, *, draws: int, seed: int, prior: bool = False) -> str:
    """Return twelve letters that stand for the inputs of a run: scenario, data, draws, seed, version."""
    digest = blake2b(digest_size=6)
    for path in sorted(DATA.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(DATA).as_posix().encode())
            digest.update(path.read_bytes())
    content = {"as_of": story.as_of, "until": story.until, "set": story.set, "chips": story.chips, "rules": story.rules,
               "events": [e.model_dump() for e in story.events], "buyer": story.buyer.model_dump(),
               "reports": [x.model_dump() for x in story.reports], "draws": draws, "seed": seed, "prior": prior,
               "version": __version__}
    digest.update(to_json(content).encode())
    return digest.hexdigest()


def headline_draws(r: Run) -> dict[str, Array]:
    """Return the headline outputs of a run, one value per draw."""
    line, given = r.world.line, r.ready.given
    out: dict[str, Array] = {}
    for year in sorted({m[:4] for m in line.months}):
        cards = news.made_in(line, year)
        for k, name in enumerate(line.products):
            out[f"{name}.packages.{year}"] = cards[k]
    month = f"{given.as_of:%Y-%m}"
    if month in line.months:
        out[f"910c.yield_die_any.{month}"] = line.yield_die_any[line.months.index(month)]
    for k, chip in enumerate(r.world.service.chips):
        out[f"{chip}.output_tokens_per_s"] = r.world.service.output_tokens_per_s_per_chip[k]
        out[f"{chip}.usd_per_million_output_tokens"] = r.world.service.usd_per_million_output_tokens[k]
    for i, chip in enumerate(r.fleet.chips):
        for j, size in enumerate(r.fleet.sizes):
            out[f"{chip}.goodput.{size}"] = r.fleet.goodput[i, j]
    for name, periods in series(given, r.world.market, line).items():
        for period, values in periods.items():
            out[f"{name}.{period}"] = values
    return out


