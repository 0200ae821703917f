"""Reading requests at the door: published traces under their own column names, shipped ones by name, own files."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chipcast.base.errors import InputError

if TYPE_CHECKING:
    from chipcast.tokens.arrivals import Trace

COLUMNS = {"arrival": ("arrival_s", "timestamp", "arrived_at", "arrival", "timestamp(s)", "time"),
           "prompt": ("input_tokens", "input_length", "contexttokens", "prompt_tokens", "request tokens", "prompt",
                      "input_len"),
           "answer": ("output_tokens", "output_length", "generatedtokens", "answer_tokens", "response tokens", "answer",
                      "output_len")}
"""Names under which traces write what a request is, in small letters; the first of each is our own."""

MILLISECONDS = frozenset({"timestamp", "input_length", "output_length", "hash_ids"})
"""Fields by which a line tells the layout whose times are milliseconds."""

FOREIGN_UNITS = {"arrival_ms": "arrival_s", "timestamp_ms": "arrival_s", "arrival_us": "arrival_s",
                 "input_chars": "input_tokens", "output_chars": "output_tokens", "input_words": "input_tokens"}
"""Columns in units that are not read, and what they should be."""

CLIENTS = "servegen_deepseek_r1"
"""Recorded clients that are shipped: their rates by ten minutes and their lengths by six hours."""


def rows_of(path: str) -> list[Mapping[str, Any]]:
    """Return the rows of a CSV or a file of JSON lines, names in small letters.

    Raises
    ------
    InputError
        If the file cannot be read or is neither.
    """
    import csv

    from chipcast.base.traces import read_text

    text = read_text(path)
    lines = text.splitlines()
    head = next((line for line in lines if line.strip()), "").lstrip()
    if head.startswith(("{", "[")):
        out: list[Mapping[str, Any]] = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                raise InputError(f"'{path}' line {number} is no JSON; write one object a line") from None
            if not isinstance(row, dict):
                raise InputError(f"'{path}' holds no requests; write one row each with arrival_s, input_tokens, "
                                 "output_tokens")
            out.append({str(k).lower(): v for k, v in row.items()})
        return out
    try:
        return [{(k or "").strip().lower(): v for k, v in row.items() if isinstance(k, str)}
                for row in csv.DictReader(io.StringIO(text))]
    except csv.Error as error:
        raise InputError(f"'{path}' is no CSV: {error}") from None


def _columns(rows: Sequence[Mapping[str, Any]], path: str) -> dict[str, str]:
    if not rows:
        raise InputError(f"'{path}' holds no requests; write one row each with arrival_s, input_tokens, output_tokens")
    found = {}
    for key, words in COLUMNS.items():
        column = next((w for w in words if w in rows[0]), None)
        if column is None:
            other = next((f"'{k}' is in another unit; " for k in rows[0] if FOREIGN_UNITS.get(k) == words[0]), "")
            raise InputError(f"'{path}' lacks a column for {key}; {other}name it {words[0]}")
        found[key] = column
    return found


def _number(text: object, path: str, column: str, line: int) -> float:
    from datetime import datetime
    from math import isfinite

    word = "" if text is None else str(text).strip()
    try:
        value = float(word)
    except ValueError:
        try:
            return datetime.fromisoformat(word[:26]).timestamp()
        except ValueError:
            raise InputError(f"'{path}' line {line}: {column} must be a number, got '{word}'; mend that row") from None
    if not isfinite(value):
        raise InputError(f"'{path}' line {line}: {column} must be a finite number, got '{word}'; mend that row")
    return value


def read_trace(path: str) -> tuple[Trace, tuple[str, ...]]:
    """Return a trace and what a reader should know of it.

    Parameters
    ----------
    path : str
        A file in one of the known layouts, or the name of a shipped trace.

    Raises
    ------
    InputError
        If a column is missing or no number, or times go back.
    """
    import numpy as np

    from chipcast.tokens.arrivals import Trace, checked

    rows = rows_of(path)
    found = _columns(rows, path)
    notes: list[str] = []
    columns = {k: np.array([_number(r.get(c), path, c, i) for i, r in enumerate(rows, start=2)])
               for k, c in found.items()}
    times = columns["arrival"]
    if set(rows[0]) >= MILLISECONDS:
        times = times / 1e3
    empty = columns["answer"] < 1
    if np.any(empty):
        notes.append(f"{int(np.sum(empty))} requests without an answer are left out")
        rows = [r for r, e in zip(rows, empty, strict=True) if not e]
        times, columns = times[~empty], {k: v[~empty] for k, v in columns.items()}
    if times.size == 0:
        raise InputError(f"'{path}' holds no request with an answer of 1 token or more")
    if np.unique(times).size < times.size / 2:
        notes.append(f"only {np.unique(times).size} distinct times for {times.size} requests: the clock is coarse")
    names, starts = _prefixes(rows, path)
    trace = Trace(arrival_s=times - times[0], prompt=columns["prompt"], answer=columns["answer"], prefix=names,
                  prefix_from=starts, name=path)
    return checked(trace), tuple(notes)


def _prefixes(rows: Sequence[Mapping[str, Any]], path: str) -> tuple[Any, Any]:
    """Return the names of the prompts' prefix blocks, request after request, and where each request's begin."""
    import numpy as np

    if not any(isinstance(r.get("hash_ids"), list) for r in rows):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    every: list[int] = []
    starts = [0]
    for r in rows:
        ids = r.get("hash_ids") or []
        if not isinstance(ids, list) or not all(isinstance(h, int) and not isinstance(h, bool) for h in ids):
            raise InputError(f"'{path}': hash_ids must be a list of whole numbers, got {str(ids)[:40]}")
        every.extend(ids)
        starts.append(len(every))
    return np.array(every, np.int64), np.array(starts, np.int64)


def read_clients(*, start_h: float, hours: float, share: float, seed: int) -> Trace:
    """Return requests made from the shipped clients for a stretch of their day."""
    from chipcast.base.traces import read_text
    from chipcast.tokens.arrivals import from_clients

    rates = rows_of(f"{CLIENTS}_rates")
    lengths = [json.loads(line) for line in read_text(f"{CLIENTS}_lengths").splitlines() if line.strip()]
    return from_clients([{k: str(v) for k, v in r.items()} for r in rates], lengths, start_s=3600 * start_h,
                        seconds=3600 * hours, share=share, seed=seed)
