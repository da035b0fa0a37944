"""How a process that the engine has started learns that the engine is gone, or needs it no longer.

The engine holds the other end of our standard input for as long as it lives, so the end of that stream is the
one sign of its death that even `kill -9` can't suppress. What it no longer needs it interrupts, as a group:
our children have had the same signal.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

BLOCK_BYTES = 4096


class Engine:
    """Watches the engine from its construction on, which must be in the main thread.

    A terminal is nobody's engine: started by hand, a host serves until Ctrl-C.
    """

    def __init__(self) -> None:
        self._gone = threading.Event()
        self.interrupted = False
        """Whether the whole process group was told to end."""
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGTERM, self._terminate)
        if not sys.stdin.isatty():
            threading.Thread(target=self._watch, daemon=True).start()

    def wait(self) -> None:
        """Returns when the engine is gone or doesn't need this process any more."""
        self._gone.wait()

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        self.interrupted = True
        self._gone.set()

    def _terminate(self, signum: int, frame: FrameType | None) -> None:
        self._gone.set()

    def _watch(self) -> None:
        while os.read(0, BLOCK_BYTES):
            pass
        self._gone.set()
