"""Published runs move the ranges of how operators recover, and never more than they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from chipcast.base.catalog import Catalogue, read_table
from chipcast.base.given import Given
from chipcast.base.laws import point
from chipcast.cluster import operators as op
from chipcast.cluster.goodput import case_of, fleet
from chipcast.cluster.platform import fitted
from chipcast.scenario import load, resolve

LATE = Catalogue(date(2025, 12, 31))


@pytest.fixture(scope="module")
def everything() -> op.Operators:
    return op.fit_operators(LATE)


def test_the_shipped_habits_are_what_the_fit_gives() -> None:
    fit = op.fit_operators(LATE, particles=4000)
    rows = [r for r in read_table("operator_fit") if r["known_by"] == "2025-12-31"]
    assert {r["name"] for r in rows} == set(op.HABITS)
    for r in rows:
        got = np.quantile(fit.values[r["name"]], [0.05, 0.5, 0.95])
        assert got == pytest.approx([float(r[k]) for k in ("p05", "p50", "p95")], rel=2e-3), r["name"]


def test_runs_that_kept_more_than_expected_speed_up_restart_and_saving(everything: op.Operators) -> None:
    laws = op.laws_of(LATE)
    for name in (f"{op.FLEET}.restart_s", "checkpoint.stall_s"):
        assert np.median(everything.values[name]) < 0.85 * laws[name].middle, name
    slow = "slow.excess"  # no run says anything of it
    assert np.median(everything.values[slow]) == pytest.approx(laws[slow].middle, rel=0.12)


def test_a_run_left_out_is_predicted_worse_than_one_that_is_seen(everything: op.Operators) -> None:
    for run, said in (("llama3_ett", 0.90), ("rsc1_ettr", 0.90)):
        held = op.fit_operators(LATE, leave_out=(run,)).ettr[run]
        assert np.quantile(held, 0.02) < said < np.quantile(held, 0.98)
    held = op.fit_operators(LATE, leave_out=("llama3_ett",)).ettr["llama3_ett"]
    assert (everything.ettr["llama3_ett"] > 0.9).mean() > (held > 0.9).mean()


def test_without_any_run_the_ranges_come_back() -> None:
    plain = op.fit_operators(LATE, leave_out=[r.row for r in op.RUNS])
    assert plain.used == ()
    for name in op.HABITS:
        law = op.laws_of(LATE)[name]
        assert np.median(plain.values[name]) == pytest.approx(law.middle, rel=0.12), name


def test_a_fit_sees_only_runs_that_were_published() -> None:
    assert op.fit_operators(Catalogue(date(2025, 2, 25)), particles=200).used == ("llama3_ett", "rsc1_ettr")
    assert op.fit_operators(Catalogue(date(2025, 12, 31)), particles=200).used[-1] == "byterobust_ettr"
    ids = {r["id"] for r in LATE.rows("faults")}
    assert set(op.NOT_TAKEN) <= ids


def test_a_stated_habit_stands_before_the_fit(given: Given) -> None:
    row = replace(given.row("checkpoint.stall_s"), kind="scenario", law=point(7.0))
    assert np.all(np.asarray(case_of(given.with_rows([row]), "h800-sxm").checkpoint_s) == 7.0)
    assert not np.array_equal(fitted(given, "checkpoint.stall_s"), given["checkpoint.stall_s"])


def test_the_54_day_run_lies_in_the_intervals_of_a_job_like_it() -> None:
    """16,384 H100 for 54 days: more than 90 percent of time effective, 419 stops that nobody planned."""
    latest = resolve(load("latest"), draws=4000, seed=1, chips=("h100-sxm",))
    f = fleet(latest, ("h100-sxm",), (16_384,))
    ettr = f.ettr[0, 0]
    assert np.quantile(ettr, 0.95) > 0.92 and np.median(ettr) > 0.85
    stops = 54 * 24 * ettr / f.mtbf_h[0, 0]
    assert np.quantile(stops, 0.05) < 419 < np.quantile(stops, 0.95)
