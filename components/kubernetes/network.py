"""Who may call a release's pods, and whom they may call."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as k8s

from components.environment import Model
from components.kubernetes.interceptor import KEDA
from components.kubernetes.labels import release_metadata, selector
from components.kubernetes.server import PORT

MONITORING = "monitoring"
"""The namespace of Prometheus."""
_METADATA = "169.254.0.0/16"


class Neighbours(Protocol):
    """What a policy has to know of a platform."""

    @property
    def namespace(self) -> pulumi.Input[str]: ...
    @property
    def proxies(self) -> pulumi.Input[str]: ...
    @property
    def tracking(self) -> pulumi.Input[str]: ...
    @property
    def keda(self) -> bool: ...


def policy(
    name: str, model: Model, version: int, args: Neighbours, opts: pulumi.ResourceOptions
) -> k8s.networking.v1.NetworkPolicy:
    """Let the gateway's proxies and Prometheus in, to the server's port alone, and KEDA's interceptors where
    KEDA scales: for every release, as one that begins or ends to sleep is reached by both ways for a while.

    Out go names, HTTPS and the tracking server (artifacts), and the machine's own metadata service (a cloud's
    identities), nothing else.
    """
    return k8s.networking.v1.NetworkPolicy(
        name,
        metadata=release_metadata(name, args.namespace, model, version),
        spec={
            "pod_selector": {"match_labels": selector(model, version)},
            "policy_types": ["Ingress", "Egress"],
            "ingress": [
                pulumi.Output.from_input(args.proxies).apply(lambda proxies: _ingress(proxies, args.keda))
            ],
            "egress": pulumi.Output.from_input(args.tracking).apply(_egress),
        },
        opts=opts,
    )


def _ingress(proxies: str, keda: bool) -> k8s.networking.v1.NetworkPolicyIngressRuleArgsDict:
    rule: k8s.networking.v1.NetworkPolicyIngressRuleArgsDict = {"ports": [{"protocol": "TCP", "port": PORT}]}
    if proxies:
        rule["from_"] = [
            {"namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": namespace}}}
            for namespace in (proxies, MONITORING, *((KEDA,) if keda else ()))
        ]
    return rule


def _egress(tracking: str) -> list[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict]:
    parts = urlsplit(tracking)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    mlflow: k8s.networking.v1.NetworkPolicyEgressRuleArgsDict = {"ports": [{"protocol": "TCP", "port": port}]}
    if (parts.hostname or "").endswith(".svc"):
        mlflow["to"] = [{"pod_selector": {"match_labels": {"app.kubernetes.io/name": "tracking"}}}]
    return [
        {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]},
        {"ports": [{"protocol": "TCP", "port": 443}]},
        {
            "to": [{"ip_block": {"cidr": _METADATA}}],
            "ports": [{"protocol": "TCP", "port": 80}, {"protocol": "TCP", "port": 988}],
        },
        mlflow,
    ]
