"""The story section by section, in the order of the line: a few sentences built from computed numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from chipcast.base.summary import short
from chipcast.fab.record import LIMITS
from chipcast.report import table
from chipcast.report.chart_compute import OPEN, able
from chipcast.report.chart_market import RUSH_MONTHS, flow, foreign
from chipcast.report.record import Picture, Section, Story, Table
from chipcast.report.table import span
from chipcast.report.theme import (
    LIMIT_NAMES,
    STATUS_NAMES,
    chip_name,
    day_words,
    quantity_name,
    readable,
    segment_name,
    sentence,
)

Pictures = Mapping[str, Picture]

TOLD = ("h20-96", "ascend-910b2", "ascend-910c", "h800-sxm")
"""Chips of the news item, named in the text on serving."""


def _pick(pictures: Pictures, *names: str) -> tuple[Picture, ...]:
    return tuple(pictures[n] for n in names if n in pictures)


def made(story: Story, pictures: Pictures) -> Section | None:
    """Tell how many chips the line makes and what limits it."""
    line = story.line
    if line is None:
        return None
    months = [i for i, m in enumerate(line.months) if m[:4] == line.months[0][:4]]
    any_ok, perfect = (
        np.median(line.yield_die_any[months].mean(axis=0)),
        np.median(line.yield_die_perfect[months].mean(axis=0)),
    )
    share = np.array([(line.binding[months] == k).mean() for k in range(len(LIMITS))])
    binds = LIMITS[int(share.argmax())]
    text = (
        f"A wafer carries {span(np.round(line.gross_dies))} complete dies of this size, by its edge and by how well "
        f"the pattern is placed; in {line.months[0][:4]} {any_ok:.0%} of them fit "
        f"the lowest "
        f"bin that is sold and {perfect:.0%} have every core working (medians). A 910B takes one die, a 910C "
        f"takes two, and "
        f"both take memory stacks. Beside home-made dies the line draws on a bank of good dies, "
        f"{span(np.round(line.die_bank[0]))} at the end of {day_words(line.months[0])}, foreign ones included. "
        f"What binds most often in {line.months[0][:4]}: {LIMIT_NAMES[binds]}, in {share.max():.0%} of months and "
        f"draws."
    )
    return Section(
        id="made",
        title="How many chips the line can make",
        text=text,
        marks=("fab", "evidence"),
        pictures=_pick(pictures, "output", "must-hold", "yield-readings", "yield-area", "wafers", "banks"),
        tables=(table.output(line),),
    )


def money(story: Story, pictures: Pictures) -> Section | None:
    """Tell what a chip costs and whether the line earns money."""
    line = story.line
    if line is None:
        return None
    months = slice(0, min(12, len(line.months)))
    i = line.products.index("ascend-910c")
    unit, profit = np.nanmean(line.unit_cost_usd[i, months], axis=0), line.profit_usd[months].mean(axis=0)
    margin = float(np.nanmedian(1 - unit / line.price_usd[i]))
    text = (
        f"A processed wafer costs {span(line.wafer_cost_usd)} USD. With everything that is scrapped on the way, a "
        f"good 910C with its card costs "
        f"{span(unit)} USD, against a price of {span(line.price_usd[i])} USD: a margin of {margin:.0%} at the "
        f"median before fixed cost. "
        f"The line as a whole earns {span(profit / 1e6)} million USD a month from "
        f"{day_words(line.months[0])} to {day_words(line.months[months.stop - 1])}; the result is above zero in "
        f"{np.mean(profit > 0):.0%} of the draws."
    )
    return Section(
        id="money",
        title="What a chip costs and when the line earns money",
        text=text,
        marks=("fab", "ownership"),
        pictures=_pick(pictures, "cost", "break-even", "routes"),
        tables=(table.money(line),),
    )


def legal(story: Story, pictures: Pictures) -> Section | None:
    """Tell who may get what on the date."""
    v = story.verdicts
    if v is None and not story.measures:
        return None
    tables: tuple[Table, ...] = ()
    text = "The plane shows each chip against the lines of the rules. This is no legal advice."
    if v is not None:
        listed = table.status(v, story.as_of[:7])
        by: dict[str, list[str]] = {}
        for row in listed.rows:
            by.setdefault(row[1], []).append(row[0])
        text = (
            "Two gates stand between a chip and a Chinese buyer: American export rules and Chinese guidance. In "
            f"{day_words(story.as_of[:7])}, by the stricter of both: "
            + "; ".join(f"{word}: {', '.join(chips)}" for word, chips in by.items())
            + f". The sources used here speak until {day_words(min(v.unknown_after, story.as_of))}. "
            "This says what published text says and is no legal advice."
        )
        tables = (listed,)
    return Section(
        id="legal",
        title="Who may buy what",
        text=text,
        marks=("rules", "chip"),
        pictures=_pick(pictures, "rule-map", "gates", "rule-plane", "rule-calendar"),
        tables=tables,
    )


def serves(story: Story, pictures: Pictures) -> Section | None:
    """Tell what each chip delivers on the model."""
    s = story.service
    if s is None:
        return None
    order = able(s)
    if not order:
        return Section(
            id="serves",
            title=f"What a chip delivers on {s.model}",
            text="No chip keeps the promise.",
            marks=("tokens",),
            tables=(table.service(s),),
        )
    status = {str(m["chip"]): str(m["status"]) for m in story.measures}
    legal = [i for i in order if status.get(s.chips[i], "free") in OPEN]
    best = (legal or order)[0]

    def named(i: int) -> str:
        word = status.get(s.chips[i], "free")
        return chip_name(s.chips[i]) + ("" if word in OPEN else f" ({STATUS_NAMES[word]})")

    text = (
        f"Under the latency promise{', of the chips that may be bought,' if len(legal) < len(order) else ''} "
        f"{named(best)} serves cheapest: "
        f"{span(s.output_tokens_per_s_per_chip[best])} output tokens/s per chip on "
        f"{s.model}, at {span(s.usd_per_million_output_tokens[best])} USD per million; decode is bound by "
        f"{s.bound_by[best]}. "
    )
    if len(order) > 1:
        base = s.usd_per_million_output_tokens[best]
        others = [i for i in order if i != best]
        told = [i for i in others if s.chips[i] in TOLD][:3] or others[:1]
        times = [f"{named(i)} {span(s.usd_per_million_output_tokens[i] / base)}" for i in told]
        text += f"Per token the others cost, in multiples of that: {'; '.join(times)}. "
    small = [i for i in legal or order if s.min_chips[i] > 0]
    if small:
        least = min(small, key=lambda i: s.min_chips[i])
        text += (
            f"The smallest deployment {'that may be bought and ' if legal else 'that '}keeps the promise has "
            f"{s.min_chips[least]} chips of {chip_name(s.chips[least])}. "
        )
    text += f"What stands behind the figure of {chip_name(s.chips[best])}: {s.grade[best]}."
    return Section(
        id="serves",
        title=f"What a chip delivers on {s.model}",
        text=text,
        marks=("tokens", "chip", "ownership"),
        pictures=_pick(pictures, "serving", "frontier", "step", "clinic", "measured"),
        tables=(table.service(s),),
    )


def holds(story: Story, pictures: Pictures) -> Section | None:
    """Tell what large machines keep of their chips."""
    f = story.fleet
    if f is None:
        return None
    last = len(f.sizes) - 1
    parts = [
        f"{chip_name(c)} {np.median(f.goodput[i, last]):.0%} with a stop every {span(f.mtbf_h[i, last])} h"
        for i, c in enumerate(f.chips)
    ]
    text = (
        f"A training job stops when one of its chips, links or hosts fails, so that size itself is the enemy. At "
        f"{f.sizes[-1]:,} chips the useful share "
        f"of chip-time is, at the median: {'; '.join(parts)}. No public count of failures exists for Ascend: its "
        f"rates are assumed ranges around "
        "those of the fleets that were counted. Sizes count packages; the claim above compares machines of equal "
        "throughput, in which a 910C needs fewer."
    )
    return Section(
        id="holds",
        title="Does a big training run hold",
        text=text,
        marks=("cluster", "chip"),
        pictures=_pick(pictures, "goodput", "fixes", "timeline", "spares", "claim-check"),
        tables=(table.goodput(f),),
    )


def scramble(story: Story, pictures: Pictures) -> Section | None:
    """Tell who orders, gets and holds what."""
    m = story.market
    if m is None:
        return None
    away = foreign(m)
    first = slice(0, RUSH_MONTHS)
    ordered, got = (flow(m, name, away)[first].sum(axis=0) for name in ("orders", "deliveries"))
    cover = np.nanmax(np.median(m.cover_months, axis=-1), axis=-1)
    keenest = int(np.argmax(cover))
    last = min(RUSH_MONTHS, len(m.months)) - 1
    text = (
        f"From {day_words(m.months[0])} to {day_words(m.months[last])} buyers order {span(np.round(ordered))} "
        f"foreign cards and get "
        f"{span(np.round(got))}. Fear of a cut-off makes them hold more than they use: "
        f"{segment_name(m.segments[keenest]).lower()} "
        f"want up to {cover[keenest]:.1f} months of need in stock. Chinese chips hold "
        f"{np.nanmedian(m.domestic_share_tokens[0]):.0%} of the installed token capacity in "
        f"{day_words(m.months[0])} and "
        f"{np.nanmedian(m.domestic_share_tokens[-1]):.0%} in {day_words(m.months[-1])}, at the median."
    )
    return Section(
        id="scramble",
        title="Who orders, who gets, who hoards",
        text=text,
        marks=("market", "rules", "tokens"),
        pictures=_pick(pictures, "threat", "segments", "hoard", "push", "substitution", "backtest"),
        tables=(table.market(m),),
    )


def decide(story: Story, pictures: Pictures) -> Section | None:
    """Tell what the buyer should order."""
    p = story.plan
    if p is None:
        return None
    text = f"The {p.buyer.removeprefix('the ')} is told: {sentence(p.sentence)}"
    if "p50" in p.service_share:
        text += (f" It serves {p.service_share['p50']:.0%} of the need ({p.service_share['p05']:.0%} to "
                 f"{p.service_share['p95']:.0%}) at a cost of {short(p.expected_cost_usd)} USD in the mean and "
                 f"{short(p.cvar_usd)} USD in the worst {1 - p.tail:.0%} of futures.")
    if "vss" in p.values and "evpi" in p.values:
        text += (f" Planning for many futures instead of their average is worth {short(p.values['vss'])} USD in the "
                 f"futures it was made for; knowing the future would be worth {short(p.values['evpi'])} USD.")
    told = [f.rstrip(".") for f in p.fails[:3] if f.rstrip(".") not in p.sentence]
    text += f" It {readable(' and '.join(told))}." if told else ""
    return Section(
        id="decide",
        title="What to order now and what later",
        text=text,
        marks=("plan", "market", "buyer"),
        pictures=_pick(pictures, "plan", "room", "ladder", "price", "tornado", "failures"),
        tables=tuple(t for t in (table.cash(p), table.plan(p)) if t is not None),
    )


def learnt(story: Story, pictures: Pictures) -> Section | None:
    """Tell what the dated reports changed."""
    if not story.posterior:
        return None
    top = sorted(story.posterior, key=lambda e: -float(e.get("contraction", 0)))[:2]
    words = [
        f"{quantity_name(str(e['name']))} from {span(e['prior'])} to {span(e['posterior'])} "
        f"{e.get('unit', '')}".rstrip()
        for e in top
    ]
    text = (
        f"Before anything is computed, the dated reports known by {day_words(story.as_of)} are weighed against "
        f"the line they "
        f"describe, each with what its words may mean "
        f"and how far its kind of source errs. They move {'; and '.join(words)}. Where a report teaches nothing, "
        f"the assumed range stays."
    )
    return Section(
        id="learnt",
        title="What the reports teach",
        text=text,
        marks=("evidence", "fab"),
        pictures=_pick(pictures, "posterior"),
    )


SECTIONS: dict[str, Callable[[Story, Pictures], Section | None]] = {
    "learnt": learnt,
    "made": made,
    "money": money,
    "legal": legal,
    "serves": serves,
    "holds": holds,
    "scramble": scramble,
    "decide": decide,
}
"""The stretches of the story in the order of the line."""


def sections(story: Story, pictures: Pictures) -> list[Section]:
    """Return all sections that the story has the parts for."""
    made_ = [function(story, pictures) for function in SECTIONS.values()]
    return [s for s in made_ if s is not None]
