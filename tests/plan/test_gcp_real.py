"""Production on GCP on the real engine: all of its file is applied, and a promotion moves traffic alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.plan.stack import PlannedStack, Step
from tests.plan.stand_ins import ROOT

pytestmark = pytest.mark.real

URL_MAP = "gcp:compute/regionUrlMap:RegionUrlMap"


def changed(steps: list[Step]) -> set[tuple[str, str, str]]:
    """What is done to which resource; components and the stack are only their outputs."""
    found = {(step.op, step.type.rpartition("$")[2], step.name) for step in steps if step.op != "same"}
    return {step for step in found if not step[1].startswith(("delivery:gcp:", "pulumi:pulumi:"))}


def test_promoting_a_canary_on_cloud_run_changes_its_map_and_no_more(tmp_path: Path) -> None:
    file: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.gcp.yaml").read_text())
    stack = PlannedStack(tmp_path / "stack", "gcp")
    stack.declare(yaml.safe_dump(file))
    stack.up()
    models = file["config"]["model-delivery:models"]
    models["address-match"]["canary"]["weight"] = 50
    stack.declare(yaml.safe_dump(file))
    steps = stack.steps()
    assert changed(steps) == {
        ("update", URL_MAP, "address-match"),
        ("update", "delivery:registry:Rollout", "address-match"),
    }
    (moved,) = [step for step in steps if step.type.endswith(URL_MAP) and step.op == "update"]
    assert moved.paths == {
        "defaultRouteAction.weightedBackendServices[0].weight",
        "defaultRouteAction.weightedBackendServices[1].weight",
    }
    weights = [b["weight"] for b in moved.inputs["defaultRouteAction"]["weightedBackendServices"]]
    assert weights == [50, 50]
