"""The verbs of `tokens` as a user types them: promised keys, comparisons, ranges, and bad input in one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chipcast.base.catalog import DATA

CliJson = Callable[..., Any]
Cli = Callable[..., tuple[int, str, str]]

SERVE = {"layout", "output_tokens_per_s_per_chip", "tpot_ms", "ttft_ms", "usd_per_million_output_tokens", "bound_by",
         "grade"}
TRAIN = {"mfu", "tokens_per_s_per_chip", "days", "gpu_hours", "goodput", "layout"}
FEW = ("--draws", "200")


def test_serve_as_typed_says_what_binds_each_operation_and_what_would_change_it(cli_json: CliJson) -> None:
    out = cli_json("tokens", "serve", "deepseek-r1", "--chip", "h20", "--chips", "16", "--input", "3500", "--output",
                   "1500", "--tpot-ms", "50", "--ttft-ms", "2000", "--prefix-hit", "0.5", "--draft", "1", "--accept",
                   "1.7", "--precision", "fp8", *FEW)
    best = out["best"]
    assert set(best) >= SERVE and out["frontier"]
    assert sum(o["share"] for o in best["operations"]) == pytest.approx(1)
    assert sum(best["parts"].values()) == pytest.approx(1)
    assert all(0 < x["shorter_step"] <= 0.5 for x in best["levers"])
    assert {o["bound_by"] for o in best["operations"]} <= {"compute", "memory", "link", "overhead"}


def test_a_config_file_and_a_range_give_a_table_of_chips_and_sizes(cli_json: CliJson, tmp_path: Path) -> None:
    own = tmp_path / "my-config.json"
    own.write_text((DATA / "models" / "Qwen__Qwen3-235B-A22B.json").read_text())
    out = cli_json("tokens", "serve", str(own), "--chip", "h20,ascend-910c,h800", "--chips", "8..64", *FEW)
    assert [(p["chip"], p["most_chips"]) for p in out["chips"]] == [
        (c, n) for n in (8, 16, 32, 64) for c in ("h20-96", "ascend-910c", "h800-sxm")]
    rates = [p["output_tokens_per_s_per_chip"]["p50"] for p in out["chips"] if p["chip"] == "h20-96"]
    assert rates == sorted(rates)


def test_a_910b_without_a_bin_is_a_row_for_each_bin(cli_json: CliJson, cli: Cli) -> None:
    out = cli_json("tokens", "serve", "qwen3-32b", "--chip", "910b", "--chips", "8", *FEW)
    assert [p["chip"] for p in out["chips"]] == [f"ascend-910b{i}" for i in (1, 2, 3, 4)]
    code, _, err = cli("tokens", "serve", "qwen3-32b", "--split", "--prefill-chip", "910b")
    assert code == 2 and "must name a bin of the 910B here: ascend-910b1" in err


def test_a_chip_that_lacks_the_precision_leaves_the_others_their_answer(cli_json: CliJson) -> None:
    out = cli_json("tokens", "serve", "deepseek-r1", "--chip", "h20,ascend-910b3", "--chips", "16", "--precision",
                   "fp8", *FEW)
    assert [p["chip"] for p in out["chips"]] == ["h20-96"]
    assert out["refused"] == ["chip 'ascend-910b3' has no fp8; it has bf16, int8, so choose another precision"]


def test_pools_of_two_chips_and_of_each_chip_alone_are_compared(cli_json: CliJson) -> None:
    mixed = cli_json("tokens", "serve", "deepseek-r1", "--prefill-chip", "h800", "--decode-chip", "h20", *FEW)
    assert set(mixed["best"]) >= SERVE and mixed["best"]["prefill_chip"] == "h800-sxm"
    both = cli_json("tokens", "serve", "deepseek-r1", "--split", "--chip", "h20,h800", *FEW)
    assert [(p["prefill_chip"], p["decode_chip"]) for p in both["pools"]] == [("h20-96", "h20-96"),
                                                                              ("h800-sxm", "h800-sxm")]


def test_train_as_typed_answers_with_causes_memory_and_levers(cli_json: CliJson) -> None:
    out = cli_json("tokens", "train", "deepseek-v3", "--chip", "ascend-910b2", "--chips", "4096", "--tokens", "10T",
                   "--precision", "bf16", *FEW)
    assert set(out) >= TRAIN and out["tokens"] == 1e13
    assert sum(out["causes"].values()) == pytest.approx(1) and sum(out["ledger"].values()) == pytest.approx(1)
    assert out["bound_by"] == max(out["causes"], key=out["causes"].get)
    assert sum(out["memory_gb"].values()) <= out["usable_gb"]
    assert out["mfu"]["p50"] < out["hfu"]["p50"] and out["next_best"]
    assert sum(o["share"] for o in out["operations"]) == pytest.approx(1)
    assert all(0 < lever["shorter_step"] <= 0.5 for lever in out["levers"]) and out["levers"]
    assert out["gpu_hours"]["p50"] == pytest.approx(out["days"]["p50"] * 24 * 4096, rel=0.01)


def test_training_runs_on_several_chips_and_on_a_part_without_a_bin(cli_json: CliJson) -> None:
    out = cli_json("tokens", "train", "llama-3.1-70b", "--chip", "h800,910b", "--chips", "1024", *FEW)
    assert [r["chip"] for r in out["runs"]] == ["h800-sxm", "ascend-910b"]
    assert out["days"]["p50"] == min(r["days"]["p50"] for r in out["runs"])
    assert any("bin not stated: ascend-910b1" in a for a in out["runs"][1]["assumed"])


def test_what_is_asked_of_a_training_layout_is_kept(cli_json: CliJson) -> None:
    out = cli_json("tokens", "train", "deepseek-v3", "--chip", "h800", "--chips", "2048", "--precision", "fp8", "--tp",
                   "1", "--pp", "16", "--ep", "64", "--schedule", "dualpipe", "--batch", "63M", "--recompute", "full",
                   *FEW)
    assert out["layout"].startswith("tp 1, pp 16, dp 128, ep 64, dualpipe, full recomputation, ZeRO 1, 63.")
    wide = cli_json("tokens", "train", "deepseek-v3", "--chip", "h800", "--chips", "2048", "--precision", "fp8",
                    "--fp8-share", "0.3", *FEW)
    narrow = cli_json("tokens", "train", "deepseek-v3", "--chip", "h800", "--chips", "2048", "--precision", "fp8", *FEW)
    assert narrow["days"]["p50"] < wide["days"]["p50"]


def test_simulate_compares_chips_and_writes_a_row_for_each_request(cli_json: CliJson, tmp_path: Path) -> None:
    path = tmp_path / "requests.csv"
    out = cli_json("tokens", "simulate", "--model", "qwen3-32b", "--chip", "h20", "--chips", "8", "--rate", "2",
                   "--requests", "400", "-o", str(path))
    lines = path.read_text().splitlines()
    assert len(lines) == 401 and lines[0].startswith("arrival_s,input_tokens,output_tokens,start_s,first_s")
    assert out["requests"] == 400 and "TTFT: arrival at the router" in out["clocks"]
    again = tmp_path / "again.csv"
    cli_json("tokens", "simulate", "--model", "qwen3-32b", "--chip", "h20", "--chips", "8", "--rate", "2",
             "--requests", "400", "-o", str(again))
    assert again.read_bytes() == path.read_bytes()
    u = out["over_draws"]
    assert u["draws"] == 8 and u["fits_share"] == 1
    for key in ("largest_requests_per_s", "ttft_ms_p90", "tpot_ms_p90", "kept"):
        assert u[key]["p05"] <= u[key]["p50"] <= u[key]["p95"]
    assert u["tpot_ms_p90"]["p05"] < out["tpot_ms"]["p90"] < u["tpot_ms_p90"]["p95"]
    both = cli_json("tokens", "simulate", "--model", "qwen3-32b", "--chip", "h20,h800", "--chips", "8", "--rate", "2",
                    "--requests", "400")
    assert {x["chip"] for x in both["compare"]} == {"h20-96", "h800-sxm"}
    pools = cli_json("tokens", "simulate", "--model", "qwen3-32b", "--split", "--chip", "h20", "--chips", "16",
                     "--rate", "2", "--requests", "400")
    assert pools["layout"].startswith("prefill ") and pools["promise_kept_share"] > 0


def test_shipped_traces_run_by_name(cli_json: CliJson) -> None:
    out = cli_json("tokens", "simulate", "mooncake_fast25_conversation", "--model", "llama-3.1-8b", "--chip", "h20",
                   "--chips", "16", "--store", "500GB", "--router", "prefix_affinity")
    assert out["requests"] == 12031 and 0.1 < out["prefix_hit_share"] < 0.37


@pytest.mark.parametrize(("line", "code", "says"), [
    ("serve deepseek-r1 --chips 64..8", 2, "--chips must be a whole number"),
    ("serve deepseek-r1 --prefix-hit 1", 2, "--prefix-hit must"),
    ("serve deepseek-r1 --accept 1.7", 2, "--accept must be at most the drafts and one, 1; give --draft too"),
    ("serve deepseek-r1 --input 200k", 2, "stay within the 163840 tokens"),
    ("serve deepseek-r1 --split --input 200k", 2, "stay within the 163840 tokens"),
    ("serve deepseek-r1 --chip ascend-910b3 --precision fp8", 2, "has no fp8"),
    ("serve deepseek-r1 --chip h20,nosuch", 2, "unknown chip 'nosuch'"),
    ("serve deepseek-r1 --tpot-ms 1 --draws 100", 3, "the nearest takes"),
    ("serve deepseek-r1 --chip h800 --chips 8 --draws 100", 3, "does not fit"),
    ("serve kimi-k3", 2, "may have become public only after 2025-02-25"),
    ("layout deepseek-r1 --chips 7", 3, "no legal layout uses all 7 chips"),
    ("train deepseek-v3 --schedule foo", 2, "unknown pipeline schedule 'foo'"),
    ("train deepseek-v3 --schedule dualpipe --pp 3", 3, "does not divide 2048 ranks"),
    ("train deepseek-v3 --tokens 10kg", 2, "unit 'kg'"),
    ("train deepseek-v3 --sequence 1M", 2, "stay within the 163840 tokens"),
    ("train deepseek-v3 --chip 910b --precision fp8", 2, "has no fp8"),
    ("train deepseek-v3 --zero 4", 2, "--zero must be 3 or less"),
    ("train deepseek-v3 --chips 16", 3, "take about 128 chips or more"),
    ("simulate --router foo", 2, "unknown routing policy 'foo'"),
    ("simulate --scheduler foo", 2, "unknown scheduler 'foo'"),
    ("simulate --preempt foo", 2, "unknown way to yield 'foo'"),
    ("simulate --arrivals foo", 2, "unknown law of arrival 'foo'"),
    ("simulate --lengths foo", 2, "unknown law of lengths 'foo'"),
    ("simulate --rate 0", 2, "--rate must be above 0"),
    ("simulate --input 200k", 2, "stay within the 163840 tokens"),
    ("simulate --chip h800 --chips 8", 3, "does not fit"),
    ("simulate servegen_deepseek_r1 --start 24", 2, "no client is at work"),
    ("simulate -o /nosuch/x.csv --requests 50 --model llama-3.1-8b", 2, "cannot write '/nosuch/x.csv'"),
])
def test_bad_input_is_one_sentence_with_its_exit_code(cli: Cli, line: str, code: int, says: str) -> None:
    got, out, err = cli("tokens", *line.split())
    assert (got, out) == (code, ""), err
    assert says in err and len(err.strip().splitlines()) == 1


def test_predict_reads_what_a_spreadsheet_writes_and_answers_the_other_rows(cli: Cli, tmp_path: Path) -> None:
    path, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    path.write_text("\ufeffid,hardware,model,quantity,concurrency\r\na,H20 96GB,DeepSeek-R1,tpot_ms,64\r\n"
                    "b,nosuch,DeepSeek-R1,tpot_ms,64\r\nc,H20 96GB,DeepSeek-R1,furlongs,64\r\n", encoding="utf-8")
    code, _, err = cli("tokens", "predict", str(path), "-o", str(out))
    lines = out.read_text().splitlines()
    assert code == 0 and "1 of 3 rows answered" in err and len(lines) == 4
    assert lines[0] == "id,p05,p50,p95,grade,bound_by,assumed,error"
    assert "unknown chip" in lines[2] and "unknown quantity" in lines[3]
    for text, says in (("hardware,model\n", "a header and no rows"), ("a\n1\n", "lacks the columns hardware, model"),
                       ("", "lacks the columns")):
        path.write_text(text)
        code, shown, err = cli("tokens", "predict", str(path))
        assert (code, shown) == (2, "") and says in err and len(err.strip().splitlines()) == 1


def test_an_own_measurement_moves_the_beliefs_of_its_chip(cli: Cli, cli_json: CliJson, tmp_path: Path) -> None:
    rows, made = tmp_path / "mine.csv", tmp_path / "mine.json"
    rows.write_text("hardware,chips,model,phase,precision,tp,concurrency,input_len,output_len,engine,metric,value,unit\n"
                    "H20 96GB,8,Qwen3-32B,mixed,FP8,8,32,3500,1500,SGLang,TPOT_ms,90,ms\n"
                    "H20 96GB,8,Qwen3-32B,mixed,FP8,8,32,3500,1500,SGLang,speed,90,furlongs\n")
    early = ("--as-of", "2025-02-25")
    out = cli_json("tokens", "fit", str(rows), "-o", str(made), *early)
    assert out["rows"] == 1 and len(out["refused"]) == 1 and json.loads(made.read_text())
    ask = tmp_path / "ask.csv"
    ask.write_text("id,hardware,chips,model,phase,precision,tp,concurrency,input_len,output_len,engine,quantity\n"
                   "a,H20 96GB,8,Qwen3-32B,mixed,FP8,8,32,3500,1500,SGLang,tpot_ms\n")
    before = cli_json("tokens", "predict", str(ask), *early)["rows"][0]
    after = cli_json("tokens", "predict", str(ask), "--posterior", str(made), *early)["rows"][0]
    assert before["p50"] < after["p50"] <= 90 * 1.3
    rows.write_text("hardware,model,metric,value,unit\nH20,Qwen3-32B,speed,90,furlongs\n")
    code, _, err = cli("tokens", "fit", str(rows))
    assert code == 2 and "no row of" in err


def test_a_row_of_zero_chips_is_refused_and_the_others_answered(cli_json: CliJson, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,hardware,chips,model,quantity,concurrency\na,H20,0,deepseek-r1,tpot_ms,1\n"
                    "b,H20,8,deepseek-r1,tpot_ms,1\nc,H20,0 chips,deepseek-r1,tpot_ms,1\n")
    rows = cli_json("tokens", "predict", str(path))["rows"]
    assert "'0' is none" in rows[0]["error"] and "is none" in rows[2]["error"]
    assert rows[1]["error"] == "" and rows[1]["p05"] < rows[1]["p50"] < rows[1]["p95"]


def test_two_pools_say_what_binds_a_prompt_and_a_step(cli_json: CliJson) -> None:
    out = cli_json("tokens", "serve", "deepseek-r1", "--prefill-chip", "h800", "--decode-chip", "h20", "--draws", "100")
    for pool, chip in (("prefill_pool", "h800-sxm"), ("decode_pool", "h20-96")):
        side = out["best"][pool]
        assert side["chip"] == chip and side["levers"] and sum(side["parts"].values()) == pytest.approx(1)
        assert sum(o["ms"] for o in side["operations"]) == pytest.approx(side["step_ms"])
    held = out["best"]["ttft_ms"]["p50"]
    assert out["best"]["prefill_pool"]["step_ms"] == pytest.approx(held, rel=0.6)


@pytest.mark.parametrize(("more", "says"), [
    (("--ttft-ms", "10"), r"the fastest prompt takes [\d.]+ s of the 0.01 s to the first token"),
    (("--tpot-ms", "3"), r"the fastest step [\d.]+ ms of 3; take more chips or a looser promise"),
    (("--chips", "12"), "does not fit on 11 x h800-sxm"), (("--chips", "1"), "two pools need 2 chips")])
def test_two_pools_that_cannot_keep_a_promise_say_by_how_much(cli: Cli, more: tuple[str, ...], says: str) -> None:
    code, _, err = cli("tokens", "serve", "deepseek-r1", "--prefill-chip", "h800", "--decode-chip", "h20",
                       "--draws", "100", *more)
    assert code == 3 and re.search(says, err)


def test_a_layout_answers_with_intervals_what_binds_and_evidence(cli_json: CliJson) -> None:
    out = cli_json("tokens", "layout", "deepseek-r1", "--chip", "h20", "--chips", "16")
    best = out["best"]
    assert best["layout"] == out["layouts"][0]["layout"]
    assert best["bound_by"] == max(best["parts"], key=best["parts"].get)
    assert best["grade"] and best["levers"] and sum(o["share"] for o in best["operations"]) == pytest.approx(1)
    rate = best["output_tokens_per_s_per_chip"]
    assert rate["p05"] < rate["p50"] < rate["p95"]
    assert rate["p50"] == pytest.approx(out["layouts"][0]["output_tokens_per_s_per_chip"], rel=0.5)
    tight = cli_json("tokens", "layout", "deepseek-r1", "--chip", "h20", "--chips", "16", "--tpot-ms", "1")
    assert "TPOT" in tight["layouts"][0]["verdict"] and tight["best"]["promise_kept_share"] == 0


def test_a_model_says_by_when_it_was_public(cli_json: CliJson, tmp_path: Path) -> None:
    assert cli_json("tokens", "model", "deepseek-r1")["public"]["known_by"] == "2025-01-20"
    own = tmp_path / "config.json"
    own.write_text((DATA / "models" / "deepseek-ai__DeepSeek-R1.json").read_text())
    assert cli_json("tokens", "model", str(own))["public"] is None
