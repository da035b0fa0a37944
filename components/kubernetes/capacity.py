"""Capacity that follows weight: the autoscaler of a release, and the wait for the servers of its share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.environment import Model
from components.kubernetes.autoscaler import AutoscalerArgs, autoscaler
from components.kubernetes.interceptor import (
    INTERCEPTOR,
    INTERCEPTOR_PORT,
    KEDA,
    RELEASE_HEADER,
    HeldArgs,
    held,
    host,
)
from components.kubernetes.labels import release_metadata, selector
from components.kubernetes.server import container_security, pod_security
from components.traffic import Share, minimum_replicas

_WAIT_SECONDS = 1200


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityArgs:
    """The servers of one release."""

    model: Model
    share: Share
    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    service_account: pulumi.Input[str]
    """One that may read Deployments."""
    keda: bool
    """Whether KEDA scales; else Kubernetes itself does."""
    prometheus: pulumi.Input[str]
    """The Prometheus that KEDA asks; empty where it needs none."""
    url: pulumi.Input[str]
    """What callers use: scheme and host."""


def declare_capacity(
    name: str, args: CapacityArgs, workload: pulumi.Resource, opts: pulumi.ResourceOptions
) -> Sequence[pulumi.Resource]:
    """Declare a release's autoscaler; returns what is done when the release has the servers of its share.

    The least number of servers is the release's share of ``autoscaling.min``. The greatest is the model's own
    for every release, whatever its weight: lowering it would end pods at once, while they still have traffic.

    Growth comes before traffic: the autoscaler's minimum rises, then a Job waits until that many pods are
    ready, then the route is changed, which depends on the Job. Where it isn't reached in 20 minutes the
    update fails, and the traffic is as it was. A minimum of one needs no Job: the Deployment itself is waited
    for. With KEDA it needs one: the Deployment may have been asleep until this update.

    Shrinking comes after traffic has gone: a lower minimum ends nothing by itself. The autoscaler goes by
    what the pods do, by the busiest moment of the last 5 minutes, and then takes away at most a tenth of
    them a minute. So a release that loses traffic in this update keeps the pods that its traffic needs
    until 5 minutes after it has lost it. One that isn't declared any more is deleted after the route has
    changed.

    A model whose ``autoscaling.min`` is 0 has its autoscaler by ``declare_sleep``. Here its requests are made
    known to the interceptor, and a Job sends one through it, which wakes a first server: a release that gets
    another weight is awake before it has it.
    """
    least = minimum_replicas(args.model, args.share)
    if least == 0:
        route = held(name, _held(args), _after(opts, workload))
        if args.share.weight == 0:
            return [route]
        return [route, _wait(f"{name}-w{args.share.weight}", args, _wake(name, args), _after(opts, route))]
    scaler = autoscaler(name, _scaling(args, least), _after(opts, workload))
    if least == 1 and not args.keda:
        return [scaler]
    # The number is in the name: another minimum is another Job, which runs anew.
    return [
        scaler,
        _wait(f"{name}-c{least}", args, _ready(name, args, least), _after(opts, workload, scaler)),
    ]


def declare_sleep(
    name: str, args: CapacityArgs, route: pulumi.Resource, opts: pulumi.ResourceOptions
) -> pulumi.Resource | None:
    """Declare the autoscaler of a release that may have no server; None where it may not.

    Its last server may go only when the route leads through the interceptor, which holds what comes then.
    """
    least = minimum_replicas(args.model, args.share)
    return None if least else autoscaler(name, _scaling(args, least), _after(opts, route))


def _scaling(args: CapacityArgs, least: int) -> AutoscalerArgs:
    return AutoscalerArgs(
        model=args.model,
        version=args.share.version,
        namespace=args.namespace,
        minimum=least,
        keda=args.keda,
        prometheus=args.prometheus,
    )


def _ready(name: str, args: CapacityArgs, least: int) -> Sequence[pulumi.Input[str]]:
    return ["--namespace", args.namespace, "--deployment", name, "--ready", str(least)]


def _held(args: CapacityArgs) -> HeldArgs:
    return HeldArgs(
        model=args.model, version=args.share.version, namespace=args.namespace, host=host(args.url)
    )


def _wake(name: str, args: CapacityArgs) -> Sequence[pulumi.Input[str]]:
    url = f"http://{INTERCEPTOR}.{KEDA}:{INTERCEPTOR_PORT}/v2/health/ready"
    known_as = pulumi.Output.concat("Host: ", host(args.url))
    return ["--wake", url, "--header", known_as, "--header", f"{RELEASE_HEADER}: {name}"]


def _wait(
    job: str, args: CapacityArgs, words: Sequence[pulumi.Input[str]], opts: pulumi.ResourceOptions
) -> k8s.batch.v1.Job:
    version = args.share.version
    limits = {"cpu": "100m", "memory": "128Mi"}
    container: k8s.core.v1.ContainerArgsDict = {
        "name": "wait",
        "image": args.image,
        "command": ["python", "-m", "serving.capacity"],
        "args": [*words, "--seconds", str(_WAIT_SECONDS - 60)],
        "resources": {"requests": limits, "limits": limits},
        "security_context": container_security(),
    }
    # These labels are not the servers': the Job's pod must not be counted among them.
    labels = {f"{key}-wait": value for key, value in selector(args.model, version).items()}
    return k8s.batch.v1.Job(
        job,
        metadata=release_metadata(job, args.namespace, args.model, version),
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


def _after(opts: pulumi.ResourceOptions, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(resources)))
