"""Files that others read while they are written; errors name the path and what to do."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from provider.resource import ProviderError


def make_folder(path: Path, private: bool = False) -> None:
    """Create a folder with its parents; ``private`` closes it to other users, also an existing one.

    Raises ProviderError where the disk refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if private:
            path.chmod(0o700)
    except OSError as error:
        raise refused(path, error) from None


def write_file(path: Path, text: str) -> None:
    """Replace a file whole: written beside it, then renamed over it, so that no reader ever sees a half.

    Raises ProviderError where the disk refuses; the file is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        temporary.write_text(text)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise refused(path, error) from None


def read_file(path: Path) -> str | None:
    """A file's text, or None where there is no readable one."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, or a word that there is none."""
    text = read_file(path)
    if text is None:
        return f"(no {path})"
    return "\n".join(text.splitlines()[-lines:]) or "(empty)"


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold a lock file for the time of the block, alone among all processes and threads."""
    try:
        lock = path.open("w")
    except OSError as error:
        raise refused(path, error) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def refused(path: Path, error: OSError) -> ProviderError:
    """What to tell the user about a path that can't be written."""
    reason = (error.strerror or str(error)).lower()
    return ProviderError(
        f"{path} can't be written: {reason}. "
        "Free space or give write permission, then run the same command again"
    )
