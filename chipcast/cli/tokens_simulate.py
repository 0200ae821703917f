"""`tokens simulate`: what do single requests see, and what is the largest rate that keeps the promise?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.cli.common import AsOf, Json, Seed, Sets, emit_json, measured, note, say, table, whole
from chipcast.cli.request_words import CLOCKS, answer, largest_in_words, mending, over_draws
from chipcast.cli.tokens_words import (
    MOST_CHIPS,
    Chips,
    Input,
    Output,
    Precision,
    Scene,
    Tpot,
    Ttft,
    chip_ids,
    day_of,
    known_model,
    one_chip,
    world,
)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(simulate)


def simulate(file: Annotated[str, typer.Argument(
                 metavar="[TRACE]", help="CSV or JSONL of arrivals and lengths, a shipped trace, or "
                 "servegen_deepseek_r1 for recorded clients.")] = "",
             name: Annotated[str, typer.Option("--model", help="A shipped model or a config.json.")] = "deepseek-r1",
             chip: Chips = "h20",
             chips: Annotated[int, whole("--chips", "Chips of the deployment.", most=MOST_CHIPS)] = 32,
             rate: Annotated[str, typer.Option("--rate", metavar="REQUESTS/S",
                                               help="Mean rate; a trace is stretched to it.")] = "",
             requests: Annotated[int, whole("--requests", "Requests where there is no trace.", most=1_000_000)] = 5000,
             arrivals: Annotated[str, typer.Option("--arrivals", help="poisson or gamma.")] = "poisson",
             cv: Annotated[float, measured("--cv", "1", "Variation of gamma gaps; bursts above 1.", above=0,
                                           most=100)] = 2.0,
             lengths: Annotated[str, typer.Option("--lengths", help="fixed, geometric or lognormal.")] = "lognormal",
             input: Input = 3500, output: Output = 1500, tpot_ms: Tpot = 50, ttft_ms: Ttft = 2000,
             share: Annotated[float, measured("--share", "1", "Share of requests that must keep the promise.", above=0,
                                              most=1)] = 0.9,
             scheduler: Annotated[str, typer.Option(
                 "--scheduler", help="chunked, prefill_first or decode_first.")] = "chunked",
             chunk: Annotated[int, whole("--chunk", "Tokens of a step, at most; 0 for the usual.", least=0,
                                          most=1_000_000)] = 0,
             router: Annotated[str, typer.Option(
                 "--router", help="round_robin, least_loaded, two_choices or prefix_affinity.")] = "least_loaded",
             preempt: Annotated[str, typer.Option("--preempt", help="recompute or swap.")] = "recompute",
             store_gb: Annotated[float, measured("--store", "GB", "Host memory for stored prefixes of a scheduler.",
                                                 least=0)] = 0.0,
             split: Annotated[bool, typer.Option("--split", help="Prefill and decode on pools of their own.")] = False,
             prefill_chip: Annotated[str, typer.Option("--prefill-chip", help="Chip of the prefill pool.")] = "",
             decode_chip: Annotated[str, typer.Option("--decode-chip", help="Chip of the decode pool.")] = "",
             precision: Precision = "",
             start_h: Annotated[float, measured("--start", "h", "Hour of the recorded day.", least=0, most=24)] = 9.0,
             hours: Annotated[float, measured("--hours", "h", "Hours of the recorded day.", above=0, most=24)] = 1.0,
             thin: Annotated[float, measured("--thin", "1", "Share of the recorded clients' rate.", above=0)] = 1.0,
             machines: Annotated[int, whole("--machines", "Draws of what chips reach; 0 for the medians alone.",
                                            least=0, most=100)] = 8,
             out: Annotated[str, typer.Option("-o", "--out", help="Where to write one row per request.")] = "",
             scenario: Scene = "february-2025", sets: Sets = [],  # noqa: B006 - typer copies it
             as_of: AsOf = "", seed: Seed = 1, json: Json = False) -> None:
    """Request-level simulation: TTFT and TPOT percentiles, goodput at the promise."""
    from dataclasses import asdict

    import numpy as np

    from chipcast.base.errors import InfeasibleError, InputError, require
    from chipcast.base.summary import interval
    from chipcast.base.units import parse_quantity
    from chipcast.tokens.arrivals import made, scaled
    from chipcast.tokens.capacity import Promise
    from chipcast.tokens.engine import Policy, deploy, deploy_split
    from chipcast.tokens.mend import nearest, ways
    from chipcast.tokens.model import load
    from chipcast.tokens.names import grade
    from chipcast.tokens.spread import spread

    day = day_of(scenario, as_of)
    known_model(name, day)
    wanted = parse_quantity(rate, "requests/s", "--rate") if rate else 0.0
    if rate and wanted <= 0:
        raise InputError(f"--rate must be above 0, got {rate}")
    two = bool(split or prefill_chip or decode_chip)
    if two:
        pairs = [(one_chip(prefill_chip or chip, day, "--prefill-chip"),
                  one_chip(decode_chip or chip, day, "--decode-chip"))]
    else:
        pairs = [(c, c) for c in chip_ids(chip, day)]
    notes: tuple[str, ...] = ()
    if file:
        trace, notes = requests_of(file, start_h, hours, thin, seed)
        trace = scaled(trace, wanted) if wanted else trace
    else:
        most = float(load(name).context or 1e9)
        require(input + output <= most, "--input and --output",
                f"stay within the {most:.0f} tokens of {name}'s context", f"{input + output:g}")
        trace = made(wanted or 1.0, requests, prompt=input, answer=output, seed=seed, arrivals=arrivals,
                     lengths=lengths, cv=cv, most=most)
        if float(np.max(trace.prompt + trace.answer)) >= most:
            notes = (f"the longest requests are cut to the {most:.0f} tokens of the context",)
    work, longest = workload(trace, load(name), ttft_ms, tpot_ms)
    promise = Promise(ttft_s=work.ttft_s, tpot_s=work.tpot_ms / 1e3, share=share)
    g = world(scenario, as_of, 100, seed, tuple(dict.fromkeys(c for p in pairs for c in p)), sets)
    policy = Policy(scheduler=scheduler, chunk_tokens=chunk, preempt=preempt, router=router, store_gb=store_gb)
    answers: list[dict[str, Any]] = []
    problems: list[Any] = []
    for a, b in pairs:
        try:
            here: dict[str, Any] = {"chips": chips, "precision": precision or None, "policy": policy,
                                    "longest": longest}
            deployed = deploy_split(g, a, b, name, work, **here) if two else deploy(g, b, name, work, **here)
            answers.append({**answer(trace, deployed, a, b, chips, work, promise, seed, out),
                            "grade": grade(g.catalog, b, name)})
            if answers[-1]["promise_kept_share"] < share:
                answers[-1]["ways"] = [asdict(w) for w in ways(g, deployed, name, work, trace, promise, seed=seed,
                                                               **here)]
                if answers[-1]["largest_kept_requests_per_s"] == 0:
                    close = nearest(deployed, trace, promise, seed=seed)
                    answers[-1]["nearest"] = {"ttft_ms": 1e3 * close.ttft_s, "tpot_ms": 1e3 * close.tpot_s}
            if machines:
                s = spread(g, deployed, load(name), work, trace, promise, policy=policy, longest=longest,
                           draws=machines, seed=seed)
                fits = np.isfinite(s.ttft_ms_p90)
                times = ("ttft_ms_p90", "tpot_ms_p90") if fits.any() else ()
                rates = ("largest_requests_per_s",) if np.isfinite(trace.rate) else ()
                answers[-1]["over_draws"] = {
                    "draws": machines, "fits_share": float(np.mean(fits)), "kept": interval(s.kept),
                    **{k: interval(getattr(s, k)) for k in rates}, **{k: interval(getattr(s, k)[fits]) for k in times}}
        except (InfeasibleError, InputError) as error:
            if len(pairs) == 1:
                raise
            problems.append(error)
    if not answers:
        raise problems[0]
    answers.sort(key=lambda x: -float(x["largest_kept_requests_per_s"] or 0.0))
    if json:
        best = {**answers[0], "model": name, "trace": trace.name, "notes": list(notes), "clocks": CLOCKS,
                "policy": {"scheduler": scheduler, "chunk_tokens": answers[0]["chunk_tokens"], "preempt": preempt,
                           "router": router}}
        emit_json(best if len(pairs) == 1 else {**best, "compare": answers, "refused": [str(p) for p in problems]})
        return
    for x in answers:
        table(f"{name} on {x['chips']} x {x['chip']}: {x['requests']} requests in {x['seconds']:.0f} s",
              ("", "p50", "p90", "p99"),
              [("TTFT ms", *[f"{x['ttft_ms'][k]:.0f}" for k in ("p50", "p90", "p99")]),
               ("TPOT ms", *[f"{x['tpot_ms'][k]:.1f}" for k in ("p50", "p90", "p99")])],
              foot=f"{x['layout']}; evidence: {x['grade']}. Promise kept by {x['promise_kept_share']:.0%}: first token "
                   f"late for {x['late_share']:.0%}, tokens slow for {x['slow_share']:.0%}; {x['preemptions']} "
                   f"preemptions, {x['recomputed_tokens']:.0f} tokens worked on again, {x['prefix_hit_share']:.0%} of "
                   f"the prompts found in stores; saturation {x['saturation_requests_per_s']:.2f} requests/s; "
                   + largest_in_words(x["largest_kept_requests_per_s"], share))
        for line in [*mending(x, share), *over_draws(x)]:
            say(line)
    say(CLOCKS)
    for line in [*notes, *[str(p) for p in problems]]:
        note(line)


def requests_of(file: str, start_h: float, hours: float, thin: float, seed: int) -> tuple[Any, tuple[str, ...]]:
    """Return the requests of a file, a shipped trace or the shipped clients, and what to know of them."""
    from chipcast.cli.request_traces import CLIENTS, read_clients, read_trace

    if file == CLIENTS:
        return read_clients(start_h=start_h, hours=hours, share=thin, seed=seed), (
            f"recorded clients from hour {start_h:g} for {hours:g} h at {thin:g} of their rate",)
    return read_trace(file)


def workload(trace: Any, model: Any, ttft_ms: float, tpot_ms: float) -> tuple[Any, float]:
    """Return the mean request as a workload, and the longest request, which the model's context must hold.

    Raises
    ------
    InputError
        If a request is longer than the context.
    """
    import numpy as np

    from chipcast.base.errors import require
    from chipcast.tokens.serve import Workload

    whole_length = trace.prompt + trace.answer
    longest = float(np.max(whole_length))
    i = int(np.argmax(whole_length)) + 1
    require(not model.context or longest <= model.context, f"input + output of request {i}",
            f"stay within the {model.context} tokens of {model.name}'s context", f"{longest:.0f}")
    work = Workload(input_tokens=max(float(np.mean(trace.prompt)), 1.0), output_tokens=float(np.mean(trace.answer)),
                    ttft_s=ttft_ms / 1000, tpot_ms=tpot_ms)
    return work, longest
