"""What do chips and their software reach, before and after measurements? One standard normal behind every belief.

Each share is a family's centre plus a family's, a chip's and an engine's deviation, so that a chip without
measurements keeps its family's mean and its own full width (partial pooling).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from chipcast.base.catalog import Catalogue, read_table
from chipcast.base.errors import InputError
from chipcast.base.types import Array, Numeric
from chipcast.tokens.step import Speed

Draw = Callable[[str], Numeric]
"""Gives the standard normals of a named deviation. (draw)"""

CHIP_NAMES = ("gemm_narrow", "gemm_wide", "grouped", "core_decode", "core_prefill", "stream", "stream_few",
              "core_stream", "link", "alpha_fast_us", "alpha_slow_us", "even", "hidden", "four_bit")
"""Beliefs that go with a chip."""

TRAINING_NAMES = {"core_prefill": "core_train", "gemm_narrow": "narrow_train"}
"""Beliefs of a chip that training has of its own: backward attention, and 8-bit products with their casts."""

STACK_NAMES = ("launch_us", "host_ms", "request_us", "ttft_ms", "burst", "maturity", "growth")
"""Beliefs that go with an engine."""

GROUPS = {"h100-sxm": "hopper", "h800-sxm": "hopper", "h200-sxm": "hopper", "h20-96": "h20", "h20-141": "h20",
          "a100-sxm-80": "a100", "a800-sxm-80": "a100", "ascend-910b1": "910b", "ascend-910b2": "910b",
          "ascend-910b3": "910b", "ascend-910b4": "910b", "ascend-910c": "910c", "b200-sxm": "blackwell",
          "gb200-nvl72": "blackwell", "b300-sxm": "blackwell", "gb300-nvl72": "blackwell"}
"""Chips that share silicon share deviations."""


def maker(chip: str, catalog: Catalogue) -> str:
    """Return the family of beliefs of a chip: nvidia, ascend or other."""
    if chip.startswith("ascend"):
        return "ascend"
    vendor = next((r["vendor"] for r in read_table("chip_names") if r["item"] == chip), "")
    return "nvidia" if vendor == "NVIDIA" else "other"


@lru_cache(maxsize=1)
def table() -> Mapping[tuple[str, str], Mapping[str, str]]:
    """Return the assumed centres and widths by (scope, name)."""
    return {(r["scope"], r["name"]): r for r in read_table("performance")}


@lru_cache(maxsize=1024)
def constant(name: str) -> float:
    """Return an assumed number of the model that no measurement moves."""
    return float(table()[("model", name)]["centre"])


def logit(p: float) -> float:
    """Return log p / (1 - p)."""
    return float(np.log(p / (1 - p)))


@lru_cache(maxsize=1024)
def _law(scope: str, name: str) -> tuple[bool, float, float, float]:
    """Return whether a belief is a share, its centre (of a share the logit), and the widths of scope and member."""
    row = table()[(scope, name)]
    share, centre = row["law"] == "logit", float(row["centre"])
    return share, logit(centre) if share else centre, float(row["width"]), float(row["chip_width"])


def belief(scope: str, name: str, own: str, draw: Draw) -> Numeric:
    """Return a belief: the scope's centre moved by the scope's and its own deviation. (draw)"""
    share, centre, width, own_width = _law(scope, name)
    z = width * draw(f"{name}@{scope}") + own_width * draw(f"{name}@{scope}:{own}")
    return 1 / (1 + np.exp(-(centre + z))) if share else centre * np.exp(z)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A chip's figures per rank, as far as serving and training need them."""

    chip: str
    """Chip id."""
    per_chip: int
    """Ranks of a chip."""
    peak: tuple[tuple[str, float], ...]
    """Dense peaks of a rank by arithmetic. [FLOP/s]"""
    memory_bytes_s: float
    """Bandwidth. [B/s]"""
    memory_bytes: float
    """Memory that software sees. [B]"""
    domain: int
    """Ranks inside fast links."""
    fast: float
    """Fast link, one direction. [B/s]"""
    slow: float
    """Network, one direction. [B/s]"""
    watts: float = 0.0
    """Power limit of the chip, 0 where unknown. [W]"""


@lru_cache(maxsize=256)
def part(chip: str, catalog: Catalogue) -> Part:
    """Return the figures of a chip as the catalogue knows them.

    Raises
    ------
    InputError
        If matrix throughput, memory or bandwidth of the chip are not known.
    """
    facts = {k: f.value for k, f in catalog.chip_facts(chip).items()}
    per = round(facts.get("compute_dies", 1)) if chip.startswith("ascend") else 1
    wide = facts.get("bf16_tflops") or facts.get("fp16_tflops")
    if not wide or not facts.get("mem_gb"):
        raise InputError(f"chip '{chip}' has no 16-bit throughput or memory size in the catalogue of {catalog.as_of}")
    assumed = [float(r["mode"]) for r in read_table("priors") if (r["item"], r["name"]) == (chip, "mem_bw_gb_s")]
    bandwidth = facts.get("mem_bw_gb_s") or (assumed[0] if assumed else 0.0)
    if not bandwidth:
        raise InputError(f"chip '{chip}' has no memory bandwidth in the catalogue of {catalog.as_of}")
    peak = {"bf16": wide * 1e12 / per}
    for key, column in (("fp8", "fp8_tflops"), ("int8", "int8_tops"), ("fp4", "fp4_tflops")):
        if facts.get(column):
            peak[key] = facts[column] * 1e12 / per
    usable = {r["item"]: float(r["mode"]) * 2.0**20 for r in read_table("priors") if r["name"] == "usable_mib"}
    slow = facts.get("scaleout_gbit_s", 200.0) * 1.25e8 / per
    fast = facts.get("scaleup_gb_s_per_direction") or facts.get("scaleup_gb_s_bidirectional", 0.0) / 2
    return Part(chip=chip, per_chip=per, peak=tuple(peak.items()), memory_bytes_s=bandwidth * 1e9 / per,
                memory_bytes=usable.get(chip, facts["mem_gb"] * 2.0**30) / per,
                domain=max(1, round(facts.get("scaleup_domain", 8))) * per, fast=(fast * 1e9 / per) or slow, slow=slow,
                watts=facts.get("tdp_w", 0.0))


def speed_from(chip: Part, family: str, group: str, stack: str, engine: str, draw: Draw, *,
               reserve_gb: float | None = None, years: float = 0.0) -> tuple[Speed, Mapping[str, Numeric]]:
    """Return what a rank reaches by the beliefs, and the engine's beliefs that stand outside a step."""
    other = TRAINING_NAMES if stack == "train" else {}
    c = {name: belief(family, other.get(name, name), group, draw) for name in CHIP_NAMES}
    s = {name: belief(stack, name, engine, draw) for name in STACK_NAMES}
    young = np.exp(years * s["growth"])
    reserve = constant("reserve_gb") if reserve_gb is None else reserve_gb
    speed = Speed(
        chip=chip.chip, ranks_per_chip=chip.per_chip, peak=dict(chip.peak), memory_bytes_s=chip.memory_bytes_s,
        memory_bytes=chip.memory_bytes, reserve_bytes=reserve * 1e9 / chip.per_chip, domain=chip.domain,
        gemm_narrow=c["gemm_narrow"], gemm_wide=c["gemm_wide"], grouped=c["grouped"], core_decode=c["core_decode"],
        core_prefill=c["core_prefill"], stream=c["stream"], stream_few=c["stream"] * c["stream_few"],
        core_stream=c["core_stream"], rows_half=constant("rows_half"),
        tile=constant("tile_ascend" if family == "ascend" else "tile_other"),
        launch_s=s["launch_us"] * 1e-6 * young, layer_s=0.0, host_s=s["host_ms"] * 1e-3,
        request_s=s["request_us"] * 1e-6, maturity=s["maturity"] / young ** constant("growth_of_operations"),
        even=c["even"], hidden=c["hidden"],
        alpha_s=(c["alpha_fast_us"] * 1e-6, c["alpha_slow_us"] * 1e-6),
        link_bytes_s=(chip.fast * c["link"], chip.slow * c["link"]),
        hidden_sums=belief(stack, "hidden_sums", engine, draw) if stack == "train" else 0.0,
        mesh=family == "ascend" and chip.domain == 8, four_bit=c["four_bit"])
    return speed, s


ENGINES = (
    ("vllm + vllm-ascend", "ascend-open", "vllm-ascend"), ("vllm-ascend", "ascend-open", "vllm-ascend"),
    ("cloudmatrix", "ascend-best", "cloudmatrix"), ("mindie", "ascend-best", "mindie"),
    ("xdeepserve", "ascend-best", "xds"),
    ("deepseek", "best", "deepseek"), ("tensorrt", "open", "trtllm"), ("trt", "open", "trtllm"),
    ("sglang", "open", "sglang"), ("vllm", "open", "vllm"), ("llm-foundry", "train", "llm-foundry"),
    ("torchtitan", "train", "torchtitan"), ("megatron", "train", "megatron"), ("mindspeed", "train", "mindspeed"),
    ("modellink", "train", "mindspeed"), ("nemo", "train", "megatron"),
)
"""Engine names by what they contain, special first: (text, group of stacks, engine)."""


def stack_of(engine: str, family: str, *, training: bool) -> tuple[str, str]:
    """Return the group of stacks and the engine that a name stands for; unknown ones are a new member of the group."""
    word = engine.lower()
    for text, group, name in ENGINES:
        if text in word and (group == "train") == training:
            if group == "open" and family == "ascend":
                return "ascend-open", name
            return group, name
    if training:
        return "train", f"unknown-{family}"
    return ("ascend-open" if family == "ascend" else "open"), f"unknown-{family}"


def at_centre(name: str) -> Array:
    """Return zeros: every belief at its centre. (draw of one)"""
    return np.zeros(1)
