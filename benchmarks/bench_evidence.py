"""Speed of the evidence: a posterior of 2,500 particles 3 s in a run, the whole one 10 s."""

from __future__ import annotations

import pytest

from chipcast.evidence.posterior import condition
from chipcast.scenario import load, resolve


@pytest.mark.parametrize("as_of", ["2025-02-25", "2025-12-31"])
def test_posterior_of_10_000_draws(benchmark, as_of):
    given = resolve(load("february-2025", as_of=as_of), draws=10_000, seed=1)
    found = benchmark.pedantic(condition, (given,), rounds=1)
    assert found.ess > 500
