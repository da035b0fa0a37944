"""One command at a time makes things in the toolchain folder; another waits, and then finds what was made."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tools.paths import make_folder


@contextmanager
def alone(folder: Path) -> Generator[None]:
    """Holds the folder's lock for as long as the block runs. The lock ends with this process, however it
    ends."""
    make_folder(folder)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write("Another command is getting the toolchain ready; waiting for it\n")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
