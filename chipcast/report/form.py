"""The forms of pictures as Vega-Lite: fans over time, intervals in rows, stacks, waterfalls, planes, tiles.

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
from chipcast.report.theme import ACCENT, INK, SOFT

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""Name of the grammar; it is never fetched."""

AXIS_PX = 46
"""Room for a horizontal axis with its title, part of every height. [pixels]"""

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
KEYS = ("low", "q25", "mid", "q75", "high")

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
        "$schema": SCHEMA,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit", "contains": "padding", "resize": True},
    }
    if rows is not None:
        spec["data"] = {"values": [dict(r) for r in rows]}
    return {**spec, **more, "layer": layers}


def above(title: str | None, **more: Any) -> Spec:
    """Return a vertical axis whose title lies flat above it, where long words have room."""
    return {
        "title": title,
        "titleAngle": 0,
        "titleAlign": "left",
        "titleBaseline": "bottom",
        "titleX": -34,
        "titleY": -13,
        "tickCount": 5,
        **more,
    }


def log_scale(low: float, high: float, margin: float = 1.12) -> tuple[Spec, list[float]]:
    """Return a logarithmic scale that holds the data and round places for its ticks."""
    a, b = low / margin, high * margin
    steps = (1, 2, 5) if b / a < 300 else (1,)
    fine = (1, 1.5, 2, 3, 4, 5, 7) if b / a < 6 else steps
    places = [sig(m * 10.0**e, 2) for e in range(math.floor(math.log10(a)), math.ceil(math.log10(b)) + 1) for m in fine]
    return {"type": "log", "domain": [sig(a, 3), sig(b, 3)], "nice": False}, [v for v in places if a <= v <= b]


def colour(field: str, colours: Mapping[str, str]) -> Spec:
    """Return a colour channel without a legend of its own: the page draws one that wraps."""
    return {
        "field": field,
        "type": "nominal",
        "legend": None,
        "scale": {"domain": list(colours), "range": list(colours.values())},
    }


def fan(
    rows: Rows,
    *,
    x: str,
    y_title: str,
    by: str,
    colours: Mapping[str, str],
    height: int = 240,
    x_kind: str = "month",
    x_title: str | None = None,
    percent: bool = False,
    zero: bool = True,
    domain: tuple[float, float] | None = None,
    log_x: bool = False,
    inner: bool = True,
    extra: Iterable[Spec] = (),
) -> Spec:
    """Draw bands of 90 and (`inner`) 50 percent with the median line; `x_kind` is month, category or number."""
    kinds: dict[str, Spec] = {
        "month": {
            "field": x,
            "type": "temporal",
            "scale": {"type": "utc"},
            "axis": {
                "title": x_title,
                "format": "%b %y",
                "tickCount": {"interval": "month", "step": 6},
                "labelOverlap": "greedy",
                "labelSeparation": 8,
            },
        },
        "category": {
            "field": x,
            "type": "ordinal",
            "scale": {"type": "point", "padding": 0.3},
            "axis": {"title": x_title, "labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 6},
        },
        "number": {
            "field": x,
            "type": "quantitative",
            "scale": {"type": "log", "nice": False} if log_x else {"nice": False, "zero": False},
            "axis": {"title": x_title, "labelOverlap": True},
        },
    }
    scale: Spec = {"zero": zero}
    if domain:
        scale = {"domain": list(domain), "clamp": True}
    axis = above(y_title, **({"format": ".0%"} if percent else {}))
    y: Spec = {"type": "quantitative", "scale": scale, "axis": axis}
    shade = {"x": kinds[x_kind], "color": colour(by, colours)}
    tip = [
        {"field": by, "type": "nominal", "title": "what"},
        *(
            {"field": k, "type": "quantitative", "title": t, **({"format": ".1%"} if percent else {})}
            for k, t in (("low", "5th percentile"), ("mid", "median"), ("high", "95th percentile"))
        ),
    ]
    layers: list[Spec] = []
    if rows and "low" in rows[0]:
        layers.append(
            {
                "mark": {"type": "area", "opacity": 0.16},
                "encoding": {**shade, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            }
        )
    else:
        tip = [tip[0], {**tip[2], "title": "value"}]
    if inner and rows and "q25" in rows[0]:
        layers.append(
            {
                "mark": {"type": "area", "opacity": 0.22},
                "encoding": {**shade, "y": {**y, "field": "q25"}, "y2": {"field": "q75"}},
            }
        )
    layers += [
        {"mark": {"type": "line", "strokeWidth": 2.2}, "encoding": {**shade, "y": {**y, "field": "mid"}}},
        {
            "mark": {"type": "point", "size": 18, "opacity": 0.9},
            "encoding": {**shade, "y": {**y, "field": "mid"}, "tooltip": tip},
        },
    ]
    return base(height, [*layers, *extra], rows)


def ranges(
    rows: Rows,
    *,
    label: str,
    x_title: str,
    colours: Mapping[str, str] | None = None,
    by: str = "",
    log: bool = False,
    percent: bool = False,
    step: int = 34,
    zero: bool = False,
    offset: str = "",
    extra: Iterable[Spec] = (),
    text: str = "text",
) -> Spec:
    """Draw one interval per row: thin 90 percent, thick 50 percent, a dot for the median, the numbers beside it."""
    axis: Spec = {
        "title": x_title,
        "titleAnchor": "end",
        "titleAlign": "right",
        "tickCount": 5,
        "grid": True,
        "labelOverlap": True,
    }
    if percent:
        axis["format"] = ".0%"
    scale: Spec = {"zero": zero}
    if log:
        scale, axis["values"] = log_scale(min(r["low"] for r in rows), max(r["high"] for r in rows))
        axis["format"] = "~s" if axis["values"] and max(axis["values"]) >= 1000 else "~g"
    x: Spec = {"type": "quantitative", "axis": axis, "scale": scale}
    order = list(dict.fromkeys(str(r[label]) for r in rows))
    y: Spec = {
        "field": label,
        "type": "nominal",
        "sort": order,
        "axis": {
            "title": None,
            "labelLimit": 210,
            "grid": False,
            "labelColor": INK,
            "labelExpr": "split(datum.label, '\\n')",
        },
    }
    channels: Spec = {"y": y, "color": colour(by, colours) if by and colours else {"value": ACCENT}}
    groups = 1
    if offset:
        names = list(dict.fromkeys(str(r[offset]) for r in rows))
        groups = len(names)
        channels["yOffset"] = {"field": offset, "type": "nominal", "sort": names, "scale": {"paddingInner": 0.2}}
    layers: list[Spec] = [
        {
            "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.75},
            "encoding": {**channels, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
        }
    ]
    if any("q25" in r for r in rows):
        layers.append(
            {
                "mark": {"type": "rule", "strokeWidth": 7, "opacity": 0.55, "strokeCap": "round"},
                "encoding": {**channels, "x": {**x, "field": "q25"}, "x2": {"field": "q75"}},
            }
        )
    layers.append(
        {
            "mark": {"type": "point", "size": 70, "opacity": 1, "stroke": "white", "strokeWidth": 1},
            "encoding": {**channels, "x": {**x, "field": "mid"}},
        }
    )
    if any(r.get(text) for r in rows):
        layers.append(
            {
                "mark": {
                    "type": "text",
                    "align": "left",
                    "baseline": "bottom",
                    "dx": 5,
                    "dy": -2,
                    "fontSize": 11,
                    "color": SOFT,
                },
                "encoding": {
                    "y": y,
                    **({"yOffset": channels["yOffset"]} if offset else {}),
                    "x": {**x, "field": "mid"},
                    "text": {"field": text},
                },
            }
        )
    return base(AXIS_PX + int(step * len(order) * max(1.0, 0.62 * groups)), [*layers, *extra], rows)


def stack(
    rows: Rows,
    *,
    x: str,
    y: str,
    by: str,
    colours: Mapping[str, str],
    y_title: str,
    percent: bool = False,
    height: int = 200,
    order: Sequence[str] = (),
    horizontal: bool = False,
    x_title: str | None = None,
    domain: tuple[float, float] | None = None,
) -> Spec:
    """Draw stacked bars of parts that sum up, in the order of `colours`."""
    places = list(order) or list(dict.fromkeys(str(r[x]) for r in rows))
    rank = {name: i for i, name in enumerate(colours)}
    ready = [{**r, "rank": rank[str(r[by])]} for r in rows]
    axis: Spec = {"title": y_title, "tickCount": 5} if horizontal else above(y_title)
    if percent:
        axis["format"] = ".0%"
    size: Spec = {"field": y, "type": "quantitative", "stack": "zero", "axis": axis}
    if domain:
        size["scale"] = {"domain": list(domain)}
    place: Spec = {
        "field": x,
        "type": "nominal",
        "sort": places,
        "axis": {
            "title": x_title,
            "labelAngle": 0,
            "labelOverlap": "greedy",
            "labelSeparation": 6,
            "labelLimit": 200,
            "grid": False,
            **({"labelColor": INK} if horizontal else {}),
        },
        "scale": {"paddingInner": 0.25},
    }
    tip = [
        {"field": x, "type": "nominal"},
        {"field": by, "type": "nominal"},
        {"field": y, "type": "quantitative", **({"format": ".1%"} if percent else {"format": ".3s"})},
    ]
    bars: Spec = {
        "mark": {"type": "bar", "cornerRadiusEnd": 0},
        "encoding": {
            **({"y": place, "x": size} if horizontal else {"x": place, "y": size}),
            "color": colour(by, colours),
            "order": {"field": "rank", "type": "quantitative"},
            "tooltip": tip,
        },
    }
    return base(height, [bars], ready)


def waterfall(rows: Rows, *, label: str, x_title: str, step: int = 30) -> Spec:
    """Draw steps from left to right that add up to the last row; rows carry `start`, `end`, `text`, `tone`."""
    order = [str(r[label]) for r in rows]
    y: Spec = {
        "field": label,
        "type": "nominal",
        "sort": order,
        "axis": {
            "title": None,
            "labelLimit": 190,
            "grid": False,
            "labelColor": INK,
            "labelExpr": "split(datum.label, '\\n')",
        },
    }
    x: Spec = {
        "type": "quantitative",
        "axis": {
            "title": x_title,
            "grid": True,
            "tickCount": 5,
            "format": ",.0f",
            "labelOverlap": "greedy",
            "labelSeparation": 6,
        },
    }
    tones = {"step": "#4fb3e8", "sum": ACCENT, "loss": "#b5392d", "gain": "#1b9e77"}
    return base(
        AXIS_PX + step * len(order),
        [
            {
                "mark": {"type": "bar", "height": {"band": 0.66}, "cornerRadiusEnd": 1},
                "encoding": {
                    "y": y,
                    "x": {**x, "field": "start"},
                    "x2": {"field": "end"},
                    "color": colour("tone", tones),
                },
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 5, "fontSize": 11, "color": SOFT},
                "encoding": {"y": y, "x": {**x, "field": "edge"}, "text": {"field": "text"}},
            },
        ],
        rows,
    )


def tiles(
    rows: Rows,
    *,
    x: str,
    y: str,
    by: str,
    colours: Mapping[str, str],
    step: int = 26,
    x_title: str | None = None,
    tip: Sequence[str] = (),
    text: str = "",
    every: str = "",
) -> Spec:
    """Draw a calendar: one coloured tile per row, columns `x`, lines `y`."""
    columns, lines = list(dict.fromkeys(str(r[x]) for r in rows)), list(dict.fromkeys(str(r[y]) for r in rows))
    place: Spec = {
        "x": {
            "field": x,
            "type": "ordinal",
            "sort": columns,
            "scale": {"paddingInner": 0.04},
            "axis": {
                "title": x_title,
                "labelAngle": 0,
                "labelOverlap": "greedy",
                "domain": False,
                "ticks": False,
                **(
                    {"values": [c for c in columns if c.endswith(every)], "labelExpr": "slice(datum.label, 0, 4)"}
                    if every
                    else {}
                ),
            },
        },
        "y": {
            "field": y,
            "type": "nominal",
            "sort": lines,
            "scale": {"paddingInner": 0.14},
            "axis": {"title": None, "labelLimit": 190, "grid": False, "labelColor": INK},
        },
    }
    layers: list[Spec] = [
        {
            "mark": {"type": "rect"},
            "encoding": {
                **place,
                "color": colour(by, colours),
                "tooltip": [{"field": f, "type": "nominal"} for f in (y, x, by, *tip)],
            },
        }
    ]
    if text:
        layers.append(
            {
                "mark": {"type": "text", "fontSize": 11, "color": "white", "fontWeight": "bold"},
                "encoding": {**place, "text": {"field": text}},
            }
        )
    return base(AXIS_PX // 2 + step * len(lines), layers, rows)


def line_at(value: float, *, axis: str = "y", text: str = "", tone: str = INK) -> list[Spec]:
    """Return a marked value: a dashed rule with its name, at the right end or at the top."""
    datum = {"datum": value, "type": "quantitative"}
    rule: Spec = {"type": "rule", "strokeDash": [4, 3], "color": tone, "strokeWidth": 1.3}
    layers: list[Spec] = [{"data": {"values": [{}]}, "mark": rule, "encoding": {axis: datum}}]
    if text:
        mark: Spec = {"type": "text", "text": text, "baseline": "bottom", "fontSize": 11, "color": tone}
        if axis == "y":
            mark |= {"align": "right", "dx": -2, "dy": -3}
            other: Spec = {"x": {"value": {"expr": "width"}}}
        else:
            mark |= {"align": "left", "dx": 4, "dy": 14}
            other = {"y": {"value": 0}}
        layers.append({"data": {"values": [{}]}, "mark": mark, "encoding": {axis: datum, **other}})
    return layers
