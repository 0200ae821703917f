"""Maps of who may buy what: a chip's status month by month, and chips by destination and date."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from chipcast.base.calendar import month_index, month_name, month_range, parse_date
from chipcast.base.catalog import Catalogue
from chipcast.report.form import base, colour, layer, names, tips
from chipcast.report.form_plane import tiles
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import STATUS_COLOURS, STATUS_NAMES, chip_name, day_words, segment_name
from chipcast.rules.atlas import atlas
from chipcast.rules.check import ask_for
from chipcast.rules.check import verdicts as rule_verdicts
from chipcast.rules.history import history
from chipcast.rules.record import CN_WORDS, STATUS_OF, STATUS_ORDER, US_WORDS, Verdicts

AFTER_MONTHS = 12
"""Months after the date that the calendar shows. [months]"""

DESTINATIONS = {"CN": "China", "AE": "UAE", "SA": "Saudi A.", "IN": "India", "MY": "Malaysia", "JP": "Japan",
                "RU": "Russia"}
"""Where chips go on the map; each stands for a group that the rules treat differently."""

GATED = ("h20-96", "h800-sxm", "a800-sxm-80")
"""Chips made for China, whose two gates are shown over time."""


def status_word(us: int, cn: int) -> str:
    """Return the stricter of both gates as a combined status."""
    return max((STATUS_OF[US_WORDS[us]], STATUS_OF[CN_WORDS[cn]]), key=STATUS_ORDER.index)


def chip_rules(catalog: Catalogue, pattern: str = r"US-(3A090|INF)") -> list[date]:
    """Return the days on which the chip rules that the date knows took effect, in order."""
    return sorted({parse_date(r["effective"]) for r in catalog.rows("rules")
                   if re.match(pattern, r["rule_id"]) and r["effective"]})


def listed(verdicts: Verdicts, catalog: Catalogue) -> list[str]:
    """Return the chips of the verdicts whose figures stand in the catalogue, not those of a user's own."""
    known = set(catalog.chip_ids())
    return [c for c in verdicts.chips if c in known]


def used_tones(words: set[str]) -> dict[str, str]:
    """Return colours of the statuses that occur, mildest first."""
    return {STATUS_NAMES[k]: STATUS_COLOURS[k] for k in STATUS_ORDER if STATUS_NAMES[k] in words}


def calendar(verdicts: Verdicts, catalog: Catalogue, segment: str = "platform") -> Picture:
    """Draw each chip's combined status from the first chip rule to a year after the date, for one buyer class."""
    now = f"{catalog.as_of:%Y-%m}"
    first = month_name(month_index(f"{chip_rules(catalog)[0]:%Y-%m}") - 1)
    last = min(month_name(month_index(now) + AFTER_MONTHS), verdicts.months[-1])
    months = month_range(first, last)
    chosen = segment if segment in verdicts.segments else verdicts.segments[0]
    v = rule_verdicts(catalog, chips=listed(verdicts, catalog), segments=(chosen,), months=months, country="CN",
                      beyond="last")
    rows = [{"chip": chip_name(chip), "month": month,
             "status": STATUS_NAMES[status_word(int(v.us[m, 0, c]), int(v.cn[m, 0, c]))],
             "rule": str(v.decided_by[m, 0, c]), "prong": str(v.prong[m, 0, c])}
            for c, chip in enumerate(v.chips) for m, month in enumerate(v.months)]
    tones = used_tones({r["status"] for r in rows})
    by_chip = [rows[i * len(months) : (i + 1) * len(months)] for i in range(len(v.chips))]
    lost = [r[0]["chip"] for r in by_chip if r[0]["status"] == "free" and _at(r, now) not in ("free", "discouraged")]
    who = segment_name(chosen).lower()
    title = (f"Between {day_words(months[0])} and {day_words(now)} the rules took {', '.join(lost)} from {who}"
             if lost else f"What the rules let {who} buy, month by month")
    mark = layer("rule", {"x": {"field": "month", "type": "ordinal", "sort": list(months)}}, [{"month": now}],
                 strokeWidth=1.5, color="#1f2733")
    spec = tiles(rows, x="month", y="chip", by="status", colours=tones, tip=("rule", "prong"), every="-01", step=22)
    spec["layer"].append(mark)
    return Picture(
        id="rule-calendar", title=title, rows=rows, panels=(Panel(spec=spec),), legend=tuple(tones.items()),
        marks=rule_sources(catalog),
        note=f"The stricter of both gates, American and Chinese. The dark line is {day_words(now)}: right of it "
        "stands the law as then known, not a forecast; threats and hopes enter in the market.")


def _at(rows: Sequence[Mapping[str, Any]], month: str) -> str:
    return next((str(r["status"]) for r in rows if r["month"] == month), "")


def rule_sources(catalog: Catalogue) -> tuple[str, ...]:
    """Return the sources of the chip rules known by the date, oldest rule first."""
    rows = [r for r in catalog.rows("rules") if re.match(r"US-(3A090|INF|NAC|HQ)|CN-", r["rule_id"])]
    return tuple(dict.fromkeys(r["source"] for r in sorted(rows, key=lambda r: r["effective"])))


def world(verdicts: Verdicts, catalog: Catalogue, segment: str = "platform") -> Picture:
    """Draw the map of who may buy what: chips by destination, the day before the first chip rule, after each, now."""
    before = chip_rules(catalog)[0] - timedelta(days=1)
    last = min(catalog.as_of, parse_date(verdicts.unknown_after)) if verdicts.unknown_after else catalog.as_of
    rules = [d for d in chip_rules(catalog, "US-3A090") if before < d <= last]
    days = list(dict.fromkeys([before, *rules[-2:], last]))
    chips = listed(verdicts, catalog)
    found = atlas(catalog, chips, tuple(DESTINATIONS), days, segment=segment)
    rows: list[dict[str, Any]] = []
    panels = []
    open_share = []
    for k, day in enumerate(days):
        part = [{"day": day.isoformat(), "chip": chip_name(c), "to": words, "destination": code,
                 "status": STATUS_NAMES[STATUS_ORDER[found[i, j, k]]]}
                for i, c in enumerate(chips) for j, (code, words) in enumerate(DESTINATIONS.items())]
        rows += part
        open_share.append(sum(r["status"] == "free" for r in part) / len(part))
        panels.append((day, part))
    tones = used_tones({r["status"] for r in rows})
    drawn = tuple(Panel(title=day_words(day.isoformat()), spec=tiles(part, x="to", y="chip", by="status", colours=tones,
                                                                     step=20)) for day, part in panels)
    return Picture(
        id="rule-map", rows=rows, panels=drawn, legend=tuple(tones.items()), marks=rule_sources(catalog),
        title=f"Of {len(chips)} chips to {len(DESTINATIONS)} places, {open_share[0]:.0%} of the pairs were "
        f"free on {day_words(days[0].isoformat())} and {open_share[-1]:.0%} on {day_words(days[-1].isoformat())}",
        note="Buyers at home in each place, by the stricter of the rules that meet there. Each day is judged by the "
        f"text as known on {day_words(catalog.as_of.isoformat())}; the last is the last on which sources speak. No "
        "legal advice; the command chipcast rules map answers for every country.")


def gates(verdicts: Verdicts, catalog: Catalogue, segment: str = "platform") -> Picture | None:
    """Draw both gates over time for the chips made for China: the American above the Chinese one."""
    shown = [c for c in GATED if c in listed(verdicts, catalog)]
    if not shown:
        return None
    begin = chip_rules(catalog)[0] - timedelta(days=60)
    until = catalog.as_of
    rows: list[dict[str, Any]] = []
    for chip in shown:
        ask = ask_for(catalog, chip, begin, to="CN", segment=segment)
        for span in history(catalog, ask, begin=begin, until=until):
            for gate, word, by in (("US gate", span.us, span.us_by), ("Chinese gate", span.cn, span.cn_by)):
                status = STATUS_NAMES[STATUS_OF[word]]
                rows.append({"gate": f"{chip_name(chip)}: {gate}", "begin": span.begin.isoformat(),
                             "end": (span.until + timedelta(days=1)).isoformat(), "status": status, "rule": by or "-",
                             "word": word.replace("_", " "), "enforced": span.enforced or "-"})
    tones = used_tones({r["status"] for r in rows})
    order = list(dict.fromkeys(r["gate"] for r in rows))
    x: Spec = {"field": "begin", "type": "temporal", "scale": {"type": "utc"}, "axis": {
        "title": None, "format": "%Y", "tickCount": "year", "grid": False}}
    spec = base(40 + 26 * len(order), [
        layer("bar", {"y": names("gate", order), "x": x, "x2": {"field": "end"}, "color": colour("status", tones),
                      "tooltip": tips("gate", "begin", "end", "word", "rule", "enforced")},
              height={"band": 0.74}, cornerRadius=0, stroke="white", strokeWidth=0.6)], rows)
    last = {order_: [r for r in rows if r["gate"] == order_][-1] for order_ in order}
    shut = [chip_name(c) for c in shown if last[f"{chip_name(c)}: US gate"]["status"] not in ("free", "discouraged")]
    still = [chip_name(c) for c in shown if chip_name(c) not in shut]
    title = f"Of the chips made for China, by {day_words(catalog.as_of.isoformat())} "
    title += f"the American gate was shut for {', '.join(shut)}" if shut else "none had met a shut American gate"
    title += f" and open for {', '.join(still)}" if still and shut else ""
    return Picture(
        id="gates", title=title, panels=(Panel(spec=spec),), rows=rows, legend=tuple(tones.items()),
        marks=rule_sources(catalog),
        note="A shipment needs both gates open and a willing buyer. Point at a bar for the rule that decides it and "
        "its dates. A platform in China; no legal advice.")
