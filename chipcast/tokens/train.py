"""How long does a training step take, what binds it, and does it fit?

The op list of `ops` prices the forward pass; backward is twice its products. Sources: Megatron 1909.08053, 2104.04473,
2205.05198; ZeRO 1910.02054; DualPipe 2412.19437; FlashAttention 2205.14135.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from chipcast.base.catalog import read_table
from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.base.types import Numeric
from chipcast.chip.ops import op_time_s
from chipcast.tokens.footprint import (
    RECOMPUTE,
    STATES,
    ZERO,
    activation_bytes,
    rank_params,
    state_bytes,
)
from chipcast.tokens.model import PRECISION, Model
from chipcast.tokens.ops import Load, Message, Op, Plan, step_ops
from chipcast.tokens.pipeline import BURDEN, SCHEDULES, idle_s
from chipcast.tokens.step import Speed, all_reduce_s, efficiency, traffic_s
from chipcast.tokens.utilisation import gpt_flop, hfu, mfu, model_flop_per_token

LEDGER = ("compute", "bubble", "exposed", "optimizer")
"""Parts of a step; they add to its time."""

CAUSES = ("compute", "memory", "link", "overhead", "bubble", "optimizer")
"""What a step waits for; the parts add to its time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A training run as it is laid out; numbers or arrays over plans."""

    chips_ranks: Numeric
    """Ranks that train."""
    tp: Numeric = 1
    """Tensor-parallel ranks."""
    pp: Numeric = 1
    """Stages."""
    ep: Numeric = 1
    """Ranks the experts are dealt over."""
    cp: Numeric = 1
    """Ranks that share a sequence."""
    virtual: Numeric = 1
    """Pieces of layers on each stage (interleaving)."""
    sequence: Numeric = 4096
    """Tokens of a sequence."""
    batch: Numeric = 1024
    """Sequences of a step."""
    micro: Numeric = 1
    """Sequences of a micro-batch."""
    schedule: str = "1f1b"
    """Entry of `SCHEDULES`."""
    recompute: str = "selective"
    """Entry of `RECOMPUTE`."""
    zero: int = 1
    """Entry of `ZERO`."""
    precision: str = "bf16"
    """Of the products."""
    narrow_share: Numeric = 1.0
    """Share of the products that run in that precision, the rest in 16 bits. [1]"""
    states: str = "mixed"
    """Entry of `STATES`."""
    sequence_parallel: bool = True
    """Whether norms and saved activations are cut over the tensor-parallel ranks."""
    causal: bool = True
    """Whether the attention kernel skips the masked half."""
    flash: bool = True
    """Whether scores stay on the chip; else they pass through memory."""

    @property
    def dp(self) -> Numeric:
        """Data-parallel ranks."""
        return self.chips_ranks / (self.tp * self.pp * self.cp)

    @property
    def micro_batches(self) -> Numeric:
        """Micro-batches of a step on each rank."""
        return self.batch / (self.dp * self.micro)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainStep:
    """One step of training. [s]"""

    total_s: Numeric
    """Time of the step."""
    ledger: Mapping[str, Numeric]
    """Time by `LEDGER`; the parts add to the total."""
    causes: Mapping[str, Numeric]
    """Time by `CAUSES`; the parts add to the total."""
    forward_s: Numeric
    """Forward of one micro-batch on one stage."""
    backward_s: Numeric
    """Backward of one micro-batch on one stage, recomputation included."""
    weight_s: Numeric
    """Weight-gradient part of the backward."""
    tokens: Numeric
    """Tokens of the step."""

    @property
    def bound_by(self) -> str:
        """Entry of `CAUSES` that takes most of the step, at the largest of the plans and draws."""
        return max(CAUSES, key=lambda k: float(np.max(self.causes[k])))


def _constant(name: str) -> float:
    """Return a constant of training from the rows of the data."""
    return next(float(r["centre"]) for r in read_table("performance") if (r["scope"], r["name"]) == ("training", name))


def _training_ops(model: Model, job: Job, plan: Plan, speed: Speed) -> tuple[tuple[Op, ...], tuple[Message, ...]]:
    new = job.sequence / job.cp
    load = Load(requests=job.micro, new=new, context=0.0, prefill=True, all_logits=True)
    ops, messages = step_ops(model, plan, load, PRECISION[job.precision], tile=speed.tile, domain=speed.domain)
    out = []
    for op in ops:
        if op.kind == "core_prefill" and op.name == "core":
            flop = op.flop * job.cp * (1.0 if job.causal else 2.0)
            moved = op.moved
            if not job.flash:
                heads = max(g.attention.heads for g in model.groups)
                scores = job.micro * new * job.sequence * heads / job.tp
                moved = moved + _constant("unfused_bytes") * scores
            op = op._replace(flop=flop, moved=moved)
        elif op.kind == "small":
            cut = job.tp if job.sequence_parallel and op.name != "activation" else 1.0
            op = op._replace(moved=op.moved * _constant("small_factor") / cut)
        out.append(op)
    return tuple(out), messages


@dataclass(frozen=True, kw_only=True, slots=True)
class Forward:
    """Forward work of a micro-batch through all layers, and how often a step repeats it."""

    times: tuple[tuple[Op, tuple[Numeric, Numeric]], ...]
    """Operations with the time where arithmetic binds them and where memory does; one of the two is zero. [s]"""
    messages: tuple[Message, ...]
    """What ranks send each other."""
    plan: Plan
    """How a stage lies over ranks."""
    comm_s: Numeric
    """Messages of a stage that no work hides. [s]"""
    passes: Mapping[str, float]
    """How often a step does the forward work of each of `PASSES`."""
    message_passes: float
    """How often it sends the messages."""

    def spent(self, kind: str) -> tuple[Numeric, Numeric]:
        """Return the time of an entry of `PASSES` bound by arithmetic and by memory. [s]"""
        mine = [t for op, t in self.times if kind_of(op) == kind]
        return sum(t[0] for t in mine), sum(t[1] for t in mine)


PASSES = ("products", "core", "head")
"""Kinds of forward work that the backward pass multiplies differently."""


def kind_of(op: Op) -> str:
    """Return which of `PASSES` an operation belongs to."""
    return "head" if op.kind == "head" else "core" if op.name in ("core", "index", "state") else "products"


def _op_s(op: Op, speed: Speed, job: Job) -> tuple[Numeric, Numeric]:
    """Return the time of an operation where arithmetic binds it, and where memory does; one of them is zero."""
    total: tuple[Numeric, Numeric] = (0.0, 0.0)
    shares = {job.precision: job.narrow_share, "bf16": 1.0 - np.asarray(job.narrow_share)}
    if job.precision == "bf16":
        shares = {"bf16": 1.0}
    for word, share in shares.items():
        if not np.any(share):
            continue
        flop_s, bytes_s = efficiency(op, speed, PRECISION[word])
        t = share * op.layers * op_time_s(op.flop, op.moved, flop_per_s=flop_s, bytes_per_s=bytes_s)
        t = t / np.where((op.kind == "grouped") & (np.asarray(job.ep) > 1), speed.even, 1.0)
        arithmetic = np.asarray(op.flop / flop_s) >= np.asarray(op.moved / bytes_s)
        total = (total[0] + np.where(arithmetic, t, 0.0), total[1] + np.where(arithmetic, 0.0, t))
    return total


def forward_of(model: Model, job: Job, speed: Speed) -> Forward:
    """Return the forward work of a micro-batch, its messages, and how often a step repeats both."""
    dealt = np.asarray(job.ep) > 1
    plan = Plan(tp=job.tp, dp=np.where(dealt, np.asarray(job.ep) / np.minimum(job.tp, job.ep), 1.0)[()],
                pp=1.0, ep=job.ep, etp=np.where(dealt, 1.0, job.tp)[()])
    ops, messages = _training_ops(model, job, plan, speed)
    again_forward, again_core = choose(RECOMPUTE, job.recompute, "recomputation")
    if job.flash and not again_forward:
        again_core = 0.0
    times = tuple((op, _op_s(op, speed, job)) for op in ops)
    busy = sum(t[0] + t[1] for op, t in times if kind_of(op) != "head")
    link, exchange = traffic_s(messages, plan, speed)
    hidden = 1.0 if job.schedule == "dualpipe" else speed.hidden
    exchange = exchange - hidden * np.minimum(exchange, busy)
    link = link - speed.hidden_sums * np.minimum(link, busy)
    passes = {"products": 3 + again_forward, "core": 1 + (2.5 if job.flash else 2.0) + again_core, "head": 3.0}
    return Forward(times=times, messages=messages, plan=plan, comm_s=(link + exchange) / (speed.maturity * job.pp),
                   passes=passes, message_passes=2 + again_forward)


def train_step(model: Model, job: Job, speed: Speed) -> TrainStep:
    """Return the time of one step of the global batch and where it goes.

    Notes
    -----
    T = m (F + B) + bubble + exposed traffic + optimizer. Backward products are twice the forward ones, flash
    attention's core 2.5 times; recomputation adds forward work. Gradient traffic hides under the backward of the last
    micro-batch only; with ZeRO 3 every micro-batch gathers the weights twice and shares its gradients, of which the
    part `hidden` goes on beside the work. Of the sums over tensor-parallel ranks the part `hidden_sums` goes on beside
    the products that make and use them, at most as long as those last. DualPipe hides the exchange of experts' rows
    under the work of the opposite direction.
    """
    require(np.all(np.asarray(job.dp) >= 1), "chips", "hold at least one copy of tp x pp x cp", job.chips_ranks)
    forward = forward_of(model, job, speed)
    work = {kind: forward.spent(kind) for kind in PASSES}
    comm, passes = forward.comm_s, forward.passes
    launches = sum(op.layers * op.launches for op, _ in forward.times)
    over = (launches * speed.launch_s + model.layers * speed.layer_s) / job.pp
    per = 1.0 / (speed.maturity * job.pp)
    products, core, ends = sum(work["products"]), sum(work["core"]), 3 * sum(work["head"]) / speed.maturity
    f = per * (products + core) + comm + over
    b = per * ((passes["products"] - 1) * products + (passes["core"] - 1) * core) \
        + (forward.message_passes - 1) * comm + over
    w = per * products
    m = job.micro_batches
    bubble = idle_s(job.schedule, job.pp, f, b, w, job.virtual, m)
    hops = 2 * (job.pp - 1) * job.virtual * _border_s(model, job, speed)
    sizes = choose({str(k): v for k, v in ZERO.items()}, str(job.zero), "ZeRO stage")
    recipe = choose(STATES, job.states, "recipe of states")
    held = rank_params(model, tp=job.tp, pp=job.pp, ep=job.ep, ranks=job.chips_ranks)
    cuts = (job.tp, np.maximum(np.asarray(job.ep), job.tp))
    traffic = sum(_gradient_s(params * recipe.weights, copies, stride, speed, sizes)
                  for (params, copies), stride in zip(held, cuts, strict=True))
    if job.zero == 3:
        sums = m * (traffic - speed.hidden * np.minimum(traffic, f + b))
    else:
        sums = np.maximum(traffic - (b + ends), 0.0)
    exposed = m * (forward.message_passes * comm + context_s(model, job, speed)) + hops + sums
    by = [m * (per * (passes["products"] * work["products"][i] + passes["core"] * work["core"][i])
               + passes["head"] * work["head"][i] / speed.maturity) for i in (0, 1)]
    overhead = 2 * m * over
    touched = sum(state_bytes(params, copies, 3 if job.zero else 0, recipe=job.states) for params, copies in held)
    update = 2.0 * touched / (speed.memory_bytes_s * speed.stream)
    optimizer = update + speed.host_s
    total = by[0] + by[1] + overhead + bubble + exposed + optimizer
    return TrainStep(
        total_s=total, forward_s=f, backward_s=b, weight_s=w, tokens=job.batch * job.sequence,
        ledger={"compute": by[0] + by[1] + overhead, "bubble": bubble, "exposed": exposed, "optimizer": optimizer},
        causes={"compute": by[0], "memory": by[1], "link": exposed, "overhead": overhead + speed.host_s,
                "bubble": bubble, "optimizer": update})


def _border_s(model: Model, job: Job, speed: Speed) -> Numeric:
    """Return the time to hand a micro-batch's rows to the next stage. [s]"""
    rows = 2.0 * job.micro * job.sequence / job.cp * model.hidden
    return np.where(np.asarray(job.pp) > 1, rows / speed.link_bytes_s[1] + 2 * speed.alpha_s[1], 0.0)


def context_s(model: Model, job: Job, speed: Speed) -> Numeric:
    """Return the exposed time of passing keys and values round a context-parallel ring, forward and backward. [s]"""
    cp = np.asarray(job.cp, dtype=float)
    bytes_ = 3 * (cp - 1) / cp * job.sequence * job.micro * 2.0 * model.kv_elements_per_token / (job.tp * job.pp)
    rate = np.where(cp * job.tp <= speed.domain, speed.link_bytes_s[0], speed.link_bytes_s[1])
    return np.where(cp > 1, (1 - speed.hidden) * bytes_ / rate, 0.0)


def _gradient_s(size: Numeric, ranks: Numeric, stride: Numeric, speed: Speed, sizes: float) -> Numeric:
    """Return the time to sum gradients and share weights over ranks `stride` apart, level by level. [s]"""
    count = np.asarray(ranks, dtype=float)
    inside = np.maximum(np.minimum(count, speed.domain / np.asarray(stride)), 1.0)
    outside = np.maximum(count / inside, 1.0)
    fast = (inside - 1) / inside * size / speed.link_bytes_s[0]
    slow = (outside - 1) / outside * (size / inside) / speed.link_bytes_s[1]
    latency = np.where((outside > 1) & (np.asarray(size) > 0), np.log2(outside) * speed.alpha_s[1], 0.0)
    return sizes * (fast + slow) + latency


def fits_training(model: Model, job: Job, speed: Speed) -> Numeric:
    """Return the memory that a rank needs over what it has, below 1 where it fits. [1]"""
    return sum(training_ledger(model, job, speed).values()) / speed.memory_bytes


def training_ledger(model: Model, job: Job, speed: Speed) -> dict[str, Numeric]:
    """Return the memory of a rank by part: weights, gradients, optimizer, activations, reserve. [B]"""
    recipe = choose(STATES, job.states, "recipe of states")
    both = rank_params(model, tp=job.tp, pp=job.pp, ep=job.ep, ranks=job.chips_ranks)
    copies = choose(BURDEN, job.schedule, "pipeline schedule").weights
    heads = max(g.attention.heads for g in model.groups)
    held = activation_bytes(model.hidden, heads, model.layers, job.sequence / job.cp, job.micro, tp=job.tp, pp=job.pp,
                            recompute=job.recompute if job.recompute != "none" or not job.flash else "selective",
                            sequence_parallel=job.sequence_parallel, virtual=job.virtual, schedule=job.schedule,
                            micro_batches=job.micro_batches)
    def shared(each: float, from_stage: int) -> Numeric:
        return sum(params * each / (group if job.zero >= from_stage else 1.0) for params, group in both)

    return {"weights": shared(copies * recipe.weights, 3), "gradients": shared(copies * recipe.gradients, 2),
            "optimizer": shared(recipe.optimizer, 1), "activations": held, "reserve": speed.reserve_bytes}


__all__ = ["CAUSES", "LEDGER", "RECOMPUTE", "SCHEDULES", "STATES", "ZERO", "Job", "TrainStep", "activation_bytes",
           "all_reduce_s", "context_s", "fits_training", "forward_of", "gpt_flop", "hfu", "kind_of", "mfu",
           "model_flop_per_token", "state_bytes", "train_step", "training_ledger"]
