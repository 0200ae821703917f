"""Pictures of how good forecasts and predictions have been: intervals beside what came, hits and misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.report.form import AXIS_PX, above, base, colour, layer, log_scale, names, number, sig, tips
from chipcast.report.record import Panel, Picture, Spec

HIT, MISS = "inside", "outside"
TONES = {HIT: "#1b7f5f", MISS: "#b5392d"}

SERIES_WORDS = {
    "nvda_china_revenue_usd_bn": "Nvidia's China revenue", "h20_revenue_usd_bn": "H20 revenue",
    "h20_orders_usd_bn": "H20 orders", "china_vendor_cards": "Chinese vendors' cards",
    "china_total_cards": "all cards sold in China", "nvidia_china_cards": "Nvidia's cards in China",
    "huawei_ascend_cards": "Ascend cards", "h20_card_price_usd": "price of an H20",
    "nvda_china_share": "Nvidia's share in China", "h20_charge_usd_bn": "charge on H20",
    "h20_unshipped_usd_bn": "H20 not shipped", "huawei_910c_packages": "910C packages",
    "platform_capex_usd_bn": "platforms' capital spending", "smic_ai_die_yield": "yield of AI dies",
}
"""Forecast series in words."""


MEASURES = {
    "output tokens/s/chip": "Output tokens/s per chip", "total tokens/s/chip": "All tokens/s per chip",
    "input tokens/s/chip": "Prompt tokens/s per chip", "train tokens/s/chip": "Training tokens/s per chip",
    "tpot ms": "Time per output token, ms", "ttft ms": "Time to first token, ms",
}
"""Measured quantities in words."""


def _rows(backtests: Sequence[Mapping[str, str]], part: str) -> list[dict[str, Any]]:
    """Return the rows of one part with numbers as numbers and whether the interval held what came."""
    out: list[dict[str, Any]] = []
    for r in backtests:
        if r["part"] == part:
            low, mid, high, came = (float(r[k]) for k in ("p05", "p50", "p95", "came"))
            out.append({**{k: r[k] for k in ("id", "group", "case", "measure", "vintage", "known")}, "low": sig(low),
                        "mid": sig(mid), "high": sig(high), "came": sig(came),
                        "result": HIT if low <= came <= high else MISS})
    return out


def measured(backtests: Sequence[Mapping[str, str]]) -> Picture | None:
    """Draw measured speeds against predictions by fits that had not seen their source, with 90 percent intervals."""
    rows = [r for r in _rows(backtests, "tokens") if min(r["low"], r["mid"], r["came"]) > 0]
    if not rows:
        return None
    groups: dict[str, list[dict[str, Any]]] = {}
    for r in rows:
        groups.setdefault(r["measure"], []).append(r)
    most = sorted(groups.items(), key=lambda kv: -len(kv[1]))[:4]
    panels = tuple(Panel(title=MEASURES.get(unit, unit), spec=_scatter(part)) for unit, part in most)
    error = _median_of_medians(rows)
    inside = float(np.mean([r["result"] == HIT for r in rows]))
    return Picture(
        id="measured", panels=panels, rows=rows, marks=("tokens",),
        legend=((f"measured {HIT} the 90 percent interval", TONES[HIT]), (f"{MISS} it", TONES[MISS])),
        title=f"On {len({r['group'] for r in rows})} sources that the fit had not seen, the median prediction is off "
        f"by a factor of {np.exp(error):.2f}; {inside:.0%} of {len(rows)} intervals hold what was measured",
        note="Each dot is one measurement, predicted by a fit on all other sources; the line is the 90 percent "
        "interval, the grey diagonal a perfect prediction. The error is the median over sources of each source's "
        "median. The fit may know measurements that became public after the date of this run, which does not use them: "
        "the picture grades the model, not the run. Quantities with few rows stand in the data.")


def _median_of_medians(rows: Sequence[Mapping[str, Any]]) -> float:
    by: dict[str, list[float]] = {}
    for r in rows:
        by.setdefault(str(r["group"]), []).append(abs(float(np.log(r["mid"] / r["came"]))))
    return float(np.median([np.median(v) for v in by.values()]))


def _scatter(rows: Sequence[Mapping[str, Any]]) -> Spec:
    both = [v for r in rows for v in (r["low"], r["high"], r["came"])]
    scale, places = log_scale(min(both), max(both))
    axis = {"values": places, "format": "~g" if places[0] < 1 else "~s", "labelOverlap": True}
    x = number("came", scale=scale, axis={"title": "measured", **axis})
    y: Spec = {"type": "quantitative", "scale": scale, "axis": above("predicted, 5th to 95th percentile", **axis)}
    tint = colour("result", TONES)
    ends = [{"came": v, "mid": v} for v in scale["domain"]]
    return base(300, [
        layer("line", {"x": x, "y": {**y, "field": "mid"}}, ends, color="#c9d0d9", strokeWidth=1.5),
        layer("rule", {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": tint}, opacity=0.35,
              strokeWidth=1.2),
        layer("point", {"x": x, "y": {**y, "field": "mid"}, "color": tint,
                        "tooltip": tips("id", "group", "case", "came", "mid")}, size=30, opacity=0.9)], rows)


def backtest(backtests: Sequence[Mapping[str, str]]) -> Picture | None:
    """Draw the market's forecasts beside what came: hits and misses, with the path of the rules given and hidden."""
    rows = _rows(backtests, "market")
    if not rows:
        return None
    kinds = list(dict.fromkeys(r["known"] for r in rows))
    panels = []
    whole = [r for r in rows if r["group"] == "whole chain"]
    for measure in dict.fromkeys(r["measure"] for r in whole):
        for kind in kinds:
            part = [r for r in whole if r["measure"] == measure and r["known"] == kind]
            panels += [Panel(title=f"The whole chain, {kind}", spec=_came(part))] if part else []
    for kind in kinds:
        past = [r for r in rows if r["known"] == kind and r["group"] != "whole chain"]
        panels += [Panel(title=f"The model of the past, {kind}", spec=_quarters(past))] if past else []
    count = {kind: (sum(r["result"] == HIT for r in rows if r["known"] == kind), sum(r["known"] == kind for r in rows))
             for kind in kinds}
    title = "Of what the market forecast came inside the 90 percent band: " + "; ".join(
        f"{hit} of {n} with the {kind}" for kind, (hit, n) in count.items())
    return Picture(
        id="backtest", title=title, panels=tuple(panels), rows=rows, marks=("market",),
        legend=((f"{HIT} the 90 percent band", TONES[HIT]), (f"{MISS} it", TONES[MISS])),
        note="Line: 5th to 95th percentile; small mark: median; dot: what came. Each forecast saw only what was known "
        "on its date; outcomes that became known later grade it and do not enter this run. All are hindcasts: the "
        "ranges were written by people who had lived through the year. With the path given a run is told the later "
        "rules of both gates, with the path hidden it must draw them. More, and why it missed, on the validation page "
        "of the docs.")


def _quarters(rows: Sequence[Mapping[str, Any]]) -> Spec:
    """Draw forecasts of each quarter from several dates beside each other, and what came."""
    order = sorted({str(r["case"]) for r in rows})
    ready = [{**r, "ahead": r["vintage"][:7]} for r in rows]
    x: Spec = {"field": "case", "type": "ordinal", "sort": order, "axis": {"title": None, "labelAngle": 0,
                                                                        "labelOverlap": "greedy"}}
    y: Spec = {"type": "quantitative", "axis": above(f"{rows[0]['measure']}, 5th to 95th percentile")}
    tint = colour("result", TONES)
    place = {"x": x, "xOffset": {"field": "ahead", "type": "nominal", "sort": sorted({r["ahead"] for r in ready})}}
    return base(250, [
        layer("rule", {**place, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": tint,
                       "tooltip": tips("case", "vintage", "came", "low", "mid", "high")}, strokeWidth=2.2,
              opacity=0.55),
        layer("tick", {**place, "y": {**y, "field": "mid"}, "color": tint}, thickness=2, size=7, opacity=0.7),
        layer("point", {**place, "y": {**y, "field": "came"}, "color": tint}, size=34, opacity=1)], ready)


def _came(rows: Sequence[Mapping[str, Any]]) -> Spec:
    ready = [{**r, "row": f"{SERIES_WORDS.get(r['id'], r['id'])}\n{r['case']}, as of {r['vintage'][:7]}"} for r in rows]
    y = names("row", [str(r["row"]) for r in ready], limit=200)
    x: Spec = {"type": "quantitative", "axis": {"title": rows[0]["measure"], "grid": True, "tickCount": 5,
                                                "labelOverlap": True, "format": "~s"}}
    tint = colour("result", TONES)
    return base(AXIS_PX + 30 * len(ready), [
        layer("rule", {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": tint}, strokeWidth=2.2,
              opacity=0.55),
        layer("tick", {"y": y, "x": {**x, "field": "mid"}, "color": tint}, thickness=2, size=12, opacity=0.7),
        layer("point", {"y": y, "x": {**x, "field": "came"}, "color": tint,
                        "tooltip": tips("row", "came", "low", "mid", "high", "result")}, size=70, opacity=1)], ready)
