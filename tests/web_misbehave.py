"""Answers that misbehave, in a module of their own so that a worker of a test is ready soon."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any


def misbehave(verb: str, fields: Mapping[str, Any]) -> tuple[str, str]:
    """Sleep, die, run out of memory, look at a file, call somebody, or say who answered and how often."""
    if verb == "sleep":
        time.sleep(float(fields["seconds"]))
    elif verb == "die":
        os._exit(1)
    elif verb == "grow":
        bytearray(2**40)
    elif verb == "peek":
        try:
            with open(fields["path"], encoding="utf-8") as file:
                return "answer", file.read()
        except PermissionError as error:
            return "input", str(error)
    elif verb == "call":
        import socket

        try:
            socket.create_connection(("127.0.0.1", 9))
        except PermissionError as error:
            return "input", str(error)
    return "answer", f'{{"process": {os.getpid()}, "at": {time.monotonic()}}}'
