"""Two gates: what a US permit and a Chinese permit say of one shipment on one day, as known by a date.

A hit is one layer looked at; a gate's answer is the strictest consequence of all that hold. Where a figure is
unknown a layer may hold, and the answer is a range; where both ends agree it is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from chipcast.base.catalog import Catalogue
from chipcast.base.choose import choose
from chipcast.rules.expr import Label, Reason, prongs, reason, slack, truth, without_upper
from chipcast.rules.measure import Figures
from chipcast.rules.place import ARMS, MAINLAND, Place
from chipcast.rules.record import CN_WORDS, US_WORDS
from chipcast.rules.rule import Layer, known_layers

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """One layer that was looked at."""

    layer: Layer
    """The layer."""
    assessment: Assessment
    """What its test says."""
    low: str
    """Mildest consequence that it may have."""
    high: str
    """Strictest consequence that it may have."""
    state: str
    """yes or doubtful."""
    through: str
    """destination, headquarters, buyer or policy."""
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
    min_domestic_share: float = 0.0
    """Least share of domestic chips. [1]"""
    why: str = ""
    """Reason in words where no layer decides."""
    disputed: tuple[str, ...] = field(default=())
    """Where sources differ on the word."""


FREE = Answer(word="free", low="free", high="free", decided_by="", prong="", reason=NO_REASON, slack_low=math.nan,
              slack_high=math.nan, slack_tier_a=math.nan, enforced="", hits=(), looked_at=())
"""A gate that has nothing to say."""

NAMED = Assessment(True, True, (), NO_REASON, math.nan, math.nan, math.nan, math.nan)
"""What holds because the text names it, at no distance from any line."""

Assess = Callable[[Layer], Assessment]


def assessor(figures: Figures, *, from_us: bool = True) -> Assess:
    """Return a function that tests layers on one chip and remembers what it found."""
    values = figures.values(from_us=from_us)
    memo: dict[str, Assessment] = {}

    def assess(layer: Layer) -> Assessment:
        if layer.rule_id not in memo:
            memo[layer.rule_id] = _assess(layer, figures, values)
        return memo[layer.rule_id]

    return assess


def _assess(layer: Layer, figures: Figures, values: Mapping[str, tuple[float, float]]) -> Assessment:
    named = figures.id in layer.parts
    if layer.test is None:
        caught = named if layer.parts else True
        return replace(NAMED, sure=caught, may=caught, prongs=("named",) if named else ())
    sure, may = (bool(x) for x in truth(layer.test, values))
    own = [float(x) for x in slack(layer.test, values)]
    wide = None if layer.form == "policy" else without_upper(layer.test)
    low, high = own if wide is None else [float(x) for x in slack(wide, values)]
    parts = prongs(layer.test)
    holding = tuple(k for k, v in parts.items() if bool(truth(v, values)[0]))
    if sure and holding and layer.form != "letter":
        why = reason(Label(holding[0], parts[holding[0]]), values)
    else:
        why = reason(layer.test if sure or wide is None else wide, values, end=1 if sure or not may else 0)
    return Assessment(sure or named, may or named, holding, why, low, high, own[0], own[1])


def _worst(gate: tuple[str, ...], words: list[str]) -> str:
    return max(words, key=gate.index, default="free")


def live_layers(catalog: Catalogue, on: date) -> tuple[Layer, ...]:
    """Return the layers that bind on a day, as known by the catalogue's date."""
    return tuple(x for x in known_layers(catalog) if x.phase(on, catalog.as_of) == "binding")


def _any_vendor(layer: Layer, figures: Figures) -> bool:
    return not layer.addressees or figures.vendor in layer.addressees


def _addressees(layer: Layer, figures: Figures) -> bool:
    return figures.vendor in layer.addressees or figures.id in layer.parts


LETTER_SCOPE = {"general": _any_vendor, "addressee_only": _addressees}
"""Whom a letter binds: by default the April 2025 thresholds bind every vendor, since three were hit by one set."""

HQ_RULE = ("as_enforced", "as_text", "off")
"""How the headquarters rule is read: with doubt shown where it was not applied, as the text says, or not at all."""


def us_gate(catalog: Catalogue, ask: Shipment, *, assess: Assess | None = None, hq_rule: str = "as_enforced",
            letter_scope: str = "general", live: Sequence[Layer] | None = None) -> Answer:
    """Return what the US gate says of a shipment on a day, as known by the catalogue's date.

    Parameters
    ----------
    catalog : Catalogue
        Rows known by the information date.
    ask : Shipment
        Chip, destination, headquarters, day, buyer.
    assess : function, optional
        Test results of the chip that another call has already found.
    hq_rule, letter_scope : str
        Entries of `HQ_RULE` and `LETTER_SCOPE`.
    live : sequence of Layer, optional
        Layers that bind on the day, where another call has already found them.

    Sources: rules.csv, row by row.
    """
    choose({k: k for k in HQ_RULE}, hq_rule, "reading of the headquarters rule")
    letter_binds = choose(LETTER_SCOPE, letter_scope, "scope of letters")
    figures, assess = ask.figures, assess or assessor(ask.figures, from_us=ask.from_us)
    if "US" in ask.to.groups:
        return replace(FREE, why="a delivery inside the United States is no export")
    inside = ask.to.code in MAINLAND or ask.to.code == "MO"
    if figures.domestic and inside:
        return replace(FREE, why="a Chinese chip inside China meets no US gate; what stops it is upstream")
    subject = "prc_chip" if figures.domestic else "chip"
    found_live = live_layers(catalog, ask.on) if live is None else live
    binding = {x.rule_id: x for x in found_live if x.gate == "us"}
    hq = next((x for x in binding.values() if x.subject == "hq"), None) if hq_rule != "off" else None
    hits: list[Hit] = []
    looked: list[tuple[Layer, Assessment]] = []
    lines: list[Assessment] = []
    for layer in binding.values():
        if layer.subject != subject or layer.form == "policy":
            continue
        if layer.form == "letter" and not letter_binds(layer, figures):
            continue
        ways = _ways(layer, ask, hq, catalog, hq_rule)
        if not ways:
            continue
        found = assess(layer)
        looked.append((layer, found))
        if not math.isnan(found.low):
            lines.append(found)
        if found.may:
            for through, group_words, state in ways:
                hits.append(_with_policy(layer, found, through, layer.word(*group_words), state, binding, ask, assess,
                                         catalog))
    buyer = [] if figures.domestic else _buyer_hits(binding, ask, catalog)
    return _answer(US_WORDS, hits, buyer, looked, lines)


def _ways(layer: Layer, ask: Shipment, hq: Layer | None, catalog: Catalogue,
          hq_rule: str) -> list[tuple[str, tuple[str, ...], str]]:
    """Return how a layer reaches a buyer: (through, groups for the word, enforcement)."""
    state = layer.state(ask.on, catalog.as_of)
    out = []
    if layer.reaches(ask.to.groups, ask.on):
        out.append(("destination", (*[g for g in ARMS if g in ask.to.groups], *sorted(ask.to.groups)), state))
    seat = ask.hq.arms_group
    if not seat or (out and ask.hq.code == ask.to.code):
        return out
    if hq is not None and layer.rule_id in hq.modifies:
        doubt = hq.state(ask.on, catalog.as_of) if hq_rule == "as_enforced" else "yes"
        out.append(("headquarters", (seat,), doubt))
    elif "HQ" in layer.scope and layer.reaches(ask.hq.groups, ask.on):
        out.append(("headquarters", (seat,), state))
    return out


def _with_policy(layer: Layer, found: Assessment, through: str, word: str, state: str, live: Mapping[str, Layer],
                 ask: Shipment, assess: Assess, catalog: Catalogue) -> Hit:
    """Return a hit with the consequence that a review policy may have changed."""
    low = high = word
    by = layer.rule_id
    for policy in live.values():
        if policy.form != "policy" or layer.rule_id not in policy.modifies or through != "destination":
            continue
        if not policy.reaches(ask.to.groups, ask.on):
            continue
        met = assess(policy)
        milder = policy.word(*ask.to.groups)
        if met.sure:
            low = high = milder
            by, state = policy.rule_id, policy.state(ask.on, catalog.as_of)
        elif met.may:
            low = min(low, milder, key=US_WORDS.index)
    return Hit(layer=layer, assessment=found, low=low if found.sure else "free", high=high, state=state,
               through=through, by=by)


def _buyer_hits(live: Mapping[str, Layer], ask: Shipment, catalog: Catalogue) -> list[Hit]:
    """Return the entity layers that name the buyer, or reach it through its owners."""
    out = []
    values = {"owned_by_listed": (ask.owned_by_listed, ask.owned_by_listed)}
    for layer in live.values():
        named = layer.subject == "entity" and ask.entity in layer.addressees
        owned = layer.subject == "affiliate" and layer.test is not None and bool(truth(layer.test, values)[0])
        if named or owned:
            found = replace(NAMED, prongs=("buyer",))
            word = layer.word(*ask.to.groups)
            out.append(Hit(layer=layer, assessment=found, low=word, high=word,
                           state=layer.state(ask.on, catalog.as_of), through="buyer", by=layer.rule_id))
    return out


def _answer(gate: tuple[str, ...], hits: list[Hit], buyer: list[Hit], looked: list[tuple[Layer, Assessment]],
            lines: list[Assessment]) -> Answer:
    every = [*buyer, *hits]
    low = _worst(gate, [h.low for h in every])
    high = _worst(gate, [h.high for h in every])
    slack_low = min((a.low for a in lines), default=math.nan)
    slack_high = min((a.high for a in lines), default=math.nan)
    tier = [h.assessment for h in hits if h.layer.rule_id == "US-3A090A-2023"]
    tier_slack = tier[0].high if tier else math.nan
    common = {"low": low, "high": high, "slack_low": slack_low, "slack_high": slack_high, "slack_tier_a": tier_slack,
              "hits": tuple(every), "looked_at": tuple(looked)}
    if low == high == "free":
        nearest = min(lines, key=lambda a: a.high, default=None)
        why = nearest.reason if nearest else NO_REASON
        text = ""
        if every:
            caught = "covered by" if every[0].assessment.sure else "even if covered by"
            text = f"{caught} {every[0].layer.rule_id}, whose exception needs no notice here"
        return Answer(word="free", decided_by="", prong=why.prong, reason=why, enforced="", why=text, **common)  # type: ignore[arg-type]
    word = low if low == high else "unknown"
    pool = buyer or [h for h in every if (h.low if low == high else h.high) == (low if low == high else high)]
    first = min(pool, key=lambda h: (h.state != "yes", h.layer.form == "letter", h.layer.rule_id))
    disputed = tuple(dict.fromkeys(h.layer.disputed for h in every if h.layer.disputed))
    prong = first.assessment.reason.prong or ", ".join(first.assessment.prongs[:1])
    return Answer(word=word, decided_by=first.by, prong=prong, reason=first.assessment.reason, enforced=first.state,
                  disputed=disputed, **common)  # type: ignore[arg-type]


def cn_touches(live: Sequence[Layer], figures: Figures, code: str, segment: str) -> bool:
    """Return whether any Chinese row in force has a word for this chip and buyer class; else the gate is free."""
    if code != "CN" or figures.domestic:
        return False
    return any(x.gate == "cn" and x.word(segment) and (x.subject == "share" or figures.id in x.parts) for x in live)


def cn_gate(catalog: Catalogue, ask: Shipment, *, live: Sequence[Layer] | None = None) -> Answer:
    """Return what the Chinese gate says of a shipment on a day, by buyer class, as known by the catalogue's date.

    Hardly any of it is public text: rows hold what was reported, and one that was not applied never decides.

    Sources: rules.csv, row by row.
    """
    if ask.to.code != "CN":
        return replace(FREE, why="the Chinese gate stands at China's border only")
    if ask.figures.domestic:
        return replace(FREE, why="a domestic chip meets no Chinese gate")
    share = 0.0
    every: list[Hit] = []
    looked: list[tuple[Layer, Assessment]] = []
    for layer in live_layers(catalog, ask.on) if live is None else live:
        if layer.gate != "cn" or layer.subject not in ("chip", "share"):
            continue
        if not ({"CN", ask.region} & set(layer.scope)):
            continue
        word = layer.word(ask.segment)
        if layer.subject == "share" and word:
            share = max(share, layer.share)
        caught = bool(word) and (layer.subject == "share" or ask.figures.id in layer.parts)
        found = replace(NAMED, sure=caught, may=caught, prongs=("named",) if ask.figures.id in layer.parts else ())
        looked.append((layer, found))
        if not caught:
            continue
        state = layer.state(ask.on, catalog.as_of)
        weak = state != "yes"
        every.append(Hit(layer=layer, assessment=found, low="free" if weak else word, high="free" if weak else word,
                         state=state, through="buyer class", by=layer.rule_id))
    answer = _answer(CN_WORDS, every, [], looked, [])
    return replace(answer, min_domestic_share=share, why="" if answer.word != "free" else
                   "no Chinese rule found for this class and chip")


__all__ = ["HQ_RULE", "LETTER_SCOPE", "Answer", "Assessment", "Hit", "Shipment", "assessor", "cn_gate", "cn_touches",
           "live_layers", "us_gate"]
