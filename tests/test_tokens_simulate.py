"""The simulator meets queueing theory, loses no token and depends on the seed alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipcast.base.errors import InputError
from chipcast.tokens.simulate import (
    ARRIVALS,
    LENGTHS,
    Engine,
    Trace,
    birth_death,
    erlang_c,
    largest_rate,
    simulate,
    wait_m_g_1,
)


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
