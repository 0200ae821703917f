"""Bins: the counting rule against every row of the platform files."""

from __future__ import annotations

from datetime import date

import pytest

from chipcast.base.catalog import Catalogue, last_known
from chipcast.chip.bins import FLOP_PER_CUBE_CYCLE, SKU_OF, bins, cube_tflops, vector_tflops, vendor_extra

NOW = Catalogue(last_known())


@pytest.mark.parametrize(("name", "cores", "vectors", "ghz", "cube", "vendor"), [
    ("b1", 24, 48, 1.85, 363.7248, 386.4576), ("b2", 24, 48, 1.8, 353.8944, 376.0128),
    ("b3", 20, 40, 1.8, 294.912, 313.344), ("b4", 20, 40, 1.5, 245.76, 261.12),
])
def test_k1_cube_and_vendor_figures_of_the_910b_bins(name: str, cores: int, vectors: int, ghz: float, cube: float,
                                                     vendor: float) -> None:
    assert cube_tflops(cores, ghz) == pytest.approx(cube, abs=1e-9)
    assert cube_tflops(cores, ghz) + vector_tflops(vectors, ghz, 256) == pytest.approx(vendor, abs=1e-9)
    row = next(b for b in bins(NOW) if b.sku == f"Ascend910{name.upper()}")
    assert row.cube_tflops == pytest.approx(cube)
    assert row.vendor_tflops == pytest.approx(vendor)


def test_one_cube_core_counts_8192_operations_a_cycle() -> None:
    assert FLOP_PER_CUBE_CYCLE == 8192


@pytest.mark.parametrize("b", bins(NOW), ids=lambda b: b.sku)
def test_the_counting_rule_gives_both_columns_of_every_row(b: object) -> None:
    assert b.cube_tflops == pytest.approx(b.filed_cube_tflops, abs=0.06)  # type: ignore[attr-defined]
    assert b.vendor_tflops == pytest.approx(b.filed_vendor_tflops, abs=0.06)  # type: ignore[attr-defined]


def test_the_vendor_adds_a_sixteenth_on_the_910b_and_an_eighth_on_the_950() -> None:
    assert vendor_extra(NOW, "ascend-910b2") == pytest.approx(1 / 16)
    assert vendor_extra(NOW, "ascend-910c") == pytest.approx(1 / 16)
    assert vendor_extra(NOW, "ascend-950pr") == pytest.approx(1 / 8)
    assert vendor_extra(NOW, "h20-96") == 0


def test_every_chip_with_a_bin_has_the_bin_s_matrix_rate() -> None:
    rows = {b.sku: b for b in bins(NOW)}
    for item, sku in SKU_OF.items():
        dies = 2 if item == "ascend-910c" else 1
        assert NOW.chip_facts(item)["fp16_tflops"].value == pytest.approx(dies * rows[sku].cube_tflops, rel=2e-3), item


def test_a_bin_is_listed_from_the_day_it_was_known() -> None:
    early = {b.sku for b in bins(Catalogue(date(2025, 2, 25)))}
    assert "Ascend910B3" in early
    assert "Ascend950DT_9582" not in early


def test_no_sold_910_bin_uses_all_25_cores_of_the_die() -> None:
    assert {b.cube_cores for b in bins(NOW) if b.family == "910B"} == {20, 24}
