"""Pictures of compute: what a chip delivers on the model and what large machines keep of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.summary import short
from chipcast.cluster.record import PARTS, Fleet
from chipcast.report.form import above, base, colour, fan, five, line_at, log_scale, ranges, sig, stack, three
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import PART_COLOURS, PART_NAMES, STATUS_NAMES, chip_colours, chip_name
from chipcast.tokens.record import Service


def able(service: Service) -> list[int]:
    """Return the positions of chips that keep the promise at the medians, cheapest per token first."""
    ok = [i for i, layout in enumerate(service.layouts) if layout is not None and not service.reasons[i]]
    return sorted(ok, key=lambda i: float(np.nanmedian(service.usd_per_million_output_tokens[i])))


def serving(service: Service, measures: Sequence[Mapping[str, Any]] = ()) -> Picture:
    """Draw tokens per second of a chip and the cost of a million tokens, chip by chip; `measures` tell who may buy."""
    order = able(service)
    status = {str(m["chip"]): str(m["status"]) for m in measures}
    tones = {chip_name(c): v for c, v in chip_colours(service.chips).items()}
    speed, price = [], []
    for i in order:
        word = status.get(service.chips[i], "free")
        name = chip_name(service.chips[i]) + (f"\n({STATUS_NAMES[word]})" if word != "free" else "")
        tones[name] = tones[chip_name(service.chips[i])]
        more = {"chip": name, "bound_by": service.bound_by[i], "grade": service.grade[i]}
        a, b = five(service.output_tokens_per_s_per_chip[i]), five(service.usd_per_million_output_tokens[i])
        speed.append({**more, "quantity": "output_tokens_per_s_per_chip", **a, "text": short(a["mid"])})
        price.append({**more, "quantity": "usd_per_million_output_tokens", **b, "text": f"{b['mid']:.2f}"})
    panels = (
        Panel(
            title="Speed",
            spec=ranges(
                speed,
                label="chip",
                by="chip",
                colours=tones,
                log=True,
                step=38,
                x_title="output tokens/s per chip, 5th to 95th percentile",
            ),
        ),
        Panel(
            title="Cost",
            spec=ranges(
                price,
                label="chip",
                by="chip",
                colours=tones,
                log=True,
                step=38,
                x_title="USD per million output tokens, 5th to 95th percentile",
            ),
        ),
    )
    none = [chip_name(c) for i, c in enumerate(service.chips) if i not in order]
    best = order[0]
    title = (
        f"{chip_name(service.chips[best])} serves {service.model} cheapest, at {price[0]['text']} USD per million "
        f"output tokens"
    )
    legal = [i for i in order if status.get(service.chips[i], "free") in ("free", "discouraged", "notified_exception")]
    if legal and legal[0] != best:
        cost = five(service.usd_per_million_output_tokens[legal[0]])
        word = STATUS_NAMES[status[service.chips[best]]]
        title += (
            f", but is closed to buyers in China ({word}); of those that may be bought, "
            f"{chip_name(service.chips[legal[0]])} at {cost['mid']:.2f}"
        )
    rivals = [i for i in (legal or order) if i != (legal or order)[0]]
    if rivals:
        first, second = (legal or order)[0], rivals[0]
        costs = service.usd_per_million_output_tokens
        ahead = float(np.mean(costs[first] < costs[second]))
        title += f", cheaper than {chip_name(service.chips[second])} in {ahead:.0%} of the draws"
    note = (
        "Best layout of each chip under the promise, at full batch. Dot: median; thick 50, thin 90 percent of the "
        "draws."
    )
    if none:
        note += f" No layout keeps the promise at the medians on {', '.join(none)}."
    return Picture(
        id="serving",
        title=title,
        panels=panels,
        rows=[*speed, *price],
        note=note,
        marks=("tokens", "chip", "ownership"),
    )


def frontier(service: Service, promise_ms: float | None = None) -> Picture:
    """Draw tokens per second of a chip against the time per token."""
    tones = {chip_name(c): v for c, v in chip_colours(service.chips).items()}
    rows: list[dict[str, Any]] = []
    for point in service.frontier:
        speed, pace = point["output_tokens_per_s_per_chip"], point["tpot_ms"]
        spread = three(speed) if isinstance(speed, Mapping) else {"mid": sig(speed)}
        rows.append(
            {
                "chip": chip_name(str(point["chip"])),
                "layout": str(point.get("layout", "")),
                "tpot_ms": sig(pace["p50"] if isinstance(pace, Mapping) else pace),
                **spread,
            }
        )
    rows.sort(key=lambda r: (str(r["chip"]), float(r["tpot_ms"])))
    banded = any("low" in r for r in rows)
    paces, speeds = [r["tpot_ms"] for r in rows], [r.get(k, r["mid"]) for r in rows for k in ("low", "high")]
    across, ticks = log_scale(min(paces), max(paces), 1.05)
    up, places = log_scale(min(speeds), max(speeds), 1.05)
    x: Spec = {
        "field": "tpot_ms",
        "type": "quantitative",
        "scale": across,
        "axis": {"title": "time per output token, ms (median)", "labelOverlap": True, "values": ticks, "format": "~g"},
    }
    words = "output tokens/s per chip, " + ("5th to 95th percentile" if banded else "median")
    y: Spec = {"type": "quantitative", "scale": up, "axis": above(words, format="~s", values=places)}
    tint = colour("chip", tones)
    layers: list[Spec] = []
    if banded:
        layers.append(
            {
                "mark": {"type": "area", "opacity": 0.14},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": tint},
            }
        )
    layers += [
        {"mark": {"type": "line", "strokeWidth": 2.2}, "encoding": {"x": x, "y": {**y, "field": "mid"}, "color": tint}},
        {
            "mark": {"type": "point", "size": 34, "opacity": 1},
            "encoding": {
                "x": x,
                "y": {**y, "field": "mid"},
                "color": tint,
                "tooltip": [{"field": f, "type": "nominal"} for f in ("chip", "layout", "tpot_ms", "mid")],
            },
        },
        *(line_at(promise_ms, axis="x", text=f"promise {promise_ms:g} ms") if promise_ms else []),
    ]
    used = list(dict.fromkeys(str(r["chip"]) for r in rows))
    fastest = {c: min(r["tpot_ms"] for r in rows if r["chip"] == c) for c in used}
    quick, slow = min(fastest, key=lambda c: fastest[c]), max(fastest, key=lambda c: fastest[c])
    title = (
        f"The quickest answer {quick} can give takes {fastest[quick]:.0f} ms per token; {slow} needs "
        f"{fastest[slow]:.0f} ms; every chip "
        "gains throughput when it may be slower"
    )
    return Picture(
        id="frontier",
        title=title,
        panels=(Panel(spec=base(320, layers, rows)),),
        rows=rows,
        note="One line per chip; each dot is the best layout at that pace (named when you point at it).",
        legend=tuple((n, t) for n, t in tones.items() if n in used),
        marks=("tokens", "chip"),
    )


def goodput(fleet: Fleet) -> Picture:
    """Draw goodput against size with bands per chip, and the ledger of the largest size."""
    tones = {chip_name(c): v for c, v in chip_colours(fleet.chips).items()}
    band = [
        {"chips": n, "chip": chip_name(chip), **five(fleet.goodput[c, s])}
        for c, chip in enumerate(fleet.chips)
        for s, n in enumerate(fleet.sizes)
    ]
    last = len(fleet.sizes) - 1
    ledger = [
        {"chip": chip_name(chip), "part": PART_NAMES[part], "share": sig(float(fleet.ledger[c, last, p].mean()), 5)}
        for c, chip in enumerate(fleet.chips)
        for p, part in enumerate(PARTS)
    ]
    spec = fan(
        band,
        x="chips",
        x_kind="number",
        log_x=True,
        by="chip",
        colours=tones,
        percent=True,
        inner=False,
        domain=(0, 1),
        height=280,
        y_title="useful share of chip-time, 5th to 95th percentile",
        x_title="chips on one job",
    )
    for layer in spec["layer"]:
        layer["encoding"]["x"]["axis"] |= {"values": list(fleet.sizes), "format": ",.0f"}
    lost = [r for r in ledger if r["part"] != PART_NAMES["productive"]]
    most = max(float(np.sum([r["share"] for r in lost if r["chip"] == chip_name(c)])) for c in fleet.chips)
    used = {str(r["part"]) for r in lost if float(str(r["share"])) > 0.0005}
    legend = tuple((PART_NAMES[p], PART_COLOURS[p]) for p in PARTS if PART_NAMES[p] in used)
    panels = (
        Panel(title="Goodput by size", spec=spec, legend=tuple(tones.items())),
        Panel(
            title=f"Where the time goes at {fleet.sizes[-1]:,} chips",
            legend=legend,
            spec=stack(
                lost,
                x="chip",
                y="share",
                by="part",
                horizontal=True,
                percent=True,
                height=44 * len(fleet.chips) + 46,
                colours={PART_NAMES[p]: PART_COLOURS[p] for p in PARTS if p != "productive"},
                y_title="lost share of wall time, mean over draws",
                domain=(0, min(1.0, most * 1.08)),
            ),
        ),
    )
    middle = {chip: five(fleet.goodput[c, last])["mid"] for c, chip in enumerate(fleet.chips)}
    worst, best = min(middle, key=lambda k: middle[k]), max(middle, key=lambda k: middle[k])
    a, b = fleet.chips.index(worst), fleet.chips.index(best)
    sure = float(np.mean(fleet.goodput[a, last] < fleet.goodput[b, last]))
    title = (
        f"At {fleet.sizes[-1]:,} chips {chip_name(worst)} keeps {middle[worst]:.0%} of its time and {chip_name(best)} "
        f"{middle[best]:.0%}; {chip_name(worst)} does worse in {sure:.0%} of the draws"
    )
    return Picture(
        id="goodput",
        title=title,
        panels=panels,
        rows=[*band, *ledger],
        note="Bands hold 90 percent of the draws. Failure rates of Ascend are assumed ranges: no public "
        "count exists. The bars leave out productive time; all parts together make 1.",
        marks=("cluster", "chip"),
    )
