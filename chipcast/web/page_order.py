"""What to order: a buyer's need and budget become a scenario, and the scenario a plan."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from chipcast.base.summary import short
from chipcast.plan.record import Order
from chipcast.plan.record import Plan as Record
from chipcast.report import chart_plan, chart_value
from chipcast.report.record import Picture, Table
from chipcast.report.theme import readable
from chipcast.web.ask import Question
from chipcast.web.form import Answers, Field, Given, Page, make, model_options, segment_options
from chipcast.web.questions import Plan
from chipcast.web.show import View, said

DRAWS = 2000
"""Draws of the page."""

FUTURES = 100
"""Futures in the program of the page; the command line takes 150 unless told otherwise."""

LATER_SHARE = 0.05
"""Later orders placed in a smaller share of futures are not listed."""

VERDICTS = {"better": "the plan is better", "worse": "the plan is worse", "cannot tell": "cannot tell"}

DEMAND = ("concurrent_users", "tokens_per_user_day", "input_share", "growth_per_month")
"""Fields of the form that are a buyer's demand."""


def scenario_of(given: Given) -> str:
    """Return a filled form as a scenario; JSON is YAML, and nothing typed can become a key."""
    buyer: dict[str, Any] = {
        "name": "the buyer of this form", "segment": given.get("segment", "private"), "country": "CN",
        "model": given.get("model", "deepseek-r1"), "demand": {k: given[k] for k in DEMAND if k in given},
        "promise": {"ttft_s": _number(given, "ttft_s"), "tpot_ms": _number(given, "tpot_ms")}}
    buyer |= {k: given[k] for k in ("budget_usd", "power_kw", "shortage_usd_per_million_tokens") if k in given}
    return json.dumps({"name": "form", "base": given.get("scenario", "february-2025"), "buyer": buyer})


def _number(given: Given, name: str) -> Any:
    """Return a number of the form where it is one; what is not is told by the scenario's own check."""
    try:
        return float(given[name])
    except (KeyError, ValueError):
        return given.get(name)


def questions(given: Given) -> dict[str, Question]:
    """Return the plan of the shipped buyer that was chosen, else of the one in the form."""
    whose = {"scenario": given["buyer"]} if "buyer" in given else {"scenario_text": scenario_of(given)}
    return {"plan": make(Plan, {}, **whose, draws=DRAWS, scenarios=FUTURES)}


def record_of(a: Any) -> Record:
    """Return the plan that its JSON was written from, without the futures it failed in."""
    held = {f.name for f in fields(Record)}
    orders = tuple(Order(**o) for o in a["orders"])
    told: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in a.items()
                            if k in held and k != "orders"}
    return Record(**told, orders=orders, expected_cost_usd=a["cost"], cvar_usd=a["cvar"])


def view(answers: Answers, given: Given) -> View:
    """Return the orders of now and later, what they are worth and when they fail."""
    a = answers["plan"]
    plan = record_of(a)
    v = a["values"]
    lines = [a["first_question"], *(f"It {f}" for f in a["fails"] if f not in a["sentence"]), a["assumed"],
             *(f"Left out: {a['detail']['names'][c]}: {why}" for c, why in a["detail"]["left_out"].items()),
             f"Value of perfect news {short(v['evpi'])} USD, of planning for many futures {short(v['vss'])} USD",
             *(f"Worth of {name}: {short(worth)} USD" for name, worth in a["shadow_prices"].items()
               if abs(worth) > 1e-6)]
    drawn: list[Picture | None] = [chart_plan.orders(plan) if plan.orders else None, chart_value.ladder(plan),
                                   chart_value.tornado(plan)]
    return View(headline=readable(a["sentence"].split(";", 1)[0]), lines=said([a["sentence"], *lines]),
                pictures=tuple(p for p in drawn if p is not None), tables=(_orders(a), _rivals(a), _reasons(a)),
                scenario=given.get("buyer") or given.get("scenario", "february-2025"),
                foot=f"{FUTURES} futures in the program, judged on {a['solver']['fresh']} fresh ones; {DRAWS:,} draws. "
                f"Tail: the worst {1 - a['tail']:.0%}.")


def _orders(a: Any) -> Table:
    rows = []
    for o in a["orders"]:
        if o["now"] or o["ordered_share"] >= LATER_SHARE:
            ends = o["interval"]
            rows.append((o["quarter"], readable(o["name"] or o["chip"]), o["contract"],
                         "now" if o["now"] else f"in {o['ordered_share']:.0%} of futures", f"{o['units']:,.0f}",
                         f"{short(ends['p05'])} to {short(ends['p95'])}" if ends else ""))
    return Table(id="orders", title="Orders", rows=tuple(rows), columns=(
        "quarter", "chip", "contract", "when", "units (mean)", "90 percent"),
        foot="Cards, in whole servers; by API: tokens/s at the peak. Later orders depend on what is then seen.")


def _reasons(a: Any) -> Table:
    return Table(id="reasons", title="Why each offer is taken now, or is not", columns=("offer", "why"), rows=tuple(
        tuple(readable(part) for part in r.split(": ", 1)) for r in a["reasons"] if ": " in r))


def _rivals(a: Any) -> Table:
    names = {"mean_value": "buy for the average future", "need_only": "buy today's need", "hoard_all": "hoard",
             "wait": "wait a quarter", "api": "everything by API"}
    return Table(id="rivals", title="Against simpler plans", rows=tuple(
        (names.get(k, k), short(r["cost"]), short(r["difference"]), f"{short(r['low'])} to {short(r['high'])}",
         VERDICTS[r["verdict"]]) for k, r in a["rivals"].items()),
        columns=("plan", "mean cost, USD", "saved by the plan, USD", "90 percent", "verdict"),
        foot="Savings are in mean and tail together, on the same fresh futures.")


PAGE = Page(
    path="/order", title="What do I order?", asks="buyer", questions=questions, view=view, takes="10 to 40 s",
    lead="Your need, your promise and your money: what to order now and what later, against simpler plans, and the "
    "futures in which it fails. Every amount may be a range such as 300 to 900.",
    fields=(Field(name="buyer", label="Whose order", kind="select", options=(
                ("", "the buyer described below"), ("hospital-group", "the hospital group that ships"),
                ("regional-cloud", "the regional cloud that ships"), ("platform", "the platform that ships"),
                ("research-centre", "the research centre that ships")), hint="A shipped buyer needs nothing below."),
            Field(name="concurrent_users", label="Users at the same time", default="300 to 900"),
            Field(name="tokens_per_user_day", label="Tokens a user and day", default="40k"),
            Field(name="input_share", label="Share of them in prompts", default="70%"),
            Field(name="growth_per_month", label="Growth a month", default="3% to 10%"),
            Field(name="budget_usd", label="Budget, USD", default="6M"),
            Field(name="power_kw", label="Power of the room, kW", hint="Left out: no limit."),
            Field(name="shortage_usd_per_million_tokens", label="Cost of a missing million tokens, USD",
                  default="100 to 400"),
            Field(name="segment", label="Buyer class", kind="select", default="clinic_school",
                  options=segment_options()),
            Field(name="model", label="Model", kind="select", default="deepseek-r1", options=model_options()),
            Field(name="ttft_s", label="First token within, s", kind="number", default="2"),
            Field(name="tpot_ms", label="Each further token within, ms", kind="number", default="50"),
            Field(name="scenario", label="World", kind="select", default="february-2025", options=(
                ("february-2025", "February 2025"), ("latest", "everything known")))))
