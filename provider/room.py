"""Proof that a folder takes what an update writes, before anything that runs is stopped for it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from provider.files import refused, write_file
from provider.resource import ProviderError

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Room:
    """What part of an update may write."""

    what: str
    """Who needs it, as the subject of a sentence."""
    bytes: int
    files: int


TO_START = Room("a program that starts", 16 * _MEGABYTE, 200)
"""Configuration, logs, Prometheus' first files."""
TO_CHANGE = Room("an update", 4 * _MEGABYTE, 20)
"""Routes, and the state that Pulumi keeps beside the run folder: enough for a change of a weight."""


def prove(folder: Path, within: Iterable[str] = (), room: Room = TO_START) -> None:
    """Raise ProviderError unless ``folder``, and what of ``within`` exists in it, can be written and has the
    ``room``.

    A folder that is missing is judged by the nearest one above it that exists, and isn't made.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        disk = os.statvfs(there)
    except OSError as error:
        raise refused(there, error) from None
    free = disk.f_bavail * disk.f_frsize
    if free < room.bytes:
        raise ProviderError(
            f"{folder} has {free / _MEGABYTE:.1f} MB free, "
            f"and {room.what} needs {room.bytes // _MEGABYTE} MB. "
            "Nothing was changed. Free space, then run the same command again"
        )
    if disk.f_files and disk.f_favail < room.files:
        raise ProviderError(
            f"the disk of {folder} has room for {disk.f_favail} more files, "
            f"and {room.what} needs {room.files}. "
            "Nothing was changed. Delete files, then run the same command again"
        )
    for path in (there, *(folder / name for name in within)):
        if path.exists() and not os.access(path, os.W_OK | os.X_OK):
            reason = "read-only file system" if disk.f_flag & os.ST_RDONLY else "permission denied"
            raise ProviderError(
                f"{path} can't be written: {reason}. Nothing was changed. "
                "Give write permission, then run the same command again"
            )
    if there == folder:
        # What a quota or a broken disk refuses shows only in a write.
        probe = folder / ".probe"
        write_file(probe, "x" * 4096)
        probe.unlink(missing_ok=True)
