"""Dates and months. Months are strings `YYYY-MM`; nothing here reads the clock."""

from __future__ import annotations

import calendar as _calendar
import re
from collections.abc import Sequence
from datetime import date

from chipcast.base.errors import InputError

DAYS_PER_MONTH = 365.25 / 12
"""Mean days in a month of the calendar. [days]"""

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
MONTH = re.compile(r"\d{4}-\d{2}")


def parse_date(text: object, *, last: bool = False) -> date:
    """Read `YYYY-MM-DD`; `YYYY-MM` and `YYYY` stand for their first day, or the last if `last`.

    Raises
    ------
    InputError
        If the text is no date of the calendar.
    """
    if isinstance(text, date):
        return text
    word = str(text).strip()
    try:
        if DAY.fullmatch(word):
            return date.fromisoformat(word)
        if MONTH.fullmatch(word):
            year, month = int(word[:4]), int(word[5:])
            day = _calendar.monthrange(year, month)[1] if last and 1 <= month <= 12 else 1
            return date(year, month, day)
        if re.fullmatch(r"\d{4}", word):
            return date(int(word), 12, 31) if last else date(int(word), 1, 1)
    except ValueError:
        pass
    raise InputError(f"'{word}' is no date; write YYYY-MM-DD, for example 2026-01-13")


def month_index(month: str | date) -> int:
    """Return the absolute calendar month, year x 12 + month - 1."""
    day = month if isinstance(month, date) else parse_date(month)
    return day.year * 12 + day.month - 1


def month_name(index: int) -> str:
    """Return `YYYY-MM` of an absolute calendar month."""
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


def month_range(first: str | date, last: str | date) -> tuple[str, ...]:
    """Return all months from `first` to `last`, both included."""
    a, b = month_index(first), month_index(last)
    if b < a:
        raise InputError(f"the months end ({month_name(b)}) before they begin ({month_name(a)})")
    return tuple(month_name(i) for i in range(a, b + 1))


def quarter_name(month: str) -> str:
    """Return the calendar quarter of a month: `2025-04` gives `2025Q2`."""
    return f"{month[:4]}Q{(int(month[5:7]) + 2) // 3}"


def places_by_quarter(months: Sequence[str]) -> dict[str, list[int]]:
    """Return the places of the months of each calendar quarter, in order.

    >>> places_by_quarter(["2025-02", "2025-03", "2025-04"])
    {'2025Q1': [0, 1], '2025Q2': [2]}
    """
    out: dict[str, list[int]] = {}
    for i, month in enumerate(months):
        out.setdefault(quarter_name(month), []).append(i)
    return out


def month_end(month: str) -> date:
    """Return the last day of a month."""
    return parse_date(month, last=True)


def days_in_month(month: str) -> int:
    """Return the number of days of a month. [days]"""
    return month_end(month).day
