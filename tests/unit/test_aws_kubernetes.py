"""Models on the cluster of an AWS platform: the Kubernetes platform's own graph, with what AWS adds to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.unit.aws import ACCOUNT, DEV, IMAGE, PREFIX, PROD, amazon, one_policy
from tests.unit.graph import Graph
from tests.unit.kubernetes import DEPLOYMENT, ENDPOINT, ROUTE

ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"


def churn(platform: dict[str, Any] | None = None, **model: Any) -> Graph:
    return amazon({"churn": {"stable": {"version": 3}, **model}}, platform or DEV)[0]


def added(graph: Graph, platform: dict[str, Any]) -> dict[str, int]:
    """How many of each type of AWS' a model adds to its platform."""
    before = amazon(platform=platform)[0].counts()
    return {
        type: number - before.get(type, 0)
        for type, number in graph.counts().items()
        if type.startswith("aws:") and number != before.get(type, 0)
    }


MODES: list[tuple[dict[str, Any] | None, int]] = [
    (None, 1),
    ({"version": 4, "weight": 10}, 2),
    ({"version": 4, "weight": 0}, 2),
    ({"version": 4, "weight": 100}, 2),
    ({"version": 4, "shadow": True}, 2),
]


@pytest.mark.parametrize(("canary", "releases"), MODES)
def test_a_release_may_read_its_artifact_by_a_role_of_its_own(
    canary: dict[str, Any] | None, releases: int
) -> None:
    graph = churn(**({"canary": canary} if canary else {}))
    assert added(graph, DEV) == {
        "aws:iam/role:Role": releases,
        "aws:iam/rolePolicy:RolePolicy": releases,
        ASSOCIATION: releases,
    }
    association = graph.one(ASSOCIATION, "pod-churn-v3")
    assert association.inputs == {
        "clusterName": PREFIX,
        "namespace": "models",
        "serviceAccount": "churn-v3",
        "roleArn": "arn:of:pod-churn-v3",
    }
    assert association.parent == "churn"
    assert association.name in graph.waits_for(DEPLOYMENT, "churn-v3")
    bucket = f"arn:aws:s3:::{PREFIX}-artifacts-{ACCOUNT}"
    rights = one_policy(graph, "aws:iam/rolePolicy:RolePolicy", "pod-churn-v3")
    assert [(r["Action"], r["Resource"]) for r in rights] == [
        (["s3:ListBucket"], [bucket]),
        (["s3:GetObject"], [f"{bucket}/mlflow/*"]),
        (["kms:Decrypt"], ["arn:of:key"]),
    ]
    (trust,) = json.loads(graph.one("aws:iam/role:Role", "pod-churn-v3").inputs["assumeRolePolicy"])[
        "Statement"
    ]
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]


def test_a_server_starts_when_its_association_holds() -> None:
    """An association holds seconds after it is made, and a pod gets its credentials when it is made or never
    (docs.aws.amazon.com/eks/latest/APIReference/API_CreatePodIdentityAssociation.html)."""
    graph = churn()
    job = graph.one("kubernetes:batch/v1:Job", "churn-v3-identity")
    assert graph.one(ASSOCIATION, "pod-churn-v3").urn in job.needs
    assert job.urn in graph.one(DEPLOYMENT, "churn-v3").needs
    pod = job.inputs["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "churn-v3"
    # Another pod each time: the same one would never get any.
    assert pod["restartPolicy"] == "Never" and job.inputs["spec"]["backoffLimit"] >= 5
    (container,) = pod["containers"]
    assert container["image"] == IMAGE
    words = [sys.executable, *container["command"][1:]]
    without = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    credentials = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}
    assert subprocess.run(words, env=without).returncode == 1
    assert subprocess.run(words, env={**without, **credentials}).returncode == 0
    # Its pod is no server: neither the Service nor the budget nor the policy finds it.
    service = graph.one("kubernetes:core/v1:Service", "churn-v3").inputs["spec"]["selector"]
    labels = job.inputs["spec"]["template"]["metadata"]["labels"]
    assert not service.items() <= labels.items()


@pytest.mark.parametrize(("canary", "releases"), MODES)
def test_with_mlflow_in_the_cluster_a_model_adds_nothing_to_aws(
    canary: dict[str, Any] | None, releases: int
) -> None:
    """MLflow hands artifacts out, so that pods need no rights on the bucket."""
    graph = churn(PROD, **({"canary": canary} if canary else {}))
    assert added(graph, PROD) == {}
    assert graph.counts()[DEPLOYMENT] == releases + 1


def test_the_route_and_the_gateway_are_those_of_any_cluster() -> None:
    graph = churn(canary={"version": 4, "weight": 10})
    assert graph.one(ENDPOINT, "churn").parent == "kubernetes"
    assert graph.one("delivery:kubernetes:Platform", "kubernetes").parent == "aws"
    (rule,) = graph.one(ROUTE, "churn").inputs["spec"]["rules"]
    assert [backend["weight"] for backend in rule["backendRefs"]] == [90, 10]
    objects = [r for r in graph.resources if r.type.startswith("kubernetes:")]
    assert {r.provider.split("::")[-2] for r in objects} == {"kubernetes"}


def test_the_gateways_load_balancer_is_inside() -> None:
    (proxy,) = [r for r in churn().resources if r.type.endswith(":EnvoyProxy")]
    text = json.dumps(proxy.inputs)
    assert '"service.beta.kubernetes.io/aws-load-balancer-internal": "true"' in text
    assert '"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"' in text


def test_the_load_balancers_address_is_an_output_once_it_has_one() -> None:
    graph, _, outputs = amazon()
    assert outputs["gatewayAddress"] == "gateway.elb.example.com"
    gateway = graph.one("kubernetes:gateway.networking.k8s.io/v1:Gateway", "models-gateway").inputs
    # A Gateway is made at once, and its load balancer minutes later.
    awaited = gateway["metadata"]["annotations"]["pulumi.com/waitFor"]
    assert awaited == "jsonpath={.status.addresses[0].value}"
    assert "status" not in gateway
    # With TLS it waits for a Secret in a namespace that the first update makes: nothing could go on.
    secure = amazon(url="https://models.example.com", gateway={"tlsSecret": "models"})[0]
    gateway = secure.one("kubernetes:gateway.networking.k8s.io/v1:Gateway", "models-gateway").inputs
    assert "annotations" not in gateway["metadata"]


def test_a_caller_on_the_node_of_a_proxy_reaches_it_through_the_load_balancer() -> None:
    """Targets by instance keep the caller's address, and a packet that comes back to its own node is dropped:
    docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-troubleshooting.html#loopback-timeout.
    The annotation, and the rights that it needs, are of cloud-provider-aws#1214 (release 1.34 by #1314)."""
    graph = churn()
    (proxy,) = [r for r in graph.resources if r.type.endswith(":EnvoyProxy")]
    text = json.dumps(proxy.inputs)
    attributes = "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes"
    assert f'"{attributes}": "preserve_client_ip.enabled=false"' in text
    rights = one_policy(graph, "aws:iam/rolePolicy:RolePolicy", "cluster-control")
    groups = f"arn:aws:elasticloadbalancing:eu-central-1:{ACCOUNT}:targetgroup/k8s-*"
    assert [(r["Action"], r["Resource"]) for r in rights if "elasticloadbalancing" in r["Action"][0]] == [
        (["elasticloadbalancing:ModifyTargetGroupAttributes"], [groups]),
        (["elasticloadbalancing:DescribeTargetGroupAttributes"], ["*"]),
    ]


def test_no_alert_misses_what_eks_runs_out_of_reach() -> None:
    release = churn().one("kubernetes:helm.sh/v3:Release", "monitoring").inputs
    # Each is on by default, with an alert that rings where Prometheus doesn't find it.
    # EKS' kube-proxy binds its metrics to 127.0.0.1 (aws/containers-roadmap#657), and the chart's alert on it
    # comes with its target (rules-1.14/kubernetes-system-kube-proxy.yaml).
    for part in ("kubeControllerManager", "kubeScheduler", "kubeEtcd", "kubeProxy"):
        assert release["values"][part] == {"enabled": False}


def test_volumes_are_encrypted_and_kept_where_data_is_protected() -> None:
    for platform, policy in ((DEV, "Delete"), (PROD, "Retain")):
        graph = amazon(platform=platform)[0]
        declared = graph.one("kubernetes:storage.k8s.io/v1:StorageClass", "addons-gp3")
        # Kubernetes refuses another policy, as when data isn't protected any more: a new class comes, by the
        # same name.
        assert "reclaimPolicy" in declared.replaced_by and declared.goes_first
        disk = declared.inputs
        assert disk["parameters"] == {"type": "gp3", "encrypted": "true"}
        assert (disk["reclaimPolicy"], disk["volumeBindingMode"]) == (policy, "WaitForFirstConsumer")
        assert disk["provisioner"] == "ebs.csi.aws.com"


def test_one_environment_can_use_every_runtime() -> None:
    _, endpoints, _ = amazon(
        {
            name: {"runtime": name, "stable": {"version": 3}, "canary": {"version": 4, "weight": 20}}
            for name in ("kubernetes", "lambda", "sagemaker")
        }
    )
    told = {
        name: [(r["version"], r["weight"]) for r in endpoint["releases"]]
        for name, endpoint in endpoints.items()
    }
    assert told == {name: [(3, 80), (4, 20)] for name in ("kubernetes", "lambda", "sagemaker")}
    assert endpoints["kubernetes"]["url"] == "http://models.example.com/kubernetes"
