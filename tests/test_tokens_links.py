"""Messages of a step against the collectives of `cluster`: the same fabric, the same order of time."""

from __future__ import annotations

import numpy as np
import pytest

from chipcast.base.given import Given
from chipcast.cluster.collectives import COLLECTIVES, DIRECT, lower_bound
from chipcast.cluster.network import UNBOUNDED, Level, all_reduce
from chipcast.tokens.speed import at_middle, speed_of
from chipcast.tokens.step import Speed, all_reduce_s

CHIPS = ("h800-sxm", "h20-96", "ascend-910b2", "ascend-910c")
SIZES = np.array([1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9])


def fabric(speed: Speed) -> tuple[Level, Level]:
    """The levels of `cluster` with the rates and latencies that the step is priced with."""
    alpha, rate = ([float(np.max(v)) for v in pair] for pair in (speed.alpha_s, speed.link_bytes_s))
    return (Level(name="fast", ranks=speed.domain, kind="full_mesh" if speed.mesh else "switch", alpha_s=alpha[0],
                  bytes_s=rate[0]),
            Level(name="slow", ranks=UNBOUNDED, kind="clos", alpha_s=alpha[1], bytes_s=rate[1]))


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_sums_inside_the_fast_links_lie_between_the_best_algorithm_and_twice_it(given: Given, chip: str,
                                                                                 ranks: int) -> None:
    speed = speed_of(at_middle(given), chip)
    ours = np.array([float(np.max(all_reduce_s(n, ranks, speed))) for n in SIZES])
    best = np.array([float(all_reduce(fabric(speed), ranks, n)) for n in SIZES])
    assert np.all(ours >= best * (1 - 1e-9)) and np.all(ours <= 2.1 * best)
    np.testing.assert_allclose(ours[-2:], best[-2:], rtol=0.1)
    least = lower_bound("all-reduce", ranks, SIZES, float(np.max(speed.alpha_s[0])),
                        float(np.max(speed.link_bytes_s[0])), at_once=True)
    assert np.all(ours >= least * (1 - 1e-9))


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("ranks", [16, 32, 64])
def test_large_sums_over_servers_agree_with_the_two_levels_of_cluster(given: Given, chip: str, ranks: int) -> None:
    speed = speed_of(at_middle(given), chip)
    for n in SIZES[-2:]:
        assert float(np.max(all_reduce_s(n, ranks, speed))) == pytest.approx(float(all_reduce(fabric(speed), ranks, n)),
                                                                             rel=0.1)


def test_on_a_switch_the_step_is_the_shortest_of_three_algorithms_of_cluster(given: Given) -> None:
    speed = speed_of(at_middle(given), "h800-sxm")
    alpha, rate = float(np.max(speed.alpha_s[0])), float(np.max(speed.link_bytes_s[0]))
    three = [COLLECTIVES["all-reduce"]["doubling"], COLLECTIVES["all-reduce"]["rabenseifner"],
             DIRECT["all-reduce"]["one_shot"]]
    for ranks in (2, 4, 8):
        for n in SIZES:
            expected = min(float(np.max(way(ranks, n, alpha, rate))) for way in three)
            assert float(np.max(all_reduce_s(n, ranks, speed))) == pytest.approx(expected, rel=1e-9)
