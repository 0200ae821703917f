"""The picture of what would mend a large job: each fix alone, and the best one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.cluster.compare import default_threshold
from chipcast.cluster.fixes import waterfall
from chipcast.cluster.goodput import case_of
from chipcast.cluster.record import Fleet
from chipcast.report.chart_cluster import SHOWN_SIZE, shown_chips
from chipcast.report.form import SPREAD, five, sig
from chipcast.report.form_rows import bars, ranges
from chipcast.report.record import Panel, Picture
from chipcast.report.theme import chip_name

DRAWS = 1000
"""Draws on which fixes are tried: the first of the run. [draws]"""

MOST = 10
"""Fixes shown alone; the others stand in the table of data."""


def fixes(fleet: Fleet, given: Given) -> Picture:
    """Draw the useful share of time that each fix brings, and the chance to stumble as fixes are added."""
    chip = shown_chips(fleet)[0]
    few = given.block(given.start, min(given.start + DRAWS, given.stop))
    bound = default_threshold(few)
    found = waterfall(few, chip, SHOWN_SIZE, case_of(few, chip), bound)
    alone: list[dict[str, Any]] = [
        {"fix": f.name, **five(f.useful), "text": f"{float(np.median(f.useful)):+.1%}",
         "p_stumble": sig(f.p_stumble, 3)} for f in sorted(found.alone, key=lambda f: -float(np.median(f.useful)))]
    steps: list[dict[str, Any]] = [{"step": "as it is", "chance": sig(found.p_stumble, 3),
                                    "text": f"{found.p_stumble:.0%}"}]
    steps += [{"step": f"+ {f.name}", "chance": sig(f.p_stumble, 3), "text": f"{f.p_stumble:.0%}"}
              for f in found.together]
    first, last = steps[0], steps[-1]
    title = (f"What helps {SHOWN_SIZE:,} {chip_name(chip)} most is {alone[0]['fix']} ({alone[0]['text']} useful time "
             f"at the median); {len(found.together)} fixes together bring the chance to stumble from {first['text']} "
             f"to {last['text']}")
    return Picture(
        id="fixes", title=title, rows=[*alone, *steps], marks=("cluster", "chip"),
        panels=(Panel(title="Each fix alone", spec=ranges(
            alone[:MOST], label="fix", percent=True, x_title=f"useful share of wall time gained, {SPREAD}")),
                Panel(title="The best, one after the other", spec=bars(
                    steps, label="step", value="chance", percent=True, domain=(0, 1),
                    x_title=f"chance to keep less than {bound:.0%} of time in progress"))),
        note=f"A job on {SHOWN_SIZE:,} chips, every entry on the same draws, so that a gain is the fix and not luck. "
        "A fix is a question to put to a vendor. Fixes overlap: alone they do not add up.")
