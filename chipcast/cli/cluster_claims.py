"""Verbs of `cluster` on claims: what an availability needs, and published claims solved."""

from __future__ import annotations

from typing import Annotated

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
    seconds_of,
    setup,
    share_of,
    warn,
)
from chipcast.cli.common import AsOf, Draws, Json, Seed, emit_json, say, table


def check_claim(availability: Annotated[str, typer.Option("--availability", help="Claimed share, such as 98%.")] = "",
                mtbf: Annotated[str, typer.Option("--mtbf", help="Claimed time between failures, such as 24h.")] = "",
                recovery: Annotated[str, typer.Option("--recovery", help="Claimed recovery time, as 10min.")] = "",
                chip: Chip = "ascend-910c", chips: Size = "10000", ladder: Ladder = "full",
                detection: Detection = "active", scenario: Scene = "february-2025", as_of: AsOf = "",
                draws: Draws = 4000, seed: Seed = 1, json: Json = False) -> None:
    from chipcast.base.summary import interval as band
    from chipcast.base.summary import short, span
    from chipcast.cluster.claims import check

    ids, given = setup(chip, scenario, as_of, draws, seed)
    if len(ids) != 1:
        raise InputError(f"--chip must name one chip here, got {', '.join(ids)}")
    count = one_size(chips)
    result = check(given, ids[0], count, ladder=ladder, detection=detection,
                   availability=share_of(availability, "--availability") if availability else None,
                   mtbf_h=seconds_of(mtbf, "--mtbf") / 3600 if mtbf else None,
                   recovery_h=seconds_of(recovery, "--recovery") / 3600 if recovery else None)
    warn(ids)
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
               f"rollbacks, {percent(band(result.ettr))} % of time in progress.")
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


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command("check-claim", help="What an availability or MTBF claim needs to be true, and how probable that is."
                )(check_claim)
    app.command(help="Published availability claims, solved: what each needs, which clash."
                )(claims)
