"""Verbs on who may build: memory stacks, foundry dies and tools, by the same rules as the buyer's gates."""

from __future__ import annotations

from typing import Annotated

import typer

from chipcast.base.errors import InputError
from chipcast.cli.common import NO_LAWYER, AsOf, Json, emit_json, measured, say, table, whole
from chipcast.cli.rules_words import On, Within, book, day_of


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command(help="What a Chinese chip line may still buy abroad on a day: memory stacks, dies, tools.")(upstream)
    app.command(help="Whether a memory stack is controlled: bandwidth over area, bare or beside its logic die.")(hbm)
    app.command(help="Whether a foundry must presume a die to be controlled, and the escape that spares it.")(foundry)


def upstream(on: On = "", scenario: Within = "", as_of: AsOf = "", json: Json = False) -> None:
    """Print the state of each input from abroad, the row that decides and the window that was left."""
    from chipcast.rules.upstream import upstream as station

    source = book(scenario, as_of)
    day = day_of(source.catalog, on)
    found = station(source.catalog, day, events=source.events)
    if json:
        emit_json({"on": str(day), "as_of": str(source.catalog.as_of), "inputs": {
            k: {"state": s.state, "rule_id": s.rule_id or None, "since": str(s.since) if s.since else None,
                "until": str(s.until) if s.until else None, "layers": list(s.layers), "why": s.why}
            for k, s in found.items()}, "not_legal_advice": NO_LAWYER})
        return
    table(f"What a Chinese chip line may buy abroad on {day}, as known on {source.catalog.as_of}",
          ["input", "state", "since", "decided by", "why"],
          [[{"hbm": "memory stacks", "foundry": "foundry dies"}.get(k, k),
            s.state + (f" to {s.until}" if s.until else ""), s.since or "-", s.rule_id or "-", s.why]
           for k, s in found.items()], foot=NO_LAWYER)


def hbm(bandwidth: Annotated[float, measured("--bandwidth", "GB/s", "Bandwidth of one stack.", above=0)],
        area: Annotated[float, measured("--area", "mm2", "Area of one stack.", above=0)],
        copackaged: Annotated[bool, typer.Option("--copackaged", help="Soldered beside its logic die.")] = False,
        json: Json = False) -> None:
    """Print whether a stack is caught by itself, and how near the line is."""
    import math

    from chipcast.rules.expr import comparisons
    from chipcast.rules.rule import layer
    from chipcast.rules.upstream import hbm_control

    row = layer("US-HBM-2024")
    assert row.test is not None, "the row has a test"
    line = comparisons(row.test)[0]
    density = bandwidth / area
    caught = hbm_control(bandwidth, area, copackaged=copackaged)
    if json:
        emit_json({"bandwidth_gb_s": bandwidth, "area_mm2": area, "bw_density_gb_s_mm2": density, "op": line.op,
                   "limit": line.limit, "copackaged": copackaged, "caught": caught, "rule_id": row.rule_id,
                   "slack": math.log(line.limit / density), "exceptions": row.row["exceptions"],
                   "not_legal_advice": NO_LAWYER})
        return
    why = "soldered beside its logic die it follows the rules for that die" if copackaged else \
        f"{density:.4g} GB/s/mm2 is {'above' if caught else 'not above'} {line.limit:g}"
    say(f"{'Controlled' if caught else 'Not controlled'} by {row.rule_id}: {why}.")
    say(f"exceptions: {row.row['exceptions']}")
    say(NO_LAWYER)


def foundry(transistors: Annotated[float, measured("--transistors", "1e9", "Transistors of the packaged part, in "
                                                                          "billions.", above=0)],
            year: Annotated[int, whole("--year", "Year in which the export is completed.", least=2025)] = 2025,
            hbm: Annotated[bool, typer.Option("--hbm", help="The package holds memory stacks.")] = False,
            node: Annotated[float, measured("--node", "nm", "Process node.", above=0)] = 7.0,
            planar: Annotated[bool | None, typer.Option("--planar/--nonplanar", help="Shape of its transistors; "
                                                        "default: planar where the node alone is not caught.")] = None,
            packaged_by: Annotated[str, typer.Option("--packaged-by", help="fab (the front-end fab itself, outside D:5 "
                                                                          "and Macau), approved or other.")] = "other",
            approved: Annotated[bool, typer.Option("--approved-designer", help="Designer is approved or "
                                                                               "authorised.")] = False,
            json: Json = False) -> None:
    """Print whether the presumption holds and which escape spares the part."""
    from chipcast.rules.upstream import foundry_presumption

    if packaged_by not in ("fab", "approved", "other"):
        raise InputError(f"--packaged-by must be fab, approved or other, got '{packaged_by}'")
    presumed, escape = foundry_presumption(
        transistors, year=year, has_hbm=hbm, node_nm=node, nonplanar=planar is False,
        packaged_by_fab_outside=packaged_by == "fab", designer_approved=approved,
        approved_osat=packaged_by == "approved")
    if json:
        emit_json({"transistors_bn": transistors, "year": year, "has_hbm": hbm, "node_nm": node, "presumed": presumed,
                   "classification": "3A090.a" if presumed else None, "escape": escape or None,
                   "rule_id": "US-FOUNDRY-2025", "not_legal_advice": NO_LAWYER})
        return
    spared = f"spared by escape {escape}" if len(escape) == 1 else escape
    say(f"{transistors:g} bn transistors in {year}: "
        + ("presumed 3A090.a and for data centres by US-FOUNDRY-2025." if presumed else f"not presumed, {spared}."))
    say(NO_LAWYER)
