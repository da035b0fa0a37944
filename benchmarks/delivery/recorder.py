"""A closed-loop load that remembers every answer: when it came, which version gave it, and what failed.

Run as a process of its own, so that what it measures doesn't share its interpreter: ``python -m
benchmarks.delivery.recorder PORT PATH BODY_FILE OUT_FILE``; it ends on SIGTERM and then writes OUT_FILE.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.server.load import request

CONNECTIONS = 16
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_VERSION = re.compile(rb"\r\nx-model-version: *(\S+)", re.IGNORECASE)
_RETRY_SECONDS = 0.005


@dataclass(frozen=True)
class Answer:
    """One request: when its answer came (Unix time, seconds), its status (0: the connection broke), the
    version."""

    at: float
    status: int
    version: str
    detail: str = ""
    """The beginning of an answer that isn't good, or why there was none."""

    @property
    def good(self) -> bool:
        return self.status == 200


class Load:
    """The recorder as a process; ``stop`` returns what it saw."""

    def __init__(self, port: int, path: str, body: bytes) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="load-"))
        (self._folder / "body").write_bytes(body)
        words = [str(port), path, str(self._folder / "body"), str(self._folder / "out")]
        self._process = subprocess.Popen([sys.executable, "-m", "benchmarks.delivery.recorder", *words])

    def stop(self) -> list[Answer]:
        self._process.terminate()
        self._process.wait(60)
        lines = (self._folder / "out").read_text().splitlines()
        return [Answer(*json.loads(line)) for line in lines]


def record(port: int, wire: bytes, out: Path) -> None:
    """Send one request after the other on each connection until SIGTERM, or until its benchmark is gone."""
    benchmark = os.getppid()
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    selector = selectors.DefaultSelector()
    buffers: dict[socket.socket, bytes] = {}
    answers: list[tuple[float, int, str, str]] = []
    waiting: list[float] = [0.0] * CONNECTIONS

    def open_due() -> None:
        now = time.time()
        for due in [d for d in waiting if d <= now]:
            waiting.remove(due)
            try:
                connection = socket.create_connection(("127.0.0.1", port), timeout=5)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(wire)
            except OSError as error:
                broke(str(error))
                continue
            buffers[connection] = b""
            selector.register(connection, selectors.EVENT_READ)

    def broke(why: str, connection: socket.socket | None = None) -> None:
        # A refused connection is a failed request: a real caller would have had no answer either.
        answers.append((time.time(), 0, "", why))
        if connection is not None:
            selector.unregister(connection)
            connection.close()
            del buffers[connection]
        waiting.append(time.time() + _RETRY_SECONDS)

    while not stopping and os.getppid() == benchmark:
        if waiting:
            open_due()
        for key, _ in selector.select(_RETRY_SECONDS if waiting else 0.1):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            try:
                data = connection.recv(65536)
            except OSError:
                data = b""
            if not data:
                broke("the connection was closed", connection)
                continue
            buffer = buffers[connection] = buffers[connection] + data
            head = buffer.find(b"\r\n\r\n")
            length = _LENGTH.search(buffer, 0, head) if head >= 0 else None
            if head < 0 or len(buffer) < head + 4 + (int(length[1]) if length else 0):
                continue
            version = _VERSION.search(buffer, 0, head)
            status = int(buffer[9:12])
            detail = "" if status == 200 else buffer[head + 4 : head + 204].decode(errors="replace")
            answers.append((time.time(), status, version[1].decode() if version else "", detail))
            buffers[connection] = b""
            with suppress(OSError):  # a broken connection shows at the next read
                connection.sendall(wire)
    out.write_text("\n".join(json.dumps(answer) for answer in answers))


def main(words: Sequence[str]) -> None:
    port, path, body, out = int(words[0]), words[1], Path(words[2]).read_bytes(), Path(words[3])
    record(port, request(path, body, port), out)


if __name__ == "__main__":
    main(sys.argv[1:])
