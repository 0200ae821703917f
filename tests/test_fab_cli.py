"""The verbs of `fab`: what they answer, and what they say to bad input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., tuple[int, str, str]]
Json = Callable[..., Any]


def test_dies_answers_with_its_conventions(cli_json: Json, cli: Cli, tmp_path: Path) -> None:
    out = cli_json("fab", "dies", "--width-mm", "25.8", "--height-mm", "25.8")
    assert (out["gross_dies"], out["edge_mm"], out["scribe_mm"], out["phase"]) == (82, 3.0, 0.1, "best")
    assert out["fields"] == 82
    assert out["mean_over_phases"] == pytest.approx(79.6074, abs=1e-4)
    for phase, count in (("center", 73), ("corner", 80), ("0,0", 73)):
        found = cli_json("fab", "dies", "--width-mm", "25.8", "--height-mm", "25.8", "--phase", phase)
        assert found["gross_dies"] == count
    picture = tmp_path / "w.svg"
    code, text, _ = cli("fab", "dies", "--area-mm2", "107", "--map", str(picture))
    assert code == 0 and "3 mm edge, 0.1 mm scribe, phase best" in text
    assert picture.read_text(encoding="utf-8").startswith("<svg")


def test_yield_shows_both_pairings_and_its_law(cli_json: Json, cli: Cli) -> None:
    out = cli_json("fab", "yield", "--area-mm2", "665.61", "--yield", "40%", "--definition", "blind", "--dies", "2",
                   "--assembly", "95%", "--law", "negative-binomial", "--clustering", "2")
    densities = {k: round(v["d0_per_cm2"], 4) for k, v in out["by_pairing"].items()}
    assert densities == {"independent": .0725, "wafer": .0813}
    assert (out["law"], out["definition"]) == ("negative-binomial", "blind")
    code, text, _ = cli("fab", "yield", "--d0-per-cm2", "0.1", "--law", "seeds")
    assert code == 0 and "1/(1+lambda)" in text


def test_yield_forward_and_back_agree_by_definition(cli_json: Json) -> None:
    for extra in (("--definition", "through", "--assembly", "80%"), ("--definition", "die.perfect"),
                  ("--definition", "die.any", "--cores", "25", "--need", "20"),
                  ("--definition", "blind", "--dies", "2", "--assembly", "80%", "--pairing", "wafer"),
                  ("--definition", "final", "--assembly", "80%", "--system-test", "98%")):
        forward = cli_json("fab", "yield", "--d0-per-cm2", "0.2", *extra)
        back = cli_json("fab", "yield", "--yield", f"{forward['yield']!r}", *extra)
        assert back["d0_per_cm2"] == pytest.approx(.2, rel=1e-9), extra


def test_harvest_sums_to_one(cli_json: Json) -> None:
    out = cli_json("fab", "harvest", "--cores", "25", "--need", "24,20", "--d0-per-cm2", "0.3")
    assert sum(b["share"] for b in out["bins"]) + out["scrap"] == pytest.approx(1)


def test_a_bin_s_supply_and_its_rate_come_from_one_die(cli_json: Json, cli: Cli) -> None:
    """910B: 24 and 20 of 25 cores, 363.7 and 294.9 TFLOPS at best; the 950 family sells 36, 32, 28 cores and fewer."""
    out = cli_json("fab", "harvest", "--family", "910b")
    assert [(b["need"], b["fp16_cube_tflops"]) for b in out["bins"]] == [(24, 363.7), (20, 294.9)]
    assert "Ascend910B4" in out["bins"][1]["skus"]
    assert sum(b["share"] for b in out["bins"]) + out["scrap"] == pytest.approx(1)
    next_one = cli_json("fab", "harvest", "--family", "950", "--cores", "36")
    assert [b["need"] for b in next_one["bins"]][:3] == [36, 32, 28]
    assert cli("fab", "harvest", "--family", "950", "--cores", "36")[0] == 0


def test_a_family_s_die_is_large_enough_for_its_largest_bin(cli_json: Json, cli: Cli) -> None:
    out = cli_json("fab", "harvest", "--family", "950")
    assert out["cores"] == max(b["need"] for b in out["bins"]) == 36
    assert [r for r in out["remarks"] if "give --cores" in r]
    assert [r for r in out["remarks"] if "give --area-mm2" in r]
    assert "not public" in cli("fab", "harvest", "--family", "950")[1]
    assert cli_json("fab", "harvest", "--family", "910C")["remarks"] == []
    told = cli_json("fab", "harvest", "--family", "950", "--cores", "40", "--area-mm2", "500")
    assert (told["cores"], told["area_mm2"], told["remarks"]) == (40, 500, [])
    code, _, err = cli("fab", "harvest", "--family", "950", "--cores", "25")
    assert code == 2
    assert "reach the largest bin of 950, 36 cores" in err


def test_map_reports_the_draws_it_paints(cli_json: Json, tmp_path: Path) -> None:
    out = cli_json("fab", "map", "--clusters", "thomas", "--wafers", "3000", "--out", str(tmp_path / "m.svg"))
    assert out["yield"] == pytest.approx(out["closed_form_yield"], abs=.006)
    assert (tmp_path / "m-poor.svg").is_file()
    assert f"{out['typical']['sellable']} of {out['gross_dies']} dies sell" in (tmp_path / "m.svg").read_text("utf-8")


def test_line_has_the_keys_that_others_rely_on(cli_json: Json) -> None:
    out = cli_json("fab", "line", "february-2025", "--draws", "300")
    assert len(out["months"]) == 36
    assert set(out["series"]) == {"ascend-910b", "ascend-910c"}
    assert set(out["series"]["ascend-910c"]["packages"][0]) == {"p05", "p50", "p95"}
    assert sum(out["binding"].values()) == pytest.approx(1)
    assert max(out["balance"].values()) < 1e-9
    shut = cli_json("fab", "line", "--draws", "300", "--until", "2025-12", "--close", "hbm=2025-06-01")
    assert shut["binding"]["hbm"] > 0


def test_cost_adds_up_to_the_cent(cli_json: Json, cli: Cli) -> None:
    for flow in ("known-good-die", "blind"):
        out = cli_json("fab", "cost", "910c", "--flow", flow, "--draws", "400", "--why")
        assert round(sum(s["usd"] for s in out["waterfall"]), 2) == round(out["unit_cost_mean_usd"], 2)
        assert set(out["break_even"]) >= {"price_usd", "die_yield", "wafer_usd", "assembly_yield"}
        assert out["drivers"][0]["name"] in ("smic_n2.d0_per_cm2", "hbm.price_usd_per_gb",
                                             "package_dual_die.package_and_test_usd")
    code, text, _ = cli("fab", "cost", "ascend-910b", "--draws", "400")
    assert code == 0 and "unit cost" in text
    printed = [float(row.split()[-2].replace(",", "")) for row in text.splitlines() if row.strip().endswith("%")]
    assert round(sum(printed[:-1]), 2) == printed[-1], "the printed cents add up too"


def test_every_break_even_counts_the_fixed_cost_when_cards_share_it(cli_json: Json) -> None:
    base = ("fab", "cost", "910c", "--draws", "400", "--set", "ascend-910c.price_usd=20k")
    alone, shared = cli_json(*base), cli_json(*base, "--cards", "100k", "--fixed-usd", "500M")
    assert alone["price_usd"]["p50"] == pytest.approx(20_000)
    gap = shared["break_even"]["price_usd"]["p50"] - alone["break_even"]["price_usd"]["p50"]
    assert gap == pytest.approx(500e6 / 100e3)
    assert {"fixed_usd", "packages"} <= set(shared["break_even"]) and "packages" not in alone["break_even"]
    assert alone["transfer_price_usd"]["per_good_die"]["p50"] > 0


def test_line_answers_orders_and_shows_every_limit(cli_json: Json) -> None:
    out = cli_json("fab", "line", "--draws", "300", "--until", "2025-12", "--orders", "1k,0.5k", "--prior")
    assert set(out["binding"]) == {"wafers", "scanner_hours", "dies", "hbm", "packaging", "orders"}
    assert out["binding"]["orders"] > 0.9
    assert out["scanner_cap_wafers_per_month"]["p50"] > 0


def test_the_phase_may_be_chosen_for_good_dies(cli_json: Json) -> None:
    out = cli_json("fab", "dies", "--width-mm", "10", "--height-mm", "10", "--objective", "good", "--edge-rise", "30")
    assert out["good_dies"] >= out["good_dies_at_most_dies"]
    assert out["objective"] == "good"


def test_alpha_by_die_size_is_a_result(cli_json: Json) -> None:
    out = cli_json("fab", "map", "--clusters", "thomas", "--wafers", "500", "--sizes", "107,665.64")
    small, large = out["alpha_by_die_size"]
    assert (small["effective_alpha"], large["effective_alpha"]) == (pytest.approx(.154, abs=.003),
                                                                    pytest.approx(.26, abs=.01))


def test_package_and_patterning_stand_beside_their_rivals(cli_json: Json, cli: Cli) -> None:
    flows = cli_json("fab", "package", "--draws", "400")["flows"]
    assert flows["blind"]["stacks_per_good"]["p50"] > 1.5 * flows["known-good-die"]["stacks_per_good"]["p50"]
    made = cli_json("fab", "package", "--draws", "400", "--bond", "99%", "--stack", "99.5%", "--substrate", "98%",
                    "--coverage", "95%")
    shares = [1.0, .99**2, .99**2 * .995**8, .99**2 * .995**8 * .98]
    assert [s["units_in"] for s in made["steps"]] == pytest.approx(shares)
    spent, lost = (sum(s[k] for s in made["steps"]) for k in ("spent_usd", "lost_usd"))
    good = made["flows"]["known-good-die"]
    assert 0 < lost < spent
    assert (spent - lost) / shares[-1] < good["usd"]["p95"], "what is not lost sits in good packages"
    order = made["orders_of_assembly_usd"]
    assert order["chip-first"]["p50"] > order["chip-last"]["p50"]
    routes = cli_json("fab", "patterning", "--draws", "400")["routes"]
    assert routes["n+2"]["days"]["p50"] > routes["euv-twin"]["days"]["p50"]
    assert cli("fab", "package", "--draws", "400")[0] == cli("fab", "patterning", "--draws", "400")[0] == 0


@pytest.mark.parametrize(("arguments", "words"), [
    (("dies", "--width-mm", "27", "--height-mm", "27"), "does not fit the reticle field of 26 x 33 mm"),
    (("dies", "--area-mm2", "-4"), "--area-mm2 must be above 0, got -4"),
    (("dies", "--width-mm", "20"), "give the die as --width-mm and --height-mm"),
    (("dies", "--area-mm2", "100", "--phase", "middle"), "phase must be best, center, corner or X,Y"),
    (("dies", "--area-mm2", "100", "--map", "/nowhere/w.svg"), "cannot write '/nowhere/w.svg'"),
    (("yield", "--yield", "40%"), "a yield means nothing without its definition"),
    (("yield", "--yield", "40%", "--definition", "blind"), "give the assembly yield, for example --assembly 95%"),
    (("yield", "--yield", "0%", "--definition", "die.perfect"), "must lie above 0% and not above 100%"),
    (("yield", "--yield", "140%", "--definition", "die.perfect"), "must lie above 0% and not above 100%"),
    (("yield", "--yield", "40 mm2", "--definition", "die.perfect"), "is a area, but 1"),
    (("yield", "--d0-per-cm2", "0.1", "--clustering", "0"), "clustering must be above 0"),
    (("yield", "--d0-per-cm2", "0.1", "--law", "poison"), "did you mean 'poisson'"),
    (("yield",), "give either --yield"), (("harvest", "--need", "20,24"), "from high to low"),
    (("harvest", "--family", "920"), "unknown family of bins '920'"),
    (("harvest", "--family", "910B", "--as-of", "2020-01-01"), "unknown family of bins"),
    (("harvest", "--need", "all"), "whole numbers such as 24,20"), (("cost", "h20"), "unknown product of the line"),
    (("line", "--close", "hbm"), "--close must be GATE=DATE"), (("line", "--close", "hmb=2025-01-01"), "unknown gate"),
    (("line", "--until", "2024-06"), "the months end"), (("line", "no-such"), "no scenario file"),
    (("dies", "--area-mm2", "100", "--objective", "best"), "objective must be dies or good"),
    (("map", "--sizes", "x"), "sizes must be a number in mm2"),
    (("map", "--sizes", "0.2"), "areas from 1 to 10,000 mm2"),
    (("line", "--orders", "30k"), "orders must be cards a month of 910B and 910C"),
    (("line", "--orders=-3,1"), "orders must not be below 0"),
    (("package", "--bond", "99%"), "give --assembly, or all three of --bond, --stack and --substrate"),
    (("map", "--clusters", "tomas"), "did you mean 'thomas'"), (("map", "--need", "30"), "lie from 0 to the 25 cores"),
    (("patterning", "--node", "n+3"), "unknown process"),
    (("cost", "--as-of", "2020-01-01"), "before the first vintage")])
def test_bad_input_gets_one_sentence_and_exit_code_2(cli: Cli, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = cli("fab", *arguments)
    assert code == 2
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert not out
