"""The Gateway that models are reached through: Envoy Gateway, or one that the cluster already has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as k8s

from components.environment import Authentication
from components.kubernetes.callers import PROXIES, gateway_policy, gateway_target
from components.kubernetes.charts import ENVOY, ENVOY_GATEWAY, install
from components.kubernetes.labels import PART_OF

SYSTEM = "envoy-gateway-system"
"""The namespace of Envoy Gateway and of its proxies."""
_CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
_API = "gateway.networking.k8s.io/v1"
# A request may take longer than a load balancer lets a connection be silent (AWS' 350 s).
_KEEPALIVE = {"idleTime": "60s", "interval": "60s", "probes": 3}
_AWAITED = {"pulumi.com/waitFor": "jsonpath={.status.addresses[0].value}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayArgs:
    """An installed Gateway."""

    namespace: pulumi.Input[str]
    """The namespace of the models, from which alone it takes routes."""
    url: str
    """What callers use. With https the Gateway ends TLS."""
    tls_secret: str | None
    """The TLS Secret in that namespace."""
    annotations: Mapping[str, str]
    """Annotations of the proxies' Service."""
    authentication: Authentication | None
    """What it asks of callers, on every route that has no policy of its own; None: nothing."""
    others: Mapping[str, str]
    """Further hosts, each with its TLS Secret; routes choose one by the listener of that name."""


class Gateway(pulumi.ComponentResource):
    """Envoy Gateway by its chart, with a GatewayClass and one Gateway for the models.

    The definitions of both are in the cluster already (``Definitions``). Two proxies share the traffic, on
    different nodes where there are two; what a proxy is told to end it finishes first.
    """

    gateway: str
    """The Gateway's name."""
    address: pulumi.Output[str]
    """Where a load balancer answers for it, a host name or an IP address; empty where none was known yet when
    the Gateway was last made, changed or refreshed."""

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("delivery:kubernetes:Gateway", name, None, opts)
        self.gateway = "models"
        child = pulumi.ResourceOptions(parent=self)
        chart = install("envoy-gateway", ENVOY_GATEWAY, SYSTEM, {}, child, skip_crds=True)
        after = pulumi.ResourceOptions(parent=self, depends_on=[chart])
        proxy = k8s.apiextensions.CustomResource(
            "models-proxy",
            api_version="gateway.envoyproxy.io/v1alpha1",
            kind="EnvoyProxy",
            metadata={"name": "models", "namespace": SYSTEM, "labels": PART_OF},
            spec=_proxy(args.annotations),
            opts=after,
        )
        gateway_class = k8s.apiextensions.CustomResource(
            "models-class",
            api_version=_API,
            kind="GatewayClass",
            metadata={"name": "models", "labels": PART_OF},
            spec={
                "controllerName": _CONTROLLER,
                "parametersRef": {
                    "group": "gateway.envoyproxy.io",
                    "kind": "EnvoyProxy",
                    "name": "models",
                    "namespace": SYSTEM,
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[chart, proxy]),
        )
        made = _Gateway(
            "models-gateway",
            _metadata(args, self.gateway),
            {"gatewayClassName": "models", "listeners": [_listener(args), *_others(args)]},
            pulumi.ResourceOptions(parent=self, depends_on=[gateway_class]),
        )
        k8s.apiextensions.CustomResource(
            "models-clients",
            api_version="gateway.envoyproxy.io/v1alpha1",
            kind="ClientTrafficPolicy",
            metadata={"name": self.gateway, "namespace": args.namespace, "labels": PART_OF},
            spec={
                "targetRefs": [gateway_target(self.gateway)],
                "tcpKeepalive": _KEEPALIVE,
            },
            opts=after,
        )
        if args.authentication:
            gateway_policy(self.gateway, args.namespace, args.authentication, after)
        self.address = made.status.apply(_address)
        self.register_outputs({"gateway": self.gateway, "address": self.address})


class _Gateway(pulumi.CustomResource):
    """A Gateway with its ``status``, of which the SDK's custom resource says nothing."""

    status: pulumi.Output[Any]

    def __init__(
        self, name: str, metadata: Mapping[str, Any], spec: Mapping[str, Any], opts: pulumi.ResourceOptions
    ) -> None:
        props = {"apiVersion": _API, "kind": "Gateway", "metadata": metadata, "spec": spec, "status": None}
        super().__init__(f"kubernetes:{_API}:Gateway", name, props, opts)


def _metadata(args: GatewayArgs, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": args.namespace, "labels": PART_OF}
    if args.annotations and not args.tls_secret:
        # A cloud's load balancer takes minutes, and a Gateway without one is of no use. With TLS it isn't
        # waited for: its Secret is put into the namespace that this very update makes.
        return {**metadata, "annotations": _AWAITED}
    return metadata


def _address(status: Any) -> str:
    """The first address in a Gateway's status."""
    found = cast("Mapping[str, Sequence[Mapping[str, str]]]", status or {})
    return next((address["value"] for address in found.get("addresses", ())), "")


def _proxy(annotations: Mapping[str, str]) -> dict[str, object]:
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "proxy"}},
    }
    service: dict[str, object] = {"type": "LoadBalancer"}
    if annotations:
        service["annotations"] = dict(annotations)
    return {
        "provider": {
            "type": "Kubernetes",
            "kubernetes": {
                "envoyDeployment": {
                    "replicas": PROXIES,
                    "pod": {"topologySpreadConstraints": [spread]},
                    "container": {"image": ENVOY},
                },
                "envoyPDB": {"minAvailable": 1},
                "envoyService": service,
            },
        },
        "shutdown": {"drainTimeout": "60s", "minDrainDuration": "10s"},
    }


def _listener(args: GatewayArgs) -> dict[str, object]:
    parts = urlsplit(args.url)
    listener: dict[str, object] = {
        "name": parts.scheme,
        "hostname": parts.hostname or "",
        "port": 443 if args.tls_secret else 80,
        "protocol": "HTTPS" if args.tls_secret else "HTTP",
        "allowedRoutes": {"namespaces": {"from": "Same"}},
    }
    if args.tls_secret:
        listener["tls"] = {"mode": "Terminate", "certificateRefs": [{"name": args.tls_secret}]}
    return listener


def _others(args: GatewayArgs) -> list[dict[str, object]]:
    return [
        {
            # A listener's name is a section of the Gateway's, by which a route names it.
            "name": host,
            "hostname": host,
            "port": 443,
            "protocol": "HTTPS",
            "allowedRoutes": {"namespaces": {"from": "Same"}},
            "tls": {"mode": "Terminate", "certificateRefs": [{"name": secret}]},
        }
        for host, secret in sorted(args.others.items())
    ]
