"""One run is not the long run: its spread against jobs played out, and how it falls with the days."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from chipcast.base.errors import InputError
from chipcast.base.given import Given
from chipcast.cluster.case import Case, keep
from chipcast.cluster.compare import compare, luck_of
from chipcast.cluster.goodput import case_of
from chipcast.cluster.ladder import Masking
from chipcast.cluster.luck import run_ettr, run_spread
from chipcast.cluster.simulate import simulate


def one_draw(case: Case, draw: int) -> Case:
    """Return the case with the parameters of one draw, so that only luck differs between runs."""
    own = {f.name: v[..., draw : draw + 1] for f in fields(case) if isinstance(v := getattr(case, f.name), np.ndarray)}
    m = case.masking
    own["masking"] = Masking(**{n: getattr(m, n)[:, draw : draw + 1] for n in ("rollback", "stall_s", "steps")})
    return replace(case, **own)


@pytest.mark.parametrize(("size", "days"), [(8192, 60.0), (2048, 14.0)])
def test_the_spread_of_a_run_is_that_of_jobs_played_out(given: Given, size: int, days: float) -> None:
    whole = case_of(given, "ascend-910b2")
    ratios = []
    for draw in (0, 5, 33, 80):
        case = one_draw(whole, draw)
        kept = keep(case, (size,))
        played = simulate(case, size, days=days, runs=600)
        ratios.append(played.ettr.std() / run_spread(case, kept, 0, days)[0])
    assert np.all((np.array(ratios) > 0.75) & (np.array(ratios) < 1.35))
    assert np.mean(ratios) == pytest.approx(1, abs=0.12)


def test_luck_falls_with_the_root_of_the_days_and_moves_no_mean(given: Given) -> None:
    case = case_of(given, "h800-sxm")
    kept = keep(case, (4096,))
    short, long = run_spread(case, kept, 0, 10.0), run_spread(case, kept, 0, 1000.0)
    assert short / long == pytest.approx(10.0)
    run = run_ettr(case, kept, 0, 60.0, luck_of(given, "h800-sxm"))
    assert run.mean() == pytest.approx(kept.ettr[0].mean(), abs=0.002)
    assert np.all((run >= 0) & (run <= 1))
    with pytest.raises(InputError, match="days must be above 0"):
        run_spread(case, kept, 0, 0.0)


def test_a_short_run_of_a_sound_job_stumbles_more_often_than_a_long_one(given: Given) -> None:
    week, year = (compare(given, ("h800-sxm", "ascend-910b2"), 1024, days=d) for d in (7.0, 365.0))
    assert np.all(week.p_stumble > year.p_stumble)
    assert np.array_equal(week.ettr, year.ettr)
    assert np.corrcoef(week.run_ettr[0] - week.ettr[0], week.run_ettr[1] - week.ettr[1])[0, 1] < 0.1  # own luck each


def test_the_luck_of_a_chip_is_its_own_whoever_it_is_compared_with(given: Given) -> None:
    alone, among = (compare(given, c, 2048) for c in (("ascend-910c",), ("h800-sxm", "ascend-910c")))
    assert np.array_equal(alone.run_ettr[0], among.run_ettr[1])
