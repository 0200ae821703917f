"""Speed of the fab: exact counts 1 ms, laws 150 M/s, maps 500,000 and 50,000 wafers/s, the line 0.2 s."""

from __future__ import annotations

import numpy as np
import pytest

from chipcast.base.calendar import month_range
from chipcast.fab import line
from chipcast.fab.defects import negative_binomial
from chipcast.fab.harvest import at_least_each
from chipcast.fab.maps import CLUSTERS, wafer_yields
from chipcast.fab.spatial import thomas_yield
from chipcast.fab.wafer import Wafer, best_phase, phase_of, place
from chipcast.scenario import load, resolve

SIDES = {665: 25.8, 107: 10.344, 25: 5.0}


@pytest.mark.parametrize("area", SIDES)
def test_exact_best_phase(benchmark, area):
    wafer = Wafer(die_width_mm=SIDES[area], die_height_mm=SIDES[area])
    assert benchmark(best_phase.__wrapped__, wafer)[0] > 0


def test_negative_binomial_per_million(benchmark):
    means = np.linspace(0.1, 5, 4096)
    benchmark(lambda: [negative_binomial(means, 2.0) for _ in range(244)])  # a million evaluations


def test_harvest_of_three_bins_360_000_times(benchmark):
    mean, alpha = np.linspace(0.01, 0.1, 360_000).reshape(36, 10_000), np.linspace(0.5, 5, 10_000)
    benchmark(at_least_each, 25, (25, 24, 20), mean, 8 * mean, alpha)


@pytest.mark.parametrize("clusters", CLUSTERS)
def test_100_000_wafers(benchmark, clusters):
    wafer = Wafer(die_width_mm=25.8, die_height_mm=25.8)
    placed = place(wafer, phase_of(wafer, "best"))
    wafers = 100_000 if clusters != "thomas" else 20_000
    benchmark.pedantic(wafer_yields, (placed, 0.16, CLUSTERS[clusters](2.0)), {"wafers": wafers}, rounds=3)


def test_closed_form_of_round_clusters(benchmark):
    benchmark(thomas_yield, 25.8, 25.8, 0.16, children=5, sigma_mm=6)


@pytest.mark.parametrize("years", [1, 3, 5])
def test_line_of_10_000_draws(benchmark, years):
    given = resolve(load("february-2025", until="2030-12"), draws=10_000)
    months = month_range("2025-01", f"{2024 + years}-12")
    line.run(given, months)
    benchmark.pedantic(line.run, (given, months), rounds=3)
