"""Verbs on lines: a chip's status over time, how near chips sit to the lines, where in the world a chip may go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chipcast.base.errors import InputError
from chipcast.cli.common import NO_LAWYER, AsOf, Json, emit_json, measured, say, table
from chipcast.cli.rules_words import Buyer, ChipArg, Hq, On, To, Within, book, chip_of, day_of, segment_of


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command(help="A chip's status over time: every change, the row behind it, and a picture with --svg.")(history)
    app.command(help="How near each chip sits to the lines of a day, and the largest chip that stays free.")(design)
    app.command("map", help="Where in the world a chip may go on a day: countries by status.")(world)


def history(chip: ChipArg, to: To = "CN", hq: Hq = "", buyer: Buyer = "platform",
            begin: Annotated[str, typer.Option("--begin", metavar="DATE", help="Default: the chip's announcement, "
                                                                              "or the first chip rule.")] = "",
            until: Annotated[str, typer.Option("--until", metavar="DATE", help="Default: half a year past the "
                                                                              "sources.")] = "",
            then: Annotated[bool, typer.Option("--as-known-then", help="Answer each day with what was public on "
                                                                       "it.")] = False,
            svg: Annotated[str, typer.Option("--svg", metavar="FILE", help="Write the picture there.")] = "",
            scenario: Within = "", as_of: AsOf = "", json: Json = False) -> None:
    """Print the spans of days on which the answer stays the same."""
    from datetime import timedelta

    from chipcast.base.calendar import parse_date
    from chipcast.rules import history as station
    from chipcast.rules.check import ask_for, unknown_after
    from chipcast.rules.rule import known_layers

    source = book(scenario, as_of)
    catalog = source.catalog
    f = chip_of(source, chip)
    first_rule = min((x.effective for x in known_layers(catalog) if x.subject == "chip" and x.effective),
                     default=catalog.as_of)
    start = parse_date(begin) if begin else max(parse_date(f.announced) if f.announced else first_rule,
                                                first_rule - timedelta(days=182))
    stop = parse_date(until) if until else max(min(unknown_after(catalog), catalog.as_of), start) + timedelta(days=184)
    ask = ask_for(catalog, f, start, to=to, hq=hq, segment=segment_of(buyer))
    spans = station.history(catalog, ask, begin=start, until=stop, as_known_then=then,
                            events=source.events)
    if svg:
        from chipcast.report.theme import STATUS_COLOURS

        seat = "" if ask.hq.code == ask.to.code else f", parent in {ask.hq.name}"
        known = "what was public on each day" if then else f"as known on {catalog.as_of}"
        text = station.picture(
            spans, title=f"{f.model} to {ask.to.name}{seat}, buyer class {ask.segment}", colours=STATUS_COLOURS,
            chinese=ask.to.code == "CN", foot=f"Answers: {known}; sources to {unknown_after(catalog)}. {NO_LAWYER}")
        _write(Path(svg), text)
    if json:
        emit_json({"chip": f.id, "to": ask.to.code, "hq": ask.hq.code, "buyer": ask.segment,
                   "as_of": str(catalog.as_of), "as_known_then": then, "spans": [
                       {"from": str(s.begin), "until": str(s.until), "us": s.us, "cn": s.cn, "status": s.status,
                        "us_by": s.us_by or None, "cn_by": s.cn_by or None, "enforced": s.enforced or None}
                       for s in spans],
                   "unknown_after": str(unknown_after(catalog)), "svg": svg or None, "not_legal_advice": NO_LAWYER})
        return
    parent = "" if ask.hq.code == ask.to.code else f", parent in {ask.hq.name}"
    for line in station.strip(spans, chinese=ask.to.code == "CN"):
        say(line)
    table(f"{f.model} to {ask.to.name}{parent}, buyer class {ask.segment}",
          ["from", "until", "US gate", "Chinese gate", "status", "decided by"],
          [[s.begin, s.until, s.us + (" (doubtful)" if s.enforced == "doubtful" else ""), s.cn, s.status,
            s.decided_by or "-"] for s in spans], foot=NO_LAWYER)
    if svg:
        say(f"picture: {svg}")


def _write(path: Path, text: str) -> None:
    if path.exists():
        raise InputError(f"{path} exists; name another file or remove it")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; name another file") from None


def design(chip: Annotated[str, typer.Argument(metavar="[CHIP]", help="Only this chip, line by line.")] = "",
           against: Annotated[str, typer.Option("--against", metavar="DATE", help="The rules of this day; default: "
                                                                                 "the last in the sources.")] = "",
           area: Annotated[list[str] | None, typer.Option("--area", metavar="MM2", help="Die area that counts; "
                                                                          "repeat.")] = None,
           io: Annotated[float, measured("--io", "GB/s", "Links of the design, both directions.", least=0)] = 0.0,
           dram: Annotated[float, measured("--dram", "GB/s", "Memory bandwidth of the design.", least=0)] = 0.0,
           use: Annotated[str, typer.Option("--use", help="datacenter or other: how it is sold.")] = "datacenter",
           slack: Annotated[str, typer.Option("--slack", help="log_box: one common factor; euclid_log: one factor a "
                                                             "figure.")] = "log_box",
           to: To = "CN", hq: Hq = "", scenario: Within = "", as_of: AsOf = "", json: Json = False) -> None:
    """Print the largest chip that stays free, and how near each chip sits to the lines."""
    from datetime import date

    from chipcast.base.errors import require
    from chipcast.base.units import parse_quantity
    from chipcast.rules import design as station
    from chipcast.rules.check import ask_for
    from chipcast.rules.rule import horizon

    source = book(scenario, as_of)
    catalog = source.catalog
    day = day_of(catalog, against)
    end: date | None = horizon(catalog)
    note = f"the sources end on {end}; the lines are those of that day" if end and day > end else ""
    day = min(day, end) if end else day
    areas = [parse_quantity(a, "mm2", "--area") for a in area] if area else list(station.bends())
    for a in areas:
        require(a > 0, "--area", "be above 0 mm2", a)
    if use not in ("datacenter", "other"):
        raise InputError(f"--use must be datacenter or other, got '{use}'")
    best = [station.largest(catalog, day, area_mm2=a, io_bidir_gb_s=io, dram_bw_gb_s=dram, to=to, hq=hq,
                            datacenter=use == "datacenter") for a in areas]
    bounds = station.other_bounds(catalog, day, to=to, hq=hq)
    if chip:
        ask = ask_for(catalog, chip_of(source, chip), day, to=to, hq=hq)
        found = [{k: v for k, v in r.items() if k != "reason"} for r in station.lines(catalog, ask, measure=slack)]
        if json:
            emit_json({"chip": ask.figures.id, "against": str(day), "as_of": str(catalog.as_of), "lines": found,
                       "frontier": best, "also_below": bounds, "note": note, "not_legal_advice": NO_LAWYER})
            return
        table(f"{ask.figures.model} against the rules of {day}", ["rule", "prong", "slack", "line that decides"],
              [[r["rule_id"], r["prong"], " to ".join(f"{s:+.4f}" for s in dict.fromkeys(r["slack"])),
                f"{r['quantity']} {r['op']} {r['limit']:g}"] for r in found],
              foot=f"Slack above 0 is free: ln of the distance. {note + '. ' if note else ''}{NO_LAWYER}")
        return
    rungs = station.ladder(catalog, day, to=to, hq=hq)
    if json:
        emit_json({"against": str(day), "as_of": str(catalog.as_of), "to": to, "frontier": best, "also_below": bounds,
                   "chips": rungs, "note": note, "not_legal_advice": NO_LAWYER})
        return
    if any(r["largest_free_tpp"] is not None for r in best):
        sold = "for a part sold to data centres" if use == "datacenter" else "for a part not sold to data centres"
        table(f"Largest TPP that stays free on {day}, {sold} (approached, not reached; checked on both sides)",
              ["die area mm2", "TPP", "dense FP16 TFLOPS", "just below", "on it"],
              [[f"{r['area_mm2']:g}", f"{r['largest_free_tpp']:g}", f"{r['fp16_tflops']:g}", r["status_below"],
                r["status_at"]] if r["largest_free_tpp"] is not None else
               [f"{r['area_mm2']:g}", "no bound", "-", r["status_below"], "-"] for r in best])
    else:
        say(f"No rule in force on {day} bounds TPP for such a design: nothing bounds it by die area.")
    if bounds:
        say("A free design also stays " + ", ".join(
            f"{'below' if b['op'] == '>=' else 'at or below'} {b['limit']:g} {b['unit']} of {b['what']}"
            for b in bounds) + f" ({', '.join(dict.fromkeys(b['rule_id'] for b in bounds))}).")
    table("Slack to the nearest line, free parts nearest to it first", ["chip", "US gate", "slack", "nearest line"],
          [[r["chip"], r["us"], "unknown" if r["slack"] != r["slack"] else f"{r['slack']:+.4f}", r["nearest"] or "-"]
           for r in rungs], foot=f"{note + '. ' if note else ''}{NO_LAWYER}")


def world(chip: ChipArg, on: On = "", hq: Hq = "", buyer: Buyer = "platform", scenario: Within = "",
          as_of: AsOf = "", json: Json = False) -> None:
    """Print countries by status."""
    from chipcast.rules.atlas import everywhere
    from chipcast.rules.explain import MEANING

    source = book(scenario, as_of)
    catalog = source.catalog
    day = day_of(catalog, on)
    f = chip_of(source, chip)
    found = everywhere(catalog, f, day, hq=hq, segment=segment_of(buyer), events=source.events)
    if json:
        emit_json({"chip": f.id, "on": str(day), "as_of": str(catalog.as_of), "hq": hq or None, "countries": {
            code: {"name": v.ask.to.name, "us": v.us.word, "cn": v.cn.word, "status": v.status,
                   "rule_id": v.deciding.decided_by or None, "prong": v.deciding.prong or None}
            for code, v in sorted(found.items())}, "not_legal_advice": NO_LAWYER})
        return
    groups: dict[tuple[str, str, str], list[str]] = {}
    for v in found.values():
        one = v.deciding
        doubt = ", doubtful" if one.enforced == "doubtful" else ""
        groups.setdefault((v.status, MEANING[one.word] + doubt, one.decided_by or "-"), []).append(v.ask.to.name)
    rows = [[f"{status}: {meaning}", rule, len(names), ", ".join(sorted(names)[:12]) + (", ..." if len(names) > 12
                                                                                       else "")]
            for (status, meaning, rule), names in sorted(groups.items(), key=lambda g: -len(g[1]))]
    table(f"{f.model} on {day}" + (f", parent in {hq}" if hq else ""), ["status", "decided by", "countries", "which"],
          rows, foot=f"Only the rules of this tool: of an embargo it knows the place and not the text, so that a chip "
                     f"which no other row stops is unknown there. Country groups as recalled from the regulation. "
                     f"{NO_LAWYER}")
