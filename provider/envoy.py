"""Envoy's dynamic configuration for a set of model routes. Pure: routes in, contents of files out.

A route is what ``settings`` takes of a ``delivery:local:Route``'s inputs: ``model``, ``backends``, each
``{version, weight, shadow, addresses}``, and what ``DEFAULTS`` has. Field names are those of Envoy's v3 API
(envoyproxy.io, api-v3).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from provider import pages
from provider.resource import Properties

ROUTE_TABLE = "models"
REQUIRED = ("model", "backends")
DEFAULTS: Properties = {"timeout": 60}
"""What a route may leave out, as those that a former version has written do."""
_TYPE = "type.googleapis.com/envoy.config"
_PREVIOUS_HOSTS = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
# A stream that says nothing for this long is ended by Envoy itself, whatever the route's timeout.
_STREAM_IDLE_SECONDS = 300
_AT_ONCE = 4096
# A body is kept whole for a retry or a shadow; the model servers take 4 MiB.
_BUFFER = 8 * 1024 * 1024
_RETRIES: Properties = {
    # A prediction changes nothing, so a replica that dies or drains under a request may be asked again
    # elsewhere.
    "retry_on": "connect-failure,refused-stream,reset,gateway-error",
    "num_retries": 3,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {"@type": _PREVIOUS_HOSTS},
        }
    ],
    # A dead replica has the fewest requests, so least-request offers it again and again.
    "host_selection_retry_max_attempts": 64,
}
_OUTLIERS: Properties = {
    # A refused connection ejects at once; an answer of 502, 503 or 504 may be a moment's overload.
    "split_external_local_origin_errors": True,
    "consecutive_local_origin_failure": 1,
    "consecutive_gateway_failure": 3,
    "enforcing_consecutive_gateway_failure": 100,
    # A model that fails on an input is no broken replica.
    "enforcing_consecutive_5xx": 0,
    "enforcing_success_rate": 0,
    "enforcing_local_origin_success_rate": 0,
    "interval": "0.5s",
    "base_ejection_time": "1s",
    "max_ejection_time": "5s",
    "max_ejection_percent": 100,
}


def settings(route: Properties) -> Properties:
    """A route with all that it may leave out."""
    found = {key: route[key] for key in REQUIRED}
    for key, default in DEFAULTS.items():
        found[key] = default if route.get(key) is None else route[key]
    return found


def written(route: Properties) -> Properties:
    """What a file keeps of a route: without defaults, so that a former version can read it too."""
    return {key: value for key, value in settings(route).items() if value != DEFAULTS.get(key)}


def cluster_name(model: str, version: int) -> str:
    """The cluster of one release."""
    return f"{model}-v{version}"


def clusters(routes: Iterable[Properties]) -> list[Properties]:
    """One cluster a release, whose replicas are checked and lose their traffic when they are broken."""
    found: dict[str, Properties] = {}
    for route in routes:
        for backend in route["backends"]:
            name = cluster_name(route["model"], backend["version"])
            found[name] = _cluster(name, backend["addresses"])
    return [found[name] for name in sorted(found)]


def route_table(routes: Iterable[Properties], own: Iterable[Properties] = ()) -> Properties:
    """The route table: the gateway's own entries, then every model: ``/MODEL/…`` goes to the model's
    releases by weight, with the prefix taken off. ``/`` is the gateway's own, and ``/MODEL`` leads to the
    model's page.

    A v2 request that names a version (``/MODEL/v2/models/MODEL/versions/N/…``) goes to that release
    whatever its weight, so a release at weight 0 can be tried before anyone meets it.
    """
    ordered = sorted(map(settings, routes), key=lambda route: str(route["model"]))
    entries = [*own, *pages.index(ordered), *pages.entrances()]
    for route in ordered:
        entries += [_pinned(route, b) for b in route["backends"]]
        entries.append(_weighted(route))
    entries.append(pages.nothing(ordered))
    return {
        "@type": f"{_TYPE}.route.v3.RouteConfiguration",
        "name": ROUTE_TABLE,
        "max_direct_response_body_size_bytes": pages.LONGEST,
        # Once for all routes: Envoy reads the table anew for every change, and this is most of a route.
        "virtual_hosts": [
            {
                "name": "models",
                "domains": ["*"],
                "routes": entries,
                "retry_policy": _RETRIES,
                "request_body_buffer_limit": _BUFFER,
            }
        ],
    }


def discovery_response(resources: list[Properties]) -> tuple[str, str]:
    """A file for Envoy's filesystem subscription, and its version: a digest of what it says."""
    # One line a resource: indented JSON takes Python ten times as long, which counts with a hundred models.
    lines = ",\n".join(json.dumps(resource, sort_keys=True) for resource in resources)
    version = hashlib.sha256(lines.encode()).hexdigest()[:16]
    return f'{{"version_info": "{version}", "resources": [\n{lines}\n]}}\n', version


def _cluster(name: str, addresses: list[str]) -> Properties:
    endpoints: list[Properties] = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        endpoints.append(
            {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}
        )
    return {
        "@type": f"{_TYPE}.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "health_checks": [
            {
                "timeout": "1s",
                "interval": "1s",
                "no_traffic_interval": "1s",
                # A replica that comes back is used again at once: a passed check also ends its ejection.
                "unhealthy_interval": "0.25s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                # While a model holds up its server, new connections alone are answered (serving/health.py).
                "reuse_connection": False,
                "http_health_check": {"path": "/v2/health/ready"},
            }
        ],
        "outlier_detection": _OUTLIERS,
        # As long as one replica is well, only such get requests. When none is, all do: one may be back
        # before a check says so.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1.0}},
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": _AT_ONCE,
                    "max_pending_requests": _AT_ONCE,
                    "max_requests": _AT_ONCE,
                    # All requests of a replica that dies are retried at the same time.
                    "max_retries": _AT_ONCE,
                }
            ]
        },
    }


def _weighted(route: Properties) -> Properties:
    model, backends = route["model"], route["backends"]
    action = _action("/", route)
    action["weighted_clusters"] = {
        "clusters": [
            {"name": cluster_name(model, b["version"]), "weight": b["weight"]}
            for b in backends
            if not b["shadow"]
        ]
    }
    mirrors = [
        {
            "cluster": cluster_name(model, b["version"]),
            "runtime_fraction": {"default_value": {"numerator": 100}},
        }
        for b in backends
        if b["shadow"]
    ]
    if mirrors:
        action["request_mirror_policies"] = mirrors
    return {"match": {"prefix": f"/{model}/"}, "route": action}


def _pinned(route: Properties, backend: Properties) -> Properties:
    model = route["model"]
    path = f"/v2/models/{model}/versions/{backend['version']}"
    action = _action(path, route)
    action["cluster"] = cluster_name(model, backend["version"])
    return {"match": {"path_separated_prefix": f"/{model}{path}"}, "route": action}


def _action(path: str, route: Properties) -> dict[str, Any]:
    seconds = route["timeout"]
    action = {"prefix_rewrite": path, "timeout": f"{seconds}s"}
    return action | ({"idle_timeout": f"{seconds}s"} if seconds >= _STREAM_IDLE_SECONDS else {})
