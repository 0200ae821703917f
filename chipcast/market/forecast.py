"""Named series of forecasts, by quarter, fiscal quarter and year, one value per draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import special

from chipcast.base.calendar import month_index, month_name, parse_date, quarter_name
from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.fab.record import Line
from chipcast.market.record import DOMESTIC, Market
from chipcast.market.supply import GREY

BILLION = 1e9

CHINA_REVENUE = "nvda_china_hk_revenue_billing"
"""History of the foreign leader's revenue billed to China and Hong Kong, by fiscal quarter."""

SERIES = ("huawei_ascend_cards", "huawei_910c_packages", "china_vendor_cards", "china_total_cards",
          "nvidia_china_cards", "h20_revenue_usd_bn", "nvda_china_revenue_usd_bn", "h20_card_price_usd",
          "nvda_china_share")
"""Series that the market and the line give; cards and packages are counts in the period."""

RATIOS = ("h20_card_price_usd", "nvda_china_share")
"""Series that are no flow: price is a mean over months, share one of value over the period."""


def fiscal_quarter(month: str) -> str:
    """Return the foreign leader's fiscal quarter, which ends late in January, April, July and October.

    >>> fiscal_quarter("2025-02"), fiscal_quarter("2025-01")
    ('FY26Q1', 'FY25Q4')
    """
    shifted = month_index(month) - 1
    return f"FY{(shifted // 12 + 1) % 100:02d}Q{shifted % 12 // 3 + 1}"


def periods_of(months: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return calendar quarters, fiscal quarters and years with all their months.

    A period counts if the run reaches its end and it ends after the first month; it may begin before.
    """
    first, last = month_index(months[0]), month_index(months[-1])
    out: dict[str, tuple[str, ...]] = {}
    for i in range(first, last + 1):
        month = month_name(i)
        for name, length in ((quarter_name(month), 3), (fiscal_quarter(month), 3), (month[:4], 12)):
            if name in out:
                continue
            if length == 12:
                start = i // 12 * 12
            elif name.startswith("FY"):
                start = (i - 1) // 3 * 3 + 1
            else:
                start = i // 3 * 3
            if start + length - 1 <= last:
                out[name] = tuple(month_name(k) for k in range(start, start + length))
    return out


def china_quarters(given: Given) -> dict[str, float]:
    """Return the known revenue of the foreign leader in China by the month in which the quarter ends. [USD]

    Rows that share an origin with a claim are no input here: these are filings.
    """
    return {r["date"]: float(r["value"]) for r in given.catalog.rows("history") if r["series"] == CHINA_REVENUE}


def next_quarters(given: Given, ends: Iterable[str]) -> dict[str, Array]:
    """Return revenue in China by quarter end: known ones as filed, later ones as a random walk in logs. [USD]

    The walk's spread is that of all quarter-to-quarter changes known by the date.

    Raises
    ------
    InputError
        If fewer than three quarters were known by the date.
    """
    known = china_quarters(given)
    values = np.array([known[k] for k in sorted(known)])
    if values.size < 3:
        raise InputError("fewer than three quarters of revenue in China are known by the date; use a later --as-of")
    changes = np.diff(np.log(values))
    spread = float(np.sqrt(np.mean((changes - changes.mean()) ** 2)))
    out: dict[str, Array] = {}
    walk = np.zeros(given.draws)
    for end in sorted(ends):
        if end in known:
            out[end] = np.full(given.draws, known[end])
        else:
            walk = walk + spread * special.ndtri(given.shock("forecast:china_revenue", [end])[0])
            out[end] = values[-1] * np.exp(walk)
    return out


def h20_2024(given: Given) -> dict[str, Array]:
    """Return cards and revenue of the H20 in 2024, from filings and the assumed share and price alone.

    Fiscal quarters that end in April, July and October 2024 and January 2025 stand for the calendar year; one that
    was not filed by the date is forecast. No row of the claim's own origin enters.

    Returns
    -------
    dict
        `cards` [cards], `revenue_usd` [USD], `china_revenue_usd` [USD], each (draw).
    """
    quarters = next_quarters(given, ("2024-04", "2024-07", "2024-10", "2025-01"))
    china = sum(quarters.values(), start=np.zeros(given.draws))
    revenue = china * given["h20-96.share_of_china_revenue"]
    return {"cards": revenue / given["h20-96.vendor_asp_usd"], "revenue_usd": revenue, "china_revenue_usd": china}


def series(given: Given, market: Market, line: Line) -> dict[str, dict[str, Array]]:
    """Return every named series of the market by period. (draw)

    Months of a period before the run's first month stand at the last known rate: filings for foreign cards, the
    run's first month for others.
    """
    chips = list(market.chips)
    shipped = market.deliveries.sum(axis=0, dtype=np.float64)
    foreign = [c for c, name in enumerate(chips) if name not in DOMESTIC and name != GREY]
    domestic = [c for c, name in enumerate(chips) if name in DOMESTIC]
    h20 = chips.index("h20-96")
    asp = given["h20-96.vendor_asp_usd"]
    price = np.asarray(market.price_usd, dtype=np.float64)
    rest = rest_of_china(given, market.months)
    before = _last_quarter(given) * given["h20-96.share_of_china_revenue"] / 3
    rows = [line.months.index(m) for m in market.months]
    packages = np.asarray(line.packages)[:, rows]
    flows = {
        "huawei_ascend_cards": packages.sum(axis=0),
        "huawei_910c_packages": packages[line.products.index("ascend-910c")],
        "china_vendor_cards": shipped[domestic].sum(axis=0),
        "china_total_cards": shipped.sum(axis=0),
        "nvidia_china_cards": shipped[foreign].sum(axis=0),
        "h20_revenue_usd_bn": shipped[h20] * asp / BILLION,
        "nvda_china_revenue_usd_bn": (shipped[h20] * asp + rest) / BILLION,
        "value": (shipped * price).sum(axis=0),
        "nvidia_value": (shipped * price)[foreign].sum(axis=0),
    }
    earlier = {name: flow[0] for name, flow in flows.items()}
    others = shipped[[c for c in foreign if c != h20], 0].sum(axis=0)
    earlier["h20_revenue_usd_bn"] = before / BILLION
    earlier["nvda_china_revenue_usd_bn"] = (before + rest[0]) / BILLION
    earlier["nvidia_china_cards"] = before / asp + others
    earlier["china_total_cards"] = flows["china_total_cards"][0] - flows["nvidia_china_cards"][0] \
        + earlier["nvidia_china_cards"]
    earlier["nvidia_value"] = flows["nvidia_value"][0] + (before / asp - shipped[h20, 0]) * price[h20, 0]
    earlier["value"] = flows["value"][0] - flows["nvidia_value"][0] + earlier["nvidia_value"]
    out: dict[str, dict[str, Array]] = {name: {} for name in SERIES}
    place = {m: i for i, m in enumerate(market.months)}
    for period, months in periods_of(market.months).items():
        inside = [place[m] for m in months if m in place]
        missing = sum(m not in place for m in months)
        total = {name: flow[inside].sum(axis=0) + missing * earlier[name] for name, flow in flows.items()}
        for name in SERIES:
            if name == "h20_card_price_usd":
                out[name][period] = price[h20, inside].mean(axis=0)
            elif name == "nvda_china_share":
                out[name][period] = total["nvidia_value"] / np.maximum(total["value"], 1.0)
            else:
                out[name][period] = total[name]
    return out


def rest_of_china(given: Given, months: Sequence[str]) -> Array:
    """Return what the foreign leader sells in China beside the H20, a random walk in logs from the last filing.

    Cars, games, desks, networks and lesser boards: nothing in the model drives them, so their spread is all that is
    said. [USD/month] (month, draw)
    """
    start = _last_quarter(given) * (1 - given["h20-96.share_of_china_revenue"]) / 3
    step = given["nvidia_other.rest_spread_ln_per_quarter"] / np.sqrt(3)
    walk = np.cumsum(special.ndtri(given.shock("forecast:rest_of_china", months)), axis=0)
    return np.asarray(start * np.exp(step * walk))


def _last_quarter(given: Given) -> float:
    known = china_quarters(given)
    last = max(known, key=lambda d: parse_date(d)) if known else ""
    if not last:
        raise InputError("no revenue in China is known by the date; use a later --as-of")
    return known[last]
