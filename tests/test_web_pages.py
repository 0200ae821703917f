"""Pages: every question answers without scripts and without the world outside; what is wrong is told in its place."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from web_world import Client, Here, client

from chipcast.base.catalog import sources
from chipcast.report.record import Picture
from chipcast.scenario import shipped
from chipcast.web import (
    page_chips,
    page_cut_off,
    page_explain,
    page_fab,
    page_line,
    page_order,
    page_serve,
    pages,
    show,
)
from chipcast.web.desk import Reply
from chipcast.web.form import Page, filled, given_of

ORDER = "concurrent_users=300+to+900&tokens_per_user_day=40k&growth_per_month=3%25&budget_usd=6M&segment=clinic_school"


@pytest.fixture(scope="module")
def few() -> Any:
    """Few draws on every page, so that the tests are quick."""
    with pytest.MonkeyPatch.context() as patch:
        for page in (page_cut_off, page_line, page_serve):
            patch.setattr(page, "DRAWS", 100)
        patch.setattr(page_explain, "DRAWS", 400)
        patch.setattr(page_order, "DRAWS", 300)
        patch.setattr(page_order, "FUTURES", 12)
        yield


@pytest.fixture(scope="module")
def desk() -> Here:
    return Here()


@pytest.fixture(scope="module")
def site(few: None, desk: Here) -> Client:
    return client(desk)


ADDRESSES = {
    "/chips": ("/chips?chip=h20&to=CN&on=2025-05-01&buyer=platform", r"H20 96GB to CN on 1 May 2025"),
    "/serve": ("/serve?model=deepseek-r1&chip=h20-96&chip=ascend-910c", r"serves DeepSeek-R1 cheapest, at"),
    "/cut-off": ("/cut-off?change=threat", r"In 2025 the threat of a cut-off moves H20 deliveries by"),
    "/order": (f"/order?{ORDER}", r"(Order|Buy|Wait)"),
    "/line": ("/line?controls=on", r"Good packages in 2025: 910B"),
    "/fab": ("/fab", r"82 dies a wafer, of which 30 are perfect"),
    "/explain": ("/explain?own=910c.yield+%3E%3D+40%25", r"910c\.yield &gt;= 40%: probability \d+%"),
}


def test_every_page_has_a_case_here() -> None:
    assert set(ADDRESSES) == {p.path for p in pages.PAGES}


@pytest.mark.parametrize("path", ADDRESSES)
def test_a_page_answers_without_scripts(site: Client, path: str) -> None:
    address, headline = ADDRESSES[path]
    said = site.get(address)
    assert said.status_code == 200, said.text[-2000:]
    text = said.text
    assert re.search(f"<h2>[^<]*{headline}", text), re.findall("<h2>(.*?)</h2>", text)
    assert "<table>" in text, "numbers stand in tables too"
    assert 'method="get"' in text and f'action="{path}"' in text, "a plain form asks the same"
    assert "chipcast " in re.findall(r"<pre>(.*?)</pre>", text)[0]
    charts = json.loads(html.unescape(re.findall(r'<div hidden id="specs">(.*?)</div>', text, re.DOTALL)[0]))["charts"]
    places = set(re.findall(r'class="chart" id="([^"]+)"', text))
    assert places == set(charts), "every place has a drawing and every drawing a place"
    assert charts or "<svg" in text
    assert "Data as CSV" in text
    for link in re.findall(r'href="(/api/[^"]+)"', text):
        asked = site.get(html.unescape(link))
        assert asked.status_code == 200, "the address for a program answers the same question"


@pytest.mark.parametrize("path", ADDRESSES)
def test_with_scripts_only_the_answer_comes(site: Client, path: str) -> None:
    whole, part = (site.get(ADDRESSES[path][0], headers=h).text for h in ({}, {"hx-request": "true"}))
    assert "<html" in whole and "<html" not in part and "<form" not in part
    assert part.strip() in whole


@pytest.mark.parametrize("path", ["/", "/numbers", "/numbers?scenario=latest", "/api", "/nope", *ADDRESSES])
def test_a_page_loads_nothing_from_elsewhere_and_runs_nothing_of_its_own(site: Client, path: str) -> None:
    text = site.get(ADDRESSES[path][0] if path in ADDRESSES else path).text
    loads = re.findall(r'(?:src|action|hx-get|data-[a-z]+)="([^"]*)"', text)
    loads += re.findall(r'<link[^>]*href="([^"]*)"', text)
    assert loads and all(x.startswith(("/", "data:")) and not x.startswith("//") for x in loads), loads
    assert not re.findall(r"<script(?![^>]*src=)", text), "no code in a page"
    assert not re.findall(r"\son[a-z]+=\"", text), "no handlers in a page"
    known = {html.escape(s["url"]) for s in sources().values() if s["url"]}
    assert all(x in known for x in re.findall(r'<a[^>]*href="(https?://[^"]*)"', text)), "only sources are linked"


@pytest.mark.parametrize("name", ["charts.js", "style.css", "htmx.min.js"])
def test_what_pages_load_is_ours_and_may_be_kept(site: Client, name: str) -> None:
    said = site.get(pages.address(name))
    assert said.status_code == 200 and "immutable" in said.headers["cache-control"]
    assert len(said.text) > 1000
    assert "url(http" not in said.text and "@import" not in said.text


def test_htmx_is_the_version_that_the_notice_names(site: Client) -> None:
    from pathlib import Path

    text = site.get(pages.address("htmx.min.js")).text
    version = re.findall(r'version:"([^"]+)"', text)[0]
    notice = (Path(__file__).parent.parent / "NOTICE").read_text(encoding="utf-8")
    assert f"htmx {version} " in notice


@pytest.mark.parametrize(("address", "status", "sentence"), [
    ("/chips?chip=h99", 422, "unknown chip &#39;h99&#39;"),
    ("/chips?chip=", 422, "&#39;Chip&#39; is missing"),
    ("/chips?chip=h20&on=2025-02-31", 422, "2025-02-31"),
    ("/chips?chip=%3Cscript%3Ealert(1)%3C/script%3E", 422, "&#39;Chip&#39; is not written as it must be"),
    ("/serve?model=deepseek-r1&chip=h20-96&tpot_ms=0", 422, "greater than 0"),
    ("/serve?model=deepseek-r1&chip=ascend-910b4&chips=8", 409, "no "),
    ("/serve?model=deepseek-r1&chip=h20-96&chips=999999", 422, "&#39;Chips of a replica, at most&#39;"),
    ("/serve?model=deepseek-r1&chip=h20-96&rate=fast", 422, "fast"),
    ("/serve?model=deepseek-r1&chip=h20-96&rate=0", 422, "be above 0"),
    ("/cut-off?change=us&chip=h20", 422, "event"),
    ("/cut-off?change=us&chip=h99&to=licence&on=2025-04-09", 422, "h99"),
    ("/order?concurrent_users=many&tokens_per_user_day=40k", 422, "many"),
    ("/order?concurrent_users=100&tokens_per_user_day=40k&ttft_s=soon", 422, "ttft_s"),
    ("/explain?own=moon+%3E+1", 422, "moon"), ("/fab?area_mm2=-1", 422, "greater than"),
    ("/fab?area_mm2=600&need=30", 422, "30"),
])
def test_what_is_wrong_in_a_form_is_told_in_the_place_of_the_answer(site: Client, address: str, status: int,
                                                                    sentence: str) -> None:
    said = site.get(address)
    assert said.status_code == status, said.text[-1500:]
    error = re.findall(r'<div class="error"[^>]*>(.*?)</div>', said.text, re.DOTALL)
    assert error and sentence in error[0], error
    assert "<script>alert" not in said.text and "Traceback" not in said.text
    assert 'method="get"' in said.text, "the form stands there to be mended"


def test_text_that_a_reader_sends_comes_back_escaped(site: Client) -> None:
    said = site.get('/explain?own=%22%3E%3Cimg+src%3Dx+onerror%3Dalert(1)%3E&claim=%22onfocus%3D1')
    assert "<img" not in said.text and '"onfocus' not in said.text


def test_a_page_of_seconds_waits_to_be_asked_and_a_quick_one_does_not(site: Client, desk: Here) -> None:
    for page in pages.PAGES:
        before = len(desk.asked)
        said = site.get(page.path)
        assert said.status_code == 200
        assert (len(desk.asked) > before) == page.instant
        assert page.instant or page.takes in html.unescape(said.text)


def test_a_busy_desk_is_told_on_the_page_and_to_a_program() -> None:
    class Busy(Here):
        async def ask(self, *_: Any, **__: Any) -> Reply:
            return Reply(kind="busy", text="5 such questions are being worked on; ask again in a minute")

    c = client(Busy())
    page, program = c.get("/fab"), c.get("/api/fab/dies")
    assert (page.status_code, program.status_code) == (503, 503)
    assert "ask again in a minute" in page.text and program.headers["retry-after"]


def test_our_own_fault_is_a_sentence_and_no_traceback() -> None:
    class Broken(Here):
        async def ask(self, *_: Any, **__: Any) -> Reply:
            return Reply(kind="answer", text='{"unexpected": 1}')

    said = client(Broken()).get("/chips")
    assert said.status_code == 500
    assert "it is not your input" in said.text and "Traceback" not in said.text and "File &quot;" not in said.text


def test_the_numbers_of_a_scenario_stand_there_with_their_sources(site: Client) -> None:
    text = site.get("/numbers?scenario=february-2025").text
    assert "h20-96.price_usd" in text and "assumed" in text and "https://" in text
    assert site.get("/numbers?scenario=../x").status_code == 404


def test_the_start_page_names_every_claim_every_page_and_every_buyer(site: Client) -> None:
    text = site.get("/").text
    for page in pages.PAGES:
        assert f'href="{page.path}"' in text
    assert text.count('href="/explain?claim=') == 13
    assert all(f"/order?buyer={n}" in text for n in shipped() if n not in ("february-2025", "latest"))


def test_the_headline_of_a_world_is_that_of_its_page(site: Client) -> None:
    part = site.get("/headline/february-2025").text
    whole = site.get("/cut-off?scenario=february-2025&change=threat").text
    head = re.findall("<strong>(.*?)</strong>", part)[0]
    assert f"<h2>{head}</h2>" in whole


def test_shipped_names_on_forms_are_shipped() -> None:
    for page in pages.PAGES:
        for f in page.fields:
            if f.name == "scenario" or (f.name == "buyer" and page.path == "/order"):
                assert {v for v, _ in f.options if v} <= set(shipped())


def test_an_order_form_is_a_scenario_whatever_is_typed() -> None:
    nasty = "1}\nbase: /etc/passwd\nx: {y"
    text = page_order.scenario_of({"concurrent_users": nasty, "tokens_per_user_day": "40k"})
    read = json.loads(text)
    assert set(read) == {"name", "base", "buyer"} and read["base"] == "february-2025"
    assert read["buyer"]["demand"]["concurrent_users"] == nasty


def test_a_field_that_was_not_sent_has_its_default_and_an_empty_one_says_nothing() -> None:
    page: Page = page_chips.PAGE
    assert filled(page, {})["chip"] == "h20"
    form = filled(page, {"chip": ["910c"], "to": [""]})
    assert form["chip"] == "910c" and form["to"] == "" and form["buyer"] == "platform"
    assert "to" not in given_of(form)


def test_the_history_picture_is_the_one_of_the_command_line(site: Client, tmp_path: Any,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    from chipcast.cli import main

    assert main(["rules", "history", "h20", "--svg", str(tmp_path / "h.svg"), "--json"]) == 0
    past = json.loads(capsys.readouterr().out)
    bars = re.compile(r"<rect[^>]*/>|<title>.*?</title>")
    drawn = page_chips.history_picture(past, "H20 96GB").panels[0].svg
    assert bars.findall(drawn) == bars.findall((tmp_path / "h.svg").read_text(encoding="utf-8"))


def test_yields_of_the_wafer_page_follow_the_laws(site: Client, desk: Here) -> None:
    form = {**filled(page_fab.PAGE, {}), "d0_per_cm2": "0"}
    told = {k: json.loads(site.get("/api/" + "/".join(q.VERB), params=q.asked()).text)
            for k, q in page_fab.questions(given_of(form)).items()}
    seen = page_fab.view(told, form)
    assert "(100.0%)" in seen.headline, "without defects every die is perfect, by every law"
    laws = next(p for p in seen.pictures if p.id == "laws")
    assert isinstance(laws, Picture) and all(r["yield"] == 1 for r in laws.rows)


@pytest.mark.parametrize("module", [pages, page_cut_off])
def test_the_examples_in_the_code_are_true(module: Any) -> None:
    import doctest

    done = doctest.testmod(module)
    assert done.attempted > 0 and done.failed == 0


@pytest.mark.parametrize(("event", "words"), [
    ("on=2025-04-09 gate=us chip=h20 to=licence", "the American gate (to licence for h20 from 9 April 2025)"),
    ("on=2025-06-01 gate=demand value=1.5", "demand (times 1.5 from 1 June 2025)"),
    ("on=2025-06-01 gate=quota value=40%", "a domestic quota (of 40% from 1 June 2025)")])
def test_a_what_if_is_told_in_words(event: str, words: str) -> None:
    assert page_cut_off.event_words(event) == words


def test_a_chip_that_is_cheapest_and_closed_is_told_to_be_closed(site: Client) -> None:
    text = site.get("/serve?model=deepseek-r1&chip=h800-sxm&chip=h20-96").text
    head = re.findall("<h2>(.*?)</h2>", text)[0]
    assert head.startswith("H800 serves") and "is denied for buyers in China" in head
    assert "of those that may be bought, H20 at" in head


def test_the_count_of_chips_covers_the_rate_in_whole_deployments(site: Client) -> None:
    address = "/serve?model=deepseek-r1&chip=h20-96&rate=20k"
    told = json.loads(site.get(html.unescape(re.findall(r'href="(/api/tokens[^"]+)"', site.get(address).text)[0])).text)
    table = page_serve._counts(told["chips"], {"rate": "20k"})
    assert table is not None
    middle, few, many = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+", table.rows[0][1]))
    unit, each = told["best"]["min_chips"], told["best"]["output_tokens_per_s_per_chip"]
    for count, rate in ((few, each["p95"]), (middle, each["p50"]), (many, each["p05"])):
        assert count % unit == 0 and count * rate >= 20_000 > (count - unit) * rate


def test_a_data_address_holds_every_row_of_its_picture(site: Client) -> None:
    from urllib.parse import unquote

    past = site.get("/api/rules/history?chip=h20").json()
    lines = unquote(show.csv_address(page_chips.history_picture(past, "H20"))).splitlines()
    assert len(lines) == 1 + len(past["spans"])
