"""What a permit costs in days and a border in money: inputs of the market, never a bar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from chipcast.base.calendar import month_end
from chipcast.base.catalog import Catalogue
from chipcast.base.types import Array
from chipcast.rules.expr import truth
from chipcast.rules.measure import Figures, figures
from chipcast.rules.record import US_WORDS, Verdicts
from chipcast.rules.rule import known_layers


def permit_days(catalog: Catalogue, word: str) -> float:
    """Return the days that the text itself adds for a word of the US gate: those of a notice, else 0. [days]

    How long a licence takes is in no text; the market holds that as an assumption.

    >>> permit_days(Catalogue(date(2025, 2, 25)), "notice")
    25.0
    """
    if word != "notice":
        return 0.0
    return max((x.delay_days for x in known_layers(catalog) if x.form == "exception"), default=0.0)


def permit_delay(catalog: Catalogue, verdicts: Verdicts) -> Array:
    """Return the days that the text adds to each shipment. [days] (month, segment, chip)"""
    days = np.array([permit_days(catalog, w) for w in US_WORDS])
    out: Array = days[verdicts.us]
    return out


def border_costs(catalog: Catalogue, chip: Figures, on: date) -> list[dict[str, Any]]:
    """Return the duties and levies on a chip on a day as shares: rule, share, of what, how sure it is enforced."""
    values = chip.values()
    out = []
    for x in known_layers(catalog):
        if x.cost is None or x.gate != "us" or x.phase(on, catalog.as_of) != "binding":
            continue
        if chip.id in x.parts or (x.test is not None and bool(truth(x.test, values)[0])):
            out.append({"rule_id": x.rule_id, "share": x.cost, "of": x.cost_of,
                        "enforced": x.state(on, catalog.as_of)})
    return out


def price_factor(catalog: Catalogue, chips: Sequence[str], months: Sequence[str]) -> Array:
    """Return 1 plus the shares that duties and levies take of a chip's price. [1] (month, chip)

    The duty of 2026 falls due because a chip is tested in the United States on its way; the levy of 2025 on two
    parts was asked for and never written down. Both are counted in full from the day they bind.
    """
    out = np.ones((len(months), len(chips)))
    for k, chip in enumerate(chips):
        found = figures(catalog, chip)
        for i, month in enumerate(months):
            out[i, k] += sum(c["share"] for c in border_costs(catalog, found, month_end(month)))
    return out


def domestic_power_discount(catalog: Catalogue, on: date) -> float:
    """Return the largest cut of the power price that some provinces give to centres with domestic chips. [1]"""
    return max((-x.cost for x in known_layers(catalog)
                if x.cost is not None and x.gate == "cn" and x.phase(on, catalog.as_of) == "binding"), default=0.0)
