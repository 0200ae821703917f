"""Serving: what fits, what binds, what keeps a promise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.chip.ops import OP_TIME, intensity, op_time_s, padded, rounded, smooth
from chipcast.tokens.layout import Shape, why_not
from chipcast.tokens.memory import ledger, most_requests
from chipcast.tokens.model import PRECISION, load
from chipcast.tokens.money import capital_recovery, usd_per_million
from chipcast.tokens.ops import Load, Plan, step_ops
from chipcast.tokens.routing import distinct_destinations, mean_maximum, slowest_rank, touched_experts
from chipcast.tokens.serve import service
from chipcast.tokens.speed import at_middle, speed_of
from chipcast.tokens.step import step_time

POSITIVE = st.floats(1e-6, 1e6)


@hypothesis_given(POSITIVE, POSITIVE)
def test_every_form_of_time_lies_between_roofline_and_sum(a: float, b: float) -> None:
    for form in OP_TIME.values():
        assert max(a, b) * (1 - 1e-12) <= form(a, b) <= (a + b) * (1 + 1e-12)


def test_the_smooth_form_is_a_fourth_root_of_two_above_the_ridge() -> None:
    assert smooth(3.0, 3.0) == pytest.approx(3 * 2**0.25)


@hypothesis_given(st.floats(1, 5000), st.sampled_from([16, 64, 128]))
def test_padding_lies_between_rows_and_whole_tiles_and_never_jumps(rows: float, tile: int) -> None:
    assert rows <= padded(rows, tile) <= rows + tile
    assert rounded(rows, tile) >= rows and rounded(rows, tile) % tile == 0
    assert padded(rows + 1e-6, tile) - padded(rows, tile) < 2e-6


def test_published_kernel_of_h20_reproduces_its_fraction() -> None:
    flop = 2 * 64 * 2048 * 6144
    assert flop / 10.696e-6 / 296e12 == pytest.approx(0.5087, rel=5e-3)
    assert op_time_s(flop, 0.0, flop_per_s=0.5087 * 296e12, bytes_per_s=1.0) == pytest.approx(10.696e-6, rel=5e-3)


def test_touched_experts_meet_the_published_counts() -> None:
    for tokens, expected in ((1, 8.0), (8, 57.42), (32, 163.31), (64, 222.44), (128, 251.60), (256, 255.92)):
        assert touched_experts(256, tokens, experts=256, top_k=8) == pytest.approx(expected, abs=0.01)


def test_distinct_nodes_meet_the_counts_with_and_without_limit() -> None:
    for n, free, limited in ((2, 1.993, 1.926), (4, 3.614, 2.928), (8, 5.295, 3.629), (16, 6.523, 5.339),
                             (32, 7.267, 6.597)):
        assert distinct_destinations(n, 256, 8) == pytest.approx(free, abs=1e-3)
        assert distinct_destinations(n, 256, 8, limit=(8, 4)) == pytest.approx(limited, abs=1e-3)
    assert distinct_destinations(1, 256, 8) == 1


def test_distinct_nodes_agree_with_throwing_dice() -> None:
    rng = np.random.default_rng(3)
    picks = np.argsort(rng.random((20000, 256)), axis=1)[:, :8] // 32
    seen = np.mean([len(set(row)) for row in picks[:5000]])
    assert distinct_destinations(8, 256, 8) == pytest.approx(seen, abs=0.03)


def test_the_fullest_rank_meets_monte_carlo() -> None:
    for g, z in ((8, 1.424), (32, 2.07), (128, 2.595), (256, 2.827)):
        assert mean_maximum(g) == pytest.approx(z, abs=0.01)
    for g, tokens, expected in ((32, 128, 1.377), (32, 1024, 1.129), (32, 8192, 1.048), (128, 1024, 1.337)):
        assert slowest_rank(tokens * 8 / g, g, experts=256, top_k=8) == pytest.approx(expected, rel=0.03)


def bound_of_core(given: Given, chip: str, tp: int, *, model: str = "deepseek-v3", q: int = 1) -> float:
    """Return compute time over memory time of the decode attention core at the peaks."""
    ops, _ = step_ops(load(model), Plan(tp=tp), Load(requests=64, new=q, context=4096, prefill=False),
                      PRECISION["fp8_block"])
    core = next(o for o in ops if o.name == "core")
    speed = speed_of(at_middle(given), chip)
    return float((intensity(core.flop, core.moved) / (speed.peak["bf16"] / speed.memory_bytes_s))[0])


def test_latent_decode_is_compute_bound_on_h20_and_memory_bound_when_its_heads_are_split(given: Given) -> None:
    assert bound_of_core(given, "h20-96", 1) > 4
    assert 0.6 < bound_of_core(given, "h20-96", 8) < 1
    assert bound_of_core(given, "h20-96", 8, q=2) > 1
    assert bound_of_core(given, "h800-sxm", 1) < 1
    assert 0.8 < bound_of_core(given, "ascend-910c", 1) < 1.2


@pytest.mark.parametrize(("model", "tp", "expected"), [("deepseek-v3", 1, 241.8), ("deepseek-v3", 8, 30.2),
                                                       ("kimi-k2", 1, 120.9), ("llama-3.1-70b", 1, 8),
                                                       ("qwen3-235b", 1, 16)])
def test_intensity_of_decode_attention(model: str, tp: int, expected: float) -> None:
    ops, _ = step_ops(load(model), Plan(tp=tp), Load(requests=1, new=1, context=4_000_000, prefill=False),
                      PRECISION["bf16"])
    core = next(o for o in ops if o.name == "core")
    assert core.flop / core.moved == pytest.approx(expected, rel=2e-3)


def test_absorbed_prefill_wins_below_171_new_tokens_on_a_long_prefix() -> None:
    m = load("deepseek-v3").groups[0].attention
    saved = 2 * m.heads * m.kv_rank * (m.key_dim + m.value_dim)
    extra = m.core_flop_per_key(absorbed=True) - m.core_flop_per_key(absorbed=False)
    assert saved / extra == pytest.approx(170.7, abs=0.1)


def ops_flop(model: str, *, prefill: bool, context: float, new: float = 1) -> float:
    m = load(model)
    ops, _ = step_ops(m, Plan(tp=1), Load(requests=1, new=new, context=context, prefill=prefill, all_logits=True),
                      PRECISION["bf16"], tile=1e-6)
    return float(sum(o.flop * o.layers for o in ops))


@pytest.mark.parametrize("model", ["deepseek-v3", "llama-3.1-70b", "qwen3-235b", "gpt-oss-120b", "kimi-k2"])
def test_the_op_list_adds_to_the_counted_arithmetic(model: str) -> None:
    assert ops_flop(model, prefill=False, context=4095) == pytest.approx(load(model).flops_per_token(4095), rel=0.01)
    mean = ops_flop(model, prefill=True, context=0, new=4096) / 4096
    assert mean == pytest.approx(load(model).flops_per_token(4096, decode=False), rel=0.02)


def fits(given: Given, chip: str, chips: int, tp: int, precision: str, *, dp: int = 1, ep: int = 1) -> bool:
    speed = speed_of(at_middle(given), chip)
    plan = Plan(tp=tp, dp=dp, ep=ep, etp=tp * dp // ep)
    assert tp * dp == chips * speed.ranks_per_chip
    room = most_requests(load("deepseek-v3"), plan, PRECISION[precision], usable=speed.memory_bytes,
                         reserve=3.5e9 / speed.ranks_per_chip, tokens=4096)
    return float(np.max(room)) >= 1


def test_v3_in_fp8_needs_more_than_eight_times_80_gb_and_fits_eight_times_96(given: Given) -> None:
    assert not fits(given, "h100-sxm", 8, 8, "fp8_block")
    assert fits(given, "h20-96", 8, 8, "fp8_block")
    assert not fits(given, "ascend-910b2", 8, 8, "int8_channel")
    assert fits(given, "ascend-910b2", 16, 16, "int8_channel")
    assert not fits(given, "ascend-910b2", 16, 16, "bf16")


def test_cache_of_latent_attention_is_not_divided_by_tensor_parallelism() -> None:
    m, kind = load("deepseek-v3"), PRECISION["fp8_block"]
    one, eight = (ledger(m, Plan(tp=tp, etp=tp), kind, usable=1e12, reserve=0.0, requests=7, tokens=4000).cache
                  for tp in (1, 8))
    assert one == eight
    grouped = load("llama-3.1-70b")
    one, eight, many = (ledger(grouped, Plan(tp=tp), kind, usable=1e12, reserve=0.0, requests=7, tokens=4000).cache
                        for tp in (1, 8, 16))
    assert one == 8 * eight and many == eight


def test_eight_h20_hold_the_published_number_of_cached_tokens() -> None:
    m, kind, usable = load("deepseek-v3"), PRECISION["fp8_block"], 97871 * 2.0**20
    plan = Plan(tp=8, etp=8)
    tokens = [float(most_requests(m, plan, kind, usable=usable, reserve=r, tokens=16)) * 16 for r in (3.5e9, 10e9)]
    assert tokens == pytest.approx([199000, 106500], rel=0.02)


def test_the_ledger_closes_and_the_reserve_is_a_row(given: Given) -> None:
    m, kind = load("deepseek-v3"), PRECISION["fp8_block"]
    book = ledger(m, Plan(tp=8, etp=8), kind, usable=1e11, reserve=4e9, requests=3, tokens=5000, chunk_tokens=2048)
    assert sum(book.parts().values()) == book.used
    assert speed_of(given, "h20-96").reserve_bytes == pytest.approx(given["memory.reserve_gb"] * 1e9)


@settings(max_examples=25, deadline=None)
@hypothesis_given(st.floats(8e10, 3e11), st.integers(100, 100000))
def test_room_grows_with_memory_and_shrinks_with_length(usable: float, tokens: int) -> None:
    m, kind, plan = load("qwen3-32b"), PRECISION["bf16"], Plan(tp=2)
    here = most_requests(m, plan, kind, usable=usable, reserve=0.0, tokens=tokens)
    assert most_requests(m, plan, kind, usable=usable * 1.01, reserve=0.0, tokens=tokens) > here
    assert most_requests(m, plan, kind, usable=usable, reserve=0.0, tokens=tokens + 16) < here


def test_block_scales_decide_which_cuts_are_legal(given: Given) -> None:
    speed, qwen, v3 = speed_of(at_middle(given), "h20-96"), load("qwen3-235b"), load("deepseek-v3")
    assert "192" in why_not(qwen, Shape(tp=8, dp=1, pp=1, ep=1), "fp8_block", speed)
    assert not why_not(qwen, Shape(tp=4, dp=1, pp=1, ep=1), "fp8_block", speed)
    assert not why_not(qwen, Shape(tp=8, dp=1, pp=1, ep=8), "fp8_block", speed)
    assert not why_not(qwen, Shape(tp=8, dp=1, pp=1, ep=1), "bf16", speed)
    wide = speed_of(at_middle(given), "ascend-910c")
    assert not why_not(v3, Shape(tp=16, dp=1, pp=1, ep=1), "fp8_block", wide)
    assert "does not divide" in why_not(v3, Shape(tp=3, dp=1, pp=1, ep=1), "fp8_block", speed)
    assert "leaves the 8 ranks" in why_not(v3, Shape(tp=16, dp=1, pp=1, ep=16), "fp8_block", speed)


@settings(max_examples=25, deadline=None)
@hypothesis_given(st.floats(1, 500), st.floats(100, 50000))
def test_time_of_a_step_is_continuous_and_monotone_in_batch_and_context(batch: float, context: float) -> None:
    from chipcast.scenario import load as scenario
    from chipcast.scenario import resolve

    speed = SPEEDS.setdefault("h20", speed_of(at_middle(resolve(scenario("february-2025"), draws=1,
                                                                chips=("h20-96",))), "h20-96"))

    def seconds(b: float, s: float) -> float:
        plan, kind = Plan(tp=1, dp=16, ep=16), PRECISION["fp8_block"]
        ops, messages = step_ops(load("deepseek-v3"), plan, Load(requests=b, new=1, context=s, prefill=False), kind)
        return float(step_time(ops, messages, plan, kind, speed, layers=61).total_s[0])

    here = seconds(batch, context)
    assert here <= seconds(batch * 1.01, context) < here * 1.02
    assert here <= seconds(batch, context * 1.01) < here * 1.02


SPEEDS: dict[str, Any] = {}


def test_parts_of_a_step_add_to_its_time(given: Given) -> None:
    speed, plan, kind = speed_of(given, "ascend-910c"), Plan(tp=2, dp=16, ep=32), PRECISION["int8_channel"]
    ops, messages = step_ops(load("deepseek-v3"), plan, Load(requests=8, new=1, context=4000, prefill=False), kind)
    step = step_time(ops, messages, plan, kind, speed, layers=61, parts=True)
    assert np.sum(list(step.parts_s.values()), axis=0) == pytest.approx(step.total_s)


CHIPS = ("h20-96", "h800-sxm", "ascend-910b2", "ascend-910c")


def r1(given: Given, **changes: Any) -> Any:
    asked: dict[str, Any] = {"input_tokens": 3500, "output_tokens": 1500, "ttft_s": 2, "tpot_ms": 50, **changes}
    return service(given, CHIPS, "deepseek-r1", **asked)


def test_no_result_depends_on_how_draws_are_cut_into_blocks(given: Given) -> None:
    whole, part = r1(given.block(0, 300)), r1(given.block(100, 200))
    assert whole.layouts == part.layouts
    np.testing.assert_array_equal(whole.output_tokens_per_s_per_chip[:, 100:200], part.output_tokens_per_s_per_chip)
    np.testing.assert_array_equal(whole.usd_per_million_output_tokens[:, 100:200], part.usd_per_million_output_tokens)


def test_a_kept_promise_is_kept_and_a_looser_one_never_serves_less(given: Given) -> None:
    g = given.block(0, 300)
    tight, loose = r1(g), r1(g, tpot_ms=100)
    for i in range(len(CHIPS)):
        kept = tight.tpot_ms[i] <= 50 * (1 + 1e-9)
        assert tight.feasible[i] == pytest.approx(np.mean(kept), abs=0.05)
        assert np.median(loose.output_tokens_per_s_per_chip[i]) >= np.median(tight.output_tokens_per_s_per_chip[i])
    assert np.all(tight.total_tokens_per_s_per_chip == pytest.approx(
        tight.output_tokens_per_s_per_chip * (5000 / 1500)))


def test_the_evidence_of_february_2025_is_prior_only(given: Given) -> None:
    assert set(r1(given.block(0, 50)).grade) == {"prior only"}


def test_small_batches_of_a_sparse_model_on_ascend_are_bound_by_overhead(given: Given) -> None:
    speed = speed_of(at_middle(given), "ascend-910b2", segment="public_centre")
    plan, kind = Plan(tp=4), PRECISION["bf16"]
    ops, messages = step_ops(load("qwen3-30b-a3b"), plan, Load(requests=1, new=1, context=2000, prefill=False), kind)
    parts = step_time(ops, messages, plan, kind, speed, layers=48, parts=True).parts_s
    assert max(parts, key=lambda k: float(np.sum(parts[k]))) == "overhead"


def test_smallest_deployments_come_in_whole_servers(given: Given) -> None:
    s = r1(given.block(0, 50))
    assert dict(zip(s.chips, s.min_chips, strict=True)) == {"h20-96": 8, "h800-sxm": 16, "ascend-910b2": 16,
                                                            "ascend-910c": 8}


def test_cost_per_million_is_money_over_tokens() -> None:
    assert usd_per_million(1000.0, 3.6, 0.5) == pytest.approx(2.0)
    assert capital_recovery(1e-9, 4.0) == pytest.approx(0.25, rel=1e-6)


def test_bad_promises_and_lengths_are_refused(given: Given) -> None:
    g = given.block(0, 10)
    for change, match in (({"tpot_ms": 0}, "tpot_ms must be above 0"), ({"output_tokens": -1}, "output_tokens"),
                          ({"input_tokens": 400000}, "context"), ({"prefix_hit": 1.0}, "prefix_hit"),
                          ({"max_chips": 0}, "chips must be above 0"), ({"accept": 3.0}, "accept"),
                          ({"input_tokens": math.nan}, "input_tokens")):
        with pytest.raises(InputError, match=match):
            r1(g, **change)


def test_drafts_that_hold_raise_the_rate_and_cached_prompts_too(given: Given) -> None:
    g = given.block(0, 100)
    plain, drafted, cached = r1(g), r1(g, drafts=1, accept=1.7), r1(g, prefix_hit=0.9)
    assert np.median(drafted.output_tokens_per_s_per_chip[0]) > np.median(plain.output_tokens_per_s_per_chip[0])
    assert np.median(cached.output_tokens_per_s_per_chip[0]) > np.median(plain.output_tokens_per_s_per_chip[0])


def test_serve_speaks_json_with_the_promised_keys(cli_json: Callable[..., Any]) -> None:
    out = cli_json("tokens", "serve", "deepseek-r1", "--chip", "h20,910c", "--chips", "16", "--draws", "200")
    assert {"layout", "output_tokens_per_s_per_chip", "tpot_ms", "ttft_ms", "usd_per_million_output_tokens", "bound_by",
            "grade"} <= set(out["best"])
    assert out["best"]["tpot_ms"]["p50"] <= 50.001 and out["frontier"]
    model = cli_json("tokens", "model", "deepseek-v3")
    assert model["params_total"] == 671026419200 and model["kv_bytes_per_token"] == 70272


def test_layout_verb_says_why_each_layout_is_not_the_answer(cli_json: Callable[..., Any]) -> None:
    out = cli_json("tokens", "layout", "deepseek-r1", "--chip", "h100", "--chips", "8")
    assert out["layouts"] and all("GB short" in r["verdict"] for r in out["layouts"])
    fits = cli_json("tokens", "layout", "deepseek-r1", "--chip", "h20", "--chips", "8")
    rates = [r["output_tokens_per_s_per_chip"] for r in fits["layouts"]]
    assert rates == sorted(rates, reverse=True) and rates[0] > 0


@pytest.mark.parametrize(("arguments", "code", "match"), [
    (("serve", "deepseek-r1", "--chip", "h100", "--chips", "8"), 3, "does not fit"),
    (("serve", "deepseek-r1", "--chip", "h20", "--tpot-ms", "1"), 3, "the nearest takes"),
    (("serve", "deepseek-r1", "--chip", "ascend-910b2", "--precision", "fp8"), 2, "has no fp8"),
    (("serve", "nothing", "--chip", "h20"), 2, "unknown model"),
    (("serve", "deepseek-r1", "--chip", "h2o"), 2, "unknown chip"),
    (("serve", "deepseek-r1", "--chips", "0"), 2, "--chips must be"),
    (("model", "missing.json"), 2, "no file"),
])
def test_bad_input_is_one_sentence(cli: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], code: int,
                                   match: str) -> None:
    got, _, err = cli("tokens", *arguments)
    assert got == code and match in err and "Traceback" not in err


def test_layouts_priced_for_one_promise_answer_another_as_if_it_came_first(given: Given) -> None:
    from chipcast.tokens import serve

    def ask(tpot_ms: float) -> Any:
        serve._CHOICES.clear()
        return service(given.block(0, 8), ("h20-96", "ascend-910b2"), "deepseek-r1", input_tokens=1000,
                       output_tokens=400, ttft_s=2.0, tpot_ms=tpot_ms)

    strict, loose = ask(25.0), ask(100.0)
    serve._GRIDS.clear()
    again = ask(100.0)
    assert loose.layouts == again.layouts and loose.frontier == again.frontier and loose.reasons == again.reasons
    assert np.array_equal(loose.tpot_ms, again.tpot_ms)
    assert strict.layouts != loose.layouts
    assert len(serve._GRIDS) <= serve.GRIDS_KEPT


def test_medians_of_a_table_are_those_of_its_blocks_and_of_no_other_table(given: Given) -> None:
    from dataclasses import replace

    from chipcast.base.laws import point

    row = given.row("server.chips")
    other = given.with_rows([replace(row, law=point(16.0))])
    first, block, changed = at_middle(given), at_middle(given.block(1, 3)), at_middle(other)
    assert block is first and first.draws == 1
    assert float(changed["server.chips"][0]) == 16.0 != float(first["server.chips"][0])
    assert float(at_middle(given)["server.chips"][0]) == row.law.middle
