"""Loopback ports for tests: each is handed out once at a time on this machine, whoever else runs tests.

They are below those that Linux gives to clients (32768 and up) and those that `local` chooses (20000
and up), so between the choice of one and the server that listens on it nobody else comes by it.
"""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
from pathlib import Path

from provider.ports import free

_RANGE = range(10000, 20000)
_FOLDER = Path(tempfile.gettempdir()) / f"model-delivery-test-ports-{os.getuid()}"
_held: list[int] = []
"""Locks, held until this process ends."""


def free_port() -> int:
    """A port that nobody listens on, kept for this process."""
    _FOLDER.mkdir(exist_ok=True)
    for port in random.sample(_RANGE, len(_RANGE)):
        lock = os.open(_FOLDER / str(port), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        _held.append(lock)
        if free(port):
            return port
    raise AssertionError(f"no port is free between {_RANGE[0]} and {_RANGE[-1]} on 127.0.0.1")
