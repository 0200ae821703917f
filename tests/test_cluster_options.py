"""Policies by name, names without a bin, intervals by name, and what a run delivers in tokens, days and money."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chipcast import large_run
from chipcast.base.errors import InfeasibleError, InputError
from chipcast.base.given import Given
from chipcast.cluster import options as o
from chipcast.cluster import platform as pf
from chipcast.cluster.case import keep
from chipcast.cluster.compare import compare, equal_compute
from chipcast.cluster.fixes import FIXES, HALVED, waterfall
from chipcast.cluster.goodput import case_of, fleet
from chipcast.cluster.record import PARTS
from chipcast.cluster.simulate import simulate

Run = Callable[..., tuple[int, str, str]]
RunJson = Callable[..., Any]
FEW = ("--draws", "400")


@pytest.mark.parametrize("name", list(o.OPTIONS))
def test_every_policy_closes_its_ledger_and_is_the_same_in_blocks(given: Given, name: str) -> None:
    chosen = o.read_options(name)

    def kept(g: Given) -> Any:
        return keep(o.with_options(g, case_of(g, "ascend-910c"), chosen, days=30), (1024, 8192))

    whole, parts = kept(given), [kept(given.block(a, b)) for a, b in ((0, 700), (700, 2000))]
    assert np.abs(whole.ledger.sum(axis=1) - 1).max() < 1e-9
    assert whole.ledger.min() >= 0
    assert np.all(whole.goodput <= whole.ettr)
    joined = np.concatenate([p.ledger for p in parts], axis=-1)
    assert np.array_equal(whole.ledger, joined)


@pytest.mark.parametrize("name", [n for n in o.OPTIONS if n != "quarantine"])
def test_every_policy_agrees_with_jobs_played_out(given: Given, name: str) -> None:
    """Draw by draw, spares stated, faults at any time. Relapses need longer than such a run to settle: see policies."""
    case = o.with_options(given, case_of(given, "h800-sxm"), o.read_options(name), days=54)
    exact = keep(case, (4096,), spare_chips=512.0)
    played = simulate(case, 4096, days=54, runs=500, spare_chips=512)
    gap = played.ettr - exact.ettr[0, :500]
    assert abs(gap.mean()) < 3 * gap.std() / np.sqrt(500) + 0.004
    assert np.abs(played.ledger.sum(axis=0) - 1).max() < 1e-9
    assert played.ledger.min() > -1e-12


def test_policies_are_read_in_any_order_and_bad_words_are_refused(given: Given) -> None:
    case = case_of(given, "h800-sxm")
    a, b = (keep(o.with_options(given, case, o.read_options(t)), (4096,)).ettr for t in
            ("near,background,evict=2", "evict=2, background , near"))
    assert np.array_equal(a, b)
    for words, message in (("neer", "unknown policy 'neer'; did you mean 'near'"), ("near,near", "near stands twice"),
                           ("near=4", "near takes no value")):
        with pytest.raises(InputError, match=message):
            o.read_options(words)
    for words, message in (("pool=0", "jobs that share spares must be a whole number"),
                           ("warm=4,cold=4", "all warm or all cold"), ("warm=0", "warm spares must be"),
                           ("cold=1.5", "cold spares must be a whole number"), ("evict=0", "be a whole number of 1"),
                           ("quarantine=-1h", "quarantine must not be negative"),
                           ("quarantine=4GB", "is a bytes, but h")):
        with pytest.raises(InputError, match=message):
            o.with_options(given, case, o.read_options(words))


def test_intervals_by_name_order_as_what_they_know(given: Given) -> None:
    case = case_of(given, "ascend-910b2", slow=False)
    kept = {n: o.keep_with(given, case, (8192,), interval=n, days=60) for n in o.INTERVALS}
    best, learnt, planned = (kept[n].ettr for n in ("optimal", "adaptive", "planned"))
    assert np.all(best >= planned - 1e-12)
    assert best.mean() > learnt.mean() > planned.mean()
    assert np.abs(kept["adaptive"].ledger.sum(axis=1) - 1).max() < 1e-9
    with pytest.raises(InputError, match="unknown interval 'optimum'; did you mean 'optimal'"):
        o.keep_with(given, case, (8,), interval="optimum")


@pytest.mark.parametrize("policy", ["", "near"])
def test_an_adapted_interval_agrees_on_both_roads(given: Given, policy: str) -> None:
    case = replace(o.with_options(given, case_of(given, "ascend-910b2", slow=False), o.read_options(policy)),
                   silent_latency_s=0.0)
    size, days = 8192, 40.0
    exact = o.keep_adaptive(case, (size,), days=days, spare_chips=1024.0)
    played = simulate(case, size, days=days, runs=500, spare_chips=1024, learn=2.0,
                      interval_s=o.planned_interval(case, size), planned_rate=o.planned_rate(case, size))
    gap = played.ettr - exact.ettr[0, :500]
    assert abs(gap.mean()) < 3 * gap.std() / np.sqrt(500) + 0.004


# --- names without a bin ---------------------------------------------------------------------------------------


def test_a_name_without_a_bin_is_a_mixture_by_its_weights(given: Given) -> None:
    weights = pf.bin_weights(given, "910b")
    assert sum(weights.values()) == pytest.approx(1)
    assert pf.bin_weights(given, "ascend-910b2") == {}
    memory = pf.figure(given, "ascend-910b", "mem_gb")
    assert (memory == 32).mean() == pytest.approx(weights["ascend-910b4"], abs=0.03)
    f = fleet(given, ("ascend-910b", "ascend-910b2", "ascend-910b4"), (4096,))
    small = memory == 32
    assert np.array_equal(f.goodput[0, 0, small], f.goodput[2, 0, small])
    assert np.array_equal(f.goodput[0, 0, ~small], f.goodput[1, 0, ~small])
    sizes = equal_compute(given, ("ascend-910b", "ascend-910b2"), 8192)
    assert sizes[1] < sizes[0]  # the mixture has weaker bins


def test_the_verbs_say_which_bins_a_name_stands_for(cli: Run, cli_json: RunJson) -> None:
    words = ("cluster", "goodput", "--chip", "ascend-910b", "--chips", "4096", *FEW)
    out = cli_json(*words)
    assert sum(out["bins"]["ascend-910b"].values()) == pytest.approx(1)
    assert sum(out["ledger_mean"].values()) == pytest.approx(1, abs=1e-9) and out["ledger_gap"] < 1e-9
    code, _, err = cli(*words)
    assert code == 0 and "35% ascend-910b4" in err


@pytest.mark.parametrize("words", [
    ("goodput", "--chip", "ascend-910b", "--chips", "1024..16384", "--days", "60", "--checkpoint", "30s", "--interval",
     "optimal", "--spares", "2%", "--ladder", "none"),
    ("goodput", "--chip", "910c", "--chips", "4096", "--interval", "adaptive", "--with", "near,shrink,quarantine=12h"),
    ("goodput", "--chip", "h800", "--chips", "4096", "--with", "background", "--interval", "30min"),
    ("simulate", "--chip", "h800", "--chips", "1024", "--runs", "50", "--with", "near,evict", "--interval", "adaptive"),
    ("simulate", "--chip", "h800", "--chips", "1024", "--runs", "50", "--repair", "fixed", "--ageing", "0.8"),
    ("checkpoint", "--chip", "910c", "--chips", "4096", "--with", "near,background"),
    ("collective", "broadcast", "--chip", "910b", "--chips", "64"),
    ("collective", "point-to-point", "--chip", "h800", "--chips", "64", "--congestion", "ecmp=8"),
    ("collective", "all-reduce", "--chip", "h800", "--chips", "64", "--degraded", "50%", "--congestion",
     "oversubscribed=3")])
def test_words_that_are_typed_are_answered(cli_json: RunJson, words: tuple[str, ...]) -> None:
    draws = () if words[0] == "simulate" else FEW
    assert cli_json("cluster", *words, *draws)


@pytest.mark.parametrize(("words", "code", "message"), [
    (("goodput", "--with", "neer"), 2, "did you mean 'near'"),
    (("goodput", "--interval", "adaptiv"), 2, "did you mean 'adaptive'"),
    (("goodput", "--with", "background", "--interval", "20s", "--chips", "1024", "--checkpoint", "5s"), 3,
     "save less often"),
    (("simulate", "--repair", "gamma", "--runs", "20"), 2, "unknown law of repair 'gamma'"),
    (("simulate", "--ageing", "-1"), 2, "--ageing must be above 0.2"),
    (("spares", "--nodes", "0"), 2, "--nodes must be whole numbers of 1 or more"),
    (("spares", "--nodes", "16", "--rate", "1e6", "--repair", "10d"), 2, "nodes would be down on average"),
    (("compare", "--tokens", "-1T"), 2, "--tokens must be above 0"),
    (("compare", "--model", "gpt-9"), 2, "gpt-9"),
    (("collective", "all-reduce", "--congestion", "ecmp"), 2, "needs a number, such as ecmp=8"),
    (("collective", "all-reduce", "--congestion", "jam=8"), 2, "unknown congestion 'jam'"),
    (("collective", "all-reduce", "--degraded", "0%"), 2, "share of a link must lie in")])
def test_bad_words_of_policies_end_in_one_sentence(cli: Run, words: tuple[str, ...], code: int, message: str) -> None:
    got, out, err = cli("cluster", *words, *(() if words[0] == "simulate" else FEW))
    assert (got, out) == (code, "")
    assert message in err and "Traceback" not in err


def test_edges_of_what_may_be_asked_have_answers(cli: Run, cli_json: RunJson) -> None:
    assert cli_json("cluster", "exchange", "--ranks", "1", "--chip", "h800", *FEW)["bytes_s"] is None
    many = cli_json("cluster", "spares", "--nodes", "1000000", "--target", "50%", *FEW)
    assert many["spares_by_model_at_median_load"] == {}
    small = cli_json("cluster", "compare", "--chips", "8", "--chip", "h800,910b", *FEW)
    assert small["delivery"] is None and small["rows"][0]["p_stumble"] == 0
    code, text, err = cli("cluster", "compare", "--chips", "8", "--chip", "h800,910b", *FEW)
    assert code == 0 and "No tokens, days or money" in err and "nan" not in text


def test_worse_links_cost_time(cli_json: RunJson) -> None:
    base = ("cluster", "collective", "all-to-all", "--chip", "h800", "--chips", "64", "--bytes", "1GB", *FEW)
    plain, jam, half = (cli_json(*base, *more)["seconds"]["best"]["p50"] for more in
                        ((), ("--congestion", "oversubscribed=2"), ("--degraded", "50%")))
    assert jam == pytest.approx(half, rel=1e-6)
    assert jam > 1.8 * plain


# --- tokens, days, money ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(given: Given) -> Any:
    return compare(given, ("ascend-910b2", "h800-sxm"), 2048)


def test_delivery_is_rate_times_useful_time_and_lost_money_is_its_share(given: Given, pair: Any) -> None:
    d = large_run.deliver(given, pair, days=30)
    useful = pair.ledger[:, PARTS.index("productive")]
    assert d.tokens == pytest.approx(d.rate * 2048 * useful * 30 * 86_400)
    assert d.tokens + d.lost_tokens == pytest.approx(d.rate * 2048 * 30 * 86_400)
    assert d.lost_usd / d.paid_usd == pytest.approx(1 - pair.goodput)
    assert np.median(d.days_needed[0]) == pytest.approx(30, rel=1e-3)
    assert np.all(d.days_needed[1] == pytest.approx(30 * d.target / d.tokens[1]))
    assert d.usd_per_million * d.tokens == pytest.approx(d.paid_usd * 1e6)


def test_fixes_are_worth_the_time_they_make_useful(given: Given, pair: Any) -> None:
    d = large_run.deliver(given, pair, days=30)
    case = case_of(given, "ascend-910b2")
    fall = waterfall(given, "ascend-910b2", 2048, case, 0.9)
    worth = {w.name: w for w in large_run.worth_of(given, d, pair, fall.alone)}
    assert set(worth) == set(FIXES) and HALVED not in worth
    fix = next(f for f in fall.alone if f.name == "half the logic faults")
    assert (worth[fix.name].tokens > 0).mean() > 0.99  # one spare less may cost a draw a little
    assert worth[fix.name].tokens == pytest.approx(d.rate[0] * 2048 * fix.useful * 30 * 86_400, rel=1e-6)


def test_an_order_grows_with_how_sure_it_must_be_and_hopeless_ones_are_refused(given: Given, pair: Any) -> None:
    d = large_run.deliver(given, pair, days=30)
    case = case_of(given, "ascend-910b2")
    half, sure = large_run.order(given, case, d, 0)
    assert half.chips < sure.chips and half.chips % 8 == 0
    assert half.chips == pytest.approx(2048, rel=0.15)  # the target is what the job trains at its median
    assert np.all(sure.usd > half.usd)
    with pytest.raises(InfeasibleError, match="allow more days"):
        large_run.order(given, case, replace(d, target=d.target * 1e3), 0)


def test_compare_answers_in_tokens_days_and_money(cli: Run, cli_json: RunJson) -> None:
    words = ("cluster", "compare", "--chips", "2048", "--chip", "ascend-910b,h800", "--days", "30", *FEW)
    out = cli_json(*words)["delivery"]
    assert [r["chip"] for r in out["rows"]] == ["ascend-910b", "h800-sxm"]
    for row in out["rows"]:
        assert row["tokens"]["p50"] > row["lost_tokens"]["p50"] > 0
        assert row["orders"][0]["chips"] <= row["orders"][1]["chips"]
    assert cli_json(*words, "--model", "none")["delivery"] is None
    code, text, _ = cli(*words)
    assert code == 0 and "Tokens, days, money" in text


def test_standing_warm_and_cold_spares_cost_time_in_that_order(given: Given) -> None:
    """The same servers in all: those that must be woken are called only when the standing ones are used up."""
    case = case_of(given, "ascend-910c")
    kept = {text: keep(o.with_options(given, case, o.read_options(text)), (8192,), spare_chips=float(standing))
            for text, standing in (("", 12 * 8), ("warm=8", 4 * 8), ("cold=8", 4 * 8))}
    hot, warm, cold = (k.ettr.mean() for k in kept.values())
    assert hot >= warm > cold
