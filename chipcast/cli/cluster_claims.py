"""Verbs of `cluster` on claims: what an availability needs, and published claims solved."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.base.errors import InputError
from chipcast.cli.cluster_words import (
    Chip,
    Detection,
    Ladder,
    Scene,
    Size,
    one_size,
    percent,
    say_bins,
    seconds_of,
    setup,
    share_of,
    warn,
)
from chipcast.cli.common import AsOf, Draws, Json, Seed, emit_json, say, table

IMPROBABLE = 0.02
"""Probability under which a claim is called inconsistent with the ranges in every reading, as for the news' claims."""

SHOWN_SD = 0.2
"""Least move of a number, in standard deviations, that is worth a line."""


def check_claim(availability: Annotated[str, typer.Option("--availability", help="Claimed share, such as 98%.")] = "",
                mtbf: Annotated[str, typer.Option("--mtbf", help="Claimed time between failures, such as 24h.")] = "",
                recovery: Annotated[str, typer.Option("--recovery", help="Claimed recovery time, as 10min.")] = "",
                chip: Chip = "ascend-910c", chips: Size = "10000", ladder: Ladder = "full",
                detection: Detection = "active", scenario: Scene = "february-2025", as_of: AsOf = "",
                draws: Draws = 4000, seed: Seed = 1, json: Json = False) -> None:
    from chipcast.base.errors import InfeasibleError
    from chipcast.base.summary import interval as band
    from chipcast.base.summary import short, span
    from chipcast.cluster.claims import check
    from chipcast.cluster.goodput import case_of
    from chipcast.cluster.needs import components, must_be_true

    ids, given = setup(chip, scenario, as_of, draws, seed)
    if len(ids) != 1:
        raise InputError(f"--chip must name one chip here, got {', '.join(ids)}")
    count = one_size(chips)
    result = check(given, ids[0], count, ladder=ladder, detection=detection,
                   availability=share_of(availability, "--availability") if availability else None,
                   mtbf_h=seconds_of(mtbf, "--mtbf") / 3600 if mtbf else None,
                   recovery_h=seconds_of(recovery, "--recovery") / 3600 if recovery else None)
    try:
        chance, must = must_be_true(given, ids[0], count, availability=result.availability, mtbf_h=result.mtbf_h)
    except InfeasibleError:
        chance, must = 0.0, ()
    parts = () if result.mtbf_h is None else components(case_of(given, ids[0], ladder=ladder, detection=detection),
                                                        count, result.mtbf_h)
    warn(ids)
    say_bins(given, ids)
    if json:
        emit_json({"chip": result.chip, "chips": count, "as_of": str(given.as_of), "ladder": ladder,
                   "detection": detection, "claim": {"availability": result.availability, "mtbf_h": result.mtbf_h,
                                                     "recovery_h": result.recovery_h},
                   "must_hold": [{"name": n, "value": v, "unit": u} for n, v, u in result.must_hold],
                   "probability": result.probability, "clash": result.clash, "ettr": band(result.ettr),
                   "consistent": max([*result.probability.values(), chance]) >= IMPROBABLE,
                   "by_class": [{"class": p.name, "faults_per_1e6_chip_h": band(p.faults), "masked": p.masked,
                                 "allowed_per_1e6_chip_h": p.allowed, "mask_if_alone": p.alone} for p in parts],
                   "must_be_true": {"probability": chance, "rows": [
                       {"name": m.name, "unit": m.unit, "as_assumed": band(m.before), "where_the_claim_holds":
                        band(m.after), "shift_sd": m.shift} for m in must]},
                   "mtbf_h": band(result.mtbf_all_h), "mtbf_rollback_h": band(result.mtbf_rollback_h)})
        return
    table(f"What the claim needs: {count} x {result.chip}", ["must hold", "value", "unit"],
          [[n, short(v), u] for n, v, u in result.must_hold])
    table(f"How probable that is under the priors of {given.as_of}", ["reading", "probability"],
          [[n, f"{p:.3f}"] for n, p in result.probability.items()],
          foot=f"Priors give {span(result.mtbf_all_h, 2)} h between stops, {span(result.mtbf_rollback_h, 2)} h between "
               f"rollbacks, {percent(band(result.ettr))} % of time in progress.")
    if parts:
        table(f"What {result.mtbf_h:g} h between rollbacks ask of each kind of fault, per 1e6 chip-h",
              ["fault", "assumed", "mended online %", "allowed, all alike", "to be mended if alone"],
              [[p.name, span(band(p.faults), 2), f"{100 * p.masked:.0f}", short(p.allowed, 2),
                "even all would not do" if p.alone is None else f"{p.alone:.0%}"] for p in parts])
    if must:
        table(f"What must be true for it, recovery on and stops noticed by heartbeat (probability {chance:.4f})",
              ["row", "as assumed", "where it holds", "unit"],
              [[m.name, span(band(m.before)), span(band(m.after)), m.unit] for m in must if abs(m.shift) > SHOWN_SD])
    else:
        say("No world within the ranges comes near the claim.")
    if result.clash:
        say(result.clash)


def claims(scenario: Scene = "february-2025", as_of: AsOf = "", json: Json = False) -> None:
    from chipcast.base.summary import short
    from chipcast.cluster.claims import solve

    _, given = setup("h100-sxm", scenario, as_of, 100, 1)
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


def optics(chip: Chip = "ascend-910c,ascend-910b2,h800-sxm", chips: Size = "10000",
           mtbf: Annotated[str, typer.Option("--mtbf", help="Time between stops that links may cause.")] = "24h",
           ladder: Ladder = "full", scenario: Scene = "february-2025", as_of: AsOf = "", draws: Draws = 4000,
           seed: Seed = 1, json: Json = False) -> None:
    import numpy as np

    from chipcast.base.summary import interval as band
    from chipcast.base.summary import span
    from chipcast.cluster.faults import CLASSES, modules_per_chip
    from chipcast.cluster.goodput import case_of
    from chipcast.cluster.platform import bins_of

    ids, given = setup(chip, scenario, as_of, draws, seed)
    count, wanted = one_size(chips), seconds_of(mtbf, "--mtbf") / 3600
    k = CLASSES.index("network")
    rows: list[dict[str, Any]] = []
    for name in ids:
        case = case_of(given, name, ladder=ladder)
        faults = case.rates[k] * count
        modules = modules_per_chip(given, bins_of(name)[0])
        rows.append({
            "chip": name, "modules": band(modules * count), "module_fit": band(case.rates[k] / modules * 1e9),
            "hours_between_link_faults": band(1 / faults),
            "hours_between_link_rollbacks": band(1 / np.maximum(faults * case.masking.rollback[k], 1e-300)),
            "masking_needed": band(np.maximum(1 - 1 / (wanted * faults), 0.0)),
            "masked": float(1 - case.masking.rollback[k].mean()),
            "share_of_faults": band(case.rates[k] / case.rates.sum(axis=0)),
            "p_enough_masked": float((faults * case.masking.rollback[k] <= 1 / wanted).mean())})
    warn(ids)
    if json:
        emit_json({"as_of": str(given.as_of), "chips": count, "mtbf_h": wanted, "ladder": ladder, "rows": rows})
        return
    table(f"Links and optical modules of {count:,} chips ({given.as_of})",
          ["chip", "modules", "FIT of one, ports in it", "h between faults", "to be mended online %", "is mended %",
           "P(enough)", "share of faults %"],
          [[r["chip"], span(r["modules"]), span(r["module_fit"], 2), span(r["hours_between_link_faults"], 2),
            percent(r["masking_needed"]), f"{100 * r['masked']:.0f}", f"{r['p_enough_masked']:.2f}",
            percent(r["share_of_faults"])] for r in rows],
          foot=f"Enough: link faults alone go back to a checkpoint no oftener than every {wanted:g} h. One FIT is a "
               "fault in 1e9 hours.")


def parts(chip: Chip = "ascend-910c", chips: Size = "8192", ladder: Ladder = "vendor",
          scenario: Scene = "february-2025", as_of: AsOf = "", draws: Draws = 4000, seed: Seed = 1,
          json: Json = False) -> None:
    from chipcast.base.summary import interval as band
    from chipcast.base.summary import span
    from chipcast.cluster.parts import parts as tree

    ids, given = setup(chip, scenario, as_of, draws, seed)
    if len(ids) != 1:
        raise InputError(f"--chip must name one chip here, got {', '.join(ids)}")
    count = one_size(chips)
    rows: list[dict[str, Any]] = [
        {"part": p.name, "class": p.component, "scope": p.scope, "servers": p.servers, "counted_on_the_anchor": p.count,
         "per_1e6_chip_h": band(p.per_1e6_chip_h), "masked": p.masked,
         "days_between": band(1e6 / (p.per_1e6_chip_h * count * 24))} for p in tree(given, ids[0], ladder=ladder)]
    warn(ids)
    say_bins(given, ids)
    if json:
        emit_json({"chip": ids[0], "chips": count, "as_of": str(given.as_of), "ladder": ladder, "parts": rows})
        return
    table(f"What fails in {count:,} x {ids[0]} ({given.as_of})",
          ["part", "takes out", "servers", "counted", "per 1e6 chip-h", "days between", "mended online %"],
          [[r["part"], r["scope"], r["servers"] or "-", "-" if r["counted_on_the_anchor"] is None else
            r["counted_on_the_anchor"], span(r["per_1e6_chip_h"], 2), span(r["days_between"], 2),
            f"{100 * r['masked']:.0f}"] for r in rows],
          foot="Counted: stops of the 54-day run on 16,384 H100 whose parts were counted. Switches and power feeds are "
               "assumed shares of the links' and hosts' stops.")


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("check-claim", help="What an availability or MTBF claim needs to be true, and how probable that is."
                )(check_claim)
    app.command(help="Published availability claims, solved: what each needs, which clash."
                )(claims)
    app.command(help="Are optical modules the weak point: how often links fail, and what must be mended online."
                )(optics)
    app.command(help="The tree of parts: what fails, what it takes out, how often, what is mended online.")(parts)
