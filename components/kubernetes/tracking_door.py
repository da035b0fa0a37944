"""MLflow's way in from outside: a host at the gateway, which asks for a token and reads what it says."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.environment import Access
from components.kubernetes.labels import PART_OF

_ISSUER = "issuer"


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
    policy = k8s.apiextensions.CustomResource(
        f"{name}-access",
        api_version="gateway.envoyproxy.io/v1alpha1",
        kind="SecurityPolicy",
        metadata=metadata,
        spec={
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": route}],
            "jwt": {"providers": [_provider(door.access)]},
            "authorization": {"defaultAction": "Deny", "rules": [_rule(door.access)]},
        },
        opts=opts,
    )
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


def _provider(access: Access) -> dict[str, object]:
    return {
        "name": _ISSUER,
        "issuer": access.issuer,
        "audiences": [access.audience],
        "remoteJWKS": {"uri": access.jwks},
        # In the header alone: what stands in an address stands in logs too.
        "extractFrom": {"headers": [{"name": "Authorization", "valuePrefix": "Bearer "}]},
    }


def _rule(access: Access) -> dict[str, object]:
    claims = [{"name": name, "values": [value]} for name, value in sorted(access.claims.items())]
    return {
        "name": "bearers",
        "action": "Allow",
        "principal": {"jwt": {"provider": _ISSUER, "claims": claims}},
    }
