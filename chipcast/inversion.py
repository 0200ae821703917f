"""A claim turned around: what must hold for it, its odds before and after the reports, what would settle it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.base.catalog import read_table
from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.summary import short
from chipcast.base.types import Array
from chipcast.base.units import UNITS, convert
from chipcast.chain import Ready, World, prepare, trade, whatif_draws
from chipcast.evidence import claims
from chipcast.evidence.explain import explain, holds, parse_claim
from chipcast.evidence.forward import screened_before, yields
from chipcast.evidence.profit import readings
from chipcast.fab.supply import screened
from chipcast.news import (
    CLAIM_MONTH,
    YEAR_EARLIER,
    YIELDS_CLAIMED,
    blind,
    break_even,
    ground,
    named_quantities,
    reading_of,
)
from chipcast.scenario import Scenario, load

NICKNAMES = {"profitable-at-40": "line-profitable"}
"""Other names of claims."""

PROPOSED = ("910c.yield", "910b.yield", "smic_ai_die_yield", "910c.assembly_yield", "huawei_ascend_cards",
            "huawei_910c_packages.2025", "huawei_910b_cards.2025", "wafer_starts_per_month.2025",
            "hbm_stacks_used.2025", "910c.unit_cost_usd", "line.profit_usd_per_year")
"""Quantities proposed first where a text names none."""

SEEN = ("smic_ai_die_yield", "910c.assembly_yield", "huawei_ascend_cards.2025", "huawei_910b_cards.2025",
        "huawei_910c_packages.2025", "hbm_stacks_used.2025", "ascend_dies_used.2025", "wafer_starts_per_month.2025",
        "huawei_ascend_cards.2026", "hbm_stacks_used.2026", "wafer_starts_per_month.2026")
"""Outputs that somebody could count, and so settle a claim."""


BEFORE = 500
"""Draws of the world before any report, for the odds of a claim of the news."""

GLANCE = 100
"""Draws on which a text is read before anything long is computed."""


def causes(given: Given, names: Mapping[str, object]) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the uncertain rows among these names, for explanations. (draw)"""
    rows = [n for n in names if n in given.rows and not given.row(n).law.fixed]
    return {n: given[n] for n in rows}, {n: given.row(n).unit for n in rows}


def explain_claim(text: str, scenario: str | Scenario, *, draws: int, seed: int, as_of: str | None = None,
                  ) -> dict[str, Any]:
    """Return what must hold for a claim: an id of the news, or `NAME OP VALUE`.

    Draws never saw a report of the news item itself. `odds` sets the claim's odds before any report beside those
    after all others; `readings_where_it_holds` is how the word yield is meant in the draws where a claim on it holds.

    Raises
    ------
    InputError
        If the text is neither, or a share is claimed outside 0 to 1.
    """
    story = scenario if isinstance(scenario, Scenario) else load(scenario, as_of=as_of)
    claim = NICKNAMES.get(text.strip().lower(), text.strip().lower())
    if claim in {row["id"] for row in read_table("claims")}:
        before = blind(story, draws=min(draws, BEFORE), seed=seed, prior=True)
        return _of_the_news(blind(story, draws=draws, seed=seed, speed=before.setting.speed), before, claim)
    few = prepare(story, draws=GLANCE, seed=seed, prior=True)
    _read(few, trade(few.setting, few.given), text)  # a text that cannot be read is refused before the long work
    return _of_a_quantity(blind(story, draws=draws, seed=seed), text)


def _of_the_news(ready: Ready, unread: Ready, claim_id: str) -> dict[str, Any]:
    ready = _cut(ready, whatif_draws(ready.given))  # effects are paired on as many draws as a what-if takes
    facts, worlds = ground(ready)
    claim = next(c for c in claims.check(facts) if c.id == claim_id)
    first = next(c for c in claims.check(ground(unread)[0]) if c.id == claim_id)
    base = worlds["base"]
    answer: dict[str, Any] = {"claim": claim.said, "verdict": claim.verdict.word, "why": claim.why,
                              "computed": claim.computed,
                              "odds": odds(float(np.mean(first.holds)), float(np.mean(claim.holds)))}
    if claim_id == "line-profitable":
        _, profits = break_even(base.given, base.line)
        answer["readings"] = [r.as_dict() for r in readings(base.given, base.line, profits, *YIELDS_CLAIMED)]
    mask = np.asarray(claim.holds, dtype=bool)
    if claim_id == "yield-doubled":
        answer["stories"] = stories(base.given, mask)
    quantities, units = causes(base.given, base.given.rows)
    outputs, output_units = named_quantities(ready, base)
    return answer | explain(mask, quantities, units | output_units,
                            measurable={n: outputs[n] for n in SEEN if n in outputs})


def stories(given: Given, mask: npt.NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    """Return how a yield could double: the share of each story in all draws, and where the claim holds.

    The flow changed from untested to tested dies, the word was meant otherwise a year before, or the process gained
    with dies tested or untested all along.
    """
    before, now = screened_before(given) > 0.5, screened(given) > 0.5
    counted = reading_of(given, YEAR_EARLIER, "dual_die_early") != reading_of(given, CLAIM_MONTH)
    kind = np.select([~before & now, counted, now], ["flow change", "counting change", "process gain, dies tested"],
                     "process gain, dies untested")
    return {name: {"all_draws": float(np.mean(kind == name)),
                   "where_it_holds": float(np.mean(kind[mask] == name)) if mask.any() else 0.0}
            for name in ("process gain, dies tested", "flow change", "process gain, dies untested", "counting change")}


def _cut(ready: Ready, draws: int) -> Ready:
    """Return the same on its first draws."""
    e = ready.evidence
    return replace(ready, evidence=replace(e, given=e.given.block(0, draws), prior=e.prior.block(0, draws),
                                           family=e.family[:draws]))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """A claim on a quantity, read against what a world knows."""

    name: str
    """Quantity."""
    sign: str
    """Entry of `OPERATORS`, `about` or `between`."""
    figures: tuple[float, ...]
    """One figure, or the two ends of a range, in the unit."""
    unit: str
    """Unit of the quantity."""
    known: Array
    """The quantity. (draw)"""
    values: dict[str, Array]
    """Outputs by name. (draw)"""
    units: dict[str, str]
    """Their units."""
    causes: dict[str, Array]
    """Uncertain rows by name. (draw)"""
    row_units: dict[str, str]
    """Their units."""


def _read(ready: Ready, world: World, text: str) -> _Read:
    """Return what a text claims, or refuse it."""
    values, units = named_quantities(ready, world)
    rows, row_units = causes(world.given, world.given.rows)
    name, sign, figures = parse_claim(text, {**row_units, **units}, first=[n for n in PROPOSED if n in units],
                                      cny_per_usd=world.given.middle("ownership.cny_per_usd"))
    unit = (units | row_units)[name]
    known = values[name] if name in values else rows[name]
    if unit == "1" and known.min() >= 0 and known.max() <= 1:
        for value in figures:
            require(0 <= value <= 1, name, "be claimed as a share from 0% to 100%", f"{value:g} (write 40% or 0.4)")
    return _Read(name=name, sign=sign, figures=figures, unit=unit, known=known, values=values, units=units, causes=rows,
                 row_units=row_units)


def _of_a_quantity(ready: Ready, text: str) -> dict[str, Any]:
    world = trade(ready.setting, ready.given)
    given = world.given
    read = _read(ready, world, text)
    name, sign, figures, unit, known = read.name, read.sign, read.figures, read.unit, read.known
    values, units, quantities, row_units = read.values, read.units, read.causes, read.row_units
    mask = np.asarray(holds(known, sign, *figures), dtype=bool)
    before, _ = named_quantities(ready, trade(ready.setting, ready.evidence.prior))
    prior = before[name] if name in before else ready.evidence.prior[name]
    answer: dict[str, Any] = {"claim": f"{name} {sign} {' and '.join(_said(v, unit, name) for v in figures)}",
                              "odds": odds(float(np.mean(holds(prior, sign, *figures))), float(mask.mean()))}
    if name in ("910c.yield", "910b.yield"):
        answer["by_reading"] = by_reading(given, name, sign, *figures)
    if name == "910c.yield":
        meant = reading_of(given, CLAIM_MONTH)
        answer["readings_where_it_holds"] = {r: float(np.mean(meant[mask] == r)) if mask.any() else 0.0
                                             for r in sorted(set(meant))}
    quantities.pop(name, None)
    seen = {n: values[n] for n in SEEN if n in values and n.split(".")[0] != name.split(".")[0]
            and not np.array_equal(values[n], known)}
    return answer | explain(mask, quantities, row_units | units, measurable=seen)


def _said(value: float, unit: str, name: str) -> str:
    """Return a figure of a claim in words."""
    if unit == "1" and value <= 1:
        return f"{100 * value:.4g}%"
    if UNITS[unit][0] != "number":
        return f"{short(value, 4)} {unit}"
    return short(convert(value, unit, "1"), 4) + (" USD" if "_usd_" in name else "")


def odds(before: float, after: float) -> dict[str, float]:
    """Return the odds of a claim before and after the reports, and their ratio: what the reports say for it.

    >>> odds(0.2, 0.5)
    {'before': 0.25, 'after': 1.0, 'ratio': 4.0}
    """
    old, new = (p / (1 - p) if p < 1 else float("inf") for p in (before, after))
    return {"before": old, "after": new, "ratio": new / old if 0 < old < float("inf") else float("nan")}


def by_reading(given: Given, name: str, sign: str, *figures: float) -> dict[str, float]:
    """Return the probability of a claim on a yield if the word means each of its readings."""
    found = yields(given, [CLAIM_MONTH])
    return {reading: float(np.mean(holds(values, sign, *figures))) for (series_, _, reading), values in found.items()
            if series_ == name}
