"""What `rules` gives to the stations right of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipcast.base.types import Array

Codes = npt.NDArray[np.int8]
"""Positions in a tuple of words."""

US_WORDS = ("free", "notice", "licence_approval", "letter", "licence_case", "licence_denial", "unknown")
"""US gate, from the mildest to the strictest."""

CN_WORDS = ("free", "quota", "discouraged", "barred", "unknown")
"""Chinese gate, from the mildest to the strictest."""

STATUS_OF = {
    "free": "free", "quota": "discouraged", "discouraged": "discouraged", "notice": "notified_exception",
    "licence_approval": "licence", "letter": "licence", "licence_case": "case_by_case", "licence_denial": "denied",
    "barred": "denied", "unknown": "unknown",
}
"""Combined status of a word of either gate."""

STATUS_ORDER = ("free", "discouraged", "notified_exception", "licence", "case_by_case", "denied", "unknown")
"""Combined status, from the mildest to the strictest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdicts:
    """Which chips each buyer class may get, month by month, by both gates."""

    months: tuple[str, ...]
    """Calendar months; the verdict is that of the month's last day known at `as_of`. (month)"""
    segments: tuple[str, ...]
    """Buyer classes. (segment)"""
    chips: tuple[str, ...]
    """Chip ids. (chip)"""
    us: Codes
    """Index into `US_WORDS`; domestic chips inside China are free. (month, segment, chip)"""
    cn: Codes
    """Index into `CN_WORDS`. (month, segment, chip)"""
    decided_by: npt.NDArray[np.str_]
    """Id of the deciding rule, empty where free. (month, segment, chip)"""
    prong: npt.NDArray[np.str_]
    """Prong of the rule that decides, or the nearest one where free. (month, segment, chip)"""
    slack_log: Array
    """Signed log distance to the line; above 0 is free. [1] (month, segment, chip)"""
    min_domestic_share: Array
    """Least share of domestic chips that the Chinese gate asks for. [1] (month, segment)"""
    unknown_after: str
    """Date after which the sources say nothing."""
