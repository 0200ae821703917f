"""What the test of a layer says of a chip: for certain, perhaps, and at every point that open figures allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from chipcast.rules import cells
from chipcast.rules.answer import NAMED, Assessment
from chipcast.rules.distance import reason, slack
from chipcast.rules.expr import Interval, Label, Node, prongs, truth, without_upper
from chipcast.rules.measure import Figures
from chipcast.rules.rule import Layer

BY_NAME = {(caught, named): replace(NAMED, sure=caught, may=caught, prongs=("named",) if named else ())
           for caught in (True, False) for named in (True, False)}
"""What a row without a line says of a chip: by whether it catches it, and whether it names it."""


class Assessor:
    """Tests layers on one chip and remembers what it found."""

    def __init__(self, figures: Figures, *, from_us: bool = True) -> None:
        """Take the figures of one chip, and whether it is exported from the United States."""
        self.figures = figures
        self._values = figures.values(from_us=from_us)
        self._from_us = from_us
        self._memo: dict[str, Assessment] = {}
        self._at: dict[str, Any] = {}
        self._points: Mapping[str, Interval] | None = None

    def __call__(self, layer: Layer) -> Assessment:
        """Return what a layer's test says of the chip."""
        if layer.rule_id not in self._memo:
            self._memo[layer.rule_id] = _assess(layer, self.figures, self._values)
        return self._memo[layer.rule_id]

    def at_points(self, layer: Layer, tests: tuple[Node, ...]) -> Any:
        """Return whether a layer holds at each point that the chip's open figures allow. (point)

        Parameters
        ----------
        tests : tuple of Node
            All tests whose lines cut the points; the same in every call.
        """
        if layer.rule_id not in self._at:
            if self._points is None:
                self._points = cells.points(self.figures, tests, from_us=self._from_us)
            shape = np.shape(self._points["tpp"][0])
            named = layer.test is None or self.figures.id in layer.parts
            holds = self(layer).sure if named else truth(layer.test, self._points)[0]  # type: ignore[arg-type]
            self._at[layer.rule_id] = np.broadcast_to(holds, shape)
        return self._at[layer.rule_id]


def assessor(figures: Figures, *, from_us: bool = True) -> Assessor:
    """Return what tests layers on one chip."""
    return Assessor(figures, from_us=from_us)


def _assess(layer: Layer, figures: Figures, values: Mapping[str, Interval]) -> Assessment:
    named = figures.id in layer.parts
    if layer.test is None:
        caught = named if layer.parts else True
        return BY_NAME[caught, named]
    sure, may = (bool(x) for x in truth(layer.test, values))
    own = [float(x) for x in slack(layer.test, values)]
    wide = None if layer.form == "policy" else without_upper(layer.test)
    low, high = own if wide is None else [float(x) for x in slack(wide, values)]
    parts = prongs(layer.test)
    holding = tuple(k for k, v in parts.items() if bool(truth(v, values)[0]))
    if sure and holding and layer.form != "letter":
        why = reason(Label(holding[0], parts[holding[0]]), values)
    else:
        why = reason(layer.test if sure or wide is None else wide, values, end=1 if sure or not may else 0)
    return Assessment(sure or named, may or named, holding, why, low, high, own[0], own[1])
