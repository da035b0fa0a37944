"""Who may reach a GKE cluster's API changes its address, and nothing in the cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from planning.stack import PlannedStack, Step
from tests.environments import environment_file

pytestmark = pytest.mark.real

Content = dict[str, Any]
PROVIDER = "pulumi:providers:kubernetes"


@pytest.fixture
def stack(tmp_path: Path) -> PlannedStack:
    """A stack with a private cluster and MLflow's database, whose data isn't protected."""
    found = PlannedStack(tmp_path, "gcp")
    found.declare(written())
    found.up()
    return found


def written(**changes: Any) -> str:
    content: Content = yaml.safe_load(environment_file("gcp").read_text())
    content["config"]["model-delivery:platform"] |= {"protectData": False, **changes}
    models = content["config"]["model-delivery:models"]
    content["config"]["model-delivery:models"] = {"fraud": models["fraud"]}
    return yaml.safe_dump(content)


def resources(stack: PlannedStack) -> dict[str, dict[str, Any]]:
    """What the state has, by URN."""
    text = stack.command("stack", "export", "--stack", stack.name).text
    found = json.loads(text)["deployment"]["resources"]
    return {resource["urn"]: resource for resource in found}


def ids(stack: PlannedStack) -> dict[str, str]:
    return {urn: resource.get("id", "") for urn, resource in resources(stack).items()}


def address(stack: PlannedStack) -> str:
    """Where the provider of the cluster finds its API server."""
    (text,) = [
        found["inputs"]["kubeconfig"] for found in resources(stack).values() if found["type"] == PROVIDER
    ]
    return str(json.loads(text)["clusters"][0]["cluster"]["server"])


def kind(step: Step) -> str:
    return step.type.rpartition("$")[2]


def test_opening_and_closing_the_api_replaces_nothing(stack: PlannedStack) -> None:
    before = ids(stack)
    assert address(stack) == "https://10.0.0.2"
    opened = {"apiAccess": ["203.0.113.0/24"]}
    for changes, expected in ((opened, "https://203.0.113.10"), ({}, "https://10.0.0.2")):
        stack.declare(written(**changes))
        stack.up()
        assert address(stack) == expected
        assert ids(stack) == before, "the same cluster, with the same objects"


def test_another_cluster_gets_every_object_anew(stack: PlannedStack) -> None:
    stack.declare(written(cidr="10.44.0.0/16"))
    steps = stack.steps()
    objects = [s for s in steps if kind(s).startswith("kubernetes:") and s.op != "same"]
    assert {s.name for s in objects} >= {"models", "tracking", "fraud-v3"}
    # The first Jobs' names and the like aside, nothing is left to a cluster that is gone.
    left = [s.name for s in steps if kind(s).startswith("kubernetes:") and s.op in ("same", "update")]
    assert left == []
