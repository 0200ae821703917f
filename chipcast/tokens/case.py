"""What is a case: one configuration, filled in as far as its row goes, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from chipcast.tokens.model import Model
from chipcast.tokens.train import Job

QUANTITIES = ("input_tokens_per_s_per_chip", "output_tokens_per_s_per_chip", "total_tokens_per_s_per_chip", "tpot_ms",
              "ttft_ms", "train_tokens_per_s_per_chip", "mfu", "gpu_hours", "step_time_s")
"""What can be asked."""

TRAINING = QUANTITIES[5:]
"""Quantities of training."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One configuration and what is asked of it."""

    id: str
    """Row id."""
    source: str
    """Where the row comes from, empty for a question."""
    quantity: str
    """One of `QUANTITIES`."""
    chips: tuple[str, ...]
    """Chip ids it may be; several for a part without a bin."""
    variant: str
    """Bandwidth or power that the name states beside the part's own, empty for none."""
    count: int
    """Chips that work together."""
    stated_count: bool
    """Whether the row says how many."""
    model: Model
    """Shape."""
    phase: str
    """prefill, decode, mixed or train."""
    precision: str
    """Entry of `PRECISION`."""
    cache_bytes: float
    """Bytes of a cached element. [B]"""
    tp: int
    """Tensor-parallel ranks, 0 for free."""
    pp: int
    """Stages, 0 for free."""
    dp: int
    """Attention groups, 0 for free."""
    ep: int
    """Ranks of experts, 0 for free, -1 for on."""
    cp: int
    """Context-parallel ranks."""
    batch_per_chip: float
    """Requests per chip, 0 for free."""
    concurrency: float
    """Requests in flight at all, 0 for free, infinite for as many as fit."""
    micro: float
    """Sequences of a micro-batch, 0 for free."""
    input_len: float
    """Prompt, or sequence of training. [tokens]"""
    output_len: float
    """Answer. [tokens]"""
    hit: float
    """Share of the prompt found in a cache. [1]"""
    drafts: int
    """Tokens drafted a step."""
    accept: float
    """Tokens a step yields, 0 where not stated."""
    stack: str
    """Group of stacks."""
    engine: str
    """Engine."""
    quality: str
    """A, B or C."""
    split: bool
    """Whether prefill and decode run on pools of their own."""
    balanced: bool
    """Whether experts were evenly used by construction."""
    recompute: str
    """Entry of `RECOMPUTE`, empty for free."""
    sharded: bool
    """Whether weights are fully sharded over data-parallel ranks."""
    interleaved: bool
    """Whether pipeline stages hold several pieces."""
    batch: float
    """Sequences of a training step, 0 for free."""
    local_batch: float
    """Sequences of a training step on each data-parallel rank, 0 for free."""
    tokens: float
    """Tokens of a training run, for gpu_hours. [tokens]"""
    floor: bool
    """Whether the value is a floor that a check accepts."""
    slots: float = 0.0
    """Requests that the engine schedules on an attention group at most, 0 for free."""
    prompts: float = 0.0
    """Requests of the whole measurement, 0 where not stated."""
    arrivals: float = 0.0
    """Requests offered per second, 0 for as many as are in flight. [requests/s]"""
    years: float = 0.0
    """Years by which the row is older than the software that the beliefs speak of."""
    assumed: tuple[str, ...] = field(default=())
    """What was filled in."""
    layout: Job | None = None
    """Layout of training where it is settled beforehand."""
