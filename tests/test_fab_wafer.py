"""Gross dies: exact counts, their theorems, and what other calculators say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chipcast.base.errors import InputError
from chipcast.fab.shots import shots
from chipcast.fab.wafer import (
    APPROXIMATIONS,
    Wafer,
    approximate,
    best_gross_dies,
    best_phase,
    dies_per_field,
    gross_dies,
    gross_dies_by_draw,
    mean_gross_dies,
    phase_of,
    place,
)

BEST = [  # width, height, then counts at (edge, scribe) = (3, .1) (5, .1) (3, .2) (5, .2) (.1, .13)
    (28.5307, 28.5307, 68, 64, 68, 63, 69), (25.8, 25.8, 82, 82, 82, 78, 89), (21.32, 31.22, 85, 81, 83, 80, 87),
    (21.3, 31.25, 85, 80, 83, 80, 87), (26, 31.8, 66, 63, 65, 63, 69), (21.354, 21.354, 125, 121, 124, 121, 129),
    (14.6, 31.25, 123, 120, 123, 118, 129), (10.344, 10.344, 573, 557, 563, 553, 600),
    (7, 10.6, 834, 810, 813, 794, 863), (5, 5, 2507, 2438, 2412, 2347, 2586),
]
RECIPES = [(3, .1), (5, .1), (3, .2), (5, .2), (.1, .13)]

sizes = st.floats(6, 33)
edges = st.floats(0, 8)
streets = st.floats(0, 0.5)


def wafer(w: float, h: float, edge: float = 3.0, scribe: float = 0.1, **more: float) -> Wafer:
    return Wafer(die_width_mm=w, die_height_mm=h, edge_mm=edge, scribe_mm=scribe, **more)


def rectangles(w: Wafer, phase: tuple[float, float]) -> int:
    """Count dies by walking over rectangles, one at a time: the independent road."""
    count = 0
    for i in range(-200, 201):
        for j in range(-200, 201):
            x0 = i * w.pitch_x_mm - phase[0] - w.die_width_mm / 2
            y0 = j * w.pitch_y_mm - phase[1] - w.die_height_mm / 2
            if abs(x0) > 160 or abs(y0) > 160:
                continue
            corners = [(x0 + a, y0 + b) for a in (0, w.die_width_mm) for b in (0, w.die_height_mm)]
            if all(math.hypot(x, y) <= w.radius_mm + 1e-9 for x, y in corners) and \
                    y0 >= -w.radius_mm + w.notch_mm - 1e-9:
                count += 1
    return count


@pytest.mark.parametrize("case", BEST, ids=lambda c: f"{c[0]}x{c[1]}")
def test_best_phase_counts_of_record(case: tuple[float, ...]) -> None:
    for (edge, scribe), expected in zip(RECIPES, case[2:], strict=True):
        assert gross_dies(wafer(case[0], case[1], edge, scribe)) == expected


def test_the_smallest_die_of_record() -> None:
    assert gross_dies(wafer(2, 2)) == 15153


@pytest.mark.parametrize(("w", "h", "edge", "scribe", "centre", "corner"), [
    (25.8, 25.8, 3, .1, 73, 80), (25.8, 25.8, 5, .1, 73, 76), (25.8, 25.8, 3, .2, 73, 80), (25.8, 25.8, 5, .2, 73, 76),
    (21.32, 31.22, 3, .1, 85, 80), (21.32, 31.22, 5, .1, 77, 80), (21.32, 31.22, 3, .2, 81, 80)])
def test_given_phases_of_record(w: float, h: float, edge: float, scribe: float, centre: int, corner: int) -> None:
    assert gross_dies(wafer(w, h, edge, scribe), "center") == centre
    assert gross_dies(wafer(w, h, edge, scribe), "corner") == corner


@pytest.mark.parametrize(("w", "h", "edge", "scribe", "mean"), [
    (25.8, 25.8, 3, .1, 79.6074), (21.32, 31.22, 3, .1, 79.1926), (28.5307, 28.5307, 5, .2, 60.9906),
    (21.354, 21.354, 3, .1, 121.2268), (14.6, 31.25, 5, .1, 115.5076), (7, 10.6, 5, .2, 784.7617),
    (5, 5, 3, .1, 2497.9553)])
def test_mean_over_phases_of_record(w: float, h: float, edge: float, scribe: float, mean: float) -> None:
    assert mean_gross_dies(w, h, edge, scribe) == pytest.approx(mean, abs=1e-4)


def test_the_mean_over_phases_is_met_by_a_regular_sample_of_phases() -> None:
    w = wafer(25.8, 25.8)
    step = w.pitch_x_mm / 60
    counts = [place(w, (a * step, b * step)).dies for a in range(60) for b in range(60)]
    assert np.mean(counts) == pytest.approx(mean_gross_dies(25.8, 25.8, 3, .1), abs=0.05)
    assert max(counts) <= 82
    assert (min(counts), max(counts)) == (73, 82)


@pytest.mark.parametrize("notch", [5.0, 30.0, 160.0, 200.0])
def test_a_strip_kept_free_lowers_the_mean_as_a_regular_sample_of_phases_says(notch: float) -> None:
    w = Wafer(die_width_mm=20, die_height_mm=17, notch_mm=notch)
    counts = [place(w, ((a + .5) * w.pitch_x_mm / 60, (b + .5) * w.pitch_y_mm / 60)).dies
              for a in range(60) for b in range(60)]
    mean = mean_gross_dies(20, 17, 3, .1, notch_mm=notch)
    assert np.mean(counts) == pytest.approx(mean, abs=0.1)
    assert mean < mean_gross_dies(20, 17, 3, .1)
    assert mean_gross_dies(20, 17, 3, .1, notch_mm=290) == 0


@settings(max_examples=25, deadline=None)
@given(w=sizes, h=sizes, edge=edges, scribe=streets, u=st.floats(0, 1), v=st.floats(0, 1))
def test_no_phase_beats_the_best_and_the_wafer_is_never_overfull(w: float, h: float, edge: float, scribe: float,
                                                                 u: float, v: float) -> None:
    a = wafer(w, h, edge, scribe)
    best, where = best_phase(a)
    assert place(a, where).dies == best
    assert place(a, (u * a.pitch_x_mm, v * a.pitch_y_mm)).dies <= best
    assert best * w * h <= math.pi * a.radius_mm**2
    assert best >= math.floor(mean_gross_dies(w, h, edge, scribe))


@settings(max_examples=25, deadline=None)
@given(w=sizes, h=sizes, edge=edges, scribe=streets)
def test_turning_the_die_changes_nothing(w: float, h: float, edge: float, scribe: float) -> None:
    assert gross_dies(wafer(w, h, edge, scribe)) == gross_dies(wafer(h, w, edge, scribe))


@settings(max_examples=25, deadline=None)
@given(w=sizes, h=sizes, edge=st.floats(0, 6), scribe=st.floats(0, 0.4), more=st.floats(0.01, 2))
def test_a_wider_edge_or_street_never_adds_dies(w: float, h: float, edge: float, scribe: float, more: float) -> None:
    base = gross_dies(wafer(w, h, edge, scribe))
    assert gross_dies(wafer(w, h, edge + more, scribe)) <= base
    assert gross_dies(wafer(w, h, edge, scribe + more / 10)) <= base


@settings(max_examples=8, deadline=None)
@given(w=st.floats(12, 33), h=st.floats(12, 33), u=st.floats(-1, 1), v=st.floats(-1, 1),
       notch=st.sampled_from([0.0, 2.0, 9.0]))
def test_rows_agree_with_a_list_of_rectangles(w: float, h: float, u: float, v: float, notch: float) -> None:
    a = wafer(w, h, notch_mm=notch)
    phase = (u * a.pitch_x_mm, v * a.pitch_y_mm)
    assert place(a, phase).dies == rectangles(a, phase)


@settings(max_examples=15, deadline=None)
@given(w=st.floats(15, 33), h=st.floats(15, 33), notch=st.floats(0.5, 15), u=st.floats(0, 1), v=st.floats(0, 1))
def test_with_a_notch_no_phase_beats_the_best_either(w: float, h: float, notch: float, u: float, v: float) -> None:
    a = wafer(w, h, notch_mm=notch)
    best, where = best_phase(a)
    assert place(a, where).dies == best
    assert best <= gross_dies(wafer(w, h))
    for flip in (1, -1):
        assert place(a, (u * a.pitch_x_mm / 2, flip * v * a.pitch_y_mm / 2)).dies <= best


def test_free_rows_are_an_upper_bound_of_a_grid() -> None:
    a = wafer(25.8, 25.8)
    best_free = 0
    for y0 in np.linspace(0, a.pitch_y_mm, 200):
        total = 0
        for j in range(-8, 9):
            low = j * a.pitch_y_mm + y0
            far = max(abs(low), abs(low + a.die_height_mm))
            if far < a.radius_mm:
                chord = 2 * math.sqrt(a.radius_mm**2 - far**2)
                total += math.floor((chord + a.scribe_mm) / a.pitch_x_mm)
        best_free = max(best_free, total)
    assert best_free >= gross_dies(a)


def test_the_textbook_form_loses_a_tenth_of_large_dies_and_the_fit_stays_within_three_percent() -> None:
    errors: dict[str, list[float]] = {name: [] for name in APPROXIMATIONS}
    for area in np.linspace(500, 858, 12):
        for aspect in (1.0, 1.2, 1.5):
            a = wafer((area / aspect) ** 0.5, (area * aspect) ** 0.5)
            for name in APPROXIMATIONS:
                errors[name].append(approximate(a, name) / gross_dies(a) - 1)
    assert np.mean(errors["textbook"]) == pytest.approx(-0.09, abs=0.02)
    assert np.abs(errors["fitted"]).max() < 0.035
    assert np.abs(errors["de-vries"]).max() < 0.08


def test_two_errors_cancel_in_the_textbook_form_without_edge_and_street() -> None:
    assert approximate(wafer(25.8, 25.8, 0, 0), "textbook") == pytest.approx(80.4, abs=0.05)


def test_actuary_textbook_count_at_665_mm2() -> None:
    a = wafer(25.8, 25.8, 5, 0.2)
    assert approximate(a, "textbook") == pytest.approx(72.9324, abs=0.02)


def test_reticle_field_refuses_a_die_beyond_it() -> None:
    assert dies_per_field(25.8, 25.8) == (1, 1)
    assert dies_per_field(10.344, 10.344)[0] * dies_per_field(10.344, 10.344)[1] == 6
    assert dies_per_field(26.0, 33.0, 0.1) == (1, 1)
    with pytest.raises(InputError, match="does not fit the reticle field"):
        dies_per_field(26.0, 33.0, 0.1, shared_scribe=False)
    with pytest.raises(InputError, match="does not fit the reticle field"):
        dies_per_field(27, 27)


def test_shots_cover_every_die_once_and_are_at_least_the_dies_over_the_field() -> None:
    placed = place(wafer(10.344, 10.344), phase_of(wafer(10.344, 10.344), "best"))
    found = shots(placed)
    per_field = found.across * found.along
    assert found.full * per_field <= placed.dies <= found.count * per_field
    assert found.count >= placed.dies / per_field
    assert shots(placed, half_field=True).count > found.count


def test_uncertain_recipes_stay_close_to_the_exact_count_and_do_not_depend_on_blocks() -> None:
    edge, scribe = np.linspace(2.4, 5.6, 301), np.linspace(0.05, 0.25, 301)[::-1]
    smooth = best_gross_dies(21.32, 31.22, edge, scribe)
    exact = np.array([gross_dies(wafer(21.32, 31.22, a, b)) for a, b in zip(edge, scribe, strict=True)])
    assert np.abs(smooth - exact).max() < 1.5
    assert abs((smooth - exact).mean()) < 0.15
    halves = [best_gross_dies(21.32, 31.22, edge[k], scribe[k]) for k in (slice(0, 150), slice(150, None))]
    assert np.array_equal(np.concatenate(halves), smooth)
    between = gross_dies_by_draw(21.32, 31.22, edge, scribe, np.full(301, 0.5))
    assert np.all(between <= smooth)
    assert np.all(between >= mean_gross_dies(21.32, 31.22, edge, scribe) - 1e-9)


@pytest.mark.parametrize(("change", "words"), [
    ({"die_width_mm": -3.0}, "die_width_mm must be above 0, got -3.0"),
    ({"edge_mm": 151.0}, "edge_mm must be below half the diameter"),
    ({"scribe_mm": -0.1}, "scribe_mm must not be below 0"),
    ({"die_height_mm": math.nan}, "die_height_mm must be above"),
    ({"die_width_mm": 1e-3, "die_height_mm": 1e-3}, "fewer than 200,000 dies")])
def test_a_wafer_that_cannot_be_is_refused(change: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Wafer(**{"die_width_mm": 20.0, "die_height_mm": 20.0, **change})


def test_a_phase_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="phase must be best, center, corner or X,Y"):
        phase_of(wafer(20, 20), "middle")
    assert phase_of(wafer(20, 20), "3.5,0") == (3.5, 0.0)


def test_a_die_larger_than_the_wafer_counts_zero() -> None:
    assert gross_dies(wafer(250, 250)) == 0
    assert mean_gross_dies(250.0, 250.0, 3.0, 0.1) == 0
