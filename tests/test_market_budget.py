"""What platforms may spend: what they publish, known by the date, in money; and what a forecast of it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from market_world import line_of, months_of, service_of, verdicts_of

from chipcast.base.catalog import Catalogue, read_table
from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.laws import point
from chipcast.hindcast import OUTCOMES
from chipcast.market import budget
from chipcast.market.record import Market
from chipcast.market.simulate import simulate
from chipcast.scenario import SEGMENTS, load, resolve


@pytest.fixture(scope="module")
def market(given: Given) -> tuple[Given, Market]:
    few = given.block(0, 300)
    months = months_of(few)[:8]
    return few, simulate(few, line_of(few, months), verdicts_of(months), service_of(few), months=months)


@pytest.mark.parametrize(("as_of", "cny", "end"), [
    ("2025-02-25", 17.1e9 + 31.8e9, "2024-09"), ("2025-05-28", 27.48e9 + 24.6e9, "2025-03"),
    ("2025-08-28", 19.1e9 + 24.6e9, "2025-03"), ("2025-12-31", 12.98e9 + 31.5e9, "2025-09")])
def test_capital_spending_is_what_was_published_by_the_date(as_of: str, cny: float, end: str) -> None:
    given = resolve(load("february-2025", as_of=as_of), draws=50, seed=1)
    known = budget.published(given)
    assert known.cny == pytest.approx(cny)
    assert known.end == end


def test_before_any_filing_there_is_no_budget(given: Given) -> None:
    blind = replace(given, catalog=Catalogue(date(2024, 7, 1)))
    with pytest.raises(InputError, match="use a later --as-of"):
        budget.published(blind)


def test_the_platforms_budget_is_a_part_of_all_their_spending(given: Given) -> None:
    """By hand: two platforms of three spent 48.9 billion yuan, half of it on accelerators: 5.9 billion USD."""
    usd = budget.budgets(given, SEGMENTS) * 3
    own = usd[SEGMENTS.index("platform")]
    assert np.median(own) == pytest.approx(48.9e9 / 7.25 * 1.75 * 0.5, rel=0.03)
    assert np.all(own < 48.9e9 / given["ownership.cny_per_usd"] * given["platform.capex_over_named"])
    for s in SEGMENTS[1:]:
        assert np.array_equal(usd[SEGMENTS.index(s)], given[f"{s}.budget_usd_per_quarter"] / 3 * 3)


def test_capital_spending_falls_with_the_cards_and_not_below_what_no_chip_stops(market: tuple[Given, Market]) -> None:
    given, run = market
    usd = budget.named_capex(given, run)
    assert list(usd) == ["2025Q1", "2025Q2", "2025Q3"], "the first quarter lacks January alone"
    nothing = budget.named_capex(given, replace(run, spent_usd=run.spent_usd * 0))
    twice = budget.named_capex(given, replace(run, spent_usd=run.spent_usd * 2))
    for q in usd:
        assert np.all(nothing[q] > 0) and np.all(usd[q] >= nothing[q])
        assert twice[q] - usd[q] == pytest.approx(usd[q] - nothing[q], rel=1e-5, abs=1.0)
    still = given.with_rows([replace(given.row("platform.capex_rest_spread_ln_per_quarter"), law=point(1e-9))])
    rest = budget.named_capex(still, replace(run, spent_usd=run.spent_usd * 0))["2025Q2"]
    named = 48.9e9 / given["ownership.cny_per_usd"]
    assert rest == pytest.approx(named * (1 - given["platform.capex_accelerator_share"]), rel=1e-5)
    first = budget.named_capex(still, replace(run, spent_usd=run.spent_usd * 0))["2025Q1"]
    assert first == pytest.approx(rest * 2 / 3 + named / 3, rel=1e-5), "January was over: it stands at what was known"


def test_outcomes_of_capital_spending_are_rows_in_money_known_after_the_date() -> None:
    rows = {(r["series"], r["date"]): r for r in read_table("history")}
    scored = [o for o in OUTCOMES if o.series == "platform_capex_usd_bn"]
    assert [o.period for o in scored] == ["2025Q1", "2025Q2", "2025Q3"]
    for o in scored:
        assert {rows[key]["unit"] for key in o.rows} == {"CNY/quarter"}
        assert min(rows[key]["known_by"] for key in o.rows) > "2025-02-25"
