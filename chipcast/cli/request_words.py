"""What `tokens simulate` says of its requests: keys of the contract, which clock binds, what would mend it."""

from __future__ import annotations

from typing import Any

CLOCKS = ("TTFT: arrival at the router to the end of the step that finishes the prompt, queueing inside (two pools: to "
          "the first step of the decode pool, hand-off inside); TPOT: (last - first token)/(tokens - 1); detokenising "
          "and the client's network are not in them")
"""What the clocks mean."""


def largest_in_words(rate: float | None, share: float) -> str:
    """Return the largest rate that keeps the promise as a sentence."""
    if rate is None:
        return "the trace holds one moment, so that it has no rate."
    if rate > 0:
        return f"{share:.0%} keep the promise up to {rate:.2f}."
    return f"at no rate do {share:.0%} keep the promise."


def mending(x: dict[str, Any], share: float) -> list[str]:
    """Return which clock breaks the promise and what would mend it, in words."""
    if not x["binding_clock"]:
        return []
    late = x["late_share"] >= x["slow_share"]
    parts = x["first_token_parts_ms"] if late else x["token_parts_ms"]
    lines = [f"what binds: {x['binding_clock']} ({x['binding_means']}). "
             + (f"A late first token takes {sum(parts.values()):.0f} ms: " if late else
                f"A slow token takes {sum(parts.values()):.1f} ms: ")
             + ", ".join(f"{k} {v:.0f}" if late else f"{k} {v:.1f}" for k, v in parts.items() if v > 0)]
    for w in x.get("ways", ()):
        short = "" if w["kept"] >= share else ", not enough"
        lines.append(f"{w['change']}: {w['kept']:.0%} keep the promise{short}")
    if x.get("ways") == []:
        lines.append("no change of chunk, scheduler, layout, pools or chips that was tried lets more requests keep it")
    if "nearest" in x:
        lines.append(f"nearest promise that {share:.0%} keep in this layout, on idle engines: TTFT "
                     f"{x['nearest']['ttft_ms']:.0f} ms, TPOT {x['nearest']['tpot_ms']:.1f} ms")
    if "ways" in x and x["largest_kept_requests_per_s"]:
        lines.append(f"a rate of {x['largest_kept_requests_per_s']:.2f} requests/s as it stands: {share:.0%} keep it")
    return lines


def over_draws(x: dict[str, Any]) -> list[str]:
    """Return how unsure the machines are, in words."""
    from chipcast.base.summary import span

    u = x.get("over_draws")
    if u is None:
        return []
    said = [f"{what} {span(u[k])} {unit}" for k, what, unit in (
        ("largest_requests_per_s", "largest rate", "requests/s"), ("ttft_ms_p90", "TTFT p90", "ms"),
        ("tpot_ms_p90", "TPOT p90", "ms")) if k in u]
    return [f"over {u['draws']} draws of what the chips reach: {', '.join(said) or 'the longest request never fits'}"]


def answer(trace: Any, deployed: Any, first: str, after: str, chips: int, work: Any, promise: Any, seed: int,
           out: str) -> dict[str, Any]:
    """Return what the requests saw as the keys of the contract; with `out`, a row per request is written."""
    import numpy as np

    from chipcast.tokens.capacity import largest_rate_of
    from chipcast.tokens.engine import held_context, most_requests_per_s
    from chipcast.tokens.mend import BINDING, clocks

    seen = deployed.run(trace, seed=seed)
    tail = seen.decode if deployed.prefill is not None else seen
    head = seen.prefill if deployed.prefill is not None else seen
    ttft, tpot = seen.ttft_s(trace) * 1e3, seen.tpot_s(trace) * 1e3
    end = float(np.max(tail.last_s))
    where = clocks(trace, deployed, seen, promise)

    def seen_at(at: Any) -> tuple[Any, Any]:
        other = deployed.run(at, seed=seed)
        return other.ttft_s(at), other.tpot_s(at)

    kept = promise.kept(ttft / 1e3, tpot / 1e3)
    late, slow = float(np.mean(ttft > 1e3 * work.ttft_s)), float(np.mean(tpot > work.tpot_ms))
    if out:
        from chipcast.cli.tokens_words import write_text

        rows = zip(trace.arrival_s, trace.prompt, trace.answer, head.start_s, tail.first_s, tail.last_s, ttft, tpot,
                   tail.preempted, head.hit_tokens, tail.replica, strict=True)
        write_text(out, "arrival_s,input_tokens,output_tokens,start_s,first_s,last_s,ttft_ms,tpot_ms,preempted,"
                        "hit_tokens,replica\n" + "".join(",".join(f"{v:.9g}" for v in r) + "\n" for r in rows))
    quantiles = {f"p{q}": (float(np.percentile(ttft, q)), float(np.percentile(tpot, q))) for q in (50, 90, 99)}
    layout = str(deployed.layout)
    if deployed.prefill is not None:
        layout = (f"prefill {deployed.chips[0]} x {first} ({deployed.prefill_layout}), decode {deployed.chips[1]} x "
                  f"{after} ({deployed.layout})")
    used = sum(deployed.chips) if deployed.prefill is not None else chips
    return {
        "chip": after if first == after else f"{first} + {after}", "chips": used, "layout": layout,
        "requests": trace.count, "rate_requests_per_s": float(trace.rate) if np.isfinite(trace.rate) else None,
        "seconds": end, "ttft_ms": {k: v[0] for k, v in quantiles.items()},
        "tpot_ms": {k: v[1] for k, v in quantiles.items()}, "promise_kept_share": kept,
        "goodput_requests_per_s": kept * trace.count / end,
        "output_tokens_per_s_per_chip": float(np.sum(trace.answer)) / end / used,
        "preemptions": int(np.sum(tail.preempted)), "recomputed_tokens": tail.recomputed_tokens,
        "swapped_tokens": tail.swapped_tokens, "prefix_hit_share": float(np.sum(head.hit_tokens) / max(
            float(np.sum(trace.prompt)), 1.0)),
        "handoff_ms_p50": float(np.median(seen.handoff_s)) * 1e3 if deployed.prefill is not None else 0.0,
        "chunk_tokens": deployed.engine.chunk_tokens, "late_share": late, "slow_share": slow,
        "binding_clock": where.binding, "binding_means": BINDING.get(where.binding, ""),
        "first_token_parts_ms": dict(where.first_token_ms), "token_parts_ms": dict(where.token_ms),
        "bound_by": "neither" if kept == 1 else "time to first token" if late >= slow else "time per output token",
        "saturation_requests_per_s": most_requests_per_s(deployed, work, context=held_context(trace)),
        "largest_kept_requests_per_s": largest_rate_of(trace, seen_at, promise) if np.isfinite(trace.rate) else None}
