"""All rules against all chips at monthly dates and for six buyer classes, and one shipment from scratch."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from chipcast.base.calendar import month_end, month_range
from chipcast.base.catalog import Catalogue, last_known
from chipcast.rules.atlas import atlas, everywhere
from chipcast.rules.check import ask_for, verdict, verdicts
from chipcast.rules.design import frontier

SEGMENTS = ("platform", "cloud", "state_funded", "public_centre", "private", "clinic_school")
SIZE = 60
"""Chips; the catalogue is repeated until there are so many."""


def test_every_chip_at_monthly_dates(benchmark: Any) -> None:
    """Target: 0.1 s for 45 rules, 60 chips, 60 months."""
    catalog = Catalogue(last_known())
    chips = (catalog.chip_ids() * 2)[:SIZE]
    months = month_range("2022-01", "2026-12")
    table = benchmark(verdicts, catalog, chips=chips, segments=SEGMENTS, months=months)
    assert table.us.shape == (60, 6, SIZE)


def test_one_shipment(benchmark: Any) -> None:
    catalog = Catalogue(last_known())
    answer = benchmark(lambda: verdict(catalog, ask_for(catalog, "l20", date(2025, 6, 1))))
    assert answer.status == "free"


def test_a_map_of_chips_places_and_days(benchmark: Any) -> None:
    """Sixty chips, 24 places, 60 month ends."""
    catalog = Catalogue(last_known())
    chips = (catalog.chip_ids() * 2)[:SIZE]
    days = [month_end(m) for m in month_range("2022-01", "2026-12")]
    places = ("CN", "HK", "MO", "TW", "JP", "KR", "SG", "MY", "VN", "TH", "IN", "AE",
              "SA", "QA", "IL", "TR", "DE", "FR", "GB", "RU", "IR", "KZ", "BR", "MX")
    assert benchmark(atlas, catalog, chips, places, days).shape == (SIZE, 24, 60)


def test_one_chip_all_over_the_world(benchmark: Any) -> None:
    catalog = Catalogue(last_known())
    assert len(benchmark(everywhere, catalog, "h100-sxm", date(2025, 6, 1))) > 200


def test_a_chip_with_every_figure_open(benchmark: Any) -> None:
    catalog = Catalogue(last_known())
    answer = benchmark(lambda: verdict(catalog, ask_for(catalog, "b30a", date(2025, 6, 1))))
    assert len(answer.us.possible) == 4


def test_the_frontier_at_a_million_areas(benchmark: Any) -> None:
    areas = np.linspace(100, 5000, 1_000_000)
    assert benchmark(frontier, areas).shape == areas.shape
