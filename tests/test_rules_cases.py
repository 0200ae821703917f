"""A hundred argued cases: chips placed by construction just on either side of each line, date and border.

Each row says what is shipped, where, when, what follows and why. `C` is a part for data centres of a maker that no
letter names; figures that a row does not state are far from every line.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from chipcast.base.catalog import Catalogue, last_known, read_table
from chipcast.rules.check import Verdict, ask_for, gates, verdict
from chipcast.rules.measure import figures
from chipcast.rules.own import own_chip

NOW = Catalogue(last_known())
DENIAL, APPROVAL, NOTICE, LETTER, CASE, FREE = ("licence_denial", "licence_approval", "notice", "letter",
                                               "licence_case", "free")
FAR: dict[str, Any] = {"tpp": 1000, "die_area_mm2": 1000, "io_bidir_gb_s": 100, "dram_bw_gb_s": 500, "datacenter": True,
                       "sold_in_us": True, "vendor": "Acme"}
"""A part that no rule on chips catches."""


def C(**fields: Any) -> dict[str, Any]:
    """Return a part; with `pd` its area follows from its performance."""
    if "pd" in fields:
        fields["die_area_mm2"] = fields.get("tpp", FAR["tpp"]) / fields.pop("pd")
    return FAR | fields


def ruled(fields: dict[str, Any], on: str, *, catalog: Catalogue = NOW, **more: Any) -> Verdict:
    f = own_chip(fields, name="mine", catalog=catalog)
    return verdict(catalog, ask_for(catalog, f, date.fromisoformat(on), **more))


BIG = C(tpp=5000, pd=10, io_bidir_gb_s=700)
"""Caught by the lists of 2022 and 2023."""

CASES: list[tuple[dict[str, Any], str, str, str, str, str, str]] = [
    # fields, to, hq, on, word of the US gate, row that decides, why
    # -- the letter of August 2022: two addressees, the class of the A100, China, Hong Kong and Russia
    (C(vendor="NVIDIA", tpp=4992, io_bidir_gb_s=600), "CN", "", "2022-08-25", FREE, "", "the day before"),
    (C(vendor="NVIDIA", tpp=4992, io_bidir_gb_s=600), "CN", "", "2022-08-26", LETTER, "US-INF-2022", "its first day"),
    (C(vendor="AMD", tpp=4992, io_bidir_gb_s=600), "RU", "", "2022-09-15", LETTER, "US-INF-2022", "Russia too"),
    (C(vendor="NVIDIA", tpp=4992, io_bidir_gb_s=600), "HK", "", "2022-09-15", LETTER, "US-INF-2022", "Hong Kong too"),
    (C(vendor="NVIDIA", tpp=4992, io_bidir_gb_s=600), "AE", "", "2022-09-15", FREE, "", "not named"),
    (C(vendor="NVIDIA", tpp=4991, io_bidir_gb_s=600), "CN", "", "2022-09-15", FREE, "", "below the class"),
    (C(vendor="NVIDIA", tpp=9000, io_bidir_gb_s=599), "CN", "", "2022-09-15", FREE, "", "both figures are needed"),
    (C(tpp=4992, io_bidir_gb_s=600), "CN", "", "2022-09-15", FREE, "", "no addressee"),
    # -- the list of October 2022: links and performance, both at the line or above
    (C(tpp=4800, io_bidir_gb_s=600), "CN", "", "2022-10-20", FREE, "", "the day before"),
    (C(tpp=4800, io_bidir_gb_s=600), "CN", "", "2022-10-21", DENIAL, "US-3A090-2022", "both on the line: >= catches"),
    (C(tpp=4799.99, io_bidir_gb_s=9000), "CN", "", "2023-01-10", FREE, "", "performance is a hair short"),
    (C(tpp=50_000, io_bidir_gb_s=599.9), "CN", "", "2023-01-10", FREE, "", "links are a hair short"),
    (C(tpp=4800, io_bidir_gb_s=600, datacenter=False), "CN", "", "2023-01-10", DENIAL, "US-3A090-2022",
     "the first list knew no note on data centres"),
    (BIG, "HK", "", "2022-10-21", DENIAL, "US-3A090-2022", "Hong Kong is read with China"),
    (BIG, "MO", "", "2022-12-31", FREE, "", "Macau came later"),
    (BIG, "MO", "", "2023-01-01", DENIAL, "US-3A090-2022", ""),
    (BIG, "AE", "", "2023-06-01", FREE, "", "no D group yet"), (BIG, "MY", "CN", "2023-06-01", FREE, "", "no seat yet"),
    (BIG, "CN", "", "2023-11-16", DENIAL, "US-3A090-2022", "its last day"),
    (C(tpp=5000, io_bidir_gb_s=300), "CN", "", "2023-11-16", FREE, "", "cut links still free it"),
    (C(tpp=5000, io_bidir_gb_s=300), "CN", "", "2023-11-17", DENIAL, "US-3A090A-2023", "and no longer"),
    # -- the list of October 2023, tier .a
    (C(tpp=4800, pd=0.5), "CN", "", "2023-11-17", DENIAL, "US-3A090A-2023", "a.1 needs no density"),
    (C(tpp=4799.99, pd=1.59), "CN", "", "2024-06-01", FREE, "", "under both"),
    (C(tpp=1600, pd=5.92001), "CN", "", "2024-06-01", DENIAL, "US-3A090A-2023", "a.2"),
    (C(tpp=1600, pd=5.9199), "CN", "", "2024-06-01", NOTICE, "US-3A090B-2023", "just under a.2 is b.2"),
    (C(tpp=1599.99, pd=100), "CN", "", "2024-06-01", FREE, "", "no density prong below 1600"),
    (C(tpp=9000, planar=True, die_area_mm2=0), "CN", "", "2024-06-01", DENIAL, "US-3A090A-2023", "planar, by TPP"),
    (C(tpp=4700, planar=True, die_area_mm2=0), "CN", "", "2024-06-01", FREE, "", "planar has no density"),
    # -- tier .b
    (C(tpp=2400, pd=1.60001), "CN", "", "2024-06-01", NOTICE, "US-3A090B-2023", "b.1"),
    (C(tpp=2399.99, pd=3.1999), "CN", "", "2024-06-01", FREE, "", "between both prongs of .b"),
    (C(tpp=2400, pd=1.5999), "CN", "", "2024-06-01", FREE, "", "b.1 wants density"),
    (C(tpp=1600, pd=3.20001), "CN", "", "2024-06-01", NOTICE, "US-3A090B-2023", "b.2"),
    (C(tpp=1600, pd=3.1999), "CN", "", "2024-06-01", FREE, "", "under b.2"),
    (C(tpp=2400, pd=1.60001), "CN", "", "2023-11-16", FREE, "", "the day before"),
    (C(tpp=2745.59, compute_die_mm2=858, compute_dies=2, die_area_mm2="1716"), "CN", "", "2024-06-01", FREE, "",
     "two dies of the reticle limit, just under 1.6 x 1716"),
    (C(tpp=2745.61, compute_die_mm2=858, compute_dies=2, die_area_mm2="1716"), "CN", "", "2024-06-01", NOTICE,
     "US-3A090B-2023", "and just over it"),
    # -- Note 2: not for data centres
    (C(tpp=4799.99, pd=20, datacenter=False), "CN", "", "2024-06-01", FREE, "", "a gaming card under 4800"),
    (C(tpp=4800, pd=20, datacenter=False), "CN", "", "2024-06-01", NOTICE, "US-NAC-2023", "and on the line"),
    (C(tpp=4800, pd=20, datacenter=False), "AE", "", "2024-06-01", FREE, "", "the exception needs no notice there"),
    (C(tpp=4800, pd=20, datacenter=False), "MY", "CN", "2024-06-01", NOTICE, "US-NAC-2023", "the seat carries it"),
    # -- where
    (BIG, "AE", "", "2024-06-01", APPROVAL, "US-3A090A-2023", "D:4"),
    (BIG, "VN", "", "2024-06-01", APPROVAL, "US-3A090A-2023", "D:1"),
    (BIG, "KZ", "", "2024-06-01", APPROVAL, "US-3A090A-2023", "D:1"), (BIG, "SA", "", "2023-11-16", FREE, "", "before"),
    (BIG, "KH", "", "2024-06-01", DENIAL, "US-3A090A-2023", "D:5"),
    (BIG, "RU", "", "2024-06-01", DENIAL, "US-3A090A-2023", ""),
    (BIG, "MO", "", "2024-06-01", DENIAL, "US-3A090A-2023", "named beside D:5"),
    (BIG, "IL", "", "2024-06-01", FREE, "", "D:4 and A:6"), (BIG, "CY", "", "2024-06-01", FREE, "", "D:5 and A:6"),
    (BIG, "MY", "", "2024-06-01", FREE, "", "no group"), (BIG, "IN", "", "2024-06-01", FREE, "", "A:5"),
    (BIG, "US", "", "2024-06-01", FREE, "", "no export"), (BIG, "PR", "CN", "2024-06-01", FREE, "", "no export either"),
    (C(tpp=2400, pd=2), "AE", "", "2024-06-01", FREE, "", ".b needs no notice in D:4"),
    # -- headquarters
    (BIG, "MY", "CN", "2023-11-17", DENIAL, "US-3A090A-2023", "its first day"),
    (BIG, "MY", "CN", "2023-11-16", FREE, "", "the day before"),
    (BIG, "DE", "RU", "2024-06-01", DENIAL, "US-3A090A-2023", "any seat in D:5"),
    (BIG, "DE", "MO", "2024-06-01", DENIAL, "US-3A090A-2023", "or in Macau"),
    (BIG, "DE", "AE", "2024-06-01", FREE, "", "a seat in D:4 carries nothing"),
    (BIG, "AE", "CN", "2024-06-01", DENIAL, "US-3A090A-2023", "the stricter of place and seat"),
    (C(tpp=2400, pd=2), "MY", "CN", "2024-06-01", NOTICE, "US-3A090B-2023", ".b by the seat needs notice"),
    # -- letters of April 2025: memory, links, their sum
    (C(dram_bw_gb_s=1400), "CN", "", "2025-04-08", FREE, "", "the day before"),
    (C(dram_bw_gb_s=1400), "CN", "", "2025-04-09", LETTER, "US-INF-2025", "memory on the line"),
    (C(dram_bw_gb_s=1399.99), "CN", "", "2025-04-09", FREE, "", "a hair short"),
    (C(io_bidir_gb_s=1100), "CN", "", "2025-04-09", LETTER, "US-INF-2025", "links"),
    (C(io_bidir_gb_s=1099.99), "CN", "", "2025-04-09", FREE, "", "a hair short, and 1600 together"),
    (C(dram_bw_gb_s=1000, io_bidir_gb_s=700), "CN", "", "2025-04-09", LETTER, "US-INF-2025", "the sum"),
    (C(dram_bw_gb_s=1000, io_bidir_gb_s=699.99), "CN", "", "2025-04-09", FREE, "", "a hair short"),
    (C(dram_bw_gb_s=1400), "HK", "", "2025-06-01", LETTER, "US-INF-2025", ""),
    (C(dram_bw_gb_s=1400), "MO", "", "2025-06-01", LETTER, "US-INF-2025", ""),
    (C(dram_bw_gb_s=1400), "KH", "", "2025-06-01", LETTER, "US-INF-2025", "D:5"),
    (C(dram_bw_gb_s=1400), "AE", "", "2025-06-01", FREE, "", "not D:5"),
    (C(dram_bw_gb_s=1400), "MY", "CN", "2025-06-01", LETTER, "US-INF-2025", "the seat"),
    (C(tpp=6700, pd=9, dram_bw_gb_s=1792, datacenter=False), "CN", "", "2025-04-08", NOTICE, "US-NAC-2023",
     "a gaming card"),
    (C(tpp=6700, pd=9, dram_bw_gb_s=1792, datacenter=False), "CN", "", "2025-04-09", LETTER, "US-INF-2025",
     "the letter knows no note on data centres"),
    (C(tpp=2400, pd=2, dram_bw_gb_s=1600), "CN", "", "2025-06-01", LETTER, "US-INF-2025", "stricter than a notice"),
    (C(tpp=4800, dram_bw_gb_s=1600), "CN", "", "2025-06-01", DENIAL, "US-3A090A-2023", "stricter than a letter"),
    (C(dram_bw_gb_s=4000), "CN", "", "2025-08-10", LETTER, "US-INF-2025", "the promise of July named two parts only"),
    # -- review of January 2026
    (C(tpp=20_999.99, dram_bw_gb_s=6499), "CN", "", "2026-01-14", DENIAL, "US-3A090A-2023", "the day before"),
    (C(tpp=20_999.99, dram_bw_gb_s=6499), "CN", "", "2026-01-15", CASE, "US-CBC-2026", "under both caps"),
    (C(tpp=21_000, dram_bw_gb_s=6499), "CN", "", "2026-01-15", DENIAL, "US-3A090A-2023", "on the cap: < spares"),
    (C(tpp=20_999, dram_bw_gb_s=6500), "CN", "", "2026-01-15", DENIAL, "US-3A090A-2023", "on the other cap"),
    (C(tpp=9000, sold_in_us=False), "CN", "", "2026-01-15", DENIAL, "US-3A090A-2023", "not sold in the United States"),
    (C(tpp=9000), "MO", "", "2026-02-01", CASE, "US-CBC-2026", "Macau too"),
    (C(tpp=9000), "KH", "", "2026-02-01", DENIAL, "US-3A090A-2023", "not the rest of D:5"),
    (C(tpp=9000), "MY", "CN", "2026-02-01", DENIAL, "US-3A090A-2023", "not by the seat"),
    (C(tpp=9000), "HK", "CN", "2026-02-01", CASE, "US-CBC-2026", "the seat adds nothing where the place is reviewed"),
    (C(tpp=9000), "CN", "HK", "2026-02-01", CASE, "US-CBC-2026", "nor the other way round"),
    (C(tpp=9000), "MO", "CN", "2026-02-01", CASE, "US-CBC-2026", "nor in Macau"),
    (C(tpp=9000), "KH", "CN", "2026-02-01", DENIAL, "US-3A090A-2023", "the rest of D:5 is not reviewed"),
    (C(tpp=9000), "AE", "", "2026-02-01", APPROVAL, "US-3A090A-2023", "D:4 as before"),
    (C(tpp=2400, pd=2), "CN", "", "2026-02-01", NOTICE, "US-3A090B-2023", ".b is not reviewed"),
    # -- Chinese designs: no gate inside, a prohibition outside
    (C(tpp=4800, country="CN"), "CN", "", "2025-06-01", FREE, "", "inside"),
    (C(tpp=4800, country="CN"), "MY", "", "2025-05-12", FREE, "", "the day before"),
    (C(tpp=4800, country="CN"), "MY", "", "2025-05-13", DENIAL, "US-GP10-2025", "outside"),
    (C(tpp=4799, pd=1.5, country="CN"), "MY", "", "2025-06-01", FREE, "", "below the class"),
    # -- embargoed places: the text is not in the rows
    (C(), "IR", "", "2024-06-01", "unknown", "", "free by these rows, not by others"),
    (C(), "RU", "", "2022-02-23", FREE, "", "the day before"), (C(), "RU", "", "2022-02-24", "unknown", "", ""),
    (BIG, "IR", "", "2024-06-01", DENIAL, "US-3A090A-2023", "denied whatever the other text says"),
    (BIG, "IR", "", "2023-06-01", "unknown", "US-EMBARGO", "no row of chips yet"),
    (C(dram_bw_gb_s=1400), "IR", "", "2025-06-01", LETTER, "US-INF-2025", "a row speaks of D:5"),
    # -- past the sources
    (BIG, "CN", "", "2026-06-30", CASE, "US-CBC-2026", "their last day"),
    (BIG, "CN", "", "2026-07-01", "unknown", "", ""),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{i:03d} {c[1]} {c[2]} {c[3]} {c[4]}" for i, c in enumerate(CASES)])
def test_a_case_argued_from_the_text(case: tuple[dict[str, Any], str, str, str, str, str, str]) -> None:
    fields, to, hq, on, word, row, why = case
    v = ruled(fields, on, to=to, hq=hq)
    assert v.us.word == word, why
    if row:
        assert v.us.decided_by == row, why


def test_there_are_cases_enough_and_no_two_are_the_same() -> None:
    assert len(CASES) >= 100
    assert len({(str(c[0]), *c[1:4]) for c in CASES}) == len(CASES)


@pytest.mark.parametrize(("chip", "segment", "on", "word"), [
    ("h20", "platform", "2025-08-11", "free"), ("h20", "platform", "2025-08-12", "discouraged"),
    ("h20", "cloud", "2025-08-12", "discouraged"), ("h20", "private", "2025-08-12", "free"),
    ("h20", "clinic_school", "2025-12-01", "free"), ("l20", "platform", "2025-12-01", "free"),
    ("6000d", "platform", "2025-09-14", "free"), ("6000d", "platform", "2025-09-15", "barred"),
    ("6000d", "private", "2025-09-15", "free"),
    ("l20", "public_centre", "2024-12-31", "free"), ("l20", "public_centre", "2025-01-01", "quota"),
    ("l20", "state_funded", "2025-09-30", "free"), ("l20", "state_funded", "2025-10-01", "barred"),
    ("h200", "platform", "2026-01-13", "free"), ("h200", "platform", "2026-01-14", "barred"),
    ("h200", "private", "2026-01-27", "barred"), ("h200", "platform", "2026-01-28", "quota"),
    ("h200", "state_funded", "2026-01-28", "barred"), ("h200", "private", "2026-01-28", "discouraged"),
    ("910c", "state_funded", "2026-01-28", "free"),
])
def test_the_chinese_gate_by_class_on_either_side_of_each_day(chip: str, segment: str, on: str, word: str) -> None:
    v = verdict(NOW, ask_for(NOW, chip, date.fromisoformat(on), segment=segment))
    assert v.cn.word == word


@pytest.mark.parametrize(("entity", "before", "on", "word"), [
    ("inspur_group", "2023-03-01", "2023-03-02", LETTER), ("biren", "2023-10-16", "2023-10-17", DENIAL),
    ("sophgo", "2025-01-15", "2025-01-16", DENIAL), ("nettrix", "2025-03-24", "2025-03-25", LETTER),
    ("huawei", "2019-05-15", "2019-05-16", CASE), ("smic", "2020-12-17", "2020-12-18", CASE),
])
def test_a_listed_buyer_from_its_day_on(entity: str, before: str, on: str, word: str) -> None:
    assert ruled(FAR, before, entity=entity).us.word == FREE
    v = ruled(FAR, on, entity=entity)
    assert v.us.word == word
    assert v.us.decided_by.startswith("US-EL-")


@pytest.mark.parametrize(("on", "share", "word"), [
    ("2025-09-28", 0.5, FREE), ("2025-09-29", 0.5, DENIAL), ("2025-09-29", 0.49, FREE), ("2025-11-09", 1.0, DENIAL),
    ("2025-11-10", 1.0, FREE),
])
def test_affiliates_by_day_and_share(on: str, share: float, word: str) -> None:
    assert ruled(FAR, on, owned_by_listed=share).us.word == word


def test_after_the_truce_the_rule_on_affiliates_may_be_back() -> None:
    """The law as known in December 2025; the day itself lies past the end of the sources, so the answer is unknown."""
    then = Catalogue(date(2025, 12, 1))
    f = own_chip(FAR, name="mine", catalog=then)
    eve, day = (ask_for(then, f, date(2026, 11, d), owned_by_listed=0.5) for d in (9, 10))
    assert gates(then, eve)[0].word == FREE
    assert (gates(then, day)[0].word, gates(then, day)[0].possible) == ("unknown", (FREE, DENIAL))
    assert gates(then, ask_for(then, f, date(2026, 11, 10)))[0].word == FREE, "other buyers are not touched"
    assert [verdict(then, a).last_status for a in (eve, day)] == ["free", "unknown"]
    assert verdict(then, eve).status == "unknown"


@pytest.mark.parametrize(("on", "state"), [("2025-05-12", "yes"), ("2025-05-13", "doubtful"),
                                           ("2026-05-31", "doubtful"), ("2026-06-01", "yes")])
def test_the_gap_in_the_headquarters_rule_to_the_day(on: str, state: str) -> None:
    assert ruled(BIG, on, to="MY", hq="CN").us.enforced == state
    assert ruled(BIG, on, to="CN").us.enforced == "yes"


@pytest.mark.parametrize(("as_of", "on", "to", "word"), [
    ("2025-01-12", "2025-05-15", "MY", FREE), ("2025-01-13", "2025-05-15", "MY", APPROVAL),
    ("2025-02-25", "2025-05-14", "MY", FREE), ("2025-05-12", "2025-05-15", "IN", APPROVAL),
    ("2025-05-12", "2025-05-15", "JP", FREE), ("2025-05-13", "2025-05-15", "MY", FREE),
    ("2025-04-14", "2025-04-10", "CN", DENIAL),
])
def test_the_diffusion_framework_binds_in_text_as_long_as_its_end_is_not_known(as_of: str, on: str, to: str,
                                                                                 word: str) -> None:
    assert ruled(BIG, on, to=to, catalog=Catalogue(date.fromisoformat(as_of))).us.word == word


@pytest.mark.parametrize(("as_of", "word"), [("2025-04-14", FREE), ("2025-04-15", LETTER)])
def test_a_letter_is_used_from_the_day_it_was_public(as_of: str, word: str) -> None:
    assert ruled(C(dram_bw_gb_s=4000), "2025-04-10", catalog=Catalogue(date.fromisoformat(as_of))).us.word == word


def test_an_export_from_elsewhere_is_not_reviewed() -> None:
    assert ruled(C(tpp=9000), "2026-02-01", from_us=False).us.word == DENIAL


@pytest.mark.parametrize(("fields", "on", "possible", "needs"), [
    (C(tpp=5000, datacenter="unknown"), "2024-06-01", (NOTICE, DENIAL), ("dc",)),
    (C(tpp=4000, datacenter="unknown", pd=2), "2024-06-01", (FREE, NOTICE), ("dc",)),
    (C(tpp=9000, sold_in_us="unknown"), "2026-02-01", (CASE, DENIAL), ("sold_in_us",)),
    (C(tpp=9000, sold_in_us="unknown"), "2025-02-01", (DENIAL,), ()),
    ({k: v for k, v in C(tpp=3000).items() if k != "die_area_mm2"}, "2024-06-01", (FREE, NOTICE, DENIAL),
     ("area_mm2",)),
    ({k: v for k, v in C(tpp=1700).items() if k != "die_area_mm2"} | {"die_area_mm2": "200 to 500"}, "2024-06-01",
     (NOTICE, DENIAL), ("area_mm2",)),
    ({k: v for k, v in C(tpp=5000).items() if k != "io_bidir_gb_s"}, "2023-06-01", (FREE, DENIAL), ("io_bidir_gb_s",)),
    ({k: v for k, v in C(tpp=4000).items() if k != "io_bidir_gb_s"}, "2023-06-01", (FREE,), ()),
    ({k: v for k, v in C().items() if k != "dram_bw_gb_s"}, "2025-06-01", (FREE, LETTER), ("dram_bw_gb_s",)),
    ({k: v for k, v in C(tpp=2400, pd=2).items() if k != "dram_bw_gb_s"}, "2025-06-01", (NOTICE, LETTER),
     ("dram_bw_gb_s",)),
    ({k: v for k, v in C().items() if k != "tpp"} | {"die_area_mm2": 3000}, "2024-06-01", (FREE, DENIAL), ("tpp",)),
])
def test_an_open_figure_leaves_exactly_the_words_that_it_allows(fields: dict[str, Any], on: str,
                                                               possible: tuple[str, ...],
                                                               needs: tuple[str, ...]) -> None:
    v = ruled(fields, on)
    assert v.us.possible == possible
    if len(possible) > 1:
        assert (v.us.word, v.us.needs) == ("unknown", needs)
    else:
        assert v.us.word == possible[0]


def test_the_possible_words_are_those_of_points_inside() -> None:
    """Independent road: sample chips in the open box and collect their verdicts."""
    import numpy as np

    rng = np.random.default_rng(7)
    box = {"tpp": (1500, 6000), "die_area_mm2": (200, 4000), "dram_bw_gb_s": (800, 2000), "io_bidir_gb_s": (100, 1500)}
    for on in ("2023-06-01", "2024-06-01", "2025-06-01"):
        wide = ruled(FAR | {k: f"{a} to {b}" for k, (a, b) in box.items()}, on)
        seen = {ruled(FAR | {k: float(rng.uniform(a, b)) for k, (a, b) in box.items()}, on).us.word
                for _ in range(400)}
        assert seen == set(wide.us.possible), on


def test_sources_that_stand_on_both_sides_of_a_line_make_the_answer_disputed() -> None:
    from dataclasses import replace

    f = figures(NOW, "l40s")
    apart = replace(f, id="two-sheets", tpp=(4700, 4900), area_mm2=(4000, 4000), pd=(1.175, 1.225))
    ask = ask_for(NOW, apart, date(2024, 6, 1))
    v = verdict(NOW, ask)
    assert (v.us.word, v.status, v.us.possible) == ("unknown", "disputed", (FREE, DENIAL))
    missing = replace(apart, tpp=(0, float("inf")), pd=(0, float("inf")))
    assert verdict(NOW, replace(ask, figures=missing)).status == "unknown", "a missing figure is no dispute"


def test_the_command_line_gives_the_keys_that_others_rely_on(cli_json: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "my-chip.yaml"
    path.write_text("fp8_tflops: 600\ndie_area_mm2: 810\nio_bidir_gb_s: 900\nmem_bw_gb_s: 3000\n", encoding="utf-8")
    r = cli_json("rules", "check", str(path), "--to", "AE", "--on", "2025-03-01")
    assert (r["us"], r["cn"], r["status"], r["classification"]) == (APPROVAL, FREE, "licence", "3A090.a")
    assert r["deciding"]["rule_id"] == "US-3A090A-2023"
    assert r["deciding"]["prong"] == "a.1"
    assert r["deciding"]["slack"] == 0
    assert r["unknown_after"] == "2026-06-30"
    a, b = (next(x for x in r["layers"] if x["rule_id"] == i) for i in ("US-3A090A-2023", "US-3A090B-2023"))
    assert (a["met"], a["classification"], a["effective"], a["enforced"]) == (True, "3A090.a", "2023-11-17", "yes")
    assert (b["met"], b["classification"], b["consequence"]) == (False, "not_3A090.b", None)
    assert {"rule_id": "US-DIFF-2025", "phase": "never"} in r["not_in_force"]
    seat = cli_json("rules", "check", "h100", "--to", "MY", "--hq", "CN", "--on", "2025-08-01")
    assert "US-HQ-2023" in seat["also_true"]
    assert next(x for x in seat["layers"] if x["rule_id"] == "US-HQ-2023")["enforced"] == "doubtful"
    case = cli_json("rules", "check", "b200", "--on", "2026-02-01")
    policy = next(x for x in case["layers"] if x["rule_id"] == "US-CBC-2026")
    assert policy["met"] is False


CLASS_2023 = {"3A090.a": "3A090.a", "3A090.b(b.1)": "3A090.b", "not_3A090": "none",
              "3A090.a_nonDC(NAC_ok)": "3A090 Note 2"}
"""Words of the worked table for the classes of 2023."""


@pytest.mark.parametrize("row", [r for r in read_table("rule_examples") if r["class_2022_10"] != "n/a_domestic"],
                         ids=lambda r: r["chip_id"])
def test_every_worked_example_reproduces_from_the_catalogue(cli_json: Callable[..., Any], row: dict[str, str]) -> None:
    """The chip's own rows, not the figures of the worked table, give each of its classes."""

    def layers(on: str) -> tuple[dict[str, Any], dict[str, Any]]:
        r = cli_json("rules", "check", row["chip_id"], "--to", "CN", "--on", on)
        return r, {x["rule_id"]: x["met"] for x in r["layers"]}

    _, first = layers("2022-12-01")
    assert first["US-3A090-2022"] is (row["class_2022_10"] == "3A090")
    second, _ = layers("2023-12-01")
    assert second["classification"] == CLASS_2023[row["class_2023_10"]]
    _, letters = layers("2025-04-20")
    assert letters["US-INF-2025"] is (row["is_informed_2025_04"] == "licence")
    third, review = layers("2026-02-01")
    wanted = row["china_review_2026_01"]
    if wanted in ("case_by_case", "denial") and row["class_2023_10"] == "3A090.a" and row["chip_id"] != "a800-sxm-80":
        assert review["US-CBC-2026"] is (wanted == "case_by_case")
    bands = [c for c in third["costs"] if c["rule_id"] == "US-232-2026"]
    assert bool(bands) is (row["tariff_232_2026_01"] != "none")
