"""What `market` gives to the stations right of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from chipcast.base.types import Array

Cells = npt.NDArray[np.float32]
"""Units by buyer, chip and month, rounded to float32 when they leave a block."""


def not_kept() -> Cells:
    """Return what stands in a record that no simulation made: an array without months. (month, draw)"""
    return np.zeros((0, 0), dtype=np.float32)


CHIPS = ("h20-96", "h800-sxm", "nvidia_other", "ascend-910b", "ascend-910c", "domestic_other", "nvidia_next")
"""What the market trades; a 910B without a bin is the mixture of its bins, the H800 comes by the grey route, and
`nvidia_next` is the card that the foreign leader offers when its leading card is held back."""

LEADING = CHIPS[0]
"""The foreign card that the record's closings reached, and from which rates are scaled."""

NEXT = "nvidia_next"
"""The card that follows the leading one."""

DOMESTIC = frozenset({"ascend-910b", "ascend-910c", "domestic_other"})
"""Chips whose vendor is Chinese."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Market:
    """Who ordered, got, held and served what, month by month."""

    months: tuple[str, ...]
    """Calendar months. (month)"""
    segments: tuple[str, ...]
    """Buyer classes. (segment)"""
    chips: tuple[str, ...]
    """Chips traded. (chip)"""
    need: Cells
    """Cards that demand asks for in the month, before cover. [cards/month] (segment, chip, month, draw)"""
    orders: Cells
    """Cards newly ordered. [cards/month] (segment, chip, month, draw)"""
    deliveries: Cells
    """Cards that arrived at buyers. [cards/month] (segment, chip, month, draw)"""
    stocks: Cells
    """Cards held beyond the month's use, at its end. [cards] (segment, chip, month, draw)"""
    installed: Cells
    """Cards installed at the end of the month, stock included. [cards] (segment, chip, month, draw)"""
    cover_months: Cells
    """Months of need that each segment wants to hold of chips under threat. [months] (segment, month, draw)"""
    price_usd: Cells
    """Street price of a card, grey premium included. [USD] (chip, month, draw)"""
    fill: Cells
    """Delivered share of what was wanted. [1] (chip, month, draw)"""
    lead_time_days: Cells
    """Days from order to delivery. [days] (chip, month, draw)"""
    us_open: Cells
    """1 where the US gate lets the chip ship. (chip, month, draw)"""
    cn_open: Cells
    """1 where the Chinese gate lets the chip in. (chip, month, draw)"""
    useful_tokens: Cells
    """Tokens served. [tokens/month] (segment, month, draw)"""
    unserved_tokens: Cells
    """Tokens wanted and not served. [tokens/month] (segment, month, draw)"""
    domestic_share_cards: Cells
    """Share of delivered cards from Chinese vendors. [1] (month, draw)"""
    domestic_share_tokens: Cells
    """Share of installed token capacity on Chinese chips. [1] (month, draw)"""
    line_orders: Array
    """Cards of each product of the domestic line that buyers asked for. [cards/month] (product, month, draw)"""
    books: dict[str, float]
    """Largest residual of each balance over all cells: units, backlog, shelf, way, money, tokens; relative."""
    shipped: Cells = field(default_factory=not_kept)
    """Cards that left the sellers; they arrive later or are sent back. [cards/month] (chip, month, draw)"""
    under_way: Cells = field(default_factory=not_kept)
    """Cards between seller and buyer at the end of the month. [cards] (chip, month, draw)"""
    shelf: Cells = field(default_factory=not_kept)
    """Finished cards at the sellers at the end of the month. [cards] (chip, month, draw)"""
    backlog: Cells = field(default_factory=not_kept)
    """Cards ordered and not shipped at the end of the month. [cards] (chip, month, draw)"""
    written_down_usd: Cells = field(default_factory=not_kept)
    """What sellers write off when a door shuts on goods made for it. [USD/month] (chip, month, draw)"""
    leased_abroad: Cells = field(default_factory=not_kept)
    """Cards of the leading class leased abroad. [cards] (segment, month, draw)"""
    idle_share: Cells = field(default_factory=not_kept)
    """Share of installed capacity that serves nobody: wrong place, no tenant, or more than is needed. [1]
    (segment, month, draw)"""
    short_share: Cells = field(default_factory=not_kept)
    """Share of wanted work that no capacity serves. [1] (segment, month, draw)"""
    spent_usd: Cells = field(default_factory=not_kept)
    """What buyers pay for cards that arrive, street premium included. [USD/month] (segment, month, draw)"""
    quoted_usd: Cells | None = None
    """Street price of the date, where a buyer's own orders moved that of the first month; None where nothing did. [USD]
    (chip, draw)"""
    threat: Cells | None = None
    """Threat of a closing that a buyer can hear of, 1 when fresh or announced; None if not kept. [1] (month, draw)"""
