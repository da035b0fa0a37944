"""Which changes a provider makes by a replacement: a table of what is used here, since the SDKs don't say it.

A path without indexes stands for everything below it. What isn't in the table is updated in place.

Sources: for Kubernetes, `provider/pkg/provider/diff.go` of pulumi-kubernetes 4.x; for AWS, the arguments that
the schemas of terraform-provider-aws 6.x (under pulumi-aws 7.x) mark `ForceNew` or `RequiresReplace`.
"""

from __future__ import annotations

import re

_METADATA = frozenset({"metadata.name", "metadata.namespace"})

_KUBERNETES: dict[str, frozenset[str]] = {
    "kubernetes:apps/v1:Deployment": frozenset({"spec.selector"}),
    "kubernetes:apps/v1:StatefulSet": frozenset(
        {
            "spec.podManagementPolicy",
            "spec.revisionHistoryLimit",
            "spec.selector",
            "spec.serviceName",
            "spec.volumeClaimTemplates",
        }
    ),
    "kubernetes:batch/v1:Job": frozenset(
        {"spec.completions", "spec.parallelism", "spec.selector", "spec.template"}
    ),
    # Unless the provider is told enableConfigMapMutable or enableSecretMutable.
    "kubernetes:core/v1:ConfigMap": frozenset({"binaryData", "data"}),
    "kubernetes:core/v1:Secret": frozenset({"type", "data", "stringData"}),
    "kubernetes:core/v1:PersistentVolumeClaim": frozenset({"spec"}),
    "kubernetes:core/v1:Service": frozenset({"spec.clusterIP"}),
    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding": frozenset({"roleRef"}),
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding": frozenset({"roleRef"}),
    "kubernetes:storage.k8s.io/v1:StorageClass": frozenset({"parameters", "provisioner"}),
}

_AWS: dict[str, frozenset[str]] = {}


def replaces(token: str, path: str) -> bool:
    """Whether a change at a path (``spec.template.spec.containers[0].image``) needs a new resource."""
    plain = re.sub(r"\[[^\]]*\]", "", path)
    table = _KUBERNETES if token.startswith("kubernetes:") else _AWS
    fixed = table.get(token, frozenset()) | (_METADATA if token.startswith("kubernetes:") else frozenset())
    return any(plain == name or plain.startswith(f"{name}.") for name in fixed)
