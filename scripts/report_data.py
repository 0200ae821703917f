"""Write chipcast/data/backtests.csv: forecasts and predictions of the past beside what came, as the report draws them.

Run it when the market, its past model or the fit of `tokens` moves (some two minutes, most of it leaving out one
source of measurements after the other). `--market` redoes the rows of the market alone, `--tokens` the others;
`--check` writes nothing and fails if the rows asked for are not those on disk.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from chipcast.base.catalog import read_table

TABLE = Path(__file__).resolve().parent.parent / "chipcast" / "data" / "backtests.csv"
COLUMNS = ("part", "id", "group", "case", "measure", "vintage", "known", "p05", "p50", "p95", "came")
DRAWS, PARTICLES = 2000, 1000
PATHS = {True: "path of the rules given", False: "path of the rules hidden"}


def market() -> Iterable[dict[str, Any]]:
    """Give every forecast of the market's back-tests that has an outcome in the same unit."""
    from chipcast.evidence import market_fit
    from chipcast.hindcast import hindcast

    for given, words in PATHS.items():
        runs = (("whole chain", hindcast(conditional=given, draws=DRAWS).scored),
                ("model of the past", market_fit.backtest(conditional=given, particles=PARTICLES)))
        for name, scored in runs:
            for s in scored:
                yield {"part": "market", "id": s.series, "group": name, "case": s.period, "measure": _measure(s.series),
                       "vintage": s.vintage, "known": words, "p05": s.p05, "p50": s.p50, "p95": s.p95,
                       "came": s.outcome}


def _measure(series: str) -> str:
    ends = {"_usd_bn": "billion USD", "_usd": "USD", "_cards": "cards or packages", "_packages": "cards or packages"}
    return next((words for end, words in ends.items() if series.endswith(end)), "ratio")


def tokens() -> Iterable[dict[str, Any]]:
    """Give every measurement predicted by a fit that has not seen its source."""
    from chipcast.cli.common import catalogue
    from chipcast.tokens.predict import shipped_posterior
    from chipcast.tokens.validate import cases, leave_one_out

    catalog = catalogue("")
    posterior = shipped_posterior("latest")
    ready = {r.case.id: r for r in cases(catalog)[1]}
    for s in leave_one_out(catalog, posterior):
        case, value = ready[s.id].case, ready[s.id].log_value
        middle = value + s.error
        above = abs(value - middle) / s.place if s.place > 0 else s.width / 2
        high = middle + above if value > middle else middle - above + s.width
        yield {"part": "tokens", "id": s.id, "group": s.source, "case": f"{case.chips[0]}, {case.model.name}",
               "measure": case.quantity.replace("_per_", "/").replace("_", " "), "vintage": posterior.as_of,
               "known": "seen elsewhere" if s.seen else "chip not seen", "p05": np.exp(high - s.width),
               "p50": np.exp(middle), "p95": np.exp(high), "came": np.exp(value)}


PARTS = {"market": market, "tokens": tokens}
"""Halves of the table, each with what makes it."""


def text(rows: Iterable[dict[str, Any]]) -> str:
    """Return rows as CSV with four significant digits."""
    out = io.StringIO()
    sheet = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    sheet.writeheader()
    sheet.writerows({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in r.items()} for r in rows)
    return out.getvalue()


def main() -> None:
    """Write the table, or check it."""
    asked = [p for p in PARTS if f"--{p}" in sys.argv] or list(PARTS)
    old = [dict(r) for r in read_table("backtests")] if TABLE.is_file() else []
    rows: list[dict[str, Any]] = []
    for part, make in PARTS.items():
        rows += list(make()) if part in asked else [r for r in old if r["part"] == part]
    new = text(rows)
    if "--check" in sys.argv:
        if not TABLE.is_file() or TABLE.read_text(encoding="utf-8") != new:
            sys.exit("chipcast/data/backtests.csv is not what the back-tests give; run scripts/report_data.py")
    else:
        TABLE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
