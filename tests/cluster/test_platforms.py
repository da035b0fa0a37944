"""What other platforms put into a cluster, and what KEDA adds, a real API server takes too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.kubernetes.crds import apply
from components.kubernetes.definitions import FOLDER
from planning.stack import PlannedStack
from tests.cluster.api import DEFINITION, NAMESPACE, Api, Object
from tests.cluster.comparing import drift, title
from tests.cluster.definitions import KEPT, OF_CHARTS
from tests.cluster.plugin import establish, install
from tests.cluster.stack import HELM, PLATFORM, fraud, objects, written
from tests.environments import environment_file

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def defined(api: Api) -> Api:
    """The cluster with the definitions of every chart."""
    for chart in OF_CHARTS:
        install(api, chart.chart)
    for name in KEPT:
        missing = [
            each
            for each in apply.read(FOLDER / f"{name}.json.xz").objects
            if api.find(api.path(DEFINITION, None, each["metadata"]["name"])) is None
        ]
        establish(api, missing)
    return api


def tried(api: Api, stack: PlannedStack) -> dict[str, list[str]]:
    """What the API server makes of each object of a stack, none of which stays: its differences."""
    resources = inputs(stack)
    spaces = {found["namespace"] for kind, found in resources if kind == HELM}
    declared = objects(resources)
    named = {found["metadata"].get("namespace") for found in declared} - {None}
    for space in sorted(spaces | named):
        if api.find(api.path(NAMESPACE, None, space)) is None:
            api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    found = {title(each): drift(public(each), api.apply(told(each), dry=True)) for each in declared}
    assert {each["kind"] for each in declared} >= {"Deployment", "HTTPRoute", "ServiceMonitor", "Gateway"}
    return {name: differences for name, differences in found.items() if differences}


def inputs(stack: PlannedStack) -> list[tuple[str, dict[str, Any]]]:
    """The type and the inputs of each resource in a stack's state."""
    (file,) = stack.state.glob(f"**/stacks/*/{stack.name}.json")
    resources = json.loads(file.read_text())["checkpoint"]["latest"]["resources"]
    return [(found["type"], found.get("inputs") or {}) for found in resources]


def told(declared: Object) -> Object:
    """An object with some text where the state hides a Secret's."""
    return {**declared, "stringData": {"hidden": "in the state"}} if "stringData" in declared else declared


def public(declared: Object) -> Object:
    """Without what a cluster is told, but never says."""
    return {key: value for key, value in declared.items() if key != "stringData"}


def applied(folder: Path, name: str, content: dict[str, Any]) -> PlannedStack:
    """A stack on the stand-ins of `planning`, in which nothing is unknown any more."""
    stack = PlannedStack(folder, name)
    stack.declare(yaml.safe_dump(content))
    stack.up()
    return stack


def test_with_keda(defined: Api, tmp_path: Path) -> None:
    scaling = {"min": 0, "max": 5, "requestsPerSecond": 50}
    models = {
        "asleep": {"stable": {"version": 1}, "canary": {"version": 2, "weight": 5}, "autoscaling": scaling},
        "vision": {
            "stable": {"version": 7},
            "resources": {"gpu": 1},
            "autoscaling": {"min": 1, "max": 4, "requestsPerSecond": 20, "gpuUtilization": 60},
        },
        "fraud": fraud(canary={"version": 4, "weight": 10}),
    }
    platform = {**PLATFORM, "keda": "install", "namespace": "with-keda"}
    stack = applied(tmp_path / "stack", "keda", yaml.safe_load(written(models, platform)))
    kinds = {found["kind"] for found in objects(inputs(stack))}
    assert kinds >= {"ScaledObject", "InterceptorRoute", "ReferenceGrant"}
    assert tried(defined, stack) == {}


@pytest.mark.parametrize("name", ["prod", "gcp"])
def test_the_cluster_of_a_cloud(defined: Api, tmp_path: Path, name: str) -> None:
    content = yaml.safe_load(environment_file(name).read_text())
    content["config"]["model-delivery:platform"]["namespace"] = f"of-{name}"
    assert tried(defined, applied(tmp_path / "stack", name, content)) == {}
