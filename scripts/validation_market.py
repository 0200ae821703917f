"""Write docs/validation-market.md and chipcast/data/market_fit.csv from the back-tests; run it when either moves.

`--check` writes nothing and fails if the page or the table on disk is not what the back-tests give.
"""

from __future__ import annotations

import csv
import io
import sys
from datetime import date
from pathlib import Path

from chipcast.base.summary import span
from chipcast.evidence import market_fit, market_prior
from chipcast.evidence.score import Scored, summary
from chipcast.hindcast import Hindcast, hindcast

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "validation-market.md"
TABLE = ROOT / "chipcast" / "data" / "market_fit.csv"
VINTAGES = (date(2025, 2, 25), date(2025, 12, 31))
DRAWS = 2000


def fitted() -> str:
    """Return market_fit.csv: one row per vintage and parameter."""
    out = io.StringIO()
    sheet = csv.writer(out, lineterminator="\n")
    sheet.writerow(("vintage", "name", "unit", "prior_p05", "prior_p50", "prior_p95", "p05", "p50", "p95",
                    "contraction", "prior_driven"))
    for day in VINTAGES:
        found = market_fit.fit(day, particles=DRAWS)
        for row in (*market_fit.contraction_table(found), *market_fit.now_table(found)):
            prior, posterior = row["prior"], row["posterior"]
            sheet.writerow((day, row["name"], row["unit"], *(f"{prior[q]:.4g}" for q in ("p05", "p50", "p95")),
                            *(f"{posterior[q]:.4g}" for q in ("p05", "p50", "p95")), f"{row['contraction']:.2f}",
                            int(bool(row["prior_driven"]))))
    return out.getvalue()


def rows_of(scored: tuple[Scored, ...]) -> list[str]:
    """Return Markdown rows of scored forecasts."""
    head = ["| vintage | series | period | came | median | 80 % band | 90 % band | in 90 % | CRPS | of last value |",
            "|---|---|---|---|---|---|---|---|---|---|"]
    return head + [f"| {s.vintage} | {s.series} | {s.period} | {s.outcome:.2f} | {s.p50:.2f} | {s.p10:.2f} to "
                   f"{s.p90:.2f} | {s.p05:.2f} to {s.p95:.2f} | {'yes' if s.inside_90 else '**no**'} | {s.crps:.2f} | "
                   f"{s.baselines.get('last', float('nan')):.2f} |" for s in scored]


def verdict(scored: tuple[Scored, ...]) -> str:
    """Return one paragraph on coverage, skill and power."""
    s = summary(scored)
    low, high = s["band_90"]
    skill = ", ".join(f"{v:+.0%} against `{k}`" for k, v in s["skill"].items())
    return (f"{s['hits_90']} of {s['forecasts']} outcomes lie in the 90 % band (a calibrated forecaster gets {low} to "
            f"{high}) and {s['hits_80']} in the 80 % band; mean PIT {s['mean_pit']:.2f} (0.5 is unbiased). "
            f"Skill: {skill}. Power: {s['power']}. Forecasts of neighbouring vintages share outcomes, so they are "
            "fewer than they look.")


def misses(told: Hindcast, untold: Hindcast) -> list[str]:
    """Return a sentence on each outcome outside the 90 percent band, and on bounds that were hardly reached."""
    out = []
    for name, run in (("path given", told), ("path hidden", untold)):
        for s in run.scored:
            if not s.inside_90:
                side = "above" if s.outcome > s.p95 else "below"
                out.append(f"- {s.series} {s.period} ({name}): {s.outcome:.2f} came, {side} the band {s.p05:.2f} to "
                           f"{s.p95:.2f}.")
    for b in untold.bounds:
        out.append(f"- {b['series']} {b['period']}: at least {b['at_least']:.0f} reported; the run gives that much a "
                   f"chance of {b['chance']:.0%} (median {b['p50']:.1f}, 95th percentile {b['p95']:.1f}).")
    return out


def page() -> str:
    """Return the page."""
    told, untold = (hindcast(conditional=c, draws=DRAWS) for c in (True, False))
    many = {c: market_fit.backtest(conditional=c, particles=1000) for c in (True, False)}
    found = market_fit.fit(VINTAGES[0], particles=DRAWS)
    table = [*market_fit.contraction_table(found), *market_fit.now_table(found)]
    gates = [f"| {g.by} | {g.chance:.0%} | {'yes' if g.happened else 'no'} | {g.brier:.2f} | {g.log:.2f} |"
             for g in untold.gates]
    return "\n".join([
        "# How good the market's forecasts have been",
        "",
        "Written by `scripts/validation_market.py`; every number is computed. All forecasts here are **hindcasts**: "
        "each run sees only rows known by its date, but the ranges it starts from were written by people who had "
        "lived through 2025, and the model's form was chosen with the whole series in view. Skill on this page is "
        "therefore an upper bound; outcomes that are not in the data are the real test.",
        "",
        "Billions of USD. *Path given* tells the run the later rules of both gates; *path hidden* makes it draw them "
        "from hazards. They test different things: the market, and the market with its politics.",
        "",
        "## The whole chain, run as of 25 February 2025",
        "",
        "### Path given", "", *rows_of(told.scored), "",
        "### Path hidden", "", *rows_of(untold.scored), "",
        "Did the US gate shut for the H20, as seen on that date (it did, on 9 April 2025)?", "",
        "| by the end of | chance | came | Brier | log score |", "|---|---|---|---|---|", *gates, "",
        "### What it missed, and why", "", *misses(told, untold), "",
        "Orders: buyers ordered several quarters of sales at once; the run holds cover to a share of the closed-form "
        "optimum and to a few quarters of budget, and starts on the day after the rush began, so the reported sum "
        "sits in its upper tail. Revenue after the cut: what sells beside the H20 starts at its last known rate and "
        "only drifts, so the run is low once the H20 is gone; what else grew is not in the data (the drift was "
        "added after "
        "a first version of this page had missed both quarters). The ban: as seen on the date it "
        "was one future of several and not the likely one. Sales after the relaxation of summer 2025: an open US gate "
        "and no sales need two keys; one gate cannot say both.",
        "",
        "## The market since 2022, one vintage per filing",
        "",
        "A model of five stocks fitted to the filed quarters known on each date, three quarters ahead. Its worst "
        "misses are those of 2023: the boom of need that began that year was in no quarter filed before it.",
        "",
        "### Path given", "", verdict(many[True]), "", *rows_of(many[True]), "",
        "### Path hidden", "", verdict(many[False]), "", *rows_of(many[False]), "",
        "## What the filed quarters say about each parameter",
        "",
        f"As of {VINTAGES[0]}, {len(found.quarters)} quarters. Contraction is 1 - var(posterior)/var(prior); under "
        f"{market_fit.PRIOR_DRIVEN} the assumed range speaks and not the data.",
        "",
        "| parameter | unit | prior | posterior | contraction | |", "|---|---|---|---|---|---|",
        *(f"| {r['name']} | {r['unit']} | {span(r['prior'])} | {span(r['posterior'])} | {r['contraction']:.2f} | "
          f"{'prior-driven' if r['prior_driven'] else ''} |" for r in table),
        "",
        "History identifies need, its growth and what a rule leaves over; it does **not** identify how much cover "
        "buyers hold, how fast they believe a threat, or how fast stranded orders lapse: two episodes are not enough.",
        "",
        "## Try it",
        "",
        "```sh", "chipcast calibrate market --particles 500", "chipcast backtest --conditional --draws 400", "```", "",
    ])


def main() -> None:
    """Write the page and the table, or check them."""
    for path, text in ((TABLE, fitted()), (PAGE, page())):
        if "--check" in sys.argv:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                sys.exit(f"{path.relative_to(ROOT)} is not what the back-tests give; run scripts/validation_market.py")
        else:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
