"""Quantities at the door: units, multipliers, mix-ups."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chipcast.base.errors import InputError, nearest, unknown
from chipcast.base.units import UNITS, convert, parse_quantity


@pytest.mark.parametrize(("text", "unit", "value"), [
    ("64 GB", "GB", 64.0), ("64 GiB", "GB", 68.719476736), ("4 TB/s", "GB/s", 4000.0), ("30 %", "1", 0.30),
    ("9k", "wafers/month", 9000.0), ("9k wafers/month", "wafers/month", 9000.0), ("6M", "USD", 6e6),
    ("12bn USD", "USD", 12e9), ("400 Gbit/s", "GB/s", 50.0), ("10T", "tokens", 1e13), ("1,000", "cards", 1000.0),
    ("50 ms", "s", 0.05), (7, "mm", 7.0), ("-3", "mm", -3.0), ("2B", "USD", 2e9), ("5 B", "GB", 5e-9),
    ("12bn", "1e9", 12.0), ("12", "1e9", 12.0), ("800M", "1e9", 0.8), ("3bn", "1e6", 3000.0), ("12bn", "1", 12e9),
    ("2 million", "cards", 2e6), ("2 million cards", "cards", 2e6), ("12 billion USD", "USD", 12e9),
])
def test_a_quantity_reads_as_its_unit_says(text: object, unit: str, value: float) -> None:
    assert parse_quantity(text, unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("text", "unit", "match"), [
    ("64 GB", "mm", r"'64 GB' is a bytes, but mm \(length\) is needed"),
    ("12 parsecs", "mm", "unit 'parsecs' in '12 parsecs' is not known; write it in mm"),
    ("twelve", "mm", "value must be a number in mm, for example '12 mm', got 'twelve'"),
    (True, "mm", "value must be a number"), (None, "mm", "value must be a number"),
])
def test_a_wrong_quantity_is_refused_with_a_sentence(text: object, unit: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        parse_quantity(text, unit)


@given(st.floats(1e-6, 1e6), st.sampled_from(sorted(UNITS)), st.sampled_from(sorted(UNITS)))
def test_units_round_trip_or_are_refused(value: float, a: str, b: str) -> None:
    if UNITS[a][0] == UNITS[b][0]:
        assert convert(convert(value, a, b), b, a) == pytest.approx(value, rel=1e-12)
    else:
        with pytest.raises(InputError, match="is needed"):
            convert(value, a, b)


def test_one_defect_per_square_centimetre_is_the_same_in_every_unit() -> None:
    area, density = convert(1, "cm2", "mm2"), convert(1, "1/cm2", "1/mm2")
    assert math.exp(-area * density) == pytest.approx(math.exp(-1))


def test_the_nearest_name_is_offered() -> None:
    assert nearest("as_off", ["as_of", "until"]) == ["as_of"]
    with pytest.raises(InputError, match="unknown chip '910D'; did you mean '910c'\\? known: 910b, 910c"):
        unknown("chip", "910D", ["910b", "910c"])
