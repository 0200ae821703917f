"""Bad input at every verb: one clear sentence on standard error, exit code 2 or 3, nothing on standard output."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chipcast.base.errors import InputError
from chipcast.base.units import parse_quantity

Cli = Callable[..., tuple[int, str, str]]

YIELD = "fab yield --yield 40% --definition die.any"
RULES = "rules check h20"
SERVE = "tokens serve deepseek-r1 --draws 100"
GOODPUT = "cluster goodput --draws 100"

BAD = [
    *[(f"{verb} --draws={word}", "--draws must be") for verb in
      ("run", "fab line", "fab cost", "fab package", "fab patterning", "cluster goodput", "tokens train deepseek-v3",
       "market", "evidence", "explain plan-400k", "plan", "freeze", "backtest", "compare latest latest")
      for word in ("nan", "inf", "0", "-1", "1.5", "", "1e12", "5 GB")],
    *[(f"{verb} no-such-scenario", "no scenario file 'no-such-scenario'") for verb in
      ("run", "fab line", "market", "evidence", "plan", "freeze", "compare latest")],
    *[(f"{verb} --scenario=" + "x" * 300, "200 plain characters") for verb in
      ("fab cost", "cluster compare", "tokens train deepseek-v3", "explain plan-400k")],
    *[(f"{verb} --as-of=2025-02-30", "is no date; write YYYY-MM-DD") for verb in
      ("run", "fab line", "chip list", "chip show h20", "rules table", "rules history h20", "cluster claims",
       "tokens serve deepseek-r1", "market", "evidence", "plan", "calibrate market", "freeze")],
    *[(f"{verb} h2O0", "unknown chip") for verb in
      ("chip show", "rules measure", "rules check", "rules map", "rules history")],
    *[(f"{verb} --chip=h2O0", "unknown chip") for verb in
      ("cluster goodput", "cluster checkpoint", "cluster spares", "tokens serve deepseek-r1",
       "tokens layout deepseek-r1", "tokens train deepseek-v3")],
    *[(f"{verb} --chip=", "--chip needs at least one chip") for verb in
      ("cluster goodput", "tokens serve deepseek-r1", "tokens layout deepseek-r1", "tokens train deepseek-v3",
       "tokens simulate")],
    *[(f"{verb} --chips={word}", "--chips must be") for verb in
      ("cluster goodput", "cluster collective all-reduce", "cluster checkpoint", "tokens serve deepseek-r1",
       "tokens layout deepseek-r1", "tokens train deepseek-v3", "tokens simulate")
      for word in ("0", "-8", "1.5", "nan", "inf", "1e400", "1e15", "")],
    *[(f"fab dies --area-mm2 600 {flag}={word}", f"{flag} must be") for flag in
      ("--edge-mm", "--scribe-mm", "--notch-mm", "--diameter-mm", "--aspect") for word in ("nan", "-1", "inf", "abc")],
    ("run --set h20.price_usd", "--set needs NAME=VALUE, got 'h20.price_usd'"),
    ("run --set =5", "--set needs NAME=VALUE, got '=5'"),
    ("run --set h20.price_usd=1k --set h20.price_usd=2k", "gives h20.price_usd twice, '1k' and '2k'"),
    ("run --set h20.price_usd=5kg", "--set: h20-96.price_usd: unit 'kg' in '5kg' is not known"),
    ("fab dies --area-mm2 600 --edge-mm=5kg", "unit 'kg' in '5kg' is not known"),
    ("fab dies --area-mm2 600 --edge-mm=5s", "is a time, but mm (length) is needed"),
    ("fab dies --width-mm 40 --height-mm 40", "field"),
    ("fab dies --area-mm2 600 --map=/tmp", "cannot write '/tmp'"),
    ("fab dies", "give the die as"),
    ("fab yield --yield 40%", "add --definition"),
    (f"{YIELD} --area-mm2=1e15", "--area-mm2 must be"),
    (f"{YIELD} --clustering=0", "--clustering must be above 0"),
    (f"{YIELD} --clustering=inf", "--clustering must be"),
    (f"{YIELD} --pairing=abc", "unknown pairing 'abc'"),
    (f"{YIELD} --repair-share=150%", "repair_share must lie from 0% to 100%"),
    (f"{YIELD} --need=9k", "need must not exceed the cores"),
    ("fab yield --yield=140% --definition die.any", "not above 100%"),
    ("fab harvest --need=-1", "whole numbers such as 24,20"),
    ("fab harvest --d0-per-cm2=inf", "--d0-per-cm2 must be"),
    ("fab map --children=nan", "--children must be"),
    ("fab map --sigma-mm=0", "--sigma-mm must be above 0"),
    ("fab map --d0-per-cm2=1e15", "--d0-per-cm2 must be"),
    (f"{RULES} --region=abc", "unknown region with rules of its own 'abc'"),
    (f"{RULES} --owned-by-listed=150%", "--owned-by-listed must be 1 or less"),
    (f"{RULES} --to=Atlantis", "Atlantis"),
    (f"{RULES} --buyer=nobody", "unknown buyer class"),
    ("rules design --area=inf", "--area must be"),
    ("rules design --area=0", "--area must be above 0 mm2"),
    *[(f"{GOODPUT} --days={word}", "--days must be") for word in ("0", "-1", "nan", "inf", "1e15")],
    ("cluster replay --days=1e15", "--days must lie above 0"),
    ("cluster replay --nodes=1e15", "--nodes must be a whole number"),
    ("cluster check-claim --mtbf=1e400", "finite number"),
    (f"{SERVE} --segment=abc", "unknown buyer class 'abc'"),
    (f"{SERVE} --prefix-hit=150%", "--prefix-hit must be 1 or less"),
    *[(f"{verb} {flag}={word}", f"{flag} must be") for verb in (SERVE, "tokens layout deepseek-r1", "tokens simulate")
      for flag in ("--input", "--output", "--tpot-ms", "--ttft-ms") for word in ("nan", "inf", "0", "-1")],
    ("tokens layout deepseek-r1 --input=1e15", "--input must be"),
    ("tokens predict no.csv", "cannot read 'no.csv'"),
    ("tokens predict /tmp", "cannot read '/tmp'"),
    ("score no.json", "cannot read 'no.json'"),
    ("plan --near=150%", "--near must lie from 0% to 100%"),
    ("plan --near=nan", "--near must be a number"),
    ("plan --tail-weight=nan", "--tail-weight must be"),
    ("market --event on=2025-04-09", "event on=2025-04-09: gate: missing; add it"),
    ("score pyproject.toml", "name a file that `chipcast freeze` wrote"),
    ("market --without=treat", "did you mean 'threat'?"),
    ("init plan /nonexistent/a.yaml", "cannot write"),
]


@pytest.mark.parametrize(("line", "says"), BAD, ids=[line[:70] for line, _ in BAD])
def test_bad_input_gets_one_sentence_and_exit_code_2(cli: Cli, line: str, says: str) -> None:
    code, out, err = cli(*line.split(" "))
    assert code in (2, 3), err
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert says in err


GOOD = [
    ("fab dies --area-mm2 6cm2 --edge-mm 3000um", "fab dies --area-mm2 600 --edge-mm 3"),
    ("fab yield --area-mm2 6cm2 --yield 40% --definition die.any", "fab yield --area-mm2 600 --yield 0.4 "
                                                                   "--definition die.any"),
    ("cluster goodput --chip 910c --chips 1k --days 2weeks --draws 0.1k",
     "cluster goodput --chip ascend-910c --chips 1000 --days 14 --draws 100"),
    ("tokens layout deepseek-r1 --chip H20 --input 3.5k --tpot-ms 0.05s",
     "tokens layout deepseek-r1 --chip h20-96 --input 3500 --tpot-ms 50"),
    ("rules check H800 --owned-by-listed 30%", "rules check h800-sxm --owned-by-listed 0.3"),
]


@pytest.mark.parametrize(("literal", "plain"), GOOD)
def test_a_literal_and_its_plain_number_give_one_answer(cli_json: Callable[..., Any], literal: str,
                                                        plain: str) -> None:
    assert cli_json(*literal.split()) == cli_json(*plain.split())


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "NaN", "1e400", "1e308 TB", float("nan"), float("inf"),
                                   10**400, ""])
def test_only_finite_numbers_pass_the_door(value: object) -> None:
    with pytest.raises(InputError, match=r"size must be a (finite )?number in GB"):
        parse_quantity(value, "GB", "size")


@pytest.mark.parametrize("text", ["name: [", "{", "*a", "- 1", "name: x\nset: {h20.price_usd: .nan}",
                                  "name: x\nset: {h20.price_usd: .inf}", "name: x\nset: {h20.price_usd: 5 kg}"])
def test_a_broken_scenario_is_refused_in_one_line(cli: Cli, tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    code, out, err = cli("fab", "line", str(path), "--draws", "100")
    assert (code, out, len(err.strip().splitlines())) == (2, "", 1)
    assert "mine.yaml" in err


FILES = [
    ("tokens simulate", "a.csv", "arrival_s,input_tokens,output_tokens\n0,100,50\n5,nan,60\n",
     "finite number, got 'nan'"),
    ("tokens simulate", "a.csv", "arrival_s,input_tokens,output_tokens\n0,100,50\n5,inf,60\n",
     "finite number, got 'inf'"),
    ("tokens simulate", "a.csv", "arrival_s,input_tokens,output_tokens\n0,100,50\n5\n", "must be a number"),
    ("tokens simulate", "a.jsonl", "[1, 2]\n3\n", "holds no requests"),
    ("tokens simulate", "a.csv", "", "holds no requests"),
    ("tokens predict", "a.csv", "a,b\n1,2\n", "lacks the columns hardware, model"),
    ("tokens predict --posterior", "a.json", "[1]", "cannot read"),
    ("tokens model", "a.json", "{", "not valid JSON"),
    ("cluster replay --nodes 9 --days 9", "a.csv", "node,start,end,class\n1,nan,1,hbm\n", "finite times"),
    ("cluster replay --nodes 9 --days 9", "a.csv", "node,start,end,class\n1,0,inf,hbm\n", "finite times"),
    ("cluster fit --nodes 9 --days 9", "a.csv", "", "no rows"),
    ("cluster fit --nodes 9 --days 9", "a.json", "[]", "list of at least one fault or event"),
    ("rules measure", "a.yaml", "fp16_tflops: .nan", "finite number"),
    ("rules measure", "a.yaml", "fp16_tflops: -5", "lie within 0 to inf"),
    ("score", "a.json", "[]", "no frozen forecast"),
]


@pytest.mark.parametrize(("verb", "name", "text", "says"), FILES)
def test_a_bad_file_is_refused_in_one_line(cli: Cli, tmp_path: Path, verb: str, name: str, text: str,
                                           says: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    more = ["no.csv"] if "--posterior" in verb else []
    code, out, err = cli(*verb.split(), str(path), *more)
    assert (code, out, len(err.strip().splitlines())) == (2, "", 1)
    assert says in err


def test_repairs_that_are_all_alike_are_fitted_without_a_warning(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("node,start,end,class\n1,0,1,hbm\n2,1,2,link\n1,3,4,hbm\n", encoding="utf-8")
    code, out, err = cli("cluster", "fit", str(path), "--nodes", "10", "--days", "30", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["faults"] == 3


def test_numbers_in_json_are_finite_or_null(cli: Cli) -> None:
    code, out, err = cli("fab", "cost", "ascend-910c", "--draws", "100", "--json")
    assert (code, err) == (0, "")
    json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} in JSON"))


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("4", "4")])
def test_matrix_products_take_one_thread_unless_the_user_says_otherwise(
        before: str | None, after: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import os

    from chipcast.cli import ONE_THREAD, entry

    for name in ONE_THREAD:
        monkeypatch.setenv(name, before or "")
        if before is None:
            monkeypatch.delenv(name)
    monkeypatch.setattr("sys.argv", ["chipcast", "--version"])
    with pytest.raises(SystemExit):
        entry()
    assert {os.environ[name] for name in ONE_THREAD} == {after}
    assert capsys.readouterr().out.startswith("chipcast ")
