"""The ASGI application: inference as a plain callable, everything else on FastAPI behind it."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any

from serving import api
from serving.body import Head, refusal, unpacked
from serving.service import RefusedError, Route, Service, State

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_JSON = (b"content-type", b"application/json")
_OCTETS = (b"content-type", b"application/octet-stream")
_JSON_LENGTH = b"inference-header-content-length"
_ABOUT_BODY = frozenset({b"content-type", b"content-encoding", _JSON_LENGTH})
_PLAIN = Head()
_CLOSE = (b"connection", b"close")
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
# How much of a refused body is read and thrown away: closing at once would cut off the answer on its way.
_MOST_DISCARDED = 64 * 1024 * 1024
_DISCARD_SECONDS = 5.0
# Bodies of the largest size that may be held at once: read as JSON, each takes a multiple of its size.
_LARGE_AT_ONCE = 16


class App:
    """The server for one model version, to be run by any ASGI server or adapter.

    ``service.install`` makes it ready. Every response has ``x-model-version`` and ``x-request-id``.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        settings = service.settings
        self._limit = settings.max_body_bytes
        self._held = 0
        self._version = (b"x-model-version", settings.version.encode())
        self._api = api.build(service)
        base = f"/v2/models/{settings.model}"
        self._routes = {
            "/predict": Route.PLAIN,
            "/invocations": Route.PLAIN,
            f"{base}/infer": Route.V2,
            f"{base}/versions/{settings.version}/infer": Route.V2,
            # KServe's first protocol, whose one form, instances, is one of MLflow's.
            f"/v1/models/{settings.model}:predict": Route.PLAIN,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        route = self._routes.get(scope["path"]) if scope["method"] == "POST" else None
        if route is None:
            await self._api(scope, receive, self._stamping(scope, send))
            return
        parts: list[bytes] = []
        try:
            await self._infer(route, scope, parts, receive, send)
        finally:
            for part in parts:
                self._held -= len(part)

    async def _infer(
        self, route: Route, scope: Scope, parts: list[bytes], receive: Receive, send: Send
    ) -> None:
        """Answer a request. ``parts`` gets what is held of a body that comes in more than one."""
        start = time.perf_counter()
        length = 0
        identifier = b""
        head = _PLAIN
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = int(value) if value.isdigit() else 0
            elif name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                identifier = value
            elif name in _ABOUT_BODY and value != b"application/json":
                head = _described(head, name, value)
        request_id = identifier.decode("ascii") if identifier else self.service.new_id()
        body, unread = await self._body(length, parts, receive)
        if body is None:
            return
        query = scope.get("query_string", b"")
        if isinstance(body, bytes) and (query or head is not _PLAIN):
            body = await self._understood(body, head, route, query)
        answer = await self.service.infer(route, body, request_id, start, head.json)
        content = answer.body
        headers = [
            _JSON if answer.json is None else _OCTETS,
            (b"content-length", b"%d" % len(content)),
            self._version,
            (b"x-request-id", identifier or request_id.encode("ascii")),
        ]
        if answer.json is not None:
            headers.append((_JSON_LENGTH, b"%d" % answer.json))
        if unread or self.service.state is State.DRAINING:
            headers.append(_CLOSE)
        if answer.status == 503:
            headers.append((b"retry-after", b"1"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if unread:
            await send({"type": "http.response.body", "body": content, "more_body": True})
            await _discard(receive)
            content = b""
        await send({"type": "http.response.body", "body": content})

    async def _understood(self, body: bytes, head: Head, route: Route, query: bytes) -> bytes | RefusedError:
        """Return the body as the service reads it, or why it isn't taken."""
        if query:
            name = query.split(b"&")[0].split(b"=")[0].decode("ascii", "replace")[:60]
            message = f"the query parameter {name!r} is not known; this server takes none"
            return RefusedError(400, "invalid_input", message)
        if refused := refusal(head, tensors=route is Route.V2):
            return refused
        if head.encoding not in ("gzip", "deflate"):
            return body
        try:
            return await asyncio.to_thread(unpacked, body, head.encoding, self._limit)
        except RefusedError as error:
            return error

    async def _body(
        self, length: int, parts: list[bytes], receive: Receive
    ) -> tuple[bytes | RefusedError | None, bool]:
        """Return the whole body, its refusal, or None when the client has gone; and whether a rest is
        unread.
        """
        if length > self._limit:
            return self._too_large(), True
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None, True
            part: bytes = message.get("body", b"")
            size += len(part)
            more = bool(message.get("more_body"))
            if size > self._limit:
                return self._too_large(), more
            if not more and not parts:
                return part, False
            if self._held + len(part) > _LARGE_AT_ONCE * self._limit:
                return RefusedError(503, "busy", "too many large requests at once; try again soon"), more
            parts.append(part)
            self._held += len(part)
            if not more:
                return b"".join(parts), False

    def _too_large(self) -> RefusedError:
        return RefusedError(
            413, "too_large", f"the body is larger than {self._limit} bytes; send fewer rows at once"
        )

    def _stamping(self, scope: Scope, send: Send) -> Send:
        """Return ``send`` with our headers on the response."""
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        identifier = given if _REQUEST_ID.fullmatch(given) else self.service.new_id().encode("ascii")

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), self._version, (b"x-request-id", identifier)]
                if self.service.state is State.DRAINING:
                    headers.append(_CLOSE)
                message = {**message, "headers": headers}
            await send(message)

        return stamped


def _described(head: Head, name: bytes, value: bytes) -> Head:
    text = value.decode("latin-1").strip().lower()
    if name == b"content-type":
        return replace(head, type=text.partition(";")[0].strip())
    if name == b"content-encoding":
        return replace(head, encoding=text)
    return replace(head, json=int(text) if text.isdecimal() else -1)


async def _discard(receive: Receive) -> None:
    """Read what is left of a body and throw it away, within bounds."""
    size = 0
    end = time.monotonic() + _DISCARD_SECONDS
    while size < _MOST_DISCARDED and time.monotonic() < end:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            return
        size += len(message.get("body", b""))
