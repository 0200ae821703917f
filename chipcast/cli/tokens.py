"""Verbs of `tokens`: what a chip delivers on a model."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.cli.common import AsOf, Draws, Json, Seed, emit_json, given, note, say, table

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None,
                  help="Tokens per second, latency and cost of a model on a chip; training; predictions.")

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="A shipped model or a config.json.")]
Chips = Annotated[str, typer.Option("--chip", help="Chip ids or aliases, comma between them.")]
Count = Annotated[str, typer.Option("--chips", help="Chips of a replica, at most; `8..64` is a range.")]
Input = Annotated[float, typer.Option("--input", help="Prompt. [tokens]")]
Output = Annotated[float, typer.Option("--output", help="Answer. [tokens]")]
Tpot = Annotated[float, typer.Option("--tpot-ms", help="Promised time per output token.")]
Ttft = Annotated[float, typer.Option("--ttft-ms", help="Promised time to first token.")]


@app.callback()
def _group() -> None:
    pass


def chip_ids(text: str, as_of: str) -> tuple[str, ...]:
    """Return the ids of a comma list of chips, known on the date."""
    from chipcast.cli.common import catalogue
    from chipcast.tokens.speed import PROXIES

    catalog = catalogue(as_of)
    words = [w.strip() for w in text.split(",") if w.strip()]
    return tuple(w if w in PROXIES or w == "domestic_other" else catalog.resolve_chip(w) for w in words)


def most(text: str) -> int:
    """Return the upper end of `64` or `8..64`.

    Raises
    ------
    InputError
        If it is no whole number above zero.
    """
    from chipcast.base.errors import InputError

    word = text.split("..")[-1].strip()
    if not word.isdigit() or int(word) < 1:
        raise InputError(f"--chips must be a whole number above 0 or a range such as 8..64, got '{text}'")
    return int(word)


@app.command()
def model(name: ModelName, context: Annotated[float, typer.Option("--context", help="Context. [tokens]")] = 4096,
          json: Json = False) -> None:
    """Parameters, arithmetic and cache of a model."""
    from chipcast.tokens.model import PRECISION, load

    m = load(name)
    kinds = [{"layers": g.count, "attention": g.attention.kind, "ffn": g.ffn.kind, "heads": g.attention.heads,
              "kv_heads": g.attention.kv_heads, "window": g.attention.window, "experts": g.ffn.experts,
              "top_k": g.ffn.top_k} for g in m.groups]
    payload: dict[str, Any] = {
        "model": m.name, "params_total": m.params_total, "params_active": m.params_active, "params_mtp": m.params_mtp,
        "kv_bytes_per_token": m.kv_bytes_per_token(), "flops_per_token": m.flops_per_token(context),
        "context_tokens": context, "state_bytes_per_request": m.state_bytes_per_request,
        "weight_bytes": {p: m.weight_bytes(p) for p in PRECISION}, "native_precision": m.native, "layers": kinds,
        "notes": list(m.notes)}
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
    rows += [(f"{k['layers']} layers", f"{k['attention']} + {k['ffn']}") for k in kinds]
    table(m.name, ("", "value"), rows, foot="; ".join(m.notes))


@app.command()
def serve(name: ModelName, chip: Chips = "h20", chips: Count = "64", input: Input = 3500, output: Output = 1500,
          tpot_ms: Tpot = 50, ttft_ms: Ttft = 2000,
          segment: Annotated[str, typer.Option("--segment", help="Buyer class: cost rows and software.")] = "platform",
          precision: Annotated[str, typer.Option("--precision", help="fp8, int8, w4a8, bf16, ...")] = "",
          prefix_hit: Annotated[float, typer.Option("--prefix-hit", help="Share of the prompt in a cache.")] = 0.0,
          draft: Annotated[int, typer.Option("--draft", help="Tokens drafted a step.")] = 0,
          accept: Annotated[float, typer.Option("--accept", help="Tokens a step yields, the real one included.")] = 1.0,
          scenario: Annotated[str, typer.Option("--scenario", help="Scenario of costs and vintage.")] = "february-2025",
          as_of: AsOf = "", draws: Draws = 2000, seed: Seed = 1, json: Json = False) -> None:
    """Best layout of a model on each chip under a promise, with rate, latency and cost."""
    from chipcast.base.summary import interval, span
    from chipcast.scenario import load as load_scenario
    from chipcast.tokens.serve import refuse_if_nothing, service

    day = as_of or str(load_scenario(scenario).as_of)
    ids = chip_ids(chip, day)
    g = given(scenario, as_of=as_of, draws=draws, seed=seed, chips=[i for i in ids if "other" not in i] + ["l20"])
    s = service(g, ids, name, input_tokens=input, output_tokens=output, ttft_s=ttft_ms / 1000, tpot_ms=tpot_ms,
                segment=segment, precision=precision or None, max_chips=most(chips), prefix_hit=prefix_hit,
                drafts=draft, accept=accept)
    points: list[dict[str, Any]] = []
    for i, c in enumerate(s.chips):
        layout = s.layouts[i]
        points.append({
            "chip": c, "layout": str(layout) if layout else None,
            "output_tokens_per_s_per_chip": interval(s.output_tokens_per_s_per_chip[i]),
            "total_tokens_per_s_per_chip": interval(s.total_tokens_per_s_per_chip[i]),
            "tpot_ms": interval(s.tpot_ms[i]), "ttft_ms": interval(s.ttft_ms[i]),
            "usd_per_chip_h": interval(s.usd_per_chip_h[i]),
            "usd_per_million_output_tokens": interval(s.usd_per_million_output_tokens[i]),
            "bound_by": s.bound_by[i], "grade": s.grade[i], "promise_kept_share": float(s.feasible[i]),
            "min_chips": s.min_chips[i], "reason": s.reasons[i]})
    refuse_if_nothing(s)
    best = min((p for p in points if not p["reason"]), key=lambda p: p["usd_per_million_output_tokens"]["p50"])
    if json:
        emit_json({"model": s.model, "as_of": str(g.as_of), "promise": {"tpot_ms": tpot_ms, "ttft_ms": ttft_ms},
                   "input_tokens": input, "output_tokens": output, "best": best, "chips": points,
                   "frontier": list(s.frontier)})
        return
    table(f"{s.model}: {input:g} in, {output:g} out, TPOT {tpot_ms:g} ms, TTFT {ttft_ms:g} ms, known by {g.as_of}",
          ("chip", "output tok/s/chip", "USD/M output", "TPOT ms", "TTFT ms", "kept", "chips", "bound by", "grade"),
          [(p["chip"], span(p["output_tokens_per_s_per_chip"]), span(p["usd_per_million_output_tokens"]),
            span(p["tpot_ms"]), span(p["ttft_ms"]), f"{p['promise_kept_share']:.0%}", p["min_chips"] or "-",
            p["bound_by"], p["grade"]) for p in points],
          foot="kept: share of draws in which some batch keeps the promise; chips: smallest deployment in whole "
               "servers. Median (5th to 95th percentile).")
    for p in points:
        say(f"{p['chip']}: {p['layout'] or 'no layout'}" + (f". {p['reason']}" if p["reason"] else ""))
    if len(points) > 1:
        note(f"cheapest at the median: {best['chip']}")
