"""Waiting in tests: for the sign itself, and for as long as a busy machine may need."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 120
"""Seconds for what takes one or a few on an idle machine. They pass only where something is broken."""
_POLL_SECONDS = 0.02


def eventually(what: str, probe: Callable[[], T], seconds: float = PATIENCE) -> T:
    """The first true value of a probe. Fails with the last one when there is none within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (value := probe()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}: it is {value!r}"
        time.sleep(_POLL_SECONDS)
    return value


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for a condition; a failure names it by its place in the test."""
    eventually(f"{condition}", condition, seconds)
