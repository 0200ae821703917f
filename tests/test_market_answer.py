"""The other side's answer to a relaxation: what is open about it by date, and what the gates make of that."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from market_world import CHIPS, verdicts_of

from chipcast.base.calendar import month_range
from chipcast.base.catalog import Catalogue, read_table
from chipcast.base.given import Given
from chipcast.market import doors, gates, legal
from chipcast.market.gates import Event
from chipcast.scenario import load, resolve

CARDS, FOREIGN = ("h20-96",), np.array([1.0])


@pytest.mark.parametrize(("on", "bites", "days"), [
    ("2025-02-25", False, 0), ("2025-07-20", False, 54), ("2025-08-12", False, 59), ("2025-08-27", True, 0),
    ("2025-11-30", False, 0), ("2025-12-31", False, 37)])
def test_what_is_open_about_the_answer_by_date(on: str, bites: bool, days: float) -> None:
    """Relaxations of 14 July, 11 August and 8 December 2025; the answer of 16 August was still unproven that month."""
    assert doors.answer_open(Catalogue(date.fromisoformat(on))) == (bites, days)


def world(as_of: str) -> tuple[Given, tuple[str, ...]]:
    story = load("february-2025", as_of=as_of)
    return resolve(story, draws=4000, seed=3), month_range(as_of[:7], "2026-03")


def door(as_of: str, **more: object) -> tuple[Given, np.ndarray]:  # type: ignore[type-arg]
    given, months = world(as_of)
    far = np.full((1, given.draws), 50.0)
    paths = gates.two_key(given, CARDS, months, far, FOREIGN, **more)  # type: ignore[arg-type]
    return given, np.asarray(paths.cn[0])


def test_an_answer_that_no_filing_has_shown_is_a_full_stop_with_its_chance() -> None:
    given, cn = door("2025-08-27")
    chance = given["cn_gate.counter_block_probability"].mean()
    assert 0.2 < chance < 0.6
    assert abs(np.mean(cn[0] == 0) - chance) < 3 * np.sqrt(chance * (1 - chance) / given.draws) + 0.002
    assert np.all(door("2025-08-27", threat=False)[1] == 1), "without any threat nothing is feared and nothing shuts"
    assert np.mean(door("2025-02-25")[1][0] == 0) == 0, "no relaxation was known in February"


def test_an_answer_to_come_comes_inside_its_window() -> None:
    """From 20 July 54 of 60 days were left: the extra stops fall in July to September, in no later month."""
    given, cn = door("2025-07-20")
    rate = given["cn_gate.closing_hazard_per_month"].mean()
    stopped = np.array([np.mean(month < 1) for month in cn])
    chance = given["cn_gate.counter_block_probability"].mean() * 54 / 60
    assert stopped[2] == pytest.approx(chance, abs=3 * np.sqrt(chance / given.draws) + 4 * rate)
    assert stopped[0] < stopped[1] < stopped[2]
    assert abs(stopped[3] - stopped[2]) < 0.05


def test_events_override_the_answer() -> None:
    _, cn = door("2025-08-27", events=(Event(on=date(2025, 8, 27), gate="cn", chip="h20-96", to="open"),))
    assert np.all(cn[1:] == 1)


def test_a_new_rule_does_not_reach_every_lesser_card(given: Given) -> None:
    """Of the two rules known in February 2025 that of 2022 left lesser cards alone and that of 2023 caught some."""
    slack = legal.slack_of(given, verdicts_of(("2025-02",)), (*CHIPS[:1], "nvidia_other"))
    reach = given.row("us_gate.reach_ln").law.at(given.shock("test:reach"))
    assert np.all(slack[0] == 0.05)
    assert 0.4 < np.mean(slack[1] < reach) < 0.9


def test_a_chinese_stop_reaches_the_parts_it_names_and_no_lesser_card() -> None:
    """Every stop in the record names parts: the leading card of 2025, and the ones that followed it."""
    given, months = world("2025-08-27")
    cards = ("h20-96", "nvidia_other", "nvidia_next")
    paths = gates.two_key(given, cards, months, np.full((3, given.draws), 50.0), np.ones(3))
    assert np.array_equal(paths.cn[0], paths.cn[2]) and paths.cn[0].min() == 0
    assert np.all(paths.cn[1] == 1)
    named = {p for r in read_table("rules") if r["gate"] == "cn" and r["subject"] == "chip" for p in r["parts"].split()}
    assert named == {"h20-96", "h20-141", "rtx-pro-6000d", "h200-sxm"}, "no row names the usual lesser boards"


def test_a_closing_spares_the_parts_of_a_kind_that_lie_beyond_its_reach() -> None:
    """Each cut-off of the record left some cards on sale; the fit of the past says a tenth to a half of the value."""
    given, months = world("2025-02-25")
    cards = ("h20-96", "nvidia_other")
    near = np.stack([np.full(given.draws, 50.0), np.full(given.draws, 1e-9)])
    paths = gates.two_key(given, cards, months, near, np.ones(2))
    lead, kind = paths.us[:, -1]
    shut, wide = lead == 0, lead == 1
    assert 0.3 < shut.mean() < 0.95 and np.all(kind[wide] == 1)
    assert np.all((kind[shut] >= 0) & (kind[shut] <= 1)) and np.mean(kind[shut] == 0) < 0.1
    law = given.row("nvidia_other.slack_ln").law
    by_hand = np.mean([np.mean(law.at(given.shock("test:kind")) > r)
                       for r in given.row("us_gate.reach_ln").law.at((np.arange(200) + 0.5) / 200)])
    assert kind[shut].mean() == pytest.approx(by_hand, abs=0.05)
