"""A chip whose figures are uncertain: the range of verdicts, the probability of each, or a refusal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from chipcast.base.catalog import Catalogue
from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.chip.spec import chip
from chipcast.rules.answer import Shipment
from chipcast.rules.check import Verdict, verdict
from chipcast.rules.expr import Interval
from chipcast.rules.measure import COUNTED, UNKNOWN, Figures

ABSENT = -1.0
"""Stands for an unknown figure while draws are counted; no figure is below 0."""


def drawn(given: Given, name: str) -> dict[str, Array]:
    """Return what the rules measure of a chip draw by draw; not-a-number where a figure is unknown. (draw)

    TPP is of the matrix units; where a published figure differs, `measure` holds both and this does not.
    """
    c = chip(given, name)
    nan = np.full(given.draws, np.nan)
    products = [c.tflops[p] * bits for p, (_, bits) in COUNTED.items() if p in c.tflops]
    return {"tpp": np.max(products, axis=0) if products else nan, "area_mm2": c.applicable_die_mm2,
            "io_bidir_gb_s": 2 * c.scaleup_gb_s, "dram_bw_gb_s": c.mem_bw_gb_s}


def probabilities(given: Given, name: str, ask: Shipment, *, hq_rule: str = "as_enforced") -> dict[str, Any]:
    """Return the probability of each status and word of the US gate over the draws of an uncertain chip.

    Parameters
    ----------
    given : Given
        Table with the chip's figures; its date is the information date.
    name : str
        Chip id, alias, or the user's own.
    ask : Shipment
        What is asked; figures that `given` does not know stay as they are in it.
    hq_rule : str
        Reading of the headquarters rule.
    """
    arrays = drawn(given, name)
    table = np.stack([arrays[k] for k in ("tpp", "area_mm2", "io_bidir_gb_s", "dram_bw_gb_s")], axis=-1)
    points, counts = np.unique(np.nan_to_num(table, nan=ABSENT), axis=0, return_counts=True)
    us: Counter[str] = Counter()
    status: Counter[str] = Counter()
    for row, count in zip(points, counts, strict=True):
        v = verdict(given.catalog, replace(ask, figures=_at(ask.figures, row)), hq_rule=hq_rule)
        us[v.us.word] += int(count)
        status[v.status] += int(count)
    n = float(given.draws)
    return {"us": {k: c / n for k, c in us.most_common()}, "status": {k: c / n for k, c in status.most_common()},
            "draws": given.draws}


def _at(f: Figures, row: Array) -> Figures:
    def end(x: float, known: Interval) -> Interval:
        return known if x == ABSENT else (float(x), float(x))

    tpp, area = end(row[0], f.tpp), end(row[1], f.area_mm2)
    pd = (tpp[0] / area[0],) * 2 if tpp[0] == tpp[1] and area[0] == area[1] > 0 else f.pd
    if area == (0.0, 0.0):
        pd = (0.0, 0.0)
    if area == UNKNOWN:
        pd = UNKNOWN
    return replace(f, tpp=tpp, area_mm2=area, pd=pd, io_bidir_gb_s=end(row[2], f.io_bidir_gb_s),
                   dram_bw_gb_s=end(row[3], f.dram_bw_gb_s))


def interval(v: Verdict, _catalog: Catalogue) -> Mapping[str, Any]:
    """Keep the answer as the range of what is possible."""
    return {}


def refuse(v: Verdict, _catalog: Catalogue) -> Mapping[str, Any]:
    """Raise `InputError` where a missing figure leaves the US gate open, and say which figure."""
    if v.us.word == "unknown" and not v.past_horizon:
        lacking = ", ".join(v.us.needs) or "rules that are not in the sources"
        raise InputError(f"the verdict on '{v.ask.figures.id}' needs {lacking}; possible: {', '.join(v.us.possible)}; "
                         "state the figure in a chip file")
    return {}


UNKNOWN_POLICY: dict[str, Callable[[Verdict, Catalogue], Mapping[str, Any]] | None] = {
    "interval": interval, "probability": None, "refuse": refuse}
"""What to do where a figure is missing or uncertain; `probability` needs draws and is `probabilities`."""
