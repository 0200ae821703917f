"""The fit is one road: what it learnt from measurements is what `predict` and `serve` run on, and it is checked."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from chipcast.base.catalog import Catalogue, last_known
from chipcast.base.errors import InputError
from chipcast.base.infer import temper
from chipcast.scenario import load as load_scenario
from chipcast.scenario import resolve
from chipcast.tokens.beliefs import CHIP_NAMES, STACK_NAMES, TRAINING_NAMES, maker, part, speed_from, table
from chipcast.tokens.cases import case_of
from chipcast.tokens.cells import years_before
from chipcast.tokens.fit import as_stated, fit, log_forecast, noise_of, prepare
from chipcast.tokens.forecast import filled
from chipcast.tokens.guess import model_for
from chipcast.tokens.kernels import kernels
from chipcast.tokens.model import load
from chipcast.tokens.names import hardware, taken_as
from chipcast.tokens.posterior import shipped_posterior
from chipcast.tokens.predict import predict, sampler
from chipcast.tokens.serve import Workload, choose_layout, deliver, service
from chipcast.tokens.speed import at_middle, fitted_speed, speed_of
from chipcast.tokens.validate import KEYS, REACHES, Scored, cases, nested, operations, rank_accuracy, stretch, stretches

NOW = Catalogue(last_known())
ROW = {"id": "a", "hardware": "H20", "model": "DeepSeek-R1", "phase": "mixed", "precision": "FP8", "chips": "8",
       "tp": "8", "concurrency": "32", "input_len": "1024", "output_len": "1024", "engine": "SGLang",
       "quantity": "tpot_ms"}


def world(name: str, count: int = 40, **overrides: Any) -> Any:
    return resolve(load_scenario(name, overrides=overrides), draws=count, seed=1)


@lru_cache(maxsize=1)
def rows_of_today() -> tuple[Any, ...]:
    return tuple(cases(NOW)[0])


def usable(*sources: str) -> list[Any]:
    return [r for r in rows_of_today() if r.case.source in sources]


def test_laplace_agrees_with_the_tempered_sampler() -> None:
    ready = usable("INFSIM")[0]
    names = ["gemm_narrow@nvidia", "gemm_wide@nvidia", "launch_us@open"]
    ready = replace(ready, names=tuple(n for n in ready.names if n in names))
    assert len(ready.names) == 3

    def forecast(z: np.ndarray) -> np.ndarray:
        index = {n: i for i, n in enumerate(ready.names)}
        return log_forecast(ready, lambda n: z[index[n]] if n in index else np.zeros(z.shape[1]))

    aim, nu, sigma = ready.log_value - 0.15, 4.0, noise_of(ready.case)

    def like(z: np.ndarray) -> np.ndarray:
        return -(nu + 1) / 2 * np.log1p(((aim - forecast(z)) / sigma) ** 2 / nu)

    sampled = temper(like, 3, seed=2, particles=3000).normals
    laplace = fit([replace(ready, log_value=aim)], as_of="x", steps=12)
    mean = dict(zip(laplace.names, laplace.mean, strict=True))
    spread = dict(zip(laplace.names, np.sqrt(np.sum(laplace.factor**2, axis=1)), strict=True))
    for i, name in enumerate(ready.names):
        assert np.mean(sampled[i]) == pytest.approx(mean.get(name, 0.0), abs=0.15)
        assert np.std(sampled[i]) == pytest.approx(spread.get(name, 1.0), abs=0.15)


@pytest.mark.parametrize("chip", ["h20-96", "ascend-910c", "mi300x"])
def test_serve_and_predict_stand_on_the_same_shares(chip: str) -> None:
    known = shipped_posterior("latest")
    mean = dict(zip(known.names, known.mean, strict=True))
    speed = speed_of(at_middle(world("latest", 1)), chip)
    stack, engine = ("ascend-best", "mindie") if chip.startswith("ascend") else ("open", "sglang")
    group = {"h20-96": "h20", "ascend-910c": "910c"}.get(chip, chip)
    other, _ = speed_from(part(chip, NOW), maker(chip, NOW), group, stack, engine,
                          lambda n: np.full(1, mean.get(n, 0.0)))
    for name in ("gemm_narrow", "gemm_wide", "grouped", "core_decode", "stream", "stream_few", "launch_s", "host_s"):
        assert float(np.max(getattr(speed, name))) == pytest.approx(float(np.max(getattr(other, name)))), name


def test_shares_do_not_depend_on_how_draws_are_cut() -> None:
    given, model = world("latest", 60), load("deepseek-r1")
    whole, _ = fitted_speed(given, "h800-sxm", model)
    piece, _ = fitted_speed(given.block(37, 60), "h800-sxm", model)
    for name in ("gemm_narrow", "maturity", "launch_s", "hidden"):
        assert np.array_equal(getattr(whole, name)[37:], getattr(piece, name))


def test_what_the_scenario_says_overrules_the_fit() -> None:
    told = world("latest", 20, **{"stack-nvidia-open.maturity": 0.5, "h20-96.gemm_8bit_compute_efficiency": 0.3})
    assert np.all(speed_of(told, "h800-sxm").maturity == 0.5)
    assert np.all(speed_of(told, "h20-96").gemm_narrow == 0.3)
    assert np.all(speed_of(world("latest", 20), "h20-96").gemm_narrow != 0.3)


def test_a_day_without_serving_measurements_is_less_sure() -> None:
    width = []
    for name in ("february-2025", "latest"):
        s = service(world(name, 400), ["h800-sxm"], "deepseek-r1", input_tokens=1000, output_tokens=500, ttft_s=5,
                    tpot_ms=100)
        low, high = np.quantile(s.output_tokens_per_s_per_chip[0], (0.1, 0.9))
        width.append(np.log(high / low))
    assert width[0] > 1.2 * width[1]


def test_every_belief_has_a_row_for_every_family_and_stack() -> None:
    rows = table()
    for family in ("nvidia", "ascend", "other"):
        assert all((family, n) in rows for n in (*CHIP_NAMES, *TRAINING_NAMES.values()))
    for stack in ("open", "best", "ascend-open", "ascend-best", "train"):
        assert all((stack, n) in rows for n in STACK_NAMES)


def test_a_lower_power_limit_costs_less_than_its_share() -> None:
    usual = part("h100-sxm", NOW)
    low = as_stated(usual, "2.4TB/s 500W")
    assert low.memory_bytes_s == 2.4e12
    share = dict(low.peak)["bf16"] / dict(usual.peak)["bf16"]
    assert 500 / 700 < share < 1
    assert as_stated(usual, "900W").peak == usual.peak


def test_the_last_wave_of_prompts_leaves_places_empty() -> None:
    case = case_of(ROW, NOW)
    for prompts, share in ((32.0, 1.0), (48.0, 0.75), (64.0, 1.0), (33.0, 33 / 64), (8.0, 1.0), (0.0, 1.0)):
        assert filled(replace(case, prompts=prompts)) == pytest.approx(share)


def test_notes_and_dates_of_a_measurement_are_read() -> None:
    notes = ("PD-disaggregated; dp/tp per node: 4x8 8x4; max-num-seqs 64/32 per DP rank; request_rate 1.5; "
             "num_prompts 256")
    case = case_of({**ROW, "hardware": "Ascend 910C", "tp": "", "chips": "32", "notes": notes}, NOW)
    assert (case.split, case.dp, case.tp, case.slots, case.arrivals, case.prompts) == (True, 8, 4, 32, 1.5, 256)
    assert years_before("2026-08") == pytest.approx(-0.625) and years_before("") == 0
    assert years_before("2025-01-15") == pytest.approx(1, abs=0.1) and years_before("2010") == 2


def test_older_software_is_slower_and_offered_load_bounds_a_rate() -> None:
    answers = predict([{**ROW, "id": "x", "date": d} for d in ("2024-12-29", "2026-06")], NOW)
    assert answers[0].p50 > 1.1 * answers[1].p50
    ask = {**ROW, "quantity": "output_tokens_per_s_per_chip"}
    slow = predict([{**ask, "notes": "request_rate 0.01"}], NOW)[0]
    assert slow.p50 < 0.01 * 1024 / 8 * 1.5 < predict([ask], NOW)[0].p50


def test_a_fuller_engine_waits_longer_for_its_first_token() -> None:
    rows = [{**ROW, "id": "t", "quantity": "ttft_ms", "concurrency": str(c)} for c in (1, 8, 64, 256)]
    waits = [a.p50 for a in predict(rows, NOW)]
    assert waits == sorted(waits) and waits[-1] > 2 * waits[0]


@pytest.mark.parametrize(("name", "ids"), [
    ("H20-96GB", ("h20-96",)), ("NVIDIA H20-3e 141GB", ("h20-141",)), ("H100 SXM5 80GB", ("h100-sxm",)),
    ("NVIDIA H100 80GB HBM3", ("h100-sxm",)), ("A800", ("a800-sxm-80",)), ("MI300X", ("mi300x",)),
    ("DGX H100", ("h100-sxm",)), ("Atlas 800I A3", ("ascend-910c",)), ("Ascend 910B3 (Atlas A2)", ("ascend-910b3",)),
    ("GB200 NVL72", ("gb200-nvl72",)), ("L40S", ("l40s",))])
def test_hardware_is_found_however_it_is_written(name: str, ids: tuple[str, ...]) -> None:
    assert hardware(name, NOW) == ids


@pytest.mark.parametrize("name", ["Atlas 800I A2", "Ascend 910B (64G)"])
def test_a_server_of_an_unknown_bin_is_a_mixture(name: str) -> None:
    assert len(hardware(name, NOW)) == 4


@pytest.mark.parametrize("name", ["L4", "TPU v5e", "RTX 5090", "GH200", "V100 32GB"])
def test_a_part_that_is_not_known_is_refused_and_not_taken_for_a_namesake(name: str) -> None:
    with pytest.raises(InputError, match="unknown chip"):
        hardware(name, NOW)


def test_a_part_that_differs_from_what_stands_for_it_is_said() -> None:
    assert "40 GB not modelled" in taken_as("A100 40GB", "a100-sxm-80", NOW)
    assert "pcie" in taken_as("H100 PCIe", "h100-sxm", NOW) and not taken_as("H20 96GB", "h20-96", NOW)


@pytest.mark.parametrize(("name", "total"), [
    ("deepseek-ai/DeepSeek-R1-0528", 671e9), ("Qwen/Qwen3-32B-FP8", 32.8e9), ("Qwen/QwQ-32B", 32.8e9),
    ("DeepSeek-R1-Distill-Llama-70B", 70.6e9), ("DeepSeek-R1 671B", 671e9), ("Bloom-7B1", 7e9), ("GPT-1T", 1e12),
    ("Mixtral-8x7B-Instruct-v0.1", 46.7e9), ("Llama2-70B", 70e9), ("Qwen1.5-0.5B", 0.5e9)])
def test_models_are_found_by_path_or_guessed_to_their_size(name: str, total: float) -> None:
    assert model_for(name)[0].params_total == pytest.approx(total, rel=0.04)


def scored(source: str, place: float, reach: str = "serve seen", measured: float = 0.0) -> Scored:
    return Scored(id=f"{source}{place}{measured}", source=source, quality="A", reach=reach, predicted=measured,
                  measured=measured, error=0.0, inside=place <= 1, width=1.0, place=place)


def test_a_source_does_not_choose_its_own_interval() -> None:
    calm = [scored("a", 0.1 * k) for k in range(1, 11)]
    wild = [scored("b", 1.3 + 0.01 * k) for k in range(10)]
    by_others = {s.id: s for s in nested([*calm, *wild])}
    assert all(not by_others[s.id].inside for s in wild), "only a quiet source told how wide its intervals are"
    assert all(by_others[s.id].inside for s in calm)
    assert stretch([*calm, *wild]) == pytest.approx(1.38, abs=0.02)
    assert set(stretches([*calm, *wild])) == set(REACHES)


def test_a_wider_interval_holds_more_and_the_unmeasured_is_never_surer() -> None:
    row = scored("a", 1.4)
    assert not row.inside and row.stretched(1.5).inside and row.stretched(1.5).width == 1.5
    by = stretches([scored("a", 1.5), scored("b", 0.1, "serve new")])
    assert by["serve new"] >= by["serve seen"]


def test_rank_accuracy_is_one_for_right_order_and_half_for_none() -> None:
    right = [scored("a", 0.1, measured=float(k)) for k in range(5)]
    asked = {s.id: "tpot_ms" for s in right}
    assert rank_accuracy(right, asked) == 1.0
    turned = [replace(s, predicted=-s.measured) for s in right]
    assert rank_accuracy(turned, asked) == 0.0


@pytest.mark.parametrize("key", KEYS)
def test_every_way_of_leaving_out_parts_the_rows(key: str) -> None:
    rows = rows_of_today()
    assert len({KEYS[key](r) for r in rows}) > 3


def test_h200_deepseek_time_per_token_with_its_scenario_left_out() -> None:
    known = shipped_posterior("latest")
    start = dict(zip(known.names, known.mean, strict=True))
    rows = rows_of_today()
    mine = [r for r in rows if r.case.source == "H2TP8"]
    shapes = sorted({(r.case.engine, r.case.input_len, r.case.output_len) for r in mine})
    assert len(shapes) == 4
    errors: dict[str, list[float]] = {}
    for shape in shapes:
        out = [r for r in mine if (r.case.engine, r.case.input_len, r.case.output_len) == shape]
        gone = {r.case.id for r in out}
        p = fit([r for r in rows if r.case.id not in gone], as_of="x", start=start, steps=3)
        at = dict(zip(p.names, p.mean, strict=True))
        errors.setdefault(shape[0], []).extend(
            abs(np.expm1(float(log_forecast(r, lambda n, at=at: np.full(1, at.get(n, 0.0)))[0]) - r.log_value))
            for r in out if r.case.quantity == "tpot_ms")
    assert all(np.mean(e) < 0.08 for e in errors.values()), {k: float(np.mean(e)) for k, e in errors.items()}


def test_a_row_prepared_for_another_chip_says_so_in_its_names() -> None:
    case = case_of(ROW, NOW)
    own, other = prepare(case, NOW), prepare(case, NOW, chip="h200-sxm")
    assert any(n.endswith(":h20") for n in own.names) and not any(n.endswith(":h20") for n in other.names)


def test_the_fit_of_a_day_knows_only_its_day() -> None:
    early = cases(Catalogue(date(2025, 2, 25)))[0]
    assert early and {r.case.phase for r in early} == {"train"}
    assert sampler(shipped_posterior("2025-02-25"), seed=1, count=5)("launch_us@open").shape == (5,)


def test_a_kernel_narrows_its_own_chip_and_leaves_other_makers_alone() -> None:
    ours = [k for k in operations(NOW) if k.part.chip == "mi300x"]
    assert len(ours) == 1
    p = fit([], as_of="x", kernels=ours * 3, steps=6)
    spread = dict(zip(p.names, np.sqrt(np.sum(p.factor**2, axis=1)), strict=True))
    assert spread["gemm_wide@other:mi300x"] < 1 and spread["gemm_wide@other"] < 1
    assert not [n for n in p.names if "nvidia" in n or "ascend" in n]
    at = dict(zip(p.names, p.mean, strict=True))
    before, after = (float(ours[0].forecast(lambda n, z=z: np.full(1, z.get(n, 0.0)))[0]) for z in ({}, at))
    assert abs(after - ours[0].log_value) < abs(before - ours[0].log_value)


def test_a_product_of_few_rows_reaches_less_of_the_peak_than_one_of_many() -> None:
    shares = {k.id: float(np.exp(k.forecast(lambda n: np.zeros(1))[0])) for k in operations(NOW)}
    assert shares["INFSIM-005"] < shares["INFSIM-006"] < shares["INFSIM-007"] + 1e-9
    assert all(0 < v < 1 for v in shares.values())


def test_rows_of_links_and_unknown_parts_are_no_kernels() -> None:
    assert not kernels([{"metric": "UB_GBps", "value": "100", "hardware": "Ascend 910C", "phase": "comm"},
                        {"metric": "GEMM_MFU", "value": "0.5", "hardware": "no such part"},
                        {"metric": "GEMM_MFU", "value": "1.5", "hardware": "H20"}], NOW)


@pytest.mark.parametrize(("column", "text"), [("chips", "-8"), ("chips", "abc"), ("input_len", "1e3 ms"), ("tp", "x"),
                                              ("output_len", "5 s"), ("prefix_hit_pct", "150")])
def test_a_number_of_a_foreign_unit_is_refused_and_the_other_rows_are_answered(column: str, text: str) -> None:
    bad, good = predict([{**ROW, column: text}, ROW], NOW)
    assert column in bad.error and np.isnan(bad.p50)
    assert not good.error and good.p05 < good.p50 < good.p95


def test_a_length_far_beyond_the_context_and_weights_beyond_memory_are_refused() -> None:
    far, large = predict([{**ROW, "input_len": "1e9"}, {**ROW, "hardware": "H100"}], NOW)
    assert "beyond" in far.error and "GB of weights a rank" in large.error


def test_what_a_row_left_open_is_said() -> None:
    row = {"hardware": "Ascend 910B", "model": "QwQ-32B", "quantity": "gpu_hours", "tp": "64"}
    said = predict([row], NOW)[0].assumed
    for word in ("bin not stated", "taken as", "1T tokens", "64 chips", "sequence 4096"):
        assert word in said
    assert "16k" not in predict([{**ROW, "input_len": "16k"}], NOW)[0].error


def test_a_stated_part_of_a_layout_is_kept_and_the_rest_is_searched() -> None:
    run = predict([{"hardware": "H800", "chips": "2048", "model": "DeepSeek-V3", "precision": "FP8", "pp": "16",
                    "ep": "64", "input_len": "4096", "quantity": "gpu_hours", "notes": "14.8T tokens"}], NOW)[0]
    days = run.p50 / 2048 / 24
    assert run.p05 < run.p50 < run.p95 and 20 < days < 120
    assert "pp 16" in run.assumed and "ep 64" in run.assumed


def test_an_operator_who_may_change_the_layout_keeps_no_less_and_delivers_no_less() -> None:
    given, model = world("february-2025", 300), load("deepseek-r1")
    work = Workload(input_tokens=3500, output_tokens=1500, ttft_s=2, tpot_ms=50)
    speed, word = fitted_speed(at_middle(given), "h800-sxm", model)
    best = choose_layout(model, speed, work, precision=word, max_chips=64, server=8,
                         limit=given.middle("engine.max_requests_per_rank"))
    assert best.shape is not None
    drawn, _ = fitted_speed(given, "h800-sxm", model)
    limit = given.middle("engine.max_requests_per_rank")
    alone = deliver(model, best.shape, drawn, work, precision=word, limit=limit)
    free = service(given, ["h800-sxm"], model, input_tokens=3500, output_tokens=1500, ttft_s=2, tpot_ms=50)
    assert free.feasible[0] >= np.mean(alone.kept)
    held = alone.kept > 0
    assert np.all(free.output_tokens_per_s_per_chip[0][held] >= alone.rate_per_chip[held] * (1 - 1e-9))


def test_a_remembered_choice_of_layout_is_the_searched_one_and_tells_speeds_apart() -> None:
    given, model = world("latest", 1), load("deepseek-r1")
    work = Workload(input_tokens=1000, output_tokens=500, ttft_s=2, tpot_ms=50)
    speed, word = fitted_speed(at_middle(given), "h20-96", model)
    limit = given.middle("engine.max_requests_per_rank")

    def choose(s: Any) -> Any:
        return choose_layout(model, s, work, precision=word, max_chips=16, server=8, limit=limit)

    first = choose(speed)
    slow = replace(speed, maturity=speed.maturity / 3)
    assert choose(speed) is first
    assert max(p["output_tokens_per_s_per_chip"] for p in choose(slow).frontier) < \
        max(p["output_tokens_per_s_per_chip"] for p in first.frontier)
