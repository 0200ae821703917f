"""A chip of the buyer's own in a plan: it borrows what only a market knows, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plan_world import SERVED, market_of, service_of, verdicts_of

from chipcast.base.given import Given
from chipcast.plan.need import Need, need_for
from chipcast.plan.procure import Case, case_of
from chipcast.plan.weight import assumptions
from chipcast.scenario import load, resolve

DRAWS = 300


def case_with(tmp_path: Path, chips: str, served: str, *, bar: tuple[str, ...] = ("h800-sxm",)
              ) -> tuple[Case, Given, Need]:
    """Return the case in which `served` is as fast as the 910B2 and stands in the scenario as `chips` says."""
    path = tmp_path / "own.yaml"
    path.write_text(f"base: hospital-group\nchips:\n  {chips}\n", encoding="utf-8")
    story = load(path)
    given = resolve(story, draws=DRAWS, chips=SERVED)
    need = need_for(given, story.buyer, story.chips)
    market = market_of(given)
    names = (*SERVED, served)
    service = service_of(given, chips=names, speed=(60, 25, 50, 80, 25), blocks=(8, 16, 16, 8, 16))
    return case_of(given, need, market, service, verdicts_of(market.months, chips=names, bar=bar)), given, need


def test_a_chip_of_ones_own_that_says_nothing_new_is_its_base(tmp_path: Path) -> None:
    case, _, _ = case_with(tmp_path, "twin: {base: ascend-910b2}", "twin")
    p = case.problem
    mine, its = ([i for i, o in enumerate(p.offers) if o.chip == c] for c in ("twin", "ascend-910b2"))
    assert len(mine) == len(its) > 0
    for table in (p.order_cost, p.arrive, p.order_cap, p.rate, p.spend):
        assert np.array_equal(np.asarray(table)[mine], np.asarray(table)[its])
    assert [(p.offers[i].supplier, p.offers[i].domestic, p.offers[i].contract) for i in mine] \
        == [(p.offers[i].supplier, p.offers[i].domestic, p.offers[i].contract) for i in its]
    assert case.supply_cards["twin"] == case.supply_cards["ascend-910b2"]


def test_what_is_stated_of_a_chip_of_ones_own_is_its_own(tmp_path: Path) -> None:
    case, given, _ = case_with(tmp_path, "cheap: {base: ascend-910b2, price_usd: 5000, tdp_w: 100}", "cheap")
    p = case.problem
    mine, its = (next(i for i, o in enumerate(p.offers) if o.chip == c) for c in ("cheap", "ascend-910b2"))
    assert np.allclose(p.spend[mine] / p.spend[its], 5000 / given["ascend-910b2.price_usd"])
    assert p.power is not None
    ratio = p.power[p.offers[mine].stock] / p.power[p.offers[its].stock]
    assert ratio == pytest.approx(100 / np.median(given["ascend-910b2.tdp_w"]), rel=1e-6)
    assert "cheap is given the price path, waits, gates and contracts of Ascend 910B2" in assumptions(case, ())


def test_the_gates_shut_for_a_chip_of_ones_own_as_for_its_base(tmp_path: Path) -> None:
    case, _, _ = case_with(tmp_path, "mine: {base: h20}", "mine")
    p = case.problem
    mine, its = (next(i for i, o in enumerate(p.offers) if o.chip == c) for c in ("mine", "h20-96"))
    assert np.array_equal(p.arrive[mine], p.arrive[its]) and (p.arrive[mine] == 0).any()
    assert not p.offers[mine].domestic


@pytest.mark.parametrize(("chips", "bar", "why"), [
    ("mine: {base: h20}", ("h800-sxm", "mine"), "the rules in force bar it for this buyer"),
    ("mine: {base: h100-sxm}", ("h800-sxm",), "the market does not trade its base, H100 SXM, openly"),
    ("mine: {fp16_tflops: 300, mem_bw_gb_s: 2000, tdp_w: 300}", ("h800-sxm",), "give it a base: whose waits"),
])
def test_a_chip_of_ones_own_that_cannot_be_bought_says_why(tmp_path: Path, chips: str, bar: tuple[str, ...], why: str,
                                                           ) -> None:
    case, _, _ = case_with(tmp_path, chips, "mine", bar=bar)
    assert why in case.left_out["mine"]
    assert "mine" not in {o.chip for o in case.problem.offers}
