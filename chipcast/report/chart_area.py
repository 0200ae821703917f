"""The picture of yield against area: why a line can be good at small chips and poor at large ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.fab.defects import YIELD_LAWS, die_yield
from chipcast.report.form import SPREAD, five, layer, number
from chipcast.report.form_time import fan
from chipcast.report.record import Panel, Picture
from chipcast.report.theme import ACCENT, SOFT, chip_name

LARGEST_MM2 = 26.0 * 33.0
"""Area of a full exposure field, the largest die. [mm2]"""

SHOWN = ("l2", "ascend-910b2", "h20-96")
"""Chips whose dies are marked, where the catalogue knows their area."""

POINTS = 24
"""Areas at which the curves are drawn."""

LINE_PX = 14
"""Height of a line of labels, one below the other where dies are of nearly one size. [px]"""

DRAWS = 2000
"""Draws of the band: the first of the run. [draws]"""


def yield_area(given: Given) -> Picture:
    """Draw the share of dies without a defect against their area, with the band of the draws and of the laws."""
    few = given.block(given.start, min(given.start + DRAWS, given.stop))
    density, alpha = few["smic_n2.d0_per_cm2"], few["smic_n2.cluster_alpha"]
    areas = np.linspace(40.0, LARGEST_MM2, POINTS)
    band: list[dict[str, Any]] = [
        {"area_mm2": round(float(a), 1), "what": "the line, by its own law",
         **five(die_yield(a, density, law="negative-binomial", clustering=alpha))} for a in areas]
    middle, shape = float(np.median(density)), float(np.median(alpha))
    laws: list[dict[str, Any]] = [
        {"area_mm2": round(float(a), 1), "law": name.replace("-", " "),
         "mid": round(float(die_yield(a, middle, law=name, clustering=shape)), 4)}
        for name, entry in YIELD_LAWS.items() if entry.mean_one and name != "bose-einstein" for a in areas]
    known = {c: given.catalog.chip_facts(c) for c in SHOWN if c in given.catalog.chip_ids()}
    marks: list[dict[str, Any]] = [{"area_mm2": float(facts["compute_die_mm2"].value), "chip": f"die of {chip_name(c)}"}
             for c, facts in known.items() if "compute_die_mm2" in facts]
    x = number("area_mm2")
    at = {"x": x, "y": number("mid"), "detail": {"field": "law", "type": "nominal"},
          "tooltip": [{"field": "law", "type": "nominal"}]}
    extra = [layer("line", at, laws, color=SOFT, strokeWidth=1, strokeDash=[3, 3], opacity=0.8),
             layer("rule", {"x": x}, marks, color="#b5392d", strokeDash=[4, 3]),
             *(layer("text", {"x": x, "y": {"value": 12 + LINE_PX * i}, "text": {"field": "chip"}}, [mark], dx=4,
                     align="left", fontSize=11, color="#b5392d") for i, mark in enumerate(marks))]
    whole = next((m["area_mm2"] for m in marks if "910B" in m["chip"]), LARGEST_MM2)
    small, large = (min(band, key=lambda r: abs(r["area_mm2"] - a)) for a in (whole / 6, whole))
    title = (f"The same line gives {small['mid']:.0%} perfect dies of {small['area_mm2']:.0f} mm2 and "
             f"{large['mid']:.0%} of {large['area_mm2']:.0f} mm2: good small chips and poor accelerators agree")
    return Picture(
        id="yield-area", title=title, rows=[*band, *laws, *marks],
        panels=(Panel(spec=fan(band, x="area_mm2", x_kind="number", by="what", colours={band[0]["what"]: ACCENT},
                               percent=True, domain=(0, 1), height=250, extra=extra, x_title="area of a die, mm2",
                               y_title=f"dies without a killing defect, {SPREAD}")),),
        note="Blue: the line's defects and clustering, median with bands of 50 and 90 percent. Dashed: other laws at "
        "the median density, which agree on small dies and part on large ones. Accelerators sell dies with some dead "
        "cores, so their sellable share lies above this.",
        marks=("smic_n2.d0_per_cm2", "smic_n2.cluster_alpha"))
