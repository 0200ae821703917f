"""The page that says how good the predictions are, made from rows that the fit had not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chipcast.base.catalog import Catalogue, read_table
from chipcast.tokens.posterior import Posterior
from chipcast.tokens.validate import (
    Scored,
    by_source,
    cases,
    coverage,
    leave_one_out,
    median_of_medians,
    nested,
    operations,
    rank_accuracy,
    widened,
)


def fitted(catalog: Catalogue, posterior: Posterior) -> tuple[Posterior, list[Scored]]:
    """Return the posterior with its stretch, and every row under the stretch that other sources chose."""
    done, plain, far = widened(catalog, posterior)
    return done, nested(plain, far)


def _table(scored: Sequence[Scored]) -> list[str]:
    lines = ["| source | rows | error | bias | inside 90 % interval | interval, factor to each side |",
             "|---|---|---|---|---|---|"]
    for source, v in by_source(scored).items():
        e = np.array([x.error for x in v])
        lines.append(f"| {source} | {len(v)} | {np.median(np.abs(e)):.2f} | {np.median(e):+.2f} | "
                     f"{np.mean([x.inside for x in v]):.0%} | {np.exp(np.median([x.width for x in v]) / 2):.2f} |")
    return lines


def page(catalog: Catalogue, posterior: Posterior, scored: Sequence[Scored]) -> str:
    """Return the validation page in Markdown; leaves out chips and models, which takes some minutes."""
    _, ready, refused = cases(catalog)
    asked = {r.case.id: r.case.quantity for r in ready}
    lines = [
        "# How good are the predictions of `tokens`?", "",
        f"Fitted on {posterior.rows} measurements known by {posterior.as_of}, of which "
        f"{len(operations(catalog))} are of single operations (hash `{posterior.digest}`). Each source below "
        "was predicted by a fit that has not seen it; rows marked as reference were never fitted. Errors are medians "
        "of the absolute logarithm of prediction over measurement; 0.10 is about ten percent.", "",
        "The stretch of a source's intervals was chosen on the other sources only, so the coverage is as honest as "
        "the error; for chips that no other source has measured also on chips left out. "
        "Make the page again with `chipcast tokens fit --rebuild`.", ""]
    lines += _table(scored)
    seen, new = [s for s in scored if s.seen], [s for s in scored if not s.seen]
    lines += ["", "| rows | median of the sources' medians | coverage, sources as one | coverage, rows as one |",
              "|---|---|---|---|"]
    for name, group in (("quality A, chip seen in another source", [s for s in seen if s.quality == "A"]),
                        ("quality B, chip seen in another source", [s for s in seen if s.quality == "B"]),
                        ("chip seen in no other source", new), ("all", list(scored))):
        lines.append(f"| {name} ({len(group)} rows) | {median_of_medians(group):.2f} | {coverage(group):.0%} | "
                     f"{np.mean([s.inside for s in group]):.0%} |")
    lines += ["", f"Of pairs of rows of one source and quantity, {rank_accuracy(scored, asked):.0%} are put in the "
              "right order (sources as one; half is chance).", "",
              "Stretch of the intervals: " + ", ".join(f"{k} {v:.2f}" for k, v in sorted(posterior.widen.items()))
              + ".", "", "## Left out by chip and by model", "",
              "| left out | rows | median of the sources' medians | coverage, sources as one |", "|---|---|---|---|"]
    for key in ("chip", "model"):
        rows = leave_one_out(catalog, posterior, key=key)
        lines.append(f"| one {key} at a time | {len(rows)} | {median_of_medians(rows):.2f} | {coverage(rows):.0%} |")
    lines += ["", "## Beside others", "", "| who | error |", "|---|---|"]
    lines += [f"| {r['who']}, {r['case']} | {float(r['error']):.2f} {r['measure']} |" for r in read_table("peers")]
    lines += ["", f"{len(refused)} rows were refused:", ""]
    reasons: dict[str, int] = {}
    for _, why in refused:
        reasons[why.split(";")[0]] = reasons.get(why.split(";")[0], 0) + 1
    lines += [f"- {n} x {why}" for why, n in sorted(reasons.items(), key=lambda kv: -kv[1])]
    return "\n".join(lines) + "\n"
