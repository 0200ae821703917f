"""The verb that answers the news: does a job stumble where another's does not, and what would mend it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.base.errors import InfeasibleError, InputError
from chipcast.cli.cluster_words import (
    Chip,
    Detection,
    Ladder,
    Policy,
    Scene,
    Size,
    bins_said,
    percent,
    points,
    say_bins,
    setup,
    share_of,
    sizes_of,
    warn,
)
from chipcast.cli.common import AsOf, Draws, Json, Seed, Sets, emit_json, measured, note, say, table


def compare(chip: Chip = "ascend-910b,ascend-910c,h800-sxm", chips: Size = "8192",
            same: Annotated[str, typer.Option("--same", help="chips, or compute: peak 16-bit rate.")] = "chips",
            threshold: Annotated[str, typer.Option(
                "--threshold", metavar="SHARE", help="Time in progress below which a job stumbles.")] = "",
            days: Annotated[float, measured("--days", "days", "Length of the run.", above=0, most=36_500)] = 60,
            model: Annotated[str, typer.Option("--model", help="What is trained; none for no tokens or money.")
                             ] = "deepseek-v3",
            tokens: Annotated[str, typer.Option(
                "--tokens", help="Tokens to train, such as 10T; default: what the first job trains in these days.")
            ] = "",
            ladder: Ladder = "vendor", detection: Detection = "mixed", policy: Policy = "",
            scenario: Scene = "february-2025", sets: Sets = [],  # noqa: B006
            as_of: AsOf = "", draws: Draws = 4000, seed: Seed = 1, json: Json = False) -> None:
    from chipcast.base.summary import interval as band
    from chipcast.base.summary import short, span
    from chipcast.base.units import parse_quantity
    from chipcast.cluster.compare import CAUSES, luck_of, peaks
    from chipcast.cluster.compare import compare as pair
    from chipcast.cluster.fixes import cured_without, multiple_needed, waterfall
    from chipcast.cluster.goodput import case_of
    from chipcast.cluster.options import read_options, with_options

    ids, given = setup(chip, scenario, as_of, draws, seed, sets)
    sizes = sizes_of(chips)
    if len(sizes) not in (1, len(ids)):
        raise InputError(f"--chips must be one number, or one for each of {len(ids)} chips, got '{chips}'")
    bound = share_of(threshold, "--threshold") if threshold else None
    target = parse_quantity(tokens, "tokens", "--tokens") if tokens else None
    if target is not None and target <= 0:
        raise InputError(f"--tokens must be above 0, got '{tokens}'")
    chosen = read_options(policy)
    c = pair(given, ids, sizes[0] if len(sizes) == 1 else sizes, same=same, threshold=bound, ladder=ladder,
             detection=detection, chosen=chosen, days=days)
    first = ids[0]
    cases = [with_options(given, case_of(given, name, ladder=ladder, detection=detection), chosen, days=days)
             for name in ids]
    case = cases[0]
    fall = waterfall(given, first, c.sizes[0], case, c.threshold, days=days, luck=luck_of(given, first))
    inverse = multiple_needed(case, c.sizes[0], c.threshold)
    cured = cured_without(case, c.sizes[0], c.threshold)
    rows: list[dict[str, Any]] = [
        {"chip": name, "chips": c.sizes[i], "p_stumble": float(c.p_stumble[i]), "ettr": band(c.ettr[i]),
         "run_ettr": band(c.run_ettr[i]),
         "goodput": band(c.goodput[i]), "mtbf_h": band(c.mtbf_h[i]), "mtbf_rollback_h": band(c.mtbf_rollback_h[i]),
         "loss": {cause: float(c.loss[i, k].mean()) for k, cause in enumerate(CAUSES)},
         "memory_and_links_share_of_loss": band(c.memory_and_links[i]),
         "lost_chip_days": band(days * c.sizes[i] * (1 - c.goodput[i]))} for i, name in enumerate(ids)]
    joint = {a: {b: float(c.p_first_and_not_second[i, j]) for j, b in enumerate(ids) if b != a}
             for i, a in enumerate(ids)}
    fixes: dict[str, list[dict[str, Any]]] = {
        key: [{"fix": f.name, "p_stumble": f.p_stumble, "progress_gained": band(f.gain),
               "useful_gained": band(f.useful), "goodput_gained": band(f.goodput)} for f in found]
        for key, found in (("alone", fall.alone), ("one_after_the_other", fall.together))}
    standing = {"useful_gained": band(fall.spares.useful), "goodput_gained": band(fall.spares.goodput),
                "spare_chips": band(c.spares[0])}
    try:
        money = None if model == "none" else _money(given, c, cases, fall, model, days, target)
    except InfeasibleError as error:
        money = None
        note(f"No tokens, days or money: {error}.")
    warn(ids)
    say_bins(given, ids)
    if json:
        emit_json({"as_of": str(given.as_of), "threshold": c.threshold, "same": same, "ladder": ladder,
                   "detection": detection, "days": days, "with": dict(chosen), "bins": bins_said(given, ids),
                   "rows": rows, "p_row_stumbles_and_column_not": joint, "fixes": fixes,
                   "standing_spares": standing, "delivery": money,
                   "memory_and_link_faults_needed_times": inverse,
                   "stumbles_cured_without_memory_and_link_faults": cured})
        return
    table(f"A run of {days:g} days stumbles when less than {c.threshold:.0%} of it is progress ({given.as_of}, "
          f"{draws} draws)",
          ["job", "P(stumble)", *[f"and not {b}" for b in ids], "in progress %", "goodput %"],
          [[f"{r['chips']} {r['chip']}", f"{r['p_stumble']:.3f}",
            *[f"{joint[r['chip']][b]:.3f}" if b != r["chip"] else "-" for b in ids], percent(r["ettr"]),
            percent(r["goodput"])] for r in rows])
    table("What wall time is lost to, mean %", ["job", *[x.replace("_", " ") for x in CAUSES]],
          [[f"{r['chips']} {r['chip']}", *[f"{100 * r['loss'][x]:.1f}" for x in CAUSES]] for r in rows])
    worth = {} if money is None else {w["fix"]: w for w in money["fixes"]}
    table(f"What would mend {c.sizes[0]} {first} (now {fall.p_stumble:.3f})",
          ["fix alone", "P(stumble)", "useful time gained, points", *(["days sooner", "M USD"] if worth else [])],
          [[f["fix"], f"{f['p_stumble']:.3f}", points(f["useful_gained"]),
            *([short(worth[f["fix"]]["days_sooner"]["p50"], 2), short(worth[f["fix"]]["usd"]["p50"] / 1e6, 2)]
              if f["fix"] in worth else ["-", "-"] if worth else [])] for f in fixes["alone"]])
    table("One after the other, the most useful first", ["and then", "P(stumble)"],
          [[f.name, f"{f.p_stumble:.3f}"] for f in fall.together],
          foot=f"Its {short(standing['spare_chips']['p50'])} standing spares gain {points(standing['useful_gained'])} "
               f"points of useful time over none, {points(standing['goodput_gained'])} of goodput.")
    if money is not None:
        table(f"Tokens, days, money: {money['model']}, {days:g} days, {short(money['target_tokens'], 3)} tokens",
              ["job", "T tokens", "lost T", "days needed", "M USD lost", "USD per M tokens",
               "chips to order, 50 / 90 %", "M USD"],
              [[f"{m['chips']} {m['chip']}", *[span({q: v / 1e12 for q, v in m[k].items()}, 2) for k in
                                               ("tokens", "lost_tokens")], span(m["days_needed"], 2),
                span({q: v / 1e6 for q, v in m["lost_usd"].items()}, 2), span(m["usd_per_million_tokens"], 2),
                " / ".join("-" if o is None else f"{o['chips']:.0f}" for o in m["orders"]),
                " / ".join("-" if o is None else short(o["usd"]["p50"] / 1e6, 2) for o in m["orders"])]
               for m in money["rows"]],
              foot="Chips to order train the tokens in the days with that probability, spares, servers and network "
                   "paid. The rate of a chip is as uncertain as its goodput; what it rests on: "
                   + "; ".join(f"{m['chip']} {m['evidence']}" for m in money["rows"]) + ".")
    for i, name in enumerate(ids[1:], start=1):
        say(f"On the same draws {c.sizes[0]:,} x {first} fall below {c.threshold:.0%} where {c.sizes[i]:,} x {name} do "
            f"not with probability {joint[first][name]:.2f}, and the other way round with {joint[name][first]:.2f}.")
    if same == "chips" and len(set(c.sizes)) == 1 and len(ids) > 1:
        power = peaks(given, ids)
        say("Jobs have equal numbers of chips; their peak throughput is "
            + ", ".join(f"{p / power[0]:.1f}" for p in power[1:]) + f" times that of {first}: --same compute makes it "
            "equal.")
    named = band(c.memory_and_links[0])
    at_all = f"; without any of them {cured:.0%} of its stumbles would not happen" if cured == cured else ""
    say(f"Memory and link faults cause {percent(named)} % of the loss of {first} under these priors{at_all}. "
        + ("At median values the job stumbles without any of them." if inverse == 0 else
           "With all else at its median no number of them makes it stumble." if inverse == float("inf") else
           f"With all else at its median the job stumbles once they are {inverse:.1f} times as frequent as assumed."))


def _money(given: Any, c: Any, cases: list[Any], fall: Any, model: str, days: float, target: float | None
           ) -> dict[str, Any]:
    """Return what the jobs deliver in tokens, days and money, and what the fixes of the first are worth."""
    from chipcast.base.summary import interval as band
    from chipcast.large_run import deliver, order, worth_of

    d = deliver(given, c, days=days, model=model, target=target)
    rows = []
    for i, name in enumerate(d.chips):
        try:
            found = [{"sure": o.sure, "chips": o.chips, "spare_chips": o.spares, "usd": band(o.usd)}
                     for o in order(given, cases[i], d, i)]
        except InfeasibleError:
            found = [None, None]  # type: ignore[list-item]
        rows.append({"chip": name, "chips": d.sizes[i], "tokens_per_s_per_chip": band(d.rate[i]),
                     "tokens": band(d.tokens[i]), "lost_tokens": band(d.lost_tokens[i]),
                     "days_needed": band(d.days_needed[i]), "paid_usd": band(d.paid_usd[i]),
                     "lost_usd": band(d.lost_usd[i]), "usd_per_million_tokens": band(d.usd_per_million[i]),
                     "orders": found, "evidence": d.grade[i]})
    fixes = [{"fix": w.name, "tokens": band(w.tokens), "days_sooner": band(w.days), "usd": band(w.usd)}
             for w in worth_of(given, d, c, fall.alone)]
    return {"model": model, "days": days, "target_tokens": d.target, "rows": rows, "fixes": fixes}


def register(app: typer.Typer) -> None:
    """Add the verb of this module."""
    app.command(help="Does a job on one chip stumble where another's does not; what the loss is made of; what mends it."
                )(compare)
