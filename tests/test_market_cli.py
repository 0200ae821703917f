"""The verbs of the market: one JSON object, stated keys, clear refusals; the public back-test as a whole."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest

from chipcast import hindcast
from chipcast.base.catalog import DATA
from chipcast.evidence import market_fit
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


def test_market_prints_tables_for_a_reader(cli: Cli) -> None:
    code, out, _ = cli("market", "--draws", "100")
    assert code == 0
    for word in ("Cards ordered", "Cards delivered", "H20 price", "Books balance", "platform"):
        assert word in out


@pytest.mark.parametrize(("words", "message"), [
    (("market", "--without", "treat"), "did you mean 'threat'"),
    (("market", "no-such"), "no scenario file 'no-such'"),
    (("market", "--draws", "1"), "draws"),
    (("calibrate", "market", "--as-of", "2022-09-01"), "a fit needs four"),
    (("calibrate", "market", "--as-of", "yesterday"), "is no date"),
    (("backtest", "--vintage", "2025-12-25"), "nothing to score"),
])
def test_bad_input_gets_one_sentence_and_exit_code_2(cli: Cli, words: tuple[str, ...], message: str) -> None:
    code, out, err = cli(*words)
    assert code == 2 and out == ""
    assert message in err and "Traceback" not in err and err.count("\n") == 1


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
    assert [g["happened"] for g in out["gates"]] == [False, True, True]


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
    found = market_fit.fit(date(2025, 2, 25), particles=2000)
    today = {r["name"]: r for r in (*market_fit.contraction_table(found), *market_fit.now_table(found))}
    with (DATA / "market_fit.csv").open(encoding="utf-8", newline="") as lines:
        shipped = [r for r in csv.DictReader(lines) if r["vintage"] == "2025-02-25"]
    assert {r["name"] for r in shipped} == set(today)
    for row in shipped:
        for q in ("p05", "p50", "p95"):
            assert float(row[q]) == pytest.approx(today[row["name"]]["posterior"][q], rel=2e-3), row["name"]
        assert np.isclose(float(row["contraction"]), today[row["name"]]["contraction"], atol=0.006)
