"""The health process: answers probes while the server's own interpreter is busy.

A model in Python may hold the interpreter's lock for seconds, and then nothing else in its process runs, the
event loop included. This process shares the server's listening socket. It accepts a connection only when the
server has left it waiting, answers it if it asks for health, and hands every other connection over to the
server, which has it as soon as it runs again. While the server keeps up, this process sleeps.

It is started by ``serving.health_process`` as a script, in an interpreter without site-packages, so it
imports the standard library alone: it takes a few megabytes and starts in milliseconds.
"""

import json
import os
import re
import selectors
import signal
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from typing import Any

# How long the server may leave a connection waiting before this process takes it.
PATIENCE = 0.01
_AT_ONCE = 64
_LONGEST_HEAD = 16 * 1024
_REQUEST_ID = re.compile(rb"\r\nx-request-id:[ \t]*([\x21-\x7e]{1,128})[ \t]*\r\n", re.IGNORECASE)
_STATUS = {200: "OK", 503: "Service Unavailable"}

# What the server says, a byte each: its state, and that its event loop has turned.
LOADING, READY, DRAINING, TURNED = b"L", b"R", b"D", b"T"
# What this process says: a question that the event loop answers with TURNED, and a connection.
ASK, CONNECTION = b"?", b"c"

_STATES = {LOADING: "loading", READY: "ready", DRAINING: "draining"}


class Health:
    """What is known of the server, and the answers that follow from it."""

    def __init__(self, model: str, version: str, stuck_seconds: float) -> None:
        self.state = "loading"
        self.asked: float | None = None
        """When the server was first asked whether its loop turns, if it hasn't answered since."""
        self._version = version
        self._stuck_seconds = stuck_seconds
        base = f"/v2/models/{model}"
        self._live = {"/v2/health/live"}
        self._ready = {"/v2/health/ready", "/ping", f"{base}/ready", f"{base}/versions/{version}/ready"}

    def answer(self, head: bytes, now: float) -> bytes | None:
        """Return the response to a request for health, or None for any other request."""
        if not head.startswith(b"GET ") or b"\r\n\r\n" not in head:
            return None
        path = head.split(b" ", 2)[1].split(b"?", 1)[0].decode("latin-1")
        stuck = self.asked is not None and now - self.asked > self._stuck_seconds
        if path in self._live:
            content: dict[str, object] = {"live": not stuck}
            good = not stuck
        elif path in self._ready:
            good = self.state == "ready" and not stuck
            content = {"ready": good, "state": "stuck" if stuck else self.state}
        else:
            return None
        if stuck:
            content["error"] = (
                f"the server's event loop has not run for more than {self._stuck_seconds:g} s: "
                "a call of the model does not return"
            )
        return self._response(200 if good else 503, content, head)

    def _response(self, status: int, content: dict[str, object], head: bytes) -> bytes:
        body = json.dumps(content, separators=(",", ":")).encode()
        given = _REQUEST_ID.search(head)
        identifier = given[1].decode("ascii") if given else os.urandom(10).hex()
        lines = (
            f"HTTP/1.1 {status} {_STATUS[status]}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            f"x-model-version: {self._version}",
            f"x-request-id: {identifier}",
            "connection: close",
        )
        return "\r\n".join((*lines, "", "")).encode("latin-1") + body


class Responder:
    """The process' loop over the listening socket, the channel to the server, and what was accepted."""

    def __init__(self, listener: socket.socket, channel: socket.socket, signals: int, health: Health) -> None:
        self._listener = listener
        self._channel = channel
        self._signals = signals
        self._health = health
        self._selector = selectors.DefaultSelector()
        self._look_at: float | None = None
        """When to look whether a connection still waits; None while the selector watches for one."""
        self._waiting: deque[socket.socket] = deque()
        """Connections that are to be handed over."""

    def run(self) -> None:
        """Serve until the server closes the channel, which its death does too."""
        selector = self._selector
        for source in (self._listener, self._channel, self._signals):
            selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select(self._timeout()):
                source: Any = key.fileobj
                if source is self._channel:
                    if not self._listen():
                        return
                elif source is self._listener:
                    self._notice()
                elif source == self._signals:
                    # The server has been told to end, though it may not be able to act on it yet.
                    selector.unregister(self._signals)
                    self._health.state = "draining"
                else:
                    selector.unregister(source)
                    self._decide(source)
            if self._look_at is not None and time.monotonic() >= self._look_at:
                self._accept()
            self._hand_over()

    def _timeout(self) -> float | None:
        if self._look_at is not None:
            return max(0.0, self._look_at - time.monotonic())
        return 0.1 if self._waiting else None

    def _listen(self) -> bool:
        """Take what the server says; False when it has gone."""
        try:
            said = self._channel.recv(256)
        except BlockingIOError:
            return True
        except OSError:
            return False
        for index in range(len(said)):
            word = said[index : index + 1]
            if word == TURNED:
                self._health.asked = None
            elif self._health.state != "draining":
                self._health.state = _STATES.get(word, self._health.state)
        return bool(said)

    def _notice(self) -> None:
        """A connection waits: the server gets time to take it, unless it is known to be busy."""
        self._selector.unregister(self._listener)
        self._look_at = time.monotonic() + (PATIENCE if self._health.asked is None else 0.0)

    def _accept(self) -> None:
        """Take the connections that the server has left waiting, and watch for others again."""
        self._look_at = None
        taken = 0
        while taken < _AT_ONCE:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break  # none waits, or no file descriptor is left for one
            connection.setblocking(False)
            taken += 1
            self._decide(connection)
        if taken and self._health.asked is None:
            with suppress(OSError):
                self._channel.send(ASK)
                self._health.asked = time.monotonic()
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _decide(self, connection: socket.socket) -> None:
        """Answer a connection, have it handed over, or watch it until it says what it wants."""
        try:
            head = connection.recv(_LONGEST_HEAD, socket.MSG_PEEK)
        except BlockingIOError:
            self._selector.register(connection, selectors.EVENT_READ)
            return
        except OSError:
            head = b""
        if not head:
            connection.close()
            return
        response = self._health.answer(head, time.monotonic())
        if response is None:
            self._waiting.append(connection)
            return
        with suppress(OSError):
            # Closing a connection with unread bytes would reset it before the caller has the answer.
            connection.recv(_LONGEST_HEAD)
            connection.send(response)
            connection.shutdown(socket.SHUT_WR)
        connection.close()

    def _hand_over(self) -> None:
        while self._waiting:
            connection = self._waiting[0]
            try:
                socket.send_fds(self._channel, [CONNECTION], [connection.fileno()])
            except OSError:
                return  # the channel is full: the server is busy, and this is tried again
            self._waiting.popleft()
            connection.close()


def main(words: list[str]) -> None:
    """Serve as the words say: three file descriptors, the model, its version, the seconds of ``--stuck``."""
    listener, channel, signals = map(int, words[:3])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # The server ends this process, so that health is answered until the server has ended.
        signal.signal(number, signal.SIG_IGN)
    health = Health(words[3], words[4], float(words[5]))
    sockets = socket.socket(fileno=listener), socket.socket(fileno=channel)
    for each in sockets:
        each.setblocking(False)
    Responder(*sockets, signals, health).run()


if __name__ == "__main__":
    main(sys.argv[1:])
