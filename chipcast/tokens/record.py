"""What `tokens` gives to the stations right of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chipcast.base.types import Array
from chipcast.tokens.ops import Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How a model is laid over chips. Ranks are what software sees: a 910C package is two."""

    chips: int
    """Chips of one replica, as a buyer counts them."""
    tp: int = 1
    """Tensor-parallel ranks."""
    pp: int = 1
    """Pipeline stages."""
    dp: int = 1
    """Data-parallel attention groups."""
    ep: int = 1
    """Expert-parallel ranks."""
    cp: int = 1
    """Ranks that share a request's tokens."""
    batch: int = 1
    """Requests served at once by a replica."""
    weights: str = "fp8"
    """Precision of weights and arithmetic."""
    split: bool = False
    """Whether prefill and decode run on pools of their own."""

    def __str__(self) -> str:
        """Print it in one breath."""
        ring = f" cp{self.cp}" if self.cp > 1 else ""
        return (f"{self.chips} chips tp{self.tp} pp{self.pp} dp{self.dp} ep{self.ep}{ring} batch {self.batch} "
                f"{self.weights}")

    @property
    def plan(self) -> Plan:
        """The same as the operations take it."""
        return Plan(tp=float(self.tp), dp=float(self.dp), pp=float(self.pp), ep=float(self.ep), cp=float(self.cp),
                    etp=float(self.tp * self.dp * self.cp // self.ep))


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """What each chip delivers on one model under one promise."""

    chips: tuple[str, ...]
    """Chip ids. (chip)"""
    model: str
    """Name of the model."""
    feasible: Array
    """Share of draws in which the layout keeps the promise; 0 where none fits. [1] (chip)"""
    layouts: tuple[Layout | None, ...]
    """Best layout of each chip, None where nothing fits. (chip)"""
    reasons: tuple[str, ...]
    """Why a chip has no layout; empty where it has one. (chip)"""
    output_tokens_per_s_per_chip: Array
    """Generated tokens per second over all serving chips, prefill included, at full batch. [tokens/s] (chip, draw)"""
    total_tokens_per_s_per_chip: Array
    """Prompt and generated tokens per second over all serving chips. [tokens/s] (chip, draw)"""
    tpot_ms: Array
    """Time per output token at that batch. [ms] (chip, draw)"""
    ttft_ms: Array
    """Time to first token without queueing. [ms] (chip, draw)"""
    usd_per_chip_h: Array
    """Cost of owning and running a chip for an hour. [USD/h] (chip, draw)"""
    usd_per_million_output_tokens: Array
    """Cost per million generated tokens at the stated utilisation. [USD/1e6 tokens] (chip, draw)"""
    bound_by: tuple[str, ...]
    """What limits decode: compute, memory, link or overhead. (chip)"""
    grade: tuple[str, ...]
    """Evidence grade: fitted on this chip and model, this chip, this vendor, prior only. (chip)"""
    min_chips: tuple[int, ...]
    """Chips of the smallest deployment that keeps the promise, whole servers; 0 where none. (chip)"""
    frontier: tuple[dict[str, Any], ...] = field(default=())
    """Points (chip, tpot_ms, output_tokens_per_s_per_chip, layout) of the speed-latency frontier."""
