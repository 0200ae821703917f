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
from chipcast.report.form import colour, fan, five, line_at, ranges, sig, stack, three, waterfall
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import ACCENT, CHIP_COLOURS, INK, LIMIT_COLOURS, LIMIT_NAMES, SOFT, chip_name

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
    year, months, plan = _plan_year(line, given)
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


def _plan_year(line: Line, given: Given) -> tuple[str, list[int], dict[str, tuple[float, str]]]:
    for year in dict.fromkeys(m[:4] for m in line.months):
        plan = plan_of(given, year)
        if plan:
            return year, [i for i, m in enumerate(line.months) if m[:4] == year], plan
    year = line.months[0][:4]
    return year, [i for i, m in enumerate(line.months) if m[:4] == year], {}


def cost(line: Line, steps: Sequence[Mapping[str, Any]]) -> Picture:
    """Draw the cost of one 910C step by step, and the line's profit against its yield with the break-even."""
    rows: list[dict[str, Any]] = []
    panels = []
    total = 0.0
    for step in steps:
        spread = three(step["usd"])
        text = f"{spread['mid']:,.0f}" + (
            f" ({spread['low']:,.0f} to {spread['high']:,.0f})" if spread["low"] != spread["high"] else ""
        )
        start, total = total, total + spread["mid"]
        rows.append(
            {
                "step": str(step["step"]),
                "start": sig(start, 6),
                "end": sig(total, 6),
                "edge": sig(max(start, total), 6),
                "text": text,
                "tone": "step",
            }
        )
    i = line.products.index("ascend-910c")
    months = slice(0, min(12, len(line.months)))
    unit, price = line.unit_cost_usd[i, months].mean(axis=0), line.price_usd[i]
    if rows:
        rows.append(
            {
                "step": "sum of the steps",
                "start": 0,
                "end": sig(total, 6),
                "edge": sig(total, 6),
                "text": f"{total:,.0f}",
                "tone": "sum",
            }
        )
        middle = float(np.median(price))
        rows.append(
            {
                "step": "price of a card",
                "start": 0,
                "end": sig(middle, 6),
                "edge": sig(middle, 6),
                "text": f"{middle:,.0f}",
                "tone": "gain" if middle > total else "loss",
            }
        )
        panels.append(
            Panel(
                title="What one good 910C costs",
                spec=waterfall(rows, label="step", x_title="USD per good package, median"),
            )
        )
    profit, share = line.profit_usd[months].mean(axis=0) / 1e6, line.yield_die_any[months].mean(axis=0)
    curve = _against(share, profit)
    even = crossing([r["yield"] for r in curve], [r["mid"] for r in curve])
    marks = line_at(0.0, tone=INK)
    if even is not None:
        marks += line_at(even, axis="x", text=f"break-even {even:.0%}", tone="#b5392d")
    spec = fan(
        curve,
        x="yield",
        x_kind="number",
        by="what",
        colours={"profit": ACCENT},
        zero=False,
        height=250,
        y_title="million USD a month, 5th to 95th percentile",
        x_title="sellable dies over dies on the wafer (die.any)",
        extra=marks,
    )
    for layer in spec["layer"]:
        x = layer.get("encoding", {}).get("x", {})
        if x.get("field") == "yield":
            x["axis"]["format"] = ".0%"
    panels.append(Panel(title=f"Profit of the line, {line.months[0]} to {line.months[months.stop - 1]}", spec=spec))
    made = five(unit)
    wins = float(np.mean(profit > 0))
    title = (
        f"One good 910C costs {short(made['mid'])} USD ({short(made['low'])} to {short(made['high'])}); "
        f"the line earns money in {wins:.0%} of the draws"
    )
    if even is not None:
        title += f", half of them from a die yield of {even:.0%} on"
    return Picture(
        id="cost",
        title=title,
        panels=tuple(panels),
        rows=[*rows, *curve],
        note="Left: steps add up to the variable cost of a package with its card. Right: draws sorted by their yield; "
        "the line is the median profit after fixed cost, the bands hold 50 and 90 percent.",
        marks=("fab", "card"),
    )


def _against(x: Array, y: Array, bins: int = 16) -> list[dict[str, Any]]:
    """Return percentiles of `y` in bins of `x` that hold equally many draws."""
    order = np.argsort(x, kind="stable")
    parts = [p for p in np.array_split(order, bins) if p.size]
    return [{"yield": sig(float(np.median(x[p]))), "what": "profit", **five(y[p])} for p in parts]


def crossing(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Return where the line through the points first crosses zero, None where it never does."""
    for a in range(len(x) - 1):
        if (y[a] < 0) != (y[a + 1] < 0):
            return float(x[a] + (x[a + 1] - x[a]) * (0 - y[a]) / (y[a + 1] - y[a]))
    return None


ROUTE_TITLES = {
    "wafer_cost_usd": "cost of a wafer, USD",
    "cycle_days": "days in the fab",
    "overlay_yield": "yield after overlay",
    "exposures": "exposures per wafer",
    "scanner_hours": "scanner hours per wafer",
    "scanner_hours_per_wafer": "scanner hours per wafer",
    "unit_cost_usd": "cost of a good package, USD",
    "defect_adder_per_cm2": "defects added per cm2",
}


def routes(entries: Sequence[Mapping[str, Any]]) -> Picture:
    """Draw the ways of patterning side by side, one panel per quantity."""
    first = entries[0]
    names = [k for k in first if k != "route" and isinstance(first[k], Mapping | float | int)]
    tones = dict(zip((str(e["route"]) for e in entries), ("#b5392d", "#0072b2", "#009e73", "#7d8ca3"), strict=False))
    rows: list[dict[str, Any]] = []
    panels = []
    for name in names:
        words = ROUTE_TITLES.get(name, name.replace("_", " "))
        share = "yield" in name or "share" in name
        spread: list[dict[str, Any]] = [
            {"route": str(e["route"]), "quantity": name, **three(e[name])} for e in entries if e.get(name) is not None
        ]
        for r in spread:
            r["text"] = f"{r['mid']:.0%}" if share else short(r["mid"])
        rows += spread
        head, _, unit = words.partition(", ")
        panels.append(
            Panel(
                title=head[0].upper() + head[1:],
                spec=ranges(
                    spread,
                    label="route",
                    by="route",
                    colours=tones,
                    percent=share,
                    step=38,
                    x_title=f"{unit}, 5th to 95th percentile" if unit else "5th to 95th percentile",
                ),
            )
        )
    title = "The same chip patterned with and without EUV"
    key = next((n for n in names if "wafer_cost" in n), "")
    if key and len(entries) >= 2:
        by = {str(e["route"]): three(e[key])["mid"] for e in entries}
        without = next((r for r in by if "without" in r or "no" in r.lower().split() or "immersion" in r), "")
        other = next((r for r in by if r != without), "")
        if without and other and by[other] > 0:
            more = by[without] / by[other] - 1
            title = (
                f"Without EUV a wafer costs {abs(more):.0%} {'more' if more > 0 else 'less'} than with it, at the "
                f"median"
            )
    return Picture(
        id="routes",
        title=title,
        panels=tuple(panels),
        rows=rows,
        note="One dot per way: median, the line holds 90 percent of the draws. No adder of a real line is "
        "public: these are wide assumed ranges.",
        legend=tuple(tones.items()),
        marks=("fab",),
    )
