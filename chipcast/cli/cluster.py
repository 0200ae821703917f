"""Verbs of `cluster`: what large jobs keep, how long collectives take, whether a claim can hold."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.base.errors import InputError
from chipcast.cli.common import AsOf, Draws, Json, Seed, emit_json, measured, note, say, table, whole
from chipcast.cli.common import given as world

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None,
                  help="Large machines: goodput under faults, collective times, availability claims.")

Chip = Annotated[str, typer.Option("--chip", metavar="ID[,ID...]", help="Chip ids or common names.")]
Size = Annotated[str, typer.Option("--chips", metavar="N | N,N | N..N", help="Chips of the job; a..b doubles.")]
Ladder = Annotated[str, typer.Option("--ladder", help="Online recovery: vendor (as operators run it), full, none.")]
Detection = Annotated[str, typer.Option("--detection", help="How stops are noticed: mixed, active, passive.")]
Scene = Annotated[str, typer.Option("--scenario", help="A shipped scenario or a YAML file.")]

PRIOR_NOTE = ("Ascend fault rates are assumed multiples of a counted H100 fleet's: no public fault count exists for "
              "any Ascend cluster.")


MOST_CHIPS = 10_000_000
"""A job of more chips than this is taken for a slip."""


def sizes_of(text: str) -> tuple[int, ...]:
    """Read `8192`, `1024,4096` or `1024..16384` (doubling)."""
    from chipcast.base.units import parse_quantity

    def whole(word: str) -> int:
        number = parse_quantity(word, "chips", "--chips")
        if number < 1 or number != int(number):
            raise InputError(f"--chips must be whole numbers of 1 or more, got '{word.strip()}'")
        if number > MOST_CHIPS:
            raise InputError(f"--chips must be {MOST_CHIPS:,} or less, got '{word.strip()}'")
        return int(number)

    if ".." in text:
        low, _, high = text.partition("..")
        first, last = whole(low), whole(high)
        if first > last:
            raise InputError(f"--chips must rise from left to right, got '{text}'")
        out = [first]
        while out[-1] * 2 <= last:
            out.append(out[-1] * 2)
        return tuple(out if out[-1] == last else [*out, last])
    return tuple(whole(word) for word in text.split(","))


def chips_of(text: str, scenario: str, as_of: str) -> tuple[str, ...]:
    """Read chip names and return their ids, as known by the date."""
    from chipcast.base.catalog import Catalogue
    from chipcast.cluster.platform import known_as
    from chipcast.scenario import load

    loaded = load(scenario, as_of=as_of or None)
    catalog = Catalogue(loaded.as_of)
    own = set(loaded.chips)
    names = [known_as(word.strip().lower()) for word in text.split(",") if word.strip()]
    if not names:
        raise InputError("--chip needs at least one chip, for example --chip ascend-910b2")
    return tuple(name if name in own else catalog.resolve_chip(name) for name in names)


def _setup(chip: str, scenario: str, as_of: str, draws: int, seed: int) -> tuple[tuple[str, ...], Any]:
    chips = chips_of(chip, scenario, as_of)
    return chips, world(scenario, as_of=as_of, draws=draws, seed=seed, chips=(*dict.fromkeys((*chips, "h100-sxm")),))


def _warn(chips: tuple[str, ...]) -> None:
    if any(c.startswith("ascend") for c in chips):
        note(PRIOR_NOTE)


def _seconds(text: str, name: str) -> float:
    from chipcast.base.units import parse_quantity

    value = parse_quantity(text, "s", name)
    if value <= 0:
        raise InputError(f"{name} must be above 0 s, got '{text}'")
    return value


def _share(text: str, name: str) -> float:
    from chipcast.base.units import parse_quantity

    return parse_quantity(text, "1", name)


@app.command(help="Share of paid chip-time that a large job keeps, and where the rest goes.")
def goodput(chip: Chip = "ascend-910b2,ascend-910c,h800-sxm", chips: Size = "1024..16384",
            days: Annotated[float, measured("--days", "days", "Length of the run, to count stops.", above=0,
                                             most=36_500)] = 60,
            checkpoint: Annotated[str, typer.Option(
                "--checkpoint", metavar="TIME", help="Stall of one checkpoint, such as 30s; else the assumed range.")
            ] = "",
            interval: Annotated[str, typer.Option(
                "--interval", metavar="optimal | TIME", help="Work between checkpoints, such as 30min.")] = "optimal",
            spares: Annotated[str, typer.Option(
                "--spares", metavar="SHARE", help="Standing spares, such as 2%; default: what the target needs.")] = "",
            ladder: Ladder = "vendor", detection: Detection = "mixed", scenario: Scene = "february-2025",
            as_of: AsOf = "", draws: Draws = 4000, seed: Seed = 1, json: Json = False) -> None:
    from dataclasses import replace

    import numpy as np

    from chipcast.base.summary import interval as band
    from chipcast.base.summary import short, span
    from chipcast.cluster.case import keep, require_progress
    from chipcast.cluster.goodput import case_of, collect
    from chipcast.cluster.record import PARTS

    ids, given = _setup(chip, scenario, as_of, draws, seed)
    sizes = sizes_of(chips)
    every = None if interval == "optimal" else _seconds(interval, "--interval")
    standing = None
    if spares:
        share = _share(spares, "--spares")
        if not 0 <= share < 1:
            raise InputError(f"--spares must be a share of 0% or more and below 100%, got '{spares}'")
        servers = round(given.middle("cluster.chips_per_server"))
        standing = np.array([[np.ceil(n * share / servers) * servers] for n in sizes])
    kept = []
    for name in ids:
        case = case_of(given, name, ladder=ladder, detection=detection)
        if checkpoint:
            case = replace(case, checkpoint_s=_seconds(checkpoint, "--checkpoint"))
        if checkpoint or every:
            require_progress(case, sizes, interval_s=every)
        kept.append(keep(case, sizes, interval_s=every, spare_chips=standing))
    fleet = collect(ids, sizes, kept)
    rows: list[dict[str, Any]] = []
    for i, name in enumerate(ids):
        for j, n in enumerate(sizes):
            wall_h = days * 24.0
            rows.append({
                "chip": name, "chips": n, "goodput": band(fleet.goodput[i, j]), "ettr": band(fleet.ettr[i, j]),
                "mtbf_h": band(fleet.mtbf_h[i, j]), "mtbf_rollback_h": band(fleet.mtbf_rollback_h[i, j]),
                "ledger": {part: band(fleet.ledger[i, j, k]) for k, part in enumerate(PARTS)},
                "ledger_mean": {part: float(fleet.ledger[i, j, k].mean()) for k, part in enumerate(PARTS)},
                "checkpoint_every_s": band(fleet.checkpoint_every_s[i, j]), "spare_chips": band(fleet.spares[i, j]),
                "stops": band(wall_h * fleet.ettr[i, j] / fleet.mtbf_h[i, j]),
                "rollbacks": band(wall_h * fleet.ettr[i, j] / fleet.mtbf_rollback_h[i, j]),
                "useful_days": band(days * fleet.ettr[i, j])})
    _warn(ids)
    if json:
        shown = rows[len(sizes) - 1]  # the first chip at the largest size stands on top; every row follows
        emit_json({"as_of": str(given.as_of), "days": days, "ladder": ladder, "detection": detection,
                   **{k: shown[k] for k in ("chip", "chips", "goodput", "mtbf_h", "mtbf_rollback_h", "ledger")},
                   "rows": rows})
        return
    table(f"What a job keeps, {given.as_of} ({draws} draws)",
          ["chips", "goodput %", "in progress %", "h between stops", f"stops in {days:g} days", "save every", "spares"],
          [[f"{r['chips']} {r['chip']}", *[_percent(r[k]) for k in ("goodput", "ettr")], span(r["mtbf_h"], 2),
            span(r["stops"], 2), f"{r['checkpoint_every_s']['p50'] / 60:.0f} min", short(r["spare_chips"]["p50"], 2)]
           for r in rows])
    short_names = {"productive": "useful", "checkpoint": "saving", "lost_work": "lost", "online_stalls": "online",
                   "slow_down": "slow"}
    table("Where wall time goes, mean %", ["chips", *[short_names.get(p, p) for p in PARTS]],
          [[f"{r['chips']} {r['chip']}", *[f"{100 * r['ledger_mean'][p]:.1f}" for p in PARTS]] for r in rows],
          foot="Median (5th to 95th percentile). Goodput also pays for idle spares; time in progress includes slow "
               "steps.")


def _percent(b: dict[str, float]) -> str:
    return f"{100 * b['p50']:.1f} ({100 * b['p05']:.0f} to {100 * b['p95']:.0f})"


@app.command(help="Seconds of a collective operation on a chip's fabric, by algorithm, with its lower bound.")
def collective(operation: Annotated[str, typer.Argument(metavar="OPERATION",
                                                        help="all-reduce, all-gather, reduce-scatter or all-to-all.")],
               chip: Chip = "ascend-910c",
               chips: Annotated[str, typer.Option("--chips", help="Chips of the group.")] = "64",
               size: Annotated[str, typer.Option("--bytes", metavar="SIZE", help="Payload, such as 7MB.")] = "7MB",
               scenario: Scene = "february-2025", as_of: AsOf = "", draws: Draws = 2000, seed: Seed = 1,
               json: Json = False) -> None:
    from chipcast.base.choose import choose
    from chipcast.base.summary import interval as band
    from chipcast.base.summary import span
    from chipcast.base.units import parse_quantity
    from chipcast.cluster.network import (
        ALL_TO_ALL,
        AT_ONCE,
        COLLECTIVES,
        OPERATIONS,
        all_to_all_parts,
        bus_bytes_s,
        levels,
        lower_bound,
        reach,
        stages,
    )
    from chipcast.cluster.platform import ranks_per_chip

    run = choose(OPERATIONS, operation, "collective")
    ids, given = _setup(chip, scenario, as_of, draws, seed)
    (count,) = sizes_of(chips) if len(sizes_of(chips)) == 1 else (0,)
    if not count:
        raise InputError(f"--chips must be one number here, got '{chips}'")
    payload = parse_quantity(size, "B", "--bytes")
    if payload <= 0:
        raise InputError(f"--bytes must be above 0, got '{size}'")
    answers: list[dict[str, Any]] = []
    for name in ids:
        fabric = levels(given, name)
        ranks = count * ranks_per_chip(given, name)
        entries = list(ALL_TO_ALL) if operation == "all-to-all" else list(COLLECTIVES["reduce-scatter"])
        times = {e: run(fabric, ranks, payload, algorithm=e) for e in [*entries, "best"]}
        parts = stages(fabric, ranks)
        outer = max((s for s in parts if float(s.ranks) > 1), key=lambda s: float(s.inner), default=parts[0])
        carried = payload / float(outer.inner) if operation != "all-to-all" else payload
        rate = reach(outer.level, outer.ranks)
        bound = lower_bound(operation, float(outer.ranks), carried, outer.level.alpha_s, rate,
                            at_once=outer.level.kind in AT_ONCE)
        answer: dict[str, Any] = {
            "chip": name, "chips": count, "ranks": ranks, "bytes": payload,
            "levels": [{"name": s.level.name, "ranks": float(s.ranks), "alpha_s": band(s.level.alpha_s),
                        "bytes_s": band(reach(s.level, s.ranks))} for s in parts],
            "seconds": {e: band(t) for e, t in times.items()},
            "bus_bytes_s": band(bus_bytes_s(operation, ranks, payload, times["best"])) if ranks > 1 else None,
            "lower_bound_s": band(bound)}
        if operation == "all-to-all":
            answer["direct_by_level_s"] = {s.level.name: band(t) for s, t in
                                           zip(parts, all_to_all_parts(fabric, ranks, payload), strict=True)}
        answers.append(answer)
    if json:
        emit_json({"operation": operation, **(answers[0] if len(answers) == 1 else {"rows": answers})})
        return
    for answer in answers:
        times_us = {**answer["seconds"], "lower bound of the outer level": answer["lower_bound_s"]}
        rates = {f"{lv['name']}: {lv['ranks']:.0f} ranks": lv["bytes_s"] for lv in answer["levels"]}
        table(f"{operation} of {size} over {count} x {answer['chip']}, {answer['ranks']} ranks",
              ["", "microseconds: median (5th to 95th)"],
              [[e, span({q: v * 1e6 for q, v in b.items()})] for e, b in times_us.items()])
        table("Links", ["level", "GB/s of a rank"],
              [[e, span({q: v / 1e9 for q, v in b.items()})] for e, b in rates.items()])
    say("A rank is what software sees: a 910C package is two. Latency includes the launch of the operation.")


@app.command("check-claim", help="What an availability or MTBF claim needs to be true, and how probable that is.")
def check_claim(availability: Annotated[str, typer.Option("--availability", help="Claimed share, such as 98%.")] = "",
                mtbf: Annotated[str, typer.Option("--mtbf", help="Claimed time between failures, such as 24h.")] = "",
                recovery: Annotated[str, typer.Option("--recovery", help="Claimed recovery time, as 10min.")] = "",
                chip: Chip = "ascend-910c", chips: Size = "10000", ladder: Ladder = "full",
                detection: Detection = "active", scenario: Scene = "february-2025", as_of: AsOf = "",
                draws: Draws = 4000, seed: Seed = 1, json: Json = False) -> None:
    from chipcast.base.summary import interval as band
    from chipcast.base.summary import short, span
    from chipcast.cluster.claims import check

    ids, given = _setup(chip, scenario, as_of, draws, seed)
    if len(ids) != 1:
        raise InputError(f"--chip must name one chip here, got {', '.join(ids)}")
    (count,) = sizes_of(chips) if len(sizes_of(chips)) == 1 else (0,)
    if not count:
        raise InputError(f"--chips must be one number here, got '{chips}'")
    result = check(given, ids[0], count, ladder=ladder, detection=detection,
                   availability=_share(availability, "--availability") if availability else None,
                   mtbf_h=_seconds(mtbf, "--mtbf") / 3600 if mtbf else None,
                   recovery_h=_seconds(recovery, "--recovery") / 3600 if recovery else None)
    _warn(ids)
    if json:
        emit_json({"chip": result.chip, "chips": count, "as_of": str(given.as_of), "ladder": ladder,
                   "detection": detection, "claim": {"availability": result.availability, "mtbf_h": result.mtbf_h,
                                                     "recovery_h": result.recovery_h},
                   "must_hold": [{"name": n, "value": v, "unit": u} for n, v, u in result.must_hold],
                   "probability": result.probability, "clash": result.clash, "ettr": band(result.ettr),
                   "mtbf_h": band(result.mtbf_all_h), "mtbf_rollback_h": band(result.mtbf_rollback_h)})
        return
    table(f"What the claim needs: {count} x {result.chip}", ["must hold", "value", "unit"],
          [[n, short(v), u] for n, v, u in result.must_hold])
    table(f"How probable that is under the priors of {given.as_of}", ["reading", "probability"],
          [[n, f"{p:.3f}"] for n, p in result.probability.items()],
          foot=f"Priors give {span(result.mtbf_all_h, 2)} h between stops, {span(result.mtbf_rollback_h, 2)} h between "
               f"rollbacks, {_percent(band(result.ettr))} % of time in progress.")
    if result.clash:
        say(result.clash)


@app.command(help="Does a job on one chip stumble where another's does not; what the loss is made of; what mends it.")
def compare(chip: Chip = "ascend-910b2,ascend-910c,h800-sxm", chips: Size = "8192",
            same: Annotated[str, typer.Option("--same", help="chips, or compute: peak 16-bit rate.")] = "chips",
            threshold: Annotated[str, typer.Option(
                "--threshold", metavar="SHARE", help="Time in progress below which a job stumbles.")] = "",
            days: Annotated[float, measured("--days", "days", "Length of the run, for lost chip-days.", above=0,
                                             most=36_500)] = 60,
            ladder: Ladder = "vendor", detection: Detection = "mixed", scenario: Scene = "february-2025",
            as_of: AsOf = "", draws: Draws = 4000, seed: Seed = 1, json: Json = False) -> None:
    from chipcast.base.summary import interval as band
    from chipcast.cluster.compare import CAUSES
    from chipcast.cluster.compare import compare as pair
    from chipcast.cluster.fixes import cured_without, multiple_needed, waterfall
    from chipcast.cluster.goodput import case_of

    ids, given = _setup(chip, scenario, as_of, draws, seed)
    sizes = sizes_of(chips)
    if len(sizes) not in (1, len(ids)):
        raise InputError(f"--chips must be one number, or one for each of {len(ids)} chips, got '{chips}'")
    bound = _share(threshold, "--threshold") if threshold else None
    c = pair(given, ids, sizes[0] if len(sizes) == 1 else sizes, same=same, threshold=bound, ladder=ladder,
             detection=detection)
    first = ids[0]
    case = case_of(given, first, ladder=ladder, detection=detection)
    fall = waterfall(given, first, c.sizes[0], case, c.threshold)
    inverse = multiple_needed(case, c.sizes[0], c.threshold)
    cured = cured_without(case, c.sizes[0], c.threshold)
    rows: list[dict[str, Any]] = [
        {"chip": name, "chips": c.sizes[i], "p_stumble": float(c.p_stumble[i]), "ettr": band(c.ettr[i]),
         "goodput": band(c.goodput[i]), "mtbf_h": band(c.mtbf_h[i]), "mtbf_rollback_h": band(c.mtbf_rollback_h[i]),
         "loss": {cause: float(c.loss[i, k].mean()) for k, cause in enumerate(CAUSES)},
         "memory_and_links_share_of_loss": band(c.memory_and_links[i]),
         "lost_chip_days": band(days * c.sizes[i] * (1 - c.goodput[i]))} for i, name in enumerate(ids)]
    joint = {a: {b: float(c.p_first_and_not_second[i, j]) for j, b in enumerate(ids) if b != a}
             for i, a in enumerate(ids)}
    fixes: dict[str, list[dict[str, Any]]] = {
        key: [{"fix": f.name, "p_stumble": f.p_stumble, "progress_gained": band(f.gain),
               "useful_gained": band(f.useful)} for f in found]
        for key, found in (("alone", fall.alone), ("one_after_the_other", fall.together))}
    _warn(ids)
    if json:
        emit_json({"as_of": str(given.as_of), "threshold": c.threshold, "same": same, "ladder": ladder,
                   "detection": detection, "rows": rows, "p_row_stumbles_and_column_not": joint, "fixes": fixes,
                   "memory_and_link_faults_needed_times": inverse,
                   "stumbles_cured_without_memory_and_link_faults": cured})
        return
    table(f"A job stumbles when less than {c.threshold:.0%} of its time is progress ({given.as_of}, {draws} draws)",
          ["job", "P(stumble)", *[f"and not {b}" for b in ids], "in progress %", "goodput %"],
          [[f"{r['chips']} {r['chip']}", f"{r['p_stumble']:.3f}",
            *[f"{joint[r['chip']][b]:.3f}" if b != r["chip"] else "-" for b in ids], _percent(r["ettr"]),
            _percent(r["goodput"])] for r in rows])
    table("What wall time is lost to, mean %", ["job", *[x.replace("_", " ") for x in CAUSES]],
          [[f"{r['chips']} {r['chip']}", *[f"{100 * r['loss'][x]:.1f}" for x in CAUSES]] for r in rows])
    table(f"What would mend {c.sizes[0]} {first} (now {fall.p_stumble:.3f})",
          ["fix alone", "P(stumble)", "useful time gained, points"],
          [[f["fix"], f"{f['p_stumble']:.3f}", _points(f["useful_gained"])] for f in fixes["alone"]])
    table("One after the other, the most useful first", ["and then", "P(stumble)"],
          [[f.name, f"{f.p_stumble:.3f}"] for f in fall.together])
    named = band(c.memory_and_links[0])
    say(f"Memory and link faults cause {_percent(named)} % of the loss of {first} under these priors; without any of "
        f"them {cured:.0%} of its stumbles would not happen. "
        + ("At median values the job stumbles without any of them." if inverse == 0 else
           f"With all else at its median the job stumbles once they are {inverse:.1f} times as frequent as assumed."))


def _points(b: dict[str, float]) -> str:
    return f"{100 * b['p50']:.2f} ({100 * b['p05']:.2f} to {100 * b['p95']:.2f})"


@app.command(help="Spare nodes for a target share of time, with faults alone and with faults that come together.")
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
    from chipcast.cluster.spares import erlang_b_array, spares_for_nodes_down, spares_needed
    from chipcast.cluster.trace import pair_events

    ids, given = _setup(chip, scenario, as_of, draws, seed)
    if len(ids) != 1:
        raise InputError(f"--chip must name one chip here, got {', '.join(ids)}")
    (count,) = sizes_of(nodes) if len(sizes_of(nodes)) == 1 else (0,)
    if not count:
        raise InputError(f"--nodes must be one number, got '{nodes}'")
    share = _share(target, "--target")
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
    days: Any = given["repair.mean_h"] / 24
    if repair:
        text = repair.strip()
        days = np.full(given.draws, _seconds(f"{text[:-1]}days" if text.endswith("d") else text, "--repair") / 86_400)
    load = count * per_day * days
    alone, poisson = spares_needed(load, share), spares_for_nodes_down(load, share)
    # The published log is the one measure of clustering; its shape is put on the median load.
    log = habits(pair_events(read_json(TRACE), nodes=TRACE_NODES, days=TRACE_DAYS))
    middle = float(np.median(load))
    scaled = replace(log, nodes=count, faults_per_day=middle / float(log.repair_days.mean()))
    together = {m: down_quantile(scaled, m, share, runs=100, seed=seed) for m in MODELS}
    least = float(np.ceil(np.median(alone)))
    answer = {"chip": ids[0], "nodes": count, "target": share, "nodes_down_mean": band(load),
              "spares_stop_when_short": band(alone), "spares_constant_demand": band(poisson),
              "availability_at_median_spares": band(1 - erlang_b_array(least + 1, load)),
              "spares_by_model_at_median_load": {m: band(v) for m, v in together.items()}}
    if json:
        emit_json(answer)
        return
    table(f"Spare nodes for {count} nodes of {ids[0]}, enough for {share:.3%} of the time",
          ["faults", "spares: median (5th to 95th)"],
          [["alone, the job stops when short (Erlang)", span(alone)],
           ["alone, constant demand (Poisson)", span(poisson)],
           *[[f"{m.replace('+', ' + ')}, at the median load", span(v)] for m, v in together.items()]],
          foot=f"Nodes down on average: {span(load)}. With {short(least)} spares, enough nodes are up for "
               f"{_percent(band(1 - erlang_b_array(least + 1, load)))} % of the time.")
    say("Models of faults that come together carry the clustering of one published log of 400 servers.")


TRACE, TRACE_NODES, TRACE_DAYS = "stepfun_infinitehbd_fault_trace", 400, 348.0
"""The shipped log and what its publisher says was watched."""

MOST_NODES, MOST_DAYS = 1_000_000, 36_500
"""A log of more nodes or days than this is taken for a slip."""

Watched = Annotated[str, typer.Option("--nodes", help="Nodes watched, those without a fault included.")]
Span = Annotated[str, typer.Option("--days", help="Days watched.")]


def _trace(path: str, nodes: str, days: str) -> Any:
    """Read a log: JSON events, or CSV with one fault a row; the shipped log knows its nodes and days."""
    from chipcast.base.traces import read_csv, read_json
    from chipcast.base.units import parse_quantity
    from chipcast.cluster.trace import from_rows, pair_events

    shipped = path == TRACE
    if not shipped and (not nodes or not days):
        raise InputError("state --nodes and --days of the watch: a log names only nodes that failed")
    count = parse_quantity(nodes, "1", "--nodes") if nodes else TRACE_NODES
    span = parse_quantity(days, "days", "--days") if days else TRACE_DAYS
    if count != int(count) or not 1 <= count <= MOST_NODES or not 0 < span <= MOST_DAYS:
        raise InputError(f"--nodes must be a whole number from 1 to {MOST_NODES:,} and --days lie above 0 and "
                         f"not above {MOST_DAYS:,}, got {count:g} and {span:g}")
    if path.lower().removesuffix(".gz").endswith(".csv"):
        return from_rows(read_csv(path), nodes=int(count), days=span)
    return pair_events(read_json(path), nodes=int(count), days=span)


@app.command(help="Play a fault log back: nodes down, availability, what a job on all nodes sees.")
def replay(path: Annotated[str, typer.Argument(metavar="TRACE", help="JSON or CSV, or a shipped name.")] = TRACE,
           nodes: Watched = "", days: Span = "", json: Json = False) -> None:
    from dataclasses import asdict

    from chipcast.base.summary import short
    from chipcast.cluster.curves import down_over_time
    from chipcast.cluster.spares import spares_for_nodes_down
    from chipcast.cluster.trace import replay as play

    log = _trace(path, nodes, days)
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


@app.command(help="Fit one's own fault log: rates by class, clustering, relapses, repair, and what it cannot tell.")
def fit(path: Annotated[str, typer.Argument(metavar="LOG", help="CSV with node, start, end, class; or JSON events.")],
        nodes: Watched = "", days: Span = "",
        per_node: Annotated[int, whole("--chips-per-node", "Chips of one node.", most=1024)] = 8,
        json: Json = False) -> None:
    from chipcast.base.summary import short
    from chipcast.cluster.fit import fit as learn
    from chipcast.cluster.trace import LAGS_DAYS

    log = _trace(path, nodes, days)
    found = learn(log, chips_per_node=per_node)
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
    say("This log cannot tell: " + "; ".join(found.cannot_tell) + ".")


@app.command(help="Published availability claims, solved: what each needs, which clash.")
def claims(scenario: Scene = "february-2025", as_of: AsOf = "", json: Json = False) -> None:
    from chipcast.base.summary import short
    from chipcast.cluster.claims import solve

    given = world(scenario, as_of=as_of, draws=100, chips=("h100-sxm",))
    solved, later = solve(given)
    if json:
        emit_json({"as_of": str(given.as_of), "not_known_yet": later, "claims": [
            {"claims": s.claims, "rows": s.rows, "must_hold": [{"name": n, "value": float(v), "unit": u}
                                                               for n, v, u in s.must_hold],
             "verdict": s.verdict} for s in solved]})
        return
    for s in solved:
        table(s.claims, ["must hold", "value", "unit"], [[n, short(float(v), 4), u] for n, v, u in s.must_hold],
              foot=f"{s.verdict} [{', '.join(s.rows)}]")
    if later:
        say(f"Not known yet on {given.as_of}: {', '.join(later)}. Use a later --as-of.")


@app.command(help="How often to checkpoint: the best interval, Young's and Daly's, and what it costs to be wrong.")
def checkpoint(chip: Chip = "h800-sxm", chips: Size = "8192",
               stall: Annotated[str, typer.Option("--checkpoint", help="Stall of one, as 30s; default: assumed.")] = "",
               ladder: Ladder = "vendor", detection: Detection = "mixed", scenario: Scene = "february-2025",
               as_of: AsOf = "", draws: Draws = 2000, seed: Seed = 1, json: Json = False) -> None:
    from dataclasses import replace

    import numpy as np

    from chipcast.base.summary import interval as band
    from chipcast.cluster.case import keep, require_progress
    from chipcast.cluster.curves import checkpoint_curve, interval_marks
    from chipcast.cluster.goodput import case_of

    ids, given = _setup(chip, scenario, as_of, draws, seed)
    sizes = sizes_of(chips)
    if len(ids) != 1 or len(sizes) != 1:
        raise InputError("--chip and --chips must name one each here")
    case = case_of(given, ids[0], ladder=ladder, detection=detection)
    if stall:
        case = replace(case, checkpoint_s=_seconds(stall, "--checkpoint"))
        require_progress(case, sizes)
    best = keep(case, sizes)
    marks = interval_marks(float(np.median(1 / best.mtbf_rollback_h)) / 3600, float(np.median(case.checkpoint_s)))
    middle = float(np.median(best.checkpoint_every_s))
    wrong = {f"{factor:g} x the median best": band(best.ettr[0] - keep(case, sizes, interval_s=factor * middle).ettr[0])
             for factor in (0.25, 0.5, 1.0, 2.0, 4.0)}
    curve = checkpoint_curve(case, sizes[0])
    _warn(ids)
    if json:
        emit_json({"chip": ids[0], "chips": sizes[0], "best_s": band(best.checkpoint_every_s[0]), "at_medians_s": marks,
                   "ettr": band(best.ettr[0]), "lost_by_being_wrong": wrong, "curve": curve})
        return
    table(f"Useful work between checkpoints, {sizes[0]} x {ids[0]}", ["", "minutes"],
          [["best in each draw: median (5th to 95th)", _minutes(band(best.checkpoint_every_s[0]))],
           *[[f"at medians, {name}", f"{value / 60:.2f}"] for name, value in marks.items()]])
    table("Time in progress lost by one interval for all draws", ["interval", "points lost against each draw's best"],
          [[name, _points(b)] for name, b in wrong.items()],
          foot=f"With the best interval {_percent(band(best.ettr[0]))} % of time is progress.")


def _minutes(b: dict[str, float]) -> str:
    return f"{b['p50'] / 60:.1f} ({b['p05'] / 60:.1f} to {b['p95'] / 60:.1f})"


@app.command(help="Play jobs out fault by fault: a typical and a bad run, and how the exact formula compares.")
def simulate(chip: Chip = "ascend-910b2", chips: Size = "8192",
             days: Annotated[float, measured("--days", "days", "Days of each run.", least=0.1, most=3650)] = 14,
             runs: Annotated[int, whole("--runs", "Runs to play.", least=20, most=100_000)] = 400,
             together: Annotated[bool, typer.Option(
                 "--together", help="Faults come in batches, relapses and bad months, as in a published log.")] = False,
             ladder: Ladder = "vendor", detection: Detection = "mixed", scenario: Scene = "february-2025",
             as_of: AsOf = "", seed: Seed = 1, json: Json = False) -> None:
    import numpy as np

    from chipcast.base.summary import interval as band
    from chipcast.base.traces import read_json
    from chipcast.cluster.case import keep
    from chipcast.cluster.dependence import habits
    from chipcast.cluster.goodput import case_of
    from chipcast.cluster.record import PARTS
    from chipcast.cluster.simulate import simulate as play
    from chipcast.cluster.simulate import typical_and_bad
    from chipcast.cluster.trace import pair_events

    ids, given = _setup(chip, scenario, as_of, max(runs, 100), seed)
    sizes = sizes_of(chips)
    if len(ids) != 1 or len(sizes) != 1:
        raise InputError("--chip and --chips must name one each here")
    case = case_of(given, ids[0], ladder=ladder, detection=detection)
    log = habits(pair_events(read_json(TRACE), nodes=TRACE_NODES, days=TRACE_DAYS)) if together else None
    played = play(case, sizes[0], days=days, runs=runs, seed=seed, together=log,
                  repair="empirical" if together else "weibull", log=20_000)
    exact = keep(case, sizes)
    shown = dict(zip(("typical", "bad"), typical_and_bad(played), strict=True))
    rows: dict[str, dict[str, Any]] = {
        name: {"run": r, "ettr": float(played.ettr[r]), "rollbacks": int(played.rollbacks[r]),
                   "stops": int(played.stops[r]),
                   "ledger": {p: float(played.ledger[k, r]) for k, p in enumerate(PARTS)}} for name, r in shown.items()}
    _warn(ids)
    if json:
        emit_json({"chip": ids[0], "chips": sizes[0], "days": days, "runs": runs, "together": together,
                   "ettr": band(played.ettr), "goodput": band(played.goodput), "exact_ettr": band(exact.ettr[0]),
                   "rollbacks": band(played.rollbacks), "stops": band(played.stops), **rows,
                   "timelines": {name: [[float(t), PARTS[int(p)]] for t, p in
                                        zip(played.log_s[r], played.log_part[r], strict=True) if np.isfinite(t)]
                                 for name, r in shown.items()}})
        return
    table(f"{runs} runs of {days:g} days on {sizes[0]} x {ids[0]}", ["", "in progress %", "rollbacks"],
          [["played out", _percent(band(played.ettr)), f"{np.median(played.rollbacks):.0f}"],
           ["exact formula, faults alone", _percent(band(exact.ettr[0])), "-"],
           *[[f"a {name} run", f"{100 * row['ettr']:.1f}", row["rollbacks"]] for name, row in rows.items()]])
    table("Where the time of these runs went, %", ["run", *[p.replace("_", " ") for p in PARTS]],
          [[name, *[f"{100 * row['ledger'][p]:.1f}" for p in PARTS]] for name, row in rows.items()])
