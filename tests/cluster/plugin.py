"""The `kubernetes` provider plugin of these tests: the stand-in of `tests/plan` before a real cluster.

    python -m tests.cluster.plugin [ENGINE]

Objects are applied to the API server of CLUSTER_FILE the way Pulumi's own provider does by default:
server-side, without force, and done when what was applied is there (`ready`); here under strict validation
too. A Helm Release stays with the stand-in: of its chart only the namespace and the definitions come to the
cluster, at the moment at which the chart would be installed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from provider.plugin import host
from provider.resource import Properties
from provider.values import from_struct, to_struct
from tests.cluster.api import (
    DEFINITION,
    DEPLOYMENT,
    SLICE,
    Access,
    Api,
    ApiError,
    Object,
    condition,
)
from tests.cluster.definitions import definitions, named
from tests.plan import outputs
from tests.plan.plugin import RefusedError, StandIn
from tests.plan.schema import Kind, Package
from tests.waiting import eventually

CLUSTER_FILE = "MODEL_DELIVERY_TEST_CLUSTER"
"""The environment variable that has the file of the cluster's Access."""
RELEASE = "kubernetes:helm.sh/v3:Release"
SECONDS = 300
"""The longest that one object may take; Pulumi's own waits for ten minutes."""
_EVERY_SECONDS = 0.1
_SKIP = "pulumi.com/skipAwait"


class ClusterPlugin(StandIn):
    """The plugin, in front of one cluster."""

    def __init__(self, api: Api) -> None:
        super().__init__(Package("kubernetes"))
        self._api = api
        self._stopped = threading.Event()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._stopped.set()
        return empty_pb2.Empty()

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        if request.preview:
            return super().Create(request, context)

        def create(kind: Kind) -> Any:
            inputs = from_struct(request.properties)
            live = self._install(inputs) if kind.token == RELEASE else self._apply(inputs)
            made = {**outputs.created(kind, request.name, inputs), **live}
            identity = outputs.identity(kind, request.name, made)
            return provider_pb2.CreateResponse(id=identity, properties=to_struct(made))

        return self._answer(request, context, self._told(create))

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        if request.preview:
            return super().Update(request, context)

        def update(kind: Kind) -> Any:
            inputs = from_struct(request.news)
            live = self._install(inputs) if kind.token == RELEASE else self._apply(inputs)
            made = outputs.updated(kind, request.name, from_struct(request.olds), inputs, preview=False)
            return provider_pb2.UpdateResponse(properties=to_struct({**made, **live}))

        return self._answer(request, context, self._told(update))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        def delete(kind: Kind) -> Any:
            state = from_struct(request.properties)
            if kind.token != RELEASE:
                path = self._api.at(state)
                self._api.delete(path, propagationPolicy="Background")
                self._until(lambda: "" if self._api.find(path) is None else "it is still there")
            return empty_pb2.Empty()

        return self._answer(request, context, self._told(delete))

    def _told(self, make: Callable[[Kind], Any]) -> Callable[[Kind], Any]:
        """The same, with a refusal in the words of the cluster."""

        def told(kind: Kind) -> Any:
            try:
                return make(kind)
            except (ApiError, TimeoutError) as error:
                raise RefusedError(str(error)) from error

        return told

    def _apply(self, inputs: Properties) -> Properties:
        found = self._api.apply(inputs)
        self._until(lambda: ready(self._api, found))
        # A Secret's plain text is the program's, and a cluster never says it again.
        live = self._api.send("GET", self._api.at(found))
        return {key: value for key, value in live.items() if key != "status"}

    def _install(self, inputs: Properties) -> Properties:
        if inputs.get("createNamespace"):
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": inputs["namespace"]}}
            self._api.apply(space)
        install(self._api, str(inputs["chart"]))
        return {}

    def _until(self, missing: Callable[[], str]) -> None:
        end = time.monotonic() + SECONDS
        while text := missing():
            if time.monotonic() > end or self._stopped.wait(_EVERY_SECONDS):
                raise TimeoutError(f"after {SECONDS} s {text}")


def install(api: Api, chart: str) -> None:
    """Give a cluster the definitions that a chart brings, and wait until it serves them."""
    source = named(chart)
    found = [api.apply(definition) for definition in definitions(source)] if source else []
    for definition in found:
        name = definition["metadata"]["name"]
        eventually(
            f"{name} to be established",
            lambda name=name: condition(api.get(DEFINITION, None, name), "Established") == "True",
            SECONDS,
        )


def ready(api: Api, applied: Object) -> str:
    """What an object still lacks of what Pulumi's provider waits for; empty: nothing. Raises TimeoutError for
    what will never be."""
    if (applied["metadata"].get("annotations") or {}).get(_SKIP) == "true":
        return ""
    wait = _WAITS.get(applied["kind"])
    if wait is None:
        return ""
    return wait(api, api.send("GET", api.at(applied)))


def _deployment(api: Api, live: Object) -> str:
    status = live.get("status", {})
    if status.get("observedGeneration", 0) < live["metadata"]["generation"]:
        return "its controller has not seen it"
    wanted = live["spec"]["replicas"]
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted or available < wanted or status.get("replicas", 0) > updated:
        return f"{updated} of {wanted} pods are new, {available} available"
    return ""


def _job(api: Api, live: Object) -> str:
    if condition(live, "Failed") == "True":
        raise TimeoutError(f"the Job {live['metadata']['name']} has failed: {live['status']}")
    return "" if condition(live, "Complete") == "True" else "it is not complete"


def _service(api: Api, live: Object) -> str:
    name, namespace = live["metadata"]["name"], live["metadata"]["namespace"]
    if not live["spec"].get("selector"):
        return ""
    slices = [s for s in api.list(SLICE, namespace) if _of(s, name)]
    found = [e for s in slices for e in s.get("endpoints") or [] if e["conditions"].get("ready")]
    return "" if found else "no pod of it is ready"


def _of(slice: Mapping[str, Any], service: str) -> bool:
    return (slice["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == service


_WAITS: Mapping[str, Callable[[Api, Object], str]] = {
    DEPLOYMENT.name: _deployment,
    "Job": _job,
    "Service": _service,
}


def main() -> None:
    """Serve until the engine is gone."""
    host(ClusterPlugin(Api(Access.load(Path(os.environ[CLUSTER_FILE])))))


if __name__ == "__main__":
    main()
