"""Speed of the market: 10,000 draws/s at 60 months x 6 buyers x 10 chips; a calibration; a warm what-if."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chipcast.base.calendar import month_index, month_name
from chipcast.market.simulate import simulate
from chipcast.scenario import load, resolve

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from market_world import line_of, service_of, verdicts_of

FIGURES = ("h20-96", "h800-sxm", "h100-sxm", "ascend-910b2", "ascend-910b3", "ascend-910b4", "ascend-910c")
"""Cells of the target and of the market as it is: time is proportional to months x chips."""
MONTHS = 60


@pytest.fixture(scope="module")
def world():
    given = resolve(load("february-2025", until="2030-01"), draws=1000, seed=1, chips=FIGURES)
    start = month_index(given.as_of)
    months = tuple(month_name(start + i) for i in range(MONTHS))
    return given, months, line_of(given, months), verdicts_of(months), service_of(given)


def test_market_block_of_1000_draws_60_months_6_buyers_7_chips(benchmark, world) -> None:
    given, months, line, verdicts, service = world
    simulate(given, line, verdicts, service, months=months)  # inputs drawn once
    benchmark.extra_info["draws"] = given.draws
    benchmark(simulate, given, line, verdicts, service, months=months)


def test_market_block_with_its_inputs_drawn(benchmark, world) -> None:
    given, months, line, verdicts, service = world

    def fresh() -> None:
        simulate(replace(given, _values={}), line, verdicts, service, months=months)

    benchmark(fresh)


def test_what_if_of_2000_draws_over_the_shipped_horizon(benchmark) -> None:
    given = resolve(load("february-2025"), draws=2000, seed=1, chips=FIGURES)
    start = month_index(given.as_of)
    months = tuple(month_name(start + i) for i in range(35))
    blocks = [given.block(0, 1000), given.block(1000, 2000)]
    inputs = [(b, line_of(b, months), verdicts_of(months), service_of(b)) for b in blocks]

    def answer() -> None:
        for b, line, verdicts, service in inputs:
            simulate(b, line, verdicts, service, months=months, threat=False)

    answer()
    benchmark(answer)


def test_calibration_of_the_past(benchmark) -> None:
    from datetime import date

    from chipcast.evidence.market_fit import fit

    benchmark(fit, date(2025, 2, 25))
