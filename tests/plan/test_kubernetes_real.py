"""A cluster's stack on the real engine: what a promotion changes, in which order, and who borrows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from planning.review import parsed, review
from planning.stack import PlannedStack, Step

pytestmark = pytest.mark.real

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
IMAGE = "registry.example.com/serving@sha256:" + "a" * 64
PLATFORM: dict[str, Any] = {
    "kind": "kubernetes",
    "context": "prod",
    "image": IMAGE,
    "imageUsesGpu": True,
    "registry": "https://mlflow.example.com",
    "url": "https://models.example.com",
    "gateway": {"tlsSecret": "models-tls"},
    "gpu": "existing",
    "metricsServer": "install",
    "tracking": {"image": IMAGE},
    "protectData": True,
}
VISION = {"stable": {"version": 7}, "canary": {"version": 8, "shadow": True}, "resources": {"gpu": 1}}


def fraud(**changes: Any) -> dict[str, Any]:
    scaling = {"min": 10, "max": 30, "requestsPerSecond": 200}
    return {"stable": {"version": 3}, "autoscaling": scaling, "owner": "the risk team", **changes}


def written(models: dict[str, Any], platform: dict[str, Any] = PLATFORM) -> str:
    return yaml.safe_dump({"config": {"model-delivery:platform": platform, "model-delivery:models": models}})


def changes(steps: list[Step]) -> set[tuple[str, str, str, frozenset[str]]]:
    """What is not as it was, without the components and the stack, which are only its outputs."""
    found = {
        (step.op, step.type.rpartition("$")[2], step.name, step.paths) for step in steps if step.op != "same"
    }
    return {
        (op, kind.rpartition(":")[2], name, paths)
        for op, kind, name, paths in found
        if not kind.startswith(("delivery:kubernetes:", "pulumi:pulumi:"))
    }


def kind(step: Step) -> str:
    """The type without its package: ``Deployment``."""
    return step.type.rpartition("$")[2].rpartition(":")[2]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> PlannedStack:
    """A stack that has been applied with a canary of 10 percent and a shadow."""
    found = PlannedStack(tmp_path_factory.mktemp("kubernetes"), "kube")
    found.declare(written({"fraud": fraud(canary={"version": 4, "weight": 10}), "vision": VISION}))
    found.up()
    return found


def test_nothing_changes_without_a_change(stack: PlannedStack) -> None:
    stack.declare(written({"fraud": fraud(canary={"version": 4, "weight": 10}), "vision": VISION}))
    assert changes(stack.steps()) == set()


def test_a_weight_changes_one_models_route_and_capacity(stack: PlannedStack) -> None:
    stack.declare(written({"fraud": fraud(canary={"version": 4, "weight": 50}), "vision": VISION}))
    steps = stack.steps()
    minimum = frozenset({"spec.minReplicas"})
    weights = frozenset(f"spec.rules[0].backendRefs[{index}].weight" for index in (0, 1))
    assert changes(steps) == {
        ("update", "HorizontalPodAutoscaler", "fraud-v3", minimum),
        ("update", "HorizontalPodAutoscaler", "fraud-v4", minimum),
        ("create", "Job", "fraud-v3-c5", frozenset()),
        ("create", "Job", "fraud-v4-c5", frozenset()),
        ("update", "HTTPRoute", "fraud", weights),
        (
            "update",
            "Rollout",
            "fraud",
            frozenset({"canary.weight", "served[0]", "served[1]", "since", "was"}),
        ),
        ("update", "Step", "fraud", frozenset({"canary.weight"})),
        ("delete", "Job", "fraud-v3-c9", frozenset()),
    }
    order = [(kind(step), step.name) for step in steps if step.op != "same"]
    assert order.index(("Job", "fraud-v4-c5")) < order.index(("HTTPRoute", "fraud"))


def test_a_promotion_keeps_the_pods_and_removes_the_old_release_last(stack: PlannedStack) -> None:
    stack.declare(written({"fraud": fraud(stable={"version": 4}), "vision": VISION}))
    steps = stack.steps()
    found = changes(steps)
    assert not any(op.startswith(("replace", "create-replacement")) for op, *_ in found)
    assert {name for _, of, name, _ in found if of == "Deployment"} == {"fraud-v3"}
    assert {op for op, _, name, _ in found if name == "fraud-v3"} == {"delete"}
    updated = {(of, name) for op, of, name, _ in found if op == "update"}
    # The role is a label of the Service: pods don't know theirs.
    assert updated == {
        ("HorizontalPodAutoscaler", "fraud-v4"),
        ("Service", "fraud-v4"),
        ("HTTPRoute", "fraud"),
        ("Rollout", "fraud"),
        ("Step", "fraud"),
    }
    order = [(step.op, kind(step), step.name) for step in steps if step.op != "same"]
    assert order.index(("update", "HTTPRoute", "fraud")) < order.index(("delete", "Deployment", "fraud-v3"))


def test_a_new_model_touches_no_other(stack: PlannedStack) -> None:
    models = {"fraud": fraud(canary={"version": 4, "weight": 10}), "vision": VISION}
    stack.declare(written({**models, "churn": {"stable": {"version": 1}}}))
    assert {name for _, _, name, _ in changes(stack.steps())} == {"churn", "churn-v1"}
    stack.declare(written({"vision": VISION}))
    found = changes(stack.steps())
    assert {op for op, *_ in found} == {"delete"}
    assert all(name.startswith("fraud") for _, _, name, _ in found)


def test_a_change_since_a_commit_is_reviewed_on_what_that_commit_gives(
    stack: PlannedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    promoted = written({"fraud": fraud(canary={"version": 4, "weight": 50}), "vision": VISION})
    arguments = parsed(["kube", "--since", "main", "--format", "markdown", "--no-policy"])
    assert review(stack, promoted, arguments) == 0
    said = capsys.readouterr().out
    assert said.startswith("## `kube`: `fraud` 3 → 4 at 50 % (was 10 %)\n")
    assert "- `spec.rules[0].backendRefs[1].weight`: `10` → `50`" in said
    assert "the state is what Pulumi.kube.yaml as of main gives" in said


def test_a_stack_of_models_alone_borrows_the_platform(stack: PlannedStack, tmp_path: Path) -> None:
    config = tmp_path / "Pulumi.team.yaml"
    flags = ("--stack", "team", "--config-file", str(config))
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: model-delivery\nruntime: python\n")
    stack.command("stack", "init", "team", "--no-select", cwd=project)
    borrowed = {"stack": "organization/model-delivery/kube"}
    models = {"churn": {"stable": {"version": 1}, "canary": {"version": 2, "weight": 20}}}
    stack.registry.seed({"churn": 2})
    config.write_text(written(models, borrowed))
    ran = stack.command("preview", *flags)
    assert "https://models.example.com/churn" in ran.text
    # Nothing of it is unknown: a plan of models shows all that an update would do.
    steps = json.loads(stack.command("preview", "--json", *flags).text)["steps"]
    declared = [step["newState"] for step in steps if step["newState"]["type"].startswith("kubernetes:")]
    assert len(declared) == 13
    assert not [state["urn"] for state in declared if UNKNOWN in json.dumps(state["inputs"])]


@pytest.mark.parametrize("built", [False, True])
def test_a_model_whose_flavour_the_image_does_not_serve_fails_the_preview(
    tmp_path: Path, built: bool
) -> None:
    base = f"registry.example.com/python{IMAGE[IMAGE.index('@') :]}"
    build = {"base": base, "repository": "registry.example.com/serving", "flavors": ["onnx"]}
    images = {"image": {"build": build}} if built else {"imageFlavors": ["onnx"]}
    platform = {**PLATFORM, **images}
    del platform["imageUsesGpu"], platform["tracking"]
    found = PlannedStack(tmp_path / "stack", "kube")
    found.declare(written({"fraud": fraud()}, platform))
    ran = found.preview(check=False)
    # Every model of the tests' registry is scikit-learn's.
    assert ran.code != 0 and "its flavour is sklearn, and the server's image serves onnx alone" in ran.text
    assert "add sklearn to platform.image.build.flavors" in ran.text
    assert "Traceback" not in ran.text
    platform["image" if built else "imageFlavors"] = (
        {"build": {**build, "flavors": ["sklearn"]}} if built else ["sklearn"]
    )
    found.declare(written({"fraud": fraud()}, platform))
    assert found.preview().code == 0
