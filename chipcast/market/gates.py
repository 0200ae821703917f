"""Two gates: a sale needs Washington and Beijing to leave the door open, month by month and draw by draw.

Each gate is a hazard process on shocks of its own, so that no other choice moves a draw: threats come and
fade, a closing is decided on a day, takes effect at once or after a window, hits the chips nearest to the
line, and may be taken back, which the other side may answer. Events of a scenario override the draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from chipcast.base.calendar import DAYS_PER_MONTH, days_in_month, month_index, parse_date
from chipcast.base.errors import require
from chipcast.base.given import Given
from chipcast.base.laws import Law
from chipcast.base.types import Array, Numeric
from chipcast.market.luck import luck_of
from chipcast.market.record import CHIPS, LEADING, NEXT

NEVER = 1e9
"""Days until an effect that is not announced."""

NAMED_BY_STOPS = (LEADING, NEXT)
"""Cards that a Chinese stop reaches: each in the record names parts, the leading one and those that followed it."""

KINDS = ("nvidia_other",)
"""Names that stand for many parts: a closing that reaches the kind spares those of them that lie beyond its reach."""

OPEN_WORDS = ("free", "notified_exception", "open")
"""Words of an event that open a gate."""

SHUT_WORDS = ("licence", "denied", "closed")
"""Words of an event that shut a gate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A dated what-if: a gate that moves, or one of `chipcast.market.shocks`."""

    on: date
    """Day from which it counts; with a grace period, the day on which it is announced."""
    gate: str
    """What it acts on: us or cn, or demand, quota, yield, offer."""
    chip: str = ""
    """Chip id or alias; empty for all foreign chips."""
    to: str = ""
    """A word of `OPEN_WORDS` or `SHUT_WORDS`, `case_by_case` or `discouraged`; empty where nothing is a gate."""
    segment: str = ""
    """Buyer class; empty for all."""
    value: float | None = None
    """Factor of demand, of yield or of supply on offer, or the least domestic share of a quota. [1]"""
    grace_days: int = 0
    """Days from announcement to effect of a closing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gates:
    """Paths of both gates."""

    us: Array
    """Share of the month in which the US gate lets a chip ship, rules in force aside. [1] (chip, month, draw)"""
    cn: Array
    """Share of the month in which the Chinese gate lets a chip in, rules in force aside. [1] (chip, month, draw)"""
    us_end: Array
    """How far the US gate is open to the leading card on the month's last day. [1] (month, draw)"""
    cn_end: Array
    """How far the Chinese gate is. [1] (month, draw)"""
    announced: Array
    """1 in months in which a closing has been announced and is not yet in effect. (month, draw)"""
    threat: Array
    """Threat that buyers can hear of, 1 when fresh, fading by half-lives. [1] (month, draw)"""
    us_hazard: Array
    """True chance that a closing is decided in the month. [1/month] (month, draw)"""
    cn_hazard: Array
    """True chance that the Chinese gate shuts in the month. [1/month] (draw)"""

    def heard(self) -> Array:
        """Return the threat that everyone hears of: its level, or 1 while a closing is announced. [1] (month, draw)"""
        return np.maximum(self.threat, self.announced)


def open_probability(months: Numeric, closing: Numeric, opening: Numeric, start: Numeric = 1.0) -> Numeric:
    r"""Return the chance that a two-state gate with constant rates is open.

    Notes
    -----
    $P(t) = \pi + (s_0 - \pi) e^{-(a+b)t}$ with $\pi = b/(a+b)$, a the closing and b the opening rate.

    >>> round(float(open_probability(12, 0.05, 0.10)), 6)
    0.721766
    """
    stationary = opening / (closing + opening)
    return stationary + (start - stationary) * np.exp(-(closing + opening) * months)


def open_months(months: Numeric, *rates: tuple[float, float]) -> Numeric:
    r"""Return the expected months in which all of these independent gates (closing, opening) are open.

    Notes
    -----
    The product of $\pi_i + (1-\pi_i)e^{-s_i t}$ is a sum of exponentials, integrated term by term.

    >>> round(float(open_months(24, (0.05, 0.10), (0.08, 0.04))), 6)
    10.371414
    """
    terms: list[tuple[float, float]] = [(1.0, 0.0)]
    for closing, opening in rates:
        total, stationary = closing + opening, opening / (closing + opening)
        terms = [pair for weight, speed in terms
                 for pair in ((weight * stationary, speed), (weight * (1 - stationary), speed + total))]
    out = 0.0
    for weight, speed in terms:
        out = out + weight * (months if speed == 0 else (1 - np.exp(-speed * months)) / speed)
    return out


def cloglog_hazard(score: Numeric) -> Numeric:
    """Return the monthly hazard of a complementary log-log score a + b'x. [1/month]

    >>> round(float(cloglog_hazard(-3.0)), 6)
    0.048568
    """
    return -np.expm1(-np.exp(score))


def beyond(law: Law, reach: Array) -> Array:
    """Return the part of many parts, whose distances to the line follow a law, that a closing spares. [1] (draw)

    >>> from chipcast.base.laws import law_of_row
    >>> [round(float(x), 2) for x in beyond(law_of_row("lognormal", 0.02, 0.15, 1.0, "x"), np.array([0.02, 0.15, 1.0]))]
    [0.95, 0.48, 0.05]
    """
    share = (np.arange(400) + 0.5) / 400
    return np.asarray(1 - np.interp(reach, law.at(share), share, left=0.0, right=1.0))


def threat_age_months(given: Given) -> float:
    """Return the age of the last threat against foreign chips known by the date, large where there is none. [months]

    A report of hoarding counts as one, as it does in the fit of the past: buyers heard something.
    """
    days = [parse_date(r["date"]) for r in given.catalog.rows("events")
            if (r["category"] == "us_threat" and "foreign" in r["effect"])
            or (r["category"] == "hoarding" and r["effect"] == "+orders")]
    return (given.as_of - max(days)).days / DAYS_PER_MONTH if days else 120.0


def two_key(given: Given, chips: Sequence[str], months: Sequence[str], slack: Array, foreign: Array, *,
            threat: bool = True, controls: bool = True, events: Sequence[Event] = (),
            shut_at_start: Array | None = None) -> Gates:
    """Return the paths of both gates as hazard processes.

    Parameters
    ----------
    given : Given
        Rows `us_gate.*`, `cn_gate.*`, `beliefs.threat_half_life_months`.
    chips, months : sequences of str
        Axes of the paths.
    slack : array (chip, draw)
        Log distance of each chip to today's line; a closing hits chips with less than its reach, and the leading card
        always: the closings of the record, from which the hazard is counted, are those that reached it.
    foreign : array (chip)
        1 for chips that must pass the gates, 0 for domestic and grey ones.
    threat : bool
        False removes the hazard of both gates, true and perceived.
    controls : bool
        False opens the US gate for all chips and removes its threats.
    events : sequence
        Dated overrides of the gates `us` and `cn`; from its date on an event decides for its chip.
    shut_at_start : array (chip), optional
        1 for chips that a letter holds back on the date; a letter can be taken back, as it can be sent.
    """
    count, draws = len(months), given.draws
    us, cn = np.ones((2, len(chips), count, draws))
    announced, level, hazard = np.zeros((3, count, draws))
    live = threat and controls
    held = np.zeros(len(chips)) if shut_at_start is None or not controls else shut_at_start
    us[held > 0] *= 1 - held[held > 0][:, None, None]
    lead = list(chips).index(LEADING) if LEADING in chips else 0
    us_end, cn_end = us[lead].copy(), cn[lead].copy()
    cn_rate = given["cn_gate.closing_hazard_per_month"] if threat else np.zeros(draws)
    at = np.flatnonzero(foreign > 0)  # only these move
    if threat and at.size:
        luck = luck_of(given, months, age_months=threat_age_months(given), live=live)
        level, hazard = luck.threat, luck.hazard
        near, lead_row = slack[at], int(np.argmax(at == lead))
        leading = np.array([[chips[int(c)] == LEADING] for c in at])
        shut = np.repeat(held[at][:, None] > 0, draws, axis=1)
        left, ours, theirs = np.full(shut.shape, NEVER), us[at], np.ones((count, draws))
        barred = luck.barred_at_start.copy()
        kinds = [row for row, c in enumerate(at) if chips[int(c)] in KINDS]
        spared = np.zeros(near.shape)
        for m, days in enumerate(luck.days):
            if live:
                fresh = (near < luck.reach[m]) | leading
                fresh &= luck.decided[m] & ~shut & (left >= NEVER)
                for row in kinds:
                    hit = fresh[row]
                    spared[row, hit] = beyond(given.row(f"{chips[int(at[row])]}.slack_ln").law, luck.reach[m, hit])
                np.copyto(left, luck.effect[m], where=fresh)
                due = left < NEVER
                announced[m] = (due & (left > luck.told[m])).any(axis=0)
                share = np.minimum(left / days, 1.0)
                share[shut] = 0.0
                ours[:, m] = share
                ours[kinds, m] += (1 - share[kinds]) * spared[kinds]
                now = left <= days
                shut |= now
                np.subtract(left, days, out=left, where=due)
                left[now] = NEVER
            # a relaxation is told at the end of a month and counts from the next
            opened = luck.opens[m] & shut.any(axis=0)
            shut &= ~opened
            us_end[m] = ~shut[lead_row]
            closes = ~barred & (luck.answers[m] | luck.bars[m])
            theirs[m] = ~barred
            np.copyto(theirs[m], luck.bar_share[m], where=closes)
            np.copyto(theirs[m], luck.answer_share[m], where=closes & luck.answers[m])
            barred = (barred | closes) & (closes | ~luck.lets_in[m]) | (opened & luck.counters[m])
            cn_end[m] = ~barred
        us[at] = ours
        cn[[c for c in at if chips[int(c)] in NAMED_BY_STOPS]] = theirs
    gates = Gates(us=us, cn=cn, us_end=us_end, cn_end=cn_end, announced=announced, threat=level, us_hazard=hazard,
                  cn_hazard=cn_rate)
    return scripted(given, chips, months, gates, foreign, events)


def scripted(given: Given, chips: Sequence[str], months: Sequence[str], gates: Gates, foreign: Array,
             events: Sequence[Event]) -> Gates:
    """Return the gates with dated events in place of the draws from each event's date on.

    Raises
    ------
    InputError
        If an event names a chip that the market does not trade, or a word that is no state of a gate.
    """
    us, cn = gates.us, gates.cn
    start = month_index(months[0])
    pinned = {"us": us, "cn": cn}
    for event in sorted((e for e in events if e.gate in pinned), key=lambda e: parse_date(e.on)):
        told = parse_date(event.on)
        day = told + timedelta(days=event.grace_days)
        m = month_index(day) - start
        if event.grace_days and event.to in SHUT_WORDS:  # known and not yet in force: whoever wants stock buys now
            gates.announced[max(month_index(told) - start, 0) : max(m + 1, 0)] = 1.0
        if m >= len(months):
            continue
        names = [c for c, f in zip(chips, foreign, strict=True) if f]
        if event.chip:
            names = [event.chip if event.chip in chips else given.catalog.resolve_chip(event.chip)]
            require(names[0] in chips, "the chip of an event at a gate of the market", f"be one of {', '.join(CHIPS)}",
                    f"'{event.chip}'")
        if event.to in OPEN_WORDS:
            state: Numeric = 1.0
        elif event.to in SHUT_WORDS:
            state = 0.0
        elif event.to == "case_by_case":
            state = given["us_gate.case_by_case_grant_share"]
        else:
            require(event.to == "discouraged", "an event's to:", "be a state of a gate", event.to)
            state = 1 - given["cn_gate.discouraged_effect_share"]
        path = pinned[event.gate]
        for name in names:
            c = list(chips).index(name)
            if m >= 0:
                share = (day.day - 1) / days_in_month(months[m])
                path[c, m] = path[c, m] * share + state * (1 - share)
            path[c, max(m + 1, 0):] = state
            if name == LEADING:
                (gates.us_end if event.gate == "us" else gates.cn_end)[max(m, 0):] = state
    return gates


def single_gate(given: Given, chips: Sequence[str], months: Sequence[str], slack: Array, foreign: Array, *,
                threat: bool = True, controls: bool = True, events: Sequence[Event] = (),
                shut_at_start: Array | None = None) -> Gates:
    """Return the same US gate with a Chinese gate that never shuts: the rival with one key."""
    both = two_key(given, chips, months, slack, foreign, threat=threat, controls=controls,
                   events=[e for e in events if e.gate == "us"], shut_at_start=shut_at_start)
    both.cn[:], both.cn_end[:] = 1.0, 1.0
    return both


def scripted_only(given: Given, chips: Sequence[str], months: Sequence[str], slack: Array, foreign: Array, *,
                  threat: bool = True, controls: bool = True, events: Sequence[Event] = (),
                  shut_at_start: Array | None = None) -> Gates:
    """Return gates that move by the scenario's events alone; buyers still fear what they fear."""
    feared = two_key(given, chips, months, slack, foreign, threat=threat, controls=controls)
    feared.us[:], feared.cn[:], feared.announced[:], feared.us_end[:], feared.cn_end[:] = 1.0, 1.0, 0.0, 1.0, 1.0
    if shut_at_start is not None and controls:
        feared.us[shut_at_start > 0] = 0.0
        feared.us_end[:] = feared.us[list(chips).index(LEADING)] if LEADING in chips else 1.0
    return scripted(given, chips, months, feared, foreign, events)


GATES: dict[str, Callable[..., Gates]] = {"two_key": two_key, "single": single_gate, "scripted": scripted_only}
"""How the gates move."""


def perceived_hazard(belief: Array, threat: Array, lag_months: Array, *, first: float = 1.0) -> Array:
    """Return a segment's belief in a threat after one month: it moves toward the threat by its lag. [1]

    Notes
    -----
    $B' = B + (\\theta - B)(1 - e^{-\\Delta/\\ell})$ with lag l in months; the step is exact for a constant threat.
    """
    moved: Array = belief + (threat - belief) * -np.expm1(-first / lag_months)
    return moved
