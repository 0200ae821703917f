"""Collectives: published times, identities, bounds, and the way levels add up."""

from __future__ import annotations

import math
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given as sample
from hypothesis import settings
from hypothesis import strategies as st

from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.cluster import collectives as c
from chipcast.cluster import network as net
from chipcast.cluster.experts import distinct_nodes, exchange, remote_nodes
from chipcast.cluster.network import UNBOUNDED, Level

N, A, B = 1e9, 10e-6, 50e9
FAST = Level(name="fast", ranks=8, kind="clos", alpha_s=2e-6, bytes_s=200e9)
SLOW = Level(name="slow", ranks=UNBOUNDED, kind="clos", alpha_s=A, bytes_s=B)
ENTRIES = [(op, name) for op, table in c.COLLECTIVES.items() for name in table]
POWERS = (2, 4, 8, 64, 1024)


@pytest.mark.parametrize(("operation", "algorithm", "seconds"), [
    ("all-reduce", "ring", 0.040635), ("all-reduce", "doubling", 0.120060), ("all-reduce", "rabenseifner", 0.039495),
    ("all-gather", "ring", 0.0203175), ("all-to-all", "pairwise", 0.0203175), ("all-to-all", "bruck", 0.0600600),
    ("broadcast", "binomial", 0.1200600)])
def test_textbook_times_on_64_ranks(operation: str, algorithm: str, seconds: float) -> None:
    assert c.seconds(operation, algorithm, 64, N, A, B) == pytest.approx(seconds, rel=1e-9)


def test_pipelined_chain_broadcast_on_8_ranks() -> None:
    assert c.chain_broadcast(8, N, A, B) == pytest.approx(0.02225089, abs=5e-9)
    k = math.sqrt(6 * N / B / A)
    assert k == pytest.approx(109.54, abs=0.01)
    assert c.chain_broadcast(8, N, A, B) == pytest.approx((math.sqrt(6 * A) + math.sqrt(N / B)) ** 2, rel=1e-12)


def test_half_the_bandwidth_is_reached_at_alpha_times_b() -> None:
    assert c.point_to_point(2, A * B, A, B) == pytest.approx(2 * (A * B) / B)


def test_two_levels_against_one() -> None:
    two = net.all_reduce((FAST, SLOW), 64, N, algorithm="ring")
    flat = net.all_reduce((SLOW,), 64, N, algorithm="ring")
    assert two == pytest.approx(0.013293, rel=1e-9)
    assert flat == pytest.approx(0.040635, rel=1e-9)
    assert c.bus_bytes_s("all-reduce", 64, N, two) / 1e9 == pytest.approx(148.104, abs=5e-4)
    assert c.bus_bytes_s("all-reduce", 64, N, flat) / 1e9 == pytest.approx(48.450, abs=1e-3)


def test_two_level_all_to_all_and_its_crossover() -> None:
    fast, slow = net.all_to_all_parts((FAST, SLOW), 64, N)
    assert slow == pytest.approx(0.018060, rel=1e-9)
    assert fast == pytest.approx(0.000560875, rel=1e-9)
    assert net.all_to_all((FAST, SLOW), 64, N, algorithm="two_stage") == pytest.approx(0.021959, rel=1e-9)
    for size, wins in ((108.7e6, True), (108.9e6, False)):
        staged = net.all_to_all((FAST, SLOW), 64, size, algorithm="two_stage")
        assert (staged < net.all_to_all_parts((FAST, SLOW), 64, size)[1]) == wins


def test_full_mesh_of_eight() -> None:
    mesh = Level(name="mesh", ranks=8, kind="full_mesh", alpha_s=A, bytes_s=7 * 28e9)
    assert c.one_shot_half(8, N, A, 7 * 28e9) == pytest.approx(0.0044742857, rel=1e-8)
    assert c.ring_half(8, N, A, 7 * 28e9) == pytest.approx(0.0045342857, rel=1e-8)
    assert net.all_gather((mesh,), 8, N) == pytest.approx(0.0044742857, rel=1e-8)
    assert net.reach(mesh, 4) == pytest.approx(84e9)
    switch = Level(name="switch", ranks=8, kind="switch", alpha_s=1e-12, bytes_s=7 * 28e9)
    bare = Level(name="mesh", ranks=8, kind="full_mesh", alpha_s=1e-12, bytes_s=7 * 28e9)
    assert net.all_gather((bare,), 4, N) / net.all_gather((switch,), 4, N) == pytest.approx(7 / 3, rel=1e-6)


@pytest.mark.parametrize(("nodes", "distinct"),
                         [(2, 1.993020), (4, 3.614214), (8, 5.294652), (16, 6.523280), (32, 7.266800)])
def test_distinct_nodes_of_a_token_with_8_of_256_experts(nodes: int, distinct: float) -> None:
    assert distinct_nodes(256, 8, nodes) == pytest.approx(distinct, abs=5e-7)


def test_remote_and_limited_nodes_of_a_token() -> None:
    assert remote_nodes(256, 8, 8) == pytest.approx(4.632821, abs=5e-7)
    assert distinct_nodes(256, 8, 8, groups=4) == pytest.approx(3.629011, abs=5e-7)


def test_distinct_nodes_agree_with_counting_random_picks() -> None:
    rng = np.random.default_rng(1)
    picks = np.argsort(rng.random((20_000, 256)), axis=1)[:, :8] // 32
    counted = np.array([len(set(row)) for row in picks])
    assert counted.mean() == pytest.approx(distinct_nodes(256, 8, 8), abs=4 * counted.std() / math.sqrt(len(counted)))


@pytest.mark.parametrize(("operation", "algorithm"), ENTRIES)
def test_no_algorithm_beats_the_lower_bound_and_one_rank_is_free(operation: str, algorithm: str) -> None:
    entry = c.COLLECTIVES[operation][algorithm]
    for p, n in product((1, 2, 3, 5, 8, 12, 64, 100), (1.0, 1e3, 1e6, 1e9)):
        assert entry(p, n, A, B) >= c.lower_bound(operation, p, n, A, B) * (1 - 1e-12)
    assert entry(1, N, A, B) == 0


@pytest.mark.parametrize(("operation", "algorithm"), ENTRIES)
def test_time_rises_with_ranks_bytes_latency_and_slower_links(operation: str, algorithm: str) -> None:
    entry = c.COLLECTIVES[operation][algorithm]
    for p, q in pairwise(POWERS):
        assert entry(q, 1e6, A, B) >= entry(p, 1e6, A, B)
    for n in (1.0, 1e4, 1e9):
        base = entry(16, n, A, B)
        assert entry(16, 2 * n, A, B) >= base
        assert entry(16, n, 2 * A, B) >= base
        assert entry(16, n, A, B / 2) >= base


@pytest.mark.parametrize(("operation", "algorithm"), ENTRIES)
def test_entries_broadcast_over_plans_and_draws(operation: str, algorithm: str) -> None:
    entry = c.COLLECTIVES[operation][algorithm]
    ranks, size, rate = np.array([[2], [8], [24]]), np.array([[1e3], [1e6], [1e9]]), np.linspace(1e9, 9e9, 4)
    table = entry(ranks, size, A, rate)
    assert table.shape == (3, 4)
    for i, j in product(range(3), range(4)):
        assert table[i, j] == pytest.approx(entry(int(ranks[i, 0]), size[i, 0], A, rate[j]), rel=1e-13)


@sample(p=st.integers(1, 5000), n=st.floats(1, 1e11), alpha=st.floats(1e-7, 1e-3), rate=st.floats(1e8, 1e12))
@settings(max_examples=60, deadline=None)
def test_identities_of_rings_and_best(p: int, n: float, alpha: float, rate: float) -> None:
    assert c.ring_all_reduce(p, n, alpha, rate) == pytest.approx(2 * c.ring_half(p, n, alpha, rate))
    for operation, table in c.COLLECTIVES.items():
        best = c.seconds(operation, "best", p, n, alpha, rate)
        assert best == min(entry(p, n, alpha, rate) for entry in table.values())
    if p > 1:
        for name in ("ring", "doubling", "rabenseifner"):
            bus = c.bus_bytes_s("all-reduce", p, n, c.COLLECTIVES["all-reduce"][name](p, n, alpha, rate))
            assert bus <= rate * (1 + 1e-12)


@sample(g=st.integers(1, 16), m=st.integers(1, 64), n=st.floats(1, 1e10))
@settings(max_examples=40, deadline=None)
def test_two_equal_levels_cost_no_more_bytes_than_one(g: int, m: int, n: float) -> None:
    inner = Level(name="a", ranks=g, kind="clos", alpha_s=1e-15, bytes_s=B)
    outer = Level(name="b", ranks=UNBOUNDED, kind="clos", alpha_s=1e-15, bytes_s=B)
    two = net.all_reduce((inner, outer), g * m, n, algorithm="ring")
    one = net.all_reduce((outer,), g * m, n, algorithm="ring")
    assert two == pytest.approx(one, rel=1e-3, abs=1e-9)  # (g-1)/g + (m-1)/(g m) = (p-1)/p exactly, latency apart


@pytest.mark.parametrize("operation", sorted(net.OPERATIONS))
def test_a_level_with_one_rank_changes_nothing(operation: str) -> None:
    run = net.OPERATIONS[operation]
    lonely = Level(name="lonely", ranks=1, kind="clos", alpha_s=1.0, bytes_s=1.0)
    for p in (1, 7, 64):
        assert run((lonely, SLOW), p, N) == pytest.approx(run((SLOW,), p, N), rel=1e-12)
    inside = run((FAST, SLOW), 8, N)
    assert inside == pytest.approx(run((FAST,), 8, N), rel=1e-12)


@pytest.mark.parametrize("operation", sorted(net.OPERATIONS))
def test_fabric_times_take_plans_by_draws(operation: str) -> None:
    fabric = (Level(name="f", ranks=8, kind="switch", alpha_s=np.full(3, 2e-6), bytes_s=np.linspace(1e11, 2e11, 3)),
              Level(name="s", ranks=UNBOUNDED, kind="clos", alpha_s=np.full(3, A), bytes_s=np.linspace(4e10, 5e10, 3)))
    ranks, size = np.array([[1], [4], [16], [96]]), np.array([[1e3], [1e6], [1e7], [1e9]])
    table = net.OPERATIONS[operation](fabric, ranks, size)
    assert table.shape == (4, 3)
    for i in range(4):
        row = net.OPERATIONS[operation](fabric, int(ranks[i, 0]), float(size[i, 0]))
        assert np.allclose(table[i], np.broadcast_to(row, 3), rtol=1e-13)
    assert np.all(table[0] == 0)


def test_the_quick_form_is_the_least_of_doubling_and_halving_on_each_level() -> None:
    for p, n in product((1, 2, 8, 64, 1024), (1e3, 1e6, 1e9)):
        quick = c.quick_all_reduce(float(p), n, 8.0, (FAST.alpha_s, FAST.bytes_s), (SLOW.alpha_s, SLOW.bytes_s))
        inside, outside = min(p, 8), max(p // 8, 1)
        by_hand = sum(min(c.doubling_all_reduce(q, m, lv.alpha_s, lv.bytes_s),
                          c.halving_doubling_all_reduce(q, m, lv.alpha_s, lv.bytes_s))
                      for q, m, lv in ((inside, n, FAST), (outside, n / inside, SLOW)))
        assert quick == pytest.approx(by_hand, rel=1e-12, abs=1e-18)
    many = c.quick_all_reduce(np.full(1000, 64.0), 1e6, 8.0, (1e-6, 1e11), (1e-5, 5e10))
    assert many.shape == (1000,)


def test_doubling_meets_both_lower_bounds_of_an_all_gather() -> None:
    for p, n in product((2, 3, 12, 64), (1.0, 1e9)):
        bounds = (math.ceil(math.log2(p)) * A, (p - 1) / p * n / B)
        assert c.doubling_half(p, n, A, B) == pytest.approx(sum(bounds))


def test_broadcast_and_single_messages_cross_the_levels_they_need() -> None:
    pair = net.point_to_point((FAST, SLOW), 8, 1e6)
    assert pair == pytest.approx(FAST.alpha_s + 1e6 / FAST.bytes_s)
    assert net.point_to_point((FAST, SLOW), 16, 1e6) == pytest.approx(A + 1e6 / B)
    both = net.broadcast((FAST, SLOW), 64, N)
    assert both == pytest.approx(c.seconds("broadcast", "best", 8, N, A, B)
                                 + c.seconds("broadcast", "best", 8, N, FAST.alpha_s, FAST.bytes_s))


def test_a_flat_ring_over_servers_is_three_times_the_leveled_one() -> None:
    flat = net.flat_times((FAST, SLOW), "all-reduce", 64.0, 1e9)["ring"]
    assert flat == pytest.approx(0.040635, abs=5e-7)
    leveled = net.all_reduce((FAST, SLOW), 64, 1e9, algorithm="ring")
    assert flat / leveled == pytest.approx(0.040635 / 0.013293, rel=1e-3)


def test_a_group_strided_over_servers_pays_the_slow_level() -> None:
    together = net.all_reduce((FAST, SLOW), 8, N, algorithm="ring")
    strided = net.all_reduce((FAST, SLOW), 8, N, algorithm="ring", local=1)
    assert strided == pytest.approx(c.ring_all_reduce(8, N, A, B))
    assert strided > 3 * together


def test_a_synchronous_step_runs_at_its_slowest_link() -> None:
    slow = net.degraded(SLOW, 0.5)
    bare = Level(name="x", ranks=UNBOUNDED, kind="clos", alpha_s=1e-15, bytes_s=B)
    whole, half = (net.all_reduce((net.degraded(bare, share),), 16, N) for share in (1.0, 0.5))
    assert half == pytest.approx(2 * whole, rel=1e-6)
    assert slow.bytes_s == B / 2


def test_exchange_with_deduplication_moves_fewer_slow_bytes() -> None:
    args = {"experts": 256, "chosen": 8}
    plain = exchange((FAST, SLOW), 64, 4096, 7168, overlap=True, **args)
    once = exchange((FAST, SLOW), 64, 4096, 7168, dedup=True, overlap=True, **args)
    assert once < plain
    assert plain == pytest.approx(A + 4096 * 8 * 7168 * 56 / 64 / B)
    assert once == pytest.approx(A + 4096 * 4.632821 * 7168 / B, rel=1e-6)


@pytest.mark.parametrize("chip", ["h20-96", "h800-sxm", "h100-sxm", "ascend-910b2", "ascend-910b4", "ascend-910c"])
def test_every_compared_chip_has_a_fast_domain_and_a_network(given: Given, chip: str) -> None:
    fast, slow = net.levels(given, chip)
    assert fast.ranks in (8, 16) and slow.ranks == UNBOUNDED
    assert np.median(fast.bytes_s) > 3 * np.median(slow.bytes_s)
    assert np.all(fast.alpha_s > 0) and fast.bytes_s.shape == (given.draws,)


def test_a_rank_of_the_910c_is_a_die(given: Given) -> None:
    fast, slow = net.levels(given, "ascend-910c")
    assert fast.ranks == 16 and fast.kind == "switch"
    efficiency = given["ub_a3.link_efficiency"]
    assert np.allclose(fast.bytes_s, 392e9 / 2 * efficiency)
    assert np.allclose(slow.bytes_s, 50e9 / 2 * given["roce_200g_a2.link_efficiency"])


def test_bad_words_are_refused() -> None:
    with pytest.raises(InputError, match="unknown collective 'all-reduc'; did you mean 'all-reduce'"):
        c.seconds("all-reduc", "ring", 8, N, A, B)
    with pytest.raises(InputError, match="unknown algorithm of all-reduce 'tree'"):
        c.seconds("all-reduce", "tree", 8, N, A, B)
    with pytest.raises(InputError, match="ranks must be 1 or more, got 0"):
        net.all_reduce((FAST, SLOW), 0, N)
    with pytest.raises(InputError, match="ranks must be at most the 8"):
        net.all_reduce((FAST,), 9, N)
    with pytest.raises(InputError, match="share of a link must lie in"):
        net.degraded(SLOW, 0)
