"""Which chip a buyer class may take in a month by the rules in force, read from `Verdicts`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.market.record import DOMESTIC, NEXT
from chipcast.market.supply import GREY
from chipcast.rules.record import CN_WORDS, US_WORDS, Verdicts

LETTER = "letter"
"""Word of the US gate for a part held back by a letter to its maker."""

STAND_IN = {"nvidia_other": ("l20", "l2"), "ascend-910b": ("ascend-910b3", "ascend-910b2")}
"""Chips whose verdict stands for a traded chip that has none of its own."""

NEXT_NAMED = "h200-sxm"
"""The part of the kind that follows the leading card that had been allowed by the end of 2025."""

SOON_MONTHS = 60
"""A card that is to be offered within so many months has a name and so a verdict."""

SHIPS, CASE, HELD = range(3)
"""Levels of the US gate: ships, licences case by case, held back."""

WELCOME, DISCOURAGED, BARRED = range(3)
"""Levels of the Chinese gate."""

US_LEVEL = {"free": SHIPS, "notice": SHIPS, "licence_case": CASE, "licence_approval": CASE}
"""Level of each word of the US gate; every other word holds a chip back."""

CN_LEVEL = {"free": WELCOME, "quota": WELCOME, "discouraged": DISCOURAGED, "barred": BARRED}
"""Level of each word of the Chinese gate."""

Levels = npt.NDArray[np.int8]
"""Levels of a gate. (month, segment, chip)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Permits:
    """What rules in force let through at each gate, before any new closing."""

    us: Levels
    """Level of the US gate."""
    cn: Levels
    """Level of the Chinese gate."""
    us_share: Array
    """Share of wanted cards that ships at each level. [1] (level, draw)"""
    cn_share: Array
    """Share of wanted cards that is still bought at each level. [1] (level, draw)"""

    def may(self, m: int, chip: int) -> Array:
        """Return 1 for segments that may take a chip in a month, 0 for others. (segment, 1)"""
        ok = (self.us[m, :, chip] != HELD) & (self.cn[m, :, chip] != BARRED)
        return np.asarray(ok[:, None], dtype=float)

    def in_full(self, m: int, chip: int) -> bool:
        """Return whether whoever may take a chip in a month may take all of it."""
        us, cn = self.us[m, :, chip], self.cn[m, :, chip]
        return bool(np.all((us != CASE) & (cn != DISCOURAGED)))

    def share(self, m: int, chip: int) -> Array:
        """Return the share of wanted cards of a chip that goes through, by segment. [1] (segment, draw)"""
        return np.asarray(self.us_share[self.us[m, :, chip]] * self.cn_share[self.cn[m, :, chip]])

    def granted(self, us_end: Array, chip: int) -> Array:
        """Return the chance that an order passes the US gate where licences decide. [1] (month, segment, draw)

        It is 1 where the door stands open in full, and where it is shut: no order can be filled then. Where no licence
        decides at all, one number a month stands for all segments and draws.

        Parameters
        ----------
        us_end : array (month, draw)
            How far the gate itself lets the chip through on the month's last day. [1]
        """
        partly = (us_end > 0) & (us_end < 1)
        if not partly.any() and not (self.us[:, :, chip] == CASE).any():
            return np.ones((len(us_end), 1, 1))
        chance = us_end[:, None] * self.us_share[self.us[:, :, chip]]
        return np.where(chance > 0, chance, 1.0)

    def widest(self, chip: int) -> tuple[tuple[Array, Array], ...]:
        """Return what each gate lets through, month by month, for the segment that it binds least. [1] (draw)"""
        seen: dict[bytes, tuple[Array, Array]] = {}
        out = []
        for us, cn in zip(self.us[:, :, chip], self.cn[:, :, chip], strict=True):
            key = us.tobytes() + cn.tobytes()  # levels seldom change from month to month
            if key not in seen:
                seen[key] = self.us_share[np.unique(us)].max(axis=0), self.cn_share[np.unique(cn)].max(axis=0)
            out.append(seen[key])
        return tuple(out)


def column_of(verdicts: Verdicts, chip: str) -> int | None:
    """Return the column of a traded chip in the verdicts, its stand-in's, or None."""
    for name in (chip, *STAND_IN.get(chip, ())):
        if name in verdicts.chips:
            return verdicts.chips.index(name)
    return None


def permits(given: Given, verdicts: Verdicts, segments: Sequence[str], chips: Sequence[str], months: Sequence[str], *,
            controls: bool, local_push: bool) -> Permits:
    """Return what rules in force let through at each gate.

    Notes
    -----
    Past the horizon of the sources the last known word stands. Domestic chips and the grey door pass, and so does a
    card that is not on the market yet: it will be made for the rules.
    """
    grant, loss = given["us_gate.case_by_case_grant_share"], given["cn_gate.discouraged_effect_share"]
    one, none = np.ones(given.draws), np.zeros(given.draws)
    held = letters(verdicts, chips, months)
    us = np.zeros((len(months), len(segments), len(chips)), dtype=np.int8)
    cn = np.zeros_like(us)
    last = len(verdicts.months) - 1
    at = [verdicts.months.index(m) if m in verdicts.months else last for m in months]
    rows = [verdicts.segments.index(s) for s in segments]
    for c, chip in enumerate(chips):
        if chip in DOMESTIC or (chip == GREY and controls):
            continue
        column = column_of(verdicts, chip)
        if chip == NEXT:
            soon = given.middle(f"{NEXT}.months_to_offer") < SOON_MONTHS and NEXT_NAMED in verdicts.chips
            column = verdicts.chips.index(NEXT_NAMED) if soon else None
        if column is None:
            continue
        for s, row in enumerate(rows):
            us_word, cn_word = "free", "free"
            for m, i in enumerate(at):
                us_new, cn_new = US_WORDS[verdicts.us[i, row, column]], CN_WORDS[verdicts.cn[i, row, column]]
                us_word = us_word if us_new == "unknown" else us_new
                cn_word = cn_word if cn_new == "unknown" else cn_new
                lifted = us_word == LETTER and held[c] > 0  # the gate itself holds it, and may let it go
                us[m, s, c] = SHIPS if lifted or not controls else US_LEVEL.get(us_word, HELD)
                if chip == NEXT and us[m, s, c] == HELD:
                    us[m, s, c] = CASE  # announced for approved buyers, and no rule in force yet
                cn[m, s, c] = CN_LEVEL[cn_word]
    return Permits(us=us, cn=cn, us_share=np.stack([one, grant, none]),
                   cn_share=np.stack([one, 1 - loss if local_push else one, none]))


def letters(verdicts: Verdicts, chips: Sequence[str], months: Sequence[str]) -> Array:
    """Return 1 for chips that a letter holds back in the first month: the gate's own doing, not a standing rule. (chip)

    A letter names a part and can be withdrawn, as in 2025; a rule with figures stays.
    """
    out = np.zeros(len(chips))
    first = verdicts.months.index(months[0]) if months[0] in verdicts.months else 0
    for c, chip in enumerate(chips):
        column = column_of(verdicts, chip)
        if chip not in DOMESTIC and chip != GREY and column is not None:
            out[c] = float(np.all(verdicts.us[first, :, column] == US_WORDS.index(LETTER)))
    return out


def slack_of(given: Given, verdicts: Verdicts, chips: Sequence[str]) -> Array:
    """Return the log distance of each chip to today's line, large where no rule can reach. [1] (chip, draw)"""
    out = np.full((len(chips), given.draws), 1e6)
    for c, chip in enumerate(chips):
        if chip in DOMESTIC or chip == GREY:
            continue
        column = column_of(verdicts, chip)
        if f"{chip}.slack_ln" in given:  # a kind of cards lies at many distances, not at that of one of them
            out[c] = given[f"{chip}.slack_ln"]
        elif column is not None:
            slack = verdicts.slack_log[0, :, column]
            out[c] = float(np.min(slack[np.isfinite(slack)], initial=1e6))
    return out


def domestic_floor(given: Given, verdicts: Verdicts, segments: Sequence[str], months: Sequence[str], *,
                   local_push: bool) -> Array:
    """Return the least share of domestic chips in what each segment buys. [1] (month, segment, draw)

    The larger of the rule's share and the segment's own goal; private firms and clinics have no goal.
    """
    out = np.zeros((len(months), len(segments), given.draws))
    if not local_push:
        return out
    for s, segment in enumerate(segments):
        row = verdicts.segments.index(segment)
        goal = f"{segment}.domestic_share_goal"
        own = given[goal] if goal in given else np.zeros(given.draws)
        at = [verdicts.months.index(m) if m in verdicts.months else len(verdicts.months) - 1 for m in months]
        np.maximum(own, np.nan_to_num(verdicts.min_domestic_share[at, row].astype(float))[:, None], out=out[:, s])
    return out
