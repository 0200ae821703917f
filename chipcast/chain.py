"""The story in one function: wafer, chip, rules, cluster, tokens, market, evidence, plan.

It conditions first: priors become what the dated reports leave of them, and everything headline runs on that.
Claims run on a second table that never saw a report of the claims' own origin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from chipcast.base.calendar import month_range
from chipcast.base.draws import CHUNK
from chipcast.base.given import Given
from chipcast.base.spread import spread
from chipcast.cluster import goodput
from chipcast.cluster.record import Fleet
from chipcast.evidence import claims as claim_list
from chipcast.evidence.posterior import Evidence, condition
from chipcast.fab import line as fab_line
from chipcast.fab.record import Line
from chipcast.market.gates import Event as GateEvent
from chipcast.market.record import Market
from chipcast.market.simulate import simulate
from chipcast.plan.need import Need, need_from
from chipcast.rules import check
from chipcast.rules.record import Verdicts
from chipcast.scenario import SEGMENTS, Scenario, load, resolve
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
    """Who may buy what, for the chips of the market."""
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
    """Who got what."""


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
            prior: bool = False, without: Sequence[str] = ()) -> Ready:
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
    """
    story = scenario if isinstance(scenario, Scenario) else load(scenario, as_of=as_of)
    given = resolve(story, draws=draws, seed=seed, chips=tuple(c for c in FIGURES if _known(story, c)))
    own = [r.model_dump() for r in story.reports]
    evidence = condition(given, () if prior else None, own=own, without=without)
    first = f"{story.as_of:%Y-%m}"
    months = month_range(first, story.until)
    setting = Setting(scenario=story, months=months, line_months=month_range(min(LINE_FROM, first), story.until),
                      verdicts=rule(given, months))
    return Ready(setting=setting, evidence=evidence)


def _known(story: Scenario, chip: str) -> bool:
    from chipcast.base.catalog import Catalogue

    return chip in Catalogue(story.as_of).chip_ids()


def rule(given: Given, months: Sequence[str]) -> Verdicts:
    """Return who may buy what in each month, as known on the date."""
    known = set(given.catalog.chip_ids())
    return check.verdicts(given.catalog, chips=tuple(c for c in RULED if c in known), segments=SEGMENTS,
                          months=tuple(months), country="CN")


def trade(setting: Setting, given: Given, *, workers: int = 1) -> World:
    """Run the line, the service and the market over all draws, block by block."""
    cuts = range(given.start, given.stop, CHUNK)
    tasks = [(setting, given.block(a, min(a + CHUNK, given.stop))) for a in cuts]
    blocks = spread(_trade_block, tasks, workers=workers)
    line, service, market = (join([b[k] for b in blocks]) for k in range(3))
    return World(setting=setting, given=given, line=line, service=service, market=market)


def _trade_block(task: tuple[Setting, Given]) -> tuple[Line, Service, Market]:
    setting, given = task
    service = serving(setting, given)
    line = make(setting, given)
    market = simulate(given, line, setting.verdicts, service, months=setting.months, threat=setting.threat,
                      controls=setting.controls, local_push=setting.local_push, events=events_of(setting.scenario))
    return line, service, market


def make(setting: Setting, given: Given, *, orders: Any = None) -> Line:
    """Run the line; a gate of the scenario that shuts tools, memory or foundry binds from its date."""
    closed = {e.gate: f"{e.on:%Y-%m}" for e in setting.scenario.events
              if e.gate in ("tools", "hbm", "foundry") and e.to in ("closed", "denied", "licence")}
    return fab_line.run(given, setting.line_months, controls=setting.controls, closed=closed or None, orders=orders)


def serving(setting: Setting, given: Given) -> Service:
    """Price each chip on the buyer's model under the buyer's promise."""
    buyer = setting.scenario.buyer
    output = given.middle("serving.output_tokens")
    share = given.middle("buyer.input_share") if "buyer.input_share" in given else given.middle("plan.input_share")
    if "buyer.output_tokens" in given:
        output = given.middle("buyer.output_tokens")
    prompt = given.middle("buyer.input_tokens") if "buyer.input_tokens" in given else output * share / (1 - share)
    own = tuple(setting.scenario.chips)
    return serve(given, SERVING + own, buyer.model, input_tokens=prompt, output_tokens=output,
                 ttft_s=buyer.promise.ttft_s, tpot_ms=buyer.promise.tpot_ms, segment=buyer.segment)


def events_of(scenario: Scenario) -> tuple[GateEvent, ...]:
    """Return the scenario's dated what-ifs at the gates of the market."""
    return tuple(GateEvent(on=e.on, gate=e.gate, chip=e.chip, to=e.to) for e in scenario.events
                 if e.gate in ("us", "cn"))


def need(ready: Ready) -> Need:
    """Return what the scenario's buyer must serve."""
    buyer = ready.setting.scenario.buyer
    return need_from(ready.given, buyer.name, buyer.segment, model=buyer.model, country=buyer.country, chips=buyer.chips)


def large_machines(given: Given) -> Fleet:
    """Return what large machines keep of their chips."""
    known = set(given.catalog.chip_ids())
    return goodput.fleet(given, [c for c in FLEET if c in known], SIZES)


NOT_DRAWN = frozenset({"feasible", "min_chips"})
"""Arrays of records that have no draw axis: their mean over blocks counts."""


def join(records: Sequence[R]) -> R:
    """Put the blocks of a record together along the draw axis; what has none is taken from the first block."""
    first = records[0]
    if len(records) == 1:
        return first
    new: dict[str, Any] = {}
    for f in fields(first):  # type: ignore[arg-type]
        parts = [getattr(r, f.name) for r in records]
        if f.name in NOT_DRAWN and isinstance(parts[0], np.ndarray):
            new[f.name] = np.mean(parts, axis=0)
        elif isinstance(parts[0], np.ndarray):
            new[f.name] = np.concatenate(parts, axis=-1)
        elif f.name == "books":
            new[f.name] = {k: max(p[k] for p in parts) for k in parts[0]}
    return replace(first, **new)  # type: ignore[type-var]


def what_if(ready: Ready, *, draws: int, workers: int = 1, **switches: bool) -> World:
    """Run the market again on the same luck with a switch turned: threat, controls or local_push."""
    setting = replace(ready.setting, **switches)
    return trade(setting, ready.given.block(0, min(draws, ready.given.draws)), workers=workers)


Progress = Callable[[str], None]
"""Takes a line of progress."""

__all__ = ["FIGURES", "FLEET", "NOT_DRAWN", "RULED", "Ready", "SERVING", "SIZES", "Setting", "World", "claim_list", "events_of",
           "join", "large_machines", "make", "need", "prepare", "rule", "serving", "trade", "what_if"]
