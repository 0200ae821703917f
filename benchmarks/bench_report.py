"""How long the page of a run takes: all pictures, texts and the appendix, from records of 10,000 draws."""

from __future__ import annotations

import pytest

pytest.importorskip("pytest_benchmark")


def test_page_of_a_run(benchmark):
    from chipcast import story
    from chipcast.report import page

    told = story.tell(story.run("february-2025", draws=10_000))
    html = benchmark.pedantic(page.render, args=(told,), rounds=3, warmup_rounds=1)
    assert len(html) < 3_000_000
