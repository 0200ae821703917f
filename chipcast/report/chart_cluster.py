"""Pictures of large machines: what they keep by size, two runs played out, spares, and what a claim needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.given import Given
from chipcast.cluster.case import Case, keep
from chipcast.cluster.claims import check
from chipcast.cluster.compare import default_threshold
from chipcast.cluster.curves import claims_plane, ledger_bar, stumble_by_size, timelines
from chipcast.cluster.goodput import case_of
from chipcast.cluster.record import PARTS, Fleet
from chipcast.report.form import SPREAD, above, base, colour, five, layer, line_at, log_scale, names, number, sig, tips
from chipcast.report.form_rows import bars, stack
from chipcast.report.form_time import fan
from chipcast.report.record import Panel, Picture, Spec
from chipcast.report.theme import PART_COLOURS, PART_NAMES, chip_colours, chip_name

SHOWN_SIZE = 8192
"""Chips of the job that is played out and given spares. [chips]"""

CLAIMED_SIZE = 10_000
"""Chips of the machine of which the news and vendors speak. [chips]"""

DAYS, RUNS = 7.0, 200
"""Days played out, and runs among which a typical and a bad one are sought."""

DRAWS = 2000
"""Draws on which jobs are worked through again: the first of the run, as many as what-ifs take. [draws]"""

SPARE_SERVERS = (0, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96)
"""Standing spare servers that are tried."""

CLAIM_ROWS = (("hw_avail", "hw_mtbf", "the vendor's claims of 2025"), ("llama3_ett", "", "a published run on H100"),
              ("byterobust_ettr", "", "a published run on Hopper"))
"""Rows of `faults.csv` that claim an availability, and where stated a time between failures, with their words."""


def few(given: Given) -> Given:
    """Return the first draws of the run."""
    return given.block(given.start, min(given.start + DRAWS, given.stop))


def shown_chips(fleet: Fleet) -> list[str]:
    """Return the two chips of the news item, or the first two of the fleet."""
    news = [c for c in fleet.chips if c.startswith(("ascend-910b", "ascend-910c"))]
    return (news or list(fleet.chips))[:2]


def goodput(fleet: Fleet, given: Given) -> Picture:
    """Draw goodput and the chance to stumble against size, and the ledger of the largest size."""
    tones = {chip_name(c): v for c, v in chip_colours(fleet.chips).items()}
    last = len(fleet.sizes) - 1
    band = [{"chips": n, "chip": chip_name(c), **five(fleet.goodput[i, j])}
            for i, c in enumerate(fleet.chips) for j, n in enumerate(fleet.sizes)]
    bound = default_threshold(given)
    stumble = [{"chips": r["chips"], "chip": chip_name(r["chip"]), "what": f"chance to keep less than {bound:.0%}",
                "mid": sig(r["p"])} for r in stumble_by_size(fleet, bound)]
    ledger = [{"chip": chip_name(r["chip"]), "part": PART_NAMES[r["part"]], "share": sig(r["mean"])}
              for r in ledger_bar(fleet, fleet.sizes[last])]
    lost = [r for r in ledger if r["part"] != PART_NAMES["productive"]]
    most = max(float(np.sum([r["share"] for r in lost if r["chip"] == chip_name(c)])) for c in fleet.chips)
    used = {str(r["part"]) for r in lost if float(str(r["share"])) > 0.0005}
    legend = tuple((PART_NAMES[p], PART_COLOURS[p]) for p in PARTS if PART_NAMES[p] in used)

    def against_size(rows: list[dict[str, Any]], words: str) -> Spec:
        spec = fan(rows, x="chips", x_kind="number", log_x=True, by="chip", colours=tones, percent=True, inner=False,
                   domain=(0, 1), height=250, y_title=words, x_title="chips on one job")
        for part in spec["layer"]:
            part["encoding"]["x"]["axis"] |= {"values": list(fleet.sizes), "format": ",.0f"}
        return spec

    panels = (
        Panel(title="Goodput by size", legend=tuple(tones.items()),
              spec=against_size(band, f"useful share of chip-time, {SPREAD}")),
        Panel(title=f"Chance to stumble: less than {bound:.0%} in progress", legend=tuple(tones.items()),
              spec=against_size(stumble, "share of draws")),
        Panel(title=f"Where the time goes at {fleet.sizes[-1]:,} chips", legend=legend, spec=stack(
            lost, x="chip", y="share", by="part", horizontal=True, percent=True, height=44 * len(fleet.chips) + 46,
            colours={PART_NAMES[p]: PART_COLOURS[p] for p in PARTS if p != "productive"},
            y_title="lost share of wall time, mean over draws", domain=(0, min(1.0, most * 1.08)))))
    middle = {chip: five(fleet.goodput[c, last])["mid"] for c, chip in enumerate(fleet.chips)}
    worst, best = min(middle, key=lambda k: middle[k]), max(middle, key=lambda k: middle[k])
    a, b = fleet.chips.index(worst), fleet.chips.index(best)
    sure = float(np.mean(fleet.goodput[a, last] < fleet.goodput[b, last]))
    return Picture(
        id="goodput", panels=panels, rows=[*band, *stumble, *ledger], marks=("cluster", "chip"),
        about=fleet.goodput[a, last],
        title=f"At {fleet.sizes[-1]:,} chips {chip_name(worst)} keeps {middle[worst]:.0%} of its time and "
        f"{chip_name(best)} {middle[best]:.0%}; {chip_name(worst)} does worse in {sure:.0%} of the draws",
        note=f"Bands hold 90 percent of the draws. The threshold of {bound:.0%} is what the makers of a run on 16,384 "
        "H100 report as exceeded. Failure rates of Ascend are assumed ranges: no public count exists. The bars leave "
        "out productive time; all parts together make 1.")


def timeline(fleet: Fleet, given: Given) -> Picture:
    """Draw a typical and a bad run of a large job, hour by hour."""
    chip = shown_chips(fleet)[0]
    played = timelines(case_of(few(given), chip), SHOWN_SIZE, days=DAYS, runs=RUNS, seed=given.seed)
    rows: list[dict[str, Any]] = [
        {"run": f"a {r['run']} run", "start_day": sig(r["start_h"] / 24, 5), "end_day": sig(r["end_h"] / 24, 5),
         "part": PART_NAMES[r["part"]]} for r in played]
    tones = {PART_NAMES[p]: PART_COLOURS[p] for p in PARTS}
    used = {r["part"] for r in rows}
    order = list(dict.fromkeys(str(r["run"]) for r in rows))
    x = number("start_day", scale={"domain": [0, DAYS]}, axis={"title": "days since the start", "tickCount": 7,
                                                               "grid": False})
    spec = base(60 + 62 * len(order), [layer("bar", {
        "y": names("run", order), "x": x, "x2": {"field": "end_day"}, "color": colour("part", tones),
        "tooltip": tips("run", "part", "start_day", "end_day")}, height={"band": 0.8}, cornerRadius=0)], rows)
    share = {run: sum(r["end_day"] - r["start_day"] for r in rows if r["run"] == run
                      and r["part"] in (PART_NAMES["productive"], PART_NAMES["slow_down"])) / DAYS for run in order}
    stops = {run: sum(r["run"] == run and r["part"] == PART_NAMES["restart"] for r in rows) for run in order}
    told = "; ".join(f"{run} is in progress for {share[run]:.0%} of {DAYS:.0f} days, with {stops[run]} restarts"
                     for run in order)
    return Picture(
        id="timeline", title=f"{SHOWN_SIZE:,} {chip_name(chip)}: {told}", panels=(Panel(spec=spec),), rows=rows,
        legend=tuple((n, t) for n, t in tones.items() if n in used), marks=("cluster", "chip"),
        note=f"Of {RUNS} runs played out event by event on the draws of this run, those nearest to the median and to "
        "the 5th percentile of time in progress. Work that is lost and done again shows as productive; how much it is "
        "stands in the ledger above.")


def spares(fleet: Fleet, given: Given) -> Picture:
    """Draw what standing spare servers are worth: time with enough nodes, and goodput with spares paid for."""
    chips = shown_chips(fleet)
    tones = {chip_name(c): v for c, v in chip_colours(chips).items()}
    table = few(given)
    server = round(table.middle("cluster.chips_per_server"))
    ready: list[dict[str, Any]] = []
    useful: list[dict[str, Any]] = []
    for chip in chips:
        case = case_of(table, chip)
        for n in SPARE_SERVERS:
            kept = keep(case, (SHOWN_SIZE,), spare_chips=float(n * server))
            waiting = kept.ledger[0, PARTS.index("waiting")]
            ready.append({"servers": n, "chip": chip_name(chip), "what": "time with enough nodes", **five(1 - waiting)})
            useful.append({"servers": n, "chip": chip_name(chip), "what": "useful share of chips paid for",
                           **five(kept.goodput[0])})
    low = min(r["low"] for r in [*ready, *useful])

    def against(rows: list[dict[str, Any]], words: str) -> Spec:
        return fan(rows, x="servers", x_kind="number", by="chip", colours=tones, percent=True, inner=False, height=240,
                   domain=(max(0.0, np.floor(low * 10) / 10), 1.0), y_title=words,
                   x_title=f"standing spare servers of {server} chips, beside {SHOWN_SIZE // server:,} at work")

    best = {c: max((r for r in useful if r["chip"] == c), key=lambda r: r["mid"]) for c in tones}
    bare = {c: next(r for r in useful if r["chip"] == c and r["servers"] == 0) for c in tones}
    title = "; ".join(f"{c} does best with {best[c]['servers']} spare servers: {best[c]['mid']:.0%} useful instead of "
                      f"{bare[c]['mid']:.0%} with none" for c in tones)
    return Picture(
        id="spares", title=title, rows=[*ready, *useful], marks=("cluster", "chip"), legend=tuple(tones.items()),
        panels=(Panel(title="Time not spent waiting for nodes", spec=against(ready, f"share of time, {SPREAD}")),
                Panel(title="Useful share of all chips paid for", spec=against(useful, f"share, {SPREAD}"))),
        note=f"A job on {SHOWN_SIZE:,} chips. A node that fails is replaced from the standing spares; without one the "
        "job waits for a repair. Bands hold 90 percent of the draws, lines are medians. Spares that idle are paid for.")


def claim_rows(given: Given) -> list[dict[str, Any]]:
    """Return the published claims known by the date: words, availability, hours between failures, source."""
    known = {r["id"]: r for r in given.catalog.rows("faults")}
    return [{"claim": words, "availability": float(known[a]["value"]), "source": known[a]["source"],
             "mtbf_h": float(known[m]["value"]) if m in known else 0.0}
            for a, m, words in CLAIM_ROWS if a in known]


def claim(fleet: Fleet, given: Given) -> Picture:
    """Draw availability against time between stops for each chip, lines of equal loss, and what claims need."""
    table = few(given)
    tones = {chip_name(c): v for c, v in chip_colours(fleet.chips).items()}
    places: list[dict[str, Any]] = []
    cases: dict[str, Case] = {}
    for chip in fleet.chips:
        cases[chip] = case_of(table, chip)
        kept = keep(cases[chip], (CLAIMED_SIZE,))
        a, m = five(kept.ettr[0]), five(kept.mtbf_h[0])
        places.append({"chip": chip_name(chip), "availability": a["mid"], "a_low": a["low"], "a_high": a["high"],
                       "mtbf_h": m["mid"], "m_low": m["low"], "m_high": m["high"]})
    claims = claim_rows(given)
    floor = max(0.0, np.floor(min(p["a_low"] for p in places) * 10) / 10)
    hours = [h for p in places for h in (p["m_low"], p["m_high"])] + [c["mtbf_h"] for c in claims if c["mtbf_h"]]
    across, ticks = log_scale(min(hours), max(hours), 1.3)
    equal = [{"curve": f"{r['loss_min']:g} min lost per stop", "mtbf_h": sig(r["mtbf_h"]),
              "availability": sig(r["availability"])} for r in claims_plane()
             if across["domain"][0] <= r["mtbf_h"] <= across["domain"][1] and r["availability"] >= floor]
    x = number("mtbf_h", scale=across, axis={"title": "hours between stops", "values": ticks, "format": "~g",
                                            "labelOverlap": True})
    y = number("availability", scale={"domain": [floor, 1]}, axis=above("share of time in progress", format=".0%"))
    tint = colour("chip", tones)
    layers = [
        layer("line", {"x": x, "y": y, "detail": {"field": "curve", "type": "nominal"}}, equal, color="#c9d0d9",
              strokeWidth=1.2),
        layer("text", {"x": x, "y": y, "text": {"field": "curve"}}, _curve_starts(equal), align="left", dx=3, dy=-5,
              fontSize=10, color="#7d8794"),
        layer("rule", {"x": {**x, "field": "m_low"}, "x2": {"field": "m_high"}, "y": y, "color": tint}, places,
              strokeWidth=1.6, opacity=0.7),
        layer("rule", {"x": x, "y": {**y, "field": "a_low"}, "y2": {"field": "a_high"}, "color": tint}, places,
              strokeWidth=1.6, opacity=0.7),
        layer("point", {"x": x, "y": y, "color": tint, "tooltip": tips("chip", "availability", "mtbf_h")}, places,
              size=80, opacity=1)]
    for i, c in enumerate(sorted(claims, key=lambda r: -r["availability"])):  # the highest over its line, others under
        layers += line_at(c["availability"], axis="y", text=f"{c['claim']}: {c['availability']:.0%}", below=i > 0)
        if c["mtbf_h"]:
            layers += line_at(c["mtbf_h"], axis="x", text=f"{c['mtbf_h']:.0f} h")
    chances = chance_rows(table, fleet, claims)
    panels = [Panel(title=f"{CLAIMED_SIZE:,} chips on one job", legend=tuple(tones.items()), spec=base(
        300, layers, places))]
    if chances:
        panels.append(Panel(title="Chance under the ranges assumed", spec=bars(
            chances, label="reading", value="chance", x_title="share of draws", percent=True, domain=(0, 1.12),
            step=56)))
    first = max(claims, key=lambda c: (c["mtbf_h"] > 0, c["availability"]), default=None)
    title = f"On {CLAIMED_SIZE:,} chips " + ", ".join(
        f"{p['chip']} stops every {p['mtbf_h']:.1f} h and is in progress {p['availability']:.0%} of the time"
        for p in places[-2:])
    if first and chances:
        told = max((r for r in chances if r["claim"] == first["claim"]), key=lambda r: r["chance"])
        title += (f"; {first['availability']:.0%} as in {first['claim']} is reached in at most {told['chance']:.0%} of "
                  "the draws")
    return Picture(
        id="claim-check", title=title, panels=tuple(panels), rows=[*places, *claims, *chances],
        note="Cross: median with the 5th to 95th percentile both ways. Grey: points of equal loss per stop; a claim of "
        "availability and time between stops together fixes that loss. Dashed: what has been claimed by the date. "
        "The bars say how often the assumed ranges reach a claim, reading by reading. A claim is never called false: "
        "the picture says what it needs.", marks=("cluster", *dict.fromkeys(c["source"] for c in claims)))


def _curve_starts(equal: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first point of each curve, where its name stands."""
    return list({r["curve"]: r for r in reversed(equal)}.values())


def chance_rows(table: Given, fleet: Fleet, claims: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the probability of each claim in each reading, for the chips of the news item."""
    out = []
    for c in claims:
        for chip in shown_chips(fleet):
            found = check(table, chip, CLAIMED_SIZE, availability=c["availability"], mtbf_h=c["mtbf_h"] or None)
            out += [{"claim": c["claim"], "reading": f"{chip_name(chip)}, {c['claim']}:\n{words}",
                     "chance": sig(p, 3), "text": f"{p:.0%}"} for words, p in found.probability.items()]
    return out
