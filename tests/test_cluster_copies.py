"""Copies in peers' memory, costs of checkpoints, congested links."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from chipcast.base.errors import InfeasibleError, InputError
from chipcast.cluster import copies as c
from chipcast.cluster.congestion import CONGESTION, congested
from chipcast.cluster.network import UNBOUNDED, Level, all_reduce
from chipcast.cluster.renewal import two_level_overhead


def test_pairs_and_rings_of_copies_as_published_and_as_counted() -> None:
    assert c.pairs_survive(16, 2) == pytest.approx(0.933333, abs=5e-7)
    assert c.ring_survives_two(16) == pytest.approx(0.866667, abs=5e-7)
    assert c.pairs_survive(1024, 3) == pytest.approx(0.997067, abs=5e-7)
    safe = [not any({2 * i, 2 * i + 1} <= set(lost) for i in range(4)) for lost in combinations(range(8), 3)]
    assert c.pairs_survive(8, 3) == pytest.approx(np.mean(safe))
    apart = [(b - a) % 9 not in (1, 8) for a, b in combinations(range(9), 2)]
    assert c.ring_survives_two(9) == pytest.approx(np.mean(apart))
    assert c.pairs_survive(8, 5) == 0 and c.pairs_survive(8, 0) == 1


def test_big_batches_cost_copies() -> None:
    assert c.batch_survives(256, np.ones(5)) == pytest.approx(1)
    assert c.batch_survives(256, np.array([1, 1, 1, 40])) < c.batch_survives(256, np.array([1, 1, 1, 4]))


def test_two_levels_are_the_overhead_and_the_restarts() -> None:
    near, far = 1 / 11_135, 1 / 111_350
    both = c.two_level_stretch(near, 5.0, far, 60.0, 300.0)
    assert both == pytest.approx(1 + two_level_overhead(near, 5, far, 60) + 300 * (near + far))


def test_a_checkpoint_costs_its_slowest_path() -> None:
    state = c.state_bytes(671e9, 14)
    assert state == pytest.approx(9.394e12, rel=1e-4)
    assert c.synchronous_stall(state, 2048, 20e9, 100e9) == pytest.approx(state / 100e9)
    assert c.synchronous_stall(state, 8, 20e9, 1e15) == pytest.approx(state / 8 / 20e9)
    assert c.asynchronous_stall(state, 2048, 20e9, 100e9, 600.0) == pytest.approx(state / 2048 / 20e9)
    with pytest.raises(InfeasibleError, match="the store needs 94 s for a checkpoint that is due every 60 s"):
        c.asynchronous_stall(state, 2048, 20e9, 100e9, 60.0)


@pytest.mark.parametrize(("kind", "amount", "factor"), [
    ("ideal", 8, 1.0), ("oversubscribed", 2, 2.0), ("ecmp", 8, 2.597), ("ecmp", 64, 3.958)])
def test_congestion_slows_large_messages_by_its_factor(kind: str, amount: float, factor: float) -> None:
    level = Level(name="x", ranks=UNBOUNDED, kind="clos", alpha_s=1e-12, bytes_s=50e9)
    slow = congested(level, kind, amount)
    assert all_reduce((slow,), 16, 1e9) / all_reduce((level,), 16, 1e9) == pytest.approx(factor, abs=1e-3)


def test_every_kind_of_congestion_leaves_a_single_path_alone() -> None:
    level = Level(name="x", ranks=UNBOUNDED, kind="clos", alpha_s=1e-6, bytes_s=50e9)
    for kind in CONGESTION:
        assert float(congested(level, kind, 1).bytes_s) == pytest.approx(50e9)
    with pytest.raises(InputError, match="unknown congestion 'ecpm'; did you mean 'ecmp'"):
        congested(level, "ecpm", 8)
    with pytest.raises(InputError, match="uplinks must be a whole number"):
        congested(level, "ecmp", 2.5)
