"""Where a chip may go: the answer for every country, and the arrays of a map of chips, places and days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.base.catalog import Catalogue
from chipcast.rules.assess import assessor
from chipcast.rules.check import Verdict, ask_for, gates, spans_of, us_state, verdict
from chipcast.rules.gates import cn_touches
from chipcast.rules.measure import Figures
from chipcast.rules.place import MAINLAND, Place, place, places
from chipcast.rules.record import STATUS_ORDER
from chipcast.rules.rule import Laws, all_layers, live_layers, sources_end

CODES = {word: i for i, word in enumerate(STATUS_ORDER)} | {"disputed": STATUS_ORDER.index("unknown")}
"""Position of each status."""

CHINA = (*MAINLAND, "MO")
"""Places that dated what-ifs speak of."""


def kinds(at: Sequence[Place], laws: Laws = ()) -> dict[frozenset[str], list[Place]]:
    """Return places grouped by what the rules can tell apart: their groups, and a code where a rule names it."""
    named = {g.partition("@")[0] for x in all_layers(laws) for g in (*x.scope, *x.outside)} | {"US"}
    out: dict[frozenset[str], list[Place]] = {}
    for p in at:
        told = frozenset(g for g in p.groups if g in named or g in ("A5", "A6", "D5", "MO"))
        out.setdefault(told, []).append(p)
    return out


def everywhere(catalog: Catalogue, chip: str | Figures, on: date, *, hq: str = "",
               segment: str = "platform", events: Iterable[Any] = ()) -> dict[str, Verdict]:
    """Return the verdict of one chip for every country, by code.

    Parameters
    ----------
    catalog : Catalogue
        Rows known by the information date.
    chip : str or Figures
        Id, alias, or figures of one's own.
    on : date
        Day of the shipment.
    hq : str
        Seat of the buyer's parent; empty for a buyer at home in each country.
    segment : str
        Buyer class.
    events : iterable
        Dated what-ifs, see `overrule`.
    """
    events = tuple(events)
    first = ask_for(catalog, chip, on, hq=hq, segment=segment)
    assess = assessor(first.figures)
    out = {}
    for group in kinds(places(), catalog.laws).values():
        one = verdict(catalog, replace(first, to=group[0], hq=place(hq) if hq else group[0]), assess=assess,
                      events=[] if group[0].code not in CHINA else events)
        for p in group:
            ask = replace(one.ask, to=p, hq=place(hq) if hq else p)
            out[p.code] = replace(one, ask=ask)
    return out


def atlas(catalog: Catalogue, chips: Sequence[str], destinations: Sequence[str], days: Sequence[date], *,
          hq: str = "", segment: str = "platform") -> npt.NDArray[np.int8]:
    """Return the combined status of chips by destination and day, as positions in `STATUS_ORDER`.

    Axes: (chip, destination, day). What is disputed counts as unknown. Places and days that no rule tells apart are
    asked once.
    """
    out = np.zeros((len(chips), len(destinations), len(days)), np.int8)
    at = [place(d) for d in destinations]
    alike = [[j for j, p in enumerate(at) if p in group] for group in kinds(at, catalog.laws).values()]
    end = sources_end()
    out[:, :, [k for k, day in enumerate(days) if day > end]] = CODES["unknown"]
    spans = [(day, columns, live_layers(catalog, day)) for day, columns in spans_of(catalog, days)
             if day <= end]
    states = [us_state(catalog, live, day) for day, _, live in spans]
    seat = place(hq) if hq else None
    for i, chip in enumerate(chips):
        first = ask_for(catalog, chip, days[0], hq=hq, segment=segment)
        assess = assessor(first.figures)
        for rows in alike:
            to, told = at[rows[0]], {}
            for (day, columns, live), state in zip(spans, states, strict=True):
                key = (state, cn_touches(live, first.figures, to.code, segment))
                if key not in told:
                    ask = replace(first, to=to, hq=seat or to, on=day)
                    told[key] = CODES[gates(catalog, ask, assess=assess, live=live)[2]]
                out[i, np.array(rows)[:, None], columns] = told[key]
    return out
