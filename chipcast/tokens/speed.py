"""What does a chip reach? Rows of `given` become a `Speed`; the special row stands before the family's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.laws import point
from chipcast.base.types import Numeric
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


def share(given: Given, chip: str, name: str) -> Numeric:
    """Return a reached share, the chip's own before its family's before the widest family's. (draw)"""
    kind = family(chip)
    spare = {"domestic_other": (ASCEND,), ASCEND: (), HOPPER: ()}[kind]
    return given.first(f"{chip}.{name}", f"{stand_in(chip)}.{name}", f"{kind}.{name}",
                       *[f"{s}.{name}" for s in spare])


def links(given: Given, chip: str) -> tuple[str, str]:
    """Return the items of the fast and the slow fabric of a chip."""
    name = stand_in(chip)
    if name.startswith("ascend-910c"):
        return "ub_a3", "roce_200g_a2"
    if family(chip) in (ASCEND, "domestic_other"):
        return "hccs_a2", "roce_200g_a2"
    return "nvlink", "rdma_400g"


def speed_of(given: Given, chip: str, *, segment: str = "platform") -> Speed:
    """Return what one rank of a chip reaches, by the rows of the vintage.

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
    alpha_slow = given.first(f"{fabric[1]}.alpha_us", "rdma_400g.alpha_us")
    soft = stack(chip, segment)
    narrow = "gemm_int8_compute_efficiency" if family(chip) == ASCEND else "gemm_8bit_compute_efficiency"
    wide = share(given, chip, "gemm_bf16_compute_efficiency")
    eight = share(given, chip, narrow) if family(chip) != "domestic_other" else wide
    stream = share(given, chip, "gemm_memory_efficiency")
    few = given.first(f"{chip}.batch1_stream_efficiency", f"{name}.batch1_stream_efficiency",
                      f"{family(chip)}.gemm_memory_efficiency", "ascend.gemm_memory_efficiency")
    maturity = given[f"{soft}.maturity"] if f"{soft}.maturity" in given else np.ones(given.draws)
    if segment == "clinic_school":
        maturity = maturity * given["stack-appliance.maturity"]
    over = f"{soft}.layer_overhead_us"
    layer = given.first(over, "stack-ascend-open.layer_overhead_us")
    kind = family(chip)
    return Speed(
        chip=chip, ranks_per_chip=per_chip, peak=peak, memory_bytes_s=bandwidth * 1e9 / per_chip,
        memory_bytes=usable_bytes(given, chip, memory) / per_chip,
        reserve_bytes=given["memory.reserve_gb"] * 1e9 / per_chip, domain=domain, gemm_narrow=eight, gemm_wide=wide,
        grouped=share(given, chip, "grouped_gemm_efficiency"),
        core_decode=share(given, chip, "mla_decode_compute_efficiency"),
        core_prefill=share(given, chip, "prefill_attention_efficiency"), stream=stream,
        stream_few=np.minimum(few, stream),
        core_stream=stream, rows_half=given.middle("engine.rows_half"),
        tile=given.middle(f"{ASCEND if kind != HOPPER else HOPPER}.tile_rows"),
        launch_s=0.0, layer_s=layer * 1e-6,
        host_s=given["engine.host_ms_per_step"] * 1e-3, request_s=0.0, maturity=maturity,
        even=given["routing.even_routing_share"], hidden=given["overlap.hidden_share"],
        alpha_s=(given[f"{fabric[0]}.alpha_us"] * 1e-6, alpha_slow * 1e-6),
        link_bytes_s=(fast * given[f"{fabric[0]}.link_efficiency"], slow * given[f"{fabric[1]}.link_efficiency"]),
        mesh=fabric[0] == "hccs_a2")


def usable_bytes(given: Given, chip: str, memory_gb: float) -> float:
    """Return memory that software sees: a row `usable_mib` where device listings print it. [B]

    Stacked memory is binary, so that a printed 64 GB is 64 GiB.
    """
    row = f"{stand_in(chip)}.usable_mib"
    return given.middle(row) * MEBI if row in given else memory_gb * GIBI


MEBI = 2.0**20
GIBI = 2.0**30


def at_middle(given: Given) -> Given:
    """Return the same table with one draw at every row's median, for choices that depend on no block of draws."""
    rows = (replace(r, law=point(r.law.middle)) for r in given.rows.values())
    return given.with_rows(rows).block(0, 1)
