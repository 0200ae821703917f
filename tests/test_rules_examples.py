"""The 21 worked examples: TPP, density, class and slack from the tests of the rows, by the rows' own inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from chipcast.base.catalog import read_table
from chipcast.rules.answer import Assessment
from chipcast.rules.assess import assessor
from chipcast.rules.design import class_2023, classes_by_area
from chipcast.rules.expr import Interval, parse, truth
from chipcast.rules.measure import Figures, build
from chipcast.rules.rule import layer

ROWS = {r["chip_id"]: r for r in read_table("rule_examples")}
OF_BITS = {"16": "fp16_tflops", "8": "fp8_tflops", "4": "fp4_tflops", "1": "tpp_published"}


def example(chip: str, **changes: float) -> Figures:
    """Figures of a worked example from its own row."""
    row = ROWS[chip]
    cells = {OF_BITS[row["bits"]]: row["dense_tops_or_tflops"], "applicable_die_mm2": row["applicable_die_area_mm2"],
             "scaleup_gb_s_bidirectional": row["io_bidir_gb_s"], "mem_bw_gb_s": row["dram_bw_gb_s"]}
    numbers = {k: float(v) for k, v in cells.items() if v} | changes

    def get(column: str) -> Interval | None:
        return (numbers[column], numbers[column]) if column in numbers else None

    sold = 0 if "only_if_sold" in row["china_review_2026_01"] or chip == "a800-sxm-80" else 1
    dc = int(row["datacenter_marketed"])
    return build(chip, get, model=chip, vendor="", domestic=False, dc=(dc, dc), sold_in_us=(sold, sold))


def found(chip: str | Figures, rule: str) -> Assessment:
    figures = chip if isinstance(chip, Figures) else example(chip)
    return assessor(figures)(layer(rule))


def control(chip: str) -> tuple[float, float]:
    """Ends of the slack to leave the control of the 2023 list."""
    every = [found(chip, r) for r in ("US-3A090A-2023", "US-3A090B-2023", "US-NAC-2023")]
    return min(a.low for a in every), min(a.high for a in every)


MEASURED = {
    "a100-sxm-80": (4992, 6.04), "a800-sxm-80": (4992, 6.04), "h800-sxm": (15832, 19.45), "h200-sxm": (15832, 19.45),
    "l40s": (5864, 9.64), "l40": (2896, 4.76), "rtx-6000-ada": (5828, 9.58), "rtx-4090": (5284.8, 8.69),
    "l20": (1912, 3.14), "l2": (1544, 5.24), "b200-sxm": (36000, 22.11), "b300-sxm": (56000, 34.40),
    "mi210": (2896, 3.67), "mi250x": (6128, 3.88), "mi325x": (20919.2, 20.57), "mi308x": (2368, 2.33),
    "gaudi2-hl-225b": (6912, None), "gaudi3": (29360, None), "ascend-910b3": (5120, None),
    "ascend-910c": (12800, None), "mlu590": (4493, None),
}


def test_all_twenty_one_examples_are_here() -> None:
    assert set(MEASURED) == set(ROWS)
    assert len(ROWS) == 21


@pytest.mark.parametrize("chip", MEASURED)
def test_tpp_and_density_of_the_worked_example(chip: str) -> None:
    tpp, pd = MEASURED[chip]
    f = example(chip)
    assert f.tpp == (pytest.approx(tpp, abs=1), pytest.approx(tpp, abs=1))
    assert f.tpp[0] == pytest.approx(float(ROWS[chip]["tpp"]), abs=1)
    if pd is None:
        assert f.pd == (0, math.inf)
    else:
        assert f.pd[0] == pytest.approx(pd, abs=0.006)
        assert round(f.pd[0], 2) == pytest.approx(float(ROWS[chip]["performance_density"]), abs=0.011)


LIST_2022 = {
    "a100-sxm-80": (True, 0.0), "a800-sxm-80": (False, 0.405), "h800-sxm": (False, 0.405), "h200-sxm": (True, -0.405),
    "l40s": (False, 2.238), "l40": (False, 2.238), "rtx-6000-ada": (False, 2.238), "rtx-4090": (False, 2.238),
    "l20": (False, 2.238), "l2": (False, 2.238), "b200-sxm": (True, -1.099), "b300-sxm": (True, -1.099),
    "mi210": (False, 0.693), "mi250x": (True, -0.244), "mi325x": (True, -0.401), "gaudi2-hl-225b": (False, 0.134),
    "gaudi3": (True, -0.693),
}


@pytest.mark.parametrize("chip", LIST_2022)
def test_the_list_of_2022_with_its_slack(chip: str) -> None:
    caught, slack = LIST_2022[chip]
    a = found(chip, "US-3A090-2022")
    assert (a.sure, a.may) == (caught, caught)
    assert a.low == a.high == pytest.approx(slack, abs=0.0006)
    assert ROWS[chip]["class_2022_10"] == ("3A090" if caught else "not_3A090")


LIST_2023 = {  # class, prong, slack to leave control (upper end), slack to leave .a
    "a100-sxm-80": (".a", "a.1", -0.732, -0.039), "a800-sxm-80": (".a", "a.1", -0.732, -0.039),
    "h800-sxm": (".a", "a.1", -1.887, -1.193), "h200-sxm": (".a", "a.1", -1.887, -1.193),
    "l40s": (".a", "a.1", -1.102, -0.487), "l40": (".b", "b.1", -0.397, 0.218),
    "rtx-6000-ada": (".a", "a.1", -1.096, -0.481), "rtx-4090": ("Note 2", "Note 2", -0.096, None),
    "l20": ("free", "b.2", 0.0182, 0.633), "l2": ("free", "b.2", 0.0356, 0.121),
    "b200-sxm": (".a", "a.1", -2.626, -2.015), "b300-sxm": (".a", "a.1", -3.068, -2.457),
    "mi210": (".b", "b.1", -0.188, 0.479), "mi250x": (".a", "a.1", -0.885, -0.244),
    "mi325x": (".a", "a.1", -2.165, -1.472), "mi308x": ("free", "b.1", 0.0134, 0.707),
    "gaudi2-hl-225b": (".a", "a.1", -0.365, -0.365), "gaudi3": (".a", "a.1", None, -1.811),
    "ascend-910b3": (".a", "a.1", None, -0.065), "ascend-910c": (".a", "a.1", None, -0.981),
    "mlu590": ("unknown", "", None, None),
}


@pytest.mark.parametrize("chip", LIST_2023)
def test_the_list_of_2023_with_its_prong_and_slack(chip: str) -> None:
    name, prong, leave, leave_a = LIST_2023[chip]
    assert class_2023(example(chip).values()) == name
    if leave is not None:
        assert control(chip)[1] == pytest.approx(leave, abs=0.0006)
    if leave_a is not None:
        assert found(chip, "US-3A090A-2023").high == pytest.approx(leave_a, abs=0.0006)
    rule = {".a": "US-3A090A-2023", ".b": "US-3A090B-2023", "Note 2": "US-NAC-2023", "free": "US-3A090B-2023"}.get(name)
    if rule:
        assert found(chip, rule).reason.prong == prong


def test_which_prongs_hold_together() -> None:
    assert found("a100-sxm-80", "US-3A090A-2023").prongs == ("a.1", "a.2")
    assert found("l40", "US-3A090B-2023").prongs == ("b.1", "b.2")
    assert found("mi210", "US-3A090B-2023").prongs == ("b.1", "b.2")
    assert found("mi250x", "US-3A090A-2023").prongs == ("a.1",)


def test_slack_is_of_the_unrounded_density() -> None:
    a = found("l20", "US-3A090B-2023")
    assert a.high == pytest.approx(0.0182, abs=5e-5)
    assert math.log(3.2 / 3.14) == pytest.approx(0.0189, abs=5e-5), "the rounded density would give this"
    assert a.reason.names == ("pd",)
    assert 3.2 - example("l20").pd[0] == pytest.approx(0.058, abs=5e-4)
    assert found("l2", "US-3A090B-2023").reason.names == ("tpp",)
    assert 1600 - example("l2").tpp[0] == 56


LETTER_2025 = {
    "a100-sxm-80": (True, "sum", -0.440), "a800-sxm-80": (True, "dram", -0.376), "h800-sxm": (True, "dram", -0.873),
    "h200-sxm": (True, "dram", -1.232), "l40s": (False, "dram", 0.483), "l40": (False, "dram", 0.483),
    "rtx-6000-ada": (False, "dram", 0.377), "rtx-4090": (False, "dram", 0.328), "l20": (False, "dram", 0.483),
    "l2": (False, "dram", 1.540), "b200-sxm": (True, "sum", -1.752), "b300-sxm": (True, "sum", -1.721),
    "mi210": (True, "dram", -0.134), "mi250x": (True, "sum", -0.856), "mi325x": (True, "dram", -1.455),
    "gaudi2-hl-225b": (True, "dram", -0.560), "gaudi3": (True, "sum", -1.059),
}


@pytest.mark.parametrize("chip", LETTER_2025)
def test_the_letters_of_april_2025_with_their_slack(chip: str) -> None:
    caught, prong, slack = LETTER_2025[chip]
    a = found(chip, "US-INF-2025")
    assert (a.sure, a.may) == (caught, caught)
    assert a.high == pytest.approx(slack, abs=0.0006)
    assert a.reason.prong == prong
    assert ROWS[chip]["is_informed_2025_04"] == ("licence" if caught else "clear")


def test_mi308_without_links_is_decided_by_what_is_known() -> None:
    assert example("mi308x").io_bidir_gb_s == (0, math.inf)
    old = found("mi308x", "US-3A090-2022")
    assert (old.sure, old.may) == (False, False), "TPP alone frees it in 2022"
    letter = assessor(replace(example("mi308x"), id="not named"))(layer("US-INF-2025"))
    assert letter.sure
    assert letter.reason.prong == "dram"
    assert letter.high == pytest.approx(-1.050, abs=0.0006)


def test_910b_without_links_is_unknown_in_2022() -> None:
    a = found("ascend-910b3", "US-3A090-2022")
    assert (a.sure, a.may) == (False, True)


def test_siyuan_590_is_answered_by_interval_of_die_area() -> None:
    rows = classes_by_area(example("mlu590"))
    assert [r["class"] for r in rows] == [".a", ".b", "free"]
    assert rows[0]["to_mm2"] == pytest.approx(758.95, abs=0.005)
    assert rows[1]["to_mm2"] == pytest.approx(2808.1, abs=0.05)


REVIEW_2026 = {"mi325x": True, "h200-sxm": True, "a100-sxm-80": True, "l40s": True, "b200-sxm": False,
               "b300-sxm": False, "gaudi3": False, "h800-sxm": False, "a800-sxm-80": False, "gaudi2-hl-225b": False}


@pytest.mark.parametrize("chip", REVIEW_2026)
def test_the_review_policy_of_2026(chip: str) -> None:
    assert found(chip, "US-CBC-2026").sure is REVIEW_2026[chip]


def test_room_under_the_caps_of_2026() -> None:
    assert -found("mi325x", "US-CBC-2026").own_high == pytest.approx(0.0039, abs=5e-5)
    assert 21000 - example("mi325x").tpp[0] == pytest.approx(80.8, abs=0.05)
    assert 6500 - example("mi325x").dram_bw_gb_s[0] == 500
    assert -found("h200-sxm", "US-CBC-2026").own_high == pytest.approx(0.283, abs=0.0006)
    assert found("gaudi3", "US-CBC-2026").reason.names == ("tpp",)


def test_tariff_bands_hold_h200_and_mi325x_and_no_other_example() -> None:
    hit = {chip: found(chip, "US-232-2026").prongs for chip in ROWS}
    assert {k: v for k, v in hit.items() if v} == {"h200-sxm": ("band 1",), "mi325x": ("band 2",)}


def test_text_s_own_conversion() -> None:
    from chipcast.rules.measure import total_processing_performance

    assert total_processing_performance({"int8": 600})[0] == total_processing_performance({"fp16": 300})[0] == 4800
    test = layer("US-3A090A-2023").test
    assert test is not None
    assert truth(test, {"tpp": (4800, 4800), "pd": (1, 1), "dc": (1, 1)})[0]


def broken_by(chip: str, change: Callable[[Figures], Figures]) -> Figures:
    return change(example(chip))


def test_negative_control_density_with_memory_area_breaks_the_a100() -> None:
    hbm_stacks, stack_mm2 = 5, 110.0
    wrong = 4992 / (826 + hbm_stacks * stack_mm2)
    assert abs(wrong - MEASURED["a100-sxm-80"][1]) > 0.005


def test_negative_control_sparse_figures_turn_the_l20_into_tier_a() -> None:
    assert class_2023(example("l20").values()) == "free"
    sparse = example("l20", fp8_tflops=2 * 239)
    assert class_2023(sparse.values()) == ".a"


def test_negative_control_links_of_one_direction_free_the_a100_in_2022() -> None:
    one_way = example("a100-sxm-80", scaleup_gb_s_bidirectional=300)
    assert not found(one_way, "US-3A090-2022").may
    assert found("a100-sxm-80", "US-3A090-2022").sure
    assert found(example("b200-sxm", scaleup_gb_s_bidirectional=900), "US-3A090-2022").sure, "a poor test chip"


def test_defect_a_density_that_does_not_fit_its_own_die() -> None:
    """A public tracker prints 2.91 for MI308 beside a die of 1017 mm2; density is always recomputed."""
    assert example("mi308x").pd[0] == pytest.approx(2368 / 1017)
    assert example("mi308x").pd[0] != pytest.approx(2.91, abs=0.1)


def test_defect_one_link_of_the_mi250x() -> None:
    assert found("mi250x", "US-3A090-2022").sure, "eight links of 100 GB/s"
    assert not found(example("mi250x", scaleup_gb_s_bidirectional=100), "US-3A090-2022").may


def test_every_row_s_test_names_what_the_examples_carry() -> None:
    known = set(example("a100-sxm-80").values())
    from chipcast.rules.expr import names_in

    for rule in ("US-3A090-2022", "US-3A090A-2023", "US-3A090B-2023", "US-INF-2025", "US-CBC-2026", "US-232-2026"):
        test = layer(rule).test
        assert test is not None
        assert set(names_in(test)) <= known, rule
    assert names_in(parse("tpp >= 1 and dc")) == ("tpp", "dc")
