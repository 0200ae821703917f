"""Whose budget decides whether small firms can join: a small buyer's, never that of a platform."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from chipcast import scenario
from chipcast.chain import Ready
from chipcast.evidence import claims
from chipcast.news import small_budget

ROW: dict[str, str] = {}


def _ready(name: str) -> tuple[Ready, Any]:
    story = scenario.load(name)
    given = scenario.resolve(story, draws=300, seed=1)
    return cast(Ready, SimpleNamespace(setting=SimpleNamespace(scenario=story))), given


@pytest.mark.parametrize(("name", "whose"), [
    ("hospital-group", "this run's buyer"), ("platform", "a small firm, clinic or school"),
    ("research-centre", "a small firm, clinic or school")])
def test_a_large_buyers_money_says_nothing_of_clinics(name: str, whose: str) -> None:
    budget, of = small_budget(*_ready(name))
    assert of == whose and np.isfinite(budget).all()
    assert (np.median(budget) < 1e6) == (whose != "this run's buyer")


def test_a_small_buyers_yuan_are_dollars_of_the_date(tmp_path: Path) -> None:
    file = tmp_path / "clinic.yaml"
    file.write_text("name: clinic\nbase: hospital-group\nbuyer: {name: a clinic, segment: clinic_school, country: CN, "
                    "model: deepseek-r1, demand: {concurrent_users: 40, tokens_per_user_day: 40k}, "
                    "promise: {ttft_s: 2, tpot_ms: 50}, budget_cny: 3M}\n")
    ready, given = _ready(str(file))
    budget, of = small_budget(ready, given)
    assert of == "this run's buyer"
    np.testing.assert_allclose(budget, 3e6 / given["ownership.cny_per_usd"])


def test_the_claim_turns_with_the_budget_and_not_with_its_name() -> None:
    cost = np.linspace(150e3, 250e3, 1001)
    ground = cast(claims.Ground, SimpleNamespace(deployment_usd=cost, deployment="8 x H20", budget_of="a clinic",
                                                 budget_usd=np.full(1001, 1e6)))
    assert claims.small_firms(ground, ROW)[0].word == "supported"
    poor = cast(claims.Ground, SimpleNamespace(**{**vars(ground), "budget_usd": np.full(1001, 1e5)}))
    assert claims.small_firms(poor, ROW)[0].word == "contradicted"
    wide = np.linspace(600e3, 100e3, 1001)
    unsure = cast(claims.Ground, SimpleNamespace(**{**vars(ground), "budget_usd": wide}))
    assert claims.small_firms(unsure, ROW)[0].word == "not identified"
