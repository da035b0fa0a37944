"""The Helm charts that a platform may install, each at one version. Raising one is a change to review."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart in a repository, or the whole ``oci://`` address of one."""

    chart: str
    version: str
    repository: str | None = None


# Versions of Kubernetes that a chart supports are in components/environment/kubernetes_versions.py.
ENVOY_GATEWAY: Final = Chart(chart="oci://docker.io/envoyproxy/gateway-helm", version="v1.9.3")
ENVOY: Final = "docker.io/envoyproxy/envoy:distroless-v1.39.3"
"""The proxies' image. Envoy Gateway 1.9.3 comes with 1.39.2, whose filters for API keys and OAuth2 crash on a
request without a path (https://github.com/envoyproxy/envoy/releases/tag/v1.39.3). To be taken out with the
next version of Envoy Gateway."""
KUBE_PROMETHEUS_STACK: Final = Chart(
    chart="kube-prometheus-stack",
    version="81.6.2",
    repository="https://prometheus-community.github.io/helm-charts",
)
PROMETHEUS_ADAPTER: Final = Chart(
    chart="prometheus-adapter",
    version="5.3.0",
    repository="https://prometheus-community.github.io/helm-charts",
)
METRICS_SERVER: Final = Chart(
    chart="metrics-server",
    version="3.13.0",
    repository="https://kubernetes-sigs.github.io/metrics-server",
)
NVIDIA_DEVICE_PLUGIN: Final = Chart(
    chart="nvidia-device-plugin",
    version="0.18.2",
    repository="https://nvidia.github.io/k8s-device-plugin",
)
KEDA_CHART: Final = Chart(
    chart="keda",
    version="2.20.2",
    repository="https://kedacore.github.io/charts",
)
KEDA_HTTP: Final = Chart(
    chart="keda-add-ons-http",
    version="0.15.0",
    repository="https://kedacore.github.io/charts",
)
DCGM_EXPORTER: Final = Chart(
    chart="dcgm-exporter",
    version="4.8.2",
    repository="https://nvidia.github.io/dcgm-exporter/helm-charts",
)


def install(
    name: str,
    chart: Chart,
    namespace: str,
    values: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
    create_namespace: bool = True,
    skip_crds: bool = False,
) -> k8s.helm.v3.Release:
    """Install a chart; it is done when what it installs is ready. A failed first install leaves nothing.

    ``skip_crds`` leaves out the definitions in a chart's folder ``crds/``, which Helm would never upgrade.
    """
    source: dict[str, Any] = {"repository_opts": {"repo": chart.repository}} if chart.repository else {}
    if skip_crds:
        source["skip_crds"] = True
    return k8s.helm.v3.Release(
        name,
        name=name,
        chart=chart.chart,
        version=chart.version,
        namespace=namespace,
        create_namespace=create_namespace,
        atomic=True,
        timeout=900,
        values=dict(values),
        opts=opts,
        **source,
    )
