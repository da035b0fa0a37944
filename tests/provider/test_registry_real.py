"""Versions looked up in a real MLflow registry: its database, and its server over HTTP."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.contents import Pin, UnreachableError, Wanted
from provider.registry import Registered, UnknownModelError, resolve
from provider.resource import ProviderError
from serving.artifact import digest
from tests.ports import free_port
from tests.provider.conftest import get
from tests.waiting import PATIENCE, until

pytestmark = [
    pytest.mark.real,
    # MLflow's own dependencies warn of each other.
    pytest.mark.filterwarnings("ignore"),
]
MLMODEL = {"flavors": {"python_function": {}, "sklearn": {}}, "signature": {"inputs": "[]", "outputs": None}}


class Registry:
    """A registry in a folder, filled through its database."""

    def __init__(self, folder: Path) -> None:
        from mlflow import MlflowClient

        self.folder = folder
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        self.experiment = self.client.create_experiment("tests", (folder / "artifacts").as_uri())
        self.count = 0

    def artifact(self, text: str, mlmodel: dict[str, Any] | None = None) -> Path:
        self.count += 1
        folder = self.folder / "made" / str(self.count)
        folder.mkdir(parents=True)
        (folder / "MLmodel").write_text(yaml.safe_dump(MLMODEL if mlmodel is None else mlmodel))
        (folder / "data").write_text(text)
        return folder

    def register(
        self, name: str, artifact: Path, tags: dict[str, str], metrics: dict[str, float], source: str = ""
    ) -> str:
        run = self.client.create_run(self.experiment).info.run_id
        for metric, value in metrics.items():
            self.client.log_metric(run, metric, value)
        if not any(m.name == name for m in self.client.search_registered_models()):
            self.client.create_registered_model(name)
        self.client.create_model_version(name, source or artifact.as_uri(), run, tags)
        return run


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(tmp_path_factory.mktemp("registry"))


_numbers = itertools.count()


@pytest.fixture
def name() -> str:
    """A model that no other test has."""
    return f"model{next(_numbers)}"


def test_a_registered_version_is_read_whole(registry: Registry, name: str, tmp_path: Path) -> None:
    artifact = registry.artifact("one")
    tags = {
        "artifact.digest": digest(artifact),
        "data.digest": "sha256:d",
        "git.commit": "abc",
        "training.code": "https://host/o/r#train.py (make train)",
        "owner": "risk-team",
        "risk.class": "high",
        "approved.by": "Ann",
        "approved.at": "2026-11-24T09:30:15Z",
        "approved.digest": digest(artifact),
        "evaluation": "approved",
    }
    run = registry.register(name, artifact, tags, {"auc": 0.99, "loss": float("nan")})
    registry.client.update_model_version(name, "1", "# A card")
    found = resolve(registry.uri, name, 1, tmp_path)
    made = datetime.fromisoformat(found.registered)
    assert made.utcoffset() == timedelta(0) and abs(datetime.now(UTC) - made) < timedelta(minutes=2)
    assert replace(found, registered="") == Registered(
        digest=digest(artifact),
        artifact=str(artifact),
        size=sum(len(path.read_bytes()) for path in artifact.iterdir()),
        source=artifact.as_uri(),
        flavor="sklearn",
        signature={"inputs": "[]"},
        metrics={"auc": 0.99},
        run=run,
        data="sha256:d",
        commit="abc",
        code="https://host/o/r#train.py (make train)",
        owner="risk-team",
        risk_class="high",
        card="# A card",
        approved_by="Ann",
        approved_at="2026-11-24T09:30:15Z",
        evaluation="approved",
        registered="",
    )
    # Nothing was fetched.
    assert {path.name for path in tmp_path.iterdir()} == {".answers"}


def test_what_the_registry_learns_is_seen_by_the_next_look(
    registry: Registry, name: str, tmp_path: Path
) -> None:
    artifact = registry.artifact("one")
    registry.register(name, artifact, {}, {})
    assert resolve(registry.uri, name, 1, tmp_path).evaluation == ""
    registry.client.set_model_version_tag(name, "1", "evaluation", "approved")
    assert resolve(registry.uri, name, 1, tmp_path).evaluation == "approved"
    registry.client.set_model_version_tag(name, "1", "evaluation", "rejected")
    assert resolve(registry.uri, name, 1, tmp_path).evaluation == "rejected"


def test_an_unchanged_registry_is_not_asked_again(
    registry: Registry, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register(name, registry.artifact("one"), {"owner": "ann"}, {"auc": 0.5})
    first = resolve(registry.uri, name, 1, tmp_path)

    def ask(*_: object) -> None:
        raise AssertionError("the registry was asked again")

    monkeypatch.setattr("provider.registry._ask", ask)
    assert resolve(registry.uri, name, 1, tmp_path) == first


def test_an_approval_of_another_artifact_is_none(registry: Registry, name: str, tmp_path: Path) -> None:
    approval = {"approved.by": "Ann", "approved.at": "2026-11-24T09:30:15Z"}
    other = {**approval, "approved.digest": "sha256:" + "0" * 64}
    registry.register(name, registry.artifact("one"), other, {})
    registry.register(name, registry.artifact("two"), approval, {})
    found = [resolve(registry.uri, name, version, tmp_path) for version in (1, 2)]
    assert [(f.approved_by, f.approved_at) for f in found] == [("", ""), ("Ann", "2026-11-24T09:30:15Z")]


def test_what_mlflow_knows_of_a_run_stands_in_for_our_tags(
    registry: Registry, name: str, tmp_path: Path
) -> None:
    run = registry.register(name, registry.artifact("one"), {"card": "https://wiki/cards/1"}, {})
    for key, value in {
        "mlflow.source.git.commit": "c0ffee",
        "mlflow.source.git.repoURL": "https://ann:pw123@host/o/r",
        "mlflow.source.name": "train.py",
    }.items():
        registry.client.set_tag(run, key, value)
    registry.client.update_model_version(name, "1", "a description")
    found = resolve(registry.uri, name, 1, tmp_path)
    assert (found.commit, found.code) == ("c0ffee", "https://***@host/o/r#train.py")
    assert found.card == "https://wiki/cards/1"


def test_a_version_without_our_tags_is_pinned_by_its_bytes(
    registry: Registry, name: str, tmp_path: Path
) -> None:
    artifact = registry.artifact("one", {"flavors": {"onnx": {}, "python_function": {}}})
    registry.register(name, artifact, {}, {})
    found = resolve(registry.uri, name, 1, tmp_path)
    assert (found.digest, found.flavor) == (digest(artifact), "onnx")
    assert (found.data, found.commit, found.code, found.owner, found.risk_class) == ("",) * 5
    assert (found.card, found.approved_by, found.approved_at, found.evaluation) == ("",) * 4
    (artifact / "data").write_text("two")
    assert resolve(registry.uri, name, 1, tmp_path).digest != found.digest


def test_a_deleted_run_leaves_the_version_as_it_is(registry: Registry, name: str, tmp_path: Path) -> None:
    artifact = registry.artifact("one")
    run = registry.register(name, artifact, {}, {"auc": 0.5})
    registry.client.delete_run(run)
    assert resolve(registry.uri, name, 1, tmp_path).digest == digest(artifact)


def test_an_artifact_changed_since_its_registration_is_refused(
    registry: Registry, name: str, tmp_path: Path
) -> None:
    artifact = registry.artifact("one")
    registry.register(name, artifact, {"artifact.digest": digest(artifact)}, {})
    (artifact / "data").write_text("two")
    with pytest.raises(ProviderError, match="is not what was registered: its digest is sha256:") as caught:
        resolve(registry.uri, name, 1, tmp_path)
    assert str(artifact) in str(caught.value)


@pytest.mark.parametrize("damage", ["gone", "link", "no MLmodel", "bad MLmodel"])
def test_an_artifact_that_cannot_be_served_is_named(
    registry: Registry, name: str, tmp_path: Path, damage: str
) -> None:
    artifact = registry.artifact("one")
    registry.register(name, artifact, {}, {})
    match damage:
        case "gone":
            shutil.rmtree(artifact)
        case "link":
            (artifact / "link").symlink_to("/etc/passwd")
        case "no MLmodel":
            (artifact / "MLmodel").unlink()
        case _:
            (artifact / "MLmodel").write_text("{")
    with pytest.raises(ProviderError, match=f"{name} version 1") as caught:
        resolve(registry.uri, name, 1, tmp_path)
    assert str(artifact) in str(caught.value) or damage == "link"


def test_a_missing_version_says_which_there_are(registry: Registry, name: str, tmp_path: Path) -> None:
    for text in ("one", "two"):
        registry.register(name, registry.artifact(text), {}, {})
    with pytest.raises(
        ProviderError, match=f"{name} has no version 7 in the registry .*; registered are 1, 2$"
    ):
        resolve(registry.uri, name, 7, tmp_path)


def test_a_missing_model_says_which_there_are(registry: Registry, name: str, tmp_path: Path) -> None:
    registry.register(name, registry.artifact("one"), {}, {})
    with pytest.raises(ProviderError, match=f"has no model 'nobody'; registered are .*{name}"):
        resolve(registry.uri, "nobody", 1, tmp_path)


def test_an_empty_registry_says_so(tmp_path: Path) -> None:
    empty = Registry(tmp_path)
    with pytest.raises(ProviderError, match="nothing is registered there yet"):
        resolve(empty.uri, "churn", 1, tmp_path)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match=r"there is no file .*mlflow\.db"):
        resolve(f"sqlite:///{tmp_path}/mlflow.db", "churn", 1, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database_is_no_registry(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database " * 100)
    with pytest.raises(UnreachableError, match="not a database"):
        resolve(f"sqlite:///{tmp_path}/mlflow.db", "churn", 1, tmp_path)


def test_a_server_that_is_down_is_told_shortly_and_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        resolve(f"http://ann:pw123@127.0.0.1:{free_port()}", "churn", 1, tmp_path)
    assert "refused" in str(caught.value) and "pw123" not in str(caught.value)
    assert len(str(caught.value)) < 100


@pytest.fixture(scope="module")
def server(registry: Registry) -> Iterator[str]:
    port = free_port()
    served = registry.folder / "served"
    command = [
        *(
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
        ),
        *("--backend-store-uri", registry.uri, "--artifacts-destination", str(served), "--serve-artifacts"),
    ]
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (registry.folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env, start_new_session=True)

    def ready() -> bool:
        assert process.poll() is None, (registry.folder / "server.log").read_text()
        try:
            return get(port, "/health")[0] == 200
        except OSError:
            return False

    try:
        until(ready, 2 * PATIENCE)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(PATIENCE)


def test_the_same_is_read_over_http(registry: Registry, server: str, name: str, tmp_path: Path) -> None:
    artifact = registry.artifact("one")
    registry.register(name, artifact, {"artifact.digest": digest(artifact)}, {"auc": 0.5})
    with_password = server.replace("://", "://ann:pw123@")
    assert resolve(with_password, name, 1, tmp_path) == resolve(registry.uri, name, 1, tmp_path)
    with pytest.raises(ProviderError, match=r"has no version 2 .*registered are 1") as caught:
        resolve(with_password, name, 2, tmp_path)
    assert "pw123" not in str(caught.value) and "***@" in str(caught.value)


def test_an_artifact_behind_the_server_is_fetched_once_and_found_again(
    registry: Registry, server: str, name: str, tmp_path: Path
) -> None:
    made = registry.artifact("far away")
    shutil.copytree(made, registry.folder / "served" / "models" / name)
    tags = {"artifact.digest": digest(made)}
    registry.register(name, made, tags, {}, source=f"mlflow-artifacts:/models/{name}")
    first = resolve(server, name, 1, tmp_path)
    assert first.digest == digest(made)
    assert Path(first.artifact) == tmp_path / first.digest.replace(":", "-")
    shutil.rmtree(registry.folder / "served" / "models" / name)
    # A second plan needs no download, and finds it at the same place: nothing changes.
    pin = Pin(first.digest, first.size, first.listing)
    assert resolve(server, name, 1, tmp_path, Wanted(pin)) == first
    shutil.rmtree(first.artifact)
    with pytest.raises(ProviderError, match=f"there is nothing at mlflow-artifacts:/models/{name}"):
        resolve(server, name, 1, tmp_path)


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("churn-model", "Churn_Model"),
        ("churn", "main.ml.churn"),
        ("fruad", "fraud"),
        ("o-brien", "O'Brien"),
        ("score", ""),
    ],
)
def test_a_missing_model_is_told_with_the_one_that_was_meant(
    names: Registry, asked: str, near: str, tmp_path: Path
) -> None:
    with pytest.raises(UnknownModelError, match="registered are Churn_Model, O'Brien") as caught:
        resolve(names.uri, asked, 1, tmp_path)
    assert caught.value.near == near


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    registry = Registry(tmp_path_factory.mktemp("names"))
    for name in ("Churn_Model", "main.ml.churn", "fraud", "O'Brien", "Ä"):
        registry.register(name, registry.artifact(name), {}, {})
    return registry


@pytest.mark.parametrize("name", ["Churn_Model", "main.ml.churn", "O'Brien", "Ä"])
def test_whatever_mlflow_takes_as_a_name_is_read(names: Registry, name: str, tmp_path: Path) -> None:
    assert resolve(names.uri, name, 1, tmp_path).digest.startswith("sha256:")
    with pytest.raises(ProviderError, match=f"{name} has no version 2 .*; registered are 1$"):
        resolve(names.uri, name, 2, tmp_path)


def test_a_model_without_versions_is_no_unknown_model(names: Registry, tmp_path: Path) -> None:
    names.client.create_registered_model("fresh")
    with pytest.raises(ProviderError, match=r"fresh has no version 1 .*; it has no version yet"):
        resolve(names.uri, "fresh", 1, tmp_path)
    names.client.delete_registered_model("fresh")


def test_of_many_models_twenty_are_named_and_every_one_may_be_meant(tmp_path: Path) -> None:
    many = Registry(tmp_path)
    for number in range(120):
        many.client.create_registered_model(f"model-{number:03}")
    many.client.create_registered_model("Zebra_Model")
    with pytest.raises(UnknownModelError, match=r"model-018 and 101 more$") as caught:
        resolve(many.uri, "zebra-model", 1, tmp_path)
    assert caught.value.near == "Zebra_Model"


@pytest.mark.parametrize("uri", ["databricks-uc", "databricks-uc://profile", "uc:http://localhost:8081"])
def test_unity_catalog_is_refused_by_name(uri: str, tmp_path: Path) -> None:
    """As a tracking URI MLflow refuses it too: see what it says when this fails."""
    from mlflow import MlflowClient

    with pytest.raises(Exception, match="Unity Catalog"):
        MlflowClient(tracking_uri=uri, registry_uri=uri).get_model_version("a.b.c", "1")
    with pytest.raises(ProviderError, match="Unity Catalog, which can't be read"):
        resolve(uri, "main.ml.churn", 1, tmp_path)
