"""Capacity that follows weight: the autoscaler of a release, and the wait for the servers of its share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.environment import Model
from components.kubernetes.labels import release_metadata, selector
from components.kubernetes.server import container_security, pod_security

REQUESTS_METRIC = "model_requests_per_second"
"""The metric of a pod that autoscaling by requests asks the custom metrics API for."""
_CPU_PERCENT = 70
_HOLD_SECONDS = 300
_WAIT_SECONDS = 1200


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityArgs:
    """The servers of one release."""

    model: Model
    version: int
    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    floor: int
    """The servers that it has at least."""
    service_account: pulumi.Input[str]
    """One that may read Deployments."""


def declare_capacity(
    name: str, args: CapacityArgs, workload: pulumi.Resource, opts: pulumi.ResourceOptions
) -> Sequence[pulumi.Resource]:
    """Declare a release's autoscaler; returns what is done when the release has the servers of its share.

    The least number of servers is the release's share of ``autoscaling.min``. The greatest is the model's own
    for every release, whatever its weight: lowering it would end pods at once, while they still have traffic.

    Growth comes before traffic: the floor rises, then a Job waits until that many pods are ready, then the
    route is changed, which depends on the Job. Where it isn't reached in 20 minutes the update fails, and the
    traffic is as it was. A floor of one needs no Job: the Deployment itself is waited for.

    Shrinking comes after traffic has gone: a lower floor ends nothing by itself. The autoscaler goes by what
    the pods do, by the busiest moment of the last 5 minutes, and then takes away at most a tenth of them a
    minute. So a release that loses traffic in this update keeps the pods that its traffic needs until 5
    minutes after it has lost it. One that isn't declared any more is deleted after the route has changed.
    """
    autoscaler = _autoscaler(name, args, pulumi.ResourceOptions.merge(opts, _after(workload)))
    if args.floor == 1:
        return [autoscaler]
    wait = _wait(name, args, pulumi.ResourceOptions.merge(opts, _after(workload, autoscaler)))
    return [autoscaler, wait]


def _autoscaler(
    name: str, args: CapacityArgs, opts: pulumi.ResourceOptions
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
                    "target": {"type": "AverageValue", "average_value": str(scaling.requests_per_second)},
                },
            }
        )
    return k8s.autoscaling.v2.HorizontalPodAutoscaler(
        name,
        metadata=release_metadata(name, args.namespace, args.model, args.version),
        spec={
            "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": name},
            "min_replicas": args.floor,
            "max_replicas": scaling.max,
            "metrics": metrics,
            "behavior": {
                "scale_up": {
                    "stabilization_window_seconds": 0,
                    "select_policy": "Max",
                    "policies": [
                        {"type": "Percent", "value": 100, "period_seconds": 15},
                        {"type": "Pods", "value": 4, "period_seconds": 15},
                    ],
                },
                "scale_down": {
                    "stabilization_window_seconds": _HOLD_SECONDS,
                    "select_policy": "Max",
                    "policies": [{"type": "Percent", "value": 10, "period_seconds": 60}],
                },
            },
        },
        opts=opts,
    )


def _wait(name: str, args: CapacityArgs, opts: pulumi.ResourceOptions) -> k8s.batch.v1.Job:
    # The number is in the name: another floor is another Job, which runs anew.
    job = f"{name}-c{args.floor}"
    words: list[pulumi.Input[str]] = [
        *("--namespace", args.namespace, "--deployment", name),
        *("--ready", str(args.floor), "--seconds", str(_WAIT_SECONDS - 60)),
    ]
    limits = {"cpu": "100m", "memory": "128Mi"}
    container: k8s.core.v1.ContainerArgsDict = {
        "name": "wait",
        "image": args.image,
        "command": ["python", "-m", "serving.capacity"],
        "args": words,
        "resources": {"requests": limits, "limits": limits},
        "security_context": container_security(),
    }
    # These labels are not the servers': the Job's pod must not be counted among them.
    labels = {f"{key}-wait": value for key, value in selector(args.model, args.version).items()}
    return k8s.batch.v1.Job(
        job,
        metadata=release_metadata(job, args.namespace, args.model, args.version),
        spec={
            "backoff_limit": 3,
            "active_deadline_seconds": _WAIT_SECONDS,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "restart_policy": "Never",
                    "service_account_name": args.service_account,
                    "automount_service_account_token": True,
                    "enable_service_links": False,
                    "security_context": pod_security(),
                    "containers": [container],
                },
            },
        },
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create=f"{_WAIT_SECONDS}s")),
        ),
    )


def _after(*resources: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(depends_on=list(resources))
