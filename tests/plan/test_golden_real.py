"""What a user sees of a release in prod, and all of dev and prod, as the engine plans them from their files.

`UPDATE_GOLDEN=1 make test TESTS=tests/plan/test_golden_real.py` writes the files in golden/ anew: read the
difference as you would read a preview.
"""

from __future__ import annotations

import re

import pytest

from tests.plan.planned import GOLDEN, Models, Planned, golden, outputs_only, touched

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    return Planned(tmp_path_factory.mktemp("prod"), "prod")


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    return Planned(tmp_path_factory.mktemp("dev"), "dev")


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
ROLLOUT = {"delivery:registry:Rollout", "delivery:registry:Step"}
# A configuration of SageMaker can't be changed: a new one is made, and the endpoint moves to it.
CONFIGURATION = {"aws:sagemaker/endpointConfiguration:EndpointConfiguration"}
# The guard of an update watches the fleet of one configuration, so each configuration has new ones.
GUARDS = {"aws:cloudwatch/metricAlarm:MetricAlarm"}


def test_promoting_a_canary_in_prod_moves_traffic_and_nothing_else(prod: Planned) -> None:
    def edit(models: Models) -> None:
        for name in ("fraud", "address-match", "churn"):
            models[name]["canary"]["weight"] = 50

    steps = prod.edited(edit)
    done = touched(steps)
    assert done["update"] <= TRAFFIC | CAPACITY | ROLLOUT and done["update"] >= TRAFFIC | ROLLOUT
    assert done.get("replace", set()) == CONFIGURATION | GUARDS
    alarms = {step.name for step in steps if step.op == "replace" and step.type in GUARDS}
    assert all(name.endswith("-guard") for name in alarms), "the alarms that the operator hears stay"
    assert done.get("create", set()) | done.get("delete", set()) <= {"kubernetes:batch/v1:Job"}
    golden("prod-promote", prod.changes(steps))


def test_a_promotion_on_kubernetes_or_lambda_replaces_nothing(prod: Planned) -> None:
    text = (GOLDEN / "prod-promote.txt").read_text()
    replaced = re.findall(r"^\+- (\S+)", text, re.MULTILINE)
    assert set(replaced) == CONFIGURATION | GUARDS


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
    assert {s.op for s in steps} <= {"same", "create"} | {"update" if outputs_only(s) else "" for s in steps}
    assert all("tariff" in s.name for s in steps if s.op == "create")
    golden("prod-new-model", prod.changes(steps))


def test_a_removed_model_takes_only_its_own_away(prod: Planned) -> None:
    steps = prod.edited(lambda models: models.pop("fraud"))
    gone = [s for s in steps if s.op not in ("same",) and not outputs_only(s)]
    assert gone and all(s.op == "delete" and "fraud" in s.name for s in gone)
    golden("prod-removed-model", prod.changes(steps))


def test_a_change_of_tags_rolls_no_node(prod: Planned) -> None:
    def edit(content: Models) -> None:
        content["config"]["model-delivery:platform"]["tags"]["costCentre"] = "others"

    steps = prod.rewritten(edit)
    assert {"create", "delete", "replace"}.isdisjoint(touched(steps))
    of_nodes = {"aws:ec2/launchTemplate:LaunchTemplate", "aws:eks/nodeGroup:NodeGroup"}
    ops = {(step.type.split("$")[-1], step.op) for step in steps}
    assert {op for type, op in ops if type in of_nodes} == {"same"}
    changed = {
        step.name for step in steps if step.op == "update" and step.type.endswith("$aws:autoscaling/tag:Tag")
    }
    groups = ("cpu-eu-central-1a", "cpu-eu-central-1b", "cpu-eu-central-1c", "gpu-l4")
    assert changed == {f"{group}-costCentre" for group in groups}


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
