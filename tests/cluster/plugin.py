"""The `kubernetes` provider plugin of these tests: Pulumi's own, but for charts.

    python -m tests.cluster.plugin [ENGINE]

Every request goes to Pulumi's provider, except those about a Helm Release: no chart can be had from a package
registry. Of a chart only the namespace and the definitions among its templates come to the cluster, at the
moment at which the chart would be installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from planning.plugin import RefusedError, StandIn
from planning.schema import Package
from provider.plugin import host
from provider.resource import Properties
from provider.values import from_struct
from tests.cluster.api import DEFINITION, Access, Api, ApiError, Object, condition
from tests.cluster.definitions import definitions, named
from tests.waiting import eventually

CLUSTER_FILE = "MODEL_DELIVERY_TEST_CLUSTER"
"""The environment variable that has the file of the cluster's Access."""
PROVIDER_FILE = "MODEL_DELIVERY_TEST_PROVIDER"
"""The environment variable that has the file of Pulumi's provider."""
RELEASE = "kubernetes:helm.sh/v3:Release"
SECONDS = 300
"""The longest that one chart's definitions may take."""
UNLIMITED = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # What is made and isn't ready comes back in the metadata of an error.
    ("grpc.max_metadata_size", 16 << 20),
    ("grpc.absolute_max_metadata_size", 16 << 20),
]


class Charts(StandIn):
    """What answers for Helm Releases."""

    def __init__(self, api: Api) -> None:
        super().__init__(Package("kubernetes"))
        self._api = api

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        if not request.preview:
            self._answer(request, context, lambda _: self._install(from_struct(request.properties)))
        return super().Create(request, context)

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        if not request.preview:
            self._answer(request, context, lambda _: self._install(from_struct(request.news)))
        return super().Update(request, context)

    def _install(self, inputs: Properties) -> None:
        try:
            if inputs.get("createNamespace"):
                space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": inputs["namespace"]}}
                self._api.apply(space)
            install(self._api, str(inputs["chart"]))
        except (ApiError, TimeoutError) as error:
            raise RefusedError(str(error)) from error


def plugin(charts: Charts, channel: grpc.Channel) -> provider_pb2_grpc.ResourceProviderServicer:
    """A provider that asks ``charts`` about Releases, and the provider behind ``channel`` about all else."""
    pulumi = provider_pb2_grpc.ResourceProviderStub(channel)

    def method(name: str) -> Callable[[Any, Any, grpc.ServicerContext], Any]:
        def answer(_: object, request: Any, context: grpc.ServicerContext) -> Any:
            if _type(request) == RELEASE:
                return getattr(charts, name)(request, context)
            try:
                return getattr(pulumi, name)(request)
            except grpc.RpcError as error:
                return _passed_on(error, context)

        return answer

    names = [name for name in vars(provider_pb2_grpc.ResourceProviderServicer) if not name.startswith("_")]
    methods = {name: method(name) for name in names}
    return type("Plugin", (provider_pb2_grpc.ResourceProviderServicer,), methods)()


def _type(request: Any) -> str:
    if not hasattr(request, "urn"):
        return ""
    return str(request.urn).split("::")[-2].rsplit("$", 1)[-1] if request.urn else ""


def _passed_on(error: Any, context: grpc.ServicerContext) -> Any:
    """The same failure, with the details by which the engine knows what was made and isn't ready."""
    context.set_trailing_metadata(error.trailing_metadata() or ())
    context.abort(error.code(), error.details())


def install(api: Api, chart: str) -> None:
    """Give a cluster the definitions among a chart's templates, and wait until it serves them."""
    source = named(chart)
    establish(api, definitions(source) if source else [])


def establish(api: Api, wanted: Sequence[Object]) -> None:
    """Apply definitions, and wait until the cluster serves them."""
    for definition in [api.apply(each) for each in wanted]:
        name = definition["metadata"]["name"]
        eventually(
            f"{name} to be established",
            lambda name=name: condition(api.get(DEFINITION, None, name), "Established") == "True",
            SECONDS,
        )


def main() -> None:
    """Serve until the engine is gone, which ends the provider as well: it is in our process group."""
    provider = subprocess.Popen(
        [os.environ[PROVIDER_FILE], *sys.argv[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    assert provider.stdout
    port = int(provider.stdout.readline())
    charts = Charts(Api(Access.load(Path(os.environ[CLUSTER_FILE]))))
    host(plugin(charts, grpc.insecure_channel(f"127.0.0.1:{port}", options=UNLIMITED)))


if __name__ == "__main__":
    main()
