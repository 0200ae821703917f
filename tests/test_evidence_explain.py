"""Inverting a claim: what must hold, the weakest link, the measurement that would settle it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from chipcast.base import draws
from chipcast.base.errors import InputError
from chipcast.chain import prepare
from chipcast.evidence.explain import distance, explain, holds, information, parse_claim
from chipcast.inversion import _cut, stories

A, B, C = (draws.normals(1, n, 0, 20_000) for n in "abc")
KNOWN = {"910c.yield": "1", "huawei_ascend_cards.2025": "cards"}


@pytest.mark.parametrize(("text", "name", "sign", "value"), [
    ("910c.yield >= 40%", "910c.yield", ">=", 0.4), ("910C yield 40%", "910c.yield", "about", 0.4),
    ("910c.yield<0.2", "910c.yield", "<", 0.2),
    ("huawei_ascend_cards.2025 > 400k", "huawei_ascend_cards.2025", ">", 4e5),
    ("Ascend cards 2025 at least 400k", "huawei_ascend_cards.2025", ">=", 4e5),
    ("yield of the 910C below 30 %", "910c.yield", "<", 0.3),
])
def test_a_claim_reads_as_it_is_said(text: str, name: str, sign: str, value: float) -> None:
    assert parse_claim(text, KNOWN) == (name, sign, pytest.approx((value,)))


@pytest.mark.parametrize(("text", "claim"), [
    ("910c.yield \u2265 40 percent", ("910c.yield", ">=", 0.4)), ("910c.yield => 40%", ("910c.yield", ">=", 0.4)),
    ("910c.yield == 0.4", ("910c.yield", "about", 0.4)), ("910C yield 40 per cent", ("910c.yield", "about", 0.4)),
    ("h20 revenue >= 12bn", ("h20_revenue_usd_bn.2025", ">=", 12.0)),
    ("h20 revenue over $12 billion", ("h20_revenue_usd_bn.2025", ">", 12.0)),
    ("h20 revenue over 12bn USD", ("h20_revenue_usd_bn.2025", ">", 12.0)),
    ("h20 revenue \u2264 12", ("h20_revenue_usd_bn.2025", "<=", 12.0)),
    ("card price at least US$12,500", ("h20_card_price_usd.2025", ">=", 12_500.0)),
    ("huawei cards over 2 million", ("huawei_ascend_cards.2025", ">", 2e6)),
])
def test_money_and_counts_are_read_as_newspapers_write_them(text: str, claim: tuple[str, str, float]) -> None:
    """A series in thousand millions of dollars is claimed with or without saying so, and means the same."""
    name, sign, figures = parse_claim(text, {**KNOWN, "h20_revenue_usd_bn.2025": "1e9",
                                             "h20_card_price_usd.2025": "USD"})
    assert (name, sign, figures) == (claim[0], claim[1], pytest.approx((claim[2],)))


@pytest.mark.parametrize(("text", "name", "ends"), [
    ("910c.yield between 30% and 45%", "910c.yield", (0.3, 0.45)),
    ("910c.yield from 30 to 45%", "910c.yield", (0.3, 0.45)),
    ("Ascend cards 2025 between 300k and 400k", "huawei_ascend_cards.2025", (3e5, 4e5)),
    ("card price between 12k and 15k USD", "h20_card_price_usd.2025", (12e3, 15e3)),
    ("card price between 72k and 108k yuan", "h20_card_price_usd.2025", (1e4, 1.5e4)),
    ("card price between RMB 72,000 and \u00a5108k", "h20_card_price_usd.2025", (1e4, 1.5e4)),
])
def test_a_range_is_a_claim_too_and_shares_its_unit(text: str, name: str, ends: tuple[float, float]) -> None:
    found = parse_claim(text, {**KNOWN, "h20_card_price_usd.2025": "USD"}, cny_per_usd=7.2)
    assert found == (name, "between", pytest.approx(ends))


def test_a_range_holds_where_both_of_its_ends_do() -> None:
    both = holds(A, ">=", -0.5) & holds(A, "<=", 1.0)
    assert np.array_equal(holds(A, "between", -0.5, 1.0), both) and 0 < both.mean() < 1


def test_yuan_are_taken_at_the_rate_of_the_date_and_a_range_upside_down_is_refused() -> None:
    money = {**KNOWN, "h20_card_price_usd.2025": "USD"}
    assert parse_claim("card price <= 100,000 CNY", money, cny_per_usd=7.25)[2][0] == pytest.approx(100_000 / 7.25)
    with pytest.raises(InputError, match="lie between a lower and a higher figure"):
        parse_claim("910c.yield between 50% and 40%", money)
    with pytest.raises(InputError, match="'40 CNY' is a"):
        parse_claim("910c.yield >= 40 CNY", money, cny_per_usd=7.2)


@pytest.mark.parametrize(("text", "match"), [
    ("profit", "cannot read the claim 'profit'; write NAME OP VALUE"), ("910d.yield > 3%", "did you mean '910c.yield'"),
    ("910c.yield > 3 GB", "'3 GB' is a bytes"), ("", "cannot read the claim ''"), ("40%", "cannot read the claim"),
    ("wafers > 3", "unknown quantity of a claim 'wafers'; did you|unknown quantity of a claim 'wafers' known"),
])
def test_a_claim_that_cannot_be_read_says_how_to_write_it(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        parse_claim(text, KNOWN)


def test_the_cause_is_found_and_the_bystander_is_not() -> None:
    found = explain(holds(A + 0.3 * B, ">=", 1.0), {"a": A, "b": B, "c": C}, {})
    assert found["weakest_link"] == "a"
    assert found["settle_by"]["name"] == "a"
    by_name = {r["name"]: r for r in found["must_hold"]}
    assert by_name["a"]["shift_sd"] > 1
    assert "c" not in by_name
    assert found["probability"] == pytest.approx(np.mean(A + 0.3 * B >= 1))


def test_a_quantity_that_matters_in_its_middle_settles_without_shifting() -> None:
    """|a| small is no shift of a's mean, yet only a measurement of a tells: mean shift alone would miss it."""
    found = explain(np.abs(A) < 0.5, {"a": A, "b": B}, {})
    assert found["settle_by"]["name"] == "a"
    assert found["settle_by"]["share_of_doubt"] > 0.5


def test_what_never_or_always_holds_needs_no_explanation() -> None:
    for mask in (np.zeros(100, dtype=bool), np.ones(100, dtype=bool)):
        assert explain(mask, {"a": A[:100]}, {})["must_hold"] == []


def test_chance_explains_nothing() -> None:
    share = explain(B > 1, {"a": A}, {})["settle_by"]["share_of_doubt"]
    assert share < 0.002


def test_a_value_near_its_middle_narrows_its_cause_without_a_shift() -> None:
    """Where a + b is near 0 the mean of a stays and its spread falls to sqrt(1/2): the cause must still be named."""
    found = explain(np.abs(A + B) < 0.1, {"a": A, "b": B, "c": C}, {})
    by_name = {r["name"]: r for r in found["must_hold"]}
    assert set(by_name) == {"a", "b"}
    assert abs(by_name["a"]["shift_sd"]) < 0.1
    assert by_name["a"]["spread_ratio"] == pytest.approx(np.sqrt(0.5), abs=0.05)
    pair = found["together"][0]
    assert {pair["first"], pair["second"]} == {"a", "b"} and pair["rank_correlation"] < -0.9
    assert pair["second_where_first_is_high"]["p50"] < pair["second_where_first_is_low"]["p50"]


def test_expected_information_meets_quadrature() -> None:
    """A claim on the sum of two normals, one measured: H(1/2) - E[H(Phi(rho x / sqrt(1 - rho^2)))] bits."""
    rho = 0.8
    y = rho * A + np.sqrt(1 - rho**2) * B
    x = np.linspace(-8, 8, 20001)
    p = np.clip(special.ndtr(rho * x / np.sqrt(1 - rho**2)), 1e-12, 1 - 1e-12)
    left = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    exact = 1 - np.trapezoid(left * np.exp(-x * x / 2) / np.sqrt(2 * np.pi), x)
    assert information(y > 0, A) == pytest.approx(exact, abs=0.015)
    assert information(y > 0, C) < 0.002


def test_the_distance_is_that_of_two_distribution_functions() -> None:
    other = stats.ks_2samp(A[B > 0.5], A[B <= 0.5]).statistic
    assert distance(B > 0.5, A) == pytest.approx(other)
    assert distance(B > 0.5, np.round(B, 1)) == pytest.approx(stats.ks_2samp(np.round(B, 1)[B > 0.5],
                                                                             np.round(B, 1)[B <= 0.5]).statistic)


def test_the_weakest_link_is_what_the_fewest_draws_fit() -> None:
    """Both causes must be high; the one that counts more must go farther, so fewer draws fit it."""
    found = explain(2 * A + B > 5, {"a": A, "b": B}, {})
    fits = {r["name"]: r["fits"] for r in found["must_hold"]}
    assert fits["a"] < fits["b"] and found["weakest_link"] == "a"


def test_a_measurement_that_is_no_cause_may_settle_a_claim() -> None:
    found = explain(A + B > 0, {"a": A, "b": B}, {}, measurable={"sum seen": A + B + 0.1 * C})
    assert found["settle_by"]["name"] == "sum seen"
    assert {r["name"] for r in found["must_hold"]} == {"a", "b"}
    same = explain(A + B > 0, {"a": A, "b": B}, {}, measurable={"the claim itself": 3 * (A + B)})
    assert same["settle_by"]["name"] in ("a", "b")


def test_a_claim_of_the_news_stands_on_as_many_draws_as_a_what_if() -> None:
    ready = prepare("february-2025", draws=300, seed=1, prior=True)
    cut = _cut(ready, 200)
    assert cut.given.draws == cut.evidence.prior.draws == len(cut.evidence.family) == 200
    name = "smic_n2.d0_per_cm2"
    assert np.array_equal(cut.given[name], ready.given[name][:200])


def test_stories_of_a_doubling_share_all_draws() -> None:
    given = prepare("february-2025", draws=500, seed=1, prior=True).given
    told = stories(given, given["smic_n2.d0_per_cm2"] > 0.3)
    for column in ("all_draws", "where_it_holds"):
        assert sum(s[column] for s in told.values()) == pytest.approx(1)
    assert all(s["all_draws"] > 0.02 for s in told.values())


def test_words_that_several_names_hold_are_told_apart() -> None:
    known = {"910b.yield": "1", "910c.yield": "1", "hbm_bank.stacks": "stacks"}
    assert parse_claim("910B yield > 3%", {**known, "910b.yield.2026Q1": "1"})[0] == "910b.yield"
    with pytest.raises(InputError, match=r"'yield' may mean 910b\.yield, 910c\.yield; write one of these names"):
        parse_claim("yield > 3%", known)
    assert parse_claim("yield > 3%", known, first=("910c.yield",))[0] == "910c.yield"
    assert parse_claim("hbm stacks over 4M", known) == ("hbm_bank.stacks", ">", (4e6,))


def test_the_sentence_of_the_news_is_turned_around(cli_json: Callable[..., Any]) -> None:
    """As typed in the news: about 40 percent, whatever the word means; a claim about a middle has causes too."""
    got = cli_json("explain", "910C yield 40%", "--draws", "1500")
    assert got["claim"] == "910c.yield about 40%"
    assert 0.05 < got["probability"] < 0.6
    after = got["probability"] / (1 - got["probability"])
    assert got["odds"]["after"] == pytest.approx(after)
    assert got["odds"]["ratio"] == pytest.approx(after / got["odds"]["before"])
    assert sum(got["readings_where_it_holds"].values()) == pytest.approx(1)
    assert set(got["by_reading"]) == {"die.any", "die.perfect", "through", "blind"}
    assert "smic_n2.d0_per_cm2" in {r["name"] for r in got["must_hold"]}
    assert got["weakest_link"] in {r["name"] for r in got["must_hold"]}
    assert 0 < got["settle_by"]["bits"] < got["settle_by"]["bits_of_doubt"] <= 1
    assert {r["name"] for r in got["implied"]} >= {"huawei_ascend_cards.2025", "hbm_stacks_used.2025"}


@pytest.mark.parametrize(("text", "words"), [
    ("910c.yield > 400%", "910c.yield must be claimed as a share from 0% to 100%"),
    ("banana > 3", "unknown quantity of a claim 'banana'"), ("910c yield", "cannot read the claim '910c yield'")])
def test_odd_claims_get_one_sentence(cli: Callable[..., tuple[int, str, str]], text: str, words: str) -> None:
    code, out, err = cli("explain", text, "--draws", "200")
    assert code == 2
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert not out


@pytest.mark.parametrize(("text", "said"), [
    ("910c.yield > 39.5%", "910c.yield > 39.5%"),
    ("H20_revenue_usd_bn.2025 over $12.5 billion", "h20_revenue_usd_bn.2025 > 12.5bn USD"),
])
def test_a_claim_is_said_back_as_it_was_meant(cli_json: Callable[..., Any], text: str, said: str) -> None:
    got = cli_json("explain", text, "--draws", "200")
    assert got["claim"] == said
    assert 0.05 < got["probability"] < 0.95


def test_an_id_of_the_news_is_read_in_any_case(cli_json: Callable[..., Any]) -> None:
    assert cli_json("explain", "H20-Million", "--draws", "200")["claim"].startswith("Nvidia sold a million H20")
