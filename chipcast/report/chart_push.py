"""Pictures of local supply: the domestic share with and without the push, and why buyers change chips."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.market.effect import paired
from chipcast.market.record import DOMESTIC, Market
from chipcast.report.chart_market import flow, foreign
from chipcast.report.form import SPREAD, five, sig
from chipcast.report.form_rows import ranges, stack
from chipcast.report.form_time import by_quarter, fan, over_time
from chipcast.report.record import Panel, Picture
from chipcast.report.theme import chip_colours, chip_name, day_words

WITH, WITHOUT = "with the push", "without it"
TONES = {WITH: "#b5392d", WITHOUT: "#7d8ca3"}


def push(market: Market, without: Market | None) -> Picture:
    """Draw the domestic share with and without the push to buy local, and what is delivered by chip."""
    runs = {WITH: market, **({WITHOUT: without} if without else {})}
    rows: list[dict[str, Any]] = []
    panels = []
    for name, words in (("domestic_share_tokens", "of installed token capacity"),
                        ("domestic_share_cards", "of delivered cards")):
        band = [r for key, run in runs.items()
                for r in over_time(getattr(run, name), run.months, day="28", run=key, what=name) if "mid" in r]
        rows += band
        panels.append(Panel(title=f"Chinese share {words}", spec=fan(
            band, x="month", by="run", colours=TONES, percent=True, domain=(0, 1), height=220,
            y_title=f"share, {SPREAD}")))
    chips = {chip_name(c): v for c, v in chip_colours(market.chips).items()}
    mean: list[dict[str, Any]] = []
    for c, chip in enumerate(market.chips):
        quarters, cards = by_quarter(market.months, market.deliveries[:, c].sum(axis=0, dtype=np.float64))
        mean += [{"quarter": q, "chip": chip_name(chip), "cards": sig(float(cards[j].mean() / 1000))}
                 for j, q in enumerate(quarters)]
    rows += mean
    panels.append(Panel(title="Delivered by chip, mean over draws", legend=tuple(chips.items()), spec=stack(
        mean, x="quarter", y="cards", by="chip", colours=chips, y_title="thousand cards per quarter, mean",
        height=220)))
    end = five(market.domestic_share_tokens[-1])
    title = (f"By {day_words(market.months[-1])} Chinese chips are {end['mid']:.0%} ({end['low']:.0%} to "
             f"{end['high']:.0%}) of the installed token capacity")
    if without:
        effect = five(market.domestic_share_tokens[-1] - without.domestic_share_tokens[-1])
        title += (f"; the push adds {100 * effect['mid']:.1f} points ({100 * effect['low']:.1f} to "
                  f"{100 * effect['high']:.1f})")
    return Picture(
        id="push", title=title, panels=tuple(panels), rows=rows, legend=tuple((k, TONES[k]) for k in runs),
        marks=("market", "tokens"), about=np.asarray(market.domestic_share_tokens[-1], dtype=float), blind=True,
        note="Shares count what the chips can serve (tokens) and what is delivered (cards). Bands hold 50 and 90 "
        "percent of the draws.")


def substitution(market: Market, calm: Market | None = None) -> Picture | None:
    """Draw the Chinese share of orders where the H20 may still be bought and where it may not, and what is got of it.

    Where it may be bought a Chinese order is a choice (or a quota's); where not, it is what is left. The share that
    is delivered tells whether the local line can follow. With `calm`, the same market without the threat, a third
    picture shows what fills the gap.
    """
    if "h20-96" not in market.chips:
        return None
    h20 = market.chips.index("h20-96")
    home = [i for i, c in enumerate(market.chips) if c in DOMESTIC]
    away = foreign(market)
    passes = np.asarray(market.us_open[h20] * market.cn_open[h20]) > 0.5
    own, other = flow(market, "orders", home), flow(market, "orders", away)
    share = own / np.maximum(own + other, 1e-9)
    tones = {"H20 may be bought": "#0072b2", "H20 is barred": "#b5392d"}
    rows: list[dict[str, Any]] = []
    for i, month in enumerate(market.months):
        for what, mask in zip(tones, (passes[i], ~passes[i]), strict=True):
            if mask.sum() >= 0.02 * mask.size:
                rows.append({"month": f"{month}-15", "world": what, "what": "Chinese share of cards ordered",
                             "draws": int(mask.sum()), **five(share[i, mask])})
    got = flow(market, "deliveries", home)
    back = np.maximum(np.cumsum(own, axis=0), 1e-9)
    filled = over_time(np.cumsum(got, axis=0) / back, market.months, world="Chinese cards",
                       what="delivered so far of what was ordered so far")
    supply = {"Chinese cards": "#8a6b4b"}
    last = {w: [r for r in rows if r["world"] == w][-1] for w in tones if any(r["world"] == w for r in rows)}
    title = " and ".join(f"{r['mid']:.0%} of the cards ordered in {day_words(r['month'][:7])} are Chinese where "
                         f"{w.replace('H20', 'the H20')}" for w, r in last.items())
    title += (f"; by {day_words(market.months[-1])} the local lines have delivered {filled[-1]['mid']:.0%} "
              f"({filled[-1]['low']:.0%} to {filled[-1]['high']:.0%}) of what was ordered from them")
    fill = gap(market, calm) if calm is not None else []
    third = (Panel(title=f"What the threat moves in {fill[0]['year']}", spec=ranges(
        fill, label="what", x_title=f"thousand cards more or less, {SPREAD}")),) if fill else ()
    return Picture(
        id="substitution", title=title, rows=[*rows, *filled, *fill], marks=("market", "rules", "fab"),
        panels=(Panel(title="Chinese share of cards ordered", legend=tuple(tones.items()), spec=fan(
            rows, x="month", by="world", colours=tones, percent=True, domain=(0, 1), height=230, inner=False,
            y_title=f"share, {SPREAD}")),
                Panel(title="Delivered share of Chinese cards ordered", legend=tuple(supply.items()), spec=fan(
                    filled, x="month", by="world", colours=supply, percent=True, domain=(0, 1), height=230,
                    y_title=f"share, {SPREAD}")), *third),
        note="Left: draws sorted month by month by whether both gates let the H20 pass; where they do, a Chinese order "
        "is a choice or a quota, where not it is what is left. Right: all Chinese cards delivered since the start over "
        "all ordered; what is missing waits for the local lines. Bands hold 90 (right also 50) percent of the draws."
        + (" Last: cards with the threat less cards without it, draw by draw; leases count the cards at the end of the "
           "year." if fill else ""))


GAP = {
    "H20 delivered": "H20 delivered",
    "lesser and redesigned foreign cards": "lesser and redesigned\nforeign cards",
    "grey cards": "grey imports",
    "cards leased abroad": "leased abroad",
    "domestic cards delivered": "Chinese cards",
}
"""Measures of the paired effect that fill the gap which a threat leaves, each with its words."""


def gap(market: Market, calm: Market) -> list[dict[str, Any]]:
    """Return what the threat moves in the first whole calendar year, paired draw by draw. [thousand cards]"""
    kept = len(market.leased_abroad) == len(market.segments) == len(calm.leased_abroad)
    found = paired(market, calm) if kept else ()
    whole = [y for y in dict.fromkeys(m[:4] for m in market.months) if f"{y}-01" in market.months]
    by = {e.name: e for e in found if whole and e.year == whole[0]}
    rows = []
    for name, words in GAP.items():
        if name in by:
            spread = five(by[name].values / 1000)
            rows.append({"what": words, "year": by[name].year, **spread, "text": f"{spread['mid']:+,.0f}"})
    return rows
