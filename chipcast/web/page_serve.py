"""What will they deliver: a model on several chips under a promise."""

from __future__ import annotations

import math
from typing import Any

from chipcast.base.errors import require
from chipcast.base.summary import short
from chipcast.base.units import parse_quantity
from chipcast.report.chart_compute import OPEN
from chipcast.report.form import SPREAD, three
from chipcast.report.form_rows import bars, ranges
from chipcast.report.form_time import fan
from chipcast.report.record import Panel, Picture, Table
from chipcast.report.theme import STATUS_NAMES, chip_colours, chip_name
from chipcast.web.ask import Question
from chipcast.web.form import SERVED, Answers, Field, Given, Page, make, model_options, segment_options
from chipcast.web.questions import RulesTable, TokensServe
from chipcast.web.show import View, range_words, said

DRAWS = 1000
"""Draws of the page."""

MOST_RATE = 1e12
"""More than this is taken for a slip. [tokens/s]"""

OPERATIONS = 8
"""Operations of a decode step that are drawn."""


def questions(given: Given) -> dict[str, Question]:
    """Return what the chips deliver, and which of them a buyer in China may get."""
    if "rate" in given:
        rate_of(given)
    return {"serve": make(TokensServe, given, "model", "chips", "input", "output", "tpot_ms", "ttft_ms", "segment",
                          "scenario", chip=",".join(given.get("chip", ())), draws=DRAWS),
            "rules": make(RulesTable, {}, to="CN", buyer=given.get("segment", "platform"),
                          scenario=given.get("scenario", "february-2025"))}


def view(answers: Answers, given: Given) -> View:
    """Return the best chip, all of them side by side, the frontier and what binds."""
    a = answers["serve"]
    best = a["best"]
    kept = [p for p in a["chips"] if not p["reason"]]
    lines = [f"Best layout: {best['layout']}; a decode step is bound by {best['bound_by']}",
             f"The smallest deployment is {best['min_chips']} chips, in whole servers" if best["min_chips"] else "",
             *(f"{lever['change']}: a decode step {lever['shorter_step']:.0%} shorter" for lever in best["levers"]),
             *(f"{chip_name(p['chip'])}: {p['reason']}" for p in a["chips"] if p["reason"]), *a["refused"]]
    tones = {chip_name(c): t for c, t in chip_colours(p["chip"] for p in a["chips"]).items()}
    status = {c["chip"]: c["status"] for c in answers["rules"]["chips"]}
    shut = [p["chip"] for p in kept if status.get(p["chip"], "free") not in OPEN]
    lines.insert(0, f"On {answers['rules']['on']} in China {_list(shut, status)}" if shut else "")
    head = (f"{chip_name(best['chip'])} serves {a['model']} cheapest, at "
            f"{range_words(best['usd_per_million_output_tokens'])} USD per million output tokens")
    if best["chip"] in shut:
        rest = sorted((p for p in kept if p["chip"] not in shut),
                      key=lambda p: float(p["usd_per_million_output_tokens"]["p50"] or 1e30))
        head += f", but {_word(status[best['chip']])} for buyers in China"
        if rest:
            head += (f"; of those that may be bought, {chip_name(rest[0]['chip'])} at "
                     f"{range_words(rest[0]['usd_per_million_output_tokens'])}")
    return View(
        headline=head,
        lines=said(lines), tables=tuple(t for t in (_table(a), _counts(kept, given)) if t is not None),
        pictures=tuple(p for p in (_chips(kept, tones), _frontier(a, tones), _step(best)) if p is not None),
        scenario=given.get("scenario", "february-2025"),
        foot=f"As known on {a['as_of']}. Median with the 5th and the 95th percentile of {DRAWS:,} draws. The grade "
        "says how close the measurements come that the rates rest on.")


def _word(status: str) -> str:
    word = STATUS_NAMES[status]
    return word if word.startswith("needs") else f"is {word}"


def _list(chips: list[str], status: dict[str, str]) -> str:
    return ", ".join(f"{chip_name(c)} {_word(status[c])}" for c in dict.fromkeys(chips))


def _table(a: Any) -> Table:
    many = len({p["most_chips"] for p in a["chips"]}) > 1
    rows = [(chip_name(p["chip"]) + (f", up to {p['most_chips']}" if many else ""),
             range_words(p["output_tokens_per_s_per_chip"]) if not p["reason"] else "-",
             range_words(p["usd_per_million_output_tokens"]) if not p["reason"] else "-",
             range_words(p["tpot_ms"]) if not p["reason"] else "-",
             range_words(p["ttft_ms"]) if not p["reason"] else "-",
             f"{p['promise_kept_share']:.0%}", str(p["min_chips"] or "-"), p["bound_by"] or "-", p["grade"],
             p["layout"] or p["reason"]) for p in a["chips"]]
    return Table(id="served", title="Side by side", rows=tuple(rows), columns=(
        "chip", "output tokens/s per chip", "USD per million output tokens", "time per token, ms", "first token, ms",
        "promise kept", "fewest chips", "bound by", "grade", "layout"),
        foot="Promise kept: share of draws in which some batch keeps it.")


def _counts(kept: list[Any], given: Given) -> Table | None:
    """Return how many chips of each kind give the rate that is asked for, in whole deployments at full batch."""
    if "rate" not in given:
        return None
    rate = rate_of(given)
    rows = []
    for p in kept:
        each, unit = p["output_tokens_per_s_per_chip"], max(int(p["min_chips"] or 1), 1)
        counts = [math.ceil(rate / each[q] / unit) * unit if each[q] else None for q in ("p95", "p50", "p05")]
        few, middle, many = ("no number" if n is None else f"{n:,}" for n in counts)
        rows.append((chip_name(p["chip"]), f"{middle} ({few} to {many})", f"{unit}"))
    return Table(id="counts", title=f"How many chips give {rate:,.0f} output tokens/s", rows=tuple(rows),
                 columns=("chip", "chips", "smallest deployment"),
                 foot="Rate over what a chip gives at full batch, rounded up to whole deployments; divide by the use "
                 "you reach at the peak. The plan does it with growth, prices and gates.")


def rate_of(given: Given) -> float:
    """Return the rate to serve.

    Raises
    ------
    InputError
        If it is no number above zero.
    """
    rate = parse_quantity(given["rate"], "tokens/s", "rate")
    require(0 < rate <= MOST_RATE, "rate", f"be above 0 and at most {MOST_RATE:g} tokens/s", given["rate"])
    return rate


def _chips(kept: list[Any], tones: dict[str, str]) -> Picture | None:
    many = len({p["most_chips"] for p in kept}) > 1
    rows: list[dict[str, Any]] = [
        {"chip": chip_name(p["chip"]) + (f", up to {p['most_chips']}" if many else ""), "name": chip_name(p["chip"]),
         "quantity": key, **three(p[key]), "text": short(p[key]["p50"])}
        for key in ("output_tokens_per_s_per_chip", "usd_per_million_output_tokens") for p in kept]
    rows = [r for r in rows if r["low"] > 0]
    if not rows:
        return None
    names = (("Speed", "output_tokens_per_s_per_chip", "output tokens/s per chip"),
             ("Cost", "usd_per_million_output_tokens", "USD per million output tokens"))
    panels = tuple(Panel(title=title, spec=ranges([r for r in rows if r["quantity"] == key], label="chip", by="name",
                                                  colours=tones, log=True, step=38, x_title=f"{words}, {SPREAD}"))
                   for title, key, words in names)
    fast = max((p for p in kept), key=lambda p: p["output_tokens_per_s_per_chip"]["p50"])
    return Picture(id="chips", title=f"{chip_name(fast['chip'])} is the fastest, with "
                   f"{short(fast['output_tokens_per_s_per_chip']['p50'])} output tokens/s per chip at the median",
                   note="Best layout of each chip under the promise, at full batch. Dot: median; line: 90 percent of "
                   "the draws.", panels=panels, rows=rows)


def _frontier(a: Any, tones: dict[str, str]) -> Picture | None:
    rows = [{"chip": chip_name(p["chip"]), "tpot_ms": p["tpot_ms"], "mid": p["output_tokens_per_s_per_chip"],
             "layout": p["layout"]} for p in a["frontier"]]
    if not rows:
        return None
    rows.sort(key=lambda r: (r["chip"], r["tpot_ms"]))
    quick = min(rows, key=lambda r: float(r["tpot_ms"]))
    used = {n: t for n, t in tones.items() if any(r["chip"] == n for r in rows)}
    return Picture(id="frontier", title=f"The quickest answer is {quick['chip']}'s, at {quick['tpot_ms']:.0f} ms per "
                   "token; every chip gives more to all when each may wait longer",
                   note="At the medians; each dot is the best layout at that pace.", legend=tuple(used.items()),
                   panels=(Panel(spec=fan(rows, x="tpot_ms", x_kind="number", x_title="time per output token, ms",
                                          log_x=True, by="chip", colours=used, height=300,
                                          y_title="output tokens/s per chip")),), rows=rows)


def _step(best: Any) -> Picture | None:
    rows = [{"operation": o["operation"], "share": o["share"], "text": f"{o['share']:.0%}, {o['bound_by']}"}
            for o in best["operations"][:OPERATIONS]]
    if not rows:
        return None
    return Picture(id="step", title=f"On {chip_name(best['chip'])} a decode step takes {best['step_ms']:.0f} ms, most "
                   f"of it for {rows[0]['operation']} ({rows[0]['text']})", note="Share of a decode step by operation, "
                   "at the medians, and what bounds it.", rows=rows,
                   panels=(Panel(spec=bars(rows, label="operation", value="share", percent=True, step=28,
                                           x_title="share of the step")),))


PAGE = Page(
    path="/serve", title="What will they deliver?", asks="buyer", questions=questions, view=view, takes="2 to 10 s",
    lead="A model on chips side by side: speed, cost and latency under your promise, what binds and what would help.",
    fields=(Field(name="model", label="Model", kind="select", default="deepseek-r1", options=model_options()),
            Field(name="chip", label="Chips", kind="several", default=("h20-96", "h800-sxm", "ascend-910b3",
                                                                       "ascend-910c"),
                  options=tuple((c, chip_name(c)) for c in SERVED)),
            Field(name="input", label="Prompt, tokens", kind="number", default="3500"),
            Field(name="output", label="Answer, tokens", kind="number", default="1500"),
            Field(name="ttft_ms", label="First token within, ms", kind="number", default="2000"),
            Field(name="tpot_ms", label="Each further token within, ms", kind="number", default="50"),
            Field(name="chips", label="Chips of a replica, at most", default="64", hint="64, or 8..64 to compare "
                                                                                        "sizes."),
            Field(name="rate", label="Output tokens/s to serve", hint="Left out: no count of chips. 20k will do."),
            Field(name="segment", label="Buyer class", kind="select", default="platform", options=segment_options()),
            Field(name="scenario", label="World", kind="select", default="february-2025", options=(
                ("february-2025", "February 2025"), ("latest", "everything known")))))
