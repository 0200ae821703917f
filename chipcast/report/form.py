"""What all forms of pictures share: summaries of draws, axes, scales, colours and layers as Vega-Lite.

Each form takes rows that are summaries already (percentiles, shares), never draws, so that a page stays small.
Rows carry `low`, `q25`, `mid`, `q75`, `high`: 5th, 25th, 50th, 75th and 95th percentile.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.types import Array
from chipcast.report.record import Spec
from chipcast.report.theme import INK, wrapped

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""Name of the grammar; it is never fetched."""

AXIS_PX = 46
"""Room for a horizontal axis with its title, part of every height. [pixels]"""

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
KEYS = ("low", "q25", "mid", "q75", "high")

SPREAD = "5th to 95th percentile"
"""What a band or line of an interval holds."""

Rows = Sequence[Mapping[str, Any]]


def sig(x: float, digits: int = 4) -> float:
    """Return `x` with so many significant digits, so that the data of a page stay small."""
    return float(f"{float(x):.{digits}g}")


def five(values: Array) -> dict[str, float]:
    """Return the five percentiles of a `[draw]` array under the names that the forms read."""
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if finite.size == 0:
        return {}
    return {k: sig(v) for k, v in zip(KEYS, np.quantile(finite, LEVELS), strict=True)}


def three(interval: Mapping[str, float] | float) -> dict[str, float]:
    """Return an interval `p05 p50 p95`, or a plain number, under the names that the forms read."""
    if isinstance(interval, Mapping):
        return {"low": sig(interval["p05"]), "mid": sig(interval["p50"]), "high": sig(interval["p95"])}
    return dict.fromkeys(("low", "mid", "high"), sig(interval))


def base(height: int, layers: list[Spec], rows: Rows | None = None, **more: Any) -> Spec:
    """Return a drawing area as wide as its place in the page."""
    spec: Spec = {
        "$schema": SCHEMA, "width": "container", "height": height,
        "autosize": {"type": "fit", "contains": "padding", "resize": True},
    }
    if rows is not None:
        spec["data"] = {"values": [dict(r) for r in rows]}
    return {**spec, **more, "layer": layers}


def layer(kind: str, encoding: Spec, rows: Rows | None = None, **mark: Any) -> Spec:
    """Return one layer: a mark with its channels, on rows of its own where given."""
    data = {} if rows is None else {"data": {"values": [dict(r) for r in rows]}}
    return {**data, "mark": {"type": kind, **mark}, "encoding": encoding}


def lines(text: str, width: int = 36) -> str | list[str]:
    """Return the title of an axis in two lines where it is longer than a narrow picture is wide."""
    return wrapped(text, width).split("\n") if len(text) > width else text


def number(field: str, **more: Any) -> Spec:
    """Return a channel of numbers."""
    return {"field": field, "type": "quantitative", **more}


def tips(*fields: str) -> list[Spec]:
    """Return what is shown when one points at a mark."""
    return [{"field": f, "type": "nominal"} for f in fields]


def names(field: str, order: Iterable[str], *, limit: int = 210, grid: bool = False, **more: Any) -> Spec:
    """Return a vertical axis of names in a given order; a line break in a name makes two lines."""
    return {"field": field, "type": "nominal", "sort": list(order), **more, "axis": {
        "title": None, "labelLimit": limit, "grid": grid, "labelColor": INK,
        "labelExpr": "split(datum.label, '\\n')"}}


def above(title: str | None, **more: Any) -> Spec:
    """Return a vertical axis whose title lies flat above it, where long words have room."""
    return {"title": title, "titleAngle": 0, "titleAlign": "left", "titleBaseline": "bottom", "titleX": -34,
            "titleY": -13, "tickCount": 5, **more}


def below(title: str | None, **more: Any) -> Spec:
    """Return a horizontal axis of numbers with its title at the end."""
    return {"title": title, "titleAnchor": "end", "titleAlign": "right", "tickCount": 5, "grid": True,
            "labelOverlap": True, **more}


def log_scale(low: float, high: float, margin: float = 1.12) -> tuple[Spec, list[float]]:
    """Return a logarithmic scale that holds the data and round places for its ticks."""
    a, b = low / margin, high * margin
    steps = (1, 2, 5) if b / a < 300 else (1,)
    fine = (1, 1.5, 2, 3, 4, 5, 7) if b / a < 6 else steps
    places = [sig(m * 10.0**e, 2) for e in range(math.floor(math.log10(a)), math.ceil(math.log10(b)) + 1) for m in fine]
    return {"type": "log", "domain": [sig(a, 3), sig(b, 3)], "nice": False}, [v for v in places if a <= v <= b]


def colour(field: str, colours: Mapping[str, str]) -> Spec:
    """Return a colour channel without a legend of its own: the page draws one that wraps."""
    return {"field": field, "type": "nominal", "legend": None,
            "scale": {"domain": list(colours), "range": list(colours.values())}}


def line_at(value: float, *, axis: str = "y", text: str = "", tone: str = INK, below: bool = False) -> list[Spec]:
    """Return a marked value: a dashed rule with its name, at the right end, over or `below` it, or at the top."""
    datum = {"datum": value, "type": "quantitative"}
    layers = [layer("rule", {axis: datum}, [{}], strokeDash=[4, 3], color=tone, strokeWidth=1.3)]
    if text:
        words: Spec = {"text": text, "baseline": "bottom", "fontSize": 11, "color": tone}
        other: Spec = {"x": {"value": {"expr": "width"}}} if axis == "y" else {"y": {"value": 0}}
        shift = 14 if below or axis == "x" else -3
        place = {"align": "right", "dx": -2, "dy": shift} if axis == "y" else {"align": "left", "dx": 4, "dy": shift}
        layers.append(layer("text", {axis: datum, **other}, [{}], **words, **place))
    return layers
