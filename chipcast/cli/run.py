"""`chipcast run`: the whole chain on one scenario, claims and headline tables, a run folder."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chipcast.cli.common import AsOf, Draws, Json, ScenarioName, Seed, Sets, emit_json, load, note, say, table, whole


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("run", help="Run the whole chain; print the claims checked and the headline tables; write a run folder."
                )(run)


def run(
    scenario: ScenarioName = "february-2025",
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Folder to write; it must not exist.")] = "",
    draws: Draws = 10_000,
    seed: Seed = 1,
    as_of: AsOf = "",
    sets: Sets = [],  # noqa: B006 - typer copies it
    workers: Annotated[int, whole("--workers", "Processes; the result does not depend on it.", most=256)] = 1,
    prior: Annotated[bool, typer.Option("--prior", help="Leave the reports out: assumed ranges alone.")] = False,
    json: Json = False,
) -> None:
    import time

    from chipcast import __version__
    from chipcast import story as s
    from chipcast.base.summary import interval
    from chipcast.report import folder, page
    from chipcast.report import table as tables

    began = time.perf_counter()
    loaded = load(scenario, as_of=as_of, sets=sets)
    target = folder.check_out(out) if out else None
    place = str(target or f"runs/{loaded.name}-{s.run_hash(loaded, draws=draws, seed=seed, prior=prior)}")
    result = s.run(loaded, draws=draws, seed=seed, workers=workers, prior=prior)
    told = s.tell(result)
    evidence, headlines = result.ready.evidence, s.headline_draws(result)
    if evidence.ess < 500:
        note(f"warning: effective sample size {evidence.ess:.0f} is small; read the tails with care")
    summary: dict[str, Any] = {
        "scenario": loaded.name, "as_of": loaded.as_of, "draws": draws, "seed": seed,
        "claims": [c.as_dict() for c in result.claims],
        "headlines": {k: interval(v) for k, v in headlines.items()}}
    if not prior:
        summary["ess"] = evidence.ess
    written = folder.write(place, {
        "report.html": page.render(told), "summary.json": folder.summary_json(summary),
        "given.csv": folder.given_csv(result.ready.given),
        "draws.parquet": folder.draws_parquet({**folder.uncertain(result.ready.given), **headlines}),
    }, named=bool(out))
    seconds = time.perf_counter() - began
    files = {"report": written / "report.html", "summary": written / "summary.json", "given": written / "given.csv",
             "draws": written / "draws.parquet"}
    if json:
        emit_json({"scenario": loaded.name, "as_of": loaded.as_of, "draws": draws, "seed": seed, "seconds": seconds,
                   "ess": evidence.ess, "claims": [c.as_dict() for c in result.claims],
                   "files": {k: str(v) for k, v in files.items()}})
        return
    say(f"chipcast {__version__}: {loaded.name}, as known on {loaded.as_of}, {draws:,} draws, seed {seed}\n")
    for grid in tables.headline(told):
        table(grid.title, grid.columns, grid.rows, foot=grid.foot)
    say(f"\nreport: {files['report']}\nalso there: summary.json, given.csv, draws.parquet ({seconds:.1f} s)")
