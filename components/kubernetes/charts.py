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


ENVOY_GATEWAY: Final = Chart(chart="oci://docker.io/envoyproxy/gateway-helm", version="v1.7.0")
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
) -> k8s.helm.v3.Release:
    """Install a chart; it is done when what it installs is ready. A failed first install leaves nothing."""
    source: dict[str, Any] = {"repository_opts": {"repo": chart.repository}} if chart.repository else {}
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
