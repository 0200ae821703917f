"""What does a chip reach? Rows of `given` become a `Speed`; the special row stands before the family's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.laws import point
from chipcast.base.types import Numeric
from chipcast.tokens.beliefs import constant
from chipcast.tokens.model import Model
from chipcast.tokens.reached import for_model, shares
from chipcast.tokens.step import Speed

PROXIES = {"nvidia_other": "l20", "ascend-910b": "ascend-910b2", "910b": "ascend-910b2"}
"""Chips that stand in for a class of chips: a figure missing for the class is read from its stand-in."""

ASCEND = "ascend"
HOPPER = "hopper"


def stand_in(chip: str) -> str:
    """Return the chip whose figures are read for `chip`."""
    return PROXIES.get(chip, chip)


def family(chip: str) -> str:
    """Return whose rows fill in for a chip without its own: ascend, domestic_other or hopper."""
    name = stand_in(chip)
    if name.startswith("ascend"):
        return ASCEND
    return "domestic_other" if name == "domestic_other" else HOPPER


VENDOR_TUNED = ("platform", "cloud", "state_funded")
"""Buyers large enough to have the maker's engineers on site: on Ascend they run the maker's own stack."""

STACKS = {"stack-ascend-best": "ascend-best", "stack-ascend-open": "ascend-open", "stack-nvidia-open": "open",
          "stack-domestic-other": "ascend-open"}
"""Group of beliefs of each software stack; younger makers' software is believed to be like an open port."""


def stack(chip: str, segment: str = "platform") -> str:
    """Return the item of the software stack that a buyer runs on a chip."""
    if family(chip) == ASCEND:
        return "stack-ascend-best" if segment in VENDOR_TUNED else "stack-ascend-open"
    return {HOPPER: "stack-nvidia-open"}.get(family(chip), "stack-domestic-other")


def figure(given: Given, chip: str, name: str) -> Numeric | None:
    """Return a figure of a chip: from `given` if it is there, else from the catalogue, else None. (draw)"""
    own = stand_in(chip)
    for item in (chip, own):
        if f"{item}.{name}" in given:
            return given[f"{item}.{name}"]
    facts = given.catalog.chip_facts(own)
    return np.full(given.draws, facts[name].value) if name in facts else None


def fixed(given: Given, chip: str, name: str, default: float) -> float:
    """Return the median of a figure's own law, the same for every block of draws, or the default."""
    own = stand_in(chip)
    for item in (chip, own):
        if f"{item}.{name}" in given:
            return given.middle(f"{item}.{name}")
    facts = given.catalog.chip_facts(own)
    return facts[name].value if name in facts else default


def need(given: Given, chip: str, *names: str) -> Numeric:
    """Return the first of these figures, or refuse the chip by name."""
    for name in names:
        value = figure(given, chip, name)
        if value is not None:
            return value
    raise InputError(f"chip '{chip}' has no {names[0]} that was known on {given.as_of}; give it under chips: in a "
                     "scenario, or choose another chip")


ROWS = {"gemm_narrow": "gemm_8bit_compute_efficiency", "gemm_wide": "gemm_bf16_compute_efficiency",
        "grouped": "grouped_gemm_efficiency", "core_decode": "mla_decode_compute_efficiency",
        "core_prefill": "prefill_attention_efficiency", "stream": "gemm_memory_efficiency",
        "core_stream": "gemm_memory_efficiency"}
"""Rows of a chip by which a scenario may overrule what the fit says it reaches."""


SETTABLE = {"engine": ("host_ms_per_step",), "routing": ("even_routing_share",), "overlap": ("hidden_share",)}
"""Other rows that act only where a scenario sets them, by item."""


def overruled(name: str) -> bool:
    """Return whether the fit stands in place of this row, so that it acts only where a scenario sets it."""
    item, _, quantity = name.partition(".")
    if item in STACKS:
        return quantity == "layer_overhead_us" or (quantity == "maturity" and item != "stack-domestic-other")
    return (quantity in {*ROWS.values(), "gemm_int8_compute_efficiency", "batch1_stream_efficiency"}
            or quantity in SETTABLE.get(item, ()))


def told(given: Given, *names: str) -> Numeric | None:
    """Return the first of these rows that the scenario itself sets, None where it leaves them to the fit. (draw)"""
    return next((given[n] for n in names if n in given and given.row(n).kind == "scenario"), None)


def either(mine: Numeric | None, fitted: Numeric) -> Numeric:
    """Return what the scenario says, else what the fit says."""
    return fitted if mine is None else mine


def links(given: Given, chip: str) -> tuple[str, str]:
    """Return the items of the fast and the slow fabric of a chip."""
    name = stand_in(chip)
    if name.startswith("ascend-910c"):
        return "ub_a3", "roce_200g_a2"
    if family(chip) in (ASCEND, "domestic_other"):
        return "hccs_a2", "roce_200g_a2"
    return "nvlink", "rdma_400g"


def speed_of(given: Given, chip: str, *, segment: str = "platform") -> Speed:
    """Return what one rank of a chip reaches: figures by the rows of the vintage, shares by its fit.

    A row that the scenario itself sets overrules the fit.

    Parameters
    ----------
    given : Given
        The run's table.
    chip : str
        Chip id, or a class with a stand-in (`PROXIES`).
    segment : str
        Buyer class; `clinic_school` runs an appliance's software.

    Raises
    ------
    InputError
        If a figure of the chip was not known by the date.
    """
    name = stand_in(chip)
    per_chip = round(fixed(given, chip, "compute_dies", 1.0)) if name.startswith("ascend") else 1
    peak = {"bf16": 1e12 / per_chip * need(given, chip, "bf16_tflops", "fp16_tflops")}
    for key, column in (("fp8", "fp8_tflops"), ("int8", "int8_tops"), ("fp4", "fp4_tflops")):
        value = figure(given, chip, column)
        if value is not None:
            peak[key] = 1e12 / per_chip * value
    need(given, chip, "mem_gb")
    memory = fixed(given, chip, "mem_gb", 0.0)
    bandwidth = need(given, chip, "mem_bw_gb_s")
    domain = max(1, round(fixed(given, chip, "scaleup_domain", 1.0))) * per_chip
    outer = figure(given, chip, "scaleout_gbit_s")
    slow = (np.full(given.draws, 200.0) if outer is None else outer) * 1.25e8 / per_chip
    inner = figure(given, chip, "scaleup_gb_s_per_direction")
    both = figure(given, chip, "scaleup_gb_s_bidirectional")
    fast = inner * 1e9 / per_chip if inner is not None else both * 0.5e9 / per_chip if both is not None else slow
    fabric = links(given, chip)
    soft, kind = stack(chip, segment), family(chip)
    c, s = shares(given, name, STACKS[soft])
    rows = ROWS if kind != ASCEND else {**ROWS, "gemm_narrow": "gemm_int8_compute_efficiency"}
    for key, row in rows.items():
        c[key] = either(told(given, f"{chip}.{row}", f"{name}.{row}", f"{kind}.{row}"), c[key])
    few = told(given, f"{chip}.batch1_stream_efficiency", f"{name}.batch1_stream_efficiency")
    own = f"{soft}.maturity"
    maturity = given[own] if soft == "stack-domestic-other" else either(told(given, own), s["maturity"])
    if segment == "clinic_school":
        maturity = maturity * given["stack-appliance.maturity"]
    layer = told(given, f"{soft}.layer_overhead_us")
    host = told(given, "engine.host_ms_per_step")
    reach = [either(told(given, f"{f}.link_efficiency"), c["link"]) for f in fabric]
    alpha = [either(told(given, f"{f}.alpha_us"), c[n]) * 1e-6
             for f, n in zip(fabric, ("alpha_fast_us", "alpha_slow_us"), strict=True)]
    return Speed(
        chip=chip, ranks_per_chip=per_chip, peak=peak, memory_bytes_s=bandwidth * 1e9 / per_chip,
        memory_bytes=usable_bytes(given, chip, memory) / per_chip,
        reserve_bytes=given["memory.reserve_gb"] * 1e9 / per_chip, domain=domain, gemm_narrow=c["gemm_narrow"],
        gemm_wide=c["gemm_wide"], grouped=c["grouped"], core_decode=c["core_decode"], core_prefill=c["core_prefill"],
        stream=c["stream"], stream_few=either(few, c["stream"] * c["stream_few"]), core_stream=c["core_stream"],
        rows_half=constant("rows_half"), tile=constant("tile_ascend" if kind == ASCEND else "tile_other"),
        launch_s=s["launch_us"] * 1e-6 if layer is None else 0.0, layer_s=0.0 if layer is None else layer * 1e-6,
        host_s=either(host, s["host_ms"]) * 1e-3, request_s=s["request_us"] * 1e-6, maturity=maturity,
        even=either(told(given, "routing.even_routing_share"), c["even"]),
        hidden=either(told(given, "overlap.hidden_share"), c["hidden"]), alpha_s=(alpha[0], alpha[1]),
        link_bytes_s=(fast * reach[0], slow * reach[1]), mesh=fabric[0] == "hccs_a2",
        four_bit=c["four_bit"])


def fitted_speed(given: Given, chip: str, model: Model, *, segment: str = "platform",
                 precision: str | None = None) -> tuple[Speed, str]:
    """Return what a rank reaches on a model, and the precision it is served in (`choose_precision`)."""
    from chipcast.tokens.layout import choose_precision

    speed = speed_of(given, chip, segment=segment)
    word = choose_precision(model, speed, precision)
    return for_model(given, speed, model, word, STACKS[stack(chip, segment)]), word


def usable_bytes(given: Given, chip: str, memory_gb: float) -> float:
    """Return memory that software sees: a row `usable_mib` where device listings print it. [B]

    Stacked memory is binary, so that a printed 64 GB is 64 GiB.
    """
    row = f"{stand_in(chip)}.usable_mib"
    return given.middle(row) * MEBI if row in given else memory_gb * GIBI


MEBI = 2.0**20
GIBI = 2.0**30


_MIDDLE: list[tuple[Given, Given]] = []
"""The table asked for last and its answer: every block of a run asks the same."""


def at_middle(given: Given) -> Given:
    """Return the same table with one draw at every row's median, for choices that depend on no block of draws."""
    for asked, middle in _MIDDLE:
        if asked.rows is given.rows and asked.catalog is given.catalog \
                and (asked.seed, asked.until) == (given.seed, given.until) and given._watched is None:
            return middle
    rows = (replace(r, law=point(r.law.middle)) for r in given.rows.values())
    found = given.with_rows(rows).block(0, 1)
    _MIDDLE[:] = [] if given._watched is not None else [(given.block(0, 1), found)]
    return found
