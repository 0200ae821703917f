"""Reading a fault log: events in pairs, or one fault a row; what cannot be true is refused."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from chipcast.base.errors import DataError, InputError, require
from chipcast.cluster.trace import Trace


def pair_events(events: Sequence[Mapping[str, Any]], *, nodes: int, days: float) -> Trace:
    """Pair starts and ends, first in first out by node and kind of fault.

    Parameters
    ----------
    events : sequence of mappings
        `node_id`, `event_time` in days, `event_type` (`fault_start` or `fault_end`), `fault_type` with Level, Class,
        Desc. A start that is never ended lasts until the end of the watch.
    nodes, days : int, float
        Nodes watched and days watched.

    Raises
    ------
    DataError
        If an event lacks a field, an end has no start, or an end lies before its start.
    """
    require(isinstance(events, Sequence) and not isinstance(events, str) and len(events) > 0, "the trace",
            "be a list of at least one event", type(events).__name__)
    require(nodes >= 1, "nodes", "be 1 or more", nodes)
    require(days > 0, "days", "be above 0", days)
    open_faults: dict[tuple[str, str, str, str], deque[float]] = defaultdict(deque)
    ids: dict[str, int] = {}
    out: list[tuple[int, float, float, str, str]] = []
    order = sorted(range(len(events)), key=lambda i: _time(events[i], i))
    for i in order:
        event, at = events[i], _time(events[i], i)
        kind = event.get("fault_type") or {}
        if not isinstance(kind, Mapping):
            raise DataError(f"event {i + 1}: fault_type must be an object with Level, Class and Desc")
        node = str(event.get("node_id", ""))
        if not node:
            raise DataError(f"event {i + 1} has no node_id")
        key = (node, str(kind.get("Level", "")), str(kind.get("Class", "unknown")), str(kind.get("Desc", "")))
        what = event.get("event_type")
        if what == "fault_start":
            open_faults[key].append(at)
        elif what == "fault_end":
            if not open_faults[key]:
                raise DataError(f"event {i + 1}: fault_end of node '{node}' ({key[2]}) at day {at:g} has no start "
                                "before it")
            out.append((ids.setdefault(node, len(ids)), open_faults[key].popleft(), at, key[2], key[1]))
        else:
            raise DataError(f"event {i + 1}: event_type must be fault_start or fault_end, got {what!r}")
    for (node, level, cls, _), starts in open_faults.items():
        out += [(ids.setdefault(node, len(ids)), s, max(days, s), cls, level) for s in starts]
    return build(out, nodes=nodes, days=days)


def _time(event: Mapping[str, Any], i: int) -> float:
    value = event.get("event_time") if isinstance(event, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise DataError(f"event {i + 1}: event_time must be a number of days of 0 or more, got {value!r}")
    return float(value)


COLUMNS = {"node": ("node", "node_id", "host", "server"), "start": ("start", "start_day", "fault_start", "begin"),
           "end": ("end", "end_day", "fault_end", "repaired"), "class": ("class", "component", "kind", "type"),
           "hours": ("hours", "duration_h", "downtime_h", "repair_h", "hours_down")}
"""Our name of a column -> names under which logs carry it."""


def from_rows(rows: Sequence[Mapping[str, str]], *, nodes: int, days: float) -> Trace:
    """Read a log with one fault a row: node, start, end, class; times in days, or as ISO dates and times.

    Instead of an end a row may say for how many hours the node was down.

    Raises
    ------
    DataError
        If a column is missing, a time cannot be read, or an end lies before its start.
    """
    there = {key for row in rows for key in row}
    found = {ours: next((n for n in names if n in there), "") for ours, names in COLUMNS.items()}
    if found["hours"]:
        column = found["end"] or "end"
        rows = [{**row, column: row.get(column) or (_end_of(row, found, i) if row.get(found["hours"]) else "")}
                for i, row in enumerate(rows)]
        found["end"] = column
    for ours in ("node", "start", "end"):
        if not found[ours]:
            raise DataError(f"the log has no column for {ours}; name it one of {', '.join(COLUMNS[ours])} "
                            f"(found: {', '.join(rows[0])})")
    stamps = [(_clock(row.get(found["start"], ""), i, "start"), _clock(row.get(found["end"], ""), i, "end"))
              for i, row in enumerate(rows)]
    dated = any("-" in row.get(found["start"], "")[1:] for row in rows)
    zero = math.floor(min(s for s, _ in stamps if s is not None)) if dated else 0.0
    ids: dict[str, int] = {}
    out = []
    for i, (row, (start, end)) in enumerate(zip(rows, stamps, strict=True)):
        assert start is not None
        stop = days if end is None else end - zero
        if stop < start - zero:
            raise DataError(f"row {i + 2}: the fault of node '{row.get(found['node'], '')}' ends on day {stop:g}, "
                            f"before it starts on day {start - zero:g}")
        out.append((ids.setdefault(row.get(found["node"], ""), len(ids)), start - zero, stop,
                    (row.get(found["class"]) or "unknown") if found["class"] else "unknown", ""))
    return build(out, nodes=nodes, days=days)


def _end_of(row: Mapping[str, str], found: Mapping[str, str], i: int) -> str:
    """Return the day on which a fault ended that is logged by its length."""
    start = _clock(row.get(found["start"], ""), i, "start") if found["start"] else 0.0
    try:
        hours = float(row[found["hours"]])
    except ValueError:
        raise DataError(f"row {i + 2}: {found['hours']} must be a number, got '{row[found['hours']]}'") from None
    if not hours >= 0:
        raise DataError(f"row {i + 2}: {found['hours']} must be 0 hours or more, got {row[found['hours']]}")
    return repr((start or 0.0) + hours / 24)


def _clock(text: str, i: int, what: str) -> float | None:
    if not text and what == "end":
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp() / 86_400
    except ValueError:
        raise DataError(f"row {i + 2}: {what} must be days or a time such as 2025-03-01T12:00, got '{text}'") from None


def watch_of(rows: Sequence[Mapping[str, Any]]) -> tuple[int, float]:
    """Return the nodes that a log names and the days it spans: the least that can have been watched."""
    nodes, first, last = set(), math.inf, -math.inf
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(f"entry {i + 1} of the log must be an object, got {type(row).__name__}")
        if "event_time" in row:
            nodes.add(str(row.get("node_id", "")))
            days = [_time(row, i)]
            first = 0.0
        else:
            found = {ours: next((n for n in names if n in row), "") for ours, names in COLUMNS.items()}
            nodes.add(str(row.get(found["node"], "")))
            texts = [(str(row[found[k]]), k) for k in ("start", "end") if found[k] and str(row[found[k]])]
            dated = any("-" in text[1:] for text, _ in texts)
            days = [t for text, k in texts if (t := _clock(text, i, k)) is not None]
            if not all(math.isfinite(day) for day in days):
                raise DataError(f"row {i + 2}: start and end must be finite times, got "
                                + ", ".join(f"'{text}'" for text, _ in texts))
            first = min([first, *(math.floor(d) for d in days)]) if dated else 0.0
        last = max([last, *days])
    if not math.isfinite(last):
        raise DataError("the log has no time that can be read; it needs node, start and end")
    return max(len(nodes), 1), max(float(math.ceil(last - first)), 1.0)


def build(faults: Sequence[tuple[int, float, float, str, str]], *, nodes: int, days: float) -> Trace:
    """Return the trace of (node, start, end, class, level) tuples, after checking them.

    Raises
    ------
    DataError
        If a fault ends before it starts or starts outside the watch.
    InputError
        If more nodes have faults than are watched.
    """
    if not faults:
        raise DataError("the log has no fault")
    for node, start, end, kind, _ in faults:
        if not (np.isfinite(start) and np.isfinite(end)):
            raise DataError(f"a fault of node {node} ({kind}) needs finite times, got {start} to {end}; mend that row")
        if end < start:
            raise DataError(f"a fault of node {node} ({kind}) ends on day {end:g}, before it starts on day {start:g}")
        if start < 0 or start >= days + 1:
            raise DataError(f"a fault of node {node} starts on day {start:g}, outside the {days:g} days watched")
    seen = len({f[0] for f in faults})
    if seen > nodes:
        raise InputError(f"the log names {seen} nodes, more than the {nodes} watched; state --nodes")
    rows = sorted(faults, key=lambda f: (f[1], f[2]))
    return Trace(nodes=nodes, days=days, node=np.array([r[0] for r in rows], dtype=np.int64),
                 start=np.array([r[1] for r in rows]), end=np.array([r[2] for r in rows]),
                 kind=tuple(r[3] for r in rows), level=tuple(r[4] for r in rows))
