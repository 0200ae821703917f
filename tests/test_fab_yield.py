"""Yield laws, definitions and harvest: values of record, theorems, and defects of peers that ours must not have."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import betainc

from chipcast.base.errors import InputError
from chipcast.fab import harvest
from chipcast.fab.defects import (
    DEFINITIONS,
    PAIRINGS,
    YIELD_LAWS,
    d0_of_yield,
    die_yield,
    implied_d0,
    implied_die_yield,
    layered_yield,
    mean_defects,
    negative_binomial,
    negative_binomial_slope,
    poisson,
    solve_decreasing,
    total_yield,
)
from chipcast.fab.harvest import at_least, bin_shares, bin_yield, implied_d0_of_bin

COLUMNS = [("poisson", 1), ("murphy", 1), ("rectangular", 1), ("negative-binomial", 5), ("negative-binomial", 3),
           ("negative-binomial", 2), ("seeds", 1), ("negative-binomial", .5), ("moore", 1)]
INF = math.inf


@pytest.mark.parametrize(("mean", "row"), [
    (1, (.36787944, .39957640, .43233236, .40187757, .421875, .44444444, .5, .57735027, .36787944)),
    (4, (.01831564, .06023151, .12495807, .05292215, .07871720, .11111111, .2, .33333333, .13533528))])
def test_laws_of_record(mean: float, row: tuple[float, ...]) -> None:
    for (law, alpha), expected in zip(COLUMNS, row, strict=True):
        assert YIELD_LAWS[law].forward(mean, alpha) == pytest.approx(expected, abs=1e-8), law


@pytest.mark.parametrize(("share", "row"), [
    (.2, (.241799, .285818, .372975, .285249, .319996, .371409, .600953, 1.802858, .38916)),
    (.4, (.137662, .150048, .167637, .151083, .160999, .174618, .225357, .394375, .126138)),
    (.5, (.104137, .110932, .119712, .111701, .11715, .124461, .150238, .225357, .072182))])
def test_implied_densities_of_record_at_665_mm2(share: float, row: tuple[float, ...]) -> None:
    for (law, alpha), expected in zip(COLUMNS, row, strict=True):
        assert d0_of_yield(share, 665.61, law=law, clustering=alpha) == pytest.approx(expected, abs=2e-6), law


def test_vowstar_die_yield_calculator_values() -> None:
    for law, alpha, expected in (("poisson", 1, .1964), ("murphy", 1, .243772), ("seeds", 1, .380575),
                                 ("negative-binomial", 2, .303963), ("negative-binomial", 3, .272456)):
        assert die_yield(813.8, .2, law=law, clustering=alpha) == pytest.approx(expected, abs=1e-6)


def test_chiplet_actuary_node_7_yields() -> None:
    for area, expected in ((814, .493118), (665.64, .558882), (456.25, .668701)):
        assert die_yield(area, .09, clustering=10.0) == pytest.approx(expected, abs=1e-6)


def test_amd_four_small_dies_at_59_percent_of_one_large() -> None:
    def ratio(d0: float, law: str, alpha: float) -> float:
        small, large = (float(die_yield(a, d0, law=law, clustering=alpha)) for a in (213, 777))
        return (4 / (280 * small)) / (1 / (70 * large))

    for law, alpha, expected in (("poisson", 1, .094), ("murphy", 1, .102), ("negative-binomial", 2, .121),
                                 ("negative-binomial", 1, .167)):
        assert ratio(expected, law, alpha) == pytest.approx(.59, abs=0.003), law


@pytest.mark.parametrize("law", YIELD_LAWS)
@settings(max_examples=40, deadline=None)
@given(mean=st.floats(1e-6, 50), alpha=st.floats(0.3, 20))
def test_every_law_is_a_share_that_falls_and_inverts(law: str, mean: float, alpha: float) -> None:
    entry = YIELD_LAWS[law]
    y = float(entry.forward(mean, alpha))
    assert 0 < y <= 1
    assert float(entry.forward(mean * 1.01, alpha)) < y or y < 1e-300
    assert float(entry.inverse(y, alpha)) == pytest.approx(mean, rel=1e-8, abs=1e-10)
    if entry.mean_one:
        assert y >= math.exp(-mean) * (1 - 1e-9)


@pytest.mark.parametrize("law", YIELD_LAWS)
def test_every_law_broadcasts_and_knows_zero(law: str) -> None:
    means = np.array([[0.0], [0.5], [2.0]])
    out = YIELD_LAWS[law].forward(means, np.array([1.0, 2.0, 5.0, 9.0]))
    assert np.broadcast_to(out, (3, 4)).shape == (3, 4)
    assert np.allclose(np.broadcast_to(out, (3, 4))[0], 1.0)


def test_negative_binomial_falls_in_alpha_to_poisson_and_holds_its_relatives() -> None:
    alphas = np.array([0.5, 1, 2, 5, 50, 5e7])
    values = negative_binomial(1.5, alphas)
    assert np.all(np.diff(values) < 0)
    assert values[-1] == pytest.approx(float(poisson(1.5)), rel=1e-6)
    assert negative_binomial(1.5, 1.0) == pytest.approx(float(YIELD_LAWS["seeds"].forward(1.5)), rel=1e-12)
    layers, per_layer = 30, 0.1
    assert YIELD_LAWS["bose-einstein"].forward(layers * per_layer, layers) == pytest.approx((1 + per_layer) ** -layers)


def test_the_slope_is_the_derivative() -> None:
    for mean, alpha in ((0.3, 0.7), (2.0, 2.0), (5.0, 4.0)):
        step = 1e-6
        rise = (negative_binomial(mean + step, alpha) - negative_binomial(mean - step, alpha)) / (2 * step)
        assert negative_binomial_slope(mean, alpha) == pytest.approx(float(rise), rel=1e-6)


def test_one_defect_per_cm2_on_one_cm2_is_one_defect_by_every_unit_path() -> None:
    """SiliconCompiler 0.38.11 converts twice: 814 mm2 at 0.2 gave 0.984 there; the truth is 0.196."""
    from chipcast.base.units import convert

    assert die_yield(100.0, 1.0, law="poisson") == pytest.approx(math.exp(-1), rel=1e-15)
    area, density = convert(1, "cm2", "mm2"), convert(0.01, "1/mm2", "1/cm2")
    assert mean_defects(area, density) == pytest.approx(1.0, rel=1e-15)
    assert die_yield(814, 0.2, law="poisson") == pytest.approx(0.196, abs=5e-4)


def test_bose_einstein_density_is_per_layer() -> None:
    """A density of 0.1 per layer on 30 layers leaves nothing of a large die."""
    assert die_yield(665.6, 30 * 0.1, law="bose-einstein", clustering=30) == pytest.approx(2e-7, rel=0.3)


@pytest.mark.parametrize(("definition", "assembly", "pairing", "p", "d0_poisson", "d0_nb2", "wafers"), [
    ("die.any", None, "independent", .4, .1377, .1746, 16244),
    ("through", .95, "independent", .4211, .13, .1626, 15432),
    ("through", .75, "independent", .5333, .0944, .111, 13499),
    ("blind", .95, "independent", .6489, .065, .0725, 12208),
    ("blind", .95, "wafer", .6195, .065, .0813, 12491), ("blind", .75, "independent", .7303, .0472, .0511, 11544),
    ("blind", .75, "wafer", .7126, .0472, .0555, 11676)])
def test_forty_percent_by_reading(definition: str, assembly: float | None, pairing: str, p: float, d0_poisson: float,
                                  d0_nb2: float, wafers: float) -> None:
    die = implied_die_yield(.4, definition, dies=2, assembly=assembly, pairing=pairing, clustering=2.0)
    assert die == pytest.approx(p, abs=1e-4)
    for law, expected in (("poisson", d0_poisson), ("negative-binomial", d0_nb2)):
        assert implied_d0(.4, definition, die_area_mm2=665.61, dies=2, assembly=assembly, pairing=pairing, law=law,
                          clustering=2.0) == pytest.approx(expected, abs=1e-4)
    y_a = assembly or 0.95
    both = die**2 if pairing == "independent" else float(negative_binomial(
        2 * YIELD_LAWS["negative-binomial"].inverse(die, 2.0), 2.0))
    # A tested package burns 2/(p Y_a) raw dies, a blind one 2/(E[p^2] Y_a).
    need = 200_000 / (both * y_a) if definition == "blind" else 200_000 / (die * y_a)
    assert (need + 300_000 / (0.97 * die)) / 80 == pytest.approx(wafers, abs=2)


def test_phones_and_accelerators_agree_on_one_density() -> None:
    assert die_yield(107, .14, law="poisson") == pytest.approx(.86, abs=.005)
    assert die_yield(665.61, .14, law="poisson") == pytest.approx(.40, abs=.01)


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_every_definition_gives_a_die_yield_or_says_why_not(definition: str) -> None:
    if definition in ("line", "assembly"):
        with pytest.raises(InputError, match="says nothing about defects"):
            implied_die_yield(.4, definition, dies=2, assembly=.9)
        return
    die = implied_die_yield(np.array([.1, .4]), definition, dies=2, assembly=.9)
    assert np.all((np.asarray(die) >= [.1, .4]) & (np.asarray(die) <= 1))
    if DEFINITIONS[definition].needs_assembly:
        with pytest.raises(InputError, match="give the assembly yield"):
            implied_die_yield(.4, definition, dies=2)


def test_wafer_mates_need_fewer_defects_explained_than_strangers() -> None:
    independent, wafer = (implied_die_yield(.4, "blind", dies=2, assembly=.95, pairing=p) for p in PAIRINGS)
    assert wafer < independent
    assert implied_die_yield(.4, "blind", dies=1, assembly=.95, pairing="wafer") == pytest.approx(.4 / .95)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: die_yield(-3.0, .1), "die_area_mm2 must be above 0"),
    (lambda: die_yield(100, -.1), "d0_per_cm2 must not be below 0"),
    (lambda: die_yield(100, .1, clustering=0), "clustering must be above 0"),
    (lambda: die_yield(100, .1, law="poison"), "did you mean 'poisson'"),
    (lambda: d0_of_yield(0.0, 100), "yield must lie above 0 and not above 1"),
    (lambda: d0_of_yield(1.2, 100), "yield must lie above 0 and not above 1"),
    (lambda: implied_die_yield(.4, "blind", assembly=.3, dies=2), "not exceed the assembly yield"),
    (lambda: implied_die_yield(.4, "blind", assembly=.9, dies=2, pairing="lot"), "unknown pairing 'lot'"),
    (lambda: implied_die_yield(.4, "blid", assembly=.9), "did you mean 'blind'")])
def test_input_that_would_be_silently_wrong_is_refused(call: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()  # type: ignore[operator]


def test_layers_under_one_multiplier_beat_layers_of_their_own() -> None:
    together = layered_yield(600.0, np.full(10, .02), np.full(10, .64), clustering=2.0)
    apart = negative_binomial(mean_defects(600.0, .02, critical_share=.64), 2.0) ** 10
    assert together > apart
    assert total_yield(line=.9, random=together) == pytest.approx(.9 * together)


def test_the_root_finder_meets_its_function_at_each_element_alone() -> None:
    goals = np.array([.9, .5, 1e-6])
    roots = solve_decreasing(lambda x: np.exp(-x), goals)
    assert roots == pytest.approx(-np.log(goals), rel=1e-12)
    assert roots[1] == solve_decreasing(lambda x: np.exp(-x), .5)


H1 = {INF: (.60653066, .60652598, .55367088, .36787944), 5: (.62092132, .62090297, .57101416, .40187757),
      2: (.64, .63995176, .59408735, .44444444), 1: (.66666667, .66656762, .62626263, .5)}


@pytest.mark.parametrize("alpha", H1)
def test_harvest_of_record(alpha: float) -> None:
    for need, expected in zip((0, 20, 24, 25), H1[alpha], strict=True):
        assert at_least(25, need, .5 / 25, .5, alpha) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("need", "repair", "core", "poisson_d0", "nb2_d0"), [
    (25, 0, .5, .13766, .17462), (24, 0, .5, .22161, .2792), (20, 0, .5, .27526, .34863), (20, .5, .5, .54666, .68203),
    (24, .5, .5, .33643, .42559), (24, 0, .4, .20321, .25605), (24, 0, .6, .2401, .30303)])
def test_density_behind_forty_percent_by_bin(need: int, repair: float, core: float, poisson_d0: float,
                                             nb2_d0: float) -> None:
    for alpha, expected in ((INF, poisson_d0), (2.0, nb2_d0)):
        assert implied_d0_of_bin(.4, need, cores=25, die_area_mm2=665.61, core_area_share=core,
                                 uncore_repair_share=repair, alpha=alpha) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize(("core", "repair", "expected"), [
    (.4, 0, .64432), (.5, 0, .69329), (.6, 0, .74599), (.4, .5, .8027), (.5, .5, .83264), (.6, .5, .86371)])
def test_h100_like_harvest_of_record(core: float, repair: float, expected: float) -> None:
    assert bin_yield(132, cores=144, die_area_mm2=814, d0_per_cm2=.09, core_area_share=core,
                     uncore_repair_share=repair, alpha=INF) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("core", "alpha", "expected"), [
    (.4, INF, (.33043, .38072)), (.5, INF, (.36356, .44717)), (.6, INF, (.39691, .52516)), (.5, 2, (.31242, .38139))])
def test_counting_change_alone_turns_twenty_into_up_to_fifty(core: float, alpha: float,
                                                             expected: tuple[float, float]) -> None:
    d0 = implied_d0_of_bin(.2, 25, cores=25, die_area_mm2=665.61, core_area_share=core, alpha=alpha)
    for need, value in zip((24, 20), expected, strict=True):
        assert bin_yield(need, cores=25, die_area_mm2=665.61, d0_per_cm2=d0, core_area_share=core,
                         alpha=alpha) == pytest.approx(value, abs=2e-5)


@settings(max_examples=30, deadline=None)
@given(cores=st.integers(2, 40), mean=st.floats(.01, 3), fixed=st.floats(0, 2), alpha=st.floats(.4, 20))
def test_harvest_is_bounded_falls_in_need_and_holds_the_law_at_its_ends(cores: int, mean: float, fixed: float,
                                                                        alpha: float) -> None:
    core = mean / cores
    values = [float(at_least(cores, m, core, fixed, alpha)) for m in range(cores + 1)]
    assert all(0 <= v <= 1 for v in values)
    assert all(b <= a + 1e-7 for a, b in pairwise(values))
    assert values[cores] == pytest.approx(float(negative_binomial(mean + fixed, alpha)), rel=1e-6)
    assert values[0] == pytest.approx(float(negative_binomial(fixed, alpha)), rel=1e-9)


def test_added_spares_never_hurt_and_zero_spares_change_nothing() -> None:
    """google/chiplets-cost-model adds to the yield with zero spares and reaches 1.325."""
    for alpha in (1.0, 2.0, INF):
        values = [float(at_least(20 + spare, 20, .05, .3, alpha)) for spare in range(8)]
        assert all(b >= a for a, b in pairwise(values))
        law = float(np.exp(-1.3)) if alpha == INF else float(negative_binomial(20 * .05 + .3, alpha))
        assert values[0] == pytest.approx(law, rel=1e-12)


def test_quadrature_and_the_exact_sum_are_two_roads_to_one_value() -> None:
    for alpha in (.5, 1.0, 2.0, 5.0):
        exact = float(harvest._exact_sum(25, 20, .1, .5, alpha))
        assert float(harvest._quadrature(25, 20, .1, .5, alpha)) == pytest.approx(exact, abs=1e-9)
        spread = harvest._quadrature(25, 20, np.array([.1, .1]), .5, np.array([alpha, alpha + .01]))
        assert spread[0] == pytest.approx(exact, abs=5e-8)


def test_harvest_meets_adaptive_integration() -> None:
    alpha, core, fixed = 1.7, .08, .6

    def density(g: float) -> float:
        weight = alpha**alpha / math.gamma(alpha) * g ** (alpha - 1) * math.exp(-alpha * g)
        return weight * math.exp(-g * fixed) * betainc(132, 13, math.exp(-g * core))

    value = quad(density, 0, 40, limit=200, epsabs=1e-12)[0]
    assert at_least(144, 132, core, fixed, alpha) == pytest.approx(value, abs=1e-8)


def test_a_binomial_on_the_mean_core_is_wrong_under_clustering_and_right_for_poisson() -> None:
    core = .08
    for alpha, apart in ((INF, False), (1.0, True)):
        naive = float(betainc(20, 6, at_least(1, 1, core, 0.0, alpha)))
        true = float(at_least(25, 20, core, 0.0, alpha))
        assert (abs(naive - true) > 0.02) == apart


def test_bins_and_scrap_sum_to_one_and_bins_must_descend() -> None:
    shares, scrap = bin_shares((24, 20), cores=25, die_area_mm2=665.61, d0_per_cm2=np.array([.1, .3, .9]))
    assert np.sum(shares, axis=0) + scrap == pytest.approx(np.ones(3), abs=1e-12)
    with pytest.raises(InputError, match="from high to low"):
        bin_shares((20, 24), cores=25, die_area_mm2=665.61, d0_per_cm2=.1)
    with pytest.raises(InputError, match="need must lie from 0 to the 25 cores"):
        at_least(25, 26, .1, .1, 2.0)


def test_harvest_agrees_with_drawn_dies() -> None:
    rng = np.random.default_rng(7)
    n, alpha, core, fixed = 400_000, 2.0, .06, .7
    g = rng.gamma(alpha, 1 / alpha, n)
    good = (rng.poisson(g * fixed) == 0) & (rng.binomial(25, np.exp(-g * core)) >= 20)
    expected = float(at_least(25, 20, core, fixed, alpha))
    assert abs(good.mean() - expected) < 4 * math.sqrt(expected * (1 - expected) / n)


@pytest.mark.parametrize("law", YIELD_LAWS)
def test_a_perfect_yield_asks_for_zero_defects_and_not_for_minus_zero(law: str) -> None:
    found = float(d0_of_yield(1.0, 100, law=law))
    assert found == pytest.approx(0, abs=1e-15)
    assert math.copysign(1, found) == 1
