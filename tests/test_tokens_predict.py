"""Prediction and fit: honest widths, no peeking, one sentence for what cannot be answered."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipcast.base.catalog import Catalogue, last_known
from chipcast.base.errors import InputError
from chipcast.tokens.beliefs import GROUPS
from chipcast.tokens.case import QUANTITIES
from chipcast.tokens.cases import case_of
from chipcast.tokens.cells import quantity_of
from chipcast.tokens.fit import digest_of, fit, from_text, log_forecast, prepare, rows_ready, slopes, to_text
from chipcast.tokens.names import GRADES, hardware
from chipcast.tokens.predict import VINTAGES, predict, sampler, shipped_posterior
from chipcast.tokens.serve import Workload
from chipcast.tokens.split import best_match, split_service, whole_rate
from chipcast.tokens.validate import cases, coverage, median_of_medians, operations

NOW = Catalogue(last_known())
KNOWN = shipped_posterior("latest")
ROW = {"id": "x", "hardware": "H20 96GB", "chips": "16", "model": "DeepSeek-R1", "phase": "mixed", "precision": "FP8",
       "tp": "16", "concurrency": "64", "input_len": "3500", "output_len": "1500", "engine": "SGLang"}


def ask(quantity: str, **changes: str) -> Any:
    return predict([{**ROW, "quantity": quantity, **changes}], NOW)[0]


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_every_quantity_is_answered_with_an_ordered_interval(quantity: str) -> None:
    more = {"phase": "train", "hardware": "H800", "chips": "512", "tp": ""} if quantity in QUANTITIES[5:] else {}
    p = ask(quantity, **more)
    assert not p.error and 0 < p.p05 < p.p50 < p.p95 and p.grade in GRADES


def test_a_row_that_cannot_be_answered_stops_no_other() -> None:
    changes = ({}, {"hardware": "H2O"}, {"model": "secret"}, {"hardware": ""}, {"quantity": "joy"},
               {"chips": "1", "tp": ""})
    rows = [{**ROW, "quantity": "tpot_ms", **c} for c in changes]
    out = predict(rows, NOW)
    assert not out[0].error and all(p.error and np.isnan(p.p50) for p in out[1:])
    assert "did you mean" in out[1].error and "does" not in out[0].error
    assert "needs" in out[5].error and "GB" in out[5].error


def test_empty_columns_are_filled_in_and_said() -> None:
    p = ask("output_tokens_per_s_per_chip", tp="", concurrency="", input_len="", output_len="", precision="")
    assert not p.error
    for word in ("tp", "prompt 1024", "answer 1024", "batch", "precision"):
        assert word in p.assumed


def test_a_part_without_a_bin_is_a_mixture_and_wider_than_its_bins() -> None:
    mixed, single = (ask("tpot_ms", hardware=h, precision="W8A8", tp="16", engine="vllm-ascend")
                     for h in ("Ascend 910B", "Ascend 910B2"))
    assert "ascend-910b4 35%" in mixed.assumed
    assert mixed.p95 / mixed.p05 > 0.95 * single.p95 / single.p05


def test_hardware_names_match_after_dropping_parentheses_and_size() -> None:
    for name, expected in (("H20 96GB", "h20-96"), ("H800 SXM 80GB", "h800-sxm"), ("H200 SXM 141GB", "h200-sxm"),
                           ("Ascend 910C (2 dies, CloudMatrix384)", "ascend-910c"), ("A100 SXM 80GB", "a100-sxm-80"),
                           ("H20 141GB", "h20-141"), ("Ascend 910B3 (Atlas A2, a2b3 runner)", "ascend-910b3"),
                           ("MI300X 192GB", "mi300x"), ("A800 80GB", "a800-sxm-80")):
        assert hardware(name, NOW)[0] == expected
    assert len(hardware("Ascend 910B (bin not stated)", NOW)) == 4


def test_a_layout_that_does_not_multiply_out_is_dropped_and_said() -> None:
    row = next(r for r in NOW.rows("measurements") if r["id"] == "VAPERF-013")
    case = case_of(row, NOW)
    assert any("does not multiply out" in s for s in case.assumed) and case.tp == 0


def test_units_that_hide_what_was_counted_are_refused() -> None:
    with pytest.raises(InputError, match="prompt and answer together"):
        quantity_of({"metric": "throughput_total", "unit": "tok/s total (in+out or out not stated)", "value": "1"})
    with pytest.raises(InputError, match="no metric of serving"):
        quantity_of({"metric": "train_tok_s_rank", "unit": "tok/s per rank", "value": "1"})


def test_february_2025_was_fitted_on_training_rows_alone_and_is_less_sure() -> None:
    early, late = (shipped_posterior(v) for v in VINTAGES)
    assert early.as_of <= "2025-02-25" and all(kind == "train" for kind, _, _ in early.seen)
    assert early.rows < late.rows
    then = predict([{**ROW, "quantity": "tpot_ms"}], Catalogue(date(2025, 2, 25)))[0]
    now = ask("tpot_ms")
    assert then.p95 / then.p05 > now.p95 / now.p05


def test_the_shipped_fits_carry_the_hash_of_their_rows() -> None:
    for vintage, day in zip(VINTAGES, (date(2025, 2, 25), last_known()), strict=True):
        catalog = Catalogue(day)
        digest = digest_of(cases(catalog)[0], operations(catalog))
        assert digest == shipped_posterior(vintage).digest, "make it again: chipcast tokens fit --rebuild"


def test_without_rows_the_posterior_is_the_prior() -> None:
    p = fit([], as_of="2025-01-01")
    assert p.names == ()
    z = sampler(p, seed=1, count=4000)("gemm_wide@nvidia")
    assert abs(np.mean(z)) < 0.06 and np.std(z) == pytest.approx(1, abs=0.04)


def subset(source: str, count: int = 20) -> list[Any]:
    usable, _, _ = cases(NOW)
    return [r for r in usable if r.case.source == source][:count]


def test_a_chip_narrows_itself_more_than_its_vendor_and_that_more_than_others() -> None:
    p = fit(subset("QWEN", 40), as_of="x", steps=4)
    names, spread = list(p.names), np.sqrt(np.sum(p.factor**2, axis=1))
    widths = dict(zip(names, spread, strict=True))
    assert widths["gemm_wide@nvidia:h20"] < widths["gemm_wide@nvidia"] < 0.95
    assert not [n for n in names if "ascend" in n]
    assert not [n for n in names if ":hopper" in n]


def test_slopes_agree_with_wider_differences() -> None:
    ready = subset("TRTLLM", 1)[0]
    value, slope = slopes(ready, {})
    for i in (0, len(ready.names) // 2):
        name = ready.names[i]

        def moved(other: str, step: float, target: str = name) -> np.ndarray:
            return np.full(1, step if other == target else 0.0)

        up, down = (float(log_forecast(ready, lambda n, s=s: moved(n, s))[0]) for s in (0.05, -0.05))
        assert (up - down) / 0.1 == pytest.approx(slope[i], abs=5e-3)
        assert value == pytest.approx((up + down) / 2, abs=5e-3)


def test_a_posterior_survives_being_written_down() -> None:
    p = fit(subset("INFSIM", 4), as_of="2026-01-01", steps=3)
    again = from_text(to_text(p))
    assert again.names == p.names
    np.testing.assert_allclose(again.mean, p.mean, atol=1e-4)
    with pytest.raises(InputError, match="no posterior"):
        from_text("{}")


def test_simulated_measurements_are_covered() -> None:
    rng = np.random.default_rng(5)
    items = subset("TRTLLM", 40)
    truth: dict[str, float] = {}

    def draw(name: str) -> np.ndarray:
        return np.full(1, truth.setdefault(name, float(rng.standard_normal())))

    made = [replace(r, log_value=float(log_forecast(r, draw)[0]) + 0.08 * float(rng.standard_normal())) for r in items]
    p = fit(made[::2], as_of="x", steps=6)
    drawn = sampler(p, seed=3, count=400)
    inside = []
    for r in made[1::2]:
        total = log_forecast(r, drawn) + 0.1 * rng.standard_normal(400)
        low, high = np.quantile(total, (0.05, 0.95))
        inside.append(low <= r.log_value <= high)
    assert np.mean(inside) > 0.8


def test_swapped_chip_names_fit_worse_than_true_ones() -> None:
    usable = [r for s in ("TRTLLM", "QWEN", "LLMF") for r in subset(s, 30)]
    other = {"h200-sxm": "h20-96", "h100-sxm": "h20-96", "h20-96": "h200-sxm", "a100-sxm-80": "h20-96"}
    swapped = [replace(prepare(r.case, NOW, chip=other[r.part.chip]), log_value=r.log_value) for r in usable]
    errors = []
    for items in (usable, swapped):
        p = fit(items, as_of="x", steps=3)
        at = dict(zip(p.names, p.mean, strict=True))
        prior = sum(v * v for v in at.values())
        errors.append(prior + sum(((r.log_value - slopes(r, at)[0]) / 0.1) ** 2 for r in items))
    assert errors[1] > 2 * errors[0]


def test_left_out_sources_are_predicted_as_the_page_says() -> None:
    known = shipped_posterior("latest")
    page = (Path(__file__).parent.parent / "docs" / "validation-tokens.md").read_text()
    assert known.digest in page
    assert np.isnan(median_of_medians([])) and np.isnan(coverage([]))


def test_groups_name_known_chips() -> None:
    assert set(GROUPS) <= {r["item"] for r in NOW.rows("chip_names")}


def test_two_pools_in_their_best_ratio_meet_the_published_composition() -> None:
    assert 1500 * whole_rate(6688 / 3500, 1943 / 1500) == pytest.approx(1158, abs=0.5)
    assert 1500 * whole_rate(5655 / 3500, 1943 / 1500) == pytest.approx(1078, abs=0.5)


def test_matching_of_pools_equals_brute_force() -> None:
    for chips, gp, gd, rp, rd in ((16, 2, 4, 1.3, 0.4), (64, 8, 16, 0.9, 0.7), (20, 4, 4, 3.0, 1.0)):
        best = max(min(p * gp * rp, d * gd * rd) for p in range(1, 64) for d in range(1, 64)
                   if p * gp + d * gd <= chips)
        p, d = best_match(chips, gp, gd, rp, rd)
        assert min(p * gp * rp, d * gd * rd) == pytest.approx(best)
    assert best_match(4, 4, 4, 1.0, 1.0) == (0, 0)


def test_a_wider_chip_prefills_faster_for_a_decode_pool_of_h20(given: Any) -> None:
    work = Workload(input_tokens=3500, output_tokens=1500, ttft_s=2, tpot_ms=50)
    own, mixed = (split_service(given.block(0, 200), c, "h20-96", "deepseek-r1", work, chips=64)
                  for c in ("h20-96", "h800-sxm"))
    assert np.median(mixed.ttft_ms) < np.median(own.ttft_ms)
    assert mixed.prefill_chips + mixed.decode_chips <= 64
    assert np.all(mixed.output_tokens_per_s_per_chip > 0)


def test_predict_and_fit_verbs_read_and_write(cli: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    source, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    with source.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, [*ROW, "quantity", "strange"])
        writer.writeheader()
        asked = {**ROW, "quantity": "tpot_ms"}
        writer.writerows([{**asked, "strange": "?"}, {**asked, "hardware": "no"}])
    code, _, err = cli("tokens", "predict", str(source), "-o", str(out))
    assert code == 0 and "1 of 2 rows answered" in err
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert list(rows[0]) == ["id", "p05", "p50", "p95", "grade", "bound_by", "assumed", "error"]
    assert float(rows[0]["p05"]) < float(rows[0]["p95"]) and rows[1]["error"]
    source.write_text("a,b\n1,2\n")
    code, _, err = cli("tokens", "predict", str(source))
    assert code == 2 and "lacks the columns hardware, model" in err
    code, _, err = cli("tokens", "predict", str(tmp_path / "none.csv"))
    assert code == 2 and "cannot read" in err
    code, _, err = cli("tokens", "fit")
    assert code == 2 and "name a CSV" in err


def test_the_name_of_a_row_does_not_move_its_answer() -> None:
    one, other = ask("tpot_ms", id="x"), ask("tpot_ms", id="y")
    assert (one.p05, one.p50, one.p95) == (other.p05, other.p50, other.p95)


@pytest.mark.parametrize("hardware_name", ["H20 141GB", "Ascend 910C", "H800"])
def test_longer_prompts_are_never_faster_and_cached_ones_never_slower(hardware_name: str) -> None:
    row = {**ROW, "quantity": "output_tokens_per_s_per_chip", "hardware": hardware_name, "precision": "", "tp": ""}
    longer = [p.p50 for p in predict([{**row, "input_len": str(n)} for n in (1000, 2000, 4000, 16000, 64000)], NOW)]
    cached = [p.p50 for p in predict([{**row, "prefix_hit_pct": str(h)} for h in (0, 30, 60, 90)], NOW)]
    assert longer == sorted(longer, reverse=True) and cached == sorted(cached)


@pytest.mark.parametrize("hardware_name", ["H20 96GB", "H800 80GB"])
def test_a_layout_of_our_own_choice_is_one_that_fits(hardware_name: str) -> None:
    free = ask("output_tokens_per_s_per_chip", phase="decode", chips="8" if "H20" in hardware_name else "16",
               hardware=hardware_name, tp="", concurrency="", batch_per_chip="16")
    assert not free.error and free.p50 > 0
    tight = ask("output_tokens_per_s_per_chip", phase="decode", chips="8", tp="", concurrency="", batch_per_chip="16")
    assert "layout searched: tp 2, dp 4" in tight.assumed and "memory holds 14 of 32" in tight.assumed
    assert "take more chips" in ask("tpot_ms", phase="decode", chips="4", tp="").error


def test_more_requests_than_memory_holds_are_said() -> None:
    assert "memory holds" in ask("tpot_ms", phase="decode", batch_per_chip="10000").assumed
    assert "memory holds" not in ask("tpot_ms", phase="decode", batch_per_chip="1").assumed


def test_half_a_package_is_one_die_of_two() -> None:
    half = {"hardware": "Ascend 910C", "model": "Qwen3-8B", "precision": "W8A8", "tp": "1"}
    one = ask("output_tokens_per_s_per_chip", **half, chips="0.5", concurrency="8")
    both = ask("output_tokens_per_s_per_chip", **half, chips="1", concurrency="16")
    assert one.p50 == both.p50 and "0.5 chips priced as 1" in one.assumed
    assert "no whole number of dies" in ask("tpot_ms", chips="0.5").error


@pytest.mark.parametrize(("quantity", "changes", "words"), [
    ("tpot_ms", {"batch_per_chip": "-5"}, "batch_per_chip '-5' is no number"),
    ("tpot_ms", {"concurrency": "nan"}, "concurrency 'nan' is no number"),
    ("ttft_ms", {"phase": "train"}, "'ttft_ms' is no quantity of training; ask for one of train_tokens"),
    ("", {}, "quantity is empty; name one of input_tokens"),
    ("tpot_ms", {"spec_decode": "draft 1", "accept_len": "9"}, "accept_len 9 is more than a step of 1 drafts"),
    ("tpot_ms", {"spec_decode": "eagle", "accept_len": "0.5"}, "accept_len 0.5 is below 1"),
])
def test_rows_that_contradict_themselves_are_refused_in_a_sentence(quantity: str, changes: dict[str, str],
                                                                   words: str) -> None:
    assert words in ask(quantity, **changes).error


def test_time_per_token_of_a_prefill_row_is_that_of_its_answers() -> None:
    prefill, mixed = ask("tpot_ms", phase="prefill"), ask("tpot_ms", phase="mixed")
    assert prefill.p50 == mixed.p50 and "no quantity of prefill" in prefill.assumed


def test_own_measurements_are_read_in_the_columns_of_a_question() -> None:
    row = {**ROW, "quantity": "tpot_ms", "value": "40", "source_id": "own", "quality": "A"}
    ready, refused = rows_ready([row, {**row, "value": ""}, {**row, "quantity": ""}], NOW)
    same, _ = rows_ready([{**row, "quantity": "", "metric": "TPOT_ms", "unit": "ms"}], NOW)
    assert len(ready) == 1 and ready[0].case == same[0].case and ready[0].log_value == pytest.approx(np.log(40.0))
    assert "not above zero" in refused[0][1] and "quantity is empty" in refused[1][1]


@pytest.mark.parametrize(("quantity", "same"), [("ttft_ms", "mixed"), ("input_tokens_per_s_per_chip", "prefill")])
def test_what_a_prompt_takes_is_asked_of_no_decode_row(quantity: str, same: str) -> None:
    decode = ask(quantity, phase="decode")
    assert decode.p50 == ask(quantity, phase=same).p50 and "no quantity of decode" in decode.assumed


def test_words_of_a_row_that_are_not_followed_are_said() -> None:
    free = ask("tpot_ms", tp="")
    odd = ask(" TPOT_ms ", tp="3", engine="my own engine")
    assert "tp 3 does not divide the heads" in odd.assumed and "engine 'my own engine' not known" in odd.assumed
    assert ask("tpot_ms", tp="3").p50 == free.p50


def test_time_per_token_of_a_free_layout_never_falls_with_the_prompt() -> None:
    """Longer prompts leave room for fewer requests; a layout that lets most of them wait is no better one."""
    times = [ask("tpot_ms", tp="", concurrency="32", input_len=str(n), output_len="1000").p50
             for n in (4096, 8192, 16384, 30000)]
    assert times == sorted(times)


@pytest.mark.parametrize(("chips", "fits"), [("32", False), ("1024", True)])
def test_training_whose_states_no_sharding_holds_is_refused(chips: str, fits: bool) -> None:
    """16 bytes for each of 671 billion parameters on 32 ranks are 336 GB; on 1,024 they are 10.5."""
    p = ask("mfu", hardware="Ascend 910B2", model="DeepSeek-V3", phase="train", chips=chips, tp="", precision="BF16",
            concurrency="", input_len="4096", output_len="", engine="")
    assert bool(p.error) != fits
    assert fits or "336 GB a rank even shared out over all" in p.error


@pytest.mark.parametrize(("hardware_name", "precision", "over"), [("H20", "BF16", 1.0), ("H100", "FP8", 2.0)])
def test_no_draw_of_training_uses_more_arithmetic_than_the_chip_has(hardware_name: str, precision: str,
                                                                    over: float) -> None:
    row = {"hardware": hardware_name, "model": "Llama-3.1-70B", "chips": "256", "input_len": "4096",
           "precision": precision}
    used, rate, step, hours = (predict([{**row, "quantity": q}], NOW, posterior=replace(KNOWN, widen={
        "train seen": 9.0, "train new": 9.0}))[0]
        for q in ("mfu", "train_tokens_per_s_per_chip", "step_time_s", "gpu_hours"))
    assert used.p95 == pytest.approx(0.95 * over, rel=0.01)
    assert rate.p95 / rate.p50 == pytest.approx(used.p95 / used.p50, rel=0.05)
    assert step.p50 / step.p05 == pytest.approx(rate.p95 / rate.p50, rel=0.05)
    assert hours.p50 / hours.p05 == pytest.approx(rate.p95 / rate.p50, rel=0.05)
