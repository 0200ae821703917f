"""Speed of the cluster station: exact road, events, models of a log, collectives by plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chipcast.base.given import Given
from chipcast.base.traces import read_json
from chipcast.cluster import dependence
from chipcast.cluster.case import keep
from chipcast.cluster.collectives import quick_all_reduce
from chipcast.cluster.goodput import case_of, fleet
from chipcast.cluster.log import pair_events
from chipcast.cluster.network import all_reduce, levels
from chipcast.cluster.options import read_options, with_options
from chipcast.cluster.simulate import simulate
from chipcast.scenario import load, resolve

CHIPS = ("h20-96", "h800-sxm", "h100-sxm", "ascend-910b2", "ascend-910c")


@pytest.fixture(scope="module")
def world() -> Given:
    return resolve(load("february-2025"), draws=10_000, seed=1, chips=CHIPS)


def test_fleet_of_5_chips_at_5_sizes(benchmark: Any, world: Given) -> None:
    """Target: well under 0.5 s for 10,000 draws."""
    benchmark(fleet, world, CHIPS)


def test_54_days_on_16384_chips_memoryless(benchmark: Any, world: Given) -> None:
    """Target: 2,000 runs/s; here 2,000 runs a round: no repair, no slow members, no silent errors, one level."""
    case = replace(case_of(world, "h100-sxm", slow=False, spares=False), repair_h=0.0, silent_latency_s=0.0)
    simulate(case, 16_384, days=1, runs=2, spare_chips=0)
    benchmark(simulate, case, 16_384, days=54, runs=2000, spare_chips=0)


def test_54_days_with_every_policy(benchmark: Any, world: Given) -> None:
    """Near copies, background writing, shrinking, lemons put out, domains: 500 runs a round."""
    every = read_options("near,background,shrink,evict,domains,job-software")
    few = world.block(0, 1000)
    case = with_options(few, case_of(few, "h100-sxm"), every, days=54)
    simulate(case, 16_384, days=1, runs=2, spare_chips=1024)
    benchmark(simulate, case, 16_384, days=54, runs=500, spare_chips=1024)


def test_fleet_with_every_policy(benchmark: Any, world: Given) -> None:
    """The exact road with all policies, one chip at five sizes, 10,000 draws."""
    every = read_options("near,background,shrink,evict,job-software")
    case = with_options(world, case_of(world, "ascend-910c"), every, days=54)
    benchmark(keep, case, (1024, 2048, 4096, 8192, 16_384))


def test_a_million_all_reduces(benchmark: Any) -> None:
    """The quick form that searches may call: target a million a second."""
    ranks = np.resize([1.0, 2.0, 8.0, 64.0, 1024.0], 1_000_000)
    size = np.resize(np.geomspace(1e3, 1e9, 1000), 1_000_000)
    benchmark(quick_all_reduce, ranks, size, 8.0, (2e-6, 2e11), (1e-5, 5e10))


def test_54_days_on_16384_chips_with_full_state(benchmark: Any, world: Given) -> None:
    """Target: 500 runs/s; here 500 runs a round."""
    case = case_of(world, "h100-sxm")
    simulate(case, 16_384, days=1, runs=2, spare_chips=1024)
    benchmark(simulate, case, 16_384, days=54, runs=500, spare_chips=1024)


def test_histories_of_400_nodes_over_348_days(benchmark: Any) -> None:
    trace = pair_events(read_json("stepfun_infinitehbd_fault_trace"), nodes=400, days=348)
    known = dependence.habits(trace)
    benchmark(dependence.down_quantile, known, "batches+epochs+crews", 0.99, runs=400)


def test_all_reduce_of_200_plans_by_1000_draws(benchmark: Any, world: Given) -> None:
    fabric = levels(world.block(0, 1000), "ascend-910b2")
    ranks = np.resize([1, 2, 4, 8, 16, 64], 200)[:, None]
    benchmark(all_reduce, fabric, ranks, np.geomspace(1e3, 1e9, 200)[:, None])
