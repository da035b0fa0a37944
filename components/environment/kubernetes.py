"""The platform of kind `kubernetes`: any cluster that a kubeconfig reaches."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from components.environment.cluster import CLUSTER_KEYS, Cluster, Source, parse_cluster
from components.environment.section import Section
from components.environment.values import Runtime

KEYS: Final = ("kind", "context", "gpu", "metricsServer", *CLUSTER_KEYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesPlatform:
    """An existing cluster, reached by a context of the kubeconfig."""

    runtimes: ClassVar[tuple[Runtime, ...]] = ("kubernetes",)

    kind: Literal["kubernetes"] = "kubernetes"
    context: str
    """A context of the kubeconfig (KUBECONFIG, or ~/.kube/config)."""
    cluster: Cluster
    gpu: Source = "none"
    """NVIDIA's device plugin: `none` is a cluster without GPU nodes."""
    metrics_server: Literal["install", "existing"] = "existing"
    """What autoscaling by CPU asks."""

    @property
    def has_keda(self) -> bool:
        """Whether KEDA scales its models."""
        return self.cluster.keda != "none"

    @property
    def has_prometheus(self) -> bool:
        """Whether there is a Prometheus that KEDA can ask."""
        return self.cluster.has_prometheus

    @property
    def uses_gpus(self) -> bool:
        """Whether the model server's image runs models on a GPU."""
        return self.cluster.image_uses_gpu

    @property
    def gpus(self) -> bool:
        """Whether the cluster has GPU nodes."""
        return self.gpu != "none"


def parse_kubernetes(section: Section) -> KubernetesPlatform | None:
    """Understand the keys of the kind `kubernetes`; None if a required one is missing or wrong."""
    section.require("context", "a context of the kubeconfig")
    context = section.matching(
        "context", re.compile(r"\S(.{0,198}\S)?"), "must be a context of the kubeconfig"
    )
    cluster = parse_cluster(section, has_registry=False)
    gpu = section.choice("gpu", ("install", "existing", "none"))
    metrics_server = section.choice("metricsServer", ("install", "existing"))
    if context is None or cluster is None:
        return None
    return KubernetesPlatform(
        context=context, cluster=cluster, gpu=gpu or "none", metrics_server=metrics_server or "existing"
    )
