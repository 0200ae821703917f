"""The story in one function: wafer, chip, rules, cluster, tokens, market, evidence, plan.

It conditions first: priors become what the dated reports leave of them, and everything headline runs on that.
Claims run on a second table that never saw a report of the claims' own origin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar, cast

import numpy as np

from chipcast.base.calendar import month_range
from chipcast.base.draws import CHUNK
from chipcast.base.given import Given
from chipcast.base.spread import spread
from chipcast.base.types import Array
from chipcast.cluster import goodput, platform
from chipcast.cluster.record import Fleet
from chipcast.evidence.market_prior import calibrated
from chipcast.evidence.posterior import Evidence, condition
from chipcast.fab import line as fab_line
from chipcast.fab.record import PRODUCTS, Line
from chipcast.market.record import Market, not_kept
from chipcast.market.simulate import FIELDS as CELLS
from chipcast.market.simulate import room_for, simulate
from chipcast.plan.decide import plan
from chipcast.plan.need import need_for
from chipcast.plan.record import Plan
from chipcast.rules import check, upstream
from chipcast.rules.own import own_chip
from chipcast.rules.record import Verdicts
from chipcast.scenario import SEGMENTS, Event, Promise, Scenario, load, resolve
from chipcast.tokens.appendix import with_fit
from chipcast.tokens.record import Service
from chipcast.tokens.serve import service as serve

FIGURES = ("h20-96", "h800-sxm", "h100-sxm", "h200-sxm", "ascend-910b1", "ascend-910b2", "ascend-910b3", "ascend-910b4",
           "ascend-910c")
"""Chips whose figures a run reads."""

SERVING = ("h20-96", "h800-sxm", "h100-sxm", "ascend-910b2", "ascend-910b3", "ascend-910b4", "ascend-910c",
           "domestic_other")
"""Chips priced on the buyer's model."""

RULED = ("h20-96", "h800-sxm", "h100-sxm", "h200-sxm", "a100-sxm-80", "a800-sxm-80", "l20", "l2", "l40s", "rtx-4090",
         "ascend-910b2", "ascend-910b3", "ascend-910b4", "ascend-910c")
"""Chips whose legal status the report shows."""

FLEET = ("h800-sxm", "h20-96", "ascend-910b2", "ascend-910c")
"""Chips whose large machines are compared."""

SIZES = (1024, 2048, 4096, 8192, 16384)
"""Sizes of these machines. [chips]"""

MODEL = "deepseek-r1"
"""The model of the news; the market's demand is counted in its tokens."""

PROMISE = Promise()
"""The latency of the headline tables."""

PLAN_DRAWS = 2000
"""Draws that the plan reduces to scenarios and keeps for its judge."""

LINE_FROM = "2025-01"
"""First month of the line: banks are stocks at the end of 2024."""

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What a run needs besides numbers: the scenario, its months and its switches."""

    scenario: Scenario
    """The scenario."""
    months: tuple[str, ...]
    """Months of the market."""
    line_months: tuple[str, ...]
    """Months of the line."""
    verdicts: Verdicts
    """Who may buy what by rules and dated what-ifs."""
    law: Verdicts
    """The same by rules alone, for the market, which lets the what-ifs act day by day itself."""
    speed: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Segment -> chip -> rate under the latency that the segment promises, over the rate of the headline tables."""
    threat: bool = True
    """Whether a cut-off is feared and can happen."""
    controls: bool = True
    """Whether export controls bind at all."""
    local_push: bool = True
    """Whether Beijing pushes local chips."""


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """One run up to the market."""

    setting: Setting
    """Scenario, months and switches."""
    given: Given
    """Every number."""
    line: Line
    """What the line makes."""
    service: Service
    """What each chip delivers on the buyer's model."""
    market: Market
    """Who got what; without cells by buyer and chip where `near` has them."""
    near: Market | None = None
    """The same on the first draws with all cells, where a run keeps them for those alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """A scenario resolved and conditioned."""

    setting: Setting
    """Scenario, months and switches."""
    evidence: Evidence
    """What the reports left of the ranges."""

    @property
    def given(self) -> Given:
        """The conditioned table."""
        return self.evidence.given


def prepare(scenario: str | Scenario, *, draws: int = 10_000, seed: int = 1, as_of: str | None = None,
            prior: bool = False, without: Sequence[str] = (), speed: Mapping[str, Mapping[str, float]] | None = None
            ) -> Ready:
    """Resolve a scenario and condition it on the reports it may see.

    Parameters
    ----------
    scenario : str or Scenario
        Name, path or record.
    draws, seed : int
        Number of draws and seed of all streams.
    as_of : str, optional
        Information date in place of the scenario's.
    prior : bool
        Leave the ranges as they are.
    without : sequence of str
        Origins whose reports are left out.
    speed : mapping, optional
        `Setting.speed` of the same scenario and seed: no report moves what a chip delivers.
    """
    story = scenario if isinstance(scenario, Scenario) else load(scenario, as_of=as_of)
    extra = named(story)
    given = resolve(story, draws=draws, seed=seed, chips=(*[c for c in FIGURES if _known(story, c)], *extra))
    own = [r.model_dump() for r in story.reports]
    evidence = condition(given, () if prior else None, own=own, without=without)
    if not prior:
        evidence = replace(evidence, given=calibrated(evidence.given))
    fit = with_fit(platform.with_fit(evidence.given), (*SERVING, *story.chips, *extra),
                   ("platform", story.buyer.segment), (MODEL, story.buyer.model))
    evidence = replace(evidence, given=fit)
    first = f"{story.as_of:%Y-%m}"
    months = month_range(first, story.until)
    setting = Setting(scenario=story, months=months, line_months=month_range(min(LINE_FROM, first), story.until),
                      verdicts=rule(given, months, story, events=story.events), law=rule(given, months, story),
                      speed=speeds(evidence.given) if speed is None else speed)
    return Ready(setting=setting, evidence=evidence)


def named(story: Scenario) -> tuple[str, ...]:
    """Return the chips that the buyer would consider and that a run does not price anyway."""
    from chipcast.base.catalog import Catalogue

    catalog = Catalogue(story.as_of)
    asked = (catalog.resolve_chip(c) for c in story.buyer.chips if c not in SERVING and c not in story.chips)
    return tuple(dict.fromkeys(c for c in asked if c not in SERVING))


def _known(story: Scenario, chip: str) -> bool:
    from chipcast.base.catalog import Catalogue

    return chip in Catalogue(story.as_of).chip_ids()


def rule(given: Given, months: Sequence[str], story: Scenario, *, events: Sequence[Event] = ()) -> Verdicts:
    """Return who may buy what in each month, as known on the date; the user's chips and rules count."""
    known = set(given.catalog.chip_ids())
    own = {name: own_chip(fields, name=name, catalog=given.catalog) for name, fields in story.chips.items()}
    ruled = dict.fromkeys((*[c for c in RULED if c in known], *named(story), *own))
    return check.verdicts(given.catalog, chips=tuple(ruled), segments=SEGMENTS,
                          months=tuple(months), country="CN", beyond="last", own=own, events=events)


def trade(setting: Setting, given: Given, *, workers: int = 1, like: World | None = None,
          near: int | None = None) -> World:
    """Run the line, the service and the market over all draws, block by block.

    Parameters
    ----------
    like : World, optional
        A world of the same scenario on the same draws: its service is taken over, and its line where the controls are
        the same.
    near : int, optional
        Draws, from the first, for which cells by buyer and chip are kept, two thirds of what a market writes down. All
        if left out.
    """
    near = given.draws if near is None else min(-(-near // CHUNK) * CHUNK, given.draws)
    ends = [(a, min(a + CHUNK, given.stop)) for a in range(given.start, given.stop, CHUNK)]
    # within one process each block writes its part of the whole market; what comes from others is put together
    room = room_for(setting.law.segments, len(setting.months), given.draws, len(PRODUCTS), cells=near
                    ) if workers == 1 else None
    tasks = [(setting, given.block(a, b), None if like is None else
              replace(like, given=given.block(a, b), line=cut(like.line, b - given.start, a - given.start),
                      service=cut(like.service, b - given.start, a - given.start), market=cut(like.market, 0)),
              None if room is None else {n: x[..., a - given.start : b - given.start] for n, x in room.items()
                                         if n not in CELLS or b - given.start <= near}) for a, b in ends]
    blocks = spread(_trade_block, tasks, workers=workers)
    lines, services, markets = [b.line for b in blocks], [b.service for b in blocks], [b.market for b in blocks]
    del blocks
    market = join(markets) if room is None else replace(markets[0], books=worst([m.books for m in markets]), **room)
    few = None if near == given.draws else cut(market, near)
    if few is not None:
        empty: dict[str, Any] = {n: not_kept() for n in CELLS}
        market = replace(market, **empty)
    return World(setting=setting, given=given, line=join(lines), service=join(services), market=market, near=few)


def _trade_block(task: tuple[Setting, Given, World | None, Mapping[str, Any] | None]) -> World:
    setting, given, like, room = task
    service = serve_news(given) if like is None else like.service
    as_is = like.line if like is not None and like.setting.controls else None
    line = as_is if as_is is not None and setting.controls else make(setting, given)
    return World(setting=setting, given=given, line=line, service=service,
                 market=deal(setting, given, line, service, as_is=as_is, room=room))


def deal(setting: Setting, given: Given, line: Line, service: Service, *, as_is: Line | None = None,
         room: Mapping[str, Any] | None = None) -> Market:
    """Run the market of one block of draws on a line and a service; `as_is` is the line under controls, where known.

    `room` holds the arrays to fill, see `simulate`.
    """
    if not setting.controls and as_is is None:
        as_is = make(replace(setting, controls=True), given)
    return simulate(given, line, setting.law, service, months=setting.months, threat=setting.threat,
                    controls=setting.controls, local_push=setting.local_push, speed=setting.speed,
                    line_as_is=None if setting.controls else as_is, room=room,
                    events=cast(Any, [e for e in setting.scenario.events if e.gate not in UPSTREAM]))


UPSTREAM = ("tools", "hbm", "foundry")
"""Gates of a scenario that act on the line and not on the market."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """A market and a line that answer each other."""

    world: World
    """The last round."""
    changes: tuple[float, ...]
    """Change of the cards made from round to round, over all months, as a share of them. [1] (round)"""


def settle(setting: Setting, given: Given, *, rounds: int = 8, tolerance: float = 0.005) -> Settled:
    """Iterate the feedback: orders raise wafer starts, volume teaches the line, more and cheaper cards change orders.

    Parameters
    ----------
    rounds : int
        Most rounds.
    tolerance : float
        It stops when the cards made change by less than this share. [1]
    """
    cuts = [given.block(a, min(a + CHUNK, given.stop)) for a in range(given.start, given.stop, CHUNK)]
    worlds = [_trade_block((setting, block, None, None)) for block in cuts]
    changes: list[float] = []
    for _ in range(rounds):
        moved = made = 0.0
        for i, world in enumerate(worlds):
            asked = world.market.line_orders
            early = len(world.line.months) - asked.shape[1]
            orders = np.concatenate([np.repeat(asked[:, :1], early, axis=1), asked], axis=1)
            line = make(setting, world.given, orders=orders, answer=True)
            moved += float(np.abs(line.packages - world.line.packages).sum())
            made += float(line.packages.sum())
            worlds[i] = replace(world, line=line, market=deal(setting, world.given, line, world.service))
        changes.append(moved / max(made, 1.0))
        if changes[-1] < tolerance:
            break
    whole = World(setting=setting, given=given, line=join([w.line for w in worlds]),
                  service=join([w.service for w in worlds]), market=join([w.market for w in worlds]))
    return Settled(world=whole, changes=tuple(changes))


def make(setting: Setting, given: Given, *, orders: Array | None = None, answer: bool = False) -> Line:
    """Run the line; a gate of the scenario that shuts tools, memory or foundry binds from its date.

    With `answer` orders raise wafer starts and volume teaches the line.
    """
    closed, opened = upstream.passages(given.catalog, setting.line_months, events=setting.scenario.events,
                                       controls=setting.controls)
    return fab_line.run(given, setting.line_months, controls=setting.controls, closed=closed, opened=opened,
                        orders=orders, learning="volume" if answer else "exponential", answer=answer)


def serve_news(given: Given, promise: Promise = PROMISE) -> Service:
    """Price each chip on the model of the news, with the request of the headline tables, for a large platform."""
    output = given.middle("serving.output_tokens")
    share = given.middle("plan.input_share")
    return serve(given, SERVING, MODEL, input_tokens=output * share / (1 - share), output_tokens=output,
                 ttft_s=promise.ttft_s, tpot_ms=promise.tpot_ms, segment="platform")


def speeds(given: Given) -> dict[str, dict[str, float]]:
    """Return how fast each chip is under each segment's promise, over the headline's: what a latency class can use.

    Ratios of medians over a few draws: the layout that wins is chosen at medians anyway.
    """
    few = given.block(0, min(SPEED_DRAWS, given.draws))
    headline = serve_news(few)
    known = {(PROMISE.ttft_s, PROMISE.tpot_ms): headline}
    out: dict[str, dict[str, float]] = {}
    for segment in SEGMENTS:
        promise = (given.middle(f"{segment}.ttft_s"), given.middle(f"{segment}.tpot_ms"))
        if promise not in known:
            known[promise] = serve_news(few, Promise(ttft_s=promise[0], tpot_ms=promise[1]))
        own = known[promise]
        out[segment] = {}
        for k, chip in enumerate(headline.chips):
            usual = float(np.nan_to_num(np.median(headline.total_tokens_per_s_per_chip[k])))
            now = float(np.nan_to_num(np.median(own.total_tokens_per_s_per_chip[k])))
            if usual > 0 and not headline.reasons[k]:
                out[segment][chip] = 0.0 if own.reasons[k] else now / usual
    return out


SPEED_DRAWS = 32
"""Draws from which the ratios of `speeds` are taken."""


def serve_buyer(setting: Setting, given: Given) -> Service:
    """Price each chip on the buyer's model under the buyer's promise, in the buyer's class."""
    buyer = setting.scenario.buyer
    output = given.middle("buyer.output_tokens" if "buyer.output_tokens" in given else "serving.output_tokens")
    share = given.middle("buyer.input_share" if "buyer.input_share" in given else "plan.input_share")
    prompt = given.middle("buyer.input_tokens") if "buyer.input_tokens" in given else output * share / (1 - share)
    chips = (*SERVING, *setting.scenario.chips, *named(setting.scenario))
    return serve(given, chips, buyer.model, input_tokens=prompt, output_tokens=output, ttft_s=buyer.promise.ttft_s,
                 tpot_ms=buyer.promise.tpot_ms, segment=buyer.segment)


def decide(ready: Ready, market: Market, *, draws: int = PLAN_DRAWS, **options: Any) -> Plan:
    """Return what the scenario's buyer should order, on the market's own draws."""
    given = ready.given.block(0, min(draws, ready.given.draws))
    buyer = ready.setting.scenario.buyer
    need = need_for(given, buyer, ready.setting.scenario.chips)
    options.setdefault("decide_until", buyer.decide_until or None)
    return plan(given, need, cut(market, given.draws), serve_buyer(ready.setting, given), ready.setting.verdicts,
                **options)


def cut(record: R, stop: int, start: int = 0) -> R:
    """Return the draws of a record from `start` to before `stop`."""
    new = {f.name: getattr(record, f.name)[..., start:stop] for f in fields(record)  # type: ignore[arg-type]
           if isinstance(getattr(record, f.name), np.ndarray) and f.name not in NOT_DRAWN}
    return replace(record, **new)  # type: ignore[type-var]


def large_machines(given: Given) -> Fleet:
    """Return what large machines keep of their chips."""
    known = set(given.catalog.chip_ids())
    return goodput.fleet(given, [c for c in FLEET if c in known], SIZES)


NOT_DRAWN = frozenset({"feasible", "min_chips"})
"""Arrays of records that have no draw axis: their mean over blocks counts."""


def join(records: list[R]) -> R:
    """Put the blocks of a record together along the draw axis; what has none is taken from the first block.

    The list is emptied and every field is let go once it is joined, so that blocks and whole never both fill memory.
    """
    if len(records) == 1:
        return records[0]
    kind = type(records[0])
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    tables = [{name: getattr(r, name) for name in names} for r in records]
    records.clear()
    new: dict[str, Any] = {}
    for name in names:
        parts = [t.pop(name) for t in tables]
        if name in NOT_DRAWN and isinstance(parts[0], np.ndarray):
            new[name] = np.mean(parts, axis=0)
        elif isinstance(parts[0], np.ndarray):
            new[name] = np.concatenate(parts, axis=-1)
        elif name == "books":
            new[name] = worst(parts)
        else:
            new[name] = parts[0]
    return kind(**new)


def worst(books: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the largest residual of each balance over blocks of draws."""
    return {name: max(b[name] for b in books) for name in books[0]}


def what_if(ready: Ready, base: World, *, threat: bool = True, controls: bool = True, local_push: bool = True,
            workers: int = 1) -> World:
    """Run the market on the same luck with a switch turned, on as many draws as a what-if needs.

    Parameters
    ----------
    base : World
        The world without a switch turned, on these draws or more.
    """
    setting = replace(ready.setting, threat=threat, controls=controls, local_push=local_push)
    few = ready.given.block(0, whatif_draws(ready.given))
    return trade(setting, few, workers=workers, like=base)


def whatif_draws(given: Given) -> int:
    """Return how many paired draws a what-if takes: the row, or all where there are fewer. [draws]"""
    return min(round(given.middle("run.whatif_draws")), given.draws)
