"""The desk: a question never outlives its limit, never takes the server down, and is worked on once."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from web_misbehave import misbehave

from chipcast.cli import web_answers
from chipcast.web.desk import Desk, Limits, Reply

FEW = Limits(workers=1, waiting=1, seconds=20.0)


def asked(desk: Desk, *questions: tuple[str, dict[str, Any], bool]) -> list[Reply]:
    """Ask questions at the same time and return the replies in order."""

    async def all_of_them() -> list[Reply]:
        return list(await asyncio.gather(*(desk.ask(v, f, heavy=h) for v, f, h in questions)))

    try:
        return asyncio.run(all_of_them())
    finally:
        desk.close()


def test_a_question_that_takes_too_long_is_stopped_and_the_next_one_is_answered() -> None:
    desk = Desk(misbehave, heavy=Limits(workers=1, waiting=4, seconds=3.0))
    late, after = asked(desk, ("sleep", {"seconds": 60}, True), ("hello", {}, True))
    assert (late.kind, late.status) == ("late", 504)
    assert "stopped after 3 s" in late.text
    assert after.kind == "answer"


def test_a_worker_that_dies_or_wants_all_memory_is_told_and_replaced() -> None:
    dead, hungry, after = asked(Desk(misbehave), ("die", {}, True), ("grow", {}, True), ("hello", {}, True))
    assert (dead.kind, dead.status) == ("fault", 500)
    assert "ended" in dead.text
    assert hungry.kind == "late" and "more memory" in hungry.text
    assert after.kind == "answer"


def test_only_so_many_heavy_questions_may_wait_and_light_ones_pass_by() -> None:
    desk = Desk(misbehave, heavy=FEW, light=FEW)
    one, two, three, light = asked(desk, ("sleep", {"seconds": 2}, True), ("hello", {"n": 2}, True),
                                   ("hello", {"n": 3}, True), ("hello", {"n": 4}, False))
    assert [one.kind, two.kind, three.kind, light.kind] == ["answer", "answer", "busy", "answer"]
    assert three.status == 503 and "ask again" in three.text
    finished = [json.loads(r.text)["at"] for r in (one, light)]
    assert finished[1] < finished[0], "a light question waited for a heavy one"


def test_the_same_question_is_worked_on_once_and_kept() -> None:
    desk = Desk(misbehave, heavy=FEW)
    first, second = asked(desk, ("hello", {"a": 1, "b": 2}, True), ("hello", {"b": 2, "a": 1}, True))
    assert first.text == second.text
    assert desk.knows("hello", {"a": 1, "b": 2})
    assert not desk.knows("hello", {"a": 1})


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chipcast.web.desk.MOST_KEPT", 2)
    desk = Desk(misbehave, light=Limits(workers=1, waiting=8, seconds=20.0))
    asked(desk, *(("hello", {"n": n}, False) for n in range(4)))
    assert [desk.knows("hello", {"n": n}) for n in range(4)] == [False, False, True, True]


def test_a_busy_or_late_reply_is_not_kept() -> None:
    desk = Desk(misbehave, heavy=Limits(workers=1, waiting=4, seconds=0.01))
    (late,) = asked(desk, ("sleep", {"seconds": 9}, True))
    assert late.kind == "late" and not desk.knows("sleep", {"seconds": 9})


def test_a_worker_opens_no_file_outside_the_program_and_calls_nobody(tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text("name: secret", encoding="utf-8")
    (tmp_path / "room").mkdir()
    desk = Desk(misbehave, partial(web_answers.ready, str(tmp_path / "room")), light=Limits(
        workers=1, waiting=8, seconds=60.0))
    shipped = Path(web_answers.__file__).parent.parent / "data" / "sources.csv"
    found = asked(desk, ("peek", {"path": str(secret)}, False), ("peek", {"path": "../../secret.yaml"}, False),
                  ("peek", {"path": "/etc/passwd"}, False), ("call", {}, False),
                  ("peek", {"path": str(shipped)}, False))
    assert [r.kind for r in found] == ["input"] * 4 + ["answer"]
    assert all("may open no file" in r.text for r in found[:3])
    assert "call nobody" in found[3].text
    assert found[4].text.startswith("key,")
