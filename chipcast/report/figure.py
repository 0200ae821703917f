"""Pieces of the page: a picture with its finding, data and what moved it; a table; a legend."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any
from urllib.parse import quote

from chipcast.report.mark import Marks, anchor
from chipcast.report.record import Picture, Story, Table
from chipcast.report.theme import quantity_name


def figure(picture: Picture, marks: Marks, specs: dict[str, Any], story: Story,
           moved: Iterable[tuple[str, float]] = ()) -> str:
    """Return a picture with its finding, its data and what moved it; its drawings go into `specs` by place."""
    panels = []
    for i, panel in enumerate(picture.panels):
        place = f"chart-{picture.id}-{i}"
        drawing = f'<div class="drawing">{panel.svg}</div>'
        if not panel.svg:
            specs[place] = {**panel.spec, "description": panel.title or picture.title}
            drawing = f'<div class="chart" id="{place}"></div>'
        head = f"<h4>{escape(panel.title)}</h4>" if panel.title else ""
        panels.append(f'<div class="panel">{head}{legend(panel.legend)}{drawing}</div>')
    form = "panels three" if len(panels) in (3, 5, 6) and not picture.wide else "panels"
    cite = (
        f"chipcast {story.version}".strip()
        + f", {story.scenario} as of {story.as_of}, {story.draws:,} draws, seed {story.seed}"
    )
    refs = marks.html(k for k in picture.marks if k in story.sources)
    data = quote(rows_csv(picture.rows), safe=",;:()*+-._~")
    return (
        f'<figure id="fig-{picture.id}"><p class="finding">{escape(picture.title)}{marks.html(picture.marks)}</p>'
        f'<p class="how">{escape(picture.note)}</p>{legend(picture.legend)}'
        f'<div class="{form}">{"".join(panels)}</div><figcaption>{moved_line(moved, marks)}Cite as: {escape(cite)}'
        f"{', sources ' + refs if refs else ''}. "
        f'<a class="csv" download="{picture.id}.csv" href="data:text/csv;charset=utf-8,{data}">Data as '
        f"CSV</a></figcaption></figure>"
    )


def moved_line(moved: Iterable[tuple[str, float]], marks: Marks) -> str:
    """Return a line that names the numbers a finding hangs on most, each with its own mark."""
    words = [f'<a href="#{anchor(name)}">{escape(quantity_name(name))}</a>{marks.html([name])} ({r:+.2f})'
             for name, r in moved]
    if not words:
        return ""
    return f'<span class="moved">Moved most by (rank correlation over the draws): {"; ".join(words)}.</span> '


def legend(names: Iterable[tuple[str, str]]) -> str:
    """Return names with their colours, nothing where there are none."""
    items = "".join(f'<li><i style="background:{c}"></i>{escape(n)}</li>' for n, c in names)
    return f'<ul class="legend">{items}</ul>' if items else ""


def rows_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as CSV with all keys as columns, in the order in which they first appear."""
    listed = list(rows)
    columns = list(dict.fromkeys(k for r in listed for k in r))
    lines = io.StringIO()
    out = csv.DictWriter(lines, columns, lineterminator="\n", restval="")
    out.writeheader()
    out.writerows(listed)
    return lines.getvalue()


def table(t: Table, marks: Marks) -> str:
    """Return a table with its title, marks and foot."""
    columns = "".join(f"<th>{escape(c)}</th>" for c in t.columns)
    rows = "".join("<tr>" + "".join(_cell(c) for c in row) + "</tr>" for row in t.rows)
    foot = f'<p class="foot">{escape(t.foot)}</p>' if t.foot else ""
    return (
        f'<h3 id="{t.id}">{escape(t.title)}{marks.html(t.marks)}</h3><div '
        f'class="scroll"><table><thead><tr>{columns}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{foot}"
    )


def _cell(text: str) -> str:
    kind = ' class="long"' if len(text) > 60 else ""
    return f"<td{kind}>{escape(text)}</td>"
