"""Pulumi's provider protocol over gRPC, on the SDK's own stubs, for a table of Resource kinds.

Protocol: proto/pulumi/provider.proto of pulumi/pulumi. Requests run on threads, so resources may block.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Generator, Mapping
from concurrent import futures
from contextlib import contextmanager
from typing import Any, NoReturn, cast

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc

from provider.resource import Context, ProviderError, Resource
from provider.values import diff_response, from_struct, to_struct
from provider.waiting import cancel

_MESSAGE_LIMIT = 400 * 1024 * 1024
_PARENT_POLL_SECONDS = 0.5
_GRACE_SECONDS = 10.0


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """Serves the given kinds, keyed by type token (``delivery:local:Process``)."""

    def __init__(self, kinds: Mapping[str, Resource], version: str, engine: str | None) -> None:
        self._kinds = kinds
        self._version = version
        self._engine = _engine_stub(engine)

    # grpc names the methods, hence N802.
    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._engine = _engine_stub(request.engine_address) or self._engine
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=False, accept_resources=False)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._engine = _engine_stub(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=self._version)

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return provider_pb2.ConfigureResponse(
            acceptSecrets=False, supportsPreview=True, acceptResources=False
        )

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        cancel()
        return empty_pb2.Empty()

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._serving(request, context) as (kind, about):
            old = from_struct(request.olds) if request.HasField("olds") and len(request.olds) else None
            checked = kind.check(about, old, from_struct(request.news))
            return provider_pb2.CheckResponse(
                inputs=to_struct(checked.inputs),
                failures=[
                    provider_pb2.CheckFailure(property=f.property, reason=f.reason) for f in checked.failures
                ],
            )

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._serving(request, context) as (kind, about):
            olds, news = from_struct(request.olds), from_struct(request.news)
            diff = kind.diff(about, request.id, olds, news)
            if diff.remark:
                about.info(diff.remark)
            return diff_response(diff, olds, news)

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._serving(request, context) as (kind, about):
            id, outputs = kind.create(about, from_struct(request.properties))
            return provider_pb2.CreateResponse(id=id, properties=to_struct(outputs))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._serving(request, context) as (kind, about):
            state, inputs = from_struct(request.properties), from_struct(request.inputs)
            outputs = kind.read(about, request.id, state)
            if outputs is None:
                return provider_pb2.ReadResponse(id="")
            # What was changed by hand: a refresh shows it, and the next preview says what it goes back to.
            found = {key: outputs[key] for key in inputs if key in outputs and outputs[key] != state.get(key)}
            return provider_pb2.ReadResponse(
                id=request.id, properties=to_struct(outputs), inputs=to_struct({**inputs, **found})
            )

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._serving(request, context) as (kind, about):
            outputs = kind.update(about, request.id, from_struct(request.olds), from_struct(request.news))
            return provider_pb2.UpdateResponse(properties=to_struct(outputs))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._serving(request, context) as (kind, about):
            kind.delete(about, request.id, from_struct(request.properties))
            return empty_pb2.Empty()

    @contextmanager
    def _serving(self, request: Any, context: grpc.ServicerContext) -> Generator[tuple[Resource, Context]]:
        token, name = request.urn.split("::")[-2].rsplit("$", 1)[-1], request.urn.split("::")[-1]
        kind = self._kinds.get(token)
        if kind is None:
            _abort(
                context, f"unknown resource type {token}; this provider has {', '.join(sorted(self._kinds))}"
            )

        def log(severity: int, message: str) -> None:
            if self._engine is not None:
                self._engine.Log(
                    engine_pb2.LogRequest(severity=cast(Any, severity), message=message, urn=request.urn)
                )

        about = Context(
            name=name,
            preview=bool(getattr(request, "preview", False)),
            info=lambda message: log(engine_pb2.INFO, message),
            warn=lambda message: log(engine_pb2.WARNING, message),
        )
        try:
            yield kind, about
        except ProviderError as error:
            _abort(context, str(error))
        except Exception as error:
            trace = traceback.format_exc()
            _abort(
                context,
                f"a bug in the provider ({type(error).__name__}: {error}); please report it:\n{trace}",
            )


def serve(kinds: Mapping[str, Resource], version: str, engine: str | None) -> NoReturn:
    """Serve these kinds until the engine is gone, and end this process."""
    host(Plugin(kinds, version, engine))


def host(servicer: provider_pb2_grpc.ResourceProviderServicer) -> NoReturn:
    """Serve a plugin until the engine is gone, and end this process. Prints the port on standard output, as
    the engine expects."""
    options = [
        ("grpc.max_receive_message_length", _MESSAGE_LIMIT),
        ("grpc.max_send_message_length", _MESSAGE_LIMIT),
    ]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: ended.set())
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    _exit_with_parent(os.getppid())
    ended.wait()
    # What is under way gets the time to put things back in order.
    cancel()
    server.stop(_GRACE_SECONDS).wait()
    # The engine ends its plugins one after another and has 5 s for all of them: one that it then has no time
    # to ask is reported as crashed ("exited prematurely"). Python's own end takes seconds on a busy machine.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _exit_with_parent(parent: int) -> None:
    # A killed engine can't ask its plugins to stop; an orphan would hold the run folder's locks.
    def watch() -> None:
        tick = threading.Event()
        while os.getppid() == parent:
            tick.wait(_PARENT_POLL_SECONDS)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _engine_stub(address: str | None) -> Any:
    if not address:
        return None
    return engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))


def _abort(context: grpc.ServicerContext, message: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort raises")
