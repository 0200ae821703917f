"""The page stands alone: no address is loaded, nothing leaks, every number can be followed to its source."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import report_story

from chipcast.report import answers, bundle, chart, driver, folder, page
from chipcast.report.mark import STATIONS, Marks, station_of
from chipcast.report.record import Story

LOADING = {"src", "srcset", "poster", "data", "action", "formaction", "background", "xlink:href"}


class Reader(HTMLParser):
    """Collects ids, links, what would be loaded, and whether elements close."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.policy = ""
        self.specs = ""
        self._in = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {k: v or "" for k, v in attrs}
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a":
            self.links.append(values.get("href", ""))
        self.loads += [(tag, k) for k in values if k in LOADING or (k == "href" and tag != "a")]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]
        if tag not in ("meta", "br", "img", "link", "input", "hr"):
            self.open.append(tag)
        self._in = "specs" if values.get("id") == "specs" else tag

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.scripts.append(data)
        elif self._in == "specs":
            self.specs += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@pytest.fixture(scope="module")
def story() -> Story:
    return report_story.story()


@pytest.fixture(scope="module")
def html(story: Story) -> str:
    return page.render(story)


@pytest.fixture(scope="module")
def reader(html: str) -> Reader:
    return read(html)


def test_the_page_is_well_formed_and_its_anchors_are_unique(reader: Reader) -> None:
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))


def test_the_page_loads_nothing_from_anywhere(reader: Reader, html: str) -> None:
    assert reader.loads == []
    outside = [a for a in reader.links if not a.startswith(("#", "data:text/csv"))]
    assert outside, "sources are linked to be followed by hand"
    assert all(a.startswith(("https://", "http://")) for a in outside)
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert "default-src 'none'" in reader.policy and "unsafe-eval" not in reader.policy
    assert "connect-src" not in reader.policy and "http" not in reader.policy


def test_the_policy_names_the_one_script_by_its_hash(reader: Reader) -> None:
    code = "".join(reader.scripts)
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in reader.policy
    assert code.startswith("(function () {") and code.rstrip().endswith("})();"), "wrapped, so that no global leaks"


def test_every_mark_and_link_leads_somewhere_in_the_page(reader: Reader) -> None:
    inside = {a[1:] for a in reader.links if a.startswith("#")}
    assert inside <= set(reader.ids)


def test_every_chart_has_its_place(reader: Reader) -> None:
    charts = json.loads(reader.specs)["charts"]
    assert set(charts) == {i for i in reader.ids if i.startswith("chart-")}
    assert len({c.rsplit("-", 1)[0] for c in charts}) >= 12


def test_every_number_of_the_run_stands_in_the_appendix_with_its_source(story: Story, html: str) -> None:
    assert story.given is not None
    for name, row in story.given.rows.items():
        line = html[html.index(f"<td>{name}</td>") :]
        line = line[: line.index("</tr>")]
        assert f"<td>{row.kind}</td>" in line
        if row.source in story.sources and row.source != "assumed":
            assert "#ref-" in line, f"{name} has no mark"


def test_sections_figures_and_tables_carry_marks(html: str) -> None:
    for part in re.findall(r"<section id=\"(?!claims|method|references|numbers)[^>]*><h2>.*?</h2><p>(.*?)</p>", html):
        assert "#ref-" in part
    findings = re.findall(r'<p class="finding">(.*?)</p>', html)
    assert sum("#ref-" in f for f in findings) >= len(findings) - 1, "all but the overview of verdicts"


def test_the_same_story_gives_the_same_bytes(story: Story, html: str) -> None:
    assert page.render(story) == html
    assert page.render(report_story.story()) == html


PARTS = [f.name for f in dataclasses.fields(Story) if f.name not in ("scenario", "as_of", "draws", "seed")]


@pytest.mark.parametrize("missing", PARTS)
def test_a_part_that_is_missing_only_takes_its_section_away(missing: str) -> None:
    empty = {"claims": (), "routes": (), "waterfall": (), "measures": (), "posterior": (), "sources": {}, "version": ""}
    read(page.render(report_story.story(**{missing: empty.get(missing)})))


def test_a_story_of_nothing_but_its_header_is_a_page() -> None:
    reader = read(page.render(Story(scenario="empty", as_of="2025-02-25", draws=100, seed=1)))
    assert json.loads(reader.specs)["charts"] == {}
    assert "method" in reader.ids


def test_text_from_a_scenario_cannot_break_out(story: Story) -> None:
    evil = '</script><img src="https://x.test/a.png"><!--'
    claims = [{**report_story.claims()[0], "why": evil, "said": evil, "id": 'a"><b>'}]
    reader = read(page.render(dataclasses.replace(story, scenario=evil, claims=claims)))
    assert reader.loads == []
    assert json.loads(reader.specs)["charts"]["chart-claims-0"]["data"]["values"][0]["why"] == evil


def test_the_rule_of_the_verdicts_is_printed(html: str) -> None:
    from html import escape

    from chipcast.evidence.verdict import RULE

    assert escape(RULE) in html
    assert "not legal advice" in html


def test_data_under_a_chart_reads_back(story: Story, html: str) -> None:
    import csv
    from urllib.parse import unquote

    links = dict(re.findall(r'download="([a-z0-9-]+)\.csv" href="data:text/csv;charset=utf-8,([^"]*)"', html))
    pictures = chart.draw(story)
    assert set(links) == set(pictures)
    for name, picture in pictures.items():
        rows = list(csv.DictReader(unquote(links[name]).splitlines()))
        assert len(rows) == len(picture.rows) > 0


def test_the_bundle_is_that_of_the_pinned_libraries() -> None:
    assert bundle.versions() == bundle.made_with()
    assert "chipcastReady(" in bundle.script()
    assert "</script" not in bundle.PATH.read_text(encoding="utf-8").lower()


def test_marks_are_numbered_by_first_use_and_rows_lead_to_their_source(story: Story) -> None:
    marks = Marks(story.given, story.sources)
    assert marks.number("market") == 1 and marks.number("fab") == 2 and marks.number("market") == 1
    assert marks.number("no-such-source") is None
    assert marks.number("smic_n2.d0_per_cm2") == 3 and marks.number("h20-96.mem_gb") == 4, "each row has its own mark"
    assert story.given is not None
    source = story.given.rows["h20-96.mem_gb"].source
    assert marks.number(source) == 5
    listed = dict(re.findall(r'<li id="ref-(\d+)"[^>]*>(.*?)</li>', marks.references(), re.DOTALL))
    assert '<a href="#g-smic_n2.d0_per_cm2">' in listed["3"] and "assumed" in listed["3"]
    assert '<a href="#g-h20-96.mem_gb">' in listed["4"] and 'from <a href="#ref-5">[5]</a>' in listed["4"]


def test_every_mark_leads_to_a_row_with_a_source_or_to_a_source(story: Story, html: str) -> None:
    ids = read(html).ids
    for name in re.findall(r'<a href="#(g-[^"]+)">', html):
        assert name in ids, "a number named below a chart stands in the appendix"
    assert story.given is not None
    assumed = [r for r in story.given.rows.values() if r.source == "assumed"]
    assert all(len(r.why) > 10 for r in assumed), "what has no source has a reason"


def test_hardly_a_number_is_without_a_station(story: Story) -> None:
    assert story.given is not None
    chips = story.given.catalog.chip_ids()
    places = {name: station_of(name, chips) for name in story.given.rows}
    assert set(places.values()) <= set(STATIONS)
    rest = [n for n, p in places.items() if p == "other"]
    assert len(rest) < 0.05 * len(places), f"give {rest} a station in PREFIXES"


CHROME = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROME is None, reason="no browser here")
def test_a_browser_without_a_network_draws_every_chart(html: str, tmp_path: Path) -> None:
    place = folder.write(tmp_path / "run", {"report.html": html}) / "report.html"
    command = [
        str(CHROME),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--window-size=1280,2000",
        "--virtual-time-budget=8000",
        "--dump-dom",
        place.as_uri(),
    ]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    wanted = len(set(re.findall(r'id="(chart-[a-z0-9-]+)"', html)))
    assert len(re.findall(r'<svg [^>]*class="marks"', dom)) == wanted
    assert "could not be drawn here (" not in dom.replace('could not be drawn here (" +', "")


def test_the_answers_come_first_and_lead_to_their_pictures(story: Story, html: str) -> None:
    pictures = chart.draw(story)
    told = answers.answers(story, pictures)
    assert [a.asks for a in told] == sorted((a.asks for a in told), key=["buyer", "analyst"].index)
    assert len(told) == len(answers.ANSWERS), "a whole story answers every question"
    assert html.index('id="answers"') < html.index('id="claims"') < html.index('id="made"')
    for a in told:
        assert any(c.isdigit() for c in a.text) and a.text.endswith("."), a.question
        assert f'href="#fig-{a.picture}">why</a>' in html and a.picture in pictures


def test_what_moved_a_number_is_named_below_its_chart_and_is_a_row(story: Story, html: str) -> None:
    assert story.given is not None
    moved = page.drivers(story, chart.draw(story))
    assert sum(bool(v) for v in moved.values()) >= 5
    for name, rows in moved.items():
        assert all(n in story.given.rows and abs(r) >= driver.LEAST for n, r in rows), name
        assert [abs(r) for _, r in rows] == sorted((abs(r) for _, r in rows), reverse=True)
    assert html.count("Moved most by (rank correlation") == sum(bool(v) for v in moved.values())


def test_a_page_opens_the_appendix_at_the_number_that_a_mark_leads_to() -> None:
    code = (Path(page.__file__).parent / "page.js").read_text(encoding="utf-8")
    assert "hashchange" in code and 'tagName === "DETAILS"' in code


def test_a_driver_is_the_row_that_was_built_in(story: Story) -> None:
    assert story.given is not None
    ranked = driver.Drivers(story.given)
    slots = story.given["package_line.capacity_per_month"]
    first = ranked.top(np.log(slots))[0]
    assert first == ("package_line.capacity_per_month", pytest.approx(1.0))
    assert ranked.top(np.ones(story.given.draws)) == [], "what does not vary rests on no draw"
    assert ranked.top((slots > np.median(slots)).astype(float))[0][0] == "package_line.capacity_per_month"
    assert ranked.top(np.ones(3)) == [], "an array of other draws has no drivers here"
