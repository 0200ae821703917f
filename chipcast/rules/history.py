"""A chip's status over time: every change, the row behind it, and a picture."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from xml.sax.saxutils import escape

from chipcast.base.catalog import Catalogue
from chipcast.base.errors import require
from chipcast.rules.answer import Shipment
from chipcast.rules.assess import assessor
from chipcast.rules.check import Verdict, verdict
from chipcast.rules.overrule import begins
from chipcast.rules.record import STATUS_OF
from chipcast.rules.rule import all_layers, known_layers, sources_end


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Days on which the answer stays the same."""

    begin: date
    """First day."""
    until: date
    """Last day."""
    us: str
    """Word of the US gate."""
    cn: str
    """Word of the Chinese gate."""
    status: str
    """Combined word."""
    decided_by: str
    """Row that decides, empty where free."""
    us_by: str
    """Row that decides the US gate."""
    cn_by: str
    """Row that decides the Chinese gate."""
    enforced: str
    """yes, doubtful or empty, of the US gate."""


def changes(catalog: Catalogue, *, as_known_then: bool = False, events: Iterable[Any] = ()) -> tuple[date, ...]:
    """Return all days on which any answer may change, in order.

    With `as_known_then` also the days on which rows and ends became public.
    """
    days: set[date] = {begins(e) for e in events}
    for x in all_layers(catalog.laws) if as_known_then else known_layers(catalog):
        if not x.known(catalog.as_of):
            continue
        if x.effective is not None:
            days.add(x.effective)
        for day in (x.end, x.end_known_by) if as_known_then else (x.last_day(catalog.as_of),):
            if day.year < 9999:
                days.add(day)
        days |= {begin for begin, _, known in x.enforced if known <= catalog.as_of}
        days |= set(x.scope_from.values())
        if as_known_then:
            days |= {x.known_by, *(known for _, _, known in x.enforced)}
    days.add(sources_end() + timedelta(days=1))
    return tuple(sorted(days))


def history(catalog: Catalogue, ask: Shipment, *, begin: date, until: date,
            as_known_then: bool = False, events: Iterable[Any] = ()) -> tuple[Span, ...]:
    """Return the spans of one shipment's answer between two days.

    Parameters
    ----------
    catalog : Catalogue
        Rows known by the information date.
    ask : Shipment
        Chip, destination, headquarters and buyer; its day is ignored.
    begin, until : date
        First and last day.
    as_known_then : bool
        Answer each day with what was public on that day, in place of what is known now about it.
    events : iterable
        Dated what-ifs, see `overrule`.
    """
    require(begin <= until, "until", f"not lie before {begin}", until)
    assess = assessor(ask.figures, from_us=ask.from_us)
    out: list[Span] = []
    events = tuple(events)
    days = [begin, *(d for d in changes(catalog, as_known_then=as_known_then, events=events) if begin < d <= until)]
    for i, day in enumerate(days):
        last = days[i + 1] - timedelta(days=1) if i + 1 < len(days) else until
        then = replace(catalog, as_of=min(day, catalog.as_of)) if as_known_then else catalog
        span = _span(verdict(then, replace(ask, on=day), assess=assess, events=events), last)
        if out and _same(out[-1], span):
            out[-1] = replace(out[-1], until=last)
        else:
            out.append(span)
    return tuple(out)


def _span(v: Verdict, until: date) -> Span:
    past = v.past_horizon
    return Span(begin=v.ask.on, until=until, us=v.us.word, cn=v.cn.word, status=v.status,
                decided_by="" if past else v.deciding.decided_by, us_by="" if past else v.us.decided_by,
                cn_by="" if past else v.cn.decided_by, enforced="" if past else v.us.enforced)


def _same(a: Span, b: Span) -> bool:
    return (a.us, a.cn, a.us_by, a.cn_by, a.enforced) == (b.us, b.cn, b.us_by, b.cn_by, b.enforced)


MARKS = {"free": ".", "discouraged": "d", "notified_exception": "n", "licence": "L", "case_by_case": "c", "denied": "X",
         "unknown": "?", "disputed": "!"}
"""Sign of each combined status in the picture of signs."""


def strip(spans: Sequence[Span], *, width: int = 84, chinese: bool = True) -> list[str]:
    """Return the history as lines of signs: years, the US gate, the Chinese gate, and what the signs mean.

    Parameters
    ----------
    width : int
        Signs in a line.
    chinese : bool
        Whether the shipment meets the Chinese gate.
    """
    first, last = spans[0].begin, spans[-1].until
    days = (last - first).days + 1
    width = min(width, days)
    at = [first + timedelta(days=int((i + 0.5) * days / width)) for i in range(width)]
    found = [next(s for s in spans if s.begin <= day <= s.until) for day in at]
    years = [" "] * (width + 4)
    starts = [i for i, day in enumerate(at) if i == 0 or at[i - 1].year != day.year]
    for i, after in itertools.pairwise([*starts, width + 5]):
        if after - i > len(str(at[i].year)):
            years[i:i + 4] = str(at[i].year)
    us = "".join(MARKS[STATUS_OF[s.us]] for s in found)
    lines = ["              " + "".join(years).rstrip(), "US gate       " + us]
    words = {STATUS_OF[s.us] for s in found}
    if chinese:
        lines.append("Chinese gate  " + "".join(MARKS[STATUS_OF[s.cn]] for s in found))
        words |= {STATUS_OF[s.cn] for s in found}
    return [*lines, "              " + "   ".join(f"{MARKS[w]} {w.replace('_', ' ')}" for w in MARKS if w in words)]


WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 960, 112, 24, 46, 12, 64
"""Measures of the picture. [px]"""


def picture(spans: Sequence[Span], *, title: str, foot: str, colours: Mapping[str, str],
            chinese: bool = True) -> str:
    """Return the history as SVG: the US gate above the Chinese gate, time to the right, hatched where in doubt.

    Parameters
    ----------
    spans : sequence of Span
        What `history` returns.
    title, foot : str
        Lines above and below.
    colours : mapping
        Colour of each combined status word.
    chinese : bool
        Whether the shipment meets the Chinese gate, so that its row is drawn.
    """
    first, last = spans[0].begin, spans[-1].until
    scale = (WIDTH - LEFT - RIGHT) / max(1, (last - first).days + 1)

    def x(day: date) -> float:
        return LEFT + (day - first).days * scale

    gates = (("us", "US gate"), ("cn", "Chinese gate"))[: 2 if chinese else 1]
    bottom = TOP + len(gates) * (BAR + GAP) - GAP
    height = bottom + 92
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
             f'height="{height}" font-family="system-ui, sans-serif" font-size="13" fill="#1f2733" role="img" '
             f'aria-label="{escape(title, {chr(34): "&quot;"})}">',
             '<defs><pattern id="doubt" width="7" height="7" patternUnits="userSpaceOnUse" '
             'patternTransform="rotate(45)"><rect width="2.5" height="7" fill="#ffffff" opacity="0.35"/></pattern>'
             "</defs>",
             f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
             f'<text x="{LEFT}" y="28" font-size="17" font-weight="600">{escape(title)}</text>']
    for row, (gate, name) in enumerate(gates):
        y = TOP + row * (BAR + GAP)
        parts.append(f'<text x="{LEFT - 12}" y="{y + BAR / 2 + 5}" text-anchor="end">{name}</text>')
        for begin, end, word, by, enforced in _runs(spans, gate):
            left, width = x(begin), x(end + timedelta(days=1)) - x(begin)
            tone = colours[STATUS_OF[word]]
            tip = f"{begin} to {end}: {word}{' by ' + by if by else ''}{', enforcement doubtful' if enforced else ''}"
            parts.append(f'<g><title>{escape(tip)}</title><rect x="{left:.1f}" y="{y}" width="{width:.1f}" '
                         f'height="{BAR}" fill="{tone}"/>')
            if enforced:
                parts.append(f'<rect x="{left:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="url(#doubt)"/>')
            label = word.replace("_", " ")
            if width > 7.2 * len(label) + 8:
                ink = "#ffffff" if _dark(tone) else "#1f2733"
                parts.append(f'<text x="{left + 6:.1f}" y="{y + 19}" fill="{ink}">{escape(label)}</text>')
                if by and width > 7.4 * len(by) + 8:
                    parts.append(f'<text x="{left + 6:.1f}" y="{y + 36}" font-size="11" fill="{ink}">'
                                 f"{escape(by)}</text>")
            parts.append("</g>")
    axis = bottom + 6
    step = 1 if (last.year - first.year) <= 8 else 2
    for year in range(first.year, last.year + 1, step):
        day = max(date(year, 1, 1), first)
        crowded = year == first.year and x(date(year + 1, 1, 1)) - x(day) < 40
        if day > last or crowded or (year > first.year and x(day) > WIDTH - RIGHT - 20):
            continue
        parts.append(f'<line x1="{x(day):.1f}" x2="{x(day):.1f}" y1="{axis}" y2="{axis + 6}" stroke="#5b6675"/>'
                     f'<text x="{x(day):.1f}" y="{axis + 20}" font-size="12" fill="#5b6675">{year}</text>')
    parts.append(f'<text x="{LEFT}" y="{height - 30}" font-size="12" fill="#5b6675">{escape(_key(spans))}</text>')
    parts.append(f'<text x="{LEFT}" y="{height - 12}" font-size="12" fill="#5b6675">{escape(foot)}</text></svg>')
    return "\n".join(parts) + "\n"


def _runs(spans: Sequence[Span], gate: str) -> list[tuple[date, date, str, str, bool]]:
    """Return the spans of one gate with equal neighbours joined: (first, last, word, row, in doubt)."""
    out: list[tuple[date, date, str, str, bool]] = []
    for s in spans:
        word, by, doubt = (s.us, s.us_by, s.enforced == "doubtful") if gate == "us" else (s.cn, s.cn_by, False)
        if out and out[-1][2:] == (word, by, doubt):
            out[-1] = (out[-1][0], s.until, word, by, doubt)
        else:
            out.append((s.begin, s.until, word, by, doubt))
    return out


def _key(spans: Sequence[Span]) -> str:
    doubt = any(s.enforced == "doubtful" for s in spans)
    past = any(s.status == "unknown" for s in spans)
    return ("Hatched: enforcement doubtful. " if doubt else "") + ("Grey: not in the sources." if past else "")


def _dark(tone: str) -> bool:
    red, green, blue = (int(tone[i:i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 140
