"""A Docker engine, BuildKit and a registry with a login, all of the tests' own, in one folder."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from tests.image.machine import found
from tests.ports import free_port
from tests.waiting import PATIENCE, eventually
from tools import images
from tools.paths import ROOT as ROOT

USER, PASSWORD = "tester", "of the tests"
# bcrypt of the password, which registries ask for.
_HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuuGTOWXyqQPaHqE6HZfnX2nsY3HHWkUie\n"
SECONDS = 300
"""The longest that one command of Docker may take."""


@dataclass(frozen=True)
class Container:
    """A container that runs."""

    engine: Engine
    name: str

    @property
    def address(self) -> str:
        """Its address on its network; empty where it has ended."""
        (network,) = self.inspect()["NetworkSettings"]["Networks"].values()
        return network["IPAddress"]

    @property
    def running(self) -> bool:
        return bool(self.inspect()["State"]["Running"])

    def inspect(self) -> dict[str, Any]:
        return json.loads(self.engine.docker("inspect", self.name))[0]

    def logs(self) -> str:
        return self.engine.docker("logs", self.name)

    def ended(self) -> tuple[int, str]:
        """Wait for its end; returns its exit code and what it said."""
        code = self.engine.docker("wait", self.name).strip()
        return int(code), self.logs()

    @property
    def pid(self) -> int:
        """Its first process, as this machine counts them."""
        return int(self.inspect()["State"]["Pid"])

    def processor_seconds(self) -> float:
        """The processor time that it has used so far."""
        usage = "/sys/fs/cgroup/cpuacct/cpuacct.usage"
        if self.run("sh", "-c", f"test -e {usage} && echo first || true"):
            return int(self.run("cat", usage)) / 1e9
        return int(self._accounted("cpu.stat", "usage_usec")) / 1e6

    def memory_bytes(self) -> int:
        """The memory of its processes, without that of files."""
        if self.run("sh", "-c", "test -e /sys/fs/cgroup/memory && echo first || true"):
            return self._accounted("memory/memory.stat", "rss")
        return self._accounted("memory.stat", "anon")

    def _accounted(self, file: str, key: str) -> int:
        """A figure of its control group's, of the first version or of the second."""
        rows = (line.split() for line in self.run("cat", f"/sys/fs/cgroup/{file}").splitlines())
        return next(int(value) for name, value in rows if name == key)

    def run(self, *command: str) -> str:
        """What a command in it says."""
        return self.engine.docker("exec", self.name, *command).strip()

    def stop(self) -> int:
        """End it as a platform does, by SIGTERM; returns its exit code."""
        self.engine.docker("stop", "--time", "30", self.name)
        return int(self.inspect()["State"]["ExitCode"])


class Engine:
    """The engine, once it runs."""

    def __init__(self, folder: Path, registry: str) -> None:
        self.folder, self.registry = folder, registry
        self._own: dict[str, str] = {}
        self.network = "delivery-tests"
        self.closed = "delivery-tests-closed"
        """A network from which nothing leads on."""
        self.env = {
            "DOCKER_HOST": f"unix://{folder / 'docker.sock'}",
            "DOCKER_CONFIG": str(folder / "config"),
            "BUILDX_CONFIG": str(folder / "buildx"),
        }

    def take(self, name: str, archive: Path) -> None:
        """Push a file system, a tar file, as an image of its own."""
        tag = f"{self.registry}/{name}:1"
        self.docker("import", str(archive), tag)
        self.docker("push", "--quiet", tag)
        (pushed,) = json.loads(self.docker("image", "inspect", tag))[0]["RepoDigests"]
        self._own[name] = pushed

    def own(self, name: str) -> str:
        """The reference, by its digest, of an image that was taken."""
        return self._own[name]

    @property
    def base(self) -> str:
        """The base of every image."""
        return self.own("base")

    def docker(self, *words: str, check: bool = True, stdin: Path | None = None) -> str:
        """What a command of Docker says."""
        with ExitStack() as stack:
            source = stack.enter_context(stdin.open("rb")) if stdin else subprocess.DEVNULL
            done = subprocess.run(
                [found("docker"), *words],
                env={**os.environ, **self.env},
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS,
            )
        assert done.returncode == 0 or not check, f"docker {' '.join(words)}: {done.stdout}"
        return done.stdout

    @contextmanager
    def container(
        self,
        image: str,
        *command: str,
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        network: str = "",
    ) -> Generator[Container]:
        """Run an image, on the tests' own network where none is named, until the block ends."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        variables = [word for key, value in (env or {}).items() for word in ("--env", f"{key}={value}")]
        words = (
            "run",
            "--detach",
            "--name",
            name,
            "--network",
            network or self.network,
            *options,
            *variables,
        )
        self.docker(*words, image, *command)
        try:
            yield Container(self, name)
        finally:
            self.docker("rm", "--force", "--volumes", name)

    @property
    def gateway(self) -> str:
        """This machine's address on the network of the tests."""
        (found,) = json.loads(self.docker("network", "inspect", self.network))
        return found["IPAM"]["Config"][0]["Gateway"]

    def pushes(self) -> int:
        """How many manifests the registry has been sent so far."""
        return (self.folder / "registry.log").read_text().count('"PUT /v2/')

    def manifest(self, reference: str) -> tuple[str, dict[str, Any]]:
        """The media type and the content of a manifest, by its digest, as the registry has it."""
        repository, _, digest = reference.removeprefix(f"{self.registry}/").partition("@")
        headers = {
            "Authorization": f"Basic {_basic()}",
            "Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
            "application/vnd.docker.distribution.manifest.v2+json",
        }
        url = f"http://{self.registry}/v2/{repository.partition(':')[0]}/manifests/{digest}"
        with urlopen(Request(url, headers=headers), timeout=PATIENCE) as answer:
            return answer.headers["Content-Type"], json.load(answer)

    def config(self, reference: str) -> dict[str, Any]:
        """What an image says of how it is run: user, command, variables."""
        self.docker("pull", "--quiet", reference)
        return json.loads(self.docker("image", "inspect", reference))[0]["Config"]


def _basic() -> str:
    return base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@contextmanager
def engine(folder: Path) -> Generator[Engine]:
    """Start all three; they end with the block, and their files go."""
    folder.mkdir(parents=True, exist_ok=True)
    host = f"127.0.0.1:{free_port()}"
    made = Engine(folder, host)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder / "data", ignore_errors=True)
        stack.enter_context(_registry(folder, host))
        stack.enter_context(_buildkitd(folder, host))
        stack.enter_context(_dockerd(made))
        for name, options in ((made.network, ()), (made.closed, ("--internal",))):
            made.docker("network", "create", *options, name)
            stack.callback(made.docker, "network", "rm", name, check=False)
        yield made


def _registry(folder: Path, host: str) -> Any:
    (folder / "htpasswd").write_text(_HTPASSWD)
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "data" / "registry")}},
        "http": {"addr": host},
        "auth": {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}},
    }
    (folder / "registry.yaml").write_text(json.dumps(config))
    (folder / "config").mkdir()
    (folder / "config" / "config.json").write_text(json.dumps({"auths": {host: {"auth": _basic()}}}))

    def ready() -> bool:
        request = Request(f"http://{host}/v2/", headers={"Authorization": f"Basic {_basic()}"})
        try:
            with urlopen(request, timeout=PATIENCE):
                return True
        except URLError:
            return False

    return _running(
        folder / "registry.log",
        [str(images.registry().executable), "serve", str(folder / "registry.yaml")],
        ready,
        {"OTEL_TRACES_EXPORTER": "none"},
    )


def _buildkitd(folder: Path, host: str) -> Any:
    socket = folder / "buildkitd.sock"
    (folder / "buildkitd.toml").write_text(
        f"""root = "{folder / "data" / "buildkit"}"
[grpc]
address = ["unix://{socket}"]
[worker.oci]
enabled = true
snapshotter = "overlayfs"
networkMode = "host"
[worker.containerd]
enabled = false
[registry."{host}"]
http = true
"""
    )
    # The builder as `docker buildx create --driver remote` would note it.
    instances = folder / "buildx" / "instances"
    instances.mkdir(parents=True)
    node = {"Name": "tests0", "Endpoint": f"unix://{socket}"}
    builder = {"Name": "tests", "Driver": "remote", "Nodes": [node], "Dynamic": False}
    (instances / "tests").write_text(json.dumps(builder))
    command = [str(images.buildkitd().executable), "--config", str(folder / "buildkitd.toml")]
    return _running(folder / "buildkitd.log", command, socket.exists)


def _dockerd(made: Engine) -> Any:
    folder = made.folder
    command = [
        found("dockerd"),
        # This kind of machine has no systemd to ask for control groups.
        *("--exec-opt", "native.cgroupdriver=cgroupfs"),
        *("--data-root", str(folder / "data" / "docker")),
        *("--exec-root", str(folder / "exec")),
        *("--pidfile", str(folder / "docker.pid")),
        *("--host", made.env["DOCKER_HOST"]),
        # A network of the tests' own, beside that of an engine that may run here.
        *("--bridge", "none"),
    ]
    return _running(
        folder / "dockerd.log", command, lambda: "Server Version" in made.docker("info", check=False)
    )


@contextmanager
def _running(
    log: Path, command: list[str], ready: Any, env: Mapping[str, str] | None = None
) -> Generator[None]:
    path = f"{os.environ['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/sbin"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(env or {}), "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def up() -> bool:
        assert process.poll() is None, f"{command[0]} ended: {log.read_text()[-2000:]}"
        return ready()

    try:
        eventually(f"{Path(command[0]).name} to be ready", up)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)
