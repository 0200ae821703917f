"""What must be true for a claim to be true: the draws in which it holds, against all draws."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from chipcast.base.errors import InputError, unknown
from chipcast.base.summary import interval
from chipcast.base.types import Array
from chipcast.base.units import UNITS, parse_quantity

OPERATORS: dict[str, Callable[[Array, float], Any]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}
"""Comparisons that a claim may use; a claim without one means `about`, within a tenth either way."""

ABOUT = 0.10
"""Relative half-width of `about`: a figure in a newspaper is rarely meant more exactly."""

SIGNAL = 4.0
"""A quantity is named only where its shift is this many standard errors away from chance."""

BINS = 20
"""Slices of equal mass in which the probability of a claim is compared, for `settle_by`."""

PATTERN = re.compile(r"^\s*(.+?)\s*(>=|<=|>|<|=|\s)\s*([-+\d.].*?)\s*$")


def parse_claim(text: str, known: Mapping[str, str]) -> tuple[str, str, float]:
    """Read `NAME OP VALUE` as (name, operator, value in the quantity's unit).

    Parameters
    ----------
    text : str
        For example `910c.yield >= 40%` or `910C yield 40%`.
    known : mapping
        Name of each quantity that a claim may speak of, with its unit.

    Raises
    ------
    InputError
        If the text has no number, or names no known quantity.
    """
    match = PATTERN.match(text)
    if not match:
        raise InputError(f"cannot read the claim '{text}'; write NAME OP VALUE, for example '910c.yield >= 40%', "
                         "or the id of a claim of the news")
    word = re.sub(r"\s+", ".", match.group(1).strip().lower())
    names = {name.lower(): name for name in known}
    if word not in names:
        unknown("quantity of a claim", word, known, limit=20)
    name = names[word]
    sign = match.group(2).strip() or "="
    return name, "about" if sign == "=" else sign, parse_quantity(match.group(3), known[name], name)


def holds(values: Array, sign: str, value: float) -> npt.NDArray[np.bool_]:
    """Return in which draws the claim holds. (draw)"""
    if sign == "about":
        return np.abs(values - value) <= ABOUT * abs(value)
    result: npt.NDArray[np.bool_] = np.asarray(OPERATORS[sign](values, value))
    return result


def explain(mask: npt.NDArray[np.bool_], quantities: Mapping[str, Array], units: Mapping[str, str],
            *, top: int = 8) -> dict[str, Any]:
    """Return what must hold where a claim holds.

    Parameters
    ----------
    mask : array of bool (draw)
        Where the claim holds.
    quantities : mapping of arrays (draw)
        Uncertain quantities that might explain it.
    units : mapping
        Unit of each quantity.

    Returns
    -------
    dict
        `probability`; `must_hold`: quantities that differ most where the claim holds, with their interval there and
        over all draws and the shift in standard deviations; `weakest_link`: the one that must move farthest;
        `settle_by`: the one whose measurement would most reduce the doubt, with the share of the claim's variance
        that it explains.
    """
    probability = float(np.mean(mask))
    if not mask.any() or mask.all():
        return {"probability": probability, "must_hold": [], "weakest_link": None, "settle_by": None}
    rows, shares = [], {}
    for name, values in quantities.items():
        sd = float(np.std(values))
        if sd == 0:
            continue
        inside = values[mask]
        shift = (float(np.mean(inside)) - float(np.mean(values))) / sd
        shares[name] = _share_explained(mask, values)
        if abs(shift) * np.sqrt(inside.size) < SIGNAL:
            continue
        rows.append({"name": name, "unit": units.get(name, "1"), "interval": interval(inside),
                     "all_draws": interval(values), "shift_sd": shift})
    rows.sort(key=lambda r: -abs(float(str(r["shift_sd"]))))
    best = max(shares, key=lambda n: shares[n])
    return {"probability": probability, "must_hold": rows[:top], "weakest_link": rows[0]["name"] if rows else best,
            "settle_by": {"name": best, "share_of_doubt": shares[best]}}


def _share_explained(mask: npt.NDArray[np.bool_], values: Array) -> float:
    """Return Var(P(claim | slice of the quantity)) / Var(claim), less what chance slices would give."""
    order = np.argsort(values, kind="stable")
    slices = np.array_split(mask[order].astype(float), BINS)
    p = float(np.mean(mask))
    between = float(np.mean([(s.mean() - p) ** 2 for s in slices])) / (p * (1 - p))
    return max(0.0, between - (BINS - 1) / mask.size)


def known_units(units: Mapping[str, str]) -> dict[str, str]:
    """Return only the quantities whose unit a claim may use."""
    return {name: unit for name, unit in units.items() if UNITS.get(unit, ("text", 1))[0] != "text"}
