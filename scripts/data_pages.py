"""Write docs/data/*.md from the data and the code: chips, rules, models, assumed ranges, units, sources, formulas.

`--check` writes nothing and fails if a page on disk is not what the data give.
"""

from __future__ import annotations

import ast
import csv
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from chipcast.base.catalog import last_known, read_table, sources
from chipcast.base.units import UNITS

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "data"
STATIONS = ("fab", "chip", "rules", "cluster", "tokens", "market", "evidence", "plan")

CHIP_FIGURES = {
    "fp16_tflops": "FP16 dense, TFLOPS", "fp8_tflops": "FP8 dense, TFLOPS", "int8_tops": "INT8 dense, TOPS",
    "mem_gb": "memory, GB", "mem_bw_gb_s": "memory, GB/s", "scaleup_gb_s_per_direction": "fast links, GB/s one way",
    "tdp_w": "power, W", "applicable_die_mm2": "die area for density, mm2", "price_usd": "price, USD",
}
"""Figures of the page of chips, in the words of its heads."""


def cell(text: object) -> str:
    """Return text that cannot break a table."""
    return " ".join(str(text).split()).replace("|", "/")


def grid(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a Markdown table."""
    return [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *(f"| {' | '.join(map(cell, r))} |" for r in rows)]


def page(title: str, intro: str, *parts: Sequence[str]) -> str:
    """Return a page with its title, what it is, and its parts."""
    body = [line for part in parts for line in (*part, "")]
    return "\n".join([f"# {title}", "", f"{intro} Written by `scripts/data_pages.py`.", "", *body])


def chips() -> str:
    """Return the catalogue's main figures, each the last known one, with how many sources a chip has."""
    rows = read_table("chips")
    items = list(dict.fromkeys(r["item"] for r in rows))
    table = []
    for item in items:
        own = [r for r in rows if r["item"] == item and r["value"]]
        last = {r["name"]: r for r in sorted(own, key=lambda r: r["known_by"])}
        kinds = ", ".join(sorted({r["kind"] for r in own}))
        table.append([f"`{item}`", *(last[k]["value"] if k in last else "" for k in CHIP_FIGURES), kinds,
                      len({r["source"] for r in own})])
    return page("Chips", f"{len(items)} chips and {len(rows)} figures, as known on {last_known()}. `chipcast chip show "
                "CHIP` gives every figure with unit, kind, dates and source.",
                grid(["chip", *CHIP_FIGURES.values(), "kinds of figures", "sources"], table))


def rules() -> str:
    """Return the rules, oldest first."""
    rows = sorted(read_table("rules"), key=lambda r: (r["effective"] or "9999", r["rule_id"]))
    return page("Rules", f"{len(rows)} rows of law and guidance, as data. `test` is parsed, never run as a program. "
                "What published text says; no legal advice.",
                grid(["rule", "name", "effective", "end", "test", "consequence", "source"],
                     [(f"`{r['rule_id']}`", r["name"], r["effective"], r.get("end", ""),
                       f"`{cell(r['test'])}`" if r["test"] else "", r.get("consequence", ""), r["source"])
                      for r in rows]))


def models() -> str:
    """Return the shipped models with what the program computes of them."""
    from chipcast.tokens.model import load

    rows = []
    for path in sorted((ROOT / "chipcast" / "data" / "models").glob("*.json")):
        m = load(path.stem)
        rows.append((f"`{path.stem}`", m.layers, m.context or "", f"{m.params_total / 1e9:,.1f}",
                     f"{m.params_active / 1e9:,.1f}", m.native))
    return page("Models", f"{len(rows)} configurations ship; any Hugging Face `config.json` is read the same way.",
                grid(["model", "layers", "context, tokens", "parameters, 1e9", "active, 1e9", "precision"], rows))


def assumed() -> str:
    """Return every assumed range with its reason, by item."""
    rows = read_table("priors")
    parts = []
    for item in sorted({r["item"] for r in rows}):
        own = [r for r in rows if r["item"] == item]
        parts.append([f"## {item}", "", *grid(["name", "low", "mode", "high", "unit", "law", "vintage", "reason"], [
            (f"`{r['name']}`", r["low"], r["mode"], r["high"], r["unit"], r["family"], r["vintage"], r["reason"])
            for r in own])])
    return page("Assumed ranges", f"{len(rows)} ranges of our own, where no fact of the date exists: 5th percentile, "
                "most likely, 95th. Change one in a scenario with `set:`.", *parts)


def units() -> str:
    """Return the closed list of units."""
    by: dict[str, list[str]] = {}
    for name, (dimension, _) in UNITS.items():
        by.setdefault(dimension, []).append(f"`{name}`")
    return page("Units", f"The {len(UNITS)} units that a row, a scenario or an option may use, by dimension. Text such "
                "as `64 GB` is converted at the door; a mix-up of dimensions is refused.",
                grid(["dimension", "units"], [(d, ", ".join(u)) for d, u in by.items()]))


def source_list() -> str:
    """Return every source."""
    rows = sources()
    return page("Sources", f"{len(rows)} sources. `assumed` marks ranges of our own.",
                grid(["key", "title", "publisher", "date", "address", "licence"],
                     [(f"`{k}`", *(r[c] for c in ("title", "publisher", "date", "url", "licence")))
                      for k, r in rows.items()]))


def formulas() -> str:
    """Return every public function whose docstring states an equation or a source, by station."""
    parts = []
    count = 0
    for station in STATIONS:
        rows = []
        for path in sorted((ROOT / "chipcast" / station).glob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                    continue
                text = ast.get_docstring(node) or ""
                first = text.split("\n\n")[0]
                notes = re.search(r"Notes\n-+\n(.*?)(?=\n\n\S|\n>>>|\Z)", text, re.DOTALL)
                literature = re.search(r"^Sources: (.*?)(?=\n\n|\Z)", text, re.DOTALL | re.MULTILINE)
                words = (notes.group(1) if notes else "").split("Sources:")[0]
                if "$" in first or "$" in words or literature:
                    rows.append((f"`{station}.{path.stem}.{node.name}`", first, words,
                                 literature.group(1) if literature else ""))
        count += len(rows)
        parts.append([f"## {station}", "", *grid(["function", "what it returns", "notes", "literature"], rows)])
    return page("All formulas", f"{count} functions that state an equation or a source, from their own docstrings.",
                *parts)


def verbs() -> str:
    """Return every verb of the command line with what it does and its options."""
    import typer

    from chipcast.cli import build

    rows: list[tuple[str, str, str]] = []

    def walk(group: Any, words: tuple[str, ...]) -> None:
        inner = getattr(group, "commands", None)
        for name, command in (inner or {}).items():
            walk(command, (*words, name))
        if inner is None:
            options = [max(p.opts, key=len) for p in group.params if p.opts[0].startswith("-") and p.name != "help"]
            named = [p.metavar or p.name.upper() for p in group.params if not p.opts[0].startswith("-")]
            rows.append((f"`{' '.join((*words, *named))}`", group.help or "", " ".join(f"`{o}`" for o in options)))

    walk(typer.main.get_command(build()), ("chipcast",))
    return page("Verbs", f"All {len(rows)} verbs; `--help` after any of them says what each option means.",
                grid(["verb", "what it does", "options"], rows))


PAGES: dict[str, Callable[[], str]] = {
    "chips": chips, "rules": rules, "models": models, "assumed": assumed, "units": units, "sources": source_list,
    "formulas": formulas, "verbs": verbs,
}
"""Every page with what writes it."""


def main() -> None:
    """Write the pages, or check them."""
    csv.field_size_limit(10**9)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        path, text = FOLDER / f"{name}.md", make()
        if "--check" in sys.argv:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                sys.exit(f"{path.relative_to(ROOT)} is not what the data give; run scripts/data_pages.py")
        else:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
