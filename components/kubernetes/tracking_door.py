"""MLflow's way in from outside: a host at the gateway, which asks for a token and reads what it says."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.environment import Access
from components.kubernetes.callers import asks, route_target, security_policy
from components.kubernetes.labels import PART_OF


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The gateway in front of MLflow."""

    access: Access
    gateway: str
    """The Gateway, in MLflow's own namespace, with a listener of the name ``access.host``."""
    proxies: str
    """The namespace of its proxies."""


def publish(
    name: str,
    namespace: pulumi.Input[str],
    port: int,
    door: Door,
    service: pulumi.Resource,
    opts: pulumi.ResourceOptions,
) -> None:
    """Route ``access.host`` to the Service ``name`` for who has a token with all claims; others get 401, 403.

    There are no passwords: a token is short-lived, and the issuer's. The policy comes before the route and
    goes after it, so that the route never stands open.
    """
    # No model's name has a dot, after which its own route is called.
    route = f"{name}.mlflow"
    metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": route, "namespace": namespace, "labels": PART_OF}
    policy = security_policy(f"{name}-access", metadata, route_target(route), asks(door.access.jwt), opts)
    after = pulumi.ResourceOptions(depends_on=[policy, service])
    k8s.apiextensions.CustomResource(
        f"{name}-route",
        api_version="gateway.networking.k8s.io/v1",
        kind="HTTPRoute",
        metadata=metadata,
        spec={
            "parentRefs": [{"name": door.gateway, "sectionName": door.access.host}],
            "hostnames": [door.access.host],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "backendRefs": [{"name": name, "port": port}],
                    # A large artifact takes its time; without this, Envoy ends an answer after 15 s.
                    "timeouts": {"request": "0s"},
                }
            ],
        },
        opts=pulumi.ResourceOptions.merge(opts, after),
    )
