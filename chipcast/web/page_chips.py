"""Which chips may I get: one shipment on one day, and the same over time."""

from __future__ import annotations

from datetime import date
from typing import Any

from chipcast.report.record import Panel, Picture, Table
from chipcast.report.theme import STATUS_COLOURS, STATUS_NAMES, day_words, segment_name
from chipcast.rules.explain import MEANING, QUANTITY, number
from chipcast.rules.history import Span, picture
from chipcast.web.ask import Question
from chipcast.web.form import Answers, Field, Given, Page, chip_options, make, segment_options
from chipcast.web.questions import RulesCheck, RulesHistory, RulesTable
from chipcast.web.show import View, said

MILDER = 4
"""Changes of figures that are listed."""


def questions(given: Given) -> dict[str, Question]:
    """Return the shipment on its day and over time, and every other chip to the same buyer."""
    ship = ("chip", "to", "hq", "buyer", "as_of")
    return {"check": make(RulesCheck, given, *ship, "on"), "history": make(RulesHistory, given, *ship),
            "all": make(RulesTable, given, *ship[1:], "on")}


def view(answers: Answers, given: Given) -> View:
    """Return the status, what decides it, and its history."""
    a, past = answers["check"], answers["history"]
    status = a["status"]
    d = a["deciding"]
    lines = [a["sentence"]]
    if d.get("native"):
        n = d["native"]
        what = " plus ".join(QUANTITY.get(q, q) for q in n["quantity"].split(" + "))
        lines.append(f"What decides is {d['rule_id']}, prong {d['prong']}: {what} is {number(n['value'])} "
                     f"{'' if n['unit'] == '1' else n['unit']}, and the line is {n['op']} {number(n['limit'])}; "
                     f"slack {d['slack']:+.3f}, where above 0 is free")
    changed = [f"{QUANTITY[c['quantity']]} {c['side']} {number(c['to'])}{'' if c['unit'] == '1' else ' ' + c['unit']} "
               f"(now {number(c['from'])}): {MEANING[c['us']]}" for c in a["would_change"][:MILDER]]
    if changed:
        lines.append("Would change it: " + "; ".join(changed))
    lines += [*a["disputed"], *a["remarks"]]
    return View(
        headline=f"{a['model']} to {a['to']} on {day_words(a['on'])}, for {segment_name(a['buyer']).lower()}",
        badge=(STATUS_NAMES[status], STATUS_COLOURS[status]), lines=said(lines),
        pictures=(history_picture(past, a["model"]),), tables=(layers(a), spans(past), every_chip(answers["all"])),
        cites=tuple(x["source"] for x in a["layers"]),
        foot=f"As known on {a['as_of']}; past {a['unknown_after']} the answer is unknown. {a['not_legal_advice']}")


def layers(a: Any) -> Table:
    """Return every rule in force with what it says of this shipment."""
    rows = []
    for x in a["layers"]:
        ends = list(dict.fromkeys(f"{s:+.3f}" for s in x["slack"] or () if s is not None))
        rows.append((x["rule_id"], x["name"], x["effective"], x["caught"] + (f" ({', '.join(x['prongs'])})"
                     if x["prongs"] else ""), MEANING[x["consequence"]] if x["consequence"] else "-",
                     " to ".join(ends) or "-", x["nearest"] or "-"))
    return Table(id="layers", title="Rules in force on that day", rows=tuple(rows), foot="Slack: ln of the distance "
                 "to the nearest line; above 0 the chip is on the free side.",
                 columns=("rule", "name", "from", "caught", "consequence", "slack", "nearest line"))


def spans(past: Any) -> Table:
    """Return the spans of days on which the answer stays the same."""
    return Table(id="spans", title="Over time", columns=("from", "until", "US gate", "Chinese gate", "status",
                                                         "decided by"),
                 rows=tuple((s["from"], s["until"], MEANING.get(s["us"], s["us"]) + (
                     " (doubtful)" if s["enforced"] == "doubtful" else ""), MEANING.get(s["cn"], s["cn"]),
                     STATUS_NAMES[s["status"]], s["us_by"] or s["cn_by"] or "-") for s in past["spans"]))


def every_chip(found: Any) -> Table:
    """Return what the same buyer may get of every chip on sale, freest first."""
    order = list(STATUS_NAMES)
    rows = sorted((c for c in found["chips"] if c["on_sale"]), key=lambda c: order.index(c["status"]))
    return Table(id="every-chip", title="Every chip on sale, to the same buyer on the same day", rows=tuple(
        (c["chip"], STATUS_NAMES[c["status"]], MEANING.get(c["us"], c["us"]), MEANING.get(c["cn"], c["cn"]),
         c["rule_id"] or "-", c["prong"] or "-", "-" if c["slack"] is None else f"{c['slack']:+.3f}") for c in rows),
        columns=("chip", "status", "US gate", "Chinese gate", "decided by", "prong", "slack"))


def history_picture(past: Any, model: str) -> Picture:
    """Return the picture that `rules history --svg` writes, from the same spans."""
    found = [Span(begin=date.fromisoformat(s["from"]), until=date.fromisoformat(s["until"]), us=s["us"], cn=s["cn"],
                  status=s["status"], decided_by=s["us_by"] or s["cn_by"] or "", us_by=s["us_by"] or "",
                  cn_by=s["cn_by"] or "", enforced=s["enforced"] or "") for s in past["spans"]]
    seat = "" if past["hq"] == past["to"] else f", parent in {past['hq']}"
    svg = picture(found, title=f"{model} to {past['to']}{seat}", colours=STATUS_COLOURS, chinese=past["to"] == "CN",
                  foot=f"As known on {past['as_of']}; sources to {past['unknown_after']}.")
    changes = len(found) - 1
    first = "It never changed" if not changes else f"It changed {changes} time{'s' if changes > 1 else ''}"
    return Picture(id="history", title=f"{first} from {day_words(past['spans'][0]['from'])} on",
                   note="One bar per gate; hatched where enforcement is doubtful. Point at a bar for the rule behind "
                   "it.",
                   panels=(Panel(spec={}, svg=svg),), rows=past["spans"], wide=True)


PAGE = Page(
    path="/chips", title="Which chips may I get?", asks="buyer", instant=True, questions=questions, view=view,
    lead="Both gates, the rule and the prong that decide, how far the chip is from the line, and how that came about.",
    fields=(Field(name="chip", label="Chip", kind="list", default="h20", options=chip_options()),
            Field(name="to", label="Destination", default="CN", hint="Code or name of a country."),
            Field(name="hq", label="Seat of the parent", hint="Left out: the destination."),
            Field(name="buyer", label="Buyer class", kind="select", default="platform", options=segment_options()),
            Field(name="on", label="Day of shipment", kind="date", hint="Left out: the last that the sources know."),
            Field(name="as_of", label="As known on", kind="date", hint="Left out: all that is known.")))
