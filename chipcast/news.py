"""The news item as a test: what its claims are judged on, computed without the news item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from chipcast.base.calendar import month_index
from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.summary import interval
from chipcast.base.types import Array
from chipcast.chain import FIGURES, Ready, World, prepare, serve_buyer, trade, what_if
from chipcast.cluster.compare import Comparison, compare
from chipcast.evidence import claims
from chipcast.evidence.forward import reading_luck, yields
from chipcast.evidence.likelihood import reading_weights
from chipcast.evidence.reports import YIELD_SERIES, Observation
from chipcast.fab import line as fab_line
from chipcast.fab.cost import Sale, line_break_even_yield, line_profit
from chipcast.fab.patterning import route
from chipcast.fab.product import products
from chipcast.fab.record import LIMITS, Line
from chipcast.market.filed import h20_2024
from chipcast.market.forecast import periods_of, series
from chipcast.market.record import DOMESTIC, Cells, Market
from chipcast.market.shocks import line_factor
from chipcast.scenario import Scenario, load

CLAIM_YEAR, CLAIM_MONTH, YEAR_EARLIER = "2025", "2025-02", "2024-02"
"""What the claims speak of; dates of the news, not numbers of a model."""

YIELDS_CLAIMED = (0.20, 0.40)
"""The two yields of the news, at which the line's profit is shown."""

RUN_CHIPS = ("ascend-910b2", "ascend-910c", "h800-sxm")
"""Large runs compared: the chip said to stumble, the one said to mend it, the one they are measured by."""

SMALL_BUYERS = ("clinic_school", "private")
"""Segments whose buyers the news means by small firms, clinics and schools."""

RUN_SIZE = 10_000
"""Chips of the first; the others have the same peak throughput. [chips]"""


def blind(story: Scenario, *, draws: int, seed: int, prior: bool = False,
          speed: Mapping[str, Mapping[str, float]] | None = None) -> Ready:
    """Return the scenario conditioned without any report of the claims' own origin."""
    return prepare(story, draws=draws, seed=seed, prior=prior, without=claims.origins(), speed=speed)


def ground(ready: Ready, *, workers: int = 1) -> tuple[claims.Ground, Mapping[str, World]]:
    """Return what the claims are judged on, and the paired worlds it was computed from.

    Parameters
    ----------
    ready : Ready
        From `blind`.
    """
    given, before = ready.given, ready.evidence.prior
    base = trade(ready.setting, given, workers=workers)
    worlds = {"base": base, "threat": what_if(ready, base, threat=False, workers=workers),
              "controls": what_if(ready, base, controls=False, workers=workers),
              "local_push": what_if(ready, base, local_push=False, workers=workers)}
    line, market = base.line, base.market
    prior_line = fab_line.run(before, ready.setting.line_months)
    now, earlier = yield_in_reading(given)
    now_prior, earlier_prior = yield_in_reading(before)
    even, profits = break_even(given, line)
    even_prior, _ = break_even(before, prior_line)
    without_euv, with_euv = route(given, "n+2"), route(given, "euv-twin")
    h20 = h20_2024(given)
    platform = market.segments.index("platform")
    half, year = slice(0, 6), max(CLAIM_YEAR, market.months[0][:4])
    h20_row = market.chips.index("h20-96")
    run = large_run(given)
    cost, feasible = costs(base)
    deployment, what = smallest(ready, given)
    budget, whose = small_budget(ready, given)
    alone, free = worlds["threat"].market, worlds["local_push"].market
    cards, cards_free = with_orders(ready, base), with_orders(ready, worlds["controls"])
    return claims.Ground(
        yield_now=now, yield_before=earlier, yield_now_prior=now_prior,
        yield_ratio_prior=now_prior / earlier_prior, break_even=even, break_even_prior=even_prior,
        profit_low=profits[0], profit_high=profits[1], overlay_yield=without_euv.edge_yield,
        wafer_cost_ratio=without_euv.wafer_usd / with_euv.wafer_usd, days_ratio=without_euv.days / with_euv.days,
        output=made_in(line, CLAIM_YEAR).sum(axis=0), output_prior=made_in(prior_line, CLAIM_YEAR).sum(axis=0),
        output_910c=made_in(line, CLAIM_YEAR)[line.products.index("ascend-910c")], binding=binding_in(line, CLAIM_YEAR),
        h20_cards=h20["cards"], h20_revenue_usd=h20["revenue_usd"],
        year=year, nvidia_share_tokens=1 - year_end(market, market.domestic_share_tokens, year),
        nvidia_share_cards=1 - share_of_cards(market, year),
        cover=market.cover_months[platform, half].mean(axis=0, dtype=float),
        cover_without=alone.cover_months[platform, half].mean(axis=0, dtype=float),
        cost_per_million=cost, feasible=feasible, grades=dict(zip(base.service.chips, base.service.grade, strict=True)),
        deployment_usd=deployment, deployment=what,
        budget_usd=budget, budget_of=whose,
        ettr=dict(zip(run.chips, run.ettr, strict=True)),
        size="equal peak throughput: " + ", ".join(f"{n:,} {claims.label(c)}" for c, n in
                                                   zip(run.chips, run.sizes, strict=True)),
        memory_and_links=run.memory_and_links[0],
        orders=market.orders[:, h20_row, half].sum(axis=(0, 1), dtype=float),
        orders_without=alone.orders[:, h20_row, half].sum(axis=(0, 1), dtype=float),
        domestic_share=share_of_cards(market, ""), domestic_share_without=share_of_cards(free, ""),
        local_cards=cards, local_cards_without=cards_free), worlds


def yield_in_reading(given: Given) -> tuple[Array, Array]:
    """Return the 910C yield in the claim's month and a year earlier, each draw in one reading. [1] (draw)"""
    found = yields(given, [CLAIM_MONTH, YEAR_EARLIER])
    out = []
    for month, definition in ((CLAIM_MONTH, "dual_die_volume"), (YEAR_EARLIER, "dual_die_early")):
        meant, value = reading_of(given, month, definition), np.zeros(given.draws)
        for reading in sorted(set(meant)):
            value = np.where(meant == reading, found[("910c.yield", month, reading)], value)
        out.append(value)
    return out[0], out[1]


def reading_of(given: Given, month: str, definition: str = "dual_die_volume") -> npt.NDArray[np.str_]:
    """Return the reading of the word yield that each draw takes, by the weights of an open definition. (draw)"""
    screened = yields(given, [month])[("screened", month, "")]
    weights = reading_weights(given, _open_report(given, month, definition), screened)
    edges = np.cumsum(np.stack(list(weights.values())), axis=0)
    index = np.minimum((reading_luck(given) >= edges).sum(axis=0), len(weights) - 1)
    meant: npt.NDArray[np.str_] = np.array(list(weights))[index]
    return meant


def _open_report(given: Given, month: str, definition: str) -> Observation:
    """Return a stand-in for a report whose reading is open, so that its weights can be asked for."""
    return Observation(id="reading", series=YIELD_SERIES[2], period=month, relation="about", value=0.5,
                       definition=definition, source_class="newspaper", origin="", known_by=given.as_of, source="",
                       why="")


def break_even(given: Given, line: Line) -> tuple[Array, tuple[Array, Array]]:
    """Return the die yield at which the line pays for itself in the year, and its profit at the claimed yields.

    Dies go to both products as the line's own packages use them; the wafers are those that these packages need, since
    dies that nobody can package earn nothing; fixed cost is the row of the product line.
    """
    single, dual = products(given)
    packs = made_in(line, CLAIM_YEAR)
    dies = packs * np.array([[single.dies], [dual.dies]])
    shares = dies / np.maximum(dies.sum(axis=0), 1e-9)
    sales = tuple(Sale(dies=item.dies, die_share=share, price_usd=item.price_usd * item.system_yield - item.board_usd,
                       assembly_yield=item.assembly_yield, other_usd=item.memory_usd + item.package_usd
                       + item.dies * item.die_test_usd, per_start=True)
                  for item, share in zip((single, dual), shares, strict=True))
    inside = [k for k, m in enumerate(line.months) if m.startswith(CLAIM_YEAR)]
    per_wafer = line.gross_dies * given["smic_n2.line_yield"] * line.yield_die_any[inside].mean(axis=0)
    wafers = np.minimum(line.wafer_starts[inside].sum(axis=0), dies.sum(axis=0) / per_wafer)
    fixed = 12 * line.fixed_cost_usd_per_month
    worth = sum(s.die_share * s.worth_of_a_die_usd for s in sales)
    pays = np.asarray(worth) > 0
    safe = tuple(Sale(dies=s.dies, die_share=s.die_share, price_usd=np.where(pays, s.price_usd, 1.0),
                      assembly_yield=s.assembly_yield, other_usd=np.where(pays, s.other_usd, 0.0), per_start=True)
                 for s in sales)
    even = np.where(pays, line_break_even_yield(wafers, line.gross_dies, safe, wafer_usd=line.wafer_cost_usd,
                                                fixed_usd=fixed, line_yield=given["smic_n2.line_yield"]), 1.0)
    low, high = (line_profit(wafers, line.gross_dies, y, sales, wafer_usd=line.wafer_cost_usd, fixed_usd=fixed,
                             line_yield=given["smic_n2.line_yield"]) for y in YIELDS_CLAIMED)
    return np.minimum(even, 1.0), (low, high)


def made_in(line: Line, year: str) -> Array:
    """Return good packages of a year; an empty year is the whole horizon. [packages] (product, draw)"""
    inside = [k for k, m in enumerate(line.months) if m.startswith(year)]
    total: Array = line.packages[:, inside].sum(axis=1)
    return total


def binding_in(line: Line, year: str) -> dict[str, float]:
    """Return the share of a year's months and draws in which each limit bound."""
    inside = [k for k, m in enumerate(line.months) if m.startswith(year)]
    return {limit: float(np.mean(line.binding[inside] == k)) for k, limit in enumerate(LIMITS)}


def year_end(market: Market, values: Cells, year: str) -> Array:
    """Return a monthly series at the end of a year. (draw)"""
    months = [k for k, m in enumerate(market.months) if m.startswith(year)]
    out: Array = np.asarray(values[months[-1]], dtype=float)
    return out


def share_of_cards(market: Market, year: str) -> Array:
    """Return the domestic share of cards delivered in a year; an empty year is the whole horizon. [1] (draw)"""
    months = [k for k, m in enumerate(market.months) if m.startswith(year)]
    home = [k for k, c in enumerate(market.chips) if c in DOMESTIC]
    cards = market.deliveries[:, :, months].sum(axis=(0, 2), dtype=float)
    out: Array = cards[home].sum(axis=0) / np.maximum(cards.sum(axis=0), 1e-9)
    return out


def large_run(given: Given) -> Comparison:
    """Return large runs of equal peak throughput on the same luck."""
    return compare(given, RUN_CHIPS, RUN_SIZE, same="compute")


def costs(world: World) -> tuple[dict[str, Array], dict[str, float]]:
    """Return cost per million tokens by chip where the promise holds in most draws, and that share. (draw)"""
    service = world.service
    cost = {c: service.usd_per_million_output_tokens[k] for k, c in enumerate(service.chips)
            if service.layouts[k] is not None and c in FIGURES}
    return cost, {c: float(service.feasible[k]) for k, c in enumerate(service.chips)}


def smallest(ready: Ready, given: Given) -> tuple[Array, str]:
    """Return the price of the smallest deployment that keeps the buyer's promise, and what it is. [USD] (draw)

    The cheapest at the medians among the chips on sale, whole servers and network included.
    """
    offers = {chip: offer for chip, offer in deployments(ready, given).items() if chip in FIGURES}
    if not offers:
        return np.full(given.draws, np.inf), "none that keeps the promise"
    chip = min(offers, key=lambda c: float(np.median(offers[c][1])))
    return offers[chip][1], f"{offers[chip][0]} x {claims.label(chip)}"


def small_budget(ready: Ready, given: Given) -> tuple[Array, str]:
    """Return what a small buyer can spend, and whose budget that is. [USD] (draw)

    The run's own buyer where it is small and states a budget; a platform's money says nothing of clinics.
    """
    if ready.setting.scenario.buyer.segment in SMALL_BUYERS:
        if "buyer.budget_usd" in given:
            return given["buyer.budget_usd"], "this run's buyer"
        if "buyer.budget_cny" in given:
            return given["buyer.budget_cny"] / given["ownership.cny_per_usd"], "this run's buyer"
    return given["small_buyer.budget_usd"], "a small firm, clinic or school"


def deployments(ready: Ready, given: Given) -> dict[str, tuple[int, Array]]:
    """Return the smallest deployment of each priced chip that keeps the buyer's promise: chips, and price. [USD] (draw)

    Whole servers; servers and network included.
    """
    # which layout is the smallest is decided at the medians, so one draw tells it
    service = serve_buyer(ready.setting, given.block(given.start, given.start + 1))
    segment = ready.setting.scenario.buyer.segment
    factor = given.first(f"{segment}.server_factor", "ownership.server_factor") * (1 + given["ownership.network_share"])
    return {chip: (service.min_chips[k], service.min_chips[k] * given[f"{chip}.price_usd"] * factor)
            for k, chip in enumerate(service.chips) if service.min_chips[k] > 0 and f"{chip}.price_usd" in given}


def with_orders(ready: Ready, world: World) -> Array:
    """Return Ascend cards made to the end of the horizon where the line answers its orders. [cards] (draw)

    The feedback is iterated once, openly: the market's orders go back to the line, which makes no more than is asked
    for, starts more wafers where more is asked for than planned, and learns by the wafers that it makes.
    """
    months = ready.setting.line_months
    lead = len(months) - world.market.line_orders.shape[1]
    asked = np.concatenate([np.repeat(world.market.line_orders[:, :1], lead, axis=1), world.market.line_orders], axis=1)
    answer = fab_line.run(world.given, months, controls=world.setting.controls, orders=asked, learning="volume",
                          answer=True)
    total: Array = answer.packages.sum(axis=(0, 1))
    return total


def named_quantities(ready: Ready, world: World) -> tuple[dict[str, Array], dict[str, str]]:
    """Return what a claim may speak of, per draw, and its unit: outputs by name and every uncertain row. (draw)"""
    given, line = world.given, world.line
    steps = cast(Any, [e for e in ready.setting.scenario.events if e.gate == "yield"])
    if steps:  # what-ifs of the market that multiply what the line delivers
        line = replace(line, packages=line.packages * line_factor(given, steps, line.months))
    now, earlier = yield_in_reading(given)
    month = f"{given.as_of:%Y-%m}"
    k = line.months.index(month) if month in line.months else 0
    outputs: dict[str, tuple[Array, str]] = {
        "910c.yield": (now, "1"), "910c.yield_a_year_earlier": (earlier, "1"),
        "smic_ai_die_yield": (line.yield_die_any[k], "1"), "910b.yield": (line.yield_die_any[k], "1"),
        "910c.assembly_yield": (line.assembly_yield[1], "1"), "910c.unit_cost_usd": (line.unit_cost_usd[1, k], "USD"),
        "line.profit_usd_per_year": (12 * line.profit_usd[k], "USD/year")}
    place, vendors = {m: i for i, m in enumerate(line.months)}, vendor_output(given, line)
    for period, months in periods_of(line.months).items():
        if all(m in place for m in months):
            inside = [place[m] for m in months]
            cards = line.packages[:, inside].sum(axis=1)
            outputs |= {
                f"huawei_ascend_cards.{period}": (cards.sum(axis=0), "cards"),
                f"huawei_910b_cards.{period}": (cards[0], "cards"),
                f"huawei_910c_packages.{period}": (cards[1], "packages"),
                f"china_vendor_cards.{period}": (vendors[inside].sum(axis=0), "cards"),
                f"hbm_stacks_used.{period}": (line.hbm_used[inside].sum(axis=0), "stacks"),
                f"ascend_dies_used.{period}": (line.dies_used[inside].sum(axis=0), "dies"),
                f"wafer_starts_per_month.{period}": (line.wafer_starts[inside].mean(axis=0), "wafers/month")}
    for name, periods in series(given, world.market, line).items():
        for period, by_draw in periods.items():
            outputs.setdefault(f"{name}.{period}", (by_draw, SERIES_UNITS.get(name, "1")))
    outputs["huawei_ascend_cards"] = outputs[f"huawei_ascend_cards.{CLAIM_YEAR}"]
    values = {name: v for name, (v, _) in outputs.items()}
    units = {name: u for name, (_, u) in outputs.items()}
    return values, units


def vendor_output(given: Given, line: Line) -> Array:
    """Return cards that all Chinese vendors make: the line's and those of the others. [cards/month] (month, draw)

    What is made and not what buyers took in the month: a forecast of all vendors is then never below that of one.
    """
    years = np.array([month_index(m) - month_index(given.as_of) for m in line.months])[:, None] / 12
    others = given["domestic_other.cards_per_quarter"] / 3 * given["domestic_other.growth_ratio_per_year"] ** years
    made: Array = line.packages.sum(axis=0) + others
    return made


SERIES_UNITS = {
    "huawei_ascend_cards": "cards", "huawei_910b_cards": "cards", "huawei_910c_packages": "packages",
    "hbm_stacks_used": "stacks", "china_vendor_cards": "cards",
    "china_total_cards": "cards", "nvidia_china_cards": "cards", "h20_revenue_usd_bn": "1e9",
    "nvda_china_revenue_usd_bn": "1e9", "h20_card_price_usd": "USD", "smic_ai_die_yield": "1", "nvda_china_share": "1",
}
"""Unit of each forecast series; revenue is in billions of USD, as its name says."""


ROUNDED = 1e-9
"""Two worlds that differ relatively by less than this differ by rounding, which is no effect."""


def effects(first: str | Scenario, second: str | Scenario, *, draws: int, seed: int) -> list[dict[str, Any]]:
    """Return second less first for every named output, paired: the second reuses the first's posterior.

    Raises
    ------
    InputError
        If the two do not share an information date.
    """
    a, b = (s if isinstance(s, Scenario) else load(s) for s in (first, second))
    if a.as_of != b.as_of:
        raise InputError(f"{a.name} knows what was known on {a.as_of}, {b.name} on {b.as_of}; compare scenarios of one "
                         "information date")
    one = prepare(a, draws=draws, seed=seed)
    two = prepare(b, draws=draws, seed=seed, prior=True)
    kept = {n: z for n, z in one.given.posterior.items() if n not in b.set}
    again = replace(two.evidence, given=two.given.with_posterior(kept))
    two = replace(two, evidence=again)
    outcomes = []
    for ready in (one, two):
        outcomes.append(named_quantities(ready, trade(ready.setting, ready.given)))
    (before, units), (after, _) = outcomes
    paired = {n: np.where(np.isclose(after[n], before[n], rtol=ROUNDED, atol=0), 0.0, after[n] - before[n])
              for n in before if n in after}
    return [{"name": n, "unit": units[n], "effect": interval(effect), "p_positive": float(np.mean(effect > 0)),
             "first": interval(before[n]), "second": interval(after[n])} for n, effect in paired.items()]
