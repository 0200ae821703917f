"""Speed of the market: 10,000 draws/s on two warm workers at 60 months x 6 buyers x 10 chips, 5,000 with inputs drawn.

The market trades seven chips; ten are those and three more foreign ones, alike in all but name to the leading card.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from chipcast.base.calendar import month_index, month_name
from chipcast.base.given import Given
from chipcast.market import simulate as month_by_month
from chipcast.market import supply
from chipcast.market import world as before_the_months
from chipcast.market.record import CHIPS, LEADING
from chipcast.market.simulate import simulate
from chipcast.scenario import load, resolve

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from market_world import line_of, service_of, verdicts_of

FIGURES = ("h20-96", "h800-sxm", "h100-sxm", "ascend-910b2", "ascend-910b3", "ascend-910b4", "ascend-910c")
"""Chips whose figures a market reads."""

MONTHS = 60
DRAWS = 1000
MORE = ("foreign-a", "foreign-b", "foreign-c")
"""Chips that make ten of seven."""

CARDS_OF = supply.cards_of


def inputs(start: int = 0) -> tuple[Given, Any, Any, Any, tuple[str, ...]]:
    """Return what one block of draws of the market is run on."""
    given = resolve(load("february-2025", until="2030-01"), draws=start + DRAWS, seed=1, chips=FIGURES)
    rows = [replace(given.row(f"{LEADING}.supply_cards_per_quarter"), name=f"{c}.supply_cards_per_quarter")
            for c in MORE]
    given = given.with_rows(rows).block(start, start + DRAWS)
    first = month_index(given.as_of)
    months = tuple(month_name(first + i) for i in range(MONTHS))
    return given, line_of(given, months), verdicts_of(months), service_of(given), months


def with_more(given: Given, service: Any, chips: Sequence[str]) -> supply.Cards:
    """Return the cards of a market in which the leading one has copies by other names."""
    known = CARDS_OF(given, service, [c for c in chips if c not in MORE])
    names = [c for c in chips if c not in MORE]
    rows = [names.index(LEADING if c in MORE else c) for c in chips]
    return supply.Cards(**{f.name: getattr(known, f.name)[rows] for f in fields(known)})


@pytest.fixture(params=[7, 10], ids=["7-chips", "10-chips"])
def chips(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    if request.param == 10:
        monkeypatch.setattr(month_by_month, "CHIPS", (*CHIPS, *MORE))
        monkeypatch.setattr(before_the_months, "ARRANGED", (*MORE, *before_the_months.ARRANGED))
        monkeypatch.setattr(supply, "cards_of", with_more)
    return int(request.param)


@pytest.fixture(scope="module")
def block() -> tuple[Given, Any, Any, Any, tuple[str, ...]]:
    return inputs()


def test_block_of_1000_draws(benchmark: Any, block: Any, chips: int) -> None:
    given, line, verdicts, service, months = block
    market = simulate(given, line, verdicts, service, months=months)  # inputs drawn once
    assert market.orders.shape == (6, chips, MONTHS, DRAWS)
    assert max(market.books.values()) < 1e-9
    benchmark.extra_info["draws"] = DRAWS
    benchmark(simulate, given, line, verdicts, service, months=months)


def test_block_of_1000_draws_with_its_inputs_drawn(benchmark: Any, block: Any, chips: int) -> None:
    given, line, verdicts, service, months = block
    benchmark.extra_info["draws"] = DRAWS
    benchmark(lambda: simulate(replace(given, _values={}), line, verdicts, service, months=months))


def work(start: int, ten: bool, go: Any, done: Any, blocks: int) -> None:
    """Stand by with warm inputs in a process of its own; run some blocks when told, and say when done."""
    if ten:
        month_by_month.CHIPS = (*CHIPS, *MORE)
        before_the_months.ARRANGED = (*MORE, *before_the_months.ARRANGED)
        supply.cards_of = with_more
    given, line, verdicts, service, months = inputs(start)
    simulate(given, line, verdicts, service, months=months)
    done.put(0.0)
    go.wait()
    for _ in range(blocks):
        simulate(given, line, verdicts, service, months=months)
    done.put(1.0)


@pytest.fixture
def pool(chips: int) -> Iterator[tuple[Any, Any]]:
    context = multiprocessing.get_context("spawn")
    go, done = context.Event(), context.Queue()
    crew = [context.Process(target=work, args=(i * DRAWS, chips == 10, go, done, 5)) for i in range(2)]
    for worker in crew:
        worker.start()
    for _ in crew:
        done.get()
    yield go, done
    for worker in crew:
        worker.join()


def test_ten_blocks_on_two_warm_workers(benchmark: Any, pool: tuple[Any, Any]) -> None:
    go, done = pool
    benchmark.extra_info["draws"] = 10 * DRAWS

    def run() -> float:
        began = time.perf_counter()
        go.set()
        done.get(), done.get()
        return time.perf_counter() - began

    assert benchmark.pedantic(run, rounds=1) > 0


def test_what_if_of_2000_draws_over_the_shipped_horizon(benchmark: Any) -> None:
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


def test_calibration_of_the_past(benchmark: Any) -> None:
    from datetime import date

    from chipcast.evidence.market_fit import fit

    benchmark(fit, date(2025, 2, 25))
