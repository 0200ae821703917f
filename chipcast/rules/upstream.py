"""Who may build: memory stacks, foundry dies and tools, by the same machinery as the buyer's gates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from chipcast.base.calendar import month_end, parse_date
from chipcast.base.catalog import Catalogue
from chipcast.base.errors import InputError
from chipcast.rules.distance import reason
from chipcast.rules.expr import Interval, truth
from chipcast.rules.rule import horizon, known_layers, layer, shipped_ids

STATES = ("open", "window", "licence", "closed")
"""Open; published and not yet required; by licence; shut."""

SUBJECTS = ("hbm", "foundry", "tools")
"""What a chip line buys from abroad."""


EVENT_STATES = {"open": "open", "free": "open", "closed": "closed", "denied": "closed", "licence": "licence"}
"""State for the word of a dated what-if."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Supply:
    """Whether one kind of input from abroad may still come in."""

    subject: str
    """hbm, foundry or tools."""
    state: str
    """open, window, licence or closed."""
    rule_id: str
    """Row that decides, or the dated what-if; empty while open."""
    since: date | None
    """First day of the state."""
    until: date | None
    """Last day of an open window."""
    layers: tuple[str, ...]
    """All rows in force that touch this input, the strictest first."""
    why: str
    """Half a sentence."""

    @property
    def open(self) -> bool:
        """Whether it still comes in without a licence."""
        return self.state in ("open", "window")


def upstream(catalog: Catalogue, on: date, *, events: Iterable[Any] = ()) -> dict[str, Supply]:
    """Return the state of memory stacks, foundry dies and tools for a Chinese chip line on a day.

    Parameters
    ----------
    catalog : Catalogue
        Rows known by the information date; a later `on` is answered by the law as then known.
    on : date
        Day of the delivery.
    events : iterable
        Dated what-ifs with `on`, `gate`, `to`; the last one on or before the day replaces the rule.

    Notes
    -----
    A rule whose compliance date lies after its first day leaves a window in between. The tool rows ask for a
    licence, which is no full stop; which tools they name is in the text of each row.

    Sources: rules.csv
    """
    happened = sorted((e for e in events if e.on <= on), key=lambda e: e.on)
    return {s: _supply(catalog, s, on, [e for e in happened if e.gate == s]) for s in SUBJECTS}


def _no_state(event: Any) -> InputError:
    return InputError(f"the event of {event.on} sends the {event.gate} gate to '{event.to}'; write open, closed or "
                      "licence")


def _supply(catalog: Catalogue, subject: str, on: date, events: list[Any]) -> Supply:
    if events:
        last = events[-1]
        state = EVENT_STATES.get(last.to)
        if state is None:
            raise _no_state(last)
        return Supply(subject=subject, state=state, rule_id=f"event {last.on}", since=last.on, until=None, layers=(),
                      why="a what-if of the scenario")
    end = horizon(catalog)
    past = end is not None and on > end
    if past and end is not None:
        on = end
    found = []
    for x in known_layers(catalog):
        if x.subject != subject or x.effective is None or x.phase(on, catalog.as_of) != "binding" or x.gate == "cn":
            continue
        if x.compliance is not None and on < x.compliance:
            state, since = "window", x.effective
        else:
            state, since = ("licence" if subject == "tools" else "closed"), x.compliance or x.effective
        found.append((STATES.index(state), x, since))
    if not found:
        return Supply(subject=subject, state="open", rule_id="", since=None, until=None, layers=(),
                      why="no rule in force")
    found.sort(key=lambda f: (-f[0], f[2], f[1].rule_id))
    rank, first, since = found[0]
    return Supply(subject=subject, state=STATES[rank], rule_id=first.rule_id, since=since,
                  until=first.compliance if STATES[rank] == "window" else None,
                  layers=tuple(x.rule_id for _, x, _ in found),
                  why=first.name + (f"; the sources end on {end}, so this is the last known state" if past else ""))


def passages(catalog: Catalogue, months: Sequence[str], *, events: Iterable[Any] = (),
             controls: bool = True) -> tuple[dict[str, date], dict[str, date]]:
    """Return from which day each gate of a chip line is shut beyond the shipped rules, and from which it is open.

    Parameters
    ----------
    catalog : Catalogue
        Rows known by the information date, and the user's own.
    months : sequence of str
        Months of the line.
    events : iterable
        Dated what-ifs with `on`, `gate`, `to`; of several of one kind the last counts.
    controls : bool
        False leaves all rules out; events still act.

    Returns
    -------
    tuple of dict
        Gate -> day it shuts, gate -> day it opens; a gate in neither stands as the shipped rules have it.
    """
    shut: dict[str, date] = {}
    free: dict[str, date] = {}
    if controls:
        by_rule = _by_rule(catalog, tuple(months))
        shut, free = dict(by_rule[0]), dict(by_rule[1])
    for e in sorted((e for e in events if e.gate in SUBJECTS), key=lambda e: e.on):
        if e.to not in EVENT_STATES:
            raise _no_state(e)
        (free if EVENT_STATES[e.to] == "open" else shut)[e.gate] = e.on
    return shut, free


@lru_cache(maxsize=64)
def _by_rule(catalog: Catalogue, months: tuple[str, ...]) -> tuple[dict[str, date], dict[str, date]]:
    """Return from which day rules alone shut a gate beyond the shipped ones, and from which month they open it."""
    shut: dict[str, date] = {}
    free: dict[str, date] = {}
    first, last = parse_date(months[0]), month_end(months[-1])
    for x in known_layers(catalog):
        if x.subject in SUBJECTS and x.rule_id not in shipped_ids() and x.effective is not None \
                and x.effective <= last and x.phase(max(x.effective, first), catalog.as_of) == "binding":
            shut[x.subject] = x.effective
    for month in months:
        states = upstream(catalog, month_end(month))
        for subject in SUBJECTS:
            if states[subject].open and subject not in free:
                free[subject] = parse_date(month)
    return shut, free


def hbm_control(bandwidth_gb_s: float, area_mm2: float, *, copackaged: bool) -> bool:
    """Return whether a memory stack is caught on its own: bandwidth density strictly above the line.

    A stack soldered beside its logic die follows the rules for that die instead.

    >>> hbm_control(819, 110, copackaged=False), hbm_control(819, 110, copackaged=True)
    (True, False)
    """
    if area_mm2 <= 0:
        raise InputError(f"area_mm2 must be above 0, got {area_mm2:g}")
    rho = bandwidth_gb_s / area_mm2
    test = layer("US-HBM-2024").test
    assert test is not None
    values: dict[str, Interval] = {"hbm": (1, 1), "bw_density_gb_s_mm2": (rho, rho),
                                   "copackaged_with_logic": (int(copackaged), int(copackaged))}
    return bool(truth(test, values)[0])


def foundry_presumption(transistors_bn: float, *, year: int, has_hbm: bool, node_nm: float = 7, nonplanar: bool = True,
                        logic: bool = True, packaged_by_fab_outside: bool = False, designer_approved: bool = False,
                        approved_osat: bool = False) -> tuple[bool, str]:
    """Return whether a foundry must presume a die to be 3A090.a, and the escape that spares it.

    Parameters
    ----------
    transistors_bn : float
        Transistors of the packaged part. [1e9]
    year : int
        Year in which the export is completed; looser counts begin in 2027 and 2029, and 2028 reads like 2027.
    has_hbm, node_nm, nonplanar, logic : bool, float
        What the part is.
    packaged_by_fab_outside, designer_approved, approved_osat : bool
        Who made it: packaged by the fab itself outside the arms-embargoed places; an approved or authorised
        designer; an approved assembly house.

    >>> foundry_presumption(29.9, year=2025, has_hbm=True, packaged_by_fab_outside=True)
    (False, 'B')
    """
    test = layer("US-FOUNDRY-2025").test
    assert test is not None
    flags = {"logic_ic": logic, "nonplanar": nonplanar, "has_hbm": has_hbm, "designer_approved": designer_approved,
             "packaged_by_fab_outside": packaged_by_fab_outside, "approved_osat": approved_osat}
    values: dict[str, Interval] = {k: (int(v), int(v)) for k, v in flags.items()}
    values |= {"transistors_bn": (transistors_bn, transistors_bn), "year": (year, year), "node_nm": (node_nm, node_nm)}
    presumed = bool(truth(test, values)[0])
    why = reason(test, values)
    return presumed, "" if presumed else (why.prong or "not a logic part of a non-planar process")
