"""The verbs `plan` and `init plan`: what to order now and later."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chipcast.cli.common import AsOf, Draws, Json, ScenarioName, Seed, emit_json, measured, note, say, table, whole

init_app = typer.Typer(no_args_is_help=True, help="Write a commented template to edit.")


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    app.command("plan", help="What a buyer should order now and later, what it is worth, when it fails.")(plan)
    app.add_typer(init_app, name="init")


@init_app.command("plan", help="Write a commented scenario file for `chipcast plan`.")
def init_plan(path: Annotated[Path, typer.Argument(metavar="FILE", help="File to write; must not exist.")]) -> None:
    from chipcast.base.errors import InputError

    try:
        with path.open("x", encoding="utf-8") as out:
            out.write(TEMPLATE.format(name=path.stem))
    except FileExistsError:
        raise InputError(f"'{path}' exists; choose another name or remove it") from None
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}") from None
    say(f"wrote {path}; edit it, then: chipcast plan {path}")


def plan(scenario: ScenarioName = "february-2025",
         decide_until: Annotated[str, typer.Option("--decide-until", metavar="QUARTER",
                                                   help="Last quarter or month decided here and now.")] = "",
         tail: Annotated[float, measured("--tail", "1", "Level of the tail of cost, such as 90%.", least=0)] = 0.9,
         tail_weight: Annotated[float, measured("--tail-weight", "1", "Weight of the tail against the mean, 0 to 1.",
                                                least=0, most=1)] = 0.5,
         scenarios: Annotated[int, whole("--scenarios", "Futures in the program.")] = 150,
         information: Annotated[str, typer.Option(help="What later orders know: date, regimes, open_loop, "
                                                       "wait_and_see.")] = "date",
         compare: Annotated[str, typer.Option(metavar="NAMES", help="Strategies beside the plan, for example "
                                                                    "all-h20,all-local,wait,rent,api.")] = "",
         near: Annotated[str, typer.Option(metavar="SHARE", help="Range of each order within a share of the best, "
                                                                 "for example 3%.")] = "",
         fails: Annotated[bool, typer.Option("--fails", help="Boxes of futures in which the plan fails or is "
                                                             "regretted.")] = False,
         roll: Annotated[bool, typer.Option("--roll", help="Live through futures, planning again each quarter.")]
         = False,
         futures: Annotated[int, whole("--futures", "Futures lived through with --roll.", least=2, most=2000)] = 20,
         gap: Annotated[bool, typer.Option("--gap", help="Bound the distance to the best plan by replicated samples.")]
         = False,
         draws: Draws = 4000, seed: Seed = 1, as_of: AsOf = "", as_json: Json = False) -> None:
    from chipcast import chain
    from chipcast.base.errors import require
    from chipcast.base.units import parse_quantity
    from chipcast.plan.decide import work
    from chipcast.plan.need import need_from

    share = parse_quantity(near, "1", "--near") if near else 0.0
    require(0 <= share <= 1, "--near", "lie from 0% to 100%", near)
    ready = chain.prepare(scenario, draws=draws, seed=seed, as_of=as_of or None)
    given, setting = ready.given, ready.setting
    buyer = setting.scenario.buyer
    need = need_from(given, buyer.name, buyer.segment, model=buyer.model, country=buyer.country, chips=buyer.chips,
                     ttft_s=buyer.promise.ttft_s, tpot_ms=buyer.promise.tpot_ms)
    market = chain.trade(setting, given).market
    service = chain.serve_buyer(setting, given)
    done = work(given, need, market, service, setting.verdicts, decide_until=decide_until or buyer.decide_until or None,
                tail=tail, tail_weight=tail_weight, scenarios=scenarios, fast=False, information=information,
                with_gap=gap)
    extra: dict[str, Any] = {}
    if compare:
        from chipcast.plan.decide import compare as beside

        names = tuple(n.strip() for n in compare.split(",") if n.strip())
        extra["compare"] = beside(done, given, need, market, service, setting.verdicts, names)
    if near:
        from chipcast.plan.study import near as ranges

        extra["near"] = ranges(done.solved.problem, done.solved.labels, done.solved.decide, done.risk, (share,))
    if fails:
        from chipcast.plan.decide import regrets

        extra["regrets"] = regrets(done)
    if roll:
        extra["roll"] = _rolled(done, futures)
    if as_json:
        emit_json({**payload(done.plan, scenario), **extra})
        return
    show(done.plan)
    _show_extra(extra)


def _rolled(done: Any, futures: int) -> dict[str, Any]:
    from chipcast.base.summary import interval
    from chipcast.plan.decide import rolled

    out, held = rolled(done, futures, tell=lambda k, n: note(f"future {k} of {n}"))
    return {"futures": int(out.draws.size), "cost": float(out.costs.mean()), "interval": interval(out.costs),
            "standard_error": float(out.costs.std(ddof=1) / out.costs.size**0.5), "served": interval(out.served),
            "same_futures_with_news_later": float(held.mean()), "failed_solves": out.failed_solves}


def payload(done: object, scenario: str) -> dict[str, object]:
    """Return the JSON object of a plan: the contract's keys first, then everything of the record."""
    from dataclasses import asdict

    record = asdict(done)  # type: ignore[call-overload]
    orders = [{k: o[k] for k in ("quarter", "chip", "supplier", "contract", "units", "now", "interval")}
              for o in record["orders"]]
    return {"scenario": scenario, "orders": orders, "cost": record["expected_cost_usd"], "cvar": record["cvar_usd"],
            "values": record["values"], "sentence": record["sentence"], "rivals": record["rivals"],
            "service_share": record["service_share"], "fails": record["fails"],
            "shadow_prices": record["shadow_prices"], "buyer": record["buyer"], "quarters": record["quarters"],
            "decide_until": record["decide_until"], "tail": record["tail"], "tail_weight": record["tail_weight"],
            "solver": record["solver"], "detail": {k: v for k, v in record["detail"].items() if k != "failures"}}


YEAR = 4
"""Quarters of later orders that the table shows."""

RIVALS = {"mean_value": "buy for the average future", "need_only": "buy today's need", "hoard_all": "hoard",
          "wait": "wait a quarter", "api": "everything by API"}
VERDICTS = {"better": "plan is better", "worse": "plan is worse", "cannot tell": "cannot tell"}


def show(done: object) -> None:
    """Print a plan as tables."""
    from chipcast.base.summary import short, span
    from chipcast.plan.record import Plan

    assert isinstance(done, Plan)
    say(done.sentence)
    say("")
    last = done.quarters[min(len(done.quarters) - 1, done.quarters.index(done.decide_until) + YEAR)]
    rows = [(o.quarter, o.chip, o.contract, "now" if o.now else "later, if so seen",
             f"{o.units:.0f}" if o.now else f"{o.units:.1f}",
             "" if o.now else f"{short(o.interval['p05'])} to {short(o.interval['p95'])}")
            for o in done.orders if o.now or o.quarter <= last]
    more = sum(not o.now and o.quarter > last for o in done.orders)
    table(f"Orders of {done.buyer}", ("quarter", "chip", "contract", "when", "units (mean)", "90 %"), rows,
          foot="Cards, in whole servers where decided now; later ones depend on what is then known. API: tokens/s."
               + (f" {more} more lines of later quarters with --json." if more else ""))
    for chip, why in done.detail["left_out"].items():
        say(f"Left out: {chip}: {why}.")
    mean = done.detail["ladder"]["plan"]["mean"]
    money = [("this plan", short(mean), short(done.values["out_of_sample"]), "", "", "")]
    money += [(RIVALS.get(k, k), *_beside(r)) for k, r in done.rivals.items()]
    table(f"Cost on {done.solver['fresh']} fresh futures, discounted USD",
          ("plan", "mean cost", "mean and tail", "saved by the plan", "90 %", "verdict"), money,
          foot=f"Mean and tail: {1 - done.tail_weight:g} x mean + {done.tail_weight:g} x mean of the worst "
               f"{1 - done.tail:.0%}; savings and verdicts are in that.")
    v = done.values
    say(f"Value of perfect news {short(v['evpi'])} USD, of planning for many futures {short(v['vss'])} USD.")
    if "gap" in v:
        said = "not told apart from zero" if v["gap_low"] <= 0 else f"about {short(v['gap'])} USD"
        say(f"Distance to the best plan: {said} (90 %: {short(v['gap_low'])} to {short(v['gap_high'])}), from "
            "replicated samples.")
    say(f"Share of need served: {span(done.service_share)}.")
    for line in done.fails:
        say(f"It {line}.")
    for name, worth in done.shadow_prices.items():
        if abs(worth) > 1e-6:
            say(f"Worth of {name}: {short(worth)} USD.")


def _beside(r: Any) -> tuple[str, str, str, str, str]:
    from chipcast.base.summary import short

    return (short(r["cost"]), short(r["risk_cost"]), short(r["difference"]),
            f"{short(r['low'])} to {short(r['high'])}", VERDICTS[r["verdict"]])


def _show_extra(extra: dict[str, Any]) -> None:
    """Print what was asked for beside the plan."""
    from chipcast.base.summary import short, span

    if "compare" in extra:
        rows = []
        for name, r in extra["compare"].items():
            if r["cost"] is None:
                rows.append((name, r["why"], "", "", "", ""))
                continue
            rows.append((name + "".join(f"; now {u:.0f} {o}" for o, u in r.get("now", {}).items()), *_beside(r)))
        say("")
        table("Strategies beside the plan", ("strategy", "mean cost", "mean and tail", "saved by the plan", "90 %",
                                             "verdict"), rows,
              foot="Rent and API are priced even where records must stay in the house.")
    if "near" in extra:
        rows = [(name, *(f"{short(a)} to {short(b)}" for a, b in r.values())) for name, r in extra["near"].items()]
        shares = next(iter(extra["near"].values()))
        say("")
        table("Range among plans nearly as good", ("quantity", *(f"within {s}" for s in shares)), rows,
              foot="A narrow range is firm; orders are not rounded to whole servers here.")
    for line in extra.get("regrets", ()):
        say(f"It {line}.")
    if "roll" in extra:
        r = extra["roll"]
        say(f"Lived through {r['futures']} futures, planning again each quarter: mean cost {short(r['cost'])} USD "
            f"(standard error {short(r['standard_error'])}), need served {span(r['served'])}; the same futures with "
            f"all news known after the first decision: {short(r['same_futures_with_news_later'])} USD; "
            f"{r['failed_solves']} quarters without a plan.")


TEMPLATE = """\
# A buyer for `chipcast plan`. State only what differs from the base; every number may be a range.
name: {name}
base: february-2025          # the world: prices, gates, line, market
# as_of: 2025-02-25          # nothing that became known later is used
# until: 2027-12             # end of the horizon
buyer:
  name: my organisation
  segment: private           # platform | cloud | state_funded | public_centre | private | clinic_school
  country: CN
  model: deepseek-r1
  # users that are active at the same time with their tokens a day, or requests_per_s: with output_tokens:
  demand: {{concurrent_users: 500 to 1500, tokens_per_user_day: 40k, input_share: 70%, growth_per_month: 2% to 8%}}
  promise: {{ttft_s: 2, tpot_ms: 50}}
  budget_usd: 6M             # or budget_cny: 40M
  # power_kw: 200            # limit of the room
  # decide_until: 2025-06    # last quarter decided before anything is known; default: the first
  # shortage_usd_per_million_tokens: 5 to 20   # what a missing million tokens costs you
  # chips: [h20-96, ascend-910b2]              # only these would be considered
# set:
#   h20.price_usd: 12k to 15k
# events:
#   - {{on: 2025-04-09, gate: us, chip: h20, to: licence}}
"""
"""What `init plan` writes."""
