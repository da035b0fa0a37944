"""A closed-loop HTTP load client that costs little: one thread, epoll, requests prepared before the clock
starts.

Each connection sends its next request as soon as it has read the answer to the last one. Latency is from just
before the request is handed to the kernel until the last byte of the answer is read.
"""

import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """What one run measured. Latencies are in milliseconds."""

    seconds: float
    requests: int
    statuses: dict[int, int]
    broken: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Answers with status 200 per second."""
        return self.statuses.get(200, 0) / self.seconds


class _Connection:
    __slots__ = ("buffer", "end", "next", "sent", "socket")

    def __init__(self, address: tuple[str, int], first: int) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.end = -1  # where the answer ends in the buffer; -1 before its headers are whole, -2 when chunked
        self.next = first
        self.sent = 0.0


def request(path: str, body: bytes, port: int, headers: Sequence[str] = ()) -> bytes:
    """Return a whole POST request as it goes over the wire."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def run(port: int, requests: Sequence[bytes], seconds: float, connections: int = 16) -> Load:
    """Send ``requests`` in turn over ``connections`` connections for ``seconds`` and return what was
    measured.

    A connection that breaks is counted in ``broken`` and opened again.
    """
    address = ("127.0.0.1", port)
    clock = time.perf_counter
    statuses: Counter[bytes] = Counter()
    latencies: list[float] = []
    broken = 0
    total = len(requests)
    selector = selectors.EpollSelector()

    def connect(first: int) -> None:
        connection = _Connection(address, first)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.sent = clock()
        connection.socket.sendall(requests[first % total])

    for index in range(connections):
        connect(index * (total // connections))
    start = clock()
    deadline = start + seconds
    while (now := clock()) < deadline:
        for key, _ in selector.select(deadline - now):
            connection: _Connection = key.data
            try:
                data = connection.socket.recv(65536)
            except OSError:
                data = b""
            if not data:
                broken += 1
                selector.unregister(connection.socket)
                connection.socket.close()
                connect(connection.next + 1)
                continue
            buffer = connection.buffer = connection.buffer + data if connection.buffer else data
            if connection.end == -1:
                head = buffer.find(b"\r\n\r\n")
                if head < 0:
                    continue
                if (length := _LENGTH.search(buffer, 0, head)) is not None:
                    connection.end = head + 4 + int(length[1])
                elif _CHUNKED.search(buffer, 0, head):
                    connection.end = -2
                else:
                    connection.end = head + 4
            if len(buffer) < connection.end or (connection.end == -2 and not buffer.endswith(b"0\r\n\r\n")):
                continue
            latencies.append(clock() - connection.sent)
            statuses[buffer[9:12]] += 1
            connection.buffer = b""
            connection.end = -1
            connection.next += 1
            connection.sent = clock()
            with suppress(OSError):  # a broken connection shows at the next read
                connection.socket.sendall(requests[connection.next % total])
    elapsed = clock() - start
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    selector.close()
    latencies.sort()
    return Load(
        seconds=elapsed,
        requests=len(latencies),
        statuses={int(status): count for status, count in statuses.items()},
        broken=broken,
        p50=_percentile(latencies, 0.50),
        p99=_percentile(latencies, 0.99),
    )


def _percentile(ordered: Sequence[float], share: float) -> float:
    if not ordered:
        return float("nan")
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]
