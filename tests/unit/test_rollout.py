"""Every model has a rollout on every place: its step in literals, noted once the endpoint is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.environment import Environment, parse
from components.platform import declare as declare_platform
from components.platform import deliver
from components.step import inputs
from tests.unit.aws import DEV, answers
from tests.unit.azure import PLATFORM as MICROSOFT
from tests.unit.azure import TRAFFIC, needs_sdk
from tests.unit.azure import answers as microsoft
from tests.unit.gcp import CALLS, URL_MAP
from tests.unit.gcp import DEV as GOOGLE
from tests.unit.gcp import answers as google
from tests.unit.graph import Declared, Graph, declare
from tests.unit.kubernetes import PLATFORM as CLUSTER
from tests.unit.kubernetes import registry
from tests.unit.test_local_graph import home, provider  # noqa: F401 (a fixture)

ROLLOUT = "delivery:registry:Rollout"
STEP = "delivery:registry:Step"
PLATFORM: tuple[str, ...] = ()
"""Types of the platform's own whose names have a model's in them."""
CHURN = {"stable": {"version": 3}, "canary": {"version": 4, "weight": 10}, "owner": "risk-team"}
LOGGED: dict[str, dict[str, int]] = {
    "local": {"percent": 10},
    "sagemaker": {"percent": 5, "retentionDays": 90},
}
"""What is kept of the requests where anything is."""
PLACES: dict[str, tuple[dict[str, Any], Any, str, str]] = {
    "local": ({"kind": "local"}, provider, "local", "delivery:local:Route"),
    "kubernetes": (CLUSTER, registry, "kubernetes", "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute"),
    "lambda": (DEV, answers, "lambda", "aws:lb/listenerRule:ListenerRule"),
    "sagemaker": (
        {**DEV, "sagemaker": {**DEV["sagemaker"], "capturePercent": 5}},
        answers,
        "sagemaker",
        "aws:sagemaker/endpoint:Endpoint",
    ),
    "cloud-run": (GOOGLE, google, "cloud-run", URL_MAP),
    "azure-ml": (MICROSOFT, microsoft, "azure-ml", TRAFFIC),
}


def needed(graph: Graph, declared: Declared) -> set[str]:
    """All that is done before a resource: what it and its parents name."""
    by_urn = {r.urn: r for r in graph.resources}
    found, pending = set[str](), [declared]
    while pending:
        one = pending.pop()
        for urn in {*one.needs, one.parent_urn} - found:
            found.add(urn)
            pending += [by_urn[urn]] if urn in by_urn else []
    return found


def delivered(environment: Environment, outputs: Any, preview: bool = False) -> Graph:
    def program() -> None:
        place = declare_platform(environment.platform)
        deliver(place, environment.models)

    return declare(program, outputs, preview=preview, calls=CALLS)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "place", [pytest.param(p, marks=[needs_sdk] if p == "azure-ml" else []) for p in PLACES]
)
def test_every_runtime_tells_its_steps_in_the_same_words(place: str) -> None:
    platform, outputs, runtime, traffic = PLACES[place]
    logged = LOGGED.get(place)
    models = {"churn": {**CHURN, "runtime": runtime}, "fraud": {"stable": {"version": 1}, "runtime": runtime}}
    graph = delivered(parse(platform, models), outputs, preview=True)
    assert graph.names(ROLLOUT) == {"churn", "fraud"}
    rollout = graph.one(ROLLOUT, "churn")
    assert rollout.inputs == {
        "model": "churn",
        "runtime": runtime,
        "owner": "risk-team",
        "minReplicas": 0 if runtime in ("lambda", "cloud-run") else 1,
        **({"requestLog": logged} if logged else {}),
        "stable": {"version": 3},
        "canary": {"version": 4, "weight": 10, "shadow": False},
        "judge": "",
    }
    assert rollout.parent == "", "its name is the same on every place"
    # What moves the traffic is done before the step is noted.
    before = {urn.split("::")[-2].rpartition("$")[2] for urn in rollout.needs}
    assert traffic in before
    assert not any("fraud" in urn for urn in rollout.needs), "another model's failure is none of its business"
    # And its step is judged before anything of it begins.
    step = graph.one(STEP, "churn")
    assert {k: v for k, v in rollout.inputs.items() if k != "judge"} == step.inputs
    assert step.parent == "" and not step.needs
    for declared in graph.resources:
        if "churn" in declared.name and declared.type not in (STEP, *PLATFORM):
            assert step.urn in needed(graph, declared), (declared.type, declared.name)
            assert not any(f"{STEP}::fraud" in urn for urn in declared.needs)


def test_what_a_file_does_not_say_is_absent() -> None:
    (model,) = parse({"kind": "local"}, {"churn": {"stable": {"version": 3}}}).models
    assert inputs(model) == {
        "model": "churn",
        "runtime": "local",
        "minReplicas": 1,
        "stable": {"version": 3},
    }


def test_what_a_file_says_is_there() -> None:
    block = {**CHURN, "riskClass": "high", "autoscaling": {"min": 2}}
    (model,) = parse({"kind": "local"}, {"churn": block}).models
    assert inputs(model, {"percent": 10}) == {
        "model": "churn",
        "runtime": "local",
        "owner": "risk-team",
        "riskClass": "high",
        "minReplicas": 2,
        "requestLog": {"percent": 10},
        "stable": {"version": 3},
        "canary": {"version": 4, "weight": 10, "shadow": False},
    }


def test_an_endpoint_is_exported_as_ever(home: Path) -> None:  # noqa: F811
    environment = parse({"kind": "local"}, {"churn": CHURN})
    found: list[Any] = []

    def program() -> None:
        deliver(declare_platform(environment.platform), environment.models)["churn"].apply(found.append)

    declare(program, provider)
    assert [(r["version"], r["weight"]) for r in found[0]["releases"]] == [(3, 90), (4, 10)]


def test_a_step_is_told_what_the_stack_has_applied(home: Path) -> None:  # noqa: F811
    environment = parse({"kind": "local"}, {"churn": CHURN, "fraud": {"stable": {"version": 1}}})
    kept = {"stable": {"version": 3}, "since": "2026-01-01T00:00:00Z", "served": [2]}
    state = {
        "urn:r": {"type": ROLLOUT, "outputs": {**kept, "model": "churn", "runtime": "local", "judge": ""}},
        "urn:p": {"type": "delivery:local:Process", "outputs": {"model": "churn", "stable": 9}},
    }

    def program() -> None:
        deliver(declare_platform(environment.platform), environment.models)

    calls = {"pulumi:pulumi:readStackResourceOutputs": {"outputs": state}}
    graph = declare(program, provider, calls=calls)
    assert graph.one(STEP, "churn").inputs["applied"] == kept
    assert "applied" not in graph.one(STEP, "fraud").inputs


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "place", [pytest.param(p, marks=[needs_sdk] if p == "azure-ml" else []) for p in PLACES]
)
def test_a_step_that_is_not_recorded_is_not_exported(place: str) -> None:
    """The stack keeps the outputs of the step before."""
    platform, outputs, runtime, _ = PLACES[place]
    environment = parse(platform, {"churn": {**CHURN, "runtime": runtime}})
    exported: list[Any] = []

    def failing(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        if type == ROLLOUT:
            raise RuntimeError("the update stops here")
        return outputs(type, name, inputs)

    def program() -> None:
        deliver(declare_platform(environment.platform), environment.models)["churn"].apply(exported.append)

    with pytest.raises(Exception, match="the update stops here"):
        declare(program, failing, calls=CALLS)
    assert exported == []
