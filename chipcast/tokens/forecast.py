"""What does the model say of one case? Layout and batch by the row or by default, then the asked quantity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np

from chipcast.base.errors import InfeasibleError
from chipcast.base.types import Numeric
from chipcast.tokens.beliefs import Part, constant
from chipcast.tokens.case import Case
from chipcast.tokens.footprint import state_bytes
from chipcast.tokens.jobs import MOST_PIECES, Found, Wish, best_job, with_room
from chipcast.tokens.jobs import words as layout_words
from chipcast.tokens.memory import most_requests, weight_bytes
from chipcast.tokens.model import PRECISION
from chipcast.tokens.ops import Load, Plan, step_ops
from chipcast.tokens.step import Speed, step_time
from chipcast.tokens.train import Job, model_flop_per_token, train_step


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """A case with layout and batch filled in."""

    plan: Plan
    """Layout of a replica."""
    replicas: float
    """Replicas on the chips of the case."""
    requests: float
    """Requests of an attention group."""
    said: tuple[str, ...]
    """What was filled in."""


def serving_plan(case: Case, part: Part) -> tuple[Plan, float, tuple[str, ...]]:
    """Return the layout of a replica, the number of replicas, and what was assumed."""
    ranks = case.count * part.per_chip
    apart = case.split and ranks >= 2 and case.phase == "mixed"
    if apart:
        ranks //= 2
    cp = case.cp if case.cp > 1 and ranks % case.cp == 0 else 1
    ranks //= cp
    has_experts = any(g.ffn.kind == "moe" for g in case.model.groups)
    tp, pp, dp, said = case.tp, max(case.pp, 1), case.dp, []
    heads = max((g.attention.heads for g in case.model.groups), default=1)
    latent = any(g.attention.kind == "mla" for g in case.model.groups)
    many = constant("many_per_rank")
    busy = 0 < case.concurrency < many * ranks or 0 < case.batch_per_chip < many
    if not tp:
        if dp:
            tp = max(ranks // (dp * pp), 1)
        elif has_experts and (case.phase != "mixed" or apart) and (ranks >= 16 or (latent and not busy)):
            tp = 1
        else:
            tp = 1
            room = constant("fill_share") * part.memory_bytes
            limit = min(ranks, part.domain if part.domain > 1 else 8, 16)
            kind = PRECISION[case.precision]
            while tp < limit and weight_bytes(case.model, Plan(tp=tp, etp=tp), kind) > room:
                tp *= 2
            if has_experts and ranks <= 16:
                tp = min(ranks, limit)
        while heads % tp and tp > 1:
            tp //= 2
        said.append(f"tp {tp}")
    if not dp:
        dp = max(ranks // (tp * pp), 1) if has_experts else 1
        if has_experts and dp > 1 and not case.tp:
            said.append(f"dp {dp}")
    if not has_experts:
        dp = 1
    replicas = max(ranks / (tp * pp * dp), 1.0)
    stage = tp * dp * cp
    ep = case.ep
    if not has_experts:
        ep = 1
    elif ep == -1 or (ep == 0 and dp > 1):
        ep = stage
    elif ep == 0:
        ep = 1
    ep = max(min(ep, stage), 1)
    experts = max((g.ffn.experts for g in case.model.groups), default=1)
    while ep > 1 and stage % ep:
        ep -= 1
    ep = min(ep, experts) if experts > 1 else ep
    plan = Plan(tp=float(tp), dp=float(dp), pp=float(pp), ep=float(ep), etp=max(float(stage / ep), 1.0), cp=float(cp))
    return plan, replicas, tuple(said)


def room_for(case: Case, part: Part, plan: Plan) -> float:
    """Return the requests that fit on an attention group of a layout; below 1 where none does. [requests]"""
    tokens = case.input_len + max(case.output_len, 1.0)
    return float(most_requests(case.model, plan, PRECISION[case.precision], usable=part.memory_bytes,
                               reserve=constant("reserve_gb") * 1e9 / part.per_chip, element_bytes=case.cache_bytes,
                               tokens=tokens - case.hit * case.input_len, chunk_tokens=constant("chunk_tokens")))


def settle(case: Case, part: Part) -> Setting:
    """Return layout and batch of a serving case.

    Raises
    ------
    InfeasibleError
        If the model does not fit on the chips of the case.
    """
    plan, replicas, said = serving_plan(case, part)
    kind = PRECISION[case.precision]
    room = room_for(case, part, plan)
    if not case.tp and not case.dp:
        tp, most = int(plan.tp) * 2, min(int(plan.ranks * replicas), max(part.domain, 1))
        while room < 1 and tp <= most:
            other = serving_plan(replace(case, tp=tp), part)
            more = room_for(case, part, other[0])
            if more > room and all(g.attention.heads % tp == 0 for g in case.model.groups):
                (plan, replicas, said), room = (other[0], other[1], (f"tp {tp}, for memory",)), more
            tp *= 2
    words = list(said)
    tokens = case.input_len + max(case.output_len, 1.0)
    if room < 1 and case.phase in ("mixed", "decode"):
        weights = float(weight_bytes(case.model, plan, kind))
        left = constant("fit_share") * part.memory_bytes
        if weights > left:
            raise InfeasibleError(f"{case.model.name} in {case.precision} needs {weights / 1e9:.1f} GB of weights a "
                                  f"rank and an engine leaves {left / 1e9:.1f} of {part.memory_bytes / 1e9:.1f}; take "
                                  "more chips or narrower weights")
        room = 1.0
        words.append("memory is short: one request a group")
    per_group = float(plan.dp) * replicas
    if case.batch_per_chip:
        requests = case.batch_per_chip * case.count / per_group
        if requests > max(room, 1.0):
            words.append(f"memory holds {max(room, 1.0):.0f} of {requests:.0f} requests a group by the ledger")
    elif np.isfinite(case.concurrency) and case.concurrency > 0:
        flight = min(case.concurrency, case.prompts or case.concurrency)
        requests = min(flight / per_group, max(room, 1.0), case.slots or room + 1.0)
    elif case.phase == "prefill":
        requests = max(1.0, constant("chunk_tokens") * 2 / case.input_len)
    else:
        mean = case.input_len + case.output_len / 2
        fill = room * tokens / max(mean, 1.0) if case.output_len else room
        requests = min(fill, constant("engine_limit") if case.concurrency == float("inf") else constant("usual_limit"))
        words.append(f"batch {requests:.0f} per attention group, by memory or the engine's limit")
    if case.phase != "train" and case.quantity == "ttft_ms" and not case.concurrency:
        requests = 1.0
    return Setting(plan=plan, replicas=replicas, requests=requests, said=tuple(words))


RATES = ("output_tokens_per_s_per_chip", "total_tokens_per_s_per_chip")
"""Quantities of which more is better, for which a free layout is chosen."""

_BEST: dict[tuple[Case, Part], Setting] = {}


def ways(case: Case, part: Part) -> list[Case]:
    """Return a case under the ways to cut a free layout: all chips as one, or replicas of one, two or four servers.

    None where the row says how, its pools stand apart, or its model has no experts to deal out. Time per token is a
    question of layout only under a stated load, for one request alone has the shortest.
    """
    told = case.tp or case.dp or case.ep > 0 or case.cp > 1 or case.split or case.phase == "prefill"
    load = bool(case.batch_per_chip) or 0 < case.concurrency < np.inf
    experts = any(g.ffn.kind == "moe" for g in case.model.groups)
    if told or not experts or not (case.quantity in RATES or (load and case.quantity == "tpot_ms")):
        return []
    ranks, out = case.count * part.per_chip // max(case.pp, 1), []
    for tp in (1, 2, 4, 8, 16):
        if tp > min(ranks, max(part.domain, 1)) or any(g.attention.heads % tp for g in case.model.groups):
            continue
        groups = {max(min(ranks, chips * part.per_chip) // tp, 1) for chips in (8, 16, 32, case.count)}
        out += [replace(case, tp=tp, dp=dp) for dp in sorted(groups) if ranks % (tp * dp) == 0]
    return out


def best_setting(case: Case, part: Part, speed: Speed, stack: Mapping[str, Numeric]) -> Setting:
    """Return layout and batch of a serving case: as `settle` has it, or the best at the centre where it is free.

    The best holds most of a stated load in memory (who lets requests wait has a short time per token), and among
    those is fastest.

    Raises
    ------
    InfeasibleError
        If the model does not fit on the chips of the case.
    """
    key = (replace(case, id="", source="", quality="", assumed=()), part)
    if key in _BEST:
        return _BEST[key]
    found: list[tuple[tuple[float, float], Setting]] = []
    for way in ways(case, part):
        try:
            setting = settle(way, part)
        except InfeasibleError:
            continue
        value = float(np.max(serving(way, part, speed, stack, 0.7, setting)))
        words = f"layout searched: tp {way.tp}, dp {way.dp}, replicas {setting.replicas:g}"
        if case.batch_per_chip:
            held = min(room_for(way, part, setting.plan) / setting.requests, 1.0)
        elif case.quantity == "tpot_ms":
            flight = min(case.concurrency, case.prompts or case.concurrency)
            held = min(setting.requests * float(setting.plan.dp) * setting.replicas / flight, 1.0)
        else:
            held = 1.0
        better = value if case.quantity in RATES else -value
        found.append(((held, better), replace(setting, said=(words, *setting.said))))
    best = max(found, key=lambda f: f[0])[1] if found else settle(case, part)
    if len(_BEST) >= constant("search_memory"):
        _BEST.clear()
    _BEST[key] = best
    return best


def filled(case: Case) -> float:
    """Return the share of a measurement in which all places were taken: the last wave of prompts leaves some empty."""
    if not (case.prompts and np.isfinite(case.concurrency) and case.concurrency > 0):
        return 1.0
    waves = case.prompts / min(case.concurrency, case.prompts)
    return float(waves / np.ceil(waves - 1e-9))


def accept_length(case: Case, accept: Numeric) -> Numeric:
    """Return the tokens that a step yields: stated, or (1 - a^(n+1))/(1 - a) of the belief.

    The belief speaks of one draft; who lets many tokens be drafted has a drafter that is trusted, so the odds of
    acceptance rise as a power of their number, row `accept_per_draft`.
    """
    if case.drafts == 0:
        return 1.0
    if case.accept > 1:
        return case.accept
    odds = accept / (1.0 - accept) * case.drafts ** constant("accept_per_draft")
    a = np.minimum(odds / (1.0 + odds), 0.98)
    return (1 - a ** (case.drafts + 1)) / (1 - a)


def decode_time(case: Case, plan: Plan, speed: Speed, requests: Numeric, context: Numeric) -> Numeric:
    """Return a decode step of an attention group. [s]"""
    kind = PRECISION[case.precision]
    stage = np.maximum(requests / plan.pp, min(1.0, float(np.max(requests))))
    load = Load(requests=stage, new=1.0 + case.drafts, context=context, prefill=False, all_logits=case.drafts > 0,
                stored=case.cache_bytes)
    ops, messages = step_ops(case.model, plan, load, kind, tile=speed.tile, domain=speed.domain)
    total = step_time(ops, messages, plan, kind, speed, layers=case.model.layers, replica_requests=requests).total_s
    return total + case.drafts * constant("draft_layers") * total / case.model.layers


def prefill_time(case: Case, plan: Plan, speed: Speed, new: float, cached: float, together: float = 1.0) -> Numeric:
    """Return the prefill of `together` prompts on each attention group, in pieces. [s]"""
    kind = PRECISION[case.precision]
    pieces = int(min(max(np.ceil(new / constant("chunk_tokens")), 1), constant("piece_count")))
    total: Numeric = 0.0
    for i in range(pieces):
        load = Load(requests=together, new=new / pieces, context=cached + i * new / pieces, prefill=True)
        ops, messages = step_ops(case.model, plan, load, kind, tile=speed.tile, domain=speed.domain)
        total = total + step_time(ops, messages, plan, kind, speed, layers=case.model.layers).total_s
    return total


def serving(case: Case, part: Part, speed: Speed, stack: Mapping[str, Numeric], accept: Numeric,
            setting: Setting) -> Numeric:
    """Return the asked quantity of a serving case. (draw)"""
    plan, b = setting.plan, setting.requests
    if case.balanced:
        speed = replace(speed, even=1.0)
    new, cached = max(case.input_len * (1 - case.hit), 1.0), case.input_len * case.hit
    yields = accept_length(case, accept)
    chips = case.count
    if case.quantity == "input_tokens_per_s_per_chip":
        t = prefill_time(case, plan, speed, new, cached, together=max(b, 1.0))
        return max(b, 1.0) * plan.dp * plan.pp * new * setting.replicas / t / chips
    if case.phase == "decode":
        t = decode_time(case, plan, speed, b, case.input_len + case.output_len / 2)
        if case.quantity == "tpot_ms":
            return 1e3 * t / yields
        return b * plan.dp * setting.replicas * yields / t / chips
    own = prefill_time(case, plan, speed, new, cached)
    pieces = np.ceil(new / constant("chunk_tokens"))
    through = own * (pieces + plan.pp - 1) / (pieces * plan.pp)
    groups = float(plan.dp) * float(plan.pp)
    answer = max(case.output_len, 1.0)
    step = decode_time(case, plan, speed, b, case.input_len + answer / 2) / yields
    together = float(np.clip(np.floor(constant("chunk_tokens") / new), 1.0, max(b / answer, 1.0)))
    shared = own if together < 2 else prefill_time(case, plan, speed, new, cached, together=together) / together
    others = 0.0 if case.split else np.maximum(b * float(plan.dp) - 1.0, 0.0) / answer * shared / groups
    if case.quantity == "ttft_ms":
        before = np.maximum(b * float(plan.dp) - 1, 0.0) / groups / 2 * shared * stack["burst"]
        running = step * yields * (1.0 + 0.5 * np.minimum(b - 1, 1.0))
        return 1e3 * (through + before + running) + stack["ttft_ms"]
    if case.quantity == "tpot_ms":
        return 1e3 * (step + others)
    wall = through + stack["ttft_ms"] * 1e-3 + answer * (step + others)
    rate = b * float(plan.dp) * setting.replicas * answer / wall / chips
    if case.split:
        rate = np.minimum(rate, b * 0 + float(plan.dp) * setting.replicas * answer / own / chips * float(plan.pp))
    rate = rate * filled(case)
    if case.arrivals:
        rate = np.minimum(rate, case.arrivals * answer / chips)
    if case.quantity == "total_tokens_per_s_per_chip":
        return rate * (case.input_len + answer) / answer
    return rate


def pieces_of(case: Case, pp: float) -> float:
    """Return the pieces of layers on each of so many stages under interleaving: as the layers allow, at most six."""
    return float(np.clip(case.model.layers // pp, 1, MOST_PIECES)) if pp > 1 else 1.0


def base_job(case: Case, part: Part) -> Job:
    """Return what a training case says beside its layout: ranks, sequence, batch, precision."""
    ranks = float(case.count * part.per_chip)
    size = "small_run_tokens" if ranks < constant("large_run_ranks") else "large_run_tokens"
    batch = case.batch or max(constant(size) / case.input_len, 1.0)
    return Job(chips_ranks=ranks, sequence=case.input_len, micro=case.micro or 1.0, precision=case.precision,
               batch=batch, cp=float(case.cp), recompute=case.recompute or "selective")


SEARCHED = ("gemm_wide", "gemm_narrow", "core_prefill", "grouped", "stream", "maturity", "launch_s", "hidden",
            "hidden_sums")
"""Shares by which two searches for a layout are told apart."""

_FOUND: dict[tuple[Any, ...], Found] = {}


def training_job(case: Case, part: Part, speed: Speed) -> tuple[Job, tuple[str, ...]]:
    """Return the layout of a training case: as stated, else the fastest that fits at the centre of the beliefs."""
    if case.layout is not None:
        return case.layout, ()
    base = base_job(case, part)
    need = state_bytes(case.model.params_total, base.chips_ranks, 3)
    if need > part.memory_bytes:
        chips = ceil(case.count * need / part.memory_bytes)
        raise InfeasibleError(f"{case.model.name} does not train on {case.count} x {part.chip}: weights, gradients and "
                              f"optimizer take {need / 1e9:.0f} GB a rank even shared out over all, of "
                              f"{part.memory_bytes / 1e9:.0f}; take more than {chips} chips")
    if case.sharded and not case.tp:
        return replace(base, zero=3, batch=case.batch or base.chips_ranks * base.micro), ()
    if case.tp and (case.pp or not case.sharded):
        pp = float(max(case.pp, 1))
        experts = max((g.ffn.experts for g in case.model.groups), default=0)
        job = replace(base, tp=float(case.tp), pp=pp, ep=float(max(case.ep, 1)) if experts else 1.0,
                      virtual=pieces_of(case, pp) if case.interleaved else 1.0,
                      schedule="interleaved" if case.interleaved else "1f1b", zero=3 if case.sharded else 1)
        job = replace(job, batch=case.local_batch * job.dp) if case.local_batch else job
        if case.recompute:
            return job, ()
        job = with_room(case.model, job, speed)
        return job, (f"{job.recompute} recomputation, by memory",)
    if case.tp:
        return replace(base, tp=float(case.tp), zero=3), ()
    wish = Wish(pp=case.pp, ep=max(case.ep, 0), recompute=case.recompute, cp=case.cp if case.cp > 1 else 0)
    key = (case.model, base, wish, part, *(float(np.max(getattr(speed, n))) for n in SEARCHED))
    if key not in _FOUND:
        if len(_FOUND) >= constant("search_memory"):
            _FOUND.clear()
        _FOUND[key] = best_job(case.model, base, speed, wish)
    found = _FOUND[key]
    if found.job is None:
        return replace(base, zero=3, recompute="full"), ("no layout fits by the memory ledger: fully sharded",)
    return found.job, (f"layout searched: {layout_words(found.job)}",)


def training(case: Case, part: Part, speed: Speed, job: Job) -> Numeric:
    """Return the asked quantity of a training case. (draw)"""
    step = train_step(case.model, job, speed)
    return step.total_s if case.quantity == "step_time_s" else \
        _asked(case, part, job, step.tokens / step.total_s / case.count)


def training_limit(case: Case, part: Part, job: Job) -> float:
    """Return the asked quantity of a training case that uses as much of the chip's arithmetic as any can."""
    peak = dict(part.peak)[case.precision] * part.per_chip
    rate = constant("most_used") * peak / model_flop_per_token(case.model, case.input_len)
    return float(_asked(case, part, job, rate))


def _asked(case: Case, part: Part, job: Job, rate: Numeric) -> Numeric:
    """Return the asked quantity of a training case from its rate. [tokens/s a chip]"""
    if case.quantity == "step_time_s":
        return job.batch * job.sequence / case.count / rate
    if case.quantity == "mfu":
        return rate * model_flop_per_token(case.model, case.input_len) / (dict(part.peak)["bf16"] * part.per_chip)
    if case.quantity == "gpu_hours":
        return case.tokens / rate / 3600
    return rate
