"""Every question that may be asked over HTTP, verb by verb."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from chipcast.web.ask import (
    MOST_CHIPS,
    Dated,
    Day,
    Drawn,
    Draws,
    Milliseconds,
    Name,
    Names,
    Question,
    Seed,
    Segment,
    Sentence,
    Sets,
    Share,
    Story,
    Tokens,
)


class RulesCheck(Dated):
    """One shipment."""

    VERB, PLACES, FLAGS = ("rules", "check"), ("chip",), {"origin": "--from"}
    SAYS = "Whether a chip may go to a buyer on a day: both gates, the rule that decides, the slack."
    EXAMPLE = "chip=h20&to=CN&on=2025-05-01"

    chip: Name = Field(description="Chip id or common name.")
    to: Name | None = Field(None, description="Destination: code or name.")
    hq: Name | None = Field(None, description="Seat of the buyer's parent.")
    on: Day | None = Field(None, description="Day of the shipment.")
    buyer: Name | None = Field(None, description="Buyer class.")
    use: Literal["datacenter", "other"] | None = None
    origin: Name | None = Field(None, description="Where it is exported from.")
    entity: Name | None = Field(None, description="Buyer named on the Entity List.")
    owned_by_listed: Annotated[float, Field(ge=0, le=1)] | None = None
    region: Name | None = None
    hq_rule: Literal["as_enforced", "as_text", "off"] | None = None
    scenario: Name | None = None


class RulesHistory(Dated):
    """One shipment over time."""

    VERB, PLACES = ("rules", "history"), ("chip",)
    SAYS = "A chip's status over time: every change and the row behind it."
    EXAMPLE = "chip=h20"

    chip: Name
    to: Name | None = None
    hq: Name | None = None
    buyer: Name | None = None
    begin: Day | None = None
    until: Day | None = None
    as_known_then: bool | None = None
    scenario: Name | None = None


class RulesMeasure(Dated):
    """What the rules measure of a chip."""

    VERB, PLACES = ("rules", "measure"), ("chip",)
    SAYS = "Total processing performance and density of a chip, with every figure that goes in."
    EXAMPLE = "chip=h20"

    chip: Name
    use: Literal["datacenter", "other"] | None = None


class RulesMap(Dated):
    """One chip all over the world."""

    VERB, PLACES = ("rules", "map"), ("chip",)
    SAYS = "Where in the world a chip may go on a day: countries by status."
    EXAMPLE = "chip=h100&on=2025-06-01"

    chip: Name
    on: Day | None = None
    hq: Name | None = None
    buyer: Name | None = None


class RulesTable(Dated):
    """All chips to one buyer."""

    VERB = ("rules", "table")
    SAYS = "Every chip: both gates, the prong that decides or is nearest, the slack."
    EXAMPLE = "to=CN&on=2025-05-01"

    to: Name | None = None
    hq: Name | None = None
    on: Day | None = None
    buyer: Name | None = None
    scenario: Name | None = None


class ChipList(Dated):
    """The catalogue."""

    VERB = ("chip", "list")
    SAYS = "The chips known by a date."
    EXAMPLE = "vendor=Huawei"

    vendor: Name | None = None


class ChipShow(Dated):
    """One chip."""

    VERB, PLACES = ("chip", "show"), ("chip",)
    SAYS = "Every figure of a chip with unit, kind, source and dates."
    EXAMPLE = "chip=910c"

    chip: Name


class ChipCompare(Dated):
    """Chips side by side."""

    VERB, PLACES = ("chip", "compare"), ("chips",)
    SAYS = "Chips side by side, as shares of the first."
    EXAMPLE = "chips=h20&chips=910c"

    chips: Annotated[list[Name], Field(min_length=2, max_length=MOST_CHIPS)]


class TokensModel(Question):
    """One model."""

    VERB, PLACES = ("tokens", "model"), ("model",)
    SAYS = "Parameters, memory per token and work per token of a model."
    EXAMPLE = "model=deepseek-r1"

    model: Name
    context: Tokens | None = None


class TokensServe(Drawn):
    """Serving."""

    VERB, PLACES, HEAVY = ("tokens", "serve"), ("model",), True
    SAYS = "Best layout of a model on each chip under a promise, with rate, latency and cost."
    EXAMPLE = "model=deepseek-r1&chip=h20,910c"

    model: Name = Field(description="A shipped model.")
    chip: Names | None = Field(None, description="Chip ids or common names, comma between.")
    chips: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}(\.\.[0-9]{1,4})?$")] | None = Field(
        None, description="Chips of a replica, at most; 8..64 compares 8, 16, 32, 64.")
    input: Tokens | None = Field(None, description="Tokens of the prompt.")
    output: Tokens | None = Field(None, description="Tokens of the answer.")
    tpot_ms: Milliseconds | None = Field(None, description="Promised time per output token.")
    ttft_ms: Milliseconds | None = Field(None, description="Promised time to the first token.")
    segment: Segment | None = None
    precision: Name | None = None
    prefix_hit: Annotated[float, Field(ge=0, lt=1)] | None = None
    draft: Annotated[int, Field(ge=0, le=64)] | None = None
    accept: Annotated[float, Field(ge=1, le=65)] | None = None
    split: bool | None = Field(None, description="Prefill and decode on pools of their own.")
    scenario: Name | None = None
    set: Sets | None = None


class ClusterGoodput(Drawn):
    """Large jobs."""

    VERB, HEAVY = ("cluster", "goodput"), True
    SAYS = "Share of paid chip-time that a large job keeps, and where the rest goes."
    EXAMPLE = "chip=910b2,910c&chips=4096"

    chip: Names | None = None
    chips: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}(\.\.[0-9]{1,6})?$")] | None = None
    days: Annotated[float, Field(gt=0, le=1000)] | None = None
    ladder: Literal["vendor", "full", "none"] | None = None
    scenario: Name | None = None
    set: Sets | None = None


class FabDies(Question):
    """Dies of a wafer."""

    VERB = ("fab", "dies")
    SAYS = "Complete dies on a wafer, exactly, and the reticle fields."
    EXAMPLE = "area_mm2=665.61"

    area_mm2: Annotated[float, Field(ge=4, le=1e5)] | None = None
    width_mm: Annotated[float, Field(ge=2, le=300)] | None = None
    height_mm: Annotated[float, Field(ge=2, le=300)] | None = None
    edge_mm: Annotated[float, Field(ge=0, le=50)] | None = None
    scribe_mm: Annotated[float, Field(ge=0, le=5)] | None = None


class FabYield(Question):
    """Yield."""

    VERB, FLAGS = ("fab", "yield"), {"share": "--yield"}
    SAYS = "Yield of a defect density, or the defect density behind a reported yield of a stated definition."
    EXAMPLE = "area_mm2=665.61&d0_per_cm2=0.2"

    area_mm2: Annotated[float, Field(gt=0, le=1e5)] | None = None
    d0_per_cm2: Annotated[float, Field(ge=0, le=1000)] | None = None
    share: Share | None = Field(None, description="A reported yield, such as 40%.")
    law: Name | None = None
    clustering: Annotated[float, Field(gt=0, le=1e6)] | None = None
    definition: Name | None = None
    dies: Annotated[int, Field(ge=1, le=64)] | None = None
    assembly: Share | None = None
    pairing: Name | None = None
    cores: Annotated[int, Field(ge=0, le=10_000)] | None = None
    need: Annotated[int, Field(ge=0, le=10_000)] | None = None


class FabHarvest(Question):
    """Bins of a die."""

    VERB = ("fab", "harvest")
    SAYS = "How many dies fit which bin, when the cores of a die share its luck."
    EXAMPLE = "d0_per_cm2=0.2"

    cores: Annotated[int, Field(ge=1, le=10_000)] | None = None
    need: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,5}(,[0-9]{1,5}){0,7}$")] | None = None
    area_mm2: Annotated[float, Field(gt=0, le=1e5)] | None = None
    d0_per_cm2: Annotated[float, Field(ge=0, le=1000)] | None = None
    clustering: Annotated[float, Field(gt=0, le=1e6)] | None = None


class FabLine(Story):
    """The line."""

    VERB, PLACES, HEAVY = ("fab", "line"), ("scenario",), True
    SAYS = "By month: wafers, dies, banks, packages, and what binds, on what the reports left of the ranges."
    EXAMPLE = "draws=500"

    no_controls: bool | None = Field(None, description="The world without export controls.")
    close: Annotated[list[Annotated[str, StringConstraints(pattern=r"^[a-z]+=[0-9-]{7,10}$")]],
                     Field(max_length=3)] | None = Field(None, description="GATE=DATE: shut tools, hbm or foundry.")
    until: Day | None = None


class Market(Story):
    """The market."""

    VERB, PLACES, HEAVY = ("market",), ("scenario",), True
    SAYS = "Who orders, gets and holds which chips, month by month, and what a cut-off does."
    EXAMPLE = "without=threat"

    without: Annotated[list[Literal["threat", "controls", "local-push"]], Field(max_length=3)] | None = None
    event: Annotated[list[Sentence], Field(max_length=6)] | None = Field(
        None, description="A dated what-if: 'on=2025-04-09 gate=us chip=h20 to=licence'.")


class Plan(Story):
    """The plan."""

    VERB, PLACES, HEAVY = ("plan",), ("scenario",), True
    SAYS = "What a buyer should order now and later, what it is worth, when it fails."
    EXAMPLE = "scenario=hospital-group&scenarios=60"

    scenarios: Annotated[int, Field(ge=10, le=150)] | None = Field(None, description="Futures in the program.")
    decide_until: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}[Q-][0-9]{1,2}$")] | None = None
    tail: Annotated[float, Field(ge=0, lt=1)] | None = None
    tail_weight: Annotated[float, Field(ge=0, le=1)] | None = None


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
    scenario: Name | None = None


class Compare(Question):
    """Two scenarios."""

    VERB, PLACES, HEAVY = ("compare",), ("first", "second"), True
    SAYS = "Two scenarios on common luck: the effect with its interval."
    EXAMPLE = "first=february-2025&second=platform&draws=500"

    first: Name
    second: Name
    draws: Draws | None = None
    seed: Seed | None = None


QUESTIONS: dict[str, type[Question]] = {"/".join(q.VERB): q for q in (
    RulesCheck, RulesHistory, RulesMeasure, RulesMap, RulesTable, ChipList, ChipShow, ChipCompare, TokensModel,
    TokensServe, ClusterGoodput, FabDies, FabYield, FabHarvest, FabLine, Market, Plan, EvidenceOf, Explain, Compare)}
"""Every question by its path below `/api/`."""
