"""Verbs of `tokens`: what a chip delivers on a model."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.cli.common import AsOf, Draws, Json, Seed, emit_json, given, measured, note, say, table, whole

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None,
                  help="Tokens per second, latency and cost of a model on a chip; training; predictions.")

MOST_CHIPS = 1_000_000
"""More chips than this in one deployment are taken for a slip."""

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="A shipped model or a config.json.")]
Chips = Annotated[str, typer.Option("--chip", help="Chip ids or aliases, comma between them.")]
Count = Annotated[str, typer.Option("--chips", help="Chips of a replica, at most; `8..64` is a range.")]
Input = Annotated[float, measured("--input", "tokens", "Prompt.", above=0, most=1e8)]
Output = Annotated[float, measured("--output", "tokens", "Answer.", above=0, most=1e8)]
Tpot = Annotated[float, measured("--tpot-ms", "ms", "Promised time per output token.", above=0)]
Ttft = Annotated[float, measured("--ttft-ms", "ms", "Promised time to first token.", above=0)]


@app.callback()
def _group() -> None:
    pass


def chip_ids(text: str, as_of: str) -> tuple[str, ...]:
    """Return the ids of a comma list of chips, known on the date."""
    from chipcast.base.errors import InputError
    from chipcast.cli.common import catalogue
    from chipcast.tokens.speed import PROXIES

    catalog = catalogue(as_of)
    words = [w.strip() for w in text.split(",") if w.strip()]
    if not words:
        raise InputError("--chip needs at least one chip, for example --chip h20")
    return tuple(w if w in PROXIES or w == "domestic_other" else catalog.resolve_chip(w) for w in words)


def most(text: str) -> int:
    """Return the upper end of `64` or `8..64`.

    Raises
    ------
    InputError
        If it is no whole number above zero.
    """
    from chipcast.base.errors import InputError
    from chipcast.base.units import parse_quantity

    ends = [parse_quantity(word, "chips", "--chips") for word in text.split("..", 1)]
    if any(n != int(n) or not 1 <= n <= MOST_CHIPS for n in ends) or ends[0] > ends[-1]:
        raise InputError(f"--chips must be a whole number from 1 to {MOST_CHIPS:,} or a range such as 8..64, "
                         f"got '{text}'")
    return int(ends[-1])


@app.command()
def model(name: ModelName, context: Annotated[float, measured("--context", "tokens", "Context.", least=0,
                                                                most=1e9)] = 4096,
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
          prefix_hit: Annotated[float, measured("--prefix-hit", "1", "Share of the prompt in a cache.", least=0,
                                             most=1)] = 0.0,
          draft: Annotated[int, whole("--draft", "Tokens drafted a step.", least=0, most=64)] = 0,
          accept: Annotated[float, measured("--accept", "tokens", "Tokens a step yields, the real one included.",
                                         least=1)] = 1.0,
          split: Annotated[bool, typer.Option("--split", help="Prefill and decode on pools of their own.")] = False,
          prefill_chip: Annotated[str, typer.Option("--prefill-chip", help="Chip of the prefill pool.")] = "",
          decode_chip: Annotated[str, typer.Option("--decode-chip", help="Chip of the decode pool.")] = "",
          scenario: Annotated[str, typer.Option("--scenario", help="Scenario of costs and vintage.")] = "february-2025",
          as_of: AsOf = "", draws: Draws = 2000, seed: Seed = 1, json: Json = False) -> None:
    """Best layout of a model on each chip under a promise, with rate, latency and cost."""
    from chipcast.base.errors import unknown
    from chipcast.scenario import SEGMENTS

    if segment not in SEGMENTS:
        unknown("buyer class", segment, SEGMENTS)
    if split or prefill_chip or decode_chip:
        serve_split(name, prefill_chip or chip.split(",")[0], decode_chip or chip.split(",")[0], most(chips), input,
                    output, tpot_ms, ttft_ms, segment, precision, prefix_hit, draft, accept, scenario, as_of,
                    draws, seed, json)
        return
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
               "servers. Median (5th to 95th percentile). Grade: what measurements exist; rates rest on the assumed "
               "ranges of the date.")
    for p in points:
        say(f"{p['chip']}: {p['layout'] or 'no layout'}" + (f". {p['reason']}" if p["reason"] else ""))
    if len(points) > 1:
        note(f"cheapest at the median: {best['chip']}")


@app.command()
def layout(name: ModelName, chip: Annotated[str, typer.Option("--chip", help="Chip id or alias.")] = "h20",
           chips: Annotated[int, whole("--chips", "Chips of a replica.", most=MOST_CHIPS)] = 8,
           input: Input = 3500, output: Output = 1500, tpot_ms: Tpot = 50, ttft_ms: Ttft = 2000,
           precision: Annotated[str, typer.Option("--precision", help="fp8, int8, w4a8, bf16, ...")] = "",
           scenario: Annotated[str, typer.Option("--scenario", help="Scenario of the vintage.")] = "february-2025",
           as_of: AsOf = "", json: Json = False) -> None:
    """Every layout on so many chips: memory of a rank, room, rate, or the reason it fell."""
    from chipcast.base.errors import require
    from chipcast.scenario import load as load_scenario
    from chipcast.tokens.serve import Workload
    from chipcast.tokens.table import layouts

    require(chips >= 1, "--chips", "be 1 or more", chips)
    (item,) = chip_ids(chip, as_of or str(load_scenario(scenario).as_of))[:1]
    g = given(scenario, as_of=as_of, draws=100, chips=[item])
    work = Workload(input_tokens=input, output_tokens=output, ttft_s=ttft_ms / 1000, tpot_ms=tpot_ms)
    rows, fell = layouts(g, item, name, work, chips=chips, precision=precision or None)
    if json:
        emit_json({"model": name, "chip": item, "chips": chips, "layouts": rows, "refused": fell})
        return
    table(f"{name} on {chips} x {item}, at the medians",
          ("layout", "weights GB", "reserve GB", "of GB", "requests that fit", "output tok/s/chip", "TPOT ms",
           "verdict"),
          [(r["layout"], f"{r['weights_gb']:.1f}", f"{r['reserve_gb']:.1f}", f"{r['usable_gb']:.1f}",
            f"{max(r['requests_that_fit'], 0):.0f}", f"{r['output_tokens_per_s_per_chip']:.0f}", f"{r['tpot_ms']:.1f}",
            r["verdict"]) for r in rows[:12]],
          foot="; ".join(f"{n} x {why}" for why, n in list(fell.items())[:6]))


def serve_split(name: str, first: str, after: str, chips: int, input: float, output: float, tpot_ms: float,
                ttft_ms: float, segment: str, precision: str, hit: float, drafts: int, accept: float, scenario: str,
                as_of: str, draws: int, seed: int, json: bool) -> None:
    """Print what two pools deliver together."""
    import numpy as np

    from chipcast.base.errors import require
    from chipcast.base.summary import interval, span
    from chipcast.scenario import load as load_scenario
    from chipcast.tokens.names import grade
    from chipcast.tokens.serve import Workload
    from chipcast.tokens.split import split_service

    for what, value in (("input", input), ("output", output), ("tpot-ms", tpot_ms), ("ttft-ms", ttft_ms)):
        require(np.isfinite(value) and value > 0, f"--{what}", "be above 0", value)
    day = as_of or str(load_scenario(scenario).as_of)
    (a,), (b,) = chip_ids(first, day)[:1], chip_ids(after, day)[:1]
    g = given(scenario, as_of=as_of, draws=draws, seed=seed, chips=sorted({a, b}))
    work = Workload(input_tokens=input, output_tokens=output, ttft_s=ttft_ms / 1000, tpot_ms=tpot_ms, prefix_hit=hit,
                    drafts=drafts, accept=accept)
    s = split_service(g, a, b, name, work, chips=chips, segment=segment, precision=precision or None)
    shown = {"output_tokens_per_s_per_chip": s.output_tokens_per_s_per_chip, "tpot_ms": s.tpot_ms, "ttft_ms": s.ttft_ms,
             "handoff_ms": s.handoff_ms, "usd_per_million_output_tokens": s.usd_per_million_output_tokens,
             "gain_over_one_pool": s.gain}
    layout = (f"prefill {s.prefill_chips} x {a} ({s.prefill_layout}), "
              f"decode {s.decode_chips} x {b} ({s.decode_layout})")
    prefill_binds = np.median(s.prefill_chips * s.prompts_per_s_per_chip) < np.median(s.decode_chips
                                                                                     * s.answers_per_s_per_chip)
    if json:
        emit_json({"model": name, "as_of": str(g.as_of),
                   "best": {"layout": layout, "bound_by": "prefill" if prefill_binds else "decode",
                            "grade": grade(g.catalog, b, name),
                            **{k: interval(v) for k, v in shown.items()}},
                   "prefill_chips": s.prefill_chips, "decode_chips": s.decode_chips, "frontier": []})
        return
    table(f"{name} on two pools, known by {g.as_of}", ("", "median (5th to 95th)"),
          [(k.replace("_", " "), span(v)) for k, v in shown.items()], foot=layout)


@app.command()
def predict(file: Annotated[str, typer.Argument(metavar="CSV", help="Rows in the columns of measurements.csv.")],
            out: Annotated[str, typer.Option("-o", "--out", help="Where to write; default: a table.")] = "",
            posterior: Annotated[str, typer.Option("--posterior", help="Own fit, made by `tokens fit`.")] = "",
            as_of: AsOf = "", seed: Seed = 1, json: Json = False) -> None:
    """Predict every row of a CSV with an interval, an evidence grade and what was assumed."""
    from chipcast.cli.common import catalogue
    from chipcast.tokens.fit import from_text
    from chipcast.tokens.predict import predict as predict_rows

    rows = read_rows(file)
    own = from_text(read_text(posterior)) if posterior else None
    answers = [p.row() for p in predict_rows(rows, catalogue(as_of), posterior=own, seed=seed)]
    if out:
        import csv

        try:
            with open(out, "w", encoding="utf-8", newline="") as lines:
                writer = csv.DictWriter(lines, list(answers[0]))
                writer.writeheader()
                writer.writerows({k: "" if v != v else v for k, v in a.items()} for a in answers)
        except OSError as error:
            from chipcast.base.errors import InputError

            raise InputError(f"cannot write '{out}': {error.strerror}") from None
        note(f"{sum(not a['error'] for a in answers)} of {len(answers)} rows answered, in {out}")
    if json:
        emit_json({"rows": answers})
    elif not out:
        from chipcast.base.summary import short

        table("predictions", ("id", "median", "5th to 95th percentile", "grade", "bound by", "note"),
              [(a["id"], short(a["p50"]), f"{short(a['p05'])} to {short(a['p95'])}", a["grade"], a["bound_by"],
                a["error"] or a["assumed"]) for a in answers])


@app.command()
def fit(file: Annotated[str, typer.Argument(metavar="[CSV]", help="Own measurements, same columns.")] = "",
        out: Annotated[str, typer.Option("-o", "--out", help="Where to write the posterior.")] = "",
        rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the shipped fits and their page anew.")] = False,
        as_of: AsOf = "", json: Json = False) -> None:
    """Sharpen the beliefs with own measurements, beside those that ship."""
    from chipcast.base.catalog import DATA
    from chipcast.base.errors import InputError
    from chipcast.cli.common import catalogue
    from chipcast.tokens.fit import fit as fit_rows
    from chipcast.tokens.fit import rows_ready, to_text
    from chipcast.tokens.predict import VINTAGES, shipped_posterior
    from chipcast.tokens.validate import build, cases, leave_one_out, page

    if rebuild:
        for vintage in VINTAGES:
            catalog = catalogue("" if vintage == "latest" else vintage)
            made = build(catalog)
            path = DATA / "posteriors" / f"tokens-{vintage}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(to_text(made) + "\n", encoding="utf-8")
            note(f"{path.name}: {made.rows} rows, {len(made.names)} deviations, hash {made.digest}")
        shipped_posterior.cache_clear()
        text = page(catalog, made, leave_one_out(catalog, made), cases(catalog)[2])
        folder = DATA.parent.parent / "docs"
        if folder.is_dir():
            (folder / "validation-tokens.md").write_text(text, encoding="utf-8")
        return
    if not file:
        raise InputError("name a CSV of measurements, or --rebuild for the shipped fits")
    catalog = catalogue(as_of)
    mine, refused = rows_ready([{"source_id": "own", "quality": "A", **{k: v for k, v in r.items() if v}}
                                for r in read_rows(file)], catalog)
    if not mine:
        raise InputError(f"no row of '{file}' can be used; the first: {refused[0][1]}")
    usable, _, _ = cases(catalog)
    before = shipped_posterior("latest")
    start = dict(zip(before.names, before.mean, strict=True))
    known = fit_rows([*usable, *mine], as_of=str(catalog.as_of), start=start)
    from dataclasses import replace

    known = replace(known, widen_seen=before.widen_seen, widen_new=before.widen_new)
    moved = sorted(((n, float(m) - start.get(n, 0.0)) for n, m in zip(known.names, known.mean, strict=True)),
                   key=lambda x: -abs(x[1]))[:10]
    if out:
        try:
            with open(out, "w", encoding="utf-8") as text_file:
                text_file.write(to_text(known) + "\n")
        except OSError as error:
            raise InputError(f"cannot write '{out}': {error.strerror}") from None
    if json:
        emit_json({"rows": len(mine), "refused": [{"id": i, "why": w} for i, w in refused], "hash": known.digest,
                   "moved": [{"name": n, "by": d} for n, d in moved]})
        return
    table(f"{len(mine)} rows used, {len(refused)} refused", ("belief", "moved by, standard deviations of its prior"),
          [(n, f"{d:+.2f}") for n, d in moved], foot="; ".join(f"{i}: {w}" for i, w in refused[:5]))


def read_text(path: str) -> str:
    """Return a file's text, or refuse it in one sentence."""
    from chipcast.base.errors import InputError

    try:
        with open(path, encoding="utf-8") as lines:
            return lines.read()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{path}': {error}") from None


def read_rows(path: str) -> list[dict[str, str]]:
    """Return the rows of a CSV with a header that names hardware and model.

    Raises
    ------
    InputError
        If the file cannot be read, is empty or lacks these columns.
    """
    import csv
    import io

    from chipcast.base.errors import InputError

    text = read_text(path)
    reader = csv.DictReader(io.StringIO(text))
    missing = {"hardware", "model"} - set(reader.fieldnames or ())
    if missing:
        raise InputError(f"'{path}' lacks the column{'s' if len(missing) > 1 else ''} {', '.join(sorted(missing))}; "
                         "its first line must be a header such as id,hardware,model,quantity")
    try:
        rows = [{k: v or "" for k, v in row.items() if isinstance(k, str)} for row in reader]
    except csv.Error as error:
        raise InputError(f"'{path}' is no CSV: {error}") from None
    if not rows:
        raise InputError(f"'{path}' has a header and no rows")
    return rows


@app.command()
def train(name: ModelName, chip: Annotated[str, typer.Option("--chip", help="Chip id or alias.")] = "h800",
          chips: Annotated[int, whole("--chips", "Chips that train.", most=MOST_CHIPS)] = 2048,
          tokens: Annotated[str, typer.Option("--tokens", help="Tokens of the run, such as 10T.")] = "1T",
          precision: Annotated[str, typer.Option("--precision", help="bf16 or fp8.")] = "bf16",
          sequence: Annotated[int, whole("--sequence", "Tokens of a sequence.", most=10_000_000)] = 4096,
          engine: Annotated[str, typer.Option("--engine", help="Software, such as megatron or mindspeed.")] = "",
          scenario: Annotated[str, typer.Option("--scenario", help="Scenario of faults, vintage.")] = "february-2025",
          as_of: AsOf = "", draws: Draws = 400, seed: Seed = 1, json: Json = False) -> None:
    """Days, MFU and goodput of a training run, with the best layout."""
    from chipcast.base.errors import InputError
    from chipcast.base.summary import interval, span
    from chipcast.base.units import parse_quantity
    from chipcast.scenario import load as load_scenario
    from chipcast.tokens.run import training_run

    if chips < 1:
        raise InputError(f"--chips must be 1 or more, got {chips}")
    if sequence < 1:
        raise InputError(f"--sequence must be 1 or more, got {sequence}")
    total = parse_quantity(tokens, "tokens", "--tokens")
    day = as_of or str(load_scenario(scenario).as_of)
    (item,) = chip_ids(chip, day)[:1]
    g = given(scenario, as_of=as_of, draws=draws, seed=seed, chips=[item])
    run = training_run(g, name, item, chips=chips, tokens=total, precision=precision, sequence=sequence, engine=engine)
    payload: dict[str, Any] = {
        "model": run.model, "chip": item, "chips": chips, "tokens": total, "as_of": str(g.as_of),
        "mfu": interval(run.mfu), "mfu_convention": "6N + 12 L h d S over the dense 16-bit peak",
        "mfu_causal": interval(run.mfu_causal),
        "tokens_per_s_per_chip": interval(run.tokens_per_s_per_chip), "days": interval(run.days),
        "gpu_hours": interval(run.gpu_hours), "goodput": interval(run.goodput), "layout": run.layout,
        "grade": run.grade, "ledger": run.ledger, "assumed": list(run.assumed)}
    if json:
        emit_json(payload)
        return
    table(f"{run.model} on {chips} x {item}, {tokens} tokens, known by {g.as_of}", ("", "median (5th to 95th)"),
          [("MFU, " + payload["mfu_convention"], span(payload["mfu"])), ("MFU, causal", span(payload["mfu_causal"])),
           ("tokens/s per chip", span(payload["tokens_per_s_per_chip"])), ("goodput", span(payload["goodput"])),
           ("days", span(payload["days"])), ("chip-hours", span(payload["gpu_hours"])), ("evidence", run.grade),
           *[(f"share of a step: {k}", f"{v:.1%}") for k, v in run.ledger.items()]],
          foot=f"{run.layout}. {'; '.join(run.assumed)}")


@app.command()
def simulate(file: Annotated[str, typer.Argument(metavar="[TRACE]", help="CSV or JSONL of arrivals and lengths.")] = "",
             name: Annotated[str, typer.Option("--model", help="A shipped model or a config.json.")] = "deepseek-r1",
             chip: Annotated[str, typer.Option("--chip", help="Chip id or alias.")] = "h20",
             chips: Annotated[int, whole("--chips", "Chips of the deployment.", most=MOST_CHIPS)] = 32,
             rate: Annotated[float, measured("--rate", "requests/s", "Where there is no trace.", above=0)] = 1.0,
             requests: Annotated[int, whole("--requests", "Requests where there is no trace.", most=1_000_000)] = 5000,
             arrivals: Annotated[str, typer.Option("--arrivals", help="poisson or gamma.")] = "poisson",
             input: Input = 3500, output: Output = 1500, tpot_ms: Tpot = 50, ttft_ms: Ttft = 2000,
             scenario: Annotated[str, typer.Option("--scenario", help="Scenario of the vintage.")] = "february-2025",
             as_of: AsOf = "", seed: Seed = 1, json: Json = False) -> None:
    """Request-level simulation: TTFT and TPOT percentiles, goodput at the promise."""
    import numpy as np

    from chipcast.base.choose import choose
    from chipcast.base.errors import InputError
    from chipcast.scenario import load as load_scenario
    from chipcast.tokens.engine import deploy
    from chipcast.tokens.serve import Workload
    from chipcast.tokens.arrivals import ARRIVALS, Trace, lognormal
    from chipcast.tokens.capacity import largest_rate
    from chipcast.tokens.simulate import simulate as run

    if chips < 1 or requests < 1:
        raise InputError("--chips and --requests must be 1 or more")
    (item,) = chip_ids(chip, as_of or str(load_scenario(scenario).as_of))[:1]
    if file:
        trace = read_trace(file)
    else:
        trace = Trace(arrival_s=choose(ARRIVALS, arrivals, "law of arrival")(rate, requests, seed=seed),
                      prompt=lognormal(input, requests, seed=seed, name="prompt"),
                      answer=lognormal(output, requests, seed=seed, name="answer"))
    g = given(scenario, as_of=as_of, draws=100, seed=seed, chips=[item])
    work = Workload(input_tokens=max(float(np.mean(trace.prompt)), 1.0), output_tokens=float(np.mean(trace.answer)),
                    ttft_s=ttft_ms / 1000, tpot_ms=tpot_ms)
    made = deploy(g, item, name, work, chips=chips)
    seen = run(trace, made.engine)
    ttft, tpot = seen.ttft_s(trace) * 1e3, seen.tpot_s(trace) * 1e3
    kept = float(np.mean((ttft <= ttft_ms) & (tpot <= tpot_ms)))
    end = float(np.max(seen.last_s))
    best = largest_rate(made.engine, prompt=work.input_tokens, answer=work.output_tokens, ttft_s=work.ttft_s,
                        tpot_s=work.tpot_ms / 1e3, seed=seed)
    quantiles = {f"p{q}": (float(np.percentile(ttft, q)), float(np.percentile(tpot, q))) for q in (50, 90, 99)}
    payload: dict[str, Any] = {
        "chip": item, "chips": chips, "layout": str(made.layout), "requests": int(trace.arrival_s.size), "seconds": end,
        "ttft_ms": {k: v[0] for k, v in quantiles.items()}, "tpot_ms": {k: v[1] for k, v in quantiles.items()},
        "promise_kept_share": kept, "goodput_requests_per_s": kept * trace.arrival_s.size / end,
        "output_tokens_per_s_per_chip": float(np.sum(trace.answer)) / end / chips,
        "preemptions": int(np.sum(seen.preempted)), "recomputed_tokens": seen.recomputed_tokens,
        "saturation_requests_per_s": made.analytic_requests_per_s, "largest_kept_requests_per_s": best}
    if json:
        emit_json(payload)
        return
    table(f"{name} on {chips} x {item}: {payload['requests']} requests in {end:.0f} s", ("", "p50", "p90", "p99"),
          [("TTFT ms", *[f"{quantiles[k][0]:.0f}" for k in quantiles]),
           ("TPOT ms", *[f"{quantiles[k][1]:.1f}" for k in quantiles])],
          foot=f"{made.layout}. Promise kept by {kept:.0%}; {payload['preemptions']} preemptions; saturation "
               f"{made.analytic_requests_per_s:.2f} requests/s; nine in ten keep the promise up to {best:.2f}.")


def read_trace(path: str) -> Any:
    """Return a trace from CSV or JSONL with arrivals and lengths under their usual names.

    Raises
    ------
    InputError
        If a column is missing or no number.
    """
    import json as text_json
    from datetime import datetime

    import numpy as np

    from chipcast.base.errors import InputError
    from chipcast.tokens.simulate import Trace

    names = {"arrival": ("arrival_s", "timestamp", "TIMESTAMP", "arrived_at", "arrival"),
             "prompt": ("input_tokens", "input_length", "ContextTokens", "prompt_tokens", "prompt"),
             "answer": ("output_tokens", "output_length", "GeneratedTokens", "answer_tokens", "answer")}
    if path.endswith((".jsonl", ".json")):
        try:
            rows = [text_json.loads(line) for line in read_text(path).splitlines() if line.strip()]
        except text_json.JSONDecodeError as error:
            raise InputError(f"'{path}' is no JSONL: {error}") from None
    else:
        import csv
        import io

        rows = list(csv.DictReader(io.StringIO(read_text(path))))
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"'{path}' holds no requests; write one row each with arrival_s, input_tokens, output_tokens")
    found = {}
    for key, words in names.items():
        column = next((w for w in words if w in rows[0]), None)
        if column is None:
            raise InputError(f"'{path}' lacks a column for {key}; name it {words[0]}")
        found[key] = column

    def value(row: dict[str, Any], key: str) -> float:
        text = str(row.get(found[key], ""))
        try:
            number = float(text)
        except ValueError:
            pass
        else:
            if not np.isfinite(number):
                raise InputError(f"'{path}': {found[key]} must be a finite number, got '{text}'; mend that row")
            return number
        try:
            return datetime.fromisoformat(text[:26]).timestamp()
        except ValueError:
            raise InputError(f"'{path}': {found[key]} must be a number, got '{text}'") from None

    columns = {k: np.array([value(r, k) for r in rows]) for k in names}
    times = columns["arrival"] - columns["arrival"][0]
    if found["arrival"] == "timestamp" and path.endswith(".jsonl"):
        times = times / 1000
    return Trace(arrival_s=times, prompt=columns["prompt"], answer=np.maximum(columns["answer"], 1))
