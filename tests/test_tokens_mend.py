"""A broken promise names its clock, and every way out that is named does what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipcast.base.given import Given
from chipcast.tokens.arrivals import LENGTHS, Trace
from chipcast.tokens.capacity import Promise
from chipcast.tokens.engine import Deployed, deploy_split, held_context, most_requests_per_s
from chipcast.tokens.mend import BINDING, clocks, enough, nearest, wider
from chipcast.tokens.record import Layout
from chipcast.tokens.serve import Workload
from chipcast.tokens.simulate import Engine


def deployed(**more: Any) -> Deployed:
    """One engine a replica of eight chips; a step of 20 ms, one request at a time, prompts at once."""
    whole: dict[str, Any] = {"fixed_s": 0.02, "slots": 1, **more}
    return Deployed(engine=Engine(**whole), layout=Layout(chips=8), analytic_requests_per_s=0.0, chips=(0, 8))


def steady(rate: float, count: int, *, prompt: float = 100.0, answer: float = 501.0) -> Trace:
    return Trace(arrival_s=np.arange(count) / rate, prompt=np.full(count, prompt), answer=np.full(count, answer))


CASES = {
    "queue": (deployed(), steady(0.2, 200), Promise(ttft_s=1.0, tpot_s=0.05)),
    "prefill": (deployed(prompt_s=0.03), steady(0.02, 50), Promise(ttft_s=1.0, tpot_s=0.05)),
    "decode": (deployed(), steady(0.02, 50), Promise(ttft_s=1.0, tpot_s=0.01)),
    "cache": (deployed(slots=64, blocks=120), steady(0.5, 200), Promise(ttft_s=1.0, tpot_s=0.05)),
    "beside": (deployed(slots=64, prompt_s=1e-3, scheduler="chunked"), steady(0.6, 400, prompt=1500.0),
               Promise(ttft_s=10.0, tpot_s=0.03)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_clock_that_was_made_scarce_is_the_one_named(name: str) -> None:
    made, trace, promise = CASES[name]
    seen = made.run(trace)
    found = clocks(trace, made, seen, promise)
    assert found.binding == name and name in BINDING
    late = seen.ttft_s(trace) > promise.ttft_s
    late = late if late.any() else np.ones(trace.count, dtype=bool)
    assert sum(found.first_token_ms.values()) == pytest.approx(1e3 * np.mean(seen.ttft_s(trace)[late]))
    slow = seen.tpot_s(trace) > promise.tpot_s
    slow = slow if slow.any() else np.ones(trace.count, dtype=bool)
    assert sum(found.token_ms.values()) == pytest.approx(1e3 * np.mean(seen.tpot_s(trace)[slow]))
    assert min(*found.first_token_ms.values(), *found.token_ms.values()) > -1e-6


def test_no_clock_is_named_where_every_promise_is_kept() -> None:
    made, trace, _ = CASES["queue"]
    kind = Promise(ttft_s=1e9, tpot_s=1e9)
    assert clocks(trace, made, made.run(trace), kind).binding == ""


def test_equal_requests_that_last_ten_seconds_need_ten_engines_for_one_a_second() -> None:
    promise, trace = Promise(ttft_s=0.1, tpot_s=0.05, share=1.0), steady(1.0, 400)
    found = enough(deployed(router="least_loaded"), trace, promise)
    assert found is not None and sum(found.chips) == 80 and found.engine.replicas == 10
    fewer = wider(found, 9).run(trace)
    assert promise.kept(fewer.ttft_s(trace), fewer.tpot_s(trace)) < 1


def test_no_number_of_engines_mends_a_prompt_that_takes_too_long_alone() -> None:
    made, trace, promise = CASES["prefill"]
    assert enough(made, trace, promise) is None
    close = nearest(made, trace, promise)
    assert close.ttft_s == pytest.approx(100 * 0.03) and close.tpot_s == pytest.approx(0.02)
    seen = made.run(trace)
    assert replace(close, ttft_s=close.ttft_s * 1.001, tpot_s=close.tpot_s * 1.001).kept(
        seen.ttft_s(trace), seen.tpot_s(trace)) == 1


def test_two_pools_saturate_where_the_closed_form_says(given: Given) -> None:
    work = Workload(input_tokens=3500, output_tokens=300, ttft_s=2, tpot_ms=50)
    made = deploy_split(given, "h800-sxm", "h20-96", "deepseek-r1", work, chips=64, longest=30000)
    assert made.prefill is not None
    first = replace(made.prefill, blocks=10**7)
    wide = replace(made, engine=replace(made.engine, blocks=10**7), prefill=first)
    count = 30000
    trace = Trace(arrival_s=np.zeros(count), prompt=np.full(count, 3500.0),
                  answer=np.minimum(LENGTHS["geometric"](300, count, seed=1, name="a"), 25000))
    rates = []
    for fast in (wide, replace(wide, prefill=replace(first, prompt_s=0.0, prompt_fixed_s=0.0, prompt_square_s=1e-12))):
        seen = fast.run(trace)
        ends = np.sort(seen.decode.last_s)  # type: ignore[union-attr]
        rate = 0.6 * count / (ends[int(0.8 * count)] - ends[int(0.2 * count)])
        rates.append(rate)
        assert rate == pytest.approx(most_requests_per_s(fast, work, context=held_context(trace)), rel=0.02)
    assert rates[1] > 1.05 * rates[0]


def test_the_verb_names_the_clock_and_ways_that_let_more_keep_the_promise(cli_json: Callable[..., Any],
                                                                          cli: Callable[..., tuple[int, str, str]],
                                                                          ) -> None:
    asked = ("tokens", "simulate", "--chip", "h20", "--chips", "32", "--rate", "6", "--requests", "1500",
             "--machines", "0")
    out = cli_json(*asked)
    assert out["promise_kept_share"] < 0.9 and out["binding_clock"] in BINDING
    assert all(w["kept"] > out["promise_kept_share"] for w in out["ways"])
    for words, chips in ((w["change"], w["chips"]) for w in out["ways"] if w["kind"] == "chips"):
        assert words.startswith(f"{chips} chips in ") and chips % int(words.split()[3]) == 0
    chips = next(w for w in out["ways"] if w["kind"] == "chips")
    assert chips["kept"] >= 0.9 and chips["chips"] > 32
    code, said, _ = cli(*asked)
    assert code == 0 and "what binds" in said and f"{chips['chips']} chips" in said
    slow = cli_json("tokens", "simulate", "--chip", "h20", "--chips", "16", "--rate", "0.2", "--input", "20000",
                    "--requests", "500", "--machines", "0")
    assert slow["largest_kept_requests_per_s"] == 0 and slow["nearest"]["ttft_ms"] > 2000
    kept = cli_json("tokens", "simulate", "--chip", "h20", "--chips", "64", "--rate", "0.5", "--requests", "500",
                    "--machines", "0", "--ttft-ms", "8000")
    assert kept["promise_kept_share"] >= 0.9 and "ways" not in kept


def test_requests_of_one_moment_have_no_largest_rate(cli_json: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "moment.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n5,100,10\n5,100,10\n")
    out = cli_json("tokens", "simulate", str(path), "--chip", "h20", "--chips", "16", "--machines", "2")
    assert out["promise_kept_share"] == 1 and out["largest_kept_requests_per_s"] is None
    assert "largest_requests_per_s" not in out["over_draws"] and out["over_draws"]["ttft_ms_p90"]["p50"] > 0
