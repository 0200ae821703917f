"""Sums of the market are the plain sums in order, to the bit, for any number of draws."""

from __future__ import annotations

import numpy as np
import pytest

from chipcast.market import sums


def in_order(parts: list[np.ndarray]) -> np.ndarray:
    out = parts[0].copy()
    for part in parts[1:]:
        out = out + part
    return out


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    return np.exp(12 * np.sin(np.arange(6 * 11 * 37, dtype=float) ** 1.5)).reshape(6, 11, 37)


@pytest.mark.parametrize("draws", [1, 2, 3, 5, 8, 16, 17])
@pytest.mark.parametrize("chips", [slice(0, 11), slice(2, 5), slice(3, 4), slice(4, 4)])
def test_a_sum_has_the_same_bits_in_every_block(cells: np.ndarray, chips: slice, draws: int) -> None:
    weight, wide = np.cos(cells[0]) ** 2, np.sqrt(cells)
    plain, flat, full = (sums.of_chips(cells, chips), sums.over_chips(cells[:, chips], weight[chips]),
                         sums.over_chips(cells[:, chips], wide[:, chips]))
    for start in range(0, 37, draws):
        block = slice(start, start + draws)
        part = np.ascontiguousarray(cells[..., block])
        assert np.array_equal(sums.total(part), in_order(list(cells))[..., block])
        assert np.array_equal(sums.of_chips(part, chips), plain[:, block])
        assert np.array_equal(sums.over_chips(part[:, chips], weight[chips, block]), flat[:, block])
        assert np.array_equal(sums.over_chips(part[:, chips], wide[:, chips, block]), full[:, block])


@pytest.mark.parametrize("chips", [slice(0, 11), slice(2, 5), slice(3, 4)])
def test_sums_over_chips_are_the_plain_ones(cells: np.ndarray, chips: slice) -> None:
    weight, inside = np.cos(cells[0]) ** 2, range(chips.start, chips.stop)
    assert np.array_equal(sums.of_chips(cells, chips), in_order([cells[:, c] for c in inside]))
    by_hand = in_order([cells[:, c] * weight[c] for c in inside])
    assert sums.over_chips(cells[:, chips], weight[chips]) == pytest.approx(by_hand, rel=1e-14)
    assert not sums.of_chips(cells, slice(4, 4)).any()


def test_buyers_without_draws_are_summed_too() -> None:
    assert sums.total(np.array([5.0])) == 5.0
    assert sums.total(np.array([1.0, 2.0, 4.0])) == 7.0


def test_the_order_of_adding_would_show() -> None:
    """The negative control: the same cells added from the other end differ in some bit."""
    values = np.exp(12 * np.sin(np.arange(11.0) ** 1.5))[:, None]
    assert sums.total(values) != sums.total(values[::-1])
