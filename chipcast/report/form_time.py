"""Pictures over time, quarters or another number: bands of percentiles with a median line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.calendar import places_by_quarter
from chipcast.base.types import Array
from chipcast.report.form import Rows, above, base, colour, five, layer
from chipcast.report.record import Spec


def across(x: str, kind: str, title: str | None = None, *, log: bool = False) -> Spec:
    """Return a horizontal channel of months, of names in order, or of numbers; `kind` is month, category or number."""
    kinds: dict[str, Spec] = {
        "month": {"type": "temporal", "scale": {"type": "utc"}, "axis": {
            "title": title, "format": "%b %y", "tickCount": {"interval": "month", "step": 6},
            "labelOverlap": "greedy", "labelSeparation": 8}},
        "category": {"type": "ordinal", "scale": {"type": "point", "padding": 0.3}, "axis": {
            "title": title, "labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 6}},
        "number": {"type": "quantitative", "axis": {"title": title, "labelOverlap": True},
                   "scale": {"type": "log", "nice": False} if log else {"nice": False, "zero": False}},
    }
    return {"field": x, **kinds[kind]}


def fan(rows: Rows, *, x: str, y_title: str, by: str, colours: Mapping[str, str], height: int = 240,
        x_kind: str = "month", x_title: str | None = None, percent: bool = False, zero: bool = True,
        domain: tuple[float, float] | None = None, log_x: bool = False, inner: bool = True,
        extra: Iterable[Spec] = ()) -> Spec:
    """Draw bands of 90 and (`inner`) 50 percent with the median line; `x_kind` as in `across`."""
    scale: Spec = {"domain": list(domain), "clamp": True} if domain else {"zero": zero}
    y: Spec = {"type": "quantitative", "scale": scale,
               "axis": above(y_title, **({"format": ".0%"} if percent else {}))}
    shade = {"x": across(x, x_kind, x_title, log=log_x), "color": colour(by, colours)}
    shown = {"format": ".1%"} if percent else {}
    tip = [{"field": by, "type": "nominal", "title": "what"},
           *({"field": k, "type": "quantitative", "title": t, **shown}
             for k, t in (("low", "5th percentile"), ("mid", "median"), ("high", "95th percentile")))]
    layers: list[Spec] = []
    if rows and "low" in rows[0]:
        layers.append(layer("area", {**shade, "y": {**y, "field": "low"}, "y2": {"field": "high"}}, opacity=0.16))
    else:
        tip = [tip[0], {**tip[2], "title": "value"}]
    if inner and rows and "q25" in rows[0]:
        layers.append(layer("area", {**shade, "y": {**y, "field": "q25"}, "y2": {"field": "q75"}}, opacity=0.22))
    middle = {**shade, "y": {**y, "field": "mid"}}
    layers += [layer("line", middle, strokeWidth=2.2),
               layer("point", {**middle, "tooltip": tip}, size=18, opacity=0.9)]
    return base(height, [*layers, *extra], rows)


def over_time(values: Array, months: Sequence[str], *, day: str = "15", every: int = 1, unit: float = 1.0,
              **names: str) -> list[dict[str, Any]]:
    """Return rows of a fan from `[month draw]`, one per month, divided by `unit`; `names` say what they are."""
    return [{"month": f"{m}-{day}", **names, **five(values[i] / unit)} for i, m in enumerate(months) if i % every == 0]


def by_quarter(months: Sequence[str], values: Array) -> tuple[list[str], Array]:
    """Return whole quarters and sums over their months of `[month draw]`; part quarters are left out."""
    whole = {q: at for q, at in places_by_quarter(months).items() if len(at) == 3}
    return list(whole), np.stack([values[at].sum(axis=0) for at in whole.values()])
