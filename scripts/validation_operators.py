"""Write docs/validation-operators.md and chipcast/data/operator_fit.csv from runs whose time in progress is published.

`--check` writes nothing and fails if the page or the table on disk is not what the fit gives.
"""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

import numpy as np
from pages import write_or_check

from chipcast.base.catalog import Catalogue, read_table
from chipcast.cluster import operators

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "validation-operators.md"
TABLE = ROOT / "chipcast" / "data" / "operator_fit.csv"
VINTAGES = (date(2025, 2, 25), date(2025, 12, 31))
PLACES = (0.05, 0.5, 0.95)
"""Quantiles by which a habit is shipped."""
DRAWS = 4000
SOURCE = "the-llama-3-herd-of-models-table-as-reproduced-in-g"


def fitted() -> str:
    """Return operator_fit.csv: one row per vintage and habit."""
    out = io.StringIO()
    sheet = csv.writer(out, lineterminator="\n")
    sheet.writerow(("known_by", "name", "unit", "prior_p05", "prior_p50", "prior_p95", "p05", "p50", "p95", "law",
                    "source"))
    units = {f"{r['item']}.{r['name']}": r["unit"] for r in read_table("priors")}
    for day in VINTAGES:
        catalog = Catalogue(day)
        found, laws = operators.fit_operators(catalog, particles=DRAWS), operators.laws_of(catalog)
        for name in operators.HABITS:
            sheet.writerow((day, name, units[name], *(f"{v:.4g}" for v in laws[name].at(np.array(PLACES))),
                            *(f"{v:.4g}" for v in np.quantile(found.values[name], PLACES)),
                            "share" if name.endswith("probability") else "positive", SOURCE))
    return out.getvalue()


def page(table: str) -> str:
    """Return the validation page."""
    catalog = Catalogue(VINTAGES[-1])
    rows = {r["id"]: r for r in catalog.rows("faults")}
    names = [run.row for run in operators.RUNS]
    plain = operators.fit_operators(catalog, particles=DRAWS, leave_out=names).ettr
    lines = ["# Validation: how operators recover", "",
             "Made by `scripts/validation_operators.py`; run it again when a range or a published run is added.", "",
             "Ranges for detection, restart, saving and slow members are assumed. Three published runs say how much of "
             "their time was progress, at a known size and, for two, a known rate of stops. Half the variance of what "
             "is unknown is taken as common to operators, so that a run moves the ranges for a further operator, but "
             "not all the way. Shares of wall time; the prediction is for a *further* operator with the run's size "
             "and rate.", "",
             "| run | chips | published | ranges alone | held out | all runs |", "|---|---|---|---|---|---|"]
    seen = operators.fit_operators(catalog, particles=DRAWS).ettr

    def band(values: object) -> str:
        return ", ".join(f"{v:.3f}" for v in np.quantile(np.asarray(values), PLACES))

    for run in operators.RUNS:
        held = operators.fit_operators(catalog, particles=DRAWS, leave_out=(run.row,)).ettr[run.row]
        row = rows[run.row]
        said = f"{'above ' if run.at_least else 'about '}{float(row['value']):g}"
        lines.append(f"| {row['cluster']} (`{run.row}`) | {row['chips']} | {said} | {band(plain[run.row])} | "
                     f"{band(held)} | {band(seen[run.row])} |")
    lines += ["", "The runs that are published are among the best: a reader who expects an average operator should "
              "expect less. Each cell holds the 5th, 50th and 95th percentile.", "", "## Habits", "",
              "| known by | row | unit | range (5, 50, 95 %) | after |", "|---|---|---|---|---|"]
    lines += [f"| {r['known_by']} | `{r['name']}` | {r['unit']} | {r['prior_p05']}, {r['prior_p50']}, {r['prior_p95']} "
              f"| {r['p05']}, {r['p50']}, {r['p95']} |" for r in csv.DictReader(io.StringIO(table))]
    lines += ["", "## Rows not taken", ""]
    lines += [f"- {key}: {why}." for key, why in operators.NOT_TAKEN.items()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    table = fitted()
    raise SystemExit(write_or_check({TABLE: table, PAGE: page(table)}, "scripts/validation_operators.py"))
