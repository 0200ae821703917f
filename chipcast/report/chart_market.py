"""Pictures of the market: orders, deliveries and stocks with and without the threat; domestic share."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.summary import short
from chipcast.base.types import Array
from chipcast.market.record import DOMESTIC, Market
from chipcast.report.chart_line import by_quarter
from chipcast.report.form import fan, five, ranges, sig, stack
from chipcast.report.record import Panel, Picture
from chipcast.report.theme import chip_colours, chip_name, segment_name

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


def threat(market: Market, calm: Market | None) -> Picture:
    """Draw orders, deliveries and stocks of foreign chips, with and without the threat of a cut-off."""
    chips = foreign(market)
    runs = {WITH: market, **({WITHOUT: calm} if calm else {})}
    tones = {WITH: "#b5392d", WITHOUT: "#7d8ca3"}
    rows: list[dict[str, Any]] = []
    panels = []
    for name, words in (("orders", "ordered per quarter"), ("deliveries", "delivered per quarter")):
        band = []
        for key, run in runs.items():
            quarters, cards = by_quarter(run.months, flow(run, name, chips))
            band += [{"time": q, "run": key, "what": name, **five(cards[j] / 1000)} for j, q in enumerate(quarters)]
        rows += band
        panels.append(
            Panel(
                title=f"Foreign chips {words}",
                spec=fan(
                    band,
                    x="time",
                    x_kind="category",
                    by="run",
                    colours=tones,
                    height=210,
                    y_title="thousand cards, 5th to 95th percentile",
                ),
            )
        )
    band = []
    for key, run in runs.items():
        cards = flow(run, "stocks", chips)
        band += [
            {"time": f"{m}-28", "run": key, "what": "stocks", **five(cards[i] / 1000)} for i, m in enumerate(run.months)
        ]
    rows += band
    panels.append(
        Panel(
            title="Foreign chips in stock beyond use",
            spec=fan(
                band, x="time", by="run", colours=tones, height=210, y_title="thousand cards, 5th to 95th percentile"
            ),
        )
    )
    peak = int(np.argmax(np.median(flow(market, "stocks", chips), axis=-1)))
    by_segment = []
    for s, segment in enumerate(market.segments):
        for key, run in runs.items():
            by_segment.append(
                {
                    "segment": segment_name(segment),
                    "run": key,
                    "what": f"stocks in {market.months[peak]}",
                    **five(flow(run, "stocks", chips, [s])[peak] / 1000),
                }
            )
    rows += by_segment
    panels.append(
        Panel(
            title=f"Who holds them in {market.months[peak]}",
            spec=ranges(
                by_segment,
                label="segment",
                by="run",
                colours=tones,
                offset="run" if calm else "",
                step=36,
                zero=True,
                x_title="thousand cards in stock, 5th to 95th percentile",
            ),
        )
    )
    _, ordered = by_quarter(market.months, flow(market, "orders", chips))
    first = five(ordered[0])
    title = (
        f"Buyers order {short(first['mid'])} foreign cards in "
        f"{by_quarter(market.months, flow(market, 'orders', chips))[0][0]}"
    )
    if calm:
        quarters, without = by_quarter(calm.months, flow(calm, "orders", chips))
        more = five(ordered[0] - without[0])
        sure = float(np.mean(ordered[0] > without[0]))
        title = (
            f"Fear of a cut-off adds {short(more['mid'])} foreign cards ({short(more['low'])} to "
            f"{short(more['high'])}) to the orders of {quarters[0]}; it raises them in {sure:.0%} of the draws"
        )
    return Picture(
        id="threat",
        title=title,
        panels=tuple(panels),
        rows=rows,
        note="The same draws with and without the threat, so that the difference is the threat alone. Bands hold 50 "
        "and 90 percent of the draws.",
        legend=tuple((k, tones[k]) for k in runs),
        marks=("market", "chip"),
    )


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
        f"By {market.months[-1]} Chinese chips are {end['mid']:.0%} ({end['low']:.0%} to {end['high']:.0%}) of the "
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
