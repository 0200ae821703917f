"""Wafer maps: closed forms, Monte Carlo within its error, and pictures that are draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.fab import maps
from chipcast.fab.alpha import by_die_size
from chipcast.fab.defects import negative_binomial
from chipcast.fab.gallery import draw_gallery, gallery
from chipcast.fab.harvest import bin_yield
from chipcast.fab.maps import CLUSTERS, Mixing, blocks, defect_maps, wafer_yields
from chipcast.fab.phase import EdgeProfile, best_good_phase, good_dies
from chipcast.fab.picture import placement_svg, wafer_svg
from chipcast.fab.shots import shots
from chipcast.fab.spatial import (
    alpha_from_windows,
    effective_alpha,
    radial_means,
    thomas_yield,
    wafer_yield_sd,
)
from chipcast.fab.wafer import Placement, Wafer, phase_of, place

D0 = .16
MEAN = D0 * 25.8**2 / 100


@pytest.fixture(scope="module")
def placed() -> Placement:
    w = Wafer(die_width_mm=25.8, die_height_mm=25.8)
    return place(w, phase_of(w, "best"))


@pytest.mark.parametrize(("w", "h", "children", "sigma", "expected", "alpha"), [
    (25.8, 25.8, 2, 2, .585687, .4284), (25.8, 25.8, 5, 6, .652768, .2638), (25.8, 25.8, 5, 20, .439946, 1.644),
    (25.8, 25.8, 20, 20, .615901, .3434), (14.6, 31.25, 5, 6, .715382, .2396), (10.344, 10.344, 2, 2, .902249, .1089),
    (10.344, 10.344, 5, 20, .849861, 1.6079), (10.344, 10.344, 20, 20, .868279, .3786)])
def test_round_clusters_of_record_and_their_alpha(w: float, h: float, children: float, sigma: float, expected: float,
                                                  alpha: float) -> None:
    y = thomas_yield(w, h, D0, children=children, sigma_mm=sigma)
    assert y == pytest.approx(expected, abs=2e-6)
    assert effective_alpha(y, D0 * w * h / 100) == pytest.approx(alpha, abs=2e-3)


def test_round_clusters_tend_to_poisson_and_to_points() -> None:
    assert thomas_yield(25.8, 25.8, D0, children=1e-6, sigma_mm=5) == pytest.approx(math.exp(-MEAN), rel=1e-5)
    point = math.exp(-D0 / 4 * 6.6564 * (1 - math.exp(-4)))
    assert thomas_yield(25.8, 25.8, D0, children=4, sigma_mm=1e-4) == pytest.approx(point, rel=1e-4)


def test_alpha_is_no_constant_of_the_process() -> None:
    large, small = (effective_alpha(thomas_yield(a, a, D0, children=5, sigma_mm=6), D0 * a * a / 100)
                    for a in (25.8, 10.344))
    assert large > 1.5 * small
    with pytest.raises(InputError, match="no clustering explains it"):
        effective_alpha(.3, MEAN)


@pytest.mark.parametrize(("y", "pair", "sizes", "expected"), [
    (.3447195814, .3447195814**2, (82,), .0524855371), (.4257868380, .4257868380**2, (1,) * 82, .0546041639),
    (.4257868380, float(negative_binomial(2 * MEAN, 2.0)), (4,) * 14 + (3,) * 2 + (2,) * 8 + (1,) * 4, .0673248095),
    (.4257868380, float(negative_binomial(2 * MEAN, 2.0)), (82,), .2356735873)])
def test_spread_of_wafer_yield_of_record(y: float, pair: float, sizes: tuple[int, ...], expected: float) -> None:
    assert wafer_yield_sd(y, pair, 82, sizes) == pytest.approx(expected, abs=1e-6)


def test_radial_profile_of_record() -> None:
    w = Wafer(die_width_mm=25.8, die_height_mm=25.8)
    corner = place(w, phase_of(w, "corner"))
    y = np.exp(-radial_means(corner.x_mm, corner.y_mm, 25.8, 25.8, D0, rise=3, power=4))
    assert corner.dies == 80
    assert [y.mean(), y.min(), y.max()] == pytest.approx([.443432, .24465, .586612], abs=1e-5)


def test_the_phase_with_most_dies_is_not_the_one_with_the_best_yield_when_the_edge_is_bad(placed: Placement) -> None:
    corner = place(placed.wafer, phase_of(placed.wafer, "corner"))
    good = [np.exp(-radial_means(p.x_mm, p.y_mm, 25.8, 25.8, D0, rise=3, power=4)) for p in (placed, corner)]
    assert good[0].sum() > good[1].sum()
    assert good[0].mean() < good[1].mean()


def test_a_phase_for_good_dies_is_never_below_the_phase_with_most_dies(placed: Placement) -> None:
    """The 82-die phase of a 25.8 mm square gives 35.9 good dies under a bad rim, the 80-die one 35.5."""
    profile = EdgeProfile(d0_per_cm2=D0, rise=3.0, power=4.0)
    corner = place(placed.wafer, phase_of(placed.wafer, "corner"))
    assert good_dies(placed, profile) == pytest.approx(35.9, abs=0.05)
    assert good_dies(corner, profile) == pytest.approx(35.5, abs=0.05)
    for rise in (0.0, 3.0, 30.0):
        bad = EdgeProfile(d0_per_cm2=D0, rise=rise, power=4.0)
        best, phase = best_good_phase(placed.wafer, bad)
        tried = [good_dies(place(placed.wafer, (x, y)), bad) for x in np.linspace(0, 12.9, 9)
                 for y in np.linspace(0, 12.9, 9)]
        assert best >= max(*tried, good_dies(placed, bad)) - 1e-9
        assert best == pytest.approx(good_dies(place(placed.wafer, phase), bad))
    flat, _ = best_good_phase(placed.wafer, EdgeProfile(d0_per_cm2=D0, rise=0.0, power=4.0))
    assert flat == pytest.approx(82 * np.exp(-D0 * 25.8**2 / 100)), "with a flat density complete dies decide"
    with pytest.raises(InputError, match="edge_power must be above 0"):
        best_good_phase(placed.wafer, EdgeProfile(d0_per_cm2=D0, rise=1.0, power=0.0))


def test_dies_of_other_sizes_see_another_alpha() -> None:
    """Round clusters of record, 5 children, 6 mm: .891222, alpha .1542 for a phone; .652768, .26 for a large die."""
    phone, large = by_die_size((10.344**2, 25.8**2), D0, CLUSTERS["thomas"](2.0))
    assert (phone.share, large.share) == (pytest.approx(.891222, abs=2e-6), pytest.approx(.652768, abs=2e-6))
    assert phone.alpha == pytest.approx(.1542, abs=.002)
    assert large.alpha == pytest.approx(.26, abs=.005)
    per_die = by_die_size((300.0,), D0, CLUSTERS["die"](2.0))[0]
    assert per_die.alpha == pytest.approx(2.0, rel=0.1)
    assert by_die_size((300.0,), D0, CLUSTERS["none"](2.0))[0].alpha > 50


MIXES = ("none", "die", "block", "wafer", "lot", "radial", "thomas", "stack")


@pytest.mark.parametrize("name", MIXES)
def test_every_way_to_cluster_meets_its_closed_form_within_four_errors(placed: Placement, name: str) -> None:
    wafers = 20_000 if name != "thomas" else 12_000
    mixing = CLUSTERS[name](2.0)
    y = wafer_yields(placed, D0, mixing, wafers=wafers)
    nb, pair = float(negative_binomial(MEAN, 2.0)), float(negative_binomial(2 * MEAN, 2.0))
    sizes = np.bincount(blocks(placed, (2, 2)))
    if name == "none":
        expected, sd = math.exp(-MEAN), wafer_yield_sd(math.exp(-MEAN), math.exp(-2 * MEAN), 82, (82,))
    elif name == "die":
        expected, sd = nb, wafer_yield_sd(nb, nb**2, 82, (1,) * 82)
    elif name == "block":
        expected, sd = nb, wafer_yield_sd(nb, pair, 82, tuple(sizes))
    elif name in ("wafer", "lot"):
        expected, sd = nb, wafer_yield_sd(nb, pair, 82, (82,))
    elif name == "radial":
        die = np.exp(-radial_means(placed.x_mm, placed.y_mm, 25.8, 25.8, D0, rise=3, power=4))
        expected, sd = die.mean(), np.sqrt((die * (1 - die)).sum()) / 82
    elif name == "thomas":
        expected, sd = thomas_yield(25.8, 25.8, D0, children=5, sigma_mm=6), y.std()
    else:
        expected, sd = nb, y.std()
    samples = wafers / 25 if name == "lot" else wafers
    if name == "stack":
        samples = wafers / 25
        assert abs(y.mean() - nb) < .03  # three levels of one total variance are close to, not at, one gamma
    else:
        assert abs(y.mean() - expected) < 4 * sd / math.sqrt(samples)
        assert y.std() == pytest.approx(sd, rel=.12 if name == "lot" else .05)
    counts = np.concatenate(list(defect_maps(placed, D0, mixing, wafers=6000)), axis=1)
    assert np.array_equal(np.count_nonzero(counts == 0, axis=0) / 82, y[:6000])  # one set of draws for both
    inside = (radial_means(placed.x_mm, placed.y_mm, 25.8, 25.8, D0, rise=3, power=4).mean()
              if name == "radial" else MEAN)
    per_wafer = counts.mean(axis=0)
    groups = per_wafer[:6000].reshape(-1, 25).mean(axis=1)
    assert abs(counts.mean() - inside) < 4.5 * groups.std() / math.sqrt(len(groups)) + 1e-9


def test_the_same_seed_gives_the_same_map_and_more_wafers_move_none(placed: Placement) -> None:
    for name in ("block", "thomas"):
        mixing = CLUSTERS[name](2.0)
        short, longer = (wafer_yields(placed, D0, mixing, wafers=n, seed=5) for n in (300, 5000))
        assert np.array_equal(short, longer[:300])
        assert not np.array_equal(short, wafer_yields(placed, D0, mixing, wafers=300, seed=6))


def test_monte_carlo_error_falls_like_one_over_root_n(placed: Placement) -> None:
    y = wafer_yields(placed, D0, CLUSTERS["block"](2.0), wafers=262_144)
    truth = float(negative_binomial(MEAN, 2.0))
    sizes = (64, 256, 1024, 4096)
    errors = [np.sqrt(np.mean((y[: n * (len(y) // n)].reshape(-1, n).mean(axis=1) - truth) ** 2)) for n in sizes]
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope == pytest.approx(-.5, abs=.08)


def test_bins_of_drawn_defects_meet_the_harvest_formula(placed: Placement) -> None:
    found = draw_gallery(placed, .376, clusters="die", alpha=2.0, wafers=8192, core_area_share=.5,
                         uncore_repair_share=.2)
    n = 8192 * 82
    for needs, share in (((24,), found.shares[0]), ((24, 20), found.shares.sum())):
        expected = float(bin_yield(needs[-1], cores=25, die_area_mm2=25.8**2, d0_per_cm2=.376, core_area_share=.5,
                                   uncore_repair_share=.2, alpha=2.0))
        assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / n)
    assert found.sellable.mean() == pytest.approx(found.shares.sum(), abs=1e-12)


def test_the_pictures_are_wafers_of_the_sample(placed: Placement) -> None:
    found = draw_gallery(placed, .3, clusters="block", wafers=5000)
    for picture, rank in ((found.typical, .5), (found.poor, .05)):
        assert picture.sellable / 82 == found.sellable[picture.index]
        assert np.mean(found.sellable <= found.sellable[picture.index]) >= rank - .02
        assert np.count_nonzero(picture.defects == 0) / 82 == found.perfect[picture.index]
        assert np.all(picture.bins[picture.defects == 0] == 0)
    assert found.poor.sellable < found.typical.sellable


def test_the_report_s_wafers_come_from_the_run(given: Given) -> None:
    found = gallery(given, wafers=2000)
    assert found.placement.dies == len(found.typical.bins) == len(found.poor.bins)
    assert 76 <= found.placement.dies <= 87
    svg = wafer_svg(found.placement, found.typical.bins, found.typical.defects, found.bin_names, "t", found.fields)
    assert svg.count("<title>") == found.placement.dies
    assert f"24 cores: {np.count_nonzero(found.typical.bins == 0)}" in svg


def test_the_picture_of_a_placement_shows_every_die_and_field(placed: Placement) -> None:
    fields = shots(placed)
    svg = placement_svg(placed, fields)
    assert svg.count("<title>") == 82
    assert svg.count('stroke="#555"') == fields.count


def test_windows_find_the_cluster_parameter_that_made_a_map(placed: Placement) -> None:
    one, four = float(negative_binomial(MEAN, 2.0)), float(negative_binomial(4 * MEAN, 2.0))
    assert alpha_from_windows(one, four, 4) == (pytest.approx(MEAN, rel=1e-9), pytest.approx(2.0, rel=1e-9))
    counts = next(defect_maps(placed, D0, Mixing(block=2.0), wafers=4096))
    number = blocks(placed, (2, 2))
    full = [np.flatnonzero(number == b) for b in np.flatnonzero(np.bincount(number) == 4)]
    windows = np.mean([np.all(counts[k] == 0, axis=0).mean() for k in full])
    mean, alpha = alpha_from_windows(float((counts == 0).mean()), float(windows), 4)
    assert (mean, alpha) == (pytest.approx(MEAN, rel=.05), pytest.approx(2.0, rel=.1))
    with pytest.raises(InputError, match="shows no clustering"):
        alpha_from_windows(.5, .0625, 4)


def test_grades_have_mean_one_and_the_spread_of_their_gamma() -> None:
    for alpha in (.5, 2.0, 20.0):
        g = maps.gamma_grades(alpha)
        assert g.mean() == pytest.approx(1, abs=1e-12)
        assert g.var() == pytest.approx(1 / alpha, rel=3e-3)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: Mixing(block=0.0), "clustering must be above 0"),
    (lambda: Mixing(children=5.0), "sigma_mm must be above 0"),
    (lambda: thomas_yield(20, 20, .1, children=0, sigma_mm=2), "children must be above 0"),
    (lambda: wafer_yield_sd(.5, .3, 10, (4, 4)), "sum to the 10 dies")])
def test_clusters_that_cannot_be_are_refused(call: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()  # type: ignore[operator]


def test_a_hopeless_density_sells_nothing(placed: Placement) -> None:
    for name in ("none", "block"):
        found = draw_gallery(placed, 500.0, clusters=name, alpha=50.0, wafers=20)
        assert found.shares.sum() == 0
        assert found.perfect.sum() == 0
