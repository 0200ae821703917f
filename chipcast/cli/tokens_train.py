"""`tokens train`: how long does a training run take on these chips, what binds it, what would shorten it?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.cli.common import AsOf, Draws, Json, Seed, Sets, emit_json, measured, note, say, table, whole
from chipcast.cli.tokens_words import (
    MOST_CHIPS,
    ModelName,
    Scene,
    chip_ids,
    day_of,
    known_model,
    world,
)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(train)


def train(name: ModelName,
          chip: Annotated[str, typer.Option("--chip", metavar="ID[,ID...]", help="Chips to compare.")] = "h800",
          chips: Annotated[int, whole("--chips", "Chips that train.", most=MOST_CHIPS)] = 2048,
          tokens: Annotated[str, typer.Option("--tokens", help="Tokens of the run, such as 10T.")] = "1T",
          precision: Annotated[str, typer.Option("--precision", help="bf16 or fp8.")] = "bf16",
          sequence: Annotated[int, whole("--sequence", "Tokens of a sequence.", most=10_000_000)] = 4096,
          batch: Annotated[str, typer.Option("--batch", help="Tokens of a step, such as 16M.")] = "",
          tp: Annotated[int, whole("--tp", "Tensor-parallel ranks; 0 searches.", least=0, most=1024)] = 0,
          pp: Annotated[int, whole("--pp", "Stages; 0 searches.", least=0, most=1024)] = 0,
          ep: Annotated[int, whole("--ep", "Ranks of the experts; 0 searches.", least=0, most=4096)] = 0,
          cp: Annotated[int, whole("--cp", "Ranks of a sequence; 0 searches.", least=0, most=1024)] = 0,
          pieces: Annotated[int, whole("--pieces", "Pieces of layers on a stage.", least=0, most=128)] = 0,
          schedule: Annotated[str, typer.Option(
              "--schedule", help="gpipe, 1f1b, interleaved, zb1p or dualpipe.")] = "",
          recompute: Annotated[str, typer.Option("--recompute", help="none, selective, half or full.")] = "",
          zero: Annotated[int, whole("--zero", "Stage of sharding, 0 to 3.", least=0, most=3)] = 1,
          states: Annotated[str, typer.Option(
              "--states", help="mixed, wide_gradients or narrow_moments.")] = "mixed",
          fp8_share: Annotated[float, measured("--fp8-share", "1", "Share of the products in 8 bits.", least=0,
                                               most=1)] = 1.0,
          engine: Annotated[str, typer.Option("--engine", help="Software, such as megatron or mindspeed.")] = "",
          scenario: Scene = "february-2025", sets: Sets = [],  # noqa: B006 - typer copies it
          as_of: AsOf = "", draws: Draws = 400, seed: Seed = 1, json: Json = False) -> None:
    """Days, MFU and goodput of a training run, with the best layout."""
    from chipcast.base.choose import choose
    from chipcast.base.errors import InfeasibleError, InputError
    from chipcast.base.summary import span
    from chipcast.base.units import parse_quantity
    from chipcast.tokens.jobs import Wish
    from chipcast.tokens.run import Choice, training_run
    from chipcast.tokens.train import RECOMPUTE, SCHEDULES, STATES

    total = parse_quantity(tokens, "tokens", "--tokens")
    for table_of, word, what in ((SCHEDULES, schedule, "pipeline schedule"), (RECOMPUTE, recompute, "recomputation"),
                                 (STATES, states, "recipe of states")):
        if word:
            choose(table_of, word, what)
    day = day_of(scenario, as_of)
    known_model(name, day)
    choice = Choice(wish=Wish(tp=tp, pp=pp, ep=ep, cp=cp, virtual=pieces, schedule=schedule, recompute=recompute),
                    batch_tokens=parse_quantity(batch, "tokens", "--batch") if batch else 0.0, zero=zero,
                    states=states, narrow_share=fp8_share)
    ids = chip_ids(chip, day, bins=False)
    g = world(scenario, as_of, draws, seed, ids, sets)
    runs: list[dict[str, Any]] = []
    problems: list[Any] = []
    for item in ids:
        try:
            run = training_run(g, name, item, chips=chips, tokens=total, precision=precision, sequence=sequence,
                               engine=engine, choice=choice)
        except (InfeasibleError, InputError) as error:
            if len(ids) == 1:
                raise
            problems.append(error)
            continue
        runs.append(answer(run, item, chips, total, str(g.as_of)))
    if not runs:
        raise problems[0]
    runs.sort(key=lambda r: float(r["days"]["p50"]))
    if json:
        best = runs[0]
        emit_json(best if len(ids) == 1 else {**best, "runs": runs, "refused": [str(p) for p in problems]})
        return
    table(f"{runs[0]['model']} on {chips} chips, {tokens} tokens, known by {g.as_of}",
          ("chip", "days", "MFU", "tokens/s/chip", "goodput", "chip-hours", "bound by", "grade"),
          [(r["chip"], span(r["days"]), span(r["mfu"]), span(r["tokens_per_s_per_chip"]), span(r["goodput"]),
            span(r["gpu_hours"]), r["bound_by"], r["grade"]) for r in runs],
          foot="Median (5th to 95th percentile). MFU: " + runs[0]["mfu_convention"] + ".")
    best = runs[0]
    table(f"A step on {best['chip']}: {best['layout']}", ("", ""),
          [("MFU, causal, no look-up", span(best["mfu_causal"])),
           ("HFU, work done again counted", span(best["hfu"])), ("step s", span(best["step_s"])),
           *[(f"share of a step: {k}", f"{v:.1%}") for k, v in best["causes"].items()],
           *[(f"memory of a rank: {k}, GB", f"{v:.1f}") for k, v in best["memory_gb"].items()],
           ("memory of a rank that software sees, GB", f"{best['usable_gb']:.1f}")],
          foot="; ".join(best["assumed"]))
    say("operations of a step, all passes: "
        + ", ".join(f"{o['operation']} {o['share']:.0%} ({o['bound_by']})" for o in best["operations"][:8]))
    for lever in best["levers"]:
        say(f"{lever['change']}: a step {lever['shorter_step']:.0%} shorter")
    for other in best["next_best"][:3]:
        say(f"{other['layout']}: {other['time_over_best'] - 1:.1%} slower")
    for p in problems:
        note(str(p))


def answer(run: Any, chip: str, chips: int, tokens: float, as_of: str) -> dict[str, Any]:
    """Return a training run as the keys of the contract and what stands beside them."""
    from chipcast.base.summary import interval

    shown = ("mfu", "mfu_causal", "hfu", "tokens_per_s_per_chip", "step_s", "days", "gpu_hours", "goodput")
    return {"model": run.model, "chip": chip, "chips": chips, "tokens": tokens, "as_of": as_of,
            "mfu_convention": "6N + 12 L h d S over the dense 16-bit peak",
            **{k: interval(getattr(run, k)) for k in shown}, "layout": run.layout, "bound_by": run.bound_by,
            "grade": run.grade, "ledger": run.ledger, "causes": run.causes, "levers": list(run.levers),
            "operations": [{"operation": o.name, "s": o.seconds, "share": o.share, "bound_by": o.bound_by}
                           for o in run.operations],
            "memory_gb": run.memory_gb, "usable_gb": run.usable_gb,
            "next_best": [{"layout": w, "time_over_best": t} for w, t in run.next_best], "fell": run.fell,
            "assumed": list(run.assumed)}
