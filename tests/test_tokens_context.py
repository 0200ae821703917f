"""Context parallelism: ranks that share a request do its work once between them, and pay for what they pass on."""

from __future__ import annotations

import numpy as np
import pytest

from chipcast.base.given import Given
from chipcast.tokens.memory import cache_bytes, weight_bytes
from chipcast.tokens.model import PRECISION, load
from chipcast.tokens.ops import Load, Plan, step_ops
from chipcast.tokens.speed import at_middle, speed_of
from chipcast.tokens.step import step_time, traffic_s

MODELS = ("deepseek-r1", "llama-3.1-70b", "qwen3-235b", "gpt-oss-120b")


def flop(name: str, plan: Plan, work: Load, kinds: tuple[str, ...]) -> float:
    ops, _ = step_ops(load(name), plan, work, PRECISION["bf16"], tile=1e-9)
    return float(sum(o.layers * o.flop for o in ops if o.kind in kinds))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("cp", [2, 4, 8])
def test_a_prompt_cut_over_ranks_is_worked_on_once(name: str, cp: int) -> None:
    work = Load(requests=1.0, new=65536.0, context=8192.0, prefill=True, all_logits=True)
    alone = flop(name, Plan(tp=1.0), work, ("core_prefill",))
    cut = flop(name, Plan(tp=1.0, cp=float(cp)), work, ("core_prefill",))
    assert cut * cp == pytest.approx(alone, rel=1e-9)
    if name == "llama-3.1-70b":
        whole, part = (flop(name, Plan(tp=1.0, cp=c), work, ("gemm", "head")) for c in (1.0, float(cp)))
        assert part * cp == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_decoding_reads_each_cached_token_on_one_rank(name: str) -> None:
    work = Load(requests=4.0, new=1.0, context=131072.0, prefill=False)
    one, four = ([o for o in step_ops(load(name), Plan(tp=1.0, cp=c), work, PRECISION["bf16"])[0] if o.name == "core"]
                 for c in (1.0, 4.0))
    for a, b in zip(one, four, strict=True):
        assert b.flop * 4 == pytest.approx(a.flop) and b.moved < a.moved
    model, plan = load(name), Plan(tp=1.0, cp=4.0)
    assert cache_bytes(model, plan, 3.0, 100_000, 2.0) * 4 == pytest.approx(
        cache_bytes(model, Plan(tp=1.0), 3.0, 100_000, 2.0))
    assert weight_bytes(model, plan, PRECISION["bf16"]) == weight_bytes(model, Plan(tp=1.0), PRECISION["bf16"])


def test_one_rank_passes_nothing_on_and_more_ranks_pay(given: Given) -> None:
    model, kind = load("llama-3.1-70b"), PRECISION["fp8"]
    speed = speed_of(at_middle(given), "h800-sxm")
    for prefill in (True, False):
        work = Load(requests=1.0, new=32768.0 if prefill else 1.0, context=0.0 if prefill else 131072.0,
                    prefill=prefill)
        link = []
        for cp in (1.0, 2.0, 8.0):
            plan = Plan(tp=1.0, cp=cp)
            _, messages = step_ops(model, plan, work, kind)
            link.append(float(np.max(sum(traffic_s(messages, plan, speed)))))
        assert link[0] == 0 < link[1] < link[2]


def test_a_long_prompt_is_done_sooner_by_more_ranks_with_less_than_their_number_of_gain(given: Given) -> None:
    model, kind = load("deepseek-r1"), PRECISION["fp8_block"]
    speed = speed_of(at_middle(given), "h800-sxm")
    times = []
    for cp in (1.0, 2.0, 4.0):
        plan = Plan(tp=8.0, cp=cp, ep=8.0 * cp, etp=1.0)
        ops, messages = step_ops(model, plan, Load(requests=1.0, new=65536.0, context=0.0, prefill=True), kind)
        times.append(float(np.max(step_time(ops, messages, plan, kind, speed, layers=61).total_s)))
    assert times[0] > times[1] > times[2] > times[0] / 4
    assert Plan(tp=8.0, cp=4.0).ranks == 32


def test_only_long_prompts_are_tried_on_ranks_that_share_them(given: Given) -> None:
    from chipcast.tokens.layout import candidates, rings_for, why_not

    model, speed = load("deepseek-r1"), speed_of(at_middle(given), "h800-sxm")
    assert rings_for(3500) == (1,) and rings_for(100_000) == (1, 2, 4, 8)
    shapes = [s for s in candidates(model, speed, 32, rings=(1, 4)) if not why_not(model, s, "fp8_block", speed)]
    rings = [s for s in shapes if s.cp == 4]
    assert rings and all(s.tp * s.dp * s.cp * s.pp == s.ranks <= 32 for s in shapes)
    assert all(s.ep * s.etp == s.tp * s.dp * s.cp for s in shapes)


def test_a_row_that_states_ranks_of_a_request_is_laid_out_with_them() -> None:
    from chipcast.base.catalog import Catalogue, last_known
    from chipcast.tokens.beliefs import part
    from chipcast.tokens.cases import case_of
    from chipcast.tokens.forecast import serving_plan

    catalog = Catalogue(last_known())
    row = {"id": "a", "hardware": "H800", "chips": "16", "model": "DeepSeek-R1", "phase": "decode", "precision": "FP8",
           "tp": "4", "cp": "4", "concurrency": "8", "input_len": "100000", "output_len": "500", "quantity": "tpot_ms"}
    plan, replicas, _ = serving_plan(case_of(row, catalog), part("h800-sxm", catalog))
    assert (plan.cp, plan.tp, plan.dp, replicas) == (4, 4, 1, 1)
