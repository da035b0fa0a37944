"""The ASGI application: inference as a plain callable, everything else on FastAPI behind it."""

import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serving import api
from serving.service import RefusedError, Route, Service, State

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_JSON = (b"content-type", b"application/json")
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
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = int(value) if value.isdigit() else 0
            elif name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                identifier = value
        request_id = identifier.decode("ascii") if identifier else self.service.new_id()
        body, unread = await self._body(length, parts, receive)
        if body is None:
            return
        answer = await self.service.infer(route, body, request_id, start)
        content = answer.body
        headers = [
            _JSON,
            (b"content-length", b"%d" % len(content)),
            self._version,
            (b"x-request-id", identifier or request_id.encode("ascii")),
        ]
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


async def _discard(receive: Receive) -> None:
    """Read what is left of a body and throw it away, within bounds."""
    size = 0
    end = time.monotonic() + _DISCARD_SECONDS
    while size < _MOST_DISCARDED and time.monotonic() < end:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            return
        size += len(message.get("body", b""))
