"""The claims of the news item, tested against what the stations compute without the news item itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.base.catalog import read_table
from chipcast.base.summary import interval, short, span
from chipcast.base.types import Array
from chipcast.evidence.verdict import Verdict, harsher, judge_direction, judge_interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What the claims are tested on: draws that never saw a report of the claims' own origin."""

    yield_now: Array
    """910C yield in the month of the claim, each draw in its own reading of the word. [1] (draw)"""
    yield_before: Array
    """The same a year earlier. [1] (draw)"""
    yield_now_prior: Array
    """`yield_now` before any report. [1] (draw)"""
    yield_ratio_prior: Array
    """Ratio of the two before any report. [1] (draw)"""
    break_even: Array
    """Die yield at which the product line covers all its cost. [1] (draw)"""
    break_even_prior: Array
    """The same before any report. [1] (draw)"""
    profit_low: Array
    """Profit of the line at the lower yield of the claim. [USD/year] (draw)"""
    profit_high: Array
    """Profit of the line at the higher yield of the claim. [USD/year] (draw)"""
    overlay_yield: Array
    """Share of dies that survive edge placement without EUV. [1] (draw)"""
    wafer_cost_ratio: Array
    """Wafer cost without EUV over that with it. [1] (draw)"""
    days_ratio: Array
    """Cycle time without EUV over that with it. [1] (draw)"""
    output: Array
    """Ascend cards the line can make in 2025. [cards] (draw)"""
    output_prior: Array
    """The same before any report. [cards] (draw)"""
    output_910c: Array
    """910C of these. [packages] (draw)"""
    binding: Mapping[str, float]
    """Share of months and draws of 2025 in which each limit bound."""
    h20_cards: Array
    """H20 sold in China in 2024. [cards] (draw)"""
    h20_revenue_usd: Array
    """Revenue of these. [USD] (draw)"""
    year: str
    """Year of the shares: that of the claims, or the first of the market where it begins later."""
    nvidia_share_tokens: Array
    """Nvidia's share of installed token capacity at the end of the year. [1] (draw)"""
    nvidia_share_cards: Array
    """Nvidia's share of cards delivered to the end of the year. [1] (draw)"""
    cover: Array
    """Months of need that platforms want to hold under the threat. [months] (draw)"""
    cover_without: Array
    """The same without the threat. [months] (draw)"""
    cost_per_million: Mapping[str, Array]
    """Cost per million generated tokens of R1 by chip, where the promise can be kept. [USD/1e6 tokens] (draw)"""
    feasible: Mapping[str, float]
    """Share of draws in which a chip keeps the promise."""
    grades: Mapping[str, str]
    """Evidence grade of each chip's rate."""
    deployment_usd: Array
    """Price of the smallest deployment of R1 that keeps the promise. [USD] (draw)"""
    deployment: str
    """What that deployment is."""
    budget_usd: Array
    """What a small buyer can spend: this run's, or one of the row where this run's is large. [USD] (draw)"""
    budget_of: str
    """Whose budget that is."""
    ettr: Mapping[str, Array]
    """Productive share of a run of equal compute by chip. [1] (draw)"""
    size: str
    """Size of that run in words."""
    memory_and_links: Array
    """Share of the 910B's faults that are memory or links. [1] (draw)"""
    orders: Array
    """H20 ordered in the first half year under the threat. [cards] (draw)"""
    orders_without: Array
    """The same without it. [cards] (draw)"""
    domestic_share: Array
    """Domestic share of cards delivered with the push. [1] (draw)"""
    domestic_share_without: Array
    """The same without the push. [1] (draw)"""
    local_cards: Array
    """Ascend cards made to the end of the horizon with controls. [cards] (draw)"""
    local_cards_without: Array
    """The same without controls. [cards] (draw)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A claim with its verdict."""

    id: str
    """Short name."""
    said: str
    """What was said."""
    computed: str
    """What chipcast computes."""
    verdict: Verdict
    """The verdict by the stated rule."""
    why: str
    """The reason in one sentence."""
    value: Mapping[str, float]
    """Interval of the tested quantity."""
    holds: npt.NDArray[np.bool_]
    """In which draws the claim holds. (draw)"""

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` and the report carry."""
        return {"id": self.id, "said": self.said, "computed": self.computed, "verdict": self.verdict.word,
                "why": self.why, "probability": self.verdict.probability, "p": self.verdict.p, "k": self.verdict.k,
                "value": dict(self.value)}


Answer = tuple[Verdict, str, str, Array]
"""Verdict, what is computed, why, tested draws."""


def percent(values: Array) -> str:
    """Print a share as percent, median with its 90 percent interval."""
    v = interval(values)
    return f"{100 * v['p50']:.0f} % ({100 * v['p05']:.0f} to {100 * v['p95']:.0f})"


def label(chip: str) -> str:
    """Return the short name of a chip id for a sentence: `h20-96` is the H20, `ascend-910b2` the 910B2."""
    return chip.removeprefix("ascend-").split("-")[0].upper()


def _bounds(row: Mapping[str, str]) -> tuple[float, float]:
    return float(row["low"]), float(row["high"]) if row["high"] else float("inf")


def yield_doubled(g: Ground, row: Mapping[str, str]) -> Answer:
    """Judge the level and the rise; the weaker part decides."""
    low, high = _bounds(row)
    ratio = g.yield_now / g.yield_before
    level = judge_interval(g.yield_now, low, high, g.yield_now_prior)
    rise = judge_interval(ratio, float(row["rise_low"]), float(row["rise_high"]), g.yield_ratio_prior)
    computed = f"yield {percent(g.yield_now)}, up by a factor {span(ratio, 2)} in the year"
    why = (f"the level is {level.word} (P {level.probability:.0%} in {low:.0%} to {high:.0%}), the rise is "
           f"{rise.word}; the reports leave open whether dies or packages are counted")
    return harsher(level, rise), computed, why, g.yield_now


def line_profitable(g: Ground, row: Mapping[str, str]) -> Answer:
    """Judge whether the break-even lies between the two yields."""
    verdict = judge_interval(g.break_even, *_bounds(row), g.break_even_prior)
    computed = (f"break-even die yield {percent(g.break_even)}; profit {span(g.profit_low / 1e9)} bn USD a year at "
                f"20 %, {span(g.profit_high / 1e9)} at 40 %")
    early = float(np.mean(g.profit_low > 0))
    why = (f"in {early:.0%} of draws the line earns money at 20 % already: at street prices silicon is a small part of "
           "a card's cost, so first profit at 40 % needs fixed cost or low transfer prices")
    return verdict, computed, why, g.break_even


def no_euv(g: Ground, row: Mapping[str, str]) -> Answer:
    """Judge whether enough dies survive edge placement."""
    verdict = judge_interval(g.overlay_yield, *_bounds(row), g.overlay_yield)
    computed = (f"edge placement keeps {percent(g.overlay_yield)} of dies; wafer cost {span(g.wafer_cost_ratio)} and "
                f"cycle time {span(g.days_ratio)} times those with EUV")
    why = (f"in {verdict.probability:.0%} of draws at least half of the dies survive the extra overlay; the price is "
           "cost and time, not impossibility; no adder is public, so the range is a prior")
    return verdict, computed, why, g.overlay_yield


def plan_400k(g: Ground, row: Mapping[str, str]) -> Answer:
    """Judge whether the line can make what is planned."""
    verdict = judge_interval(g.output, *_bounds(row), g.output_prior)
    limit, share = max(g.binding.items(), key=lambda item: item[1])
    computed = f"{span(g.output)} cards in 2025, of them {span(g.output_910c)} 910C"
    why = (f"P(at least {float(row['low']):,.0f}) is {verdict.probability:.0%}; what binds most often is {limit} "
           f"({share:.0%} of months)")
    return verdict, computed, why, g.output


def h20_million(g: Ground, row: Mapping[str, str]) -> Answer:
    """Judge the count from filed revenue."""
    verdict = judge_interval(g.h20_cards, *_bounds(row), None)
    computed = f"{span(g.h20_cards)} cards for {span(g.h20_revenue_usd / 1e9)} bn USD"
    why = ("from filed China revenue by quarter, an assumed share of H20 in it and an assumed price to the vendor; the "
           "quoted million is a forecast of July 2024")
    return verdict, computed, why, g.h20_cards


def nvidia_dominates(g: Ground, row: Mapping[str, str]) -> Answer:
    """Judge Nvidia's share in useful tokens."""
    verdict = judge_interval(g.nvidia_share_tokens, *_bounds(row), g.nvidia_share_tokens)
    computed = f"{percent(g.nvidia_share_tokens)} of token capacity, {percent(g.nvidia_share_cards)} of cards delivered"
    why = (f"P(more than half of useful tokens) is {verdict.probability:.0%} at the end of {g.year}; an installed base "
           "outlives a cut-off")
    return verdict, computed, why, g.nvidia_share_tokens


def hoard(g: Ground, row: Mapping[str, str]) -> Answer:
    """Judge the sign of the cover that the threat adds."""
    effect = g.cover - g.cover_without
    verdict = judge_direction(effect)
    computed = f"cover of {span(g.cover, 2)} months of need under the threat, {span(g.cover_without, 2)} without"
    why = (f"in {verdict.probability:.0%} of draws the perceived hazard lies above the point at which the closed form "
           "says hoard")
    return verdict, computed, why, effect


def h20_serves_r1(g: Ground, row: Mapping[str, str]) -> Answer:
    """Judge the H20 against the cheapest local card per token."""
    local = [v for k, v in g.cost_per_million.items() if k.startswith("ascend")]
    h20 = g.cost_per_million["h20-96"]
    effect = np.min(np.stack(local), axis=0) - h20 if local else np.full(h20.shape, np.nan)
    verdict = judge_direction(effect)
    computed = "; ".join(f"{label(k)} {span(v, 2)}" for k, v in g.cost_per_million.items()) + " USD per million tokens"
    seen = [label(k) for k in g.cost_per_million if g.grades.get(k, "prior only") != "prior only"]
    measured = f"measurements on {', '.join(seen)} are in" if seen else "no measured serving row was public on the date"
    why = (f"the H20 is the cheaper one in {verdict.probability:.0%} of draws: decode needs memory, which it kept, and "
           f"little arithmetic, which it lost; {measured}")
    return verdict, computed, why, effect


def small_firms(g: Ground, row: Mapping[str, str]) -> Answer:
    """Judge whether the smallest deployment fits the budget of a small buyer."""
    part = g.deployment_usd / g.budget_usd
    verdict = judge_interval(part, 0.0, 1.0, part)
    computed = f"the smallest deployment ({g.deployment}) costs {span(g.deployment_usd)} USD"
    budget = short(float(g.budget_usd[0])) if np.ptp(g.budget_usd) == 0 else span(g.budget_usd)
    why = (f"it fits the budget of {g.budget_of}, {budget} USD, in {verdict.probability:.0%} of draws; "
           "a full R1 needs a server or two, so a single clinic joins through a group or a smaller model")
    return verdict, computed, why, g.deployment_usd


def stumble_910b(g: Ground, row: Mapping[str, str]) -> Answer:
    """Judge whether the 910C keeps more of a large run than the 910B."""
    effect = g.ettr["ascend-910c"] - g.ettr["ascend-910b2"]
    verdict = judge_direction(effect)
    computed = "; ".join(f"{label(k)} {percent(v)}" for k, v in g.ettr.items()) + f" productive ({g.size})"
    why = (f"the 910C is ahead in {verdict.probability:.0%} of draws, by masking faults and needing fewer chips and "
           f"not by having fewer; memory and links are {percent(g.memory_and_links)} of a 910B's faults under priors: "
           "no Ascend fault count is public")
    return verdict, computed, why, effect


def scramble(g: Ground, row: Mapping[str, str]) -> Answer:
    """Judge the sign of what the threat adds to orders."""
    effect = g.orders - g.orders_without
    verdict = judge_direction(effect)
    computed = f"H20 orders of the first half year {span(g.orders)} with the threat, {span(g.orders_without)} without"
    why = f"paired on common luck the threat adds {span(effect)} cards; it raises orders in {verdict.probability:.0%}"
    return verdict, computed, why, effect


def buy_local(g: Ground, row: Mapping[str, str]) -> Answer:
    """Judge the sign of what the push adds to the domestic share."""
    effect = g.domestic_share - g.domestic_share_without
    verdict = judge_direction(effect)
    computed = (f"domestic share of cards {percent(g.domestic_share)} with the push, "
                f"{percent(g.domestic_share_without)} without")
    why = (f"the push adds {100 * float(np.median(effect)):.1f} points in the median; where the local line is sold out "
           "either way it moves who gets the cards, not how many")
    return verdict, computed, why, effect


def sanctions_speed(g: Ground, row: Mapping[str, str]) -> Answer:
    """Judge the sign of what controls add to local output."""
    effect = g.local_cards - g.local_cards_without
    verdict = judge_direction(effect)
    computed = f"{span(g.local_cards)} Ascend cards with controls, {span(g.local_cards_without)} without"
    why = (f"controls add demand and take memory, dies and tools away; output is higher with them in "
           f"{verdict.probability:.0%} of draws")
    return verdict, computed, why, effect


CHECKS: dict[str, Callable[[Ground, Mapping[str, str]], Answer]] = {
    "yield-doubled": yield_doubled, "line-profitable": line_profitable, "no-euv": no_euv, "plan-400k": plan_400k,
    "h20-million": h20_million, "nvidia-dominates": nvidia_dominates, "hoard": hoard, "h20-serves-r1": h20_serves_r1,
    "small-firms": small_firms, "stumble-910b": stumble_910b, "scramble": scramble, "buy-local": buy_local,
    "sanctions-speed": sanctions_speed,
}
"""How each claim is computed, by its id in `claims.csv`."""


def _holds(row: Mapping[str, str], draws: Array) -> npt.NDArray[np.bool_]:
    """Return in which draws a claim holds: inside its interval, or with the effect of its sign. (draw)"""
    if row["judged_by"] == "direction":
        return np.asarray(draws > 0)
    low, high = _bounds(row)
    return np.asarray((draws >= low) & (draws <= high))


def origins() -> tuple[str, ...]:
    """Return the origins of all claims: reports that the claims' draws must not see."""
    return tuple(sorted({row["origin"] for row in read_table("claims")}))


def check(ground: Ground) -> tuple[Claim, ...]:
    """Return all claims with their verdicts, in the order of `claims.csv`."""
    out = []
    for row in read_table("claims"):
        verdict, computed, why, draws = CHECKS[row["id"]](ground, row)
        out.append(Claim(id=row["id"], said=row["said"], computed=computed, verdict=verdict, why=why,
                         value=interval(draws), holds=_holds(row, draws)))
    return tuple(out)
