"""`tokens model` and `tokens layout`: what is a model made of, and which ways to lay it over chips hold it?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.cli.common import AsOf, Json, Sets, emit_json, measured, say, table
from chipcast.cli.tokens_words import (
    Chips,
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
    sizes,
    world,
)

DRAWS = 400
"""Draws of the first layout's intervals."""


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(model)
    app.command()(layout)


def model(name: ModelName, context: Annotated[float, measured("--context", "tokens", "Context.", least=0,
                                                                most=1e9)] = 4096,
          json: Json = False) -> None:
    """Parameters, arithmetic and cache of a model."""
    from chipcast.tokens.config import dated
    from chipcast.tokens.model import PRECISION, load

    m = load(name)
    kinds = [{"layers": g.count, "attention": g.attention.kind, "ffn": g.ffn.kind, "heads": g.attention.heads,
              "kv_heads": g.attention.kv_heads, "window": g.attention.window, "experts": g.ffn.experts,
              "top_k": g.ffn.top_k, "index_top": g.attention.index_top} for g in m.groups]
    payload: dict[str, Any] = {
        "model": m.name, "params_total": m.params_total, "params_active": m.params_active, "params_mtp": m.params_mtp,
        "kv_bytes_per_token": m.kv_bytes_per_token(), "flops_per_token": m.flops_per_token(context),
        "context_tokens": context, "longest_context_tokens": m.context,
        "state_bytes_per_request": m.state_bytes_per_request,
        "weight_bytes": {p: m.weight_bytes(p) for p in PRECISION}, "native_precision": m.native, "layers": kinds,
        "public": dated(name), "notes": list(m.notes)}
    if json:
        emit_json(payload)
        return
    from chipcast.base.summary import short

    rows = [("parameters", short(m.params_total, 4)), ("active per token, embedding and head included",
                                                       short(m.params_active, 4)),
            ("further-token layers, apart", short(m.params_mtp, 4)),
            ("cache of a token in 16 bits, bytes", f"{m.kv_bytes_per_token():,.0f}"),
            (f"FLOP of a decoded token at {context:g} tokens", short(m.flops_per_token(context), 4)),
            (f"weights in {m.native}, GB", f"{m.weight_bytes(m.native) / 1e9:.1f}"),
            ("weights in bf16, GB", f"{m.weight_bytes('bf16') / 1e9:.1f}")]
    rows += [(f"{k['layers']} layers", f"{k['attention']} + {k['ffn']}"
              + (f", window {k['window']}" if k["window"] else "")) for k in kinds]
    if payload["public"]:
        rows.append((f"public {payload['public']['sense']}", payload["public"]["known_by"]))
    table(m.name, ("", "value"), rows, foot="; ".join(m.notes))


def layout(name: ModelName, chip: Chips = "h20",
           chips: Annotated[str, typer.Option("--chips", metavar="N | N..N", help="Chips of a replica.")] = "8",
           input: Input = 3500, output: Output = 1500, tpot_ms: Tpot = 50, ttft_ms: Ttft = 2000,
           precision: Precision = "", scenario: Scene = "february-2025", as_of: AsOf = "",
           sets: Sets = [], json: Json = False) -> None:  # noqa: B006 - typer copies it
    """Every layout on so many chips: memory of a rank, room, rate, or the reason it fell."""
    from chipcast.base.errors import InfeasibleError
    from chipcast.base.summary import span
    from chipcast.cli.tokens_serve import say_account
    from chipcast.tokens.serve import Workload
    from chipcast.tokens.table import layouts

    day = day_of(scenario, as_of)
    known_model(name, day)
    ids, counts = chip_ids(chip, day), sizes(chips)
    g = world(scenario, as_of, DRAWS, 1, ids, sets)
    work = Workload(input_tokens=input, output_tokens=output, ttft_s=ttft_ms / 1000, tpot_ms=tpot_ms)
    answers: list[dict[str, Any]] = []
    problem: InfeasibleError | None = None
    for item in ids:
        for n in counts:
            try:
                rows, fell = layouts(g, item, name, work, chips=n, precision=precision or None)
            except InfeasibleError as error:
                problem, rows, fell = error, [], {str(error): 1}
            best = best_of(g, item, name, work, rows[0]) if rows else {}
            for r in rows:
                del r["shape"], r["record"]
            answers.append({"model": name, "chip": item, "chips": n, **best, "layouts": rows, "refused": fell})
    if problem is not None and not any(a["layouts"] for a in answers):
        raise problem
    if json:
        emit_json(answers[0] if len(answers) == 1 else {"model": name, "answers": answers})
        return
    for a in answers:
        table(f"{name} on {a['chips']} x {a['chip']}, at the medians",
              ("layout", "weights GB", "reserve GB", "of GB", "requests that fit", "output tok/s/chip", "TPOT ms",
               "verdict"),
              [(r["layout"], f"{r['weights_gb']:.1f}", f"{r['reserve_gb']:.1f}", f"{r['usable_gb']:.1f}",
                f"{max(r['requests_that_fit'], 0):.0f}", f"{r['output_tokens_per_s_per_chip']:.0f}",
                f"{r['tpot_ms']:.1f}", r["verdict"]) for r in a["layouts"][:12]],
              foot="; ".join(f"{n} x {why}" for why, n in list(a["refused"].items())[:6]))
        if "best" in a:
            b = a["best"]
            say(f"the first over draws: {span(b['output_tokens_per_s_per_chip'])} output tok/s/chip, TPOT "
                f"{span(b['tpot_ms'])} ms, TTFT {span(b['ttft_ms'])} ms, promise kept in {b['promise_kept_share']:.0%} "
                f"of draws; evidence: {b['grade']}")
            say_account(b, a["chip"], "a decode step")


def best_of(g: Any, chip: str, name: str, work: Any, row: dict[str, Any]) -> dict[str, Any]:
    """Return the first layout with its intervals, what binds it, what would change it, and its evidence."""
    from dataclasses import asdict

    import numpy as np

    from chipcast.base.summary import interval
    from chipcast.cli.tokens_serve import account_of
    from chipcast.tokens.names import grade
    from chipcast.tokens.table import over_draws

    if row["verdict"].startswith("does not fit"):
        return {}
    spread = over_draws(g, chip, name, work, row)
    step = account_of(g, chip, name, row["record"], asdict(work), "platform")
    return {"best": {"layout": row["layout"], "bound_by": max(step["parts"], key=step["parts"].get),
                     "grade": grade(g.catalog, chip, name), **step,
                     **{k: interval(np.broadcast_to(v, (g.draws,))) if k != "promise_kept_share" else v
                        for k, v in spread.items()}}}
