"""Two pools: prefill on some chips, decode on others, of one kind or two.

Splitting decouples the phases, so each may run on the chip that suits it. Sources: DistServe 2401.09670; Splitwise
2311.18677.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chipcast.base.errors import InfeasibleError
from chipcast.base.given import Given
from chipcast.base.types import Array
from chipcast.tokens.layout import Shape, choose_precision, legal, rings_for
from chipcast.tokens.memory import most_requests
from chipcast.tokens.model import PRECISION, Model, load
from chipcast.tokens.money import usd_per_chip_h
from chipcast.tokens.ops import Plan
from chipcast.tokens.record import Layout
from chipcast.tokens.serve import (
    BATCHES,
    CHUNK_TOKENS,
    Workload,
    choose_layout,
    decode_s,
    deliver,
    layout_record,
    plans_of,
    prefill_s,
)
from chipcast.tokens.speed import at_middle, fitted_speed
from chipcast.tokens.step import Speed


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """What two pools deliver together."""

    prefill_chip: str
    """Chip of the prefill pool."""
    decode_chip: str
    """Chip of the decode pool."""
    prefill_layout: Layout
    """Layout of a prefill replica."""
    decode_layout: Layout
    """Layout of a decode replica."""
    prefill_chips: int
    """Chips of the prefill pool."""
    decode_chips: int
    """Chips of the decode pool."""
    prompts_per_s_per_chip: Array
    """Prompts a prefill chip works off. [requests/s] (draw)"""
    answers_per_s_per_chip: Array
    """Requests a decode chip works off. [requests/s] (draw)"""
    output_tokens_per_s_per_chip: Array
    """Generated tokens over all chips of both pools. [tokens/s] (draw)"""
    tpot_ms: Array
    """Time per output token. [ms] (draw)"""
    ttft_ms: Array
    """Time to first token without a queue, hand-off exposed. [ms] (draw)"""
    handoff_ms: Array
    """Time to send a prompt's cache, sent layer by layer beside the prefill. [ms] (draw)"""
    usd_per_million_output_tokens: Array
    """Cost at the stated utilisation. [USD/1e6 tokens] (draw)"""
    gain: Array
    """Rate over that of one pool of the decode chip on as many chips. [1] (draw)"""


def whole_rate(prefill: Any, decode: Any) -> Any:
    """Return the requests per second and chip of two pools in their best ratio: 1/(1/R_P + 1/R_D).

    >>> round(1500 * whole_rate(6688 / 3500, 1943 / 1500))
    1158
    """
    return 1 / (1 / prefill + 1 / decode)


def best_match(chips: int, prefill_group: int, decode_group: int, prefill_rate: float, decode_rate: float,
               ) -> tuple[int, int]:
    """Return how many prefill and decode replicas give the highest rate on so many chips, by trying all.

    Parameters
    ----------
    prefill_group, decode_group : int
        Chips of a replica.
    prefill_rate, decode_rate : float
        Requests per second and chip.

    >>> best_match(16, 4, 4, 2.0, 1.0)
    (1, 3)
    """
    p = np.arange(1, max(chips // prefill_group, 1) + 1)[:, None]
    d = np.arange(1, max(chips // decode_group, 1) + 1)[None, :]
    rate = np.minimum(p * prefill_group * prefill_rate, d * decode_group * decode_rate)
    rate = np.where(p * prefill_group + d * decode_group <= chips, rate, -1.0)
    if np.max(rate) < 0:
        return 0, 0
    used = p * prefill_group + d * decode_group
    i, j = np.unravel_index(np.argmax(rate - 1e-12 * used), rate.shape)
    return int(p[i, 0]), int(d[0, j])


def prefill_shape(model: Model, speed: Speed, work: Workload, precision: str, max_chips: int) -> Shape | None:
    """Return the layout that works off most prompts a chip within the promised time to first token."""
    shapes, _ = legal(model, speed, precision, max_chips * speed.ranks_per_chip, rings=rings_for(work.computed))
    shapes = [s for s in shapes if s.ranks % speed.ranks_per_chip == 0]
    if not shapes:
        return None
    plan = plans_of(shapes)
    room = most_requests(model, plan, PRECISION[precision], usable=speed.memory_bytes, reserve=speed.reserve_bytes,
                         tokens=work.input_tokens, chunk_tokens=min(work.computed, CHUNK_TOKENS))[:, 0, 0]
    t = prefill_s(model, plan, speed, precision, new=work.computed, cached=work.input_tokens - work.computed)[:, 0, 0]
    ranks = np.array([s.ranks for s in shapes], dtype=float)
    rate = np.array([s.dp * s.pp for s in shapes]) / t / ranks
    ok = (room >= 1) & (t <= 0.9 * work.ttft_s)
    return shapes[int(np.argmax(np.where(ok, rate, -1.0)))] if ok.any() else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """Two pools in their best ratio at the medians."""

    prefill: Shape
    """Layout of a prefill replica."""
    decode: Shape
    """Layout of a decode replica."""
    prefill_chips: int
    """Chips of the prefill pool."""
    decode_chips: int
    """Chips of the decode pool."""
    prefill_precision: str
    """Of weights and arithmetic in the prefill pool."""
    decode_precision: str
    """Of weights and arithmetic in the decode pool."""
    requests_per_s: float
    """Requests that both pools work off. [requests/s]"""


def match_pools(model: Model, first: Speed, after: Speed, work: Workload, *, chips: int, limit: float,
                precision: str | None = None) -> Match | None:
    """Return the best pair of pools on so many chips in all, None where no pair keeps the promise.

    Parameters
    ----------
    first, after : Speed
        Of the prefill and the decode chip, of one draw, at the medians.
    limit : float
        Requests that the engine schedules on an attention group.
    """
    word_p, word_d = (choose_precision(model, s, precision) for s in (first, after))
    best: tuple[tuple[float, ...], Match] | None = None
    reach = [c for c in (2**i for i in range(12)) if c < chips]
    alone = decode_work(work)
    prompts = [prefill_shape(model, first, work, word_p, size) for size in reach]
    answers = [_decode_choice(model, after, alone, word_d, size, limit) for size in reach]
    for shape_p, pure in {(p, d) for p in prompts for d in answers if p and d}:
        shape_d, rate_d = pure
        t = float(np.max(_prefill(model, shape_p, first, word_p, work)))
        group_p, group_d = (max(s.ranks // v.ranks_per_chip, 1) for s, v in ((shape_p, first), (shape_d, after)))
        rate_p = shape_p.dp * shape_p.pp / t / group_p
        n_p, n_d = best_match(chips, group_p, group_d, rate_p, rate_d / work.output_tokens)
        total = min(n_p * group_p * rate_p, n_d * group_d * rate_d / work.output_tokens)
        rank = (total, -float(group_p + group_d), -float(shape_p.tp), -float(shape_d.tp))
        if n_p and (best is None or rank > best[0]):
            best = (rank, Match(prefill=shape_p, decode=shape_d, prefill_chips=n_p * group_p,
                                decode_chips=n_d * group_d, prefill_precision=word_p, decode_precision=word_d,
                                requests_per_s=total))
    return best[1] if best else None


def why_no_pools(model: Model, first: Speed, after: Speed, work: Workload, *, chips: int,
                 precision: str | None = None) -> str:
    """Return why no pair of pools keeps the promise on so many chips, and the nearest that could."""
    both = (f"no pair of pools on {chips} chips keeps the promise with {first.chip} for prefill and {after.chip} for "
            "decode")
    if chips < 2:
        return f"{both}; two pools need 2 chips or more"
    plans: list[tuple[Plan, str]] = []
    for speed, tokens in ((first, work.input_tokens), (after, work.longest)):
        word = choose_precision(model, speed, precision)
        shapes, _ = legal(model, speed, word, (chips - 1) * speed.ranks_per_chip)
        room = most_requests(model, plans_of(shapes), PRECISION[word], usable=speed.memory_bytes,
                             reserve=speed.reserve_bytes, tokens=tokens)[:, 0, 0] if shapes else np.zeros(0)
        shapes = [s for s, r in zip(shapes, room, strict=True) if r >= 1 and s.ranks % speed.ranks_per_chip == 0]
        if not shapes:
            return f"{both}: {model.name} in {word} does not fit on {chips - 1} x {speed.chip}; take more chips"
        plans.append((plans_of(shapes), word))
    (plan_p, word_p), (plan_d, word_d) = plans
    prompt = prefill_s(model, plan_p, first, word_p, new=work.computed, cached=work.input_tokens - work.computed)
    step = decode_s(model, plan_d, after, word_d, requests=np.maximum(1.0, np.asarray(plan_d.pp)),
                    context=work.context, drafts=work.drafts) / work.accept
    return (f"{both}: the fastest prompt takes {np.min(prompt):.3g} s of the {work.ttft_s:g} s to the first token, the "
            f"fastest step {1e3 * np.min(step):.3g} ms of {work.tpot_ms:g}; take more chips or a looser promise")


def decode_work(work: Workload) -> Workload:
    """Return the work of a decode pool, whose requests come with their prompt cached."""
    return replace(work, prefix_hit=0.0, input_tokens=work.context - work.output_tokens / 2)


def split_service(given: Given, prefill_chip: str, decode_chip: str, model: str, work: Workload, *, chips: int = 64,
                  segment: str = "platform", precision: str | None = None) -> Split:
    """Return what two pools deliver on so many chips in all, matched at the medians.

    Raises
    ------
    InfeasibleError
        If no layout of a pool fits or keeps the promise, or the chips are too few for one replica of each.
    """
    shape_of, middle = load(model), at_middle(given)
    limit, server = given.middle("engine.max_requests_per_rank"), int(given.middle("server.chips"))
    first_mid, next_mid, first, after = (
        fitted_speed(world, c, shape_of, segment=segment, precision=precision)[0]
        for world in (middle, given) for c in (prefill_chip, decode_chip))
    best = match_pools(shape_of, first_mid, next_mid, work, chips=chips, limit=limit, precision=precision)
    if best is None:
        raise InfeasibleError(why_no_pools(shape_of, first_mid, next_mid, work, chips=chips, precision=precision))
    shape_p, shape_d, count_p, count_d = best.prefill, best.decode, best.prefill_chips, best.decode_chips
    word_p, word_d, alone = best.prefill_precision, best.decode_precision, decode_work(work)
    prompt_s = np.broadcast_to(_prefill(shape_of, shape_p, first, word_p, work), (given.draws,))
    prompts_rate = shape_p.dp * shape_p.pp / prompt_s / max(shape_p.ranks / first.ranks_per_chip, 1)
    tpot, answers_rate = _decode_draws(shape_of, shape_d, after, alone, word_d, limit, given.draws)
    requests = np.minimum(count_p * prompts_rate, count_d * answers_rate / work.output_tokens)
    size = work.input_tokens * shape_of.kv_bytes_per_token(PRECISION[word_d].cache_bytes)
    link = np.minimum(first.link_bytes_s[1], after.link_bytes_s[1]) * shape_p.tp
    send = np.broadcast_to(size / link, (given.draws,))
    exposed = np.maximum(send - prompt_s, 0.0)
    per = requests * work.output_tokens / (count_p + count_d)
    money = count_p * usd_per_chip_h(given, prefill_chip, segment=segment) \
        + count_d * usd_per_chip_h(given, decode_chip, segment=segment)
    one = choose_layout(shape_of, next_mid, work, precision=word_d, max_chips=chips, server=server, limit=limit)
    together = np.zeros(given.draws)
    if one.shape is not None:
        together = deliver(shape_of, one.shape, after, work, precision=word_d, limit=limit).rate_per_chip
    held = float(np.median(answers_rate * tpot)) * shape_d.ranks / after.ranks_per_chip / shape_d.dp
    return Split(
        prefill_chip=prefill_chip, decode_chip=decode_chip,
        prefill_layout=layout_record(shape_p, 1.0, word_p, first.ranks_per_chip),
        decode_layout=layout_record(shape_d, held, word_d, after.ranks_per_chip),
        prefill_chips=count_p, decode_chips=count_d, prompts_per_s_per_chip=prompts_rate,
        answers_per_s_per_chip=answers_rate / work.output_tokens, output_tokens_per_s_per_chip=per, tpot_ms=tpot * 1e3,
        ttft_ms=(prompt_s + exposed + tpot) * 1e3, handoff_ms=send * 1e3,
        usd_per_million_output_tokens=1e6 * money / (3600 * requests * work.output_tokens
                                                     * given["serving.utilisation"]),
        gain=per / np.maximum(together, 1e-9))


def _prefill(model: Model, s: Shape, speed: Speed, precision: str, work: Workload) -> Any:
    return prefill_s(model, s.plan, speed, precision, new=work.computed, cached=work.input_tokens - work.computed)


def _decode_choice(model: Model, speed: Speed, work: Workload, precision: str, chips: int, limit: float,
                   ) -> tuple[Shape, float] | None:
    """Return the decode layout of the highest rate per chip under the promise, at the medians, and that rate."""
    shapes, _ = legal(model, speed, precision, chips * speed.ranks_per_chip)
    shapes = [s for s in shapes if s.ranks % speed.ranks_per_chip == 0]
    if not shapes:
        return None
    plan = plans_of(shapes)
    b = np.maximum(BATCHES[None, :, None], np.asarray(plan.pp))
    t = decode_s(model, plan, speed, precision, requests=b, context=work.context, drafts=work.drafts) / work.accept
    room = most_requests(model, plan, PRECISION[precision], usable=speed.memory_bytes, reserve=speed.reserve_bytes,
                         tokens=work.longest)
    ok = (t <= work.tpot_ms * 1e-3) & (b <= np.minimum(room, limit))
    ranks = np.array([s.ranks for s in shapes], dtype=float)[:, None, None] / speed.ranks_per_chip
    rate = np.where(ok, b * np.asarray(plan.dp) / t / ranks, -1.0)
    if np.max(rate) <= 0:
        return None
    i = int(np.unravel_index(np.argmax(rate), rate.shape)[0])
    return shapes[i], float(np.max(rate))


def _decode_draws(model: Model, s: Shape, speed: Speed, work: Workload, precision: str, limit: float, count: int,
                  ) -> tuple[Array, Array]:
    """Return TPOT and output rate per chip of a decode pool, batch tuned to the promise draw by draw."""
    far = replace(work, apart=True, ttft_s=1e9)
    done = deliver(model, s, speed, far, precision=precision, limit=limit)
    return np.broadcast_to(done.tpot_s, (count,)), np.broadcast_to(done.rate_per_chip, (count,))
