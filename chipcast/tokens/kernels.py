"""Measurements of single operations: how large a share of a peak one product or attention kernel reaches.

They speak of a chip's shares without an engine around, so that a part nobody has served on is not a blank.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from chipcast.base.catalog import Catalogue
from chipcast.base.errors import ChipcastError
from chipcast.base.types import Array, Numeric
from chipcast.chip.ops import op_time_s, padded
from chipcast.tokens.beliefs import GROUPS, Draw, Part, belief, constant, maker, part
from chipcast.tokens.cells import number
from chipcast.tokens.guess import model_for
from chipcast.tokens.names import hardware

MLA_MODEL = "deepseek-v3"
"""Model whose latent attention the attention kernels are measured on."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One measured operation."""

    id: str
    """Row id."""
    source: str
    """Where it comes from."""
    part: Part
    """Figures of the chip."""
    family: str
    """Family of beliefs."""
    compute: str
    """Belief of the share of the peak."""
    memory: str
    """Belief of the share of the bandwidth."""
    peak: str
    """Arithmetic."""
    flop: float
    """Work counted as useful. [FLOP]"""
    done: float
    """Work done, tiles filled up. [FLOP]"""
    moved: float
    """Bytes read and written. [B]"""
    best: bool
    """Whether the shape was searched for the best share."""
    log_value: float
    """Logarithm of the share of the peak reached."""

    @property
    def group(self) -> str:
        """Group of chips that share deviations."""
        return GROUPS.get(self.part.chip, self.part.chip)

    @property
    def names(self) -> tuple[str, ...]:
        """Deviations it depends on."""
        return tuple(f"{n}@{s}" for n in (self.compute, self.memory) for s in
                     (self.family, f"{self.family}:{self.group}"))

    def forecast(self, draw: Draw) -> Array:
        """Return the logarithm of the share of the peak under drawn deviations. (draw)"""
        peak = dict(self.part.peak)[self.peak]
        eta: Numeric = belief(self.family, self.compute, self.group, draw)
        if self.best:
            eta = np.minimum(eta / constant("kernel_usual_of_best"), 0.99)
        stream: Numeric = belief(self.family, self.memory, self.group, draw)
        t = op_time_s(self.done, self.moved, flop_per_s=eta * peak, bytes_per_s=stream * self.part.memory_bytes_s)
        return np.asarray(np.log(self.flop / (t * peak)), dtype=float).reshape(-1)


def kernels(rows: Iterable[Mapping[str, str]], catalog: Catalogue) -> list[Kernel]:
    """Return the rows of single operations that say how much of a peak is reached; others are left out."""
    out = []
    for row in rows:
        try:
            found = _kernel(row, catalog)
        except (ChipcastError, KeyError):
            continue
        if found is not None:
            out.append(found)
    return out


def _kernel(row: Mapping[str, str], catalog: Catalogue) -> Kernel | None:
    metric, value = row.get("metric", ""), number(row, "value")
    chip = hardware(row["hardware"], catalog)[0]
    here, family = part(chip, catalog), maker(chip, catalog)
    shape = re.search(r"m=(\d+) k=(\d+) n=(\d+)", row.get("notes", ""))
    attention = "MLA" in metric
    word = "bf16" if attention else "fp8" if "FP8" in (row.get("precision", "") + metric) \
        else "int8" if "INT8" in metric else "bf16"
    peak = dict(here.peak)[word]
    if "TFLOPS" in metric:
        value = value * 1e12 / here.per_chip / peak
    elif family == "ascend":
        value = value * constant("vendor_peak_ratio")
    if "TFLOPS" not in metric and not metric.endswith(("MFU", "MFU_compute_bound", "MFU_low", "MFU_high")):
        return None
    if metric.startswith(("sparse", "MLA_decode_GBps")) or not 0 < value < 1:
        return None
    flop, done, moved, compute, memory = 1.0, 1.0, 0.0, "gemm_wide" if word == "bf16" else "gemm_narrow", "stream"
    if shape:
        m, k, n = (float(v) for v in shape.groups())
        flop, done = 2 * m * k * n, 2 * float(padded(m, constant("tile_other"))) * k * n
        moved = k * n + m * (k + 2 * n)
    elif metric.startswith("MLA_decode"):
        a = model_for(MLA_MODEL)[0].groups[0].attention
        b, context = number(row, "batch_per_chip") or 128.0, number(row, "avg_context_len", "input_len")
        compute, memory = "core_decode", "core_stream"
        if context and "MFU" in metric:
            flop = done = 2 * b * a.heads * context * (2 * a.kv_rank + a.rope_dim)
            moved = 2 * b * context * (a.kv_rank + a.rope_dim)
    elif attention:
        compute, memory = ("core_decode" if "compute_bound" in metric else "core_prefill"), "core_stream"
    return Kernel(id=row.get("id", ""), source=row.get("source_id", ""), part=here, family=family, compute=compute,
                  memory=memory, peak=word, flop=flop, done=done, moved=moved,
                  best=metric.startswith(("max_", "FP8_GEMM_TFLOPS", "MLA_decode_TFLOPS")),
                  log_value=float(np.log(value)))
