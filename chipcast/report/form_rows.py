"""Pictures in rows: one interval per name, stacked parts, steps that add up, strips on a common scale, bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from chipcast.report.form import (
    AXIS_PX,
    Rows,
    above,
    base,
    below,
    colour,
    layer,
    lines,
    log_scale,
    names,
    number,
    tips,
)
from chipcast.report.record import Spec
from chipcast.report.theme import ACCENT, INK, SOFT


def ranges(rows: Rows, *, label: str, x_title: str, colours: Mapping[str, str] | None = None, by: str = "",
           log: bool = False, percent: bool = False, step: int = 34, zero: bool = False, offset: str = "",
           extra: Iterable[Spec] = (), text: str = "text", domain: tuple[float, float] | None = None,
           root: bool = False, hold: Sequence[float] = (), lift: int = 2) -> Spec:
    """Draw one interval per row: thin 90 percent, thick 50 percent, a dot for the median, the numbers beside it.

    With `root` the axis grows with the square root, so that small and large ones show beside each other; a
    logarithmic one also reaches the values of `hold`, which marks in `extra` stand at. Numbers stand `lift` pixels
    above their line.
    """
    axis = below(x_title, **({"format": ".0%"} if percent else {}))
    scale: Spec = {"domain": list(domain)} if domain else {"zero": zero, **({"type": "sqrt"} if root else {})}
    if log:
        scale, axis["values"] = log_scale(min(*(r["low"] for r in rows), *hold, math.inf),
                                         max(*(r["high"] for r in rows), *hold, 0.0))
        axis["format"] = "~s" if axis["values"] and max(axis["values"]) >= 1000 else "~g"
    x: Spec = {"type": "quantitative", "axis": axis, "scale": scale}
    order = list(dict.fromkeys(str(r[label]) for r in rows))
    channels: Spec = {"y": names(label, order), "color": colour(by, colours) if by and colours else {"value": ACCENT}}
    groups = 1
    if offset:
        each = list(dict.fromkeys(str(r[offset]) for r in rows))
        groups = len(each)
        channels["yOffset"] = {"field": offset, "type": "nominal", "sort": each, "scale": {"paddingInner": 0.2}}
    layers = [layer("rule", {**channels, "x": {**x, "field": "low"}, "x2": {"field": "high"}}, strokeWidth=2,
                    opacity=0.75)]
    if any("q25" in r for r in rows):
        layers.append(layer("rule", {**channels, "x": {**x, "field": "q25"}, "x2": {"field": "q75"}}, strokeWidth=7,
                            opacity=0.55, strokeCap="round"))
    layers.append(layer("point", {**channels, "x": {**x, "field": "mid"}}, size=70, opacity=1, stroke="white",
                        strokeWidth=1))
    if any(r.get(text) for r in rows):
        words = {k: v for k, v in channels.items() if k != "color"}
        layers.append(layer("text", {**words, "x": {**x, "field": "mid"}, "text": {"field": text}}, align="left",
                            baseline="bottom", dx=5, dy=-lift, fontSize=11, color=SOFT))
    return base(AXIS_PX + int(step * len(order) * max(1.0, 0.62 * groups)), [*layers, *extra], rows)


def stack(rows: Rows, *, x: str, y: str, by: str, colours: Mapping[str, str], y_title: str, percent: bool = False,
          height: int = 200, order: Sequence[str] = (), horizontal: bool = False, x_title: str | None = None,
          domain: tuple[float, float] | None = None, tip: Sequence[str] = ()) -> Spec:
    """Draw stacked bars of parts that sum up, in the order of `colours`."""
    places = list(order) or list(dict.fromkeys(str(r[x]) for r in rows))
    rank = {name: i for i, name in enumerate(colours)}
    ready = [{**r, "rank": rank[str(r[by])]} for r in rows]
    axis: Spec = {"title": y_title, "tickCount": 5} if horizontal else above(y_title)
    if percent:
        axis["format"] = ".0%"
    size = number(y, stack="zero", axis=axis, **({"scale": {"domain": list(domain)}} if domain else {}))
    place: Spec = {
        "field": x, "type": "nominal", "sort": places, "scale": {"paddingInner": 0.25},
        "axis": {"title": x_title, "labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 6,
                 "labelLimit": 200, "grid": False,
                 **({"labelColor": INK, "labelExpr": "split(datum.label, '\\n')"} if horizontal else {})}}
    shown = [*tips(x, by, *tip), number(y, format=".1%" if percent else ".3s")]
    where = {"y": place, "x": size} if horizontal else {"x": place, "y": size}
    return base(height, [layer("bar", {**where, "color": colour(by, colours), "order": number("rank"),
                                       "tooltip": shown}, cornerRadiusEnd=0)], ready)


def waterfall(rows: Rows, *, label: str, x_title: str, step: int = 30) -> Spec:
    """Draw steps from left to right that add up to the last row; rows carry `start`, `end`, `text`, `tone`."""
    y = names(label, [str(r[label]) for r in rows], limit=190)
    x: Spec = {"type": "quantitative", "axis": {"title": x_title, "grid": True, "tickCount": 5, "format": ",.0f",
                                                "labelOverlap": "greedy", "labelSeparation": 6}}
    tones = {"step": "#4fb3e8", "sum": ACCENT, "loss": "#b5392d", "gain": "#1b9e77"}
    return base(AXIS_PX + step * len(rows), [
        layer("bar", {"y": y, "x": {**x, "field": "start"}, "x2": {"field": "end"}, "color": colour("tone", tones)},
              height={"band": 0.66}, cornerRadiusEnd=1),
        layer("text", {"y": y, "x": {**x, "field": "edge"}, "text": {"field": "text"}}, align="left", dx=5,
              fontSize=11, color=SOFT)], rows)


def strips(rows: Rows, axis_title: str) -> Spec:
    """Draw each quantity on the scale of its range before: grey strip, tick, then what is left of it."""
    y = names("name", [str(r["name"]) for r in rows], limit=260)
    x: Spec = {"type": "quantitative", "scale": {"domain": [-0.25, 1.25], "clamp": True}}
    axis = {"title": lines(axis_title), "values": [0, 0.5, 1], "grid": True}
    return base(AXIS_PX + 34 * len(rows), [
        layer("bar", {"y": y, "x": {**x, "datum": 0}, "x2": {"datum": 1}}, color="#e3e8ee", height={"band": 0.7}),
        layer("tick", {"y": y, "x": {**x, "field": "before", "axis": axis}}, color=SOFT, thickness=1.5, size=16),
        layer("rule", {"y": y, "x": {**x, "field": "low", "axis": axis}, "x2": {"field": "high"}}, strokeWidth=4,
              color=ACCENT, opacity=0.7),
        layer("point", {"y": y, "x": {**x, "field": "mid", "axis": axis}, "tooltip": tips("name", "text")}, size=55,
              color=ACCENT, opacity=1)], rows)


def strip_scale(low: float, high: float, log: bool) -> Callable[[float], float]:
    """Return the place of a value on a strip: 0 at `low`, 1 at `high`."""
    if log:
        return lambda v: (math.log(max(v, 1e-300)) - math.log(low)) / (math.log(high) - math.log(low))
    return lambda v: (v - low) / (high - low) if high > low else 0.5


def signed_bars(rows: Rows, *, label: str, value: str, x_title: str, domain: tuple[float, float] | None = None,
                step: int = 34) -> Spec:
    """Draw bars to both sides of zero, green above and red below."""
    scale: Spec = {"domain": list(domain)} if domain else {}
    tint = {"condition": {"test": f"datum['{value}'] < 0", "value": "#b5392d"}, "value": "#1b7f5f"}
    x = number(value, scale=scale, axis={"title": lines(x_title), "tickCount": 5, "grid": True})
    return base(AXIS_PX + step * len(rows), [
        layer("bar", {"y": names(label, [str(r[label]) for r in rows]), "x": x, "color": tint}, height={"band": 0.6}),
        layer("rule", {"x": {"datum": 0, "type": "quantitative"}}, [{}], color=SOFT)], rows)


def bars(rows: Rows, *, label: str, value: str, x_title: str, percent: bool = False, tone: str = "#c9d5e0",
         domain: tuple[float, float] | None = None, step: int = 34, text: str = "text") -> Spec:
    """Draw one bar per row with its number at the end."""
    axis = {"title": lines(x_title, 44), "grid": True, "tickCount": 5, "labelOverlap": True,
            **({"format": ".0%"} if percent else {})}
    x = number(value, axis=axis, scale={"domain": list(domain)} if domain else {})
    y = names(label, [str(r[label]) for r in rows], limit=280)
    return base(AXIS_PX + step * len(rows), [
        layer("bar", {"y": y, "x": x}, height={"band": 0.5}, color=tone),
        layer("text", {"y": y, "x": x, "text": {"field": text}}, align="left", dx=5, fontSize=11, color=SOFT)], rows)
