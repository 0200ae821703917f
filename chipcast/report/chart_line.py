"""Pictures of the line: output against the plan and what limits it, and the stocks that carry it."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.calendar import places_by_quarter
from chipcast.base.given import Given
from chipcast.base.summary import short
from chipcast.fab.record import LIMITS, Line
from chipcast.report.form import SPREAD, five, layer, number, sig
from chipcast.report.form_rows import ranges, stack
from chipcast.report.form_time import by_quarter, fan, over_time
from chipcast.report.record import Panel, Picture
from chipcast.report.theme import ACCENT, CHIP_COLOURS, INK, LIMIT_COLOURS, LIMIT_NAMES, chip_name, day_words

NEWS_CLAIMS = ("910C plan", "910B plan")
"""Rows of the reports that state the plan of the year."""


def plan_of(given: Given, year: str) -> dict[str, tuple[float, str]]:
    """Return the reported plan of a year by product with its source: (packages or cards, source key)."""
    return {f"ascend-{r['claim'].split()[0].lower()}": (float(r["value"]), r["source"])
            for r in given.catalog.rows("reports") if r["claim"] in NEWS_CLAIMS and r["period"] == year}


def plan_year(line: Line, given: Given) -> tuple[str, list[int], dict[str, tuple[float, str]]]:
    """Return the first year of the line with a reported plan, its months, and the plan by product."""
    for year in dict.fromkeys(m[:4] for m in line.months):
        plan = plan_of(given, year)
        if plan:
            return year, [i for i, m in enumerate(line.months) if m[:4] == year], plan
    year = line.months[0][:4]
    return year, [i for i, m in enumerate(line.months) if m[:4] == year], {}


def output(line: Line, given: Given) -> Picture:
    """Draw packages per quarter, the year against the reported plan, and what binds."""
    rows: list[dict[str, Any]] = []
    panels = []
    for i, product in enumerate(line.products):
        name = chip_name(product)
        quarters, made = by_quarter(line.months, line.packages[i])
        band = [{"quarter": q, "product": name, **five(made[j] / 1000)} for j, q in enumerate(quarters)]
        rows += band
        panels.append(Panel(title=f"{name} per quarter", spec=fan(
            band, x="quarter", x_kind="category", by="product", colours={name: CHIP_COLOURS[product]},
            y_title=f"thousand good packages, {SPREAD}", height=200)))
    year, months, plan = plan_year(line, given)
    totals = {chip_name(p): line.packages[i][months].sum(axis=0) for i, p in enumerate(line.products)}
    totals["both"] = np.sum(list(totals.values()), axis=0)
    wanted = {chip_name(p): v for p, (v, _) in plan.items()}
    if len(wanted) == len(line.products):
        wanted["both"] = sum(wanted.values())
    tones = {**{chip_name(p): CHIP_COLOURS[p] for p in line.products}, "both": INK}
    year_rows: list[dict[str, Any]] = [
        {"product": k, **five(v / 1000), "text": short(float(np.median(v)))} for k, v in totals.items()]
    ticks = [{"product": k, "plan": v / 1000} for k, v in wanted.items()]
    rows += [{**r, "quarter": year, "plan": wanted.get(r["product"], 0) / 1000} for r in year_rows]
    extra = [layer("tick", {"y": {"field": "product", "type": "nominal", "sort": list(totals)}, "x": number("plan")},
                   ticks, thickness=3, size=16, color="#b5392d")] if ticks else []
    panels.append(Panel(title=f"All of {year} against the plan", spec=ranges(
        year_rows, label="product", by="product", colours=tones, zero=True, extra=extra, lift=9, step=46,
        x_title=f"thousand packages, {SPREAD}")))
    limits = {LIMIT_NAMES[k]: LIMIT_COLOURS[k] for k in LIMITS}
    capacity = binding_by_quarter(line)
    rows += capacity
    panels += [
        Panel(title="Output by what limits it, mean over draws", legend=tuple(limits.items()), spec=stack(
            capacity, x="quarter", y="packages", by="limit", colours=limits, height=180,
            y_title="thousand packages per quarter, mean")),
        Panel(title="What binds", legend=tuple(limits.items()), spec=stack(
            capacity, x="quarter", y="share", by="limit", percent=True, colours=limits, height=180, domain=(0, 1),
            y_title="share of draws and months"))]
    middle = five(totals["both"])
    title = (f"In {year} the line makes {short(middle['mid'])} packages ({short(middle['low'])} to "
             f"{short(middle['high'])})")
    if "both" in wanted:
        reach = float(np.mean(totals["both"] >= wanted["both"]))
        title += f"; {reach:.0%} of the draws reach the plan of {wanted['both']:,.0f}"
    return Picture(
        id="output", title=title, panels=tuple(panels), rows=rows, about=totals["both"],
        note="Bands hold 50 and 90 percent of the draws, the line is the median. The red tick is the reported "
        "plan. The last two pictures tell which stock or step limits the starts of a quarter: how much is made under "
        "each limit, and how often each binds.",
        marks=("fab", *(s for _, s in plan.values())))


def binding_by_quarter(line: Line) -> list[dict[str, Any]]:
    """Return for each whole quarter and limit the share of draws in which it binds and the mean output under it."""
    both = line.packages.sum(axis=0)
    out: list[dict[str, Any]] = []
    for q, at in places_by_quarter(line.months).items():
        if len(at) < 3:
            continue
        for k, limit in enumerate(LIMITS):
            binds = line.binding[at] == k
            out.append({"quarter": q, "limit": LIMIT_NAMES[limit], "share": sig(float(np.mean(binds))),
                        "packages": sig(float((both[at] * binds).sum(axis=0).mean() / 1000))})
    return out


def banks(line: Line) -> Picture:
    """Draw the stocks of dies and memory that carry the line, and the month in which they are gone."""
    rows: list[dict[str, Any]] = []
    panels = []
    empty: dict[str, str] = {}
    for name, words, unit, stock, use in (
        ("dies", "Good dies in the bank", "million dies", line.die_bank, line.dies_used),
        ("memory", "Memory stacks in the bank", "million stacks", line.hbm_bank, line.hbm_used),
    ):
        band = over_time(stock, line.months, day="28", unit=1e6, bank=name)
        rows += band
        bare = [float(np.mean(stock[i] < 0.05 * np.maximum(use[: i + 1].max(axis=0), 1)))
                for i in range(len(line.months))]
        empty[name] = next((m for m, share in zip(line.months, bare, strict=True) if share >= 0.5), "")
        panels.append(Panel(title=words, spec=fan(band, x="month", by="bank", colours={name: ACCENT}, height=200,
                                                  y_title=f"{unit}, {SPREAD}")))
    gone = [f"{name} by {day_words(m)}" for name, m in empty.items() if m]
    title = (f"In half of the draws a bank runs dry: {' and '.join(gone)}" if gone
             else f"Neither bank runs dry in half of the draws before {day_words(line.months[-1])}")
    return Picture(
        id="banks", title=title, panels=tuple(panels), rows=rows, marks=("fab",), about=line.die_bank[0],
        note="Stock at the end of each month, foreign-made and home-made together; the line is the median. Empty "
        "means below a twentieth of the largest monthly use so far.")
