"""A small world for the tests of the market: records as the stations to its left would fill them."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from chipcast.base.calendar import month_range
from chipcast.base.given import Given
from chipcast.fab.record import PRODUCTS, Line
from chipcast.rules.record import CN_WORDS, US_WORDS, Verdicts
from chipcast.scenario import SEGMENTS
from chipcast.tokens.record import Service

CHIPS = ("h20-96", "h800-sxm", "h100-sxm", "l20", "ascend-910b2", "ascend-910b3", "ascend-910b4", "ascend-910c")
RATES = {"h20-96": 1500.0, "h800-sxm": 2600.0, "h100-sxm": 2700.0, "l20": 250.0, "ascend-910b2": 600.0,
         "ascend-910b3": 520.0, "ascend-910b4": 0.0, "ascend-910c": 1150.0}


def months_of(given: Given) -> tuple[str, ...]:
    return month_range(given.as_of, given.until)


def line_of(given: Given, months: tuple[str, ...], scale: float = 1.0) -> Line:
    m, d = len(months), given.draws
    wafers = np.broadcast_to(given["smic_n2.ai_wafer_starts_per_month"], (m, d))
    ramp = (1 + np.arange(m) / 34)[:, None]
    packages = np.stack([wafers * 3.0 * ramp, wafers * 1.5 * ramp]) * scale
    shown = {"months": months, "products": PRODUCTS, "packages": packages, "package_starts": packages,
             "wafer_starts": wafers, "wafers_out": wafers}
    rest = {f.name: np.ones(d) for f in fields(Line) if f.name not in shown}
    return Line(**shown, **rest)


def verdicts_of(months: tuple[str, ...]) -> Verdicts:
    shape = (len(months), len(SEGMENTS), len(CHIPS))
    us, cn = np.zeros(shape, dtype=np.int8), np.zeros(shape, dtype=np.int8)
    slack = np.full(shape, 0.05)
    for chip in ("h800-sxm", "h100-sxm"):
        us[:, :, CHIPS.index(chip)] = US_WORDS.index("licence_denial")
        slack[:, :, CHIPS.index(chip)] = -0.6
    for chip in CHIPS[4:]:
        slack[:, :, CHIPS.index(chip)] = np.inf
    share = np.zeros((len(months), len(SEGMENTS)))
    share[:, SEGMENTS.index("public_centre")] = 0.5
    cn[:, SEGMENTS.index("public_centre"), :4] = CN_WORDS.index("quota")
    return Verdicts(months=months, segments=SEGMENTS, chips=CHIPS, us=us, cn=cn, decided_by=np.full(shape, ""),
                    prong=np.full(shape, ""), slack_log=slack, min_domestic_share=share, unknown_after="2026-06-30")


def service_of(given: Given) -> Service:
    d, n = given.draws, len(CHIPS)
    luck = 0.7 + 0.6 * given.shock("test:service")
    total = np.stack([np.full(d, RATES[c]) * luck for c in CHIPS])
    hours = np.stack([np.broadcast_to(given[f"{c}.price_usd" if c != "l20" else "nvidia_other.price_usd"], (d,)) * 6e-5
                      for c in CHIPS])
    return Service(chips=CHIPS, model="deepseek-r1", feasible=(total.mean(-1) > 0).astype(float), layouts=(None,) * n,
                   reasons=("",) * n, output_tokens_per_s_per_chip=total * 0.3, total_tokens_per_s_per_chip=total,
                   tpot_ms=total, ttft_ms=total, usd_per_chip_h=hours, usd_per_million_output_tokens=total,
                   bound_by=("memory",) * n, grade=("prior only",) * n, min_chips=(8,) * n)
