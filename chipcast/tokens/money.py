"""What does an hour of a chip cost its owner?"""

from __future__ import annotations

import numpy as np

from chipcast.base.given import Given
from chipcast.base.types import Numeric
from chipcast.tokens.speed import figure, stand_in

HOURS_PER_YEAR = 8760.0


def capital_recovery(rate: Numeric, years: Numeric) -> Numeric:
    """Return the yearly payment that repays one unit over so many years. [1/year]

    >>> round(float(capital_recovery(0.05, 4.0)), 4)
    0.282
    """
    return rate / -np.expm1(-years * np.log1p(rate))


def usd_per_chip_h(given: Given, chip: str, *, segment: str = "platform") -> Numeric:
    r"""Return the cost of owning and running one chip for an hour; not-a-number where no price is known. [USD/h]

    Notes
    -----
    price x server_factor x (1 + network_share) x (crf(rate, life) + upkeep)/8760 + tdp_kw x node_factor x pue x
    usd_per_kwh, in China. Rows of the segment stand before the chip's, those before the general ones.
    """
    name = stand_in(chip)
    price = figure(given, chip, "price_usd")
    watts = figure(given, chip, "tdp_w")
    if price is None or watts is None:
        return np.full(given.draws, np.nan)
    server = given.first(f"{segment}.server_factor", f"{name}.server_factor", "ownership.server_factor")
    capital = price * server * (1 + given["ownership.network_share"])
    yearly = capital_recovery(given["ownership.interest_rate_per_year"], given["ownership.useful_life_years"]) \
        + given["ownership.upkeep_share_per_year"]
    power_kw = watts / 1000 * given["ownership.node_power_factor"] * given.first(f"{segment}.pue", "country_cn.pue")
    tariff = given.first(f"{segment}.usd_per_kwh", "country_cn.usd_per_kwh")
    return capital * yearly / HOURS_PER_YEAR + power_kw * tariff


def usd_per_million(rate_per_chip: Numeric, usd_per_h: Numeric, utilisation: Numeric) -> Numeric:
    """Return the cost of a million tokens at a rate per chip. [USD/1e6 tokens]

    >>> round(usd_per_million(1000.0, 3.6, 1.0), 3)
    1.0
    """
    return 1e6 * usd_per_h / (3600 * rate_per_chip * utilisation)
