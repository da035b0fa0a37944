"""The rule on callers, asked about what the program declares."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from policy.rule import Case, Resource, judge
from policy.rules.callers import RULES
from policy.settings import Settings
from tests.unit import gcp
from tests.unit.graph import Graph
from tests.unit.kubernetes import ROUTE, kubernetes

STABLE = {"stable": {"version": 3}}
KEYS = {"apiKeys": {"secret": "callers"}}
(RULE,) = RULES


def found(graph: Graph) -> set[str]:
    """The routes that the rule says something of."""
    stack = [Resource(type=r.type, name=r.name, properties=r.inputs) for r in graph.resources]
    routes = [resource for resource in stack if resource.type == ROUTE]
    assert routes
    cases = [Case(resource=r, settings=Settings(), now=datetime.now(UTC), stack=stack) for r in routes]
    verdicts = [(case.resource.name, judge(RULE, case)) for case in cases]
    assert not [verdict for _, verdict in verdicts if verdict.undecided]
    return {name for name, verdict in verdicts if verdict.findings}


def declared(models: dict[str, Any], **gateway: Any) -> Graph:
    https: dict[str, Any] = {"url": "https://models.example.com", "gateway": {"tlsSecret": "tls", **gateway}}
    return kubernetes(models, **https)[0]


@pytest.mark.parametrize(
    ("model", "gateway", "open_to_all"),
    [
        ({}, {}, True),
        ({"rateLimit": {"requestsPerSecond": 5}}, {}, True),
        ({"authentication": KEYS}, {}, False),
        ({}, {"authentication": KEYS}, False),
        ({"authentication": "none"}, {"authentication": KEYS}, True),
    ],
)
def test_a_model_that_anyone_may_call_is_named(
    model: dict[str, Any], gateway: dict[str, Any], open_to_all: bool
) -> None:
    models = {"churn": {**STABLE, **model}, "keyed": {**STABLE, "authentication": KEYS}}
    assert found(declared(models, **gateway)) == ({"churn"} if open_to_all else set())


def test_behind_a_load_balancer_that_stays_inside_nothing_is_said() -> None:
    graph, _, _ = gcp.google({"churn": {**STABLE, "runtime": "kubernetes"}})
    assert found(graph) == set()
