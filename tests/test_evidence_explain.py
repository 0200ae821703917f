"""Inverting a claim: what must hold, the weakest link, the measurement that would settle it."""

from __future__ import annotations

import numpy as np
import pytest

from chipcast.base import draws
from chipcast.base.errors import InputError
from chipcast.evidence.explain import explain, holds, parse_claim

A, B, C = (draws.normals(1, n, 0, 20_000) for n in "abc")
KNOWN = {"910c.yield": "1", "huawei_ascend_cards.2025": "cards"}


@pytest.mark.parametrize(("text", "name", "sign", "value"), [
    ("910c.yield >= 40%", "910c.yield", ">=", 0.4), ("910C yield 40%", "910c.yield", "about", 0.4),
    ("910c.yield<0.2", "910c.yield", "<", 0.2),
    ("huawei_ascend_cards.2025 > 400k", "huawei_ascend_cards.2025", ">", 4e5),
])
def test_a_claim_reads_as_it_is_said(text: str, name: str, sign: str, value: float) -> None:
    assert parse_claim(text, KNOWN) == (name, sign, pytest.approx(value))


@pytest.mark.parametrize(("text", "match"), [
    ("profit", "cannot read the claim 'profit'; write NAME OP VALUE"), ("910d.yield > 3%", "did you mean '910c.yield'"),
    ("910c.yield > 3 GB", "'3 GB' is a bytes"),
])
def test_a_claim_that_cannot_be_read_says_how_to_write_it(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        parse_claim(text, KNOWN)


def test_the_cause_is_found_and_the_bystander_is_not() -> None:
    found = explain(holds(A + 0.3 * B, ">=", 1.0), {"a": A, "b": B, "c": C}, {})
    assert found["weakest_link"] == "a"
    assert found["settle_by"]["name"] == "a"
    by_name = {r["name"]: r for r in found["must_hold"]}
    assert by_name["a"]["shift_sd"] > 1
    assert "c" not in by_name
    assert found["probability"] == pytest.approx(np.mean(A + 0.3 * B >= 1))


def test_a_quantity_that_matters_in_its_middle_settles_without_shifting() -> None:
    """|a| small is no shift of a's mean, yet only a measurement of a tells: mean shift alone would miss it."""
    found = explain(np.abs(A) < 0.5, {"a": A, "b": B}, {})
    assert found["settle_by"]["name"] == "a"
    assert found["settle_by"]["share_of_doubt"] > 0.5


def test_what_never_or_always_holds_needs_no_explanation() -> None:
    for mask in (np.zeros(100, dtype=bool), np.ones(100, dtype=bool)):
        assert explain(mask, {"a": A[:100]}, {})["must_hold"] == []


def test_chance_explains_nothing() -> None:
    share = explain(B > 1, {"a": A}, {})["settle_by"]["share_of_doubt"]
    assert share < 0.002
