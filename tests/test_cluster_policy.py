"""Near copies, background writing, shrinking, cold and pooled spares, lemons, quarantine, domains: both roads."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from chipcast.base.errors import InfeasibleError, InputError
from chipcast.base.types import Array
from chipcast.cluster import policy as p
from chipcast.cluster.case import Case, fault_rates, keep
from chipcast.cluster.faults import CLASSES
from chipcast.cluster.ladder import masking
from chipcast.cluster.record import PARTS
from chipcast.cluster.renewal import pattern_stretch, segment_stretch, two_level_overhead
from chipcast.cluster.simulate import simulate, spread_of


def case(software: float = 0.0, host: float = 0.0, network: float = 0.0, **fields: object) -> Case:
    """Return a case of one chip a node with these stops per chip-hour, no ladder."""
    rates = np.zeros((len(CLASSES), 1))
    for name, rate in (("software", software), ("host", host), ("network", network)):
        rates[CLASSES.index(name)] = rate
    start = Case(rates=rates, masking=masking((), 1), detection_s=0.0, restart_s=600.0, checkpoint_s=60.0,
                 chips_per_node=1)
    return replace(start, **fields)  # type: ignore[arg-type]


def survives(share: float, *, software: float | None = None) -> Array:
    table = np.full((len(CLASSES), 1), share)
    if software is not None:
        table[CLASSES.index("software")] = software
    return table


def shares(played: object) -> Array:
    """Return the ledger of all runs together."""
    ledger, wall = played.ledger, played.wall_s  # type: ignore[attr-defined]
    out: Array = (ledger * wall).sum(axis=1) / wall.sum()
    return out


# --- two levels ------------------------------------------------------------------------------------------------


def test_one_segment_or_no_far_stops_is_the_plain_formula() -> None:
    plain = segment_stretch(1e-4, 1_000.0, 60.0)
    assert pattern_stretch(0.0, 1e-4, 1_000.0, 60.0, 60.0, 1.0) == pytest.approx(plain, rel=1e-12)
    assert pattern_stretch(1e-4, 0.0, 1_000.0, 60.0, 60.0, 9.0) == pytest.approx(plain, rel=1e-12)
    assert pattern_stretch(0.0, 0.0, 1_000.0, 10.0, 60.0, 5.0) == pytest.approx(1 + (4 * 10 + 60) / 5_000, rel=1e-9)


def test_two_levels_against_a_linear_system_of_segments() -> None:
    """Independent road: the expected times from each segment to the end of the pattern, solved as equations."""
    near, far, work, c1, c2, k = 2e-4, 7e-5, 900.0, 8.0, 70.0, 6
    total = near + far
    a, b = np.eye(k), np.zeros(k)
    for i in range(k):
        q = math.exp(-total * (work + (c2 if i == k - 1 else c1)))
        b[i] = (1 - q) / total
        a[i, i] -= (1 - q) * near / total
        a[i, 0] -= (1 - q) * far / total
        if i < k - 1:
            a[i, i + 1] -= q
    assert pattern_stretch(near, far, work, c1, c2, k) == pytest.approx(np.linalg.solve(a, b)[0] / k / work, rel=1e-11)


def test_two_levels_tend_to_the_first_order_overhead() -> None:
    """M1 11,135 s at 5 s and M2 111,350 s at 60 s: 0.062796, and the exact pattern at these intervals comes close."""
    first = two_level_overhead(1 / 11_135, 5, 1 / 111_350, 60)
    assert first == pytest.approx(0.062796, abs=5e-7)
    tau = math.sqrt(2 * 5 * 11_135)
    k = round(math.sqrt(2 * 60 * 111_350) / tau)
    exact = pattern_stretch(1 / 11_135, 1 / 111_350, tau, 5.0, 65.0, k) - 1
    assert exact == pytest.approx(first, rel=0.05)
    smaller = [pattern_stretch(x / 11_135, x / 111_350, tau / math.sqrt(x), 5.0, 65.0, k) - 1
               - two_level_overhead(x / 11_135, 5, x / 111_350, 60) for x in (1.0, 1e-2)]
    assert abs(smaller[1]) < abs(smaller[0]) / 20  # second order falls with the rate, first with its root


def test_near_copies_agree_on_both_roads() -> None:
    two = case(software=0.36, near=p.Near(stall_s=6.0, survives=survives(0.8), restart_s=120.0))
    exact = keep(two, (1,), interval_s=400.0)
    assert exact.far_every[0, 0] > 2
    played = simulate(two, 1, work_s=float(exact.far_every[0, 0]) * 400.0 * 12, interval_s=400.0, runs=30_000,
                      clock="progress")
    mean, error = spread_of(played)
    assert abs(mean - 1 / exact.ettr[0, 0]) < 3 * error
    assert shares(played) == pytest.approx(exact.ledger[0, :, 0], abs=0.002)
    assert exact.ettr[0, 0] > keep(case(software=0.36), (1,)).ettr[0, 0]


def test_the_two_intervals_chosen_are_near_the_best_pair() -> None:
    two = case(software=0.36, near=p.Near(stall_s=6.0, survives=survives(0.9), restart_s=600.0))
    chosen = keep(two, (1,))
    best = min(pattern_stretch(0.9e-4, 0.1e-4, tau, 6.0, 60.0, k) for tau in np.geomspace(60, 3_000, 60)
               for k in range(1, 30))
    tau, k = chosen.checkpoint_every_s[0, 0], chosen.far_every[0, 0]
    assert pattern_stretch(0.9e-4, 0.1e-4, tau, 6.0, 60.0, k) < best * 1.002


# --- background writing ----------------------------------------------------------------------------------------


def test_background_writing_agrees_on_both_roads_and_bounds_the_interval() -> None:
    slow = case(software=0.36, checkpoint_s=5.0, write_s=600.0)
    exact = keep(slow, (1,), interval_s=1_000.0)
    played = simulate(slow, 1, work_s=40_000.0, interval_s=1_000.0, runs=40_000, clock="progress")
    mean, error = spread_of(played)
    assert mean == pytest.approx(1 / exact.ettr[0, 0], abs=3 * error + 0.004)  # first order in rate times writing
    at_once = keep(replace(slow, write_s=0.0), (1,), interval_s=1_000.0)
    assert mean > 1 / at_once.ettr[0, 0] + 10 * error
    assert keep(slow, (1,)).checkpoint_every_s[0, 0] >= 600.0
    with pytest.raises(InfeasibleError, match="600 s to write and is due every 300 s"):
        keep(slow, (1,), interval_s=300.0)


# --- spares ----------------------------------------------------------------------------------------------------


def test_a_job_that_shrinks_agrees_on_both_roads_and_beats_one_that_waits() -> None:
    """Forty nodes, one spare, faults at any time; a replica has two nodes; each return stalls the job 300 s."""
    few = case(host=0.002, repair_h=20.0, restart_s=300.0, checkpoint_s=0.001, when_short="shrink", replica_nodes=2.0,
               rejoin_s=300.0)
    exact = keep(few, (40,), interval_s=900.0, spare_chips=1.0)
    played = simulate(few, 40, days=600, interval_s=900.0, spare_chips=1, runs=80)
    assert played.ledger.mean(axis=1) == pytest.approx(exact.ledger[0, :, 0], abs=0.004)
    waits = keep(replace(few, when_short="wait"), (40,), interval_s=900.0, spare_chips=1.0)
    assert exact.ettr[0, 0] > waits.ettr[0, 0] + 0.05
    with pytest.raises(InputError, match="unknown way when nodes are short 'wat'; did you mean 'wait'"):
        keep(replace(few, when_short="wat"), (40,))


def test_nodes_missing_on_average_by_simulation() -> None:
    rng = np.random.default_rng(3)
    down = rng.poisson(1.664, 400_000)
    assert p.overflow(p.Load(singles=1.664), 3.0) == pytest.approx(np.maximum(down - 3, 0).mean(), abs=0.002)
    groups = down + 4 * rng.poisson(0.2, 400_000)
    load = p.Load(singles=1.664, domains=((0.2, 4),))
    assert p.overflow(load, 3.0) == pytest.approx(np.maximum(groups - 3, 0).mean(), abs=0.006)
    assert load.at_most(np.array([2.0, 5.0])) == pytest.approx([(groups <= 2).mean(), (groups <= 5).mean()], abs=0.003)


def test_cold_spares_take_longer_and_agree_on_both_roads() -> None:
    cold = case(host=0.004, repair_h=12.0, restart_s=100.0, checkpoint_s=0.001, swap_s=60.0, cold_nodes=4.0,
                cold_swap_s=1_800.0)
    exact = keep(cold, (30,), interval_s=900.0, spare_chips=1.0)
    played = simulate(cold, 30, days=400, interval_s=900.0, spare_chips=1, runs=60, clock="progress")
    waiting = PARTS.index("waiting")
    assert played.ledger[waiting].mean() == pytest.approx(exact.ledger[0, waiting, 0], abs=0.004)
    hot = keep(replace(cold, cold_nodes=0.0), (30,), interval_s=900.0, spare_chips=5.0)
    assert hot.ledger[0, waiting, 0] < exact.ledger[0, waiting, 0]
    assert exact.spares[0, 0] == hot.spares[0, 0] == 5


def test_jobs_that_share_spares_need_fewer_each() -> None:
    alone = case(host=2e-4, repair_h=75.0, spares_target=0.999)
    pooled = replace(alone, jobs=8)
    a, b = (keep(c, (256,)) for c in (alone, pooled))
    assert b.spares[0, 0] < 0.75 * a.spares[0, 0]
    assert b.goodput[0, 0] > a.goodput[0, 0]
    shock = p.Shock(name="switch", share=np.zeros((len(CLASSES), 1)), nodes=8)
    with pytest.raises(InputError, match="jobs that share spares must be 1 where causes strike many nodes"):
        simulate(replace(pooled, shocks=(shock,)), 256, days=1)


def test_a_pool_of_spares_agrees_on_both_roads() -> None:
    """Four jobs of 30 nodes, a spare each, in one pool: the one watched waits as often as the formula says."""
    pooled = case(host=0.001, repair_h=20.0, jobs=4, restart_s=0.0, checkpoint_s=1e-3)
    exact = keep(pooled, (30,), interval_s=900.0, spare_chips=1.0)
    played = simulate(pooled, 30, days=600, interval_s=900.0, spare_chips=1, runs=80)
    alone = keep(replace(pooled, jobs=1), (30,), interval_s=900.0, spare_chips=1.0)
    waiting = PARTS.index("waiting")
    assert played.ledger[waiting].mean() == pytest.approx(exact.ledger[0, waiting, 0], abs=0.005)
    assert abs(played.ledger[waiting].mean() - alone.ledger[0, waiting, 0]) > 0.02
    assert played.goodput.mean() == pytest.approx(exact.goodput[0, 0], abs=0.01)


def test_waiting_in_a_pool_against_jobs_drawn_side_by_side() -> None:
    """Independent road: nodes down over all jobs are Poisson; each one missing is of a job picked at random."""
    pooled = case(host=2e-4, repair_h=75.0, jobs=4, restart_s=0.0, checkpoint_s=1e-3)
    exact = keep(pooled, (100,), spare_chips=2.0)
    rng = np.random.default_rng(5)
    missing = np.maximum(rng.poisson(4 * 100 * 2e-4 * 75.0, 400_000) - 8, 0)
    short = (rng.random(400_000) > 0.75**missing).mean()
    assert exact.ledger[0, PARTS.index("waiting"), 0] == pytest.approx(short, abs=0.003)


# --- domains ---------------------------------------------------------------------------------------------------


def test_a_switch_takes_its_nodes_down_together_on_both_roads() -> None:
    share = np.zeros((len(CLASSES), 1))
    share[CLASSES.index("network")] = 0.5
    one = case(network=0.002, repair_h=10.0, restart_s=0.0, checkpoint_s=0.001,
               shocks=(p.Shock(name="switch", share=share, nodes=8),))
    exact = keep(one, (64,), interval_s=900.0, spare_chips=10.0)
    played = simulate(one, 64, days=800, interval_s=900.0, spare_chips=10, runs=60, clock="progress")
    waiting = PARTS.index("waiting")
    assert exact.ledger[0, waiting, 0] == pytest.approx(played.ledger[waiting].mean(), abs=0.012)
    apart = keep(replace(one, shocks=()), (64,), interval_s=900.0, spare_chips=10.0)
    assert apart.mtbf_rollback_h == pytest.approx(exact.mtbf_rollback_h)  # one cause, one stop
    assert exact.ledger[0, waiting, 0] > apart.ledger[0, waiting, 0] + 0.02
    more = replace(one, spares_target=0.99)
    assert keep(more, (64,)).spares[0, 0] > keep(replace(more, shocks=()), (64,)).spares[0, 0]
    with pytest.raises(InputError, match="shares of domain faults must add to 1 at most"):
        keep(replace(one, shocks=one.shocks * 3), (64,))


# --- bad nodes -------------------------------------------------------------------------------------------------


def test_lemons_that_stay_change_no_mean_and_eviction_saves_faults_on_both_roads() -> None:
    bad = p.Lemons(share=0.05, factor=20.0, days=60.0)
    stays = case(host=1e-3, restart_s=60.0, checkpoint_s=0.001, lemons=bad)
    assert fault_rates(stays) == pytest.approx(stays.rates)
    out = replace(stays, lemons=replace(bad, evict_after=2))
    assert fault_rates(out).sum() < 0.75 * stays.rates.sum()
    for one in (stays, out):
        played = simulate(one, 300, days=60, interval_s=900.0, spare_chips=0, runs=400, clock="wall")
        expected = fault_rates(one).sum() * 300 * 60 * 24
        assert played.faults.mean() == pytest.approx(expected, abs=3.5 * played.faults.std() / 20)


def test_a_quarantine_swallows_relapses_on_both_roads() -> None:
    r = p.Relapse(branching=0.4, kernel_days=(0.5, 8.0), kernel_weights=(0.6, 0.4))
    free = case(host=2e-4, repair_h=1e-3, restart_s=60.0, checkpoint_s=0.001, relapse=r)
    held = replace(free, relapse=replace(r, quarantine_h=24.0))
    assert fault_rates(free) == pytest.approx(free.rates)
    assert fault_rates(held).sum() < 0.85 * free.rates.sum()
    for one in (free, held):
        played = simulate(one, 200, days=300, interval_s=900.0, spare_chips=40, runs=120, clock="wall",
                          repair="exponential")
        late = fault_rates(one).sum() * 200 * 300 * 24
        assert played.faults.mean() == pytest.approx(late, rel=0.03)  # the watch starts without a past


# --- software per job, adapted intervals -----------------------------------------------------------------------


def test_software_stops_per_job_do_not_grow_with_its_size() -> None:
    one = case(software=1e-5, job_software=1.0, anchor_chips=1000.0)
    sizes = keep(one, (100, 1000, 10_000))
    assert sizes.mtbf_h[:, 0] == pytest.approx([100.0] * 3)
    assert keep(replace(one, job_software=0.0), (100,)).mtbf_h[0, 0] == pytest.approx(1000.0)


def test_an_interval_learnt_from_ones_own_stops_nears_the_best() -> None:
    """Planned at a tenth of the true rate; after some stops the job saves about as often as it should."""
    wrong = case(software=0.36)
    planned = simulate(wrong, 1, days=90, interval_s=keep(case(software=0.036), (1,)).checkpoint_every_s[0],
                       runs=400, clock="progress")
    learnt = simulate(wrong, 1, days=90, interval_s=keep(case(software=0.036), (1,)).checkpoint_every_s[0],
                      runs=400, clock="progress", learn=2.0, planned_rate=1e-5)
    best = keep(wrong, (1,)).ettr[0, 0]
    assert planned.ettr.mean() < best - 0.04
    assert learnt.ettr.mean() == pytest.approx(best, abs=0.006)
