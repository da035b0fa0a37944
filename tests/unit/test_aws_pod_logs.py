"""Where the logs of pods on EKS are kept: a group with an end and a key, and nothing else can be written."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from typing import Any

import pytest

from tests.unit.aws import ACCOUNT, DEV, PREFIX, PROD, amazon, one_policy
from tests.unit.graph import Graph

GROUP = "aws:cloudwatch/logGroup:LogGroup"
CHART = "kubernetes:helm.sh/v3:Release"
CONTAINER = "0f" * 32


def values(graph: Graph) -> dict[str, Any]:
    return graph.one(CHART, "fluent-bit").inputs["values"]


def setting(section: str, name: str) -> str:
    """One setting of a section of Fluent Bit's configuration."""
    (found,) = re.findall(rf"^ +{re.escape(name)} (.+)$", section, re.MULTILINE)
    return found


@pytest.mark.parametrize("platform", [DEV, {**PROD, "logDays": 365}])
def test_they_are_kept_as_long_as_the_file_says(platform: dict[str, Any]) -> None:
    graph = amazon(platform=platform)[0]
    group = graph.one(GROUP, "pod-logs")
    assert group.inputs["name"] == f"/{PREFIX}/pods"
    assert group.inputs["retentionInDays"] == platform.get("logDays", 90)
    assert group.inputs["kmsKeyId"] == "arn:of:key"
    # They are data: they outlive a mistake where data does.
    assert group.protect == group.retained == platform.get("protectData", False)
    output = values(graph)["config"]["outputs"]
    assert setting(output, "log_group_name") == group.inputs["name"]
    assert setting(output, "region") == "eu-central-1"
    # A group that Fluent Bit made itself would have no end and no key.
    assert setting(output, "auto_create_group") == "Off"
    assert group.urn in graph.one(CHART, "fluent-bit").needs


def test_fluent_bit_may_write_there_and_do_nothing_else() -> None:
    graph = amazon()[0]
    (right,) = one_policy(graph, "aws:iam/rolePolicy:RolePolicy", "pod-logs")
    assert right["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert right["Resource"] == [f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:/{PREFIX}/pods:*"]
    identity = graph.one("aws:eks/podIdentityAssociation:PodIdentityAssociation", "pod-logs")
    chart = graph.one(CHART, "fluent-bit")
    assert identity.inputs["namespace"] == chart.inputs["namespace"]
    assert identity.inputs["serviceAccount"] == values(graph)["serviceAccount"]["name"]
    # A pod that starts before its association has no rights until it is made anew.
    assert identity.urn in chart.needs
    # It asks Kubernetes for nothing, and has no token for it.
    assert values(graph)["rbac"] == {"create": False}
    assert values(graph)["serviceAccount"]["automountServiceAccountToken"] is False
    security = values(graph)["securityContext"]
    assert security["readOnlyRootFilesystem"] and security["capabilities"] == {"drop": ["ALL"]}
    assert not security["allowPrivilegeEscalation"]


def test_it_is_on_every_node_with_the_gpus_too() -> None:
    graph = amazon(platform=PROD)[0]
    assert values(graph)["tolerations"] == [{"operator": "Exists"}]


@pytest.mark.parametrize(
    ("file", "stream"),
    [
        (f"fraud-v3-6c9d8b7f4-x2k9q_models_server-{CONTAINER}.log", "fraud-v3-6c9d8b7f4-x2k9q.server"),
        (f"tracking-5f7d-abcde_models_mlflow-{CONTAINER}.log", "tracking-5f7d-abcde.mlflow"),
        (f"models-1_kube-system_server-{CONTAINER}.log", None),
        (f"fraud_models-two_server-{CONTAINER}.log", None),
    ],
)
def test_each_container_of_the_models_namespace_is_a_stream(file: str, stream: str | None) -> None:
    """The kubelet links POD_NAMESPACE_CONTAINER-ID.log (pkg/kubelet/kuberuntime/legacy.go)."""
    config = values(amazon()[0])["config"]["inputs"]
    path = f"/var/log/containers/{file}"
    assert fnmatch(path, setting(config, "Path")) is (stream is not None)
    if stream is not None:
        # Fluent Bit's own syntax of a named group is Ruby's.
        found = re.search(setting(config, "Tag_Regex").replace("(?<", "(?P<"), path)
        assert found
        tag = re.sub(r"<(\w+)>", lambda name: found[name[1]], setting(config, "Tag"))
        assert tag == stream
        # What CloudWatch refuses in the name of a stream (API_CreateLogStream.html).
        assert not set(tag) & set(":*")


def test_they_can_be_kept_nowhere_by_name() -> None:
    graph = amazon(podLogs=False)[0]
    assert "fluent-bit" not in graph.names(CHART) and "pod-logs" not in graph.names(GROUP)
