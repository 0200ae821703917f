"""The headline tables, as plain rows of text for the terminal and the page alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.calendar import places_by_quarter
from chipcast.base.summary import interval, short
from chipcast.base.summary import span as wide_span
from chipcast.base.types import Array
from chipcast.cluster.record import Fleet
from chipcast.fab.record import LIMITS, Line
from chipcast.market.record import Market
from chipcast.plan.cash import COUNTED, at_stake
from chipcast.plan.record import Plan
from chipcast.report.chart_atlas import status_word
from chipcast.report.chart_market import flow, foreign
from chipcast.report.form_time import by_quarter
from chipcast.report.record import Story, Table
from chipcast.report.theme import LIMIT_NAMES, STATUS_NAMES, chip_name, day_words, readable, segment_name, sentence
from chipcast.rules.record import Verdicts
from chipcast.tokens.record import Service

SPREAD = "median (5th to 95th percentile)"


def span(values: Array | Mapping[str, float]) -> str:
    """Print draws or an interval as `median (p05 to p95)`, or as one number where the ends agree."""
    if isinstance(values, Mapping):
        found = values
    else:
        finite = values[np.isfinite(values)]
        found = interval(finite) if finite.size else dict.fromkeys(("p05", "p50", "p95"), np.nan)
    text = {k: short(v) for k, v in found.items()}
    return text["p50"] if text["p05"] == text["p95"] else wide_span(found)


def claims(entries: Sequence[Mapping[str, Any]]) -> Table:
    """Return the claims checked."""
    rows = tuple(
        (str(c["id"]), str(c["said"]), readable(str(c["computed"])), str(c["verdict"]), sentence(str(c["why"])))
        for c in entries
    )
    return Table(
        id="claims-table",
        title="The claims, checked",
        rows=rows,
        columns=("claim", "what was said", "what chipcast computes", "verdict", "why"),
    )


def output(line: Line) -> Table:
    """Return packages per quarter by product and what binds."""
    quarters: list[str] = []
    columns: list[list[str]] = []
    for made in line.packages:
        quarters, sums = by_quarter(line.months, made)
        columns.append([span(v) for v in sums])
    places = places_by_quarter(line.months)
    rows = []
    for j, q in enumerate(quarters):
        picked = line.binding[places[q]]
        shares = {limit: float(np.mean(picked == k)) for k, limit in enumerate(LIMITS)}
        first, second = sorted(shares, key=lambda k: -shares[k])[:2]
        binds = f"{LIMIT_NAMES[first]} {shares[first]:.0%}" + (
            f", {LIMIT_NAMES[second]} {shares[second]:.0%}" if shares[second] > 0.005 else ""
        )
        rows.append((q, *(c[j] for c in columns), binds))
    return Table(
        id="output-table",
        title="Chips made and what limits them",
        rows=tuple(rows),
        marks=("fab",),
        columns=("quarter", *(f"{chip_name(p)} packages" for p in line.products), "what binds, share of draws"),
        foot=f"Good packages per quarter, {SPREAD}.",
    )


def money(line: Line) -> Table:
    """Return unit cost, price and margin by product and the profit of the line, first twelve months."""
    months = slice(0, min(12, len(line.months)))
    rows = []
    for i, product in enumerate(line.products):
        unit = np.nanmean(line.unit_cost_usd[i, months], axis=0)
        margin = 1 - unit / line.price_usd[i]
        p05, p50, p95 = np.nanquantile(margin, (0.05, 0.5, 0.95))
        rows.append((chip_name(product), span(unit), span(line.price_usd[i]), f"{p50:.0%} ({p05:.0%} to {p95:.0%})"))
    profit = line.profit_usd[months].mean(axis=0)
    return Table(
        id="money-table",
        title="Cost, price and margin",
        rows=tuple(rows),
        marks=("fab", "ownership"),
        columns=("product", "variable cost, USD", "price, USD", "margin"),
        foot=f"{day_words(line.months[0])} to {day_words(line.months[months.stop - 1])}, {SPREAD}. Profit of the "
        f"line after fixed cost: "
        f"{span(profit / 1e6)} million USD a month, above zero in {np.mean(profit > 0):.0%} of the draws.",
    )


def status(verdicts: Verdicts, month: str = "") -> Table:
    """Return each chip's status in a month, by default the first; buyer classes are named where they differ."""
    m = verdicts.months.index(month) if month in verdicts.months else 0
    rows: list[tuple[str, ...]] = []
    columns: tuple[str, ...]
    for c, chip in enumerate(verdicts.chips):
        words = [
            status_word(int(us), int(cn)) for us, cn in zip(verdicts.us[m, :, c], verdicts.cn[m, :, c], strict=True)
        ]
        most = max(dict.fromkeys(words), key=words.count)
        others: dict[str, list[str]] = {}
        for segment, word in zip(verdicts.segments, words, strict=True):
            if word != most:
                others.setdefault(word, []).append(segment_name(segment).lower())
        rest = "; ".join(f"{STATUS_NAMES[w]} for {', '.join(names)}" for w, names in others.items()) or "-"
        decided, prong = str(verdicts.decided_by[m, 0, c]), str(verdicts.prong[m, 0, c])
        near = f"{decided} {prong}".strip() if decided else f"nearest line: {prong}" if prong else "no rule"
        rows.append((chip_name(chip), STATUS_NAMES[most], rest, near))
    columns = ("chip", "buyers in China", "other classes", "decided by")
    if all(r[2] == "-" for r in rows):
        rows, columns = [(r[0], r[1], r[3]) for r in rows], ("chip", "every buyer in China", "decided by")
    return Table(
        id="status-table",
        title=f"Who may get what, {day_words(verdicts.months[m])}",
        rows=tuple(rows),
        marks=("rules", "chip"),
        columns=columns,
        foot="The stricter of the American and the Chinese gate. Says what published text says; no legal advice.",
    )


def service(record: Service) -> Table:
    """Return what each chip delivers on the model."""
    rows = []
    for i, chip in enumerate(record.chips):
        layout = record.layouts[i]
        kept = f"{record.feasible[i]:.0%}"
        if layout is None:
            rows.append((chip_name(chip), "-", "-", "-", kept, "-", record.reasons[i] or "no layout"))
            continue
        words = (
            f"{record.reasons[i]}; shown: {layout}"
            if record.reasons[i]
            else f"{layout}; {record.bound_by[i]} binds; {record.grade[i]}"
        )
        rows.append(
            (
                chip_name(chip),
                span(record.output_tokens_per_s_per_chip[i]),
                span(record.usd_per_million_output_tokens[i]),
                span(record.tpot_ms[i]),
                kept,
                str(record.min_chips[i] or "-"),
                words,
            )
        )
    return Table(
        id="service-table",
        title=f"What each chip delivers on {record.model}",
        rows=tuple(rows),
        marks=("tokens", "chip", "ownership"),
        columns=(
            "chip",
            "output tokens/s per chip",
            "USD per million output tokens",
            "ms per token",
            "draws that keep the promise",
            "fewest chips",
            "best layout; what binds; evidence",
        ),
        foot=f"Best layout under the latency promise at full batch; {SPREAD}. Evidence: on what the speed rests, "
        f"from measurements "
        "of this chip and model to assumed ranges only.",
    )


def goodput(fleet: Fleet) -> Table:
    """Return goodput by chip and size."""
    rows = []
    for c, chip in enumerate(fleet.chips):
        cells = []
        for s in range(len(fleet.sizes)):
            p05, p50, p95 = np.quantile(fleet.goodput[c, s], (0.05, 0.5, 0.95))
            cells.append(f"{p50:.0%} ({p05:.0%} to {p95:.0%})")
        rows.append((chip_name(chip), *cells))
    return Table(
        id="goodput-table",
        title="Does a big training run hold",
        rows=tuple(rows),
        marks=("cluster",),
        columns=("chip", *(f"{n:,} chips" for n in fleet.sizes)),
        foot=f"Useful chip-time over chip-time paid for, {SPREAD}.",
    )


def market(record: Market) -> Table:
    """Return orders, deliveries and stocks of foreign and Chinese chips by segment over the first year."""
    away = foreign(record)
    home = [i for i in range(len(record.chips)) if i not in away]
    year = slice(0, min(12, len(record.months)))
    rows = []
    for s, segment in enumerate(record.segments):
        cells = [np.round(flow(record, name, away, [s])[year].sum(axis=0)) for name in ("orders", "deliveries")]
        cells.append(np.round(flow(record, "stocks", away, [s])[year].max(axis=0)))
        cells += [np.round(flow(record, name, home, [s])[year].sum(axis=0)) for name in ("orders", "deliveries")]
        rows.append((segment_name(segment), *(span(c) for c in cells)))
    return Table(
        id="market-table",
        title=f"Orders, deliveries and stocks by buyer, {day_words(record.months[0])} to "
        f"{day_words(record.months[year.stop - 1])}",
        rows=tuple(rows),
        marks=("market",),
        columns=(
            "buyer",
            "foreign ordered",
            "foreign delivered",
            "foreign in stock, peak",
            "Chinese ordered",
            "Chinese delivered",
        ),
        foot=f"Cards, {SPREAD}.",
    )


def plan(record: Plan) -> Table:
    """Return what to order now and later."""
    rows: list[tuple[str, ...]] = []
    for o in sorted(record.orders, key=lambda o: (o.quarter, not o.now, o.chip)):
        tokens = o.contract == "api"
        later = f"{o.units:,.0f}" if tokens else f"{o.units:,.1f}"
        if "p05" in o.interval:
            later += f" in the mean ({o.interval['p05']:,.0f} to {o.interval['p95']:,.0f})"
        rows.append(
            (
                o.quarter,
                o.name or o.chip if tokens else chip_name(o.chip),
                o.supplier,
                o.contract,
                (f"{o.units:,.0f}" if o.now else later) + (" tokens/s at the peak" if tokens else ""),
                "now" if o.now else "later",
            )
        )
    rows = rows or [("-", "-", "-", "-", "0", "now")]
    return Table(
        id="plan-table",
        title=f"What {record.buyer} orders",
        rows=tuple(rows),
        marks=("plan",),
        columns=("quarter", "chip", "supplier", "contract", "cards", "decided"),
        foot=sentence(record.sentence),
    )


def cash(record: Plan) -> Table | None:
    """Return what a plan costs by year, or None where that was not kept."""
    found = record.detail.get("cash")
    if not found:
        return None
    rows = tuple((kind, *(short(c["mean"] / 1e6) for c in cells),
                  f"{short(cells[-1]['p05'] / 1e6)} to {short(cells[-1]['p95'] / 1e6)}")
                 for kind, cells in found["by_year"].items())
    return Table(
        id="cash-table",
        title=f"What it costs {record.buyer} by year, million USD in the mean",
        rows=rows,
        marks=("plan", "market", "buyer"),
        columns=("", *found["years"], "90% of futures"),
        foot=f"{at_stake(found)} {COUNTED}",
    )


def headline(story: Story) -> list[Table]:
    """Return the headline tables of a run in the order of the line; what is missing is left out."""
    out: list[Table] = [claims(story.claims)] if story.claims else []
    if story.line is not None:
        out += [output(story.line), money(story.line)]
    if story.verdicts is not None:
        out.append(status(story.verdicts, story.as_of[:7]))
    if story.service is not None:
        out.append(service(story.service))
    if story.fleet is not None:
        out.append(goodput(story.fleet))
    if story.market is not None:
        out.append(market(story.market))
    if story.plan is not None:
        out += [t for t in (plan(story.plan), cash(story.plan)) if t is not None]
    return out
