"""The resources that the shipped environment files declare, as the policy pack is given them."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from components.environment import Environment, LocalPlatform, read
from components.platform import declare as declare_platform
from components.platform import deliver
from policy.rule import Resource
from policy.testkit import wire
from tests.environments import environment_file
from tests.unit import aws, kubernetes
from tests.unit.graph import Declared, Graph, declare

RELEASE = "delivery:registry:Release"
STEP = "delivery:registry:Step"
ROLLOUT = "delivery:registry:Rollout"
STACK = Resource(type="pulumi:pulumi:Stack", name="model-delivery-prod", properties={}, urn="urn:stack")
FACTS: dict[str, Any] = {
    "digest": f"sha256:{'a' * 64}",
    "source": "s3://mlflow-artifacts/m/1",
    "flavor": "sklearn",
    "signature": {
        "inputs": '[{"type": "double", "name": "age", "required": true}]',
        "outputs": '[{"type": "long", "required": true}]',
    },
    "metrics": {"accuracy": 0.9, "log_loss": 0.3},
    "run": "0123456789abcdef0123456789abcdef",
    "data": f"sha256:{'b' * 64}",
    "commit": "c" * 40,
    "code": "https://git.example.com/models pipeline/training.py",
    "owner": "risk-team",
    "riskClass": "minimal",
    "card": "https://models.example.com/cards/m",
    "approvedBy": "k.meier@example.com",
    "approvedAt": "2026-11-20T10:00:00+00:00",
    "evaluation": "approved",
    "size": 1000.0,
    "registered": "2026-11-19T10:00:00+00:00",
}
"""What the registry says of a release that has everything."""


def as_resource(found: Declared, providers: dict[str, Any]) -> Resource:
    properties = cast("dict[str, Any]", wire(found.inputs))
    if found.type == RELEASE:
        # The provider's check adds these, which mocks don't run.
        properties = {**FACTS, **{k: v for k, v in properties.items() if v is not None}}
    return Resource(
        type=found.type,
        name=found.name,
        urn=found.urn,
        properties=properties,
        protect=found.protect,
        provider=providers.get(found.provider.rpartition("::")[0], {}),
        sources=found.sources,
    )


def resources(graph: Graph) -> list[Resource]:
    providers = {r.urn: r.inputs for r in graph.resources if r.type.startswith("pulumi:providers:")}
    return [*(as_resource(found, providers) for found in graph.resources), STACK]


@cache
def shipped(name: str) -> tuple[Resource, ...]:
    """What the fixture ``Pulumi.NAME.yaml`` declares."""
    environment = read(environment_file(name))
    return tuple(resources(graph_of(environment)))


def graph_of(environment: Environment) -> Graph:
    def answers(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        if isinstance(environment.platform, LocalPlatform):
            if type == RELEASE:
                return {"digest": f"sha256:{name}", "artifact": f"/a/{name}"}
            return {"address": "127.0.0.1:1"} if type == "delivery:local:Process" else {}
        return {**kubernetes.registry(type, name, inputs), **aws.answers(type, name, inputs)}

    def program() -> None:
        place = declare_platform(environment.platform)
        deliver(place, environment.models)

    return declare(program, answers, calls=aws.CALLS)
