"""An answer as a page shows it: what it says, why, in pictures and tables, from which sources, and how to repeat it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from chipcast.base.catalog import sources
from chipcast.base.summary import plain, short
from chipcast.report.figure import legend, rows_csv
from chipcast.report.figure import table as table_html
from chipcast.report.mark import Marks, source_words
from chipcast.report.record import Picture, Table
from chipcast.report.theme import CONFIG, sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One answer, ready for a page."""

    headline: str
    """The answer in a sentence."""
    badge: tuple[str, str] | None = None
    """A word with its colour, where the answer is one."""
    lines: tuple[str, ...] = ()
    """The reason, sentence by sentence."""
    pictures: tuple[Picture, ...] = ()
    """Charts."""
    tables: tuple[Table, ...] = ()
    """Tables."""
    cites: tuple[str, ...] = ()
    """Keys of sources behind the answer."""
    scenario: str = ""
    """Scenario whose numbers it rests on; its page lists each with its source."""
    foot: str = ""
    """What a reader must know about it."""


DAY = re.compile(r"\b(\d{4}-\d{2}-\d{2})\b")
"""A date in a cell."""

NO_MARKS = Marks(None, {})
"""Pages cite below the answer and not in the text."""


def specs_of(view: View) -> str:
    """Return what the pictures of a view are drawn from, as one JSON text."""
    charts = {f"chart-{p.id}-{i}": {**panel.spec, "description": panel.title or p.title}
              for p in view.pictures for i, panel in enumerate(p.panels) if not panel.svg}
    return json.dumps(plain({"config": CONFIG, "charts": charts}), ensure_ascii=False, separators=(",", ":"),
                      allow_nan=False)


def legend_html(names: Iterable[tuple[str, str]]) -> Markup:
    """Return names with their colours."""
    return Markup(legend(names))


def table_of(table: Table) -> Markup:
    """Return a table as the report shows it, with dates that do not break."""
    return Markup(DAY.sub(r'<span class="day">\1</span>', table_html(table, NO_MARKS)))


def csv_address(picture: Picture) -> str:
    """Return the data of a picture as an address that a browser saves."""
    return "data:text/csv;charset=utf-8," + quote(rows_csv(picture.rows), safe=",;:()*+-._~")


def references(keys: Iterable[str]) -> list[Markup]:
    """Return the sources of an answer, each once, in the report's own words."""
    known = sources()
    return [Markup(source_words(known[k])) for k in dict.fromkeys(keys) if k in known]


def signed(x: float) -> str:
    """Return a number with its sign."""
    return f"+{short(x)}" if x > 0 else short(x)


def range_words(interval: Mapping[str, float], *, percent: bool = False, sign: bool = False) -> str:
    """Return an interval as median and ends."""
    word = (lambda x: f"{x:+.1%}" if sign else f"{x:.0%}") if percent else (signed if sign else short)
    return f"{word(interval['p50'])} ({word(interval['p05'])} to {word(interval['p95'])})"


def said(texts: Iterable[Any]) -> tuple[str, ...]:
    """Return texts as sentences, empty ones left out."""
    return tuple(sentence(str(t)) for t in texts if t)
