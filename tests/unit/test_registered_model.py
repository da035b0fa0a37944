"""On every runtime, another name of the registered model changes what the registry is asked, nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from components.environment import AzurePlatform, Environment, GcpPlatform, parse, read
from components.platform import declare as declare_platform
from components.platform import deliver
from tests.environments import environment_file
from tests.policy.declared import RELEASE, ROLLOUT, STEP, graph_of
from tests.unit import azure, gcp
from tests.unit.graph import Graph, declare

SECRET = "1b47061264138c4ac30d75fd1eb44270"
"""How the engine marks a secret value."""
AZURE = {"churn": {"stable": {"version": 3}, "canary": {"version": 4, "weight": 10}}}


def environment(name: str) -> Environment:
    return parse(azure.PLATFORM, AZURE) if name == "azure" else read(environment_file(name))


def declared(environment: Environment) -> Graph:
    match environment.platform:
        case AzurePlatform():
            answers, calls = azure.answers, None
        case GcpPlatform():
            answers, calls = gcp.answers, gcp.CALLS
        case _:
            return graph_of(environment)

    def program() -> None:
        platform = declare_platform(environment.platform)
        deliver(platform, environment.models)

    return declare(program, answers, calls=calls)


def renamed(environment: Environment) -> Environment:
    """The same, of models that the registry has in a catalog."""
    models = (replace(model, registered_model=f"main.ml.{model.name}") for model in environment.models)
    return replace(environment, models=tuple(models))


def rest(graph: Graph) -> dict[tuple[str, str], str]:
    """All that is declared but releases, rollouts and passwords, which are made anew each time."""
    return {
        (found.type, found.name): json.dumps(asdict(found), default=sorted, sort_keys=True)
        for found in graph.resources
        if found.type not in (RELEASE, STEP, ROLLOUT)
        and not found.secrets
        and SECRET not in str(found.inputs)
    }


@pytest.mark.parametrize(
    "name", ["local", "dev", "prod", "gcp", pytest.param("azure", marks=azure.needs_sdk)]
)
def test_the_registry_is_asked_by_its_name_and_the_rest_stays(name: str) -> None:
    plain = environment(name)
    before, after = declared(plain), declared(renamed(plain))
    releases = [found for found in after.resources if found.type == RELEASE]
    assert len(releases) >= len(plain.models) > 0
    for found in releases:
        endpoint = found.name.rpartition("-v")[0]
        assert (found.inputs["model"], found.inputs["endpoint"]) == (f"main.ml.{endpoint}", endpoint)
    for found in before.resources:
        if found.type == RELEASE:
            assert "endpoint" not in found.inputs, "the inputs of existing stacks stay as they are"
    rollouts = {r.name: r.inputs for r in after.resources if r.type == ROLLOUT}
    assert {n: r["registeredModel"] for n, r in rollouts.items()} == {n: f"main.ml.{n}" for n in rollouts}
    assert all("registeredModel" not in r.inputs for r in before.resources if r.type == ROLLOUT)
    assert rest(after) == rest(before)
