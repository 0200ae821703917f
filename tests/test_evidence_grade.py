"""Frozen forecasts are graded once they mature, and only if they could not have seen the outcome."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipcast.base.errors import InputError
from chipcast.evidence import grade, levels
from chipcast.evidence.rivals import rivals, time_of
from chipcast.evidence.score import crps_lognormal, crps_normal

ROW = {"series": "nvda_china_revenue_usd_bn", "period": "FY26Q1", "unit": "1e9", "p05": 2.0, "p25": 4.0, "p50": 5.0,
       "p75": 6.0, "p95": 8.0, "as_of": "2025-02-25"}


def test_a_forecast_that_was_changed_is_refused() -> None:
    frozen = {"forecasts": [ROW], "hash": grade.digest([ROW]), "as_of": "2025-02-25", "standing": "hindcast"}
    assert grade.check_frozen(frozen, "f.json") == [ROW]
    with pytest.raises(InputError, match=r"f.json was changed after it was written"):
        grade.check_frozen({**frozen, "forecasts": [{**ROW, "p50": 5.5}]}, "f.json")
    with pytest.raises(InputError, match="is no frozen forecast"):
        grade.check_frozen({"x": 1}, "f.json")
    with pytest.raises(InputError, match="is no frozen forecast"):
        grade.check_frozen({**frozen, "forecasts": 5}, "f.json")


@pytest.mark.parametrize(("key", "said"), [("standing", "forecast"), ("standing", None), ("as_of", "2025-02-24")])
def test_a_hindcast_cannot_be_passed_off_as_a_forecast_or_dated_back(key: str, said: str | None) -> None:
    """The hash covers the rows alone, so what the file says of itself must follow from them."""
    frozen = {"forecasts": [ROW], "hash": grade.digest([ROW]), "as_of": "2025-02-25", "standing": "hindcast"}
    with pytest.raises(InputError, match=f"was changed after it was written: {key} says {said}"):
        grade.check_frozen({**frozen, key: said}, "f.json")


def test_an_outcome_known_on_the_day_is_not_graded() -> None:
    """Peeking: shifting the outcome's day to the forecast's own takes it out of the score."""
    known = {("nvda_china_revenue_usd_bn", "FY26Q1"): {"value": 5.52, "kind": "official", "known_by": "2025-05-28"}}
    assert grade.grade([ROW], known)["matured"] == 1
    known[("nvda_china_revenue_usd_bn", "FY26Q1")]["known_by"] = "2025-02-25"
    got = grade.grade([ROW], known)
    assert (got["matured"], got["refused_as_already_known"]) == (0, 1)


def test_the_score_is_proper_at_the_truth() -> None:
    """Quantiles of the law that makes the outcomes score better than shifted or widened ones."""
    z = np.array(list(levels.NORMAL.values()))
    outcomes = np.random.default_rng(1).normal(0, 1, 4000)

    def mean_score(shift: float, width: float) -> float:
        q = dict(zip(levels.NORMAL, shift + width * z, strict=True))
        return float(np.mean([grade.interval_score_of(q, y) for y in outcomes]))

    truth = mean_score(0, 1)
    for shift, width in ((0.5, 1), (-0.5, 1), (0, 0.5), (0, 2)):
        assert mean_score(shift, width) > truth


def test_rivals_know_only_what_was_known() -> None:
    early, late = (rivals("nvda_china_revenue_usd_bn", "FY26Q3", d, "1e9") for d in ("2025-02-25", "2025-06-01"))
    assert early["last"]["p50"] == pytest.approx(5.42)
    assert late["last"]["p50"] == pytest.approx(5.52)
    assert early["drift"]["p50"] > early["last"]["p50"]
    cards = rivals("huawei_ascend_cards", "2025", "2025-02-25", "cards")
    assert cards["last"]["p50"] == pytest.approx(200_000)
    assert cards["named:ft-2025-02-25"]["p50"] == pytest.approx(400_000), "two parts of one plan are one forecast"
    assert set(cards) == {"last", "named:ft-2025-02-25"}
    later = rivals("huawei_ascend_cards", "2025", "2025-06-30", "cards")
    assert {"named:wsj-2025-04-27", "named:us-commerce-2025-06-05"} <= set(later)
    assert not [k for k in rivals("huawei_ascend_cards", "2025", "2026-01-31", "cards") if k.startswith("named")], \
        "a figure for a year that is over is no forecast"
    assert rivals("china_vendor_cards", "2025", "2025-02-25", "cards") == {}


@pytest.mark.parametrize(("unit", "centre", "sd"), [("", 3.0, 0.7), ("cards", 12.0, 0.4), ("1", 0.3, 0.5)])
def test_five_quantiles_of_a_normal_law_score_like_the_law(unit: str, centre: float, sd: float) -> None:
    """Normal on its scale between and beyond the knots, so density and CRPS are those of the closed forms."""
    scale = {"": "linear", "cards": "log", "1": "logit"}[unit]
    f = levels.of_normal(centre, sd, unit, scale)
    if unit == "":
        f = {q: v - 3.0 for q, v in f.items()}  # around 0, so that no logarithm is taken
        for y in (-1.5, 0.2, 2.0):
            assert levels.crps(f, y) == pytest.approx(crps_normal(0, sd, y), abs=2e-4)
            assert levels.log_score(f, y) == pytest.approx(0.5 * (y / sd) ** 2 + np.log(sd * np.sqrt(2 * np.pi)))
    elif unit == "cards":
        for y in (5.0, 12.0, 40.0):
            assert levels.crps(f, y, unit) == pytest.approx(crps_lognormal(np.log(centre), sd, y), rel=2e-3)
            z = np.log(y / centre) / sd
            assert levels.log_score(f, y, unit) == pytest.approx(0.5 * z * z + np.log(sd * y * np.sqrt(2 * np.pi)))
    else:
        x = np.linspace(1e-6, 1 - 1e-6, 200_001)
        mass = np.trapezoid([np.exp(-float(levels.log_score(f, v, unit) or 0)) for v in x[::200]], x[::200])
        assert mass == pytest.approx(1, abs=2e-3)


def test_a_forecast_with_an_atom_has_no_log_score_but_a_crps() -> None:
    f = {"p05": 0.0, "p25": 0.0, "p50": 1.0, "p75": 2.0, "p95": 4.0}
    assert levels.log_score(f, 1.0) is None
    assert levels.crps(f, 1.0) > 0


def test_a_forecast_that_repeats_a_rival_has_no_skill_over_it_and_the_truth_has() -> None:
    last = rivals("nvda_china_revenue_usd_bn", "FY26Q1", "2025-02-25", "1e9")["last"]
    known = {("nvda_china_revenue_usd_bn", "FY26Q1"): {"value": 5.52, "kind": "official", "known_by": "2025-05-28"}}
    same = grade.grade([{**ROW, **last}], known)["scored"][0]["rivals"]["last"]
    assert same["skill"] == pytest.approx(0)
    assert same["gain_nats"] == pytest.approx(0)
    sharp = grade.grade([{**ROW, "p05": 5.2, "p25": 5.4, "p50": 5.5, "p75": 5.6, "p95": 5.8}], known)
    assert sharp["scored"][0]["rivals"]["last"]["skill"] > 0.5
    assert sharp["skill"]["last"]["mean_gain_nats"] > 1


def test_periods_have_their_middle_and_their_end() -> None:
    assert time_of("2025-12", last=True) == time_of("2025Q4", last=True) == time_of("2025", last=True) == 2026.0
    assert time_of("FY26Q1", last=True) == pytest.approx(2025 + 4 / 12)
    assert time_of("2024-06") < time_of("2024-06-30") < time_of("2024-07")


def test_a_hindcast_of_february_is_scored(cli: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    assert cli("freeze", "--draws", "500", "--out", str(path))[0] == 0
    code, out, err = cli("score", str(path), "--json")
    assert code == 0, err
    got: dict[str, Any] = json.loads(out)
    assert got["matured"] >= 6
    assert got["waiting"] > 0
    mine = tmp_path / "o.csv"
    mine.write_text("series,period,value\nhuawei_ascend_cards,2025,400000\n", encoding="utf-8")
    code, out, _ = cli("score", str(path), "--outcomes", str(mine), "--json")
    assert json.loads(out)["matured"] == got["matured"] + 1


def test_bad_outcomes_and_files_are_refused(cli: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    assert cli("score", str(tmp_path / "none.json"))[0] == 2
    broken = tmp_path / "b.json"
    broken.write_text("{", encoding="utf-8")
    code, _, err = cli("score", str(broken))
    assert (code, "not valid JSON" in err) == (2, True)
    with pytest.raises(InputError, match="an outcome must have the columns series, period and value, got series=x"):
        grade.outcomes([{"series": "x", "value": "3"}])
    with pytest.raises(InputError, match="an outcome must have the columns"):
        grade.outcomes([{"series": "huawei_ascend_cards", "period": "2025", "value": " "}])
    with pytest.raises(InputError, match=r"the outcome of huawei_ascend_cards in 2025 must be a number.* got 'many'"):
        grade.outcomes([{"series": "huawei_ascend_cards", "period": "2025", "value": "many"}])
    with pytest.raises(InputError, match=r"in 2025 must be a number.* got 'nan'"):
        grade.outcomes([{"series": "huawei_ascend_cards", "period": "2025", "value": "nan"}])
    with pytest.raises(InputError, match="unknown series of an outcome 'huawei_cards'; did you mean"):
        grade.outcomes([{"series": "huawei_cards", "period": "2025", "value": "3"}])


def test_shipped_forecasts_are_whole_and_name_the_fixed_series() -> None:
    from chipcast.news import SERIES_UNITS

    assert tuple(SERIES_UNITS) == grade.SERIES
    folder = Path(__file__).parent.parent / "forecasts"
    files = sorted(folder.glob("*.json"))
    dates = ["2025-02-25", "2025-03-10", "2025-12-31"]
    assert sorted(f.stem for f in files) == sorted([*dates, *(f"{d}-{k}" for d in dates for k in "bc")])
    for path in files:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = grade.check_frozen(content, path.name)
        assert {r["as_of"] for r in rows} == {path.stem[:10]}
        assert content["standing"] == ("forecast" if path.stem.startswith("2025-12-31") else "hindcast")
        if path.stem.endswith(("-b", "-c")):
            assert {r["series"] for r in rows} == set(grade.SERIES)
        assert {r["series"] for r in rows} <= set(grade.SERIES)


def test_outcomes_of_ones_own_are_read_like_any_other_figure() -> None:
    rows = [{"series": s, "period": "2025", "value": v} for s, v in
            (("huawei_ascend_cards", "800k"), ("nvda_china_share", "55%"), ("h20_revenue_usd_bn", "12bn"))]
    got = grade.outcomes(rows)
    assert [got[(r["series"], "2025")]["value"] for r in rows] == pytest.approx([800_000, 0.55, 12])
