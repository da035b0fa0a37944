"""The stand-ins on the real engine, with small programs on the official SDKs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planning.stack import PlannedStack
from planning.stand_ins import ROOT

pytestmark = pytest.mark.real

PROGRAM = """\
import json
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

given = json.loads(Path("given.json").read_text())
cloud = aws.Provider("aws", region="eu-central-1", default_tags={"tags": {"team": "ml"}})
on = pulumi.ResourceOptions(provider=cloud)
log = aws.cloudwatch.LogGroup("log", retention_in_days=given.get("days", 7), opts=on)
alias = aws.lambda_.Alias(
    "live",
    function_name="churn",
    function_version="1",
    routing_config={"additional_version_weights": {"2": given.get("weight", 0.1)}},
    opts=on,
)
cluster = k8s.Provider("cluster", kubeconfig=log.arn.apply(lambda arn: json.dumps({"of": arn})))
inside = pulumi.ResourceOptions(provider=cluster)
k8s.core.v1.ConfigMap("settings", data={"mode": given.get("mode", "a")}, opts=inside)
container = {"name": "server", "image": given.get("image", "serving:1"), **given.get("container", {})}
labels = {"app": given.get("app", "churn")}
k8s.apps.v1.Deployment(
    "server",
    metadata={"namespace": "models"},
    spec={
        "selector": {"match_labels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    },
    opts=inside,
)
k8s.apiextensions.CustomResource(
    "churn",
    api_version="gateway.networking.k8s.io/v1",
    kind="HTTPRoute",
    metadata={"namespace": "models"},
    spec={
        "rules": [
            {"backendRefs": [{"name": "a", "weight": 90}, {"name": "b", "weight": given.get("b", 10)}]}
        ]
    },
    opts=inside,
)
pulumi.export("account", aws.get_caller_identity(opts=pulumi.InvokeOptions(provider=cloud)).account_id)
"""


class Small(PlannedStack):
    """A stack of the small program; ``give`` sets what the program reads."""

    def __init__(self, folder: Path) -> None:
        program = folder / "program"
        program.mkdir()
        options = f"{{virtualenv: {ROOT / '.venv'}}}"
        (program / "Pulumi.yaml").write_text(f"name: small\nruntime: {{name: python, options: {options}}}\n")
        (program / "__main__.py").write_text(PROGRAM)
        self._given = program / "given.json"
        super().__init__(folder / "stack", "test", program=program)
        self.declare("config: {}")
        self.give()

    def give(self, **values: object) -> None:
        self._given.write_text(json.dumps(values))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    small = Small(tmp_path_factory.mktemp("small"))
    small.up()
    return small


def changes(stack: Small) -> dict[tuple[str, str], frozenset[str]]:
    return {(step.op, step.name): step.paths for step in stack.steps() if step.op != "same"}


def test_an_applied_program_plans_nothing(small: Small) -> None:
    small.give()
    assert changes(small) == {}


def test_nested_changes_are_updates_named_by_their_path(small: Small) -> None:
    small.give(weight=0.5, b=50, days=14, image="serving:2")
    assert changes(small) == {
        ("update", "log"): {"retentionInDays"},
        ("update", "live"): {'routingConfig.additionalVersionWeights["2"]'},
        ("update", "churn"): {"spec.rules[0].backendRefs[1].weight"},
        ("update", "server"): {"spec.template.spec.containers[0].image"},
    }
    assert "weight: 10 => 50" in small.preview("--diff").text


def test_fields_that_cannot_change_are_replaced(small: Small) -> None:
    small.give(app="other", mode="b")
    ops = {name: op for op, name in changes(small)}
    assert ops["server"] == "replace" and ops["settings"] == "replace"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"weight": "half"}, "routingConfig.additionalVersionWeights[\"2\"]: must be a number, is 'half'"),
        (
            {"container": {"imagePullPolcy": "Always"}},
            "imagePullPolcy: unknown; did you mean imagePullPolicy?",
        ),
        (
            {"container": {"ports": [{"containerPort": "http"}]}},
            "spec.template.spec.containers[0].ports[0].containerPort: must be a whole number, is 'http'",
        ),
        ({"container": {"ports": [{"name": "http"}]}}, "containers[0].ports[0].containerPort: required"),
    ],
)
def test_what_the_sdk_does_not_declare_is_refused_with_its_path(
    small: Small, given: dict[str, object], told: str
) -> None:
    small.give(**given)
    ran = small.preview(check=False)
    assert ran.code != 0 and told in ran.text, ran.text
    assert "Traceback" not in ran.text


def test_an_unknown_cluster_hides_faults_from_a_first_plan_but_not_from_an_apply(tmp_path: Path) -> None:
    small = Small(tmp_path)
    small.give(container={"imagePullPolcy": "Always"})
    assert small.preview(check=False).code == 0
    ran = small.up(check=False)
    assert ran.code != 0 and "imagePullPolcy: unknown" in ran.text
