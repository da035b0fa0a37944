"""The server's side of the health process (``serving.health``): starting it, telling it the server's state,
and taking over the connections that it accepted.
"""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from serving import health
from serving.service import State
from serving.settings import Settings

_WORDS = {State.LOADING: health.LOADING, State.READY: health.READY, State.DRAINING: health.DRAINING}
_END_SECONDS = 1.0

logger = logging.getLogger("serving")


class HealthProcess:
    """A started health process. Where it can't be started, the server answers health alone, and logs that."""

    def __init__(self, listener: socket.socket, settings: Settings) -> None:
        self._channel, theirs = socket.socketpair()
        self._channel.setblocking(False)
        # Python's signal handlers run between two instructions of the main thread, which a model may hold up
        # for seconds. The byte in this pipe is written by the C handler, at once.
        self._signals, self._wakeup = os.pipe()
        os.set_blocking(self._signals, False)
        os.set_blocking(self._wakeup, False)
        inherited = (listener.fileno(), theirs.fileno(), self._signals)
        words = [*map(str, inherited), settings.model, settings.version, str(settings.stuck)]
        self._process: subprocess.Popen[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", str(Path(health.__file__)), *words],
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                # A Ctrl-C in a terminal is for the server, which ends this process last.
                start_new_session=True,
            )
        except OSError as error:
            logger.warning(
                "no health process (%s): health is answered late while the model holds the interpreter", error
            )
        finally:
            theirs.close()

    def attach(
        self,
        loop: asyncio.AbstractEventLoop,
        stop: Callable[[], None],
        adopt: Callable[[socket.socket], None],
    ) -> None:
        """Call ``stop`` for each SIGTERM or SIGINT, and ``adopt`` with each connection handed over."""
        self._loop = loop
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _nothing)
            signal.siginterrupt(number, False)  # a model's system calls are not cut short, as in asyncio
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        loop.add_reader(self._signals, self._signalled, stop)
        if self._process is not None:
            loop.add_reader(self._channel, self._read, adopt)

    def tell(self, state: State) -> None:
        """Let the health process answer by this state."""
        self._send(_WORDS[state])

    def close(self) -> None:
        """End the health process. It holds the port too, so the server calls this when it stops listening."""
        if self._loop is not None:
            self._loop.remove_reader(self._channel)
            self._loop = None
        self._channel.close()
        if self._process is not None:
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _send(self, word: bytes) -> None:
        with suppress(OSError):
            self._channel.send(word)

    def _signalled(self, stop: Callable[[], None]) -> None:
        with suppress(BlockingIOError):
            for number in os.read(self._signals, 64):
                if number in (signal.SIGTERM, signal.SIGINT):
                    stop()

    def _read(self, adopt: Callable[[socket.socket], None]) -> None:
        while True:
            try:
                word, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
            except BlockingIOError:
                return
            except OSError:
                word, descriptors = b"", []
            for descriptor in descriptors:
                adopt(socket.socket(fileno=descriptor))
            if word == health.ASK:
                self._send(health.TURNED)
            elif not word:
                logger.warning("the health process has ended: the server answers health alone from now on")
                if self._loop is not None:
                    self._loop.remove_reader(self._channel)
                return


def _nothing(number: int, frame: object) -> None:
    """Handle a signal whose byte in the pipe says it all."""
