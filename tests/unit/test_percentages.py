"""The same models block gives the same percentages on every runtime: each runtime's own words, read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.environment import parse
from components.traffic import shares
from tests.unit.graph import Graph
from tests.unit.kubernetes import PLATFORM, ROUTE, declared

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


def by_the_local_route(graph: Graph) -> Effective:
    backends = graph.one("delivery:local:Route", "churn").inputs["backends"]
    answering = {int(b["version"]): int(b["weight"]) for b in backends if not b["shadow"]}
    return answering, {int(b["version"]) for b in backends if b["shadow"]}


def by_the_gateway_api(graph: Graph) -> Effective:
    (rule,) = graph.one(ROUTE, "churn").inputs["spec"]["rules"]
    total = sum(backend["weight"] for backend in rule["backendRefs"])
    answering = {version(b["name"]): round(100 * b["weight"] / total) for b in rule["backendRefs"]}
    mirrors = [f["requestMirror"] for f in rule["filters"] if f["type"] == "RequestMirror"]
    # Without a percentage or a fraction a mirror copies every request.
    assert all(mirror.keys() == {"backendRef"} for mirror in mirrors)
    return answering, {version(mirror["backendRef"]["name"]) for mirror in mirrors}


def version(service: str) -> int:
    return int(service.rpartition("-v")[2])


RUNTIMES: dict[str, tuple[dict[str, Any], Callable[[Graph], Effective]]] = {
    "local": ({"kind": "local"}, by_the_local_route),
    "kubernetes": (PLATFORM, by_the_gateway_api),
}


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_same_block_is_the_same_percentages(
    runtime: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_DELIVERY_HOME", str(tmp_path))
    platform, read_back = RUNTIMES[runtime]
    keys, expected = BLOCKS[block]
    environment = parse(platform, {"churn": {"stable": {"version": 3}, **keys}})
    assert environment.models[0].runtime == runtime
    graph, endpoints = declared(environment)
    assert read_back(graph) == expected
    answering, shadows = expected
    released = endpoints["churn"]["releases"]
    assert {r["version"]: r["weight"] for r in released if not r["shadow"]} == answering
    assert {r["version"] for r in released if r["shadow"]} == shadows
    assert sum(share.weight for share in shares(environment.models[0])) == 100
