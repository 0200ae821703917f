"""Verbs of `cluster` on good and bad words."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest

import chipcast.cluster as station

Run = Callable[..., tuple[int, str, str]]
RunJson = Callable[..., Any]
FEW = ("--draws", "400")


@pytest.mark.parametrize("name", sorted(m.name for m in pkgutil.iter_modules(station.__path__)))
def test_examples_in_docstrings_hold(name: str) -> None:
    failures, _ = doctest.testmod(importlib.import_module(f"chipcast.cluster.{name}"))
    assert failures == 0


def test_goodput_in_json_closes_its_ledger(cli_json: RunJson) -> None:
    out = cli_json("cluster", "goodput", "--chip", "910b,h800", "--chips", "1024..8192", *FEW)
    assert [(r["chip"], r["chips"]) for r in out["rows"][:4]] == [("ascend-910b", n) for n in (1024, 2048, 4096, 8192)]
    for row in out["rows"]:
        assert sum(row["ledger_mean"].values()) == pytest.approx(1, abs=1e-9)
        assert 0 < row["goodput"]["p05"] < row["goodput"]["p50"] < row["goodput"]["p95"] < 1
    assert {"goodput", "mtbf_h", "mtbf_rollback_h", "ledger"} <= set(out)
    assert out["chip"] == "ascend-910b" and out["chips"] == 8192


def test_faster_checkpoints_and_fewer_spares_show(cli_json: RunJson) -> None:
    base = ("cluster", "goodput", "--chip", "h800", "--chips", "8192", *FEW)
    slow, fast = cli_json(*base, "--checkpoint", "120s"), cli_json(*base, "--checkpoint", "5s")
    assert fast["goodput"]["p50"] > slow["goodput"]["p50"]
    none = cli_json(*base, "--spares", "0%")
    assert none["ledger"]["waiting"]["p50"] > slow["ledger"]["waiting"]["p50"]
    assert none["rows"][0]["spare_chips"]["p50"] == 0


def test_goodput_as_a_table_names_every_part(cli: Run) -> None:
    code, out, err = cli("cluster", "goodput", "--chip", "910c", "--chips", "4096", *FEW)
    assert code == 0
    assert "4096 ascend-910c" in out and "detection" in out
    assert "no public fault count exists" in err


def test_collective_reports_every_algorithm_and_a_bound(cli_json: RunJson) -> None:
    out = cli_json("cluster", "collective", "all-to-all", "--chip", "910c", "--chips", "256", "--bytes", "7MB", *FEW)
    assert set(out["seconds"]) == {"direct", "at_once", "two_stage", "best"}
    assert out["ranks"] == 512
    assert out["seconds"]["best"]["p50"] >= out["lower_bound_s"]["p50"] * (1 - 1e-9)
    alone = cli_json("cluster", "collective", "all-reduce", "--chip", "h800", "--chips", "1", *FEW)
    assert alone["seconds"]["best"]["p50"] == 0


def test_vendor_claim_of_june_2025_needs_another_definition(cli_json: RunJson) -> None:
    """98% and more than 24 h on 10,000 packages, recovery below 10 minutes: what must hold."""
    out = cli_json("cluster", "check-claim", "--availability", "98%", "--mtbf", "24h", "--recovery", "10min",
                   "--chips", "10000", "--chip", "910c", *FEW)
    need = {row["name"]: row["value"] for row in out["must_hold"]}
    assert need["loss per failure if MTBF is time up"] == pytest.approx(29.4, abs=0.05)
    assert need["loss per failure if MTBF is the whole cycle"] == pytest.approx(28.8, abs=0.05)
    assert need["time between failures at that recovery time"] == pytest.approx(8.17, abs=5e-3)
    assert need["availability at that MTBF and recovery time"] == pytest.approx(0.9931, abs=5e-5)
    assert need["better than the anchor run by"] == pytest.approx(4.74, abs=5e-3)
    assert need["or faults mended without a stop at the anchor's rate, at least"] == pytest.approx(0.789, abs=5e-4)
    assert "19 min per failure" in out["clash"]
    assert all(p < 0.2 for p in out["probability"].values())


BAD = [
    (("goodput", "--chips", "0"), 2, "whole numbers of 1 or more, got '0'"),
    (("goodput", "--chips", "10.5"), 2, "whole numbers of 1 or more"),
    (("goodput", "--chips", "9..4"), 2, "must rise from left to right"),
    (("goodput", "--chip", "ascend-910cc"), 2, "did you mean 'ascend-910c'"),
    (("goodput", "--chip", "ascend-950pr"), 2, "after the information date 2025-02-25"),
    (("goodput", "--ladder", "ful"), 2, "did you mean 'full'"),
    (("goodput", "--detection", "pasive"), 2, "did you mean 'passive'"),
    (("goodput", "--checkpoint", "5GB"), 2, "is a bytes, but s"),
    (("goodput", "--interval", "0s"), 2, "--interval must be above 0 s"),
    (("goodput", "--spares", "150%"), 2, "--spares must be a share"),
    (("goodput", "--checkpoint", "10h"), 3, "no progress: a checkpoint of 36000 s is longer"),
    (("goodput", "--interval", "300h"), 3, "no progress"),
    (("goodput", "--set", "ladder.hbm_online_success=150%"), 2, "success of tier hbm_online must lie in 0 to 1"),
    (("goodput", "--set", "fleet.rate_factor=-1"), 2, "fault rates must not be negative, got -"),
    (("goodput", "--set", "checkpoint.stall_s=20h"), 3, "no progress: a checkpoint of 72000 s"),
    (("goodput", "--set", "cluster.chips_per_server=0"), 2, "chips_per_node must be 1 or more, got 0"),
    (("goodput", "--set", "slow.excess=-2"), 2, "slow_factor must be 1 or more, got -1"),
    (("goodput", "--set", "spares.target_availability=1.2"), 2, "target availability must lie inside 0 to 1"),
    (("collective", "all-gahter"), 2, "did you mean 'all-gather'"),
    (("collective", "all-reduce", "--bytes", "-1"), 2, "--bytes must be above 0"),
    (("collective", "all-reduce", "--chips", "8,16"), 2, "--chips must be one number here"),
    (("check-claim",), 2, "state an availability, an MTBF or both"),
    (("check-claim", "--availability", "120%"), 2, "availability must lie inside 0% to 100%"),
    (("check-claim", "--mtbf", "0h"), 2, "--mtbf must be above 0 s"),
]


@pytest.mark.parametrize(("words", "code", "message"), BAD, ids=lambda w: " ".join(w) if isinstance(w, tuple) else None)
def test_bad_words_end_in_one_sentence(cli: Run, words: tuple[str, ...], code: int, message: str) -> None:
    got, out, err = cli("cluster", *words, *FEW)
    assert got == code, err
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) <= 2


@pytest.mark.parametrize("chip", ["ascend-910c", "h800", "ascend-910b2"])
def test_no_collective_beats_the_bound_that_is_printed(cli_json: Callable[..., Any], chip: str) -> None:
    """On a switch a rank talks to all at once: the bound must not be that of one port at a time."""
    got = cli_json("cluster", "collective", "all-to-all", "--chip", chip, "--chips", "64", "--bytes", "7MB",
                   "--as-of", "2026-06-30")
    answer = got["answers"][0] if "answers" in got else got
    assert answer["lower_bound_s"]["p50"] <= answer["seconds"]["best"]["p50"] * (1 + 1e-9)
