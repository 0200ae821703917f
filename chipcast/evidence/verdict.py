"""The one rule by which a claim is called supported, in doubt or contradicted; the report prints it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chipcast.base.types import Array

RULE = (
    "With T the draws, I the claim's interval, p = 2 min(P(T <= I high), P(T >= I low)) capped at 1, and "
    "k = 1 - sd(T) / sd(T under the prior): p < 0.02 contradicted; else p < 0.10 in doubt; else k < 0.2 and the prior "
    "decides (before any report P(T in I) lies between 0.05 and 0.95): not identified; else P(T in I) >= 0.5 "
    "supported; else consistent. A claim about a direction goes by the probability that the paired effect has its "
    "sign: >= 0.95 supported, >= 0.8 consistent, >= 0.2 not identified, >= 0.05 in doubt, else contradicted. T never "
    "uses reports of the claim's own origin.")
"""The rule in words."""

ORDER = ("supported", "consistent", "not identified", "in doubt", "contradicted")
"""Verdicts from the kindest to the harshest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What the draws say of a claim."""

    word: str
    """Entry of `ORDER`."""
    probability: float
    """P(T in I), or the probability of the sign."""
    p: float
    """Two-sided tail share; 1 for a direction."""
    k: float
    """Contraction of T from its prior; nan where there is no prior to compare with."""


def judge_interval(draws: Array, low: float, high: float, prior: Array | None = None) -> Verdict:
    """Judge a claim that a quantity lies in [low, high].

    Parameters
    ----------
    draws : array (draw)
        The quantity, computed without reports of the claim's own origin.
    low, high : float
        The claim's interval; infinite ends are allowed.
    prior : array (draw), optional
        The quantity before any report; without it the data decide and `k` is not asked.
    """
    below, above = float(np.mean(draws <= high)), float(np.mean(draws >= low))
    inside = float(np.mean((draws >= low) & (draws <= high)))
    p = min(1.0, 2 * min(below, above))
    k, open_before = float("nan"), False
    if prior is not None:
        spread = float(np.std(prior))
        k = 1 - float(np.std(draws)) / spread if spread > 0 else float("nan")
        open_before = 0.05 < float(np.mean((prior >= low) & (prior <= high))) < 0.95
    if p < 0.02:
        word = "contradicted"
    elif p < 0.10:
        word = "in doubt"
    elif k < 0.2 and open_before:
        word = "not identified"
    elif inside >= 0.5:
        word = "supported"
    else:
        word = "consistent"
    return Verdict(word=word, probability=inside, p=p, k=k)


def judge_direction(effect: Array) -> Verdict:
    """Judge a claim that a paired effect is positive: the share of draws above zero decides."""
    share = float(np.mean(effect > 0))
    for limit, word in ((0.95, "supported"), (0.8, "consistent"), (0.2, "not identified"), (0.05, "in doubt")):
        if share >= limit:
            return Verdict(word=word, probability=share, p=1.0, k=float("nan"))
    return Verdict(word="contradicted", probability=share, p=1.0, k=float("nan"))


def harsher(*verdicts: Verdict) -> Verdict:
    """Return the harshest of several verdicts: a claim with two parts is as good as its weaker one."""
    return max(verdicts, key=lambda v: ORDER.index(v.word))
