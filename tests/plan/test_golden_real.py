"""What a user sees of a release in prod, and all of dev and prod, as the engine plans them from their files.

`UPDATE_GOLDEN=1 make test TESTS=tests/plan/test_golden_real.py` writes the files in golden/ anew: read the
difference as you would read a preview.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.environment import AwsPlatform, ImageBuild, read
from components.image import content_tag
from tests.plan.rendering import changes, graph
from tests.plan.stack import PlannedStack, Step
from tests.plan.stand_ins import ROOT

pytestmark = pytest.mark.real

GOLDEN = Path(__file__).parent / "golden"
Models = dict[str, Any]


class Planned:
    """An environment that has been applied as its file stands."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = yaml.safe_load((ROOT / f"Pulumi.{name}.yaml").read_text())
        self._hide = {str(folder): "<folder>", str(ROOT): "<checkout>"}
        platform = read(ROOT / f"Pulumi.{name}.yaml").platform
        assert isinstance(platform, AwsPlatform)
        image = platform.cluster.image
        if isinstance(image, ImageBuild):
            # It changes with every line of the server.
            self._hide[content_tag(ROOT, image)] = "<content>"
        self.stack = PlannedStack(folder / "stack", name)
        self.stack.declare(yaml.safe_dump(self._file))
        self.stack.up()

    def edited(self, edit: Callable[[Models], None]) -> list[Step]:
        """What a preview shows once the models are edited."""
        return self.rewritten(lambda content: edit(content["config"]["model-delivery:models"]))

    def rewritten(self, edit: Callable[[Models], None]) -> list[Step]:
        """What a preview shows once the file is edited."""
        content = yaml.safe_load(yaml.safe_dump(self._file))
        edit(content)
        self.stack.declare(yaml.safe_dump(content))
        return self.stack.steps()

    def changes(self, steps: list[Step]) -> str:
        # The tag of another image than the file's.
        return re.sub(r":[0-9a-f]{20}\b", ":<other content>", changes(steps, self._hide))

    def graph(self, steps: list[Step]) -> str:
        return graph(steps, self._hide)


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    return Planned(tmp_path_factory.mktemp("prod"), "prod")


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    return Planned(tmp_path_factory.mktemp("dev"), "dev")


def golden(name: str, text: str) -> None:
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


def touched(steps: list[Step]) -> dict[str, set[str]]:
    """Operation to the types it is done to, components and replacement's parts left out."""
    found: dict[str, set[str]] = {}
    for step in steps:
        kind = step.type.rpartition("$")[2]
        if step.op in ("create", "update", "delete", "replace") and not kind.startswith("delivery:aws"):
            found.setdefault(step.op, set()).add(kind)
    return found


# What may move traffic, and the capacity that follows it.
TRAFFIC = {
    "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute",
    "aws:lb/listenerRule:ListenerRule",
    "aws:sagemaker/endpoint:Endpoint",
}
CAPACITY = {
    "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
    "kubernetes:batch/v1:Job",
    "aws:appautoscaling/target:Target",
    "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig",
}
# Says who serves what, on every runtime.
ROLLOUT = {"delivery:registry:Rollout"}
# A configuration of SageMaker can't be changed: a new one is made, and the endpoint moves to it.
CONFIGURATION = {"aws:sagemaker/endpointConfiguration:EndpointConfiguration"}


def test_promoting_a_canary_in_prod_moves_traffic_and_nothing_else(prod: Planned) -> None:
    def edit(models: Models) -> None:
        for name in ("fraud", "address-match", "churn"):
            models[name]["canary"]["weight"] = 50

    steps = prod.edited(edit)
    done = touched(steps)
    assert done["update"] <= TRAFFIC | CAPACITY | ROLLOUT and done["update"] >= TRAFFIC | ROLLOUT
    assert done.get("replace", set()) == CONFIGURATION
    assert done.get("create", set()) | done.get("delete", set()) <= {"kubernetes:batch/v1:Job"}
    golden("prod-promote", prod.changes(steps))


def test_a_promotion_on_kubernetes_or_lambda_replaces_nothing(prod: Planned) -> None:
    text = (GOLDEN / "prod-promote.txt").read_text()
    replaced = re.findall(r"^\+- (\S+)", text, re.MULTILINE)
    assert set(replaced) == CONFIGURATION


def test_a_promotion_is_finished_by_naming_the_version_stable(prod: Planned) -> None:
    def edit(models: Models) -> None:
        for name in ("fraud", "address-match", "churn"):
            models[name]["stable"] = {"version": models[name].pop("canary")["version"]}

    steps = prod.edited(edit)
    kept = [s for s in steps if s.op == "delete" and re.search(r"-v(4|13|6)(-|$)", s.name)]
    assert kept == [], "the version that becomes stable keeps all that it has"
    golden("prod-finish", prod.changes(steps))


def test_a_rollback_gives_everything_back_to_the_stable_version(prod: Planned) -> None:
    def edit(models: Models) -> None:
        for name in ("fraud", "address-match", "churn", "vision"):
            del models[name]["canary"]

    steps = prod.edited(edit)
    lost = [s for s in steps if s.op in ("delete", "replace") and re.search(r"-v(3|12|5|7)$", s.name)]
    assert lost == [], "the stable version keeps all that it has"
    golden("prod-rollback", prod.changes(steps))


def test_a_new_model_touches_no_other(prod: Planned) -> None:
    def edit(models: Models) -> None:
        models["tariff"] = {"stable": {"version": 1}, "owner": "pricing-team"}

    steps = prod.edited(edit)
    assert {s.op for s in steps} <= {"same", "create"} | {"update" if _outputs_only(s) else "" for s in steps}
    assert all("tariff" in s.name for s in steps if s.op == "create")
    golden("prod-new-model", prod.changes(steps))


def test_a_removed_model_takes_only_its_own_away(prod: Planned) -> None:
    steps = prod.edited(lambda models: models.pop("fraud"))
    gone = [s for s in steps if s.op not in ("same",) and not _outputs_only(s)]
    assert gone and all(s.op == "delete" and "fraud" in s.name for s in gone)
    golden("prod-removed-model", prod.changes(steps))


def test_an_applied_file_plans_nothing_and_every_input_of_prod_is_known(prod: Planned) -> None:
    steps = prod.edited(lambda models: None)
    assert {step.op for step in steps} == {"same"}
    golden("prod", prod.graph(steps))


def test_an_applied_file_plans_nothing_and_every_input_of_dev_is_known(dev: Planned) -> None:
    steps = dev.edited(lambda models: None)
    assert {step.op for step in steps} == {"same"}
    golden("dev", dev.graph(steps))


def test_a_change_of_what_the_image_is_made_of_builds_it_and_moves_all_that_runs_it(dev: Planned) -> None:
    def edit(content: Models) -> None:
        content["config"]["model-delivery:platform"]["image"]["build"]["source"] = "https://example.com/code"

    steps = dev.rewritten(edit)
    done = touched(steps)
    assert done["update"] >= {"docker-build:index:Image", "kubernetes:apps/v1:Deployment"}
    assert "replace" not in done or done["replace"] == {"kubernetes:batch/v1:Job"}
    golden("dev-image", dev.changes(steps))


def _outputs_only(step: Step) -> bool:
    return step.type.endswith("pulumi:pulumi:Stack")
