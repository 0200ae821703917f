"""The published fault log: exact replay, what it says, and which models of it pass or must fail."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from chipcast.base.errors import DataError, InputError
from chipcast.base.traces import read_json, read_text
from chipcast.cluster import dependence as d
from chipcast.cluster import fit as f
from chipcast.cluster import halves
from chipcast.cluster import log as log_file
from chipcast.cluster import trace as t
from chipcast.cluster.spares import spares_for_nodes_down

NAME = "stepfun_infinitehbd_fault_trace"


@pytest.fixture(scope="module")
def log() -> t.Trace:
    return log_file.pair_events(read_json(NAME), nodes=400, days=348)


@pytest.fixture(scope="module")
def known(log: t.Trace) -> d.Habits:
    return d.habits(log)


def test_the_shipped_trace_is_the_published_one() -> None:
    assert hashlib.sha256(read_text(NAME).encode()).hexdigest().startswith("5871b881b341c952")


def test_replay_of_the_published_log(log: t.Trace) -> None:
    r = t.replay(log)
    assert r.faults == 584
    assert r.per_1000_node_days == pytest.approx(4.1954, abs=5e-5)
    assert r.down_mean == pytest.approx(9.278, abs=5e-4)
    assert (r.down_median, r.down_90, r.down_99, r.down_max) == (7, 22, 31, 35)
    assert r.availability == pytest.approx(0.976786, abs=5e-7)
    assert r.down_node_days == pytest.approx(3_231.32, abs=5e-3)
    assert r.little == pytest.approx(9.2886, abs=5e-5)
    assert r.job_mtbf_h == pytest.approx(19.65, abs=5e-3)
    assert r.fault_mtbf_h == pytest.approx(14.30, abs=5e-3)
    assert len(t.outages(log)[0]) == 582


def test_lengths_and_clustering_of_the_published_log(log: t.Trace) -> None:
    assert np.quantile(log.hours, [0.05, 0.25, 0.5, 0.75, 0.95, 0.99]) == pytest.approx(
        [0.197, 2.052, 20.389, 75.884, 737.70, 1966.1], rel=1e-3)
    assert log.hours.mean() == pytest.approx(132.840, abs=5e-4)
    counts = t.per_node(log)
    assert t.dispersion(counts, ddof=1) == pytest.approx(2.577, abs=5e-4)
    assert (counts.max(), (counts == 0).sum()) == (14, 169)
    assert np.sort(counts)[-40:].sum() / counts.sum() == pytest.approx(0.4092, abs=5e-5)
    for width, value in ((1, 3.433), (7, 5.03), (30, 14.41)):
        assert t.dispersion(t.per_bin(log, width)) == pytest.approx(value, abs=5e-3)
    sizes = t.cluster_sizes(log)
    assert (len(sizes), sizes.sum()) == (425, 584)
    assert sizes[sizes > 1].sum() / 584 == pytest.approx(0.411, abs=5e-4)


def test_a_node_that_failed_fails_again_and_then_no_more(log: t.Trace) -> None:
    assert t.recurrence(log) == pytest.approx([42.1, 8.2, 4.4, 1.76, 1.05, 0.78], rel=0.02)


def test_where_batches_live(log: t.Trace) -> None:
    by_day = {"Stress Test Failure": 8.4, "Fan": 3.2, "Power Supply": 2.4, "GPU": 1.25, "Parameter Plane Cable": 1.24}
    for kind, value in by_day.items():
        keep = np.array([k == kind for k in log.kind])
        bins = np.bincount(np.floor(log.start[keep]).astype(int), minlength=349)
        assert t.dispersion(bins) == pytest.approx(value, abs=0.06), kind


def test_halves_of_the_log_do_not_remember_which_nodes_were_bad(log: t.Trace) -> None:
    first, second = t.per_node(log.part(0, 174)), t.per_node(log.part(174, 348))
    assert (first.sum(), second.sum()) == (312, 271)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(-0.020, abs=5e-3)
    assert t.worst_nodes_share(first, second, 40) == pytest.approx(0.10, abs=0.03)
    _, down = t.nodes_down(log)
    assert (np.quantile(down[:1740], 0.99), np.quantile(down[1740:], 0.99)) == (32, 13)


def test_two_roads_to_the_branching_ratio(log: t.Trace) -> None:
    found = f.fit(log, chips_per_node=8)
    assert found.branching_by_dispersion == pytest.approx(0.377, abs=5e-4)
    assert found.branching_by_excess == pytest.approx(0.384, abs=5e-4)
    assert found.rates["all"][2] == pytest.approx(21.85, abs=0.02)
    assert found.rates["Parameter Plane Cable"][0] == 40


def test_laws_of_repair_as_fitted_to_the_log(log: t.Trace) -> None:
    laws = {law.name: law for law in f.fit(log, chips_per_node=8).repair}
    weibull, one, two = laws["weibull"], laws["lognormal"], laws["two_lognormals"]
    assert weibull.parameters == pytest.approx((0.432, 45.99), abs=6e-3)
    assert (weibull.ks, weibull.mean_h) == pytest.approx((0.052, 125.6), abs=0.05)
    assert weibull.p > 0.05
    assert one.ks == pytest.approx(0.098, abs=5e-4)
    assert one.p < 1e-4
    assert one.mean_h == pytest.approx(515, abs=1)
    assert one.mean_h / 132.84 > 3.8  # it breaks Little's law fourfold
    assert two.parameters == pytest.approx((0.35, 0.76, 2.07, 0.65, 57.1, 1.61), abs=0.02)


@pytest.mark.parametrize(("model", "median", "low", "high", "passes"), [
    ("poisson", 17, 15, 19, False), ("independent", 16, 14, 19, False), ("batches", 18, 14, 23, False),
    ("batches+epochs", 20, 14, 28, False), ("batches+epochs+crews", 21, 14, 33, True)])
def test_only_batches_bad_months_and_slow_crews_reach_31_nodes_down(
        known: d.Habits, model: str, median: float, low: float, high: float, passes: bool) -> None:
    q = d.down_quantile(known, model, 0.99, runs=400)
    assert np.median(q) == pytest.approx(median, abs=1)
    assert np.quantile(q, [0.05, 0.95]) == pytest.approx([low, high], abs=2.1)
    assert ((q >= 31).mean() > 0.05) == passes


def test_the_usual_formula_covers_17_where_31_were_needed() -> None:
    assert spares_for_nodes_down(9.2886, 0.99) == 17


def test_relapses_give_the_spread_of_the_log_over_nodes(known: d.Habits) -> None:
    runs = 200
    node, day = d.relapsing_nodes(known, runs=range(runs))
    counts = d.counts_by_node(known, node, runs)
    spread = counts.var(axis=1, ddof=1) / counts.mean(axis=1)
    assert np.quantile(spread, [0.05, 0.5, 0.95]) == pytest.approx([2.05, 2.50, 3.06], abs=0.2)
    assert np.median((counts == 0).sum(axis=1)) == pytest.approx(158, abs=3)
    assert counts.sum() / runs == pytest.approx(584, rel=0.02)
    first, second = (d.counts_by_node(known, node[k], runs) for k in (day < 174, day >= 174))
    memory = [np.corrcoef(a, b)[0, 1] for a, b in zip(first, second, strict=True)]
    assert np.quantile(memory, 0.05) < -0.020 < np.quantile(memory, 0.95)


def test_nodes_that_differ_for_good_fit_the_spread_and_fail_the_memory(known: d.Habits) -> None:
    """Negative control: static frailty has the log's dispersion and a half-to-half correlation it does not have."""
    runs = 200
    node, day = d.frail_nodes(known, runs=range(runs))
    counts = d.counts_by_node(known, node, runs)
    assert np.median(counts.var(axis=1, ddof=1) / counts.mean(axis=1)) == pytest.approx(2.577, abs=0.12)
    first, second = (d.counts_by_node(known, node[k], runs) for k in (day < 174, day >= 174))
    memory = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(first, second, strict=True)])
    assert np.median(memory) == pytest.approx(0.43, abs=0.03)
    assert memory.min() > -0.020 + 0.2
    worst = np.median([t.worst_nodes_share(a, b, 40) for a, b in zip(first, second, strict=True)])
    assert worst == pytest.approx(0.25, abs=0.02)


def test_fitted_on_one_half_counts_recurrence_and_repairs_pass_on_the_other(log: t.Trace) -> None:
    found = halves.compare_halves(log)
    assert len(found) == 7 and [c.name for c in found if not c.inside] == []
    assert {c.name: c.seen for c in found}["faults"] == 271


def test_plain_poisson_fails_on_the_other_half(log: t.Trace) -> None:
    """Negative control: without relapses no history fails again on the same node as often as the second half does."""
    plain = {c.name: c for c in halves.compare_halves(log, relapses=False)}
    for lag in ("0 to 7", "7 to 30"):
        later = plain[f"rate on the same node {lag} days later, times"]
        assert not later.inside and later.seen > 2 * later.high


def test_a_constant_rate_is_borderline_between_halves(log: t.Trace) -> None:
    """Counts of the first half as a negative binomial, no bad months: 272 to 354, and 271 came."""
    first, second = log.part(0, 174), log.part(174, 348)
    rng = np.random.default_rng(2)
    counts = rng.poisson(rng.gamma(len(first.start) + 0.5, 1.0, 200_000))
    assert np.quantile(counts, [0.05, 0.95]) == pytest.approx([272, 354], abs=2)
    assert np.quantile(counts, 0.04) <= len(second.start) <= np.quantile(counts, 0.96)


def test_halves_with_few_faults_say_nothing() -> None:
    few = log_file.from_rows([{"node": "a", "start": str(d), "end": str(d + 1)} for d in range(12)], nodes=4, days=12)
    with pytest.raises(DataError, match="a comparison needs 20 in each"):
        halves.compare_halves(few)


def test_histories_do_not_depend_on_how_runs_are_cut(known: d.Habits) -> None:
    whole = d.down_on_grid(known, d.histories(known, "batches+epochs+crews", runs=range(12)), range(12))
    part = d.down_on_grid(known, d.histories(known, "batches+epochs+crews", runs=range(5, 9)), range(5, 9))
    assert np.array_equal(whole[5:9], part)


def test_the_fifth_fleet_and_the_held_out_run() -> None:
    """Rates of the other three fleets predict the 54-day run's 419 stops: wide, and it lies inside."""
    four = np.array([33.85, 12.19, 19.73, 21.85])
    low, middle, high = f.between_fleets(four, np.array([0.05, 0.5, 0.95]))
    assert (low, middle, high) == pytest.approx((6.8, 20.54, 61.9), abs=0.05)
    assert np.log(four).std(ddof=1) == pytest.approx(0.419, abs=5e-4)
    three = np.delete(four, 2) * 1e-6
    low, middle, high = f.predictive_counts(three, 21_233_664, np.array([0.05, 0.5, 0.95]))
    assert (low, middle, high) == pytest.approx((78, 442, 2488), rel=0.02)
    assert low < 419 < high


def event(kind: str, day: object, node: str = "a") -> dict[str, object]:
    return {"node_id": node, "event_time": day, "event_type": kind, "fault_type": {"Class": "GPU"}}


def test_logs_that_cannot_be_true_are_refused() -> None:
    with pytest.raises(DataError, match="has no start before it"):
        log_file.pair_events([event("fault_end", 1.0)], nodes=2, days=10)
    with pytest.raises(DataError, match="event_type must be fault_start or fault_end, got 'boom'"):
        log_file.pair_events([event("boom", 1.0)], nodes=2, days=10)
    with pytest.raises(DataError, match="event_time must be a number of days of 0 or more, got -1"):
        log_file.pair_events([event("fault_start", -1)], nodes=2, days=10)
    with pytest.raises(DataError, match="event_time must be a number of days of 0 or more, got 'x'"):
        log_file.pair_events([event("fault_start", "x")], nodes=2, days=10)
    with pytest.raises(DataError, match="before it starts"):
        log_file.from_rows([{"node": "a", "start": "5", "end": "4"}], nodes=2, days=10)
    with pytest.raises(DataError, match="no column for start"):
        log_file.from_rows([{"node": "a", "end": "4"}], nodes=2, days=10)
    with pytest.raises(DataError, match="must be days or a time"):
        log_file.from_rows([{"node": "a", "start": "noon", "end": "4"}], nodes=2, days=10)
    with pytest.raises(InputError, match="names 2 nodes, more than the 1 watched"):
        log_file.from_rows([{"node": n, "start": "1", "end": "4"} for n in "ab"], nodes=1, days=10)
    with pytest.raises(InputError, match="unknown model of dependence 'poison'; did you mean 'poisson'"):
        d.histories(d.Habits(nodes=1, days=1.0, faults_per_day=1.0, repair_days=np.ones(1),
                             batch_sizes=np.ones(1, dtype=np.int64)), "poison", runs=range(1))


def test_a_log_of_ones_own_with_dates_or_days() -> None:
    days = log_file.from_rows([{"host": "a", "start_day": "0.5", "end_day": "1.5", "component": "hbm"},
                        {"host": "b", "start_day": "2", "end_day": "", "component": "link"}], nodes=4, days=10)
    assert days.end[1] == 10
    dated = log_file.from_rows([{"node": "a", "start": "2025-03-01T12:00+00:00", "end": "2025-03-02T12:00+00:00"},
                         {"node": "b", "start": "2025-03-03T00:00+00:00", "end": "2025-03-03T06:00+00:00"}],
                        nodes=4, days=10)
    assert dated.start == pytest.approx([0.5, 2.0])
    assert dated.hours == pytest.approx([24, 6])
