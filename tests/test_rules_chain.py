"""Rules, chips and dated what-ifs of a scenario reach the whole line: who may build and who may buy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chipcast import chain
from chipcast.base.types import Array
from chipcast.rules.record import CN_WORDS, US_WORDS
from chipcast.rules.upstream import passages

DRAWS = 100


def ready(tmp_path: Path, text: str = "") -> chain.Ready:
    path = tmp_path / "mine.yaml"
    path.write_text("base: february-2025\nname: mine\n" + text, encoding="utf-8")
    return chain.prepare(str(path), draws=DRAWS, prior=True)


def cards(r: chain.Ready, *, controls: bool = True) -> Array:
    """Return cards made over the whole horizon, by draw."""
    total: Array = chain.make(replace(r.setting, controls=controls), r.given).packages.sum(axis=(0, 1))
    return total


OPEN_BY_EVENT = "events:\n  - {on: 2025-09-01, gate: hbm, to: open}\n"
OPEN_BY_RULE = "rules:\n  US-HBM-2024: {end: 2025-09-01}\n"
SHUT_BY_EVENT = "events:\n  - {on: 2025-09-01, gate: hbm, to: closed}\n"


def test_without_controls_more_is_built(tmp_path: Path) -> None:
    r = ready(tmp_path)
    free, bound = cards(r, controls=False), cards(r)
    assert np.mean(free) > 1.1 * np.mean(bound)
    assert np.mean(free > bound) > 0.8, "in some draws home starts would be fewer, since foreign dies are bought"


def test_a_rule_that_ends_builds_as_much_as_the_event_that_opens_its_gate(tmp_path: Path) -> None:
    base = cards(ready(tmp_path))
    by_event, by_rule = cards(ready(tmp_path, OPEN_BY_EVENT)), cards(ready(tmp_path, OPEN_BY_RULE))
    assert by_event == pytest.approx(by_rule)
    assert by_event.mean() > base.mean()
    assert cards(ready(tmp_path, SHUT_BY_EVENT)).mean() < base.mean()


def test_the_shipped_rules_leave_the_line_as_it_is(tmp_path: Path) -> None:
    r = ready(tmp_path)
    assert passages(r.given.catalog, r.setting.line_months) == ({}, {})


def test_which_gates_a_scenario_moves_and_when(tmp_path: Path) -> None:
    r = ready(tmp_path, "events:\n  - {on: 2025-09-01, gate: hbm, to: closed}\n"
                        "  - {on: 2026-03-01, gate: hbm, to: open}\n"
                        "rules:\n  no-tools: {gate: tools, effective: 2025-06-01}\n"
                        "  US-FOUNDRY-2025: {end: 2026-01-01}\n")
    shut, free = passages(r.given.catalog, r.setting.line_months, events=r.setting.scenario.events)
    assert {k: str(v) for k, v in shut.items()} == {"hbm": "2025-09-01", "tools": "2025-06-01"}
    assert {k: str(v) for k, v in free.items()} == {"hbm": "2026-03-01", "foundry": "2026-01-01"}
    shut, free = passages(r.given.catalog, r.setting.line_months, events=r.setting.scenario.events, controls=False)
    assert (set(shut), set(free)) == ({"hbm"}, {"hbm"}), "without controls no rule acts, events still do"


def test_verdicts_of_a_run_see_rules_chips_and_events_and_the_law_sees_no_event(tmp_path: Path) -> None:
    r = ready(tmp_path, "chips:\n  my-npu: {base: h20, fp8_tflops: 700, die_area_mm2: 800}\n"
                        "rules:\n  cap: {effective: 2025-07-01, scope: CN HK MO, test: tpp >= 2000, to: denied}\n"
                        "  slow: {gate: cn, effective: 2025-08-01, chips: h20, to: discouraged, segments: platform}\n"
                        "events:\n  - {on: 2025-10-01, gate: us, chip: h20, to: open}\n")
    v, law = r.setting.verdicts, r.setting.law
    row = {m: i for i, m in enumerate(v.months)}
    h20, mine = v.chips.index("h20-96"), v.chips.index("my-npu")
    assert US_WORDS[v.us[row["2025-06"], 0, mine]] == "licence_denial", "5600 of TPP is tier .a"
    assert US_WORDS[v.us[row["2025-06"], 0, h20]] == "free"
    assert US_WORDS[v.us[row["2025-07"], 0, h20]] == "licence_denial"
    assert v.decided_by[row["2025-07"], 0, h20] == "cap"
    assert US_WORDS[v.us[row["2025-10"], 0, h20]] == "free"
    assert US_WORDS[law.us[row["2025-10"], 0, h20]] == "licence_denial"
    platform, private = v.segments.index("platform"), v.segments.index("private")
    assert CN_WORDS[v.cn[row["2025-08"], platform, h20]] == "discouraged"
    assert CN_WORDS[v.cn[row["2025-08"], private, h20]] == "free"


def test_a_broken_rule_stops_a_run_in_one_sentence(tmp_path: Path) -> None:
    from chipcast.base.errors import InputError

    with pytest.raises(InputError, match=r"mine.yaml:4: rules.cap: .*did you mean 'tpp'"):
        ready(tmp_path, "rules:\n  cap: {effective: 2025-07-01, test: tpq >= 2000, to: denied}\n")
    with pytest.raises(InputError, match=r"mine.yaml:4: rules.cap: say from which day"):
        ready(tmp_path, "rules:\n  cap: {to: denied}\n")
