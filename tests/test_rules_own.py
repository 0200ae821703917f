"""Chips of the user's own: every way to state a figure, what is left out, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from chipcast.base.catalog import Catalogue, last_known, read_table
from chipcast.base.errors import InputError
from chipcast.rules.check import ask_for, verdict
from chipcast.rules.measure import COUNTED, UNKNOWN, Figures, figures
from chipcast.rules.own import own_chip, own_rows
from chipcast.rules.stated import ALIASES, DATACENTER, RATE, THOUSANDS, VAGUE, pick

NOW = Catalogue(last_known())


def own(**fields: Any) -> Figures:
    return own_chip(fields, name="mine", catalog=NOW)


SAME = [
    {"fp16_tflops": 300, "die_area_mm2": 800}, {"bf16_tflops": 300, "applicable_die_area_mm2": 800},
    {"fp8_tflops": 600, "die_mm2": "8 cm2"}, {"int8_tops": 600, "applicable_die_mm2": 800},
    {"int8_tflops": 600, "total_die_mm2": 800}, {"fp4_tflops": 1200, "area_mm2": 800},
    {"int4_tops": "1.2k", "area_mm2": 800}, {"tpp": 4800, "area_mm2": 800}, {"tpp": 4800, "performance_density": 6},
    {"dense_tops_or_tflops": 300, "bits": 16, "die-area-mm2": 800}, {"tops": 600, "bits": 8, "Die Area mm2": 800},
    {"fp16_dense_tflops": 300, "compute_die_mm2": 400, "compute_dies": 2},
    {"fp16_tflops": 300, "fp8_tflops": 600, "dies": [{"area_mm2": 400, "count": 2}, {"area_mm2": 900, "planar": True}]},
    {"fp16_tflops": 300, "dies": [800, {"area_mm2": 110, "count": 8, "hbm": True}]},
    {"dense_tflops": {"fp16": 300, "fp8": 600}, "area_mm2": 800}, {"fp8": 600, "int4": 1200, "area_mm2": 800},
    {"rates": {"INT8": "0.6k"}, "area_mm2": 800, "node_nm": 7}, {"fp16": 300, "area_mm2": 800, "finfet": True},
    {"fp16": 300, "area_mm2": 800, "node_nm": 22, "finfet": True},
    {"fp16_tflops": "0.3 PFLOPS", "fp32_tflops": 9999, "tf32_tflops": 9999, "area_mm2": 800},
]


@pytest.mark.parametrize("fields", SAME, ids=[" ".join(map(str, f)) for f in SAME])
def test_ways_to_state_the_same_chip_agree(fields: dict[str, Any]) -> None:
    f = own(**fields)
    assert f.tpp == pytest.approx((4800, 4800))
    assert f.area_mm2 == pytest.approx((800, 800))
    assert f.pd == pytest.approx((6, 6))


@pytest.mark.parametrize(("fields", "name", "value"), [
    ({"dram_bw_gb_s": 4000}, "dram_bw_gb_s", 4000), ({"hbm_tb_s": 4}, "dram_bw_gb_s", 4000),
    ({"mem_bw_gb_s": "4 TB/s"}, "dram_bw_gb_s", 4000), ({"memory_bandwidth_gb_s": 4000}, "dram_bw_gb_s", 4000),
    ({"link_gb_s_per_direction": 450}, "io_bidir_gb_s", 900), ({"io_bidir_gb_s": 900}, "io_bidir_gb_s", 900),
    ({"scaleup_gb_s_bidirectional": 900, "scaleup_gb_s_per_direction": 450}, "io_bidir_gb_s", 900),
    ({"io_bidir_tb_s": "0.9"}, "io_bidir_gb_s", 900),
])
def test_memory_and_links_in_every_spelling(fields: dict[str, Any], name: str, value: float) -> None:
    assert getattr(own(tpp=100, **fields), name) == pytest.approx((value, value))


def test_every_alias_leads_to_a_column_and_no_column_is_an_alias() -> None:
    columns = {r["name"] for r in read_table("chips")} | {"pd"} | {c for c, _ in COUNTED.values()}
    assert set(ALIASES.values()) | set(THOUSANDS.values()) <= columns
    for key, column in ALIASES.items():
        assert key == column or key not in columns, key


@pytest.mark.parametrize("key", DATACENTER)
def test_whether_it_is_for_data_centres_in_every_spelling(key: str) -> None:
    assert own(tpp=5000, **{key: "no"}).dc == (0, 0)
    assert own(tpp=5000, **{key: 1}).dc == (1, 1)
    assert own(tpp=5000, **{key: "unknown"}).dc == (0, 1)
    assert own(tpp=5000, consumer=True).dc == (0, 0)


@pytest.mark.parametrize("left_out", ["tpp", "area_mm2", "io_bidir_gb_s", "dram_bw_gb_s"])
def test_what_is_left_out_is_unknown_and_never_zero(left_out: str) -> None:
    whole = {"tpp": 5000, "area_mm2": 800, "io_bidir_gb_s": 600, "dram_bw_gb_s": 2000}
    f = own(**{k: v for k, v in whole.items() if k != left_out})
    assert getattr(f, left_out) == UNKNOWN
    assert f.missing == (left_out,)
    assert own(**whole).missing == ()
    assert f.pd == (UNKNOWN if left_out in ("tpp", "area_mm2") else (6.25, 6.25))


def test_a_planar_chip_has_no_density() -> None:
    f = own(tpp=1700, planar=True)
    assert f.pd == (0, 0)
    assert verdict(NOW, ask_for(NOW, f, date(2024, 6, 1))).us.word == "free"
    assert verdict(NOW, ask_for(NOW, own(tpp=1700, area_mm2=100), date(2024, 6, 1))).us.word == "licence_denial"


@pytest.mark.parametrize("how", [{"planar": True}, {"finfet": False}, {"nonplanar": "no"}, {"node_nm": 28},
                                 {"node_nm": "22 nm"}])
def test_a_planar_process_is_recognised_and_said(how: dict[str, Any]) -> None:
    f = own(tpp=1700, area_mm2=100, **how)
    assert f.pd == (0, 0)
    assert "planar" in f.remarks[0]
    assert own(tpp=1700, area_mm2=100, node_nm=16).pd == (17, 17), "16 nm is no planar process"


@pytest.mark.parametrize(("fields", "message"), [
    ({"fp8_tflops_sparse": 3958}, "sparse rates do not count; write the dense rate"),
    ({"tpp": 100, next(iter(VAGUE)): 900}, "write io_bidir_gb_s for both directions of all links together"),
    ({"tpp": 100, "die_area_mm2": 800, "area_mm2": 700}, "says again what another line says"),
    ({RATE[0]: 300}, "say the length of the inputs as bits: 16"), ({"tpp": 100, "bits": 8}, "bits must stand beside"),
    ({"tops": 300, "bits": 16, "tpp": 4000}, "gives 4800 and tpp says 4000; keep one"),
    ({"tpp": 2368, "area_mm2": 1017, "performance_density": 2.91}, "does not fit TPP 2368 over 1017 mm2"),
    ({"tpp": 100, "dies": [{"area": 3}]}, "unknown key of die 1 'area'; did you mean 'area_mm2'"),
    ({"tpp": 100, "area_mm2": 3, "dies": [3]}, "must stand alone or the total area alone"),
    ({"dram_gb_s": 3}, "unknown figure 'dram_gb_s'; did you mean 'dram_bw_gb_s'"), ({"name": "x"}, "states no figure"),
    ({"tpp": 100, "consumer": "maybe"}, "consumer must be yes, no or unknown"), ({"tpp": -1}, "tpp must lie within"),
    ({"tpp": 100, "vendor_country": "Atlantis"}, "'Atlantis' is no country"),
])
def test_what_would_be_silently_wrong_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        own(**fields)


def test_a_stated_figure_replaces_what_it_makes_stale_in_the_base() -> None:
    cut = own(base="h100", link_gb_s_per_direction=200)
    assert cut.io_bidir_gb_s == (400, 400), "both directions of the base no longer hold"
    assert figures(NOW, "h100-sxm").io_bidir_gb_s == (900, 900)
    assert own(base="h200", tpp=1500).tpp == (1500, 1500)
    assert own(base="h200", hbm_gb=96).tpp == figures(NOW, "h200-sxm").tpp
    assert own(base="mlu590", fp16_tflops=100).tpp == (1600, 1600), "the published performance was the base's"
    fields = {"base": "h100", "link_gb_s_per_direction": 200}
    rows = {r.name: r.law.mode for r in own_rows(fields, name="m", catalog=NOW)}
    assert "m.scaleup_gb_s_bidirectional" not in rows
    assert rows["m.scaleup_gb_s_per_direction"] == 200


def test_a_figure_may_be_said_to_be_unknown_even_where_a_base_has_it() -> None:
    assert own(base="h20", mem_bw_gb_s="unknown").dram_bw_gb_s == UNKNOWN
    assert own(base="h20", die_area_mm2=None).area_mm2 == UNKNOWN
    rows = {r.name for r in own_rows({"base": "h20", "hbm_tb_s": "n/a"}, name="m", catalog=NOW)}
    assert "m.mem_bw_gb_s" not in rows
    assert "m.mem_gb" in rows


def test_the_area_beside_a_number_of_dies_is_the_total_and_says_so() -> None:
    f = own(tpp=5000, dies=2, die_area_mm2=800)
    assert f.area_mm2 == (800, 800)
    assert "all dies together" in f.remarks[0]
    assert own(tpp=5000, dies=2, one_die_mm2=400).area_mm2 == (800, 800)


def test_a_chinese_maker_is_recognised_by_country_or_base() -> None:
    for fields in ({"vendor_country": "China"}, {"country": "cn"}, {"domestic": True}, {"base": "910c"}):
        assert own(tpp=6000, **fields).domestic
    assert not own(tpp=6000).domestic


def test_ranges_stay_ranges() -> None:
    f = own(fp16_tflops="140 to 160", die_area_mm2="700 to 830")
    assert f.tpp == (2240, 2560)
    assert f.pd == pytest.approx((2240 / 830, 2560 / 700))
    assert math.isinf(own(tpp=3000).pd[1])


def test_a_board_with_two_circuits_counts_each_alone() -> None:
    board = {"fp16_tflops": 600, "die_area_mm2": 1600, "mem_bw_gb_s": 4000, "io_bidir_gb_s": 800}
    one = own(**board, circuits=2)
    assert (one.tpp, one.area_mm2, one.pd) == ((4800, 4800), (800, 800), (6, 6))
    assert (one.dram_bw_gb_s, one.io_bidir_gb_s) == ((2000, 2000), (400, 400))
    assert own(**board).tpp == (9600, 9600), "a package with two dies is one circuit"
    assert "each circuit counts alone" in one.remarks[0]


def test_an_estimate_of_the_catalogue_says_that_it_is_one() -> None:
    f = figures(NOW, "mi308x")
    assert f.tpp == (2368, 2368)
    assert "is an estimate: no data sheet" in f.remarks[0]
    assert figures(NOW, "h20-96").remarks == ()


def test_a_document_may_hold_one_chip_in_three_shapes() -> None:
    flat = {"name": "a", "tpp": 3}
    assert pick(flat, name="file") == ("a", flat)
    assert pick({"tpp": 3}, name="file")[0] == "file"
    assert pick({"chips": {"b": {"TPP": 3}}}, name="file") == ("b", {"tpp": 3})
    assert pick({"c": {"tpp": 3}}, name="file") == ("c", {"tpp": 3})
    two = {"chips": {"b": {"tpp": 3}, "c": {"tpp": 4}}}
    assert pick(two, name="file", which="c") == ("c", {"tpp": 4})
    with pytest.raises(InputError, match="holds 2 chips; ask for one as FILE#NAME"):
        pick(two, name="file")
    with pytest.raises(InputError, match="unknown chip 'd'"):
        pick(two, name="file", which="d")
    with pytest.raises(InputError, match="written as 'key: value' lines"):
        pick([1], name="file")


def test_one_chip_of_a_file_on_the_command_line(cli_json: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "chips.yaml"
    path.write_text("chips:\n  small: {tpp: 1000}\n  large: {tpp: 9000, die_area_mm2: 800}\n", encoding="utf-8")
    words = ("--to", "AE", "--on", "2025-03-01")
    assert cli_json("rules", "check", f"{path}#small", *words)["status"] == "free"
    large = cli_json("rules", "check", f"{path}#large", *words)
    assert (large["chip"], large["us"], large["status"]) == ("large", "licence_approval", "licence")
    assert large["deciding"]["rule_id"] == "US-3A090A-2023"
