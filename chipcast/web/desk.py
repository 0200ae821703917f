"""Who does the work: a few processes that answer one question at a time, each under a limit of time.

A question never runs in the server itself. It goes to a worker; one that takes too long, or dies, is replaced, and the
server goes on. So many may wait for a worker and no more: the others are told to come back.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import signal
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

STATUS = {"answer": 200, "input": 422, "infeasible": 409, "busy": 503, "late": 504, "fault": 500}
"""Code of HTTP by kind of reply."""

LASTING = ("answer", "input", "infeasible")
"""Kinds that the same question always gets, so that they may be kept."""

MOST_KEPT = 128
"""Replies that are kept. [replies]"""

MOST_KEPT_CHARACTERS = 48_000_000
"""Text of all kept replies together. [characters]"""

MOST_MEMORY = 6 * 2**30
"""Address space of a worker; a question that wants more is refused. [bytes]"""


START_SECONDS = 120.0
"""Longest time in which a worker must be ready. [s]"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What came of a question."""

    kind: str
    """A key of `STATUS`."""
    text: str
    """The answer as JSON, or one sentence."""

    @property
    def status(self) -> int:
        """Code of HTTP."""
        return STATUS[self.kind]


Answer = Callable[[str, Mapping[str, Any]], tuple[str, str]]
"""Answers a verb with its fields in a worker: the kind and the text of a reply."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one kind of question may take."""

    workers: int
    """Processes. [processes]"""
    waiting: int
    """Questions that may wait for a process. [questions]"""
    seconds: float
    """Longest work on one question. [s]"""


LIGHT = Limits(workers=1, waiting=32, seconds=20.0)
"""For questions of some hundredths of a second."""

HEAVY = Limits(workers=1, waiting=4, seconds=90.0)
"""For questions of seconds."""


def work(pipe: Connection, answer: Answer, ready: Callable[[], None]) -> None:
    """Answer questions from a pipe until it closes: the whole life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then closes the pipes
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    ready()
    pipe.send("ready")
    while True:
        try:
            verb, fields = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(answer(verb, fields))
        except MemoryError:
            pipe.send(("late", "the question needs more memory than a request may take; ask for fewer draws"))


class Worker:
    """A process that is started when it is first needed, and again when it was lost."""

    def __init__(self, answer: Answer, ready: Callable[[], None]) -> None:
        """Take what a worker runs; nothing is started yet."""
        self._answer, self._ready = answer, ready
        self._process: Any = None
        self._pipe: Connection | None = None
        self.ended = False

    def run(self, verb: str, fields: Mapping[str, Any], seconds: float) -> Reply:
        """Return the reply to a question; blocks for at most so many seconds."""
        if self.ended:
            return Reply(kind="busy", text="the server is stopping; ask again when it is back")
        try:
            alive = self._process is not None and self._process.is_alive()
            pipe = self._pipe if alive and self._pipe else self._start()
            pipe.send((verb, dict(fields)))
            if not pipe.poll(seconds):
                self.close()
                return Reply(kind="late", text=f"the question was stopped after {seconds:g} s; ask for fewer draws, "
                                               "fewer chips or a nearer horizon, or use the command line")
            kind, text = pipe.recv()
        except (EOFError, OSError):
            self.close()
            return Reply(kind="fault", text="the process that worked on the question ended; ask again, or use the "
                                            "command line")
        return Reply(kind=kind, text=text)

    def _start(self) -> Connection:
        """Return the pipe of a new process that is ready; its start counts for no question."""
        self.close()
        context = multiprocessing.get_context("spawn")  # a fork with loaded libraries can hang
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, self._answer, self._ready), daemon=True)
        process.start()
        self._process, self._pipe = process, ours
        theirs.close()
        if not ours.poll(START_SECONDS):
            raise EOFError
        ours.recv()
        return ours

    def close(self) -> None:
        """End the process, wherever it is."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


class Lane:
    """Workers for one kind of question, and the queue before them."""

    def __init__(self, limits: Limits, answer: Answer, ready: Callable[[], None]) -> None:
        """Take as many workers as the limits say."""
        self.limits = limits
        self.workers = [Worker(answer, ready) for _ in range(limits.workers)]
        self._free = list(self.workers)
        self._turn = asyncio.Semaphore(limits.workers)
        self._inside = 0

    async def run(self, verb: str, fields: Mapping[str, Any]) -> Reply:
        """Return the reply to a question, or say that too many wait."""
        if self._inside >= self.limits.workers + self.limits.waiting:
            return Reply(kind="busy", text=f"{self._inside} such questions are being worked on or wait, which is the "
                                           "most at once; ask again in a minute")
        self._inside += 1
        try:
            async with self._turn:
                worker = self._free.pop()
                try:
                    return await asyncio.to_thread(worker.run, verb, fields, self.limits.seconds)
                finally:
                    self._free.append(worker)
        finally:
            self._inside -= 1


def nothing() -> None:
    """Make nothing ready."""


class Desk:
    """Takes questions: keeps what was answered, joins those that ask the same, hands the rest to a lane."""

    def __init__(self, answer: Answer, ready: Callable[[], None] = nothing, *, light: Limits = LIGHT,
                 heavy: Limits = HEAVY) -> None:
        """Take what workers run and how they are made ready, and open both lanes."""
        self.lanes = {False: Lane(light, answer, ready), True: Lane(heavy, answer, ready)}
        self._kept: OrderedDict[str, Reply] = OrderedDict()
        self._running: dict[str, asyncio.Task[Reply]] = {}

    async def ask(self, verb: str, fields: Mapping[str, Any], *, heavy: bool) -> Reply:
        """Return the reply to a question; the same question is worked on once."""
        key = json.dumps([verb, fields], sort_keys=True)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key not in self._running:
            task = asyncio.create_task(self.lanes[heavy].run(verb, fields))
            self._running[key] = task
            task.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(self._running[key])  # one reader who leaves takes nothing from the others

    def _done(self, key: str, task: asyncio.Task[Reply]) -> None:
        self._running.pop(key, None)
        if task.cancelled() or task.exception() or task.result().kind not in LASTING:
            return
        self._kept[key] = task.result()
        while len(self._kept) > MOST_KEPT or (
                len(self._kept) > 1 and sum(len(r.text) for r in self._kept.values()) > MOST_KEPT_CHARACTERS):
            self._kept.popitem(last=False)

    def knows(self, verb: str, fields: Mapping[str, Any]) -> bool:
        """Return whether a question was answered and kept."""
        return json.dumps([verb, fields], sort_keys=True) in self._kept

    def close(self) -> None:
        """End all workers."""
        for lane in self.lanes.values():
            for worker in lane.workers:
                worker.ended = True
                worker.close()
