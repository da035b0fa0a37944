"""What the provider of a cluster is told of which cluster it is in front of."""

from __future__ import annotations

from typing import Any

import pytest

from components.environment import parse
from components.kubernetes.identity import fingerprint
from components.platform import declare as declare_platform
from tests.unit.aws import amazon
from tests.unit.gcp import google
from tests.unit.graph import STASH, Graph, declare
from tests.unit.kubernetes import IMAGE

PROVIDER = "pulumi:providers:kubernetes"
GKE = "gcp:container/cluster:Cluster"
EKS = "aws:eks/cluster:Cluster"
AUTHORITY = "Y2E="
"""What the clusters of these graphs have for the certificate of their authority."""


@pytest.mark.parametrize(("cloud", "kind"), [(google, GKE), (amazon, EKS)], ids=["gcp", "aws"])
def test_a_cluster_is_known_by_its_first_certificate_until_it_is_replaced(cloud: Any, kind: str) -> None:
    graph, _, outputs = cloud()
    stash = graph.one(STASH, "kubernetes")
    assert stash.inputs["input"] == fingerprint(AUTHORITY)
    assert stash.replaced_with == {graph.one(kind, "cluster").urn}
    assert graph.one(PROVIDER, "kubernetes").inputs["clusterIdentifier"] == fingerprint(AUTHORITY)
    assert outputs["platform"]["access"].keys() == {"kubeconfig", "clusterIdentifier"}


def borrow(access: dict[str, str]) -> Graph:
    shared = {
        "access": access,
        "namespace": "models",
        "image": IMAGE,
        "registry": "https://mlflow.example.com",
        "tracking": "http://tracking.models.svc:5000",
        "url": "https://models.example.com",
        "gateway": "models",
        "gatewayNamespace": "models",
        "proxies": "",
        "waiter": "capacity",
        "gpus": False,
    }

    def outputs(type: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        if type == "pulumi:pulumi:StackReference":
            return {"outputs": {"platform": shared}, "secretOutputNames": []}
        return {}

    environment = parse({"stack": "acme/model-delivery/prod"}, {})
    return declare(lambda: declare_platform(environment.platform), outputs)


def test_a_stack_that_borrows_the_cluster_knows_it_by_the_same_identifier() -> None:
    owner = borrow({"kubeconfig": "{}", "clusterIdentifier": "0123456789abcdef"})
    assert owner.one(PROVIDER, "cluster").inputs["clusterIdentifier"] == "0123456789abcdef"


@pytest.mark.parametrize("access", [{"context": "prod"}, {"kubeconfig": "{}"}], ids=["context", "older"])
def test_a_platform_without_an_identifier_is_borrowed_as_before(access: dict[str, str]) -> None:
    assert "clusterIdentifier" not in borrow(access).one(PROVIDER, "cluster").inputs


def test_the_fingerprint_is_of_the_whole_certificate() -> None:
    assert fingerprint(AUTHORITY) != fingerprint("Y2I=")
    assert len(fingerprint(AUTHORITY)) == 16
