"""The processes that a host runs for the engine, and their end: none outlives the host.

A child stays in the host's process group, which the engine kills as a whole. Against a host that dies alone
each child also holds the reading end of a pipe, its lifeline, whose writing end only the host has.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

LIFELINE = "PULUMI_HOST_LIFELINE"
"""Environment variable that names the file descriptor of the lifeline, for children that watch it."""

GRACE_SECONDS = 5.0


class Children:
    """The running children of one host. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._programs: set[subprocess.Popen[bytes]] = set()
        self._stopping = False
        self._lifeline, self._held = os.pipe()

    def start(
        self,
        command: Sequence[str],
        *,
        cwd: Path | str,
        env: Mapping[str, str],
        capture: bool = False,
        program: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Starts a command; its output is the host's own, or two pipes when captured. `program`: a Pulumi
        program, which a cancelled update ends at once. A provider then finishes what it is doing.

        Raises OSError when the command can't be started, and RuntimeError once the host is stopping.
        """
        with self._lock:
            if self._stopping:
                raise RuntimeError("the language host is stopping")
            process = subprocess.Popen(
                list(command),
                cwd=cwd,
                env={**env, LIFELINE: str(self._lifeline)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if capture else None,
                stderr=subprocess.PIPE if capture else None,
                pass_fds=(self._lifeline,),
            )
            self._running.add(process)
            if program:
                self._programs.add(process)
            return process

    def wait(self, process: subprocess.Popen[bytes]) -> int:
        """Waits for a child; returns its exit code, negative for the signal that ended it."""
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)
                self._programs.discard(process)

    def stop(self, process: subprocess.Popen[bytes], *, how: int | None = signal.SIGTERM) -> None:
        """Asks one child to end, unless it has been asked, and kills it when it hasn't within the grace
        time."""
        if process.poll() is None:
            if how is not None:
                process.send_signal(how)
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()

    def interrupt_programs(self) -> None:
        """Interrupts the programs, as Ctrl-C would; kills those that go on past the grace time."""
        with self._lock:
            programs = list(self._programs)
        self._stop(programs, signal.SIGINT)

    def stop_all(self, *, told: bool) -> None:
        """Ends every child, and accepts no new one. `told`: they have had a signal to end already."""
        with self._lock:
            self._stopping = True
            running = list(self._running)
        self._stop(running, None if told else signal.SIGTERM)

    def _stop(self, processes: Sequence[subprocess.Popen[bytes]], how: int | None) -> None:
        stoppers = [
            threading.Thread(target=self.stop, args=(process,), kwargs={"how": how}) for process in processes
        ]
        for stopper in stoppers:
            stopper.start()
        for stopper in stoppers:
            stopper.join()
