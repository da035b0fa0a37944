"""Pulumi's provider protocol over gRPC, on the SDK's own stubs, for a table of Resource kinds.

Protocol: proto/pulumi/provider.proto of pulumi/pulumi. Requests are served on threads, so resources may block.
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Generator, Mapping
from concurrent import futures
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc

from provider.resource import UNKNOWN, Context, Diff, Properties, ProviderError, Resource

_MESSAGE_LIMIT = 400 * 1024 * 1024
_PARENT_POLL_SECONDS = 0.5


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
        return empty_pb2.Empty()

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._serving(request, context) as (kind, about):
            old = _properties(request.olds) if request.HasField("olds") and len(request.olds) else None
            checked = kind.check(about, old, _properties(request.news))
            return provider_pb2.CheckResponse(
                inputs=_struct(checked.inputs),
                failures=[
                    provider_pb2.CheckFailure(property=f.property, reason=f.reason) for f in checked.failures
                ],
            )

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._serving(request, context) as (kind, about):
            diff = kind.diff(about, request.id, _properties(request.olds), _properties(request.news))
            if diff.remark:
                about.info(diff.remark)
            return _diff_response(diff)

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._serving(request, context) as (kind, about):
            id, outputs = kind.create(about, _properties(request.properties))
            return provider_pb2.CreateResponse(id=id, properties=_struct(outputs))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._serving(request, context) as (kind, about):
            outputs = kind.read(about, request.id, _properties(request.properties))
            if outputs is None:
                return provider_pb2.ReadResponse(id="")
            return provider_pb2.ReadResponse(
                id=request.id, properties=_struct(outputs), inputs=request.inputs
            )

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._serving(request, context) as (kind, about):
            outputs = kind.update(about, request.id, _properties(request.olds), _properties(request.news))
            return provider_pb2.UpdateResponse(properties=_struct(outputs))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._serving(request, context) as (kind, about):
            kind.delete(about, request.id, _properties(request.properties))
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
                self._engine.Log(engine_pb2.LogRequest(severity=severity, message=message, urn=request.urn))  # type: ignore[arg-type]

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


def serve(kinds: Mapping[str, Resource], version: str, engine: str | None) -> None:
    """Serve until the engine is gone. Prints the chosen loopback port on standard output first, as the engine expects."""
    options = [
        ("grpc.max_receive_message_length", _MESSAGE_LIMIT),
        ("grpc.max_send_message_length", _MESSAGE_LIMIT),
    ]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Plugin(kinds, version, engine), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    _exit_with_parent(os.getppid())
    server.wait_for_termination()


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


def _diff_response(diff: Diff) -> Any:
    kinds = provider_pb2.PropertyDiff
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if diff.changes else provider_pb2.DiffResponse.DIFF_NONE,
        replaces=[path for path, replaces in diff.changes.items() if replaces],
        diffs=sorted({path.split(".")[0].split("[")[0] for path in diff.changes}),
        detailedDiff={
            path: kinds(kind=kinds.UPDATE_REPLACE if replaces else kinds.UPDATE, inputDiff=True)
            for path, replaces in diff.changes.items()
        },
        hasDetailedDiff=True,
        deleteBeforeReplace=diff.delete_before_replace,
    )


def _properties(struct: struct_pb2.Struct) -> Properties:
    return {key: _value(value) for key, value in struct.fields.items() if not key.startswith("__")}


def _value(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _properties(value.struct_value)
        case "list_value":
            return [_value(v) for v in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return UNKNOWN if value.string_value == rpc.UNKNOWN else value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def _struct(properties: Properties) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update({key: _plain(value) for key, value in properties.items()})
    return struct


def _plain(value: Any) -> Any:
    if value is UNKNOWN:
        return rpc.UNKNOWN
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]  # pyright: ignore[reportUnknownVariableType]
    return value
