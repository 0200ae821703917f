"""The verbs of `rules` as a buyer types them, with good and bad words."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Json = Callable[..., Any]
Cli = Callable[..., tuple[int, str, str]]


def test_check_names_status_rule_prong_and_slack(cli_json: Json) -> None:
    r = cli_json("rules", "check", "h20", "--to", "CN", "--on", "2025-02-25")
    assert (r["us"], r["cn"], r["status"]) == ("free", "free", "free")
    assert r["deciding"]["rule_id"] is None
    assert r["deciding"]["prong"] == "b.1"
    assert r["deciding"]["slack"] == pytest.approx(0.0134, abs=5e-5)
    assert r["deciding"]["native"] == {"quantity": "tpp", "value": 2368.0, "op": ">=", "limit": 2400.0, "left": 32.0,
                                       "unit": "1"}
    assert r["unknown_after"] == "2026-06-30"
    assert "no legal advice" in r["not_legal_advice"]
    assert {x["rule_id"] for x in r["layers"]} >= {"US-3A090A-2023", "US-3A090B-2023"}
    assert all(x["source"] and x["url"] for x in r["layers"])


def test_a_chip_that_was_not_announced_yet_is_answered_and_said_to_be_so(cli: Cli, cli_json: Json) -> None:
    r = cli_json("rules", "check", "b200", "--on", "2022-12-01")
    assert (r["us"], r["on_sale"], r["announced"]) == ("licence_denial", False, "2024-03-18")
    assert "announced on 2024-03-18, after the day" in cli("rules", "check", "b200", "--on", "2022-12-01")[1]
    assert cli_json("rules", "check", "b200", "--on", "2024-12-01")["on_sale"] is True


def test_check_after_the_letter(cli_json: Json) -> None:
    r = cli_json("rules", "check", "h20", "--on", "2025-04-20")
    assert (r["us"], r["status"], r["deciding"]["rule_id"]) == ("letter", "licence", "US-INF-2025")


def test_the_same_day_as_known_in_february_is_free_and_knows_no_letter(cli: Cli, cli_json: Json) -> None:
    words = ("rules", "check", "h20", "--on", "2025-04-20", "--as-of", "2025-02-25")
    r = cli_json(*words)
    assert r["status"] == "free"
    text = str(r) + cli(*words)[1]
    for later in ("US-INF-2025", "US-H20-2025-07", "2025-04-09", "never binding"):
        assert later not in text, f"{later} was not known"


def test_the_explanation_of_the_chapter(cli: Cli) -> None:
    _, out, _ = cli("rules", "check", "l20", "--on", "2025-06-01")
    assert "nearest prong b.2: performance density 3.1422 against 3.2, 0.0578 or 1.8% left" in out
    assert "no Chinese rule found" in out
    assert "no legal advice" in out


def test_slack_is_said_in_the_unit_of_the_line_and_in_percent(cli: Cli) -> None:
    assert "TPP 2368 against 2400, 32 or 1.4% left" in cli("rules", "check", "h20", "--on", "2025-03-01")[1]
    assert "1400, 536 GB/s or 62.0% left" in " ".join(cli("rules", "check", "l20", "--on", "2025-06-01")[1].split())
    assert "600 against 600, on the line" in cli("rules", "check", "a100", "--on", "2022-12-01")[1]


@pytest.mark.parametrize(("words", "left_out"), [
    (("h100", "--to", "MY", "--on", "2025-05-20", "--as-of", "2025-02-25"), "country caps"),
    (("h200", "--to", "CN", "--on", "2026-02-20"), "half of US volume"),
    (("rtx-4090", "--to", "CN", "--on", "2024-02-20"), "one consignee"), (("l20", "--on", "2024-02-20"), None)])
def test_quotas_and_conditions_that_are_not_counted_are_named(words: tuple[str, ...], left_out: str | None,
                                                              cli_json: Json) -> None:
    notes = " ".join(cli_json("rules", "check", *words)["remarks"])
    assert (left_out in notes) if left_out else ("not counted" not in notes)


def test_measure_gives_every_input_with_its_source(cli_json: Json) -> None:
    r = cli_json("rules", "measure", "l20")
    assert r["tpp"] == 1912
    assert r["performance_density"] == r["pd"] == pytest.approx(3.1422, abs=5e-5)
    assert r["performance_density"] == pytest.approx(r["tpp"] / r["applicable_die_mm2"])
    assert {"fp16_tflops", "applicable_die_mm2"} <= {x["name"] for x in r["inputs"]}
    assert all(x["source"] and x["unit"] and x["kind"] for x in r["inputs"])


def test_measure_inverts_an_unknown_die_area(cli_json: Json) -> None:
    rows = cli_json("rules", "measure", "590")["class_2023_by_die_area"]
    assert [x["class"] for x in rows] == [".a", ".b", "free"]
    assert rows[0]["to_mm2"] == pytest.approx(758.95, abs=0.005)


def test_the_table_shows_both_gates_apart(cli_json: Json) -> None:
    r = cli_json("rules", "table", "--on", "2026-01-20", "--buyer", "state-funded")
    by = {x["chip"]: x for x in r["chips"]}
    h200 = by["h200-sxm"]
    assert (h200["us"], h200["cn"], h200["status"]) == ("licence_case", "barred", "denied")
    assert (by["ascend-910c"]["us"], by["ascend-910c"]["cn"]) == ("free", "free")
    assert len(r["chips"]) >= 52


def test_a_chip_of_one_s_own_from_a_file(cli_json: Json, tmp_path: Path) -> None:
    path = tmp_path / "my-chip.yaml"
    path.write_text("name: my chip\nfp16_tflops: 140\ndie_area_mm2: 700 to 830\nio_bidir_gb_s: 400\n"
                    "mem_bw_gb_s: 1.2 TB/s\ndatacenter: yes\n", encoding="utf-8")
    r = cli_json("rules", "check", str(path), "--to", "CN", "--on", "2025-06-01")
    assert r["chip"] == "my chip"
    assert r["status"] == "unknown", "density lies between 2.7 and 3.2 and one line is 3.2"
    assert r["status_range"] == ["free", "notified_exception"]
    path.write_text(path.read_text(encoding="utf-8").replace("700 to 830", "750"), encoding="utf-8")
    assert cli_json("rules", "check", str(path), "--on", "2025-06-01")["status"] == "free"


def test_a_missing_figure_is_named_with_the_verdict_for_its_range(cli_json: Json, tmp_path: Path) -> None:
    path = tmp_path / "half.yaml"
    path.write_text("fp16_tflops: 250\ndatacenter: true\n", encoding="utf-8")
    r = cli_json("rules", "check", str(path), "--on", "2024-03-01")
    assert set(r["missing"]) == {"area_mm2", "io_bidir_gb_s", "dram_bw_gb_s"}
    assert r["us_range"] == ["free", "licence_denial"]
    sure = tmp_path / "sure.yaml"
    sure.write_text("fp16_tflops: 350\n", encoding="utf-8")
    assert cli_json("rules", "check", str(sure), "--on", "2024-03-01")["us"] == "licence_denial"


def test_no_non_planar_die_means_no_density_prong(cli_json: Json, tmp_path: Path) -> None:
    path = tmp_path / "planar.yaml"
    path.write_text("fp16_tflops: 280\nplanar: yes\nio_bidir_gb_s: 100\nmem_bw_gb_s: 500\n", encoding="utf-8")
    r = cli_json("rules", "check", str(path), "--on", "2024-03-01")
    assert r["status"] == "free"
    assert r["slack_to_leave_control"][0] == pytest.approx(0.0690, abs=5e-4)


def test_a_base_stands_for_what_a_file_leaves_out(cli_json: Json, tmp_path: Path) -> None:
    path = tmp_path / "cut.yaml"
    path.write_text("base: h20\nmem_bw_gb_s: 1390\nio_bidir_gb_s: 300\n", encoding="utf-8")
    assert cli_json("rules", "check", str(path), "--on", "2025-06-01")["status"] == "free", "below each line of April"
    assert cli_json("rules", "check", "h20", "--on", "2025-06-01")["status"] == "licence"


def test_use_overrides_the_flag_of_the_row(cli_json: Json) -> None:
    assert cli_json("rules", "check", "4090", "--on", "2024-03-01")["us"] == "notice"
    assert cli_json("rules", "check", "4090", "--on", "2024-03-01", "--use", "datacenter")["us"] == "licence_denial"


def test_history_lists_every_change_with_its_reason(cli_json: Json, tmp_path: Path, cli: Cli) -> None:
    spans = cli_json("rules", "history", "h20", "--to", "CN")["spans"]
    words = [(s["from"], s["us"]) for s in spans]
    assert ("2025-04-09", "letter") in words
    assert ("2025-08-08", "licence_approval") in words
    assert spans[-1]["us"] == "unknown"
    for a, b in itertools.pairwise(spans):
        assert a["until"] < b["from"]
    out = tmp_path / "h20.svg"
    code, _, err = cli("rules", "history", "h20", "--svg", str(out))
    assert code == 0, err
    text = out.read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert "no legal advice" in text
    code, _, err = cli("rules", "history", "h20", "--svg", str(out))
    assert code == 2
    assert "exists" in err


def test_design_gives_the_distance_to_each_line_and_the_largest_free_chip(cli_json: Json) -> None:
    r = cli_json("rules", "design", "--against", "2025-06-01", "--area", "750")
    assert r["frontier"][0]["largest_free_tpp"] == 2400
    by = {x["chip"]: x for x in r["chips"]}
    assert by["l20"]["slack"] == pytest.approx(0.0182, abs=5e-5)
    assert by["h20-96"]["slack"] < 0
    free = [x["slack"] for x in r["chips"] if x["slack"] is not None and x["slack"] >= 0]
    assert [x["chip"] for x in r["chips"][:2]] == ["l20", "l2"], "the two parts nearest to a line come first"
    assert free == sorted(free)
    early = cli_json("rules", "design", "--against", "2022-12-01", "--area", "750")
    assert early["frontier"][0]["largest_free_tpp"] is None, "few links free any chip of the first rule"
    wide = cli_json("rules", "design", "--against", "2022-12-01", "--area", "750", "--io", "600")["frontier"][0]
    assert (wide["largest_free_tpp"], wide["status_below"], wide["status_at"]) == (4800, "free", "denied")


@pytest.mark.parametrize(("words", "message"), [
    (("check", "h20", "--on", "2026-13-01"), "'2026-13-01' is no date; write YYYY-MM-DD"),
    (("check", "h21"), "unknown chip 'h21'; did you mean"), (("check", "h20", "--to", "Atlantis"), "is no country"),
    (("check", "h20", "--buyer", "platfrom"), "did you mean 'platform'"),
    (("check", "h20", "--use", "war"), "--use must"),
    (("check", "h20", "--entity", "huawai"), "did you mean 'huawei'"), (("check", "none.yaml"), "no file 'none.yaml'"),
    (("check", "ascend-950pr", "--as-of", "2025-02-25"), "after the information date"),
    (("check", "h20", "--owned-by-listed", "1.5"), "--owned-by-listed"), (("measure", "h2O x"), "unknown chip"),
    (("check", "h20", "--hq-rule", "loose"), "unknown reading of the headquarters rule"),
    (("design", "--against", "2025-06-01", "--area", "-3"), "area must be above 0"),
    (("history", "h20", "--svg", "/no/such/folder/x.svg"), "cannot write"),
])
def test_bad_words_get_one_sentence_and_exit_code_2(cli: Cli, words: tuple[str, ...], message: str) -> None:
    code, out, err = cli("rules", *words)
    assert code == 2
    assert out == ""
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(("text", "message"), [
    ("fp16_tflop: 3\n", "unknown figure 'fp16_tflop'; did you mean 'fp16_tflops'"),
    ("fp16_tflops: 3\ndatacenter: maybe\n", "datacenter must be yes, no or unknown"),
    ("name: x\n", "states no figure"), ("fp16_tflops: -3\n", "fp16_tflops"),
    ("- a\n- b\n", "written as 'key: value' lines"),
    ("fp16_tflops: [\n", "not valid YAML"), ("fp16_tflops: 3 GB\n", "TFLOPS"), ("base: h21\n", "unknown chip 'h21'"),
])
def test_a_broken_chip_file_says_what_to_mend(cli: Cli, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "chip.yaml"
    path.write_text(text, encoding="utf-8")
    code, _, err = cli("rules", "check", str(path), "--on", "2024-01-01")
    assert code == 2
    assert message in err
    assert "chip.yaml" in err


def test_unknown_is_an_answer(cli: Cli) -> None:
    code, out, _ = cli("rules", "check", "h20", "--on", "2026-12-01")
    assert code == 0
    assert "last known state is licence" in out
    code, out, _ = cli("rules", "check", "a100", "--on", "2021-01-01")
    assert code == 0
    assert "no rule yet" in out


@pytest.mark.parametrize("words", [("--against", "2025-04-09"), ("--against", "2025-04-08", "--to", "AE"),
                                   ("--against", "2024-06-01", "--use", "other"),
                                   ("--against", "2024-06-01", "--hq", "CN", "--to", "MY")])
@pytest.mark.parametrize("area", [80.0, 500.0, 608.5, 1000.0, 1716.0, 4000.0])
def test_the_largest_legal_chip_is_legal_and_the_next_larger_is_not(
        cli_json: Json, tmp_path: Path, words: tuple[str, ...], area: float) -> None:
    r = cli_json("rules", "design", *words, "--area", str(area))
    best = r["frontier"][0]["largest_free_tpp"]
    rest = [w for w in words if w != "--against"][1:]
    where = [w for k, v in zip(rest[::2], rest[1::2], strict=True) if k != "--use" for w in (k, v)]
    for tpp, free in ((best * (1 - 1e-6), True), (best, False)):
        path = tmp_path / f"{free}.yaml"
        path.write_text(f"tpp: {tpp!r}\ndie_area_mm2: {area}\nio_bidir_gb_s: 0\nmem_bw_gb_s: 0\n"
                        f"datacenter: {'no' if '--use' in words else 'yes'}\n", encoding="utf-8")
        assert (cli_json("rules", "check", str(path), "--on", words[1], *where)["us"] == "free") is free


def test_what_else_bounds_a_design_from_the_letters_on(cli_json: Json) -> None:
    bounds = cli_json("rules", "design", "--against", "2025-04-09", "--area", "750")["also_below"]
    assert [(b["quantity"], b["limit"]) for b in bounds] == [
        ("dram_bw_gb_s", 1400), ("io_bidir_gb_s", 1100), ("dram_bw_gb_s + io_bidir_gb_s", 1700)]
    assert cli_json("rules", "design", "--against", "2025-04-08", "--area", "750")["also_below"] == []
    caught = cli_json("rules", "design", "--against", "2025-04-09", "--area", "750", "--dram", "1400")["frontier"][0]
    assert (caught["largest_free_tpp"], caught["status_below"]) == (0, "licence")


def test_who_may_build_on_a_day(cli: Cli, cli_json: Json) -> None:
    r = cli_json("rules", "upstream", "--on", "2024-12-15")["inputs"]
    assert (r["hbm"]["state"], r["hbm"]["until"]) == ("window", "2024-12-31")
    assert r["foundry"]["state"] == "open"
    assert "memory stacks" in cli("rules", "upstream", "--on", "2025-06-01")[1]
    stack = cli_json("rules", "hbm", "--bandwidth", "220 GB/s", "--area", "110")
    assert (stack["bw_density_gb_s_mm2"], stack["caught"]) == (2, False), "strictly above the line"
    assert cli_json("rules", "hbm", "--bandwidth", "819", "--area", "110")["caught"]
    assert not cli_json("rules", "hbm", "--bandwidth", "819", "--area", "110", "--copackaged")["caught"]
    assert "follows the rules for that die" in cli("rules", "hbm", "--bandwidth", "819", "--area", "110",
                                                   "--copackaged")[1]
    die = cli_json("rules", "foundry", "--transistors", "34", "--year", "2027", "--packaged-by", "fab")
    assert (die["presumed"], die["escape"]) == (False, "B")
    assert cli_json("rules", "foundry", "--transistors", "34", "--year", "2026", "--packaged-by", "fab")["presumed"]
    assert cli_json("rules", "foundry", "--transistors", "53", "--hbm")["classification"] == "3A090.a"
    assert cli_json("rules", "foundry", "--transistors", "30", "--planar", "--node", "28")["presumed"] is False
    assert cli_json("rules", "foundry", "--transistors", "30", "--node", "28")["presumed"] is False, "by its node"
    assert cli_json("rules", "foundry", "--transistors", "30", "--node", "28", "--nonplanar")["presumed"]
    assert cli_json("rules", "foundry", "--transistors", "30", "--node", "16")["presumed"]
    code, _, err = cli("rules", "foundry", "--transistors", "30", "--packaged-by", "me")
    assert code == 2
    assert "must be fab, approved or other" in err


SCENARIO = """
base: february-2025
name: what-if
chips:
  my-npu: {base: h20, fp8_tflops: 400, die_area_mm2: 800}
rules:
  cap: {effective: 2025-06-01, scope: CN HK MO D5 HQ, test: '[mem] dram_bw_gb_s >= 1000', to: denied}
  US-DIFF-2025: {enforced: yes}
events:
  - {on: 2025-08-01, gate: us, chip: h20, to: open}
  - {on: 2025-09-01, gate: hbm, to: open}
"""


def test_a_scenario_reaches_every_verb(cli_json: Json, cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    within = ("--scenario", str(path))
    assert cli_json("rules", "measure", "my-npu", *within)["tpp"] == 3200
    for on, us, rule in (("2025-05-31", "notice", "US-3A090B-2023"), ("2025-06-01", "licence_denial", "cap")):
        r = cli_json("rules", "check", "my-npu", "--on", on, *within)
        assert (r["us"], r["deciding"]["rule_id"]) == (us, rule)
    assert cli_json("rules", "check", "h20", "--on", "2025-07-31", *within)["us"] == "licence_denial"
    opened = cli_json("rules", "check", "h20", "--on", "2025-08-01", *within)
    assert (opened["us"], opened["status"]) == ("free", "free")
    assert cli_json("rules", "check", "h20", "--to", "RU", "--on", "2025-08-01", *within)["us"] == "licence_denial"
    assert cli_json("rules", "check", "h100", "--to", "MY", "--on", "2025-06-01", *within)["deciding"]["rule_id"] \
        == "US-DIFF-2025"
    table = {c["chip"]: c for c in cli_json("rules", "table", "--on", "2025-07-01", *within)["chips"]}
    assert table["my-npu"]["rule_id"] == "cap"
    spans = cli_json("rules", "history", "h20", "--begin", "2025-05-01", "--until", "2025-12-31", *within)["spans"]
    assert [(s["from"], s["us"]) for s in spans] == [("2025-05-01", "free"), ("2025-06-01", "licence_denial"),
                                                     ("2025-08-01", "free")]
    where = cli_json("rules", "map", "h20", "--on", "2025-08-15", *within)["countries"]
    assert (where["CN"]["us"], where["RU"]["us"]) == ("free", "licence_denial")
    assert cli_json("rules", "upstream", "--on", "2025-09-15", *within)["inputs"]["hbm"]["state"] == "open"
    assert "cap" in cli("rules", "check", "my-npu", "--on", "2025-06-01", *within)[1]


@pytest.mark.parametrize(("rule", "message"), [
    ("{to: denied}", "rules.x: say from which day it binds"), ("{effective: 2025-06-01}", "say what follows"),
    ("{effective: 2025-13-01, to: denied}", "is no date"),
    ("{effective: 2025-06-01, to: banned}", "unknown consequence"),
    ("{effective: 2025-06-01, to: denied, test: 'tpq >= 3'}", "did you mean 'tpp'"),
    ("{effective: 2025-06-01, to: denied, scope: Atlantis}", "'Atlantis' is no country"),
    ("{effective: 2025-06-01, to: denied, chips: h21}", "unknown chip 'h21'"),
    ("{effective: 2025-06-01, to: denied, gate: eu}", "unknown gate 'eu'"),
    ("{effective: 2025-06-01, to: denied, when: 3}", "unknown key 'when'"),
    ("{effective: 2025-06-01, to: denied, enforced: perhaps}", "unknown enforcement 'perhaps'"),
])
def test_a_broken_rule_says_what_to_mend(cli: Cli, tmp_path: Path, rule: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"rules:\n  x: {rule}\n", encoding="utf-8")
    code, out, err = cli("rules", "check", "h20", "--scenario", str(path))
    assert (code, out) == (2, "")
    assert message in err
    assert "mine.yaml:2" in err
    assert err.count("\n") == 1
