"""Recorded requests: the shipped traces meet their published statistics, foreign layouts are read at the door."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from chipcast.base.catalog import DATA
from chipcast.base.errors import InputError
from chipcast.cli.request_traces import read_clients, read_trace, rows_of
from chipcast.tokens.arrivals import Trace, from_clients, head, prefix_reuse, scaled
from chipcast.tokens.simulate import Engine, simulate

PUBLISHED = {  # requests, span s, rate 1/s, input mean/median/95%/max, output likewise, variation of gaps
    "azure_llm_2023_code": (8819, 3435.95, 2.567, (2047.85, 1469, 7303.3, 7437), (27.883, 13, 90, 1899), 13.151),
    "azure_llm_2023_conv": (19366, 3501.72, 5.530, (1154.70, 1020, 4083, 14050), (211.126, 129, 451, 1000), 1.0942),
    "mooncake_fast25_conversation": (12031, 3537.0, 3.401, (12035.06, 6909, 39550.5, 126195), (342.62, 350, 698, 2000),
                                     3.034),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_shipped_traces_have_their_published_statistics(name: str) -> None:
    count, span, rate, prompts, answers, variation = PUBLISHED[name]
    t, _ = read_trace(name)
    assert t.count == count and t.arrival_s[-1] == pytest.approx(span, abs=0.01)
    assert t.count / t.arrival_s[-1] == pytest.approx(rate, rel=1e-3)
    for values, (mean, median, most, largest) in ((t.prompt, prompts), (t.answer, answers)):
        assert np.mean(values) == pytest.approx(mean, rel=1e-4)
        assert np.median(values) == median and np.max(values) == largest
        assert np.percentile(values, 95) == pytest.approx(most, rel=1e-3)
    gaps = np.diff(t.arrival_s)
    assert np.std(gaps) / np.mean(gaps) == pytest.approx(variation, rel=2e-3)


@pytest.mark.parametrize(("file", "digest"), [
    ("azure_llm_2023_code.csv.gz", "54e9a6d2a4bd06ba"), ("azure_llm_2023_conv.csv.gz", "2f1e5b666d4e3055"),
    ("mooncake_fast25_conversation.jsonl.gz", "b8cbb061a85206d7")])
def test_shipped_traces_are_the_published_bytes(file: str, digest: str) -> None:
    raw = gzip.decompress((DATA / "traces" / file).read_bytes())
    assert hashlib.sha256(raw).hexdigest()[:16] == digest


def test_prefix_blocks_of_the_conversation_trace_are_reused_as_published() -> None:
    t, notes = read_trace("mooncake_fast25_conversation")
    assert any("1180 distinct times" in n for n in notes)
    blocks = np.diff(t.prefix_from)
    np.testing.assert_array_equal(blocks, np.ceil(t.prompt / 512))
    asked, distinct, share = prefix_reuse(t)
    assert (asked, distinct) == (288500, 182790) and share == pytest.approx(0.36641, abs=1e-5)
    e = Engine(fixed_s=0.001, prompt_s=1e-7, slots=512, store_blocks=-1)
    seen = simulate(t, e)
    whole = np.minimum(seen.hit_tokens / 512, blocks)
    assert float(np.sum(np.ceil(whole))) / asked == pytest.approx(share, abs=0.002)


def test_a_day_of_recorded_clients_has_the_published_rates_and_lengths() -> None:
    rates = [{k: str(v) for k, v in r.items()} for r in rows_of("servegen_deepseek_r1_rates")]
    assert len(rates) == 73 * 144
    total = np.zeros(144)
    for r in rates:
        total[int(float(r["window_start_s"]) // 600)] += float(r["rate_req_s"])
    assert (total.min(), total.max()) == (pytest.approx(4.3117, rel=1e-4), pytest.approx(42.520, rel=1e-4))
    assert total.mean() == pytest.approx(16.0147, rel=1e-4)
    t = read_clients(start_h=0, hours=24, share=0.1, seed=1)
    assert t.count == pytest.approx(138_367, rel=0.03)
    assert np.mean(t.prompt) == pytest.approx(1268.25, rel=0.06)
    assert np.mean(t.answer) == pytest.approx(1527.42, rel=0.06)
    again = read_clients(start_h=0, hours=24, share=0.1, seed=1)
    np.testing.assert_array_equal(again.arrival_s, t.arrival_s)
    with pytest.raises(InputError, match="no client is at work"):
        from_clients([], [], seconds=10)


def test_own_files_are_read_under_the_usual_names(tmp_path: Path) -> None:
    own = tmp_path / "a.csv"
    own.write_text("Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n0,x,10,5,15,API log\n"
                   "2.5,x,20,0,20,API log\n4,x,30,7,37,API log\n")
    t, notes = read_trace(str(own))
    assert t.arrival_s.tolist() == [0, 4] and t.answer.tolist() == [5, 7]
    assert notes == ("1 requests without an answer are left out",)
    own.write_text("TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\n2025-01-01 00:00:01.5000000,0,7,3\n"
                   "2025-01-01 00:00:03.2500000,1,9,2\n")
    assert read_trace(str(own))[0].arrival_s.tolist() == [0, 1.75]
    lines = tmp_path / "b.jsonl"
    lines.write_text("\n".join(json.dumps({"timestamp": 500 * i, "input_length": 600, "output_length": 2,
                                           "hash_ids": [1, i + 2]}) for i in range(3)))
    t, _ = read_trace(str(lines))
    assert t.arrival_s.tolist() == [0, 0.5, 1.0] and t.prefix.tolist() == [1, 2, 1, 3, 1, 4]


@pytest.mark.parametrize(("text", "match"), [
    ("arrival_ms,input_tokens,output_tokens\n0,1,1\n", "'arrival_ms' is in another unit; name it arrival_s"),
    ("arrival_s,input_chars,output_tokens\n0,1,1\n", "'input_chars' is in another unit"),
    ("arrival_s,input_tokens,output_tokens\n5,1,1\n3,1,1\n", "goes back in time at request 2"),
    ("arrival_s,input_tokens,output_tokens\n0,1,1\n1,x,1\n", "line 3: input_tokens must be a number, got 'x'"),
    ("arrival_s,input_tokens,output_tokens\n0,1,0\n", "no request with an answer"),
    ("arrival_s,input_tokens,output_tokens\n", "holds no requests"),
    ('{"timestamp": 0, "input_length": 5, "output_length": 1, "hash_ids": ["a"]}\n', "list of whole numbers"),
    ('{"timestamp": 0,\n', "line 1 is no JSON")])
def test_a_bad_trace_is_refused_in_one_sentence(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=match):
        read_trace(str(path))


def test_the_head_of_a_trace_keeps_its_requests_and_their_prefixes() -> None:
    t, _ = read_trace("mooncake_fast25_conversation")
    first = head(t, 100)
    assert first.count == 100 and first.prefix_from.size == 101 and first.prefix.size == first.prefix_from[-1]
    np.testing.assert_array_equal(first.prefix, t.prefix[: t.prefix_from[100]])
    assert head(first, 500) is first


def test_another_rate_keeps_order_and_lengths() -> None:
    t = Trace(arrival_s=np.array([3.0, 4.0, 9.0]), prompt=np.array([1.0, 2, 3]), answer=np.ones(3))
    twice = scaled(t, 2 * t.rate)
    assert twice.rate == pytest.approx(2 * t.rate) and twice.arrival_s.tolist() == [0, 0.5, 3.0]
    with pytest.raises(InputError, match="rate must be above 0"):
        scaled(t, 0.0)
