"""Every example in a docstring of `fab` gives what it says."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import chipcast.fab

MODULES = sorted(p.stem for p in Path(chipcast.fab.__file__).parent.glob("*.py") if p.stem != "__init__")


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_hold(name: str) -> None:
    assert doctest.testmod(import_module(f"chipcast.fab.{name}")).failed == 0


def test_there_are_examples_to_hold() -> None:
    tried = sum(doctest.testmod(import_module(f"chipcast.fab.{name}")).attempted for name in MODULES)
    assert tried >= 15
