"""Write the fits of the market's past, market_fit.csv and docs/validation-market.md; run it when the model moves.

First the fits that the simulator runs on, then the table of their parameters, then the page of the back-tests.

`--check` writes nothing and fails if the page or the table on disk is not what the back-tests give.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from datetime import date
from functools import cache, partial
from pathlib import Path

import numpy as np

from chipcast.base.summary import span
from chipcast.evidence import market_fit, market_prior
from chipcast.evidence.score import Scored, summary
from chipcast.hindcast import VINTAGES as WHOLE
from chipcast.hindcast import Hindcast, hindcast

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "validation-market.md"
DATA = ROOT / "chipcast" / "data"
TABLE = DATA / "market_fit.csv"
VINTAGES = (date(2025, 2, 25), date(2025, 12, 31))
DRAWS = 2000


@cache
def fit_of(day: date) -> market_fit.Fit:
    """Return the fit of a vintage with as many particles as ships."""
    return market_fit.fit(day, particles=market_prior.PARTICLES, moves=market_prior.MOVES)


def fitted() -> str:
    """Return market_fit.csv: one row per vintage and parameter."""
    out = io.StringIO()
    sheet = csv.writer(out, lineterminator="\n")
    sheet.writerow(("vintage", "name", "unit", "prior_p05", "prior_p50", "prior_p95", "p05", "p50", "p95",
                    "contraction", "prior_driven"))
    for day in VINTAGES:
        found = fit_of(day)
        for row in (*market_fit.contraction_table(found), *market_fit.now_table(found)):
            prior, posterior = row["prior"], row["posterior"]
            sheet.writerow((day, row["name"], row["unit"], *(f"{prior[q]:.4g}" for q in ("p05", "p50", "p95")),
                            *(f"{posterior[q]:.4g}" for q in ("p05", "p50", "p95")), f"{row['contraction']:.2f}",
                            int(bool(row["prior_driven"]))))
    return out.getvalue()


HEAD = ["| vintage | series | period | kind | came | median | 80 % band | 90 % band | in 90 % | CRPS | of last value |",
        "|---|---|---|---|---|---|---|---|---|---|---|"]


def figure(value: float) -> str:
    """Return a figure as short as it can be read: two decimals, or three digits where it is large."""
    return f"{value:.2f}" if abs(value) < 1000 else f"{float(f'{value:.3g}'):,.0f}"


def rows_of(scored: Sequence[Scored]) -> list[str]:
    """Return Markdown rows of scored forecasts."""
    return HEAD + [f"| {s.vintage} | {s.series} | {s.period} | {s.kind} | {figure(s.outcome)} | {figure(s.p50)} | "
                   f"{figure(s.p10)} to {figure(s.p90)} | {figure(s.p05)} to {figure(s.p95)} | "
                   f"{'yes' if s.inside_90 else '**no**'} | {figure(s.crps)} | "
                   f"{figure(s.baselines['last']) if 'last' in s.baselines else ''} |" for s in scored]


def verdict(scored: Sequence[Scored]) -> str:
    """Return one paragraph on coverage, skill and power."""
    s = summary(scored)
    low, high = s["band_90"]
    skill = ", ".join(f"{v:+.0%} against `{k}`" for k, v in s["skill"].items())
    few, many = s["pit_bin_band"]
    return (f"{s['hits_90']} of {s['forecasts']} outcomes lie in the 90 % band (a calibrated forecaster gets {low} to "
            f"{high}) and {s['hits_80']} in the 80 % band; mean PIT {s['mean_pit']:.2f} (0.5 is unbiased), PIT by "
            f"fifths {', '.join(map(str, s['pit_bins']))} (calibrated: {few} to {many} each). "
            f"Skill: {skill}. Power: {s['power']}. Forecasts of neighbouring vintages share outcomes, so they are "
            "fewer than they look.")


OFFICIAL = ("official", "derived")
"""Kinds of outcomes that are filings or computed from filings."""


def misses(told: Sequence[Hindcast], untold: Sequence[Hindcast]) -> list[str]:
    """Return a sentence on each outcome outside the 90 percent band, and on bounds that were hardly reached."""
    out = []
    for name, runs in (("path given", told), ("path hidden", untold)):
        for s in (s for run in runs for s in run.scored if not s.inside_90):
            side = "above" if s.outcome > s.p95 else "below"
            out.append(f"- {s.series} {s.period}, seen from {s.vintage} ({name}): {figure(s.outcome)} came, {side} the "
                       f"band {figure(s.p05)} to {figure(s.p95)}.")
    for b in untold[0].bounds:
        out.append(f"- {b['series']} {b['period']}: at least {b['at_least']:.0f} reported; the run gives that much a "
                   f"chance of {b['chance']:.0%} (median {b['p50']:.1f}, 95th percentile {b['p95']:.1f}).")
    return out


def others(runs: Sequence[Hindcast]) -> list[str]:
    """Return Markdown rows of what others said in public of the same quantities."""
    out = ["| series | period | came | kind | we said | from | others said (their error) | our CRPS |",
           "|---|---|---|---|---|---|---|---|"]
    seen = set()
    for s in (s for run in runs for s in run.scored if "named" in s.baselines):
        if (s.series, s.period) in seen:
            continue
        seen.add((s.series, s.period))
        out.append(f"| {s.series} | {s.period} | {figure(s.outcome)} | {s.kind} | {figure(s.p50)} | {s.vintage} | "
                   f"{figure(s.baselines['named'])} | {figure(s.crps)} |")
    return out


def one_ahead(scored: Sequence[Scored]) -> str:
    """Return in words what the held-out next quarter says of carrying the last filing on."""
    first = [s for k, s in enumerate(scored) if k == 0 or s.vintage != scored[k - 1].vintage]
    ours = np.mean([s.crps for s in first])
    last, season = (np.mean([s.baselines[name] for s in first]) for name in ("last", "seasonal_naive"))
    return (f"One quarter ahead, over the {len(first)} vintages below, that has a mean CRPS of {ours:.2f}, the last "
            f"value carried on {last:.2f}, and the quarter of the year before {season:.2f}: "
            + ("no season is added." if season > last else "a season would help and is not in the model."))


def page() -> str:
    """Return the page."""
    told, untold = ([hindcast(conditional=c, draws=DRAWS, as_of=day) for day in WHOLE] for c in (True, False))
    many = {c: market_fit.backtest(conditional=c, particles=1000) for c in (True, False)}
    found = {day: fit_of(day) for day in VINTAGES}
    gates = [f"| {g.what} | {g.by} | {g.chance:.0%} | {'yes' if g.happened else 'no'} | {g.brier:.2f} | {g.log:.2f} |"
             for g in untold[0].gates]
    times = [f"{t.what}: {t.came:.1f} came; forecast {t.p50:.1f} ({t.p05:.1f} to {t.p95:.1f}), CRPS {t.crps:.2f} "
             f"against {t.of_record:.2f} of a plain rate counted from the record." for t in untold[0].times]

    def filed(runs: Sequence[Hindcast]) -> list[Scored]:
        return [s for run in runs for s in run.scored if s.kind in OFFICIAL]

    def reported(runs: Sequence[Hindcast]) -> list[Scored]:
        return [s for run in runs for s in run.scored if s.kind not in OFFICIAL]

    lines = [
        "# How good the market's forecasts have been",
        "",
        "Written by `scripts/validation_market.py`; every number is computed. All forecasts here are **hindcasts**: "
        "each run sees only rows known by its date, but the ranges it starts from were written by people who had "
        "lived through 2025, and the model's form was chosen with the whole series in view. Skill on this page is "
        "therefore an upper bound; outcomes that are not in the data are the real test.",
        "",
        "Billions of USD unless the series says cards or price. *Path given* tells the run the later rules of "
        "both gates; *path hidden* makes it draw them from hazards. They test different things: the market, and the "
        "market with its politics.",
        "",
        "## The whole chain", "",
        "### Filings, path given", "", verdict(filed(told)), "", *rows_of(filed(told)), "",
        "### Filings, path hidden", "", verdict(filed(untold)), "", *rows_of(filed(untold)), "",
        "### Reports and estimates: coverage only",
        "",
        "Cards by vendor and year and prices are known from reports and brokers' estimates, which disagree with each "
        "other by factors; a miss here may be the report's.",
        "", *rows_of([*reported(told), *reported(untold)]), "",
        f"### The gates, seen from {untold[0].as_of}",
        "",
        "| event | by the end of | chance | came | Brier | log score |", "|---|---|---|---|---|---|", *gates, "",
        *times, "",
        "### What others said", "", *others(untold), "",
        "### What it missed, and why", "", *misses(told, untold), "",
        "Orders: buyers ordered several quarters of sales at once; the run holds cover to a share of the "
        "closed-form optimum and to a few quarters of budget, and starts on the day after the rush began, so the "
        "reported sum sits in its upper half. The first quarter of 2025: the run sees the rush in the card and "
        "keeps the rest of the maker's sales at their last level, while they fell by half as capacity went to the "
        "card. Platforms' capital spending: two of them publish it; the run gives what they spend on accelerator "
        "systems and beside it their other spending, carried on from the last quarters known. It has them pay for "
        "the rush as cards arrive, and less once the gate shuts, where they spent on without the card; the last value "
        "carried on does about as well. The "
        "charge: the maker had more goods and commitments for the card than the assumed months of capacity, so its "
        "write-off came out above the middle of the run. The ban: as seen on the date it was one future of several "
        "and not the likely one, and its quick reversal was without precedent. Sales after the relaxation of summer"
        " 2025: an open US gate and no sales need two keys; told both, the run gives none, and the trickle that was"
        " filed is above it; not told, it takes an answer that no filing has shown yet for a full stop with the "
        "chance that the record gives, and else for guidance of the old force. The price seen from August 2025: the"
        " run begins at list price, and the premium that the months of the cut had left is not carried in. Cards of"
        " the domestic leader: the run's line makes fewer than the largest estimate and the press said; its reasons"
        " are those of the line (dies, memory, packaging), see the report. The first version of this page had "
        "missed both quarters after the cut, because what sells beside the card under threat only drifted; the "
        "share that lesser cards took over after the cut-offs of 2022 and 2023 is now fitted and taken into "
        "account. Three more changes came from causes that were known on the dates, and all hindcasts were run "
        "anew: the answer to a relaxation may still be open on the date; capital spending has a part that no chip "
        "stops; months between the last filing and the run stand at what the fitted past foretells. "
        + one_ahead(many[True]),
        "",
        "## The market since 2022, one vintage per filing",
        "",
        "A model of five stocks fitted to what was known on each date, three quarters ahead. Its worst misses are "
        "those of 2023: the boom of need that began that year was in no quarter filed before it.",
        "",
        "### Path given", "", verdict(many[True]), "", *rows_of(many[True]), "",
        "### Path hidden", "", verdict(many[False]), "", *rows_of(many[False]), "",
        "## What the past says about each parameter",
        "",
        "Fitted to filed quarters, to orders as reported in each rush, to the memory rush of December 2024 once it "
        "was known, and to the dated record of threats, closings and openings. Episodes (2022, 2023, memory 2024, "
        "2025, and one to come) share a common middle. The simulator runs on whole particles of this fit, of the last "
        "vintage that its date may see. Contraction is 1 - var(posterior)/var(prior); under "
        f"{market_fit.PRIOR_DRIVEN} the assumed range speaks and not the data.",
    ]
    for day, fit in found.items():
        table = [*market_fit.contraction_table(fit), *market_fit.now_table(fit)]
        silent = [f"`{r['name']}`" for r in table if r["prior_driven"] and " at " not in str(r["name"])]
        lines += ["", f"### As of {day}, {len(fit.quarters)} quarters", "",
                  "| parameter | unit | prior | posterior | contraction | |", "|---|---|---|---|---|---|",
                  *(f"| {r['name']} | {r['unit']} | {span(r['prior'])} | {span(r['posterior'])} | "
                    f"{r['contraction']:.2f} | {'prior-driven' if r['prior_driven'] else ''} |" for r in table), "",
                  f"History does **not** identify {', '.join(silent)}: there the assumed range speaks."]
    return "\n".join([*lines, "", "## Try it", "", "```sh", "chipcast calibrate market --particles 500",
                      "chipcast backtest --conditional --draws 400", "```", ""])


def shipped(day: date) -> str:
    """Return the text of a fit that ships with the data."""
    fit = fit_of(day)
    return market_prior.to_text(day, market_fit.for_simulator(fit), end=fit.quarters[-1],
                                ahead=market_fit.ahead_ln(fit))


def main() -> None:
    """Write the page and the table, or check them."""
    steps = [*((DATA / "posteriors" / market_prior.path_of_fit(day), partial(shipped, day))
               for day in market_prior.VINTAGES), (TABLE, fitted), (PAGE, page)]
    for path, write in steps:  # in order: the page's runs stand on the fits
        text = write()
        if "--check" in sys.argv:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                sys.exit(f"{path.relative_to(ROOT)} is not what the back-tests give; run scripts/validation_market.py")
        else:
            path.write_text(text, encoding="utf-8")
            market_prior.shipped.cache_clear()


if __name__ == "__main__":
    main()
