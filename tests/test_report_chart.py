"""Pictures are true to the draws and valid Vega-Lite; their findings are computed, not written."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest
import report_story

from chipcast.report import (
    chart,
    chart_compute,
    chart_cost,
    chart_evidence,
    chart_line,
    chart_market,
    chart_plan,
    chart_profit,
    chart_rules,
    chart_step,
    chart_value,
    chart_wafer,
    chart_yield,
    driver,
    form,
    form_time,
    theme,
)
from chipcast.report.record import Story


@pytest.fixture(scope="module")
def story() -> Story:
    return report_story.story()


@pytest.mark.parametrize("name", chart.PICTURES)
def test_every_picture_is_valid_for_altair_and_small(name: str, story: Story) -> None:
    pytest.importorskip("altair")
    picture = chart.PICTURES[name](story)
    assert picture is not None and picture.id == name
    chart.altair_chart(picture)
    assert len(json.dumps([p.spec for p in picture.panels])) < 160_000
    assert picture.title and picture.note and picture.rows
    for panel in picture.panels:
        assert panel.svg.startswith("<svg ") or panel.spec["width"] == "container"


@pytest.mark.parametrize("name", chart.PICTURES)
def test_a_picture_is_none_without_its_part(name: str) -> None:
    assert chart.PICTURES[name](Story(scenario="x", as_of="2025-02-25", draws=100, seed=1)) is None


def texts(spec: object) -> list[str]:
    """All axis titles of a spec."""
    if isinstance(spec, dict):
        own = [spec["axis"]["title"]] if isinstance(spec.get("axis"), dict) and spec["axis"].get("title") else []
        return own + [t for v in spec.values() for t in texts(v)]
    if isinstance(spec, list):
        return [t for v in spec for t in texts(v)]
    return []


@pytest.mark.parametrize("name", ["output", "routes", "serving", "goodput", "threat", "push", "yield-readings"])
def test_axes_of_intervals_name_their_percentiles(name: str, story: Story) -> None:
    picture = chart.PICTURES[name](story)
    assert picture is not None
    spread = [p for p in picture.panels if '"low"' in json.dumps(p.spec)]
    assert spread
    for panel in spread:
        assert any("percentile" in t for t in texts(panel.spec)), panel.title


def test_five_are_the_percentiles_of_the_draws() -> None:
    values = np.arange(1001.0)
    assert form.five(values) == {"low": 50, "q25": 250, "mid": 500, "q75": 750, "high": 950}
    assert form.five(np.array([np.nan, 3.0])) == dict.fromkeys(form.KEYS, 3.0)
    assert form.five(np.array([np.nan])) == {}


def test_whole_quarters_only_and_their_sums() -> None:
    months = ("2025-02", "2025-03", "2025-04", "2025-05", "2025-06", "2025-07")
    quarters, sums = form_time.by_quarter(months, np.arange(6.0)[:, None] * np.ones((6, 3)))
    assert quarters == ["2025Q2"]
    assert sums.tolist() == [[9.0, 9.0, 9.0]]


def test_break_even_is_where_the_line_crosses_zero() -> None:
    assert chart_cost.crossing([0.2, 0.4], [-1.0, 1.0]) == pytest.approx(0.3)
    assert chart_cost.crossing([0.2, 0.4], [1.0, 2.0]) is None


def test_waterfall_steps_join_and_end_at_their_sum(story: Story) -> None:
    assert story.line is not None
    picture = chart_cost.cost(story.line, story.waterfall)
    steps = [r for r in picture.rows if r.get("tone") == "step"]
    for a, b in itertools.pairwise(steps):
        assert a["end"] == b["start"]
    total = next(r for r in picture.rows if r.get("step") == "sum of the steps")
    assert total["end"] == steps[-1]["end"]


def test_rank_correlation_is_spearmans() -> None:
    x = np.array([1.0, 2, 3, 4, 5])
    assert driver.rank_correlation(x, np.exp(x)) == pytest.approx(1)
    assert driver.rank_correlation(x, -(x**3)) == pytest.approx(-1)
    assert driver.rank_correlation(x, np.array([2.0, 1, 4, 3, 5])) == pytest.approx(1 - 6 * 4 / (5 * 24))
    assert driver.rank_correlation(x, np.ones(5)) == 0


def test_profit_that_hangs_on_price_alone_is_told_so(story: Story) -> None:
    assert story.line is not None
    price = story.line.price_usd[1] - np.median(story.line.price_usd[1])
    line = dataclasses.replace(story.line, profit_usd=np.broadcast_to(price, story.line.profit_usd.shape))
    assert "Profit hangs most on the price of a 910C (rank correlation +1.00)" in chart_profit.break_even(line).title


def test_names_of_the_plane_do_not_cover_each_other() -> None:
    dots = [{"chip": f"chip {i}", "tpp": 1000.0 * 1.02**i, "pd": 5.0 * 1.05 ** (i % 3)} for i in range(6)]
    edge = {"left": 500.0, "right": 20000.0, "bottom": 1.0, "top": 30.0}
    places = chart_rules.label_places([*dots, {**dots[0], "chip": "twin"}], edge)
    labels = [label["chip"] for part in places.values() for label in part]
    assert sorted(labels) == ["chip 0, twin", *(f"chip {i}" for i in range(1, 6))]
    assert len(places) >= 2, "crowded names move to other sides"


def test_the_finding_on_the_plan_follows_the_draws(story: Story) -> None:
    assert story.line is not None and story.given is not None
    low = chart_line.output(story.line, story.given)
    high = chart_line.output(dataclasses.replace(story.line, packages=story.line.packages * 100), story.given)
    assert "100% of the draws reach the plan of 400,000" in high.title
    assert "100% of the draws" not in low.title


def test_the_plan_comes_from_the_reports_known_by_the_date(story: Story) -> None:
    assert story.given is not None
    plan = chart_line.plan_of(story.given, "2025")
    assert {k: v for k, (v, _) in plan.items()} == {"ascend-910b": 300_000, "ascend-910c": 100_000}
    assert all(s in story.sources for _, s in plan.values())


def test_readings_are_ordered_as_their_definitions_are(story: Story) -> None:
    assert story.line is not None
    y = chart_yield.yield_by_reading(story.line)
    assert np.all(y["blind"] <= y["through"]) and np.all(y["through"] <= y["die.any"])
    assert np.all(y["die.perfect"] <= y["die.any"])


def test_the_zones_of_the_plane_are_those_of_the_rule_texts(story: Story) -> None:
    assert story.given is not None
    zones = chart_rules.zones(story.given)
    corners = {(z["zone"].partition(":")[0], z["tpp"], z["pd"]) for z in zones}
    assert corners == {
        ("3A090.a", 4800.0, 0.0),
        ("3A090.a", 1600.0, 5.92),
        ("3A090.b", 2400.0, 1.6),
        ("3A090.b", 1600.0, 3.2),
    }


def test_the_threat_is_told_as_a_paired_difference(story: Story) -> None:
    assert story.market is not None
    same = chart_market.threat(story.market, story.market)
    assert "by 0 (0 to 0)" in same.title and "in 0% of the draws and lowers them in 0%" in same.title
    more = chart_market.threat(story.market, story.market_without_threat)
    assert "in 100% of the draws and lowers them in 0%" in more.title


def test_cards_of_a_flow_are_all_cards_of_these_chips(story: Story) -> None:
    m = story.market
    assert m is not None
    away = chart_market.foreign(m)
    home = [i for i in range(len(m.chips)) if i not in away]
    both = chart_market.flow(m, "orders", away) + chart_market.flow(m, "orders", home)
    assert np.allclose(both, m.orders.sum(axis=(0, 1), dtype=float), rtol=1e-6)


def test_the_ladder_is_sorted_and_holds_all_rungs(story: Story) -> None:
    assert story.plan is not None
    rows = chart_value.rival_rows(story.plan)
    costs = [r["mean"] for r in rows]
    assert costs == sorted(costs) and len(rows) == 1 + len(story.plan.rivals)
    assert [r["plan"] for r in chart_value.value_rows(story.plan)] == [
        "if all were known",
        "this plan",
        "plan for the average",
    ]


def test_colours_differ_within_a_picture_and_users_chips_get_their_own() -> None:
    chips = [*theme.CHIP_NAMES, "my-npu", "your-npu"]
    tones = theme.chip_colours(chips)
    assert tones["my-npu"] != tones["your-npu"]
    for table in (theme.STATUS_COLOURS, theme.VERDICT_COLOURS, theme.LIMIT_COLOURS, theme.PART_COLOURS):
        assert len(set(table.values())) == len(table)


def test_log_scales_hold_the_data_and_have_ticks() -> None:
    for low, high in ((0.02, 0.9), (3, 4), (1, 1e6), (250, 2500)):
        scale, ticks = form.log_scale(low, high)
        a, b = scale["domain"]
        assert a <= low and high <= b
        assert len(ticks) >= 2 and all(a <= t <= b for t in ticks)


def test_what_must_hold_names_the_cause_that_was_built_in(story: Story) -> None:
    assert story.line is not None and story.given is not None
    slots = story.given["package_line.capacity_per_month"]
    line = dataclasses.replace(
        story.line, packages=np.broadcast_to(4e5 / 24 * slots / np.median(slots), story.line.packages.shape)
    )
    picture = chart_evidence.must_hold(line, story.given)
    assert picture is not None
    first = picture.rows[0]
    assert "capacity" in first["name"] and first["shift_sd"] > 0.5
    nothing = dataclasses.replace(story.line, packages=np.full_like(story.line.packages, 1e9))
    assert chart_evidence.must_hold(nothing, story.given) is None, "where every draw reaches it nothing must hold"


def test_pictures_of_wafers_are_members_of_the_sample(story: Story) -> None:
    assert story.given is not None
    picture = chart_wafer.wafers(story.given)
    count = {r["what"]: r["sellable_dies"] for r in picture.rows}
    for panel, what in zip(picture.panels, ("typical", "poor"), strict=False):
        assert f"{count[what]} of " in panel.svg
    assert sum(r["wafers"] for r in picture.rows) == chart_wafer.WAFERS
    assert count["poor"] < count["typical"]


def test_cover_rises_with_fear_and_with_the_cost_of_missing(story: Story) -> None:
    assert story.given is not None
    rows = chart_market.hoard(story.given).rows
    by = {n: [r["mid"] for r in rows if r["missing"] == n] for n in dict.fromkeys(r["missing"] for r in rows)}
    low, mid, high = by.values()
    assert low == sorted(low) and all(a <= b <= c for a, b, c in zip(low, mid, high, strict=True))


def test_a_plan_that_never_or_always_fails_has_no_failure_picture(story: Story) -> None:
    assert story.plan is not None
    for fails in ([False] * 60, [True] * 60):
        detail = {**story.plan.detail, "failures": {**story.plan.detail["failures"], "fails": fails}}
        assert chart_plan.failures(dataclasses.replace(story.plan, detail=detail)) is None


def test_the_parts_of_a_decode_step_add_up_and_stay_under_the_time_per_token() -> None:
    from chipcast.chain import serve_news

    table = report_story.given(100)
    real = serve_news(table)
    for i in chart_compute.able(real):
        parts = chart_step.one_step(real, table, i).parts()
        assert all(v >= 0 for v in parts.values())
        assert 0 < sum(parts.values()) <= float(np.median(real.tpot_ms[i])) * 1.02
        assert max(parts, key=lambda k: parts[k]) == real.bound_by[i], "as the station itself says"


def test_a_chip_that_may_not_be_bought_is_told_so(story: Story) -> None:
    assert story.service is not None
    barred = [{"chip": "h800-sxm", "status": "denied"}]
    picture = chart_compute.serving(story.service, barred)
    assert "H800 serves" in picture.title and "closed to buyers in China (denied)" in picture.title
    assert "H800\n(denied)" in {r["chip"] for r in picture.rows}
    assert "closed" not in chart_compute.serving(story.service).title
