"""Verbs of `rules`: what the rules measure, who may buy what on which day, how near each line is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chipcast.base.errors import InputError
from chipcast.cli.common import NO_LAWYER, AsOf, Draws, Json, Seed, catalogue, emit_json, measured, say, table

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None,
                  help="Export rules: measure a chip, check a shipment, both gates, as known on any date.")

ChipArg = Annotated[str, typer.Argument(metavar="CHIP", help="A chip id, an alias, or a YAML file with figures.")]
To = Annotated[str, typer.Option("--to", metavar="COUNTRY", help="Destination: code or name.")]
Hq = Annotated[str, typer.Option("--hq", metavar="COUNTRY", help="Seat of the buyer's parent; default: destination.")]
On = Annotated[str, typer.Option("--on", metavar="DATE", help="Day of the shipment; default: the last day that the sources "
                                                              "speak of.")]
Buyer = Annotated[str, typer.Option("--buyer", metavar="CLASS", help="platform, cloud, state_funded, public_centre, "
                                                                    "private or clinic_school.")]


AHEAD = 4
"""Changes ahead that the readable answer lists."""


def _day(catalog: Any, text: str) -> Any:
    """Return the day that is asked for, by default the last that the catalogue's sources speak of."""
    from chipcast.base.calendar import parse_date
    from chipcast.rules.rule import horizon

    return parse_date(text) if text else min(catalog.as_of, horizon(catalog) or catalog.as_of)


def _is_file(chip: str) -> bool:
    """Return whether a chip argument names a file, perhaps with one of its chips as FILE#NAME."""
    return chip.partition("#")[0].lower().endswith((".yaml", ".yml"))


def _read(chip: str) -> tuple[str, dict[str, Any]]:
    """Return the id and the figures of a chip file."""
    from chipcast.base.document import bare, read_yaml
    from chipcast.rules.own import pick

    text, _, which = chip.partition("#")
    path = Path(text)
    if not path.is_file():
        raise InputError(f"no file '{text}'; write a YAML file with figures such as fp16_tflops: 148")
    try:
        return pick(bare(read_yaml(path)), name=path.stem, which=which)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None


def _figures(catalog: Any, chip: str, use: str = "") -> Any:
    from dataclasses import replace

    from chipcast.rules.measure import figures

    if _is_file(chip):
        from chipcast.rules.own import own_chip

        name, fields = _read(chip)
        try:
            found = own_chip(fields, name=name, catalog=catalog)
        except InputError as error:
            raise InputError(f"{Path(chip).name}: {error}") from None
    else:
        from chipcast.chip.formats import mixture

        found = figures(catalog, mixture(chip) or catalog.resolve_chip(chip))
    if use:
        flags = {"datacenter": (1, 1), "other": (0, 0)}
        if use not in flags:
            raise InputError(f"--use must be datacenter or other, got '{use}'")
        found = replace(found, dc=flags[use], remarks=(*found.remarks, f"read as a product for {use} use, as asked"))
    return found


def _segment(text: str) -> str:
    from chipcast.base.errors import unknown

    known = ("platform", "cloud", "state_funded", "public_centre", "private", "clinic_school")
    word = text.strip().lower().replace("-", "_").replace(" ", "_")
    if word not in known:
        unknown("buyer class", text, known)
    return word


def _entity(text: str) -> str:
    from chipcast.base.errors import unknown
    from chipcast.rules.rule import layers

    if not text:
        return ""
    known = {a for x in layers() if x.subject == "entity" for a in x.addressees}
    word = text.strip().lower().replace("-", "_").replace(" ", "_")
    if word not in known:
        unknown("listed buyer", text, known)
    return word


def _region(text: str) -> str:
    from chipcast.base.errors import unknown
    from chipcast.rules.rule import layers

    known = {place.lower(): place for x in layers() if x.gate == "cn" and x.subject == "share" for place in x.scope
             if place != "CN"}
    word = text.strip().lower()
    if word and word not in known:
        unknown("region with rules of its own", text, known.values())
    return known.get(word, "")


@app.command(help="Total processing performance and density of a chip, with every figure that goes in.")
def measure(chip: ChipArg, use: Annotated[str, typer.Option("--use", help="datacenter or other.")] = "",
            as_of: AsOf = "", json: Json = False) -> None:
    from chipcast.rules.design import classes_by_area
    from chipcast.rules.explain import measurement, span

    catalog = catalogue(as_of)
    f = _figures(catalog, chip, use)
    by_area = classes_by_area(f)
    if json:
        emit_json({**measurement(f), "class_2023_by_die_area": by_area, "as_of": str(catalog.as_of),
                   "not_legal_advice": NO_LAWYER})
        return
    say(f"{f.model} ({f.id}), as known on {catalog.as_of}")
    winner = f" ({f.winner} wins)" if f.winner else ""
    rows = [["TPP: bits x dense rate, largest format" + winner, span(f.tpp), "1"],
            *[[f"  in {p}", span(v), "1"] for p, v in f.tpp_by_precision.items()],
            ["die area that counts", span(f.area_mm2), "mm2"], ["performance density", span(f.pd), "1/mm2"],
            ["links, both directions", span(f.io_bidir_gb_s), "GB/s"],
            ["memory bandwidth", span(f.dram_bw_gb_s), "GB/s"],
            ["for data centres", {(1, 1): "yes", (0, 0): "no"}.get(f.dc, "unknown"), ""]]
    table("", ["what the rules measure", "value", "unit"], rows)
    table("", ["input", "value", "unit", "kind", "known by", "source"],
          [[e.name, span((e.low, e.high)), e.unit, e.kind, e.known_by, e.source] for e in f.entries])
    if len(by_area) > 1:
        say("The die area is open. Under the list of 2023: " + "; ".join(
            f"{row['class']} {row['where']}" for row in by_area) + ".")
    for remark in f.remarks:
        say(f"note: {remark}")
    say(NO_LAWYER)


@app.command(help="Whether a chip may go to a buyer on a day: both gates, the rule that decides, the slack.")
def check(chip: ChipArg, to: To = "CN", hq: Hq = "", on: On = "", buyer: Buyer = "platform",
          origin: Annotated[str, typer.Option("--from", metavar="COUNTRY", help="Where it is exported from.")] = "US",
          use: Annotated[str, typer.Option("--use", help="datacenter or other: how the product is sold.")] = "",
          entity: Annotated[str, typer.Option("--entity", help="Buyer named on the Entity List.")] = "",
          owned: Annotated[float, measured("--owned-by-listed", "1", "Share of the buyer that listed parties own.",
                                           least=0, most=1)] = 0.0,
          region: Annotated[str, typer.Option("--region", help="Place inside China, for local rules.")] = "",
          hq_rule: Annotated[str, typer.Option("--hq-rule", help="as_enforced, as_text or off.")] = "as_enforced",
          missing: Annotated[str, typer.Option("--unknown", help="Where a figure is uncertain: interval, probability "
                                                                "or refuse.")] = "interval",
          draws: Draws = 2000, seed: Seed = 1, as_of: AsOf = "", json: Json = False) -> None:
    from chipcast.rules.check import ask_for, verdict
    from chipcast.rules.explain import MEANING, payload
    from chipcast.rules.place import place

    catalog = catalogue(as_of)
    day = _day(catalog, on)
    ask = ask_for(catalog, _figures(catalog, chip, use), day, to=to, hq=hq, segment=_segment(buyer),
                  from_us=place(origin).code == "US", entity=_entity(entity), owned_by_listed=owned,
                  region=_region(region))
    answer = verdict(catalog, ask, hq_rule=hq_rule)
    result = payload(answer)
    if missing != "interval":
        result |= _open(missing, chip, catalog, answer, hq_rule, draws, seed)
    if json:
        emit_json(result)
        return
    say(result["sentence"])
    if "probability" in result:
        say("probability over the stated ranges: " + ", ".join(
            f"{word} {share:.0%}" for word, share in result["probability"]["status"].items()))
    rows = []
    for x in result["layers"]:
        ends = list(dict.fromkeys(f"{s:+.4f}" for s in x["slack"] if s is not None))
        rows.append([x["rule_id"], x["caught"] + (f" {', '.join(x['prongs'])}" if x["prongs"] else ""),
                     MEANING[x["consequence"]] if x["consequence"] else "-",
                     " to ".join(ends) or "-", x["nearest"] or "-"])
    if rows:
        table("", ["layer in force", "caught", "consequence", "slack", "nearest line"], rows)
    ahead = [x for x in result["scheduled"] if _concerns(x["rule_id"], ask)]
    for x in ahead[:AHEAD]:
        say(f"ahead: {x['rule_id']} {x['what']} ({x['on']})")
    if len(ahead) > AHEAD:
        say(f"ahead: {len(ahead) - AHEAD} more that may concern this shipment, see --json")
    if result["permit_days"]:
        say(f"a notice takes {result['permit_days']:g} days")
    for x in result["costs"]:
        say(f"cost: {x['rule_id']} takes {x['share']:.0%} of {x['of']} ({x['enforced']})")
    if result["min_domestic_share"]:
        say(f"the buyer must hold at least {result['min_domestic_share']:.0%} domestic chips")
    if as_of and ask.on <= catalog.as_of:
        say("Letters bind on receipt and may become public later; what was not public on the information date is "
            "not used.")
    for text in (*result["disputed"], *result["remarks"]):
        say(f"note: {text}")
    say(NO_LAWYER)


def _concerns(rule_id: str, ask: Any) -> bool:
    """Return whether a change ahead may touch a shipment: by place, and by chip where the row names chips."""
    from chipcast.rules.rule import layer

    x = layer(rule_id)
    here = x.reaches(ask.to.groups, ask.on) or (ask.region and ask.region in x.scope)
    named = not x.parts or x.test is not None or ask.figures.id in x.parts
    spoken = x.subject in ("chip", "prc_chip") and ask.figures.domestic == (x.subject == "prc_chip")
    shared = x.subject == "share" and bool(x.word(ask.segment)) and not ask.figures.domestic
    owner = x.subject == "affiliate" and bool(ask.owned_by_listed)
    return bool(here and ((spoken and named) or shared or owner))


def _open(policy: str, chip: str, catalog: Any, answer: Any, hq_rule: str, draws: int, seed: int) -> dict[str, Any]:
    """Return what a policy for uncertain figures adds to the answer."""
    from chipcast.base.catalog import FIRST_VINTAGE
    from chipcast.base.choose import choose
    from chipcast.cli.common import given
    from chipcast.rules.own import own_rows
    from chipcast.rules.uncertain import UNKNOWN_POLICY, probabilities

    work = choose(UNKNOWN_POLICY, policy, "policy for unknown figures")
    if work is not None:
        return dict(work(answer, catalog))
    if catalog.as_of < FIRST_VINTAGE:
        raise InputError(f"--unknown probability needs draws, which exist from {FIRST_VINTAGE} on; "
                         "use a later --as-of or --unknown interval")
    table, name = given(as_of=str(catalog.as_of), draws=draws, seed=seed), answer.ask.figures.id
    if _is_file(chip):
        table = table.with_rows(own_rows(_read(chip)[1], name=name, catalog=catalog))
    return {"probability": probabilities(table, name, answer.ask, hq_rule=hq_rule)}


@app.command("table", help="Every chip: both gates, the prong that decides or is nearest, the slack.")
def whole_table(to: To = "CN", hq: Hq = "", on: On = "", buyer: Buyer = "platform", as_of: AsOf = "",
                json: Json = False) -> None:
    from chipcast.rules.check import ask_for, signed, verdict

    catalog = catalogue(as_of)
    day = _day(catalog, on)
    found = []
    for item in catalog.chip_ids():
        v = verdict(catalog, ask_for(catalog, item, day, to=to, hq=hq, segment=_segment(buyer)))
        found.append((v, signed(v.us)))
    if json:
        emit_json({"on": str(day), "as_of": str(catalog.as_of), "to": found[0][0].ask.to.code if found else to,
                   "buyer": _segment(buyer), "chips": [
                       {"chip": v.ask.figures.id, "announced": v.ask.figures.announced,
                        "on_sale": v.ask.figures.announced <= str(day), "us": v.us.word, "cn": v.cn.word,
                        "status": v.status, "rule_id": v.deciding.decided_by or None,
                        "prong": v.deciding.prong or None, "slack": s} for v, s in found],
                   "unknown_after": str(found[0][0].unknown_after) if found else None,
                   "not_legal_advice": NO_LAWYER})
        return
    rows = [[v.ask.figures.id, v.us.word, v.cn.word,
             v.status if v.ask.figures.announced <= str(day) else "not announced",
             v.deciding.decided_by or "-", v.us.prong or "-", "-" if s != s else f"{s:+.4f}"] for v, s in found]
    table(f"To {to} on {day}, buyer class {_segment(buyer)}, as known on {catalog.as_of}",
          ["chip", "US gate", "Chinese gate", "status", "decided by", "prong", "slack"], rows,
          foot=f"Slack above 0 is free: ln of the distance to the nearest line. {NO_LAWYER}")


@app.command(help="A chip's status over time: every change, the row behind it, and a picture with --svg.")
def history(chip: ChipArg, to: To = "CN", hq: Hq = "", buyer: Buyer = "platform",
            begin: Annotated[str, typer.Option("--begin", metavar="DATE", help="Default: the chip's announcement, "
                                                                              "or the first chip rule.")] = "",
            until: Annotated[str, typer.Option("--until", metavar="DATE", help="Default: half a year past the "
                                                                              "sources.")] = "",
            then: Annotated[bool, typer.Option("--as-known-then", help="Answer each day with what was public on "
                                                                       "it.")] = False,
            svg: Annotated[str, typer.Option("--svg", metavar="FILE", help="Write the picture there.")] = "",
            as_of: AsOf = "", json: Json = False) -> None:
    from datetime import timedelta

    from chipcast.base.calendar import parse_date
    from chipcast.rules import history as station
    from chipcast.rules.check import ask_for, unknown_after
    from chipcast.rules.rule import known_layers

    catalog = catalogue(as_of)
    f = _figures(catalog, chip)
    first_rule = min((x.effective for x in known_layers(catalog) if x.subject == "chip" and x.effective),
                     default=catalog.as_of)
    start = parse_date(begin) if begin else max(parse_date(f.announced) if f.announced else first_rule,
                                                first_rule - timedelta(days=182))
    stop = parse_date(until) if until else max(unknown_after(catalog), start) + timedelta(days=184)
    ask = ask_for(catalog, f, start, to=to, hq=hq, segment=_segment(buyer))
    spans = station.history(catalog, ask, begin=start, until=stop, as_known_then=then)
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


@app.command(help="How near each chip sits to the lines of a day, and the largest chip that stays free.")
def design(chip: Annotated[str, typer.Argument(metavar="[CHIP]", help="Only this chip, line by line.")] = "",
           against: Annotated[str, typer.Option("--against", metavar="DATE", help="The rules of this day; default: "
                                                                                 "the information date.")] = "",
           area: Annotated[list[str] | None, typer.Option("--area", metavar="MM2", help="Die area that counts; "
                                                                          "repeat.")] = None,
           to: To = "CN", hq: Hq = "", as_of: AsOf = "", json: Json = False) -> None:
    from datetime import date

    from chipcast.base.errors import require
    from chipcast.base.units import parse_quantity
    from chipcast.rules import design as station
    from chipcast.rules.check import ask_for
    from chipcast.rules.rule import horizon

    catalog = catalogue(as_of)
    day = _day(catalog, against)
    end: date | None = horizon(catalog)
    note = f"the sources end on {end}; the lines are those of that day" if end and day > end else ""
    day = min(day, end) if end else day
    areas = [parse_quantity(a, "mm2", "--area") for a in area] if area else list(station.bends())
    for a in areas:
        require(a > 0, "--area", "be above 0 mm2", a)
    known = bool(station.in_force(catalog, day))
    best = [{"area_mm2": a, "largest_free_tpp": float(station.frontier(a)),
             "fp16_tflops": float(station.frontier(a)) / 16} for a in areas] if known else []
    if chip:
        ask = ask_for(catalog, _figures(catalog, chip), day, to=to, hq=hq)
        found = [{k: v for k, v in r.items() if k != "reason"} for r in station.lines(catalog, ask)]
        if json:
            emit_json({"chip": ask.figures.id, "against": str(day), "as_of": str(catalog.as_of), "lines": found,
                       "frontier": best, "note": note, "not_legal_advice": NO_LAWYER})
            return
        table(f"{ask.figures.model} against the rules of {day}", ["rule", "prong", "slack", "line that decides"],
              [[r["rule_id"], r["prong"], " to ".join(f"{s:+.4f}" for s in dict.fromkeys(r["slack"])),
                f"{r['quantity']} {r['op']} {r['limit']:g}"] for r in found],
              foot=f"Slack above 0 is free: ln of the distance. {note + '. ' if note else ''}{NO_LAWYER}")
        return
    rungs = station.ladder(catalog, day, to=to, hq=hq)
    if json:
        emit_json({"against": str(day), "as_of": str(catalog.as_of), "frontier": best, "chips": rungs, "note": note,
                   "not_legal_advice": NO_LAWYER})
        return
    if best:
        table(f"Largest TPP that stays free on {day}, for a part sold to data centres (approached, not reached)",
              ["die area mm2", "TPP", "dense FP16 TFLOPS"],
              [[f"{r['area_mm2']:g}", f"{r['largest_free_tpp']:g}", f"{r['fp16_tflops']:g}"] for r in best])
    else:
        say(f"No rule on density was in force on {day}: nothing bounds TPP by die area.")
    table("Slack to the nearest line, free parts nearest to it first", ["chip", "US gate", "slack", "nearest line"],
          [[r["chip"], r["us"], "unknown" if r["slack"] != r["slack"] else f"{r['slack']:+.4f}", r["nearest"] or "-"]
           for r in rungs], foot=f"{note + '. ' if note else ''}{NO_LAWYER}")


@app.command("map", help="Where in the world a chip may go on a day: countries by status.")
def world(chip: ChipArg, on: On = "", hq: Hq = "", buyer: Buyer = "platform", as_of: AsOf = "",
          json: Json = False) -> None:
    from chipcast.rules.atlas import everywhere
    from chipcast.rules.explain import MEANING

    catalog = catalogue(as_of)
    day = _day(catalog, on)
    f = _figures(catalog, chip)
    found = everywhere(catalog, f, day, hq=hq, segment=_segment(buyer))
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
          rows, foot=f"Only the rules of this table: embargoes and other controls on a place are not in it. "
                     f"Country groups as recalled from the regulation. {NO_LAWYER}")
