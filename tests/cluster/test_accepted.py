"""A real API server takes what the program declares, keeps it as declared, and would change nothing again."""

from __future__ import annotations

import pytest

from tests.cluster.api import DEPLOYMENT, NAMESPACE, POD, REPLICA_SET, Api, ApiError, condition
from tests.cluster.comparing import drift, reapplied, title
from tests.cluster.stack import SPACE, ClusterStack

pytestmark = pytest.mark.cluster


def test_every_object_is_there_as_it_was_declared(api: Api, canary: ClusterStack) -> None:
    declared = canary.objects()
    assert {found["kind"] for found in declared} >= {
        *("Namespace", "Deployment", "Service", "ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Job"),
        *("HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "PersistentVolumeClaim"),
        *("HTTPRoute", "Gateway", "GatewayClass", "EnvoyProxy", "SecurityPolicy"),
        *("ClientTrafficPolicy", "BackendTrafficPolicy"),
        *("ServiceMonitor", "PrometheusRule"),
    }
    found = {title(each): drift(each, api.send("GET", api.at(each))) for each in declared}
    assert {name: differences for name, differences in found.items() if differences} == {}


def test_neither_a_preview_nor_an_apply_would_change_anything_again(api: Api, canary: ClusterStack) -> None:
    assert {(step.op, step.name) for step in canary.steps() if step.op != "same"} == set()
    api.warnings.clear()
    found = {title(each): reapplied(api, each) for each in canary.objects()}
    assert {name: differences for name, differences in found.items() if differences} == {}
    # Versions of an API that will go, pods that Pod Security would refuse, fields given twice.
    assert api.warnings == []


def test_the_models_namespace_takes_hardened_pods_and_no_other(api: Api, canary: ClusterStack) -> None:
    labels = api.get(NAMESPACE, None, SPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    sets = api.list(REPLICA_SET, SPACE)
    assert {s["metadata"]["labels"].get("model-delivery/model", "tracking") for s in sets} == {
        *("fraud", "vision", "tracking"),
    }
    for each in sets:
        assert condition(each, "ReplicaFailure") == "", each["status"]
        assert each["status"]["replicas"] == each["spec"]["replicas"] > 0
    bare = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bare", "namespace": SPACE},
        "spec": {"containers": [{"name": "bare", "image": "anything"}]},
    }
    with pytest.raises(ApiError, match="violates PodSecurity"):
        api.apply(bare, dry=True)


def test_pods_of_a_gpu_model_are_on_the_node_that_has_gpus_and_others_are_not(
    api: Api, canary: ClusterStack
) -> None:
    nodes = {"fraud": set[str](), "vision": set[str]()}
    for pod in api.list(POD, SPACE):
        if model := pod["metadata"]["labels"].get("model-delivery/model"):
            nodes[model].add(pod["spec"]["nodeName"])
    # Two zones, spread by the constraints; the GPU node is tainted.
    assert nodes == {"fraud": {"a", "b"}, "vision": {"gpu"}}
    assert {
        d["metadata"]["name"] for d in api.list(DEPLOYMENT, SPACE) if condition(d, "Available") == "True"
    } == {
        *("fraud-v3", "fraud-v4", "vision-v7", "vision-v8", "tracking"),
    }
