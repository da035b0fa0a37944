"""The cluster's own rules: who may talk to pods, who may ask the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from policy.references import cis_eks, soc2
from policy.rule import Case, Finding, Resource, Rule, Severity
from policy.rules.pods import TEMPLATES, containers, is_selected, labels_of
from policy.rules.values import as_map, is_world, listed

NETWORK_POLICY: Final = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
STORAGE_CLASS: Final = "kubernetes:storage.k8s.io/v1:StorageClass"
BINDINGS: Final = frozenset(
    {
        "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
        "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
    }
)
_STRANGERS: Final = ("system:anonymous", "system:unauthenticated", "system:authenticated")
ROLES: Final = frozenset(
    {
        "kubernetes:rbac.authorization.k8s.io/v1:Role",
        "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole",
    }
)


def _policies(case: Case) -> Iterator[Finding]:
    workload = case.resource
    namespace = workload.value("metadata.namespace", "default")
    labels = labels_of(workload)
    here = [p for p in case.others(NETWORK_POLICY) if p.value("metadata.namespace", "default") == namespace]
    if not here:
        yield Finding(message=f"{workload.id}: the namespace {namespace} has no NetworkPolicy")
    elif any(container.at("ports") for container in containers(workload)):
        selecting = [p for p in here if is_selected(labels, p.value("spec.podSelector", {}))]
        if not any("Ingress" in p.value("spec.policyTypes", ["Ingress"]) for p in selecting):
            yield Finding(message=f"{workload.id}: it listens, and no NetworkPolicy says who may call it")
    for policy in here:
        if is_selected(labels, policy.value("spec.podSelector", {})):
            yield from _open(workload, policy)


def _open(workload: Resource, policy: Resource) -> Iterator[Finding]:
    for ingress in cast("Sequence[Mapping[str, Any]]", policy.items("spec.ingress")):
        callers = listed(ingress.get("from"))
        if not callers or any(map(_is_everybody, callers)):
            yield Finding(
                message=f"{workload.id}: the NetworkPolicy {policy.name} lets everybody in",
                fix="say in `from` which pods or namespaces may call",
            )


def _is_everybody(caller: object) -> bool:
    """Whether a peer is the whole internet, or every pod of the cluster."""
    peer = as_map(caller)
    if block := as_map(peer.get("ipBlock")):
        return is_world(block.get("cidr"))
    selectors = [as_map(peer[key]) for key in ("namespaceSelector", "podSelector") if key in peer]
    return "namespaceSelector" in peer and not any(selectors)


def _bindings(case: Case) -> Iterator[Finding]:
    binding = case.resource
    for subject in cast("Sequence[Mapping[str, Any]]", binding.items("subjects")):
        if subject.get("kind") == "ServiceAccount" and binding.value("roleRef.name") == "cluster-admin":
            yield Finding(
                message=f"{binding.id}: pods with the account {subject.get('name')} may do everything"
            )
        if subject.get("name") in _STRANGERS:
            yield Finding(message=f"{binding.id}: {subject.get('name')} is everybody who reaches the API")


def _wildcards(case: Case) -> Iterator[Finding]:
    if case.resource.type in BINDINGS:
        yield from _bindings(case)
        return
    for index, rule in enumerate(cast("Sequence[Mapping[str, Any]]", case.resource.items("rules"))):
        for key in ("verbs", "resources", "apiGroups"):
            if "*" in (rule.get(key) or []):
                yield Finding(message=f"{case.resource.id}: rules[{index}].{key} has *")


def _encrypted(case: Case) -> Iterator[Finding]:
    storage = case.resource
    if storage.value("provisioner") == "ebs.csi.aws.com" and storage.value("parameters", {}).get(
        "encrypted"
    ) not in (
        "true",
        True,
    ):
        yield Finding(message=f'{storage.id}: parameters.encrypted isn\'t "true"')


RULES: Final = (
    Rule(
        id="network-policy",
        title="NetworkPolicies say who may call a workload",
        severity=Severity.HIGH,
        references=(cis_eks("4.3.2"), cis_eks("5.4.4"), soc2("CC6.6")),
        why="Without one every pod of the cluster can call a model, past the gateway and its logs.",
        fix="declare a NetworkPolicy for the workload's pods that names its callers",
        types=frozenset(TEMPLATES),
        check=_policies,
        whole_stack=True,
    ),
    Rule(
        id="rbac-wildcard",
        title="Roles of the cluster have no wildcards, and are somebody's",
        severity=Severity.HIGH,
        references=(cis_eks("4.1.3"), soc2("CC6.3")),
        why="A star allows also what doesn't exist yet, and nobody has looked at.",
        fix="write the verbs, resources and API groups out, and bind the role to one account",
        types=ROLES | BINDINGS,
        check=_wildcards,
    ),
    Rule(
        id="volumes-encrypted",
        title="Volumes that pods claim are encrypted",
        severity=Severity.HIGH,
        references=(soc2("CC6.1"),),
        why="A volume keeps requests, models and caches when its pod is long gone.",
        fix='set parameters: {encrypted: "true"} on the StorageClass',
        types=frozenset({STORAGE_CLASS}),
        check=_encrypted,
    ),
)
