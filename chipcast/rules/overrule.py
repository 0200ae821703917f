"""Dated what-ifs: from its day on an event replaces the word of its gate for shipments to China."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from chipcast.base.catalog import chip_words, folded
from chipcast.base.errors import InputError
from chipcast.rules.answer import NO_REASON, Answer, Shipment
from chipcast.rules.measure import Figures
from chipcast.rules.place import MAINLAND
from chipcast.rules.record import CN_WORDS, US_WORDS

EVENT_WORDS: Mapping[str, Mapping[str, str]] = {
    "us": {"free": "free", "open": "free", "notified_exception": "notice", "licence": "letter",
           "case_by_case": "licence_case", "denied": "licence_denial", "closed": "licence_denial"},
    "cn": {"free": "free", "open": "free", "discouraged": "discouraged", "denied": "barred", "closed": "barred"},
}
"""Word of a gate for the word of a dated what-if."""


def happened(events: Iterable[Any], on: date) -> list[Any]:
    """Return the events of both gates that act on a day, the last one last; a grace period delays a closing."""
    return sorted((e for e in events if e.gate in EVENT_WORDS and begins(e) <= on), key=begins)


def begins(event: Any) -> date:
    """Return the day from which an event acts: its own, or the end of the grace that it gives."""
    first: date = event.on
    return first + timedelta(days=getattr(event, "grace_days", 0) or 0)


def speaks_of(event: Any, figures: Figures) -> bool:
    """Return whether an event is about a chip; one without a chip is about all foreign ones."""
    if not event.chip:
        return not figures.domestic
    return bool(event.chip == figures.id or chip_words().get(folded(event.chip), "") == figures.id)


def word_of(event: Any) -> str:
    """Return the word that an event gives its gate.

    Raises
    ------
    InputError
        If the gate has no such word.
    """
    allowed = EVENT_WORDS[event.gate]
    if event.to not in allowed:
        raise InputError(f"the event of {event.on} sends the {event.gate} gate to '{event.to}', which is no word "
                         f"of that gate; write one of {', '.join(allowed)}")
    return allowed[event.to]


def overruled(answer: Answer, gate: str, ask: Shipment, events: Iterable[Any]) -> Answer:
    """Return a gate's answer after the events that act on a shipment to China."""
    if ask.to.code not in (*MAINLAND, "MO"):
        return answer
    for event in happened(events, ask.on):
        if event.gate == gate and speaks_of(event, ask.figures):
            word = word_of(event)
            answer = replace(answer, word=word, low=word, high=word, possible=(word,), needs=(), prong="",
                             reason=NO_REASON, decided_by=f"event {event.on}", enforced="yes", why="")
    return answer


def overrule_table(events: Iterable[Any], days: Sequence[date], chips: Sequence[Figures], us: Any, cn: Any, by: Any,
                   prong: Any) -> None:
    """Let events replace words in tables of both gates; axes (month, segment, chip)."""
    for event in happened(events, days[-1]) if days else ():
        word = word_of(event)
        words, table = (US_WORDS, us) if event.gate == "us" else (CN_WORDS, cn)
        for k, chip in enumerate(chips):
            if speaks_of(event, chip):
                for i, day in enumerate(days):
                    if day >= begins(event):
                        table[i, :, k] = words.index(word)
                        by[i, :, k], prong[i, :, k] = f"event {event.on}", ""
