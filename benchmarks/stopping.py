"""A benchmark that is interrupted leaves nothing running."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from provider.daemon import Daemon

_ASKED = (signal.SIGINT, signal.SIGTERM)


def run(main: Callable[[], int]) -> int:
    """The exit code of a benchmark: its own, or 130 after Ctrl-C or SIGTERM, which both end its blocks."""
    for number in _ASKED:  # SIGINT too: the shell has it ignored where it runs a script in the background
        signal.signal(number, signal.default_int_handler)
    try:
        return main()
    except KeyboardInterrupt:
        print("\ninterrupted; everything that was started is stopped", file=sys.stderr)
        return 130


@contextmanager
def stopped(folder: Path) -> Generator[None]:
    """Stop all that runs in a run folder when the block ends, however it ends."""
    try:
        yield
    finally:
        with uninterrupted():
            Daemon(folder.resolve()).stop()


@contextmanager
def uninterrupted() -> Generator[None]:
    """The block runs to its end: who presses Ctrl-C twice wants everything stopped, not half of it."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _ASKED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
