"""Envoy Gateway's policies for callers: what they have to show, and how many requests are answered.

A route's policy replaces the Gateway's: ``translateSecurityPolicyForGateway`` leaves routes alone that have
one (github.com/envoyproxy/gateway v1.9.1, internal/gatewayapi/securitypolicy.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s

from components.environment import ApiKeys, Authentication, Jwt, Model
from components.kubernetes.labels import PART_OF, model_metadata

PROXIES: Final = 2
"""How many proxies share the traffic of an installed Gateway."""
API_KEY_HEADER: Final = "x-api-key"
_API = "gateway.envoyproxy.io/v1alpha1"
_ISSUER = "issuer"
Target = Mapping[str, str]


def gateway_policy(
    gateway: str, namespace: pulumi.Input[str], authentication: Authentication, opts: pulumi.ResourceOptions
) -> None:
    """Ask callers of each route of the Gateway that has no policy itself; those of other stacks too."""
    # No model's name has a dot, after which its own policy is called.
    metadata: k8s.meta.v1.ObjectMetaArgsDict = {
        "name": f"{gateway}.gateway",
        "namespace": namespace,
        "labels": PART_OF,
    }
    security_policy(f"{gateway}-callers", metadata, gateway_target(gateway), asks(authentication), opts)


def route_policies(
    model: Model, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Declare what a model itself asks of its callers; its route has to wait for these."""
    metadata = model_metadata(model.name, namespace, model)
    target = route_target(model.name)
    found: list[pulumi.Resource] = []
    if model.authentication:
        # A policy that lets everyone in is none of the Gateway's.
        spec = (
            {"authorization": {"defaultAction": "Allow"}}
            if model.authentication == "none"
            else asks(model.authentication)
        )
        found.append(security_policy(model.name, metadata, target, spec, opts))
    if model.rate_limit:
        found.append(_limit(model, metadata, opts))
    return found


def gateway_target(name: str) -> Target:
    """What a policy says of a Gateway that it is for."""
    return {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name}


def route_target(name: str) -> Target:
    """What a policy says of a route that it is for."""
    return {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": name}


def asks(authentication: Authentication) -> dict[str, Any]:
    """What a SecurityPolicy says: without what is asked a caller gets 401, with a token of other claims 403.

    Tokens and keys are taken from headers alone: what stands in an address stands in logs too.
    """
    if isinstance(authentication, ApiKeys):
        return {
            "apiKeyAuth": {
                "credentialRefs": [{"name": authentication.secret}],
                "extractFrom": [{"headers": [API_KEY_HEADER]}],
                # The model's server needs no key, so it sees none.
                "sanitize": True,
            }
        }
    found: dict[str, Any] = {"jwt": {"providers": [_provider(authentication)]}}
    if authentication.claims:
        found["authorization"] = {"defaultAction": "Deny", "rules": [_rule(authentication)]}
    return found


def security_policy(
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    target: Target,
    spec: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
) -> k8s.apiextensions.CustomResource:
    """Declare a SecurityPolicy. It fails closed: where Envoy Gateway can't follow it, routes answer 500."""
    return k8s.apiextensions.CustomResource(
        name,
        api_version=_API,
        kind="SecurityPolicy",
        metadata=metadata,
        spec={"targetRefs": [target], **spec},
        opts=opts,
    )


def _limit(
    model: Model, metadata: k8s.meta.v1.ObjectMetaArgsDict, opts: pulumi.ResourceOptions
) -> k8s.apiextensions.CustomResource:
    """Declare the model's rate limit. The proxies don't know of each other, so each has a part of it."""
    part = -(-(model.rate_limit or 0) // PROXIES)
    return k8s.apiextensions.CustomResource(
        model.name,
        api_version=_API,
        kind="BackendTrafficPolicy",
        metadata=metadata,
        spec={
            "targetRefs": [route_target(model.name)],
            "rateLimit": {"local": {"rules": [{"limit": {"requests": part, "unit": "Second"}}]}},
        },
        opts=opts,
    )


def _provider(jwt: Jwt) -> dict[str, object]:
    return {
        "name": _ISSUER,
        "issuer": jwt.issuer,
        "audiences": [jwt.audience],
        "remoteJWKS": {"uri": jwt.jwks},
        "extractFrom": {"headers": [{"name": "Authorization", "valuePrefix": "Bearer "}]},
    }


def _rule(jwt: Jwt) -> dict[str, object]:
    claims = [{"name": name, "values": [value]} for name, value in sorted(jwt.claims.items())]
    return {
        "name": "bearers",
        "action": "Allow",
        "principal": {"jwt": {"provider": _ISSUER, "claims": claims}},
    }
