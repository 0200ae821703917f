"""Fixtures that every test file may use."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from chipcast.base.given import Given
from chipcast.scenario import load, resolve


@pytest.fixture(scope="session")
def given() -> Given:
    """The February 2025 world with 2,000 draws and the figures of the chips that a run compares."""
    chips = ("h20-96", "h800-sxm", "h100-sxm", "ascend-910b2", "ascend-910b3", "ascend-910b4", "ascend-910c")
    return resolve(load("february-2025"), draws=2000, seed=1, chips=chips)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in this process: returns (exit code, standard output, standard error)."""
    from chipcast.cli import main

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


@pytest.fixture
def cli_json(cli: Callable[..., tuple[int, str, str]]) -> Callable[..., Any]:
    """Run a verb with --json and return the parsed object, after checking exit code 0."""

    def run(*arguments: str) -> Any:
        code, out, err = cli(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return run


def chipcast_process(*arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "chipcast", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
