"""The example model in an MLflow of the built image, and what servers without a container answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from provider.registry import resolve
from tests.image.engine import ROOT, Container, Engine
from tests.ports import free_port
from tests.waiting import PATIENCE, eventually

NAME = "tumour"
MLFLOW_PORT = 5000
SERVER_PORT = 8080
_VERSIONS = (1, 2)
# components/kubernetes/tracking.py: the command and what it may write to, with a volume that goes with it.
MLFLOW_COMMAND = (
    *("mlflow", "server", "--host", "0.0.0.0", "--port", str(MLFLOW_PORT)),
    *("--artifacts-destination", "/data/artifacts", "--serve-artifacts", "--workers", "2"),
    *("--allowed-hosts", "*"),
)
MLFLOW_VARIABLES = {"MLFLOW_BACKEND_STORE_URI": "sqlite:////data/mlflow.db", "HOME": "/tmp"}
MLFLOW_OPTIONS = (
    "--tmpfs",
    "/data:mode=1777",
    "--tmpfs",
    "/tmp:mode=1777",
    "--read-only",
    "--cap-drop",
    "ALL",
)


@dataclass(frozen=True)
class Released:
    """One version of the example model."""

    version: int
    flavor: str
    source: str
    """Its artifact's URI, as the registry has it."""
    digest: str
    folder: Path
    """The artifact on this machine."""
    answers: Mapping[str, tuple[int, Any]]
    """What a server without a container answers to each of ``REQUESTS``."""


@dataclass(frozen=True)
class Models:
    """All of them, by their flavours."""

    tracking: str
    """MLflow's address on the network of the tests."""
    released: Mapping[str, Released]

    def variables(self, flavor: str) -> dict[str, str]:
        """What a container is told that fetches one of them and serves it."""
        release = self.released[flavor]
        return {
            "SERVING_MODEL": NAME,
            "SERVING_VERSION": str(release.version),
            "SERVING_DIGEST": release.digest,
            "SERVING_SOURCE": release.source,
            "SERVING_TRACKING": self.tracking,
            "SERVING_ARTIFACT": "/artifact/model",
            "SERVING_HOST": "0.0.0.0",
            "SERVING_PORT": str(SERVER_PORT),
        }


@contextmanager
def registered(docker: Engine, image: str, folder: Path) -> Generator[Models]:
    """Train the example, and register it in an MLflow that ends with the block."""
    with mlflow(docker, image) as (container, uri):
        words = ("-m", "pipeline", "train", "--tracking-uri", uri)
        env = {**os.environ, "MODEL_DELIVERY_HOME": str(folder / "home")}
        trained = subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE * 2
        )
        assert trained.returncode == 0, f"{trained.stdout}{trained.stderr}\n{container.logs()}"
        found = [_released(uri, version, folder) for version in _VERSIONS]
        yield Models(tracking=uri, released={release.flavor: release for release in found})


@contextmanager
def mlflow(docker: Engine, image: str, *options: str) -> Generator[tuple[Container, str]]:
    """An MLflow server, as pods run it, and its address."""
    given = options or MLFLOW_OPTIONS
    with docker.container(image, *MLFLOW_COMMAND, env=MLFLOW_VARIABLES, options=given) as container:
        uri = f"http://{container.address}:{MLFLOW_PORT}"
        answering(container, f"{uri}/health")
        yield container, uri


def answering(container: Container, url: str) -> None:
    """Wait until a page of a container answers with 200. Fails with its log where it ends before."""

    def ready() -> bool:
        assert container.running, f"it has ended: {container.logs()}"
        try:
            return httpx.get(url, trust_env=False, timeout=PATIENCE).status_code == 200
        except httpx.HTTPError:
            return False

    eventually(f"{url} to answer", ready)


def _released(uri: str, version: int, folder: Path) -> Released:
    found = resolve(uri, NAME, version, folder / "artifacts")
    with _local(found.artifact, found.digest, version, folder) as url:
        answers = {name: ask(url, name) for name in REQUESTS}
    return Released(version, found.flavor, found.source, found.digest, Path(found.artifact), answers)


@contextmanager
def _local(artifact: str, digest: str, version: int, folder: Path) -> Generator[str]:
    """A server of the checkout's own environment, as the local stack runs it; its address."""
    port = free_port()
    words = ("--model", NAME, "--version", str(version), "--artifact", artifact, "--digest", digest)
    with ExitStack() as stack:
        log = stack.enter_context((folder / f"local-{version}.log").open("wb"))
        process = subprocess.Popen(
            [sys.executable, "-m", "serving", "--port", str(port), *words], cwd=ROOT, stdout=log, stderr=log
        )
        stack.callback(process.wait, PATIENCE)
        stack.callback(process.terminate)

        def ready() -> bool:
            assert process.poll() is None, Path(log.name).read_text()
            try:
                url = f"http://127.0.0.1:{port}/v2/health/ready"
                return httpx.get(url, trust_env=False, timeout=PATIENCE).status_code == 200
            except httpx.HTTPError:
                return False

        eventually("the local server to be ready", ready)
        yield f"http://127.0.0.1:{port}"


# Benign and malignant ones: an answer that is the same for every row would show little.
_ROWS = [[float(row + column) * 10**row for column in range(30)] for row in range(3)]
_TENSOR = {"name": "input", "shape": [3, 30], "datatype": "FP64", "data": _ROWS}
REQUESTS: Mapping[str, tuple[str, str, Any]] = {
    "predict": ("POST", "/predict", (ROOT / "examples" / f"{NAME}.json").read_text()),
    "rows": ("POST", "/predict", {"features": _ROWS}),
    "invocations": ("POST", "/invocations", {"inputs": _ROWS}),
    "v2": ("POST", f"/v2/models/{NAME}/infer", {"id": "7", "inputs": [_TENSOR]}),
    "metadata": ("GET", f"/v2/models/{NAME}", None),
    "ping": ("GET", "/ping", None),
    "too few columns": ("POST", "/predict", {"features": [[1.0]]}),
    "no JSON": ("POST", "/invocations", "{"),
}
"""Method, path and body of what servers are asked."""


def ask(url: str, name: str) -> tuple[int, Any]:
    """The status and the content of an answer, without what is another one each time."""
    method, path, body = REQUESTS[name]
    content = body if isinstance(body, str) or body is None else json.dumps(body)
    headers = {"content-type": "application/json", "x-request-id": "of-the-tests"}
    answer = httpx.request(
        method, f"{url}{path}", headers=headers, trust_env=False, timeout=PATIENCE, content=content
    )
    return answer.status_code, answer.json() if answer.content else None
