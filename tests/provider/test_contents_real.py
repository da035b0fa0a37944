"""What a plan reads of a large artifact: on the real engine, by the bytes that a real MLflow server sends."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.contents import SMALL
from serving.artifact import digest
from tests.ports import free_port
from tests.provider.conftest import get
from tests.provider.project import ROOT, Project
from tests.waiting import PATIENCE, until

pytestmark = [
    pytest.mark.real,
    # MLflow's own dependencies warn of each other.
    pytest.mark.filterwarnings("ignore"),
]
WEIGHTS = 4 * SMALL
FEW = 200_000
"""Bytes that one plan may read of two releases, the registry's answers with them."""
_MLMODEL = {"flavors": {"onnx": {"data": "model.onnx"}, "python_function": {"loader_module": "mlflow.onnx"}}}
_PROGRAM = f"""\
import json
import sys
from pathlib import Path

sys.path.insert(0, {str(ROOT)!r})
from components.environment import Model, ReleaseRef
from components.release import Release

registry, versions = json.loads(Path("resources.json").read_text())
model = Model(name="churn", runtime="local", stable=ReleaseRef(version=1))
for version in versions:
    Release(f"churn-v{{version}}", model, version, registry)
"""


class Relay:
    """A port in front of another one, that counts what comes back."""

    def __init__(self, to: int) -> None:
        self.sent = 0
        self._to = to
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._to)) as server, suppress(OSError):
            chosen = selectors.DefaultSelector()
            chosen.register(client, selectors.EVENT_READ, server)
            chosen.register(server, selectors.EVENT_READ, client)
            with chosen:
                while True:
                    for key, _ in chosen.select():
                        said = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                        if not said:
                            return
                        if key.fileobj is server:
                            self.sent += len(said)
                        key.data.sendall(said)

    def close(self) -> None:
        self._listening.close()


class Registry:
    """An MLflow server that hands artifacts out, with two versions of one model in it."""

    def __init__(self, folder: Path) -> None:
        from mlflow import MlflowClient

        uri = f"sqlite:///{folder / 'mlflow.db'}"
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.create_registered_model("churn")
        self.digests: list[str] = []
        for version in (1, 2):
            made = folder / "served" / str(version)
            made.mkdir(parents=True)
            (made / "MLmodel").write_text(yaml.safe_dump(_MLMODEL))
            (made / "requirements.txt").write_text("onnxruntime==1.0.0\n")
            with (made / "model.onnx").open("wb") as file:
                file.truncate(WEIGHTS)
                file.write(bytes([version]))
            self.digests.append(digest(made))
            tags = {"artifact.digest": self.digests[0]} if version == 1 else {}
            client.create_model_version("churn", f"mlflow-artifacts:/{version}", tags=tags)
        port = free_port()
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", "1", "--backend-store-uri", uri, "--serve-artifacts"),
            *("--artifacts-destination", str(folder / "served")),
        ]
        env = {
            **os.environ,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        with (folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=env, start_new_session=True)

        def ready() -> bool:
            assert self._process.poll() is None, (folder / "server.log").read_text()
            with suppress(OSError):
                return get(port, "/health")[0] == 200
            return False

        until(ready, 2 * PATIENCE)
        self.relay = Relay(port)
        self.uri = f"http://127.0.0.1:{self.relay.port}"

    def close(self) -> None:
        self.relay.close()
        os.killpg(self._process.pid, 15)
        self._process.wait(PATIENCE)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    (tmp_path / "registry").mkdir()
    found = Registry(tmp_path / "registry")
    yield found
    found.close()


class Stack(Project):
    """A stack of releases, planned by a machine that may be another one each time."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self._registry, self._home = registry, folder / "homes"
        self._versions: list[int] = []
        super().__init__(folder / "project")
        (self.folder / "__main__.py").write_text(_PROGRAM)

    def declare(self, resources: list[Any]) -> None:
        import json

        (self.folder / "resources.json").write_text(json.dumps([self._registry.uri, resources]))

    def counted(self, machine: str, *words: str) -> tuple[str, int]:
        """What a command says, and the bytes that it was sent."""
        self.env["MODEL_DELIVERY_HOME"] = str(self._home / machine)
        before = self._registry.relay.sent
        ran = self.command(*words)
        assert ran.code == 0, ran.text
        return ran.text, self._registry.relay.sent - before


def test_weights_are_downloaded_once_by_an_update_and_never_by_a_plan(
    registry: Registry, tmp_path: Path
) -> None:
    stack = Stack(tmp_path, registry)
    stack.declare([1])
    text, sent = stack.counted("one", "preview", "--diff")
    assert registry.digests[0] in text and sent < FEW
    stack.declare([1, 2])
    text, sent = stack.counted("one", "preview", "--diff")
    assert "its digest is known after the update, which downloads the artifact (64 MiB)" in text, text
    assert "mismatches" not in text and sent < FEW
    text, sent = stack.counted("one", "up", "--yes", "--skip-preview")
    assert WEIGHTS < sent < WEIGHTS + FEW
    state = stack.state()
    assert [state[f"churn-v{n}"]["digest"] for n in (1, 2)] == registry.digests
    # A preview with refresh on a machine that has nothing, as a CI job's: nothing is to be done.
    text, sent = stack.counted("two", "preview", "--diff", "--refresh", "--expect-no-changes")
    assert "3 unchanged" in text and sent < FEW
    text, sent = stack.counted("three", "refresh", "--yes", "--skip-preview")
    assert sent < FEW
    # What is in the store is no longer what is pinned.
    with (tmp_path / "registry/served/2/model.onnx").open("ab") as file:
        file.write(b"more")
    text, sent = stack.counted("four", "preview", "--diff")
    assert "written again after it was deployed" in text and sent < FEW
    text, sent = stack.counted("four", "up", "--yes", "--skip-preview")
    assert "was changed after it was deployed" in text and WEIGHTS < sent < WEIGHTS + FEW
    assert stack.state()["churn-v2"]["digest"] == registry.digests[1]
