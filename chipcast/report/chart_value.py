"""Pictures of what a plan is worth: beside simpler ones, against risk, against waiting, and what would change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chipcast.base.summary import short
from chipcast.plan.explain import plain
from chipcast.plan.record import Plan
from chipcast.report.driver import rank_correlation
from chipcast.report.form import AXIS_PX, above, base, colour, layer, lines, names, number, sig, tips
from chipcast.report.form_rows import bars, signed_bars
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import ACCENT, SOFT, readable, wrapped

RIVAL_NAMES = {
    "plan": "this plan",
    "mean_value": "buy for the average future",
    "need_only": "buy what is needed now",
    "hoard_all": "buy all now",
    "wait": "wait for news",
    "perfect_news": "with perfect news",
    "api": "tokens from an API",
    "all-h20": "H20 only",
    "all-local": "local chips only",
    "rent": "rent",
}
"""Simpler plans in words."""


def ladder(plan: Plan) -> Picture | None:
    """Draw the cost of this plan beside simpler ones on futures that it has not seen, and what information is worth."""
    rows, worth = rival_rows(plan), value_rows(plan)
    if not rows and not worth:
        return None
    panels = []
    if rows:
        x: Spec = {"type": "quantitative", "scale": {"zero": True}, "axis": {
            "title": "million USD: mean, 5th to 95th percentile", "grid": True, "tickCount": 5}}
        y = names("plan", [str(r["plan"]) for r in rows], limit=200)
        tint = colour("tone", {"this plan": ACCENT, "simpler": "#8b95a3"})
        panels.append(Panel(title="On futures that no plan has seen", spec=base(AXIS_PX + 34 * len(rows), [
            layer("rule", {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": tint}, strokeWidth=2,
                  opacity=0.7),
            layer("point", {"y": y, "x": {**x, "field": "mean"}, "color": tint}, size=80, opacity=1),
            layer("text", {"y": y, "x": {**x, "field": "mean"}, "text": {"field": "text"}}, align="left", dx=7, dy=-8,
                  fontSize=11, color=SOFT)], rows)))
    if worth:
        panels.append(Panel(title="In the futures it was made for", spec=bars(
            worth, label="plan", value="mean", x_title="objective with its tail, million USD",
            domain=(0, 1.12 * max(r["mean"] for r in worth)))))
    real = [r for r in rows if r["plan"] != RIVAL_NAMES["perfect_news"]]
    best = min(real, key=lambda r: float(r["mean"])) if real else None
    mine = next((r for r in rows if r["tone"] == "this plan"), None)
    title = "What simpler plans would cost"
    if best and mine:
        title = f"On fresh futures this plan costs {mine['text']} million USD in the mean" + (
            ", less than every simpler plan shown" if best is mine
            else f"; cheapest of those shown: {best['plan']}, {best['text']}")
    return Picture(
        id="ladder", title=title, panels=tuple(panels), rows=[*rows, *worth], marks=("plan", "market", "buyer"),
        note="Left: dot is the mean, the line holds 90 percent of fresh futures. Right: what knowing the future "
        "would save, and what planning for the average one costs. Cost counts what is not served.")


def rival_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return this plan and its rivals on fresh futures, cheapest first. [million USD]"""
    out: list[dict[str, Any]] = []
    spreads: Mapping[str, Mapping[str, float]] = plan.detail.get("ladder", {})
    means = {name: float(r["cost"]) for name, r in plan.rivals.items() if isinstance(r.get("cost"), int | float)}
    means |= {name: float(s["mean"]) for name, s in spreads.items() if "mean" in s}
    if "plan" not in means and "out_of_sample" in plan.values:
        means["plan"] = plan.values["out_of_sample"]
    for name, mean in means.items():
        s = spreads.get(name, {})
        spread = {"low": sig(s["p05"] / 1e6), "high": sig(s["p95"] / 1e6)} if "p05" in s else {}
        out.append({"plan": RIVAL_NAMES.get(name, readable(name.replace("_", " ").replace("-", " "))),
                    "mean": sig(mean / 1e6), **spread, "text": short(mean / 1e6),
                    "tone": "this plan" if name == "plan" else "simpler"})
    return sorted(out, key=lambda r: float(r["mean"]))


def value_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return wait-and-see, this plan and the plan for the average future in the plan's own futures. [million USD]"""
    words = {"ws": "if all were known", "sp": "this plan", "eev": "plan for the average"}
    return [{"plan": w, "mean": sig(plan.values[k] / 1e6), "text": short(plan.values[k] / 1e6)}
            for k, w in words.items() if k in plan.values]


def price(plan: Plan) -> Picture | None:
    """Draw mean cost against the cost of the worst futures, and cost against how long one decides without news."""
    edge, dates = plan.detail.get("frontier", []), plan.detail.get("by_date", [])
    if not edge and not dates:
        return None
    panels = []
    curve = [{"x": sig(p["cvar"] / 1e6, 6), "y": sig(p["mean"] / 1e6, 6), "tail_weight": p["tail_weight"],
              "text": f"weight {p['tail_weight']:.0%}"} for p in edge]
    waits = [{"decided": "nothing blind" if not d["quarters"] else f"until {d['until']}", "quarters": d["quarters"],
              "cost": sig(d["cost"] / 1e6, 6), "text": short(d["cost"] / 1e6)} for d in dates]
    flat = bool(curve) and max(r["x"] for r in curve) - min(r["x"] for r in curve) < 0.005 * max(r["x"] for r in curve)
    if curve and not (flat and waits):
        tail = f"mean of the worst {1 - plan.tail:.0%} of futures, million USD"
        at = {"x": number("x", scale={"zero": False}, axis={"title": tail, "labelOverlap": True, "tickCount": 5}),
              "y": number("y", scale={"zero": False}, axis=above("mean cost, million USD"))}
        ends = [curve[0], curve[-1]] if not flat else [curve[-1]]
        panels.append(Panel(title="Cost against risk", spec=base(260, [
            layer("line", {**at, "order": number("tail_weight")}, color=ACCENT, strokeWidth=2, interpolate="linear"),
            layer("point", {**at, "tooltip": tips("tail_weight", "x", "y")}, color=ACCENT, size=60, opacity=1),
            layer("text", {**at, "text": {"field": "text"}}, ends, align="left", dx=8, dy=-6, fontSize=11,
                  color=SOFT)], curve)))
    if waits:
        panels.append(Panel(title="The price of deciding without news", spec=bars(
            waits, label="decided", value="cost", x_title="best value, million USD",
            domain=(0, 1.12 * max(r["cost"] for r in waits)))))
    title = "Cost, risk and time"
    if len(waits) > 1:
        first, last = waits[0], waits[-1]
        title = (f"Deciding all orders {last['decided']} without news costs {short(last['cost'] - first['cost'])} "
                 f"million USD more than deciding {first['decided']}")
    if curve:
        title += ("; caring more for the worst futures changes next to nothing" if flat else
                  f"; the most careful plan cuts the cost of the worst futures from {short(curve[0]['x'])} to "
                  f"{short(curve[-1]['x'])} million USD")
    return Picture(
        id="price", title=title, panels=tuple(panels), rows=[*curve, *waits], marks=("plan", "market", "buyer"),
        note=("" if flat and waits else "Cost against risk: the best plan for each weight of the worst futures against "
              "the mean. ") + "The price of deciding: the best plan when orders up to a quarter are decided before "
        "anything is seen. On a small set of futures: read the shape and the differences, not the level.")


CHANGES, KEEPS = "changes what to order now", "leaves it"
DECIDES = {CHANGES: "#b5392d", KEEPS: "#8b95a3"}
"""Colours of causes by whether knowing them would change the first orders."""


def tornado(plan: Plan) -> Picture | None:
    """Draw what would change the decision and the cost, what decides failure, and the worth of limits."""
    swings, rows = swing_rows(plan), tornado_rows(plan)
    worth: list[dict[str, Any]] = [{"limit": wrapped(readable(k), 34), "worth": sig(v), "text": f"{short(v)} USD"}
                                   for k, v in plan.shadow_prices.items() if abs(v) > 0.5]
    if not swings and not rows:
        return None
    panels = []
    if swings:
        panels.append(Panel(title="What a cause moves", legend=tuple(DECIDES.items()), spec=_swings(swings)))
    if rows:
        panels.append(Panel(title="What decides whether the plan falls short", spec=signed_bars(
            rows, label="cause", value="rank_correlation", domain=(-1, 1),
            x_title="rank correlation with falling short, over fresh futures")))
    if worth:
        panels.append(Panel(title="What one more unit of a limit is worth", spec=bars(
            worth, label="limit", value="worth", x_title="USD", domain=(0, 1.3 * max(r["worth"] for r in worth)))))
    if swings:
        first, moved = swings[0], [_title(r) for r in swings if r["decision"] == CHANGES]
        title = (f"What moves the cost most is {_title(first)}: {short(first['low'])} to "
                 f"{short(first['high'])} million USD; " + (
                     f"knowing {' or '.join(moved[:3])} would change what to order now" if moved else
                     "knowing none of the causes would change what to order now"))
    else:
        title = (f"What would change the outcome most is {_title(rows[0])} (rank "
                 f"correlation {rows[0]['rank_correlation']:+.2f} with falling short)")
    return Picture(
        id="tornado", title=title, panels=tuple(panels), rows=[*swings, *rows, *worth],
        marks=("plan", "market", "buyer"), wide=True,
        note=("First: mean cost where a cause is known to be low or high, everything else uncertain; red where the "
              "first orders would then differ. " if swings else "")
        + "Correlations: red means that more of it makes falling short rarer, green more frequent. Values of limits "
        "are prices of the program on its own futures.")


def _title(row: Mapping[str, Any]) -> str:
    """Return the cause of a row on one line and without its unit."""
    return plain(str(row["cause"]).replace("\n", " "))


def swing_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return mean cost where each cause is known to be low and high, widest first. [million USD]"""
    out = []
    for r in plan.detail.get("tornado", ()):
        ends = sorted((float(r["cost_low"]), float(r["cost_high"])))
        out.append({"cause": wrapped(readable(str(r["cause"])), 34), "low": sig(ends[0] / 1e6),
                    "high": sig(ends[1] / 1e6), "if_low": short(float(r["low"])), "if_high": short(float(r["high"])),
                    "decision": CHANGES if r.get("changes") else KEEPS})
    return sorted(out, key=lambda r: r["low"] - r["high"])


def _swings(rows: list[dict[str, Any]]) -> Spec:
    y = names("cause", [str(r["cause"]) for r in rows])
    x: Spec = {"type": "quantitative", "scale": {"zero": False}, "axis": {
        "title": lines("mean cost where the cause is low or high, million USD"), "grid": True, "tickCount": 5}}
    return base(AXIS_PX + 34 * len(rows), [layer("bar", {
        "y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": colour("decision", DECIDES),
        "tooltip": tips("cause", "if_low", "if_high", "low", "high", "decision")}, height={"band": 0.6})], rows)


def tornado_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return the rank correlation of each cause with falling short, strongest first."""
    found = plan.detail.get("failures", {})
    fails = np.asarray(found.get("fails", ()), dtype=float)
    if fails.size == 0 or np.ptp(fails) == 0:
        return []
    rows = [{"cause": wrapped(readable(k), 34),
             "rank_correlation": sig(rank_correlation(np.asarray(v, dtype=float), fails), 3)}
            for k, v in found.get("causes", {}).items() if np.size(v) == fails.size and np.ptp(v) > 0]
    return sorted(rows, key=lambda r: -abs(float(str(r["rank_correlation"]))))[:10]
