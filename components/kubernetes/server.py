"""The pods of one release: an artifact that is fetched and checked before a hardened server loads it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.environment import Model
from components.kubernetes.labels import pod_labels, release_metadata, selector
from components.kubernetes.quantities import binary, decimal

PORT = 8080
_USER = 10001
_ARTIFACT = "/artifact/model"
_DRAIN_SECONDS, _MOST_DRAIN_SECONDS = 10, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerArgs:
    """What a release's pods are made of."""

    model: Model
    version: int
    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    source: pulumi.Input[str]
    """The artifact's URI in the registry."""
    digest: pulumi.Input[str]
    tracking: pulumi.Input[str]
    """The MLflow tracking URI as pods reach it: artifacts that MLflow serves come from there."""


def deployment(name: str, args: ServerArgs, opts: pulumi.ResourceOptions) -> k8s.apps.v1.Deployment:
    """A Deployment without ``replicas``, which are the autoscaler's.

    An update starts new pods before it ends old ones. A pod that is told to end stops being ready at once and
    answers on for as long as requests come, up to 20 s; what is asked of it then has its whole time.
    """
    labels = pod_labels(args.model, args.version)
    return k8s.apps.v1.Deployment(
        name,
        metadata=release_metadata(name, args.namespace, args.model, args.version),
        spec={
            "selector": {"match_labels": selector(args.model, args.version)},
            "strategy": {
                "type": "RollingUpdate",
                "rolling_update": {"max_surge": "25%", "max_unavailable": 0},
            },
            "revision_history_limit": 3,
            "template": {"metadata": {"labels": labels}, "spec": _pod(name, args)},
        },
        opts=opts,
    )


def container_security() -> k8s.core.v1.SecurityContextArgsDict:
    """A container that can neither gain rights nor write to its own image."""
    return {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def pod_security(user: int = _USER) -> k8s.core.v1.PodSecurityContextArgsDict:
    """A pod without root, under the runtime's own system call filter."""
    return {
        "run_as_non_root": True,
        "run_as_user": user,
        "run_as_group": user,
        "fs_group": user,
        "seccomp_profile": {"type": "RuntimeDefault"},
    }


def _pod(name: str, args: ServerArgs) -> k8s.core.v1.PodSpecArgsDict:
    resources = args.model.resources
    spec: k8s.core.v1.PodSpecArgsDict = {
        "service_account_name": name,
        "automount_service_account_token": False,
        "enable_service_links": False,
        "termination_grace_period_seconds": _grace(args.model) + 10,
        "security_context": pod_security(),
        "topology_spread_constraints": [
            {
                "max_skew": 1,
                "topology_key": key,
                "when_unsatisfiable": "ScheduleAnyway",
                "label_selector": {"match_labels": selector(args.model, args.version)},
                # Old and new pods of one update are each spread by themselves.
                "match_label_keys": ["pod-template-hash"],
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
        "init_containers": [_fetch(args)],
        "containers": [_server(args)],
        "volumes": [{"name": "artifact", "empty_dir": {}}, {"name": "tmp", "empty_dir": {}}],
    }
    if resources.gpu:
        # GPU nodes are tainted so that nothing else sits on them.
        spec["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    return spec


def _fetch(args: ServerArgs) -> k8s.core.v1.ContainerArgsDict:
    words: list[pulumi.Input[str]] = [
        *("--source", args.source, "--digest", args.digest),
        *("--tracking", args.tracking, "--to", _ARTIFACT),
    ]
    return {
        "name": "fetch",
        "image": args.image,
        "command": ["python", "-m", "serving.fetch"],
        "args": words,
        "resources": _resources(args.model, gpu=False),
        "security_context": container_security(),
        "volume_mounts": [
            {"name": "artifact", "mount_path": "/artifact"},
            {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108
        ],
    }


def _server(args: ServerArgs) -> k8s.core.v1.ContainerArgsDict:
    model = args.model
    words: list[pulumi.Input[str]] = [
        *("--model", model.name, "--version", str(args.version)),
        *("--artifact", _ARTIFACT, "--digest", args.digest),
        *("--host", "0.0.0.0", "--port", str(PORT)),  # noqa: S104
        *("--threads", str(max(1, math.floor(model.resources.cpu)))),
        *("--drain", str(_DRAIN_SECONDS), "--grace", str(_grace(model))),
        *model.server_flags,
    ]
    return {
        "name": "server",
        "image": args.image,
        "command": ["python", "-m", "serving"],
        "args": words,
        "ports": [{"name": "http", "container_port": PORT}],
        "resources": _resources(model, gpu=True),
        "security_context": container_security(),
        # Loading may take its time; after it a hung server is noticed within half a minute.
        "startup_probe": _probe("ready", period=5, failures=120),
        "readiness_probe": _probe("ready", period=2, failures=2),
        "liveness_probe": _probe("live", period=10, failures=3),
        "volume_mounts": [
            {"name": "artifact", "mount_path": "/artifact", "read_only": True},
            {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108
        ],
    }


def _grace(model: Model) -> int:
    """Seconds within which a server ends: it drains, and finishes a request that came last."""
    return _MOST_DRAIN_SECONDS + model.seconds


def _probe(page: str, period: int, failures: int) -> k8s.core.v1.ProbeArgsDict:
    return {
        "http_get": {"path": f"/v2/health/{page}", "port": "http"},
        "period_seconds": period,
        "failure_threshold": failures,
        "timeout_seconds": 2,
    }


def _resources(model: Model, gpu: bool) -> k8s.core.v1.ResourceRequirementsArgsDict:
    wanted = {"cpu": decimal(model.resources.cpu), "memory": binary(model.resources.memory)}
    if gpu and model.resources.gpu:
        wanted["nvidia.com/gpu"] = decimal(model.resources.gpu)
    return {"requests": wanted, "limits": wanted}
