"""Prometheus and Grafana: what is scraped, which alerts there are, how many requests a pod answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.environment import Prices
from components.kubernetes.alerts import groups
from components.kubernetes.autoscaler import REQUESTS_METRIC
from components.kubernetes.charts import KUBE_PROMETHEUS_STACK, PROMETHEUS_ADAPTER, install
from components.kubernetes.dashboards import dashboards
from components.kubernetes.labels import PART_OF
from components.kubernetes.network import MONITORING
from components.kubernetes.receivers import NOBODY, Receivers, values

PROMETHEUS = f"http://monitoring-prometheus.{MONITORING}.svc:9090"
"""Where pods reach the Prometheus that is installed."""
# A cloud runs the first three out of reach, EKS' kube-proxy shows its metrics to its own node alone
# (aws/containers-roadmap#657), GKE has none (Dataplane V2), and kubeadm has them listen on loopback
# (kubernetes/kubeadm#2388). Alerts that miss them would ring from the first minute on. Whoever runs a control
# plane watches it by other means.
_OUT_OF_REACH = ("kubeControllerManager", "kubeScheduler", "kubeEtcd", "kubeProxy")
_API = "monitoring.coreos.com/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringArgs:
    """What is watched."""

    namespace: str
    """The namespace of the models."""
    install: bool
    """Whether the charts are installed; else the cluster has the Prometheus operator and, for autoscaling by
    requests, the metric ``model_requests_per_second`` in its custom metrics API."""
    storage_class: str | None
    prices: Prices | None = None
    """None: the dashboards show no costs."""
    receivers: Receivers = NOBODY
    """Who is told of alerts by the Alertmanager that is installed."""


class Monitoring(pulumi.ComponentResource):
    """kube-prometheus-stack and the Prometheus adapter by their charts, and what models need of them.

    One ServiceMonitor finds the servers of every model by their labels, one PrometheusRule has the alerts,
    and each dashboard is a ConfigMap that Grafana's sidecar picks up: none of them grows with the models.
    """

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("delivery:kubernetes:Monitoring", name, None, opts)
        self._namespace = args.namespace
        after = pulumi.ResourceOptions(parent=self)
        if args.install:
            child = pulumi.ResourceOptions(parent=self)
            stack = install(
                MONITORING, KUBE_PROMETHEUS_STACK, MONITORING, _values(args), child, skip_crds=True
            )
            after = pulumi.ResourceOptions(parent=self, depends_on=[stack])
            install("prometheus-adapter", PROMETHEUS_ADAPTER, MONITORING, _adapter(), after)
        k8s.apiextensions.CustomResource(
            "models-monitor",
            api_version=_API,
            kind="ServiceMonitor",
            metadata=self._metadata("models"),
            spec=_monitor(),
            opts=after,
        )
        k8s.apiextensions.CustomResource(
            "models-rules",
            api_version=_API,
            kind="PrometheusRule",
            metadata=self._metadata("models"),
            spec={"groups": groups(args.namespace)},
            opts=after,
        )
        for title, text in dashboards(args.namespace, args.prices).items():
            k8s.core.v1.ConfigMap(
                f"dashboard-{title}",
                metadata=self._metadata(f"dashboard-{title}", grafana_dashboard="1"),
                data={f"{title}.json": text},
                opts=after,
            )
        self.register_outputs({"namespace": MONITORING})

    def _metadata(self, name: str, **labels: str) -> k8s.meta.v1.ObjectMetaArgsDict:
        return {"name": name, "namespace": self._namespace, "labels": {**PART_OF, **labels}}


def _values(args: MonitoringArgs) -> dict[str, Any]:
    claim: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "50Gi"}},
    }
    if args.storage_class:
        claim["storageClassName"] = args.storage_class
    # Objects of every namespace count, not only those that this chart itself installs.
    open_to_all = {
        f"{kind}SelectorNilUsesHelmValues": False for kind in ("serviceMonitor", "podMonitor", "rule")
    }
    return {
        **{part: {"enabled": False} for part in _OUT_OF_REACH},
        "fullnameOverride": "monitoring",
        **({"alertmanager": values(args.receivers)} if args.receivers else {}),
        "prometheus": {
            "prometheusSpec": {
                **open_to_all,
                "retention": "15d",
                "storageSpec": {"volumeClaimTemplate": {"spec": claim}},
            }
        },
        "grafana": {
            "fullnameOverride": "grafana",
            "sidecar": {
                "dashboards": {"enabled": True, "label": "grafana_dashboard", "searchNamespace": "ALL"}
            },
        },
    }


def _adapter() -> dict[str, Any]:
    counter = "model_requests_total"
    rule = {
        "seriesQuery": f'{counter}{{namespace!="",pod!=""}}',
        "resources": {"overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}},
        "name": {"matches": counter, "as": REQUESTS_METRIC},
        "metricsQuery": "sum(rate(<<.Series>>{<<.LabelMatchers>>}[1m])) by (<<.GroupBy>>)",
    }
    return {
        "prometheus": {"url": "http://monitoring-prometheus.monitoring.svc", "port": 9090},
        "rules": {"default": False, "custom": [rule]},
    }


def _monitor() -> dict[str, Any]:
    role = "__meta_kubernetes_service_label_model_delivery_role"
    return {
        "selector": {
            "matchLabels": PART_OF,
            "matchExpressions": [{"key": "model-delivery/role", "operator": "Exists"}],
        },
        "endpoints": [
            {
                "port": "http",
                "path": "/metrics",
                "interval": "15s",
                "relabelings": [{"sourceLabels": [role], "targetLabel": "role"}],
            }
        ],
    }
