"""A small synthetic market, service and verdicts, for tests of the planner."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.calendar import month_range
from chipcast.base.given import Given
from chipcast.market.record import CHIPS, Market
from chipcast.rules.record import Verdicts
from chipcast.scenario import SEGMENTS
from chipcast.tokens.record import Layout, Service

SERVED = ("h20-96", "ascend-910b2", "ascend-910c", "h800-sxm")


def market_of(given: Given, *, hazard: float = 0.05, months: tuple[str, ...] = (), fill: float = 0.9) -> Market:
    months = months or month_range("2025-02", "2027-12")
    M, D, B, C = len(months), given.draws, len(SEGMENTS), len(CHIPS)
    cut = np.ceil(np.log1p(-given.shock("test.cut")) / np.log1p(-hazard)) if hazard > 0 else np.full(D, M + 1.0)
    open_ = np.ones((C, M, D), dtype=np.float32)
    open_[:3] = (np.arange(M)[:, None] < cut)[None]
    cells = np.zeros((B, C, M, D), dtype=np.float32)
    wide = np.zeros((B, M, D), dtype=np.float32)
    drift = 1 - 0.004 * np.arange(M)[:, None]
    scarce = 1 + 0.3 * (1 - open_)
    price = (20_000 * drift * scarce * np.ones((C, M, D))).astype(np.float32)
    lead = np.full((C, M, D), 75.0, dtype=np.float32)
    lead[3:] = 150
    empty = np.zeros((M, D), dtype=np.float32)
    return Market(months=months, segments=SEGMENTS, chips=CHIPS, need=cells, orders=cells, deliveries=cells,
                  stocks=cells, installed=cells, cover_months=wide, price_usd=price,
                  fill=np.full((C, M, D), fill, dtype=np.float32), lead_time_days=lead, us_open=open_,
                  cn_open=np.ones_like(open_), useful_tokens=wide, unserved_tokens=wide, domestic_share_cards=empty,
                  domestic_share_tokens=empty, line_orders=np.zeros((2, M, D)), books={})


def service_of(given: Given, *, chips: tuple[str, ...] = SERVED, speed: tuple[float, ...] = (60, 25, 50, 80),
               blocks: tuple[int, ...] = (8, 16, 16, 8)) -> Service:
    D, n = given.draws, len(chips)
    luck = np.exp(0.3 * (given.shock("test.speed") - 0.5))
    rate = np.array(speed)[:, None] * luck
    return Service(chips=chips, model="deepseek-r1", feasible=np.ones(n),
                   layouts=tuple(Layout(chips=b) if b else None for b in blocks),
                   reasons=tuple("" if b else "does not fit" for b in blocks), output_tokens_per_s_per_chip=rate,
                   total_tokens_per_s_per_chip=3 * rate, tpot_ms=np.full((n, D), 40.0), ttft_ms=np.full((n, D), 900.0),
                   usd_per_chip_h=np.ones((n, D)), usd_per_million_output_tokens=np.ones((n, D)),
                   bound_by=("memory",) * n, grade=("prior only",) * n, min_chips=blocks)


def verdicts_of(months: tuple[str, ...], *, bar: tuple[str, ...] = ("h800-sxm",), domestic: float = 0.0,
                chips: tuple[str, ...] = SERVED) -> Verdicts:
    shape = (len(months), len(SEGMENTS), len(chips))
    us = np.zeros(shape, dtype=np.int8)
    for c in bar:
        us[:, :, chips.index(c)] = 5
    return Verdicts(months=months, segments=SEGMENTS, chips=chips, us=us, cn=np.zeros(shape, dtype=np.int8),
                    decided_by=np.full(shape, ""), prong=np.full(shape, ""), slack_log=np.zeros(shape),
                    min_domestic_share=np.full(shape[:2], domestic), unknown_after="2027-12-31")


def world_of(given: Given, **changes: Any) -> tuple[Market, Service, Verdicts]:
    market = market_of(given, **changes)
    return market, service_of(given), verdicts_of(market.months)
