"""The simulator meets queueing theory, loses no token and depends on the seed alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as cases
from hypothesis import settings
from hypothesis import strategies as st

from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.tokens.arrivals import prefix_reuse, scaled
from chipcast.tokens.capacity import Promise, largest, largest_rate, largest_rate_of
from chipcast.tokens.engine import (
    Policy,
    deploy,
    deploy_split,
    held_context,
    prompt_terms,
    saturation,
    step_grid,
)
from chipcast.tokens.model import load
from chipcast.tokens.ops import Plan
from chipcast.tokens.serve import Workload, decode_s, prefill_s
from chipcast.tokens.simulate import (
    ARRIVALS,
    LENGTHS,
    PREEMPT,
    ROUTERS,
    SCHEDULERS,
    Engine,
    Trace,
    birth_death,
    erlang_c,
    hand_over,
    simulate,
    timeline,
    wait_m_g_1,
)
from chipcast.tokens.speed import at_middle, speed_of


def engine(fixed_s: float, request_s: float, slots: int, **more: Any) -> Engine:
    whole: dict[str, Any] = {"fixed_s": fixed_s, "request_s": request_s, "token_s": 0.0, "prompt_s": 0.0,
                             "prompt_fixed_s": 0.0, "slots": slots, "blocks": 10**9, **more}
    return Engine(**whole)


def trace(rate: float, count: int, law: str, *, prompt: float = 0.0, seed: int = 1) -> Trace:
    lengths = LENGTHS[law](500, count, seed=seed, name="answer")
    return Trace(arrival_s=ARRIVALS["poisson"](rate, count, seed=seed), prompt=np.full(count, prompt), answer=lengths)


def waits(t: Trace, e: Engine) -> float:
    return float(np.mean(simulate(t, e).start_s - t.arrival_s))


def test_one_slot_with_equal_work_waits_as_m_d_1() -> None:
    expected = wait_m_g_1(0.08, 10.0, 100.0)
    assert expected == pytest.approx(20.0)
    got = [waits(trace(0.08, 60000, "fixed", seed=s), engine(0.02, 0.0, 1)) for s in range(6)]
    assert abs(np.mean(got) - expected) < 3 * np.std(got, ddof=1) / np.sqrt(6) + 0.01


def test_one_slot_with_geometric_work_waits_as_pollaczek_and_khinchine_say() -> None:
    expected = wait_m_g_1(0.08, 10.0, 0.02**2 * (2 * 500**2 - 500))
    assert expected == pytest.approx(39.96)
    got = [waits(trace(0.08, 60000, "geometric", seed=s), engine(0.02, 0.0, 1)) for s in range(6)]
    assert abs(np.mean(got) - expected) < 3 * np.std(got, ddof=1) / np.sqrt(6)


def test_slots_of_fixed_speed_wait_as_erlang_says() -> None:
    assert erlang_c(64, 60.0) == pytest.approx(0.5069, abs=1e-4)
    expected = 0.5069 * 10 / (64 - 60)
    got = [waits(trace(6, 50000, "geometric", seed=s), engine(0.02, 0.0, 64)) for s in range(6)]
    assert abs(np.mean(got) - expected - 0.01) < 3 * np.std(got, ddof=1) / np.sqrt(6)


@pytest.mark.parametrize("law", ["fixed", "geometric"])
def test_without_limits_the_number_in_service_does_not_depend_on_the_law(law: str) -> None:
    t = trace(4, 60000, law)
    seen = simulate(t, engine(0.02, 0.0, 3000))
    assert seen.running_integral / seen.last_s.max() == pytest.approx(40, rel=0.015)


def test_shared_speed_meets_processor_sharing() -> None:
    t = trace(1.6, 60000, "geometric")
    seen = simulate(t, engine(1e-9, 0.001, 2000))
    assert seen.running_integral / seen.last_s.max() == pytest.approx(4.0, rel=0.03)


@pytest.mark.parametrize(("rate", "busy", "tpot_ms"), [(2.0, 25.25, 25.25), (3.0, 43.28, 28.85), (3.6, 56.63, 31.46)])
def test_continuous_batching_meets_the_birth_death_chain(rate: float, busy: float, tpot_ms: float) -> None:
    assert birth_death(rate, 500, lambda n: 0.02 + 2e-4 * n, 64)[0] == pytest.approx(busy, rel=2e-3)
    t = trace(rate, 100000, "geometric")
    seen = simulate(t, engine(0.02, 2e-4, 64))
    assert seen.running_integral / seen.last_s.max() == pytest.approx(busy, rel=0.01)
    assert 1e3 * np.sum(seen.last_s - seen.first_s) / np.sum(t.answer - 1) == pytest.approx(tpot_ms, rel=0.01)


def test_little_holds_on_the_path_and_every_token_is_answered() -> None:
    t = trace(3.0, 5000, "geometric", prompt=300)
    e = engine(0.02, 2e-4, 64, prompt_s=1e-5, blocks=5000)
    seen = simulate(t, e)
    assert np.all(seen.last_s >= seen.first_s) and np.all(seen.first_s >= seen.start_s)
    assert np.all(seen.start_s >= t.arrival_s)
    assert seen.busy_s <= seen.last_s.max()
    free = simulate(t, engine(0.02, 2e-4, 64, prompt_s=0.0))
    assert free.running_integral == pytest.approx(np.sum(free.last_s - free.start_s), rel=1e-9)


def test_short_memory_makes_requests_yield_and_books_the_waste() -> None:
    t = trace(3.0, 2000, "geometric", prompt=500)
    rich = simulate(t, engine(0.02, 2e-4, 64, prompt_s=1e-5))
    poor = simulate(t, engine(0.02, 2e-4, 64, prompt_s=1e-5, blocks=700))
    assert np.sum(rich.preempted) == 0 and rich.recomputed_tokens == 0
    assert np.sum(poor.preempted) > 0 and poor.recomputed_tokens > 0
    assert np.all(poor.last_s > 0) and np.mean(poor.last_s) > np.mean(rich.last_s)


def test_same_seed_same_bytes_and_replicas_share_the_load() -> None:
    t = trace(3.0, 3000, "lognormal")
    one, two = simulate(t, engine(0.02, 2e-4, 64)), simulate(t, engine(0.02, 2e-4, 64))
    np.testing.assert_array_equal(one.last_s, two.last_s)
    halves = simulate(t, engine(0.02, 2e-4, 64, replicas=2))
    assert np.mean(halves.last_s - t.arrival_s) < np.mean(one.last_s - t.arrival_s)


def test_saturation_is_the_closed_form() -> None:
    count = 20000
    t = Trace(arrival_s=np.zeros(count), prompt=np.full(count, 1000.0), answer=np.full(count, 200.0))
    e = engine(0.02, 2e-4, 64, prompt_s=1e-5)
    seen = simulate(t, e)
    expected = 64 / (200 * (0.02 + 64 * 2e-4) + 64 * 1000 * 1e-5)
    assert count / seen.last_s.max() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("name", ARRIVALS)
def test_every_law_of_arrival_keeps_its_rate(name: str) -> None:
    times = ARRIVALS[name](5.0, 40000, seed=3)
    assert np.all(np.diff(times) >= 0)
    assert 40000 / times[-1] == pytest.approx(5.0, rel=0.04)


@pytest.mark.parametrize("name", LENGTHS)
def test_every_law_of_lengths_keeps_its_mean(name: str) -> None:
    values = LENGTHS[name](300, 60000, seed=2, name="x")
    assert np.mean(values) == pytest.approx(300, rel=0.02) and np.min(values) >= 1


def test_a_tighter_promise_carries_no_higher_rate() -> None:
    e = engine(0.01, 3e-4, 128, prompt_s=2e-5, blocks=100000)
    loose, tight = (largest_rate(e, prompt=1000, answer=300, ttft_s=t, tpot_s=0.05, count=1500) for t in (5.0, 0.3))
    assert loose >= tight > 0


def test_bad_traces_are_refused() -> None:
    e = engine(0.02, 0.0, 4, blocks=100)
    with pytest.raises(InputError, match="goes back in time at request 3"):
        simulate(Trace(arrival_s=np.array([0.0, 2.0, 1.0]), prompt=np.ones(3), answer=np.ones(3)), e)
    with pytest.raises(InputError, match="larger than the cache"):
        simulate(Trace(arrival_s=np.zeros(1), prompt=np.full(1, 5000.0), answer=np.ones(1)), e)
    with pytest.raises(InputError, match="at least one request"):
        simulate(Trace(arrival_s=np.zeros(0), prompt=np.zeros(0), answer=np.zeros(0)), e)


def played(t: Trace, e: Engine) -> tuple[list[float], list[float], list[int], float]:
    """Play one engine step by step with plain lists: first tokens, last tokens, yields, recomputed tokens."""
    n, b = t.count, e.block_tokens
    first, last, yields, waste = [-1.0] * n, [0.0] * n, [0] * n, 0.0
    done, running, queue, back = [0] * n, [], [], []
    prompt, answer = t.prompt.astype(int).tolist(), t.answer.astype(int).tolist()
    moved: set[int] = set()
    dropped: set[int] = set()
    now, coming, work, filling = 0.0, 0, None, True  # work: [request, left, all, blocks]
    while any(x == 0.0 for x in last):
        if not (running or queue or back or work):
            now = max(now, float(t.arrival_s[coming]))
        while coming < n and t.arrival_s[coming] <= now:
            queue.append(coming)
            coming += 1
        used = sum((prompt[i] + done[i] + 1) // b + 1 for i in running)
        if used + (work[3] if work else 0) > e.blocks and running and (len(running) > 1 or work):
            if work:
                i = work[0]
                waste += work[2] - work[1]
                work = None
                dropped.add(i)
            else:
                i = running.pop()
                if e.preempt == "swap":
                    now += (prompt[i] + done[i]) * e.swap_s
                    moved.add(i)
            yields[i] += 1
            back.append(i)
            continue
        budget = e.chunk_tokens - (len(running) if e.scheduler == "chunked" else 0)
        if e.scheduler == "decode_first":
            filling = filling or not running
            budget = budget if filling else 0
        spent, worked, ended = 0.0, 0, []
        while True:
            if work:
                take = min(work[1], budget - worked)
                if take <= 0:
                    break
                behind = prompt[work[0]] + done[work[0]] - work[1]
                spent += e.prompt_s * take + e.prompt_square_s * take * (behind + take / 2)
                work[1] -= take
                worked += take
                if work[1]:
                    break
                ended.append(work[0])
                used += work[3]
                work = None
                continue
            i = back[-1] if back else queue[0] if queue else None
            if i is None or len(running) + len(ended) >= e.slots or (e.scheduler == "decode_first" and not filling):
                break
            tokens = prompt[i] + done[i]
            need = (tokens + 1) // b + 1
            if used + need > e.blocks and used > 0:
                break
            todo = 0 if i in moved else tokens
            if todo > 0 and budget - worked <= 0:
                break
            if back:
                back.pop()
                if i in moved:
                    spent += tokens * e.swap_s
                    moved.discard(i)
                elif i in dropped:
                    dropped.discard(i)
                else:
                    waste += tokens
            else:
                queue.pop(0)
            if todo:
                work = [i, todo, todo, need]
            else:
                running.append(i)
                used += need
        if e.scheduler == "decode_first" and not worked and running:
            filling = False
        steps = 1 if running and (e.scheduler == "chunked" or not worked) else 0
        if steps:
            held = sum(prompt[i] + done[i] for i in running)
            now += e.fixed_s + e.request_s * len(running) + e.token_s * held
        elif worked:
            now += e.prompt_fixed_s
        now += spent
        if steps:
            for i in list(running):
                done[i] += 1
                first[i] = now if first[i] < 0 else first[i]
                if done[i] == answer[i]:
                    last[i] = now
                    running.remove(i)
        for i in ended:
            done[i] += 1
            first[i] = now if first[i] < 0 else first[i]
            if done[i] == answer[i]:
                last[i] = now
            else:
                running.append(i)
    return first, last, yields, waste


def test_a_jump_after_a_cache_moved_back_stops_at_the_next_arrival() -> None:
    """Moving the cache back takes time of its own, so that one step fewer fits before somebody comes."""
    t = Trace(arrival_s=np.array([0, 0, 0, 0.37, 0.74, 14.06, 14.06]), prompt=np.array([0, 0, 0, 57, 25, 0, 0.0]),
              answer=np.array([1, 1, 1, 59, 36, 1, 1.0]))
    e = Engine(fixed_s=0.11, request_s=0.013, token_s=0.0007, prompt_s=0.003, prompt_fixed_s=0.05, prompt_square_s=1e-5,
               slots=2, block_tokens=4, blocks=34, chunk_tokens=29, scheduler="chunked", preempt="swap", swap_s=0.0002)
    seen, (first, last, yields, _) = simulate(t, e), played(t, e)
    assert sum(yields) == 1
    np.testing.assert_allclose(seen.first_s, first, rtol=1e-9)
    np.testing.assert_allclose(seen.last_s, last, rtol=1e-9)


@cases(st.data())
@settings(max_examples=150, deadline=None)
def test_jumping_between_events_sees_what_playing_every_step_sees(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 14))
    whole = st.integers(1, 60)
    prompt = np.array(data.draw(st.lists(st.integers(0, 60), min_size=count, max_size=count)), dtype=float)
    answer = np.array(data.draw(st.lists(whole, min_size=count, max_size=count)), dtype=float)
    gaps = data.draw(st.lists(st.integers(0, 40), min_size=count, max_size=count))
    t = Trace(arrival_s=np.cumsum(np.array(gaps) * 0.37), prompt=prompt, answer=answer)
    least = int(np.max(-(-(prompt + answer) // 4)))
    e = Engine(fixed_s=0.11, request_s=0.013, token_s=0.0007, prompt_s=0.003, prompt_fixed_s=0.05,
               prompt_square_s=1e-5, slots=data.draw(st.integers(1, 6)), block_tokens=4,
               blocks=least + data.draw(st.integers(0, 40)), chunk_tokens=data.draw(st.integers(8, 40)),
               scheduler=data.draw(st.sampled_from(sorted(SCHEDULERS))),
               preempt=data.draw(st.sampled_from(sorted(PREEMPT))), swap_s=0.0002)
    seen = simulate(t, e)
    first, last, yields, waste = played(t, e)
    np.testing.assert_allclose(seen.first_s, first, rtol=1e-9)
    np.testing.assert_allclose(seen.last_s, last, rtol=1e-9)
    assert seen.preempted.tolist() == yields and seen.recomputed_tokens == waste and seen.left_over == 0


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("preempt", PREEMPT)
def test_every_policy_keeps_the_laws_of_conservation(scheduler: str, router: str, preempt: str) -> None:
    t = Trace(arrival_s=ARRIVALS["gamma"](12.0, 1500, seed=3), prompt=LENGTHS["lognormal"](400, 1500, seed=3, name="p"),
              answer=LENGTHS["geometric"](200, 1500, seed=3, name="a"))
    e = engine(0.02, 2e-4, 48, prompt_s=1e-5, blocks=1000, replicas=4, scheduler=scheduler, router=router,
               preempt=preempt, swap_s=1e-7, token_s=1e-8, chunk_tokens=1024)
    seen = simulate(t, e)
    assert seen.left_over == 0 and seen.peak_blocks <= e.blocks
    assert np.all(seen.start_s >= t.arrival_s) and np.all(seen.first_s > seen.start_s)
    assert np.all(seen.last_s >= seen.first_s)
    assert seen.running_integral == pytest.approx(float(np.sum(seen.last_s - seen.start_s - seen.out_s)), rel=1e-9)
    assert seen.busy_s <= e.replicas * float(seen.last_s.max())
    assert (seen.recomputed_tokens > 0) == (preempt == "recompute" and seen.preempted.sum() > 0) or preempt == "swap"
    np.testing.assert_array_equal(simulate(t, e).last_s, seen.last_s)


def test_little_holds_exactly_for_everybody_between_arrival_and_last_token() -> None:
    t = trace(3.0, 4000, "geometric", prompt=300)
    seen = simulate(t, engine(0.02, 2e-4, 64, prompt_s=1e-5, blocks=1500))
    assert seen.preempted.sum() > 0
    events = np.concatenate([t.arrival_s, seen.last_s])
    change = np.concatenate([np.ones(4000), -np.ones(4000)])
    order = np.argsort(events, kind="stable")
    number = np.cumsum(change[order])
    integral = float(np.sum(number[:-1] * np.diff(events[order])))
    span = float(seen.last_s.max() - t.arrival_s[0])
    rate, sojourn = 4000 / span, float(np.mean(seen.last_s - t.arrival_s))
    assert integral / span == pytest.approx(rate * sojourn, rel=1e-9)
    drawn = timeline(t, seen, points=4001)
    assert np.mean(drawn.waiting + drawn.running) == pytest.approx(integral / span, rel=0.01)


def test_chunks_trade_the_time_to_first_token_for_steady_steps() -> None:
    t = Trace(arrival_s=ARRIVALS["poisson"](2.0, 3000, seed=5), prompt=np.full(3000, 8000.0),
              answer=LENGTHS["geometric"](300, 3000, seed=5, name="a"))
    base: dict[str, Any] = {"prompt_s": 2e-5, "blocks": 10**6, "token_s": 0.0}
    plain = simulate(t, engine(0.02, 1e-4, 128, **base))
    pieces = simulate(t, engine(0.02, 1e-4, 128, scheduler="chunked", chunk_tokens=512, **base))
    static = simulate(t, engine(0.02, 1e-4, 128, scheduler="decode_first", **base))
    gap = [float(np.percentile(s.ttft_s(t), 50)) for s in (plain, pieces, static)]
    assert gap[0] < gap[1] < gap[2]


def test_fewest_in_hand_beats_two_choices_beats_turns() -> None:
    t = Trace(arrival_s=ARRIVALS["poisson"](9.0, 8000, seed=2), prompt=np.zeros(8000),
              answer=LENGTHS["lognormal"](500, 8000, seed=2, name="a"))
    means = {}
    for router in ("least_loaded", "two_choices", "round_robin"):
        seen = simulate(t, engine(0.02, 0.0, 12, replicas=8, router=router))
        means[router] = float(np.mean(seen.start_s - t.arrival_s))
    assert means["least_loaded"] < means["two_choices"] < means["round_robin"]


def shared_prompts() -> Trace:
    """Requests of 41 conversations whose prompts grow turn by turn, each block named after its whole prefix."""
    names, starts, prompts = [], [0], []
    for i in range(2000):
        talk, turn = (i * 7) % 41, i // 41
        blocks = 4 + turn % 20
        names += [talk * 1000 + (turn // 20) * 100 + k for k in range(blocks)]
        starts.append(len(names))
        prompts.append(512.0 * blocks - 100)
    return Trace(arrival_s=ARRIVALS["poisson"](8.0, 2000, seed=4), prompt=np.array(prompts),
                 answer=np.full(2000, 50.0), prefix=np.array(names), prefix_from=np.array(starts))


def test_a_store_of_prefixes_spares_work_and_affinity_finds_it() -> None:
    t = shared_prompts()
    base: dict[str, Any] = {"prompt_s": 2e-5, "replicas": 8, "blocks": 10**6}
    seen = {}
    for name, more in {"none": {}, "turns": {"store_blocks": -1},
                       "affinity": {"store_blocks": -1, "router": "prefix_affinity"},
                       "small": {"store_blocks": 40, "router": "prefix_affinity"}}.items():
        seen[name] = simulate(t, engine(0.02, 1e-4, 64, **base, **more))
    hits = {k: float(s.hit_tokens.sum()) for k, s in seen.items()}
    assert hits["none"] == 0 < hits["turns"] < hits["affinity"]
    assert hits["small"] < hits["affinity"]
    assert seen["affinity"].busy_s < seen["turns"].busy_s < seen["none"].busy_s
    one = simulate(t, engine(0.02, 1e-4, 64, prompt_s=2e-5, blocks=10**6, store_blocks=-1))
    blocks, distinct, share = prefix_reuse(t)
    assert blocks == t.prefix.size and distinct == np.unique(t.prefix).size
    held = np.minimum(one.hit_tokens, t.prompt - 1)
    assert held.sum() / 512 == pytest.approx(share * blocks, rel=0.02)


def test_two_pools_hand_over_what_one_computes() -> None:
    t = trace(2.0, 3000, "geometric", prompt=2000)
    first = engine(0.0, 0.0, 64, prompt_s=1e-4, replicas=2)
    after = engine(0.02, 1e-4, 128)
    quick, slow = (hand_over(t, first, after, token_s=s) for s in (1e-6, 1e-3))
    assert np.all(quick.handoff_s == 0) and np.all(slow.handoff_s > 0)
    ready = slow.prefill.last_s + slow.handoff_s
    assert np.all(slow.decode.start_s >= ready - 1e-9)
    assert np.mean(slow.ttft_s(t)) == pytest.approx(np.mean(quick.ttft_s(t)) + np.mean(slow.handoff_s), rel=0.05)
    lone = trace(0.0001, 50, "fixed", prompt=2000)
    alone = hand_over(lone, first, after, token_s=0.0)
    assert alone.ttft_s(lone) == pytest.approx(np.full(50, 2000 * 1e-4 + 0.02 + 1e-4))


def test_a_prompt_passes_all_stages_before_its_first_token() -> None:
    t = trace(0.0001, 40, "fixed", prompt=2000)
    whole, piped = (engine(0.02, 0.0, 8, prompt_s=2e-4 / s, prompt_fixed_s=0.04 / s, prompt_square_s=1e-8 / s, stages=s)
                    for s in (1.0, 4.0))
    alone = 0.04 + 2000 * 2e-4 + 0.5 * 2000**2 * 1e-8
    for e in (whole, piped):
        np.testing.assert_allclose(simulate(t, e).ttft_s(t), alone, rtol=1e-9)
    busy = Trace(arrival_s=np.zeros(40), prompt=np.full(40, 2000.0), answer=np.ones(40))
    ends = [float(simulate(busy, e).last_s.max()) for e in (whole, piped)]
    assert ends[0] / ends[1] == pytest.approx(4, rel=0.01)
    pools = hand_over(t, piped, engine(0.02, 0.0, 8), token_s=0.0)
    np.testing.assert_allclose(pools.ttft_s(t), alone + 0.02, rtol=1e-9)


def test_a_grid_of_step_times_is_the_line_it_was_made_from() -> None:
    t = trace(2.0, 2000, "geometric", prompt=700)
    line = engine(0.02, 2e-4, 32, token_s=3e-8, prompt_s=1e-5)
    n, context = np.arange(33.0)[:, None], np.arange(0, 8000, 500.0)[None, :]
    grid = engine(9.0, 9.0, 32, token_s=9.0, prompt_s=1e-5, grid_s=0.02 + 2e-4 * n + 3e-8 * n * context,
                  grid_tokens=500.0)
    np.testing.assert_allclose(simulate(t, grid).last_s, simulate(t, line).last_s, rtol=1e-9)


def test_the_largest_rate_is_found_where_the_share_kept_is_known() -> None:
    assert largest(lambda rate: 1.0 if rate <= 3.7 else 0.5, 0.9, 1.0) == pytest.approx(3.7, rel=1e-3)
    assert largest(lambda rate: 0.0, 0.9, 1.0) == pytest.approx(0.0, abs=1e-3)
    t = trace(1.0, 3000, "fixed")

    def seen_at(at: Trace) -> tuple[Any, Any]:
        seen = simulate(at, engine(0.02, 0.0, 16))
        return seen.ttft_s(at), seen.tpot_s(at)

    best = largest_rate_of(t, seen_at, Promise(ttft_s=1.0, tpot_s=0.05))
    assert 0.5 * 1.6 < best < 1.6
    for rate, kept in ((0.97 * best, True), (1.05 * best, False)):
        assert (Promise(ttft_s=1.0, tpot_s=0.05).kept(*seen_at(scaled(t, rate))) >= 0.9) is kept


@pytest.mark.parametrize("policy", [Policy(), Policy(scheduler="prefill_first", chunk_tokens=8192),
                                    Policy(chunk_tokens=512)], ids=str)
@pytest.mark.parametrize(("chip", "answer"), [("h20-96", 1500), ("ascend-910c", 300)])
def test_saturation_of_a_deployment_is_the_closed_form_within_two_percent(given: Given, policy: Policy, chip: str,
                                                                          answer: int) -> None:
    work = Workload(input_tokens=3500, output_tokens=answer, ttft_s=2, tpot_ms=50)
    made = deploy(given, chip, "deepseek-r1", work, chips=32, policy=policy, longest=30000)
    e, count = replace(made.engine, blocks=10**7), 40000
    t = Trace(arrival_s=np.zeros(count), prompt=np.full(count, 3500.0),
              answer=np.minimum(LENGTHS["geometric"](answer, count, seed=1, name="a"), 25000))
    ends = np.sort(simulate(t, e).last_s)
    rate = 0.6 * count / (ends[int(0.8 * count)] - ends[int(0.2 * count)])
    assert rate == pytest.approx(saturation(e, work, 1e9, context=held_context(t)), rel=0.02)


def test_the_grid_is_the_step_time_of_the_serving_model(given: Given) -> None:
    model, speed = load("deepseek-r1"), speed_of(at_middle(given), "h20-96")
    plan = Plan(tp=2.0, dp=8.0, ep=16.0, etp=1.0)
    grid, gap = step_grid(model, plan, speed, "fp8_block", slots=256, longest=16000)
    for n, context in ((1, 0), (7, 3000), (48, 4000), (256, 16000), (100, 9500)):
        there = float(np.max(decode_s(model, plan, speed, "fp8_block", requests=float(n), context=float(context))))
        x = context / gap
        j = min(int(x), grid.shape[1] - 2)
        assert grid[n, j] + (grid[n, j + 1] - grid[n, j]) * (x - j) == pytest.approx(there, rel=0.01)
    a, b, c = prompt_terms(model, plan, speed, "fp8_block", 4000)
    for x in (2000, 4000, 8000):
        there = float(np.max(prefill_s(model, plan, speed, "fp8_block", new=float(x))))
        assert a + b * x + 0.5 * c * x * x == pytest.approx(there, rel=0.01)


def test_two_deployed_pools_keep_what_they_were_matched_for(given: Given) -> None:
    work = Workload(input_tokens=3500, output_tokens=1500, ttft_s=2, tpot_ms=50)
    made = deploy_split(given, "h800-sxm", "h20-96", "deepseek-r1", work, chips=64, longest=20000)
    assert made.prefill is not None and min(made.chips) >= 1 and sum(made.chips) <= 64
    rate = 0.5 * made.analytic_requests_per_s
    t = Trace(arrival_s=ARRIVALS["poisson"](rate, 1500, seed=1), prompt=np.full(1500, 3500.0),
              answer=np.full(1500, 1500.0))
    seen = made.run(t)
    assert np.percentile(seen.ttft_s(t), 50) < 2 and np.percentile(seen.tpot_s(t), 90) < 0.05


def test_simulate_verb_reads_a_trace(cli_json: Callable[..., Any], cli: Callable[..., tuple[int, str, str]],
                                     tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n" + "\n".join(f"{i * 0.5},2000,300" for i in range(200)))
    out = cli_json("tokens", "simulate", str(path), "--chip", "h20", "--chips", "16")
    assert out["requests"] == 200 and out["tpot_ms"]["p99"] >= out["tpot_ms"]["p50"] > 0
    assert 0 <= out["promise_kept_share"] <= 1 and out["saturation_requests_per_s"] > 0
    path.write_text("when,input_tokens,output_tokens\n1,2,3\n")
    code, _, err = cli("tokens", "simulate", str(path))
    assert code == 2 and "lacks a column for arrival" in err
