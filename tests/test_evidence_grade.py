"""Frozen forecasts are graded once they mature, and only if they could not have seen the outcome."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipcast.base.errors import InputError
from chipcast.evidence import grade

ROW = {"series": "nvda_china_revenue_usd_bn", "period": "FY26Q1", "unit": "1e9", "p05": 2.0, "p25": 4.0, "p50": 5.0,
       "p75": 6.0, "p95": 8.0, "as_of": "2025-02-25"}


def test_a_forecast_that_was_changed_is_refused() -> None:
    frozen = {"forecasts": [ROW], "hash": grade.digest([ROW])}
    assert grade.check_frozen(frozen, "f.json") == [ROW]
    with pytest.raises(InputError, match=r"f.json was changed after it was written"):
        grade.check_frozen({**frozen, "forecasts": [{**ROW, "p50": 5.5}]}, "f.json")
    with pytest.raises(InputError, match="is no frozen forecast"):
        grade.check_frozen({"x": 1}, "f.json")


def test_an_outcome_known_on_the_day_is_not_graded() -> None:
    """Peeking: shifting the outcome's day to the forecast's own takes it out of the score."""
    known = {("nvda_china_revenue_usd_bn", "FY26Q1"): {"value": 5.52, "kind": "official", "known_by": "2025-05-28"}}
    assert grade.grade([ROW], known)["matured"] == 1
    known[("nvda_china_revenue_usd_bn", "FY26Q1")]["known_by"] = "2025-02-25"
    got = grade.grade([ROW], known)
    assert (got["matured"], got["refused_as_already_known"]) == (0, 1)


def test_the_score_is_proper_at_the_truth() -> None:
    """Quantiles of the law that makes the outcomes score better than shifted or widened ones."""
    z = np.array(list(grade.NAIVE_Z.values()))
    outcomes = np.random.default_rng(1).normal(0, 1, 4000)

    def mean_score(shift: float, width: float) -> float:
        q = dict(zip(grade.NAIVE_Z, shift + width * z, strict=True))
        return float(np.mean([grade.interval_score_of(q, y) for y in outcomes]))

    truth = mean_score(0, 1)
    for shift, width in ((0.5, 1), (-0.5, 1), (0, 0.5), (0, 2)):
        assert mean_score(shift, width) > truth


def test_the_naive_forecast_knows_only_what_was_known() -> None:
    early, late = (grade.naive("nvda_china_revenue_usd_bn", d) for d in ("2025-02-25", "2025-06-01"))
    assert early is not None
    assert late is not None
    assert early["p50"] == pytest.approx(5.42)
    assert late["p50"] == pytest.approx(5.52)
    assert grade.naive("smic_ai_die_yield", "2025-02-25") is None


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
    with pytest.raises(InputError, match="an outcome must have series, period and a number"):
        grade.outcomes([{"series": "x", "period": "2025", "value": "many"}])
    with pytest.raises(InputError, match="must be a finite number, got nan"):
        grade.outcomes([{"series": "huawei_ascend_cards", "period": "2025", "value": "nan"}])
    with pytest.raises(InputError, match="unknown series of an outcome 'huawei_cards'; did you mean"):
        grade.outcomes([{"series": "huawei_cards", "period": "2025", "value": "3"}])


def test_shipped_forecasts_are_whole_and_name_the_fixed_series() -> None:
    from chipcast.news import SERIES_UNITS

    assert tuple(SERIES_UNITS) == grade.SERIES
    folder = Path(__file__).parent.parent / "forecasts"
    files = sorted(folder.glob("*.json"))
    assert [f.stem for f in files] == ["2025-02-25", "2025-03-10", "2025-12-31"]
    for path in files:
        rows = grade.check_frozen(json.loads(path.read_text(encoding="utf-8")), path.name)
        assert {r["as_of"] for r in rows} == {path.stem}
        assert {r["series"] for r in rows} <= set(grade.SERIES)
