"""Scenarios: what a user may write, and one clear sentence for what they may not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chipcast.base.errors import InputError
from chipcast.scenario import load, resolve, shipped, with_events


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_scenario_states_only_what_differs(tmp_path: Path) -> None:
    mine = load(write(tmp_path, "name: mine\nset:\n  h20.price_usd: {value: 12k to 15k, why: quoted to us}\n"))
    base = load("february-2025")
    assert mine.as_of == base.as_of
    assert mine.buyer == base.buyer
    given = resolve(mine, draws=500, chips=("h20-96",))
    row = given.row("h20-96.price_usd")
    assert (row.kind, row.why, row.law.low, row.law.high) == ("scenario", "quoted to us", 12e3, 15e3)


def test_a_scenario_may_build_on_another_file(tmp_path: Path) -> None:
    write(tmp_path, "name: parent\nset: {h20.price_usd: 10k}\nuntil: 2026-06\n", "parent.yaml")
    child = load(write(tmp_path, "name: child\nbase: parent.yaml\nset: {smic_n2.line_yield: 0.9}\n", "child.yaml"))
    assert set(child.set) == {"h20.price_usd", "smic_n2.line_yield"}
    assert str(child.until) == "2026-06-30"


def test_an_override_moves_no_other_draw(tmp_path: Path) -> None:
    mine = resolve(load(write(tmp_path, "set: {h20.price_usd: 12k to 15k}\n")), draws=300)
    base = resolve(load("february-2025"), draws=300)
    for name in base.rows:
        if name != "h20-96.price_usd":
            assert np.array_equal(mine[name], base[name]), name


def test_a_users_own_chip_takes_what_it_does_not_state_from_its_base(tmp_path: Path) -> None:
    given = resolve(load(write(tmp_path, "chips: {my-npu: {base: ascend-910b3, hbm_gb: 96}}\n")), draws=10)
    assert given.middle("my-npu.mem_gb") == 96
    assert given.middle("my-npu.mem_bw_gb_s") == 1600
    assert given.row("my-npu.mem_gb").kind == "scenario"


BAD = {
    "unknown key": ("asof: 2025-03-01\n", r"mine.yaml:1: unknown key 'asof'; did you mean 'as_of'"),
    "unknown key inside": ("buyer:\n  name: x\n  segment: private\n  demand: {users: 3}\n",
                           r"mine.yaml:4: unknown key 'buyer.demand.users'"),
    "unknown quantity": ("set:\n  smic_n2.d0: 0.2\n", r"mine.yaml:2: unknown quantity 'smic_n2.d0'; did you mean "
                                                       r"'smic_n2.d0_per_cm2'"),
    "wrong unit": ("set:\n  h20.price_usd: 96 GB\n", r"mine.yaml:2: h20-96.price_usd: '96 GB' is a bytes, but USD"),
    "negative area": ("set:\n  smic_n2.edge_exclusion_mm: -3\n", r"mine.yaml:2: .* must lie within 0 to inf, got -3"),
    "share above one": ("set: {smic_n2.line_yield: 1.2}\n", r"must lie within 0 to 1, got 1.2"),
    "growth too fast": ("buyer:\n  name: x\n  segment: private\n  demand: {concurrent_users: 5, growth_per_month: "
                               "300%}\n", r"growth_per_month must lie within -1 to 1, got 3"),
    "growth below minus one": ("buyer:\n  name: x\n  segment: private\n  demand: {concurrent_users: 5, "
                               "growth_per_month: -150%}\n", r"growth_per_month must lie within -1 to 1, got -1.5"),
    "no date": ("as_of: 2025-13-01\n", r"mine.yaml:1: as_of: '2025-13-01' is no date; write YYYY-MM-DD"),
    "too early": ("as_of: 2024-01-01\n", r"lies before the first vintage"),
    "end before start": ("until: 2024-01\n", r"until 2024-01-31 lies before as_of 2025-02-25"),
    "later fact": ("set: {h20.price_usd: {value: 1k, known_by: 2025-03-01}}\n",
                   r"h20.price_usd is known by 2025-03-01, after as_of 2025-02-25"),
    "broken": ("set: [1\n", r"mine.yaml:\d+: not valid YAML"),
    "alias": ("set: &a {}\nchips: *a\n", r"mine.yaml:2: aliases \(\*name\) are not allowed"),
    "list": ("- 1\n", r"a scenario is a table of keys"),
    "segment": ("buyer: {name: x, segment: hospital, demand: {}}\n", r"mine.yaml:1: buyer.segment: input should be"),
    "contradiction": ("events:\n  - {on: 2025-04-09, gate: us, chip: h20, to: licence}\n"
                      "  - {on: 2025-04-09, gate: us, chip: h20, to: free}\n", r"events contradict: on 2025-04-09"),
    "gate": ("events: [{on: 2025-04-09, gate: eu, chip: h20, to: licence}]\n", r"mine.yaml:1: events.0.gate"),
    "missing base": ("base: februari-2025\n", r"no scenario file 'februari-2025'; did you mean 'february-2025'"),
    "itself": ("base: mine.yaml\n", r"is based on itself"),
    "unknown figure": ("chips: {x: {hbm: 3}}\n", r"mine.yaml:1: chip 'x': unknown figure 'hbm'"),
    "reversed": ("set: {h20.price_usd: 15k to 12k}\n", r"must have its low end first"),
    "deep": ("set: " + "[" * 3000 + "\n", r"mine.yaml:1: nested too deeply, over 64 levels"),
    "deep and closed": ("set: " + "[" * 80 + "]" * 80 + "\n", r"mine.yaml:1: nested too deeply, over 64 levels"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence(case: str, tmp_path: Path) -> None:
    text, match = BAD[case]
    with pytest.raises(InputError, match=match) as caught:
        resolve(load(write(tmp_path, text)), draws=10)
    assert "\n" not in str(caught.value)


def test_an_alias_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    steps = zip("abcdefghij", "bcdefghijk", strict=True)
    bomb = "a: &a [x,x]\n" + "".join(f"{c}: &{c} [*{p},*{p}]\n" for p, c in steps)
    with pytest.raises(InputError, match="aliases"):
        load(write(tmp_path, bomb))


def test_a_huge_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="larger than 262144 bytes"):
        load(write(tmp_path, "# " + "x" * 300_000))
    path = tmp_path / "b.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        load(path)


def test_a_missing_file_names_what_is_shipped() -> None:
    assert "february-2025" in shipped()
    with pytest.raises(InputError, match=r"no scenario file 'nowhere\.yaml'.*shipped: .*february-2025"):
        load("nowhere.yaml")


def test_what_is_set_on_top_wins_over_the_file_and_keeps_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path, "name: mine\nset:\n  h20-96.price_usd: 10k\n  smic_n2.line_yield: 90%\n")
    plain = resolve(load(path), draws=10)
    above = resolve(load(path, overrides={"h20.price_usd": "12k to 15k"}), draws=10)
    assert plain["h20-96.price_usd"].max() == 10_000
    assert above["h20-96.price_usd"].min() > 10_000
    assert above.middle("smic_n2.line_yield") == plain.middle("smic_n2.line_yield")
    with pytest.raises(InputError, match=r"--set: unknown quantity 'h20-96\.price'"):
        resolve(load(path, overrides={"h20-96.price": "1"}), draws=10)


@pytest.mark.parametrize(("text", "value"), [("60%", 0.6), ("0.6", 0.6), (0.6, 0.6)])
def test_the_value_of_an_event_may_be_a_percentage(text: object, value: float) -> None:
    story = with_events(load("february-2025"), [{"on": "2025-06-01", "gate": "quota", "value": text}])
    assert story.events[-1].value == pytest.approx(value)


@pytest.mark.parametrize(("text", "match"), [("150%", "least domestic share of new cards, 0 to 1"),
                                             ("much", "value must be a number, for example '12', got 'much'")])
def test_a_value_that_is_no_share_is_refused(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        with_events(load("february-2025"), [{"on": "2025-06-01", "gate": "quota", "value": text}])
