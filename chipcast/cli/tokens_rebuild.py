"""Make the fits that ship, the rows behind the picture of them, and the page that says how good they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def rebuild() -> None:
    """Fit every vintage on what was known by it; write posteriors, `validation.csv` and `docs/validation-tokens.md`."""
    from chipcast.base.catalog import DATA
    from chipcast.cli.common import catalogue, note
    from chipcast.tokens.accuracy import fitted, page
    from chipcast.tokens.posterior import VINTAGES, shipped_posterior, to_text
    from chipcast.tokens.validate import fit_all, points

    for vintage in VINTAGES:
        catalog = catalogue("" if vintage == "latest" else vintage)
        made, scored = fitted(catalog, fit_all(catalog))
        path = DATA / "posteriors" / f"tokens-{vintage}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(to_text(made) + "\n", encoding="utf-8")
        note(f"{path.name}: {made.rows} rows, {len(made.names)} deviations, hash {made.digest}")
    shipped_posterior.cache_clear()
    write_rows(DATA / "validation.csv", points(scored))
    folder = DATA.parent.parent / "docs"
    if folder.is_dir():
        (folder / "validation-tokens.md").write_text(page(catalog, made, scored), encoding="utf-8")


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as a CSV, numbers to six digits."""
    lines = [",".join(rows[0])] + [",".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in r.values())
                                   for r in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
