"""The same models block gives the same percentages on every runtime: each runtime's own words, read back."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

from components.environment import CAPABILITIES, Platform, Runtime, parse
from tests.unit.aws import amazon
from tests.unit.azure import TRAFFIC, azure, needs_sdk
from tests.unit.gcp import URL_MAP, google
from tests.unit.graph import Graph
from tests.unit.kubernetes import ROUTE, declared, kubernetes

Effective = tuple[dict[int, int], set[int]]
"""The percentage of the requests that each version answers, and the versions that get a copy of every one."""

BLOCKS: dict[str, tuple[dict[str, Any], Effective]] = {
    "all to stable": ({}, ({3: 100}, set())),
    "a canary": ({"canary": {"version": 4, "weight": 10}}, ({3: 90, 4: 10}, set())),
    "one in a hundred": ({"canary": {"version": 4, "weight": 1}}, ({3: 99, 4: 1}, set())),
    "a third": ({"canary": {"version": 4, "weight": 33}}, ({3: 67, 4: 33}, set())),
    "blue": ({"canary": {"version": 4, "weight": 0}}, ({3: 100, 4: 0}, set())),
    "green": ({"canary": {"version": 4, "weight": 100}}, ({3: 0, 4: 100}, set())),
    "a shadow": ({"canary": {"version": 4, "shadow": True}}, ({3: 100}, {4})),
}


def by_the_local_route(graph: Graph, model: str) -> Effective:
    backends = graph.one("delivery:local:Route", model).inputs["backends"]
    answering = {int(b["version"]): int(b["weight"]) for b in backends if not b["shadow"]}
    return answering, {int(b["version"]) for b in backends if b["shadow"]}


def by_the_gateway_api(graph: Graph, model: str) -> Effective:
    (rule,) = graph.one(ROUTE, model).inputs["spec"]["rules"]
    total = sum(backend["weight"] for backend in rule["backendRefs"])
    answering = {version(b["name"]): round(100 * b["weight"] / total) for b in rule["backendRefs"]}
    mirrors = [f["requestMirror"] for f in rule["filters"] if f["type"] == "RequestMirror"]
    # Without a percentage or a fraction a mirror copies every request.
    assert all(mirror.keys() == {"backendRef"} for mirror in mirrors)
    return answering, {version(mirror["backendRef"]["name"]) for mirror in mirrors}


def by_the_target_groups(graph: Graph, model: str) -> Effective:
    (action,) = graph.one("aws:lb/listenerRule:ListenerRule", model).inputs["actions"]
    groups = action["forward"]["targetGroups"]
    total = sum(group["weight"] for group in groups)
    return {version(group["arn"]): round(100 * group["weight"] / total) for group in groups}, set()


def by_the_variants(graph: Graph, model: str) -> Effective:
    kind = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
    (name,) = (name for name in graph.names(kind) if re.match(rf"{model}\b", name))
    configuration = graph.one(kind, name).inputs
    production = configuration["productionVariants"]
    shadows = configuration.get("shadowProductionVariants") or []
    total = sum(variant["initialVariantWeight"] for variant in production)
    # SageMaker copies to a shadow the share that its weight is of all production weights.
    assert all(shadow["initialVariantWeight"] == total for shadow in shadows)
    answering = {
        version(variant["modelName"]): round(100 * variant["initialVariantWeight"] / total)
        for variant in production
    }
    return answering, {version(shadow["modelName"]) for shadow in shadows}


def by_the_url_map(graph: Graph, model: str) -> Effective:
    backends = graph.one(URL_MAP, model).inputs["defaultRouteAction"]["weightedBackendServices"]
    total = sum(backend["weight"] for backend in backends)
    # A release that is there and not in the map has no traffic.
    there = graph.names("gcp:compute/regionBackendService:RegionBackendService")
    shares = {version(name): 0 for name in there if name.startswith(f"{model}-")}
    shares |= {version(b["backendService"]): round(100 * b["weight"] / total) for b in backends}
    # What is behind each is one service, all of whose traffic one release answers.
    for release in shares:
        name = f"{model}-v{release}"
        (group,) = graph.one("gcp:compute/regionBackendService:RegionBackendService", name).inputs["backends"]
        assert version(group["group"]) == release
        kind = "gcp:compute/regionNetworkEndpointGroup:RegionNetworkEndpointGroup"
        assert version(graph.one(kind, name).inputs["cloudRun"]["service"]) == release
        service = graph.one("gcp:cloudrunv2/service:Service", name).inputs
        variables = {e["name"]: e["value"] for e in service["template"]["containers"][0]["envs"]}
        assert variables["SERVING_VERSION"] == str(release)
        assert [traffic["percent"] for traffic in service["traffics"]] == [100]
    return shares, set()


def by_the_traffic_map(graph: Graph, model: str) -> Effective:
    template = graph.one(TRAFFIC, f"{model}-traffic").inputs["properties"]["template"]
    (endpoint,) = template["resources"]
    shares = endpoint["properties"]["traffic"]
    assert sum(shares.values()) == 100, "Azure takes no other sum"
    return {version(name): round(weight) for name, weight in shares.items()}, set()


def version(name: str) -> int:
    """The version in the name of a release."""
    (found,) = re.findall(r"-v([0-9]+)", name)
    return int(found)


Declare = Callable[[dict[str, Any]], tuple[Graph, dict[str, Any]]]


def here(models: dict[str, Any]) -> tuple[Graph, dict[str, Any]]:
    return declared(parse({"kind": "local"}, models))


def on_aws(models: dict[str, Any]) -> tuple[Graph, dict[str, Any]]:
    graph, endpoints, _ = amazon(models)
    return graph, endpoints


def on_gcp(models: dict[str, Any]) -> tuple[Graph, dict[str, Any]]:
    graph, endpoints, _ = google(models)
    return graph, endpoints


RUNTIMES: dict[str, tuple[Runtime, Declare, Callable[[Graph, str], Effective]]] = {
    "local": ("local", here, by_the_local_route),
    "kubernetes": ("kubernetes", kubernetes, by_the_gateway_api),
    "kubernetes on aws": ("kubernetes", on_aws, by_the_gateway_api),
    "lambda": ("lambda", on_aws, by_the_target_groups),
    "sagemaker": ("sagemaker", on_aws, by_the_variants),
    "kubernetes on gcp": ("kubernetes", on_gcp, by_the_gateway_api),
    "cloud-run": ("cloud-run", on_gcp, by_the_url_map),
    "azure-ml": ("azure-ml", azure, by_the_traffic_map),
}
MODELS = {block: f"m{number}" for number, block in enumerate(BLOCKS)}
"""Every block is that of a model of its own: what one says is nothing to the others."""


def possible(runtime: Runtime) -> list[str]:
    """The blocks that a runtime takes."""
    return [
        block for block, (_, (_, shadows)) in BLOCKS.items() if not (shadows and CAPABILITIES[runtime].shadow)
    ]


CASES = [
    pytest.param(where, block, marks=[needs_sdk] if runtime == "azure-ml" else [])
    for where, (runtime, _, _) in RUNTIMES.items()
    for block in possible(runtime)
]


@cache
def served(where: str) -> tuple[Graph, dict[str, Any]]:
    """The graph of a platform with all models, and their endpoints."""
    runtime, declare, _ = RUNTIMES[where]
    keys = {block: {"runtime": runtime, "stable": {"version": 3}, **BLOCKS[block][0]} for block in BLOCKS}
    return declare({MODELS[block]: keys[block] for block in possible(runtime)})


@pytest.mark.parametrize(("where", "block"), CASES)
def test_the_same_block_is_the_same_percentages(
    where: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_DELIVERY_HOME", str(tmp_path))
    _, _, read_back = RUNTIMES[where]
    _, expected = BLOCKS[block]
    graph, endpoints = served(where)
    assert read_back(graph, MODELS[block]) == expected
    answering, shadows = expected
    released = endpoints[MODELS[block]]["releases"]
    assert {r["version"]: r["weight"] for r in released if not r["shadow"]} == answering
    assert {r["version"] for r in released if r["shadow"]} == shadows


def test_every_runtime_of_every_platform_is_in_the_table() -> None:
    offered = {runtime for platform in get_args(Platform) for runtime in platform.runtimes}
    assert {runtime for runtime, _, _ in RUNTIMES.values()} == offered
