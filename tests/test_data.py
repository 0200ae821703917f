"""Every row of the data: closed units, ranges in order, a known source, sensible dates, no later fact."""

from __future__ import annotations

import json
from datetime import date

import pytest

from chipcast.base.calendar import parse_date
from chipcast.base.catalog import DATA, Catalogue, last_known, read_table, sources, vintage_rows
from chipcast.base.errors import InputError
from chipcast.base.laws import FAMILIES
from chipcast.base.units import UNITS

KINDS = {"official", "measured", "reported", "estimated", "realised", "derived", "assumed", "unverified",
         "vendor claim", "projection", "product claim", "text"}
TABLES = sorted(p.stem for p in DATA.glob("*.csv"))
SOURCED = [t for t in TABLES if t != "sources" and "source" in read_table(t)[0]]
DATED = [t for t in TABLES if t != "sources" and "known_by" in read_table(t)[0]]
NUMBERED = [t for t in TABLES if "unit" in read_table(t)[0] and t not in ("measurements", "measurements_h200_tp8",
                                                                            "faults")]


@pytest.mark.parametrize("table", SOURCED)
def test_every_row_names_a_source_that_exists(table: str) -> None:
    known = set(sources())
    missing = {r["source"] for r in read_table(table)} - known
    assert not missing, f"{table}: sources without an entry in sources.csv: {sorted(missing)[:5]}"


def test_no_source_is_the_handbook_and_every_source_says_what_it_is() -> None:
    for key, row in sources().items():
        assert row["title"], key
        assert "handbook" not in row["title"].lower(), key
        assert row["licence"], key


@pytest.mark.parametrize("table", NUMBERED)
def test_every_unit_is_in_the_closed_list(table: str) -> None:
    units = {r["unit"] for r in read_table(table)}
    assert units <= set(UNITS), f"{table}: {sorted(units - set(UNITS))}"


@pytest.mark.parametrize("table", DATED)
def test_every_date_is_a_date_and_lies_before_the_last_source(table: str) -> None:
    for row in read_table(table):
        if row["known_by"]:
            assert date(2015, 1, 1) < parse_date(row["known_by"]) <= date(2026, 8, 31), row


def test_assumed_ranges_are_in_order_of_a_known_law_and_give_a_reason() -> None:
    seen = set()
    for row in read_table("priors"):
        assert float(row["low"]) <= float(row["mode"]) <= float(row["high"]), row
        assert row["family"] in FAMILIES, row
        assert row["vintage"] in ("2025-02-25", "latest", "any"), row
        assert row["source"] in sources(), row
        assert len(row["reason"]) > 20, f"{row['item']}.{row['name']} gives no reason"
        key = (row["item"], row["name"], row["vintage"])
        assert key not in seen, f"twice: {key}"
        seen.add(key)


def test_a_name_has_either_one_range_for_any_vintage_or_one_for_each() -> None:
    by_name: dict[tuple[str, str], set[str]] = {}
    for row in read_table("priors"):
        by_name.setdefault((row["item"], row["name"]), set()).add(row["vintage"])
    for name, vintages in by_name.items():
        assert vintages in ({"any"}, {"2025-02-25", "latest"}), (name, vintages)


@pytest.mark.parametrize("as_of", [date(2025, 2, 25), date(2025, 3, 10), date(2025, 9, 30), date(2026, 6, 30)])
def test_the_catalogue_shows_nothing_that_became_known_later(as_of: date) -> None:
    catalog = Catalogue(as_of)
    for table in DATED:
        assert all(parse_date(r["known_by"]) <= as_of for r in catalog.rows(table)), table


def test_february_2025_sees_the_rows_that_were_known_and_no_others() -> None:
    catalog = Catalogue(date(2025, 2, 25))
    assert len(catalog.rows("history")) == 57
    assert len(catalog.rows("reports")) == 15
    assert sum(r["proposed_use"] == "calibration" for r in catalog.rows("measurements")) == 123


def test_the_super_node_of_the_910c_was_not_known_in_february_2025() -> None:
    before, after = Catalogue(date(2025, 2, 25)), Catalogue(date(2025, 6, 30))
    assert before.chip_facts("ascend-910c")["scaleup_domain"].value == 8
    assert after.chip_facts("ascend-910c")["scaleup_domain"].value == 384


def test_a_chip_announced_later_is_refused_by_date() -> None:
    with pytest.raises(InputError, match="after the information date 2025-02-25"):
        Catalogue(date(2025, 2, 25)).resolve_chip("ascend-950pr")
    with pytest.raises(InputError, match="did you mean"):
        Catalogue(date(2025, 2, 25)).resolve_chip("ascend-910cc")


def test_a_run_before_the_first_vintage_is_refused() -> None:
    with pytest.raises(InputError, match="write 2025-02-25 or later"):
        vintage_rows(date(2024, 12, 31))


def test_each_vintage_gives_one_row_per_name() -> None:
    for as_of in (date(2025, 2, 25), date(2026, 1, 1)):
        names = [(r["item"], r["name"]) for r in vintage_rows(as_of)]
        assert len(names) == len(set(names))


def test_aliases_point_to_chips_and_are_written_in_lower_case() -> None:
    ids = {r["item"] for r in read_table("chip_names")}
    for row in read_table("aliases"):
        assert row["item"] in ids, row
        assert row["alias"] == row["alias"].lower(), row


def test_a_link_figure_counts_one_direction_half_of_both() -> None:
    both = {(r["item"], r["known_by"]): float(r["value"]) for r in read_table("chips")
            if r["name"] == "scaleup_gb_s_bidirectional" and r["value"]}
    for row in read_table("chips"):
        key = (row["item"], row["known_by"])
        if row["name"] == "scaleup_gb_s_per_direction" and key in both and row["value"]:
            assert float(row["value"]) * 2 == pytest.approx(both[key], rel=0.02), row


def test_one_fact_has_one_value_across_tables() -> None:
    """Matrix throughput in chips.csv is the cube figure of the platform files, not cube plus vector."""
    bins = {r["sku"].lower(): float(r["fp16_cube_tflops"]) for r in read_table("bins")}
    chips = {r["item"]: float(r["value"]) for r in read_table("chips") if r["name"] == "fp16_tflops" and r["value"]}
    for name in ("910b1", "910b2", "910b3", "910b4"):
        assert chips[f"ascend-{name}"] == pytest.approx(bins[f"ascend{name}"], rel=1e-3)
    assert chips["ascend-910c"] == pytest.approx(2 * bins["ascend910_9381"], rel=1e-3)


def test_every_model_says_where_it_comes_from() -> None:
    files = sorted((DATA / "models").glob("*.json"))
    assert len(files) == 46
    for path in files:
        assert json.loads(path.read_text(encoding="utf-8"))["_provenance"], path.name


def test_as_of_left_out_means_the_last_known_row() -> None:
    assert date(2026, 1, 1) < last_known() <= date(2026, 8, 31)


@pytest.mark.parametrize("table", [t for t in TABLES if t not in ("sources", "factors", "aliases")])
def test_hindsight_is_never_carried(table: str) -> None:
    assert "later_outcome" not in read_table(table)[0]


def test_kinds_are_of_the_closed_list() -> None:
    for table in TABLES:
        if "kind" in read_table(table)[0] and table != "measurements":
            assert {r["kind"] for r in read_table(table)} <= KINDS, table
