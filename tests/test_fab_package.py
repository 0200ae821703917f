"""Packages, patterning and money: values of record, invariants, and defects of peers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as draw
from hypothesis import settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr

from chipcast.base.errors import InfeasibleError, InputError
from chipcast.base.given import Given
from chipcast.fab import cost, package, patterning
from chipcast.fab.cost import Deal, Sale, break_even, cents
from chipcast.fab.package import Step, all_good, blind_cost, known_good_die_cost, scrap, screen
from chipcast.fab.product import product

P4 = {"wafer_usd": 12000.0, "gross_dies": 78.0, "dies": 2, "memory_usd": 880.0, "package_usd": 1200.0}


@pytest.mark.parametrize(("share", "tested", "blind"), [
    (.2, 3808.91, 62834.01), (.4, 2999.19, 15708.50), (.649, 2688.53, 5967.13)])
def test_cost_of_a_good_package_of_record(share: float, tested: float, blind: float) -> None:
    assert known_good_die_cost(die_yield=share, assembly=.95, **P4) == pytest.approx(tested, abs=.01)
    assert blind_cost(die_yield=share, assembly=.95, **P4) == pytest.approx(blind, abs=.01)


@pytest.mark.parametrize(("share", "expected"), [(.4, 2414.77), (.8, 506.46), (.95, 114.83), (.99, 22.46)])
def test_blind_assembly_pays_only_above_a_test_cost(share: float, expected: float) -> None:
    limit = package.blind_pays_above_test_usd(die_yield=share, **P4)
    assert limit == pytest.approx(expected, abs=.01)
    tested = known_good_die_cost(die_yield=share, assembly=.95, test_usd=limit, **P4)
    assert tested == pytest.approx(blind_cost(die_yield=share, assembly=.95, **P4), rel=1e-12)


def test_screening_escape_and_stack_values_of_record() -> None:
    t = screen(.4, .95)
    assert (t.pass_rate, t.quality) == (pytest.approx(.43), pytest.approx(.930232558139535, abs=1e-12))
    assert package.escape(.4, .95) == pytest.approx(.04478089604767599, abs=1e-9)
    assert package.stack_yield(.97, .98, 1.0, 8) == pytest.approx(.82524013, abs=1e-8)
    assert package.stack_yield(.97, .98, 1.0, 12) == pytest.approx(.76117522, abs=1e-8)
    assert screen(.4, 1.0).quality == 1
    assert screen(.4, 0.0).pass_rate == 1


@pytest.mark.parametrize(("share", "alpha", "expected"), [
    (.5, 1, .33333333), (.5, 2, .29911947), (.5, 5, .27204205), (.4, 2, .2138834), (.2, 5, .05930671)])
def test_pairs_of_one_wafer_of_record(share: float, alpha: float, expected: float) -> None:
    assert all_good(share, 2, pairing="wafer", clustering=alpha) == pytest.approx(expected, abs=1e-7)


def test_a_screened_flow_needs_another_assembly_yield_to_turn_fifty_into_twenty_when_pairs_share_luck() -> None:
    for alpha, expected in ((1, .60), (2, .67), (5, .74)):
        assert .2 / all_good(.5, 2, pairing="wafer", clustering=alpha) == pytest.approx(expected, abs=.006)
    assert .2 / all_good(.5, 2) == pytest.approx(.80)


@settings(max_examples=50, deadline=None)
@draw(share=st.floats(.05, .99), dies=st.integers(1, 6), alpha=st.floats(.3, 20))
def test_jensen_holds_between_strangers_and_a_single_die(share: float, dies: int, alpha: float) -> None:
    strangers, mates = (float(all_good(share, dies, pairing=p, clustering=alpha)) for p in ("independent", "wafer"))
    assert strangers <= mates * (1 + 1e-9)
    assert mates <= share * (1 + 1e-9)


def test_memory_burned_by_the_plan_of_400_000_parts() -> None:
    tested = 100_000 * 8 / .95 + 300_000 * 4 / .97
    die = (.4 / .95) ** .5  # a blind 40 percent of two-die packages means this die yield
    blind = 100_000 * 8 / (float(all_good(die, 2)) * .95) + 300_000 * 4 / (float(all_good(die, 1)) * .97)
    assert tested == pytest.approx(2.08e6, rel=.005)
    assert blind == pytest.approx(3.91e6, rel=.005)


def test_tested_flow_is_never_dearer_when_the_test_is_free() -> None:
    for share in np.linspace(.05, 1, 20):
        for pairing in ("independent", "wafer"):
            kgd = known_good_die_cost(die_yield=share, assembly=.9, **P4)
            assert kgd <= blind_cost(die_yield=share, assembly=.9, pairing=pairing, clustering=2.0, **P4) * (1 + 1e-12)


def test_doubling_identical_dies_doubles_every_die_term() -> None:
    """Chiplet Actuary counts bump cost once for several equal chips."""
    one, two = (known_good_die_cost(die_yield=.4, assembly=1.0, **{**P4, "dies": k, "memory_usd": 0, "package_usd": 0})
                for k in (1, 2))
    assert two == pytest.approx(2 * one, rel=1e-15)


def test_chip_first_loses_chips_with_the_wiring_and_chip_last_does_not() -> None:
    first = package.chip_first(500.0, 100.0, y1=.8, y3=.99)
    last = package.chip_last(500.0, 100.0, y1=.8, y2=1.0, y3=.99)
    assert first - last == pytest.approx(500 / .99 * (1 / .8 - 1))
    assert package.assembly_yield(bond=.99, dies=2, substrate=.98, stack=.995, stacks=8) == pytest.approx(
        .99**2 * .98 * .995**8)


def test_scrap_waterfall_of_record() -> None:
    die = cost.transfer_price(14000, 80, .4)
    assert die == 437.5
    assert die * (1 - .4) == pytest.approx(262.5)
    steps = (("bond", 2 * die + 200, .98), ("memory", 1280, .97), ("substrate", 400, .99), ("test", 120, .96))
    s = scrap([Step(name=name, added_usd=usd, survives=share) for name, usd, share in steps])
    assert float(s.survives) == pytest.approx(.90345024, abs=1e-8)
    assert s.lost_usd == pytest.approx([21.5, 69.237, 26.18903, 108.22581], abs=1e-5)
    assert s.lost_usd / s.survives == pytest.approx([23.797658, 76.636207, 28.987795, 119.791667], abs=1e-5)
    assert float(s.cost_per_good_usd) == pytest.approx(3124.213327, abs=1e-5)
    assert float(s.spent_usd.sum()) == pytest.approx(2822.57128, abs=1e-5)


@settings(max_examples=40, deadline=None)
@draw(steps=st.lists(st.tuples(st.floats(0, 1e4), st.floats(.3, 1)), min_size=1, max_size=7))
def test_money_spent_is_money_lost_plus_money_in_good_units(steps: list[tuple[float, float]]) -> None:
    s = scrap([Step(name=str(k), added_usd=np.full(3, a), survives=np.full(3, y)) for k, (a, y) in enumerate(steps)])
    assert s.lost_usd.sum(axis=0) + s.survives * s.carried_usd[-1] == pytest.approx(s.spent_usd.sum(axis=0), abs=1e-6)


def test_a_step_that_nothing_survives_is_refused() -> None:
    with pytest.raises(InputError, match="yield of 'bond' must lie above 0"):
        scrap([Step(name="bond", added_usd=1.0, survives=0.0)])


@pytest.mark.parametrize("flow", ["known-good-die", "blind"])
@pytest.mark.parametrize("name", ["ascend-910b", "ascend-910c"])
def test_the_waterfall_of_a_card_adds_up_to_its_unit_cost(given: Given, flow: str, name: str) -> None:
    item = product(given, name)
    facts = {"wafer_usd": given["smic_n2.wafer_price_usd"], "gross_dies": np.full(given.draws, 80.0),
             "line_yield": given["smic_n2.line_yield"], "die_yield": np.linspace(.1, .9, given.draws)}
    steps = cost.waterfall(item, flow=flow, **facts)
    screened = np.full(given.draws, float(flow == "known-good-die"))
    unit = cost.unit_cost(item, screened=screened, **facts)
    assert steps.total_usd == pytest.approx(unit, rel=1e-12)
    assert np.all(steps.usd >= 0)
    assert steps.usd.shape == (len(cost.STEPS), given.draws)


@pytest.mark.parametrize(("dies", "price", "assembly", "other", "expected"), [
    (1, 16500, .95, 2630, .013415), (2, 28000, .75, 3590, .020103), (2, 15277.78, .75, 3590, .044482),
    (2, 15277.78, .95, 3590, .03204), (1, 6944.44, .95, 2630, .044111), (2, 8000, .75, 3590, .145228)])
def test_break_even_die_yields_of_record(dies: int, price: float, assembly: float, other: float,
                                         expected: float) -> None:
    deal = Deal(price_usd=price, wafer_usd=14000, gross_dies=80, die_yield=.4, other_usd=other, assembly_yield=assembly,
                dies=dies)
    assert break_even(deal, "die_yield") == pytest.approx(expected, abs=2e-6)


def test_blind_break_even_package_yields_and_prices_of_record() -> None:
    for price, expected in ((28000, .140714), (15277.78, .257891)):
        deal = Deal(price_usd=price, wafer_usd=14000, gross_dies=80, die_yield=1.0, other_usd=3590, assembly_yield=.5,
                    dies=2, blind=True)
        assert break_even(deal, "assembly_yield") == pytest.approx(expected, abs=2e-6)
    for share, price in ((.4, 9850), (.2, 19700)):
        deal = Deal(price_usd=1.0, wafer_usd=14000, gross_dies=80, die_yield=1.0, other_usd=3590, assembly_yield=share,
                    dies=2, blind=True)
        assert break_even(deal, "price_usd") == pytest.approx(price)


DEAL = Deal(price_usd=20000.0, wafer_usd=14000.0, gross_dies=80.0, die_yield=.45, other_usd=3500.0, assembly_yield=.85,
            dies=2, line_yield=.95, test_usd=20.0, board_usd=600.0, system_yield=.98, fixed_usd=1e9, packages=1e5)


@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("variable", cost.BREAK_EVEN)
def test_every_solved_variable_leaves_no_profit(variable: str, blind: bool) -> None:
    deal = replace(DEAL, blind=blind, price_usd=60000.0)
    solved = replace(deal, **{variable: float(break_even(deal, variable))})
    assert solved.profit_usd == pytest.approx(0, abs=1e-6)


def test_where_no_yield_pays_the_answer_is_infinite_and_unknown_variables_are_named() -> None:
    assert break_even(replace(DEAL, price_usd=500.0), "die_yield") == np.inf
    assert break_even(replace(DEAL, price_usd=500.0), "gross_dies") == np.inf
    with pytest.raises(InputError, match="did you mean 'die_yield'"):
        break_even(DEAL, "die_yeild")


@pytest.mark.parametrize(("one", "two", "wafer_usd", "expected"), [
    (1500, 3500, 9346, (1.2494, 2.6546)), (2500, 6000, 9346, (.9747, 2.1052)), (2500, 6000, 13500, (.9055, 2.0359)),
    (3500, 9000, 13500, (.6061, 1.4371))])
def test_fixed_cost_that_the_plan_of_2025_would_bear(one: float, two: float, wafer_usd: float,
                                                     expected: tuple[float, float]) -> None:
    sales = (Sale(dies=1, die_share=.6, price_usd=6944, assembly_yield=.97, other_usd=one),
             Sale(dies=2, die_share=.4, price_usd=15278, assembly_yield=.95, other_usd=two))
    for share, billions in zip((.2, .4), expected, strict=True):
        profit = cost.line_profit(16660.41, 78, share, sales, wafer_usd=wafer_usd)
        assert profit / 1e9 == pytest.approx(billions, abs=2e-4)
        back = cost.line_break_even_yield(16660.41, 78, sales, wafer_usd=wafer_usd, fixed_usd=profit)
        assert back == pytest.approx(share, rel=1e-12)


def test_a_die_that_earns_nothing_has_no_break_even() -> None:
    with pytest.raises(InfeasibleError, match="no yield breaks even"):
        worthless = Sale(dies=1, die_share=1.0, price_usd=10, assembly_yield=.9, other_usd=99)
        cost.line_break_even_yield(1000, 80, (worthless,), wafer_usd=1e4, fixed_usd=0)


@pytest.mark.parametrize(("wafer_usd", "expected"), [(9346, (292.0625, 584.125)), (14000, (437.5, 875.0))])
def test_foundry_price_of_a_good_die_of_record(wafer_usd: float, expected: tuple[float, float]) -> None:
    assert [cost.transfer_price(wafer_usd, 80, y) for y in (.4, .2)] == list(expected)


def test_expected_cost_is_smooth_in_yield() -> None:
    """A calculator that rounds bad dies gives $312.50 where the expectation is $310.87."""
    assert cost.transfer_price(10_000, 64, .5026) == pytest.approx(310.89, abs=.05)


def test_pitches_of_record() -> None:
    immersion = [patterning.minimum_pitch_nm(k, *patterning.IMMERSION) for k in (.25, .28, .30)]
    assert immersion == pytest.approx([71.4815, 80.0593, 85.7778], abs=1e-3)
    euv = [patterning.minimum_pitch_nm(k, *patterning.EUV) for k in (.3, .4)]
    assert euv == pytest.approx([24.5455, 32.7273], abs=1e-3)
    assert list(patterning.splits(np.array([80.0, 40.0, 30.0, 20.0]), 80.0)) == [1, 2, 3, 4]


def test_edge_failure_and_yield_of_record() -> None:
    failure = patterning.edge_failure(6.0, 1.5, np.array([0.0, 1.5]))
    assert failure == pytest.approx([6.334248e-05, .001350185], abs=1e-8)
    assert patterning.edge_placement_yield(6.0, 1.5, 1.0, 1e4) == pytest.approx(.204734, abs=2e-4)

    def failures(z: float) -> float:
        return math.exp(-z * z / 2) / math.sqrt(2 * math.pi) * float(patterning.edge_failure(6.0, 1.5, z))

    mean_p = quad(failures, -8, 8)[0]
    assert math.exp(-1e4 * mean_p) == pytest.approx(.00016, abs=5e-5)


def test_edge_yield_meets_adaptive_integration() -> None:
    def density(z: float) -> float:
        p = ndtr(-(5.5 - .8 * z) / 1.3) + ndtr(-(5.5 + .8 * z) / 1.3)
        return math.exp(-z * z / 2) / math.sqrt(2 * math.pi) * math.exp(-3000 * p)

    assert patterning.edge_placement_yield(5.5, 1.3, .8, 3000.0) == pytest.approx(quad(density, -8, 8)[0], abs=1e-6)


def test_queue_factor_and_scanner_limit_of_record() -> None:
    factors = patterning.cycle_time_factor(.95, np.array([1, 4, 10]))
    assert factors == pytest.approx([20.0, 5.475095, 2.655087], abs=1e-5)
    assert patterning.scanner_limit(10, 275, .8, 60) == pytest.approx(26766.667, abs=.01)


@pytest.mark.parametrize("name", patterning.OPTIONS)
def test_every_option_divides_the_pitch_it_pays_for(name: str) -> None:
    plain, cut = patterning.layer(name), patterning.layer(name, cuts=2)
    assert plain.exposures >= 1 and plain.loops >= 1 and plain.overlay_pairs >= 0
    assert cut.exposures >= plain.exposures
    assert plain.pitch_nm <= patterning.minimum_pitch_nm(.28, *patterning.IMMERSION) + 1e-9
    if name.startswith("le"):
        n = plain.exposures
        assert plain.overlay_pairs == n * (n - 1) // 2


def test_the_twin_with_euv_saves_days_and_overlay_and_shares_the_rest(given: Given) -> None:
    own, twin = (patterning.route(given, v) for v in ("n+2", "euv-twin"))
    assert np.all(twin.days < own.days)
    assert np.mean(twin.edge_yield >= own.edge_yield) > 0.95
    assert np.all(own.euv_exposures == 0)
    assert own.wafer_usd == pytest.approx(given["smic_n2.wafer_price_usd"], rel=1e-12)
    saved = own.patterning_usd - twin.patterning_usd
    assert own.wafer_usd - twin.wafer_usd == pytest.approx(saved, abs=1e-6)
    assert np.all(twin.d0_per_cm2 > 0) and np.all(twin.wafer_usd > 0)
    with pytest.raises(InputError, match="unknown process 'n\\+9'"):
        patterning.route(given, "n+9")


@settings(max_examples=60, deadline=None)
@draw(st.lists(st.floats(0.0, 1e5), min_size=1, max_size=9))
def test_cents_add_up_to_their_rounded_sum_and_move_no_step_by_a_cent_or_more(usd: list[float]) -> None:
    exact = np.array(usd)
    paid = cents(exact)
    assert round(paid.sum(), 2) == pytest.approx(round(exact.sum(), 2), abs=1e-6 + 0.005 * (exact.sum() > 1e6))
    assert np.all(np.abs(paid - exact) < 0.01 + 1e-9)


def test_even_parts_multiply_to_the_assembly_yield() -> None:
    for assembly, dies, stacks in ((0.75, 2, 8), (0.95, 1, 4), (1.0, 1, 0)):
        p = package.even_parts(assembly, dies, stacks)
        assert package.assembly_yield(bond=p.bond, dies=dies, substrate=p.substrate, stack=p.stack,
                                      stacks=stacks) == pytest.approx(assembly)
