"""What does one cell of a row say? Numbers, units, and words for precision, dates, drafts and loads.

The vocabulary of foreign tables stops here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import ceil

from chipcast.base.errors import InputError, unknown
from chipcast.tokens.beliefs import constant
from chipcast.tokens.case import QUANTITIES
from chipcast.tokens.model import PRECISION, Model, deployed


def number(row: Mapping[str, str], *names: str) -> float:
    """Return the first number in these columns, 0 where all are empty; `16k` is 16,000 and `micro 8` is none.

    >>> number({"input_len": "16k"}, "input_len")
    16000.0
    """
    for name in names:
        text = str(row.get(name) or "").replace(",", "").strip()
        found = re.match(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text)
        if found:
            times = {"k": 1e3, "K": 1e3, "M": 1e6}.get(text[found.end():].strip(), 1.0)
            return float(found.group(0)) * times
    return 0.0


COUNTS = ("chips", "tp", "pp", "dp", "cp", "input_len", "output_len", "avg_context_len", "prefix_hit_pct", "accept_len")
"""Columns that hold a number or nothing."""


LOADS = ("batch_per_chip", "concurrency")
"""Columns that hold a number, words about it (`micro 8`, `offline max`) or nothing."""

PLAIN = r"[+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?(\s*([kKM]|tokens?|chips?|%))?\s*($|[(;])"
"""A number from 0 up, with a thousand or million, the column's own unit, and a remark behind it."""


def refuse_bad_numbers(row: Mapping[str, str]) -> None:
    """Refuse a row whose counts, lengths or shares are no numbers, negative or of a foreign unit.

    Raises
    ------
    InputError
        If one is.
    """
    for name in COUNTS:
        text = str(row.get(name) or "").replace(",", "").strip()
        if text and not re.match(PLAIN, text):
            raise InputError(f"{name} '{text}' is no number from 0 up; write it plainly, such as 4096")
    if str(row.get("chips") or "").strip() and not number(row, "chips"):
        raise InputError(f"chips '{row['chips']}' is none; write 1 or more, or leave it empty for a usual number")
    for name in LOADS:
        text = str(row.get(name) or "").strip().lower()
        if text.startswith("-") or text in ("nan", "inf", "infinity"):
            raise InputError(f"{name} '{text}' is no number from 0 up; write one, or leave it empty for what fits")
    if number(row, "prefix_hit_pct") > 100:
        raise InputError(f"prefix_hit_pct {row['prefix_hit_pct']} is more than 100")
    if 0 < number(row, "accept_len") < 1:
        raise InputError(f"accept_len {row['accept_len']} is below 1, the token that every step yields; count it too")


WORDS = (("w8a16|(gptq|awq).*int8", "w8a16"), ("(?<!mx)fp4", "fp4_block"), ("w4a8", "w4a8"),
         ("int4|4[- ]?bit|w4a16|awq|gptq", "int4_group"), ("mxfp4", "mxfp4"), ("w8a8|int8|8[- ]?bit", "int8_channel"),
         ("fp8|e4m3|e5m2", "fp8"), ("16|half", "bf16"))
"""Words for precision and the entry of `PRECISION` that they mean, special first."""

BESIDE = r"(bf16|fp16|fp8|int8|w8a8)[ -]*(?:attn|attention)"
"""Words for a precision of attention of its own."""

INSTEAD = {"fp4_block": (("mxfp4", ""),), "w4a8": (("int4_group", ""),),
           **dict.fromkeys(("fp8", "fp8_block"), (("int8_channel", "int8"), ("bf16", ""))),
           "int8_channel": (("fp8", "fp8"), ("bf16", ""))}
"""What runs where a chip lacks the arithmetic: the first whose own arithmetic it has, empty for any chip."""


def precision_of(text: str, model: Model, peaks: Mapping[str, float]) -> tuple[str, float, str]:
    """Return the entry of `PRECISION`, the bytes of a cached element, and what was assumed."""
    word = text.lower()
    cache = 1.0 if re.search("c8|kv8|fp8 kv", word) else 2.0
    attention = re.search(BESIDE, word)
    if attention:
        word = word.replace(attention.group(0), "")
    name, said = next((n for pattern, n in WORDS if re.search(pattern, word)), ""), []
    if not name:
        name = model.native
        said.append(f"precision {name}, that of the published weights")
    elif name == "fp8" and model.block:
        name = "fp8_block"
    lacks = PRECISION[name].arithmetic
    if name in INSTEAD and lacks not in peaks:
        name = next(n for n, needs in INSTEAD[name] if not needs or needs in peaks)
        said = [f"no {lacks.upper()} on the chip, {name} instead"]
    if attention:
        other = next(n for pattern, n in WORDS if re.search(pattern, attention.group(1)))
        both = next((f"{name}+{o}" for o in (other, f"{other}_block") if f"{name}+{o}" in PRECISION), name)
        return both, cache, "; ".join(said)
    usual = deployed(name, model)
    if usual != name:
        said.append(f"experts in {name}, other products in {usual.partition('+')[2]}")
    return usual, cache, "; ".join(said)


FORMATS = r"fp8|e4m3|e5m2|fp4|int4|int8|w4a|w8a|[48][- ]?bit|16|awq|gptq|mixed|half|native|published|^none$"
"""Words that name a format of weights or arithmetic."""


def refuse_unknown_precision(text: str) -> None:
    """Refuse a precision that names no format known here.

    Raises
    ------
    InputError
        If it does.
    """
    if text and not re.search(FORMATS, text.lower()):
        raise InputError(f"precision '{text}' is not known; write bf16, fp8, int8 (w8a8), w4a8, int4, mxfp4 or nvfp4, "
                         "or leave it empty for that of the published weights")


def quantity_of(row: Mapping[str, str]) -> tuple[str, float]:
    """Return the canonical quantity of a measured row and its value, by `quantity` or by `metric` and `unit`.

    Raises
    ------
    InputError
        If the row's unit does not say what was counted, or speaks of a kernel or a link.
    """
    metric, unit, phase = row.get("metric", ""), row.get("unit", ""), row.get("phase", "")
    value, asked = number(row, "value"), (row.get("quantity") or "").strip()
    if asked and not metric:
        if asked not in QUANTITIES:
            unknown("quantity", asked, QUANTITIES)
        return asked, value
    if not metric:
        raise InputError(f"quantity is empty; name one of {', '.join(QUANTITIES)}")
    if metric == "throughput_per_chip":
        if unit.startswith("input") or (unit == "tok/s/chip" and phase == "prefill"):
            return QUANTITIES[0], value
        return QUANTITIES[1], value
    if metric == "throughput_total":
        count = number(row, "chips")
        if "in+out" in unit or not count:
            raise InputError("the unit counts prompt and answer together or the number of chips is missing")
        return QUANTITIES[1], value / count
    if metric == "total_speed_bs1":
        return QUANTITIES[2], value / max(number(row, "chips"), 1.0)
    if metric == "TPOT_ms":
        return QUANTITIES[3], value
    if metric == "TTFT_s":
        return QUANTITIES[4], value * 1000
    if metric == "train_tok_s_chip":
        return QUANTITIES[5], value
    if metric == "MFU":
        if number(row, "raw_value") > 10:
            return QUANTITIES[5], number(row, "raw_value")
        return QUANTITIES[6], value
    raise InputError(f"'{metric}' in '{unit}' is no metric of serving or training")


def years_before(date: str, known_by: str = "") -> float:
    """Return by how many years a row is older than the software that the beliefs speak of, -1 to 2; 0 without a date.

    The date of a snapshot may come long after the day on which a value was first known, and a measurement never after
    it, so the earlier of both counts.

    >>> years_before("repo snapshot 2026-01-08", "2025-06-30")
    0.5416666666666288
    """
    stated = [f for f in (re.search(r"\b(20\d{2})(?:-(\d{2}))?", text) for text in (date, known_by)) if f]
    found = [f for f in stated if f.group(2)] or stated
    years = [float(f.group(1)) + (float(f.group(2)) - 0.5 if f.group(2) else 6.0) / 12 for f in found]
    return min(max(constant("software_year") - min(years), -1.0), 2.0) if years else 0.0


def noted(notes: str, pattern: str) -> float:
    """Return the number that a pattern finds in notes, 0 where it finds none."""
    found = re.search(pattern, notes)
    return float(found.group(1)) if found else 0.0


def noted_once(notes: str, pattern: str) -> int:
    """Return the number that a pattern finds in notes, 0 where it finds none or several."""
    found = re.findall(pattern, notes)
    return int(found[0]) if len(found) == 1 else 0


def variant_of(name: str) -> str:
    """Return the bandwidth and power that a hardware name states, as `2.4TB/s 500W`; empty for none.

    >>> variant_of("H100 96GB HBM2e 2.4TB/s 500W")
    '2.4TB/s 500W'
    """
    return " ".join(re.findall(r"\d+(?:\.\d+)?\s?TB/s|\d{3,4}\s?W\b", name))


def drafts_of(spec: str, accept: float, said: list[str]) -> tuple[int, float]:
    """Return drafted tokens and what a step yields (0 where not stated) by words for speculation; add what was assumed.

    Raises
    ------
    InputError
        If more is accepted than a step can yield.
    """
    found = re.search(r"draft\s*(\d+)", spec) or re.search(r"(\d+)\s*draft", spec) or re.search(r"n\s*=\s*(\d+)", spec)
    rate = re.search(r"accept rate ([\d.]+)", spec)
    if rate:
        return 1, 1.0 + float(rate.group(1)) / 100
    if found:
        n = int(found.group(1))
        if accept > n + 1:
            raise InputError(f"accept_len {accept:g} is more than a step of {n} drafts can yield, {n + 1}")
        if not accept and n:
            said.append("acceptance of drafts by the assumed range")
        return n, accept
    if "mtp" in spec or "eagle" in spec:
        if not accept:
            said.append("one draft, acceptance by the assumed range")
        return max(1, ceil(accept - 1)), accept
    return (ceil(accept - 1), accept) if accept > 1 else (0, 1.0)
