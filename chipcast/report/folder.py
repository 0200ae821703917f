"""The run folder: whole or not there at all, and the same bytes for the same run."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.base.summary import to_json
from chipcast.base.types import Array

Content = str | bytes | Callable[[Path], None]
"""Text, bytes, or a function that writes the file at the path it is given."""


def check_out(out: str | Path) -> Path:
    """Return the path of a folder that the user named, before anything is computed for it.

    Raises
    ------
    InputError
        If it exists, or no folder can be made there.
    """
    path = Path(out).expanduser()
    if path.exists() or path.is_symlink():
        raise InputError(f"--out {path} exists already; name a new folder, or leave --out away")
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"--out {path} cannot be written: no folder can be made in {parent}; name another place")
    return path


def write(folder: str | Path, files: Mapping[str, Content], *, named: bool = False) -> Path:
    """Write all `files` into `folder` and return it; it gets its final name only when it is whole.

    Files are written in a hidden folder beside it, which is then renamed. An older folder of that name is
    set aside first and removed afterwards, unless the user `named` it: then it is refused.

    Raises
    ------
    InputError
        If the user named a folder that exists, or the place cannot be written.
    """
    final = check_out(folder) if named else Path(folder)
    for name in files:
        if Path(name).name != name or name in ("", ".", ".."):
            raise InputError(f"a file of a run folder must have a plain name, got '{name}'")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
    except OSError as error:
        raise InputError(
            f"the run folder {final} cannot be written: {error.strerror}; name another with --out"
        ) from None
    try:
        for name, content in files.items():
            _write_one(work / name, content)
        work.chmod(0o755)
        _swap(work, final)
    except OSError as error:
        raise InputError(
            f"the run folder {final} cannot be written: {error.strerror}; name another with --out"
        ) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return final


def _write_one(path: Path, content: Content) -> None:
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8", newline="\n")
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)


def _swap(work: Path, final: Path) -> None:
    """Give `work` the name `final`; what stood there is whole until the moment it is set aside."""
    old = None
    if final.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{final.name}-old-", dir=final.parent))
        os.rename(final, old)
    try:
        os.rename(work, final)
    except OSError:
        if old is not None:
            os.rename(old, final)
        raise
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def given_csv(given: Given) -> str:
    """Return the table of every number of a run as CSV, one row per name, sorted by name."""
    lines = io.StringIO()
    out = csv.writer(lines, lineterminator="\n")
    out.writerow(
        (
            "name",
            "law",
            "low",
            "mode",
            "high",
            "unit",
            "kind",
            "source",
            "as_of",
            "known_by",
            "factor",
            "loading",
            "why",
        )
    )
    for name in sorted(given.rows):
        r = given.rows[name]
        out.writerow(
            (
                r.name,
                r.law.family,
                _text(r.law.low),
                _text(r.law.mode),
                _text(r.law.high),
                r.unit,
                r.kind,
                r.source,
                r.as_of,
                r.known_by,
                r.factor,
                _text(r.loading),
                r.why,
            )
        )
    return lines.getvalue()


def summary_json(summary: Mapping[str, Any]) -> str:
    """Return the summary of a run as one JSON text."""
    return to_json(summary) + "\n"


def draws_parquet(columns: Mapping[str, Array]) -> Callable[[Path], None]:
    """Return a writer of one row per draw: uncertain parameters and headline outputs, float32."""

    def put(path: Path) -> None:
        import polars as pl

        table = {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in columns.items()}
        pl.DataFrame(table).write_parquet(path, compression="zstd", compression_level=3, statistics=False)

    return put


def uncertain(given: Given) -> dict[str, Array]:
    """Return the draws of every row that is uncertain, by name."""
    return {name: given[name] for name in sorted(given.rows) if not given.rows[name].law.fixed}


def _text(x: float) -> str:
    return f"{x:.10g}"
