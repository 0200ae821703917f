"""Why a dated what-if moves nothing: its day lies outside the run, its card meets no gate, or the gate stands there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from chipcast.base.calendar import month_end, parse_date
from chipcast.base.catalog import Catalogue
from chipcast.market.record import CHIPS, DOMESTIC
from chipcast.market.supply import GREY
from chipcast.rules.upstream import EVENT_STATES, SUBJECTS, upstream


def why_idle(catalog: Catalogue, event: Any, months: Sequence[str]) -> str:
    """Return half a sentence where an event cannot move a run, else nothing.

    Parameters
    ----------
    catalog : Catalogue
        Rows known by the information date.
    event : Event
        The what-if, with `on`, `gate`, `chip`, `to` and `grace_days`.
    months : sequence of str
        Months of the run.
    """
    day = parse_date(event.on) + timedelta(days=event.grace_days)
    if parse_date(event.on) > month_end(months[-1]):
        return f"{day} lies after the run's last month, {months[-1]}; give the scenario a later `until`"
    if event.gate in ("us", "cn") and event.chip:
        chip = event.chip if event.chip in CHIPS else catalog.resolve_chip(event.chip)
        if chip in DOMESTIC:
            return f"{chip} is sold inside China and meets no gate; foundry, hbm, tools or yield act on it"
        if chip == GREY:
            return f"{chip} comes by the grey door, past both gates, while controls hold"
    if event.gate in SUBJECTS:
        stands = upstream(catalog, day)[event.gate]
        opens = EVENT_STATES.get(event.to) == "open"  # the line takes an input under licence for one that is shut
        if stands.open if opens else stands.state == "closed":
            by = f" by {stands.rule_id} since {stands.since}" if stands.rule_id else ": no rule in force"
            return f"the {event.gate} gate is {stands.state} already{by}"
    return ""
