"""The verb `plan`: what to order now and later."""

from __future__ import annotations

from collections.abc import Callable
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
    whole,
)
from chipcast.cli.plan_template import init_app
from chipcast.cli.plan_words import RIVALS, payload, show, show_extra

GLANCE = 100
"""Draws on which a buyer's own figures are read before anything long is computed."""

def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    app.command("plan", help="What a buyer should order now and later, what it is worth, when it fails.")(plan)
    app.add_typer(init_app, name="init")


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
         risk: Annotated[str, typer.Option(help="What is minimised: mean_cvar, nested (the tail weighed anew at "
                                                       "every node of the tree), mean, worst_case, regret.")]
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
         moves: Annotated[bool, typer.Option("--moves", help="Let the buyer's own orders move prices and waits, and "
                                                             "plan again until plan and market agree.")] = False,
         sets: Sets = [],  # noqa: B006 - typer copies it
         draws: Draws = 3000, seed: Seed = 1, as_of: AsOf = "", as_json: Json = False) -> None:
    from dataclasses import replace

    from chipcast import chain
    from chipcast.base.errors import require
    from chipcast.base.units import parse_quantity
    from chipcast.plan import footprint
    from chipcast.plan.decide import Asked, work, written
    from chipcast.plan.need import need_for

    share = parse_quantity(near, "1", "--near") if near else 0.0
    require(0 <= share <= 1, "--near", "lie from 0% to 100%", near)
    require(not near or share > 0, "--near", "be above 0, for example 3%", near)
    require(not roll or information != "wait_and_see", "--information", "be regimes, date or open_loop with --roll",
            information)
    served = parse_quantity(serve, "1", "--serve") if serve else 0.0
    require(0 <= served <= 1, "--serve", "lie from 0% to 100%", serve)
    asked = Asked(decide_until=decide_until or None, tail=tail, tail_weight=tail_weight, scenarios=scenarios,
                  fast=False, information=information, risk=risk, reduction=reduction, types=types,
                  serve_share=served, with_gap=gap)
    story = load(scenario, as_of=as_of, sets=sets)
    speed = _check(asked, story, compare, draws, seed)
    asked = replace(asked, decide_until=asked.decide_until or story.buyer.decide_until or None)
    with _Progress() as progress:
        progress.say("conditioning on the reports")
        ready = chain.prepare(story, draws=draws, seed=seed, speed=speed)
        given, setting = ready.given, ready.setting
        need = need_for(given, story.buyer, story.chips)
        progress.say(f"running the line and the market on {draws} futures")
        world = chain.trade(setting, given)
        market = world.market
        service = chain.serve_buyer(setting, given)
        done = work(given, need, market, service, setting.verdicts, asked, tell=progress.say, stop=_after(time_limit))
        if moves:
            settled = footprint.settle(given, need, market, service, setting.verdicts, asked, done, tell=progress.say)
            done = settled.ground
        answer = written(done, given, need, asked, pictures=as_json)
        assumed, moved = _weight(given, need, market, service, setting.verdicts, done, answer,
                                 settled if moves else None)
        answer = replace(answer, assumed=assumed)
        extra: dict[str, Any] = {"footprint": moved} if moved else {}
        if moves:
            # What stands beside the plan stands in the same market.
            market = settled.market
            world = replace(world, market=market)
        if compare:
            from chipcast.plan.strategies import compare as beside

            progress.say("planning the strategies beside the plan")
            names = tuple(n.strip() for n in compare.split(",") if n.strip())
            extra["compare"] = beside(done, answer, given, need, market, service, setting.verdicts, names)
        if near:
            from chipcast.plan.study import near as ranges

            progress.say("looking for the least and most of each order")
            solved = done.solved
            extra["near"] = ranges(solved.problem, solved.labels, solved.decide, done.risk, (share,), done.case.names,
                                   mine=solved.solution)
        if fails:
            from chipcast.plan.answer import regrets

            extra["regrets"] = regrets(done.case, done.judged, done.seen, answer)
        if roll:
            progress.say("living through the first future, planning again each quarter")
            extra["roll"] = _rolled(done, futures, information, progress.say)
        if worth:
            progress.say("planning once more in a world with longer gates and one with better yield")
            extra["worth"] = _worth(ready, done, need, world, service)
    if as_json:
        emit_json({**payload(answer, scenario), **extra})
        return
    show(answer)
    show_extra(extra)


def _check(asked: Any, story: Any, compare: str, draws: int, seed: int) -> Any:
    """Refuse what is wrong, and a promise, budget or room that no chip keeps to, before anything long is computed.

    Returns how fast each chip is by segment (`chain.Setting.speed`), which no report moves.
    """
    from chipcast import chain
    from chipcast.base.calendar import month_range
    from chipcast.base.choose import choose
    from chipcast.plan.decide import check, quarters_until
    from chipcast.plan.labels import INFORMATION
    from chipcast.plan.need import need_for, quarters_of
    from chipcast.plan.procure import case_of
    from chipcast.plan.reduce import REDUCE
    from chipcast.plan.sheet import RISK
    from chipcast.plan.shortlist import candidates, looks_hopeless
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
    need = need_for(resolve(story, draws=GLANCE), story.buyer, story.chips)
    find(story.buyer.model)
    refuse_later(story.buyer.model, story.as_of)
    quarters, _ = quarters_of(month_range(f"{story.as_of:%Y-%m}", story.until))
    quarters_until(quarters, asked.decide_until or story.buyer.decide_until or None)
    glance = chain.prepare(story, draws=min(GLANCE, draws), seed=seed, prior=True)
    setting, service = glance.setting, chain.serve_buyer(glance.setting, glance.given)
    chips, _ = candidates(glance.given, need, service, setting.verdicts, setting.months)
    if looks_hopeless(glance.given, need, service, chips):
        case_of(glance.given, need_for(glance.given, story.buyer, story.chips),
                chain.trade(setting, glance.given).market, service, setting.verdicts)
    return setting.speed


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


def _weight(given: Any, need: Any, market: Any, service: Any, verdicts: Any, done: Any, answer: Any, settled: Any,
            ) -> tuple[str, dict[str, Any]]:
    """Return whether the buyer moves the market and how much that could matter, in words and in numbers."""
    from chipcast.plan import footprint
    from chipcast.plan import weight as words

    if settled is not None:
        moved = footprint.movement(given, market, settled.market, settled.ordered)
        said = words.has_moved(moved, settled.changes, settled.rise_usd, given.middle("plan.settled_share"))
        numbers = {**moved, "rise_usd": settled.rise_usd, "apart": list(settled.changes)}
        return words.assumptions(done.case, answer.orders, said), numbers
    large = given.middle("plan.large_share_of_supply")
    if max(words.shares_of_supply(done.case, answer.orders).values(), default=0.0) < large:
        return str(answer.assumed), {}
    ordered = footprint.own_orders(need, market, done)
    after = footprint.pressed(given, market, ordered)
    moved, rise = footprint.movement(given, market, after, ordered), footprint.rise_on(given, need, after, service,
                                                                                       verdicts, done)
    said = words.could_move(done.case, answer.orders, moved, rise)
    return words.assumptions(done.case, answer.orders, said), {**moved, "rise_usd": rise}


def _rolled(done: Any, futures: int, information: str, tell: Callable[[str], None]) -> dict[str, Any]:
    from chipcast.base.summary import interval
    from chipcast.plan.roll import roll

    seen = done.seen[:futures]
    out = roll(done.case, seen, done.pool, done.risk, information=information,
               tell=lambda k, n: tell(f"lived through {k} of {n} futures"))
    held = done.judged["plan"].costs[: seen.size] * done.case.problem.money
    return {"futures": int(seen.size), "cost": float(out.costs.mean()), "interval": interval(out.costs),
            "standard_error": float(out.costs.std(ddof=1) / out.costs.size**0.5), "served": interval(out.served),
            "plan_on_the_same_futures": float(held.mean()), "failed_solves": out.failed_solves}


def _worth(ready: Any, done: Any, need: Any, world: Any, service: Any) -> dict[str, dict[str, Any]]:
    """Return what one more month of open shop, one more point of local yield and more memory save, on the same draws.
    """
    from chipcast import chain
    from chipcast.plan import worth

    given, setting = ready.given, ready.setting

    def gain(other: Any, market: Any) -> dict[str, float]:
        return worth.worth_of_change(done.case, done.solved.decide, done.risk, done.picks, done.solved.problem.weight,
                                     other, need, market, service, setting.verdicts)

    out: dict[str, dict[str, Any]] = {"one more month of open gates": gain(given, worth.open_longer(world.market))}
    better, points = worth.point_more_yield(given)
    for name, changed, per in (("one more point of wafers that survive the local line", better, points),
                               ("a tenth more memory stacks a month for the local line",
                                worth.tenth_more_stacks(given), 1.0)):
        other = chain.trade(setting, changed)
        line = worth.through_the_line(world.line, other.line)
        out[name] = {**{k: v / per for k, v in gain(changed, other.market).items()}, **line,
                     "more_cards": line["more_cards"] / per}
    return out
