"""Compute counted in H100s: a second unit, equal to its hand calculation and told apart from what chips deliver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chipcast import scenario
from chipcast.base.errors import InputError
from chipcast.chip.equivalent import h100_equivalents
from chipcast.market.record import CHIPS

Cli = Callable[..., tuple[int, str, str]]


def _given(draws: int = 200) -> Any:
    return scenario.resolve(scenario.load("february-2025"), draws=draws, seed=1)


def test_an_h100_counts_as_one_and_an_h20_as_its_peak_says() -> None:
    worth = h100_equivalents(_given(), ("h100-sxm", "h20-96"))
    np.testing.assert_allclose(worth[0], 1.0)
    np.testing.assert_allclose(worth[1], 148 / 989, rtol=2e-2)


def test_a_name_without_a_bin_lies_between_its_bins() -> None:
    mixed, *bins = h100_equivalents(_given(), ("ascend-910b", *(f"ascend-910b{k}" for k in (1, 2, 3, 4))))
    stacked = np.stack(bins)
    assert np.all((mixed >= stacked.min(axis=0) - 1e-12) & (mixed <= stacked.max(axis=0) + 1e-12))
    assert np.unique(mixed.round(6)).size > 1


def test_a_chip_without_a_16_bit_rate_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="no-such-chip"):
        h100_equivalents(_given(), ("no-such-chip",))


def test_the_market_counts_its_cards_in_h100s_on_request(cli_json: Callable[..., Any]) -> None:
    out = cli_json("market", "--in", "h100e", "--draws", "100")
    found = out["h100e"]
    assert found["unit"] == "H100-equivalents" and len(found["quarters"]) == len(found["delivered"]["all"])
    assert set(found["per_card"]) == set(CHIPS)
    # cards of the first quarter, two months, times the worth of one: medians differ by no more than rounding
    first = sum(out["deliveries"]["platform"]["h20-96"][m]["p50"] for m in range(2))
    assert found["delivered"]["h20-96"][0]["p50"] > 0.5 * first * found["per_card"]["h20-96"]["p50"]
    for low, high in (("domestic", "all"), ("h20-96", "all")):
        assert all(a["p50"] <= b["p50"] for a, b in zip(found["delivered"][low], found["delivered"][high], strict=True))
    assert "h100e" not in cli_json("market", "--draws", "100")


def test_another_unit_is_refused_with_the_one_that_works(cli: Cli) -> None:
    code, _, err = cli("market", "--in", "a100e", "--draws", "100")
    assert code == 2 and "--in h100e" in err and err.count("\n") == 1
