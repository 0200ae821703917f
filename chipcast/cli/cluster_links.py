"""Verbs of `cluster` on links: how long a collective takes, and the fabric against published timings."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.base.errors import InputError
from chipcast.cli.cluster_words import Chip, Scene, one_size, setup, share_of
from chipcast.cli.common import AsOf, Draws, Json, Seed, emit_json, say, table, whole


def _traffic(text: str) -> tuple[str, float]:
    """Read `oversubscribed=3` or `ecmp=8` as kind and amount."""
    from chipcast.base.choose import choose
    from chipcast.base.units import parse_quantity
    from chipcast.cluster.congestion import CONGESTION

    kind, _, amount = text.partition("=")
    choose(CONGESTION, kind.strip(), "congestion")
    if kind.strip() != "ideal" and not amount.strip():
        raise InputError(f"--congestion {kind.strip()} needs a number, such as {kind.strip()}=8")
    return kind.strip(), parse_quantity(amount.strip() or "1", "1", "--congestion")


def collective(operation: Annotated[str, typer.Argument(
        metavar="OPERATION", help="all-reduce, all-gather, reduce-scatter, all-to-all, broadcast or point-to-point.")],
               chip: Chip = "ascend-910c",
               chips: Annotated[str, typer.Option("--chips", help="Chips of the group.")] = "64",
               size: Annotated[str, typer.Option("--bytes", metavar="SIZE", help="Payload, such as 7MB.")] = "7MB",
               degraded: Annotated[str, typer.Option(
                   "--degraded", metavar="SHARE", help="Rate that one link of the outermost level used has left.")
               ] = "",
               congestion: Annotated[str, typer.Option(
                   "--congestion", metavar="KIND=N", help="Of the network of servers: oversubscribed=3 or ecmp=8.")
               ] = "ideal",
               scenario: Scene = "february-2025", as_of: AsOf = "", draws: Draws = 2000, seed: Seed = 1,
               json: Json = False) -> None:
    import numpy as np

    from chipcast.base.choose import choose
    from chipcast.base.summary import interval as band
    from chipcast.base.summary import span
    from chipcast.base.units import parse_quantity
    from chipcast.cluster.congestion import congested
    from chipcast.cluster.network import (
        ALL_TO_ALL,
        AT_ONCE,
        COLLECTIVES,
        OPERATIONS,
        all_to_all_parts,
        bus_bytes_s,
        flat_times,
        levels,
        lower_bound,
        reach,
        stages,
    )
    from chipcast.cluster.network import degraded as slowed
    from chipcast.cluster.platform import ranks_per_chip

    run = choose(OPERATIONS, operation, "collective")
    ids, given = setup(chip, scenario, as_of, draws, seed)
    count = one_size(chips)
    payload = parse_quantity(size, "B", "--bytes")
    if payload <= 0:
        raise InputError(f"--bytes must be above 0, got '{size}'")
    kind, amount = _traffic(congestion)
    answers: list[dict[str, Any]] = []
    for name in ids:
        fabric = levels(given, name)
        ranks = count * ranks_per_chip(given, name)
        fabric = (*fabric[:-1], congested(fabric[-1], kind, amount))
        if degraded:
            used = max(i for i, s in enumerate(stages(fabric, ranks)) if i == 0 or float(s.ranks) > 1)
            fabric = tuple(slowed(lv, share_of(degraded, "--degraded")) if i == used else lv
                           for i, lv in enumerate(fabric))
        own = {"all-to-all": list(ALL_TO_ALL), "all-reduce": list(COLLECTIVES["reduce-scatter"]),
               "point-to-point": list(COLLECTIVES["point-to-point"])}
        entries = own.get(operation, list(COLLECTIVES[operation]))
        times = {e: run(fabric, ranks, payload, algorithm=e) for e in [*entries, "best"]}
        parts = stages(fabric, ranks)
        outer = max((s for s in parts if float(s.ranks) > 1), key=lambda s: float(s.inner), default=parts[0])
        halves = operation in ("all-reduce", "all-gather", "reduce-scatter")
        carried = payload / float(outer.inner) if halves else payload
        rate = reach(outer.level, outer.ranks)
        bound = lower_bound(operation, float(outer.ranks), carried, outer.level.alpha_s, rate,
                            at_once=outer.level.kind in AT_ONCE)
        answer: dict[str, Any] = {
            "chip": name, "chips": count, "ranks": ranks, "bytes": payload, "congestion": {kind: amount},
            "levels": [{"name": s.level.name, "ranks": float(s.ranks), "alpha_s": band(s.level.alpha_s),
                        "bytes_s": band(reach(s.level, s.ranks))} for s in parts],
            "seconds": {e: band(np.broadcast_to(t, (given.draws,))) for e, t in times.items()},
            "flat_seconds": {e: band(np.broadcast_to(t, (given.draws,))) for e, t in
                             flat_times(fabric, operation, float(ranks), payload).items()},
            "bus_bytes_s": band(bus_bytes_s(operation, ranks, payload, times["best"])) if ranks > 1 else None,
            "lower_bound_s": band(np.broadcast_to(bound, (given.draws,)))}
        if operation == "all-to-all":
            answer["direct_by_level_s"] = {s.level.name: band(t) for s, t in
                                           zip(parts, all_to_all_parts(fabric, ranks, payload), strict=True)}
        answers.append(answer)
    if json:
        emit_json({"operation": operation, **(answers[0] if len(answers) == 1 else {"rows": answers})})
        return
    for answer in answers:
        times_us = {**answer["seconds"], **{f"flat {e}, all on the outer level": t for e, t in
                                            answer["flat_seconds"].items()},
                    "lower bound of the outer level": answer["lower_bound_s"]}
        rates = {f"{lv['name']}: {lv['ranks']:.0f} ranks": lv["bytes_s"] for lv in answer["levels"]}
        table(f"{operation} of {size} over {count} x {answer['chip']}, {answer['ranks']} ranks",
              ["", "microseconds: median (5th to 95th)"],
              [[e, span({q: v * 1e6 for q, v in b.items()})] for e, b in times_us.items()])
        table("Links", ["level", "GB/s of a rank"],
              [[e, span({q: v / 1e9 for q, v in b.items()})] for e, b in rates.items()])
    say("A rank is what software sees: a 910C package is two. Latency includes the launch of the operation.")


def exchange(what: Annotated[str, typer.Argument(metavar="[DIRECTION]", help="dispatch or combine.")] = "dispatch",
             chip: Chip = "h800-sxm,ascend-910c",
             ranks: Annotated[int, whole("--ranks", "Expert-parallel ranks; a 910C package is two.",
                                         most=65_536)] = 64,
             tokens: Annotated[int, whole("--tokens", "Tokens that one rank sends.", most=10_000_000)] = 128,
             hidden: Annotated[int, whole("--hidden", "Width of a row.", most=1_000_000)] = 7168,
             experts: Annotated[int, whole("--experts", "Experts of a layer.", most=100_000)] = 256,
             chosen: Annotated[int, whole("--chosen", "Experts of a token.", most=1000)] = 8,
             width: Annotated[str, typer.Option("--rows", help="fp8 or bf16; default: fp8 to dispatch.")] = "",
             scenario: Scene = "february-2025", as_of: AsOf = "", draws: Draws = 2000, seed: Seed = 1,
             json: Json = False) -> None:
    import numpy as np

    from chipcast.base.summary import interval as band
    from chipcast.base.summary import span
    from chipcast.cluster.calibrate import row_bytes
    from chipcast.cluster.experts import distinct_nodes, library_exchange
    from chipcast.cluster.network import levels
    from chipcast.cluster.platform import platform

    ids, given = setup(chip, scenario, as_of, draws, seed)
    kind = width or ("fp8" if what == "dispatch" else "bf16")
    if kind not in ("fp8", "bf16"):
        raise InputError(f"--rows must be fp8 or bf16, got '{width}'")
    size = row_bytes(kind, hidden)
    rows: list[dict[str, Any]] = []
    for name in ids:
        time = library_exchange(given, name, what, ranks, tokens, size, experts=experts, chosen=chosen)
        domains = max(ranks / levels(given, name)[0].ranks, 1.0)
        payload = tokens * chosen * size
        rate = band(payload / np.maximum(time, 1e-12)) if ranks > 1 else None
        rows.append({"chip": name, "ranks": ranks, "library": platform(given, name).library,
                     "seconds": band(np.broadcast_to(time, (given.draws,))), "bytes": payload, "bytes_s": rate,
                     "domains_of_a_token": float(distinct_nodes(experts, chosen, domains))})
    if json:
        emit_json({"what": what, "rows_as": kind, "as_of": str(given.as_of), **(rows[0] if len(rows) == 1 else
                                                                               {"rows": rows})})
        return
    table(f"{what} of {tokens} tokens a rank to {chosen} of {experts} experts over {ranks} ranks, {given.as_of}",
          ["chip", "library", "microseconds", "GB/s of a rank", "fast domains a token visits"],
          [[r["chip"], r["library"], span({q: v * 1e6 for q, v in r["seconds"].items()}),
            "-" if r["bytes_s"] is None else span({q: v / 1e9 for q, v in r["bytes_s"].items()}),
            f"{r['domains_of_a_token']:.2f}"] for r in rows],
          foot="Fixed times of the libraries are fitted to published timings known by the date (cluster fabric).")


def fabric(scenario: Scene = "february-2025", as_of: AsOf = "", draws: Draws = 1000, seed: Seed = 1,
           json: Json = False) -> None:
    import numpy as np

    from chipcast.base.draws import normals
    from chipcast.base.summary import interval as band
    from chipcast.cluster.calibrate import UNUSED, back_test, fit_fabric

    _, given = setup("h100-sxm", scenario, as_of, 100, seed)
    fit = fit_fabric(given.catalog, particles=draws)
    found = back_test(given.catalog, normals(seed, "fabric:noise", 0, draws))
    if json:
        emit_json({"as_of": str(given.as_of), "parameters": {n: band(v) for n, v in fit.values.items()},
                   "timings": [{"id": t.id, "what": t.what, "ranks": t.ranks, "published": t.measured,
                                "predicted": band(t.predicted), "log_error": t.log_error, "inside_90": t.inside}
                               for t in found],
                   "median_abs_log_error": float(np.median([abs(t.log_error) for t in found])) if found else None,
                   "unused": UNUSED})
        return
    table(f"Fabrics fitted to {len(fit.used)} published figures known on {given.as_of}",
          ["parameter", "5th", "median", "95th"],
          [[n, *[f"{v:.3g}" for v in band(values).values()]] for n, values in fit.values.items()])
    table("Published and predicted", ["row", "what", "ranks", "published", "predicted 5, 50, 95 %", "log error"],
          [[t.id, t.what, t.ranks or "-", *_shown(t), f"{t.log_error:+.3f}"] for t in found],
          foot="Not taken: " + "; ".join(f"{k} ({v})" for k, v in UNUSED.items()) + ".")


def _shown(timing: Any) -> tuple[str, str]:
    from chipcast.base.summary import interval as band

    scale, unit = (1e6, "us") if timing.what in ("dispatch", "combine") else (1e-9, "GB/s")
    return (f"{timing.measured * scale:.0f} {unit}",
            ", ".join(f"{v * scale:.0f}" for v in band(timing.predicted).values()))


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command(help="Seconds of a collective operation on a chip's fabric, by algorithm, with its lower bound."
                )(collective)
    app.command(help="Seconds in which a tuned library sends tokens to their experts, or brings results back."
                )(exchange)
    app.command(help="The fabric's parameters fitted to published timings, and how well they hold.")(fabric)
