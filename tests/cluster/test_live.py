"""The objects of a stack fit each other, as a real cluster's controllers find them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.cluster.api import (
    AUTOSCALER,
    BUDGET,
    DEPLOYMENT,
    NETWORK_POLICY,
    POD,
    ROUTE,
    SERVICE,
    SLICE,
    Api,
    Kind,
    Object,
    condition,
)
from tests.cluster.stack import SPACE, ClusterStack
from tests.waiting import eventually

pytestmark = pytest.mark.cluster

MONITOR = Kind("monitoring.coreos.com/v1", "ServiceMonitor")
RELEASES = {"fraud-v3", "fraud-v4", "vision-v7", "vision-v8"}


def chosen(selector: Mapping[str, str], among: list[Object]) -> set[str]:
    """Names of the objects that have all labels of a selector."""
    found = [o for o in among if selector.items() <= (o["metadata"].get("labels") or {}).items()]
    return {o["metadata"]["name"] for o in found}


def owned(name: str, pods: list[Object]) -> set[str]:
    """Names of a Deployment's pods, by who made them, not by their labels."""
    prefix = f"{name}-"
    return {
        pod["metadata"]["name"]
        for pod in pods
        for owner in pod["metadata"].get("ownerReferences", [])
        if owner["kind"] == "ReplicaSet" and owner["name"].rpartition("-")[0] + "-" == prefix
    }


def test_what_belongs_to_a_release_finds_its_pods_and_no_others(api: Api, canary: ClusterStack) -> None:
    pods = api.list(POD, SPACE)
    assert len(pods) > sum(len(owned(name, pods)) for name in RELEASES) > len(RELEASES), (
        "other pods are there too"
    )
    for name in RELEASES:
        mine = owned(name, pods)
        service = api.get(SERVICE, SPACE, name)
        assert chosen(service["spec"]["selector"], pods) == mine
        policy = api.get(NETWORK_POLICY, SPACE, name)
        assert chosen(policy["spec"]["podSelector"]["matchLabels"], pods) == mine
        budget = eventually(f"the budget of {name}", lambda name=name: counted(api, name))
        assert budget["expectedPods"] == budget["currentHealthy"] == len(mine)
        assert budget["disruptionsAllowed"] >= 1


def counted(api: Api, name: str) -> dict[str, Any] | None:
    """A budget's status once it is one of pods that are all ready."""
    status = api.get(BUDGET, SPACE, name).get("status", {})
    return status if 0 < status.get("expectedPods", 0) == status.get("currentHealthy") else None


def test_services_lead_to_the_servers_port_of_ready_pods(api: Api, canary: ClusterStack) -> None:
    pods = api.list(POD, SPACE)
    for name in {*RELEASES, "tracking"}:
        (port,) = api.get(SERVICE, SPACE, name)["spec"]["ports"]
        mine = owned(name, pods)
        slices = eventually(f"the endpoints of {name}", lambda name=name, mine=mine: leading(api, name, mine))
        assert {p["port"] for s in slices for p in s["ports"]} == {port["port"]}


def leading(api: Api, service: str, pods: set[str]) -> list[Object]:
    """A Service's slices once they lead to exactly these pods, all ready."""
    found = [
        s for s in api.list(SLICE, SPACE) if s["metadata"]["labels"]["kubernetes.io/service-name"] == service
    ]
    endpoints = [e for s in found for e in s.get("endpoints") or []]
    ready = {e["targetRef"]["name"] for e in endpoints if e["conditions"]["ready"]}
    return found if ready == pods else []


def test_the_autoscaler_has_its_deployment_and_its_minimum(api: Api, canary: ClusterStack) -> None:
    for name in RELEASES:
        scaler = eventually(
            f"the autoscaler of {name}", lambda name=name: scaling(api.get(AUTOSCALER, SPACE, name))
        )
        replicas = api.get(DEPLOYMENT, SPACE, name)["spec"]["replicas"]
        assert replicas == scaler["spec"]["minReplicas"] == scaler["status"]["currentReplicas"]


def scaling(scaler: Object) -> Object | None:
    return scaler if condition(scaler, "AbleToScale") == "True" else None


def test_routes_name_services_and_ports_that_are_there(api: Api, canary: ClusterStack) -> None:
    seen: set[str] = set()
    for route in api.list(ROUTE, SPACE):
        for rule in route["spec"]["rules"]:
            mirrors = [
                f["requestMirror"]["backendRef"] for f in rule.get("filters", []) if "requestMirror" in f
            ]
            for backend in [*rule["backendRefs"], *mirrors]:
                service = api.get(SERVICE, SPACE, backend["name"])
                assert backend["port"] in {p["port"] for p in service["spec"]["ports"]}
                seen.add(backend["name"])
    assert seen == {*RELEASES, "tracking"}


def test_prometheus_finds_each_release_by_one_service(api: Api, canary: ClusterStack) -> None:
    (monitor,) = api.list(MONITOR, SPACE)
    (endpoint,) = monitor["spec"]["endpoints"]
    needed = [e["key"] for e in monitor["spec"]["selector"]["matchExpressions"] if e["operator"] == "Exists"]
    services = [s for s in api.list(SERVICE, SPACE) if all(key in s["metadata"]["labels"] for key in needed)]
    assert chosen(monitor["spec"]["selector"]["matchLabels"], services) == RELEASES
    for service in services:
        assert endpoint["port"] in {p["name"] for p in service["spec"]["ports"]}
