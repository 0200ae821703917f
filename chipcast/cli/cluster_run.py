"""Verbs of `cluster` on one job: what it keeps, how often it saves, a run played out."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.base.errors import InputError
from chipcast.cli.cluster_faults import TRACE, TRACE_DAYS, TRACE_NODES, read_trace
from chipcast.cli.cluster_words import (
    Chip,
    Detection,
    Ladder,
    Policy,
    Scene,
    Size,
    bins_said,
    minutes,
    one_size,
    percent,
    points,
    say_bins,
    seconds_of,
    setup,
    share_of,
    sizes_of,
    warn,
)
from chipcast.cli.common import AsOf, Draws, Json, Seed, Sets, emit_json, measured, note, say, table, whole

Days = Annotated[float, measured("--days", "days", "Length of the run.", above=0, most=36_500)]


def _interval(text: str) -> str | float:
    """Read an interval: a name such as optimal, or a time."""
    from chipcast.cluster.options import INTERVALS

    return text if text in INTERVALS or text.isalpha() else seconds_of(text, "--interval")


def goodput(chip: Chip = "ascend-910b,ascend-910c,h800-sxm", chips: Size = "1024..16384", days: Days = 60,
            checkpoint: Annotated[str, typer.Option(
                "--checkpoint", metavar="TIME", help="Stall of one checkpoint, such as 30s; else the assumed range.")
            ] = "",
            interval: Annotated[str, typer.Option(
                "--interval", metavar="NAME | TIME",
                help="Work between checkpoints: optimal, planned, adaptive, or a time such as 30min.")] = "optimal",
            spares: Annotated[str, typer.Option(
                "--spares", metavar="SHARE", help="Standing spares, such as 2%; default: what the target needs.")] = "",
            log: Annotated[str, typer.Option(
                "--log", metavar="FILE", help="Your own fault log in place of the assumed rates; as for `fit`.")] = "",
            nodes: Annotated[str, typer.Option("--log-nodes", help="Nodes that it watched.")] = "",
            watched: Annotated[str, typer.Option("--log-days", help="Days that it watched.")] = "",
            ladder: Ladder = "vendor", detection: Detection = "mixed", policy: Policy = "",
            scenario: Scene = "february-2025", sets: Sets = [],  # noqa: B006
            as_of: AsOf = "", draws: Draws = 4000, seed: Seed = 1, json: Json = False) -> None:
    from dataclasses import replace

    import numpy as np

    from chipcast.base.summary import interval as band
    from chipcast.base.summary import short, span
    from chipcast.cluster.case import require_progress
    from chipcast.cluster.compare import luck_of
    from chipcast.cluster.goodput import case_of, collect
    from chipcast.cluster.luck import run_ettr
    from chipcast.cluster.options import keep_with, read_options, with_options
    from chipcast.cluster.own import with_log
    from chipcast.cluster.record import PARTS

    ids, given = setup(chip, scenario, as_of, draws, seed, sets)
    sizes = sizes_of(chips)
    every = _interval(interval)
    chosen = read_options(policy)
    standing = None
    if spares:
        part = share_of(spares, "--spares")
        if not 0 <= part < 1:
            raise InputError(f"--spares must be a share of 0% or more and below 100%, got '{spares}'")
        servers = round(given.middle("cluster.chips_per_server"))
        standing = np.array([[np.ceil(n * part / servers) * servers] for n in sizes])
    trace = read_trace(log, nodes, watched, flags=("--log-nodes", "--log-days")) if log else None
    kept, own, runs = [], None, []
    for name in ids:
        case = case_of(given, name, ladder=ladder, detection=detection)
        if trace is not None:
            own = with_log(given, case, trace, chips_per_node=case.chips_per_node)
            case = own.case
        if checkpoint:
            case = replace(case, checkpoint_s=seconds_of(checkpoint, "--checkpoint"))
        case = with_options(given, case, chosen, days=days)
        require_progress(case, sizes, interval_s=None if isinstance(every, str) else every)
        kept.append(keep_with(given, case, sizes, interval=every, spare_chips=standing, days=days))
        runs.append([run_ettr(case, kept[-1], j, days, luck_of(given, name)) for j in range(len(sizes))])
    fleet = collect(ids, sizes, kept)
    rows: list[dict[str, Any]] = []
    for i, name in enumerate(ids):
        for j, n in enumerate(sizes):
            wall_h = days * 24.0
            rows.append({
                "chip": name, "chips": n, "goodput": band(fleet.goodput[i, j]), "ettr": band(fleet.ettr[i, j]),
                "run_ettr": band(runs[i][j]),
                "mtbf_h": band(fleet.mtbf_h[i, j]), "mtbf_rollback_h": band(fleet.mtbf_rollback_h[i, j]),
                "ledger": {part: {**band(fleet.ledger[i, j, k]), "mean": float(fleet.ledger[i, j, k].mean())}
                           for k, part in enumerate(PARTS)},
                "ledger_mean": {part: float(fleet.ledger[i, j, k].mean()) for k, part in enumerate(PARTS)},
                "ledger_gap": float(np.abs(fleet.ledger[i, j].sum(axis=0) - 1).max()),
                "loss_by_class": {c: float(fleet.loss_by_class[i, j, k].mean()) for k, c in enumerate(fleet.classes)},
                "checkpoint_every_s": band(fleet.checkpoint_every_s[i, j]), "spare_chips": band(fleet.spares[i, j]),
                "stops": band(wall_h * fleet.ettr[i, j] / fleet.mtbf_h[i, j]),
                "rollbacks": band(wall_h * fleet.ettr[i, j] / fleet.mtbf_rollback_h[i, j]),
                "useful_days": band(days * runs[i][j])})
    if own is None:
        warn(ids)
    else:
        note(f"Rates of {', '.join(own.counts)} and repair are those of {log}"
             + (f"; {', '.join(own.kept)} stay assumed" if own.kept else "")
             + (f"; shared out, as no word tells their class: {', '.join(own.unknown)}" if own.unknown else "") + ".")
    say_bins(given, ids)
    if json:
        shown = rows[len(sizes) - 1]  # the first chip at the largest size stands on top; every row follows
        emit_json({"as_of": str(given.as_of), "days": days, "ladder": ladder, "detection": detection,
                   "with": dict(chosen), "bins": bins_said(given, ids),
                   "log": None if own is None else {"file": log, "faults": own.counts, "assumed": own.kept,
                                                    "shared_out": own.unknown},
                   **{k: shown[k] for k in ("chip", "chips", "goodput", "ettr", "mtbf_h", "mtbf_rollback_h", "ledger",
                                            "ledger_mean", "ledger_gap")},
                   "rows": rows})
        return
    table(f"What a job keeps, {given.as_of} ({draws} draws)",
          ["chips", "goodput %", "in progress %", "h between stops", f"stops in {days:g} days", "save every", "spares"],
          [[f"{r['chips']} {r['chip']}", *[percent(r[k]) for k in ("goodput", "ettr")], span(r["mtbf_h"], 2),
            span(r["stops"], 2), f"{r['checkpoint_every_s']['p50'] / 60:.0f} min", short(r["spare_chips"]["p50"], 2)]
           for r in rows])
    short_names = {"productive": "useful", "checkpoint": "saving", "lost_work": "lost", "online_stalls": "online",
                   "slow_down": "slow"}
    table("Where wall time goes, mean %", ["chips", *[short_names.get(p, p) for p in PARTS]],
          [[f"{r['chips']} {r['chip']}", *[f"{100 * r['ledger_mean'][p]:.1f}" for p in PARTS]] for r in rows],
          foot="Median (5th to 95th percentile). Goodput also pays for idle spares; time in progress includes slow "
               "steps.")


def checkpoint(chip: Chip = "h800-sxm", chips: Size = "8192",
               stall: Annotated[str, typer.Option("--checkpoint", help="Stall of one, as 30s; default: assumed.")] = "",
               parameters: Annotated[str, typer.Option(
                   "--parameters", help="Parameters of the model, as 671B: the stall follows from the store.")] = "",
               store: Annotated[str, typer.Option("--store", help="Write rate of the whole store.")] = "200GB/s",
               ladder: Ladder = "vendor", detection: Detection = "mixed", policy: Policy = "", days: Days = 60,
               scenario: Scene = "february-2025", as_of: AsOf = "", draws: Draws = 2000, seed: Seed = 1,
               json: Json = False) -> None:
    from dataclasses import replace

    import numpy as np

    from chipcast.base.summary import interval as band
    from chipcast.base.summary import span
    from chipcast.cluster.case import keep, require_progress
    from chipcast.cluster.curves import checkpoint_curve, interval_marks
    from chipcast.cluster.goodput import case_of
    from chipcast.cluster.options import INTERVALS, keep_with, read_options, with_options

    ids, given = setup(chip, scenario, as_of, draws, seed)
    sizes = sizes_of(chips)
    if len(ids) != 1 or len(sizes) != 1:
        raise InputError("--chip and --chips must name one each here")
    case = case_of(given, ids[0], ladder=ladder, detection=detection)
    if stall and parameters:
        raise InputError("--checkpoint states the stall and --parameters computes it; give one of the two")
    if stall:
        case = replace(case, checkpoint_s=seconds_of(stall, "--checkpoint"))
    written: dict[str, Any] = {}
    if parameters:
        ways = _written(given, parameters, store, sizes[0])
        for name, (felt, writes) in ways.items():
            one = with_options(given, replace(case, checkpoint_s=felt, write_s=writes), read_options(policy), days=days)
            require_progress(one, sizes)
            done = keep(one, sizes)
            written[name] = {"stall_s": band(np.broadcast_to(felt, (given.draws,))),
                             "write_s": band(np.broadcast_to(writes, (given.draws,))), "ettr": band(done.ettr[0]),
                             "checkpoint_every_s": band(done.checkpoint_every_s[0])}
        case = replace(case, checkpoint_s=ways["at once"][0])
    case = with_options(given, case, read_options(policy), days=days)
    require_progress(case, sizes)
    best = keep(case, sizes)
    marks = interval_marks(float(np.median(1 / best.mtbf_rollback_h)) / 3600, float(np.median(case.checkpoint_s)))
    middle = float(np.median(best.checkpoint_every_s))
    least = float(np.median(np.asarray(case.write_s)))  # what is still being written cannot be taken more often
    wrong = {f"{factor:g} x the median best": band(best.ettr[0] - keep(case, sizes, interval_s=factor * middle).ettr[0])
             for factor in (0.25, 0.5, 1.0, 2.0, 4.0) if factor * middle > least}
    by_way = {name: band(keep_with(given, case, sizes, interval=name, days=days).ettr[0]) for name in INTERVALS}
    curve = checkpoint_curve(case, sizes[0], least_s=least)
    warn(ids)
    say_bins(given, ids)
    if json:
        emit_json({"chip": ids[0], "chips": sizes[0], "best_s": band(best.checkpoint_every_s[0]), "at_medians_s": marks,
                   "far_every": band(best.far_every[0]), "ettr": band(best.ettr[0]), "ettr_by_way": by_way,
                   "written": written,
                   "lost_by_being_wrong": wrong, "curve": curve})
        return
    table(f"Useful work between checkpoints, {sizes[0]} x {ids[0]}", ["", "minutes"],
          [["best in each draw: median (5th to 95th)", minutes(band(best.checkpoint_every_s[0]))],
           *[[f"at medians, {name}", f"{value / 60:.2f}"] for name, value in marks.items()]])
    if written:
        table(f"{parameters} parameters to a store of {store}", ["written", "stall s", "write s", "save every, min",
                                                               "in progress %"],
              [[name, span(w["stall_s"], 2), span(w["write_s"], 2), minutes(w["checkpoint_every_s"]),
                percent(w["ettr"])] for name, w in written.items()])
    table("Time in progress lost by one interval for all draws", ["interval", "points lost against each draw's best"],
          [[name, points(b)] for name, b in wrong.items()])
    table("Ways of choosing it", ["interval", "in progress %"], [[name, percent(b)] for name, b in by_way.items()],
          foot=f"With the best interval {percent(band(best.ettr[0]))} % of time is progress.")


def _written(given: Any, parameters: str, store: str, chips: int) -> dict[str, tuple[Any, Any]]:
    """Return stall and background writing of a checkpoint by way of writing it. [s]"""
    from chipcast.base.units import convert, parse_quantity
    from chipcast.cluster.copies import asynchronous_stall, state_bytes, synchronous_stall

    count, rate = parse_quantity(parameters, "1", "--parameters"), parse_quantity(store, "B/s", "--store")
    for flag, value, text in (("--parameters", count, parameters), ("--store", rate, store)):
        if value <= 0:
            raise InputError(f"{flag} must be above 0, got '{text}'")
    state = state_bytes(count, given["checkpoint.bytes_per_parameter"])
    host = given["checkpoint.host_gb_s"] * convert(1, "GB/s", "B/s")
    return {"at once": (synchronous_stall(state, chips, host, rate), 0.0),
            "in the background": (asynchronous_stall(state, chips, host, rate, float("inf")), state / rate)}


def simulate(chip: Chip = "ascend-910b", chips: Size = "8192",
             days: Annotated[float, measured("--days", "days", "Days of each run.", least=0.1, most=3650)] = 14,
             runs: Annotated[int, whole("--runs", "Runs to play.", least=20, most=100_000)] = 400,
             together: Annotated[bool, typer.Option(
                 "--together", help="Faults come in batches, relapses and bad months, as in a published log.")] = False,
             interval: Annotated[str, typer.Option(
                 "--interval", metavar="NAME | TIME", help="optimal, planned, adaptive, or a time.")] = "optimal",
             repair: Annotated[str, typer.Option(
                 "--repair", help="Law of repair: weibull (heavy tail), exponential, fixed.")] = "weibull",
             ageing: Annotated[float, measured("--ageing", "1", "Weibull shape of the time between a node's faults: "
                                               "below 1 young nodes fail most, above 1 old ones.", above=0.2,
                                               most=5)] = 1.0,
             ladder: Ladder = "vendor", detection: Detection = "mixed", policy: Policy = "",
             scenario: Scene = "february-2025", as_of: AsOf = "", seed: Seed = 1, json: Json = False) -> None:
    import numpy as np

    from chipcast.base.summary import interval as band
    from chipcast.base.traces import read_json
    from chipcast.cluster.dependence import habits
    from chipcast.cluster.goodput import case_of
    from chipcast.cluster.log import pair_events
    from chipcast.cluster.options import keep_with, planned_interval, planned_rate, read_options, with_options
    from chipcast.cluster.record import PARTS
    from chipcast.cluster.simulate import simulate as play
    from chipcast.cluster.simulate import typical_and_bad

    ids, given = setup(chip, scenario, as_of, max(runs, 100), seed)
    if len(ids) != 1:
        raise InputError("--chip must name one here")
    size = one_size(chips)
    every = _interval(interval)
    case = with_options(given, case_of(given, ids[0], ladder=ladder, detection=detection), read_options(policy),
                        days=days)
    exact = keep_with(given, case, (size,), interval=every, days=days)
    work = None if every == "optimal" else planned_interval(case, size) if isinstance(every, str) else every
    log = habits(pair_events(read_json(TRACE), nodes=TRACE_NODES, days=TRACE_DAYS)) if together else None
    played = play(case, size, days=days, runs=runs, seed=seed, together=log, interval_s=work,
                  learn=given.middle("adaptive.prior_stops") if every == "adaptive" else 0.0,
                  planned_rate=planned_rate(case, size), repair="empirical" if together else repair,
                  lifetime_shape=ageing, log=20_000)
    shown = dict(zip(("typical", "bad"), typical_and_bad(played), strict=True))
    rows: dict[str, dict[str, Any]] = {
        name: {"run": r, "ettr": float(played.ettr[r]), "rollbacks": int(played.rollbacks[r]),
                   "stops": int(played.stops[r]),
                   "ledger": {p: float(played.ledger[k, r]) for k, p in enumerate(PARTS)}} for name, r in shown.items()}
    warn(ids)
    say_bins(given, ids)
    if json:
        emit_json({"chip": ids[0], "chips": size, "days": days, "runs": runs, "together": together,
                   "ettr": band(played.ettr), "goodput": band(played.goodput), "exact_ettr": band(exact.ettr[0]),
                   "ledger_mean": {p: float(played.ledger[k].mean()) for k, p in enumerate(PARTS)},
                   "exact_ledger_mean": {p: float(exact.ledger[0, k].mean()) for k, p in enumerate(PARTS)},
                   "rollbacks": band(played.rollbacks), "stops": band(played.stops), **rows,
                   "timelines": {name: [[float(t), PARTS[int(p)]] for t, p in
                                        zip(played.log_s[r], played.log_part[r], strict=True) if np.isfinite(t)]
                                 for name, r in shown.items()}})
        return
    table(f"{runs} runs of {days:g} days on {size} x {ids[0]}", ["", "in progress %", "rollbacks"],
          [["played out", percent(band(played.ettr)), f"{np.median(played.rollbacks):.0f}"],
           ["exact formula, faults alone", percent(band(exact.ettr[0])), "-"],
           *[[f"a {name} run", f"{100 * row['ettr']:.1f}", row["rollbacks"]] for name, row in rows.items()]])
    table("Where the time of these runs went, %", ["run", *[p.replace("_", " ") for p in PARTS]],
          [[name, *[f"{100 * row['ledger'][p]:.1f}" for p in PARTS]] for name, row in rows.items()])
    if together:
        say("How faults come together is that of one published log of 400 servers, public since May 2025.")


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command(help="Share of paid chip-time that a large job keeps, and where the rest goes.")(goodput)
    app.command(help="How often to checkpoint: the best interval, Young's and Daly's, and what it costs to be wrong."
                )(checkpoint)
    app.command(help="Play jobs out fault by fault: a typical and a bad run, and how the exact formula compares."
                )(simulate)
