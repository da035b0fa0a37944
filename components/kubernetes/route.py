"""The Gateway API route of a model: the weights are the canary's, the mirror is the shadow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as k8s

from components.environment import Model
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
            "hostnames": [pulumi.Output.from_input(args.url).apply(_host)],
            "rules": [rule(model, split)],
        },
        opts=opts,
    )


def rule(model: Model, split: Sequence[Share]) -> dict[str, Any]:
    """The one rule of a model's route."""
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
    return {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/{model.name}"}}],
        "filters": filters,
        "backendRefs": [
            {**_service(model, share), "weight": share.weight} for share in split if not share.shadow
        ],
    }


def _service(model: Model, share: Share) -> dict[str, Any]:
    return {"name": f"{model.name}-v{share.version}", "port": PORT}


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
