"""Profitable for the first time at 40 percent: each reading's unknown solves its own equation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chipcast.base.given import Given
from chipcast.evidence.profit import Reading, readings
from chipcast.fab import line
from chipcast.fab.package import blind_cost
from chipcast.fab.product import product
from chipcast.news import vendor_output

MONTHS = tuple(f"2025-{m:02d}" for m in range(1, 13))


@pytest.fixture(scope="module")
def solved(given: Given) -> dict[str, Reading]:
    run = line.run(given, MONTHS)
    profits = (np.full(given.draws, -1e9), np.full(given.draws, 1e9))
    return {r.id: r for r in readings(given, run, profits, 0.20, 0.40)}


def test_halving_the_yield_doubles_what_a_good_die_and_a_blind_package_must_earn(solved: dict[str, Reading]) -> None:
    for name in ("foundry-per-good-die", "blind-unit-cost"):
        assert solved[name].at_high == pytest.approx(2 * solved[name].at_low)


def test_the_blind_price_is_the_cost_of_a_good_package(given: Given, solved: dict[str, Reading]) -> None:
    """An independent road: the price at which profit is zero equals the blind cost at that package yield."""
    run, dual = line.run(given, MONTHS), product(given, "ascend-910c")
    cost = blind_cost(wafer_usd=run.wafer_cost_usd, gross_dies=run.gross_dies, die_yield=np.sqrt(0.40), dies=2,
                      memory_usd=dual.memory_usd, package_usd=dual.package_usd, assembly=1.0,
                      line_yield=given["smic_n2.line_yield"])
    assert solved["blind-unit-cost"].at_low == pytest.approx(cost / dual.system_yield)


def test_at_street_prices_unit_cost_alone_cannot_explain_the_sentence_when_dies_are_screened(
        solved: dict[str, Reading]) -> None:
    """The published analysis finds 1.3 to 4.5 percent at quoted prices."""
    assert np.quantile(solved["screened-unit-cost"].at_low, 0.95) < 0.20
    assert solved["screened-unit-cost"].plausible < 0.02
    assert solved["blind-unit-cost"].plausible > 0.1


def test_the_line_needs_a_fixed_cost_between_its_two_profits(given: Given, solved: dict[str, Reading]) -> None:
    fixed = given["ascend_line.fixed_cost_usd_per_year"]
    assert solved["product-line"].at_low == pytest.approx(fixed - 1e9)
    assert solved["product-line"].plausible == 1.0, "with -1 and +1 bn after fixed cost every fixed cost fits"


def test_explain_answers_by_the_nickname(cli_json: Callable[..., Any]) -> None:
    got = cli_json("explain", "profitable-at-40", "--draws", "300")
    assert [r["id"] for r in got["readings"]] == ["product-line", "foundry-per-good-die", "billing",
                                                  "blind-unit-cost", "screened-unit-cost"]


def test_all_vendors_make_more_than_the_leading_one(given: Given) -> None:
    run = line.run(given, MONTHS)
    made = vendor_output(given, run)
    assert made.shape == run.packages.shape[1:]
    assert np.all(made > run.packages.sum(axis=0))
    month = run.months.index(f"{given.as_of:%Y-%m}")
    others = made[month] - run.packages[:, month].sum(axis=0)
    assert others == pytest.approx(given["domestic_other.cards_per_quarter"] / 3)
