"""Pages are true: those written by a program are what it writes, links lead somewhere, every page is reachable."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md"), *DOCS.glob("data/*.md")])
sys.path.insert(0, str(ROOT / "scripts"))

import data_pages  # noqa: E402
import run_docs  # noqa: E402


@pytest.mark.parametrize("name", data_pages.PAGES)
def test_a_data_page_is_what_the_data_give(name: str) -> None:
    path = DOCS / "data" / f"{name}.md"
    assert path.read_text(encoding="utf-8") == data_pages.PAGES[name](), "run scripts/data_pages.py"


def anchors(path: Path) -> set[str]:
    """Anchors of a page, made from its heads as Markdown viewers do."""
    heads = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads}


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_every_link_of_a_page_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]*(?:#[^)\s]*)?)\)", path.read_text(encoding="utf-8")):
        name, _, place = target.partition("#")
        if not name.startswith(("http:", "https:")):
            found = (path.parent / name) if name else path
            assert found.exists(), f"{path.name} links to {target}"
            assert not place or place in anchors(found), f"{path.name} links to {target}"


def test_every_page_is_reached_from_the_index() -> None:
    """Pages of validation are written by programs and may come before their line in the index does."""
    seen, ahead = set(), [DOCS / "index.md"]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)#\s:]+)", page.read_text(encoding="utf-8"))
        ahead += [(page.parent / name).resolve() for name in links]
    assert {p for p in PAGES if p.name != "README.md" and not p.name.startswith("validation-")} <= seen
    assert "docs/index.md" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_yield_definition_and_segment_is_in_the_glossary() -> None:
    from chipcast.report.chart_yield import READINGS
    from chipcast.scenario import SEGMENTS

    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    assert all(f"`{word}`" in text for word in (*(k for k, _ in READINGS), *SEGMENTS))


def test_a_page_with_a_false_promise_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nchipcast chip show no-such-chip\n```\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="ended with 2, the page says 0"):
        run_docs.main([str(page)])
    page.write_text("```python\nassert 1 == 2\n```\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="a block of Python fails"):
        run_docs.main([str(page)])


def test_a_command_on_two_pages_is_run_once(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr(run_docs, "run", lambda line, folder: ran.append(line) or "")
    page = tmp_path / "page.md"
    page.write_text("```yaml\n# a.yaml\nx: 1\n```\n```sh\nchipcast a\nchipcast b a.yaml\n```\n", encoding="utf-8")
    run_docs.main([str(page), str(page)])
    assert ran == ["chipcast a", "chipcast b a.yaml", "chipcast b a.yaml"]
    capsys.readouterr()
