"""Every question that may be asked over HTTP, verb by verb."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from chipcast.web.ask import (
    MOST_CHIPS,
    Area,
    Buyer,
    Chip,
    Clusters,
    Cores,
    Dated,
    Day,
    Density,
    Drawn,
    Draws,
    Hq,
    Milliseconds,
    Model,
    Name,
    Names,
    On,
    Question,
    Seed,
    Segment,
    Sentence,
    Sets,
    Share,
    Story,
    To,
    Tokens,
    Use,
    World,
)


class RulesCheck(Dated):
    """One shipment."""

    VERB, PLACES, FLAGS = ("rules", "check"), ("chip",), {"origin": "--from"}
    SAYS = "Whether a chip may go to a buyer on a day: both gates, the rule that decides, the slack."
    EXAMPLE = "chip=h20&to=CN&on=2025-05-01"

    chip: Chip
    to: To | None = None
    hq: Hq | None = None
    on: On | None = None
    buyer: Buyer | None = None
    use: Use | None = None
    origin: Name | None = Field(None, description="Where it is exported from.")
    entity: Name | None = Field(None, description="Buyer named on the Entity List.")
    owned_by_listed: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Share of the buyer that listed parties own.")
    region: Name | None = Field(None, description="Place inside China, for local rules.")
    hq_rule: Literal["as_enforced", "as_text", "off"] | None = Field(
        None, description="How the rule on the parent's seat is read.")
    scenario: World | None = None


class RulesHistory(Dated):
    """One shipment over time."""

    VERB, PLACES = ("rules", "history"), ("chip",)
    SAYS = "A chip's status over time: every change and the row behind it."
    EXAMPLE = "chip=h20"

    chip: Chip
    to: To | None = None
    hq: Hq | None = None
    buyer: Buyer | None = None
    begin: Day | None = Field(None, description="First day; default: the chip's announcement, or the first chip rule.")
    until: Day | None = Field(None, description="Last day; default: half a year past the sources.")
    as_known_then: bool | None = Field(None, description="Answer each day with what was public on it.")
    scenario: World | None = None


class RulesMeasure(Dated):
    """What the rules measure of a chip."""

    VERB, PLACES = ("rules", "measure"), ("chip",)
    SAYS = "Total processing performance and density of a chip, with every figure that goes in."
    EXAMPLE = "chip=h20"

    chip: Chip
    use: Use | None = None


class RulesMap(Dated):
    """One chip all over the world."""

    VERB, PLACES = ("rules", "map"), ("chip",)
    SAYS = "Where in the world a chip may go on a day: countries by status."
    EXAMPLE = "chip=h100&on=2025-06-01"

    chip: Chip
    on: On | None = None
    hq: Hq | None = None
    buyer: Buyer | None = None


class RulesTable(Dated):
    """All chips to one buyer."""

    VERB = ("rules", "table")
    SAYS = "Every chip: both gates, the prong that decides or is nearest, the slack."
    EXAMPLE = "to=CN&on=2025-05-01"

    to: To | None = None
    hq: Hq | None = None
    on: On | None = None
    buyer: Buyer | None = None
    scenario: World | None = None


class ChipList(Dated):
    """The catalogue."""

    VERB = ("chip", "list")
    SAYS = "The chips known by a date."
    EXAMPLE = "vendor=Huawei"

    vendor: Name | None = Field(None, description="Only chips of this vendor.")


class ChipShow(Dated):
    """One chip."""

    VERB, PLACES = ("chip", "show"), ("chip",)
    SAYS = "Every figure of a chip with unit, kind, source and dates."
    EXAMPLE = "chip=910c"

    chip: Chip


class ChipCompare(Dated):
    """Chips side by side."""

    VERB, PLACES = ("chip", "compare"), ("chips",)
    SAYS = "Chips side by side, as shares of the first."
    EXAMPLE = "chips=h20&chips=910c"

    chips: Annotated[list[Name], Field(min_length=2, max_length=MOST_CHIPS, description="Chips, the first is the "
                                                                                          "measure.")]


class TokensModel(Question):
    """One model."""

    VERB, PLACES = ("tokens", "model"), ("model",)
    SAYS = "Parameters, memory per token and work per token of a model."
    EXAMPLE = "model=deepseek-r1"

    model: Model
    context: Tokens | None = Field(None, description="Context. [tokens]")


class TokensServe(Drawn):
    """Serving."""

    VERB, PLACES, HEAVY = ("tokens", "serve"), ("model",), True
    SAYS = "Best layout of a model on each chip under a promise, with rate, latency and cost."
    EXAMPLE = "model=deepseek-r1&chip=h20,910c"

    model: Model
    chip: Names | None = Field(None, description="Chip ids or common names, comma between.")
    chips: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}(\.\.[0-9]{1,4})?$")] | None = Field(
        None, description="Chips of a replica, at most; 8..64 compares 8, 16, 32, 64.")
    input: Tokens | None = Field(None, description="Tokens of the prompt.")
    output: Tokens | None = Field(None, description="Tokens of the answer.")
    tpot_ms: Milliseconds | None = Field(None, description="Promised time per output token.")
    ttft_ms: Milliseconds | None = Field(None, description="Promised time to the first token.")
    segment: Segment | None = Field(None, description="Buyer class: cost rows and software.")
    precision: Name | None = Field(None, description="fp8, int8, w4a8, bf16, ...; default: the chip's own.")
    prefix_hit: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="Share of the prompt in a cache.")
    draft: Annotated[int, Field(ge=0, le=64)] | None = Field(None, description="Tokens drafted a step.")
    accept: Annotated[float, Field(ge=1, le=65)] | None = Field(
        None, description="Tokens a step yields, the real one included.")
    split: bool | None = Field(None, description="Prefill and decode on pools of their own.")
    scenario: World | None = None
    set: Sets | None = None


class ClusterGoodput(Drawn):
    """Large jobs."""

    VERB, HEAVY = ("cluster", "goodput"), True
    SAYS = "Share of paid chip-time that a large job keeps, and where the rest goes."
    EXAMPLE = "chip=910b2,910c&chips=4096"

    chip: Names | None = Field(None, description="Chip ids or common names, comma between.")
    chips: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}(\.\.[0-9]{1,6})?$")] | None = Field(
        None, description="Chips of the job; a..b doubles.")
    days: Annotated[float, Field(gt=0, le=1000)] | None = Field(None, description="Length of the run. [days]")
    ladder: Literal["vendor", "full", "none"] | None = Field(None, description="Online recovery.")
    scenario: World | None = None
    set: Sets | None = None


class FabDies(Question):
    """Dies of a wafer."""

    VERB = ("fab", "dies")
    SAYS = "Complete dies on a wafer, exactly, and the reticle fields."
    EXAMPLE = "area_mm2=665.61"

    area_mm2: Annotated[float, Field(ge=4, le=1e5)] | None = Field(None, description="Die area. [mm2]")
    width_mm: Annotated[float, Field(ge=2, le=300)] | None = Field(None, description="Die, across. [mm]")
    height_mm: Annotated[float, Field(ge=2, le=300)] | None = Field(None, description="Die, along. [mm]")
    edge_mm: Annotated[float, Field(ge=0, le=50)] | None = Field(None, description="Edge exclusion. [mm]")
    scribe_mm: Annotated[float, Field(ge=0, le=5)] | None = Field(None, description="Street between dies. [mm]")


class FabYield(Question):
    """Yield."""

    VERB, FLAGS = ("fab", "yield"), {"share": "--yield"}
    SAYS = "Yield of a defect density, or the defect density behind a reported yield of a stated definition."
    EXAMPLE = "area_mm2=665.61&d0_per_cm2=0.2"

    area_mm2: Area | None = None
    d0_per_cm2: Density | None = None
    share: Share | None = Field(None, description="A reported yield, such as 40%.")
    law: Name | None = Field(None, description="Yield law, such as negative-binomial.")
    clustering: Clusters | None = None
    definition: Name | None = Field(None, description="What the yield counts: die.perfect, die.any, through, ...")
    dies: Annotated[int, Field(ge=1, le=64)] | None = Field(None, description="Dies in a package.")
    assembly: Share | None = Field(None, description="Assembly yield, such as 95%.")
    pairing: Name | None = Field(None, description="independent or wafer.")
    cores: Cores | None = None
    need: Annotated[int, Field(ge=0, le=10_000)] | None = Field(None, description="Cores that the bin asks for.")


class FabHarvest(Question):
    """Bins of a die."""

    VERB = ("fab", "harvest")
    SAYS = "How many dies fit which bin, when the cores of a die share its luck."
    EXAMPLE = "d0_per_cm2=0.2"

    cores: Annotated[int, Field(ge=1, le=10_000)] | None = Field(None, description="Cores on the die.")
    need: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,5}(,[0-9]{1,5}){0,7}$")] | None = Field(
        None, description="Cores that each bin asks for, from high to low.")
    area_mm2: Area | None = None
    d0_per_cm2: Density | None = None
    clustering: Clusters | None = None


class FabLine(Story):
    """The line."""

    VERB, PLACES, HEAVY = ("fab", "line"), ("scenario",), True
    SAYS = "By month: wafers, dies, banks, packages, and what binds, on what the reports left of the ranges."
    EXAMPLE = "draws=500"

    no_controls: bool | None = Field(None, description="The world without export controls.")
    close: Annotated[list[Annotated[str, StringConstraints(pattern=r"^[a-z]+=[0-9-]{7,10}$")]],
                     Field(max_length=3)] | None = Field(None, description="GATE=DATE: shut tools, hbm or foundry.")
    until: Day | None = Field(None, description="Last month.")


class Market(Story):
    """The market."""

    VERB, PLACES, HEAVY = ("market",), ("scenario",), True
    SAYS = "Who orders, gets and holds which chips, month by month, and what a cut-off does."
    EXAMPLE = "without=threat"

    without: Annotated[list[Literal["threat", "controls", "local-push"]], Field(max_length=3)] | None = Field(
        None, description="What is left out, on the same draws.")
    event: Annotated[list[Sentence], Field(max_length=6)] | None = Field(
        None, description="A dated what-if: 'on=2025-04-09 gate=us chip=h20 to=licence'.")


class Plan(Story):
    """The plan."""

    VERB, PLACES, HEAVY = ("plan",), ("scenario",), True
    SAYS = "What a buyer should order now and later, what it is worth, when it fails."
    EXAMPLE = "scenario=hospital-group&scenarios=60"

    scenarios: Annotated[int, Field(ge=10, le=150)] | None = Field(None, description="Futures in the program.")
    decide_until: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}[Q-][0-9]{1,2}$")] | None = Field(
        None, description="Last quarter decided here and now.")
    tail: Annotated[float, Field(ge=0, lt=1)] | None = Field(None, description="Level of the tail of cost.")
    tail_weight: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Weight of the tail against the mean.")


class EvidenceOf(Story):
    """The posterior."""

    VERB, PLACES, HEAVY = ("evidence",), ("scenario",), True
    SAYS = "Prior against posterior of every hidden quantity, and what each report was read as."
    EXAMPLE = "draws=1000"


class Explain(Drawn):
    """A claim."""

    VERB, PLACES, HEAVY = ("explain",), ("claim",), True
    SAYS = "What must be true for a claim: an id of the news, or NAME OP VALUE such as '910c.yield >= 40%'."
    EXAMPLE = "claim=plan-400k&draws=1000"

    claim: Sentence = Field(description="Claim id, or NAME OP VALUE.")
    scenario: World | None = None


class Compare(Question):
    """Two scenarios."""

    VERB, PLACES, HEAVY = ("compare",), ("first", "second"), True
    SAYS = "Two scenarios on common luck: the effect with its interval."
    EXAMPLE = "first=february-2025&second=platform&draws=500"

    first: Annotated[Name, Field(description="A shipped scenario.")]
    second: Annotated[Name, Field(description="The other one.")]
    draws: Draws | None = None
    seed: Seed | None = None


QUESTIONS: dict[str, type[Question]] = {"/".join(q.VERB): q for q in (
    RulesCheck, RulesHistory, RulesMeasure, RulesMap, RulesTable, ChipList, ChipShow, ChipCompare, TokensModel,
    TokensServe, ClusterGoodput, FabDies, FabYield, FabHarvest, FabLine, Market, Plan, EvidenceOf, Explain, Compare)}
"""Every question by its path below `/api/`."""
