"""What public calculators get wrong, one test each: ours must not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chipcast.base.errors import InputError
from chipcast.fab.cost import transfer_price
from chipcast.fab.defects import die_yield
from chipcast.fab.harvest import bin_yield
from chipcast.fab.maps import CLUSTERS, wafer_yields
from chipcast.fab.package import Step, known_good_die_cost, scrap
from chipcast.fab.wafer import Wafer, dies_per_field, phase_of, place


def test_silicon_compiler_converts_the_unit_twice() -> None:
    """814 mm2 at 0.2 per cm2 is .196 by Poisson; converting twice gives .984."""
    assert float(die_yield(814.0, 0.2, law="poisson")) == pytest.approx(.196, abs=1e-3)
    assert float(die_yield(8.14, 20.0, law="poisson")) == pytest.approx(float(die_yield(814.0, 0.2, law="poisson")))


def test_google_chiplets_cost_model_reclaims_more_than_there_is() -> None:
    """With zero spares its reclaimed yield is 1.325 at 0.1 per cm2 and 665.6 mm2; ours is the law itself, below 1."""
    base = float(die_yield(665.6, 0.1, law="negative-binomial", clustering=2.0))
    none = float(bin_yield(25, cores=25, die_area_mm2=665.6, d0_per_cm2=0.1, alpha=2.0))
    assert none == pytest.approx(base)
    for need in range(26):
        assert base - 1e-12 <= float(bin_yield(need, cores=25, die_area_mm2=665.6, d0_per_cm2=0.1, alpha=2.0)) <= 1


def test_chiplet_actuary_counts_the_bonds_of_equal_chips_once() -> None:
    """Twice the dies cost twice the dies and survive by the square."""
    base = {"wafer_usd": 12000.0, "gross_dies": 78.0, "die_yield": 0.4, "memory_usd": 0.0, "package_usd": 0.0,
            "assembly": 1.0, "test_usd": 5.0}
    assert known_good_die_cost(dies=4, **base) == pytest.approx(2 * known_good_die_cost(dies=2, **base))
    one = scrap([Step(name="bond", added_usd=10.0, survives=0.99)])
    two = scrap([Step(name="bond", added_usd=10.0, survives=0.99)] * 2)
    assert float(two.survives) == pytest.approx(float(one.survives) ** 2)
    assert float(two.spent_usd.sum()) == pytest.approx(10 + 0.99 * 10)


def test_catch_hides_its_edge_and_counts_no_shots(cli: Callable[..., tuple[int, str, str]]) -> None:
    """Its edge is 0.1 mm unless one looks and its count of fields stays 0; ours stand in every answer."""
    _, out, _ = cli("fab", "dies", "--width-mm", "25.8", "--height-mm", "25.8", "--json")
    answer: dict[str, Any] = json.loads(out)
    assert (answer["edge_mm"], answer["scribe_mm"], answer["phase"]) == (3.0, 0.1, "best")
    assert answer["fields"] >= answer["gross_dies"] / answer["dies_per_field"]
    _, text, _ = cli("fab", "dies", "--width-mm", "25.8", "--height-mm", "25.8")
    assert "3 mm edge, 0.1 mm scribe" in text


def test_semianalysis_calculator_rounds_bad_dies() -> None:
    """64 dies at .5026: rounded to 32 good ones a die of a 10,000 USD wafer costs 312.50, by expectation 310.9."""
    assert transfer_price(10_000, 64, .5026) == pytest.approx(10_000 / (64 * .5026))
    assert transfer_price(10_000, 64, .5026) < 312.4


def test_semianalysis_calculator_scatters_defects_whatever_the_law() -> None:
    """Under a gamma per wafer pictures must differ from wafer to wafer: four times the spread of uniform scatter."""
    wafer = Wafer(die_width_mm=25.8, die_height_mm=25.8)
    placed = place(wafer, phase_of(wafer, "best"))
    spread = {c: float(np.std(wafer_yields(placed, 0.16, CLUSTERS[c](2.0), wafers=4000))) for c in ("none", "wafer")}
    assert spread["wafer"] > 4 * spread["none"]


def test_calculators_take_a_density_per_layer_for_a_density_of_all(cli_json: Callable[..., Any]) -> None:
    """Bose-Einstein with 30 layers: 0.1 taken for each layer gives 2e-7; ours is of all layers and says which."""
    wrong = float((1 + 665.6 / 100 * 0.1) ** -30.0)
    assert wrong == pytest.approx(2.3e-7, rel=.05)
    out = cli_json("fab", "yield", "--area-mm2", "665.6", "--d0-per-cm2", "0.1", "--law", "bose-einstein",
                   "--clustering", "30")
    assert out["yield"] == pytest.approx((1 + 665.6 / 100 * 0.1 / 30) ** -30)
    assert out["d0_per_layer_per_cm2"] == pytest.approx(0.1 / 30)


def test_calculators_answer_zero_for_a_die_beyond_the_field() -> None:
    with pytest.raises(InputError, match="does not fit the reticle field of 26 x 33 mm"):
        dies_per_field(26.0, 33.0, 0.1, shared_scribe=False)
    assert dies_per_field(26.0, 33.0, 0.1) == (1, 1)
