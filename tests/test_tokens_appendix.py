"""The appendix lists what a run computes with: the fit's shares, draw by draw, and no range that it overrules."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from chipcast import chain
from chipcast.base.given import Given
from chipcast.cluster import platform
from chipcast.scenario import load, resolve
from chipcast.tokens.appendix import SOURCE, with_fit
from chipcast.tokens.beliefs import constant
from chipcast.tokens.model import load as load_model
from chipcast.tokens.reached import for_model, years_later
from chipcast.tokens.speed import overruled, speed_of

CHIPS = ("h20-96", "h800-sxm", "ascend-910b2", "ascend-910c", "domestic_other")


def world(scenario: str, sets: Mapping[str, object] | None = None, draws: int = 1500) -> Given:
    return resolve(load(scenario, overrides=sets), draws=draws, chips=chain.FIGURES)


@pytest.mark.parametrize("scenario", ["february-2025", "latest"])
def test_a_row_of_the_fit_is_what_serving_computes_with_in_each_draw(scenario: str) -> None:
    plain = world(scenario)
    shown = with_fit(plain, CHIPS, ("platform", "clinic_school"))
    for chip, group, stack in (("h20-96", "h20", "open"), ("h800-sxm", "hopper", "open"),
                               ("ascend-910c", "910c", "ascend-best")):
        speed = speed_of(plain.block(1000, 1200), chip)
        part = shown.block(1000, 1200)
        for name in ("gemm_narrow", "grouped", "core_decode", "stream", "even", "hidden"):
            np.testing.assert_allclose(part[f"fit-{group}.{name}_share"], getattr(speed, name), rtol=1e-9)
        np.testing.assert_allclose(part[f"fit-{stack}.host_ms"] * 1e-3, speed.host_s, rtol=1e-9)
        np.testing.assert_allclose(part[f"fit-{stack}.maturity"], speed.maturity, rtol=1e-9)


def test_the_law_of_a_row_of_the_fit_is_that_of_its_draws() -> None:
    shown = with_fit(world("latest", draws=4000), CHIPS)
    rows = [n for n, r in shown.rows.items() if r.source == SOURCE]
    assert len(rows) > 60
    for name in rows:
        law = shown.row(name).law
        below = [float(np.mean(shown[name] <= end)) for end in (law.low, law.mode, law.high)]
        np.testing.assert_allclose(below, [0.05, 0.5, 0.95], atol=5 * 0.5 / np.sqrt(4000))


def test_what_moves_a_whole_step_is_listed_and_multiplies_to_what_serving_does() -> None:
    plain = world("latest")
    shown = with_fit(plain, CHIPS, ("platform",), ("deepseek-r1",)).block(1000, 1200)
    block = plain.block(1000, 1200)
    for chip, stack, word in (("h20-96", "open", "fp8_block"), ("ascend-910c", "ascend-best", "int8_channel")):
        factor = shown[f"fit-{chip}.deployment_{stack}"]
        for name in ("arch_latent", "model_deepseek-r1", f"weights_{word}"):
            factor = factor * shown[f"fit-{stack}.{name}"]
        speed = speed_of(block, chip)
        later = np.exp(years_later(plain) * shown[f"fit-{stack}.growth"])
        factor = factor * later ** constant("growth_of_operations")
        moved = for_model(block, speed, load_model("deepseek-r1"), word, stack)
        np.testing.assert_allclose(factor, np.asarray(moved.maturity) / np.asarray(speed.maturity), rtol=1e-9)
    early = with_fit(world("february-2025"), CHIPS, ("platform",), ("deepseek-r1",))
    assert years_later(plain) > 0.5 and years_later(early) == 0 and "fit-open.growth" not in early.rows
    assert "fit-h20-96.deployment_open" not in with_fit(plain, CHIPS).rows


def test_a_range_that_the_fit_overrules_is_listed_only_where_the_scenario_states_it() -> None:
    sets = {"h20-96.gemm_8bit_compute_efficiency": "60% to 70%"}
    shown = with_fit(world("latest", sets), CHIPS)
    assert [n for n in shown.rows if overruled(n)] == list(sets)
    assert 0.55 < np.median(np.asarray(speed_of(shown, "h20-96").gemm_narrow)) < 0.75
    assert "stack-appliance.maturity" in shown
    assert "rdma_400g.link_efficiency" in shown


def test_the_table_of_a_machine_lists_the_ranges_that_published_runs_left() -> None:
    plain = world("latest")
    shown = platform.with_fit(plain)
    moved = [n for n in plain.rows if platform.fitted_law(plain, n)]
    assert len(moved) > 5
    for name in moved:
        np.testing.assert_array_equal(shown[name], platform.fitted(plain, name))
        assert shown.row(name).kind == "estimated"
    own = world("latest", {moved[0]: plain.row(moved[0]).law.middle})
    assert platform.with_fit(own).row(moved[0]).kind == "scenario"


def test_what_cannot_move_a_table_is_not_moved_by_listing_it() -> None:
    plain = world("february-2025", draws=400)
    np.testing.assert_array_equal(np.asarray(speed_of(with_fit(plain, CHIPS), "ascend-910b2").grouped),
                                  np.asarray(speed_of(plain, "ascend-910b2").grouped))
