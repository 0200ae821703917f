"""Questions: bounds on every field, no value that becomes a flag or a file, the same answer as the command line's."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from web_world import client

from chipcast.cli import build, main, web_answers
from chipcast.web.ask import Question
from chipcast.web.pages import fields_of
from chipcast.web.questions import QUESTIONS, Explain, Market, RulesCheck, TokensServe


def cli(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Return what the command line prints for these words."""
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(("path", "query", "words"), [
    ("rules/check", "chip=h20&to=CN&on=2025-05-01", ("rules", "check", "h20", "--to", "CN", "--on", "2025-05-01")),
    ("rules/check", "chip=h100&origin=TW&owned_by_listed=0.5&hq=CN&to=MY",
     ("rules", "check", "h100", "--from", "TW", "--owned-by-listed", "0.5", "--hq", "CN", "--to", "MY")),
    ("rules/history", "chip=h20&as_known_then=true", ("rules", "history", "h20", "--as-known-then")),
    ("rules/measure", "chip=910c", ("rules", "measure", "910c")),
    ("rules/map", "chip=h100&on=2025-06-01", ("rules", "map", "h100", "--on", "2025-06-01")),
    ("rules/table", "on=2025-05-01", ("rules", "table", "--on", "2025-05-01")),
    ("chip/list", "vendor=Huawei", ("chip", "list", "--vendor", "Huawei")),
    ("chip/show", "chip=910c", ("chip", "show", "910c")),
    ("chip/compare", "chips=h20&chips=910c", ("chip", "compare", "h20", "910c")),
    ("tokens/model", "model=deepseek-r1", ("tokens", "model", "deepseek-r1")),
    ("fab/dies", "area_mm2=665.61", ("fab", "dies", "--area-mm2", "665.61")),
    ("fab/yield", "share=40%25&definition=die.any&area_mm2=600",
     ("fab", "yield", "--yield", "40%", "--definition", "die.any", "--area-mm2", "600")),
    ("fab/yield", "d0_per_cm2=0", ("fab", "yield", "--d0-per-cm2", "0")),
    ("fab/harvest", "need=24,20", ("fab", "harvest", "--need", "24,20")),
    ("tokens/serve", "model=deepseek-r1&chip=h20,910c&draws=100",
     ("tokens", "serve", "deepseek-r1", "--chip", "h20,910c", "--draws", "100")),
])
def test_an_answer_over_http_is_the_one_of_the_command_line(path: str, query: str, words: tuple[str, ...],
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    said = client().get(f"/api/{path}?{query}")
    assert said.status_code == 200, said.text
    assert said.json() == cli(capsys, *words)


def test_figures_of_ones_own_are_those_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    own = "h20-96.price_usd=5k"
    asked = {"model": "deepseek-r1", "chip": "h20", "draws": 100}
    c = client()
    mine = c.post("/api/tokens/serve", json={**asked, "set": [own]}).json()
    assert mine == cli(capsys, "tokens", "serve", "deepseek-r1", "--chip", "h20", "--draws", "100", "--set", own)
    assert mine != c.post("/api/tokens/serve", json=asked).json()


def test_draws_and_seed_of_a_market_are_the_defaults_of_the_command_line() -> None:
    from typer.main import get_command

    command: Any = get_command(build())
    defaults = {p.name: p.default for p in command.commands["market"].params}
    assert (defaults["draws"], defaults["seed"]) == (web_answers.DRAWS, web_answers.SEED)


def test_a_body_asks_the_same_as_a_query() -> None:
    c = client()
    by_query = c.get("/api/rules/check?chip=h20&to=CN&on=2025-05-01").json()
    assert c.post("/api/rules/check", json={"chip": "h20", "to": "CN", "on": "2025-05-01"}).json() == by_query


def test_a_warm_market_is_the_cold_one_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    c = client()
    event = "on=2025-04-09 gate=us chip=h20 to=licence"
    assert "effects" not in c.get("/api/market?draws=100").json()
    warm = c.post("/api/market", json={"without": ["local-push"], "event": [event], "draws": 100}).json()
    assert warm == cli(capsys, "market", "--draws", "100", "--without", "local-push", "--event", event)
    assert warm["effects"]


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_field_is_an_option_or_a_place_of_its_verb(name: str) -> None:
    kind = QUESTIONS[name]
    from typer.main import get_command

    command: Any = get_command(build())
    for word in kind.VERB:
        command = command.commands[word]
    options = {o for p in command.params for o in p.opts}
    places = sum(1 for p in command.params if p.param_type_name == "argument")
    for field in kind.model_fields:
        if field not in (*kind.PLACES, "scenario_text"):
            flag = kind.FLAGS.get(field, "--" + field.replace("_", "-"))
            assert flag in options, f"{name} has no {flag}"
    assert places >= (1 if kind.PLACES else 0)
    assert "--json" in options


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_field_says_what_it_means(name: str) -> None:
    assert QUESTIONS[name].SAYS.endswith((".", "'."))
    assert all(f["says"] and f["words"] for f in fields_of(QUESTIONS[name].model_json_schema()))


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_example_answers_or_is_heavy(name: str) -> None:
    kind = QUESTIONS[name]
    if kind.HEAVY:
        assert kind.EXAMPLE
        return
    assert client().get(f"/api/{name}?{kind.EXAMPLE}").status_code == 200


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_number_of_every_question_is_bounded_and_every_text_has_an_end(name: str) -> None:
    def check(told: dict[str, Any], where: str) -> None:
        for one in told.get("anyOf", [told]):
            kind = one.get("type")
            if kind in ("integer", "number"):
                assert {"maximum", "exclusiveMaximum"} & set(one), f"{where} has no most"
                assert {"minimum", "exclusiveMinimum"} & set(one), f"{where} has no least"
            elif kind == "array":
                assert "maxItems" in one, f"{where} takes any number"
                check(one["items"], where)
            elif kind == "string" and "enum" not in one and "const" not in one:
                bounded = "maxLength" in one or re.search(r"\{\d+,?\d*\}\)?\??\$?", one.get("pattern", ""))
                assert bounded, f"{where} takes any length"

    for field, told in QUESTIONS[name].model_json_schema().get("properties", {}).items():
        check(told, f"{name}.{field}")


@settings(max_examples=200, deadline=None)
@given(chip=st.text(max_size=30), to=st.text(max_size=30), claim=st.text(max_size=60))
def test_no_text_becomes_a_flag(chip: str, to: str, claim: str) -> None:
    for kind, fields in ((RulesCheck, {"chip": chip, "to": to}), (Explain, {"claim": claim})):
        try:
            words = kind.model_validate(fields).words()
        except ValidationError:
            continue
        flags = words[len(kind.VERB): words.index("--")] if "--" in words else words[len(kind.VERB):]
        known = {"--" + f.replace("_", "-") for f in kind.model_fields}
        assert all(f.split("=", 1)[0] in known for f in flags)


@pytest.mark.parametrize(("kind", "fields"), [
    (RulesCheck, {"chip": "/etc/passwd"}), (RulesCheck, {"chip": "mine.yaml"}), (RulesCheck, {"chip": "mine.yaml#x"}),
    (RulesCheck, {"chip": "--svg=/tmp/x"}), (RulesCheck, {"chip": "h20", "scenario": "../x"}),
    (RulesCheck, {"chip": "h20", "scenario": "mine.yaml"}), (TokensServe, {"model": "config.json"}),
    (TokensServe, {"model": "a/b"}), (TokensServe, {"model": "deepseek-r1", "chip": "h20,mine.YAML"}),
    (Market, {"scenario": "http://x"}), (Market, {"event": ["a\nb"]}),
])
def test_a_file_or_an_address_is_no_name(kind: type[Question], fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(fields)


@pytest.mark.parametrize(("path", "query", "sentence"), [
    ("rules/check", "", "chip is missing; add it"),
    ("rules/check", "chip=h99", "unknown chip 'h99'"),
    ("rules/check", "chip=h20&on=2025-13-01", "2025-13-01"),
    ("rules/check", "chip=h20&on=tomorrow", "on is not written as it must be"),
    ("rules/check", "chip=h20&color=red", "color is no field of this question"),
    ("rules/check", "chip=mine.yaml", "must be a name and not a file"),
    ("rules/check", "chip=h20&scenario=mine", "unknown scenario 'mine'"),
    ("rules/history", "chip=h20&begin=2026-01-01&until=2025-01-01", "2025-01-01"),
    ("fab/yield", "area_mm2=-1&d0_per_cm2=0.1", "greater than 0"),
    ("fab/yield", "d0_per_cm2=nan", "d0_per_cm2"),
    ("fab/yield", "share=40%25", "means nothing without its definition"),
    ("fab/dies", "area_mm2=1e9", "less than or equal"),
    ("tokens/serve", "model=gpt-9", "unknown model 'gpt-9'"),
    ("tokens/serve", "model=deepseek-r1&draws=1000000", "less than or equal to 4000"),
    ("tokens/serve", "model=deepseek-r1&chip=a,b,c,d,e,f,g,h,i", "at most 8"),
    ("market", "without=everything", "without.0"),
    ("market", "event=gate%3Dmoon", "event"),
    ("compare", "first=february-2025&second=mine", "unknown scenario 'mine'"),
])
def test_bad_input_is_one_sentence_with_its_kind(path: str, query: str, sentence: str) -> None:
    said = client().get(f"/api/{path}?{query}")
    assert said.status_code == 422, said.text
    told = said.json()
    assert set(told) == {"error", "kind"} and told["kind"] == "input"
    assert sentence in told["error"]
    assert "\n" not in told["error"] and "Traceback" not in told["error"]


def test_what_has_no_answer_is_a_conflict_with_its_reason() -> None:
    said = client().get("/api/tokens/serve?model=deepseek-r1&chip=910b4&chips=8&draws=100")
    assert said.status_code == 409
    assert said.json()["kind"] == "infeasible"


OWN = "name: mine\nbase: february-2025\nbuyer:\n  name: me\n  segment: private\n  model: {model}\n  demand: " \
      "{{concurrent_users: 100, tokens_per_user_day: 40k}}\n"


@pytest.mark.parametrize(("text", "sentence"), [
    (OWN.format(model="/etc/passwd"), "unknown model"), (OWN.format(model="config.json"), "unknown model"),
    (OWN.format(model="../x/y"), "unknown model"), ("base: /etc/passwd\n", "unknown base"),
    ("base: yours\n", "unknown base"), ("until: 2400-01\n", "lies beyond 2035-12-31"), ("- 1\n", "a table of keys"),
    ("a: &x 1\nb: *x\n", "aliases"), ("a: !!python/object/apply:os.system ['true']\n", "yours.yaml"),
    ("name: [", "not valid YAML"), ("colour: red\n", "unknown key 'colour'"), ("chips: {x: {base: /etc/passwd}}\n",
                                                                               "unknown chip"),
])
def test_a_scenario_in_a_body_names_no_file_and_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    said = client().post("/api/market", json={"scenario_text": text, "draws": 100})
    assert said.status_code == 422, said.text
    assert sentence in said.json()["error"]
    assert "/tmp" not in said.json()["error"]


def test_a_scenario_comes_by_name_or_as_a_text_and_not_both() -> None:
    said = client().post("/api/market", json={"scenario": "latest", "scenario_text": "name: x\n", "draws": 100})
    assert "give either scenario or scenario_text" in said.json()["error"]


def test_the_command_beside_an_answer_asks_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    import shlex

    asked = RulesCheck(chip="RTX 4090", to="CN", on="2025-05-01")
    words = shlex.split(asked.command())
    assert words[0] == "chipcast"
    assert cli(capsys, *words[1:]) == client().get("/api/rules/check?chip=RTX+4090&to=CN&on=2025-05-01").json()


def test_no_question_writes_a_file_or_reads_one() -> None:
    for name, kind in QUESTIONS.items():
        assert not {"svg", "out", "map", "log", "trace", "outcomes"} & set(kind.model_fields), name
    assert get_args(Question.__annotations__["VERB"]) is not None
