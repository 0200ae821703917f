"""Pictures of the market: orders, deliveries and stocks with and without the threat; domestic share."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.base.summary import short
from chipcast.base.types import Array
from chipcast.market.hoard import cutoff, hazard_floor
from chipcast.market.record import DOMESTIC, Market
from chipcast.report.chart_line import by_quarter
from chipcast.report.form import above, base, colour, fan, five, ranges, sig, stack
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import ACCENT, chip_colours, chip_name, day_words, segment_name

WITH, WITHOUT = "with the threat", "without it"


def foreign(market: Market) -> list[int]:
    """Return the positions of chips whose vendor is not Chinese."""
    return [i for i, c in enumerate(market.chips) if c not in DOMESTIC]


def flow(market: Market, name: str, chips: list[int], segments: list[int] | None = None) -> Array:
    """Return cards of a field summed over segments and chips. (month, draw)"""
    cells: Array = getattr(market, name)
    picked = cells if segments is None else cells[segments]
    cards: Array = picked[:, chips].sum(axis=(0, 1), dtype=np.float64)
    return cards


SHOWN_MONTHS = 24
"""Months of the pictures of orders and stocks. [months]"""

RUSH_MONTHS = 3
"""Months from the date on whose orders the finding speaks of. [months]"""


def threat(market: Market, calm: Market | None) -> Picture:
    """Draw orders, deliveries and stocks of foreign chips, with and without the threat of a cut-off."""
    chips = foreign(market)
    runs = {WITH: market, **({WITHOUT: calm} if calm else {})}
    tones = {WITH: "#b5392d", WITHOUT: "#7d8ca3"}
    months = market.months[:SHOWN_MONTHS]
    rows: list[dict[str, Any]] = []
    panels = []
    for name, words in (
        ("orders", "Foreign cards ordered"),
        ("deliveries", "Foreign cards delivered"),
        ("stocks", "Foreign cards in stock beyond use"),
    ):
        band = []
        for key, run in runs.items():
            cards = flow(run, name, chips)
            band += [
                {"month": f"{m}-15", "run": key, "what": name, **five(cards[i] / 1000)} for i, m in enumerate(months)
            ]
        rows += band
        unit = "thousand cards" if name == "stocks" else "thousand cards a month"
        panels.append(
            Panel(
                title=words,
                spec=fan(
                    band, x="month", by="run", colours=tones, height=210, y_title=f"{unit}, 5th to 95th percentile"
                ),
            )
        )
    if "h20-96" in market.chips:
        h20 = market.chips.index("h20-96")
        gates = [
            {
                "month": f"{m}-15",
                "gate": gate,
                "what": "share of draws in which H20 may pass",
                "mid": sig(float(cells[h20, i].mean())),
            }
            for gate, cells in (("American gate", market.us_open), ("Chinese gate", market.cn_open))
            for i, m in enumerate(months)
        ]
        rows += gates
        doors = {"American gate": "#0072b2", "Chinese gate": "#e69f00"}
        panels.append(
            Panel(
                title="Whether H20 may still pass",
                legend=tuple(doors.items()),
                spec=fan(
                    gates,
                    x="month",
                    by="gate",
                    colours=doors,
                    percent=True,
                    domain=(0, 1),
                    height=190,
                    y_title="share of draws",
                ),
            )
        )
    peak = int(np.argmax(np.median(flow(market, "stocks", chips), axis=-1)))
    by_segment = [
        {
            "segment": segment_name(segment),
            "run": key,
            "what": f"stocks in {market.months[peak]}",
            **five(flow(run, "stocks", chips, [s])[peak] / 1000),
        }
        for s, segment in enumerate(market.segments)
        for key, run in runs.items()
    ]
    rows += by_segment
    panels.append(
        Panel(
            title=f"Who holds the stock in {day_words(market.months[peak])}",
            spec=ranges(
                by_segment,
                label="segment",
                by="run",
                colours=tones,
                offset="run" if calm else "",
                step=32,
                zero=True,
                x_title="thousand cards, 5th to 95th percentile",
            ),
        )
    )
    rush = flow(market, "orders", chips)[:RUSH_MONTHS].sum(axis=0)
    when = f"{day_words(months[0])} to {day_words(months[min(RUSH_MONTHS, len(months)) - 1])}"
    title = f"Buyers order {short(float(np.median(rush)))} foreign cards from {when}"
    if calm:
        more = rush - flow(calm, "orders", chips)[:RUSH_MONTHS].sum(axis=0)
        gap = five(more)
        title = (
            f"From {when} the threat moves orders of foreign cards by {_signed(gap['mid'])} ({_signed(gap['low'])} to "
            f"{_signed(gap['high'])}); it raises them in {np.mean(more > 0):.0%} of the draws and lowers them "
            f"in {np.mean(more < 0):.0%}"
        )
    return Picture(
        id="threat",
        title=title,
        panels=tuple(panels),
        rows=rows,
        note="The same draws in a world that may be cut off and fears it, and in one that cannot be. Bands hold "
        "50 and 90 "
        "percent of the draws, lines are medians.",
        legend=tuple((k, tones[k]) for k in runs),
        marks=("market", "rules", "chip"),
    )


def _signed(x: float) -> str:
    return f"+{short(x)}" if x > 0 else short(x)


def push(market: Market, without: Market | None) -> Picture:
    """Draw the domestic share with and without the push to buy local, and what is delivered by chip."""
    runs = {"with the push": market, **({"without it": without} if without else {})}
    tones = {"with the push": "#b5392d", "without it": "#7d8ca3"}
    rows: list[dict[str, Any]] = []
    panels = []
    for name, words in (
        ("domestic_share_tokens", "of installed token capacity"),
        ("domestic_share_cards", "of delivered cards"),
    ):
        band = [
            {"month": f"{m}-28", "run": key, "what": name, **five(getattr(run, name)[i])}
            for key, run in runs.items()
            for i, m in enumerate(run.months)
        ]
        band = [r for r in band if "mid" in r]
        rows += band
        panels.append(
            Panel(
                title=f"Chinese share {words}",
                spec=fan(
                    band,
                    x="month",
                    by="run",
                    colours=tones,
                    percent=True,
                    domain=(0, 1),
                    height=220,
                    y_title="share, 5th to 95th percentile",
                ),
            )
        )
    chips = {chip_name(c): v for c, v in chip_colours(market.chips).items()}
    mean = []
    for c, chip in enumerate(market.chips):
        quarters, cards = by_quarter(market.months, market.deliveries[:, c].sum(axis=0, dtype=np.float64))
        mean += [
            {"quarter": q, "chip": chip_name(chip), "cards": sig(float(cards[j].mean() / 1000))}
            for j, q in enumerate(quarters)
        ]
    rows += mean
    panels.append(
        Panel(
            title="Delivered by chip, mean over draws",
            legend=tuple(chips.items()),
            spec=stack(
                mean,
                x="quarter",
                y="cards",
                by="chip",
                colours=chips,
                y_title="thousand cards per quarter, mean",
                height=220,
            ),
        )
    )
    end = five(market.domestic_share_tokens[-1])
    title = (
        f"By {day_words(market.months[-1])} Chinese chips are {end['mid']:.0%} ({end['low']:.0%} to "
        f"{end['high']:.0%}) of the "
        f"installed "
        "token capacity"
    )
    if without:
        effect = five(market.domestic_share_tokens[-1] - without.domestic_share_tokens[-1])
        title += (
            f"; the push adds {100 * effect['mid']:.1f} points ({100 * effect['low']:.1f} to "
            f"{100 * effect['high']:.1f})"
        )
    return Picture(
        id="push",
        title=title,
        panels=tuple(panels),
        rows=rows,
        note="Shares count what the chips can serve (tokens) and what is delivered (cards). Bands hold 50 and 90 "
        "percent of the draws.",
        legend=tuple((k, tones[k]) for k in runs),
        marks=("market", "tokens"),
    )


def hoard(given: Given) -> Picture:
    """Draw months of cover against the feared chance of a cut-off, by the closed form, with where buyers stand."""
    rate, holding = given.middle("market.carrying_rate_per_year"), given.middle("market.holding_cost_per_month")
    ratio = given["market.shortage_cost_ratio"]
    low, mid, high = np.quantile(ratio, (0.05, 0.5, 0.95))
    hazards = np.geomspace(0.004, 0.5, 60)
    names = {f"{r:.1f} times its price": r for r in (low, mid, high)}
    tones = dict(zip(names, ("#9db4c7", ACCENT, "#b5392d"), strict=False))
    rows: list[dict[str, Any]] = [
        {"hazard": sig(q), "missing": n, "mid": float(v)}
        for n, r in names.items()
        for q, v in zip(hazards, np.asarray(cutoff(hazards, 1.0, r, holding, rate)), strict=True)
    ]
    base_rate, after = (
        given["us_gate.closing_hazard_base_per_month"],
        given["us_gate.closing_hazard_after_threat_per_month"],
    )
    feared = base_rate + given["us_gate.threat_present_probability"] * np.maximum(after - base_rate, 0)
    spot = five(feared)
    floor = hazard_floor(1.0, ratio, given["market.holding_cost_per_month"], given["market.carrying_rate_per_year"])
    sure = float(np.mean(feared > floor))
    cover = float(cutoff(spot["mid"], 1.0, mid, holding, rate))
    x: Spec = {
        "type": "quantitative",
        "scale": {"type": "log", "domain": [0.004, 0.5], "nice": False},
        "axis": {
            "title": "feared chance of a cut-off per month",
            "format": "~%",
            "values": [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5],
        },
    }
    y: Spec = {"field": "mid", "type": "quantitative", "axis": above("months of need to hold in stock")}
    spec = base(
        280,
        [
            {
                "data": {"values": [{"a": spot["low"], "b": spot["high"]}]},
                "mark": {"type": "rect", "color": "#f3cf6b", "opacity": 0.35},
                "encoding": {"x": {**x, "field": "a"}, "x2": {"field": "b"}},
            },
            {
                "data": {"values": [{"a": spot["mid"]}]},
                "mark": {"type": "rule", "color": "#8a6a00", "strokeDash": [4, 3]},
                "encoding": {"x": {**x, "field": "a"}},
            },
            {
                "mark": {"type": "line", "strokeWidth": 2.4, "interpolate": "step-after"},
                "encoding": {"x": {**x, "field": "hazard"}, "y": y, "color": colour("missing", tones)},
            },
        ],
        rows,
    )
    title = (
        f"With a feared chance of {spot['mid']:.0%} a month ({spot['low']:.0%} to {spot['high']:.0%}) it pays to "
        f"hold {cover:.0f} months of need; "
        f"hoarding pays at all in {sure:.0%} of the draws"
    )
    return Picture(
        id="hoard",
        title=title,
        panels=(Panel(spec=spec),),
        rows=rows,
        legend=tuple((f"a missing card costs {n}", c) for n, c in tones.items()),
        note="The cover that costs least when supply may close for ever, at the median cost of holding. Yellow: "
        "the chance that the draws give "
        "the threat on the date, 5th to 95th percentile, dashed at the median. Budgets and allocation cut the "
        "cover further down.",
        marks=("market", "rules"),
    )
