"""Verbs of `cluster` on fault logs: spares, a log played back, a log fitted."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.base.errors import DataError, InputError
from chipcast.cli.cluster_words import Chip, Scene, one_size, percent, seconds_of, setup, share_of
from chipcast.cli.common import AsOf, Draws, Json, Seed, emit_json, note, say, table, whole

SPARES_TRIED = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Multiples of the median answer that the table tries."""


MOST_FAULTS = 400_000
"""Faults of all histories that are played for one answer."""


def spares(nodes: Annotated[str, typer.Option("--nodes", help="Nodes that the job needs.")] = "2048",
           target: Annotated[str, typer.Option("--target", help="Share of time with enough nodes.")] = "99.9%",
           rate: Annotated[str, typer.Option(
               "--rate", help="Faults per 1000 node-days that take a node out; default: the chip's.")] = "",
           repair: Annotated[str, typer.Option("--repair", help="Mean repair, as 3d or 72h; default: assumed.")] = "",
           chip: Chip = "h800-sxm", scenario: Scene = "february-2025", as_of: AsOf = "", draws: Draws = 2000,
           seed: Seed = 1, json: Json = False) -> None:
    from dataclasses import replace

    import numpy as np

    from chipcast.base.summary import interval as band
    from chipcast.base.summary import short, span
    from chipcast.base.traces import read_json
    from chipcast.base.units import parse_quantity
    from chipcast.cluster.case import NODE_CLASSES
    from chipcast.cluster.dependence import MODELS, down_quantile, habits
    from chipcast.cluster.faults import CLASSES
    from chipcast.cluster.goodput import case_of
    from chipcast.cluster.log import pair_events
    from chipcast.cluster.platform import fitted
    from chipcast.cluster.spares import erlang_b_array, spares_for_nodes_down, spares_needed

    ids, given = setup(chip, scenario, as_of, draws, seed)
    if len(ids) != 1:
        raise InputError(f"--chip must name one chip here, got {', '.join(ids)}")
    count = one_size(nodes, "--nodes")
    share = share_of(target, "--target")
    if not 0 < share < 1:
        raise InputError(f"--target must lie inside 0% to 100%, got '{target}'")
    case = case_of(given, ids[0])
    takes = np.array([[c in NODE_CLASSES] for c in CLASSES])
    per_day: Any = (case.rates * case.masking.rollback * takes).sum(axis=0) * case.chips_per_node * 24
    if rate:
        stated = parse_quantity(rate, "1", "--rate")
        if stated <= 0:
            raise InputError(f"--rate must be above 0 per 1000 node-days, got '{rate}'")
        per_day = np.full(given.draws, stated / 1000)
    days: Any = fitted(given, "repair.mean_h") / 24
    if repair:
        text = repair.strip()
        days = np.full(given.draws, seconds_of(f"{text[:-1]}days" if text.endswith("d") else text, "--repair") / 86_400)
    load = count * per_day * days
    usual = float(np.median(load))
    if usual >= count:
        raise InputError(f"at that rate and repair {usual:.3g} of {count} nodes would be down on average; lower --rate "
                         "or --repair")
    alone, poisson = spares_needed(load, share), spares_for_nodes_down(load, share)
    # The published log is the one measure of clustering; its shape is put on the median load.
    log = habits(pair_events(read_json(TRACE), nodes=TRACE_NODES, days=TRACE_DAYS))
    scaled = replace(log, nodes=count, faults_per_day=usual / float(log.repair_days.mean()))
    runs = int(MOST_FAULTS / max(scaled.faults_per_day * scaled.days, 1.0))
    together = {m: down_quantile(scaled, m, share, runs=min(runs, 100), seed=seed) for m in MODELS} if runs >= 5 else {}
    least = float(np.ceil(np.median(alone)))
    curve: list[dict[str, Any]] = []
    for k in dict.fromkeys(round(least * f) for f in SPARES_TRIED):
        enough = 1 - erlang_b_array(k + 1, load)
        curve.append({"spares": k, "share_of_spares": k / count, "availability": band(enough),
                      "goodput_factor": band(enough * count / (count + k))})
    answer = {"chip": ids[0], "nodes": count, "target": share, "nodes_down_mean": band(load),
              "spares_stop_when_short": band(alone), "spares_constant_demand": band(poisson),
              "availability_at_median_spares": band(1 - erlang_b_array(least + 1, load)),
              "spares_by_model_at_median_load": {m: band(v) for m, v in together.items()}, "curve": curve}
    if json:
        emit_json(answer)
        return
    table(f"Spare nodes for {count} nodes of {ids[0]}, enough for {share:.3%} of the time",
          ["faults", "spares: median (5th to 95th)"],
          [["alone, the job stops when short (Erlang)", span(alone)],
           ["alone, constant demand (Poisson)", span(poisson)],
           *[[f"{m.replace('+', ' + ')}, at the median load", span(v)] for m, v in together.items()]],
          foot=f"Nodes down on average: {span(load)}. With {short(least)} spares, enough nodes are up for "
               f"{percent(band(1 - erlang_b_array(least + 1, load)))} % of the time.")
    table("Spares against availability, faults alone", ["spare nodes", "% of the job", "time with enough nodes, %",
                                                        "useful share of all nodes, %"],
          [[r["spares"], f"{100 * r['share_of_spares']:.2f}", percent(r["availability"]), percent(r["goodput_factor"])]
           for r in curve],
          foot="The useful share pays for idle spares: the best number is where it is largest.")
    say("Models of faults that come together carry the clustering of one published log of 400 servers, public since "
        "May 2025." if together else "Too many faults to play histories in which they come together.")


TRACE, TRACE_NODES, TRACE_DAYS = "stepfun_infinitehbd_fault_trace", 400, 348.0
"""The shipped log and what its publisher says was watched."""

MOST_NODES, MOST_DAYS = 1_000_000, 36_500
"""A log of more nodes or days than this is taken for a slip."""

Watched = Annotated[str, typer.Option("--nodes", help="Nodes watched, those without a fault included.")]
Span = Annotated[str, typer.Option("--days", help="Days watched.")]


def read_trace(path: str, nodes: str, days: str, *, flags: tuple[str, str] = ("--nodes", "--days")) -> Any:
    """Read a log: JSON events or faults, or CSV with one fault a row; the shipped log knows its nodes and days.

    What is not stated of the watch is taken from the log, with a note: nodes without a fault are not in it.
    """
    from chipcast.base.traces import read_csv, read_json
    from chipcast.base.units import parse_quantity
    from chipcast.cluster.log import from_rows, pair_events, watch_of

    table = path.lower().removesuffix(".gz").endswith(".csv")
    rows = read_csv(path) if table else read_json(path)
    if not isinstance(rows, list) or not rows:
        raise InputError(f"'{path}' must hold a list of at least one fault or event")
    if not table and all(isinstance(row, dict) and "event_type" not in row for row in rows):
        rows = [{str(k).lower(): "" if v is None else str(v) for k, v in row.items()} for row in rows]
    count, span = (TRACE_NODES, TRACE_DAYS) if path == TRACE else watch_of(rows)
    if path != TRACE and not (nodes and days):
        note(f"Taken from the log, as {' and '.join(f for f, v in zip(flags, (nodes, days), strict=True) if not v)} "
             f"{'are' if not nodes and not days else 'is'} not stated: "
             + " and ".join(w for w, v in ((f"{count} nodes", nodes), (f"{span:g} days", days)) if not v)
             + ". Nodes without a fault are in no log; rates are too high by as much as they are missing.")
    if nodes:
        stated = parse_quantity(nodes, "1", flags[0])
        if stated != int(stated) or not 1 <= stated <= MOST_NODES:
            raise InputError(f"{flags[0]} must be a whole number from 1 to {MOST_NODES:,}, got {stated:g}")
        count = int(stated)
    span = parse_quantity(days, "days", flags[1]) if days else span
    if not 0 < span <= MOST_DAYS:
        raise InputError(f"{flags[1]} must lie above 0 and not above {MOST_DAYS:,}, got {span:g}")
    if not table and "event_type" in rows[0]:
        return pair_events(rows, nodes=count, days=span)
    return from_rows(rows, nodes=count, days=span)


def replay(path: Annotated[str, typer.Argument(metavar="TRACE", help="JSON or CSV, or a shipped name.")] = TRACE,
           nodes: Watched = "", days: Span = "", json: Json = False) -> None:
    from dataclasses import asdict

    from chipcast.base.summary import short
    from chipcast.cluster.curves import down_over_time
    from chipcast.cluster.spares import spares_for_nodes_down
    from chipcast.cluster.trace import replay as play

    log = read_trace(path, nodes, days)
    result = play(log)
    usual = float(spares_for_nodes_down(result.little, 0.99))
    if json:
        emit_json({"trace": path, "nodes": log.nodes, "days": log.days, **asdict(result),
                   "poisson_down_99": usual, "down": down_over_time(log)})
        return
    table(f"{path}: {log.nodes} nodes over {log.days:g} days", ["", "value"], [
        ["faults", result.faults], ["per 1000 node-days", f"{result.per_1000_node_days:.3f}"],
        ["availability of a node", f"{result.availability:.5f}"],
        ["nodes down, mean", f"{result.down_mean:.3f}"], ["Little's law asks for", f"{result.little:.3f}"],
        ["nodes down, median, 90%, 99%, most", f"{result.down_median:g}, {result.down_90:g}, {result.down_99:g}, "
                                              f"{result.down_max:g}"],
        ["99% that independent faults would give", f"{usual:g}"],
        ["clusters of faults within an hour", result.clusters],
        ["hours between faults; between clusters", f"{short(result.fault_mtbf_h, 4)}; {short(result.job_mtbf_h, 4)}"]],
        foot="A job on all nodes stops once per cluster; spares are needed for every fault.")


def fit(path: Annotated[str, typer.Argument(metavar="LOG", help="CSV with node, start, end, class; or JSON events.")],
        nodes: Watched = "", days: Span = "",
        per_node: Annotated[int, whole("--chips-per-node", "Chips of one node.", most=1024)] = 8,
        json: Json = False) -> None:
    from chipcast.base.summary import short
    from chipcast.cluster.fit import fit as learn
    from chipcast.cluster.halves import compare_halves
    from chipcast.cluster.trace import LAGS_DAYS

    log = read_trace(path, nodes, days)
    found = learn(log, chips_per_node=per_node)
    try:
        halves = compare_halves(log)
    except DataError:
        halves = ()  # too few faults for that: the list of what the log cannot tell says so
    if json:
        emit_json({
            "trace": path, "faults": found.faults, "exposure_chip_h": found.exposure_chip_h,
            "rates_per_1e6_chip_h": {k: {"count": n, "p05": a, "p50": b, "p95": c}
                                     for k, (n, a, b, c) in found.rates.items()},
            "node_dispersion": found.node_dispersion, "day_dispersion": found.day_dispersion,
            "cluster_size": found.cluster_size,
            "branching": {"by_dispersion": found.branching_by_dispersion, "by_excess": found.branching_by_excess},
            "recurrence": {"edges_days": LAGS_DAYS, "times_fleet_rate": found.recurrence},
            "repair": [{"law": r.name, "parameters": r.parameters, "mean_h": r.mean_h, "ks": r.ks, "p": r.p}
                       for r in found.repair],
            "halves": [{"name": c.name, "p05": c.low, "p50": c.middle, "p95": c.high, "second_half": c.seen,
                        "inside_90": c.inside} for c in halves],
            "mean_repair_h": found.mean_repair_h, "cannot_tell": found.cannot_tell})
        return
    table(f"{path}: {found.faults} faults in {short(found.exposure_chip_h)} chip-hours",
          ["class", "faults", "per 1e6 chip-h: median (5th to 95th)"],
          [[k, n, f"{short(b)} ({short(a)} to {short(c)})"] for k, (n, a, b, c) in list(found.rates.items())[:12]])
    table("Do faults come together?", ["", "value"], [
        ["faults per node, variance over mean", f"{found.node_dispersion:.2f}"],
        ["faults per day, variance over mean", f"{found.day_dispersion:.2f}"],
        ["faults in a cluster", f"{found.cluster_size:.2f}"],
        ["later faults per fault, from the spread over nodes", f"{found.branching_by_dispersion:.2f}"],
        ["the same, from faults that follow", f"{found.branching_by_excess:.2f}"],
        *[[f"rate on the same node {a} to {b} days later, times", f"{v:.1f}" if v == v else "-"]
          for a, b, v in zip(LAGS_DAYS, LAGS_DAYS[1:], found.recurrence, strict=False)]])
    table(f"Laws of repair (mean of the log {short(found.mean_repair_h)} h)",
          ["law", "mean h", "distance", "p at most"],
          [[r.name, short(r.mean_h), f"{r.ks:.3f}", f"{r.p:.3f}"] for r in found.repair])
    if halves:
        table("Fitted to the first half, held against the second",
              ["", "expected: median (5th to 95th)", "second half"],
              [[c.name, f"{c.middle:.3g} ({c.low:.3g} to {c.high:.3g})", f"{c.seen:.3g}" + ("" if c.inside else " *")]
               for c in halves], foot="* outside the 90 % interval: the log's second half is not like its first.")
    say("This log cannot tell: " + "; ".join(found.cannot_tell) + ".")


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command(help="Spare nodes for a target share of time, with faults alone and with faults that come together."
                )(spares)
    app.command(help="Play a fault log back: nodes down, availability, what a job on all nodes sees."
                )(replay)
    app.command(help="Fit one's own fault log: rates by class, clustering, relapses, repair, and what it cannot tell."
                )(fit)
