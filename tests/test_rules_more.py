"""Upstream inputs, costs and delays, places on a map, uncertain chips, histories."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chipcast.base.catalog import Catalogue, last_known
from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.rules.atlas import atlas, everywhere, kinds
from chipcast.rules.check import ask_for, verdict, verdicts
from chipcast.rules.costs import domestic_power_discount, permit_days, permit_delay, price_factor
from chipcast.rules.design import bends, corners, frontier, in_force, ladder, lines, plane
from chipcast.rules.history import MARKS, changes, history, picture, strip
from chipcast.rules.levers import levers
from chipcast.rules.own import own_chip, own_rows
from chipcast.rules.place import place, places
from chipcast.rules.record import STATUS_ORDER, US_WORDS
from chipcast.rules.rule import layer
from chipcast.rules.uncertain import drawn, probabilities
from chipcast.rules.upstream import upstream

NOW = Catalogue(last_known())
FEBRUARY = Catalogue(date(2025, 2, 25))


@pytest.mark.parametrize(("on", "hbm", "foundry", "tools"), [
    ("2022-01-01", "open", "open", "open"), ("2023-08-01", "open", "open", "licence"),
    ("2024-12-01", "open", "open", "licence"), ("2024-12-02", "window", "open", "licence"),
    ("2024-12-30", "window", "open", "licence"), ("2024-12-31", "closed", "open", "licence"),
    ("2025-01-16", "closed", "window", "licence"), ("2025-01-31", "closed", "closed", "licence"),
    ("2026-12-31", "closed", "closed", "licence"),
])
def test_who_can_build_by_date(on: str, hbm: str, foundry: str, tools: str) -> None:
    state = upstream(NOW, date.fromisoformat(on))
    assert (state["hbm"].state, state["foundry"].state, state["tools"].state) == (hbm, foundry, tools)
    assert state["hbm"].open is (hbm in ("open", "window"))


def test_upstream_names_the_row_that_decides_and_the_window() -> None:
    state = upstream(NOW, date(2024, 12, 15))
    assert state["hbm"].rule_id == "US-HBM-2024"
    assert (state["hbm"].until - state["hbm"].since).days == 29  # type: ignore[operator]
    assert set(upstream(NOW, date(2025, 6, 1))["tools"].layers) == {"NL-2023", "NL-2024", "JP-2023", "US-FDP5-2024"}
    assert upstream(Catalogue(date(2024, 11, 1)), date(2025, 6, 1))["hbm"].state == "open", "not known yet"
    assert "last known state" in upstream(NOW, date(2026, 12, 1))["hbm"].why


def test_a_what_if_opens_what_the_rule_shut() -> None:
    event = SimpleNamespace(on=date(2025, 3, 1), gate="hbm", chip="", to="open")
    assert upstream(FEBRUARY, date(2025, 2, 28), events=(event,))["hbm"].state == "closed"
    after = upstream(FEBRUARY, date(2025, 3, 1), events=(event,))
    assert (after["hbm"].state, after["hbm"].rule_id) == ("open", "event 2025-03-01")
    assert after["foundry"].state == "closed"
    with pytest.raises(InputError, match="write open, closed or licence"):
        upstream(FEBRUARY, date(2025, 4, 1),
                 events=(SimpleNamespace(on=date(2025, 3, 1), gate="hbm", to="discouraged"),))


def test_delays_and_costs_for_the_market() -> None:
    table = verdicts(NOW, chips=("l40", "h100-sxm", "l20"), segments=("platform",), months=("2024-06",))
    assert permit_delay(NOW, table)[0, 0].tolist() == [25, 0, 0]
    assert permit_days(Catalogue(date(2023, 1, 1)), "notice") == 0, "the exception was not written yet"
    factor = price_factor(NOW, ("h200-sxm", "h20-96", "mi325x", "l20"), ("2025-06", "2025-09", "2026-02"))
    assert factor == pytest.approx(np.array([[1, 1, 1, 1], [1, 1.15, 1, 1], [1.25, 1.15, 1.25, 1]]))
    assert (price_factor(FEBRUARY, ("h20-96",), ("2025-09",)) == 1).all()
    assert domestic_power_discount(NOW, date(2025, 12, 1)) == 0.5
    assert domestic_power_discount(NOW, date(2025, 6, 1)) == 0


def test_the_map_says_what_each_single_question_says() -> None:
    for chip, hq in (("h100", ""), ("h100", "CN"), ("910c", ""), ("l40", "")):
        found = everywhere(NOW, chip, date(2025, 8, 1), hq=hq)
        assert set(found) == {p.code for p in places()}
        for code in ("CN", "HK", "MO", "TW", "VN", "MY", "AE", "IL", "RU", "US", "DE", "CY", "PR", "SG"):
            one = verdict(NOW, ask_for(NOW, chip, date(2025, 8, 1), to=code, hq=hq))
            assert found[code].status == one.status, (chip, hq, code)
            assert found[code].us.decided_by == one.us.decided_by
            assert found[code].ask.to.code == code


def test_places_that_the_rules_cannot_tell_apart_are_asked_once() -> None:
    groups = kinds(places())
    assert sum(len(g) for g in groups.values()) == len(places())
    assert len(groups) < 30 < len(places())


def test_the_atlas_is_the_same_as_single_questions() -> None:
    days = [date(2023, 3, 1), date(2023, 10, 25), date(2024, 8, 1), date(2025, 6, 1), date(2025, 9, 20),
            date(2026, 2, 1), date(2026, 12, 1)]
    chips, places_ = ("h20-96", "h100-sxm", "6000d", "910c", "h200-sxm"), ("CN", "AE", "MY", "RU", "SG", "MO")
    table = atlas(NOW, chips, places_, days)
    assert table.shape == (5, 6, 7)
    for i, chip in enumerate(chips):
        for j, to in enumerate(places_):
            for k, day in enumerate(days):
                assert STATUS_ORDER[table[i, j, k]] == verdict(NOW, ask_for(NOW, chip, day, to=to)).status


def test_every_country_has_one_row_and_china_holds_all_its_groups() -> None:
    assert len({p.code for p in places()}) == len(places()) > 200
    assert {"D1", "D4", "D5"} <= place("CN").groups
    assert place("Hong Kong").arms_group == "D5"
    assert place("Macau").arms_group == "MO"
    assert place("Cyprus").arms_group == "", "in A:6 too"
    assert sum("DIFF18" in p.groups for p in places()) == 18


def test_a_history_is_what_single_days_say() -> None:
    ask = ask_for(NOW, "h20", date(2023, 11, 9))
    begin, until = date(2023, 11, 9), date(2026, 12, 31)
    spans = history(NOW, ask, begin=begin, until=until)
    assert spans[0].begin == begin
    assert spans[-1].until == until
    for a, b in itertools.pairwise(spans):
        assert b.begin - a.until == timedelta(days=1)
    for span in spans:
        for day in (span.begin, span.until, span.begin + (span.until - span.begin) / 2):
            v = verdict(NOW, replace(ask, on=day))
            assert (v.us.word, v.cn.word, v.status) == (span.us, span.cn, span.status), day


def test_what_was_known_then_differs_from_what_is_known_now() -> None:
    ask = ask_for(NOW, "h20", date(2025, 3, 1))
    now = history(NOW, ask, begin=date(2025, 3, 1), until=date(2025, 6, 1))
    then = history(NOW, ask, begin=date(2025, 3, 1), until=date(2025, 6, 1), as_known_then=True)
    assert [s.begin for s in now] == [date(2025, 3, 1), date(2025, 4, 9)]
    assert [s.begin for s in then] == [date(2025, 3, 1), date(2025, 4, 15)], "the letter was public six days later"
    with pytest.raises(InputError, match="not lie before"):
        history(NOW, ask, begin=date(2025, 3, 1), until=date(2025, 2, 1))


def test_no_answer_changes_between_two_change_days() -> None:
    """Negative control for the list of change days: sample days inside each gap for many chips."""
    days = [d for d in changes(NOW) if date(2022, 1, 1) <= d <= date(2026, 6, 30)]
    for chip in ("a100-sxm-80", "h20-96", "l40", "h200-sxm", "mi210"):
        ask = ask_for(NOW, chip, date(2022, 1, 1))
        for a, b in itertools.pairwise(days):
            first, last = (verdict(NOW, replace(ask, on=d)) for d in (a, b - timedelta(days=1)))
            assert (first.us.word, first.cn.word, first.us.enforced) == (last.us.word, last.cn.word, last.us.enforced)


def test_the_picture_has_one_bar_per_run_and_hatches_doubt() -> None:
    spans = history(NOW, ask_for(NOW, "a800", date(2022, 11, 7), to="MY", hq="CN"), begin=date(2022, 11, 7),
                    until=date(2026, 12, 31))
    tones = dict.fromkeys(STATUS_ORDER, "#123456")
    text = picture(spans, title="A & B", foot="<none>", colours=tones, chinese=False)
    assert text.count("<title>") == len(spans)
    assert text.count('fill="url(#doubt)"') == sum(s.enforced == "doubtful" for s in spans) == 1
    assert "A &amp; B" in text
    assert "Chinese gate" not in text
    assert "Chinese gate" in picture(spans, title="x", foot="y", colours=tones)


def test_the_history_in_signs_says_what_the_spans_say() -> None:
    spans = history(NOW, ask_for(NOW, "h20", date(2024, 1, 1)), begin=date(2024, 1, 1), until=date(2026, 12, 31))
    years, us, cn, legend = strip(spans, width=36)
    assert years.split() == ["2024", "2025", "2026"]
    assert us.split()[-1] == "." * 15 + "L" * 15 + "?" * 6, "a sign a month"
    assert cn.split()[-1] == "." * 19 + "d" * 11 + "?" * 6
    assert "L licence" in legend
    assert "denied" not in legend
    assert len(strip(spans, chinese=False)) == 3
    assert set(MARKS) == {*STATUS_ORDER, "disputed"}
    assert len(set(MARKS.values())) == len(MARKS)


def test_the_frontier_follows_the_rows_and_bends_where_they_say() -> None:
    assert bends() == (500, 750, 1500, 3000)
    assert corners("US-3A090A-2023") == ((4800, 0), (1600, 5.92))
    assert corners("US-3A090B-2023") == ((2400, 1.6), (1600, 3.2))
    areas = np.linspace(50, 6000, 5000)
    closed = np.maximum(1600, np.maximum(np.minimum(2400, 3.2 * areas), np.minimum(4800, 1.6 * areas)))
    assert frontier(areas) == pytest.approx(closed)
    assert float(frontier(858)) == 2400, "one die at the reticle limit cannot pass this"


def test_lines_are_in_force_only_while_the_rule_binds() -> None:
    assert in_force(NOW, date(2023, 11, 16)) == []
    assert len(in_force(NOW, date(2023, 11, 17))) == 4
    found = lines(NOW, ask_for(NOW, "l20", date(2025, 6, 1)))
    assert (found[0]["prong"], round(found[0]["slack"][0], 4)) == ("b.2", 0.0182)
    assert {r["prong"] for r in found} == {"a.1", "a.2", "b.1", "b.2", "dram", "io", "sum"}


def test_the_ladder_puts_parts_designed_to_the_line_first() -> None:
    rungs = ladder(FEBRUARY, date(2025, 2, 25))
    assert [r["chip"] for r in rungs[:3]] == ["h20-96", "l20", "l2"]
    assert not any(r["chip"].startswith("ascend") for r in rungs)


def test_the_arrays_of_the_plane() -> None:
    p = plane(FEBRUARY, date(2025, 2, 25))
    by = {x["chip"]: x for x in p["points"]}
    assert by["h20-96"]["tpp"] == [2368, 2368]
    assert by["h20-96"]["status"] == "free"
    assert len(p["corners"]) == 4
    assert plane(NOW, date(2023, 1, 1))["corners"] == []


def test_probabilities_of_an_uncertain_chip(given: Given) -> None:
    fields = {"fp16_tflops": 140, "die_area_mm2": "680 to 830", "io_bidir_gb_s": 400, "mem_bw_gb_s": 1200}
    figures = own_chip(fields, name="mine", catalog=FEBRUARY)
    ask = ask_for(FEBRUARY, figures, date(2025, 2, 25))
    assert verdict(FEBRUARY, ask).us.word == "unknown"
    table = given.with_rows(own_rows(fields, name="mine", catalog=FEBRUARY))
    result = probabilities(table, "mine", ask)
    area = drawn(table, "mine")["area_mm2"]
    assert sum(result["us"].values()) == pytest.approx(1)
    assert result["us"]["notice"] == pytest.approx(float(np.mean(2240 / area >= 3.2)))
    assert 0.05 < result["us"]["notice"] < 0.3


def test_a_certain_chip_has_one_answer_with_probability_one(given: Given) -> None:
    for chip in ("h20-96", "l20", "h100-sxm", "mi325x"):
        ask = ask_for(FEBRUARY, chip, date(2025, 2, 25))
        assert probabilities(given, chip, ask)["us"] == {verdict(FEBRUARY, ask).us.word: 1.0}


def test_the_range_holds_every_word_that_a_draw_can_give(given: Given) -> None:
    fields = {"fp16_tflops": "90 to 330", "die_area_mm2": "400 to 1200", "io_bidir_gb_s": 400, "mem_bw_gb_s": 1200}
    wide = fields | {"fp16_tflops": "60 to 600", "die_area_mm2": "200 to 3000"}
    figures = own_chip(wide, name="mine", catalog=FEBRUARY)
    ask = ask_for(FEBRUARY, figures, date(2025, 2, 25))
    v = verdict(FEBRUARY, ask)
    result = probabilities(given.with_rows(own_rows(fields, name="mine", catalog=FEBRUARY)), "mine", ask)
    assert {"free", "notice", "licence_denial"} <= set(result["us"])
    assert all(US_WORDS.index(v.us.low) <= US_WORDS.index(w) <= US_WORDS.index(v.us.high) for w in result["us"])


def test_policies_for_open_figures(cli: Callable[..., Any], cli_json: Callable[..., Any], tmp_path: Path) -> None:
    code, _, err = cli("rules", "check", "b30a", "--on", "2025-06-01", "--unknown", "refuse")
    assert code == 2
    assert "needs tpp, area_mm2, dram_bw_gb_s, io_bidir_gb_s" in err
    path = tmp_path / "mine.yaml"
    path.write_text("fp16_tflops: 140\ndie_area_mm2: 680 to 830\nio_bidir_gb_s: 400\nmem_bw_gb_s: 1200\n", "utf-8")
    r = cli_json("rules", "check", str(path), "--on", "2025-06-01", "--unknown", "probability", "--draws", "500")
    assert r["status"] == "unknown"
    assert set(r["probability"]["status"]) == {"free", "notified_exception"}
    code, _, err = cli("rules", "check", "h20", "--unknown", "hope")
    assert code == 2
    assert "known: interval, probability, refuse" in err
    code, _, err = cli("rules", "check", "h20", "--unknown", "probability", "--as-of", "2024-06-01")
    assert code == 2
    assert "needs draws" in err


def test_map_verb_and_its_warning(cli: Callable[..., Any], cli_json: Callable[..., Any]) -> None:
    r = cli_json("rules", "map", "h100", "--on", "2024-08-01")
    assert r["countries"]["CN"]["status"] == "denied"
    assert r["countries"]["DE"]["status"] == "free"
    assert r["countries"]["AE"]["status"] == "licence"
    assert "of an embargo it knows the place" in " ".join(cli("rules", "map", "h100", "--on", "2024-08-01")[1].split())
    assert cli_json("rules", "map", "l20", "--on", "2024-08-01")["countries"]["IR"]["status"] == "unknown"
    assert "embargoes" in cli("rules", "check", "l20", "--to", "Iran", "--on", "2025-03-01")[1]


def test_the_horizon_of_every_row_is_one_date() -> None:
    assert layer("US-CBC-2026").horizon == date(2026, 6, 30)


def test_one_cold_answer_loads_neither_scipy_nor_charts() -> None:
    import subprocess
    import sys

    code = ("import sys; from chipcast.cli import main; "
            "main(['rules', 'check', 'l20', '--on', '2025-06-01', '--json']); "
            "bad = {'scipy', 'altair', 'polars', 'chipcast.scenario', 'numba'} & set(sys.modules); "
            "sys.exit(str(bad) if bad else 0)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"status": "free"' in done.stdout


@pytest.mark.parametrize(("chip", "on"), [("l20", "2025-06-01"), ("l40", "2025-06-01"), ("mi210", "2025-06-01"),
                                          ("h200", "2026-02-01"), ("a100", "2023-03-01"), ("4090", "2024-06-01")])
def test_a_lever_crosses_exactly_where_it_says(chip: str, on: str) -> None:
    ask = ask_for(NOW, chip, date.fromisoformat(on))
    now = verdict(NOW, ask).us.word
    found = levers(NOW, ask)
    assert found
    for r in found:
        words = []
        beyond = 1 if r["side"] == "from" else -1
        for value in (r["to"] * (1 + beyond * 1e-9), r["to"] * (1 - beyond * 1e-9)):
            changed: dict[str, Any] = {r["quantity"]: (value, value)}
            f = replace(ask.figures, **changed)
            f = replace(f, pd=(f.tpp[0] / f.area_mm2[1], f.tpp[1] / f.area_mm2[0]))
            words.append(verdict(NOW, replace(ask, figures=f)).us.word)
        assert words == [r["us"], now], r
        assert r["milder"] == (US_WORDS.index(r["us"]) < US_WORDS.index(now))


def test_there_is_no_lever_where_a_name_decides_or_a_figure_is_open() -> None:
    named = levers(NOW, ask_for(NOW, "h20", date(2025, 6, 1)))
    assert not any(r["milder"] for r in named), "a named part stays named"
    assert levers(NOW, ask_for(NOW, "b30a", date(2025, 6, 1))) == []
    assert levers(NOW, ask_for(NOW, "910c", date(2025, 6, 1))) == []


def test_the_answer_says_what_would_change_it(cli: Callable[..., Any], cli_json: Callable[..., Any]) -> None:
    out = cli("rules", "check", "l20", "--on", "2025-06-01")[1]
    assert "the line of US-INF-2025 is 536 GB/s away" in out
    assert "die area below 597.5 mm2 (now 608.5): notice" in out
    assert "memory bandwidth from 1400 GB/s up (now 864): licence by letter" in out
    r = cli_json("rules", "check", "l40", "--on", "2025-06-01")["would_change"][0]
    assert (r["quantity"], r["us"], r["milder"]) == ("tpp", "free", True)
    assert r["to"] == pytest.approx(3.2 * 608.5)
