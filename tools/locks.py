"""Locks that a killed Pulumi has left in a file backend.

Pulumi writes a lock when it starts to change a stack, and removes it at the end. After `kill -9` it stays,
and every later command refuses. A lock is stale only when it was made on this very host by a process that no
longer runs; any other is left alone.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Lock:
    """A lock file, and who says to hold it."""

    file: Path
    host: str
    pid: int


def locks(state: Path) -> Iterator[Lock]:
    """The locks in a file backend. One that can't be read is skipped: it isn't ours to judge."""
    for file in sorted((state / ".pulumi" / "locks").rglob("*.json")):
        try:
            content = cast("dict[str, object]", json.loads(file.read_text()))
            yield Lock(file, str(content["hostname"]), int(str(content["pid"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue


def is_stale(lock: Lock) -> bool:
    """Whether the lock's process is known to have ended."""
    return lock.host == socket.gethostname() and not _runs_pulumi(lock.pid)


def remove_stale(state: Path) -> list[Lock]:
    """Removes the stale locks of a file backend; returns them."""
    stale = [lock for lock in locks(state) if is_stale(lock)]
    for lock in stale:
        lock.file.unlink(missing_ok=True)
        # What the backend notes about the file itself.
        lock.file.with_name(f"{lock.file.name}.attrs").unlink(missing_ok=True)
    if stale:
        _remove_torn_notes(state)
    return stale


def _remove_torn_notes(state: Path) -> None:
    """Removes what a backend that notes something about each file was killed at: it could read none of them.

    A file without its note is as good.
    """
    for note in (state / ".pulumi").rglob("*.attrs"):
        try:
            json.loads(note.read_text())
        except ValueError:
            note.unlink(missing_ok=True)


def await_others(state: Path, note: Callable[[str], None]) -> None:
    """Returns when no other Pulumi of this host is at work on a stack of the backend, which would refuse us.

    What is waited for is told by `note`, once for each process.
    """
    told: set[int] = set()
    while held := [lock for lock in locks(state) if lock.host == socket.gethostname() and not is_stale(lock)]:
        for lock in held:
            if lock.pid not in told:
                told.add(lock.pid)
                note(
                    f"another Pulumi is at work on the stack; waiting for it (`kill -INT {lock.pid}` ends it)"
                )
        time.sleep(_POLL_SECONDS)


def _runs_pulumi(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    # The number may have been given to another program since. Anything unclear counts as Pulumi.
    try:
        answer = subprocess.run(
            ["ps", "-o", "stat=", "-o", "comm=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return True
    if answer.returncode != 0 or not answer.stdout.strip():
        return True
    state, _, command = answer.stdout.strip().partition(" ")
    return not state.startswith("Z") and "pulumi" in command
