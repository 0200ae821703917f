"""Verbs of `cluster`: what large jobs keep, how long collectives take, whether a claim can hold."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.base.errors import InputError
from chipcast.cli.common import AsOf, Draws, Json, Seed, emit_json, note, say, table
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


def sizes_of(text: str) -> tuple[int, ...]:
    """Read `8192`, `1024,4096` or `1024..16384` (doubling)."""
    from chipcast.base.units import parse_quantity

    def whole(word: str) -> int:
        number = parse_quantity(word, "chips", "--chips")
        if number < 1 or number != int(number):
            raise InputError(f"--chips must be whole numbers of 1 or more, got '{word.strip()}'")
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
            days: Annotated[float, typer.Option("--days", min=0.0, help="Length of the run, to count stops.")] = 60,
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
        bound = lower_bound(operation, float(outer.ranks), carried, outer.level.alpha_s, rate)
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
