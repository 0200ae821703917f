"""Tables say in words what the records hold, for the terminal and the page alike."""

from __future__ import annotations

import numpy as np
import report_story

from chipcast.fab.record import LIMITS
from chipcast.report import section, table
from chipcast.report.chart import draw
from chipcast.report.record import Story


def test_every_table_is_rectangular_and_text() -> None:
    tables = table.headline(report_story.story())
    assert [t.id for t in tables] == [
        "claims-table",
        "output-table",
        "money-table",
        "status-table",
        "service-table",
        "goodput-table",
        "market-table",
        "plan-table",
    ]
    for t in tables:
        assert t.rows, t.id
        for row in t.rows:
            assert len(row) == len(t.columns), t.id
            assert all(isinstance(c, str) and c for c in row), (t.id, row)
            assert not any("nan" in c.lower().split() for c in row), (t.id, row)


def test_what_is_missing_has_no_table() -> None:
    assert table.headline(Story(scenario="x", as_of="2025-02-25", draws=100, seed=1)) == []


def test_a_chip_without_a_layout_says_why() -> None:
    rows = {r[0]: r for r in table.service(report_story.service()).rows}
    assert "do not fit" in rows["L20"][-1]


def test_one_number_is_printed_where_all_draws_agree() -> None:
    assert table.span(np.full(10, 3.0)) == "3"
    assert table.span(np.array([1.0, 2.0, 3.0])) == "2 (1.1 to 2.9)"
    assert table.span(np.array([np.nan, 2.0])) == "2"


def test_binding_shares_name_the_limit_that_binds() -> None:
    line = report_story.line()
    import dataclasses

    only = dataclasses.replace(line, binding=np.full_like(line.binding, LIMITS.index("hbm")))
    assert all(r[-1] == "memory stacks 100%" for r in table.output(only).rows)


def test_sections_follow_the_line_and_tell_numbers() -> None:
    story = report_story.story()
    parts = section.sections(story, draw(story))
    assert [p.id for p in parts] == list(section.SECTIONS)
    for part in parts:
        assert any(c.isdigit() for c in part.text), part.id
        assert part.text.endswith(".") and "  " not in part.text
        assert part.marks


def test_profit_share_in_the_text_is_that_of_the_draws() -> None:
    import dataclasses

    story = report_story.story()
    assert story.line is not None
    rich = dataclasses.replace(
        story, line=dataclasses.replace(story.line, profit_usd=np.abs(story.line.profit_usd) + 1)
    )
    part = section.money(rich, {})
    assert part is not None and "above zero in 100% of the draws" in part.text
