"""supervisord whose logs can't end it: what a disk doesn't take is dropped.

supervisord answers a failed write to a log by a traceback on standard error; where that goes to the same
full disk, the exception ends it, or it closes the program's output, which ends the program. Run as a script,
not as a module of the package, so that programs inherit no path of ours.
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import Any, cast


class LossyText(io.TextIOBase):
    """Standard error that drops what it can't write."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
        return len(text)


def lossy_handler(base: Any) -> Any:
    """A rotating file handler of supervisord's that never raises, and goes on when the disk takes more."""

    class LossyHandler(base):
        def __init__(self, filename: str, mode: str, size: int, backups: int) -> None:
            self.baseFilename = filename
            self.mode = "ab"
            self.maxBytes = size
            self.backupCount = backups
            self.stream: Any = None
            self.closed = False
            self._open()

        def emit(self, record: Any) -> None:
            message = record.msg
            if self.fmt != "%(message)s" or not isinstance(message, bytes):
                message = (self.fmt % record.asdict()).encode()
            try:
                if self._open():
                    self.stream.write(message)
                    self.doRollover()
            except (OSError, ValueError):
                self._forget()

        def close(self) -> None:
            self._forget()
            self.closed = True

        def flush(self) -> None:
            """Nothing waits: the file isn't buffered."""

        def _open(self) -> bool:
            if self.stream is None or self.stream.closed:
                try:
                    self.stream = Path(self.baseFilename).open("ab", buffering=0)  # noqa: SIM115
                except OSError:
                    self.stream = None
            return self.stream is not None

        def _forget(self) -> None:
            if self.stream is not None:
                with contextlib.suppress(OSError):
                    self.stream.close()
            self.stream = None

    return LossyHandler


def main() -> None:
    """Run supervisord with the arguments of this script."""
    # Before the import: supervisord keeps the streams that it finds.
    sys.stdout = sys.stderr = cast(Any, LossyText(sys.stderr))
    from supervisor import loggers, supervisord  # pyright: ignore[reportMissingTypeStubs]

    modules: Any = loggers
    modules.RotatingFileHandler = lossy_handler(modules.RotatingFileHandler)
    supervised: Any = supervisord
    supervised.main()


if __name__ == "__main__":
    main()
