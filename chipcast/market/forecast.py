"""Named series of forecasts, by quarter, fiscal quarter and year, one value per draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chipcast.base.calendar import month_index, month_name, quarter_name
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.fab.record import Line
from chipcast.market import filed
from chipcast.market.filed import fiscal_end, fiscal_quarter
from chipcast.market.record import DOMESTIC, Market
from chipcast.market.supply import GREY

BILLION = 1e9

SERIES = ("huawei_ascend_cards", "huawei_910c_packages", "china_vendor_cards", "china_total_cards",
          "nvidia_china_cards", "h20_revenue_usd_bn", "nvda_china_revenue_usd_bn", "h20_card_price_usd",
          "nvda_china_share")
"""Series that the market and the line give; cards and packages are counts in the period."""

RATIOS = ("h20_card_price_usd", "nvda_china_share")
"""Series that are no flow: price is a mean over months, share one of value over the period."""


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


def series(given: Given, market: Market, line: Line) -> dict[str, dict[str, Array]]:
    """Return every named series of the market by period. (draw)

    Months of a period before the run's first month stand at what was known of them: for the foreign leader the filed
    quarter that holds them or what the fitted past foretells after the last one, for others the run's first month.
    """
    chips = list(market.chips)
    shipped = np.asarray(market.shipped, dtype=np.float64)
    foreign = [c for c, name in enumerate(chips) if name not in DOMESTIC and name != GREY]
    domestic = [c for c, name in enumerate(chips) if name in DOMESTIC]
    h20 = chips.index("h20-96")
    asp = given["h20-96.vendor_asp_usd"]
    price = np.asarray(market.price_usd, dtype=np.float64)
    value, last = shipped * price, filed.last_filed(given)
    followed = shipped[chips.index("nvidia_next")] * given["nvidia_next.price_usd"] * asp / given["h20-96.price_usd"]
    rest = rest_of_china(given, market, followed)
    rows = [line.months.index(m) for m in market.months]
    packages = np.asarray(line.packages)[:, rows]
    flows = {
        "huawei_ascend_cards": packages.sum(axis=0),
        "huawei_910c_packages": packages[line.products.index("ascend-910c")],
        "china_vendor_cards": shipped[domestic].sum(axis=0),
        "china_total_cards": shipped.sum(axis=0),
        "nvidia_china_cards": shipped[foreign].sum(axis=0),
        "h20_revenue_usd_bn": shipped[h20] * asp / BILLION,
        "nvda_china_revenue_usd_bn": (shipped[h20] * asp + rest + followed) / BILLION,
        "value": value.sum(axis=0),
        "nvidia_value": value[foreign].sum(axis=0),
    }
    periods = periods_of(market.months)
    start = month_index(market.months[0])
    early = sorted({m for months in periods.values() for m in months if month_index(m) < start})
    before = dict(zip(early, _early(given, last, early, flows, shipped, price, foreign, h20), strict=True))
    out: dict[str, dict[str, Array]] = {name: {} for name in SERIES}
    place = {m: i for i, m in enumerate(market.months)}
    for period, months in periods.items():
        inside = [place[m] for m in months if m in place]
        missing = [m for m in months if m not in place]
        total = {name: flow[inside].sum(axis=0) + sum((before[m][name] for m in missing), start=np.zeros(given.draws))
                 for name, flow in flows.items()}
        for name in SERIES:
            if name == "h20_card_price_usd":
                out[name][period] = price[h20, inside].mean(axis=0)
            elif name == "nvda_china_share":
                out[name][period] = total["nvidia_value"] / np.maximum(total["value"], 1.0)
            else:
                out[name][period] = total[name]
    return out


def _early(given: Given, last: filed.Filed, months: Sequence[str], flows: Mapping[str, Array], shipped: Array,
           price: Array, foreign: Sequence[int], h20: int) -> list[dict[str, Array]]:
    """Return every flow in each month before the run. (draw)"""
    asp = given["h20-96.vendor_asp_usd"]
    quarters = {fiscal_end(m): v for m, v in filed.china_quarters(given).items()}
    named = filed.card_quarters(given)
    others = shipped[[c for c in foreign if c != h20], 0].sum(axis=0)
    domestic_cards = flows["china_total_cards"][0] - flows["nvidia_china_cards"][0]
    domestic_value = flows["value"][0] - flows["nvidia_value"][0]
    other_value = flows["nvidia_value"][0] - shipped[h20, 0] * price[h20, 0]
    later = [m for m in months if month_index(m) > month_index(last.end)]
    moved = dict(zip(later, filed.bridge(given, last.end, later), strict=True))
    out = []
    for m in months:
        end = month_name(month_index(m) + (-month_index(m)) % 3)
        if end in named:
            card = named[end] / 3
            whole = np.full(given.draws, quarters[end] / 3)
        else:
            card, whole = last.card * moved[m], (last.card + last.rest) * moved[m]
        cards = card / asp
        now = {name: flow[0] for name, flow in flows.items()}
        now["h20_revenue_usd_bn"] = np.broadcast_to(card, given.draws) / BILLION
        now["nvda_china_revenue_usd_bn"] = whole / BILLION
        now["nvidia_china_cards"] = cards + others
        now["china_total_cards"] = domestic_cards + now["nvidia_china_cards"]
        now["nvidia_value"] = other_value + cards * price[h20, 0]
        now["value"] = domestic_value + now["nvidia_value"]
        out.append(now)
    return out


def rest_of_china(given: Given, market: Market, followed: Array) -> Array:
    """Return what the foreign leader sells in China beside the leading card. [USD/month] (month, draw)

    Cars, games, desks, networks and lesser boards walk in logs from the last filing, since nothing in the model
    drives them. While the leading card is held back, lesser permitted cards take over the share of its last sales
    that the cut-offs before left over, `past.shut_share_left`, until the revenue of a redesign, `followed`, is larger.
    """
    last = filed.last_filed(given)
    path = filed.walk(given, "forecast:rest_of_china", last.end, market.months,
                      given["nvidia_other.rest_spread_ln_per_quarter"] / np.sqrt(3))
    h20 = market.chips.index("h20-96")
    door = np.asarray(market.us_open[h20], dtype=np.float64) * market.cn_open[h20]
    taken_over = given["past.shut_share_left"] * last.card * (1 - door)
    return np.asarray(last.rest * path + np.maximum(taken_over - followed, 0.0))
