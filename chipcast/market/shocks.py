"""Dated what-ifs that are no gate: demand, a quota, a step of the domestic yield, a card on offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from chipcast.base.calendar import days_in_month, month_index, parse_date
from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.market.demand import Need
from chipcast.market.gates import Event


def months_since(event: Event, months: Sequence[str]) -> Array:
    """Return months from an event to the end of each month, 0 before it. [months] (month)"""
    day = parse_date(event.on)
    start = month_index(day)
    share = (day.day - 1) / days_in_month(f"{day:%Y-%m}")
    return np.asarray(np.maximum([month_index(m) + 1 - start - share for m in months], 0.0), dtype=float)


def need_with(need: Need, events: Sequence[Event], segments: Sequence[str], months: Sequence[str]) -> Need:
    """Return the need with its shocks: from its day on a segment, or all, want so many times as much."""
    for event in (e for e in events if e.gate == "demand"):
        assert event.value is not None, "a demand event has a value"
        in_force = np.minimum(months_since(event, months), 1.0)
        in_force = np.append(in_force, np.repeat(in_force[-1:], need.work.shape[1] - len(months)))
        factor = 1 + (event.value - 1) * in_force[:, None]
        tokens, work, token_work = need.tokens.copy(), need.work.copy(), need.token_work.copy()
        additions = need.additions.copy()
        for s, segment in enumerate(segments):
            if event.segment in ("", segment):
                growth = np.diff(factor[:, 0], append=factor[-1, 0])[:, None] * work[s]
                additions[s] = additions[s] * factor + np.maximum(growth, 0.0)
                for cells in (tokens, work, token_work):
                    cells[s] *= factor
        need = replace(need, tokens=tokens, work=work, token_work=token_work, additions=additions)
    return need


def floor_with(floor: Array, events: Sequence[Event], segments: Sequence[str], months: Sequence[str]) -> Array:
    """Return the least domestic share with quotas: the larger of both from its day on. [1] (month, segment, draw)"""
    for event in (e for e in events if e.gate == "quota"):
        assert event.value is not None, "a quota has a value"
        share = np.minimum(months_since(event, months), 1.0)[:, None] * event.value
        for s, segment in enumerate(segments):
            if event.segment in ("", segment):
                floor[:, s] = np.maximum(floor[:, s], share)
    return floor


def line_factor(given: Given, events: Sequence[Event], months: Sequence[str]) -> Array:
    """Return the factor of what the domestic line delivers, some months after its yield steps. [1] (month, draw)"""
    out = np.ones((len(months), given.draws))
    for event in (e for e in events if e.gate == "yield"):
        assert event.value is not None, "a yield step has a value"
        late = months_since(event, months)[:, None] - given["market.yield_to_card_months"]
        out *= 1 + (event.value - 1) * np.clip(late, 0.0, 1.0)
    return out


def offered(events: Sequence[Event], chip: str, months: Sequence[str]) -> Array:
    """Return the factor of supply of a card that an event puts on offer, not-a-number before any. [1] (month)"""
    out = np.full(len(months), np.nan)
    for event in (e for e in events if e.gate == "offer"):
        require(event.chip in ("", chip), "the chip of an offer", f"be {chip}, the card that follows the leading one",
                f"'{event.chip}'")
        assert event.value is not None, "an offer has a value"
        out = np.where(months_since(event, months) > 0, event.value, out)
    return out
