"""All pictures of a story in one table, and their way into Altair for notebooks and files."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from chipcast.report import (
    chart_compute,
    chart_cost,
    chart_evidence,
    chart_line,
    chart_market,
    chart_plan,
    chart_rules,
    chart_step,
    chart_wafer,
)
from chipcast.report.record import Picture, Spec, Story
from chipcast.report.theme import CONFIG

Draw = Callable[[Story], Picture | None]


def _claims(s: Story) -> Picture | None:
    return chart_evidence.claims(s.claims) if s.claims else None


def _yields(s: Story) -> Picture | None:
    if s.line is None or s.given is None:
        return None
    return chart_line.yield_readings(s.line_prior or s.line, s.given, prior=s.line_prior is not None)


def _output(s: Story) -> Picture | None:
    return chart_line.output(s.line, s.given) if s.line and s.given else None


def _cost(s: Story) -> Picture | None:
    return chart_cost.cost(s.line, s.waterfall) if s.line else None


def _break_even(s: Story) -> Picture | None:
    return chart_cost.break_even(s.line) if s.line else None


def _wafers(s: Story) -> Picture | None:
    return chart_wafer.wafers(s.given) if s.given and s.line else None


def _banks(s: Story) -> Picture | None:
    return chart_line.banks(s.line) if s.line else None


def _routes(s: Story) -> Picture | None:
    return chart_cost.routes(s.routes) if s.routes else None


def _plane(s: Story) -> Picture | None:
    return chart_rules.plane(s.measures, s.given, s.as_of) if s.measures and s.given else None


def _calendar(s: Story) -> Picture | None:
    return chart_rules.calendar(s.verdicts, s.given.catalog) if s.verdicts and s.given else None


def _serving(s: Story) -> Picture | None:
    return chart_compute.serving(s.service, s.measures) if s.service and chart_compute.able(s.service) else None


def _frontier(s: Story) -> Picture | None:
    return chart_compute.frontier(s.service) if s.service and s.service.frontier else None


def _step(s: Story) -> Picture | None:
    return chart_step.step(s.service, s.given) if s.service and s.given and chart_compute.able(s.service) else None


def _goodput(s: Story) -> Picture | None:
    return chart_compute.goodput(s.fleet) if s.fleet else None


def _threat(s: Story) -> Picture | None:
    return chart_market.threat(s.market, s.market_without_threat) if s.market else None


def _hoard(s: Story) -> Picture | None:
    return chart_market.hoard(s.given) if s.given and s.market else None


def _must_hold(s: Story) -> Picture | None:
    return chart_evidence.must_hold(s.line, s.given) if s.line and s.given else None


def _push(s: Story) -> Picture | None:
    return chart_market.push(s.market, s.market_without_push) if s.market else None


def _plan(s: Story) -> Picture | None:
    return chart_plan.orders(s.plan) if s.plan else None


def _ladder(s: Story) -> Picture | None:
    return chart_plan.ladder(s.plan) if s.plan else None


def _failures(s: Story) -> Picture | None:
    return chart_plan.failures(s.plan) if s.plan else None


def _posterior(s: Story) -> Picture | None:
    return chart_evidence.prior_posterior(s.posterior, s.ess) if s.posterior else None


PICTURES: dict[str, Draw] = {
    "claims": _claims,
    "yield-readings": _yields,
    "output": _output,
    "wafers": _wafers,
    "banks": _banks,
    "cost": _cost,
    "break-even": _break_even,
    "routes": _routes,
    "rule-plane": _plane,
    "rule-calendar": _calendar,
    "serving": _serving,
    "frontier": _frontier,
    "step": _step,
    "goodput": _goodput,
    "threat": _threat,
    "hoard": _hoard,
    "push": _push,
    "plan": _plan,
    "ladder": _ladder,
    "failures": _failures,
    "must-hold": _must_hold,
    "posterior": _posterior,
}
"""Every picture by its id, in the order of the report; each gives None where the story lacks its part."""


def draw(story: Story) -> dict[str, Picture]:
    """Return all pictures that the story has the parts for, by id."""
    made = {name: function(story) for name, function in PICTURES.items()}
    return {name: picture for name, picture in made.items() if picture is not None}


def whole_spec(picture: Picture) -> Spec:
    """Return one specification for all panels of a picture, with title, legends and style, to stand alone."""
    parts = []
    drawn = [p for p in picture.panels if not p.svg]
    for panel in drawn:
        spec = copy.deepcopy(panel.spec)
        spec.pop("$schema")
        spec.pop("autosize")
        spec |= {"width": 520, **({"title": panel.title} if panel.title else {})}
        _show_legends(spec)
        parts.append(spec)
    return {
        "$schema": drawn[0].spec["$schema"],
        "config": {**CONFIG, "background": "white"},
        "title": {"text": picture.title, "anchor": "start", "fontSize": 15},
        "vconcat": parts,
    }


def _show_legends(node: Any) -> None:
    if isinstance(node, dict):
        colour = node.get("color")
        if isinstance(colour, dict) and "field" in colour and colour.get("legend", 0) is None:
            del colour["legend"]
        for value in node.values():
            _show_legends(value)
    elif isinstance(node, list):
        for value in node:
            _show_legends(value)


def altair_chart(picture: Picture) -> Any:
    """Return a picture as an Altair chart, checked against the schema."""
    import altair

    return altair.Chart.from_dict(whole_spec(picture), validate=True)
