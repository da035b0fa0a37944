"""What a role that previews needs in the cluster: the rules of EKS' access policies, as RBAC has them.

The rules are from the Amazon EKS User Guide, "Review access policy permissions" (read on 2026-11-28).
Pulumi's provider asks the API server for a dry run, which takes the right to patch, and goes on without where
it is forbidden (pulumi-kubernetes 4.25, provider/pkg/provider/provider.go, ``Create`` and ``Update``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.api import ROUTE, Api
from tests.cluster.history import split_of
from tests.cluster.stack import PLATFORM, SPACE, ClusterStack, split

pytestmark = pytest.mark.cluster
_READ = ["get", "list", "watch"]
ALL = [{"apiGroups": ["*"], "resources": ["*"], "verbs": _READ}]
"""AmazonEKSAdminViewPolicy."""
MOST = [
    {"apiGroups": [group], "resources": resources, "verbs": _READ}
    for group, resources in {
        "apps": ["daemonsets", "deployments", "replicasets", "statefulsets"],
        "autoscaling": ["horizontalpodautoscalers"],
        "batch": ["cronjobs", "jobs"],
        "networking.k8s.io": ["ingresses", "networkpolicies"],
        "policy": ["poddisruptionbudgets"],
        "": ["configmaps", "namespaces", "persistentvolumeclaims", "pods", "serviceaccounts", "services"],
    }.items()
]
"""Of AmazonEKSViewPolicy, what this stack declares."""


def allow(api: Api, user: str, rules: list[dict[str, Any]]) -> None:
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": user}}
    api.apply({**rbac, "kind": "ClusterRole", "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    api.apply({**rbac, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]})


@pytest.fixture
def seen(api: Api, canary: ClusterStack) -> Iterator[ClusterStack]:
    """The stack, planned by whoever ``as_user`` says."""
    yield canary
    api.access.kubeconfig(Path(canary.env["KUBECONFIG"]), PLATFORM["context"])
    canary.declare(split(10))


def as_user(api: Api, stack: ClusterStack, user: str) -> None:
    api.access.of(user).kubeconfig(Path(stack.env["KUBECONFIG"]), PLATFORM["context"])


def test_who_may_read_everything_previews_with_refresh_and_changes_nothing(
    api: Api, seen: ClusterStack
) -> None:
    allow(api, "viewer", ALL)
    as_user(api, seen, "viewer")
    drift = seen.preview("--refresh", "--expect-no-changes", check=False)
    assert drift.code == 0, drift.text
    seen.declare(split(50))
    planned = seen.preview("--refresh", "--diff", check=False)
    assert planned.code == 0 and "weight" in planned.text, planned.text
    refused = seen.up(check=False)
    assert refused.code != 0 and "cannot patch resource" in refused.text, refused.text
    assert split_of(api.get(ROUTE, SPACE, "fraud")) == {"fraud-v3": 90, "fraud-v4": 10}


def test_who_reads_neither_secrets_nor_custom_resources_can_not_refresh(api: Api, seen: ClusterStack) -> None:
    allow(api, "restricted", MOST)
    as_user(api, seen, "restricted")
    drift = seen.preview("--refresh", check=False)
    assert drift.code != 0 and "cannot get resource" in drift.text, drift.text
