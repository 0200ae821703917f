"""The verbs `plan` and `init plan`: what to order now and later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from chipcast.cli.common import (
    AsOf,
    Draws,
    Json,
    ScenarioName,
    Seed,
    Sets,
    emit_json,
    load,
    measured,
    note,
    say,
    table,
    whole,
)

GLANCE = 100
"""Draws on which a buyer's own figures are read before anything long is computed."""

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
         information: Annotated[str, typer.Option(help="What later orders know: regimes (a tree of gates and of what "
                                                       "can be seen), date (everything after the first orders), "
                                                       "open_loop, wait_and_see.")] = "regimes",
         risk: Annotated[str, typer.Option(help="What is minimised: mean_cvar, mean, worst_case, regret.")]
         = "mean_cvar",
         reduction: Annotated[str, typer.Option(help="How futures are chosen: stratified_forward, k_medoids, forward, "
                                                     "plain.")] = "stratified_forward",
         types: Annotated[int, whole("--types", "Most chip types ordered now; 0: what the segment can keep.",
                                     least=0)] = 0,
         serve: Annotated[str, typer.Option(metavar="SHARE", help="Least share of all tokens to serve on average, for "
                                                                  "example 80%.")] = "",
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
         worth: Annotated[bool, typer.Option("--worth", help="What one more month of open gates and one more point of "
                                                             "local yield are worth.")] = False,
         time_limit: Annotated[float, measured("--time-limit", "s", "Most seconds for the program in whole servers; "
                                                                    "the gap that is left is shown.", above=0)] = 60.0,
         sets: Sets = [],  # noqa: B006 - typer copies it
         draws: Draws = 3000, seed: Seed = 1, as_of: AsOf = "", as_json: Json = False) -> None:
    from dataclasses import replace

    from chipcast import chain
    from chipcast.base.errors import require
    from chipcast.base.units import parse_quantity
    from chipcast.plan.decide import Asked, work, written
    from chipcast.plan.need import need_for

    share = parse_quantity(near, "1", "--near") if near else 0.0
    require(0 <= share <= 1, "--near", "lie from 0% to 100%", near)
    served = parse_quantity(serve, "1", "--serve") if serve else 0.0
    require(0 <= served <= 1, "--serve", "lie from 0% to 100%", serve)
    asked = Asked(decide_until=decide_until or None, tail=tail, tail_weight=tail_weight, scenarios=scenarios,
                  fast=False, information=information, risk=risk, reduction=reduction, types=types,
                  serve_share=served, with_gap=gap)
    story = _check(asked, load(scenario, as_of=as_of, sets=sets), compare, draws)
    asked = replace(asked, decide_until=asked.decide_until or story.buyer.decide_until or None)
    ready = chain.prepare(story, draws=draws, seed=seed)
    given, setting = ready.given, ready.setting
    need = need_for(given, story.buyer, story.chips)
    market = chain.trade(setting, given).market
    service = chain.serve_buyer(setting, given)
    with _Progress() as progress:
        done = work(given, need, market, service, setting.verdicts, asked, tell=progress.say, stop=_after(time_limit))
        answer = written(done, given, need, asked)
    extra: dict[str, Any] = {}
    if compare:
        from chipcast.plan.strategies import compare as beside

        names = tuple(n.strip() for n in compare.split(",") if n.strip())
        extra["compare"] = beside(done, answer, given, need, market, service, setting.verdicts, names)
    if near:
        from chipcast.plan.study import near as ranges

        extra["near"] = ranges(done.solved.problem, done.solved.labels, done.solved.decide, done.risk, (share,),
                               done.case.names)
    if fails:
        from chipcast.plan.answer import regrets

        extra["regrets"] = regrets(done.case, done.judged, done.seen, answer)
    if roll:
        extra["roll"] = _rolled(done, futures)
    if worth:
        extra["worth"] = _worth(ready, done, need, market, service)
    if as_json:
        emit_json({**payload(answer, scenario), **extra})
        return
    show(answer)
    _show_extra(extra)


def _check(asked: Any, story: Any, compare: str, draws: int) -> Any:
    """Return the scenario, or refuse what is wrong before anything is computed."""
    from chipcast.base.calendar import month_range
    from chipcast.base.choose import choose
    from chipcast.plan.decide import check, quarters_until
    from chipcast.plan.labels import INFORMATION
    from chipcast.plan.need import need_for, quarters_of
    from chipcast.plan.reduce import REDUCE
    from chipcast.plan.sheet import RISK
    from chipcast.scenario import resolve
    from chipcast.tokens.config import find, refuse_later

    choose(INFORMATION, asked.information, "information")
    choose(RISK, asked.risk, "objective")
    choose(REDUCE, asked.reduction, "reduction")
    if compare:
        from chipcast.plan.strategies import STRATEGIES

        known = {**dict.fromkeys(STRATEGIES), **dict.fromkeys(RIVALS)}
        for name in compare.split(","):
            choose(known, name.strip(), "strategy")
    check(asked, draws)
    need_for(resolve(story, draws=GLANCE), story.buyer, story.chips)
    find(story.buyer.model)
    refuse_later(story.buyer.model, story.as_of)
    quarters, _ = quarters_of(month_range(f"{story.as_of:%Y-%m}", story.until))
    quarters_until(quarters, asked.decide_until or story.buyer.decide_until or None)
    return story


def _after(seconds: float) -> Callable[[], bool]:
    """Return what tells whether so many seconds have passed since it was first asked."""
    import time

    started: list[float] = []

    def over() -> bool:
        now = time.monotonic()
        started.append(now)
        return now - started[0] > seconds

    return over


class _Progress:
    """Says on standard error what a long job is doing, once it has taken a while."""

    def __init__(self, quiet_s: float = 3.0) -> None:
        import threading

        self._quiet, self._now = quiet_s, ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def say(self, text: str) -> None:
        """Remember what is being done."""
        self._now = text

    def _tick(self) -> None:
        waited = 0.0
        while not self._stop.wait(self._quiet):
            waited += self._quiet
            note(f"{self._now} ({waited:.0f} s)")

    def __enter__(self) -> _Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _rolled(done: Any, futures: int) -> dict[str, Any]:
    from chipcast.base.summary import interval
    from chipcast.plan.roll import roll

    seen = done.seen[:futures]
    out = roll(done.case, seen, done.pool, done.risk, tell=lambda k, n: note(f"future {k} of {n}"))
    held = done.judged["plan"].costs[: seen.size] * done.case.problem.money
    return {"futures": int(seen.size), "cost": float(out.costs.mean()), "interval": interval(out.costs),
            "standard_error": float(out.costs.std(ddof=1) / out.costs.size**0.5), "served": interval(out.served),
            "plan_on_the_same_futures": float(held.mean()), "failed_solves": out.failed_solves}


def _worth(ready: Any, done: Any, need: Any, market: Any, service: Any) -> dict[str, dict[str, float]]:
    """Return what one more month of open shop and one more point of local yield save, on the same draws."""
    from chipcast import chain
    from chipcast.plan.worth import YIELD_ROW, open_longer, point_more_yield, worth_of_change

    given, setting = ready.given, ready.setting
    common = (done.case, done.solved.decide, done.risk, done.picks, done.solved.problem.weight)
    out = {"one more month of open gates": worth_of_change(*common, given, need, open_longer(market), service,
                                                           setting.verdicts)}
    if YIELD_ROW in given:
        better, points = point_more_yield(given)
        gain = worth_of_change(*common, better, need, chain.trade(setting, better).market, service, setting.verdicts)
        out["one more point of wafers that survive the local line"] = {k: v / points for k, v in gain.items()}
    return out


def payload(done: object, scenario: str) -> dict[str, object]:
    """Return the JSON object of a plan: the contract's keys first, then everything of the record."""
    from dataclasses import asdict

    record = asdict(done)  # type: ignore[call-overload]
    first = {"scenario": scenario, "orders": record["orders"], "cost": record["expected_cost_usd"],
             "cvar": record["cvar_usd"]}
    rest = {k: v for k, v in record.items() if k not in ("orders", "expected_cost_usd", "cvar_usd", "detail")}
    return {**first, **rest, "detail": {k: v for k, v in record["detail"].items() if k != "failures"}}


YEAR = 4
"""Quarters of later orders that the table shows."""

LATER_SHARE = 0.05
"""Later orders placed in a smaller share of futures are not shown in the table."""

REASONS_SHOWN = 6
"""Offers for which the reason is printed: what is ordered and what comes nearest."""

CAUSES_SHOWN = 5
"""Causes that the table of what would change the decision shows."""

RIVALS = {"mean_value": "buy for the average future", "need_only": "buy today's need", "hoard_all": "hoard",
          "wait": "wait a quarter", "api": "everything by API"}
VERDICTS = {"better": "plan is better", "worse": "plan is worse", "cannot tell": "cannot tell"}
KNOWS = {"regimes": "later orders know the gates and what can be seen by then",
         "date": "later orders know everything, which flatters every plan alike",
         "open_loop": "later orders know nothing new", "wait_and_see": "every order knows everything"}


def show(done: object) -> None:
    """Print a plan as tables."""
    from chipcast.base.summary import short, span
    from chipcast.plan.record import Plan

    assert isinstance(done, Plan)
    say(done.sentence)
    say(done.first_question)
    say("")
    last = done.quarters[min(len(done.quarters) - 1, done.quarters.index(done.decide_until) + YEAR)]
    rows, more = [], 0
    for o in done.orders:
        if not o.now and (o.quarter > last or o.ordered_share < LATER_SHARE):
            more += 1
            continue
        name = o.name + (f", {o.site}" if o.site else "")
        rows.append((o.quarter, name, o.contract, "now" if o.now else f"in {o.ordered_share:.0%} of futures",
                     f"{o.units:,.0f}" if o.now else f"{o.units:,.1f}",
                     "" if o.now else f"{short(o.interval['p05'])} to {short(o.interval['p95'])}"))
    table(f"Orders of {done.buyer}", ("quarter", "chip", "contract", "when", "units (mean)", "90 %"), rows,
          foot="Cards, in whole servers; API: tokens/s. " + KNOWS[done.solver["information"]].capitalize() + "."
               + (f" {more} more lines with --json." if more else ""))
    for s in done.signed:
        say(f"Signed now: {s['units']:.0f} x {s['name']}{', ' + s['site'] if s['site'] else ''}, of which "
            f"{s['must_take']:.0f} must be taken.")
    say(done.assumed)
    for chip, why in done.detail["left_out"].items():
        say(f"Left out: {done.detail['names'][chip]}: {why}.")
    for line in done.reasons[:REASONS_SHOWN]:
        say(f"  {line}.")
    if len(done.reasons) > REASONS_SHOWN:
        say(f"  {len(done.reasons) - REASONS_SHOWN} more offers with --json.")
    mean = done.detail["ladder"]["plan"]["mean"]
    money = [("this plan", short(mean), short(done.values["out_of_sample"]), "", "", "")]
    money += [(RIVALS.get(k, k), *_beside(r)) for k, r in done.rivals.items()]
    table(f"Cost on {done.solver['fresh']} fresh futures, discounted USD",
          ("plan", "mean cost", "mean and tail", "saved by the plan", "90 %", "verdict"), money,
          foot=f"Mean and tail: {1 - done.tail_weight:g} x mean + {done.tail_weight:g} x mean of the worst "
               f"{1 - done.tail:.0%}; savings and verdicts are in that.")
    v = done.values
    say(f"Value of perfect news {short(v['evpi'])} USD, of planning for many futures {short(v['vss'])} USD; on its own "
        f"futures the plan costs {short(v['sp'])} USD, on fresh ones {short(v['out_of_sample'])} USD.")
    if "gap" in v:
        said = "not told apart from zero" if v["gap_low"] <= 0 else f"about {short(v['gap'])} USD"
        say(f"Distance to the best plan: {said} (90 %: {short(v['gap_low'])} to {short(v['gap_high'])}), from "
            "replicated samples that know all news after the first orders, so at most that.")
    if done.solver["status"] != "optimal":
        say(f"The solver {done.solver['status']}: within {done.solver['gap']:.2%} of the best; best bound "
            f"{short(done.solver['bound'])} USD.")
    say(f"Share of need served: {span(done.service_share)}.")
    for line in done.fails:
        say(f"It {line}.")
    _show_tornado(done)
    for name, worth in done.shadow_prices.items():
        if abs(worth) > 1e-6:
            say(f"Worth of {name}: {short(worth)} USD.")


def _show_tornado(done: Any) -> None:
    from chipcast.base.summary import short

    def orders(now: dict[str, float]) -> str:
        return " and ".join(f"{u:.0f} x {c}" for c, u in now.items()) or "nothing"

    rows = [(r["cause"], f"{short(r['cost_low'])} / {short(r['cost_high'])}",
             f"{orders(r['now_if_low'])} / {orders(r['now_if_high'])}" if r["changes"] else "same decision")
            for r in done.detail["tornado"][:CAUSES_SHOWN]]
    blind = next((orders(r["now_blind"]) for r in done.detail["tornado"]), "nothing")
    table("What would change the decision", ("cause, in its lowest / highest third", "mean cost", "order now if known"),
          rows, foot=f"On a small program in fractions of servers, which orders {blind} without knowing.")


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
    for name, r in extra.get("worth", {}).items():
        say(f"Worth of {name}: {short(r['saves'])} USD (90 %: {short(r['low'])} to {short(r['high'])}).")
    if "roll" in extra:
        r = extra["roll"]
        say(f"Lived through {r['futures']} futures, planning again each quarter: mean cost {short(r['cost'])} USD "
            f"(standard error {short(r['standard_error'])}), need served {span(r['served'])}; the plan above carried "
            f"out in the same futures: {short(r['plan_on_the_same_futures'])} USD; "
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
  # power_kw: 200            # limit of the room; or several rooms:
  # sites:
  #   - {{name: main hall, power_kw: 200, rack_units: 80}}
  #   - {{name: cellar, power_kw: 60, pue: 1.8, usd_per_kwh: 0.12}}
  # decide_until: 2025-06    # last quarter decided before anything is known; default: the first
  # shortage_usd_per_million_tokens: 5 to 20   # what a missing million tokens costs you
  # api_usd_per_million_tokens: 2.5            # your own quote for generated tokens
  # min_domestic_share: 50%                    # of cards to own, beside what the rules ask for
  # chips: [h20-96, ascend-910b2]              # only these would be considered
# set:
#   h20.price_usd: 12k to 15k
#   plan.offsite_share_max: 0                  # part of need that may be rented or bought by the token
# events:
#   - {{on: 2025-04-09, gate: us, chip: h20, to: licence}}
"""
"""What `init plan` writes."""
