"""The sampled log of requests and answers: JSON lines, written by a thread so that no request waits for a
disk.
"""

import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

import orjson

# Records that may wait for the disk; beyond, they are dropped and counted.
_MOST_WAITING = 10_000
_GATHER_SECONDS = 0.1


class RequestLog:
    """Appends records to ``path``, or to standard output when it is None.

    The file is opened again when it was moved away (log rotation). Raises ``OSError`` when it cannot be
    opened.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file = self._open()
        self.dropped = 0
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="request-log", daemon=True)
        self._thread.start()

    def add(self, record: dict[str, Any]) -> None:
        """Write a record soon. Never blocks, never raises."""
        if self._queue.qsize() >= _MOST_WAITING:
            self.dropped += 1
        else:
            self._queue.put(record)

    def close(self, seconds: float = 5.0) -> None:
        """Write what waits, for at most ``seconds``."""
        self._queue.put(None)
        self._thread.join(seconds)

    def _open(self) -> int:
        if self._path is None:
            return sys.stdout.fileno()
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def _write_all(self) -> None:
        more = True
        while more:
            records = [self._queue.get()]
            if records[0] is not None:
                time.sleep(_GATHER_SECONDS)
            while not self._queue.empty():
                records.append(self._queue.get())
            more = None not in records
            lines = [_line(record) for record in records if record is not None]
            try:
                if self._path is not None and self._moved(self._path):
                    os.close(self._file)
                    self._file = self._open()
                self._write(b"".join(lines))
            except OSError:
                self.dropped += len(lines)
        if self._path is not None:
            os.close(self._file)

    def _moved(self, path: Path) -> bool:
        try:
            return not os.path.samestat(path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return True

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._file, data) :]


def _line(record: dict[str, Any]) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY, default=str)
