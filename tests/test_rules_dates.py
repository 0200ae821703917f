"""Two time axes, enforcement, headquarters, horizon: the dated answers."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from chipcast.base.calendar import month_range
from chipcast.base.catalog import Catalogue, last_known
from chipcast.base.errors import InputError
from chipcast.rules import check, rule
from chipcast.rules.check import Verdict, ask_for, status_of, verdict, verdicts
from chipcast.rules.explain import payload, sentence
from chipcast.rules.record import CN_WORDS, STATUS_OF, US_WORDS
from chipcast.rules.rule import layer, layers, read_layer
from chipcast.scenario import law_book, load

NOW = Catalogue(last_known())
SEGMENTS = ("platform", "cloud", "state_funded", "public_centre", "private", "clinic_school")


def at(chip: str, on: str, *, catalog: Catalogue = NOW, **more: object) -> Verdict:
    return verdict(catalog, ask_for(catalog, chip, date.fromisoformat(on), **more))  # type: ignore[arg-type]


DAYS = ("2022-09-15", "2023-03-01", "2023-10-25", "2023-12-01", "2025-06-01", "2026-02-01")
TABLE = {  # None: not announced yet
    "a100": ("letter", "licence_denial", "licence_denial", "licence_denial", "licence_denial", "licence_case"),
    "a800": (None, "free", "letter", "licence_denial", "licence_denial", "licence_denial"),
    "l40s": (None, None, "letter", "licence_denial", "licence_denial", "licence_case"),
    "l40": (None, "free", "free", "notice", "notice", "notice"),
    "l20": (None, None, None, "free", "free", "free"),
    "4090": (None, "free", "free", "notice", "notice", "notice"),
    "mi210": ("free", "free", "free", "notice", "letter", "letter"),
    "hl-225b": (None, None, "free", "licence_denial", "licence_denial", "licence_denial"),
    "mi325x": (None, None, None, None, "licence_denial", "licence_case"),
    "b200": (None, None, None, None, "licence_denial", "licence_denial"),
}


@pytest.mark.parametrize("chip", TABLE)
@pytest.mark.parametrize("column", range(6))
def test_the_us_gate_for_a_chinese_platform_on_six_days(chip: str, column: int) -> None:
    wanted, v = TABLE[chip][column], at(chip, DAYS[column])
    if wanted is None:
        assert v.ask.figures.announced > DAYS[column]
    else:
        assert v.ask.figures.announced <= DAYS[column]
        assert v.us.word == wanted


@pytest.mark.parametrize(("chip", "on", "rule_id"), [
    ("a100", "2022-09-15", "US-INF-2022"), ("a100", "2023-03-01", "US-3A090-2022"),
    ("a800", "2023-10-25", "US-INF-2023"), ("l40s", "2023-10-25", "US-INF-2023"),
    ("a100", "2023-12-01", "US-3A090A-2023"), ("l40", "2023-12-01", "US-3A090B-2023"),
    ("4090", "2023-12-01", "US-NAC-2023"), ("mi210", "2025-06-01", "US-INF-2025"),
    ("a100", "2026-02-01", "US-CBC-2026"), ("b200", "2026-02-01", "US-3A090A-2023"), ("l20", "2025-06-01", ""),
])
def test_which_row_decides(chip: str, on: str, rule_id: str) -> None:
    assert at(chip, on).us.decided_by == rule_id


def test_a_letter_also_holds_beside_the_list() -> None:
    assert "US-INF-2025" in payload(at("a100", "2025-06-01"))["also_true"]


def test_a_letter_binds_its_addressees_only() -> None:
    far = Catalogue(last_known())
    ask = ask_for(far, "mi250x", date(2022, 9, 15))
    assert verdict(far, ask).us.word == "letter", "this vendor was addressed too"
    from dataclasses import replace

    stranger = replace(ask, figures=replace(ask.figures, vendor="unaddressed"))
    assert verdict(far, stranger).us.word == "free"


@pytest.mark.parametrize(("chip", "on", "us", "status"), [
    ("a100", "2026-02-01", "licence_case", "case_by_case"), ("mi210", "2025-06-01", "letter", "licence"),
    ("l40", "2023-12-01", "notice", "notified_exception"), ("l20", "2025-06-01", "free", "free"),
    ("b200", "2025-06-01", "licence_denial", "denied"), ("h20", "2025-08-10", "licence_approval", "licence"),
    ("h20", "2026-12-01", "unknown", "unknown"),
])
def test_status_words_of_the_us_gate(chip: str, on: str, us: str, status: str) -> None:
    v = at(chip, on)
    assert (v.us.word, v.status) == (us, status)


def test_status_words_of_the_chinese_gate() -> None:
    assert at("rtx-pro-6000d", "2025-10-01").cn.word == "barred"
    assert at("rtx-pro-6000d", "2025-10-01").status == "denied", "a bar decides where the US gate is unknown"
    assert at("l20", "2025-12-01", segment="state_funded").status == "denied"
    assert at("l20", "2025-12-01", segment="public_centre").status == "discouraged"
    assert at("h200", "2026-02-15").cn.word == "quota"
    assert set(STATUS_OF) == set(US_WORDS) | set(CN_WORDS)
    assert status_of("unknown", "barred") == "denied"
    assert status_of("unknown", "free") == "unknown"


@pytest.mark.parametrize("rule_id", ["US-DIFF-2025", "CN-RE-2025"])
def test_a_rule_that_ended_before_it_began_never_binds(rule_id: str) -> None:
    x = layer(rule_id)
    for year in range(2024, 2027):
        for month in range(1, 13):
            assert x.phase(date(year, month, 15), last_known()) in ("never", "suspended", "unknown")


def test_what_was_scheduled_in_february_2025_and_what_became_of_it() -> None:
    early = at("h20", "2025-06-01", catalog=Catalogue(date(2025, 2, 25)))
    assert early.us.word == "free"
    assert "US-DIFF-2025" in {s[1] for s in early.scheduled}
    assert layer("US-DIFF-2025").phase(date(2025, 6, 1), date(2025, 2, 25)) == "binding"
    late = at("h20", "2025-06-01", catalog=Catalogue(date(2025, 12, 31)))
    assert late.us.word == "letter"
    assert layer("US-DIFF-2025").phase(date(2025, 6, 1), date(2025, 12, 31)) == "never"
    assert "US-DIFF-2025" not in {s[1] for s in late.scheduled}


def test_the_diffusion_rule_reached_the_middle_tier_as_long_as_nobody_knew_its_end() -> None:
    assert at("h100", "2025-06-01", to="MY", catalog=Catalogue(date(2025, 2, 25))).us.decided_by == "US-DIFF-2025"
    assert at("h100", "2025-06-01", to="MY").us.word == "free"
    assert at("h100", "2025-06-01", to="JP", catalog=Catalogue(date(2025, 2, 25))).us.word == "free"


def test_a_letter_binds_before_it_is_public_and_nobody_can_know() -> None:
    hidden = Catalogue(date(2025, 4, 10))
    assert at("h20", "2025-04-10", catalog=hidden).us.word == "free"
    known = Catalogue(date(2025, 4, 15))
    assert at("h20", "2025-04-10", catalog=known).us.word == "letter"
    assert at("h20", "2025-04-09", catalog=known).us.word == "letter"
    assert at("h20", "2025-04-08", catalog=known).us.word == "free"


def test_five_rows_bound_before_they_were_public() -> None:
    early = {x.rule_id: (x.known_by - x.effective).days for x in layers()
             if x.effective and x.known_by > x.effective}
    assert early == {"US-INF-2022": 5, "US-INF-2025": 6, "CN-6000D-2025": 2, "CN-STATE-2025": 35, "CN-50-2025": 227}


@pytest.mark.parametrize(("rule_id", "end", "known"), [
    ("US-INF-2022", "2022-10-21", "2022-10-07"), ("US-3A090-2022", "2023-11-17", "2023-10-17"),
    ("US-INF-2023", "2023-11-17", "2023-10-23"), ("US-DIFF-2025", "2025-05-13", "2025-05-13"),
    ("US-AFF-2025", "2025-11-10", "2025-10-30"), ("CN-RE-2025", "2025-11-07", "2025-10-30"),
    ("CN-H200-2026A", "2026-01-28", "2026-01-28"),
])
def test_an_end_is_used_from_the_day_it_was_known(rule_id: str, end: str, known: str) -> None:
    x = layer(rule_id)
    assert str(x.end) == end
    assert str(x.end_known_by) == known
    assert x.last_day(date.fromisoformat(known)) == x.end
    assert x.last_day(date.fromordinal(x.end_known_by.toordinal() - 1)).year == 9999


def test_headquarters_carry_the_licence_and_the_gap_is_shown() -> None:
    for on, doubt in (("2024-08-01", "yes"), ("2025-08-01", "doubtful"), ("2026-06-15", "yes")):
        v = at("a100", on, to="VN", hq="CN")
        assert v.us.word == "licence_denial"
        assert v.us.enforced == doubt, on
    assert at("a100", "2024-08-01", to="VN").us.word == "licence_approval"


def test_the_headquarters_rule_holds_anywhere_outside_the_united_states() -> None:
    assert at("h100", "2024-08-01", to="MY").us.word == "free"
    assert at("h100", "2024-08-01", to="MY", hq="CN").us.word == "licence_denial"
    assert at("h100", "2024-08-01", to="SG", hq="Hong Kong").us.word == "licence_denial"
    assert at("h100", "2024-08-01", to="US", hq="CN").us.word == "free"
    assert at("h100", "2023-11-16", to="MY", hq="CN").us.word == "free", "before the rule bound"
    off = verdict(NOW, ask_for(NOW, "h100", date(2024, 8, 1), to="MY", hq="CN"), hq_rule="off")
    assert off.us.word == "free"


def test_the_doubt_of_2025_was_not_known_before_may() -> None:
    early = at("h100", "2025-08-01", to="MY", hq="CN", catalog=Catalogue(date(2025, 2, 25)))
    assert early.us.enforced == "yes"


def test_places_in_both_a_d_and_an_a_group_are_spared() -> None:
    assert at("h100", "2024-08-01", to="IL").us.word == "free"
    assert at("h100", "2024-08-01", to="AE").us.word == "licence_approval"
    assert at("h100", "2024-08-01", to="RU").us.word == "licence_denial"
    assert at("h100", "2024-08-01", to="macao").us.word == "licence_denial"
    assert at("l40", "2024-08-01", to="AE").us.word == "free", "ACA needs no notice"


def test_macau_came_into_the_reach_of_the_first_rule_later() -> None:
    assert at("a100", "2022-11-15", to="MO").us.word == "free"
    assert at("a100", "2023-03-01", to="MO").us.word == "licence_denial"
    assert at("a100", "2022-11-15", to="HK").us.word == "licence_denial"


def test_past_the_horizon_the_answer_is_unknown_with_the_last_state() -> None:
    v = at("h20", "2026-12-01")
    assert (v.us.word, v.cn.word, v.status) == ("unknown", "unknown", "unknown")
    assert v.last_status == "licence"
    assert str(v.unknown_after) == "2026-06-30"
    assert (date(2026, 11, 10), "US-AFF-2025") in {(d, r) for d, r, _ in v.scheduled}
    assert "last known state is licence" in sentence(v)


def test_a_return_between_what_is_known_and_the_day_is_told() -> None:
    v = at("h20", "2026-12-01", catalog=Catalogue(date(2025, 12, 31)))
    assert (date(2026, 11, 10), "US-AFF-2025") in {(d, r) for d, r, _ in v.scheduled}


def test_before_the_first_rule_the_answer_is_free() -> None:
    v = at("a100", "2021-03-01")
    assert v.status == "free"
    assert "no rule yet" in sentence(v)


def test_pending_bills_never_decide() -> None:
    for x in layers():
        if x.rule_id.startswith("US-BILL"):
            assert x.phase(date(2026, 6, 30), last_known()) == "pending"


def test_entities_decide_before_any_chip_test() -> None:
    v = at("l20", "2025-06-01", entity="moore_threads")
    assert (v.us.word, v.us.decided_by) == ("licence_denial", "US-EL-2023-10")
    assert at("l20", "2023-10-01", entity="moore_threads").us.word == "free"
    owned = at("l20", "2025-10-15", owned_by_listed=0.5)
    assert owned.us.decided_by == "US-AFF-2025"
    assert at("l20", "2025-10-15", owned_by_listed=0.49).us.word == "free"
    assert at("l20", "2025-12-15", owned_by_listed=0.5).us.word == "free", "suspended by the truce"


def test_the_review_of_2026_is_for_exports_from_the_united_states() -> None:
    assert at("h200", "2026-02-01").us.word == "licence_case"
    assert at("h200", "2026-02-01", from_us=False).us.word == "licence_denial"


def test_a_notice_takes_twenty_five_days_and_a_licence_by_the_list_none() -> None:
    assert payload(at("l40", "2024-06-01"))["permit_days"] == 25
    assert payload(at("4090", "2024-06-01"))["permit_days"] == 25
    assert payload(at("h100", "2024-06-01"))["permit_days"] == 0
    assert payload(at("l20", "2024-06-01"))["permit_days"] == 0


def test_the_strictest_layer_wins() -> None:
    v = at("mi210", "2025-06-01")
    assert v.us.word == "letter"
    assert {h.layer.rule_id for h in v.us.hits} == {"US-3A090B-2023", "US-INF-2025"}


def test_costs_are_costs_and_no_bars() -> None:
    assert payload(at("h200", "2026-02-01"))["costs"][0]["share"] == 0.25
    assert payload(at("h20", "2025-09-01"))["costs"][0]["share"] == 0.15
    assert payload(at("l20", "2026-02-01"))["costs"] == []


def test_domestic_chips_meet_no_gate_inside_china_and_a_risk_outside() -> None:
    assert at("910c", "2025-06-01").status == "free"
    assert at("910c", "2025-06-01", to="MY").us.decided_by == "US-GP10-2025"
    assert at("910c", "2025-04-01", to="MY").us.word == "free"


def test_minimum_domestic_share_by_class() -> None:
    v = verdicts(NOW, chips=("h20-96",), segments=SEGMENTS, months=("2024-12", "2025-06", "2025-12"))
    assert v.min_domestic_share[:, SEGMENTS.index("public_centre")].tolist() == [0, 0.5, 0.5]
    assert v.min_domestic_share[:, SEGMENTS.index("state_funded")].tolist() == [0, 0, 1]
    assert not v.min_domestic_share[:, [SEGMENTS.index(s) for s in ("platform", "cloud", "private")]].any()
    early = verdicts(Catalogue(date(2025, 2, 25)), chips=("h20-96",), segments=SEGMENTS, months=("2025-12",))
    assert not early.min_domestic_share.any(), "the share was reported in August"
    local = at("l20", "2025-06-01", segment="public_centre", region="Shanghai", catalog=Catalogue(date(2025, 2, 25)))
    assert local.cn.min_domestic_share == 0.5


def test_guidance_that_was_not_applied_is_shown_and_never_decides() -> None:
    v = at("h20", "2025-04-01", segment="private")
    assert v.cn.word == "free"
    assert "CN-ENERGY-2025" in {h.layer.rule_id for h in v.cn.hits}


def test_where_sources_differ_the_answer_says_disputed() -> None:
    assert at("l20", "2025-12-01", segment="public_centre").cn.disputed
    assert not at("l20", "2025-12-01", segment="platform").cn.disputed


def test_the_array_says_what_the_single_question_says() -> None:
    months = ("2022-09", "2023-03", "2023-10", "2023-12", "2025-06", "2026-02", "2026-12")
    chips = ("a100-sxm-80", "l20", "l40", "mi210", "h20-96", "h200-sxm", "ascend-910c", "mi308x")
    for catalog in (NOW, Catalogue(date(2025, 2, 25))):
        known = [c for c in chips if c in catalog.chip_ids()]
        table = verdicts(catalog, chips=known, segments=SEGMENTS, months=months)
        for i, month in enumerate(months):
            day = check.month_end(month)
            for j, segment in enumerate(SEGMENTS):
                for k, chip in enumerate(known):
                    v = verdict(catalog, ask_for(catalog, chip, day, segment=segment))
                    assert US_WORDS[table.us[i, j, k]] == v.us.word, (chip, month)
                    assert CN_WORDS[table.cn[i, j, k]] == v.cn.word, (chip, month, segment)
                    assert table.decided_by[i, j, k] == v.deciding.decided_by or v.past_horizon


@pytest.mark.parametrize("as_of", ["2025-02-25", "2026-05-01", "2026-08-31"])
def test_the_end_of_the_sources_is_the_same_whatever_was_known(as_of: str) -> None:
    """What the sources do not speak of is unknown; before their end the answer is the law as then known."""
    then = Catalogue(date.fromisoformat(as_of))
    within, past = (verdict(then, ask_for(then, "h100", date(2026, *d))) for d in ((6, 30), (7, 1)))
    assert within.status != "unknown"
    assert (past.status, past.last_status) == ("unknown", within.status)
    assert str(past.unknown_after) == str(within.unknown_after) == "2026-06-30"
    assert ("as known on" in sentence(past)) is (as_of < "2026-06-30")


def test_months_past_the_horizon_can_carry_the_last_state() -> None:
    months = ("2026-06", "2026-12")
    plain = verdicts(NOW, chips=("h20-96",), segments=("platform",), months=months)
    carried = verdicts(NOW, chips=("h20-96",), segments=("platform",), months=months, beyond="last")
    assert [US_WORDS[w] for w in plain.us[:, 0, 0]] == ["licence_approval", "unknown"]
    assert [US_WORDS[w] for w in carried.us[:, 0, 0]] == ["licence_approval", "licence_approval"]
    with pytest.raises(InputError, match="beyond must be"):
        verdicts(NOW, chips=("h20-96",), segments=("platform",), months=months, beyond="hope")


def test_a_forecast_never_sees_a_later_row() -> None:
    months = month_range("2025-01", "2027-12")
    early = Catalogue(date(2025, 2, 25))
    table = verdicts(early, chips=("h20-96", "h100-sxm"), segments=SEGMENTS, months=months, beyond="last")
    assert (table.us[:, :, 0] == 0).all()
    seen = {r for r in np.unique(table.decided_by) if r}
    assert all(layer(r).known_by <= early.as_of for r in seen)
    assert table.unknown_after == "2026-06-30"
    plain = verdicts(early, chips=("h20-96",), segments=SEGMENTS, months=months)
    assert [US_WORDS[w] for w in plain.us[:, 0, 0]] == ["free"] * 18 + ["unknown"] * 18


def test_a_dated_what_if_replaces_the_word_from_its_day_on() -> None:
    event = SimpleNamespace(on=date(2025, 4, 9), gate="us", chip="h20", to="licence")
    months = ("2025-03", "2025-04", "2025-12")
    table = verdicts(Catalogue(date(2025, 2, 25)), chips=("h20-96", "l20"), segments=("platform",), months=months,
                     events=(event,))
    assert [US_WORDS[w] for w in table.us[:, 0, 0]] == ["free", "letter", "letter"]
    assert (table.us[:, 0, 1] == 0).all()
    assert table.decided_by[1, 0, 0] == "event 2025-04-09"
    every = SimpleNamespace(on=date(2025, 5, 1), gate="cn", chip="", to="denied")
    table = verdicts(Catalogue(date(2025, 2, 25)), chips=("h20-96", "ascend-910c"), segments=("platform",),
                     months=months, events=(event, every))
    assert [CN_WORDS[w] for w in table.cn[:, 0, 0]] == ["free", "free", "barred"]
    assert (table.cn[:, 0, 1] == 0).all(), "a Chinese chip meets no Chinese gate"
    with pytest.raises(InputError, match="no word of that gate"):
        verdicts(NOW, chips=("h20-96",), segments=("platform",), months=months,
                 events=(SimpleNamespace(on=date(2025, 5, 1), gate="cn", chip="", to="licence"),))


def test_the_order_of_rows_in_the_file_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    months = ("2022-09", "2023-10", "2023-12", "2025-06", "2026-02")
    arguments = {"chips": NOW.chip_ids(), "segments": SEGMENTS, "months": months}
    before = verdicts(NOW, **arguments)
    turned = tuple(reversed(layers()))
    monkeypatch.setattr(rule, "layers", lambda: turned)
    rule.all_layers.cache_clear()
    rule.known_layers.cache_clear()
    try:
        after = verdicts(NOW, **arguments)
    finally:
        rule.all_layers.cache_clear()
        rule.known_layers.cache_clear()
    assert (before.us == after.us).all()
    assert (before.cn == after.cn).all()
    assert (before.decided_by == after.decided_by).all()


def test_a_missing_figure_gives_the_verdict_for_the_possible_range() -> None:
    v = at("b30a", "2024-06-01")
    assert v.us.word == "unknown"
    assert (v.us.low, v.us.high) == ("free", "licence_denial")
    later = at("b30a", "2025-06-01")
    assert later.us.possible == ("free", "notice", "letter", "licence_denial")
    assert later.us.needs == ("tpp", "area_mm2", "dram_bw_gb_s", "io_bidir_gb_s")
    assert "TPP" in sentence(later)


def test_a_bad_row_is_refused_with_its_name() -> None:
    from chipcast.base.catalog import read_table
    from chipcast.base.errors import RuleError

    row = dict(next(r for r in read_table("rules") if r["rule_id"] == "US-3A090A-2023"))
    with pytest.raises(RuleError, match=r"US-3A090A-2023: unknown quantity 'tpq'.*did you mean 'tpp'"):
        read_layer({**row, "test": "tpq >= 3"})
    with pytest.raises(RuleError, match="unknown consequence 'forbidden'"):
        read_layer({**row, "words": "*=forbidden"})
    with pytest.raises(RuleError, match="must be written GROUP=word"):
        read_layer({**row, "words": "licence_denial"})
    with pytest.raises(RuleError, match="must be written FROM state @KNOWN"):
        read_layer({**row, "enforced": "2025-01-01 maybe @2025-01-01"})


def test_defect_a_tool_without_tier_b_and_without_the_letters_calls_parts_free() -> None:
    assert at("l40", "2023-12-01").us.word == "notice"
    assert at("mi210", "2025-06-01").us.word == "letter"


def test_a_rule_of_ones_own_binds_after_the_end_of_the_sources(tmp_path: Path) -> None:
    """What the sources do not speak of the user may: a market of 2026 meets a cap that begins in its autumn."""
    file = tmp_path / "cap.yaml"
    file.write_text("name: cap\nbase: latest\nrules:\n  cap: {effective: 2026-10-01, scope: CN HK MO D5 HQ, "
                    "test: '[mem] dram_bw_gb_s >= 800', to: denied, why: a memory cap}\n", encoding="utf-8")
    book = law_book(load(str(file)))
    months = month_range("2026-08", "2026-12")
    table = verdicts(book, chips=("l20", "l2"), segments=("platform",), months=months, beyond="last")
    assert [US_WORDS[w] for w in table.us[:, 0, 0]] == ["free", "free"] + ["licence_denial"] * 3
    assert [US_WORDS[w] for w in table.us[:, 0, 1]] == ["free"] * 5, "300 GB/s is below the cap"
    after = verdict(book, ask_for(book, "l20", date(2026, 10, 2)))
    assert (after.status, after.last_status) == ("unknown", "denied")
