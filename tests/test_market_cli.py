"""The verbs of the market: one JSON object, stated keys, clear refusals; the public back-test as a whole."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipcast import hindcast
from chipcast.base.catalog import DATA
from chipcast.evidence import market_fit, market_prior
from chipcast.market.record import CHIPS
from chipcast.scenario import SEGMENTS

Cli = Callable[..., tuple[int, str, str]]


def test_market_speaks_json_with_the_keys_of_the_contract(cli_json: Callable[..., Any]) -> None:
    out = cli_json("market", "february-2025", "--draws", "100")
    assert {"months", "orders", "deliveries", "stocks", "price_usd", "domestic_share", "useful_tokens"} <= set(out)
    assert len(out["months"]) == 35
    assert set(out["orders"]) == set(SEGMENTS) and set(out["orders"]["platform"]) == set(CHIPS)
    cell = out["deliveries"]["platform"]["h20-96"][0]
    assert set(cell) == {"p05", "p50", "p95"} and cell["p05"] <= cell["p50"] <= cell["p95"]
    assert max(out["books"].values()) < 1e-9


def test_leaving_out_the_threat_is_said_and_seen(cli_json: Callable[..., Any]) -> None:
    out = cli_json("market", "--without", "threat", "--without", "local-push", "--draws", "100")
    assert out["without"] == ["threat", "local-push"]
    assert all(cell["p95"] == 0 for cells in out["cover_months"].values() for cell in cells)
    assert {e["year"] for e in out["effects"]} == {"2025", "2026", "2027"}
    assert all({"name", "unit", "effect", "p_positive"} <= set(e) for e in out["effects"])


@pytest.mark.parametrize(("event", "why"), [
    ("on=2025-06-01 gate=foundry to=closed", "the foundry gate is closed already by US-FOUNDRY-2025 since 2025-01-31"),
    ("on=2025-06-01 gate=hbm to=closed", ""),
    ("on=2035-04-09 gate=us to=licence", "lies after the run's last month, 2027-12"),
    ("on=2025-03-01 gate=quota segment=private value=0", "no draw differs"),
    ("on=2025-06-01 gate=us chip=910c to=closed", "ascend-910c is sold inside China and meets no gate"),
    ("on=2025-06-01 gate=cn chip=h800 to=closed", "h800-sxm comes by the grey door"),
    ("on=2025-04-09 gate=us chip=h20 to=licence", ""), ("on=2025-06-01 gate=hbm to=open", "")])
def test_an_event_that_moves_nothing_says_why(cli_json: Callable[..., Any], event: str, why: str) -> None:
    out = cli_json("market", "--event", event, "--draws", "100")
    assert (why in out["moves_nothing"][event]) if why else ("moves_nothing" not in out)
    assert any(e["p_positive"] + e["p_negative"] > 0 for e in out["effects"]) is not bool(why)


def test_market_prints_tables_for_a_reader(cli: Cli) -> None:
    code, out, _ = cli("market", "--draws", "100")
    assert code == 0
    for word in ("Cards ordered", "Cards delivered", "H20 price", "Books balance", "platform"):
        assert word in out


@pytest.mark.parametrize(("words", "message"), [
    (("market", "--without", "treat"), "did you mean 'threat'"),
    (("market", "no-such"), "no scenario file 'no-such'"),
    (("market", "--draws", "1"), "draws"),
    (("market", "--event", "foo"), "'foo' is no key=value"),
    (("market", "--event", "on=2025-13-01 gate=us to=closed"), "'2025-13-01' is no date"),
    (("market", "--event", "on=2025-04-09 gate=us chip=h21 to=closed", "--draws", "100"), "unknown chip 'h21'"),
    (("market", "--event", "on=2025-04-09 gate=us to=closed", "--event", "on=2025-04-09 gate=us chip=h20 to=open"),
     "events contradict"),
    (("calibrate", "market", "--as-of", "2022-09-01"), "a fit needs four"),
    (("calibrate", "market", "--as-of", "yesterday"), "is no date"),
    (("backtest", "--vintage", "2025-12-25"), "nothing to score"),
])
def test_bad_input_gets_one_sentence_and_exit_code_2(cli: Cli, words: tuple[str, ...], message: str) -> None:
    code, out, err = cli(*words)
    assert code == 2 and out == ""
    assert message in err and "Traceback" not in err and err.count("\n") == 1


@pytest.mark.parametrize(("text", "message"), [
    ("set: {us_gate.closing_hazard_after_threat_per_month: {value: 1.5, why: test}}", "closing_hazard_after_threat"),
    ("set: {cn_gate.closing_hazard_per_month: {value: -0.1, why: test}}", "closing_hazard_per_month"),
    ("buyer: {name: nobody, demand: {requests_per_s: 5}}", "buyer.segment is missing"),
    ("events: [{on: 2025-06-01, gate: demand}]", "needs value: the factor"),
    ("events: [{on: 2025-06-01, gate: us, chip: h20, to: open}, {on: 2025-06-01, gate: us, chip: h20, to: closed}]",
     "events contradict"),
])
def test_a_bad_scenario_gets_one_sentence(text: str, message: str, cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"name: bad\nbase: february-2025\n{text}\n", encoding="utf-8")
    code, out, err = cli("market", str(path), "--draws", "100")
    assert code == 2 and out == ""
    assert message in err and "Traceback" not in err and err.count("\n") == 1


def test_an_event_shows_its_effect_with_an_interval(cli_json: Callable[..., Any]) -> None:
    out = cli_json("market", "--event", "on=2025-04-09 gate=us chip=h20 to=licence", "--draws", "200")
    assert out["events"] == ["on=2025-04-09 gate=us chip=h20 to=licence"]
    found = {(e["name"], e["year"]): e for e in out["effects"]}
    assert found["H20 delivered", "2026"]["effect"]["p50"] < 0
    loss = found["seller's write-down", "2025"]
    assert loss["p_positive"] > 0.3 and loss["effect"]["p95"] > 1e8  # in other draws the gate had shut anyway
    assert set(found["tokens served", "2025"]["effect"]) == {"p05", "p50", "p95"}
    assert max(out["shipped"]["h20-96"][m]["p95"] for m in range(3, 12)) == 0


def test_calibrate_prints_contraction_for_every_parameter(cli_json: Callable[..., Any], cli: Cli) -> None:
    out = cli_json("calibrate", "market", "--particles", "300")
    assert len(out["quarters"]) == 11  # the twelfth was filed a day later
    keys = {"name", "unit", "prior", "posterior", "contraction", "prior_driven"}
    assert all(keys <= set(r) for r in out["posterior"])
    code, text, _ = cli("calibrate", "market", "--particles", "300")
    assert code == 0 and "prior-driven" in text


def test_backtest_of_one_vintage_scores_both_models(cli_json: Callable[..., Any]) -> None:
    out = cli_json("backtest", "--vintage", "2025-02-25", "--draws", "200")
    assert out["standing"] == "hindcast"
    assert {f["model"] for f in out["forecasts"]} == {"five stocks", "whole market"}
    assert all(f["p05"] <= f["p25"] <= f["p50"] <= f["p75"] <= f["p95"] for f in out["forecasts"])
    assert out["lower_bounds"][0]["at_least"] == 16
    assert [g["happened"] for g in out["gates"]] == [False, True, True, True]
    assert out["times"][0]["came_months"] == pytest.approx(43 / 30.4375)
    assert {f["series"] for f in out["forecasts"] if f["model"] == "whole market"} >= {
        "huawei_ascend_cards", "h20_card_price_usd", "platform_capex_usd_bn"}


def test_the_rush_of_the_whole_chain_lies_in_the_80_percent_band() -> None:
    told = hindcast.hindcast(conditional=True, draws=1000)
    rush = {(s.series, s.period): s for s in told.scored}
    for series in ("h20_revenue_usd_bn", "nvda_china_revenue_usd_bn"):
        assert rush[series, "FY26Q1"].inside_80
    assert rush["h20_revenue_usd_bn", "FY26Q2"].p95 == 0  # shut by one gate, then the other
    assert told.gates == ()


def test_the_path_that_came_is_read_from_dated_events() -> None:
    assert [(e.on, e.gate, e.to) for e in hindcast.path_given()] == [
        (date(2025, 4, 9), "us", "licence"), (date(2025, 8, 11), "us", "open"), (date(2025, 7, 31), "cn", "closed")]


def test_the_shipped_fit_is_what_a_fit_gives_today() -> None:
    found = market_fit.fit(date(2025, 2, 25), particles=market_prior.PARTICLES, moves=market_prior.MOVES)
    text = (DATA / "posteriors" / market_prior.path_of_fit(date(2025, 2, 25))).read_text(encoding="utf-8")
    again = market_prior.to_text(date(2025, 2, 25), market_fit.for_simulator(found), end=found.quarters[-1],
                                 ahead=market_fit.ahead_ln(found))
    fits, now = (json.loads(t)["normals"] for t in (text, again))
    assert set(fits) == set(now) and json.loads(text)["end"] == json.loads(again)["end"] == "2024-10"
    before, after = (np.mean(json.loads(t)["ahead_ln"], axis=1) for t in (text, again))
    assert before == pytest.approx(after, abs=0.03)
    assert all(np.mean(fits[n]) == pytest.approx(np.mean(now[n]), abs=0.02) for n in fits)
    today = {r["name"]: r for r in (*market_fit.contraction_table(found), *market_fit.now_table(found))}
    with (DATA / "market_fit.csv").open(encoding="utf-8", newline="") as lines:
        shipped = [r for r in csv.DictReader(lines) if r["vintage"] == "2025-02-25"]
    assert {r["name"] for r in shipped} == set(today)
    for row in shipped:
        for q in ("p05", "p50", "p95"):
            assert float(row[q]) == pytest.approx(today[row["name"]]["posterior"][q], rel=2e-3), row["name"]
        assert np.isclose(float(row["contraction"]), today[row["name"]]["contraction"], atol=0.006)
