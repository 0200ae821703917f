"""Which layout of a training run is fastest and fits, and why did the others fall?

Searched at the medians: tensor ranks, stages, experts, recomputation, and rings for long sequences. What a user asks
for is kept; the rest is free.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chipcast.base.errors import InfeasibleError
from chipcast.tokens.footprint import RECOMPUTE
from chipcast.tokens.model import Model
from chipcast.tokens.pipeline import why_not
from chipcast.tokens.step import Speed
from chipcast.tokens.train import Job, fits_training, train_step, training_ledger

TENSOR = (1, 2, 4, 8)
"""Tensor-parallel ranks that are tried."""

STAGES = (1, 2, 4, 8, 16)
"""Pipeline stages that are tried."""

DEALS = (8, 64)
"""Ranks over which experts are dealt that are tried."""

RINGS = (1, 2, 4, 8, 16)
"""Ranks of a ring that shares a sequence that are tried, where sequences are long."""

LONG_TOKENS = 32_768
"""Sequences longer than this are tried with rings."""

MOST_PIECES = 6
"""Pieces of layers on a stage, at most."""

MOST_ROUNDING = 1.5
"""Rounding up to whole micro-batches may stretch the asked batch so far."""

OVER_PLANS = ("tp", "pp", "ep", "cp", "virtual", "batch")
"""What differs between layouts of one kind of schedule and recomputation."""

AGAIN = ("selective", "half", "full")
"""Recomputation that is tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a user asks of the layout; 0 and empty are free."""

    tp: int = 0
    """Tensor-parallel ranks."""
    pp: int = 0
    """Stages."""
    ep: int = 0
    """Ranks the experts are dealt over."""
    cp: int = 0
    """Ranks that share a sequence."""
    virtual: int = 0
    """Pieces of layers on a stage."""
    schedule: str = ""
    """Entry of `SCHEDULES`."""
    recompute: str = ""
    """Entry of `RECOMPUTE`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The fastest layout and what became of the others."""

    job: Job | None
    """The layout, None where nothing fits."""
    next_best: tuple[tuple[str, float], ...] = ()
    """Other layouts that fit and their time over that of the best, fastest first; one for each tp and pp."""
    fell: dict[str, int] = field(default_factory=dict)
    """How many layouts fell for each reason."""
    shortage: tuple[str, float] = ("", 0.0)
    """Layout that came closest where none fits, and the memory it needs over what there is."""


def words(job: Job) -> str:
    """Return a layout in words.

    >>> words(Job(chips_ranks=64, tp=8, pp=2, batch=64))
    'tp 8, pp 2, dp 4, ep 1, selective recomputation, ZeRO 1, 0.3M tokens a step'
    """
    parts = [f"tp {job.tp:g}", f"pp {job.pp:g}", f"dp {job.dp:g}", f"ep {job.ep:g}"]
    if job.cp > 1:
        parts.append(f"cp {job.cp:g}")
    if job.pp > 1:
        parts.append(job.schedule + (f" x {job.virtual:g}" if job.virtual > 1 else ""))
    return ", ".join([*parts, f"{job.recompute} recomputation", f"ZeRO {job.zero}",
                      f"{job.batch * job.sequence / 1e6:.1f}M tokens a step"])


def illegal(model: Model, job: Job, speed: Speed) -> str:
    """Return why a layout cannot be, or an empty text."""
    if job.chips_ranks % (job.tp * job.pp * job.cp):
        return f"tp {job.tp:g} x pp {job.pp:g} x cp {job.cp:g} does not divide {job.chips_ranks:g} ranks"
    for g in model.groups:
        if g.attention.heads and g.attention.heads % job.tp:
            return f"tp {job.tp:g} does not divide the {g.attention.heads} heads"
        if g.ffn.kind == "moe" and g.ffn.experts % job.ep:
            return f"ep {job.ep:g} does not divide the {g.ffn.experts} experts"
    if job.ep > 1 and (job.ep < job.tp or job.chips_ranks / job.pp % job.ep):
        return f"ep {job.ep:g} does not go into the {job.chips_ranks / job.pp:g} ranks of a stage by whole groups"
    if job.sequence % job.cp:
        return f"cp {job.cp:g} does not divide a sequence of {job.sequence:g} tokens"
    return why_not(job.schedule, layers=model.layers, pp=int(job.pp), virtual=int(job.virtual),
                   micro_batches=float(job.micro_batches))


def candidates(model: Model, base: Job, wish: Wish) -> Iterator[Job]:
    """Return layouts worth a look, legal or not; the batch is rounded up so that micro-batches come out whole."""
    has_experts = any(g.ffn.kind == "moe" for g in model.groups)
    rings = (wish.cp,) if wish.cp else RINGS if base.sequence > LONG_TOKENS and base.cp == 1 else (int(base.cp),)
    for tp in (wish.tp,) if wish.tp else TENSOR:
        for pp in (wish.pp,) if wish.pp else STAGES:
            for cp in rings:
                if tp * pp * cp > base.chips_ranks:
                    continue
                deals = [e for e in DEALS if has_experts and tp <= e <= base.chips_ranks / pp] or [1]
                for ep in (wish.ep,) if wish.ep else deals:
                    for again in (wish.recompute,) if wish.recompute else AGAIN:
                        yield _one(model, base, wish, float(tp), float(pp), float(cp), float(ep), again)


def _one(model: Model, base: Job, wish: Wish, tp: float, pp: float, cp: float, ep: float, again: str) -> Job:
    room = float(np.clip(model.layers // pp, 1, MOST_PIECES)) if pp > 1 else 1.0
    pieces = float(wish.virtual or room) if wish.schedule in ("", "interleaved") else 1.0
    schedule = wish.schedule or ("interleaved" if pieces > 1 else "1f1b")
    dp = base.chips_ranks / (tp * pp * cp)
    count = max(np.ceil(base.batch / (dp * base.micro)), 1.0)
    if schedule == "interleaved" and pp > 1:
        count = np.ceil(count / pp) * pp
    if schedule == "dualpipe" and pp > 1:
        count = max(count, 2 * pp)
    return replace(base, tp=tp, pp=pp, cp=cp, ep=ep, recompute=again, batch=count * dp * base.micro, virtual=pieces,
                   schedule=schedule)


def priced(model: Model, jobs: list[Job], speed: Speed) -> list[tuple[Job, float, float]]:
    """Return each layout with the memory it needs over what there is and the time of its step. [1, s]

    Layouts of one kind of schedule and recomputation are priced together, as arrays over plans.
    """
    kinds: dict[tuple[str, str], list[int]] = {}
    for i, job in enumerate(jobs):
        kinds.setdefault((job.schedule, job.recompute), []).append(i)
    out: list[tuple[Job, float, float]] = [(job, 0.0, 0.0) for job in jobs]
    for alike in kinds.values():
        plans: dict[str, Any] = {k: np.array([float(getattr(jobs[i], k)) for i in alike]) for k in OVER_PLANS}
        many = replace(jobs[alike[0]], **plans)
        need = np.broadcast_to(sum(training_ledger(model, many, speed).values()) / speed.memory_bytes, (len(alike),))
        seconds = np.broadcast_to(train_step(model, many, speed).total_s, (len(alike),))
        for i, n, t in zip(alike, need.tolist(), seconds.tolist(), strict=True):
            out[i] = jobs[i], n, t
    return out


def best_job(model: Model, base: Job, speed: Speed, wish: Wish | None = None) -> Found:
    """Return the layout with the shortest step per token that is legal and fits in memory.

    Parameters
    ----------
    model : Model
        Shape.
    base : Job
        Ranks, sequence, batch, precision and sharding; what it says of the layout is free unless the wish holds it.
    speed : Speed
        Of one draw, at the medians.
    wish : Wish, optional
        What must be kept.
    """
    kept: list[tuple[float, Job]] = []
    legal: list[Job] = []
    fell: dict[str, int] = {}
    nearest: tuple[str, float] = ("", np.inf)
    for job in candidates(model, base, wish or Wish()):
        reason = illegal(model, job, speed)
        if not reason and job.batch > MOST_ROUNDING * base.batch:
            reason = f"whole micro-batches would need more than {MOST_ROUNDING:g} times the asked batch"
        if reason:
            fell[reason] = fell.get(reason, 0) + 1
        else:
            legal.append(job)
    for job, need, seconds in priced(model, legal, speed):
        if need > 1:
            fell["more memory than a rank has"] = fell.get("more memory than a rank has", 0) + 1
            nearest = min(nearest, (words(job), need), key=lambda x: x[1])
        else:
            kept.append((seconds / float(job.batch), job))
    if not kept:
        return Found(job=None, fell=fell, shortage=nearest)
    kept.sort(key=lambda x: x[0])
    seen, others = {(kept[0][1].tp, kept[0][1].pp)}, []
    for t, job in kept[1:]:
        if (job.tp, job.pp) not in seen:
            seen.add((job.tp, job.pp))
            others.append((words(job), t / kept[0][0]))
    return Found(job=kept[0][1], next_best=tuple(others[:5]), fell=fell)


def with_room(model: Model, job: Job, speed: Speed) -> Job:
    """Return a layout with the least recomputation of `AGAIN` with which it fits in memory, else the most."""
    for again in AGAIN:
        eased = replace(job, recompute=again)
        if float(np.max(fits_training(model, eased, speed))) <= 1:
            return eased
    return replace(job, recompute=AGAIN[-1])


def refuse_if_none(found: Found, model: Model, chips: int, chip: str, speed: Speed) -> Job:
    """Return the layout, or raise `InfeasibleError` that says what stands in the way."""
    if found.job is not None:
        return found.job
    where, need = found.shortage
    if where:
        more = int(2 ** np.ceil(np.log2(max(need, 1.01) * chips)))
        raise InfeasibleError(f"{model.name} does not train on {chips} x {chip}: the layout that comes closest "
                              f"({where}) needs {need * speed.memory_bytes / 1e9:.0f} GB a rank of "
                              f"{speed.memory_bytes / 1e9:.0f}; take about {more} chips or more")
    raise InfeasibleError(f"no legal layout of {model.name} on {chips} x {chip}: " + "; ".join(list(found.fell)[:3]))


__all__ = ["RECOMPUTE", "Found", "Wish", "best_job", "candidates", "illegal", "refuse_if_none", "with_room", "words"]
