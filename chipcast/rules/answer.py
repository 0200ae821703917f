"""What is asked of a gate, what one layer says, and what the gate answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date

from chipcast.rules.distance import Reason
from chipcast.rules.measure import Figures
from chipcast.rules.place import Place
from chipcast.rules.rule import Layer

NO_REASON = Reason(math.nan, "", (), "", math.nan)
"""A layer without a line, such as one that names parts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shipment:
    """What is asked: which chip goes where, to whom, and when."""

    figures: Figures
    """The chip."""
    to: Place
    """Destination."""
    hq: Place
    """Seat of the buyer's headquarters or ultimate parent."""
    on: date
    """Day of the shipment."""
    from_us: bool = True
    """Whether it is exported from the United States."""
    segment: str = "platform"
    """Buyer class."""
    entity: str = ""
    """Name of the buyer where it may be listed, as in `rules.csv`."""
    owned_by_listed: float = 0.0
    """Share of the buyer that listed parties own. [1]"""
    region: str = ""
    """Place inside China, for local rules."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a layer's test says of a chip, whatever the day."""

    sure: bool
    """Whether it holds for certain."""
    may: bool
    """Whether it may hold."""
    prongs: tuple[str, ...]
    """Prongs that hold for certain, in the order of the text."""
    reason: Reason
    """Which comparison decides."""
    low: float
    """Low end of the slack to leave this tier and all milder ones. [1]"""
    high: float
    """High end. [1]"""
    own_low: float
    """Low end of the slack to leave this tier alone. [1]"""
    own_high: float
    """High end. [1]"""


NAMED = Assessment(True, True, (), NO_REASON, math.nan, math.nan, math.nan, math.nan)
"""What holds because the text names it, at no distance from any line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """One layer that holds or may hold."""

    layer: Layer
    """The layer."""
    assessment: Assessment
    """What its test says."""
    word: str
    """Consequence by the layer's own text."""
    eased: tuple[tuple[Layer, str], ...]
    """Review policies that may change the word, and to what."""
    low: str
    """Mildest consequence that it may have."""
    high: str
    """Strictest consequence that it may have."""
    state: str
    """yes or doubtful."""
    through: str
    """destination, headquarters, buyer, buyer class or place."""
    by: str
    """Row that the consequence is read from, where a policy changed it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What one gate says."""

    word: str
    """Consequence; unknown where the range has two ends."""
    low: str
    """Mildest possible."""
    high: str
    """Strictest possible."""
    possible: tuple[str, ...]
    """All words that the open figures allow, the mildest first."""
    decided_by: str
    """Row that decides; empty where free."""
    prong: str
    """Prong that decides, or the nearest one where free."""
    reason: Reason
    """Comparison behind it."""
    slack_low: float
    """Low end of the distance to freedom or to the nearest line. [1]"""
    slack_high: float
    """High end. [1]"""
    slack_tier_a: float
    """Slack to leave the strictest tier, not-a-number where there is none. [1]"""
    enforced: str
    """yes, doubtful or empty."""
    hits: tuple[Hit, ...]
    """All layers that hold or may hold."""
    looked_at: tuple[tuple[Layer, Assessment], ...]
    """Layers in force and in scope, with what their tests say."""
    reviewed: tuple[tuple[Layer, Assessment], ...] = ()
    """Rows that act on others: review policies that were tested, the headquarters rule where it carries the need."""
    needs: tuple[str, ...] = ()
    """Open figures that leave the word open."""
    min_domestic_share: float = 0.0
    """Least share of domestic chips. [1]"""
    why: str = ""
    """Reason in words where no layer decides."""
    disputed: tuple[str, ...] = field(default=())
    """Where sources differ on the word."""


FREE = Answer(word="free", low="free", high="free", possible=("free",), decided_by="", prong="", reason=NO_REASON,
              slack_low=math.nan, slack_high=math.nan, slack_tier_a=math.nan, enforced="", hits=(), looked_at=())
"""A gate that has nothing to say."""
