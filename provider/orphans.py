"""The mark of everything that was started for a run folder, and the end of what a killed supervisord left.

The mark is a variable in the process' environment, which its children inherit.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from provider.resource import ProviderError
from provider.waiting import wait_until

MARK = "MODEL_DELIVERY_RUN"
_TERM_SECONDS = 10.0
_KILL_SECONDS = 15.0


def marked(pid: int, folder: Path) -> bool:
    """Whether a process of this user was started for the run folder."""
    entry = Path(f"/proc/{pid}")
    try:
        own = entry.stat().st_uid == os.getuid()
        return own and f"{MARK}={folder}".encode() in (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def end_orphans(folder: Path, spared: Iterable[int] = ()) -> None:
    """End what is still marked with the run folder, but for the processes ``spared`` and what called this: it
    holds the ports that its successor needs.

    Raises ProviderError when something survives SIGKILL.
    """
    left_alone = _ancestors() | set(spared)
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    # A number may be another process' by the time it is used; a pidfd stays with the one that was looked at.
    handles: dict[int, int] = {}
    try:
        for pid in pids:
            if pid in left_alone or not marked(pid, folder):
                continue
            with suppress(ProcessLookupError):
                handles[pid] = os.pidfd_open(pid)
        for number, seconds in ((signal.SIGTERM, _TERM_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
            for pid, handle in handles.items():
                if marked(pid, folder):
                    with suppress(ProcessLookupError):
                        signal.pidfd_send_signal(handle, number)
            if wait_until(lambda: not any(_running(pid, folder) for pid in handles), seconds):
                return
    finally:
        for handle in handles.values():
            os.close(handle)
    left = ", ".join(str(pid) for pid in handles if _running(pid, folder))
    raise ProviderError(f"processes of {folder} don't end, even by SIGKILL: {left}. End them by hand")


def _ancestors() -> set[int]:
    # Pulumi may be run from something that runs in the folder; it must not end itself.
    found: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in found:
        found.add(pid)
        pid = _parent(pid)
    return found


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _running(pid: int, folder: Path) -> bool:
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z" and marked(pid, folder)


def _stat(pid: int) -> list[str]:
    """A process' state letter and what follows it, or nothing where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
