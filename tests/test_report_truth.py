"""Pictures of rules, large machines, scores and plans: each is held against an independent road or a built-in cause."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import date

import numpy as np
import pytest
import report_story

from chipcast.base.catalog import Catalogue, read_table
from chipcast.base.errors import InputError
from chipcast.cluster.case import keep
from chipcast.cluster.goodput import case_of
from chipcast.plan.record import Order
from chipcast.report import (
    answers,
    chart_area,
    chart_atlas,
    chart_clinic,
    chart_cluster,
    chart_compute,
    chart_fixes,
    chart_line,
    chart_plan,
    chart_profit,
    chart_push,
    chart_rules,
    chart_score,
    chart_step,
    chart_value,
    form_plane,
    form_rows,
    section,
    table,
)
from chipcast.report.record import Story
from chipcast.report.theme import STATUS_NAMES
from chipcast.rules.check import ask_for, verdict


@pytest.fixture(scope="module")
def story() -> Story:
    return report_story.story()


def test_the_map_says_what_the_rules_say_pair_by_pair(story: Story) -> None:
    assert story.verdicts is not None and story.given is not None
    catalog = story.given.catalog
    picture = chart_atlas.world(story.verdicts, catalog)
    ids = {chart_atlas.chip_name(c): c for c in story.verdicts.chips}
    for row in picture.rows[::7]:
        ask = ask_for(catalog, ids[row["chip"]], date.fromisoformat(row["day"]), to=row["destination"])
        assert row["status"] == STATUS_NAMES[verdict(catalog, ask).status]
    days = list(dict.fromkeys(r["day"] for r in picture.rows))
    assert len(picture.panels) == len(days) and days == sorted(days) and days[-1] <= str(catalog.as_of)


def test_the_gates_of_a_chip_follow_each_other_without_a_gap(story: Story) -> None:
    assert story.verdicts is not None and story.given is not None
    picture = chart_atlas.gates(story.verdicts, story.given.catalog)
    assert picture is not None
    for gate in dict.fromkeys(r["gate"] for r in picture.rows):
        own = [r for r in picture.rows if r["gate"] == gate]
        assert all(a["end"] == b["begin"] for a, b in itertools.pairwise(own))
    last = next(r for r in reversed(picture.rows) if r["gate"] == "H800: US gate")
    assert last["status"] == "denied" and "3A090A" in last["rule"]


def test_older_lines_are_those_of_the_rule_texts(story: Story) -> None:
    assert story.given is not None
    lines = {r["rule"]: (r["tpp"], r["since"]) for r in chart_rules.older_lines(story.given)}
    texts = {r["rule_id"]: r for r in story.given.catalog.rows("rules")}
    assert lines
    for rule, (tpp, since) in lines.items():
        assert f"tpp >= {tpp:.0f}" in texts[rule]["test"] and since == texts[rule]["effective"]


def test_chips_of_a_users_own_are_left_off_the_maps(story: Story) -> None:
    assert story.verdicts is not None and story.given is not None
    v = dataclasses.replace(story.verdicts, chips=(*story.verdicts.chips[:-1], "my-npu"))
    assert "my-npu" not in chart_atlas.listed(v, story.given.catalog)
    chart_atlas.world(v, story.given.catalog)


def test_spares_of_the_picture_are_what_the_exact_road_keeps(story: Story) -> None:
    assert story.fleet is not None and story.given is not None
    picture = chart_cluster.spares(story.fleet, story.given)
    chip = chart_cluster.shown_chips(story.fleet)[0]
    server = round(story.given.middle("cluster.chips_per_server"))
    kept = keep(case_of(story.given, chip), (chart_cluster.SHOWN_SIZE,), spare_chips=16.0 * server)
    row = next(r for r in picture.rows if r["servers"] == 16 and "useful" in r["what"])
    assert row["mid"] == pytest.approx(float(np.median(kept.goodput[0])), rel=1e-3)
    ready = [r["mid"] for r in picture.rows if r["what"] == "time with enough nodes" and r["chip"] == row["chip"]]
    assert ready == sorted(ready), "more spares never leave a job waiting longer"


def test_a_timeline_fills_its_days_and_the_bad_run_is_worse(story: Story) -> None:
    pytest.importorskip("numba")
    assert story.fleet is not None and story.given is not None
    picture = chart_cluster.timeline(story.fleet, story.given)
    spent = {}
    for run in ("a typical run", "a bad run"):
        own = [r for r in picture.rows if r["run"] == run]
        assert own[0]["start_day"] == 0 and own[-1]["end_day"] == pytest.approx(chart_cluster.DAYS, rel=1e-3)
        assert all(a["end_day"] == pytest.approx(b["start_day"], abs=1e-3) for a, b in itertools.pairwise(own))
        spent[run] = sum(r["end_day"] - r["start_day"] for r in own if r["part"] == "productive")
    assert spent["a bad run"] <= spent["a typical run"]


def test_claims_are_shown_only_from_the_day_on_which_they_were_public(story: Story) -> None:
    assert story.given is not None
    words = [r["claim"] for r in chart_cluster.claim_rows(story.given)]
    assert words and "the vendor's claims of 2025" not in words
    later = dataclasses.replace(story.given, catalog=Catalogue(date(2025, 12, 31)))
    found = {r["claim"]: r for r in chart_cluster.claim_rows(later)}["the vendor's claims of 2025"]
    assert (found["availability"], found["mtbf_h"]) == (0.98, 24.0)


def test_output_by_limit_adds_up_to_the_mean_output(story: Story) -> None:
    assert story.line is not None
    rows = chart_line.binding_by_quarter(story.line)
    first = rows[0]["quarter"]
    months = [i for i, m in enumerate(story.line.months) if m in ("2025-01", "2025-02", "2025-03")]
    made = story.line.packages[:, months].sum(axis=(0, 1)).mean() / 1000
    assert sum(r["packages"] for r in rows if r["quarter"] == first) == pytest.approx(made, rel=1e-3)
    assert sum(r["share"] for r in rows if r["quarter"] == first) == pytest.approx(1, abs=1e-3)


def test_what_bounds_each_operation_adds_up_to_the_step() -> None:
    from chipcast.chain import serve_news

    table = report_story.given(100)
    real = serve_news(table)
    for i in chart_compute.able(real)[:3]:
        one = chart_step.one_step(real, table, i)
        whole, by = one.parts(), one.by_kind()
        for part in whole:
            assert sum(split[part] for split in by.values()) == pytest.approx(whole[part], rel=1e-6, abs=1e-9)


def test_the_frontier_prices_a_point_as_the_service_prices_its_layout(story: Story) -> None:
    from chipcast.chain import serve_news

    table = report_story.given(101)
    real = serve_news(table)
    picture = chart_compute.frontier(real, table)
    for row in picture.rows[::9]:
        i = [chart_compute.chip_name(c) for c in real.chips].index(row["chip"])
        hour, use = np.median(real.usd_per_chip_h[i]), table.middle("serving.utilisation")
        assert row["usd"] == pytest.approx(hour / (row["mid"] * 3600 * use) * 1e6, rel=2e-3)


def test_hits_and_misses_are_counted_from_the_intervals() -> None:
    row = {"part": "market", "id": "h20_revenue_usd_bn", "group": "whole chain", "case": "FY26Q1",
           "measure": "billion USD", "vintage": "2025-02-25", "known": "path of the rules given", "p05": "1",
           "p50": "2", "p95": "3", "came": "2.5"}
    picture = chart_score.backtest([row, {**row, "came": "4"}, {**row, "came": "0.5"}])
    assert picture is not None and "1 of 3 with the path of the rules given" in picture.title
    assert [r["result"] for r in picture.rows] == ["inside", "outside", "outside"]
    assert chart_score.backtest([]) is None and chart_score.measured([row]) is None


def test_the_error_of_predictions_weighs_sources_and_not_rows() -> None:
    row = {"part": "tokens", "case": "h20", "measure": "tpot ms", "vintage": "2026", "known": "", "p05": "1",
           "p50": "2", "p95": "30"}
    rows = [{**row, "id": str(i), "group": "many", "came": "2"} for i in range(9)]
    rows += [{**row, "id": "x", "group": "one", "came": "8"}]
    picture = chart_score.measured(rows)
    assert picture is not None and "off by a factor of 2.00" in picture.title, "the middle of exact and fourfold"


def test_the_table_of_backtests_is_whole() -> None:
    rows = read_table("backtests")
    assert {r["part"] for r in rows} == {"market", "tokens"}
    for r in rows:
        assert float(r["p05"]) <= float(r["p50"]) <= float(r["p95"]), r


def test_the_smallest_deployment_that_may_be_bought_is_named(story: Story) -> None:
    assert story.given is not None
    offers = [{"chip": "h800-sxm", "chips": 8, "model": "m", "usd": np.full(9, 1e5)},
              {"chip": "h20-96", "chips": 16, "model": "m", "usd": np.full(9, 3e5)}]
    barred = [{"chip": "h800-sxm", "status": "denied"}]
    assert "is 16 x H20 for 300k USD" in chart_clinic.clinic(offers, story.given, barred).title
    assert "is 8 x H800 for 100k USD" in chart_clinic.clinic(offers, story.given).title


def test_choice_and_force_are_told_apart_by_the_gates(story: Story) -> None:
    m = story.market
    assert m is not None
    shut = m.us_open.copy()
    shut[m.chips.index("h20-96"), :, ::2] = 0
    tilted = m.orders.copy()
    away = [i for i, c in enumerate(m.chips) if c in ("h20-96", "h800-sxm") or c.startswith("nvidia")]
    for i in away:
        tilted[:, i, :, ::2] = 0
    picture = chart_push.substitution(dataclasses.replace(m, us_open=shut, orders=tilted))
    assert picture is not None
    ends = {r["world"]: r["mid"] for r in picture.rows if "share of cards ordered" in r["what"]}
    assert ends["H20 is barred"] == 1.0 and ends["H20 may be bought"] < 0.9


def test_the_cause_that_decides_a_plans_failure_leads_the_tornado(story: Story) -> None:
    assert story.plan is not None
    fails = [g > 0.06 for g in story.plan.detail["failures"]["causes"]["growth of need a month"]]
    detail = {**story.plan.detail, "failures": {**story.plan.detail["failures"], "fails": fails}}
    rows = chart_value.tornado_rows(dataclasses.replace(story.plan, detail=detail))
    assert "growth" in rows[0]["cause"] and rows[0]["rank_correlation"] > 0.8
    calm = {**detail, "failures": {**detail["failures"], "fails": [False] * 60}}
    assert chart_value.tornado(dataclasses.replace(story.plan, detail=calm)) is None


def test_the_price_of_waiting_is_the_difference_of_its_ends(story: Story) -> None:
    assert story.plan is not None
    picture = chart_value.price(story.plan)
    assert picture is not None and "costs 0.3 million USD more than deciding nothing blind" in picture.title
    assert chart_value.price(dataclasses.replace(story.plan, detail={})) is None


def test_tokens_of_an_api_are_not_drawn_or_counted_as_cards(story: Story) -> None:
    assert story.plan is not None
    api = Order(quarter="2025Q2", chip="deepseek-r1", supplier="API", contract="api", units=5e5, now=False)
    plan = dataclasses.replace(story.plan, orders=(*story.plan.orders, api))
    first, second, *_ = chart_plan.orders(plan).panels
    drawn = [max(r["units"] for r in p.spec["data"]["values"]) for p in (first, second)]
    assert drawn == [192, 5e5] and second.title == "Sent to an API"
    units = {row[3]: row[4] for row in table.plan(plan).rows}
    assert units["api"].endswith("tokens/s at the peak") and not units["spot"].endswith("peak")


def test_the_room_of_orders_is_told_and_offers_without_any_are_left_out(story: Story) -> None:
    assert story.plan is not None
    picture = chart_plan.room(story.plan)
    assert picture is not None and [r["order"] for r in picture.rows] == ["all cards", "H20 by spot"]
    assert "within 3% of the best cost buy from 120 to 260 cards now" in picture.title
    assert picture.rows[0]["plan"] == 192 and "192" not in picture.title
    nothing = dataclasses.replace(story.plan, detail={"room": {"share": 0.03, "orders": {"units decided now": [0, 0]}}})
    assert chart_plan.room(nothing) is None


def test_the_axis_of_small_deployments_reaches_the_budget(story: Story) -> None:
    assert story.given is not None
    budget = story.given.middle("buyer.budget_usd") / 1e3
    fit = [{"chip": "h20-96", "chips": 8, "usd": np.linspace(0.3, 0.4, 50) * budget * 1e3, "model": "R1"}]
    spec = chart_clinic.clinic(fit, story.given).panels[0].spec
    assert spec["layer"][0]["encoding"]["x"]["scale"]["domain"][1] > budget


def test_chips_or_an_api_says_what_keeps_records_in_the_house(story: Story) -> None:
    assert story.plan is not None
    said = "Chips or an API: all tokens from the API would cost 7.9M USD; this buyer's work must stay in the house."
    plan = dataclasses.replace(story.plan, first_question=said)
    told = {a.question: a.text for a in answers.answers(dataclasses.replace(story, plan=plan), {})}
    assert told["Chips or an API?"].endswith("this buyer's work must stay in the house.")
    silent = dataclasses.replace(plan, rivals={}, first_question="Chips or an API: no dated API price of x is known.")
    told = {a.question: a.text for a in answers.answers(dataclasses.replace(story, plan=silent), {})}
    assert told["Chips or an API?"] == "No dated API price of x is known."


def test_the_text_on_serving_leads_with_a_chip_that_may_be_bought(story: Story) -> None:
    assert story.service is not None
    free = section.serves(story, {})
    shut = section.serves(dataclasses.replace(story, measures=[
        {"chip": c, "status": "denied" if c == "h20-96" else "free"} for c in story.service.chips]), {})
    assert free is not None and shut is not None
    assert "H20 serves cheapest" in free.text and "H20 serves cheapest" not in shut.text
    assert "H20 (denied)" in shut.text


def test_break_even_is_drawn_for_each_way_of_assembly(story: Story) -> None:
    assert story.line is not None
    picture = chart_profit.break_even(story.line)
    for word, value in chart_profit.FLOWS.items():
        here = story.line.screened == value
        rows = [r for r in picture.rows if r.get("flow") == word]
        assert 0 < sum(r["draws"] for r in rows) <= here.sum()
        assert f"{np.mean(story.line.profit_usd[:12].mean(axis=0)[here] > 0):.0%} {word}" in picture.title
    one = chart_profit.break_even(dataclasses.replace(story.line, screened=np.ones(report_story.DRAWS)))
    assert not any(r.get("flow") == "with untested dies" for r in one.rows)


def test_cells_hold_the_share_of_their_draws() -> None:
    x, y = np.tile(np.arange(60.0), 60), np.repeat(np.arange(60.0), 60)
    found = form_plane.cells(x, y, x > y, bins=3)
    corner = max(found, key=lambda c: c["x"] - c["y"])
    assert corner["share"] == 1.0 and len(found) == 9
    assert form_plane.cells(x[:40], y[:40], x[:40] > 0) == [], "no cell of a few draws is drawn"
    assert form_plane.skewed(np.array([1.0, 10.0])) and not form_plane.skewed(np.array([-1.0, 10.0]))


def test_strips_stand_at_0_and_1_where_their_range_ends() -> None:
    for log in (False, True):
        place = form_rows.strip_scale(2.0, 8.0, log)
        assert (place(2.0), place(8.0)) == (0.0, 1.0)
    assert form_rows.strip_scale(2.0, 8.0, True)(4.0) == pytest.approx(0.5)


def test_an_unknown_destination_on_a_map_is_refused() -> None:
    with pytest.raises(InputError, match="Atlantis"):
        ask_for(Catalogue(date(2025, 2, 25)), "h20-96", date(2025, 2, 25), to="Atlantis")


def test_the_curve_of_yield_is_the_law_at_the_lines_draws(story: Story) -> None:
    assert story.given is not None
    picture = chart_area.yield_area(story.given)
    row = next(r for r in picture.rows if "low" in r)
    alpha, density = story.given["smic_n2.cluster_alpha"], story.given["smic_n2.d0_per_cm2"]
    by_hand = (1 + row["area_mm2"] / 100 * density / alpha) ** -alpha
    assert row["mid"] == pytest.approx(float(np.median(by_hand)), rel=1e-3)
    middles = [r["mid"] for r in picture.rows if "low" in r]
    assert middles == sorted(middles, reverse=True), "a larger die is never more often whole"


def test_fixes_added_never_make_a_job_stumble_more(story: Story) -> None:
    assert story.fleet is not None and story.given is not None
    picture = chart_fixes.fixes(story.fleet, story.given)
    steps = [r["chance"] for r in picture.rows if "step" in r]
    assert len(steps) >= 2 and steps == sorted(steps, reverse=True)
    gains = [r["mid"] for r in picture.rows if "fix" in r]
    assert gains == sorted(gains, reverse=True) and gains[0] > 0
