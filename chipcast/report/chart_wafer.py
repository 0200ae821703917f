"""The picture of wafers: a typical and a poor one, and the spread of all, from the same draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.fab.gallery import gallery
from chipcast.fab.picture import wafer_svg
from chipcast.report.form import above, base, colour, layer, number
from chipcast.report.record import Panel, Picture
from chipcast.report.theme import ACCENT

WAFERS = 1000
"""Wafers drawn; enough for a 5th percentile that stands for fifty of them. [wafers]"""


def wafers(given: Given) -> Picture:
    """Draw a typical wafer and one of the poorest twentieth, bins by colour, and how many dies all of them give."""
    g = gallery(given, wafers=WAFERS)
    panels = [Panel(title=words, spec={}, svg=wafer_svg(
        g.placement, one.bins, one.defects, g.bin_names, f"{one.sellable} of {g.placement.dies} dies fit a bin",
        g.fields)) for words, one in (("A typical wafer", g.typical), ("One of the poorest twentieth", g.poor))]
    dies = np.round(g.sellable * g.placement.dies).astype(int)
    counts = np.bincount(dies, minlength=g.placement.dies + 1)
    shown = {g.typical.sellable: "typical", g.poor.sellable: "poor"}
    rows: list[dict[str, Any]] = [{"sellable_dies": n, "wafers": int(c), "what": shown.get(n, "others")}
                                  for n, c in enumerate(counts) if c]
    tones = {"others": "#c9d5e0", "typical": ACCENT, "poor": "#b5392d"}
    x = {"field": "sellable_dies", "type": "ordinal", "axis": {
        "title": "dies of a wafer that fit a bin", "labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 6}}
    panels.append(Panel(title="All wafers", legend=tuple(list(tones.items())[1:]), spec=base(260, [layer(
        "bar", {"x": x, "y": number("wafers", axis=above(f"wafers of {WAFERS:,} drawn")),
                "color": colour("what", tones)}, width={"band": 0.9})], rows)))
    low, mid, high = np.quantile(dies, (0.05, 0.5, 0.95))
    return Picture(
        id="wafers", panels=tuple(panels), rows=rows,
        title=f"At {g.d0_per_cm2:.2f} defects per cm2 a wafer of {g.placement.dies} dies gives {mid:.0f} that can be "
        f"sold ({low:.0f} to {high:.0f}): defects crowd, so wafers differ",
        marks=("smic_n2.d0_per_cm2", "smic_n2.cluster_alpha", "smic_n2.line_yield", "fab"),
        note="The pattern is placed so that most dies fit; what the line counts on lies between that and a chance "
        "place. Both wafers are members of the sample on the right, picked by rank, at the medians of this run; "
        "frames are reticle fields. Point at a die for its defects.")
