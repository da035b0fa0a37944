"""KEDA's HTTP add-on: its interceptor holds the requests to a release without servers until there is one."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as k8s

from components.environment import Model
from components.kubernetes.labels import release_metadata
from components.kubernetes.server import PORT

KEDA = "keda"
"""The namespace of KEDA and of its HTTP add-on."""
INTERCEPTOR = "keda-add-ons-http-interceptor-proxy"
"""The interceptor's Service there."""
INTERCEPTOR_PORT = 8080
SCALER = f"keda-add-ons-http-external-scaler.{KEDA}:9090"
"""What tells KEDA of requests."""
RELEASE_HEADER = "x-model-delivery-release"
"""The header by which the gateway tells the interceptor which release a request is for."""
COLD_SECONDS = 600
"""How long a request waits for a first server: a node may have to be started for it."""
_CONCURRENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldArgs:
    """One release that may have no server."""

    model: Model
    version: int
    namespace: pulumi.Input[str]
    host: pulumi.Input[str]
    """The host that callers use."""


def held(name: str, args: HeldArgs, opts: pulumi.ResourceOptions) -> k8s.apiextensions.CustomResource:
    """Let the interceptor know a release: which requests are its, and what they count as.

    A request that waits is a concurrent one for as long as it waits. By its rate alone, the release would
    look idle again a minute later, while its first server still starts.
    """
    metric: dict[str, object] = {"concurrency": {"targetValue": _CONCURRENT}}
    if rate := args.model.autoscaling.requests_per_second:
        metric["requestRate"] = {"targetValue": rate, "window": "1m", "granularity": "1s"}
    return k8s.apiextensions.CustomResource(
        f"{name}-held",
        api_version="http.keda.sh/v1beta1",
        kind="InterceptorRoute",
        metadata=release_metadata(name, args.namespace, args.model, args.version),
        spec={
            "target": {"service": name, "port": PORT},
            "rules": [{"hosts": [args.host], "headers": [{"name": RELEASE_HEADER, "value": name}]}],
            "scalingMetric": metric,
            # Of the answer alone: waiting for a first server is not in it.
            "timeouts": {"readiness": f"{COLD_SECONDS}s", "responseHeader": f"{args.model.seconds}s"},
        },
        opts=opts,
    )


def host(url: pulumi.Input[str]) -> pulumi.Output[str]:
    """The host of what callers use."""
    return pulumi.Output.from_input(url).apply(lambda found: urlsplit(found).hostname or found)
