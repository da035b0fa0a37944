"""Who may call a model through a gateway that is reached from outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from policy.references import soc2
from policy.rule import Case, Finding, Resource, Rule, Severity
from policy.rules.values import as_map

ROUTE: Final = "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute"
_ENVOY: Final = "kubernetes:gateway.envoyproxy.io/v1alpha1"
POLICY: Final = f"{_ENVOY}:SecurityPolicy"
PROXY: Final = f"{_ENVOY}:EnvoyProxy"
# The clouds' annotations of a load balancer that stays inside.
_INTERNAL: Final = {
    "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
    "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
    "service.beta.kubernetes.io/azure-load-balancer-internal": "true",
    "networking.gke.io/load-balancer-type": "Internal",
}


def _callers(case: Case) -> Iterator[Finding]:
    route = case.resource
    if not any(map(_is_outside, case.others(PROXY))):
        return
    here = [
        policy
        for policy in case.others(POLICY)
        if policy.value("metadata.namespace") == route.value("metadata.namespace")
    ]
    gateways = [as_map(parent).get("name") for parent in route.items("spec.parentRefs")]
    own = [policy for policy in here if _is_for(policy, "HTTPRoute", [route.value("metadata.name")])]
    deciding = own or [policy for policy in here if _is_for(policy, "Gateway", gateways)]
    if not any(policy.value("spec.jwt") or policy.value("spec.apiKeyAuth") for policy in deciding):
        yield Finding(message=f"{route.id}: whoever reaches the gateway's load balancer may call it")


def _is_outside(proxy: Resource) -> bool:
    """Whether the load balancer of a gateway's proxies isn't said to stay inside."""
    annotations = as_map(proxy.value("spec.provider.kubernetes.envoyService.annotations", {}))
    return not any(annotations.get(key) == value for key, value in _INTERNAL.items())


def _is_for(policy: Resource, kind: str, names: Sequence[Any]) -> bool:
    targets = cast("Sequence[Mapping[str, Any]]", policy.items("spec.targetRefs"))
    return any(t.get("kind") == kind and any(t.get("name") == name for name in names) for t in targets)


RULES: Final = (
    Rule(
        id="callers-authenticated",
        title="A model behind a load balancer that may be public asks who calls",
        severity=Severity.MEDIUM,
        references=(soc2("CC6.1"), soc2("CC6.6")),
        why="Who may ask a model without limit can copy it, and learn of the data that it was trained on.",
        fix="set platform.gateway.authentication, or the model's own authentication; or exempt the route of a"
        " model that is meant for everyone",
        types=frozenset({ROUTE}),
        check=_callers,
        whole_stack=True,
    ),
)
