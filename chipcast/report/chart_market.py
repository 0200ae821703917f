"""Pictures of the threat: orders, deliveries and stocks with and without it, by buyer, and the cover that pays."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.base.summary import short
from chipcast.base.types import Array
from chipcast.market.hoard import cutoff, hazard_floor
from chipcast.market.record import DOMESTIC, Market
from chipcast.report.form import SPREAD, above, base, colour, five, layer, number, sig
from chipcast.report.form_rows import ranges
from chipcast.report.form_time import fan, over_time
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import ACCENT, day_words, segment_name

WITH, WITHOUT = "with the threat", "without it"
TONES = {WITH: "#b5392d", WITHOUT: "#7d8ca3"}

SHOWN_MONTHS = 24
"""Months of the pictures of orders and stocks. [months]"""

RUSH_MONTHS = 3
"""Months from the date on whose orders the finding speaks of. [months]"""

YEAR = 12
"""Months over which orders and deliveries of a buyer are summed. [months]"""


def foreign(market: Market) -> list[int]:
    """Return the positions of chips whose vendor is not Chinese."""
    return [i for i, c in enumerate(market.chips) if c not in DOMESTIC]


def flow(market: Market, name: str, chips: list[int], segments: list[int] | None = None) -> Array:
    """Return cards of a field summed over segments and chips. (month, draw)"""
    cells: Array = getattr(market, name)
    picked = cells if segments is None else cells[segments]
    cards: Array = picked[:, chips].sum(axis=(0, 1), dtype=np.float64)
    return cards


def threat(market: Market, calm: Market | None) -> Picture:
    """Draw orders, deliveries and stocks of foreign chips, with and without the threat of a cut-off, and the gates."""
    chips = foreign(market)
    runs = {WITH: market, **({WITHOUT: calm} if calm else {})}
    months = market.months[:SHOWN_MONTHS]
    rows: list[dict[str, Any]] = []
    panels = []
    for name, words in (("orders", "Foreign cards ordered"), ("deliveries", "Foreign cards delivered"),
                        ("stocks", "Foreign cards in stock beyond use")):
        band = [r for key, run in runs.items()
                for r in over_time(flow(run, name, chips), months, unit=1000, run=key, what=name)]
        rows += band
        unit = "thousand cards" if name == "stocks" else "thousand cards a month"
        panels.append(Panel(title=words, spec=fan(band, x="month", by="run", colours=TONES, height=210,
                                                  y_title=f"{unit}, {SPREAD}")))
    if "h20-96" in market.chips:
        h20 = market.chips.index("h20-96")
        doors = {"American gate": "#0072b2", "Chinese gate": "#e69f00"}
        gates = [{"month": f"{m}-15", "gate": gate, "what": "share of draws in which H20 may pass",
                  "mid": sig(float(cells[h20, i].mean()))}
                 for gate, cells in zip(doors, (market.us_open, market.cn_open), strict=True)
                 for i, m in enumerate(months)]
        rows += gates
        panels.append(Panel(title="Whether H20 may still pass", legend=tuple(doors.items()), spec=fan(
            gates, x="month", by="gate", colours=doors, percent=True, domain=(0, 1), height=190,
            y_title="share of draws")))
    rush = flow(market, "orders", chips)[:RUSH_MONTHS].sum(axis=0)
    when = f"{day_words(months[0])} to {day_words(months[min(RUSH_MONTHS, len(months)) - 1])}"
    title = f"Buyers order {short(float(np.median(rush)))} foreign cards from {when}"
    about = rush
    if calm:
        about = rush - flow(calm, "orders", chips)[:RUSH_MONTHS].sum(axis=0)
        gap = five(about)
        title = (f"From {when} the threat moves orders of foreign cards by {_signed(gap['mid'])} "
                 f"({_signed(gap['low'])} to {_signed(gap['high'])}); it raises them in {np.mean(about > 0):.0%} of "
                 f"the draws and lowers them in {np.mean(about < 0):.0%}")
    return Picture(
        id="threat", title=title, panels=tuple(panels), rows=rows, legend=tuple((k, TONES[k]) for k in runs),
        marks=("market", "rules", "chip"), about=about, blind=True,
        note="The same draws in a world that may be cut off and fears it, and in one that cannot be. Bands hold "
        "50 and 90 percent of the draws, lines are medians.")


def _signed(x: float) -> str:
    return f"+{short(x)}" if x > 0 else short(x)


def segments(market: Market, calm: Market | None) -> Picture:
    """Draw who orders, who gets and who holds foreign cards, with and without the threat."""
    chips = foreign(market)
    runs = {WITH: market, **({WITHOUT: calm} if calm else {})}
    year = slice(0, min(YEAR, len(market.months)))
    peak = int(np.argmax(np.median(flow(market, "stocks", chips), axis=-1)))
    when = f"{day_words(market.months[0])} to {day_words(market.months[year.stop - 1])}"
    rows: list[dict[str, Any]] = []
    panels = []
    held: dict[str, float] = {}
    for name, words in (("orders", f"Ordered, {when}"), ("deliveries", f"Delivered, {when}"),
                        ("stocks", f"In stock, end of {day_words(market.months[peak])}")):
        part: list[dict[str, Any]] = []
        for s, segment in enumerate(market.segments):
            for key, run in runs.items():
                cards = flow(run, name, chips, [s])
                cards = cards[peak] if name == "stocks" else cards[year].sum(axis=0)
                part.append({"segment": segment_name(segment), "run": key, "what": name, **five(cards / 1000)})
                if name == "stocks" and key == WITH:
                    held[segment_name(segment)] = part[-1]["mid"]
        rows += part
        panels.append(Panel(title=words, spec=ranges(
            part, label="segment", by="run", colours=TONES, offset="run" if calm else "", step=30, zero=True,
            root=True, x_title=f"thousand cards, {SPREAD}")))
    most = max(held, key=lambda k: held[k])
    share = held[most] / max(sum(held.values()), 1e-9)
    return Picture(
        id="segments", panels=tuple(panels), rows=rows, legend=tuple((k, TONES[k]) for k in runs),
        marks=("market", "rules"),
        title=f"{most} hold {share:.0%} of the foreign cards in stock at the peak of {day_words(market.months[peak])}, "
        "counting medians",
        note="Foreign cards by class of buyer, on the same draws with and without the threat. Dot: median; thick 50, "
        "thin 90 percent of the draws. The axis grows with the square root, so that small buyers show.")


def hoard(given: Given) -> Picture:
    """Draw months of cover against the feared chance of a cut-off, by the closed form, with where buyers stand."""
    rate, holding = given.middle("market.carrying_rate_per_year"), given.middle("market.holding_cost_per_month")
    ratio = given["market.shortage_cost_ratio"]
    low, mid, high = np.quantile(ratio, (0.05, 0.5, 0.95))
    hazards = np.geomspace(0.004, 0.5, 60)
    costs = {f"{r:.1f} times its price": r for r in (low, mid, high)}
    tones = dict(zip(costs, ("#9db4c7", ACCENT, "#b5392d"), strict=False))
    rows: list[dict[str, Any]] = [
        {"hazard": sig(q), "missing": n, "mid": float(v)} for n, r in costs.items()
        for q, v in zip(hazards, np.asarray(cutoff(hazards, 1.0, r, holding, rate)), strict=True)]
    base_rate = given["us_gate.closing_hazard_base_per_month"]
    after = given["us_gate.closing_hazard_after_threat_per_month"]
    feared = base_rate + given["us_gate.threat_present_probability"] * np.maximum(after - base_rate, 0)
    spot = five(feared)
    floor = hazard_floor(1.0, ratio, given["market.holding_cost_per_month"], given["market.carrying_rate_per_year"])
    sure = float(np.mean(feared > floor))
    cover = float(cutoff(spot["mid"], 1.0, mid, holding, rate))
    x: Spec = {"type": "quantitative", "scale": {"type": "log", "domain": [0.004, 0.5], "nice": False}, "axis": {
        "title": "feared chance of a cut-off per month", "format": "~%",
        "values": [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]}}
    y = number("mid", axis=above("months of need to hold in stock"))
    spec = base(280, [
        layer("rect", {"x": {**x, "field": "a"}, "x2": {"field": "b"}}, [{"a": spot["low"], "b": spot["high"]}],
              color="#f3cf6b", opacity=0.35),
        layer("rule", {"x": {**x, "field": "a"}}, [{"a": spot["mid"]}], color="#8a6a00", strokeDash=[4, 3]),
        layer("line", {"x": {**x, "field": "hazard"}, "y": y, "color": colour("missing", tones)}, strokeWidth=2.4,
              interpolate="step-after")], rows)
    return Picture(
        id="hoard", panels=(Panel(spec=spec),), rows=rows,
        title=f"With a feared chance of {spot['mid']:.0%} a month ({spot['low']:.0%} to {spot['high']:.0%}) it pays to "
        f"hold {cover:.0f} months of need; hoarding pays at all in {sure:.0%} of the draws",
        legend=tuple((f"a missing card costs {n}", c) for n, c in tones.items()),
        note="The cover that costs least when supply may close for ever, at the median cost of holding. Yellow: "
        "the chance that the draws give the threat on the date, 5th to 95th percentile, dashed at the median. Budgets "
        "and allocation cut the cover further down.",
        marks=("market.shortage_cost_ratio", "market.holding_cost_per_month", "market.carrying_rate_per_year",
               "us_gate.closing_hazard_after_threat_per_month", "us_gate.threat_present_probability"))
