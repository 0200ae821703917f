"""What must be true for a claim to be true: the draws in which it holds, against all draws."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.base.errors import InputError, nearest, require
from chipcast.base.summary import interval
from chipcast.base.types import Array
from chipcast.base.units import UNITS, parse_quantity

OPERATORS: dict[str, Callable[[Array, float], Any]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}
"""Comparisons that a claim may use; a claim without one means `about`, within a tenth either way."""

WORDS = {"at least": ">=", "at most": "<=", "more than": ">", "over": ">", "above": ">", "less than": "<",
         "under": "<", "below": "<", "about": "=", "is": "="}
"""Words that mean a comparison."""

ABOUT = 0.10
"""Relative half-width of `about`: a figure in a newspaper is rarely meant more exactly."""

CHANCE = 2.2
"""A quantity is named only where its two distributions lie farther apart than chance puts them: Kolmogorov's statistic,
which passes this with probability 1e-4."""

SAME = 0.98
"""A measurable quantity that parts the draws as sharply as this is the claim itself under another name."""

SURE = 5.0
"""A pair is named only where a claim moves its rank correlation by so many standard errors: a hundred quantities make
five thousand pairs."""

BINS = 20
"""Slices of equal mass in which the probability of a claim is compared, for `settle_by`."""

PAIRS = 6
"""Pairs that are named."""

LEAST = 50
"""Draws below which no pair is looked for."""

NUMBER = r"[-+\d.,]+\s*(?:(?:k|M|bn|thousand|million|billion)\b)?"
"""A number with its size."""

SPELT = ((re.compile("≥|=>"), ">="), (re.compile("≤|=<"), "<="), (re.compile("=="), "="),
         (re.compile(r"\s*\bper ?cent\b", re.IGNORECASE), "%"),
         (re.compile(rf"(?:US)?\$\s*({NUMBER})"), r"\1 USD "),
         (re.compile(rf"(?:¥|\bRMB)\s*({NUMBER})"), r"\1 CNY "),
         (re.compile(r"\b(?:yuan|RMB)\b", re.IGNORECASE), "CNY"))
"""Other spellings of signs and units, and what they are read as."""

PATTERNS = (re.compile(r"^\s*(.+?)\s*(>=|<=|>|<|=)\s*([-+\d.].*?)\s*$"),
            re.compile(r"^\s*(.+?)\s+(" + "|".join(WORDS) + r")\s+([-+\d.].*?)\s*$", re.IGNORECASE),
            re.compile(r"^\s*(.+)(\s)\s*([-+\d.].*?)\s*$"))
"""A claim with a sign, with words for it, or with neither."""

RANGE = re.compile(r"^\s*(.+?)\s+(?:between|from|in)\s+([-+\d.].*?)\s+(?:and|to)\s+([-+\d.].*?)\s*$", re.IGNORECASE)
"""A claim of a range."""

FIGURE = re.compile(rf"^({NUMBER})\s*(.*)$")
"""A number with its size, and the unit behind it, which the first figure of a range may leave to the second."""


def parse_claim(text: str, known: Mapping[str, str], *, first: Sequence[str] = (), cny_per_usd: float = float("nan")
                ) -> tuple[str, str, tuple[float, ...]]:
    """Read `NAME OP VALUE` or `NAME between LOW and HIGH` as (name, operator, figures in the quantity's unit).

    Parameters
    ----------
    text : str
        For example `910c.yield >= 40%`, `910C yield 40%` or `wafer starts over 7k`.
    known : mapping
        Name of each quantity that a claim may speak of, with its unit.
    first : sequence of str
        Names to propose before others.
    cny_per_usd : float
        Exchange rate for figures in yuan of quantities in dollars. [CNY/USD]

    Raises
    ------
    InputError
        If the text has no number, names no known quantity or several, or gives a range upside down.
    """
    spelt = text
    for other, sign in SPELT:
        spelt = other.sub(sign, spelt)
    if span := RANGE.match(spelt):
        subject, low, high = span.groups()
        name = _named(subject, known, first)
        lower, upper = FIGURE.match(low), FIGURE.match(high)
        if lower and upper and not lower.group(2):
            low = f"{low} {upper.group(2)}".strip()
        ends = tuple(_figure(f, name, known[name], cny_per_usd) for f in (low, high))
        require(ends[0] < ends[1], name, "lie between a lower and a higher figure", f"{low} and {high}")
        return name, "between", ends
    match = next((m for m in (p.match(spelt) for p in PATTERNS) if m), None)
    if match is None:
        raise InputError(f"cannot read the claim '{text}'; write NAME OP VALUE, for example '910c.yield >= 40%', "
                         "or the id of a claim of the news")
    name = _named(match.group(1), known, first)
    sign = WORDS.get(match.group(2).strip().lower(), match.group(2).strip()) or "="
    return name, "about" if sign == "=" else sign, (_figure(match.group(3), name, known[name], cny_per_usd),)


def _figure(text: str, name: str, unit: str, cny_per_usd: float) -> float:
    """Return a figure of a claim in the quantity's unit; yuan are taken at the exchange rate of the date."""
    dollars = unit.split("/")[0] == "USD" or ("_usd_" in name and UNITS[unit][0] == "number")
    rate = 1.0
    if dollars and "CNY" in text:
        text, rate = text.replace("CNY", "USD"), 1 / cny_per_usd
    if "_usd_" in name and UNITS[unit][0] == "number":
        text = text.removesuffix("USD").strip()  # the name says already that it counts dollars
    return parse_quantity(text, unit, name) * rate


def _named(text: str, known: Mapping[str, str], first: Sequence[str]) -> str:
    """Return the quantity that a text means: its name in any case, or words that only one name holds."""
    words = re.split(r"[\s.]+", text.strip().lower())
    spoken = ".".join(words)
    names = {name.lower(): name for name in known}
    if spoken in names:
        return names[spoken]
    parts = {name: set(re.split(r"[._]", name.lower())) for name in known}
    asked = {w for word in words for w in re.split(r"[_-]", word)} - {"the", "of", "a"}
    fits = [n for n, own in parts.items() if asked and asked <= own] or [
        n for n, own in parts.items() if asked and all(any(o.startswith(w) for o in own) for w in asked)]
    preferred = [n for n in fits if n in first] or fits
    if len(preferred) == 1:
        return preferred[0]
    if preferred:
        listed = ", ".join(sorted(preferred, key=len)[:6]) + (", ..." if len(preferred) > 6 else "")
        raise InputError(f"'{text}' may mean {listed}; write one of these names")
    close = nearest(spoken, first, 3) or nearest(spoken, known, 3)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    some = ", ".join((*first, *sorted(set(known) - set(first)))[:12])
    raise InputError(f"unknown quantity of a claim '{spoken}'{hint} known: {some}, ... and every row of "
                     "'chipcast evidence'")


def holds(values: Array, sign: str, *figures: float) -> npt.NDArray[np.bool_]:
    """Return in which draws the claim holds; `between` takes two figures. (draw)"""
    if sign == "between":
        low, high = figures
        return np.asarray((values >= low) & (values <= high))
    value, = figures
    if sign == "about":
        return np.abs(values - value) <= ABOUT * abs(value)
    result: npt.NDArray[np.bool_] = np.asarray(OPERATORS[sign](values, value))
    return result


def explain(mask: npt.NDArray[np.bool_], quantities: Mapping[str, Array], units: Mapping[str, str],
            *, top: int = 8, measurable: Mapping[str, Array] | None = None) -> dict[str, Any]:
    """Return what must hold where a claim holds.

    Parameters
    ----------
    mask : array of bool (draw)
        Where the claim holds.
    quantities : mapping of arrays (draw)
        Uncertain quantities that might explain it.
    units : mapping
        Unit of each quantity.
    measurable : mapping of arrays (draw), optional
        Other quantities that could be measured to settle the claim; they are no causes.

    Returns
    -------
    dict
        `probability`; `must_hold`: quantities whose distribution where the claim holds differs most from the rest,
        with their interval there and over all draws, the shift of the mean in standard deviations, the ratio of
        spreads and `fits`, the share of all draws inside the interval; `together`: pairs that the claim ties
        together; `implied`: what the measurable ones would be; `weakest_link`: the one that the fewest draws fit;
        `settle_by`: the one whose measurement would reduce the doubt most, with the share of the claim's variance
        that it explains and the expected information in bits.

    Notes
    -----
    A mean that does not move can still be bound: a claim that a value lies near 40 percent narrows its causes. So the
    distance is Kolmogorov's, the largest gap of two distribution functions, and not the shift of a mean.
    """
    probability = float(np.mean(mask))
    if not mask.any() or mask.all():
        return {"probability": probability, "must_hold": [], "together": [], "implied": [], "weakest_link": None,
                "settle_by": None}
    rows = []
    for name, values in quantities.items():
        sd = float(np.std(values))
        if sd == 0:
            continue
        inside = values[mask]
        gap = distance(mask, values)
        if gap * np.sqrt(probability * (1 - probability) * mask.size) < CHANCE:
            continue
        there = interval(inside)
        rows.append({"name": name, "unit": units.get(name, "1"), "interval": there, "all_draws": interval(values),
                     "shift_sd": (float(np.mean(inside)) - float(np.mean(values))) / sd,
                     "spread_ratio": float(np.std(inside)) / sd, "distance": gap,
                     "fits": float(np.mean((values >= there["p05"]) & (values <= there["p95"])))})
    rows.sort(key=lambda r: -float(str(r["distance"])))
    others = {n: v for n, v in (measurable or {}).items() if np.std(v) > 0 and distance(mask, v) < SAME}
    telling = {**quantities, **others}
    shares = {n: _share_explained(mask, v) for n, v in telling.items() if np.std(v) > 0}
    best = max(shares, key=lambda n: shares[n])
    weakest = min(rows[:top], key=lambda r: float(str(r["fits"])))["name"] if rows else best
    return {"probability": probability, "must_hold": rows[:top], "together": _together(mask, quantities),
            "implied": [{"name": n, "unit": units.get(n, "1"), "interval": interval(v[mask]), "all_draws": interval(v)}
                        for n, v in (measurable or {}).items()], "weakest_link": weakest,
            "settle_by": {"name": best, "share_of_doubt": shares[best], "bits": information(mask, telling[best]),
                          "bits_of_doubt": float(_entropy(np.array(probability)))}}


def distance(mask: npt.NDArray[np.bool_], values: Array) -> float:
    """Return the largest gap between the distribution functions of a quantity where a claim holds and elsewhere."""
    order = np.argsort(values, kind="stable")
    inside = mask[order]
    gaps = np.abs(np.cumsum(inside) / inside.sum() - np.cumsum(~inside) / (~inside).sum())
    last = np.append(np.diff(values[order]) > 0, True)  # tied values count as one step
    return float(gaps[last].max())


def information(mask: npt.NDArray[np.bool_], values: Array) -> float:
    """Return the expected information on a claim from measuring a quantity exactly. [bits]

    Mutual information over slices of equal mass, less the mean of what chance gives (Miller and Madow).
    """
    p = np.array([s.mean() for s in _slices(mask, values)])
    chance = (BINS - 1) / (2 * mask.size * np.log(2))
    return float(max(0.0, _entropy(np.mean(mask)) - np.mean(_entropy(p)) - chance))


def _entropy(p: Any) -> Any:
    q = np.clip(p, 1e-12, 1 - 1e-12)
    return -(q * np.log2(q) + (1 - q) * np.log2(1 - q))


def _slices(mask: npt.NDArray[np.bool_], values: Array) -> list[Array]:
    return np.array_split(mask[np.argsort(values, kind="stable")].astype(float), BINS)


def _share_explained(mask: npt.NDArray[np.bool_], values: Array) -> float:
    """Return Var(P(claim | slice of the quantity)) / Var(claim), less what chance slices would give."""
    p = float(np.mean(mask))
    between = float(np.mean([(s.mean() - p) ** 2 for s in _slices(mask, values)])) / (p * (1 - p))
    return max(0.0, between - (BINS - 1) / mask.size)


def _together(mask: npt.NDArray[np.bool_], quantities: Mapping[str, Array]) -> list[dict[str, Any]]:
    """Return the pairs that a claim ties together: rank correlation where it holds, against that in all draws.

    With the interval of the second where the first is in its lowest and in its highest third.
    """
    names = [n for n, v in quantities.items() if np.std(v) > 0]
    size = int(mask.sum())
    if size < LEAST or len(names) < 2:
        return []
    everywhere, there = (np.atleast_2d(np.corrcoef(np.argsort(np.argsort([quantities[n][m] for n in names], axis=1),
                                                              axis=1)))
                         for m in (np.ones(mask.size, dtype=bool), mask))
    out = []
    for i, k in zip(*np.nonzero(np.triu(np.abs(there - everywhere) * np.sqrt(size) > SURE, 1)), strict=True):
        first, held = quantities[names[i]][mask], quantities[names[k]][mask]
        low, high = first <= np.quantile(first, 1 / 3), first >= np.quantile(first, 2 / 3)
        out.append({"first": names[i], "second": names[k], "rank_correlation": float(there[i, k]),
                    "in_all_draws": float(everywhere[i, k]), "second_where_first_is_low": interval(held[low]),
                    "second_where_first_is_high": interval(held[high])})
    return sorted(out, key=lambda r: -abs(r["rank_correlation"] - r["in_all_draws"]))[:PAIRS]
