"""How long does a training run take, what binds it, and does it fit?

The op list of `ops` prices the forward pass; backward is twice its products. Sources: Megatron 1909.08053, 2104.04473,
2205.05198; ZeRO 1910.02054; zero-bubble 2401.10241; DualPipe 2412.19437; PaLM's convention 2204.02311.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from chipcast.base.choose import choose
from chipcast.base.errors import require
from chipcast.base.types import Numeric
from chipcast.chip.ops import op_time_s
from chipcast.tokens.model import PRECISION, Model
from chipcast.tokens.ops import Load, Message, Op, Plan, step_ops
from chipcast.tokens.step import Speed, all_reduce_s, efficiency, traffic_s

LEDGER = ("compute", "bubble", "exposed", "optimizer")
"""Parts of a step; they add to its time."""


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


Schedule = Callable[[Numeric, Numeric, Numeric, Numeric, Numeric, Numeric], Numeric]
"""Maps stages, F, B, W, virtual stages and micro-batches to idle time."""


def _fill(p: Numeric, f: Numeric, b: Numeric, w: Numeric, v: Numeric, m: Numeric) -> Numeric:
    """Idle time of GPipe and 1F1B: (p-1)(F+B)."""
    return (p - 1) * (f + b)


def _interleaved(p: Numeric, f: Numeric, b: Numeric, w: Numeric, v: Numeric, m: Numeric) -> Numeric:
    """Idle time with v pieces a stage: (p-1)(F+B)/v."""
    return (p - 1) * (f + b) / v


def _zero_bubble(p: Numeric, f: Numeric, b: Numeric, w: Numeric, v: Numeric, m: Numeric) -> Numeric:
    """Idle time of ZB1P, B the whole backward: (p-1)(F+B-2W)."""
    return (p - 1) * np.maximum(f + b - 2 * w, 0.0)


def _dualpipe(p: Numeric, f: Numeric, b: Numeric, w: Numeric, v: Numeric, m: Numeric) -> Numeric:
    """Idle time of DualPipe with perfect overlap, the pair F&B as long as F + B: (p/2-1)(F&B + B - 3W)."""
    return np.maximum(p / 2 - 1, 0.0) * np.maximum((f + b) + b - 3 * w, 0.0)


SCHEDULES: dict[str, Schedule] = {"gpipe": _fill, "1f1b": _fill, "interleaved": _interleaved, "zb1p": _zero_bubble,
                                  "dualpipe": _dualpipe}
"""Idle time of a step by pipeline schedule."""

RECOMPUTE: Mapping[str, tuple[float, float]] = {"none": (0.0, 0.0), "selective": (0.0, 1.0),
                                               "half": (0.5, 1.0), "full": (1.0, 1.0)}
"""Share of the forward products and of the attention core that the backward pass does again."""

ZERO: Mapping[int, tuple[float, float, float]] = {0: (16.0, 0.0, 2.0), 1: (4.0, 12.0, 2.0), 2: (2.0, 14.0, 2.0),
                                                  3: (0.0, 16.0, 3.0)}
"""Bytes of state per parameter on every rank, bytes shared among ranks, and parameter sizes sent a step."""

UNFUSED_BYTES = 13.0
"""Bytes per score and pass where they go through memory: write, mask and softmax, dropout, read (2205.05198)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainStep:
    """One step of training. [s]"""

    total_s: Numeric
    """Time of the step."""
    ledger: Mapping[str, Numeric]
    """Time by `LEDGER`; the parts add to the total."""
    forward_s: Numeric
    """Forward of one micro-batch on one stage."""
    backward_s: Numeric
    """Backward of one micro-batch on one stage, recomputation included."""
    weight_s: Numeric
    """Weight-gradient part of the backward."""
    tokens: Numeric
    """Tokens of the step."""


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
                moved = moved + UNFUSED_BYTES * job.micro * new * job.sequence * heads / job.tp
            op = op._replace(flop=flop, moved=moved)
        out.append(op)
    return tuple(out), messages


def train_step(model: Model, job: Job, speed: Speed) -> TrainStep:
    """Return the time of one step of the global batch and where it goes.

    Notes
    -----
    T = m (F + B) + bubble + exposed gradient traffic + optimizer. Backward products are twice the forward ones, flash
    attention's core 2.5 times; recomputation adds forward work. Gradient traffic hides under the backward of the last
    micro-batch only; with ZeRO 3 the gathers hide under all of the work.
    """
    require(np.all(np.asarray(job.dp) >= 1), "chips", "hold at least one copy of tp x pp x cp", job.chips_ranks)
    dealt = np.asarray(job.ep) > 1
    plan = Plan(tp=job.tp, dp=np.where(dealt, np.asarray(job.ep) / np.minimum(job.tp, job.ep), 1.0)[()],
                pp=1.0, ep=job.ep, etp=1.0 if np.any(np.asarray(job.ep) > 1) else job.tp)
    ops, messages = _training_ops(model, job, plan, speed)
    kind = PRECISION[job.precision]
    again_forward, again_core = choose(RECOMPUTE, job.recompute, "recomputation")
    forward: Numeric = 0.0
    core: Numeric = 0.0
    head: Numeric = 0.0
    for op in ops:
        flop_s, bytes_s = efficiency(op, speed, kind)
        moved = op.moved * (TRAIN_SMALL if op.kind == "small" else 1.0)
        t = op.layers * op_time_s(op.flop, moved, flop_per_s=flop_s, bytes_per_s=bytes_s)
        t = t / np.where((op.kind == "grouped") & (np.asarray(job.ep) > 1), speed.even, 1.0)
        if op.kind == "head":
            head = head + t
        elif op.name in ("core", "index", "state"):
            core = core + t
        else:
            forward = forward + t
    link, exchange = traffic_s(messages, plan, speed)
    launches = sum(op.layers * op.launches for op in ops)
    over = launches * speed.launch_s + model.layers * speed.layer_s
    stages = job.pp
    per_stage = 1.0 / stages
    core_back = 2.5 if job.flash else 2.0
    exchange = exchange - speed.hidden * np.minimum(exchange, forward + core)
    f = (forward + core + link + exchange) / speed.maturity * per_stage + over * per_stage
    again = (again_forward * forward + again_core * core * (0.0 if job.flash and not again_forward else 1.0)
             + again_forward * (link + exchange)) / speed.maturity
    b = (2 * forward + core_back * core + link + exchange) / speed.maturity * per_stage + (again + over) * per_stage
    w = forward / speed.maturity * per_stage
    ends = 3 * head / speed.maturity
    m = job.micro_batches
    idle = choose(SCHEDULES, job.schedule, "pipeline schedule")(stages, f, b, w, job.virtual, m)
    border = np.where(np.asarray(stages) > 1, 2.0 * job.micro * job.sequence / job.cp * model.hidden
                      / speed.link_bytes_s[1] + 2 * speed.alpha_s[1], 0.0) * np.where(np.asarray(stages) > 1, 1.0, 0.0)
    hops = 2 * (stages - 1) * job.virtual * border
    ring = _context_s(model, job, speed)
    compute = m * (f + b + ends) + m * ring
    params = _rank_params(model, job)
    _, _, sizes = choose({str(k): v for k, v in ZERO.items()}, str(job.zero), "ZeRO stage")
    group = job.dp * job.cp
    traffic = _gradient_s(params * 2.0, group, job, speed, sizes)
    last = b + ends
    exposed = np.maximum(traffic - (m * (f + b) if job.zero == 3 else last), 0.0)
    shared = np.where(job.zero >= 1, group, 1.0)
    state = params * 2.0 * (16.0) / shared
    optimizer = state / (speed.memory_bytes_s * speed.stream)
    total = compute + idle + hops + exposed + optimizer + speed.host_s
    return TrainStep(total_s=total, ledger={"compute": compute, "bubble": idle + hops, "exposed": exposed,
                                            "optimizer": optimizer + speed.host_s},
                     forward_s=f, backward_s=b, weight_s=w, tokens=job.batch * job.sequence)


TRAIN_SMALL = 3.0
"""Small operations of training over those of serving: masks, dropout and saved copies pass through memory."""


def _context_s(model: Model, job: Job, speed: Speed) -> Numeric:
    """Return the exposed time of passing keys and values round a context-parallel ring, forward and backward. [s]"""
    cp = np.asarray(job.cp, dtype=float)
    bytes_ = 3 * (cp - 1) / cp * job.sequence * job.micro * 2.0 * model.kv_elements_per_token / (job.tp * job.pp)
    return np.where(cp > 1, (1 - speed.hidden) * bytes_ / speed.link_bytes_s[1], 0.0)


def _rank_params(model: Model, job: Job) -> Numeric:
    experts = model.expert_params
    dense = model.params_total - experts
    return (dense / job.tp + experts / np.maximum(np.asarray(job.ep), job.tp)) / job.pp


def _gradient_s(size: Numeric, ranks: Numeric, job: Job, speed: Speed, sizes: float) -> Numeric:
    """Return the time to sum gradients and share weights over the data-parallel ranks, level by level. [s]"""
    inside = np.maximum(np.minimum(np.asarray(ranks, dtype=float), speed.domain / np.asarray(job.tp)), 1.0)
    outside = np.maximum(np.asarray(ranks, dtype=float) / inside, 1.0)
    fast = (inside - 1) / inside * size / speed.link_bytes_s[0]
    slow = (outside - 1) / outside * (size / inside) / speed.link_bytes_s[1]
    latency = np.where(outside > 1, np.log2(np.maximum(outside, 1)) * speed.alpha_s[1], 0.0)
    return sizes * (fast + slow) + latency


def model_flop_per_token(model: Model, sequence: Numeric, *, convention: str = "palm") -> Numeric:
    """Return the model's arithmetic for one token of training. [FLOP]

    Parameters
    ----------
    convention : str
        `palm`: 6N + 12 L h d S with all parameters; `causal`: half of that attention, look-up left out.
    """
    n = model.params_active
    core = 3 * model.core_flop_per_key(absorbed=False) * np.asarray(sequence, dtype=float)
    if convention == "palm":
        return 6.0 * n + core
    return 6.0 * (n - model.embedding_params) + core / 2


def mfu(model: Model, tokens_per_s_per_chip: Numeric, sequence: Numeric, peak_flop_per_s: Numeric, *,
        convention: str = "palm") -> Numeric:
    """Return model FLOP per second over the peak of a chip. [1]"""
    return tokens_per_s_per_chip * model_flop_per_token(model, sequence, convention=convention) / peak_flop_per_s


def gpt_flop(layers: int, hidden: int, sequence: int, vocab: int, batch: int) -> float:
    """Return the arithmetic of a training step of a GPT: 72 B L S H^2 (1 + S/(6H) + V/(12 H L)). [FLOP]

    Sources: 2205.05198.
    """
    return 72.0 * batch * layers * sequence * hidden**2 * (1 + sequence / (6 * hidden) + vocab / (12 * hidden * layers))


def activation_bytes(hidden: float, heads: float, layers: float, sequence: float, micro: float, *, tp: float, pp: float,
                     virtual: float = 1, recompute: str = "selective", sequence_parallel: bool = True) -> float:
    """Return the activations that the first stage holds under 1F1B. [B]

    Notes
    -----
    s b H per layer times: none 10 + 24/t + 5 a s/(H t), or (34 + 5 a s/H)/t with sequence parallelism; selective 34/t;
    full 2, half of the layers the mean of both. Times L, and (1 + (p-1)/(p v)) with interleaving. Sources: 2205.05198.
    """
    choose(RECOMPUTE, recompute, "recomputation")
    t, scores = tp, 5 * heads * sequence / hidden
    if recompute == "full":
        each = 2.0
    elif recompute == "half":
        each = 1.0 + 17 / t if sequence_parallel else 6 + 12 / t
    elif recompute == "selective":
        each = 34 / t if sequence_parallel else 10 + 24 / t
    else:
        each = (34 + scores) / t if sequence_parallel else 10 + 24 / t + scores / t
    stretch = 1 + (pp - 1) / (pp * virtual) if virtual > 1 else 1.0
    return sequence * micro * hidden * each * layers * stretch


def state_bytes(params: Numeric, ranks: Numeric, zero: int) -> Numeric:
    """Return weights, gradients and optimizer state of one rank, 16 bytes a parameter in all. [B]"""
    own, shared, _ = choose({str(k): v for k, v in ZERO.items()}, str(zero), "ZeRO stage")
    return params * (own + shared / ranks)


def fits_training(model: Model, job: Job, speed: Speed) -> Numeric:
    """Return the memory that a rank needs over what it has, below 1 where it fits. [1]"""
    params = _rank_params(model, job)
    state = state_bytes(params, job.dp * job.cp, job.zero)
    heads = max(g.attention.heads for g in model.groups)
    held = activation_bytes(model.hidden, heads, model.layers, job.sequence / job.cp, job.micro, tp=job.tp, pp=job.pp,
                            recompute=job.recompute if job.recompute != "none" or not job.flash else "selective")
    return (state + held + speed.reserve_bytes) / speed.memory_bytes


def with_precision(job: Job, speed: Speed) -> Job:
    """Return the job in 16 bits where the chip does not count in its precision."""
    return job if PRECISION[job.precision].arithmetic in speed.peak else replace(job, precision="bf16")


__all__ = ["LEDGER", "RECOMPUTE", "SCHEDULES", "ZERO", "Job", "TrainStep", "activation_bytes", "all_reduce_s",
           "fits_training", "gpt_flop", "mfu", "model_flop_per_token", "state_bytes", "train_step", "with_precision"]
