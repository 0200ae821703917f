"""Two gates: what a US permit and a Chinese permit say of one shipment on one day, as known by a date.

A hit is one layer that holds or may hold; a gate's answer is the strictest consequence of all that hold. Where a
figure is unknown a layer may hold, and the answer is a range; where all that is possible is one word it is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chipcast.base.catalog import Catalogue
from chipcast.base.choose import choose
from chipcast.rules.answer import FREE, NAMED, NO_REASON, Answer, Assessment, Hit, Shipment
from chipcast.rules.assess import BY_NAME, Assessor, assessor
from chipcast.rules.expr import names_in, truth
from chipcast.rules.measure import Figures
from chipcast.rules.place import ARMS, MAINLAND
from chipcast.rules.record import CN_WORDS, US_WORDS
from chipcast.rules.rule import Layer, all_tests, known_layers, live_layers


def _any_vendor(layer: Layer, figures: Figures) -> bool:
    return not layer.addressees or figures.vendor.upper() in layer.addressees


def _addressees(layer: Layer, figures: Figures) -> bool:
    return figures.vendor.upper() in layer.addressees or figures.id in layer.parts


LETTER_SCOPE = {"general": _any_vendor, "addressee_only": _addressees}
"""Whom a letter binds: by default the April 2025 thresholds bind every vendor, since three were hit by one set."""

HQ_RULE = ("as_enforced", "as_text", "off")
"""How the headquarters rule is read: with doubt shown where it was not applied, as the text says, or not at all."""


def us_gate(catalog: Catalogue, ask: Shipment, *, assess: Assessor | None = None, hq_rule: str = "as_enforced",
            letter_scope: str = "general", live: Sequence[Layer] | None = None) -> Answer:
    """Return what the US gate says of a shipment on a day, as known by the catalogue's date.

    Parameters
    ----------
    catalog : Catalogue
        Rows known by the information date.
    ask : Shipment
        Chip, destination, headquarters, day, buyer.
    assess : Assessor, optional
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
    places = [] if figures.domestic else _place_hits(binding, ask, catalog)
    answer = replace(_answer(US_WORDS, [*buyer, *hits], buyer, looked, lines),
                     reviewed=_reviewed(hits, binding, hq, ask, assess))
    if answer.low != answer.high:
        answer = _refined(answer, [*buyer, *hits], assess, catalog)
    if places and "free" in answer.possible:
        return _not_free(answer, places)
    return answer


def _ways(layer: Layer, ask: Shipment, hq: Layer | None, catalog: Catalogue,
          hq_rule: str) -> list[tuple[str, tuple[str, ...], str]]:
    """Return how a layer reaches a buyer: (through, groups for the word, enforcement)."""
    state = layer.state(ask.on, catalog.as_of)
    out = []
    if layer.reaches(ask.to.groups, ask.on):
        out.append(("destination", (*[g for g in ARMS if g in ask.to.groups], *sorted(ask.to.groups)), state))
    seat = ask.hq.arms_group
    if not seat or (out and (ask.hq.code == ask.to.code or ask.to.arms_group)):
        return out  # a delivery into D:5 or Macau needs the licence by its place already
    if hq is not None and layer.rule_id in hq.modifies:
        doubt = hq.state(ask.on, catalog.as_of) if hq_rule == "as_enforced" else "yes"
        out.append(("headquarters", (seat,), doubt))
    elif "HQ" in layer.scope and layer.reaches(ask.hq.groups, ask.on):
        out.append(("headquarters", (seat,), state))
    return out


def _with_policy(layer: Layer, found: Assessment, through: str, word: str, state: str, live: Mapping[str, Layer],
                 ask: Shipment, assess: Assessor, catalog: Catalogue) -> Hit:
    """Return a hit with the consequence that a review policy may have changed."""
    low = high = word
    by = layer.rule_id
    eased = []
    for policy in live.values():
        if policy.form != "policy" or layer.rule_id not in policy.modifies or through != "destination":
            continue
        if not policy.reaches(ask.to.groups, ask.on):
            continue
        met = assess(policy)
        milder = policy.word(*ask.to.groups)
        if met.may:
            eased.append((policy, milder))
        if met.sure:
            low = high = milder
            by, state = policy.rule_id, policy.state(ask.on, catalog.as_of)
        elif met.may:
            low = min(low, milder, key=US_WORDS.index)
    return Hit(layer=layer, assessment=found, word=word, eased=tuple(eased), low=low if found.sure else "free",
               high=high, state=state, through=through, by=by)


def _reviewed(hits: list[Hit], live: Mapping[str, Layer], hq: Layer | None, ask: Shipment,
              assess: Assessor) -> tuple[tuple[Layer, Assessment], ...]:
    """Return the rows that act on the rows that hit, with what their tests say."""
    out = [(p, assess(p)) for p in live.values() if p.form == "policy" and p.reaches(ask.to.groups, ask.on)
           and any(h.layer.rule_id in p.modifies and h.through == "destination" for h in hits)]
    carried = hq is not None and any(h.through == "headquarters" and h.layer.rule_id in hq.modifies for h in hits)
    return (*out, *([(hq, NAMED)] if carried and hq is not None else []))


def _buyer_hits(live: Mapping[str, Layer], ask: Shipment, catalog: Catalogue) -> list[Hit]:
    """Return the entity layers that name the buyer, or reach it through its owners."""
    out = []
    values = {"owned_by_listed": (ask.owned_by_listed, ask.owned_by_listed)}
    lapsed = [x for x in known_layers(catalog) if ask.owned_by_listed and x.subject == "affiliate"
              and x.phase(ask.on, catalog.as_of) == "unknown"]
    for layer in (*live.values(), *lapsed):
        named = layer.subject == "entity" and ask.entity in layer.addressees
        owned = layer.subject == "affiliate" and layer.test is not None and bool(truth(layer.test, values)[0])
        if named or owned:
            found = replace(NAMED, sure=layer not in lapsed, prongs=("buyer",))
            word = layer.word(*ask.to.groups)
            out.append(Hit(layer=layer, assessment=found, word=word, eased=(), low=word if found.sure else "free",
                           high=word, state=layer.state(ask.on, catalog.as_of), through="buyer", by=layer.rule_id))
    return out


def _place_hits(live: Mapping[str, Layer], ask: Shipment, catalog: Catalogue) -> list[Hit]:
    """Return the controls on a whole place whose text is not in the rows: they may stop any chip."""
    return [Hit(layer=x, assessment=replace(NAMED, sure=False), word=x.word(*ask.to.groups), eased=(), low="free",
                high=x.word(*ask.to.groups), state=x.state(ask.on, catalog.as_of), through="place", by=x.rule_id)
            for x in live.values() if x.subject == "place" and x.reaches(ask.to.groups, ask.on)]


def _not_free(answer: Answer, places: list[Hit]) -> Answer:
    """Return the answer where no row may catch a chip but a text outside the rows may stop it: never free."""
    words = {*answer.possible, *(h.high for h in places)}
    possible = tuple(w for w in US_WORDS if w in words)
    return replace(answer, word="unknown", low=possible[0], high=possible[-1], possible=possible, why="",
                   decided_by=places[0].by, prong="", reason=NO_REASON, enforced=places[0].state,
                   hits=(*answer.hits, *places))


def _refined(answer: Answer, hits: list[Hit], assess: Assessor, catalog: Catalogue) -> Answer:
    """Return the answer with the words that are really possible: layers hold together, since a chip has one figure."""
    tests = all_tests(catalog)
    strictest: Any = np.zeros(1, np.int8)
    for h in hits:
        if h.through == "buyer":
            codes: Any = np.array([US_WORDS.index(w) for w in dict.fromkeys((h.low, h.high))], np.int8)
            strictest = np.maximum.outer(codes, strictest).ravel()
            continue
        word: Any = np.int8(US_WORDS.index(h.word))
        for policy, milder in h.eased:
            word = np.where(assess.at_points(policy, tests), np.int8(US_WORDS.index(milder)), word)
        strictest = np.maximum(strictest, np.where(assess.at_points(h.layer, tests), word, np.int8(0)))
    found = set(np.unique(strictest).tolist())
    possible = tuple(US_WORDS[i] for i in sorted(found))
    needs = tuple(dict.fromkeys(n for h in hits for n in _open_names(h, assess.figures)))
    if len(possible) > 1:
        return replace(answer, word="unknown", low=possible[0], high=possible[-1], possible=possible, needs=needs)
    word = possible[0]
    if word == "free":
        return replace(answer, word=word, low=word, high=word, possible=possible, decided_by="", enforced="")
    first = _first([h for h in hits if word in (h.low, h.high, h.word)] or hits)
    return replace(answer, word=word, low=word, high=word, possible=possible, decided_by=first.by,
                   prong=first.assessment.reason.prong, reason=first.assessment.reason, enforced=first.state)


def _open_names(hit: Hit, figures: Figures) -> list[str]:
    """Return the figures that leave it open whether a layer holds, by the names of `Figures`."""
    values = figures.values()
    asked = [hit.layer] if hit.assessment.may and not hit.assessment.sure else []
    out = []
    for layer in (*asked, *(policy for policy, _ in hit.eased)):
        if layer.test is None:
            continue
        for name in names_in(layer.test):
            if name in values and values[name][0] != values[name][1]:
                area = name == "pd" and figures.area_mm2[0] != figures.area_mm2[1]
                out.append("area_mm2" if area else "tpp" if name == "pd" else name)
    return out


def _first(pool: list[Hit]) -> Hit:
    return min(pool, key=lambda h: (h.state != "yes", h.layer.form == "letter", h.layer.rule_id))


def _worst(gate: tuple[str, ...], words: list[str]) -> str:
    return max(words, key=gate.index, default="free")


def _answer(gate: tuple[str, ...], every: list[Hit], buyer: list[Hit], looked: list[tuple[Layer, Assessment]],
            lines: list[Assessment]) -> Answer:
    low = _worst(gate, [h.low for h in every])
    high = _worst(gate, [h.high for h in every])
    slack_low = min((a.low for a in lines), default=math.nan)
    slack_high = min((a.high for a in lines), default=math.nan)
    tier = [h.assessment for h in every if h.layer.rule_id == "US-3A090A-2023"]
    tier_slack = tier[0].high if tier else math.nan
    possible = (low,) if low == high else (low, high)
    common = {"low": low, "high": high, "possible": possible, "slack_low": slack_low, "slack_high": slack_high,
              "slack_tier_a": tier_slack, "hits": tuple(every), "looked_at": tuple(looked)}
    if low == high == "free":
        nearest = min(lines, key=lambda a: a.high, default=None)
        why = nearest.reason if nearest else NO_REASON
        text = ""
        if every:
            caught = "covered by" if every[0].assessment.sure else "even if covered by"
            text = f"{caught} {every[0].layer.rule_id}, whose exception needs no notice here"
        return Answer(word="free", decided_by="", prong=why.prong, reason=why, enforced="", why=text, **common)  # type: ignore[arg-type]
    word = low if low == high else "unknown"
    decisive = low if low == high else high
    first = _first(buyer or [h for h in every if (h.low if low == high else h.high) == decisive])
    disputed = tuple(dict.fromkeys(h.layer.disputed for h in every if h.layer.disputed))
    prong = first.assessment.reason.prong or ", ".join(first.assessment.prongs[:1])
    return Answer(word=word, decided_by=first.by, prong=prong, reason=first.assessment.reason, enforced=first.state,
                  disputed=disputed, **common)  # type: ignore[arg-type]


def cn_touches(live: Sequence[Layer], figures: Figures, code: str, segment: str) -> tuple[str, ...]:
    """Return the Chinese rows in force that have a word for this chip and buyer class; none leaves the gate free."""
    if code != "CN" or figures.domestic:
        return ()
    return tuple(x.rule_id for x in live if x.gate == "cn" and x.subject in ("chip", "share") and x.word(segment)
                 and (x.subject == "share" or _caught_in_china(x, figures)))


def _caught_in_china(layer: Layer, figures: Figures) -> bool:
    """Return whether a Chinese row speaks of a chip: by name, or by the test of a row that a user added."""
    if figures.id in layer.parts:
        return True
    return layer.test is not None and bool(truth(layer.test, figures.values())[0])


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
        caught = bool(word) and (layer.subject == "share" or _caught_in_china(layer, ask.figures))
        found = BY_NAME[caught, ask.figures.id in layer.parts]
        looked.append((layer, found))
        if not caught:
            continue
        state = layer.state(ask.on, catalog.as_of)
        binds = word if state == "yes" else "free"
        every.append(Hit(layer=layer, assessment=found, word=word, eased=(), low=binds, high=binds, state=state,
                         through="buyer class", by=layer.rule_id))
    answer = _answer(CN_WORDS, every, [], looked, [])
    return replace(answer, min_domestic_share=share, why="" if answer.word != "free" else
                   "no Chinese rule found for this class and chip")


__all__ = ["HQ_RULE", "LETTER_SCOPE", "cn_gate", "cn_touches", "us_gate"]
