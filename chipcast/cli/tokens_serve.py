"""`tokens serve`: what does a chip deliver on a model under a promise, on one pool or on two?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.cli.common import AsOf, Draws, Json, Seed, Sets, emit_json, measured, note, say, table, whole
from chipcast.cli.tokens_words import (
    Chips,
    Count,
    Input,
    ModelName,
    Output,
    Precision,
    Scene,
    Tpot,
    Ttft,
    chip_ids,
    day_of,
    known_model,
    one_chip,
    sizes,
    world,
)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(serve)


def serve(name: ModelName, chip: Chips = "h20", chips: Count = "64", input: Input = 3500, output: Output = 1500,
          tpot_ms: Tpot = 50, ttft_ms: Ttft = 2000,
          segment: Annotated[str, typer.Option("--segment", help="Buyer class: cost rows and software.")] = "platform",
          precision: Precision = "",
          prefix_hit: Annotated[float, measured("--prefix-hit", "1", "Share of the prompt in a cache.", least=0,
                                             most=1)] = 0.0,
          draft: Annotated[int, whole("--draft", "Tokens drafted a step.", least=0, most=64)] = 0,
          accept: Annotated[float, measured("--accept", "tokens", "Tokens a step yields, the real one included.",
                                         least=1)] = 1.0,
          split: Annotated[bool, typer.Option("--split", help="Prefill and decode on pools of their own.")] = False,
          prefill_chip: Annotated[str, typer.Option("--prefill-chip", help="Chip of the prefill pool.")] = "",
          decode_chip: Annotated[str, typer.Option("--decode-chip", help="Chip of the decode pool.")] = "",
          scenario: Scene = "february-2025", sets: Sets = [],  # noqa: B006 - typer copies it
          as_of: AsOf = "", draws: Draws = 2000, seed: Seed = 1,
          json: Json = False) -> None:
    """Best layout of a model on each chip under a promise, with rate, latency and cost."""
    from chipcast.base.errors import require, unknown
    from chipcast.scenario import SEGMENTS

    if segment not in SEGMENTS:
        unknown("buyer class", segment, SEGMENTS)
    day = day_of(scenario, as_of)
    known_model(name, day)
    counts = sizes(chips)
    require(prefix_hit < 1, "--prefix-hit", "lie in 0 to 1, without 1", prefix_hit)
    require(accept <= draft + 1, "--accept", f"be at most the drafts and one, {draft + 1}; give --draft too", accept)
    question = {"input_tokens": input, "output_tokens": output, "ttft_s": ttft_ms / 1000, "tpot_ms": tpot_ms,
                "prefix_hit": prefix_hit, "drafts": draft, "accept": accept}
    if split or prefill_chip or decode_chip:
        if prefill_chip or decode_chip:
            first = one_chip(prefill_chip or chip, day, "--prefill-chip")
            pairs = [(first, one_chip(decode_chip or chip, day, "--decode-chip"))]
        else:
            pairs = [(c, c) for c in chip_ids(chip, day)]
        g = world(scenario, as_of, draws, seed, tuple(dict.fromkeys(c for pair in pairs for c in pair)), sets)
        two_pools(name, pairs, counts, question, segment, precision, g, json)
        return
    ids = chip_ids(chip, day)
    one_pool(name, ids, counts, question, segment, precision, world(scenario, as_of, draws, seed, ids, sets), json)


def one_pool(name: str, ids: tuple[str, ...], counts: tuple[int, ...], question: dict[str, Any], segment: str,
             precision: str, g: Any, json: bool) -> None:
    """Print what each chip delivers on one pool, at each size that is asked."""
    from chipcast.base.errors import InputError
    from chipcast.base.summary import span
    from chipcast.tokens.serve import refuse_if_nothing, service

    points: list[dict[str, Any]] = []
    frontier: list[dict[str, Any]] = []
    last: Any = None
    refused: list[str] = []
    for count in counts:
        try:
            last = service(g, ids, name, segment=segment, precision=precision or None, max_chips=count, **question)
        except InputError:
            if len(ids) == 1:
                raise
            last, refused = each_alone(g, ids, name, segment, precision, count, question)
        points += [{**p, "most_chips": count} for p in points_of(last)]
        frontier = list(last.frontier)
    kept = [p for p in points if not p["reason"]]
    if not kept:
        refuse_if_nothing(last)
    best = min(kept, key=lambda p: float(p["usd_per_million_output_tokens"]["p50"] or 1e30))
    step = account_of(g, best["chip"], name, best["layout_record"], question, segment)
    best = {**best, **step}
    for p in [best, *points]:
        p.pop("layout_record", None)
    promise = {"tpot_ms": question["tpot_ms"], "ttft_ms": question["ttft_s"] * 1e3}
    if json:
        emit_json({"model": last.model, "as_of": str(g.as_of), "promise": promise,
                   "input_tokens": question["input_tokens"], "output_tokens": question["output_tokens"], "best": best,
                   "chips": points, "frontier": frontier, "refused": refused})
        return
    table(f"{last.model}: {question['input_tokens']:g} in, {question['output_tokens']:g} out, TPOT "
          f"{promise['tpot_ms']:g} ms, TTFT {promise['ttft_ms']:g} ms, known by {g.as_of}",
          ("chip", *(("up to",) if len(counts) > 1 else ()), "output tok/s/chip", "USD/M output", "TPOT ms", "TTFT ms",
           "kept", "chips", "bound by", "grade"),
          [(p["chip"], *((p["most_chips"],) if len(counts) > 1 else ()), span(p["output_tokens_per_s_per_chip"]),
            span(p["usd_per_million_output_tokens"]), span(p["tpot_ms"]), span(p["ttft_ms"]),
            f"{p['promise_kept_share']:.0%}", p["min_chips"] or "-", p["bound_by"], p["grade"]) for p in points],
          foot="kept: share of draws in which some batch keeps the promise; chips: smallest deployment in whole "
               "servers. Median (5th to 95th percentile). Grade: how close the measurements come that the rates "
               "rest on.")
    for p in points:
        say(f"{p['chip']}, up to {p['most_chips']}: {p['layout'] or 'no layout'}"
            + (f". {p['reason']}" if p["reason"] else ""))
    say_account(best, best["chip"], "a decode step")
    for line in refused:
        note(line)
    if len(points) > 1:
        note(f"cheapest at the median: {best['chip']}, up to {best['most_chips']} chips")


def each_alone(g: Any, ids: tuple[str, ...], name: str, segment: str, precision: str, count: int,
               question: dict[str, Any]) -> tuple[Any, list[str]]:
    """Return what the chips deliver that can be asked so, and the sentences of the others."""
    from chipcast.base.errors import InputError
    from chipcast.tokens.serve import service

    able, refused, problem = [], [], None
    for c in ids:
        try:
            service(g.block(0, 1), (c,), name, segment=segment, precision=precision or None, max_chips=count,
                    **question)
            able.append(c)
        except InputError as error:
            problem = error
            refused.append(str(error))
    if not able:
        assert problem is not None
        raise problem
    return service(g, tuple(able), name, segment=segment, precision=precision or None, max_chips=count,
                   **question), refused


def points_of(s: Any) -> list[dict[str, Any]]:
    """Return what each chip delivers as the keys of the contract."""
    from chipcast.base.summary import interval

    return [{
        "chip": c, "layout": str(s.layouts[i]) if s.layouts[i] else None, "layout_record": s.layouts[i],
        "output_tokens_per_s_per_chip": interval(s.output_tokens_per_s_per_chip[i]),
        "total_tokens_per_s_per_chip": interval(s.total_tokens_per_s_per_chip[i]),
        "tpot_ms": interval(s.tpot_ms[i]), "ttft_ms": interval(s.ttft_ms[i]),
        "usd_per_chip_h": interval(s.usd_per_chip_h[i]),
        "usd_per_million_output_tokens": interval(s.usd_per_million_output_tokens[i]),
        "bound_by": s.bound_by[i], "grade": s.grade[i], "promise_kept_share": float(s.feasible[i]),
        "min_chips": s.min_chips[i], "reason": s.reasons[i]} for i, c in enumerate(s.chips)]


def account_of(g: Any, chip: str, name: str, layout: Any, question: dict[str, Any], segment: str, *,
               prompt: bool = False) -> dict[str, Any]:
    """Return what a decode step of the layout, or a prompt, is spent on, at the medians, and what would shorten it."""
    from chipcast.tokens.explain import account
    from chipcast.tokens.model import load
    from chipcast.tokens.ops import Load
    from chipcast.tokens.speed import at_middle, fitted_speed

    shape = load(name)
    hit = question["input_tokens"] * question["prefix_hit"]
    if prompt:
        group = 1.0
        work = Load(requests=group, new=question["input_tokens"] - hit, context=hit, prefill=True)
    else:
        group = layout.batch / layout.dp
        work = Load(requests=max(group / layout.pp, 1.0), new=1 + question["drafts"], prefill=False,
                    context=question["input_tokens"] + question["output_tokens"] / 2,
                    all_logits=question["drafts"] > 0)
    speed, _ = fitted_speed(at_middle(g), chip, shape, segment=segment, precision=layout.weights)
    a = account(shape, layout.plan, speed, layout.weights, work, requests=group)
    return {"step_ms": 1e3 * a.total_s, "parts": dict(a.parts), "levers": list(a.levers),
            "operations": [{"operation": o.name, "ms": 1e3 * o.seconds, "share": o.share, "bound_by": o.bound_by}
                           for o in a.operations]}


def say_account(x: dict[str, Any], chip: str, what: str) -> None:
    """Print what a step is spent on and what would shorten it."""
    say(f"{what} on {chip} at the medians: "
        + ", ".join(f"{o['operation']} {o['share']:.0%} ({o['bound_by']})" for o in x["operations"][:6]))
    for lever in x["levers"]:
        say(f"{lever['change']}: {what} {lever['shorter_step']:.0%} shorter")


def pools_account(g: Any, s: Any, name: str, question: dict[str, Any], segment: str) -> dict[str, Any]:
    """Return what a decode step and a prompt of two pools are spent on, and what would shorten each."""
    return {"decode_pool": {"chip": s.decode_chip, **account_of(g, s.decode_chip, name, s.decode_layout, question,
                                                                segment)},
            "prefill_pool": {"chip": s.prefill_chip, **account_of(g, s.prefill_chip, name, s.prefill_layout, question,
                                                                  segment, prompt=True)}}


def two_pools(name: str, pairs: list[tuple[str, str]], counts: tuple[int, ...], question: dict[str, Any], segment: str,
              precision: str, g: Any, json: bool) -> None:
    """Print what two pools deliver together, for every pair of chips and size."""
    from chipcast.base.errors import InfeasibleError, InputError, require
    from chipcast.base.summary import span
    from chipcast.tokens.model import load
    from chipcast.tokens.serve import Workload
    from chipcast.tokens.split import split_service

    shape = load(name)
    longest = question["input_tokens"] + question["output_tokens"]
    require(not shape.context or longest <= shape.context, "input + output",
            f"stay within the {shape.context} tokens of {shape.name}'s context", f"{longest:g}")
    work = Workload(**question)
    points: list[dict[str, Any]] = []
    problems: list[InfeasibleError | InputError] = []
    for a, b in pairs:
        for count in counts:
            try:
                s = split_service(g, a, b, name, work, chips=count, segment=segment, precision=precision or None)
            except (InfeasibleError, InputError) as error:
                problems.append(error)
                continue
            points.append({"most_chips": count, **pair_of(s, g, a, b, name), "record": s})
    if not points:
        raise problems[0]
    best = min(points, key=lambda p: float(p["usd_per_million_output_tokens"]["p50"] or 1e30))
    best = {**best, **pools_account(g, best["record"], name, question, segment)}
    for p in [best, *points]:
        del p["record"]
    if json:
        emit_json({"model": name, "as_of": str(g.as_of), "best": best, "prefill_chips": best["prefill_chips"],
                   "decode_chips": best["decode_chips"], "pools": points, "frontier": [],
                   "refused": [str(p) for p in problems]})
        return
    table(f"{name} on two pools, known by {g.as_of}",
          ("prefill + decode", "output tok/s/chip", "USD/M output", "TPOT ms", "TTFT ms", "hand-off ms",
           "over one pool", "bound by", "grade"),
          [(f"{p['prefill_chips']} {p['prefill_chip']} + {p['decode_chips']} {p['decode_chip']}",
            span(p["output_tokens_per_s_per_chip"]), span(p["usd_per_million_output_tokens"]), span(p["tpot_ms"]),
            span(p["ttft_ms"]), span(p["handoff_ms"]), span(p["gain_over_one_pool"]), p["bound_by"], p["grade"])
           for p in points],
          foot="Rates over the chips of both pools. Median (5th to 95th percentile).")
    for p in points:
        say(p["layout"])
    for pool, what in (("decode_pool", "a decode step"), ("prefill_pool", "a prompt")):
        say_account(best[pool], best[pool]["chip"], what)
    for problem in problems:
        note(str(problem))


def pair_of(s: Any, g: Any, first: str, after: str, name: str) -> dict[str, Any]:
    """Return what a pair of pools delivers as the keys of the contract."""
    import numpy as np

    from chipcast.base.summary import interval
    from chipcast.tokens.names import grade

    prefill_binds = np.median(s.prefill_chips * s.prompts_per_s_per_chip) < np.median(s.decode_chips
                                                                                     * s.answers_per_s_per_chip)
    shown = {"output_tokens_per_s_per_chip": s.output_tokens_per_s_per_chip, "tpot_ms": s.tpot_ms, "ttft_ms": s.ttft_ms,
             "handoff_ms": s.handoff_ms, "usd_per_million_output_tokens": s.usd_per_million_output_tokens,
             "gain_over_one_pool": s.gain}
    return {"prefill_chip": first, "decode_chip": after, "prefill_chips": s.prefill_chips,
            "decode_chips": s.decode_chips,
            "layout": f"prefill {s.prefill_chips} x {first} ({s.prefill_layout}), "
                      f"decode {s.decode_chips} x {after} ({s.decode_layout})",
            "bound_by": "prefill" if prefill_binds else "decode", "grade": grade(g.catalog, after, name),
            **{k: interval(v) for k, v in shown.items()}}
