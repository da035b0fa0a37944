"""Which processes there are, as tests look for them: what is below one, and what still runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def family(pids: Iterable[int]) -> set[int]:
    """Processes with all their descendants."""
    parents = {
        int(entry.name): int(fields[1])
        for entry in Path("/proc").glob("[0-9]*")
        if (fields := _fields(int(entry.name)))
    }
    found = set(pids)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def alive(pids: Iterable[int]) -> set[int]:
    """Those of these processes that are there, and not only waited for by their parent."""
    return {pid for pid in pids if (fields := _fields(pid)) and fields[0] != "Z"}


def _fields(pid: int) -> list[str]:
    """What Linux says of a process after its name: its state, its parent and more; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode().split()
    except OSError:
        return []
