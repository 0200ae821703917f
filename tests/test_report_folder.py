"""The run folder is whole or not there, the same twice, and never over what the user named."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import report_story

from chipcast.base.errors import InputError
from chipcast.report import folder


def test_a_folder_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    out = folder.write(
        tmp_path / "run", {"a.txt": "one", "b.bin": b"\x00\x01", "c.txt": lambda p: p.write_text("three") and None}
    )
    assert sorted(p.name for p in out.iterdir()) == ["a.txt", "b.bin", "c.txt"]
    assert (out / "b.bin").read_bytes() == b"\x00\x01"
    assert [p.name for p in tmp_path.iterdir()] == ["run"], "nothing else is left beside it"


class Killed(BaseException):
    """As hard as a signal: nothing catches it."""


def test_a_run_killed_while_writing_leaves_no_folder(tmp_path: Path) -> None:
    def die(path: Path) -> None:
        path.write_text("half")
        raise Killed

    with pytest.raises(Killed):
        folder.write(tmp_path / "run", {"a.txt": "one", "b.txt": die})
    assert list(tmp_path.iterdir()) == []


def test_a_run_killed_while_writing_leaves_the_older_folder_as_it_was(tmp_path: Path) -> None:
    folder.write(tmp_path / "run", {"a.txt": "old"})

    def die(path: Path) -> None:
        raise Killed

    with pytest.raises(Killed):
        folder.write(tmp_path / "run", {"a.txt": "new", "b.txt": die})
    assert (tmp_path / "run" / "a.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_second_run_replaces_the_folder_whole(tmp_path: Path) -> None:
    folder.write(tmp_path / "run", {"a.txt": "old", "stale.txt": "x"})
    folder.write(tmp_path / "run", {"a.txt": "new"})
    assert [(p.name, p.read_text()) for p in (tmp_path / "run").iterdir()] == [("a.txt", "new")]


def test_a_failed_last_rename_puts_the_older_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(tmp_path / "run", {"a.txt": "old"})
    real, calls = os.rename, []

    def rename(a: object, b: object) -> None:
        calls.append(b)
        if len(calls) == 2:
            raise OSError(5, "broken disk")
        real(a, b)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(InputError, match="cannot be written: broken disk"):
        folder.write(tmp_path / "run", {"a.txt": "new"})
    assert (tmp_path / "run" / "a.txt").read_text() == "old"


def test_a_named_folder_that_exists_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="exists already; name a new folder"):
        folder.write(tmp_path / "mine", {"a.txt": "x"}, named=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="exists already"):
        folder.check_out(tmp_path / "file")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="exists already"):
        folder.check_out(tmp_path / "dangling")


def test_a_place_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        folder.write(tmp_path / "file" / "run", {"a.txt": "x"})
    with pytest.raises(InputError, match="cannot be written"):
        folder.check_out(tmp_path / "file" / "run")
    with pytest.raises(InputError, match="cannot be written"):
        folder.write("/proc/nowhere/run", {"a.txt": "x"})


def test_a_file_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"plain name, got '\.\./x'"):
        folder.write(tmp_path / "run", {"../x": "y"})


def test_draws_are_the_same_bytes_twice_and_read_back(tmp_path: Path) -> None:
    columns = {"a.x": np.linspace(0, 1, 50), "b": np.arange(50.0)[::-1]}
    for name in ("one", "two"):
        folder.draws_parquet(columns)(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    table = pl.read_parquet(tmp_path / "one")
    assert table.columns == ["a.x", "b"]
    assert table["b"].to_list()[0] == 49.0


def test_the_table_of_numbers_holds_every_row_with_its_source() -> None:
    import csv

    given = report_story.given()
    rows = list(csv.DictReader(folder.given_csv(given).splitlines()))
    assert {r["name"] for r in rows} == set(given.rows)
    assert all(r["source"] and r["kind"] and r["unit"] for r in rows)
    sample = {r["name"]: r for r in rows}["smic_n2.d0_per_cm2"]
    assert float(sample["low"]) < float(sample["mode"]) < float(sample["high"])


def test_uncertain_rows_are_those_that_vary() -> None:
    given = report_story.given()
    columns = folder.uncertain(given)
    assert "smic_n2.d0_per_cm2" in columns and "h20-96.mem_gb" not in columns
    assert all(np.ptp(v) > 0 for v in columns.values())
