"""Pictures of compute: what a chip delivers on the model and what large machines keep of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.summary import short
from chipcast.cluster.record import PARTS, Fleet
from chipcast.report.form import above, base, colour, fan, five, line_at, log_scale, ranges, sig, stack
from chipcast.report.record import Panel, Picture
from chipcast.report.theme import PART_COLOURS, PART_NAMES, chip_colours, chip_name
from chipcast.tokens.record import Service


def able(service: Service) -> list[int]:
    """Return the positions of chips that have a layout, cheapest per token first."""
    ok = [i for i, layout in enumerate(service.layouts) if layout is not None]
    return sorted(ok, key=lambda i: float(np.nanmedian(service.usd_per_million_output_tokens[i])))


def serving(service: Service) -> Picture:
    """Draw tokens per second of a chip and the cost of a million tokens, chip by chip."""
    order = able(service)
    tones = {chip_name(c): v for c, v in chip_colours(service.chips).items()}
    speed, price = [], []
    for i in order:
        name = chip_name(service.chips[i])
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
    none = [chip_name(c) for c, layout in zip(service.chips, service.layouts, strict=True) if layout is None]
    best = order[0]
    title = (
        f"{chip_name(service.chips[best])} serves {service.model} cheapest, at {price[0]['text']} USD per million "
        f"output tokens"
    )
    if len(order) > 1:
        ahead = float(
            np.mean(service.usd_per_million_output_tokens[best] < service.usd_per_million_output_tokens[order[1]])
        )
        title += f"; it beats {chip_name(service.chips[order[1]])} in {ahead:.0%} of the draws"
    note = (
        "Best layout of each chip under the promise, at full batch. Dot: median; thick 50, thin 90 percent of the "
        "draws."
    )
    if none:
        note += f" No layout keeps the promise on {', '.join(none)}."
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
        speed = point["output_tokens_per_s_per_chip"]
        spread = (
            {"mid": sig(speed)}
            if isinstance(speed, float | int)
            else {"low": sig(speed["p05"]), "mid": sig(speed["p50"]), "high": sig(speed["p95"])}
        )
        pace = point["tpot_ms"]
        rows.append(
            {
                "chip": chip_name(str(point["chip"])),
                "tpot_ms": sig(pace["p50"] if isinstance(pace, dict) else pace),
                **spread,
                "layout": str(point.get("layout", "")),
            }
        )
    rows.sort(key=lambda r: (str(r["chip"]), float(str(r["tpot_ms"]))))
    paces, speeds = (
        [float(r["tpot_ms"]) for r in rows],
        [float(r.get(k, r["mid"])) for r in rows for k in ("low", "high")],
    )
    across, ticks = log_scale(min(paces), max(paces), 1.05)
    up, places = log_scale(min(speeds), max(speeds), 1.05)
    x = {
        "field": "tpot_ms",
        "type": "quantitative",
        "scale": across,
        "axis": {"title": "time per output token, ms (median)", "labelOverlap": True, "values": ticks, "format": "~g"},
    }
    y: dict[str, Any] = {
        "type": "quantitative",
        "scale": up,
        "axis": above("output tokens/s per chip, 5th to 95th percentile", format="~s", values=places),
    }
    layers: list[dict[str, Any]] = []
    if any("low" in r for r in rows):
        layers.append(
            {
                "mark": {"type": "area", "opacity": 0.14},
                "encoding": {
                    "x": x,
                    "y": {**y, "field": "low"},
                    "y2": {"field": "high"},
                    "color": colour("chip", tones),
                },
            }
        )
    layers += [
        {
            "mark": {"type": "line", "strokeWidth": 2.2},
            "encoding": {"x": x, "y": {**y, "field": "mid"}, "color": colour("chip", tones)},
        },
        {
            "mark": {"type": "point", "size": 34},
            "encoding": {
                "x": x,
                "y": {**y, "field": "mid"},
                "color": colour("chip", tones),
                "tooltip": [{"field": f, "type": "nominal"} for f in ("chip", "layout", "tpot_ms", "mid")],
            },
        },
        *(line_at(promise_ms, axis="x", text=f"promise {promise_ms:g} ms") if promise_ms else []),
    ]
    return Picture(
        id="frontier",
        title=f"Faster answers cost throughput: speed of {service.model} against time per token",
        panels=(Panel(spec=base(300, layers, rows)),),
        rows=rows,
        note="One line per chip; each dot is the best layout at that pace, named when you point at it.",
        legend=tuple((n, t) for n, t in tones.items() if n in {r["chip"] for r in rows}),
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
        note="Bands hold 50 and 90 percent of the draws. Failure rates of Ascend are assumed ranges: no public "
        "count exists. The bars leave out productive time; all parts together make 1.",
        marks=("cluster", "chip"),
    )
