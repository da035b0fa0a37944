"""Who decides how many servers a release has: Kubernetes' own autoscaler, or KEDA where there is one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import pulumi
import pulumi_kubernetes as k8s

from components.environment import Model
from components.kubernetes.interceptor import SCALER
from components.kubernetes.labels import annotated, release_metadata
from components.kubernetes.quantities import decimal

REQUESTS_METRIC = "model_requests_per_second"
"""The metric of a pod that autoscaling by requests asks the custom metrics API for."""
HOLD_SECONDS = 300
"""How long the busiest moment counts before servers are ended."""
_CPU_PERCENT = 70
_POLL_SECONDS = 15

_BEHAVIOUR: Final[k8s.autoscaling.v2.HorizontalPodAutoscalerBehaviorArgsDict] = {
    "scale_up": {
        "stabilization_window_seconds": 0,
        "select_policy": "Max",
        "policies": [
            {"type": "Percent", "value": 100, "period_seconds": 15},
            {"type": "Pods", "value": 4, "period_seconds": 15},
        ],
    },
    "scale_down": {
        "stabilization_window_seconds": HOLD_SECONDS,
        "select_policy": "Max",
        "policies": [{"type": "Percent", "value": 10, "period_seconds": 60}],
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalerArgs:
    """What one release is scaled by."""

    model: Model
    version: int
    namespace: pulumi.Input[str]
    minimum: int
    """The servers that it has at least; 0 only with KEDA."""
    keda: bool
    prometheus: pulumi.Input[str]
    """The Prometheus that KEDA asks; empty where it needs none."""


def autoscaler(name: str, args: AutoscalerArgs, opts: pulumi.ResourceOptions) -> pulumi.Resource:
    """Declare the autoscaler of the Deployment ``name``: by CPU and, if asked, by requests and GPU load."""
    return _scaled_object(name, args, opts) if args.keda else _built_in(name, args, opts)


def _built_in(
    name: str, args: AutoscalerArgs, opts: pulumi.ResourceOptions
) -> k8s.autoscaling.v2.HorizontalPodAutoscaler:
    scaling = args.model.autoscaling
    metrics: list[k8s.autoscaling.v2.MetricSpecArgsDict] = [
        {
            "type": "Resource",
            "resource": {
                "name": "cpu",
                "target": {"type": "Utilization", "average_utilization": _CPU_PERCENT},
            },
        }
    ]
    if scaling.requests_per_second:
        metrics.append(
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": REQUESTS_METRIC},
                    "target": {"type": "AverageValue", "average_value": decimal(scaling.requests_per_second)},
                },
            }
        )
    metadata = release_metadata(name, args.namespace, args.model, args.version)
    return k8s.autoscaling.v2.HorizontalPodAutoscaler(
        name,
        # KEDA's webhook refuses a second autoscaler of a Deployment. A platform that gets KEDA has both for
        # as long as an update takes: the new one is made before the old one is removed.
        metadata=annotated(metadata, "validations.keda.sh/hpa-ownership", "false"),
        spec={
            "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": name},
            "min_replicas": args.minimum,
            "max_replicas": scaling.max,
            "metrics": metrics,
            "behavior": _BEHAVIOUR,
        },
        opts=opts,
    )


def _scaled_object(
    name: str, args: AutoscalerArgs, opts: pulumi.ResourceOptions
) -> k8s.apiextensions.CustomResource:
    """KEDA's: it makes a HorizontalPodAutoscaler of its own, and takes the last server away itself.

    It has no ``fallback``: while a metric can't be had nothing is scaled down, which a fallback would do.
    """
    return k8s.apiextensions.CustomResource(
        name,
        api_version="keda.sh/v1alpha1",
        kind="ScaledObject",
        metadata=release_metadata(name, args.namespace, args.model, args.version),
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicaCount": args.minimum,
            "maxReplicaCount": args.model.autoscaling.max,
            "pollingInterval": _POLL_SECONDS,
            "cooldownPeriod": HOLD_SECONDS,
            # A new release has no activity to look back on, and is about to get its first requests.
            "initialCooldownPeriod": HOLD_SECONDS,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _camel(_BEHAVIOUR)}},
            "triggers": _triggers(name, args),
        },
        opts=opts,
    )


def _triggers(name: str, args: AutoscalerArgs) -> Sequence[Mapping[str, Any]]:
    scaling = args.model.autoscaling
    triggers: list[Mapping[str, Any]] = [
        {"type": "cpu", "metricType": "Utilization", "metadata": {"value": str(_CPU_PERCENT)}}
    ]
    if scaling.min == 0:
        # Requests that wait for a first server, which no server could report; see the interceptor's route.
        triggers.append(
            {"type": "external-push", "metadata": {"scalerAddress": SCALER, "interceptorRoute": name}}
        )
    elif scaling.requests_per_second:
        triggers.append(
            _query(args, requests_query(args), scaling.requests_per_second, "AverageValue", "requests")
        )
    if scaling.gpu_utilization:
        triggers.append(_query(args, gpu_query(name, args), scaling.gpu_utilization, "Value", "gpu"))
    return triggers


def _query(
    args: AutoscalerArgs, query: pulumi.Input[str], threshold: int, kind: str, name: str
) -> Mapping[str, Any]:
    metadata = {"serverAddress": args.prometheus, "query": query, "threshold": str(threshold)}
    return {"type": "prometheus", "name": name, "metricType": kind, "metadata": metadata}


def requests_query(args: AutoscalerArgs) -> pulumi.Output[str]:
    """PromQL: the requests a second that all servers of a release answer."""
    return pulumi.Output.format(
        'sum(rate(model_requests_total{{namespace="{0}", model="{1}", version="{2}"}}[1m]))',
        args.namespace,
        args.model.name,
        args.version,
    )


def gpu_query(name: str, args: AutoscalerArgs) -> pulumi.Output[str]:
    """PromQL: the mean percentage of time in which the GPUs of a release are busy."""
    return pulumi.Output.format(
        'avg(DCGM_FI_DEV_GPU_UTIL{{namespace="{0}", pod=~"{1}"}})', args.namespace, pods(name)
    )


def pods(name: str) -> str:
    """A pattern of the names of a Deployment's pods, and of no other's: ``a-v1`` isn't ``a-v1-v2``."""
    return f"{name}-[a-z0-9]+-[a-z0-9]{{5}}"


def _camel(value: object) -> Any:
    """A typed SDK's names as Kubernetes writes them."""
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, object]", value).items()
        return {re.sub("_(.)", lambda found: found[1].upper(), key): _camel(inner) for key, inner in pairs}
    if isinstance(value, list):
        return [_camel(inner) for inner in cast("list[object]", value)]
    return value
