"""Imports go one way along the line; the core stays light."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import chipcast

ROOT = Path(chipcast.__file__).parent
LINE = ("base", "fab", "chip", "rules", "cluster", "tokens", "market", "evidence", "plan", "report", "web")
FILES = sorted(p for p in ROOT.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Names of all modules that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{a.name}" for a in node.names)
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_station_imports_only_what_lies_left_of_it(path: Path) -> None:
    station = path.relative_to(ROOT).parts[0]
    if station not in LINE:
        return
    allowed = set(LINE[: LINE.index(station) + 1])
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "chipcast" and len(parts) > 1 and parts[1] != "__version__":
            assert parts[1] in allowed, f"{station} must not import {name}"


STATION_FILES = [p for p in FILES if p.relative_to(ROOT).parts[0] in LINE[:9]]


@pytest.mark.parametrize("path", STATION_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_stations_read_no_clock_no_network_and_no_generator(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    banned = {"time", "random", "socket", "urllib", "requests", "httpx", "logging", "scipy.stats", "pandas"}
    assert not banned & imported(path)
    for word in ("default_rng", "np.random.seed", "date.today", "datetime.now", "print("):
        assert word not in text, f"{word} in a station"


HEAVY = {"polars", "altair", "vl_convert", "highspy", "numba", "ruamel", "rich", "pydantic", "fastapi", "uvicorn",
         "jinja2"}


@pytest.mark.parametrize("path", sorted((ROOT / "cli").glob("*.py")), ids=lambda p: p.name)
def test_the_command_line_imports_nothing_heavy_at_the_top(path: Path) -> None:
    top = [n for n in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(n, ast.Import | ast.ImportFrom)]
    for node in top:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        for name in names:
            root = name.split(".")[0]
            assert root not in HEAVY | {"numpy", "scipy"}, f"{name} at the top of {path.name}"
            assert root != "chipcast" or name.startswith(("chipcast.cli", "chipcast.base.errors")) or name == "chipcast"
