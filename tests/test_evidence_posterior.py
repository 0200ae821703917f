"""Conditioning on reports meets the answers that are known by quadrature and in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from scipy import stats

from chipcast.base.catalog import Catalogue
from chipcast.base.errors import InputError
from chipcast.base.given import Given, Row
from chipcast.base.laws import Law, law_of_row, point
from chipcast.evidence.likelihood import Quantities, log_likelihood, reading_weights
from chipcast.evidence.posterior import condition, posterior_table
from chipcast.evidence.recovery import recover, simulated
from chipcast.evidence.reports import SERIES, UNITS_OF, Observation, observations, own_observation
from chipcast.scenario import load, resolve

Z95 = 1.6448536269514722


def row(name: str, law: Law) -> Row:
    return Row(name=name, law=law, unit="1", kind="assumed", source="assumed")


def lognormal(median: float, log_sd: float) -> Law:
    return law_of_row("lognormal", median * np.exp(-Z95 * log_sd), median, median * np.exp(Z95 * log_sd), "x")


def beta(a: float, b: float) -> Law:
    low, high = stats.beta(a, b).ppf([0.05, 0.95])
    return law_of_row("beta", low, (low + high) / 2, high, "x")


def report(series: str, value: float, **fields: object) -> Observation:
    base = Observation(id=f"{series}/{value}", series=series, period="2025", relation="about", value=value,
                       definition="count", source_class="newspaper", origin=f"origin-{series}-{value}",
                       known_by=date(2025, 2, 1), source="assumed", why="")
    return replace(base, **fields)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plain() -> Given:
    """A table whose reports have an error of 0.3, no outliers and no shared bias."""
    given = resolve(load("february-2025"), draws=8000, seed=1)
    quiet = {"source_all.outlier_share": 1e-12, "source_origin.sigma_ln": 0.0,
             "source_publisher.sigma_ln": 0.0, "source_newspaper.bias_logit_yield": 0.0,
             "source_newspaper.bias_ln_count": 0.0,
             "source_newspaper.sigma_logit_yield": 0.3, "source_newspaper.sigma_ln_count": 0.25,
             "yield_reading_dual_die_early.weight_die_any": 0.40,
             "yield_reading_dual_die_early.weight_through": 0.25, "yield_reading_dual_die_early.weight_blind": 0.35,
             "yield_reading_dual_die_early.weight_die_perfect": 0.0}
    return given.with_rows([row(k, point(v)) for k, v in quiet.items()])


def two_reports(given: Given, reports: Sequence[Observation]) -> Quantities:
    y, assembly = given["test.die_yield"], given["test.assembly"]
    return {("smic_ai_die_yield", "2025", "die.any"): y, ("910c.yield", "2025", "die.any"): y,
            ("910c.yield", "2025", "through"): y * assembly, ("910c.yield", "2025", "blind"): y * y * assembly,
            ("910c.yield", "2025", "die.perfect"): y, ("screened", "2025", ""): np.zeros(given.draws)}


E1 = (report("smic_ai_die_yield", 0.50, definition="die.any"),
      report("910c.yield", 0.20, definition="dual_die_early"))


def test_e1_two_reports_with_an_open_reading(plain: Given) -> None:
    """Reports of 50 and 20 percent: the blind reading explains the second one (posterior .0063 .0690 .9247)."""
    given = plain.with_rows([row("test.die_yield", beta(2, 3)), row("test.assembly", beta(16, 4))])
    found = condition(given, E1, forward=two_reports)
    weights = found.reading_weights[1]
    assert weights["die.any"] == pytest.approx(0.0063, abs=0.003)
    assert weights["through"] == pytest.approx(0.0690, abs=0.012)
    assert weights["blind"] == pytest.approx(0.9247, abs=0.012)
    assert found.given["test.die_yield"].mean() == pytest.approx(0.4903, abs=3 * 0.07 / np.sqrt(2000))
    die, through, blind = (np.log(w * e) for w, e in ((0.40, 0.0017456), (0.25, 0.0304761), (0.35, 0.2918138)))
    expected = np.logaddexp(np.logaddexp(die, through), blind)
    assert found.log_evidence == pytest.approx(expected, abs=0.15)


def balance(given: Given, reports: Sequence[Observation]) -> Quantities:
    dies = given["test.wafers"] * given["test.gross"] * given["test.share"]
    return {("ascend_dies", "2025", "count"): dies, ("huawei_910b_cards", "2025", "count"): dies}


BALANCE = {"test.wafers": lognormal(84_000, 0.5), "test.gross": lognormal(80, 0.03),
           "test.share": lognormal(0.30, 0.35)}


def test_e2_wafers_times_dies_times_yield_is_all_that_output_teaches(plain: Given) -> None:
    """A million good dies: wafers 4,682 a month, yield .2463, correlation -.725 (closed form)."""
    given = plain.with_rows([row(k, v) for k, v in BALANCE.items()])
    after = condition(given, (report("ascend_dies", 1e6),), forward=balance).given
    w, n, y = (np.log(after[k]) for k in BALANCE)
    assert np.exp(w.mean()) / 12 == pytest.approx(4682, rel=0.03)
    assert np.exp(n.mean()) == pytest.approx(79.88, rel=0.003)
    assert np.exp(y.mean()) == pytest.approx(0.2463, rel=0.03)
    assert (w.std(), n.std(), y.std()) == (pytest.approx(0.3265, rel=0.06), pytest.approx(0.0300, rel=0.06),
                                           pytest.approx(0.2968, rel=0.06))
    assert np.corrcoef(w, y)[0, 1] == pytest.approx(-0.725, abs=0.04)


def test_copies_of_one_origin_change_nothing() -> None:
    catalog = Catalogue(date(2025, 2, 25))
    once = observations(catalog)
    copy = {"series": "910c.yield", "value": 0.4, "definition": "dual_die_volume", "published": "2025-02-25",
            "period": "2025-02", "source_class": "newspaper", "origin": "ft-2025-02-25"}
    assert observations(catalog, own=[copy]) == once


def test_the_order_of_reports_changes_nothing(plain: Given) -> None:
    given = plain.with_rows([row("test.die_yield", beta(2, 3)), row("test.assembly", beta(16, 4))])
    forward, backward = (log_likelihood(given, order, two_reports(given, order)) for order in (E1, E1[::-1]))
    assert forward == pytest.approx(backward)


def test_a_report_with_one_reading_left_is_the_single_reading_fit(plain: Given) -> None:
    only = plain.with_rows([row("test.die_yield", beta(2, 3)), row("test.assembly", beta(16, 4)),
                            *[row(f"yield_reading_dual_die_early.weight_{k}", point(v)) for k, v in
                              (("die_any", 1.0), ("through", 0.0), ("blind", 0.0), ("die_perfect", 0.0))]])
    open_, fixed = E1[1], replace(E1[1], definition="die.any")
    found = two_reports(only, E1)
    assert log_likelihood(only, [open_], found) == pytest.approx(log_likelihood(only, [fixed], found))


def test_a_screened_flow_has_no_blind_yield(given: Given) -> None:
    weights = reading_weights(given, report("910c.yield", 0.2, definition="dual_die_early"), np.ones(given.draws))
    assert np.all(weights["blind"] == 0)
    assert sum(weights.values()) == pytest.approx(1.0)


def test_no_report_leaves_the_prior(plain: Given) -> None:
    found = condition(plain, (), forward=balance)
    assert found.given is plain


def test_shifted_dates_are_seen() -> None:
    """Negative control: the filter by date is alive."""
    early, late = (observations(Catalogue(d)) for d in (date(2025, 2, 25), date(2025, 3, 10)))
    assert {o.id for o in early} < {o.id for o in late}
    assert any(o.series == "foreign_dies" for o in late)
    assert not any(o.series == "foreign_dies" for o in early)


def test_a_claims_own_origin_can_be_left_out() -> None:
    left = observations(Catalogue(date(2025, 2, 25)), without=["ft-2025-02-25"])
    assert left
    assert all(o.origin != "ft-2025-02-25" for o in left)


def test_reports_that_fight_are_named(plain: Given) -> None:
    sure = plain.with_rows([row(k, v) for k, v in BALANCE.items()]
                           + [row("source_newspaper.sigma_ln_count", point(0.01))])
    fight = (report("ascend_dies", 2.1e6), report("huawei_910b_cards", 9e7))
    with pytest.raises(InputError, match=r"the reports contradict .* is below 100; the fight is about "
                                         r"'(ascend_dies/2100000|huawei_910b_cards/90000000)"):
        condition(sure, fight, forward=balance)


def test_two_reports_on_one_quantity_that_no_posterior_can_serve_are_named() -> None:
    """A filing of 5 million cards beside a newspaper's 200,000: the posterior lies between, far from both."""
    given = resolve(load("february-2025"), draws=1000, seed=1)
    own = [{"series": "huawei_910b_cards", "value": "5M", "period": "2024", "published": "2025-02-01",
            "source_class": "filing"}]
    with pytest.raises(InputError, match=r"the fight is about '(ft-2025-02-25/910b-produced|own-0/huawei_910b)"):
        condition(given, own=own)


OWN = {"series": "smic_ai_die_yield", "value": "35%", "definition": "die.any", "published": "2025-02-01",
       "source_class": "newspaper"}


def test_an_analysts_own_report_is_read() -> None:
    own = own_observation(OWN, 0, date(2025, 2, 25))
    assert (own.value, own.period, own.definition) == (0.35, "2025-02", "die.any")
    count = own_observation({**OWN, "series": "hbm_stacks_imported", "value": "4M", "unit": "stacks"}, 1,
                            date(2025, 2, 25))
    assert (count.value, count.period, count.is_share) == (4e6, "2025", False)
    assert set(UNITS_OF) == set(SERIES)


@pytest.mark.parametrize(("change", "match"), [
    ({"definition": ""}, r"reports\[0\] gives a yield without its definition; write definition: one of die.any"),
    ({"published": "2025-06-01"}, r"reports\[0\] is known by 2025-06-01, after as_of 2025-02-25"),
    ({"series": "smic_yield"}, r"unknown series of a report 'smic_yield'; did you mean"),
    ({"value": "135%"}, r"reports\[0\].value must lie inside 0 to 1"),
    ({"value": "3 GB"}, r"'3 GB' is a bytes"),
    ({"series": "huawei_910b_cards", "value": "300k dies", "definition": "count"}, r"'300k dies' is a dies, but cards"),
    ({"series": "huawei_910b_cards", "value": "300k parsecs"}, r"unit 'k parsecs' in '300k parsecs' is not known"),
    ({"series": "huawei_share_of_china_cards", "value": "175%"}, r"must lie inside 0 to 1 for a share"),
    ({"definition": "die"}, r"unknown definition of report"),
    ({"source_class": "blog"}, r"unknown source class of report"),
])
def test_a_bad_report_is_refused(change: Mapping[str, str], match: str) -> None:
    with pytest.raises(InputError, match=match):
        own_observation({**OWN, **change}, 0, date(2025, 2, 25))


def test_contraction_is_printed_most_informed_first(plain: Given) -> None:
    given = plain.with_rows([row(k, v) for k, v in BALANCE.items()])
    table = posterior_table(condition(given, (report("ascend_dies", 1e6),), forward=balance))
    assert table[0]["name"] == "test.wafers"
    assert next(r for r in table if r["name"] == "test.gross")["prior_driven"]


def hidden(given: Given, reports: Sequence[Observation]) -> Quantities:
    w, n, y = (given[k] for k in BALANCE)
    return {("ascend_dies", "2025", "count"): w * n * y, ("smic_ai_wafer_starts_per_month", "2025", "count"): w / 12,
            ("910b.yield", "2025", "die.any"): np.minimum(y, 0.99)}


def test_intervals_hold_the_truth_when_reports_come_from_the_model(plain: Given) -> None:
    """Parameter recovery: 120 simulated worlds, 90 percent intervals of all quantities pooled."""
    rows = [row(k, v) for k, v in BALANCE.items()]
    seen = (report("ascend_dies", 1e6), report("smic_ai_wafer_starts_per_month", 7e3),
            report("910b.yield", 0.3, definition="die.any"))
    found = recover(plain.with_rows(rows), seen, 120, particles=400, forward=hidden)
    assert set(found.names) == set(BALANCE)
    assert 0.85 <= found.coverage_90 <= 0.95
    assert 0.42 <= found.coverage_50 <= 0.58


def test_simulated_reports_have_the_spread_of_their_likelihood(plain: Given) -> None:
    """Figures about their own truth: error 0.25 in logs; with outliers the tails are heavier."""
    base = plain.with_rows([row(k, v) for k, v in BALANCE.items()])
    one = (report("ascend_dies", 1e6),)
    truth = hidden(base, one)
    gaps = np.log(simulated(base, one, truth)[0] / truth[("ascend_dies", "2025", "count")])
    assert gaps.std() == pytest.approx(0.25, rel=0.05)
    assert abs(gaps.mean()) < 0.02
    loose = base.with_rows([row("source_all.outlier_share", point(0.3))])
    wild = np.log(simulated(loose, one, truth)[0] / truth[("ascend_dies", "2025", "count")])
    assert wild.std() == pytest.approx(0.25 * np.sqrt(0.7 + 0.3 * 16), rel=0.08)


def test_the_two_information_sets_differ_mostly_through_the_bank_of_foreign_dies(
        cli_json: Callable[..., Any], cli: Callable[..., tuple[int, str, str]]) -> None:
    found = cli_json("evidence", "--against", "2025-03-10", "--draws", "1000")
    assert found["new_reports"] == ["csis-2025-03-07/n2-yield", "csis-2025-03-07/tsmc-dies"]
    assert found["quantities"][0]["name"] == "die_bank.dies"
    assert found["quantities"][0]["second"]["p50"] > 3 * found["quantities"][0]["first"]["p50"]
    outputs = {o["name"]: o for o in found["outputs"]}
    assert outputs["smic_ai_die_yield.2025"]["shift_sd"] < 0, "the same report puts the yield at 20 percent"
    code, _, err = cli("evidence", "--against", "2025-02-25", "--draws", "100")
    assert code == 2 and "must lie after 2025-02-25" in err
