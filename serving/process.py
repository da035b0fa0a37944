"""The server as a process: a socket, a loop, loading in the background, and an orderly end on SIGTERM."""

import asyncio
import contextlib
import gc
import logging
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Generator
from typing import Any, NoReturn, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving import model
from serving.app import App
from serving.artifact import ArtifactError
from serving.health_process import HealthProcess
from serving.model import Model
from serving.request_log import RequestLog
from serving.service import Service, State
from serving.settings import Settings

# Connections of a gateway's pool stay open longer than the gateway's own idle timeout (Envoy: one hour): if
# the server closed first, a request could meet the closing.
_KEEP_ALIVE_SECONDS = 3700
# No request for this long while draining means that traffic has gone elsewhere.
_QUIET_SECONDS = 0.5
# Traffic that goes on for longer isn't about to go elsewhere; the rest of --grace is for requests under way.
_MOST_DRAIN_SECONDS = 20.0
# The parser itself holds any head, however long. Envoy's own limit is 60 KiB.
_LONGEST_HEAD = 64 * 1024

logger = logging.getLogger("serving")


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT and return the exit status: 0 after a drain, 1 with a message
    otherwise.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        listener = socket.create_server((settings.host, settings.port), backlog=2048)
    except OSError as error:
        return _refuse(
            f"cannot listen on {settings.host}:{settings.port}: {_reason(error)}; "
            "choose another --port, or stop what uses it"
        )
    try:
        log = RequestLog(settings.access_log)
    except OSError as error:
        listener.close()
        return _refuse(f"cannot write the request log {settings.access_log}: {error.strerror}")
    service = Service(settings, log)
    health = HealthProcess(listener, settings)
    service.entered = health.tell
    server = _Server(service, App(service), health)
    try:
        server.run(sockets=[listener])
    finally:
        health.close()
        service.close()
    if server.unanswered:
        return _refuse(
            f"the grace period of {settings.grace:g} s was over with {server.unanswered} requests left"
        )
    return 1 if server.failed else 0


def end(status: int) -> NoReturn:
    """End the process with this status, even while a thread is still in a model's code."""
    sys.stdout.flush()
    sys.stderr.flush()
    if threading.active_count() > 1:
        os._exit(status)  # sys.exit() would wait for the thread
    sys.exit(status)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def _refuse(message: str) -> int:
    sys.stderr.write(f"serving: {message}\n")
    return 1


class _Server(uvicorn.Server):
    """uvicorn, with a model that is loaded behind the open port, and our own order of ending."""

    def __init__(self, service: Service, app: App, health: HealthProcess) -> None:
        self._service = service
        self._health = health
        self._adopting: set[asyncio.Task[object]] = set()
        self._draining: asyncio.Task[None] | None = None
        self.failed = False
        self.unanswered = 0
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=_protocol(service.settings.version),
                ws="none",
                lifespan="off",
                proxy_headers=False,
                access_log=False,
                server_header=False,
                log_config=None,
                log_level="warning",
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        self._health.attach(loop, self._stop, self._adopt)
        # A daemon thread: the end of the process does not wait for a model that takes minutes to load.
        threading.Thread(target=self._load, args=(loop,), name="load", daemon=True).start()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield  # startup() watches for them on the loop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # It holds the port too, and no connection may reach a port that is no longer served.
        self._health.close()
        await super().shutdown(sockets)
        # What is still there has just been cancelled; each request is told so.
        self.unanswered = self._service.metrics.in_flight
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=0.5)

    def _load(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loaded = model.load(self._service.settings)
        except ArtifactError as error:
            self._fail(loop, str(error))
        except Exception as error:
            logger.exception("loading failed")
            self._fail(loop, f"cannot load the model: {type(error).__name__}: {error}")
        else:
            loop.call_soon_threadsafe(self._loaded, loaded)

    def _fail(self, loop: asyncio.AbstractEventLoop, message: str) -> None:
        _refuse(message)
        self.failed = True
        self.config.timeout_graceful_shutdown = 1
        self.should_exit = True

    def _loaded(self, loaded: Model) -> None:
        # What is loaded stays: the collector need not look at it again with every full run.
        gc.collect()
        gc.freeze()
        self._service.install(loaded)
        for note in loaded.notes:
            logger.warning("%s", note)
        address = self.servers[0].sockets[0].getsockname()
        logger.info(
            "serving %s version %s (%s, %s) on http://%s:%d; a row takes %.0f µs, up to %d rows share a call",
            loaded.name,
            loaded.version,
            loaded.package.flavour,
            loaded.digest,
            address[0],
            address[1],
            loaded.row_seconds * 1e6,
            loaded.batch_rows,
        )

    def _adopt(self, connection: socket.socket) -> None:
        """Serve a connection that the health process accepted while the loop was held up."""
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        task: asyncio.Task[object] = loop.create_task(
            loop.connect_accepted_socket(self._connection, connection)
        )
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    def _connection(self) -> asyncio.Protocol:
        kind: Any = self.config.http_protocol_class
        return kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def _stop(self) -> None:
        if self._draining is not None:
            self.should_exit = self.force_exit = True  # a second signal: at once
            return
        self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        """Stop being ready, answer on until traffic has gone, then close what is idle and wait for the
        rest.
        """
        settings = self._service.settings
        start = time.perf_counter()
        loading = self._service.state is State.LOADING
        self._service.drain()
        logger.info("draining %s version %s", settings.model, settings.version)
        earliest, latest = drain_seconds(settings)
        while (now := time.perf_counter()) < start + latest:
            if (loading or now >= start + earliest) and now - self._service.last_request >= _QUIET_SECONDS:
                break
            await asyncio.sleep(0.05)
        rest = settings.grace - (time.perf_counter() - start)
        self.config.timeout_graceful_shutdown = max(1, math.floor(rest))
        self.should_exit = True


def drain_seconds(settings: Settings) -> tuple[float, float]:
    """Return for how long a server answers on after SIGTERM, at least and at most.

    What is left of its grace is for the requests that are under way by then.
    """
    earliest = min(settings.drain, settings.grace / 2)
    return earliest, max(earliest, min(settings.grace / 2, _MOST_DRAIN_SECONDS))


class _OneWrite:
    """A transport that writes what comes in one turn of the loop at once.

    uvicorn writes the head of a response and its body apart. A server that is killed between the two leaves a
    response that no gateway can ask for again: its head has already been passed on.
    """

    __slots__ = ("_loop", "_parts", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._parts:
            if not self._transport.is_closing():  # the caller may have gone meanwhile
                self._transport.write(b"".join(self._parts))
            self._parts.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _protocol(version: str) -> type[HttpToolsProtocol]:
    """Return uvicorn's HTTP protocol with our answer to what is no HTTP at all, and a bound for heads."""

    # Called by name: super() costs more than what is done here, for each request.
    receive, take_body = HttpToolsProtocol.data_received, HttpToolsProtocol.on_body

    class Protocol(HttpToolsProtocol):
        _head = 0
        """Bytes in a row that were no body and ended no head."""
        _last: object = None
        _body_came = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(cast(asyncio.Transport, _OneWrite(transport, self.loop)))

        def data_received(self, data: bytes) -> None:
            receive(self, data)
            # A head that has ended is a new cycle.
            if self.cycle is not self._last or self._body_came:
                self._last, self._body_came, self._head = self.cycle, False, 0
                return
            self._head += len(data)
            if self._head > _LONGEST_HEAD and not self.transport.is_closing():
                cycle: Any = self.cycle
                if cycle is not None and cycle.response_started != cycle.response_complete:
                    self.transport.close()  # the trailer of a request whose answer is on its way
                else:
                    self._refuse("431 Request Header Fields Too Large", "the request's head is too long")

        def on_body(self, body: bytes) -> None:
            self._body_came = True
            take_body(self, body)

        def send_400_response(self, msg: str) -> None:
            self._refuse("400 Bad Request", "the request is not valid HTTP")

        def _refuse(self, status: str, message: str) -> None:
            body = f'{{"error":"{message}"}}'
            head = (
                f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nx-model-version: {version}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(f"{head}{body}".encode())
            self.transport.close()

    return Protocol
