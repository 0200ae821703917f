"""Pictures of the plan: the order calendar, the fleet it builds, where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.plan.explain import plain
from chipcast.plan.record import Order, Plan
from chipcast.report.form import AXIS_PX, SPREAD, above, base, below, colour, layer, names, number, sig, tips
from chipcast.report.form_plane import dots
from chipcast.report.form_time import fan
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import ACCENT, INK, SOFT, chip_colours, chip_name, readable, sentence, wrapped

FAN = {"p05": "low", "p25": "q25", "p50": "mid", "p75": "q75", "p95": "high"}


def fan_rows(quarters: Sequence[str], series: Mapping[str, Sequence[float]], **words: str) -> list[dict[str, Any]]:
    """Return rows of a fan from series of percentiles by quarter."""
    return [{"quarter": q, **words, **{FAN[k]: sig(max(v[i], 0.0)) for k, v in series.items() if k in FAN}}
            for i, q in enumerate(quarters)]


def orders(plan: Plan) -> Picture:
    """Draw what to order by quarter, decided now or later, the fleet it builds, and the need against what is served."""
    cards = [o for o in plan.orders if o.contract != "api"]
    tones = {chip_name(c): v for c, v in chip_colours(dict.fromkeys(o.chip for o in cards)).items()}
    rows = _order_rows(cards)
    panels = [Panel(title="Order calendar", spec=_calendar(
        plan, rows, _whiskers(plan, plan.detail.get("ordered", {})), tones,
        "cards ordered; later: mean over futures"))] if cards else []
    tokens = _order_rows([o for o in plan.orders if o.contract == "api"])
    if tokens:
        panels.append(Panel(title="Sent to an API", spec=_calendar(
            plan, tokens, [r for r in tokens if "low" in r], dict.fromkeys((r["chip"] for r in tokens), SOFT),
            "tokens/s at the peak; mean over futures")))
    drawn, detail = [*rows, *tokens], plan.detail
    fleets = {c: v for c, v in detail.get("fleet", {}).items() if max(v.get("p95", [0.0])) >= 0.5}
    if fleets:
        band = [r for chip, series in fleets.items() for r in fan_rows(plan.quarters, series, chip=chip_name(chip))]
        drawn += band
        shades = {chip_name(c): v for c, v in chip_colours(fleets).items()}
        panels.append(Panel(title="Cards at work", spec=fan(
            band, x="quarter", x_kind="category", by="chip", colours=shades, height=240, y_title=f"cards, {SPREAD}")))
        tones |= shades
    if "need" in detail and "served" in detail:
        both = {"need": INK, "served": ACCENT}
        band = [r for k in both for r in fan_rows(plan.quarters, detail[k], what=k)]
        drawn += band
        panels.append(Panel(title="Need and what is served", legend=tuple(both.items()), spec=fan(
            band, x="quarter", x_kind="category", by="what", colours=both, height=240, inner=False,
            y_title=f"tokens/s at the peak, {SPREAD}")))
    return Picture(
        id="plan", title=sentence(plan.sentence.split("; it fails")[0]).rstrip("."), panels=tuple(panels), rows=drawn,
        note=f"Full colour: decided now, until {plan.decide_until}. Pale: the mean of what later news asks for; "
        "the line is all of a quarter's orders together from the 5th to the 95th percentile over futures.",
        legend=tuple(tones.items()), marks=("plan", "market", "tokens", "buyer"))


def _order_rows(orders_: Sequence[Order]) -> list[dict[str, Any]]:
    return [
        {"quarter": o.quarter, "chip": o.name or o.chip if o.contract == "api" else chip_name(o.chip),
         "supplier": readable(o.supplier), "contract": o.contract,
         "units": sig(o.units), "when": "decided now" if o.now else "decided later",
         **({"low": sig(o.interval["p05"]), "high": sig(o.interval["p95"])} if "p05" in o.interval else {})}
        for o in orders_]


def _whiskers(plan: Plan, series: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """Return the spread of all orders of a quarter, where it has any."""
    rows = [{"quarter": q, "low": sig(low), "high": sig(high)}
            for q, low, high in zip(plan.quarters, series.get("p05", ()), series.get("p95", ()), strict=False)]
    return [r for r, low, high in zip(rows, series.get("p05", ()), series.get("p95", ()), strict=False) if high > low]


def _calendar(plan: Plan, rows: Sequence[Mapping[str, Any]], whiskers: Sequence[Mapping[str, Any]],
              tones: Mapping[str, str], y_title: str) -> Spec:
    x: Spec = {"field": "quarter", "type": "ordinal", "sort": list(plan.quarters),
               "scale": {"domain": list(plan.quarters)},
               "axis": {"title": None, "labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 6}}
    fade = {"field": "when", "type": "ordinal", "legend": None,
            "scale": {"domain": ["decided now", "decided later"], "range": [1, 0.38]}}
    return base(240, [
        layer("bar", {"x": x, "color": colour("chip", tones), "opacity": fade,
                      "y": number("units", stack="zero", axis=above(y_title)),
                      "tooltip": tips("chip", "supplier", "contract", "when", "units")}),
        layer("rule", {"x": x, "y": number("low"), "y2": {"field": "high"}}, whiskers, color=SOFT, strokeWidth=1.4)],
        rows)


OWNED = ("spot", "framework", "option")
"""Contracts by which cards come to be owned."""


def room(plan: Plan) -> Picture | None:
    """Draw how far each order of now may move while the plan stays nearly as good."""
    found = plan.detail.get("room", {})
    rows: list[dict[str, Any]] = []
    mine: dict[str, float] = {}
    for o in plan.orders:
        if o.now and o.contract in OWNED:
            name = f"{o.name or o.chip} by {o.contract}{' for ' + o.site if o.site else ''} decided now"
            mine |= {name: mine.get(name, 0.0) + o.units, "": mine.get("", 0.0) + o.units}
    for name, (low, high) in found.get("orders", {}).items():
        words = "all cards" if name == "units decided now" else readable(name.removesuffix(" decided now"))
        text = f"{max(low, 0.0):,.0f} to {max(high, 0.0):,.0f}"
        rows.append({"order": wrapped(words, 30), "low": sig(max(low, 0.0)), "high": sig(max(high, 0.0)), "text": text,
                     "plan": sig(mine.get("" if name == "units decided now" else name, 0.0))})
    rows = [r for r in rows if r["high"] >= 0.5 or r is rows[0]]
    if not any(r["high"] >= 0.5 for r in rows):
        return None
    x: Spec = {"type": "quantitative", "scale": {"zero": True}, "axis": below("cards ordered now, least to most")}
    y = names("order", [r["order"] for r in rows])
    spec = base(AXIS_PX + 34 * len(rows), [
        layer("bar", {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}}, color=ACCENT, opacity=0.65,
              height={"band": 0.4}),
        layer("tick", {"y": y, "x": {**x, "field": "plan"}}, color=INK, thickness=2, size=20),
        layer("text", {"y": y, "x": {**x, "field": "low"}, "text": {"field": "text"}}, align="left", baseline="bottom",
              dx=2, dy=-8, fontSize=11, color=SOFT)], rows)
    first = rows[0]
    return Picture(
        id="room", rows=rows, panels=(Panel(spec=spec),), marks=("plan", "market", "buyer"),
        title=f"Plans within {found['share']:.0%} of the best cost buy from {first['text']} cards now"
        + (": how many is hardly told by cost" if 2 * first["low"] < first["high"] else ""),
        note="Dark tick: this plan. Bar: how far each order may move while the others follow and the cost stays that "
        "near to the best. The ends of the bars do not go together: more of one chip means less of another. On a small "
        "set of futures, before rounding to whole servers.")


SKEWED = 6
"""A cause whose 95th percentile is so many times its median is drawn on a scale that spreads the small values."""


def _scale(values: np.ndarray[Any, Any]) -> Spec | None:
    """Return a scale that shows most dots apart: nearly logarithmic for skewed values from 0 up."""
    middle, high = float(np.median(values)), float(np.quantile(values, 0.95))
    if values.min() < 0 or high <= SKEWED * middle:
        return None
    return {"type": "symlog", "constant": sig(max(middle, high / 100) / 2, 2), "zero": False}


def failures(plan: Plan) -> Picture | None:
    """Draw the futures in which the plan fails over the two causes that tell them apart best."""
    found = plan.detail.get("failures", {})
    causes = {readable(k): np.asarray(v, dtype=float) for k, v in found.get("causes", {}).items()}
    fails = np.asarray(found.get("fails", ()), dtype=bool)
    causes = {k: v for k, v in causes.items() if v.size == fails.size and np.ptp(v) > 0}
    if len(causes) < 2 or not fails.any() or fails.all():
        return None
    apart = {k: abs(float(np.corrcoef(np.argsort(np.argsort(v)), fails)[0, 1])) for k, v in causes.items()}
    sides = {readable(k): v for k, v in found.get("box", {}).items() if readable(k) in causes}
    # The causes of the box that words describe stand first, then those that tell failures apart best.
    first, second = [*sides, *(k for k in sorted(apart, key=lambda k: -apart[k]) if k not in sides)][:2]
    rows = [{"x": sig(a), "y": sig(b), "future": "fails" if f else "holds"}
            for a, b, f in zip(causes[first], causes[second], fails, strict=True)]
    tones = {"fails": "#b5392d", "holds": "#9db4c7"}
    edges = [layer("rule", {channel: number(channel)}, [{channel: sig(end)}], color=INK, strokeDash=[4, 3])
             for channel, name in (("x", first), ("y", second)) for end in sides.get(name, ()) if np.isfinite(end)]
    words = " ".join(sentence(f) for f in plan.fails if f not in plan.sentence)
    return Picture(
        id="failures", rows=rows, legend=tuple(tones.items()),
        note=f"One dot per future. {'Dashed: the sides of what the words describe. ' if edges else ''}{words}".strip(),
        panels=(Panel(spec=dots(rows, x_title=first, y_title=second, by="future", colours=tones, extra=edges,
                                x_scale=_scale(causes[first]), y_scale=_scale(causes[second]))),),
        title=f"The plan falls short in {fails.mean():.0%} of the futures; {plain(first)} and {plain(second)} tell "
        "them apart best",
        marks=("plan", "market", "buyer"))
