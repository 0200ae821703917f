"""Pictures on a plane: calendars of tiles, maps of cells, dots in two classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.types import Array
from chipcast.report.form import AXIS_PX, Rows, above, base, colour, layer, lines, log_scale, names, number, sig, tips
from chipcast.report.record import Spec
from chipcast.report.theme import INK


def tiles(rows: Rows, *, x: str, y: str, by: str, colours: Mapping[str, str], step: int = 26,
          x_title: str | None = None, tip: Sequence[str] = (), text: str = "", every: str = "") -> Spec:
    """Draw a calendar: one coloured tile per row, columns `x`, lines `y`."""
    columns, lines = list(dict.fromkeys(str(r[x]) for r in rows)), list(dict.fromkeys(str(r[y]) for r in rows))
    years: Spec = {}
    if every:
        years = {"values": [c for c in columns if c.endswith(every)], "labelExpr": "slice(datum.label, 0, 4)"}
    place: Spec = {
        "x": {"field": x, "type": "ordinal", "sort": columns, "scale": {"paddingInner": 0.04}, "axis": {
            "title": x_title, "labelAngle": 0, "labelOverlap": "greedy", "domain": False, "ticks": False, **years}},
        "y": names(y, lines, limit=190, scale={"paddingInner": 0.14})}
    layers = [layer("rect", {**place, "color": colour(by, colours), "tooltip": tips(y, x, by, *tip)})]
    if text:
        layers.append(layer("text", {**place, "text": {"field": text}}, fontSize=11, color="white",
                            fontWeight="bold"))
    return base(AXIS_PX // 2 + step * len(lines), layers, rows)


def cells(x: Array, y: Array, hit: Array, *, bins: int = 6, least: int = 5) -> list[dict[str, Any]]:
    """Return the share of draws that hit, by cells of two quantities; cells with fewer than `least` draws are left out.

    Parameters
    ----------
    x, y : array (draw)
        Quantities whose quantiles cut the plane.
    hit : array of bool (draw)
        What is counted.
    bins : int
        Cells along each side.
    least : int
        Draws that a cell needs.
    """
    cuts = np.linspace(0.02, 0.98, bins + 1)
    xs, ys = np.quantile(x, cuts), np.quantile(y, cuts)

    def centre(cuts_: Array, i: int) -> float:
        a, b = float(cuts_[i]), float(cuts_[i + 1])
        return sig((a * b) ** 0.5 if skewed(cuts_) else (a + b) / 2)

    out: list[dict[str, Any]] = []
    for a in range(bins):
        for b in range(bins):
            inside = (x >= xs[a]) & (x < xs[a + 1]) & (y >= ys[b]) & (y < ys[b + 1])
            if inside.sum() >= least:
                share = float(np.mean(hit[inside]))
                out.append({"left": sig(xs[a]), "right": sig(xs[a + 1]), "bottom": sig(ys[b]), "top": sig(ys[b + 1]),
                            "share": sig(share, 3), "text": f"{share:.0%}", "draws": int(inside.sum()),
                            "x": centre(xs, a), "y": centre(ys, b)})
    return out


SKEWED = 4.0
"""Ratio of the ends from which a positive quantity is drawn on a logarithmic axis."""


def skewed(values: Array) -> bool:
    """Return whether a quantity is better drawn on a logarithmic axis."""
    low, high = float(np.min(values)), float(np.max(values))
    return low > 0 and high / low > SKEWED


def plain_or_log(ends: Array) -> tuple[Spec, Spec]:
    """Return scale and ticks of an axis between the ends, logarithmic where they lie far apart."""
    low, high = float(np.min(ends)), float(np.max(ends))
    if not skewed(ends):
        return {"zero": False, "nice": False}, {"tickCount": 5}
    scale, places = log_scale(low, high, 1.0)
    return scale, {"values": places, "format": "~s"}


def cell_map(rows: Rows, *, x_title: str, y_title: str, x_percent: bool = False, height: int = 290) -> Spec:
    """Draw a map of `cells`: red where the share is 0, green where it is 1."""
    x_scale, x_ticks = plain_or_log(np.array([v for r in rows for v in (r["left"], r["right"])]))
    y_scale, y_ticks = plain_or_log(np.array([v for r in rows for v in (r["bottom"], r["top"])]))
    ax: Spec = {"type": "quantitative", "scale": x_scale, "axis": {
        "title": lines(x_title), "labelOverlap": True, **x_ticks, **({"format": ".0%"} if x_percent else {})}}
    ay: Spec = {"type": "quantitative", "scale": y_scale, "axis": above(y_title, grid=False, **y_ticks)}
    tint = number("share", legend=None, scale={"domain": [0, 0.5, 1], "range": ["#b5392d", "#f4f1ea", "#1b7f5f"]})
    return base(height, [
        layer("rect", {"x": {**ax, "field": "left"}, "x2": {"field": "right"}, "y": {**ay, "field": "bottom"},
                       "y2": {"field": "top"}, "color": tint, "tooltip": tips("text", "draws")}, stroke="white",
              strokeWidth=1),
        layer("text", {"x": {**ax, "field": "x"}, "y": {**ay, "field": "y"}, "text": {"field": "text"}}, fontSize=11,
              color=INK)], rows)


def dots(rows: Rows, *, x_title: str, y_title: str, by: str, colours: Mapping[str, str], height: int = 300,
         extra: Sequence[Spec] = (), opacity: float = 0.75, size: int = 34, tip: Sequence[str] = (),
         x_axis: Mapping[str, Any] | None = None, y_axis: Mapping[str, Any] | None = None,
         x_scale: Spec | None = None, y_scale: Spec | None = None) -> Spec:
    """Draw one dot per row at `x`, `y`, coloured by a class."""
    free: Spec = {"zero": False}
    channels: Spec = {
        "x": number("x", scale=x_scale or free, axis={"title": lines(x_title), "labelOverlap": True, **(x_axis or {})}),
        "y": number("y", scale=y_scale or free, axis=above(y_title, **(y_axis or {}))), "color": colour(by, colours)}
    if tip:
        channels["tooltip"] = tips(*tip)
    return base(height, [layer("point", channels, size=size, opacity=opacity), *extra], rows)
