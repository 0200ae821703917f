"""How many can the line make: packages by month, and what limits them."""

from __future__ import annotations

from typing import Any

import numpy as np

from chipcast.base.calendar import places_by_quarter
from chipcast.report.form import SPREAD, three
from chipcast.report.form_rows import stack
from chipcast.report.form_time import fan
from chipcast.report.record import Panel, Picture, Table
from chipcast.report.theme import CHIP_COLOURS, LIMIT_COLOURS, LIMIT_NAMES, chip_name, day_words
from chipcast.web.ask import Question
from chipcast.web.form import Answers, Field, Given, Page, make
from chipcast.web.questions import FabLine
from chipcast.web.show import View, range_words, said

DRAWS = 1000
"""Draws of the page."""


def questions(given: Given) -> dict[str, Question]:
    """Return the line as it is asked for."""
    shut = [f"{given['gate']}={given['on']}"] if "gate" in given and "on" in given else []
    return {"line": make(FabLine, given, "scenario", draws=DRAWS, close=shut,
                         no_controls=True if given.get("controls") == "off" else None)}


def view(answers: Answers, given: Given) -> View:
    """Return packages by year and month, and what binds."""
    a = answers["line"]
    first = next(iter(a["by_year"]))
    made = "; ".join(f"{chip_name(p)} {range_words(v)}" for p, v in a["by_year"][first].items())
    most = max(a["binding"], key=lambda k: a["binding"][k])
    rows = [(year, *(range_words(v) for v in by.values())) for year, by in a["by_year"].items()]
    return View(
        headline=f"Good packages in {first}: {made}",
        lines=said([f"What binds most often is {LIMIT_NAMES[most]}, in {a['binding'][most]:.0%} of months and draws",
                    "Scanners can expose " + range_words(a["scanner_cap_wafers_per_month"]) + " wafers of these chips "
                    "a month", f"A wafer holds {range_words(a['gross_dies'])} dies", f"Assumes {a['assumes']}"]),
        pictures=(_packages(a), _binding(a)), scenario=a["scenario"],
        tables=(Table(id="years", title="Good packages by year", columns=("year", *map(chip_name, a["series"])),
                      rows=tuple(rows), foot="Median with the 5th and the 95th percentile."),),
        foot=f"As known on {a['as_of']}, {a['draws']:,} draws, on what the dated reports left of the ranges.")


def _packages(a: Any) -> Picture:
    rows, panels = [], []
    for product, series in a["series"].items():
        name = chip_name(product)
        part = [{"month": f"{m}-15", "product": name, **{k: v / 1000 for k, v in three(x).items()}}
                for m, x in zip(a["months"], series["packages"], strict=True)]
        rows += part
        panels.append(Panel(title=f"{name} a month", spec=fan(
            part, x="month", by="product", colours={name: CHIP_COLOURS[product]}, height=220,
            y_title=f"thousand good packages, {SPREAD}")))
    ends = " and ".join(f"{range_words(s['packages'][-1])} {chip_name(p)}" for p, s in a["series"].items())
    return Picture(id="packages", title=f"In {day_words(a['months'][-1])} the line makes {ends}", rows=rows,
                   note=f"Line: median; band: {SPREAD}.", panels=tuple(panels))


def _binding(a: Any) -> Picture:
    quarters = places_by_quarter(a["months"])
    tones = {LIMIT_NAMES[k]: LIMIT_COLOURS[k] for k in a["binding"]}
    rows = [{"quarter": q, "limit": LIMIT_NAMES[k], "share": float(np.mean(
        [a["binding_by_month"][i][k] for i in at]))}
        for q, at in quarters.items() for k in a["binding"]]
    most = max(a["binding"], key=lambda k: a["binding"][k])
    return Picture(id="binding", title=f"{LIMIT_NAMES[most].capitalize()} bind in {a['binding'][most]:.0%} of months "
                   "and draws", note="Share of draws and months in which each limit binds, by quarter.", rows=rows,
                   legend=tuple(tones.items()), panels=(Panel(spec=stack(
                       rows, x="quarter", y="share", by="limit", colours=tones, percent=True, domain=(0, 1),
                       y_title="share of draws and months", height=240)),), wide=True)


PAGE = Page(
    path="/line", title="How many can the line make?", asks="analyst", questions=questions, view=view,
    takes="5 to 15 s", lead="Packages by month with their uncertainty, and which of wafers, scanners, dies, memory and "
    "packaging limits them.",
    fields=(Field(name="scenario", label="World", kind="select", default="february-2025", options=(
                ("february-2025", "February 2025"), ("latest", "everything known"))),
            Field(name="controls", label="Export controls", kind="select", default="on", options=(
                ("on", "as they stand"), ("off", "none"))),
            Field(name="gate", label="Shut for the line", kind="select", options=(
                ("", "nothing more"), ("tools", "tools"), ("hbm", "memory stacks"), ("foundry", "foreign dies"))),
            Field(name="on", label="from the day", kind="date")))
