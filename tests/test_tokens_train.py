"""Training: published steps, activations to the byte, conventions, bubbles, conservation."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chipcast.base.catalog import Catalogue, last_known
from chipcast.tokens.beliefs import at_centre
from chipcast.tokens.cases import case_of
from chipcast.tokens.fit import log_forecast, prepare
from chipcast.tokens.guess import dense_model, model_for
from chipcast.tokens.jobs import AGAIN, with_room
from chipcast.tokens.model import load
from chipcast.tokens.pipeline import BURDEN, why_not
from chipcast.tokens.step import Speed
from chipcast.tokens.train import (
    CAUSES,
    RECOMPUTE,
    SCHEDULES,
    STATES,
    ZERO,
    Job,
    activation_bytes,
    fits_training,
    gpt_flop,
    hfu,
    mfu,
    model_flop_per_token,
    state_bytes,
    train_step,
    training_ledger,
)
from chipcast.tokens.train_explain import training_account

POINTS = [  # hidden, layers, heads, tp, pp, v, chips, batch, micro, full recompute s, selective s (2205.05198 table 5)
    (6144, 48, 64, 8, 1, 1, 8, 4, 4, 1.42, 1.10), (12288, 96, 96, 8, 8, 3, 64, 64, 1, 18.13, 13.75),
    (20480, 105, 128, 8, 35, 3, 280, 280, 1, 49.05, 37.83), (25600, 128, 160, 8, 64, 1, 512, 512, 1, 94.42, 71.49)]


def a100() -> Speed:
    """A rank of an A100 80 GB with Megatron; nine round numbers, none fitted to single points."""
    return Speed(chip="a100-sxm-80", ranks_per_chip=1, peak={"bf16": 312e12}, memory_bytes_s=2.039e12,
                 memory_bytes=80 * 2.0**30, reserve_bytes=0.0, domain=8, gemm_narrow=0.8, gemm_wide=0.76, grouped=0.6,
                 core_decode=0.5, core_prefill=0.5, stream=0.85, stream_few=0.8, core_stream=0.85, rows_half=8.0,
                 tile=128.0, launch_s=0.0, layer_s=0.0, host_s=0.0, request_s=0.0, maturity=1.0, even=0.9, hidden=0.5,
                 alpha_s=(5e-6, 20e-6), link_bytes_s=(240e9, 21e9))


def gpt(point: tuple[Any, ...]) -> Any:
    hidden, layers, heads = point[:3]
    return dense_model("gpt", layers, hidden, heads, heads, 4 * hidden, 51200, matrices=2, tied=True, positions=2048)


def job(point: tuple[Any, ...], recompute: str) -> Job:
    _, _, _, tp, pp, v, chips, batch, micro = point[:9]
    return Job(chips_ranks=chips, tp=tp, pp=pp, virtual=v, sequence=2048, batch=batch, micro=micro, recompute=recompute,
               schedule="interleaved" if v > 1 else "1f1b", causal=False, flash=False,
               sequence_parallel=recompute != "full")


def test_eight_published_steps_on_a100_are_met_within_four_percent_on_average() -> None:
    errors = [float(train_step(gpt(p), job(p, kind), a100()).total_s) / seconds - 1
              for p in POINTS for kind, seconds in (("full", p[9]), ("selective", p[10]))]
    assert np.mean(np.abs(errors)) < 0.04
    assert np.max(np.abs(errors)) < 0.09


def test_activations_and_states_match_the_published_formulas_exactly() -> None:
    gib = 2.0**30
    none = (59.25, 66.84375, 114.0234375, 131.25)
    selective = (9.5625, 12.3515625, 23.076171875, 26.5625)
    states = (45.5625, 45.5625, 31.640625, 32.958984375)
    for p, whole, part, state in zip(POINTS, none, selective, states, strict=True):
        hidden, layers, heads, tp, pp, v, _, _, micro = p[:9]

        def held(kind: str, sp: bool) -> float:
            return activation_bytes(hidden, heads, layers, 2048, micro, tp=tp, pp=pp, virtual=v, recompute=kind,  # noqa: B023
                                    sequence_parallel=sp) / gib

        assert held("selective", True) == pytest.approx(part, rel=1e-9)
        assert held("none", False) == pytest.approx(whole, rel=1e-9)
        assert 18 * 12 * layers * hidden**2 / (tp * pp) / gib == pytest.approx(state, rel=1e-9)


def test_published_utilisation_of_the_selective_steps() -> None:
    for p, share in zip(POINTS, (0.417, 0.514, 0.560, 0.563), strict=True):
        flop = gpt_flop(p[1], p[0], 2048, 51200, p[7])
        assert flop / p[10] / p[6] / 312e12 == pytest.approx(share, abs=0.002)


def test_every_llm_foundry_row_prints_the_utilisation_of_its_rate() -> None:
    rows = [r for r in Catalogue(last_known()).rows("measurements") if r["source_id"] == "LLMF"]
    assert len(rows) == 54
    for r in rows:
        model = model_for(r["model"])[0]
        s = int(r["input_len"])
        n = 12 * model.layers * model.hidden**2 + 50368 * model.hidden + s * model.hidden
        flop = 6 * n + 12 * model.layers * model.hidden * s
        assert float(r["raw_value"]) * flop / (989e12 if "H100" in r["hardware"] else 312e12) \
            == pytest.approx(float(r["value"]), rel=2.5e-3)
        ours = mfu(model, float(r["raw_value"]), s, 989e12 if "H100" in r["hardware"] else 312e12)
        assert ours == pytest.approx(float(r["value"]), rel=0.02)


def test_training_arithmetic_of_v3_by_both_conventions() -> None:
    m = load("deepseek-v3")
    assert 6 * (m.params_active - m.embedding_params) == pytest.approx(219.7e9, rel=2e-3)
    assert model_flop_per_token(m, 4096, convention="causal") == pytest.approx(250.4e9, rel=2e-3)


def test_idle_time_of_the_published_example() -> None:
    idle = {k: f(16, 1.0, 2.0, 1.0, 1, 64) for k, f in SCHEDULES.items()}
    assert (idle["1f1b"], idle["zb1p"], idle["dualpipe"]) == (45, 15, 14)
    assert SCHEDULES["interleaved"](16, 1.0, 2.0, 1.0, 3, 64) == 15


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_schedule_idles_without_stages_and_none_more_than_gpipe(name: str) -> None:
    assert SCHEDULES[name](1, 1.0, 2.0, 1.0, 1, 8) == 0
    assert 0 <= SCHEDULES[name](8, 1.0, 2.0, 1.0, 2, 8) <= SCHEDULES["gpipe"](8, 1.0, 2.0, 1.0, 2, 8)


def test_the_parts_of_a_step_add_to_its_time() -> None:
    for p in POINTS:
        step = train_step(gpt(p), job(p, "full"), a100())
        assert sum(step.ledger.values()) == pytest.approx(step.total_s)


def test_sharding_state_loses_nothing_and_more_recomputation_costs_time() -> None:
    for zero in ZERO:
        assert state_bytes(1e9, 1, zero) == 16e9
    assert state_bytes(1e9, 64, 3) * 64 == 16e9
    times = [float(train_step(gpt(POINTS[1]), job(POINTS[1], k), a100()).total_s) for k in RECOMPUTE]
    assert times == sorted(times)


def test_interleaving_helps_as_the_published_pair_says() -> None:
    p = (16384, 126, 128, 8, 8, 1, 512, 64, 1)
    plain = train_step(gpt(p), job(p, "selective"), a100())
    pieces = train_step(gpt(p), job((*p[:5], 4, *p[6:]), "selective"), a100())
    assert float(plain.total_s) > float(pieces.total_s) * 1.1


def test_train_verb_answers_with_the_promised_keys(cli_json: Callable[..., Any]) -> None:
    out = cli_json("tokens", "train", "deepseek-v3", "--chip", "ascend-910b2", "--chips", "4096", "--tokens", "1T",
                   "--draws", "200")
    assert {"mfu", "tokens_per_s_per_chip", "days", "gpu_hours", "goodput", "layout"} <= set(out)
    assert 0.05 < out["mfu"]["p50"] < 0.7
    assert out["gpu_hours"]["p50"] == pytest.approx(out["days"]["p50"] * 24 * 4096, rel=0.01)


@pytest.mark.parametrize(("arguments", "code", "match"), [
    (("--chips", "0"), 2, "--chips must be"), (("--tokens", "many"), 2, "--tokens"),
    (("--chip", "ascend-910b2", "--precision", "fp8"), 2, "has no fp8"), (("--chips", "8"), 3, "does not train"),
])
def test_bad_training_input_is_one_sentence(cli: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...],
                                            code: int, match: str) -> None:
    got, _, err = cli("tokens", "train", "deepseek-v3", *arguments)
    assert got == code and match in err


def test_hiding_sums_gives_about_the_published_gain_and_never_more_than_the_sums_take() -> None:
    rows = {r["id"]: float(r["value"]) for r in Catalogue(last_known()).rows("measurements")}
    published = rows["TITAN-012"] / rows["TITAN-011"]
    model, base = load("llama-3.1-70b"), Job(chips_ranks=256, tp=8, batch=512, sequence=8192)
    times = [train_step(model, base, replace(a100(), hidden_sums=h)) for h in (0.0, 0.25, 1.0)]
    plain, some, whole = (float(t.total_s) for t in times)
    assert 1 + 0.5 * (published - 1) < plain / some < 1 + 2 * (published - 1)
    sums = float(times[0].ledger["exposed"])
    assert plain - whole == pytest.approx(sums - float(times[2].ledger["exposed"]))
    assert plain - some == pytest.approx((plain - whole) / 4)


def test_no_sum_is_hidden_where_there_is_no_work_to_hide_it_behind() -> None:
    model, base = load("llama-3.1-70b"), Job(chips_ranks=256, tp=8, batch=512, sequence=8192)
    slow = replace(a100(), link_bytes_s=(1e9, 1e9), hidden_sums=1.0)
    assert float(train_step(model, base, slow).ledger["exposed"]) > 0.5 * float(train_step(model, base, slow).total_s)


def test_sequence_parallel_norms_take_one_over_the_tensor_ranks() -> None:
    model = load("llama-3.1-70b")
    base = Job(chips_ranks=64, tp=8, batch=64, sequence=8192)
    cut, whole = (float(train_step(model, replace(base, sequence_parallel=s), a100()).causes["memory"])
                  for s in (True, False))
    small = 3 * 80 * 64 / 8 * 10 * 8192 * 8192 * 2.0 * 1.5 / (2.039e12 * 0.85)
    assert whole - cut == pytest.approx(small * 7 / 8, rel=0.02)


@pytest.mark.parametrize(("sequence", "kind"), [(2048, "selective"), (16384, "half"), (131072, "full")])
def test_a_stated_layout_does_over_again_only_what_memory_asks(sequence: int, kind: str) -> None:
    model = load("llama-3.1-8b")
    job_ = Job(chips_ranks=8, tp=1, pp=1, batch=8, sequence=sequence, zero=3)
    eased = with_room(model, job_, a100())
    assert eased.recompute == kind
    if kind != "full":
        assert float(fits_training(model, eased, a100())) <= 1
    if kind != "selective":
        less = replace(eased, recompute=AGAIN[AGAIN.index(kind) - 1])
        assert float(fits_training(model, less, a100())) > 1


def titan(notes: str) -> Any:
    """A published pair of steps: 405B on 512 chips, tensor 8, stages 8, 32 sequences on each data-parallel rank."""
    catalog = Catalogue(last_known())
    row = {"id": "x", "hardware": "H100 SXM 80GB", "chips": "512", "model": "Llama-3.1-405B", "phase": "train",
           "precision": "FP8", "tp": "8", "pp": "8", "input_len": "8192", "engine": "torchtitan",
           "quantity": "train_tokens_per_s_per_chip", "notes": f"{notes} local batch 32"}
    return prepare(case_of(row, catalog), catalog)


def test_the_published_gain_of_interleaving_is_met_in_sign_and_by_half() -> None:
    plain, pieces = titan("1F1B"), titan("interleaved 1F1B")
    assert plain.job.micro_batches == pieces.job.micro_batches == 32
    gain = float(np.exp(log_forecast(pieces, at_centre) - log_forecast(plain, at_centre))[0])
    assert 1 + 0.5 * (128 / 100 - 1) <= gain < 1 + 1.5 * (128 / 100 - 1)


def pipeline_span(order: list[list[tuple[str, int]]], p: int, f: float, b: float) -> float:
    """Play a schedule: each stage works its list in order as soon as what it needs is there; returns the end."""
    done: dict[tuple[str, int, int], float] = {}
    free, place = [0.0] * p, [0] * p
    while any(place[s] < len(order[s]) for s in range(p)):
        for s in range(p):
            if place[s] == len(order[s]):
                continue
            kind, i = order[s][place[s]]
            before = ("F", i, s - 1) if kind == "F" and s else ("B", i, s + 1) if kind == "B" and s < p - 1 else \
                ("F", i, s) if kind == "B" else None
            if before is not None and before not in done:
                continue
            free[s] = max(free[s], done[before] if before else 0.0) + (f if kind == "F" else b)
            done[(kind, i, s)] = free[s]
            place[s] += 1
    return max(free)


@pytest.mark.parametrize(("p", "m"), [(2, 4), (4, 8), (8, 8)])
def test_playing_the_schedules_step_by_step_leaves_the_idle_time_of_the_formula(p: int, m: int) -> None:
    f, b = 1.0, 2.0
    gpipe = [[("F", i) for i in range(m)] + [("B", i) for i in range(m)] for _ in range(p)]
    one = []
    for s in range(p):
        warm = min(p - s, m)
        mixed = [x for i in range(m - warm) for x in (("B", i), ("F", warm + i))]
        one.append([("F", i) for i in range(warm)] + mixed + [("B", i) for i in range(m - warm, m)])
    for name, order in (("gpipe", gpipe), ("1f1b", one)):
        assert pipeline_span(order, p, f, b) - m * (f + b) == pytest.approx(SCHEDULES[name](p, f, b, 1.0, 1, m))
    in_flight = max(sum(1 if k == "F" else -1 for k, _ in one[0][: i + 1]) for i in range(len(one[0])))
    assert in_flight == BURDEN["1f1b"].in_flight(p, 1, m)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_says_what_it_holds_and_one_stage_holds_one_copy(name: str) -> None:
    burden = BURDEN[name]
    assert burden.in_flight(1, 1, 1) == 1
    assert burden.weights >= 1 and 1 <= burden.in_flight(8, 2, 64) <= BURDEN["gpipe"].in_flight(8, 2, 64)
    step = train_step(gpt(POINTS[1]), replace(job(POINTS[1], "selective"), schedule=name, virtual=1), a100())
    assert sum(step.causes.values()) == pytest.approx(step.total_s)


@pytest.mark.parametrize(("schedule", "more", "match"), [
    ("interleaved", {"virtual": 3, "micro_batches": 13}, "multiples of the 4 stages"),
    ("interleaved", {"virtual": 20, "micro_batches": 16}, "more than the 61 layers"),
    ("dualpipe", {"pp": 3}, "even number of stages"), ("dualpipe", {"micro_batches": 7}, "at least 8 micro-batches"),
    ("1f1b", {"pp": 62}, "more than the 61 layers"), ("1f1b", {}, ""), ("dualpipe", {"micro_batches": 8}, "")])
def test_a_schedule_that_cannot_run_is_refused_with_its_reason(schedule: str, more: dict[str, Any], match: str) -> None:
    said = why_not(schedule, **{"layers": 61, "pp": 4, "virtual": 1, "micro_batches": 64, **more})
    assert (match in said) if match else said == ""


def test_what_binds_a_step_follows_what_is_scarce() -> None:
    model, base = gpt(POINTS[1]), job(POINTS[1], "selective")
    assert train_step(model, base, a100()).bound_by == "compute"
    starved = replace(a100(), link_bytes_s=(2e9, 0.2e9))
    assert train_step(model, base, starved).bound_by == "link"
    few = replace(base, pp=16, chips_ranks=128, batch=1, virtual=1, schedule="1f1b")
    assert train_step(model, few, a100()).bound_by == "bubble"
    slow = replace(a100(), memory_bytes_s=2e10)
    assert train_step(model, base, slow).bound_by == "memory"
    assert train_step(model, base, replace(a100(), layer_s=1.0)).bound_by == "overhead"


@pytest.mark.parametrize("recipe", STATES)
@pytest.mark.parametrize("zero", ZERO)
def test_shards_of_every_recipe_add_to_the_unsharded_state(recipe: str, zero: int) -> None:
    whole, ranks = STATES[recipe].total * 1e9, 64
    own = state_bytes(1e9, ranks, zero, recipe=recipe)
    copied = {0: whole, 1: STATES[recipe].total - STATES[recipe].optimizer, 2: STATES[recipe].weights, 3: 0.0}[zero]
    shared = own - (copied * 1e9 if zero else copied)
    assert shared * ranks + (copied * 1e9 if zero else copied) == pytest.approx(whole)
    assert state_bytes(1e9, 1, zero, recipe=recipe) == pytest.approx(whole)


def test_the_memory_ledger_closes_and_two_copies_of_weights_are_counted() -> None:
    model, base = gpt(POINTS[1]), replace(job(POINTS[1], "selective"), virtual=1, schedule="1f1b")
    parts = training_ledger(model, base, a100())
    assert sum(parts.values()) / a100().memory_bytes == pytest.approx(float(fits_training(model, base, a100())))
    twice = training_ledger(model, replace(base, schedule="dualpipe"), a100())
    assert twice["weights"] == 2 * parts["weights"] and twice["activations"] == pytest.approx(
        parts["activations"] * 9 / 8)


def test_full_recomputation_is_four_thirds_of_the_models_arithmetic() -> None:
    model = model_for("mpt-7b")[0]
    assert hfu(model, 0.3, 2048, "full") == pytest.approx(0.4)
    assert hfu(model, 0.3, 2048, "none") == 0.3
    assert 0.3 < hfu(model, 0.3, 2048, "selective") < hfu(model, 0.3, 2048, "half") < 0.4
    rows = [r for r in Catalogue(last_known()).rows("measurements") if r["source_id"] == "LLMF"]
    for r in rows:
        said = float(re.search(r"hfu ([\d.]+)", r["notes"].lower()).group(1)) / 100  # type: ignore[union-attr]
        kind = "full" if "ckpt true" in r["notes"].lower() else "none"
        ours = hfu(model_for(r["model"])[0], float(r["value"]), int(r["input_len"]), kind)
        assert ours == pytest.approx(said, rel=0.01), r["id"]


def test_products_in_part_narrow_lie_between_all_and_none() -> None:
    model, base = gpt(POINTS[1]), job(POINTS[1], "selective")
    chip = replace(a100(), peak={"bf16": 312e12, "fp8": 624e12})
    wide, half, narrow = (float(train_step(model, j, chip).total_s) for j in (
        base, replace(base, precision="fp8", narrow_share=0.5), replace(base, precision="fp8")))
    assert narrow < half < wide
    none = replace(base, precision="fp8", narrow_share=0.0)
    assert float(train_step(model, none, chip).total_s) == pytest.approx(wide, rel=0.02)


def test_a_ring_inside_the_fast_links_is_faster_than_one_that_leaves_them() -> None:
    model = load("llama-3.1-8b")
    base = Job(chips_ranks=16, sequence=65536, batch=8, zero=3, cp=8)
    inside, outside = (float(train_step(model, replace(base, tp=t), a100()).ledger["exposed"]) for t in (1, 2))
    assert outside > inside


def test_the_paired_pipe_hides_the_exchange_of_experts() -> None:
    model = load("deepseek-v3")
    base = Job(chips_ranks=2048, tp=1, pp=16, ep=64, batch=15360, sequence=4096)
    plain, pair = (train_step(model, replace(base, schedule=s), a100()) for s in ("1f1b", "dualpipe"))
    assert float(pair.ledger["exposed"]) < float(plain.ledger["exposed"])
    assert float(pair.total_s) < float(plain.total_s)


@pytest.mark.parametrize("zero", [1, 2, 3])
@pytest.mark.parametrize(("tp", "pp", "ep"), [(1, 1, 1), (2, 4, 64), (8, 2, 8), (4, 1, 1)])
def test_the_sharded_state_of_a_model_with_experts_adds_to_the_whole(zero: int, tp: int, pp: int, ep: int) -> None:
    model, ranks = load("deepseek-v3"), 512
    parts = training_ledger(model, Job(chips_ranks=ranks, tp=tp, pp=pp, ep=ep, zero=zero, batch=512), a100())
    assert parts["optimizer"] * ranks == pytest.approx(12.0 * model.params_total)
    if zero >= 2:
        assert parts["gradients"] * ranks == pytest.approx(2.0 * model.params_total)
    if zero == 3:
        assert parts["weights"] * ranks == pytest.approx(2.0 * model.params_total)


@pytest.mark.parametrize(("name", "more"), [
    ("deepseek-v3", {"tp": 2.0, "pp": 4.0, "ep": 64.0, "virtual": 6.0, "schedule": "interleaved"}),
    ("llama-3.1-70b", {"tp": 8.0, "zero": 3, "recompute": "full"}), ("qwen3-next", {"ep": 8.0, "schedule": "1f1b"}),
    ("llama-3.1-8b", {"cp": 8.0, "sequence": 65536, "zero": 3}), ("deepseek-v3", {
        "pp": 16.0, "ep": 64.0, "schedule": "dualpipe", "batch": 8192.0, "precision": "fp8", "narrow_share": 0.7})])
def test_operations_messages_bubble_and_update_add_to_the_training_step(name: str, more: dict[str, Any]) -> None:
    model, chip = load(name), replace(a100(), peak={"bf16": 312e12, "fp8": 624e12}, launch_s=2e-6, host_s=0.01,
                                      hidden_sums=0.3)
    job_ = Job(**{"chips_ranks": 2048.0, "batch": 4096.0, **more})
    step, parts = train_step(model, job_, chip), training_account(model, job_, chip)
    assert sum(p.seconds for p in parts) == pytest.approx(float(np.max(step.total_s)))
    for cause in CAUSES:
        assert sum(p.seconds for p in parts if p.bound_by == cause) == pytest.approx(
            float(np.max(step.causes[cause])), abs=1e-9)
    assert [p.seconds for p in parts] == sorted((p.seconds for p in parts), reverse=True)
