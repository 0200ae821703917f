"""Pictures of the line: reported yields, output against the plan, cost and profit, with and without EUV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.calendar import quarter_name
from chipcast.base.given import Given
from chipcast.base.summary import short
from chipcast.base.types import Array
from chipcast.fab.record import LIMITS, Line
from chipcast.report.form import colour, fan, five, ranges, sig, stack
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import ACCENT, CHIP_COLOURS, INK, LIMIT_COLOURS, LIMIT_NAMES, SOFT, chip_name, day_words

NEWS_CLAIMS = ("910C plan", "910B plan")
"""Rows of the reports that state the plan of the year."""

READINGS = (
    ("die.any", "of dies: fit for the lowest sold bin"),
    ("through", "of 910C packages, dies tested first"),
    ("blind", "of 910C packages, dies not tested"),
    ("die.perfect", "of dies: every core works"),
)
"""What "yield" can mean in a report, each with its words."""


def plan_of(given: Given, year: str) -> dict[str, tuple[float, str]]:
    """Return the reported plan of a year by product with its source: (packages or cards, source key)."""
    out = {}
    for row in given.catalog.rows("reports"):
        if row["claim"] in NEWS_CLAIMS and row["period"] == year:
            out[f"ascend-{row['claim'].split()[0].lower()}"] = (float(row["value"]), row["source"])
    return out


def yield_by_reading(line: Line) -> dict[str, Array]:
    """Return the yield of the line under each of `READINGS`. [1] (month, draw)"""
    dual = line.assembly_yield[line.products.index("ascend-910c")]
    return {
        "die.any": line.yield_die_any,
        "through": line.yield_die_any * dual,
        "blind": line.yield_die_any**2 * dual,
        "die.perfect": line.yield_die_perfect,
    }


def yield_readings(line: Line, given: Given, *, prior: bool) -> Picture:
    """Draw the reports of yield over the ramp under each reading of the word; `prior`: the line saw no report."""
    when = "before any report" if prior else "with the reports taken in"
    fans = yield_by_reading(line)
    reports = [
        r
        for r in given.catalog.rows("reports")
        if "yield" in r["claim"] and r["unit"] == "%" and r["claim"].startswith("910") and r["period"][:2] == "20"
    ]
    sigma = {
        kind: given.middle(f"{kind}.sigma_logit_yield") for kind in ("source_newspaper", "source_letter_or_broker")
    }
    every = 2
    rows: list[dict[str, Any]] = []
    panels = []
    tone = {"910B": CHIP_COLOURS["ascend-910b"], "910C": CHIP_COLOURS["ascend-910c"]}
    for key, words in READINGS:
        band = [
            {"month": f"{m}-15", "what": "ramp", "reading": key, **five(fans[key][i])}
            for i, m in enumerate(line.months[:25])
            if i % every == 0
        ]
        wanted = "910C" if key in ("through", "blind") else "910"
        dots = []
        for r in reports:
            if not r["claim"].startswith(wanted):
                continue
            share = float(r["value"]) / 100
            noise = sigma["source_newspaper" if r["kind"] == "reported" else "source_letter_or_broker"]
            z = np.log(share / (1 - share)) + 1.6449 * noise * np.array([-1.0, 0.0, 1.0])
            low, mid, high = (sig(v) for v in 1 / (1 + np.exp(-z)))
            dots.append(
                {
                    "month": f"{r['period'][:7]}-15",
                    "what": "report",
                    "reading": key,
                    "low": low,
                    "mid": mid,
                    "high": high,
                    "text": f"{r['value']}%",
                    "product": r["claim"].split()[0],
                    "origin": r["origin"],
                }
            )
        rows += band + dots
        x: Spec = {"field": "month", "type": "temporal"}
        tint = colour("product", {"ramp": SOFT, **tone})
        y: Spec = {"field": "mid", "type": "quantitative"}
        marks: list[Spec] = (
            [
                {
                    "data": {"values": dots},
                    "mark": {"type": "rule", "strokeWidth": 2},
                    "encoding": {
                        "x": x,
                        "y": {"field": "low", "type": "quantitative"},
                        "y2": {"field": "high"},
                        "color": tint,
                    },
                },
                {
                    "data": {"values": dots},
                    "mark": {"type": "point", "size": 60, "opacity": 1},
                    "encoding": {
                        "x": x,
                        "y": y,
                        "color": tint,
                        "tooltip": [{"field": f, "type": "nominal"} for f in ("product", "text", "origin")],
                    },
                },
                {
                    "data": {"values": dots},
                    "mark": {"type": "text", "align": "left", "dx": 6, "fontSize": 11, "fontWeight": "bold"},
                    "encoding": {"x": x, "y": y, "text": {"field": "text"}, "color": tint},
                },
            ]
            if dots
            else []
        )
        panels.append(
            Panel(
                title=f"Yield {words}",
                spec=fan(
                    band,
                    x="month",
                    by="what",
                    colours={"ramp": SOFT, **tone},
                    y_title="share, 5th to 95th percentile",
                    percent=True,
                    domain=(0, 1),
                    height=190,
                    extra=marks,
                ),
            )
        )
    at = _news_month(line, reports)
    if at is not None:
        places = {k: float(np.mean(v[at[0]] >= at[1])) for k, v in fans.items()}
        near = min(places, key=lambda k: abs(places[k] - 0.5))
        words = dict(READINGS)[near]
        far = min(places, key=lambda k: places[k])
        title = f"A 910C yield of {at[1]:.0%} fits best as the share {words}: {places[near]:.0%} of the draws reach it"
        if far != near:
            title += f", read as the share {dict(READINGS)[far]} only {places[far]:.0%} do"
    else:
        title = (
            f"The line's sellable dies: {five(fans['die.any'][0])['mid']:.0%} of those on a wafer in {line.months[0]}"
        )
    return Picture(
        id="yield-readings",
        title=title,
        panels=tuple(panels),
        rows=rows,
        note=f"One picture per meaning of the word yield. Grey: what the line gives {when}, median with the bands of "
        "50 and 90 percent of the draws. Colour: what was reported, with the error of its kind of source, 5th to "
        "95th percentile.",
        legend=(("the line as computed", SOFT), *((f"reports on the {k}", v) for k, v in tone.items())),
        marks=("fab", "evidence", *dict.fromkeys(r["source"] for r in reports)),
    )


def _news_month(line: Line, reports: Sequence[Mapping[str, str]]) -> tuple[int, float] | None:
    """Return the month index and the value of the latest 910C report within the line's months."""
    dated = [r for r in reports if r["claim"].startswith("910C")]
    if not dated:
        return None
    last = max(dated, key=lambda r: r["published"])
    month = last["period"][:7]
    index = line.months.index(month) if month in line.months else 0
    return index, float(last["value"]) / 100


def by_quarter(months: Sequence[str], values: Array) -> tuple[list[str], Array]:
    """Return whole quarters and sums over their months of `[month draw]`; part quarters are left out."""
    names = [quarter_name(m) for m in months]
    whole = [q for q in dict.fromkeys(names) if names.count(q) == 3]
    return whole, np.stack([values[[i for i, n in enumerate(names) if n == q]].sum(axis=0) for q in whole])


def output(line: Line, given: Given) -> Picture:
    """Draw packages per quarter against the reported plan, and what binds."""
    rows: list[dict[str, Any]] = []
    panels = []
    for i, product in enumerate(line.products):
        quarters, made = by_quarter(line.months, line.packages[i])
        band = [{"quarter": q, "product": chip_name(product), **five(made[j] / 1000)} for j, q in enumerate(quarters)]
        rows += band
        panels.append(
            Panel(
                title=f"{chip_name(product)} per quarter",
                spec=fan(
                    band,
                    x="quarter",
                    x_kind="category",
                    by="product",
                    colours={chip_name(product): CHIP_COLOURS[product]},
                    y_title="thousand good packages, 5th to 95th percentile",
                    height=200,
                ),
            )
        )
    year, months, plan = plan_year(line, given)
    totals = {chip_name(p): line.packages[i][months].sum(axis=0) for i, p in enumerate(line.products)}
    totals["both"] = np.sum(list(totals.values()), axis=0)
    wanted = {chip_name(p): v for p, (v, _) in plan.items()}
    if len(wanted) == len(line.products):
        wanted["both"] = sum(wanted.values())
    tones = {**{chip_name(p): CHIP_COLOURS[p] for p in line.products}, "both": INK}
    year_rows: list[dict[str, Any]] = [
        {"product": k, **five(v / 1000), "text": short(float(np.median(v)))} for k, v in totals.items()
    ]
    ticks = [{"product": k, "plan": v / 1000} for k, v in wanted.items()]
    rows += [{**r, "quarter": year, "plan": wanted.get(r["product"], 0) / 1000} for r in year_rows]
    extra: list[Spec] = (
        [
            {
                "data": {"values": ticks},
                "mark": {"type": "tick", "thickness": 3, "size": 26, "color": "#b5392d"},
                "encoding": {
                    "y": {"field": "product", "type": "nominal", "sort": list(totals)},
                    "x": {"field": "plan", "type": "quantitative"},
                },
            }
        ]
        if ticks
        else []
    )
    panels.append(
        Panel(
            title=f"All of {year} against the plan",
            spec=ranges(
                year_rows,
                label="product",
                by="product",
                colours=tones,
                zero=True,
                extra=extra,
                step=46,
                x_title="thousand packages, 5th to 95th percentile",
            ),
        )
    )
    strip = []
    names = [quarter_name(m) for m in line.months]
    for q in dict.fromkeys(names):
        picked = line.binding[[i for i, n in enumerate(names) if n == q]]
        strip += [
            {"quarter": q, "limit": LIMIT_NAMES[limit], "share": sig(float(np.mean(picked == i)))}
            for i, limit in enumerate(LIMITS)
        ]
    rows += strip
    panels.append(
        Panel(
            title="What binds",
            legend=tuple((LIMIT_NAMES[k], LIMIT_COLOURS[k]) for k in LIMITS),
            spec=stack(
                strip,
                x="quarter",
                y="share",
                by="limit",
                percent=True,
                y_title="share of draws and months",
                height=180,
                colours={LIMIT_NAMES[k]: LIMIT_COLOURS[k] for k in LIMITS},
                domain=(0, 1),
            ),
        )
    )
    middle = five(totals["both"])
    title = (
        f"In {year} the line makes {short(middle['mid'])} packages ({short(middle['low'])} to {short(middle['high'])})"
    )
    if "both" in wanted:
        reach = float(np.mean(totals["both"] >= wanted["both"]))
        title += f"; {reach:.0%} of the draws reach the plan of {wanted['both']:,.0f}"
    return Picture(
        id="output",
        title=title,
        panels=tuple(panels),
        rows=rows,
        note="Bands hold 50 and 90 percent of the draws, the line is the median. The red tick is the reported "
        "plan. The last picture tells which stock or step limits the starts of a quarter.",
        marks=("fab", *(s for _, s in plan.values())),
    )


def plan_year(line: Line, given: Given) -> tuple[str, list[int], dict[str, tuple[float, str]]]:
    """Return the first year of the line with a reported plan, its months, and the plan by product."""
    for year in dict.fromkeys(m[:4] for m in line.months):
        plan = plan_of(given, year)
        if plan:
            return year, [i for i, m in enumerate(line.months) if m[:4] == year], plan
    year = line.months[0][:4]
    return year, [i for i, m in enumerate(line.months) if m[:4] == year], {}


def banks(line: Line) -> Picture:
    """Draw the stocks of dies and memory that carry the line, and the month in which they are gone."""
    rows: list[dict[str, Any]] = []
    panels = []
    empty: dict[str, str] = {}
    for name, words, unit, stock, use in (
        ("dies", "Good dies in the bank", "million dies", line.die_bank, line.dies_used),
        ("memory", "Memory stacks in the bank", "million stacks", line.hbm_bank, line.hbm_used),
    ):
        band = [{"month": f"{m}-28", "bank": name, **five(stock[i] / 1e6)} for i, m in enumerate(line.months)]
        rows += band
        bare = [
            float(np.mean(stock[i] < 0.05 * np.maximum(use[: i + 1].max(axis=0), 1))) for i in range(len(line.months))
        ]
        empty[name] = next((m for m, share in zip(line.months, bare, strict=True) if share >= 0.5), "")
        panels.append(
            Panel(
                title=words,
                spec=fan(
                    band,
                    x="month",
                    by="bank",
                    colours={name: ACCENT},
                    height=200,
                    y_title=f"{unit}, 5th to 95th percentile",
                ),
            )
        )
    gone = [f"{name} by {day_words(m)}" for name, m in empty.items() if m]
    title = (
        f"In half of the draws a bank runs dry: {' and '.join(gone)}"
        if gone
        else (f"Neither bank runs dry in half of the draws before {day_words(line.months[-1])}")
    )
    return Picture(
        id="banks",
        title=title,
        panels=tuple(panels),
        rows=rows,
        note="Stock at the end of each month, foreign-made and home-made together; the line is the median. Empty "
        "means below a "
        "twentieth of the largest monthly use so far.",
        marks=("fab",),
    )
