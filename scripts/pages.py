"""What scripts that write pages and tables share: write them, or say which on disk are stale."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path


def write_or_check(wanted: Mapping[Path, str], script: str) -> int:
    """Write each text to its path; with `--check` on the command line write nothing and fail if one differs."""
    if "--check" in sys.argv:
        stale = [p.name for p, text in wanted.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
        if stale:
            print(f"not what the fit gives: {', '.join(stale)}; run {script}")
        return bool(stale)
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return 0
