"""Which chip a buyer class may take in a month by the rules in force, read from `Verdicts`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.market.record import DOMESTIC
from chipcast.market.supply import GREY
from chipcast.rules.record import CN_WORDS, US_WORDS, Verdicts

LETTER = "letter"
"""Word of the US gate for a part held back by a letter to its maker."""

STAND_IN = {"nvidia_other": ("l20", "l2"), "ascend-910b": ("ascend-910b3", "ascend-910b2")}
"""Chips whose verdict stands for a traded chip that has none of its own."""


def column_of(verdicts: Verdicts, chip: str) -> int | None:
    """Return the column of a traded chip in the verdicts, its stand-in's, or None."""
    for name in (chip, *STAND_IN.get(chip, ())):
        if name in verdicts.chips:
            return verdicts.chips.index(name)
    return None


def permits(given: Given, verdicts: Verdicts, segments: Sequence[str], chips: Sequence[str], months: Sequence[str], *,
            controls: bool, local_push: bool) -> tuple[Array, Array]:
    """Return what rules in force let through at each gate, before any new closing.

    Returns
    -------
    us : array (month, segment, chip, 1 or draw)
        1 ships, 0 does not; the granted share where licences are decided case by case.
    cn : array (month, segment, chip, 1 or draw)
        1 is welcome, less where guidance discourages, 0 where barred.

    Notes
    -----
    Past the horizon of the sources the last known word stands. Domestic chips and the grey door pass.
    """
    grant = given["us_gate.case_by_case_grant_share"]
    appeal = 1 - given["cn_gate.discouraged_effect_share"] if local_push else np.ones(given.draws)
    one, none = np.ones(given.draws), np.zeros(given.draws)
    us_value = {"free": one, "notice": one, "licence_case": grant, "licence_approval": grant}
    cn_value = {"free": one, "quota": one, "discouraged": appeal, "barred": none}
    held = letters(verdicts, chips, months)
    shape = (len(months), len(segments), len(chips), given.draws)
    us, cn = np.ones(shape), np.ones(shape)
    rows = [min(verdicts.months.index(m) if m in verdicts.months else len(verdicts.months) - 1,
                len(verdicts.months) - 1) for m in months]
    for c, chip in enumerate(chips):
        if chip in DOMESTIC or (chip == GREY and controls):
            continue
        column = column_of(verdicts, chip)
        if column is None:
            continue
        for s, segment in enumerate(segments):
            row = verdicts.segments.index(segment)
            us_word, cn_word = "free", "free"
            for m, i in enumerate(rows):
                us_new, cn_new = US_WORDS[verdicts.us[i, row, column]], CN_WORDS[verdicts.cn[i, row, column]]
                us_word = us_word if us_new == "unknown" else us_new
                cn_word = cn_word if cn_new == "unknown" else cn_new
                lifted = us_word == LETTER and held[c] > 0  # the gate itself holds it, and may let it go
                us[m, s, c] = one if lifted or not controls else us_value.get(us_word, none)
                cn[m, s, c] = cn_value[cn_word]
    return us, cn


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
        if column is not None:
            slack = verdicts.slack_log[0, :, column]
            out[c] = float(np.min(slack[np.isfinite(slack)], initial=1e6))
        elif f"{chip}.slack_ln" in given:
            out[c] = given[f"{chip}.slack_ln"]
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
        for m, month in enumerate(months):
            i = verdicts.months.index(month) if month in verdicts.months else len(verdicts.months) - 1
            out[m, s] = np.maximum(own, np.nan_to_num(float(verdicts.min_domestic_share[i, row])))
    return out
