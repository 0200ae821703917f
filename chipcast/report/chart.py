"""All pictures of a story in one table, and their way into Altair for notebooks and files."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from chipcast.report import (
    chart_area,
    chart_atlas,
    chart_clinic,
    chart_cluster,
    chart_compute,
    chart_cost,
    chart_evidence,
    chart_fixes,
    chart_line,
    chart_market,
    chart_plan,
    chart_profit,
    chart_push,
    chart_rules,
    chart_score,
    chart_step,
    chart_value,
    chart_wafer,
    chart_yield,
)
from chipcast.report.record import Picture, Spec, Story
from chipcast.report.theme import CONFIG

Draw = Callable[[Story], Picture | None]


def _yields(s: Story) -> Picture | None:
    if s.line is None or s.given is None:
        return None
    return chart_yield.yield_readings(s.line_prior or s.line, s.given, prior=s.line_prior is not None)


def _serving(s: Story) -> Picture | None:
    return chart_compute.serving(s.service, s.measures) if s.service and chart_compute.able(s.service) else None


def _frontier(s: Story) -> Picture | None:
    if s.service is None or not s.service.frontier or s.given is None:
        return None
    promise = s.given.middle("platform.tpot_ms") if "platform.tpot_ms" in s.given else None
    return chart_compute.frontier(s.service, s.given, promise, measures=s.measures)


def _step(s: Story) -> Picture | None:
    return chart_step.step(s.service, s.given) if s.service and s.given and chart_compute.able(s.service) else None


PICTURES: dict[str, Draw] = {
    "claims": lambda s: chart_evidence.claims(s.claims) if s.claims else None,
    "yield-readings": _yields,
    "output": lambda s: chart_line.output(s.line, s.given) if s.line and s.given else None,
    "yield-area": lambda s: chart_area.yield_area(s.given) if s.given and s.line else None,
    "wafers": lambda s: chart_wafer.wafers(s.given) if s.given and s.line else None,
    "banks": lambda s: chart_line.banks(s.line) if s.line else None,
    "cost": lambda s: chart_cost.cost(s.line, s.waterfall) if s.line else None,
    "break-even": lambda s: chart_profit.break_even(s.line) if s.line else None,
    "routes": lambda s: chart_cost.routes(s.routes) if s.routes else None,
    "rule-map": lambda s: chart_atlas.world(s.verdicts, s.given.catalog) if s.verdicts and s.given else None,
    "rule-plane": lambda s: chart_rules.plane(s.measures, s.given, s.as_of) if s.measures and s.given else None,
    "gates": lambda s: chart_atlas.gates(s.verdicts, s.given.catalog) if s.verdicts and s.given else None,
    "rule-calendar": lambda s: chart_atlas.calendar(s.verdicts, s.given.catalog) if s.verdicts and s.given else None,
    "serving": _serving,
    "frontier": _frontier,
    "step": _step,
    "clinic": lambda s: chart_clinic.clinic(s.deployments, s.given, s.measures) if s.deployments and s.given else None,
    "measured": lambda s: chart_score.measured(s.backtests) if s.backtests and s.service else None,
    "goodput": lambda s: chart_cluster.goodput(s.fleet, s.given) if s.fleet and s.given else None,
    "timeline": lambda s: chart_cluster.timeline(s.fleet, s.given) if s.fleet and s.given else None,
    "fixes": lambda s: chart_fixes.fixes(s.fleet, s.given) if s.fleet and s.given else None,
    "spares": lambda s: chart_cluster.spares(s.fleet, s.given) if s.fleet and s.given else None,
    "claim-check": lambda s: chart_cluster.claim(s.fleet, s.given) if s.fleet and s.given else None,
    "threat": lambda s: chart_market.threat(s.market, s.market_without_threat) if s.market else None,
    "segments": lambda s: chart_market.segments(s.market, s.market_without_threat) if s.market else None,
    "hoard": lambda s: chart_market.hoard(s.given) if s.given and s.market else None,
    "push": lambda s: chart_push.push(s.market, s.market_without_push) if s.market else None,
    "substitution": lambda s: chart_push.substitution(s.market, s.market_without_threat) if s.market else None,
    "backtest": lambda s: chart_score.backtest(s.backtests) if s.backtests and s.market else None,
    "plan": lambda s: chart_plan.orders(s.plan) if s.plan else None,
    "room": lambda s: chart_plan.room(s.plan) if s.plan else None,
    "ladder": lambda s: chart_value.ladder(s.plan) if s.plan else None,
    "price": lambda s: chart_value.price(s.plan) if s.plan else None,
    "tornado": lambda s: chart_value.tornado(s.plan) if s.plan else None,
    "failures": lambda s: chart_plan.failures(s.plan) if s.plan else None,
    "must-hold": lambda s: chart_evidence.must_hold(s.line, s.given) if s.line and s.given else None,
    "posterior": lambda s: chart_evidence.prior_posterior(s.posterior, s.ess) if s.posterior else None,
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
