"""Verbs on one shipment: what the rules measure of a chip, whether it may go, and the same for every chip."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.base.errors import InputError
from chipcast.cli.common import NO_LAWYER, AsOf, Draws, Json, Seed, emit_json, measured, say, table
from chipcast.cli.rules_words import (
    Buyer,
    ChipArg,
    Hq,
    On,
    To,
    Within,
    all_chips,
    book,
    chip_of,
    day_of,
    entity_of,
    is_file,
    read_chip,
    region_of,
    segment_of,
)

LEVERS = 4
"""Changes of figures that the readable answer lists."""

AHEAD = 4
"""Changes ahead that the readable answer lists."""


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command(help="Total processing performance and density of a chip, with every figure that goes in.")(measure)
    app.command(help="Whether a chip may go to a buyer on a day: both gates, the rule that decides, the slack.")(check)
    app.command("table", help="Every chip: both gates, the prong that decides or is nearest, the slack.")(whole_table)


def measure(chip: ChipArg, use: Annotated[str, typer.Option("--use", help="datacenter or other.")] = "",
            scenario: Within = "", as_of: AsOf = "", json: Json = False) -> None:
    """Print what the rules measure of a chip and where each figure comes from."""
    from chipcast.rules.design import classes_by_area
    from chipcast.rules.explain import measurement, span

    source = book(scenario, as_of)
    catalog = source.catalog
    f = chip_of(source, chip, use)
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
          scenario: Within = "", draws: Draws = 2000, seed: Seed = 1, as_of: AsOf = "", json: Json = False) -> None:
    from chipcast.rules.check import ask_for, verdict
    from chipcast.rules.explain import MEANING, payload
    from chipcast.rules.place import place

    source = book(scenario, as_of)
    catalog = source.catalog
    day = day_of(catalog, on)
    ask = ask_for(catalog, chip_of(source, chip, use), day, to=to, hq=hq, segment=segment_of(buyer),
                  from_us=place(origin).code == "US", entity=entity_of(entity), owned_by_listed=owned,
                  region=region_of(region))
    answer = verdict(catalog, ask, hq_rule=hq_rule, events=source.events)
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
        if x["gate"] == "cn" and x["caught"] == "no":
            continue
        ends = list(dict.fromkeys(f"{s:+.4f}" for s in x["slack"] if s is not None))
        rows.append([x["rule_id"], x["caught"] + (f" {', '.join(x['prongs'])}" if x["prongs"] else ""),
                     MEANING[x["consequence"]] if x["consequence"] else "-",
                     " to ".join(ends) or "-", x["nearest"] or "-"])
    if rows:
        table("", ["layer in force", "caught", "consequence", "slack", "nearest line"], rows)
    for text in changes_in_words(result["would_change"]):
        say(text)
    ahead = [x for x in result["scheduled"] if _concerns(catalog, x["rule_id"], ask)]
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


def changes_in_words(found: list[dict[str, Any]]) -> list[str]:
    """Return what would change the word, figure by figure, milder answers first."""
    from chipcast.rules.explain import MEANING, QUANTITY, number

    if not found:
        return []
    said = []
    for r in found[:LEVERS]:
        unit = "" if r["unit"] == "1" else f" {r['unit']}"
        where = f"{r['side']} {number(r['to'])}{unit}" + (" up" if r["side"] == "from" else "")
        said.append(f"{QUANTITY[r['quantity']]} {where} (now {number(r['from'])}): {MEANING[r['us']]}")
    return ["would change it: " + "; ".join(said)]


def _concerns(catalog: Any, rule_id: str, ask: Any) -> bool:
    """Return whether a change ahead may touch a shipment: by place, and by chip where the row names chips."""
    from chipcast.rules.rule import layer

    x = layer(rule_id, catalog.laws)
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
    if is_file(chip):
        table = table.with_rows(own_rows(read_chip(chip)[1], name=name, catalog=catalog))
    return {"probability": probabilities(table, name, answer.ask, hq_rule=hq_rule)}


def whole_table(to: To = "CN", hq: Hq = "", on: On = "", buyer: Buyer = "platform", scenario: Within = "",
                as_of: AsOf = "", json: Json = False) -> None:
    """Print both gates for every chip known by the date."""
    from chipcast.rules.check import ask_for, signed, verdict

    source = book(scenario, as_of)
    catalog = source.catalog
    day, segment = day_of(catalog, on), segment_of(buyer)
    found = []
    for f in all_chips(source):
        v = verdict(catalog, ask_for(catalog, f, day, to=to, hq=hq, segment=segment), events=source.events)
        found.append((v, signed(v.us)))
    if json:
        emit_json({"on": str(day), "as_of": str(catalog.as_of), "to": found[0][0].ask.to.code if found else to,
                   "buyer": segment, "chips": [
                       {"chip": v.ask.figures.id, "announced": v.ask.figures.announced,
                        "on_sale": v.ask.figures.announced <= str(day), "us": v.us.word, "cn": v.cn.word,
                        "status": v.status, "us_possible": list(v.us.possible),
                        "rule_id": v.deciding.decided_by or None, "prong": v.deciding.prong or None, "slack": s}
                       for v, s in found],
                   "unknown_after": str(found[0][0].unknown_after) if found else None,
                   "not_legal_advice": NO_LAWYER})
        return
    rows = [[v.ask.figures.id, v.us.word, v.cn.word,
             v.status if v.ask.figures.announced <= str(day) else "not announced",
             v.deciding.decided_by or "-", v.us.prong or "-", "-" if s != s else f"{s:+.4f}"] for v, s in found]
    table(f"To {to} on {day}, buyer class {segment}, as known on {catalog.as_of}",
          ["chip", "US gate", "Chinese gate", "status", "decided by", "prong", "slack"], rows,
          foot=f"Slack above 0 is free: ln of the distance to the nearest line. {NO_LAWYER}")
