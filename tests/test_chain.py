"""The whole chain: a function of scenario and seed, whatever the blocks and workers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipcast import chain, news, story
from chipcast.evidence import claims
from chipcast.market import simulate
from chipcast.scenario import load


@pytest.fixture(scope="module")
def ready() -> chain.Ready:
    return chain.prepare("february-2025", draws=2000, seed=1)


@pytest.fixture(scope="module")
def world(ready: chain.Ready) -> chain.World:
    return chain.trade(ready.setting, ready.given)


def same(a: Any, b: Any) -> None:
    """Every array of two records is equal, bit for bit."""
    for f in fields(a):
        x, y = getattr(a, f.name), getattr(b, f.name)
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            assert np.array_equal(x, y, equal_nan=True), f.name


@pytest.mark.parametrize("workers", [2, 8])
def test_workers_change_no_bit(ready: chain.Ready, world: chain.World, workers: int) -> None:
    again = chain.trade(ready.setting, ready.given, workers=workers)
    for part in ("line", "service", "market"):
        same(getattr(world, part), getattr(again, part))


@pytest.mark.parametrize("workers", [1, 2])
def test_cells_kept_for_the_first_draws_alone_are_those_of_the_whole(ready: chain.Ready, world: chain.World,
                                                                     workers: int) -> None:
    part = chain.trade(ready.setting, ready.given, workers=workers, near=700)
    assert part.near is not None
    same(part.near, chain.cut(world.market, 1000))  # whole blocks
    for name in simulate.FIELDS:
        assert getattr(part.market, name).size == 0
    kept = {f.name for f in fields(world.market)} - set(simulate.FIELDS)
    for name in kept:
        assert np.array_equal(getattr(part.market, name), getattr(world.market, name)), name
    assert chain.trade(ready.setting, ready.given.block(0, 900), near=2000).near is None


def test_a_switch_that_turns_nothing_is_the_run_itself(ready: chain.Ready, world: chain.World) -> None:
    same(chain.what_if(ready, world).market, chain.cut(world.market, 2000))


@pytest.mark.parametrize("switch", ["threat", "controls"])
def test_a_what_if_takes_over_only_what_its_switch_leaves_alone(ready: chain.Ready, world: chain.World,
                                                                switch: str) -> None:
    setting = replace(ready.setting, **{switch: False})
    anew = chain.trade(setting, ready.given)
    taken = chain.what_if(ready, world, **{switch: False})
    for part in ("line", "service", "market"):
        same(getattr(taken, part), getattr(anew, part))
    assert np.array_equal(taken.line.packages, world.line.packages) == (switch != "controls")


def test_what_ifs_share_their_luck(ready: chain.Ready, world: chain.World) -> None:
    """Paired differences are far steadier than differences of independent runs."""
    without = chain.what_if(ready, world, threat=False).market
    a, b = (m.orders.sum(axis=(0, 1, 2), dtype=float) for m in (world.market, without))
    assert np.var(a - b) < np.var(a) + np.var(b)
    assert np.corrcoef(a, b)[0, 1] > 0.3


def test_the_books_balance(world: chain.World) -> None:
    for name, residual in world.market.books.items():
        assert residual < 1e-3 if name == "tokens" else residual < 1e-6, name
    line, market = world.line, world.market
    shared = [line.months.index(m) for m in market.months]
    made = line.packages[:, shared].sum(axis=(0, 1))
    got = sum(market.deliveries[:, market.chips.index(p)].sum(axis=(0, 1), dtype=float) for p in line.products)
    assert np.all(got <= made * (1 + 1e-5) + 1), "no card is delivered that was not made"


def test_nothing_ships_that_both_gates_do_not_let_through(world: chain.World) -> None:
    market = world.market
    row = market.chips.index("h20-96")
    shut = (market.us_open[row] == 0) | (market.cn_open[row] == 0)
    assert np.all(market.shipped[row][shut] == 0)


def test_more_draws_keep_the_first_ones() -> None:
    """Ranges do not depend on how many draws there are."""
    few, many = (chain.prepare("february-2025", draws=n, seed=1, prior=True).given for n in (500, 1500))
    for name in ("smic_n2.d0_per_cm2", "h20-96.price_usd", "platform.tokens_per_day"):
        assert np.array_equal(few[name], many[name][:500])


def test_another_seed_is_another_run_with_the_same_answer() -> None:
    totals = []
    for seed in (1, 2):
        got = chain.prepare("february-2025", draws=4000, seed=seed)
        totals.append(np.median(news.made_in(chain.make(got.setting, got.given), "2025").sum(axis=0)))
    assert totals[0] != totals[1]
    assert totals[0] == pytest.approx(totals[1], rel=0.12)


def test_the_claims_never_saw_the_news(ready: chain.Ready) -> None:
    blind = news.blind(load("february-2025"), draws=500, seed=1)
    origins = {o.origin for o in blind.evidence.reports}
    assert not origins & set(claims.origins())
    assert {o.origin for o in ready.evidence.reports} & set(claims.origins())


def test_the_die_bank_changes_the_answer_between_the_two_information_dates() -> None:
    """2025-03-10 differs from 2025-02-25 mostly through the bank of foreign dies."""
    dates = ("2025-02-25", "2025-03-10")
    early, late = (chain.prepare("february-2025", draws=4000, seed=1, as_of=d).given for d in dates)
    assert np.median(late["die_bank.dies"]) > 1.3 * np.median(early["die_bank.dies"])


def test_taking_the_banks_row_away_brings_the_early_run_back() -> None:
    full = chain.prepare("february-2025", draws=4000, seed=1)
    without = chain.prepare("february-2025", draws=4000, seed=1, as_of="2025-03-10", without=["csis-2025-03-07"])
    assert np.array_equal(full.given["smic_n2.d0_per_cm2"], without.given["smic_n2.d0_per_cm2"])


@pytest.fixture(scope="module")
def whole() -> story.Run:
    return story.run("february-2025", draws=1000, seed=1)


def test_all_thirteen_claims_are_answered(whole: story.Run) -> None:
    assert [c.id for c in whole.claims] == list(claims.CHECKS)
    for claim in whole.claims:
        assert claim.computed
        assert claim.why
        assert 0 <= claim.verdict.probability <= 1


def test_every_number_of_a_run_has_a_source(whole: story.Run) -> None:
    from chipcast.base.catalog import sources

    for row in whole.ready.given.rows.values():
        assert row.source in sources() or row.source == "scenario", row.name
        assert row.why or row.kind != "assumed", row.name


def test_no_number_of_a_run_is_younger_than_its_date(whole: story.Run) -> None:
    for row in whole.ready.given.rows.values():
        assert not row.known_by or row.known_by <= "2025-02-25", row.name


def test_a_run_writes_its_folder_and_repeats_bit_for_bit(cli: Callable[..., tuple[int, str, str]], tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = cli("run", "--draws", "400", "--json")
    assert code == 0, err
    first = json.loads(out)
    assert {"scenario", "as_of", "draws", "seed", "seconds", "claims", "files"} <= set(first)
    assert len(first["claims"]) == 13
    assert all({"id", "said", "computed", "verdict", "why"} <= set(c) for c in first["claims"])
    files = {k: Path(v) for k, v in first["files"].items()}
    before = {k: p.read_bytes() for k, p in files.items()}
    code, out, err = cli("run", "--draws", "400", "--json")
    assert code == 0, err
    assert json.loads(out)["files"] == first["files"]
    assert {k: p.read_bytes() for k, p in files.items()} == before
    assert [p.name for p in (tmp_path / "runs").iterdir()] == [files["report"].parent.name]


def test_a_named_folder_that_exists_is_refused(cli: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, out, err = cli("run", "--out", str(tmp_path))
    assert code == 2
    assert "exists already; name a new folder" in err
    assert out == ""


@pytest.mark.parametrize(("words", "code", "match"), [
    (("run", "nowhere"), 2, "no scenario file 'nowhere'"), (("run", "--draws", "3"), 2, "--draws"),
    (("run", "--as-of", "2025-02-30"), 2, "is no date"), (("run", "--as-of", "2024-01-01"), 2, "first vintage"),
    (("explain", "nonsense"), 2, "cannot read the claim"), (("explain", "910x.yield > 3%"), 2, "did you mean"),
    (("evidence", "--draws", "x"), 2, "--draws"), (("nonsense",), 2, "No such command"),
])
def test_bad_words_get_one_sentence(cli: Callable[..., tuple[int, str, str]], words: tuple[str, ...], code: int,
                                    match: str) -> None:
    got, out, err = cli(*words)
    assert got == code
    assert match in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""


def test_evidence_prints_what_the_reports_did(cli_json: Callable[..., Any]) -> None:
    got = cli_json("evidence", "--draws", "1000")
    assert {"posterior", "ess", "reports"} <= set(got)
    moved = {r["name"]: r["contraction"] for r in got["posterior"]}
    assert moved["smic_n2.d0_per_cm2"] > 0.3
    for report in got["reports"]:
        assert sum(report["reading_weights"].values()) == pytest.approx(1)


def test_explain_inverts_a_claim(cli_json: Callable[..., Any]) -> None:
    got = cli_json("explain", "huawei_ascend_cards >= 600k", "--draws", "1000")
    assert {"claim", "probability", "must_hold", "weakest_link", "settle_by"} <= set(got)
    assert 0 < got["probability"] < 1
    assert got["weakest_link"] in {r["name"] for r in got["must_hold"]}


def test_a_figure_of_ones_own_reaches_compare_and_explain(cli_json: Callable[..., Any]) -> None:
    price = "h20-96.price_usd=20k"
    got = cli_json("compare", "february-2025", "february-2025", "--set", price, "--draws", "300")
    assert got["set"] == [price]
    assert any(r["p_positive"] > 0.99 for r in got["effects"])
    much, little = (cli_json("explain", "910c.unit_cost_usd >= 10k", "--set", f"smic_n2.wafer_price_usd={p}",
                             "--draws", "300") for p in ("90k", "6k"))
    assert much["probability"] > little["probability"]


def test_compare_of_a_scenario_with_itself_is_zero(cli_json: Callable[..., Any]) -> None:
    got = cli_json("compare", "february-2025", "february-2025", "--draws", "500")
    assert got["effects"]
    assert all(e["effect"] == {"p05": 0.0, "p50": 0.0, "p95": 0.0} for e in got["effects"])


def test_a_frozen_forecast_is_written_once(cli: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    code, out, _ = cli("freeze", "--draws", "500", "--out", str(path), "--json")
    assert code == 0
    got = json.loads(out)
    assert got["standing"] == "hindcast"
    assert {"series", "period", "unit", "p05", "p25", "p50", "p75", "p95", "as_of", "hash"} <= set(got["forecasts"][0])
    names = {f["series"] for f in got["forecasts"]}
    assert {"huawei_ascend_cards", "huawei_910c_packages", "h20_revenue_usd_bn", "smic_ai_die_yield"} <= names
    for f in got["forecasts"]:
        assert f["p05"] <= f["p25"] <= f["p50"] <= f["p75"] <= f["p95"]
    code, _, err = cli("freeze", "--draws", "500", "--out", str(path))
    assert code == 2
    assert "a forecast is written once" in err


def test_a_forecast_refuses_a_value_that_does_not_say_when_it_was_known(cli: Callable[..., tuple[int, str, str]],
                                                                        tmp_path: Path) -> None:
    mine = tmp_path / "m.yaml"
    mine.write_text("set:\n  h20.price_usd: 9k\n", encoding="utf-8")
    code, _, err = cli("freeze", str(mine))
    assert code == 2
    assert "m.yaml:2: a frozen forecast takes h20.price_usd only with known_by" in err


def test_no_report_moves_what_a_chip_delivers(ready: chain.Ready) -> None:
    """So the ratios of latency classes may be taken over from a conditioning on other reports."""
    anew = chain.prepare("february-2025", draws=2000, seed=1, without=claims.origins())
    assert anew.setting.speed == ready.setting.speed
