"""A stand-in for one of the clouds' provider plugins: the engine's protocol, with no cloud behind it.

    python -m planning.plugin PACKAGE [ENGINE]

It refuses what the package's typed SDK doesn't declare, plans replacements by the table in `immutable.py`,
and keeps nothing: what it has "created" is in the stack's state alone.
"""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from planning import functions, outputs
from planning.checking import Fault, faults, value_faults
from planning.clusters import moved
from planning.immutable import replaces, seen
from planning.schema import Kind, Package, UnknownTypeError
from provider.plugin import host
from provider.resource import UNKNOWN, Diff, Properties, changed_paths
from provider.values import diff_response, from_struct, to_struct


class RefusedError(Exception):
    """What the place of a resource says no to; the text is what the engine's user reads."""


class StandIn(provider_pb2_grpc.ResourceProviderServicer):
    """One package's plugin."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._default_tags: dict[str, str] = {}
        self._region = "eu-central-1"
        self._taken: dict[str, set[str]] = {}
        """Names of what is there, by URN: the engine asks without them for the inputs of a replacement."""

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=False, accept_resources=False)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=self._package.version)

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        news = from_struct(request.news)
        declared = self._package.provider.types
        found = [Fault(key, "unknown") for key in news if key not in declared and key not in ("version",)]
        for key, value in _plain(news, declared).items():
            found += value_faults(declared[key], value, key)
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(found))

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        olds, news = from_struct(request.old_inputs), from_struct(request.news)
        paths = [
            path
            for key in sorted({*olds, *news})
            for path in changed_paths(olds.get(key), news.get(key), key)
        ]
        replacing = moved(olds, news) if self._package.name == "kubernetes" else frozenset[str]()
        return diff_response(Diff({path: path in replacing for path in paths}), olds, news)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        config = _plain(from_struct(request.args), self._package.provider.types)
        self._default_tags = (config.get("defaultTags") or {}).get("tags") or {}
        self._region = config.get("region") or self._region
        return provider_pb2.ConfigureResponse(
            acceptSecrets=False, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        def check(kind: Kind) -> Any:
            old = from_struct(request.olds) if len(request.olds) else None
            new = {key: value for key, value in from_struct(request.news).items() if value is not None}
            found = faults(kind, new)
            taken = self._taken.setdefault(request.urn, set())
            if old is not None:
                taken.add(outputs.own_name(kind, old))
            inputs = outputs.named(kind, request.name, old, new, taken)
            return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=_failures(found))

        return self._answer(request, context, check)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        def diff(kind: Kind) -> Any:
            olds, news = from_struct(request.old_inputs), from_struct(request.news)
            paths = [
                path
                for key in sorted({*olds, *news})
                for path in changed_paths(olds.get(key), news.get(key), key)
                if seen(kind.token, path)
            ]
            return diff_response(Diff({path: replaces(kind.token, path) for path in paths}), olds, news)

        return self._answer(request, context, diff)

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        def create(kind: Kind) -> Any:
            inputs = self._tagged(kind, from_struct(request.properties))
            if request.preview:
                return provider_pb2.CreateResponse(properties=to_struct(outputs.preview(kind, inputs)))
            made = outputs.created(kind, request.name, inputs)
            return provider_pb2.CreateResponse(
                id=outputs.identity(kind, request.name, made), properties=to_struct(made)
            )

        return self._answer(request, context, create)

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        def update(kind: Kind) -> Any:
            inputs = self._tagged(kind, from_struct(request.news))
            made = outputs.updated(kind, request.name, from_struct(request.olds), inputs, request.preview)
            return provider_pb2.UpdateResponse(properties=to_struct(made))

        return self._answer(request, context, update)

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        try:
            answer = functions.call(request.tok, from_struct(request.args), self._region)
        except functions.UnknownFunctionError as error:
            _abort(context, str(error))
        # `return`, a word of Python.
        fields: dict[str, Any] = {"return": to_struct(answer)}
        return provider_pb2.InvokeResponse(**fields)

    def _tagged(self, kind: Kind, inputs: Properties) -> Properties:
        """With `tagsAll`, in which the provider's own tags are seen."""
        if "tagsAll" not in kind.outputs:
            return inputs
        return {**inputs, "tagsAll": {**self._default_tags, **(inputs.get("tags") or {})}}

    def _answer(self, request: Any, context: grpc.ServicerContext, make: Callable[[Kind], Any]) -> Any:
        token = request.type or request.urn.split("::")[-2].rsplit("$", 1)[-1]
        try:
            return make(self._package.kind(token))
        except (UnknownTypeError, RefusedError) as error:
            _abort(context, str(error))
        except Exception as error:
            _abort(context, f"a bug in the stand-in ({error!r}):\n{traceback.format_exc()}")


def _plain(config: Properties, declared: Mapping[str, Any]) -> Properties:
    """A provider's configuration with its values as they are meant: all but text come as JSON in a text."""
    found: Properties = {}
    for key, value in config.items():
        if key not in declared or value is UNKNOWN:
            continue
        if isinstance(value, str) and declared[key] is not str:
            with contextlib.suppress(ValueError):
                value: Any = json.loads(value)
        found[key] = value
    return found


def _failures(found: list[Fault]) -> list[Any]:
    return [provider_pb2.CheckFailure(property="", reason=str(fault)) for fault in found]


def _abort(context: grpc.ServicerContext, message: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort raises")


def main() -> None:
    """Serve one package until the engine is gone."""
    host(StandIn(Package(sys.argv[1])))


if __name__ == "__main__":
    main()
