"""What if they are cut off: the market with and without a thing, on the same draws."""

from __future__ import annotations

from typing import Any

from chipcast.report.form import SPREAD, three
from chipcast.report.form_rows import ranges
from chipcast.report.form_time import fan
from chipcast.report.record import Panel, Picture, Table
from chipcast.report.theme import chip_colours, chip_name, day_words, segment_name
from chipcast.web.ask import Question
from chipcast.web.form import Answers, Field, Given, Page, make, segment_options
from chipcast.web.questions import Market
from chipcast.web.show import View, range_words, said, signed

DRAWS = 2000
"""Draws of the page."""

MONTHS = 24
"""Months that the pictures over time show. [months]"""

CARDS = ("H20 ordered", "H20 delivered", "domestic cards delivered", "grey cards", "cards leased abroad")
SHARES = ("domestic share of cards", "domestic share of tokens")
"""Effects that are drawn, of those that the market reports."""

YEAR_TONES = ("#0b5fa5", "#4fb3e8", "#9db4c7", "#c3c9d2")

SHOWN_CHIPS = ("h20-96", "ascend-910b", "ascend-910c", "domestic_other")
"""Chips whose months are drawn for a buyer class."""

WORDS = {"threat": "the threat of a cut-off", "controls": "export controls",
         "local-push": "Beijing's push to buy local"}
"""What can be left out, in words."""


GATES = {"us": "the American gate", "cn": "the Chinese gate", "demand": "demand", "quota": "a domestic quota",
         "yield": "the line's yield"}
"""What can happen, in words."""


def questions(given: Given) -> dict[str, Question]:
    """Return the market with one thing changed: two at once would leave the effect without a cause."""
    change = given.get("change", "")
    event = " ".join([f"gate={change}", *(f"{k}={given[k]}" for k in ("on", "chip", "to", "value") if k in given)])
    return {"market": make(Market, given, "scenario", draws=DRAWS, without=[change] if change in WORDS else None,
                           event=[event] if change in GATES else None)}


def view(answers: Answers, given: Given) -> View:
    """Return what the thing does, and the market as it was asked for."""
    a = answers["market"]
    effects = a.get("effects", [])
    what = " and ".join([*(WORDS[w] for w in a["without"]), *map(event_words, a.get("events", ()))])
    first = [e for e in effects if e["name"] in (*CARDS[:3], SHARES[1]) and e["year"] == effects[0]["year"]]
    lines = [f"In {e['year']}, {e['name']}: {_amount(e)}; more in {e['p_positive']:.0%} of the draws, less in "
             f"{e['p_negative']:.0%}" for e in first]
    segment = given.get("segment", "platform")
    world = _world(a)
    pictures = [p for p in (_effects(effects, what), _months(a, segment, world), _state(a, world)) if p is not None]
    delivered = next((e for e in effects if e["name"] == "H20 delivered"), None)
    head = (f"In {delivered['year']} {what} moves H20 deliveries by {_amount(delivered)}" if delivered and what
            else "The market as the scenario has it; choose what changes")
    return View(headline=head, lines=said(lines), pictures=tuple(pictures),
                tables=(_table(effects),) if effects else (), scenario=a["scenario"],
                foot=f"As known on {a['as_of']}, {a['draws']:,} draws; with the thing less without it, draw by draw, "
                "so that the difference is the effect and not the luck. Median with the 5th and the 95th percentile.")


def event_words(text: str) -> str:
    """Return a dated what-if in words.

    >>> event_words("on=2025-04-09 gate=us chip=h20 to=licence")
    'the American gate (to licence for h20 from 9 April 2025)'
    """
    told = dict(word.split("=", 1) for word in text.split())
    by = "of" if told["gate"] == "quota" else "times"
    change = f"to {told['to']}" if "to" in told else f"{by} {told['value']}" if "value" in told else ""
    parts = (change, f"for {told['chip']}" if "chip" in told else "", f"from {day_words(told['on'])}")
    return f"{GATES.get(told['gate'], told['gate'])} ({' '.join(p for p in parts if p)})"


def _amount(e: Any) -> str:
    if e["unit"] == "1":
        return range_words(e["effect"], percent=True, sign=True)
    cards = {k: float(round(v)) for k, v in e["effect"].items()} if e["unit"] == "cards" else e["effect"]
    return f"{range_words(cards, sign=True)} {e['unit']}"


def _table(effects: list[Any]) -> Table:
    return Table(id="effects", title="Every effect, by year", rows=tuple(
        (e["name"], e["year"], _amount(e), f"{e['p_positive']:.0%}", f"{e['p_negative']:.0%}") for e in effects),
        columns=("quantity", "year", "effect", "more in", "less in"), foot="More in, less in: share of the draws.")


def _effects(effects: list[Any], what: str) -> Picture | None:
    years = list(dict.fromkeys(e["year"] for e in effects))
    tones = dict(zip(years, YEAR_TONES, strict=False))
    cards = [{"name": e["name"], "year": e["year"], **{k: v / 1000 for k, v in three(e["effect"]).items()}}
             for e in effects if e["name"] in CARDS]
    shares = [{"name": e["name"], "year": e["year"], **three(e["effect"])} for e in effects if e["name"] in SHARES]
    if not cards or not shares:
        return None
    most = max((e for e in effects if e["name"] in CARDS), key=lambda e: abs(e["effect"]["p50"]))
    return Picture(
        id="effects", title=f"The largest move is in {most['name']}, by {signed(most['effect']['p50'])} in "
        f"{most['year']} at the median", note=f"What {what} does. Dot: median; line: 90 percent of the draws. The axis "
        "of cards grows with the square root.", legend=tuple(tones.items()), rows=[*cards, *shares], panels=(
            Panel(title="Cards", spec=ranges(cards, label="name", by="year", colours=tones, offset="year", root=True,
                                             step=36, x_title=f"thousand cards, {SPREAD}")),
            Panel(title="Domestic share", spec=ranges(shares, label="name", by="year", colours=tones, offset="year",
                                                      percent=True, step=52, x_title=f"points, {SPREAD}"))))


def _world(a: Any) -> str:
    """Return which market was asked for, in words."""
    without = " and ".join(WORDS[w] for w in a["without"])
    events = " and ".join(map(event_words, a.get("events", ())))
    changed = [f"without {without}"] * bool(without) + [f"with {events}"] * bool(events)
    return "In the market " + (", ".join(changed) or "as it is")


def _months(a: Any, segment: str, world: str) -> Picture | None:
    chips = [c for c in SHOWN_CHIPS if c in a["orders"].get(segment, {})]
    if not chips:
        return None
    tones = {chip_name(c): t for c, t in chip_colours(chips).items()}
    panels, rows = [], []
    for key, title in (("orders", "Ordered"), ("deliveries", "Delivered"), ("stocks", "In stock beyond use")):
        part = [{"month": f"{m}-15", "chip": chip_name(c), "what": key,
                 **{k: v / 1000 for k, v in three(a[key][segment][c][i]).items()}}
                for c in chips for i, m in enumerate(a["months"][:MONTHS])]
        rows += part
        panels.append(Panel(title=title, spec=fan(part, x="month", by="chip", colours=tones, height=200,
                                                  y_title="thousand cards" + (" a month" if key != "stocks" else ""))))
    return Picture(id="months", title=f"What {segment_name(segment).lower()} order, get and keep",
                   note=f"{world}. Line: median; band: {SPREAD}.", panels=tuple(panels),
                   rows=rows, legend=tuple(tones.items()))


def _state(a: Any, world: str) -> Picture:
    months = a["months"][:MONTHS]
    tones = {"domestic share of cards": "#e69f00", "domestic share of tokens": "#b5392d"}
    shares = [{"month": f"{m}-15", "what": f"domestic share of {k}", **three(a["domestic_share"][k][i])}
              for k in ("cards", "tokens") for i, m in enumerate(months)]
    price = [{"month": f"{m}-15", "what": "H20", **{k: v / 1000 for k, v in three(a["price_usd"]["h20-96"][i]).items()}}
             for i, m in enumerate(months)]
    last = a["domestic_share"]["cards"][len(months) - 1]
    return Picture(id="state", title=f"By {day_words(months[-1])} domestic cards are "
                   f"{range_words(last, percent=True)} of those delivered", rows=[*shares, *price],
                   note=f"{world}. Line: median; band: {SPREAD}.", panels=(
        Panel(title="Domestic share", legend=tuple(tones.items()), spec=fan(
            shares, x="month", by="what", colours=tones, percent=True, domain=(0, 1), y_title="share", height=220)),
        Panel(title="Price of an H20", spec=fan(price, x="month", by="what", colours={"H20": "#0072b2"}, height=220,
                                               y_title="thousand USD"))))


PAGE = Page(
    path="/cut-off", title="What if they are cut off?", asks="buyer", questions=questions, view=view,
    takes="about a second once the world is prepared, some ten before",
    lead="Leave out the threat, the controls or Beijing's push, or let something happen on a day: what it does to "
    "orders, deliveries and shares, paired draw by draw.",
    fields=(Field(name="scenario", label="World", kind="select", default="february-2025", options=(
                ("february-2025", "February 2025"), ("latest", "everything known"))),
            Field(name="change", label="What changes", kind="select", default="threat", options=(
                *((k, f"without {v}") for k, v in WORDS.items()), *((k, f"{v} moves") for k, v in GATES.items()),
                ("", "nothing"))),
            Field(name="on", label="It moves on the day", kind="date", hint="What follows is for what moves."),
            Field(name="chip", label="for the chip", hint="For a gate, such as h20."),
            Field(name="to", label="to", kind="select", options=(
                ("", "-"), ("licence", "needs a licence"), ("denied", "denied"), ("open", "open"),
                ("closed", "closed"))),
            Field(name="value", label="by the value", hint="For demand, quota and yield, such as 1.5 or 40%."),
            Field(name="segment", label="Buyers to draw", kind="select", default="platform",
                  options=segment_options())))
