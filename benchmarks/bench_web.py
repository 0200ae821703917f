"""Questions over HTTP: a light page, a worker's round trip, and a what-if on a prepared world."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chipcast.cli import web_answers
from chipcast.web import page_chips
from chipcast.web.desk import Desk, Lane, Limits, Reply
from chipcast.web.form import filled
from chipcast.web.pages import answer

EVENTS = itertools.cycle([f"on=2025-{m:02d}-{d:02d} gate=us chip=h20 to=licence" for m in range(4, 10)
                          for d in range(1, 28)])
"""What-ifs that differ, so that none was asked before."""


class Here(Desk):
    """A desk that answers in this process and keeps nothing."""

    async def ask(self, verb: str, fields: Mapping[str, Any], *, heavy: bool) -> Reply:
        kind, text = web_answers.answer(verb, fields)
        return Reply(kind=kind, text=text)


def test_a_page_of_rules_with_its_history(benchmark: Any) -> None:
    """Three questions of the rules and the picture of their history."""
    form = filled(page_chips.PAGE, {})
    shown = benchmark(lambda: asyncio.run(answer(page_chips.PAGE, form, Here(web_answers.answer))))
    assert shown.view is not None


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    room: Path = tmp_path_factory.mktemp("web")
    made = Lane(Limits(workers=1, waiting=1, seconds=60.0), web_answers.answer, partial(web_answers.ready, str(room)))
    yield made
    for worker in made.workers:
        worker.close()


def test_a_round_trip_to_a_worker(benchmark: Any, lane: Lane) -> None:
    fields = {"chip": "h20", "on": "2025-05-01"}
    reply = benchmark(lambda: lane.workers[0].run("rules/check", fields, 60.0))
    assert reply.kind == "answer"


def test_a_what_if_on_a_prepared_world(benchmark: Any) -> None:
    """Target of the market alone: 2,000 draws in 0.3 s; here with all intervals and the JSON."""
    kind, _ = web_answers.answer("market", {})
    assert kind == "answer"
    benchmark(lambda: web_answers.answer("market", {"event": [next(EVENTS)]}))
