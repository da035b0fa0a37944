"""The Gateway API route of a model: the weights are the canary's, the mirror is the shadow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.environment import Model
from components.kubernetes.interceptor import (
    COLD_SECONDS,
    INTERCEPTOR,
    INTERCEPTOR_PORT,
    KEDA,
    RELEASE_HEADER,
    host,
)
from components.kubernetes.labels import model_metadata
from components.kubernetes.server import PORT
from components.traffic import Share


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteArgs:
    """Where a route is, and the Gateway that it belongs to."""

    namespace: pulumi.Input[str]
    url: pulumi.Input[str]
    gateway: pulumi.Input[str]
    gateway_namespace: pulumi.Input[str]
    proxies: pulumi.Input[str]
    """The namespace of the gateway's proxies; empty: a Gateway that the cluster already has."""


def route(
    model: Model, split: Sequence[Share], args: RouteArgs, opts: pulumi.ResourceOptions
) -> k8s.apiextensions.CustomResource:
    """An HTTPRoute for ``URL/MODEL``, which the servers see without that prefix.

    It is in one namespace with the Services that it names, so no ReferenceGrant is needed.
    """
    return k8s.apiextensions.CustomResource(
        model.name,
        api_version="gateway.networking.k8s.io/v1",
        kind="HTTPRoute",
        metadata=model_metadata(model.name, args.namespace, model),
        spec={
            "parentRefs": [{"name": args.gateway, "namespace": args.gateway_namespace}],
            "hostnames": [host(args.url)],
            "rules": [pulumi.Output.from_input(args.proxies).apply(lambda p: rule(model, split, bool(p)))],
        },
        opts=opts,
    )


def rule(model: Model, split: Sequence[Share], installed: bool) -> dict[str, Any]:
    """The one rule of a model's route.

    Where a release may have no server, the interceptor is in between. It is told which release a request is
    for, and the gateway waits for a first server too. An existing Gateway may know no timeouts, so it is
    given one only where the file asks for it; ``installed`` says that the Gateway is this project's own.
    """
    filters: list[Mapping[str, Any]] = [
        {
            "type": "URLRewrite",
            "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
        }
    ]
    filters += [
        {"type": "RequestMirror", "requestMirror": {"backendRef": _service(model, share)}}
        for share in split
        if share.shadow
    ]
    sleeps = model.autoscaling.min == 0
    backend = _interceptor if sleeps else _service
    found = {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/{model.name}"}}],
        "filters": filters,
        "backendRefs": [
            {**backend(model, share), "weight": share.weight} for share in split if not share.shadow
        ],
    }
    seconds = model.seconds + (COLD_SECONDS if sleeps else 0)
    asked = installed or sleeps or model.timeout
    return found | ({"timeouts": {"request": f"{seconds}s"}} if asked else {})


def _service(model: Model, share: Share) -> dict[str, Any]:
    return {"name": _release(model, share), "port": PORT}


def _interceptor(model: Model, share: Share) -> dict[str, Any]:
    header = {"name": RELEASE_HEADER, "value": _release(model, share)}
    return {
        "name": INTERCEPTOR,
        "namespace": KEDA,
        "port": INTERCEPTOR_PORT,
        # Set, not added: what a caller sends under that name is gone.
        "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [header]}}],
    }


def _release(model: Model, share: Share) -> str:
    return f"{model.name}-v{share.version}"
