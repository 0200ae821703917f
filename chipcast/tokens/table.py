"""Every layout on a number of chips, best first, with its memory and why it is not the answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.errors import InfeasibleError
from chipcast.base.given import Given
from chipcast.tokens.layout import legal, rings_for
from chipcast.tokens.memory import ledger, most_requests
from chipcast.tokens.model import PRECISION, load
from chipcast.tokens.serve import BATCHES, CHUNK_TOKENS, Workload, deliver, layout_record, plans_of, timing
from chipcast.tokens.speed import at_middle, fitted_speed


def layouts(given: Given, chip: str, model: str, work: Workload, *, chips: int, precision: str | None = None,
            ) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return the legal layouts that use all of the chips, at the medians, and how many others fell for each reason.

    `shape` and `record` of a row are the layout itself.

    Raises
    ------
    InfeasibleError
        If no layout is legal.
    """
    shape_of = load(model)
    speed, word = fitted_speed(at_middle(given), chip, shape_of, precision=precision)
    kind, ranks = PRECISION[word], chips * speed.ranks_per_chip
    kept, fell = legal(shape_of, speed, word, ranks, rings=rings_for(work.computed))
    kept = [s for s in kept if s.ranks == ranks]
    if not kept:
        raise InfeasibleError(f"no legal layout uses all {chips} chips ({ranks} ranks); try a power of two, or: "
                              + "; ".join(list(fell)[:2]))
    plan, limit = plans_of(kept), given.middle("engine.max_requests_per_rank")
    chunk = min(work.computed, CHUNK_TOKENS)
    room = most_requests(shape_of, plan, kind, usable=speed.memory_bytes, reserve=speed.reserve_bytes,
                         tokens=work.longest, chunk_tokens=chunk)[:, 0, 0]
    book = ledger(shape_of, plan, kind, usable=speed.memory_bytes, reserve=speed.reserve_bytes, requests=1.0,
                  tokens=work.longest, chunk_tokens=chunk)
    b = np.maximum(BATCHES[None, :, None], np.asarray(plan.pp))
    t = timing(shape_of, plan, speed, word, work, b)
    tpot, rate = t.tpot_s[:, :, 0] * 1e3, t.rate[:, :, 0] / chips
    ttft = np.broadcast_to(t.ttft_s, t.tpot_s.shape)[:, :, 0]
    held = b[:, :, 0] <= np.minimum(np.maximum(room, 1.0), limit)[:, None]
    ok = held & (tpot <= work.tpot_ms) & (ttft <= work.ttft_s)
    out: list[dict[str, Any]] = []
    for i, s in enumerate(kept):
        j = int(np.argmax(np.where(ok[i], rate[i], -1.0))) if ok[i].any() else 0
        if room[i] < 1:
            verdict = f"does not fit: {(float(book.used[i, 0, 0]) - speed.memory_bytes) / 1e9:.1f} GB short"
        elif ok[i].any():
            verdict = "keeps the promise"
        elif not np.any(held[i] & (tpot[i] <= work.tpot_ms)):
            verdict = f"TPOT {tpot[i, 0]:.0f} ms even at the smallest batch"
        else:
            verdict = f"TTFT {ttft[i, 0]:.2f} s"
        ring = f" cp{s.cp}" if s.cp > 1 else ""
        out.append({"shape": s, "record": layout_record(s, float(b[i, j, 0]), word, speed.ranks_per_chip),
                    "layout": f"tp{s.tp} dp{s.dp} pp{s.pp} ep{s.ep}{ring} batch {b[i, j, 0] * s.dp:.0f} {word}",
                    "weights_gb": float(book.weights[i, 0, 0]) / 1e9,
                    "cache_of_one_request_gb": float(book.cache[i, 0, 0]) / 1e9,
                    "reserve_gb": float(np.median(speed.reserve_bytes)) / 1e9, "usable_gb": speed.memory_bytes / 1e9,
                    "requests_that_fit": float(room[i]) * s.dp, "tpot_ms": float(tpot[i, j]),
                    "ttft_s": float(ttft[i, j]), "verdict": verdict,
                    "output_tokens_per_s_per_chip": float(rate[i, j]) if ok[i].any() else 0.0})
    out.sort(key=lambda r: (-r["output_tokens_per_s_per_chip"], r["tpot_ms"]))
    return out, fell


def over_draws(given: Given, chip: str, model: str, work: Workload, row: dict[str, Any]) -> dict[str, Any]:
    """Return what one layout delivers draw by draw: rate, times and the share of draws that keep the promise. (draw)"""
    shape_of = load(model)
    word = row["record"].weights
    speed, _ = fitted_speed(given, chip, shape_of, precision=word)
    done = deliver(shape_of, row["shape"], speed, work, precision=word,
                   limit=given.middle("engine.max_requests_per_rank"))
    return {"output_tokens_per_s_per_chip": done.rate_per_chip, "tpot_ms": 1e3 * done.tpot_s,
            "ttft_ms": 1e3 * done.ttft_s, "promise_kept_share": float(np.mean(done.kept))}
