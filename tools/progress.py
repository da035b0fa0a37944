"""Run a long command and say, while it runs, what it does, for how long, and how long it usually takes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TERMINAL_SECONDS = 1.0
LOG_SECONDS = 20.0
KEPT_LINES = 15


class Reporter:
    """Writes one line of progress to standard error: rewritten on a terminal, now and then in a log."""

    def __init__(self, what: str, usual: str) -> None:
        self.what, self.usual = what, usual
        self._terminal = sys.stderr.isatty()
        self._start = time.monotonic()
        self._next = 0.0
        sys.stderr.write(f"{what} (usually {usual})\n")

    def tick(self, detail: str = "") -> None:
        """Shows where the work is, unless it did so a moment ago."""
        elapsed = time.monotonic() - self._start
        if elapsed < self._next:
            return
        self._next = elapsed + (TERMINAL_SECONDS if self._terminal else LOG_SECONDS)
        line = f"  {_duration(elapsed)} of {self.usual}{f', {detail}' if detail else ''}"
        sys.stderr.write(f"\r\x1b[K{line}" if self._terminal else f"{line}\n")
        sys.stderr.flush()

    def done(self) -> None:
        """Says how long it took."""
        end = "\r\x1b[K" if self._terminal else ""
        sys.stderr.write(f"{end}  done in {_duration(time.monotonic() - self._start)}\n")


def run(
    command: Sequence[str],
    *,
    what: str,
    usual: str,
    cwd: Path,
    env: Mapping[str, str],
    detail: Callable[[int], str] = lambda lines: "",
) -> tuple[int, str]:
    """Runs a command under a progress line; returns its exit code and the last lines that it wrote.

    The command ends with this process: an interruption stops it too. `detail` turns the number of lines
    written so far into words.
    """
    reporter = Reporter(what, usual)
    tail: deque[str] = deque(maxlen=KEPT_LINES)
    lines = 0
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:

        def read() -> None:
            nonlocal lines
            for line in process.stdout or ():
                tail.append(line.rstrip())
                lines += 1

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            while (code := _ended(process)) is None:
                reporter.tick(detail(lines))
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            reader.join()
    reporter.done()
    return code, "\n".join(tail)


def _ended(process: subprocess.Popen[str]) -> int | None:
    """The exit code of a process, or None when it still runs after a moment."""
    try:
        return process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        return None


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
