"""The closed table of units, and how a quantity is read at the door.

Inside the program units ride in names (`die_area_mm2`); here text such as `64 GB` or `30 %` becomes a
number in the unit that is asked for, and a mix-up is refused.
"""

from __future__ import annotations

import math
import re

from chipcast.base.errors import InputError, unknown

UNITS: dict[str, tuple[str, float]] = {
    # name: (dimension, factor to the dimension's first unit)
    "1": ("number", 1.0), "%": ("number", 0.01), "1e9": ("number", 1e9), "1e6": ("number", 1e6),
    "text": ("text", 1.0),
    "mm": ("length", 1.0), "nm": ("length", 1e-6), "um": ("length", 1e-3), "cm": ("length", 10.0),
    "mm2": ("area", 1.0), "cm2": ("area", 100.0),
    "1/cm2": ("density", 1.0), "1/mm2": ("density", 100.0),
    "s": ("time", 1.0), "ms": ("time", 1e-3), "us": ("time", 1e-6), "ns": ("time", 1e-9),
    "min": ("time", 60.0), "h": ("time", 3600.0), "days": ("time", 86400.0),
    "weeks": ("time", 604800.0), "months": ("time", 2628000.0), "years": ("time", 31536000.0),
    "1/h": ("rate", 1.0), "per 1e6 chip-h": ("rate", 1e-6), "FIT": ("rate", 1e-9),
    "1/month": ("monthly rate", 1.0), "1/year": ("yearly rate", 1.0),
    "B": ("bytes", 1.0), "kB": ("bytes", 1e3), "MB": ("bytes", 1e6), "GB": ("bytes", 1e9),
    "TB": ("bytes", 1e12), "KiB": ("bytes", 2.0**10), "MiB": ("bytes", 2.0**20), "GiB": ("bytes", 2.0**30),
    "GB/s": ("byte rate", 1e9), "TB/s": ("byte rate", 1e12), "MB/s": ("byte rate", 1e6),
    "B/s": ("byte rate", 1.0), "Gbit/s": ("byte rate", 1.25e8),
    "GFLOPS": ("operations", 1e9), "TFLOPS": ("operations", 1e12), "PFLOPS": ("operations", 1e15),
    "TOPS": ("operations", 1e12), "MHz": ("frequency", 1e6), "GHz": ("frequency", 1e9),
    "W": ("power", 1.0), "kW": ("power", 1e3), "MW": ("power", 1e6),
    "USD": ("USD", 1.0), "CNY": ("CNY", 1.0), "CNY/USD": ("exchange", 1.0),
    "USD/h": ("USD per hour", 1.0), "USD/year": ("USD per year", 1.0),
    "USD/quarter": ("USD per quarter", 1.0), "CNY/year": ("CNY per year", 1.0),
    "CNY/quarter": ("CNY per quarter", 1.0), "CNY/month": ("CNY per month", 1.0),
    "USD/GB": ("USD per GB", 1.0), "USD/kWh": ("USD per kWh", 1.0), "people/MW": ("people per MW", 1.0),
    "CNY/1e6 tokens": ("CNY per million tokens", 1.0), "USD/1e6 tokens": ("USD per million tokens", 1.0),
    "wafers": ("wafers", 1.0), "wafers/month": ("wafers per month", 1.0), "wafers/hour": ("wafers per hour", 1.0),
    "dies": ("dies", 1.0), "dies/year": ("dies per year", 1.0),
    "stacks": ("stacks", 1.0), "stacks/month": ("stacks per month", 1.0),
    "packages": ("packages", 1.0), "packages/month": ("packages per month", 1.0),
    "cards": ("cards", 1.0), "cards/quarter": ("cards per quarter", 1.0), "cards/year": ("cards per year", 1.0),
    "chips": ("chips", 1.0), "cores": ("cores", 1.0), "layers": ("layers", 1.0), "servers": ("servers", 1.0),
    "tokens": ("tokens", 1.0), "tokens/day": ("tokens per day", 1.0), "tokens/s": ("tokens per second", 1.0),
    "requests/s": ("requests per second", 1.0), "users": ("users", 1.0),
    "buyers": ("buyers", 1.0), "date": ("date", 1.0),
}
"""Every unit a data row, a scenario or an option may use: name -> (dimension, factor)."""

PREFIX = {"k": 1e3, "K": 1e3, "M": 1e6, "m": 1e6, "G": 1e9, "B": 1e9, "bn": 1e9, "T": 1e12,
          "thousand": 1e3, "million": 1e6, "billion": 1e9}
"""Multipliers that may follow a number: `9k`, `6M`, `12bn`, `10T`, `2 million`."""

NUMBER = re.compile(r"\s*([-+]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*$", re.DOTALL)


def check_unit(unit: str) -> str:
    """Return `unit` if it is in the closed table, else raise `InputError`."""
    if unit not in UNITS:
        unknown("unit", unit, UNITS)
    return unit


def convert(value: float, unit: str, to: str) -> float:
    """Convert `value` from `unit` to `to`; both must share a dimension.

    >>> convert(64, "GiB", "GB")
    68.719476736
    """
    (dim_a, factor_a), (dim_b, factor_b) = UNITS[check_unit(unit)], UNITS[check_unit(to)]
    if dim_a != dim_b:
        raise InputError(f"unit '{unit}' is a {dim_a}, but '{to}' ({dim_b}) is needed")
    return value if unit == to else float(f"{value * factor_a / factor_b:.15g}")


def parse_quantity(text: object, unit: str, name: str = "value") -> float:
    """Read one number with an optional multiplier and unit, and return it in `unit`.

    A bare number is taken in `unit`. `30 %` is a number, 0.3. Where the unit itself is a million or a thousand
    million, a multiplier says the same once more: `12bn` in `1e9` is 12, as `12` is.

    Raises
    ------
    InputError
        If the text is no number, or its unit is unknown or of another dimension.

    >>> parse_quantity("64 GiB", "GB")
    68.719476736
    >>> parse_quantity("9k", "wafers/month")
    9000.0
    >>> parse_quantity("12bn", "1e9")
    12.0
    """
    check_unit(unit)
    if isinstance(text, bool) or text is None:
        raise InputError(f"{name} must be a number in {unit}, got {text!r}")
    if isinstance(text, int | float):
        return _finite(text, unit, name, text)
    match = NUMBER.match(str(text))
    if not match:
        must = "a number, for example '12'" if unit == "1" else f"a number in {unit}, for example '12 {unit}'"
        raise InputError(f"{name} must be {must}, got '{text}'")
    number = float(match.group(1).replace(",", "").replace("_", ""))
    tail = match.group(2)
    if not tail:
        return _finite(number, unit, name, text)
    if tail in UNITS and not (tail in PREFIX and UNITS[tail][0] != UNITS[unit][0]):
        return _into(number, tail, unit, name, text)
    for prefix in sorted(PREFIX, key=len, reverse=True):
        if tail == prefix:
            counted = "1" if UNITS[unit][0] == "number" and UNITS[unit][1] > 1 else unit  # 12bn of a unit of 1e9 is 12
            return _into(number * PREFIX[prefix], counted, unit, name, text)
        rest = tail[len(prefix):].strip()
        if tail.startswith(prefix) and rest in UNITS:
            return _into(number * PREFIX[prefix], rest, unit, name, text)
    raise InputError(f"{name}: unit '{tail}' in '{text}' is not known; write it in {unit}, or one of "
                     + ", ".join(u for u, (d, _) in UNITS.items() if d == UNITS[unit][0]))


def _into(number: float, tail: str, unit: str, name: str, text: object) -> float:
    if UNITS[tail][0] != UNITS[unit][0]:
        raise InputError(f"{name}: '{text}' is a {UNITS[tail][0]}, but {unit} ({UNITS[unit][0]}) is needed")
    return _finite(convert(number, tail, unit), unit, name, text)


def _finite(number: float, unit: str, name: str, text: object) -> float:
    """Return the number, or refuse infinity, not-a-number and what no float can hold."""
    try:
        value = float(number)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise InputError(f"{name} must be a finite number{'' if unit == '1' else f' in {unit}'}, got '{text}'")
    return value
