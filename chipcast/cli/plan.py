"""The verb `plan`: what to order now and later."""

from __future__ import annotations

from typing import Annotated

import typer

from chipcast.cli.common import AsOf, Draws, Json, ScenarioName, Seed, emit_json, say, table


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    app.command("plan", help="What a buyer should order now and later, what it is worth, when it fails.")(plan)


def plan(scenario: ScenarioName = "february-2025",
         decide_until: Annotated[str, typer.Option("--decide-until", metavar="QUARTER",
                                                   help="Last quarter or month decided here and now.")] = "",
         tail: Annotated[float, typer.Option(help="Level of the tail of cost.")] = 0.9,
         tail_weight: Annotated[float, typer.Option(help="Weight of the tail against the mean, 0 to 1.")] = 0.5,
         scenarios: Annotated[int, typer.Option(help="Futures in the program.")] = 150,
         draws: Draws = 4000, seed: Seed = 1, as_of: AsOf = "", as_json: Json = False) -> None:
    from chipcast import chain

    ready = chain.prepare(scenario, draws=draws, seed=seed, as_of=as_of or None)
    world = chain.trade(ready.setting, ready.given)
    options: dict[str, object] = {"tail": tail, "tail_weight": tail_weight, "scenarios": scenarios, "fast": False}
    if decide_until:
        options["decide_until"] = decide_until
    done = chain.decide(ready, world.market, draws=draws, **options)
    if as_json:
        emit_json(payload(done, scenario))
        return
    show(done)


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


def show(done: object) -> None:
    """Print a plan as tables."""
    from chipcast.base.summary import short, span
    from chipcast.plan.record import Plan

    assert isinstance(done, Plan)
    say(done.sentence)
    say("")
    rows = [(o.quarter, o.chip, o.contract, "now" if o.now else "later, if so seen",
             f"{o.units:.0f}" if o.now else f"{o.units:.1f}",
             "" if o.now else f"{short(o.interval['p05'])} to {short(o.interval['p95'])}") for o in done.orders]
    table(f"Orders of {done.buyer}", ("quarter", "chip", "contract", "when", "units (mean)", "90 %"), rows,
          foot="Cards, in whole servers where decided now; later ones depend on what is then known. API: tokens/s.")
    names = {"mean_value": "buy for the average future", "need_only": "buy today's need", "hoard_all": "hoard",
             "wait": "wait a quarter", "api": "everything by API", "rent": "rent everything"}
    mean = done.detail["ladder"]["plan"]["mean"]
    money = [("this plan", short(mean), short(done.values["out_of_sample"]), "", "", "")]
    money += [(names.get(k, k), short(r["cost"]), short(r["risk_cost"]), short(r["difference"]),
               f"{short(r['low'])} to {short(r['high'])}",
               {"better": "plan is better", "worse": "plan is worse"}.get(r["verdict"], "cannot tell"))
              for k, r in done.rivals.items()]
    table(f"Cost on {done.solver['fresh']} fresh futures, discounted USD",
          ("plan", "mean cost", "mean and tail", "saved by the plan", "90 %", "verdict"), money,
          foot=f"Mean and tail: {1 - done.tail_weight:g} x mean + {done.tail_weight:g} x mean of the worst "
               f"{1 - done.tail:.0%}; savings and verdicts are in that.")
    v = done.values
    say(f"Value of perfect news {short(v['evpi'])} USD, of planning for many futures {short(v['vss'])} USD "
        f"(mean and tail, weight {done.tail_weight:g} on the worst {1 - done.tail:.0%}).")
    say(f"Share of need served: {span(done.service_share)}.")
    for line in done.fails:
        say(f"It {line}.")
    for name, worth in done.shadow_prices.items():
        if abs(worth) > 1e-6:
            say(f"Worth of {name}: {short(worth)} USD.")
