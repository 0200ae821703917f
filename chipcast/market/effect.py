"""What a switch or an event does: two runs on the same luck, draw by draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chipcast.base.errors import require
from chipcast.base.summary import interval
from chipcast.base.types import Array
from chipcast.market.record import DOMESTIC, Market


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """One paired difference."""

    name: str
    """What is compared."""
    unit: str
    """Its unit."""
    year: str
    """Calendar year, as far as the run covers it."""
    values: Array
    """First run less second, draw by draw. (draw)"""

    def as_row(self) -> dict[str, object]:
        """Return the interval and the share of draws with more and with less."""
        return {"name": self.name, "unit": self.unit, "year": self.year, "effect": interval(self.values),
                "p_positive": float(np.mean(self.values > 0)), "p_negative": float(np.mean(self.values < 0))}


def _ordered(run: Market, a: int, b: int) -> Array:
    return np.asarray(run.orders[:, run.chips.index("h20-96"), a:b].sum((0, 1), dtype=np.float64))


def _delivered(run: Market, a: int, b: int) -> Array:
    return np.asarray(run.deliveries[:, run.chips.index("h20-96"), a:b].sum((0, 1), dtype=np.float64))


def _domestic(run: Market, a: int, b: int) -> Array:
    home = [k for k, c in enumerate(run.chips) if c in DOMESTIC]
    return np.asarray(run.deliveries[:, home, a:b].sum((0, 1, 2), dtype=np.float64))


def _share(run: Market, a: int, b: int) -> Array:
    everything = run.deliveries[:, :, a:b].sum((0, 1, 2), dtype=np.float64)
    return np.asarray(_domestic(run, a, b) / np.maximum(everything, 1.0))


def _served(run: Market, a: int, b: int) -> Array:
    return np.asarray(run.useful_tokens[:, a:b].sum((0, 1), dtype=np.float64))


def _price(run: Market, a: int, b: int) -> Array:
    return np.asarray(run.price_usd[run.chips.index("h20-96"), b - 1], dtype=np.float64)


def _of(*chips: str) -> Callable[[Market, int, int], Array]:
    """Return a measure: cards of these chips that arrived."""
    def cards(run: Market, a: int, b: int) -> Array:
        rows = [run.chips.index(c) for c in chips]
        return np.asarray(run.deliveries[:, rows, a:b].sum((0, 1, 2), dtype=np.float64))
    return cards


def _abroad(run: Market, a: int, b: int) -> Array:
    return np.asarray(run.leased_abroad[:, b - 1].sum(0, dtype=np.float64))


def _short(run: Market, a: int, b: int) -> Array:
    """Return domestic cards wanted for need and not delivered, at the end: what supply and not choice withholds."""
    home = [k for k, c in enumerate(run.chips) if c in DOMESTIC]
    wanted = run.need[:, home, b - 1].sum((0, 1), dtype=np.float64)
    return np.asarray(np.maximum(wanted - run.deliveries[:, home, b - 1].sum((0, 1), dtype=np.float64), 0.0))


def _home_tokens(run: Market, a: int, b: int) -> Array:
    return np.asarray(run.domestic_share_tokens[b - 1], dtype=np.float64)


def _loss(run: Market, a: int, b: int) -> Array:
    return np.asarray(run.written_down_usd[:, a:b].sum((0, 1), dtype=np.float64))


MEASURES: dict[str, tuple[str, Callable[[Market, int, int], Array]]] = {
    "H20 ordered": ("cards", _ordered), "H20 delivered": ("cards", _delivered),
    "domestic cards delivered": ("cards", _domestic), "domestic share of cards": ("1", _share),
    "domestic share of tokens": ("1", _home_tokens), "domestic cards short": ("cards", _short),
    "lesser and redesigned foreign cards": ("cards", _of("nvidia_other", "nvidia_next")),
    "grey cards": ("cards", _of("h800-sxm")), "cards leased abroad": ("cards", _abroad),
    "seller's write-down": ("USD", _loss), "tokens served": ("tokens", _served),
    "H20 price at the end": ("USD", _price)}
"""What is compared: unit and (run, first month, month after the last) to a value per draw."""


def paired(first: Market, second: Market) -> tuple[Effect, ...]:
    """Return first less second for every measure and calendar year.

    Raises
    ------
    InputError
        If the runs differ in months or draws, so that they share no luck.
    """
    require(first.months == second.months and first.orders.shape == second.orders.shape, "two runs",
            "have the same months and draws", (len(first.months), len(second.months)))
    years: dict[str, list[int]] = {}
    for i, month in enumerate(first.months):
        years.setdefault(month[:4], []).append(i)
    return tuple(Effect(name=name, unit=unit, year=year, values=of(first, a, b) - of(second, a, b))
                 for year, (a, b) in ((y, (m[0], m[-1] + 1)) for y, m in years.items())
                 for name, (unit, of) in MEASURES.items())
