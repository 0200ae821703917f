"""An independent reading of the law, written from the chapter and not from the rows, against the product.

Hundreds of chips that no table holds, at each line and a millionth beside it, on many days and to many places; and
chips that lack one figure, whose possible words must be those that the figure can give, no more and no fewer.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

from chipcast.base.catalog import Catalogue, last_known
from chipcast.rules.check import ask_for, verdict
from chipcast.rules.measure import Figures
from chipcast.rules.own import own_chip

NOW = Catalogue(last_known())
STRICTER = ("free", "notice", "licence_approval", "letter", "licence_case", "licence_denial")
MAINLAND, FAR, ALLIES = ("CN", "HK", "MO"), ("AE", "VN", "KZ", "SA"), ("DE", "JP", "KR", "IN", "SG", "MY")
DAYS = [date(2022, 9, 15), date(2022, 10, 20), date(2022, 10, 21), date(2022, 12, 31), date(2023, 1, 1),
        date(2023, 11, 16), date(2023, 11, 17), date(2024, 6, 1), date(2025, 4, 8), date(2025, 4, 9), date(2025, 6, 1),
        date(2026, 1, 14), date(2026, 1, 15), date(2026, 6, 15)]


def by_hand(c: dict[str, Any], to: str, on: date, from_us: bool) -> str:
    """Return the word of the US gate for a buyer who sits where the chip goes and is on no list."""
    tpp, pd, io, dram = c["tpp"], c["tpp"] / c["die_area_mm2"], c["io_bidir_gb_s"], c["mem_bw_gb_s"]
    dc, near = c["datacenter"], to in MAINLAND
    word = "free"
    if date(2022, 10, 21) <= on < date(2023, 11, 17):
        reached = to in ("CN", "HK") or (to == "MO" and on >= date(2023, 1, 1))
        return "licence_denial" if reached and io >= 600 and tpp >= 4800 else "free"
    if on >= date(2023, 11, 17) and (near or to in FAR):
        if dc and (tpp >= 4800 or (tpp >= 1600 and pd >= 5.92)):
            eased = on >= date(2026, 1, 15) and near and from_us and c["sold_in_us"] and tpp < 21000 and dram < 6500
            word = ("licence_case" if eased else "licence_denial") if near else "licence_approval"
        elif near and ((dc and ((tpp >= 2400 and pd >= 1.6) or (tpp >= 1600 and pd >= 3.2)))
                       or (not dc and tpp >= 4800)):
            word = "notice"
    if on >= date(2025, 4, 9) and near and (dram >= 1400 or io >= 1100 or dram + io >= 1700):
        word = max(word, "letter", key=STRICTER.index)
    return word


def synthetic(seed: int) -> dict[str, Any]:
    """Return a chip whose figures lie on lines, a millionth beside them, or anywhere."""
    rng = np.random.Generator(np.random.Philox(seed))

    def near(lines: tuple[float, ...], low: float, high: float) -> float:
        line = float(rng.choice(lines)) * (1 + float(rng.choice([-1e-6, 0, 1e-6])))
        return line if rng.random() < 0.7 else float(np.exp(rng.uniform(np.log(low), np.log(high))))

    tpp, dram = near((1600, 2400, 4800, 4992, 21000), 500, 60000), near((1400, 6500, 900), 200, 9000)
    return {"tpp": tpp, "die_area_mm2": tpp / near((1.6, 3.2, 5.92), 0.4, 40), "mem_bw_gb_s": dram,
            "io_bidir_gb_s": near((600, 1100, max(1700 - dram, 64)), 30, 2000),
            "datacenter": bool(rng.random() < 0.75), "sold_in_us": bool(rng.random() < 0.5)}


def chip(**fields: Any) -> Figures:
    return own_chip(fields, name="mine", catalog=NOW)


@pytest.mark.parametrize("seed", range(40))
def test_a_reading_by_hand_gives_the_same_word_everywhere(seed: int) -> None:
    c = synthetic(seed)
    f, wrong = chip(**c), []
    for on in DAYS:
        for to in (*MAINLAND, *FAR[:2], *ALLIES[:2]):
            from_us = (seed + on.day) % 3 > 0
            got = verdict(NOW, ask_for(NOW, f, on, to=to, from_us=from_us)).us.word
            if got != by_hand(c, to, on, from_us):
                wrong.append((on, to, from_us, got, by_hand(c, to, on, from_us)))
    assert not wrong, c


def test_the_reading_by_hand_meets_every_word_and_can_disagree() -> None:
    """Negative control: the chips meet all words, and a line moved by a fiftieth would be noticed."""
    words, moved = set(), 0
    for seed in range(40):
        c = synthetic(seed)
        for on in DAYS:
            words |= {by_hand(c, to, on, True) for to in ("CN", "AE")}
            moved += by_hand(c, "CN", on, True) != by_hand({**c, "tpp": c["tpp"] * 1.02}, "CN", on, True)
    assert words == set(STRICTER)
    assert moved > 20


GRID: dict[str, tuple[Any, ...]] = {
    "tpp": (1, 800, 1599, 1600, 1650, 2399, 2400, 4799, 4800, 9000, 20999, 21000, 60000),
    "die_area_mm2": (50, 200, 270, 300, 400, 500, 750, 1000, 1500, 2000, 3000, 5000, 90000),
    "io_bidir_gb_s": (1, 200, 599, 600, 800, 1099, 1100, 3000), "datacenter": (True, False),
    "sold_in_us": (True, False), "mem_bw_gb_s": (10, 300, 599, 600, 1000, 1399, 1400, 1699, 1700, 6499, 6500, 9000)}


@pytest.mark.parametrize("left_out", GRID)
@pytest.mark.parametrize("whole", [
    {"tpp": 4000, "die_area_mm2": 300, "io_bidir_gb_s": 64, "mem_bw_gb_s": 900},
    {"tpp": 2300, "die_area_mm2": 800, "io_bidir_gb_s": 700, "mem_bw_gb_s": 1300},
    {"tpp": 8000, "die_area_mm2": 2000, "io_bidir_gb_s": 400, "mem_bw_gb_s": 7000},
    {"tpp": 1700, "die_area_mm2": 1000, "io_bidir_gb_s": 1200, "mem_bw_gb_s": 400, "datacenter": False}])
def test_a_chip_that_lacks_a_figure_may_be_all_that_the_figure_can_make_it(left_out: str,
                                                                           whole: dict[str, Any]) -> None:
    """Density follows performance where the area is known: 1,700 on 300 mm2 would need notice alone."""
    full = {"datacenter": True, "sold_in_us": True, **whole}
    unknown = {left_out: "unknown"} if left_out in ("datacenter", "sold_in_us") else {}
    f = chip(**{k: v for k, v in full.items() if k != left_out}, **unknown)
    for on in (date(2023, 3, 1), date(2024, 6, 1), date(2025, 6, 1), date(2026, 3, 1)):
        for to in ("CN", "AE"):
            v = verdict(NOW, ask_for(NOW, f, on, to=to))
            seen = {by_hand({**full, left_out: x}, to, on, True) for x in GRID[left_out]}
            assert set(v.us.possible) == seen, (on, to)
            assert (v.us.word == "unknown") is (len(seen) > 1)
