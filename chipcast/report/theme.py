"""How every picture looks: one set of colours that colour-blind readers can tell apart, one plain style."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

INK, SOFT, FAINT, PAPER = "#1f2733", "#5b6675", "#e9ecf0", "#ffffff"
"""Text, secondary text, grid lines, background."""

ACCENT = "#0b5fa5"
"""Colour of the one thing a picture is about."""

CHIP_COLOURS = {
    "h20-96": "#0072b2",
    "h20": "#0072b2",
    "h800-sxm": "#4fb3e8",
    "h100-sxm": "#7d8ca3",
    "h200-sxm": "#3f4d8f",
    "nvidia_other": "#7d8ca3",
    "nvidia_next": "#b9c4d6",
    "ascend-910b": "#e69f00",
    "ascend-910b1": "#b97a00",
    "ascend-910b2": "#c98600",
    "ascend-910b3": "#e69f00",
    "ascend-910b4": "#f0c14b",
    "ascend-910c": "#b5392d",
    "domestic_other": "#8a6b4b",
}
"""Blue is American, orange to red is Ascend, whatever the picture."""

SPARE_COLOURS = ("#cc79a7", "#009e73", "#6a51a3", "#5d8a66", "#a8577e", "#40798c")
"""For chips of the user's own."""

CHIP_NAMES = {
    "h20-96": "H20",
    "h20-141": "H20 (141 GB)",
    "h800-sxm": "H800",
    "h100-sxm": "H100",
    "h200-sxm": "H200",
    "a100-sxm-80": "A100",
    "a800-sxm-80": "A800",
    "nvidia_other": "other Nvidia",
    "nvidia_next": "next Nvidia",
    "domestic_other": "other Chinese",
    "rtx-4090": "RTX 4090",
}

SEGMENT_NAMES = {
    "platform": "Platforms",
    "cloud": "Clouds",
    "state_funded": "State-funded projects",
    "public_centre": "Public centres",
    "private": "Private firms",
    "clinic_school": "Clinics and schools",
}

STATUS_COLOURS = {
    "free": "#1b9e77",
    "discouraged": "#9ccb86",
    "notified_exception": "#8fc7d9",
    "licence": "#e69f00",
    "case_by_case": "#f3cf6b",
    "denied": "#b5392d",
    "unknown": "#b6bdc7",
    "disputed": "#7a68a6",
}
STATUS_NAMES = {
    "free": "free",
    "discouraged": "discouraged",
    "notified_exception": "after a notice",
    "licence": "needs a licence",
    "case_by_case": "case by case",
    "denied": "denied",
    "unknown": "unknown",
    "disputed": "disputed",
}

VERDICT_COLOURS = {
    "supported": "#1b7f5f",
    "consistent": "#5fa88f",
    "not identified": "#8b95a3",
    "in doubt": "#d98200",
    "contradicted": "#b5392d",
}
VERDICT_SIGNS = {"supported": "✓", "consistent": "≈", "not identified": "?", "in doubt": "!", "contradicted": "✗"}

LIMIT_COLOURS = {"wafers": "#5e4b9b", "scanner_hours": "#cc79a7", "dies": "#a99fd1", "hbm": "#1b7f6b",
                 "packaging": "#d9b382", "orders": "#c3c9d2"}
LIMIT_NAMES = {
    "wafers": "wafers",
    "scanner_hours": "scanner hours",
    "dies": "good dies",
    "hbm": "memory stacks",
    "packaging": "package slots",
    "orders": "orders",
}

PART_COLOURS = {
    "productive": "#dde6ee",
    "checkpoint": "#5e4b9b",
    "lost_work": "#1b7f6b",
    "detection": "#a99fd1",
    "restart": "#6fbfa8",
    "waiting": "#a3764b",
    "online_stalls": "#d9b382",
    "slow_down": "#8b95a3",
}
PART_NAMES = {
    "productive": "productive",
    "checkpoint": "checkpoints",
    "lost_work": "lost work",
    "detection": "detection",
    "restart": "restart",
    "waiting": "waiting for spares",
    "online_stalls": "online repair",
    "slow_down": "slow chips",
}

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

CONFIG: dict[str, Any] = {
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelColor": SOFT,
        "titleColor": SOFT,
        "domainColor": "#c7cdd6",
        "tickColor": "#c7cdd6",
        "gridColor": FAINT,
        "titlePadding": 8,
        "labelPadding": 5,
        "tickSize": 4,
    },
    "axisX": {"grid": False},
    "axisY": {"grid": True, "domain": False, "ticks": False},
    "text": {"fontSize": 12, "color": INK},
    "legend": {"labelFontSize": 12, "title": None},
    "bar": {"cornerRadiusEnd": 2},
    "point": {"filled": True, "size": 60},
}
"""Handed to the chart library once for all pictures of a page."""


QUANTITY_NAMES = {
    "smic_n2": "line",
    "die_bank": "die bank",
    "hbm": "memory",
    "hbm_bank": "memory bank",
    "hbm_inflow": "memory inflow",
    "package_dual_die": "910C package",
    "package_single_die": "910B package",
    "ramp": "ramp",
    "ascend_line": "line",
}


FIT_NAMES = {
    "fit-hopper": "H100 and H800",
    "fit-open": "open engine",
    "fit-best": "maker's engine",
    "fit-ascend-open": "open engine on Ascend",
    "fit-ascend-best": "maker's engine on Ascend",
}
"""What readers call the parts and engines that a fit of measurements speaks of."""


def quantity_name(name: str) -> str:
    """Return the name of a number of `given` as a reader reads it.

    >>> quantity_name("smic_n2.d0_per_cm2"), quantity_name("fit-ascend-best.launch_us")
    ('line: D0 per cm2', "maker's engine on Ascend: launch us")
    """
    item, _, rest = name.partition(".")
    if item.startswith("fit-"):
        item = FIT_NAMES.get(item, chip_name(item.removeprefix("fit-")))
        return f"{item}: {rest.replace('_', ' ')}"
    if item.startswith("stack-"):
        item = " ".join(["software", *item.split("-")[1:]]).replace("ascend", "Ascend").replace("nvidia", "Nvidia")
    words = rest.replace("_", " ").replace("d0", "D0").replace("ai wafer", "AI wafer").replace(" usd", ", USD")
    words = words.replace("per gb", "per GB")
    head = QUANTITY_NAMES.get(item) or (chip_name(item) if "-" in item else item.replace("_", " "))
    return f"{head}: {words}" if words else head


def chip_name(chip: str) -> str:
    """Return the name a reader knows a chip by.

    >>> chip_name("ascend-910c"), chip_name("h20-96")
    ('910C', 'H20')
    """
    if chip in CHIP_NAMES:
        return CHIP_NAMES[chip]
    if chip.startswith("ascend-"):
        return chip.removeprefix("ascend-").upper()
    return chip.upper().replace("-SXM", "").replace("_", " ")


def readable(text: str) -> str:
    """Return a text with the ids of chips written as readers know them.

    >>> readable("8 x h20-96, then ascend-910b2")
    '8 x H20, then 910B2'
    """
    return re.sub(r"\b(?:ascend-9\w+|domestic_other|nvidia_(?:other|next)|h20-96|h20-141|[abh]\d{3}-sxm(?:-\d+)?)\b",
                  lambda m: chip_name(m.group()), text)


def sentence(text: str) -> str:
    """Return a text as a sentence: a capital first, a full stop last, chips by name."""
    words = readable(text.strip())
    return (words[:1].upper() + words[1:]).rstrip(".") + "." if words else ""


MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def ordinal(n: int) -> str:
    """Return a place in words up to third.

    >>> ordinal(2), ordinal(5)
    ('second', '5th')
    """
    return {1: "first", 2: "second", 3: "third"}.get(n, f"{n}th")


def wrapped(text: str, width: int = 20) -> str:
    """Return a label in two lines where it is longer than `width`; pictures split it at the line break.

    >>> wrapped("package line: capacity per month").splitlines()
    ['package line:', 'capacity per month']
    """
    breaks = [i for i, c in enumerate(text) if c == " "]
    if len(text) <= width or not breaks:
        return text
    at = min(breaks, key=lambda i: max(i, len(text) - i - 1))
    return f"{text[:at]}\n{text[at + 1 :]}"


def day_words(iso: str) -> str:
    """Return a date or month in words.

    >>> day_words("2025-02-25"), day_words("2025-02")
    ('25 February 2025', 'February 2025')
    """
    year, month, *day = iso.split("-")
    return (f"{int(day[0])} " if day else "") + f"{MONTHS[int(month) - 1]} {year}"


def chip_colours(chips: Iterable[str]) -> dict[str, str]:
    """Return one colour per chip; chips without one of their own take spare ones in order."""
    spare = iter(SPARE_COLOURS * 20)
    return {chip: CHIP_COLOURS.get(chip) or next(spare) for chip in chips}


def segment_name(segment: str) -> str:
    """Return the name a reader knows a buyer class by."""
    return SEGMENT_NAMES.get(segment, segment.replace("_", " "))
