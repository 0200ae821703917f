"""The market's past: the five stocks, the dated path, the fit, and forecasts vintage by vintage."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from scipy import special

from chipcast.base import draws
from chipcast.base.catalog import FIRST_VINTAGE, Catalogue, read_table, vintage_rows
from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.laws import point
from chipcast.evidence import market_fit, market_prior
from chipcast.evidence.score import Scored, crps, summary
from chipcast.market import doors, filed, past
from chipcast.scenario import load, resolve

LAW = past.laws(vintage_rows(FIRST_VINTAGE))
FEBRUARY = date(2025, 2, 25)


def prior(count: int = 400) -> np.ndarray:
    return np.stack([draws.normals(3, f"past:{k}", 0, count) for k in range(past.UNKNOWNS)])


@pytest.fixture(scope="module")
def scored() -> tuple[Scored, ...]:
    return market_fit.backtest(conditional=True)


@pytest.fixture(scope="module")
def fitted() -> market_fit.Fit:
    return market_fit.fit(FEBRUARY)


def test_the_path_of_rules_is_what_was_known_on_the_date() -> None:
    early, february, late = (doors.path_of(Catalogue(d)) for d in (date(2023, 3, 1), FEBRUARY, date(2025, 12, 31)))
    assert early.shuts == (date(2022, 8, 26),)
    assert february.shuts == (date(2022, 8, 26), date(2023, 10, 17))
    assert february.offers == (date(2022, 11, 7), date(2024, 2, 1))
    assert date(2025, 1, 29) in february.threats
    assert late.shuts[2] == date(2025, 4, 9)
    assert late.barred == (None, None, date(2025, 7, 31))  # the other gate answered the relaxation


def test_without_rules_and_threats_buyers_get_what_they_need_up_to_the_cap() -> None:
    quiet = doors.Path(threats=(), shuts=(), offers=(), barred=())
    p = past.parameters(prior(), LAW) | {"us_gate.closing_hazard_base_per_month": np.zeros(400)}
    out = past.play(p, doors.doors_of(quiet, 36, 3.0), 36).revenue - p["past.rest_usd_per_quarter"] / 3
    cap = p["past.capacity_usd_per_quarter"] / 3 * (1 + p["past.capacity_growth_per_month"]) ** np.arange(36)[:, None]
    need = p["past.need_usd_per_quarter"] / 3 * (1 + p["past.need_growth_per_month"]) ** np.maximum(
        np.arange(36)[:, None] - p["past.boom_start_month"], 0)
    assert (out <= cap * (1 + 1e-9)).all()
    easy = (need <= cap).all(axis=0)
    assert easy.sum() > 50
    assert out[:, easy] == pytest.approx(need[:, easy])


def test_a_threat_pulls_orders_forward_and_a_rule_cuts_sales() -> None:
    p = past.parameters(prior(), LAW)
    none = doors.Path(threats=(), shuts=(), offers=(), barred=())
    feared = doors.Path(threats=(date(2024, 1, 10),), shuts=(), offers=(), barred=())
    shut = doors.Path(threats=(), shuts=(date(2024, 1, 1),), offers=(None,), barred=(None,))
    base, fear, cut = (past.play(p, doors.doors_of(x, 30, 3.0), 30).revenue for x in (none, feared, shut))
    assert np.array_equal(base[:23], fear[:23]) and np.array_equal(base[:23], cut[:23])
    # at a seller that is already full, fear can only move the queue, so round-off aside it never lowers sales
    assert (fear[23:26].sum(axis=0) >= base[23:26].sum(axis=0) * (1 - 1e-9)).all()
    assert np.mean(fear[23:26].sum(axis=0) > base[23:26].sum(axis=0) * 1.001) > 0.3
    calm = p | {"us_gate.closing_hazard_base_per_month": np.zeros(400)}  # so that nobody hoards for the next rule
    base, cut = (past.play(calm, doors.doors_of(x, 30, 3.0), 30).revenue for x in (none, shut))
    assert (cut[24] < base[24]).all()


def test_a_fit_finds_the_truth_of_made_up_quarters() -> None:
    """Eleven quarters from known parameters, no noise: of five truths most lie inside the 90 percent interval."""
    inside = []
    known = doors.doors_of(doors.path_of(Catalogue(FEBRUARY)), 33, 2.65)
    for z in np.split(prior(5), 5, axis=1):
        made = past.by_quarter(past.play(past.parameters(z, LAW), known, 33).revenue)[:, 0]
        found = market_fit.fit(FEBRUARY, quarters=dict(zip(past.quarters_of(33), map(float, made), strict=True)))
        low, high = np.quantile(found.posterior.normals, [0.05, 0.95], axis=1)
        inside.append(np.mean((z[:, 0] >= low) & (z[:, 0] <= high)))
        model = past.by_quarter(past.play(past.parameters(found.posterior.normals, LAW), known, 33).revenue)
        assert np.median(model, axis=1) == pytest.approx(made, rel=0.25)
    assert np.mean(inside) >= 0.8


def test_contraction_is_printed_for_every_parameter_and_history_leaves_the_lag_to_the_prior(
        fitted: market_fit.Fit) -> None:
    rows = {r["name"]: r for r in market_fit.contraction_table(fitted)}
    assert set(past.NAMES) <= set(rows)
    assert rows["past.need_usd_per_quarter"]["contraction"] > 0.5
    assert rows["us_gate.closing_hazard_after_threat_per_month"]["contraction"] > 0.3  # three of its closings counted
    assert rows["platform.hazard_lag_months"]["prior_driven"]
    assert rows["cn_gate.counter_block_probability"]["prior_driven"]  # no relaxation had been answered yet
    now = {r["name"]: r["posterior"] for r in market_fit.now_table(fitted)}
    assert now["capacity_now"]["p05"] > 2e9  # it shipped 5.4 billion in the last quarter


def test_a_fit_is_a_function_of_date_and_seed(fitted: market_fit.Fit) -> None:
    again = market_fit.fit(FEBRUARY)
    assert np.array_equal(again.posterior.normals, fitted.posterior.normals)
    with pytest.raises(InputError, match="filed quarters are known by 2022-09-01; a fit needs four"):
        market_fit.fit(date(2022, 9, 1))


def test_the_rush_of_early_2025_lies_in_the_80_percent_band(fitted: market_fit.Fit) -> None:
    """Filed: 5.52 billion USD in the quarter to April 2025, of which 4.6 of the card under threat."""
    for conditional in (True, False):
        rush = market_fit.predict(fitted, 2, conditional=conditional)["2025-04"] / 1e9
        low, high = np.quantile(rush, [0.1, 0.9])
        assert low < 5.52 < high


def test_given_the_rules_the_cut_is_foreseen_and_without_them_it_is_one_future_of_many(fitted: market_fit.Fit) -> None:
    told, untold = (market_fit.predict(fitted, 3, conditional=c)["2025-07"] / 1e9 for c in (True, False))
    assert np.median(told) < np.median(untold)
    assert np.std(np.log(untold)) > np.std(np.log(told)) * 0.8
    assert crps(told, 2.77) < crps(untold, 2.77)


def test_the_back_test_covers_what_it_says_and_beats_what_anyone_would_say(scored: tuple[Scored, ...]) -> None:
    out = summary(scored)
    assert out["forecasts"] == 30
    assert out["band_90"][0] <= out["hits_90"] <= out["band_90"][1]
    assert all(v > 0 for v in out["skill"].values()), out["skill"]
    filed = {r["known_by"] for r in read_table("history") if r["series"] == "nvda_china_hk_revenue_billing"}
    assert {s.vintage for s in scored} <= filed


def test_a_vintage_that_peeks_scores_better_so_the_filter_is_no_dead_code() -> None:
    """The same quarter forecast with and without its own filing among the data."""
    day, peeking = date(2024, 11, 19), date(2024, 11, 20)
    honest = market_fit.predict(market_fit.fit(day), 1, conditional=True)
    found = market_fit.fit(peeking)
    p = past.parameters(found.posterior.normals, found.law)
    seen = past.by_quarter(past.play(p, doors.doors_of(found.path, 33, 2.65), 33).revenue)[-1]
    assert list(honest) == ["2024-10"] and found.quarters[-1] == "2024-10"
    assert crps(seen / 1e9, 5.42) < crps(honest["2024-10"] / 1e9, 5.42)


def test_shuffled_outcomes_lose_the_skill(scored: tuple[Scored, ...]) -> None:
    scored = tuple(next(s for s in scored if s.vintage == v) for v in dict.fromkeys(s.vintage for s in scored))
    honest = np.mean([s.crps / s.outcome for s in scored])
    outcomes = [s.outcome for s in scored]
    found = [np.interp((np.arange(99) + 0.5) / 99, [0.05, 0.1, 0.5, 0.9, 0.95], [s.p05, s.p10, s.p50, s.p90, s.p95])
             for s in scored]
    shuffled = np.mean([crps(f, y) / y for f, y in zip(found, outcomes[5:] + outcomes[:5], strict=True)])
    assert shuffled > 1.5 * honest


def test_the_record_counts_closings_under_a_threat_and_without_one() -> None:
    """By February 2025: the letter of 2022 came unforetold, the rule of 2023 and the memory rule under a threat."""
    trials = doors.record(doors.path_of(Catalogue(FEBRUARY)), 2.65)
    level, happened = trials["us_gate.closing"]
    assert happened.sum() == 3
    assert sorted(level[happened > 0] > 0.2) == [False, True, True]
    assert trials["us_gate.opening_hazard_per_month"][1].sum() == 0  # nothing had been taken back
    assert trials["cn_gate.counter_block_probability"][1].size == 0
    later = doors.record(doors.path_of(Catalogue(date(2025, 12, 31))), 2.65)
    assert later["us_gate.closing"][1].sum() == 4 and later["us_gate.opening_hazard_per_month"][1].sum() == 1
    assert later["cn_gate.counter_block_probability"][1].tolist() == [1.0]  # the relaxation of December is too young


def test_the_record_alone_gives_the_beta_posterior_of_a_counted_hazard() -> None:
    """An independent road: the weight of a hazard given k of n months is the binomial likelihood."""
    p = {"us_gate.closing_hazard_base_per_month": np.array([0.01, 0.01]),
         "us_gate.closing_hazard_after_threat_per_month": np.array([0.2, 0.4]), "x": np.array([0.05, 0.3])}
    trials = {"us_gate.closing": (np.array([1.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])),
              "x": (np.zeros(5), np.array([0, 0, 1.0, 0, 0]))}
    by_hand = [np.log(h * (1 - h) * 0.99) + np.log(x * (1 - x) ** 4) for h, x in ((0.2, 0.05), (0.4, 0.3))]
    assert market_fit.record_log_likelihood(p, trials) == pytest.approx(by_hand)


def test_each_episode_alone_has_the_law_of_its_row_and_episodes_go_together() -> None:
    z = prior(20_000)
    own = past.own_normals(z, past.PHI, 0.5)
    assert own.shape == (5, 20_000)
    assert own.std(axis=1) == pytest.approx(np.ones(5), abs=0.03)
    assert np.corrcoef(own)[0, 1:] == pytest.approx(np.full(4, 0.75), abs=0.02)


def test_a_vintage_sees_only_reports_known_by_its_date() -> None:
    assert {o.series for o, _ in market_fit.known_reports(FEBRUARY)} == {"nvda_orders_big4"}
    assert {o.series for o, _ in market_fit.known_reports(date(2025, 12, 31))} == {o.series for o in market_fit.REPORTS}
    assert market_fit.memory_rush(FEBRUARY) is None
    assert market_fit.memory_rush(date(2025, 12, 31)) == pytest.approx(7 / 6)


def test_a_scenario_runs_on_the_fit_of_the_last_vintage_it_may_see(given: Given) -> None:
    after = market_prior.calibrated(given)
    name = "us_gate.closing_hazard_after_threat_per_month"
    last = market_prior.shipped(given.as_of)
    assert last is not None
    fit = last.normals
    assert np.median(after[name]) > np.median(given[name])  # the record speaks of more closings than the range
    assert set(np.round(after.normal(name), 2)) <= set(np.round(fit[name], 2))
    # whole particles: what hangs together in the fit hangs together in the run
    pair = np.stack([after.normal(name), after.normal("market.shortage_cost_ratio")], axis=1)
    known = {tuple(row) for row in np.stack([fit[name], fit["market.shortage_cost_ratio"]], axis=1)}
    assert {tuple(row) for row in pair} <= known
    stated = given.with_rows([replace(given.row(name), law=point(0.3), kind="scenario")])
    assert market_prior.calibrated(stated)[name] == pytest.approx(np.full(given.draws, 0.3))
    block = after.block(100, 200)
    assert np.array_equal(block[name], after[name][100:200])
    assert market_prior.shipped(date(2025, 1, 1)) is None


def test_the_shipped_fits_see_nothing_later_than_their_date() -> None:
    """The filing of May 2025 names the unshipped orders; the fit of February must not know the cover they imply."""
    fits = [market_prior.shipped(d) for d in (FEBRUARY, date(2025, 5, 27), date(2025, 12, 31))]
    early, spring, late = (f.normals["market.shortage_cost_ratio"] for f in fits if f is not None)
    assert late.std() < early.std()
    assert np.array_equal(spring, early)


def known_then(as_of: str) -> Given:
    story = load("february-2025", as_of=as_of)
    return market_prior.calibrated(resolve(story, draws=1000, seed=2))


@pytest.mark.parametrize(("as_of", "end", "month", "came"), [
    ("2025-02-25", "2024-10", "2025-01", 5.53e9), ("2025-05-28", "2025-04", "2025-07", 2.77e9),
    ("2025-08-27", "2025-07", "2025-10", 2.97e9)])
def test_months_after_the_last_filing_beat_the_last_value_on_quarters_filed_later(as_of: str, end: str, month: str,
                                                                                  came: float) -> None:
    """The held-out next quarter: the fitted past foretells it better than the last filing carried on."""
    given = known_then(as_of)
    quarters = [v for _, v in sorted(filed.china_quarters(given).items())]
    foretold = quarters[-1] * filed.bridge(given, end, [month])[0] / 1e9
    spread = np.std(np.diff(np.log(quarters)))
    carried = quarters[-1] * np.exp(spread * special.ndtri(given.shock("test:carried"))) / 1e9
    assert crps(foretold, came / 1e9) < crps(carried, came / 1e9)
    assert np.quantile(foretold, 0.05) < came / 1e9 < np.quantile(foretold, 0.95)


def test_a_filing_newer_than_the_fit_moves_the_count_of_quarters() -> None:
    """On 10 March 2025 one more quarter was filed than the fit of February knew: the next one is its second."""
    eve, day = known_then("2025-02-25"), known_then("2025-03-10")
    assert max(filed.china_quarters(day)) > max(filed.china_quarters(eve))
    late = eve["past.second_quarter_ln"] - eve["past.next_quarter_ln"]
    assert day["past.next_quarter_ln"] == pytest.approx(late, abs=1e-6)
    months = ("2025-02", "2025-03", "2025-04", "2025-05")
    factors = filed.bridge(day, "2025-01", months)
    assert np.array_equal(factors[0], factors[2]) and not np.array_equal(factors[2], factors[3])
    assert filed.bridge(day, "2025-01", ()).shape == (0, day.draws)


def test_a_stated_next_quarter_stands(given: Given) -> None:
    stated = given.with_rows([replace(given.row("past.next_quarter_ln"), law=point(0.2), kind="scenario")])
    factor = filed.bridge(market_prior.calibrated(stated), "2024-10", ("2024-11", "2025-02"))
    assert factor[0] == pytest.approx(np.full(given.draws, np.exp(0.2))) and np.ptp(factor[1]) > 0
