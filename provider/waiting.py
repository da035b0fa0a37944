"""Waiting for the world, until it is as wished, the time is up, or the user has had enough."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from provider.resource import ProviderError

_POLL_SECONDS = 0.02
_cancelled = threading.Event()


def cancel() -> None:
    """End every wait of this process, now and from now on: the engine was told to stop."""
    _cancelled.set()


def wait_until(condition: Callable[[], bool], seconds: float, poll: float = _POLL_SECONDS) -> bool:
    """Ask for a condition every ``poll`` seconds (later less often) until it holds; False after ``seconds``.

    Raises ProviderError when the wait is cancelled, and whatever the condition raises.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        if _cancelled.wait(poll):
            raise ProviderError("stopped on request before it was done; run the same command again to go on")
        poll = min(poll * 1.5, max(poll, 0.05))
    return True
