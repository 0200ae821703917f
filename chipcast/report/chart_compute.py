"""Pictures of serving: what a chip delivers on the model at what cost, and both against the latency it may take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.base.summary import short
from chipcast.report.form import SPREAD, above, base, colour, five, layer, line_at, log_scale, number, sig, three, tips
from chipcast.report.form_rows import ranges
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import STATUS_NAMES, chip_colours, chip_name
from chipcast.tokens.money import usd_per_million
from chipcast.tokens.record import Service

OPEN = ("free", "discouraged", "notified_exception")
"""Statuses under which a chip may be bought without asking a licence."""


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
    panels = tuple(Panel(title=title, spec=ranges(rows, label="chip", by="chip", colours=tones, log=True, step=38,
                                                  x_title=f"{words}, {SPREAD}"))
                   for title, rows, words in (("Speed", speed, "output tokens/s per chip"),
                                              ("Cost", price, "USD per million output tokens")))
    none = [chip_name(c) for i, c in enumerate(service.chips) if i not in order]
    best = order[0]
    title = (f"{chip_name(service.chips[best])} serves {service.model} cheapest, at {price[0]['text']} USD per million "
             "output tokens")
    legal = [i for i in order if status.get(service.chips[i], "free") in OPEN]
    if legal and legal[0] != best:
        cost = five(service.usd_per_million_output_tokens[legal[0]])
        title += (f", but is closed to buyers in China ({STATUS_NAMES[status[service.chips[best]]]}); of those that "
                  f"may be bought, {chip_name(service.chips[legal[0]])} at {cost['mid']:.2f}")
    ranked = legal or order
    if len(ranked) > 1:
        costs = service.usd_per_million_output_tokens
        ahead = float(np.mean(costs[ranked[0]] < costs[ranked[1]]))
        title += f", cheaper than {chip_name(service.chips[ranked[1]])} in {ahead:.0%} of the draws"
    note = ("Best layout of each chip under the promise, at full batch. Dot: median; thick 50, thin 90 percent of the "
            "draws.")
    if none:
        note += f" No layout keeps the promise at the medians on {', '.join(none)}."
    return Picture(id="serving", title=title, panels=panels, rows=[*speed, *price], note=note,
                   marks=("tokens", "chip", "ownership"), about=service.usd_per_million_output_tokens[ranked[0]])


def frontier(service: Service, given: Given, promise_ms: float | None = None,
             measures: Sequence[Mapping[str, Any]] = ()) -> Picture:
    """Draw tokens per second of a chip, and the cost of a million of them, against the time per token."""
    closed = {chip_name(str(m["chip"])): f" ({STATUS_NAMES[str(m['status'])]})" for m in measures
              if str(m["status"]) not in OPEN}
    tones = {chip_name(c): v for c, v in chip_colours(service.chips).items()}
    hour = {c: float(np.median(service.usd_per_chip_h[i])) for i, c in enumerate(service.chips)}
    use = given.middle("serving.utilisation")
    rows: list[dict[str, Any]] = []
    for point in service.frontier:
        speed, pace = point["output_tokens_per_s_per_chip"], point["tpot_ms"]
        spread = three(speed) if isinstance(speed, Mapping) else {"mid": sig(speed)}
        chip = str(point["chip"])
        rows.append({"chip": chip_name(chip), "layout": str(point.get("layout", "")),
                     "tpot_ms": sig(pace["p50"] if isinstance(pace, Mapping) else pace), **spread,
                     "usd": sig(float(usd_per_million(spread["mid"], hour[chip], use)))})
    rows.sort(key=lambda r: (str(r["chip"]), float(r["tpot_ms"])))
    banded = any("low" in r for r in rows)
    paces = [r["tpot_ms"] for r in rows]
    across, ticks = log_scale(min(paces), max(paces), 1.05)
    x = number("tpot_ms", scale=across, axis={"title": "time per output token, ms (median)", "labelOverlap": True,
                                              "values": ticks, "format": "~g"})
    tint = colour("chip", tones)
    promise = line_at(promise_ms, axis="x", text=f"promise {promise_ms:g} ms") if promise_ms else []

    def curve(field: str, words: str) -> Spec:
        up, places = log_scale(min(r.get("low", r[field]) if field == "mid" else r[field] for r in rows),
                               max(r.get("high", r[field]) if field == "mid" else r[field] for r in rows), 1.05)
        y: Spec = {"type": "quantitative", "scale": up, "axis": above(words, format="~s", values=places)}
        at = {"x": x, "y": {**y, "field": field}, "color": tint}
        layers = [layer("line", at, strokeWidth=2.2),
                  layer("point", {**at, "tooltip": tips("chip", "layout", "tpot_ms", "mid", "usd")}, size=34,
                        opacity=1),
                  *promise]
        if banded and field == "mid":
            layers.insert(0, layer("area", {**at, "y": {**y, "field": "low"}, "y2": {"field": "high"}}, opacity=0.14))
        return base(320, layers, rows)

    used = list(dict.fromkeys(str(r["chip"]) for r in rows))
    fastest = {c: min(r["tpot_ms"] for r in rows if r["chip"] == c) for c in used}
    cheapest = {c: min(r["usd"] for r in rows if r["chip"] == c) for c in used}
    quick, cheap = min(fastest, key=lambda c: fastest[c]), min(cheapest, key=lambda c: cheapest[c])
    slow = max(fastest, key=lambda c: fastest[c])
    title = (f"The quickest answer {quick}{closed.get(quick, '')} can give takes {fastest[quick]:.0f} ms per token, "
             f"{slow} needs {fastest[slow]:.0f} ms; every chip gains when it may be slower, and "
             f"{cheap}{closed.get(cheap, '')} ends cheapest, at {short(cheapest[cheap])} USD per million tokens")
    return Picture(
        id="frontier", title=title, rows=rows, marks=("tokens", "chip", "ownership"),
        panels=(Panel(title="Throughput", spec=curve("mid", "output tokens/s per chip, " + (
            SPREAD if banded else "median"))),
                Panel(title="Cost", spec=curve("usd", "USD per million output tokens, median"))),
        note="One line per chip, at the medians; each dot is the best layout at that pace (named when you point at "
        "it). Cost takes the chip's hour and the stated utilisation.",
        legend=tuple((n, t) for n, t in tones.items() if n in used))
