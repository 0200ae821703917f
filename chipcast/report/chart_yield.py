"""The picture of reported yields over the ramp, once under each meaning of the word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.fab.record import Line
from chipcast.report.form import SPREAD, colour, five, layer, number, sig, tips
from chipcast.report.form_time import fan, over_time
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import CHIP_COLOURS, SOFT

READINGS = (
    ("die.any", "of dies: fit for the lowest sold bin"),
    ("through", "of 910C packages, dies tested first"),
    ("blind", "of 910C packages, dies not tested"),
    ("die.perfect", "of dies: every core works"),
)
"""What "yield" can mean in a report, each with its words."""

SHOWN_MONTHS = 25
"""Months of the ramp shown. [months]"""

TONES = {"910B": CHIP_COLOURS["ascend-910b"], "910C": CHIP_COLOURS["ascend-910c"]}
"""Colour of the product that a report speaks of."""


def yield_by_reading(line: Line) -> dict[str, Array]:
    """Return the yield of the line under each of `READINGS`. [1] (month, draw)"""
    dual = line.assembly_yield[line.products.index("ascend-910c")]
    return {"die.any": line.yield_die_any, "through": line.yield_die_any * dual,
            "blind": line.yield_die_any**2 * dual, "die.perfect": line.yield_die_perfect}


def reported(given: Given) -> list[Mapping[str, str]]:
    """Return the reports of a yield that the date knows."""
    return [r for r in given.catalog.rows("reports")
            if "yield" in r["claim"] and r["unit"] == "%" and r["claim"].startswith("910") and r["period"][:2] == "20"]


def yield_readings(line: Line, given: Given, *, prior: bool) -> Picture:
    """Draw the reports of yield over the ramp under each reading of the word; `prior`: the line saw no report."""
    when = "before any report" if prior else "with the reports taken in"
    fans, reports = yield_by_reading(line), reported(given)
    rows: list[dict[str, Any]] = []
    panels = []
    for key, words in READINGS:
        band = over_time(fans[key], line.months[:SHOWN_MONTHS], every=2, what="ramp", reading=key)
        wanted = "910C" if key in ("through", "blind") else "910"
        dots = [_dot(r, given) | {"reading": key} for r in reports if r["claim"].startswith(wanted)]
        rows += band + dots
        panels.append(Panel(title=f"Yield {words}", spec=fan(
            band, x="month", by="what", colours={"ramp": SOFT, **TONES}, y_title=f"share, {SPREAD}", percent=True,
            domain=(0, 1), height=190, extra=_marks(dots))))
    at = _news_month(line, reports)
    if at is not None:
        places = {k: float(np.mean(v[at[0]] >= at[1])) for k, v in fans.items()}
        near = min(places, key=lambda k: abs(places[k] - 0.5))
        far = min(places, key=lambda k: places[k])
        title = (f"A 910C yield of {at[1]:.0%} fits best as the share {dict(READINGS)[near]}: {places[near]:.0%} of "
                 "the draws reach it")
        if far != near:
            title += f", read as the share {dict(READINGS)[far]} only {places[far]:.0%} do"
    else:
        title = (f"The line's sellable dies: {five(fans['die.any'][0])['mid']:.0%} of those on a wafer in "
                 f"{line.months[0]}")
    return Picture(
        id="yield-readings", title=title, panels=tuple(panels), rows=rows,
        note=f"One picture per meaning of the word yield. Grey: what the line gives {when}, median with the bands of "
        "50 and 90 percent of the draws. Colour: what was reported, with the error of its kind of source, 5th to "
        "95th percentile.",
        legend=(("the line as computed", SOFT), *((f"reports on the {k}", v) for k, v in TONES.items())),
        marks=("fab", "evidence", *dict.fromkeys(r["source"] for r in reports)))


def _dot(r: Mapping[str, str], given: Given) -> dict[str, Any]:
    """Return one report with the error of its kind of source."""
    kind = "source_newspaper" if r["kind"] == "reported" else "source_letter_or_broker"
    share = float(r["value"]) / 100
    z = np.log(share / (1 - share)) + 1.6449 * given.middle(f"{kind}.sigma_logit_yield") * np.array([-1.0, 0.0, 1.0])
    low, mid, high = (sig(v) for v in 1 / (1 + np.exp(-z)))
    return {"month": f"{r['period'][:7]}-15", "what": "report", "low": low, "mid": mid, "high": high,
            "text": f"{r['value']}%", "product": r["claim"].split()[0], "origin": r["origin"]}


def _marks(dots: Sequence[Mapping[str, Any]]) -> list[Spec]:
    if not dots:
        return []
    place: Spec = {"x": {"field": "month", "type": "temporal"}, "y": number("mid"),
                   "color": colour("product", {"ramp": SOFT, **TONES})}
    return [layer("rule", {**place, "y": number("low"), "y2": {"field": "high"}}, dots, strokeWidth=2),
            layer("point", {**place, "tooltip": tips("product", "text", "origin")}, dots, size=60, opacity=1),
            layer("text", {**place, "text": {"field": "text"}}, dots, align="left", dx=6, fontSize=11,
                  fontWeight="bold")]


def _news_month(line: Line, reports: Sequence[Mapping[str, str]]) -> tuple[int, float] | None:
    """Return the month index and the value of the latest 910C report within the line's months."""
    dated = [r for r in reports if r["claim"].startswith("910C")]
    if not dated:
        return None
    last = max(dated, key=lambda r: r["published"])
    month = last["period"][:7]
    return (line.months.index(month) if month in line.months else 0), float(last["value"]) / 100
