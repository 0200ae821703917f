"""Two roads, one answer: jobs played out fault by fault against the exact formulas."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from chipcast.base.errors import InfeasibleError, InputError
from chipcast.base.given import Given
from chipcast.base.traces import read_json
from chipcast.cluster import renewal as r
from chipcast.cluster.case import Case, keep
from chipcast.cluster.dependence import habits
from chipcast.cluster.faults import CLASSES
from chipcast.cluster.goodput import case_of
from chipcast.cluster.ladder import Tier, masking
from chipcast.cluster.log import pair_events
from chipcast.cluster.record import PARTS
from chipcast.cluster.simulate import simulate, spread_of, typical_and_bad


def case(rolls_h: float = 0.36, online_h: float = 0.0, node_h: float = 0.0, **fields: object) -> Case:
    """Return a case of one chip: software stops that roll back, link faults mended in 8 s, host faults that repair."""
    table = np.zeros((len(CLASSES), 1))
    table[CLASSES.index("software")], table[CLASSES.index("network")] = rolls_h, online_h
    table[CLASSES.index("host")] = node_h
    retry = Tier(name="retry", classes=("network",), success=1.0, stall_s=8.0, repeats_step=False)
    start = Case(rates=table, masking=masking((retry,), 1), detection_s=0.0, restart_s=600.0, checkpoint_s=60.0,
                 chips_per_node=1)
    return replace(start, **fields)  # type: ignore[arg-type]


def test_played_jobs_meet_the_renewal_formula_without_strikes() -> None:
    played = simulate(case(), 1, work_s=20_000.0, interval_s=1_000.0, runs=60_000, clock="progress")
    mean, error = spread_of(played)
    assert abs(mean - 23_706.238 / 20_000) < 3 * error
    assert played.wall_s.std() == pytest.approx(1_825.359, rel=0.02)


def test_played_jobs_meet_the_renewal_formula_with_strikes_in_restart() -> None:
    played = simulate(case(), 1, work_s=20_000.0, interval_s=1_000.0, runs=60_000, clock="wall")
    mean, error = spread_of(played)
    assert abs(mean - 23_747.311 / 20_000) < 3 * error
    assert played.strikes.sum() > 0


def test_played_jobs_meet_the_ladder_formula() -> None:
    played = simulate(case(online_h=0.72), 1, work_s=20_000.0, interval_s=1_000.0, runs=60_000, clock="progress")
    mean, error = spread_of(played)
    assert abs(mean - 1.1871010) < 3 * error
    exact = keep(case(online_h=0.72), (1,), interval_s=1_000.0).ledger[0, :, 0]
    shares = (played.ledger * played.wall_s).sum(axis=1) / played.wall_s.sum()
    assert shares == pytest.approx(exact, abs=0.0015)


def test_a_failed_try_costs_its_stall_on_both_roads() -> None:
    half = Tier(name="half", classes=("network",), success=0.5, stall_s=100.0, repeats_step=False)
    both = case(rolls_h=0.0, online_h=0.72, masking=masking((half,), 1))
    mean, error = spread_of(simulate(both, 1, work_s=20_000.0, interval_s=1_000.0, runs=60_000, clock="progress"))
    assert abs(mean - 1 / keep(both, (1,), interval_s=1_000.0).ettr[0, 0]) < 3 * error


def test_detection_is_not_struck_and_restarts_are_on_both_roads() -> None:
    struck = case(detection_s=900.0, strikes=True)
    mean, error = spread_of(simulate(struck, 1, work_s=20_000.0, interval_s=1_000.0, runs=80_000, clock="wall"))
    exact = 1 / keep(struck, (1,), interval_s=1_000.0).ledger[0, 0, 0]
    assert abs(mean - exact) < 3.5 * error
    by_hand = r.segment_stretch(1e-4, 1000.0, 60.0) * (1 + 1e-4 * (900 * math.exp(0.06) + math.expm1(0.06) / 1e-4))
    assert exact == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("repair", ["exponential", "fixed", "weibull"])
def test_waiting_for_nodes_does_not_depend_on_the_repair_law(repair: str) -> None:
    """Twenty nodes, two spares, faults only while the job runs: Erlang's loss formula for all three laws."""
    few = case(rolls_h=0.0, node_h=0.01, repair_h=6.0, restart_s=0.0, checkpoint_s=0.001)
    played = simulate(few, 20, days=400, spare_chips=2, interval_s=3600.0, runs=60, clock="progress", repair=repair)
    exact = keep(few, (20,), interval_s=3600.0, spare_chips=2.0)
    waiting = PARTS.index("waiting")
    assert played.ledger[waiting].mean() == pytest.approx(exact.ledger[0, waiting, 0], abs=0.004)


def test_slow_members_cost_the_same_on_both_roads() -> None:
    slow = case(rolls_h=0.0, slow_episodes=0.2, slow_episode_h=1.5, slow_factor=1.34)
    played = simulate(slow, 1, days=300, interval_s=1_000.0, runs=60)
    exact = keep(slow, (1,), interval_s=1_000.0)
    assert played.goodput.mean() == pytest.approx(exact.goodput[0, 0], abs=0.003)
    assert played.ledger[PARTS.index("slow_down")].mean() == pytest.approx(
        exact.ledger[0, PARTS.index("slow_down"), 0], abs=0.003)


def test_silent_corruption_loses_its_latency_on_both_roads() -> None:
    table = np.zeros((len(CLASSES), 1))
    table[CLASSES.index("silent")] = 0.02
    silent = case(rates=table, silent_latency_s=7_200.0, strikes=True)
    played = simulate(silent, 1, days=200, interval_s=1_000.0, runs=60)
    exact = keep(silent, (1,), interval_s=1_000.0)
    assert played.ettr.mean() == pytest.approx(exact.ettr[0, 0], abs=0.01)
    assert played.ettr.mean() < keep(replace(silent, silent_latency_s=0.0), (1,), interval_s=1_000.0).ettr[0, 0] - 0.02


def test_a_real_case_agrees_on_both_roads_draw_by_draw(given: Given) -> None:
    for chip in ("h800-sxm", "ascend-910c"):
        whole = case_of(given, chip)
        exact = keep(whole, (8192,), spare_chips=1024.0)
        played = simulate(whole, 8192, days=54, runs=600, spare_chips=1024)
        gap = played.ettr - exact.ettr[0, :600]
        assert abs(gap.mean()) < 3 * gap.std() / math.sqrt(600) + 0.004  # interval floors and edges of the 54 days
        assert np.abs(played.ledger.sum(axis=0) - 1).max() < 1e-9
        assert played.ledger.min() >= 0


def test_weibull_lives_keep_their_ages_when_others_fail() -> None:
    """256 fresh nodes of shape 0.7 and mean 153.85 days have 102.0 faults in 30 days; re-drawn ages give 538."""
    aged = case(rolls_h=1 / (153.85 * 24), restart_s=0.0, checkpoint_s=0.001)
    played = simulate(aged, 256, days=30, runs=400, spare_chips=0, interval_s=3600.0, lifetime_shape=0.7)
    error = played.faults.std() / math.sqrt(400)
    assert abs(played.faults.mean() - 102.012) < 3 * error
    memoryless = simulate(aged, 256, days=30, runs=400, spare_chips=0, interval_s=3600.0)
    assert abs(memoryless.faults.mean() - 49.919) < 3 * memoryless.faults.std() / math.sqrt(400)


def test_many_ageing_nodes_together_are_nearly_poisson_and_one_is_not() -> None:
    """Palm and Khintchine: thin independent streams add up to a Poisson stream."""
    aged = case(rolls_h=1 / 100, restart_s=0.0, checkpoint_s=0.001)
    one = simulate(aged, 1, days=400, runs=600, spare_chips=0, interval_s=3600.0, lifetime_shape=0.6)
    many = simulate(replace(aged, rates=aged.rates / 400), 400, days=40, runs=600, spare_chips=0, interval_s=3600.0,
                    lifetime_shape=0.6)
    assert one.faults.var() / one.faults.mean() > 2.0
    assert many.faults.var() / many.faults.mean() == pytest.approx(1, abs=0.2)


def test_a_changed_ladder_leaves_every_fault_where_it_was(given: Given) -> None:
    none, full = (replace(case_of(given, "ascend-910c", ladder=m), repair_h=np.zeros(given.draws))
                  for m in ("none", "full"))
    a, b = (simulate(c, 4096, days=30, runs=60, spare_chips=0, silent_latency_s=0.0) for c in (none, full))
    assert np.array_equal(a.faults, b.faults)
    assert b.ettr.mean() > a.ettr.mean()


def test_a_run_depends_on_its_number_alone(given: Given) -> None:
    whole = case_of(given, "h800-sxm")
    a = simulate(whole, 4096, days=20, runs=30, spare_chips=64)
    b = simulate(whole, 4096, days=20, runs=12, first_run=10, spare_chips=64)
    assert np.array_equal(a.ledger[:, 10:22], b.ledger)


def test_faults_that_come_together_take_more_nodes_down_at_once() -> None:
    log = habits(pair_events(read_json("stepfun_infinitehbd_fault_trace"), nodes=400, days=348))
    fleet = case(rolls_h=0.0, node_h=4.195e-3 / 24, repair_h=132.84, restart_s=300.0)
    alone = simulate(fleet, 400, days=348, runs=60, spare_chips=100, interval_s=1800.0, grid_days=0.25)
    both = simulate(fleet, 400, days=348, runs=60, spare_chips=100, interval_s=1800.0, grid_days=0.25, together=log,
                    repair="empirical")
    late = slice(300, None)
    q_alone, q_both = (np.median(np.quantile(p.down[:, late], 0.99, axis=1)) for p in (alone, both))
    assert q_both > q_alone + 2
    assert both.faults.mean() == pytest.approx(alone.faults.mean(), rel=0.12)
    assert both.rollbacks.mean() < 0.85 * alone.rollbacks.mean()  # one cause, one stop


def test_a_log_of_states_tells_a_typical_and_a_bad_run(given: Given) -> None:
    played = simulate(case_of(given, "ascend-910b2"), 8192, days=3, runs=40, log=400)
    typical, bad = typical_and_bad(played)
    assert played.ettr[bad] < played.ettr[typical]
    times = played.log_s[typical]
    times = times[np.isfinite(times)]
    assert np.all(np.diff(times) >= 0) and times[0] == 0


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="days or work_s must be given"):
        simulate(case(), 1)
    with pytest.raises(InputError, match="unknown clock 'wal'; did you mean 'wall'"):
        simulate(case(), 1, days=1, clock="wal")
    with pytest.raises(InputError, match="unknown law of repair 'weibul'"):
        simulate(case(), 1, days=1, repair="weibul")
    with pytest.raises(InputError, match="come with a log's habits"):
        simulate(case(), 1, days=1, repair="empirical")
    with pytest.raises(InfeasibleError, match="no progress"):
        simulate(case(rolls_h=30.0), 1, work_s=1e6, interval_s=3000.0, runs=2)
