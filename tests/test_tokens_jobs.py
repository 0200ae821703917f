"""The search over training layouts: nothing legal that fits is faster, what is asked is kept, reasons are given."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from chipcast.base.errors import InfeasibleError
from chipcast.base.given import Given
from chipcast.tokens.jobs import Wish, best_job, candidates, illegal, priced, refuse_if_none, words
from chipcast.tokens.model import load
from chipcast.tokens.speed import at_middle, speed_of
from chipcast.tokens.train import Job, fits_training, train_step


def per_token(name: str, job: Job, speed: Any) -> float:
    return float(train_step(load(name), job, speed).total_s.max()) / float(job.batch)


def test_no_layout_of_the_405b_that_fits_is_faster_than_the_one_found(given: Given) -> None:
    model, speed = load("llama-3.1-405b"), speed_of(at_middle(given), "h800-sxm")
    base = Job(chips_ranks=4096.0, sequence=8192, batch=2048.0)
    found = best_job(model, base, speed)
    assert found.job is not None
    best = per_token("llama-3.1-405b", found.job, speed)
    tried = 0
    for tp, pp, again, pieces in product((1, 2, 4, 8), (1, 2, 4, 8, 16), ("selective", "half", "full"), (1, 2, 6)):
        dp = 4096 / (tp * pp)
        count = max(-(-2048 // dp), 1)
        if pieces > 1:
            count = -(-count // pp) * pp
        job = replace(base, tp=float(tp), pp=float(pp), recompute=again, batch=count * dp, virtual=float(pieces),
                      schedule="interleaved" if pieces > 1 else "1f1b")
        if pieces * pp > 126 or count * dp > 1.5 * 2048 or float(fits_training(model, job, speed).max()) > 1:
            continue
        tried += 1
        if pieces in (1, 6) and (pieces == 6) == (pp > 1):
            assert per_token("llama-3.1-405b", job, speed) >= best * (1 - 1e-9), words(job)
    assert tried > 10 and float(fits_training(model, found.job, speed).max()) <= 1
    assert all(t >= 1 for _, t in found.next_best) and found.fell


@pytest.mark.parametrize("name", ["deepseek-v3", "llama-3.1-8b"])
def test_layouts_priced_together_cost_what_each_costs_alone(given: Given, name: str) -> None:
    model, speed = load(name), speed_of(at_middle(given), "h800-sxm")
    base = Job(chips_ranks=256.0, batch=1024.0, sequence=65536 if name == "llama-3.1-8b" else 4096)
    jobs = [j for j in candidates(model, base, Wish()) if not illegal(model, j, speed)]
    assert len({(j.schedule, j.recompute) for j in jobs}) >= 4 and len(jobs) > 30
    for job, need, seconds in priced(model, jobs, speed):
        assert need == pytest.approx(float(fits_training(model, job, speed).max()), rel=1e-12)
        assert seconds == pytest.approx(float(train_step(model, job, speed).total_s.max()), rel=1e-12)


@pytest.mark.parametrize("chips", [256, 1024, 4096])
@pytest.mark.parametrize("name", ["deepseek-v3", "kimi-k2", "qwen3-235b", "deepseek-v2", "llama-3.1-70b",
                                  "gpt-oss-120b"])
def test_every_layout_found_is_legal_and_fits(given: Given, name: str, chips: int) -> None:
    model, speed = load(name), speed_of(at_middle(given), "h800-sxm")
    found = best_job(model, Job(chips_ranks=float(chips), batch=4096.0), speed)
    if found.job is None:
        assert found.shortage[1] > 1
        return
    assert illegal(model, found.job, speed) == ""
    assert float(fits_training(model, found.job, speed).max()) <= 1
    assert found.job.micro_batches == int(found.job.micro_batches)


def test_more_memory_of_a_chip_never_makes_the_best_step_slower(given: Given) -> None:
    model, speed = load("deepseek-v3"), speed_of(at_middle(given), "h800-sxm")
    base = Job(chips_ranks=2048.0, batch=4096.0)
    times = []
    for factor in (0.8, 1.0, 1.5, 3.0):
        job = best_job(model, base, replace(speed, memory_bytes=speed.memory_bytes * factor)).job
        assert job is not None
        times.append(per_token("deepseek-v3", job, speed))
    assert times == sorted(times, reverse=True)


def test_long_sequences_are_tried_on_rings_and_short_ones_are_not(given: Given) -> None:
    model, speed = load("llama-3.1-8b"), speed_of(at_middle(given), "h800-sxm")
    short = best_job(model, Job(chips_ranks=64.0, batch=256.0, sequence=8192), speed).job
    long = best_job(model, Job(chips_ranks=64.0, batch=16.0, sequence=131072), speed).job
    assert short is not None and long is not None and short.cp == 1 < long.cp


@pytest.mark.parametrize(("change", "match"), [
    ({"tp": 3.0}, "tp 3 x pp 1 x cp 1 does not divide 256 ranks"), ({"pp": 128.0, "chips_ranks": 1024.0}, "61 layers"),
    ({"ep": 24.0}, "ep 24 does not divide the 256 experts"), ({"tp": 8.0, "ep": 4.0}, "by whole groups"),
    ({"cp": 2.0, "sequence": 4097}, "cp 2 does not divide a sequence"),
    ({"tp": 256.0, "chips_ranks": 1024.0}, "tp 256 does not divide the 128 heads")])
def test_a_layout_that_cannot_be_says_why(given: Given, change: dict[str, Any], match: str) -> None:
    speed = speed_of(at_middle(given), "h800-sxm")
    assert match in illegal(load("deepseek-v3"), replace(Job(chips_ranks=256.0, batch=1024.0), **change), speed)


def test_what_is_asked_is_kept_or_refused_with_numbers(given: Given) -> None:
    model, speed = load("deepseek-v3"), speed_of(at_middle(given), "h800-sxm")
    base = Job(chips_ranks=2048.0, batch=4096.0)
    job = best_job(model, base, speed, Wish(tp=4, pp=8, ep=64, recompute="full", schedule="zb1p")).job
    assert job is not None
    assert (job.tp, job.pp, job.ep, job.recompute, job.schedule, job.virtual) == (4, 8, 64, "full", "zb1p", 1)
    with pytest.raises(InfeasibleError, match=r"does not train on 16 x h800.* take about \d+ chips or more"):
        refuse_if_none(best_job(model, replace(base, chips_ranks=16.0), speed), model, 16, "h800", speed)
    odd = best_job(model, replace(base, chips_ranks=768.0), speed, Wish(pp=3, tp=1, schedule="dualpipe"))
    with pytest.raises(InfeasibleError, match=r"no legal layout of DeepSeek-V3 on 768 x h800: .*even number of stages"):
        refuse_if_none(odd, model, 768, "h800", speed)
