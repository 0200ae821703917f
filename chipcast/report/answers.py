"""The answers first: what a buyer and an analyst ask, each answered in a sentence or two of computed numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from chipcast.base.summary import short
from chipcast.fab.record import LIMITS
from chipcast.report.chart_atlas import status_word
from chipcast.report.chart_compute import OPEN, able
from chipcast.report.chart_line import plan_year
from chipcast.report.chart_market import RUSH_MONTHS, flow, foreign
from chipcast.report.record import Picture, Story
from chipcast.report.table import span
from chipcast.report.theme import LIMIT_NAMES, STATUS_NAMES, VERDICT_COLOURS, chip_name, day_words, readable, sentence

Pictures = Mapping[str, Picture]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One question with its answer."""

    asks: str
    """Who asks it: buyer or analyst."""
    question: str
    """As they ask it."""
    text: str
    """The answer."""
    place: str
    """Anchor of the section that says why."""
    picture: str
    """Id of the picture that shows it."""


def _order(s: Story, pictures: Pictures) -> Answer | None:
    p = s.plan
    if p is None:
        return None
    first = sentence(p.sentence.split("; ")[0])
    text = f"{p.buyer[:1].upper() + p.buyer[1:]}: {first}"
    if "p50" in p.service_share:
        text += (f" That serves {p.service_share['p50']:.0%} of the need ({p.service_share['p05']:.0%} to "
                 f"{p.service_share['p95']:.0%}) at a mean cost of {short(p.expected_cost_usd)} USD, and "
                 f"{short(p.cvar_usd)} USD in the worst {1 - p.tail:.0%} of futures.")
    return Answer(asks="buyer", question="What do I order now?", text=text, place="decide", picture="plan")


def _api(s: Story, pictures: Pictures) -> Answer | None:
    if s.plan is None:
        return None
    _, _, told = s.plan.first_question.partition(": ")
    if not isinstance(s.plan.rivals.get("api", {}).get("cost"), int | float):
        return Answer(asks="buyer", question="Chips or an API?", text=sentence(told), place="decide",
                      picture="plan") if told else None
    api = s.plan.rivals["api"]
    word = {"better": "The plan is cheaper", "worse": "The API is cheaper", "cannot tell": "Neither is cheaper beyond "
            "doubt"}.get(str(api.get("verdict")), "Side by side")
    told = told or (f"the same tokens from an API cost {short(float(api['cost']))} USD in the mean, this plan "
                    f"{short(s.plan.expected_cost_usd)} USD, on the same futures")
    text = f"{word}: {readable(told).rstrip('.')}."
    return Answer(asks="buyer", question="Chips or an API?", text=text, place="decide", picture="ladder")


def _get(s: Story, pictures: Pictures) -> Answer | None:
    v = s.verdicts
    if v is None:
        return None
    m = v.months.index(s.as_of[:7]) if s.as_of[:7] in v.months else 0
    by: dict[str, list[str]] = {}
    for c, chip in enumerate(v.chips):
        by.setdefault(status_word(int(v.us[m, 0, c]), int(v.cn[m, 0, c])), []).append(chip_name(chip))
    text = "; ".join(f"{STATUS_NAMES[w]}: {', '.join(c)}" for w, c in by.items())
    return Answer(asks="buyer", question="Which chips may I get?", place="legal", picture="rule-map",
                  text=f"In China in {day_words(s.as_of[:7])}, {text}. This is no legal advice.")


def _deliver(s: Story, pictures: Pictures) -> Answer | None:
    if s.service is None or not able(s.service):
        return None
    status = {str(m["chip"]): str(m["status"]) for m in s.measures}
    legal = [i for i in able(s.service) if status.get(s.service.chips[i], "free") in OPEN] or able(s.service)
    told = "; ".join(f"{chip_name(s.service.chips[i])} {span(s.service.output_tokens_per_s_per_chip[i])} tokens/s per "
                     f"chip at {span(s.service.usd_per_million_output_tokens[i])} USD per million" for i in legal[:2])
    return Answer(asks="buyer", question="What does it deliver on my model?", place="serves", picture="serving",
                  text=f"On {s.service.model}, of the chips that may be bought, cheapest first: {told}. "
                  f"What this stands on: {s.service.grade[legal[0]]}.")


def _hold(s: Story, pictures: Pictures) -> Answer | None:
    f = s.fleet
    if f is None:
        return None
    last = len(f.sizes) - 1
    kept = {c: float(np.median(f.goodput[i, last])) for i, c in enumerate(f.chips)}
    told = ", ".join(f"{chip_name(c)} {v:.0%}" for c, v in sorted(kept.items(), key=lambda kv: -kv[1]))
    return Answer(asks="buyer", question="Will a big job hold?", place="holds", picture="goodput",
                  text=f"At {f.sizes[-1]:,} chips the useful share of chip-time is, at the median: {told}. Failure "
                  "rates of Ascend are assumed ranges.")


def _cut(s: Story, pictures: Pictures) -> Answer | None:
    m = s.market
    if m is None or "h20-96" not in m.chips:
        return None
    h20 = m.chips.index("h20-96")
    end = [i for i, month in enumerate(m.months) if month[:4] == m.months[0][:4]][-1]
    shut = 1 - float(np.mean(m.us_open[h20, end]))
    text = (f"By the end of {m.months[end][:4]} the American gate is shut for the H20 in {shut:.0%} of the draws, as "
            f"seen on {day_words(s.as_of)}.")
    if s.market_without_threat is not None:
        chips = foreign(m)
        more = (flow(m, "orders", chips) - flow(s.market_without_threat, "orders", chips))[:RUSH_MONTHS].sum(axis=0)
        text += (f" The fear of it moves orders of the first {RUSH_MONTHS} months by {span(np.round(more))} cards and "
                 f"raises them in {np.mean(more > 0):.0%} of the draws.")
    return Answer(asks="buyer", question="What if I am cut off?", text=text, place="scramble", picture="threat")


def _make(s: Story, pictures: Pictures) -> Answer | None:
    if s.line is None or s.given is None:
        return None
    year, months, plan = plan_year(s.line, s.given)
    made = s.line.packages[:, months].sum(axis=(0, 1))
    share = {limit: float(np.mean(s.line.binding[months] == k)) for k, limit in enumerate(LIMITS)}
    most = max(share, key=lambda k: share[k])
    text = (f"{span(np.round(made))} Ascend packages in {year}; what limits it most often: {LIMIT_NAMES[most]}, in "
            f"{share[most]:.0%} of months and draws.")
    if plan:
        goal = sum(v for v, _ in plan.values())
        text += f" The reported plan of {goal:,.0f} is reached in {np.mean(made >= goal):.0%} of the draws."
    return Answer(asks="analyst", question="How many chips can the line make?", text=text, place="made",
                  picture="output")


def _true(s: Story, pictures: Pictures) -> Answer | None:
    if not s.claims:
        return None
    by: dict[str, list[str]] = {v: [] for v in VERDICT_COLOURS}
    for c in s.claims:
        by.setdefault(str(c["verdict"]), []).append(str(c["id"]))
    told = "; ".join(f"{v}: {', '.join(ids)}" for v, ids in by.items() if ids)
    return Answer(asks="analyst", question="Is the news true?", place="claims", picture="claims",
                  text=f"Of {len(s.claims)} claims, tested without their own source: {told}.")


def _must(s: Story, pictures: Pictures) -> Answer | None:
    found = pictures.get("must-hold")
    if found is None:
        return None
    return Answer(asks="analyst", question="What must be true for the plan to be true?", text=sentence(found.title),
                  place="made", picture="must-hold")


def _ban(s: Story, pictures: Pictures) -> Answer | None:
    found = pictures.get("push")
    if found is None or s.market is None:
        return None
    return Answer(asks="analyst", question="Who computes on whose chips?", text=sentence(found.title),
                  place="scramble", picture="push")


def _sure(s: Story, pictures: Pictures) -> Answer | None:
    found = pictures.get("posterior")
    if found is None:
        return None
    text = sentence(found.title)
    if s.given is not None:
        rows = s.given.rows.values()
        assumed = sum(r.kind == "assumed" for r in rows) / max(len(s.given.rows), 1)
        text += f" Of all {len(s.given.rows)} numbers used, {assumed:.0%} are ranges of our own, each with its reason."
    return Answer(asks="analyst", question="How sure are we?", text=text, place="learnt", picture="posterior")


ANSWERS: tuple[Callable[[Story, Pictures], Answer | None], ...] = (
    _order, _api, _get, _deliver, _hold, _cut, _make, _true, _must, _ban, _sure)
"""The questions, a buyer's first."""


def answers(story: Story, pictures: Pictures) -> list[Answer]:
    """Return all answers that the story has the parts for."""
    found = [f(story, pictures) for f in ANSWERS]
    return [a for a in found if a is not None]
