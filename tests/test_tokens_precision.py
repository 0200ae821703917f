"""Experts and other products in precisions of their own, free layouts, dates of software, and draws in strata."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from chipcast.base.catalog import Catalogue, last_known
from chipcast.base.errors import InputError
from chipcast.tokens.beliefs import at_centre, maker, part, speed_from
from chipcast.tokens.cases import case_of
from chipcast.tokens.cells import precision_of, years_before
from chipcast.tokens.config import with_attention
from chipcast.tokens.fit import prepare
from chipcast.tokens.forecast import accept_length, serving, settle, ways
from chipcast.tokens.layout import choose_precision
from chipcast.tokens.memory import weight_bytes
from chipcast.tokens.model import MIXED, PRECISION, deployed, load
from chipcast.tokens.ops import Load, Plan, step_ops
from chipcast.tokens.predict import normals, predict, strata
from chipcast.tokens.step import efficiency

NOW = Catalogue(last_known())
V3 = load("deepseek-v3")
NAMES = [f"{a}+{b}" for a, b in MIXED]
ROW = {"id": "x", "hardware": "GB200 NVL72", "chips": "8", "model": "DeepSeek-R1", "phase": "mixed", "precision": "FP8",
       "input_len": "2000", "output_len": "1000", "quantity": "output_tokens_per_s_per_chip"}


def speed_of(chip: str) -> Any:
    here, family = part(chip, NOW), maker(chip, NOW)
    return speed_from(here, family, chip, "open", "sglang", at_centre)


def ask(**changes: str) -> Any:
    p = predict([{**ROW, **changes}], NOW)[0]
    assert not p.error, p.error
    return p


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model", ["deepseek-v3", "kimi-k2.5", "gpt-oss-120b", "qwen3-32b"])
def test_bytes_of_experts_and_of_the_rest_add_up(name: str, model: str) -> None:
    experts, other = (PRECISION[p].bytes_per_weight for p in name.split("+"))
    shape = load(model)
    told = shape.weight_bytes(name.partition("+")[2]) + shape.expert_params * (experts - other)
    assert shape.weight_bytes(name) == pytest.approx(told)
    one_rank = float(weight_bytes(shape, Plan(tp=1.0), PRECISION[name]))
    assert one_rank == pytest.approx(shape.weight_bytes(name), rel=0.005)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prefill", [False, True])
def test_each_operation_is_priced_in_the_precision_of_its_own_weights(name: str, prefill: bool) -> None:
    load_ = Load(requests=16.0, new=64.0 if prefill else 1.0, context=2048.0, prefill=prefill)
    plan, speed = Plan(tp=1.0, dp=8.0, ep=8.0), speed_of("gb200-nvl72")[0]
    both, (wide, narrow) = PRECISION[name], (PRECISION[name.split("+")[i]] for i in (1, 0))
    mixed, outside, inside = (step_ops(V3, plan, load_, p)[0] for p in (both, wide, narrow))
    for m, o, i in zip(mixed, outside, inside, strict=True):
        own, kind = (i, narrow) if m.kind == "grouped" else (o, wide)
        assert (m.flop, m.moved) == (own.flop, own.moved)
        assert efficiency(m, speed, both) == efficiency(own, speed, kind)


def test_wider_attention_never_serves_faster_and_costs_what_its_share_of_the_work_allows() -> None:
    rates = [ask(precision=p, phase="prefill", quantity="input_tokens_per_s_per_chip").p50
             for p in ("NVFP4", "BF16 attn + NVFP4", "FP8", "BF16 attn + FP8", "BF16")]
    assert rates[0] > rates[1] > rates[3] and rates[0] > rates[2] > rates[3] > rates[4]


@pytest.mark.parametrize(("text", "model", "name"), [
    ("NVFP4", "deepseek-r1", "fp4_block+fp8_block"), ("FP8 attn + NVFP4 MoE", "deepseek-r1", "fp4_block+fp8_block"),
    ("BF16 attn + FP8", "deepseek-r1", "fp8_block+bf16"), ("NVFP4", "qwen3-32b", "fp4_block"),
    ("INT4 MoE (native), BF16 rest", "kimi-k2.5", "int4_group+bf16"), ("AWQ", "qwen3-32b", "int4_group"),
    ("W8A16", "qwen3-32b", "w8a16"), ("GPTQ-Int8", "qwen3-32b", "w8a16"), ("half", "qwen3-32b", "bf16"),
    ("E4M3", "qwen3-32b", "fp8"), ("8-bit", "qwen3-32b", "fp8"),
    ("", "gpt-oss-120b", "mxfp4+bf16"), ("FP8, FP8 KV", "deepseek-r1", "fp8_block")])
def test_words_for_precision_are_read_as_makers_mean_them(text: str, model: str, name: str) -> None:
    peaks = {"bf16": 1.0, "fp8": 2.0, "fp4": 4.0}
    assert precision_of(text, load(model), peaks)[0] == name


def test_four_bits_on_ascend_leave_attention_in_eight() -> None:
    p = ask(hardware="Ascend 910C", precision="W4A8", engine="vllm-ascend", chips="16")
    assert "experts in w4a8, other products in int8_channel" in p.assumed


def test_a_chip_without_four_bits_says_what_it_does_instead() -> None:
    p = ask(hardware="H20", precision="NVFP4")
    assert "no FP4 on the chip, mxfp4 instead; experts in mxfp4, other products in bf16" in p.assumed


@pytest.mark.parametrize("word", ["FP7", "int3", "wide"])
def test_a_precision_nobody_knows_is_an_error_and_no_silent_default(word: str) -> None:
    p, other = predict([{**ROW, "precision": word}, ROW], NOW)
    assert p.error.startswith(f"precision '{word}' is not known; write bf16, fp8") and np.isnan(p.p50)
    assert not other.error


@pytest.mark.parametrize(("native", "quant", "experts", "name"), [
    ("fp8_block", {"modules_to_not_convert": ["model.layers.0.self_attn", "lm_head"]}, True, "fp8_block+bf16"),
    ("fp8_block", {"modules_to_not_convert": ["lm_head"]}, True, "fp8_block"),
    ("fp4_block", {"exclude_modules": ["*self_attn*"]}, True, "fp4_block+bf16"),
    ("int4_group", {"quant_method": "compressed-tensors", "ignore": ["re:.*self_attn.*"]}, True, "int4_group+bf16"),
    ("int4_group", {"quant_method": "compressed-tensors", "ignore": ["lm_head"]}, True, "int4_group"),
    ("int4_group", {"quant_method": "awq"}, True, "int4_group"), ("mxfp4", {}, True, "mxfp4+bf16"),
    ("mxfp4", {}, False, "mxfp4"), ("bf16", {"ignore": ["self_attn"]}, True, "bf16")])
def test_layers_that_a_config_leaves_alone_keep_sixteen_bits(native: str, quant: dict[str, Any], experts: bool,
                                                             name: str) -> None:
    assert with_attention(native, quant, experts=experts) == name


def test_published_weights_stay_what_their_config_says() -> None:
    assert deployed("fp8_block", V3) == "fp8_block" and load("gpt-oss-120b").native == "mxfp4+bf16"
    assert load("deepseek-v4-flash").native == "mxfp4+fp8_block"


def test_a_chip_without_the_arithmetic_of_either_part_refuses() -> None:
    h20 = speed_of("h20-96")[0]
    with pytest.raises(InputError, match=r"chip 'h20-96' has no fp4"):
        choose_precision(V3, h20, "nvfp4")
    a100 = speed_of("a100-sxm-80")[0]
    with pytest.raises(InputError, match=r"has no fp8"):
        choose_precision(V3, a100, "fp8+bf16")


def test_sparse_prefill_is_dense_while_short_and_absorbed_when_long() -> None:
    model = load("deepseek-v3.2")
    a = model.groups[0].attention
    dense = replace(a, index_top=0)

    def core(attention: Any, new: float) -> float:
        shape = replace(model, groups=(replace(model.groups[0], attention=attention, count=1),))
        ops, _ = step_ops(shape, Plan(tp=1.0), Load(requests=1.0, new=new, context=0.0, prefill=True),
                          PRECISION["fp8_block"])
        return float(next(o.flop for o in ops if o.name == "core"))

    assert core(a, 2048.0) == core(dense, 2048.0)
    long = 131072.0
    per_key = 2 * a.heads * (2 * a.kv_rank + a.rope_dim)
    assert core(a, long) == pytest.approx(long * a.index_top * per_key)
    assert core(a, long) < core(dense, long)


def test_mirrored_strata_put_a_median_in_the_middle_where_plain_draws_do_not() -> None:
    names = [f"n{k}" for k in range(30)]
    total = sum(normals(3, n, 400) for n in names)
    assert abs(np.median(total)) < 1e-9
    assert np.quantile(total, 0.95) == pytest.approx(1.645 * np.sqrt(30), rel=0.08)
    u = strata(3, "n0", 400)
    np.testing.assert_allclose(np.sort(u[:200]), (np.arange(200) + 0.5) / 200)
    np.testing.assert_allclose(u[:200] + u[200:], 1.0)
    assert strata(3, "n0", 401).size == 401 and not np.array_equal(u, strata(4, "n0", 400))


@pytest.mark.parametrize(("chip", "counts"), [("GB200 NVL72", (4, 8, 16, 32, 64)), ("H800 SXM", (16, 32, 64, 128))])
def test_more_chips_never_serve_less_each_where_the_layout_is_free(chip: str, counts: tuple[int, ...]) -> None:
    rates = [ask(hardware=chip, chips=str(n)).p50 for n in counts]
    assert all(b > 0.97 * a for a, b in pairwise(rates)), rates


@pytest.mark.parametrize(("changes", "said"), [
    ({}, "layout searched: tp 1, dp 8"), ({"concurrency": "2"}, "layout searched: tp 8, dp 1"),
    ({"concurrency": "2", "quantity": "tpot_ms"}, "layout searched: tp 8, dp 1"),
    ({"concurrency": "2000"}, "layout searched: tp 1, dp 8")])
def test_a_free_layout_is_the_best_of_its_ways_at_its_load(changes: dict[str, str], said: str) -> None:
    case = case_of({**ROW, **changes}, NOW)
    ready = prepare(case, NOW)
    here, speed, stack = ready.part, *speed_from(ready.part, ready.family, ready.group, case.stack, case.engine,
                                                 at_centre)
    assert ready.setting is not None and ready.said[0].startswith(said)
    sign = -1.0 if case.quantity == "tpot_ms" else 1.0
    mine = sign * float(np.max(serving(case, here, speed, stack, 0.7, ready.setting)))
    for way in ways(case, here):
        assert sign * float(np.max(serving(way, here, speed, stack, 0.7, settle(way, here)))) <= mine + 1e-9 * abs(mine)


@pytest.mark.parametrize("told", [{"tp": "8"}, {"ep": "8"}, {"notes": "1P1D"}, {"model": "qwen3-32b"},
                                  {"phase": "prefill", "quantity": "input_tokens_per_s_per_chip"},
                                  {"quantity": "tpot_ms"}])
def test_a_layout_that_is_told_or_no_question_is_not_searched(told: dict[str, str]) -> None:
    assert not ways(case_of({**ROW, **told}, NOW), part("gb200-nvl72", NOW))


def test_what_a_row_leaves_open_makes_its_answer_wider_and_not_other() -> None:
    told = {"concurrency": "64", "tp": "8", "hardware": "H20", "model": "qwen3-235b-a22b", "input_len": "1024",
            "output_len": "1024"}
    asks = [told, {**told, "output_len": ""}, {**told, "output_len": "", "concurrency": ""}]
    widths = [np.log(p.p95 / p.p05) for p in (ask(**a) for a in asks)]
    assert widths[0] < widths[1] < widths[2]
    assert ask(**asks[1]).p50 == pytest.approx(ask(**asks[0]).p50, rel=0.01)


def test_a_layout_in_the_notes_counts_where_the_columns_are_empty_and_the_notes_are_plain() -> None:
    assert case_of({**ROW, "notes": "NVFP4, TP2, ISL 2k"}, NOW).tp == 2
    assert case_of({**ROW, "notes": "prefill DP2+TP16, decode DP8+TP4"}, NOW).tp == 0
    assert case_of({**ROW, "notes": "TP2", "tp": "4"}, NOW).tp == 4


def test_software_is_as_old_as_the_first_day_its_value_was_known() -> None:
    assert years_before("repo snapshot 2026-01-08", "2025-05-16") == years_before("2025-05", "")
    assert years_before("v1.0 docs, 2025", "2025-09-30") == years_before("2025-09")
    assert years_before("2025-11-02", "2026-05-06") == years_before("2025-11")
    assert years_before("2026-08-22 (snapshot)", "2026-08-22") < 0 == years_before("") == years_before("soon", "")
    assert (years_before("2019"), years_before("2031")) == (2.0, -1.0)


def test_newer_software_is_faster_and_launches_gain_more_than_products() -> None:
    case = case_of({**ROW, "hardware": "H20"}, NOW)
    here = part("h20-96", NOW)
    old, new = (speed_from(here, "nvidia", "h20", case.stack, "sglang", at_centre, years=y)[0] for y in (1.0, -0.5))
    launches, products = float(old.launch_s[0] / new.launch_s[0]), float(new.maturity[0] / old.maturity[0])
    assert launches > products > 1


def test_longer_drafts_yield_more_and_never_more_than_they_hold() -> None:
    case = replace(case_of({**ROW, "spec_decode": "draft 1"}, NOW), accept=0.0)
    yields = [float(accept_length(replace(case, drafts=n), 0.72)) for n in (1, 2, 3, 7, 15)]
    assert all(b > a for a, b in pairwise(yields))
    assert yields[0] == pytest.approx(1.72) and all(y < n + 1 for y, n in zip(yields, (1, 2, 3, 7, 15), strict=True))
