"""`chipcast evidence`, `explain`, `compare` and `freeze`: what reports imply, what must hold, forecasts that stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from chipcast.cli.common import AsOf, Draws, Json, ScenarioName, Seed, Sets, emit_json, load, note, say, table, whole

if TYPE_CHECKING:
    from pathlib import Path

    from chipcast.base.given import Given
    from chipcast.scenario import Scenario


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    app.command("evidence", help="Prior against posterior of every hidden quantity, and what each report was read as."
                )(evidence)
    app.command("explain", help="What must be true for a claim: an id of the news, or NAME OP VALUE such as "
                                "'910c.yield >= 40%'.")(explain)
    app.command("compare", help="Two scenarios on common luck: the effect with its interval.")(compare)
    app.command("freeze", help="Write a forecast of the named series once, with its hash, to be scored later.")(freeze)
    app.command("score", help="Grade a frozen forecast on outcomes that have matured.")(score)


def evidence(scenario: ScenarioName = "february-2025",
             recover: Annotated[int, whole("--recover", "Worlds in which the truth is simulated and looked for; 200 "
                                           "take some ten minutes.", least=0, most=2000)] = 0,
             against: Annotated[str, typer.Option("--against", metavar="DATE", help="A later information date: what it "
                                                  "changes.")] = "",
             sets: Sets = [],  # noqa: B006
             draws: Draws = 4000, seed: Seed = 1, as_of: AsOf = "", json: Json = False) -> None:
    from chipcast.base.errors import require
    from chipcast.base.summary import short, span
    from chipcast.chain import prepare
    from chipcast.evidence.posterior import WARN_ESS, posterior_table

    if against:
        require(not sets, "--set", "be left out with --against, which compares what reports say at two dates", sets[:1])
        _changed(scenario, as_of, against, draws, seed, json)
        return
    story = load(scenario, as_of=as_of, sets=sets)
    if recover:
        plain = prepare(story, draws=max(draws, recover), seed=seed, prior=True).given
        _recovered(plain, story, recover, json)
        return
    found = prepare(story, draws=draws, seed=seed).evidence
    rows = posterior_table(found)
    reports: list[dict[str, Any]] = [
        {"id": o.id, "series": o.series, "period": o.period, "said": o.value, "relation": o.relation,
         "source": o.source, "reading_weights": w, "residual": r}
        for o, w, r in zip(found.reports, found.reading_weights, found.residuals, strict=True)]
    if found.ess < WARN_ESS:
        note(f"warning: effective sample size {found.ess:.0f} is small; read the tails with care")
    if json:
        emit_json({"as_of": found.given.as_of, "posterior": rows, "ess": found.ess,
                   "importance_ess": found.importance_ess, "log_evidence": found.log_evidence, "reports": reports})
        return
    table(f"Prior against posterior, as known on {found.given.as_of}", ("quantity", "unit", "prior", "posterior",
                                                                        "contraction", "+- median"),
          [(r["name"], r["unit"], span(_map(r["prior"])), span(_map(r["posterior"])), _share(r["contraction"]),
            short(float(str(r["median_error"])), 2)) for r in rows[:20]],
          foot=f"{len(rows)} quantities could move; contraction = 1 - var(posterior)/var(prior), under 0.2 the prior "
               "decides; +- is the Monte Carlo error of the median. Effective sample size "
               f"{found.ess:.0f}; plain importance sampling {found.importance_ess:.0f}.")
    table("How each report was read", ("report", "said", "readings", "errors away"),
          [(r["id"], f"{r['said']:g}", ", ".join(f"{k} {v:.0%}" for k, v in r["reading_weights"].items()),
            f"{r['residual']:+.1f}") for r in reports])


def _changed(scenario: str, first: str, second: str, draws: int, seed: int, json: bool) -> None:
    """Print what a later information date changes."""
    from chipcast.base.summary import span
    from chipcast.vintage import difference

    found = difference(scenario, first, second, draws=draws, seed=seed)
    if json:
        emit_json(found)
        return
    say(f"New from {found['first']} to {found['second']}: " + (", ".join(found["new_reports"]) or "no report"))
    for title, rows in (("What the line would make", found["outputs"]), ("What moved most", found["quantities"][:12])):
        table(title, ("quantity", f"as of {found['first']}", f"as of {found['second']}", "shift, sd"),
              [(r["name"], span(r["first"]), span(r["second"]), f"{r['shift_sd']:+.2f}") for r in rows])


def _recovered(given: Given, story: Scenario, worlds: int, json: bool) -> None:
    """Print how often intervals hold the truth of simulated worlds."""
    from chipcast.evidence.recovery import recover
    from chipcast.evidence.reports import observations

    reports = observations(given.catalog, own=[r.model_dump() for r in story.reports])
    found = recover(given, reports, worlds,
                    note=lambda k: note(f"{k} of {worlds} worlds") if k % 20 == 0 else None)
    if json:
        emit_json({"worlds": worlds, "as_of": given.as_of, "coverage_90": found.coverage_90,
                   "coverage_50": found.coverage_50, "by_name": found.by_name})
        return
    worst = sorted(found.by_name.items(), key=lambda item: abs(item[1] - 0.9), reverse=True)[:8]
    table(f"Share of 90 percent intervals that hold the truth, {worlds} simulated worlds as of {given.as_of}",
          ("quantity", "coverage"), [("all pooled", f"{found.coverage_90:.3f}"), *((n, f"{c:.2f}") for n, c in worst)],
          foot=f"50 percent intervals hold {found.coverage_50:.3f}. The eight farthest from 0.90 are listed.")


def _map(value: Any) -> dict[str, float]:
    return {k: float(v) for k, v in value.items()}


def _share(value: Any) -> str:
    return f"{float(value):.2f}"


def explain(
    claim: Annotated[str, typer.Argument(metavar="CLAIM", help="Claim id or 'NAME OP VALUE'.")],
    scenario: Annotated[str, typer.Option("--scenario", help="A shipped scenario or a YAML file.")] = "february-2025",
    sets: Sets = [],  # noqa: B006 - typer copies it
    draws: Draws = 2000, seed: Seed = 1, as_of: AsOf = "", json: Json = False,
) -> None:
    from chipcast.base.summary import span
    from chipcast.inversion import explain_claim

    answer = explain_claim(claim, load(scenario, as_of=as_of, sets=sets), draws=draws, seed=seed)
    if json:
        emit_json(answer)
        return
    say(f"{answer['claim']}\nprobability {answer['probability']:.1%} (without reports of the news item itself)")
    if "odds" in answer:
        o = answer["odds"]
        say("certain before any report and after" if o["before"] == o["after"] == float("inf") else
            f"odds {o['before']:.2f} before any report, {o['after']:.2f} after the others: they speak "
            + ("neither for nor against it" if not o["ratio"] > 0 else
               f"for it by a factor {o['ratio']:.1f}" if o["ratio"] >= 1 else
               f"against it by a factor {1 / o['ratio']:.1f}"))
    if answer.get("verdict"):
        say(f"verdict: {answer['verdict']} - {answer['why']}")
    if answer.get("stories"):
        say("how it came about, where it holds (all draws): "
            + ", ".join(f"{k} {v['where_it_holds']:.0%} ({v['all_draws']:.0%})" for k, v in answer["stories"].items()))
    if answer.get("readings"):
        table("One unknown per reading of the sentence", ("reading", "unknown", "from", "to", "P(assumed range fits)"),
              [(r["meaning"], r["unknown"], span(r["from"]), span(r["to"]),
                "-" if r["plausible"] != r["plausible"] else f"{r['plausible']:.0%}") for r in answer["readings"]])
    if answer.get("by_reading"):
        say("probability if the word yield means: "
            + ", ".join(f"{k} {v:.0%}" for k, v in answer["by_reading"].items()))
    if answer.get("readings_where_it_holds"):
        say("where it holds the word means: "
            + ", ".join(f"{k} {v:.0%}" for k, v in answer["readings_where_it_holds"].items()))
    if answer["settle_by"] is None:
        say("it holds in all draws or in none: nothing else has to be true")
        return
    settle = answer["settle_by"]
    foot = (f"weakest link: {answer['weakest_link']}; measuring {settle['name']} would settle "
            f"{settle['share_of_doubt']:.0%} of the doubt ({settle['bits']:.2f} of {settle['bits_of_doubt']:.2f} bits)")
    table("What must hold where it is true", ("quantity", "unit", "where it holds", "all draws", "shift, sd",
                                              "spread", "draws that fit"),
          [(r["name"], r["unit"], span(r["interval"]), span(r["all_draws"]), f"{r['shift_sd']:+.2f}",
            f"x {r['spread_ratio']:.2f}", f"{r['fits']:.0%}") for r in answer["must_hold"]], foot=foot)
    if answer["together"]:
        table("What must hold together", ("first", "second", "rank correlation (all draws)",
                                          "second where first is low", "second where first is high"),
              [(r["first"], r["second"], f"{r['rank_correlation']:+.2f} ({r['in_all_draws']:+.2f})",
                span(r["second_where_first_is_low"]), span(r["second_where_first_is_high"]))
               for r in answer["together"][:4]])
    if answer["implied"]:
        table("What it would mean", ("quantity", "unit", "where it holds", "all draws"),
              [(r["name"], r["unit"], span(r["interval"]), span(r["all_draws"])) for r in answer["implied"]])


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A shipped scenario or a YAML file.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The other one; may be A again, with --set.")],
    sets: Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="A figure that B has on top, such as "
                                            "'h20-96.price_usd=12k to 15k'; may be repeated.")] = [],  # noqa: B006
    draws: Draws = 2000, seed: Seed = 1, json: Json = False,
) -> None:
    from chipcast.base.summary import span
    from chipcast.news import effects

    rows = effects(load(first), load(second, sets=sets), draws=draws, seed=seed)
    if json:
        emit_json({"first": first, "second": second, "set": sets, "draws": draws, "seed": seed, "effects": rows})
        return
    other = f"{second} with {', '.join(sets)}" if sets else second
    table(f"{other} less {first}, paired on common luck", ("quantity", "unit", "effect", "P(above 0)"),
          [(r["name"], r["unit"], span(r["effect"]), f"{r['p_positive']:.0%}") for r in rows],
          foot="Both run on the posterior of the first; only what the second sets differs.")


def freeze(scenario: ScenarioName = "february-2025",
           out: Annotated[str, typer.Option("--out", metavar="FILE", help="File to write; it must not exist.")] = "",
           draws: Draws = 4000, seed: Seed = 1, as_of: AsOf = "", json: Json = False) -> None:
    from chipcast.vintage import frozen

    written = frozen(scenario, draws=draws, seed=seed, as_of=as_of or None, out=out)
    if json:
        emit_json(written)
        return
    table(f"Forecasts as of {written['as_of']} ({written['standing']})",
          ("series", "period", "unit", "p05", "p25", "p50", "p75", "p95"),
          [(f["series"], f["period"], f["unit"], *(f"{f[q]:.4g}" for q in ("p05", "p25", "p50", "p75", "p95")))
           for f in written["forecasts"]],
          foot=f"hash {written['hash']}" + (f"; written to {written['file']}" if written["file"] else ""))


def score(
    forecast: Annotated[str, typer.Argument(metavar="FILE", help="A forecast written by 'chipcast freeze --out'.")],
    outcomes: Annotated[str, typer.Option("--outcomes", metavar="CSV", help="Outcomes of your own: series, period, "
                                                                            "value.")] = "",
    json: Json = False,
) -> None:
    import csv
    from json import JSONDecodeError, loads
    from pathlib import Path

    from chipcast.base.errors import InputError
    from chipcast.evidence import grade

    try:
        content = loads(_read(Path(forecast)))
    except JSONDecodeError as error:
        raise InputError(f"{forecast}:{error.lineno}: not valid JSON: {error.msg}; name a file that "
                         "`chipcast freeze` wrote") from None
    rows = grade.check_frozen(content, forecast)
    extra = list(csv.DictReader(_read(Path(outcomes)).splitlines())) if outcomes else []
    result = {"as_of": content["as_of"], "standing": content["standing"], "hash": content["hash"],
              **grade.grade(rows, grade.outcomes(extra))}
    if json:
        emit_json(result)
        return
    table(f"{content['standing']} as of {content['as_of']}, hash {content['hash']}",
          ("series", "period", "p05", "p50", "p95", "came", "inside 90 %", "CRPS", "log score", "skill against"),
          [(s["series"], s["period"], f"{s['p05']:.3g}", f"{s['p50']:.3g}", f"{s['p95']:.3g}", f"{s['outcome']:.3g}",
            "yes" if s["inside_90"] else "no", f"{s['crps']:.3g}",
            "-" if s["log_score"] is None else f"{s['log_score']:.2f}",
            ", ".join(f"{k} {r['skill']:+.2f}" for k, r in s["rivals"].items() if r["skill"] is not None) or "-")
           for s in result["scored"]],
          foot=f"{result['matured']} matured, {result['waiting']} waiting; CRPS and log score: less is better; skill "
               f"above 0 beats the rival (last value, drift, or a figure that others published). "
               f"{result.get('power', '')}")
    for name, r in result.get("skill", {}).items():
        say(f"against {name}: mean skill {r['mean_skill']:+.2f}, {r['mean_gain_nats']:+.2f} nats over "
            f"{r['forecasts']} forecasts")


def _read(path: Path) -> str:
    from chipcast.base.errors import InputError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{path}': {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
