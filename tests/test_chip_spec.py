"""Chips: figures of the date, mixtures of bins, the user's own, and what is unknown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from chipcast.base.catalog import Catalogue, folded, last_known, read_table
from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.chip.spec import MIXTURES, chip, rows, weights
from chipcast.scenario import load, resolve


def test_every_announced_chip_can_be_read_and_has_the_draws_of_the_run(given: Given) -> None:
    for item in given.catalog.chip_ids():
        c = chip(given, item)
        for values in (*c.tflops.values(), c.mem_gb, c.mem_bw_gb_s, c.scaleup_gb_s, c.scaleout_gb_s, c.tdp_w,
                       c.price_usd, c.applicable_die_mm2, c.vendor_tflops):
            assert values.shape == (given.draws,)
            assert not (values <= 0).any(), f"{item}: an unknown figure must not read as zero"


def test_the_h20_of_the_data_sheet(given: Given) -> None:
    c = chip(given, "h20")
    assert c.id == "h20-96"
    assert (c.tflops["bf16"] == 148).all()
    assert (c.mem_bw_gb_s == 4000).all()
    assert (c.scaleup_gb_s == 450).all(), "one direction; both are 900"
    assert (c.scaleout_gb_s == 50).all(), "400 Gbit/s"
    assert c.native == ("fp16", "bf16", "fp8", "int8", "tf32")
    assert np.isfinite(c.price_usd).all()
    assert c.price_usd.std() > 0


def test_the_matrix_rate_of_an_ascend_is_not_the_vendor_s(given: Given) -> None:
    c = chip(given, "910c")
    assert c.tflops["fp16"][0] == pytest.approx(707.8)
    assert c.vendor_tflops[0] == pytest.approx(752, abs=0.1)
    assert (chip(given, "h100").vendor_tflops == chip(given, "h100").tflops["fp16"]).all()


def test_work_runs_in_the_format_or_the_next_wider_one(given: Given) -> None:
    assert chip(given, "h20").rate("fp8")[1] == "fp8"
    values, ran = chip(given, "910c").rate("fp8")
    assert ran == "int8"
    assert chip(given, "a100").rate("fp4")[1] == "int8"
    assert values[0] == pytest.approx(1415.6)
    with pytest.raises(InputError, match="unknown precision 'fp9'; did you mean 'fp8'"):
        chip(given, "h20").rate("fp9")
    with pytest.raises(InputError, match=r"no matrix rate of 'ascend-910d' .* state ascend-910d\.bf16_tflops"):
        chip(resolve(load("february-2025", as_of="2025-12-31"), draws=100), "ascend-910d").rate("fp8")


def test_a_name_without_a_bin_is_a_mixture_with_stated_weights(given: Given) -> None:
    c = chip(given, "910B")
    assert c.weights == pytest.approx({"ascend-910b1": 0.05, "ascend-910b2": 0.3, "ascend-910b3": 0.3,
                                       "ascend-910b4": 0.35})
    parts = {b: chip(given, b) for b in MIXTURES["ascend-910b"]}
    seen = {b: float(np.mean(np.isclose(c.tflops["fp16"], p.tflops["fp16"]))) for b, p in parts.items()}
    for b, share in weights(given, "ascend-910b").items():
        spread = 4 * np.sqrt(share * (1 - share) / given.draws)
        assert seen[b] == pytest.approx(share, abs=spread)
    slow = np.isclose(c.tflops["fp16"], parts["ascend-910b4"].tflops["fp16"])
    assert (c.mem_gb[slow] == 32).all(), "memory and rate are of one bin in each draw"
    assert (c.mem_gb[~slow] == 64).all()


def test_a_mixture_does_not_depend_on_how_the_draws_are_cut(given: Given) -> None:
    whole = chip(given, "910b").tflops["fp16"]
    parts = [chip(given.block(a, a + 500), "910b").tflops["fp16"] for a in range(0, 2000, 500)]
    assert (np.concatenate(parts) == whole).all()


def test_figures_from_the_catalogue_and_from_given_agree(given: Given) -> None:
    from_catalogue = chip(given, "b200")
    added = given.with_rows(rows(given.catalog, "b200-sxm"))
    from_given = chip(added, "b200")
    assert (from_catalogue.applicable_die_mm2 == from_given.applicable_die_mm2).all()
    assert np.quantile(from_catalogue.applicable_die_mm2, [0.05, 0.95]) == pytest.approx([1600, 1628], abs=1)


def test_a_chip_of_the_scenario_s_own() -> None:
    scenario = replace(load("february-2025"), chips={"my-npu": {"base": "ascend-910b3", "hbm_gb": 96,
                                                               "bf16_tflops": "300 to 400"}})
    own = chip(resolve(scenario, draws=500), "my-npu")
    assert (own.mem_gb == 96).all()
    assert (own.mem_bw_gb_s == 1600).all()
    assert np.quantile(own.tflops["bf16"], [0.05, 0.95]) == pytest.approx([300, 400], rel=0.03)
    assert own.vendor == "your own"


def test_a_figure_that_was_not_known_yet_is_missing_not_zero(given: Given) -> None:
    c = chip(given, "b30a") if "b30a" in given.catalog.chip_ids() else chip(given, "l20")
    assert "price_usd" in c.missing
    assert np.isnan(c.price_usd).all()


def test_a_chip_announced_later_is_refused(given: Given) -> None:
    with pytest.raises(InputError, match="after the information date"):
        chip(given, "ascend-950pr")


def test_show_says_every_figure_with_source_kind_and_dates(cli_json: Callable[..., Any]) -> None:
    shown = cli_json("chip", "show", "h20", "--as-of", "2025-02-25")
    assert shown["fields"]["mem_bw_gb_s"]["value"] == 4000
    for field in shown["fields"].values():
        assert {"value", "unit", "source", "kind", "as_of", "known_by"} <= set(field)
        assert date.fromisoformat(field["known_by"]) <= date(2025, 2, 25)
        assert field["source"] in shown["sources"]
    assert shown["status"] is None, "the words on its standing are younger than the date"
    assert cli_json("chip", "show", "h20")["status"].startswith("licence required since 2025-04-09")


def test_what_is_unknown_at_the_date_is_listed(cli_json: Callable[..., Any], cli: Callable[..., Any]) -> None:
    shown = cli_json("chip", "show", "mlu590", "--as-of", "2025-02-25")
    assert {"mem_bw_gb_s", "tdp_w", "fp16_tflops"} <= set(shown["unknown"])
    assert "unknown on 2025-02-25: " in cli("chip", "show", "mlu590", "--as-of", "2025-02-25")[1]


def test_the_list_grows_with_the_date(cli_json: Callable[..., Any]) -> None:
    early = {c["id"] for c in cli_json("chip", "list", "--as-of", "2025-02-25")["chips"]}
    late = {c["id"] for c in cli_json("chip", "list")["chips"]}
    assert early < late
    assert "ascend-950pr" in late - early


def test_compare_gives_quotients_against_the_first(cli_json: Callable[..., Any]) -> None:
    result = cli_json("chip", "compare", "h20", "910c", "--as-of", "2025-06-30")
    rows_by = {r["name"]: r["values"] for r in result["rows"]}
    assert rows_by["fp16_tflops"][1]["ratio"] == pytest.approx(707.8 / 148)
    assert rows_by["operations_per_byte_FP16"][0]["value"] == pytest.approx(37)
    assert rows_by["time_to_read_all_memory_once"][1]["value"] == pytest.approx(40)
    assert rows_by["tdp_w"][1]["value"] is None


def test_bins_verb_and_mixture_verb(cli_json: Callable[..., Any]) -> None:
    found = {b["sku"]: b for b in cli_json("chip", "bins", "--family", "910B")["bins"]}
    assert found["Ascend910B3"]["fp16_cube_tflops"] == 294.912
    mixture = cli_json("chip", "show", "ascend-910b")
    assert sum(b["weight"]["value"] for b in mixture["bins"]) == pytest.approx(1)
    assert all(b["weight"]["kind"] == "assumed" for b in mixture["bins"])


@pytest.mark.parametrize(("words", "message"), [
    (("chip", "show", "h21"), "unknown chip 'h21'; did you mean"), (("chip", "compare", "h20"), "needs two chips"),
    (("chip", "list", "--vendor", "Huawai"), "did you mean 'Huawei'"), (("chip", "bins", "--family", "911"), "family"),
    (("chip", "list", "--as-of", "2026-13-01"), "is no date"),
    (("chip", "show", "950dt", "--as-of", "2025-02-25"), "became known on 2026-08-22"),
    (("chip", "show", "rtx 4090d"), "unknown chip 'rtx 4090d'; did you mean 'rtx-4090'?"),
    (("chip", "show", "h100 pcie"), "did you mean 'h100-sxm'?"),
    (("chip", "show", "p800", "--as-of", "2026-06-30"), "leave --as-of out"),
])
def test_bad_words_get_one_sentence_and_exit_code_2(cli: Callable[..., Any], words: tuple[str, ...],
                                                    message: str) -> None:
    code, out, err = cli(*words)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_catalogue_before_any_chip_is_empty(cli_json: Callable[..., Any]) -> None:
    assert cli_json("chip", "list", "--as-of", "2016-01-01")["chips"] == []
    assert Catalogue(date(2016, 1, 1)).chip_ids() == ()


@pytest.mark.parametrize(("written", "item"), [
    ("910C", "ascend-910c"), ("Huawei Ascend 910C", "ascend-910c"), ("ascend_910b3", "ascend-910b3"),
    ("Ascend910B3", "ascend-910b3"), ("H20 141GB", "h20-141"), ("NVIDIA H20", "h20-96"), ("h100 80gb", "h100-sxm"),
    ("GeForce RTX 4090", "rtx-4090"), ("AMD Instinct MI308X", "mi308x"), ("MI308", "mi308x"), ("B30A", "b30a"),
    ("Kunlun P800", "kunlun-p800"), ("MLU590", "mlu590"), ("Siyuan 590", "mlu590"), ("B40", "rtx-pro-6000d"),
    ("RTX 6000 Ada 48GB", "rtx-6000-ada"), ("Gaudi 2", "gaudi2"), ("Intel Gaudi 3", "gaudi3"),
    ("Moore Threads MTT S4000", "mtt-s4000"), ("Biren BR100", "biren-br100"), ("TPU v7", "tpu-v7"),
])
def test_a_chip_is_found_however_it_is_written(written: str, item: str) -> None:
    assert Catalogue(last_known()).resolve_chip(written) == item


def test_every_model_name_finds_its_own_row_or_the_one_an_alias_chose() -> None:
    catalog = Catalogue(last_known())
    for row in read_table("chip_names"):
        assert catalog.resolve_chip(row["item"]) == row["item"]
        found = catalog.resolve_chip(row["model"].partition("(")[0])
        assert found in (row["item"], "ascend-950pr"), "the full part shares its name with the one that shipped"


def test_two_ways_of_writing_never_mean_two_chips() -> None:
    """Negative control for folding: no alias folds onto the id of another chip."""
    ids = {folded(r["item"]): r["item"] for r in read_table("chip_names")}
    assert len(ids) == len(read_table("chip_names"))
    for row in read_table("aliases"):
        assert ids.get(folded(row["alias"]), row["item"]) == row["item"], row


def test_a_name_without_a_bin_compares_as_the_range_of_its_bins(cli_json: Callable[..., Any]) -> None:
    result = cli_json("chip", "compare", "Ascend 910B", "910b4")
    rows_by = {r["name"]: r["values"] for r in result["rows"]}
    assert rows_by["mem_gb"][0]["text"] == "32 to 64"
    assert rows_by["fp16_tflops"][1]["value"] == pytest.approx(245.8, abs=0.1)
    assert "names no bin" in result["remarks"][1] + result["remarks"][0]
