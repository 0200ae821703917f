"""The account of a step closes, op by op, and machines that turn out better serve more."""

from __future__ import annotations

import numpy as np
import pytest

from chipcast.base.given import Given
from chipcast.tokens.arrivals import made
from chipcast.tokens.capacity import Promise
from chipcast.tokens.engine import Policy, at_draw, deploy
from chipcast.tokens.explain import FASTER, account
from chipcast.tokens.model import PRECISION, load
from chipcast.tokens.ops import Load, Plan, step_ops
from chipcast.tokens.serve import Workload
from chipcast.tokens.speed import at_middle, speed_of
from chipcast.tokens.spread import spread
from chipcast.tokens.step import PARTS, step_time

CASES = [("deepseek-r1", "h20-96", Plan(tp=2.0, dp=8.0, ep=16.0), "fp8_block", False),
         ("deepseek-r1", "ascend-910c", Plan(tp=1.0, dp=32.0, ep=32.0), "int8_channel", False),
         ("llama-3.1-70b", "h800-sxm", Plan(tp=8.0), "fp8", True),
         ("qwen3-235b", "ascend-910b2", Plan(tp=8.0, dp=2.0, ep=16.0), "int8_channel", True)]


@pytest.mark.parametrize(("name", "chip", "plan", "precision", "prefill"), CASES)
def test_operations_messages_and_overhead_add_to_the_step(given: Given, name: str, chip: str, plan: Plan,
                                                          precision: str, prefill: bool) -> None:
    model, speed = load(name), speed_of(at_middle(given), chip)
    work = Load(requests=1.0 if prefill else 24.0, new=4096.0 if prefill else 1.0, context=0.0 if prefill else 5000.0,
                prefill=prefill)
    a = account(model, plan, speed, precision, work, requests=24.0)
    kind = PRECISION[precision]
    ops, messages = step_ops(model, plan, work, kind, tile=speed.tile, domain=speed.domain)
    step = step_time(ops, messages, plan, kind, speed, layers=model.layers, replica_requests=24.0)
    assert a.total_s == pytest.approx(float(np.max(step.total_s)))
    assert sum(o.seconds for o in a.operations) == pytest.approx(a.total_s)
    assert sum(a.parts.values()) == pytest.approx(1)
    by = {p: sum(o.share for o in a.operations if o.bound_by == p) for p in PARTS}
    assert by == pytest.approx(dict(a.parts), abs=1e-9)
    assert a.bound_by == max(a.parts, key=lambda k: a.parts[k])
    assert [o.seconds for o in a.operations] == sorted((o.seconds for o in a.operations), reverse=True)
    assert a.levers and {str(x["change"]) for x in a.levers} <= set(FASTER)
    assert [x["shorter_step"] for x in a.levers] == sorted((x["shorter_step"] for x in a.levers), reverse=True)
    for lever in a.levers:
        better = account(model, plan, FASTER[str(lever["change"])](speed), precision, work, requests=24.0)
        assert better.total_s == pytest.approx(a.total_s * (1 - float(lever["shorter_step"])))


def test_all_changes_together_halve_a_step(given: Given) -> None:
    """Matrix rate, bandwidth, links, latencies and host: nothing is left that does not halve."""
    name, chip, plan, precision, _ = CASES[0]
    model, speed = load(name), speed_of(at_middle(given), chip)
    work = Load(requests=24.0, new=1.0, context=5000.0, prefill=False)
    now, best = account(model, plan, speed, precision, work, requests=24.0), speed
    for change in FASTER.values():
        best = change(best)
    assert account(model, plan, best, precision, work, requests=24.0).total_s == pytest.approx(now.total_s / 2)


def test_what_binds_decode_moves_from_overhead_to_memory_or_compute_as_the_batch_grows(given: Given) -> None:
    model, speed = load("deepseek-r1"), speed_of(at_middle(given), "ascend-910c")
    plan = Plan(tp=1.0, dp=64.0, ep=64.0)
    shares = [account(model, plan, speed, "int8_channel", Load(requests=b, new=1.0, context=4000.0, prefill=False),
                      requests=b).parts["overhead"] for b in (1.0, 16.0, 128.0)]
    assert shares[0] > shares[1] > shares[2]


def test_a_simulation_over_draws_holds_the_layout_and_repeats_itself(given: Given) -> None:
    model, policy = load("qwen3-32b"), Policy()
    work = Workload(input_tokens=2000, output_tokens=500, ttft_s=2, tpot_ms=50)
    trace = made(2.0, 300, prompt=2000, answer=500, seed=1, most=30000)
    first = deploy(given, "h20-96", "qwen3-32b", work, chips=8, policy=policy, longest=30000)
    promise = Promise(ttft_s=2, tpot_s=0.05)
    one, two = (spread(given, first, model, work, trace, promise, policy=policy, longest=30000, draws=6, seed=1)
                for _ in range(2))
    np.testing.assert_array_equal(one.largest_requests_per_s, two.largest_requests_per_s)
    engines = [at_draw(given, first, model, work, draw=j, policy=policy, longest=30000) for j in range(6)]
    assert {e.layout for e in engines} == {first.layout} and len({e.engine.prompt_s for e in engines}) == 6
    ranks = [np.argsort(np.argsort(v)) for v in (one.largest_requests_per_s,
                                                 [e.analytic_requests_per_s for e in engines])]
    assert np.corrcoef(*ranks)[0, 1] > 0.7
