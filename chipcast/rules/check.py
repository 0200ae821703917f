"""The verdict: both gates, the stricter word, what decides, how near the line is, until when the answer holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from chipcast.base.calendar import month_end
from chipcast.base.catalog import Catalogue
from chipcast.base.errors import InputError
from chipcast.rules.answer import Answer, Shipment
from chipcast.rules.assess import Assessor, assessor
from chipcast.rules.gates import cn_gate, cn_touches, us_gate
from chipcast.rules.measure import Figures, figures
from chipcast.rules.overrule import overrule_table, overruled
from chipcast.rules.place import MAINLAND, place
from chipcast.rules.record import CN_WORDS, STATUS_OF, STATUS_ORDER, US_WORDS, Verdicts
from chipcast.rules.rule import Layer, horizon, known_layers, live_layers, sources_end


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The answer for one chip, destination, buyer and day."""

    ask: Shipment
    """What was asked."""
    catalog: Catalogue
    """Rows that were known, and the user's own."""
    us: Answer
    """US gate."""
    cn: Answer
    """Chinese gate."""
    status: str
    """The stricter of both as one word; `disputed` where sources give figures on both sides of a line."""
    past_horizon: bool
    """Whether the day lies after all that the sources speak of; both words are then unknown."""
    last_status: str
    """Status on the last day that the sources speak of; the status itself within it."""
    unknown_after: date
    """Earliest of the sources' horizon, the information date and scheduled changes with unknown outcome."""
    scheduled: tuple[tuple[date, str, str], ...]
    """Changes ahead that were public: (day, row, what)."""

    @property
    def as_of(self) -> date:
        """Information date."""
        return self.catalog.as_of

    @property
    def deciding(self) -> Answer:
        """The gate that decides: the stricter word, the US gate where both agree."""
        return _stricter(self.us, self.cn)


def _stricter(us: Answer, cn: Answer) -> Answer:
    """Return the answer that decides: the stricter word, the US gate where both agree."""
    if us.word == "unknown" and cn.word == "barred":
        return cn
    return cn if STATUS_ORDER.index(STATUS_OF[cn.word]) > STATUS_ORDER.index(STATUS_OF[us.word]) else us


def status_of(us: str, cn: str) -> str:
    """Return the combined word of both gates; a bar at one decides even where the other is unknown."""
    a, b = STATUS_OF[us], STATUS_OF[cn]
    if "unknown" in (a, b):
        return "denied" if "denied" in (a, b) else "unknown"
    return STATUS_ORDER[max(STATUS_ORDER.index(a), STATUS_ORDER.index(b))]


def verdict(catalog: Catalogue, ask: Shipment, *, assess: Assessor | None = None, hq_rule: str = "as_enforced",
            letter_scope: str = "general", events: Iterable[Any] = ()) -> Verdict:
    """Return both gates' answer for one shipment, using nothing that became known after the catalogue's date.

    Dated what-ifs come last: from its day on an event replaces the word of its gate, see `overrule`.
    """
    events = tuple(events)
    end, past = horizon(catalog), ask.on > sources_end()
    # past the sources the last state is that of their last day, but for what the user says of later days
    within = replace(ask, on=end) if past and end is not None and not (catalog.laws or events) else ask
    us, cn, last = gates(catalog, within, assess=assess, hq_rule=hq_rule, letter_scope=letter_scope, events=events)
    if past:
        us, cn = replace(us, word="unknown"), replace(cn, word="unknown")
    return Verdict(ask=ask, catalog=catalog, us=us, cn=cn, status="unknown" if past else last, past_horizon=past,
                   last_status=last, unknown_after=unknown_after(catalog), scheduled=scheduled(catalog, within.on))


def gates(catalog: Catalogue, ask: Shipment, *, assess: Assessor | None = None, hq_rule: str = "as_enforced",
          letter_scope: str = "general", events: Iterable[Any] = (),
          live: Sequence[Layer] | None = None) -> tuple[Answer, Answer, str]:
    """Return both gates' answers on a day that the sources speak of, and the combined word."""
    events = tuple(events)
    live = live_layers(catalog, ask.on) if live is None else live
    us = us_gate(catalog, ask, assess=assess, hq_rule=hq_rule, letter_scope=letter_scope, live=live)
    us = overruled(us, "us", ask, events)
    cn = overruled(cn_gate(catalog, ask, live=live), "cn", ask, events)
    status = status_of(us.word, cn.word)
    return us, cn, "disputed" if status == "unknown" and _sources_differ(ask.figures, us) else status


def _sources_differ(figures: Figures, us: Answer) -> bool:
    """Return whether the word is open only because sources give different figures of a chip."""
    told = [e for e in figures.entries if e.source == "yours"]
    spans = [getattr(figures, n) for n in us.needs]
    return bool(spans) and not told and all(math.isfinite(high) for _, high in spans) \
        and not {"dc", "sold_in_us"} & set(us.needs)


def unknown_after(catalog: Catalogue) -> date:
    """Return the day after which the answer is unknown: the end of the sources, or a scheduled change known by then."""
    ends = [sources_end()]
    ends += [day for x in known_layers(catalog) for day, _ in x.flips(catalog.as_of)]
    return min(ends)


def scheduled(catalog: Catalogue, on: date) -> tuple[tuple[date, str, str], ...]:
    """Return changes that were public on the information date and lie after it or after the day asked for."""
    out = []
    for x in known_layers(catalog):
        if x.effective is not None and x.phase(x.effective, catalog.as_of) == "binding":
            if x.effective > catalog.as_of or x.effective > on:
                out.append((x.effective, x.rule_id, "comes into force" if x.gate == "us" else "takes effect"))
            last = x.last_day(catalog.as_of)
            if last.year < 9999 and last > max(on, catalog.as_of):
                out.append((last, x.rule_id, "ends"))
        out += [(day, x.rule_id, "may return; the outcome is not in the sources")
                for day, _ in x.flips(catalog.as_of) if day > min(on, catalog.as_of)]
    return tuple(sorted(set(out)))


def ask_for(catalog: Catalogue, chip: str | Figures, on: date, *, to: str = "CN", hq: str = "",
            segment: str = "platform", from_us: bool = True,
            entity: str = "", owned_by_listed: float = 0.0, region: str = "") -> Shipment:
    """Return a shipment from words: chip by id or alias, destination and headquarters by code or name."""
    target = place(to)
    found = chip if isinstance(chip, Figures) else figures(catalog, catalog.resolve_chip(chip))
    return Shipment(figures=found, to=target, hq=place(hq) if hq else target, on=on, from_us=from_us, segment=segment,
                    entity=entity, owned_by_listed=owned_by_listed, region=region)


def verdicts(catalog: Catalogue, *, chips: Sequence[str], segments: Sequence[str], months: Sequence[str],
             country: str = "CN", hq: str = "", events: Iterable[Any] = (), own: Mapping[str, Figures] | None = None,
             beyond: str = "unknown", hq_rule: str = "as_enforced", letter_scope: str = "general") -> Verdicts:
    """Return the status of chips by month and buyer class: that of the month's last day, as known by the date.

    Parameters
    ----------
    catalog : Catalogue
        Rows known by the information date; months may lie after it, and the answer is the law as then known.
    chips, segments, months : sequences of str
        Ids, buyer classes, `YYYY-MM`.
    country, hq : str
        Destination and seat of the parent; an empty `hq` is the destination.
    events : iterable
        Dated what-ifs with `on`, `gate`, `chip` and `to`; from its day on an event replaces the word of its gate.
    own : mapping, optional
        Figures of chips that the catalogue does not have.
    beyond : str
        `unknown`, or `last` to carry the law as last known past the end of the sources, rules of one's own included.
    hq_rule, letter_scope : str
        Readings, see `gates`.
    """
    if beyond not in ("unknown", "last"):
        raise InputError(f"beyond must be 'unknown' or 'last', got '{beyond}'")
    target = place(country)
    seat = place(hq) if hq else target
    days = [month_end(m) for m in months]
    spans = spans_of(catalog, days)
    shape = (len(spans), len(segments), len(chips))
    us, cn = np.zeros(shape, np.int8), np.zeros(shape, np.int8)
    by, prong = np.full(shape, "", object), np.full(shape, "", object)
    distance = np.full(shape, np.nan)
    known = [(own or {}).get(c) or figures(catalog, c) for c in chips]
    lives = [live_layers(catalog, day) for day, _ in spans]
    chinese: dict[Any, Answer] = {}
    alike = [us_state(catalog, live, day) for live, (day, _) in zip(lives, spans, strict=True)]
    for k, found in enumerate(known):
        assess = assessor(found, from_us=True)
        answers: dict[Any, Answer] = {}
        for i, (day, _) in enumerate(spans):
            ask = Shipment(figures=found, to=target, hq=seat, on=day)
            if alike[i] not in answers:
                answers[alike[i]] = us_gate(catalog, ask, assess=assess, hq_rule=hq_rule, letter_scope=letter_scope,
                                            live=lives[i])
            first = answers[alike[i]]
            past = day > sources_end() and beyond == "unknown"
            us[i, :, k] = US_WORDS.index("unknown" if past else first.word)
            by[i, :, k], prong[i, :, k], distance[i, :, k] = first.decided_by, first.prong, signed(first)
            if past:
                cn[i, :, k] = CN_WORDS.index("unknown")
            for j, segment in enumerate(segments):
                rows = cn_touches(lives[i], found, target.code, segment)
                if not rows:
                    continue
                if (i, segment, rows) not in chinese:
                    chinese[i, segment, rows] = cn_gate(catalog, replace(ask, segment=segment), live=lives[i])
                second = chinese[i, segment, rows]
                cn[i, j, k] = CN_WORDS.index("unknown" if past else second.word)
                if _stricter(first, second) is second:
                    by[i, j, k], prong[i, j, k] = second.decided_by, second.prong or first.prong
    where = np.empty(len(days), np.int64)
    for i, (_, at) in enumerate(spans):
        where[at] = i
    us, cn, by, prong, distance = us[where], cn[where], by[where], prong[where], distance[where]
    if target.code in (*MAINLAND, "MO"):
        overrule_table(events, days, known, us, cn, by, prong)
    share = _shares(catalog, segments, days, target.code)
    return Verdicts(months=tuple(months), segments=tuple(segments), chips=tuple(chips), us=us, cn=cn,
                    decided_by=by.astype("U24"), prong=prong.astype("U24"), slack_log=distance,
                    min_domestic_share=share, unknown_after=str(unknown_after(catalog)))


def signed(answer: Answer) -> float:
    """Return one number for the distance: the end of its range that is nearest to the line.

    Not-a-number where a name decides and no line, or where the range crosses the line.
    """
    low, high = answer.slack_low, answer.slack_high
    if answer.word == "free" and low >= 0:
        return low
    return high if answer.word not in ("free", "unknown") and high <= 0 else math.nan


def spans_of(catalog: Catalogue, days: Sequence[date]) -> list[tuple[date, list[int]]]:
    """Return the days grouped so that within a group every layer is in the same state: (a day, positions)."""
    known = known_layers(catalog)
    groups: dict[tuple[Any, ...], tuple[date, list[int]]] = {}
    for i, day in enumerate(days):
        key = (day > sources_end(), *[(x.phase(day, catalog.as_of), x.state(day, catalog.as_of)) for x in known],
               *[min(day, later) == later for x in known for later in x.scope_from.values()])
        groups.setdefault(key, (day, []))[1].append(i)
    return list(groups.values())


def us_state(catalog: Catalogue, live: Sequence[Layer], on: date) -> tuple[Any, ...]:
    """Return what tells days apart for the US gate: rows on chips and places that bind, how they are applied, reach."""
    rows = [x for x in live if x.gate == "us" and x.subject in ("chip", "prc_chip", "hq", "place")]
    return (*[(x.rule_id, x.state(on, catalog.as_of)) for x in rows],
            *[on >= later for x in rows for later in x.scope_from.values()])


def _shares(catalog: Catalogue, segments: Sequence[str], days: Sequence[date], code: str) -> np.ndarray[Any, Any]:
    out = np.zeros((len(days), len(segments)))
    for x in known_layers(catalog):
        if code != "CN" or x.gate != "cn" or x.subject != "share" or "CN" not in x.scope:
            continue
        for i, day in enumerate(days):
            if x.phase(day, catalog.as_of) == "binding":
                for j, segment in enumerate(segments):
                    if x.word(segment):
                        out[i, j] = max(out[i, j], x.share)
    return out


def native_slack(answer: Answer, values: Mapping[str, tuple[float, float]]) -> dict[str, Any] | None:
    """Return the distance of the deciding comparison in its own unit, or none where no line decides."""
    why = answer.reason
    if not why.names or math.isnan(why.limit):
        return None
    low = sum(values[n][0] for n in why.names)
    high = sum(values[n][1] for n in why.names)
    sign = 1 if why.op in (">=", ">") else -1
    return {"quantity": " + ".join(why.names), "value": [low, high] if low != high else low, "op": why.op,
            "limit": why.limit, "left": sign * (why.limit - high if sign > 0 else low - why.limit) if low == high
            else None, "unit": why.unit}
