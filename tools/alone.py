"""One command at a time makes a thing in the toolchain folder; another waits, then finds what was made."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tools.paths import make_folder


@contextmanager
def alone(folder: Path, name: str) -> Generator[None]:
    """Holds the folder's lock of this name for as long as the block runs. The lock ends with this process,
    however it ends. What is made under another name isn't waited for: a build may take minutes."""
    make_folder(folder)
    with (folder / f".lock-{name}").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"Another command is getting {name} ready in {folder}; waiting for it\n")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
