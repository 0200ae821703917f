"""The main job: what `chipcast run` spends its time on. Targets: run 15 s; conditioning 3 s, plan 3 s, report 3 s."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chipcast import chain, story
from chipcast.report import page
from chipcast.scenario import load


@pytest.fixture(scope="module")
def small() -> story.Run:
    return story.run("february-2025", draws=1000, seed=1)


def test_help_in_a_new_process(benchmark: Any) -> None:
    benchmark.pedantic(lambda: subprocess.run([sys.executable, "-m", "chipcast", "--help"], check=True,
                                              capture_output=True), rounds=3)


def test_condition_ten_thousand_draws(benchmark: Any) -> None:
    scenario = load("february-2025")
    benchmark.pedantic(lambda: chain.prepare(scenario, draws=10_000, seed=1), rounds=1)


def test_trade_two_thousand_draws(benchmark: Any) -> None:
    ready = chain.prepare("february-2025", draws=2000, seed=1, prior=True)
    benchmark.pedantic(lambda: chain.trade(ready.setting, ready.given), rounds=2)


def test_plan(benchmark: Any, small: story.Run) -> None:
    benchmark.pedantic(lambda: chain.decide(small.ready, small.world.market), rounds=2)


def test_render_the_report(benchmark: Any, small: story.Run) -> None:
    told = story.tell(small)
    benchmark.pedantic(lambda: page.render(told), rounds=2)


def test_run_in_a_new_process(benchmark: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chipcast", "run", "--draws", "10000", "--json"]
    benchmark.pedantic(lambda: subprocess.run(command, check=True, capture_output=True, cwd=tmp_path), rounds=1)
