"""Reading traces at the door: JSON or CSV of the user's own, and those that are shipped."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from pathlib import Path
from typing import Any

from chipcast.base.catalog import DATA
from chipcast.base.errors import InputError, unknown

MAX_BYTES = 256 * 1024 * 1024
"""A trace larger than this, unpacked, is refused."""


def shipped() -> tuple[str, ...]:
    """Return the names of the traces that are shipped."""
    return tuple(sorted(p.name.split(".")[0] for p in (DATA / "traces").glob("*.gz")))


def read_text(path: str) -> str:
    """Return the text of a trace: a file, plain or compressed with gzip, or the name of a shipped one.

    Raises
    ------
    InputError
        If there is no such file, it is too large, or it is no text.
    """
    file = Path(path)
    if not file.exists():
        named = [p for p in (DATA / "traces").glob("*.gz") if p.name.split(".")[0] == path]
        if not named:
            if "/" in path or "." in path:
                raise InputError(f"no file '{path}'; write the path of a trace or one of: {', '.join(shipped())}")
            unknown("trace", path, shipped())
        file = named[0]
    if file.is_dir():
        raise InputError(f"'{path}' is a folder; write the path of a trace file")
    try:
        raw = file.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as packed:
                raw = packed.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise InputError(f"trace '{path}' is larger than {MAX_BYTES // 2**20} MiB; cut it into parts")
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"trace '{path}' is no text in UTF-8") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"trace '{path}' cannot be read: {error}") from None


def read_json(path: str) -> Any:
    """Return a trace written as one JSON value.

    Raises
    ------
    InputError
        If the text is no JSON; the message names line and column.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        where = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{path}{where}: no JSON ({error})") from None


def read_csv(path: str) -> list[dict[str, str]]:
    """Return the rows of a trace written as CSV with a header line.

    Raises
    ------
    InputError
        If there is no header or no row.
    """
    rows = list(csv.DictReader(io.StringIO(read_text(path))))
    if not rows:
        raise InputError(f"trace '{path}' has no rows below its header line")
    return [{(k or "").strip().lower(): (v or "").strip() for k, v in row.items() if isinstance(v, str | None)}
            for row in rows]
