"""Compute counted in H100s: a secondary unit that reports use, by peak and not by what a chip delivers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.chip.spec import chip

UNIT_CHIP = "h100-sxm"
"""Chip that counts as one."""

MEANING = ("an H100-equivalent is a card's dense 16-bit peak over that of an H100 SXM; it says nothing of memory, so "
           "it makes cards that generate text well look small")
"""What the unit is, and where it misleads."""


def h100_equivalents(given: Given, chips: Sequence[str]) -> Array:
    """Return how many H100s a card of each chip counts as, by dense 16-bit peak. [H100] (chip, draw)

    Raises
    ------
    InputError
        If the 16-bit rate of a chip is not known at the date.

    Notes
    -----
    A name without a bin counts as the bin of its draw. The product's own unit is the useful token.
    """
    one, _ = chip(given, UNIT_CHIP).rate("bf16")
    return np.stack([chip(given, c).rate("bf16")[0] / one for c in chips])
